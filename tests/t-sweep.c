/* t-sweep.c: sweeps by the program itself: tables in the order of the points, two keys, lists as values; orders in a
   key, of numbers and of differences from SGD; a point that fails ends nothing but itself; a killed sweep leaves no
   child behind and goes on without redoing what is finished; a changed run file starts anew; bad input is one line and
   exit code 2, before any work. */
#include "program.h"
#include <dirent.h>
#include <math.h>
#include <signal.h>

static const char Text[] = "data: {type: gaussian, teacher: [0.0]}\n"
                           "model: {type: chain, depth: 2, coordinates: balanced}\n"
                           "training: {learning_rate: 0.05, weight_decay: 0.1, temperature: 0.02}\n"
                           "processes: [langevin]\n"
                           "engines: [particles]\n"
                           "particles: {count: 4096, steps: 20, burn_in: 5, seed: 3, threads: 1}\n"
                           "observables: [free_energy]\n"
                           "free_energy: {temperatures: [0.5]}\n";

static json_t *Load(const char *dir)
{
  json_t *root = json_load_file(InFolder("%s/sweep.json", dir), 0, NULL);

  check(root, "no sweep.json in %s: %s", dir, ReadText(InFolder("errors")));
  return root;
}

/* value or error of a quantity at a point; NaN: null */
static double At(const json_t *root, const char *quantity, const char *what, size_t point)
{
  size_t  i;
  json_t *table;

  json_array_foreach(json_object_get(root, "tables"), i, table)
  {
    const json_t *list = json_object_get(table, what);

    if (strcmp(json_string_value(json_object_get(table, "quantity")), quantity)) continue;
    check(json_array_size(list) == json_array_size(json_object_get(root, "points")), "%s has %d entries", quantity,
          (int)json_array_size(list));
    return json_is_number(json_array_get(list, point)) ? json_number_value(json_array_get(list, point)) : NAN;
  }
  fail_msg("no table of %s", quantity);
  return NAN;
}

static const char *Status(const json_t *root, size_t point)
{
  return json_string_value(json_object_get(json_array_get(json_object_get(root, "points"), point), "status"));
}

static void test_one_key(void **state)
{
  static const int depth[] = {3, 1, 2};
  json_t          *root;

  (void)state;
  Runs("sweep %s -over model_depth=3,1,2 -out %s -free_energy_prior_precision 1.5", InFolder("run.yaml"),
       InFolder("one"));
  root = Load("one");
  for (size_t p = 0; p < 3; p++) {
    check(fabs(At(root, "multiplicity", "value", p) - depth[p]) < 1e-3, "point %d: m = %g", (int)p,
          At(root, "multiplicity", "value", p));
    check(At(root, "multiplicity", "error", p) < 1e-3, "point %d: no error", (int)p);
    check(!strcmp(Status(root, p), "done"), "point %d is %s", (int)p, Status(root, p));
  }
  json_decref(root);
}

/* The first key is the slowest; semicolons separate lists. */
static void test_two_keys(void **state)
{
  json_t *root;

  (void)state;
  Runs("sweep %s -over model_depth=1,2 -over free_energy_temperatures=0.5,0.7;0.9,0.5;0.5 -out %s",
       InFolder("run.yaml"), InFolder("two"));
  root = Load("two");
  check(json_array_size(json_object_get(root, "points")) == 6, "%d points",
        (int)json_array_size(json_object_get(root, "points")));
  for (size_t p = 0; p < 6; p++) {
    check(fabs(At(root, "multiplicity", "value", p) - (p < 3 ? 1 : 2)) < 1e-3, "point %d: depth", (int)p);
    check(isnan(At(root, "free_energy[T=0.7]", "value", p)) == (p % 3 != 0), "point %d: T = 0.7", (int)p);
    check(isnan(At(root, "free_energy[T=0.9]", "value", p)) == (p % 3 != 1), "point %d: T = 0.9", (int)p);
  }
  check(fabs(At(root, "free_energy[T=0.5]", "value", 0) - At(root, "free_energy[T=0.5]", "value", 2)) == 0,
        "the same point differs");
  json_decref(root);
}

/* "order" of a quantity of a process in "tables" or "differences"; NaN: none */
static double Order(const json_t *root, const char *list, const char *process, const char *quantity, double *error)
{
  size_t  i;
  json_t *table;

  json_array_foreach(json_object_get(root, list), i, table)
  {
    if (strcmp(json_string_value(json_object_get(table, "quantity")), quantity)) continue;
    if (strcmp(json_string_value(json_object_get(table, "process")), process)) continue;
    *error = json_number_value(json_object_get(table, "order_error"));
    return json_object_get(table, "order") ? json_number_value(json_object_get(table, "order")) : NAN;
  }
  return NAN;
}

/* One weight, E x^2 = B = 1: variance eta sigma^2/(2 - 3 eta) of sgd, /(2 - 2 eta) of ald, and /2 at ald's temperature
   at the minimum. The order of the difference lies between those of neighbouring values, which go to 2 from above. */
static void test_orders(void **state)
{
  const double eta[3] = {0.05, 0.08, 0.13};
  double       slope[2], order, error;
  json_t      *root;

  (void)state;
  Runs("sweep %s -over training_learning_rate=0.05,0.08,0.13 -out %s -model_depth 1 -model_coordinates weights "
       "-data_label_noise 0.6 -training_weight_decay 0 -training_temperature 0 -processes sgd,ald,langevin "
       "-langevin_temperature matched -langevin_matched_to ald -engines generator,transfer -transfer_order 4 "
       "-mesh_lower -2 -mesh_upper 2.2 -mesh_cells 224 -observables stationary",
       InFolder("run.yaml"), InFolder("orders"));
  root = Load("orders");
  for (int k = 0; k < 2; k++) {
    double d[2];

    for (int l = 0; l < 2; l++) d[l] = eta[k + l] / (2 - 3 * eta[k + l]) - eta[k + l] / (2 - 2 * eta[k + l]);
    slope[k] = log(d[1] / d[0]) / log(eta[k + 1] / eta[k]);
  }
  order = Order(root, "differences", "ald", "variance_p", &error);
  print_message("  order %g +- %g of the difference, of neighbours %g and %g\n", order, error, slope[0], slope[1]);
  check(order > slope[0] && order < slope[1] && error > 0.01 && error < 0.2, "order %g +- %g", order, error);
  order = Order(root, "tables", "langevin", "variance_p", &error);
  check(fabs(order - 1) < 1e-6 && error < 0.03, "order %g +- %g, not 1", order, error);
  check(isnan(Order(root, "differences", "ald", "mean_p", &error)), "an order of zero");
  json_decref(root);
  root = Load("two");
  check(isnan(Order(root, "tables", "langevin", "multiplicity", &error)), "an order in two keys");
  json_decref(root);
}

/* Without walls a learning rate of 60 throws every particle to infinity. */
static void test_failure(void **state)
{
  json_t *root;
  int     code;

  (void)state;
  code = RunWords("sweep %s -over training_learning_rate=0.05,60,0.1 -observables stationary -processes sgd -out %s",
                  InFolder("run.yaml"), InFolder("failure"));
  check(code == 1, "exit code %d: %s", code, ReadText(InFolder("errors")));
  check(strstr(ReadText(InFolder("errors")), "1 of 3 points"), "%s", ReadText(InFolder("errors")));
  root = Load("failure");
  check(!strcmp(Status(root, 0), "done") && !strcmp(Status(root, 1), "failed") && !strcmp(Status(root, 2), "done"),
        "states %s, %s, %s", Status(root, 0), Status(root, 1), Status(root, 2));
  check(isnan(At(root, "loss", "value", 1)) && At(root, "loss", "value", 0) > 0 && At(root, "loss", "value", 2) > 0,
        "losses");
  check(json_string_length(json_object_get(json_array_get(json_object_get(root, "points"), 1), "reason")) > 20,
        "no reason");
  json_decref(root);
}

/* Processes whose command line names a file of this test. */
static int Children(const char *needle)
{
  DIR           *proc = opendir("/proc");
  struct dirent *entry;
  int            found = 0;

  while (proc && (entry = readdir(proc))) {
    char   path[300], text[2000];
    size_t n = 0;
    FILE  *f;

    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
    f = fopen(path, "r");
    if (f) n = fread(text, 1, sizeof(text) - 1, f);
    if (f) (void)fclose(f);
    for (size_t k = 0; k < n; k++)
      if (!text[k]) text[k] = ' ';
    text[n] = 0;
    found += strstr(text, needle) != NULL;
  }
  if (proc) (void)closedir(proc);
  return found;
}

static long long Written(const char *point)
{
  struct stat info;
  char        path[200];

  (void)snprintf(path, sizeof(path), "%s/killed/training_temperature=%s/results.json", folder, point);
  if (stat(path, &info)) return 0;
  return (long long)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

static PetscBool HasStarted(const char *point)
{
  char path[200];

  (void)snprintf(path, sizeof(path), "%s/killed/training_temperature=%s.log", folder, point);
  return access(path, F_OK) ? PETSC_FALSE : PETSC_TRUE;
}

static void test_kill(void **state)
{
  const char *const argv[] = {"dlnfp",
                              "sweep",
                              InFolder("run.yaml"),
                              "-over",
                              "training_temperature=0.01,0.02,0.03,0.04",
                              "-observables",
                              "stationary",
                              "-particles_steps",
                              "9000",
                              "-out",
                              InFolder("killed"),
                              NULL};
  pid_t             sweep;
  long long         first;
  json_t           *root;

  (void)state;
  must(setenv("OMP_NUM_THREADS", "1", 1));
  sweep = StartProgram(argv);
  for (int wait = 0; wait < 3000 && !HasStarted("0.02"); wait++) (void)usleep(10000);
  must(kill(sweep, SIGKILL));
  check(EndProgram(sweep) == 128 + SIGKILL, "the sweep ended before it was killed");
  first = Written("0.01");
  check(first, "no first point");
  check(!Written("0.04"), "nothing left to do");
  for (int wait = 0; wait < 500 && Children("killed/training"); wait++) (void)usleep(10000);
  check(Children("killed/training") == 0, "%d children live on", Children("killed/training"));
  check(!Written("0.02"), "a child went on to its end");
  check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
  check(Written("0.01") == first, "a finished point was run again");
  check(Written("0.04"), "the last point is missing");
  root = Load("killed");
  for (size_t p = 0; p < 4; p++) check(!strcmp(Status(root, p), "done"), "point %d is %s", (int)p, Status(root, p));
  json_decref(root);
}

/* Finished points of another run do not count. */
static void test_change(void **state)
{
  json_t *before, *after;

  (void)state;
  Runs("sweep %s -over model_depth=1,2 -out %s", InFolder("run.yaml"), InFolder("change"));
  before = Load("change");
  Runs("sweep %s -over model_depth=1,2 -out %s -data_second_moment 2.5", InFolder("run.yaml"), InFolder("change"));
  after = Load("change");
  check(At(before, "free_energy[T=0.5]", "value", 1) != At(after, "free_energy[T=0.5]", "value", 1), "old results");
  json_decref(before);
  json_decref(after);
}

static void test_refused(void **state)
{
  static const struct {
    const char *over, *word, *extra[3];
  } cases[] = {{"training_learning_rat=0.1,0.2", "training_learning_rate", {NULL}},
               {"model_depth=", "no values", {NULL}},
               {"model_depth=1,,2", "empty value", {NULL}},
               {"model_depth=1,2,1", "twice", {NULL}},
               {"model_depth", "KEY=a,b,c", {NULL}},
               {"model_depth=1,0", "model_depth", {NULL}},
               {"training_learning_rate=0.1,warm", "warm", {NULL}},
               {"model_depth=1,2", "swept over", {"-model_depth", "3"}},
               {"model_depth=1,2", "twice", {"-over", "model_depth=3,4"}}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const char *const argv[] = {"dlnfp",           "sweep", InFolder("run.yaml"), "-over",
                                cases[k].over,     "-out",  InFolder("refused"),  cases[k].extra[0],
                                cases[k].extra[1], NULL};

    Refused(argv, cases[k].word);
    check(access(InFolder("refused"), F_OK), "%s: something was written", cases[k].word);
  }
  Refused((const char *const[]){"dlnfp", "sweep", InFolder("run.yaml"), NULL}, "-over");
  Refused((const char *const[]){"dlnfp", "sweep", InFolder("none.yaml"), "-over", "model_depth=1", NULL}, "none.yaml");
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_key), cmocka_unit_test(test_two_keys),
                                     cmocka_unit_test(test_orders),  cmocka_unit_test(test_failure),
                                     cmocka_unit_test(test_kill),    cmocka_unit_test(test_change),
                                     cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  must(MakeFolder(NULL));
  WriteText(InFolder("run.yaml"), Text);
  failed = cmocka_run_group_tests(tests, NULL, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-run.c: a whole run. Bits do not depend on threads or repetition; the command line wins over the file; a killed run
   leaves the old results; disagreement is exit code 3; particles' numbers and step biases are those of the OU process,
   for which Euler's method of step h has exactly variance T/(a (1 - a h/2)) and decay rate -log(1 - a h)/h; errors
   shrink as one over the root of the number of particles. */
#include "program.h"
#include "quiet.h"
#include <math.h>
#include <signal.h>
#include <time.h>

#define DRIFT 1.7
#define TEMPERATURE 0.21
#define ETA 0.1
#define CENTER 0.3

static const char Text[] = "model: {type: ou, drift: [1.7], diffusion: [0.1], center: [0.3]}\n"
                           "training: {learning_rate: 0.1, batch_size: 2}\n"
                           "processes: [langevin, sgd]\n"
                           "langevin: {temperature: 0.21, dt: 0.1}\n"
                           "engines: [particles]\n"
                           "particles: {count: 8192, steps: 300, burn_in: 60, seed: 3, threads: 1}\n"
                           "observables: [spectrum, stationary]\n"
                           "spectrum: {pairs: 2, lag: 0.4}\n";

/* Run the text with options "key value ..." through the library, quietly; the results belong to the caller. */
static json_t *Run(const char *text, int words, char *option[])
{
  FPConfig config;
  PetscInt disagreements;

  WriteText(InFolder("run.yaml"), text);
  must(FPConfigCreate(&config));
  must(FPConfigLoad(config, InFolder("run.yaml")));
  must(FPConfigOverride(config, words, option));
  must(QuietRun(config, InFolder("library"), &disagreements));
  must(FPConfigDestroy(&config));
  return LoadResults(InFolder("library"));
}

/* Everything that was computed, as text: numbers are written so that equal texts are equal bits. */
static char *Numbers(const json_t *root)
{
  json_t *part = json_pack("{s:O, s:O, s:O}", "results", json_object_get(root, "results"), "crosscheck",
                           json_object_get(root, "crosscheck"), "comparison", json_object_get(root, "comparison"));
  char   *text;

  assert_non_null(part);
  text = json_dumps(part, JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
  json_decref(part);
  return text;
}

static void test_bits(void **state)
{
  char   *threads[] = {"-particles_threads", "2"}, *seed[] = {"-particles_seed", "4"};
  json_t *first = Run(Text, 0, NULL), *again = Run(Text, 0, NULL), *two = Run(Text, 2, threads);
  json_t *other = Run(Text, 2, seed);
  char   *a = Numbers(first), *b = Numbers(again), *c = Numbers(two), *d = Numbers(other);

  (void)state;
  check(!strcmp(a, b), "a repeated run gives other numbers");
  check(!strcmp(a, c), "two threads give other numbers than one");
  check(strcmp(a, d), "another seed gives the same numbers");
  json_decref(first);
  json_decref(again);
  json_decref(two);
  json_decref(other);
  free(a);
  free(b);
  free(c);
  free(d);
}

static void test_override(void **state)
{
  char   *option[] = {"-langevin_temperature", "0.4", "-observables", "stationary"};
  char    text[sizeof(Text) + 64], *at;
  json_t *command, *file;
  char   *a, *b;

  (void)state;
  memcpy(text, Text, sizeof(Text));
  at = strstr(text, "0.21");
  memcpy(at, "0.40", 4);
  at = strstr(text, "[spectrum, stationary]");
  memcpy(at, "[stationary]          ", 22);
  command = Run(Text, 4, option);
  file    = Run(text, 0, NULL);
  a       = Numbers(command);
  b       = Numbers(file);
  check(!strcmp(a, b), "a key on the command line differs from the same key in the file");
  check(json_number_value(json_object_get(json_object_get(command, "run"), "langevin_temperature")) == 0.4,
        "the override is not recorded");
  json_decref(command);
  json_decref(file);
  free(a);
  free(b);
}

/* value = truth within 4 standard errors, and the error is no more than `useful` of the truth. */
static void Near(const json_t *root, const char *process, const char *quantity, double truth, double useful)
{
  double       error;
  const double value = Value(root, process, NULL, NULL, quantity, &error);

  check(fabs(value - truth) < 4 * error && error > 0 && error < useful * fabs(truth),
        "%s %s: %.6g +- %.2g, exactly %.6g", process, quantity, value, error, truth);
}

static double EulerVariance(double h)
{
  return TEMPERATURE / (DRIFT * (1 - DRIFT * h / 2));
}

static double EulerRate(double h)
{
  return -log(1 - DRIFT * h) / h;
}

/* sgd: eta C/(2 B) = D of the run file, and its own chain is Euler's of step eta, to be reported as it is. */
static void test_exact(void **state)
{
  const double sgd  = 0.1 / (DRIFT * (1 - DRIFT * ETA / 2));
  json_t      *root = Run(Text, 0, NULL);
  double       value, error;

  (void)state;
  Near(root, "langevin", "covariance[0][0]", TEMPERATURE / DRIFT, 0.01);
  Near(root, "langevin", "step_bias[covariance[0][0]]", EulerVariance(0.1) - EulerVariance(0.05), 0.2);
  Near(root, "langevin", "mean[0]", CENTER, 0.01);
  Near(root, "langevin", "decay_rate[1]", DRIFT, 0.02);
  Near(root, "langevin", "decay_rate[2]", 2 * DRIFT, 0.04);
  Near(root, "langevin", "gap", DRIFT, 0.02);
  Near(root, "langevin", "step_bias[decay_rate[1]]", EulerRate(0.1) - EulerRate(0.05), 0.3);
  Near(root, "sgd", "covariance[0][0]", sgd, 0.01);
  Near(root, "sgd", "decay_rate[1]", EulerRate(ETA), 0.02);
  value = Value(root, "sgd", NULL, NULL, "covariance[0][0]", &error);
  check(fabs(value - 0.1 / DRIFT) > 8 * error, "sgd's own step error should show");
  json_decref(root);
}

/* sgd, whose errors are sampling errors alone */
static void test_scaling(void **state)
{
  static const char *const names[] = {"mean[0]", "covariance[0][0]", "decay_rate[1]", "decay_rate[2]"};
  char                    *few[] = {"-particles_count", "4096"}, *many[] = {"-particles_count", "65536"};
  json_t                  *a = Run(Text, 2, few), *b = Run(Text, 2, many);
  double                   log_ratio = 0;

  (void)state;
  for (size_t k = 0; k < 4; k++) {
    double coarse, fine;

    (void)Value(a, "sgd", NULL, NULL, names[k], &coarse);
    (void)Value(b, "sgd", NULL, NULL, names[k], &fine);
    check(coarse / fine > 2.3 && coarse / fine < 6.5, "%s: errors %g and %g", names[k], coarse, fine);
    log_ratio += log(coarse / fine) / 4;
  }
  check(exp(log_ratio) > 3.2 && exp(log_ratio) < 5, "16 times the particles shrink errors %g times, not 4",
        exp(log_ratio));
  json_decref(a);
  json_decref(b);
}

static void test_exit_codes(void **state)
{
  int code;

  (void)state;
  WriteText(InFolder("run.yaml"), Text);
  code = RunWords("run %s -out %s", InFolder("run.yaml"), InFolder("codes"));
  check(code == 0, "exit code %d of a run that is in order", code);
  code = RunWords("run %s -out %s -crosscheck_threshold 1e-6 -engines generator,particles -mesh_lower -2 -mesh_upper "
                  "2.5 -mesh_cells 64",
                  InFolder("run.yaml"), InFolder("codes"));
  check(code == 3, "exit code %d with a threshold of a millionth", code);
}

/* A barrier of ten temperatures, so no particle passes it: the rate that is measured, 0, is not known to better than
   one event in all the time simulated. */
static void test_rare(void **state)
{
  static const char Rare[] = "data: {type: gaussian, teacher: 1.3, label_noise: 0.4}\n"
                             "model: {type: chain, depth: 2}\n"
                             "training: {learning_rate: 0.05, batch_size: 2, weight_decay: 0.1, temperature: 0.05}\n"
                             "processes: [langevin]\n"
                             "mesh: {lower: [-2.5, -2.5], upper: [2.5, 2.5], cells: [40, 40]}\n"
                             "engines: [particles]\n"
                             "particles: {count: 512, steps: 400, burn_in: 100, seed: 3, threads: 1}\n"
                             "observables: [spectrum]\n";
  const double      event  = 1 / (512 * 400 * 0.05);
  double            value, error;
  char             *known[] = {"-engines", "generator,particles", "-particles_count", "4096"};
  json_t           *root    = Run(Rare, 0, NULL);

  (void)state;
  value = Value(root, "langevin", NULL, NULL, "gap", &error);
  check(fabs(value) < 10 * event && error >= event, "gap %g, error %g, one event %g", value, error, event);
  json_decref(root);
  root  = Run(Rare, 4, known); /* the generator's mode is flat in the wells, so that nothing but transitions counts */
  value = Value(root, "langevin", "particles", NULL, "gap", &error);
  check(fabs(value) < 0.01 * event && error >= event / 4 && error < event, "gap %g, error %g, one event %g", value,
        error, event / 4);
  json_decref(root);
}

/* So cold that no rate leads from well to well: generator and particles stay in one of two equal wells, and both say
   that this is log 2 away from the Gibbs law. */
static void test_one_well(void **state)
{
  static const char Cold[] = "data: {type: gaussian, teacher: 1.3, label_noise: 0.4}\n"
                             "model: {type: chain, depth: 2}\n"
                             "training: {learning_rate: 0.05, batch_size: 2, weight_decay: 0.1}\n"
                             "processes: [langevin]\n"
                             "langevin: {temperature: 0.001}\n"
                             "mesh: {lower: [-2.1, -2.1], upper: [2.1, 2.1], cells: [96, 96]}\n"
                             "particles: {count: 512, steps: 100, burn_in: 20, seed: 3, threads: 1}\n"
                             "observables: [stationary]\n";
  json_t           *root   = Run(Cold, 0, NULL), *row;
  double            value, error;
  size_t            i;

  (void)state;
  value = Value(root, "langevin", NULL, NULL, "closed_classes", &error);
  check(value == 2, "%g closed classes", value);
  json_array_foreach(json_object_get(root, "results"), i, row)
  {
    if (strcmp(json_string_value(json_object_get(row, "quantity")), "kl_gibbs_binned")) continue;
    value = json_number_value(json_object_get(row, "value"));
    check(fabs(value - log(2)) < 0.1, "%s: KL %g", json_string_value(json_object_get(row, "engine")), value);
  }
  json_decref(root);
}

/* With teacher 0 the square's symmetry makes rates double, which SLEPc's two-sided solver stumbles over at first. */
static void test_double_rates(void **state)
{
  static const char Zero[] = "data: {type: gaussian, teacher: 0, label_noise: 0.5}\n"
                             "model: {type: chain, depth: 2}\n"
                             "training: {learning_rate: 0.1, batch_size: 2, weight_decay: 0.05, temperature: 0.03}\n"
                             "processes: [ald]\n"
                             "mesh: {lower: [-2.5, -2.5], upper: [2.5, 2.5], cells: [48, 48]}\n"
                             "engines: [generator]\n"
                             "observables: [spectrum]\n";
  double            first, second, error;
  json_t           *root = Run(Zero, 0, NULL);

  (void)state;
  first  = Value(root, "ald", NULL, NULL, "decay_rate[1]", &error);
  second = Value(root, "ald", NULL, NULL, "decay_rate[2]", &error);
  check(first > 0.01 && fabs(first - second) < error + 1e-9, "rates %.9g, %.9g +- %g", first, second, error);
  json_decref(root);
}

/* Long enough to be alive after a second; killed, it must leave what was there. */
static void test_killed(void **state)
{
  const char *const quick[] = {"dlnfp", "run", InFolder("run.yaml"), "-out", InFolder("killed"), NULL};
  const char *const slow[]  = {"dlnfp", "run", quick[2], "-out", quick[4], "-particles_steps", "2000000", NULL};
  char             *before, *after;
  json_t           *root;
  pid_t             pid;

  (void)state;
  WriteText(quick[2], Text);
  assert_int_equal(RunProgram(quick), 0);
  root   = LoadResults(InFolder("killed"));
  before = Numbers(root);
  json_decref(root);
  pid = StartProgram(slow);
  (void)nanosleep(&(struct timespec){.tv_nsec = 700000000}, NULL);
  assert_int_equal(kill(pid, SIGKILL), 0);
  check(EndProgram(pid) == 128 + SIGKILL, "the run was over before it was killed");
  root  = LoadResults(InFolder("killed")); /* not broken */
  after = Numbers(root);
  check(!strcmp(before, after), "a killed run changed the results");
  json_decref(root);
  free(before);
  free(after);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bits),         cmocka_unit_test(test_override), cmocka_unit_test(test_exact),
      cmocka_unit_test(test_scaling),      cmocka_unit_test(test_rare),     cmocka_unit_test(test_one_well),
      cmocka_unit_test(test_double_rates), cmocka_unit_test(test_killed),   cmocka_unit_test(test_exit_codes)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

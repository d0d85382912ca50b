/* t-results.c: what results.json, results.h5 and results.xdmf hold when read back, and when they are written at all. */
#include "test.h"
#include "fpresults.h"
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64]; /* of this test program, removed at the end */

static void Path(const char name[], char path[256])
{
  (void)snprintf(path, 256, "%s/%s", folder, name);
}

static json_t *Load(const char name[])
{
  char         path[256];
  json_error_t error;
  json_t      *root;

  Path(name, path);
  root = json_load_file(path, 0, &error);
  check(root, "%s: %s", path, error.text);
  return root;
}

/* Text of a file (malloc'ed, closed by a zero), NULL if it is not there. */
static char *Slurp(const char name[], size_t *size)
{
  char  path[256], *text;
  FILE *in;

  Path(name, path);
  in = fopen(path, "rb");
  if (!in) return NULL;
  (void)fseek(in, 0, SEEK_END);
  *size = (size_t)ftell(in);
  rewind(in);
  text = malloc(*size + 1);
  check(fread(text, 1, *size, in) == *size, "short read of %s", path);
  text[*size] = 0;
  (void)fclose(in);
  return text;
}

/* Two engines of ald with z = 3/5 and 0 and an undefined one, one model beside sgd. */
static void Fill(FPResults r)
{
  must(FPResultsSetRun(r, json_pack("{sfsi}", "training_learning_rate", 0.1, "particles_seed", 7)));
  must(FPResultsAdd(r, "ald", "generator", "spectrum", "gap", 0.1 + 0.2, 0.04, FP_BOUND, "1/time"));
  must(FPResultsAdd(r, "ald", "particles", "spectrum", "gap", 0.27, 0.03, FP_STANDARD, "1/time"));
  must(FPResultsAdd(r, "ald", "generator", "stationary", "mean[0]", 1.5, 0.0, FP_BOUND, "w"));
  must(FPResultsAdd(r, "ald", "particles", "stationary", "mean[0]", 1.5, 0.0, FP_STANDARD, "w"));
  must(FPResultsAdd(r, "ald", "generator", "stationary", "mean[1]", 1.5, 0.0, FP_BOUND, "w"));
  must(FPResultsAdd(r, "ald", "particles", "stationary", "mean[1]", 1.25, 0.0, FP_STANDARD, "w"));
  must(FPResultsAdd(r, "ald", "generator", "stationary", "loss", NAN, 0.1, FP_BOUND, ""));
  must(FPResultsAdd(r, "ald", "particles", "stationary", "loss", 2.0, INFINITY, FP_STANDARD, ""));
  must(FPResultsAddStatus(r, "ald", "generator", "stationary", "kl_gibbs", "singular", "D has rank 1"));
  must(FPResultsAdd(r, "sgd", "particles", "spectrum", "gap", 0.21, 0.03, FP_STANDARD, "1/time"));
  must(FPResultsTiming(r, "solve", 0.25));
  must(FPResultsTiming(r, "solve", 0.5));
}

static void Create(const char name[], FPResults *r)
{
  char path[256];

  Path(name, path);
  must(FPResultsCreate(path, r));
}

static const json_t *Find(const json_t *array, const char key[], const char value[], const char quantity[])
{
  size_t  i;
  json_t *entry;

  json_array_foreach(array, i, entry)
  {
    const char *a = json_string_value(json_object_get(entry, key)),
               *b = json_string_value(json_object_get(entry, "quantity"));

    if (a && b && !strcmp(a, value) && !strcmp(b, quantity)) return entry;
  }
  fail_msg("no %s with %s = %s", quantity, key, value);
  return NULL;
}

static double Number(const json_t *object, const char key[])
{
  const json_t *value = json_object_get(object, key);

  check(json_is_number(value), "%s is not a number", key);
  return json_number_value(value);
}

/* Every number comes back with all its bits, every missing one with a reason. */
static void test_json(void **state)
{
  FPResults     r;
  PetscInt      disagreements;
  PetscReal     value, error;
  PetscBool     found;
  json_t       *root;
  const json_t *rows, *row;

  (void)state;
  Create("json/deep/er", &r);
  Fill(r);
  must(FPResultsWarn(r, "wall mass %g", 0.01));
  must(FPResultsWarn(r, "wall mass %g", 0.01));
  must(FPResultsGet(r, "ald", "generator", "spectrum", "gap", &value, &error, &found));
  check(found && value == 0.1 + 0.2 && error == 0.04, "got %.17g +- %g", value, error);
  must(FPResultsGet(r, "ald", "generator", "stationary", "kl_gibbs", &value, &error, &found));
  check(!found, "a status is no value");
  must(FPResultsCrossCheck(r, "sgd", 5.0, &disagreements));
  must(FPResultsWrite(r));
  must(FPResultsDestroy(&r));
  root = Load("json/deep/er/results.json");
  rows = json_object_get(root, "results");
  check(json_integer_value(json_object_get(root, "schema")) == 1, "schema");
  check(!strcmp(json_string_value(json_object_get(root, "version")), FP_VERSION), "version");
  check(Number(json_object_get(root, "run"), "training_learning_rate") == 0.1, "run is not recorded");
  check(json_array_size(rows) == 10, "%zu rows", json_array_size(rows));
  row = Find(rows, "engine", "generator", "gap");
  check(Number(row, "value") == 0.1 + 0.2 && Number(row, "error") == 0.04, "bits of gap are lost");
  check(!strcmp(json_string_value(json_object_get(row, "error_kind")), "bound"), "error_kind");
  check(!strcmp(json_string_value(json_object_get(row, "unit")), "1/time"), "unit");
  for (int i = 0; i < 2; i++) {
    row = Find(rows, "engine", i ? "particles" : "generator", "loss");
    check(!strcmp(json_string_value(json_object_get(row, "status")), "undefined"), "status of a non-finite number");
    check(json_object_get(row, "reason") && !json_object_get(row, "value"), "reason of a non-finite number");
  }
  row = Find(rows, "engine", "generator", "kl_gibbs");
  check(!strcmp(json_string_value(json_object_get(row, "reason")), "D has rank 1"), "reason");
  check(Number(json_object_get(root, "timing"), "solve") == 0.75, "timings add up");
  check(Number(root, "memory_mib") > 1.0, "memory");
  check(json_array_size(json_object_get(root, "warnings")) == 1, "a repeated warning is kept once");
  json_decref(root);
}

static void test_crosscheck(void **state)
{
  FPResults     r;
  PetscInt      disagreements;
  json_t       *root;
  const json_t *pairs, *pair;

  (void)state;
  Create("crosscheck", &r);
  Fill(r);
  must(FPResultsCrossCheck(r, "sgd", 0.5, &disagreements));
  check(disagreements == 2, "%" PetscInt_FMT " beyond half a standard error, not 2", disagreements);
  must(FPResultsCrossCheck(r, "sgd", 5.0, &disagreements));
  check(disagreements == 1, "%" PetscInt_FMT " beyond five standard errors, not 1", disagreements);
  must(FPResultsWrite(r));
  must(FPResultsDestroy(&r));
  root  = Load("crosscheck/results.json");
  pairs = json_object_get(root, "crosscheck");
  check(json_array_size(pairs) == 3, "%zu pairs: rows without a value have none", json_array_size(pairs));
  pair = Find(pairs, "observable", "spectrum", "gap");
  check(fabs(Number(pair, "z") - 0.6) < 1e-12, "z = 0.03/0.05 is 0.6, not %g", Number(pair, "z"));
  check(fabs(Number(pair, "error") - 0.05) < 1e-15, "error sqrt(0.04^2 + 0.03^2) is 0.05");
  check(!strcmp(json_string_value(json_array_get(json_object_get(pair, "engines"), 1)), "particles"), "engines");
  pair = Find(pairs, "observable", "stationary", "mean[0]");
  check(Number(pair, "z") == 0.0 && json_is_true(json_object_get(pair, "agree")), "0/0 is agreement");
  pair = Find(pairs, "observable", "stationary", "mean[1]");
  check(json_is_null(json_object_get(pair, "z")) && json_is_false(json_object_get(pair, "agree")), "0.25/0 is not");
  check(json_array_size(json_object_get(root, "comparison")) == 1, "comparisons");
  pair = Find(json_object_get(root, "comparison"), "process", "ald", "gap");
  /* the sharper engine of ald, particles: (0.27 - 0.21)/(0.03 sqrt 2) */
  check(fabs(Number(pair, "z") - sqrt(2.0)) < 1e-12, "z against sgd is sqrt 2, not %g", Number(pair, "z"));
  check(!strcmp(json_string_value(json_object_get(pair, "reference")), "sgd"), "reference");
  json_decref(root);
}

static void Attribute(hid_t object, const char name[], int n, const char *expected[])
{
  char *text[4]   = {NULL, NULL, NULL, NULL};
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type;

  check(attribute >= 0, "no attribute %s", name);
  type = H5Aget_type(attribute);
  check(H5Aread(attribute, type, text) >= 0, "attribute %s cannot be read", name);
  for (int i = 0; i < n; i++) {
    check(!strcmp(text[i], expected[i]), "%s is %s, not %s", name, text[i], expected[i]);
    check(H5free_memory(text[i]) >= 0, "free");
  }
  (void)H5Tclose(type);
  (void)H5Aclose(attribute);
}

/* A 2-D density, a current with a component index and a 1-D spectrum: shapes, values and attributes. */
static void test_hdf5(void **state)
{
  const PetscInt density[] = {2, 3}, current[] = {2, 2, 3}, list[] = {4};
  const double   x[] = {-1.0, 0.25, 2.0}, y[] = {0.5, 1.75};
  double         data[12], back[12];
  const char    *names[] = {"component", "/grid/ald/w2", "/grid/ald/w1"};
  const char    *unit[] = {"1/w^2"}, *version[] = {FP_VERSION}, *title[] = {"stationary density ρ(w)"};
  const char    *run[] = {"{\"depth\":2}"};
  hsize_t        size[3];
  hid_t          file, set, space;
  FPResults      r;
  char           path[256], *xdmf;
  size_t         length;

  (void)state;
  for (int i = 0; i < 12; i++) data[i] = sqrt((double)i) - 1.0;
  Create("fields", &r);
  must(FPResultsSetRun(r, json_pack("{si}", "depth", 2)));
  must(FPResultsField(r, "ald", "generator", "density", 2, density, data, title[0], unit[0]));
  must(FPResultsField(r, "ald", "generator", "current", 3, current, data, "probability current", "1/(w time)"));
  must(FPResultsField(r, "ald", "generator", "decay_rate", 1, list, data, "decay rates", "1/time"));
  must(FPResultsAxis(r, "ald", 0, "w1", 3, x, "w"));
  must(FPResultsAxis(r, "ald", 1, "w2", 2, y, "w"));
  must(FPResultsAxis(r, "ald", 1, "w2", 2, y, "w")); /* the same again is welcome */
  must(FPResultsWrite(r));
  must(FPResultsWrite(r)); /* over the first */
  must(FPResultsDestroy(&r));
  Path("fields/results.h5", path);
  file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  check(file >= 0, "%s cannot be opened", path);
  Attribute(file, "version", 1, version);
  Attribute(file, "run", 1, run);
  set   = H5Dopen2(file, "/ald/generator/current", H5P_DEFAULT);
  space = H5Dget_space(set);
  check(H5Sget_simple_extent_dims(space, size, NULL) == 3 && size[0] == 2 && size[1] == 2 && size[2] == 3, "shape");
  check(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0, "read");
  check(!memcmp(back, data, sizeof(data)), "values");
  Attribute(set, "axes", 3, names);
  (void)H5Sclose(space);
  (void)H5Dclose(set);
  set = H5Dopen2(file, "/ald/generator/density", H5P_DEFAULT);
  Attribute(set, "axes", 2, names + 1);
  Attribute(set, "unit", 1, unit);
  Attribute(set, "long_name", 1, title);
  (void)H5Dclose(set);
  set = H5Dopen2(file, "/grid/ald/w2", H5P_DEFAULT);
  check(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0 && back[1] == 1.75, "axis w2");
  (void)H5Dclose(set);
  (void)H5Fclose(file);
  xdmf = Slurp("fields/results.xdmf", &length);
  check(xdmf && strstr(xdmf, "Name=\"density\"") && strstr(xdmf, "Name=\"current[1]\""), "fields in results.xdmf");
  check(!strstr(xdmf, "decay_rate"), "a list of rates is no field on the grid");
  free(xdmf);
}

/* Grids that all processes share: bins for what is binned, though the cells have the same shape; corners by shape. */
static void test_shared_grids(void **state)
{
  const PetscInt shape[] = {2, 2}, corners[] = {3, 3}, none[] = {5, 7};
  const double   data[35] = {0};
  const char    *grid[] = {"cells", "bins", "corners"}, *coordinate[] = {"w1", "w2"};
  const char    *expected[3][2];
  char           path[256], name[3][2][64];
  FPResults      r;
  hid_t          file;

  (void)state;
  Create("shared", &r);
  for (int g = 0; g < 3; g++) {
    for (int k = 0; k < 2; k++) {
      must(FPResultsAxis(r, grid[g], k, coordinate[k], g == 2 ? 3 : 2, data, "w"));
      (void)snprintf(name[g][k], sizeof(name[g][k]), "/grid/%s/%s", grid[g], coordinate[1 - k]);
      expected[g][k] = name[g][k];
    }
  }
  must(FPResultsField(r, "ald", "generator", "density", 2, shape, data, "density", "1"));
  must(FPResultsField(r, "ald", "particles", "density", 2, shape, data, "density", "1"));
  must(FPResultsField(r, "ald", "generator", "curl", 2, corners, data, "curl", "1"));
  must(FPResultsField(r, "ald", "generator", "matrix", 2, none, data, "on no grid", "1"));
  must(FPResultsWrite(r));
  must(FPResultsDestroy(&r));
  Path("shared/results.h5", path);
  file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  for (int g = 0; g < 3; g++) {
    static const char *const field[] = {"/ald/generator/density", "/ald/particles/density", "/ald/generator/curl"};
    hid_t                    set     = H5Dopen2(file, field[g], H5P_DEFAULT);

    Attribute(set, "axes", 2, expected[g]);
    (void)H5Dclose(set);
  }
  (void)H5Fclose(file);
}

/* A full disk (a limit on the size of files, which also binds root): the old files stay, no scrap is left. */
static void test_old_files_stay(void **state)
{
  const PetscInt shape[] = {8192};
  double        *data    = calloc(8192, sizeof(*data));
  FPResults      r;
  struct rlimit  limit, small = {65536, 0};
  char          *before, *after, command[320];
  size_t         size_before, size_after;
  PetscErrorCode ierr;

  (void)state;
  check(getrlimit(RLIMIT_FSIZE, &limit) == 0, "getrlimit");
  small.rlim_max = limit.rlim_max;
  Create("full", &r);
  Fill(r);
  must(FPResultsWrite(r));
  must(FPResultsDestroy(&r));
  before = Slurp("full/results.json", &size_before);
  Create("full", &r);
  must(FPResultsField(r, "ald", "generator", "large", 1, shape, data, "64 KiB and its frame", "1"));
  (void)signal(SIGXFSZ, SIG_IGN);
  check(setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
  must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  ierr = FPResultsWrite(r);
  must(PetscPopErrorHandler());
  check(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
  check(ierr == PETSC_ERR_FILE_WRITE, "error code %d", ierr);
  must(FPResultsDestroy(&r));
  after = Slurp("full/results.json", &size_after);
  check(before && after && size_before == size_after && !memcmp(before, after, size_before), "results.json changed");
  (void)snprintf(command, sizeof(command), "test $(ls -A %s/full | wc -l) = 3", folder);
  check(system(command) == 0, "scraps are left in %s/full", folder);
  free(before);
  free(after);
  free(data);
}

/* Impossible output folders are the user's error, found at once. */
static void test_folder(void **state)
{
  char        path[256];
  FILE       *out;
  FPResults   r;
  struct stat info;
  const char *bad[] = {"occupied", "occupied/below"};

  (void)state;
  Path("occupied", path);
  out = fopen(path, "w");
  check(out && !fclose(out), "cannot make %s", path);
  must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  for (int i = 0; i < 2; i++) {
    Path(bad[i], path);
    check(FPResultsCreate(path, &r) == PETSC_ERR_USER_INPUT && !r, "%s was accepted", path);
  }
  check(FPResultsCreate("/proc/dlnfp/out", &r) == PETSC_ERR_USER_INPUT, "/proc was accepted");
  check(FPResultsCreate("", &r) == PETSC_ERR_USER_INPUT, "an empty path was accepted");
  must(PetscPopErrorHandler());
  Create("unused", &r);
  must(FPResultsDestroy(&r));
  Path("unused", path);
  check(stat(path, &info) != 0, "an empty folder is left of a run that wrote nothing");
}

static void test_twice(void **state)
{
  const PetscInt shape[] = {1};
  const double   one = 1.0, two = 2.0;
  FPResults      r;

  (void)state;
  Create("twice", &r);
  Fill(r);
  must(FPResultsField(r, "ald", "generator", "f", 1, shape, &one, "f", "1"));
  must(FPResultsAxis(r, "ald", 0, "w", 1, &one, "w"));
  must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  check(FPResultsAdd(r, "ald", "generator", "spectrum", "gap", 1, 0, FP_BOUND, "") == PETSC_ERR_PLIB, "row twice");
  check(FPResultsField(r, "ald", "generator", "f", 1, shape, &one, "f", "1") == PETSC_ERR_PLIB, "field twice");
  check(FPResultsAxis(r, "ald", 0, "w", 1, &two, "w") == PETSC_ERR_PLIB, "another axis of the same name");
  check(FPResultsAdd(r, "a", "b", "c", "d", 1, -1.0, FP_BOUND, "") == PETSC_ERR_ARG_OUTOFRANGE, "negative error");
  must(PetscPopErrorHandler());
  must(FPResultsDestroy(&r));
}

/* The tables: digits that the error allows, reasons, disagreements, long lists cut; no escape codes in a file. */
static void test_view(void **state)
{
  FPResults r;
  PetscInt  disagreements;
  char     *text = NULL, name[32];
  size_t    size;
  FILE     *out = open_memstream(&text, &size);

  (void)state;
  Create("view", &r);
  Fill(r);
  must(FPResultsAdd(r, "sgd", "transfer", "spectrum", "gap", 8.515387123456e-4, 1.23e-9, FP_BOUND, "1/time"));
  for (int i = 0; i < 64; i++) {
    (void)snprintf(name, sizeof(name), "covariance[%d][%d]", i / 8, i % 8);
    must(FPResultsAdd(r, "sgd", "particles", "stationary", name, sin(i), 0.0123, FP_STANDARD, "w^2"));
  }
  must(FPResultsCrossCheck(r, "sgd", 5.0, &disagreements));
  must(FPResultsView(r, out));
  (void)fclose(out);
  must(FPResultsDestroy(&r));
  check(strstr(text, "8.515387e-04 ± 1.2e-09 (bound)"), "digits of a small number:\n%s", text);
  check(strstr(text, "0.841 ± 1.2e-02 (std)"), "digits of sin 1:\n%s", text);
  check(strstr(text, "kl_gibbs (generator): singular: D has rank 1"), "reason:\n%s", text);
  check(strstr(text, "DISAGREE") && strstr(text, "Against sgd"), "tables:\n%s", text);
  check(strstr(text, "... 56 more covariance[...]"), "long list:\n%s", text);
  check(!strchr(text, '\033'), "escape codes in a file");
  free(text);
}

static void test_progress(void **state)
{
  (void)state;
  FPProgressUpdate(1.0); /* without a phase: nothing */
  FPProgressBegin("test phase", 10.0);
  for (int i = 0; i <= 10; i++) FPProgressUpdate((double)i);
  FPProgressEnd();
  FPProgressEnd();
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_json),           cmocka_unit_test(test_shared_grids), cmocka_unit_test(test_crosscheck),
      cmocka_unit_test(test_hdf5),           cmocka_unit_test(test_folder),       cmocka_unit_test(test_twice),
      cmocka_unit_test(test_old_files_stay), cmocka_unit_test(test_view),         cmocka_unit_test(test_progress),
  };
  char command[128];
  int  failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  (void)snprintf(folder, sizeof(folder), "/tmp/t-results-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
  if (system(command)) failed++;
  if (SlepcFinalize()) failed++;
  return failed;
}

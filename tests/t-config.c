/* t-config.c: run files and command lines, what is read from them and what is said about mistakes in them. */
#include "message.h"
#include "fpconfig.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  PetscReal temperature, mu;
  PetscInt  count;
  PetscBool verify;
  char      path[FP_TEXT], scale[FP_TEXT], type[FP_TEXT];
  FPReals   lower;
  FPInts    cells;
  FPStrings faces;
} Things;

static const FPParameter Table[] = {
    {"temperature", FP_REAL, offsetof(Things, temperature), "0.1", 0, PETSC_MAX_REAL, NULL, "w^2/time", "T"},
    {"mu", FP_REAL, offsetof(Things, mu), NULL, FP_POSITIVE, 1, NULL, "1", "momentum"},
    {"count", FP_INT, offsetof(Things, count), "7", FP_POSITIVE, PETSC_MAX_INT, NULL, "1", "how many"},
    {"verify", FP_BOOL, offsetof(Things, verify), "no", 0, 0, NULL, "", "check"},
    {"path", FP_STRING, offsetof(Things, path), NULL, 0, 0, NULL, "", "a file"},
    {"scale", FP_STRING, offsetof(Things, scale), "gradient_noise", 0, 0, NULL, "", "number or word"},
    {"type", FP_CHOICE, offsetof(Things, type), "chain", 0, 0, "chain diagonal ou ", "", "what it is"},
    {"lower", FP_REALS, offsetof(Things, lower), NULL, 0, 0, NULL, "w", "corner"},
    {"cells", FP_INTS, offsetof(Things, cells), "64,48", 4, 100, NULL, "1", "cells"},
    {"faces", FP_STRINGS, offsetof(Things, faces), "reflecting", 0, 0, "reflecting absorbing", "", "walls"},
    {.name = NULL}};

static char directory[] = "/tmp/t-config-XXXXXX", file[64];

static void Write(const char text[])
{
  FILE *stream = fopen(file, "wb");

  assert_non_null(stream);
  assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
  assert_int_equal(fclose(stream), 0);
}

/* All of it: load the text, override, read section x, look for unknown keys. */
static PetscErrorCode Read(const char text[], int argc, char *argv[], FPConfig *config, Things *things)
{
  Write(text);
  PetscFunctionBegin;
  PetscCall(FPConfigCreate(config));
  PetscCall(FPConfigLoad(*config, file));
  PetscCall(FPConfigOverride(*config, argc, argv));
  PetscCall(FPConfigAllowSolver(*config, "x"));
  PetscCall(FPConfigRead(*config, "x", Table, things));
  PetscCall(FPConfigCheckUnknown(*config));
  PetscFunctionReturn(0);
}

static void Done(FPConfig *config, Things *things)
{
  must(FPConfigFree(Table, things));
  must(FPConfigDestroy(config));
}

static void test_defaults(void **state)
{
  FPConfig  config;
  Things    things;
  PetscBool has;

  (void)state;
  check(Read("x:\nother: ~\n", 0, NULL, &config, &things) == PETSC_ERR_USER_INPUT, "other is unknown");
  Done(&config, &things);
  must(Read("x:\n", 0, NULL, &config, &things)); /* a section with nothing in it */
  check(things.temperature == 0.1 && things.count == 7 && !things.verify, "scalars");
  check(PetscIsNanReal(things.mu) && !things.path[0] && things.lower.n == 0, "no default");
  assert_string_equal(things.type, "chain");
  check(things.cells.n == 2 && things.cells.value[0] == 64 && things.cells.value[1] == 48, "ints");
  check(things.faces.n == 1 && !strcmp(things.faces.value[0], "reflecting"), "strings");
  must(FPConfigHas(config, "x_mu", &has));
  check(!has, "x_mu was not given");
  must(FPConfigHas(config, "x", &has));
  check(!has, "x is empty");
  Done(&config, &things);
}

static void test_values(void **state)
{
  FPConfig  config;
  Things    things;
  PetscBool has;

  (void)state;
  must(Read("x_mu: 1.0\nx: {temperature: 2.5e-3, count: 1e6, verify: Yes, path: \"a, b.csv\", scale: 0.25, type: ou,\n"
            "  lower: [-1.5, .5, +2],\n  cells: [5],\n  faces: [absorbing, reflecting]}\n",
            0, NULL, &config, &things));
  check(things.temperature == 2.5e-3 && things.mu == 1 && things.count == 1000000 && things.verify, "scalars");
  assert_string_equal(things.path, "a, b.csv");
  assert_string_equal(things.scale, "0.25");
  check(things.lower.n == 3 && things.lower.value[0] == -1.5 && things.lower.value[2] == 2, "reals");
  check(things.cells.n == 1 && things.cells.value[0] == 5, "ints");
  check(things.faces.n == 2 && !strcmp(things.faces.value[1], "reflecting"), "strings");
  must(FPConfigHas(config, "x", &has));
  check(has, "x has keys");
  Done(&config, &things);
  must(Read("x: {lower: [], cells: 8}\n", 0, NULL, &config, &things)); /* an empty list; one number as a list */
  check(things.lower.n == 0 && things.cells.n == 1 && things.cells.value[0] == 8, "short lists");
  Done(&config, &things);
}

static void test_aliases(void **state)
{
  FPConfig config;
  Things   things;

  (void)state;
  Write("x: &base {count: 3, temperature: &t 0.7}\ny: {<<: *base, count: 4, mu: *t}\n");
  must(FPConfigCreate(&config));
  must(FPConfigLoad(config, file));
  must(FPConfigRead(config, "x", Table, &things));
  check(things.count == 3 && things.temperature == 0.7, "%g", (double)things.temperature);
  check(FPConfigCheckUnknown(config) == PETSC_ERR_USER_INPUT, "section y was not read yet");
  must(FPConfigFree(Table, &things));
  must(FPConfigRead(config, "y", Table, &things));
  check(things.count == 4 && things.temperature == 0.7 && things.mu == 0.7, "%g", (double)things.temperature);
  must(FPConfigCheckUnknown(config));
  Done(&config, &things);
}

static void test_override(void **state)
{
  char    *argv[] = {"-x_temperature", "2", "-x_lower", "-1.5, -.25,3", "-x_verify", "-x_faces", "absorbing"};
  FPConfig config;
  Things   things;

  (void)state;
  must(Read("x: {temperature: 1, lower: [1]}\n", 7, argv, &config, &things));
  check(things.temperature == 2 && things.verify, "temperature %g", (double)things.temperature);
  check(things.lower.n == 3 && things.lower.value[0] == -1.5 && things.lower.value[1] == -0.25, "a list with commas");
  check(things.faces.n == 1 && !strcmp(things.faces.value[0], "absorbing"), "a list of one");
  must(FPConfigSet(config, "x_mu", "0.5"));
  must(FPConfigFree(Table, &things));
  must(FPConfigRead(config, "x", Table, &things));
  check(things.mu == 0.5, "mu %g", (double)things.mu);
  Done(&config, &things);
}

static void test_resolved(void **state)
{
  char    *argv[] = {"-x_count", "9"};
  FPConfig config;
  Things   things;
  json_t  *run = json_object(), *expected;

  (void)state;
  must(Read("x: {scale: 0.25, lower: [0.5], eps: {ncv: 40}, verify: on}\n", 2, argv, &config, &things));
  must(FPConfigResolved(config, run));
  expected = json_loads("{\"x_temperature\": 0.1, \"x_count\": 9, \"x_verify\": true, \"x_scale\": 0.25,"
                        " \"x_type\": \"chain\", \"x_lower\": [0.5], \"x_cells\": [64, 48],"
                        " \"x_faces\": [\"reflecting\"], \"x_eps_ncv\": \"40\"}",
                        0, NULL);
  assert_non_null(expected);
  check(json_equal(run, expected), "%s", json_dumps(run, 0));
  json_decref(expected);
  json_decref(run);
  Done(&config, &things);
}

static void test_solver_keys(void **state)
{
  FPConfig  config;
  Things    things;
  PetscInt  ncv;
  PetscBool set;

  (void)state;
  must(Read("x: {eps: {ncv: 40}, st: {ksp: {type: gmres}}}\n", 0, NULL, &config, &things));
  check(FPConfigCheckUnread(config) == PETSC_ERR_USER_INPUT, "nobody has read x_eps_ncv");
  check(strstr(message, "x_eps_ncv = 40"), "%s", message);
  must(PetscOptionsGetInt(NULL, "x_", "-eps_ncv", &ncv, &set));
  check(set && ncv == 40, "x_eps_ncv reaches PETSc");
  must(PetscOptionsHasName(NULL, NULL, "-x_st_ksp_type", &set));
  check(!FPConfigCheckUnread(config), "%s", message);
  Done(&config, &things);
  must(PetscOptionsHasName(NULL, NULL, "-x_eps_ncv", &set));
  check(!set, "a configuration takes its keys with it");
}

static void test_paths(void **state)
{
  FPConfig config;
  Things   things;
  char     full[FP_TEXT], expected[FP_TEXT];

  (void)state;
  must(Read("x: {mu: 0.5}\n", 0, NULL, &config, &things));
  must(FPConfigPath(config, "run.yaml", full, sizeof(full)));
  (void)snprintf(expected, sizeof(expected), "%s/run.yaml", directory);
  assert_string_equal(full, expected); /* beside the run file */
  must(FPConfigPath(config, "no_such.csv", full, sizeof(full)));
  assert_string_equal(full, "no_such.csv");
  must(FPConfigPath(config, "/dev/null", full, sizeof(full)));
  assert_string_equal(full, "/dev/null");
  check(FPConfigPath(config, "/dev/null", full, 5) == PETSC_ERR_USER_INPUT, "a path that does not fit");
  Done(&config, &things);
}

static void test_where(void **state)
{
  char       *argv[] = {"-x_mu", "0.5"};
  FPConfig    config;
  Things      things;
  const char *where;
  char        expected[FP_TEXT];

  (void)state;
  must(Read("x:\n  count: 3\n  lower: [1, 2]\n", 2, argv, &config, &things));
  must(FPConfigWhere(config, "x_lower", &where));
  (void)snprintf(expected, sizeof(expected), "%s:3: x_lower = [1, 2]", file);
  assert_string_equal(where, expected);
  must(FPConfigWhere(config, "x_mu", &where));
  assert_string_equal(where, "command line: -x_mu = 0.5");
  must(FPConfigWhere(config, "x_temperature", &where));
  (void)snprintf(expected, sizeof(expected), "%s: x_temperature = 0.1 (default)", file);
  assert_string_equal(where, expected);
  Done(&config, &things);
}

/* Run files that are refused, and all that must be said, after the file's name. */
static void test_refused_files(void **state)
{
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {"x: {mu: 0.5\n", ":2:1: YAML syntax: "},
      {"x:\n\tmu: 1\n", ":2:1: YAML syntax: found character that cannot start any token while scanning for the next "
                        "token; this is a tab, indent with blanks"},
      {"x: \"\xff\"\n", ": not YAML text: invalid leading UTF-8 octet at byte 4"},
      {"", ": the run file is empty"},
      {"- 1\n", ":1: a run file consists of lines \"key: value\""},
      {"x: {mu: 1}\n---\ny: 1\n", ":3: a second document starts here; a run file is one document"},
      {"x: {mu: 1}\nx:\n  count: 3\n", ":2: duplicate key x, first given in line 1"},
      {"x:\n  mu: 1\n  mu: 1\n", ":3: duplicate key x_mu, first given in line 2"},
      {"x: {mu: 1}\n\nx_mu: 1\n", ":3: duplicate key x_mu, first given in line 1"},
      {"x: {lower: [[1, 2], [3, 4]]}\n", ":1: x_lower holds a list in a list; matrices are flat lists, row by row"},
      {"x:\n- a: 1\n", ":2: x holds a map in a list; lists hold numbers or words"},
      {"? [1, 2]\n: 3\n", ":1: a key must be a word, as in \"key: value\""},
      {"x: !include other.yaml\n", ":1: the tag !include is not accepted"},
      {"x: &a {b: *a}\n", ":1: maps in maps more than 8 deep"},
      {"x: \"a\\0b\"\n", ":1: a zero byte inside a text"},
      {"x: {temperature: -1}\n", ":1: x_temperature = -1 is outside [0, inf) w^2/time"},
      {"x: {temperature: warm}\n", ":1: x_temperature = warm is not a number"},
      {"x: {temperature: .inf}\n", ":1: x_temperature = .inf is not a number"},
      {"x: {temperature: nan}\n", ":1: x_temperature = nan is not a number"},
      {"x: {temperature: 0x10}\n", ":1: x_temperature = 0x10 is not a number"},
      {"x: {temperature: 1 2}\n", ":1: x_temperature = 1 2 is not a number"},
      {"x: {temperature: 1e999}\n", ":1: x_temperature = 1e999 is too large or too small for a number"},
      {"x: {temperature: 1e-999}\n", ":1: x_temperature = 1e-999 is too large or too small for a number"},
      {"x:\n  temperature:\n", ":2: x_temperature has no value; it takes a number"},
      {"x: {temperature: ''}\n", ":1: x_temperature = \"\" is not a number"},
      {"x: {temperature: [1]}\n", ":1: x_temperature = [1] is a list; the key takes a number"},
      {"x: {mu: 0}\n", ":1: x_mu = 0 is outside (0, 1]"},
      {"x: {count: 0}\n", ":1: x_count = 0 must be positive"},
      {"x: {count: 2.5}\n", ":1: x_count = 2.5 is not a whole number"},
      {"x: {count: 3000000000}\n", ":1: x_count = 3000000000 is too large, at most 2147483647"},
      {"x: {verify: maybe}\n", ":1: x_verify = maybe is neither true nor false"},
      {"x: {verify: }\n", ":1: x_verify has no value; it takes true or false"},
      {"x: {type: frobnicate}\n", ":1: x_type = frobnicate is not one of: chain, diagonal, ou"},
      {"x: {type: [chain]}\n", ":1: x_type = [chain] is a list; the key takes a word"},
      {"x: {cells: [64, 2]}\n", ":1: x_cells = [64, 2]: entry 2, 2, is outside [4, 100]"},
      {"x: {cells: [64, many]}\n", ":1: x_cells = [64, many]: entry 2, many, is not a whole number"},
      {"x: {cells: }\n", ":1: x_cells has no value; it takes a list of whole numbers"},
      {"x: {faces: [absorbing, open]}\n",
       ":1: x_faces = [absorbing, open]: entry 2, open, is not one of: reflecting, absorbing"},
      {"x: {temperatur: 1}\n", ":1: unknown key x_temperatur; did you mean x_temperature? (solver keys start with "
                               "x_eps_, x_st_,"},
      {"\ntemperature: 1\n", ":2: unknown key temperature; did you mean x_temperature?"},
      {"x: {Mu: 1}\n", ":1: unknown key x_Mu; did you mean x_mu?"},
      {"x: {epz: {ncv: 1}}\n", ":1: unknown key x_epz_ncv; did you mean "},
      {"y: {eps: {ncv: 1}}\n", ":1: unknown key y_eps_ncv; did you mean "},
      {"x: 5\n", ":1: x = 5: this is a section, its keys are such as x_temperature"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    FPConfig    config;
    Things      things = {.mu = 0};
    const char *said   = message;

    message[0] = 0;
    check(Read(cases[i].text, 0, NULL, &config, &things) == PETSC_ERR_USER_INPUT, "accepted: %s", cases[i].text);
    check(!strncmp(message, file, strlen(file)), "no file name: %s", message);
    said += strlen(file);
    check(!strncmp(said, cases[i].expected, strlen(cases[i].expected)), "\n%s\nsaid   %s\nwanted %s", cases[i].text,
          said, cases[i].expected);
    check(!strchr(message, '\n'), "more than one line: %s", message);
    Done(&config, &things);
  }
}

static void test_refused_words(void **state)
{
  static const struct {
    char       *argv[4];
    const char *expected;
  } cases[] = {
      {{"-x_temperature", "-1"}, "command line: -x_temperature = -1 is outside [0, inf) w^2/time"},
      {{"-x_temperature"}, "command line: -x_temperature has no value; it takes a number"},
      {{"-x_temperature", "-x_verify"}, "command line: -x_temperature has no value; it takes a number"},
      {{"--x_temperature", "1"}, "command line: --x_temperature; options are written with one hyphen, -x_temperature"},
      {{"-x_mu=1"}, "command line: -x_mu=1; options are written with a blank, -x_mu 1"},
      {{"--x_mu=1"}, "command line: --x_mu=1; options are written with a blank, -x_mu 1"},
      {{"x_mu", "1"}, "command line: stray word \"x_mu\"; options are written -key value"},
      {{"-x_mu", "1", "2"}, "command line: stray word \"2\"; options are written -key value"},
      {{"-"}, "command line: stray word \"-\"; options are written -key value"},
      {{"-x_mu", "1", "-x_mu", "1"}, "command line: duplicate key -x_mu, given twice"},
      {{"-x_path", "\xff"}, "command line: word 2 is not valid UTF-8"},
      {{"-x_muu", "1"}, "command line: unknown key x_muu; did you mean x_mu?"},
      {{"-x_lower", "1,,2"}, "command line: -x_lower = 1,,2: entry 2, , is not a number"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    FPConfig config;
    Things   things = {.mu = 0};
    char    *argv[4];
    int      argc = 0;

    for (; argc < 4 && cases[i].argv[argc]; argc++) argv[argc] = cases[i].argv[argc];
    check(Read("x: {count: 3}\n", argc, argv, &config, &things) == PETSC_ERR_USER_INPUT, "accepted: %s", argv[0]);
    check(!strncmp(message, cases[i].expected, strlen(cases[i].expected)), "\nsaid   %s\nwanted %s", message,
          cases[i].expected);
    Done(&config, &things);
  }
}

static void test_unreadable(void **state)
{
  FPConfig config;

  (void)state;
  must(FPConfigCreate(&config));
  check(FPConfigLoad(config, "no/such.yaml") == PETSC_ERR_USER_INPUT, "a file that is not there");
  assert_string_equal(message, "cannot read the run file no/such.yaml: No such file or directory");
  check(FPConfigLoad(config, directory) == PETSC_ERR_USER_INPUT, "a directory");
  check(strstr(message, "Is a directory"), "%s", message);
  must(FPConfigDestroy(&config));
}

static void test_listing(void **state)
{
  char  *text   = NULL;
  size_t length = 0;
  FILE  *stream = open_memstream(&text, &length);

  (void)state;
  assert_non_null(stream);
  must(FPParametersView(Table, "x", stream));
  assert_int_equal(fclose(stream), 0);
  check(strstr(text, "x_temperature") && strstr(text, "number in [0, inf) w^2/time"), "%s", text);
  check(strstr(text, "chain diagonal ou"), "%s", text);
  free(text);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),      cmocka_unit_test(test_values),     cmocka_unit_test(test_aliases),
      cmocka_unit_test(test_override),      cmocka_unit_test(test_resolved),   cmocka_unit_test(test_solver_keys),
      cmocka_unit_test(test_paths),         cmocka_unit_test(test_where),      cmocka_unit_test(test_refused_files),
      cmocka_unit_test(test_refused_words), cmocka_unit_test(test_unreadable), cmocka_unit_test(test_listing),
  };
  int failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL) || !mkdtemp(directory)) return 1;
  (void)snprintf(file, sizeof(file), "%s/run.yaml", directory);
  (void)PetscPushErrorHandler(KeepMessage, NULL);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  (void)PetscPopErrorHandler();
  (void)unlink(file);
  (void)rmdir(directory);
  return SlepcFinalize() ? 1 : failed;
}

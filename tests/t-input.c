/* t-input.c: bad run files and command lines, each given to the program itself: exit code 2, one line on stderr that
   names what is wrong, nothing written. A case replaces lines of a run file that is valid as it stands, so each is
   wrong in one thing only. The program is bin/dlnfp, or what DLNFP names. */
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Lines of the valid run file. */
#define DATA "data: {type: gaussian, teacher: [1.3], second_moment: 0.9, label_noise: 0.4}\n"
#define FILE_DATA "data: {type: file, path: rows.csv, inputs: [bmi], targets: [progress]}\n"
#define MODEL "model: {type: chain, depth: 2, coordinates: weights}\n"
#define TRAINING "training: {learning_rate: 0.05, batch_size: 3, weight_decay: 0.1}\n"
#define PROCESS "processes: [langevin]\nlangevin: {temperature: 0.2}\n"
#define MESH "mesh: {lower: [-3.0, -2.5], upper: [3.0, 2.5], cells: [24, 20]}\n"
#define ENGINES "engines: [generator]\n"
#define OBSERVABLES "observables: [stationary]\n"
#define EXIT(keys) "observables: [exit]\nexit: {" keys "}\n"
#define BALL(center, radius) "region: ball, center: [0, " #center "], radius: " #radius
#define ROWS "bmi,progress\n0.5,1.25\n-0.25,-1\n1.5,2\n-1,-0.75\n"

/* NULL: the line above, or no words, no rows.csv. expected: pieces of text separated by '|', one of which must occur.
 */
typedef struct {
  const char *name, *expected;
  const char *data, *model, *training, *process, *mesh, *engines, *observables, *rest, *rows;
  const char *words[4];
} Case;

static const Case cases[] = {
    /* the file itself */
    {"tab", "a tab", .rest = "spectrum:\n\tpairs: 3\n"},
    {"syntax", "YAML", .rest = "spectrum: {pairs: 3\n"},
    {"second document", "document", .rest = "---\nspectrum: {pairs: 3}\n"},
    {"nested list", "row by row", .rest = "noise: {at: [[0, 1], [1, 0]]}\n"},
    {"unknown key", "did you mean training_learning_rate?", .training = "training: {learning_rat: 0.05}\n"},
    {"unknown section", "unknown key optimiser_kind", .rest = "optimiser: {kind: 1}\n"},
    {"wrong case", "did you mean training_learning_rate?", .training = "training: {Learning_rate: 0.05}\n"},
    {"duplicate key", "first given in line", .training = "training: {learning_rate: 0.05, learning_rate: 0.1}\n"},
    {"duplicate section", "first given in line", .rest = TRAINING},
    {"duplicate, flat and nested", "first given in line", .rest = "training_batch_size: 2\n"},
    {"unknown solver head", "spectrum_epz_ncv", .observables = "observables: [spectrum]\nspectrum: {epz: {ncv: 9}}\n"},
    {"solver key in another section", "mesh_eps_ncv", .rest = "mesh_eps_ncv: 9\n"},
    {"solver key at the top", "eps_ncv", .rest = "eps: {ncv: 9}\n"},
    /* numbers, words */
    {"wrong type", "not a number", .training = "training: {learning_rate: fast}\n"},
    {"infinite", "not a number", .training = "training: {learning_rate: .inf}\n"},
    {"nan", "not a number", .training = "training: {learning_rate: .nan}\n"},
    {"no value", "has no value", .training = "training: {learning_rate: }\n"},
    {"list for a number", "is a list", .training = "training: {learning_rate: [0.1, 0.2]}\n"},
    {"learning rate 0", "learning_rate", .training = "training: {learning_rate: 0}\n"},
    {"endless", "days of one core", .training = "training: {learning_rate: 0.05, batch_size: 2000000000}\n",
     .process = "processes: [sgd]\n", .engines = "engines: [particles]\n"},
    {"time without end", "no time",
     .observables = "observables: [evolution]\nevolution: {times: [1.0e300], start: minimum}\n"},
    {"no way out", "nothing leaves it", .observables = EXIT(BALL(0, 90))},
    {"batch size 0", "batch_size", .training = "training: {batch_size: 0}\n"},
    {"batch size 2.5", "batch_size", .training = "training: {batch_size: 2.5}\n"},
    {"batch size beyond all integers", "batch_size", .training = "training: {batch_size: 3000000000}\n"},
    {"negative decay", "weight_decay", .training = "training: {weight_decay: -0.1}\n"},
    {"negative temperature", "temperature", .process = "processes: [langevin]\nlangevin: {temperature: -1}\n"},
    {"temperature 0", "temperature", .process = "processes: [langevin]\nlangevin: {temperature: 0}\n"},
    {"beta 0", "beta", .process = "processes: [fractional]\nfractional: {beta: 0}\n"},
    {"beta above 1", "beta", .process = "processes: [fractional]\nfractional: {beta: 1.2}\n"},
    {"negative clock scale", "clock_scale", .process = "processes: [fractional]\nfractional: {clock_scale: -1}\n"},
    {"beta of an ordinary clock", "only clock fractional",
     .process = "processes: [langevin]\nlangevin: {temperature: 0.2, beta: 0.5}\n"},
    {"unknown clock", "ordinary", .process = "processes: [langevin]\nlangevin: {temperature: 0.2, clock: slow}\n"},
    {"negative age", "autocorrelation_age",
     .observables = "observables: [autocorrelation]\nautocorrelation: {times: [1], age: -2}\n"},
    {"age of a start", "msd_age", .observables = "observables: [msd]\nmsd: {times: [1], start: minimum, age: 2}\n"},
    {"temperature in words", "temperature", .process = "processes: [langevin]\nlangevin: {temperature: warm}\n"},
    {"ald3 in two coordinates", "one coordinate", .process = "processes: [ald3]\n"},
    {"ald3 past eta sharpness = 1", "sharpness", .model = "model: {type: chain, depth: 2, coordinates: balanced}\n",
     .training = "training: {learning_rate: 0.5}\n", .process = "processes: [ald3]\n",
     .mesh = "mesh: {lower: [0.4], upper: [2], cells: [64]}\n"},
    {"ald3 where D < 0", "no diffusion of this order", .data = FILE_DATA, .rows = "bmi,progress\n0.5,1.25\n1.5,2\n",
     .model = "model: {type: chain, depth: 2, coordinates: balanced}\n", .training = "training: {learning_rate: 0.1}\n",
     .process = "processes: [ald3]\n", .mesh = "mesh: {lower: [0.4], upper: [2], cells: [64]}\n"},
    {"unknown drift", "gradient, modified, refined, central_flow, rod_flow|central_flow",
     .process = "processes: [ald]\nald: {drift: third}\n"},
    {"temperature matched to ald3", "no multiple of C",
     .model   = "model: {type: chain, depth: 2, coordinates: balanced}\n",
     .process = "processes: [langevin]\nlangevin: {temperature: matched, matched_to: ald3}\n",
     .mesh    = "mesh: {lower: [0.4], upper: [2], cells: [64]}\n"},
    {"verify", "true", .rest = "generator: {verify: perhaps}\n"},
    /* data */
    {"unknown data type", "data_type", .data = "data: {type: oracle}\n"},
    {"no teacher", "teacher", .data = "data: {type: gaussian}\n"},
    {"negative label noise", "label_noise", .data = "data: {type: gaussian, teacher: [1.3], label_noise: -1}\n"},
    {"second moment 0", "second_moment", .data = "data: {type: gaussian, teacher: [1.3], second_moment: 0}\n"},
    {"missing csv", "rows.csv", .data = FILE_DATA},
    {"empty csv", "rows.csv", .data = FILE_DATA, .rows = ""},
    {"csv of a header", "rows.csv", .data = FILE_DATA, .rows = "bmi,progress\n"},
    {"csv with words", "rows.csv", .data = FILE_DATA, .rows = ROWS "high,2\n"},
    {"csv with nan", "rows.csv", .data = FILE_DATA, .rows = ROWS "nan,2\n"},
    {"csv with inf", "rows.csv", .data = FILE_DATA, .rows = ROWS "1,inf\n"},
    {"csv with a short row", "rows.csv", .data = FILE_DATA, .rows = ROWS "1\n"},
    {"csv with an empty field", "rows.csv", .data = FILE_DATA, .rows = ROWS "1,\n"},
    {"missing column", "weight", .rows = ROWS,
     .data = "data: {type: file, path: rows.csv, inputs: [weight], targets: [progress]}\n"},
    {"no path", "data_path", .data = "data: {type: file, inputs: [bmi], targets: [progress]}\n"},
    /* model */
    {"unknown model", "model_type", .model = "model: {type: transformer}\n"},
    {"no model", "model_type", .model = ""},
    {"depth 0", "depth", .model = "model: {type: chain, depth: 0}\n"},
    {"unknown coordinates", "coordinates", .model = "model: {type: chain, depth: 2, coordinates: polar}\n"},
    {"too many inputs", "input", .data = "data: {type: gaussian, teacher: [1.3, 0.4]}\n"},
    /* processes */
    {"unknown process", "sgdd", .process = "processes: [sgdd]\n"},
    {"no process", "processes", .process = "processes: []\n"},
    {"duplicate process", "langevin", .process = "processes: [langevin, langevin]\nlangevin: {temperature: 0.2}\n"},
    {"reserved word as a name", "particles", .process = "processes: [particles]\n"},
    {"capital letters in a name", "Mine", .process = "processes: [Mine]\nMine: {preset: langevin}\n"},
    {"unknown preset", "mine_preset", .process = "processes: [mine]\nmine: {preset: brownian}\n"},
    {"unknown noise", "noise", .process = "processes: [mine]\nmine: {preset: langevin, noise: pink}\n"},
    {"matched to nothing", "matched", .data = "data: {type: gaussian, teacher: [1.3], label_noise: 0}\n",
     .training = "training: {learning_rate: 0.05}\n",
     .process  = "processes: [langevin]\nlangevin: {temperature: matched}\n"},
    /* mesh */
    {"short corner", "mesh_lower", .mesh = "mesh: {lower: [-3.0], upper: [3.0, 2.5], cells: [24, 20]}\n"},
    {"long corner", "mesh_upper", .mesh = "mesh: {lower: [-3, -2], upper: [3, 2, 1], cells: [24, 20]}\n"},
    {"cells missing", "mesh_cells", .mesh = "mesh: {lower: [-3.0, -2.5], upper: [3.0, 2.5]}\n"},
    {"lower above upper", "mesh_lower|mesh_upper", .mesh = "mesh: {lower: [3, -2], upper: [-3, 2], cells: [24, 20]}\n"},
    {"lower equals upper", "mesh_lower|mesh_upper", .mesh = "mesh: {lower: [1, -2], upper: [1, 2], cells: [24, 20]}\n"},
    {"jumps of too many cells", "GiB of memory",
     .mesh    = "mesh: {lower: [-3, -2], upper: [3, 2], cells: [40000, 40000]}\n",
     .process = "processes: [levy]\nlevy: {alpha: 1.5, scale: 0.3, temperature: 0}\n"},
    {"too coarse", "mesh_cells", .mesh = "mesh: {lower: [-3, -2], upper: [3, 2], cells: [2, 2]}\n"},
    {"too large", "mesh|memory", .mesh = "mesh: {lower: [-3, -2], upper: [3, 2], cells: [300000, 300000]}\n"},
    {"too large for 32 bits", "mesh_cells",
     .mesh = "mesh: {lower: [-3, -2], upper: [3, 2], cells: [5000000000, 20]}\n"},
    {"unknown face", "mesh_faces", .mesh = MESH "mesh_faces: [open]\n"},
    {"particles at an absorbing face", "mesh_faces", .mesh = MESH "mesh_faces: [absorbing]\n",
     .engines = "engines: [generator, particles]\n"},
    {"particles without a minimum", "set ald_dt",
     .model = "model: {type: ou, drift: [1, 0, 0, -0.8], diffusion: [0.1, 0, 0, 0.1]}\n", .data = "",
     .process = "processes: [ald]\n", .engines = "engines: [generator, particles]\n"},
    {"law in one cell", "mesh_cells", .process = "processes: [langevin]\nlangevin: {temperature: 1.0e-6}\n"},
    {"missing mesh file", "no_such_mesh", .mesh = "mesh: {file: no_such_mesh.yaml}\n"},
    {"generator without a mesh", "mesh", .mesh = ""},
    {"no normalisable law", "normalis|box|mesh_", .mesh = "", .engines = "engines: [particles]\n",
     .training = "training: {learning_rate: 0.05}\n"},
    /* engines, observables */
    {"unknown engine", "steam", .engines = "engines: [steam]\n"},
    {"no engine", "engines", .engines = "engines: []\n"},
    {"unknown observable", "phlogiston", .observables = "observables: [phlogiston]\n"},
    {"no observable", "observables", .observables = "observables: []\n"},
    {"no pairs", "spectrum_pairs", .observables = "observables: [spectrum]\nspectrum: {pairs: 0}\n"},
    {"half a point", "multiples of the 2", .observables = "observables: [noise]\nnoise: {at: [0, 0, 1]}\n"},
    {"no particles", "particles_count", .rest = "particles: {count: 0}\n"},
    {"no steps", "particles_steps", .rest = "particles: {steps: 0}\n"},
    {"threshold 0", "crosscheck_threshold", .rest = "crosscheck: {threshold: 0}\n"},
    /* regions and times */
    {"exit without a region", "exit_region is missing", .observables = "observables: [exit]\n"},
    {"exit from an unknown region", "exit_region", .observables = EXIT("region: cube")},
    {"exit from an empty region", "exit_radius", .observables = EXIT(BALL(0, 0))},
    {"exit from a region below the grid", "exit_region holds", .observables = EXIT(BALL(0.1, 0.05))},
    {"exit from a region outside the mesh", "outside the mesh", .observables = EXIT(BALL(9, 1))},
    {"exit from a start outside", "exit_start", .observables = EXIT(BALL(0, 1) ", start: [1.2, 0]")},
    {"exit from a start outside the mesh", "outside the mesh", .observables = EXIT(BALL(0, 9) ", start: [0, 3]")},
    {"exit from a start unknown", "known are minimum", .observables = EXIT(BALL(0, 1) ", start: summit")},
    {"exit at a negative time", "exit_times", .observables = EXIT(BALL(0, 1) ", times: [-1, 2]")},
    {"exit at times that fall", "exit_times", .observables = EXIT(BALL(0, 1) ", times: [2, 1]")},
    {"exit after a negative duration", "exit_duration", .observables = EXIT(BALL(0, 1) ", duration: -3")},
    {"start in the second region", "exit_region_b",
     .observables = EXIT(BALL(0, 1) ", region_b: half_space, normal_b: [1, 0], offset_b: 0.5")},
    /* the command line */
    {"unknown key in a word", "training_batch_size?", .words = {"-training_batch_sze", "4"}},
    {"word out of range", "command line: -training_learning_rate = -1", .words = {"-training_learning_rate", "-1"}},
    {"two hyphens", "-training_batch_size", .words = {"--training_batch_size", "4"}},
    {"equal sign", "-training_batch_size 4", .words = {"-training_batch_size=4"}},
    {"stray word", "stray", .words = {"fast"}},
};

#define PLACES 3 /* as many programs at a time */

/* A folder with a run file, and the program that reads it. */
typedef struct {
  char  directory[64], runfile[80], rowfile[80], out[80], errors[80];
  pid_t pid;
} Place;

static Place places[PLACES];
static char  said[8192];

static const char *Or(const char *text, const char *otherwise)
{
  return text ? text : otherwise;
}

static void Write(const char name[], const char text[])
{
  FILE *stream = fopen(name, "wb");

  assert_non_null(stream);
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

static void WriteCase(const Place *place, const Case *c)
{
  char text[4096];

  (void)snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s", Or(c->data, DATA), Or(c->model, MODEL),
                 Or(c->training, TRAINING), Or(c->process, PROCESS), Or(c->mesh, MESH), Or(c->engines, ENGINES),
                 Or(c->observables, OBSERVABLES), Or(c->rest, ""));
  Write(place->runfile, text);
  (void)unlink(place->rowfile);
  if (c->rows) Write(place->rowfile, c->rows);
}

static void Start(Place *place, const char *const argv[])
{
  const char                *program = Or(getenv("DLNFP"), "bin/dlnfp");
  posix_spawn_file_actions_t actions;
  int                        code;

  must(posix_spawn_file_actions_init(&actions));
  must(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0));
  must(posix_spawn_file_actions_addopen(&actions, 2, place->errors, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  code = posix_spawn(&place->pid, program, &actions, NULL, (char *const *)argv, environ);
  check(!code, "cannot start %s: %s", program, strerror(code));
  must(posix_spawn_file_actions_destroy(&actions));
}

/* Returns the exit code, -1: it did not exit by itself; `said` becomes what it wrote to stderr. */
static int Finish(const Place *place)
{
  int   status;
  FILE *stream;

  assert_int_equal(waitpid(place->pid, &status, 0), place->pid);
  stream = fopen(place->errors, "rb");
  assert_non_null(stream);
  said[fread(said, 1, sizeof(said) - 1, stream)] = 0;
  assert_int_equal(fclose(stream), 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int Program(Place *place, const char *const argv[])
{
  Start(place, argv);
  return Finish(place);
}

static int Lines(void)
{
  int lines = 0;

  for (const char *c = said; *c; c++) lines += *c == '\n';
  return lines;
}

static PetscBool Says(const char expected[])
{
  char  pieces[256], *rest = pieces;
  char *piece;

  (void)snprintf(pieces, sizeof(pieces), "%s", expected);
  while ((piece = strsep(&rest, "|")))
    if (strstr(said, piece)) return PETSC_TRUE;
  return PETSC_FALSE;
}

/* An empty directory would also do; rmdir() succeeds on nothing else. */
static PetscBool NothingWritten(const Place *place)
{
  return (PetscBool)(!rmdir(place->out) || errno == ENOENT);
}

/* Prints what is wrong with the answer, so that one run shows all bad cases. */
static int Judge(const Place *place, const char name[], const char expected[], int code)
{
  const char *fault = NULL;

  if (!NothingWritten(place)) fault = "something was written";
  if (Lines() != 1) fault = "not one line";
  if (strncmp(said, "dlnfp: ", 7)) fault = "no \"dlnfp: \" in front";
  if (!Says(expected)) fault = "not the expected text";
  if (code != 2) fault = "not exit code 2";
  if (!fault) return 0;
  print_error("%s: %s (exit code %d, wanted \"%s\"): %s%s", name, fault, code, expected, said, said[0] ? "" : "\n");
  return 1;
}

/* The run file that all cases start from is valid, so they fail for their own reason. */
static void test_valid(void **state)
{
  static const Case good[] = {{.name = "gaussian"}, {.name = "file", .data = FILE_DATA, .rows = ROWS}};
  Place            *place  = &places[0];

  (void)state;
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    int code;

    WriteCase(place, &good[i]);
    code = Program(place, (const char *[]){"dlnfp", "check", place->runfile, NULL});
    check(code == 0 && !said[0], "%s: exit code %d: %s", good[i].name, code, said);
    check(NothingWritten(place), "%s: check wrote something", good[i].name);
  }
}

static void test_cases(void **state)
{
  const int n   = (int)(sizeof(cases) / sizeof(cases[0]));
  int       bad = 0;

  (void)state;
  for (int i = 0; i < n + PLACES; i++) {
    Place      *place    = &places[i % PLACES];
    const Case *old      = i < PLACES ? NULL : &cases[i - PLACES];
    const char *argv[10] = {"dlnfp", "run", place->runfile, "-out", place->out};

    if (old) bad += Judge(place, old->name, old->expected, Finish(place));
    if (i >= n) continue;
    WriteCase(place, &cases[i]);
    for (int k = 0; k < 4; k++) argv[5 + k] = cases[i].words[k];
    Start(place, argv);
  }
  check(!bad, "%d of %d cases", bad, n);
}

/* What is wrong lies outside the run file. */
static void test_command(void **state)
{
  Place      *p   = &places[0];
  const char *run = p->runfile, *out = p->out, *rows = p->rowfile;
  const Case  good = {.name = "good"};
  const struct {
    const char *name, *expected, *argv[6];
  } commands[] = {
      {"no run file", "no_such.yaml", {"dlnfp", "run", "no_such.yaml", "-out", out}},
      {"directory as run file", p->directory, {"dlnfp", "run", p->directory, "-out", out}},
      {"run without a file", "FILE.yaml", {"dlnfp", "run"}},
      {"unknown command", "walk", {"dlnfp", "walk", run}},
      {"unknown list", "colours", {"dlnfp", "list", "colours"}},
      {"-out without a directory", "-out", {"dlnfp", "run", run, "-out"}},
      {"file as directory", "rows.csv", {"dlnfp", "run", run, "-out", rows}},
      {"directory in a file", "rows.csv", {"dlnfp", "run", run, "-out", "FILE/inside"}},
  };
  char        inside[96];
  int         bad = 0;
  struct stat before, after;

  (void)state;
  WriteCase(p, &good);
  Write(rows, ROWS);
  must(stat(rows, &before));
  (void)snprintf(inside, sizeof(inside), "%s/inside", rows);
  for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
    const char *argv[7] = {NULL};

    for (int k = 0; k < 6 && commands[i].argv[k]; k++)
      argv[k] = strcmp(commands[i].argv[k], "FILE/inside") ? commands[i].argv[k] : inside;
    bad += Judge(p, commands[i].name, commands[i].expected, Program(p, argv));
  }
  must(stat(rows, &after));
  check(before.st_size == after.st_size && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec, "rows.csv was changed");
  check(!bad, "%d cases", bad);
}

static void test_usage(void **state)
{
  static const char *const good[][4] = {{"dlnfp", "--help"}, {"dlnfp", "run", "-h"},       {"dlnfp", "--version"},
                                        {"dlnfp", "list"},   {"dlnfp", "list", "regions"}, {"dlnfp", "list", "keys"}};
  Place                   *place     = &places[0];

  (void)state;
  assert_int_equal(Program(place, (const char *[]){"dlnfp", NULL}), 2);
  check(strstr(said, "dlnfp run FILE.yaml"), "%s", said);
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    const int code = Program(place, good[i]);

    check(code == 0 && !said[0], "case %d: exit code %d: %s", (int)i, code, said);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_cases),
      cmocka_unit_test(test_command),
      cmocka_unit_test(test_usage),
  };
  int failed;

  for (int i = 0; i < PLACES; i++) {
    Place *p             = &places[i];
    char   directory[64] = "/tmp/t-input-XXXXXX";

    if (!mkdtemp(directory)) return 1;
    strcpy(p->directory, directory);
    (void)snprintf(p->runfile, sizeof(p->runfile), "%s/run.yaml", directory);
    (void)snprintf(p->rowfile, sizeof(p->rowfile), "%s/rows.csv", directory);
    (void)snprintf(p->out, sizeof(p->out), "%s/out", directory);
    (void)snprintf(p->errors, sizeof(p->errors), "%s/stderr", directory);
  }
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  for (int i = 0; i < PLACES; i++) {
    (void)unlink(places[i].runfile);
    (void)unlink(places[i].rowfile);
    (void)unlink(places[i].errors);
    (void)rmdir(places[i].out);
    (void)rmdir(places[i].directory);
  }
  return failed;
}

/* sweep.c: one run file at several values of one key, or of two. Every point is a child process, as many at a time as
   there are threads, which they share. A point is finished when the run that its results.json records equals, key by
   key, the one that this sweep would start, so a killed sweep goes on where it was, and a changed run file starts anew.
 */
#include "runimpl.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

#define MAX_POINTS 4096
#define MAX_WORD 200 /* characters of the name of a point */

/* One of the keys. */
typedef struct {
  char     option[FP_TEXT], *text; /* "-KEY"; the values, cut at their separators */
  PetscInt n;
  char   **value;
} Axis;

typedef struct {
  char    name[MAX_WORD + 24];
  json_t *resolved, *results; /* results: NULL while there are none */
  pid_t   pid;                /* 0: not running */
  int     code;               /* exit code; -1: not run */
  double  begin, seconds;
} Point;

typedef struct {
  const FPSweep *sweep;
  Axis           axis[2];
  PetscInt       points;
  Point         *point;
  int            threads; /* of each child */
} Work;

/* "KEY=a,b,c": values lie between semicolons if there are any, else between commas */
static PetscErrorCode OpenAxis(const char over[], Axis *axis)
{
  const char *equal = strchr(over, '='), separator = strchr(over, ';') ? ';' : ',';
  PetscInt    room = 1;

  PetscFunctionBegin;
  FPInputCheck((size_t)(equal - over) < FP_TEXT - 2, "command line: -over %.60s...: the key is too long", over);
  (void)snprintf(axis->option, sizeof(axis->option), "-%.*s", (int)(equal - over), over);
  FPInputCheck(equal[1], "command line: -over %s has no values; accepted: KEY=a,b,c", over);
  PetscCall(PetscStrallocpy(equal + 1, &axis->text));
  for (const char *c = axis->text; *c; c++) room += *c == separator;
  PetscCall(PetscMalloc1(room, &axis->value));
  for (char *c = axis->text; c; axis->n++) {
    char *end = strchr(c, separator);

    if (end) *end = 0;
    FPInputCheck(c[0], "command line: -over %s has an empty value; accepted: KEY=a,b,c", over);
    for (PetscInt k = 0; k < axis->n; k++)
      FPInputCheck(strcmp(axis->value[k], c), "command line: -over %s names %s twice", over, c);
    axis->value[axis->n] = c;
    c                    = end ? end + 1 : NULL;
  }
  PetscFunctionReturn(0);
}

/* Value of axis a at a point; the first key is the slowest. */
static const char *ValueAt(const Work *work, PetscInt p, int a)
{
  const PetscInt fast = work->sweep->keys > 1 ? work->axis[1].n : 1;

  return work->axis[a].value[a ? p % fast : p / fast];
}

/* KEY=VALUE, or two of them, as a file name */
static void NamePoint(const Work *work, PetscInt p, char name[], size_t length)
{
  size_t n = 0;

  name[0] = 0;
  for (int a = 0; a < work->sweep->keys && n < length; a++)
    n += (size_t)snprintf(name + n, length - n, "%s%s=%s", a ? "_" : "", work->axis[a].option + 1, ValueAt(work, p, a));
  if (n > MAX_WORD) (void)snprintf(name + MAX_WORD - 8, length - MAX_WORD + 8, "_%d", (int)p);
  for (char *c = name; *c; c++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-", *c)) *c = '_';
}

/* What the point would run, all of it read and checked. */
static PetscErrorCode ResolvePoint(const Work *work, PetscInt p, json_t **resolved)
{
  FPConfig config;
  json_t  *run = json_object();
  char    *text;

  PetscFunctionBegin;
  PetscCall(FPConfigCreate(&config));
  PetscCall(FPConfigLoad(config, work->sweep->file));
  PetscCall(FPConfigOverride(config, work->sweep->words, work->sweep->word));
  for (int a = 0; a < work->sweep->keys; a++) {
    char *words[2] = {(char *)work->axis[a].option, (char *)ValueAt(work, p, a)};

    PetscCall(FPConfigOverride(config, 2, words));
  }
  PetscCall(FPRunResolve(config, run));
  PetscCall(FPConfigDestroy(&config));
  text = json_dumps(run, JSON_REAL_PRECISION(17)); /* as it comes back from a file */
  json_decref(run);
  PetscCheck(text, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for the run of a point");
  *resolved = json_loads(text, 0, NULL);
  free(text);
  PetscFunctionReturn(0);
}

static void LoadResults(const Work *work, Point *point)
{
  char    path[2 * FP_TEXT];
  json_t *root;

  (void)snprintf(path, sizeof(path), "%s/%s/results.json", work->sweep->dir, point->name);
  root = json_load_file(path, 0, NULL);
  if (json_equal(json_object_get(root, "run"), point->resolved))
    point->results = root;
  else
    json_decref(root);
}

static PetscErrorCode OpenPoints(Work *work)
{
  PetscFunctionBegin;
  work->points = work->axis[0].n * (work->sweep->keys > 1 ? work->axis[1].n : 1);
  FPInputCheck(work->points <= MAX_POINTS, "command line: -over asks for %" PetscInt_FMT " points; at most %d",
               work->points, MAX_POINTS);
  FPInputCheck(work->sweep->keys < 2 || strcmp(work->axis[0].option, work->axis[1].option),
               "command line: -over names the key %s twice", work->axis[0].option + 1);
  for (int k = 0; k < work->sweep->words; k++)
    for (int a = 0; a < work->sweep->keys; a++)
      FPInputCheck(strcmp(work->axis[a].option, work->sweep->word[k]),
                   "command line: %s is swept over and given a value as well", work->sweep->word[k]);
  PetscCall(PetscCalloc1(work->points, &work->point));
  for (PetscInt p = 0; p < work->points; p++) {
    Point *point = &work->point[p];

    point->code = -1;
    NamePoint(work, p, point->name, sizeof(point->name));
    for (PetscInt k = 0; k < p; k++)
      FPInputCheck(strcmp(work->point[k].name, point->name), "command line: two points of the sweep are called %s",
                   point->name);
    PetscCall(ResolvePoint(work, p, &point->resolved));
  }
  PetscFunctionReturn(0);
}

/* Variables that tell a child that it belongs to this process's MPI world, or how many threads it has. */
static PetscBool IsOwn(const char variable[])
{
  static const char *const prefix[] = {"PMIX_", "OMPI_COMM_", "OMPI_UNIVERSE_", "OMPI_MCA_orte_", "OMP_NUM_THREADS="};

  for (size_t k = 0; k < sizeof(prefix) / sizeof(prefix[0]); k++)
    if (!strncmp(variable, prefix[k], strlen(prefix[k]))) return PETSC_TRUE;
  return PETSC_FALSE;
}

/* Words and environment of a point's process, each ended by NULL. */
static void Compose(const Work *work, PetscInt p, const char out[], const char threads[], const char *argv[],
                    const char *env[])
{
  const FPSweep *sweep = work->sweep;
  int            n     = 0;

  argv[n++] = "dlnfp";
  argv[n++] = "run";
  argv[n++] = sweep->file;
  for (int k = 0; k < sweep->words; k++) argv[n++] = sweep->word[k];
  for (int a = 0; a < sweep->keys; a++) {
    argv[n++] = work->axis[a].option;
    argv[n++] = ValueAt(work, p, a);
  }
  argv[n++] = "-out";
  argv[n++] = out;
  argv[n]   = NULL;
  n         = 0;
  for (char **variable = environ; *variable; variable++)
    if (!IsOwn(*variable)) env[n++] = *variable;
  env[n++] = threads;
  env[n]   = NULL;
}

/* In the child: what it says goes to its log. */
static void Become(const char log[], const char *argv[], const char *env[])
{
  const int file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

#ifdef __linux__
  (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a killed sweep leaves nobody running */
#endif
  if (file < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0) _exit(1);
  (void)execve("/proc/self/exe", (char *const *)argv, (char *const *)env);
  _exit(1);
}

static PetscErrorCode StartPoint(const Work *work, PetscInt p)
{
  Point       *point = &work->point[p];
  const char **argv, **env;
  char         out[2 * FP_TEXT], log[2 * FP_TEXT], threads[48];
  int          variables = 0;

  PetscFunctionBegin;
  while (environ[variables]) variables++;
  PetscCall(PetscMalloc2(work->sweep->words + 12, &argv, variables + 2, &env));
  (void)snprintf(out, sizeof(out), "%s/%s", work->sweep->dir, point->name);
  (void)snprintf(log, sizeof(log), "%s/%s.log", work->sweep->dir, point->name);
  (void)snprintf(threads, sizeof(threads), "OMP_NUM_THREADS=%d", work->threads);
  Compose(work, p, out, threads, argv, env);
  (void)fflush(NULL);
  point->begin = omp_get_wtime();
  point->pid   = fork();
  if (point->pid == 0) Become(log, argv, env);
  PetscCheck(point->pid > 0, PETSC_COMM_SELF, PETSC_ERR_SYS, "cannot start a process: %s", strerror(errno));
  PetscCall(PetscFree2(argv, env));
  PetscFunctionReturn(0);
}

/* Waits for one child. */
static PetscErrorCode FinishPoint(Work *work, PetscInt *finished)
{
  int   status;
  pid_t pid;

  PetscFunctionBegin;
  do pid = waitpid(-1, &status, 0);
  while (pid < 0 && errno == EINTR);
  PetscCheck(pid > 0, PETSC_COMM_SELF, PETSC_ERR_SYS, "waiting for a point: %s", strerror(errno));
  *finished = -1;
  for (PetscInt p = 0; p < work->points; p++)
    if (work->point[p].pid == pid) *finished = p;
  if (*finished >= 0) {
    Point *point = &work->point[*finished];

    point->pid     = 0;
    point->code    = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    point->seconds = omp_get_wtime() - point->begin;
    if (point->code == 0 || point->code == 3) LoadResults(work, point);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode RunPoints(Work *work)
{
  PetscInt todo = 0, next = 0, running = 0, done, jobs;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < work->points; p++) {
    LoadResults(work, &work->point[p]);
    todo += !work->point[p].results;
  }
  done = work->points - todo;
  if (done) fprintf(stderr, "%d of %d points are there already\n", (int)done, (int)work->points);
  if (!todo) PetscFunctionReturn(0);
  jobs          = PetscMin(todo, omp_get_max_threads());
  work->threads = (int)PetscMax(1, omp_get_max_threads() / jobs);
  FPProgressBegin("sweep", work->points);
  for (;;) {
    PetscInt p;

    for (; running < jobs && next < work->points; next++) {
      if (work->point[next].results) continue;
      PetscCall(StartPoint(work, next));
      running++;
    }
    if (!running) break;
    PetscCall(FinishPoint(work, &p));
    if (p < 0) continue;
    running--;
    FPProgressUpdate((double)++done);
    if (!isatty(2))
      fprintf(stderr, "  %d of %d: %s, %.1f s%s\n", (int)done, (int)work->points, work->point[p].name,
              work->point[p].seconds, work->point[p].results ? "" : ", failed");
  }
  FPProgressEnd();
  PetscFunctionReturn(0);
}

/* What the child said last, without "dlnfp: ". */
static json_t *Complaint(const Work *work, const Point *point)
{
  char  path[2 * FP_TEXT], line[FP_TEXT], last[FP_TEXT] = "";
  FILE *f;

  (void)snprintf(path, sizeof(path), "%s/%s.log", work->sweep->dir, point->name);
  f = fopen(path, "r");
  while (f && fgets(line, sizeof(line), f))
    if (!strncmp(line, "dlnfp: ", 7)) (void)snprintf(last, sizeof(last), "%s", line + 7);
  if (f) (void)fclose(f);
  last[strcspn(last, "\n")] = 0;
  if (!last[0]) (void)snprintf(last, sizeof(last), "ended with code %d and said nothing", point->code);
  return json_string(last);
}

static PetscBool Disagrees(const Point *point)
{
  size_t  i;
  json_t *row;

  json_array_foreach(json_object_get(point->results, "crosscheck"), i,
                     row) if (json_is_false(json_object_get(row, "agree"))) return PETSC_TRUE;
  return PETSC_FALSE;
}

/* A number if the text is one */
static json_t *Value(const char text[])
{
  char        *end;
  const double number = strtod(text, &end);

  return *end || !isfinite(number) ? json_string(text) : json_real(number);
}

static json_t *ListPoints(const Work *work)
{
  json_t *list = json_array();

  for (PetscInt p = 0; p < work->points; p++) {
    const Point *point = &work->point[p];
    json_t      *item = json_object(), *values = json_array();

    for (int a = 0; a < work->sweep->keys; a++) json_array_append_new(values, Value(ValueAt(work, p, a)));
    json_object_set_new(item, "name", json_string(point->name));
    json_object_set_new(item, "values", values);
    json_object_set_new(item, "status",
                        json_string(!point->results    ? "failed"
                                    : Disagrees(point) ? "disagrees"
                                                       : "done"));
    if (!point->results) json_object_set_new(item, "reason", Complaint(work, point));
    json_array_append_new(list, item);
  }
  return list;
}

/* The table of a row's quantity, made when it is met for the first time: value[point], error[point], null where
   missing. Rows of comparisons have no engine of their own. */
static json_t *TableOf(const Work *work, json_t *index, json_t *tables, const json_t *row)
{
  static const char *const text[] = {"process", "engine", "observable", "quantity", "unit", "error_kind", "reference"};
  const char              *engine = json_string_value(json_object_get(row, "engine"));
  char                     key[8 * FP_NAME];
  json_t                  *table, *value, *error;

  (void)snprintf(key, sizeof(key), "%s|%s|%s|%s", json_string_value(json_object_get(row, "process")),
                 engine ? engine : "", json_string_value(json_object_get(row, "observable")),
                 json_string_value(json_object_get(row, "quantity")));
  table = json_object_get(index, key);
  if (table) return table;
  table = json_object();
  value = json_array();
  error = json_array();
  for (size_t k = 0; k < sizeof(text) / sizeof(text[0]); k++)
    json_object_set(table, text[k], json_object_get(row, text[k]));
  for (PetscInt p = 0; p < work->points; p++) {
    json_array_append_new(value, json_null());
    json_array_append_new(error, json_null());
  }
  json_object_set_new(table, "value", value);
  json_object_set_new(table, "error", error);
  json_array_append_new(tables, table);
  json_object_set(index, key, table);
  return table;
}

/* The values of a single key, if all are positive numbers; the caller frees them. */
static PetscErrorCode GetPowers(const Work *work, PetscReal **key)
{
  PetscFunctionBegin;
  *key = NULL;
  if (work->sweep->keys > 1) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(work->points, key));
  for (PetscInt p = 0; p < work->points; p++) {
    char *end;

    (*key)[p] = strtod(ValueAt(work, p, 0), &end);
    if (*end || !((*key)[p] > 0) || !isfinite((*key)[p])) {
      PetscCall(PetscFree(*key));
      PetscFunctionReturn(0);
    }
  }
  PetscFunctionReturn(0);
}

/* Of the rows "results", or of those of "comparison", each the difference from the reference process; key: NULL: no
   orders. */
static json_t *ListTables(const Work *work, const char rows[], const char what[], const PetscReal key[])
{
  json_t *index = json_object(), *tables = json_array(), *table;
  size_t  t;

  for (PetscInt p = 0; p < work->points; p++) {
    size_t  i;
    json_t *row;

    json_array_foreach(json_object_get(work->point[p].results, rows), i, row)
    {
      if (!json_object_get(row, what)) continue;
      table = TableOf(work, index, tables, row);
      json_array_set(json_object_get(table, "value"), (size_t)p, json_object_get(row, what));
      json_array_set(json_object_get(table, "error"), (size_t)p, json_object_get(row, "error"));
    }
  }
  json_decref(index);
  json_array_foreach(tables, t, table) if (key) FPSweepAddOrder(work->points, key, table);
  return tables;
}

#define CLEAR 0.3 /* error of an order that is worth a line */

/* The orders of differences, as a table on the terminal */
static void PrintOrders(const Work *work, const json_t *differences)
{
  size_t        t;
  const json_t *table;
  PetscBool     first = PETSC_TRUE;

  json_array_foreach(differences, t, table)
  {
    const json_t *order = json_object_get(table, "order");
    char          name[3 * FP_NAME];

    if (!order || json_number_value(json_object_get(table, "order_error")) > CLEAR) continue;
    if (first)
      printf("differences from %s go as %s to the power of\n", json_string_value(json_object_get(table, "reference")),
             work->axis[0].option + 1);
    first = PETSC_FALSE;
    (void)snprintf(name, sizeof(name), "%s: %s %s", json_string_value(json_object_get(table, "process")),
                   json_string_value(json_object_get(table, "observable")),
                   json_string_value(json_object_get(table, "quantity")));
    printf("  %-50s %6.3f +- %.3f\n", name, json_number_value(order),
           json_number_value(json_object_get(table, "order_error")));
  }
}

static PetscErrorCode WriteSweep(const Work *work)
{
  json_t    *root = json_object(), *over = json_array();
  char       path[2 * FP_TEXT], aside[2 * FP_TEXT];
  PetscReal *key;
  int        bad;

  PetscFunctionBegin;
  for (int a = 0; a < work->sweep->keys; a++) {
    json_t *axis = json_object(), *values = json_array();

    for (PetscInt k = 0; k < work->axis[a].n; k++) json_array_append_new(values, Value(work->axis[a].value[k]));
    json_object_set_new(axis, "key", json_string(work->axis[a].option + 1));
    json_object_set_new(axis, "values", values);
    json_array_append_new(over, axis);
  }
  json_object_set_new(root, "schema", json_integer(1));
  json_object_set_new(root, "file", json_string(work->sweep->file));
  json_object_set_new(root, "over", over);
  json_object_set_new(root, "points", ListPoints(work));
  PetscCall(GetPowers(work, &key));
  json_object_set_new(root, "tables", ListTables(work, "results", "value", key));
  json_object_set_new(root, "differences", ListTables(work, "comparison", "difference", key));
  PetscCall(PetscFree(key));
  PrintOrders(work, json_object_get(root, "differences"));
  (void)snprintf(path, sizeof(path), "%s/sweep.json", work->sweep->dir);
  (void)snprintf(aside, sizeof(aside), "%s/.sweep.json.%d", work->sweep->dir, (int)getpid());
  bad = json_dump_file(root, aside, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  json_decref(root);
  PetscCheck(!bad && !rename(aside, path), PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s: %s", path,
             strerror(errno));
  PetscFunctionReturn(0);
}

/* One line per point, and where the numbers are. */
static PetscErrorCode Summarise(const Work *work, PetscInt *disagreements)
{
  PetscInt failed = 0;

  PetscFunctionBegin;
  *disagreements = 0;
  for (PetscInt p = 0; p < work->points; p++) {
    const Point    *point    = &work->point[p];
    const PetscBool disagree = Disagrees(point);
    json_t         *reason   = point->results ? NULL : Complaint(work, point);

    printf("  %-40s %s%s\n", point->name,
           reason     ? "failed: "
           : disagree ? "a cross-check disagrees"
                      : "done",
           reason ? json_string_value(reason) : "");
    json_decref(reason);
    failed += !point->results;
    *disagreements += disagree;
  }
  printf("tables in %s/sweep.json\n", work->sweep->dir);
  PetscCheck(!failed, PETSC_COMM_WORLD, PETSC_ERR_NOT_CONVERGED, "%d of %d points of the sweep failed", (int)failed,
             (int)work->points);
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunSweep(const FPSweep *sweep, PetscInt *disagreements)
{
  Work           work = {.sweep = sweep};
  FPResults      place;
  PetscErrorCode ierr;

  PetscFunctionBegin;
  for (int a = 0; a < sweep->keys; a++) PetscCall(OpenAxis(sweep->over[a], &work.axis[a]));
  PetscCall(OpenPoints(&work));
  PetscCall(FPResultsCreate(sweep->dir, &place)); /* makes the directory, or refuses it */
  PetscCall(RunPoints(&work));
  PetscCall(WriteSweep(&work));
  PetscCall(FPResultsDestroy(&place)); /* which removes it again where nothing has come into it */
  ierr = Summarise(&work, disagreements);
  for (PetscInt p = 0; p < work.points; p++) {
    json_decref(work.point[p].resolved);
    json_decref(work.point[p].results);
  }
  PetscCall(PetscFree(work.point));
  for (int a = 0; a < sweep->keys; a++) {
    PetscCall(PetscFree(work.axis[a].value));
    PetscCall(PetscFree(work.axis[a].text));
  }
  PetscCall(ierr);
  PetscFunctionReturn(0);
}

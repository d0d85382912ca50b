/* runs.h: whole runs from a line of keys, and the rows of their results. main() hands MakeFolder and RemoveFolder to
   cmocka_run_group_tests(). */
#ifndef FPTESTRUNS_H
#define FPTESTRUNS_H
#include "scene.h"
#include "fprun.h"
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/dlnfp-runs-XXXXXX";

static inline FPConfig MakeConfig(const char keys[])
{
  FPConfig config;

  must(FPConfigCreate(&config));
  must(FPConfigSet(config, "particles_threads", "1"));
  SceneSet(config, keys);
  return config;
}

/* Results of a whole run, without its tables. */
static inline json_t *Run(const char format[], ...)
{
  const int      null = open("/dev/null", O_WRONLY), out = dup(1), err = dup(2);
  char           path[128], keys[4096];
  PetscInt       disagreements;
  FPConfig       config;
  PetscErrorCode ierr;
  json_t        *root;
  va_list        args;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  config = MakeConfig(keys);
  (void)fflush(stdout);
  (void)dup2(null, 1);
  (void)dup2(null, 2);
  ierr = FPRunExecute(config, folder, &disagreements);
  (void)fflush(stdout);
  (void)dup2(out, 1);
  (void)dup2(err, 2);
  (void)close(null);
  (void)close(out);
  (void)close(err);
  must(ierr);
  must(FPConfigDestroy(&config));
  (void)snprintf(path, sizeof(path), "%s/results.json", folder);
  root = json_load_file(path, 0, NULL);
  assert_non_null(root);
  return root;
}

static inline const json_t *Row(const json_t *root, const char *process, const char *engine, const char *observable,
                                const char *quantity)
{
  size_t  i;
  json_t *row;

  json_array_foreach(json_object_get(root, "results"), i, row)
  {
    if (!strcmp(json_string_value(json_object_get(row, "process")), process) &&
        !strcmp(json_string_value(json_object_get(row, "engine")), engine) &&
        !strcmp(json_string_value(json_object_get(row, "observable")), observable) &&
        !strcmp(json_string_value(json_object_get(row, "quantity")), quantity))
      return row;
  }
  fail_msg("no %s of %s by %s of %s", quantity, observable, engine, process);
  return NULL;
}

static inline double Value(const json_t *root, const char *process, const char *engine, const char *observable,
                           const char *quantity, double *error)
{
  const json_t *row = Row(root, process, engine, observable, quantity);

  check(json_object_get(row, "value"), "%s of %s by %s of %s has no value", quantity, observable, engine, process);
  *error = json_number_value(json_object_get(row, "error"));
  return json_number_value(json_object_get(row, "value"));
}

/* Within its bound (generator; no wider than `useful`), within 5 standard errors (particles). */
static inline void Meets(const json_t *root, const char *process, const char *engine, const char *observable,
                         double exact, double useful, const char *format, ...)
{
  const double reach = strcmp(engine, "particles") ? 1 : 5;
  char         quantity[64];
  double       value, error;
  va_list      args;

  va_start(args, format);
  (void)vsnprintf(quantity, sizeof(quantity), format, args);
  va_end(args);
  value = Value(root, process, engine, observable, quantity, &error);
  check(fabs(value - exact) <= reach * error + 1e-12, "%s of %s by %s: %.9g +- %.2g, exact %.9g", quantity, process,
        engine, value, error, exact);
  check(error <= useful, "%s of %s by %s: error %g is of no use", quantity, process, engine, error);
}

static inline int MakeFolder(void **state)
{
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static inline int RemoveFolder(void **state)
{
  char command[64];

  (void)state;
  (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
  return system(command);
}
#endif

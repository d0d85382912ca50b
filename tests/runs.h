/* runs.h: whole runs from a line of keys, in the folder of the test, and what their rows say. */
#ifndef FPTESTRUNS_H
#define FPTESTRUNS_H
#include "folder.h"
#include "quiet.h"
#include "scene.h"
#include <math.h>

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
  char     keys[4096];
  PetscInt disagreements;
  FPConfig config;
  va_list  args;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  config = MakeConfig(keys);
  must(QuietRun(config, folder, &disagreements));
  must(FPConfigDestroy(&config));
  return LoadResults(folder);
}

/* Each of the cases, keys that come after the others, is refused as bad input before any work. */
static inline void RefusesEach(const char keys[], size_t n, const char *const cases[])
{
  for (size_t k = 0; k < n; k++) {
    FPConfig config = MakeConfig(keys);

    SceneSet(config, cases[k]);
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    check(FPRunCheck(config) == PETSC_ERR_USER_INPUT, "%s was not refused as bad input", cases[k]);
    must(PetscPopErrorHandler());
    must(FPConfigDestroy(&config));
  }
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
#endif

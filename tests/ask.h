/* ask.h: one observable's answers of the engines that need no run ("exact", and those it simulates itself), from a line
   of keys "key=value ...". */
#ifndef FPTESTASK_H
#define FPTESTASK_H
#include "scene.h"
#include <stdlib.h>
#include <unistd.h>

typedef struct {
  Scene     scene;
  FPResults results;
  char      dir[40];
} Asked;

/* A mesh is optional here. The processes: one name. */
static inline void AskExact(Asked *a, const char observable[], const char process[], const char format[], ...)
{
  Scene       *s = &a->scene;
  FPScene      scene;
  FPObservable o;
  PetscBool    has;
  char         keys[4096];
  va_list      args;

  memset(a, 0, sizeof(*a));
  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  strcpy(a->dir, "/tmp/dlnfp-ask-XXXXXX");
  assert_non_null(mkdtemp(a->dir));
  must(FPResultsCreate(a->dir, &a->results));
  SceneMake(s, process, keys, &has);
  scene = (FPScene){.model         = s->model,
                    .mesh          = s->mesh,
                    .results       = a->results,
                    .processes     = 1,
                    .process       = &s->process,
                    .use_particles = PETSC_TRUE};
  must(FPParticleOptionsRead(s->config, &scene.particles));
  must(FPObservableCreate(s->config, observable, &o));
  must(FPObservableRead(o, s->config, s->model, s->mesh, PETSC_FALSE));
  must(FPObservableSetScene(o, &scene));
  must(FPObservableExact(o));
  must(FPObservableDestroy(&o));
}

static inline PetscBool AskHas(Asked *a, const char process[], const char engine[], const char observable[],
                               const char quantity[], PetscReal *value, PetscReal *error)
{
  PetscBool found;

  must(FPResultsGet(a->results, process, engine, observable, quantity, value, error, &found));
  return found;
}

static inline PetscReal AskValue(Asked *a, const char process[], const char engine[], const char observable[],
                                 const char quantity[], PetscReal *error)
{
  PetscReal value = 0, own;

  if (!AskHas(a, process, engine, observable, quantity, &value, error ? error : &own))
    fail_msg("no %s of %s by %s", quantity, process, engine);
  return value;
}

static inline void AskClose(Asked *a)
{
  must(FPResultsDestroy(&a->results));
  must(rmdir(a->dir));
  SceneClose(&a->scene);
}
#endif

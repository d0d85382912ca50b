/* scene.h: a process on its grids from a line of keys, for tests of the generator. */
#ifndef FPTESTSCENE_H
#define FPTESTSCENE_H
#include "test.h"
#include "fpobservable.h"
#include <stdio.h>
#include <string.h>

#define SCENE_LEVELS 3

typedef struct {
  FPConfig           config;
  FPData             data;
  FPModel            model;
  FPProcess          process;
  FPMesh             mesh;
  FPGeneratorOptions options;
  PetscInt           dim;
  FPGenerator        gen; /* of the grid asked for last; NULL: none yet */
} Scene;

/* keys: "key=value" separated by blanks. */
static inline void SceneSet(FPConfig config, const char keys[])
{
  char text[4096], *rest = text;

  assert_true(strlen(keys) < sizeof(text));
  strcpy(text, keys);
  for (char *word = strtok_r(rest, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
    char *value = strchr(word, '=');

    assert_non_null(value);
    *value = 0;
    must(FPConfigSet(config, word, value + 1));
  }
}

/* The process of that name with the keys; has: a mesh is among them. */
static inline void SceneMake(Scene *s, const char process[], const char keys[], PetscBool *has)
{
  memset(s, 0, sizeof(*s));
  must(FPConfigCreate(&s->config));
  SceneSet(s->config, keys);
  must(FPDataCreate(s->config, &s->data));
  must(FPModelCreate(s->config, s->data, &s->model));
  must(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
  must(FPProcessCreate(s->config, process, s->model, &s->process));
  must(FPMeshCreate(s->config, s->dim, &s->mesh, has));
}

/* The same with a mesh, from keys that are formatted as by printf(). */
static inline void SceneOpen(Scene *s, const char process[], const char format[], ...)
{
  char      keys[4096];
  PetscBool has;
  va_list   args;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  SceneMake(s, process, keys, &has);
  assert_true(has);
  must(FPGeneratorOptionsRead(s->config, &s->options));
}

/* Build the grid of a level, in place of the one before. */
static inline FPGenerator SceneGrid(Scene *s, PetscInt level)
{
  must(FPGeneratorDestroy(&s->gen));
  must(FPGeneratorCreate(s->process, s->mesh, level, &s->options, NULL, &s->gen));
  return s->gen;
}

/* What the observables spectrum, stationary and current answer on the grid of a level, solver errors with them. */
static inline void SceneAsk(Scene *s, PetscInt level, FPQuantities *q)
{
  const char *const names[] = {"spectrum", "stationary", "current"};
  FPScene           scene   = {.model = s->model, .mesh = s->mesh, .processes = 1, .process = &s->process};
  const FPBox      *box;
  PetscInt          pairs;
  FPObservable      o;

  must(FPMeshGetBox(s->mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  (void)SceneGrid(s, level);
  for (int k = 0; k < 3; k++) {
    must(FPObservableCreate(s->config, names[k], &o));
    must(FPObservableSetScene(o, &scene));
    must(FPObservableGetPairs(o, &pairs));
    if (k == 0) must(FPGeneratorSolve(s->gen, pairs));
    must(FPObservableGenerator(o, s->gen, PETSC_FALSE, q));
    must(FPObservableDestroy(&o));
  }
}

static inline PetscReal SceneValue(const FPQuantities *q, const char name[], PetscReal *error)
{
  const FPQuantity *found;

  must(FPQuantitiesFind(q, name, &found));
  if (!found) fail_msg("no quantity %s", name);
  if (error) *error = found->error;
  return found->value;
}

static inline void SceneClose(Scene *s)
{
  must(FPGeneratorDestroy(&s->gen));
  must(FPMeshDestroy(&s->mesh));
  must(FPProcessDestroy(&s->process));
  must(FPModelDestroy(&s->model));
  must(FPDataDestroy(&s->data));
  must(FPConfigDestroy(&s->config));
}

/* One quantity of one observable, on the finest grid of a process of its own, that nothing else is asked of. */
static inline PetscReal SceneAnswer(const char observable[], const char process[], const char keys[],
                                    const char quantity[])
{
  Scene        s;
  FPScene      scene;
  FPObservable o;
  FPQuantities q = {0};
  const FPBox *box;
  PetscReal    value;

  SceneOpen(&s, process, "%s", keys);
  scene = (FPScene){.model = s.model, .mesh = s.mesh, .processes = 1, .process = &s.process};
  must(FPMeshGetBox(s.mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  must(FPObservableCreate(s.config, observable, &o));
  must(FPObservableRead(o, s.config, s.model, s.mesh, PETSC_TRUE));
  must(FPObservableSetScene(o, &scene));
  must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
  must(FPObservableGenerator(o, s.gen, PETSC_FALSE, &q));
  value = SceneValue(&q, quantity, NULL);
  must(FPObservableDestroy(&o));
  must(FPQuantitiesFree(&q));
  SceneClose(&s);
  return value;
}
#endif

/* models.h: a model from keys and values, and data for it in which nothing is round or symmetric. */
#ifndef FPTESTMODELS_H
#define FPTESTMODELS_H
#include "test.h"
#include "fpmodel.h"

typedef struct {
  FPConfig config;
  FPData   data;
  FPModel  model;
} Case;

static inline PetscErrorCode Create(const char *const keys[], Case *c)
{
  PetscFunctionBegin;
  PetscCall(PetscMemzero(c, sizeof(*c)));
  PetscCall(FPConfigCreate(&c->config));
  for (PetscInt k = 0; keys[k]; k += 2) PetscCall(FPConfigSet(c->config, keys[k], keys[k + 1]));
  PetscCall(FPDataCreate(c->config, &c->data));
  PetscCall(FPModelCreate(c->config, c->data, &c->model));
  PetscFunctionReturn(0);
}

static inline void destroy(Case *c)
{
  must(FPModelDestroy(&c->model));
  must(FPDataDestroy(&c->data));
  must(FPConfigDestroy(&c->config));
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void near(PetscReal value, PetscReal expected, PetscReal tolerance, const char what[])
{
  check(PetscAbsReal(value - expected) <= tolerance, "%s: %.17g instead of %.17g", what, (double)value,
        (double)expected);
}

static inline const FPCriticalPoint *point(FPModel model, const char name[])
{
  const FPCriticalPoint *found;

  must(FPModelFindCriticalPoint(model, name, &found));
  if (!found) fail_msg("no critical point %s", name);
  return found;
}

/* z and eigenvalue may be NULL. */
static inline void check_point(FPModel model, const char name[], PetscInt index, PetscInt flat, PetscInt n,
                               const double z[], const double eigenvalue[])
{
  const FPCriticalPoint *found = point(model, name);

  check(found->index == index && found->flat == flat, "%s: index %d, flat %d", name, (int)found->index,
        (int)found->flat);
  for (PetscInt i = 0; z && i < n; i++) near(found->z[i], z[i], 1e-9, name);
  for (PetscInt i = 0; eigenvalue && i < n; i++) near(found->eigenvalue[i], eigenvalue[i], 1e-8, name);
}

#define ONE "data_type", "gaussian", "data_teacher", "1.3", "data_label_noise", "0.4", "data_second_moment", "0.8"
#define SIGN "data_type", "rademacher", "data_teacher", "-1.1", "data_label_noise", "0.7", "data_second_moment", "1.7"
#define TWO                                                                                                            \
  "data_type", "gaussian", "data_teacher", "0.7,-0.25,0.4,1.3", "data_label_noise", "0.31", "data_second_moment", "1.2"
#define IRIS                                                                                                           \
  "data_type", "file", "data_path", "data/iris_2x2.csv", "data_standardize", "true", "data_inputs",                    \
      "sepal_length_cm,petal_length_cm", "data_targets", "sepal_width_cm,petal_width_cm"
#define THREE                                                                                                          \
  "data_type", "gaussian", "data_teacher", "1.2,-0.5,0.3", "data_label_noise", "0.5", "data_second_moment", "0.9"
#endif

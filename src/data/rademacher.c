/* rademacher.c: "rademacher": independent inputs x_i = +-sqrt(s), y = A x + xi, xi ~ N(0, sigma^2 I).
   Exact, one input: x^2 = s always, so r = (p x - y) x has the constant variance s sigma^2 and many laws are closed
   forms. Sampler: bit i of one word is the sign of x_i; one normal per target (none without label noise). */
#include "dataimpl.h"

FP_HOT static void FPDataDraw_Rademacher(const void *context, const float *normal, const unsigned *word, double *x,
                                         double *y)
{
  const FPTeacher *t = (const FPTeacher *)context;

  for (int i = 0; i < t->inputs; i++) {
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) x[i * FP_BLOCK + l] = (word[l] >> i) & 1u ? t->root : -t->root;
  }
  FPTeacherTargets(t, normal, x, y);
}

static PetscErrorCode FPDataNodes_Rademacher(FPData data, PetscInt degree, PetscInt *count, PetscReal **u,
                                             PetscReal **weight)
{
  const double x[2] = {-1, 1}, w[2] = {0.5, 0.5};

  PetscFunctionBegin;
  PetscCall(FPTeacherNodes(data, 2, x, w, degree, count, u, weight));
  PetscFunctionReturn(0);
}

static const FPSampler Sampler_Rademacher = {.draw = FPDataDraw_Rademacher, .words = 1};

PetscErrorCode FPDataCreate_Rademacher(FPData data, FPConfig config)
{
  PetscFunctionBegin;
  data->sampler = Sampler_Rademacher;
  PetscCall(FPTeacherCreate(data, config, -2));
  data->nodes           = FPDataNodes_Rademacher;
  data->sampler.normals = ((FPTeacher *)data->impl)->sigma > 0 ? data->targets : 0;
  PetscFunctionReturn(0);
}

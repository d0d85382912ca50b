/* gaussian.c: "gaussian": x ~ N(0, s I), y = A x + xi, xi ~ N(0, sigma^2 I).
   Exact, one input and target, model f = p x: r = (p x - y) x has mean s (p - A) and variance 2 s^2 (p - A)^2 + s
   sigma^2. Sampler: one normal per input, then one per target (none without label noise). */
#include "dataimpl.h"

FP_HOT static void FPDataDraw_Gaussian(const void *context, const float *normal, PETSC_UNUSED const unsigned *word,
                                       double *x, double *y)
{
  const FPTeacher *t = (const FPTeacher *)context;
  const int        m = t->inputs;

#pragma omp simd
  for (int l = 0; l < m * FP_BLOCK; l++) x[l] = t->root * (double)normal[l];
  FPTeacherTargets(t, normal + m * FP_BLOCK, x, y);
}

static PetscErrorCode FPDataNodes_Gaussian(FPData data, PetscInt degree, PetscInt *count, PetscReal **u,
                                           PetscReal **weight)
{
  PetscInt n;
  double  *x, *w;

  PetscFunctionBegin;
  PetscCall(FPGaussHermite(degree, &n, &x, &w));
  PetscCall(FPTeacherNodes(data, n, x, w, degree, count, u, weight));
  PetscCall(PetscFree2(x, w));
  PetscFunctionReturn(0);
}

static const FPSampler Sampler_Gaussian = {.draw = FPDataDraw_Gaussian};

PetscErrorCode FPDataCreate_Gaussian(FPData data, FPConfig config)
{
  PetscFunctionBegin;
  data->sampler = Sampler_Gaussian;
  PetscCall(FPTeacherCreate(data, config, 0));
  data->nodes           = FPDataNodes_Gaussian;
  data->sampler.normals = data->inputs + (((FPTeacher *)data->impl)->sigma > 0 ? data->targets : 0);
  PetscFunctionReturn(0);
}

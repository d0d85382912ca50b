/* "gradient": b = -metric grad V, the drift of gradient flow. Exact: with isotropic noise the law is exp(-V/T). */
#include "processimpl.h"

FP_HOT static void Negate(int count, double *b)
{
#pragma omp simd
  for (int k = 0; k < count; k++) b[k] = -b[k];
}

static void FPDriftDrift_Gradient(FPProcess process, int n, const double *w, double *b)
{
  FPModelGradient(process->model, n, w, b);
  Negate((int)process->weights * n, b);
}

static void FPDriftEnergy_Gradient(FPProcess process, int n, const double *w, double *U)
{
  FPModelPotential(process->model, n, w, U);
}

PetscErrorCode FPDriftCreate_Gradient(FPProcess process)
{
  PetscFunctionBegin;
  process->drift.drift  = FPDriftDrift_Gradient;
  process->drift.energy = FPDriftEnergy_Gradient;
  PetscFunctionReturn(0);
}

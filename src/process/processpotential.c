/* processpotential.c: is the process reversible with a known potential Phi, b = -D grad Phi + div D? */
#include "processimpl.h"
#include <petscblaslapack.h>

/* Linear drift and constant D (type ou): b = -D grad Phi needs D^{-1} grad b symmetric; then Phi is quadratic with
   slope -D^{-1} b at the center. */
static PetscErrorCode SetUpQuadratic(FPProcess process)
{
  const PetscInt         d = process->dim;
  const FPCriticalPoint *points;
  PetscInt               count;
  PetscReal              D[FP_MAX_DIM * FP_MAX_DIM], right[FP_MAX_DIM * (FP_MAX_DIM + 1)], z[FP_MAX_DIM], b[FP_MAX_DIM];
  PetscReal              largest = 0.0, asymmetry = 0.0;
  PetscBLASInt           n = (PetscBLASInt)d, columns = n + 1, info;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(process->model, &count, &points));
  for (PetscInt i = 0; i < d; i++) process->center[i] = count ? points[0].z[i] : 0.0;
  FPProcessWeightDiffusion(process, 1, process->center, D);
  process->drift.drift(process, 1, process->center, process->slope);
  for (PetscInt j = 0; j < d; j++) { /* column j of -grad b, exact as b is linear */
    PetscCall(PetscArraycpy(z, process->center, d));
    z[j] += 1.0;
    process->drift.drift(process, 1, z, b);
    for (PetscInt i = 0; i < d; i++) right[j * d + i] = process->slope[i] - b[i];
  }
  LAPACKpotrf_("L", &n, D, &n, &info);
  if (info > 0) PetscFunctionReturn(0); /* D is singular */
  for (PetscInt i = 0; i < d; i++) right[d * d + i] = -process->slope[i];
  LAPACKpotrs_("L", &n, &columns, D, &n, right, &n, &info);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "dpotrs returned %d", (int)info);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) {
      largest                       = PetscMax(largest, PetscAbsReal(right[i * d + j]));
      asymmetry                     = PetscMax(asymmetry, PetscAbsReal(right[i * d + j] - right[j * d + i]));
      process->curvature[i * d + j] = 0.5 * (right[i * d + j] + right[j * d + i]);
    }
  for (PetscInt i = 0; i < d; i++) process->slope[i] = right[d * d + i];
  if (asymmetry <= 1e-12 * largest) process->potential = FP_QUADRATIC;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessSetUpPotential(FPProcess process)
{
  const char *type, *coordinates;
  PetscBool   linear, has;

  PetscFunctionBegin;
  process->potential = FP_NO_POTENTIAL;
  if (process->algorithm.kind != FP_SDE) PetscFunctionReturn(0);
  PetscCall(FPModelGetName(process->model, &type, &coordinates));
  PetscCall(PetscStrcmp(type, "ou", &linear));
  PetscCall(FPModelHasPotential(process->model, &has));
  if (linear)
    PetscCall(SetUpQuadratic(process));
  else if (has && process->noise.isotropic && process->training.temperature > 0.0)
    process->potential = FP_ENERGY;
  PetscFunctionReturn(0);
}

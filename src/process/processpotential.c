/* processpotential.c: is the process reversible with a known potential Phi, b = -D grad Phi + div D? */
#include "processimpl.h"
#include <gsl/gsl_eigen.h>

/* right[d][d] = D^{-1} right. nonsingular: D is positive definite beyond rounding. Destroys D. */
static PetscErrorCode Solve(size_t d, PetscReal D[], PetscReal right[], PetscBool *nonsingular)
{
  PetscReal                  value[FP_MAX_DIM], *vector = FPScratchTake(d * d), part[FP_MAX_DIM];
  gsl_eigen_symmv_workspace *work    = gsl_eigen_symmv_alloc(d);
  gsl_matrix_view            matrix  = gsl_matrix_view_array(D, d, d);
  gsl_matrix_view            vectors = gsl_matrix_view_array(vector, d, d);
  gsl_vector_view            values  = gsl_vector_view_array(value, d);

  PetscFunctionBegin;
  PetscCheck(work, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for eigenvalues");
  PetscCheck(!gsl_eigen_symmv(&matrix.matrix, &values.vector, &vectors.matrix, work), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "GSL finds no eigenvalues of D");
  gsl_eigen_symmv_free(work);
  *nonsingular = (PetscBool)(gsl_vector_min(&values.vector) > 1e-13 * gsl_vector_max(&values.vector));
  for (size_t c = 0; c < d && *nonsingular; c++) {
    for (size_t k = 0; k < d; k++) {
      part[k] = 0.0;
      for (size_t i = 0; i < d; i++) part[k] += vector[i * d + k] * right[i * d + c] / value[k];
    }
    for (size_t i = 0; i < d; i++) {
      right[i * d + c] = 0.0;
      for (size_t k = 0; k < d; k++) right[i * d + c] += vector[i * d + k] * part[k];
    }
  }
  FPScratchRelease(vector);
  PetscFunctionReturn(0);
}

/* Linear drift and constant D (type ou): b = -D grad Phi needs D^{-1} grad b symmetric; then Phi = y^T D^{-1} (-grad b)
   y/2 with y the distance from a point where b = 0. */
static PetscErrorCode SetUpQuadratic(FPProcess process)
{
  const PetscInt         d = process->dim;
  const FPCriticalPoint *points;
  PetscInt               count;
  PetscReal             *D, *right;
  PetscReal              z[FP_MAX_DIM], b[FP_MAX_DIM], rest[FP_MAX_DIM], largest = 0.0, asymmetry = 0.0;
  PetscBool              nonsingular = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(process->model, &count, &points));
  if (!count) PetscFunctionReturn(0);
  D     = FPScratchTake((size_t)(d * d));
  right = FPScratchTake((size_t)(d * d));
  PetscCall(PetscArraycpy(process->center, points[0].z, d));
  FPProcessWeightDiffusion(process, 1, process->center, D);
  process->drift.drift(process, 1, process->center, rest);
  for (PetscInt j = 0; j < d; j++) { /* column j of -grad b, exact as b is linear */
    PetscCall(PetscArraycpy(z, process->center, d));
    z[j] += 1.0;
    process->drift.drift(process, 1, z, b);
    for (PetscInt i = 0; i < d; i++) right[i * d + j] = rest[i] - b[i];
  }
  PetscCall(Solve((size_t)d, D, right, &nonsingular));
  PetscCall(PetscMalloc1(d * d, &process->curvature));
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) {
      const PetscReal a = right[i * d + j], t = right[j * d + i];

      largest                       = PetscMax(largest, PetscAbsReal(a));
      asymmetry                     = PetscMax(asymmetry, PetscAbsReal(a - t));
      process->curvature[i * d + j] = 0.5 * (a + t);
    }
  if (nonsingular && asymmetry <= 1e-12 * largest) process->potential = FP_QUADRATIC;
  FPScratchRelease(D);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessSetUpPotential(FPProcess process)
{
  const char *type, *coordinates;
  PetscBool   linear, has;

  PetscFunctionBegin;
  process->potential = FP_NO_POTENTIAL;
  if (process->algorithm.kind != FP_SDE || process->noise.stable.has) PetscFunctionReturn(0);
  PetscCall(FPModelGetName(process->model, &type, &coordinates));
  PetscCall(PetscStrcmp(type, "ou", &linear));
  PetscCall(FPModelHasPotential(process->model, &has));
  if (linear)
    PetscCall(SetUpQuadratic(process));
  else if (has && process->drift.energy && process->noise.isotropic && process->training.temperature > 0.0)
    process->potential = FP_ENERGY;
  PetscFunctionReturn(0);
}

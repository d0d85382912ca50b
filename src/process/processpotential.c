/* processpotential.c: is the process reversible with a known potential Phi, b = -D grad Phi + div D? */
#include "processimpl.h"
#include <gsl/gsl_eigen.h>

/* right[d][columns] = D^{-1} right. nonsingular: D is positive definite beyond rounding. Destroys D. */
static PetscErrorCode Solve(size_t d, size_t columns, PetscReal D[], PetscReal right[], PetscBool *nonsingular)
{
  PetscReal                  value[FP_MAX_DIM], vector[FP_MAX_DIM * FP_MAX_DIM], part[FP_MAX_DIM];
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
  if (!*nonsingular) PetscFunctionReturn(0);
  for (size_t c = 0; c < columns; c++) {
    for (size_t k = 0; k < d; k++) {
      part[k] = 0.0;
      for (size_t i = 0; i < d; i++) part[k] += vector[i * d + k] * right[i * columns + c] / value[k];
    }
    for (size_t i = 0; i < d; i++) {
      right[i * columns + c] = 0.0;
      for (size_t k = 0; k < d; k++) right[i * columns + c] += vector[i * d + k] * part[k];
    }
  }
  PetscFunctionReturn(0);
}

/* Linear drift and constant D (type ou): b = -D grad Phi needs D^{-1} grad b symmetric; then Phi is quadratic with
   slope -D^{-1} b at the center. */
static PetscErrorCode SetUpQuadratic(FPProcess process)
{
  const PetscInt         d = process->dim, columns = d + 1;
  const FPCriticalPoint *points;
  PetscInt               count;
  PetscReal              D[FP_MAX_DIM * FP_MAX_DIM], right[FP_MAX_DIM * (FP_MAX_DIM + 1)], z[FP_MAX_DIM], b[FP_MAX_DIM];
  PetscReal              largest = 0.0, asymmetry = 0.0;
  PetscBool              nonsingular;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(process->model, &count, &points));
  for (PetscInt i = 0; i < d; i++) process->center[i] = count ? points[0].z[i] : 0.0;
  FPProcessWeightDiffusion(process, 1, process->center, D);
  process->drift.drift(process, 1, process->center, process->slope);
  for (PetscInt j = 0; j < d; j++) { /* column j of -grad b, exact as b is linear */
    PetscCall(PetscArraycpy(z, process->center, d));
    z[j] += 1.0;
    process->drift.drift(process, 1, z, b);
    for (PetscInt i = 0; i < d; i++) right[i * columns + j] = process->slope[i] - b[i];
  }
  for (PetscInt i = 0; i < d; i++) right[i * columns + d] = -process->slope[i];
  PetscCall(Solve((size_t)d, (size_t)columns, D, right, &nonsingular));
  if (!nonsingular) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) {
      const PetscReal a = right[i * columns + j], t = right[j * columns + i];

      largest                       = PetscMax(largest, PetscAbsReal(a));
      asymmetry                     = PetscMax(asymmetry, PetscAbsReal(a - t));
      process->curvature[i * d + j] = 0.5 * (a + t);
    }
  for (PetscInt i = 0; i < d; i++) process->slope[i] = right[i * columns + d];
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

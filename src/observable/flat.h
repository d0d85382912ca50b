/* flat.h: what the two files of the observable flat share: the subspace of flat directions of a critical point. */
#ifndef FPFLAT_H
#define FPFLAT_H
#include "observableimpl.h"

#define FP_FLAT_MOST 3 /* dimensions of the subspace */

typedef struct {
  /* keys */
  FPStrings at;
  PetscReal width;
  /* the subspace z + span(basis), and the box lower <= x <= upper of its coordinates; bounded: by the mesh */
  FPModel   model;
  PetscInt  dim, k;
  PetscReal z[FP_MAX_DIM], basis[FP_FLAT_MOST * FP_MAX_DIM]; /* basis[k][dim], orthonormal */
  PetscReal stiffest;                                        /* largest modulus of a Hessian eigenvalue across it */
  PetscReal lower[FP_FLAT_MOST], upper[FP_FLAT_MOST], room;  /* room: least length of the box of the mesh, 0: none */
  PetscBool bounded;
  char      reason[FP_TEXT]; /* why there is nothing to say; empty: there is */
  /* with a mesh: the coordinates x as a model and a mesh of their own, and keys that ask for mixing from x = 0 */
  FPConfig config;
  FPModel  along;
  FPMesh   mesh;
  /* particles */
  FPProcess process, told;
  PetscReal slab; /* half its width */
} FPFlat;

PETSC_INTERN PetscErrorCode FPFlatGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q);
/* Rows PREFIXmean[i], PREFIXcovariance[i][j], PREFIXloss of m: mean of x [k], of x x^T (upper triangle), of the loss.
 */
PETSC_INTERN PetscErrorCode FPFlatAddMoments(const FPFlat *f, const char prefix[], const PetscReal m[], PetscReal error,
                                             FPQuantities *q);
/* z of x[k] */
static inline void FPFlatPoint(const FPFlat *f, const PetscReal x[], PetscReal z[])
{
  for (PetscInt a = 0; a < f->dim; a++) {
    z[a] = f->z[a];
    for (PetscInt i = 0; i < f->k; i++) z[a] += x[i] * f->basis[i * f->dim + a];
  }
}
static inline PetscInt FPFlatMoments(const FPFlat *f)
{
  return f->k + f->k * (f->k + 1) / 2 + 1;
}
/* m += weight * (x, x x^T, loss at x) */
static inline void FPFlatAdd(const FPFlat *f, PetscReal weight, const PetscReal x[], PetscReal m[])
{
  PetscReal z[FP_MAX_DIM], loss;

  FPFlatPoint(f, x, z);
  FPModelLoss(f->model, 1, z, &loss);
  for (PetscInt i = 0; i < f->k; i++) *m++ += weight * x[i];
  for (PetscInt i = 0; i < f->k; i++)
    for (PetscInt j = i; j < f->k; j++) *m++ += weight * x[i] * x[j];
  *m += weight * loss;
}
#endif

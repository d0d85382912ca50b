/* symmetric.c: "symmetric": f = U U^T x with U of shape 2 x r, two inputs, two targets; g = (G + G^T) U, G = e x^T.
   Weights by rows of U, d = 2 r. Exact, E x x^T = s I, without decay, lambda_1 > lambda_2 the eigenvalues of the
   symmetrised teacher, v_i its eigenvectors, r = 1: minima +-sqrt(lambda_1) v_1; saddles +-sqrt(lambda_2) v_2 and a
   maximum at 0 if lambda_2 > 0; a saddle at 0 if lambda_2 < 0 < lambda_1. The Hessian at 0 has eigenvalues -2 s
   lambda_i, at the minima 4 s lambda_1 and 2 s (lambda_1 - lambda_2). For r = 2 rotations of the columns make every
   point but 0 part of a continuum. */
#include "modelimpl.h"

typedef struct {
  PetscInt rank;
  char     coordinates[FP_TEXT];
} Keys;

const FPParameter FPSymmetricParameters[] = {
    {"rank", FP_INT, offsetof(Keys, rank), "1", 1, 2, NULL, NULL, "columns of U"},
    {"coordinates", FP_CHOICE, offsetof(Keys, coordinates), "weights", 0, 0, "weights", NULL,
     "the entries of U by rows"},
    {.name = NULL},
};

FP_HOT static void FPModelMap_Symmetric(FPModel model, int n, const double *U, double *M)
{
  const int r = model->rank;

  for (int ij = 0; ij < 4; ij++) {
    for (int l = 0; l < n; l++) M[ij * n + l] = 0;
    for (int k = 0; k < r; k++) {
#pragma omp simd
      for (int l = 0; l < n; l++) M[ij * n + l] += U[(ij / 2 * r + k) * n + l] * U[(ij % 2 * r + k) * n + l];
    }
  }
}

/* dM_ij/dU_pk = delta_ip U_jk + delta_jp U_ik */
FP_HOT static void FPModelJacobian_Symmetric(FPModel model, int n, const double *U, double *J)
{
  const int r = model->rank, d = 2 * r;

  for (int ij = 0; ij < 4; ij++)
    for (int pk = 0; pk < d; pk++) {
      const int     i = ij / 2, j = ij % 2, k = pk % r;
      const double  first = i == pk / r, second = j == pk / r;
      const double *U_ik = U + (i * r + k) * n, *U_jk = U + (j * r + k) * n;
#pragma omp simd
      for (int l = 0; l < n; l++) J[(ij * d + pk) * n + l] = first * U_jk[l] + second * U_ik[l];
    }
}

FP_HOT static void FPModelSecond_Symmetric(FPModel model, int n, PETSC_UNUSED const double *U, int a, double *H)
{
  const int r = model->rank, d = 2 * r, i = a / 2, j = a % 2;

  for (int PQ = 0; PQ < d * d; PQ++) {
    const int    P = PQ / d, Q = PQ % d, p = P / r, q = Q / r;
    const double value = P % r == Q % r ? (i == p && j == q) + (j == p && i == q) : 0;

    for (int l = 0; l < n; l++) H[PQ * n + l] = value;
  }
}

/* (G + G^T) U with G + G^T = e x^T + x e^T */
FP_HOT static void FPModelSample_Symmetric(FPModel model, int n, const double *U, const double *x, const double *y,
                                           double *g)
{
  const int r = model->rank;
  double    xU[2][FP_BLOCK], eU[2][FP_BLOCK], e[2 * FP_BLOCK];

  for (int k = 0; k < r; k++) {
#pragma omp simd
    for (int l = 0; l < n; l++) xU[k][l] = x[l] * U[k * n + l] + x[n + l] * U[(r + k) * n + l];
  }
  for (int i = 0; i < 2; i++) {
    for (int l = 0; l < n; l++) e[i * n + l] = -y[i * n + l];
    for (int k = 0; k < r; k++) {
#pragma omp simd
      for (int l = 0; l < n; l++) e[i * n + l] += U[(i * r + k) * n + l] * xU[k][l];
    }
  }
  for (int k = 0; k < r; k++) {
#pragma omp simd
    for (int l = 0; l < n; l++) eU[k][l] = e[l] * U[k * n + l] + e[n + l] * U[(r + k) * n + l];
  }
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < r; k++) {
#pragma omp simd
      for (int l = 0; l < n; l++) g[(i * r + k) * n + l] += e[i * n + l] * xU[k][l] + x[i * n + l] * eU[k][l];
    }
}

static PetscErrorCode FPModelName_Symmetric(FPModel model, PetscInt i, char name[])
{
  PetscFunctionBegin;
  if (model->rank == 1)
    PetscCall(PetscSNPrintf(name, FP_NAME, "u%" PetscInt_FMT, i + 1));
  else
    PetscCall(PetscSNPrintf(name, FP_NAME, "u%" PetscInt_FMT "%" PetscInt_FMT, i / 2 + 1, i % 2 + 1));
  PetscFunctionReturn(0);
}

static const FPModelOps Ops = {.map      = FPModelMap_Symmetric,
                               .jacobian = FPModelJacobian_Symmetric,
                               .second   = FPModelSecond_Symmetric,
                               .sample   = FPModelSample_Symmetric,
                               .name     = FPModelName_Symmetric};

PetscErrorCode FPModelCreate_Symmetric(FPModel model, FPConfig config)
{
  Keys keys;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "model", FPSymmetricParameters, &keys));
  PetscCall(FPNetworkCheckSizes(model, 2, 2));
  PetscCall(PetscStrncpy(model->coordinates, keys.coordinates, FP_TEXT));
  model->rank    = keys.rank;
  model->depth   = 2;
  model->weights = 2 * keys.rank;
  model->dim     = model->weights;
  model->ops     = Ops;
  PetscCall(FPNetworkSetUp(model));
  PetscFunctionReturn(0);
}

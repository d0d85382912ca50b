/* chain.c: "chain": f = p x with p = w_1 ... w_L, one input, one target. g_j = r dp/dw_j with r = (p x - y) x, so C(w)
   = Var(r) grad p grad p^T has rank one everywhere and vanishes where grad p does. Coordinates: `weights` (d = L);
   `balanced`, w_1 = ... = w_L = w, d = 1, metric 1/L, exact for SGD since equal weights stay equal; `invariant` (L =
   2), see invariant.c. Exact, Gaussian data of variance s, teacher P, noise sigma: Var r = 2 s^2 (p - P)^2 + s sigma^2;
   with decay l and L = 2 the wells are w_1 = w_2 = +-sqrt(P - l/s), where the Hessian has eigenvalues 2 (s P - l) and 2
   l. */
#include "modelimpl.h"

#define SIGNS 8 /* weights up to which all patterns of signs are listed */

typedef struct {
  PetscInt depth;
  char     coordinates[FP_TEXT];
} Keys;

const FPParameter FPChainParameters[] = {
    {"depth", FP_INT, offsetof(Keys, depth), "2", 1, FP_MAX_DIM, NULL, NULL,
     "number of weights in the product; to 8, critical points of all patterns of signs are listed"},
    {"coordinates", FP_CHOICE, offsetof(Keys, coordinates), "weights", 0, 0, "weights balanced invariant", NULL,
     "all weights; one weight standing for all; (p, q) = (w1 w2, (w1^2 - w2^2)/2)"},
    {.name = NULL},
};

/* z = x y over n lanes */
static inline void Multiply(int n, const double *x, const double *y, double *z)
{
#pragma omp simd
  for (int l = 0; l < n; l++) z[l] = x[l] * y[l];
}

/* before[j] = w_1 ... w_j, j = 0 .. d */
static inline void Before(int d, int n, const double *w, double *before)
{
  for (int l = 0; l < n; l++) before[l] = 1;
  for (int j = 0; j < d; j++) Multiply(n, before + j * n, w + j * n, before + (j + 1) * n);
}

FP_HOT static void FPModelMap_Chain(FPModel model, int n, const double *w, double *M)
{
  for (int l = 0; l < n; l++) M[l] = w[l];
  for (int j = 1; j < model->weights; j++) Multiply(n, M, w + j * n, M);
}

/* dp/dw_j: what comes before it times what comes after it */
FP_HOT static void FPModelJacobian_Chain(FPModel model, int n, const double *w, double *J)
{
  const int d = model->weights;
  double    after[FP_BLOCK];

  for (int l = 0; l < n; l++) J[l] = after[l] = 1;
  for (int j = 1; j < d; j++) Multiply(n, J + (j - 1) * n, w + (j - 1) * n, J + j * n);
  for (int j = d - 1; j > 0; j--) {
    Multiply(n, after, w + j * n, after);
    Multiply(n, J + (j - 1) * n, after, J + (j - 1) * n);
  }
}

/* d^2 p/dw_j dw_k, j < k: before j, between the two, after k */
FP_HOT static void FPModelSecond_Chain(FPModel model, int n, const double *w, PETSC_UNUSED int a, double *H)
{
  const int d = model->weights;
  double    after[FP_BLOCK], left[FP_BLOCK], *before = FPScratchTake((size_t)((d + 1) * n));

  Before(d, n, w, before);
  for (int l = 0; l < n; l++) after[l] = 1;
  for (int k = d - 1; k >= 0; k--) {
    for (int l = 0; l < n; l++) left[l] = after[l];
    for (int l = 0; l < n; l++) H[k * (d + 1) * n + l] = 0;
    for (int j = k - 1; j >= 0; j--) {
      Multiply(n, left, before + j * n, H + (j * d + k) * n);
      Multiply(n, left, before + j * n, H + (k * d + j) * n);
      Multiply(n, left, w + j * n, left);
    }
    Multiply(n, after, w + k * n, after);
  }
  FPScratchRelease(before);
}

FP_HOT static void FPModelSample_Chain(FPModel model, int n, const double *w, const double *x, const double *y,
                                       double *g)
{
  const int d = model->weights;
  double    r[FP_BLOCK], *before;

  if (d == 2) { /* the case that decides the speed of most runs: one pass */
#pragma omp simd
    for (int l = 0; l < n; l++) {
      const double s = (w[l] * w[n + l] * x[l] - y[l]) * x[l];

      g[l] += s * w[n + l];
      g[n + l] += s * w[l];
    }
    return;
  }
  before = FPScratchTake((size_t)((d + 1) * n));
  Before(d, n, w, before);
#pragma omp simd
  for (int l = 0; l < n; l++) r[l] = (before[d * n + l] * x[l] - y[l]) * x[l];
  for (int j = d - 1; j >= 0; j--) {
#pragma omp simd
    for (int l = 0; l < n; l++) g[j * n + l] += r[l] * before[j * n + l];
    Multiply(n, r, w + j * n, r);
  }
  FPScratchRelease(before);
}

/* w^power */
static inline void Power(int n, const double *w, int power, double factor, double *restrict result)
{
  for (int l = 0; l < n; l++) result[l] = factor;
  for (int i = 0; i < power; i++) {
#pragma omp simd
    for (int l = 0; l < n; l++) result[l] *= w[l];
  }
}

FP_HOT static void FPModelMap_Balanced(FPModel model, int n, const double *w, double *M)
{
  Power(n, w, model->depth, 1, M);
}

FP_HOT static void FPModelJacobian_Balanced(FPModel model, int n, const double *w, double *J)
{
  Power(n, w, model->depth - 1, model->depth, J);
}

FP_HOT static void FPModelSecond_Balanced(FPModel model, int n, const double *w, PETSC_UNUSED int a, double *H)
{
  Power(n, w, PetscMax(0, model->depth - 2), model->depth * (model->depth - 1), H);
}

FP_HOT static void FPModelSample_Balanced(FPModel model, int n, const double *w, const double *x, const double *y,
                                          double *g)
{
  double Q[FP_BLOCK];

  Power(n, w, model->depth - 1, 1, Q);
#pragma omp simd
  for (int l = 0; l < n; l++) g[l] += (Q[l] * w[l] * x[l] - y[l]) * x[l] * Q[l];
}

static void FPModelFull_Balanced(FPModel model, int n, const double *z, double *w)
{
  for (int k = 0; k < model->depth; k++)
    for (int l = 0; l < n; l++) w[k * n + l] = z[l];
}

static PetscErrorCode FPModelName_Balanced(PETSC_UNUSED FPModel model, PETSC_UNUSED PetscInt i, char name[])
{
  PetscFunctionBegin;
  PetscCall(PetscStrncpy(name, "w", FP_NAME));
  PetscFunctionReturn(0);
}

/* Every critical point with decay, and the balanced ones without, have weights of equal modulus (w_j d_j V = 0 says
   s e p = -l w_j^2): 0, and those moduli for each pattern of signs. There are 2^d patterns, equal but for flips of two
   signs that change nothing: beyond SIGNS weights one of each product stands for all. */
static PetscErrorCode FPModelStarts_Chain(FPModel model, PetscInt *count, PetscReal **w)
{
  const PetscInt d = model->weights, bits = d <= SIGNS ? d : 1, patterns = 1 << bits;
  PetscReal      root[2][2];
  PetscInt       roots[2];

  PetscFunctionBegin;
  for (PetscInt s = 0; s < 2; s++)
    roots[s] = FPModelModuli(model->depth, model->xx[0], s ? -model->best[0] : model->best[0],
                             model->training.weight_decay, root[s]);
  PetscCall(PetscCalloc1((1 + 2 * patterns) * d, w));
  *count = 1;
  for (PetscInt k = 0; k < patterns; k++) {
    PetscInt negative = 0;

    for (PetscInt j = 0; j < model->depth; j++) negative ^= j % d < bits && (k >> (j % d) & 1);
    for (PetscInt m = 0; m < roots[negative]; m++, (*count)++)
      for (PetscInt j = 0; j < d; j++) (*w)[*count * d + j] = (j < bits && (k >> j & 1) ? -1 : 1) * root[negative][m];
  }
  PetscFunctionReturn(0);
}

static const FPModelOps Weights  = {.map      = FPModelMap_Chain,
                                    .jacobian = FPModelJacobian_Chain,
                                    .second   = FPModelSecond_Chain,
                                    .sample   = FPModelSample_Chain,
                                    .starts   = FPModelStarts_Chain};
static const FPModelOps Balanced = {.map      = FPModelMap_Balanced,
                                    .jacobian = FPModelJacobian_Balanced,
                                    .second   = FPModelSecond_Balanced,
                                    .sample   = FPModelSample_Balanced,
                                    .full     = FPModelFull_Balanced,
                                    .name     = FPModelName_Balanced,
                                    .starts   = FPModelStarts_Chain};

PetscErrorCode FPModelCreate_Chain(FPModel model, FPConfig config)
{
  Keys      keys;
  PetscBool balanced, invariant;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "model", FPChainParameters, &keys));
  PetscCall(FPNetworkCheckSizes(model, 1, 1));
  PetscCall(PetscStrcmp(keys.coordinates, "balanced", &balanced));
  PetscCall(PetscStrcmp(keys.coordinates, "invariant", &invariant));
  FPInputCheck(!invariant || keys.depth == 2,
               "model_coordinates = invariant needs model_depth = 2; found depth = %" PetscInt_FMT, keys.depth);
  PetscCall(PetscStrncpy(model->coordinates, keys.coordinates, FP_TEXT));
  model->depth     = keys.depth;
  model->weights   = balanced ? 1 : keys.depth;
  model->dim       = model->weights;
  model->full      = keys.depth;
  model->metric    = balanced ? 1.0 / keys.depth : 1;
  model->ops       = balanced ? Balanced : Weights;
  model->isolated  = PETSC_TRUE;
  model->benign    = PETSC_TRUE;
  model->reachable = (!balanced || keys.depth % 2) ? PETSC_TRUE : PETSC_FALSE;
  if (invariant) PetscCall(FPModelSetInvariant(model));
  PetscCall(FPNetworkSetUp(model));
  PetscFunctionReturn(0);
}

/* chain.c: "chain": f = p x with p = w_1 ... w_L, one input, one target. g_j = r dp/dw_j with r = (p x - y) x, so C(w)
   = Var(r) grad p grad p^T has rank one everywhere and vanishes where grad p does. Coordinates: `weights` (d = L);
   `balanced`, w_1 = ... = w_L = w, d = 1, metric 1/L, exact for SGD since equal weights stay equal; `invariant` (L =
   2), see invariant.c. Exact, Gaussian data of variance s, teacher P, noise sigma: Var r = 2 s^2 (p - P)^2 + s sigma^2;
   with decay l and L = 2 the wells are w_1 = w_2 = +-sqrt(P - l/s), where the Hessian has eigenvalues 2 (s P - l) and 2
   l. */
#include "modelimpl.h"
#include <math.h>

typedef struct {
  PetscInt depth;
  char     coordinates[FP_TEXT];
} Keys;

const FPParameter FPChainParameters[] = {
    {"depth", FP_INT, offsetof(Keys, depth), "2", 1, 64, NULL, NULL, "number of weights in the product"},
    {"coordinates", FP_CHOICE, offsetof(Keys, coordinates), "weights", 0, 0, "weights balanced invariant", NULL,
     "all weights; one weight standing for all; (p, q) = (w1 w2, (w1^2 - w2^2)/2)"},
    {.name = NULL},
};

/* product of all weights but those with index j and k */
static inline void Product(int d, int n, const double *w, int j, int k, double *restrict product)
{
  for (int l = 0; l < n; l++) product[l] = 1;
  for (int i = 0; i < d; i++) {
    if (i == j || i == k) continue;
#pragma omp simd
    for (int l = 0; l < n; l++) product[l] *= w[i * n + l];
  }
}

FP_HOT static void FPModelMap_Chain(FPModel model, int n, const double *w, double *M)
{
  Product(model->weights, n, w, -1, -1, M);
}

FP_HOT static void FPModelJacobian_Chain(FPModel model, int n, const double *w, double *J)
{
  for (int j = 0; j < model->weights; j++) Product(model->weights, n, w, j, j, J + j * n);
}

FP_HOT static void FPModelSecond_Chain(FPModel model, int n, const double *w, double *H)
{
  const int d = model->weights;

  for (int j = 0; j < d; j++)
    for (int k = 0; k < d; k++) {
      if (j != k)
        Product(d, n, w, j, k, H + (j * d + k) * n);
      else
        for (int l = 0; l < n; l++) H[(j * d + j) * n + l] = 0;
    }
}

FP_HOT static void FPModelSample_Chain(FPModel model, int n, const double *w, const double *x, const double *y,
                                       double *g)
{
  const int d = model->weights;
  double    r[FP_BLOCK], Q[FP_BLOCK];

  if (d == 2) { /* the case that decides the speed of most runs: one pass */
#pragma omp simd
    for (int l = 0; l < n; l++) {
      const double s = (w[l] * w[n + l] * x[l] - y[l]) * x[l];

      g[l] += s * w[n + l];
      g[n + l] += s * w[l];
    }
    return;
  }
  Product(d, n, w, -1, -1, r);
#pragma omp simd
  for (int l = 0; l < n; l++) r[l] = (r[l] * x[l] - y[l]) * x[l];
  for (int j = 0; j < d; j++) {
    Product(d, n, w, j, j, Q);
#pragma omp simd
    for (int l = 0; l < n; l++) g[j * n + l] += r[l] * Q[l];
  }
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

FP_HOT static void FPModelSecond_Balanced(FPModel model, int n, const double *w, double *H)
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

/* V' along equal moduli m > 0 with p = sign m^L, up to the factor L */
static PetscReal Slope(FPModel model, PetscReal m, PetscInt sign)
{
  const PetscInt L = model->depth;

  return model->xx[0] * (sign * PetscPowReal(m, L) - model->best[0]) * sign * PetscPowReal(m, L - 1) +
         model->training.weight_decay * m;
}

/* Zeros of Slope() in (0, bound), by bisection after a scan; at most two, by Descartes' rule of signs. */
static PetscInt Moduli(FPModel model, PetscInt sign, PetscReal root[])
{
  const PetscReal bound = 1.5 * PetscPowReal(1 + PetscAbsReal(model->best[0]), 1.0 / model->depth);
  const PetscInt  scan  = 2000;
  PetscInt        found = 0;

  for (PetscInt k = 0; k < scan && found < 2; k++) {
    PetscReal lower = bound * (k + 0.5) / scan, upper = bound * (k + 1.5) / scan;

    if ((Slope(model, lower, sign) > 0) == (Slope(model, upper, sign) > 0)) continue;
    for (PetscInt step = 0; step < 60; step++) {
      const PetscReal middle = (lower + upper) / 2;

      if ((Slope(model, lower, sign) > 0) == (Slope(model, middle, sign) > 0))
        lower = middle;
      else
        upper = middle;
    }
    root[found++] = (lower + upper) / 2;
  }
  return found;
}

/* Every critical point with decay, and the balanced ones without, have weights of equal modulus (w_j d_j V = 0 says
   s e p = -l w_j^2): 0, and the zeros of a polynomial in the modulus for each pattern of signs. */
static PetscErrorCode FPModelStarts_Chain(FPModel model, PetscInt *count, PetscReal **w)
{
  const PetscInt d = model->weights, patterns = 1 << d;
  PetscReal      root[2][2];
  PetscInt       roots[2];

  PetscFunctionBegin;
  for (PetscInt s = 0; s < 2; s++) roots[s] = Moduli(model, s ? -1 : 1, root[s]);
  PetscCall(PetscCalloc1((1 + 2 * patterns) * d, w));
  *count = 1;
  for (PetscInt k = 0; k < patterns; k++) {
    PetscInt negative = 0;

    for (PetscInt j = 0; j < model->depth; j++) negative ^= k >> (j % d) & 1;
    for (PetscInt m = 0; m < roots[negative]; m++, (*count)++)
      for (PetscInt j = 0; j < d; j++) (*w)[*count * d + j] = (k >> j & 1 ? -1 : 1) * root[negative][m];
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
  FPInputCheck(balanced || keys.depth <= FP_MAX_DIM,
               "model_depth = %" PetscInt_FMT " is too large for coordinates = %s; accepted: 1 to %d (balanced: to 64)",
               keys.depth, keys.coordinates, FP_MAX_DIM);
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
  model->reachable = (!balanced || keys.depth % 2) ? PETSC_TRUE : PETSC_FALSE;
  if (invariant) PetscCall(FPModelSetInvariant(model));
  PetscCall(FPNetworkSetUp(model));
  PetscFunctionReturn(0);
}

/* diagonal.c: "diagonal": f = sum_i w_i^L x_i, one target; coordinates `balanced`: the L weights of each path are
   equal, so d = inputs and metric 1/L: g_i = (f - y) x_i w_i^{L-1}. Exact, x ~ N(0, s I), R_i = w_i^L - teacher_i: E
   G_i = s R_i and Cov(G_i, G_j) = s^2 (R_i R_j + |R|^2 delta_ij)
   + s sigma^2 delta_ij: the mean decouples, the noise does not. */
#include "modelimpl.h"

typedef struct {
  PetscInt depth;
  char     coordinates[FP_TEXT];
} Keys;

const FPParameter FPDiagonalParameters[] = {
    {"depth", FP_INT, offsetof(Keys, depth), "2", 1, 64, NULL, NULL, "number of equal weights in each path"},
    {"coordinates", FP_CHOICE, offsetof(Keys, coordinates), "balanced", 0, 0, "balanced", NULL,
     "one weight for each input"},
    {.name = NULL},
};

/* result = factor w^power, d rows */
static inline void Power(int d, int n, const double *w, int power, double factor, double *restrict result)
{
  for (int l = 0; l < d * n; l++) result[l] = factor;
  for (int i = 0; i < power; i++) {
#pragma omp simd
    for (int l = 0; l < d * n; l++) result[l] *= w[l];
  }
}

FP_HOT static void FPModelMap_Diagonal(FPModel model, int n, const double *w, double *M)
{
  Power(model->weights, n, w, model->depth, 1, M);
}

FP_HOT static void FPModelJacobian_Diagonal(FPModel model, int n, const double *w, double *J)
{
  const int d = model->weights;

  for (int l = 0; l < d * d * n; l++) J[l] = 0;
  for (int i = 0; i < d; i++) Power(1, n, w + i * n, model->depth - 1, model->depth, J + i * (d + 1) * n);
}

FP_HOT static void FPModelSecond_Diagonal(FPModel model, int n, const double *w, int a, double *H)
{
  const int d = model->weights, L = model->depth;

  for (int l = 0; l < d * d * n; l++) H[l] = 0;
  Power(1, n, w + a * n, PetscMax(0, L - 2), L * (L - 1), H + a * (d + 1) * n);
}

FP_HOT static void FPModelSample_Diagonal(FPModel model, int n, const double *w, const double *x, const double *y,
                                          double *g)
{
  const int d = model->weights;
  double    Q[FP_MAX_MAP * FP_BLOCK], e[FP_BLOCK];

  Power(d, n, w, model->depth - 1, 1, Q);
  for (int l = 0; l < n; l++) e[l] = -y[l];
  for (int i = 0; i < d; i++) {
#pragma omp simd
    for (int l = 0; l < n; l++) e[l] += Q[i * n + l] * w[i * n + l] * x[i * n + l];
  }
  for (int i = 0; i < d; i++) {
#pragma omp simd
    for (int l = 0; l < n; l++) g[i * n + l] += e[l] * x[i * n + l] * Q[i * n + l];
  }
}

static const FPModelOps Ops = {.map      = FPModelMap_Diagonal,
                               .jacobian = FPModelJacobian_Diagonal,
                               .second   = FPModelSecond_Diagonal,
                               .sample   = FPModelSample_Diagonal};

PetscErrorCode FPModelCreate_Diagonal(FPModel model, FPConfig config)
{
  Keys             keys;
  const PetscReal *second, *fourth;
  double           root[(FP_MAX_MAP + 1) * (FP_MAX_MAP + 1)];

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "model", FPDiagonalParameters, &keys));
  PetscCall(FPNetworkCheckSizes(model, 0, 1));
  PetscCall(PetscStrncpy(model->coordinates, keys.coordinates, FP_TEXT));
  model->depth     = keys.depth;
  model->weights   = model->inputs;
  model->dim       = model->inputs;
  model->metric    = 1.0 / keys.depth;
  model->ops       = Ops;
  model->reachable = keys.depth % 2 ? PETSC_TRUE : PETSC_FALSE;
  model->benign    = PETSC_TRUE;
  model->isolated  = PETSC_TRUE; /* unless inputs depend on each other, which leaves whole lines of equal loss */
  PetscCall(FPDataGetMoments(model->data, &second, &fourth));
  FPCholesky(model->inputs + 1, 1, second, root);
  for (PetscInt i = 0; i < model->inputs; i++)
    if (root[i * (model->inputs + 2)] == 0) model->isolated = PETSC_FALSE;
  PetscCall(FPNetworkSetUp(model));
  PetscFunctionReturn(0);
}

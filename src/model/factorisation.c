/* factorisation.c: "factorisation": f = W_L ... W_1 x, each 2 x 2, two inputs, two targets.
   Coordinates: `weights`, W_1 first, each by rows, d = 4 L. `aligned`, d = 2: with best = U diag(sigma) V^T the least
   squares matrix, W_1 = R diag(a) V^T, inner W_j = R diag(a) R^T, W_L = U diag(a) R^T, so M = U diag(a^L) V^T and,
   metric 1/L, g_i = a_i^{L-1} (U^T G V)_ii. Gradient flow keeps this form if E x x^T = s I; sample noise does not.
   Exact, weights, L = 2, E x x^T = s I, no decay: Hessian at the balanced minimum s (sigma_i + sigma_j), i, j = 1, 2,
   and four zeros; at 0 +-s sigma_i, each twice. */
#include "modelimpl.h"
#include <math.h>

typedef struct {
  PetscInt depth;
  char     coordinates[FP_TEXT];
} Keys;

const FPParameter FPFactorisationParameters[] = {
    {"depth", FP_INT, offsetof(Keys, depth), "2", 1, FP_MAX_DIM / 4, NULL, NULL, "number of matrices in the product"},
    {"coordinates", FP_CHOICE, offsetof(Keys, coordinates), "weights", 0, 0, "weights aligned", NULL,
     "all entries; one strength for each singular mode of the least squares matrix"},
    {.name = NULL},
};

typedef struct {
  double U[4], V[4], sigma[2]; /* best = U diag(sigma) V^T, columns of U and V by rows as [i*2 + k] */
} Modes;

/* SVD of a 2 x 2 matrix: V by the rotation that diagonalises A^T A; sigma_1 >= sigma_2 >= 0. */
static void SingularModes(const double A[4], Modes *m)
{
  const double theta =
      0.5 * atan2(2 * (A[0] * A[1] + A[2] * A[3]), A[0] * A[0] + A[2] * A[2] - A[1] * A[1] - A[3] * A[3]);
  const double c = cos(theta), s = sin(theta);
  const double x = A[0] * c + A[1] * s, y = A[2] * c + A[3] * s; /* A v_1 */
  double       u[2] = {1, 0}, sign;

  m->sigma[0] = hypot(x, y);
  if (m->sigma[0] > 0) {
    u[0] = x / m->sigma[0];
    u[1] = y / m->sigma[0];
  }
  m->sigma[1] = u[1] * (A[0] * s - A[1] * c) + u[0] * (A[3] * c - A[2] * s); /* (-u_2, u_1) A v_2, v_2 = (-s, c) */
  sign        = m->sigma[1] < 0 ? -1 : 1;
  m->sigma[1] *= sign;
  m->V[0] = m->V[3] = c;
  m->V[1]           = -s;
  m->V[2]           = s;
  m->U[0]           = u[0];
  m->U[2]           = u[1];
  m->U[1]           = -sign * u[1];
  m->U[3]           = sign * u[0];
}

/* C = A B, lanes of 2 x 2 matrices */
static inline void Multiply(int n, const double *A, const double *B, double *restrict C)
{
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
#pragma omp simd
      for (int l = 0; l < n; l++)
        C[(i * 2 + j) * n + l] = A[i * 2 * n + l] * B[j * n + l] + A[(i * 2 + 1) * n + l] * B[(2 + j) * n + l];
    }
}

static inline void Identity(int n, double *one)
{
  for (int l = 0; l < n; l++) {
    one[l] = one[3 * n + l] = 1;
    one[n + l] = one[2 * n + l] = 0;
  }
}

/* A = B A */
static inline void MultiplyLeft(int n, const double *B, double *restrict A)
{
  for (int j = 0; j < 2; j++) {
#pragma omp simd
    for (int l = 0; l < n; l++) {
      const double top = A[j * n + l], bottom = A[(2 + j) * n + l];

      A[j * n + l]       = B[l] * top + B[n + l] * bottom;
      A[(2 + j) * n + l] = B[2 * n + l] * top + B[3 * n + l] * bottom;
    }
  }
}

/* before + 4 k n is W_k ... W_1 and after + 4 k n is W_L ... W_{k+1}, k = 0 .. L, lanes of 2 x 2 matrices; W_k is
   w + 4 (k - 1) n. Both are given back by the release of `before`. */
static inline void Products(int L, int n, const double *w, double **before, double **after)
{
  *before = FPScratchTake((size_t)(4 * (L + 1) * n));
  *after  = FPScratchTake((size_t)(4 * (L + 1) * n));
  Identity(n, *before);
  for (int k = 1; k <= L; k++) Multiply(n, w + 4 * (k - 1) * n, *before + 4 * (k - 1) * n, *before + 4 * k * n);
  Identity(n, *after + 4 * L * n);
  for (int k = L; k > 0; k--) Multiply(n, *after + 4 * k * n, w + 4 * (k - 1) * n, *after + 4 * (k - 1) * n);
}

FP_HOT static void FPModelMap_Weights(FPModel model, int n, const double *w, double *M)
{
  for (int l = 0; l < 4 * n; l++) M[l] = w[l];
  for (int k = 1; k < model->depth; k++) MultiplyLeft(n, w + 4 * k * n, M);
}

/* dM_ij/d(W_k)_ab = after[k]_ia before[k-1]_bj */
FP_HOT static void FPModelJacobian_Weights(FPModel model, int n, const double *w, double *J)
{
  const int d = model->weights;
  double   *before, *after;

  Products(model->depth, n, w, &before, &after);
  for (int ij = 0; ij < 4; ij++)
    for (int kab = 0; kab < d; kab++) {
      const int     k = kab / 4 + 1, a = kab / 2 % 2, b = kab % 2;
      const double *left  = after + (4 * k + ij / 2 * 2 + a) * n;
      const double *right = before + (4 * (k - 1) + b * 2 + ij % 2) * n;
#pragma omp simd
      for (int l = 0; l < n; l++) J[(ij * d + kab) * n + l] = left[l] * right[l];
    }
  FPScratchRelease(before);
}

/* d^2 M_ij/d(W_m)_ab d(W_k)_ce = after[m]_ia (W_{m-1} ... W_{k+1})_bc before[k-1]_ej for m > k */
FP_HOT static void FPModelSecond_Weights(FPModel model, int n, const double *w, int ij, double *H)
{
  const int d = model->weights, i = ij / 2, j = ij % 2;
  double   *before, *after, middle[4 * FP_BLOCK];

  Products(model->depth, n, w, &before, &after);
  for (int l = 0; l < d * d * n; l++) H[l] = 0;
  for (int k = 1; k <= model->depth; k++) {
    Identity(n, middle);
    for (int m = k + 1; m <= model->depth; m++) {
      for (int t = 0; t < 16; t++) { /* t: bits a b c e */
        const int     a = t >> 3, b = t >> 2 & 1, c = t >> 1 & 1, e = t & 1;
        const int     P = 4 * (m - 1) + 2 * a + b, Q = 4 * (k - 1) + 2 * c + e;
        const double *left = after + (4 * m + i * 2 + a) * n, *right = before + (4 * (k - 1) + e * 2 + j) * n;
        double       *H1 = H + (P * d + Q) * n, *H2 = H + (Q * d + P) * n;
#pragma omp simd
        for (int l = 0; l < n; l++) H1[l] = H2[l] = left[l] * middle[(b * 2 + c) * n + l] * right[l];
      }
      MultiplyLeft(n, w + 4 * (m - 1) * n, middle);
    }
  }
  FPScratchRelease(before);
}

/* Backpropagation: h_k = W_k h_{k-1} from h_0 = x, delta_L = h_L - y, dW_k = delta_k h_{k-1}^T, delta_{k-1} = W_k^T
   delta_k */
FP_HOT static void FPModelSample_Weights(FPModel model, int n, const double *w, const double *x, const double *y,
                                         double *g)
{
  const int L = model->depth;
  double   *h = FPScratchTake((size_t)(2 * (L + 1) * n)), delta[2 * FP_BLOCK];

  for (int l = 0; l < 2 * n; l++) h[l] = x[l];
  for (int k = 0; k < L; k++) {
    const double *W = w + 4 * k * n, *from = h + 2 * k * n;
    double       *to = h + 2 * (k + 1) * n;
#pragma omp simd
    for (int l = 0; l < n; l++) {
      to[l]     = W[l] * from[l] + W[n + l] * from[n + l];
      to[n + l] = W[2 * n + l] * from[l] + W[3 * n + l] * from[n + l];
    }
  }
  for (int l = 0; l < 2 * n; l++) delta[l] = h[2 * L * n + l] - y[l];
  for (int k = L - 1; k >= 0; k--) {
    const double *W = w + 4 * k * n, *from = h + 2 * k * n;
    double       *dW = g + 4 * k * n;
#pragma omp simd
    for (int l = 0; l < n; l++) {
      const double top = delta[l], bottom = delta[n + l];

      dW[l] += top * from[l];
      dW[n + l] += top * from[n + l];
      dW[2 * n + l] += bottom * from[l];
      dW[3 * n + l] += bottom * from[n + l];
      delta[l]     = W[l] * top + W[2 * n + l] * bottom;
      delta[n + l] = W[n + l] * top + W[3 * n + l] * bottom;
    }
  }
  FPScratchRelease(h);
}

/* W_1 = diag(a) V^T, inner W_k = diag(a), W_L = U diag(a): the rotation R is I */
static void FPModelFull_Aligned(FPModel model, int n, const double *a, double *w)
{
  const Modes   *m = (const Modes *)model->impl;
  const PetscInt L = model->depth;

  for (PetscInt t = 0; t < 4 * L; t++) {
    const PetscInt i = t / 2 % 2, j = t % 2, layer = t / 4 + 1;
    const double   u = m->U[i * 2 + j], v = m->V[j * 2 + i];

    for (int l = 0; l < n; l++) {
      if (L == 1)
        w[t * n + l] = a[l] * m->U[i * 2] * m->V[j * 2] + a[n + l] * m->U[i * 2 + 1] * m->V[j * 2 + 1];
      else
        w[t * n + l] = layer == 1 ? a[i * n + l] * v : layer == L ? a[j * n + l] * u : i == j ? a[i * n + l] : 0;
    }
  }
}

/* Representatives of the continua: aligned matrices with R = I. Each mode is off or as strong as at a critical point of
   whitened data first, so that these are the ones listed; shallow networks get a scale of strengths as well. */
static PetscErrorCode FPModelStarts_Weights(FPModel model, PetscInt *count, PetscReal **w)
{
  const Modes    *m = (const Modes *)model->impl;
  const PetscInt  L = model->depth, d = model->weights, scale = L > 4 ? 0 : 6;
  const PetscReal s              = (model->xx[0] + model->xx[3]) / 2;
  PetscReal       strength[2][9] = {{0}};
  PetscInt        each[2];

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 2; k++) {
    each[k] = 1 + FPModelModuli(L, s, m->sigma[k], model->training.weight_decay, &strength[k][1]);
    for (PetscInt step = 1; step <= scale; step++) strength[k][each[k]++] = 0.25 * step * (1 + m->sigma[0]);
  }
  *count = each[0] * each[1];
  PetscCall(PetscMalloc1(*count * d, w));
  for (PetscInt n = 0; n < *count; n++) {
    const PetscReal a[2] = {strength[0][n % each[0]], strength[1][n / each[0]]};

    FPModelFull_Aligned(model, 1, a, *w + n * d);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode FPModelName_Weights(PETSC_UNUSED FPModel model, PetscInt i, char name[])
{
  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(name, FP_NAME, "w%" PetscInt_FMT "_%" PetscInt_FMT "%" PetscInt_FMT, i / 4 + 1, i / 2 % 2 + 1,
                          i % 2 + 1));
  PetscFunctionReturn(0);
}

/* factor a_k^power [n] */
static inline void Power(int n, const double *a, int power, double factor, double *restrict result)
{
  for (int l = 0; l < n; l++) result[l] = factor;
  for (int i = 0; i < power; i++) {
#pragma omp simd
    for (int l = 0; l < n; l++) result[l] *= a[l];
  }
}

FP_HOT static void FPModelMap_Aligned(FPModel model, int n, const double *a, double *M)
{
  const Modes *m = (const Modes *)model->impl;
  double       power[2][FP_BLOCK];

  for (int k = 0; k < 2; k++) Power(n, a + k * n, model->depth, 1, power[k]);
  for (int ij = 0; ij < 4; ij++) {
    const double c1 = m->U[ij / 2 * 2] * m->V[ij % 2 * 2], c2 = m->U[ij / 2 * 2 + 1] * m->V[ij % 2 * 2 + 1];
#pragma omp simd
    for (int l = 0; l < n; l++) M[ij * n + l] = c1 * power[0][l] + c2 * power[1][l];
  }
}

FP_HOT static void FPModelJacobian_Aligned(FPModel model, int n, const double *a, double *J)
{
  const Modes *m = (const Modes *)model->impl;

  for (int ij = 0; ij < 4; ij++)
    for (int k = 0; k < 2; k++)
      Power(n, a + k * n, model->depth - 1, model->depth * m->U[ij / 2 * 2 + k] * m->V[ij % 2 * 2 + k],
            J + (ij * 2 + k) * n);
}

FP_HOT static void FPModelSecond_Aligned(FPModel model, int n, const double *a, int ij, double *H)
{
  const Modes *m = (const Modes *)model->impl;
  const int    L = model->depth;

  for (int l = 0; l < 4 * n; l++) H[l] = 0;
  for (int k = 0; k < 2; k++)
    Power(n, a + k * n, PetscMax(0, L - 2), L * (L - 1) * m->U[ij / 2 * 2 + k] * m->V[ij % 2 * 2 + k], H + 3 * k * n);
}

static PetscErrorCode FPModelName_Aligned(PETSC_UNUSED FPModel model, PetscInt i, char name[])
{
  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(name, FP_NAME, "a%" PetscInt_FMT, i + 1));
  PetscFunctionReturn(0);
}

/* The gradient of layer k in the aligned frame is diag(a^{L-k}) Gh diag(a^{k-1}), Gh = U^T (E G) V; what is off its
   diagonal leads out. */
static PetscErrorCode FPModelDefect_Aligned(FPModel model, const PetscReal a[], PetscReal *defect)
{
  const Modes *m = (const Modes *)model->impl;
  double       M[4], EG[4] = {0, 0, 0, 0}, Gh[4] = {0, 0, 0, 0};

  PetscFunctionBegin;
  FPModelMap(model, 1, a, M);
  for (PetscInt ij = 0; ij < 4; ij++)
    for (PetscInt b = 0; b < 2; b++)
      EG[ij] += (M[ij / 2 * 2 + b] - model->best[ij / 2 * 2 + b]) * model->xx[b * 2 + ij % 2];
  for (PetscInt kq = 0; kq < 4; kq++)
    for (PetscInt ij = 0; ij < 4; ij++) Gh[kq] += m->U[ij / 2 * 2 + kq / 2] * EG[ij] * m->V[ij % 2 * 2 + kq % 2];
  *defect = 0;
  for (PetscInt k = 1; k <= model->depth; k++) {
    const PetscReal left[2]  = {PetscPowRealInt(a[0], model->depth - k), PetscPowRealInt(a[1], model->depth - k)};
    const PetscReal right[2] = {PetscPowRealInt(a[0], k - 1), PetscPowRealInt(a[1], k - 1)};

    *defect += PetscSqr(left[0] * Gh[1] * right[1]) + PetscSqr(left[1] * Gh[2] * right[0]);
  }
  *defect = PetscSqrtReal(*defect);
  PetscFunctionReturn(0);
}

static PetscErrorCode FPModelDestroy_Factorisation(FPModel model)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(model->impl));
  PetscFunctionReturn(0);
}

static const FPModelOps Weights = {.map      = FPModelMap_Weights,
                                   .jacobian = FPModelJacobian_Weights,
                                   .second   = FPModelSecond_Weights,
                                   .sample   = FPModelSample_Weights,
                                   .name     = FPModelName_Weights,
                                   .starts   = FPModelStarts_Weights,
                                   .destroy  = FPModelDestroy_Factorisation};
static const FPModelOps Aligned = {.map      = FPModelMap_Aligned,
                                   .jacobian = FPModelJacobian_Aligned,
                                   .second   = FPModelSecond_Aligned,
                                   .full     = FPModelFull_Aligned,
                                   .name     = FPModelName_Aligned,
                                   .defect   = FPModelDefect_Aligned,
                                   .destroy  = FPModelDestroy_Factorisation};

PetscErrorCode FPModelCreate_Factorisation(FPModel model, FPConfig config)
{
  Keys      keys;
  PetscBool aligned;
  Modes    *modes;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "model", FPFactorisationParameters, &keys));
  PetscCall(FPNetworkCheckSizes(model, 2, 2));
  PetscCall(PetscStrcmp(keys.coordinates, "aligned", &aligned));
  PetscCall(PetscNew(&modes));
  PetscCall(PetscStrncpy(model->coordinates, keys.coordinates, FP_TEXT));
  model->impl      = modes;
  model->depth     = keys.depth;
  model->weights   = aligned ? 2 : 4 * keys.depth;
  model->dim       = model->weights;
  model->full      = 4 * keys.depth;
  model->metric    = aligned ? 1.0 / keys.depth : 1;
  model->ops       = aligned ? Aligned : Weights;
  model->reachable = PETSC_TRUE;
  model->benign    = PETSC_TRUE;
  PetscCall(FPNetworkSetUp(model));
  SingularModes(model->best, modes);
  model->reachable = (PetscBool)!aligned; /* diag(a^L) reaches best between its own modes, not that of another law */
  PetscFunctionReturn(0);
}

/* network.c: what follows from the end-to-end matrix M(w) and the moments of the data.
   With `best` the least squares matrix, R = M - best and rho = y - best x (so E rho x^T = 0): e = M x - y = R x - rho,
   L = tr(R E[x x^T] R^T)/2 + residual, G = e x^T, E G = R E[x x^T], and Cov G is quadratic in R. Writing it in R, not
   in M, keeps the covariance exact to rounding where it vanishes. */
#include "modelimpl.h"
#include <float.h>
#include <math.h>

/* y += a b, y += c a, y = 0 over n lanes */
static inline void MulAdd(int n, double *restrict y, const double *restrict a, const double *restrict b)
{
#pragma omp simd
  for (int l = 0; l < n; l++) y[l] += a[l] * b[l];
}

static inline void ScaleAdd(int n, double *restrict y, double c, const double *restrict a)
{
#pragma omp simd
  for (int l = 0; l < n; l++) y[l] += c * a[l];
}

static inline void Fill(int n, double *y, double c)
{
#pragma omp simd
  for (int l = 0; l < n; l++) y[l] = c;
}

/* R = M - best [maps][n] */
static void Residual(FPModel model, int n, const double *w, double *R)
{
  (*model->ops.map)(model, n, w, R);
  for (int a = 0; a < model->maps; a++) {
    const double best = model->best[a];
#pragma omp simd
    for (int l = 0; l < n; l++) R[a * n + l] -= best;
  }
}

/* E G = R E[x x^T] [maps][n] */
static inline void MeanSlope(FPModel model, int n, const double *R, double *EG)
{
  const int p = model->inputs;

  for (int a = 0; a < model->maps; a++) {
    Fill(n, EG + a * n, 0);
    for (int j = 0; j < p; j++) ScaleAdd(n, EG + a * n, model->xx[j * p + a % p], R + (a - a % p + j) * n);
  }
}

FP_HOT static void Network_Loss(FPModel model, int n, const double *w, double *loss)
{
  double R[FP_MAX_MAP * FP_BLOCK], EG[FP_MAX_MAP * FP_BLOCK];

  Residual(model, n, w, R);
  MeanSlope(model, n, R, EG);
  Fill(n, loss, -model->gap);
  for (int a = 0; a < model->maps; a++) {
#pragma omp simd
    for (int l = 0; l < n; l++) loss[l] += 0.5 * R[a * n + l] * EG[a * n + l];
  }
#pragma omp simd
  for (int l = 0; l < n; l++) loss[l] = loss[l] > 0 ? loss[l] : 0; /* rounding, next to a minimum with a gap */
}

FP_HOT static void Network_Gradient(FPModel model, int n, const double *w, double *g)
{
  const int    d = model->weights, maps = model->maps;
  const double metric = model->metric;
  double       R[FP_MAX_MAP * FP_BLOCK], EG[FP_MAX_MAP * FP_BLOCK];
  double      *J = FPScratchTake((size_t)(maps * d * n));

  Residual(model, n, w, R);
  MeanSlope(model, n, R, EG);
  (*model->ops.jacobian)(model, n, w, J);
#pragma omp simd
  for (int l = 0; l < maps * n; l++) EG[l] *= metric;
  for (int k = 0; k < d; k++) {
    Fill(n, g + k * n, 0);
    for (int a = 0; a < maps; a++) MulAdd(n, g + k * n, J + (a * d + k) * n, EG + a * n);
  }
  FPScratchRelease(J);
}

/* metric (sum_a d2M_a EG_a + J^T (E[x x^T] in the second index of M) J) */
FP_HOT static void Network_Hessian(FPModel model, int n, const double *w, double *H)
{
  const int d = model->weights, maps = model->maps, p = model->inputs;
  double    R[FP_MAX_MAP * FP_BLOCK], EG[FP_MAX_MAP * FP_BLOCK];
  double   *J = FPScratchTake((size_t)(maps * d * n)), *XJ = FPScratchTake((size_t)(maps * d * n));
  double   *second = FPScratchTake((size_t)(d * d * n));

  Residual(model, n, w, R);
  MeanSlope(model, n, R, EG);
  (*model->ops.jacobian)(model, n, w, J);
  for (int a = 0; a < maps; a++)
    for (int k = 0; k < d; k++) {
      Fill(n, XJ + (a * d + k) * n, 0);
      for (int j = 0; j < p; j++)
        ScaleAdd(n, XJ + (a * d + k) * n, model->xx[a % p * p + j], J + ((a - a % p + j) * d + k) * n);
    }
  Fill(d * d * n, H, 0);
  for (int a = 0; a < maps; a++) {
    (*model->ops.second)(model, n, w, a, second);
    for (int kl = 0; kl < d * d; kl++) {
      MulAdd(n, H + kl * n, J + (a * d + kl / d) * n, XJ + (a * d + kl % d) * n);
      MulAdd(n, H + kl * n, second + kl * n, EG + a * n);
    }
  }
  for (int l = 0; l < d * d * n; l++) H[l] *= model->metric;
  FPScratchRelease(J);
}

/* K = Cov G of one sample [maps][maps][n] */
static inline void SlopeCovariance(FPModel model, int n, const double *R, double *K)
{
  const int maps = model->maps, p = model->inputs;

  for (int A = 0; A < maps; A++)
    for (int B = 0; B <= A; B++) {
      const int     i = A / p, j = A % p, k = B / p, m = B % p;
      double *const K_AB = K + (A * maps + B) * n;

      Fill(n, K_AB, model->noise[A][B]);
      for (int a = 0; a < p; a++) {
        const double *Ra = R + (i * p + a) * n;

        ScaleAdd(n, K_AB, -model->linear[j][B][a], Ra);
        ScaleAdd(n, K_AB, -model->linear[m][A][a], R + (k * p + a) * n);
        for (int c = 0; c < p; c++) {
          const double  q  = model->quadratic[j][m][a][c];
          const double *Rc = R + (k * p + c) * n;
#pragma omp simd
          for (int l = 0; l < n; l++) K_AB[l] += q * Ra[l] * Rc[l];
        }
      }
      if (A != B) {
#pragma omp simd
        for (int l = 0; l < n; l++) K[(B * maps + A) * n + l] = K_AB[l];
      }
    }
}

/* P = K J [maps][d][n] */
static inline void SlopeTimesJacobian(FPModel model, int n, const double *K, const double *J, double *P)
{
  const int maps = model->maps, d = model->weights;

  Fill(maps * d * n, P, 0);
  for (int a = 0; a < maps; a++)
    for (int b = 0; b < maps; b++)
      for (int k = 0; k < d; k++) MulAdd(n, P + (a * d + k) * n, K + (a * maps + b) * n, J + (b * d + k) * n);
}

FP_HOT static void Network_Covariance(FPModel model, int n, const double *w, double *C)
{
  const int    d = model->weights, maps = model->maps;
  const double square = model->metric * model->metric;
  double       R[FP_MAX_MAP * FP_BLOCK], K[FP_MAX_MAP * FP_MAX_MAP * FP_BLOCK];
  double      *J = FPScratchTake((size_t)(maps * d * n)), *P = FPScratchTake((size_t)(maps * d * n));

  Residual(model, n, w, R);
  SlopeCovariance(model, n, R, K);
  (*model->ops.jacobian)(model, n, w, J);
  SlopeTimesJacobian(model, n, K, J, P);
  for (int k = 0; k < d; k++)
    for (int m = 0; m <= k; m++) {
      double *const C_km = C + (k * d + m) * n;

      Fill(n, C_km, 0);
      for (int a = 0; a < maps; a++) MulAdd(n, C_km, J + (a * d + k) * n, P + (a * d + m) * n);
#pragma omp simd
      for (int l = 0; l < n; l++) C_km[l] *= square;
      if (m != k) {
#pragma omp simd
        for (int l = 0; l < n; l++) C[(m * d + k) * n + l] = C_km[l];
      }
    }
  FPScratchRelease(J);
}

/* s_A = sum_{B, pq} (d K_AB / d M_pq) T_{pq, B} with T = J J^T, [maps][n] */
static inline void SlopeDivergence(FPModel model, int n, const double *R, const double *T, double *s)
{
  const int maps = model->maps, p = model->inputs;

  Fill(maps * n, s, 0);
  for (int A = 0; A < maps; A++)
    for (int B = 0; B < maps; B++)
      for (int q = 0; q < p; q++) {
        const int     i = A / p, j = A % p, k = B / p, m = B % p;
        const double *T1 = T + ((i * p + q) * maps + B) * n, *T2 = T + ((k * p + q) * maps + B) * n;
        double       *sA = s + A * n;

        ScaleAdd(n, sA, -model->linear[j][B][q], T1);
        ScaleAdd(n, sA, -model->linear[m][A][q], T2);
        for (int c = 0; c < p; c++) {
          const double  q1 = model->quadratic[j][m][q][c], q2 = model->quadratic[j][m][c][q];
          const double *R1 = R + (k * p + c) * n, *R2 = R + (i * p + c) * n;
#pragma omp simd
          for (int l = 0; l < n; l++) sA[l] += q1 * R1[l] * T1[l] + q2 * R2[l] * T2[l];
        }
      }
}

/* c_k = d_l C_kl = metric^2 [sum_a d2M_a,kl (K J)_al + sum_a J_ak (s_a + sum_b K_ab trace d2M_b)] */
FP_HOT static void Network_Divergence(FPModel model, int n, const double *w, double *div)
{
  const int d = model->weights, maps = model->maps;
  double    R[FP_MAX_MAP * FP_BLOCK], K[FP_MAX_MAP * FP_MAX_MAP * FP_BLOCK], T[FP_MAX_MAP * FP_MAX_MAP * FP_BLOCK];
  double    s[FP_MAX_MAP * FP_BLOCK], trace[FP_BLOCK];
  double   *J = FPScratchTake((size_t)(maps * d * n)), *P = FPScratchTake((size_t)(maps * d * n));
  double   *second = FPScratchTake((size_t)(d * d * n));

  Residual(model, n, w, R);
  SlopeCovariance(model, n, R, K);
  (*model->ops.jacobian)(model, n, w, J);
  SlopeTimesJacobian(model, n, K, J, P);
  Fill(maps * maps * n, T, 0);
  for (int ab = 0; ab < maps * maps; ab++)
    for (int k = 0; k < d; k++) MulAdd(n, T + ab * n, J + (ab / maps * d + k) * n, J + (ab % maps * d + k) * n);
  SlopeDivergence(model, n, R, T, s);
  Fill(d * n, div, 0);
  for (int b = 0; b < maps; b++) {
    (*model->ops.second)(model, n, w, b, second);
    Fill(n, trace, 0);
    for (int k = 0; k < d; k++) ScaleAdd(n, trace, 1, second + k * (d + 1) * n);
    for (int a = 0; a < maps; a++) MulAdd(n, s + a * n, K + (a * maps + b) * n, trace);
    for (int km = 0; km < d * d; km++) MulAdd(n, div + km / d * n, second + km * n, P + (b * d + km % d) * n);
  }
  for (int k = 0; k < d; k++)
    for (int a = 0; a < maps; a++) MulAdd(n, div + k * n, J + (a * d + k) * n, s + a * n);
  for (int l = 0; l < d * n; l++) div[l] *= model->metric * model->metric;
  FPScratchRelease(J);
}

FP_HOT void FPCholesky(int m, int n, const double *C, double *F)
{
  double pivot[FP_BLOCK], inverse[FP_BLOCK];

  for (int j = 0; j < m; j++) {
    const double *C_jj = C + j * (m + 1) * n;

    for (int l = 0; l < n; l++) pivot[l] = C_jj[l];
    for (int c = 0; c < j; c++) {
#pragma omp simd
      for (int l = 0; l < n; l++) pivot[l] -= F[(j * m + c) * n + l] * F[(j * m + c) * n + l];
    }
#pragma omp simd
    for (int l = 0; l < n; l++) {
      const double root = sqrt(pivot[l] > 0 ? pivot[l] : 0);

      inverse[l]             = pivot[l] > 8 * DBL_EPSILON * C_jj[l] ? 1 / root : 0;
      F[j * (m + 1) * n + l] = pivot[l] > 8 * DBL_EPSILON * C_jj[l] ? root : 0;
    }
    for (int i = 0; i < m; i++) {
      double *F_ij = F + (i * m + j) * n;

      if (i == j) continue;
      Fill(n, F_ij, 0);
      if (i < j) continue;
      for (int c = 0; c < j; c++) MulAdd(n, F_ij, F + (i * m + c) * n, F + (j * m + c) * n);
#pragma omp simd
      for (int l = 0; l < n; l++) F_ij[l] = (C[(i * m + j) * n + l] - F_ij[l]) * inverse[l];
    }
  }
}

/* F = metric J^T chol(Cov G), or the factor of C itself where that has fewer columns; [d][channels][n] */
FP_HOT static void Network_Factor(FPModel model, int n, const double *w, double *F)
{
  const int d = model->weights, maps = model->maps;
  double    R[FP_MAX_MAP * FP_BLOCK], *J;
  double    K[FP_MAX_MAP * FP_MAX_MAP * FP_BLOCK], root[FP_MAX_MAP * FP_MAX_MAP * FP_BLOCK];

  if (d < maps) { /* then d <= FP_MAX_MAP: C fits into K */
    Network_Covariance(model, n, w, K);
    FPCholesky(d, n, K, F);
    return;
  }
  Residual(model, n, w, R);
  SlopeCovariance(model, n, R, K);
  FPCholesky(maps, n, K, root);
  J = FPScratchTake((size_t)(maps * d * n));
  (*model->ops.jacobian)(model, n, w, J);
  Fill(d * maps * n, F, 0);
  for (int k = 0; k < d; k++)
    for (int a = 0; a < maps; a++)
      for (int c = 0; c <= a; c++) MulAdd(n, F + (k * maps + c) * n, J + (a * d + k) * n, root + (a * maps + c) * n);
  for (int l = 0; l < d * maps * n; l++) F[l] *= model->metric;
  FPScratchRelease(J);
}

FP_HOT static void Network_Sample(FPModel model, int n, const double *w, const double *x, const double *y, double *g)
{
  const int    d = model->weights, p = model->inputs;
  const double metric = model->metric;
  double       M[FP_MAX_MAP * FP_BLOCK], e[FP_BLOCK], G[FP_BLOCK];
  double      *J = FPScratchTake((size_t)(model->maps * d * n));

  (*model->ops.map)(model, n, w, M);
  (*model->ops.jacobian)(model, n, w, J);
  for (int i = 0; i < model->targets; i++) {
#pragma omp simd
    for (int l = 0; l < n; l++) e[l] = -metric * y[i * n + l];
    for (int j = 0; j < p; j++) {
#pragma omp simd
      for (int l = 0; l < n; l++) e[l] += metric * M[(i * p + j) * n + l] * x[j * n + l];
    }
    for (int j = 0; j < p; j++) {
#pragma omp simd
      for (int l = 0; l < n; l++) G[l] = e[l] * x[j * n + l];
      for (int k = 0; k < d; k++) MulAdd(n, g + k * n, J + ((i * p + j) * d + k) * n, G);
    }
  }
  FPScratchRelease(J);
}

PetscErrorCode FPNetworkCheckSizes(FPModel model, PetscInt inputs, PetscInt targets)
{
  PetscInt m, r;

  PetscFunctionBegin;
  FPInputCheck(model->data, "data_type is missing: model_type = %s learns from data", model->type);
  PetscCall(FPDataGetSizes(model->data, &m, &r));
  FPInputCheck((!inputs || m == inputs) && r == targets && m * r <= FP_MAX_MAP,
               "model_type = %s takes %s%" PetscInt_FMT " input%s and %" PetscInt_FMT
               " target%s; data_inputs, data_targets give %" PetscInt_FMT " and %" PetscInt_FMT,
               model->type, inputs ? "" : "up to ", inputs ? inputs : FP_MAX_MAP / targets, inputs == 1 ? "" : "s",
               targets, targets == 1 ? "" : "s", m, r);
  model->inputs  = m;
  model->targets = r;
  model->maps    = m * r;
  PetscFunctionReturn(0);
}

/* E of a product of `order` components of (x, rho), rho = y - best x, from the moments of (x, y). Differences that
   are rounding of their terms count as 0, so that an exact zero stays one. */
static double ResidualMoment(FPModel model, const PetscReal moment[], PetscInt order, const PetscInt index[])
{
  const PetscInt p = model->inputs, n = p + model->targets;
  const PetscInt terms = order == 2 ? n * n : n * n * n * n;
  double         sum = 0, size = 0;

  for (PetscInt t = 0; t < terms; t++) {
    double   term = moment[t];
    PetscInt rest = t;

    for (PetscInt o = order - 1; o >= 0 && term != 0; o--, rest /= n) {
      const PetscInt a = rest % n, b = index[o];

      if (a == b) continue;
      term *= (b >= p && a < p) ? -model->best[(b - p) * p + a] : 0;
    }
    sum += term;
    size += fabs(term);
  }
  return fabs(sum) > 64 * DBL_EPSILON * size ? sum : 0;
}

/* Cov(u_a u_b, u_c u_d), u = (x, rho) */
static double ResidualCovariance(FPModel model, const PetscReal second[], const PetscReal fourth[], PetscInt a,
                                 PetscInt b, PetscInt c, PetscInt d)
{
  const PetscInt index[4] = {a, b, c, d};
  const double   four     = ResidualMoment(model, fourth, 4, index);
  const double   product  = ResidualMoment(model, second, 2, index) * ResidualMoment(model, second, 2, index + 2);

  return fabs(four - product) > 64 * DBL_EPSILON * fabs(four) ? four - product : 0;
}

/* Whatever the type left open is done by the functions of this file. */
static const FPModelOps Network = {.loss       = Network_Loss,
                                   .gradient   = Network_Gradient,
                                   .hessian    = Network_Hessian,
                                   .covariance = Network_Covariance,
                                   .divergence = Network_Divergence,
                                   .factor     = Network_Factor,
                                   .sample     = Network_Sample};

static void FPNetworkComplete(FPModelOps *ops)
{
  if (!ops->loss) ops->loss = Network.loss;
  if (!ops->gradient) ops->gradient = Network.gradient;
  if (!ops->hessian) ops->hessian = Network.hessian;
  if (!ops->covariance) ops->covariance = Network.covariance;
  if (!ops->divergence) ops->divergence = Network.divergence;
  if (!ops->factor) ops->factor = Network.factor;
  if (!ops->sample) ops->sample = Network.sample;
}

PetscErrorCode FPNetworkSetLaw(FPModel model, FPData data)
{
  const PetscInt   p = model->inputs, n = p + model->targets;
  const PetscReal *second, *fourth;

  PetscFunctionBegin;
  model->data     = data;
  model->residual = model->gap = 0;
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  PetscCall(FPDataGetLeastSquares(data, model->best));
  for (PetscInt j = 0; j < p * p; j++) model->xx[j] = second[j / p * n + j % p];
  for (PetscInt i = 0; i < model->targets; i++) {
    const PetscInt index[2] = {p + i, p + i};

    model->residual += 0.5 * ResidualMoment(model, second, 2, index);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPNetworkSetUp(FPModel model)
{
  const PetscInt   p = model->inputs;
  const PetscReal *second, *fourth;

  PetscFunctionBegin;
  PetscCall(FPDataGetMoments(model->data, &second, &fourth));
  PetscCall(FPDataGetSampler(model->data, &model->sampler));
  PetscCall(FPNetworkSetLaw(model, model->data));
  for (PetscInt j = 0; j < p; j++)
    for (PetscInt m = 0; m < p; m++)
      for (PetscInt ac = 0; ac < p * p; ac++)
        model->quadratic[j][m][ac / p][ac % p] = ResidualCovariance(model, second, fourth, ac / p, j, ac % p, m);
  for (PetscInt B = 0; B < model->maps; B++) {
    for (PetscInt ja = 0; ja < p * p; ja++)
      model->linear[ja / p][B][ja % p] = ResidualCovariance(model, second, fourth, ja % p, ja / p, p + B / p, B % p);
    for (PetscInt A = 0; A < model->maps; A++)
      model->noise[A][B] = ResidualCovariance(model, second, fourth, p + A / p, A % p, p + B / p, B % p);
  }
  FPNetworkComplete(&model->ops);
  model->channels  = PetscMin(model->maps, model->weights);
  model->potential = PETSC_TRUE;
  if (!model->reachable) PetscCall(FPModelFindGap(model));
  PetscFunctionReturn(0);
}

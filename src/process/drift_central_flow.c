/* "central_flow": the time average of gradient descent with oscillations of covariance Sigma along its unstable
   directions, b = -g - (1/2) grad <H, Sigma>, g = metric grad V with Jacobian H, so that H >= 2/eta nowhere:
     Sigma >= 0,  2/eta - H >= 0,  <Sigma, 2/eta - H> = 0.
   As a function of the point alone: Sigma = U X U^T on the two sharpest directions U, and X solves the complementarity
   problem at the sharpness that is reached after the time eta of one step,
     X >= 0,  F = 2/eta - U^T (H + eta dH[b]) U >= 0,  <X, F> = 0,
   with dH[b] the derivative of H along b = -g - (1/2) sum X_ab t_ab, t_ab = grad (u_a . H u_b). So the sharpness comes
   to 2/eta as exp(-t/eta) and points beyond return like that; fixed points, and the flow along the edge, are those of
   the flow itself. With one direction X = max(0, -F(0)/(eta |t|^2/2)). A third unstable direction is not held, nor is a
   sharpness without slope. Third derivatives are centred differences of H, exact to about 1e-12.
   Source: J. Cohen, A. Damian, A. Talwalkar, Z. Kolter and J. Lee, arXiv:2410.24206. */
#include "processimpl.h"
#include <petscblaslapack.h>

#define APART 0.02
#define SCAN 48 /* angles at which the least of a rank one solution is looked for */

/* One point: sharpness s and slopes t of the entries 11, 12, 22 on the two sharpest directions. */
typedef struct {
  int    d, apart;   /* apart: s_1 - s_2 > APART of 2/eta */
  double time, Q[3]; /* F at X = 0 */
  double gram[3][3]; /* t_a . t_b */
} Corner;

static const double Twice[3] = {1, 2, 1}; /* 12 stands for 21 too */

/* F_a = Q_a + (time/2) sum_b gram_ab twice_b X_b */
static void Slack(const Corner *c, const double X[3], double F[3])
{
  for (int a = 0; a < 3; a++) {
    F[a] = c->Q[a];
    for (int b = 0; b < 3; b++) F[a] += 0.5 * c->time * c->gram[a][b] * Twice[b] * X[b];
  }
}

static int Nonnegative(const double M[3], double tolerance)
{
  return M[0] >= -tolerance && M[2] >= -tolerance &&
         M[0] * M[2] - M[1] * M[1] >= -tolerance * (fabs(M[0]) + fabs(M[2]));
}

/* F = 0 by elimination with a ridge that picks the least X where some do nothing. Zero: there is no such X >= 0. */
static int Interior(const Corner *c, double X[3])
{
  double M[3][4], F[3], size = 0, trace = 0;

  for (int a = 0; a < 3; a++) trace += 0.5 * c->time * c->gram[a][a];
  for (int a = 0; a < 3; a++) {
    for (int b = 0; b < 3; b++) M[a][b] = 0.5 * c->time * c->gram[a][b] * Twice[b] + (a == b ? 1e-11 * trace : 0);
    M[a][3] = -c->Q[a];
    size    = fmax(size, fabs(c->Q[a]));
  }
  for (int a = 0; a < 3; a++) {
    int p = a;

    for (int b = a + 1; b < 3; b++)
      if (fabs(M[b][a]) > fabs(M[p][a])) p = b;
    for (int b = 0; b < 4; b++) {
      const double swap = M[a][b];

      M[a][b] = M[p][b];
      M[p][b] = swap;
    }
    for (int r = 0; r < 3; r++) {
      const double factor = r == a ? 0 : M[r][a] / M[a][a];

      for (int b = a; b < 4; b++) M[r][b] -= factor * M[a][b];
    }
  }
  for (int a = 0; a < 3; a++) X[a] = M[a][3] / M[a][a];
  Slack(c, X, F);
  return fabs(F[0]) + fabs(F[1]) + fabs(F[2]) < 1e-8 * size && Nonnegative(X, 1e-12 * (fabs(X[0]) + fabs(X[2])));
}

/* The best x v v^T along v = (cos, sin): the gain q^2/(2 a) of the objective, with x = -q/a, q < 0. */
static double AlongAngle(const Corner *c, double angle, double X[3])
{
  const double v[3] = {cos(angle) * cos(angle), cos(angle) * sin(angle), sin(angle) * sin(angle)};
  double       q = 0, a = 0;

  for (int i = 0; i < 3; i++) {
    q += Twice[i] * c->Q[i] * v[i];
    for (int j = 0; j < 3; j++) a += 0.5 * c->time * Twice[i] * Twice[j] * c->gram[i][j] * v[i] * v[j];
  }
  for (int i = 0; i < 3; i++) X[i] = q < 0 && a > 1e-300 ? -q / a * v[i] : 0;
  return q < 0 && a > 1e-300 ? 0.5 * q * q / a : 0;
}

static void RankOne(const Corner *c, double X[3])
{
  const double golden = 0.6180339887498949;
  double       best = -1, low = 0, high, at[2], gain[2];

  for (int k = 0; k < SCAN; k++) {
    const double value = AlongAngle(c, k * M_PI / SCAN, X);

    if (value > best) low = (k - 1) * M_PI / SCAN;
    best = fmax(best, value);
  }
  high    = low + 2 * M_PI / SCAN;
  at[0]   = high - golden * (high - low);
  at[1]   = low + golden * (high - low);
  gain[0] = AlongAngle(c, at[0], X);
  gain[1] = AlongAngle(c, at[1], X);
  for (int k = 0; k < 40; k++) {
    const int lower = gain[0] > gain[1];

    if (lower)
      high = at[1];
    else
      low = at[0];
    at[lower]    = at[!lower];
    gain[lower]  = gain[!lower];
    at[!lower]   = lower ? high - golden * (high - low) : low + golden * (high - low);
    gain[!lower] = AlongAngle(c, at[!lower], X);
  }
  (void)AlongAngle(c, 0.5 * (low + high), X);
}

/* X = (X_11, X_12, X_22) of the complementarity problem. A second direction that is well below the first, and stays
   under the edge, takes no part: its coupling to the first would be of the second order in the time of a step. */
static void Complement(const Corner *c, double X[3])
{
  double F[3];

  X[0] = X[1] = X[2] = 0;
  if (c->Q[0] < 0 && c->gram[0][0] > 1e-24 * c->Q[0] * c->Q[0]) X[0] = -2 * c->Q[0] / (c->time * c->gram[0][0]);
  if (c->d == 1) return;
  Slack(c, X, F);
  if (c->apart && F[2] >= 0) return;
  X[0] = 0;
  if (Nonnegative(c->Q, 0)) return;
  if (!Interior(c, X)) RankOne(c, X);
}

/* Sharpest() in the plane: the angle of the sharper direction is half that of (H_11 - H_22, 2 H_12). */
static void SharpestInPlane(int n, const double *H, double *u, double *s)
{
  for (int l = 0; l < n; l++) {
    const double half = 0.5 * (H[l] - H[3 * n + l]), off = 0.5 * (H[n + l] + H[2 * n + l]);
    const double mean = 0.5 * (H[l] + H[3 * n + l]), size = hypot(half, off), angle = 0.5 * atan2(off, half);

    s[l]         = mean + size;
    s[n + l]     = mean - size;
    u[l]         = cos(angle);
    u[n + l]     = sin(angle);
    u[2 * n + l] = -u[n + l];
    u[3 * n + l] = u[l];
  }
}

/* u[2][d][n]: the two sharpest directions; s[2][n] their sharpness. In one coordinate the second is nothing. */
static void Sharpest(int d, int n, const double *H, double *u, double *s)
{
  double *M = FPScratchTake((size_t)(d * d)), *value = FPScratchTake((size_t)(9 * d));

  memset(u, 0, (size_t)(2 * d * n) * sizeof(double));
  for (int l = 0; l < n; l++) {
    PetscBLASInt order = d, work = 8 * d, info;

    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) M[i * d + j] = 0.5 * (H[(i * d + j) * n + l] + H[(j * d + i) * n + l]);
    LAPACKsyev_("V", "U", &order, M, &order, value, value + d, &work, &info);
    for (int k = 0; k < 2 && k < d; k++) {
      s[k * n + l] = info ? NAN : value[d - 1 - k];
      for (int i = 0; i < d; i++) u[(k * d + i) * n + l] = M[(d - 1 - k) * d + i];
    }
  }
  FPScratchRelease(M);
}

/* t[3][d][n], the slopes of u_a . H u_b */
static void Slopes(FPProcess process, int n, const double *w, const double *u, double *t)
{
  const int d  = (int)process->weights;
  double   *dH = FPScratchTake((size_t)(d * d * n));

  memset(t, 0, (size_t)(3 * d * n) * sizeof(double));
  for (int k = 0; k < 2 && k < d; k++) {
    FPProcessAlong(process->model, FPModelHessian, d, d * d, n, w, u + k * d * n, dH);
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++)
        for (int l = 0; l < n; l++) {
          const double slope = dH[(i * d + j) * n + l];

          t[(2 * k * d + i) * n + l] += slope * u[(k * d + j) * n + l];
          if (!k) t[(d + i) * n + l] += slope * u[(d + j) * n + l];
        }
  }
  FPScratchRelease(dH);
}

/* f[n] = 1 where the Hessian is no more than half as large as the edge, by Frobenius' norm: nothing there is unstable
   within the time of a step, and no eigenvectors are needed. True: everywhere. */
static PetscBool Calm(int d, int n, const double *H, double eta, double *f)
{
  PetscBool all = PETSC_TRUE;

  for (int l = 0; l < n; l++) f[l] = 0;
  for (int k = 0; k < d * d; k++)
    for (int l = 0; l < n; l++) f[l] += H[k * n + l] * H[k * n + l];
  for (int l = 0; l < n; l++) {
    f[l] = f[l] < 1 / (eta * eta);
    all  = (PetscBool)(all && f[l] > 0);
  }
  return all;
}

/* X[3][n] and, where not NULL, g[d][n]; the caller releases u[2][d][n], behind which are t[3][d][n]. */
static double *Solve(FPProcess process, int n, const double *w, double *X, double *g)
{
  const int    d   = (int)process->weights;
  const double eta = process->training.learning_rate;
  double      *u = FPScratchTake((size_t)(5 * d * n)), *t = u + 2 * d * n;
  double      *H = FPScratchTake((size_t)(d * d * n)), *s = FPScratchTake((size_t)(3 * n)), *calm = s + 2 * n;

  FPModelGradient(process->model, n, w, g);
  FPModelHessian(process->model, n, w, H);
  if (Calm(d, n, H, eta, calm)) {
    memset(u, 0, (size_t)(5 * d * n) * sizeof(double));
    memset(X, 0, (size_t)(3 * n) * sizeof(double));
    FPScratchRelease(H);
    return u;
  }
  if (d == 2)
    SharpestInPlane(n, H, u, s);
  else
    Sharpest(d, n, H, u, s);
  Slopes(process, n, w, u, t);
  for (int l = 0; l < n; l++) {
    Corner c = {.d     = d,
                .time  = eta,
                .apart = d > 1 && s[l] - s[n + l] > APART * 2 / eta,
                .Q     = {2 / eta - s[l], 0, d > 1 ? 2 / eta - s[n + l] : 0}};
    double x[3];

    for (int a = 0; a < 3; a++)
      for (int i = 0; i < d; i++) {
        c.Q[a] += eta * t[(a * d + i) * n + l] * g[i * n + l];
        for (int b = 0; b < 3; b++) c.gram[a][b] += t[(a * d + i) * n + l] * t[(b * d + i) * n + l];
      }
    Complement(&c, x);
    for (int a = 0; a < 3; a++) X[a * n + l] = calm[l] > 0 ? 0 : x[a];
  }
  FPScratchRelease(H);
  return u;
}

static void FPDriftDrift_CentralFlow(FPProcess process, int n, const double *w, double *b)
{
  const int d = (int)process->weights;
  double   *g = FPScratchTake((size_t)(d * n)), *X = FPScratchTake((size_t)(3 * n));
  double   *u = Solve(process, n, w, X, g), *t = u + 2 * d * n;

  for (int i = 0; i < d; i++)
    for (int l = 0; l < n; l++) {
      b[i * n + l] = -g[i * n + l];
      for (int a = 0; a < 3; a++) b[i * n + l] -= 0.5 * Twice[a] * X[a * n + l] * t[(a * d + i) * n + l];
    }
  FPScratchRelease(g);
}

static void FPDriftOscillation_CentralFlow(FPProcess process, int n, const double *w, double *Sigma)
{
  const int d = (int)process->weights;
  double   *g = FPScratchTake((size_t)(d * n)), *X = FPScratchTake((size_t)(3 * n)), *u = Solve(process, n, w, X, g);

  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      for (int l = 0; l < n; l++) {
        const double a = u[i * n + l], b = u[(d + i) * n + l], c = u[j * n + l], e = u[(d + j) * n + l];

        Sigma[(i * d + j) * n + l] = X[l] * a * c + X[n + l] * (a * e + b * c) + X[2 * n + l] * b * e;
      }
  FPScratchRelease(g);
}

PetscErrorCode FPDriftCreate_CentralFlow(FPProcess process)
{
  PetscBool has;

  PetscFunctionBegin;
  PetscCall(FPModelHasPotential(process->model, &has));
  FPInputCheck(has, "process %s: drift central_flow needs a gradient, but the drift of this model has no potential",
               process->name);
  process->drift.drift       = FPDriftDrift_CentralFlow;
  process->drift.oscillation = FPDriftOscillation_CentralFlow;
  PetscFunctionReturn(0);
}

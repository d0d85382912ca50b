/* "rod_flow": gradient descent at the edge of stability as the motion of a rod with ends m - d and m + d, b = -[g(m +
   d)
   + g(m - d)]/2, in one coordinate. Its length follows its centre: the secant slope S(m, d) = [g(m + d) - g(m -
   d)]/(2d), which is the sharpness at d = 0, obeys d^2 >= 0,  F = 2/eta - S - eta (dS/dm) b >= 0,  d^2 F = 0, so it is
   2/eta while the rod has a length, and comes there within the time of one step as the sharpness does under drift
   central_flow. Where the ends change places from step to step, b = 0 and S = 2/eta: the cycle of period 2 of gradient
   descent itself is the fixed point, however large, which central_flow has to leading order only. Source: E. Regis and
   S. Chewi, arXiv:2602.01480, where the length has an equation of its own. */
#include "processimpl.h"

#define DOUBLINGS 60
#define STEPS 80

/* g at m + offset; H likewise */
static void Ends(FPProcess process, double m, double offset, double *g, double *H)
{
  const double at = m + offset;

  FPModelGradient(process->model, 1, &at, g);
  FPModelHessian(process->model, 1, &at, H);
}

/* -F at d^2 = square, and b */
static double Excess(FPProcess process, double m, double square, double *b)
{
  const double eta = process->training.learning_rate, d = sqrt(square);
  double       g[2], H[2], S, slope;

  if (d < 1e-4) { /* S = H + d^2 H''/6, (g(m+d) + g(m-d))/2 = g + d^2 H'/2 */
    double third, fourth;
    double low, high;

    Ends(process, m, 0, g, H);
    FPProcessAlong(process->model, FPModelHessian, 1, 1, 1, &m, NULL, &third);
    Ends(process, m, -1e-2, g + 1, &low);
    Ends(process, m, 1e-2, g + 1, &high);
    fourth = (high - 2 * H[0] + low) * 1e4;
    S      = H[0] + square * fourth / 6;
    slope  = third;
    *b     = -g[0] - 0.5 * square * third;
  } else {
    Ends(process, m, d, &g[0], &H[0]);
    Ends(process, m, -d, &g[1], &H[1]);
    S     = (g[0] - g[1]) / (2 * d);
    slope = (H[0] - H[1]) / (2 * d);
    *b    = -0.5 * (g[0] + g[1]);
  }
  return S + eta * slope * *b - 2 / eta;
}

/* The least d^2 with F = 0, or 0 where F >= 0 there, by false position (Illinois); b of that rod. */
static double Length(FPProcess process, double m, double *b)
{
  double low = 0, high = 1e-3 * (1e-6 + m * m), below = Excess(process, m, 0, b), above, next = 0;
  int    side = 0;

  if (!(below > 0)) return 0;
  for (int k = 0; k < DOUBLINGS && (above = Excess(process, m, high, b)) > 0; k++) {
    low   = high;
    below = above;
    high *= 2;
  }
  for (int k = 0; k < STEPS && high - low > 1e-14 * high; k++) {
    const double value = Excess(process, m, next = (low * above - high * below) / (above - below), b);

    if (value > 0) {
      low   = next;
      below = value;
      if (side > 0) above *= 0.5;
      side = 1;
    } else {
      high  = next;
      above = value;
      if (side < 0) below *= 0.5;
      side = -1;
    }
    if (fabs(value) <= 1e-15 / process->training.learning_rate) break;
  }
  return next;
}

static void FPDriftDrift_RodFlow(FPProcess process, int n, const double *w, double *b)
{
  for (int l = 0; l < n; l++) (void)Length(process, w[l], &b[l]);
}

static void FPDriftOscillation_RodFlow(FPProcess process, int n, const double *w, double *Sigma)
{
  double b;

  for (int l = 0; l < n; l++) Sigma[l] = Length(process, w[l], &b);
}

PetscErrorCode FPDriftCreate_RodFlow(FPProcess process)
{
  PetscFunctionBegin;
  PetscCall(FPProcessRequireScalar(process, "drift rod_flow"));
  process->drift.drift       = FPDriftDrift_RodFlow;
  process->drift.oscillation = FPDriftOscillation_RodFlow;
  PetscFunctionReturn(0);
}

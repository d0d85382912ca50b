/* "rod_flow": gradient descent at the edge of stability as the motion of a rod with ends m - d and m + d, b = -[g(m +
   d)
   + g(m - d)]/2, in one coordinate. Its length follows its centre: the secant slope S(m, d) = [g(m + d) - g(m -
   d)]/(2d), which is the sharpness at d = 0, obeys d^2 >= 0,  F = 2/eta - S - eta (dS/dm) b >= 0,  d^2 F = 0, so it is
   2/eta while the rod has a length, and comes there within the time of one step as the sharpness does under drift
   central_flow. Where the ends change places from step to step, b = 0 and S = 2/eta: the cycle of period 2 of gradient
   descent itself is the fixed point, however large, which central_flow has to leading order only. Source: E. Regis and
   S. Chewi, arXiv:2602.01480, where the length has an equation of its own.
   The equation for d is solved for blocks of points at once. Where particles are to be expected, up to three times as
   far out as the critical points, b is tabulated: it has kinks where the length becomes positive, and is smooth
   elsewhere. */
#include "tabulate.h"

#define DOUBLINGS 60
#define STEPS 80
#define SMALL 1e-4  /* of d, below which quotients are series */
#define BEYOND 3.0  /* of the largest critical point, and of 1: as far as the table goes */
#define FOURTH 1e-2 /* step of the difference that is the fourth derivative of the loss */

/* Where the ends are close together: S = H + d^2 H''/6, (g(m+d) + g(m-d))/2 = g + d^2 H'/2 */
static void ExcessShort(FPProcess process, int n, const double *m, const double *square, double *F, double *b)
{
  double g[FP_BLOCK], H[FP_BLOCK], third[FP_BLOCK], low[FP_BLOCK], high[FP_BLOCK], at[FP_BLOCK];

  FPModelGradient(process->model, n, m, g);
  FPModelHessian(process->model, n, m, H);
  FPProcessAlong(process->model, FPModelHessian, 1, 1, n, m, NULL, third);
  for (int l = 0; l < n; l++) at[l] = m[l] - FOURTH;
  FPModelHessian(process->model, n, at, low);
  for (int l = 0; l < n; l++) at[l] = m[l] + FOURTH;
  FPModelHessian(process->model, n, at, high);
  for (int l = 0; l < n; l++) {
    const double fourth = (high[l] - 2 * H[l] + low[l]) / (FOURTH * FOURTH);

    b[l] = -g[l] - 0.5 * square[l] * third[l];
    F[l] = H[l] + square[l] * fourth / 6 + process->training.learning_rate * third[l] * b[l] -
           2 / process->training.learning_rate;
  }
}

/* -F at d^2 = square, and b */
static void Excess(FPProcess process, int n, const double *m, const double *square, double *F, double *b)
{
  const double eta = process->training.learning_rate;
  double       d[FP_BLOCK], at[FP_BLOCK], g[2][FP_BLOCK], H[2][FP_BLOCK];
  int          close = 0;

  for (int l = 0; l < n; l++) {
    d[l] = sqrt(square[l]);
    close += d[l] < SMALL;
  }
  if (close < n) {
    for (int side = 0; side < 2; side++) {
      for (int l = 0; l < n; l++) at[l] = side ? m[l] - d[l] : m[l] + d[l];
      FPModelGradient(process->model, n, at, g[side]);
      FPModelHessian(process->model, n, at, H[side]);
    }
    for (int l = 0; l < n; l++) {
      b[l] = -0.5 * (g[0][l] + g[1][l]);
      F[l] = (g[0][l] - g[1][l]) / (2 * d[l]) + eta * (H[0][l] - H[1][l]) / (2 * d[l]) * b[l] - 2 / eta;
    }
  }
  if (close > 0) {
    double other[2][FP_BLOCK];

    ExcessShort(process, n, m, square, other[0], other[1]);
    for (int l = 0; l < n; l++)
      if (d[l] < SMALL) {
        F[l] = other[0][l];
        b[l] = other[1][l];
      }
  }
}

/* Points whose search goes on: number k stands for point index[k] of those asked for. */
typedef struct {
  int    n, index[FP_BLOCK], side[FP_BLOCK];
  double m[FP_BLOCK], low[FP_BLOCK], high[FP_BLOCK], below[FP_BLOCK], above[FP_BLOCK], next[FP_BLOCK];
} Search;

/* Without point k, whose place the last one takes */
static void Remove(Search *s, int k)
{
  const int last = --s->n;

  s->index[k] = s->index[last];
  s->side[k]  = s->side[last];
  s->m[k]     = s->m[last];
  s->low[k]   = s->low[last];
  s->high[k]  = s->high[last];
  s->below[k] = s->below[last];
  s->above[k] = s->above[last];
  s->next[k]  = s->next[last];
}

/* Doubles high[] until F >= 0 there. */
static void Bracket(FPProcess process, Search *s)
{
  double    F[FP_BLOCK], b[FP_BLOCK];
  PetscBool done = PETSC_FALSE;

  for (int k = 0; k < DOUBLINGS && !done; k++) {
    Excess(process, s->n, s->m, s->high, F, b);
    done = PETSC_TRUE;
    for (int l = 0; l < s->n; l++) {
      s->above[l] = F[l];
      if (!(F[l] > 0)) continue;
      s->low[l]   = s->high[l];
      s->below[l] = F[l];
      s->high[l] *= 2;
      done = PETSC_FALSE;
    }
  }
}

/* One step of false position (Illinois): has it ended? */
static PetscBool Step(Search *s, int k, double value, double tolerance)
{
  if (value > 0) {
    s->low[k]   = s->next[k];
    s->below[k] = value;
    if (s->side[k] > 0) s->above[k] *= 0.5;
    s->side[k] = 1;
  } else {
    s->high[k]  = s->next[k];
    s->above[k] = value;
    if (s->side[k] < 0) s->below[k] *= 0.5;
    s->side[k] = -1;
  }
  return (PetscBool)(fabs(value) <= tolerance || !(s->high[k] - s->low[k] > 1e-14 * s->high[k]));
}

/* The least d^2 with F = 0, or 0 where F >= 0 there; b of those rods. */
static void Lengths(FPProcess process, int n, const double *m, double *square, double *b)
{
  const double tolerance = 1e-15 / process->training.learning_rate;
  double       F[FP_BLOCK], at[FP_BLOCK];
  Search       s = {.n = 0};

  for (int l = 0; l < n; l++) square[l] = 0;
  Excess(process, n, m, square, F, b);
  for (int l = 0; l < n; l++) {
    if (!(F[l] > 0)) continue;
    s.index[s.n] = l;
    s.side[s.n]  = 0;
    s.m[s.n]     = m[l];
    s.low[s.n]   = 0;
    s.below[s.n] = F[l];
    s.high[s.n]  = 1e-3 * (1e-6 + m[l] * m[l]);
    s.n++;
  }
  Bracket(process, &s);
  for (int step = 0; step < STEPS && s.n > 0; step++) {
    for (int k = 0; k < s.n; k++)
      s.next[k] = (s.low[k] * s.above[k] - s.high[k] * s.below[k]) / (s.above[k] - s.below[k]);
    Excess(process, s.n, s.m, s.next, F, at);
    for (int k = 0; k < s.n; k++) {
      square[s.index[k]] = s.next[k];
      b[s.index[k]]      = at[k];
    }
    for (int k = s.n - 1; k >= 0; k--) /* those that take the place of others have had their step */
      if (Step(&s, k, F[k], tolerance)) Remove(&s, k);
  }
}

/* b by the search for the length */
static void Find(FPProcess process, int n, const double *w, double *b)
{
  double square[FP_BLOCK];

  Lengths(process, n, w, square, b);
}

static void FPDriftDrift_RodFlow(FPProcess process, int n, const double *w, double *b)
{
  int       missing[FP_BLOCK];
  double    at[FP_BLOCK], found[FP_BLOCK];
  const int count = FPTableAt((FPTable)process->drift.data, n, w, b, missing);

  if (count == 0) return;
  for (int k = 0; k < count; k++) at[k] = w[missing[k]];
  Find(process, count, at, found);
  for (int k = 0; k < count; k++) b[missing[k]] = found[k];
}

static void FPDriftOscillation_RodFlow(FPProcess process, int n, const double *w, double *Sigma)
{
  double b[FP_BLOCK];

  Lengths(process, n, w, Sigma, b);
}

static PetscErrorCode FPDriftDestroy_RodFlow(FPProcess process)
{
  PetscFunctionBegin;
  PetscCall(FPTableDestroy((FPTable *)&process->drift.data));
  PetscFunctionReturn(0);
}

PetscErrorCode FPDriftCreate_RodFlow(FPProcess process)
{
  const FPCriticalPoint *points;
  PetscInt               count;
  PetscReal              far = 1;

  PetscFunctionBegin;
  PetscCall(FPProcessRequireScalar(process, "drift rod_flow"));
  PetscCall(FPModelGetCriticalPoints(process->model, &count, &points));
  for (PetscInt k = 0; k < count; k++) far = PetscMax(far, PetscAbsReal(points[k].z[0]));
  PetscCall(FPTableCreate(process, Find, -BEYOND * far, BEYOND * far, (FPTable *)&process->drift.data));
  process->drift.drift       = FPDriftDrift_RodFlow;
  process->drift.oscillation = FPDriftOscillation_RodFlow;
  process->drift.destroy     = FPDriftDestroy_RodFlow;
  PetscFunctionReturn(0);
}

/* transferchi.c: the law of a step where inputs are Gaussian, of variance s, and one target is learned. With X_b the
   means of x^2 over one batch, or two, of coefficients c_b (svag), and e = M - A, the scalar gradient is normal given
   these: mean e (c_0 X_0 + c_1 X_1), variance sigma^2/B (c_0^2 X_0 + c_1^2 X_1). One batch: X_0 = s y^2/B with y of the
   chi law of B degrees. Two: polar coordinates of that variance,

     X_0 = s y^2 cos^2 a/B,  X_1 = s (c_0/c_1)^2 y^2 sin^2 a/B,  0 < a < pi/2,

   so that given y all have the same width, c_0 y sigma s^(1/2)/B, and centres that are linear in t = sin^2 a. Both are
   by Gauss-Legendre panels, those of y narrow towards y = 0, all of them where the centre moves fast against the width.
   Two batches make many nodes: where centres are close together Gauss's rule for their law takes few in place of
   them; else they are put on a lattice. Normal laws of variances v in [low, 4 low] are those of v - low/2 convolved
   with one of low/2, an integral that a sum over points x_l gives but for 2 exp(-2 pi^2 w/d^2), d their distance, 1/w =
   1/(v - low/2) + 2/low: with d^2 = 0.15 low that is 1e-14, whatever the nodes are. */
#include "transferlaw.h"

#define MOST_PANELS 4000
#define TAIL 9.0        /* of the law of y, beyond its middle */
#define FIRST_PANEL 128 /* 1/that: width of the first, unless injected noise is wider there */
#define SPAN 5.0        /* widths of the normal law that one panel may sweep */
#define ANGLE_PANELS 6  /* of the angle, at least */
#define MOST_ANGLES 200
#define DEPTH 40       /* ln of the density of an angle, below its peak, that is left out */
#define HALVINGS 30    /* of an interval that has the end of these angles */
#define NOTHING 1e-22  /* probability that is left out */
#define ACCURACY 1e-14 /* of probabilities, by Gauss's rule in place of all angles */
#define FEW 4          /* nodes of that rule; more go on a lattice */
#define SPACING 0.15   /* squared, of the lattice, over the lowest variance */
#define NARROW 1e-19   /* what a node adds to a point of the lattice that is left out */
#define JOINED 0.03 /* in the plane, of the injected noise: narrower normal laws it joins anyhow, without a lattice */

typedef struct {
  PetscInt  B;
  PetscReal ratio;                  /* |c_1|/c_0; 0: one batch */
  PetscReal bend, spread, injected; /* of G at t = 0: centre bend y^2; variance spread^2 y^2 + injected^2 */
  PetscReal from, last;
} Sweep;

/* Two batches. Angles at one y: t and probability per dy; the lattice: mass[size] from place `start` on, in spacings.
 */
typedef struct {
  FPStepLaw        law;
  const Sweep     *sweep;
  const PetscReal *rest;
  FPMixture       *mixture;
  PetscReal        join, split; /* injected noise that the lattice counts on; its variance left to the components */
  PetscInt         n, room;
  PetscReal        total, *t, *mass, *node, *weight;
  PetscInt         start, size, lattice;
  PetscReal        low, *point; /* low: least variance of those on the lattice, 0: it is empty */
} Pairs;

static PetscReal Width(const Sweep *sweep, PetscReal y)
{
  return hypot(sweep->spread * y, sweep->injected);
}

/* ln of the density of the chi law */
static PetscReal LogChi(PetscInt degrees, PetscReal y)
{
  return (degrees - 1) * log(y) - y * y / 2 - (0.5 * degrees - 1) * M_LN2 - lgamma(0.5 * degrees);
}

static PetscReal Slope(const Sweep *sweep, PetscReal y)
{
  return y * y * (1 / PetscSqr(sweep->ratio) - 1) / 2;
}

/* ln of the density of the angle, but for a constant */
static PetscReal LogAngle(PetscInt B, PetscReal slope, PetscReal a)
{
  const PetscReal sine = sin(a);

  return (B > 1 ? (B - 1) * log(PetscMax(sine * cos(a), 1e-300)) : 0) - slope * sine * sine;
}

/* Where that has its only peak, and what is within DEPTH of it */
static PetscReal AngleRange(PetscInt B, PetscReal slope, PetscReal range[2])
{
  const PetscReal cosine = slope > 0 ? slope / (B - 1 + hypot(B - 1, slope)) : 0, peak = acos(cosine) / 2;

  const PetscReal least = LogAngle(B, slope, peak) - DEPTH;

  for (int side = 0; side < 2; side++) {
    PetscReal inside = peak, end = side * PETSC_PI / 2;

    range[side] = end;
    if (LogAngle(B, slope, end) > least) continue;
    for (int step = 0; step < HALVINGS; step++) {
      const PetscReal middle = (inside + end) / 2;

      if (LogAngle(B, slope, middle) > least)
        inside = middle;
      else
        end = middle;
    }
    range[side] = end;
  }
  return peak;
}

/* Farthest that centres are at y and beyond, over that at t = 0 */
static PetscReal Far(const Sweep *sweep, PetscReal y)
{
  PetscReal range[2];

  if (sweep->ratio == 0) return 1;
  (void)AngleRange(sweep->B, Slope(sweep, y), range);
  return PetscMax(1, (1 + 1 / sweep->ratio) * PetscSqr(sin(range[1])) - 1);
}

static PetscReal PanelEnd(const Sweep *sweep, PetscReal y)
{
  const PetscReal least = PetscMax(1.0 / FIRST_PANEL, sweep->spread > 0 ? sweep->injected / sweep->spread : 1);
  const PetscReal own   = PetscMin(1, PetscMax(y, least));
  const PetscReal moved = 2 * sweep->bend * Far(sweep, y) * (y + own), sd = Width(sweep, y + own / 2);

  return PetscMin(sweep->last,
                  y + (moved * own > SPAN * sd ? PetscMax(SPAN * sd / moved, sweep->last / MOST_PANELS) : own));
}

/* t and probability of angles from `from` on, in panels of width `part`; all: of the peak, which has the angle `peak`
 */
static void FillAngles(Pairs *p, PetscInt panels, PetscReal from, PetscReal part, PetscReal slope, PetscReal all,
                       PetscReal peak)
{
  FPStepLaw       law = p->law;
  const PetscReal top = PetscSqr(sin(peak)), product = p->sweep->B > 1 ? sin(peak) * cos(peak) : 1;

  p->total = 0;
  for (PetscInt k = 0; k < law->nodes; k++) {
    const PetscReal first = from + part * (1 + law->node[k]) / 2, turn[2] = {cos(part), sin(part)};
    PetscReal       cosine = cos(first), sine = sin(first);

    for (PetscInt q = 0, i = k; q < panels; q++, i += law->nodes) {
      const PetscReal before = cosine, t = sine * sine;

      p->t[i]    = t;
      p->mass[i] = all * law->weight[k] * part / 2 * exp(slope * (top - t)) *
                   PetscPowRealInt(sine * cosine / product, p->sweep->B - 1);
      p->total += p->mass[i];
      cosine = cosine * turn[0] - sine * turn[1];
      sine   = sine * turn[0] + before * turn[1];
    }
  }
}

/* Angles at y, enough for centres that move by `step` times t */
static PetscErrorCode SetAngles(Pairs *p, PetscReal y, PetscReal step)
{
  const Sweep    *sweep = p->sweep;
  const PetscReal slope = Slope(sweep, y);
  PetscReal       range[2], peak, all, length;
  PetscInt        panels;

  PetscFunctionBegin;
  peak = AngleRange(sweep->B, slope, range);
  length =
      step * (range[1] - range[0]) * sin(2 * PetscClipInterval(PETSC_PI / 4, range[0], range[1])) / Width(sweep, y);
  panels = (PetscInt)PetscClipInterval(length > 0 ? length / SPAN : 0, ANGLE_PANELS, MOST_ANGLES);
  p->n   = panels * p->law->nodes;
  if (p->n > p->room) {
    PetscCall(PetscFree4(p->t, p->mass, p->node, p->weight));
    p->room = p->n;
    PetscCall(PetscMalloc4(p->room, &p->t, p->room, &p->mass, p->room, &p->node, p->room, &p->weight));
  }
  /* of y and all its angles, from the chi laws of both batches */
  all = exp(LogAngle(sweep->B, slope, peak) + 2 * LogChi(sweep->B, 1) + 1 + (2 * sweep->B - 1) * log(y) - y * y / 2 -
            sweep->B * log(sweep->ratio));
  FillAngles(p, panels, range[0], (range[1] - range[0]) / panels, slope, all, peak);
  PetscFunctionReturn(0);
}

/* Nodes of a Gauss rule for normal laws whose centres lie on `length` times their width, n of them being enough for
   4 (length/4)^(2n)/(2n)!^(1/2) < accuracy: the derivatives of a normal law of width 1 are below (2n)!^(1/2), and the
   remainder has them times 2 (length/4)^(2n)/(2n)! or less, which Chebyshev's polynomials would give. */
static PetscInt EnoughNodes(PetscReal length, PetscReal accuracy, PetscInt most)
{
  PetscReal error = 4;
  PetscInt  n     = 0;

  while (n < most && (n == 0 || error > accuracy)) {
    n++;
    error *= PetscSqr(length / 4) / PetscSqrtReal(2.0 * n * (2.0 * n - 1));
  }
  return n;
}

/* What is on the lattice goes to the mixture. */
static PetscErrorCode Flush(Pairs *p)
{
  const PetscReal d = PetscSqrtReal(SPACING * p->low), sd = PetscSqrtReal(PetscMax(0, p->low / 2 - p->split));

  PetscFunctionBegin;
  if (p->low == 0) PetscFunctionReturn(0);
  for (PetscInt l = 0; l < p->size; l++)
    if (p->point[l] > NOTHING)
      PetscCall(FPStepLawAdd(p->law, p->rest, p->point[l], (p->start + l) * d, sd, p->mixture));
  p->low = 0;
  PetscFunctionReturn(0);
}

/* An empty lattice for normal laws of variances from low to 4 low */
static PetscErrorCode Empty(Pairs *p, PetscReal low, PetscReal e)
{
  const PetscReal d = PetscSqrtReal(SPACING * low), own = p->join;
  const PetscReal most = p->sweep->spread > 0 ? (4 * low - own * own) / PetscSqr(p->sweep->spread) : 1e300;
  const PetscReal y = PetscMin(p->sweep->last, PetscSqrtReal(most)), far = p->sweep->bend * y * y;
  const PetscReal reach = FP_TAIL * 2 * PetscSqrtReal(low), up = (e > 0 ? far : far / p->sweep->ratio) + reach;
  const PetscReal down = (e > 0 ? far / p->sweep->ratio : far) + reach;

  PetscFunctionBegin;
  p->low   = low;
  p->start = -(PetscInt)(down / d) - 1;
  p->size  = (PetscInt)(up / d) + 2 - p->start;
  if (p->size > p->lattice) {
    PetscCall(PetscFree(p->point));
    p->lattice = p->size;
    PetscCall(PetscMalloc1(p->lattice, &p->point));
  }
  PetscCall(PetscArrayzero(p->point, p->size));
  PetscFunctionReturn(0);
}

/* weight N(centre, variance) at the points of the lattice, from the nearest one to both sides: N(x + d) = N(x) times a
   factor that itself goes down by exp(-d^2/u) at every point, u the variance that is left */
FP_HOT static void SpreadOut(Pairs *p, const PetscReal weight[], const PetscReal t[], PetscReal dy, PetscReal scale,
                             PetscReal variance)
{
  const PetscReal d = PetscSqrtReal(SPACING * p->low), u = variance - p->low / 2, slope = 1 + 1 / p->sweep->ratio;
  const PetscReal height = dy * d / PetscSqrtReal(2 * PETSC_PI * u), half = exp(-d * d / (2 * u)), turn = half * half;

  for (PetscInt k = 0; k < p->n; k++) {
    const PetscReal centre = scale * (1 - slope * t[k]), peak = weight[k] * height;
    const PetscInt  at   = (PetscInt)PetscFloorReal(centre / d + 0.5) - p->start;
    const PetscReal from = (at + p->start) * d - centre, tilt = exp(-from * d / u);
    PetscReal       value = peak * exp(-from * from / (2 * u)), factor[2] = {half / tilt, half * tilt};
    PetscReal       down = value * factor[0];

    factor[0] *= turn;
    if (peak < NARROW) continue;
    for (PetscInt l = at; l < p->size && value > NARROW; l++) {
      p->point[l] += value;
      value *= factor[1];
      factor[1] *= turn;
    }
    for (PetscInt l = at - 1; l >= 0 && down > NARROW; l--) {
      p->point[l] += down;
      down *= factor[0];
      factor[0] *= turn;
    }
  }
}

/* n nodes of Gauss's rule, or all angles, as components of variance v */
static PetscErrorCode AddNodes(Pairs *p, PetscInt n, PetscReal dy, PetscReal scale, PetscReal v)
{
  const PetscReal  slope = 1 + 1 / p->sweep->ratio, sd = PetscSqrtReal(PetscMax(0, v - p->split));
  const PetscBool  all = (PetscBool)(n > p->n / 2);
  const PetscReal *t = all ? p->t : p->node, *mass = all ? p->mass : p->weight;

  PetscFunctionBegin;
  if (!all) PetscCall(FPGaussOfPoints(p->n, p->t, p->mass, n, p->node, p->weight));
  for (PetscInt k = 0; k < (all ? p->n : n); k++)
    PetscCall(FPStepLawAdd(p->law, p->rest, mass[k] * dy, scale * (1 - slope * t[k]), sd, p->mixture));
  PetscFunctionReturn(0);
}

/* All that is at y, its share of the line being dy */
static PetscErrorCode AddPairs(Pairs *p, PetscReal y, PetscReal dy, PetscReal e)
{
  const Sweep    *sweep = p->sweep;
  const PetscReal scale = (e > 0 ? 1 : -1) * sweep->bend * y * y, slope = 1 + 1 / sweep->ratio;
  const PetscReal own = sweep->spread * y, v = own * own + p->join * p->join;
  const PetscBool lattice = (PetscBool)(v > 0 && (p->join > 0 || own > JOINED * sweep->injected));
  PetscReal       length;
  PetscInt        n;

  PetscFunctionBegin;
  PetscCall(SetAngles(p, y, PetscAbsReal(scale) * slope));
  if (p->total * dy < NOTHING) PetscFunctionReturn(0);
  length = PetscAbsReal(scale) * slope * (p->t[p->n - 1] - p->t[0]);
  n      = EnoughNodes(length > 0 ? length / Width(sweep, y) : 0, PetscMin(1, ACCURACY / (p->total * dy)),
                  lattice ? FEW + 1 : p->n);
  if (n <= FEW || !lattice) {
    PetscCall(AddNodes(p, n, dy, scale, v));
    PetscFunctionReturn(0);
  }
  if (v > 4 * p->low) {
    PetscCall(Flush(p));
    PetscCall(Empty(p, v, e));
  }
  SpreadOut(p, p->mass, p->t, dy, scale, v);
  PetscFunctionReturn(0);
}

/* What is at y, per dy, of one batch */
static PetscErrorCode AddOne(FPStepLaw law, PetscReal y, PetscReal dy, PetscReal e, const PetscReal rest[],
                             FPMixture *m)
{
  const PetscInt  B = law->training.batch_size;
  const PetscReal X = law->s * y * y / B, mass = dy * exp(LogChi(B, y));

  PetscFunctionBegin;
  if (mass >= NOTHING) PetscCall(FPStepLawAdd(law, rest, mass, e * X, law->sigma * PetscSqrtReal(X / B), m));
  PetscFunctionReturn(0);
}

PetscErrorCode FPStepLawAddChi(FPStepLaw law, const PetscReal rest[], PetscReal length, PetscReal M, FPMixture *m)
{
  const PetscReal B = law->training.batch_size, e = M - law->A, *c = law->coefficient;
  const PetscReal ratio = PetscAbsReal(c[1]) / c[0], middle = PetscSqrtReal(B * (1 + ratio * ratio));
  const Sweep     sweep = {.B        = law->training.batch_size,
                           .ratio    = ratio,
                           .bend     = PetscAbsReal(e) * c[0] * law->s / B,
                           .spread   = c[0] * law->sigma * PetscSqrtReal(law->s) / B,
                           .injected = length > 0 ? law->injected / length : 0,
                           .from     = PetscMax(0, middle - TAIL),
                           .last     = middle + TAIL};
  Pairs           pairs = {.law = law, .sweep = &sweep, .rest = rest, .mixture = m};
  PetscReal       sum   = 0;

  PetscFunctionBegin;
  if (length == 0) {
    PetscCall(FPStepLawAdd(law, rest, 1, 0, 0, m));
    PetscFunctionReturn(0);
  }
  if (law->batches == 2 && law->dim == 1) { /* components narrower than the injected noise, none beside theirs */
    pairs.join  = sweep.injected;
    pairs.split = sweep.injected * sweep.injected / 2;
    m->injected = law->injected * M_SQRT1_2;
  }
  for (PetscReal at = sweep.from, to; at < sweep.last; at = to) {
    to = PanelEnd(&sweep, at);
    for (PetscInt k = 0; k < law->nodes; k++) {
      const PetscReal y = at + (to - at) * (1 + law->node[k]) / 2, dy = law->weight[k] * (to - at) / 2;

      if (law->batches == 2)
        PetscCall(AddPairs(&pairs, y, dy, e));
      else
        PetscCall(AddOne(law, y, dy, e, rest, m));
    }
  }
  PetscCall(Flush(&pairs));
  for (PetscInt k = 0; k < m->n; k++) sum += m->weight[k];
  for (PetscInt k = 0; k < m->n; k++) m->weight[k] /= sum;
  PetscCall(PetscFree4(pairs.t, pairs.mass, pairs.node, pairs.weight));
  PetscCall(PetscFree(pairs.point));
  PetscFunctionReturn(0);
}

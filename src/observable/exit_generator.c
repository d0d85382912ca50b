/* exit_generator.c: times of leaving a region from the generator Q of the process killed at its boundary:
     mean T = -Q^-1 1, second moment -2 Q^-1 T (less step T where time goes in steps), survival exp(t Q) 1, slowest
   rates and quasi-stationary law from the spectrum, each at the start by interpolation between cell centres. Where
   edges have a factor for slow modes (fitted.c), a start on a steep slope would leave a quarter too soon: times and
   survival are those of a second chain without it (options.transient). Of rare exits that factor makes the slowest
   rate, and with it the time, far more accurate; there the slowest mode, of rate k' and weight c at the start in the
   second chain, is given the rate k of the first: c exp(-k' t) becomes c exp(-k t). Where it leaves: the flux at node k
   is g_k kill_k with g = -Q^-T delta_start, the mean time spent at each node; the share of a cell that lies along
   negative curvature is the mean over points of the cell. Jumps land in a set A apart from the region with probability
   -Q^-1 r, r = Q' 1_A with Q' of the process that is not killed, plus, where walls kill, the rate sigma^alpha
   Gamma(alpha) sin(pi alpha/2)/pi distance^-alpha of jumps beyond them. Committor: q = -Q^-1 kill_b with Q of the
   process killed at both boundaries and kill_b what the second one adds. */
#include "exitimpl.h"
#include "fpspecial.h"
#include <gsl/gsl_errno.h>
#include <gsl/gsl_spline.h>
#include <math.h>

#define RAREST 1e-12 /* of the largest rate: the slowest that is told from 0 */
#define SECTIONS 16  /* of steps, among which the median of a discrete algorithm lies */
#define STEPS 48     /* times at which the survival curve is known for its median */
#define SLOWEST 30   /* of them under a fractional clock, in the mean of its own time, and their spacing in ln */
#define SLOW_STEP 0.17
#define SUBPOINTS 20   /* per axis and cell */
#define NODES 6        /* per axis of the interpolation, far beyond the second order of the grid */
#define ROUGH 0.3      /* the boundary cuts cells, and the start lies in one, elsewhere on every grid */
#define CUT_LINE 0.006 /* of jumps: what a boundary that cuts cells leaves */
#define CUT_PLANE 0.003
#define RARE 10 /* exits are rare where the second rate is that many times the first */

/* Weights at the start for values on the unknowns of a killed generator, outside of which functions vanish. */
typedef struct {
  PetscInt  n, node[NODES * NODES * NODES];
  PetscReal weight[NODES * NODES * NODES];
} Stencil;

/* The slowest mode at the start: weight, rate in the chain that moves, and the better one. */
typedef struct {
  PetscReal weight, rate, better;
} SlowMode;

static PetscReal At(const Stencil *s, const PetscReal value[])
{
  PetscReal sum = 0;

  for (PetscInt k = 0; k < s->n; k++) sum += s->weight[k] * value[s->node[k]];
  return sum;
}

/* Lagrange weights of `points` cells from `first` on at position xi, in cells. */
static void Lagrange(PetscInt points, PetscInt first, PetscReal xi, PetscReal weight[])
{
  for (PetscInt i = 0; i < points; i++) {
    weight[i] = 1;
    for (PetscInt j = 0; j < points; j++)
      if (j != i) weight[i] *= (xi - (PetscReal)(first + j) - 0.5) / (PetscReal)(i - j);
  }
}

/* The tensor of `points` cells per axis that begins `shift` cells beside the centred one; false where some cell of it
   is no unknown. */
static PetscBool TryStencil(PetscInt dim, const PetscInt cells[], const PetscReal xi[], const PetscInt unknown[],
                            PetscInt points, const PetscInt shift[], Stencil *s)
{
  PetscReal weight[3][NODES];
  PetscInt  first[3], total = 1;

  for (PetscInt a = 0; a < dim; a++) {
    const PetscInt centred = (PetscInt)floor(xi[a] - 0.5) - (points / 2 - 1);

    first[a] = PetscClipInterval(centred, 0, cells[a] - points) + shift[a];
    if (first[a] < 0 || first[a] + points > cells[a]) return PETSC_FALSE;
    Lagrange(points, first[a], xi[a], weight[a]);
    total *= points;
  }
  s->n = total;
  for (PetscInt k = 0; k < total; k++) {
    PetscInt rest = k, lattice = 0, stride = 1;

    s->weight[k] = 1;
    for (PetscInt a = 0; a < dim; a++) {
      lattice += stride * (first[a] + rest % points);
      s->weight[k] *= weight[a][rest % points];
      stride *= cells[a];
      rest /= points;
    }
    s->node[k] = unknown[lattice];
    if (s->node[k] < 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* The best stencil whose cells are all inside: centred, else shifted, else of fewer cells; the nearest node at last. */
static PetscErrorCode BuildStencil(const FPExit *e, FPGenerator gen, FPMesh mesh, Stencil *s)
{
  const PetscInt *cells, *unknown, order[] = {0, 1, -1, 2, -2};
  PetscReal       ratio, xi[3];
  PetscInt        dim, tries = 1;
  PetscBool       found = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetUnknowns(gen, &unknown));
  for (PetscInt a = 0; a < dim; a++) {
    FPMeshUnmap(mesh, a, e->z[a], &xi[a]);
    xi[a] *= cells[a];
    tries *= 5;
  }
  for (PetscInt points = NODES; points >= 1 && !found; points--)
    for (PetscInt k = 0; k < tries && !found; k++) {
      const PetscInt shift[3] = {order[k % 5], order[k / 5 % 5], order[k / 25 % 5]};

      found = TryStencil(dim, cells, xi, unknown, points, shift, s);
    }
  PetscCheck(found, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "exit: no cell of the grid near the start lies inside the region; use more cells");
  PetscFunctionReturn(0);
}

/* Time by which half has left: where the survival curve at every `stride`-th of times[0..STEPS] crosses 1/2, by a cubic
   spline over t^beta. */
static PetscReal Median(PetscInt stride, PetscReal beta, const PetscReal times[], const PetscReal curve[])
{
  const PetscInt    n      = STEPS / stride + 1;
  gsl_interp_accel *accel  = gsl_interp_accel_alloc();
  gsl_spline       *spline = gsl_spline_alloc(gsl_interp_cspline, (size_t)n);
  PetscReal         time[STEPS + 1], survival[STEPS + 1], low = 0, high;

  for (PetscInt k = 0; k < n; k++) {
    time[k]     = PetscPowReal(times[k * stride], beta);
    survival[k] = curve[k * stride];
  }
  high = time[n - 1];
  gsl_spline_init(spline, time, survival, (size_t)n);
  for (PetscInt k = 0; k < n; k++) {
    if (survival[k] < 0.5) {
      high = time[k];
      low  = k ? time[k - 1] : 0;
      break;
    }
  }
  for (int step = 0; step < 60; step++) {
    const PetscReal middle = (low + high) / 2;

    if (gsl_spline_eval(spline, middle, accel) > 0.5)
      low = middle;
    else
      high = middle;
  }
  gsl_spline_free(spline);
  gsl_interp_accel_free(accel);
  return PetscPowReal((low + high) / 2, 1 / beta);
}

/* What is left of a mode of that rate at time t. */
static PetscReal Relaxation(FPGenerator gen, PetscReal rate, PetscReal t)
{
  FPProcess process;
  PetscReal beta = 1, scale = 1;

  (void)FPGeneratorGetProcess(gen, &process);
  (void)FPProcessGetClock(process, &beta, &scale);
  return FPMittagLeffler(beta, scale * rate * PetscPowReal(t, beta));
}

/* The survival curve from the start at times[count]. */
static PetscErrorCode SurvivalAt(FPGenerator gen, const Stencil *s, const SlowMode *slow, PetscInt count,
                                 const PetscReal times[], PetscReal survival[], PetscReal error[])
{
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  PetscReal       *one, *out;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc2(n, &one, (size_t)n * (size_t)count, &out));
  for (PetscInt k = 0; k < n; k++) one[k] = 1;
  PetscCall(FPGeneratorEvolve(gen, PETSC_TRUE, one, count, times, out, error));
  for (PetscInt t = 0; t < count; t++)
    survival[t] = At(s, out + (size_t)t * (size_t)n) +
                  slow->weight * (Relaxation(gen, slow->better, times[t]) - Relaxation(gen, slow->rate, times[t]));
  PetscCall(PetscFree2(one, out));
  PetscFunctionReturn(0);
}

/* median_time of a discrete algorithm, whose survival is linear between two steps: these are found by sections. */
static PetscErrorCode AddStepMedian(FPGenerator gen, const Stencil *s, const SlowMode *slow, PetscReal step,
                                    PetscReal mean, FPQuantities *q)
{
  PetscReal low = 0, high = PetscCeilReal(2 * mean / step) + 1, above = 1, below = 0, wrong = 0;

  PetscFunctionBegin;
  while (high - low > 1) {
    PetscReal       time[SECTIONS], survival[SECTIONS], error[SECTIONS], from = low;
    const PetscInt  count = (PetscInt)PetscMin(SECTIONS, high - low - 1);
    const PetscReal each  = (high - low) / (count + 1);

    for (PetscInt k = 0; k < count; k++) time[k] = step * PetscFloorReal(from + (k + 1) * each);
    PetscCall(SurvivalAt(gen, s, slow, count, time, survival, error));
    for (PetscInt k = 0; k < count; k++) {
      const PetscReal at = PetscFloorReal(time[k] / step + 0.5);

      wrong = error[k];
      if (survival[k] <= 0.5) {
        high  = at;
        below = survival[k];
        break;
      }
      low   = at;
      above = survival[k];
    }
  }
  if (above > below)
    PetscCall(FPQuantitiesAdd(q, step * (low + (above - 0.5) / (above - below)), step * wrong / (above - below), "time",
                              "median_time"));
  PetscFunctionReturn(0);
}

/* survival[t=..] and median_time; mean: of the exit time */
static PetscErrorCode AddSurvival(const FPExit *e, FPGenerator gen, const Stencil *s, const SlowMode *slow,
                                  PetscReal mean, FPQuantities *q)
{
  PetscReal time[STEPS + 1], survival[STEPS + 1], error[STEPS + 1], median, spline, beta, scale, step;
  FPProcess process;

  PetscFunctionBegin;
  if (e->times.n > 0) {
    PetscReal *at, *wrong;

    PetscCall(PetscMalloc2(e->times.n, &at, e->times.n, &wrong));
    PetscCall(SurvivalAt(gen, s, slow, e->times.n, e->times.value, at, wrong));
    for (PetscInt k = 0; k < e->times.n; k++)
      PetscCall(FPQuantitiesAdd(q, at[k], wrong[k], "1", "survival[t=%g]", (double)e->times.value[k]));
    PetscCall(PetscFree2(at, wrong));
  }
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetClock(process, &beta, &scale));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) {
    PetscCall(AddStepMedian(gen, s, slow, step, mean, q));
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k <= STEPS; k++) /* by Markov's inequality the median is there */
    time[k] = beta == 1 ? 2 * mean * k / STEPS
                        : PetscPowReal(mean / scale * (k ? SLOWEST * exp(SLOW_STEP * (k - STEPS)) : 0), 1 / beta);
  PetscCall(SurvivalAt(gen, s, slow, STEPS + 1, time, survival, error));
  median = Median(1, beta, time, survival);
  spline = PetscAbsReal(Median(2, beta, time, survival) - median) / 8; /* of fourth order */
  for (PetscInt k = 1; k <= STEPS; k++)
    if (time[k] >= median) {
      const PetscReal slope = (survival[k - 1] - survival[k]) / (time[k] - time[k - 1]);

      PetscCall(FPQuantitiesAdd(q, median, (slope > 0 ? error[k] / slope : 0) + spline, "time", "median_time"));
      break;
    }
  PetscFunctionReturn(0);
}

/* Mean over points of cell `lattice` of: does it lie along negative curvature? */
static PetscReal NegativeShare(const FPExit *e, PetscInt dim, const PetscInt cells[], PetscInt lattice,
                               PetscReal *const center[], PetscReal *const width[])
{
  PetscInt total = 1, in = 0;

  for (PetscInt a = 0; a < dim; a++) total *= SUBPOINTS;
  for (PetscInt k = 0; k < total; k++) {
    PetscInt rest = lattice, sub = k;
    double   z[3];

    for (PetscInt a = 0; a < dim; a++) {
      const PetscInt c = rest % cells[a];

      z[a] = center[a][c] + ((sub % SUBPOINTS + 0.5) / SUBPOINTS - 0.5) * width[a][c];
      rest /= cells[a];
      sub /= SUBPOINTS;
    }
    in += FPExitAlongNegative(e, z, 1);
  }
  return (PetscReal)in / total;
}

/* fraction_negative_curvature of the flux out of the region */
static PetscErrorCode AddNegative(const FPExit *e, FPGenerator gen, const Stencil *s, FPQuantities *q)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume, *kill;
  const FPEdge    *edge;
  PetscReal        ratio, *source, *spent, *center[3], *width[3], out = 0, negative = 0;
  PetscInt         dim, n, edges;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetEdges(gen, &edges, &edge, &kill));
  PetscCall(PetscCalloc2(n, &source, n, &spent));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  for (PetscInt k = 0; k < s->n; k++) source[s->node[k]] += s->weight[k];
  PetscCall(FPGeneratorInvert(gen, PETSC_FALSE, 0, source, spent));
  for (PetscInt k = 0; k < n; k++) {
    if (!(kill[k] > 0)) continue;
    out += spent[k] * kill[k];
    negative += spent[k] * kill[k] * NegativeShare(e, dim, cells, node[k], center, width);
  }
  PetscCall(FPQuantitiesAdd(q, negative / out, 0, "1", "fraction_negative_curvature"));
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  PetscCall(PetscFree2(source, spent));
  PetscFunctionReturn(0);
}

/* x = -Q^-1 rhs; *residual: of any component. Times the mean exit time from a node that is as far as the solver may be
   off there, by the maximum principle. */
static PetscErrorCode Solve(FPGenerator killed, const PetscReal rhs[], PetscReal x[], PetscReal *residual)
{
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  PetscReal       *rest;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(killed, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorInvert(killed, PETSC_TRUE, 0, rhs, x));
  PetscCall(PetscMalloc1(n, &rest));
  PetscCall(FPGeneratorApply(killed, PETSC_TRUE, x, rest));
  *residual = 0;
  for (PetscInt k = 0; k < n; k++) *residual = PetscMax(*residual, PetscAbsReal(rhs[k] + rest[k]));
  PetscCall(PetscFree(rest));
  PetscFunctionReturn(0);
}

/* landing_above[i]: the probability that what leaves by jumps ends where z_i is larger than at the start. */
static PetscErrorCode AddLanding(const FPExit *e, FPGenerator gen, const Stencil *s, PetscReal mean, FPQuantities *q)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio, *rate, *above, residual;
  PetscInt         dim, n;
  PetscBool        has;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc2(n, &rate, n, &above));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(FPGeneratorKillsAbove(gen, a, e->z[a], rate, &has));
    if (!has) break;
    PetscCall(Solve(gen, rate, above, &residual));
    PetscCall(FPQuantitiesAdd(q, At(s, above), residual * mean, "1", "landing_above[%d]", (int)a));
  }
  PetscCall(PetscFree2(rate, above));
  PetscFunctionReturn(0);
}

/* rate[n]: of jumps from the unknowns of the killed generator to beyond `distance` from its boundary. In one dimension,
   or without walls that kill. */
static PetscErrorCode FarRates(const FPExit *e, FPGenerator gen, FPGenerator killed, const FPBox *walls,
                               PetscReal distance, PetscReal rate[])
{
  const PetscInt  *node, *own, *cells;
  const PetscReal *z, *x, *measure, *volume;
  PetscReal       *inside, *product, *lattice, *sigma, ratio, h, beyond[2] = {0, 0};
  FPProcess        process;
  FPStable         stable;
  PetscInt         n, m, dim, total = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  for (PetscInt a = 0; a < dim; a++) total *= cells[a];
  PetscCall(FPGeneratorGetNodes(killed, &m, &own, &x, &measure, &volume));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc4(n, &inside, n, &product, total, &lattice, m, &sigma));
  h = PetscPowReal(volume[0], 1.0 / dim);
  FPExitDistance(e->region, walls, (int)n, z, inside);
  for (PetscInt k = 0; k < n; k++) inside[k] = PetscClipInterval((inside[k] - distance) / h + 0.5, 0, 1);
  PetscCall(FPGeneratorApply(gen, PETSC_TRUE, inside, product));
  for (PetscInt k = 0; k < n; k++) lattice[node[k]] = product[k];
  FPProcessStableScale(process, (int)m, x, sigma);
  if (walls) FPRegionDistance(e->region, 1, walls->lower, &beyond[0]);
  if (walls) FPRegionDistance(e->region, 1, walls->upper, &beyond[1]);
  for (int i = 0; i < 2; i++) beyond[i] = PetscMax(0, distance - PetscMax(0, beyond[i]));
  for (PetscInt k = 0; k < m; k++) {
    const PetscReal unit =
        PetscPowReal(sigma[k], stable.alpha) * tgamma(stable.alpha) * sin(PETSC_PI * stable.alpha / 2) / PETSC_PI;

    rate[k] = PetscMax(0, lattice[own[k]]);
    if (!walls) continue;
    rate[k] += unit * PetscPowReal(x[k] - walls->lower[0] + beyond[0], -stable.alpha);
    rate[k] += unit * PetscPowReal(walls->upper[0] - x[k] + beyond[1], -stable.alpha);
  }
  PetscCall(PetscFree4(inside, product, lattice, sigma));
  PetscFunctionReturn(0);
}

/* overshoot[x=..] */
static PetscErrorCode AddOvershoots(FPObservable obs, FPGenerator gen, FPGenerator killed, const Stencil *s,
                                    PetscReal mean, FPQuantities *q)
{
  const FPExit    *e = (const FPExit *)obs->data;
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  const FPBox     *walls;
  FPProcess        process;
  PetscReal       *rate, *share, residual;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPExitWalls(process, obs->scene.mesh, &walls));
  PetscCall(FPGeneratorGetNodes(killed, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc2(n, &rate, n, &share));
  for (PetscInt k = 0; k < e->overshoot.n && (e->dim == 1 || !walls); k++) {
    PetscCall(FarRates(e, gen, killed, walls, e->overshoot.value[k], rate));
    PetscCall(Solve(killed, rate, share, &residual));
    PetscCall(FPQuantitiesAdd(q, At(s, share), residual * mean, "1", "overshoot[x=%g]", (double)e->overshoot.value[k]));
  }
  PetscCall(PetscFree2(rate, share));
  PetscFunctionReturn(0);
}

/* committor: from the start, the probability of meeting the second region before leaving the first */
static PetscErrorCode AddCommittor(const FPExit *e, FPGenerator gen, FPGenerator killed, PetscReal mean,
                                   FPQuantities *q)
{
  FPGeneratorOptions const *options;
  FPGenerator               between;
  FPProcess                 process;
  FPRegion                  region;
  FPMesh                    mesh;
  Stencil                   s;
  const FPEdge             *edge;
  const PetscReal          *z, *measure, *volume, *kill, *alone;
  const PetscInt           *node, *cells;
  PetscReal                *first, *second, *committor, ratio, residual;
  PetscInt                  n, m, edges, level, dim, lattice = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  for (PetscInt a = 0; a < dim; a++) lattice *= cells[a];
  PetscCall(FPRegionCreateDifference(e->region, e->second, &region));
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, options, e->z, region, &between));
  PetscCall(PetscCalloc1(lattice, &first));
  PetscCall(FPGeneratorGetNodes(killed, &m, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetEdges(killed, &edges, &edge, &alone));
  for (PetscInt k = 0; k < m; k++) first[node[k]] = alone[k];
  PetscCall(FPGeneratorGetNodes(between, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetEdges(between, &edges, &edge, &kill));
  PetscCall(PetscMalloc2(n, &second, n, &committor));
  for (PetscInt k = 0; k < n; k++) second[k] = PetscMax(0, kill[k] - first[node[k]]);
  PetscCall(Solve(between, second, committor, &residual));
  PetscCall(BuildStencil(e, between, mesh, &s));
  PetscCall(FPQuantitiesAdd(q, At(&s, committor), residual * mean, "1", "committor"));
  PetscCall(PetscFree2(second, committor));
  PetscCall(PetscFree(first));
  PetscCall(FPGeneratorDestroy(&between));
  PetscCall(FPRegionDestroy(&region));
  PetscFunctionReturn(0);
}

/* value[] on the unknowns as a field on the lattice; per_volume: divided by the cells' volumes */
static PetscErrorCode WriteField(FPObservable obs, FPGenerator gen, const PetscReal value[], PetscBool per_volume,
                                 const char name[], const char long_name[], const char unit[])
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio, *field;
  PetscInt         dim, n, shape[3], total = 1;
  const char      *process_name;
  FPProcess        process;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &process_name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  for (PetscInt a = 0; a < dim; a++) {
    total *= cells[a];
    shape[dim - 1 - a] = cells[a];
  }
  PetscCall(PetscCalloc1(total, &field));
  for (PetscInt k = 0; k < n; k++) field[node[k]] = per_volume ? value[k] / volume[k] : value[k];
  PetscCall(FPResultsField(obs->scene.results, process_name, FPGeneratorEngine(gen), name, dim, shape, field, long_name,
                           unit));
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

/* Rates for the particles of the process, from the finest grid so far; rare: by the first, coarsest grid, as all grids
   have to do the same. */
static void Remember(FPExit *e, FPProcess process, const PetscReal rate[], PetscBool *rare)
{
  PetscInt k = 0;

  *rare = PETSC_FALSE;
  while (k < e->known && e->rates[k].process != process) k++;
  if (k == FP_EXIT_KNOWN) return;
  *rare       = k < e->known ? e->rates[k].rare : (PetscBool)(rate[1] > RARE * rate[0]);
  e->known    = PetscMax(e->known, k + 1);
  e->rates[k] = (FPExitRates){.process = process, .rate = {rate[0], rate[1]}, .rare = *rare};
}

/* mean_time, variance_time, unless they are infinite; T[n] receives the mean, in the process's own time, from every
   node of the chain that moves, *start that from the start */
static PetscErrorCode AddTimes(FPGenerator killed, const Stencil *s, const SlowMode *slow, PetscBool infinite,
                               PetscReal T[], PetscReal *start, FPQuantities *q)
{
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  FPGeneratorInfo  info;
  PetscReal       *one, mean, square, rounding, step, residual;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(killed, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  PetscCall(PetscMalloc1(n, &one));
  for (PetscInt k = 0; k < n; k++) one[k] = 1;
  PetscCall(Solve(killed, one, T, &residual));
  PetscCall(FPGeneratorInvert(killed, PETSC_TRUE, 0, T, one));
  mean = At(s, T) + slow->weight * (1 / slow->better - 1 / slow->rate);
  PetscCall(FPGeneratorGetStep(killed, &step));
  square = 2 * At(s, one) - step * mean + 2 * slow->weight * (1 / PetscSqr(slow->better) - 1 / PetscSqr(slow->rate));
  *start = mean;
  if (infinite) {
    PetscCall(FPQuantitiesAdd(q, INFINITY, 0, "time", "mean_time"));
    PetscCall(PetscFree(one));
    PetscFunctionReturn(0);
  }
  rounding = PetscMin(1, PETSC_MACHINE_EPSILON * info.largest_rate * mean + residual);
  PetscCall(FPQuantitiesAdd(q, mean, rounding * mean, "time", "mean_time"));
  PetscCall(FPQuantitiesAdd(q, square - mean * mean, 2 * rounding * square, "time^2", "variance_time"));
  PetscCall(PetscFree(one));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRates(FPExit *e, FPProcess process, FPMesh mesh, FPGenerator killed, PetscBool *rare,
                               FPQuantities *q)
{
  const PetscReal   *rate, *frequency, *residual;
  const FPExitLimit *limit;
  FPGeneratorInfo    info;
  PetscReal          rounding;
  PetscInt           count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  rounding = 4 * PETSC_MACHINE_EPSILON * info.largest_rate;
  PetscCall(FPQuantitiesAdd(q, rate[0], PetscMax(residual[0], rounding), "1/time", "rate"));
  PetscCall(FPExitAsymptote(e, process, mesh, &limit));
  PetscCall(FPExitAddRatio(limit, rate[0], PetscMax(residual[0], rounding), q));
  if (count > 1) PetscCall(FPQuantitiesAdd(q, rate[1], PetscMax(residual[1], rounding), "1/time", "rate[1]"));
  Remember(e, process, (const PetscReal[]){rate[0], count > 1 ? rate[1] : 0}, rare);
  PetscFunctionReturn(0);
}

/* Exits so rare that rounding hides them: the rate is no number. */
static PetscErrorCode TooRare(FPObservable obs, FPProcess process, FPGenerator killed, PetscBool finest,
                              PetscBool *rare)
{
  const PetscReal *rate, *frequency, *residual;
  const char      *name;
  FPGeneratorInfo  info;
  PetscInt         count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  *rare = (PetscBool)(rate[0] < RAREST * info.largest_rate);
  if (!*rare || !finest || !obs->scene.results) PetscFunctionReturn(0);
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(killed), "exit", "mean_time", "unresolved",
                               "the process leaves the region so rarely, if at all, that rounding hides the rate"));
  PetscFunctionReturn(0);
}

/* The chain that moves, if it is another one than `killed`; NULL: the same. */
static PetscErrorCode CreateMover(const FPExit *e, FPGenerator killed, FPGenerator *mover)
{
  const FPGeneratorOptions *same;
  FPGeneratorOptions        options;
  FPGeneratorInfo           info;
  FPProcess                 process;
  FPMesh                    mesh;
  PetscInt                  level;
  PetscBool                 potential;
  FPStable                  stable;
  PetscReal                 step;

  PetscFunctionBegin;
  *mover = NULL;
  PetscCall(FPGeneratorGetStep(killed, &step));
  PetscCall(FPGeneratorGetProcess(killed, &process));
  PetscCall(FPProcessHasPotential(process, &potential));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  PetscCall(FPProcessGetStable(process, &stable));
  if (step > 0 || stable.has || (!potential && e->dim > 1 && !info.degenerate)) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetSetting(killed, &mesh, &level, &same));
  options           = *same;
  options.transient = PETSC_TRUE;
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, &options, e->z, e->region, mover));
  PetscFunctionReturn(0);
}

/* weight 0 where exits are not rare, or where there is one chain only */
static PetscErrorCode FindSlowMode(FPGenerator killed, FPGenerator mover, PetscBool rare, const Stencil *s,
                                   SlowMode *slow)
{
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume, *rate, *frequency, *residual, *right, *left;
  PetscReal        mass = 0, product = 0;
  PetscInt         n, count;

  PetscFunctionBegin;
  *slow = (SlowMode){.weight = 0, .rate = 1, .better = 1};
  if (killed == mover || !rare) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
  slow->better = rate[0];
  PetscCall(FPGeneratorSolve(mover, 1));
  PetscCall(FPGeneratorGetModes(mover, &count, &rate, &frequency, &residual));
  slow->rate = rate[0];
  PetscCall(FPGeneratorGetNodes(mover, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetMode(mover, 0, &right, &left));
  for (PetscInt k = 0; k < n; k++) {
    mass += left[k];
    product += left[k] * right[k];
  }
  slow->weight = At(s, right) * mass / product;
  PetscFunctionReturn(0);
}

/* Where a boundary cuts cells, jumps see it off its place by a part of a cell that follows no power of the spacing from
   grid to grid: on a line in second order, in the plane by the mean of what differs from node to node. In the measure
   of a time, as it goes with the distance from the boundary; measured on intervals and discs. */
static PetscErrorCode AddFractions(const FPExit *e, FPGenerator killed, PetscReal alpha, PetscInt first,
                                   FPQuantities *q)
{
  const PetscInt *cells;
  const FPBox    *box;
  PetscReal       ratio, step = 0, doubt; /* step: spacing over the distance from the boundary along an axis, largest */
  PetscInt        dim, level;
  FPMesh          mesh;
  const FPGeneratorOptions *options;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetSetting(killed, &mesh, &level, &options));
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPGeneratorGetGrid(killed, &dim, &cells, &ratio));
  for (PetscInt c = 0; c < 2 * dim; c++) {
    const PetscInt a = c / 2;
    PetscReal      to[3], away;

    for (PetscInt b = 0; b < dim; b++) to[b] = e->z[b];
    to[a] = c % 2 ? box->upper[a] : box->lower[a];
    away  = PetscAbsReal(to[a] - e->z[a]) * FPRegionLeaves(e->region, e->z, to);
    step  = PetscMax(step, (box->upper[a] - box->lower[a]) / cells[a] / away);
  }
  step  = PetscMin(step, 1);
  doubt = CUT_LINE * step * step + (dim > 1 ? CUT_PLANE * alpha * (2 - alpha) * PetscPowReal(step, 1.5) : 0);
  for (PetscInt k = first; k < q->n; k++) {
    FPQuantity     *item = &q->list[k];
    const PetscReal size = PetscAbsReal(item->value);

    if (isinf(size)) continue;
    if (!strncmp(item->name, "survival", 8))
      item->error += doubt * (size > 0 && size < 1 ? -size * log(size) : 0);
    else
      item->error += doubt * (strcmp(item->name, "variance_time") ? 1 : 2) * size;
  }
  PetscFunctionReturn(0);
}

/* Every answer on one grid; times by the chain that moves. */
static PetscErrorCode AddAnswers(FPObservable obs, FPGenerator gen, FPGenerator killed, FPGenerator mover,
                                 PetscBool finest, FPQuantities *q)
{
  FPExit                   *e = (FPExit *)obs->data;
  const FPGeneratorOptions *options;
  const PetscInt           *node;
  const PetscReal          *z, *measure, *volume, *law;
  FPProcess                 process;
  FPMesh                    mesh;
  Stencil                   s;
  SlowMode                  slow;
  FPStable                  stable;
  PetscReal                *T, mean = 0, beta, scale;
  PetscInt                  level, n, first = q->n;
  PetscBool                 rare = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorGetNodes(mover, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc1(n, &T));
  PetscCall(AddRates(e, process, mesh, killed, &rare, q));
  PetscCall(BuildStencil(e, mover, mesh, &s));
  PetscCall(FindSlowMode(killed, mover, rare, &s, &slow));
  PetscCall(FPProcessGetClock(process, &beta, &scale));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(AddTimes(mover, &s, &slow, (PetscBool)(beta < 1), T, &mean, q));
  PetscCall(AddSurvival(e, mover, &s, &slow, mean, q));
  PetscCall(BuildStencil(e, killed, mesh, &s));
  if (e->negative) PetscCall(AddNegative(e, killed, &s, q));
  PetscCall(AddLanding(e, killed, &s, mean, q));
  if (stable.has) PetscCall(AddOvershoots(obs, gen, killed, &s, mean, q));
  if (e->second) PetscCall(AddCommittor(e, gen, killed, mean, q));
  if (stable.has) PetscCall(AddFractions(e, killed, stable.alpha, first, q));
  if (finest && obs->scene.results) {
    PetscCall(FPGeneratorStationary(killed, &law));
    PetscCall(WriteField(obs, killed, law, PETSC_TRUE, "exit_quasi_stationary",
                         "law of those that stay in the region longest", "1/weight^d"));
    PetscCall(WriteField(obs, mover, T, PETSC_FALSE, "exit_mean_time", "mean time to leave the region", "time"));
  }
  PetscCall(PetscFree(T));
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  FPExit                   *e = (FPExit *)obs->data;
  const FPGeneratorOptions *options;
  FPGenerator               killed, mover = NULL;
  FPProcess                 process;
  FPMesh                    mesh;
  PetscInt                  level;
  PetscBool                 rare = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, options, e->z, e->region, &killed));
  PetscCall(FPGeneratorSolve(killed, 1));
  PetscCall(TooRare(obs, process, killed, finest, &rare));
  if (!rare) {
    PetscCall(CreateMover(e, killed, &mover));
    PetscCall(AddAnswers(obs, gen, killed, mover ? mover : killed, finest, q));
  }
  FPQuantitiesSetRough(q, 0, ROUGH);
  PetscCall(FPGeneratorDestroy(&mover));
  PetscCall(FPGeneratorDestroy(&killed));
  PetscFunctionReturn(0);
}

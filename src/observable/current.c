/* current.c: the stationary probability current. From a generator: edge currents (curl, stream function, entropy
   production). From particles: every step deposits its displacement uniformly along its segment, so that the mean
   current through each bin is exact for the simulated chain. Numbers that both engines have: rotation[i][j] = E (z_i
   dz_j - z_j dz_i)/dt = integral of z_i J_j - z_j J_i; entropy_production_binned = sum over bins of p_b/(p_b +
   1e-4) J_b (D p)_b^{-1} J_b, with p_b, J_b and (D p)_b integrals over the bin, a lower bound of the entropy production
   by convexity; the weight keeps out bins that particles hardly see; projection[NAME] =
   <J, J_NAME>/<J_NAME, J_NAME>, J_NAME the generator's current on bins of the first process that has one;
   correlation[NAME], the same pattern's correlation coefficient. Of a discrete algorithm both deposit whole steps along
   their segments, (D p)_b being half the mean square of a step per time; irreversibility.c has another measure. */
#include "course.h"
#include "steps.h"

#define SHIFTS 2      /* per axis: places within its cell from which a step of a transfer operator is drawn */
#define NOTHING 1e-13 /* steps less probable, of which there are millions, are left out */
#define RARE 1e-4     /* a bin of probability p enters entropy_production_binned with weight p/(p + RARE) */
#define SINGULAR 1e-9 /* pivots of (D p)_b below this share of its largest entry are zero */
#define MAX_LEVELS 3

typedef struct {
  /* the pattern: current on bins of one process, by grid level (told apart by cells) */
  char       pattern[FP_NAME];
  PetscInt   levels, cells[MAX_LEVELS];
  PetscReal *J[MAX_LEVELS], pattern_error; /* [dim*total] each */
  /* particles */
  FPProcess process;
  FPBins    bins, wide;
  PetscBool discrete, jumps;
  PetscInt  dim;
  PetscReal dt, centre[3];
} Current;

/* Accumulator: steps, rotation[pairs], then per bin what steps.h deposits; of a discrete algorithm then how many steps
   led from one wide bin to another. */
static PetscInt PairCount(PetscInt d)
{
  return d * (d - 1) / 2;
}

static size_t TableSize(const Current *c)
{
  return (size_t)(1 + PairCount(c->dim) + FPDepositSize(c->dim) * c->bins.total);
}

/* x becomes A^-1 x, A symmetric positive definite of order n <= 3 (destroyed), by elimination; false: it is singular.
 */
static PetscBool SolveSmall(PetscInt n, PetscReal A[], PetscReal x[])
{
  PetscReal largest = 0;

  for (PetscInt k = 0; k < n; k++) largest = PetscMax(largest, A[k * n + k]);
  for (PetscInt k = 0; k < n; k++) {
    if (!(A[k * n + k] > SINGULAR * largest)) return PETSC_FALSE;
    for (PetscInt i = k + 1; i < n; i++) {
      const PetscReal f = A[i * n + k] / A[k * n + k];

      for (PetscInt j = k; j < n; j++) A[i * n + j] -= f * A[k * n + j];
      x[i] -= f * x[k];
    }
  }
  for (PetscInt i = n - 1; i >= 0; i--) {
    for (PetscInt j = i + 1; j < n; j++) x[i] -= A[i * n + j] * x[j];
    x[i] /= A[i * n + i];
  }
  return PETSC_TRUE;
}

/* sum_b weight J_b (D p)_b^{-1} J_b; J[d*total], Dp[d*d*total]. */
static PetscErrorCode BinnedEntropyProduction(PetscInt d, PetscInt total, const PetscReal p[], const PetscReal J[],
                                              const PetscReal Dp[], PetscReal *sigma)
{
  PetscFunctionBegin;
  *sigma = 0;
  for (PetscInt b = 0; b < total; b++) {
    PetscReal A[9], x[3];

    for (PetscInt i = 0; i < d * d; i++) A[i] = Dp[i * total + b];
    for (PetscInt i = 0; i < d; i++) x[i] = J[i * total + b];
    if (p[b] <= 0 || !SolveSmall(d, A, x)) continue; /* steps in fewer than d directions seen */
    for (PetscInt i = 0; i < d; i++) *sigma += p[b] / (p[b] + RARE) * J[i * total + b] * x[i];
  }
  PetscFunctionReturn(0);
}

/* p[total], J[d*total], Dp[d*d*total] from the sums: integrals over bins. */
static void BinnedLaw(const Current *c, const double sums[], PetscReal p[], PetscReal J[], PetscReal Dp[])
{
  const PetscInt d = c->dim, total = c->bins.total, size = FPDepositSize(d);

  for (PetscInt b = 0; b < total; b++) {
    const double *bin = sums + 1 + PairCount(d) + b * size;
    PetscInt      at  = 1 + d;

    p[b] = bin[0] / sums[0];
    for (PetscInt i = 0; i < d; i++) {
      J[i * total + b] = bin[1 + i] / (sums[0] * c->dt);
      for (PetscInt j = i; j < d; j++)
        Dp[(i * d + j) * total + b] = Dp[(j * d + i) * total + b] = bin[at++] / (2 * sums[0] * c->dt);
    }
  }
}

static PetscReal Inner(PetscInt n, const PetscReal a[], const PetscReal b[])
{
  PetscReal sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += a[k] * b[k];
  return sum;
}

/* Lattice current times cell volume, per unknown. */
static PetscErrorCode CurrentOfUnknowns(FPGenerator gen, const PetscReal J[], PetscReal out[])
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio;
  PetscInt         dim, n, lattice = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  for (PetscInt a = 0; a < dim; a++) lattice *= cells[a];
  for (PetscInt a = 0; a < dim; a++)
    for (PetscInt k = 0; k < n; k++) out[a * n + k] = J[a * lattice + node[k]] * volume[k];
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRotation(FPGenerator gen, const PetscReal Jv[], FPQuantities *q)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  const PetscInt   first = q->n;
  PetscReal        ratio;
  PetscInt         dim, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  for (PetscInt i = 0; i < dim; i++)
    for (PetscInt j = i + 1; j < dim; j++) {
      PetscReal sum = 0;

      for (PetscInt k = 0; k < n; k++) sum += z[i * n + k] * Jv[j * n + k] - z[j * n + k] * Jv[i * n + k];
      PetscCall(FPQuantitiesAdd(q, sum, 0, "weight^2/time", "rotation[%d][%d]", (int)i, (int)j));
    }
  FPQuantitiesSetSmoothness(q, first, FP_OF_CELLS, 0);
  PetscFunctionReturn(0);
}

/* Index of the pattern of the same grid; a new one for the process that sets the pattern. */
static PetscErrorCode PatternOf(Current *c, FPGenerator gen, const char name[], PetscBool reversible, PetscInt *level,
                                PetscBool *own)
{
  const PetscInt *cells;
  PetscReal       ratio;
  PetscInt        dim;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  if (!c->pattern[0] && !reversible) PetscCall(PetscStrncpy(c->pattern, name, sizeof(c->pattern)));
  *own   = (PetscBool)(c->pattern[0] && !strcmp(c->pattern, name));
  *level = -1;
  for (PetscInt k = 0; k < c->levels; k++)
    if (c->cells[k] == cells[0]) *level = k;
  if (*level < 0 && *own && c->levels < MAX_LEVELS) {
    *level           = c->levels++;
    c->cells[*level] = cells[0];
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddPattern(FPObservable obs, FPGenerator gen, PetscReal Jb[], PetscBool finest, FPQuantities *q)
{
  Current        *c    = (Current *)obs->data;
  const FPBins   *bins = &obs->scene.bins;
  const PetscInt  size = bins->dim * bins->total;
  FPGeneratorInfo info;
  FPProcess       process;
  const char     *name;
  PetscInt        level = -1;
  PetscBool       own   = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(PatternOf(c, gen, name, info.reversible, &level, &own));
  if (level < 0) PetscFunctionReturn(0);
  if (own) {
    PetscCall(PetscMalloc1(size, &c->J[level]));
    PetscCall(PetscArraycpy(c->J[level], Jb, size));
    if (finest && level > 0)
      c->pattern_error = PetscAbsReal(1 - Inner(size, c->J[level - 1], Jb) / Inner(size, Jb, Jb));
  }
  PetscCall(FPQuantitiesAdd(q, Inner(size, Jb, c->J[level]) / Inner(size, c->J[level], c->J[level]),
                            own ? c->pattern_error : 0, "1", "projection[%s]", c->pattern));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0);
  PetscFunctionReturn(0);
}

static PetscErrorCode AddBinned(FPObservable obs, FPGenerator gen, const PetscReal pi[], const PetscReal Jb[],
                                FPQuantities *q)
{
  const FPBins    *bins = &obs->scene.bins;
  const PetscInt   d    = bins->dim;
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  FPProcess        process;
  PetscReal       *D, *p, *Dp, sigma;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(PetscMalloc3(d * d * n, &D, bins->total, &p, d * d * bins->total, &Dp));
  FPProcessDiffusion(process, (int)n, z, D);
  for (PetscInt i = 0; i < d * d; i++)
    for (PetscInt k = 0; k < n; k++) D[i * n + k] *= pi[k];
  PetscCall(FPBinsAggregate(bins, gen, 1, pi, p));
  PetscCall(FPBinsAggregate(bins, gen, d * d, D, Dp));
  PetscCall(BinnedEntropyProduction(d, bins->total, p, Jb, Dp, &sigma));
  PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "entropy_production_binned"));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_ROUGH, 0);
  PetscCall(PetscFree3(D, p, Dp));
  PetscFunctionReturn(0);
}

typedef struct {
  FPGenerator   gen;
  const FPBins *bins;
  double       *table;
} Segments;

/* A step from unknown i to j: from a few places in the cell of i to the same places in that of j */
static void VisitSegment(void *context, PetscInt i, PetscInt j, PetscReal mass)
{
  const Segments *s      = (const Segments *)context;
  const PetscInt  d      = s->bins->dim;
  PetscInt        places = 1;

  if (PetscAbsReal(mass) < NOTHING) return;
  for (PetscInt a = 0; a < d; a++) places *= SHIFTS;
  for (PetscInt p = 0; p < places; p++) {
    const PetscReal u[3] = {(p % SHIFTS + 0.5) / SHIFTS, (p / SHIFTS + 0.5) / SHIFTS, 0};
    PetscReal       from[3], to[3];

    FPGeneratorPointInCell(s->gen, i, u, from);
    FPGeneratorPointInCell(s->gen, j, u, to);
    for (PetscInt a = 0; a < d; a++) to[a] -= from[a];
    FPDepositAlong(s->bins, from, to, mass / places, s->table);
  }
}

/* Of a transfer operator: every step along its segment, as particles do. */
static PetscErrorCode AddBinnedSteps(FPObservable obs, FPGenerator gen, const PetscReal pi[], FPQuantities *q)
{
  Current   c = {.bins = obs->scene.bins, .dim = obs->scene.bins.dim};
  Segments  segments;
  double   *sums;
  PetscReal sigma, *p, *J, *Dp;
  FPBins    wide;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &c.dt));
  PetscCall(PetscCalloc1(TableSize(&c), &sums));
  PetscCall(PetscMalloc3(c.bins.total, &p, c.dim * c.bins.total, &J, c.dim * c.dim * c.bins.total, &Dp));
  segments = (Segments){.gen = gen, .bins = &c.bins, .table = sums + 1 + PairCount(c.dim)};
  sums[0]  = 1;
  PetscCall(FPStepsVisit(gen, pi, VisitSegment, &segments));
  BinnedLaw(&c, sums, p, J, Dp);
  PetscCall(BinnedEntropyProduction(c.dim, c.bins.total, p, J, Dp, &sigma));
  PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "entropy_production_binned"));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_ROUGH, 0);
  FPBinsWiden(&c.bins, &wide);
  PetscCall(FPIrreversibilityAdd(&wide, gen, pi, q));
  PetscCall(PetscFree(sums));
  PetscCall(PetscFree3(p, J, Dp));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteFields(FPObservable obs, FPGenerator gen, const PetscReal J[], const PetscReal psi[],
                                  const PetscReal curl[])
{
  const PetscInt *cells;
  PetscReal       ratio;
  PetscInt        dim, shape[3], corners[3], lattice = 1;
  FPProcess       process;
  const char     *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  for (PetscInt a = 0; a < dim; a++) {
    shape[dim - 1 - a]   = cells[a];
    corners[dim - 1 - a] = cells[a] + 1;
    lattice *= cells[a];
  }
  for (PetscInt a = 0; a < dim; a++) {
    char label[FP_NAME];

    PetscCall(PetscSNPrintf(label, sizeof(label), "current_%d", (int)a + 1));
    PetscCall(FPResultsField(obs->scene.results, name, FPGeneratorEngine(gen), label, dim, shape, J + a * lattice,
                             "stationary probability current", "1/(weight^(d-1) time)"));
  }
  if (dim == 2) {
    PetscCall(FPResultsField(obs->scene.results, name, FPGeneratorEngine(gen), "stream_function", dim, corners, psi,
                             "stream function at cell corners, J = (d_2 psi, -d_1 psi)", "1/time"));
    PetscCall(FPResultsField(obs->scene.results, name, FPGeneratorEngine(gen), "curl", dim, corners, curl,
                             "curl of J at cell corners", "1/(weight^2 time)"));
  }
  PetscFunctionReturn(0);
}

/* What there is none of, said in words. */
static PetscErrorCode AddMissing(FPObservable obs, FPGenerator gen, const char quantity[], const char status[],
                                 const char reason[])
{
  FPProcess   process;
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(gen), "current", quantity, status, reason));
  PetscFunctionReturn(0);
}

/* Entropy production of the chain; that on bins needs a diffusion for what moves. */
static PetscErrorCode AddEntropy(FPObservable obs, FPGenerator gen, const FPCurrentNumbers *numbers, PetscBool finest,
                                 FPQuantities *q)
{
  FPGeneratorInfo info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (numbers->has_entropy)
    PetscCall(FPQuantitiesAdd(q, numbers->entropy_production, 0, "nat/time", "entropy_production"));
  else if (finest && info.interpolates)
    PetscCall(
        AddMissing(obs, gen, "entropy_production", "unsupported",
                   "an interpolation of order 4 has negative weights, whose logarithm is none: transfer_order: 2"));
  else if (finest)
    PetscCall(AddMissing(obs, gen, "entropy_production", "singular",
                         "drift goes against jumps alone: paths and their reverse are singular to each other, and the "
                         "chain's entropy production grows as h^(alpha-2)"));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Current(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume, *pi;
  PetscReal        ratio, *J, *psi, *curl, *Jv, *Jb;
  PetscInt         dim, n, lattice = 1, corners = 1, first = q->n;
  FPCurrentNumbers numbers;
  FPGeneratorInfo  info;
  FPProcess        process;
  FPStable         stable;
  PetscReal        step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (info.degenerate) {
    if (finest)
      PetscCall(AddMissing(obs, gen, "entropy_production", "singular",
                           "D is rank-deficient: entropy production does not exist, and pointwise rates carry no "
                           "current"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  if (stable.has && (PetscReal)info.unknowns * info.unknowns > FP_MOST_PAIRS) {
    if (finest)
      PetscCall(AddMissing(obs, gen, "entropy_production", "unsupported",
                           "currents of jumps come from all pairs of cells, which are too many here: at most 20000 "
                           "cells are accepted"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  for (PetscInt a = 0; a < dim; a++) {
    lattice *= cells[a];
    corners *= cells[a] + 1;
  }
  PetscCall(
      PetscMalloc5(dim * lattice, &J, corners, &psi, corners, &curl, dim * n, &Jv, dim * obs->scene.bins.total, &Jb));
  PetscCall(FPGeneratorCurrent(gen, pi, J, psi, curl, &numbers));
  PetscCall(AddEntropy(obs, gen, &numbers, finest, q));
  PetscCall(FPQuantitiesAdd(q, numbers.current_l1, 0, "weight/time", "current_l1"));
  if (dim == 2) {
    PetscCall(FPQuantitiesAdd(q, numbers.max_curl, 0, "1/(weight^2 time)", "max_curl"));
    PetscCall(FPQuantitiesAdd(q, numbers.circulation, 0, "1/time", "circulation"));
  }
  FPQuantitiesSetSmoothness(q, first, FP_ROUGH, 0);
  PetscCall(CurrentOfUnknowns(gen, J, Jv));
  PetscCall(AddRotation(gen, Jv, q));
  PetscCall(FPBinsAggregate(&obs->scene.bins, gen, dim, Jv, Jb));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (!stable.has && step == 0) PetscCall(AddBinned(obs, gen, pi, Jb, q));
  if (step > 0) PetscCall(AddBinnedSteps(obs, gen, pi, q));
  if ((!stable.has && step == 0) || dim > 1)
    PetscCall(AddPattern(obs, gen, Jb, finest, q)); /* a line at rest has none */
  if (finest) {
    const char *name;

    PetscCall(FPProcessGetName(process, &name));
    PetscCall(FPResultsAdd(obs->scene.results, name, FPGeneratorEngine(gen), "current", "divergence_residual",
                           numbers.divergence_residual, numbers.divergence_residual, FP_BOUND, "1"));
    if (info.reversible) {
      PetscReal defect;

      PetscCall(FPGeneratorDetailedBalance(gen, &defect));
      PetscCall(FPResultsAdd(obs->scene.results, name, FPGeneratorEngine(gen), "current", "detailed_balance_defect",
                             defect, defect, FP_BOUND, "1"));
    }
    PetscCall(WriteFields(obs, gen, J, psi, curl));
  }
  PetscCall(PetscFree5(J, psi, curl, Jv, Jb));
  PetscFunctionReturn(0);
}

/* bin[FP_BLOCK]: in which bin each segment begins and ends, as nearly all do; -1: it leaves the one it begins in. */
FP_HOT static void WholeSegments(const FPBins *bins, const double *before, const double *after, int bin[])
{
  for (int l = 0; l < FP_BLOCK; l++) bin[l] = 0;
  for (PetscInt a = bins->dim - 1; a >= 0; a--) {
    const double lower = bins->lower[a], width = bins->width[a], *from = before + a * FP_BLOCK,
                 *to = after + a * FP_BLOCK;
    const int count  = bins->count[a];

    for (int l = 0; l < FP_BLOCK; l++) {
      int i = (int)((from[l] - lower) / width), j = (int)((to[l] - lower) / width);

      i      = i < 0 ? 0 : i < count ? i : count - 1;
      j      = j < 0 ? 0 : j < count ? j : count - 1;
      bin[l] = i == j && bin[l] >= 0 ? bin[l] * count + i : -1;
    }
  }
}

/* Sum over particles of x_i dx_j - x_j dx_i, x half way and from the centre. */
static double Rotation(const Current *c, PetscInt i, PetscInt j, const FPMove *move)
{
  const double *b = move->before, *e = move->after;
  double        sum = 0;

  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    const PetscInt m = i * FP_BLOCK + l, n = j * FP_BLOCK + l;
    const double   step[] = {e[m] - b[m], e[n] - b[n]};

    sum += (b[m] + 0.5 * step[0] - c->centre[i]) * step[1] - (b[n] + 0.5 * step[1] - c->centre[j]) * step[0];
  }
  return sum;
}

/* A jump in the plane along the axes, the mean over their orders, as the generator routes it (jumpflux.c). Only the
   displacements are of use: the sum of weights is 2. */
static void DepositJump(const FPBins *bins, const double from[], const double step[], double *table)
{
  for (int first = 0; first < 2; first++) {
    const double leg[2] = {first ? 0 : step[0], first ? step[1] : 0}, rest[2] = {step[0] - leg[0], step[1] - leg[1]};
    const double corner[2] = {from[0] + leg[0], from[1] + leg[1]};

    FPDepositAlong(bins, from, leg, 0.5, table);
    FPDepositAlong(bins, corner, rest, 0.5, table);
  }
}

static void Sample(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const Current *c     = (const Current *)context;
  const PetscInt d     = c->dim;
  double        *table = acc + 1 + PairCount(d);
  PetscInt       pair  = 1;
  int            bin[FP_BLOCK];

  acc[0] += FP_BLOCK;
  for (PetscInt l = 0; l < FP_BLOCK && c->discrete; l++)
    acc[TableSize(c) + (size_t)(FPBinsIndex(&c->wide, move->before + l, FP_BLOCK) * c->wide.total +
                                FPBinsIndex(&c->wide, move->after + l, FP_BLOCK))] += 1;
  WholeSegments(&c->bins, move->before, move->after, bin);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i + 1; j < d; j++) acc[pair++] += Rotation(c, i, j, move);
  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    double from[3], step[3];

    for (PetscInt a = 0; a < d; a++) {
      from[a] = move->before[a * FP_BLOCK + l];
      step[a] = move->after[a * FP_BLOCK + l] - from[a];
    }
    if (bin[l] < 0 && c->jumps)
      DepositJump(&c->bins, from, step, table);
    else if (bin[l] < 0)
      FPDepositAlong(&c->bins, from, step, 1, table);
    else if (d == 2) /* as FPDeposit() does, without loops */
    {
      double *at = table + bin[l] * FPDepositSize(2);

      at[0] += 1;
      at[1] += step[0];
      at[2] += step[1];
      at[3] += step[0] * step[0];
      at[4] += step[0] * step[1];
      at[5] += step[1] * step[1];
    } else
      FPDeposit(table + bin[l] * FPDepositSize(d), d, 1, step);
  }
}

static PetscErrorCode Begin_Current(FPObservable obs, FPProcess process, PetscReal dt,
                                    PETSC_UNUSED const FPParticleOptions *options, FPObserver *observer,
                                    PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  Current    *c = (Current *)obs->data;
  FPAlgorithm algorithm;
  FPStable    stable;

  PetscFunctionBegin;
  *used = (PetscBool)(obs->scene.mesh != NULL);
  if (!*used) PetscFunctionReturn(0);
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPProcessGetStable(process, &stable));
  c->discrete = (PetscBool)(algorithm != FP_SDE);
  c->process  = process;
  c->bins     = obs->scene.bins;
  c->dim      = c->bins.dim;
  c->jumps    = (PetscBool)(stable.has && c->dim == 2);
  c->dt       = dt;
  FPBinsWiden(&c->bins, &c->wide);
  for (PetscInt a = 0; a < c->dim; a++) c->centre[a] = c->bins.lower[a] + c->bins.width[a] * c->bins.count[a] / 2;
  observer->every       = 1;
  observer->accumulator = TableSize(c) + (c->discrete ? (size_t)(c->wide.total * c->wide.total) : 0);
  observer->sample      = Sample;
  observer->context     = c;
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Current(FPObservable obs, const double sums[], FPQuantities *q)
{
  Current       *c = (Current *)obs->data;
  const PetscInt d = c->dim, total = c->bins.total;
  PetscReal     *p, *J, *Dp, sigma;
  PetscInt       pair = 1;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(total, &p, d * total, &J, d * d * total, &Dp));
  BinnedLaw(c, sums, p, J, Dp);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i + 1; j < d; j++)
      PetscCall(
          FPQuantitiesAdd(q, sums[pair++] / (sums[0] * c->dt), 0, "weight^2/time", "rotation[%d][%d]", (int)i, (int)j));
  PetscCall(BinnedEntropyProduction(d, total, p, J, Dp, &sigma));
  if (!c->jumps) PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "entropy_production_binned"));
  /* on a line nothing circulates: all of it is where particles start and end, which is not independent by groups */
  if (d == 1) PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "~entropy_production_binned"));
  if (c->discrete)
    PetscCall(FPQuantitiesAdd(q, FPIrreversibility(c->wide.total, sums + TableSize(c), sums[0], c->dt), 0, "nat/time",
                              "irreversibility_binned"));
  if (c->levels > 0) {
    const PetscReal *K = c->J[c->levels - 1];

    PetscCall(
        FPQuantitiesAdd(q, Inner(d * total, J, K) / Inner(d * total, K, K), 0, "1", "projection[%s]", c->pattern));
    PetscCall(FPQuantitiesAdd(q,
                              Inner(d * total, J, K) / PetscSqrtReal(Inner(d * total, K, K) * Inner(d * total, J, J)),
                              0, "1", "correlation[%s]", c->pattern));
  }
  PetscCall(PetscFree3(p, J, Dp));
  PetscFunctionReturn(0);
}

static PetscErrorCode Fields_Current(FPObservable obs, const double sums[])
{
  Current       *c = (Current *)obs->data;
  const PetscInt d = c->dim, total = c->bins.total;
  PetscReal     *p, *J, *Dp;
  PetscInt       shape[3];
  const char    *name;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(total, &p, d * total, &J, d * d * total, &Dp));
  BinnedLaw(c, sums, p, J, Dp);
  PetscCall(FPProcessGetName(c->process, &name));
  for (PetscInt a = 0; a < d; a++) shape[d - 1 - a] = c->bins.count[a];
  for (PetscInt a = 0; a < d; a++) {
    char label[FP_NAME];

    for (PetscInt b = 0; b < total; b++) J[a * total + b] /= c->bins.volume;
    PetscCall(PetscSNPrintf(label, sizeof(label), "current_binned_%d", (int)a + 1));
    PetscCall(FPResultsField(obs->scene.results, name, "particles", label, d, shape, J + a * total,
                             "stationary probability current on bins", "1/(weight^(d-1) time)"));
  }
  PetscCall(PetscFree3(p, J, Dp));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Current(FPObservable obs)
{
  Current *c = (Current *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < MAX_LEVELS; k++) PetscCall(PetscFree(c->J[k]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Current(FPObservable obs)
{
  Current *c;

  PetscFunctionBegin;
  PetscCall(PetscNew(&c));
  obs->data = c;
  obs->ops  = (FPObservableOps){.generator = Generator_Current,
                                .begin     = Begin_Current,
                                .evaluate  = Evaluate_Current,
                                .fields    = Fields_Current,
                                .destroy   = Destroy_Current};
  PetscFunctionReturn(0);
}

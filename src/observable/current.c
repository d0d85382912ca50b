/* current.c: the stationary probability current. From a generator: edge currents (curl, stream function, entropy
   production). From particles: current_particles.c. Numbers that both engines have: rotation[i][j] = E (z_i dz_j - z_j
   dz_i)/dt = integral of z_i J_j - z_j J_i; entropy_production_binned (current_binned.c); projection[NAME] =
   <J, J_NAME>/<J_NAME, J_NAME>, J_NAME the generator's current on bins of the first process that has one;
   correlation[NAME], the same pattern's correlation coefficient. Of a discrete algorithm both deposit whole steps along
   their segments, (D p)_b being half the mean square of a step per time; steps.c has another measure. */
#include "currentimpl.h"

#define SHIFTS 2      /* per axis: places within its cell from which a step of a transfer operator is drawn */
#define NOTHING 1e-13 /* steps less probable, of which there are millions, are left out */

/* Lattice current times cell volume, per unknown. */
static PetscErrorCode CurrentOfUnknowns(FPGenerator gen, const PetscReal J[], PetscReal out[])
{
  const PetscInt  *cells, *node;
  const PetscReal *volume;
  PetscInt         dim, n, lattice = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, &volume));
  for (PetscInt a = 0; a < dim; a++) lattice *= cells[a];
  for (PetscInt a = 0; a < dim; a++)
    for (PetscInt k = 0; k < n; k++) out[a * n + k] = J[a * lattice + node[k]] * volume[k];
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRotation(FPGenerator gen, const PetscReal Jv[], FPQuantities *q)
{
  const PetscReal *z;
  const PetscInt   first = q->n;
  PetscInt         dim, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
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
static PetscErrorCode PatternOf(FPCurrent *c, FPGenerator gen, const char name[], PetscBool reversible, PetscInt *level,
                                PetscBool *own)
{
  const PetscInt *cells;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, NULL, &cells, NULL));
  if (!c->pattern[0] && !reversible) PetscCall(PetscStrncpy(c->pattern, name, sizeof(c->pattern)));
  *own   = (PetscBool)(c->pattern[0] && !strcmp(c->pattern, name));
  *level = -1;
  for (PetscInt k = 0; k < c->levels; k++)
    if (c->cells[k] == cells[0]) *level = k;
  if (*level < 0 && *own && c->levels < FP_PATTERN_LEVELS) {
    *level           = c->levels++;
    c->cells[*level] = cells[0];
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddPattern(FPObservable obs, FPGenerator gen, PetscReal Jb[], PetscBool finest, FPQuantities *q)
{
  FPCurrent      *c    = (FPCurrent *)obs->data;
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
      c->pattern_error = PetscAbsReal(1 - FPCurrentInner(size, c->J[level - 1], Jb) / FPCurrentInner(size, Jb, Jb));
  }
  PetscCall(FPQuantitiesAdd(q, FPCurrentInner(size, Jb, c->J[level]) / FPCurrentInner(size, c->J[level], c->J[level]),
                            own ? c->pattern_error : 0, "1", "projection[%s]", c->pattern));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0);
  PetscFunctionReturn(0);
}

static PetscErrorCode AddBinned(FPObservable obs, FPGenerator gen, const PetscReal pi[], const PetscReal Jb[],
                                FPQuantities *q)
{
  const FPBins    *bins = &obs->scene.bins;
  const PetscInt   d    = bins->dim;
  const PetscReal *z;
  FPProcess        process;
  PetscReal       *D, *p, *Dp, sigma;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(PetscMalloc3(d * d * n, &D, bins->total, &p, d * d * bins->total, &Dp));
  FPProcessDiffusion(process, (int)n, z, D);
  for (PetscInt i = 0; i < d * d; i++)
    for (PetscInt k = 0; k < n; k++) D[i * n + k] *= pi[k];
  PetscCall(FPBinsAggregate(bins, gen, 1, pi, p));
  PetscCall(FPBinsAggregate(bins, gen, d * d, D, Dp));
  PetscCall(FPCurrentEntropy(d, bins->total, p, Jb, Dp, &sigma));
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
  FPCurrent c = {.bins = obs->scene.bins, .dim = obs->scene.bins.dim};
  Segments  segments;
  double   *sums;
  PetscReal sigma, *p, *J, *Dp;
  FPBins    wide;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &c.dt));
  PetscCall(PetscCalloc1(FPCurrentTable(&c), &sums));
  PetscCall(PetscMalloc3(c.bins.total, &p, c.dim * c.bins.total, &J, c.dim * c.dim * c.bins.total, &Dp));
  segments = (Segments){.gen = gen, .bins = &c.bins, .table = sums + 1 + FPCurrentPairs(c.dim)};
  sums[0]  = 1;
  PetscCall(FPStepsVisit(gen, pi, VisitSegment, &segments));
  FPCurrentBinnedLaw(&c, sums, p, J, Dp);
  PetscCall(FPCurrentEntropy(c.dim, c.bins.total, p, J, Dp, &sigma));
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
  PetscInt        dim, shape[3], corners[3], lattice = 1;
  FPProcess       process;
  const char     *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
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

/* Entropy production of the chain; that on bins needs a diffusion for what moves. */
static PetscErrorCode AddEntropy(FPObservable obs, FPGenerator gen, const FPCurrentNumbers *numbers, PetscBool finest,
                                 FPQuantities *q)
{
  FPGeneratorInfo info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (numbers->has_entropy)
    PetscCall(FPQuantitiesAdd(q, numbers->entropy_production, numbers->rounding, "nat/time", "entropy_production"));
  else if (finest && info.interpolates)
    PetscCall(FPObservableMissingOn(
        obs, gen, "entropy_production", "unsupported",
        "an interpolation of order 4 has negative weights, whose logarithm is none: transfer_order: 2"));
  else if (finest)
    PetscCall(FPObservableMissingOn(
        obs, gen, "entropy_production", "singular",
        "drift goes against jumps alone: paths and their reverse are singular to each other, and the "
        "chain's entropy production grows as h^(alpha-2)"));
  PetscFunctionReturn(0);
}

/* false: there is none, and the results say why */
static PetscErrorCode HasCurrent(FPObservable obs, FPGenerator gen, PetscBool finest, PetscBool *has)
{
  FPGeneratorInfo info;
  FPProcess       process;
  FPStable        stable;

  PetscFunctionBegin;
  *has = PETSC_FALSE;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (info.degenerate) {
    if (finest)
      PetscCall(
          FPObservableMissingOn(obs, gen, "entropy_production", "singular",
                                "D is rank-deficient: entropy production does not exist, and pointwise rates carry no "
                                "current"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  if (stable.has && (PetscReal)info.unknowns * info.unknowns > FP_MOST_PAIRS) {
    if (finest)
      PetscCall(FPObservableMissingOn(
          obs, gen, "entropy_production", "unsupported",
          "currents of jumps come from all pairs of cells, which are too many here: at most 20000 "
          "cells are accepted"));
    PetscFunctionReturn(0);
  }
  *has = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* What ought to be zero to rounding. */
static PetscErrorCode AddChecks(FPObservable obs, FPGenerator gen, const FPCurrentNumbers *numbers)
{
  FPGeneratorInfo info;
  FPProcess       process;
  const char     *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPResultsAdd(obs->scene.results, name, FPGeneratorEngine(gen), "current", "divergence_residual",
                         numbers->divergence_residual, numbers->divergence_residual, FP_BOUND, "1"));
  if (info.reversible) {
    PetscReal defect;

    PetscCall(FPGeneratorDetailedBalance(gen, &defect));
    PetscCall(FPResultsAdd(obs->scene.results, name, FPGeneratorEngine(gen), "current", "detailed_balance_defect",
                           defect, defect, FP_BOUND, "1"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Current(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const PetscInt  *cells;
  const PetscReal *pi;
  PetscReal       *J, *psi, *curl, *Jv, *Jb;
  PetscInt         dim, n, lattice = 1, corners = 1, first = q->n;
  FPCurrentNumbers numbers;
  FPProcess        process;
  FPStable         stable;
  PetscReal        step;
  PetscBool        has;

  PetscFunctionBegin;
  PetscCall(HasCurrent(obs, gen, finest, &has));
  if (!has) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
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
  if (finest) PetscCall(AddChecks(obs, gen, &numbers));
  if (finest) PetscCall(WriteFields(obs, gen, J, psi, curl));
  PetscCall(PetscFree5(J, psi, curl, Jv, Jb));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Current(FPObservable obs)
{
  FPCurrent *c = (FPCurrent *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < FP_PATTERN_LEVELS; k++) PetscCall(PetscFree(c->J[k]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Current(FPObservable obs)
{
  FPCurrent *c;

  PetscFunctionBegin;
  PetscCall(PetscNew(&c));
  obs->data = c;
  obs->ops  = (FPObservableOps){.generator = Generator_Current,
                                .begin     = FPCurrentParticlesBegin,
                                .evaluate  = FPCurrentEvaluate,
                                .fields    = FPCurrentFields,
                                .destroy   = Destroy_Current};
  PetscFunctionReturn(0);
}

/* simulations.c: one process simulated with every observable watching, and its numbers.
   Errors: the scatter of independent groups of particles (delete-one jackknife, which also removes the leading bias of
   nonlinear functionals). SDEs are run with steps dt and dt/2 and extrapolated, 2 v(dt/2) - v(dt), which removes the
   first-order weak bias (D. Talay and L. Tubaro, Stoch. Anal. Appl. 8 (1990)); the bias removed is reported as
   step_bias[...], and its share dt * sharpness, an estimate of what second order leaves, is part of the error. */
#include "runimpl.h"
#include <petsctime.h>

/* Next to a wall the step bias goes like a power between 1/2 and 1: of wall_mass, half as much again as first order is
   taken off, and as much is in the error. Measured: 0.55 of the first-order bias was left on ALD of a 2-chain. Where
   processes jump it is of first order. */
#define WALL_SHARE 0.5

/* By how much more than first order extrapolation has to take off what walls make of a step. Of the current's
   projection where jumps do not happen and alpha > 1, by the length of a step, dt^(1/alpha): on a 2-chain with
   alpha 1.8 it was 1.3, 1.3, 0.9, 0.8, 0.5 (+- 0.15) too large at steps of 0.05 and its halves. */
static PetscReal AtWalls(const FPStable *stable, const char name[])
{
  if (!strcmp(name, "wall_mass")) return stable->has ? 0 : WALL_SHARE;
  if (!stable->has || stable->boundary != FP_BOUNDARY_CENSORED || stable->alpha <= 1) return 0;
  return strncmp(name, "projection", 10) ? 0 : 1 / (PetscPowReal(2, 1 / stable->alpha) - 1) - 1;
}

/* What an observable says of all groups, and of all but one: the same rows in the same order. */
typedef struct {
  FPQuantities all, left[FP_GROUPS];
} Estimates;

/* acc[FP_GROUPS][size] */
static PetscErrorCode Evaluate(FPObservable observable, size_t size, const double acc[], Estimates *estimates)
{
  double *sum, *part;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(size, &sum, size, &part));
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (size_t k = 0; k < size; k++) sum[k] += acc[g * size + k];
  PetscCall(FPObservableEvaluate(observable, sum, &estimates->all));
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (size_t k = 0; k < size; k++) part[k] = sum[k] - acc[g * size + k];
    PetscCall(FPObservableEvaluate(observable, part, &estimates->left[g]));
    PetscCheck(estimates->left[g].n == estimates->all.n, PETSC_COMM_SELF, PETSC_ERR_PLIB,
               "an observable gives %" PetscInt_FMT " rows without a group of particles, %" PetscInt_FMT " with it",
               estimates->left[g].n, estimates->all.n);
  }
  PetscCall(PetscFree2(sum, part));
  PetscFunctionReturn(0);
}

static PetscErrorCode FreeEstimates(Estimates *estimates)
{
  PetscFunctionBegin;
  PetscCall(FPQuantitiesFree(&estimates->all));
  for (PetscInt g = 0; g < FP_GROUPS; g++) PetscCall(FPQuantitiesFree(&estimates->left[g]));
  PetscFunctionReturn(0);
}

/* Row k of a x + b y (y NULL: of a x) with its standard error: the scatter of the groups and the row's own error in
   squares. The two runs share starts and random numbers, so a group is left out of both. */
static FPQuantity Jackknife(PetscReal a, const Estimates *x, PetscReal b, const Estimates *y, PetscInt k)
{
  FPQuantity item = x->all.list[k];
  PetscReal  part[FP_GROUPS], mean = 0, square = 0;

  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    part[g] = a * x->left[g].list[k].value + (y ? b * y->left[g].list[k].value : 0);
    mean += part[g] / FP_GROUPS;
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) square += PetscSqr(part[g] - mean);
  item.value = FP_GROUPS * (a * item.value + (y ? b * y->all.list[k].value : 0)) - (FP_GROUPS - 1) * mean;
  item.error = PetscSqrtReal(square * (FP_GROUPS - 1) / FP_GROUPS + PetscSqr(item.error));
  return item;
}

/* The rows ~NAME of a row NAME, doubts about its value that enter its error as far as all are beyond noise, in
   squares; 0: none. */
static PetscErrorCode Doubt(const Estimates *estimates, const char name[], PetscReal *square)
{
  char label[FP_NAME];

  PetscFunctionBegin;
  *square = 0;
  PetscCall(PetscSNPrintf(label, sizeof(label), "~%.60s", name));
  for (PetscInt k = 0; k < estimates->all.n; k++) {
    if (strcmp(estimates->all.list[k].name, label)) continue;
    const FPQuantity item = Jackknife(1, estimates, 0, NULL, k);

    *square += PetscSqr(item.value) - 2 * PetscSqr(item.error);
  }
  *square = PetscMax(0, *square);
  PetscFunctionReturn(0);
}

/* Start from the generator's law where there is one (the burn-in then has little to forget), else at the minimum or all
 * over the box. */
PetscErrorCode FPRunStartPoints(FPRunObjects *run, PetscInt p, PetscReal **start)
{
  FPGenerator      gen = run->generator[p];
  PetscInt         count, dim;
  const PetscReal *pi;

  PetscFunctionBegin;
  *start = NULL;
  for (PetscInt k = 0; k < run->processes && !gen; k++) gen = run->generator[k];
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  PetscCall(FPParticlesCount(&run->particles, &count));
  if (!gen && run->mesh) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1((size_t)count * dim, start));
  if (!gen) {
    const FPCriticalPoint *points;
    PetscInt               known;

    PetscCall(FPModelGetCriticalPoints(run->model, &known, &points));
    for (PetscInt k = 0; k < count; k++)
      for (PetscInt a = 0; a < dim; a++) (*start)[(size_t)k * dim + a] = known > 0 ? points[0].z[a] : 0;
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorDraw(gen, pi, count, run->particles.seed, *start));
  PetscFunctionReturn(0);
}

/* Observers that share one ensemble of particles. */
typedef struct {
  PetscInt   n, which[FP_MAX_OBSERVABLES];
  FPObserver observer[FP_MAX_OBSERVABLES];
} Watch;

/* Run one ensemble under a watch and evaluate what it saw. */
static PetscErrorCode RunWatch(FPRunObjects *run, PetscInt p, PetscReal dt, const FPParticleOptions *options,
                               const PetscReal start[], const Watch *watch, PetscBool fields, Estimates estimates[],
                               FPParticleReport *report)
{
  double      *acc[FP_MAX_OBSERVABLES] = {NULL};
  const FPBox *box                     = NULL;

  PetscFunctionBegin;
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
  for (PetscInt w = 0; w < watch->n; w++) PetscCall(PetscCalloc1(FP_GROUPS * watch->observer[w].accumulator, &acc[w]));
  PetscCall(FPParticlesRun(run->process[p], box, dt, options, start, watch->n, watch->observer, acc, report));
  for (PetscInt w = 0; w < watch->n; w++) {
    const size_t size       = watch->observer[w].accumulator;
    FPObservable observable = run->observable[watch->which[w]];

    PetscCall(Evaluate(observable, size, acc[w], &estimates[watch->which[w]]));
    if (fields) {
      for (PetscInt g = 1; g < FP_GROUPS; g++)
        for (size_t k = 0; k < size; k++) acc[w][k] += acc[w][g * size + k];
      PetscCall(FPObservableFields(observable, acc[w]));
    }
    PetscCall(FPObservableParticlesEnd(observable));
    PetscCall(PetscFree(acc[w]));
  }
  PetscFunctionReturn(0);
}

/* An observable's own particles: from its starts, without burn-in, for its duration. */
static PetscErrorCode RunOwn(FPRunObjects *run, PetscInt p, PetscReal dt, FPEnsemble *ensemble, const Watch *watch,
                             PetscBool fields, Estimates estimates[])
{
  FPParticleOptions options = run->particles;
  FPParticleReport  report;
  FPTraining        training;

  PetscFunctionBegin;
  PetscCall(FPProcessGetTraining(run->process[p], &training));
  options.burn_in        = 0;
  options.ordinary_clock = ensemble->ordinary_clock;
  options.steps          = PetscMax(1, (PetscInt)ceil(ensemble->duration / training.learning_rate - 1e-9));
  PetscCall(RunWatch(run, p, dt, &options, ensemble->start, watch, fields, estimates, &report));
  PetscCall(PetscFree(ensemble->start));
  PetscFunctionReturn(0);
}

/* Simulate with one step size; estimates[observables]. */
static PetscErrorCode Simulate(FPRunObjects *run, PetscInt p, PetscReal dt, const PetscReal start[], PetscBool fields,
                               Estimates estimates[], PetscReal *crossings)
{
  Watch            common = {0};
  FPParticleReport report;

  PetscFunctionBegin;
  for (PetscInt o = 0; o < run->observables; o++) {
    Watch       own      = {.n = 1, .which = {o}};
    FPEnsemble  ensemble = {0};
    PetscBool   used;
    const char *reason;

    PetscCall(FPRunUnsupported(run, p, o, "particles", &reason));
    if (reason) continue;
    PetscCall(FPObservableParticlesBegin(run->observable[o], run->process[p], dt, &run->particles, &own.observer[0],
                                         &ensemble, &used));
    if (!used) continue;
    if (ensemble.own) {
      PetscCall(RunOwn(run, p, dt, &ensemble, &own, fields, estimates));
      continue;
    }
    common.which[common.n]      = o;
    common.observer[common.n++] = own.observer[0];
  }
  *crossings = 0;
  if (!common.n) PetscFunctionReturn(0);
  PetscCall(RunWatch(run, p, dt, &run->particles, start, &common, fields, estimates, &report));
  for (PetscInt g = 0; g < FP_GROUPS; g++) *crossings += report.crossings[g] / FP_GROUPS / dt;
  PetscFunctionReturn(0);
}

/* What extrapolation may leave of the bias it removes, as far as that bias is beyond noise. The bias over the value,
   and the step times the largest curvature where particles start, say how far the next order is; entropy production is
   quadratic in the current and keeps all of it. */
static PetscReal StepDoubt(const FPQuantity *item, const FPQuantity *bias, PetscReal stiffness)
{
  const PetscReal beyond = PetscMax(0, PetscSqr(bias->value) - 2 * PetscSqr(bias->error));
  PetscReal       share  = stiffness;

  if (beyond == 0) return 0;
  share = PetscMax(share, PetscAbsReal(bias->value) / PetscMax(PetscAbsReal(item->value), PETSC_SQRT_MACHINE_EPSILON));
  if (!strncmp(item->name, "entropy_production", 18)) share = 1;
  return PetscSqr(PetscMin(1, share)) * beyond;
}

/* Largest Hessian of the potential, by its Frobenius norm, over the starting points; 0: they are not known. */
static PetscErrorCode LargestCurvature(const FPRunObjects *run, const PetscReal start[], PetscReal *curvature)
{
  PetscInt  count, dim, weights;
  PetscReal w[FP_MAX_DIM], *H;
  PetscBool mapped;

  PetscFunctionBegin;
  *curvature = 0;
  if (!start) PetscFunctionReturn(0);
  PetscCall(FPParticlesCount(&run->particles, &count));
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  PetscCall(FPModelGetParent(run->model, &mapped, &weights));
  H = FPScratchTake((size_t)(weights * weights));
  for (PetscInt k = 0; k < count; k++) {
    PetscReal sum = 0;

    FPModelLift(run->model, 1, start + (size_t)k * dim, w);
    FPModelHessian(run->model, 1, w, H);
    for (PetscInt i = 0; i < weights * weights; i++) sum += PetscSqr(H[i]);
    *curvature = PetscMax(*curvature, PetscSqrtReal(sum));
  }
  FPScratchRelease(H);
  PetscFunctionReturn(0);
}

static PetscErrorCode Sharpness(FPModel model, PetscReal *sharpness)
{
  const FPCriticalPoint *points;
  PetscInt               count, dim;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  *sharpness = count > 0 ? PetscMax(points[0].eigenvalue[dim - 1], 0) : 1;
  PetscFunctionReturn(0);
}

/* A gap that is zero within its error has no relaxation time. */
static PetscBool GapUnresolved(const Estimates *coarse, const Estimates *fine)
{
  for (PetscInt k = 0; k < coarse->all.n; k++) {
    const FPQuantity gap = fine ? Jackknife(2, fine, -1, coarse, k) : Jackknife(1, coarse, 0, NULL, k);

    if (!strcmp(gap.name, "gap")) return (PetscBool) !(gap.value > 2 * gap.error);
  }
  return PETSC_FALSE;
}

/* What keeps an estimate from being a number, or NULL. */
static const char *Unresolved(const FPQuantity *item, PetscBool gap)
{
  if (isnan(item->value)) return "the run is too short for it, or particles are hardly where it shows";
  if (gap && !strcmp(item->name, "relaxation_time"))
    return "the gap is zero within its error: too few transitions were seen";
  return NULL;
}

/* What the extrapolation in the step may leave, of the bias it removes. Distances between laws start quadratically in
   the step where the laws agree: two thirds. */
static PetscReal ShareLeft(const FPQuantity *item, PetscReal bias, PetscReal share)
{
  if (strncmp(item->name, "kl_", 3) && strncmp(item->name, "tv_", 3) && strncmp(item->name, "w1_", 3)) return share;
  return PetscClipInterval(PetscAbsReal(bias) / PetscMax(PetscAbsReal(item->value), 1e-300), share, 2.0 / 3);
}

/* Extrapolate in the step (fine is at dt/2, NULL for discrete algorithms) and store the rows of one observable. */
static PetscErrorCode AddRows(FPRunObjects *run, PetscInt p, const char process[], PetscInt o, const Estimates *coarse,
                              const Estimates *fine, PetscReal share, PetscReal stiffness)
{
  const PetscBool gap = GapUnresolved(coarse, fine);
  const char     *name;
  PetscInt        particles;
  FPStable        stable;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(run->process[p], &stable));
  PetscCall(FPParticlesCount(&run->particles, &particles));
  PetscCall(FPObservableGetName(run->observable[o], &name));
  for (PetscInt k = 0; k < coarse->all.n; k++) {
    const PetscBool wall  = (PetscBool)!strcmp(coarse->all.list[k].name, "wall_mass");
    const PetscReal extra = AtWalls(&stable, coarse->all.list[k].name);
    FPQuantity      item  = fine ? Jackknife(2 + extra, fine, -1 - extra, coarse, k) : Jackknife(1, coarse, 0, NULL, k);
    FPQuantity      bias  = {.value = 0};
    PetscReal       doubt, left;
    char            label[FP_NAME];

    if (item.name[0] == '~') continue;
    if (PetscIsInfReal(coarse->all.list[k].value)) {
      PetscCall(FPRunAddInfinite(run, process, "particles", name, item.name));
      continue;
    }
    if (fine) bias = Jackknife(-1, fine, 1, coarse, k);
    PetscCall(Doubt(fine ? fine : coarse, item.name, &doubt));
    left = PetscSqr(PetscMax(ShareLeft(&item, bias.value, share), extra) * bias.value);
    if (fine) left = PetscMax(left, StepDoubt(&item, &bias, stiffness));
    item.error = PetscSqrtReal(PetscSqr(item.error) + doubt + left);
    if (wall && item.error == 0) item.error = 1.0 / particles; /* seen by none of them */
    if (Unresolved(&item, gap)) {
      PetscCall(FPResultsAddStatus(run->results, process, "particles", name, item.name, "unresolved",
                                   Unresolved(&item, gap)));
      continue;
    }
    PetscCall(FPResultsAdd(run->results, process, "particles", name, item.name, item.value, item.error, FP_STANDARD,
                           item.unit));
    if (!fine) continue;
    PetscCall(PetscSNPrintf(label, sizeof(label), "step_bias[%.50s]", item.name));
    PetscCall(
        FPResultsAdd(run->results, process, "particles", name, label, bias.value, bias.error, FP_STANDARD, item.unit));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddUnsupported(FPRunObjects *run, PetscInt p, const char process[])
{
  PetscFunctionBegin;
  for (PetscInt o = 0; o < run->observables; o++) {
    const char *name, *reason;

    PetscCall(FPObservableGetName(run->observable[o], &name));
    PetscCall(FPRunUnsupported(run, p, o, "particles", &reason));
    if (reason)
      PetscCall(FPResultsAddStatus(run->results, process, "particles", name, FPRunUnsupportedQuantity(name),
                                   "unsupported", reason));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunParticles(FPRunObjects *run, PetscInt p)
{
  Estimates      coarse[FP_MAX_OBSERVABLES], fine[FP_MAX_OBSERVABLES];
  PetscReal     *start, dt, sharpness = 1, curvature, crossings = 0;
  PetscLogDouble begin, end;
  FPAlgorithm    algorithm;
  PetscInt       order;
  const char    *name;

  PetscFunctionBegin;
  PetscCall(PetscTime(&begin));
  PetscCall(PetscMemzero(coarse, sizeof(coarse)));
  PetscCall(PetscMemzero(fine, sizeof(fine)));
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPProcessGetAlgorithm(run->process[p], &algorithm, &order));
  PetscCall(Sharpness(run->model, &sharpness));
  PetscCall(AddUnsupported(run, p, name));
  PetscCall(FPRunStartPoints(run, p, &start));
  PetscCall(LargestCurvature(run, start, &curvature));
  if (algorithm == FP_SDE) {
    PetscCall(FPProcessGetParticleStep(run->process[p], &dt));
    PetscCall(Simulate(run, p, dt, start, PETSC_FALSE, coarse, &crossings));
    PetscCall(Simulate(run, p, dt / 2, start, PETSC_TRUE, fine, &crossings));
  } else {
    PetscCall(FPProcessGetStep(run->process[p], &dt));
    PetscCall(Simulate(run, p, dt, start, PETSC_TRUE, coarse, &crossings));
  }
  for (PetscInt o = 0; o < run->observables; o++) {
    PetscCall(
        AddRows(run, p, name, o, &coarse[o], algorithm == FP_SDE ? &fine[o] : NULL, dt * sharpness, dt * curvature));
    PetscCall(FreeEstimates(&coarse[o]));
    PetscCall(FreeEstimates(&fine[o]));
  }
  if (crossings > 1e-4)
    PetscCall(FPResultsWarn(
        run->results,
        "%s meets the walls of the box %.2g times per particle and unit of time: its law is conditional on the box",
        name, (double)crossings));
  PetscCall(PetscFree(start));
  PetscCall(PetscTime(&end));
  PetscCall(FPResultsTiming(run->results, "particles", end - begin));
  PetscFunctionReturn(0);
}

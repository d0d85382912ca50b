/* simulations.c: one process simulated with every observable watching, and its numbers.
   Errors: the scatter of independent groups of particles (delete-one jackknife, which also removes the leading bias of
   nonlinear functionals). SDEs are run with steps dt and dt/2 and extrapolated, 2 v(dt/2) - v(dt), which removes the
   first-order weak bias (D. Talay and L. Tubaro, Stoch. Anal. Appl. 8 (1990)); the bias removed is reported as
   step_bias[...], and its share dt * sharpness, an estimate of what second order leaves, is part of the error. */
#include "runimpl.h"
#include <petsctime.h>
#include <gsl/gsl_rng.h>

typedef struct {
  FPQuantities q; /* error: standard error */
} Estimates;

/* Delete-one-group jackknife of everything an observable evaluates. acc[FP_GROUPS][size] */
static PetscErrorCode Jackknife(FPObservable observable, size_t size, const double acc[], Estimates *estimates)
{
  double      *sum, *part;
  FPQuantities left[FP_GROUPS];

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(size, &sum, size, &part));
  PetscCall(PetscMemzero(left, sizeof(left)));
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (size_t k = 0; k < size; k++) sum[k] += acc[g * size + k];
  PetscCall(FPObservableEvaluate(observable, sum, &estimates->q));
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (size_t k = 0; k < size; k++) part[k] = sum[k] - acc[g * size + k];
    PetscCall(FPObservableEvaluate(observable, part, &left[g]));
  }
  for (PetscInt k = 0; k < estimates->q.n; k++) {
    FPQuantity *item = &estimates->q.list[k];
    PetscReal   mean = 0, square = 0;

    for (PetscInt g = 0; g < FP_GROUPS; g++) mean += left[g].list[k].value / FP_GROUPS;
    for (PetscInt g = 0; g < FP_GROUPS; g++) square += PetscSqr(left[g].list[k].value - mean);
    item->value = FP_GROUPS * item->value - (FP_GROUPS - 1) * mean;
    item->error = PetscSqrtReal(square * (FP_GROUPS - 1) / FP_GROUPS);
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) PetscCall(FPQuantitiesFree(&left[g]));
  PetscCall(PetscFree2(sum, part));
  PetscFunctionReturn(0);
}

/* Start from the generator's law where there is one (the burn-in then has little to forget), else at the minimum or all
 * over the box. */
static PetscErrorCode StartPoints(FPRunObjects *run, PetscInt p, PetscReal **start)
{
  FPGenerator gen = run->generator[p];
  PetscInt    count, dim, inputs, targets;
  gsl_rng    *rng;

  PetscFunctionBegin;
  *start = NULL;
  for (PetscInt k = 0; k < run->processes && !gen; k++) gen = run->generator[k];
  PetscCall(FPModelGetSizes(run->model, &dim, &inputs, &targets));
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
  rng = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(rng, (unsigned long)run->particles.seed);
  {
    const PetscInt  *cells, *node;
    const PetscReal *z, *measure, *volume, *pi;
    PetscReal        ratio, *center[3], *width[3], cumulated = 0;
    PetscInt         n, k = 0;

    PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
    PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
    PetscCall(FPGeneratorStationary(gen, &pi));
    for (PetscInt a = 0; a < dim; a++) {
      PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
      PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
    }
    for (PetscInt i = 0; i < count; i++) { /* stratified, then dealt out to the groups in a fixed mixing order */
      const PetscReal target = (i + gsl_rng_uniform(rng)) / count;
      const PetscInt  to     = (PetscInt)(((PetscInt64)i * 2654435761LL) % count);
      PetscInt        rest;

      while (k < n - 1 && cumulated + pi[k] < target) cumulated += pi[k++];
      rest = node[k];
      for (PetscInt a = 0; a < dim; a++) {
        const PetscInt c = rest % cells[a];

        (*start)[(size_t)to * dim + a] = center[a][c] + (gsl_rng_uniform(rng) - 0.5) * width[a][c];
        rest /= cells[a];
      }
    }
    for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  }
  gsl_rng_free(rng);
  PetscFunctionReturn(0);
}

/* Simulate with one step size; estimates[observables]. */
static PetscErrorCode Simulate(FPRunObjects *run, PetscInt p, PetscReal dt, const PetscReal start[], PetscBool fields,
                               Estimates estimates[], PetscReal *crossings)
{
  FPObserver       observer[FP_MAX_OBSERVABLES];
  double          *acc[FP_MAX_OBSERVABLES] = {NULL};
  PetscInt         which[FP_MAX_OBSERVABLES], watching = 0;
  FPParticleReport report;
  const FPBox     *box = NULL;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(observer, sizeof(observer)));
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
  for (PetscInt o = 0; o < run->observables; o++) {
    PetscBool used;

    PetscCall(FPObservableParticlesBegin(run->observable[o], run->process[p], dt, &observer[watching], &used));
    if (!used) continue;
    which[watching] = o;
    PetscCall(PetscCalloc1(FP_GROUPS * observer[watching].accumulator, &acc[watching]));
    watching++;
  }
  if (watching)
    PetscCall(FPParticlesRun(run->process[p], box, dt, &run->particles, start, watching, observer, acc, &report));
  *crossings = 0;
  for (PetscInt g = 0; g < FP_GROUPS && watching; g++) *crossings += report.crossings[g] / FP_GROUPS / dt;
  for (PetscInt w = 0; w < watching; w++) {
    const size_t size = observer[w].accumulator;

    PetscCall(Jackknife(run->observable[which[w]], size, acc[w], &estimates[which[w]]));
    if (fields) {
      for (PetscInt g = 1; g < FP_GROUPS; g++)
        for (size_t k = 0; k < size; k++) acc[w][k] += acc[w][g * size + k];
      PetscCall(FPObservableFields(run->observable[which[w]], acc[w]));
    }
    PetscCall(FPObservableParticlesEnd(run->observable[which[w]]));
    PetscCall(PetscFree(acc[w]));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Sharpness(FPModel model, PetscReal *sharpness)
{
  const FPCriticalPoint *points;
  PetscInt               count, dim, inputs, targets;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  PetscCall(FPModelGetSizes(model, &dim, &inputs, &targets));
  *sharpness = count > 0 ? PetscMax(points[0].eigenvalue[dim - 1], 0) : 1;
  PetscFunctionReturn(0);
}

/* Extrapolate in the step (fine is at dt/2, NULL for discrete algorithms) and store the rows of one observable. */
static PetscErrorCode AddRows(FPRunObjects *run, const char process[], PetscInt o, const FPQuantities *coarse,
                              const FPQuantities *fine, PetscReal share)
{
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPObservableGetName(run->observable[o], &name));
  for (PetscInt k = 0; k < coarse->n; k++) {
    FPQuantity        item = coarse->list[k];
    const FPQuantity *lag;
    char              label[FP_NAME];
    PetscReal         bias = 0;

    if (item.name[0] == '~') continue;
    if (fine) {
      bias       = item.value - fine->list[k].value;
      item.value = fine->list[k].value - bias;
      item.error = PetscSqrtReal(4 * PetscSqr(fine->list[k].error) + PetscSqr(coarse->list[k].error));
    }
    PetscCall(PetscSNPrintf(label, sizeof(label), "~%.60s", item.name));
    PetscCall(FPQuantitiesFind(fine ? fine : coarse, label, &lag));
    if (lag)
      item.error = PetscSqrtReal(PetscSqr(item.error) + PetscMax(0, PetscSqr(lag->value) - 2 * PetscSqr(lag->error)));
    item.error = PetscSqrtReal(PetscSqr(item.error) + PetscSqr(share * bias));
    if (!strcmp(item.name, "relaxation_time") && 2 * item.error >= PetscAbsReal(item.value)) {
      PetscCall(FPResultsAddStatus(run->results, process, "particles", name, item.name, "unresolved",
                                   "the gap is zero within its error: too few transitions were seen"));
      continue;
    }
    PetscCall(FPResultsAdd(run->results, process, "particles", name, item.name, item.value, item.error, FP_STANDARD,
                           item.unit));
    if (!fine) continue;
    PetscCall(PetscSNPrintf(label, sizeof(label), "step_bias[%.50s]", item.name));
    PetscCall(FPResultsAdd(run->results, process, "particles", name, label, bias,
                           PetscSqrtReal(PetscSqr(fine->list[k].error) + PetscSqr(coarse->list[k].error)), FP_STANDARD,
                           item.unit));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunParticles(FPRunObjects *run, PetscInt p)
{
  Estimates      coarse[FP_MAX_OBSERVABLES], fine[FP_MAX_OBSERVABLES];
  PetscReal     *start, dt, sharpness = 1, crossings = 0;
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
  PetscCall(StartPoints(run, p, &start));
  if (algorithm == FP_SDE) {
    PetscCall(FPProcessGetParticleStep(run->process[p], &dt));
    PetscCall(Simulate(run, p, dt, start, PETSC_FALSE, coarse, &crossings));
    PetscCall(Simulate(run, p, dt / 2, start, PETSC_TRUE, fine, &crossings));
  } else {
    PetscCall(FPProcessGetStep(run->process[p], &dt));
    PetscCall(Simulate(run, p, dt, start, PETSC_TRUE, coarse, &crossings));
  }
  for (PetscInt o = 0; o < run->observables; o++) {
    PetscCall(AddRows(run, name, o, &coarse[o].q, algorithm == FP_SDE ? &fine[o].q : NULL, dt * sharpness));
    PetscCall(FPQuantitiesFree(&coarse[o].q));
    PetscCall(FPQuantitiesFree(&fine[o].q));
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

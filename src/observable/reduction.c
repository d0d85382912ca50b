/* reduction.c: how wrong a reduced coordinate system is (factorisation: aligned, chain: balanced). SGD of all weights
   beside SGD of the coordinates, both without walls, both from the minimum of the coordinates (the weights from its
   lift), with the same training and, as far as the two draw alike, the same samples. difference_X = full_X - reduced_X,
   X the mean and variance of the end-to-end matrix and the mean loss over the measured steps; without weight decay the
   full weights have no stationary law, and these are averages along the way. Standard errors: jackknife over the groups
   of particles, a group of one simulation paired with the same group of the other. gradient_defect: norm of the mean
   gradient of all weights that leads out of the coordinates, at the minimum. */
#include "observableimpl.h"

#define SAMPLING 4 /* SGD steps between samples */

/* Accumulator: count, loss, M[nm], M^2[nm]. */
enum { COUNT, LOSS, MOMENTS };

typedef struct {
  FPModel  model; /* the simulated one */
  PetscInt nm;
} Watched;

typedef struct {
  FPModel   model, full_model;
  FPProcess process, full_process;
  PetscInt  nm, size;
  double   *reduced, *full; /* accumulators, [FP_GROUPS][size] */
} Pair;

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Watched *s = (const Watched *)context;
  double        *M = scratch, *loss = scratch + s->nm * FP_BLOCK;

  FPModelMap(s->model, FP_BLOCK, move->after, M);
  FPModelLoss(s->model, FP_BLOCK, move->after, loss);
  acc[COUNT] += FP_BLOCK;
  for (PetscInt l = 0; l < FP_BLOCK; l++) acc[LOSS] += loss[l];
  for (PetscInt a = 0; a < s->nm; a++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      acc[MOMENTS + a] += M[a * FP_BLOCK + l];
      acc[MOMENTS + s->nm + a] += M[a * FP_BLOCK + l] * M[a * FP_BLOCK + l];
    }
}

/* All particles start at z[dim]. A particle that leaves every bound is no failure of the run: *finite tells. */
static PetscErrorCode Simulate(FPProcess process, FPModel model, const FPParticleOptions *options, const PetscReal z[],
                               PetscInt nm, double acc[], PetscBool *finite)
{
  Watched          watched  = {.model = model, .nm = nm};
  FPObserver       observer = {.accumulator = (size_t)(MOMENTS + 2 * nm),
                               .scratch     = (size_t)(nm + 1) * FP_BLOCK,
                               .every       = SAMPLING,
                               .sample      = Sample,
                               .context     = &watched};
  FPParticleReport report;
  PetscErrorCode   ierr;
  PetscReal       *start;
  PetscInt         count, dim;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  PetscCall(FPParticlesCount(options, &count));
  PetscCall(PetscMalloc1((size_t)count * dim, &start));
  for (PetscInt k = 0; k < count; k++) PetscCall(PetscArraycpy(start + (size_t)k * dim, z, dim));
  PetscCall(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  ierr = FPParticlesRun(process, NULL, 0, options, start, 1, &observer, &acc, &report);
  PetscCall(PetscPopErrorHandler());
  PetscCall(PetscFree(start));
  *finite = (PetscBool)(ierr != PETSC_ERR_FP);
  if (*finite) PetscCall(ierr);
  PetscFunctionReturn(0);
}

/* From sums of groups: mean and variance of M, loss. */
static PetscErrorCode AddNumbers(FPModel model, PetscInt nm, const double full[], const double reduced[],
                                 FPQuantities *q)
{
  const struct {
    const char   *name;
    const double *sums;
  } kind[2] = {{"full", full}, {"reduced", reduced}};
  PetscInt inputs;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, NULL, &inputs, NULL));
  for (PetscInt k = 0; k < 2; k++) {
    const double *m = kind[k].sums + MOMENTS, count = kind[k].sums[COUNT];

    for (PetscInt a = 0; a < nm; a++) {
      char            p[24] = "p";
      const PetscReal mean = m[a] / count, variance = m[nm + a] / count - mean * mean;

      if (nm > 1) PetscCall(PetscSNPrintf(p, sizeof(p), "p[%d][%d]", (int)(a / inputs), (int)(a % inputs)));
      PetscCall(FPQuantitiesAdd(q, mean, 0, "1", "%s_mean_%s", kind[k].name, p));
      PetscCall(FPQuantitiesAdd(q, variance, 0, "1", "%s_variance_%s", kind[k].name, p));
    }
    PetscCall(FPQuantitiesAdd(q, kind[k].sums[LOSS] / count, 0, "loss", "%s_loss", kind[k].name));
  }
  for (PetscInt k = 0, each = q->n / 2; k < each; k++)
    PetscCall(FPQuantitiesAdd(q, q->list[k].value - q->list[each + k].value, 0, q->list[k].unit, "difference_%s",
                              q->list[k].name + strlen("full_")));
  PetscFunctionReturn(0);
}

/* Delete-one jackknife over pairs of groups. */
static PetscErrorCode AddRows(FPObservable obs, const char process[], const Pair *pair)
{
  const PetscInt size = pair->size;
  double        *sum, *part;
  FPQuantities   all = {0}, left[FP_GROUPS];

  PetscFunctionBegin;
  PetscCall(PetscMemzero(left, sizeof(left)));
  PetscCall(PetscCalloc2(2 * size, &sum, 2 * size, &part));
  for (PetscInt k = 0; k < FP_GROUPS * size; k++) {
    sum[k % size] += pair->full[k];
    sum[size + k % size] += pair->reduced[k];
  }
  PetscCall(AddNumbers(pair->model, pair->nm, sum, sum + size, &all));
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (PetscInt k = 0; k < size; k++) {
      part[k]        = sum[k] - pair->full[g * size + k];
      part[size + k] = sum[size + k] - pair->reduced[g * size + k];
    }
    PetscCall(AddNumbers(pair->model, pair->nm, part, part + size, &left[g]));
  }
  for (PetscInt k = 0; k < all.n; k++) {
    PetscReal mean = 0, square = 0;

    for (PetscInt g = 0; g < FP_GROUPS; g++) mean += left[g].list[k].value / FP_GROUPS;
    for (PetscInt g = 0; g < FP_GROUPS; g++) square += PetscSqr(left[g].list[k].value - mean);
    PetscCall(FPResultsAdd(obs->scene.results, process, "particles", "reduction", all.list[k].name,
                           FP_GROUPS * all.list[k].value - (FP_GROUPS - 1) * mean,
                           PetscSqrtReal(square * (FP_GROUPS - 1) / FP_GROUPS), FP_STANDARD, all.list[k].unit));
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) PetscCall(FPQuantitiesFree(&left[g]));
  PetscCall(FPQuantitiesFree(&all));
  PetscCall(PetscFree2(sum, part));
  PetscFunctionReturn(0);
}

static PetscErrorCode Compare(FPObservable obs, const char process[], Pair *pair)
{
  const FPParticleOptions *options = &obs->scene.particles;
  const FPCriticalPoint   *points;
  PetscInt                 count, inputs, targets;
  PetscReal                w[FP_MAX_DIM], defect;
  PetscBool                finite;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(pair->model, NULL, &inputs, &targets));
  pair->nm   = inputs * targets;
  pair->size = MOMENTS + 2 * pair->nm;
  PetscCall(FPModelGetCriticalPoints(pair->model, &count, &points));
  if (count == 0) {
    PetscCall(FPResultsAddStatus(obs->scene.results, process, "particles", "reduction", "difference_loss",
                                 "unsupported", "the potential has no minimum to start from"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPModelGetReductionDefect(pair->model, points[0].z, &defect));
  PetscCall(FPResultsAdd(obs->scene.results, process, "exact", "reduction", "gradient_defect", defect,
                         1e-13 * PetscMax(1, defect), FP_BOUND, "gradient"));
  FPModelLiftFull(pair->model, 1, points[0].z, w);
  PetscCall(PetscCalloc2(FP_GROUPS * pair->size, &pair->reduced, FP_GROUPS * pair->size, &pair->full));
  PetscCall(Simulate(pair->process, pair->model, options, points[0].z, pair->nm, pair->reduced, &finite));
  if (finite) PetscCall(Simulate(pair->full_process, pair->full_model, options, w, pair->nm, pair->full, &finite));
  if (finite)
    PetscCall(AddRows(obs, process, pair));
  else
    PetscCall(FPResultsAddStatus(obs->scene.results, process, "particles", "reduction", "difference_loss", "diverged",
                                 "without walls a particle became infinite: no averages exist"));
  PetscCall(PetscFree2(pair->reduced, pair->full));
  PetscFunctionReturn(0);
}

/* The same training on the network of all weights; pair->full_model stays NULL where there is none. */
static PetscErrorCode CreateFull(const char process[], Pair *pair)
{
  FPConfig   config;
  FPTraining training;
  char       key[2 * FP_NAME];

  PetscFunctionBegin;
  PetscCall(FPModelCreateFull(pair->model, &pair->full_model));
  if (!pair->full_model) PetscFunctionReturn(0);
  PetscCall(FPProcessGetTraining(pair->process, &training));
  PetscCall(FPConfigCreate(&config));
  PetscCall(FPTrainingWrite(config, &training));
  PetscCall(PetscSNPrintf(key, sizeof(key), "%s_preset", process));
  PetscCall(FPConfigSet(config, key, "sgd"));
  PetscCall(FPProcessCreate(config, process, pair->full_model, &pair->full_process));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Reduction(FPObservable obs)
{
  const FPScene *scene  = &obs->scene;
  const char    *reason = "no process of this run is sgd", *name = "sgd";
  Pair           pair = {.model = scene->model};

  PetscFunctionBegin;
  for (PetscInt p = 0; p < scene->processes && !pair.process; p++) {
    FPAlgorithm algorithm;

    PetscCall(FPProcessGetAlgorithm(scene->process[p], &algorithm, NULL));
    if (algorithm == FP_SGD) pair.process = scene->process[p];
  }
  if (pair.process) {
    PetscCall(FPProcessGetName(pair.process, &name));
    PetscCall(CreateFull(name, &pair));
    reason = "these coordinates reduce nothing, or all the weights of the network are not among the coordinates of its "
             "model";
  }
  if (scene->use_generator)
    PetscCall(FPResultsAddStatus(scene->results, name, "generator", "reduction", "difference_loss", "unsupported",
                                 "SGD is discrete, and all the weights are too many for a grid"));
  if (pair.full_model && scene->use_particles)
    PetscCall(Compare(obs, name, &pair));
  else
    PetscCall(FPResultsAddStatus(scene->results, name, "particles", "reduction", "difference_loss", "unsupported",
                                 pair.full_model ? "engine particles is not asked for" : reason));
  PetscCall(FPProcessDestroy(&pair.full_process));
  PetscCall(FPModelDestroy(&pair.full_model));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Reduction(FPObservable obs)
{
  PetscFunctionBegin;
  obs->ops = (FPObservableOps){.exact = Exact_Reduction};
  PetscFunctionReturn(0);
}

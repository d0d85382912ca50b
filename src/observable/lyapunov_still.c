/* lyapunov_still.c: exponent_at[NAME] of SGD and SVAG by particles, at critical points where the gradient of every
   sample vanishes. Tangent vectors are multiplied there by independent random matrices, one each step: lyapunov_orbit.c
   without an orbit, for every model, any number of weights and any batch. Particles start there too, and stay but for
   rounding, which may grow: a box holds what few coordinates do. The
   standard error is the scatter of the groups; what parts of the run differ by beyond it are doubts, as
   directions take time to turn. Products of matrices with finite moments obey a central limit theorem: E. Le Page,
   Lecture Notes in Math. 928 (1982). */
#include "lyapunovimpl.h"
#include <math.h>

#define NOTHING 1e-20 /* variance of the gradient, over that at a distance */
#define DISTANCE 0.1
#define ROWS 3 /* of FPLyapunovEvaluate(): the exponent, and two doubts */

/* Trace of the covariance of one sample's gradient */
static PetscReal Variance(FPModel model, PetscInt channels, const PetscReal z[], PetscInt dim)
{
  double   *F   = FPScratchTake((size_t)(dim * channels));
  PetscReal sum = 0;

  FPModelCovarianceFactor(model, 1, z, F);
  for (PetscInt k = 0; k < dim * channels; k++) sum += F[k] * F[k];
  FPScratchRelease(F);
  return sum;
}

PetscErrorCode FPLyapunovStays(FPModel model, const PetscReal point[], PetscBool *stays)
{
  PetscReal near[FP_MAX_DIM];
  PetscInt  dim, channels;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  PetscCall(FPModelGetChannels(model, &channels));
  for (PetscInt i = 0; i < dim; i++) near[i] = point[i] + DISTANCE * (1 + 0.3 * i / dim);
  *stays = (PetscBool)(Variance(model, channels, point, dim) <= NOTHING * Variance(model, channels, near, dim));
  PetscFunctionReturn(0);
}

/* The exponent and its doubts: of every group, then over groups with their squared errors */
static PetscErrorCode Average(FPObservable obs, size_t size, const double acc[], PetscReal mean[ROWS],
                              PetscReal square[ROWS])
{
  PetscReal part[ROWS][FP_GROUPS];

  PetscFunctionBegin;
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    FPQuantities q = {0};

    PetscCall(FPLyapunovEvaluate(obs, acc + (size_t)g * size, &q));
    for (int k = 0; k < ROWS; k++) part[k][g] = q.list[k].value;
    PetscCall(FPQuantitiesFree(&q));
  }
  for (int k = 0; k < ROWS; k++) {
    mean[k] = square[k] = 0;
    for (PetscInt g = 0; g < FP_GROUPS; g++) mean[k] += part[k][g] / FP_GROUPS;
    for (PetscInt g = 0; g < FP_GROUPS; g++) square[k] += PetscSqr(part[k][g] - mean[k]) / FP_GROUPS / (FP_GROUPS - 1);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovStill(FPObservable obs, FPProcess process, const PetscReal point[], PetscReal *value,
                               PetscReal *error)
{
  FPLyapunov       *s        = (FPLyapunov *)obs->data;
  FPParticleOptions options  = obs->scene.particles;
  FPEnsemble        ensemble = {0};
  FPObserver        observer = {0};
  FPParticleReport  report;
  FPBox             box = {0}; /* reflecting */
  PetscReal        *start, dt, mean[ROWS], square[ROWS], doubt = 0;
  double           *acc;
  PetscInt          count, dim;
  PetscBool         used;

  PetscFunctionBegin;
  options.burn_in = 0;
  options.steps   = PetscMax(2, options.steps);
  PetscCall(FPProcessGetStep(process, &dt));
  PetscCall(FPModelGetSizes(obs->scene.model, &dim, NULL, NULL));
  PetscCall(FPParticlesCount(&options, &count));
  PetscCall(FPLyapunovBegin(obs, process, dt, &options, &observer, &ensemble, &used));
  s->box.dim = 0;
  s->still   = point;
  PetscCall(PetscFree(ensemble.start));
  PetscCall(PetscMalloc1((size_t)count * dim, &start));
  for (PetscInt k = 0; k < count * dim; k++) start[k] = point[k % dim];
  PetscCall(PetscCalloc1(FP_GROUPS * observer.accumulator, &acc));
  box.dim = (int)(dim <= 3 ? dim : 0);
  for (PetscInt a = 0; a < box.dim; a++) {
    box.lower[a] = point[a] - 1;
    box.upper[a] = point[a] + 1;
  }
  PetscCall(FPParticlesRun(process, box.dim ? &box : NULL, dt, &options, start, 1, &observer, &acc, &report));
  PetscCall(Average(obs, observer.accumulator, acc, mean, square));
  *value = mean[0];
  for (int k = 1; k < ROWS; k++) doubt += PetscSqr(mean[k]) - 2 * square[k];
  *error = PetscSqrtReal(square[0] + PetscMax(0, doubt) + PetscSqr(1e-9 / dt));
  PetscCall(PetscFree(acc));
  PetscCall(PetscFree(start));
  PetscFunctionReturn(0);
}

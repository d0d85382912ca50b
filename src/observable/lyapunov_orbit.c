/* lyapunov_orbit.c: exponent_orbit by tangent vectors. Every step is repeated, with the same random numbers, from
   z + h v and z - h v, h = 1e-5; their difference over 2 h is the derivative of the step along v to 1e-10, for every
   algorithm. The exponent is the mean of ln|v| per unit time, v normalised after every step, in the last three quarters
   of the run, of short ones in the last half: random at first, v takes its time to turn. An SDE's exponent depends
   on more than drift and diffusion: dv = Db v dt + sum_c (D S_c) v dB_c has the columns S_c of the factor S, 2 D = S
   S^T, that the particles are moved by (the covariance of the gradients is split as F F^T, F the Jacobian of the
   end-to-end matrix times the Cholesky factor of the covariance of its gradient, where that has no more columns than
   weights; else the Cholesky factor of the whole; injected noise is added to each weight). Walls mirror the coordinates
   of a discrete algorithm, and its tangent vector with them; of an SDE they move z along the co-normal and v not at
   all, here and in lyapunov_plane.c: the backward equation has D n . grad = 0 there at every direction of v.
   Source: Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15 (1980); L. Arnold, Random Dynamical Systems (1998),
   chapters 3 and 6. */
#include "lyapunovimpl.h"
#include <gsl/gsl_randist.h>
#include <math.h>

#define START (1ULL << 62) /* stream index of the draws for the first tangent vector */
#define PERTURBATION 1e-2  /* of a start at the minimum, in weights */
#define TURN 32            /* steps of SGD that v turns in: after 11 of them exponents were 0.25 % off */

enum { LENGTH, COUNT, SUMS }; /* of a quarter of what is measured: sum of ln|v|, and how many */

/* Normalise v[d]; the sum of the logarithms of the lengths. */
static double Normalise(int d, double *v)
{
  double sum = 0;

  for (int l = 0; l < FP_BLOCK; l++) {
    double square = 0;

    for (int i = 0; i < d; i++) square += PetscSqr(v[i * FP_BLOCK + l]);
    sum += square > 0 ? 0.5 * log(square) : -INFINITY;
    for (int i = 0; i < d; i++) v[i * FP_BLOCK + l] /= sqrt(square);
  }
  return sum;
}

/* Scratch: v, then room for z + h v, z - h v before and after the step, [d][FP_BLOCK] each. */
static void Start(const void *context, const FPMove *move, double *scratch)
{
  const FPLyapunov *s = (const FPLyapunov *)context;
  unsigned          word[4 * FP_BLOCK];
  float             normal[4 * FP_BLOCK];

  for (int i = 0; i < s->dim; i += 4) {
    FPRandomWords(move->key, move->first, START + (unsigned long long)i, 4, word);
    FPRandomNormals(4, word, normal);
    for (int k = 0; k < PetscMin(4, (int)s->dim - i) * FP_BLOCK; k++) scratch[i * FP_BLOCK + k] = (double)normal[k];
  }
  (void)Normalise((int)s->dim, scratch);
}

/* Where the step ended before the walls, mid[d], folded as often as they were met: an odd number turns v over. */
static void Mirror(const FPLyapunov *s, const double *mid, double *v)
{
  for (int k = 0; k < s->box.dim * FP_BLOCK; k++) {
    const double lower = s->box.lower[k / FP_BLOCK], width = s->box.upper[k / FP_BLOCK] - lower;

    if (fmod(floor((mid[k] - lower) / width), 2) != 0) v[k] = -v[k];
  }
}

/* Number k of [d][FP_BLOCK]: where tangent vectors are */
static double At(const FPLyapunov *s, const FPMove *move, int k)
{
  return s->still ? s->still[k / FP_BLOCK] : move->before[k];
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const FPLyapunov *s    = (const FPLyapunov *)context;
  const int         n    = (int)s->dim * FP_BLOCK;
  double           *near = scratch + n, *up = near + n, *down = up + n;
  const PetscInt64  step = move->step - s->skip;
  double            sum;

  for (int k = 0; k < n; k++) near[k] = At(s, move, k) + FP_TANGENT * scratch[k];
  move->replay(move, 0, near, up);
  for (int k = 0; k < n; k++) near[k] = At(s, move, k) - FP_TANGENT * scratch[k];
  move->replay(move, 1, near, down);
  for (int k = 0; k < n; k++) {
    scratch[k] = (up[k] - down[k]) / (2 * FP_TANGENT);
    near[k]    = (up[k] + down[k]) / 2;
  }
  if (!s->sde) Mirror(s, near, scratch);
  sum = Normalise((int)s->dim, scratch);
  if (step < 1 || step > 4 * s->quarter) return;
  acc += (step - 1) / s->quarter * SUMS;
  acc[LENGTH] += sum;
  acc[COUNT] += FP_BLOCK;
}

/* Around the minimum: without a box the run itself has none but the minimum, where a deterministic map stays. */
static PetscErrorCode StartPoints(const FPLyapunov *s, FPModel model, const FPParticleOptions *options,
                                  PetscReal **points)
{
  const FPCriticalPoint *critical;
  PetscInt               known, count;
  gsl_rng               *rng = gsl_rng_alloc(gsl_rng_mt19937);

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(model, &known, &critical));
  PetscCall(FPParticlesCount(options, &count));
  PetscCall(PetscMalloc1((size_t)count * s->dim, points));
  gsl_rng_set(rng, (unsigned long)options->seed + 1);
  for (PetscInt k = 0; k < count * s->dim; k++)
    (*points)[k] = (known ? critical[0].z[k % s->dim] : 0) + gsl_ran_gaussian(rng, PERTURBATION);
  gsl_rng_free(rng);
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovBegin(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                               FPObserver *observer, FPEnsemble *ensemble, PetscBool *used)
{
  FPLyapunov *s = (FPLyapunov *)obs->data;
  FPTraining  training;
  FPAlgorithm algorithm;
  PetscInt64  substeps;

  PetscFunctionBegin;
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, NULL, NULL));
  substeps   = llround(training.learning_rate / dt);
  s->process = process;
  s->dt      = dt;
  s->sde     = (PetscBool)(algorithm == FP_SDE);
  s->skip    = PetscMax(options->steps / 4, PetscMin(options->steps / 2, TURN)) * substeps;
  s->quarter = PetscMax(1, (options->steps * substeps - s->skip) / 4);
  s->still   = NULL;
  s->box.dim = 0;
  if (obs->scene.mesh) {
    const FPBox *box;

    PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
    s->box = *box;
  } else {
    s->skip += options->burn_in * substeps;
    ensemble->own      = PETSC_TRUE;
    ensemble->duration = (options->burn_in + PetscMax(2, options->steps)) * training.learning_rate;
    PetscCall(StartPoints(s, obs->scene.model, options, &ensemble->start));
  }
  observer->accumulator = 4 * SUMS;
  observer->scratch     = (size_t)(4 * s->dim * FP_BLOCK);
  observer->every       = 1;
  observer->replays     = 2;
  observer->start       = Start;
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* What the second half of the run differs from the first beyond noise, and its middle from its ends, is no stationary
   average yet: half of either is a doubt. A vector that turns once in each half shows only in the second. */
PetscErrorCode FPLyapunovEvaluate(FPObservable obs, const double sums[], FPQuantities *q)
{
  const FPLyapunov *s = (const FPLyapunov *)obs->data;
  PetscReal         rate[4];

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 4; k++) rate[k] = sums[k * SUMS + LENGTH] / sums[k * SUMS + COUNT] / s->dt;
  PetscCall(FPQuantitiesAdd(q, (rate[0] + rate[1] + rate[2] + rate[3]) / 4, 1e-9 / s->dt, "1/time", "exponent_orbit"));
  PetscCall(FPQuantitiesAdd(q, (rate[2] + rate[3] - rate[0] - rate[1]) / 4, 0, "1/time", "~exponent_orbit"));
  PetscCall(FPQuantitiesAdd(q, (rate[1] + rate[2] - rate[0] - rate[3]) / 4, 0, "1/time", "~exponent_orbit"));
  PetscFunctionReturn(0);
}

/* sharpness.c: the largest eigenvalue S of the Hessian of V in all weights, in the mean over the law at times after a
   start, beside threshold = 2/learning_rate, beyond which gradient descent overshoots in that direction. Coordinates
   that reduce the weights (chain: balanced, factorisation: aligned) are lifted to them: most directions of a network
   lead out of the coordinates, and some of those are sharper. OU without a potential: the symmetric part of the drift.
     Exact, 2-chain without decay, e = w1 w2 - p, E x^2 = s, P = w1 w2: S/s = (w1^2 + w2^2)/2 +
   sqrt(((w1^2 - w2^2)/2)^2 + (2P - p)^2), which is w1^2 + w2^2 at e = 0; the gradient flow keeps w1^2 - w2^2.
   batch_sharpness is the curvature of mini-batches along their own gradients, batch_sharpness.c. Without times and
   start both are asked of the stationary law. Generator: sum of p_t S on every grid. Particles: an ensemble of their
   own; between two steps S is interpolated linearly; batches are seen after STEPS last steps. With absorbing faces the
   mean is conditional on survival. */
#include "batch_sharpness.h"
#include "course.h"
#include <petscblaslapack.h>
#include <stdio.h>

#define SHOTS 8        /* of the stationary law, by particles */
#define STEPS 16       /* last steps, at most */
#define WORK 1024      /* weights^2 times last steps, at most */
#define STILL 1e-24    /* mean square of gradients that are rounding */
#define MOST_NODES 3e8 /* nodes of the data times cells of the grid */
#define TOO_MANY "the rows of the data times the cells of the grid are too many; particles draw batches"
#define REASON "the weights behind these coordinates are not among the coordinates of a model, so their Hessian is not"

typedef struct {
  FPCourse  course;
  FPModel   model, full; /* full: the network behind reduced coordinates; NULL: the coordinates are the weights */
  PetscBool mapped, ready, known, stationary;
  PetscInt  dim, weights; /* of the Hessian */
  PetscReal dt;
  PetscInt  steps; /* last steps that particles take before batches are seen */

  FPBatchSharpness batch; /* of the process that is asked */
} Sharpness;

/* Sums over a law: of 1, S, and the two expectations of batch_sharpness */
enum { COUNT, SUM, CURVATURE, SQUARE, SUMS };

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_START, FP_COURSE_SPREAD, {0}};

static PetscErrorCode Read_Sharpness(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  Sharpness *s = (Sharpness *)obs->data;

  PetscFunctionBegin;
  s->stationary = (PetscBool)(s->course.times.n == 0 && s->course.start.n == 0);
  if (!s->stationary) PetscCall(FPCourseRead(&s->course, obs->name, config, model, mesh, PETSC_TRUE, wanted));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(FPObservable obs)
{
  Sharpness *s = (Sharpness *)obs->data;
  PetscReal  metric;

  PetscFunctionBegin;
  if (s->ready) PetscFunctionReturn(0);
  s->ready = PETSC_TRUE;
  s->model = obs->scene.model;
  PetscCall(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelGetMetric(s->model, &metric));
  PetscCall(FPModelCreateFull(s->model, &s->full));
  if (s->full) PetscCall(FPModelGetSizes(s->full, &s->weights, NULL, NULL));
  s->known = (PetscBool)(s->full || metric == 1);
  PetscFunctionReturn(0);
}

/* Doubles that Evaluate() needs for FP_BLOCK points. */
static size_t Room(const Sharpness *s)
{
  return (size_t)(s->weights * (1 + s->weights)) * FP_BLOCK;
}

/* All weights at z[dim][n]: room[weights][n], or z itself */
static const double *AllWeights(const Sharpness *s, int n, const double *z, double *room)
{
  if (!s->full) return FPWeightsOf(s->model, s->mapped, n, z, room);
  FPModelLiftFull(s->model, n, z, room);
  return room;
}

/* S[n] at z[dim][n] */
static void Evaluate(const Sharpness *s, int n, const double *z, double *room, double *S)
{
  const PetscInt d = s->weights;
  const double  *w;
  double        *H = room + (size_t)d * n, *M;

  w = AllWeights(s, n, z, room);
  FPModelHessian(s->full ? s->full : s->model, n, w, H);
  M = FPScratchTake((size_t)(d * d));
  for (int l = 0; l < n; l++) {
    PetscReal    value[FP_MAX_DIM], work[8 * FP_MAX_DIM];
    PetscBLASInt order = (PetscBLASInt)d, lwork = 8 * FP_MAX_DIM, info;

    for (PetscInt i = 0; i < d; i++)
      for (PetscInt j = 0; j < d; j++) M[i * d + j] = 0.5 * (H[(i * d + j) * n + l] + H[(j * d + i) * n + l]);
    LAPACKsyev_("N", "U", &order, M, &order, value, work, &lwork, &info);
    S[l] = info ? NAN : value[d - 1];
  }
  FPScratchRelease(M);
}

/* threshold of every process, and where there is no Hessian the reason. */
static PetscErrorCode Exact_Sharpness(FPObservable obs)
{
  const FPScene *scene = &obs->scene;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  for (PetscInt p = 0; p < scene->processes; p++) {
    FPTraining  training;
    const char *name;

    PetscCall(FPProcessGetName(scene->process[p], &name));
    PetscCall(FPProcessGetTraining(scene->process[p], &training));
    PetscCall(FPResultsAdd(scene->results, name, "exact", obs->name, "threshold", 2 / training.learning_rate,
                           1e-15 / training.learning_rate, FP_BOUND, "1/time"));
    if (scene->use_particles && !((const Sharpness *)obs->data)->known)
      PetscCall(FPObservableMissing(obs, scene->process[p], "particles", "sharpness", "unsupported", REASON));
  }
  PetscFunctionReturn(0);
}

/* S at all nodes of the grid, and where wanted both expectations of batches, a few nodes at a time: Hessians of all are
   many. */
static PetscErrorCode OnNodes(const Sharpness *s, PetscInt n, const PetscReal z[], PetscReal *const F[3])
{
  PetscReal *point, *room;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2((size_t)s->dim * FP_BLOCK, &point, Room(s), &room));
  for (PetscInt k = 0; k < n; k += FP_BLOCK) {
    const PetscInt count = PetscMin(FP_BLOCK, n - k);

    for (PetscInt a = 0; a < s->dim; a++)
      for (PetscInt l = 0; l < count; l++) point[a * count + l] = z[(size_t)a * n + k + l];
    Evaluate(s, (int)count, point, room, F[0] + k);
    if (F[1]) FPBatchSharpnessAt(&s->batch, (int)count, AllWeights(s, (int)count, point, room), F[1] + k, F[2] + k);
  }
  PetscCall(PetscFree2(point, room));
  PetscFunctionReturn(0);
}

/* Rows of one law; suffix: "[t=..]", or nothing; F: S and the two of the batches on the nodes. */
static PetscErrorCode AddLaw(const char suffix[], PetscInt n, const PetscReal p[], PetscReal error,
                             PetscReal *const F[3], FPQuantities *q)
{
  PetscReal mean[3], bound[3];

  PetscFunctionBegin;
  for (int f = 0; f < 3; f++)
    if (F[f]) FPCourseMean(n, p, F[f], error, &mean[f], &bound[f]);
  PetscCall(FPQuantitiesAdd(q, mean[0], bound[0], "1/time", "sharpness%s", suffix));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0); /* the largest of several eigenvalues has kinks */
  if (F[1])
    PetscCall(FPQuantitiesAdd(q, mean[1] / mean[2], (bound[1] + mean[1] / mean[2] * bound[2]) / mean[2], "1/time",
                              "batch_sharpness%s", suffix));
  PetscFunctionReturn(0);
}

/* batches: are there not too many? */
static PetscErrorCode AddRows(const Sharpness *s, FPGenerator gen, const PetscReal law[], PetscBool batches,
                              FPQuantities *q)
{
  const PetscInt   times = s->course.times.n;
  const PetscReal *z;
  PetscReal       *p, *error, *F[3] = {NULL}, *all;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(PetscMalloc3((size_t)times * n, &p, times, &error, 3 * n, &all));
  for (int f = 0; f < (batches ? 3 : 1); f++) F[f] = all + (size_t)f * n;
  PetscCall(OnNodes(s, n, z, F));
  if (s->stationary)
    PetscCall(AddLaw("", n, law, 0, F, q));
  else
    PetscCall(FPCourseEvolve(&s->course, gen, law, p, error));
  for (PetscInt k = 0; k < times; k++) {
    char      suffix[32];
    PetscReal mass;

    (void)snprintf(suffix, sizeof(suffix), "[t=%s]", s->course.times.value[k]);
    FPCourseSurvivors(gen, p + (size_t)k * n, &mass);
    PetscCall(AddLaw(suffix, n, p + (size_t)k * n, error[k] / mass, F, q));
  }
  PetscCall(PetscFree3(p, error, all));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Sharpness(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Sharpness       *s      = (Sharpness *)obs->data;
  const char      *reason = NULL;
  const PetscReal *pi;
  PetscReal       *law, missing = 0;
  PetscInt         n;
  PetscBool        batches;
  FPProcess        process;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPBatchSharpnessSetUp(s->full ? s->full : s->model, process, &s->batch));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(PetscMalloc1(n, &law));
  PetscCall(PetscArraycpy(law, pi, n));
  if (!s->stationary) PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  if (!s->known)
    reason = REASON;
  else if (missing >= FP_COURSE_MISSING)
    reason = FP_COURSE_NOWHERE;
  batches = (PetscBool)((PetscReal)n * s->batch.count < MOST_NODES);
  if (!reason) PetscCall(AddRows(s, gen, law, batches, q));
  if (reason && finest) PetscCall(FPObservableMissingOn(obs, gen, "sharpness", "unsupported", reason));
  if (!reason && !batches && finest)
    PetscCall(FPObservableMissingOn(obs, gen, "batch_sharpness", "unsupported", TOO_MANY));
  PetscCall(PetscFree(law));
  PetscFunctionReturn(0);
}

/* Both expectations of batches at z, with a weight; draw: which batch of this step. */
static void AddBatches(const Sharpness *s, const FPMove *move, PetscInt draw, const double *z, double weight,
                       double *room, double *acc)
{
  double curvature, square;

  FPBatchSharpnessDraw(&s->batch, move, draw, AllWeights(s, FP_BLOCK, z, room), &curvature, &square);
  acc[CURVATURE] += weight * curvature;
  acc[SQUARE] += weight * square;
}

/* Add the block at z, before or after the step, with a weight: the batches in the mean over several last steps. */
static void AddBlock(const Sharpness *s, const FPMove *move, PetscInt draw, const double *z, double weight,
                     double *scratch, double *acc)
{
  const PetscInt steps = z == move->after ? s->steps : 1;
  double        *S = scratch, *room = scratch + FP_BLOCK, *other = room + Room(s);

  Evaluate(s, FP_BLOCK, z, room, S);
  for (PetscInt l = 0; l < FP_BLOCK; l++) acc[SUM] += weight * S[l];
  for (PetscInt k = 0; k < steps; k++) {
    if (k > 0) (*move->again)(move, other);
    AddBatches(s, move, draw * STEPS + k, k ? other : z, weight / (PetscReal)steps, room, acc);
  }
}

/* Accumulator: the sums, per time. A time between two steps is seen after both. */
static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Sharpness *s = (const Sharpness *)context;

  if (s->stationary) {
    acc[COUNT] += FP_BLOCK;
    AddBlock(s, move, (PetscInt)(move->step % (PETSC_MAX_INT / STEPS)), move->after, 1, scratch, acc);
    return;
  }
  for (PetscInt next = 0; next < 2; next++) {
    const PetscInt64 step = move->step + next;
    PetscInt         first, due = FPCourseDue(&s->course, step, s->dt, &first);

    for (PetscInt k = first; k < first + due; k++) {
      const PetscReal f   = FPCourseFraction(s->course.t[k], step, s->dt);
      double         *sum = acc + (ptrdiff_t)SUMS * k;

      if (!next) sum[COUNT] += FP_BLOCK;
      if (step == 1 && f < 1) AddBlock(s, move, 2 * k, move->before, 1 - f, scratch, sum);
      if (next && f < 1) AddBlock(s, move, 2 * k, move->after, 1 - f, scratch, sum);
      if (!next && f > 0) AddBlock(s, move, 2 * k + 1, move->after, f, scratch, sum);
    }
  }
}

/* The largest gradients are those after the step that led far out, so that few particles would decide. SDEs get there
   in many steps; under a fractional clock they are not repeated. */
static PetscErrorCode LastSteps(const Sharpness *s, FPProcess process, PetscInt *steps)
{
  FPAlgorithm algorithm;
  PetscReal   beta;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  *steps = algorithm == FP_SDE || beta < 1 ? 1 : PetscClipInterval(WORK / (s->weights * s->weights), 1, STEPS);
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Sharpness(FPObservable obs, FPProcess process, PetscReal dt,
                                      const FPParticleOptions *options, FPObserver *observer, FPEnsemble *ensemble,
                                      PetscBool *used)
{
  Sharpness *s = (Sharpness *)obs->data;
  FPTraining training;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  *used = s->known;
  if (!s->known) PetscFunctionReturn(0);
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPBatchSharpnessSetUp(s->full ? s->full : s->model, process, &s->batch));
  PetscCall(LastSteps(s, process, &s->steps));
  s->dt                 = dt;
  observer->accumulator = SUMS * (size_t)PetscMax(1, s->course.times.n);
  observer->scratch     = FP_BLOCK + Room(s) + (size_t)s->dim * FP_BLOCK;
  observer->again       = (PetscBool)(s->steps > 1);
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  if (s->stationary) {
    observer->every = PetscMax(1, options->steps / SHOTS) * (PetscInt)lround(training.learning_rate / dt);
    PetscFunctionReturn(0);
  }
  PetscCall(FPCourseEnsemble(&s->course, &obs->scene, options, ensemble));
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Sharpness(FPObservable obs, const double sums[], FPQuantities *q)
{
  const Sharpness *s = (const Sharpness *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < PetscMax(1, s->course.times.n); k++) {
    const double *sum        = sums + (ptrdiff_t)SUMS * k;
    char          suffix[32] = "";

    if (!s->stationary) (void)snprintf(suffix, sizeof(suffix), "[t=%s]", s->course.times.value[k]);
    PetscCall(FPQuantitiesAdd(q, sum[SUM] / sum[COUNT], 0, "1/time", "sharpness%s", suffix));
    PetscCall(FPQuantitiesAdd(q, sum[SQUARE] > STILL * sum[COUNT] ? sum[CURVATURE] / sum[SQUARE] : NAN, 0, "1/time",
                              "batch_sharpness%s", suffix));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Sharpness(FPObservable obs)
{
  Sharpness *s = (Sharpness *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPModelDestroy(&s->full));
  PetscCall(FPBatchSharpnessFree(&s->batch));
  PetscCall(FPCourseDestroy(&s->course));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Sharpness(FPObservable obs)
{
  Sharpness *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = Read_Sharpness,
                                      .exact     = Exact_Sharpness,
                                      .generator = Generator_Sharpness,
                                      .begin     = Begin_Sharpness,
                                      .evaluate  = Evaluate_Sharpness,
                                      .destroy   = Destroy_Sharpness};
  PetscFunctionReturn(0);
}

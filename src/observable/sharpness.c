/* sharpness.c: the largest eigenvalue S of the Hessian of V in all weights, in the mean over the law at times after a
   start, beside threshold = 2/learning_rate, beyond which gradient descent overshoots in that direction. Coordinates
   that reduce the weights (chain: balanced, factorisation: aligned) are lifted to them: most directions of a network
   lead out of the coordinates, and some of those are sharper. OU without a potential: the symmetric part of the drift.
     Exact, 2-chain without decay, e = w1 w2 - p, E x^2 = s, P = w1 w2: S/s = (w1^2 + w2^2)/2 +
   sqrt(((w1^2 - w2^2)/2)^2 + (2P - p)^2), which is w1^2 + w2^2 at e = 0; the gradient flow keeps w1^2 - w2^2.
   Generator: sum of p_t S on every grid. Particles: an ensemble of their own; between two steps S is interpolated
   linearly. With absorbing faces the mean is conditional on survival. */
#include "course.h"
#include <petscblaslapack.h>

#define REASON "the weights behind these coordinates are not among the coordinates of a model, so their Hessian is not"

typedef struct {
  FPCourse  course;
  FPModel   model, full; /* full: the network behind reduced coordinates; NULL: the coordinates are the weights */
  PetscBool mapped, ready, known;
  PetscInt  dim, weights; /* of the Hessian */
  PetscReal dt;
} Sharpness;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_START, FP_COURSE_SPREAD, {0}};

static PetscErrorCode Read_Sharpness(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  PetscFunctionBegin;
  PetscCall(FPCourseRead((FPCourse *)obs->data, obs->name, config, model, mesh, PETSC_TRUE, wanted));
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

/* Doubles that Evaluate() needs for n points. */
static size_t Room(const Sharpness *s, size_t n)
{
  return (size_t)(s->weights * (1 + s->weights)) * n;
}

/* S[n] at z[dim][n] */
static void Evaluate(const Sharpness *s, int n, const double *z, double *room, double *S)
{
  const PetscInt d = s->weights;
  const double  *w = z;
  double        *H = room + (size_t)d * n, *M;

  if (s->full) {
    FPModelLiftFull(s->model, n, z, room);
    w = room;
  } else
    w = FPWeightsOf(s->model, s->mapped, n, z, room);
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
      PetscCall(FPResultsAddStatus(scene->results, name, "particles", obs->name, "sharpness", "unsupported", REASON));
  }
  PetscFunctionReturn(0);
}

/* S at all nodes of the grid, a few at a time: Hessians of all nodes are many. */
static PetscErrorCode OnNodes(const Sharpness *s, PetscInt n, const PetscReal z[], PetscReal S[])
{
  PetscReal *point, *room;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2((size_t)s->dim * FP_BLOCK, &point, Room(s, FP_BLOCK), &room));
  for (PetscInt k = 0; k < n; k += FP_BLOCK) {
    const PetscInt count = PetscMin(FP_BLOCK, n - k);

    for (PetscInt a = 0; a < s->dim; a++)
      for (PetscInt l = 0; l < count; l++) point[a * count + l] = z[(size_t)a * n + k + l];
    Evaluate(s, (int)count, point, room, S + k);
  }
  PetscCall(PetscFree2(point, room));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddTimes(const Sharpness *s, FPGenerator gen, const PetscReal law[], FPQuantities *q)
{
  const PetscInt  *node, times = s->course.times.n;
  const PetscReal *z, *measure, *volume;
  PetscReal       *p, *error, *S;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc3((size_t)times * n, &p, times, &error, n, &S));
  PetscCall(FPCourseEvolve(&s->course, gen, law, p, error));
  PetscCall(OnNodes(s, n, z, S));
  for (PetscInt k = 0; k < times; k++) {
    PetscReal mass, mean, bound;

    FPCourseSurvivors(gen, p + (size_t)k * n, &mass);
    FPCourseMean(n, p + (size_t)k * n, S, error[k] / mass, &mean, &bound);
    PetscCall(FPQuantitiesAdd(q, mean, bound, "1/time", "sharpness[t=%s]", s->course.times.value[k]));
  }
  PetscCall(PetscFree3(p, error, S));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Sharpness(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const Sharpness *s      = (const Sharpness *)obs->data;
  const char      *reason = NULL, *name;
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  PetscReal       *law, missing;
  PetscInt         n;
  FPProcess        process;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc1(n, &law));
  PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  if (!s->known)
    reason = REASON;
  else if (missing >= FP_COURSE_MISSING)
    reason = FP_COURSE_NOWHERE;
  else
    PetscCall(AddTimes(s, gen, law, q));
  if (reason && finest)
    PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(gen), obs->name, "sharpness",
                                 "unsupported", reason));
  PetscCall(PetscFree(law));
  PetscFunctionReturn(0);
}

/* Accumulator: count and sum of S per time. */
static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Sharpness *s = (const Sharpness *)context;
  double          *S = scratch, *room = scratch + FP_BLOCK;
  PetscInt         first, due         = FPCourseDue(&s->course, move->step, s->dt, &first);

  for (PetscInt k = first; k < first + due; k++) {
    const PetscReal f = FPCourseFraction(s->course.t[k], move->step, s->dt);

    acc[2 * k] += FP_BLOCK;
    for (int side = 0; side < 2; side++) {
      const PetscReal weight = side ? f : 1 - f;

      if (weight == 0) continue;
      Evaluate(s, FP_BLOCK, side ? move->after : move->before, room, S);
      for (PetscInt l = 0; l < FP_BLOCK; l++) acc[2 * k + 1] += weight * S[l];
    }
  }
}

static PetscErrorCode Begin_Sharpness(FPObservable obs, PETSC_UNUSED FPProcess process, PetscReal dt,
                                      const FPParticleOptions *options, FPObserver *observer, FPEnsemble *ensemble,
                                      PetscBool *used)
{
  Sharpness *s = (Sharpness *)obs->data;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  *used = s->known;
  if (!s->known) PetscFunctionReturn(0);
  s->dt                 = dt;
  observer->accumulator = 2 * (size_t)s->course.times.n;
  observer->scratch     = FP_BLOCK + Room(s, FP_BLOCK);
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  ensemble->own         = PETSC_TRUE;
  ensemble->duration    = s->course.t[s->course.times.n - 1];
  PetscCall(FPCoursePoints(&s->course, s->model, obs->scene.mesh, options, &ensemble->start));
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Sharpness(FPObservable obs, const double sums[], FPQuantities *q)
{
  const Sharpness *s = (const Sharpness *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->course.times.n; k++)
    PetscCall(
        FPQuantitiesAdd(q, sums[2 * k + 1] / sums[2 * k], 0, "1/time", "sharpness[t=%s]", s->course.times.value[k]));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Sharpness(FPObservable obs)
{
  Sharpness *s = (Sharpness *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPModelDestroy(&s->full));
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

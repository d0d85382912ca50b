/* mixing.c: how fast a law forgets its start, by the distance in total variation, TV = 1/2 int abs(p_t - stationary).
     tv from the given start, tv_worst the largest over a list of starts: every critical point in the box, and the two
     points where the slowest mode is most extreme, which are the worst starts once all faster modes are gone.
     mixing_time: when tv comes down to 1/4; mixing_time_worst: the later one of those two points. relaxation_time =
   1/gap. spectral_bound = relaxation_time ln 2 <= mixing time of the worst of all starts, since TV >= exp(-gap t)/2
   there. Particles: half of every block starts at the start, the other half from a stationary law (a generator's where
   there is one) and is the reference after the burn-in; both are counted in wide bins (16, 8 x 8, 6 x 6 x 6):
   tv_binned, which the generator gives too: the mean of the plain and the split estimate (variation.h), half their
   difference being a doubt that enters the error. */
#include "course.h"
#include "variation.h"
#include <gsl/gsl_rng.h>

#define STARTS 10    /* of the list, at most */
#define UNSTEADY 0.6 /* differences of laws change sign elsewhere in the cells of every grid */
#define SAMPLING 4   /* SGD steps between samples of the reference */
#define HALF (FP_BLOCK / 2)

typedef struct {
  FPCourse     course;
  FPModel      model;
  FPProcess    process;
  FPBox        box;
  FPBins       wide;
  PetscInt     dim, every;
  PetscReal    dt, settled; /* settled: time after which the reference is sampled */
  PetscInt     laws;        /* processes with a generator's law */
  FPProcess   *owner;
  PetscReal  **reference; /* [laws]: points of that law, [count*dim] */
  signed char *sign;      /* [times][wide.total][3] of both halves together, the first, the second; by all particles */
  FPProcess    searched;  /* whose slowest mode is most extreme there */
  PetscReal    extreme[2][3];
  PetscInt     turn; /* evaluations of one simulation so far: all groups, then without each of them */
} Mixing;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_START, FP_COURSE_SPREAD, {0}};

static PetscErrorCode SetUp(FPObservable obs)
{
  Mixing      *s = (Mixing *)obs->data;
  const FPBox *box;

  PetscFunctionBegin;
  s->model = obs->scene.model;
  PetscCall(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
  if (!obs->scene.mesh) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  s->box = *box;
  FPBinsWiden(&obs->scene.bins, &s->wide);
  PetscFunctionReturn(0);
}

/* Of laws on a few bins. */
static PetscReal BinnedVariation(PetscInt n, const PetscReal p[], const PetscReal q[])
{
  PetscReal sum = 0, tv = 0;

  for (PetscInt k = 0; k < n; k++) sum += p[k];
  for (PetscInt k = 0; k < n; k++) tv += 0.5 * PetscAbsReal(p[k] / sum - q[k]);
  return tv;
}

/* Where f is extreme near its most extreme unknown k, by a parabola along each axis; at a wall of the box, at the wall.
 */
static void ExtremePoint(const Mixing *s, const FPGround *ground, FPMesh mesh, const PetscReal f[], PetscInt k,
                         PetscReal point[])
{
  PetscInt rest = ground->node[k], stride = 1;

  for (PetscInt a = 0; a < s->dim; a++) {
    const PetscInt cells = ground->cells[a], i = rest % cells;
    const PetscInt low  = i > 0 ? ground->unknown[ground->node[k] - stride] : -1,
                   high = i < cells - 1 ? ground->unknown[ground->node[k] + stride] : -1;
    PetscReal shift     = 0, slope;

    if (low >= 0 && high >= 0) {
      const PetscReal bend = f[low] - 2 * f[k] + f[high];

      if (bend != 0) shift = PetscClipInterval((f[low] - f[high]) / (2 * bend), -0.5, 0.5);
    } else if (i == 0 || i == cells - 1) {
      shift = i == 0 ? -0.5 : 0.5;
    }
    FPMeshMap(mesh, a, (i + 0.5 + shift) / cells, &point[a], &slope);
    stride *= cells;
    rest /= cells;
  }
}

/* The slowest mode of a generator; of a conjugate pair, whose phase is arbitrary, its real part with the phase such
   that it is largest where the modulus is. */
static PetscErrorCode SlowestMode(FPGenerator gen, PetscInt n, PetscReal f[])
{
  const PetscReal *real, *imaginary, *frequency;
  PetscInt         modes, top = 0;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(gen, &modes, NULL, &frequency, NULL));
  PetscCall(FPGeneratorGetMode(gen, 1, &real, NULL));
  PetscCall(PetscArraycpy(f, real, n));
  if (frequency[1] == 0 || modes < 3 || frequency[2] != frequency[1]) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetMode(gen, 2, &imaginary, NULL));
  for (PetscInt k = 1; k < n; k++)
    if (hypot(real[k], imaginary[k]) > hypot(real[top], imaginary[top])) top = k;
  for (PetscInt k = 0; k < n; k++) f[k] = real[k] * real[top] + imaginary[k] * imaginary[top];
  PetscFunctionReturn(0);
}

/* The two points where the slowest mode is most extreme, from the first, coarsest grid of the process: the same on all
   grids, so that what starts there converges. */
static PetscErrorCode FindExtremes(Mixing *s, FPGenerator gen, const FPGround *ground)
{
  PetscReal *f;
  FPProcess  process;
  FPMesh     mesh;
  PetscInt   level, cell[2] = {0, 0};

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  if (process == s->searched) PetscFunctionReturn(0);
  s->searched = process;
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, NULL));
  PetscCall(PetscMalloc1(ground->n, &f));
  PetscCall(SlowestMode(gen, ground->n, f));
  for (PetscInt k = 1; k < ground->n; k++) {
    if (f[k] > f[cell[0]]) cell[0] = k;
    if (f[k] < f[cell[1]]) cell[1] = k;
  }
  for (PetscInt c = 0; c < 2; c++) ExtremePoint(s, ground, mesh, f, cell[c], s->extreme[c]);
  PetscCall(PetscFree(f));
  PetscFunctionReturn(0);
}

/* The list of worst starts: those two points first, then the critical points in the box. */
static PetscErrorCode Starts(const Mixing *s, PetscInt *count, const PetscReal *start[STARTS])
{
  const FPCriticalPoint *points;
  PetscInt               known;

  PetscFunctionBegin;
  start[0] = s->extreme[0];
  start[1] = s->extreme[1];
  *count   = 2;
  PetscCall(FPModelGetCriticalPoints(s->model, &known, &points));
  for (PetscInt c = 0; c < known && *count < STARTS; c++) {
    PetscBool inside = PETSC_TRUE;

    for (PetscInt a = 0; a < s->dim; a++)
      inside = (PetscBool)(inside && points[c].z[a] > s->box.lower[a] && points[c].z[a] < s->box.upper[a]);
    if (inside) start[(*count)++] = points[c].z;
  }
  PetscFunctionReturn(0);
}

/* All of it at the point, as FPCourseLaw() puts it on the cells, or in the nearest cell where that finds no unknowns.
 */
static PetscErrorCode PointLaw(const Mixing *s, FPGenerator gen, const PetscReal point[], PetscReal law[])
{
  const PetscReal *z;
  PetscReal        missing, least = PETSC_MAX_REAL;
  PetscInt         n, nearest     = 0;
  FPCourse         course = s->course;

  PetscFunctionBegin;
  course.spread = 0;
  PetscCall(PetscArraycpy(course.z, point, s->dim));
  PetscCall(FPCourseLaw(&course, gen, law, &missing));
  if (missing < 1 - FP_COURSE_MISSING) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  for (PetscInt k = 0; k < n; k++) {
    PetscReal distance = 0;

    for (PetscInt a = 0; a < s->dim; a++)
      distance += PetscSqr((z[a * n + k] - point[a]) / (s->box.upper[a] - s->box.lower[a]));
    law[k] = 0;
    if (distance >= least) continue;
    least   = distance;
    nearest = k;
  }
  law[nearest] = 1;
  PetscFunctionReturn(0);
}

/* tv_worst and mixing_time_worst. */
static PetscErrorCode AddWorst(Mixing *s, FPGenerator gen, FPGenerator mover, const FPGround *ground, PetscReal scale,
                               FPQuantities *q)
{
  const PetscInt   times = s->course.times.n, first = q->n;
  PetscReal       *p, *law, *worst, *solver, latest = 0, latest_error = 0;
  const PetscReal *start[STARTS];
  PetscInt         n, starts;
  PetscBool        found = PETSC_TRUE;

  PetscFunctionBegin;
  n = ground->n;
  PetscCall(FindExtremes(s, gen, ground));
  PetscCall(Starts(s, &starts, start));
  PetscCall(PetscMalloc2((size_t)times * n, &p, times, &solver));
  PetscCall(PetscCalloc2(n, &law, 2 * times, &worst));
  for (PetscInt c = 0; c < starts; c++) {
    PetscReal time = 0, error = 0;

    PetscCall(PointLaw(s, gen, start[c], law));
    PetscCall(FPGeneratorEvolve(mover, PETSC_FALSE, law, times, s->course.t, p, solver));
    for (PetscInt k = 0; k < times; k++) {
      worst[k]         = PetscMax(worst[k], FPGroundVariation(ground, p + (size_t)k * n));
      worst[times + k] = PetscMax(worst[times + k], solver[k]);
    }
    if (c < 2) PetscCall(FPGroundTime(mover, ground, law, scale, &time, &error));
    found        = (PetscBool)(found && time >= 0);
    latest       = PetscMax(latest, time);
    latest_error = PetscMax(latest_error, error);
  }
  for (PetscInt k = 0; k < times; k++)
    PetscCall(FPQuantitiesAdd(q, worst[k], worst[times + k] + 1e-13, "1", "tv_worst[t=%s]", s->course.times.value[k]));
  FPQuantitiesSetSmoothness(q, first, FP_ROUGH, UNSTEADY);
  if (found) {
    PetscCall(FPQuantitiesAdd(q, latest, latest_error, "time", "mixing_time_worst"));
    FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, UNSTEADY);
  }
  PetscCall(PetscFree2(p, solver));
  PetscCall(PetscFree2(law, worst));
  PetscFunctionReturn(0);
}

/* tv, tv_binned and mixing_time from the start. */
static PetscErrorCode AddStart(const Mixing *s, FPGenerator gen, FPGenerator mover, const FPGround *ground,
                               const PetscReal law[], PetscReal scale, FPQuantities *q)
{
  const PetscInt times = s->course.times.n, first = q->n;
  PetscReal     *p, *solver, *binned, *binned_pi, time, error;
  PetscInt       n;

  PetscFunctionBegin;
  n = ground->n;
  PetscCall(PetscMalloc4((size_t)times * n, &p, times, &solver, s->wide.total, &binned, s->wide.total, &binned_pi));
  PetscCall(FPGeneratorEvolve(mover, PETSC_FALSE, law, times, s->course.t, p, solver));
  PetscCall(FPBinsAggregate(&s->wide, gen, 1, ground->pi, binned_pi));
  for (PetscInt k = 0; k < times; k++) {
    const char *t = s->course.times.value[k];

    PetscCall(FPQuantitiesAdd(q, FPGroundVariation(ground, p + (size_t)k * n), solver[k] + 1e-13, "1", "tv[t=%s]", t));
    if (s->course.t[k] == 0) continue; /* a point may lie on the edge of a bin */
    PetscCall(FPBinsAggregate(&s->wide, gen, 1, p + (size_t)k * n, binned));
    PetscCall(FPQuantitiesAdd(q, BinnedVariation(s->wide.total, binned, binned_pi), solver[k] + 1e-13, "1",
                              "tv_binned[t=%s]", t));
  }
  PetscCall(FPGroundTime(mover, ground, law, scale, &time, &error));
  FPQuantitiesSetSmoothness(q, first, FP_ROUGH, UNSTEADY);
  if (time >= 0) {
    PetscCall(FPQuantitiesAdd(q, time, error, "time", "mixing_time"));
    FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, UNSTEADY);
  }
  PetscCall(PetscFree4(p, solver, binned, binned_pi));
  PetscFunctionReturn(0);
}

/* Points of the stationary law for the particles of a process. */
static PetscErrorCode KeepReference(FPObservable obs, FPGenerator gen, const PetscReal pi[])
{
  Mixing    *s = (Mixing *)obs->data;
  PetscReal *points;
  PetscInt   dim, count;

  PetscFunctionBegin;
  PetscCall(FPParticlesCount(&obs->scene.particles, &count));
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(PetscMalloc1((size_t)count * dim, &points));
  PetscCall(FPGeneratorDraw(gen, pi, count, obs->scene.particles.seed + 2, points));
  PetscCall(PetscRealloc((size_t)(s->laws + 1) * sizeof(FPProcess), &s->owner));
  PetscCall(PetscRealloc((size_t)(s->laws + 1) * sizeof(PetscReal *), &s->reference));
  PetscCall(FPGeneratorGetProcess(gen, &s->owner[s->laws]));
  s->reference[s->laws++] = points;
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Mixing(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Mixing          *s = (Mixing *)obs->data;
  FPGenerator      mover;
  FPGeneratorInfo  info;
  FPGround         ground;
  const PetscReal *pi, *rate, *residual;
  PetscReal       *law, missing, gap;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetModes(gen, NULL, &rate, NULL, &residual));
  PetscCall(FPGeneratorStationary(gen, &pi));
  if (finest && obs->scene.use_particles) PetscCall(KeepReference(obs, gen, pi));
  gap = rate[1] - rate[0];
  PetscCall(PetscMalloc1(info.unknowns, &law));
  PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  if (gap <= 1e-13 * info.largest_rate) {
    if (finest)
      PetscCall(FPObservableMissingOn(obs, gen, "mixing_time", "unresolved",
                                      "the gap is zero to rounding: no start mixes in any time that could be told"));
  } else {
    PetscCall(FPCourseMover(gen, &mover));
    PetscCall(FPGroundCreate(gen, &ground));
    PetscCall(FPQuantitiesAdd(q, 1 / gap, (residual[0] + residual[1]) / PetscSqr(gap), "time", "relaxation_time"));
    PetscCall(FPQuantitiesAdd(q, log(0.5 / FP_MIXED) / gap,
                              log(0.5 / FP_MIXED) * (residual[0] + residual[1]) / PetscSqr(gap), "time",
                              "spectral_bound"));
    if (missing < FP_COURSE_MISSING)
      PetscCall(AddStart(s, gen, mover ? mover : gen, &ground, law, 1 / gap, q));
    else if (finest)
      PetscCall(FPObservableMissingOn(obs, gen, "mixing_time", "unsupported", FP_COURSE_NOWHERE));
    PetscCall(AddWorst(s, gen, mover ? mover : gen, &ground, 1 / gap, q));
    PetscCall(PetscFree(ground.d));
    PetscCall(FPGeneratorDestroy(&mover));
  }
  PetscCall(PetscFree(law));
  PetscFunctionReturn(0);
}

/* Accumulator of each half of the particles: count and bins of the reference, then of every time. */
static size_t PerLaw(const Mixing *s)
{
  return (size_t)(1 + s->wide.total);
}

static void Count(const Mixing *s, const double *z, PetscInt from, double weight, double *acc)
{
  acc[0] += weight * HALF;
  for (PetscInt l = from; l < from + HALF; l++) acc[1 + FPBinsIndex(&s->wide, z + l, FP_BLOCK)] += weight;
}

static void Sample(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const Mixing  *s       = (const Mixing *)context;
  const size_t   law     = PerLaw(s);
  double        *own     = acc + (move->first / FP_BLOCK % 2 ? law * (size_t)(s->course.times.n + 1) : 0);
  const PetscInt sampled = (PetscInt)(move->step % s->every);
  PetscInt       first, due = FPCourseDue(&s->course, move->step, s->dt, &first);

  if (sampled == 0 && (PetscReal)move->step * s->dt > s->settled) Count(s, move->after, HALF, 1, own);
  for (PetscInt k = first; k < first + due; k++) {
    const PetscReal f = FPCourseFraction(s->course.t[k], move->step, s->dt);

    if (f < 1) Count(s, move->before, 0, 1 - f, own + law * (size_t)(k + 1));
    if (f > 0) Count(s, move->after, 0, f, own + law * (size_t)(k + 1));
  }
}

/* Second half of every block: from the process's own stationary law, that of another one, or all over the box. */
static PetscErrorCode PlaceReference(const Mixing *s, FPProcess process, const FPParticleOptions *options,
                                     PetscReal start[])
{
  const PetscReal *points = s->laws ? s->reference[0] : NULL;
  PetscInt         count;
  gsl_rng         *rng = gsl_rng_alloc(gsl_rng_mt19937);

  PetscFunctionBegin;
  gsl_rng_set(rng, (unsigned long)options->seed + 3);
  PetscCall(FPParticlesCount(options, &count));
  for (PetscInt p = 0; p < s->laws; p++)
    if (s->owner[p] == process) points = s->reference[p];
  for (PetscInt k = 0; k < count; k++)
    for (PetscInt a = 0; a < s->dim && k % FP_BLOCK >= HALF; a++)
      start[k * s->dim + a] = points ? points[k * s->dim + a]
                                     : s->box.lower[a] + (s->box.upper[a] - s->box.lower[a]) * gsl_rng_uniform(rng);
  gsl_rng_free(rng);
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Mixing(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                                   FPObserver *observer, FPEnsemble *ensemble, PetscBool *used)
{
  Mixing    *s = (Mixing *)obs->data;
  FPTraining training;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPProcessGetTraining(process, &training));
  s->process            = process;
  s->turn               = 0;
  s->dt                 = dt;
  s->every              = FPStepsOf(SAMPLING * training.learning_rate, dt);
  s->settled            = options->burn_in * training.learning_rate;
  observer->accumulator = 2 * PerLaw(s) * (size_t)(s->course.times.n + 1);
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  PetscCall(FPCourseEnsemble(&s->course, &obs->scene, options, ensemble));
  ensemble->duration =
      PetscMax(ensemble->duration, (options->burn_in + PetscMax(options->steps, SAMPLING)) * training.learning_rate);
  PetscCall(PlaceReference(s, process, options, ensemble->start));
  *used = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Signs of all particles together stand for those of all but one group, variation.h. */
static PetscErrorCode Evaluate_Mixing(FPObservable obs, const double sums[], FPQuantities *q)
{
  Mixing         *s   = (Mixing *)obs->data;
  const size_t    law = PerLaw(s), half = law * (size_t)(s->course.times.n + 1);
  const PetscBool all = (PetscBool)(s->turn++ % (1 + FP_GROUPS) == 0);

  PetscFunctionBegin;
  if (!s->sign) PetscCall(PetscMalloc1(3 * s->course.times.n * s->wide.total, &s->sign));
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const char *t     = s->course.times.value[k];
    PetscReal   plain = 0, split = 0;

    if (s->course.t[k] == 0) continue;
    for (PetscInt b = 0; b < s->wide.total; b++) {
      PetscReal d[2];

      for (PetscInt h = 0; h < 2; h++) {
        const double *reference = sums + (size_t)h * half, *own = reference + law * (size_t)(k + 1);

        d[h] = own[1 + b] / own[0] - reference[1 + b] / reference[0];
      }
      FPVariationAdd(d, all, s->sign + 3 * (k * s->wide.total + b), &plain, &split);
    }
    PetscCall(FPQuantitiesAdd(q, (plain + split) / 2, 0, "1", "tv_binned[t=%s]", t));
    PetscCall(FPQuantitiesAdd(q, (plain - split) / 2, 0, "1", "~tv_binned[t=%s]", t));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Fields_Mixing(FPObservable obs, PETSC_UNUSED const double sums[])
{
  PetscFunctionBegin;
  PetscCall(FPObservableMissing(obs, ((Mixing *)obs->data)->process, "particles", "mixing_time", "unsupported",
                                "particles are counted at the times asked for only: see tv_binned"));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Mixing(FPObservable obs)
{
  Mixing *s = (Mixing *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->laws; k++) PetscCall(PetscFree(s->reference[k]));
  PetscCall(PetscFree(s->reference));
  PetscCall(PetscFree(s->owner));
  PetscCall(PetscFree(s->sign));
  PetscCall(FPCourseDestroy(&s->course));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Mixing(FPObservable obs)
{
  Mixing *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = FPCourseReadStarted,
                                      .generator = Generator_Mixing,
                                      .begin     = Begin_Mixing,
                                      .evaluate  = Evaluate_Mixing,
                                      .fields    = Fields_Mixing,
                                      .destroy   = Destroy_Mixing};
  PetscFunctionReturn(0);
}

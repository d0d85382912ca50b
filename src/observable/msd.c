/* msd.c: mean squared displacement E abs(z_t - z_0)^2 in the coordinates, from a given start or, without one, in the
   stationary law; exponent: slope of the straight line fitted to ln msd over ln t (times beyond 0; at least two), 1 for
   free diffusion, 2 for a straight run, less where the process is confined, on any clock; exponent_misfit: root mean
   square of what the line leaves of ln msd, negative where the curve bends down, so that noise about no misfit has no
   kink.
   Generator: with u = exp(t Q) z and v = exp(t Q) abs(z)^2, E abs(z_t - z_0)^2 = sum p_0 (v - 2 z . u + abs(z)^2).
   Particles: displacement from where they are at the start, or, in the stationary law, at one origin after the other;
   under a fractional clock, which ages, from where they are at the time `age` after it started. */
#include "course.h"
#include <math.h>

typedef struct {
  FPCourse  course;
  FPModel   model;
  FPProcess process;
  PetscInt  dim, steps; /* steps from one origin to the next */
  PetscReal dt;
  FPCourse  aged; /* t: the times asked for, from when a fractional clock started */
} Msd;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_START, FP_COURSE_SPREAD, FP_COURSE_AGE, {0}};

static PetscErrorCode Read_Msd(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  Msd *s = (Msd *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPCourseRead(&s->course, obs->name, config, model, mesh, PETSC_FALSE, wanted));
  FPInputCheck(!wanted || s->course.t[s->course.times.n - 1] > 0,
               "msd_times: 0 alone says nothing; a time beyond 0 is accepted");
  FPInputCheck(!s->course.started || s->course.age == 0,
               "msd_age is %g, and msd_start is given: only in the stationary law, without a start, is an age accepted",
               (double)s->course.age);
  PetscFunctionReturn(0);
}

/* msd[times] with errors (NULL: none) -> rows */
static PetscErrorCode AddRows(const Msd *s, const PetscReal msd[], const PetscReal error[], FPQuantities *q)
{
  PetscReal sum = 0, x = 0, y = 0, xx = 0, xy = 0, doubt = 0, misfit = 0, bend = 0, slope;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const PetscReal t = s->course.t[k], e = error ? error[k] : 0;

    PetscCall(FPQuantitiesAdd(q, msd[k], e, "weight^2", "msd[t=%s]", s->course.times.value[k]));
    if (t == 0) continue;
    sum += 1;
    x += log(t);
    y += log(msd[k]);
    xx += PetscSqr(log(t));
    xy += log(t) * log(msd[k]);
    doubt = PetscMax(doubt, e / msd[k]);
  }
  if (sum < 2) PetscFunctionReturn(0);
  xx -= x * x / sum;
  slope = (xy - x * y / sum) / xx;
  for (PetscInt k = 0; k < s->course.times.n; k++)
    if (s->course.t[k] > 0) {
      const PetscReal from = log(s->course.t[k]) - x / sum, left = log(msd[k]) - y / sum - slope * from;

      misfit += PetscSqr(left) / sum;
      bend += left * PetscSqr(from);
    }
  PetscCall(FPQuantitiesAdd(q, slope, doubt * PetscSqrtReal(sum / xx), "1", "exponent"));
  PetscCall(FPQuantitiesAdd(q, copysign(PetscSqrtReal(misfit), bend), doubt, "1", "exponent_misfit"));
  PetscFunctionReturn(0);
}

/* msd[times], error[times] += the part of one function: coordinate i, or abs(z)^2 for i = dim. */
static PetscErrorCode AddPart(const Msd *s, FPGenerator mover, PetscInt n, PetscInt i, const PetscReal z[],
                              const PetscReal square[], const PetscReal law[], PetscReal msd[], PetscReal error[])
{
  const PetscInt   times = s->course.times.n;
  const PetscReal *f     = i < s->dim ? z + (size_t)i * n : square;
  PetscReal       *u, *solver, *age;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3((size_t)times * n, &u, times, &solver, times, &age));
  for (PetscInt t = 0; t < times; t++) age[t] = s->course.age;
  PetscCall(FPGeneratorEvolveAged(mover, PETSC_TRUE, f, times, age, s->course.t, u, solver));
  for (PetscInt t = 0; t < times; t++) {
    PetscReal sum = 0, size = 0;

    for (PetscInt k = 0; k < n; k++) {
      sum += law[k] * (i < s->dim ? -2 * f[k] : 1) * u[(size_t)t * n + k];
      size += law[k] * (i < s->dim ? 2 * PetscAbsReal(f[k]) : 1);
    }
    msd[t] += sum;
    error[t] += size * solver[t];
  }
  PetscCall(PetscFree3(u, solver, age));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Msd(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Msd             *s     = (Msd *)obs->data;
  FPGenerator      mover = NULL; /* in the stationary law slow modes matter, which gen knows best */
  const PetscInt   times = s->course.times.n;
  const PetscReal *z, *pi;
  PetscReal       *law, *square, *msd, *error, missing = 0;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(PetscCalloc4(n, &law, n, &square, times, &msd, times, &error));
  if (s->course.started)
    PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  else
    PetscCall(PetscArraycpy(law, pi, n));
  if (missing < FP_COURSE_MISSING) {
    PetscReal second = 0;

    for (PetscInt i = 0; i < s->dim; i++)
      for (PetscInt k = 0; k < n; k++) square[k] += PetscSqr(z[i * n + k]);
    for (PetscInt k = 0; k < n; k++) second += law[k] * square[k];
    for (PetscInt t = 0; t < times; t++) {
      msd[t]   = second;
      error[t] = 1e-13 * second;
    }
    if (s->course.started) PetscCall(FPCourseMover(gen, &mover));
    for (PetscInt i = 0; i <= s->dim; i++) PetscCall(AddPart(s, mover ? mover : gen, n, i, z, square, law, msd, error));
    PetscCall(FPGeneratorDestroy(&mover));
    PetscCall(AddRows(s, msd, error, q));
  } else if (finest)
    PetscCall(FPObservableMissingOn(obs, gen, "exponent", "unsupported", FP_COURSE_NOWHERE));
  PetscCall(PetscFree4(law, square, msd, error));
  PetscFunctionReturn(0);
}

/* Scratch: origin z[dim][FP_BLOCK]. Accumulator: count and sum of squares of each time. */
static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Msd       *s    = (const Msd *)context;
  const PetscInt64 step = s->course.started ? move->step : (move->step - 1) % s->steps + 1;
  PetscInt         first, due = FPCourseDue(&s->course, step, s->dt, &first);

  if (step == 1) memcpy(scratch, move->before, (size_t)(s->dim * FP_BLOCK) * sizeof(double));
  for (PetscInt k = first; k < first + due; k++) {
    const double f = FPCourseFraction(s->course.t[k], step, s->dt);

    acc[2 * k] += FP_BLOCK;
    for (PetscInt j = 0; j < s->dim * FP_BLOCK; j++) {
      const double before = move->before[j] - scratch[j], after = move->after[j] - scratch[j];

      acc[2 * k + 1] += (1 - f) * before * before + f * after * after;
    }
  }
}

/* From the age on; z at the age, then the displacement, [2][dim][FP_BLOCK]. */
static void SampleAged(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Msd     *s    = (const Msd *)context;
  const PetscInt rows = s->dim * FP_BLOCK;
  double        *now  = scratch + rows;
  PetscInt       first, due = FPCourseDue(&s->aged, move->step, s->dt, &first);

  for (PetscInt i = first; i < first + due; i++) {
    FPCoursePick(s->dim, FPCourseFraction(s->aged.t[i], move->step, s->dt), move->before, move->after, now);
    if (i == 0) memcpy(scratch, now, (size_t)rows * sizeof(double));
    if (i == 0) continue;
    acc[2 * i - 2] += FP_BLOCK;
    for (PetscInt j = 0; j < rows; j++) acc[2 * i - 1] += PetscSqr(now[j] - scratch[j]);
  }
}

static PetscErrorCode SetAged(Msd *s)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(s->aged.t));
  PetscCall(PetscMalloc1(1 + s->course.times.n, &s->aged.t));
  s->aged.times.n = 1 + s->course.times.n;
  s->aged.t[0]    = s->course.age;
  for (PetscInt k = 0; k < s->course.times.n; k++) s->aged.t[1 + k] = s->course.age + s->course.t[k];
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Msd(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                                FPObserver *observer, FPEnsemble *ensemble, PetscBool *used)
{
  Msd            *s    = (Msd *)obs->data;
  const PetscReal last = s->course.t[s->course.times.n - 1];
  PetscReal       beta;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, NULL, NULL));
  s->process = process;
  s->dt      = dt;
  s->steps   = PetscMax(1, (PetscInt)PetscCeilReal(last / dt - 1e-6));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  observer->accumulator = 2 * (size_t)s->course.times.n;
  observer->scratch     = (size_t)(s->dim * FP_BLOCK);
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  if (beta < 1 && !s->course.started) {
    PetscCall(SetAged(s));
    observer->scratch = 2 * (size_t)(s->dim * FP_BLOCK);
    observer->sample  = SampleAged;
  }
  if (s->course.started) PetscCall(FPCourseEnsemble(&s->course, &obs->scene, options, ensemble));
  *used = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Times beyond the run have no pairs: not a number, which the run reports as too short. */
static PetscErrorCode Evaluate_Msd(FPObservable obs, const double sums[], FPQuantities *q)
{
  const Msd *s = (const Msd *)obs->data;
  PetscReal *msd;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(s->course.times.n, &msd));
  for (PetscInt k = 0; k < s->course.times.n; k++) msd[k] = sums[2 * k + 1] / sums[2 * k];
  PetscCall(AddRows(s, msd, NULL, q));
  PetscCall(PetscFree(msd));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Msd(FPObservable obs)
{
  Msd *s = (Msd *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPCourseDestroy(&s->aged));
  PetscCall(FPCourseDestroy(&s->course));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Msd(FPObservable obs)
{
  Msd *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = Read_Msd,
                                      .generator = Generator_Msd,
                                      .begin     = Begin_Msd,
                                      .evaluate  = Evaluate_Msd,
                                      .destroy   = Destroy_Msd};
  PetscFunctionReturn(0);
}

/* exit_survival.c: survival exp(t Q) 1 from the generator Q of the killed process, at the start, and the time by which
   half has left. Of rare exits the slowest mode, of rate k' and weight c at the start in the chain that moves, is given
   the rate k of the better one: c exp(-k' t) becomes c exp(-k t). */
#include "exitgenerator.h"
#include "fpspecial.h"
#include <gsl/gsl_spline.h>
#include <math.h>

#define SECTIONS 16 /* of steps, among which the median of a discrete algorithm lies */
#define STEPS 48    /* times at which the survival curve is known for its median */
#define SLOWEST 30  /* of them under a fractional clock, in the mean of its own time, and their spacing in ln */
#define SLOW_STEP 0.17

/* Time by which half has left: where the survival curve at every `stride`-th of times[0..STEPS] crosses 1/2, by a cubic
   spline over t^beta. */
static PetscReal Median(PetscInt stride, PetscReal beta, const PetscReal times[], const PetscReal curve[])
{
  const PetscInt    n      = STEPS / stride + 1;
  gsl_interp_accel *accel  = gsl_interp_accel_alloc();
  gsl_spline       *spline = gsl_spline_alloc(gsl_interp_cspline, (size_t)n);
  PetscReal         time[STEPS + 1], survival[STEPS + 1], low = 0, high;

  for (PetscInt k = 0; k < n; k++) {
    time[k]     = PetscPowReal(times[k * stride], beta);
    survival[k] = curve[k * stride];
  }
  high = time[n - 1];
  gsl_spline_init(spline, time, survival, (size_t)n);
  for (PetscInt k = 0; k < n; k++) {
    if (survival[k] < 0.5) {
      high = time[k];
      low  = k ? time[k - 1] : 0;
      break;
    }
  }
  for (int step = 0; step < 60; step++) {
    const PetscReal middle = (low + high) / 2;

    if (gsl_spline_eval(spline, middle, accel) > 0.5)
      low = middle;
    else
      high = middle;
  }
  gsl_spline_free(spline);
  gsl_interp_accel_free(accel);
  return PetscPowReal((low + high) / 2, 1 / beta);
}

/* What is left of a mode of that rate at time t. */
static PetscReal Relaxation(FPGenerator gen, PetscReal rate, PetscReal t)
{
  FPProcess process;
  PetscReal beta = 1, scale = 1;

  (void)FPGeneratorGetProcess(gen, &process);
  (void)FPProcessGetClock(process, &beta, &scale);
  return FPMittagLeffler(beta, scale * rate * PetscPowReal(t, beta));
}

/* The survival curve from the start at times[count]. */
static PetscErrorCode SurvivalAt(FPGenerator gen, const FPExitStencil *s, const FPExitSlowMode *slow, PetscInt count,
                                 const PetscReal times[], PetscReal survival[], PetscReal error[])
{
  PetscReal *one, *out;
  PetscInt   n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc2(n, &one, (size_t)n * (size_t)count, &out));
  for (PetscInt k = 0; k < n; k++) one[k] = 1;
  PetscCall(FPGeneratorEvolve(gen, PETSC_TRUE, one, count, times, out, error));
  for (PetscInt t = 0; t < count; t++)
    survival[t] = FPExitAt(s, out + (size_t)t * (size_t)n) +
                  slow->weight * (Relaxation(gen, slow->better, times[t]) - Relaxation(gen, slow->rate, times[t]));
  PetscCall(PetscFree2(one, out));
  PetscFunctionReturn(0);
}

/* median_time of a discrete algorithm, whose survival is linear between two steps: these are found by sections. */
static PetscErrorCode AddStepMedian(FPGenerator gen, const FPExitStencil *s, const FPExitSlowMode *slow, PetscReal step,
                                    PetscReal mean, FPQuantities *q)
{
  PetscReal low = 0, high = PetscCeilReal(2 * mean / step) + 1, above = 1, below = 0, wrong = 0;

  PetscFunctionBegin;
  while (high - low > 1) {
    PetscReal       time[SECTIONS], survival[SECTIONS], error[SECTIONS], from = low;
    const PetscInt  count = (PetscInt)PetscMin(SECTIONS, high - low - 1);
    const PetscReal each  = (high - low) / (count + 1);

    for (PetscInt k = 0; k < count; k++) time[k] = step * PetscFloorReal(from + (k + 1) * each);
    PetscCall(SurvivalAt(gen, s, slow, count, time, survival, error));
    for (PetscInt k = 0; k < count; k++) {
      const PetscReal at = PetscFloorReal(time[k] / step + 0.5);

      wrong = error[k];
      if (survival[k] <= 0.5) {
        high  = at;
        below = survival[k];
        break;
      }
      low   = at;
      above = survival[k];
    }
  }
  if (above > below)
    PetscCall(FPQuantitiesAdd(q, step * (low + (above - 0.5) / (above - below)), step * wrong / (above - below), "time",
                              "median_time"));
  PetscFunctionReturn(0);
}

/* survival[t=..] and median_time; mean: of the exit time */
PetscErrorCode FPExitAddSurvival(const FPExit *e, FPGenerator gen, const FPExitStencil *s, const FPExitSlowMode *slow,
                                 PetscReal mean, FPQuantities *q)
{
  PetscReal time[STEPS + 1], survival[STEPS + 1], error[STEPS + 1], median, spline, beta, scale, step;
  FPProcess process;

  PetscFunctionBegin;
  if (e->times.n > 0) {
    PetscReal *at, *wrong;

    PetscCall(PetscMalloc2(e->times.n, &at, e->times.n, &wrong));
    PetscCall(SurvivalAt(gen, s, slow, e->times.n, e->times.value, at, wrong));
    for (PetscInt k = 0; k < e->times.n; k++)
      PetscCall(FPQuantitiesAdd(q, at[k], wrong[k], "1", "survival[t=%g]", (double)e->times.value[k]));
    PetscCall(PetscFree2(at, wrong));
  }
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetClock(process, &beta, &scale));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) {
    PetscCall(AddStepMedian(gen, s, slow, step, mean, q));
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k <= STEPS; k++) /* by Markov's inequality the median is there */
    time[k] = beta == 1 ? 2 * mean * k / STEPS
                        : PetscPowReal(mean / scale * (k ? SLOWEST * exp(SLOW_STEP * (k - STEPS)) : 0), 1 / beta);
  PetscCall(SurvivalAt(gen, s, slow, STEPS + 1, time, survival, error));
  median = Median(1, beta, time, survival);
  spline = PetscAbsReal(Median(2, beta, time, survival) - median) / 8; /* of fourth order */
  for (PetscInt k = 1; k <= STEPS; k++)
    if (time[k] >= median) {
      const PetscReal slope = (survival[k - 1] - survival[k]) / (time[k] - time[k - 1]);

      PetscCall(FPQuantitiesAdd(q, median, (slope > 0 ? error[k] / slope : 0) + spline, "time", "median_time"));
      break;
    }
  PetscFunctionReturn(0);
}

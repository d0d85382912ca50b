/* clock.c: the fractional clock of particles. Every lane waits between two steps of its process for a stable time s of
   E exp(-q s) = exp(-dt q^beta/scale), so that the number of its steps by the time t, times dt, is the inverse of the
   subordinator up to dt. Of an SDE the first wait is for half a step, which leaves an error of second order there. */
#include "particlesimpl.h"
#include <math.h>

/* Wait for `steps` steps of the process, from now on. */
static void Wait(const FPStepper *s, FPWorkspace *ws, double steps, double *time)
{
  const double    factor = pow(steps * s->dt / s->scale, 1 / s->beta);
  const float    *normal;
  const unsigned *word;
  double          stable[FP_BLOCK];

  FPQueueNext(ws, &ws->ticks, &normal, &word);
  FPStablePositive(s->beta, word, stable);
  for (int l = 0; l < FP_BLOCK; l++) time[l] = factor * stable[l];
}

void FPClockStart(const FPStepper *s, FPWorkspace *ws)
{
  Wait(s, ws, s->sde ? 0.5 : 1, ws->next);
}

int FPClockAdvance(const FPStepper *s, FPWorkspace *ws, double time, const double *before, double *after)
{
  int crossings = 0;

  for (int k = 0; k < s->dim * FP_BLOCK; k++) after[k] = before[k];
  for (;;) {
    double wait[FP_BLOCK];
    int    due = 0, crossed;

    for (int l = 0; l < FP_BLOCK; l++) due += ws->next[l] <= time;
    if (!due) return crossings;
    crossed = FPStepperStep(s, ws, after, ws->tick);
    if (crossed < 0) return crossed;
    crossings += crossed;
    Wait(s, ws, 1, wait);
    for (int l = 0; l < FP_BLOCK; l++) {
      if (ws->next[l] > time) continue;
      ws->next[l] += wait[l];
      for (int i = 0; i < s->dim; i++) after[i * FP_BLOCK + l] = ws->tick[i * FP_BLOCK + l];
    }
  }
}

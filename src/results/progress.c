/* progress.c: how far a phase is, on stderr. On a terminal a bar with the time left, redrawn at most ten times a
   second; else one line when a phase begins and one when it ends. One phase at a time. */
#include "resultsimpl.h"
#include <time.h>
#include <unistd.h>

#define BAR_CELLS 30

static struct {
  char   label[FP_NAME];
  double total, begin, drawn; /* units of work; seconds */
  int    active, terminal;
} progress;

static double Now(void)
{
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void FPProgressPause(void)
{
  if (progress.active && progress.terminal) (void)fputs("\r\033[K", stderr);
}

static void Draw(double done, double now)
{
  const double fraction = (progress.total > 0.0) ? done / progress.total : 0.0;
  const double elapsed  = now - progress.begin;
  const int    full     = (int)(BAR_CELLS * (fraction < 0.0 ? 0.0 : fraction > 1.0 ? 1.0 : fraction));
  char         bar[BAR_CELLS + 1];

  for (int i = 0; i < BAR_CELLS; i++) bar[i] = (i < full) ? '#' : '.';
  bar[BAR_CELLS] = 0;
  (void)fprintf(stderr, "\r\033[K%s [%s] %3.0f %%", progress.label, bar, 100.0 * fraction);
  if (fraction > 0.0 && elapsed > 0.5) (void)fprintf(stderr, ", %.0f s left", elapsed * (1.0 / fraction - 1.0));
  (void)fflush(stderr);
}

void FPProgressBegin(const char label[], double total)
{
  (void)snprintf(progress.label, sizeof(progress.label), "%s", label);
  progress.total    = total;
  progress.begin    = Now();
  progress.drawn    = 0.0;
  progress.terminal = isatty(STDERR_FILENO);
  progress.active   = 1;
  if (progress.terminal)
    FPProgressUpdate(0.0);
  else
    (void)fprintf(stderr, "%s ...\n", progress.label);
}

void FPProgressUpdate(double done)
{
  const double now = Now();

  if (!progress.active || !progress.terminal || now - progress.drawn < 0.1) return;
  progress.drawn = now;
  Draw(done, now);
}

void FPProgressEnd(void)
{
  if (!progress.active) return;
  FPProgressPause();
  (void)fprintf(stderr, "%s: %.1f s\n", progress.label, Now() - progress.begin);
  progress.active = 0;
}

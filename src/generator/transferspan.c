/* transferspan.c: where a law without any normal variable lives. Batches of the rows of a file, without injected noise,
   are finitely many maps of the line; the smallest interval that none of them leaves is the hull of their attractor,
   and on it smooth functions are mapped to smooth functions, which polynomials of a high degree represent. What is
   assumed: the functions of interest are smooth. The law itself need have no density. */
#include "transfer.h"

#define SETTLE 4000 /* steps from the start to the attractor */
#define SAMPLES 33  /* of a map on the interval; its ends are refined between them */
#define GOLDEN 60
#define MOST_STEPS 20000
#define STILL 1e-15 /* growth in a step, of the length */

/* Ends of where one step from z leads */
static PetscErrorCode Image(FPStepLaw law, FPMixture *m, PetscReal z, PetscReal end[2])
{
  PetscFunctionBegin;
  PetscCall(FPStepLawAt(law, &z, m));
  end[0] = PETSC_MAX_REAL;
  end[1] = PETSC_MIN_REAL;
  for (PetscInt k = 0; k < m->n; k++) {
    end[0] = PetscMin(end[0], m->at[0][k]);
    end[1] = PetscMax(end[1], m->at[0][k]);
  }
  PetscFunctionReturn(0);
}

/* Least (side 0) or largest (side 1) image of [from, to], within which it is unimodal */
static PetscErrorCode Refine(FPStepLaw law, FPMixture *m, PetscInt side, PetscReal from, PetscReal to, PetscReal *best)
{
  const PetscReal ratio = (PetscSqrtReal(5) - 1) / 2;
  PetscReal       x[2], end[2][2];

  PetscFunctionBegin;
  for (PetscInt step = 0; step < GOLDEN; step++) {
    x[0] = to - ratio * (to - from);
    x[1] = from + ratio * (to - from);
    for (PetscInt k = 0; k < 2; k++) {
      PetscCall(Image(law, m, x[k], end[k]));
      *best = side ? PetscMax(*best, end[k][1]) : PetscMin(*best, end[k][0]);
    }
    if ((end[0][side] < end[1][side]) == (side == 0))
      to = x[1];
    else
      from = x[0];
  }
  PetscFunctionReturn(0);
}

/* The interval grows by its image. */
static PetscErrorCode Grow(FPStepLaw law, FPMixture *m, PetscReal interval[2])
{
  const PetscReal from = interval[0], length = interval[1] - interval[0];

  PetscFunctionBegin;
  for (PetscInt side = 0; side < 2; side++) {
    PetscReal end[2], best = interval[side];
    PetscInt  at = -1;

    for (PetscInt k = 0; k <= SAMPLES; k++) {
      PetscCall(Image(law, m, from + length * k / SAMPLES, end));
      if (side ? end[1] <= best : end[0] >= best) continue;
      best = end[side];
      at   = k;
    }
    if (at > 0 && at < SAMPLES)
      PetscCall(Refine(law, m, side, from + length * (at - 1) / SAMPLES, from + length * (at + 1) / SAMPLES, &best));
    interval[side] = best;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPStepLawInterval(FPStepLaw law, PetscReal start, const FPBox *box, PetscReal interval[2])
{
  FPMixture m      = {0};
  PetscReal growth = PETSC_MAX_REAL, before = 0, end[2];
  PetscBool inside = PETSC_TRUE;

  PetscFunctionBegin;
  for (PetscInt step = 0; step < SETTLE && inside; step++) {
    PetscCall(Image(law, &m, start, end));
    start  = m.at[0][step % m.n];
    inside = (PetscBool)(end[0] >= box->lower[0] && end[1] <= box->upper[0]);
  }
  interval[0] = interval[1] = start;
  for (PetscInt step = 0; step < MOST_STEPS && inside; step++) {
    const PetscReal old[2] = {interval[0], interval[1]};

    PetscCall(Grow(law, &m, interval));
    before = growth;
    growth = interval[1] - interval[0] - (old[1] - old[0]);
    inside = (PetscBool)(interval[0] >= box->lower[0] && interval[1] <= box->upper[0]);
    if (growth <= STILL * (interval[1] - interval[0]) && before < PETSC_MAX_REAL) break;
  }
  PetscCall(FPMixtureFree(&m));
  FPInputCheck(
      inside,
      "engine transfer: no interval inside mesh_lower = %g, mesh_upper = %g holds what finitely many maps, the "
      "rows of the data without injected noise, make of the minimum; accepted are a wider mesh, a lower "
      "learning rate, or training_temperature > 0",
      (double)box->lower[0], (double)box->upper[0]);
  FPInputCheck(interval[1] > interval[0],
               "engine transfer: all rows of the data lead to the point %g, which is the law", (double)interval[0]);
  PetscFunctionReturn(0);
}

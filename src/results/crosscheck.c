/* crosscheck.c: every pair of engines of one number, and every model against the reference process (SGD).
   z = difference/sqrt(error_a^2 + error_b^2), whichever kinds the errors are. A bound so enters as if it were a
   standard error; since the truth is within a bound for certain, this never makes a disagreement out of an agreement at
   a threshold of sqrt(2) or more. */
#include "resultsimpl.h"
#include <math.h>
#include <string.h>

static PetscBool SameQuantity(const FPRow *a, const FPRow *b)
{
  return (!strcmp(a->quantity, b->quantity) && !strcmp(a->observable, b->observable)) ? PETSC_TRUE : PETSC_FALSE;
}

static FPPair Compare(FPResults r, PetscInt a, PetscInt b)
{
  FPPair pair = {.a = a, .b = b};

  pair.difference = r->row[a].value - r->row[b].value;
  pair.error      = hypot(r->row[a].error, r->row[b].error);
  pair.z          = (pair.difference == 0.0) ? 0.0 : pair.difference / pair.error;
  pair.defined    = (pair.difference == 0.0 || (pair.error > 0.0 && isfinite(pair.z))) ? PETSC_TRUE : PETSC_FALSE;
  pair.agree      = (pair.defined && fabs(pair.z) <= r->threshold) ? PETSC_TRUE : PETSC_FALSE;
  return pair;
}

/* The row of (process, like's observable and quantity) with the smallest error, or -1. */
static PetscInt Sharpest(FPResults r, const char process[], const FPRow *like)
{
  PetscInt best = -1;

  for (PetscInt i = 0; i < r->rows; i++) {
    const FPRow *row = &r->row[i];

    if (row->status || !SameQuantity(row, like) || strcmp(row->process, process)) continue;
    if (best < 0 || row->error < r->row[best].error) best = i;
  }
  return best;
}

PetscErrorCode FPResultsCrossCheck(FPResults results, const char reference[], PetscReal threshold,
                                   PetscInt *disagreements)
{
  FPResults r = results;

  PetscFunctionBegin;
  PetscCheck(threshold > 0.0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "threshold %g is not positive",
             (double)threshold);
  PetscCall(FPResultsName(reference ? reference : "", r->reference));
  r->threshold   = threshold;
  r->pairs       = 0;
  r->comparisons = 0;
  *disagreements = 0;
  for (PetscInt a = 0; a < r->rows; a++) {
    if (r->row[a].status) continue;
    for (PetscInt b = a + 1; b < r->rows; b++) {
      if (r->row[b].status || !SameQuantity(&r->row[a], &r->row[b]) || strcmp(r->row[a].process, r->row[b].process))
        continue;
      PetscCall(FPReserve(r->pairs, r->pair_capacity, r->pair));
      r->pair[r->pairs] = Compare(r, a, b);
      if (!r->pair[r->pairs].agree) (*disagreements)++;
      r->pairs++;
    }
  }
  for (PetscInt a = 0; a < r->rows; a++) {
    PetscInt b;

    if (r->row[a].status || !strcmp(r->row[a].process, r->reference)) continue;
    if (Sharpest(r, r->row[a].process, &r->row[a]) != a) continue; /* one line for each process and quantity */
    b = Sharpest(r, r->reference, &r->row[a]);
    if (b < 0) continue;
    PetscCall(FPReserve(r->comparisons, r->comparison_capacity, r->comparison));
    r->comparison[r->comparisons++] = Compare(r, a, b);
  }
  PetscFunctionReturn(0);
}

/* currentimpl.h: what the files of the observable current share. */
#ifndef FPCURRENTIMPL_H
#define FPCURRENTIMPL_H
#include "course.h"
#include "steps.h"

#define FP_PATTERN_LEVELS 3 /* grids, at most */

typedef struct {
  /* the pattern: current on bins of one process, by grid level (told apart by cells) */
  char       pattern[FP_NAME];
  PetscInt   levels, cells[FP_PATTERN_LEVELS];
  PetscReal *J[FP_PATTERN_LEVELS], pattern_error; /* [dim*total] each */
  /* particles */
  FPProcess process;
  FPBins    bins, wide;
  PetscBool discrete, jumps;
  PetscInt  dim;
  PetscReal dt, centre[3];
} FPCurrent;

/* Accumulator: steps, rotation[pairs], then per bin what steps.h deposits; of a discrete algorithm then how many steps
   led from one wide bin to another. */
static inline PetscInt FPCurrentPairs(PetscInt d)
{
  return d * (d - 1) / 2;
}

static inline size_t FPCurrentTable(const FPCurrent *c)
{
  return (size_t)(1 + FPCurrentPairs(c->dim) + FPDepositSize(c->dim) * c->bins.total);
}

static inline PetscReal FPCurrentInner(PetscInt n, const PetscReal a[], const PetscReal b[])
{
  PetscReal sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += a[k] * b[k];
  return sum;
}

/* current_binned.c: p[total], J[d*total], Dp[d*d*total] from the sums, integrals over bins; and the entropy production
   that they show */
PETSC_INTERN void           FPCurrentBinnedLaw(const FPCurrent *c, const double sums[], PetscReal p[], PetscReal J[],
                                               PetscReal Dp[]);
PETSC_INTERN PetscErrorCode FPCurrentEntropy(PetscInt d, PetscInt total, const PetscReal p[], const PetscReal J[],
                                             const PetscReal Dp[], PetscReal *sigma);
/* current_particles.c */
PETSC_INTERN PetscErrorCode FPCurrentParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                                    const FPParticleOptions *options, FPObserver *observer,
                                                    FPEnsemble *ensemble, PetscBool *used);
PETSC_INTERN PetscErrorCode FPCurrentEvaluate(FPObservable obs, const double sums[], FPQuantities *q);
PETSC_INTERN PetscErrorCode FPCurrentFields(FPObservable obs, const double sums[]);
#endif

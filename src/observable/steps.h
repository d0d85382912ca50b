/* steps.h: steps on bins. */
#ifndef FPSTEPS_H
#define FPSTEPS_H
#include "observableimpl.h"

/* Per bin: weight, displacement[dim], second moments [dim(dim+1)/2]. */
static inline PetscInt FPDepositSize(PetscInt d)
{
  return 1 + d + d * (d + 1) / 2;
}

/* Add the share `part` of a step's displacement to a bin. */
static inline void FPDeposit(double *bin, PetscInt d, double part, const double *step)
{
  PetscInt at = 1 + d;

  bin[0] += part;
  for (PetscInt i = 0; i < d; i++) {
    bin[1 + i] += part * step[i];
    for (PetscInt j = i; j < d; j++) bin[at++] += part * step[i] * step[j];
  }
}

/* A segment of the given weight, uniformly to the bins that it crosses: table[total][FPDepositSize()]. */
PETSC_INTERN void FPDepositAlong(const FPBins *bins, const double *from, const double *step, double weight,
                                 double *table);

/* Of joint[bins][bins], the law of the bin before and after a step times `mass`, `time` apart; in nats per time. */
PETSC_INTERN PetscReal FPIrreversibility(PetscInt bins, const PetscReal joint[], PetscReal mass, PetscReal time);
/* Every step of a transfer operator under the law pi: from, to, probability (or weight, of an order above 2). */
PETSC_INTERN PetscErrorCode FPStepsVisit(FPGenerator gen, const PetscReal                            pi[],
                                         void (*visit)(void *, PetscInt, PetscInt, PetscReal), void *context);
PETSC_INTERN PetscErrorCode FPIrreversibilityAdd(const FPBins *wide, FPGenerator gen, const PetscReal pi[],
                                                 FPQuantities *q);
#endif

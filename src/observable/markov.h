/* markov.h: how far a function x of a stationary process is from being a Markov process by itself: the part of the
   covariance of its past x(-t) and its future x(t) that the present x(0) does not explain, over its variance. */
#ifndef FPMARKOV_H
#define FPMARKOV_H
#include "observableimpl.h"

#define FP_MARKOV_LINE 512 /* bins over the range of x */
#define FP_MARKOV_PARTS 32 /* wider parts */
#define FP_MARKOV_SUMS 7
#define FP_MARKOV_SIZE (1 + FP_MARKOV_SUMS * FP_MARKOV_LINE)

typedef struct {
  PetscReal lower, width; /* of the bins */
} FPMarkovRange;

/* sums[FP_MARKOV_SIZE]: past times future, which the caller adds up in sums[0] with the same weights, then for each bin
   of x: weight, x, x^2, past, future, x past, x future. */
PETSC_INTERN void FPMarkovAdd(const FPMarkovRange *range, PetscReal x, PetscReal past, PetscReal future,
                              PetscReal weight, PetscReal sums[]);
/* Which of at most `parts` wider parts, enough of the law in each, a bin belongs to; parts <= 2 FP_MARKOV_PARTS. */
PETSC_INTERN void      FPMarkovDivide(const PetscReal sums[], PetscInt parts, short part[FP_MARKOV_LINE]);
PETSC_INTERN PetscReal FPMarkovDefect(const PetscReal sums[], const short part[FP_MARKOV_LINE]);
#endif

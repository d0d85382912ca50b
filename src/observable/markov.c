/* markov.c: is a function x of a stationary process a Markov process by itself? If it is, past and future are
   independent given the present, so that the defect

     E Cov(x(-t), x(t) | x(0))/Var x

   vanishes; for x linear in a Gaussian process it is rho(2t) - rho(t)^2. It needs no law of three times, as the
   covariance is E x(-t) x(t) - E E[x(-t) | x(0)] E[x(t) | x(0)]. The conditional means are taken linear in x(0) on each
   of the bins, of at least 1/FP_MARKOV_PARTS of the law: the partial correlation at lag two of time series, by parts.
 */
#include "markov.h"

void FPMarkovAdd(const FPMarkovRange *range, PetscReal x, PetscReal past, PetscReal future, PetscReal weight,
                 PetscReal sums[])
{
  const PetscReal at  = (x - range->lower) / range->width;
  PetscReal      *bin = sums + 1 +
                   FP_MARKOV_SUMS * (at <= 0                    ? 0
                                     : at >= FP_MARKOV_LINE - 1 ? FP_MARKOV_LINE - 1
                                                                : (PetscInt)at);

  bin[0] += weight;
  bin[1] += weight * x;
  bin[2] += weight * x * x;
  bin[3] += weight * past;
  bin[4] += weight * future;
  bin[5] += weight * x * past;
  bin[6] += weight * x * future;
}

void FPMarkovDivide(const PetscReal sums[], PetscInt parts, short part[FP_MARKOV_LINE])
{
  PetscReal all = 0, in = 0, rest;
  short     number = 0;

  for (PetscInt b = 0; b < FP_MARKOV_LINE; b++) all += sums[1 + FP_MARKOV_SUMS * b];
  rest = all;
  for (PetscInt b = 0; b < FP_MARKOV_LINE; b++) {
    part[b] = number;
    in += sums[1 + FP_MARKOV_SUMS * b];
    rest -= sums[1 + FP_MARKOV_SUMS * b];
    if (in * parts < all || rest * parts < all) continue;
    number++;
    in = 0;
  }
}

PetscReal FPMarkovDefect(const PetscReal sums[], const short part[FP_MARKOV_LINE])
{
  PetscReal all[FP_MARKOV_SUMS] = {0}, bin[2 * FP_MARKOV_PARTS + 1][FP_MARKOV_SUMS] = {{0}}, explained = 0, variance;

  for (PetscInt b = 0; b < FP_MARKOV_LINE; b++)
    for (PetscInt i = 0; i < FP_MARKOV_SUMS; i++) {
      bin[part[b]][i] += sums[1 + FP_MARKOV_SUMS * b + i];
      all[i] += sums[1 + FP_MARKOV_SUMS * b + i];
    }
  for (PetscInt b = 0; b <= 2 * FP_MARKOV_PARTS; b++) {
    const PetscReal share = bin[b][0] / all[0], x = bin[b][1] / bin[b][0], spread = bin[b][2] / bin[b][0] - x * x;
    const PetscReal past = bin[b][3] / bin[b][0], future = bin[b][4] / bin[b][0];

    if (bin[b][0] <= 0) continue;
    explained += share * (past - all[3] / all[0]) * (future - all[4] / all[0]);
    if (spread > PETSC_SQRT_MACHINE_EPSILON * bin[b][2] / bin[b][0])
      explained += share * (bin[b][5] / bin[b][0] - x * past) * (bin[b][6] / bin[b][0] - x * future) / spread;
  }
  variance = all[2] / all[0] - PetscSqr(all[1] / all[0]);
  return (sums[0] / all[0] - all[3] / all[0] * all[4] / all[0] - explained) / variance;
}

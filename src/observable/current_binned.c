/* current_binned.c: the law and the current on bins, from what was deposited in them (steps.h), and the entropy
   production that they show: sum over bins of p_b/(p_b + 1e-4) J_b (D p)_b^{-1} J_b, with p_b, J_b and (D p)_b
   integrals over the bin, a lower bound of the entropy production by convexity; the weight keeps out bins that
   particles hardly see. */
#include "currentimpl.h"

#define RARE 1e-4     /* a bin of probability p enters with weight p/(p + RARE) */
#define SINGULAR 1e-9 /* pivots of (D p)_b below this share of its largest entry are zero */

/* x becomes A^-1 x, A symmetric positive definite of order n <= 3 (destroyed), by elimination; false: it is singular.
 */
static PetscBool SolveSmall(PetscInt n, PetscReal A[], PetscReal x[])
{
  PetscReal largest = 0;

  for (PetscInt k = 0; k < n; k++) largest = PetscMax(largest, A[k * n + k]);
  for (PetscInt k = 0; k < n; k++) {
    if (!(A[k * n + k] > SINGULAR * largest)) return PETSC_FALSE;
    for (PetscInt i = k + 1; i < n; i++) {
      const PetscReal f = A[i * n + k] / A[k * n + k];

      for (PetscInt j = k; j < n; j++) A[i * n + j] -= f * A[k * n + j];
      x[i] -= f * x[k];
    }
  }
  for (PetscInt i = n - 1; i >= 0; i--) {
    for (PetscInt j = i + 1; j < n; j++) x[i] -= A[i * n + j] * x[j];
    x[i] /= A[i * n + i];
  }
  return PETSC_TRUE;
}

/* sum_b weight J_b (D p)_b^{-1} J_b; J[d*total], Dp[d*d*total]. */
PetscErrorCode FPCurrentEntropy(PetscInt d, PetscInt total, const PetscReal p[], const PetscReal J[],
                                const PetscReal Dp[], PetscReal *sigma)
{
  PetscFunctionBegin;
  *sigma = 0;
  for (PetscInt b = 0; b < total; b++) {
    PetscReal A[9], x[3];

    for (PetscInt i = 0; i < d * d; i++) A[i] = Dp[i * total + b];
    for (PetscInt i = 0; i < d; i++) x[i] = J[i * total + b];
    if (p[b] <= 0 || !SolveSmall(d, A, x)) continue; /* steps in fewer than d directions seen */
    for (PetscInt i = 0; i < d; i++) *sigma += p[b] / (p[b] + RARE) * J[i * total + b] * x[i];
  }
  PetscFunctionReturn(0);
}

/* p[total], J[d*total], Dp[d*d*total] from the sums: integrals over bins. */
void FPCurrentBinnedLaw(const FPCurrent *c, const double sums[], PetscReal p[], PetscReal J[], PetscReal Dp[])
{
  const PetscInt d = c->dim, total = c->bins.total, size = FPDepositSize(d);

  for (PetscInt b = 0; b < total; b++) {
    const double *bin = sums + 1 + FPCurrentPairs(d) + b * size;
    PetscInt      at  = 1 + d;

    p[b] = bin[0] / sums[0];
    for (PetscInt i = 0; i < d; i++) {
      J[i * total + b] = bin[1 + i] / (sums[0] * c->dt);
      for (PetscInt j = i; j < d; j++)
        Dp[(i * d + j) * total + b] = Dp[(j * d + i) * total + b] = bin[at++] / (2 * sums[0] * c->dt);
    }
  }
}

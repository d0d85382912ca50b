/* modes.c: eigenpairs from a solver of SLEPc into those of the generator: decay rates, frequencies, residuals, right
   and left vectors. */
#include "solveimpl.h"

#define TIE 1e-11      /* of mu: those closer in modulus to 1 count as of modulus 1 */
#define LOST 1e-9      /* of a rate: residuals beyond it are looked at once more */
#define ROUNDING 4e-15 /* absolute accuracy of an eigenvalue, of the largest rate */

/* Decay rate and frequency of an eigenvalue: of -Q itself, or of P, whose modes go as mu^k after k steps. */
static void RateOf(FPGenerator gen, PetscReal re, PetscReal im, PetscReal *rate, PetscReal *frequency)
{
  *rate      = gen->step > 0 ? -log(PetscMax(hypot(re, im), PETSC_MACHINE_EPSILON)) / gen->step : re;
  *frequency = gen->step > 0 ? PetscAbsReal(atan2(im, re)) / gen->step : PetscAbsReal(im);
}

/* norm(A x - lambda x), x = xr + i xi of norm 1: of the right vector alone, as the error that SLEPc 3.18 computes for a
   two-sided solution can be 2 abs(Im lambda) for a conjugate pair that has converged. */
static PetscErrorCode Residual(EPS eps, PetscReal re, PetscReal im, Vec xr, Vec xi, PetscReal *residual)
{
  Mat       A;
  Vec       y;
  PetscReal real, imaginary = 0;

  PetscFunctionBegin;
  PetscCall(EPSGetOperators(eps, &A, NULL));
  PetscCall(VecDuplicate(xr, &y));
  PetscCall(MatMult(A, xr, y));
  PetscCall(VecAXPY(y, -re, xr));
  if (im != 0) PetscCall(VecAXPY(y, im, xi));
  PetscCall(VecNorm(y, NORM_2, &real));
  if (im != 0) {
    PetscCall(MatMult(A, xi, y));
    PetscCall(VecAXPBYPCZ(y, -re, -im, 1, xi, xr));
    PetscCall(VecNorm(y, NORM_2, &imaginary));
  }
  *residual = hypot(real, imaginary);
  PetscCall(VecDestroy(&y));
  PetscFunctionReturn(0);
}

/* Symmetric jumps: A x has lost to rounding what the fastest rates are above the slowest, (A + shift)^-1 x has not. The
   residual of the inverse, and what its solver left over the slowest rate, bound how far the inverse of rate + shift is
   off, and so the rate itself; *residual becomes that if it is less. x: of norm 1. */
static PetscErrorCode ResidualOfInverse(FPGenerator gen, EPS eps, PetscReal rate, Vec x, PetscReal *residual)
{
  ST          st;
  KSP         ksp;
  Mat         A;
  Vec         y, rest;
  PetscScalar target;
  PetscReal   off, left;
  PetscBool   inverts;

  PetscFunctionBegin;
  PetscCall(EPSGetST(eps, &st));
  PetscCall(PetscObjectTypeCompare((PetscObject)st, STSINVERT, &inverts));
  if (!inverts) PetscFunctionReturn(0);
  PetscCall(STGetKSP(st, &ksp));
  PetscCall(EPSGetTarget(eps, &target));
  PetscCall(EPSGetOperators(eps, &A, NULL));
  PetscCall(VecDuplicate(x, &y));
  PetscCall(VecDuplicate(x, &rest));
  PetscCall(KSPSolve(ksp, x, y));
  PetscCall(MatMult(A, y, rest));
  PetscCall(VecAXPBYPCZ(rest, 1, target, -1, x, y)); /* x - (A - target) y */
  PetscCall(VecNorm(rest, NORM_2, &left));
  PetscCall(VecAXPY(y, -1 / (rate - target), x));
  PetscCall(VecNorm(y, NORM_2, &off));
  *residual = PetscMin(*residual, PetscSqr(rate - target) * (off + left / (gen->rate[0] - target)));
  PetscCall(VecDestroy(&y));
  PetscCall(VecDestroy(&rest));
  PetscFunctionReturn(0);
}

/* The vector of the eigenvalue nearest to re + i im, in order of its sign */
static PetscErrorCode NearestVector(EPS eps, PetscReal re, PetscReal im, Vec xr, Vec xi)
{
  PetscInt    count, best = 0;
  PetscReal   least = PETSC_MAX_REAL;
  PetscScalar kr, ki;

  PetscFunctionBegin;
  PetscCall(EPSGetConverged(eps, &count));
  for (PetscInt m = 0; m < count; m++) {
    PetscCall(EPSGetEigenvalue(eps, m, &kr, &ki));
    if (hypot(kr - re, ki - im) >= least) continue;
    least = hypot(kr - re, ki - im);
    best  = m;
  }
  PetscCall(EPSGetEigenvector(eps, best, xr, xi));
  PetscFunctionReturn(0);
}

/* By how much more than itself an eigenvalue answers to rounding of a matrix that is not normal */
static PetscReal Condition(PetscInt n, const PetscReal left[], const PetscReal right[])
{
  PetscReal product = 0, first = 0, second = 0;

  for (PetscInt k = 0; k < n; k++) {
    product += left[k] * right[k];
    first += left[k] * left[k];
    second += right[k] * right[k];
  }
  return PetscMin(PetscSqrtReal(first * second) / PetscMax(PetscAbsReal(product), 1e-300), 1e8);
}

/* Mode m of the solver into place k. Conjugate pairs give real and imaginary part as two real vectors. */
static PetscErrorCode StoreMode(FPGenerator gen, EPS eps, EPS adjoint, PetscInt m, PetscInt k, Vec xr, Vec xi)
{
  const PetscInt     n = gen->n;
  PetscScalar        kr, ki;
  const PetscScalar *x;
  PetscReal         *right = gen->right + (size_t)k * n, *left = gen->left + (size_t)k * n;

  PetscFunctionBegin;
  PetscCall(EPSGetEigenpair(eps, m, &kr, &ki, xr, xi));
  RateOf(gen, kr, ki, &gen->rate[k], &gen->frequency[k]);
  PetscCall(Residual(eps, kr, ki, xr, xi, &gen->residual[k]));
  if (gen->jumps && gen->symmetric && gen->residual[k] > LOST * kr)
    PetscCall(ResidualOfInverse(gen, eps, kr, xr, &gen->residual[k]));
  if (gen->step > 0) {
    gen->mu[2 * k]     = kr;
    gen->mu[2 * k + 1] = ki;
  } else {
    gen->residual[k] += ROUNDING * gen->info.largest_rate;
  }
  PetscCall(VecGetArrayRead(ki < 0 ? xi : xr, &x));
  for (PetscInt i = 0; i < n; i++) right[i] = x[i];
  PetscCall(VecRestoreArrayRead(ki < 0 ? xi : xr, &x));
  if (gen->symmetric) {
    for (PetscInt i = 0; i < n; i++) {
      const PetscReal root = exp(gen->logpi[i] / 2), u = right[i];

      right[i] = u / root;
      left[i]  = u * root;
    }
  } else if (gen->step > 0) {
    PetscCall(NearestVector(adjoint, kr, ki, xr, xi));
    PetscCall(VecGetArrayRead(ki < 0 ? xi : xr, &x));
    for (PetscInt i = 0; i < n; i++) left[i] = x[i];
    PetscCall(VecRestoreArrayRead(ki < 0 ? xi : xr, &x));
    gen->residual[k] = (gen->residual[k] + ROUNDING) * Condition(n, left, right) /
                       (PetscMax(hypot(kr, ki), PETSC_MACHINE_EPSILON) * gen->step);
  } else {
    PetscCall(EPSGetLeftEigenvector(eps, m, xr, xi));
    PetscCall(VecGetArrayRead(ki < 0 ? xi : xr, &x));
    for (PetscInt i = 0; i < n; i++) left[i] = x[i];
    PetscCall(VecRestoreArrayRead(ki < 0 ? xi : xr, &x));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorStoreModes(FPGenerator gen, EPS eps, EPS adjoint, Mat A, PetscInt converged)
{
  Vec         xr, xi;
  PetscReal  *key, frequency;
  PetscInt   *order;
  PetscScalar kr, ki;

  PetscFunctionBegin;
  gen->modes = converged;
  PetscCall(PetscMalloc3(converged, &gen->rate, converged, &gen->frequency, converged, &gen->residual));
  PetscCall(PetscMalloc2((size_t)converged * gen->n, &gen->right, (size_t)converged * gen->n, &gen->left));
  if (gen->step > 0) PetscCall(PetscMalloc1(2 * converged, &gen->mu));
  PetscCall(PetscMalloc2(converged, &key, converged, &order));
  PetscCall(MatCreateVecs(A, &xr, &xi));
  for (PetscInt m = 0; m < converged; m++) {
    PetscCall(EPSGetEigenvalue(eps, m, &kr, &ki));
    RateOf(gen, kr, ki, &key[m], &frequency);
    if (gen->step > 0 && !(kr > 0 && ki == 0)) key[m] += TIE / gen->step; /* behind 1, where -1 is as large */
    order[m] = m;
  }
  PetscCall(PetscSortRealWithPermutation(converged, key, order));
  for (PetscInt k = 0; k < converged; k++) PetscCall(StoreMode(gen, eps, adjoint, order[k], k, xr, xi));
  PetscCall(PetscFree2(key, order));
  PetscCall(VecDestroy(&xr));
  PetscCall(VecDestroy(&xi));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetModes(FPGenerator gen, PetscInt *count, const PetscReal **rate,
                                   const PetscReal **frequency, const PetscReal **residual)
{
  PetscFunctionBegin;
  if (count) *count = gen->modes;
  if (rate) *rate = gen->rate;
  if (frequency) *frequency = gen->frequency;
  if (residual) *residual = gen->residual;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetMode(FPGenerator gen, PetscInt k, const PetscReal **right, const PetscReal **left)
{
  PetscFunctionBegin;
  if (right) *right = gen->right + (size_t)k * gen->n;
  if (left) *left = gen->left + (size_t)k * gen->n;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetMultipliers(FPGenerator gen, const PetscReal **mu)
{
  PetscFunctionBegin;
  *mu = gen->mu;
  PetscFunctionReturn(0);
}

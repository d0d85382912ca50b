/* stationary.c: the stationary law, or the quasi-stationary one where something is killed, from the slowest left
   vector. */
#include "solveimpl.h"

#define MAX_MIXING 1e-3 /* rounding of the law through a small gap that is still an error and no choice */

/* y = (a small shift - Q^T)^-1 x: by the solver of the modes, or of a discrete chain by its own. */
static PetscErrorCode BackSolve(FPGenerator gen, KSP ksp, Vec x, Vec y)
{
  const PetscScalar *from;
  PetscScalar       *to;
  PetscReal          scale;

  PetscFunctionBegin;
  if (gen->step == 0) {
    PetscCall(KSPSolveTranspose(ksp, x, y));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorRateScale(gen, &scale));
  PetscCall(VecGetArrayRead(x, &from));
  PetscCall(VecGetArray(y, &to));
  PetscCall(FPGeneratorInvert(gen, PETSC_FALSE, FP_SHIFT * scale, from, to));
  PetscCall(VecRestoreArray(y, &to));
  PetscCall(VecRestoreArrayRead(x, &from));
  PetscFunctionReturn(0);
}

/* Where the chain is so nearly reducible that rounding decides how the law is shared between its parts: the law of the
   part the start lies in, by inverse iteration from there. The inverse of an M-matrix has no negative entry. */
static PetscErrorCode IterateFromHome(FPGenerator gen, KSP ksp)
{
  Vec                x, y;
  PetscReal          sum, change = 1;
  const PetscScalar *a;

  PetscFunctionBegin;
  PetscCall(VecCreateSeq(PETSC_COMM_SELF, gen->n, &x));
  PetscCall(VecDuplicate(x, &y));
  PetscCall(VecSetValue(x, gen->home, 1, INSERT_VALUES));
  PetscCall(VecAssemblyBegin(x));
  PetscCall(VecAssemblyEnd(x));
  for (PetscInt step = 0; step < 500 && change > 1e-13; step++) {
    PetscCall(BackSolve(gen, ksp, x, y));
    PetscCall(VecSum(y, &sum));
    PetscCall(VecScale(y, 1 / sum));
    PetscCall(VecAXPY(x, -1, y));
    PetscCall(VecNorm(x, NORM_1, &change));
    PetscCall(VecCopy(y, x));
  }
  PetscCall(VecGetArrayRead(x, &a));
  PetscCall(PetscArraycpy(gen->stationary, a, gen->n));
  PetscCall(VecRestoreArrayRead(x, &a));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&y));
  PetscFunctionReturn(0);
}

static PetscReal MostNegative(FPGenerator gen)
{
  PetscReal sum = 0, largest = 0, negative = 0;

  for (PetscInt k = 0; k < gen->n; k++) sum += gen->stationary[k];
  for (PetscInt k = 0; k < gen->n; k++) {
    gen->stationary[k] /= sum;
    largest  = PetscMax(largest, gen->stationary[k]);
    negative = PetscMin(negative, gen->stationary[k]);
  }
  return negative / largest;
}

/* What is left of the balance of every cell, with the rounding of its own evaluation, over the gap: by so much the
   shares of weakly joined parts may be wrong. The law has sum 1. */
static PetscErrorCode MixingError(FPGenerator gen, PetscReal *error)
{
  const PetscReal *out, *kill;
  PetscInt         same;
  PetscReal       *balance, left = 0, traffic = 0;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(gen->n, &balance));
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge   *e  = &gen->edge[s];
    const PetscReal up = gen->stationary[e->i] * e->qij, down = gen->stationary[e->j] * e->qji;

    balance[e->i] -= up - down;
    balance[e->j] += up - down;
    traffic += PetscAbsReal(up) + PetscAbsReal(down);
  }
  if (gen->jumps) {
    PetscCall(FPJumpsGetOutflow(gen->jumps, &same, &out, &kill));
    PetscCall(FPGeneratorAddJumps(gen, PETSC_FALSE, 1, gen->stationary, balance));
    for (PetscInt k = 0; k < gen->n; k++) traffic += 2 * gen->stationary[k] * out[k];
  }
  for (PetscInt k = 0; k < gen->n; k++) left += PetscAbsReal(balance[k]);
  *error = (left + PETSC_MACHINE_EPSILON * traffic) / PetscMax(gen->rate[1], 1e-300);
  PetscCall(PetscFree(balance));
  PetscFunctionReturn(0);
}

/* Three more steps of inverse iteration drive what is left of other modes below rounding. */
static PetscErrorCode PolishLeft(FPGenerator gen, Mat A, KSP ksp)
{
  Vec          x, y;
  PetscScalar *a;

  PetscFunctionBegin;
  PetscCall(MatCreateVecs(A, &x, &y));
  PetscCall(VecGetArray(x, &a));
  PetscCall(PetscArraycpy(a, gen->stationary, gen->n));
  PetscCall(VecRestoreArray(x, &a));
  for (PetscInt step = 0; step < 3; step++) {
    PetscCall(BackSolve(gen, ksp, x, y));
    PetscCall(VecNormalize(y, NULL));
    PetscCall(VecCopy(y, x));
  }
  PetscCall(VecGetArray(x, &a));
  PetscCall(PetscArraycpy(gen->stationary, a, gen->n));
  PetscCall(VecRestoreArray(x, &a));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&y));
  PetscFunctionReturn(0);
}

/* The left vector of the slowest mode, positive and of sum 1. Where rounding leaves it no sign, or no share between
   parts, the law reached from home. */
PetscErrorCode FPGeneratorStoreStationary(FPGenerator gen, EPS eps, Mat A)
{
  const PetscInt n        = gen->n;
  PetscReal      negative = 0;
  ST             st;
  KSP            ksp = NULL;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &gen->stationary));
  if (gen->logpi && !gen->absorbing) {
    for (PetscInt k = 0; k < n; k++) gen->stationary[k] = PetscMax(exp(gen->logpi[k]), 1e-300);
    PetscFunctionReturn(0);
  }
  PetscCall(EPSGetST(eps, &st));
  if (gen->step == 0) PetscCall(STGetKSP(st, &ksp));
  PetscCall(PetscArraycpy(gen->stationary, gen->left, n));
  if (!gen->symmetric && (gen->step == 0 || gen->dim == 1)) PetscCall(PolishLeft(gen, A, ksp));
  gen->info.metastable = (PetscBool)(MostNegative(gen) < -1e-9 && !gen->info.interpolates);
  if (!gen->absorbing && gen->modes > 1) {
    PetscCall(MixingError(gen, &gen->info.mixing_error));
    if (gen->info.mixing_error > MAX_MIXING) gen->info.metastable = PETSC_TRUE;
  }
  if (gen->info.metastable) {
    PetscCall(IterateFromHome(gen, ksp));
    for (PetscInt k = 0; gen->symmetric && k < n; k++)
      gen->stationary[k] *= exp(gen->logpi[k] / 2); /* symmetric form */
    gen->info.mixing_error = 0;
  }
  negative = MostNegative(gen);
  if (gen->info.interpolates) PetscFunctionReturn(0); /* what lies between nodes has a sign of its own */
  PetscCheck(negative > -1e-9, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "the stationary law has a negative entry, %g of its largest", (double)negative);
  for (PetscInt k = 0; k < n; k++) gen->stationary[k] = PetscMax(gen->stationary[k], 1e-300);
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorStationary(FPGenerator gen, const PetscReal **probability)
{
  PetscFunctionBegin;
  PetscCheck(gen->stationary, PETSC_COMM_SELF, PETSC_ERR_ORDER, "FPGeneratorSolve() first");
  *probability = gen->stationary;
  PetscFunctionReturn(0);
}

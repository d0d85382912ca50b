/* solve.c: the slowest modes of a chain and its law, in order. A reversible chain is solved in its symmetric form
   sqrt(pi_i) Q_ij/sqrt(pi_j), whose off-diagonal entries are sqrt(q_ij q_ji); others with right and left vectors of Q
   itself. */
#include "solveimpl.h"
#include "transfer.h"

#define DEPTH 75.0 /* of -ln pi that the symmetric form of a chain can hold */
#define AGAIN 2

/* What the stencils add, weighed by the law: numbers that say how much of the answer is numerical. */
static void WeighStencils(FPGenerator gen)
{
  FPStable stable = {0};

  (void)FPProcessGetStable(gen->process, &stable);
  gen->info.added_diffusion = gen->info.capped_share = 0;
  for (PetscInt k = 0; k < gen->n; k++) {
    gen->info.added_diffusion += gen->stationary[k] * gen->added[k];
    gen->info.capped_share += gen->capped[k] ? gen->stationary[k] : 0;
  }
  if (gen->step > 0) return;
  /* drift beats jumps of index up to 1 on every grid */
  gen->info.order =
      gen->info.added_diffusion > 0 && (gen->info.degenerate || (stable.has && stable.alpha <= 1)) ? 1 : 2;
}

/* The right vectors of the symmetric form, divided by the root of pi, are lost in rounding where pi is too small: that
   matters where modes live there. Its eigenvalues alone are well conditioned at any depth. */
static PetscBool IsSymmetric(FPGenerator gen)
{
  PetscReal least = 0;

  for (PetscInt k = 0; gen->logpi && k < gen->n; k++) least = PetscMin(least, gen->logpi[k]);
  return (PetscBool)(gen->logpi && (!gen->deep || least > -DEPTH));
}

PetscErrorCode FPGeneratorSolveAgain(FPGenerator gen, Mat A, PetscInt wanted, EPS *eps)
{
  PetscBool missed = PETSC_TRUE;
  Vec       x;

  PetscFunctionBegin;
  PetscCall(MatCreateVecs(A, &x, NULL));
  for (PetscInt attempt = 0; attempt < AGAIN && missed; attempt++) {
    PetscCall(FPGeneratorSeekMissed(gen, *eps, &missed, x));
    if (!missed) break;
    PetscCall(EPSDestroy(eps));
    PetscCall(PetscFree3(gen->rate, gen->frequency, gen->residual));
    PetscCall(PetscFree2(gen->right, gen->left));
    PetscCall(FPGeneratorSolveModes(gen, A, wanted, x, eps));
    PetscCall(FPGeneratorStoreModes(gen, *eps, NULL, A, wanted));
  }
  PetscCall(VecDestroy(&x));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorSolve(FPGenerator gen, PetscInt pairs)
{
  const PetscInt wanted = PetscMin(pairs + 2, gen->n - 1); /* one more, so that no conjugate pair or doublet is cut */
  Mat            A, transposed;
  EPS            eps, adjoint = NULL; /* adjoint: of P^T, as the two-sided solver fails on the many mu near 0 */
  PetscInt       converged;

  PetscFunctionBegin;
  if (gen->modes) PetscFunctionReturn(0);
  gen->symmetric = IsSymmetric(gen);
  PetscCall(FPGeneratorAssemble(gen, gen->symmetric, 0, PETSC_FALSE, &A));
  if (gen->step > 0) { /* P = 1 + step Q */
    PetscCall(MatScale(A, -gen->step));
    PetscCall(MatShift(A, 1));
  }
  PetscCall(FPGeneratorSolveModes(gen, A, wanted, NULL, &eps));
  PetscCall(EPSGetConverged(eps, &converged));
  PetscCheck(converged >= wanted, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "%" PetscInt_FMT " of %" PetscInt_FMT " modes converged", converged, wanted);
  if (gen->step > 0) {
    PetscCall(MatTranspose(A, MAT_INITIAL_MATRIX, &transposed));
    PetscCall(FPGeneratorSolveModes(gen, transposed, wanted, NULL, &adjoint));
    PetscCall(MatDestroy(&transposed));
  }
  PetscCall(FPGeneratorStoreModes(gen, eps, adjoint, A, wanted));
  if (gen->step == 0 && !gen->symmetric && !gen->jumps) PetscCall(FPGeneratorSolveAgain(gen, A, wanted, &eps));
  PetscCall(FPGeneratorStoreStationary(gen, eps, A));
  WeighStencils(gen);
  PetscCall(FPGeneratorCorrectRates(gen));
  PetscCall(FPGeneratorFindTailMass(gen));
  PetscCall(EPSDestroy(&eps));
  PetscCall(EPSDestroy(&adjoint));
  PetscCall(MatDestroy(&A));
  PetscFunctionReturn(0);
}

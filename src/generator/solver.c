/* solver.c: matrices of a chain and the solvers of its slowest modes. SLEPc's shift-and-invert Krylov-Schur with MUMPS;
   for large symmetric problems in three dimensions multigrid in place of factors, for symmetric jumps that are killed
   LOBPCG, for discrete chains the largest eigenvalues of P itself. All with the opposite sign, so that eigenvalues are
   decay rates. */
#include "solveimpl.h"

#define INNER_TOLERANCE 1e-12
#define BASIS 40   /* Krylov vectors for a discrete chain */
#define ATTEMPTS 5 /* the last one reports its error */
#define BLOCK_TOLERANCE 1e-9
#define BLOCK_STEPS 200

PetscErrorCode FPGeneratorAssemble(FPGenerator gen, PetscBool symmetric, PetscReal shift, PetscBool pinned, Mat *A)
{
  const PetscInt n = gen->n, E = gen->edges;
  PetscInt      *row, *column;
  PetscReal     *value;
  PetscCount     entries = 2 * (PetscCount)E + n;

  PetscFunctionBegin;
  if (gen->jumps) {
    PetscCall(FPGeneratorAssembleStable(gen, shift, pinned, A));
    PetscFunctionReturn(0);
  }
  PetscCall(PetscMalloc3(entries, &row, entries, &column, entries, &value));
  for (PetscInt k = 0; k < n; k++) {
    row[k] = column[k] = k;
    value[k]           = gen->kill[k] + shift;
  }
  if (pinned) value[gen->home] += gen->info.largest_rate;
  for (PetscInt s = 0; s < E; s++) {
    const FPEdge   *e      = &gen->edge[s];
    const PetscReal common = PetscSqrtReal(e->qij) * PetscSqrtReal(e->qji);
    const PetscInt  at     = n + 2 * s;

    row[at] = column[at + 1] = e->i;
    column[at] = row[at + 1] = e->j;
    value[at]                = symmetric ? -common : -e->qij;
    value[at + 1]            = symmetric ? -common : -e->qji;
    value[e->i] += e->qij;
    value[e->j] += e->qji;
  }
  PetscCall(FPMatrixOfEntries(n, entries, row, column, value, A));
  PetscCall(PetscFree3(row, column, value));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorRateScale(FPGenerator gen, PetscReal *scale)
{
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  *scale = 1;
  PetscCall(FPModelGetCriticalPoints(gen->model, &count, &points));
  if (count > 0 && points[0].eigenvalue[gen->dim - 1] > 0) *scale = points[0].eigenvalue[gen->dim - 1];
  PetscFunctionReturn(0);
}

/* By multigrid, not by factors? */
static PetscBool Iterates(FPGenerator gen, PetscBool symmetric)
{
  return (PetscBool)(symmetric && gen->dim > 2 && gen->n > FP_DIRECT_LIMIT);
}

PetscErrorCode FPGeneratorSetSolver(FPGenerator gen, PetscBool symmetric, PetscReal shift, PetscBool pinned, KSP ksp)
{
  PC pc;

  PetscFunctionBegin;
  if (gen->jumps) {
    PetscCall(FPGeneratorSetStableSolver(gen, shift, pinned, ksp));
    PetscFunctionReturn(0);
  }
  PetscCall(KSPGetPC(ksp, &pc));
  if (Iterates(gen, symmetric)) {
    PetscCall(KSPSetType(ksp, KSPCG)); /* a symmetric M-matrix: algebraic multigrid works and needs far less memory */
    PetscCall(KSPSetTolerances(ksp, INNER_TOLERANCE, PETSC_DEFAULT, PETSC_DEFAULT, 500));
    PetscCall(PCSetType(pc, PCHYPRE));
  } else {
    PetscCall(KSPSetType(ksp, KSPPREONLY));
    PetscCall(PCSetType(pc, symmetric ? PCCHOLESKY : PCLU));
    PetscCall(PCFactorSetMatSolverType(pc, MATSOLVERMUMPS));
  }
  PetscFunctionReturn(0);
}

/* Symmetric jumps that are killed: a block of vectors and one preconditioner take fewer products than inverses do. */
static PetscErrorCode CreateBlockSolver(FPGenerator gen, Mat A, PetscInt pairs, EPS *eps)
{
  ST  st;
  KSP ksp;
  PC  pc;

  PetscFunctionBegin;
  PetscCall(EPSCreate(PETSC_COMM_SELF, eps));
  PetscCall(EPSSetOptionsPrefix(*eps, "spectrum_"));
  PetscCall(EPSSetOperators(*eps, A, NULL));
  PetscCall(EPSSetProblemType(*eps, EPS_HEP));
  PetscCall(EPSSetType(*eps, EPSLOBPCG));
  PetscCall(EPSSetWhichEigenpairs(*eps, EPS_SMALLEST_REAL));
  PetscCall(EPSSetDimensions(*eps, pairs, PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(EPSSetTolerances(*eps, BLOCK_TOLERANCE, BLOCK_STEPS));
  PetscCall(EPSGetST(*eps, &st));
  PetscCall(STSetType(st, STPRECOND));
  PetscCall(STGetKSP(st, &ksp));
  PetscCall(KSPSetType(ksp, KSPPREONLY));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(FPGeneratorSetStablePC(gen, 0, PETSC_FALSE, pc));
  PetscCall(EPSSetFromOptions(*eps));
  PetscFunctionReturn(0);
}

/* basis: vectors beyond the default */
static PetscErrorCode CreateSolver(FPGenerator gen, Mat A, PetscInt pairs, PetscInt basis, EPS *eps)
{
  ST        st;
  KSP       ksp;
  PetscReal scale;
  PetscBool shell;

  PetscFunctionBegin;
  PetscCall(FPGeneratorRateScale(gen, &scale));
  PetscCall(EPSCreate(PETSC_COMM_SELF, eps));
  PetscCall(EPSSetOptionsPrefix(*eps, "spectrum_"));
  PetscCall(EPSSetOperators(*eps, A, NULL));
  PetscCall(EPSSetProblemType(*eps, gen->symmetric ? EPS_HEP : EPS_NHEP));
  PetscCall(EPSSetType(*eps, EPSKRYLOVSCHUR));
  if (!gen->symmetric && gen->step == 0) PetscCall(EPSSetTwoSided(*eps, PETSC_TRUE));
  pairs = PetscMin(pairs, gen->n - 1);
  PetscCall(EPSSetDimensions(
      *eps, pairs, basis ? PetscMin(gen->n, PetscMax(2 * pairs, pairs + 15) + basis) : PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(EPSSetTolerances(*eps, gen->symmetric ? 1e-12 : 1e-10, 500));
  if (gen->step > 0) { /* the largest of P: no factors needed */
    PetscCall(EPSSetDimensions(*eps, pairs, PetscMin(gen->n, PetscMax(2 * pairs + 10, BASIS) + basis), PETSC_DEFAULT));
    PetscCall(EPSSetTolerances(*eps, 1e-13, 500));
    PetscCall(EPSSetConvergenceTest(*eps, EPS_CONV_NORM));
    PetscCall(EPSSetWhichEigenpairs(*eps, EPS_LARGEST_MAGNITUDE));
    PetscCall(EPSSetFromOptions(*eps));
    PetscFunctionReturn(0);
  }
  PetscCall(EPSSetTarget(*eps, -FP_SHIFT * scale));
  PetscCall(EPSSetWhichEigenpairs(*eps, EPS_TARGET_MAGNITUDE));
  PetscCall(EPSGetST(*eps, &st));
  PetscCall(STSetType(st, STSINVERT));
  PetscCall(PetscObjectTypeCompare((PetscObject)A, MATSHELL, &shell));
  if (shell) PetscCall(STSetMatMode(st, ST_MATMODE_SHELL));
  PetscCall(STGetKSP(st, &ksp));
  PetscCall(FPGeneratorSetSolver(gen, gen->symmetric, FP_SHIFT * scale, PETSC_FALSE, ksp));
  PetscCall(EPSSetFromOptions(*eps));
  PetscFunctionReturn(0);
}

/* more: added to it; NULL: nothing */
static PetscErrorCode StartVector(FPGenerator gen, Mat A, Vec more, EPS eps)
{
  Vec          start;
  PetscScalar *x;

  PetscFunctionBegin;
  PetscCall(MatCreateVecs(A, &start, NULL));
  PetscCall(VecGetArray(start, &x));
  for (PetscInt k = 0; k < gen->n; k++) { /* deterministic, with a share of every mode wherever it lives */
    const PetscReal weight = gen->symmetric ? exp(gen->logpi[k] / 2) + 1 / PetscSqrtReal((PetscReal)gen->n) : 1;

    x[k] = weight * (1 + 0.5 * sin(1.0 + 12.9898 * k));
  }
  PetscCall(VecRestoreArray(start, &x));
  if (more) {
    PetscCall(VecNormalize(start, NULL));
    PetscCall(VecAXPY(start, 1, more));
  }
  PetscCall(EPSSetInitialSpace(eps, 1, &start));
  PetscCall(VecDestroy(&start));
  PetscFunctionReturn(0);
}

/* The two-sided solver of SLEPc 3.18 takes its two Schur forms for alike, and fails in LAPACK's trevc where a double
   eigenvalue is a real pair in one and a complex pair in the other. With another size of basis they fall otherwise. */
PetscErrorCode FPGeneratorSolveModes(FPGenerator gen, Mat A, PetscInt wanted, Vec more, EPS *eps)
{
  PetscErrorCode ierr      = 1;
  PetscInt       converged = 0;
  PetscReal      scale;
  PetscBool      shell;

  PetscFunctionBegin;
  PetscCall(PetscObjectTypeCompare((PetscObject)A, MATSHELL, &shell));
  if (shell && gen->symmetric && gen->absorbing && gen->dim > 1) {
    PetscCall(CreateBlockSolver(gen, A, wanted, eps));
    PetscCall(StartVector(gen, A, more, *eps));
    PetscCall(PetscPushErrorHandler(PetscReturnErrorHandler, NULL)); /* a basis may become dependent */
    ierr = EPSSolve(*eps);
    PetscCall(PetscPopErrorHandler());
    if (!ierr) PetscCall(EPSGetConverged(*eps, &converged));
    if (converged >= wanted) PetscFunctionReturn(0);
    PetscCall(EPSDestroy(eps));
    ierr = 1;
  }
  for (PetscInt attempt = 0; ierr && attempt < ATTEMPTS; attempt++) {
    PetscCall(CreateSolver(gen, A, wanted, 5 * attempt, eps));
    PetscCall(StartVector(gen, A, more, *eps));
    if (attempt + 1 < ATTEMPTS) PetscCall(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    ierr = EPSSolve(*eps);
    if (attempt + 1 < ATTEMPTS) PetscCall(PetscPopErrorHandler());
    if (ierr && attempt + 1 < ATTEMPTS) PetscCall(EPSDestroy(eps));
  }
  PetscCall(ierr);
  PetscCall(FPGeneratorRateScale(gen, &scale));
  if (gen->symmetric && !shell && !Iterates(gen, gen->symmetric))
    PetscCall(FPGeneratorFindMissed(gen, A, -FP_SHIFT * scale, eps));
  PetscFunctionReturn(0);
}

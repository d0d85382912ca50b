/* solve.c: slowest modes by SLEPc's shift-and-invert Krylov-Schur with MUMPS, and the (quasi-)stationary law.
   A reversible chain is solved in its symmetric form sqrt(pi_i) Q_ij/sqrt(pi_j), whose off-diagonal entries are
   sqrt(q_ij q_ji); others with right and left vectors of Q itself. Both with the opposite sign, so that eigenvalues are
   decay rates. */
#include "transfer.h"

#define INNER_TOLERANCE 1e-12
#define SHIFT 1e-2      /* of the sharpness: close to 0 on the side where the factorisation cannot break down */
#define BASIS 40        /* Krylov vectors for a discrete chain */
#define MAX_MIXING 1e-3 /* rounding of the stationary law through a small gap that is still an error and no choice */
#define ATTEMPTS 5      /* the last one reports its error */
#define BLOCK_TOLERANCE 1e-9
#define BLOCK_STEPS 200
#define DEPTH 75.0 /* of -ln pi that the symmetric form of a chain can hold */
#define AGAIN 2
#define TIE 1e-11
#define ROUNDING 4e-15 /* absolute accuracy of an eigenvalue, of the largest rate */

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
  PetscCall(MatCreate(PETSC_COMM_SELF, A));
  PetscCall(MatSetSizes(*A, n, n, n, n));
  PetscCall(MatSetType(*A, MATSEQAIJ));
  PetscCall(MatSetPreallocationCOO(*A, entries, row, column));
  PetscCall(MatSetValuesCOO(*A, value, INSERT_VALUES));
  PetscCall(PetscFree3(row, column, value));
  PetscFunctionReturn(0);
}

static PetscErrorCode Scale(FPGenerator gen, PetscReal *scale)
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
  PetscCall(Scale(gen, &scale));
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
  PetscCall(EPSSetTarget(*eps, -SHIFT * scale));
  PetscCall(EPSSetWhichEigenpairs(*eps, EPS_TARGET_MAGNITUDE));
  PetscCall(EPSGetST(*eps, &st));
  PetscCall(STSetType(st, STSINVERT));
  PetscCall(PetscObjectTypeCompare((PetscObject)A, MATSHELL, &shell));
  if (shell) PetscCall(STSetMatMode(st, ST_MATMODE_SHELL));
  PetscCall(STGetKSP(st, &ksp));
  PetscCall(FPGeneratorSetSolver(gen, gen->symmetric, SHIFT * scale, PETSC_FALSE, ksp));
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

static PetscErrorCode StoreModes(FPGenerator gen, EPS eps, EPS adjoint, Mat A, PetscInt converged)
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
  PetscCall(Scale(gen, &scale));
  PetscCall(VecGetArrayRead(x, &from));
  PetscCall(VecGetArray(y, &to));
  PetscCall(FPGeneratorInvert(gen, PETSC_FALSE, SHIFT * scale, from, to));
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
static PetscErrorCode StoreStationary(FPGenerator gen, EPS eps, Mat A)
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
  if (gen->step > 0) {
    gen->info.order = FPTransferOrder(&gen->options.transfer);
    return;
  }
  /* drift beats jumps of index up to 1 on every grid */
  gen->info.order =
      gen->info.added_diffusion > 0 && (gen->info.degenerate || (stable.has && stable.alpha <= 1)) ? 1 : 2;
}

/* The two-sided solver of SLEPc 3.18 takes its two Schur forms for alike, and fails in LAPACK's trevc where a double
   eigenvalue is a real pair in one and a complex pair in the other. With another size of basis they fall otherwise. */
static PetscErrorCode SolveModes(FPGenerator gen, Mat A, PetscInt wanted, Vec more, EPS *eps)
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
  PetscCall(Scale(gen, &scale));
  if (gen->symmetric && !shell && !Iterates(gen, gen->symmetric))
    PetscCall(FPGeneratorFindMissed(gen, A, -SHIFT * scale, eps));
  PetscFunctionReturn(0);
}

/* The right vectors of the symmetric form, divided by the root of pi, are lost in rounding where pi is too small: that
   matters where modes live there. Its eigenvalues alone are well conditioned at any depth. */
static PetscBool IsSymmetric(FPGenerator gen)
{
  PetscReal least = 0;

  for (PetscInt k = 0; gen->logpi && k < gen->n; k++) least = PetscMin(least, gen->logpi[k]);
  return (PetscBool)(gen->logpi && (!gen->deep || least > -DEPTH));
}

/* Chains that are not symmetric: modes that were missed are looked for, and found with what that gives to start from.
 */
static PetscErrorCode SolveAgain(FPGenerator gen, Mat A, PetscInt wanted, EPS *eps)
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
    PetscCall(SolveModes(gen, A, wanted, x, eps));
    PetscCall(StoreModes(gen, *eps, NULL, A, wanted));
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
  PetscCall(SolveModes(gen, A, wanted, NULL, &eps));
  PetscCall(EPSGetConverged(eps, &converged));
  PetscCheck(converged >= wanted, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "%" PetscInt_FMT " of %" PetscInt_FMT " modes converged", converged, wanted);
  if (gen->step > 0) {
    PetscCall(MatTranspose(A, MAT_INITIAL_MATRIX, &transposed));
    PetscCall(SolveModes(gen, transposed, wanted, NULL, &adjoint));
    PetscCall(MatDestroy(&transposed));
  }
  PetscCall(StoreModes(gen, eps, adjoint, A, wanted));
  if (gen->step == 0 && !gen->symmetric && !gen->jumps) PetscCall(SolveAgain(gen, A, wanted, &eps));
  PetscCall(StoreStationary(gen, eps, A));
  WeighStencils(gen);
  PetscCall(FPGeneratorCorrectRates(gen));
  PetscCall(FPGeneratorFindTailMass(gen));
  PetscCall(EPSDestroy(&eps));
  PetscCall(EPSDestroy(&adjoint));
  PetscCall(MatDestroy(&A));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetModes(FPGenerator gen, PetscInt *count, const PetscReal **rate,
                                   const PetscReal **frequency, const PetscReal **residual)
{
  PetscFunctionBegin;
  *count     = gen->modes;
  *rate      = gen->rate;
  *frequency = gen->frequency;
  *residual  = gen->residual;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetMode(FPGenerator gen, PetscInt k, const PetscReal **right, const PetscReal **left)
{
  PetscFunctionBegin;
  *right = gen->right + (size_t)k * gen->n;
  *left  = gen->left + (size_t)k * gen->n;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetMultipliers(FPGenerator gen, const PetscReal **mu)
{
  PetscFunctionBegin;
  *mu = gen->mu;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorStationary(FPGenerator gen, const PetscReal **probability)
{
  PetscFunctionBegin;
  PetscCheck(gen->stationary, PETSC_COMM_SELF, PETSC_ERR_ORDER, "FPGeneratorSolve() first");
  *probability = gen->stationary;
  PetscFunctionReturn(0);
}

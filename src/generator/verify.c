/* verify.c: has the eigensolver missed a mode? A Krylov method sees what its start vector has a share of, and of equal
   eigenvalues one; what it missed leaves no residual. Reversible chains: the number of eigenvalues of the symmetric
   form below a value between two of those found is that of negative pivots of its LDL^T factors (Sylvester's law of
   inertia). Others: inverse iteration from another start, all modes found projected out by their left and right
   vectors, grows like the inverse of the slowest mode that is left. */
#include "generatorimpl.h"
#include <petscblaslapack.h>

#define APART 1e-6 /* relative: eigenvalues this close are not told apart by a value between them */
#define HALVINGS 60
#define STEPS 24     /* of inverse iteration, of which the second half count: of a pair single ones shrink and grow */
#define FASTER 0.9   /* of the slowest inverse rate found: a mode that inverts to more was missed */
#define SINGULAR 1e6 /* condition of the products of left and right vectors, beyond which nothing is projected out */
#define NULLS "-slice_st_mat_mumps_icntl_24" /* SLEPc asks for the number of zero pivots, which MUMPS must look for */

/* rates ascending -> how many lie below *sigma, a value clear of all of them */
static PetscInt Between(PetscInt n, const PetscReal rate[], PetscReal doubt, PetscReal *sigma)
{
  for (PetscInt m = n - 1; m > 0; m--) {
    *sigma = (rate[m - 1] + rate[m]) / 2;
    if (rate[m] - rate[m - 1] > APART * PetscAbsReal(rate[m]) + 2 * doubt) return m;
  }
  *sigma = rate[n - 1] + APART * PetscAbsReal(rate[n - 1]) + 2 * doubt;
  return n;
}

/* Eigenvalues of a symmetric A less than sigma */
static PetscErrorCode CountBelow(Mat A, PetscReal sigma, PetscInt *count)
{
  Mat           shifted, factors;
  MatFactorInfo info;

  PetscFunctionBegin;
  PetscCall(MatDuplicate(A, MAT_COPY_VALUES, &shifted));
  PetscCall(MatShift(shifted, -sigma));
  PetscCall(MatSetOption(shifted, MAT_SYMMETRIC, PETSC_TRUE));
  PetscCall(MatGetFactor(shifted, MATSOLVERMUMPS, MAT_FACTOR_CHOLESKY, &factors));
  PetscCall(MatFactorInfoInitialize(&info));
  PetscCall(MatCholeskyFactorSymbolic(factors, shifted, NULL, &info));
  PetscCall(MatCholeskyFactorNumeric(factors, shifted, &info));
  PetscCall(MatMumpsGetInfog(factors, 12, count)); /* negative pivots */
  PetscCall(MatDestroy(&factors));
  PetscCall(MatDestroy(&shifted));
  PetscFunctionReturn(0);
}

/* All eigenvalues below sigma, by intervals and their inertia. */
static PetscErrorCode Slice(Mat A, PetscReal below, PetscReal sigma, EPS *eps)
{
  ST  st;
  KSP ksp;
  PC  pc;

  PetscFunctionBegin;
  PetscCall(PetscOptionsSetValue(NULL, NULLS, "1"));
  PetscCall(EPSCreate(PETSC_COMM_SELF, eps));
  PetscCall(EPSSetOptionsPrefix(*eps, "slice_"));
  PetscCall(EPSSetOperators(*eps, A, NULL));
  PetscCall(EPSSetProblemType(*eps, EPS_HEP));
  PetscCall(EPSSetType(*eps, EPSKRYLOVSCHUR));
  PetscCall(EPSSetWhichEigenpairs(*eps, EPS_ALL));
  PetscCall(EPSSetInterval(*eps, below, sigma));
  PetscCall(EPSSetTolerances(*eps, 1e-12, 500));
  PetscCall(EPSGetST(*eps, &st));
  PetscCall(STSetType(st, STSINVERT));
  PetscCall(EPSKrylovSchurGetKSP(*eps, &ksp));
  PetscCall(KSPSetType(ksp, KSPPREONLY));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PCSetType(pc, PCCHOLESKY));
  PetscCall(PCFactorSetMatSolverType(pc, MATSOLVERMUMPS));
  PetscCall(EPSSolve(*eps));
  PetscCall(PetscOptionsClearValue(NULL, NULLS));
  PetscCall(STSetShift(st, below)); /* for those who invert by it */
  PetscFunctionReturn(0);
}

/* Below which value there are at least `wanted` eigenvalues, and not many more; below *sigma there are `count`. */
static PetscErrorCode Narrow(Mat A, PetscInt wanted, PetscReal low, PetscInt count, PetscReal *sigma)
{
  PetscReal high = *sigma;

  PetscFunctionBegin;
  for (PetscInt step = 0; step < HALVINGS && count > 2 * wanted; step++) {
    const PetscReal middle = (low + high) / 2;
    PetscInt        less;

    PetscCall(CountBelow(A, middle, &less));
    if (less < wanted) {
      low = middle;
    } else {
      high  = middle;
      count = less;
    }
  }
  *sigma = high;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorFindMissed(FPGenerator gen, Mat A, PetscReal below, EPS *eps)
{
  const PetscReal doubt = PETSC_MACHINE_EPSILON * gen->info.largest_rate;
  PetscInt        found, have, count;
  PetscReal      *rate, sigma;
  PetscScalar     re, im;
  Mat             sparse; /* jumps have dense matrices, of which MUMPS makes no factors */

  PetscFunctionBegin;
  PetscCall(MatConvert(A, MATSEQAIJ, MAT_INITIAL_MATRIX, &sparse));
  PetscCall(EPSGetConverged(*eps, &found));
  PetscCall(PetscMalloc1(found, &rate));
  for (PetscInt m = 0; m < found; m++) {
    PetscCall(EPSGetEigenvalue(*eps, m, &re, &im));
    rate[m] = re;
  }
  PetscCall(PetscSortReal(found, rate));
  have = Between(found, rate, doubt, &sigma);
  PetscCall(CountBelow(sparse, sigma, &count));
  if (count > have) {
    sigma = rate[found - 1] + APART * PetscAbsReal(rate[found - 1]) + 2 * doubt;
    PetscCall(Narrow(sparse, found, below, count + found - have, &sigma));
    PetscCall(EPSDestroy(eps));
    PetscCall(Slice(sparse, below, sigma, eps));
  }
  PetscCall(MatDestroy(&sparse));
  PetscCall(PetscFree(rate));
  PetscFunctionReturn(0);
}

/* x less what the modes found have of it, by F, the LU factors of <left_i, right_j> */
static PetscErrorCode Project(FPGenerator gen, const PetscReal F[], const PetscBLASInt pivot[], PetscReal x[])
{
  const PetscInt n = gen->n, m = gen->modes;
  PetscReal     *share;
  PetscBLASInt   order, one = 1, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(m, &order));
  PetscCall(PetscCalloc1(m, &share));
  for (PetscInt i = 0; i < m; i++)
    for (PetscInt k = 0; k < n; k++) share[i] += gen->left[(size_t)i * n + k] * x[k];
  PetscCallBLAS("LAPACKgetrs", LAPACKgetrs_("N", &order, &one, F, &order, pivot, share, &order, &info));
  for (PetscInt i = 0; i < m; i++)
    for (PetscInt k = 0; k < n; k++) x[k] -= share[i] * gen->right[(size_t)i * n + k];
  PetscCall(PetscFree(share));
  PetscFunctionReturn(0);
}

/* LU factors of <left_i, right_j>; false where they say nothing */
static PetscErrorCode Products(FPGenerator gen, PetscReal F[], PetscBLASInt pivot[], PetscBool *regular)
{
  const PetscInt n = gen->n, m = gen->modes;
  PetscBLASInt   order, info;
  PetscReal      least = PETSC_MAX_REAL, most = 0;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(m, &order));
  for (PetscInt i = 0; i < m; i++)
    for (PetscInt j = 0; j < m; j++) {
      F[i + j * m] = 0;
      for (PetscInt k = 0; k < n; k++) F[i + j * m] += gen->left[(size_t)i * n + k] * gen->right[(size_t)j * n + k];
    }
  PetscCallBLAS("LAPACKgetrf", LAPACKgetrf_(&order, &order, F, &order, pivot, &info));
  for (PetscInt i = 0; i < m; i++) {
    least = PetscMin(least, PetscAbsReal(F[i + i * m]));
    most  = PetscMax(most, PetscAbsReal(F[i + i * m]));
  }
  *regular = (PetscBool)(info == 0 && most < SINGULAR * least);
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorSeekMissed(FPGenerator gen, EPS eps, PetscBool *missed, Vec x)
{
  const PetscInt n = gen->n, m = gen->modes;
  PetscReal     *F, growth = 0, farthest = 0, norm;
  PetscBLASInt  *pivot;
  PetscScalar   *a, shift;
  PetscBool      regular = PETSC_FALSE;
  Vec            y;
  ST             st;
  KSP            ksp;

  PetscFunctionBegin;
  PetscCall(EPSGetST(eps, &st));
  PetscCall(STGetKSP(st, &ksp));
  PetscCall(STGetShift(st, &shift));
  PetscCall(PetscMalloc2(m * m, &F, m, &pivot));
  PetscCall(Products(gen, F, pivot, &regular));
  PetscCall(VecDuplicate(x, &y));
  PetscCall(VecGetArray(x, &a));
  for (PetscInt k = 0; k < n; k++) a[k] = cos(2.0 + 7.7153 * k * (1 + 0.1 * sin(0.37 * k)));
  PetscCall(VecRestoreArray(x, &a));
  for (PetscInt step = 0; regular && step < STEPS; step++) {
    PetscCall(VecGetArray(x, &a));
    PetscCall(Project(gen, F, pivot, a));
    PetscCall(VecRestoreArray(x, &a));
    PetscCall(VecNormalize(x, NULL));
    PetscCall(KSPSolve(ksp, x, y));
    PetscCall(VecNorm(y, NORM_2, &norm));
    if (step >= STEPS / 2) growth += log(norm) / (STEPS - STEPS / 2);
    PetscCall(VecCopy(y, x));
  }
  for (PetscInt k = 0; k < m; k++) farthest = PetscMax(farthest, hypot(gen->rate[k] - shift, gen->frequency[k]));
  *missed = (PetscBool)(regular && exp(growth) * FASTER * farthest > 1);
  PetscCall(VecDestroy(&y));
  PetscCall(PetscFree2(F, pivot));
  PetscFunctionReturn(0);
}

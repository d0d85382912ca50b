/* solveimpl.h: what the files that find modes and laws share. */
#ifndef FPSOLVEIMPL_H
#define FPSOLVEIMPL_H
#include "generatorimpl.h"

#define FP_SHIFT 1e-2 /* of the rate scale: close to 0 on the side where the factorisation cannot break down */

/* solver.c: the sharpness of the minimum, where there is one, else 1; and the `wanted` slowest modes of A, the matrix
   of the chain or P of a discrete one. more: a vector added to the start, NULL: nothing. Fewer may have converged.
   Errors: PETSc's where no attempt succeeds. */
PETSC_INTERN PetscErrorCode FPGeneratorRateScale(FPGenerator gen, PetscReal *scale);
PETSC_INTERN PetscErrorCode FPGeneratorSolveModes(FPGenerator gen, Mat A, PetscInt wanted, Vec more, EPS *eps);
/* modes.c: the first `modes` of eps into gen->rate and the like, ascending; adjoint: of P^T, else NULL */
PETSC_INTERN PetscErrorCode FPGeneratorStoreModes(FPGenerator gen, EPS eps, EPS adjoint, Mat A, PetscInt modes);
/* solve.c: in chains that are not symmetric, modes that eps missed, of the matrix A, are looked for (verify.c), and the
   `wanted` slowest found anew with what that gives to start from. */
PETSC_INTERN PetscErrorCode FPGeneratorSolveAgain(FPGenerator gen, Mat A, PetscInt wanted, EPS *eps);
/* stationary.c: gen->stationary[n], of sum 1, by the factors of eps */
PETSC_INTERN PetscErrorCode FPGeneratorStoreStationary(FPGenerator gen, EPS eps, Mat A);
#endif

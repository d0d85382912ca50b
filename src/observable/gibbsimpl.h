/* gibbsimpl.h: integrals over a prior, for free_energy.c: laws of products of normal variables, nested quadrature, and
   the networks whose Gibbs law reduces to few variables. n = e^{log_n} is 1/T. */
#ifndef GIBBSIMPL_H
#define GIBBSIMPL_H
#include "observableimpl.h"

/* What one integral gives: ln Z, the coefficient -d ln Z/d ln n and its derivative by ln n. */
typedef struct {
  PetscReal log_z, coefficient, slope;
} FPGibbsAnswer;

/* loglaw.c: density[k] e^u of u = ln |product of standard normal variables| at u = (k - origin) h; NULL: the product of
   none, u = 0 surely. Densities are kept divided by e^u, so that nothing underflows where they fall like e^u. */
typedef struct {
  PetscInt   n, origin, last; /* last: beyond it the density is below 1e-30 */
  PetscReal  h, *density;
  PetscReal *log_density, *fall; /* for FPLogLawAt(): ln density, -d ln density/du; NULL until asked for */
} FPLogLaw;
PETSC_INTERN PetscErrorCode FPLogLawCreate(PetscInt factors, PetscReal h, PetscReal lower, FPLogLaw *law);
PETSC_INTERN PetscErrorCode FPLogLawSmooth(PetscInt factors, FPLogLaw *law); /* fills log_density and fall */
PETSC_INTERN PetscErrorCode FPLogLawDestroy(FPLogLaw *law);
PETSC_INTERN PetscReal      FPLogLawEnd(const FPLogLaw *law); /* largest u that matters */
/* density without e^u between lattice points, by polynomials of degree 7 through its logarithm; 0 beyond the end */
PETSC_INTERN PetscReal FPLogLawAt(const FPLogLaw *law, PetscReal u, PetscReal *fall);

/* nested.c: adaptive integration of e^weight over v[0], v[1], ..., dim <= 3, the range of v[k] depending on those
   before it. edges: ascending ends of panels of v[k], returns how many; node: weight, and (dF/dl)/F and (d^2 F/dl^2)/F
   of the integrand F = e^weight by a parameter l. Answer: of the integral Z(l). Called from threads. */
#define FP_EDGES 24
typedef struct {
  PetscInt dim;
  PetscInt (*edges)(const void *context, PetscInt k, const PetscReal v[], PetscReal edge[FP_EDGES]);
  PetscReal (*node)(const void *context, const PetscReal v[], PetscReal slope[2]);
  const void *context;
  PetscReal   tolerance; /* relative, of the difference of two rules whose better one is kept */
} FPNested;
PETSC_INTERN FPGibbsAnswer FPNestedIntegrate(const FPNested *nested);
/* Sort edges, drop those outside [low, high] and those closer than `apart` to the one before; both ends are added. */
PETSC_INTERN PetscInt FPNestedEdges(PetscReal low, PetscReal high, PetscReal apart, PetscInt n, const PetscReal at[],
                                    PetscReal edge[FP_EDGES]);

/* ln of I_0(w) e^{-w}; first: w d/dw of it, second: w^2 d^2/dw^2 of it */
PETSC_INTERN PetscReal FPLogBessel(PetscReal w, PetscReal *first, PetscReal *second);

/* A Gibbs law over N(0, I) in all weights that nested quadrature integrates. */
typedef struct _p_FPGibbs *FPGibbs;
struct _p_FPGibbs {
  PetscErrorCode (*integrate)(FPGibbs, PetscBool fine, PetscReal log_n, FPGibbsAnswer *); /* two resolutions */
  PetscErrorCode (*destroy)(FPGibbs);
  /* limits: logarithms of n remain at any n (in 1/ln n), or powers of n^{-1/2} only, to be seen from log_first on */
  PetscBool logarithmic;
  PetscReal log_first;
  void     *data;
};
/* Quadratic form of one network in units where the prior is N(0, I): excess loss of the map M, tr (M - A) C (M -
   A)^T/2. reach: the largest ln n that will be asked for. */
typedef struct {
  PetscInt  inputs, targets, depth;
  PetscReal C[FP_MAX_MAP * FP_MAX_MAP], A[FP_MAX_MAP * FP_MAX_MAP]; /* [inputs][inputs], [targets][inputs] */
  PetscReal reach;
} FPGibbsForm;
PETSC_INTERN PetscErrorCode FPGibbsCreate_Factorisation(const FPGibbsForm *form, FPGibbs *gibbs);
PETSC_INTERN PetscErrorCode FPGibbsCreate_Symmetric(const FPGibbsForm *form, PetscInt rank, FPGibbs *gibbs);
PETSC_INTERN PetscErrorCode FPGibbsCreate_Diagonal(const FPGibbsForm *form, FPGibbs *gibbs);

/* Lower triangular F with F F^T = Q of m x m, false where Q is not positive definite; then Q^{-1} b in place. */
PETSC_INTERN PetscBool FPGibbsFactor(PetscInt m, const PetscReal Q[], PetscReal F[]);
PETSC_INTERN void      FPGibbsSolve(PetscInt m, const PetscReal F[], PetscReal b[]);

/* C = c I + E(x, y), E(x, y) = [[x, y], [y, -x]], of a symmetric 2 x 2 matrix: its eigenvalues are c +- |(x, y)| */
typedef struct {
  PetscReal c, x, y;
} FPSpin;
static inline FPSpin FPSpinOf(PetscReal a, PetscReal b, PetscReal d)
{
  return (FPSpin){0.5 * (a + d), 0.5 * (a - d), b}; /* [[a, b], [b, d]] */
}
#endif

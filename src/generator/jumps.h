/* jumps.h: the generator of stable noise on a lattice, in one or two dimensions, as rates of jumps.

   Noise with E exp(i k.L_t) = exp(-t |k|^alpha) (isotropic) or exp(-t sum_a |k_a|^alpha) (independent components). On
   the lattice its generator is minus the power alpha/2 of the discrete Laplacian, or the sum of those of the axes: a
   walk with a random clock, so every rate is positive; second order in h; the usual stencil at alpha = 2.
   A jump from node x happens at rate[x] = sigma(x)^alpha times the lattice's rate. What leaves the box depends on the
   kind of the boundary. Products cost O(n log n), by FFTW with plans that do not depend on the machine's history. */
#ifndef FPJUMPS_H
#define FPJUMPS_H
#include "fpprocess.h"
#include <petscksp.h>

#define FP_JUMPS_FAR 8.0 /* cells: boundaries that are so near along one axis only are along the other */

typedef struct {
  PetscInt    dim, cells[2];
  PetscReal   h[2], alpha; /* alpha in (0, 2] */
  PetscBool   independent;
  FPBoundary  boundary;
  const char *live;      /* [lattice]: nodes that are unknowns, first coordinate fastest; jumps to others kill.
                            NULL: all */
  const PetscReal *rate; /* [n]: sigma^alpha; NULL: 1 */
  const PetscReal *cut;  /* [2 dim][n], first below, then above, of every axis: where a killing boundary lies, in cells
                            from the unknown; 1 or more: not before the next node, which is an unknown; FP_JUMPS_FAR:
                            no matter where. NULL: nothing is known of the boundary within a cell */
} FPJumpsSetting;

typedef struct _p_FPJumps *FPJumps;

PETSC_INTERN PetscErrorCode FPJumpsCreate(const FPJumpsSetting *setting, FPJumps *jumps);
/* First live node's distance from a killing wall in spacings, 1/2 + alpha/4. */
PETSC_INTERN PetscReal FPJumpsDelta(PetscReal alpha);
/* A line: what the cell of a node at the distance t lacks, in spacings, so that sums over `count` nodes of products of
   two modes are their integrals. */
PETSC_INTERN PetscReal FPJumpsLayer(PetscReal alpha, PetscReal t, PetscReal count);
/* y = Q x (functions), or Q^T x (measures); x and y, of n numbers, may be the same. */
PETSC_INTERN PetscErrorCode FPJumpsApply(FPJumps jumps, PetscBool transposed, const PetscReal x[], PetscReal y[]);
PETSC_INTERN PetscReal      FPJumpsRate(FPJumps jumps, PetscInt i, PetscInt j); /* of jumps i -> j, i != j */
/* Of every unknown: rate of all jumps to other unknowns, and of being killed; [n], lent. */
PETSC_INTERN PetscErrorCode FPJumpsGetOutflow(FPJumps jumps, PetscInt *n, const PetscReal **out,
                                              const PetscReal **kill);
/* Rates at which jumps end below and above the box along each axis, where they are killed; corners count half for each
   of their two axes. landing[2 dim][n]. What kill has beyond their sum lands on dead nodes of the box. */
PETSC_INTERN PetscErrorCode FPJumpsLanding(FPJumps jumps, PetscReal landing[]);
/* y[n]: from every unknown, the sum over dead nodes of the box of the rate of landing there times value[lattice]. */
PETSC_INTERN PetscErrorCode FPJumpsDead(FPJumps jumps, const PetscReal value[], PetscReal y[]);
/* Pairs of unknowns, each once, with the rates of both ways */
typedef struct {
  PetscInt   count, *i, *j;
  PetscReal *qij, *qji;
} FPJumpsPairs;
PETSC_INTERN PetscErrorCode FPJumpsPairsCreate(PetscInt room, FPJumpsPairs *pairs); /* count = 0 */
PETSC_INTERN PetscErrorCode FPJumpsPairsFree(FPJumpsPairs *pairs);
/* Those between unknowns at most `distance` apart along every axis; FPJumpsPairsFree() is the caller's. */
PETSC_INTERN PetscErrorCode FPJumpsNear(FPJumps jumps, PetscInt distance, FPJumpsPairs *pairs);
PETSC_INTERN PetscErrorCode FPJumpsDestroy(FPJumps *jumps);

/* Solving (shift + local - Q) x = b. local: minus a sparse generator, seqaij or NULL; kept by reference. */
typedef enum {
  FP_JUMPS_TRIGONOMETRIC, /* sine transform of killed boxes, cosine transform of the others: the lattice's own symbol */
  FP_JUMPS_NEAR,          /* factors of local and the nearest jumps: where drift dominates */
  FP_JUMPS_MULTIGRID      /* where a region kills */
} FPJumpsPC;
PETSC_INTERN PetscErrorCode FPJumpsCreateOperator(FPJumps jumps, Mat local, PetscReal shift, Mat *A);
/* The same as a dense matrix. */
PETSC_INTERN PetscErrorCode FPJumpsCreateMatrix(FPJumps jumps, Mat local, PetscReal shift, Mat *A);
/* A[n][n], seqaij: what is given of one entry adds up. */
PETSC_INTERN PetscErrorCode FPMatrixOfEntries(PetscInt n, PetscCount entries, PetscInt row[], PetscInt column[],
                                              const PetscReal value[], Mat *A);
/* Minus the rates of the pairs beside the diagonal, seqaij; leaving: with their sums on the diagonal. */
PETSC_INTERN PetscErrorCode FPJumpsAssemble(const FPJumpsPairs *pairs, PetscInt n, const PetscReal diagonal[],
                                            PetscBool leaving, Mat *A);
/* Preconditioner for such a matrix A with jumps that it was made from; with local the kind FP_JUMPS_NEAR. */
PETSC_INTERN PetscErrorCode FPJumpsSetPC(Mat A, FPJumpsPC kind, PC pc);

/* jumpsweights.c */
/* weight[count], k = 0 .. count - 1: one-dimensional rates at distance k and unit spacing, weight[0] = 0; tail[k]: sum
   of those at distances above k to one side. Returns the rate of all jumps. */
PETSC_INTERN PetscReal FPJumpsWeights(PetscReal alpha, PetscInt count, PetscReal weight[], PetscReal tail[]);
/* Isotropic in the plane: weight[cells[1]][cells[0]] by displacement, *total the rate of all jumps. */
PETSC_INTERN PetscErrorCode FPJumpsWeightsPlane(PetscReal alpha, const PetscInt cells[2], const PetscReal h[2],
                                                PetscReal weight[], PetscReal *total);
/* The symbol of the walk: (sum_a (2 sin(theta_a/2)/h_a)^2)^(alpha/2), or the sum of powers. */
PETSC_INTERN PetscReal FPJumpsSymbol(const FPJumpsSetting *setting, const PetscReal theta[]);
#endif

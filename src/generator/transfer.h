/* transfer.h: what the files of the transfer operator share. One step of a discrete algorithm from z leads to a mixture
   of normal laws, component k of which is N(at_k, sd_k^2 along along^T + diag(normal^2)), normal >= injected. */
#ifndef FPTRANSFER_H
#define FPTRANSFER_H
#include "generatorimpl.h"
#include <gsl/gsl_integration.h>
#include <string.h>

typedef struct {
  PetscInt   dim, n, room;
  PetscReal *weight, *sd, *at[3]; /* [room]; sd is in units of `along` */
  PetscReal  along[3], normal[3], injected;
  PetscBool  line; /* all components lie on one line along `along` */
} FPMixture;
PETSC_INTERN PetscErrorCode FPMixtureAdd(FPMixture *mixture, PetscReal weight, const PetscReal at[], PetscReal sd);
PETSC_INTERN PetscErrorCode FPMixtureFree(FPMixture *mixture);

/* transferlaw.c: the law of one step. Spacing of the lattices that laws without density are put on: fineness, in
   standard deviations of the injected noise, and most, along the coordinates. Errors (user input): a law of which no
   step is known. */
typedef struct _p_FPStepLaw *FPStepLaw;
PETSC_INTERN PetscErrorCode  FPStepLawCreate(FPProcess process, const FPTransferOptions *options, PetscReal fineness,
                                             PetscReal most, FPStepLaw *law);
PETSC_INTERN void            FPStepLawCoarsen(FPStepLaw law); /* one moment less, where batches are told by theirs */
PETSC_INTERN PetscErrorCode  FPStepLawAt(FPStepLaw law, const PetscReal z[], FPMixture *mixture);
PETSC_INTERN PetscErrorCode  FPStepLawDestroy(FPStepLaw *law);
PETSC_INTERN PetscReal       FPStepLawInjected(FPStepLaw law); /* standard deviation along every coordinate */
PETSC_INTERN PetscBool       FPStepLawIsFinite(FPStepLaw law); /* finitely many maps: no normal variable */

/* gaussrule.c: Gauss's rule of the probability law whose orthonormal polynomials obey x p_k = off_{k+1} p_{k+1} +
   diagonal_k p_k + off_k p_{k-1}; both arrays are lost. And the rule of n nodes of a law on many more points. */
PETSC_INTERN PetscErrorCode FPGaussRule(PetscInt n, PetscReal diagonal[], PetscReal off[], PetscReal node[],
                                        PetscReal weight[]);
PETSC_INTERN PetscErrorCode FPGaussOfPoints(PetscInt points, const PetscReal x[], const PetscReal mass[], PetscInt n,
                                            PetscReal node[], PetscReal weight[]);

/* transferspan.c: on a line, the smallest interval that a law of finitely many maps never leaves, from a start near its
   attractor. Errors (user input): none inside the box. */
PETSC_INTERN PetscErrorCode FPStepLawInterval(FPStepLaw law, PetscReal start, const FPBox *box, PetscReal interval[2]);

/* batch.c: the law of the mean of `batch` independent draws from n atoms, times a coefficient, summed over one or two
   batches: exact where it has few atoms, else on a lattice of the given spacing, with its own mean and variance. The
   caller frees value and weight by PetscFree2(). */
typedef struct {
  PetscInt         n, batch, batches, order; /* order: 2, or 4, whose shares of a lattice keep third moments too */
  const PetscReal *atom, *share;
  PetscReal        coefficient[2], spacing;
} FPBatch;
/* Number of batches as multisets of n atoms; of two batches, of pairs. They are listed, in an order that the atoms have
   no part in, where spacing = 0. */
PETSC_INTERN PetscReal      FPBatchCount(PetscInt n, PetscInt batch, PetscInt batches);
PETSC_INTERN PetscErrorCode FPBatchLaw(const FPBatch *batch, PetscInt *count, PetscReal **value, PetscReal **weight);

/* transferorder.c: what cubics through four of n ascending knots, the two around a place and the next ones, add to the
   hats of a normal law on [lower, upper], into share[first .. last], which grows where needed; beyond the last knots
   they go on. rule: Gauss-Legendre nodes. And the law integrated on [lower, upper] against the polynomials that are 1
   at one of n Chebyshev points of that interval and 0 at the others: share[n]; factor[n]: their barycentric weights. */
PETSC_INTERN void FPHatCubic(const gsl_integration_glfixed_table *rule, const PetscReal knot[], PetscInt n,
                             PetscReal lower, PetscReal upper, PetscReal weight, PetscReal mean, PetscReal sd,
                             PetscReal share[], PetscInt *first, PetscInt *last);
PETSC_INTERN void FPChebyshevAdd(const gsl_integration_glfixed_table *rule, const PetscReal node[],
                                 const PetscReal factor[], PetscInt n, PetscReal lower, PetscReal upper,
                                 PetscReal weight, PetscReal mean, PetscReal sd, PetscReal share[],
                                 PetscReal work[]); /* work[n] */

/* transferhats.c: one axis of the grid with its walls, and normal laws integrated against piecewise linear functions on
   its nodes, cubics, or polynomials through all; beyond the last node before a wall, or before the boundary of a
   region, the first two go on as they are before it. */
typedef struct {
  PetscInt  first, count; /* nodes between the ends */
  PetscReal lower, upper;
} FPSegment;
typedef struct {
  PetscInt                       nodes, segments, low, high; /* low .. high: nodes of the weights last asked for */
  PetscReal                      lower, upper, *x, *weight;  /* [nodes]: where; weights last asked for */
  PetscReal                     *knot, *share; /* [nodes + 2]; order 0: knot holds the barycentric weights */
  PetscBool                      mirror[2];
  FPSegment                     *segment;
  PetscInt                       order; /* 2, 4, or 0: polynomials through all nodes */
  gsl_integration_glfixed_table *rule;
  PetscReal beyond; /* mass outside the box, before mirrors, of what was added since it was last set to 0 */
} FPHatAxis;
/* region: of one-dimensional grids, else NULL. */
PETSC_INTERN PetscErrorCode FPHatAxisCreate(FPGenerator gen, PetscInt axis, FPRegion region, FPHatAxis **hats);
/* The same on any ascending nodes x between walls */
PETSC_INTERN PetscErrorCode FPHatAxisCreateNodes(PetscInt nodes, const PetscReal x[], PetscReal lower, PetscReal upper,
                                                 const PetscBool mirror[2], PetscInt order, FPHatAxis **hats);
PETSC_INTERN void           FPHatAxisClear(FPHatAxis *hats);
PETSC_INTERN void           FPHatAxisAdd(FPHatAxis *hats, PetscReal weight, PetscReal mean, PetscReal sd);
/* The same on n ascending knots without walls, all within them: share[first .. last]. */
PETSC_INTERN void FPHatShares(const PetscReal knot[], PetscInt n, PetscReal mean, PetscReal sd, PetscReal share[],
                              PetscInt *first, PetscInt *last);
PETSC_INTERN PetscErrorCode FPHatAxisDestroy(FPHatAxis **hats);

/* exp(x) for x <= 0, of which what is below -700 counts as that, to 3e-16 of it, for loops that compilers vectorise:
   2^k times the series of exp(r) to degree 12, |r| < 0.35. */
static inline PetscReal FPExponential(PetscReal x)
{
  const PetscReal    shift = 0x1.8p52, y = x > -700 ? x : -700, k = y * M_LOG2E + shift, whole = k - shift;
  const PetscReal    r   = (y - whole * 0x1.62e42fefa38p-1) - whole * 0x1.ef35793c7673p-45;
  PetscReal          sum = 1 + r * (1. / 12), power;
  unsigned long long bits;

  sum = 1 + r * sum * (1. / 11);
  sum = 1 + r * sum * (1. / 10);
  sum = 1 + r * sum * (1. / 9);
  sum = 1 + r * sum * (1. / 8);
  sum = 1 + r * sum * (1. / 7);
  sum = 1 + r * sum * (1. / 6);
  sum = 1 + r * sum * (1. / 5);
  sum = 1 + r * sum * (1. / 4);
  sum = 1 + r * sum * (1. / 3);
  sum = 1 + r * sum * (1. / 2);
  sum = 1 + r * sum;
  memcpy(&bits, &k, sizeof(bits));
  bits = (bits + 1023) << 52;
  memcpy(&power, &bits, sizeof(power));
  return power * sum;
}

/* transferplane.c: one step in the plane as products of pieces: what a point of the law, widened by normal noise and
   mirrored by the walls, has in each of the nodes + 1 intervals between walls and nodes, as mass, and as piece of the
   polynomials of `terms` nodes that interpolate there. Noise counts as at least sd wide, so that an interval has no
   more than `widest` of it. */
#define FP_TERMS 4
typedef struct {
  PetscInt   nodes, *first;                /* points of quadrature on interval m: first[m] .. first[m + 1] - 1 */
  PetscReal *x, *end, *y, *weight, *shape; /* [nodes], [nodes + 2]; points, shape[point][terms] */
  PetscReal  sd;
  PetscBool  mirror[2];
  PetscInt   low, high, from, to, images, room; /* of the point at hand: intervals and nodes that it reaches; images */
  PetscReal *image, *mass, *piece, *row, wide;  /* [images], [nodes + 1], [nodes + 1][terms], [nodes], its width */
  PetscReal *density;                           /* at the points */
} FPPlaneAxis;
typedef struct {
  FPGenerator gen;
  PetscInt    terms;
  FPPlaneAxis axis[2];
} * FPPlane;
typedef struct _p_FPLanding *FPLanding;
PETSC_INTERN PetscErrorCode  FPPlaneCreate(FPGenerator gen, PetscReal injected, PetscReal widest, FPPlane *plane);
/* node[terms] of interval m of n nodes, and the values of its polynomials at y, the nodes being at x */
PETSC_INTERN void FPPlaneNodes(PetscInt m, PetscInt n, PetscInt node[]);
PETSC_INTERN void FPPlaneShapes(PetscInt n, const PetscReal x[], PetscInt m, PetscInt terms, PetscReal y,
                                PetscReal shape[]);
/* density[n] += weight times that of N(at, sd^2) at y[n] */
PETSC_INTERN void FPPlaneDensity(PetscInt n, const PetscReal y[], PetscReal at, PetscReal sd, PetscReal weight,
                                 PetscReal density[]);
/* From points without sd of their own into row[lattice], unless NULL, and landings; beyond: what is outside the box
   before it is mirrored. */
PETSC_INTERN PetscErrorCode FPPlaneStep(FPPlane plane, const FPMixture *points, const PetscReal normal[],
                                        PetscInt count, FPLanding landing[], PetscReal row[], PetscReal *beyond);
PETSC_INTERN PetscErrorCode FPPlaneDestroy(FPPlane *plane);

/* transferregion.c: steps in the plane that end in a set, or in its complement; alone: their probability is all that is
   asked for. FPLandingNodes(): beyond[unknowns of the whole box] = 0 for the nodes that interpolate there, else 1.
   FPLandingCollect(): of the last step, row[lattice], or NULL, and the probability. */
PETSC_INTERN PetscErrorCode FPLandingCreate(FPPlane plane, FPRegion set, PetscBool complement, PetscBool alone,
                                            FPLanding *landing);
PETSC_INTERN void           FPLandingNodes(FPLanding landing, PetscInt beyond[]);
PETSC_INTERN void           FPLandingClear(FPLanding landing);
PETSC_INTERN void           FPLandingAdd(FPLanding landing, PetscReal weight); /* the point at hand */
PETSC_INTERN void           FPLandingCollect(FPLanding landing, PetscReal row[], PetscReal *mass);
PETSC_INTERN PetscErrorCode FPLandingDestroy(FPLanding *landing);

/* 2, 4, or 0 for Chebyshev collocation, whose error falls faster than any power */
PETSC_INTERN PetscInt FPTransferOrder(const FPTransferOptions *options);
#define FP_TAIL 8.7 /* standard deviations beyond which a normal law has 3e-18 of its mass */

/* recombine.c: a law of two numbers, by points at[n][2] with positive weights of sum 1, and one with the same moments
   up to the degree that has no more points than those. FPPairsOfBatch(): the law of the mean of so many independent
   draws, in place of that of one. */
#define FP_PAIRS_DEGREE 15 /* at most */
typedef struct {
  PetscInt   n;
  PetscReal *at, *weight; /* from PetscMalloc2() */
} FPPairs;
PETSC_INTERN PetscErrorCode FPPairsRecombine(PetscInt degree, FPPairs *pairs);
PETSC_INTERN PetscErrorCode FPPairsOfBatch(PetscInt degree, PetscInt batch, FPPairs *pairs);
/* In place of the law of one: that of c_0 times one plus c_1 times another. */
PETSC_INTERN PetscErrorCode FPPairsOfTwo(PetscInt degree, const PetscReal c[2], FPPairs *pairs);
PETSC_INTERN PetscErrorCode FPPairsFree(FPPairs *pairs);

/* transferturn.c: a step as a rule of quadrature over batches: with probability weight to `at`, where noise N(0,
   diag(normal^2)) is yet to come, while small differences are multiplied by J[2][2]. fineness: times as many nodes of
   the rules. FPTurnsRefused(): why that is not known, or NULL; smooth: nor averaged over cells. The law is borrowed. */
typedef struct {
  PetscReal weight, at[2], J[4];
} FPTurn;
typedef struct {
  PetscInt  n, room;
  FPTurn   *turn; /* freed by the caller */
  PetscReal normal[2];
} FPTurnList;
typedef struct _p_FPTurns  *FPTurns;
PETSC_INTERN const char    *FPTurnsRefused(FPStepLaw law, PetscBool smooth);
PETSC_INTERN PetscErrorCode FPTurnsCreate(FPStepLaw law, FPTurns *turns);
PETSC_INTERN PetscErrorCode FPTurnsAt(FPTurns turns, const PetscReal z[], PetscReal fineness, FPTurnList *list);
PETSC_INTERN PetscErrorCode FPTurnsDestroy(FPTurns *turns);

/* transfer.c: P of one grid, as edges of rate P_ij/step, and its killing. Collocation has a mesh of its own, in the
   box, or on the interval of a law of finitely many maps. */
PETSC_INTERN PetscErrorCode FPTransferSetMesh(FPGenerator gen);
PETSC_INTERN PetscErrorCode FPGeneratorBuildTransfer(FPGenerator gen);
/* transferblocks.c: a 2-chain in p and q without injected noise: nodes on the line q = 0 in place of those of the box,
   and what a step from node k does there to functions g(p) q^m: row[n], with the mass beyond the box. */
typedef struct _p_FPBlocks *FPBlocks;
PETSC_INTERN PetscErrorCode FPTransferPlaceOnLine(FPGenerator gen);
PETSC_INTERN PetscErrorCode FPBlocksCreate(FPGenerator gen, FPStepLaw law, FPBlocks *blocks);
PETSC_INTERN PetscErrorCode FPBlocksRow(FPBlocks blocks, PetscInt k, PetscInt m, PetscReal row[], PetscReal *beyond);
PETSC_INTERN PetscErrorCode FPBlocksDestroy(FPBlocks *blocks);
/* transferevolve.c */
PETSC_INTERN PetscErrorCode FPTransferEvolve(FPGenerator gen, PetscBool backward, const PetscReal initial[],
                                             PetscInt count, const PetscReal times[], PetscReal out[],
                                             PetscReal error[]);
#endif

/* fpgenerator.h: the generator of an SDE, or the transfer operator of a discrete algorithm, on one grid as a
   continuous-time Markov chain: nonnegative rates, zero row sums (minus killing). One edge {i, j, q_ij, q_ji} is the
   source of everything: matrix, current, circulation, entropy production. Transfer operators of an order above 2 are
   signed matrices with the same row sums, and no chains. */
#ifndef FPGENERATOR_H
#define FPGENERATOR_H
#include "fpmesh.h"
#include "fpprocess.h"
#include "fpregion.h"
#include <petscmat.h>

typedef struct _p_FPGenerator *FPGenerator;

typedef struct {
  PetscInt  i, j;        /* unknowns; jumps i -> j at rate qij, j -> i at rate qji */
  short     offset[3];   /* lattice displacement from i to j */
  PetscReal qij, qji, P; /* P: integral of D^-1 v from i to j where it exists, ln(qij volume_i/(qji volume_j)) */
} FPEdge;

typedef struct {
  PetscInt  unknowns, edges, masked, closed_classes, widest; /* widest: longest offset, in cells */
  PetscReal worst_row_sum, most_negative_rate, largest_rate; /* row sum relative to the largest rate */
  /* under the stationary law, after FPGeneratorSolve(): mean of the largest eigenvalue of the diffusion that the
     stencil adds (w^2/time), and probability of the nodes whose stencil was narrowed */
  PetscReal added_diffusion, capped_share;
  /* share of each number of the stationary law that rounding may move between parts of a nearly reducible chain */
  PetscReal mixing_error;
  PetscBool metastable; /* more than that: the law is the one of the part around the start */
  PetscBool reversible, degenerate;
  PetscBool finite; /* discrete: finitely many maps, on the interval that they do not leave, which is the mesh's box */
  PetscBool interpolates; /* of order above 2: negative rates and probabilities occur, only row sums are a chain's */
  PetscInt  order; /* of h with which rates and laws converge, at least where cells are small; 0: faster than any power;
                      of SDEs after Solve() */
  PetscReal tail_mass; /* jumps that end at the walls of a confined line: what is beyond, of the whole law; else 0 */
  PetscInt  along; /* axis whose layers of cells hold one unknown each, where the law lives on a line; -1: nowhere so */
} FPGeneratorInfo;

/* Section transfer: discrete algorithms */
typedef struct {
  PetscInt nodes;              /* of a Gauss-Legendre panel */
  char     batch_law[FP_TEXT]; /* exact, gaussian */
  PetscInt order;              /* 2, 4 */
  char     scheme[FP_TEXT];    /* local, chebyshev */
} FPTransferOptions;

typedef struct {
  PetscInt          stencil_width; /* longest offset in cells; 0: chosen by the scheme */
  PetscBool         verify;
  PetscBool         whole;     /* rank-deficient D: the whole box, not the line that the law lives on */
  PetscBool         transient; /* no correction for slow modes, which would drive the law too fast down steep slopes */
  FPTransferOptions transfer;
} FPGeneratorOptions;
PETSC_EXTERN PetscErrorCode FPGeneratorOptionsRead(FPConfig config, FPGeneratorOptions *options);
PETSC_EXTERN PetscErrorCode FPGeneratorList(FILE *out);
PETSC_EXTERN PetscErrorCode FPTransferList(FILE *out);

/* Memory in bytes that one grid needs at its peak, so that a run can be refused before it starts; symmetric: for a
   process with a potential; jumps: for one with stable noise. */
PETSC_EXTERN PetscErrorCode FPGeneratorEstimate(FPMesh mesh, PetscInt level, PetscBool symmetric, PetscBool jumps,
                                                PetscReal *bytes);

/* Likewise, at most; line: the law lives on a line along the first axis. */
PETSC_EXTERN PetscErrorCode FPTransferEstimate(FPMesh mesh, PetscInt level, PetscBool line, PetscReal *bytes);

/* Is the law of a step of this discrete algorithm known? Else bad input, with the reason. */
PETSC_EXTERN PetscErrorCode FPTransferCheck(FPProcess process, const FPGeneratorOptions *options);

/* Discretise and check. Of a discrete algorithm the generator is (P - 1)/step, P its transfer operator, a stochastic
   matrix: rates are P_ij/step, modes and FPGeneratorEvolve() those of P itself. start: a point of the closed class
   wanted when there are several (NULL: the minimum). */
PETSC_EXTERN PetscErrorCode FPGeneratorCreate(FPProcess process, FPMesh mesh, PetscInt level,
                                              const FPGeneratorOptions *options, const PetscReal start[],
                                              FPGenerator *gen);
PETSC_EXTERN PetscErrorCode FPGeneratorGetInfo(FPGenerator gen, FPGeneratorInfo *info);
/* Name of the engine in results: "generator", or "transfer" where the process is discrete; time of its step, or 0. */
PETSC_EXTERN const char    *FPGeneratorEngine(FPGenerator gen);
PETSC_EXTERN PetscErrorCode FPGeneratorGetStep(FPGenerator gen, PetscReal *step);
/* Discrete: probability that a step from unknown k leaves the box, before walls mirror it; else NULL. */
PETSC_EXTERN PetscErrorCode FPGeneratorGetBeyond(FPGenerator gen, const PetscReal **beyond);
PETSC_EXTERN PetscErrorCode FPGeneratorGetProcess(FPGenerator gen, FPProcess *process);
/* In this and the next getters of several things, NULL stands for what is not wanted.
   What it was created with, to build another chain of the process on the same grid. */
PETSC_EXTERN PetscErrorCode FPGeneratorGetSetting(FPGenerator gen, FPMesh *mesh, PetscInt *level,
                                                  const FPGeneratorOptions **options);
PETSC_EXTERN PetscErrorCode FPGeneratorGetGrid(FPGenerator gen, PetscInt *dim, const PetscInt **cells,
                                               PetscReal *ratio);
/* Unknown k: lattice index node[k] (first coordinate fastest), coordinates z[i*n + k], measure of its cell, volume in
 * z. */
PETSC_EXTERN PetscErrorCode FPGeneratorGetNodes(FPGenerator gen, PetscInt *n, const PetscInt **node,
                                                const PetscReal **z, const PetscReal **measure,
                                                const PetscReal **volume);
/* unknown[cells of the lattice]: that of each, -1 where there is none; the inverse of node */
PETSC_EXTERN PetscErrorCode FPGeneratorGetUnknowns(FPGenerator gen, const PetscInt **unknown);
/* The point at shares u[dim] of the widths of unknown k's cell; of an unknown on a line, at share u[along] of its part
   of the line. */
PETSC_EXTERN void FPGeneratorPointInCell(FPGenerator gen, PetscInt k, const PetscReal u[], PetscReal point[]);
/* points[count][dim]: of the law p over the unknowns, stratified by cell, in an order that mixes the cells; the same
   seed gives the same points. */
PETSC_EXTERN PetscErrorCode FPGeneratorDraw(FPGenerator gen, const PetscReal p[], PetscInt count, PetscInt seed,
                                            PetscReal points[]);
PETSC_EXTERN PetscErrorCode FPGeneratorGetEdges(FPGenerator gen, PetscInt *n, const FPEdge **edge,
                                                const PetscReal **kill);
PETSC_EXTERN PetscErrorCode FPGeneratorAxis(FPGenerator gen, PetscInt axis, PetscReal center[],
                                            PetscReal width[]); /* [cells] */

/* The `pairs` slowest modes beyond the first, by SLEPc with options prefix "spectrum_" (once; later calls return what
   is there). Decay rates ascending, frequency = abs Im. Right vectors are eigenfunctions of the backward generator;
   left ones densities (sum over nodes). */
PETSC_EXTERN PetscErrorCode FPGeneratorSolve(FPGenerator gen, PetscInt pairs);
PETSC_EXTERN PetscErrorCode FPGeneratorGetModes(FPGenerator gen, PetscInt *count, const PetscReal **rate,
                                                const PetscReal **frequency, const PetscReal **residual);
PETSC_EXTERN PetscErrorCode FPGeneratorGetMode(FPGenerator gen, PetscInt k, const PetscReal **right,
                                               const PetscReal **left); /* real parts, [n] */
/* Discrete: eigenvalues of P, (real, imaginary) of every mode, |mu| falling; else NULL. */
PETSC_EXTERN PetscErrorCode FPGeneratorGetMultipliers(FPGenerator gen, const PetscReal **mu);
/* Discrete, coordinates invariant: (real, imaginary) of the `count` largest mu, |mu| falling, of the modes g(p) q^m. On
   q = 0 a step multiplies q by (1 - decay)^2 - eta^2 r^2 whatever q is near it, so that P is block triangular in powers
   of q, its smooth spectrum the union over m, and odd m are the modes that change sign as the two weights are
   exchanged. m = 0: those of FPGeneratorGetMultipliers(). */
PETSC_EXTERN PetscErrorCode FPGeneratorGetBlock(FPGenerator gen, PetscInt m, PetscInt count, PetscReal mu[]);
/* Probability of each cell, sum 1: stationary, or quasi-stationary where something is killed. */
PETSC_EXTERN PetscErrorCode FPGeneratorStationary(FPGenerator gen, const PetscReal **probability);
/* max abs ln(q_ij pi_i/(q_ji pi_j)) over edges with known pi, the distance from detailed balance; reversible processes
 * only. */
PETSC_EXTERN PetscErrorCode FPGeneratorDetailedBalance(FPGenerator gen, PetscReal *defect);

/* Current of a law pi on the edges, routed through cell faces (its divergence is exact): J[a*N + lattice] at cell
   centres as density in z (zero where masked); psi at corners for d = 2, [ (n0+1)*(n1+1) ] first coordinate fastest;
   NULL where not wanted. With jumps it takes all pairs of unknowns, seconds for
   FP_MOST_PAIRS. */
#define FP_MOST_PAIRS 4e8
typedef struct {
  PetscReal entropy_production, current_l1, max_curl, circulation, divergence_residual;
  PetscReal rounding;    /* of entropy_production, which detailed balance leaves nothing else of */
  PetscBool has_entropy; /* PETSC_FALSE where rates of one direction are missing, or drift goes against jumps alone */
} FPCurrentNumbers;
PETSC_EXTERN PetscErrorCode FPGeneratorCurrent(FPGenerator gen, const PetscReal pi[], PetscReal J[], PetscReal psi[],
                                               PetscReal curl[], FPCurrentNumbers *numbers);
/* The process killed when it leaves a region: cells whose centres lie outside are no unknowns, edges that cross the
   boundary at fraction theta kill at W B(-P)/theta, P up to the boundary, and cut cells have a smaller measure and
   volume; of the cells inside, those that can be reached from the start (NULL: the first critical point inside).
   closed_classes counts parts that are never left, where mean exit times are infinite. Errors (user input): fewer than
   4 cells inside, start outside the region or the mesh. */
PETSC_EXTERN PetscErrorCode FPGeneratorCreateKilled(FPProcess process, FPMesh mesh, PetscInt level,
                                                    const FPGeneratorOptions *options, const PetscReal start[],
                                                    FPRegion region, FPGenerator *gen);
/* Discrete: the normal law N(mean, sd^2) of a coordinate, or the point, as weights share[cells] of the nodes of an
   axis, by the interpolation that the operator is made of; walls mirror it or let it out. */
PETSC_EXTERN PetscErrorCode FPGeneratorShares(FPGenerator gen, PetscInt axis, PetscReal mean, PetscReal sd,
                                              PetscReal share[]);
/* y = Q x for functions (backward), or Q^T x for measures; what the process conserves is conserved to rounding. */
PETSC_EXTERN PetscErrorCode FPGeneratorApply(FPGenerator gen, PetscBool backward, const PetscReal x[], PetscReal y[]);
/* Discrete, in the plane, between reflecting walls: rate[count][n], probability over its time that a step from an
   unknown ends in each of the sets. */
PETSC_EXTERN PetscErrorCode FPGeneratorRatesInto(FPGenerator gen, PetscInt count, const FPRegion set[],
                                                 PetscReal rate[]);
/* Of a process with stable noise, rate[n] at which it is killed by ending where z_axis > level: in cells outside the
   region, or beyond a killing wall in one dimension (has = PETSC_FALSE in two); what drift and short jumps carry across
   the boundary ends where it began. */
PETSC_EXTERN PetscErrorCode FPGeneratorKillsAbove(FPGenerator gen, PetscInt axis, PetscReal level, PetscReal rate[],
                                                  PetscBool *has);
/* x = (shift - Q)^-1 rhs for functions (backward), or (shift - Q^T)^-1 rhs for measures; the factors of the last shift
   are kept. shift = 0 where nothing is killed: the solution of Poisson's equation that is 0 at the start's node, for
   rhs of stationary mean 0 or, of measures, sum 0. rhs and x may be the same. */
PETSC_EXTERN PetscErrorCode FPGeneratorInvert(FPGenerator gen, PetscBool backward, PetscReal shift,
                                              const PetscReal rhs[], PetscReal x[]);
/* Functions x[count][n] at once, overwritten; shift > 0, an SDE without jumps on one or two coordinates. */
PETSC_EXTERN PetscErrorCode FPGeneratorInvertColumns(FPGenerator gen, PetscReal shift, PetscInt count, PetscReal x[]);
/* Of a discrete algorithm: P^k between whole steps, with linear interpolation between two.
   out[t*n + k] = (exp(times[t] Q) initial)_k, or with Q^T for measures, with the Mittag-Leffler function in place of
   exp under a fractional clock; times ascending from 0 on. Shift-and-invert Krylov with one real pole: one
   factorisation and one basis serve all times. error[t]: estimate of the absolute error in the maximum (functions) or
   total variation (measures) norm. Measures keep their mass (unless killed) and nonnegativity to that error. */
PETSC_EXTERN PetscErrorCode FPGeneratorEvolve(FPGenerator gen, PetscBool backward, const PetscReal initial[],
                                              PetscInt count, const PetscReal times[], PetscReal out[],
                                              PetscReal error[]);
/* The same from ages[q] to ages[q] + lags[q] after a fractional clock started, in any order: out[q*n + k] is the mean
   of what `initial` evolves to over the lag, given what it is at the age. The ordinary clock knows no age. */
PETSC_EXTERN PetscErrorCode FPGeneratorEvolveAged(FPGenerator gen, PetscBool backward, const PetscReal initial[],
                                                  PetscInt count, const PetscReal ages[], const PetscReal lags[],
                                                  PetscReal out[], PetscReal error[]);
/* Discrete, two coordinates: mean of ln |v'|/|v| per unit of time over the stationary law of the point and the
   direction of a tangent vector v; error: of all but the grid, which takes as long again, NULL: not asked for. *reason:
   why there is none, or NULL. */
PETSC_EXTERN PetscErrorCode FPGeneratorGrowthRefused(FPGenerator gen, const char **reason);
PETSC_EXTERN PetscErrorCode FPGeneratorGrowth(FPGenerator gen, PetscReal *growth, PetscReal *error);
PETSC_EXTERN PetscErrorCode FPGeneratorDestroy(FPGenerator *gen);

/* Selling's decomposition (2-D, 3-D; 1-D is trivial): D = sum_k lambda_k e_k e_k^T, lambda_k >= 0, integer e_k. D[d*d]
   in lattice units. count <= d(d+1)/2. Source: Selling 1874; Conway and Sloane 1992; Bonnans, Ottenwaelter and Zidani
   2004. */
#define FP_MAX_OFFSETS 6
PETSC_EXTERN PetscErrorCode FPSelling(PetscInt dim, const PetscReal D[], PetscInt *count, PetscReal lambda[],
                                      short offset[][3]);
#endif

/* generatorimpl.h: the inside of FPGenerator. */
#ifndef FPGENERATORIMPL_H
#define FPGENERATORIMPL_H
#include "fpgenerator.h"
#include "jumps.h"
#include <slepceps.h>

#define FP_DIRECT_LIMIT                                                                                                \
  60000 /* unknowns of a symmetric problem in three dimensions beyond which multigrid replaces factors */

typedef struct {
  PetscInt  count;
  short     offset[FP_MAX_OFFSETS][3];
  PetscReal lambda[FP_MAX_OFFSETS];
} FPStencil;

struct _p_FPGenerator {
  FPProcess          process;
  FPModel            model;
  FPMesh             mesh, collocation; /* the second: mesh itself where it is one of Chebyshev points, owned */
  FPGeneratorOptions options;
  FPGeneratorInfo    info;
  PetscInt           dim, level, cells[3], stride[3], lattice; /* lattice: nodes of the whole box */
  PetscReal          h[3], ratio;                              /* spacing in xi, 1/cells */
  PetscReal          fill; /* rank-deficient D: diffusion added, of the largest eigenvalue */
  PetscBool          absorbing;
  PetscBool          deep;   /* are cells unknowns however little mass they have, for the modes that live there? */
  FPRegion           region; /* while the chain is built: killed outside; NULL: nowhere */
  PetscReal          start[3];
  /* unknowns */
  PetscInt   n, *node, *unknown; /* node[n]: lattice index; unknown[lattice]: -1 where masked */
  PetscReal *z, *slope;          /* [dim][n]: coordinates, dz/dxi */
  PetscReal *measure, *volume;   /* [n]: integral of the model's measure over the cell, volume in z */
  PetscInt   home;               /* the unknown nearest to the start */
  PetscReal *potential;          /* [n], NULL when the process has none */
  /* chain */
  PetscInt   edges, room;
  FPEdge    *edge;
  PetscReal *kill, *added; /* [n]: killing rate; largest eigenvalue of the diffusion that the stencil adds */
  char      *capped;       /* [n]: the stencil was narrowed */
  PetscReal  step;         /* time of a step of a discrete algorithm, whose chain has rates P_ij/step; 0: an SDE */
  PetscReal *beyond;       /* [n], discrete: probability of a step out of the box, before walls mirror it; else NULL */
  PetscReal *logpi;        /* [n], reversible chains: log of the stationary probability */
  FPJumps    jumps;        /* stable noise: to every node, beside the edges; else NULL */
  PetscReal *layer; /* [n], killed jumps on a line: what a node's share of products of two modes lacks; else NULL */
  /* modes */
  PetscBool  symmetric; /* were found in the symmetric form of a reversible chain */
  PetscInt   modes;
  PetscReal *rate, *frequency, *residual, *right, *left; /* right, left: [modes][n] */
  PetscReal *mu; /* [modes][2], discrete: eigenvalues of P, real and imaginary */
  PetscReal *stationary;
  /* evolve.c: factors of shift - Q, in the symmetric form where root, [n], the root of pi, is not NULL */
  Mat       shifted;
  KSP       solver;
  PetscReal shift, *root;
};

PETSC_INTERN PetscErrorCode FPGeneratorBuildNodes(FPGenerator gen);
PETSC_INTERN PetscErrorCode FPGeneratorIsDegenerate(FPGenerator gen, const PetscReal D[], PetscBool *degenerate);
/* D[dim][dim][n] in z -> stencils in cells; weights include the measure. */
PETSC_INTERN PetscErrorCode FPGeneratorBuildStencils(FPGenerator gen, const PetscReal D[], PetscBool measured,
                                                     FPStencil stencil[]);
PETSC_INTERN PetscErrorCode FPGeneratorBuildFitted(FPGenerator     gen,
                                                   const PetscReal D[]); /* exponentially fitted edges */
PETSC_INTERN PetscErrorCode FPGeneratorBuildDegenerate(FPGenerator gen, const PetscReal D[]); /* rank-deficient D */
/* Rank-one D: the line through the start that noise and drift do not leave, where there is one. */
PETSC_INTERN PetscErrorCode FPGeneratorBuildLine(FPGenerator gen, PetscBool *found);
/* Rate of a jump along a line to which the noise is tangent, from diffusion and drift at FP_LINE_PANELS + 1 points on
   it, in steps of that line: the fitted edge of one dimension, with the weights of fitted.c. 0: the noise vanishes. */
#define FP_LINE_PANELS 8
PETSC_INTERN PetscReal FPLineRate(const PetscReal lambda[], const PetscReal speed[], PetscBool transient);
/* Ito drift along axis a in cells per time, from b and D_aa in z. */
PETSC_INTERN PetscReal FPGeneratorLatticeDrift(FPGenerator gen, PetscInt a, PetscReal xi, PetscReal b, PetscReal D);
/* Integral of D^-1 v from node k along sign offset to a fraction of it, as its two halves; infinite where D becomes
   singular on the way. */
PETSC_INTERN PetscErrorCode FPGeneratorPartForce(FPGenerator gen, PetscInt k, const short offset[3], PetscInt sign,
                                                 PetscReal fraction, PetscReal *first, PetscReal *second);
PETSC_INTERN PetscErrorCode FPGeneratorKillOutside(FPGenerator gen); /* cut the edges that leave gen->region */
PETSC_INTERN PetscErrorCode FPGeneratorAddEdge(FPGenerator gen, const FPEdge *edge);
PETSC_INTERN PetscErrorCode FPGeneratorRestrictToClass(FPGenerator gen, const PetscReal start[]);
PETSC_INTERN PetscErrorCode FPGeneratorKeep(FPGenerator gen, const PetscInt component[], PetscInt wanted);
/* Keep what can be reached from the start inside gen->region. */
PETSC_INTERN PetscErrorCode FPGeneratorRestrictToReachable(FPGenerator gen, const PetscReal start[]);
PETSC_INTERN PetscErrorCode FPGeneratorRecogniseReversible(FPGenerator gen);
PETSC_INTERN PetscErrorCode FPGeneratorDropTails(FPGenerator gen, const PetscReal start[]);
/* -Q with its rates, or symmetrised with those of a reversible chain; direct solver or multigrid for such a matrix. */
PETSC_INTERN PetscErrorCode FPGeneratorAssemble(FPGenerator gen, PetscBool symmetric, PetscReal shift, PetscBool pinned,
                                                Mat *A); /* shift - Q; pinned: home is killed besides */
PETSC_INTERN PetscErrorCode FPGeneratorSetSolver(FPGenerator gen, PetscBool symmetric, PetscReal shift,
                                                 PetscBool pinned, KSP ksp);
/* verify.c. Symmetric form A: if a mode between the slowest and the fastest that eps found is missing, eps is replaced
   by a solver that found all; `below`: less than the slowest. Else: *missed, and x then has a share of the missing
   mode. */
PETSC_INTERN PetscErrorCode FPGeneratorFindMissed(FPGenerator gen, Mat A, PetscReal below, EPS *eps);
PETSC_INTERN PetscErrorCode FPGeneratorSeekMissed(FPGenerator gen, EPS eps, PetscBool *missed, Vec x);
PETSC_INTERN PetscInt       FPGeneratorNearest(FPGenerator gen, const PetscReal point[]); /* unknown */
/* stable.c: nodes, jumps and edges of a process with stable noise; the two above for it; y += factor Q x, or Q^T x, of
   its jumps without their killing, which is in gen->kill; nothing where there are none. */
PETSC_INTERN PetscErrorCode FPGeneratorCorrectRates(FPGenerator gen); /* for layers beside killing boundaries */
PETSC_INTERN PetscErrorCode FPGeneratorFindTailMass(FPGenerator gen); /* info.tail_mass, from the stationary law */
/* jumpflux.c: jumps under a law pi, added to the flux through upper faces, [dim][lattice], to the entropy production
   but for pairs that have an edge, and to the traffic. */
PETSC_INTERN PetscErrorCode FPGeneratorJumpFlux(FPGenerator gen, const PetscReal pi[], PetscReal flux[],
                                                PetscReal *entropy, PetscReal *through);
PETSC_INTERN PetscReal      FPGeneratorJumpsMemory(PetscReal n, PetscInt dim); /* bytes beyond those of edges */
PETSC_INTERN PetscErrorCode FPGeneratorBuildStable(FPGenerator gen);
PETSC_INTERN PetscErrorCode FPGeneratorRecogniseSymmetric(FPGenerator gen); /* reversible with a uniform law */
/* Preconditioner for more unknowns than are kept as a matrix */
PETSC_INTERN PetscErrorCode FPGeneratorSetStablePC(FPGenerator gen, PetscReal shift, PetscBool pinned, PC pc);
PETSC_INTERN PetscErrorCode FPGeneratorAssembleStable(FPGenerator gen, PetscReal shift, PetscBool pinned, Mat *A);
PETSC_INTERN PetscErrorCode FPGeneratorSetStableSolver(FPGenerator gen, PetscReal shift, PetscBool pinned, KSP ksp);
PETSC_INTERN PetscErrorCode FPGeneratorAddJumps(FPGenerator gen, PetscBool backward, PetscReal factor,
                                                const PetscReal x[], PetscReal y[]);
/* First column of f(t Q) for t Q = tau (I - H^-1), H[m*m] by columns: what evolve.c needs to know of f. */
typedef PetscErrorCode (*FPSmallFunction)(PetscInt m, const PetscReal H[], PetscReal tau, void *context, PetscReal y[]);
/* The Mittag-Leffler function E_beta(t Q); context: beta, a PetscReal. */
PETSC_INTERN PetscErrorCode FPSmallMittagLeffler(PetscInt m, const PetscReal H[], PetscReal tau, void *context,
                                                 PetscReal y[]);
PETSC_INTERN PetscErrorCode FPGeneratorForget(FPGenerator gen); /* the factors */
/* Position of a node on the lattice, and the neighbour at an offset: its unknown, or -1 with the reason. */
typedef enum { FP_INSIDE, FP_MASKED, FP_BEYOND_REFLECTING, FP_BEYOND_ABSORBING } FPWhere;
PETSC_INTERN FPWhere FPGeneratorNeighbour(FPGenerator gen, PetscInt k, const short offset[3], PetscInt sign,
                                          PetscInt *neighbour, PetscReal *fraction);

/* z/(e^z - 1) */
static inline PetscReal FPBernoulli(PetscReal z)
{
  return PetscAbsReal(z) < 1e-8 ? 1 - z / 2 : z / expm1(z);
}
/* min(sinh(|P|/2)/(|P|/2), 5/4): part of the factor c of fitted.c, with P the sum of its halves */
static inline PetscReal FPFittedGrowth(PetscReal P)
{
  const PetscReal half = PetscAbsReal(P) / 2;

  return half < 1e-4 ? 1 : half > 3 ? 1.25 : PetscMin(sinh(half) / half, 1.25);
}
static inline PetscReal FPFittedFactor(PetscReal first, PetscReal second)
{
  return PetscClipInterval(exp((first - second) / 2), 0.5, 2.0) * FPFittedGrowth(first + second);
}
#endif

/* modelimpl.h: what a type of model provides. A network gives its end-to-end matrix M and two derivatives; network.c
   derives everything else from them and from the moments of the data. All functions below that return void are called
   with at most FP_BLOCK points, structures of arrays with exactly n lanes, and on the weights w. */
#ifndef MODELIMPL_H
#define MODELIMPL_H
#include "fpmodel.h"

typedef void (*FPKernel)(FPModel model, int n, const double *w, double *out);

typedef struct {
  FPKernel map, jacobian;                                                  /* M [nm], dM_a/dw_k [nm][d] */
  void (*second)(FPModel model, int n, const double *w, int a, double *H); /* d^2 M_a/dw_k dw_l [d][d] of one entry */
  FPKernel loss, gradient, hessian, covariance, divergence, factor;        /* NULL: those of a network */
  void (*sample)(FPModel model, int n, const double *w, const double *x, const double *y, double *g); /* likewise */
  /* of coordinates that are a map of the weights; NULL otherwise */
  FPKernel lift, project, push, measure;
  void (*pushsecond)(FPModel model, int n, const double *w, const double *D, double *c);
  double (*measurebox)(const double lower[], const double upper[]);
  FPKernel full; /* all weights w[full][n] at a point of reduced coordinates; NULL: nothing is reduced */
  PetscErrorCode (*name)(FPModel model, PetscInt i, char name[]); /* of coordinate i */
  /* Where Newton starts to look for critical points, [count][weights], PetscMalloc1(); NULL: a tensor grid. */
  PetscErrorCode (*starts)(FPModel model, PetscInt *count, PetscReal **w);
  PetscErrorCode (*defect)(FPModel model, const PetscReal w[], PetscReal *defect); /* NULL: 0 */
  PetscErrorCode (*destroy)(FPModel model);                                        /* frees impl */
} FPModelOps;

struct _p_FPModel {
  char       type[FP_TEXT], coordinates[FP_TEXT];
  FPModelOps ops;
  PetscInt   dim, weights, depth, rank;
  PetscInt   full;                  /* weights of the network behind reduced coordinates */
  PetscInt   inputs, targets, maps; /* maps = inputs * targets, at most FP_MAX_MAP */
  PetscInt   channels;
  double     metric;
  PetscBool  reachable; /* every matrix is M(w) for some w, whatever the law of the data */
  PetscBool  potential;
  PetscBool  benign;   /* no local minimum of the loss is above the global one */
  PetscBool  isolated; /* starts lead to the representatives of a continuum of critical points that are to be listed */
  FPTraining training;
  FPSampler  sampler; /* of one (x, y) */
  void      *impl;
  /* network.c; with R = M - best and rho = y - best x: */
  FPData data;
  double best[FP_MAX_MAP];            /* least squares M, of smallest norm */
  double xx[FP_MAX_MAP * FP_MAX_MAP]; /* E x x^T */
  /* Cov(G_ij, G_kl) = sum R_ia R_kc quadratic[j][l][a][c] - sum R_ia linear[j][kl][a] - sum R_kc linear[l][ij][c]
     + noise[ij][kl]; the three are covariances of x_a x_j, x_c x_l, rho_i x_j */
  double  noise[FP_MAX_MAP][FP_MAX_MAP];
  double  linear[FP_MAX_MAP][FP_MAX_MAP][FP_MAX_MAP];
  double  quadratic[FP_MAX_MAP][FP_MAX_MAP][FP_MAX_MAP][FP_MAX_MAP];
  double  residual;       /* E |rho|^2 / 2: the smallest L of any matrix */
  double  gap;            /* smallest L of the model minus that */
  FPModel other[FP_LAWS]; /* NULL until asked for; they share impl */
  /* critical.c */
  PetscInt         points;
  FPCriticalPoint *point; /* NULL until asked for */
};

#define FP_MODEL(name, type, parameters, help)                                                                         \
  PETSC_INTERN PetscErrorCode    FPModelCreate_##type(FPModel model, FPConfig config);                                 \
  PETSC_INTERN const FPParameter parameters[];
#include "modellist.h"
#undef FP_MODEL

/* network.c: sizes and moments from model->data (checked against what the type takes; 0 inputs: any number), and the
   derived functions that the type left NULL. To be called at the end of FPModelCreate_TYPE(). */
PETSC_INTERN PetscErrorCode FPNetworkCheckSizes(FPModel model, PetscInt inputs, PetscInt targets);
PETSC_INTERN PetscErrorCode FPNetworkSetUp(FPModel model);
/* Part of it: data, best, xx and residual are those of a law of which second moments are known; no gap yet. */
PETSC_INTERN PetscErrorCode FPNetworkSetLaw(FPModel model, FPData data);
/* Lower triangular F with F F^T = C, semidefinite C: a pivot below rounding gives a zero column. [m][m] matrices. */
PETSC_INTERN void FPCholesky(int m, int n, const double *C, double *F);

/* invariant.c: the coordinates (p, q) of the chain of depth 2. */
PETSC_INTERN PetscErrorCode FPModelSetInvariant(FPModel model);

/* critical.c */
PETSC_INTERN PetscErrorCode FPModelFindCriticalPoints(FPModel model);
PETSC_INTERN PetscErrorCode FPModelFindGap(FPModel model); /* model->gap, by minimisation */
/* Zeros a > 0 of s (a^L - target) a^{L-1} + decay a, the larger last: the modulus of L equal factors of one mode at its
   critical points, s the second moment of its input. At most two, by Descartes' rule of signs; their number. */
PETSC_INTERN PetscInt FPModelModuli(PetscInt L, PetscReal s, PetscReal target, PetscReal decay, PetscReal root[2]);
#endif

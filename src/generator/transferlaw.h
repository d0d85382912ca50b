/* transferlaw.h: the inside of FPStepLaw, for the files that say what a step does: where it leads (transferlaw.c,
   transferchi.c), and how it turns and stretches small differences (transferturn.c). */
#ifndef FPTRANSFERLAW_H
#define FPTRANSFERLAW_H
#include "transfer.h"

#define MOST_BATCHES 2000 /* of rows, listed one by one */

/* gd; the normal law of the mean and covariance; Gaussian inputs; signs; rows of a file; nodes that have the moments of
   gradients that are vectors */
typedef enum { LAW_MEAN, LAW_NORMAL, LAW_CHI, LAW_SIGNS, LAW_ROWS, LAW_PAIRS } LawKind;

struct _p_FPStepLaw {
  LawKind    kind;
  FPModel    model;
  FPTraining training;
  PetscInt   dim, rows, inputs, targets, batches, nodes, order, degree; /* degree: of moments, LAW_PAIRS */
  PetscBool  scalar, collocates, mapped;
  PetscReal  metric, h, injected, coefficient[2], fineness, most;
  PetscReal  s, A, sigma;   /* of one input and one target */
  PetscReal *u, *share;     /* rows (x, y) of a file, [rows][inputs + targets] */
  PetscReal *atom;          /* [rows] */
  double    *node, *weight; /* Gauss-Legendre on (-1, 1), [nodes] */
};

/* One component: the scalar variable of mean G and standard deviation sd moves z, at rest, by -G along */
PETSC_INTERN PetscErrorCode FPStepLawAdd(FPStepLaw law, const PetscReal rest[], PetscReal weight, PetscReal G,
                                         PetscReal sd, FPMixture *mixture);
/* transferchi.c: all components where inputs are Gaussian. length: of `along`; M: what the map is at z */
PETSC_INTERN PetscErrorCode FPStepLawAddChi(FPStepLaw law, const PetscReal rest[], PetscReal length, PetscReal M,
                                            FPMixture *mixture);
#endif

/* transferlaw.h: the inside of FPStepLaw, for the two files that say what a step does: where it leads
   (transferlaw.c), and how it turns and stretches small differences (transferturn.c). */
#ifndef FPTRANSFERLAW_H
#define FPTRANSFERLAW_H
#include "transfer.h"

#define MOST_BATCHES 2000 /* of rows, listed one by one */

/* gd; the normal law of the mean and covariance; Gaussian inputs; signs; rows of a file */
typedef enum { LAW_MEAN, LAW_NORMAL, LAW_CHI, LAW_SIGNS, LAW_ROWS } LawKind;

struct _p_FPStepLaw {
  LawKind    kind;
  FPModel    model;
  FPTraining training;
  PetscInt   dim, rows, inputs, targets, batches, nodes, order;
  PetscBool  scalar, collocates, mapped;
  PetscReal  metric, h, injected, coefficient[2], fineness, most;
  PetscReal  s, A, sigma;   /* of one input and one target */
  PetscReal *u, *share;     /* rows (x, y) of a file, [rows][inputs + targets] */
  PetscReal *atom;          /* [rows] */
  double    *node, *weight; /* Gauss-Legendre on (-1, 1), [nodes] */
};
#endif

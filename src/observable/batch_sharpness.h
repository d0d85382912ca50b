/* batch_sharpness.h: E g_B.H_B g_B/E |g_B|^2 over mini-batches of the training's size: gradient and Hessian of V of the
   same batch, along which a step goes. */
#ifndef FPBATCHSHARPNESS_H
#define FPBATCHSHARPNESS_H
#include "observableimpl.h"

typedef struct {
  FPModel    model; /* whose coordinates are all the weights, or a map of them */
  FPTraining training;
  PetscBool  whole; /* one batch of all the data: gradient descent */
  PetscInt   weights, inputs, targets, count,
      stride;           /* stride: of the lanes where particles take expectations; 0: draw */
  PetscReal *u, *share; /* nodes (x, y) of the data, exact for products of 3 gradients; NULL: the noise is additive */
  FPSampler  sampler;
} FPBatchSharpness;

PETSC_INTERN PetscErrorCode FPBatchSharpnessSetUp(FPModel model, FPProcess process, FPBatchSharpness *s);
PETSC_INTERN PetscErrorCode FPBatchSharpnessFree(FPBatchSharpness *s);
/* Both expectations, exactly, at n <= FP_BLOCK points w[weights][n]. */
PETSC_INTERN void FPBatchSharpnessAt(const FPBatchSharpness *s, int n, const double w[], double curvature[],
                                     double square[]);
/* One batch each for the lanes of a block at w[weights][FP_BLOCK], or expectations at some of them: sums over them.
   draw: which batch of the step. */
PETSC_INTERN void FPBatchSharpnessDraw(const FPBatchSharpness *s, const FPMove *move, PetscInt draw, const double *w,
                                       double *curvature, double *square);
#endif

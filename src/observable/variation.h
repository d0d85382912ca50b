/* variation.h: total variation between laws on the cells of a generator. */
#ifndef FPVARIATION_H
#define FPVARIATION_H
#include "observableimpl.h"

#define FP_MIXED 0.25 /* of TV, at the mixing time */

/* The grid as far as distances need it, and the law they are taken to. */
typedef struct {
  PetscInt         dim, n;
  const PetscInt  *cells, *node, *unknown; /* unknown[lattice], -1: none */
  const PetscReal *volume, *pi;
  PetscReal       *d; /* [n]: room for the difference of the densities */
} FPGround;

PETSC_INTERN PetscErrorCode FPGroundCreate(FPGenerator gen, FPGround *ground); /* the caller frees d */
/* p[n] need not be normalised: killed at absorbing walls, it is conditional on survival. */
PETSC_INTERN PetscReal FPGroundVariation(const FPGround *ground, const PetscReal p[]);
/* When TV comes down to FP_MIXED from a law[n]. scale: about how long that takes. *time < 0: not found. */
PETSC_INTERN PetscErrorCode FPGroundTime(FPGenerator mover, const FPGround *ground, const PetscReal law[],
                                         PetscReal scale, PetscReal *time, PetscReal *error);
/* Total variation by particles, from the differences d of two halves of them in one bin: the plain estimate of a sum of
   absolute values is too large by its noise, the split one, with the sign from one half and the difference from the
   other, too small. sign[3] of both halves together, the first, the second: set where `all`, kept where a group is left
   out. A sign that turned then would be multiplied by the number of groups in the jackknife's correction, and not in
   its error. */
PETSC_INTERN void FPVariationAdd(const PetscReal d[2], PetscBool all, signed char sign[3], PetscReal *plain,
                                 PetscReal *split);
#endif

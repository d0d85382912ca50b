/* exitgenerator.h: what the files of exit share that ask a generator. `killed` is that of the process killed where it
   leaves the region, `mean` the mean exit time from the start, by which residuals become errors. */
#ifndef FPEXITGENERATOR_H
#define FPEXITGENERATOR_H
#include "exitimpl.h"

#define FP_EXIT_NODES 6 /* per axis of the interpolation, far beyond the second order of the grid */

/* Weights at the start for values on the unknowns of a killed generator, outside of which functions vanish. */
typedef struct {
  PetscInt  n, node[FP_EXIT_NODES * FP_EXIT_NODES * FP_EXIT_NODES];
  PetscReal weight[FP_EXIT_NODES * FP_EXIT_NODES * FP_EXIT_NODES];
} FPExitStencil;

/* The slowest mode at the start: weight, rate in the chain that moves, and the better one. */
typedef struct {
  PetscReal weight, rate, better;
} FPExitSlowMode;

static inline PetscReal FPExitAt(const FPExitStencil *s, const PetscReal value[])
{
  PetscReal sum = 0;

  for (PetscInt k = 0; k < s->n; k++) sum += s->weight[k] * value[s->node[k]];
  return sum;
}

/* exit_start.c: the best stencil whose cells are all unknowns of `killed`; and x[n] = -Q^-1 rhs, residual: of any
   component. Times the mean exit time from a node that is as far as the solver may be off there, by the maximum
   principle. */
PETSC_INTERN PetscErrorCode FPExitBuildStencil(const FPExit *e, FPGenerator killed, FPMesh mesh, FPExitStencil *s);
PETSC_INTERN PetscErrorCode FPExitSolve(FPGenerator killed, const PetscReal rhs[], PetscReal x[], PetscReal *residual);
/* exit_survival.c: survival[t=..] and median_time */
PETSC_INTERN PetscErrorCode FPExitAddSurvival(const FPExit *e, FPGenerator killed, const FPExitStencil *s,
                                              const FPExitSlowMode *slow, PetscReal mean, FPQuantities *q);
/* exit_where.c: fraction_negative_curvature; landing_above[i]; overshoot[x=..], of stable noise; committor */
PETSC_INTERN PetscErrorCode FPExitAddNegative(const FPExit *e, FPGenerator killed, const FPExitStencil *s,
                                              FPQuantities *q);
PETSC_INTERN PetscErrorCode FPExitAddLanding(const FPExit *e, FPGenerator killed, const FPExitStencil *s,
                                             PetscReal mean, FPQuantities *q);
PETSC_INTERN PetscErrorCode FPExitAddOvershoots(FPObservable obs, FPGenerator gen, FPGenerator killed,
                                                const FPExitStencil *s, PetscReal mean, FPQuantities *q);
/* exit_steps.c: of a discrete algorithm in the plane, all but the last by the places where steps land */
PETSC_INTERN PetscErrorCode FPExitAddStepLandings(const FPExit *e, FPGenerator killed, FPMesh mesh,
                                                  const FPExitStencil *s, PetscReal mean, FPQuantities *q);
PETSC_INTERN PetscErrorCode FPExitAddCommittor(const FPExit *e, FPGenerator gen, FPGenerator killed, PetscReal mean,
                                               FPQuantities *q);
#endif

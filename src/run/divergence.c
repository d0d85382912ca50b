/* divergence.c: does a discrete algorithm stay in the box? A law that can be normalised is never left to more than its
   tails in a box that is wide enough. Where walls mirror what leaves, the law is that of the box, and it may look well
   although the algorithm has none: so the rate at which it is gone without the walls, whichever it leaves through, is
   worked out beside it. */
#include "runimpl.h"

#define KILLED 1e-12 /* of the mass per step: something is */
#define LEAVES 1e-9  /* probability of a step out of the box that is worth a warning */
#define RATED 1e-7   /* and one that is worth the rate */

/* 1 - mu_0 with walls that let everything out, and what the solver leaves of it */
static PetscErrorCode KilledRate(FPRunObjects *run, PetscInt p, PetscInt level, FPMesh open, PetscReal *ratio,
                                 PetscReal *rate, PetscReal *error)
{
  FPGenerator      gen;
  const PetscReal *mu, *residual;
  PetscReal        step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorCreate(run->process[p], open, level, &run->generating, NULL, &gen));
  PetscCall(FPGeneratorGetGrid(gen, NULL, NULL, ratio));
  PetscCall(FPGeneratorSolve(gen, 1));
  PetscCall(FPGeneratorGetMultipliers(gen, &mu));
  PetscCall(FPGeneratorGetStep(gen, &step));
  PetscCall(FPGeneratorGetModes(gen, NULL, NULL, NULL, &residual));
  *rate  = 1 - mu[0];
  *error = step * residual[0] + PETSC_MACHINE_EPSILON;
  PetscCall(FPGeneratorDestroy(&gen));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRate(FPRunObjects *run, PetscInt p, FPGenerator gen, const FPRefinement *grids,
                              PetscReal *value)
{
  const FPQuantity item = {.smoothness = FP_SMOOTH};
  PetscReal        v[FP_MAX_LEVELS], ratio, solver = 0, error;
  const char      *process;
  FPMesh           open;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(run->process[p], &process));
  PetscCall(FPMeshCreateOpen(run->mesh, &open));
  for (PetscInt l = 0; l < grids->levels; l++) {
    PetscCall(KilledRate(run, p, l, open, &ratio, &v[l], &error));
    solver = PetscMax(solver, error);
  }
  PetscCall(FPMeshDestroy(&open));
  FPBoundGrids(grids, &item, v, solver, value, &error);
  PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "leaving_rate", *value,
                         error, FP_BOUND, "1/step"));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunAddDivergence(FPRunObjects *run, PetscInt p, FPGenerator gen, const FPRefinement *grids)
{
  const PetscReal *beyond, *pi, *mu;
  const char      *process;
  PetscInt         n;
  PetscReal        rate = 0, gone;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetBeyond(gen, &beyond));
  if (!beyond) PetscFunctionReturn(0);
  PetscCall(FPProcessGetName(run->process[p], &process));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetMultipliers(gen, &mu));
  for (PetscInt k = 0; k < n; k++) rate += pi[k] * beyond[k];
  if (mu[0] < 1 - KILLED) { /* the other walls may mirror */
    if (1 - mu[0] > LEAVES)
      PetscCall(FPResultsWarn(run->results,
                              "%s leaves the box with probability %.3g per step, where it is killed: its law is the "
                              "quasi-stationary one, and divergence_rate its rate",
                              process, (double)(1 - mu[0])));
  } else if (rate > RATED) {
    PetscCall(AddRate(run, p, gen, grids, &gone));
    PetscCall(FPResultsWarn(run->results,
                            "%s leaves the box with probability %.3g per step and is mirrored at the walls: the law is "
                            "that of the box; without walls it is gone at leaving_rate = %.3g per step, and "
                            "mesh_faces: absorbing gives the law of what stays",
                            process, (double)rate, (double)gone));
  } else if (rate > LEAVES) {
    PetscCall(FPResultsWarn(run->results,
                            "%s leaves the box with probability %.3g per step and is mirrored at the walls: the law is "
                            "that of the box; mesh_faces: absorbing gives the divergence rate",
                            process, (double)rate));
  }
  PetscFunctionReturn(0);
}

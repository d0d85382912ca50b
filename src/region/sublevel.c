/* sublevel.c: "sublevel": excess loss less the level. */
#include "regionimpl.h"

static void Level_Sublevel(const FPPart *part, int n, const double *z, double *f)
{
  const PetscReal *level = (const PetscReal *)part->impl;
  double          *w;
  PetscInt         weights;

  (void)FPModelGetParent(part->model, NULL, &weights);
  w = FPScratchTake((size_t)(weights * n));
  FPModelLift(part->model, n, z, w);
  FPModelLoss(part->model, n, w, f);
  for (int l = 0; l < n; l++) f[l] -= *level;
  FPScratchRelease(w);
}

PetscErrorCode FPRegionCreate_Sublevel(FPPart *part, FPRegionReader *reader)
{
  PetscReal *level;

  PetscFunctionBegin;
  PetscCall(PetscNew(&level));
  part->impl  = level;
  part->level = Level_Sublevel;
  PetscCall(FPRegionTake(reader, FP_REGION_LEVEL, 1, level));
  PetscFunctionReturn(0);
}

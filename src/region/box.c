/* box.c: "box": the largest of |z_i - c_i| - r_i. */
#include "regionimpl.h"

typedef struct {
  PetscReal center[FP_MAX_DIM], radius[FP_MAX_DIM];
} Box;

static void Level_Box(const FPPart *part, int n, const double *z, double *f)
{
  const Box *box = (const Box *)part->impl;

  for (int l = 0; l < n; l++) f[l] = PETSC_MIN_REAL;
  for (int i = 0; i < part->dim; i++)
    for (int l = 0; l < n; l++) f[l] = PetscMax(f[l], PetscAbsReal(z[i * n + l] - box->center[i]) - box->radius[i]);
}

PetscErrorCode FPRegionCreate_Box(FPPart *part, FPRegionReader *reader)
{
  Box *box;

  PetscFunctionBegin;
  PetscCall(PetscNew(&box));
  part->impl  = box;
  part->level = Level_Box;
  PetscCall(FPRegionTakeCenter(reader, box->center));
  PetscCall(FPRegionTake(reader, FP_REGION_RADIUS, part->dim, box->radius));
  PetscFunctionReturn(0);
}

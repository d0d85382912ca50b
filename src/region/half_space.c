/* half_space.c: "half_space": (n . z - offset)/|n|, the signed distance from the plane. */
#include "regionimpl.h"

typedef struct {
  PetscReal normal[FP_MAX_DIM], offset; /* of unit length */
} HalfSpace;

static void Level_HalfSpace(const FPPart *part, int n, const double *z, double *f)
{
  const HalfSpace *half = (const HalfSpace *)part->impl;

  for (int l = 0; l < n; l++) f[l] = -half->offset;
  for (int i = 0; i < part->dim; i++)
    for (int l = 0; l < n; l++) f[l] += half->normal[i] * z[i * n + l];
}

PetscErrorCode FPRegionCreate_HalfSpace(FPPart *part, FPRegionReader *reader)
{
  HalfSpace *half;
  PetscReal  length = 0;

  PetscFunctionBegin;
  PetscCall(PetscNew(&half));
  part->impl  = half;
  part->level = Level_HalfSpace;
  PetscCall(FPRegionTake(reader, FP_REGION_NORMAL, part->dim, half->normal));
  PetscCall(FPRegionTake(reader, FP_REGION_OFFSET, 1, &half->offset));
  for (PetscInt i = 0; i < part->dim; i++) length += PetscSqr(half->normal[i]);
  length = PetscSqrtReal(length);
  if (length <= 0) PetscCall(FPRegionRefuse(reader, FP_REGION_NORMAL, "has length 0"));
  for (PetscInt i = 0; i < part->dim; i++) half->normal[i] /= length;
  half->offset /= length;
  PetscFunctionReturn(0);
}

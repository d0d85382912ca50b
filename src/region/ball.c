/* ball.c: "ball": (|z - c|^2 - R^2)/(2R), which is smooth everywhere and, near the sphere, the distance from it. */
#include "regionimpl.h"

typedef struct {
  PetscReal center[FP_MAX_DIM], radius;
} Ball;

static void Level_Ball(const FPPart *part, int n, const double *z, double *f)
{
  const Ball  *ball = (const Ball *)part->impl;
  const double R    = ball->radius;

  for (int l = 0; l < n; l++) f[l] = -R / 2;
  for (int i = 0; i < part->dim; i++)
    for (int l = 0; l < n; l++) f[l] += PetscSqr(z[i * n + l] - ball->center[i]) / (2 * R);
}

PetscErrorCode FPRegionCreate_Ball(FPPart *part, FPRegionReader *reader)
{
  Ball *ball;

  PetscFunctionBegin;
  PetscCall(PetscNew(&ball));
  part->impl  = ball;
  part->level = Level_Ball;
  PetscCall(FPRegionTakeCenter(reader, ball->center));
  PetscCall(FPRegionTake(reader, FP_REGION_RADIUS, 1, &ball->radius));
  part->radius = ball->radius;
  PetscFunctionReturn(0);
}

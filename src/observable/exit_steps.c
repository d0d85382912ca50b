/* exit_steps.c: where the steps of a discrete algorithm end that leave the region, in the plane: the probability to
   land in a set A outside the region is -Q^-1 r, r the rate of steps into A. landing_above[i]: A is where z_i is larger
   than at the start; fraction_negative_curvature: where the displacement from the centre lies along negative curvature;
   overshoot[x=..]: what is more than x beyond the boundary. Not where walls absorb, beyond which steps land too. */
#include "exitgenerator.h"
#include <stdio.h>

typedef struct {
  const FPExit *e;
  PetscInt      axis;
  PetscReal     beyond;
  char          name[FP_TEXT];
  void (*level)(const void *context, int n, const double *z, double *f);
} Set;

static void Above(const void *context, int n, const double *z, double *f)
{
  const Set *set = (const Set *)context;

  for (int l = 0; l < n; l++) f[l] = set->e->z[set->axis] - z[set->axis * n + l];
}

static void Along(const void *context, int n, const double *z, double *f)
{
  const FPExit *e = ((const Set *)context)->e;

  for (int l = 0; l < n; l++) f[l] = FPExitAcross(e, z + l, n);
}

static void Beyond(const void *context, int n, const double *z, double *f)
{
  const Set *set = (const Set *)context;

  FPExitDistance(set->e->region, NULL, n, z, f);
  for (int l = 0; l < n; l++) f[l] = set->beyond - f[l];
}

/* The sets that are asked for, and what the probabilities to land there are called */
static void Choose(const FPExit *e, Set set[], PetscInt *count)
{
  *count = 0;
  if (e->negative) {
    set[*count] = (Set){.e = e, .level = Along};
    (void)snprintf(set[(*count)++].name, FP_TEXT, "fraction_negative_curvature");
  }
  for (PetscInt a = 0; a < e->dim; a++) {
    set[*count] = (Set){.e = e, .level = Above, .axis = a};
    (void)snprintf(set[(*count)++].name, FP_TEXT, "landing_above[%d]", (int)a);
  }
  for (PetscInt k = 0; k < e->overshoot.n; k++) {
    set[*count] = (Set){.e = e, .level = Beyond, .beyond = e->overshoot.value[k]};
    (void)snprintf(set[(*count)++].name, FP_TEXT, "overshoot[x=%g]", (double)e->overshoot.value[k]);
  }
}

PetscErrorCode FPExitAddStepLandings(const FPExit *e, FPGenerator killed, FPMesh mesh, const FPExitStencil *s,
                                     PetscReal mean, FPQuantities *q)
{
  const FPBox *box;
  PetscReal   *rate, *lands, residual;
  PetscInt     count, n;
  Set         *set;
  FPRegion    *whole, *outside;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(mesh, &box));
  for (PetscInt f = 0; f < 2 * e->dim; f++)
    if (box->face[f] == FP_ABSORBING) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetNodes(killed, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(1 + e->dim + e->overshoot.n, &set));
  Choose(e, set, &count);
  PetscCall(PetscMalloc2(count, &whole, count, &outside));
  PetscCall(PetscMalloc2(count * n, &rate, n, &lands));
  for (PetscInt k = 0; k < count; k++) {
    PetscCall(FPRegionCreateLevel(e->dim, set[k].level, &set[k], &whole[k]));
    PetscCall(FPRegionCreateDifference(whole[k], e->region, &outside[k]));
  }
  PetscCall(FPGeneratorRatesInto(killed, count, outside, rate));
  for (PetscInt k = 0; k < count; k++) {
    PetscCall(FPExitSolve(killed, rate + k * n, lands, &residual));
    PetscCall(FPQuantitiesAdd(q, FPExitAt(s, lands), residual * mean, "1", "%s", set[k].name));
    PetscCall(FPRegionDestroy(&outside[k]));
    PetscCall(FPRegionDestroy(&whole[k]));
  }
  PetscCall(PetscFree2(rate, lands));
  PetscCall(PetscFree2(whole, outside));
  PetscCall(PetscFree(set));
  PetscFunctionReturn(0);
}

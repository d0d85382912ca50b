/* fpregion.h: sets of coordinates z, for absorbing boundaries anywhere: f(z) < 0 inside, f continuous, smooth near its
   zero set. Types: ball, box, half_space, sublevel (of the excess loss); `inside: false` takes the complement; unions
   name several. */
#ifndef FPREGION_H
#define FPREGION_H
#include "fpmodel.h"

typedef struct _p_FPRegion *FPRegion;

/* Reads SECTION_region (one type, or a list: their union), SECTION_center (numbers, or the name of a critical point),
   radius, normal, offset, level, inside; region = NULL when SECTION_region is absent. second: the same keys with _b at
   their end, SECTION_region_b and so on. Errors: unknown type, wrong lengths, radius <= 0. */
PETSC_EXTERN PetscErrorCode FPRegionCreate(FPConfig config, const char section[], PetscBool second, FPModel model,
                                           FPRegion *region);
/* The part of `region` that is not in `without`; both must outlive it. */
PETSC_EXTERN PetscErrorCode FPRegionCreateDifference(FPRegion region, FPRegion without, FPRegion *difference);
/* Where level(context, n, z[dim][n], f[n]) gives f < 0; n at most FP_BLOCK */
PETSC_EXTERN PetscErrorCode FPRegionCreateLevel(PetscInt dim,
                                                void (*level)(const void *context, int n, const double *z, double *f),
                                                const void *context, FPRegion *region);
PETSC_EXTERN void           FPRegionLevel(FPRegion region, int n, const double *z, double *f); /* z[dim][n] */
/* The same, but a distance from the boundary also far from balls; of half-spaces and boxes the level is one, of
   sublevel sets it is a loss. */
PETSC_EXTERN void FPRegionDistance(FPRegion region, int n, const double *z, double *f);
/* Fraction of the segment from -> to (each [dim]) at which it first leaves the region; 1 if it does not, 0 if it
   starts outside. Looks at 17 points, so a gap narrower than a sixteenth may be missed. */
PETSC_EXTERN double         FPRegionLeaves(FPRegion region, const double from[], const double to[]);
PETSC_EXTERN PetscErrorCode FPRegionDestroy(FPRegion *region);
PETSC_EXTERN PetscErrorCode FPRegionList(FILE *out); /* types and keys, for `dlnfp list` */

/* A point given as numbers or as the name of a critical point ("saddle", "minimum", ...): n entries of words -> z[dim].
   Errors: wrong number, unknown name (the message lists the names). */
PETSC_EXTERN PetscErrorCode FPPointRead(FPConfig config, const char key[], const FPStrings *words, FPModel model,
                                        PetscReal z[]);
#endif

/* regionimpl.h: what a type of region provides: f(z), negative inside, and how its numbers are read. */
#ifndef REGIONIMPL_H
#define REGIONIMPL_H
#include "fpregion.h"

typedef struct _FPPart FPPart;
struct _FPPart {
  FPModel model;
  int     dim;
  void   *impl; /* PetscMalloc'ed by the type, freed by the region */
  /* at most FP_BLOCK points, z[dim][n]; called from threads */
  void (*level)(const FPPart *part, int n, const double *z, double *f);
  double radius; /* of a ball, whose level is no distance; else 0 */
};

typedef struct _FPRegionReader FPRegionReader;
/* The next numbers of a key (FP_REGION_RADIUS, ...): parts of a union take theirs one after the other. */
typedef enum { FP_REGION_RADIUS, FP_REGION_NORMAL, FP_REGION_OFFSET, FP_REGION_LEVEL, FP_REGION_REALS } FPRegionKey;
PETSC_INTERN PetscErrorCode FPRegionTake(FPRegionReader *reader, FPRegionKey key, PetscInt count, PetscReal value[]);
PETSC_INTERN PetscErrorCode FPRegionTakeCenter(FPRegionReader *reader, PetscReal z[]);
/* A complaint about a key: where it stands, and the reason. */
PETSC_INTERN PetscErrorCode FPRegionRefuse(FPRegionReader *reader, FPRegionKey key, const char reason[]);

#define FP_REGION(name, type, help)                                                                                    \
  PETSC_INTERN PetscErrorCode FPRegionCreate_##type(FPPart *part, FPRegionReader *reader);
#include "regionlist.h"
#undef FP_REGION
#endif

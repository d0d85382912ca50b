/* fpmesh.h: a box of the coordinates z, its walls, and tensor grids of cell centres on it. Each axis may be mapped,
   z_i = map_i(xi_i) with the grid uniform in xi_i in (0, 1), to put resolution where it is needed. */
#ifndef FPMESH_H
#define FPMESH_H
#include "fpconfig.h"

typedef enum { FP_REFLECTING, FP_ABSORBING } FPFace;

typedef struct {
  PetscInt  dim;
  PetscReal lower[FP_MAX_AXES], upper[FP_MAX_AXES];
  FPFace    face[2 * FP_MAX_AXES]; /* lower and upper face of axis i at 2i, 2i + 1 */
} FPBox;

typedef struct _p_FPMesh *FPMesh;

/* Section mesh, or the file it names. has = PETSC_FALSE when the run file has no mesh. */
PETSC_EXTERN PetscErrorCode FPMeshCreate(FPConfig config, PetscInt dim, FPMesh *mesh, PetscBool *has);
PETSC_EXTERN PetscErrorCode FPMeshGetBox(FPMesh mesh, const FPBox **box);
PETSC_EXTERN PetscErrorCode FPMeshGetLevels(FPMesh mesh, PetscInt *levels); /* grids of the refinement sequence */
/* Level 0 is the finest, with the cells of the run file; the others have 3/4 and 1/2 as many per axis. ratio = h/h_0.
 */
PETSC_EXTERN PetscErrorCode FPMeshGetCells(FPMesh mesh, PetscInt level, PetscInt cells[], PetscReal *ratio);
PETSC_EXTERN void           FPMeshMap(FPMesh mesh, PetscInt axis, PetscReal xi, PetscReal *z, PetscReal *dz);
PETSC_EXTERN void           FPMeshUnmap(FPMesh mesh, PetscInt axis, PetscReal z, PetscReal *xi);
/* The same cells and walls on [lower, upper], with Chebyshev points of the first kind as centres of cells; 1-D. */
PETSC_EXTERN PetscErrorCode FPMeshCreateChebyshev(FPMesh mesh, PetscReal lower, PetscReal upper, FPMesh *chebyshev);
PETSC_EXTERN PetscErrorCode FPMeshCreateOpen(FPMesh mesh, FPMesh *open); /* the same with absorbing walls */
PETSC_EXTERN PetscErrorCode FPMeshList(FILE *out);
PETSC_EXTERN PetscErrorCode FPMeshDestroy(FPMesh *mesh);
#endif

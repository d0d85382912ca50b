/* dataimpl.h: what a type of data provides. Create_TYPE() reads its keys and fills everything but `type`. */
#ifndef DATAIMPL_H
#define DATAIMPL_H
#include "fpdata.h"

struct _p_FPData {
  char       type[FP_TEXT];
  PetscInt   inputs, targets;
  PetscReal *second, *fourth; /* moments of u = (x, y), laid out as FPDataGetMoments() says */
  FPSampler  sampler;
  void      *impl;
  FPData     other[FP_LAWS]; /* NULL: none */
  PetscErrorCode (*nodes)(FPData data, PetscInt degree, PetscInt *count, PetscReal **u, PetscReal **weight);
  PetscErrorCode (*destroy)(FPData data); /* frees impl */
};

#define FP_DATA(name, type, parameters, help)                                                                          \
  PETSC_INTERN PetscErrorCode    FPDataCreate_##type(FPData data, FPConfig config);                                    \
  PETSC_INTERN const FPParameter parameters[];
#include "datalist.h"
#undef FP_DATA

/* Of the same inputs and targets, without moments; destroyed with data. */
PETSC_INTERN PetscErrorCode FPDataCreateOther(FPData data, FPLaw law, FPData *other);
/* shift.c: data->other[FP_LAW_SHIFTED] where the run file has a section data.shift. */
PETSC_INTERN const FPParameter FPShiftParameters[];
PETSC_INTERN PetscErrorCode    FPShiftCreate(FPData data, FPConfig config);

/* csv.c: the names of all columns of a CSV file, or the rows of n named ones. where: the key, for messages. */
typedef struct {
  PetscInt rows, columns;
  char (*name)[FP_NAME]; /* [columns] */
  PetscReal *value;      /* [rows][columns] */
} FPTable;
PETSC_INTERN PetscErrorCode FPTableHeader(const char file[], const char where[], FPTable *table);
PETSC_INTERN PetscErrorCode FPTableRead(const char file[], const char where[], PetscInt n, char *const names[],
                                        FPTable *table);
PETSC_INTERN PetscErrorCode FPTableFree(FPTable *table);

/* teacher.c: y = A x + xi, xi ~ N(0, sigma^2 I), independent inputs of variance s with fourth cumulant `cumulant` s^2.
 */
typedef struct {
  PetscInt inputs, targets;
  double   s, sigma, root; /* root = sqrt(s) */
  double   A[FP_MAX_MAP];  /* [targets][inputs] */
} FPTeacher;
PETSC_INTERN PetscErrorCode FPTeacherCreate(FPData data, FPConfig config, PetscReal cumulant);
/* Tensor nodes: the given rule in each unit input, Gauss-Hermite of `degree` in each noise. */
PETSC_INTERN PetscErrorCode FPTeacherNodes(FPData data, PetscInt n, const double x[], const double w[], PetscInt degree,
                                           PetscInt *count, PetscReal **u, PetscReal **weight);
/* Nodes and weights for N(0, 1), exact up to the degree; n = degree/2 + 1 of them, the caller frees both. */
PETSC_INTERN PetscErrorCode FPGaussHermite(PetscInt degree, PetscInt *n, double **x, double **w);
/* y from x and `normal`, rows of FP_BLOCK lanes. */
PETSC_INTERN void FPTeacherTargets(const FPTeacher *teacher, const float *normal, const double *x, double *y);
#endif

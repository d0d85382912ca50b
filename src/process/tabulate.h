/* tabulate.h: a drift in one coordinate, tabulated on an interval to 1e-12 of 1 + |b|. */
#ifndef FPTABULATE_H
#define FPTABULATE_H
#include "processimpl.h"

typedef struct _FPTable *FPTable;
typedef void (*FPCurve)(FPProcess process, int n, const double *x, double *y); /* n <= FP_BLOCK */

PETSC_INTERN PetscErrorCode FPTableCreate(FPProcess process, FPCurve f, double lower, double upper, FPTable *table);
/* y[n], but for those of the points, listed in missing[n], that the table does not know; their number is returned. */
PETSC_INTERN int            FPTableAt(const struct _FPTable *table, int n, const double *x, double *y, int missing[]);
PETSC_INTERN PetscErrorCode FPTableDestroy(FPTable *table);
#endif

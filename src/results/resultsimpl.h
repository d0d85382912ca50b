/* resultsimpl.h: what the files of src/results share. */
#ifndef FPRESULTSIMPL_H
#define FPRESULTSIMPL_H
#include "fpresults.h"

#define FP_SCHEMA 1                   /* of results.json */
#define FP_MAX_RANK (FP_MAX_AXES + 2) /* a grid with up to two leading component indices */

typedef struct {
  char        process[FP_NAME], engine[FP_NAME], observable[FP_NAME], quantity[FP_NAME], unit[FP_NAME];
  PetscReal   value, error;
  FPErrorKind kind;
  char       *status, *reason; /* both NULL where there is a value */
} FPRow;

typedef struct {
  PetscInt  a, b; /* rows; difference = value of a - value of b */
  PetscReal difference, error, z;
  PetscBool defined, agree; /* z is undefined where the errors are 0 and the difference is not, or on overflow */
} FPPair;

typedef struct {
  char     process[FP_NAME], engine[FP_NAME], name[FP_NAME], unit[FP_NAME], long_name[FP_TEXT];
  PetscInt rank, shape[FP_MAX_RANK]; /* slowest first */
  size_t   size;
  double  *data;
} FPField;

typedef struct {
  char     grid[FP_NAME], coordinate[FP_NAME], unit[FP_NAME];
  PetscInt axis, n;
  double  *z;
} FPAxis;

struct _p_FPResults {
  char        dir[FP_TEXT], reference[FP_NAME];
  PetscBool   created, written; /* the folder is new; files were written into it */
  PetscMPIInt rank;             /* rank 0 prints and writes */
  PetscReal   threshold;
  json_t     *run, *warnings, *timing, *index; /* index: path of a row or field -> true, finds duplicates */
  PetscInt    rows, row_capacity, pairs, pair_capacity, comparisons, comparison_capacity;
  PetscInt    fields, field_capacity, axes, axis_capacity;
  FPRow      *row;
  FPPair     *pair, *comparison;
  FPField    *field;
  FPAxis     *axis;
};

/* Room for one more entry of a growing array. */
#define FPReserve(count, capacity, array)                                                                              \
  ((count) < (capacity)                                                                                                \
       ? 0                                                                                                             \
       : ((capacity) = 2 * (capacity) + 16, PetscRealloc((size_t)(capacity) * sizeof(*(array)), &(array))))

typedef struct {
  const char *name; /* in the output folder */
  char       *data; /* malloc'ed */
  size_t      size;
} FPFile;

/* The content of each file, in memory; the caller frees it with free(). */
PETSC_INTERN PetscErrorCode FPResultsFile_JSON(FPResults results, FPFile *file);
PETSC_INTERN PetscErrorCode FPResultsFile_HDF5(FPResults results, FPFile *file);
PETSC_INTERN PetscErrorCode FPResultsFile_XDMF(FPResults results, FPFile *file);
/* Axes of the grid of a field: axis[k] for coordinate k. dim = 0: the field lies on no grid. The field's last dim
   dimensions are axis dim-1 .. 0, those before them count components. Taken is the first grid with the right shape
   among PROCESS/ENGINE, PROCESS, ENGINE, "bins" for what is binned (all fields of particles, and names that say so) or
   "cells" for all else, and then all grids in the order in which they were recorded. */
PETSC_INTERN PetscErrorCode FPResultsFieldAxes(FPResults results, const FPField *field, PetscInt *dim,
                                               const FPAxis *axis[FP_MAX_AXES]);
PETSC_INTERN PetscErrorCode FPResultsClaim(FPResults results, const char path[]); /* a second claim is an error */
PETSC_INTERN PetscErrorCode FPResultsName(const char name[], char copy[FP_NAME]); /* too long is an error */

/* A text table: cells row after row, the first row is the heading; width in columns on the screen, not bytes. */
typedef struct {
  PetscInt columns, cells, capacity;
  char   **cell;
} FPTable;
PETSC_INTERN PetscErrorCode FPTableCell(FPTable *table, const char format[], ...);
PETSC_INTERN PetscErrorCode FPTableFill(FPTable *table); /* empty cells to the end of the row */
PETSC_INTERN PetscErrorCode FPTablePrint(FPTable *table, FILE *out, const char highlight[]); /* and empty it */

PETSC_INTERN void FPFormatValue(PetscReal value, PetscReal error,
                                char text[FP_NAME]); /* digits that the error allows */
PETSC_INTERN void FPProgressPause(void);             /* clear the bar's line before something else is printed */
#endif

/* fpresults.h: rows of numbers with errors, fields, and what is printed and written of them (design: results.json,
 * results.h5). */
#ifndef FPRESULTS_H
#define FPRESULTS_H
#include "fputil.h"
#include <jansson.h>

typedef struct _p_FPResults *FPResults;
typedef enum { FP_BOUND, FP_STANDARD } FPErrorKind; /* truth within value +- error | one standard error */

/* dir is created (with parents) and must be writable: user input error otherwise, before any work. */
PETSC_EXTERN PetscErrorCode FPResultsCreate(const char dir[], FPResults *results);
PETSC_EXTERN PetscErrorCode FPResultsSetRun(FPResults results, json_t *run); /* takes the reference */
PETSC_EXTERN PetscErrorCode FPResultsAdd(FPResults results, const char process[], const char engine[],
                                         const char observable[], const char quantity[], PetscReal value,
                                         PetscReal error, FPErrorKind kind, const char unit[]);
/* A number that does not exist: status "singular", "unsupported", ... and the reason in words. */
PETSC_EXTERN PetscErrorCode FPResultsAddStatus(FPResults results, const char process[], const char engine[],
                                               const char observable[], const char quantity[], const char status[],
                                               const char reason[]);
PETSC_EXTERN PetscErrorCode FPResultsWarn(FPResults results, const char format[],
                                          ...); /* printed at once, kept in "warnings" */
PETSC_EXTERN PetscErrorCode FPResultsGet(FPResults results, const char process[], const char engine[],
                                         const char observable[], const char quantity[], PetscReal *value,
                                         PetscReal *error, PetscBool *found);
/* Field `name` of rank `rank`, shape slowest first (so axis d-1 .. 0 for a grid whose first coordinate runs fastest);
   copied. Path: /process/engine/name with attributes long_name, unit. Axis coordinates of a grid: FPResultsAxis(), path
   /grid/<process>/<coordinate>. */
PETSC_EXTERN PetscErrorCode FPResultsField(FPResults results, const char process[], const char engine[],
                                           const char name[], PetscInt rank, const PetscInt shape[],
                                           const double data[], const char long_name[], const char unit[]);
PETSC_EXTERN PetscErrorCode FPResultsAxis(FPResults results, const char grid[], PetscInt axis, const char coordinate[],
                                          PetscInt n, const double z[], const char unit[]);
PETSC_EXTERN PetscErrorCode FPResultsTiming(FPResults results, const char phase[], PetscReal seconds); /* adds up */
/* Every pair of engines of the same (process, observable, quantity), and every process against `reference`; z =
   difference/sqrt(sum of squared errors); agree: abs(z) <= threshold. */
PETSC_EXTERN PetscErrorCode FPResultsCrossCheck(FPResults results, const char reference[], PetscReal threshold,
                                                PetscInt *disagreements);
PETSC_EXTERN PetscErrorCode
FPResultsWrite(FPResults results); /* results.json, results.h5, results.xdmf; each written aside and renamed */
PETSC_EXTERN PetscErrorCode FPResultsView(FPResults results, FILE *out); /* the tables */
PETSC_EXTERN PetscErrorCode FPResultsDestroy(FPResults *results);

/* Progress on stderr: a bar with the time left on a terminal, else one line per phase. Safe to update from one thread
 * only. */
PETSC_EXTERN void FPProgressBegin(const char label[], double total);
PETSC_EXTERN void FPProgressUpdate(double done);
PETSC_EXTERN void FPProgressEnd(void);
#endif

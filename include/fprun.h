/* fprun.h: a run file turned into objects, run, and written. What main() calls. */
#ifndef FPRUN_H
#define FPRUN_H
#include "fpconfig.h"

/* Read and validate everything, compute nothing. */
PETSC_EXTERN PetscErrorCode FPRunCheck(FPConfig config);
/* The whole run; results in dir. disagreements: cross-checks beyond the threshold. */
PETSC_EXTERN PetscErrorCode FPRunExecute(FPConfig config, const char dir[], PetscInt *disagreements);
PETSC_EXTERN PetscErrorCode FPRunListCriticalPoints(FPConfig config, FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListObservables(FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListEngines(FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListKeys(FILE *out); /* sections mesh, generator, particles, crosscheck */
#endif

/* fprun.h: a run file turned into objects, run, and written. What main() calls. */
#ifndef FPRUN_H
#define FPRUN_H
#include "fpconfig.h"

/* Read and validate everything, compute nothing. */
PETSC_EXTERN PetscErrorCode FPRunCheck(FPConfig config);
/* The whole run; results in dir. disagreements: cross-checks beyond the threshold. */
PETSC_EXTERN PetscErrorCode FPRunExecute(FPConfig config, const char dir[], PetscInt *disagreements);
/* The run of `file` with the options `word` at every value of one key, or of every pair of values of two: each point is
   a child process that runs this program and leaves its results in dir/NAME, so that a point that fails or is killed
   costs only itself. over: "KEY=a,b,c", with semicolons between values that are lists. Points whose results are there
   already are not run again. dir/sweep.json has a table for every quantity. Errors (user input): unknown key, no
   values, a value that the run refuses, before any work; PETSC_ERR_NOT_CONVERGED: points failed, the others are
   written. */
typedef struct {
  const char *file, *dir;
  int         words, keys; /* keys: 1 or 2 */
  char      **word;
  const char *over[2];
} FPSweep;
PETSC_EXTERN PetscErrorCode FPRunSweep(const FPSweep *sweep, PetscInt *disagreements);
/* `count` points from the stationary or quasi-stationary law of a process of the run file, or that law restricted to a
   region (section sample), to dir/sample.csv or, format "h5", dir/sample.h5: independent ones from the generator's
   cells where an SDE has one, else positions of simulated particles, with their effective sample size. Errors (user
   input): no such process, a deterministic one, more points than were simulated, a region without mass. */
PETSC_EXTERN PetscErrorCode FPRunSample(FPConfig config, const char process[], PetscInt count, const char format[],
                                        const char dir[]);
PETSC_EXTERN PetscErrorCode FPRunListCriticalPoints(FPConfig config, FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListObservables(FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListEngines(FILE *out);
PETSC_EXTERN PetscErrorCode FPRunListKeys(FILE *out); /* sections mesh, generator, particles, crosscheck */
#endif

/* runimpl.h: the objects of one run, and the two ways numbers get their errors. */
#ifndef FPRUNIMPL_H
#define FPRUNIMPL_H
#include "fprun.h"
#include "fpobservable.h"

#define FP_MAX_PROCESSES 16
#define FP_MAX_OBSERVABLES 16
#define FP_MAX_LEVELS 3

typedef struct {
  FPStrings processes, engines, observables;
  PetscReal threshold;
} FPRunOptions;

typedef struct {
  FPRunOptions       options;
  FPData             data;
  FPModel            model;
  PetscInt           processes, observables;
  FPProcess          process[FP_MAX_PROCESSES];
  FPObservable       observable[FP_MAX_OBSERVABLES];
  FPGenerator        generator[FP_MAX_PROCESSES]; /* finest grid; NULL: none */
  FPMesh             mesh;                        /* NULL: no box */
  FPGeneratorOptions generating;
  FPParticleOptions  particles;
  PetscBool          use_generator, use_particles;
  FPResults          results;
} FPRunObjects;

/* Value and bound from the answers on levels grids, spacing ratio[l] times the finest; order: 2, or 1 for upwinded
 * rates. */
PETSC_INTERN void FPExtrapolateGrids(PetscInt levels, const PetscReal value[], const PetscReal ratio[],
                                     PetscReal solver, PetscInt order, PetscReal *result, PetscReal *error);
/* Everything that the run file names, read and checked; run is zeroed first. */
PETSC_INTERN PetscErrorCode FPRunOpen(FPConfig config, FPRunObjects *run);
PETSC_INTERN PetscErrorCode FPRunClose(FPRunObjects *run);
/* Where particles of process p start, freed by the caller: drawn from the law of the first generator of the run that is
   there (its own, if it has one); without any NULL with a mesh (all over the box), else the minimum. */
PETSC_INTERN PetscErrorCode FPRunStartPoints(FPRunObjects *run, PetscInt p, PetscReal **start);
/* Every resolved key, as results.json records them, after reading and checking everything. */
PETSC_INTERN PetscErrorCode FPRunResolve(FPConfig config, json_t *resolved);
/* Generators of all grids of one process -> rows; the finest one is kept in run->generator[p]. */
PETSC_INTERN PetscErrorCode FPRunGenerator(FPRunObjects *run, PetscInt p);
PETSC_INTERN PetscErrorCode FPRunParticles(FPRunObjects *run, PetscInt p);
/* Is the mesh fine enough for the law of process p at the minimum? Far from it: bad input; nearly: a warning. */
PETSC_INTERN PetscErrorCode FPRunCheckResolution(FPRunObjects *run, PetscInt p);
PETSC_INTERN PetscErrorCode FPRunWarnResolution(FPRunObjects *run, PetscInt p);
/* Why observable o cannot be had from particles of process p; *reason = NULL: it can. */
PETSC_INTERN PetscErrorCode FPRunUnsupported(const FPRunObjects *run, PetscInt p, PetscInt o, const char **reason);
PETSC_INTERN const char    *FPRunUnsupportedQuantity(const char observable[]); /* that the row of the reason names */
PETSC_INTERN PetscErrorCode FPRunListUnsupported(FILE *out);
#endif

/* runimpl.h: the objects of one run, and the two ways numbers get their errors. */
#ifndef FPRUNIMPL_H
#define FPRUNIMPL_H
#include "fprun.h"
#include "fpobservable.h"

#define FP_MAX_PROCESSES 16
#define FP_MAX_OBSERVABLES 24
#define FP_MAX_LEVELS 3

typedef struct {
  FPStrings processes, engines, observables;
  PetscReal threshold;
} FPRunOptions;

/* Section sample: which law `dlnfp sample` draws from, and the region that it is restricted to. */
typedef struct {
  PetscBool quasi;          /* of the process killed on leaving the region of section exit, or at absorbing faces */
  FPRegion  killed, region; /* NULL: only at faces; everywhere */
  PetscBool started;        /* exit_start is given */
  PetscReal start[FP_MAX_DIM];
} FPSampling;

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
  FPSampling         sampling;
  PetscBool          use_generator, use_transfer, use_particles;
  FPResults          results;
} FPRunObjects;

/* bounds.c: value and bound from the answers on levels grids, spacing ratio[l] times the finest; order: 2, or 1 for
 * upwinded rates. */
PETSC_INTERN void FPExtrapolateGrids(PetscInt levels, const PetscReal value[], const PetscReal ratio[],
                                     PetscReal solver, PetscInt order, PetscReal *result, PetscReal *error);
/* A refinement sequence, finest grid first. */
typedef struct {
  PetscInt  levels, order;        /* order: of FPExtrapolateGrids() */
  PetscReal ratio[FP_MAX_LEVELS]; /* spacing over that of the finest */
  PetscReal widths;               /* FPRunWidthsPerCell(), of the law at the minimum */
  PetscReal resolution;           /* of the finest: a cell in units of the law's narrowest standard deviation */
  PetscReal steps;                /* of a transfer operator: the same in units of one step's; else 0 */
  PetscBool law;                  /* of a generator, not of a transfer operator; then also: */
  PetscBool plain;                /* one stencil at all nodes, coordinates not curved */
  PetscBool curved;               /* coordinates with a measure of their own, singular somewhere */
} FPRefinement;
/* What the finest generator, solved, says of it: all but levels, ratio and widths. */
PETSC_INTERN PetscErrorCode FPRunRefinement(FPGenerator finest, FPRefinement *grids);
/* bounds.c: value and bound of a quantity from its answers on all grids, each known to `solver`; of item only how it
   depends on the spacing. */
PETSC_INTERN void FPBoundGrids(const FPRefinement *grids, const FPQuantity *item, const PetscReal value[],
                               PetscReal solver, PetscReal *result, PetscReal *error);
/* Everything that the run file names, read and checked; run is zeroed first. */
PETSC_INTERN PetscErrorCode FPRunOpen(FPConfig config, FPRunObjects *run);
PETSC_INTERN PetscErrorCode FPRunClose(FPRunObjects *run);
/* Where particles of process p start, freed by the caller: drawn from the law of the first generator of the run that is
   there (its own, if it has one); without any NULL with a mesh (all over the box), else the minimum. */
PETSC_INTERN PetscErrorCode FPRunStartPoints(FPRunObjects *run, PetscInt p, PetscReal **start);
/* Section sample, if the run file has one. */
PETSC_INTERN PetscErrorCode FPRunReadSampling(FPConfig config, FPRunObjects *run);
PETSC_INTERN PetscErrorCode FPRunListSampling(FILE *out);
/* Points of a law by independent parts: those of part g, [dim + 1] numbers each, from first[g] to first[g + 1]. */
typedef struct {
  PetscInt  parts, dim, *first;
  double   *value;       /* coordinates, then room for the loss */
  PetscReal rate, error; /* of the killed process, per unit of time; NaN: not killed */
  PetscInt  population;  /* particles that interact, 0: none do */
} FPKept;
/* The points that `dlnfp sample` writes. */
#define FP_MOST_POINTS 100000000
typedef struct {
  PetscInt    count, dim, population; /* population: of FPKept */
  double     *value;                  /* [count][dim + 1]: coordinates of the model, excess loss */
  PetscReal   effective, acceptance;  /* effective sample size; share of the law in the region, NaN: no region */
  PetscReal   rate, rate_error;       /* of FPKept; a generator's has no error */
  const char *engine, *law;
} FPSample;
PETSC_INTERN PetscErrorCode FPRunDraw(FPRunObjects *run, PetscInt p, FPSample *sample);
/* Particles of a discrete process that is killed on leaving sampling.killed: `shots` snapshots of those that live. */
PETSC_INTERN PetscErrorCode FPRunSurvivors(FPRunObjects *run, PetscInt p, PetscInt shots, FPKept *kept);
/* Every resolved key, as results.json records them, after reading and checking everything. */
PETSC_INTERN PetscErrorCode FPRunResolve(FPConfig config, json_t *resolved);
/* Generators of all grids of one process -> rows; the finest one is kept in run->generator[p]. */
PETSC_INTERN PetscErrorCode FPRunGenerator(FPRunObjects *run, PetscInt p);
/* A discrete algorithm, which engine transfer is for, as generator is for the others. */
PETSC_INTERN PetscErrorCode FPRunIsDiscrete(const FPRunObjects *run, PetscInt p, PetscBool *discrete);
PETSC_INTERN PetscErrorCode FPRunParticles(FPRunObjects *run, PetscInt p);
/* Is the mesh fine enough for the law of process p at the minimum? Far from it: bad input; nearly: a warning. */
PETSC_INTERN PetscErrorCode FPRunCheckResolution(FPRunObjects *run, PetscInt p);
/* The same for the steps of a discrete algorithm, from a grid that is solved, with spacing ratio times the finest. */
PETSC_INTERN PetscErrorCode FPRunCheckSteps(FPRunObjects *run, PetscInt p, FPGenerator gen, PetscReal ratio);
/* Widths of the law of process p at the minimum in one cell of the finest grid; 0: unknown. More than FP_WIDE are many.
 */
#define FP_WIDE 0.7
PETSC_INTERN PetscErrorCode FPRunWidthsPerCell(FPRunObjects *run, PetscInt p, PetscReal *ratio);
PETSC_INTERN PetscErrorCode FPRunWarnResolution(FPRunObjects *run, PetscInt p);
/* sweepfit.c: "order" and "order_error" of a table of a sweep over n positive numbers, from its "value" and "error";
   nothing where it has none. */
PETSC_INTERN void FPSweepAddOrder(PetscInt n, const PetscReal key[], json_t *table);
/* divergence.c: of a discrete algorithm, a warning where it leaves the box, and the rate. */
PETSC_INTERN PetscErrorCode FPRunAddDivergence(FPRunObjects *run, PetscInt p, FPGenerator gen,
                                               const FPRefinement *grids);
/* Why observable o cannot be had of process p by an engine; *reason = NULL: it can. */
PETSC_INTERN PetscErrorCode FPRunUnsupported(const FPRunObjects *run, PetscInt p, PetscInt o, const char engine[],
                                             const char **reason);
PETSC_INTERN const char    *FPRunUnsupportedQuantity(const char observable[]); /* that the row of the reason names */
PETSC_INTERN PetscErrorCode FPRunListUnsupported(FILE *out);
/* The row of a quantity that is infinite, which no number says. */
PETSC_INTERN PetscErrorCode FPRunAddInfinite(FPRunObjects *run, const char process[], const char engine[],
                                             const char observable[], const char quantity[]);
#endif

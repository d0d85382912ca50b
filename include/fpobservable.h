/* fpobservable.h: a question asked of a process, with one estimator per engine in one file. An estimator from a
   generator answers on one grid; the run combines grids into a value and a bound. One from particles fills accumulators
   and evaluates their sum; the run deletes a group at a time (jackknife) for bias and standard error, and extrapolates
   in the time step. */
#ifndef FPOBSERVABLE_H
#define FPOBSERVABLE_H
#include "fpgenerator.h"
#include "fpparticles.h"
#include "fpresults.h"

/* How a number of a grid depends on the spacing. FP_OF_CELLS: densities, fluxes, shares of cells, which are of second
   order whatever the operator is. FP_ROUGH: of these, extrema, integrals of a modulus, sums over bins or edges, which
   depend on where kinks and extrema lie between the nodes. */
/* FP_CUT: smooth, of integrals over a region whose boundary cuts cells. */
typedef enum { FP_SMOOTH, FP_OF_CELLS, FP_ROUGH, FP_CUT } FPSmoothness;

typedef struct {
  char      name[FP_NAME], unit[24];
  PetscReal value, error; /* value: infinite where it is; error: of the solver, on one grid; particles: what their
                             scatter does not show */
  FPSmoothness smoothness;
  PetscReal    unsteady; /* share of what extrapolation changes that jumps with where points lie in their cells */
} FPQuantity;

typedef struct {
  PetscInt    n, room;
  FPQuantity *list;
} FPQuantities;

PETSC_EXTERN PetscErrorCode FPQuantitiesAdd(FPQuantities *q, PetscReal value, PetscReal error, const char unit[],
                                            const char name[], ...) __attribute__((format(printf, 5, 6)));
/* Of those from `first` on; FPQuantitiesAdd() adds smooth ones, of which no share is unsteady. */
PETSC_EXTERN void           FPQuantitiesSetSmoothness(FPQuantities *q, PetscInt first, FPSmoothness smoothness,
                                                      PetscReal unsteady);
PETSC_EXTERN PetscErrorCode FPQuantitiesFind(const FPQuantities *q, const char name[],
                                             const FPQuantity **found); /* NULL: none */
PETSC_EXTERN PetscErrorCode FPQuantitiesFree(FPQuantities *q);

/* Bins uniform in z over the box, common to all engines of a run. */
typedef struct {
  PetscInt  dim, count[3], total;
  PetscReal lower[3], width[3], volume;
} FPBins;

/* What an observable may look at. */
typedef struct {
  FPModel           model;
  FPMesh            mesh; /* NULL: no box */
  FPResults         results;
  FPBins            bins;
  PetscInt          processes;
  FPProcess        *process;
  PetscBool         use_generator, use_transfer, use_particles; /* engines of the run */
  FPParticleOptions particles;
} FPScene;

typedef struct _p_FPObservable *FPObservable;

PETSC_EXTERN PetscErrorCode FPObservableCreate(FPConfig config, const char name[],
                                               FPObservable *observable); /* section NAME */
/* Keys that need the model or the mesh (NULL: no box), before any work: regions, points by name. wanted: the run asks
   for the observable; else its keys are only checked. */
PETSC_EXTERN PetscErrorCode FPObservableRead(FPObservable observable, FPConfig config, FPModel model, FPMesh mesh,
                                             PetscBool wanted);
PETSC_EXTERN PetscErrorCode FPObservableGetName(FPObservable observable, const char **name);
PETSC_EXTERN PetscErrorCode FPObservableSetScene(FPObservable observable, const FPScene *scene);
/* Modes beyond the slowest that it needs. */
PETSC_EXTERN PetscErrorCode FPObservableGetPairs(FPObservable observable, PetscInt *pairs);
/* Answers that need no engine at all (rows of engine "exact"). */
PETSC_EXTERN PetscErrorCode FPObservableExact(FPObservable observable);
/* On one grid, FPGeneratorSolve() done; finest: fields are kept and written too. */
PETSC_EXTERN PetscErrorCode FPObservableGenerator(FPObservable observable, FPGenerator gen, PetscBool finest,
                                                  FPQuantities *q);
/* Give the answers of a coarser grid the names that they have on the finest. */
PETSC_EXTERN PetscErrorCode FPObservableAlign(FPObservable observable, const FPQuantities *finest,
                                              FPQuantities *coarse);
/* Particles of its own, for an observable that does not ask about the stationary law: all start at once, no burn-in. */
typedef struct {
  PetscBool  own;
  PetscBool  ordinary_clock; /* in the process's own time even under a fractional clock */
  PetscReal  duration;       /* time, rounded up to SGD steps */
  PetscReal *start;          /* z[particle*dim + k], FPParticlesCount() of them; freed by the run */
} FPEnsemble;

/* used = PETSC_FALSE: it has no particle estimator. Begin ... run ... Evaluate (any sums of groups) ... Fields ... End.
   options: of the run, for the number of particles and the seed; ensemble: zeroed before. */
PETSC_EXTERN PetscErrorCode FPObservableParticlesBegin(FPObservable observable, FPProcess process, PetscReal dt,
                                                       const FPParticleOptions *options, FPObserver *observer,
                                                       FPEnsemble *ensemble, PetscBool *used);
PETSC_EXTERN PetscErrorCode FPObservableEvaluate(FPObservable observable, const double sums[], FPQuantities *q);
PETSC_EXTERN PetscErrorCode FPObservableFields(FPObservable observable, const double sums[]);
PETSC_EXTERN PetscErrorCode FPObservableParticlesEnd(FPObservable observable);
PETSC_EXTERN PetscErrorCode FPObservableDestroy(FPObservable *observable);
PETSC_EXTERN PetscErrorCode FPObservableList(FILE *out);

/* Probability of each bin under a law on a generator's cells (split by overlap), and J summed over bins: Jb[a*total +
 * bin] = integral of J_a. */
PETSC_EXTERN PetscErrorCode FPBinsCreate(const FPBox *box, FPBins *bins);
PETSC_EXTERN PetscErrorCode FPBinsAggregate(const FPBins *bins, FPGenerator gen, PetscInt components,
                                            const PetscReal field[], PetscReal binned[]);
#endif

/* exitimpl.h: what the files of the observable exit share. */
#ifndef FPEXITIMPL_H
#define FPEXITIMPL_H
#include "observableimpl.h"

#define FP_EXIT_KNOWN 16 /* processes whose rates are remembered */

/* Slowest rates of the killed generator of a process, for its particles. */
typedef struct {
  FPProcess process;
  PetscReal rate[2];
  PetscBool rare; /* the second is many times the first */
} FPExitRates;

/* The rate of exits by weak jumps (exit_asymptote.c); reason: why there is none, else NULL. */
typedef struct {
  FPProcess   process;
  PetscReal   rate, error;
  const char *reason;
} FPExitLimit;

typedef struct {
  /* keys */
  FPStrings start, center;
  FPReals   times, overshoot;
  PetscReal duration;
  /* what they mean */
  FPRegion  region, second; /* second: NULL without a region_b */
  FPModel   model;
  PetscInt  dim;
  PetscReal z[FP_MAX_DIM]; /* the start */
  /* around a critical point with negative curvature: orthonormal vector[negative][dim] that span it */
  PetscInt  negative;
  PetscReal centre[FP_MAX_DIM], *vector;
  /* what generators found, and the ensemble that is simulated */
  PetscInt           known;
  FPExitRates        rates[FP_EXIT_KNOWN];
  PetscInt           limits;
  FPExitLimit       *limit; /* of processes that jump, as far as asked for */
  FPProcess          process;
  PetscBool          sde;
  PetscReal          dt, end;                  /* end: duration of the ensemble */
  PetscReal          beta, pace;               /* the clock */
  FPStable           stable;                   /* its jumps */
  PetscReal          unseen;                   /* how far out the boundary seems, in units of their scale */
  const FPExitLimit *weak;                     /* NULL: it does not jump */
  const FPBox       *walls;                    /* that kill; NULL: none do */
  PetscReal          first, bins_per_factor;   /* bins of times: where the second begins, in geometric progression */
  PetscReal          slow, fast;               /* rates that its tail is judged by, 0: unknown */
  PetscBool          seen;                     /* the tail, by those rates */
  PetscReal          tail, before_tail, trust; /* times from which the rate is estimated; weight of their difference */
  PetscInt           middle;                   /* bin of the median time */
  PetscReal          density;                  /* of exits around it, 1/time */
} FPExit;

/* Of a point at displacement z[i*stride] - centre[i]: half of its square less what of it is along negative curvature */
static inline double FPExitAcross(const FPExit *e, const double *z, PetscInt stride)
{
  double square = 0, share = 0;

  for (PetscInt i = 0; i < e->dim; i++) square += PetscSqr(z[i * stride] - e->centre[i]);
  for (PetscInt k = 0; k < e->negative; k++) {
    double along = 0;

    for (PetscInt i = 0; i < e->dim; i++) along += e->vector[k * e->dim + i] * (z[i * stride] - e->centre[i]);
    share += along * along;
  }
  return 0.5 * square - share;
}

/* Does it lie mainly along negative curvature? */
static inline PetscBool FPExitAlongNegative(const FPExit *e, const double *z, PetscInt stride)
{
  return (PetscBool)(FPExitAcross(e, z, stride) < 0);
}

PETSC_INTERN PetscErrorCode FPExitGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q);
PETSC_INTERN PetscErrorCode FPExitParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                                 const FPParticleOptions *options, FPObserver *observer,
                                                 FPEnsemble *ensemble, PetscBool *used);
/* The box, if jumps out of it kill; else NULL. */
PETSC_INTERN PetscErrorCode FPExitWalls(FPProcess process, FPMesh mesh, const FPBox **walls);
/* f[n]: level of z[dim][n] in the region within killing walls, < 0 inside; and as a distance, where the region knows.
 */
PETSC_INTERN void FPExitLevel(FPRegion region, const FPBox *walls, int n, const double *z, double *f);
PETSC_INTERN void FPExitDistance(FPRegion region, const FPBox *walls, int n, const double *z, double *f);
/* exit_asymptote.c: NULL for a process that does not jump; asymptotic_ratio of a rate, where there is one; and the rows
   of asymptotic_rate. */
PETSC_INTERN PetscErrorCode FPExitAsymptote(FPExit *e, FPProcess process, FPMesh mesh, const FPExitLimit **limit);
PETSC_INTERN PetscErrorCode FPExitAddRatio(const FPExitLimit *limit, PetscReal rate, PetscReal error, FPQuantities *q);
PETSC_INTERN PetscErrorCode FPExitExact(FPObservable obs);
PETSC_INTERN PetscErrorCode FPExitEvaluate(FPObservable obs, const double sums[], FPQuantities *q);
#endif

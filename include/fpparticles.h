/* fpparticles.h: the particle engine. Particles move in blocks of FP_BLOCK; blocks belong to FP_GROUPS independent
   groups, whose scatter gives every standard error (it knows all autocorrelation, since particles never interact).
   Random numbers are counter-based (Philox4x32-10), keyed by seed and process name, counted by (particle, step): the
   bits do not depend on threads. */
#ifndef FPPARTICLES_H
#define FPPARTICLES_H
#include "fpprocess.h"
#include "fpmesh.h"

#define FP_GROUPS 64

typedef struct {
  PetscInt  count;          /* particles; rounded up to a multiple of FP_GROUPS * FP_BLOCK */
  PetscInt  steps, burn_in; /* in SGD steps: times steps * eta */
  PetscInt  seed, threads;  /* threads 0: all cores */
  PetscBool quiet;          /* part of a longer phase: tells no progress of its own */
  /* run in the process's own time even where its clock is fractional, for observers that convert times themselves */
  PetscBool ordinary_clock;
} FPParticleOptions;
PETSC_EXTERN PetscErrorCode FPParticleOptionsRead(FPConfig config, FPParticleOptions *options);
PETSC_EXTERN PetscErrorCode FPParticleOptionsView(FILE *out); /* the keys of section particles, for `dlnfp list` */

/* One step of one block: coordinates z[d][FP_BLOCK] before and after it (after the walls). */
typedef struct _FPMove FPMove;
struct _FPMove {
  PetscInt      dim;
  PetscReal     dt;   /* time of one step */
  PetscInt64    step; /* counted from the end of the burn-in, 1 after the first step */
  const double *before, *after;
  /* particle of lane 0, and the run's key: an observer may draw at stream indices from 1 << 62 up, which no step
   * reaches */
  unsigned long long first;
  const unsigned    *key;
  /* The same step, with the same random numbers, from other points before[dim][FP_BLOCK]; after: not yet at the walls.
     For the observer that asked for replays: in every sample() once for each which = 0 .. replays - 1. */
  void (*replay)(const FPMove *move, int which, const double *before, double *after);
  /* Another step from before, with random numbers of its own, walls included; for observers that asked for it, of
     processes on the ordinary clock. */
  void (*again)(const FPMove *move, double *after);
  void *engine;
};

/* What an observable hands to the engine: plain C, called from threads, one group by one thread in a fixed order. */
typedef struct {
  size_t   accumulator, scratch; /* doubles per group, zeroed before; doubles per thread */
  PetscInt every;                /* sample() is called after every `every`-th step */
  void (*start)(const void *context, const FPMove *move,
                double *scratch); /* a block's burn-in has ended; NULL: nothing to do */
  void (*sample)(const void *context, const FPMove *move, double *scratch, double *accumulator);
  /* Of an observer that is alone: [FP_BLOCK] after every sample(), 0 for a particle that has shown all it can. It stays
     where it was, and its block ends with the last of them. NULL: all go on to the last step. */
  const double *(*active)(const void *context, const double *scratch);
  int         replays; /* of every step; every = 1 then, and one observer of a run at most */
  PetscBool   again;   /* sample() may take other steps */
  const void *context;
} FPObserver;

typedef struct {
  double particle_steps, seconds, cpu_seconds;
  /* mean number of wall crossings per particle and step, burn-in excluded; steps that none was left to take count too
   */
  double crossings[FP_GROUPS];
} FPParticleReport;

/* Simulate. dt: step of an SDE (must divide eta); ignored for discrete algorithms. start: z[particle*dim + k], or NULL:
   uniform in the box. box may be NULL (no walls). SDEs: Euler-Maruyama, weak order 1, co-normal reflection w -= 2
   overshoot D n/(n D n), and jumps as the boundary kind of the process says; discrete algorithms: mirrored coordinate.
   accumulators[o] has FP_GROUPS * observer[o].accumulator doubles. Errors: a particle that becomes non-finite is a
   failed computation. */
PETSC_EXTERN PetscErrorCode FPParticlesRun(FPProcess process, const FPBox *box, PetscReal dt,
                                           const FPParticleOptions *options, const double start[], PetscInt observers,
                                           const FPObserver observer[], double *accumulators[],
                                           FPParticleReport *report);
PETSC_EXTERN PetscErrorCode FPParticlesCount(const FPParticleOptions *options, PetscInt *count); /* after rounding */

/* Random numbers: `rows` of FP_BLOCK words for particles first .. first + FP_BLOCK - 1 at position index of their
 * streams; rows and index are multiples of 4. Words are the same everywhere, normals on one instruction set. */
PETSC_EXTERN void FPRandomWords(const unsigned key[2], unsigned long long first, unsigned long long index, int rows,
                                unsigned *word);
PETSC_EXTERN void FPRandomNormals(int rows, const unsigned *word,
                                  float *normal); /* even rows; Box-Muller on pairs of rows, |z| <= 6.67 */
/* s[FP_BLOCK] of E exp(-q s) = exp(-q^beta), 0 < beta < 1, from word[2][FP_BLOCK]. */
PETSC_EXTERN void FPStablePositive(double beta, const unsigned *word, double *s);
/* Increment x[dim][FP_BLOCK] of the stable noise in that time, from normal[normals][FP_BLOCK] and
   word[words][FP_BLOCK]. */
PETSC_EXTERN void FPStableNeeds(const FPStable *stable, int dim, int *normals, int *words);
PETSC_EXTERN void FPStableVector(const FPStable *stable, int dim, double time, const float *normal,
                                 const unsigned *word, double *x);
/* "avx512f", "avx2" or "baseline": bits of results are the same for any number of threads on one of these. */
PETSC_EXTERN const char *FPInstructionSet(void);
#endif

/* particlesimpl.h: inside of the particle engine. A stepper is what all threads share and only read; a workspace
   belongs to one thread. Arrays hold one block: component k of lane l at [k*FP_BLOCK + l]. */
#ifndef FPPARTICLESIMPL_H
#define FPPARTICLESIMPL_H
#include "fpparticles.h"
#include <stdint.h>

#define FP_ALIGNMENT 64    /* bytes, one cache line */
#define FP_CHECK_STEPS 256 /* steps between checks that every coordinate is finite */

/* word[4][FP_BLOCK] of the counters (group, first + lane) */
typedef void (*FPPhiloxBlock)(const unsigned key[2], uint64_t first, uint64_t group, unsigned *word);
/* The forms of Philox that this processor can run; their number. */
PETSC_INTERN int FPPhiloxBlocks(FPPhiloxBlock block[3]);

/* Random numbers of a block, drawn ahead in items of `normals` normals and `words` words. capacity is a multiple of 4,
   so that no output of the generator is wasted. */
typedef struct {
  int       normals, words, capacity, next;
  float    *normal; /* [capacity][normals][FP_BLOCK] */
  unsigned *word;   /* [capacity][words][FP_BLOCK] */
} FPQueue;

typedef struct {
  unsigned           key[2];
  unsigned long long first;     /* first particle of the block */
  unsigned long long index;     /* next word of every stream of the block */
  unsigned          *raw;       /* words on their way to normals */
  FPQueue            sample;    /* of the data */
  FPQueue            noise;     /* channels of an SDE and its jumps, or injected noise */
  FPQueue            ticks;     /* waiting times of a fractional clock */
  double            *next;      /* of the fractional clock: time of the next step of each lane */
  double            *tick;      /* [dim], where that step leads */
  double            *z[2];      /* [dim], state before and after the step */
  double            *w[2];      /* [weights], the same for mapped coordinates */
  double            *x, *y;     /* one sample: [inputs], [targets] */
  double            *M, *J, *G; /* end-to-end matrix, its Jacobian, sum of e x^T over the batch */
  double            *b, *S, *D; /* gradient or drift [weights], factor [weights][channels], diffusion [dim][dim] */
  double            *jump;      /* of stable noise: [dim], of this step */
  double            *rest;      /* and where the step would lead without it */
  double            *sigma;     /* and its scale */
  double            *piece[2];  /* lengths of this piece of a step and of what is left, in time */
  double            *least;     /* [dim], least and greatest displacement during a step that walls may stop */
  double            *most;
  double            *scratch; /* of the observers, one after the other */
  double             cpu;     /* seconds of this thread */
  void              *memory;
  size_t             bytes; /* of it, without the scratch, which is last */
} FPWorkspace;

typedef struct _FPStepper FPStepper;
struct _FPStepper {
  FPProcess    process;
  FPModel      model;
  const FPBox *box; /* NULL: no walls */
  PetscBool    mapped, sde;
  PetscBool    linear; /* sum e x^T over the batch and take M and J once: more than one sample of data per step */
  int          dim, weights, channels, inputs, targets;
  int          batch, batches;
  double       coefficient[2];               /* of the batches' mean gradients */
  double       dt, decay, metric, amplitude; /* amplitude: standard deviation of the injected noise per step */
  PetscInt     substeps;                     /* steps per SGD step */
  PetscBool    fractional;                   /* the clock, with its order and scale */
  double       beta, scale;
  FPStable     stable; /* jumps of an SDE */
  int          jump_normals, jump_words;
  int          pieces; /* of a step, with random numbers for each */
  unsigned     key[2];
  FPSampler    sampler;
  void (*step)(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
};

PETSC_INTERN PetscErrorCode FPStepperCreate(FPProcess process, const FPBox *box, PetscReal dt, PetscInt seed,
                                            FPStepper *stepper);
PETSC_INTERN PetscErrorCode FPWorkspaceCreate(const FPStepper *stepper, size_t scratch, FPWorkspace *ws);
PETSC_INTERN void           FPWorkspaceDestroy(FPWorkspace *ws);
/* Make `to`, of the same stepper, draw from here on what `from` will draw. */
PETSC_INTERN void FPWorkspaceFollow(const FPWorkspace *from, FPWorkspace *to);
/* Forget what was drawn ahead and start the streams of particles first, first + 1, ... at an index */
PETSC_INTERN void FPWorkspaceStart(FPWorkspace *ws, unsigned long long first, unsigned long long index);
/* normal[normals][FP_BLOCK] and word[words][FP_BLOCK] of the next item. */
PETSC_INTERN void FPQueueNext(FPWorkspace *ws, FPQueue *queue, const float **normal, const unsigned **word);
/* Reflect z[dim] into the box, or do what the boundary of a process with jumps says, and return the number of
   coordinates that had left it; -1: one is not finite. */
PETSC_INTERN int FPWallsApply(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *z);

/* One step of the coordinates z as if there were no walls; and with them: the number of wall crossings, or -1. */
PETSC_INTERN void FPStepperAdvance(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
PETSC_INTERN int  FPStepperStep(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
/* Fractional clock: start it, then all steps that are due by `time`; as FPStepperStep(). */
PETSC_INTERN void FPClockStart(const FPStepper *stepper, FPWorkspace *ws);
PETSC_INTERN int  FPClockAdvance(const FPStepper *stepper, FPWorkspace *ws, double time, const double *before,
                                 double *after);

/* Steps of the processes, in the space of the weights. */
PETSC_INTERN void FPStep_SDE(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
PETSC_INTERN void FPStep_SGD(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
PETSC_INTERN void FPStep_GD(const FPStepper *stepper, FPWorkspace *ws, const double *before, double *after);
#endif

/* processimpl.h: inside of a process. Its types fill the three axes; they act on the weights w (the coordinates z
   themselves unless the model maps them), with arrays as in fpmodel.h and blocks of n <= FP_BLOCK points. */
#ifndef FPPROCESSIMPL_H
#define FPPROCESSIMPL_H
#include "fpprocess.h"

typedef struct {
  void (*drift)(FPProcess process, int n, const double *w, double *b); /* Ito drift */
  /* U with b = -metric grad U, for a model with a potential */
  void (*energy)(FPProcess process, int n, const double *w, double *U);
  /* Covariance [d][d][n] of oscillations about w that the drift is averaged over; NULL: none */
  void (*oscillation)(FPProcess process, int n, const double *w, double *Sigma);
  const char *heated; /* what the type loses where T > 0, in words; NULL: nothing */
  void       *data;   /* of the type, freed by destroy(); both may be NULL */
  PetscErrorCode (*destroy)(FPProcess process);
} FPDrift;

typedef struct {
  PetscBool isotropic; /* D = T metric I: constant */
  PetscBool needs_temperature;
  PetscInt  channels; /* columns of S that the type itself makes; injected noise adds `weights` more when T > 0 */
  void (*diffusion)(FPProcess process, int n, const double *w, double *D);  /* adds to D */
  void (*divergence)(FPProcess process, int n, const double *w, double *c); /* adds d_j D_ij to c */
  void (*factor)(FPProcess process, int n, const double *w, double *S);     /* the first columns of S */
  FPStable  stable;                                                         /* jumps beside D */
  PetscReal scale; /* of the jumps, in z; 0: of the gradient noise */
  PetscReal gain;  /* D is this times C, the covariance of one sample's gradient, beside the injected noise */
  PetscBool whole; /* the injected noise is in factor() too, and D not this: gain tells the leading order alone */
  /* Refuses a box (NULL: the surroundings of the critical points) in which the type does not exist; may be NULL */
  PetscErrorCode (*check)(FPProcess process, const PetscReal lower[], const PetscReal upper[]);
} FPNoise;

typedef struct {
  FPAlgorithm kind;
  PetscBool   ordered; /* understands svag_order */
} FPAlgorithmType;

typedef enum { FP_NO_POTENTIAL, FP_ENERGY, FP_QUADRATIC } FPPotentialKind;

/* Keys of a process's own section */
typedef struct {
  char      preset[FP_TEXT], drift[FP_TEXT], noise[FP_TEXT], temperature[FP_TEXT], matched_to[FP_TEXT];
  char      matched_at[FP_TEXT];
  char      clock[FP_TEXT];
  PetscInt  svag_order;
  PetscReal dt, beta, clock_scale;
  char      scale[FP_TEXT], components[FP_TEXT], boundary[FP_TEXT];
  PetscReal alpha;
} FPProcessKeys;

typedef struct _FPSection FPSection; /* section.c */

struct _p_FPProcess {
  char            name[FP_NAME];
  char            drift_name[FP_NAME], noise_name[FP_NAME]; /* types of the axes */
  FPModel         model;                                    /* borrowed */
  FPTraining      training;                                 /* temperature: this process's own */
  FPDrift         drift;
  FPNoise         noise;
  FPAlgorithmType algorithm;
  PetscBool       fractional; /* the clock: inverse of a stable subordinator */
  PetscReal       beta, clock_scale;
  PetscInt        order;
  PetscInt        dim, weights, channels; /* columns of S: gradient noise, then injected noise */
  PetscBool       mapped;
  PetscReal       metric;
  PetscReal       dt;      /* of particles; 0: no minimum to choose it from */
  PetscReal       gibbs;   /* temperature of the Gibbs law to compare with */
  FPSection      *section; /* NULL: not projected on a subspace */
  FPPotentialKind potential;
  PetscReal       center[FP_MAX_DIM], *curvature; /* [dim][dim]; FP_QUADRATIC: Phi = y^T curvature y/2 */
};

typedef enum { FP_AXIS_DRIFT, FP_AXIS_NOISE, FP_AXIS_ALGORITHM, FP_AXIS_CLOCK, FP_AXES } FPAxis;

/* processread.c. Sets the axes, which read nothing, and checks that the keys fit them. */
PETSC_INTERN PetscErrorCode FPProcessReadKeys(FPConfig config, FPProcess process, FPProcessKeys *keys);
/* File, line, key and value of NAME_KEY; NULL: it is not given. */
PETSC_INTERN PetscErrorCode FPProcessKeyWhere(FPConfig config, FPProcess process, const char key[], const char **where);
/* processmatched.c. Mean over all weights of the variance of one sample's gradient: tr C/d in `weights`, at z. */
PETSC_INTERN PetscErrorCode FPProcessMeanCovariance(FPModel model, const PetscReal z[], PetscReal *mean);
/* Largest modulus of the eigenvalues of FPModelHessian() on the weights at z. */
PETSC_INTERN PetscErrorCode FPProcessSharpness(FPProcess process, const PetscReal z[], PetscReal *sharpness);
PETSC_INTERN PetscErrorCode FPProcessMatchedTemperature(FPConfig config, FPProcess process, const FPProcessKeys *keys,
                                                        PetscReal *temperature);
/* process.c. A reference, another process's temperature is matched to it, must not be matched itself. */
PETSC_INTERN PetscErrorCode FPProcessCreate_Private(FPConfig config, const char name[], FPModel model,
                                                    PetscBool reference, FPProcess *process);
/* noise_stable.c. Its keys, for a process with that noise. */
PETSC_INTERN PetscErrorCode FPProcessSetUpStable(FPConfig config, FPProcess process, const FPProcessKeys *keys);
/* processpotential.c. Finds out whether the process has a known potential. */
PETSC_INTERN PetscErrorCode FPProcessSetUpPotential(FPProcess process);
/* processalong.c. Derivative of rows of f along u[d][n] (NULL: along 1 in one coordinate), out[rows][n]. */
typedef void (*FPModelFunction)(FPModel, int, const double *, double *);
PETSC_INTERN void FPProcessAlong(FPModel model, FPModelFunction f, int d, int rows, int n, const double *w,
                                 const double *u, double *out);
/* Refuses a model that has more than one coordinate, or a mapped one, on behalf of an axis. */
PETSC_INTERN PetscErrorCode FPProcessRequireScalar(FPProcess process, const char axis[]);
/* processeval.c. D on the weights. */
PETSC_INTERN void FPProcessWeightDiffusion(FPProcess process, int n, const double *w, double *D);

#define FP_DRIFT(name, create) PETSC_INTERN PetscErrorCode create(FPProcess);
#define FP_NOISE FP_DRIFT
#define FP_ALGORITHM FP_DRIFT
#define FP_CLOCK FP_DRIFT
#include "processlist.h"
#endif

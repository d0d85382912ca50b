/* fpprocess.h: how z moves: drift x noise x algorithm, composed from axes; a preset is nothing but axis values.
   SDEs are Ito, dz = b dt + sqrt(2 D) dB, time t = k eta. Threads may call the functions that return void. */
#ifndef FPPROCESS_H
#define FPPROCESS_H
#include "fpmodel.h"

typedef struct _p_FPProcess *FPProcess;

typedef enum { FP_SDE, FP_SGD, FP_SVAG, FP_GD } FPAlgorithm; /* the last three are discrete */

/* What becomes of jumps out of the box */
typedef enum {
  FP_BOUNDARY_KILLED,   /* such a jump is the end */
  FP_BOUNDARY_CENSORED, /* it does not happen */
  FP_BOUNDARY_MIRROR,   /* it is reflected at the walls as often as it takes */
  FP_BOUNDARY_CONFINED  /* it ends at the wall, per coordinate */
} FPBoundary;

/* Stable noise beside the Gaussian noise of temperature T: dz = b dt + sqrt(2 T metric) dB + sigma(z) dL, Ito, with
   E exp(i k.L_t) = exp(-t |k|^alpha), or exp(-t sum_a |k_a|^alpha) where the components are independent. */
typedef struct {
  PetscBool  has, independent;
  PetscReal  alpha; /* in (0, 2] */
  FPBoundary boundary;
} FPStable;

PETSC_EXTERN PetscErrorCode FPProcessCreate(FPConfig config, const char name[], FPModel model, FPProcess *process);
PETSC_EXTERN PetscErrorCode FPProcessGetName(FPProcess process, const char **name);
PETSC_EXTERN PetscErrorCode FPProcessGetModel(FPProcess process, FPModel *model);
PETSC_EXTERN PetscErrorCode FPProcessGetTraining(FPProcess   process,
                                                 FPTraining *training); /* temperature: this process's T */
PETSC_EXTERN PetscErrorCode FPProcessGetAlgorithm(FPProcess process, FPAlgorithm *algorithm, PetscInt *order);
/* "gradient", "modified", ...: the types of the two axes; either may be NULL */
PETSC_EXTERN PetscErrorCode FPProcessGetAxes(FPProcess process, const char **drift, const char **noise);
/* gd or an SDE, without any noise */
PETSC_EXTERN PetscErrorCode FPProcessIsDeterministic(FPProcess process, PetscBool *deterministic);
/* Covariance [d][d][n], n <= FP_BLOCK, of the oscillations about z that the drift averages over (central_flow,
   rod_flow). Only where there is one. */
PETSC_EXTERN PetscErrorCode FPProcessHasOscillation(FPProcess process, PetscBool *has);
PETSC_EXTERN void           FPProcessOscillation(FPProcess process, int n, const double *z, double *Sigma);
/* What the process is not, with its injected noise, that its preset says it is: in words, or NULL. */
PETSC_EXTERN PetscErrorCode FPProcessGetCaveat(FPProcess process, const char **caveat);
/* The clock: p(t) = E_beta(scale t^beta L) p(0) in place of exp(t L) p(0), E_beta the Mittag-Leffler function; the
   process runs in the time inf{s : S(s) > t} of a stable subordinator, E exp(-q S(s)) = exp(-s q^beta/scale). The
   ordinary clock has beta = scale = 1. */
PETSC_EXTERN PetscErrorCode FPProcessGetClock(FPProcess process, PetscReal *beta, PetscReal *scale);
/* Errors (user input): the process is none in that box (NULL: without one), as its diffusion is negative somewhere. */
PETSC_EXTERN PetscErrorCode FPProcessCheckBox(FPProcess process, const PetscReal lower[], const PetscReal upper[]);
/* Time per step of a discrete algorithm (eta, or eta/order for svag); 0 for an SDE. */
PETSC_EXTERN PetscErrorCode FPProcessGetStep(FPProcess process, PetscReal *step);
/* Independent batches of a step, two of svag of an order above 1, else one, and what each counts, in sum 1. */
PETSC_EXTERN PetscErrorCode FPProcessGetBatches(FPProcess process, PetscInt *batches, PetscReal coefficient[2]);
PETSC_EXTERN PetscErrorCode FPProcessGetParticleStep(FPProcess process, PetscReal *dt); /* SDE: key dt, or a default */
/* Temperature of the Gibbs law to compare with: T of an isotropic process, else the matched one tr D(w_min)/d; 0: none.
 */
PETSC_EXTERN PetscErrorCode FPProcessGetGibbsTemperature(FPProcess process, PetscReal *temperature);
/* Reversible with known potential: the stationary law is exp(-Phi) w.r.t. the model's measure. */
PETSC_EXTERN PetscErrorCode FPProcessHasPotential(FPProcess process, PetscBool *has);
PETSC_EXTERN void           FPProcessPotential(FPProcess process, int n, const double *z, double *Phi);
/* In the model's coordinates z (pushed forward where mapped), structures of arrays as in fpmodel.h. */
PETSC_EXTERN void           FPProcessDrift(FPProcess process, int n, const double *z, double *b);     /* Ito drift */
PETSC_EXTERN void           FPProcessDiffusion(FPProcess process, int n, const double *z, double *D); /* D, [d][d][n] */
PETSC_EXTERN PetscErrorCode FPProcessGetStable(FPProcess process, FPStable *stable);
/* sigma at n points; unit z/time^(1/alpha). Only where there is stable noise. */
PETSC_EXTERN void FPProcessStableScale(FPProcess process, int n, const double *z, double *sigma);
/* Fick drift v: the backward generator is (1/m) div(m D grad f) + v . grad f, m the model's measure. */
PETSC_EXTERN void FPProcessFick(FPProcess process, int n, const double *z, double *v);
/* On the weights (what particles integrate): Ito drift b, and factor S[weights][channels] with 2 D = S S^T. */
PETSC_EXTERN PetscErrorCode FPProcessGetChannels(FPProcess process, PetscInt *channels);
PETSC_EXTERN void           FPProcessWeightDrift(FPProcess process, int n, const double *w, double *b);
PETSC_EXTERN void           FPProcessWeightFactor(FPProcess process, int n, const double *w, double *S);
/* The SDE projected on the subspace origin[dim] + span of the orthonormal basis[k][dim]: drift P b, diffusion P D P
   there, in coordinates along the basis. model: of dimension k, for its critical points and measure 1. Both are
   borrowed. */
PETSC_EXTERN PetscErrorCode FPProcessCreateSection(FPProcess parent, FPModel model, const PetscReal origin[],
                                                   const PetscReal basis[], FPProcess *section);
PETSC_EXTERN PetscErrorCode FPProcessDestroy(FPProcess *process);
PETSC_EXTERN PetscErrorCode FPProcessList(FILE *out);
#endif

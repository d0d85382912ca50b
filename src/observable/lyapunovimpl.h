/* lyapunovimpl.h: what the files of the observable lyapunov share. */
#ifndef FPLYAPUNOVIMPL_H
#define FPLYAPUNOVIMPL_H
#include "observableimpl.h"

#define FP_TANGENT 1e-5 /* length of the tangent vector that stands for the derivative along it, in weights */

typedef struct {
  FPBox            box;   /* dim 0: none */
  const PetscReal *still; /* NULL, or a point that all tangent vectors are at, wherever the particles are */
  FPProcess        process;
  PetscBool        sde;
  PetscInt         dim;
  PetscInt64       skip, quarter; /* steps before the measured ones, and in each quarter of those */
  PetscReal        dt;
} FPLyapunov;

/* Derivatives at z[d], d = 1, 2, of an SDE: A[d][d] of the drift, B[channels][d][d] of the columns of S[d][channels].
 */
typedef struct {
  PetscInt d, channels;
  double   A[4], *S, *B;
} FPTangents;

#define FP_LYAPUNOV_MAPPED "tangent vectors live in the weights: model_coordinates = weights has them"

/* lyapunov_orbit.c */
PETSC_INTERN PetscErrorCode FPLyapunovBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                            const FPParticleOptions *options, FPObserver *observer,
                                            FPEnsemble *ensemble, PetscBool *used);
PETSC_INTERN PetscErrorCode FPLyapunovEvaluate(FPObservable obs, const double sums[], FPQuantities *q);
/* lyapunov_point.c: of an SDE in two coordinates. *reason: why there is none, or NULL. */
PETSC_INTERN PetscErrorCode FPLyapunovPoint(FPProcess process, const PetscReal point[], PetscReal *value,
                                            PetscReal *error, const char **reason);
/* lyapunov_still.c: does every sample's gradient, less decay, vanish at the point? And the largest exponent there of a
   discrete algorithm without injected noise, by particles, with its standard error. */
PETSC_INTERN PetscErrorCode FPLyapunovStays(FPModel model, const PetscReal point[], PetscBool *stays);
PETSC_INTERN PetscErrorCode FPLyapunovStill(FPObservable obs, FPProcess process, const PetscReal point[],
                                            PetscReal *value, PetscReal *error);
/* lyapunov_generator.c */
PETSC_INTERN void           FPTangentsAt(FPProcess process, const double z[], FPTangents *t);
PETSC_INTERN PetscErrorCode FPLyapunovGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q);
/* lyapunov_plane.c: an SDE on one grid of two dimensions; error: but for that of the grid. */
PETSC_INTERN PetscErrorCode FPLyapunovPlane(FPProcess process, FPGenerator gen, FPTangents *t, PetscReal *exponent,
                                            PetscReal *error);
/* lyapunov_transfer.c: on one grid; *reason is left where there is none to refuse. */
PETSC_INTERN PetscErrorCode FPLyapunovTransferRefused(FPGenerator gen, const char **reason);
PETSC_INTERN PetscErrorCode FPLyapunovTransfer(FPGenerator gen, PetscBool finest, PetscReal *exponent,
                                               PetscReal *error);
#endif

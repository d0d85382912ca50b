/* noiseimpl.h: what the two files of the observable noise share. */
#ifndef FPNOISEIMPL_H
#define FPNOISEIMPL_H
#include "course.h"

typedef struct {
  FPCourse   course; /* times.n = 0: only points are asked for */
  FPReals    at;
  FPModel    model;
  FPProcess  process; /* an SDE; NULL: a discrete algorithm */
  FPTraining training;
  PetscBool  mapped, sampled; /* sampled: a discrete algorithm that draws samples */
  PetscInt   dim, weights, channels, own, nm, modes, rows;
  PetscReal  metric, dt, mode[FP_MAX_MAP][FP_MAX_MAP], target[FP_MAX_MAP]; /* mode k = sum_a mode[k][a] M_a */
} FPNoiseCourse;

PETSC_INTERN PetscErrorCode FPNoiseCourseGenerator(FPObservable obs, FPGenerator gen, PetscBool finest,
                                                   FPQuantities *q);
PETSC_INTERN PetscErrorCode FPNoiseCourseBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                               const FPParticleOptions *options, FPObserver *observer,
                                               FPEnsemble *ensemble, PetscBool *used);
PETSC_INTERN PetscErrorCode FPNoiseCourseEvaluate(FPObservable obs, const double sums[], FPQuantities *q);
/* diffusion_peak[k] */
PETSC_INTERN PetscErrorCode FPNoisePeaks(FPObservable obs);
#endif

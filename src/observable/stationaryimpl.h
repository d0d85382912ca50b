/* stationaryimpl.h: what the files of the observable stationary share. */
#ifndef FPSTATIONARYIMPL_H
#define FPSTATIONARYIMPL_H
#include "course.h"

typedef struct {
  FPProcess    process;
  FPModel      model;
  FPBox        box;
  FPBins       bins;
  FPJudges     judges;
  PetscBool    mapped, bounded;
  PetscInt     dim, weights, nm;
  PetscReal    temperature, *gibbs; /* gibbs[bins.total]: ln of probabilities, NULL when there are none */
  FPGibbsLines lines;
  PetscInt     particles;
  PetscReal    dt;
  signed char *sign; /* [bins.total][3] of variation.h, of the wide bins */
  PetscInt     turn; /* evaluations of one simulation so far: all groups, then without each of them */
} FPStationary;

/* stationary_gibbs.c: ln of the probability of each bin under exp(-V/T), p[bins.total] */
PETSC_INTERN PetscErrorCode FPStationaryGibbs(const FPStationary *s, PetscReal T, PetscReal p[]);
/* between probabilities p and exp(log_q) on bins, p and log_q[bins->total], merged to wide ones */
PETSC_INTERN void FPStationaryBinned(const FPBins *bins, const PetscReal p[], const PetscReal log_q[], PetscReal *kl,
                                     PetscReal *tv);
/* TV likewise, of particles: first[bins->total] by one half of them, p by both; doubt: how far it may be off */
PETSC_INTERN void FPStationaryVariation(const FPBins *bins, const PetscReal p[], const PetscReal first[],
                                        const PetscReal log_q[], PetscBool all, signed char sign[], PetscReal *tv,
                                        PetscReal *doubt);
/* of the law pi on a generator's cells: kl_gibbs, tv_gibbs, both binned; w1_p_gibbs, which needs no density */
PETSC_INTERN PetscErrorCode FPStationaryDistances(const FPStationary *s, FPGenerator gen, const PetscReal pi[],
                                                  FPQuantities *q);
PETSC_INTERN PetscErrorCode FPStationaryTransport(const FPStationary *s, FPGenerator gen, const PetscReal pi[],
                                                  FPQuantities *q);
#endif

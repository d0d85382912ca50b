/* angleimpl.h: the law of the direction of tangent vectors in the plane. */
#ifndef FPANGLEIMPL_H
#define FPANGLEIMPL_H
#include "observableimpl.h"
#include <complex.h>

/* The real function sum over k = -2 .. 2 of c_k exp(2ikt), c_{-k} = conj c_k */
typedef struct {
  double complex c[3];
} FPWave;

static inline double complex FPWaveAt(const FPWave *wave, int k)
{
  return k < 0 ? conj(wave->c[-k]) : wave->c[k];
}

/* h, d and g of angle.c */
typedef struct {
  FPWave turn, spread, growth;
} FPAngle;

/* A[2][2], B[channels][2][2]; across[channels] = u'.B_c u */
PETSC_INTERN void FPAngleSet(const double A[4], PetscInt channels, const double B[], FPAngle *a, FPWave across[]);

/* How fast nearby directions may meet: a bound of |dh/dt|. */
PETSC_INTERN double FPAngleRate(const FPAngle *a);

/* Mean growth of a linear equation, by `modes` moments of its angle, an even number; those beyond are taken to be 0. */
PETSC_INTERN PetscErrorCode FPAngleExponent(const FPAngle *a, PetscInt modes, PetscReal *exponent);
#endif

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

/* Galerkin's equations on `size` functions phi of z, orthonormal under its law, phi_0 = 1; entry (i, l) at [l*room + i]
   is the mean of phi_l(z) times what the generator makes of phi_i exp(2imt): still: Q phi_i, of z alone; turn[k]: the
   coefficient of 2im exp(2ikt); spread[k]: that of -4m^2 exp(2ikt); growth[k][l]: mean of phi_l times the coefficient
   of g. */
typedef struct {
  PetscInt        size, room, modes; /* size <= room; modes: even, what lies beyond is taken to be zero */
  double          widening;          /* a diffusion of t added everywhere, rad^2/time */
  double         *still;
  double complex *turn[3], *spread[3], *growth[3];
} FPDirections;

PETSC_INTERN PetscErrorCode FPDirectionsExponent(const FPDirections *d, PetscReal *exponent);
#endif

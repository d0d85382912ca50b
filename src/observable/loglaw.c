/* loglaw.c: ln |product of k standard normal variables|. Its density is the k-fold convolution of that of ln |w|. All
   integrands are analytic and bounded for |Im u| < pi/4, so the trapezoidal rule of spacing h errs by exp(-pi^2/(2 h)):
   h = 1/8 is exact to double precision. */
#include "gibbsimpl.h"
#include <math.h>

#define UPPER 17.0 /* largest ln |w_1 ... w_k| that matters for standard normal weights, for any k */
#define STENCIL 8  /* points of the interpolation */

/* a * b on the lattice; what lies beyond its ends is left out */
static void Convolve(const FPLogLaw *law, const double *a, const double *b, double *c)
{
#pragma omp parallel for schedule(static, 64)
  for (PetscInt k = 0; k < law->n; k++) {
    const PetscInt total = k + law->origin, first = PetscMax(0, total - law->n + 1), last = PetscMin(law->n - 1, total);
    double         sum = 0;

#pragma omp simd reduction(+ : sum)
    for (PetscInt i = first; i <= last; i++) sum += a[i] * b[total - i];
    c[k] = law->h * sum;
  }
}

static void One(const FPLogLaw *law, double *density)
{
  for (PetscInt k = 0; k < law->n; k++)
    density[k] = PetscSqrtReal(2 / PETSC_PI) * PetscExpReal(-0.5 * PetscExpReal(2 * (k - law->origin) * law->h));
}

/* By repeated squaring. */
PetscErrorCode FPLogLawCreate(PetscInt factors, PetscReal h, PetscReal lower, FPLogLaw *law)
{
  double  *power, *work;
  PetscInt rest = factors;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(law, sizeof(*law)));
  law->h      = h;
  law->origin = (PetscInt)ceil(lower / h);
  law->n      = law->origin + (PetscInt)ceil(UPPER / h) + 1;
  if (!factors) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(law->n, &law->density));
  PetscCall(PetscMalloc2(law->n, &power, law->n, &work));
  One(law, power);
  for (PetscBool empty = PETSC_TRUE; rest; rest /= 2) {
    if (rest % 2 && empty) {
      PetscCall(PetscArraycpy(law->density, power, law->n));
      empty = PETSC_FALSE;
    } else if (rest % 2) {
      Convolve(law, law->density, power, work);
      PetscCall(PetscArraycpy(law->density, work, law->n));
    }
    if (rest == 1) break;
    Convolve(law, power, power, work);
    PetscCall(PetscArraycpy(power, work, law->n));
  }
  PetscCall(PetscFree2(power, work));
  for (law->last = law->n - 1; law->density[law->last] < 1e-30;) law->last--;
  PetscFunctionReturn(0);
}

/* The derivative falls on one factor: that of one is -e^{2u} times its density, so no digits are lost. */
PetscErrorCode FPLogLawSmooth(PetscInt factors, FPLogLaw *law)
{
  PetscFunctionBegin;
  PetscCall(PetscMalloc2(law->n, &law->log_density, law->n, &law->fall));
  for (PetscInt k = 0; k < law->n; k++) {
    law->log_density[k] = PetscLogReal(PetscMax(law->density[k], 1e-300));
    law->fall[k]        = PetscExpReal(2 * (k - law->origin) * law->h);
  }
  if (factors > 1) {
    FPLogLaw less;
    double  *one;

    PetscCall(FPLogLawCreate(factors - 1, law->h, law->origin * law->h, &less));
    PetscCall(PetscMalloc1(law->n, &one));
    One(law, one);
    for (PetscInt k = 0; k < law->n; k++) one[k] *= law->fall[k];
    Convolve(law, one, less.density, law->fall);
    for (PetscInt k = 0; k < law->n; k++) law->fall[k] /= PetscMax(law->density[k], 1e-300);
    PetscCall(PetscFree(one));
    PetscCall(FPLogLawDestroy(&less));
  }
  PetscFunctionReturn(0);
}

PetscReal FPLogLawEnd(const FPLogLaw *law)
{
  return law->density ? (law->last - law->origin) * law->h : 0;
}

PetscReal FPLogLawAt(const FPLogLaw *law, PetscReal u, PetscReal *fall)
{
  const PetscReal at    = u / law->h + law->origin;
  const PetscInt  first = PetscMax(0, (PetscInt)floor(at) - STENCIL / 2 + 1);
  PetscReal       x = at - first, before[STENCIL], after = 1, log_density = 0;
  /* 1/prod_{j != i} (i - j) */
  static const PetscReal scale[STENCIL] = {-1.0 / 5040, 1.0 / 720, -1.0 / 240, 1.0 / 144,
                                           -1.0 / 144,  1.0 / 240, -1.0 / 720, 1.0 / 5040};

  *fall = 0;
  if (first + STENCIL > law->last) return 0;
  before[0] = 1;
  for (PetscInt i = 1; i < STENCIL; i++) before[i] = before[i - 1] * (x - (i - 1));
  for (PetscInt i = STENCIL - 1; i >= 0; i--) {
    const PetscReal weight = scale[i] * before[i] * after;

    log_density += weight * law->log_density[first + i];
    *fall += weight * law->fall[first + i];
    after *= x - i;
  }
  return PetscExpReal(log_density);
}

PetscErrorCode FPLogLawDestroy(FPLogLaw *law)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(law->density));
  if (law->log_density) PetscCall(PetscFree2(law->log_density, law->fall));
  PetscFunctionReturn(0);
}

/* fractional.c: the Mittag-Leffler function of a small matrix, for generators with a fractional clock.

   E_beta(-A) = (1/2 pi i) int e^s s^{beta - 1} (s^beta + A)^-1 ds on the parabola s = MU (1 + i u)^2, by the midpoint
   rule (J. A. C. Weideman and L. N. Trefethen, Math. Comp. 76 (2007)). With A = tau (H^-1 - I) the inverse is H (s^beta
   H + tau (I - H))^-1: nothing is divided by what fast modes leave of H. H comes from Arnoldi's method, so that every
   node costs the elimination of one subdiagonal. MU is wide enough for modes that turn, whose poles have to lie inside:
   an eigenvalue a of A puts one at s^beta = -a when its angle is beyond pi (1 - beta). */
#include "generatorimpl.h"
#include <complex.h>
#include <petscblaslapack.h>

#define MU 8.0
#define STEP 0.06
#define NODES 38         /* exp(MU (1 - (NODES STEP)^2)) = 3e-15 */
#define POLE_ERROR 1e-11 /* what a pole may leave */
#define REAL_ANGLE 1e-6  /* eigenvalues of less are real */

/* y = (c H + tau (I - H))^-1 e_1 for an upper Hessenberg H[m*m] by columns; work[m*m]. */
static void SolveHessenberg(PetscInt m, double _Complex c, PetscReal tau, const PetscReal H[], double _Complex work[],
                            double _Complex y[])
{
  for (PetscInt j = 0; j < m; j++)
    for (PetscInt i = 0; i < m; i++) work[j * m + i] = (c - tau) * H[j * m + i] + (i == j ? tau : 0);
  for (PetscInt i = 0; i < m; i++) y[i] = i == 0;
  for (PetscInt k = 0; k + 1 < m; k++) {
    double _Complex factor;

    if (cabs(work[k * m + k + 1]) > cabs(work[k * m + k])) {
      const double _Complex swap = y[k];

      y[k]     = y[k + 1];
      y[k + 1] = swap;
      for (PetscInt j = k; j < m; j++) {
        const double _Complex entry = work[j * m + k];

        work[j * m + k]     = work[j * m + k + 1];
        work[j * m + k + 1] = entry;
      }
    }
    factor = work[k * m + k + 1] / work[k * m + k];
    for (PetscInt j = k + 1; j < m; j++) work[j * m + k + 1] -= factor * work[j * m + k];
    y[k + 1] -= factor * y[k];
  }
  for (PetscInt k = m - 1; k >= 0; k--) {
    y[k] /= work[k * m + k];
    for (PetscInt i = 0; i < k; i++) y[i] -= work[k * m + i] * y[k];
  }
}

/* Every pole lies well inside the parabola, or where e^s is nothing. */
static PetscErrorCode CheckPoles(PetscInt m, const PetscReal H[], PetscReal tau, PetscReal beta)
{
  PetscReal   *copy, *re, *im, *work;
  PetscBLASInt order, one = 1, size, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(m, &order));
  PetscCall(PetscBLASIntCast(8 * m, &size));
  PetscCall(PetscMalloc4(m * m, &copy, m, &re, m, &im, 8 * m, &work));
  PetscCall(PetscArraycpy(copy, H, m * m));
  PetscCallBLAS("LAPACKgeev",
                LAPACKgeev_("N", "N", &order, copy, &order, re, im, NULL, &one, NULL, &one, work, &size, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK geev returned %d", (int)info);
  for (PetscInt k = 0; k < m; k++) {
    const double _Complex a = tau * (1 / (re[k] + im[k] * I) - 1);
    const PetscReal angle   = PetscAbsReal(carg(a));
    double _Complex s;

    if (im[k] == 0 || angle < REAL_ANGLE || angle <= PETSC_PI * (1 - beta)) continue;
    s = cpow(cabs(a), 1 / beta) * cexp(I * (PETSC_PI - angle) / beta);
    PetscCheck(
        creal(s) - 2 * PETSC_PI / STEP * PetscAbsReal(1 - creal(csqrt(s / MU))) < log(POLE_ERROR), PETSC_COMM_SELF,
        PETSC_ERR_SUP,
        "a fractional clock of order %g and a mode that turns by %.3g radians while it decays by exp(%.3g): only "
        "the ordinary clock, or shorter times",
        (double)beta, (double)PetscAbsReal(cimag(s)), (double)creal(s));
  }
  PetscCall(PetscFree4(copy, re, im, work));
  PetscFunctionReturn(0);
}

PetscErrorCode FPSmallMittagLeffler(PetscInt m, const PetscReal H[], PetscReal tau, void *context, PetscReal y[])
{
  const PetscReal  beta = *(const PetscReal *)context;
  double _Complex *work, *x;

  PetscFunctionBegin;
  PetscCall(CheckPoles(m, H, tau, beta));
  PetscCall(PetscMalloc2(m * m, &work, m, &x));
  PetscCall(PetscArrayzero(y, m));
  for (PetscInt k = 0; k < NODES; k++) {
    const double _Complex arm = 1 + I * (k + 0.5) * STEP, s = MU * arm * arm, power = cpow(s, beta);
    const double _Complex weight = 2 * MU * STEP / PETSC_PI * cexp(s) * power / s * arm;

    SolveHessenberg(m, power, tau, H, work, x);
    for (PetscInt j = 0; j < m; j++)
      for (PetscInt i = 0; i <= PetscMin(j + 1, m - 1); i++) y[i] += creal(weight * x[j]) * H[j * m + i];
  }
  PetscCall(PetscFree2(work, x));
  PetscFunctionReturn(0);
}

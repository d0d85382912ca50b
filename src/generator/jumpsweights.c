/* jumpsweights.c: rates of jumps on the infinite lattice.

   One dimension, unit spacing: the symbol (2 sin(theta/2))^alpha has the coefficients g_0 = Gamma(1 + alpha)/Gamma(1 +
   alpha/2)^2 and -w_k, w_1 = g_0 (alpha/2)/(1 + alpha/2), w_{k+1} = w_k (k - alpha/2)/(k + 1 + alpha/2); the sum of w_k
   over k > j is w_{j+1} (j + 1 + alpha/2)/alpha. Source: M. D. Ortigueira, Int. J. Math. Math. Sci. 2006, 48391;
   C. Celik and M. Duman, J. Comput. Phys. 231 (2012).
   The plane, isotropic: the power of the Laplacian is a walk with a stable clock,
   w_jk = (alpha/2)/Gamma(1 - alpha/2) int_0^inf t^{-1 - alpha/2} p_j(t/h_0^2) p_k(t/h_1^2) dt, p_j(t) = e^{-2t}
   I_j(2t), by Gauss-Jacobi on (0, 1), Gauss-Legendre in ln t up to FAR squared widths, and two terms of the tail: sums
   of products, all positive. Times are in units of the smaller h squared. */
#include "jumps.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_bessel.h>
#include <petscblaslapack.h>

#define NEAR_POINTS 24
#define PANEL_POINTS 10
#define PANEL 0.75 /* width in ln t */
#define FAR 1e5

PetscReal FPJumpsWeights(PetscReal alpha, PetscInt count, PetscReal weight[], PetscReal tail[])
{
  const PetscReal half = alpha / 2, g0 = exp(lgamma(1 + alpha) - 2 * lgamma(1 + half));
  PetscReal       w = g0 * half / (1 + half); /* at distance k + 1 */

  for (PetscInt k = 0; k < count; k++) {
    tail[k] = w * (k + 1 + half) / alpha;
    if (k == 0) weight[0] = 0;
    if (k + 1 < count) weight[k + 1] = w;
    w *= (k + 1 - half) / (k + 2 + half);
  }
  return g0;
}

PetscReal FPJumpsSymbol(const FPJumpsSetting *setting, const PetscReal theta[])
{
  PetscReal squares = 0, powers = 0;

  for (PetscInt a = 0; a < setting->dim; a++) {
    const PetscReal s = 2 * PetscAbsReal(sin(theta[a] / 2)) / setting->h[a];

    squares += s * s;
    powers += PetscPowReal(s, setting->alpha);
  }
  return setting->independent ? powers : PetscPowReal(squares, setting->alpha / 2);
}

/* p[count] = e^-x I_j(x): Hankel's expansion for large x, else ratios by Miller's algorithm. */
static void Bessel(PetscReal x, PetscInt count, PetscReal p[])
{
  const PetscReal most  = (PetscReal)count * count;
  PetscReal       ratio = 0;

  if (x > 20 * most + 100) {
    for (PetscInt j = 0; j < count; j++) {
      PetscReal term = 1, sum = 1;

      for (PetscInt k = 1; k < 30 && PetscAbsReal(term) > 1e-18; k++) {
        term *= -(4.0 * j * j - PetscSqr(2.0 * k - 1)) / (k * 8 * x);
        sum += term;
      }
      p[j] = sum / PetscSqrtReal(2 * PETSC_PI * x);
    }
    return;
  }
  for (PetscInt j = (PetscInt)PetscSqrtReal(most + 80 * x) + 20; j > 0; j--) {
    ratio = 1 / (2 * j / x + ratio);
    if (j < count) p[j] = ratio;
  }
  p[0] = gsl_sf_bessel_I0_scaled(x);
  for (PetscInt j = 1; j < count; j++) p[j] *= p[j - 1];
}

/* 1 - e^-x I_0(x) without cancellation */
static PetscReal Departed(PetscReal x)
{
  PetscReal term = 1, sum = 0;

  if (x > 1) return 1 - gsl_sf_bessel_I0_scaled(x);
  for (PetscInt k = 1; k < 20; k++) {
    term *= x * x / 4 / (k * k);
    sum += term;
  }
  return exp(-x) * (expm1(x) - sum);
}

/* Nodes t and weights c of int_0^end t^{-1 - alpha/2} f(t) dt, for f that vanish at 0; *count of them, at most room. */
static PetscErrorCode Quadrature(PetscReal alpha, PetscReal end, PetscInt *count, PetscReal t[], PetscReal c[])
{
  const PetscInt                   panels = (PetscInt)PetscCeilReal(log(end) / PANEL);
  gsl_integration_fixed_workspace *near;
  gsl_integration_glfixed_table   *legendre;
  PetscInt                         q = 0;

  PetscFunctionBegin;
  near     = gsl_integration_fixed_alloc(gsl_integration_fixed_jacobi, NEAR_POINTS, 0, 1, 0, -alpha / 2);
  legendre = gsl_integration_glfixed_table_alloc(PANEL_POINTS);
  PetscCheck(near && legendre, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for a quadrature rule");
  for (; q < NEAR_POINTS; q++) {
    t[q] = gsl_integration_fixed_nodes(near)[q];
    c[q] = gsl_integration_fixed_weights(near)[q] / t[q];
  }
  for (PetscInt p = 0; p < panels; p++)
    for (size_t k = 0; k < PANEL_POINTS; k++, q++) {
      double u, w;

      (void)gsl_integration_glfixed_point(log(end) * p / panels, log(end) * (p + 1) / panels, k, &u, &w, legendre);
      t[q] = exp(u);
      c[q] = w * exp(-u * alpha / 2);
    }
  gsl_integration_fixed_free(near);
  gsl_integration_glfixed_table_free(legendre);
  *count = q;
  PetscFunctionReturn(0);
}

/* int_end^inf t^{-1 - alpha/2} p_j(speed_0 t) p_k(speed_1 t) dt by the first two terms for large t */
static PetscReal Tail(PetscReal alpha, PetscReal end, const PetscReal speed[2], PetscInt j, PetscInt k)
{
  const PetscReal square = (4.0 * j * j - 1) / (16 * speed[0]) + (4.0 * k * k - 1) / (16 * speed[1]), p = 1 + alpha / 2;

  return PetscPowReal(end, -p) * (1 / p - square / (end * (p + 1))) /
         (4 * PETSC_PI * PetscSqrtReal(speed[0] * speed[1]));
}

PetscErrorCode FPJumpsWeightsPlane(PetscReal alpha, const PetscInt cells[2], const PetscReal h[2], PetscReal weight[],
                                   PetscReal *total)
{
  const PetscReal unit = PetscMin(h[0], h[1]), speed[2] = {PetscSqr(unit / h[0]), PetscSqr(unit / h[1])};
  const PetscReal end =
      FAR * PetscMax(PetscSqr((PetscReal)cells[0]) / speed[0], PetscSqr((PetscReal)cells[1]) / speed[1]);
  const PetscReal scale = alpha / 2 / tgamma(1 - alpha / 2) * PetscPowReal(unit, -alpha), none = 0;
  const PetscInt  room = NEAR_POINTS + PANEL_POINTS * ((PetscInt)(log(end) / PANEL) + 2);
  PetscReal      *t, *c, *p[2];
  PetscInt        count;
  PetscBLASInt    nx, ny, points;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(room, &t, room, &c, room * cells[0], &p[0], room * cells[1], &p[1]));
  PetscCall(Quadrature(alpha, end, &count, t, c));
  *total = PetscPowReal(end, -alpha / 2) * 2 / alpha - Tail(alpha, end, speed, 0, 0);
  for (PetscInt q = 0; q < count; q++) {
    const PetscReal first = Departed(2 * speed[0] * t[q]);

    for (PetscInt a = 0; a < 2; a++) Bessel(2 * speed[a] * t[q], cells[a], p[a] + q * cells[a]);
    for (PetscInt j = 0; j < cells[0]; j++) p[0][q * cells[0] + j] *= scale * c[q];
    *total += c[q] * (first + (1 - first) * Departed(2 * speed[1] * t[q]));
  }
  *total *= scale;
  PetscCall(PetscBLASIntCast(cells[0], &nx));
  PetscCall(PetscBLASIntCast(cells[1], &ny));
  PetscCall(PetscBLASIntCast(count, &points));
  {
    const PetscReal one = 1;

    BLASgemm_("N", "T", &nx, &ny, &points, &one, p[0], &nx, p[1], &ny, &none, weight, &nx);
  }
  for (PetscInt k = 0; k < cells[1]; k++)
    for (PetscInt j = 0; j < cells[0]; j++) weight[k * cells[0] + j] += scale * Tail(alpha, end, speed, j, k);
  weight[0] = 0;
  PetscCall(PetscFree4(t, c, p[0], p[1]));
  PetscFunctionReturn(0);
}

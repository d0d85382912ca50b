/* lyapunov_point.c: how fast an SDE of the plane comes near to a point at which its noise vanishes, or leaves it:
   exponent_at[NAME], of ln |z - point|. Close by, b is A r u and D is r^2 D(u), u = (cos t, sin t) and u' = du/dt, so
   that t has drift h = u'.A u - 2 u.D(u) u' and diffusion d = u'.D(u) u', and ln r grows at the mean rate g = u.A u +
   tr D(u) - 2 u.D(u) u: the law of t by angle.c, without any z. D alone fixes it, however it is factored. Where d
   vanishes in some direction the law may live there, which moments do not tell. Source: R. Z. Khasminskii, Theory
   Probab. Appl. 12 (1967). */
#include "lyapunovimpl.h"
#include "angleimpl.h"
#include <math.h>

#define ANGLES 8   /* more than the 5 that polynomials of degree 2 in exp(2it) need */
#define REACH 1e-2 /* of the differences, in weights; two extrapolations leave their sixth power */
#define FIRST_MODES 32
#define MOST_MODES 8192
#define CONVERGED 1e-10
#define ROUNDING 1e-9

/* A u and D(u) at the distance r from the point, by differences that are even in r. */
static void Near(FPProcess process, const PetscReal point[], const double u[], double r, double out[6])
{
  double z[2][2], b[2][2], D[2][4];

  for (int side = 0; side < 2; side++) {
    for (int i = 0; i < 2; i++) z[side][i] = point[i] + (side ? r : -r) * u[i];
    FPProcessDrift(process, 1, z[side], b[side]);
    FPProcessDiffusion(process, 1, z[side], D[side]);
  }
  for (int i = 0; i < 2; i++) out[i] = (b[1][i] - b[0][i]) / (2 * r);
  for (int i = 0; i < 4; i++) out[2 + i] = (D[0][i] + D[1][i]) / (2 * r * r);
}

static void Coefficients(FPProcess process, const PetscReal point[], FPAngle *a)
{
  *a = (FPAngle){.spread = {{0}}};
  for (int k = 0; k < ANGLES; k++) {
    const double t = PETSC_PI * k / ANGLES, u[2] = {cos(t), sin(t)}, v[2] = {-u[1], u[0]};
    double       x[3][6], Au[2], D[4], Du[2], Dv[2], h, d, g;

    for (int level = 0; level < 3; level++) Near(process, point, u, ldexp(REACH, -level), x[level]);
    for (int i = 0; i < 6; i++) {
      const double first = (4 * x[1][i] - x[0][i]) / 3, second = (4 * x[2][i] - x[1][i]) / 3;
      const double value = (16 * second - first) / 15;

      *(i < 2 ? &Au[i] : &D[i - 2]) = value;
    }
    for (int i = 0; i < 2; i++) {
      Du[i] = D[2 * i] * u[0] + D[2 * i + 1] * u[1];
      Dv[i] = D[2 * i] * v[0] + D[2 * i + 1] * v[1];
    }
    h = v[0] * Au[0] + v[1] * Au[1] - 2 * (u[0] * Dv[0] + u[1] * Dv[1]);
    d = v[0] * Dv[0] + v[1] * Dv[1];
    g = u[0] * Au[0] + u[1] * Au[1] + D[0] + D[3] - 2 * (u[0] * Du[0] + u[1] * Du[1]);
    for (int j = 0; j < 3; j++) {
      a->turn.c[j] += h * cexp(-2 * I * j * t) / ANGLES;
      a->spread.c[j] += d * cexp(-2 * I * j * t) / ANGLES;
      a->growth.c[j] += g * cexp(-2 * I * j * t) / ANGLES;
    }
  }
}

PetscErrorCode FPLyapunovPoint(FPProcess process, const PetscReal point[], PetscReal *value, PetscReal *error,
                               const char **reason)
{
  double    D[4];
  FPAngle   a;
  PetscReal before = 0;

  PetscFunctionBegin;
  *reason = NULL;
  *error  = PETSC_MAX_REAL;
  FPProcessDiffusion(process, 1, point, D);
  Coefficients(process, point, &a);
  if (D[0] + D[3] > 1e-12 * PetscSqr(REACH) * cabs(a.spread.c[0]))
    *reason = "the gradient noise does not vanish there, so the process does not stay";
  if (*reason) PetscFunctionReturn(0);
  for (PetscInt modes = FIRST_MODES; modes <= MOST_MODES && *error > CONVERGED; modes *= 2) {
    PetscCall(FPAngleExponent(&a, modes, value));
    if (modes > FIRST_MODES) *error = PetscAbsReal(*value - before);
    before = *value;
  }
  if (!(*error <= CONVERGED))
    *reason = "its noise leaves a direction there alone, so the law of directions is not smooth";
  *error += ROUNDING * PetscMax(1, PetscAbsReal(*value));
  PetscFunctionReturn(0);
}

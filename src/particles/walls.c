/* walls.c: the box. A discrete algorithm that leaves it through a face is mirrored there. An SDE is reflected along
   the co-normal D n with D taken at the point before the step: z -= 2 overshoot D n/(n . D n), which keeps the flux
   through the face zero (Bossy, Gobet, Talay, A symmetrized Euler scheme for an efficient approximation of reflected
   diffusions, 2004); where that leaves through another face, or n . D n = 0, it is mirrored. Where a process jumps,
   its boundary kind says what becomes of a step that ends outside: killed: it stays there, for the observer to see;
   censored: the jump does not happen; mirror: it is mirrored; confined: it ends at the wall, per coordinate. */
#include "particlesimpl.h"
#include <math.h>

/* Any lane outside, or not a number? */
FP_HOT static int Outside(int dim, const double *restrict lower, const double *restrict upper, const double *restrict z)
{
  int inside = 1;

  for (int i = 0; i < dim; i++) {
    const double low = lower[i], high = upper[i], *zi = z + i * FP_BLOCK;

#pragma omp simd reduction(& : inside)
    for (int l = 0; l < FP_BLOCK; l++) inside &= (zi[l] >= low) & (zi[l] <= high);
  }
  return !inside;
}

static double Mirror(double z, double lower, double upper)
{
  const double length = upper - lower;
  double       t;

  if (z >= lower && z <= upper) return z;
  t = fmod(z - lower, 2 * length);
  if (t < 0) t += 2 * length;
  if (t > length) t = 2 * length - t;
  t += lower;
  if (t < lower) t = lower;
  if (t > upper) t = upper;
  return t;
}

static void Conormal(const FPStepper *s, const double *D, int axis, int l, double overshoot, double *z)
{
  const double normal = D[(axis * s->dim + axis) * FP_BLOCK + l];

  if (!(normal > 0)) return;
  for (int i = 0; i < s->dim; i++)
    z[i * FP_BLOCK + l] -= 2 * overshoot * D[(i * s->dim + axis) * FP_BLOCK + l] / normal;
}

/* Coordinates of lane l outside the box; -1: one is not finite */
static int CountOutside(const FPBox *box, int dim, int l, const double *z)
{
  int count = 0;

  for (int i = 0; i < dim; i++) {
    const double zi = z[i * FP_BLOCK + l];

    if (!isfinite(zi)) return -1;
    count += zi < box->lower[i] || zi > box->upper[i];
  }
  return count;
}

/* Lane l; D: NULL for a discrete algorithm */
static void Reflect(const FPStepper *s, const double *D, int l, double *z)
{
  const FPBox *box = s->box;

  for (int i = 0; D && i < s->dim; i++) {
    const double zi = z[i * FP_BLOCK + l];

    if (zi < box->lower[i]) Conormal(s, D, i, l, zi - box->lower[i], z);
    if (zi > box->upper[i]) Conormal(s, D, i, l, zi - box->upper[i], z);
  }
  for (int i = 0; i < s->dim; i++) z[i * FP_BLOCK + l] = Mirror(z[i * FP_BLOCK + l], box->lower[i], box->upper[i]);
}

/* Lane l of a process that jumps */
static void Land(const FPStepper *s, const FPWorkspace *ws, int l, double *z)
{
  const FPBox *box = s->box;

  for (int i = 0; i < s->dim; i++) {
    double *zi = &z[i * FP_BLOCK + l];

    if (s->stable.boundary == FP_BOUNDARY_CENSORED) *zi = ws->rest[i * FP_BLOCK + l];
    *zi = Mirror(*zi, box->lower[i], box->upper[i]);
  }
}

/* Push z as far back as the path of the step was beyond a wall; -1: one is not finite. */
FP_HOT static int Confine(int dim, const FPBox *box, const double *least, const double *most,
                          const double *restrict before, double *restrict z)
{
  int    count = 0;
  double sum   = 0;

  for (int i = 0; i < dim; i++) {
    const double low = box->lower[i], high = box->upper[i];

#pragma omp simd reduction(+ : count, sum)
    for (int l = 0; l < FP_BLOCK; l++) {
      const int    k     = i * FP_BLOCK + l;
      const double below = low - (before[k] + least[k]), above = before[k] + most[k] - high;
      const double y = z[k] + (below > 0 ? below : 0) - (above > 0 ? above : 0);

      count += (below > 0) | (above > 0);
      z[k] = y < low ? low : y > high ? high : y;
      sum += y;
    }
  }
  return isfinite(sum) ? count : -1;
}

int FPWallsApply(const FPStepper *s, FPWorkspace *ws, const double *before, double *z)
{
  int count = 0;

  if (s->pieces > 1) return Confine(s->dim, s->box, ws->least, ws->most, before, z);
  if (!s->box || !Outside(s->dim, s->box->lower, s->box->upper, z)) return 0;
  if (s->stable.has && s->stable.boundary == FP_BOUNDARY_KILLED) return 0;
  if (s->sde && !s->stable.has) FPProcessDiffusion(s->process, FP_BLOCK, before, ws->D);
  for (int l = 0; l < FP_BLOCK; l++) {
    const int lane = CountOutside(s->box, s->dim, l, z);

    if (lane < 0) return -1;
    if (lane && s->stable.has) Land(s, ws, l, z);
    if (lane && !s->stable.has) Reflect(s, s->sde ? ws->D : NULL, l, z);
    count += lane;
  }
  return count;
}

/* invariant.c: the coordinates `invariant` of the chain of depth 2: p = w1 w2 and q = (w1^2 - w2^2)/2, so that
   (w1 + i w2)^2 = 2 (q + i p) and S = w1^2 + w2^2 = 2 sqrt(p^2 + q^2). Gradient flow keeps q; decay, injected noise and
   the Ito correction of the gradient noise do not. dw = dp dq/S (each z stands for w and -w, the factor 2 is left out).
   Exact, dw = b dt + sqrt(2 D) dB of the chain with D = eta/(2B) C + T I: b_p = -s (p - P) S - 2 l p + (eta v/B) p,
   b_q = -2 l q - (eta v/B) q, D_z = diag(S (T + eta v S/(2B)), T S). */
#include "modelimpl.h"
#include <math.h>

FP_HOT static void FPModelLift_Invariant(PETSC_UNUSED FPModel model, int n, const double *z, double *w)
{
#pragma omp simd
  for (int l = 0; l < n; l++) {
    const double p = z[l], q = z[n + l], r = sqrt(p * p + q * q);
    const double large = sqrt(r + fabs(q)), small = large > 0 ? fabs(p) / large : 0;

    w[l]     = q >= 0 ? large : small;
    w[n + l] = copysign(q >= 0 ? small : large, p);
  }
}

FP_HOT static void FPModelProject_Invariant(PETSC_UNUSED FPModel model, int n, const double *w, double *z)
{
#pragma omp simd
  for (int l = 0; l < n; l++) {
    const double w1 = w[l], w2 = w[n + l];

    z[l]     = w1 * w2;
    z[n + l] = 0.5 * (w1 - w2) * (w1 + w2);
  }
}

FP_HOT static void FPModelPush_Invariant(PETSC_UNUSED FPModel model, int n, const double *w, double *Dphi)
{
#pragma omp simd
  for (int l = 0; l < n; l++) {
    const double w1 = w[l], w2 = w[n + l];

    Dphi[l]         = w2;
    Dphi[n + l]     = w1;
    Dphi[2 * n + l] = w1;
    Dphi[3 * n + l] = -w2;
  }
}

FP_HOT static void FPModelPushSecond_Invariant(PETSC_UNUSED FPModel model, int n, PETSC_UNUSED const double *w,
                                               const double *D, double *c)
{
#pragma omp simd
  for (int l = 0; l < n; l++) {
    c[l]     = D[n + l] + D[2 * n + l];
    c[n + l] = D[l] - D[3 * n + l];
  }
}

FP_HOT static void FPModelMeasure_Invariant(PETSC_UNUSED FPModel model, int n, const double *z, double *m)
{
#pragma omp simd
  for (int l = 0; l < n; l++) m[l] = 0.5 / sqrt(z[l] * z[l] + z[n + l] * z[n + l]);
}

/* Primitive of 1/(2 sqrt(p^2 + q^2)) in both variables; on the axes the limit. */
static double Primitive(double p, double q)
{
  return 0.5 * ((fabs(p) > 1e-300 ? p * asinh(q / fabs(p)) : 0) + (fabs(q) > 1e-300 ? q * asinh(p / fabs(q)) : 0));
}

/* Differences of the primitive; a box that is small beside its distance from the origin by Gauss-Legendre instead,
   where the differences cancel: 5 x 5 points leave less than 1e-15. */
static double FPModelMeasureBox_Invariant(const double lower[], const double upper[])
{
  static const double node[5]   = {-0.9061798459386640, -0.5384693101056831, 0, 0.5384693101056831, 0.9061798459386640};
  static const double weight[5] = {0.2369268850561891, 0.4786286704993665, 0.5688888888888889, 0.4786286704993665,
                                   0.2369268850561891};
  const double        p = (lower[0] + upper[0]) / 2, q = (lower[1] + upper[1]) / 2;
  const double        a = (upper[0] - lower[0]) / 2, b = (upper[1] - lower[1]) / 2;
  double              sum = 0;

  if (hypot(a, b) > 0.1 * hypot(p, q))
    return Primitive(upper[0], upper[1]) - Primitive(lower[0], upper[1]) - Primitive(upper[0], lower[1]) +
           Primitive(lower[0], lower[1]);
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++) sum += weight[i] * weight[j] * 0.5 / hypot(p + a * node[i], q + b * node[j]);
  return a * b * sum;
}

static PetscErrorCode FPModelName_Invariant(PETSC_UNUSED FPModel model, PetscInt i, char name[])
{
  PetscFunctionBegin;
  PetscCall(PetscStrncpy(name, i ? "q" : "p", FP_NAME));
  PetscFunctionReturn(0);
}

static const FPModelOps Invariant = {.lift       = FPModelLift_Invariant,
                                     .project    = FPModelProject_Invariant,
                                     .push       = FPModelPush_Invariant,
                                     .pushsecond = FPModelPushSecond_Invariant,
                                     .measure    = FPModelMeasure_Invariant,
                                     .measurebox = FPModelMeasureBox_Invariant,
                                     .name       = FPModelName_Invariant};

PetscErrorCode FPModelSetInvariant(FPModel model)
{
  PetscFunctionBegin;
  model->ops.lift       = Invariant.lift;
  model->ops.project    = Invariant.project;
  model->ops.push       = Invariant.push;
  model->ops.pushsecond = Invariant.pushsecond;
  model->ops.measure    = Invariant.measure;
  model->ops.measurebox = Invariant.measurebox;
  model->ops.name       = Invariant.name;
  PetscFunctionReturn(0);
}

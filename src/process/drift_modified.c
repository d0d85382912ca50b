/* "modified": b = -grad (V + eta/4 |grad V|^2) in weights, the drift of the second-order weak model of SGD.
   A map z' = z + eta f(z) is the time-eta flow of f - eta/2 (df) f up to O(eta^3); here f = -g with g = metric grad V
   and Jacobian J, so b = -g - eta/2 J g in any coordinates whose step is of this form. Where one coordinate stands for
   depth equal weights this is also the restriction of the weights' own b: equal weights have equal gradients, so they
   move together, g is tangent to the set where they are equal, and J is the weights' Hessian along that set. Since
   J = metric Hess V, b = -metric grad (V + eta/(4 metric) |g|^2).
   Weak errors over a fixed time are of the second order in eta with D = O(eta). With T held fixed as eta falls they are
   of the first: terms eta T (third derivatives of V in the drift, Hessian in the noise) are left out, which drift
   `refined` has.
   Source: Li, Tai, E, Stochastic modified equations and adaptive stochastic gradient algorithms (2017). */
#include "processimpl.h"

FP_HOT static void Combine(int d, int n, double eta, const double *restrict g, const double *restrict J,
                           double *restrict b)
{
  for (int i = 0; i < d; i++) {
    for (int l = 0; l < n; l++) b[i * n + l] = -g[i * n + l];
    for (int j = 0; j < d; j++)
      for (int l = 0; l < n; l++) b[i * n + l] -= 0.5 * eta * J[(i * d + j) * n + l] * g[j * n + l];
  }
}

static void FPDriftDrift_Modified(FPProcess process, int n, const double *w, double *b)
{
  const int d = (int)process->weights;
  double   *g = FPScratchTake((size_t)(d * n)), *J = FPScratchTake((size_t)(d * d * n));

  FPModelGradient(process->model, n, w, g);
  FPModelHessian(process->model, n, w, J);
  Combine(d, n, process->training.learning_rate, g, J, b);
  FPScratchRelease(g);
}

static void FPDriftEnergy_Modified(FPProcess process, int n, const double *w, double *U)
{
  const double factor = process->training.learning_rate / (4.0 * process->metric);
  double      *g      = FPScratchTake((size_t)(process->weights * n));

  FPModelPotential(process->model, n, w, U);
  FPModelGradient(process->model, n, w, g);
  for (int i = 0; i < process->weights; i++)
    for (int l = 0; l < n; l++) U[l] += factor * g[i * n + l] * g[i * n + l];
  FPScratchRelease(g);
}

PetscErrorCode FPDriftCreate_Modified(FPProcess process)
{
  PetscFunctionBegin;
  process->drift.drift  = FPDriftDrift_Modified;
  process->drift.energy = FPDriftEnergy_Modified;
  process->drift.heated =
      "its weak error is of second order in learning_rate with temperature 0 or proportional to it; "
      "with this temperature held fixed it is of first order (drift and noise refined keep second)";
  PetscFunctionReturn(0);
}

/* "refined": the drift of the modified equation of SGD of one order more than `modified`, in one coordinate. One step
   has mean eta b0 and variance eta^2 Sigma, b0 = -g, Sigma = C/B + 2 T metric/eta. Matching exp(eta L) with the step to
   third order gives L = b d/dw + D d^2/dw^2,
     b = b0 - (eta/2) b0 b0' + eta^2 (-Sigma b0''/4 + b0 b0'^2/3 + b0^2 b0''/12),
     D = (eta/2) Sigma - eta^2 (b0 Sigma'/4 + Sigma b0'/2),
   up to a third derivative whose coefficient is the third cumulant of the step: it is dropped, as no diffusion has it.
   D is that of noise `refined`. The expansion is one in eta times the sharpness and is refused from 1 on, where the
   eigenvalue of SGD itself is zero or negative, which no diffusion in one dimension can have.
   Derivation: the operators of Li, Tai and E (J. Mach. Learn. Res. 20 (2019)) carried one order further. */
#include "processimpl.h"

static void FPDriftDrift_Refined(FPProcess process, int n, const double *w, double *b)
{
  const double eta = process->training.learning_rate, B = (double)process->training.batch_size;
  const double injected = 2.0 * process->training.temperature * process->metric / eta;
  double      *g = FPScratchTake((size_t)n), *H = FPScratchTake((size_t)n);
  double      *C = FPScratchTake((size_t)n), *third = FPScratchTake((size_t)n);

  FPModelGradient(process->model, n, w, g);
  FPModelHessian(process->model, n, w, H);
  FPModelCovariance(process->model, n, w, C);
  FPProcessAlong(process->model, FPModelHessian, 1, 1, n, w, NULL, third);
  for (int l = 0; l < n; l++) {
    const double Sigma = C[l] / B + injected;

    b[l] = -g[l] - 0.5 * eta * g[l] * H[l] +
           eta * eta * (0.25 * Sigma * third[l] - g[l] * H[l] * H[l] / 3.0 - g[l] * g[l] * third[l] / 12.0);
  }
  FPScratchRelease(g);
}

PetscErrorCode FPDriftCreate_Refined(FPProcess process)
{
  const double           eta = process->training.learning_rate;
  const FPCriticalPoint *point;
  PetscReal              sharpness = 0;

  PetscFunctionBegin;
  PetscCall(FPProcessRequireScalar(process, "drift refined"));
  PetscCall(FPModelFindCriticalPoint(process->model, "minimum", &point));
  if (point) PetscCall(FPProcessSharpness(process, point->z, &sharpness));
  FPInputCheck(
      eta * sharpness < 1.0,
      "process %s: training_learning_rate = %g times the sharpness %g at the minimum is %g; drift refined is an "
      "SDE of SGD below 1 only, beyond which SGD oscillates as no diffusion in one coordinate does",
      process->name, eta, (double)sharpness, eta * (double)sharpness);
  process->drift.drift = FPDriftDrift_Refined;
  PetscFunctionReturn(0);
}

/* "refined": D = (eta/2) Sigma - eta^2 (b0 Sigma'/4 + Sigma b0'/2), Sigma = C/B + 2 T metric/eta, the diffusion that
   belongs to drift `refined` (there is the derivation), in one coordinate. It holds the injected noise, which the step
   deforms as it does the gradient noise. D < 0 somewhere means that the expansion is none there: refused. */
#include "processimpl.h"

#define POINTS 2001 /* of the box at which D is looked at */

typedef struct {
  double *b, *db, *ddb, *Sigma, *dSigma, *ddSigma;
} Parts;

/* At n points; ddb and ddSigma, eight evaluations more, only where asked for. The caller releases parts.b. */
static Parts Evaluate(FPProcess process, int n, const double *w, PetscBool second)
{
  const double B        = (double)process->training.batch_size;
  const double injected = 2.0 * process->training.temperature * process->metric / process->training.learning_rate;
  Parts        p;

  p.b       = FPScratchTake((size_t)n);
  p.db      = FPScratchTake((size_t)n);
  p.ddb     = FPScratchTake((size_t)n);
  p.Sigma   = FPScratchTake((size_t)n);
  p.dSigma  = FPScratchTake((size_t)n);
  p.ddSigma = FPScratchTake((size_t)n);
  FPModelGradient(process->model, n, w, p.b);
  FPModelHessian(process->model, n, w, p.db);
  if (second) FPProcessAlong(process->model, FPModelHessian, 1, 1, n, w, NULL, p.ddb);
  FPModelCovariance(process->model, n, w, p.Sigma);
  FPModelDivCovariance(process->model, n, w, p.dSigma);
  if (second) FPProcessAlong(process->model, FPModelDivCovariance, 1, 1, n, w, NULL, p.ddSigma);
  for (int l = 0; l < n; l++) {
    p.b[l]     = -p.b[l];
    p.db[l]    = -p.db[l];
    p.Sigma[l] = p.Sigma[l] / B + injected;
    p.dSigma[l] /= B;
    if (second) p.ddb[l] = -p.ddb[l];
    if (second) p.ddSigma[l] /= B;
  }
  return p;
}

/* All of D, the injected noise included */
static void Whole(FPProcess process, int n, const double *w, double *D)
{
  const double eta = process->training.learning_rate;
  const Parts  p   = Evaluate(process, n, w, PETSC_FALSE);

  for (int l = 0; l < n; l++)
    D[l] = 0.5 * eta * p.Sigma[l] - eta * eta * (0.25 * p.b[l] * p.dSigma[l] + 0.5 * p.Sigma[l] * p.db[l]);
  FPScratchRelease(p.b);
}

static void FPNoiseDiffusion_Refined(FPProcess process, int n, const double *w, double *D)
{
  const double injected = process->training.temperature * process->metric;
  double      *whole    = FPScratchTake((size_t)n);

  Whole(process, n, w, whole);
  for (int l = 0; l < n; l++) D[l] += whole[l] - injected;
  FPScratchRelease(whole);
}

static void FPNoiseDivergence_Refined(FPProcess process, int n, const double *w, double *c)
{
  const double eta = process->training.learning_rate;
  const Parts  p   = Evaluate(process, n, w, PETSC_TRUE);

  for (int l = 0; l < n; l++)
    c[l] += 0.5 * eta * p.dSigma[l] -
            eta * eta * (0.75 * p.db[l] * p.dSigma[l] + 0.25 * p.b[l] * p.ddSigma[l] + 0.5 * p.Sigma[l] * p.ddb[l]);
  FPScratchRelease(p.b);
}

static void FPNoiseFactor_Refined(FPProcess process, int n, const double *w, double *S)
{
  Whole(process, n, w, S);
  for (int l = 0; l < n; l++) S[l] = sqrt(2.0 * fmax(S[l], 0.0));
}

static PetscErrorCode FPNoiseCheck_Refined(FPProcess process, const PetscReal lower[], const PetscReal upper[])
{
  const FPCriticalPoint *points;
  PetscInt               count;
  PetscReal              low, high;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(process->model, &count, &points));
  high = 1;
  for (PetscInt k = 0; k < count; k++) high = PetscMax(high, 2 * PetscAbsReal(points[k].z[0]));
  low  = lower ? lower[0] : -high;
  high = upper ? upper[0] : high;
  for (PetscInt k = 0; k < POINTS; k++) {
    const PetscReal w = low + (high - low) * k / (POINTS - 1);
    PetscReal       D, size;

    FPProcessWeightDiffusion(process, 1, &w, &D);
    FPModelCovariance(process->model, 1, &w, &size);
    size = process->noise.gain * size + process->training.temperature * process->metric;
    FPInputCheck(D >= -1e-10 * size,
                 "process %s: noise refined has D = %.3g at %.6g: no diffusion of this order exists there; lower "
                 "training_learning_rate%s",
                 process->name, (double)D, (double)w, lower ? " or take a smaller box" : "");
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPNoiseCreate_Refined(FPProcess process)
{
  PetscFunctionBegin;
  PetscCall(FPProcessRequireScalar(process, "noise refined"));
  process->noise.channels   = 1;
  process->noise.whole      = PETSC_TRUE;
  process->noise.gain       = process->training.learning_rate / (2.0 * (PetscReal)process->training.batch_size);
  process->noise.diffusion  = FPNoiseDiffusion_Refined;
  process->noise.divergence = FPNoiseDivergence_Refined;
  process->noise.factor     = FPNoiseFactor_Refined;
  process->noise.check      = FPNoiseCheck_Refined;
  PetscFunctionReturn(0);
}

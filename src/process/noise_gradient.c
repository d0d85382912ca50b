/* "gradient": D = eta/(2B) C + T metric I, C the covariance of one sample's gradient and B the batch size: the mean of
   B samples moved by eta each time eta, as a Gaussian. C = F F^T gives 2 D = S S^T with S = sqrt(eta/B) F beside the
   injected sqrt(2 T metric) I. */
#include "processimpl.h"

FP_HOT static void Add(int count, double factor, const double *restrict x, double *restrict y)
{
#pragma omp simd
  for (int k = 0; k < count; k++) y[k] += factor * x[k];
}

FP_HOT static void ScaleTo(int count, double factor, const double *restrict x, double *restrict y)
{
#pragma omp simd
  for (int k = 0; k < count; k++) y[k] = factor * x[k];
}

static void FPNoiseDiffusion_Gradient(FPProcess process, int n, const double *w, double *D)
{
  const int d = (int)process->weights;
  double   *C = FPScratchTake((size_t)(d * d * n));

  FPModelCovariance(process->model, n, w, C);
  Add(d * d * n, process->noise.gain, C, D);
  FPScratchRelease(C);
}

static void FPNoiseDivergence_Gradient(FPProcess process, int n, const double *w, double *c)
{
  double *divergence = FPScratchTake((size_t)(process->weights * n));

  FPModelDivCovariance(process->model, n, w, divergence);
  Add((int)process->weights * n, process->noise.gain, divergence, c);
  FPScratchRelease(divergence);
}

static void FPNoiseFactor_Gradient(FPProcess process, int n, const double *w, double *S)
{
  const int    own = (int)process->noise.channels, all = (int)process->channels;
  const double factor = sqrt(2.0 * process->noise.gain);
  double      *F      = FPScratchTake((size_t)(process->weights * own * n));

  FPModelCovarianceFactor(process->model, n, w, F);
  for (int i = 0; i < process->weights; i++) ScaleTo(own * n, factor, F + i * own * n, S + i * all * n);
  FPScratchRelease(F);
}

PetscErrorCode FPNoiseCreate_Gradient(FPProcess process)
{
  PetscFunctionBegin;
  PetscCall(FPModelGetChannels(process->model, &process->noise.channels));
  process->noise.gain       = process->training.learning_rate / (2.0 * (PetscReal)process->training.batch_size);
  process->noise.diffusion  = FPNoiseDiffusion_Gradient;
  process->noise.divergence = FPNoiseDivergence_Gradient;
  process->noise.factor     = FPNoiseFactor_Gradient;
  PetscFunctionReturn(0);
}

/* "stable": dz = b dt + sigma(z) dL beside the injected Gaussian noise D = T metric I, L an alpha-stable Levy process
   with E exp(i k.L_t) = exp(-t |k|^alpha), or of independent components, sum_a |k_a|^alpha; Ito. At alpha = 2 it is
   Gaussian with D = sigma^2 I.
   A number as scale is that of every weight. A coordinate that stands for depth equal weights, metric = 1/depth, sees
   the noise of the weights projected on the set where they are equal: a mean of depth components, of scale sigma
   depth^(-1/2) where they are isotropic, as the projection of isotropic noise is isotropic, and sigma depth^(1/alpha-1)
   where they are independent. Both are sigma^2/depth in D at alpha = 2.
   gradient_noise: sigma = eta^((alpha-1)/alpha) (tr C/(2 B d))^(1/2) with C and d of the coordinates themselves, as
   gradient noise is no independent noise of each weight; at alpha = 2 in one dimension D = eta C/(2B), that of noise
   gradient. Source of the exponent: U. Simsekli, L. Sagun, M. Gurbuzbalaban, ICML 2019. */
#include "processimpl.h"

static const char *const boundaries[] = {"killed", "censored", "mirror", "confined"}; /* in the order of FPBoundary */

static PetscErrorCode ReadScale(FPConfig config, FPProcess process, const char text[])
{
  FPNoise    *noise = &process->noise;
  char        key[2 * FP_NAME], *end;
  const char *where;

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(key, sizeof key, "%s_scale", process->name));
  PetscCall(FPConfigWhere(config, key, &where));
  noise->scale = 0.0;
  if (!strcmp(text, "gradient_noise")) PetscFunctionReturn(0);
  noise->scale = strtod(text, &end);
  FPInputCheck(strspn(text, "0123456789+-.eE") == strlen(text) && !*end && noise->scale > 0.0 &&
                   noise->scale <= PETSC_MAX_REAL,
               "%s: accepted are a number > 0 and the word gradient_noise", where);
  noise->scale *= PetscPowReal(process->metric, noise->stable.independent ? 1.0 - 1.0 / noise->stable.alpha : 0.5);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessSetUpStable(FPConfig config, FPProcess process, const FPProcessKeys *keys)
{
  FPStable   *stable = &process->noise.stable;
  char        key[2 * FP_NAME];
  const char *where;
  PetscInt    kind = 0;

  PetscFunctionBegin;
  FPInputCheck(!process->mapped,
               "process %s: stable noise has no second moments, which the map of model_coordinates needs; accepted are "
               "weights and balanced",
               process->name);
  stable->alpha       = keys->alpha;
  stable->independent = (PetscBool)!strcmp(keys->components, "independent");
  PetscCall(PetscSNPrintf(key, sizeof key, "%s_components", process->name));
  PetscCall(FPConfigWhere(config, key, &where));
  FPInputCheck(stable->independent || !strcmp(keys->components, "isotropic"), "%s: accepted are isotropic, independent",
               where);
  while (kind < 4 && strcmp(keys->boundary, boundaries[kind])) kind++;
  PetscCall(PetscSNPrintf(key, sizeof key, "%s_boundary", process->name));
  PetscCall(FPConfigWhere(config, key, &where));
  FPInputCheck(kind < 4, "%s: accepted are killed, censored, mirror, confined", where);
  stable->boundary = (FPBoundary)kind;
  PetscCall(ReadScale(config, process, keys->scale));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetStable(FPProcess process, FPStable *stable)
{
  PetscFunctionBegin;
  *stable = process->noise.stable;
  PetscFunctionReturn(0);
}

static void GradientScale(FPProcess process, int n, const double *z, double *sigma)
{
  const int    d     = (int)process->dim;
  const double alpha = process->noise.stable.alpha, eta = process->training.learning_rate;
  const double factor = pow(eta, (alpha - 1) / alpha);
  double      *C      = FPScratchTake((size_t)(d * d * n));

  FPModelCovariance(process->model, n, z, C);
  for (int l = 0; l < n; l++) {
    double trace = 0.0;

    for (int i = 0; i < d; i++) trace += C[(i * d + i) * n + l];
    sigma[l] = factor * sqrt(fmax(trace, 0.0) / (2.0 * (double)process->training.batch_size * d));
  }
  FPScratchRelease(C);
}

void FPProcessStableScale(FPProcess process, int n, const double *z, double *sigma)
{
  double *zb;

  if (process->noise.scale > 0.0) {
    for (int l = 0; l < n; l++) sigma[l] = process->noise.scale;
    return;
  }
  if (n <= FP_BLOCK) {
    GradientScale(process, n, z, sigma);
    return;
  }
  zb = FPScratchTake((size_t)(process->dim * FP_BLOCK));
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int m = n - first < FP_BLOCK ? n - first : FP_BLOCK;

    for (int k = 0; k < process->dim; k++) memcpy(zb + k * m, z + (size_t)k * n + first, (size_t)m * sizeof(double));
    GradientScale(process, m, zb, sigma + first);
  }
  FPScratchRelease(zb);
}

PetscErrorCode FPNoiseCreate_Stable(FPProcess process)
{
  PetscFunctionBegin;
  process->noise.stable.has = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* processeval.c: b, D, S, v and Phi of a process. The types of the axes work on the weights; coordinates z = phi(w) of
   a mapped model get b_z = Dphi b + D_ij d_i d_j phi, D_z = Dphi D Dphi^T and v_z = Dphi v at one preimage: the weak
   form of the backward generator, -int grad f . D grad h + int h v . grad f over dw = m dz, needs first derivatives
   only. */
#include "processimpl.h"

typedef void (*Evaluate)(FPProcess process, int n, const double *z, double *out);

/* Calls evaluate() with at most FP_BLOCK points at a time: `rows` numbers per point out of `dim`. */
static void ByBlocks(FPProcess process, Evaluate evaluate, int dim, int rows, int n, const double *z, double *out)
{
  double *zb, *ob;

  if (n <= FP_BLOCK) {
    evaluate(process, n, z, out);
    return;
  }
  zb = FPScratchTake((size_t)(dim * FP_BLOCK));
  ob = FPScratchTake((size_t)(rows * FP_BLOCK));
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int m = n - first < FP_BLOCK ? n - first : FP_BLOCK;

    for (int k = 0; k < dim; k++) memcpy(zb + k * m, z + (size_t)k * n + first, (size_t)m * sizeof(double));
    evaluate(process, m, zb, ob);
    for (int k = 0; k < rows; k++) memcpy(out + (size_t)k * n + first, ob + k * m, (size_t)m * sizeof(double));
  }
  FPScratchRelease(zb);
}

void FPProcessWeightDiffusion(FPProcess process, int n, const double *w, double *D)
{
  const int    d = (int)process->weights;
  const double T = process->training.temperature * process->metric;

  memset(D, 0, (size_t)(d * d * n) * sizeof(double));
  for (int i = 0; i < d; i++)
    for (int l = 0; l < n; l++) D[(i * d + i) * n + l] = T;
  if (process->noise.diffusion) process->noise.diffusion(process, n, w, D);
}

/* b = P a, P[d][weights][n] */
static void PushVector(FPProcess process, int n, const double *P, const double *a, double *b)
{
  const int d = (int)process->dim, m = (int)process->weights;

  memset(b, 0, (size_t)(d * n) * sizeof(double));
  for (int i = 0; i < d; i++)
    for (int k = 0; k < m; k++)
      for (int l = 0; l < n; l++) b[i * n + l] += P[(i * m + k) * n + l] * a[k * n + l];
}

static void MappedDrift(FPProcess process, int n, const double *z, double *b)
{
  const int m = (int)process->weights;
  double   *w = FPScratchTake((size_t)(m * n)), *bw = FPScratchTake((size_t)(m * n));
  double   *c = FPScratchTake((size_t)(process->dim * n)), *P = FPScratchTake((size_t)(process->dim * m * n));
  double   *D = FPScratchTake((size_t)(m * m * n));

  FPModelLift(process->model, n, z, w);
  FPModelPush(process->model, n, w, P);
  process->drift.drift(process, n, w, bw);
  FPProcessWeightDiffusion(process, n, w, D);
  FPModelPushSecond(process->model, n, w, D, c);
  PushVector(process, n, P, bw, b);
  for (int k = 0; k < process->dim * n; k++) b[k] += c[k];
  FPScratchRelease(w);
}

static void MappedDiffusion(FPProcess process, int n, const double *z, double *Dz)
{
  const int d = (int)process->dim, m = (int)process->weights;
  double   *w = FPScratchTake((size_t)(m * n)), *P = FPScratchTake((size_t)(d * m * n));
  double   *D = FPScratchTake((size_t)(m * m * n)), *row = FPScratchTake((size_t)(m * n));

  FPModelLift(process->model, n, z, w);
  FPModelPush(process->model, n, w, P);
  FPProcessWeightDiffusion(process, n, w, D);
  for (int j = 0; j < d; j++) { /* column j of P D P^T */
    memset(row, 0, (size_t)(m * n) * sizeof(double));
    for (int a = 0; a < m; a++)
      for (int k = 0; k < m; k++)
        for (int l = 0; l < n; l++) row[a * n + l] += D[(a * m + k) * n + l] * P[(j * m + k) * n + l];
    for (int i = 0; i < d; i++) {
      double *out = Dz + (i * d + j) * n;

      memset(out, 0, (size_t)n * sizeof(double));
      for (int a = 0; a < m; a++)
        for (int l = 0; l < n; l++) out[l] += P[(i * m + a) * n + l] * row[a * n + l];
    }
  }
  FPScratchRelease(w);
}

static void WeightFick(FPProcess process, int n, const double *w, double *v)
{
  double *divergence;

  process->drift.drift(process, n, w, v);
  if (!process->noise.divergence) return;
  divergence = FPScratchTake((size_t)(process->weights * n));
  memset(divergence, 0, (size_t)(process->weights * n) * sizeof(double));
  process->noise.divergence(process, n, w, divergence);
  for (int k = 0; k < process->weights * n; k++) v[k] -= divergence[k];
  FPScratchRelease(divergence);
}

static void MappedFick(FPProcess process, int n, const double *z, double *v)
{
  const int m = (int)process->weights;
  double   *w = FPScratchTake((size_t)(m * n)), *vw = FPScratchTake((size_t)(m * n));
  double   *P = FPScratchTake((size_t)(process->dim * m * n));

  FPModelLift(process->model, n, z, w);
  FPModelPush(process->model, n, w, P);
  WeightFick(process, n, w, vw);
  PushVector(process, n, P, vw, v);
  FPScratchRelease(w);
}

static void WeightFactor(FPProcess process, int n, const double *w, double *S)
{
  const int    m = (int)process->weights, all = (int)process->channels, own = (int)process->noise.channels;
  const double scale = sqrt(2.0 * process->training.temperature * process->metric);

  if (process->noise.factor) process->noise.factor(process, n, w, S);
  if (all == own) return;
  for (int i = 0; i < m; i++) {
    memset(S + (i * all + own) * n, 0, (size_t)(m * n) * sizeof(double));
    for (int l = 0; l < n; l++) S[(i * all + own + i) * n + l] = scale;
  }
}

static void EnergyPotential(FPProcess process, int n, const double *z, double *Phi)
{
  double *w = FPScratchTake((size_t)(process->weights * n));

  if (process->mapped) FPModelLift(process->model, n, z, w);
  process->drift.energy(process, n, process->mapped ? w : z, Phi);
  for (int l = 0; l < n; l++) Phi[l] /= process->training.temperature;
  FPScratchRelease(w);
}

static void QuadraticPotential(FPProcess process, int n, const double *z, double *Phi)
{
  const int     d = (int)process->dim;
  const double *c = process->center;

  for (int l = 0; l < n; l++) Phi[l] = 0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      for (int l = 0; l < n; l++)
        Phi[l] += 0.5 * process->curvature[i * d + j] * (z[i * n + l] - c[i]) * (z[j * n + l] - c[j]);
}

void FPProcessPotential(FPProcess process, int n, const double *z, double *Phi)
{
  ByBlocks(process, process->potential == FP_QUADRATIC ? QuadraticPotential : EnergyPotential, (int)process->dim, 1, n,
           z, Phi);
}

void FPProcessDrift(FPProcess process, int n, const double *z, double *b)
{
  ByBlocks(process, process->mapped ? MappedDrift : process->drift.drift, (int)process->dim, (int)process->dim, n, z,
           b);
}

void FPProcessDiffusion(FPProcess process, int n, const double *z, double *D)
{
  ByBlocks(process, process->mapped ? MappedDiffusion : FPProcessWeightDiffusion, (int)process->dim,
           (int)(process->dim * process->dim), n, z, D);
}

void FPProcessFick(FPProcess process, int n, const double *z, double *v)
{
  ByBlocks(process, process->mapped ? MappedFick : WeightFick, (int)process->dim, (int)process->dim, n, z, v);
}

void FPProcessWeightDrift(FPProcess process, int n, const double *w, double *b)
{
  ByBlocks(process, process->drift.drift, (int)process->weights, (int)process->weights, n, w, b);
}

void FPProcessWeightFactor(FPProcess process, int n, const double *w, double *S)
{
  ByBlocks(process, WeightFactor, (int)process->weights, (int)(process->weights * process->channels), n, w, S);
}

/* step.c: one step of one block of particles, in the space of the weights.
   SDE: Euler-Maruyama, w' = w + dt b(w) + sqrt(dt) S(w) xi with 2 D = S S^T; stable noise adds sigma(w) times its
   increment in dt, of the size dt^{1/alpha}, which leaves a weak error of first order as well.
   SGD: w' = (1 - h decay) w - h (mean of g over B samples) + sqrt(2 h T metric) xi with h = eta.
   SVAG(l) (Li, Malladi, Arora 2021): h = eta/l and (1 + sqrt(2l - 1))/2 g_1 + (1 - sqrt(2l - 1))/2 g_2 of two batches.
   GD: the mean gradient itself. */
#include "particlesimpl.h"

/* after = before + dt b + root S xi */
FP_HOT static void EulerMaruyama(int weights, int channels, double dt, double root, const float *restrict xi,
                                 const double *restrict before, const double *restrict b, const double *restrict S,
                                 double *restrict after)
{
  for (int i = 0; i < weights; i++) {
    double noise[FP_BLOCK] = {0};

    for (int c = 0; c < channels; c++) {
      const double *s = S + (i * channels + c) * FP_BLOCK;

#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) noise[l] += s[l] * (double)xi[c * FP_BLOCK + l];
    }
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) {
      const int k = i * FP_BLOCK + l;

      after[k] = before[k] + dt * b[k] + root * noise[l];
    }
  }
}

/* after = shrink before - rate g */
FP_HOT static void Descend(int weights, double shrink, double rate, const double *restrict before,
                           const double *restrict g, double *restrict after)
{
#pragma omp simd
  for (int k = 0; k < weights * FP_BLOCK; k++) after[k] = shrink * before[k] - rate * g[k];
}

/* after = shrink before - rate J^T G */
FP_HOT static void DescendMap(int weights, int maps, double shrink, double rate, const double *restrict before,
                              const double *restrict J, const double *restrict G, double *restrict after)
{
  for (int i = 0; i < weights; i++) {
    const double *w = before + i * FP_BLOCK, *j = J + i * FP_BLOCK;
    double       *out = after + i * FP_BLOCK;

#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) out[l] = shrink * w[l] - rate * j[l] * G[l];
    for (int a = 1; a < maps; a++) {
      const double *ja = j + a * weights * FP_BLOCK, *Ga = G + a * FP_BLOCK;

#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) out[l] -= rate * ja[l] * Ga[l];
    }
  }
}

/* G += c (M x - y) x^T of one sample */
FP_HOT static void AddSample(int inputs, int targets, double c, const double *restrict M, const double *restrict x,
                             const double *restrict y, double *restrict G)
{
  for (int t = 0; t < targets; t++) {
    const double *Mt = M + t * inputs * FP_BLOCK, *yt = y + t * FP_BLOCK;
    double        e[FP_BLOCK], *Gt                    = G + t * inputs * FP_BLOCK;

#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) e[l] = Mt[l] * x[l] - yt[l];
    for (int i = 1; i < inputs; i++) {
#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) e[l] += Mt[i * FP_BLOCK + l] * x[i * FP_BLOCK + l];
    }
    for (int i = 0; i < inputs; i++) {
#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) Gt[i * FP_BLOCK + l] += c * e[l] * x[i * FP_BLOCK + l];
    }
  }
}

FP_HOT static void Inject(int weights, double amplitude, const float *restrict xi, double *restrict w)
{
#pragma omp simd
  for (int k = 0; k < weights * FP_BLOCK; k++) w[k] += amplitude * (double)xi[k];
}

static void InjectNoise(const FPStepper *s, FPWorkspace *ws, double *w)
{
  const float    *normal;
  const unsigned *word;

  if (!(s->amplitude > 0)) return;
  FPQueueNext(ws, &ws->noise, &normal, &word);
  Inject(s->weights, s->amplitude, normal, w);
}

/* rest = after, after += sigma jump */
FP_HOT static void Jump(int dim, const double *restrict sigma, const double *restrict jump, double *restrict rest,
                        double *restrict after)
{
  for (int i = 0; i < dim; i++) {
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) {
      const int k = i * FP_BLOCK + l;

      rest[k] = after[k];
      after[k] += sigma[l] * jump[k];
    }
  }
}

void FPStep_SDE(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  const float    *normal = NULL;
  const unsigned *word   = NULL;

  FPProcessWeightDrift(s->process, FP_BLOCK, before, ws->b);
  if (s->channels || s->stable.has) FPQueueNext(ws, &ws->noise, &normal, &word);
  if (s->channels) {
    FPProcessWeightFactor(s->process, FP_BLOCK, before, ws->S);
    EulerMaruyama(s->weights, s->channels, s->dt, PetscSqrtReal(s->dt), normal, before, ws->b, ws->S, after);
  } else
    Descend(s->weights, 1, -s->dt, before, ws->b, after);
  if (!s->stable.has) return;
  FPProcessStableScale(s->process, FP_BLOCK, before, ws->sigma);
  FPStableVector(&s->stable, s->dim, s->dt, normal + (ptrdiff_t)s->channels * FP_BLOCK, word, ws->jump);
  Jump(s->dim, ws->sigma, ws->jump, ws->rest, after);
}

void FPStep_GD(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  FPModelGradient(s->model, FP_BLOCK, before, ws->b);
  Descend(s->weights, 1, s->dt, before, ws->b, after);
  InjectNoise(s, ws, after);
}

static void DrawSample(const FPStepper *s, FPWorkspace *ws)
{
  const float    *normal;
  const unsigned *word;

  FPQueueNext(ws, &ws->sample, &normal, &word);
  s->sampler.draw(s->sampler.context, normal, word, ws->x, ws->y);
}

static void Zero(int rows, double *a)
{
  for (int k = 0; k < rows * FP_BLOCK; k++) a[k] = 0;
}

/* The gradient of the data is linear in e x^T, so the map and its Jacobian are needed once per step. */
static void StepMap(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  const int maps = s->inputs * s->targets;

  FPModelMap(s->model, FP_BLOCK, before, ws->M);
  Zero(maps, ws->G);
  for (int a = s->batches - 1; a >= 0; a--)
    for (int k = 0; k < s->batch; k++) {
      DrawSample(s, ws);
      AddSample(s->inputs, s->targets, s->coefficient[a], ws->M, ws->x, ws->y, ws->G);
    }
  FPModelJacobian(s->model, FP_BLOCK, before, ws->J);
  DescendMap(s->weights, maps, 1 - s->dt * s->decay, s->dt * s->metric / s->batch, before, ws->J, ws->G, after);
}

/* The same by the model's own gradient of a sample. The sum of the second batch is scaled by the ratio of the
   coefficients (the first is never 0) before that of the first one is added to it. */
static void StepSamples(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  Zero(s->weights, ws->b);
  for (int a = s->batches - 1; a >= 0; a--) {
    for (int k = 0; k < s->batch; k++) {
      DrawSample(s, ws);
      FPModelSampleGradient(s->model, FP_BLOCK, before, ws->x, ws->y, ws->b);
    }
    if (a)
      for (int k = 0; k < s->weights * FP_BLOCK; k++) ws->b[k] *= s->coefficient[1] / s->coefficient[0];
  }
  Descend(s->weights, 1 - s->dt * s->decay, s->dt * s->coefficient[0] / s->batch, before, ws->b, after);
}

void FPStep_SGD(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  if (s->linear)
    StepMap(s, ws, before, after);
  else
    StepSamples(s, ws, before, after);
  InjectNoise(s, ws, after);
}

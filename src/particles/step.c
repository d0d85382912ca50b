/* step.c: one step of one block of particles, in the space of the weights.
   SDE: Euler-Maruyama, w' = w + dt b(w) + sqrt(dt) S(w) xi with 2 D = S S^T; stable noise adds sigma(w) times its
   increment in dt, of the size dt^{1/alpha}, which leaves a weak error of first order as well.
   SGD: w' = (1 - h decay) w - h (mean of g over B samples) + sqrt(2 h T metric) xi with h = eta.
   SVAG(l) (Li, Malladi, Arora 2021): h = eta/l and (1 + sqrt(2l - 1))/2 g_1 + (1 - sqrt(2l - 1))/2 g_2 of two batches.
   GD: the mean gradient itself. */
#include "particlesimpl.h"
#include <math.h>

#define FAR 10 /* typical displacements of a step */

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

/* Break off a uniform share of what is left of a step; word NULL: all of it. */
FP_HOT static void Break(const unsigned *restrict word, double *restrict length, double *restrict left)
{
#pragma omp simd
  for (int l = 0; l < FP_BLOCK; l++) {
    length[l] = word ? left[l] * 0x1p-32 * ((double)word[l] + 0.5) : left[l];
    left[l] -= length[l];
  }
}

/* after += displacement in ws->piece[0] from the drift, the channels and the jump in a unit of time; least and most add
   up its negative and positive parts, and what both are beyond them in the mean of noise: `jumps` of the jumps in a
   unit of time, `normals` of standard deviations */
FP_HOT static void AddPiece(const FPStepper *s, const FPWorkspace *ws, const float *restrict xi, double jumps,
                            double normals, double *restrict after)
{
  const double *restrict length = ws->piece[0], *restrict sigma = ws->sigma;
  const double inverse = 1 / s->stable.alpha;
  double       root[FP_BLOCK], power[FP_BLOCK];

#pragma omp simd
  for (int l = 0; l < FP_BLOCK; l++) {
    root[l]  = sqrt(length[l]);
    power[l] = sigma[l] * exp(inverse * log(length[l]));
  }
  for (int i = 0; i < s->dim; i++) {
    const double *restrict b = ws->b + i * FP_BLOCK, *restrict jump = ws->jump + i * FP_BLOCK;
    double *restrict least = ws->least + i * FP_BLOCK, *restrict most = ws->most + i * FP_BLOCK;
    double *restrict z     = after + i * FP_BLOCK;
    double noise[FP_BLOCK] = {0}, square[FP_BLOCK] = {0};

    for (int c = 0; c < s->channels; c++) {
      const double *S = ws->S + (i * s->channels + c) * FP_BLOCK;

#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) {
        noise[l] += S[l] * (double)xi[c * FP_BLOCK + l];
        square[l] += S[l] * S[l];
      }
    }
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) {
      const double d = length[l] * b[l] + root[l] * noise[l] + power[l] * jump[l];

      const double beyond = jumps * power[l] + normals * root[l] * sqrt(square[l]);

      z[l] += d;
      least[l] += (d < 0 ? d : 0) - beyond;
      most[l] += (d > 0 ? d : 0) + beyond;
    }
  }
}

/* Are all particles so far from the walls that jumps alone lead beyond them, at an index above 1? What happens after
   such a jump within its step is of higher order then: solutions are flat at the wall. */
FP_HOT static int FarFromWalls(const FPStepper *s, const FPWorkspace *ws, const double *restrict before)
{
  const double root = sqrt(s->dt), power = pow(s->dt, 1 / s->stable.alpha);
  int          far = s->stable.alpha > 1;

  for (int i = 0; i < s->dim && far; i++) {
    const double low = s->box->lower[i], high = s->box->upper[i];

#pragma omp simd reduction(& : far)
    for (int l = 0; l < FP_BLOCK; l++) {
      const int k     = i * FP_BLOCK + l;
      double    reach = s->dt * fabs(ws->b[k]) + power * ws->sigma[l];

      for (int c = 0; c < s->channels; c++) reach += root * fabs(ws->S[(i * s->channels + c) * FP_BLOCK + l]);
      far &= (before[k] - low > FAR * reach) & (high - before[k] > FAR * reach);
    }
  }
  return far;
}

/* The end of the step, the least and the most of the path of a process with constant coefficients are sums over the
   pieces of a stick of length dt, of which uniform shares are broken off: of the increments in them, of their negative
   parts and of their positive parts (J. Pitman, G. Uribe Bravo, Ann. Probab. 40 (2012); J. Gonzalez Cazares, A.
   Mijatovic, G. Uribe Bravo, Math. Oper. Res. 47 (2022)). Least and most do not belong to one path, but walls are
   seldom met at both ends of a step. The last piece is what is left of the stick; the mean of its most is index times
   that of the positive part of its increment, for an index above 1, Gamma(1 - 1/alpha)/pi per unit of jumps. */
static void StepPieces(const FPStepper *s, FPWorkspace *ws, const float *normal, const unsigned *word,
                       const double *before, double *after)
{
  const int       pieces  = FarFromWalls(s, ws, before) ? 1 : s->pieces;
  const unsigned *breaks  = word + (ptrdiff_t)s->pieces * s->jump_words * FP_BLOCK;
  const int       normals = s->channels + s->jump_normals;
  const double    alpha   = s->stable.alpha;

  for (int l = 0; l < FP_BLOCK; l++) ws->piece[1][l] = s->dt;
  for (int k = 0; k < s->dim * FP_BLOCK; k++) {
    after[k]     = before[k];
    ws->least[k] = ws->most[k] = 0;
  }
  for (int p = 0; p < pieces; p++) {
    const int    last = p + 1 == pieces;
    const float *xi   = normal + (ptrdiff_t)p * normals * FP_BLOCK;

    Break(last ? NULL : breaks + (ptrdiff_t)p * FP_BLOCK, ws->piece[0], ws->piece[1]);
    FPStableVector(&s->stable, s->dim, 1, xi + (ptrdiff_t)s->channels * FP_BLOCK,
                   word + (ptrdiff_t)p * s->jump_words * FP_BLOCK, ws->jump);
    AddPiece(s, ws, xi, last && alpha > 1 ? (alpha - 1) * tgamma(1 - 1 / alpha) / PETSC_PI : 0,
             last ? 1 / sqrt(2 * PETSC_PI) : 0, after);
  }
}

void FPStep_SDE(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  const float    *normal = NULL;
  const unsigned *word   = NULL;

  FPProcessWeightDrift(s->process, FP_BLOCK, before, ws->b);
  if (s->channels || s->stable.has) FPQueueNext(ws, &ws->noise, &normal, &word);
  if (s->channels) FPProcessWeightFactor(s->process, FP_BLOCK, before, ws->S);
  if (s->stable.has) FPProcessStableScale(s->process, FP_BLOCK, before, ws->sigma);
  if (s->pieces > 1) {
    StepPieces(s, ws, normal, word, before, after);
    return;
  }
  if (s->channels) {
    EulerMaruyama(s->weights, s->channels, s->dt, PetscSqrtReal(s->dt), normal, before, ws->b, ws->S, after);
  } else
    Descend(s->weights, 1, -s->dt, before, ws->b, after);
  if (!s->stable.has) return;
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

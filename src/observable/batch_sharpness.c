/* batch_sharpness.c: the curvature of the loss of a mini-batch along its own gradient, E g_B.H_B g_B/E |g_B|^2, g_B and
   H_B of V_B = L_B + decay |w|^2/2 (divided by the metric). SGD hovers where it is near 2/learning_rate, the edge of
   stochastic stability (Andreyev and Beneventano, arXiv:2412.20553), where that of the whole data may be much smaller.
   With single samples g, H and means g', H', and a batch of B:
     E |g_B|^2 = |g'|^2 (1 - 1/B) + E |g|^2/B,
     E g_B.H_B g_B = ((B - 1)(B - 2) g'.H' g' + (B - 1) E g.H' g + 2 (B - 1) g'.E H g + E g.H g)/B^2,
   all of them expectations of polynomials of degree at most 3 in x x^T and y x^T, exact on a few nodes
   (FPDataGetFewNodes: ten of one input and one target, whatever the file). H v is a central difference of the gradient.
   Particles take these expectations too, so that no batch is drawn and only where they are is left to chance; where
   nodes are many, at one of a few particles, or, of the rows of a file, for batches that are drawn. Exact, one weight
   with Gaussian data at the minimum, label noise sigma, no decay: s (1 + 2/B). */
#include "batch_sharpness.h"
#include <math.h>

#define SHIFT 1e-5          /* length of the difference for H v */
#define STREAM (5ULL << 60) /* of random numbers */
#define NODES 128           /* for each lane of a block whose expectation is taken */
#define FACTORS 3

PetscErrorCode FPBatchSharpnessSetUp(FPModel model, FPProcess process, FPBatchSharpness *s)
{
  FPAlgorithm algorithm;
  FPData      data;
  const char *type;
  PetscBool   mapped;

  PetscFunctionBegin;
  PetscCall(FPBatchSharpnessFree(s));
  s->model = model;
  PetscCall(FPProcessGetTraining(process, &s->training));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPModelGetSizes(model, NULL, &s->inputs, &s->targets));
  PetscCall(FPModelGetParent(model, &mapped, &s->weights));
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPModelGetSampler(model, &s->sampler));
  s->whole  = (PetscBool)(algorithm == FP_GD);
  s->stride = 1;
  if (!data) PetscFunctionReturn(0);
  PetscCall(FPDataGetFewNodes(data, FACTORS, &s->count, &s->u, &s->share));
  PetscCall(FPDataGetType(data, &type));
  if (!s->whole) s->stride = PetscClipInterval(s->count / NODES, 1, FP_BLOCK);
  if (s->stride > 1 && !strcmp(type, "file")) s->stride = 0;
  PetscFunctionReturn(0);
}

PetscErrorCode FPBatchSharpnessFree(FPBatchSharpness *s)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(s->u));
  PetscCall(PetscFree(s->share));
  s->count = 0;
  PetscFunctionReturn(0);
}

/* sum[n] += share a.b, vectors a[d][n] and b[d][n] */
static void AddDot(PetscInt d, int n, double share, const double *a, const double *b, double *sum)
{
  for (PetscInt i = 0; i < d; i++)
    for (int l = 0; l < n; l++) sum[l] += share * a[i * n + l] * b[i * n + l];
}

/* sum[n] += share a.H a, H[d][d][n] */
static void AddForm(PetscInt d, int n, double share, const double *H, const double *a, double *sum)
{
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++)
      for (int l = 0; l < n; l++) sum[l] += share * a[i * n + l] * H[(i * d + j) * n + l] * a[j * n + l];
}

/* g[d][n] of one node at w[d][n], with the decay; x: room for the node at n points */
static void Gradient(const FPBatchSharpness *s, PetscInt node, int n, const double *w, double *x, double *g)
{
  const PetscInt wide = s->inputs + s->targets;

  for (PetscInt i = 0; i < wide; i++)
    for (int l = 0; l < n; l++) x[i * n + l] = s->u[node * wide + i];
  for (PetscInt k = 0; k < s->weights * n; k++) g[k] = s->training.weight_decay * w[k];
  FPModelSampleGradient(s->model, n, w, x, x + (ptrdiff_t)s->inputs * n, g);
}

/* sum[n] += share v.H along of one node, H by central differences along `along` */
static void AddCurvature(const FPBatchSharpness *s, PetscInt node, int n, double share, const double *w,
                         const double *v, const double *along, double *room, double *sum)
{
  const PetscInt d    = s->weights;
  double        *near = room, *low = near + d * n, *high = low + d * n, *x = high + d * n, length[FP_BLOCK] = {0};

  AddDot(d, n, 1, along, along, length);
  for (int l = 0; l < n; l++) length[l] = length[l] > 0 ? sqrt(length[l]) / SHIFT : 0; /* 1/step; 0: no direction */
  for (int side = 0; side < 2; side++) {
    for (PetscInt i = 0; i < d; i++)
      for (int l = 0; l < n; l++) {
        const double step = length[l] > 0 ? along[i * n + l] / length[l] : 0;

        near[i * n + l] = w[i * n + l] + (side ? step : -step);
      }
    Gradient(s, node, n, near, x, side ? high : low);
  }
  for (PetscInt i = 0; i < d; i++)
    for (int l = 0; l < n; l++) sum[l] += share * v[i * n + l] * (high[i * n + l] - low[i * n + l]) * length[l] / 2;
}

/* Of batches of samples: curvature and square hold those of the mean gradient; H: of the mean. */
static void AddSamples(const FPBatchSharpness *s, int n, const double *w, const double *mean, const double *H,
                       double *curvature, double *square)
{
  const PetscInt d = s->weights;
  const double   B = s->training.batch_size;
  double        *g = FPScratchTake((size_t)((4 * d + s->inputs + s->targets) * n)), *room = g + d * n;
  double         length[FP_BLOCK] = {0}, rest[FP_BLOCK] = {0};

  for (PetscInt k = 0; k < s->count; k++) {
    Gradient(s, k, n, w, room, g);
    AddDot(d, n, s->share[k], g, g, length);
    AddForm(d, n, (B - 1) * s->share[k], H, g, rest);
    AddCurvature(s, k, n, s->share[k], w, g, g, room, rest);
    if (B > 1) AddCurvature(s, k, n, 2 * (B - 1) * s->share[k], w, g, mean, room, rest);
  }
  for (int l = 0; l < n; l++) {
    square[l]    = square[l] * (1 - 1 / B) + length[l] / B;
    curvature[l] = ((B - 1) * (B - 2) * curvature[l] + rest[l]) / (B * B);
  }
  FPScratchRelease(g);
}

void FPBatchSharpnessAt(const FPBatchSharpness *s, int n, const double w[], double curvature[], double square[])
{
  const PetscInt d    = s->weights;
  const double   B    = s->training.batch_size;
  double        *mean = FPScratchTake((size_t)((d + d * d) * n)), *H = mean + d * n;

  for (int l = 0; l < n; l++) curvature[l] = square[l] = 0;
  FPModelGradient(s->model, n, w, mean);
  FPModelHessian(s->model, n, w, H);
  AddDot(d, n, 1, mean, mean, square);
  AddForm(d, n, 1, H, mean, curvature);
  if (!s->whole && s->u) AddSamples(s, n, w, mean, H, curvature, square);
  if (!s->whole && !s->u) { /* additive noise */
    double *C = FPScratchTake((size_t)(d * d * n));

    FPModelCovariance(s->model, n, w, C);
    for (PetscInt i = 0; i < d; i++)
      for (int l = 0; l < n; l++) square[l] += C[(i * d + i) * n + l] / B;
    AddDot(d * d, n, 1 / B, C, H, curvature);
    FPScratchRelease(C);
  }
  FPScratchRelease(mean);
}

/* Adds to g, at w[weights][FP_BLOCK], the gradient of the batch that x and y are drawn for: the same for every w. */
static void AddBatch(const FPBatchSharpness *s, const FPMove *move, PetscInt draw, const double *w, double *g)
{
  const int batch = (int)s->training.batch_size, rows = (s->sampler.normals + 3) / 4 * 4;
  const int words  = rows + (s->sampler.words + 3) / 4 * 4;
  double   *x      = FPScratchTake((size_t)((s->inputs + s->targets + s->weights) * FP_BLOCK));
  unsigned *word   = (void *)FPScratchTake((size_t)words * FP_BLOCK);
  float    *normal = (void *)FPScratchTake((size_t)(rows + 1) * FP_BLOCK);

  for (PetscInt k = 0; k < s->weights * FP_BLOCK; k++) g[k] = 0;
  for (int b = 0; b < batch; b++) {
    const unsigned long long at =
        STREAM +
        ((unsigned long long)draw * (unsigned long long)batch + (unsigned long long)b) * (unsigned long long)words;

    FPRandomWords(move->key, move->first, at, words, word);
    if (rows) FPRandomNormals(rows, word, normal);
    (*s->sampler.draw)(s->sampler.context, normal, word + (ptrdiff_t)rows * FP_BLOCK, x,
                       x + (ptrdiff_t)(s->inputs + s->weights) * FP_BLOCK);
    FPModelSampleGradient(s->model, FP_BLOCK, w, x, x + (ptrdiff_t)(s->inputs + s->weights) * FP_BLOCK, g);
  }
  for (PetscInt k = 0; k < s->weights * FP_BLOCK; k++) g[k] = g[k] / batch + s->training.weight_decay * w[k];
  FPScratchRelease(x);
}

/* The expectations at every stride-th lane */
static void AddExpectations(const FPBatchSharpness *s, const double *w, double *curvature, double *square)
{
  const int n     = (FP_BLOCK + (int)s->stride - 1) / (int)s->stride;
  double   *point = FPScratchTake((size_t)(s->weights * n)), one[FP_BLOCK], length[FP_BLOCK];

  for (PetscInt i = 0; i < s->weights; i++)
    for (int l = 0; l < n; l++) point[i * n + l] = w[i * FP_BLOCK + l * s->stride];
  FPBatchSharpnessAt(s, n, point, one, length);
  for (int l = 0; l < n; l++) {
    *curvature += one[l];
    *square += length[l];
  }
  FPScratchRelease(point);
}

void FPBatchSharpnessDraw(const FPBatchSharpness *s, const FPMove *move, PetscInt draw, const double *w,
                          double *curvature, double *square)
{
  const PetscInt n = s->weights * FP_BLOCK;
  double        *g, *near, *low, *high, step[FP_BLOCK];

  *curvature = *square = 0;
  if (s->stride) {
    AddExpectations(s, w, curvature, square);
    return;
  }
  g    = FPScratchTake((size_t)(4 * n));
  near = g + n;
  low  = near + n;
  high = low + n;
  AddBatch(s, move, draw, w, g);
  for (int l = 0; l < FP_BLOCK; l++) {
    double length = 0;

    for (PetscInt i = 0; i < s->weights; i++) length += g[i * FP_BLOCK + l] * g[i * FP_BLOCK + l];
    step[l] = length > 0 ? SHIFT / sqrt(length) : 0;
    *square += length;
  }
  for (int side = 0; side < 2; side++) {
    for (PetscInt k = 0; k < n; k++) near[k] = w[k] + (side ? step[k % FP_BLOCK] : -step[k % FP_BLOCK]) * g[k];
    AddBatch(s, move, draw, near, side ? high : low);
  }
  for (PetscInt k = 0; k < n; k++)
    if (step[k % FP_BLOCK] > 0) *curvature += g[k] * (high[k] - low[k]) / (2 * step[k % FP_BLOCK]);
  FPScratchRelease(g);
}

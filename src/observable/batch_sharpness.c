/* batch_sharpness.c: the curvature of the loss of a mini-batch along its own gradient, E g_B.H_B g_B/E |g_B|^2, g_B and
   H_B of V_B = L_B + decay |w|^2/2 (divided by the metric). SGD hovers where it is near 2/learning_rate, the edge of
   stochastic stability (Andreyev and Beneventano, arXiv:2412.20553), where that of the whole data may be much smaller.
   With single samples g, H and means g', H', and a batch of B:
     E |g_B|^2 = |g'|^2 (1 - 1/B) + E |g|^2/B,
     E g_B.H_B g_B = ((B - 1)(B - 2) g'.H' g' + (B - 1) E g.H' g + 2 (B - 1) g'.E H g + E g.H g)/B^2,
   all of them expectations of polynomials of degree at most 6 in the data, which their nodes give exactly. H v is a
   central difference of the gradient. Particles draw batches of the rows of a file; normal numbers, whose sixth powers
   have tails that no sample of usual size sees, are averaged over exactly at each particle, or at one of a few where
   the data have many nodes. Exact, one weight with Gaussian data at the minimum, label noise sigma, no decay:
   s (1 + 2/B). */
#include "batch_sharpness.h"
#include <math.h>

#define SHIFT 1e-5          /* length of the difference for H v */
#define STREAM (5ULL << 60) /* of random numbers */
#define NODES 16            /* for each lane of a block whose expectation is taken */
#define DEGREE 6

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
  PetscCall(FPDataGetNodes(data, DEGREE, &s->count, &s->u, &s->share));
  PetscCall(FPDataGetType(data, &type));
  if (!s->whole) s->stride = strcmp(type, "file") ? PetscClipInterval(s->count / NODES, 1, FP_BLOCK) : 0;
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

static double Dot(PetscInt n, const double *a, const double *b)
{
  double sum = 0;

  for (PetscInt i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* g of one node at w, with the decay */
static void Gradient(const FPBatchSharpness *s, PetscInt node, const double *w, double *g)
{
  const double *x = s->u + (size_t)node * (size_t)(s->inputs + s->targets);

  for (PetscInt i = 0; i < s->weights; i++) g[i] = s->training.weight_decay * w[i];
  FPModelSampleGradient(s->model, 1, w, x, x + s->inputs, g);
}

/* v.H v' of one node, H by central differences along v' */
static double Curvature(const FPBatchSharpness *s, PetscInt node, const double *w, const double *v, const double *along,
                        double *room)
{
  const PetscInt d      = s->weights;
  const double   length = sqrt(Dot(d, along, along)), step = length > 0 ? SHIFT / length : 0;
  double        *near = room, *low = near + d, *high = low + d, sum = 0;

  if (step == 0) return 0;
  for (int side = 0; side < 2; side++) {
    for (PetscInt i = 0; i < d; i++) near[i] = w[i] + (side ? step : -step) * along[i];
    Gradient(s, node, near, side ? high : low);
  }
  for (PetscInt i = 0; i < d; i++) sum += v[i] * (high[i] - low[i]);
  return sum / (2 * step);
}

void FPBatchSharpnessAt(const FPBatchSharpness *s, const double w[], double *curvature, double *square)
{
  const PetscInt d = s->weights;
  const double   B = s->training.batch_size;
  double        *g = FPScratchTake((size_t)(5 * d + 2 * d * d)), *mean = g + d, *room = mean + d;
  double        *H = room + 3 * d, *C = H + d * d;
  double         one = 0, cross = 0, spread = 0, length = 0, whole = 0;

  FPModelGradient(s->model, 1, w, mean);
  FPModelHessian(s->model, 1, w, H);
  for (PetscInt i = 0; i < d; i++) whole += mean[i] * Dot(d, H + i * d, mean);
  *square    = Dot(d, mean, mean);
  *curvature = whole;
  if (!s->whole && !s->u) { /* additive noise */
    FPModelCovariance(s->model, 1, w, C);
    for (PetscInt i = 0; i < d; i++) *square += C[i * d + i] / B;
    *curvature += Dot(d * d, C, H) / B;
  } else if (!s->whole) {
    for (PetscInt k = 0; k < s->count; k++) {
      double form = 0;

      Gradient(s, k, w, g);
      for (PetscInt i = 0; i < d; i++) form += g[i] * Dot(d, H + i * d, g);
      spread += s->share[k] * form;
      length += s->share[k] * Dot(d, g, g);
      one += s->share[k] * Curvature(s, k, w, g, g, room);
      cross += s->share[k] * Curvature(s, k, w, g, mean, room);
    }
    *square    = *square * (1 - 1 / B) + length / B;
    *curvature = ((B - 1) * (B - 2) * whole + (B - 1) * spread + 2 * (B - 1) * cross + one) / (B * B);
  }
  FPScratchRelease(g);
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

void FPBatchSharpnessDraw(const FPBatchSharpness *s, const FPMove *move, PetscInt draw, const double *w,
                          double *curvature, double *square)
{
  const PetscInt n = s->weights * FP_BLOCK;
  double        *g = FPScratchTake((size_t)(4 * n)), *near = g + n, *low = near + n, *high = low + n;
  double         step[FP_BLOCK];

  *curvature = *square = 0;
  if (s->stride) {
    for (int l = 0; l < FP_BLOCK; l += (int)s->stride) {
      double one, length;

      for (PetscInt i = 0; i < s->weights; i++) near[i] = w[i * FP_BLOCK + l];
      FPBatchSharpnessAt(s, near, &one, &length);
      *curvature += one;
      *square += length;
    }
    FPScratchRelease(g);
    return;
  }
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

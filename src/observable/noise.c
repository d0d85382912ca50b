/* noise.c: the gradient-noise covariance C at points, exactly from the data's moments (engine "exact") and by drawing
   gradients (engine "particles"): eigenvalues, rank, alignment with the Hessian tr(C H)/(|C| |H|), and
   c_over_h_residual = min_c |C - c H|/|C| in Frobenius norm: is the noise covariance proportional to the Hessian there?
   H is the Hessian of the loss without decay. With noise_times and noise_start also drift and noise along training:
   noise_course.c. */
#include "noiseimpl.h"
#include <petscblaslapack.h>

#define DRAWS 1024 /* blocks of gradients per group */
#define RANK 1e-9  /* eigenvalues below this share of the largest are zero */

static const FPParameter NoiseParameters[] = {{"at", FP_REALS, offsetof(FPNoiseCourse, at), NULL, 0, 0, NULL, "weight",
                                               "points, one after the other; default: the critical points"},
                                              FP_COURSE_TIMES,
                                              FP_COURSE_START,
                                              FP_COURSE_SPREAD,
                                              {0}};

typedef struct {
  PetscInt  d;
  char      name[FP_NAME];
  PetscReal w[FP_MAX_DIM]; /* weights */
} Point;

static PetscErrorCode SetPoint(FPModel model, const PetscReal z[], PetscInt k, const char name[], Point *point)
{
  PetscBool mapped;

  PetscFunctionBegin;
  PetscCall(FPModelGetParent(model, &mapped, &point->d));
  if (name)
    PetscCall(PetscStrncpy(point->name, name, sizeof(point->name)));
  else
    PetscCall(PetscSNPrintf(point->name, sizeof(point->name), "%d", (int)k + 1));
  if (mapped)
    FPModelLift(model, 1, z, point->w);
  else
    PetscCall(PetscArraycpy(point->w, z, point->d));
  PetscFunctionReturn(0);
}

static PetscErrorCode Read_Noise(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  FPNoiseCourse *noise = (FPNoiseCourse *)obs->data;
  const char    *where;
  PetscInt       dim;

  PetscFunctionBegin;
  if (noise->course.times.n > 0 || noise->course.start.n > 0)
    PetscCall(FPCourseRead(&noise->course, obs->name, config, model, mesh, PETSC_TRUE, wanted));
  if (!wanted) PetscFunctionReturn(0);
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  PetscCall(FPConfigWhere(config, "noise_at", &where));
  FPInputCheck(noise->at.n % dim == 0,
               "%s has %" PetscInt_FMT " numbers; accepted are multiples of the %" PetscInt_FMT " coordinates", where,
               noise->at.n, dim);
  PetscFunctionReturn(0);
}

static PetscErrorCode GetPoints(FPObservable obs, PetscInt *count, Point **points)
{
  FPNoiseCourse         *noise = (FPNoiseCourse *)obs->data;
  FPModel                model = obs->scene.model;
  const FPCriticalPoint *critical;
  PetscInt               dim;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  *count = noise->at.n / dim;
  if (*count > 0) {
    PetscCall(PetscMalloc1(*count, points));
    for (PetscInt k = 0; k < *count; k++) PetscCall(SetPoint(model, noise->at.value + k * dim, k, NULL, *points + k));
    PetscFunctionReturn(0);
  }
  PetscCall(FPModelGetCriticalPoints(model, count, &critical));
  PetscCall(PetscMalloc1(*count, points));
  for (PetscInt k = 0; k < *count; k++) PetscCall(SetPoint(model, critical[k].z, k, critical[k].name, *points + k));
  PetscFunctionReturn(0);
}

/* Quantities of one covariance C[d*d] beside the Hessian H[d*d] of the loss. */
static PetscErrorCode AddCovariance(PetscInt d, const PetscReal C[], const PetscReal H[], const char name[],
                                    FPQuantities *q)
{
  PetscReal   *M = FPScratchTake((size_t)(d * d)), w[FP_MAX_DIM], work[8 * FP_MAX_DIM], cc = 0, hh = 0, ch = 0;
  PetscBLASInt n, lwork = 8 * FP_MAX_DIM, info;
  PetscInt     rank = 0;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(d, &n));
  for (PetscInt k = 0; k < d * d; k++) {
    M[k] = C[k];
    cc += C[k] * C[k];
    hh += H[k] * H[k];
    ch += C[k] * H[k];
  }
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("N", "U", &n, M, &n, w, work, &lwork, &info));
  FPScratchRelease(M);
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  for (PetscInt k = 0; k < d; k++) {
    PetscCall(FPQuantitiesAdd(q, w[d - 1 - k], 0, "gradient^2", "covariance_eigenvalue[%d][at=%s]", (int)k, name));
    rank += w[k] > RANK * w[d - 1];
  }
  PetscCall(FPQuantitiesAdd(q, w[d - 1] > 0 ? rank : 0, 0, "1", "rank[at=%s]", name));
  if (cc > 0 && hh > 0) {
    PetscCall(FPQuantitiesAdd(q, ch / PetscSqrtReal(cc * hh), 0, "1", "hessian_alignment[at=%s]", name));
    PetscCall(FPQuantitiesAdd(q, PetscSqrtReal(PetscMax(0, 1 - ch * ch / (cc * hh))), 0, "1",
                              "c_over_h_residual[at=%s]", name));
  }
  PetscFunctionReturn(0);
}

/* Hessian of the loss: that of V less the decay. */
static PetscErrorCode LossHessian(FPObservable obs, const Point *point, PetscReal H[])
{
  FPTraining training;

  PetscFunctionBegin;
  PetscCall(FPProcessGetTraining(obs->scene.process[0], &training));
  FPModelHessian(obs->scene.model, 1, point->w, H);
  for (PetscInt i = 0; i < point->d; i++) H[i * point->d + i] -= training.weight_decay;
  PetscFunctionReturn(0);
}

/* Gradients of one sample each at w[d], for one group: use() gets g[d][FP_BLOCK] `blocks` times. */
PetscErrorCode FPGradientsDraw(FPModel model, const PetscReal w[], PetscInt group, PetscInt blocks,
                               void (*use)(void *context, PetscInt d, const double *g), void *context)
{
  FPSampler sampler;
  unsigned *word, key[2] = {20260u, 11u};
  float    *normal;
  double   *z, *x, *y, *g;
  PetscInt  d, inputs, targets, rows;
  PetscBool mapped;

  PetscFunctionBegin;
  PetscCall(FPModelGetParent(model, &mapped, &d));
  PetscCall(FPModelGetSampler(model, &sampler));
  PetscCall(FPModelGetSizes(model, NULL, &inputs, &targets));
  rows = (sampler.normals + 1) / 2 * 2;
  PetscCall(PetscMalloc6((rows + sampler.words + 8) * FP_BLOCK, &word, (rows + 2) * FP_BLOCK, &normal, d * FP_BLOCK, &z,
                         (inputs + d) * FP_BLOCK, &x, (targets + 1) * FP_BLOCK, &y, d * FP_BLOCK, &g));
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) z[i * FP_BLOCK + l] = w[i];
  for (PetscInt b = 0; b < blocks; b++) {
    FPRandomWords(key, (unsigned long long)group * FP_BLOCK,
                  (unsigned long long)b * (unsigned long long)(rows + sampler.words), (int)(rows + sampler.words),
                  word);
    if (rows) FPRandomNormals((int)rows, word, normal);
    (*sampler.draw)(sampler.context, normal, word + rows * FP_BLOCK, x, y);
    PetscCall(PetscArrayzero(g, d * FP_BLOCK));
    FPModelSampleGradient(model, FP_BLOCK, z, x, y, g);
    (*use)(context, d, g);
  }
  PetscCall(PetscFree6(word, normal, z, x, y, g));
  PetscFunctionReturn(0);
}

typedef struct {
  PetscReal mean[FP_MAX_DIM], *C; /* sums of g and of g g^T */
} Moments;

static void AddGradients(void *context, PetscInt d, const double *g)
{
  Moments *m = (Moments *)context;

  for (PetscInt i = 0; i < d; i++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      m->mean[i] += g[i * FP_BLOCK + l];
      for (PetscInt j = 0; j < d; j++) m->C[i * d + j] += g[i * FP_BLOCK + l] * g[j * FP_BLOCK + l];
    }
}

/* Covariance of FP_BLOCK * DRAWS gradients per group; groups[FP_GROUPS][d*d]. */
static PetscErrorCode DrawCovariance(FPModel model, const Point *point, PetscReal groups[])
{
  const PetscInt d = point->d;

  PetscFunctionBegin;
  for (PetscInt group = 0; group < FP_GROUPS; group++) {
    Moments m = {.C = groups + group * d * d};

    PetscCall(PetscArrayzero(m.C, d * d));
    PetscCall(FPGradientsDraw(model, point->w, group, DRAWS, AddGradients, &m));
    for (PetscInt i = 0; i < d; i++)
      for (PetscInt j = 0; j < d; j++)
        m.C[i * d + j] = (m.C[i * d + j] - m.mean[i] * m.mean[j] / (DRAWS * FP_BLOCK)) / (DRAWS * FP_BLOCK - 1);
  }
  PetscFunctionReturn(0);
}

/* Jackknife over groups of the smooth functionals; rank is left to the exact engine. */
static PetscErrorCode SampledRows(FPObservable obs, const Point *point, const PetscReal H[])
{
  const PetscInt d = point->d;
  PetscReal     *groups, *sum, *C;
  FPQuantities   all = {0}, left[FP_GROUPS];

  PetscFunctionBegin;
  PetscCall(PetscCalloc3(FP_GROUPS * d * d, &groups, d * d, &sum, d * d, &C));
  PetscCall(PetscMemzero(left, sizeof(left)));
  PetscCall(DrawCovariance(obs->scene.model, point, groups));
  for (PetscInt k = 0; k < FP_GROUPS * d * d; k++) sum[k % (d * d)] += groups[k];
  for (PetscInt k = 0; k < d * d; k++) C[k] = sum[k] / FP_GROUPS;
  PetscCall(AddCovariance(d, C, H, point->name, &all));
  for (PetscInt group = 0; group < FP_GROUPS; group++) {
    for (PetscInt k = 0; k < d * d; k++) C[k] = (sum[k] - groups[group * d * d + k]) / (FP_GROUPS - 1);
    PetscCall(AddCovariance(d, C, H, point->name, &left[group]));
  }
  for (PetscInt k = 0; k < all.n; k++) {
    PetscReal mean = 0, square = 0;

    if (!strncmp(all.list[k].name, "rank", 4) || !strncmp(all.list[k].name, "c_over_h", 8)) continue;
    for (PetscInt group = 0; group < FP_GROUPS; group++) mean += left[group].list[k].value / FP_GROUPS;
    for (PetscInt group = 0; group < FP_GROUPS; group++) square += PetscSqr(left[group].list[k].value - mean);
    PetscCall(FPResultsAdd(obs->scene.results, "sgd", "particles", "noise", all.list[k].name,
                           FP_GROUPS * all.list[k].value - (FP_GROUPS - 1) * mean,
                           PetscSqrtReal(square * (FP_GROUPS - 1) / FP_GROUPS), FP_STANDARD, all.list[k].unit));
  }
  for (PetscInt group = 0; group < FP_GROUPS; group++) PetscCall(FPQuantitiesFree(&left[group]));
  PetscCall(FPQuantitiesFree(&all));
  PetscCall(PetscFree3(groups, sum, C));
  PetscFunctionReturn(0);
}

/* Where C or H vanishes the two cannot be compared, and the rows say so. */
static PetscErrorCode AddUndefined(FPObservable obs, const Point *point, const FPQuantities *q)
{
  static const char *const names[] = {"hessian_alignment", "c_over_h_residual"};

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 2; k++) {
    const FPQuantity *found;
    char              label[FP_NAME];

    PetscCall(PetscSNPrintf(label, sizeof(label), "%s[at=%s]", names[k], point->name));
    PetscCall(FPQuantitiesFind(q, label, &found));
    if (!found)
      PetscCall(FPResultsAddStatus(obs->scene.results, "sgd", "exact", "noise", label, "undefined",
                                   "the noise covariance or the Hessian of the loss is zero there"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Noise(FPObservable obs)
{
  Point   *points;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(GetPoints(obs, &count, &points));
  for (PetscInt k = 0; k < count; k++) {
    const PetscInt d = points[k].d;
    PetscReal     *C = FPScratchTake((size_t)(d * d)), *H = FPScratchTake((size_t)(d * d));
    FPQuantities   q = {0};

    PetscCall(LossHessian(obs, &points[k], H));
    FPModelCovariance(obs->scene.model, 1, points[k].w, C);
    PetscCall(AddCovariance(d, C, H, points[k].name, &q));
    for (PetscInt i = 0; i < q.n; i++)
      PetscCall(FPResultsAdd(obs->scene.results, "sgd", "exact", "noise", q.list[i].name, q.list[i].value,
                             1e-13 * PetscMax(1, PetscAbsReal(q.list[i].value)), FP_BOUND, q.list[i].unit));
    PetscCall(AddUndefined(obs, &points[k], &q));
    PetscCall(FPQuantitiesFree(&q));
    PetscCall(SampledRows(obs, &points[k], H));
    FPScratchRelease(C);
  }
  PetscCall(PetscFree(points));
  PetscCall(FPNoisePeaks(obs));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Noise(FPObservable obs)
{
  PetscFunctionBegin;
  PetscCall(FPCourseDestroy((FPCourse *)obs->data));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Noise(FPObservable obs)
{
  FPNoiseCourse *noise;

  PetscFunctionBegin;
  PetscCall(PetscNew(&noise));
  obs->data       = noise;
  obs->parameters = NoiseParameters;
  obs->ops        = (FPObservableOps){.read      = Read_Noise,
                                      .exact     = Exact_Noise,
                                      .generator = FPNoiseCourseGenerator,
                                      .begin     = FPNoiseCourseBegin,
                                      .evaluate  = FPNoiseCourseEvaluate,
                                      .destroy   = Destroy_Noise};
  PetscFunctionReturn(0);
}

/* noise_course.c: drift and noise along training, in the mean over the law at times after a start. With b and D of the
   weights (discrete algorithms: b = - grad V, D = eta/(2 B) C + T, C the covariance of one sample's gradient) and
   eta the learning rate,
     drift_norm = E |b|, diffusion_norm = E sqrt(2 tr D/eta), noise_ratio = the second over the first:
   the mean and the standard deviation of one step, both over eta. Modes m_k: p of a chain, the entry of each input
   where there is one target, else the diagonal of the end-to-end matrix in the singular vectors of the teacher;
     drift_mode[k] = E [grad m_k . b + D_ij d_i d_j m_k], diffusion_mode[k] = E sqrt(2 grad m_k . D grad m_k/eta).
   diffusion_peak[k]: m_k over its value for the teacher where the diffusion of m_k is largest along the gradient flow
   from the start. Exact, balanced chain of depth L, a = 4 - 4/L: the diffusion is L^2 (eta/2B) v P^a, v = 2 s^2 (P -
   p)^2 + s sigma^2, which is largest at x = P/p with (4 + 2a) x^2 - (4 + 4a) x + 2a + a sigma^2/(s p^2) = 0 (the
   smaller root); without label noise x = (2L - 2)/(3L - 2). */
#include "noiseimpl.h"
#include <math.h>
#include <petscblaslapack.h>

#define CURVATURE 1e-4 /* times a column of S: how far apart Jacobians are taken */
#define CURVE 4000     /* steps of the gradient flow, along its length */

enum { DRIFT, DIFFUSION, MODES }; /* rows; then drift and diffusion of each mode */

/* Least-squares map of the data, [targets][inputs], at most 2 inputs. */
static PetscErrorCode Teacher(FPModel model, PetscReal M[])
{
  PetscInt         inputs, targets;
  const PetscReal *second, *fourth;
  FPData           data;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, NULL, &inputs, &targets));
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  for (PetscInt t = 0; t < targets; t++) {
    PetscBLASInt n = (PetscBLASInt)inputs, one = 1, pivot[FP_MAX_MAP], info;
    PetscReal    xx[FP_MAX_MAP * FP_MAX_MAP], xy[FP_MAX_MAP];

    for (PetscInt i = 0; i < inputs; i++) {
      xy[i] = second[i * (inputs + targets) + inputs + t];
      for (PetscInt j = 0; j < inputs; j++) xx[i * inputs + j] = second[i * (inputs + targets) + j];
    }
    PetscCallBLAS("LAPACKgesv", LAPACKgesv_(&n, &one, xx, &n, pivot, xy, &n, &info));
    for (PetscInt i = 0; i < inputs; i++) M[t * inputs + i] = info ? 0 : xy[i];
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode SetModes(FPNoiseCourse *s)
{
  PetscReal M[FP_MAX_MAP], A[FP_MAX_MAP], value[2], U[4], V[4], work[64];
  PetscInt  inputs, targets;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(s->model, NULL, &inputs, &targets));
  s->nm    = inputs * targets;
  s->modes = targets == 2 && inputs == 2 ? 2 : s->nm;
  PetscCall(PetscMemzero(s->mode, sizeof(s->mode)));
  if (s->nm) PetscCall(Teacher(s->model, M));
  for (PetscInt k = 0; k < s->modes; k++) {
    s->mode[k][k] = 1;
    s->target[k]  = M[k];
  }
  if (s->modes == s->nm) PetscFunctionReturn(0);
  PetscBLASInt two = 2, room = 64, info;

  PetscCall(PetscArraycpy(A, M, 4)); /* by columns: the transpose, so U and V change places */
  PetscCallBLAS("LAPACKgesvd",
                LAPACKgesvd_("A", "A", &two, &two, A, &two, value, U, &two, V, &two, work, &room, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK gesvd returned %d", (int)info);
  for (PetscInt k = 0; k < 2; k++) {
    s->target[k] = value[k];
    for (PetscInt t = 0; t < 2; t++)
      for (PetscInt i = 0; i < 2; i++) s->mode[k][2 * t + i] = V[t * 2 + k] * U[k * 2 + i];
  }
  PetscFunctionReturn(0);
}

/* process NULL: SGD of the run's training */
static PetscErrorCode SetUp(FPObservable obs, FPProcess process)
{
  FPNoiseCourse *s         = (FPNoiseCourse *)obs->data;
  FPAlgorithm    algorithm = FP_SGD;

  PetscFunctionBegin;
  s->model = obs->scene.model;
  PetscCall(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelGetMetric(s->model, &s->metric));
  PetscCall(FPProcessGetTraining(process ? process : obs->scene.process[0], &s->training));
  if (process) PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  s->process = algorithm == FP_SDE ? process : NULL;
  s->sampled = (PetscBool)(algorithm == FP_SGD || algorithm == FP_SVAG);
  s->own     = 0;
  if (s->sampled) PetscCall(FPModelGetChannels(s->model, &s->own));
  s->channels = s->own + (s->training.temperature > 0 ? s->weights : 0);
  if (s->process) PetscCall(FPProcessGetChannels(process, &s->channels));
  PetscCall(SetModes(s));
  s->rows = MODES + 2 * s->modes;
  PetscFunctionReturn(0);
}

/* b[weights][n] and S[weights][channels][n], 2 D = S S^T */
static void Coefficients(const FPNoiseCourse *s, int n, const double *w, double *b, double *S)
{
  const int       m = (int)s->weights, all = (int)s->channels, own = (int)s->own;
  const PetscReal gain  = PetscSqrtReal(s->training.learning_rate / s->training.batch_size);
  const PetscReal scale = PetscSqrtReal(2 * s->training.temperature * s->metric);

  if (s->process) {
    FPProcessWeightDrift(s->process, n, w, b);
    if (all) FPProcessWeightFactor(s->process, n, w, S);
    return;
  }
  FPModelGradient(s->model, n, w, b);
  for (int k = 0; k < m * n; k++) b[k] = -b[k];
  if (own) {
    double *F = FPScratchTake((size_t)(m * own * n));

    FPModelCovarianceFactor(s->model, n, w, F);
    for (int i = 0; i < m; i++)
      for (int k = 0; k < own * n; k++) S[i * all * n + k] = gain * F[i * own * n + k];
    FPScratchRelease(F);
  }
  for (int i = 0; i < m && all > own; i++)
    for (int k = 0; k < (all - own) * n; k++) S[(i * all + own) * n + k] = k / n == i ? scale : 0;
}

/* out[n] += mode k's gradient J along the vectors a, each with `stride` points between components */
static void Along(const FPNoiseCourse *s, PetscInt k, int n, const double *J, const double *a, int stride,
                  double factor, double *out)
{
  for (int e = 0; e < s->nm; e++)
    for (int i = 0; i < s->weights; i++)
      for (int l = 0; l < n; l++)
        out[l] += factor * s->mode[k][e] * J[(e * (int)s->weights + i) * n + l] * a[i * stride + l];
}

/* Drift and sqrt(2 diffusion/eta) of the modes. */
static void Modes(const FPNoiseCourse *s, int n, const double *w, const double *b, const double *S, double *F)
{
  const int    m = (int)s->weights, size = (int)s->nm * m * n, stride = (int)s->channels * n;
  double      *J = FPScratchTake((size_t)(3 * size + m * n)), *high = J + size, *low = high + size, *near = low + size;
  const double room = 1 / (2 * CURVATURE);

  FPModelJacobian(s->model, n, w, J);
  for (PetscInt k = 0; k < 2 * s->modes * n; k++) F[k] = 0;
  for (PetscInt k = 0; k < s->modes; k++) Along(s, k, n, J, b, n, 1, F + 2 * k * n);
  for (int c = 0; c < s->channels; c++) {
    const double *column = S + c * n;

    for (int side = 0; side < 2; side++) {
      for (int k = 0; k < m * n; k++) near[k] = w[k] + (side ? CURVATURE : -CURVATURE) * column[k / n * stride + k % n];
      FPModelJacobian(s->model, n, near, side ? high : low);
    }
    for (int k = 0; k < size; k++) high[k] = (high[k] - low[k]) * room;
    for (PetscInt k = 0; k < s->modes; k++) {
      double slope[FP_BLOCK] = {0};

      Along(s, k, n, high, column, stride, 0.5, F + 2 * k * n);
      Along(s, k, n, J, column, stride, 1, slope);
      for (int l = 0; l < n; l++) F[(2 * k + 1) * n + l] += slope[l] * slope[l];
    }
  }
  for (PetscInt k = 0; k < s->modes; k++)
    for (int l = 0; l < n; l++) F[(2 * k + 1) * n + l] = sqrt(F[(2 * k + 1) * n + l] / s->training.learning_rate);
  FPScratchRelease(J);
}

/* F[rows][n] at z[dim][n], n <= FP_BLOCK */
static void Rows(const FPNoiseCourse *s, int n, const double *z, double *F)
{
  const int     m = (int)s->weights, all = (int)s->channels;
  double       *b = FPScratchTake((size_t)(m * (all + 2) * n)), *room = b + m * n, *S = room + m * n;
  const double *w = FPWeightsOf(s->model, s->mapped, n, z, room);

  Coefficients(s, n, w, b, S);
  for (int l = 0; l < n; l++) {
    double drift = 0, noise = 0;

    for (int i = 0; i < m; i++) drift += b[i * n + l] * b[i * n + l];
    for (int k = 0; k < m * all; k++) noise += S[k * n + l] * S[k * n + l];
    F[DRIFT * n + l]     = sqrt(drift);
    F[DIFFUSION * n + l] = sqrt(noise / s->training.learning_rate);
  }
  if (s->modes) Modes(s, n, w, b, S, F + MODES * n);
  FPScratchRelease(b);
}

/* mean[rows] at time k, with errors (NULL: none) */
static PetscErrorCode AddRows(const FPNoiseCourse *s, PetscInt k, const PetscReal mean[], const PetscReal error[],
                              FPQuantities *q)
{
  const char     *t     = s->course.times.value[k];
  const PetscReal ratio = mean[DIFFUSION] / mean[DRIFT];

  PetscFunctionBegin;
  PetscCall(FPQuantitiesAdd(q, mean[DRIFT], error ? error[DRIFT] : 0, "weight/time", "drift_norm[t=%s]", t));
  PetscCall(
      FPQuantitiesAdd(q, mean[DIFFUSION], error ? error[DIFFUSION] : 0, "weight/time", "diffusion_norm[t=%s]", t));
  PetscCall(FPQuantitiesAdd(q, ratio, error ? (error[DIFFUSION] + ratio * error[DRIFT]) / mean[DRIFT] : 0, "1",
                            "noise_ratio[t=%s]", t));
  for (PetscInt m = 0; m < s->modes; m++) {
    const PetscInt r = MODES + 2 * m;

    PetscCall(FPQuantitiesAdd(q, mean[r], error ? error[r] : 0, "1/time", "drift_mode[%" PetscInt_FMT "][t=%s]", m, t));
    PetscCall(FPQuantitiesAdd(q, mean[r + 1], error ? error[r + 1] : 0, "1/time",
                              "diffusion_mode[%" PetscInt_FMT "][t=%s]", m, t));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddTimes(const FPNoiseCourse *s, FPGenerator gen, const PetscReal law[], FPQuantities *q)
{
  const PetscInt   times = s->course.times.n;
  const PetscReal *z;
  PetscReal       *p, *error, *F, point[3 * FP_BLOCK], part[(MODES + 2 * FP_MAX_MAP) * FP_BLOCK];
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(PetscMalloc3((size_t)times * n, &p, times, &error, (size_t)s->rows * n, &F));
  PetscCall(FPCourseEvolve(&s->course, gen, law, p, error));
  for (PetscInt k = 0; k < n; k += FP_BLOCK) {
    const PetscInt count = PetscMin(FP_BLOCK, n - k);

    for (PetscInt a = 0; a < s->dim; a++)
      for (PetscInt l = 0; l < count; l++) point[a * count + l] = z[(size_t)a * n + k + l];
    Rows(s, (int)count, point, part);
    for (PetscInt r = 0; r < s->rows; r++)
      for (PetscInt l = 0; l < count; l++) F[(size_t)r * n + k + l] = part[r * count + l];
  }
  for (PetscInt k = 0; k < times; k++) {
    PetscReal mass, mean[MODES + 2 * FP_MAX_MAP], bound[MODES + 2 * FP_MAX_MAP];

    FPCourseSurvivors(gen, p + (size_t)k * n, &mass);
    for (PetscInt r = 0; r < s->rows; r++)
      FPCourseMean(n, p + (size_t)k * n, F + (size_t)r * n, error[k] / mass, &mean[r], &bound[r]);
    PetscCall(AddRows(s, k, mean, bound, q));
  }
  PetscCall(PetscFree3(p, error, F));
  PetscFunctionReturn(0);
}

PetscErrorCode FPNoiseCourseGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const FPNoiseCourse *s = (const FPNoiseCourse *)obs->data;
  PetscReal           *law, missing;
  PetscInt             n;
  FPProcess            process;

  PetscFunctionBegin;
  if (s->course.times.n == 0) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(SetUp(obs, process));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &law));
  PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  if (missing < FP_COURSE_MISSING)
    PetscCall(AddTimes(s, gen, law, q));
  else if (finest)
    PetscCall(FPObservableMissingOn(obs, gen, "drift_norm", "unsupported", FP_COURSE_NOWHERE));
  PetscCall(PetscFree(law));
  PetscFunctionReturn(0);
}

/* Accumulator per time: count, then sums of the rows. Scratch: the rows of a block. */
static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const FPNoiseCourse *s = (const FPNoiseCourse *)context;
  PetscInt             first, due = FPCourseDue(&s->course, move->step, s->dt, &first);

  for (PetscInt k = first; k < first + due; k++) {
    const PetscReal f   = FPCourseFraction(s->course.t[k], move->step, s->dt);
    double         *own = acc + k * (1 + s->rows);

    own[0] += FP_BLOCK;
    for (int side = 0; side < 2; side++) {
      const PetscReal weight = side ? f : 1 - f;

      if (weight == 0) continue;
      Rows(s, FP_BLOCK, side ? move->after : move->before, scratch);
      for (PetscInt r = 0; r < s->rows; r++)
        for (PetscInt l = 0; l < FP_BLOCK; l++) own[1 + r] += weight * scratch[r * FP_BLOCK + l];
    }
  }
}

PetscErrorCode FPNoiseCourseBegin(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                                  FPObserver *observer, FPEnsemble *ensemble, PetscBool *used)
{
  FPNoiseCourse *s = (FPNoiseCourse *)obs->data;

  PetscFunctionBegin;
  if (s->course.times.n == 0) PetscFunctionReturn(0);
  PetscCall(SetUp(obs, process));
  s->dt                 = dt;
  observer->accumulator = (size_t)(s->course.times.n * (1 + s->rows));
  observer->scratch     = (size_t)(s->rows * FP_BLOCK);
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  PetscCall(FPCourseEnsemble(&s->course, &obs->scene, options, ensemble));
  *used = PETSC_TRUE;
  PetscFunctionReturn(0);
}

PetscErrorCode FPNoiseCourseEvaluate(FPObservable obs, const double sums[], FPQuantities *q)
{
  const FPNoiseCourse *s = (const FPNoiseCourse *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const double *own = sums + k * (1 + s->rows);
    PetscReal     mean[MODES + 2 * FP_MAX_MAP];

    for (PetscInt r = 0; r < s->rows; r++) mean[r] = own[1 + r] / own[0];
    PetscCall(AddRows(s, k, mean, NULL, q));
  }
  PetscFunctionReturn(0);
}

/* One point of the curve: every mode over its target, and its diffusion. */
static void CurvePoint(const FPNoiseCourse *s, const double w[], PetscReal x[], PetscReal noise[])
{
  double M[FP_MAX_MAP], F[MODES + 2 * FP_MAX_MAP], *b = FPScratchTake((size_t)(s->weights * (1 + s->channels)));

  FPModelMap(s->model, 1, w, M);
  Coefficients(s, 1, w, b, b + s->weights);
  Modes(s, 1, w, b, b + s->weights, F);
  FPScratchRelease(b);
  for (PetscInt k = 0; k < s->modes; k++) {
    x[k] = 0;
    for (PetscInt a = 0; a < s->nm; a++) x[k] += s->mode[k][a] * M[a] / s->target[k];
    noise[k] = F[2 * k + 1] * F[2 * k + 1];
  }
}

/* Unit vector of the gradient flow, zero where it ends. */
static PetscReal Direction(const FPNoiseCourse *s, const double w[], double u[])
{
  PetscReal square = 0;

  FPModelGradient(s->model, 1, w, u);
  for (PetscInt i = 0; i < s->weights; i++) square += u[i] * u[i];
  for (PetscInt i = 0; i < s->weights; i++) u[i] = square > 0 ? -u[i] / PetscSqrtReal(square) : 0;
  return PetscSqrtReal(square);
}

/* Heun's method along the length of the curve, until the way turns back: the minimum. peak[modes]: where the diffusion
   is largest, by a parabola through three points, NaN at an end; Richardson's method removes the next power. */
static void Follow(const FPNoiseCourse *s, const double start[], PetscReal step, PetscInt most, PetscReal peak[])
{
  double    w[FP_MAX_DIM], u[2][FP_MAX_DIM], near[FP_MAX_DIM];
  PetscReal x[3][FP_MAX_MAP], y[3][FP_MAX_MAP], best[FP_MAX_MAP];

  for (PetscInt i = 0; i < s->weights; i++) w[i] = start[i];
  for (PetscInt k = 0; k < s->modes; k++) {
    best[k] = 0;
    peak[k] = NAN;
  }
  for (PetscInt n = 0; n < most; n++) {
    PetscReal turn = 0;

    for (PetscInt k = 0; k < s->modes; k++)
      for (int j = 0; j < 2; j++) {
        x[j][k] = x[j + 1][k];
        y[j][k] = y[j + 1][k];
      }
    CurvePoint(s, w, x[2], y[2]);
    for (PetscInt k = 0; k < s->modes; k++) {
      const PetscReal best_now = n < 2 ? y[2][k] : y[1][k];

      if (!(best_now > best[k])) continue;
      best[k] = best_now;
      peak[k] = NAN;
      if (n < 2 || y[2][k] > y[1][k] || y[0][k] > y[1][k]) continue;
      const PetscReal left  = (y[1][k] - y[0][k]) / (x[1][k] - x[0][k]),
                      right = (y[2][k] - y[1][k]) / (x[2][k] - x[1][k]);

      peak[k] = (x[0][k] + x[1][k]) / 2 - left * (x[2][k] - x[0][k]) / 2 / (right - left);
    }
    if (Direction(s, w, u[0]) == 0) return;
    for (PetscInt i = 0; i < s->weights; i++) near[i] = w[i] + step * u[0][i];
    (void)Direction(s, near, u[1]);
    for (PetscInt i = 0; i < s->weights; i++) turn += u[0][i] * u[1][i];
    if (turn < 0) return;
    for (PetscInt i = 0; i < s->weights; i++) w[i] += step / 2 * (u[0][i] + u[1][i]);
  }
}

PetscErrorCode FPNoisePeaks(FPObservable obs)
{
  FPNoiseCourse *s = (FPNoiseCourse *)obs->data;
  PetscReal      coarse[FP_MAX_MAP], fine[FP_MAX_MAP], length = 0;
  double         w[FP_MAX_DIM];
  char           name[FP_NAME];

  PetscFunctionBegin;
  if (!s->course.started) PetscFunctionReturn(0);
  PetscCall(SetUp(obs, NULL));
  if (s->mapped)
    FPModelLift(s->model, 1, s->course.z, w);
  else
    PetscCall(PetscArraycpy(w, s->course.z, s->weights));
  for (PetscInt k = 0; k < s->modes; k++) length += PetscAbsReal(s->target[k]);
  length = 1 + length;
  Follow(s, w, length / CURVE, 8 * CURVE, coarse);
  Follow(s, w, length / CURVE / 2, 16 * CURVE, fine);
  for (PetscInt k = 0; k < s->modes; k++) {
    PetscCall(PetscSNPrintf(name, sizeof(name), "diffusion_peak[%d]", (int)k));
    if (isfinite(fine[k]) && isfinite(coarse[k]) && PetscAbsReal(fine[k] - coarse[k]) > 0.05)
      PetscCall(FPResultsAddStatus(obs->scene.results, "sgd", "exact", obs->name, name, "unresolved",
                                   "the diffusion has several maxima that are nearly equal"));
    else if (isfinite(fine[k]) && isfinite(coarse[k]))
      PetscCall(FPResultsAdd(obs->scene.results, "sgd", "exact", obs->name, name, fine[k],
                             2 * PetscAbsReal(fine[k] - coarse[k]) + 1e-7, FP_BOUND, "1"));
    else
      PetscCall(FPResultsAddStatus(obs->scene.results, "sgd", "exact", obs->name, name, "undefined",
                                   "along the gradient flow from the start the diffusion is largest at an end"));
  }
  PetscFunctionReturn(0);
}

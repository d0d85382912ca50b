/* autocorrelation.c: how long the stationary process remembers p (each entry of the end-to-end matrix) and the loss; of
   an ou model, which has neither, the coordinates z[i]. rho(t) = Cov(f(z_0), f(z_t))/Var f, and the integrated time
   tau = int_0^inf rho dt, by which averages over a time T have the variance 2 Var f tau/T; of a discrete algorithm
   tau = step (1/2 + sum_{k >= 1} rho_k).
   Generator: rho from exp(t Q) f, tau from the Poisson equation -Q g = f, tau = <f, g>/<f, f> for centred f.
   Particles: products at the lags asked for (between two samples interpolated linearly), and tau from the variances V
   of averages over the whole run T and over its halves: 2 T V(T) - (T/2) V(T/2) = 2 Var f tau up to what relaxes no
   faster than T/2. A run shorter than 20 tau gives none. */
#include "course.h"

#define ROOM 4000000 /* doubles of a ring of past values, at most */
#define SHORTEST 20  /* run, in integrated times */

typedef struct {
  FPCourse  course;
  FPModel   model;
  PetscBool mapped, data;
  PetscInt  dim, weights, nm, values; /* values: functions f */
  PetscInt  every, length, samples;   /* of the ring: samples kept; samples of the run, even */
  PetscReal spacing;                  /* time between samples */
} Autocorrelation;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, {0}};

static PetscErrorCode Read_Autocorrelation(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh,
                                           PetscBool wanted)
{
  PetscFunctionBegin;
  PetscCall(FPCourseRead((FPCourse *)obs->data, obs->name, config, model, mesh, PETSC_FALSE, wanted));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(FPObservable obs)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  PetscInt         inputs, targets;
  FPData           data;

  PetscFunctionBegin;
  s->model = obs->scene.model;
  PetscCall(FPModelGetSizes(s->model, &s->dim, &inputs, &targets));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelGetData(s->model, &data));
  s->nm     = inputs * targets;
  s->data   = (PetscBool)(data != NULL);
  s->values = s->data ? s->nm + 1 : s->dim;
  PetscFunctionReturn(0);
}

static PetscErrorCode ValueName(const Autocorrelation *s, PetscInt f, char name[24])
{
  PetscFunctionBegin;
  if (!s->data)
    PetscCall(PetscSNPrintf(name, 24, "z[%d]", (int)f));
  else if (f == s->nm)
    PetscCall(PetscStrncpy(name, "loss", 24));
  else
    PetscCall(FPEntryName(s->model, f, name));
  PetscFunctionReturn(0);
}

/* F[values][n] at z[dim][n]; w[weights][n] is room. */
static void Values(const Autocorrelation *s, int n, const double *z, double *w, double *F)
{
  const double *weights = FPWeightsOf(s->model, s->mapped, n, z, w);

  if (!s->data) {
    memcpy(F, z, (size_t)s->dim * (size_t)n * sizeof(double));
    return;
  }
  FPModelMap(s->model, n, weights, F);
  FPModelLoss(s->model, n, weights, F + (size_t)s->nm * (size_t)n);
}

/* Rows of one centred function f[n] on the cells. */
static PetscErrorCode AddFunction(const Autocorrelation *s, FPGenerator gen, PetscInt n, const PetscReal f[],
                                  const char name[], FPQuantities *q)
{
  const PetscInt   times = s->course.times.n;
  const PetscReal *pi, *rate, *frequency, *residual;
  PetscReal       *u, *g, *solver, variance = 0, size = 0, tau = 0, rounding;
  PetscReal        beta, scale;
  PetscInt         modes;
  FPGeneratorInfo  info;
  FPProcess        process;

  PetscFunctionBegin;
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetModes(gen, &modes, &rate, &frequency, &residual));
  PetscCall(PetscMalloc3((size_t)times * n, &u, n, &g, times, &solver));
  PetscCall(FPGeneratorEvolve(gen, PETSC_TRUE, f, times, s->course.t, u, solver));
  PetscCall(FPGeneratorInvert(gen, PETSC_TRUE, 0, f, g));
  for (PetscInt k = 0; k < n; k++) {
    variance += pi[k] * f[k] * f[k];
    size += pi[k] * PetscAbsReal(f[k]);
    tau += pi[k] * f[k] * g[k];
  }
  for (PetscInt t = 0; t < times; t++) {
    PetscReal sum = 0;

    for (PetscInt k = 0; k < n; k++) sum += pi[k] * f[k] * u[(size_t)t * n + k];
    PetscCall(FPQuantitiesAdd(q, sum / variance, solver[t] * size / variance + 1e-13, "1", "%s[t=%s]", name,
                              s->course.times.value[t]));
  }
  rounding = 10 * PETSC_MACHINE_EPSILON * info.largest_rate / PetscMax(rate[1], 1e-300);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetClock(process, &beta, &scale));
  if (beta < 1)
    PetscCall(FPQuantitiesAdd(q, PETSC_INFINITY, 0, "time", "integrated_time_%s", name));
  else if (rounding < 0.1)
    PetscCall(FPQuantitiesAdd(q, tau / variance, (rounding + 1e-12) * PetscAbsReal(tau / variance), "time",
                              "integrated_time_%s", name));
  PetscCall(PetscFree3(u, g, solver));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Autocorrelation(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume, *pi, *kill;
  const FPEdge    *edge;
  PetscReal       *F, *w, killed = 0;
  PetscInt         n, edges;
  FPProcess        process;
  const char      *process_name;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetEdges(gen, &edges, &edge, &kill));
  for (PetscInt k = 0; k < n; k++) killed += kill[k];
  if (killed > 0) {
    PetscCall(FPGeneratorGetProcess(gen, &process));
    PetscCall(FPProcessGetName(process, &process_name));
    if (finest)
      PetscCall(FPResultsAddStatus(obs->scene.results, process_name, "generator", obs->name, "integrated_time",
                                   "undefined", "a process that is killed at walls is not stationary"));
    PetscFunctionReturn(0);
  }
  PetscCall(PetscMalloc2((size_t)s->values * n, &F, (size_t)s->weights * n, &w));
  Values(s, (int)n, z, w, F);
  for (PetscInt f = 0; f < s->values; f++) {
    PetscReal *values = F + (size_t)f * n, mean = 0;
    char       name[24];

    PetscCall(ValueName(s, f, name));
    for (PetscInt k = 0; k < n; k++) mean += pi[k] * values[k];
    for (PetscInt k = 0; k < n; k++) values[k] -= mean;
    PetscCall(AddFunction(s, gen, n, values, name, q));
  }
  PetscCall(PetscFree2(F, w));
  PetscFunctionReturn(0);
}

/* Accumulator of each f: count, sum, sum of squares, number of averages, their sum (whole run), squares (whole run),
   squares (halves), then count and products of every time. */
enum { COUNT, SUM, SQUARE, RUNS, AVERAGE, WHOLE, HALVES, PRODUCTS };

static size_t PerValue(const Autocorrelation *s)
{
  return (size_t)(PRODUCTS + 2 * s->course.times.n);
}

/* Scratch: ring[length][values][FP_BLOCK], sums of the halves of the run [2][values][FP_BLOCK], w. */
static void Products(const Autocorrelation *s, const double *ring, PetscInt64 j, PetscInt f, double *acc)
{
  const double *now = ring + (size_t)((j % s->length) * s->values + f) * FP_BLOCK;

  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const PetscReal lag  = s->course.t[k] / s->spacing;
    PetscInt64      back = (PetscInt64)(lag + 1e-6);
    const PetscReal part = PetscMax(0, lag - (PetscReal)back);
    const PetscBool two  = (PetscBool)(part > 1e-6);
    const double   *past, *before;
    double          sum = 0;

    if (j - back - two < 1) continue;
    past   = ring + (size_t)(((j - back) % s->length) * s->values + f) * FP_BLOCK;
    before = two ? ring + (size_t)(((j - back - 1) % s->length) * s->values + f) * FP_BLOCK : past;
    for (PetscInt l = 0; l < FP_BLOCK; l++) sum += now[l] * (past[l] + part * (before[l] - past[l]));
    acc[PRODUCTS + 2 * k] += FP_BLOCK;
    acc[PRODUCTS + 2 * k + 1] += sum;
  }
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  const Autocorrelation *s     = (const Autocorrelation *)context;
  const PetscInt64       j     = move->step / s->every;
  const PetscInt         block = s->values * FP_BLOCK;
  double                *ring = scratch, *halves = ring + (size_t)s->length * (size_t)block, *w = halves + 2 * block;
  double                *now  = ring + (size_t)(j % s->length) * (size_t)block;
  double                *half = halves + (2 * j > s->samples ? block : 0);

  if (j == 1) memset(halves, 0, 2 * (size_t)block * sizeof(double));
  Values(s, FP_BLOCK, move->after, w, now);
  for (PetscInt f = 0; f < s->values; f++) {
    double *acc = accumulator + (size_t)f * PerValue(s);

    acc[COUNT] += FP_BLOCK;
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      const double x = now[f * FP_BLOCK + l];

      acc[SUM] += x;
      acc[SQUARE] += x * x;
      if (j <= s->samples) half[f * FP_BLOCK + l] += x;
    }
    Products(s, ring, j, f, acc);
    if (j != s->samples) continue;
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      const double a = 2 * halves[f * FP_BLOCK + l] / (double)j, b = 2 * halves[block + f * FP_BLOCK + l] / (double)j;

      acc[RUNS] += 1;
      acc[AVERAGE] += (a + b) / 2;
      acc[WHOLE] += (a + b) * (a + b) / 4;
      acc[HALVES] += (a * a + b * b) / 2;
    }
  }
}

static PetscErrorCode Begin_Autocorrelation(FPObservable obs, FPProcess process, PetscReal dt,
                                            const FPParticleOptions *options, FPObserver *observer,
                                            PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  FPTraining       training;
  PetscReal        last = s->course.t[s->course.times.n - 1];
  PetscInt         room;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPProcessGetTraining(process, &training));
  room                  = ROOM / (s->values * FP_BLOCK) - 3;
  s->every              = PetscMax(1, (PetscInt)PetscCeilReal(last / dt / room));
  s->spacing            = s->every * dt;
  s->length             = (PetscInt)(last / s->spacing + 1e-6) + 3;
  s->samples            = (PetscInt)(options->steps * training.learning_rate / s->spacing + 1e-6) / 2 * 2;
  observer->accumulator = (size_t)s->values * PerValue(s);
  observer->scratch     = (size_t)((s->length + 2) * s->values + s->weights) * FP_BLOCK;
  observer->every       = s->every;
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* What the run is too short for is not a number, which the run says in words. */
static PetscErrorCode Evaluate_Autocorrelation(FPObservable obs, const double sums[], FPQuantities *q)
{
  const Autocorrelation *s = (const Autocorrelation *)obs->data;

  PetscFunctionBegin;
  for (PetscInt f = 0; f < s->values; f++) {
    const double   *acc  = sums + (size_t)f * PerValue(s);
    const PetscReal mean = acc[SUM] / acc[COUNT], variance = acc[SQUARE] / acc[COUNT] - mean * mean;
    const PetscReal average = acc[AVERAGE] / acc[RUNS], T = s->samples * s->spacing;
    const PetscReal whole = acc[WHOLE] / acc[RUNS] - average * average;
    PetscReal       tau;
    const PetscReal halves = acc[HALVES] / acc[RUNS] - average * average;
    char            name[24];

    PetscCall(ValueName(s, f, name));
    for (PetscInt k = 0; k < s->course.times.n; k++) {
      const PetscReal product = acc[PRODUCTS + 2 * k + 1] / acc[PRODUCTS + 2 * k];

      PetscCall(
          FPQuantitiesAdd(q, (product - mean * mean) / variance, 0, "1", "%s[t=%s]", name, s->course.times.value[k]));
    }
    tau = (2 * T * whole - 0.5 * T * halves) / (2 * variance);
    if (!(tau * SHORTEST < T)) tau = NAN;
    PetscCall(FPQuantitiesAdd(q, tau, 0, "time", "integrated_time_%s", name));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Autocorrelation(FPObservable obs)
{
  PetscFunctionBegin;
  PetscCall(FPCourseDestroy((FPCourse *)obs->data));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Autocorrelation(FPObservable obs)
{
  Autocorrelation *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = Read_Autocorrelation,
                                      .generator = Generator_Autocorrelation,
                                      .begin     = Begin_Autocorrelation,
                                      .evaluate  = Evaluate_Autocorrelation,
                                      .destroy   = Destroy_Autocorrelation};
  PetscFunctionReturn(0);
}

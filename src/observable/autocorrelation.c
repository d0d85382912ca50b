/* autocorrelation.c: how long the stationary process remembers p (each entry of the end-to-end matrix) and the loss; of
   an ou model, which has neither, the coordinates z[i]. rho(t) = Cov(f(z_0), f(z_t))/Var f, and the integrated time
   tau = int_0^inf rho dt, by which averages over a time T have the variance 2 Var f tau/T; of a discrete algorithm
   tau = step (1/2 + sum_{k >= 1} rho_k). markov_defect of each f but the loss: markov.c.
   Under a fractional clock the law is stationary but memory is not: f at the time `age` after the clock started is
   compared with f a time t later (and for markov_defect with f at age, age + t and age + 2t).
   Generator: rho from exp(t Q) f, tau from the Poisson equation -Q g = f, tau = <f, g>/<f, f> for centred f.
   Particles: products at the lags asked for (between two samples interpolated linearly), and tau from the variances V
   of averages over the whole run T and over its halves: 2 T V(T) - (T/2) V(T/2) = 2 Var f tau up to what relaxes no
   faster than T/2. A run shorter than 20 tau gives none. Under a fractional clock, one product of each particle. */
#include "course.h"
#include "markov.h"

#define ROOM 4000000 /* doubles of a ring of past values, at most */
#define SHORTEST 20  /* run, in integrated times */
#define GOLDEN 0.6180339887498949
#define MARKED PetscMax(FP_MAX_MAP, 3)

typedef struct {
  FPCourse      course, snapshots; /* snapshots: of a fractional clock, t: age, then age + t and age + 2t */
  FPModel       model;
  PetscBool     mapped, data, fractional;
  PetscInt      dim, weights, nm, values; /* values: functions f */
  PetscInt      marked; /* the first of them, of which the Markov property is asked; without a box none */
  FPMarkovRange range[MARKED];
  short        *part; /* [marked][times][FP_MARKOV_LINE], of all particles, for all but some of them */
  PetscInt      turn; /* evaluations of one simulation so far: all groups, then without each of them */
  PetscInt      every, length, samples; /* of the ring: samples kept; samples of the run, even */
  PetscReal     spacing;                /* time between samples */
} Autocorrelation;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_AGE, {0}};

static PetscErrorCode Read_Autocorrelation(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh,
                                           PetscBool wanted)
{
  PetscFunctionBegin;
  PetscCall(FPCourseRead((FPCourse *)obs->data, obs->name, config, model, mesh, PETSC_FALSE, wanted));
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

/* Bins over what the functions are on a lattice of the box. */
static PetscErrorCode SetRanges(Autocorrelation *s, const FPBox *box)
{
  const PetscInt axis = s->dim == 1 ? 65 : s->dim == 2 ? 33 : 17;
  PetscInt       n    = 1;
  double        *z, *w, *F;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < s->dim; a++) n *= axis;
  PetscCall(PetscMalloc3(s->dim * n, &z, s->weights * n, &w, s->values * n, &F));
  for (PetscInt k = 0; k < n; k++)
    for (PetscInt a = 0, rest = k; a < s->dim; a++, rest /= axis)
      z[a * n + k] = box->lower[a] + (box->upper[a] - box->lower[a]) * (rest % axis) / (axis - 1);
  Values(s, (int)n, z, w, F);
  for (PetscInt f = 0; f < s->marked; f++) {
    PetscReal upper = F[f * n];

    s->range[f].lower = upper;
    for (PetscInt k = 1; k < n; k++) {
      s->range[f].lower = PetscMin(s->range[f].lower, F[f * n + k]);
      upper             = PetscMax(upper, F[f * n + k]);
    }
    s->range[f].width = PetscMax(upper - s->range[f].lower, 1e-300) / FP_MARKOV_LINE;
  }
  PetscCall(PetscFree3(z, w, F));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(FPObservable obs)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  PetscInt         inputs, targets;
  FPData           data;
  const FPBox     *box;

  PetscFunctionBegin;
  s->model = obs->scene.model;
  PetscCall(FPModelGetSizes(s->model, &s->dim, &inputs, &targets));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelGetData(s->model, &data));
  s->nm     = inputs * targets;
  s->data   = (PetscBool)(data != NULL);
  s->values = s->data ? s->nm + 1 : s->dim;
  s->marked = obs->scene.mesh ? (s->data ? s->nm : s->dim) : 0;
  if (!obs->scene.mesh) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  PetscCall(SetRanges(s, box));
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

/* One centred function f[n] on the cells and what it evolves to: queries (age, t), of a marked one then (age, 2t), and
   under a fractional clock (age + t, t), `times` of each. */
typedef struct {
  const PetscReal *f, *pi;
  PetscInt         n, queries;
  PetscReal       *age, *lag, *u, *solver; /* [queries], and u[queries][n] */
  PetscReal        variance, size, most;
} Course;

static PetscErrorCode CourseCreate(const Autocorrelation *s, FPGenerator gen, PetscInt n, const PetscReal f[],
                                   PetscBool marked, PetscBool fractional, Course *c)
{
  const PetscInt times = s->course.times.n;

  PetscFunctionBegin;
  *c = (Course){.f = f, .n = n, .queries = times * (marked ? fractional ? 3 : 2 : 1)};
  PetscCall(FPGeneratorStationary(gen, &c->pi));
  PetscCall(
      PetscMalloc4(c->queries, &c->age, c->queries, &c->lag, c->queries, &c->solver, (size_t)c->queries * n, &c->u));
  for (PetscInt q = 0; q < c->queries; q++) {
    const PetscReal t = s->course.t[q % times];

    c->age[q] = s->course.age + (q < 2 * times ? 0 : t);
    c->lag[q] = q / times == 1 ? 2 * t : t;
  }
  PetscCall(FPGeneratorEvolveAged(gen, PETSC_TRUE, f, c->queries, c->age, c->lag, c->u, c->solver));
  for (PetscInt k = 0; k < n; k++) {
    c->variance += c->pi[k] * f[k] * f[k];
    c->size += c->pi[k] * PetscAbsReal(f[k]);
    c->most = PetscMax(c->most, PetscAbsReal(f[k]));
  }
  PetscFunctionReturn(0);
}

/* E f(age) f(age + lag) */
static PetscReal Covariance(const Course *c, PetscInt query)
{
  PetscReal sum = 0;

  for (PetscInt k = 0; k < c->n; k++) sum += c->pi[k] * c->f[k] * c->u[(size_t)query * c->n + k];
  return sum;
}

/* From u[n], the mean of the future of f given a cell, and v[n], that of its past times pi. *doubt: of what straight
   lines leave on the parts, the share that changes with their widths, in whole cells on a grid. What lines leave goes
   with the fourth power of a width, so that parts half as wide tell it. */
static PetscReal DefectOnCells(const Course *c, const FPMarkovRange *range, const PetscReal u[], const PetscReal v[],
                               PetscReal product, PetscReal *doubt)
{
  PetscReal sums[FP_MARKOV_SIZE] = {product};
  PetscReal defect, square = 0;
  short     part[FP_MARKOV_LINE];

  for (PetscInt k = 0; k < c->n; k++) {
    square += PetscSqr(c->pi[k]);
    if (c->pi[k] > 0) FPMarkovAdd(range, c->f[k], v[k] / c->pi[k], u[k], c->pi[k], sums);
  }
  FPMarkovDivide(sums, FP_MARKOV_PARTS, part);
  defect = FPMarkovDefect(sums, part);
  FPMarkovDivide(sums, 2 * FP_MARKOV_PARTS, part);
  *doubt = PetscMin(1, 4 * FP_MARKOV_PARTS * square) * PetscAbsReal(defect - FPMarkovDefect(sums, part));
  return defect;
}

/* markov_defect: past, present and future at age, age + t and age + 2t. */
static PetscErrorCode AddDefects(const Autocorrelation *s, FPGenerator gen, const Course *c, const FPMarkovRange *range,
                                 const char name[], FPQuantities *q)
{
  const PetscInt times = s->course.times.n, n = c->n;
  PetscReal     *v, *weighted, *solver, step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &step));
  PetscCall(PetscMalloc3((size_t)times * n, &v, n, &weighted, times, &solver));
  for (PetscInt k = 0; k < n; k++) weighted[k] = c->pi[k] * c->f[k];
  PetscCall(FPGeneratorEvolveAged(gen, PETSC_FALSE, weighted, times, c->age, s->course.t, v, solver));
  for (PetscInt t = 0; t < times; t++) {
    const PetscInt  future = c->queries == 3 * times ? 2 * times + t : t;
    const PetscReal doubt  = c->size * (c->solver[future] + c->solver[times + t]) + c->most * solver[t];
    PetscReal       parts;
    const PetscReal defect =
        DefectOnCells(c, range, c->u + (size_t)future * n, v + (size_t)t * n, Covariance(c, times + t), &parts);

    if (s->course.t[t] == 0) continue;
    if (step > 0 && PetscAbsReal(remainder(s->course.t[t], step)) > 1e-6 * step) continue; /* no law between steps */
    PetscCall(FPQuantitiesAdd(q, defect, doubt / c->variance + parts + 1e-13, "1", "markov_defect_%s[t=%s]", name,
                              s->course.times.value[t]));
    FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0);
  }
  PetscCall(PetscFree3(v, weighted, solver));
  PetscFunctionReturn(0);
}

/* Rows of one centred function f[n] on the cells; range: its bins, NULL: its Markov property is not asked. */
static PetscErrorCode AddFunction(const Autocorrelation *s, FPGenerator gen, PetscInt n, const PetscReal f[],
                                  const FPMarkovRange *range, const char name[], FPQuantities *q)
{
  const PetscReal *rate;
  PetscReal       *g, tau = 0, rounding, beta, step;
  FPGeneratorInfo  info;
  FPProcess        process;
  Course           c;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetModes(gen, NULL, &rate, NULL, NULL));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  PetscCall(CourseCreate(s, gen, n, f, (PetscBool)(range != NULL), (PetscBool)(beta < 1), &c));
  for (PetscInt t = 0; t < s->course.times.n; t++)
    PetscCall(FPQuantitiesAdd(q, Covariance(&c, t) / c.variance, c.solver[t] * c.size / c.variance + 1e-13, "1",
                              "%s[t=%s]", name, s->course.times.value[t]));
  PetscCall(PetscMalloc1(n, &g));
  PetscCall(FPGeneratorInvert(gen, PETSC_TRUE, 0, f, g));
  for (PetscInt k = 0; k < n; k++) tau += c.pi[k] * f[k] * g[k] / c.variance;
  PetscCall(FPGeneratorGetStep(gen, &step));
  tau -= step / 2; /* a discrete chain: step (1/2 + rho_1 + rho_2 + ...) */
  rounding = 10 * PETSC_MACHINE_EPSILON * info.largest_rate / PetscMax(rate[1], 1e-300);
  if (beta < 1)
    PetscCall(FPQuantitiesAdd(q, INFINITY, 0, "time", "integrated_time_%s", name));
  else if (rounding < 0.1)
    PetscCall(FPQuantitiesAdd(q, tau, (rounding + 1e-12) * PetscAbsReal(tau), "time", "integrated_time_%s", name));
  if (range && info.order > 0) PetscCall(AddDefects(s, gen, &c, range, name, q));
  PetscCall(PetscFree(g));
  PetscCall(PetscFree4(c.age, c.lag, c.solver, c.u));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Autocorrelation(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  const PetscReal *z, *pi, *kill;
  PetscReal       *F, *w, killed = 0;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetEdges(gen, NULL, NULL, &kill));
  for (PetscInt k = 0; k < n; k++) killed += kill[k];
  if (killed > 0) {
    if (finest)
      PetscCall(FPObservableMissingOn(obs, gen, "integrated_time", "undefined",
                                      "a process that is killed at walls is not stationary"));
    PetscFunctionReturn(0);
  }
  PetscCall(PetscMalloc2((size_t)s->values * n, &F, (size_t)s->weights * n, &w));
  Values(s, (int)n, z, w, F);
  for (PetscInt f = 0; f < s->values; f++) {
    PetscReal    *values = F + (size_t)f * n, mean = 0;
    FPMarkovRange centred;
    char          name[24];

    PetscCall(ValueName(s, f, name));
    for (PetscInt k = 0; k < n; k++) mean += pi[k] * values[k];
    for (PetscInt k = 0; k < n; k++) values[k] -= mean;
    centred = (FPMarkovRange){s->range[f < s->marked ? f : 0].lower - mean, s->range[f < s->marked ? f : 0].width};
    PetscCall(AddFunction(s, gen, n, values, f < s->marked ? &centred : NULL, name, q));
  }
  PetscCall(PetscFree2(F, w));
  PetscFunctionReturn(0);
}

/* Accumulator of each f: count, sum, sum of squares, number of averages, their sum (whole run), squares (whole run),
   squares (halves), then of every time count and products, and under a fractional clock the sum and the sum of squares
   of both factors; after those of all f, for each of the marked and every time the sums of markov.h. */
enum { COUNT, SUM, SQUARE, RUNS, AVERAGE, WHOLE, HALVES, PRODUCTS };
enum { PAIRS, PRODUCT, FACTORS, SQUARES, PER_TIME };

static size_t PerValue(const Autocorrelation *s)
{
  return (size_t)(PRODUCTS + PER_TIME * s->course.times.n);
}

static size_t MarkovAt(const Autocorrelation *s, PetscInt f, PetscInt k)
{
  return (size_t)s->values * PerValue(s) + (size_t)(f * s->course.times.n + k) * FP_MARKOV_SIZE;
}

static void AddTriple(const Autocorrelation *s, PetscInt f, const double *past, const double *now, const double *future,
                      double *sums)
{
  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    sums[0] += past[l] * future[l];
    FPMarkovAdd(&s->range[f], now[l], past[l], future[l], 1, sums);
  }
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
    acc[PRODUCTS + PER_TIME * k + PAIRS] += FP_BLOCK;
    acc[PRODUCTS + PER_TIME * k + PRODUCT] += sum;
  }
}

/* Triples at about four times in every lag; a lag between two samples is the one before or the one after, as often as
   it is near. */
static void Triples(const Autocorrelation *s, const double *ring, PetscInt64 j, PetscInt f, double *acc)
{
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const PetscReal  lag   = s->course.t[k] / s->spacing;
    const PetscInt64 whole = (PetscInt64)(lag + 1e-6), stride = PetscMax(1, whole / 4), turn = j / stride;
    const PetscReal  share = (PetscReal)turn * GOLDEN - PetscFloorReal((PetscReal)turn * GOLDEN);
    const PetscInt64 back  = whole + (share < lag - (PetscReal)whole - 1e-6);

    if (j % stride || lag == 0 || j - 2 * back < 1) continue;
    AddTriple(s, f, ring + (size_t)(((j - 2 * back) % s->length) * s->values + f) * FP_BLOCK,
              ring + (size_t)(((j - back) % s->length) * s->values + f) * FP_BLOCK,
              ring + (size_t)((j % s->length) * s->values + f) * FP_BLOCK, acc + MarkovAt(s, f, k));
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
    if (f < s->marked) Triples(s, ring, j, f, accumulator);
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

/* acc[PER_TIME] */
static void AddPairs(const double *past, const double *now, double *acc)
{
  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    acc[PAIRS] += 1;
    acc[PRODUCT] += past[l] * now[l];
    acc[FACTORS] += past[l] + now[l];
    acc[SQUARES] += past[l] * past[l] + now[l] * now[l];
  }
}

static PetscInt SnapshotAt(const Autocorrelation *s, PetscReal lag)
{
  PetscInt i = 0;

  while (s->snapshots.t[i] != s->course.age + lag) i++;
  return i;
}

/* Fractional clock. Scratch: the values at every snapshot, [snapshots][values][FP_BLOCK], then z and w. */
static void SampleAged(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  const Autocorrelation *s     = (const Autocorrelation *)context;
  const PetscInt         block = s->values * FP_BLOCK, times = s->course.times.n;
  double                *z = scratch + (size_t)s->snapshots.times.n * (size_t)block, *w = z + s->dim * FP_BLOCK;
  PetscInt               first;
  const PetscInt         due = FPCourseDue(&s->snapshots, move->step, move->dt, &first);

  for (PetscInt i = first; i < first + due; i++) {
    FPCoursePick(s->dim, FPCourseFraction(s->snapshots.t[i], move->step, move->dt), move->before, move->after, z);
    Values(s, FP_BLOCK, z, w, scratch + (size_t)i * (size_t)block);
    for (PetscInt f = 0; f < s->values; f++) {
      const double *past = scratch + f * FP_BLOCK, *now = scratch + (size_t)i * (size_t)block + f * FP_BLOCK;

      for (PetscInt k = 0; k < times; k++) {
        if (s->snapshots.t[i] == s->course.age + s->course.t[k])
          AddPairs(past, now, accumulator + (size_t)f * PerValue(s) + PRODUCTS + PER_TIME * k);
        if (f < s->marked && s->course.t[k] > 0 && s->snapshots.t[i] == s->course.age + 2 * s->course.t[k])
          AddTriple(s, f, past, scratch + (size_t)SnapshotAt(s, s->course.t[k]) * (size_t)block + f * FP_BLOCK, now,
                    accumulator + MarkovAt(s, f, k));
      }
    }
  }
}

/* The times of a fractional clock that are looked at, ascending, each once. */
static PetscErrorCode SetSnapshots(Autocorrelation *s)
{
  const PetscInt times = s->course.times.n;
  PetscInt       n     = 0;

  PetscFunctionBegin;
  PetscCall(PetscFree(s->snapshots.t));
  PetscCall(PetscMalloc1(1 + 2 * times, &s->snapshots.t));
  s->snapshots.t[n++] = s->course.age;
  for (PetscInt k = 0; k < times; k++) {
    s->snapshots.t[n++] = s->course.age + s->course.t[k];
    if (s->marked) s->snapshots.t[n++] = s->course.age + 2 * s->course.t[k];
  }
  PetscCall(PetscSortRemoveDupsReal(&n, s->snapshots.t));
  s->snapshots.times.n = n;
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Autocorrelation(FPObservable obs, FPProcess process, PetscReal dt,
                                            const FPParticleOptions *options, FPObserver *observer,
                                            PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;
  FPTraining       training;
  PetscReal        last, beta;
  PetscInt         room;

  PetscFunctionBegin;
  PetscCall(SetUp(obs));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  s->turn               = 0;
  s->fractional         = (PetscBool)(beta < 1);
  last                  = (s->marked ? 2 : 1) * s->course.t[s->course.times.n - 1];
  room                  = ROOM / (PetscMax(1, s->values) * FP_BLOCK) - 4;
  s->every              = PetscMax(1, (PetscInt)PetscCeilReal(last / dt / room));
  s->spacing            = s->every * dt;
  s->length             = (PetscInt)(last / s->spacing + 1e-6) + 4;
  s->samples            = (PetscInt)(options->steps * training.learning_rate / s->spacing + 1e-6) / 2 * 2;
  observer->accumulator = MarkovAt(s, s->marked, 0);
  observer->scratch     = (size_t)((s->length + 2) * s->values + s->weights) * FP_BLOCK;
  observer->every       = s->every;
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  if (!s->fractional) PetscFunctionReturn(0);
  PetscCall(SetSnapshots(s));
  observer->scratch = (size_t)(s->snapshots.times.n * s->values + s->dim + s->weights) * FP_BLOCK;
  observer->every   = 1;
  observer->sample  = SampleAged;
  PetscFunctionReturn(0);
}

/* tau of one f, from its sums. */
static PetscReal IntegratedTime(const Autocorrelation *s, const double acc[], PetscReal variance)
{
  const PetscReal average = acc[AVERAGE] / acc[RUNS], T = s->samples * s->spacing;
  const PetscReal whole  = acc[WHOLE] / acc[RUNS] - average * average;
  const PetscReal halves = acc[HALVES] / acc[RUNS] - average * average;
  const PetscReal tau    = (2 * T * whole - 0.5 * T * halves) / (2 * variance);

  if (s->fractional) return INFINITY;
  return tau * SHORTEST < T ? tau : NAN;
}

/* Parts of the law are those of all particles together, so that leaving out a group moves no edge. */
static PetscErrorCode EvaluateDefects(Autocorrelation *s, PetscInt f, const double sums[], const char name[],
                                      FPQuantities *q)
{
  const PetscBool all = (PetscBool)(s->turn % (1 + FP_GROUPS) == 0);

  PetscFunctionBegin;
  if (!s->part) PetscCall(PetscMalloc1(s->marked * s->course.times.n * FP_MARKOV_LINE, &s->part));
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    short *part = s->part + (f * s->course.times.n + k) * FP_MARKOV_LINE;

    if (s->course.t[k] == 0) continue;
    if (all) FPMarkovDivide(sums + MarkovAt(s, f, k), FP_MARKOV_PARTS, part);
    PetscCall(FPQuantitiesAdd(q, FPMarkovDefect(sums + MarkovAt(s, f, k), part), 0, "1", "markov_defect_%s[t=%s]", name,
                              s->course.times.value[k]));
  }
  PetscFunctionReturn(0);
}

/* What the run is too short for is not a number, which the run says in words. */
static PetscErrorCode Evaluate_Autocorrelation(FPObservable obs, const double sums[], FPQuantities *q)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;

  PetscFunctionBegin;
  for (PetscInt f = 0; f < s->values; f++) {
    const double   *acc  = sums + (size_t)f * PerValue(s);
    const PetscReal mean = acc[SUM] / acc[COUNT], variance = acc[SQUARE] / acc[COUNT] - mean * mean;
    char            name[24];

    PetscCall(ValueName(s, f, name));
    for (PetscInt k = 0; k < s->course.times.n; k++) {
      const double   *pairs   = acc + PRODUCTS + PER_TIME * k;
      const PetscReal product = pairs[PRODUCT] / pairs[PAIRS], both = pairs[FACTORS] / (2 * pairs[PAIRS]);
      const PetscReal scatter = pairs[SQUARES] / (2 * pairs[PAIRS]) - both * both;
      const PetscReal rho     = s->fractional ? (product - both * both) / scatter : (product - mean * mean) / variance;

      PetscCall(FPQuantitiesAdd(q, rho, 0, "1", "%s[t=%s]", name, s->course.times.value[k]));
    }
    PetscCall(FPQuantitiesAdd(q, IntegratedTime(s, acc, variance), 0, "time", "integrated_time_%s", name));
    if (f < s->marked) PetscCall(EvaluateDefects(s, f, sums, name, q));
  }
  s->turn++;
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Autocorrelation(FPObservable obs)
{
  Autocorrelation *s = (Autocorrelation *)obs->data;

  PetscFunctionBegin;
  PetscCall(PetscFree(s->part));
  PetscCall(FPCourseDestroy(&s->snapshots));
  PetscCall(FPCourseDestroy(&s->course));
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

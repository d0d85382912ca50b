/* evolution.c: what a law does on its way from a start to the stationary one. p_t is the law at time t, w the weights,
   m the model's measure (dw = m dz):
     loss = E L, mean, second_moment of the coordinates, mean_p, what other laws of the data say (generalisation.c),
     entropy = - int p_t ln(p_t/m), free_energy = E V - T_g entropy, T_g the Gibbs temperature, so that it falls to
     -T_g ln Z for Langevin dynamics, kl_stationary = KL(p_t || stationary law).
   Generator: p_t = exp(t Q^T) p_0 on every grid. Particles: an ensemble of their own; between two steps expectations
   are interpolated linearly. Entropies of particles are those of probabilities of wide bins (16, 8 x 8, 6 x 6 x 6),
   which the generator gives too: entropy_binned, free_energy_binned. With absorbing faces all is conditional on
   survival. */
#include "course.h"

#define LINE 512              /* bins of p */
#define TURNS (1 + FP_GROUPS) /* evaluations of one simulation: of all groups, then without each of them */

enum { LOSS, POTENTIAL, MOMENTS }; /* rows: loss, V, z[dim], z^2[dim], entries of the end-to-end matrix, judges */
#define MOST_ROWS (MOMENTS + 2 * 3 + FP_MAX_MAP + FP_JUDGES) /* with a mesh */

typedef struct {
  FPCourse   course;
  FPModel    model;
  FPProcess  process;
  FPBins     wide;
  FPJudges   judges;
  PetscBool  mapped, bounded, potential, absorbing;
  PetscInt   dim, weights, nm, rows;
  PetscReal  temperature, dt;
  PetscReal *measure;                              /* [wide.total], of the bins */
  FPProcess  reference;                            /* sgd; NULL: none in this run */
  PetscReal  lower[FP_MAX_MAP], width[FP_MAX_MAP]; /* of the bins of each entry of the end-to-end matrix */
  double    *sgd; /* [TURNS][times][1 + nm*LINE]: count and histograms; NULL: not yet */
  PetscInt   turn;
} Evolution;

static const FPParameter Parameters[] = {FP_COURSE_TIMES, FP_COURSE_START, FP_COURSE_SPREAD, {0}};

static PetscErrorCode SetUpBins(FPObservable obs)
{
  Evolution   *s = (Evolution *)obs->data;
  const FPBox *box;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  FPBinsWiden(&obs->scene.bins, &s->wide);
  PetscCall(PetscFree(s->measure));
  PetscCall(PetscMalloc1(s->wide.total, &s->measure));
  for (PetscInt b = 0; b < s->wide.total; b++) {
    PetscReal lower[3], upper[3];
    PetscInt  rest = b;

    for (PetscInt a = 0; a < s->dim; a++) {
      lower[a] = s->wide.lower[a] + (rest % s->wide.count[a]) * s->wide.width[a];
      upper[a] = lower[a] + s->wide.width[a];
      rest /= s->wide.count[a];
    }
    s->measure[b] = FPModelMeasureBox(s->model, lower, upper);
  }
  s->absorbing = PETSC_FALSE;
  for (PetscInt f = 0; f < 2 * s->dim; f++) s->absorbing = (PetscBool)(s->absorbing || box->face[f] == FP_ABSORBING);
  PetscFunctionReturn(0);
}

/* The first process that is SGD, and the range of p over the corners of the common bins. */
static PetscErrorCode SetUpLine(FPObservable obs)
{
  Evolution    *s    = (Evolution *)obs->data;
  const FPBins *bins = &obs->scene.bins;
  double       *z, *w, *M;
  PetscInt      n = 1;

  PetscFunctionBegin;
  s->reference = NULL;
  for (PetscInt p = 0; p < obs->scene.processes && !s->reference; p++) {
    FPAlgorithm algorithm;

    PetscCall(FPProcessGetAlgorithm(obs->scene.process[p], &algorithm, NULL));
    if (algorithm == FP_SGD) s->reference = obs->scene.process[p];
  }
  for (PetscInt a = 0; a < s->dim; a++) n *= bins->count[a] + 1;
  PetscCall(PetscMalloc3(s->dim * n, &z, s->weights * n, &w, s->nm * n, &M));
  for (PetscInt k = 0; k < n; k++)
    for (PetscInt a = 0, rest = k; a < s->dim; a++) {
      z[a * n + k] = bins->lower[a] + bins->width[a] * (rest % (bins->count[a] + 1));
      rest /= bins->count[a] + 1;
    }
  if (s->nm) FPModelMap(s->model, (int)n, FPWeightsOf(s->model, s->mapped, (int)n, z, w), M);
  for (PetscInt a = 0; a < s->nm; a++) {
    PetscReal least = PETSC_MAX_REAL, most = PETSC_MIN_REAL;

    for (PetscInt k = 0; k < n; k++) {
      least = PetscMin(least, M[a * n + k]);
      most  = PetscMax(most, M[a * n + k]);
    }
    s->lower[a] = least;
    s->width[a] = PetscMax(most - least, 1e-300) / LINE;
  }
  PetscCall(PetscFree3(z, w, M));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(FPObservable obs, FPProcess process)
{
  Evolution *s = (Evolution *)obs->data;
  PetscInt   inputs, targets;

  PetscFunctionBegin;
  s->process = process;
  s->model   = obs->scene.model;
  s->bounded = (PetscBool)(obs->scene.mesh != NULL);
  PetscCall(FPModelGetSizes(s->model, &s->dim, &inputs, &targets));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelHasPotential(s->model, &s->potential));
  PetscCall(FPProcessGetGibbsTemperature(process, &s->temperature));
  PetscCall(FPJudgesSetUp(s->model, &s->judges));
  s->nm   = inputs * targets;
  s->rows = MOMENTS + 2 * s->dim + s->nm + s->judges.rows;
  if (s->bounded) {
    PetscCall(SetUpBins(obs));
    PetscCall(SetUpLine(obs));
  }
  PetscFunctionReturn(0);
}

/* F[rows][n] at z[dim][n]; w[weights][n] is room. */
static void Functions(const Evolution *s, int n, const double *z, double *w, double *F)
{
  const double *weights = FPWeightsOf(s->model, s->mapped, n, z, w);

  FPModelLoss(s->model, n, weights, F + LOSS * n);
  FPModelPotential(s->model, n, weights, F + POTENTIAL * n);
  for (int k = 0; k < s->dim * n; k++) {
    F[MOMENTS * n + k]            = z[k];
    F[(MOMENTS + s->dim) * n + k] = z[k] * z[k];
  }
  if (s->nm) FPModelMap(s->model, n, weights, F + (size_t)(MOMENTS + 2 * s->dim) * n);
  FPJudgesLoss(&s->judges, n, weights, F + LOSS * n, F + (size_t)(MOMENTS + 2 * s->dim + s->nm) * n);
}

/* Linear rows at time k: mean m[rows] with errors e[rows] (NULL: none). */
static PetscErrorCode AddMoments(const Evolution *s, PetscInt k, const PetscReal m[], const PetscReal e[],
                                 FPQuantities *q)
{
  const char    *t = s->course.times.value[k];
  const PetscInt d = s->dim;

  PetscFunctionBegin;
  if (s->nm) PetscCall(FPQuantitiesAdd(q, m[LOSS], e ? e[LOSS] : 0, "loss", "loss[t=%s]", t));
  for (PetscInt i = 0; i < d; i++)
    PetscCall(FPQuantitiesAdd(q, m[MOMENTS + i], e ? e[MOMENTS + i] : 0, "weight", "mean[%d][t=%s]", (int)i, t));
  for (PetscInt i = 0; i < d; i++)
    PetscCall(FPQuantitiesAdd(q, m[MOMENTS + d + i], e ? e[MOMENTS + d + i] : 0, "weight^2", "second_moment[%d][t=%s]",
                              (int)i, t));
  for (PetscInt a = 0; a < s->nm; a++) {
    const PetscInt r = MOMENTS + 2 * d + a;
    char           entry[24];

    PetscCall(FPEntryName(s->model, a, entry));
    PetscCall(FPQuantitiesAdd(q, m[r], e ? e[r] : 0, "1", "mean_%s[t=%s]", entry, t));
  }
  for (PetscInt j = 0; j < s->judges.rows; j++) {
    const PetscInt r = MOMENTS + 2 * d + s->nm + j;

    PetscCall(FPQuantitiesAdd(q, m[r], e ? e[r] : 0, "loss", "%s[t=%s]", s->judges.name[j], t));
  }
  PetscFunctionReturn(0);
}

static PetscReal Entropy(PetscInt n, const PetscReal p[], const PetscReal measure[])
{
  PetscReal S = 0;

  for (PetscInt k = 0; k < n; k++)
    if (p[k] > 0) S -= p[k] * log(p[k] / measure[k]);
  return S;
}

/* Of bins, p[wide.total]. At time 0 a point may lie on the edge of a bin, so nothing is said. */
static PetscErrorCode AddBinned(const Evolution *s, PetscInt k, const PetscReal p[], PetscReal V, PetscReal error,
                                FPQuantities *q)
{
  const PetscInt first = q->n;
  const char    *t     = s->course.times.value[k];
  PetscReal      S;

  PetscFunctionBegin;
  if (s->course.t[k] == 0) PetscFunctionReturn(0);
  S = Entropy(s->wide.total, p, s->measure);
  PetscCall(FPQuantitiesAdd(q, S, error, "nat", "entropy_binned[t=%s]", t));
  if (s->potential && s->temperature > 0)
    PetscCall(
        FPQuantitiesAdd(q, V - s->temperature * S, s->temperature * error, "loss", "free_energy_binned[t=%s]", t));
  FPQuantitiesSetSmoothness(q, first, FP_ROUGH, 0);
  PetscFunctionReturn(0);
}

/* Of the law on the cells. A change of probabilities by error changes an entropy by about error (1 + ln(1/error)). */
static PetscErrorCode AddEntropies(const Evolution *s, FPGenerator gen, PetscInt k, const PetscReal p[], PetscReal V,
                                   PetscReal error, FPQuantities *q)
{
  const PetscReal *measure, *pi;
  const PetscInt   first = q->n;
  const char      *t     = s->course.times.value[k];
  PetscReal        kl    = 0, S;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, &measure, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  S = Entropy(n, p, measure);
  for (PetscInt l = 0; l < n; l++)
    if (p[l] > 0 && pi[l] > 0) kl += p[l] * log(p[l] / pi[l]);
  PetscCall(FPQuantitiesAdd(q, S, error, "nat", "entropy[t=%s]", t));
  if (s->potential && s->temperature > 0)
    PetscCall(FPQuantitiesAdd(q, V - s->temperature * S, s->temperature * error, "loss", "free_energy[t=%s]", t));
  PetscCall(FPQuantitiesAdd(q, kl, error, "nat", "kl_stationary[t=%s]", t));
  FPQuantitiesSetSmoothness(q, first, FP_OF_CELLS, 0);
  PetscFunctionReturn(0);
}

/* All rows at time k of the law p on the cells; p is made conditional on survival. F[rows][n]. */
static PetscErrorCode AddTime(const Evolution *s, FPGenerator gen, PetscInt n, PetscInt k, const PetscReal F[],
                              PetscReal p[], PetscReal error, FPQuantities *q)
{
  const PetscReal loose = error * (1 - log(PetscMax(error, 1e-17))) + 1e-13;
  const PetscBool point = (PetscBool)(s->course.t[k] == 0 && s->course.spread == 0);
  FPGeneratorInfo info;
  PetscReal       mass, m[MOST_ROWS], e[MOST_ROWS], *binned;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  FPCourseSurvivors(gen, p, &mass);
  if (s->absorbing) PetscCall(FPQuantitiesAdd(q, mass, error, "1", "survival[t=%s]", s->course.times.value[k]));
  for (PetscInt r = 0; r < s->rows; r++) FPCourseMean(n, p, F + (size_t)r * n, error / mass, &m[r], &e[r]);
  for (PetscInt i = 0; i < 2 * s->dim; i++) /* coordinates that the law holds at 0 are rounded like the box */
    e[MOMENTS + i] += 1e-15 * s->wide.width[i % s->dim] * s->wide.count[i % s->dim];
  PetscCall(AddMoments(s, k, m, e, q));
  if (info.order == 0) PetscFunctionReturn(0); /* no law on cells */
  if (!info.degenerate && !point) PetscCall(AddEntropies(s, gen, k, p, m[POTENTIAL], loose, q));
  PetscCall(PetscMalloc1(s->wide.total, &binned));
  PetscCall(FPBinsAggregate(&s->wide, gen, 1, p, binned));
  PetscCall(AddBinned(s, k, binned, m[POTENTIAL], loose, q));
  PetscCall(PetscFree(binned));
  PetscFunctionReturn(0);
}

/* Why rows are missing, once for all times. */
static PetscErrorCode AddReasons(FPObservable obs, const char engine[], PetscBool degenerate)
{
  const Evolution *s         = (const Evolution *)obs->data;
  const PetscBool  particles = (PetscBool)!strcmp(engine, "particles");
  const char      *none      = NULL;

  PetscFunctionBegin;
  if (degenerate)
    PetscCall(FPObservableMissing(obs, s->process, engine, "kl_stationary", "singular",
                                  "D is rank-deficient: the law has no density, its entropy is minus infinity"));
  else if (!particles && s->course.t[0] == 0 && s->course.spread == 0)
    PetscCall(FPObservableMissing(obs, s->process, engine, "entropy[t=0]", "singular", "a point has no density"));
  if (particles)
    PetscCall(FPObservableMissing(obs, s->process, engine, "kl_stationary", "unsupported",
                                  "particles on their way know no stationary law; compare entropy_binned"));
  if (particles && s->nm && s->process != s->reference && !s->sgd)
    PetscCall(FPObservableMissing(obs, s->process, engine, "w1_p_sgd", "unsupported",
                                  !s->bounded
                                      ? "laws of p are compared on bins of a box: give mesh_lower and mesh_upper"
                                  : s->reference ? "distances are taken from the particles of sgd: list sgd first"
                                                 : "no process of this run is sgd"));
  if (!s->potential)
    none = "the model has no potential";
  else if (s->temperature <= 0)
    none = "the process has no Gaussian noise at the minimum, so no temperature belongs to it";
  else if (!s->bounded)
    none = "entropies of particles are those of bins of a box: give mesh_lower and mesh_upper";
  if (none)
    PetscCall(FPObservableMissing(obs, s->process, engine, particles ? "free_energy_binned" : "free_energy",
                                  "undefined", none));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddAllTimes(const Evolution *s, FPGenerator gen, const PetscReal law[], FPQuantities *q)
{
  const PetscInt   times = s->course.times.n;
  const PetscReal *z;
  PetscReal       *p, *error, *F, *w;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(PetscMalloc4((size_t)times * n, &p, times, &error, (size_t)s->rows * n, &F, (size_t)s->weights * n, &w));
  PetscCall(FPCourseEvolve(&s->course, gen, law, p, error));
  Functions(s, (int)n, z, w, F);
  for (PetscInt k = 0; k < times; k++) PetscCall(AddTime(s, gen, n, k, F, p + (size_t)k * n, error[k], q));
  PetscCall(PetscFree4(p, error, F, w));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Evolution(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Evolution      *s = (Evolution *)obs->data;
  FPGeneratorInfo info;
  FPProcess       process;
  PetscReal      *law, missing;
  PetscInt        n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(SetUp(obs, process));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &law));
  PetscCall(FPCourseLaw(&s->course, gen, law, &missing));
  if (missing < FP_COURSE_MISSING) {
    PetscCall(AddAllTimes(s, gen, law, q));
    if (finest && info.order > 0) PetscCall(AddReasons(obs, FPGeneratorEngine(gen), info.degenerate));
    if (finest && info.order == 0)
      PetscCall(FPObservableMissingOn(obs, gen, "kl_stationary", "unsupported",
                                      "Chebyshev points know means of smooth functions, not laws on cells: "
                                      "transfer_scheme: local has entropies"));
  } else if (finest)
    PetscCall(FPObservableMissingOn(obs, gen, "loss", "unsupported", FP_COURSE_NOWHERE));
  PetscCall(PetscFree(law));
  PetscFunctionReturn(0);
}

static size_t PerTime(const Evolution *s)
{
  return (size_t)(1 + s->rows + (s->bounded ? s->wide.total + s->nm * LINE : 0)); /* count, rows, bins, lines */
}

static void Add(const Evolution *s, const double *z, double weight, double *scratch, double *acc)
{
  double *w = scratch, *F = w + s->weights * FP_BLOCK;

  Functions(s, FP_BLOCK, z, w, F);
  acc[0] += weight * FP_BLOCK;
  for (PetscInt r = 0; r < s->rows; r++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) acc[1 + r] += weight * F[r * FP_BLOCK + l];
  for (PetscInt l = 0; l < FP_BLOCK && s->bounded; l++)
    acc[1 + s->rows + FPBinsIndex(&s->wide, z + l, FP_BLOCK)] += weight;
  for (PetscInt a = 0; a < s->nm && s->bounded; a++) {
    const double *M    = F + (MOMENTS + 2 * s->dim + a) * FP_BLOCK;
    double       *line = acc + 1 + s->rows + s->wide.total + a * LINE;

    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      const double at = (M[l] - s->lower[a]) / s->width[a];

      line[at <= 0 ? 0 : at >= LINE - 1 ? LINE - 1 : (PetscInt)at] += weight;
    }
  }
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Evolution *s = (const Evolution *)context;
  PetscInt         first, due = FPCourseDue(&s->course, move->step, s->dt, &first);

  for (PetscInt k = first; k < first + due; k++) {
    const PetscReal f = FPCourseFraction(s->course.t[k], move->step, s->dt);

    if (f < 1) Add(s, move->before, 1 - f, scratch, acc + (size_t)k * PerTime(s));
    if (f > 0) Add(s, move->after, f, scratch, acc + (size_t)k * PerTime(s));
  }
}

static PetscErrorCode Begin_Evolution(FPObservable obs, FPProcess process, PetscReal dt,
                                      const FPParticleOptions *options, FPObserver *observer, FPEnsemble *ensemble,
                                      PetscBool *used)
{
  Evolution *s = (Evolution *)obs->data;

  PetscFunctionBegin;
  PetscCall(SetUp(obs, process));
  s->dt                 = dt;
  s->turn               = 0;
  observer->accumulator = (size_t)s->course.times.n * PerTime(s);
  observer->scratch     = (size_t)(s->weights + s->rows) * FP_BLOCK;
  observer->every       = 1;
  observer->sample      = Sample;
  observer->context     = s;
  PetscCall(FPCourseEnsemble(&s->course, &obs->scene, options, ensemble));
  *used = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Distances of the lines of one time, acc, to those of sgd: both start with the count. noise: what it is
   expected to be of equal laws. */
static void Distance(const Evolution *s, PetscInt a, const double acc[], const double sgd[], PetscReal *w1,
                     PetscReal *noise)
{
  const double *p = acc + 1 + s->rows + s->wide.total + a * LINE, *q = sgd + 1 + a * LINE;
  double        F = 0, G = 0;

  *w1 = *noise = 0;
  for (PetscInt b = 0; b < LINE - 1; b++) {
    F += p[b] / acc[0];
    G += q[b] / sgd[0];
    *w1 += s->width[a] * PetscAbsReal(F - G);
    *noise += s->width[a] *
              PetscSqrtReal(2 / PETSC_PI * (PetscMax(0, F * (1 - F)) / acc[0] + PetscMax(0, G * (1 - G)) / sgd[0]));
  }
}

/* Keep the lines of SGD, turn by turn, and take distances from them. */
static PetscErrorCode AddDistances(Evolution *s, PetscInt k, const double acc[], FPQuantities *q)
{
  const size_t kept = (size_t)(1 + s->nm * LINE), times = (size_t)s->course.times.n;
  double      *sgd;

  PetscFunctionBegin;
  if (s->process == s->reference && !s->sgd) PetscCall(PetscMalloc1(TURNS * times * kept, &s->sgd));
  if (!s->sgd) PetscFunctionReturn(0);
  sgd = s->sgd + ((size_t)(s->turn % TURNS) * times + (size_t)k) * kept;
  if (s->process == s->reference) {
    sgd[0] = acc[0];
    PetscCall(PetscArraycpy(sgd + 1, acc + 1 + s->rows + s->wide.total, s->nm * LINE));
    PetscFunctionReturn(0);
  }
  for (PetscInt a = 0; a < s->nm; a++) {
    PetscReal w1, noise;
    char      entry[24];

    PetscCall(FPEntryName(s->model, a, entry));
    Distance(s, a, acc, sgd, &w1, &noise);
    PetscCall(FPQuantitiesAdd(q, w1, 0, "1", "w1_%s_sgd[t=%s]", entry, s->course.times.value[k]));
    PetscCall(FPQuantitiesAdd(q, noise, 0, "1", "~w1_%s_sgd[t=%s]", entry, s->course.times.value[k]));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Evolution(FPObservable obs, const double sums[], FPQuantities *q)
{
  Evolution *s = (Evolution *)obs->data;
  PetscReal *m;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(PerTime(s), &m));
  for (PetscInt k = 0; k < s->course.times.n; k++) {
    const double *acc = sums + (size_t)k * PerTime(s);

    for (size_t r = 1; r < PerTime(s); r++) m[r] = acc[r] / acc[0];
    PetscCall(AddMoments(s, k, m + 1, NULL, q));
    if (s->bounded) PetscCall(AddBinned(s, k, m + 1 + s->rows, m[1 + POTENTIAL], 0, q));
    if (s->bounded && s->nm) PetscCall(AddDistances(s, k, acc, q));
  }
  s->turn++;
  PetscCall(PetscFree(m));
  PetscFunctionReturn(0);
}

static PetscErrorCode Fields_Evolution(FPObservable obs, PETSC_UNUSED const double sums[])
{
  PetscFunctionBegin;
  PetscCall(AddReasons(obs, "particles", PETSC_FALSE));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Evolution(FPObservable obs)
{
  Evolution *s = (Evolution *)obs->data;

  PetscFunctionBegin;
  PetscCall(PetscFree(s->measure));
  PetscCall(PetscFree(s->sgd));
  PetscCall(FPCourseDestroy(&s->course));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Evolution(FPObservable obs)
{
  Evolution *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = FPCourseReadStarted,
                                      .generator = Generator_Evolution,
                                      .begin     = Begin_Evolution,
                                      .evaluate  = Evaluate_Evolution,
                                      .fields    = Fields_Evolution,
                                      .destroy   = Destroy_Evolution};
  PetscFunctionReturn(0);
}

/* tails.c: how heavy tails look. Hill's estimator H = (1/k) sum_{i<=k} ln(X_i/X_{k+1}) of the k largest of n numbers
   goes to 1/alpha for a tail P(X > x) ~ x^-alpha and to 0 for lighter ones, slowly: at any k it has an expectation of
   its own. What is estimated here, for each share k/n, is h(q) = E[ln(X/t) | X > t] with P(X > t) = q = k/n, the
   expectation of H up to O(1/n), which the jackknife removes; a value that stays put over k speaks for a power law.
     hill_gradient: X = |g - E g| of one sample's gradient at a point (of sgd). Products of normals look heavy at every
   k that can be afforded: at the minimum of a chain with label noise X is |x y|, whose tail is exponential.
     hill_w: X = |z - center| at the end of the stationary run, one per particle. tail_index: what its inverse
   goes to far out, exactly, of one weight (tail_index.c).
     hill_normal: h(q) of the modulus of a normal variable, exactly, to see what a light tail looks like.
     stable_alpha_gradient, stable_misfit_gradient, stable_pvalue_gradient: the symmetric stable law nearest to the
   same noise along its largest principal axis, Kolmogorov's distance from it and the probability of one as large if
   that law were true (an upper bound, as its parameters are fitted). stable_alpha_product, stable_misfit_product: the
   same of the product of two normal numbers, exactly: an index well below 2 from a law with exponential tails.
     heavy_tails_warranted: 1 if a stable law of index below 2, by three standard errors, is not refuted at 1 per cent
   by the sample of stated size; else 0. An index below 2 alone, Hill's or this, warrants nothing.
   X is kept as counts and sums of ln X in bins of ln X, 1/32 wide; in the bin of t a power law joins the counts of its
   edges. So h is a smooth function of sums over particles, as a jackknife needs; an order statistic is none. */
#include "observableimpl.h"
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_integration.h>
#include <stdio.h>

#define BINS (FP_HILL_SIZE / 2)
#define PER_UNIT 32
#define LOWEST (-(BINS / PER_UNIT) / 2) /* ln x of bin 0 */
#define BLOCKS 64                       /* of gradients per group */
#define REFUTED 0.01

typedef struct {
  FPReals   k;
  FPStrings at, center;
  PetscReal point[FP_MAX_DIM], middle[FP_MAX_DIM];
  PetscBool pointed, centered;
  PetscInt  dim, count;
} Tails;

static const FPParameter Parameters[] = {
    {"k", FP_REALS, offsetof(Tails, k), "0.005,0.01,0.02,0.05,0.1", 1e-3, 0.5, NULL, NULL,
     "shares of the largest numbers, ascending"},
    {"at", FP_STRINGS, offsetof(Tails, at), NULL, 0, 0, NULL, "weight",
     "where gradients are drawn: coordinates, or the name of a critical point; default: the first one"},
    {"center", FP_STRINGS, offsetof(Tails, center), NULL, 0, 0, NULL, "weight",
     "what distances of weights are from: coordinates, or the name of a critical point; default: the first one"},
    {0}};

void FPHillAdd(double histogram[FP_HILL_SIZE], PetscReal x)
{
  const PetscReal y = x > 0 ? PetscClipInterval(log(x), LOWEST, -LOWEST) : LOWEST;
  const PetscInt  b = PetscMin((PetscInt)((y - LOWEST) * PER_UNIT), BINS - 1);

  histogram[b] += 1;
  histogram[BINS + b] += y;
}

PetscReal FPHill(const double histogram[FP_HILL_SIZE], PetscReal share)
{
  const PetscReal width = 1.0 / PER_UNIT;
  PetscReal       total = 0, wanted, above = 0, excess = 0; /* of ln x over the edge, summed over all above it */

  for (PetscInt b = 0; b < BINS; b++) total += histogram[b];
  wanted = share * total;
  for (PetscInt b = BINS - 1; b > 0; b--) {
    const PetscReal count = histogram[b];

    if (above + count >= wanted) {
      const PetscReal part = wanted - above;

      if (above == 0) return 0.5 * width * part / count; /* evenly spread in the bin */
      return (excess + (part > 0 ? width * part / log1p(count / above) : 0)) / wanted;
    }
    excess += above * width + histogram[BINS + b] - count * (LOWEST + b * width);
    above += count;
  }
  return NAN;
}

/* ln of the quantile of |x|, x normal, exceeded with probability exp(-y) share */
static double LogQuantile(double y, void *context)
{
  return exp(-y) * log(gsl_cdf_ugaussian_Qinv(0.5 * exp(-y) * *(const double *)context));
}

/* h(q) = int_0^1 ln Q(q u) du - ln Q(q), Q the quantile function, u = exp(-y). */
PetscErrorCode FPHillNormal(PetscReal share, PetscReal *value, PetscReal *error)
{
  gsl_integration_workspace *room = gsl_integration_workspace_alloc(200);
  gsl_function               f    = {.function = LogQuantile, .params = &share};
  int                        status;

  PetscFunctionBegin;
  status = gsl_integration_qag(&f, 0, 36, 1e-12, 1e-12, 200, GSL_INTEG_GAUSS31, room, value, error);
  gsl_integration_workspace_free(room);
  PetscCheck(status == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "GSL's qag returned %d", status);
  *value -= log(gsl_cdf_ugaussian_Qinv(0.5 * share));
  *error += 1e-12;
  PetscFunctionReturn(0);
}

static PetscErrorCode Read_Tails(FPObservable obs, FPConfig config, FPModel model, PETSC_UNUSED FPMesh mesh,
                                 PETSC_UNUSED PetscBool wanted)
{
  Tails                 *s = (Tails *)obs->data;
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &s->dim, NULL, NULL));
  for (PetscInt i = 1; i < s->k.n; i++)
    FPInputCheck(s->k.value[i] > s->k.value[i - 1], "tails_k: %g after %g; ascending shares are accepted",
                 (double)s->k.value[i], (double)s->k.value[i - 1]);
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  s->pointed = s->centered = (PetscBool)(count > 0);
  if (count > 0) {
    PetscCall(PetscArraycpy(s->point, points[0].z, s->dim));
    PetscCall(PetscArraycpy(s->middle, points[0].z, s->dim));
  }
  if (s->at.n > 0) {
    PetscCall(FPPointRead(config, "tails_at", &s->at, model, s->point));
    s->pointed = PETSC_TRUE;
  }
  if (s->center.n > 0) {
    PetscCall(FPPointRead(config, "tails_center", &s->center, model, s->middle));
    s->centered = PETSC_TRUE;
  }
  PetscFunctionReturn(0);
}

static void Label(char name[FP_NAME], const char what[], PetscReal share, PetscInt n)
{
  (void)snprintf(name, FP_NAME, "hill_%s[k=%d][n=%d]", what, (int)(share * n + 0.5), (int)n);
}

typedef struct {
  PetscReal mean[FP_MAX_DIM], axis[FP_MAX_DIM]; /* axis: over the standard deviation along it; 0: no noise */
  double   *histogram, *fit;
} Gradients;

static void AddGradients(void *context, PetscInt d, const double *g)
{
  Gradients *s = (Gradients *)context;

  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    PetscReal square = 0, along = 0;

    for (PetscInt i = 0; i < d; i++) {
      square += PetscSqr(g[i * FP_BLOCK + l] - s->mean[i]);
      along += s->axis[i] * (g[i * FP_BLOCK + l] - s->mean[i]);
    }
    FPHillAdd(s->histogram, PetscSqrtReal(square));
    FPStableFitAdd(s->fit, along);
  }
}

/* Jackknife over groups; rows of process sgd. */
static PetscErrorCode AddGradientRow(FPObservable obs, const double *groups, PetscReal share)
{
  PetscReal left[FP_GROUPS], all, mean = 0, square = 0;
  double   *sum, *rest;
  char      name[FP_NAME];

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(FP_HILL_SIZE, &sum, FP_HILL_SIZE, &rest));
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (PetscInt b = 0; b < FP_HILL_SIZE; b++) sum[b] += groups[(size_t)g * FP_HILL_SIZE + b];
  all = FPHill(sum, share);
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (PetscInt b = 0; b < FP_HILL_SIZE; b++) rest[b] = sum[b] - groups[(size_t)g * FP_HILL_SIZE + b];
    left[g] = FPHill(rest, share);
    mean += left[g] / FP_GROUPS;
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) square += PetscSqr(left[g] - mean);
  Label(name, "gradient", share, FP_GROUPS * BLOCKS * FP_BLOCK);
  if (isfinite(square))
    PetscCall(FPResultsAdd(obs->scene.results, "sgd", "particles", obs->name, name,
                           FP_GROUPS * all - (FP_GROUPS - 1) * mean,
                           PetscSqrtReal(square * (FP_GROUPS - 1) / FP_GROUPS), FP_STANDARD, "1"));
  else
    PetscCall(FPResultsAddStatus(obs->scene.results, "sgd", "particles", obs->name, name, "undefined",
                                 "the gradient noise vanishes there"));
  PetscCall(PetscFree2(sum, rest));
  PetscFunctionReturn(0);
}

/* Largest principal axis of the covariance C[d][d] over the root of its eigenvalue, by powers of C. */
static void PrincipalAxis(PetscInt d, const PetscReal C[], PetscReal axis[])
{
  PetscReal next[FP_MAX_DIM], value = 0;
  PetscInt  largest = 0;

  for (PetscInt i = 1; i < d; i++)
    if (C[i * d + i] > C[largest * d + largest]) largest = i;
  for (PetscInt i = 0; i < d; i++) axis[i] = C[i * d + largest];
  for (int step = 0; step < 1000; step++) {
    PetscReal square = 0;

    for (PetscInt i = 0; i < d; i++) square += PetscSqr(axis[i]);
    if (!(square > 0)) return;
    for (PetscInt i = 0; i < d; i++) axis[i] /= PetscSqrtReal(square);
    value = 0;
    for (PetscInt i = 0; i < d; i++) {
      next[i] = 0;
      for (PetscInt j = 0; j < d; j++) next[i] += C[i * d + j] * axis[j];
      value += axis[i] * next[i];
    }
    if (step < 999) (void)PetscArraycpy(axis, next, d);
  }
  for (PetscInt i = 0; i < d; i++) axis[i] /= PetscSqrtReal(value);
}

/* Rows of the stable fit, by a jackknife over groups; heavy: is it warranted? */
static PetscErrorCode AddFitRows(FPObservable obs, const double *groups)
{
  const PetscReal n = FP_GROUPS * BLOCKS * FP_BLOCK;
  FPResults       r = obs->scene.results;
  FPStableFit     all, left;
  PetscReal       p, slope = 0, misfit = 0, square[2] = {0}, error[2], at[FP_GROUPS][2];
  double         *sum, *rest;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(FP_FIT_SIZE, &sum, FP_FIT_SIZE, &rest));
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (PetscInt b = 0; b < FP_FIT_SIZE; b++) sum[b] += groups[(size_t)g * FP_FIT_SIZE + b];
  FPStableFitHistogram(sum, &all);
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (PetscInt b = 0; b < FP_FIT_SIZE; b++) rest[b] = sum[b] - groups[(size_t)g * FP_FIT_SIZE + b];
    FPStableFitHistogram(rest, &left);
    slope += (at[g][0] = left.slope) / FP_GROUPS;
    misfit += (at[g][1] = left.misfit) / FP_GROUPS;
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    square[0] += PetscSqr(at[g][0] - slope);
    square[1] += PetscSqr(at[g][1] - misfit);
  }
  for (int k = 0; k < 2; k++) error[k] = PetscSqrtReal(square[k] * (FP_GROUPS - 1) / FP_GROUPS);
  p = FPKolmogorov(n, all.misfit);
  PetscCall(
      FPResultsAdd(r, "sgd", "particles", obs->name, "stable_alpha_gradient", all.alpha, error[0], FP_STANDARD, "1"));
  /* of n numbers the distance from their own law is about 0.87 n^-1/2 */
  PetscCall(FPResultsAdd(r, "sgd", "particles", obs->name, "stable_misfit_gradient", all.misfit,
                         hypot(error[1], 0.87 / PetscSqrtReal(n)), FP_STANDARD, "1"));
  PetscCall(FPResultsAdd(r, "sgd", "particles", obs->name, "stable_pvalue_gradient", p / 2, p / 2, FP_BOUND, "1"));
  PetscCall(FPResultsAdd(r, "sgd", "particles", obs->name, "heavy_tails_warranted",
                         p > REFUTED && all.slope < 2 - 3 * error[0], 0, FP_BOUND, "1"));
  PetscCall(PetscFree2(sum, rest));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddProductRows(FPObservable obs)
{
  FPStableFit product;

  PetscFunctionBegin;
  FPStableFitProduct(&product);
  PetscCall(FPResultsAdd(obs->scene.results, "sgd", "exact", obs->name, "stable_alpha_product", product.alpha, 1e-9,
                         FP_BOUND, "1"));
  PetscCall(FPResultsAdd(obs->scene.results, "sgd", "exact", obs->name, "stable_misfit_product", product.misfit, 1e-4,
                         FP_BOUND, "1"));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddGradientRows(FPObservable obs)
{
  const Tails *s     = (const Tails *)obs->data;
  FPModel      model = obs->scene.model;
  Gradients    drawn = {.histogram = NULL};
  FPTraining   training;
  PetscReal    w[FP_MAX_DIM], *C;
  PetscBool    mapped, noisy;
  PetscInt     weights;
  double      *groups, *fits;

  PetscFunctionBegin;
  PetscCall(FPModelGetParent(model, &mapped, &weights));
  PetscCall(FPProcessGetTraining(obs->scene.process[0], &training));
  PetscCall(PetscArraycpy(w, s->point, s->dim));
  if (mapped) FPModelLift(model, 1, s->point, w);
  FPModelGradient(model, 1, w, drawn.mean);
  for (PetscInt i = 0; i < weights; i++) drawn.mean[i] -= training.weight_decay * w[i];
  C = FPScratchTake((size_t)(weights * weights));
  FPModelCovariance(model, 1, w, C);
  PrincipalAxis(weights, C, drawn.axis);
  FPScratchRelease(C);
  PetscCall(PetscCalloc2((size_t)FP_GROUPS * FP_HILL_SIZE, &groups, (size_t)FP_GROUPS * FP_FIT_SIZE, &fits));
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    drawn.histogram = groups + (size_t)g * FP_HILL_SIZE;
    drawn.fit       = fits + (size_t)g * FP_FIT_SIZE;
    PetscCall(FPGradientsDraw(model, w, g, BLOCKS, AddGradients, &drawn));
  }
  for (PetscInt i = 0; i < s->k.n; i++) PetscCall(AddGradientRow(obs, groups, s->k.value[i]));
  noisy = PETSC_FALSE;
  for (PetscInt i = 0; i < weights; i++) noisy = (PetscBool)(noisy || drawn.axis[i] != 0);
  if (noisy) PetscCall(AddFitRows(obs, fits));
  PetscCall(PetscFree2(groups, fits));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Tails(FPObservable obs)
{
  const Tails   *s     = (const Tails *)obs->data;
  const FPScene *scene = &obs->scene;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < scene->processes; p++) {
    FPAlgorithm algorithm;
    PetscReal   index, error;
    const char *name;

    PetscCall(FPProcessGetName(scene->process[p], &name));
    PetscCall(FPProcessGetAlgorithm(scene->process[p], &algorithm, NULL));
    PetscCall(FPTailIndex(scene->process[p], scene->model, &index, &error));
    if (index > 0)
      PetscCall(FPResultsAdd(scene->results, name, "exact", obs->name, "tail_index", index, error, FP_BOUND, "1"));
    if (algorithm == FP_SDE ? scene->use_generator : scene->use_transfer)
      PetscCall(FPObservableMissing(obs, scene->process[p], algorithm == FP_SDE ? "generator" : "transfer", "hill_w",
                                    "unsupported", "a grid ends where its box does: its law has no tails"));
    if (scene->use_particles && !s->centered)
      PetscCall(FPObservableMissing(obs, scene->process[p], "particles", "hill_w", "undefined",
                                    "the potential has no critical point: give tails_center"));
  }
  for (PetscInt i = 0; i < s->k.n; i++) {
    PetscReal value, error;
    char      name[FP_NAME];

    PetscCall(FPHillNormal(s->k.value[i], &value, &error));
    (void)snprintf(name, sizeof(name), "hill_normal[k/n=%g]", (double)s->k.value[i]);
    PetscCall(FPResultsAdd(obs->scene.results, "sgd", "exact", obs->name, name, value, error, FP_BOUND, "1"));
  }
  PetscCall(AddProductRows(obs));
  if (!scene->use_particles) PetscFunctionReturn(0);
  if (s->pointed)
    PetscCall(AddGradientRows(obs));
  else
    PetscCall(FPResultsAddStatus(obs->scene.results, "sgd", "particles", obs->name, "hill_gradient", "undefined",
                                 "the potential has no critical point: give tails_at"));
  PetscFunctionReturn(0);
}

static void Sample(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const Tails *s = (const Tails *)context;

  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    PetscReal square = 0;

    for (PetscInt a = 0; a < s->dim; a++) square += PetscSqr(move->after[a * FP_BLOCK + l] - s->middle[a]);
    FPHillAdd(acc, PetscSqrtReal(square));
  }
}

static PetscErrorCode Begin_Tails(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                                  FPObserver *observer, PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  Tails     *s = (Tails *)obs->data;
  FPTraining training;

  PetscFunctionBegin;
  *used = s->centered;
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPParticlesCount(options, &s->count));
  observer->accumulator = FP_HILL_SIZE;
  observer->every       = FPStepsOf(options->steps * training.learning_rate, dt);
  observer->sample      = Sample;
  observer->context     = s;
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Tails(FPObservable obs, const double sums[], FPQuantities *q)
{
  const Tails *s = (const Tails *)obs->data;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < s->k.n; i++) {
    char name[FP_NAME];

    Label(name, "w", s->k.value[i], s->count);
    PetscCall(FPQuantitiesAdd(q, FPHill(sums, s->k.value[i]), 0, "1", "%s", name));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Tails(FPObservable obs)
{
  Tails *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = Parameters;
  obs->ops =
      (FPObservableOps){.read = Read_Tails, .exact = Exact_Tails, .begin = Begin_Tails, .evaluate = Evaluate_Tails};
  PetscFunctionReturn(0);
}

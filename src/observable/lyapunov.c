/* lyapunov.c: exponents per unit time of small differences: at critical points, exactly, and along the orbit.
   exponent_at[NAME][k], descending, is the exponent of one direction at a point that the process never leaves, and
   exponent_at[NAME] the largest of those that are not flat (of all, where all are flat). Particles have the largest, of
   SGD and SVAG on every model (lyapunov_still.c). Chains: at the origin of depth
   2 a = w1 + w2 and b = w1 - w2 are multiplied by 1 - eta decay +- eta U, U the batch mean of x y, so SGD has E ln |1 -
   eta decay +- eta U|/eta; deeper origins only by 1 - eta decay; a minimum of zero loss by 1 - eta |grad p|^2 X, X the
   batch mean of x^2, along grad p and by 1 across. An SDE dz = k z dt + sqrt(c) z dB has k - c/2. GD has ln |1 - eta
   h|/eta for each Hessian eigenvalue h, of every model. Where the noise does not vanish there is no exponent at a
   point; SDEs in the plane have one wherever it does (lyapunov_point.c). exponent_orbit, the largest one along the
   orbit, is in lyapunov_orbit.c and lyapunov_generator.c. Exact, L = 2, no decay: the SDE's saddle attracts (exponent <
   0) for eta > 2 P B/(2 s P^2 + sigma^2), with the modified drift for eta > 2 P B/(s P^2 (2 + B) + sigma^2); SGD
   without label noise never collapses. Source: Chen, Kunin, Yamamura and Ganguli, arXiv:2306.04251 (the criterion for
   SDEs); the discrete ones are expectations of products of independent factors (Furstenberg and Kesten, Ann. Math.
   Statist. 31 (1960)). */
#include "lyapunovimpl.h"
#include <math.h>

#define FLAT 1e-9 /* of the largest curvature */
#define MOVES "the gradient noise does not vanish there, so the process does not stay"
#define TO_ZERO "one step maps the direction to zero with positive probability: minus infinity"

/* One direction at a point: SGD multiplies it by 1 - eta decay + eta slope U per step; flat: slope 0. */
typedef struct {
  PetscInt  n;
  PetscBool squares; /* U is the batch mean of x^2, else of x y */
  PetscReal slope[FP_MAX_DIM];
} Directions;

typedef struct {
  FPProcess   process;
  FPModel     model;
  const char *name, *type, *coordinates, *drift, *noise;
  FPAlgorithm algorithm;
  FPTraining  training;
  PetscInt    dim, depth;
} Subject;

static PetscErrorCode Study(FPProcess process, FPModel model, Subject *s)
{
  PetscReal metric;

  PetscFunctionBegin;
  s->process = process;
  s->model   = model;
  PetscCall(FPProcessGetName(s->process, &s->name));
  PetscCall(FPProcessGetAlgorithm(s->process, &s->algorithm, NULL));
  PetscCall(FPProcessGetTraining(s->process, &s->training));
  PetscCall(FPProcessGetAxes(s->process, &s->drift, &s->noise));
  PetscCall(FPModelGetName(s->model, &s->type, &s->coordinates));
  PetscCall(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
  PetscCall(FPModelGetMetric(s->model, &metric));
  s->depth = strcmp(s->coordinates, "balanced") ? s->dim : (PetscInt)lround(1 / metric);
  PetscFunctionReturn(0);
}

/* How one step of SGD on a chain multiplies small differences at the point; *reason: why it does more than that. */
static PetscErrorCode ChainDirections(const Subject *s, const FPCriticalPoint *point, Directions *d,
                                      const char **reason)
{
  const PetscBool balanced = (PetscBool)!strcmp(s->coordinates, "balanced");
  PetscReal       floor, scale = 0, norm = 0, J[FP_MAX_DIM], loss;

  PetscFunctionBegin;
  *reason = NULL;
  for (PetscInt i = 0; i < s->dim; i++) scale = PetscMax(scale, PetscAbsReal(point->z[i]));
  *d = (Directions){.n = s->dim, .squares = PETSC_TRUE};
  PetscCall(FPModelGetLossFloor(s->model, &floor));
  FPModelLoss(s->model, 1, point->z, &loss);
  FPModelJacobian(s->model, 1, point->z, J);
  for (PetscInt i = 0; i < s->dim; i++) norm += J[i] * J[i];
  if (s->depth == 1) { /* an affine map: its slope is the same everywhere */
    d->slope[0] = -1;
  } else if (scale == 0 && s->depth == 2) {
    d->squares  = PETSC_FALSE;
    d->slope[0] = 1;
    if (!balanced) d->slope[1] = -1;
  } else if (scale > 0 && s->training.weight_decay == 0 && loss + floor < 1e-14) {
    d->slope[0] = -norm / (balanced ? s->depth : 1);
  } else if (scale > 0) {
    *reason = MOVES;
  }
  PetscFunctionReturn(0);
}

/* Whether the SDE has noise: seen at a point where it does not happen to vanish. */
static PetscBool Noisy(const Subject *s)
{
  double  z[FP_MAX_DIM], diffusion = 0;
  double *D = FPScratchTake((size_t)(s->dim * s->dim));

  for (PetscInt i = 0; i < s->dim; i++) z[i] = 0.37 + 0.11 * i;
  FPProcessDiffusion(s->process, 1, z, D);
  for (PetscInt i = 0; i < s->dim; i++) diffusion += D[i * (s->dim + 1)];
  FPScratchRelease(D);
  return (PetscBool)(diffusion > 0);
}

/* Exponent of dz = k z dt + sqrt(c) z dB, and of the modified equations of SGD with that mean and variance: those of
   the linear parts at the point, k - eta k^2/2 - c/2 and then + eta^2 k^3/3 + eta k c. */
static PetscReal Refine(const Subject *s, PetscReal k, PetscReal c)
{
  const PetscReal eta = s->training.learning_rate;

  if (!strcmp(s->drift, "gradient")) return k - 0.5 * c;
  if (!strcmp(s->drift, "modified")) return k - 0.5 * eta * k * k - 0.5 * c;
  return k - 0.5 * eta * k * k + eta * eta * k * k * k / 3 - 0.5 * c + (!strcmp(s->noise, "refined") ? eta * k * c : 0);
}

/* Exponent of direction k of a chain per unit time, and its bound. */
static PetscErrorCode DirectionExponent(const Subject *s, const Directions *d, PetscInt k, PetscReal *value,
                                        PetscReal *error)
{
  const PetscReal eta = s->training.learning_rate, decay = s->training.weight_decay;
  FPBatchMean     law = {.squares = d->squares, .batch = s->training.batch_size};
  PetscReal       mean, variance;

  PetscFunctionBegin;
  PetscCall(FPModelGetData(s->model, &law.data));
  if (s->algorithm == FP_SGD) {
    PetscCall(FPBatchMeanLog(&law, 1 - eta * decay, eta * d->slope[k], value, error));
    *value /= eta;
    *error /= eta;
    PetscFunctionReturn(0);
  }
  PetscCall(FPBatchMeanMoments(&law, &mean, &variance));
  *value = Refine(s, d->slope[k] * mean - decay,
                  Noisy(s) ? eta * PetscSqr(d->slope[k]) * variance / s->training.batch_size : 0);
  *error = 1e-13 * PetscMax(1, PetscAbsReal(*value));
  PetscFunctionReturn(0);
}

/* Every direction of GD: the eigenvalues of the Hessian. */
static void HessianExponents(const Subject *s, const FPCriticalPoint *point, PetscReal value[], PetscBool flat[])
{
  const PetscReal eta     = s->training.learning_rate;
  PetscReal       largest = 0;

  for (PetscInt i = 0; i < s->dim; i++) largest = PetscMax(largest, PetscAbsReal(point->eigenvalue[i]));
  for (PetscInt i = 0; i < s->dim; i++) {
    value[i] = PetscLogReal(PetscAbsReal(1 - eta * point->eigenvalue[i])) / eta;
    flat[i]  = (PetscBool)(PetscAbsReal(point->eigenvalue[i]) <= FLAT * largest);
  }
}

static PetscErrorCode AddPoint(FPObservable obs, const Subject *s, const char point[], PetscReal value[],
                               PetscReal error[], PetscBool flat[])
{
  PetscInt best = -1;
  char     name[FP_NAME];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < s->dim; i++)
    for (PetscInt j = i; j > 0 && value[j] > value[j - 1]; j--) {
      const PetscReal v = value[j], e = error[j];
      const PetscBool f = flat[j];

      value[j]     = value[j - 1];
      error[j]     = error[j - 1];
      flat[j]      = flat[j - 1];
      value[j - 1] = v;
      error[j - 1] = e;
      flat[j - 1]  = f;
    }
  for (PetscInt i = s->dim - 1; i >= 0; i--)
    if (!flat[i]) best = i;
  for (PetscInt i = -1; i < s->dim; i++) {
    const PetscInt k = i < 0 ? PetscMax(0, best) : i;

    PetscCall(PetscSNPrintf(name, sizeof(name), i < 0 ? "exponent_at[%s]" : "exponent_at[%s][%d]", point, (int)i));
    if (isfinite(value[k]))
      PetscCall(
          FPResultsAdd(obs->scene.results, s->name, "exact", "lyapunov", name, value[k], error[k], FP_BOUND, "1/time"));
    else
      PetscCall(FPResultsAddStatus(obs->scene.results, s->name, "exact", "lyapunov", name, "singular", TO_ZERO));
  }
  PetscFunctionReturn(0);
}

/* Why the process has no exponent at any point, or NULL. */
static const char *NoPoint(const Subject *s)
{
  if (s->training.temperature > 0) return "injected noise leaves no point where it is";
  if (!strcmp(s->coordinates, "invariant"))
    return "p and q are not smooth functions of the weights that they stand for";
  if (s->algorithm == FP_GD) return NULL;
  if (strcmp(s->type, "chain"))
    return "the directions do not separate: only chains have it in closed form; particles have it";
  if (!strcmp(s->noise, "stable")) return "jumps multiply differences by no known law";
  if (s->algorithm == FP_SVAG) return "there is no closed form for svag; particles have it";
  if (strcmp(s->drift, "gradient") && strcmp(s->drift, "modified") && strcmp(s->drift, "refined"))
    return "there is no closed form for its drift";
  if (strcmp(s->drift, "refined") && !strcmp(s->noise, "refined")) return "its noise belongs to another drift";
  return NULL;
}

PetscErrorCode FPLyapunovOrigin(FPProcess process, FPModel model, PetscReal eta, PetscReal *value, PetscReal *error,
                                const char **reason)
{
  const FPCriticalPoint origin = {.name = "origin"};
  Directions            directions;
  Subject               s;

  PetscFunctionBegin;
  PetscCall(Study(process, model, &s));
  s.training.learning_rate = eta;
  *reason                  = NoPoint(&s);
  if (!*reason && s.algorithm == FP_GD) *reason = "without gradient noise the saddle repels at every learning rate";
  if (!*reason && s.depth < 2) *reason = "a single weight has no saddle at the origin";
  if (*reason) PetscFunctionReturn(0);
  PetscCall(ChainDirections(&s, &origin, &directions, reason));
  *value = -PETSC_MAX_REAL;
  *error = 0;
  for (PetscInt k = 0; k < directions.n; k++) {
    PetscReal v, e;

    PetscCall(DirectionExponent(&s, &directions, k, &v, &e));
    if (v > *value) *error = e;
    *value = PetscMax(*value, v);
  }
  PetscFunctionReturn(0);
}

/* Is the law of directions near a point that of lyapunov_point.c? */
static PetscBool HasPlane(const Subject *s)
{
  return (PetscBool)(s->algorithm == FP_SDE && s->dim == 2 && strcmp(s->type, "chain") &&
                     s->training.temperature == 0 && !strcmp(s->noise, "gradient") &&
                     (!strcmp(s->drift, "gradient") || !strcmp(s->drift, "modified")));
}

static PetscErrorCode AddPlanePoint(FPObservable obs, const Subject *s, const FPCriticalPoint *point)
{
  const char *reason;
  char        name[FP_NAME];
  PetscReal   value, error;

  PetscFunctionBegin;
  PetscCall(FPLyapunovPoint(s->process, point->z, &value, &error, &reason));
  PetscCall(PetscSNPrintf(name, sizeof(name), "exponent_at[%s]", point->name));
  if (reason)
    PetscCall(FPObservableMissing(obs, s->process, "exact", name, "unsupported", reason));
  else
    PetscCall(FPResultsAdd(obs->scene.results, s->name, "exact", "lyapunov", name, value, error, FP_BOUND, "1/time"));
  PetscFunctionReturn(0);
}

/* A discrete algorithm of the weights whose noise is that of the gradients */
static PetscBool Samples(const Subject *s)
{
  return (PetscBool)(s->training.temperature == 0 && strcmp(s->coordinates, "invariant") &&
                     (s->algorithm == FP_SGD || s->algorithm == FP_SVAG));
}

/* Are some directions flat, but not all? */
static PetscBool Valley(const Subject *s, const FPCriticalPoint *point)
{
  PetscReal largest = 0;
  PetscInt  flat    = 0;

  for (PetscInt i = 0; i < s->dim; i++) largest = PetscMax(largest, PetscAbsReal(point->eigenvalue[i]));
  for (PetscInt i = 0; i < s->dim; i++) flat += PetscAbsReal(point->eigenvalue[i]) <= FLAT * largest;
  return (PetscBool)(flat > 0 && flat < s->dim);
}

/* By particles: of all directions, as vectors turn to the fastest, flat or not */
static PetscErrorCode AddStill(FPObservable obs, const Subject *s, const FPCriticalPoint *point)
{
  PetscReal value, error;

  PetscFunctionBegin;
  PetscCall(FPLyapunovStill(obs, s->process, point->z, &value, &error));
  for (int of_all = Valley(s, point) ? 1 : 0; of_all < 2; of_all++) {
    char name[FP_NAME];

    PetscCall(PetscSNPrintf(name, sizeof(name), of_all ? "exponent_at[%s][0]" : "exponent_at[%s]", point->name));
    if (isfinite(value))
      PetscCall(FPResultsAdd(obs->scene.results, s->name, "particles", "lyapunov", name, value, error, FP_STANDARD,
                             "1/time"));
    else
      PetscCall(FPObservableMissing(obs, s->process, "particles", name, "singular", TO_ZERO));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AtPoints(FPObservable obs, const Subject *s)
{
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(s->model, &count, &points));
  for (PetscInt p = 0; p < count; p++) {
    const char *reason = NoPoint(s);
    PetscReal   value[FP_MAX_DIM], error[FP_MAX_DIM];
    PetscBool   flat[FP_MAX_DIM];
    Directions  directions;
    char        name[FP_NAME];

    if (Samples(s)) {
      PetscBool stays;

      PetscCall(FPLyapunovStays(s->model, points[p].z, &stays));
      if (stays && obs->scene.use_particles) PetscCall(AddStill(obs, s, &points[p]));
      if (reason && !stays) reason = MOVES;
    }
    if (HasPlane(s)) {
      PetscCall(AddPlanePoint(obs, s, &points[p]));
      continue;
    }
    if (!reason && s->algorithm == FP_GD) {
      HessianExponents(s, &points[p], value, flat);
      for (PetscInt k = 0; k < s->dim; k++) error[k] = 1e-9 * PetscMax(1, PetscAbsReal(value[k]));
    } else if (!reason) {
      PetscCall(ChainDirections(s, &points[p], &directions, &reason));
      for (PetscInt k = 0; k < directions.n && !reason; k++) {
        flat[k] = (PetscBool)(directions.slope[k] == 0);
        PetscCall(DirectionExponent(s, &directions, k, &value[k], &error[k]));
      }
    }
    PetscCall(PetscSNPrintf(name, sizeof(name), "exponent_at[%s]", points[p].name));
    if (reason)
      PetscCall(FPObservableMissing(obs, s->process, "exact", name, "unsupported", reason));
    else
      PetscCall(AddPoint(obs, s, points[p].name, value, error, flat));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Lyapunov(FPObservable obs)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < obs->scene.processes; p++) {
    Subject subject;

    PetscCall(Study(obs->scene.process[p], obs->scene.model, &subject));
    PetscCall(AtPoints(obs, &subject));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Lyapunov(FPObservable obs)
{
  FPLyapunov *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data = s;
  obs->ops  = (FPObservableOps){.exact     = Exact_Lyapunov,
                                .generator = FPLyapunovGenerator,
                                .begin     = FPLyapunovBegin,
                                .evaluate  = FPLyapunovEvaluate};
  PetscFunctionReturn(0);
}

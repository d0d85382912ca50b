/* lyapunov.c: exponents per unit time of small differences: at critical points, exactly, and along the orbit.
   exponent_at[NAME][k], descending, is the exponent of one direction at a point that the process never leaves, and
   exponent_at[NAME] the largest of those that are not flat (of all, where all are flat). Chains: at the origin of depth
   2 a = w1 + w2 and b = w1 - w2 are multiplied by 1 - eta decay +- eta U, U the batch mean of x y, so SGD has E ln |1 -
   eta decay +- eta U|/eta; deeper origins only by 1 - eta decay; a minimum of zero loss by 1 - eta |grad p|^2 X, X the
   batch mean of x^2, along grad p and by 1 across. An SDE dz = k z dt + sqrt(c) z dB has k - c/2. GD has ln |1 - eta
   h|/eta for each Hessian eigenvalue h, of every model. Where the noise does not vanish there is no exponent at a
   point. exponent_orbit, the largest one, by simulation: SGD and GD with a tangent vector each, multiplied by the
   Jacobian of every step (central differences of the sample's gradient, exact to 1e-10) and renormalised. Exact, L = 2,
   no decay: the SDE's saddle attracts (exponent < 0) for eta > 2 P B/(2 s P^2 + sigma^2), with the modified drift for
   eta > 2 P B/(s P^2 (2 + B) + sigma^2); SGD without label noise never collapses. Source: Chen, Kunin, Yamamura and
   Ganguli, arXiv:2306.04251 (the criterion for SDEs); the discrete ones are expectations of products of independent
   factors (Furstenberg and Kesten, Ann. Math. Statist. 31 (1960)). */
#include "observableimpl.h"
#include <math.h>
#include <omp.h>

#define DIFFERENCE 1e-5    /* of weights, for derivatives along the tangent vector */
#define START (1ULL << 62) /* stream index of the draws for the start */
#define PERTURBATION 1e-2  /* of the start around the minimum, in weights */
#define ROWS 64            /* of random words in one step, at most, per sample */

/* One direction at a point: SGD multiplies it by 1 - eta decay + eta slope U per step; flat: slope 0. */
typedef struct {
  PetscInt  n;
  PetscBool squares; /* U is the batch mean of x^2, else of x y */
  PetscReal slope[FP_MAX_DIM];
} Directions;

typedef struct {
  FPProcess   process;
  FPModel     model;
  const char *name, *type, *coordinates;
  FPAlgorithm algorithm;
  FPTraining  training;
  PetscInt    dim, depth;
} Subject;

static PetscErrorCode Study(FPObservable obs, PetscInt p, Subject *s)
{
  PetscReal metric;

  PetscFunctionBegin;
  s->process = obs->scene.process[p];
  s->model   = obs->scene.model;
  PetscCall(FPProcessGetName(s->process, &s->name));
  PetscCall(FPProcessGetAlgorithm(s->process, &s->algorithm, NULL));
  PetscCall(FPProcessGetTraining(s->process, &s->training));
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
    *reason = "the gradient noise does not vanish there, so the process does not stay";
  }
  PetscFunctionReturn(0);
}

/* Whether the SDE has noise, and a drift other than -grad V: seen at a point where neither happens to vanish. */
static void Anatomy(const Subject *s, PetscBool *noisy, PetscBool *modified)
{
  double  z[FP_MAX_DIM], b[FP_MAX_DIM], g[FP_MAX_DIM], size = 0, gap = 0, diffusion = 0;
  double *D = FPScratchTake((size_t)(s->dim * s->dim));

  for (PetscInt i = 0; i < s->dim; i++) z[i] = 0.37 + 0.11 * i;
  FPProcessDrift(s->process, 1, z, b);
  FPProcessDiffusion(s->process, 1, z, D);
  FPModelGradient(s->model, 1, z, g);
  for (PetscInt i = 0; i < s->dim; i++) {
    gap  = PetscMax(gap, PetscAbsReal(b[i] + g[i]));
    size = PetscMax(size, PetscAbsReal(g[i]));
    diffusion += D[i * (s->dim + 1)];
  }
  FPScratchRelease(D);
  *noisy    = (PetscBool)(diffusion > 0);
  *modified = (PetscBool)(gap > 1e-12 * size);
}

/* Exponent of direction k of a chain per unit time, and its bound. */
static PetscErrorCode DirectionExponent(const Subject *s, const Directions *d, PetscInt k, PetscReal *value,
                                        PetscReal *error)
{
  const PetscReal eta = s->training.learning_rate, decay = s->training.weight_decay;
  FPBatchMean     law = {.squares = d->squares, .batch = s->training.batch_size};
  PetscReal       mean, variance, rate;
  PetscBool       noisy, modified;

  PetscFunctionBegin;
  PetscCall(FPModelGetData(s->model, &law.data));
  if (s->algorithm == FP_SGD) {
    PetscCall(FPBatchMeanLog(&law, 1 - eta * decay, eta * d->slope[k], value, error));
    *value /= eta;
    *error /= eta;
    PetscFunctionReturn(0);
  }
  PetscCall(FPBatchMeanMoments(&law, &mean, &variance));
  Anatomy(s, &noisy, &modified);
  rate   = d->slope[k] * mean - decay;
  *value = rate - (modified ? 0.5 * eta * rate * rate : 0) -
           (noisy ? 0.5 * eta * PetscSqr(d->slope[k]) * variance / s->training.batch_size : 0);
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
    flat[i]  = (PetscBool)(PetscAbsReal(point->eigenvalue[i]) <= 1e-9 * largest);
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
      PetscCall(FPResultsAddStatus(obs->scene.results, s->name, "exact", "lyapunov", name, "singular",
                                   "one step maps the direction to zero with positive probability: minus infinity"));
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
  if (strcmp(s->type, "chain")) return "the directions do not separate: only chains have it in closed form";
  if (s->algorithm == FP_SVAG) return "there is no closed form for svag";
  return NULL;
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
      PetscCall(FPResultsAddStatus(obs->scene.results, s->name, "exact", "lyapunov", name, "unsupported", reason));
    else
      PetscCall(AddPoint(obs, s, points[p].name, value, error, flat));
  }
  PetscFunctionReturn(0);
}

/* What all blocks of the simulation share. */
typedef struct {
  FPModel      model;
  FPSampler    sampler;
  const FPBox *box;                              /* NULL: none */
  int          d, batch, normals, words, stride; /* normals: rows, even; stride: of the stream, per draw */
  double       eta, decay, amplitude;
  double       start[FP_MAX_DIM];
  unsigned     key[2];
  PetscInt     burn_in, steps, blocks; /* blocks: per group */
} Orbit;

/* Coordinates, tangent vector and workspace of a block. */
typedef struct {
  double             z[FP_MAX_DIM * FP_BLOCK], v[FP_MAX_DIM * FP_BLOCK];
  double             g[FP_MAX_DIM * FP_BLOCK], up[FP_MAX_DIM * FP_BLOCK], down[FP_MAX_DIM * FP_BLOCK];
  double             near[FP_MAX_DIM * FP_BLOCK], x[FP_MAX_DIM * FP_BLOCK], y[FP_MAX_DIM * FP_BLOCK];
  unsigned           word[ROWS * FP_BLOCK];
  float              normal[ROWS * FP_BLOCK];
  unsigned long long first, index;
} Block;

static void Draw(const Orbit *o, Block *b, int normals, int words)
{
  const int rows = (normals + words + 3) / 4 * 4;

  FPRandomWords(o->key, b->first, b->index, rows, b->word);
  if (normals) FPRandomNormals(normals, b->word, b->normal);
  b->index += (unsigned long long)rows;
}

/* Adds the gradients of one draw, or the mean gradient of GD, at z, z + dv and z - dv. */
static void AddGradients(const Orbit *o, Block *b)
{
  double *const out[3]  = {b->g, b->up, b->down};
  const double  step[3] = {0, DIFFERENCE, -DIFFERENCE};

  for (int side = 0; side < 3; side++) {
    for (int k = 0; k < o->d * FP_BLOCK; k++) b->near[k] = b->z[k] + step[side] * b->v[k];
    if (o->batch)
      FPModelSampleGradient(o->model, FP_BLOCK, b->near, b->x, b->y, out[side]);
    else
      FPModelGradient(o->model, FP_BLOCK, b->near, out[side]);
  }
}

/* One step of z and of its tangent vector. */
static void Step(const Orbit *o, Block *b)
{
  const int    n      = o->d * FP_BLOCK;
  const double shrink = o->batch ? 1 - o->eta * o->decay : 1, rate = o->eta / (o->batch ? o->batch : 1);

  for (int k = 0; k < n; k++) b->g[k] = b->up[k] = b->down[k] = 0;
  for (int sample = 0; sample < o->batch; sample++) {
    Draw(o, b, o->normals, o->words);
    (*o->sampler.draw)(o->sampler.context, b->normal, b->word + o->normals * FP_BLOCK, b->x, b->y);
    AddGradients(o, b);
  }
  if (!o->batch) AddGradients(o, b);
  for (int k = 0; k < n; k++) {
    b->z[k] = shrink * b->z[k] - rate * b->g[k];
    b->v[k] = shrink * b->v[k] - rate * (b->up[k] - b->down[k]) / (2 * DIFFERENCE);
  }
  if (o->amplitude > 0) {
    Draw(o, b, (o->d + 1) / 2 * 2, 0);
    for (int k = 0; k < n; k++) b->z[k] += o->amplitude * (double)b->normal[k];
  }
}

/* Mirror what has left the box, as often as needed, and the tangent vector with it. */
static void Walls(const Orbit *o, Block *b)
{
  for (int k = 0; o->box && k < o->d * FP_BLOCK; k++) {
    const double lower = o->box->lower[k / FP_BLOCK], width = o->box->upper[k / FP_BLOCK] - lower;
    const double turns = floor((b->z[k] - lower) / width), rest = b->z[k] - lower - turns * width;

    if (turns == 0) continue;
    b->z[k] = lower + (fmod(turns, 2) == 0 ? rest : width - rest);
    if (fmod(turns, 2) != 0) b->v[k] = -b->v[k];
  }
}

/* Normalise the tangent vectors; the sum of the logarithms of their lengths. */
static double Normalise(const Orbit *o, Block *b)
{
  double sum = 0;

  for (int l = 0; l < FP_BLOCK; l++) {
    double square = 0;

    for (int i = 0; i < o->d; i++) square += PetscSqr(b->v[i * FP_BLOCK + l]);
    sum += square > 0 ? 0.5 * log(square) : -INFINITY;
    for (int i = 0; i < o->d; i++) b->v[i * FP_BLOCK + l] /= sqrt(square);
  }
  return sum;
}

static void StartBlock(const Orbit *o, Block *b, unsigned long long first)
{
  b->first = first;
  b->index = START;
  Draw(o, b, 2 * ((o->d + 1) / 2 * 2), 0);
  for (int k = 0; k < o->d * FP_BLOCK; k++) {
    b->z[k] = o->start[k / FP_BLOCK] + PERTURBATION * (double)b->normal[k];
    b->v[k] = (double)b->normal[(o->d + 1) / 2 * 2 * FP_BLOCK + k];
  }
  b->index = 0;
  (void)Normalise(o, b);
}

/* Mean exponent per step of a group over the first and the second half of the measured steps. */
static void RunGroup(const Orbit *o, int group, Block *b, double half[2])
{
  half[0] = half[1] = 0;
  for (PetscInt block = 0; block < o->blocks; block++) {
    StartBlock(o, b,
               ((unsigned long long)group * (unsigned long long)o->blocks + (unsigned long long)block) * FP_BLOCK);
    for (PetscInt step = -o->burn_in; step < 2 * (o->steps / 2); step++) {
      double sum;

      Step(o, b);
      Walls(o, b);
      sum = Normalise(o, b);
      if (step >= 0) half[step >= o->steps / 2] += sum;
    }
  }
  for (int k = 0; k < 2; k++) half[k] /= (double)o->blocks * FP_BLOCK * (double)(o->steps / 2);
}

static PetscErrorCode OpenOrbit(FPObservable obs, const Subject *s, Orbit *o)
{
  const FPParticleOptions *options = &obs->scene.particles;
  const FPCriticalPoint   *points;
  PetscInt                 count;
  PetscReal                metric;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(o, sizeof(*o)));
  o->model   = s->model;
  o->d       = (int)s->dim;
  o->eta     = s->training.learning_rate;
  o->decay   = s->training.weight_decay;
  o->batch   = s->algorithm == FP_SGD ? (int)s->training.batch_size : 0;
  o->burn_in = options->burn_in;
  o->steps   = PetscMax(2, options->steps);
  o->key[0]  = (unsigned)options->seed;
  for (const char *c = s->name; *c; c++) o->key[1] = (o->key[1] ^ (unsigned char)*c) * 16777619u + 7;
  PetscCall(FPModelGetMetric(s->model, &metric));
  o->amplitude = PetscSqrtReal(2 * o->eta * s->training.temperature * metric);
  PetscCall(FPModelGetSampler(s->model, &o->sampler));
  o->normals = (o->sampler.normals + 1) / 2 * 2;
  o->words   = o->sampler.words;
  PetscCheck(o->normals + o->words <= ROWS, PETSC_COMM_SELF, PETSC_ERR_PLIB, "%d rows of words for one sample",
             o->normals + o->words);
  if (obs->scene.mesh) PetscCall(FPMeshGetBox(obs->scene.mesh, &o->box));
  PetscCall(FPModelGetCriticalPoints(s->model, &count, &points));
  for (PetscInt i = 0; i < s->dim; i++) o->start[i] = count ? points[0].z[i] : 0;
  PetscCall(FPParticlesCount(options, &count));
  o->blocks = count / (FP_GROUPS * FP_BLOCK);
  PetscFunctionReturn(0);
}

/* Mean over the groups. What the halves of the run differ beyond noise is no stationary average yet: half of it enters
   the error. */
static PetscErrorCode AddOrbit(FPObservable obs, const Subject *s, double half[FP_GROUPS][2])
{
  PetscReal mean = 0, drift = 0, variance = 0, noise = 0, doubt;

  PetscFunctionBegin;
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    mean += (half[g][0] + half[g][1]) / (2 * FP_GROUPS);
    drift += (half[g][1] - half[g][0]) / (2 * FP_GROUPS);
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    variance += PetscSqr((half[g][0] + half[g][1]) / 2 - mean) / (FP_GROUPS * (FP_GROUPS - 1.0));
    noise += PetscSqr((half[g][1] - half[g][0]) / 2 - drift) / (FP_GROUPS * (FP_GROUPS - 1.0));
  }
  doubt = PetscMax(0, drift * drift - 2 * noise);
  if (!isfinite(mean))
    PetscCall(FPResultsAddStatus(obs->scene.results, s->name, "particles", "lyapunov", "exponent_orbit", "diverged",
                                 "a particle became infinite, or a tangent vector zero"));
  else
    PetscCall(FPResultsAdd(
        obs->scene.results, s->name, "particles", "lyapunov", "exponent_orbit", mean / s->training.learning_rate,
        (PetscSqrtReal(variance + doubt) + 1e-9) / s->training.learning_rate, FP_STANDARD, "1/time"));
  PetscFunctionReturn(0);
}

static void RunOrbit(const Orbit *orbit, int threads, double half[FP_GROUPS][2])
{
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int g = 0; g < FP_GROUPS; g++) {
    Block block;

    RunGroup(orbit, g, &block, half[g]);
  }
}

static PetscErrorCode AlongOrbit(FPObservable obs, const Subject *s)
{
  const char *reason = NULL;
  Orbit       orbit;
  double      half[FP_GROUPS][2];

  PetscFunctionBegin;
  if (s->algorithm == FP_SDE)
    reason = "of an SDE it depends on how the noise is coupled, not on drift and diffusion alone";
  else if (s->algorithm == FP_SVAG)
    reason = "tangent vectors follow sgd and gd";
  else if (!strcmp(s->coordinates, "invariant"))
    reason = "tangent vectors live in the weights: model_coordinates = weights has them";
  if (reason) {
    PetscCall(FPResultsAddStatus(obs->scene.results, s->name, "particles", "lyapunov", "exponent_orbit", "unsupported",
                                 reason));
    PetscFunctionReturn(0);
  }
  PetscCall(OpenOrbit(obs, s, &orbit));
  RunOrbit(&orbit, obs->scene.particles.threads > 0 ? (int)obs->scene.particles.threads : omp_get_max_threads(), half);
  PetscCall(AddOrbit(obs, s, half));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Lyapunov(FPObservable obs)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < obs->scene.processes; p++) {
    Subject subject;

    PetscCall(Study(obs, p, &subject));
    PetscCall(AtPoints(obs, &subject));
    if (obs->scene.use_particles) PetscCall(AlongOrbit(obs, &subject));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Lyapunov(FPObservable obs)
{
  PetscFunctionBegin;
  obs->ops = (FPObservableOps){.exact = Exact_Lyapunov};
  PetscFunctionReturn(0);
}

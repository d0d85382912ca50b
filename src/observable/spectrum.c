/* spectrum.c: the slowest modes. From a generator: SLEPc's eigenvalues. From particles: the Galerkin eigenproblem of
   the transition operator at a lag tau, C_tau v = mu C_0 v with C_0 = E psi psi^T, C_tau = E psi(0) psi(tau)^T, on
   polynomials and the leading eigenfunctions of a generator where there is one; rate = -log|mu|/tau. Twice the lag
   gives a second answer, and what the two differ by beyond noise enters the error, so a poor basis shows. Source: S.
   Klus et al., J. Nonlinear Sci. 28 (2018).
   Numbering: by rate on the finest grid. Everything else (coarser grids, particles, groups left out) is numbered by the
   nearest eigenvalues in the complex plane, since sorting would swap modes of nearly equal rates and other frequencies.
   Modes that the particles cannot tell apart are reported by their mean, as sorted estimates of equal rates are biased,
   with the distance of the reference from that mean in the error.
   A basis borrowed from another process is saturated: where that one hardly ever is, its eigenfunctions grow without
   bound, and a few particles there would decide the answer. */
#include "observableimpl.h"
#include <petscblaslapack.h>
#include <stdio.h>

#define MAX_BASIS 48
#define LAGS 2
#define SATURATION 5         /* a borrowed basis levels off at this many standard deviations */
#define BLUR 3               /* modes closer than this many standard errors are reported by their mean */
#define BLOCKS 3             /* powers of q */
#define BLOCK_MODES 2        /* of each */
#define BLOCK_ROUNDING 1e-12 /* of mu */
#define STILL 1e-9           /* frequencies below this share of the rate are zero */
#define CONDITION 1e-7       /* directions of C_0 below this share of its largest eigenvalue are dropped */

/* Eigenfunctions of one process on its grid, [modes][lattice]. */
typedef struct {
  char       process[FP_NAME];
  PetscInt   modes, cells[3], lattice;
  FPMesh     mesh;                        /* the grid's own */
  PetscReal *function, *rate, *frequency; /* rate, frequency [modes + 1] */
  PetscReal  mean[3], deviation[3];       /* of the coordinates under the stationary law */
  PetscBool  reversible;
} ModeBasis;

typedef struct {
  PetscInt  n;
  PetscReal rate[MAX_BASIS], frequency[MAX_BASIS];
} Modes;

typedef struct {
  PetscInt  pairs, degree;
  PetscReal lag;
  PetscReal step;   /* of the discrete algorithm whose transfer operator was asked last; 0: an SDE */
  PetscBool killed; /* and whether it may leave the box */
  /* particles */
  PetscInt         known, size, dim, polynomials, exponent[MAX_BASIS][FP_MAX_DIM];
  ModeBasis        basis[16];
  const ModeBasis *modes; /* for the process at hand; NULL: polynomials only */
  FPMesh           mesh;
  PetscReal        centre[FP_MAX_DIM], scale[FP_MAX_DIM], tau;
  PetscBool        reversible, clustered, borrowed;
  Modes            reference; /* by which modes are numbered: the generator's, or those of the first evaluation */
  char             numbered[FP_NAME];  /* process that the reference belongs to */
  PetscInt         cluster[MAX_BASIS]; /* number of its first mode */
  PetscReal
      blur[MAX_BASIS]; /* standard error of a frequency in a cluster of several, as two real modes may seem a pair */
} Spectrum;

static const FPParameter SpectrumParameters[] = {
    {"pairs", FP_INT, offsetof(Spectrum, pairs), "6", 1, 40, NULL, "modes", "modes beyond the slowest"},
    {"degree", FP_INT, offsetof(Spectrum, degree), "4", 1, 8, NULL, NULL,
     "polynomials of the particles' basis go up to this total degree"},
    {"lag", FP_REAL, offsetof(Spectrum, lag), NULL, 2.2250738585072014e-308, PETSC_MAX_REAL, NULL, "time",
     "lag of the particles' eigenproblem; default: the shortest relaxation time asked for"},
    {0}};

static PetscErrorCode AddRates(PetscInt count, const PetscReal rate[], const PetscReal frequency[],
                               const PetscReal error[], PetscInt first, FPQuantities *q)
{
  PetscFunctionBegin;
  for (PetscInt k = first; k < count; k++)
    PetscCall(FPQuantitiesAdd(q, rate[k], error ? error[k] : 0, "1/time", "decay_rate[%d]", (int)k));
  for (PetscInt k = first; k < count; k++)
    PetscCall(FPQuantitiesAdd(q, frequency[k], error ? error[k] : 0, "1/time", "frequency[%d]", (int)k));
  if (count > 1) {
    const PetscReal gap = rate[1] - rate[0], e = error ? error[0] + error[1] : 0;

    PetscCall(FPQuantitiesAdd(q, gap, e, "1/time", "gap"));
    PetscCall(FPQuantitiesAdd(q, 1 / gap, e / (gap * gap), "time", "relaxation_time"));
  }
  PetscFunctionReturn(0);
}

/* Of a discrete algorithm: the eigenvalues mu of its transfer operator, |mu| falling, of conjugate pairs that with
   positive imaginary part; and of one that leaves the box the probability per step to do so. */
static PetscErrorCode AddMultipliers(const Spectrum *s, PetscInt count, const PetscReal rate[],
                                     const PetscReal frequency[], const PetscReal error[], FPQuantities *q)
{
  PetscFunctionBegin;
  if (s->step == 0) PetscFunctionReturn(0);
  for (PetscInt k = 0; k < count; k++) {
    const PetscReal modulus = exp(-rate[k] * s->step), angle = frequency[k] * s->step;
    const PetscReal doubt = modulus * s->step * error[k] + 1e-15;

    PetscCall(FPQuantitiesAdd(q, modulus * cos(angle), doubt, "1", "mu_re[%d]", (int)k));
    PetscCall(FPQuantitiesAdd(q, frequency[k] * s->step > PETSC_PI - 1e-12 ? 0 : modulus * sin(angle), doubt, "1",
                              "mu_im[%d]", (int)k));
  }
  if (s->killed)
    PetscCall(FPQuantitiesAdd(q, -expm1(-rate[0] * s->step), s->step * error[0], "1/step", "divergence_rate"));
  PetscFunctionReturn(0);
}

/* Of a 2-chain in p and q: rates of modes g(p) q^m. The law lives on q = 0, so that nothing else sees them. */
static PetscErrorCode AddBlocks(const Spectrum *s, FPGenerator gen, FPQuantities *q)
{
  FPGeneratorInfo info;
  PetscReal       mu[2 * BLOCK_MODES];

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (s->step == 0 || info.along < 0) PetscFunctionReturn(0);
  for (PetscInt m = 1; m <= BLOCKS; m++) {
    PetscCall(FPGeneratorGetBlock(gen, m, BLOCK_MODES, mu));
    for (PetscInt k = 0; k < BLOCK_MODES; k++) {
      const PetscReal modulus = PetscMax(hypot(mu[2 * k], mu[2 * k + 1]), PETSC_MACHINE_EPSILON);

      PetscCall(FPQuantitiesAdd(q, -log(modulus) / s->step, BLOCK_ROUNDING / (modulus * s->step), "1/time",
                                "block_rate[%d][%d]", (int)m, (int)k));
    }
  }
  PetscFunctionReturn(0);
}

/* A function of the unknowns, over `norm`, on all cells; of a line, which particles are beside by their steps, constant
   across axis `along`, and beyond its ends. */
static void Spread(FPGenerator gen, PetscInt along, const PetscReal f[], PetscReal norm, PetscReal out[])
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio;
  PetscInt         dim, n, stride = 1, lattice = 1, first;

  (void)FPGeneratorGetGrid(gen, &dim, &cells, &ratio);
  (void)FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume);
  for (PetscInt k = 0; k < n && along < 0; k++) out[node[k]] = f[k] / norm;
  if (along < 0) return;
  for (PetscInt a = 0; a < dim; a++) {
    if (a < along) stride *= cells[a];
    lattice *= cells[a];
  }
  first = node[0] / stride % cells[along];
  for (PetscInt x = 0; x < lattice; x++)
    out[x] = f[PetscClipInterval(x / stride % cells[along] - first, 0, n - 1)] / norm;
}

/* Keep the eigenfunctions, of variance 1 under the stationary law, as a basis for particles. */
static PetscErrorCode KeepModes(Spectrum *s, FPGenerator gen, PetscInt modes)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume, *pi, *rate, *frequency, *residual;
  PetscReal        ratio;
  PetscInt         dim, n, count;
  FPGeneratorInfo  info;
  FPProcess        process;
  const char      *name;
  PetscInt         level;
  ModeBasis       *b = &s->basis[s->known];

  const FPGeneratorOptions *options;

  PetscFunctionBegin;
  if (s->known == 16) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetModes(gen, &count, &rate, &frequency, &residual));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetSetting(gen, &b->mesh, &level, &options));
  PetscCall(PetscStrncpy(b->process, name, sizeof(b->process)));
  b->modes = modes - 1;
  PetscCall(PetscMalloc2(modes, &b->rate, modes, &b->frequency));
  PetscCall(PetscArraycpy(b->rate, rate, modes));
  PetscCall(PetscArraycpy(b->frequency, frequency, modes));
  b->reversible = info.reversible;
  b->lattice    = 1;
  for (PetscInt a = 0; a < dim; a++) b->lattice *= b->cells[a] = cells[a];
  PetscCall(PetscCalloc1((size_t)b->modes * b->lattice, &b->function));
  for (PetscInt m = 0; m < b->modes; m++) {
    const PetscReal *right, *left;
    PetscReal        norm = 0;

    PetscCall(FPGeneratorGetMode(gen, m + 1, &right, &left));
    for (PetscInt k = 0; k < n; k++) norm += pi[k] * right[k] * right[k];
    Spread(gen, info.along, right, PetscSqrtReal(norm), b->function + (size_t)m * b->lattice);
  }
  for (PetscInt a = 0; a < dim; a++) {
    PetscReal first = 0, second = 0;

    for (PetscInt k = 0; k < n; k++) first += pi[k] * z[a * n + k];
    for (PetscInt k = 0; k < n; k++) second += pi[k] * PetscSqr(z[a * n + k] - first);
    b->mean[a]      = first;
    b->deviation[a] = PetscSqrtReal(second);
  }
  s->known++;
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteModes(FPObservable obs, FPGenerator gen, PetscInt modes)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio, *field;
  PetscInt         dim, n, shape[3], total = 1;
  FPProcess        process;
  const char      *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  for (PetscInt a = 0; a < dim; a++) {
    total *= cells[a];
    shape[dim - 1 - a] = cells[a];
  }
  PetscCall(PetscMalloc1(total, &field));
  for (PetscInt m = 1; m < modes; m++) {
    const PetscReal *right, *left;
    PetscReal        largest = 0;
    char             label[FP_NAME];

    PetscCall(FPGeneratorGetMode(gen, m, &right, &left));
    PetscCall(PetscArrayzero(field, total));
    for (PetscInt k = 0; k < n; k++) largest = PetscMax(largest, PetscAbsReal(right[k]));
    for (PetscInt k = 0; k < n; k++) field[node[k]] = right[k] / largest;
    PetscCall(PetscSNPrintf(label, sizeof(label), "eigenfunction_%d", (int)m));
    PetscCall(FPResultsField(obs->scene.results, name, FPGeneratorEngine(gen), label, dim, shape, field,
                             "eigenfunction of the backward generator, largest value 1", "1"));
  }
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Spectrum(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Spectrum        *s = (Spectrum *)obs->data;
  const PetscReal *rate, *frequency, *residual;
  const FPBox     *box;
  PetscInt         count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(gen, &count, &rate, &frequency, &residual));
  count = PetscMin(count, s->pairs + 1);
  PetscCall(AddRates(count, rate, frequency, residual, 0, q));
  PetscCall(FPGeneratorGetStep(gen, &s->step));
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  s->killed = PETSC_FALSE;
  for (PetscInt f = 0; f < 2 * box->dim; f++) s->killed = (PetscBool)(s->killed || box->face[f] == FP_ABSORBING);
  PetscCall(AddMultipliers(s, count, rate, frequency, residual, q));
  PetscCall(AddBlocks(s, gen, q));
  if (finest) {
    PetscCall(KeepModes(s, gen, count));
    PetscCall(WriteModes(obs, gen, count));
  }
  PetscFunctionReturn(0);
}

/* All monomials up to the degree, the constant first; fewer in high dimension, so that the basis stays small: lower
   degrees, and of degree one the first coordinates only. */
static void ChooseMonomials(Spectrum *s, PetscInt room)
{
  PetscInt e[FP_MAX_DIM] = {0}, degree = s->degree, total = 0;

  for (;; degree--) {
    PetscReal count = 1;

    for (PetscInt k = 1; k <= s->dim; k++) count *= (PetscReal)(degree + k) / k;
    if (count < room + 0.5 || degree == 1) break;
  }
  for (s->polynomials = 0; s->polynomials < room; s->polynomials++) {
    PetscInt a = 0;

    for (PetscInt i = 0; i < s->dim; i++) s->exponent[s->polynomials][i] = e[i];
    for (; a < s->dim; total -= e[a], e[a++] = 0) /* the next one by carrying */
      if (total < degree) break;
    if (a == s->dim) break;
    e[a]++;
    total++;
  }
}

/* Multilinear interpolation of the eigenfunctions at one point. */
static void Interpolate(const Spectrum *s, const double *z, double *psi)
{
  const ModeBasis *b         = s->modes;
  PetscInt         corner[8] = {0}, corners = 1, stride = 1;
  double           weight[8] = {1};

  for (PetscInt a = 0; a < s->dim; a++) {
    double   xi, t;
    PetscInt i;

    FPMeshUnmap(b->mesh, a, z[a * FP_BLOCK], &xi);
    t = PetscClipInterval(xi * b->cells[a] - 0.5, 0, b->cells[a] - 1.000001);
    i = (PetscInt)t;
    t -= i;
    for (PetscInt c = 0; c < corners; c++) {
      corner[corners + c] = corner[c] + (i + 1) * stride;
      weight[corners + c] = weight[c] * t;
      corner[c] += i * stride;
      weight[c] *= 1 - t;
    }
    corners *= 2;
    stride *= b->cells[a];
  }
  for (PetscInt m = 0; m < b->modes; m++) {
    const PetscReal *f   = b->function + (size_t)m * b->lattice;
    double           sum = 0;

    for (PetscInt c = 0; c < corners; c++) sum += weight[c] * f[corner[c]];
    psi[m * FP_BLOCK] = sum;
  }
}

static double Saturated(double x)
{
  return x / sqrt(1 + x * x / (SATURATION * SATURATION));
}

/* psi[size][FP_BLOCK] */
static void EvaluateBasis(const Spectrum *s, const double *z, double *psi)
{
  double *x = FPScratchTake((size_t)(s->dim * FP_BLOCK)), *own = psi + s->polynomials * FP_BLOCK;

  for (PetscInt a = 0; a < s->dim; a++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      double *xl = &x[a * FP_BLOCK + l];

      *xl = (z[a * FP_BLOCK + l] - s->centre[a]) / s->scale[a];
      if (s->borrowed) *xl = Saturated(*xl);
    }
  for (PetscInt m = 0; m < s->polynomials; m++) {
    double *row = psi + m * FP_BLOCK;

    for (PetscInt l = 0; l < FP_BLOCK; l++) row[l] = 1;
    for (PetscInt a = 0; a < s->dim; a++)
      for (PetscInt k = 0; k < s->exponent[m][a]; k++)
        for (PetscInt l = 0; l < FP_BLOCK; l++) row[l] *= x[a * FP_BLOCK + l];
  }
  if (!s->modes) return;
  FPScratchRelease(x);
  for (PetscInt l = 0; l < FP_BLOCK; l++) Interpolate(s, z + l, own + l);
  for (PetscInt k = 0; s->borrowed && k < s->modes->modes * FP_BLOCK; k++) own[k] = Saturated(own[k]);
}

/* Scratch: counter, then LAGS + 1 generations of psi, newest at counter % (LAGS + 1). */
static void Start(const void *context, const FPMove *move, double *scratch)
{
  const Spectrum *s = (const Spectrum *)context;

  scratch[0] = 0;
  EvaluateBasis(s, move->after, scratch + 1);
}

FP_HOT static void AddProducts(PetscInt size, const double *a, const double *b, double *C)
{
  for (PetscInt i = 0; i < size; i++)
    for (PetscInt j = 0; j < size; j++) {
      double sum = 0;

      for (PetscInt l = 0; l < FP_BLOCK; l++) sum += a[i * FP_BLOCK + l] * b[j * FP_BLOCK + l];
      C[i * size + j] += sum;
    }
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Spectrum *s   = (const Spectrum *)context;
  const PetscInt  now = (PetscInt)scratch[0] + 1, block = s->size * FP_BLOCK, square = s->size * s->size;
  double         *fresh = scratch + 1 + (now % (LAGS + 1)) * block;

  scratch[0] = now;
  EvaluateBasis(s, move->after, fresh);
  AddProducts(s->size, fresh, fresh, acc);
  acc[(LAGS + 1) * square] += FP_BLOCK;
  for (PetscInt lag = 1; lag <= LAGS && lag <= now; lag++) {
    AddProducts(s->size, scratch + 1 + ((now - lag) % (LAGS + 1)) * block, fresh, acc + lag * square);
    acc[(LAGS + 1) * square + lag] += FP_BLOCK;
  }
}

static const ModeBasis *ChooseModes(const Spectrum *s, const char name[])
{
  const ModeBasis *best = NULL;

  for (PetscInt k = 0; k < s->known; k++) {
    if (!strcmp(s->basis[k].process, name)) return &s->basis[k];
    if (!best || !strcmp(s->basis[k].process, "ald")) best = &s->basis[k];
  }
  return best;
}

static PetscErrorCode DefaultLag(const Spectrum *s, FPModel model, PetscReal *tau)
{
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  *tau = s->lag;
  if (!isnan(s->lag)) PetscFunctionReturn(0);
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  if (s->modes && s->modes->rate[s->modes->modes] > 0)
    *tau = 1 / s->modes->rate[s->modes->modes];
  else
    *tau = count > 0 && points[0].eigenvalue[s->dim - 1] > 0 ? 1 / points[0].eigenvalue[s->dim - 1] : 1;
  PetscFunctionReturn(0);
}

/* Both steps of an SDE number their modes alike. */
static PetscErrorCode SetReference(Spectrum *s, const char name[])
{
  const ModeBasis *b = s->modes;

  PetscFunctionBegin;
  s->clustered = PETSC_FALSE;
  if (!strcmp(s->numbered, name)) PetscFunctionReturn(0);
  PetscCall(PetscStrncpy(s->numbered, name, sizeof(s->numbered)));
  s->reference.n = 0;
  if (!b || strcmp(b->process, name)) PetscFunctionReturn(0);
  s->reference.n = b->modes + 1;
  PetscCall(PetscArraycpy(s->reference.rate, b->rate, b->modes + 1));
  PetscCall(PetscArraycpy(s->reference.frequency, b->frequency, b->modes + 1));
  PetscFunctionReturn(0);
}

/* Polynomials are in coordinates about the middle of the law the basis is borrowed from, else about that of the box. */
static PetscErrorCode ScaleCoordinates(Spectrum *s)
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < s->dim; a++) {
    const FPBox *box;

    s->centre[a] = 0;
    s->scale[a]  = 1;
    if (!s->mesh) continue;
    PetscCall(FPMeshGetBox(s->mesh, &box));
    s->centre[a] = s->borrowed ? s->modes->mean[a] : (box->lower[a] + box->upper[a]) / 2;
    s->scale[a]  = s->borrowed ? s->modes->deviation[a] : (box->upper[a] - box->lower[a]) / 4;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Spectrum(FPObservable obs, FPProcess process, PetscReal dt,
                                     PETSC_UNUSED const FPParticleOptions *options, FPObserver *observer,
                                     PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  Spectrum   *s = (Spectrum *)obs->data;
  const char *name;
  PetscInt    inputs, targets;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, &inputs, &targets));
  s->mesh  = obs->scene.mesh;
  s->modes = s->mesh ? ChooseModes(s, name) : NULL;
  PetscCall(SetReference(s, name));
  PetscCall(DefaultLag(s, obs->scene.model, &s->tau));
  ChooseMonomials(s, MAX_BASIS - (s->modes ? s->modes->modes : 0));
  s->size       = s->polynomials + (s->modes ? s->modes->modes : 0);
  s->borrowed   = (PetscBool)(s->modes && strcmp(s->modes->process, name));
  s->reversible = (PetscBool)(s->modes && s->modes->reversible && !s->borrowed);
  PetscCall(ScaleCoordinates(s));
  observer->every       = FPStepsOf(s->tau, dt);
  s->tau                = observer->every * dt;
  observer->accumulator = (size_t)((LAGS + 1) * s->size * s->size + LAGS + 1);
  observer->scratch     = (size_t)(1 + (LAGS + 1) * s->size * FP_BLOCK);
  observer->start       = Start;
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Columns of W[n*kept] whiten C: W^T C W = I on the directions kept. C is destroyed. */
static PetscErrorCode Whiten(PetscInt n, PetscReal C[], PetscReal W[], PetscInt *kept)
{
  PetscReal    w[MAX_BASIS], work[8 * MAX_BASIS], root[MAX_BASIS];
  PetscBLASInt order, lwork = 8 * MAX_BASIS, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(n, &order));
  for (PetscInt i = 0; i < n; i++) root[i] = C[i * n + i] > 0 ? PetscSqrtReal(C[i * n + i]) : 1;
  for (PetscInt i = 0; i < n; i++)
    for (PetscInt j = 0; j < n; j++) C[i * n + j] /= root[i] * root[j];
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &order, C, &order, w, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  *kept = 0;
  for (PetscInt m = 0; m < n; m++) {
    if (w[m] <= CONDITION * w[n - 1]) continue;
    for (PetscInt i = 0; i < n; i++) W[*kept * n + i] = C[m * n + i] / (root[i] * PetscSqrtReal(w[m]));
    ++*kept;
  }
  PetscFunctionReturn(0);
}

/* Rates and frequencies of all modes, ascending, from C_0 and C_tau (both [n*n], destroyed). */
static PetscErrorCode Rates(PetscInt n, PetscReal C0[], PetscReal Ct[], PetscReal tau, PetscInt *modes,
                            PetscReal rate[], PetscReal frequency[])
{
  PetscReal W[MAX_BASIS * MAX_BASIS], K[MAX_BASIS * MAX_BASIS], re[MAX_BASIS], im[MAX_BASIS], work[8 * MAX_BASIS],
      none = 0, key[MAX_BASIS];
  PetscBLASInt order, lwork = 8 * MAX_BASIS, one = 1, info;
  PetscInt     kept, sorted[MAX_BASIS];

  PetscFunctionBegin;
  PetscCall(Whiten(n, C0, W, &kept));
  for (PetscInt a = 0; a < kept; a++) {
    PetscReal half[MAX_BASIS];

    for (PetscInt j = 0; j < n; j++) {
      half[j] = 0;
      for (PetscInt i = 0; i < n; i++) half[j] += W[a * n + i] * Ct[i * n + j];
    }
    for (PetscInt b = 0; b < kept; b++) {
      K[a + b * kept] = 0;
      for (PetscInt j = 0; j < n; j++) K[a + b * kept] += half[j] * W[b * n + j];
    }
  }
  PetscCall(PetscBLASIntCast(kept, &order));
  PetscCallBLAS("LAPACKgeev",
                LAPACKgeev_("N", "N", &order, K, &order, re, im, &none, &one, &none, &one, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK geev returned %d", (int)info);
  for (PetscInt k = 0; k < kept; k++) {
    key[k]    = -log(PetscMax(hypot(re[k], im[k]), PETSC_MACHINE_EPSILON)) / tau;
    sorted[k] = k;
  }
  PetscCall(PetscSortRealWithPermutation(kept, key, sorted));
  for (PetscInt k = 0; k < kept; k++) {
    rate[k]      = key[sorted[k]];
    frequency[k] = PetscAbsReal(atan2(im[sorted[k]], re[sorted[k]])) / tau;
  }
  *modes = kept;
  PetscFunctionReturn(0);
}

/* Number the estimated modes like the reference: of all pairs of a reference mode and one of the slowest estimated
   modes, the closest in the complex plane belong together, then the closest of the rest. NaN where none is left. */
static void Follow(const Modes *reference, PetscInt have, const PetscReal rate[], const PetscReal frequency[],
                   Modes *out)
{
  const PetscInt candidates          = PetscMin(have, reference->n + 2); /* the last may be one of a pair */
  PetscBool      given[MAX_BASIS]    = {PETSC_FALSE};
  PetscBool      answered[MAX_BASIS] = {PETSC_FALSE};

  out->n = reference->n;
  for (PetscInt k = 0; k < out->n; k++) out->rate[k] = out->frequency[k] = NAN;
  for (PetscInt round = 0; round < PetscMin(candidates, out->n); round++) {
    PetscInt  mode = -1, candidate = -1;
    PetscReal closest = PETSC_MAX_REAL;

    for (PetscInt k = 0; k < out->n; k++)
      for (PetscInt c = 0; c < candidates && !answered[k]; c++) {
        const PetscReal distance = hypot(rate[c] - reference->rate[k], frequency[c] - reference->frequency[k]);

        if (given[c] || !(distance < closest)) continue;
        closest   = distance;
        mode      = k;
        candidate = c;
      }
    if (mode < 0) return;
    answered[mode] = given[candidate] = PETSC_TRUE;
    out->rate[mode]                   = rate[candidate];
    out->frequency[mode]              = frequency[candidate];
  }
}

/* The rows decay_rate[k], frequency[k] and their errors. */
static PetscErrorCode ReadModes(const FPQuantities *q, Modes *modes, PetscReal error[])
{
  PetscFunctionBegin;
  for (modes->n = 0; modes->n < MAX_BASIS; modes->n++) {
    const FPQuantity *rate, *frequency;
    char              name[2][FP_NAME];

    PetscCall(PetscSNPrintf(name[0], FP_NAME, "decay_rate[%d]", (int)modes->n));
    PetscCall(PetscSNPrintf(name[1], FP_NAME, "frequency[%d]", (int)modes->n));
    PetscCall(FPQuantitiesFind(q, name[0], &rate));
    PetscCall(FPQuantitiesFind(q, name[1], &frequency));
    if (!rate || !frequency) break;
    modes->rate[modes->n]      = rate->value;
    modes->frequency[modes->n] = frequency->value;
    error[modes->n]            = rate->error;
  }
  PetscFunctionReturn(0);
}

/* Modes that oscillate, or those that do not, and where[] they stand in the whole list. */
static void Select(const Modes *all, PetscBool oscillating, Modes *some, PetscInt where[])
{
  some->n = 0;
  for (PetscInt k = 0; k < all->n; k++) {
    if ((all->frequency[k] > STILL * PetscAbsReal(all->rate[k])) != oscillating) continue;
    where[some->n]             = k;
    some->rate[some->n]        = all->rate[k];
    some->frequency[some->n++] = all->frequency[k];
  }
}

/* Modes that `time` of simulated motion cannot tell apart share a cluster: a rate r is known to about sqrt(2 r/time),
   the error of the best estimate for an OU process. */
static void FindClusters(Spectrum *s, PetscReal time)
{
  const Modes *m = &s->reference;

  for (PetscInt k = 0; k < m->n; k++) {
    s->cluster[k] = k;
    s->blur[k]    = 0;
    for (PetscInt j = 1; j < k; j++) {
      const PetscReal noise = PetscSqrtReal(2 * PetscAbsReal(m->rate[k]) / time);

      if (!(hypot(m->rate[k] - m->rate[j], m->frequency[k] - m->frequency[j]) <= BLUR * noise)) continue;
      s->cluster[k] = s->cluster[j];
      s->blur[k] = s->blur[s->cluster[j]] = noise;
      break;
    }
  }
}

/* Means over clusters in place; spread[k]: how far mode k of the reference lies from the mean of its cluster. */
static void MeanOfClusters(const Spectrum *s, const PetscReal reference[], PetscReal value[], PetscReal spread[])
{
  for (PetscInt c = 1; c < s->reference.n; c++) {
    PetscReal mean = 0, centre = 0;
    PetscInt  members = 0;

    for (PetscInt k = c; k < s->reference.n; k++) {
      if (s->cluster[k] != c) continue;
      mean += value[k];
      centre += reference[k];
      members++;
    }
    for (PetscInt k = c; k < s->reference.n; k++) {
      if (s->cluster[k] != c) continue;
      value[k]  = mean / members;
      spread[k] = PetscAbsReal(reference[k] - centre / members);
    }
  }
}

/* One row for the run to add to the error: what the two lags differ by, and the spread inside a cluster. */
static PetscErrorCode AddDoubt(FPQuantities *q, PetscReal difference, PetscReal spread, const char name[], int k)
{
  char label[FP_NAME];

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(label, sizeof(label), k < 0 ? "~%s" : "~%s[%d]", name, k));
  PetscCall(FPQuantitiesAdd(q, spread > 0 ? hypot(difference, spread) : difference, 0, "", "%s", label));
  PetscFunctionReturn(0);
}

/* The first call after Begin sees all groups; where no generator numbers the modes, it does, for all later calls. */
static PetscErrorCode Evaluate_Spectrum(FPObservable obs, const double sums[], FPQuantities *q)
{
  Spectrum      *s      = (Spectrum *)obs->data;
  const PetscInt square = s->size * s->size, wanted = PetscMin(s->pairs + 1, s->size);
  Modes          modes[LAGS];
  PetscReal      rare[MAX_BASIS], *C0, *Ct, spread[2][MAX_BASIS] = {{0}};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(square, &C0, square, &Ct));
  for (PetscInt lag = 1; lag <= LAGS; lag++) {
    const double *C = sums + lag * square;
    PetscReal     rate[MAX_BASIS], frequency[MAX_BASIS];
    PetscInt      have = 0; /* none where the run is shorter than the lag */

    for (PetscInt i = 0; i < square; i++) C0[i] = sums[i] / sums[(LAGS + 1) * square];
    for (PetscInt i = 0; i < s->size; i++)
      for (PetscInt j = 0; j < s->size; j++)
        Ct[i * s->size + j] = (s->reversible ? 0.5 * (C[i * s->size + j] + C[j * s->size + i]) : C[i * s->size + j]) /
                              sums[(LAGS + 1) * square + lag];
    if (sums[(LAGS + 1) * square + lag] > 0) PetscCall(Rates(s->size, C0, Ct, lag * s->tau, &have, rate, frequency));
    if (s->reference.n == 0) {
      for (PetscInt k = 0; k < wanted; k++) s->reference.rate[k] = k < have ? rate[k] : NAN;
      for (PetscInt k = 0; k < wanted; k++) s->reference.frequency[k] = k < have ? frequency[k] : NAN;
      s->reference.n = wanted;
    }
    if (!s->clustered) FindClusters(s, sums[(LAGS + 1) * square] * s->tau);
    s->clustered = PETSC_TRUE;
    Follow(&s->reference, have, rate, frequency, &modes[lag - 1]);
    MeanOfClusters(s, s->reference.rate, modes[lag - 1].rate, spread[0]);
    MeanOfClusters(s, s->reference.frequency, modes[lag - 1].frequency, spread[1]);
  }
  modes[0].rate[0] = modes[1].rate[0] = 0;
  rare[0]                             = 0; /* of all the time simulated: a rate is not known to better than one event */
  for (PetscInt k = 1; k < modes[0].n; k++) rare[k] = 1 / (sums[(LAGS + 1) * square] * s->tau);
  PetscCall(AddRates(modes[0].n, modes[0].rate, modes[0].frequency, rare, 1, q));
  for (PetscInt k = 1; k < modes[0].n; k++) {
    PetscCall(AddDoubt(q, modes[0].rate[k] - modes[1].rate[k], spread[0][k], "decay_rate", (int)k));
    PetscCall(AddDoubt(q, modes[0].frequency[k] - modes[1].frequency[k], hypot(spread[1][k], s->blur[k]), "frequency",
                       (int)k));
  }
  if (modes[0].n > 1) {
    const PetscReal r0 = modes[0].rate[1], r1 = modes[1].rate[1];

    PetscCall(AddDoubt(q, r0 - r1, spread[0][1], "gap", -1));
    PetscCall(AddDoubt(q, 1 / r0 - 1 / r1, spread[0][1] / (r0 * r0), "relaxation_time", -1));
  }
  PetscCall(PetscFree2(C0, Ct));
  PetscFunctionReturn(0);
}

/* Renumber a coarser grid's modes like those of the finest: those that do not oscillate keep their order. */
static PetscErrorCode Align_Spectrum(FPObservable obs, const FPQuantities *finest, FPQuantities *coarse)
{
  Modes        reference, given, wanted, have, followed, out;
  FPQuantities q = {0};
  PetscReal    error[MAX_BASIS];
  PetscInt     to[MAX_BASIS], from[MAX_BASIS];

  PetscFunctionBegin;
  PetscCall(ReadModes(finest, &reference, error));
  PetscCall(ReadModes(coarse, &given, error));
  if (given.n != reference.n) PetscFunctionReturn(0);
  out = given; /* stays where the coarser grid has fewer modes of a kind */
  for (PetscInt oscillating = 0; oscillating < 2; oscillating++) {
    Select(&reference, (PetscBool)oscillating, &wanted, to);
    Select(&given, (PetscBool)oscillating, &have, from);
    followed = have;
    if (oscillating) Follow(&wanted, have.n, have.rate, have.frequency, &followed);
    for (PetscInt k = 0; k < PetscMin(wanted.n, have.n); k++) {
      if (isnan(followed.rate[k])) continue;
      out.rate[to[k]]      = followed.rate[k];
      out.frequency[to[k]] = followed.frequency[k];
    }
  }
  PetscCall(AddRates(out.n, out.rate, out.frequency, error, 0, &q));
  PetscCall(AddMultipliers((const Spectrum *)obs->data, out.n, out.rate, out.frequency, error, &q));
  for (PetscInt k = 0; k < coarse->n; k++)
    if (strstr(coarse->list[k].name, "block_rate"))
      PetscCall(
          FPQuantitiesAdd(&q, coarse->list[k].value, coarse->list[k].error, "1/time", "%s", coarse->list[k].name));
  PetscCall(FPQuantitiesFree(coarse));
  *coarse = q;
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Spectrum(FPObservable obs)
{
  Spectrum *s = (Spectrum *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->known; k++) {
    PetscCall(PetscFree(s->basis[k].function));
    PetscCall(PetscFree2(s->basis[k].rate, s->basis[k].frequency));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Pairs_Spectrum(FPObservable obs, PetscInt *pairs)
{
  PetscFunctionBegin;
  *pairs = ((Spectrum *)obs->data)->pairs;
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Spectrum(FPObservable obs)
{
  Spectrum *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = SpectrumParameters;
  obs->ops        = (FPObservableOps){.pairs     = Pairs_Spectrum,
                                      .generator = Generator_Spectrum,
                                      .align     = Align_Spectrum,
                                      .begin     = Begin_Spectrum,
                                      .evaluate  = Evaluate_Spectrum,
                                      .destroy   = Destroy_Spectrum};
  PetscFunctionReturn(0);
}

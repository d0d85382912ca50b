/* spectrum.c: the slowest modes. From a generator: SLEPc's eigenvalues. From particles: the Galerkin eigenproblem of
   the transition operator at a lag tau, C_tau v = mu C_0 v with C_0 = E psi psi^T, C_tau = E psi(0) psi(tau)^T, on
   polynomials and the leading eigenfunctions of a generator where there is one; rate = -log|mu|/tau. Twice the lag
   gives a second answer, and what the two differ by beyond noise enters the error, so a poor basis shows. Source: S.
   Klus et al., J. Nonlinear Sci. 28 (2018). */
#include "observableimpl.h"
#include <petscblaslapack.h>
#include <stdio.h>

#define MAX_BASIS 48
#define LAGS 2
#define CONDITION 1e-9 /* directions of C_0 below this share of its largest eigenvalue are dropped */

/* Eigenfunctions of one process on its grid, [modes][lattice]. */
typedef struct {
  char       process[FP_NAME];
  PetscInt   modes, cells[3], lattice;
  PetscReal *function, fastest; /* fastest: decay rate of the last mode */
  PetscBool  reversible;
} ModeBasis;

typedef struct {
  PetscInt  pairs, degree;
  PetscReal lag;
  /* particles */
  PetscInt         known, size, dim, polynomials, exponent[MAX_BASIS][FP_MAX_DIM];
  ModeBasis        basis[16];
  const ModeBasis *modes; /* for the process at hand; NULL: polynomials only */
  FPMesh           mesh;
  PetscReal        centre[FP_MAX_DIM], scale[FP_MAX_DIM], tau;
  PetscBool        reversible;
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
    if (gap > 0) PetscCall(FPQuantitiesAdd(q, 1 / gap, e / (gap * gap), "time", "relaxation_time"));
  }
  PetscFunctionReturn(0);
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
  ModeBasis       *b = &s->basis[s->known];

  PetscFunctionBegin;
  if (s->known == 16) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetModes(gen, &count, &rate, &frequency, &residual));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(PetscStrncpy(b->process, name, sizeof(b->process)));
  b->modes      = modes - 1;
  b->fastest    = rate[modes - 1];
  b->reversible = info.reversible;
  b->lattice    = 1;
  for (PetscInt a = 0; a < dim; a++) b->lattice *= b->cells[a] = cells[a];
  PetscCall(PetscCalloc1((size_t)b->modes * b->lattice, &b->function));
  for (PetscInt m = 0; m < b->modes; m++) {
    const PetscReal *right, *left;
    PetscReal        norm = 0;

    PetscCall(FPGeneratorGetMode(gen, m + 1, &right, &left));
    for (PetscInt k = 0; k < n; k++) norm += pi[k] * right[k] * right[k];
    for (PetscInt k = 0; k < n; k++) b->function[(size_t)m * b->lattice + node[k]] = right[k] / PetscSqrtReal(norm);
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
    PetscCall(FPResultsField(obs->scene.results, name, "generator", label, dim, shape, field,
                             "eigenfunction of the backward generator, largest value 1", "1"));
  }
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Spectrum(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  Spectrum        *s = (Spectrum *)obs->data;
  const PetscReal *rate, *frequency, *residual;
  PetscInt         count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(gen, &count, &rate, &frequency, &residual));
  count = PetscMin(count, s->pairs + 1);
  PetscCall(AddRates(count, rate, frequency, residual, 0, q));
  if (finest) {
    PetscCall(KeepModes(s, gen, count));
    PetscCall(WriteModes(obs, gen, count));
  }
  PetscFunctionReturn(0);
}

/* All monomials up to the degree, the constant first; fewer in high dimension, so that the basis stays small. */
static void ChooseMonomials(Spectrum *s, PetscInt room)
{
  PetscInt e[FP_MAX_DIM] = {0}, degree = s->degree;

  for (;; degree--) {
    PetscInt count = 1;

    for (PetscInt k = 1; k <= s->dim; k++) count = count * (degree + k) / k;
    if (count <= room || degree == 1) break;
  }
  s->polynomials = 0;
  for (;;) {
    PetscInt total = 0, a = 0;

    for (PetscInt i = 0; i < s->dim; i++) total += e[i];
    if (total <= degree) {
      for (PetscInt i = 0; i < s->dim; i++) s->exponent[s->polynomials][i] = e[i];
      s->polynomials++;
    }
    while (a < s->dim && ++e[a] > degree) e[a++] = 0;
    if (a == s->dim) break;
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

    FPMeshUnmap(s->mesh, a, z[a * FP_BLOCK], &xi);
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

/* psi[size][FP_BLOCK] */
static void EvaluateBasis(const Spectrum *s, const double *z, double *psi)
{
  for (PetscInt m = 0; m < s->polynomials; m++) {
    double *row = psi + m * FP_BLOCK;

    for (PetscInt l = 0; l < FP_BLOCK; l++) row[l] = 1;
    for (PetscInt a = 0; a < s->dim; a++)
      for (PetscInt k = 0; k < s->exponent[m][a]; k++)
        for (PetscInt l = 0; l < FP_BLOCK; l++) row[l] *= (z[a * FP_BLOCK + l] - s->centre[a]) / s->scale[a];
  }
  if (!s->modes) return;
  for (PetscInt l = 0; l < FP_BLOCK; l++) Interpolate(s, z + l, psi + s->polynomials * FP_BLOCK + l);
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
  if (s->modes && s->modes->fastest > 0)
    *tau = 1 / s->modes->fastest;
  else
    *tau = count > 0 && points[0].eigenvalue[s->dim - 1] > 0 ? 1 / points[0].eigenvalue[s->dim - 1] : 1;
  PetscFunctionReturn(0);
}

static PetscErrorCode Begin_Spectrum(FPObservable obs, FPProcess process, PetscReal dt, FPObserver *observer,
                                     PetscBool *used)
{
  Spectrum   *s = (Spectrum *)obs->data;
  const char *name;
  PetscInt    inputs, targets;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, &inputs, &targets));
  s->mesh  = obs->scene.mesh;
  s->modes = s->mesh ? ChooseModes(s, name) : NULL;
  PetscCall(DefaultLag(s, obs->scene.model, &s->tau));
  ChooseMonomials(s, MAX_BASIS - (s->modes ? s->modes->modes : 0));
  s->size       = s->polynomials + (s->modes ? s->modes->modes : 0);
  s->reversible = (PetscBool)(s->modes && s->modes->reversible && !strcmp(s->modes->process, name));
  for (PetscInt a = 0; a < s->dim; a++) {
    const FPBox *box;

    s->centre[a] = 0;
    s->scale[a]  = 1;
    if (!s->mesh) continue;
    PetscCall(FPMeshGetBox(s->mesh, &box));
    s->centre[a] = (box->lower[a] + box->upper[a]) / 2;
    s->scale[a]  = (box->upper[a] - box->lower[a]) / 4;
  }
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
  for (PetscInt i = 0; i < n; i++) root[i] = PetscSqrtReal(C[i * n + i]);
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

/* Rates and frequencies, ascending, from C_0 and C_tau (both [n*n], destroyed); rate[0] is the constant's. */
static PetscErrorCode Rates(PetscInt n, PetscReal C0[], PetscReal Ct[], PetscReal tau, PetscInt wanted,
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
    key[k]    = -log(hypot(re[k], im[k])) / tau;
    sorted[k] = k;
  }
  PetscCall(PetscSortRealWithPermutation(kept, key, sorted));
  for (PetscInt k = 0; k < wanted; k++) {
    rate[k]      = k < kept ? key[sorted[k]] : PETSC_MAX_REAL;
    frequency[k] = k < kept ? PetscAbsReal(atan2(im[sorted[k]], re[sorted[k]])) / tau : 0;
  }
  PetscFunctionReturn(0);
}

/* Modes as numbered by the generator; a row that starts with '~' is the difference between the two lags. */
static PetscErrorCode Evaluate_Spectrum(FPObservable obs, const double sums[], FPQuantities *q)
{
  Spectrum      *s      = (Spectrum *)obs->data;
  const PetscInt square = s->size * s->size, wanted = PetscMin(s->pairs + 1, s->size);
  PetscReal      rate[LAGS][MAX_BASIS], frequency[LAGS][MAX_BASIS];
  PetscReal     *C0, *Ct;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(square, &C0, square, &Ct));
  for (PetscInt lag = 1; lag <= LAGS; lag++) {
    const double *C = sums + lag * square;

    for (PetscInt i = 0; i < square; i++) C0[i] = sums[i] / sums[(LAGS + 1) * square];
    for (PetscInt i = 0; i < s->size; i++)
      for (PetscInt j = 0; j < s->size; j++)
        Ct[i * s->size + j] = (s->reversible ? 0.5 * (C[i * s->size + j] + C[j * s->size + i]) : C[i * s->size + j]) /
                              sums[(LAGS + 1) * square + lag];
    PetscCall(Rates(s->size, C0, Ct, lag * s->tau, wanted, rate[lag - 1], frequency[lag - 1]));
  }
  rate[0][0] = rate[1][0] = 0;
  PetscCall(AddRates(wanted, rate[0], frequency[0], NULL, 1, q));
  for (PetscInt k = 1; k < wanted; k++)
    PetscCall(FPQuantitiesAdd(q, rate[0][k] - rate[1][k], 0, "", "~decay_rate[%d]", (int)k));
  for (PetscInt k = 1; k < wanted; k++)
    PetscCall(FPQuantitiesAdd(q, frequency[0][k] - frequency[1][k], 0, "", "~frequency[%d]", (int)k));
  PetscCall(FPQuantitiesAdd(q, rate[0][1] - rate[1][1], 0, "", "~gap"));
  PetscCall(FPQuantitiesAdd(q, 1 / rate[0][1] - 1 / rate[1][1], 0, "", "~relaxation_time"));
  PetscCall(PetscFree2(C0, Ct));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Spectrum(FPObservable obs)
{
  Spectrum *s = (Spectrum *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->known; k++) PetscCall(PetscFree(s->basis[k].function));
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
                                      .begin     = Begin_Spectrum,
                                      .evaluate  = Evaluate_Spectrum,
                                      .destroy   = Destroy_Spectrum};
  PetscFunctionReturn(0);
}

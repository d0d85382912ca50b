/* spectrum_basis.c: what particles are projected on: polynomials, and the leading eigenfunctions of a generator where
   there is one. A basis borrowed from another process is saturated: where that one hardly ever is, its eigenfunctions
   grow without bound, and a few particles there would decide the answer. So do functions of the process itself, high
   ones, and near a saddle whose noise vanishes: half of a variance may come from a billionth of the law. What share of
   it particles may miss, as they are so seldom in the part that it comes from, is a doubt about the rate; of a mode of
   which they know next to nothing no rate is told, and it is no part of the basis. Without it rates 5 and 6 of an
   Ornstein-Uhlenbeck process, 4096 particles, 15 relaxation times, varied by 1.2 to 1.4 times their errors. */
#include "spectrumimpl.h"

#define SATURATION 5 /* a borrowed basis levels off at this many standard deviations */
#define MISSED 0.2   /* share of a variance with which a mode is next to unknown */

/* A function of the unknowns, over `norm`, on all cells; of a line, which particles are beside by their steps, constant
   across axis `along`, and beyond its ends. */
static void Spread(FPGenerator gen, PetscInt along, const PetscReal f[], PetscReal norm, PetscReal out[])
{
  const PetscInt *cells, *node;
  PetscInt        dim, n, stride = 1, lattice = 1, first;

  (void)FPGeneratorGetGrid(gen, &dim, &cells, NULL);
  (void)FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, NULL);
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

/* rarest[k]: the least probability that the share 2^-(k + 1) of the variance of f comes from */
static PetscErrorCode SetRarest(PetscInt n, const PetscReal pi[], const PetscReal f[], PetscReal rarest[FP_SHARES])
{
  PetscReal *size, all = 0, sum = 0, probability = 0;
  PetscInt  *order;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n, &size, n, &order));
  for (PetscInt k = 0; k < n; k++) {
    size[k]  = -PetscAbsReal(f[k]);
    order[k] = k;
    all += pi[k] * f[k] * f[k];
  }
  PetscCall(PetscSortRealWithPermutation(n, size, order));
  for (PetscInt k = 0; k < FP_SHARES; k++) rarest[k] = 0;
  for (PetscInt i = 0; i < n; i++) {
    probability += pi[order[i]];
    for (PetscInt k = 0; k < FP_SHARES; k++)
      if (sum < ldexp(all, -(int)k - 1)) rarest[k] = probability;
    sum += pi[order[i]] * PetscSqr(f[order[i]]);
  }
  PetscCall(PetscFree2(size, order));
  PetscFunctionReturn(0);
}

/* Keep the eigenfunctions, of variance 1 under the stationary law, as a basis for particles. */
PetscErrorCode FPSpectrumKeepBasis(FPSpectrum *s, FPGenerator gen, PetscInt modes)
{
  const PetscInt  *cells;
  const PetscReal *z, *pi, *rate, *frequency;
  PetscInt         dim, n;
  FPGeneratorInfo  info;
  FPProcess        process;
  const char      *name;
  FPModeBasis     *b = &s->basis[s->known];

  PetscFunctionBegin;
  if (s->known == 16) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorGetModes(gen, NULL, &rate, &frequency, NULL));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetSetting(gen, &b->mesh, NULL, NULL));
  PetscCall(PetscStrncpy(b->process, name, sizeof(b->process)));
  b->modes = modes - 1;
  PetscCall(PetscMalloc3(modes, &b->rate, modes, &b->frequency, b->modes, &b->rarest));
  PetscCall(PetscArraycpy(b->rate, rate, modes));
  PetscCall(PetscArraycpy(b->frequency, frequency, modes));
  b->reversible = info.reversible;
  b->lattice    = 1;
  for (PetscInt a = 0; a < dim; a++) b->lattice *= b->cells[a] = cells[a];
  PetscCall(PetscCalloc1((size_t)b->modes * b->lattice, &b->function));
  for (PetscInt m = 0; m < b->modes; m++) {
    const PetscReal *right;
    PetscReal        norm = 0;

    PetscCall(FPGeneratorGetMode(gen, m + 1, &right, NULL));
    for (PetscInt k = 0; k < n; k++) norm += pi[k] * right[k] * right[k];
    Spread(gen, info.along, right, PetscSqrtReal(norm), b->function + (size_t)m * b->lattice);
    PetscCall(SetRarest(n, pi, right, b->rarest[m]));
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

/* All monomials up to the degree, the constant first; fewer in high dimension, so that the basis stays small: lower
   degrees, and of degree one the first coordinates only. */
static void ChooseMonomials(FPSpectrum *s, PetscInt room)
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
static void Interpolate(const FPSpectrum *s, const double *z, double *psi)
{
  const FPModeBasis *b         = s->modes;
  PetscInt           corner[8] = {0}, corners = 1, stride = 1;
  double             weight[8] = {1};

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
  for (PetscInt m = 0; m < s->own; m++) {
    const PetscReal *f   = b->function + (size_t)s->which[m] * b->lattice;
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
void FPSpectrumEvaluateBasis(const FPSpectrum *s, const double *z, double *psi)
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
  FPScratchRelease(x);
  for (PetscInt l = 0; s->modes && l < FP_BLOCK; l++) Interpolate(s, z + l, own + l);
  for (PetscInt k = 0; s->borrowed && k < s->own * FP_BLOCK; k++) own[k] = Saturated(own[k]);
}

static const FPModeBasis *ChooseModes(const FPSpectrum *s, const char name[])
{
  const FPModeBasis *best = NULL;

  for (PetscInt k = 0; k < s->known; k++) {
    if (!strcmp(s->basis[k].process, name)) return &s->basis[k];
    if (!best || !strcmp(s->basis[k].process, "ald")) best = &s->basis[k];
  }
  return best;
}

/* Polynomials are in coordinates about the middle of the law the basis is borrowed from, else about that of the box. */
static PetscErrorCode ScaleCoordinates(FPSpectrum *s)
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

/* The functions that particles see; mode 0 is constant. */
static void ChooseFunctions(FPSpectrum *s, PetscInt count, PetscReal time)
{
  s->own = 0;
  for (PetscInt k = 0; k < FP_MAX_BASIS; k++) s->missed[k] = 0;
  for (PetscInt m = 0; s->modes && m < s->modes->modes; m++) {
    const PetscReal independent = (PetscReal)count * (1 + time * PetscMax(s->modes->rate[m + 1], 0));
    PetscReal      *missed      = &s->missed[m + 1];

    for (int k = 0; k < FP_SHARES && !s->borrowed; k++)
      *missed = PetscMax(*missed, ldexp(1, -k - 1) / (1 + independent * s->modes->rarest[m][k]));
    if (*missed > MISSED)
      *missed = 1;
    else
      s->which[s->own++] = m;
  }
}

PetscErrorCode FPSpectrumChooseBasis(FPSpectrum *s, FPMesh mesh, const char process[], PetscInt count, PetscReal time)
{
  PetscFunctionBegin;
  s->mesh     = mesh;
  s->modes    = mesh ? ChooseModes(s, process) : NULL;
  s->borrowed = (PetscBool)(s->modes && strcmp(s->modes->process, process));
  ChooseFunctions(s, count, time);
  ChooseMonomials(s, FP_MAX_BASIS - s->own);
  s->size       = s->polynomials + s->own;
  s->reversible = (PetscBool)(s->modes && s->modes->reversible && !s->borrowed);
  PetscCall(ScaleCoordinates(s));
  PetscFunctionReturn(0);
}

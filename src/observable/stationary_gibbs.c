/* stationary_gibbs.c: distances of a stationary law from the Gibbs law. Particles and generator compare KL and TV on
   common bins (kl_gibbs_binned, tv_gibbs_binned; 16 in one dimension, 8 x 8, 6 x 6 x 6); the unbinned numbers are the
   generator's own. w1_p_gibbs: gibbs_distance.c. */
#include "stationaryimpl.h"
#include "variation.h"

#define WIDE 256       /* wide bins, at most: 16, 8 x 8 or 6 x 6 x 6 */
#define SUBDIVISION 12 /* points per bin and axis in the quadrature of the Gibbs law */
#define TINY 1e-280    /* probabilities that are too small for sums of them */

/* ln of the probability of each bin under exp(-V/T) and the model's measure, by the midpoint rule on a fine grid. Far
   out, where jumps lead, the probability itself may be less than any number. */
PetscErrorCode FPStationaryGibbs(const FPStationary *s, PetscReal T, PetscReal p[])
{
  const PetscInt d      = s->dim,
                 points = d == 1   ? SUBDIVISION
                          : d == 2 ? SUBDIVISION * SUBDIVISION
                                   : 216,
                 q      = d == 3 ? 6 : SUBDIVISION;
  double *z, *w, *V, *m, most = -PETSC_MAX_REAL, sum = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(d * points, &z, s->weights * points, &w, points, &V, points, &m));
  for (PetscInt b = 0; b < s->bins.total; b++) {
    double part = 0, least = PETSC_MAX_REAL;

    for (PetscInt k = 0; k < points; k++) {
      PetscInt rest = b, sub = k;

      for (PetscInt a = 0; a < d; a++) {
        z[a * points + k] = s->bins.lower[a] + s->bins.width[a] * (rest % s->bins.count[a] + (sub % q + 0.5) / q);
        rest /= s->bins.count[a];
        sub /= q;
      }
    }
    FPModelPotential(s->model, (int)points, FPWeightsOf(s->model, s->mapped, (int)points, z, w), V);
    FPModelMeasure(s->model, (int)points, z, m);
    for (PetscInt k = 0; k < points; k++) least = PetscMin(least, V[k]);
    for (PetscInt k = 0; k < points; k++) part += m[k] * exp(-(V[k] - least) / T);
    p[b] = log(PetscMax(part, 1e-300)) - least / T;
    most = PetscMax(most, p[b]);
  }
  for (PetscInt b = 0; b < s->bins.total; b++) sum += exp(p[b] - most);
  for (PetscInt b = 0; b < s->bins.total; b++) p[b] -= most + log(sum);
  PetscCall(PetscFree4(z, w, V, m));
  PetscFunctionReturn(0);
}

/* Between probabilities p and exp(log_q). */
static void Distances(PetscInt n, const PetscReal p[], const PetscReal log_q[], PetscReal *kl, PetscReal *tv)
{
  *kl = *tv = 0;
  for (PetscInt k = 0; k < n; k++) {
    if (p[k] > 0) *kl += p[k] * (log(p[k]) - log_q[k]);
    *tv += 0.5 * PetscAbsReal(p[k] - exp(log_q[k]));
  }
}

/* The wide bin of a bin: of twice to four times the width, few enough for particles to know the sign of p - q in most
   of them. Their number: n. */
static PetscInt Widen(const FPBins *bins, PetscInt b, PetscInt *n)
{
  const PetscInt merge = bins->dim < 3 ? 4 : 2;
  PetscInt       to    = 0;

  *n = 1;
  for (PetscInt a = 0; a < bins->dim; a++) {
    to += *n * (b % bins->count[a] / merge);
    *n *= bins->count[a] / merge;
    b /= bins->count[a];
  }
  return to;
}

void FPStationaryBinned(const FPBins *bins, const PetscReal p[], const PetscReal log_q[], PetscReal *kl, PetscReal *tv)
{
  PetscReal wide[WIDE] = {0}, log_wide[WIDE];
  PetscInt  n          = 1;

  for (PetscInt k = 0; k < WIDE; k++) log_wide[k] = -PETSC_MAX_REAL;
  for (PetscInt b = 0; b < bins->total; b++) {
    const PetscInt  to     = Widen(bins, b, &n);
    const PetscReal larger = PetscMax(log_wide[to], log_q[b]);

    wide[to] += p[b];
    log_wide[to] = larger + log(exp(log_wide[to] - larger) + exp(log_q[b] - larger));
  }
  Distances(n, wide, log_wide, kl, tv);
}

void FPStationaryVariation(const FPBins *bins, const PetscReal p[], const PetscReal first[], const PetscReal log_q[],
                           PetscBool all, signed char sign[], PetscReal *tv, PetscReal *doubt)
{
  PetscReal half[2][WIDE] = {{0}}, plain = 0, split = 0;
  PetscInt  n = 1;

  for (PetscInt b = 0; b < bins->total; b++) {
    const PetscInt  to = Widen(bins, b, &n);
    const PetscReal q  = exp(log_q[b]);

    half[0][to] += first[b] - q;
    half[1][to] += 2 * p[b] - first[b] - q;
  }
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal d[2] = {half[0][k], half[1][k]};

    FPVariationAdd(d, all, sign + 3 * k, &plain, &split);
  }
  *tv    = (plain + split) / 2;
  *doubt = (plain - split) / 2;
}

/* What |p - q| summed over cells misses of those in which the sign of p - q, linear there, changes: (G/2 - |D|)^2/G of
   a cell with the difference D of masses that changes by G across it. Where such cells lie changes from grid to grid,
   which no extrapolation sees. */
static PetscErrorCode SignChanges(FPGenerator gen, const PetscReal p[], const PetscReal q[], PetscReal *missed)
{
  const PetscInt  *cells, *node, *unknown;
  const PetscReal *volume;
  PetscInt         dim, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, &volume));
  PetscCall(FPGeneratorGetUnknowns(gen, &unknown));
  *missed = 0;
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal D      = PetscAbsReal(p[k] - q[k]);
    PetscReal       square = 0, G;
    PetscInt        stride = 1;

    for (PetscInt a = 0; a < dim; stride *= cells[a++]) {
      const PetscInt i    = node[k] / stride % cells[a];
      const PetscInt low  = i > 0 ? unknown[node[k] - stride] : -1;
      const PetscInt high = i < cells[a] - 1 ? unknown[node[k] + stride] : -1;

      if (low < 0 || high < 0) continue;
      square += PetscSqr(((p[high] - q[high]) / volume[high] - (p[low] - q[low]) / volume[low]) / 2 * volume[k]);
    }
    G = PetscSqrtReal(square);
    if (D < G / 2) *missed += PetscSqr(G / 2 - D) / G;
  }
  PetscFunctionReturn(0);
}

/* gibbs[n] and its logarithm: the Gibbs law on the n cells whose measures and weights at their centres are given. */
static void GibbsOnCells(const FPStationary *s, PetscInt n, const double weights[], const PetscReal measure[],
                         PetscReal gibbs[], PetscReal log_gibbs[])
{
  PetscReal least = PETSC_MAX_REAL, sum = 0;

  FPModelPotential(s->model, (int)n, weights, log_gibbs);
  for (PetscInt k = 0; k < n; k++) least = PetscMin(least, log_gibbs[k]);
  for (PetscInt k = 0; k < n; k++) sum += gibbs[k] = measure[k] * exp(-(log_gibbs[k] - least) / s->temperature);
  for (PetscInt k = 0; k < n; k++) gibbs[k] /= sum;
  for (PetscInt k = 0; k < n; k++) log_gibbs[k] = log(measure[k]) - (log_gibbs[k] - least) / s->temperature - log(sum);
}

/* KL and TV to the Gibbs law on the generator's own cells, and on the bins: there, where a law of one closed class
   among several is compared, to the Gibbs law of the whole box, as particles are. */
PetscErrorCode FPStationaryDistances(const FPStationary *s, FPGenerator gen, const PetscReal pi[], FPQuantities *q)
{
  FPGeneratorInfo  info;
  const PetscReal *z, *measure;
  PetscReal       *log_gibbs, *w, *gibbs, *binned, *log_binned, kl, tv, missed = 0;
  PetscInt         n, first;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, &measure, NULL));
  PetscCall(
      PetscMalloc5(n, &log_gibbs, s->weights * n, &w, n, &gibbs, s->bins.total, &binned, s->bins.total, &log_binned));
  GibbsOnCells(s, n, FPWeightsOf(s->model, s->mapped, (int)n, z, w), measure, gibbs, log_gibbs);
  Distances(n, pi, log_gibbs, &kl, &tv);
  PetscCall(SignChanges(gen, pi, gibbs, &missed));
  PetscCall(FPQuantitiesAdd(q, kl, 0, "nat", "kl_gibbs"));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0);
  first = q->n;
  PetscCall(FPQuantitiesAdd(q, tv + missed / 2, missed / 16, "1", "tv_gibbs"));
  PetscCall(FPBinsAggregate(&s->bins, gen, 1, pi, binned));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPBinsAggregate(&s->bins, gen, 1, gibbs, log_binned)); /* on the same cells, so that equal laws are equal */
  for (PetscInt b = 0; b < s->bins.total; b++)
    log_binned[b] = info.closed_classes > 1 || log_binned[b] < TINY ? s->gibbs[b] : log(log_binned[b]);
  FPStationaryBinned(&s->bins, binned, log_binned, &kl, &tv);
  PetscCall(FPQuantitiesAdd(q, kl, 0, "nat", "kl_gibbs_binned"));
  PetscCall(FPQuantitiesAdd(q, tv, 0, "1", "tv_gibbs_binned"));
  FPQuantitiesSetSmoothness(q, first, FP_ROUGH, 0);
  PetscCall(PetscFree5(log_gibbs, w, gibbs, binned, log_binned));
  PetscFunctionReturn(0);
}

/* On the cells; where the Gibbs law is not one on the same cells (rank-deficient noise, several closed classes), on the
   bins of p. */
PetscErrorCode FPStationaryTransport(const FPStationary *s, FPGenerator gen, const PetscReal pi[], FPQuantities *q)
{
  FPGeneratorInfo  info;
  const PetscReal *z, *measure;
  PetscReal       *log_gibbs, *w, *gibbs, *M, *line, distance, bias;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, &measure, NULL));
  PetscCall(PetscMalloc4(n, &log_gibbs, s->weights * n, &w, n, &gibbs, s->nm * n, &M));
  PetscCall(PetscCalloc1(s->nm * FP_LINE, &line));
  const double *weights = FPWeightsOf(s->model, s->mapped, (int)n, z, w);
  GibbsOnCells(s, n, weights, measure, gibbs, log_gibbs);
  FPModelMap(s->model, (int)n, weights, M);
  for (PetscInt a = 0; a < s->nm; a++) {
    const PetscBool whole = (PetscBool)(!info.degenerate && info.closed_classes == 1);
    const PetscReal range = FP_LINE * s->lines.width[a];
    char            entry[24];

    PetscCall(FPEntryName(s->model, a, entry));
    PetscCall(FPGibbsLinesFill(&s->lines, a, n, M + a * n, pi, line));
    FPGibbsLinesDistance(&s->lines, a, line, 0, &distance, &bias);
    if (whole) PetscCall(FPLawsDistance(n, M + a * n, pi, gibbs, &distance));
    PetscCall(FPQuantitiesAdd(q, distance, (whole ? 0 : bias) + range * (info.mixing_error + 1e-15), "1", "w1_%s_gibbs",
                              entry));
    FPQuantitiesSetSmoothness(q, q->n - 1, FP_ROUGH, 0);
  }
  PetscCall(PetscFree4(log_gibbs, w, gibbs, M));
  PetscCall(PetscFree(line));
  PetscFunctionReturn(0);
}

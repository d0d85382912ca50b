/* stationary.c: the stationary law (quasi-stationary where something is killed): density, moments, loss (and what other
   laws of the data say, generalisation.c), mass near the walls, distance to Gibbs (stationary_gibbs.c). wall_mass:
   probability of the layer of 1/50 of the box's length along its walls. */
#include "stationaryimpl.h"

#define ROUNDING 1e-13 /* relative, of moments summed over cells with probabilities of an LU solve */
#define WALL_LAYER 0.02
#define SAMPLING 4 /* SGD steps between samples */

/* Accumulator: count, wall, loss, z, z z^T (upper), M, M^2, judges, lines of p, bins, and those of the first half
   of each block. */
enum { COUNT, WALL, LOSS, MOMENTS };

static size_t AccumulatorSize(const FPStationary *s)
{
  return (size_t)(MOMENTS + s->dim + s->dim * (s->dim + 1) / 2 + 2 * s->nm + s->judges.rows +
                  (s->lines.gibbs ? s->nm * FP_LINE : 0) + (s->bounded ? 2 * s->bins.total : 0));
}

static PetscErrorCode SetUp(FPObservable obs, FPProcess process)
{
  FPStationary *s = (FPStationary *)obs->data;
  PetscInt      inputs, targets;
  PetscBool     has;

  PetscFunctionBegin;
  s->process = process;
  s->model   = obs->scene.model;
  s->bounded = (PetscBool)(obs->scene.mesh != NULL);
  if (s->bounded) {
    const FPBox *box;

    PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
    s->box  = *box;
    s->bins = obs->scene.bins;
  }
  PetscCall(FPModelGetSizes(s->model, &s->dim, &inputs, &targets));
  s->nm = inputs * targets;
  PetscCall(FPModelGetParent(s->model, &s->mapped, &s->weights));
  PetscCall(FPModelHasPotential(s->model, &has));
  PetscCall(FPJudgesSetUp(s->model, &s->judges));
  PetscCall(FPProcessGetGibbsTemperature(process, &s->temperature));
  PetscCall(PetscFree(s->gibbs));
  if (s->bounded && has && s->temperature > 0) {
    PetscCall(PetscMalloc1(s->bins.total, &s->gibbs));
    PetscCall(FPStationaryGibbs(s, s->temperature, s->gibbs));
    PetscCall(FPGibbsLinesCreate(s->model, &s->box, s->temperature, &s->lines));
  } else {
    PetscCall(PetscFree(s->lines.gibbs));
  }
  PetscFunctionReturn(0);
}

/* Where there is no distance to a Gibbs law, the row says why. */
static PetscErrorCode AddNoGibbs(FPObservable obs, FPProcess process, const char engine[], const char quantity[])
{
  const FPStationary *s = (const FPStationary *)obs->data;
  FPStable            stable;
  PetscBool           has;

  PetscFunctionBegin;
  if (s->gibbs) PetscFunctionReturn(0);
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(FPModelHasPotential(s->model, &has));
  PetscCall(FPObservableMissing(
      obs, process, engine, quantity, "undefined",
      !has          ? "the model has no potential, so there is no Gibbs law"
      : !s->bounded ? "laws are compared on bins of a box: give mesh_lower and mesh_upper"
      : stable.has  ? "jumps have no temperature: give the process one, to compare its law with the Gibbs law there"
                    : "the process has no Gaussian noise at the minimum, so no Gibbs law belongs to it"));
  PetscFunctionReturn(0);
}

/* Length of the box: coordinates that the law holds at 0 are rounded like it. */
static PetscReal Scale(const FPStationary *s, PetscInt i)
{
  return s->bounded ? s->box.upper[i] - s->box.lower[i] : 0;
}

/* Names and values of the moments, from sums divided by the count; mixing: relative error of the law's shares; wall:
   error of the mass near walls, negative where it is not known. */
static PetscErrorCode AddMoments(const FPStationary *s, const PetscReal m[], PetscReal mixing, PetscReal wall,
                                 FPQuantities *q)
{
  const PetscInt   d    = s->dim;
  const PetscReal *mean = m + MOMENTS, *second = mean + d, *M = second + d * (d + 1) / 2, *M2 = M + s->nm,
                  *judged = M2 + s->nm;
  PetscInt  at            = 0, inputs;
  PetscReal square[FP_MAX_DIM];
  FPData    data;

  PetscFunctionBegin;
  PetscCall(FPModelGetData(s->model, &data));
  PetscCall(FPModelGetSizes(s->model, NULL, &inputs, NULL));
  for (PetscInt i = 0, diagonal = 0; i < d; diagonal += d - i, i++) {
    square[i] = second[diagonal];
    PetscCall(FPQuantitiesAdd(q, mean[i], mixing * (PetscSqrtReal(square[i]) + mixing * Scale(s, i)), "weight",
                              "mean[%d]", (int)i));
  }
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i; j < d; j++)
      PetscCall(FPQuantitiesAdd(q, second[at++] - mean[i] * mean[j],
                                mixing * (PetscSqrtReal(square[i] * square[j]) + mixing * Scale(s, i) * Scale(s, j)),
                                "weight^2", "covariance[%d][%d]", (int)i, (int)j));
  if (data) {
    for (PetscInt a = 0; a < s->nm; a++) {
      char entry[24] = "p";

      if (s->nm > 1) PetscCall(PetscSNPrintf(entry, sizeof(entry), "p[%d][%d]", (int)(a / inputs), (int)(a % inputs)));
      PetscCall(FPQuantitiesAdd(q, M[a], mixing * PetscSqrtReal(M2[a]), "1", "mean_%s", entry));
      PetscCall(FPQuantitiesAdd(q, M2[a] - M[a] * M[a], mixing * M2[a], "1", "variance_%s", entry));
    }
    PetscCall(FPQuantitiesAdd(q, m[LOSS], mixing * m[LOSS], "loss", "loss"));
    for (PetscInt r = 0; r < s->judges.rows; r++)
      PetscCall(FPQuantitiesAdd(q, judged[r], mixing * (s->judges.model[r] ? judged[r] : judged[r - 1] + m[LOSS]),
                                "loss", "%s", s->judges.name[r]));
  }
  if (!s->bounded || wall < 0) PetscFunctionReturn(0);
  PetscCall(FPQuantitiesAdd(q, m[WALL], mixing * m[WALL] + wall, "1", "wall_mass"));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_ROUGH, 0); /* the edge of the layer cuts the cells of each grid elsewhere */
  PetscFunctionReturn(0);
}

static PetscReal LayerShare(const FPStationary *s, PetscInt a, PetscReal centre, PetscReal width)
{
  const PetscReal layer = WALL_LAYER * (s->box.upper[a] - s->box.lower[a]), low = centre - width / 2,
                  high   = centre + width / 2;
  const PetscReal inside = PetscMin(high, s->box.upper[a] - layer) - PetscMax(low, s->box.lower[a] + layer);

  return 1 - PetscMax(0, inside) / width; /* 1 - share of the cell away from both walls */
}

/* m[]: the accumulator's moments under the law pi on the cells. */
static PetscErrorCode GeneratorMoments(const FPStationary *s, FPGenerator gen, const PetscReal pi[], PetscReal m[])
{
  const PetscInt  *cells, *node;
  const PetscReal *z;
  PetscReal       *center[3], *width[3], *M, *loss, *w, *judged;
  const PetscReal *weights;
  PetscInt         dim, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, NULL, NULL));
  PetscCall(PetscMalloc4(s->nm * n, &M, n, &loss, s->weights * n, &w, s->judges.rows * n, &judged));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  weights = FPWeightsOf(s->model, s->mapped, (int)n, z, w);
  FPModelMap(s->model, (int)n, weights, M);
  FPModelLoss(s->model, (int)n, weights, loss);
  FPJudgesLoss(&s->judges, (int)n, weights, loss, judged);
  for (PetscInt k = 0; k < n; k++) {
    PetscInt  at = MOMENTS, rest = node[k];
    PetscReal inner = 1;

    for (PetscInt a = 0; a < dim; a++) {
      inner *= 1 - LayerShare(s, a, center[a][rest % cells[a]], width[a][rest % cells[a]]);
      rest /= cells[a];
    }
    m[COUNT] += pi[k];
    m[WALL] += pi[k] * (1 - inner);
    m[LOSS] += pi[k] * loss[k];
    for (PetscInt i = 0; i < dim; i++) m[at++] += pi[k] * z[i * n + k];
    for (PetscInt i = 0; i < dim; i++)
      for (PetscInt j = i; j < dim; j++) m[at++] += pi[k] * z[i * n + k] * z[j * n + k];
    for (PetscInt a = 0; a < s->nm; a++) {
      m[at + a] += pi[k] * M[a * n + k];
      m[at + s->nm + a] += pi[k] * PetscSqr(M[a * n + k]);
    }
    for (PetscInt r = 0; r < s->judges.rows; r++) m[at + 2 * s->nm + r] += pi[k] * judged[r * n + k];
  }
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  PetscCall(PetscFree4(M, loss, w, judged));
  PetscFunctionReturn(0);
}

/* What wall_mass misses of cells that the edge of the layer cuts, where the law has a slope in them: added to *mass, a
   quarter of it to *doubt. Shares of cells alone would jump with the place of the cut from grid to grid, which no
   extrapolation sees. */
static PetscErrorCode CutCells(const FPStationary *s, FPGenerator gen, const PetscReal pi[], PetscReal *mass,
                               PetscReal *doubt)
{
  const PetscInt  *cells, *node, *unknown;
  const PetscReal *volume;
  PetscReal       *center[3], *width[3];
  PetscInt         dim, n, stride = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, &volume));
  PetscCall(FPGeneratorGetUnknowns(gen, &unknown));
  for (PetscInt a = 0; a < dim; stride *= cells[a++]) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
    for (PetscInt k = 0; k < n; k++) {
      const PetscInt  i     = node[k] / stride % cells[a];
      const PetscReal share = LayerShare(s, a, center[a][i], width[a][i]), inwards = 2 * i < cells[a] ? 1 : -1;
      PetscInt        low, high;
      PetscReal       slope, missed;

      if (share <= 0 || share >= 1 || i == 0 || i == cells[a] - 1) continue;
      low  = unknown[node[k] - stride];
      high = unknown[node[k] + stride];
      if (low < 0 || high < 0) continue;
      slope  = (pi[high] / volume[high] - pi[low] / volume[low]) / 2 * volume[k];
      missed = -inwards * slope * share * (1 - share) / 2;
      *mass += missed;
      *doubt += PetscAbsReal(missed) / 4;
    }
    PetscCall(PetscFree2(center[a], width[a]));
  }
  PetscFunctionReturn(0);
}

/* A transfer operator's law is of nodes: functions go on beyond the last one as between the last two (order 2) or four,
   so that where a law is flat at a wall, 9/8 or 13/12 of the cell there is on its node and as much less on the next.
   What that does to wall_mass is taken off *mass, a quarter of it added to *doubt. */
static PetscErrorCode EndCells(const FPStationary *s, FPGenerator gen, const PetscReal pi[], PetscReal *mass,
                               PetscReal *doubt)
{
  const PetscInt *cells, *node;
  PetscReal       step, *center, *width, moved = 0;
  PetscInt        dim, n, stride = 1;
  FPGeneratorInfo info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &step));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (step == 0) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, NULL));
  for (PetscInt a = 0; a < dim; stride *= cells[a++]) {
    PetscCall(PetscMalloc2(cells[a], &center, cells[a], &width));
    PetscCall(FPGeneratorAxis(gen, a, center, width));
    for (PetscInt k = 0; k < n; k++) {
      const PetscInt i = node[k] / stride % cells[a], next = i == 0 ? 1 : cells[a] - 2;

      if (i > 0 && i < cells[a] - 1) continue;
      moved += pi[k] / (info.order == 4 ? 13 : 9) *
               (LayerShare(s, a, center[i], width[i]) - LayerShare(s, a, center[next], width[next]));
    }
    PetscCall(PetscFree2(center, width));
  }
  *mass -= moved;
  *doubt += PetscAbsReal(moved) / 4;
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Stationary(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  FPStationary    *s = (FPStationary *)obs->data;
  FPProcess        process;
  FPGeneratorInfo  info;
  const PetscReal *pi;
  PetscReal       *m, wall = 0;
  PetscBool        cells;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  cells = (PetscBool)(info.order > 0);
  PetscCall(SetUp(obs, process));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(PetscCalloc1(AccumulatorSize(s), &m));
  PetscCall(GeneratorMoments(s, gen, pi, m));
  if (s->bounded && cells) PetscCall(CutCells(s, gen, pi, &m[WALL], &wall));
  if (s->bounded && cells) PetscCall(EndCells(s, gen, pi, &m[WALL], &wall));
  PetscCall(AddMoments(s, m, info.mixing_error + ROUNDING, cells ? wall : -1, q));
  if (s->temperature > 0) PetscCall(FPQuantitiesAdd(q, s->temperature, 0, "weight^2/time", "gibbs_temperature"));
  if (s->gibbs && !info.degenerate && cells) PetscCall(FPStationaryDistances(s, gen, pi, q));
  if (s->lines.gibbs && cells) PetscCall(FPStationaryTransport(s, gen, pi, q));
  if (finest) {
    if (cells) PetscCall(FPFieldOfCells(obs, gen, "density", pi, PETSC_TRUE, "stationary density", "1/weight^d"));
    if (!cells)
      PetscCall(
          FPObservableMissingOn(obs, gen, "kl_gibbs", "unsupported",
                                "Chebyshev points know means of smooth functions, not laws on cells: transfer_scheme: "
                                "local has densities, distances and wall_mass"));
    if (!info.degenerate && cells) PetscCall(AddNoGibbs(obs, process, FPGeneratorEngine(gen), "kl_gibbs"));
    if (info.degenerate)
      PetscCall(FPObservableMissingOn(obs, gen, "kl_gibbs", "singular",
                                      "D is rank-deficient: the law has no density, KL to the Gibbs law is infinite"));
  }
  PetscCall(PetscFree(m));
  PetscFunctionReturn(0);
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const FPStationary *s = (const FPStationary *)context;
  const PetscInt      d = s->dim;
  double       *w = scratch, *M = w + s->weights * FP_BLOCK, *loss = M + s->nm * FP_BLOCK, *judged = loss + FP_BLOCK;
  const double *z = move->after, *weights = FPWeightsOf(s->model, s->mapped, FP_BLOCK, z, w);
  double       *at = acc + MOMENTS;

  FPModelMap(s->model, FP_BLOCK, weights, M);
  FPModelLoss(s->model, FP_BLOCK, weights, loss);
  FPJudgesLoss(&s->judges, FP_BLOCK, weights, loss, judged);
  acc[COUNT] += FP_BLOCK;
  for (PetscInt l = 0; l < FP_BLOCK; l++) acc[LOSS] += loss[l];
  for (PetscInt i = 0; i < d; i++, at++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) *at += z[i * FP_BLOCK + l];
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i; j < d; j++, at++)
      for (PetscInt l = 0; l < FP_BLOCK; l++) *at += z[i * FP_BLOCK + l] * z[j * FP_BLOCK + l];
  for (PetscInt a = 0; a < s->nm; a++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) {
      at[a] += M[a * FP_BLOCK + l];
      at[s->nm + a] += M[a * FP_BLOCK + l] * M[a * FP_BLOCK + l];
    }
  at += 2 * s->nm;
  for (PetscInt r = 0; r < s->judges.rows; r++, at++)
    for (PetscInt l = 0; l < FP_BLOCK; l++) *at += judged[r * FP_BLOCK + l];
  if (!s->bounded) return;
  for (PetscInt a = 0; a < s->nm && s->lines.gibbs; a++, at += FP_LINE)
    for (PetscInt l = 0; l < FP_BLOCK; l++) at[FPGibbsLinesIndex(&s->lines, a, M[a * FP_BLOCK + l])] += 1;
  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    PetscBool wall = PETSC_FALSE;
    PetscInt  bin;

    for (PetscInt a = 0; a < d; a++) {
      const double layer = WALL_LAYER * (s->box.upper[a] - s->box.lower[a]), x = z[a * FP_BLOCK + l];

      if (x < s->box.lower[a] + layer || x > s->box.upper[a] - layer) wall = PETSC_TRUE;
    }
    acc[WALL] += wall;
    bin = FPBinsIndex(&s->bins, z + l, FP_BLOCK);
    at[bin] += 1;
    if (l < FP_BLOCK / 2) at[s->bins.total + bin] += 2;
  }
}

static PetscErrorCode Begin_Stationary(FPObservable obs, FPProcess process, PetscReal dt,
                                       const FPParticleOptions *options, FPObserver *observer,
                                       PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  FPStationary *s = (FPStationary *)obs->data;
  FPTraining    training;

  PetscFunctionBegin;
  PetscCall(SetUp(obs, process));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPParticlesCount(options, &s->particles));
  s->dt                 = dt;
  s->turn               = 0;
  observer->accumulator = AccumulatorSize(s);
  observer->scratch     = (size_t)(s->weights + s->nm + 1 + s->judges.rows) * FP_BLOCK;
  observer->every       = FPStepsOf(SAMPLING * training.learning_rate, dt);
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* As if each particle were one draw: that bounds the bias. */
static PetscErrorCode ParticleTransport(const FPStationary *s, const PetscReal line[], FPQuantities *q)
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < s->nm; a++) {
    PetscReal distance, bias;
    char      entry[24];

    PetscCall(FPEntryName(s->model, a, entry));
    FPGibbsLinesDistance(&s->lines, a, line, s->particles, &distance, &bias);
    PetscCall(FPQuantitiesAdd(q, distance, 0, "1", "w1_%s_gibbs", entry));
    PetscCall(FPQuantitiesAdd(q, bias, 0, "1", "~w1_%s_gibbs", entry));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Stationary(FPObservable obs, const double sums[], FPQuantities *q)
{
  FPStationary *s    = (FPStationary *)obs->data;
  const size_t  size = AccumulatorSize(s);
  PetscReal    *m;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(size, &m));
  for (size_t k = 0; k < size; k++) m[k] = sums[k] / sums[COUNT];
  PetscCall(AddMoments(s, m, 0, 0, q));
  if (s->gibbs) {
    const PetscReal *first = m + size - s->bins.total, *p = first - s->bins.total;
    PetscReal        kl, tv, doubt;

    if (!s->sign) PetscCall(PetscCalloc1(3 * s->bins.total, &s->sign));
    FPStationaryBinned(&s->bins, p, s->gibbs, &kl, &tv);
    FPStationaryVariation(&s->bins, p, first, s->gibbs, (PetscBool)(s->turn++ % (1 + FP_GROUPS) == 0), s->sign, &tv,
                          &doubt);
    PetscCall(FPQuantitiesAdd(q, kl, 0, "nat", "kl_gibbs_binned"));
    PetscCall(FPQuantitiesAdd(q, tv, 0, "1", "tv_gibbs_binned"));
    PetscCall(FPQuantitiesAdd(q, doubt, 0, "1", "~tv_gibbs_binned"));
    PetscCall(ParticleTransport(s, p - s->nm * FP_LINE, q));
  }
  PetscCall(PetscFree(m));
  PetscFunctionReturn(0);
}

static PetscErrorCode Fields_Stationary(FPObservable obs, const double sums[])
{
  FPStationary *s    = (FPStationary *)obs->data;
  const size_t  size = AccumulatorSize(s);
  PetscReal    *p;
  PetscInt      shape[3];
  const char   *name;

  PetscFunctionBegin;
  PetscCall(AddNoGibbs(obs, s->process, "particles", "kl_gibbs_binned"));
  if (!s->bounded) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(s->bins.total, &p));
  for (PetscInt b = 0; b < s->bins.total; b++) p[b] = sums[size - 2 * s->bins.total + b] / sums[COUNT] / s->bins.volume;
  for (PetscInt a = 0; a < s->dim; a++) shape[s->dim - 1 - a] = s->bins.count[a];
  PetscCall(FPProcessGetName(s->process, &name));
  PetscCall(FPResultsField(obs->scene.results, name, "particles", "density_binned", s->dim, shape, p,
                           "stationary density on bins", "1/weight^d"));
  PetscCall(PetscFree(p));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Stationary(FPObservable obs)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(((FPStationary *)obs->data)->gibbs));
  PetscCall(PetscFree(((FPStationary *)obs->data)->sign));
  PetscCall(PetscFree(((FPStationary *)obs->data)->lines.gibbs));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Stationary(FPObservable obs)
{
  FPStationary *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data = s;
  obs->ops  = (FPObservableOps){.generator = Generator_Stationary,
                                .begin     = Begin_Stationary,
                                .evaluate  = Evaluate_Stationary,
                                .fields    = Fields_Stationary,
                                .destroy   = Destroy_Stationary};
  PetscFunctionReturn(0);
}

/* current_particles.c: the current from particles. Every step deposits its displacement uniformly along its segment, so
   that the mean current through each bin is exact for the simulated chain. */
#include "currentimpl.h"

/* bin[FP_BLOCK]: in which bin each segment begins and ends, as nearly all do; -1: it leaves the one it begins in. */
FP_HOT static void WholeSegments(const FPBins *bins, const double *before, const double *after, int bin[])
{
  for (int l = 0; l < FP_BLOCK; l++) bin[l] = 0;
  for (PetscInt a = bins->dim - 1; a >= 0; a--) {
    const double lower = bins->lower[a], width = bins->width[a], *from = before + a * FP_BLOCK,
                 *to = after + a * FP_BLOCK;
    const int count  = bins->count[a];

    for (int l = 0; l < FP_BLOCK; l++) {
      int i = (int)((from[l] - lower) / width), j = (int)((to[l] - lower) / width);

      i      = i < 0 ? 0 : i < count ? i : count - 1;
      j      = j < 0 ? 0 : j < count ? j : count - 1;
      bin[l] = i == j && bin[l] >= 0 ? bin[l] * count + i : -1;
    }
  }
}

/* Sum over particles of x_i dx_j - x_j dx_i, x half way and from the centre. */
static double Rotation(const FPCurrent *c, PetscInt i, PetscInt j, const FPMove *move)
{
  const double *b = move->before, *e = move->after;
  double        sum = 0;

  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    const PetscInt m = i * FP_BLOCK + l, n = j * FP_BLOCK + l;
    const double   step[] = {e[m] - b[m], e[n] - b[n]};

    sum += (b[m] + 0.5 * step[0] - c->centre[i]) * step[1] - (b[n] + 0.5 * step[1] - c->centre[j]) * step[0];
  }
  return sum;
}

/* A jump in the plane along the axes, the mean over their orders, as the generator routes it (jumpflux.c). Only the
   displacements are of use: the sum of weights is 2. */
static void DepositJump(const FPBins *bins, const double from[], const double step[], double *table)
{
  for (int first = 0; first < 2; first++) {
    const double leg[2] = {first ? 0 : step[0], first ? step[1] : 0}, rest[2] = {step[0] - leg[0], step[1] - leg[1]};
    const double corner[2] = {from[0] + leg[0], from[1] + leg[1]};

    FPDepositAlong(bins, from, leg, 0.5, table);
    FPDepositAlong(bins, corner, rest, 0.5, table);
  }
}

static void Sample(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const FPCurrent *c     = (const FPCurrent *)context;
  const PetscInt   d     = c->dim;
  double          *table = acc + 1 + FPCurrentPairs(d);
  PetscInt         pair  = 1;
  int              bin[FP_BLOCK];

  acc[0] += FP_BLOCK;
  for (PetscInt l = 0; l < FP_BLOCK && c->discrete; l++)
    acc[FPCurrentTable(c) + (size_t)(FPBinsIndex(&c->wide, move->before + l, FP_BLOCK) * c->wide.total +
                                     FPBinsIndex(&c->wide, move->after + l, FP_BLOCK))] += 1;
  WholeSegments(&c->bins, move->before, move->after, bin);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i + 1; j < d; j++) acc[pair++] += Rotation(c, i, j, move);
  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    double from[3], step[3];

    for (PetscInt a = 0; a < d; a++) {
      from[a] = move->before[a * FP_BLOCK + l];
      step[a] = move->after[a * FP_BLOCK + l] - from[a];
    }
    if (bin[l] < 0 && c->jumps)
      DepositJump(&c->bins, from, step, table);
    else if (bin[l] < 0)
      FPDepositAlong(&c->bins, from, step, 1, table);
    else if (d == 2) /* as FPDeposit() does, without loops */
    {
      double *at = table + bin[l] * FPDepositSize(2);

      at[0] += 1;
      at[1] += step[0];
      at[2] += step[1];
      at[3] += step[0] * step[0];
      at[4] += step[0] * step[1];
      at[5] += step[1] * step[1];
    } else
      FPDeposit(table + bin[l] * FPDepositSize(d), d, 1, step);
  }
}

PetscErrorCode FPCurrentParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                       PETSC_UNUSED const FPParticleOptions *options, FPObserver *observer,
                                       PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  FPCurrent  *c = (FPCurrent *)obs->data;
  FPAlgorithm algorithm;
  FPStable    stable;

  PetscFunctionBegin;
  *used = (PetscBool)(obs->scene.mesh != NULL);
  if (!*used) PetscFunctionReturn(0);
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPProcessGetStable(process, &stable));
  c->discrete = (PetscBool)(algorithm != FP_SDE);
  c->process  = process;
  c->bins     = obs->scene.bins;
  c->dim      = c->bins.dim;
  c->jumps    = (PetscBool)(stable.has && c->dim == 2);
  c->dt       = dt;
  FPBinsWiden(&c->bins, &c->wide);
  for (PetscInt a = 0; a < c->dim; a++) c->centre[a] = c->bins.lower[a] + c->bins.width[a] * c->bins.count[a] / 2;
  observer->every       = 1;
  observer->accumulator = FPCurrentTable(c) + (c->discrete ? (size_t)(c->wide.total * c->wide.total) : 0);
  observer->sample      = Sample;
  observer->context     = c;
  PetscFunctionReturn(0);
}

PetscErrorCode FPCurrentEvaluate(FPObservable obs, const double sums[], FPQuantities *q)
{
  FPCurrent     *c = (FPCurrent *)obs->data;
  const PetscInt d = c->dim, total = c->bins.total;
  PetscReal     *p, *J, *Dp, sigma;
  PetscInt       pair = 1;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(total, &p, d * total, &J, d * d * total, &Dp));
  FPCurrentBinnedLaw(c, sums, p, J, Dp);
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = i + 1; j < d; j++)
      PetscCall(
          FPQuantitiesAdd(q, sums[pair++] / (sums[0] * c->dt), 0, "weight^2/time", "rotation[%d][%d]", (int)i, (int)j));
  PetscCall(FPCurrentEntropy(d, total, p, J, Dp, &sigma));
  if (!c->jumps) PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "entropy_production_binned"));
  /* on a line nothing circulates: all of it is where particles start and end, which is not independent by groups */
  if (d == 1) PetscCall(FPQuantitiesAdd(q, sigma, 0, "nat/time", "~entropy_production_binned"));
  if (c->discrete)
    PetscCall(FPQuantitiesAdd(q, FPIrreversibility(c->wide.total, sums + FPCurrentTable(c), sums[0], c->dt), 0,
                              "nat/time", "irreversibility_binned"));
  if (c->levels > 0) {
    const PetscReal *K = c->J[c->levels - 1];

    PetscCall(FPQuantitiesAdd(q, FPCurrentInner(d * total, J, K) / FPCurrentInner(d * total, K, K), 0, "1",
                              "projection[%s]", c->pattern));
    PetscCall(FPQuantitiesAdd(q,
                              FPCurrentInner(d * total, J, K) /
                                  PetscSqrtReal(FPCurrentInner(d * total, K, K) * FPCurrentInner(d * total, J, J)),
                              0, "1", "correlation[%s]", c->pattern));
  }
  PetscCall(PetscFree3(p, J, Dp));
  PetscFunctionReturn(0);
}

PetscErrorCode FPCurrentFields(FPObservable obs, const double sums[])
{
  FPCurrent     *c = (FPCurrent *)obs->data;
  const PetscInt d = c->dim, total = c->bins.total;
  PetscReal     *p, *J, *Dp;
  PetscInt       shape[3];
  const char    *name;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(total, &p, d * total, &J, d * d * total, &Dp));
  FPCurrentBinnedLaw(c, sums, p, J, Dp);
  PetscCall(FPProcessGetName(c->process, &name));
  for (PetscInt a = 0; a < d; a++) shape[d - 1 - a] = c->bins.count[a];
  for (PetscInt a = 0; a < d; a++) {
    char label[FP_NAME];

    for (PetscInt b = 0; b < total; b++) J[a * total + b] /= c->bins.volume;
    PetscCall(PetscSNPrintf(label, sizeof(label), "current_binned_%d", (int)a + 1));
    PetscCall(FPResultsField(obs->scene.results, name, "particles", label, d, shape, J + a * total,
                             "stationary probability current on bins", "1/(weight^(d-1) time)"));
  }
  PetscCall(PetscFree3(p, J, Dp));
  PetscFunctionReturn(0);
}

/* bins.c: the coarse boxes on which engines compare laws and currents. */
#include "observableimpl.h"

PetscErrorCode FPBinsCreate(const FPBox *box, FPBins *bins)
{
  PetscFunctionBegin;
  bins->dim    = box->dim;
  bins->total  = 1;
  bins->volume = 1;
  for (PetscInt a = 0; a < box->dim; a++) {
    bins->count[a] = box->dim == 1 ? 64 : box->dim == 2 ? 32 : 12;
    bins->lower[a] = box->lower[a];
    bins->width[a] = (box->upper[a] - box->lower[a]) / bins->count[a];
    bins->total *= bins->count[a];
    bins->volume *= bins->width[a];
  }
  PetscFunctionReturn(0);
}

/* Bins that the interval (centre, width) of axis a meets, and the share of the interval in each. */
static PetscInt Overlap(const FPBins *bins, PetscInt a, PetscReal centre, PetscReal width, PetscInt *first,
                        PetscReal share[], PetscInt room)
{
  const PetscReal low  = (centre - width / 2 - bins->lower[a]) / bins->width[a],
                  high = (centre + width / 2 - bins->lower[a]) / bins->width[a];
  const PetscInt from  = PetscClipInterval((PetscInt)floor(low + 1e-9), 0, bins->count[a] - 1);
  const PetscInt to    = PetscClipInterval((PetscInt)floor(high - 1e-9), from, bins->count[a] - 1);

  *first = from;
  for (PetscInt i = from; i <= to && i - from < room; i++)
    share[i - from] = from == to ? 1 : (PetscMin(high, i + 1.0) - PetscMax(low, (PetscReal)i)) / (high - low);
  return PetscMin(to - from + 1, room);
}

#define MAX_OVERLAP 64
#define POINTS 16

typedef struct {
  PetscInt   n, room, *first, *bin;
  PetscReal *share;
} Shares;

static PetscErrorCode AddShare(Shares *s, PetscInt bin, PetscReal share)
{
  PetscFunctionBegin;
  if (s->n == s->room) {
    s->room = 2 * s->room + 64;
    PetscCall(PetscRealloc(sizeof(PetscInt) * (size_t)s->room, &s->bin));
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)s->room, &s->share));
  }
  s->bin[s->n]     = bin;
  s->share[s->n++] = share;
  PetscFunctionReturn(0);
}

/* A law on a line: the unknown's part of the line, at POINTS places. */
static PetscErrorCode AddLine(const FPBins *bins, FPGenerator gen, PetscInt k, Shares *shares)
{
  PetscFunctionBegin;
  for (PetscInt s = 0; s < POINTS; s++) {
    const PetscReal t = (s + 0.5) / POINTS, u[3] = {t, t, t};
    PetscReal       z[3];
    PetscInt        bin = 0;

    FPGeneratorPointInCell(gen, k, u, z);
    for (PetscInt a = bins->dim - 1; a >= 0; a--)
      bin = bin * bins->count[a] +
            PetscClipInterval((PetscInt)floor((z[a] - bins->lower[a]) / bins->width[a]), 0, bins->count[a] - 1);
    PetscCall(AddShare(shares, bin, 1.0 / POINTS));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddCell(const FPBins *bins, PetscInt node, const PetscInt cells[], PetscReal *const center[],
                              PetscReal *const width[], Shares *shares)
{
  PetscInt  first[3] = {0}, count[3] = {1, 1, 1}, rest = node;
  PetscReal share[3][MAX_OVERLAP];

  PetscFunctionBegin;
  share[0][0] = share[1][0] = share[2][0] = 1;
  for (PetscInt a = 0; a < bins->dim; a++) {
    const PetscInt i = rest % cells[a];

    count[a] = Overlap(bins, a, center[a][i], width[a][i], &first[a], share[a], MAX_OVERLAP);
    rest /= cells[a];
  }
  for (PetscInt s = 0; s < count[0] * count[1] * count[2]; s++) {
    const PetscInt i0 = s % count[0], i1 = s / count[0] % count[1], i2 = s / count[0] / count[1];
    PetscInt       bin = first[0] + i0;

    if (bins->dim > 1) bin += bins->count[0] * (first[1] + i1);
    if (bins->dim > 2) bin += bins->count[0] * bins->count[1] * (first[2] + i2);
    PetscCall(AddShare(shares, bin, share[0][i0] * share[1][i1] * share[2][i2]));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPBinsShares(const FPBins *bins, FPGenerator gen, PetscInt **first, PetscInt **bin, PetscReal **share)
{
  const PetscInt *cells, *node;
  PetscReal      *center[3], *width[3];
  PetscInt        dim, n;
  FPGeneratorInfo info;
  Shares          s = {0};

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, NULL));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  PetscCall(PetscMalloc1(n + 1, &s.first));
  for (PetscInt k = 0; k < n; k++) {
    s.first[k] = s.n;
    if (info.along >= 0)
      PetscCall(AddLine(bins, gen, k, &s));
    else
      PetscCall(AddCell(bins, node[k], cells, center, width, &s));
  }
  s.first[n] = s.n;
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  *first = s.first;
  *bin   = s.bin;
  *share = s.share;
  PetscFunctionReturn(0);
}

PetscErrorCode FPBinsAggregate(const FPBins *bins, FPGenerator gen, PetscInt components, const PetscReal field[],
                               PetscReal binned[])
{
  PetscInt   n, *first, *bin;
  PetscReal *share;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPBinsShares(bins, gen, &first, &bin, &share));
  PetscCall(PetscArrayzero(binned, components * bins->total));
  for (PetscInt k = 0; k < n; k++)
    for (PetscInt s = first[k]; s < first[k + 1]; s++)
      for (PetscInt c = 0; c < components; c++) binned[c * bins->total + bin[s]] += share[s] * field[c * n + k];
  PetscCall(PetscFree(first));
  PetscCall(PetscFree(bin));
  PetscCall(PetscFree(share));
  PetscFunctionReturn(0);
}

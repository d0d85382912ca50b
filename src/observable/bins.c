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

/* A law on a line: each unknown's part of the line, at POINTS places. */
static void AggregateLine(const FPBins *bins, FPGenerator gen, PetscInt n, PetscInt components, const PetscReal field[],
                          PetscReal binned[])
{
  for (PetscInt k = 0; k < n; k++)
    for (PetscInt s = 0; s < POINTS; s++) {
      const PetscReal t = (s + 0.5) / POINTS, u[3] = {t, t, t};
      PetscReal       z[3];
      PetscInt        bin = 0;

      FPGeneratorPointInCell(gen, k, u, z);
      for (PetscInt a = bins->dim - 1; a >= 0; a--)
        bin = bin * bins->count[a] +
              PetscClipInterval((PetscInt)floor((z[a] - bins->lower[a]) / bins->width[a]), 0, bins->count[a] - 1);
      for (PetscInt c = 0; c < components; c++) binned[c * bins->total + bin] += field[c * n + k] / POINTS;
    }
}

PetscErrorCode FPBinsAggregate(const FPBins *bins, FPGenerator gen, PetscInt components, const PetscReal field[],
                               PetscReal binned[])
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio, *center[3], *width[3];
  PetscInt         dim, n;
  FPGeneratorInfo  info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  PetscCall(PetscArrayzero(binned, components * bins->total));
  if (info.along >= 0) AggregateLine(bins, gen, n, components, field, binned);
  for (PetscInt k = 0; k < n && info.along < 0; k++) {
    PetscInt  first[3] = {0}, count[3] = {1, 1, 1}, rest = node[k];
    PetscReal share[3][MAX_OVERLAP];

    share[0][0] = share[1][0] = share[2][0] = 1;
    for (PetscInt a = 0; a < dim; a++) {
      const PetscInt i = rest % cells[a];

      count[a] = Overlap(bins, a, center[a][i], width[a][i], &first[a], share[a], MAX_OVERLAP);
      rest /= cells[a];
    }
    for (PetscInt s = 0; s < count[0] * count[1] * count[2]; s++) {
      const PetscInt  i0 = s % count[0], i1 = s / count[0] % count[1], i2 = s / count[0] / count[1];
      const PetscReal part = share[0][i0] * share[1][i1] * share[2][i2];
      PetscInt        bin  = first[0] + i0;

      if (dim > 1) bin += bins->count[0] * (first[1] + i1);
      if (dim > 2) bin += bins->count[0] * bins->count[1] * (first[2] + i2);
      for (PetscInt c = 0; c < components; c++) binned[c * bins->total + bin] += part * field[c * n + k];
    }
  }
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  PetscFunctionReturn(0);
}

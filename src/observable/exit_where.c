/* exit_where.c: where the process leaves the region, from its killed generator Q. The flux at node k is g_k kill_k with
   g = -Q^-T delta_start, the mean time spent at each node; the share of a cell that lies along negative curvature is
   the mean over points of the cell. Jumps land in a set A apart from the region with probability -Q^-1 r, r = Q' 1_A
   with Q' of the process that is not killed, plus, where walls kill, the rate sigma^alpha Gamma(alpha)
   sin(pi alpha/2)/pi distance^-alpha of jumps beyond them. Committor: q = -Q^-1 kill_b with Q of the process killed at
   both boundaries and kill_b what the second one adds. */
#include "exitgenerator.h"
#include <math.h>

#define SUBPOINTS 20 /* per axis and cell */

/* Mean over points of cell `lattice` of: does it lie along negative curvature? */
static PetscReal NegativeShare(const FPExit *e, PetscInt dim, const PetscInt cells[], PetscInt lattice,
                               PetscReal *const center[], PetscReal *const width[])
{
  PetscInt total = 1, in = 0;

  for (PetscInt a = 0; a < dim; a++) total *= SUBPOINTS;
  for (PetscInt k = 0; k < total; k++) {
    PetscInt rest = lattice, sub = k;
    double   z[3];

    for (PetscInt a = 0; a < dim; a++) {
      const PetscInt c = rest % cells[a];

      z[a] = center[a][c] + ((sub % SUBPOINTS + 0.5) / SUBPOINTS - 0.5) * width[a][c];
      rest /= cells[a];
      sub /= SUBPOINTS;
    }
    in += FPExitAlongNegative(e, z, 1);
  }
  return (PetscReal)in / total;
}

/* fraction_negative_curvature of the flux out of the region */
PetscErrorCode FPExitAddNegative(const FPExit *e, FPGenerator gen, const FPExitStencil *s, FPQuantities *q)
{
  const PetscInt  *cells, *node;
  const PetscReal *kill;
  PetscReal       *source, *spent, *center[3], *width[3], out = 0, negative = 0;
  PetscInt         dim, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(gen, NULL, NULL, &kill));
  PetscCall(PetscCalloc2(n, &source, n, &spent));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  for (PetscInt k = 0; k < s->n; k++) source[s->node[k]] += s->weight[k];
  PetscCall(FPGeneratorInvert(gen, PETSC_FALSE, 0, source, spent));
  for (PetscInt k = 0; k < n; k++) {
    if (!(kill[k] > 0)) continue;
    out += spent[k] * kill[k];
    negative += spent[k] * kill[k] * NegativeShare(e, dim, cells, node[k], center, width);
  }
  PetscCall(FPQuantitiesAdd(q, negative / out, 0, "1", "fraction_negative_curvature"));
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  PetscCall(PetscFree2(source, spent));
  PetscFunctionReturn(0);
}

/* landing_above[i]: the probability that what leaves by jumps ends where z_i is larger than at the start. */
PetscErrorCode FPExitAddLanding(const FPExit *e, FPGenerator gen, const FPExitStencil *s, PetscReal mean,
                                FPQuantities *q)
{
  PetscReal *rate, *above, residual;
  PetscInt   dim, n;
  PetscBool  has;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc2(n, &rate, n, &above));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(FPGeneratorKillsAbove(gen, a, e->z[a], rate, &has));
    if (!has) break;
    PetscCall(FPExitSolve(gen, rate, above, &residual));
    PetscCall(FPQuantitiesAdd(q, FPExitAt(s, above), residual * mean, "1", "landing_above[%d]", (int)a));
  }
  PetscCall(PetscFree2(rate, above));
  PetscFunctionReturn(0);
}

/* rate[n]: of jumps from the unknowns of the killed generator to beyond `distance` from its boundary. In one dimension,
   or without walls that kill. */
static PetscErrorCode FarRates(const FPExit *e, FPGenerator gen, FPGenerator killed, const FPBox *walls,
                               PetscReal distance, PetscReal rate[])
{
  const PetscInt  *node, *own, *cells;
  const PetscReal *z, *x, *volume;
  PetscReal       *inside, *product, *lattice, *sigma, ratio, h, beyond[2] = {0, 0};
  FPProcess        process;
  FPStable         stable;
  PetscInt         n, m, dim, total = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  for (PetscInt a = 0; a < dim; a++) total *= cells[a];
  PetscCall(FPGeneratorGetNodes(killed, &m, &own, &x, NULL, &volume));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, NULL, &volume));
  PetscCall(PetscMalloc4(n, &inside, n, &product, total, &lattice, m, &sigma));
  h = PetscPowReal(volume[0], 1.0 / dim);
  FPExitDistance(e->region, walls, (int)n, z, inside);
  for (PetscInt k = 0; k < n; k++) inside[k] = PetscClipInterval((inside[k] - distance) / h + 0.5, 0, 1);
  PetscCall(FPGeneratorApply(gen, PETSC_TRUE, inside, product));
  for (PetscInt k = 0; k < n; k++) lattice[node[k]] = product[k];
  FPProcessStableScale(process, (int)m, x, sigma);
  if (walls) FPRegionDistance(e->region, 1, walls->lower, &beyond[0]);
  if (walls) FPRegionDistance(e->region, 1, walls->upper, &beyond[1]);
  for (int i = 0; i < 2; i++) beyond[i] = PetscMax(0, distance - PetscMax(0, beyond[i]));
  for (PetscInt k = 0; k < m; k++) {
    const PetscReal unit =
        PetscPowReal(sigma[k], stable.alpha) * tgamma(stable.alpha) * sin(PETSC_PI * stable.alpha / 2) / PETSC_PI;

    rate[k] = PetscMax(0, lattice[own[k]]);
    if (!walls) continue;
    rate[k] += unit * PetscPowReal(x[k] - walls->lower[0] + beyond[0], -stable.alpha);
    rate[k] += unit * PetscPowReal(walls->upper[0] - x[k] + beyond[1], -stable.alpha);
  }
  PetscCall(PetscFree4(inside, product, lattice, sigma));
  PetscFunctionReturn(0);
}

/* overshoot[x=..] */
PetscErrorCode FPExitAddOvershoots(FPObservable obs, FPGenerator gen, FPGenerator killed, const FPExitStencil *s,
                                   PetscReal mean, FPQuantities *q)
{
  const FPExit *e = (const FPExit *)obs->data;
  const FPBox  *walls;
  FPProcess     process;
  PetscReal    *rate, *share, residual;
  PetscInt      n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPExitWalls(process, obs->scene.mesh, &walls));
  PetscCall(FPGeneratorGetNodes(killed, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc2(n, &rate, n, &share));
  for (PetscInt k = 0; k < e->overshoot.n && (e->dim == 1 || !walls); k++) {
    PetscCall(FarRates(e, gen, killed, walls, e->overshoot.value[k], rate));
    PetscCall(FPExitSolve(killed, rate, share, &residual));
    PetscCall(
        FPQuantitiesAdd(q, FPExitAt(s, share), residual * mean, "1", "overshoot[x=%g]", (double)e->overshoot.value[k]));
  }
  PetscCall(PetscFree2(rate, share));
  PetscFunctionReturn(0);
}

/* more[unknowns of between]: by what its killing exceeds that of `killed` */
static PetscErrorCode AddedKills(FPGenerator killed, FPGenerator between, PetscInt lattice, PetscReal more[])
{
  const PetscReal *kill, *alone;
  const PetscInt  *node;
  PetscReal       *first;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(lattice, &first));
  PetscCall(FPGeneratorGetNodes(killed, &n, &node, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(killed, NULL, NULL, &alone));
  for (PetscInt k = 0; k < n; k++) first[node[k]] = alone[k];
  PetscCall(FPGeneratorGetNodes(between, &n, &node, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(between, NULL, NULL, &kill));
  for (PetscInt k = 0; k < n; k++) more[k] = PetscMax(0, kill[k] - first[node[k]]);
  PetscCall(PetscFree(first));
  PetscFunctionReturn(0);
}

/* committor: from the start, the probability of meeting the second region before leaving the first */
PetscErrorCode FPExitAddCommittor(const FPExit *e, FPGenerator gen, FPGenerator killed, PetscReal mean, FPQuantities *q)
{
  FPGeneratorOptions const *options;
  FPGenerator               between;
  FPProcess                 process;
  FPRegion                  region;
  FPMesh                    mesh;
  FPExitStencil             s;
  const PetscInt           *node, *cells;
  PetscReal                *second, *committor, residual, step;
  PetscInt                  n, level, dim, lattice = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  for (PetscInt a = 0; a < dim; a++) lattice *= cells[a];
  PetscCall(FPRegionCreateDifference(e->region, e->second, &region));
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, options, e->z, region, &between));
  PetscCall(FPGeneratorGetNodes(between, &n, &node, NULL, NULL, NULL));
  PetscCall(PetscMalloc2(n, &second, n, &committor));
  PetscCall(FPGeneratorGetStep(between, &step));
  if (step > 0 && dim > 1)
    PetscCall(FPGeneratorRatesInto(between, 1, &e->second, second));
  else
    PetscCall(AddedKills(killed, between, lattice, second));
  PetscCall(FPExitSolve(between, second, committor, &residual));
  PetscCall(FPExitBuildStencil(e, between, mesh, &s));
  PetscCall(FPQuantitiesAdd(q, FPExitAt(&s, committor), residual * mean, "1", "committor"));
  PetscCall(PetscFree2(second, committor));
  PetscCall(FPGeneratorDestroy(&between));
  PetscCall(FPRegionDestroy(&region));
  PetscFunctionReturn(0);
}

/* resolution.c: are the cells fine enough for the law? At the minimum it is a Gaussian of variance D/lambda along a
   direction of the Hessian with eigenvalue lambda, so sqrt(tr D/(d lambda_max)) is how narrow it gets: known before any
   work, so that useless meshes are refused. Where D vanishes at the minimum, or coordinates are curved, nothing is
   said. Of the law itself, when it is known: its Fisher information. What bounds make of both: bounds.c. */
#include "runimpl.h"

#define USELESS 3.0 /* widths of the law in one cell that are refused */
#define BLIND 1.5   /* and standard deviations of a step, on a line where the law is as narrow as */
#define BESIDE 0.5  /* that in cells; NOWHERE: however wide it is */
#define NOWHERE 4.0
#define GUESSED 0.8       /* of what a coarser grid says of the finest */
#define MOST_NEGATIVE 0.1 /* of a law of order 4 */
#define LEAST 0.01        /* variance of a step in squared cells, beyond which it is all the same */

PetscErrorCode FPRunWidthsPerCell(FPRunObjects *run, PetscInt p, PetscReal *ratio)
{
  const FPCriticalPoint *points;
  PetscInt               count, dim, weights, cells[FP_MAX_AXES];
  PetscReal              D[FP_MAX_AXES * FP_MAX_AXES], trace = 0, sharpness, spacing;
  PetscBool              mapped, discrete;

  PetscFunctionBegin;
  *ratio = 0;
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  if (discrete && !strcmp(run->generating.transfer.scheme, "chebyshev")) PetscFunctionReturn(0); /* no cells */
  PetscCall(FPModelGetParent(run->model, &mapped, &weights));
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  PetscCall(FPModelGetCriticalPoints(run->model, &count, &points));
  if (mapped || count == 0 || points[0].index > 0) PetscFunctionReturn(0);
  FPProcessDiffusion(run->process[p], 1, points[0].z, D);
  for (PetscInt a = 0; a < dim; a++) trace += D[a * dim + a];
  sharpness = points[0].eigenvalue[dim - 1];
  if (!(trace > 0) || !(sharpness > 0)) PetscFunctionReturn(0);
  PetscCall(FPMeshGetCells(run->mesh, 0, cells, &spacing));
  for (PetscInt a = 0; a < dim; a++) {
    PetscReal xi, z, slope;

    FPMeshUnmap(run->mesh, a, points[0].z[a], &xi);
    if (!(xi > 0 && xi < 1)) {
      *ratio = 0; /* the minimum is not in the box */
      PetscFunctionReturn(0);
    }
    FPMeshMap(run->mesh, a, xi, &z, &slope);
    *ratio = PetscMax(*ratio, slope / cells[a] / PetscSqrtReal(trace / dim / sharpness));
  }
  PetscFunctionReturn(0);
}

/* Square root of the Fisher information of the law's density in units of the cells, the largest over the axes: cell
   over conditional standard deviation where the law is normal, whatever its main axes. sqrt 8 at most, where all mass
   is in single cells. */
static PetscErrorCode Resolution(FPGenerator gen, PetscReal *resolution)
{
  const PetscInt  *cells, *node, *unknown;
  const PetscReal *p;
  PetscInt         dim, n;
  FPGeneratorInfo  info;

  PetscFunctionBegin;
  *resolution = 0;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &p));
  PetscCall(FPGeneratorGetUnknowns(gen, &unknown));
  for (PetscInt a = 0, stride = 1; a < dim; stride *= cells[a++]) {
    PetscReal sum = 0;

    if (info.along >= 0 && a != info.along) continue; /* of a law on a line, one unknown in each layer of cells */
    for (PetscInt k = 0; k < n; k++) {
      const PetscInt at   = node[k] + stride;
      const PetscInt next = info.along >= 0                              ? PetscMin(k + 1, n - 1)
                            : node[k] / stride % cells[a] + 1 < cells[a] ? unknown[at]
                                                                         : -1;

      if (next >= 0) sum += PetscSqr(PetscSqrtReal(PetscMax(p[next], 0)) - PetscSqrtReal(PetscMax(p[k], 0)));
    }
    *resolution = PetscMax(*resolution, 2 * PetscSqrtReal(sum));
  }
  PetscFunctionReturn(0);
}

/* Are the edges of all nodes the same few? Then D is constant, or at least decomposed in one way. */
static PetscErrorCode OneStencil(FPGenerator gen, PetscBool *one)
{
  const FPEdge *edge;
  PetscInt      edges, dim, count = 0;
  short         seen[FP_MAX_OFFSETS][3];

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(gen, &edges, &edge, NULL));
  *one = PETSC_TRUE;
  for (PetscInt s = 0; s < edges; s++) {
    const short *e = edge[s].offset;
    PetscInt     k = 0;

    while (k < count && (e[0] != seen[k][0] || e[1] != seen[k][1] || e[2] != seen[k][2])) k++;
    if (k < count) continue;
    *one = (PetscBool)(count < dim * (dim + 1) / 2);
    if (!*one) break;
    PetscCall(PetscArraycpy(seen[count], e, 3));
    count++;
  }
  PetscFunctionReturn(0);
}

/* Smaller eigenvalue of a covariance, of which d < 2 has one axis */
static PetscReal Narrowest(PetscInt d, const PetscReal c[3])
{
  return d < 2 ? c[0] : (c[0] + c[2]) / 2 - hypot((c[0] - c[2]) / 2, c[1]);
}

/* A cell in standard deviations of one step, along the axes where it is narrowest: as interpolation is off by a power
   of that, the mean of this power under the stationary law. Hats add up to a quarter of a squared cell to a variance, a
   sixth in the mean. */
static PetscErrorCode StepResolution(FPGenerator gen, PetscReal step, PetscReal *resolution)
{
  const FPEdge    *edge;
  const PetscReal *p;
  PetscReal       *m, sum = 0, total = 0;
  PetscInt         edges, dim, n;
  FPGeneratorInfo  info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(gen, &edges, &edge, NULL));
  PetscCall(FPGeneratorStationary(gen, &p));
  if (info.along >= 0) dim = 1;
  PetscCall(PetscCalloc1(5 * n, &m)); /* of each node: two means, three second moments */
  for (PetscInt s = 0; s < edges; s++) {
    const FPEdge   *e = &edge[s];
    const PetscReal x = e->offset[PetscMax(0, info.along)], y = dim > 1 ? e->offset[1] : 0;
    const PetscReal term[5] = {x, y, x * x, x * y, y * y};

    for (PetscInt t = 0; t < 5; t++) {
      m[5 * e->i + t] += e->qij * step * term[t];
      m[5 * e->j + t] += e->qji * step * (t < 2 ? -term[t] : term[t]);
    }
  }
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal *a = m + 5 * k, hats = info.order == 2 ? 1.0 / 6 : 0;
    const PetscReal  c[3] = {a[2] - a[0] * a[0] - hats, a[3] - a[0] * a[1], a[4] - a[1] * a[1] - hats};

    total += PetscMax(p[k], 0);
    sum += PetscMax(p[k], 0) * PetscPowReal(PetscMax(Narrowest(dim, c), LEAST), -0.5 * info.order);
  }
  *resolution = PetscPowReal(sum / total, 1.0 / info.order);
  PetscCall(PetscFree(m));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunRefinement(FPGenerator finest, FPRefinement *grids)
{
  FPGeneratorInfo info;
  FPProcess       process;
  FPModel         model;
  PetscReal       step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(finest, &info));
  PetscCall(FPGeneratorGetStep(finest, &step));
  grids->order      = info.order;
  grids->law        = (PetscBool)(step == 0);
  grids->resolution = grids->steps = 0;
  grids->plain                     = PETSC_TRUE;
  if (info.order > 0) PetscCall(Resolution(finest, &grids->resolution));
  if (step == 0)
    PetscCall(OneStencil(finest, &grids->plain));
  else if (info.order > 0)
    PetscCall(StepResolution(finest, step, &grids->steps));
  PetscCall(FPGeneratorGetProcess(finest, &process));
  PetscCall(FPProcessGetModel(process, &model));
  PetscCall(FPModelGetParent(model, &grids->curved, NULL));
  if (grids->curved) grids->plain = PETSC_FALSE;
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunCheckResolution(FPRunObjects *run, PetscInt p)
{
  PetscReal   ratio;
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPRunWidthsPerCell(run, p, &ratio));
  FPInputCheck(ratio < USELESS,
               "mesh_cells: too coarse for %s: a cell is %.3g times as wide as its law at the minimum; %.2g times the "
               "cells per axis would do, or a map that is fine there",
               name, (double)ratio, (double)(ratio / FP_WIDE));
  PetscFunctionReturn(0);
}

/* Share of the law that a signed matrix makes negative */
static PetscErrorCode Negative(FPGenerator gen, PetscReal *share)
{
  const PetscReal *p;
  PetscReal        below = 0, all = 0;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &p));
  for (PetscInt k = 0; k < n; k++) {
    below -= PetscMin(p[k], 0);
    all += PetscAbsReal(p[k]);
  }
  *share = below / all;
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunCheckSteps(FPRunObjects *run, PetscInt p, FPGenerator gen, PetscReal ratio)
{
  FPRefinement grids;
  PetscReal    negative = 0, wide;
  PetscBool    narrow;
  PetscInt     dim;
  const char  *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPRunRefinement(gen, &grids));
  if (grids.steps == 0) PetscFunctionReturn(0);
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPMeshGetLevels(run->mesh, &grids.levels));
  if (ratio > 1) ratio /= GUESSED;
  if (ratio == 1) PetscCall(Negative(gen, &negative));
  wide   = grids.steps / ratio;
  narrow = (PetscBool)(dim == 1 && grids.resolution / ratio >= BESIDE);
  FPInputCheck(
      negative < MOST_NEGATIVE && wide < (narrow ? BLIND : NOWHERE),
      "mesh_cells: too coarse for %s: a cell is %.3g times as wide as one of its steps%s; %.2g times the cells "
      "per axis would do",
      name, (double)wide, negative < MOST_NEGATIVE ? "" : ", and its law comes out negative",
      (double)PetscMax(wide / FP_WIDE, 1.5));
  if (ratio == 1 && wide > FP_WIDE)
    PetscCall(
        FPResultsWarn(run->results,
                      "the mesh is coarse for %s: a cell is %.2g times as wide as one of its steps; bounds of its "
                      "transfer operator are wide%s",
                      name, (double)wide,
                      grids.levels > 2 ? "" : ", and mesh_refine: 2 would tell more, as two grids agree by accident"));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunWarnResolution(FPRunObjects *run, PetscInt p)
{
  PetscReal   ratio;
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPRunWidthsPerCell(run, p, &ratio));
  if (ratio > FP_WIDE)
    PetscCall(
        FPResultsWarn(run->results,
                      "the mesh is coarse for %s: a cell is %.2g times as wide as its law at the minimum; answers of "
                      "the generator are those of its finest grid, with wide bounds",
                      name, (double)ratio));
  PetscFunctionReturn(0);
}

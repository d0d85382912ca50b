/* generator.c: one grid's Markov chain, from process and mesh to checked rates. */
#include "transfer.h"
#include <stdio.h>

#define FEWEST ((PetscInt)4) /* cells of a region */

static const FPParameter GeneratorParameters[] = {
    {"stencil_width", FP_INT, offsetof(FPGeneratorOptions, stencil_width), "0", 0, 32, NULL, "cells",
     "longest stencil offset; 0: 4 cells for nondegenerate D, growing as the square root of the cells else"},
    {"whole_box", FP_BOOL, offsetof(FPGeneratorOptions, whole), "false", 0, 0, NULL, NULL,
     "rank-deficient D: solve on the whole box, with diffusion added, even where the law lives on a line"},
    {"verify", FP_BOOL, offsetof(FPGeneratorOptions, verify), "false", 0, 0, NULL, NULL,
     "print the worst row sum and the most negative rate of every generator"},
    {0}};

static const FPParameter TransferParameters[] = {
    {"nodes", FP_INT, offsetof(FPTransferOptions, nodes), "12", 2, 64, NULL, "nodes",
     "Gauss-Legendre nodes on every panel of what is no normal variable; of gradients with several directions half of "
     "them, less one, is the number of moments"},
    {"batch_law", FP_CHOICE, offsetof(FPTransferOptions, batch_law), "exact", 0, 0, "exact gaussian", NULL,
     "law of a batch's mean gradient: its own, or the normal law of its mean and covariance, a model to compare with"},
    {"order", FP_INT, offsetof(FPTransferOptions, order), "2", 2, 4, NULL, NULL,
     "2: linear between nodes, a stochastic matrix; 4: cubic, a signed matrix with the same row sums"},
    {"scheme", FP_CHOICE, offsetof(FPTransferOptions, scheme), "local", 0, 0, "local chebyshev", NULL,
     "local: as order says; chebyshev: one polynomial through all nodes, in 1-D, which are then Chebyshev points"},
    {0}};

PetscErrorCode FPGeneratorOptionsRead(FPConfig config, FPGeneratorOptions *options)
{
  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "generator", GeneratorParameters, options));
  PetscCall(FPConfigRead(config, "transfer", TransferParameters, &options->transfer));
  FPInputCheck(options->transfer.order != 3, "transfer_order = 3: accepted are 2 and 4");
  options->transient = PETSC_FALSE;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorList(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(GeneratorParameters, "generator", out));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTransferList(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(TransferParameters, "transfer", out));
  PetscFunctionReturn(0);
}

/* Number of cells on a level; line: along the first axis. */
static PetscErrorCode CountCells(FPMesh mesh, PetscInt level, PetscBool line, PetscReal *n)
{
  const FPBox *box;
  PetscInt     cells[FP_MAX_AXES];
  PetscReal    ratio;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPMeshGetCells(mesh, level, cells, &ratio));
  *n = 1;
  for (PetscInt a = 0; a < (line ? 1 : box->dim); a++) *n *= cells[a];
  PetscFunctionReturn(0);
}

PetscErrorCode FPTransferEstimate(FPMesh mesh, PetscInt level, PetscBool line, PetscReal *bytes)
{
  PetscReal n;

  PetscFunctionBegin;
  PetscCall(CountCells(mesh, level, line, &n));
  *bytes = (12 + sizeof(FPEdge) / 2.0 + 24) * n * n + 1800 * n; /* rows, edges, matrices and factors */
  PetscFunctionReturn(0);
}

/* Rows, stencils and Krylov vectors, plus the factors of a sparse LU: about 72 n log2 n bytes in two dimensions and
   140 n^{4/3} in three for the symmetric case (measured, MUMPS), twice that for the nonsymmetric one. Jumps: see
   stable.c. */
PetscErrorCode FPGeneratorEstimate(FPMesh mesh, PetscInt level, PetscBool symmetric, PetscBool jumps, PetscReal *bytes)
{
  const FPBox *box;
  PetscReal    n;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(CountCells(mesh, level, PETSC_FALSE, &n));
  *bytes = 1800 * n;
  if (box->dim == 2) *bytes += (symmetric ? 1 : 2) * 72 * n * PetscLog2Real(n);
  if (box->dim == 3 && !(symmetric && n > FP_DIRECT_LIMIT))
    *bytes += (symmetric ? 1 : 2) * 140 * PetscPowReal(n, 4.0 / 3);
  if (jumps) *bytes += FPGeneratorJumpsMemory(n, box->dim);
  PetscFunctionReturn(0);
}

/* Rate of what goes beside the edges, between neighbours */
static PetscReal Jump(FPGenerator gen, PetscInt i, PetscInt j)
{
  return gen->jumps ? FPJumpsRate(gen->jumps, i, j) : 0;
}

/* Of the jumps: their rates added to outflow, their row sums to sum. [n] */
static PetscErrorCode AddJumps(FPGenerator gen, PetscReal outflow[], PetscReal sum[])
{
  const PetscReal *out, *kill;
  PetscInt         n;
  PetscReal       *one;

  PetscFunctionBegin;
  if (!gen->jumps) PetscFunctionReturn(0);
  PetscCall(FPJumpsGetOutflow(gen->jumps, &n, &out, &kill));
  PetscCall(PetscMalloc1(n, &one));
  for (PetscInt k = 0; k < n; k++) {
    outflow[k] += out[k];
    one[k] = 1;
  }
  PetscCall(FPGeneratorAddJumps(gen, PETSC_TRUE, 1, one, sum));
  for (PetscInt k = 0; k < n; k++) sum[k] += out[k]; /* which the caller takes away again */
  PetscCall(PetscFree(one));
  PetscFunctionReturn(0);
}

/* The promise of every generator: nonnegative rates and zero row sums, to round-off; of a signed matrix the second. */
static PetscErrorCode CheckMarkov(FPGenerator gen)
{
  PetscReal *sum, *outflow, size = 0;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(gen->n, &sum, gen->n, &outflow));
  gen->info.most_negative_rate = 0;
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    PetscCheck(isfinite(e->qij) && isfinite(e->qji), PETSC_COMM_SELF, PETSC_ERR_FP,
               "generator of grid level %" PetscInt_FMT ": a rate is not finite", gen->level);
    gen->info.most_negative_rate = PetscMin(gen->info.most_negative_rate,
                                            PetscMin(e->qij + Jump(gen, e->i, e->j), e->qji + Jump(gen, e->j, e->i)));
    outflow[e->i] += e->qij;
    outflow[e->j] += e->qji;
    size = PetscMax(size, PetscMax(PetscAbsReal(e->qij), PetscAbsReal(e->qji)));
  }
  PetscCall(AddJumps(gen, outflow, sum));
  for (PetscInt k = 0; k < gen->n; k++) {
    PetscCheck(isfinite(gen->kill[k]) && gen->kill[k] >= 0, PETSC_COMM_SELF, PETSC_ERR_FP,
               "generator of grid level %" PetscInt_FMT ": killed at rate %g", gen->level, (double)gen->kill[k]);
    sum[k] -= outflow[k] + gen->kill[k];
    /* killing faster than all jumps, beside a boundary, puts no rounding into anything slow */
    gen->info.largest_rate = PetscMax(gen->info.largest_rate, outflow[k] + PetscMin(gen->kill[k], outflow[k]));
  }
  if (gen->info.interpolates) gen->info.largest_rate = PetscMax(gen->info.largest_rate, size);
  for (PetscInt s = gen->edges - 1; s >= 0; s--) { /* another order than above, so that rounding shows */
    sum[gen->edge[s].i] += gen->edge[s].qij;
    sum[gen->edge[s].j] += gen->edge[s].qji;
  }
  gen->info.worst_row_sum = 0;
  for (PetscInt k = 0; k < gen->n; k++)
    gen->info.worst_row_sum = PetscMax(gen->info.worst_row_sum, PetscAbsReal(sum[k] + gen->kill[k]) /
                                                                    PetscMax(gen->info.largest_rate, gen->kill[k]));
  PetscCall(PetscFree2(sum, outflow));
  PetscCheck(gen->info.most_negative_rate >= 0 || gen->info.interpolates, PETSC_COMM_SELF, PETSC_ERR_PLIB,
             "negative rate %g", (double)gen->info.most_negative_rate);
  PetscCheck(gen->info.worst_row_sum <= 1e-13, PETSC_COMM_SELF, PETSC_ERR_PLIB, "row sum %g of the largest rate",
             (double)gen->info.worst_row_sum);
  PetscFunctionReturn(0);
}

static PetscErrorCode PrintVerification(FPGenerator gen)
{
  const FPGeneratorInfo *info = &gen->info;
  const char            *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(gen->process, &name));
  PetscCall(PetscPrintf(
      PETSC_COMM_SELF,
      "generator of %s, %" PetscInt_FMT " unknowns, %" PetscInt_FMT " edges (offsets up to %" PetscInt_FMT
      " cells): worst row sum %.1e of the largest rate, most negative rate %g%s%s\n",
      name, info->unknowns, info->edges, info->widest, (double)info->worst_row_sum, (double)info->most_negative_rate,
      info->reversible ? ", reversible" : "", info->degenerate ? ", rank-deficient D" : ""));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUpLattice(FPGenerator gen)
{
  const FPBox *box;
  PetscInt     cells[FP_MAX_AXES];

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  PetscCall(FPMeshGetCells(gen->mesh, gen->level, cells, &gen->ratio));
  gen->dim     = box->dim;
  gen->lattice = 1;
  for (PetscInt a = 0; a < box->dim; a++) {
    gen->cells[a]  = cells[a];
    gen->h[a]      = 1.0 / cells[a];
    gen->stride[a] = gen->lattice;
    gen->lattice *= cells[a];
    if (box->face[2 * a] == FP_ABSORBING || box->face[2 * a + 1] == FP_ABSORBING) gen->absorbing = PETSC_TRUE;
  }
  PetscFunctionReturn(0);
}

/* The first critical point, the minimum; inside the region where there is one. */
static PetscErrorCode DefaultStart(FPGenerator gen, PetscReal start[])
{
  const FPCriticalPoint *points;
  PetscInt               count, k = 0;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(gen->model, &count, &points));
  PetscCheck(count > 0, PETSC_COMM_SELF, PETSC_ERR_PLIB, "the model has no critical point to start from");
  for (; gen->region && k < count; k++) {
    double level;

    FPRegionLevel(gen->region, 1, points[k].z, &level);
    if (level < 0) break;
  }
  FPInputCheck(k < count, "the region contains no critical point to start from; name a start");
  for (PetscInt a = 0; a < gen->dim; a++) start[a] = points[k].z[a];
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckStart(FPGenerator gen)
{
  const FPBox *box;
  double       level;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  for (PetscInt a = 0; a < gen->dim; a++)
    FPInputCheck(gen->start[a] >= box->lower[a] && gen->start[a] <= box->upper[a],
                 "the start lies outside the mesh: coordinate %" PetscInt_FMT " = %g is outside [%g, %g]", a + 1,
                 (double)gen->start[a], (double)box->lower[a], (double)box->upper[a]);
  FPRegionLevel(gen->region, 1, gen->start, &level);
  FPInputCheck(level<0, "the start (%g%s%g) lies outside the region", (double)gen->start[0], gen->dim> 1 ? ", " : "",
               gen->dim > 1 ? (double)gen->start[1] : 0.);
  PetscFunctionReturn(0);
}

static PetscErrorCode BuildEdges(FPGenerator g)
{
  PetscReal *D;
  PetscBool  line = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(g->dim * g->dim * g->n, &D));
  FPProcessDiffusion(g->process, (int)g->n, g->z, D);
  PetscCall(FPGeneratorIsDegenerate(g, D, &g->info.degenerate));
  if (g->info.degenerate) PetscCall(FPGeneratorBuildLine(g, &line));
  if (g->info.degenerate && !line) PetscCall(FPGeneratorBuildDegenerate(g, D));
  if (!g->info.degenerate) PetscCall(FPGeneratorBuildFitted(g, D));
  PetscCall(PetscFree(D));
  PetscFunctionReturn(0);
}

/* Keep the unknowns that the start belongs with. */
static PetscErrorCode Restrict(FPGenerator gen, PetscBool sde)
{
  PetscFunctionBegin;
  if (gen->region) {
    if (sde) PetscCall(FPGeneratorKillOutside(gen));
    PetscCall(FPGeneratorRestrictToReachable(gen, gen->start));
    FPInputCheck(gen->n >= FEWEST,
                 "the region holds %" PetscInt_FMT " of the %" PetscInt_FMT
                 " cells that are needed; choose a larger region or more cells",
                 gen->n, FEWEST);
    gen->info.masked = gen->lattice - gen->n;
    gen->absorbing   = PETSC_TRUE;
  } else if (gen->step > 0 && gen->absorbing) { /* nodes that only walls are reached from are no class */
    PetscCall(FPGeneratorRestrictToReachable(gen, gen->start));
  } else {
    PetscCall(FPGeneratorRestrictToClass(gen, gen->start));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Create(FPProcess process, FPMesh mesh, PetscInt level, const FPGeneratorOptions *options,
                             const PetscReal start[], FPRegion region, FPGenerator *gen)
{
  FPGenerator g;
  FPStable    stable;
  FPAlgorithm algorithm;

  PetscFunctionBegin;
  PetscCall(PetscNew(&g));
  g->process    = process;
  g->mesh       = mesh;
  g->level      = level;
  g->options    = *options;
  g->region     = region;
  g->info.along = -1;
  PetscCall(FPProcessGetModel(process, &g->model));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  if (algorithm != FP_SDE) PetscCall(FPTransferSetMesh(g));
  PetscCall(SetUpLattice(g));
  if (start)
    PetscCall(PetscArraycpy(g->start, start, g->dim));
  else
    PetscCall(DefaultStart(g, g->start));
  if (region) PetscCall(CheckStart(g));
  PetscCall(FPGeneratorBuildNodes(g));
  PetscCall(FPProcessGetStable(process, &stable));
  if (stable.has)
    PetscCall(FPGeneratorBuildStable(g));
  else if (algorithm == FP_SDE)
    PetscCall(BuildEdges(g));
  else
    PetscCall(FPGeneratorBuildTransfer(g));
  if (!stable.has) PetscCall(Restrict(g, (PetscBool)(algorithm == FP_SDE)));
  g->region = NULL;
  if (stable.has)
    PetscCall(FPGeneratorRecogniseSymmetric(g));
  else if (algorithm == FP_SDE)
    PetscCall(FPGeneratorRecogniseReversible(g));
  PetscCall(FPGeneratorDropTails(g, g->start));
  FPInputCheck(g->n > 1,
               "mesh_lower, mesh_upper: on this mesh the law lives in a single cell; accepted are boxes around the "
               "law, with mesh_cells that resolve it");
  PetscCall(CheckMarkov(g));
  g->info.unknowns = g->n;
  g->info.edges    = g->edges;
  if (options->verify) PetscCall(PrintVerification(g));
  *gen = g;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorCreate(FPProcess process, FPMesh mesh, PetscInt level, const FPGeneratorOptions *options,
                                 const PetscReal start[], FPGenerator *gen)
{
  PetscFunctionBegin;
  PetscCall(Create(process, mesh, level, options, start, NULL, gen));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorCreateKilled(FPProcess process, FPMesh mesh, PetscInt level,
                                       const FPGeneratorOptions *options, const PetscReal start[], FPRegion region,
                                       FPGenerator *gen)
{
  PetscFunctionBegin;
  PetscCall(Create(process, mesh, level, options, start, region, gen));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetInfo(FPGenerator gen, FPGeneratorInfo *info)
{
  PetscFunctionBegin;
  *info = gen->info;
  PetscFunctionReturn(0);
}

const char *FPGeneratorEngine(FPGenerator gen)
{
  return gen->step > 0 ? "transfer" : "generator";
}

PetscErrorCode FPGeneratorGetStep(FPGenerator gen, PetscReal *step)
{
  PetscFunctionBegin;
  *step = gen->step;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetBeyond(FPGenerator gen, const PetscReal **beyond)
{
  PetscFunctionBegin;
  *beyond = gen->beyond;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetProcess(FPGenerator gen, FPProcess *process)
{
  PetscFunctionBegin;
  *process = gen->process;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetSetting(FPGenerator gen, FPMesh *mesh, PetscInt *level, const FPGeneratorOptions **options)
{
  PetscFunctionBegin;
  if (mesh) *mesh = gen->mesh;
  if (level) *level = gen->level;
  if (options) *options = &gen->options;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetGrid(FPGenerator gen, PetscInt *dim, const PetscInt **cells, PetscReal *ratio)
{
  PetscFunctionBegin;
  if (dim) *dim = gen->dim;
  if (cells) *cells = gen->cells;
  if (ratio) *ratio = gen->ratio;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetNodes(FPGenerator gen, PetscInt *n, const PetscInt **node, const PetscReal **z,
                                   const PetscReal **measure, const PetscReal **volume)
{
  PetscFunctionBegin;
  if (n) *n = gen->n;
  if (node) *node = gen->node;
  if (z) *z = gen->z;
  if (measure) *measure = gen->measure;
  if (volume) *volume = gen->volume;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetUnknowns(FPGenerator gen, const PetscInt **unknown)
{
  PetscFunctionBegin;
  *unknown = gen->unknown;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetEdges(FPGenerator gen, PetscInt *n, const FPEdge **edge, const PetscReal **kill)
{
  PetscFunctionBegin;
  if (n) *n = gen->edges;
  if (edge) *edge = gen->edge;
  if (kill) *kill = gen->kill;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorAxis(FPGenerator gen, PetscInt axis, PetscReal center[], PetscReal width[])
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < gen->cells[axis]; i++) {
    PetscReal lower, upper, slope;

    FPMeshMap(gen->mesh, axis, i * gen->h[axis], &lower, &slope);
    FPMeshMap(gen->mesh, axis, (i + 1) * gen->h[axis], &upper, &slope);
    FPMeshMap(gen->mesh, axis, (i + 0.5) * gen->h[axis], &center[i], &slope);
    width[i] = upper - lower;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorDetailedBalance(FPGenerator gen, PetscReal *defect)
{
  PetscFunctionBegin;
  PetscCheck(gen->logpi, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "the chain is not reversible");
  *defect = 0;
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge   *e    = &gen->edge[s];
    const PetscReal pi_i = gen->potential ? log(gen->measure[e->i]) - gen->potential[e->i] : gen->logpi[e->i];
    const PetscReal pi_j = gen->potential ? log(gen->measure[e->j]) - gen->potential[e->j] : gen->logpi[e->j];

    *defect = PetscMax(
        *defect, PetscAbsReal(log(e->qij + Jump(gen, e->i, e->j)) + pi_i - log(e->qji + Jump(gen, e->j, e->i)) - pi_j) /
                     PetscMax(1, PetscAbsReal(e->P)));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorDestroy(FPGenerator *gen)
{
  FPGenerator g = *gen;

  PetscFunctionBegin;
  if (!g) PetscFunctionReturn(0);
  PetscCall(FPMeshDestroy(&g->collocation));
  PetscCall(PetscFree(g->unknown));
  PetscCall(PetscFree(g->node));
  PetscCall(PetscFree(g->potential));
  PetscCall(PetscFree4(g->z, g->slope, g->measure, g->volume));
  PetscCall(PetscFree(g->edge));
  PetscCall(PetscFree3(g->kill, g->added, g->capped));
  PetscCall(PetscFree(g->logpi));
  PetscCall(PetscFree(g->beyond));
  PetscCall(PetscFree(g->mu));
  PetscCall(PetscFree3(g->rate, g->frequency, g->residual));
  PetscCall(PetscFree2(g->right, g->left));
  PetscCall(PetscFree(g->stationary));
  PetscCall(PetscFree(g->layer));
  PetscCall(FPGeneratorForget(g));
  PetscCall(FPJumpsDestroy(&g->jumps));
  PetscCall(PetscFree(*gen));
  PetscFunctionReturn(0);
}

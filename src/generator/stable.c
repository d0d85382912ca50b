/* stable.c: generators with stable noise: jumps of jumps.c between all nodes, and edges between neighbours for the
   drift and the Gaussian noise T I. An edge's rates are T/h^2 and central differences of the drift, +-b/2h, so they may
   be negative by less than the jumps to the same neighbour: the chain's rates are never. Where drift is faster than
   both, diffusion is added, just enough for that, and reported; there the scheme is first order.

   Walls that kill lie half a cell from the first node, of which jumps.c knows by the fraction 1/2, as by any other
   fraction at the boundary of a region. Against first nodes at 1/2 + alpha/4 cells this is of the same order with a
   smaller constant: the first eigenvalue of an interval of 1024 nodes is off by 1.3e-6, 6e-7, 2e-8, 6e-7 of it for
   alpha = 0.5, 1, 1.5, 1.9 instead of 4.5e-6, 1.6e-6, 1e-6, 8e-7; and grids are those of other processes.

   The drift takes dead nodes beside a boundary for nodes with the value 0: better, for eigenvalues, than differences
   that are exact for d^(alpha/2), like which solutions vanish at the distance d. With drift their order is between 1.3,
   at alpha = 1.2, and 2. */
#include "generatorimpl.h"

#define DENSE 600       /* unknowns, at most, whose rates are kept as a matrix */
#define TOLERANCE 1e-12 /* of iterative solves */
#define HAIR 1e-12      /* of jump rates that cancel against drift */
#define RESTART 80
#define UNSURE 0.5 /* of a correction */
#define POLE 1e-4  /* of the index from 1, where terms of a formula cancel */
#define TAIL_POINTS 400
#define ASIDE 0.1 /* of the width: sources of jumps beyond the walls are farther inside */

typedef struct {
  FPBoundary boundary;
  PetscReal *cut;          /* [2 dim][n]: in cells; FP_JUMPS_FAR where no boundary is near */
  PetscReal *drift, *rate; /* [dim][n]; sigma^alpha, [n] */
  PetscReal  width[2], T;
  PetscReal *towards; /* [2 dim][n]: rates of the local part towards the neighbours, or of its killing there */
} Local;

static PetscErrorCode CheckMesh(FPGenerator gen, const FPStable *stable)
{
  const FPBox *box;
  const char  *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(gen->process, &name));
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  FPInputCheck(gen->dim <= 2,
               "process %s: its jumps have generators in 1 and 2 dimensions, not in %" PetscInt_FMT
               "; accepted are particles alone",
               name, gen->dim);
  for (PetscInt a = 0; a < gen->dim; a++) {
    for (PetscInt k = 0; k < gen->n; k++)
      FPInputCheck(PetscAbsReal(gen->slope[a * gen->n + k] - gen->slope[a * gen->n]) <= 1e-12 * gen->slope[a * gen->n],
                   "mesh_map: the jumps of process %s need cells of one width; accepted is uniform on every axis",
                   name);
    for (PetscInt side = 0; side < 2; side++)
      FPInputCheck(box->face[2 * a + side] == FP_REFLECTING || stable->boundary == FP_BOUNDARY_KILLED,
                   "mesh_faces: absorbing faces contradict the boundary of process %s; accepted there is %s_boundary: "
                   "killed",
                   name, name);
  }
  PetscFunctionReturn(0);
}

/* How far node k of the whole box is from leaving the region along an axis, in cells, at most `reach`. */
static PetscReal Ahead(FPGenerator gen, const Local *local, PetscInt k, PetscInt axis, PetscInt sign, PetscReal reach)
{
  PetscReal from[2], to[2];

  for (PetscInt b = 0; b < gen->dim; b++) from[b] = to[b] = gen->z[b * gen->n + k];
  to[axis] += sign * reach * local->width[axis];
  return reach * FPRegionLeaves(gen->region, from, to);
}

/* Node k's distances cut[2 dim] to the boundary of the region and to killing walls; outside: by node. In the plane
   those of a node next to a boundary are known to FP_JUMPS_FAR cells, as they tell how it slants. */
static void FindCuts(FPGenerator gen, const Local *local, PetscInt k, const PetscInt outside[], PetscReal cut[])
{
  PetscBool near = PETSC_FALSE;

  for (PetscInt c = 0; c < 2 * gen->dim; c++) {
    const PetscInt  a = c / 2, i = gen->node[k] / gen->stride[a] % gen->cells[a], sign = c % 2 ? 1 : -1;
    const PetscBool wall  = (PetscBool)(i + sign < 0 || i + sign >= gen->cells[a]);
    const PetscReal reach = wall ? 0.5 : 1;

    cut[c] = wall && local->boundary == FP_BOUNDARY_KILLED ? reach : FP_JUMPS_FAR;
    if (gen->region && (wall || outside[gen->unknown[gen->node[k] + sign * gen->stride[a]]])) {
      const PetscReal t = Ahead(gen, local, k, a, sign, reach);

      if (t < reach || !wall) cut[c] = PetscMin(t, 1 - 1e-9);
    }
    if (cut[c] < 1) near = PETSC_TRUE;
  }
  if (!near || !gen->region || gen->dim == 1) return;
  for (PetscInt c = 0; c < 2 * gen->dim; c++)
    if (cut[c] >= 1) cut[c] = PetscMax(1, Ahead(gen, local, k, c / 2, c % 2 ? 1 : -1, FP_JUMPS_FAR));
}

/* Which nodes are outside the region, and the others' distances to its boundary and to killing walls. */
static PetscErrorCode FindBoundary(FPGenerator gen, Local *local)
{
  const PetscInt n = gen->n, d = gen->dim;
  PetscInt      *outside, kept = 0;
  PetscReal     *level, *cut;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(n, &outside, n, &level, 2 * d * n, &cut));
  if (gen->region) FPRegionLevel(gen->region, (int)n, gen->z, level);
  for (PetscInt k = 0; k < n; k++) outside[k] = gen->region && level[k] >= 0;
  for (PetscInt k = 0; k < n; k++) {
    PetscReal at[4];

    if (outside[k]) continue;
    FindCuts(gen, local, k, outside, at);
    for (PetscInt c = 0; c < 2 * d; c++) cut[c * n + kept] = at[c];
    kept++;
  }
  PetscCall(PetscMalloc1(2 * d * kept, &local->cut));
  for (PetscInt c = 0; c < 2 * d; c++) PetscCall(PetscArraycpy(local->cut + c * kept, cut + c * n, kept));
  if (kept < n) PetscCall(FPGeneratorKeep(gen, outside, 0));
  PetscCall(PetscFree3(outside, level, cut));
  PetscFunctionReturn(0);
}

static PetscErrorCode CreateJumps(FPGenerator gen, const FPStable *stable, Local *local)
{
  const PetscInt n = gen->n;
  FPJumpsSetting s = {.dim         = gen->dim,
                      .alpha       = stable->alpha,
                      .independent = stable->independent,
                      .boundary    = stable->boundary,
                      .cut         = local->cut};
  char          *live;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &local->rate));
  FPProcessStableScale(gen->process, (int)n, gen->z, local->rate);
  for (PetscInt k = 0; k < n; k++) {
    FPInputCheck(local->rate[k] > 0,
                 "the scale of the stable noise vanishes at the node %g%s%g; choose cells that put no node there",
                 (double)gen->z[k], gen->dim > 1 ? ", " : "", gen->dim > 1 ? (double)gen->z[n + k] : 0.);
    local->rate[k] = PetscPowReal(local->rate[k], stable->alpha);
  }
  PetscCall(PetscMalloc1(gen->lattice, &live));
  for (PetscInt l = 0; l < gen->lattice; l++) live[l] = gen->unknown[l] >= 0;
  for (PetscInt a = 0; a < gen->dim; a++) {
    s.cells[a] = gen->cells[a];
    s.h[a]     = local->width[a];
  }
  s.live = n < gen->lattice ? live : NULL;
  s.rate = local->rate;
  PetscCall(FPJumpsCreate(&s, &gen->jumps));
  PetscCall(PetscFree(live));
  PetscFunctionReturn(0);
}

/* Rates along axis a at unknown k, below and above: live, dead (of killing), or a wall that reflects. */
static void LocalRates(FPGenerator gen, Local *local, PetscInt k, PetscInt a, PetscReal jump)
{
  const PetscInt  n = gen->n, i = gen->node[k] / gen->stride[a] % gen->cells[a];
  const PetscReal h = local->width[a], b = local->drift[a * n + k] / h, D = local->T / (h * h);
  const PetscReal below = local->cut[2 * a * n + k], above = local->cut[(2 * a + 1) * n + k];
  const PetscBool floor = (PetscBool)(i == 0 && below >= 1), roof = (PetscBool)(i == gen->cells[a] - 1 && above >= 1);
  const PetscBool between = (PetscBool)(below < 1 && above < 1);
  PetscReal       down, up, lacking;

  up   = D / PetscMin(above, 1) + (between ? 0 : b / 2);
  down = D / PetscMin(below, 1) - (between ? 0 : b / 2);
  if (floor) down = 0;
  if (roof) up = 0;
  lacking = PetscMax(floor ? 0 : -down, roof ? 0 : -up) - jump * (1 - HAIR);
  if (lacking > 0) {
    lacking += HAIR * PetscAbsReal(b); /* where drift is so strong that jumps are lost in its rounding */
    if (!floor) down += lacking;
    if (!roof) up += lacking;
    gen->added[k] = PetscMax(gen->added[k], lacking * h * h);
  }
  local->towards[2 * a * n + k]       = down;
  local->towards[(2 * a + 1) * n + k] = up;
}

static PetscErrorCode BuildLocal(FPGenerator gen, const FPStable *stable, Local *local)
{
  const PetscInt   n = gen->n, d = gen->dim;
  const PetscReal *out, *kill;
  PetscInt         same;
  PetscReal        D[4], weight[2], tail[2];

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(d * n, &local->drift, 2 * d * n, &local->towards));
  FPProcessDrift(gen->process, (int)n, gen->z, local->drift);
  FPProcessDiffusion(gen->process, 1, gen->start, D);
  local->T = D[0];
  PetscCall(FPJumpsGetOutflow(gen->jumps, &same, &out, &kill));
  PetscCall(PetscArraycpy(gen->kill, kill, n));
  (void)FPJumpsWeights(stable->alpha, 2, weight, tail);
  for (PetscInt a = 0; a < d; a++)
    for (PetscInt k = 0; k < n; k++) {
      const PetscInt i    = gen->node[k] / gen->stride[a] % gen->cells[a];
      const PetscInt up   = i + 1 < gen->cells[a] ? gen->unknown[gen->node[k] + gen->stride[a]] : -1;
      const PetscInt down = i > 0 ? gen->unknown[gen->node[k] - gen->stride[a]] : -1;
      PetscReal jump = up >= 0 && down >= 0 ? PetscMin(FPJumpsRate(gen->jumps, k, up), FPJumpsRate(gen->jumps, k, down))
                       : up >= 0            ? FPJumpsRate(gen->jumps, k, up)
                       : down >= 0          ? FPJumpsRate(gen->jumps, k, down)
                                            : 0;

      if (up < 0 || down < 0) jump = PetscMin(jump, gen->kill[k] > 0 ? gen->kill[k] : jump);
      LocalRates(gen, local, k, a, jump);
      if (local->cut[2 * a * n + k] < 1) gen->kill[k] += local->towards[2 * a * n + k];
      if (local->cut[(2 * a + 1) * n + k] < 1) gen->kill[k] += local->towards[(2 * a + 1) * n + k];
      gen->kill[k] = PetscMax(gen->kill[k], 0);
    }
  for (PetscInt a = 0; a < d; a++)
    for (PetscInt k = 0; k < n; k++) {
      const short    offset[3] = {(short)(a == 0), (short)(a == 1), 0};
      const PetscInt i         = gen->node[k] / gen->stride[a] % gen->cells[a];
      const PetscInt up        = i + 1 < gen->cells[a] ? gen->unknown[gen->node[k] + gen->stride[a]] : -1;

      if (up < 0) continue;
      PetscCall(FPGeneratorAddEdge(gen, &(FPEdge){.i      = k,
                                                  .j      = up,
                                                  .offset = {offset[0], offset[1], 0},
                                                  .qij    = local->towards[(2 * a + 1) * n + k],
                                                  .qji    = local->towards[2 * a * n + up]}));
    }
  PetscFunctionReturn(0);
}

static PetscErrorCode FindLayers(FPGenerator gen, PetscReal alpha, const PetscReal cut[])
{
  const PetscReal index = PetscAbsReal(alpha - 1) < POLE ? 1 + POLE : alpha;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(gen->n, &gen->layer));
  for (PetscInt c = 0; c < 2; c++)
    for (PetscInt k = 0; k < gen->n; k++)
      if (cut[c * gen->n + k] < 1 && alpha < 2) gen->layer[k] += FPJumpsLayer(index, cut[c * gen->n + k], gen->n / 2.0);
  PetscFunctionReturn(0);
}

/* First-order perturbation of the masses of nodes. Where fractions change from grid to grid what it leaves follows no
   power of the spacing, so a share of it joins the error. */
PetscErrorCode FPGeneratorCorrectRates(FPGenerator gen)
{
  PetscFunctionBegin;
  for (PetscInt m = 0; m < gen->modes && gen->layer; m++) {
    const PetscReal *right = gen->right + (size_t)m * gen->n, *left = gen->left + (size_t)m * gen->n;
    PetscReal        whole = 0, lacking = 0;

    if (gen->frequency[m] > 0) continue;
    for (PetscInt k = 0; k < gen->n; k++) {
      whole += left[k] * right[k];
      lacking += gen->layer[k] * left[k] * right[k];
    }
    gen->residual[m] += UNSURE * PetscAbsReal(gen->rate[m] * lacking / whole);
    gen->rate[m] /= 1 + lacking / whole;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorBuildStable(FPGenerator gen)
{
  FPStable stable;
  Local    local = {0};

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(gen->process, &stable));
  PetscCall(CheckMesh(gen, &stable));
  local.boundary = stable.boundary;
  for (PetscInt a = 0; a < gen->dim; a++) local.width[a] = gen->slope[a * gen->n] * gen->h[a];
  PetscCall(FindBoundary(gen, &local));
  FPInputCheck(gen->n >= 4, "the region holds %" PetscInt_FMT " cells of the grid, too few; choose more cells", gen->n);
  PetscCall(CreateJumps(gen, &stable, &local));
  PetscCall(BuildLocal(gen, &stable, &local));
  if (gen->dim == 1) PetscCall(FindLayers(gen, stable.alpha, local.cut));
  gen->home = FPGeneratorNearest(gen, gen->start);
  if (gen->region || stable.boundary == FP_BOUNDARY_KILLED) gen->absorbing = PETSC_TRUE;
  gen->info.closed_classes = gen->region ? 0 : 1;
  gen->info.masked         = gen->lattice - gen->n;
  gen->info.widest         = 1;
  PetscCall(PetscFree(local.cut));
  PetscCall(PetscFree(local.rate));
  PetscCall(PetscFree2(local.drift, local.towards));
  PetscFunctionReturn(0);
}

/* A matrix, what assembles it and its factors; or, per node, transforms padded to twice the cells (20 and 80 bytes),
   rates and sums (136), half of that again and less for coarser grids, and the vectors of GMRES. */
PetscReal FPGeneratorJumpsMemory(PetscReal n, PetscInt dim)
{
  if (n <= DENSE) return 4 * sizeof(PetscScalar) * n * n;
  return n * (dim == 1 ? 2 * (20 + 136) : 1.4 * (80 + 136)) + n * (RESTART + 2) * sizeof(PetscScalar);
}

/* Minus the local part: edges, and the killing that is not of the jumps; pinned: home is killed besides. */
static PetscErrorCode AssembleLocal(FPGenerator gen, PetscBool pinned, Mat *A)
{
  const PetscReal *out, *kill;
  PetscInt         n;
  PetscReal       *diagonal;
  FPJumpsPairs     pairs;

  PetscFunctionBegin;
  PetscCall(FPJumpsGetOutflow(gen->jumps, &n, &out, &kill));
  PetscCall(PetscMalloc1(n, &diagonal));
  PetscCall(FPJumpsPairsCreate(gen->edges, &pairs));
  for (PetscInt k = 0; k < n; k++)
    diagonal[k] = gen->kill[k] - kill[k] + (pinned && k == gen->home ? gen->info.largest_rate : 0);
  for (PetscInt s = 0; s < gen->edges; s++) {
    pairs.i[s]   = gen->edge[s].i;
    pairs.j[s]   = gen->edge[s].j;
    pairs.qij[s] = gen->edge[s].qij;
    pairs.qji[s] = gen->edge[s].qji;
  }
  pairs.count = gen->edges;
  PetscCall(FPJumpsAssemble(&pairs, n, diagonal, PETSC_TRUE, A));
  PetscCall(FPJumpsPairsFree(&pairs));
  PetscCall(PetscFree(diagonal));
  PetscFunctionReturn(0);
}

/* Are there jumps and their killing alone? */
static PetscBool JumpsAlone(FPGenerator gen)
{
  const PetscReal *out, *kill;
  PetscInt         n;

  (void)FPJumpsGetOutflow(gen->jumps, &n, &out, &kill);
  for (PetscInt k = 0; k < n; k++)
    if (gen->kill[k] != kill[k]) return PETSC_FALSE;
  for (PetscInt s = 0; s < gen->edges; s++)
    if (gen->edge[s].qij != 0 || gen->edge[s].qji != 0) return PETSC_FALSE;
  return PETSC_TRUE;
}

PetscErrorCode FPGeneratorAssembleStable(FPGenerator gen, PetscReal shift, PetscBool pinned, Mat *A)
{
  Mat local = NULL;

  PetscFunctionBegin;
  if (pinned || !JumpsAlone(gen)) PetscCall(AssembleLocal(gen, pinned, &local));
  if (gen->n <= DENSE)
    PetscCall(FPJumpsCreateMatrix(gen->jumps, local, shift, A));
  else
    PetscCall(FPJumpsCreateOperator(gen->jumps, local, shift, A));
  PetscCall(MatDestroy(&local));
  PetscFunctionReturn(0);
}

/* The same rates both ways: one scale, no drift, and no jumps that walls stop. */
PetscErrorCode FPGeneratorRecogniseSymmetric(FPGenerator gen)
{
  FPStable   stable;
  PetscReal *scale;
  PetscBool  same = PETSC_TRUE;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(gen->process, &stable));
  PetscCall(PetscMalloc1(gen->n, &scale));
  FPProcessStableScale(gen->process, (int)gen->n, gen->z, scale);
  for (PetscInt k = 0; k < gen->n && same; k++) {
    same = (PetscBool)(scale[k] == scale[0]);
    for (PetscInt a = 0; a < gen->dim && stable.boundary == FP_BOUNDARY_CONFINED; a++) {
      const PetscInt i = gen->node[k] / gen->stride[a] % gen->cells[a];

      if (i == 0 || i == gen->cells[a] - 1) same = PETSC_FALSE;
    }
  }
  PetscCall(PetscFree(scale));
  for (PetscInt s = 0; s < gen->edges && same; s++) {
    const FPEdge *e = &gen->edge[s];

    same = (PetscBool)(PetscAbsReal(e->qij - e->qji) <= 4 * PETSC_MACHINE_EPSILON * PetscAbsReal(e->qij));
  }
  gen->info.reversible = same;
  if (!same) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(gen->n, &gen->logpi));
  for (PetscInt k = 0; k < gen->n; k++) gen->logpi[k] = -log((PetscReal)gen->n);
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorSetStablePC(FPGenerator gen, PetscReal shift, PetscBool pinned, PC pc)
{
  const PetscBool whole = (PetscBool)(gen->n == gen->lattice && !pinned && JumpsAlone(gen));
  Mat             A;

  PetscFunctionBegin;
  PetscCall(FPGeneratorAssembleStable(gen, shift, pinned, &A));
  PetscCall(FPJumpsSetPC(A, whole ? FP_JUMPS_TRIGONOMETRIC : FP_JUMPS_MULTIGRID, pc));
  PetscCall(MatDestroy(&A));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorSetStableSolver(FPGenerator gen, PetscReal shift, PetscBool pinned, KSP ksp)
{
  PC pc;

  PetscFunctionBegin;
  PetscCall(KSPGetPC(ksp, &pc));
  if (gen->n <= DENSE) {
    PetscCall(KSPSetType(ksp, KSPPREONLY));
    PetscCall(PCSetType(pc, PCLU));
    PetscFunctionReturn(0);
  }
  PetscCall(KSPSetType(ksp, gen->logpi ? KSPCG : KSPGMRES));
  if (!gen->logpi) PetscCall(KSPGMRESSetRestart(ksp, RESTART));
  PetscCall(KSPSetTolerances(ksp, TOLERANCE, PETSC_DEFAULT, PETSC_DEFAULT, 1000));
  PetscCall(FPGeneratorSetStablePC(gen, shift, pinned, pc));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorAddJumps(FPGenerator gen, PetscBool backward, PetscReal factor, const PetscReal x[],
                                   PetscReal y[])
{
  const PetscReal *out, *kill;
  PetscInt         n;
  PetscReal       *product;

  PetscFunctionBegin;
  if (!gen->jumps) PetscFunctionReturn(0);
  PetscCall(FPJumpsGetOutflow(gen->jumps, &n, &out, &kill));
  PetscCall(PetscMalloc1(n, &product));
  PetscCall(FPJumpsApply(gen->jumps, (PetscBool)!backward, x, product));
  for (PetscInt k = 0; k < n; k++) y[k] += factor * (product[k] + kill[k] * x[k]);
  PetscCall(PetscFree(product));
  PetscFunctionReturn(0);
}

/* Rate at which mass jumps further up than `beyond` from sources at least `aside` of the width below the wall. */
static PetscReal JumpsBeyond(FPGenerator gen, PetscReal sign, PetscReal wall, PetscReal beyond, const PetscReal scale[])
{
  const FPBox *box;
  FPStable     stable;
  PetscReal    sum = 0, c;

  (void)FPMeshGetBox(gen->mesh, &box);
  (void)FPProcessGetStable(gen->process, &stable);
  c = tgamma(1 + stable.alpha) * sin(PETSC_PI * stable.alpha / 2) / PETSC_PI / stable.alpha;
  for (PetscInt k = 0; k < gen->n; k++) {
    const PetscReal inside = sign * (wall - gen->z[k]);

    if (inside < ASIDE * (box->upper[0] - box->lower[0])) continue;
    sum += gen->stationary[k] * c * PetscPowReal(scale[k] / (inside + beyond), stable.alpha);
  }
  return sum;
}

/* What the confined box of a line leaves out: mass beyond a wall drifts back to it, so it is the time of that, the
   integral of dy/|b(y)|, times the rate of jumps beyond y. With substitution y = wall + width s/(1 - s), s in (0, 1).
   Jumps from close to the wall are left out, and so are those from beyond. */
PetscErrorCode FPGeneratorFindTailMass(FPGenerator gen)
{
  const FPBox *box;
  FPStable     stable;
  PetscReal   *scale, width, outside = 0;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(gen->process, &stable));
  gen->info.tail_mass = 0;
  if (!gen->jumps || gen->dim > 1 || gen->absorbing || stable.boundary != FP_BOUNDARY_CONFINED) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  width = box->upper[0] - box->lower[0];
  PetscCall(PetscMalloc1(gen->n, &scale));
  FPProcessStableScale(gen->process, (int)gen->n, gen->z, scale);
  for (PetscInt side = 0; side < 2; side++)
    for (PetscInt q = 0; q < TAIL_POINTS; q++) {
      const PetscReal s = (q + 0.5) / TAIL_POINTS, wall = side ? box->upper[0] : box->lower[0], sign = side ? 1 : -1;
      const PetscReal beyond = width * s / (1 - s), y = wall + sign * beyond;
      PetscReal       b;

      FPProcessDrift(gen->process, 1, &y, &b);
      if (sign * b < 0)
        outside +=
            JumpsBeyond(gen, sign, wall, beyond, scale) / PetscAbsReal(b) * width / PetscSqr(1 - s) / TAIL_POINTS;
      else
        gen->info.tail_mass = 1; /* nothing brings it back */
    }
  if (gen->info.tail_mass == 0) gen->info.tail_mass = outside / (1 + outside);
  PetscCall(PetscFree(scale));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorKillsAbove(FPGenerator gen, PetscInt axis, PetscReal level, PetscReal rate[], PetscBool *has)
{
  const PetscInt n = gen->n, sides = 2 * gen->dim;
  FPStable       stable;
  PetscReal     *value, *dead, *landing, *center, *width;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(gen->process, &stable));
  *has = (PetscBool)(gen->jumps && (gen->dim == 1 || stable.boundary != FP_BOUNDARY_KILLED));
  if (!*has) PetscFunctionReturn(0);
  PetscCall(PetscMalloc5(gen->lattice, &value, n, &dead, sides * n, &landing, gen->cells[axis], &center,
                         gen->cells[axis], &width));
  PetscCall(FPGeneratorAxis(gen, axis, center, width));
  PetscCall(FPJumpsLanding(gen->jumps, landing));
  for (PetscInt l = 0; l < gen->lattice; l++) value[l] = 1;
  PetscCall(FPJumpsDead(gen->jumps, value, dead));
  for (PetscInt l = 0; l < gen->lattice; l++) value[l] = center[l / gen->stride[axis] % gen->cells[axis]] > level;
  PetscCall(FPJumpsDead(gen->jumps, value, rate));
  for (PetscInt k = 0; k < n; k++) {
    PetscReal rest = gen->kill[k] - dead[k];

    for (PetscInt c = 0; c < sides; c++) rest -= landing[c * n + k];
    rate[k] += landing[(2 * axis + 1) * n + k] + (gen->z[axis * n + k] > level ? rest : 0);
  }
  PetscCall(PetscFree5(value, dead, landing, center, width));
  PetscFunctionReturn(0);
}

/* transfer.c: the transfer operator (P f)(z) = E f(z') of a discrete algorithm as a stochastic matrix on the nodes of a
   grid: f between nodes is piecewise linear, and the normal part of a step is integrated exactly against it. Entries
   are kept as edges of rate P_ij/step, mass that is killed as a rate too, so that (P - 1)/step is a generator like any
   other: its Poisson equation, its currents and its entropy production are those of the discrete chain.
   In the plane the law along the gradient noise is a sum of narrow ones, whose steps are products of both axes
   (transferplane.c), and the boundary of a region cuts integrals alone (transferregion.c). Order 2;
   order 4 and Chebyshev collocation interpolate with weights of both signs: the rows sum to the same, but are no
   probabilities. */
#include "transfer.h"

#define SAME 1e-3         /* of the probabilities inside and outside a region together */
#define TINY 1e-17        /* entries below are put on the others */
#define MOST_POINTS 20000 /* on a line in the plane */
#define LATTICE 0.5       /* spacing of laws without density on the finest grid, over the injected noise, at order 2 */
#define FOURTH 0.25       /* the same at order 4 */
#define BATCHES 0.125 /* and of the lattices that batches of rows are put on; one cell at most, or no mesh would do */
#define COLLOCATED 0.0625 /* and beside Chebyshev points, whose own error is far smaller */
#define WIDEST 256        /* standard deviations of the noise that may lie in a cell; beyond it counts as wider, */
#define WIDEST_CUT 16     /* and where a boundary cuts cells */
#define LINE 12           /* points of quadrature between two knots of a line */
#define TAIL 8.7          /* standard deviations */

typedef struct {
  PetscInt  *first, *column; /* [n + 1], [room] */
  PetscReal *value;
  PetscInt   room;
} Rows;

typedef struct {
  FPGenerator gen;
  FPStepLaw   law;
  FPHatAxis  *hats[3];
  FPMixture   mixture, points;
  FPBlocks    blocks; /* of coordinates invariant, else NULL */
  PetscReal  *row;    /* [lattice] */
  PetscInt   *touched, count;
  char       *seen;
  FPPlane     plane;      /* NULL on a line */
  FPLanding   landing[2]; /* in a region in the plane, and outside, else NULL */
  PetscReal  *landed;     /* [lattice] */
  PetscReal   killed;     /* by the row at hand; -1: what is missing of it */
  PetscReal   spacing;    /* of lattices along the gradient noise, over the injected noise */
} Builder;

PetscInt FPTransferOrder(const FPTransferOptions *options)
{
  return strcmp(options->scheme, "chebyshev") ? options->order : 0;
}

PetscErrorCode FPTransferSetMesh(FPGenerator gen)
{
  const FPBox           *box;
  const FPCriticalPoint *points;
  FPStepLaw              law;
  PetscInt               count;
  PetscReal              interval[2];

  PetscFunctionBegin;
  if (FPTransferOrder(&gen->options.transfer) != 0) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  PetscCall(FPStepLawCreate(gen->process, &gen->options.transfer, LATTICE, PETSC_MAX_REAL, &law));
  FPInputCheck(!gen->region, "transfer_scheme: chebyshev answers for whole boxes; exits from regions take local");
  interval[0]      = box->lower[0];
  interval[1]      = box->upper[0];
  gen->info.finite = FPStepLawIsFinite(law);
  if (gen->info.finite) {
    FPInputCheck(box->face[0] == FP_REFLECTING && box->face[1] == FP_REFLECTING,
                 "mesh_faces: absorbing walls cut the functions that finitely many maps keep smooth; accepted here is "
                 "reflecting");
    PetscCall(FPModelGetCriticalPoints(gen->model, &count, &points));
    PetscCheck(count > 0, PETSC_COMM_SELF, PETSC_ERR_PLIB, "the model has no critical point to start from");
    PetscCall(FPStepLawInterval(law, points[0].z[0], box, interval));
  }
  PetscCall(FPStepLawDestroy(&law));
  PetscCall(FPMeshCreateChebyshev(gen->mesh, interval[0], interval[1], &gen->collocation));
  gen->mesh = gen->collocation;
  PetscFunctionReturn(0);
}

/* killed: or with another set that cuts cells */
static PetscErrorCode Begin(FPGenerator gen, PetscBool killed, Builder *b)
{
  const PetscInt order = FPTransferOrder(&gen->options.transfer);
  PetscReal      most  = PETSC_MAX_REAL;
  const FPBox   *box;

  PetscFunctionBegin;
  b->gen     = gen;
  b->spacing = (order == 0 ? COLLOCATED : order == 4 ? FOURTH : LATTICE) * gen->ratio;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  for (PetscInt a = 0; a < gen->dim && order > 0; a++)
    most = PetscMin(most, (box->upper[a] - box->lower[a]) / gen->cells[a]);
  PetscCall(
      FPStepLawCreate(gen->process, &gen->options.transfer, order ? BATCHES * gen->ratio : b->spacing, most, &b->law));
  if (gen->level > 0) FPStepLawCoarsen(b->law);
  for (PetscInt a = 0; a < gen->dim; a++)
    PetscCall(FPHatAxisCreate(gen, a, gen->dim == 1 ? gen->region : NULL, &b->hats[a]));
  if (gen->dim == 2 && gen->info.along < 0)
    PetscCall(FPPlaneCreate(gen, FPStepLawInjected(b->law), killed ? WIDEST_CUT : WIDEST, &b->plane));
  if (gen->info.along >= 0) PetscCall(FPBlocksCreate(gen, b->law, &b->blocks));
  PetscCall(
      PetscCalloc4(gen->lattice, &b->row, gen->lattice, &b->touched, gen->lattice, &b->seen, gen->lattice, &b->landed));
  PetscFunctionReturn(0);
}

static PetscErrorCode End(Builder *b)
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < b->gen->dim; a++) PetscCall(FPHatAxisDestroy(&b->hats[a]));
  PetscCall(FPBlocksDestroy(&b->blocks));
  PetscCall(FPMixtureFree(&b->mixture));
  PetscCall(FPMixtureFree(&b->points));
  for (PetscInt l = 0; l < 2; l++) PetscCall(FPLandingDestroy(&b->landing[l]));
  PetscCall(FPPlaneDestroy(&b->plane));
  PetscCall(FPStepLawDestroy(&b->law));
  PetscCall(PetscFree4(b->row, b->touched, b->seen, b->landed));
  PetscFunctionReturn(0);
}

static void AddEntry(Builder *b, PetscInt at, PetscReal value)
{
  if (!b->seen[at]) b->touched[b->count++] = at;
  b->seen[at] = 1;
  b->row[at] += value;
}

/* Place of a component on the line, in units of `along`, from the first one */
static PetscReal Place(const FPMixture *m, PetscInt d, PetscInt k)
{
  PetscReal product = 0, square = 0;

  for (PetscInt a = 0; a < d; a++) {
    product += (m->at[a][k] - m->at[a][0]) * m->along[a];
    square += PetscSqr(m->along[a]);
  }
  return square > 0 ? product / square : 0;
}

/* Cubics on equally spaced knots: what the components have in them that are as wide as their spacing, by their joint
   density */
static PetscErrorCode AddWide(const FPMixture *m, PetscInt d, PetscInt n, const PetscReal knot[], PetscReal mass[])
{
  const PetscReal                step  = knot[1] - knot[0];
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(LINE / 2);
  PetscReal                     *y, *density, part[LINE], weight[LINE], shape[LINE][FP_TERMS];

  PetscFunctionBegin;
  for (PetscInt q = 0; q < LINE; q++)
    gsl_integration_glfixed_point(q / (LINE / 2) * step / 2, (q / (LINE / 2) + 1) * step / 2, (size_t)(q % (LINE / 2)),
                                  &part[q], &weight[q], table);
  gsl_integration_glfixed_table_free(table);
  PetscCall(PetscMalloc1((n - 1) * LINE, &y));
  PetscCall(PetscCalloc1((n - 1) * LINE, &density));
  for (PetscInt i = 0; i < (n - 1) * LINE; i++) y[i] = knot[i / LINE] + part[i % LINE];
  for (PetscInt k = 0; k < m->n; k++) {
    const PetscReal at = Place(m, d, k), reach = TAIL * m->sd[k];
    const PetscInt  from = (PetscInt)PetscClipInterval((at - reach - knot[0]) / step, 0, n - 1);
    const PetscInt  to   = (PetscInt)PetscClipInterval(PetscCeilReal((at + reach - knot[0]) / step), 0, n - 1);

    if (m->sd[k] >= step && m->weight[k] >= TINY)
      FPPlaneDensity((to - from) * LINE, y + from * LINE, at, m->sd[k], m->weight[k], density + from * LINE);
  }
  for (PetscInt i = 0; i < n - 1; i++) {
    PetscInt node[FP_TERMS];

    FPPlaneNodes(i + 1, n, node);
    for (PetscInt q = 0; q < LINE; q++) {
      if (i < 2 || i == n - 2) FPPlaneShapes(n, knot, i + 1, FP_TERMS, y[i * LINE + q], shape[q]);
      for (PetscInt s = 0; s < FP_TERMS; s++) mass[node[s]] += weight[q] * density[i * LINE + q] * shape[q][s];
    }
  }
  PetscCall(PetscFree(y));
  PetscCall(PetscFree(density));
  PetscFunctionReturn(0);
}

/* Shares of the components on the n knots of the line, and what that adds to the variance: total, added. */
static PetscErrorCode ShareOut(const Builder *b, PetscInt n, const PetscReal knot[], PetscReal mass[], PetscReal *mean,
                               PetscReal *shrink)
{
  const FPMixture *m    = &b->mixture;
  const FPHatAxis *h    = b->hats[0];
  const PetscInt   d    = b->gen->dim;
  const PetscReal  step = knot[1] - knot[0];
  PetscReal       *share, true_square = 0, square = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &share));
  *mean = 0;
  for (PetscInt k = 0; k < m->n; k++) *mean += m->weight[k] * Place(m, d, k);
  for (PetscInt k = 0; k < m->n; k++) {
    const PetscReal at = Place(m, d, k);
    PetscInt        first, last;

    true_square += m->weight[k] * (PetscSqr(at - *mean) + PetscSqr(m->sd[k]));
    if (PetscAbsReal(m->weight[k]) < TINY || (h->order == 4 && m->sd[k] >= step)) continue;
    FPHatShares(knot, n, at, m->sd[k], share, &first, &last);
    for (PetscInt i = first; i <= last; i++) mass[i] += m->weight[k] * share[i];
    if (h->order == 4)
      FPHatCubic(h->rule, knot, n, knot[0], knot[n - 1], m->weight[k], at, m->sd[k], mass, &first, &last);
  }
  if (h->order == 4) PetscCall(AddWide(m, d, n, knot, mass));
  for (PetscInt i = 0; i < n; i++) square += mass[i] * PetscSqr(knot[i] - *mean);
  *shrink = square > 0 ? PetscSqrtReal(true_square / square) : 1;
  PetscCall(PetscFree(share));
  PetscFunctionReturn(0);
}

/* In the plane: the law along the line of the gradient noise as points, close enough for the injected noise to join
   them; hats keep its mean, and drawing them together its variance; cubics keep three moments. */
static PetscErrorCode Discretise(Builder *b)
{
  const FPMixture *m      = &b->mixture;
  FPMixture       *p      = &b->points;
  const PetscInt   d      = b->gen->dim;
  PetscReal        length = 0, low = PETSC_MAX_REAL, high = PETSC_MIN_REAL, step, mean = 0, shrink = 1, *knot, *mass;
  PetscInt         n;

  PetscFunctionBegin;
  p->n   = 0;
  p->dim = d;
  for (PetscInt a = 0; a < d; a++) length = hypot(length, m->along[a]);
  for (PetscInt k = 0; k < m->n; k++) {
    if (PetscAbsReal(m->weight[k]) < TINY) continue;
    low  = PetscMin(low, Place(m, d, k) - TAIL * m->sd[k]);
    high = PetscMax(high, Place(m, d, k) + TAIL * m->sd[k]);
  }
  if (!m->line || (high - low) * length < 1e-9 * m->injected) {
    for (PetscInt k = 0; k < m->n; k++) {
      const PetscReal at[3] = {m->at[0][k], d > 1 ? m->at[1][k] : 0, 0};

      PetscCall(FPMixtureAdd(p, m->weight[k], at, 0));
    }
    PetscFunctionReturn(0);
  }
  step = b->spacing * m->injected / length;
  FPInputCheck((high - low) / step < MOST_POINTS,
               "engine transfer: the gradient noise is %.3g times as wide as the injected noise that joins its parts, "
               "accepted are %d; more training_temperature",
               (double)((high - low) * length / m->injected), MOST_POINTS / 2);
  n = (PetscInt)PetscCeilReal((high - low) / step) + 4;
  PetscCall(PetscMalloc1(n, &knot));
  PetscCall(PetscCalloc1(n, &mass));
  for (PetscInt i = 0; i < n; i++) knot[i] = low + (i - 1.5) * step;
  PetscCall(ShareOut(b, n, knot, mass, &mean, &shrink));
  for (PetscInt i = 0; i < n; i++) {
    const PetscReal t     = mean + (knot[i] - mean) * shrink;
    const PetscReal at[3] = {m->at[0][0] + t * m->along[0], d > 1 ? m->at[1][0] + t * m->along[1] : 0, 0};

    if (PetscAbsReal(mass[i]) > TINY) PetscCall(FPMixtureAdd(p, mass[i], at, 0));
  }
  PetscCall(PetscFree(knot));
  PetscCall(PetscFree(mass));
  PetscFunctionReturn(0);
}

/* The row of node k; beyond: mass that steps out of the box */
static PetscErrorCode BuildRow(Builder *b, PetscInt k, PetscReal *beyond)
{
  FPGenerator gen = b->gen;
  PetscReal   z[3], kept;
  FPMixture  *m = &b->mixture;

  PetscFunctionBegin;
  if (b->blocks) {
    PetscReal *row;

    PetscCall(PetscMalloc1(gen->n, &row));
    PetscCall(FPBlocksRow(b->blocks, k, 0, row, beyond));
    for (PetscInt j = 0; j < gen->n; j++)
      if (row[j] != 0) AddEntry(b, j, row[j]);
    PetscCall(PetscFree(row));
    PetscFunctionReturn(0);
  }
  for (PetscInt a = 0; a < gen->dim; a++) z[a] = gen->z[a * gen->n + k];
  PetscCall(FPStepLawAt(b->law, z, m));
  *beyond = 0;
  if (gen->dim == 1) {
    FPHatAxisClear(b->hats[0]);
    b->hats[0]->beyond = 0;
    for (PetscInt i = 0; i < m->n; i++)
      FPHatAxisAdd(b->hats[0], m->weight[i], m->at[0][i], hypot(m->sd[i] * m->along[0], m->injected));
    *beyond = b->hats[0]->beyond;
    for (PetscInt i = b->hats[0]->low; i <= b->hats[0]->high; i++) AddEntry(b, i, b->hats[0]->weight[i]);
    PetscFunctionReturn(0);
  }
  PetscCall(Discretise(b));
  if (b->landing[0]) {
    PetscCall(FPPlaneStep(b->plane, &b->points, m->normal, gen->absorbing ? 1 : 2, b->landing, NULL, beyond));
    FPLandingCollect(b->landing[0], b->landed, &kept);
    if (!gen->absorbing) FPLandingCollect(b->landing[1], NULL, &b->killed);
  } else {
    PetscCall(FPPlaneStep(b->plane, &b->points, m->normal, 0, NULL, b->landed, beyond));
  }
  for (PetscInt j = 0; j < gen->n; j++)
    if (b->landed[gen->node[j]] != 0) AddEntry(b, j, b->landed[gen->node[j]]);
  PetscFunctionReturn(0);
}

static int CompareInts(const void *a, const void *b)
{
  const PetscInt x = *(const PetscInt *)a, y = *(const PetscInt *)b;

  return (x > y) - (x < y);
}

/* The row, swept of what is nothing, into rows; mass: what it must add up to, unless something is killed. */
static PetscErrorCode StoreRow(Builder *b, PetscInt k, PetscBool killing, Rows *rows)
{
  FPGenerator gen   = b->gen;
  PetscReal   total = 0, kept = 0;
  PetscInt    at = rows->first[k];

  PetscFunctionBegin;
  qsort(b->touched, (size_t)b->count, sizeof(PetscInt), CompareInts);
  if (at + b->count > rows->room) {
    rows->room = PetscMax(2 * rows->room, at + b->count);
    PetscCall(PetscRealloc(sizeof(PetscInt) * (size_t)rows->room, &rows->column));
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)rows->room, &rows->value));
  }
  for (PetscInt i = 0; i < b->count; i++) {
    const PetscInt  to    = b->touched[i];
    const PetscReal value = b->row[to];

    b->row[to]  = 0;
    b->seen[to] = 0;
    total += value;
    if ((gen->info.interpolates ? PetscAbsReal(value) : value) < TINY) continue;
    rows->column[at]  = to;
    rows->value[at++] = value;
    kept += value;
  }
  b->count = 0;
  PetscCheck(PetscAbsReal(total - 1) < 1e-10 || (killing && (total < 1 || gen->info.interpolates)) ||
                 (b->killed >= 0 && PetscAbsReal(total + b->killed - 1) < SAME),
             PETSC_COMM_SELF, PETSC_ERR_PLIB, "a step from node %" PetscInt_FMT " has probability %.15g", k,
             (double)total);
  if (!killing || total > 1) total = 1; /* cubics swing above the share that stays */
  if (b->killed >= 0) total = PetscMax(0, 1 - b->killed);
  for (PetscInt i = rows->first[k]; i < at; i++) rows->value[i] *= total / kept;
  gen->kill[k]       = b->killed >= 0 ? b->killed / gen->step : killing ? PetscMax(0, 1 - total) / gen->step : 0;
  rows->first[k + 1] = at;
  PetscFunctionReturn(0);
}

/* P_ij; 0 where the row has no such entry */
static PetscReal Entry(const Rows *rows, PetscInt i, PetscInt j)
{
  PetscInt low = rows->first[i], high = rows->first[i + 1];

  while (low < high) {
    const PetscInt middle = (low + high) / 2;

    if (rows->column[middle] < j)
      low = middle + 1;
    else
      high = middle;
  }
  return low < rows->first[i + 1] && rows->column[low] == j ? rows->value[low] : 0;
}

static PetscErrorCode AddPair(FPGenerator gen, PetscInt i, PetscInt j, PetscReal pij, PetscReal pji)
{
  FPEdge   e = {.i = i, .j = j, .qij = pij / gen->step, .qji = pji / gen->step};
  PetscInt x = gen->node[i], y = gen->node[j];

  PetscFunctionBegin;
  for (PetscInt a = 0; a < gen->dim; a++) {
    e.offset[a] = (short)(y % gen->cells[a] - x % gen->cells[a]);
    x /= gen->cells[a];
    y /= gen->cells[a];
    gen->info.widest = PetscMax(gen->info.widest, PetscAbsInt(e.offset[a]));
  }
  PetscCall(FPGeneratorAddEdge(gen, &e));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddEdges(FPGenerator gen, const Rows *rows)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < gen->n; i++)
    for (PetscInt s = rows->first[i]; s < rows->first[i + 1]; s++) {
      const PetscInt  j    = rows->column[s];
      const PetscReal back = Entry(rows, j, i);

      if (j > i || (j < i && back == 0)) PetscCall(AddPair(gen, i, j, rows->value[s], back));
    }
  PetscFunctionReturn(0);
}

/* In the plane: unknowns are the nodes that interpolate in the region, some of them beyond its boundary. */
static PetscErrorCode PlaceInRegion(FPGenerator gen, Builder *b)
{
  PetscInt *beyond;

  PetscFunctionBegin;
  PetscCall(FPLandingCreate(b->plane, gen->region, PETSC_FALSE, PETSC_FALSE, &b->landing[0]));
  PetscCall(FPLandingCreate(b->plane, gen->region, PETSC_TRUE, PETSC_TRUE, &b->landing[1]));
  PetscCall(PetscMalloc1(gen->n, &beyond));
  FPLandingNodes(b->landing[0], beyond);
  PetscCall(FPGeneratorKeep(gen, beyond, 0));
  PetscCall(PetscFree(beyond));
  PetscFunctionReturn(0);
}

/* On a line: what is left of the unknowns inside the region */
static PetscErrorCode Restrict(FPGenerator gen)
{
  PetscReal *level;
  PetscInt  *outside;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(gen->n, &level, gen->n, &outside));
  FPRegionLevel(gen->region, (int)gen->n, gen->z, level);
  for (PetscInt k = 0; k < gen->n; k++) outside[k] = level[k] >= 0;
  PetscCall(FPGeneratorKeep(gen, outside, 0));
  PetscCall(PetscFree2(level, outside));
  PetscFunctionReturn(0);
}

/* Everything below: all nodes of the box are unknowns, so lattice and unknown indices agree, but for nodes on a line.
 */
PetscErrorCode FPGeneratorBuildTransfer(FPGenerator gen)
{
  Builder   b       = {0};
  Rows      rows    = {0};
  PetscBool killing = (PetscBool)(gen->absorbing || gen->region), mapped;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStep(gen->process, &gen->step));
  gen->info.order        = FPTransferOrder(&gen->options.transfer);
  gen->info.interpolates = (PetscBool)(gen->info.order != 2);
  PetscCall(FPModelGetParent(gen->model, &mapped, NULL));
  if (mapped) PetscCall(FPTransferPlaceOnLine(gen));
  PetscCall(Begin(gen, (PetscBool)(gen->region != NULL), &b));
  b.killed = -1;
  if (gen->region && gen->dim > 1) PetscCall(PlaceInRegion(gen, &b));
  PetscCall(PetscCalloc1(gen->n, &gen->beyond));
  PetscCall(PetscCalloc1(gen->n + 1, &rows.first));
  for (PetscInt k = 0; k < gen->n; k++) {
    PetscCall(BuildRow(&b, k, &gen->beyond[k]));
    PetscCall(StoreRow(&b, k, killing, &rows));
  }
  PetscCall(AddEdges(gen, &rows));
  if (gen->region && gen->dim == 1) PetscCall(Restrict(gen));
  PetscCall(PetscFree(rows.first));
  PetscCall(PetscFree(rows.column));
  PetscCall(PetscFree(rows.value));
  PetscCall(End(&b));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorRatesInto(FPGenerator gen, PetscInt count, const FPRegion set[], PetscReal rate[])
{
  Builder    b = {.killed = -1};
  FPLanding *landing;

  PetscFunctionBegin;
  PetscCheck(gen->step > 0 && gen->dim == 2, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE,
             "steps into sets are those of discrete algorithms in the plane");
  PetscCall(Begin(gen, PETSC_TRUE, &b));
  PetscCall(PetscMalloc1(count, &landing));
  for (PetscInt l = 0; l < count; l++)
    PetscCall(FPLandingCreate(b.plane, set[l], PETSC_FALSE, PETSC_TRUE, &landing[l]));
  for (PetscInt k = 0; k < gen->n; k++) {
    const PetscReal z[3] = {gen->z[k], gen->z[gen->n + k], 0};
    PetscReal       beyond;

    PetscCall(FPStepLawAt(b.law, z, &b.mixture));
    PetscCall(Discretise(&b));
    PetscCall(FPPlaneStep(b.plane, &b.points, b.mixture.normal, count, landing, NULL, &beyond));
    for (PetscInt l = 0; l < count; l++) {
      FPLandingCollect(landing[l], NULL, &rate[l * gen->n + k]);
      rate[l * gen->n + k] /= gen->step;
    }
  }
  for (PetscInt l = 0; l < count; l++) PetscCall(FPLandingDestroy(&landing[l]));
  PetscCall(PetscFree(landing));
  PetscCall(End(&b));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorShares(FPGenerator gen, PetscInt axis, PetscReal mean, PetscReal sd, PetscReal share[])
{
  FPHatAxis *hats;

  PetscFunctionBegin;
  PetscCheck(gen->step > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "an SDE has no step to interpolate for");
  PetscCall(FPHatAxisCreate(gen, axis, NULL, &hats));
  FPHatAxisAdd(hats, 1, mean, sd);
  PetscCall(PetscArraycpy(share, hats->weight, hats->nodes));
  PetscCall(FPHatAxisDestroy(&hats));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTransferCheck(FPProcess process, const FPGeneratorOptions *options)
{
  FPModel   model;
  FPStepLaw law;
  PetscInt  dim;

  PetscFunctionBegin;
  PetscCall(FPProcessGetModel(process, &model));
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  FPInputCheck(dim <= 2,
               "engine transfer: grids of one or two coordinates, not of %" PetscInt_FMT "; accepted are particles",
               dim);
  PetscCall(FPStepLawCreate(process, &options->transfer, LATTICE, PETSC_MAX_REAL, &law));
  PetscCall(FPStepLawDestroy(&law));
  PetscFunctionReturn(0);
}

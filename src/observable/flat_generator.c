/* flat_generator.c: along flat directions by the generator.
   Conditional law: the density of the stationary law of the full chain, at points of z + F by cubic interpolation of
   its logarithm between cell centres (fourth order, beyond the grid's second), integrated by the midpoint rule.
   Projected process: a chain of its own on the coordinates of z + F, of the same scheme, whose cells are of one size
   and as many per direction as the longest axis of the mesh has. Mixing times are those of the observable mixing. */
#include "flat.h"
#include <math.h>

#define NODES 4 /* of the interpolation, per axis */

/* Logarithms of a density at the centres of all cells of a grid, minus infinity where there is no unknown. */
typedef struct {
  FPMesh          mesh;
  PetscInt        dim;
  const PetscInt *cells;
  PetscReal      *log;
} Table;

static PetscErrorCode TableCreate(FPGenerator gen, Table *t)
{
  const PetscInt  *node;
  const PetscReal *volume, *pi;
  PetscInt         n, lattice = 1;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetSetting(gen, &t->mesh, NULL, NULL));
  PetscCall(FPGeneratorGetGrid(gen, &t->dim, &t->cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  for (PetscInt a = 0; a < t->dim; a++) lattice *= t->cells[a];
  PetscCall(PetscMalloc1(lattice, &t->log));
  for (PetscInt l = 0; l < lattice; l++) t->log[l] = -INFINITY;
  for (PetscInt k = 0; k < n; k++) t->log[node[k]] = log(pi[k] / volume[k]);
  PetscFunctionReturn(0);
}

/* The density at z; 0 beside cells without unknowns, which lie where the law has no mass. */
static PetscReal At(const Table *t, const PetscReal z[])
{
  PetscReal weight[3][NODES], sum = 0;
  PetscInt  first[3], total       = 1;

  for (PetscInt a = 0; a < t->dim; a++) {
    PetscReal xi;

    FPMeshUnmap(t->mesh, a, z[a], &xi);
    xi       = xi * t->cells[a] - 0.5;
    first[a] = PetscClipInterval((PetscInt)PetscFloorReal(xi) - NODES / 2 + 1, 0, t->cells[a] - NODES);
    for (PetscInt i = 0; i < NODES; i++) {
      weight[a][i] = 1;
      for (PetscInt j = 0; j < NODES; j++)
        if (j != i) weight[a][i] *= (xi - first[a] - j) / (PetscReal)(i - j);
    }
    total *= NODES;
  }
  for (PetscInt k = 0; k < total; k++) {
    PetscInt  rest = k, lattice = 0, stride = 1;
    PetscReal w = 1;

    for (PetscInt a = 0; a < t->dim; a++) {
      w *= weight[a][rest % NODES];
      lattice += stride * (first[a] + rest % NODES);
      stride *= t->cells[a];
      rest /= NODES;
    }
    if (isinf(t->log[lattice])) return 0;
    sum += w * t->log[lattice];
  }
  return exp(sum);
}

/* Position x of midpoint k of `each` per direction. */
static void Midpoint(const FPFlat *f, PetscInt each, PetscInt k, PetscReal x[])
{
  for (PetscInt i = 0; i < f->k; i++) {
    x[i] = f->lower[i] + (f->upper[i] - f->lower[i]) * (k % each + 0.5) / each;
    k /= each;
  }
}

static PetscErrorCode AddConditional(const FPFlat *f, const Table *t, PetscReal error, FPQuantities *q)
{
  PetscReal m[FP_FLAT_MOST + FP_FLAT_MOST * (FP_FLAT_MOST + 1) / 2 + 1] = {0}, mass = 0;
  PetscInt  each = 0, total = 1, first = q->n;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < t->dim; a++) each = PetscMax(each, t->cells[a]);
  each *= f->k == f->dim ? 1 : f->k == 1 ? 8 : 2;
  for (PetscInt i = 0; i < f->k; i++) total *= each;
  for (PetscInt k = 0; k < total; k++) {
    PetscReal x[FP_FLAT_MOST], z[FP_MAX_DIM], p;

    Midpoint(f, each, k, x);
    FPFlatPoint(f, x, z);
    p = At(t, z);
    mass += p;
    FPFlatAdd(f, p, x, m);
  }
  for (PetscInt k = 0; k < FPFlatMoments(f); k++) m[k] /= mass;
  PetscCall(FPFlatAddMoments(f, "conditional_", m, error, q));
  FPQuantitiesSetSmoothness(q, first, FP_OF_CELLS, 0);
  PetscFunctionReturn(0);
}

/* Moments of the law of the chain along the subspace; x of its node k. */
static PetscErrorCode AddLaw(const FPFlat *f, FPGenerator along, FPQuantities *q)
{
  const PetscReal *z, *pi;
  PetscReal        m[FP_FLAT_MOST + FP_FLAT_MOST * (FP_FLAT_MOST + 1) / 2 + 1] = {0};
  FPGeneratorInfo  info;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(along, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorGetInfo(along, &info));
  PetscCall(FPGeneratorStationary(along, &pi));
  for (PetscInt k = 0; k < n; k++) {
    PetscReal x[FP_FLAT_MOST];

    for (PetscInt i = 0; i < f->k; i++) x[i] = z[i * n + k];
    FPFlatAdd(f, pi[k], x, m);
  }
  PetscCall(FPFlatAddMoments(f, "along_", m, info.mixing_error, q));
  PetscFunctionReturn(0);
}

/* Eigenvalues of the symmetric form of a chain on a line that are less than `below`: negative pivots of its LDL^T. */
static PetscInt CountBelow(PetscInt n, const PetscReal diagonal[], const PetscReal square[], PetscReal below)
{
  PetscReal pivot = 1;
  PetscInt  count = 0;

  for (PetscInt k = 0; k < n; k++) {
    pivot = diagonal[k] - below - (k ? square[k - 1] / pivot : 0);
    if (pivot == 0) pivot = PETSC_MACHINE_EPSILON * diagonal[k];
    count += pivot < 0;
  }
  return count;
}

/* The gap on a line by bisection. A Krylov method starts from the stationary law and may miss a mode that lives where
   that law is nothing, such as the one of a flat top far above the minima. */
static PetscErrorCode LineGap(FPGenerator along, PetscReal *gap)
{
  const FPEdge *edge;
  PetscReal    *diagonal, *square, low = 0, high = 0;
  PetscInt      n, edges;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(along, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(along, &edges, &edge, NULL));
  PetscCall(PetscCalloc2(n, &diagonal, n, &square));
  for (PetscInt s = 0; s < edges; s++) {
    PetscCheck(PetscAbsInt(edge[s].i - edge[s].j) == 1, PETSC_COMM_SELF, PETSC_ERR_PLIB,
               "an edge of a chain on a line leads past a neighbour");
    diagonal[edge[s].i] += edge[s].qij;
    diagonal[edge[s].j] += edge[s].qji;
    square[PetscMin(edge[s].i, edge[s].j)] = edge[s].qij * edge[s].qji;
  }
  for (PetscInt k = 0; k < n; k++) high = PetscMax(high, 2 * diagonal[k]);
  for (PetscInt step = 0; step < 100; step++) {
    const PetscReal middle = (low + high) / 2;

    if (CountBelow(n, diagonal, square, middle) >= 2)
      high = middle;
    else
      low = middle;
  }
  *gap = (low + high) / 2;
  PetscCall(PetscFree2(diagonal, square));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddGap(const FPFlat *f, FPGenerator along, FPQuantities *q)
{
  const PetscReal *rate, *residual;
  FPGeneratorInfo  info;
  PetscReal        gap, error;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(along, NULL, &rate, NULL, &residual));
  PetscCall(FPGeneratorGetInfo(along, &info));
  gap   = rate[1] - rate[0];
  error = residual[0] + residual[1];
  if (f->k == 1) {
    PetscCall(LineGap(along, &gap));
    error = 4 * PETSC_MACHINE_EPSILON * info.largest_rate;
  }
  PetscCall(FPQuantitiesAdd(q, gap, error, "1/time", "gap"));
  PetscCall(FPQuantitiesAdd(q, 1 / gap, PetscMin(1, error / gap) / gap, "time", "relaxation_time"));
  PetscFunctionReturn(0);
}

/* Mixing times by the observable mixing; the worst start is no better than x = 0. Where in their cells the points lie
   at which the difference of the laws changes sign moves TV by a share of h^2 that jumps from grid to grid: with 64
   cells the times were off by twice the bound that leaves that out. */
static PetscErrorCode AddTimes(FPObservable obs, FPGenerator along, PetscBool finest, const char name[],
                               FPQuantities *q)
{
  static const char *const taken[] = {"mixing_time", "mixing_time_worst"};
  const FPFlat            *f       = (const FPFlat *)obs->data;
  FPScene                  scene   = {.model = f->along, .mesh = f->mesh};
  const FPBox             *box;
  FPObservable             mixing;
  FPQuantities             answers = {0};
  const PetscInt          *cells;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(along, NULL, &cells, NULL));
  PetscCall(FPMeshGetBox(scene.mesh, &box));
  PetscCall(FPBinsCreate(box, &scene.bins));
  PetscCall(FPObservableCreate(f->config, "mixing", &mixing));
  PetscCall(FPObservableRead(mixing, f->config, scene.model, scene.mesh, PETSC_TRUE));
  PetscCall(FPObservableSetScene(mixing, &scene));
  PetscCall(FPObservableGenerator(mixing, along, PETSC_FALSE, &answers));
  for (size_t k = 0; k < sizeof(taken) / sizeof(taken[0]); k++) {
    const FPQuantity *found, *start;

    PetscCall(FPQuantitiesFind(&answers, taken[k], &found));
    PetscCall(FPQuantitiesFind(&answers, taken[0], &start));
    if (found && start && start->value > found->value) found = start;
    if (found) {
      PetscCall(FPQuantitiesAdd(q, found->value, found->error + found->value / (4 * PetscSqr((PetscReal)cells[0])),
                                found->unit, "%s", taken[k]));
      FPQuantitiesSetSmoothness(q, q->n - 1, FP_OF_CELLS, 0);
    } else if (finest)
      PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(along), obs->name, taken[k],
                                   "unresolved",
                                   "the gap is zero to rounding, or the start has no unknown of the grid"));
  }
  PetscCall(FPQuantitiesFree(&answers));
  PetscCall(FPObservableDestroy(&mixing));
  PetscFunctionReturn(0);
}

/* For one direction: x, the density conditional on the line, and that of the projected process. */
static PetscErrorCode WriteLine(FPObservable obs, const Table *t, FPGenerator along, const char name[])
{
  const FPFlat    *f = (const FPFlat *)obs->data;
  const PetscReal *z, *volume, *pi;
  PetscReal       *field, mass = 0;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(along, &n, NULL, &z, NULL, &volume));
  PetscCall(FPGeneratorStationary(along, &pi));
  PetscCall(PetscMalloc1(3 * n, &field));
  for (PetscInt k = 0; k < n; k++) {
    PetscReal point[FP_MAX_DIM];

    field[k] = z[k];
    FPFlatPoint(f, &field[k], point);
    field[n + k] = At(t, point);
    mass += field[n + k] * volume[k];
    field[2 * n + k] = pi[k] / volume[k];
  }
  for (PetscInt k = 0; k < n; k++) field[n + k] /= mass;
  PetscCall(FPResultsField(obs->scene.results, name, FPGeneratorEngine(along), "flat_line", 2, (const PetscInt[]){3, n},
                           field, "x along the flat direction, conditional density, density of the projected process",
                           "weight, 1/weight, 1/weight"));
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddAnswers(FPObservable obs, FPGenerator gen, FPGenerator along, PetscBool finest,
                                 const char name[], FPQuantities *q)
{
  const FPFlat   *f = (const FPFlat *)obs->data;
  FPGeneratorInfo info;
  Table           table;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(TableCreate(gen, &table));
  PetscCall(AddConditional(f, &table, info.mixing_error, q));
  PetscCall(AddLaw(f, along, q));
  PetscCall(AddGap(f, along, q));
  PetscCall(AddTimes(obs, along, finest, name, q));
  if (finest && f->k == 1 && obs->scene.results) PetscCall(WriteLine(obs, &table, along, name));
  PetscCall(PetscFree(table.log));
  PetscFunctionReturn(0);
}

PetscErrorCode FPFlatGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const FPFlat             *f = (const FPFlat *)obs->data;
  const FPGeneratorOptions *options;
  FPGeneratorInfo           info;
  FPProcess                 process, section;
  FPGenerator               along;
  PetscInt                  level;
  const char               *name;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (f->reason[0] || info.degenerate) {
    if (finest)
      PetscCall(FPObservableMissingOn(obs, gen, "conditional_mean[0]", f->reason[0] ? "undefined" : "singular",
                                      f->reason[0] ? f->reason : "D is rank-deficient: the law has no density"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetSetting(gen, NULL, &level, &options));
  PetscCall(FPProcessCreateSection(process, f->along, f->z, f->basis, &section));
  PetscCall(FPGeneratorCreate(section, f->mesh, level, options, NULL, &along));
  PetscCall(FPGeneratorSolve(along, 1));
  PetscCall(AddAnswers(obs, gen, along, finest, name, q));
  PetscCall(FPGeneratorDestroy(&along));
  PetscCall(FPProcessDestroy(&section));
  PetscFunctionReturn(0);
}

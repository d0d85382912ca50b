/* exit_generator.c: times of leaving a region from the generator Q of the process killed at its boundary:
     mean T = -Q^-1 1, second moment -2 Q^-1 T (less step T where time goes in steps), slowest rates and
   quasi-stationary law from the spectrum, and what exit_survival.c and exit_where.c add. Where edges have a factor for
   slow modes (fitted.c), a start on a steep slope would leave a quarter too soon: times and survival are those of a
   second chain without it (options.transient). Of rare exits that factor makes the slowest rate, and with it the time,
   far more accurate; there the slowest mode of the second chain is given the rate of the first. */
#include "exitgenerator.h"
#include <math.h>

#define RAREST 1e-12   /* of the largest rate: the slowest that is told from 0 */
#define UNSTEADY 0.3   /* the boundary cuts cells, and the start lies in one, elsewhere on every grid */
#define CUT_LINE 0.006 /* of jumps: what a boundary that cuts cells leaves */
#define CUT_PLANE 0.003
#define CUT_SLANT 0.004
#define CUT_DRIVEN 0.025
#define CUT_PAIRS 0.02
#define RARE 10 /* exits are rare where the second rate is that many times the first */

/* Rates for the particles of the process, from the finest grid so far; rare: by the first, coarsest grid, as all grids
   have to do the same. */
static void Remember(FPExit *e, FPProcess process, const PetscReal rate[], PetscBool *rare)
{
  PetscInt k = 0;

  *rare = PETSC_FALSE;
  while (k < e->known && e->rates[k].process != process) k++;
  if (k == FP_EXIT_KNOWN) return;
  *rare       = k < e->known ? e->rates[k].rare : (PetscBool)(rate[1] > RARE * rate[0]);
  e->known    = PetscMax(e->known, k + 1);
  e->rates[k] = (FPExitRates){.process = process, .rate = {rate[0], rate[1]}, .rare = *rare};
}

/* mean_time, variance_time, unless they are infinite; T[n] receives the mean, in the process's own time, from every
   node of the chain that moves, *start that from the start */
static PetscErrorCode AddTimes(FPGenerator killed, const FPExitStencil *s, const FPExitSlowMode *slow,
                               PetscBool infinite, PetscReal T[], PetscReal *start, FPQuantities *q)
{
  FPGeneratorInfo info;
  PetscReal      *one, mean, square, rounding, step, residual;
  PetscInt        n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(killed, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  PetscCall(PetscMalloc1(n, &one));
  for (PetscInt k = 0; k < n; k++) one[k] = 1;
  PetscCall(FPExitSolve(killed, one, T, &residual));
  PetscCall(FPGeneratorInvert(killed, PETSC_TRUE, 0, T, one));
  mean = FPExitAt(s, T) + slow->weight * (1 / slow->better - 1 / slow->rate);
  PetscCall(FPGeneratorGetStep(killed, &step));
  square =
      2 * FPExitAt(s, one) - step * mean + 2 * slow->weight * (1 / PetscSqr(slow->better) - 1 / PetscSqr(slow->rate));
  *start = mean;
  if (infinite) {
    PetscCall(FPQuantitiesAdd(q, INFINITY, 0, "time", "mean_time"));
    PetscCall(PetscFree(one));
    PetscFunctionReturn(0);
  }
  rounding = PetscMin(1, PETSC_MACHINE_EPSILON * info.largest_rate * mean + residual);
  PetscCall(FPQuantitiesAdd(q, mean, rounding * mean, "time", "mean_time"));
  PetscCall(FPQuantitiesAdd(q, square - mean * mean, 2 * rounding * square, "time^2", "variance_time"));
  PetscCall(PetscFree(one));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRates(FPExit *e, FPProcess process, FPMesh mesh, FPGenerator killed, PetscBool *rare,
                               FPQuantities *q)
{
  const PetscReal   *rate, *residual;
  const FPExitLimit *limit;
  FPGeneratorInfo    info;
  PetscReal          rounding;
  PetscInt           count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, NULL, &residual));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  rounding = 4 * PETSC_MACHINE_EPSILON * info.largest_rate;
  PetscCall(FPQuantitiesAdd(q, rate[0], PetscMax(residual[0], rounding), "1/time", "rate"));
  PetscCall(FPExitAsymptote(e, process, mesh, &limit));
  PetscCall(FPExitAddRatio(limit, rate[0], PetscMax(residual[0], rounding), q));
  if (count > 1) PetscCall(FPQuantitiesAdd(q, rate[1], PetscMax(residual[1], rounding), "1/time", "rate[1]"));
  Remember(e, process, (const PetscReal[]){rate[0], count > 1 ? rate[1] : 0}, rare);
  PetscFunctionReturn(0);
}

/* Exits so rare that rounding hides them: the rate is no number. */
static PetscErrorCode TooRare(FPObservable obs, FPProcess process, FPGenerator killed, PetscBool finest,
                              PetscBool *rare)
{
  const PetscReal *rate;
  const char      *name;
  FPGeneratorInfo  info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, NULL, &rate, NULL, NULL));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  *rare = (PetscBool)(rate[0] < RAREST * info.largest_rate);
  if (!*rare || !finest || !obs->scene.results) PetscFunctionReturn(0);
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(killed), "exit", "mean_time", "unresolved",
                               "the process leaves the region so rarely, if at all, that rounding hides the rate"));
  PetscFunctionReturn(0);
}

/* The chain that moves, if it is another one than `killed`; NULL: the same. */
static PetscErrorCode CreateMover(const FPExit *e, FPGenerator killed, FPGenerator *mover)
{
  const FPGeneratorOptions *same;
  FPGeneratorOptions        options;
  FPGeneratorInfo           info;
  FPProcess                 process;
  FPMesh                    mesh;
  PetscInt                  level;
  PetscBool                 potential;
  FPStable                  stable;
  PetscReal                 step;

  PetscFunctionBegin;
  *mover = NULL;
  PetscCall(FPGeneratorGetStep(killed, &step));
  PetscCall(FPGeneratorGetProcess(killed, &process));
  PetscCall(FPProcessHasPotential(process, &potential));
  PetscCall(FPGeneratorGetInfo(killed, &info));
  PetscCall(FPProcessGetStable(process, &stable));
  if (step > 0 || stable.has || (!potential && e->dim > 1 && !info.degenerate)) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetSetting(killed, &mesh, &level, &same));
  options           = *same;
  options.transient = PETSC_TRUE;
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, &options, e->z, e->region, mover));
  PetscFunctionReturn(0);
}

/* weight 0 where exits are not rare, or where there is one chain only */
static PetscErrorCode FindSlowMode(FPGenerator killed, FPGenerator mover, PetscBool rare, const FPExitStencil *s,
                                   FPExitSlowMode *slow)
{
  const PetscReal *rate, *right, *left;
  PetscReal        mass = 0, product = 0;
  PetscInt         n;

  PetscFunctionBegin;
  *slow = (FPExitSlowMode){.weight = 0, .rate = 1, .better = 1};
  if (killed == mover || !rare) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetModes(killed, NULL, &rate, NULL, NULL));
  slow->better = rate[0];
  PetscCall(FPGeneratorSolve(mover, 1));
  PetscCall(FPGeneratorGetModes(mover, NULL, &rate, NULL, NULL));
  slow->rate = rate[0];
  PetscCall(FPGeneratorGetNodes(mover, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorGetMode(mover, 0, &right, &left));
  for (PetscInt k = 0; k < n; k++) {
    mass += left[k];
    product += left[k] * right[k];
  }
  slow->weight = FPExitAt(s, right) * mass / product;
  PetscFunctionReturn(0);
}

/* Direction of the region's boundary at a point of the plane, in cells of width h: sine and cosine of its normal. */
static void Direction(const FPExit *e, const PetscReal at[], const PetscReal h[], PetscReal normal[])
{
  PetscReal z[8], f[4], length;

  for (int p = 0; p < 4; p++)
    for (int a = 0; a < 2; a++) z[4 * a + p] = at[a] + (a == p / 2 ? (p % 2 ? 0.1 : -0.1) * h[a] : 0);
  FPRegionLevel(e->region, 4, z, f);
  length = PetscMax(hypot(f[1] - f[0], f[3] - f[2]), PETSC_MACHINE_EPSILON);
  for (int a = 0; a < 2; a++) normal[a] = (f[2 * a + 1] - f[2 * a]) / length;
}

/* Is it one straight boundary that is met along both axes, slanting, but not along a diagonal of the cells? */
static PetscBool IsSlanting(const PetscReal one[], const PetscReal other[])
{
  const PetscReal angle = PetscAbsReal(one[0] * other[1] - one[1] * other[0]);
  const PetscReal least = PetscMin(PetscAbsReal(one[0]), PetscAbsReal(one[1]));

  return (PetscBool)(angle < 1e-6 && least > 1e-6 && PetscAbsReal(PetscAbsReal(one[0]) - PetscAbsReal(one[1])) > 1e-6);
}

/* Of the boundary, as the start sees it along the axes */
typedef struct {
  PetscReal step, driven; /* spacing over the distance, the largest; how much drift there counts beside jumps to
                             neighbours; both at most 1 */
  PetscBool slanting;
} Boundary;

static PetscErrorCode LookAround(const FPExit *e, FPGenerator killed, const FPStable *stable, Boundary *boundary)
{
  const PetscInt *cells;
  const FPBox    *box;
  PetscInt        dim;
  FPMesh          mesh;
  FPProcess       process;
  PetscReal       normal[3][2] = {{0}}, h[3], nearest[3] = {1, 1, 1};

  PetscFunctionBegin;
  *boundary = (Boundary){0};
  PetscCall(FPGeneratorGetProcess(killed, &process));
  PetscCall(FPGeneratorGetSetting(killed, &mesh, NULL, NULL));
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPGeneratorGetGrid(killed, &dim, &cells, NULL));
  for (PetscInt a = 0; a < dim; a++) h[a] = (box->upper[a] - box->lower[a]) / cells[a];
  for (PetscInt c = 0; c < 2 * dim; c++) {
    const PetscInt a = c / 2;
    PetscReal      to[3], b[3], sigma, leaves;

    for (PetscInt i = 0; i < dim; i++) to[i] = e->z[i];
    to[a]          = c % 2 ? box->upper[a] : box->lower[a];
    leaves         = FPRegionLeaves(e->region, e->z, to);
    boundary->step = PetscMax(boundary->step, h[a] / (PetscAbsReal(to[a] - e->z[a]) * leaves));
    to[a]          = e->z[a] + leaves * (to[a] - e->z[a]);
    if (leaves >= 1 && stable->boundary != FP_BOUNDARY_KILLED) continue;
    FPProcessDrift(process, 1, to, b);
    FPProcessStableScale(process, 1, to, &sigma);
    sigma = PetscMax(sigma, h[a]);
    boundary->driven =
        PetscMax(boundary->driven, PetscAbsReal(b[a]) * PetscPowReal(h[a] / sigma, stable->alpha) / h[a]);
    if (dim == 2 && leaves < nearest[a]) Direction(e, to, h, normal[a]);
    nearest[a] = PetscMin(nearest[a], leaves);
  }
  boundary->slanting = (PetscBool)(dim == 2 && IsSlanting(normal[0], normal[1]));
  boundary->step     = PetscMin(boundary->step, 1);
  boundary->driven   = PetscMin(boundary->driven, 1);
  PetscFunctionReturn(0);
}

/* Where a boundary cuts cells, jumps see it off its place by a part of a cell that follows no power of the spacing from
   grid to grid: on a line in second order, in the plane by the mean of what differs from node to node, of which
   straight boundaries of rational slope have few, and with drift as jumps to neighbours give way to it in first order.
   What sums products of two functions, like second moments of times, lacks a layer of nodes of order 1 + alpha
   (jumps.h), which rates are spared; at censoring walls all times are such sums, as jumps that do not happen take from
   the killing. In the measure of a time, as it goes with the distance from the boundary; measured
   on intervals and discs. */
static PetscErrorCode AddFractions(const FPExit *e, FPGenerator killed, const FPStable *stable, PetscInt first,
                                   FPQuantities *q)
{
  const PetscReal alpha = stable->alpha;
  Boundary        boundary;
  PetscReal       step, doubt, pairs;

  PetscFunctionBegin;
  PetscCall(LookAround(e, killed, stable, &boundary));
  step  = boundary.step;
  doubt = CUT_LINE * step * step + CUT_DRIVEN * boundary.driven * step +
          (boundary.slanting ? CUT_SLANT * (2 - alpha) * step : 0) +
          (e->dim > 1 ? CUT_PLANE * alpha * (2 - alpha) * PetscPowReal(step, 1.5) : 0);
  pairs = CUT_PAIRS * (2 - alpha) * PetscPowReal(step, PetscMin(2, 1 + alpha));
  if (stable->boundary == FP_BOUNDARY_CENSORED) doubt += pairs;
  for (PetscInt k = first; k < q->n; k++) {
    FPQuantity     *item = &q->list[k];
    const PetscReal size = PetscAbsReal(item->value);

    if (isinf(size)) continue;
    if (!strncmp(item->name, "survival", 8))
      item->error += (doubt + pairs) * (size > 0 && size < 1 ? -size * log(size) : 0);
    else if (!strcmp(item->name, "variance_time"))
      item->error += 2 * (doubt + pairs) * size;
    else
      item->error += (doubt + (strcmp(item->name, "median_time") ? 0 : pairs)) * size;
  }
  PetscFunctionReturn(0);
}

/* Every answer on one grid; times by the chain that moves. */
static PetscErrorCode AddAnswers(FPObservable obs, FPGenerator gen, FPGenerator killed, FPGenerator mover,
                                 PetscBool finest, FPQuantities *q)
{
  FPExit          *e = (FPExit *)obs->data;
  const PetscReal *law;
  FPProcess        process;
  FPMesh           mesh;
  FPExitStencil    s;
  FPExitSlowMode   slow;
  FPStable         stable;
  PetscReal       *T, mean  = 0, beta, step;
  PetscInt         n, first = q->n;
  PetscBool        rare = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(mover, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &T));
  PetscCall(AddRates(e, process, mesh, killed, &rare, q));
  PetscCall(FPExitBuildStencil(e, mover, mesh, &s));
  PetscCall(FindSlowMode(killed, mover, rare, &s, &slow));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(AddTimes(mover, &s, &slow, (PetscBool)(beta < 1), T, &mean, q));
  PetscCall(FPExitAddSurvival(e, mover, &s, &slow, mean, q));
  PetscCall(FPExitBuildStencil(e, killed, mesh, &s));
  PetscCall(FPGeneratorGetStep(killed, &step));
  if (step > 0 && e->dim > 1) {
    PetscCall(FPExitAddStepLandings(e, killed, mesh, &s, mean, q));
  } else {
    if (e->negative) PetscCall(FPExitAddNegative(e, killed, &s, q));
    PetscCall(FPExitAddLanding(e, killed, &s, mean, q));
  }
  if (stable.has) PetscCall(FPExitAddOvershoots(obs, gen, killed, &s, mean, q));
  if (e->second) PetscCall(FPExitAddCommittor(e, gen, killed, mean, q));
  if (stable.has) PetscCall(AddFractions(e, killed, &stable, first, q));
  if (finest && obs->scene.results) {
    PetscCall(FPGeneratorStationary(killed, &law));
    PetscCall(FPFieldOfCells(obs, killed, "exit_quasi_stationary", law, PETSC_TRUE,
                             "law of those that stay in the region longest", "1/weight^d"));
    PetscCall(FPFieldOfCells(obs, mover, "exit_mean_time", T, PETSC_FALSE, "mean time to leave the region", "time"));
  }
  PetscCall(PetscFree(T));
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  FPExit                   *e = (FPExit *)obs->data;
  const FPGeneratorOptions *options;
  FPGenerator               killed, mover = NULL;
  FPProcess                 process;
  FPMesh                    mesh;
  PetscInt                  level;
  PetscReal                 step;
  PetscBool                 rare = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorCreateKilled(process, mesh, level, options, e->z, e->region, &killed));
  PetscCall(FPGeneratorSolve(killed, 1));
  PetscCall(TooRare(obs, process, killed, finest, &rare));
  if (!rare) {
    PetscCall(CreateMover(e, killed, &mover));
    PetscCall(AddAnswers(obs, gen, killed, mover ? mover : killed, finest, q));
  }
  PetscCall(FPGeneratorGetStep(gen, &step));
  FPQuantitiesSetSmoothness(q, 0, step > 0 && e->dim > 1 ? FP_CUT : FP_SMOOTH, UNSTEADY);
  PetscCall(FPGeneratorDestroy(&mover));
  PetscCall(FPGeneratorDestroy(&killed));
  PetscFunctionReturn(0);
}

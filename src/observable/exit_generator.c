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
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  FPGeneratorInfo  info;
  PetscReal       *one, mean, square, rounding, step, residual;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(killed, &n, &node, &z, &measure, &volume));
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
  const PetscReal   *rate, *frequency, *residual;
  const FPExitLimit *limit;
  FPGeneratorInfo    info;
  PetscReal          rounding;
  PetscInt           count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
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
  const PetscReal *rate, *frequency, *residual;
  const char      *name;
  FPGeneratorInfo  info;
  PetscInt         count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
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
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume, *rate, *frequency, *residual, *right, *left;
  PetscReal        mass = 0, product = 0;
  PetscInt         n, count;

  PetscFunctionBegin;
  *slow = (FPExitSlowMode){.weight = 0, .rate = 1, .better = 1};
  if (killed == mover || !rare) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetModes(killed, &count, &rate, &frequency, &residual));
  slow->better = rate[0];
  PetscCall(FPGeneratorSolve(mover, 1));
  PetscCall(FPGeneratorGetModes(mover, &count, &rate, &frequency, &residual));
  slow->rate = rate[0];
  PetscCall(FPGeneratorGetNodes(mover, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorGetMode(mover, 0, &right, &left));
  for (PetscInt k = 0; k < n; k++) {
    mass += left[k];
    product += left[k] * right[k];
  }
  slow->weight = FPExitAt(s, right) * mass / product;
  PetscFunctionReturn(0);
}

/* Where a boundary cuts cells, jumps see it off its place by a part of a cell that follows no power of the spacing from
   grid to grid: on a line in second order, in the plane by the mean of what differs from node to node. In the measure
   of a time, as it goes with the distance from the boundary; measured on intervals and discs. */
static PetscErrorCode AddFractions(const FPExit *e, FPGenerator killed, PetscReal alpha, PetscInt first,
                                   FPQuantities *q)
{
  const PetscInt *cells;
  const FPBox    *box;
  PetscReal       ratio, step = 0, doubt; /* step: spacing over the distance from the boundary along an axis, largest */
  PetscInt        dim, level;
  FPMesh          mesh;
  const FPGeneratorOptions *options;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetSetting(killed, &mesh, &level, &options));
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPGeneratorGetGrid(killed, &dim, &cells, &ratio));
  for (PetscInt c = 0; c < 2 * dim; c++) {
    const PetscInt a = c / 2;
    PetscReal      to[3], away;

    for (PetscInt b = 0; b < dim; b++) to[b] = e->z[b];
    to[a] = c % 2 ? box->upper[a] : box->lower[a];
    away  = PetscAbsReal(to[a] - e->z[a]) * FPRegionLeaves(e->region, e->z, to);
    step  = PetscMax(step, (box->upper[a] - box->lower[a]) / cells[a] / away);
  }
  step  = PetscMin(step, 1);
  doubt = CUT_LINE * step * step + (dim > 1 ? CUT_PLANE * alpha * (2 - alpha) * PetscPowReal(step, 1.5) : 0);
  for (PetscInt k = first; k < q->n; k++) {
    FPQuantity     *item = &q->list[k];
    const PetscReal size = PetscAbsReal(item->value);

    if (isinf(size)) continue;
    if (!strncmp(item->name, "survival", 8))
      item->error += doubt * (size > 0 && size < 1 ? -size * log(size) : 0);
    else
      item->error += doubt * (strcmp(item->name, "variance_time") ? 1 : 2) * size;
  }
  PetscFunctionReturn(0);
}

/* Every answer on one grid; times by the chain that moves. */
static PetscErrorCode AddAnswers(FPObservable obs, FPGenerator gen, FPGenerator killed, FPGenerator mover,
                                 PetscBool finest, FPQuantities *q)
{
  FPExit                   *e = (FPExit *)obs->data;
  const FPGeneratorOptions *options;
  const PetscInt           *node;
  const PetscReal          *z, *measure, *volume, *law;
  FPProcess                 process;
  FPMesh                    mesh;
  FPExitStencil             s;
  FPExitSlowMode            slow;
  FPStable                  stable;
  PetscReal                *T, mean = 0, beta, scale;
  PetscInt                  level, n, first = q->n;
  PetscBool                 rare = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorGetNodes(mover, &n, &node, &z, &measure, &volume));
  PetscCall(PetscMalloc1(n, &T));
  PetscCall(AddRates(e, process, mesh, killed, &rare, q));
  PetscCall(FPExitBuildStencil(e, mover, mesh, &s));
  PetscCall(FindSlowMode(killed, mover, rare, &s, &slow));
  PetscCall(FPProcessGetClock(process, &beta, &scale));
  PetscCall(FPProcessGetStable(process, &stable));
  PetscCall(AddTimes(mover, &s, &slow, (PetscBool)(beta < 1), T, &mean, q));
  PetscCall(FPExitAddSurvival(e, mover, &s, &slow, mean, q));
  PetscCall(FPExitBuildStencil(e, killed, mesh, &s));
  if (e->negative) PetscCall(FPExitAddNegative(e, killed, &s, q));
  PetscCall(FPExitAddLanding(e, killed, &s, mean, q));
  if (stable.has) PetscCall(FPExitAddOvershoots(obs, gen, killed, &s, mean, q));
  if (e->second) PetscCall(FPExitAddCommittor(e, gen, killed, mean, q));
  if (stable.has) PetscCall(AddFractions(e, killed, stable.alpha, first, q));
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
  FPQuantitiesSetSmoothness(q, 0, FP_SMOOTH, UNSTEADY);
  PetscCall(FPGeneratorDestroy(&mover));
  PetscCall(FPGeneratorDestroy(&killed));
  PetscFunctionReturn(0);
}

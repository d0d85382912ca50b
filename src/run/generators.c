/* generators.c: one process on every grid of the mesh, every observable asked on each, numbers combined into values
 * with bounds. */
#include "runimpl.h"
#include <petsctime.h>

#define MOST_TAIL 0.02 /* of the law beyond the box, without a warning */
#define INTERVAL 1e-12 /* of its length: how well the ends of an invariant interval are known */

typedef struct {
  FPQuantities q[FP_MAX_OBSERVABLES];
} LevelAnswers;

static PetscErrorCode AddRows(FPRunObjects *run, const char process[], const char engine[], PetscInt o,
                              const FPRefinement *grids, LevelAnswers answers[])
{
  const FPQuantities *finest = &answers[0].q[o];
  const char         *name;

  PetscFunctionBegin;
  PetscCall(FPObservableGetName(run->observable[o], &name));
  for (PetscInt k = 0; k < finest->n; k++) {
    const FPQuantity *item             = &finest->list[k];
    PetscReal         v[FP_MAX_LEVELS] = {item->value}, solver = item->error, value, error;
    PetscInt          have = 1;

    if (PetscIsInfReal(item->value)) {
      PetscCall(FPRunAddInfinite(run, process, engine, name, item->name));
      continue;
    }
    for (PetscInt l = 1; l < grids->levels; l++) {
      const FPQuantity *found;

      PetscCall(FPQuantitiesFind(&answers[l].q[o], item->name, &found));
      if (!found || PetscIsNanReal(found->value)) break;
      v[have++] = found->value;
      solver    = PetscMax(solver, found->error);
    }
    if (have < grids->levels || PetscIsNanReal(item->value)) {
      PetscCall(FPResultsAddStatus(run->results, process, engine, name, item->name, "undefined",
                                   "does not exist on every grid of the refinement sequence"));
      continue;
    }
    FPBoundGrids(grids, item, v, solver, &value, &error);
    if (!strcmp(item->name, "relaxation_time") && error >= PetscAbsReal(value)) {
      PetscCall(FPResultsAddStatus(run->results, process, engine, name, item->name, "unresolved",
                                   "the gap is zero within its error"));
      continue;
    }
    PetscCall(FPResultsAdd(run->results, process, engine, name, item->name, value, error, FP_BOUND, item->unit));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunIsDiscrete(const FPRunObjects *run, PetscInt p, PetscBool *discrete)
{
  FPAlgorithm algorithm;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(run->process[p], &algorithm, NULL));
  *discrete = (PetscBool)(algorithm != FP_SDE);
  PetscFunctionReturn(0);
}

/* Of finitely many maps: the smallest interval that they do not leave */
static PetscErrorCode AddInterval(FPRunObjects *run, const char process[], FPGenerator gen)
{
  const FPBox    *box;
  FPMesh          mesh;
  FPGeneratorInfo info;
  PetscReal       error;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (!info.finite) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetSetting(gen, &mesh, NULL, NULL));
  PetscCall(FPMeshGetBox(mesh, &box));
  error = INTERVAL * (box->upper[0] - box->lower[0]);
  PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "interval_lower",
                         box->lower[0], error, FP_BOUND, "weight"));
  PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "interval_upper",
                         box->upper[0], error, FP_BOUND, "weight"));
  PetscFunctionReturn(0);
}

/* What the discretisation had to do, as numbers. */
static PetscErrorCode AddDiagnostics(FPRunObjects *run, PetscInt p, const char process[], FPGenerator gen,
                                     const FPRefinement *grids)
{
  FPGeneratorInfo info;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (info.closed_classes > 1) {
    PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "closed_classes",
                           info.closed_classes, 0, FP_BOUND, "1"));
    PetscCall(FPResultsWarn(run->results,
                            "%s has %" PetscInt_FMT
                            " closed classes; gap and stationary law are those of the one reached from the minimum",
                            process, info.closed_classes));
  }
  if (info.metastable)
    PetscCall(FPResultsWarn(run->results,
                            "%s: the gap is below what rounding resolves; the stationary law, and what particles start "
                            "from, is that of the metastable part around the minimum",
                            process));
  if (info.added_diffusion > 0 || info.degenerate)
    PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "added_diffusion",
                           info.added_diffusion, 0, FP_BOUND, "weight^2/time"));
  if (info.degenerate && info.added_diffusion > 0)
    PetscCall(FPResultsWarn(run->results,
                            "%s: D is rank-deficient, and diffusion %.2g weight^2/time was added to solve on the whole "
                            "box: where the law lives on less than the box, its modes include the decay onto that, and "
                            "wells may be joined by nothing but what was added",
                            process, (double)info.added_diffusion));
  if (info.tail_mass > 0) { /* within 3 % of the truth for stable Ornstein-Uhlenbeck processes */
    PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "tail_mass",
                           info.tail_mass, PetscMin(0.1 * info.tail_mass, 1), FP_BOUND, "1"));
    if (info.tail_mass > MOST_TAIL)
      PetscCall(FPResultsWarn(run->results,
                              "%s: %.2g of its law lies beyond the box, so laws and moments are those of the process "
                              "while it is inside; a larger box would tell more",
                              process, (double)info.tail_mass));
  }
  if (info.capped_share > 0)
    PetscCall(FPResultsAdd(run->results, process, FPGeneratorEngine(gen), FPGeneratorEngine(gen), "capped_share",
                           info.capped_share, 0, FP_BOUND, "1"));
  PetscCall(AddInterval(run, process, gen));
  PetscCall(FPRunAddDivergence(run, p, gen, grids));
  PetscFunctionReturn(0);
}

/* Every observable's numbers on one grid, and once the reason where there are none */
static PetscErrorCode AskLevel(FPRunObjects *run, PetscInt p, FPGenerator gen, PetscBool finest, FPQuantities q[])
{
  const char *process;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(run->process[p], &process));
  for (PetscInt o = 0; o < run->observables; o++) {
    const char *reason, *name;

    PetscCall(FPRunUnsupported(run, p, o, FPGeneratorEngine(gen), &reason));
    PetscCall(FPObservableGetName(run->observable[o], &name));
    if (!reason)
      PetscCall(FPObservableGenerator(run->observable[o], gen, finest, &q[o]));
    else if (finest)
      PetscCall(FPResultsAddStatus(run->results, process, FPGeneratorEngine(gen), name, FPRunUnsupportedQuantity(name),
                                   "unsupported", reason));
  }
  PetscFunctionReturn(0);
}

/* Axes of a grid that is not the run's */
static PetscErrorCode AddOwnAxes(FPRunObjects *run, const char process[], FPGenerator gen)
{
  const PetscInt *cells;
  PetscInt        dim;
  FPMesh          mesh;
  char            grid[2 * FP_NAME], name[FP_NAME];

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetSetting(gen, &mesh, NULL, NULL));
  if (mesh == run->mesh) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(PetscSNPrintf(grid, sizeof(grid), "%s/%s", process, FPGeneratorEngine(gen)));
  for (PetscInt a = 0; a < dim; a++) {
    PetscReal *center, *width;

    PetscCall(PetscMalloc2(cells[a], &center, cells[a], &width));
    PetscCall(FPGeneratorAxis(gen, a, center, width));
    PetscCall(FPModelGetCoordinateName(run->model, a, name));
    PetscCall(FPResultsAxis(run->results, grid, a, name, cells[a], center, "weight"));
    PetscCall(PetscFree2(center, width));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunGenerator(FPRunObjects *run, PetscInt p)
{
  LevelAnswers   answers[FP_MAX_LEVELS];
  FPRefinement   grids;
  PetscInt       pairs = 1;
  PetscLogDouble begin, end;
  const char    *name;
  FPGenerator    gen = NULL;
  char           label[2 * FP_NAME];
  PetscBool      discrete;

  PetscFunctionBegin;
  PetscCall(PetscTime(&begin));
  PetscCall(PetscMemzero(answers, sizeof(answers)));
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  PetscCall(FPMeshGetLevels(run->mesh, &grids.levels));
  for (PetscInt o = 0; o < run->observables; o++) {
    PetscInt wanted;

    PetscCall(FPObservableGetPairs(run->observable[o], &wanted));
    pairs = PetscMax(pairs, wanted);
  }
  PetscCall(PetscSNPrintf(label, sizeof(label), "%s: %s", discrete ? "transfer" : "generator", name));
  FPProgressBegin(label, grids.levels);
  for (PetscInt l = grids.levels - 1; l >= 0; l--) {

    PetscCall(FPGeneratorCreate(run->process[p], run->mesh, l, &run->generating, NULL, &gen));
    PetscCall(FPGeneratorGetGrid(gen, NULL, NULL, &grids.ratio[l]));
    PetscCall(FPGeneratorSolve(gen, pairs));
    if (l == 0 || l == grids.levels - 1) PetscCall(FPRunCheckSteps(run, p, gen, grids.ratio[l]));
    PetscCall(AskLevel(run, p, gen, (PetscBool)(l == 0), answers[l].q));
    if (l > 0) PetscCall(FPGeneratorDestroy(&gen));
    FPProgressUpdate(grids.levels - l);
  }
  FPProgressEnd();
  PetscCall(FPRunRefinement(gen, &grids));
  PetscCall(FPRunWidthsPerCell(run, p, &grids.widths));
  for (PetscInt l = 1; l < grids.levels; l++)
    for (PetscInt o = 0; o < run->observables; o++)
      PetscCall(FPObservableAlign(run->observable[o], &answers[0].q[o], &answers[l].q[o]));
  for (PetscInt o = 0; o < run->observables; o++)
    PetscCall(AddRows(run, name, FPGeneratorEngine(gen), o, &grids, answers));
  PetscCall(AddDiagnostics(run, p, name, gen, &grids));
  PetscCall(AddOwnAxes(run, name, gen));
  PetscCall(FPRunWarnResolution(run, p));
  for (PetscInt l = 0; l < grids.levels; l++)
    for (PetscInt o = 0; o < run->observables; o++) PetscCall(FPQuantitiesFree(&answers[l].q[o]));
  run->generator[p] = gen;
  PetscCall(PetscTime(&end));
  PetscCall(FPResultsTiming(run->results, FPGeneratorEngine(gen), end - begin));
  PetscFunctionReturn(0);
}

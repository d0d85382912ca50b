/* run.c: run file -> data -> model -> processes -> engines -> observables -> results. */
#include "runimpl.h"
#include <petsctime.h>
#include <stdio.h>

#define MOST_STEPS 1e14
#define STEPS_PER_DAY 1e13 /* of particles, on one core */

#define FP_OBSERVABLE(name, create, help) name " "
static const char Observables[] =
#include "../observable/observablelist.h"
    ;
#undef FP_OBSERVABLE

static const FPParameter RunParameters[] = {
    {"processes", FP_STRINGS, offsetof(FPRunOptions, processes), NULL, 0, 0, NULL, NULL,
     "presets, or names of blocks of this file"},
    {"engines", FP_STRINGS, offsetof(FPRunOptions, engines), "generator,particles", 0, 0,
     "generator transfer particles", NULL, "how processes are evaluated"},
    {"observables", FP_STRINGS, offsetof(FPRunOptions, observables), "spectrum,stationary", 0, 0, Observables, NULL,
     "what is asked"},
    {"crosscheck_threshold", FP_REAL, offsetof(FPRunOptions, threshold), "5", 2.2250738585072014e-308, 1e300, NULL,
     "standard errors", "beyond it two engines disagree (exit code 3)"},
    {0}};

static PetscErrorCode CheckList(const FPStrings *list, const char key[], PetscInt most)
{
  PetscFunctionBegin;
  FPInputCheck(list->n > 0, "%s is empty: name at least one", key);
  FPInputCheck(list->n <= most, "%s has %" PetscInt_FMT " entries; at most %" PetscInt_FMT " are accepted", key,
               list->n, most);
  for (PetscInt i = 0; i < list->n; i++)
    for (PetscInt j = 0; j < i; j++)
      FPInputCheck(strcmp(list->value[i], list->value[j]), "%s names %s twice", key, list->value[i]);
  PetscFunctionReturn(0);
}

/* Blocks of presets that the run does not use are still read, so that their keys are checked and known. */
static PetscErrorCode ReadUnusedBlocks(FPConfig config, FPRunObjects *run)
{
  static const char *const presets[] = {
#define FP_PRESET(name, algorithm, drift, noise, clock, help) name,
#include "../process/processlist.h"
  };

  PetscFunctionBegin;
  for (size_t k = 0; k < sizeof(presets) / sizeof(presets[0]); k++) {
    FPProcess process;
    PetscBool has, used = PETSC_FALSE;

    for (PetscInt p = 0; p < run->processes; p++)
      used = (PetscBool)(used || !strcmp(run->options.processes.value[p], presets[k]));
    PetscCall(FPConfigHas(config, presets[k], &has));
    if (used || !has) continue;
    PetscCall(FPProcessCreate(config, presets[k], run->model, &process));
    PetscCall(FPProcessDestroy(&process));
  }
  PetscFunctionReturn(0);
}

/* Likewise the sections of observables that are not asked for. */
static PetscErrorCode ReadUnusedObservables(FPConfig config, FPRunObjects *run)
{
  static const char *const names[] = {
#define FP_OBSERVABLE(name, create, help) name,
#include "../observable/observablelist.h"
#undef FP_OBSERVABLE
  };

  PetscFunctionBegin;
  for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
    FPObservable observable;
    PetscBool    has, used = PETSC_FALSE;

    for (PetscInt o = 0; o < run->observables; o++)
      used = (PetscBool)(used || !strcmp(run->options.observables.value[o], names[k]));
    PetscCall(FPConfigHas(config, names[k], &has));
    if (used || !has) continue;
    PetscCall(FPObservableCreate(config, names[k], &observable));
    PetscCall(FPObservableRead(observable, config, run->model, run->mesh, PETSC_FALSE));
    PetscCall(FPObservableDestroy(&observable));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode HasEngine(const FPStrings *engines, const char name[], PetscBool *has)
{
  PetscFunctionBegin;
  *has = PETSC_FALSE;
  for (PetscInt k = 0; k < engines->n; k++)
    if (!strcmp(engines->value[k], name)) *has = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Available memory in bytes by /proc/meminfo; 0: unknown. */
static PetscReal AvailableMemory(void)
{
  char      line[256];
  PetscReal kib = 0;
  FILE     *f   = fopen("/proc/meminfo", "r");

  while (f && fgets(line, sizeof(line), f))
    if (sscanf(line, "MemAvailable: %lf", &kib) == 1) break;
  if (f) fclose(f);
  return 1024 * kib;
}

/* A generator for every SDE, a transfer operator for every other, and the memory for it, before any work. */
static PetscErrorCode CheckGenerators(FPRunObjects *run)
{
  const PetscReal available = AvailableMemory();

  PetscFunctionBegin;
  for (PetscInt p = 0; p < run->processes; p++) {
    PetscReal   bytes;
    PetscBool   symmetric, discrete, flow, mapped;
    const char *what;
    FPStable    stable;

    PetscCall(FPRunIsDiscrete(run, p, &discrete));
    PetscCall(FPProcessIsDeterministic(run->process[p], &flow));
    if (discrete ? !run->use_transfer : flow || !run->use_generator) continue;
    what = discrete ? "transfer operator" : "generator";
    FPInputCheck(run->mesh, "engines: the %s needs a mesh (mesh_lower, mesh_upper, mesh_cells)", what);
    PetscCall(FPProcessHasPotential(run->process[p], &symmetric));
    PetscCall(FPModelGetParent(run->model, &mapped, NULL));
    PetscCall(FPProcessGetStable(run->process[p], &stable));
    if (discrete)
      PetscCall(FPTransferEstimate(run->mesh, 0, mapped, &bytes));
    else
      PetscCall(FPGeneratorEstimate(run->mesh, 0, symmetric, stable.has, &bytes));
    FPInputCheck(available == 0 || bytes < 0.8 * available,
                 "mesh_cells: the %s would need about %.3g GiB of memory, %.3g GiB are available", what,
                 (double)(bytes / 1073741824), (double)(available / 1073741824));
    if (discrete) PetscCall(FPTransferCheck(run->process[p], &run->generating));
    PetscCall(FPRunCheckResolution(run, p));
  }
  PetscFunctionReturn(0);
}

/* Jumps end in a box, unless drift is linear: beyond it any other is so strong that no step would be small enough. */
/* Walls that kill leave particles with nothing to say of what lives on. */
static PetscErrorCode CheckKilled(const FPRunObjects *run, PetscInt p, const char process[])
{
  PetscFunctionBegin;
  for (PetscInt o = 0; o < run->observables && !run->use_generator; o++) {
    const char *reason, *name;

    PetscCall(FPRunUnsupported(run, p, o, "particles", &reason));
    PetscCall(FPObservableGetName(run->observable[o], &name));
    FPInputCheck(
        !reason,
        "observables: %s contradicts %s_boundary = killed, as walls kill the particles of process %s; accepted "
        "by particles alone is exit, and engines = generator",
        name, process, process);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckJumps(FPRunObjects *run)
{
  const char  *type, *coordinates, *name;
  const FPBox *box = NULL;
  PetscInt     dim;

  PetscFunctionBegin;
  PetscCall(FPModelGetName(run->model, &type, &coordinates));
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  for (PetscInt p = 0; p < run->processes; p++) {
    FPStable stable;

    PetscCall(FPProcessGetStable(run->process[p], &stable));
    PetscCall(FPProcessGetName(run->process[p], &name));
    if (!stable.has) continue;
    FPInputCheck(run->mesh || (!strcmp(type, "ou") && stable.boundary == FP_BOUNDARY_CONFINED),
                 "process %s: its jumps need a box to end in, as its boundary says; give mesh_lower and mesh_upper "
                 "(without them, accepted is model_type = ou with %s_boundary = confined, the whole space)",
                 name, name);
    if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
    for (PetscInt f = 0; run->mesh && f < 2 * dim; f++)
      FPInputCheck(box->face[f] == FP_REFLECTING || stable.boundary == FP_BOUNDARY_KILLED,
                   "mesh_faces: absorbing faces contradict the boundary of process %s; accepted there is %s_boundary: "
                   "killed",
                   name, name);
    if (stable.boundary == FP_BOUNDARY_KILLED) PetscCall(CheckKilled(run, p, name));
    FPInputCheck(!run->use_generator || dim <= 2,
                 "process %s: its jumps have generators in 1 and 2 dimensions, not in %" PetscInt_FMT
                 "; accepted is engines = particles",
                 name, dim);
  }
  PetscFunctionReturn(0);
}

/* Particles need a step, and have no answer to an absorbing face. */
/* Steps of particles, weighed by what they cost: legal keys can ask for more than a life has time for. */
static PetscErrorCode CheckLength(FPRunObjects *run, PetscInt p)
{
  FPAlgorithm algorithm;
  FPTraining  training;
  PetscReal   step, steps;
  PetscInt    count, order;
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(run->process[p], &name));
  PetscCall(FPProcessGetAlgorithm(run->process[p], &algorithm, &order));
  PetscCall(FPProcessGetTraining(run->process[p], &training));
  PetscCall(FPParticlesCount(&run->particles, &count));
  steps = (PetscReal)count * ((PetscReal)run->particles.steps + (PetscReal)run->particles.burn_in);
  if (algorithm == FP_SDE) {
    PetscCall(FPProcessGetParticleStep(run->process[p], &step));
    steps *= 3 * training.learning_rate / step; /* with the step and with half of it */
  } else if (algorithm != FP_GD)
    steps *= (PetscReal)order * training.batch_size;
  FPInputCheck(steps < MOST_STEPS,
               "particles_steps, particles_count: %.2g steps of particles of %s, more than %g, about %.2g days of one "
               "core; accepted are fewer, a smaller batch or, of an SDE, a longer %s_dt",
               (double)steps, name, MOST_STEPS, (double)(steps / STEPS_PER_DAY), name);
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckParticles(FPRunObjects *run)
{
  const FPBox *box;
  PetscReal    dt;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < run->processes; p++) {
    PetscCall(FPProcessGetParticleStep(run->process[p], &dt));
    PetscCall(CheckLength(run, p));
  }
  if (!run->mesh) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(run->mesh, &box));
  for (PetscInt f = 0; f < 2 * box->dim; f++)
    FPInputCheck(
        box->face[f] == FP_REFLECTING,
        "mesh_faces: the %s face of coordinate %" PetscInt_FMT
        " is absorbing, which engine particles does not know; give engines: [generator, transfer] or reflecting faces",
        f % 2 ? "upper" : "lower", f / 2 + 1);
  PetscFunctionReturn(0);
}

/* Without a box and without decay, a valley of minima has no normalisable law. */
static PetscErrorCode CheckNormalisable(FPRunObjects *run)
{
  const FPCriticalPoint *points;
  FPTraining             training;
  PetscInt               count;
  const char            *type, *coordinates;

  PetscFunctionBegin;
  PetscCall(FPModelGetName(run->model, &type, &coordinates));
  PetscCall(FPProcessGetTraining(run->process[0], &training));
  PetscCall(FPModelGetCriticalPoints(run->model, &count, &points));
  FPInputCheck(
      !strcmp(type, "ou") || training.weight_decay > 0 || count == 0 || points[0].flat == 0,
      "training_weight_decay = 0 without a mesh: the minima of this model form an unbounded valley, so there is "
      "no normalisable stationary law; add decay or a box");
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckBox(FPRunObjects *run)
{
  const FPBox *box = NULL;

  PetscFunctionBegin;
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
  for (PetscInt p = 0; p < run->processes; p++)
    PetscCall(FPProcessCheckBox(run->process[p], box ? box->lower : NULL, box ? box->upper : NULL));
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadParts(FPConfig config, FPRunObjects *run)
{
  PetscInt  dim;
  PetscBool has;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "", RunParameters, &run->options));
  PetscCall(CheckList(&run->options.processes, "processes", FP_MAX_PROCESSES));
  PetscCall(CheckList(&run->options.engines, "engines", 4));
  PetscCall(CheckList(&run->options.observables, "observables", FP_MAX_OBSERVABLES));
  PetscCall(HasEngine(&run->options.engines, "generator", &run->use_generator));
  PetscCall(HasEngine(&run->options.engines, "transfer", &run->use_transfer));
  PetscCall(HasEngine(&run->options.engines, "particles", &run->use_particles));
  PetscCall(FPDataCreate(config, &run->data));
  PetscCall(FPModelCreate(config, run->data, &run->model));
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  for (PetscInt p = 0; p < run->options.processes.n; p++) {
    PetscCall(FPProcessCreate(config, run->options.processes.value[p], run->model, &run->process[p]));
    run->processes++;
  }
  PetscCall(ReadUnusedBlocks(config, run));
  PetscCall(FPMeshCreate(config, dim, &run->mesh, &has));
  PetscCall(CheckBox(run));
  PetscCall(FPGeneratorOptionsRead(config, &run->generating));
  PetscCall(FPParticleOptionsRead(config, &run->particles));
  for (PetscInt o = 0; o < run->options.observables.n; o++) {
    PetscCall(FPObservableCreate(config, run->options.observables.value[o], &run->observable[o]));
    run->observables++;
    PetscCall(FPObservableRead(run->observable[o], config, run->model, run->mesh, PETSC_TRUE));
  }
  PetscCall(ReadUnusedObservables(config, run));
  PetscCall(FPRunReadSampling(config, run));
  PetscCall(FPConfigCheckUnknown(config));
  PetscCall(CheckJumps(run));
  PetscCall(CheckGenerators(run));
  if (run->use_particles) PetscCall(CheckParticles(run));
  if (!run->mesh) PetscCall(CheckNormalisable(run));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunOpen(FPConfig config, FPRunObjects *run)
{
  PetscFunctionBegin;
  PetscCall(PetscMemzero(run, sizeof(*run)));
  PetscCall(ReadParts(config, run));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetScene(FPRunObjects *run)
{
  FPScene scene = {.model         = run->model,
                   .mesh          = run->mesh,
                   .results       = run->results,
                   .processes     = run->processes,
                   .process       = run->process,
                   .use_generator = run->use_generator,
                   .use_transfer  = run->use_transfer,
                   .use_particles = run->use_particles,
                   .particles     = run->particles};

  PetscFunctionBegin;
  if (run->mesh) {
    const FPBox *box;

    PetscCall(FPMeshGetBox(run->mesh, &box));
    PetscCall(FPBinsCreate(box, &scene.bins));
  }
  for (PetscInt o = 0; o < run->observables; o++) PetscCall(FPObservableSetScene(run->observable[o], &scene));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunClose(FPRunObjects *run)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < run->processes; p++) PetscCall(FPGeneratorDestroy(&run->generator[p]));
  for (PetscInt o = 0; o < run->observables; o++) PetscCall(FPObservableDestroy(&run->observable[o]));
  PetscCall(FPRegionDestroy(&run->sampling.killed));
  PetscCall(FPRegionDestroy(&run->sampling.region));
  for (PetscInt p = 0; p < run->processes; p++) PetscCall(FPProcessDestroy(&run->process[p]));
  PetscCall(FPMeshDestroy(&run->mesh));
  PetscCall(FPModelDestroy(&run->model));
  PetscCall(FPDataDestroy(&run->data));
  PetscCall(FPConfigFree(RunParameters, &run->options));
  PetscCall(FPResultsDestroy(&run->results));
  PetscFunctionReturn(0);
}

/* Axis coordinates of the finest grid and of the bins, for the fields. */
static PetscErrorCode WriteAxes(FPRunObjects *run)
{
  const FPBox *box;
  PetscInt     cells[FP_MAX_AXES];
  PetscReal    ratio;
  FPBins       bins;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(run->mesh, &box));
  PetscCall(FPMeshGetCells(run->mesh, 0, cells, &ratio));
  PetscCall(FPBinsCreate(box, &bins));
  for (PetscInt a = 0; a < box->dim; a++) {
    PetscReal *z, slope;
    char       name[FP_NAME];

    PetscCall(FPModelGetCoordinateName(run->model, a, name));
    PetscCall(PetscMalloc1(PetscMax(cells[a], bins.count[a]) + 1, &z));
    for (PetscInt i = 0; i < cells[a]; i++) FPMeshMap(run->mesh, a, (i + 0.5) / cells[a], &z[i], &slope);
    PetscCall(FPResultsAxis(run->results, "cells", a, name, cells[a], z, "weight"));
    for (PetscInt i = 0; i <= cells[a]; i++) FPMeshMap(run->mesh, a, (PetscReal)i / cells[a], &z[i], &slope);
    PetscCall(FPResultsAxis(run->results, "corners", a, name, cells[a] + 1, z, "weight"));
    for (PetscInt i = 0; i < bins.count[a]; i++) z[i] = bins.lower[a] + (i + 0.5) * bins.width[a];
    PetscCall(FPResultsAxis(run->results, "bins", a, name, bins.count[a], z, "weight"));
    PetscCall(PetscFree(z));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddFloor(FPRunObjects *run, FPModel model, const char quantity[])
{
  PetscReal floor;

  PetscFunctionBegin;
  PetscCall(FPModelGetLossFloor(model, &floor));
  PetscCall(FPResultsAdd(run->results, "model", "exact", "stationary", quantity, floor, 1e-12 * PetscMax(1, floor),
                         FP_BOUND, "loss"));
  PetscFunctionReturn(0);
}

/* The irreducible part of each loss, once: every `loss` is the excess over it, `test_loss` over test_loss_floor. */
static PetscErrorCode AddLossFloors(FPRunObjects *run)
{
  FPData data;

  PetscFunctionBegin;
  PetscCall(FPModelGetData(run->model, &data));
  if (data) PetscCall(AddFloor(run, run->model, "loss_floor"));
  for (int law = 0; law < FP_LAWS; law++) {
    FPModel other;
    char    quantity[FP_NAME];

    PetscCall(FPModelGetOther(run->model, (FPLaw)law, &other));
    PetscCall(PetscSNPrintf(quantity, sizeof(quantity), "%s_loss_floor", FPLawNames[law]));
    if (other) PetscCall(AddFloor(run, other, quantity));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode WarnOfCaveats(FPRunObjects *run)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < run->processes; p++) {
    const char *name, *caveat;

    PetscCall(FPProcessGetName(run->process[p], &name));
    PetscCall(FPProcessGetCaveat(run->process[p], &caveat));
    if (caveat) PetscCall(FPResultsWarn(run->results, "%s: %s", name, caveat));
  }
  PetscFunctionReturn(0);
}

/* Generators first, those without a potential before the others: the first that carries a current sets the pattern that
 * all are compared with. */
static PetscErrorCode Work(FPRunObjects *run)
{
  PetscFunctionBegin;
  for (PetscInt pass = 0; pass < 2; pass++) {
    for (PetscInt p = 0; p < run->processes; p++) {
      PetscBool has, discrete, flow;

      PetscCall(FPRunIsDiscrete(run, p, &discrete));
      PetscCall(FPProcessIsDeterministic(run->process[p], &flow));
      PetscCall(FPProcessHasPotential(run->process[p], &has));
      if ((discrete ? run->use_transfer : run->use_generator && !flow) && has == (PetscBool)pass)
        PetscCall(FPRunGenerator(run, p));
    }
  }
  for (PetscInt o = 0; o < run->observables; o++) PetscCall(FPObservableExact(run->observable[o]));
  for (PetscInt p = 0; p < run->processes && run->use_particles; p++) PetscCall(FPRunParticles(run, p));
  PetscFunctionReturn(0);
}

/* After FPRunOpen() */
static PetscErrorCode Resolve(FPConfig config, json_t *resolved)
{
  PetscFunctionBegin;
  PetscCall(FPConfigResolved(config, resolved));
  json_object_set_new(resolved, "instruction_set", json_string(FPInstructionSet())); /* particles' bits depend on it */
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunExecute(FPConfig config, const char dir[], PetscInt *disagreements)
{
  FPRunObjects   run;
  json_t        *resolved = json_object();
  PetscLogDouble begin, end;

  PetscFunctionBegin;
  PetscCall(PetscTime(&begin));
  PetscCall(FPRunOpen(config, &run));
  PetscCall(FPResultsCreate(dir, &run.results));
  PetscCall(Resolve(config, resolved));
  PetscCall(FPResultsSetRun(run.results, resolved));
  PetscCall(SetScene(&run));
  if (run.mesh) PetscCall(WriteAxes(&run));
  PetscCall(AddLossFloors(&run));
  PetscCall(WarnOfCaveats(&run));
  PetscCall(Work(&run));
  PetscCall(FPResultsCrossCheck(run.results, "sgd", run.options.threshold, disagreements));
  PetscCall(PetscTime(&end));
  PetscCall(FPResultsTiming(run.results, "total", end - begin));
  PetscCall(FPResultsWrite(run.results));
  PetscCall(FPResultsView(run.results, stdout));
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunCheck(FPConfig config)
{
  FPRunObjects run;

  PetscFunctionBegin;
  PetscCall(FPRunOpen(config, &run));
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunResolve(FPConfig config, json_t *resolved)
{
  FPRunObjects run;

  PetscFunctionBegin;
  PetscCall(FPRunOpen(config, &run));
  PetscCall(Resolve(config, resolved));
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunListCriticalPoints(FPConfig config, FILE *out)
{
  FPRunObjects           run;
  const FPCriticalPoint *points;
  PetscInt               count, dim;

  PetscFunctionBegin;
  PetscCall(FPRunOpen(config, &run));
  PetscCall(FPModelGetSizes(run.model, &dim, NULL, NULL));
  PetscCall(FPModelGetCriticalPoints(run.model, &count, &points));
  fprintf(out, "%-12s %5s %4s  %-12s coordinates; Hessian eigenvalues\n", "name", "index", "flat", "V");
  for (PetscInt k = 0; k < count; k++) {
    fprintf(out, "%-12s %5d %4d  %-12.6g (", points[k].name, (int)points[k].index, (int)points[k].flat,
            points[k].value);
    for (PetscInt a = 0; a < dim; a++) fprintf(out, "%s%.6g", a ? ", " : "", points[k].z[a]);
    fprintf(out, ");");
    for (PetscInt a = 0; a < dim; a++) fprintf(out, " %.6g", points[k].eigenvalue[a]);
    fprintf(out, "\n");
  }
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunListObservables(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPObservableList(out));
  PetscCall(FPRunListUnsupported(out));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunListEngines(FILE *out)
{
  PetscFunctionBegin;
  fprintf(out,
          "generator    the Fokker-Planck generator of an SDE as a Markov chain on a grid, its spectrum by SLEPc\n");
  PetscCall(FPGeneratorList(out));
  fprintf(out, "transfer     the exact transfer operator of sgd, svag and gd as a stochastic matrix on a grid\n");
  PetscCall(FPTransferList(out));
  fprintf(out,
          "particles    simulation: SDEs by Euler-Maruyama with step extrapolation, sgd, svag and gd as they are\n");
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunListKeys(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(RunParameters, "", out));
  PetscCall(FPMeshList(out));
  PetscCall(FPGeneratorList(out));
  PetscCall(FPTransferList(out));
  PetscCall(FPParticleOptionsView(out));
  PetscCall(FPRunListSampling(out));
  PetscFunctionReturn(0);
}

/* sample.c: points drawn from the stationary law of one process. An SDE with a generator: cells of the finest grid by
   their probability, uniform within the cell, all independent. Else particles: their positions at the end of the run
   or, when there are more points than particles, at equally spaced times too; then the effective sample size is the
   variance of a coordinate (or of the loss, whichever gives least) over the squared standard error of its mean, the
   latter from the scatter of the independent groups of particles. */
#include "runimpl.h"
#include <errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 100000000 /* points */
#define CheckHDF5(call) PetscCheck((call) >= 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "HDF5 call failed: %s", #call)

/* The points: the coordinates of the model, then the excess loss. */
typedef struct {
  PetscInt    count, dim;
  double     *value; /* [count][dim + 1] */
  PetscReal   effective;
  const char *engine;
} Sample;

static PetscErrorCode FindProcess(const FPRunObjects *run, const char process[], PetscInt *p)
{
  char names[FP_TEXT] = "";

  PetscFunctionBegin;
  for (*p = 0; *p < run->processes && strcmp(run->options.processes.value[*p], process); (*p)++) {
    PetscCall(PetscStrlcat(names, names[0] ? ", " : "", sizeof(names)));
    PetscCall(PetscStrlcat(names, run->options.processes.value[*p], sizeof(names)));
  }
  FPInputCheck(*p < run->processes, "command line: -process %s is no process of this run file; accepted: %s", process,
               names);
  PetscFunctionReturn(0);
}

/* The finest grid of process p, with its stationary law. */
static PetscErrorCode BuildGenerator(FPRunObjects *run, PetscInt p)
{
  PetscFunctionBegin;
  PetscCall(FPGeneratorCreate(run->process[p], run->mesh, 0, &run->generating, NULL, &run->generator[p]));
  PetscCall(FPGeneratorSolve(run->generator[p], 1));
  PetscFunctionReturn(0);
}

static PetscErrorCode DrawCells(FPRunObjects *run, PetscInt p, Sample *sample)
{
  FPGenerator         gen = run->generator[p];
  const PetscInt     *cells, *node;
  const PetscReal    *z, *measure, *volume, *pi;
  PetscReal           ratio, *center[3], *width[3];
  PetscInt            n, dim;
  gsl_ran_discrete_t *table;
  gsl_rng            *rng = gsl_rng_alloc(gsl_rng_mt19937);

  PetscFunctionBegin;
  gsl_rng_set(rng, (unsigned long)run->particles.seed);
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscMalloc2(cells[a], &center[a], cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
  }
  table = gsl_ran_discrete_preproc((size_t)n, pi);
  for (PetscInt i = 0; i < sample->count; i++) {
    PetscInt rest = node[gsl_ran_discrete(rng, table)];

    for (PetscInt a = 0; a < dim; a++) {
      const PetscInt c = rest % cells[a];

      sample->value[(size_t)i * (size_t)(dim + 1) + (size_t)a] =
          center[a][c] + (gsl_rng_uniform(rng) - 0.5) * width[a][c];
      rest /= cells[a];
    }
  }
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree2(center[a], width[a]));
  gsl_ran_discrete_free(table);
  gsl_rng_free(rng);
  sample->effective = sample->count;
  sample->engine    = "generator";
  PetscFunctionReturn(0);
}

/* An observer that keeps positions after step `after`: acc[0] counts blocks, then come their coordinates. */
static void Keep(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const PetscInt64 after = *(const PetscInt64 *)context;
  const size_t     size  = (size_t)move->dim * FP_BLOCK;

  if (move->step <= after) return;
  memcpy(acc + 1 + (size_t)acc[0] * size, move->after, size * sizeof(double));
  acc[0]++;
}

/* Variance of column k over the squared error of its mean, from the means of groups; value[FP_GROUPS][each][dim + 1].
 */
static PetscReal EffectiveSize(PetscInt each, PetscInt dim, const double value[], PetscInt k)
{
  PetscReal mean[FP_GROUPS] = {0}, all = 0, within = 0, between = 0;

  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    for (PetscInt i = 0; i < each; i++) mean[g] += value[((size_t)g * each + i) * (dim + 1) + k] / each;
    all += mean[g] / FP_GROUPS;
  }
  for (PetscInt g = 0; g < FP_GROUPS; g++) {
    between += PetscSqr(mean[g] - all) / (FP_GROUPS * (FP_GROUPS - 1.0));
    for (PetscInt i = 0; i < each; i++)
      within += PetscSqr(value[((size_t)g * each + i) * (dim + 1) + k] - all) / ((PetscReal)FP_GROUPS * each);
  }
  return between > 0 ? within / between : (PetscReal)FP_GROUPS * each;
}

static void AddLoss(FPModel model, PetscInt dim, PetscInt count, double value[])
{
  PetscBool mapped;
  PetscInt  weights;

  (void)FPModelGetParent(model, &mapped, &weights);
  for (PetscInt i = 0; i < count; i++) {
    double *z = value + (size_t)i * (dim + 1), w[FP_MAX_DIM];

    if (mapped) FPModelLift(model, 1, z, w);
    FPModelLoss(model, 1, mapped ? w : z, z + dim);
  }
}

/* Simulate and keep `shots` snapshots: kept[FP_GROUPS][each][dim + 1]. */
static PetscErrorCode Simulate(FPRunObjects *run, PetscInt p, PetscInt shots, PetscInt each, PetscInt dim,
                               double kept[])
{
  const size_t     block = (size_t)dim * FP_BLOCK, size = 1 + (size_t)(each / FP_BLOCK) * block;
  const FPBox     *box      = NULL;
  FPObserver       observer = {.accumulator = size, .every = 1, .sample = Keep};
  FPParticleReport report;
  FPTraining       training;
  PetscReal       *start, dt;
  PetscInt64       steps, after;
  double          *acc;

  PetscFunctionBegin;
  PetscCall(FPProcessGetTraining(run->process[p], &training));
  PetscCall(FPProcessGetStep(run->process[p], &dt));
  if (dt == 0) PetscCall(FPProcessGetParticleStep(run->process[p], &dt));
  steps = (PetscInt64)run->particles.steps * (PetscInt64)lround(training.learning_rate / dt);
  FPInputCheck(shots <= steps,
               "command line: -count asks for more points than particles_count x particles_steps = %g gives",
               (double)steps * FP_GROUPS * each / shots);
  observer.every   = (PetscInt)(steps / shots);
  observer.context = &after;
  after            = (steps / observer.every - shots) * observer.every;
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
  PetscCall(FPRunStartPoints(run, p, &start));
  PetscCall(PetscCalloc1(FP_GROUPS * size, &acc));
  PetscCall(FPParticlesRun(run->process[p], box, dt, &run->particles, start, 1, &observer, &acc, &report));
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (PetscInt i = 0; i < each; i++) {
      const double *from = acc + g * size + 1 + (size_t)(i / FP_BLOCK) * block + i % FP_BLOCK;

      for (PetscInt a = 0; a < dim; a++) kept[((size_t)g * each + i) * (dim + 1) + a] = from[a * FP_BLOCK];
    }
  PetscCall(PetscFree(acc));
  PetscCall(PetscFree(start));
  PetscFunctionReturn(0);
}

static PetscErrorCode DrawParticles(FPRunObjects *run, PetscInt p, Sample *sample)
{
  const PetscInt row = sample->dim + 1;
  PetscInt       particles, shots, each;
  PetscInt64     total;
  double        *kept;

  PetscFunctionBegin;
  PetscCall(FPParticlesCount(&run->particles, &particles));
  shots = (sample->count + particles - 1) / particles;
  each  = particles / FP_GROUPS * shots;
  total = (PetscInt64)FP_GROUPS * each;
  PetscCall(PetscMalloc1((size_t)total * row, &kept));
  PetscCall(Simulate(run, p, shots, each, sample->dim, kept));
  AddLoss(run->model, sample->dim, (PetscInt)total, kept);
  for (PetscInt i = 0; i < sample->count; i++) /* evenly from all groups */
    PetscCall(PetscArraycpy(sample->value + (size_t)i * row,
                            kept + (size_t)((PetscInt64)i * total / sample->count) * row, row));
  sample->effective = sample->count;
  sample->engine    = "particles";
  for (PetscInt k = 0; k < row && shots > 1; k++)
    sample->effective = PetscMin(sample->effective, EffectiveSize(each, sample->dim, kept, k) * sample->count / total);
  PetscCall(PetscFree(kept));
  PetscFunctionReturn(0);
}

static PetscErrorCode Draw(FPRunObjects *run, PetscInt p, Sample *sample)
{
  FPAlgorithm algorithm;
  FPTraining  training;
  PetscBool   grid = (PetscBool)(run->mesh && run->use_generator);

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(run->process[p], &algorithm, NULL));
  PetscCall(FPProcessGetTraining(run->process[p], &training));
  FPInputCheck(algorithm != FP_GD || training.temperature > 0,
               "command line: -process %s is deterministic without a temperature: it has no law to sample",
               run->options.processes.value[p]);
  PetscCall(PetscMalloc1((size_t)sample->count * (size_t)(sample->dim + 1), &sample->value));
  if (grid && algorithm == FP_SDE) {
    PetscCall(BuildGenerator(run, p));
    PetscCall(DrawCells(run, p, sample));
    AddLoss(run->model, sample->dim, sample->count, sample->value);
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k < run->processes && grid; k++) { /* particles start from the law of the first SDE */
    PetscCall(FPProcessGetAlgorithm(run->process[k], &algorithm, NULL));
    if (algorithm != FP_SDE) continue;
    PetscCall(BuildGenerator(run, k));
    break;
  }
  PetscCall(DrawParticles(run, p, sample));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteCSV(FPModel model, const Sample *sample, const char file[])
{
  FILE *f = fopen(file, "w");
  int   bad;

  PetscFunctionBegin;
  PetscCheck(f, PETSC_COMM_SELF, PETSC_ERR_FILE_OPEN, "cannot write %s: %s", file, strerror(errno));
  for (PetscInt a = 0; a < sample->dim; a++) {
    char name[FP_NAME];

    PetscCall(FPModelGetCoordinateName(model, a, name));
    fprintf(f, "%s,", name);
  }
  fprintf(f, "loss\n");
  for (size_t k = 0; k < (size_t)sample->count * (size_t)(sample->dim + 1); k++)
    fprintf(f, "%.17g%c", sample->value[k], (k + 1) % (size_t)(sample->dim + 1) ? ',' : '\n');
  bad = ferror(f);
  bad = fclose(f) || bad;
  PetscCheck(!bad, PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s: %s", file, strerror(errno));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteTexts(hid_t dataset, const char name[], PetscInt n, const char *const text[])
{
  const hsize_t count = (hsize_t)n;
  hid_t         type, space, attribute;

  PetscFunctionBegin;
  CheckHDF5(type = H5Tcopy(H5T_C_S1));
  CheckHDF5(H5Tset_size(type, H5T_VARIABLE));
  CheckHDF5(H5Tset_cset(type, H5T_CSET_UTF8));
  CheckHDF5(space = n > 1 ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_SCALAR));
  CheckHDF5(attribute = H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Awrite(attribute, type, text));
  CheckHDF5(H5Aclose(attribute));
  CheckHDF5(H5Sclose(space));
  CheckHDF5(H5Tclose(type));
  PetscFunctionReturn(0);
}

/* Dataset "sample" [count][columns] with attributes columns, process, engine, run (JSON), version and
   effective_sample_size. */
static PetscErrorCode WriteHDF5(FPConfig config, FPModel model, const Sample *sample, const char process[],
                                const char path[])
{
  const hsize_t shape[2] = {(hsize_t)sample->count, (hsize_t)sample->dim + 1};
  const char   *column[FP_MAX_DIM + 1], *version = FP_VERSION;
  char          name[FP_MAX_DIM][FP_NAME], *text;
  json_t       *run = json_object();
  hid_t         file, space, dataset, scalar, attribute;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < sample->dim; a++) {
    PetscCall(FPModelGetCoordinateName(model, a, name[a]));
    column[a] = name[a];
  }
  column[sample->dim] = "loss";
  PetscCall(FPConfigResolved(config, run));
  text = json_dumps(run, JSON_COMPACT | JSON_REAL_PRECISION(17));
  PetscCheck(text, PETSC_COMM_SELF, PETSC_ERR_MEM, "cannot write the run as JSON");
  CheckHDF5(file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(space = H5Screate_simple(2, shape, NULL));
  CheckHDF5(dataset = H5Dcreate2(file, "sample", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, sample->value));
  PetscCall(WriteTexts(dataset, "columns", sample->dim + 1, column));
  PetscCall(WriteTexts(dataset, "process", 1, &process));
  PetscCall(WriteTexts(dataset, "engine", 1, &sample->engine));
  PetscCall(WriteTexts(dataset, "version", 1, &version));
  PetscCall(WriteTexts(dataset, "run", 1, (const char *const *)&text));
  CheckHDF5(scalar = H5Screate(H5S_SCALAR));
  CheckHDF5(attribute =
                H5Acreate2(dataset, "effective_sample_size", H5T_NATIVE_DOUBLE, scalar, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &sample->effective));
  CheckHDF5(H5Aclose(attribute));
  CheckHDF5(H5Sclose(scalar));
  CheckHDF5(H5Dclose(dataset));
  CheckHDF5(H5Sclose(space));
  CheckHDF5(H5Fclose(file));
  free(text);
  json_decref(run);
  PetscFunctionReturn(0);
}

/* Written aside, then renamed. */
static PetscErrorCode Write(FPConfig config, FPModel model, const Sample *sample, const char process[],
                            const char format[], const char dir[])
{
  char path[2 * FP_TEXT], aside[2 * FP_TEXT];

  PetscFunctionBegin;
  (void)snprintf(path, sizeof(path), "%s/sample.%s", dir, format);
  (void)snprintf(aside, sizeof(aside), "%s/.sample.%d", dir, (int)getpid());
  if (!strcmp(format, "csv"))
    PetscCall(WriteCSV(model, sample, aside));
  else
    PetscCall(WriteHDF5(config, model, sample, process, aside));
  PetscCheck(!rename(aside, path), PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s: %s", path, strerror(errno));
  printf("%d points of %s by %s, effective sample size %.0f: %s\n", (int)sample->count, process, sample->engine,
         sample->effective, path);
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunSample(FPConfig config, const char process[], PetscInt count, const char format[], const char dir[])
{
  FPRunObjects run;
  FPResults    place;
  Sample       sample = {.count = count};
  PetscInt     p;

  PetscFunctionBegin;
  FPInputCheck(!strcmp(format, "csv") || !strcmp(format, "h5"), "command line: -format %s; accepted: csv, h5", format);
  FPInputCheck(count > 0 && count <= MOST, "command line: -count = %" PetscInt_FMT "; accepted: 1 to %d", count, MOST);
  PetscCall(FPRunOpen(config, &run));
  PetscCall(FindProcess(&run, process, &p));
  PetscCall(FPModelGetSizes(run.model, &sample.dim, NULL, NULL));
  PetscCall(FPResultsCreate(dir, &place)); /* makes the directory, or refuses it */
  PetscCall(Draw(&run, p, &sample));
  PetscCall(Write(config, run.model, &sample, process, format, dir));
  PetscCall(FPResultsDestroy(&place)); /* which removes it again where nothing has come into it */
  PetscCall(PetscFree(sample.value));
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

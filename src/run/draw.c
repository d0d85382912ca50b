/* draw.c: points of a law, for `dlnfp sample`.
   An SDE with a generator, a discrete algorithm with its transfer operator: cells of the finest grid by their
   probability, uniform within the cell, all independent. The quasi-stationary law is that of the killed chain; in a
   cell that the boundary cuts, points lie inside only. Else particles: their positions at the end of the run or, when
   there are more points than particles, at equally spaced times too; survivors.c for the quasi-stationary law. The
   effective sample size is the variance of a coordinate (or of the loss, whichever gives least) over the squared
   standard error of its mean, the latter from the scatter of independent parts of the particles. A law restricted to a
   region is sampled by rejection: points of the whole law that lie in it. */
#include "runimpl.h"
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <string.h>

#define ENOUGH 1000000 /* draws, none of which lies in the region: it has no mass */
#define PATIENCE 10000 /* draws per point beyond that */
#define ATTEMPTS 1000  /* at a point of a cell inside the killed region; its centre is */

typedef struct {
  char law[FP_TEXT];
} Keys;

static const FPParameter SamplingParameters[] = {
    {"law", FP_CHOICE, offsetof(Keys, law), "stationary", 0, 0, "stationary quasi_stationary", NULL,
     "quasi_stationary: of the process killed on leaving the region of section exit, from exit_start on"},
    {0}};

typedef struct {
  FPStrings start;
} ExitKeys;

static const FPParameter ExitParameters[] = {
    {"start", FP_STRINGS, offsetof(ExitKeys, start), NULL, 0, 0, NULL, "weight", "of section exit"}, {0}};

static PetscErrorCode HasAbsorbingFace(FPMesh mesh, PetscBool *has)
{
  const FPBox *box;

  PetscFunctionBegin;
  *has = PETSC_FALSE;
  if (!mesh) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(mesh, &box));
  for (PetscInt f = 0; f < 2 * box->dim; f++) *has = (PetscBool)(*has || box->face[f] == FP_ABSORBING);
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunReadSampling(FPConfig config, FPRunObjects *run)
{
  FPSampling *sampling = &run->sampling;
  Keys        keys;
  ExitKeys    keys_of_exit;
  PetscBool   has, absorbing;

  PetscFunctionBegin;
  PetscCall(FPConfigHas(config, "sample", &has));
  if (!has) PetscFunctionReturn(0);
  PetscCall(FPConfigRead(config, "sample", SamplingParameters, &keys));
  PetscCall(PetscStrcmp(keys.law, "quasi_stationary", &sampling->quasi));
  PetscCall(FPRegionCreate(config, "sample", PETSC_FALSE, run->model, &sampling->region));
  if (!sampling->quasi) PetscFunctionReturn(0);
  PetscCall(FPRegionCreate(config, "exit", PETSC_FALSE, run->model, &sampling->killed));
  PetscCall(HasAbsorbingFace(run->mesh, &absorbing));
  FPInputCheck(sampling->killed || absorbing,
               "sample_law = quasi_stationary needs exit_region, which the process is killed on leaving, or absorbing "
               "mesh_faces");
  PetscCall(FPConfigHas(config, "exit_start", &sampling->started));
  if (!sampling->started) PetscFunctionReturn(0);
  PetscCall(FPConfigRead(config, "exit", ExitParameters, &keys_of_exit));
  PetscCall(FPPointRead(config, "exit_start", &keys_of_exit.start, run->model, sampling->start));
  PetscCall(FPConfigFree(ExitParameters, &keys_of_exit));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunListSampling(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(SamplingParameters, "sample", out));
  fprintf(out, "  %-26s and the other keys of a region (dlnfp list regions): the law is restricted to it\n",
          "sample_region");
  PetscFunctionReturn(0);
}

static PetscErrorCode FreeKept(FPKept *kept)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(kept->first));
  PetscCall(PetscFree(kept->value));
  PetscFunctionReturn(0);
}

/* The finest grid of process p, with its stationary or quasi-stationary law. */
static PetscErrorCode BuildGenerator(FPRunObjects *run, PetscInt p)
{
  const FPSampling *sampling = &run->sampling;
  const PetscReal  *start    = sampling->started ? sampling->start : NULL;

  PetscFunctionBegin;
  if (sampling->killed)
    PetscCall(FPGeneratorCreateKilled(run->process[p], run->mesh, 0, &run->generating, start, sampling->killed,
                                      &run->generator[p]));
  else
    PetscCall(FPGeneratorCreate(run->process[p], run->mesh, 0, &run->generating, start, &run->generator[p]));
  PetscCall(FPGeneratorSolve(run->generator[p], 1));
  PetscFunctionReturn(0);
}

static PetscBool Inside(FPRegion region, const double z[])
{
  double level;

  if (!region) return PETSC_TRUE;
  FPRegionLevel(region, 1, z, &level);
  return (PetscBool)(level < 0);
}

/* Probabilities of the cells; an operator of order 4 leaves next to nothing below zero. */
static PetscErrorCode Probabilities(FPGenerator gen, PetscInt n, PetscReal share[])
{
  const PetscReal *pi;

  PetscFunctionBegin;
  PetscCall(FPGeneratorStationary(gen, &pi));
  for (PetscInt k = 0; k < n; k++) share[k] = PetscMax(0, pi[k]);
  PetscFunctionReturn(0);
}

/* A grid to draw from. */
typedef struct {
  FPGenerator         gen;
  PetscInt            dim;
  gsl_ran_discrete_t *table;
  gsl_rng            *rng;
} Urn;

static PetscErrorCode UrnCreate(FPGenerator gen, PetscInt seed, Urn *urn)
{
  PetscReal *share;
  PetscInt   n;

  PetscFunctionBegin;
  urn->gen = gen;
  urn->rng = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(urn->rng, (unsigned long)seed);
  PetscCall(FPGeneratorGetGrid(gen, &urn->dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &share));
  PetscCall(Probabilities(gen, n, share));
  urn->table = gsl_ran_discrete_preproc((size_t)n, share);
  PetscCall(PetscFree(share));
  PetscFunctionReturn(0);
}

static void UrnDraw(const Urn *urn, FPRegion within, double z[])
{
  const PetscInt cell = (PetscInt)gsl_ran_discrete(urn->rng, urn->table);

  for (PetscInt attempt = 0; attempt <= ATTEMPTS; attempt++) {
    PetscReal u[3];

    for (PetscInt a = 0; a < urn->dim; a++) u[a] = attempt < ATTEMPTS ? gsl_rng_uniform(urn->rng) : 0.5;
    FPGeneratorPointInCell(urn->gen, cell, u, z);
    if (Inside(within, z)) return;
  }
}

static PetscErrorCode UrnDestroy(Urn *urn)
{
  PetscFunctionBegin;
  gsl_ran_discrete_free(urn->table);
  gsl_rng_free(urn->rng);
  PetscFunctionReturn(0);
}

static PetscErrorCode DrawCells(FPRunObjects *run, PetscInt p, FPSample *sample)
{
  const FPSampling *sampling = &run->sampling;
  const PetscInt    row      = sample->dim + 1;
  PetscInt          found    = 0;
  PetscInt64        draws    = 0;
  Urn               urn;

  PetscFunctionBegin;
  PetscCall(UrnCreate(run->generator[p], run->particles.seed, &urn));
  while (found < sample->count) {
    double *z = sample->value + (size_t)found * (size_t)row;

    UrnDraw(&urn, sampling->killed, z);
    draws++;
    found += Inside(sampling->region, z);
    FPInputCheck(found || draws < ENOUGH,
                 "sample_region: none of %d points of the law lies in it; accepted are regions with some of its mass",
                 ENOUGH);
    PetscCheck(draws < ENOUGH + (PetscInt64)PATIENCE * sample->count, PETSC_COMM_WORLD, PETSC_ERR_NOT_CONVERGED,
               "sample_region holds %" PetscInt_FMT " of %" PetscInt64_FMT " points: too little of the law to sample",
               found, draws);
  }
  PetscCall(UrnDestroy(&urn));
  sample->effective = sample->count;
  sample->engine    = FPGeneratorEngine(run->generator[p]);
  if (sampling->region) sample->acceptance = (PetscReal)found / (PetscReal)draws;
  if (sampling->quasi) {
    const PetscReal *rate;

    PetscCall(FPGeneratorGetModes(run->generator[p], NULL, &rate, NULL, NULL));
    sample->rate = rate[0];
  }
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

/* Of the mean of column k over all parts: variance of the column over the squared error by the scatter of the parts. */
static PetscReal EffectiveSize(const FPKept *kept, PetscInt k)
{
  const PetscInt  row = kept->dim + 1, G = kept->parts;
  const PetscReal n    = kept->first[G];
  PetscReal       mean = 0, within = 0, between = 0;

  for (PetscInt i = 0; i < kept->first[G]; i++) mean += kept->value[(size_t)i * row + k] / n;
  for (PetscInt g = 0; g < G; g++) {
    PetscReal part = 0;

    for (PetscInt i = kept->first[g]; i < kept->first[g + 1]; i++) {
      const PetscReal off = kept->value[(size_t)i * row + k] - mean;

      part += off / n;
      within += off * off / n;
    }
    between += part * part * G / (G - 1.0);
  }
  return between > 0 ? within / between : n;
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

/* Simulate and keep `shots` snapshots of all particles, by groups. */
static PetscErrorCode Simulate(FPRunObjects *run, PetscInt p, PetscInt shots, FPKept *kept)
{
  PetscInt         particles, each, dim;
  size_t           block, size;
  const FPBox     *box = NULL;
  FPObserver       observer;
  FPParticleReport report;
  FPTraining       training;
  PetscReal       *start, dt;
  PetscInt64       steps, after;
  double          *acc;

  PetscFunctionBegin;
  PetscCall(FPParticlesCount(&run->particles, &particles));
  PetscCall(FPModelGetSizes(run->model, &dim, NULL, NULL));
  PetscCall(FPProcessGetTraining(run->process[p], &training));
  PetscCall(FPProcessGetStep(run->process[p], &dt));
  if (dt == 0) PetscCall(FPProcessGetParticleStep(run->process[p], &dt));
  each     = particles / FP_GROUPS * shots;
  block    = (size_t)dim * FP_BLOCK;
  size     = 1 + (size_t)(each / FP_BLOCK) * block;
  steps    = (PetscInt64)run->particles.steps * (PetscInt64)lround(training.learning_rate / dt);
  observer = (FPObserver){.accumulator = size, .every = (PetscInt)(steps / shots), .sample = Keep, .context = &after};
  after    = (steps / observer.every - shots) * observer.every;
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &box));
  PetscCall(FPRunStartPoints(run, p, &start));
  PetscCall(PetscCalloc1(FP_GROUPS * size, &acc));
  PetscCall(FPParticlesRun(run->process[p], box, dt, &run->particles, start, 1, &observer, &acc, &report));
  *kept = (FPKept){.parts = FP_GROUPS, .dim = dim, .rate = NAN, .error = NAN};
  PetscCall(PetscMalloc1(FP_GROUPS + 1, &kept->first));
  PetscCall(PetscMalloc1((size_t)FP_GROUPS * each * (size_t)(dim + 1), &kept->value));
  for (PetscInt g = 0; g <= FP_GROUPS; g++) kept->first[g] = g * each;
  for (PetscInt g = 0; g < FP_GROUPS; g++)
    for (PetscInt i = 0; i < each; i++) {
      const double *from = acc + g * size + 1 + (size_t)(i / FP_BLOCK) * block + i % FP_BLOCK;

      for (PetscInt a = 0; a < dim; a++) kept->value[((size_t)g * each + i) * (dim + 1) + a] = from[a * FP_BLOCK];
    }
  PetscCall(PetscFree(acc));
  PetscCall(PetscFree(start));
  PetscFunctionReturn(0);
}

/* Only those in the region. */
static PetscErrorCode Restrict(FPRegion region, FPKept *kept)
{
  const PetscInt row  = kept->dim + 1;
  PetscInt       left = 0, i = 0;

  PetscFunctionBegin;
  for (PetscInt g = 0; g < kept->parts; g++) {
    for (; i < kept->first[g + 1]; i++) {
      if (!Inside(region, kept->value + (size_t)i * row)) continue;
      PetscCall(PetscArraymove(kept->value + (size_t)left * row, kept->value + (size_t)i * row, row));
      left++;
    }
    kept->first[g + 1] = left;
  }
  PetscFunctionReturn(0);
}

/* Snapshots until there are enough points: those to take when the last ones held `found` of `all`. */
static PetscErrorCode MoreShots(const FPRunObjects *run, const FPSample *sample, PetscInt particles, PetscInt found,
                                PetscInt all, PetscInt *shots)
{
  const PetscReal share = PetscMax(found, 0.5) / (PetscReal)all;
  const PetscReal more  = PetscMax(2.0 * *shots, ceil(1.1 * sample->count / share / particles));

  PetscFunctionBegin;
  FPInputCheck(found || *shots < run->particles.steps,
               "sample_region: none of %" PetscInt_FMT " positions of particles lies in it; accepted are regions with "
               "some of the law's mass",
               all);
  *shots = (PetscInt)PetscMin(more, found ? PETSC_MAX_INT : run->particles.steps);
  FPInputCheck(*shots <= run->particles.steps && (PetscReal)*shots * particles <= FP_MOST_POINTS,
               "command line: -count asks for more points than particles_count x particles_steps gives, of which %.3g "
               "%% lie in the region",
               100 * (double)share);
  PetscFunctionReturn(0);
}

static PetscErrorCode DrawParticles(FPRunObjects *run, PetscInt p, FPSample *sample)
{
  const PetscInt row = sample->dim + 1;
  PetscInt       particles, shots, total, all;
  FPKept         kept;

  PetscFunctionBegin;
  PetscCall(FPParticlesCount(&run->particles, &particles));
  shots = (PetscInt)ceil((run->sampling.quasi ? 1.25 : 1.0) * sample->count / particles);
  FPInputCheck(shots <= run->particles.steps && (PetscReal)shots * particles <= FP_MOST_POINTS + (PetscReal)particles,
               "command line: -count asks for more points than particles_count x particles_steps = %g gives",
               (double)run->particles.steps * particles);
  while (PETSC_TRUE) {
    PetscCall((*(run->sampling.quasi ? FPRunSurvivors : Simulate))(run, p, shots, &kept));
    all = kept.first[kept.parts];
    PetscCall(Restrict(run->sampling.region, &kept));
    total = kept.first[kept.parts];
    if (total >= sample->count) break;
    PetscCall(FreeKept(&kept));
    PetscCall(MoreShots(run, sample, particles, total, all, &shots));
  }
  AddLoss(run->model, sample->dim, total, kept.value);
  for (PetscInt i = 0; i < sample->count; i++) /* evenly from all parts */
    PetscCall(PetscArraycpy(sample->value + (size_t)i * row,
                            kept.value + (size_t)((PetscInt64)i * total / sample->count) * row, row));
  sample->effective  = sample->count;
  sample->engine     = "particles";
  sample->rate       = kept.rate;
  sample->rate_error = kept.error;
  sample->population = kept.population;
  if (run->sampling.region) sample->acceptance = (PetscReal)total / all;
  for (PetscInt k = 0; k < row && (shots > 1 || kept.population); k++)
    sample->effective = PetscMin(sample->effective, EffectiveSize(&kept, k) * sample->count / total);
  PetscCall(FreeKept(&kept));
  PetscFunctionReturn(0);
}

/* Does a grid of process p belong to the engines of the run? */
static PetscErrorCode HasGrid(FPRunObjects *run, PetscInt p, PetscBool *grid)
{
  PetscBool discrete;

  PetscFunctionBegin;
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  *grid = (PetscBool)(run->mesh && (discrete ? run->use_transfer : run->use_generator));
  PetscFunctionReturn(0);
}

/* The law that particles start from: that of the first SDE with a generator. */
static PetscErrorCode BuildStart(FPRunObjects *run)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < run->processes; k++) {
    PetscBool discrete, grid;

    PetscCall(FPRunIsDiscrete(run, k, &discrete));
    PetscCall(HasGrid(run, k, &grid));
    if (discrete || !grid) continue;
    PetscCall(BuildGenerator(run, k));
    break;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunDraw(FPRunObjects *run, PetscInt p, FPSample *sample)
{
  PetscBool discrete, grid, deterministic;

  PetscFunctionBegin;
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  PetscCall(HasGrid(run, p, &grid));
  PetscCall(FPProcessIsDeterministic(run->process[p], &deterministic));
  FPInputCheck(!deterministic,
               "command line: -process %s is deterministic without a temperature: it has no law to sample",
               run->options.processes.value[p]);
  FPInputCheck(!run->sampling.quasi || grid || (discrete && run->sampling.killed),
               "sample_law = quasi_stationary: that of %s is drawn from %s", run->options.processes.value[p],
               !discrete ? "its generator, which needs a mesh and the engine generator"
                         : "its transfer operator, which needs a mesh and the engine transfer, or from particles, "
                           "which need exit_region");
  sample->law        = run->sampling.quasi ? "quasi-stationary" : "stationary";
  sample->acceptance = sample->rate = sample->rate_error = NAN;
  PetscCall(PetscMalloc1((size_t)sample->count * (size_t)(sample->dim + 1), &sample->value));
  FPInputCheck(!grid || !discrete || strcmp(run->generating.transfer.scheme, "chebyshev"),
               "transfer_scheme = chebyshev knows means of smooth functions, not laws that points could be drawn of; "
               "accepted here is local");
  if (grid) {
    PetscCall(BuildGenerator(run, p));
    PetscCall(DrawCells(run, p, sample));
    AddLoss(run->model, sample->dim, sample->count, sample->value);
    PetscFunctionReturn(0);
  }
  PetscCall(BuildStart(run));
  PetscCall(DrawParticles(run, p, sample));
  PetscFunctionReturn(0);
}

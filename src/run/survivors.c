/* survivors.c: the quasi-stationary law of a discrete algorithm killed when a step ends outside a region, by particles
   that never run out: those that were killed restart where a random one of those that live is (K. Burdzy, R. Holyst,
   P. March, Commun. Math. Phys. 214 (2000), after Fleming and Viot). Restarts take place every few steps, so few that
   at most about a tenth has been killed; snapshots show those that live before the others restart. For any number of
   steps between restarts the law of infinitely many particles is the quasi-stationary one.
   Particles restart within families only, so that the scatter of families measures every correlation that restarts
   make. With n particles in a family the law is biased by a share of order 1/n of itself, below the standard deviation,
   of order 1/sqrt(n), of one family; a mean over very many snapshots may see it.
   The bits do not depend on the number of threads: the parts between restarts are runs of the particle engine, each
   with a seed of its own, and restarts draw from one stream. */
#include "runimpl.h"
#include <gsl/gsl_rng.h>
#include <math.h>

#define FAMILIES 16
#define LONGEST 256  /* SGD steps between restarts */
#define MANY 0.1     /* share of killed particles that makes restarts more frequent */
#define FEW 0.03     /* or less so */
#define SEEDS 104729 /* from the seed of one part of the run to that of the next */

/* What the observer knows. Accumulator of a group: [blocks][dim + 1][FP_BLOCK], coordinates of those that live, then 1
   for each that does. */
typedef struct {
  FPRegion region;
  PetscInt dim, blocks;
} Watch;

typedef struct {
  FPProcess         process;
  const FPBox      *box;
  FPParticleOptions options;
  Watch             watch;
  FPObserver        observer;
  PetscInt          seed, calls, count, each; /* each: particles of a family */
  PetscReal         dt, eta;
  PetscInt          chunk;                /* SGD steps to the next restart */
  PetscReal         time, lost[FAMILIES]; /* since the burn-in; minus the log of the share that lived through it */
  double           *z, *acc;              /* z[particle*dim + k] */
  PetscInt         *alive;                /* of one family */
  gsl_rng          *rng;
} Flock;

static void Start(const void *context, const FPMove *move, double *scratch)
{
  const Watch *w = (const Watch *)context;

  FPRegionLevel(w->region, FP_BLOCK, move->after, scratch);
  for (int l = 0; l < FP_BLOCK; l++) scratch[l] = scratch[l] < 0;
}

static const double *Active(PETSC_UNUSED const void *context, const double *scratch)
{
  return scratch;
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const Watch *w     = (const Watch *)context;
  double      *place = acc + (size_t)(move->first / FP_BLOCK % (unsigned)w->blocks) * (size_t)(w->dim + 1) * FP_BLOCK;
  double      *lives = place + w->dim * FP_BLOCK, level[FP_BLOCK];

  FPRegionLevel(w->region, FP_BLOCK, move->after, level);
  for (int l = 0; l < FP_BLOCK; l++) {
    if (level[l] >= 0) scratch[l] = 0;
    lives[l] = scratch[l];
  }
  for (PetscInt k = 0; k < w->dim * FP_BLOCK; k++) place[k] = move->after[k];
}

/* All of them at the start or, where a generator's law is known, spread like that. */
static PetscErrorCode Place(FPRunObjects *run, PetscInt p, Flock *f)
{
  const FPCriticalPoint *points;
  PetscInt               known, k = 0;
  const PetscReal       *from  = run->sampling.start;
  double                 level = 1;

  PetscFunctionBegin;
  for (PetscInt g = 0; g < run->processes; g++)
    if (run->generator[g]) {
      PetscCall(FPRunStartPoints(run, p, &f->z));
      PetscFunctionReturn(0);
    }
  if (!run->sampling.started) {
    PetscCall(FPModelGetCriticalPoints(run->model, &known, &points));
    for (; k < known && level >= 0; k++) FPRegionLevel(run->sampling.killed, 1, from = points[k].z, &level);
    FPInputCheck(level < 0, "exit_start is missing: no critical point lies in the region of exit_region to start from");
  }
  PetscCall(PetscMalloc1((size_t)f->count * f->watch.dim, &f->z));
  for (PetscInt i = 0; i < f->count; i++) PetscCall(PetscArraycpy(f->z + (size_t)i * f->watch.dim, from, f->watch.dim));
  PetscFunctionReturn(0);
}

static PetscErrorCode Create(FPRunObjects *run, PetscInt p, Flock *f)
{
  FPTraining training;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(f, sizeof(*f)));
  f->process       = run->process[p];
  f->options       = run->particles;
  f->options.quiet = PETSC_TRUE;
  f->seed          = run->particles.seed;
  f->chunk         = 1;
  if (run->mesh) PetscCall(FPMeshGetBox(run->mesh, &f->box));
  PetscCall(FPProcessGetTraining(f->process, &training));
  PetscCall(FPProcessGetStep(f->process, &f->dt));
  f->eta = training.learning_rate;
  PetscCall(FPParticlesCount(&f->options, &f->count));
  f->each         = f->count / FAMILIES;
  f->watch.region = run->sampling.killed;
  f->watch.blocks = f->count / (FP_GROUPS * FP_BLOCK);
  PetscCall(FPModelGetSizes(run->model, &f->watch.dim, NULL, NULL));
  f->observer = (FPObserver){.accumulator = (size_t)f->watch.blocks * (size_t)(f->watch.dim + 1) * FP_BLOCK,
                             .scratch     = FP_BLOCK,
                             .every       = 1,
                             .start       = Start,
                             .sample      = Sample,
                             .active      = Active,
                             .context     = &f->watch};
  PetscCall(PetscMalloc2(FP_GROUPS * f->observer.accumulator, &f->acc, f->each, &f->alive));
  f->rng = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(f->rng, (unsigned long)f->seed + 4);
  PetscCall(Place(run, p, f));
  PetscFunctionReturn(0);
}

static const double *Accumulated(const Flock *f, PetscInt particle)
{
  return f->acc + (size_t)(particle / FP_BLOCK) * (size_t)(f->watch.dim + 1) * FP_BLOCK + particle % FP_BLOCK;
}

/* Numbers in f->alive of those of a family that live. */
static PetscErrorCode Living(Flock *f, PetscInt family, PetscInt *n)
{
  PetscFunctionBegin;
  *n = 0;
  for (PetscInt i = family * f->each; i < (family + 1) * f->each; i++)
    if (Accumulated(f, i)[f->watch.dim * FP_BLOCK] > 0) f->alive[(*n)++] = i;
  PetscCheck(*n > 0, PETSC_COMM_WORLD, PETSC_ERR_NOT_CONVERGED,
             "all %" PetscInt_FMT " particles of a family left the region of exit_region within %" PetscInt_FMT
             " steps; more particles or a larger region would keep some",
             f->each, f->chunk);
  PetscFunctionReturn(0);
}

/* At most `steps` SGD steps, fewer where restarts are frequent. */
static PetscErrorCode Move(Flock *f, PetscInt steps, PetscInt *moved)
{
  FPParticleReport report;

  PetscFunctionBegin;
  *moved             = PetscMin(steps, f->chunk);
  f->options.burn_in = 0;
  f->options.steps   = *moved;
  f->options.seed    = (PetscInt)(((PetscInt64)f->seed + (PetscInt64)++f->calls * SEEDS) % PETSC_MAX_INT);
  PetscCall(FPParticlesRun(f->process, f->box, f->dt, &f->options, f->z, 1, &f->observer, &f->acc, &report));
  PetscFunctionReturn(0);
}

/* The killed ones restart; measured: after the burn-in. */
static PetscErrorCode Restart(Flock *f, PetscInt moved, PetscBool measured)
{
  PetscInt killed = 0;

  PetscFunctionBegin;
  for (PetscInt family = 0; family < FAMILIES; family++) {
    PetscInt n;

    PetscCall(Living(f, family, &n));
    killed += f->each - n;
    if (measured) f->lost[family] -= log((PetscReal)n / f->each);
    for (PetscInt i = family * f->each; i < (family + 1) * f->each; i++) {
      const PetscBool lives = (PetscBool)(Accumulated(f, i)[f->watch.dim * FP_BLOCK] > 0);
      const PetscInt  from  = lives ? i : f->alive[gsl_rng_uniform_int(f->rng, (unsigned long)n)];

      for (PetscInt k = 0; k < f->watch.dim; k++)
        f->z[(size_t)i * f->watch.dim + k] = Accumulated(f, from)[k * FP_BLOCK];
    }
  }
  if (measured) f->time += moved * f->eta;
  if (killed > MANY * f->count) f->chunk = PetscMax(1, f->chunk / 2);
  if (killed < FEW * f->count) f->chunk = PetscMin(LONGEST, 2 * f->chunk);
  PetscFunctionReturn(0);
}

/* Those that live, into room for all of every snapshot: kept->value by families. */
static PetscErrorCode Show(Flock *f, PetscInt shots, FPKept *kept)
{
  const PetscInt row = f->watch.dim + 1;

  PetscFunctionBegin;
  for (PetscInt family = 0; family < FAMILIES; family++) {
    PetscInt n;

    PetscCall(Living(f, family, &n));
    for (PetscInt i = 0; i < n; i++, kept->first[family + 1]++) {
      double *to = kept->value + ((size_t)family * shots * f->each + kept->first[family + 1]) * row;

      for (PetscInt k = 0; k < f->watch.dim; k++) to[k] = Accumulated(f, f->alive[i])[k * FP_BLOCK];
    }
  }
  PetscFunctionReturn(0);
}

/* Numbers of each family -> where it begins, and no gaps between them. */
static PetscErrorCode Close(const Flock *f, PetscInt shots, FPKept *kept)
{
  const PetscInt row = f->watch.dim + 1;

  PetscFunctionBegin;
  for (PetscInt family = 0; family < FAMILIES; family++) {
    const PetscInt n = kept->first[family + 1];

    PetscCall(PetscArraymove(kept->value + (size_t)kept->first[family] * row,
                             kept->value + (size_t)family * shots * f->each * row, (size_t)n * row));
    kept->first[family + 1] = kept->first[family] + n;
  }
  PetscFunctionReturn(0);
}

/* rate of being killed, and its standard error by the scatter of families */
static void Rate(const Flock *f, FPKept *kept)
{
  PetscReal square = 0;

  kept->rate = 0;
  for (PetscInt g = 0; g < FAMILIES; g++) kept->rate += f->lost[g] / f->time / FAMILIES;
  for (PetscInt g = 0; g < FAMILIES; g++) square += PetscSqr(f->lost[g] / f->time - kept->rate);
  kept->error = PetscSqrtReal(square / (FAMILIES * (FAMILIES - 1)));
}

static PetscErrorCode Destroy(Flock *f)
{
  PetscFunctionBegin;
  PetscCall(PetscFree2(f->acc, f->alive));
  PetscCall(PetscFree(f->z));
  gsl_rng_free(f->rng);
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunSurvivors(FPRunObjects *run, PetscInt p, PetscInt shots, FPKept *kept)
{
  const PetscInt burn_in = run->particles.burn_in, every = run->particles.steps / shots;
  Flock          f;
  char           label[FP_TEXT];
  const char    *name;

  PetscFunctionBegin;
  PetscCall(Create(run, p, &f));
  PetscCall(FPProcessGetName(f.process, &name));
  PetscCall(PetscSNPrintf(label, sizeof(label), "particles that stay: %s", name));
  FPProgressBegin(label, (double)burn_in + (double)every * shots);
  *kept = (FPKept){.parts = FAMILIES, .dim = f.watch.dim, .population = f.each};
  PetscCall(PetscCalloc1(FAMILIES + 1, &kept->first));
  PetscCall(PetscMalloc1((size_t)f.count * shots * (size_t)(f.watch.dim + 1), &kept->value));
  for (PetscInt shot = -1; shot < shots; shot++)
    for (PetscInt done = 0, moved, steps = shot < 0 ? burn_in : every; done < steps; done += moved) {
      PetscCall(Move(&f, steps - done, &moved));
      if (shot >= 0 && done + moved == steps) PetscCall(Show(&f, shots, kept));
      PetscCall(Restart(&f, moved, (PetscBool)(shot >= 0)));
      FPProgressUpdate((double)done + (shot < 0 ? 0 : (double)burn_in + (double)shot * every));
    }
  PetscCall(Close(&f, shots, kept));
  Rate(&f, kept);
  FPProgressEnd();
  PetscCall(Destroy(&f));
  PetscFunctionReturn(0);
}

/* particles.c: the particle engine. Threads share out the groups; a group's blocks are integrated one after the other
   by one thread, each from its start through the burn-in to its last step. So accumulators need no locks, every sum
   has a fixed order, and the bits do not depend on the number of threads. */
#include "particlesimpl.h"
#include "fpresults.h"
#include <math.h>
#include <omp.h>
#include <time.h>

#define AGAIN (7ULL << 60) /* where the streams of other steps begin */

static const FPParameter ParticleParameters[] = {
    {"count", FP_INT, offsetof(FPParticleOptions, count), "16384", 1, 1 << 28, NULL, "particles",
     "rounded up to a multiple of 4096, 64 groups of blocks of 64"},
    {"steps", FP_INT, offsetof(FPParticleOptions, steps), "20000", 1, PETSC_MAX_INT, NULL, "SGD steps",
     "length of the simulation that is measured"},
    {"burn_in", FP_INT, offsetof(FPParticleOptions, burn_in), "2000", 0, PETSC_MAX_INT, NULL, "SGD steps",
     "steps before it that are not"},
    {"seed", FP_INT, offsetof(FPParticleOptions, seed), "1", 0, PETSC_MAX_INT, NULL, NULL,
     "of the random numbers; same seed, same bits on one instruction set"},
    {"threads", FP_INT, offsetof(FPParticleOptions, threads), "0", 0, 4096, NULL, "threads",
     "0: as many as OpenMP gives"},
    {0}};

/* One run, shared by the threads. */
typedef struct {
  FPStepper         stepper;
  const double     *start;
  const FPObserver *observer;
  PetscInt          observers, blocks; /* blocks per group */
  PetscBool         quiet;
  int               replays; /* workspaces that each thread has beside its own */
  PetscBool         again;   /* and one more, for other steps */
  double          **accumulators;
  PetscInt64        burn_in, steps; /* in steps of the process */
  PetscBool         ordinary;       /* the clock, whatever the process says */
  double            done;           /* particle-steps so far */
  PetscInt64        failed;         /* a step at which a particle was not finite, counted with the burn-in; 0: none */
  double            crossings[FP_GROUPS];
} Run;

PetscErrorCode FPParticleOptionsRead(FPConfig config, FPParticleOptions *options)
{
  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "particles", ParticleParameters, options));
  options->quiet          = PETSC_FALSE;
  options->ordinary_clock = PETSC_FALSE;
  PetscFunctionReturn(0);
}

PetscErrorCode FPParticleOptionsView(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(ParticleParameters, "particles", out));
  PetscFunctionReturn(0);
}

static PetscInt BlocksPerGroup(const FPParticleOptions *options)
{
  return (options->count + FP_GROUPS * FP_BLOCK - 1) / (FP_GROUPS * FP_BLOCK);
}

PetscErrorCode FPParticlesCount(const FPParticleOptions *options, PetscInt *count)
{
  PetscFunctionBegin;
  *count = BlocksPerGroup(options) * FP_GROUPS * FP_BLOCK;
  PetscFunctionReturn(0);
}

const char *FPInstructionSet(void)
{
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) /* where FP_HOT makes clones */
  if (__builtin_cpu_supports("avx512f")) return "avx512f";
  if (__builtin_cpu_supports("avx2")) return "avx2";
#endif
  return "baseline";
}

static double ThreadSeconds(void)
{
  struct timespec t;

  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The uniform law on the box draws from the upper half of the streams, which no step reaches. */
static void StartUniform(const FPStepper *s, unsigned long long first, double *z)
{
  unsigned word[4 * FP_BLOCK];

  for (int i = 0; i < s->dim; i++) {
    const double lower = s->box->lower[i], length = s->box->upper[i] - lower;

    if (i % 4 == 0) FPRandomWords(s->key, first, (1ULL << 63) + (unsigned long long)i, 4, word);
    for (int l = 0; l < FP_BLOCK; l++)
      z[i * FP_BLOCK + l] = lower + length * ((double)word[i % 4 * FP_BLOCK + l] + 0.5) * 0x1p-32;
  }
}

static void Start(const Run *run, unsigned long long first, double *z)
{
  const int dim = run->stepper.dim;

  if (!run->start) {
    StartUniform(&run->stepper, first, z);
    return;
  }
  for (int i = 0; i < dim; i++)
    for (int l = 0; l < FP_BLOCK; l++)
      z[i * FP_BLOCK + l] = run->start[(first + (unsigned)l) * (unsigned)dim + (unsigned)i];
}

typedef struct {
  const FPStepper *stepper;
  FPWorkspace     *ws; /* [replays], then that of other steps */
  int              replays;
} Replays;

static void Replay(const FPMove *move, int which, const double *before, double *after)
{
  const Replays *replays = (const Replays *)move->engine;

  FPStepperAdvance(replays->stepper, &replays->ws[which], before, after);
}

static void Again(const FPMove *move, double *after)
{
  const Replays *replays = (const Replays *)move->engine;

  (void)FPStepperStep(replays->stepper, &replays->ws[replays->replays], move->before, after);
}

static int Finite(int dim, const double *z)
{
  double sum = 0;

  for (int k = 0; k < dim * FP_BLOCK; k++) sum += fabs(z[k]);
  return isfinite(sum);
}

static void Observe(const Run *run, int group, const FPMove *move, double *scratch)
{
  for (PetscInt o = 0; o < run->observers; o++) {
    const FPObserver *observer = &run->observer[o];

    if (move->step % observer->every == 0)
      observer->sample(observer->context, move, scratch, run->accumulators[o] + (size_t)group * observer->accumulator);
    scratch += observer->scratch;
  }
}

/* Particles that are not active any more stay where they were; is one left? */
static PetscBool SomeActive(const Run *run, const double *scratch, const double *before, double *after)
{
  const FPObserver *observer = run->observer;
  PetscBool         some     = PETSC_FALSE;
  const double     *active;

  if (run->observers != 1 || !observer->active) return PETSC_TRUE;
  active = observer->active(observer->context, scratch);
  for (int l = 0; l < FP_BLOCK; l++) {
    if (active[l] != 0) {
      some = PETSC_TRUE;
      continue;
    }
    for (int i = 0; i < run->stepper.dim; i++) after[i * FP_BLOCK + l] = before[i * FP_BLOCK + l];
  }
  return some;
}

static void ObserveStart(const Run *run, const FPMove *move, double *scratch)
{
  for (PetscInt o = 0; o < run->observers; o++) {
    const FPObserver *observer = &run->observer[o];

    if (observer->start) observer->start(observer->context, move, scratch);
    scratch += observer->scratch;
  }
}

static void Fail(Run *run, PetscInt64 step)
{
#pragma omp        critical(particles_fail)
  if (!run->failed || step < run->failed) {
       #pragma omp atomic write
    run->failed = step;
  }
}

/* Progress by `steps` more steps of a block; false when some block has failed. */
static int Continue(Run *run, PetscInt64 steps)
{
  PetscInt64 failed;
  double     done;

#pragma omp atomic capture
  {
    run->done += (double)steps * FP_BLOCK;
    done = run->done;
  }
  if (omp_get_thread_num() == 0 && !run->quiet) FPProgressUpdate(done);
#pragma omp atomic read
  failed = run->failed;
  return !failed;
}

static void RunBlock(Run *run, FPWorkspace *ws, int group, PetscInt block)
{
  const FPStepper   *s     = &run->stepper;
  const PetscInt64   total = run->burn_in + run->steps;
  unsigned long long first = ((unsigned long long)group * (unsigned)run->blocks + (unsigned)block) * FP_BLOCK;
  Replays            other = {s, ws + 1, run->replays};
  FPMove             move  = {
                   .dim = s->dim, .dt = s->dt, .first = first, .key = s->key, .replay = Replay, .again = Again, .engine = &other};
  PetscInt64      told       = 0;
  const PetscBool fractional = (PetscBool)(s->fractional && !run->ordinary);

  FPWorkspaceStart(ws, first, 0);
  if (run->again) FPWorkspaceStart(&other.ws[run->replays], first, AGAIN);
  Start(run, first, ws->z[0]);
  for (PetscInt64 n = 0; n < total; n++) {
    const double *before = ws->z[n % 2];
    double       *after  = ws->z[1 - n % 2];
    int           crossed;

    if (n == run->burn_in) {
      move.before = move.after = before;
      for (int k = 0; k < run->replays; k++) FPWorkspaceFollow(ws, &other.ws[k]);
      ObserveStart(run, &move, ws->scratch);
      if (fractional) FPClockStart(s, ws);
    }
    if (fractional && n >= run->burn_in)
      crossed = FPClockAdvance(s, ws, (double)(n + 1 - run->burn_in) * s->dt, before, after);
    else
      crossed = FPStepperStep(s, ws, before, after);
    if (crossed < 0 || (n + 1) % FP_CHECK_STEPS == 0 || n + 1 == total) {
      if (crossed < 0 || !Finite(s->dim, after)) Fail(run, n + 1);
      if (!Continue(run, n + 1 - told)) return;
      told = n + 1;
    }
    if (n < run->burn_in) continue;
    run->crossings[group] += crossed;
    move.before = before;
    move.after  = after;
    move.step   = n + 1 - run->burn_in;
    Observe(run, group, &move, ws->scratch);
    if (!SomeActive(run, ws->scratch, before, after)) {
      (void)Continue(run, n + 1 - told);
      return;
    }
  }
}

/* Of each thread */
static int Workspaces(const Run *run)
{
  return 1 + run->replays + (run->again ? 1 : 0);
}

static void RunGroups(Run *run, int threads, FPWorkspace *ws)
{
#pragma omp parallel num_threads(threads)
  {
    FPWorkspace *own   = &ws[omp_get_thread_num() * Workspaces(run)];
    const double start = ThreadSeconds();

#pragma omp for schedule(dynamic, 1)
    for (int group = 0; group < FP_GROUPS; group++)
      for (PetscInt block = 0; block < run->blocks; block++) RunBlock(run, own, group, block);
    own->cpu = ThreadSeconds() - start;
  }
}

static PetscErrorCode SetUp(Run *run, FPProcess process, const FPBox *box, PetscReal dt,
                            const FPParticleOptions *options)
{
  PetscFunctionBegin;
  PetscCheck(run->start || box, PETSC_COMM_WORLD, PETSC_ERR_ARG_INCOMP,
             "particles without a box need a point to start from");
  PetscCall(FPStepperCreate(process, box, dt, options->seed, &run->stepper));
  run->blocks   = BlocksPerGroup(options);
  run->quiet    = options->quiet;
  run->burn_in  = (PetscInt64)options->burn_in * run->stepper.substeps;
  run->steps    = (PetscInt64)options->steps * run->stepper.substeps;
  run->ordinary = options->ordinary_clock;
  for (PetscInt o = 0; o < run->observers; o++) {
    PetscCheck(run->observer[o].every >= 1, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
               "observer %" PetscInt_FMT " wants every %" PetscInt_FMT "-th step", o, run->observer[o].every);
    PetscCall(PetscArrayzero(run->accumulators[o], FP_GROUPS * run->observer[o].accumulator));
    PetscCheck(!run->observer[o].replays || (!run->replays && run->observer[o].every == 1), PETSC_COMM_SELF,
               PETSC_ERR_ARG_INCOMP, "one observer may replay steps, and then every step");
    run->replays += run->observer[o].replays;
    run->again = (PetscBool)(run->again || run->observer[o].again);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Simulate(Run *run, int threads, const char name[], FPParticleReport *report)
{
  size_t       scratch = 0;
  const int    each    = Workspaces(run);
  FPWorkspace *ws;
  char         label[FP_TEXT];
  const double start = omp_get_wtime(), particles = (double)run->blocks * FP_GROUPS * FP_BLOCK;

  PetscFunctionBegin;
  for (PetscInt o = 0; o < run->observers; o++) scratch += run->observer[o].scratch;
  PetscCall(PetscCalloc1(threads * each, &ws));
  for (int t = 0; t < threads * each; t++) PetscCall(FPWorkspaceCreate(&run->stepper, t % each ? 0 : scratch, &ws[t]));
  PetscCall(PetscSNPrintf(label, sizeof(label), "particles: %s", name));
  if (!run->quiet) FPProgressBegin(label, particles * (double)(run->burn_in + run->steps));
  RunGroups(run, threads, ws);
  if (!run->quiet) FPProgressEnd();
  report->particle_steps = run->done;
  report->seconds        = omp_get_wtime() - start;
  report->cpu_seconds    = 0;
  for (int t = 0; t < threads * each; t++) {
    report->cpu_seconds += ws[t].cpu;
    FPWorkspaceDestroy(&ws[t]);
  }
  for (int g = 0; g < FP_GROUPS; g++)
    report->crossings[g] = run->crossings[g] / ((double)run->blocks * FP_BLOCK * (double)run->steps);
  PetscCall(PetscFree(ws));
  PetscFunctionReturn(0);
}

PetscErrorCode FPParticlesRun(FPProcess process, const FPBox *box, PetscReal dt, const FPParticleOptions *options,
                              const double start[], PetscInt observers, const FPObserver observer[],
                              double *accumulators[], FPParticleReport *report)
{
  const int   threads = options->threads ? (int)options->threads : omp_get_max_threads();
  Run         run     = {.start = start, .observer = observer, .observers = observers, .accumulators = accumulators};
  const char *name;

  PetscFunctionBegin;
  PetscCall(SetUp(&run, process, box, dt, options));
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(Simulate(&run, PetscMin(threads, FP_GROUPS), name, report));
  PetscCheck(!run.failed, PETSC_COMM_WORLD, PETSC_ERR_FP,
             "particles of process %s became infinite by step %" PetscInt64_FMT
             " (of %g time each); a box or a smaller step would keep them",
             name, run.failed, run.stepper.dt);
  PetscFunctionReturn(0);
}

/* Speed of the particles: million particle-steps per second and core, by thread CPU time (a shared machine moves wall
   clock figures by a factor of 2). Usage: bench-particles [seconds per line]. One line per kernel: name, speed. */
#include "fpparticles.h"
#include <math.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 8, COUNT = 4096 };

static double ThreadSeconds(void)
{
  struct timespec t;

  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Two words, or two normals, per particle-step. */
static double RandomSpeed(int normals, double seconds)
{
  const unsigned     key[2] = {1, 2};
  static unsigned    word[ROWS * FP_BLOCK] __attribute__((aligned(64)));
  static float       normal[ROWS * FP_BLOCK] __attribute__((aligned(64)));
  const double       start = ThreadSeconds();
  double             spent = 0;
  unsigned long long calls = 0;

  while (spent < seconds) {
    for (int k = 0; k < 4096; k++, calls++) {
      FPRandomWords(key, 64, calls * ROWS, ROWS, word);
      if (normals) FPRandomNormals(ROWS, word, normal);
    }
    spent = ThreadSeconds() - start;
  }
  return (double)calls * (ROWS / 2) * FP_BLOCK / spent * 1e-6;
}

static PetscErrorCode Configure(FPConfig config, const char *const keys[])
{
  PetscFunctionBegin;
  for (int k = 0; keys[k]; k += 2) PetscCall(FPConfigSet(config, keys[k], keys[k + 1]));
  PetscFunctionReturn(0);
}

/* Long enough for `seconds`: a short run sets the number of steps. */
static PetscErrorCode ProcessSpeed(const char name[], const char *const keys[], double seconds, double *speed)
{
  FPConfig          config;
  FPData            data;
  FPModel           model;
  FPProcess         process;
  FPParticleOptions options = {.count = COUNT, .steps = 100, .seed = 1, .threads = 1};
  FPParticleReport  report;
  PetscReal         dt;
  PetscInt          dim;
  double           *start;

  PetscFunctionBegin;
  PetscCall(FPConfigCreate(&config));
  PetscCall(Configure(config, keys));
  PetscCall(FPDataCreate(config, &data));
  PetscCall(FPModelCreate(config, data, &model));
  PetscCall(FPProcessCreate(config, name, model, &process));
  PetscCall(FPProcessGetParticleStep(process, &dt));
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  PetscCall(PetscMalloc1(COUNT * dim, &start));
  for (PetscInt i = 0; i < COUNT * dim; i++) start[i] = 1 + 0.01 * (double)(i % 17);
  PetscCall(FPParticlesRun(process, NULL, dt, &options, start, 0, NULL, NULL, &report));
  options.steps = (PetscInt)ceil(100 * seconds / report.cpu_seconds);
  PetscCall(FPParticlesRun(process, NULL, dt, &options, start, 0, NULL, NULL, &report));
  *speed = report.particle_steps / report.cpu_seconds * 1e-6;
  PetscCall(PetscFree(start));
  PetscCall(FPProcessDestroy(&process));
  PetscCall(FPModelDestroy(&model));
  PetscCall(FPDataDestroy(&data));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

#define CHAIN2 "model_type", "chain", "model_depth", "2", "model_coordinates", "weights"
#define GAUSSIAN "data_type", "gaussian", "data_teacher", "1.0", "data_second_moment", "1.0", "data_label_noise", "0.5"

static const struct {
  const char *label, *process, *keys[32];
} cases[] = {{"sgd, 2-chain, gaussian, B = 1",
              "sgd",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "1", NULL}},
             {"sgd, 2-chain, gaussian, B = 4",
              "sgd",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "4", NULL}},
             {"sgd, 2-chain, gaussian, B = 16",
              "sgd",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "16", NULL}},
             {"sgd, 2-chain, gaussian, B = 4, T",
              "sgd",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "4", "training_temperature",
               "0.01", NULL}},
             {"sgd, 2-chain, file of 442 rows, B = 4",
              "sgd",
              {"data_type", "file", "data_path", "bench-particles.csv", "data_inputs", "x", "data_targets", "y", CHAIN2,
               "training_learning_rate", "0.05", "training_batch_size", "4", NULL}},
             {"ald, 2-chain, gaussian, T = 0.01",
              "ald",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "4", "training_temperature",
               "0.01", "ald_dt", "0.05", NULL}},
             {"levy, 2-chain, alpha = 1.5, isotropic",
              "levy",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "levy_dt", "0.05", "levy_scale", "0.00001", NULL}},
             {"the same, independent components",
              "levy",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "levy_dt", "0.05", "levy_scale", "0.00001",
               "levy_components", "independent", NULL}},
             {"ald, 2-chain, fractional clock",
              "fractional",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "4", "training_temperature",
               "0.01", "fractional_dt", "0.05", "fractional_beta", "0.7", NULL}},
             {"sgd, 2-chain, gaussian, B = 4, fractional",
              "mine",
              {GAUSSIAN, CHAIN2, "training_learning_rate", "0.05", "training_batch_size", "4", "mine_preset", "sgd",
               "mine_clock", "fractional", "mine_beta", "0.7", NULL}}};

/* A stand-in for a small data set: 442 points near a line, in the working directory. */
static PetscErrorCode WriteRows(const char path[])
{
  FILE *file = fopen(path, "w");

  PetscFunctionBegin;
  PetscCheck(file, PETSC_COMM_SELF, PETSC_ERR_FILE_OPEN, "cannot write %s", path);
  (void)fprintf(file, "x,y\n");
  for (int i = 0; i < 442; i++) {
    const double x = 1.7 * sin(1.1 * i), y = 0.6 * x + 0.8 * cos(2.3 * i * i);

    (void)fprintf(file, "%.6f,%.6f\n", x, y);
  }
  PetscCheck(!fclose(file), PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s", path);
  PetscFunctionReturn(0);
}

static PetscErrorCode Bench(double seconds)
{
  const char path[] = "bench-particles.csv";

  PetscFunctionBegin;
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "million particle-steps per second and core (%s)\n", FPInstructionSet()));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%-40s %8.0f\n", "two words", RandomSpeed(0, seconds)));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%-40s %8.0f\n", "two normals", RandomSpeed(1, seconds)));
  PetscCall(WriteRows(path));
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    double speed;

    PetscCall(ProcessSpeed(cases[k].process, cases[k].keys, seconds, &speed));
    PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%-40s %8.0f\n", cases[k].label, speed));
  }
  (void)unlink(path);
  PetscFunctionReturn(0);
}

int main(int argc, char **argv)
{
  PetscErrorCode ierr;

  if (PetscInitialize(&argc, &argv, NULL, NULL)) return 1;
  ierr = Bench(argc > 1 ? atof(argv[1]) : 1.0);
  return PetscFinalize() || ierr ? 1 : 0;
}

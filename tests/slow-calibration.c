/* slow-calibration.c: are the errors right? Over many seeds of one small run, z = (particles - generator)/error should
   have mean 0 and variance 1: |mean| < 0.3 and variance in [0.68, 1.40], for every kind of quantity and for all
   together: of stationary laws first, then of everything in time (exits, courses from a start, correlations). The
   generators are solved once, on grids so fine that their bounds are below a tenth of the standard errors; rows for
   which that fails are named and fail the test. */
#include "test.h"
#include "../src/run/runimpl.h"
#include "../src/results/resultsimpl.h"
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

#define SEEDS 100
#define MAX_KINDS 64
#define RARE 1e-4 /* probabilities below it are seen too rarely for errors to be normal */

typedef struct {
  char      name[2 * FP_NAME];
  PetscInt  n, coarse;
  PetscReal sum, square, smallest, largest, ratio; /* ratio: largest of bound/standard error */
} Kind;

typedef struct {
  const char *title, *process, *observables[8], *keys[64]; /* key, value, key, value, ... */
} Setting;

static void BuildRun(const Setting *setting, const char *dir, FPRunObjects *run, FPConfig *config)
{
  PetscInt  dim;
  PetscBool has;

  memset(run, 0, sizeof(*run));
  must(FPConfigCreate(config));
  for (PetscInt k = 0; setting->keys[k]; k += 2) must(FPConfigSet(*config, setting->keys[k], setting->keys[k + 1]));
  must(FPDataCreate(*config, &run->data));
  must(FPModelCreate(*config, run->data, &run->model));
  must(FPModelGetSizes(run->model, &dim, NULL, NULL));
  must(FPProcessCreate(*config, setting->process, run->model, &run->process[0]));
  must(FPMeshCreate(*config, dim, &run->mesh, &has));
  must(FPGeneratorOptionsRead(*config, &run->generating));
  must(FPParticleOptionsRead(*config, &run->particles));
  must(FPResultsCreate(dir, &run->results));
  run->processes     = 1;
  run->use_generator = run->use_particles = PETSC_TRUE;
  for (PetscInt o = 0; setting->observables[o]; o++) {
    must(FPObservableCreate(*config, setting->observables[o], &run->observable[o]));
    must(FPObservableRead(run->observable[o], *config, run->model, run->mesh, PETSC_TRUE));
    run->observables++;
  }
}

/* Rows go to run->results from now on. */
static void ShowScene(FPRunObjects *run)
{
  FPScene      scene = {.model         = run->model,
                        .mesh          = run->mesh,
                        .results       = run->results,
                        .processes     = run->processes,
                        .process       = run->process,
                        .use_generator = PETSC_TRUE,
                        .use_particles = PETSC_TRUE,
                        .particles     = run->particles};
  const FPBox *box;

  must(FPMeshGetBox(run->mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  for (PetscInt o = 0; o < run->observables; o++) must(FPObservableSetScene(run->observable[o], &scene));
}

static Kind *KindOf(Kind kinds[], PetscInt *count, const FPRow *row)
{
  char name[2 * FP_NAME];

  (void)snprintf(name, sizeof(name), "%s %.*s", row->observable, (int)strcspn(row->quantity, "["), row->quantity);
  for (PetscInt k = 0; k < *count; k++)
    if (!strcmp(kinds[k].name, name)) return &kinds[k];
  assert_true(*count < MAX_KINDS);
  memset(&kinds[*count], 0, sizeof(Kind));
  memcpy(kinds[*count].name, name, sizeof(name));
  return &kinds[(*count)++];
}

static void Count(Kind *kind, PetscReal z, PetscReal ratio)
{
  kind->smallest = kind->n ? PetscMin(kind->smallest, z) : z;
  kind->largest  = kind->n ? PetscMax(kind->largest, z) : z;
  kind->ratio    = PetscMax(kind->ratio, ratio);
  kind->coarse += ratio > 0.1;
  kind->n++;
  kind->sum += z;
  kind->square += z * z;
}

/* All numbers that both engines have. */
static void Compare(const FPRunObjects *run, FPResults generator, Kind kinds[], PetscInt *count, Kind *pooled)
{
  for (PetscInt i = 0; i < run->results->rows; i++) {
    const FPRow *row = &run->results->row[i];
    PetscReal    value, error, z;
    PetscBool    found;

    if (row->status || !strncmp(row->quantity, "step_bias", 9)) continue;
    must(FPResultsGet(generator, row->process, "generator", row->observable, row->quantity, &value, &error, &found));
    if (!found || PetscAbsReal(row->value - value) <= error * (row->value == 0)) continue; /* frequency 0 of both */
    if (!strcmp(row->quantity, "wall_mass") && value < RARE) continue;
    check(row->error > 0, "%s is %.9g without error, the generator says %.9g +- %g", row->quantity, row->value, value,
          error);
    z = (row->value - value) / hypot(row->error, error);
    Count(KindOf(kinds, count, row), z, error / row->error);
    Count(pooled, z, error / row->error);
  }
}

/* Too few rows for a variance, modes that are seldom complex, only have to be no outliers. */
static PetscInt Judge(const Kind *kind)
{
  const PetscReal mean = kind->sum / kind->n, variance = kind->square / kind->n - mean * mean;
  const PetscBool usual = (PetscBool)(PetscAbsReal(mean) < 0.3 && variance > 0.68 && variance < 1.40);
  const PetscBool few   = (PetscBool)(kind->n < SEEDS / 2 && PetscMax(-kind->smallest, kind->largest) < 4);
  const PetscBool good  = (PetscBool)((usual || few) && !kind->coarse);

  printf("  %-38s %6d  mean %+5.2f  variance %5.2f  from %+5.1f to %+5.1f  bound/error < %.3f%s\n", kind->name,
         (int)kind->n, mean, variance, kind->smallest, kind->largest, kind->ratio, good ? "" : "  <--");
  return !good;
}

static void Calibrate(const Setting *setting)
{
  FPRunObjects run;
  FPConfig     config;
  FPResults    generator;
  Kind         kinds[MAX_KINDS], pooled = {.name = "all"};
  PetscInt     count = 0, bad = 0;
  char         dir[] = "/tmp/dlnfp-calibration-XXXXXX";

  assert_non_null(mkdtemp(dir));
  BuildRun(setting, dir, &run, &config);
  ShowScene(&run);
  must(FPRunGenerator(&run, 0));
  generator = run.results;
  for (PetscInt seed = 1; seed <= SEEDS; seed++) {
    must(FPResultsCreate(dir, &run.results));
    ShowScene(&run);
    run.particles.seed = seed;
    must(FPRunParticles(&run, 0));
    Compare(&run, generator, kinds, &count, &pooled);
    must(FPResultsDestroy(&run.results));
  }
  printf("%s, %d seeds: z of particles against generator\n", setting->title, SEEDS);
  for (PetscInt k = 0; k < count; k++) bad += Judge(&kinds[k]);
  bad += Judge(&pooled);
  must(FPResultsDestroy(&generator));
  must(FPGeneratorDestroy(&run.generator[0]));
  for (PetscInt o = 0; o < run.observables; o++) must(FPObservableDestroy(&run.observable[o]));
  must(FPProcessDestroy(&run.process[0]));
  must(FPMeshDestroy(&run.mesh));
  must(FPModelDestroy(&run.model));
  must(FPDataDestroy(&run.data));
  must(FPConfigDestroy(&config));
  (void)rmdir(dir);
  check(bad == 0, "%d kinds of quantities are not calibrated", (int)bad);
}

static void test_ou(void **state)
{
  static const Setting setting = {"non-normal OU",
                                  "ald",
                                  {"spectrum", "stationary", "current"},
                                  {"model_type",
                                   "ou",
                                   "model_drift",
                                   "1.3,-0.9,0.4,0.7",
                                   "model_diffusion",
                                   "0.12,0.03,0.03,0.08",
                                   "model_center",
                                   "0.1,-0.2",
                                   "training_learning_rate",
                                   "0.05",
                                   "training_batch_size",
                                   "2",
                                   "training_temperature",
                                   "0.03",
                                   "mesh_lower",
                                   "-1.6,-1.7",
                                   "mesh_upper",
                                   "1.8,1.5",
                                   "mesh_cells",
                                   "256,256",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "200",
                                   "particles_burn_in",
                                   "60",
                                   "spectrum_pairs",
                                   "3"}};

  (void)state;
  Calibrate(&setting);
}

/* 200, 150 and 100 cells: the layer of wall_mass ends between cells. dt: what extrapolation leaves of its bias is
 * small.
 */
static void test_chain(void **state)
{
  static const Setting setting = {"ALD on the 2-chain",
                                  "ald",
                                  {"spectrum", "stationary", "current"},
                                  {"data_type",
                                   "gaussian",
                                   "data_teacher",
                                   "0.8",
                                   "data_second_moment",
                                   "0.9",
                                   "data_label_noise",
                                   "0.7",
                                   "model_type",
                                   "chain",
                                   "model_depth",
                                   "2",
                                   "training_learning_rate",
                                   "0.2",
                                   "training_batch_size",
                                   "1",
                                   "training_weight_decay",
                                   "0.2",
                                   "training_temperature",
                                   "0.02",
                                   "mesh_lower",
                                   "-1.6,-1.5",
                                   "mesh_upper",
                                   "1.5,1.6",
                                   "mesh_cells",
                                   "400,400",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "150",
                                   "particles_burn_in",
                                   "60",
                                   "spectrum_pairs",
                                   "4",
                                   "ald_dt",
                                   "0.05"}};

  (void)state;
  Calibrate(&setting);
}

/* A start off the centre of the ball and of the law; drift and noise of no special direction. */
static void test_ou_in_time(void **state)
{
  static const Setting setting = {"non-normal OU in time",
                                  "ald",
                                  {"exit", "evolution", "msd", "autocorrelation", "mixing"},
                                  {"model_type",
                                   "ou",
                                   "model_drift",
                                   "1.3,-0.9,0.4,0.7",
                                   "model_diffusion",
                                   "0.12,0.03,0.03,0.08",
                                   "model_center",
                                   "0.1,-0.2",
                                   "training_learning_rate",
                                   "0.05",
                                   "training_batch_size",
                                   "2",
                                   "mesh_lower",
                                   "-1.6,-1.7",
                                   "mesh_upper",
                                   "1.8,1.5",
                                   "mesh_cells",
                                   "128,128",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "120",
                                   "particles_burn_in",
                                   "20",
                                   "exit_region",
                                   "ball",
                                   "exit_center",
                                   "0.1,-0.2",
                                   "exit_radius",
                                   "0.63",
                                   "exit_start",
                                   "0.27,-0.11",
                                   "exit_times",
                                   "0.3,0.9,1.7",
                                   "exit_duration",
                                   "14",
                                   "evolution_times",
                                   "0.23,0.8,1.9",
                                   "evolution_start",
                                   "0.6,0.3",
                                   "msd_times",
                                   "0.23,0.8,1.9",
                                   "autocorrelation_times",
                                   "0.23,0.8,1.9",
                                   "mixing_times",
                                   "0.4,1.1",
                                   "mixing_start",
                                   "0.6,0.3"}};

  (void)state;
  Calibrate(&setting);
}

/* From near the saddle of the 2-chain; exits from a ball around it, until next to none are left inside: what these
   might still do counts as error in full. */
static void test_chain_in_time(void **state)
{
  static const Setting setting = {"ALD on the 2-chain in time",
                                  "ald",
                                  {"exit", "evolution", "msd", "autocorrelation", "mixing", "sharpness"},
                                  {"data_type",
                                   "gaussian",
                                   "data_teacher",
                                   "0.8",
                                   "data_second_moment",
                                   "0.9",
                                   "data_label_noise",
                                   "0.7",
                                   "model_type",
                                   "chain",
                                   "model_depth",
                                   "2",
                                   "training_learning_rate",
                                   "0.1",
                                   "training_batch_size",
                                   "2",
                                   "training_weight_decay",
                                   "0.2",
                                   "training_temperature",
                                   "0.05",
                                   "mesh_lower",
                                   "-1.9,-1.8",
                                   "mesh_upper",
                                   "1.8,1.9",
                                   "mesh_cells",
                                   "256,256",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "80",
                                   "particles_burn_in",
                                   "20",
                                   "exit_region",
                                   "ball",
                                   "exit_center",
                                   "origin",
                                   "exit_radius",
                                   "0.63",
                                   "exit_start",
                                   "0.13,0.07",
                                   "exit_times",
                                   "0.4,1.1,2.3",
                                   "exit_duration",
                                   "20",
                                   "evolution_times",
                                   "0.3,1.2,3.1",
                                   "evolution_start",
                                   "0.31,0.17",
                                   "msd_times",
                                   "0.3,1.2,3.1",
                                   "autocorrelation_times",
                                   "0.3,1.2,3.1",
                                   "mixing_times",
                                   "0.6,2.1",
                                   "mixing_start",
                                   "0.31,0.17",
                                   "sharpness_times",
                                   "0.3,1.2,3.1",
                                   "sharpness_start",
                                   "0.31,0.17"}};

  (void)state;
  Calibrate(&setting);
}

/* On the line: exponents of the orbit, noise along training, losses under other laws of the data. */
static void test_balanced(void **state)
{
  static const Setting setting = {"ALD on the balanced 3-chain",
                                  "ald",
                                  {"lyapunov", "noise", "stationary", "evolution"},
                                  {"data_type",
                                   "gaussian",
                                   "data_teacher",
                                   "0.9",
                                   "data_second_moment",
                                   "0.8",
                                   "data_label_noise",
                                   "0.6",
                                   "data_shift_teacher",
                                   "0.7",
                                   "data_shift_second_moment",
                                   "1.3",
                                   "model_type",
                                   "chain",
                                   "model_depth",
                                   "3",
                                   "model_coordinates",
                                   "balanced",
                                   "training_learning_rate",
                                   "0.1",
                                   "training_batch_size",
                                   "2",
                                   "training_weight_decay",
                                   "0.1",
                                   "ald_dt",
                                   "0.0125",
                                   "training_temperature",
                                   "0.06",
                                   "mesh_lower",
                                   "-1.3",
                                   "mesh_upper",
                                   "1.9",
                                   "mesh_cells",
                                   "1024",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "300",
                                   "particles_burn_in",
                                   "50",
                                   "noise_times",
                                   "0.4,1.3,3.2",
                                   "noise_start",
                                   "0.41",
                                   "evolution_times",
                                   "0.4,1.3,3.2",
                                   "evolution_start",
                                   "0.41"}};

  (void)state;
  Calibrate(&setting);
}

/* Along the flat valley of a 2-chain without decay. */
static void test_valley(void **state)
{
  static const Setting setting = {"Langevin in the valley of the 2-chain",
                                  "langevin",
                                  {"flat"},
                                  {"data_type",
                                   "gaussian",
                                   "data_teacher",
                                   "0.8",
                                   "data_label_noise",
                                   "0.5",
                                   "model_type",
                                   "chain",
                                   "model_depth",
                                   "2",
                                   "training_learning_rate",
                                   "0.1",
                                   "training_batch_size",
                                   "2",
                                   "langevin_temperature",
                                   "0.08",
                                   "mesh_lower",
                                   "-1.7,-1.6",
                                   "mesh_upper",
                                   "1.8,1.7",
                                   "mesh_cells",
                                   "128,120",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "200",
                                   "particles_burn_in",
                                   "50"}};

  (void)state;
  Calibrate(&setting);
}

/* On a fractional clock, where correlations and displacements age. */
static void test_fractional_in_time(void **state)
{
  static const Setting setting = {"OU on a fractional clock, in time",
                                  "fractional",
                                  {"evolution", "msd", "autocorrelation"},
                                  {"model_type",
                                   "ou",
                                   "model_drift",
                                   "0.9",
                                   "model_diffusion",
                                   "0.35",
                                   "fractional_beta",
                                   "0.6",
                                   "fractional_clock_scale",
                                   "1.7",
                                   "training_learning_rate",
                                   "0.05",
                                   "mesh_lower",
                                   "-4.1",
                                   "mesh_upper",
                                   "4.3",
                                   "mesh_cells",
                                   "256",
                                   "particles_count",
                                   "4096",
                                   "particles_steps",
                                   "120",
                                   "particles_burn_in",
                                   "0",
                                   "evolution_times",
                                   "0.3,1.2,3.1",
                                   "evolution_start",
                                   "0.7",
                                   "msd_times",
                                   "0.3,1.2,3.1",
                                   "msd_age",
                                   "1.3",
                                   "autocorrelation_times",
                                   "0.3,1.2,2.3",
                                   "autocorrelation_age",
                                   "1.3"}};

  (void)state;
  Calibrate(&setting);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ou),
                                     cmocka_unit_test(test_chain),
                                     cmocka_unit_test(test_ou_in_time),
                                     cmocka_unit_test(test_chain_in_time),
                                     cmocka_unit_test(test_balanced),
                                     cmocka_unit_test(test_valley),
                                     cmocka_unit_test(test_fractional_in_time)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

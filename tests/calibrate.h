/* calibrate.h: are the errors right? Over many seeds of one small run, z = (particles - generator)/error should have
   mean 0 and variance 1. All quantities of a setting together: |mean| < 0.3 and variance in [0.68, 1.40]. Each kind of
   quantity by itself: within MANY standard errors of what so many seeds leave of both, as more than a thousand kinds
   are judged in all; with 100 seeds errors 1.4 times too small are five away. Of a discrete algorithm the generator is
   its transfer operator. The generators are solved once, on grids so fine that their bounds are below a tenth of the
   standard errors, or what the setting says; rows for which that fails are named and fail the test. */
#ifndef FPTESTCALIBRATE_H
#define FPTESTCALIBRATE_H
#include "scene.h"
#include "../src/run/runimpl.h"
#include "../src/results/resultsimpl.h"
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

#ifndef SEEDS
#define SEEDS 100
#endif
#define MAX_KINDS 64
#define MANY 4.
#define ROUNDING 1e-12
#define RARE 1e-4 /* probabilities below it are seen too rarely for errors to be normal */

typedef struct {
  char      name[2 * FP_NAME];
  PetscInt  n, coarse;
  PetscReal sum, square, smallest, largest, ratio; /* ratio: largest of bound/standard error */
} Kind;

typedef struct {
  const char *title, *process, *observables[12];
  const char *keys; /* "key=value key=value ..." */
  PetscReal   fine; /* largest bound over standard error; 0: a tenth */
} Setting;

static inline void BuildRun(const Setting *setting, const char *dir, FPRunObjects *run, FPConfig *config)
{
  PetscInt  dim;
  PetscBool has;

  memset(run, 0, sizeof(*run));
  must(FPConfigCreate(config));
  SceneSet(*config, setting->keys);
  must(FPDataCreate(*config, &run->data));
  must(FPModelCreate(*config, run->data, &run->model));
  must(FPModelGetSizes(run->model, &dim, NULL, NULL));
  must(FPProcessCreate(*config, setting->process, run->model, &run->process[0]));
  must(FPMeshCreate(*config, dim, &run->mesh, &has));
  must(FPGeneratorOptionsRead(*config, &run->generating));
  must(FPParticleOptionsRead(*config, &run->particles));
  must(FPResultsCreate(dir, &run->results));
  run->processes     = 1;
  run->use_generator = run->use_transfer = run->use_particles = PETSC_TRUE;
  for (PetscInt o = 0; setting->observables[o]; o++) {
    must(FPObservableCreate(*config, setting->observables[o], &run->observable[o]));
    must(FPObservableRead(run->observable[o], *config, run->model, run->mesh, PETSC_TRUE));
    run->observables++;
  }
}

/* Rows go to run->results from now on. */
static inline void ShowScene(FPRunObjects *run)
{
  FPScene      scene = {.model         = run->model,
                        .mesh          = run->mesh,
                        .results       = run->results,
                        .processes     = run->processes,
                        .process       = run->process,
                        .use_generator = PETSC_TRUE,
                        .use_transfer  = PETSC_TRUE,
                        .use_particles = PETSC_TRUE,
                        .particles     = run->particles};
  const FPBox *box;

  must(FPMeshGetBox(run->mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  for (PetscInt o = 0; o < run->observables; o++) must(FPObservableSetScene(run->observable[o], &scene));
}

static inline Kind *KindOf(Kind kinds[], PetscInt *count, const FPRow *row)
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

static inline void Count(Kind *kind, PetscReal z, PetscReal ratio, PetscReal fine)
{
  kind->smallest = kind->n ? PetscMin(kind->smallest, z) : z;
  kind->largest  = kind->n ? PetscMax(kind->largest, z) : z;
  kind->ratio    = PetscMax(kind->ratio, ratio);
  kind->coarse += ratio > fine;
  kind->n++;
  kind->sum += z;
  kind->square += z * z;
}

/* All numbers that both engines have. */
static inline void Compare(const FPRunObjects *run, const char *but, FPResults generator, PetscReal fine, Kind kinds[],
                           PetscInt *count, Kind *pooled)
{
  for (PetscInt i = 0; i < run->results->rows; i++) {
    const FPRow *row = &run->results->row[i];
    PetscReal    value, error, z;
    PetscBool    found;

    char name[FP_NAME + 2];

    if (row->status || !strncmp(row->quantity, "step_bias", 9)) continue;
    (void)snprintf(name, sizeof(name), " %.*s ", (int)strcspn(row->quantity, "["), row->quantity);
    if (but && strstr(but, name)) continue;
    must(FPResultsGet(generator, row->process, FPGeneratorEngine(run->generator[0]), row->observable, row->quantity,
                      &value, &error, &found));
    if (!found || PetscAbsReal(row->value - value) <= error * (row->value == 0)) continue; /* frequency 0 of both */
    if (!strcmp(row->quantity, "wall_mass") && value < RARE) continue;
    if (!strcmp(row->quantity, "entropy_production_binned") && value < ROUNDING) continue; /* on a line: zero */
    check(row->error > 0, "%s is %.9g without error, the generator says %.9g +- %g", row->quantity, row->value, value,
          error);
    z = (row->value - value) / hypot(row->error, error);
    Count(KindOf(kinds, count, row), z, error / row->error, fine);
    Count(pooled, z, error / row->error, fine);
  }
}

/* What not every seed has, modes that are seldom complex, only has to be no outlier. */
static inline PetscInt Judge(const Kind *kind)
{
  const PetscReal mean = kind->sum / kind->n, variance = kind->square / kind->n - mean * mean;
  const PetscBool all     = (PetscBool)!strcmp(kind->name, "all");
  const PetscReal scatter = MANY / PetscSqrtReal(SEEDS), off = PetscMax(-kind->smallest, kind->largest);
  const PetscReal least = all ? 0.68 : 1 - PETSC_SQRT2 * scatter, most = all ? 1.40 : 1 + PETSC_SQRT2 * scatter;
  const PetscBool usual =
      (PetscBool)(PetscAbsReal(mean) < (all ? 0.3 : scatter) && variance > least && variance < most);
  const PetscBool few  = (PetscBool)(kind->n < SEEDS && off < 5);
  const PetscBool good = (PetscBool)((usual || few) && !kind->coarse);

  printf("  %-38s %6d  mean %+5.2f  variance %5.2f  from %+5.1f to %+5.1f  bound/error < %.3f%s\n", kind->name,
         (int)kind->n, mean, variance, kind->smallest, kind->largest, kind->ratio, good ? "" : "  <--");
  return !good;
}

/* but: quantities between blanks that the grid is too coarse for, which are not compared; NULL: all are */
static inline void CalibrateBut(const Setting *setting, const char *but)
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
    Compare(&run, but, generator, setting->fine > 0 ? setting->fine : 0.1, kinds, &count, &pooled);
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

static inline void Calibrate(const Setting *setting)
{
  CalibrateBut(setting, NULL);
}
#endif

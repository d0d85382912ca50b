/* t-transfer-bounds.c: bounds of transfer operators on coarse meshes hold, by whole runs against finer ones: every
   number of every observable, orders 2 and 4, two and three grids, all laws of batches, cells of up to a step's width.
   Not on settings that the bounds were set on; hundreds of those are in slow_steps.py. */
#include "message.h"
#include "runs.h"

#define FINE "mesh_cells=144 transfer_order=4 "
#define ROUNDING 1e-12 /* of a number: differences below it are none */
#define MOST 60000
#define MANY 36 /* cells, for a region of exits on the coarsest grid */
#define ASK                                                                                                            \
  "engines=transfer observables=spectrum,stationary,evolution,msd,autocorrelation,lyapunov,sharpness%s "               \
  "spectrum_pairs=2 evolution_times=0.43,1.7 msd_times=0.43,1.7 autocorrelation_times=0.43,1.7 exit_times=0.43,1.7 "   \
  "sharpness_times=0.43,1.7 exit_region=ball "
#define ROWS                                                                                                           \
  "data_type=file data_path=data/diabetes_bmi.csv data_inputs=body_mass_index data_targets=disease_progression "       \
  "data_standardize=true "
#define LINE                                                                                                           \
  "model_type=chain model_depth=2 model_coordinates=balanced exit_center=0.79 exit_start=0.71 exit_radius=0.61 "       \
  "evolution_start=0.47 sharpness_start=0.47 "

typedef struct {
  const char *process, *keys;
  int         cells[3];
} Setting;

static const Setting settings[] = {
    {"sgd",
     LINE "data_type=gaussian data_teacher=0.84 data_second_moment=0.93 data_label_noise=0.55 "
          "training_learning_rate=0.17 training_batch_size=2 training_temperature=0.083 "
          "training_weight_decay=0.03 mesh_lower=-2.2 mesh_upper=2.35 ",
     {28, 36, 60}},
    {"sgd",
     LINE "data_type=rademacher data_teacher=0.91 data_second_moment=1.07 data_label_noise=0.83 "
          "training_learning_rate=0.23 training_batch_size=2 mesh_lower=0.11 mesh_upper=2.15 ",
     {30, 38, 62}},
    {"sgd",
     LINE ROWS "training_learning_rate=0.21 training_batch_size=1 training_temperature=0.12 "
               "mesh_lower=-2.3 mesh_upper=2.25 ",
     {26, 32, 58}},
    {"sgd",
     LINE ROWS "training_learning_rate=0.27 training_batch_size=4 training_temperature=0.07 "
               "training_weight_decay=0.02 mesh_lower=-2.35 mesh_upper=2.2 evolution_spread=0.11 ",
     {24, 32, 52}},
    {"gd",
     "model_type=chain model_depth=3 model_coordinates=balanced exit_center=0.82 exit_start=0.77 exit_radius=0.66 "
     "evolution_start=0.52 sharpness_start=0.52 data_type=rademacher data_teacher=0.77 data_second_moment=0.88 "
     "data_label_noise=0.5 training_learning_rate=0.19 training_batch_size=1 training_temperature=0.14 "
     "mesh_lower=-2.1 mesh_upper=2.2 ",
     {28, 36, 66}},
    {"svag",
     "model_type=chain model_depth=1 exit_center=0.62 exit_start=0.55 exit_radius=0.73 evolution_start=0.2 "
     "sharpness_start=0.2 " ROWS "training_learning_rate=0.24 training_batch_size=2 training_temperature=0.09 "
     "mesh_lower=-1.6 mesh_upper=2.7 ",
     {22, 30, 54}},
};

typedef struct {
  int    numbers, outside, vague, count;
  double ratio[MOST];
} Tally;

static void Judge(const json_t *run, const json_t *fine, const char what[], Tally *tally)
{
  size_t  i, k        = 0;
  json_t *row, *truth = NULL;

  json_array_foreach(json_object_get(run, "results"), i, row)
  {
    const char  *observable = json_string_value(json_object_get(row, "observable"));
    const char  *quantity   = json_string_value(json_object_get(row, "quantity"));
    const double value      = json_number_value(json_object_get(row, "value"));
    const double error      = json_number_value(json_object_get(row, "error"));
    double       off, doubt;

    if (strcmp(json_string_value(json_object_get(row, "engine")), "transfer") || !json_object_get(row, "value"))
      continue;
    check(json_is_number(json_object_get(row, "value")) && json_is_number(json_object_get(row, "error")),
          "%s: %s is not a number", what, quantity);
    json_array_foreach(json_object_get(fine, "results"), k, truth)
    {
      if (!strcmp(json_string_value(json_object_get(truth, "observable")), observable) &&
          !strcmp(json_string_value(json_object_get(truth, "quantity")), quantity))
        break;
    }
    if (k == json_array_size(json_object_get(fine, "results")) || !json_object_get(truth, "value")) continue;
    doubt = json_number_value(json_object_get(truth, "error"));
    off   = fabs(value - json_number_value(json_object_get(truth, "value")));
    tally->numbers++;
    tally->vague += doubt > error / 2;
    if (off > ROUNDING * fabs(value) && doubt < error / 2 && tally->count < MOST)
      tally->ratio[tally->count++] = error / off;
    if (off <= error + doubt + ROUNDING * fabs(value)) continue;
    tally->outside++;
    print_message("  %s: %s.%s %.9g +- %.2g, truth %.9g +- %.2g: %.2f bounds\n", what, observable, quantity, value,
                  error, json_number_value(json_object_get(truth, "value")), doubt, off / error);
  }
}

static int Ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static void test_line(void **state)
{
  static Tally tally[2][2]; /* order 2, 4; two grids, three */

  (void)state;
  for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
    json_t *fine = Run(ASK "processes=%s %s" FINE, ",exit", settings[s].process, settings[s].keys);

    for (int run = 0; run < 12; run++) {
      const int cells = settings[s].cells[run / 4], order = run % 2 ? 4 : 2, refine = run / 2 % 2 + 1;
      char      what[64];
      json_t   *coarse = Run(ASK "processes=%s %s mesh_cells=%d mesh_refine=%d transfer_order=%d",
                           cells < MANY ? "" : ",exit", settings[s].process, settings[s].keys, cells, refine, order);

      (void)snprintf(what, sizeof(what), "setting %d, order %d, %d grids from %d cells", (int)s, order, refine + 1,
                     cells);
      Judge(coarse, fine, what, &tally[order / 4][refine - 1]);
      json_decref(coarse);
    }
    json_decref(fine);
  }
  for (int k = 0; k < 4; k++) {
    Tally       *t      = &tally[k / 2][k % 2];
    const double median = (qsort(t->ratio, (size_t)t->count, sizeof(double), Ascending), t->ratio[t->count / 2]);

    print_message(
        "  order %d, %d grids: %d numbers, %d outside, %d of which the finer mesh knows little; median of bound "
        "over true error %.1f\n",
        k / 2 ? 4 : 2, k % 2 + 2, t->numbers, t->outside, t->vague, median);
    check(t->numbers > 1000 && t->vague < 0.25 * t->numbers, "%d numbers, %d vague", t->numbers, t->vague);
    check(t->outside <= t->numbers / (k % 2 ? 300 : 200), "%d of %d are outside", t->outside, t->numbers);
    check(median < (k % 2 && k < 2 ? 30 : 80), "median %g", median);
  }
}

/* Cells much wider than steps, or than the law, are refused in one line: on signs alone, where laws of order 4 on 14
   cells are negative, two grids or three. */
static void test_refused(void **state)
{
  static const char *const keys[] = {"mesh_cells=14 mesh_refine=1 transfer_order=4", "mesh_cells=15 transfer_order=4",
                                     "mesh_cells=16 mesh_refine=1", "mesh_cells=24 training_batch_size=12"};

  (void)state;
  for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
    PetscInt disagreements;
    FPConfig config =
        MakeConfig(LINE "exit_region=ball engines=transfer observables=spectrum,stationary,msd msd_times=0.5 "
                        "processes=sgd data_type=rademacher "
                        "data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.6 training_learning_rate=0.15 "
                        "training_batch_size=4 mesh_lower=0.05 mesh_upper=2.4");

    SceneSet(config, keys[k]);
    refused(QuietRun(config, folder, &disagreements), "times as wide as");
    must(FPConfigDestroy(&config));
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_line), cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

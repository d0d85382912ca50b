/* t-pairs.c: every registered model in every coordinate system, with every preset of a process and every observable,
   end to end and coarsely: no error, every promised number is there or says why not, all are finite, no two engines
   contradict each other. Discrete algorithms by their transfer operator, where it is known, with every observable. What
   is refused is refused in one line, and `dlnfp list` says so. */
#include "folder.h"
#include "quiet.h"
#include <math.h>

#define MAX_Z 6.0

typedef struct {
  const char *title;
  PetscInt    dim, maps;              /* coordinates; entries of the end-to-end matrix, 0: none */
  PetscBool   mesh, potential, exact; /* exact: nothing to reduce, or not to all weights */
  const char *keys[40];               /* key, value, ... */
} Setting;

#define TRAINING                                                                                                       \
  "training_learning_rate", "0.05", "training_batch_size", "3", "training_weight_decay", "0.1",                        \
      "langevin_temperature", "0.07"
#define WARM "training_temperature", "0.03"
#define ONE_INPUT "data_type", "gaussian", "data_teacher", "0.8", "data_second_moment", "0.9", "data_label_noise", "0.4"
#define TWO_INPUTS                                                                                                     \
  "data_type", "gaussian", "data_teacher", "0.8,0.5", "data_second_moment", "0.9", "data_label_noise", "0.4"
#define TWO_BY_TWO                                                                                                     \
  "data_type", "gaussian", "data_teacher", "0.9,0.2,0.2,-0.3", "data_second_moment", "0.9", "data_label_noise", "0.3"

static const Setting settings[] = {
    {"chain, weights",
     2,
     1,
     1,
     1,
     1,
     {TRAINING, WARM, ONE_INPUT, "model_type", "chain", "model_depth", "2", "mesh_lower", "-2.1,-2.0", "mesh_upper",
      "1.9,2.0", "mesh_cells", "32,24"}},
    {"chain, weights, rank-deficient",
     2,
     1,
     1,
     1,
     1,
     {TRAINING, ONE_INPUT, "training_batch_size", "1", "data_label_noise", "1.1", "model_type", "chain", "model_depth",
      "2", "mesh_lower", "-2.1,-2.0", "mesh_upper", "1.9,2.0", "mesh_cells", "56,50"}},
    {"chain of 3, weights",
     3,
     1,
     1,
     1,
     1,
     {TRAINING, WARM, ONE_INPUT, "model_type", "chain", "model_depth", "3", "mesh_lower", "-1.9,-1.8,-1.9",
      "mesh_upper", "1.8,1.9,1.9", "mesh_cells", "16,16,16"}},
    {"chain, balanced",
     1,
     1,
     1,
     1,
     0,
     {TRAINING, WARM, ONE_INPUT, "model_type", "chain", "model_depth", "2", "model_coordinates", "balanced",
      "mesh_lower", "-2.1", "mesh_upper", "2.3", "mesh_cells", "64"}},
    {"chain, invariant",
     2,
     1,
     1,
     1,
     1,
     {TRAINING, WARM, ONE_INPUT, "model_type", "chain", "model_depth", "2", "model_coordinates", "invariant",
      "mesh_lower", "-1.6,-1.5", "mesh_upper", "2.2,1.7", "mesh_cells", "32,24"}},
    {"diagonal, balanced",
     2,
     2,
     1,
     1,
     1,
     {TRAINING, WARM, TWO_INPUTS, "model_type", "diagonal", "mesh_lower", "-1.8,-1.7", "mesh_upper", "1.8,1.6",
      "mesh_cells", "24,24"}},
    {"symmetric of rank 1",
     2,
     4,
     1,
     1,
     1,
     {TRAINING, WARM, TWO_BY_TWO, "model_type", "symmetric", "mesh_lower", "-1.8,-1.7", "mesh_upper", "1.8,1.6",
      "mesh_cells", "24,24"}},
    {"symmetric of rank 2",
     4,
     4,
     0,
     1,
     1,
     {TRAINING, WARM, TWO_BY_TWO, "model_type", "symmetric", "model_rank", "2", "engines", "particles"}},
    {"factorisation, weights",
     8,
     4,
     0,
     1,
     1,
     {TRAINING, WARM, TWO_BY_TWO, "model_type", "factorisation", "engines", "particles"}},
    {"factorisation, aligned",
     2,
     4,
     1,
     1,
     0,
     {TRAINING, WARM, TWO_BY_TWO, "model_type", "factorisation", "model_coordinates", "aligned", "mesh_lower",
      "-1.8,-1.4", "mesh_upper", "1.8,1.3", "mesh_cells", "32,24"}},
    {"OU without a potential",
     2,
     0,
     1,
     0,
     1,
     {TRAINING, "model_type", "ou", "model_drift", "1.3,-0.9,0.4,0.7", "model_diffusion", "0.12,0.03,0.03,0.08",
      "mesh_lower", "-1.7,-1.8", "mesh_upper", "1.6,1.5", "mesh_cells", "32,24"}},
};

/* By engine transfer: laws of a step that are known exactly beside particles, others by themselves. */
#define EXACT "engines", "transfer,particles"
#define NORMAL "engines", "transfer", "transfer_batch_law", "gaussian", "processes", "sgd,gd"
static const Setting transfers[] = {
    {"transfer: chain, balanced", 1, 1, 1, 1, 0, {TRAINING,      WARM,          ONE_INPUT,           EXACT,
                                                  "processes",   "sgd,svag,gd", "model_type",        "chain",
                                                  "model_depth", "2",           "model_coordinates", "balanced",
                                                  "mesh_lower",  "-2.1",        "mesh_upper",        "2.3",
                                                  "mesh_cells",  "64",          "transfer_nodes",    "8"}},
    {"transfer: one weight, label noise alone", 1, 1, 1, 1, 1, {TRAINING,       EXACT,        "processes",
                                                                "sgd",          "data_type",  "rademacher",
                                                                "data_teacher", "0.8",        "data_label_noise",
                                                                "1.1",          "model_type", "chain",
                                                                "model_depth",  "1",          "mesh_lower",
                                                                "-0.6",         "mesh_upper", "2.1",
                                                                "mesh_cells",   "64"}},
    {"transfer: rows of a file, balanced, order 4",
     1,
     1,
     1,
     1,
     0,
     {TRAINING,
      WARM,
      EXACT,
      "processes",
      "sgd,gd",
      "data_type",
      "file",
      "data_path",
      "data/diabetes_bmi.csv",
      "data_inputs",
      "body_mass_index",
      "data_targets",
      "disease_progression",
      "data_standardize",
      "true",
      "model_type",
      "chain",
      "model_depth",
      "2",
      "model_coordinates",
      "balanced",
      "mesh_lower",
      "-2.1",
      "mesh_upper",
      "2.3",
      "mesh_cells",
      "96",
      "transfer_order",
      "4"}},
    {"transfer: chain, weights", 2, 1, 1, 1, 1, {TRAINING,    "training_temperature",
                                                 "0.15",      "training_learning_rate",
                                                 "0.2",       ONE_INPUT,
                                                 EXACT,       "processes",
                                                 "sgd",       "model_type",
                                                 "chain",     "model_depth",
                                                 "2",         "mesh_lower",
                                                 "-2.3,-2.2", "mesh_upper",
                                                 "2.1,2.2",   "mesh_cells",
                                                 "24,20",     "transfer_nodes",
                                                 "6"}},
    {"transfer: OU without a potential",
     2,
     0,
     1,
     0,
     1,
     {TRAINING, WARM, EXACT, "training_learning_rate", "0.2", "processes", "sgd", "model_type", "ou", "model_drift",
      "1.3,-0.9,0.4,0.7", "model_diffusion", "0.12,0.03,0.03,0.08", "mesh_lower", "-1.9,-2", "mesh_upper", "1.8,1.7",
      "mesh_cells", "24,24"}},
    {"transfer: diagonal, normal batches",
     2,
     2,
     1,
     1,
     1,
     {TRAINING, WARM, TWO_INPUTS, NORMAL, "training_learning_rate", "0.2", "model_type", "diagonal", "mesh_lower",
      "-1.8,-1.7", "mesh_upper", "1.8,1.6", "mesh_cells", "20,20"}},
    {"transfer: symmetric of rank 1, normal batches",
     2,
     4,
     1,
     1,
     1,
     {TRAINING, WARM, TWO_BY_TWO, NORMAL, "training_learning_rate", "0.2", "model_type", "symmetric", "mesh_lower",
      "-1.8,-1.7", "mesh_upper", "1.8,1.6", "mesh_cells", "20,20"}},
    {"transfer: factorisation, aligned, normal batches",
     2,
     4,
     1,
     1,
     0,
     {TRAINING, WARM, TWO_BY_TWO, NORMAL, "training_learning_rate", "0.2", "model_type", "factorisation",
      "model_coordinates", "aligned", "mesh_lower", "-1.8,-1.4", "mesh_upper", "1.8,1.3", "mesh_cells", "20,20"}}};

static const char *const processes[] = {"sgd",        "gd",           "svag", "langevin", "ald", "ald2",
                                        "fractional", "central_flow", "ald3", "rod_flow", "levy"};

/* central_flow needs a potential, ald3 and rod_flow one coordinate; jumps a box, generators of them at most two
   dimensions, and coordinates that are no map. */
static PetscBool Exists(const Setting *s, size_t p)
{
  if (!strcmp(processes[p], "levy")) return (PetscBool)(s->mesh && s->dim <= 2 && strcmp(s->title, "chain, invariant"));
  if (!strcmp(processes[p], "central_flow")) return s->potential;
  return (PetscBool)(s->dim == 1 || (strcmp(processes[p], "ald3") && strcmp(processes[p], "rod_flow")));
}

/* Flows without injected noise have no generator. */
static PetscBool Still(const Setting *s, size_t p)
{
  PetscBool warm = PETSC_FALSE;

  for (PetscInt k = 0; s->keys[k]; k++) warm = (PetscBool)(warm || !strcmp(s->keys[k], "training_temperature"));
  return (PetscBool)(!warm && strstr(processes[p], "flow"));
}

static FPConfig MakeConfig(const Setting *setting)
{
  FPConfig config;
  char     start[64], names[256] = "";

  must(FPConfigCreate(&config));
  for (size_t p = 0; p < sizeof(processes) / sizeof(processes[0]); p++) {
    if (!Exists(setting, p)) continue;
    must(PetscStrlcat(names, names[0] ? "," : "", sizeof(names)));
    must(PetscStrlcat(names, processes[p], sizeof(names)));
  }
  must(FPConfigSet(config, "processes", names));
  must(FPConfigSet(config, "observables",
                   "spectrum,stationary,current,noise,reduction,free_energy,lyapunov,evolution,exit,mixing,msd,"
                   "autocorrelation,sharpness,tails,flat,orbit,collapse"));
  must(FPConfigSet(config, "evolution_times", "0,0.4,3.02"));
  if (setting->maps) must(FPConfigSet(config, "data_shift_second_moment", "1.4"));
  must(PetscStrncpy(start, "0.31,-0.27,0.42,0.22,-0.35,0.4,0.38,0.29", sizeof(start)));
  for (PetscInt k = 0, seen = 0; start[k]; k++)
    if (start[k] == ',' && ++seen == setting->dim) start[k] = 0;
  must(FPConfigSet(config, "evolution_start", start));
  must(FPConfigSet(config, "exit_region", "ball"));
  must(FPConfigSet(config, "exit_center", start));
  must(FPConfigSet(config, "exit_radius", "0.7"));
  must(FPConfigSet(config, "exit_times", "0.4,1.9"));
  must(FPConfigSet(config, "mixing_times", "0.4,3.02"));
  must(FPConfigSet(config, "mixing_start", start));
  must(FPConfigSet(config, "sharpness_times", "0.4,3.02"));
  must(FPConfigSet(config, "sharpness_start", start));
  must(FPConfigSet(config, "orbit_start", start));
  must(FPConfigSet(config, "msd_times", "0.4,3.02"));
  must(FPConfigSet(config, "autocorrelation_times", "0.4,1.52"));
  must(FPConfigSet(config, "spectrum_pairs", "3"));
  must(FPConfigSet(config, "particles_count", "4096"));
  must(FPConfigSet(config, "particles_steps", "80"));
  must(FPConfigSet(config, "particles_burn_in", "40"));
  must(FPConfigSet(config, "particles_threads", "1"));
  for (PetscInt k = 0; setting->keys[k]; k += 2) must(FPConfigSet(config, setting->keys[k], setting->keys[k + 1]));
  return config;
}

/* The first of the names, separated by '|', that has a row; a row without a number gives a reason. */
static void Promise(const json_t *root, const char *title, const char *process, const char *engine,
                    const char *observable, const char *names)
{
  const json_t *row = NULL;
  char          copy[200], *rest = copy;

  (void)snprintf(copy, sizeof(copy), "%s", names);
  for (const char *name = strsep(&rest, "|"); name && !row; name = strsep(&rest, "|"))
    row = FindRow(root, process, engine, observable, name);
  check(row, "%s: %s by %s has no %s of %s", title, process, engine, names, observable);
  if (json_object_get(row, "value")) return;
  check(json_string_length(json_object_get(row, "reason")) > 10, "%s: %s by %s: %s of %s gives no reason", title,
        process, engine, names, observable);
}

static void CheckPromises(const Setting *s, const json_t *root, const char *process, const char *engine)
{
  static const char *const spectrum[] = {"decay_rate[1]|gap", "frequency[1]|gap", "gap", "relaxation_time|gap"};
  const PetscBool          generator  = (PetscBool)strcmp(engine, "particles"); /* or a transfer operator */
  const char              *p          = s->maps > 1 ? "mean_p[0][0]" : "mean_p";

  for (size_t k = 0; k < sizeof(spectrum) / sizeof(spectrum[0]); k++)
    Promise(root, s->title, process, engine, "spectrum", spectrum[k]);
  Promise(root, s->title, process, engine, "stationary", "mean[0]");
  Promise(root, s->title, process, engine, "stationary", "covariance[0][0]");
  if (s->maps) Promise(root, s->title, process, engine, "stationary", p);
  if (s->maps) Promise(root, s->title, process, engine, "stationary", "loss");
  if (s->maps) Promise(root, s->title, process, engine, "stationary", "shifted_loss");
  if (s->maps) Promise(root, s->title, process, engine, "evolution", "shifted_loss[t=3.02]|loss");
  if (s->mesh) Promise(root, s->title, process, engine, "stationary", "wall_mass");
  Promise(root, s->title, process, engine, "stationary", generator ? "kl_gibbs" : "kl_gibbs_binned");
  Promise(root, s->title, process, engine, "stationary",
          generator ? "tv_gibbs|kl_gibbs" : "tv_gibbs_binned|kl_gibbs_binned");
  Promise(root, s->title, process, engine, "stationary",
          generator ? "w1_p_gibbs|w1_p[0][0]_gibbs|kl_gibbs" : "w1_p_gibbs|w1_p[0][0]_gibbs|kl_gibbs_binned");
  Promise(root, s->title, process, engine, "current",
          generator                                 ? "entropy_production"
          : s->dim == 2 && !strcmp(process, "levy") ? "rotation[0][1]" /* entropies of jumps in the plane: none */
                                                    : "entropy_production_binned");
  if (s->dim > 1)
    Promise(root, s->title, process, engine, "current", "rotation[0][1]|entropy_production_binned|entropy_production");
  if (generator) Promise(root, s->title, process, engine, "current", "current_l1|entropy_production");
  Promise(root, s->title, process, engine, "exit", "mean_time");
  Promise(root, s->title, process, engine, "exit", "rate|mean_time");
  Promise(root, s->title, process, engine, "exit", "survival[t=1.9]|mean_time");
  Promise(root, s->title, process, engine, "exit", "median_time|mean_time");
  Promise(root, s->title, process, engine, "evolution", s->maps ? "loss[t=0]|loss" : "mean[0][t=0]|loss");
  Promise(root, s->title, process, engine, "evolution", "second_moment[0][t=3.02]|loss");
  Promise(root, s->title, process, engine, "evolution", "kl_stationary[t=3.02]|kl_stationary|loss");
  Promise(root, s->title, process, engine, "evolution",
          s->mesh ? "entropy_binned[t=3.02]|loss" : "free_energy_binned[t=3.02]|free_energy_binned");
  if (s->maps && !generator && strcmp(process, "sgd"))
    Promise(root, s->title, process, engine, "evolution", "w1_p_sgd[t=3.02]|w1_p[0][0]_sgd[t=3.02]|w1_p_sgd");
  Promise(root, s->title, process, engine, "mixing", "tv_binned[t=3.02]|mixing_time|tv_binned");
  Promise(root, s->title, process, engine, "mixing", "mixing_time|tv_binned");
  Promise(root, s->title, process, engine, "msd", "msd[t=3.02]");
  Promise(root, s->title, process, engine, "msd", "exponent");
  Promise(root, s->title, process, engine, "sharpness", "sharpness[t=3.02]|sharpness");
  Promise(root, s->title, process, engine, "flat", "conditional_mean[0]");
  Promise(root, s->title, process, engine, "tails", "hill_w[k=205][n=4096]|hill_w");
  Promise(root, s->title, process, engine, "autocorrelation",
          s->maps == 0  ? "z[0][t=1.52]|integrated_time"
          : s->maps > 1 ? "p[0][0][t=1.52]|integrated_time"
                        : "p[t=1.52]|integrated_time");
  Promise(root, s->title, process, engine, "autocorrelation",
          s->maps == 0 ? "integrated_time_z[1]|integrated_time" : "integrated_time_loss|integrated_time");
}

static void CheckRows(const Setting *s, const json_t *root)
{
  size_t  i;
  json_t *row;

  json_array_foreach(json_object_get(root, "results"), i, row)
  {
    const json_t *value = json_object_get(row, "value"), *error = json_object_get(row, "error");

    if (!value) continue;
    check(error && json_number_value(error) >= 0, "%s: %s of %s by %s has a bad error", s->title,
          json_string_value(json_object_get(row, "quantity")), json_string_value(json_object_get(row, "process")),
          json_string_value(json_object_get(row, "engine")));
  }
  json_array_foreach(json_object_get(root, "crosscheck"), i, row)
  {
    const double z = json_number_value(json_object_get(row, "z"));

    check(fabs(z) < MAX_Z && json_is_number(json_object_get(row, "z")), "%s: %s, %s: z = %g", s->title,
          json_string_value(json_object_get(row, "process")), json_string_value(json_object_get(row, "quantity")), z);
  }
}

static void CheckNoise(const Setting *s, const json_t *root)
{
  size_t   i;
  json_t  *row;
  PetscInt found[2] = {0, 0};

  json_array_foreach(json_object_get(root, "results"), i, row)
  {
    const char *quantity = json_string_value(json_object_get(row, "quantity"));

    if (strcmp(json_string_value(json_object_get(row, "observable")), "noise")) continue;
    found[0] += !strncmp(quantity, "covariance_eigenvalue[0]", 24);
    found[1] += !strncmp(quantity, "rank", 4);
  }
  check(found[0] >= 2 && found[1] >= 1, "%s: %d eigenvalues and %d ranks of the noise", s->title, (int)found[0],
        (int)found[1]);
}

static void RunSetting(const Setting *s)
{
  FPConfig config = MakeConfig(s);
  PetscInt disagreements;
  json_t  *root;

  must(QuietRun(config, folder, &disagreements));
  must(FPConfigDestroy(&config));
  root = LoadResults(folder);
  CheckRows(s, root);
  for (size_t p = 0; p < sizeof(processes) / sizeof(processes[0]); p++) {
    if (!Exists(s, p)) continue;
    CheckPromises(s, root, processes[p], "particles");
    if (s->mesh && p >= 3 && !Still(s, p)) CheckPromises(s, root, processes[p], "generator");
  }
  CheckNoise(s, root);
  Promise(root, s->title, "sgd", "particles", "reduction", "difference_loss");
  Promise(root, s->title, "model", "exact", "free_energy", "learning_coefficient");
  for (size_t p = 0; p < sizeof(processes) / sizeof(processes[0]); p++) {
    if (!Exists(s, p)) continue;
    Promise(root, s->title, processes[p], "exact", "orbit", "period");
    Promise(root, s->title, processes[p], "exact", "collapse", "thresholds");
    Promise(root, s->title, processes[p], "exact", "lyapunov", "exponent_at[minimum]");
    Promise(root, s->title, processes[p], "particles", "lyapunov", "exponent_orbit");
  }
  check(s->exact !=
            (json_object_get(FindRow(root, "sgd", "particles", "reduction", "difference_loss"), "value") != NULL),
        "%s: difference_loss has a value where it should not, or none where it should", s->title);
  json_decref(root);
}

/* Every process that the setting names */
static void test_transfer(void **state)
{
  const Setting *s         = (const Setting *)*state;
  char           names[64] = "", *rest = names;
  PetscBool      both = PETSC_FALSE;
  PetscInt       disagreements;
  FPConfig       config = MakeConfig(s);
  json_t        *root;

  for (PetscInt k = 0; s->keys[k]; k += 2) {
    if (!strcmp(s->keys[k], "processes")) (void)snprintf(names, sizeof(names), "%s", s->keys[k + 1]);
    if (!strcmp(s->keys[k], "engines")) both = (PetscBool)(strstr(s->keys[k + 1], "particles") != NULL);
  }
  must(QuietRun(config, folder, &disagreements));
  must(FPConfigDestroy(&config));
  root = LoadResults(folder);
  CheckRows(s, root);
  for (const char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
    CheckPromises(s, root, name, "transfer");
    Promise(root, s->title, name, "transfer", "lyapunov", "exponent_orbit");
    Promise(root, s->title, name, "transfer", "current", "irreversibility_binned|entropy_production_binned");
    Promise(root, s->title, name, "transfer", "sharpness", "batch_sharpness[t=3.02]|sharpness");
    if (both) CheckPromises(s, root, name, "particles");
  }
  json_decref(root);
}

static void test_setting(void **state)
{
  RunSetting((const Setting *)*state);
}

/* What is refused: the message names the reason that `dlnfp list` prints. */
static void test_refused(void **state)
{
  static const struct {
    PetscInt    setting;
    const char *key[2], *value[2];
  } cases[] = {{0, {"langevin_temperature"}, {"0"}},
               {8, {"mesh_lower", "mesh_upper"}, {"0,0,0,0,0,0,0,0", "1,1,1,1,1,1,1,1"}},
               {8, {"engines"}, {"generator"}},
               {1, {"engines", "processes"}, {"transfer", "sgd"}},  /* 2-D, no injected noise */
               {2, {"engines", "processes"}, {"transfer", "sgd"}},  /* 3-D */
               {4, {"engines", "processes"}, {"transfer", "sgd"}},  /* a map of the weights */
               {8, {"engines", "processes"}, {"transfer", "sgd"}},  /* no mesh */
               {10, {"engines", "processes"}, {"transfer", "gd"}}}; /* a deterministic map */

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    FPConfig config = MakeConfig(&settings[cases[k].setting]);

    for (int i = 0; i < 2 && cases[k].key[i]; i++) must(FPConfigSet(config, cases[k].key[i], cases[k].value[i]));
    if (k == 1) must(FPConfigSet(config, "mesh_cells", "8,8,8,8,8,8,8,8"));
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    check(FPRunCheck(config) == PETSC_ERR_USER_INPUT, "case %d was not refused as bad input", (int)k);
    must(PetscPopErrorHandler());
    must(FPConfigDestroy(&config));
  }
}

static void test_list(void **state)
{
  char  *text;
  size_t length;
  FILE  *out = open_memstream(&text, &length);

  (void)state;
  must(FPRunListObservables(out));
  (void)fclose(out);
  check(strstr(text, "unsupported:"), "no list of what is unsupported");
  for (const char **w = (const char *[]){"gd at temperature 0", "no mesh", "more than 3 coordinates",
                                         "no normal variable", "2 weights, temperature 0", NULL};
       *w; w++)
    check(strstr(text, *w), "the list does not say %s", *w);
  free(text);
}

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define TRANSFERS (sizeof(transfers) / sizeof(transfers[0]))

int main(int argc, char **argv)
{
  struct CMUnitTest tests[SETTINGS + TRANSFERS + 2];
  int               failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  memset(tests, 0, sizeof(tests));
  for (size_t k = 0; k < SETTINGS; k++) {
    tests[k].name          = settings[k].title;
    tests[k].test_func     = test_setting;
    tests[k].initial_state = (void *)&settings[k];
  }
  for (size_t k = 0; k < TRANSFERS; k++) {
    tests[SETTINGS + k].name          = transfers[k].title;
    tests[SETTINGS + k].test_func     = test_transfer;
    tests[SETTINGS + k].initial_state = (void *)&transfers[k];
  }
  tests[SETTINGS + TRANSFERS]     = (struct CMUnitTest)cmocka_unit_test(test_refused);
  tests[SETTINGS + TRANSFERS + 1] = (struct CMUnitTest)cmocka_unit_test(test_list);
  cmocka_set_test_filter(getenv("TEST_FILTER")); /* such as "transfer*": one part alone, by hand */
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

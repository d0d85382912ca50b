/* slow-transfer.c: SGD, and gradient descent with noise, by its transfer operator and by particles, over seeds:
   everything that both say, for Gaussian data, signs and the rows of a file, one sample and four at a time, label noise
   and injected noise, on the balanced line and in the plane of two weights. */
#include "calibrate.h"

/* Cells: 64 bins and their multiples fit on all three grids, else bounds of what is binned are ten times as wide. */
#define LINE                                                                                                           \
  "model_type=chain model_depth=2 model_coordinates=balanced particles_count=8192 particles_steps=100 "                \
  "particles_burn_in=20 exit_region=ball exit_times=0.4,1.1,2.3 evolution_times=0.3,1.2,3.1 msd_times=0.3,1.2,3.1 "    \
  "autocorrelation_times=0.3,1.2,3.1 mixing_times=0.6,2.1 sharpness_times=0.3,1.2 "
#define ALL                                                                                                            \
  {                                                                                                                    \
    "spectrum", "stationary", "current", "exit", "evolution", "msd", "autocorrelation", "mixing", "lyapunov",          \
        "sharpness"                                                                                                    \
  }

/* Around one of the two minima: a wall keeps the law from the saddle, beyond which particles would hardly go. */
static void test_gaussian(void **state)
{
  static const Setting setting = {
      "SGD on Gaussian data, one sample", "sgd", ALL,
      LINE "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.7 spectrum_pairs=3 "
           "training_learning_rate=0.1 training_batch_size=1 training_weight_decay=0.1 training_temperature=0.05 "
           "mesh_lower=0.05 mesh_upper=2.3 mesh_cells=512 exit_center=0.83 exit_start=0.91 exit_radius=0.45 "
           "exit_duration=60 evolution_start=0.31 mixing_start=0.31 sharpness_start=0.31",
      .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* No batches, injected noise alone. The law is nearly Gibbs': what sampling makes of distances to it is in their
 * errors. */
static void test_descent(void **state)
{
  static const Setting setting = {
      "Gradient descent with noise",
      "gd",
      {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation"},
      LINE "particles_burn_in=60 data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.7 "
           "spectrum_pairs=3 training_learning_rate=0.1 training_batch_size=1 training_weight_decay=0.1 "
           "training_temperature=0.05 mesh_lower=0.05 mesh_upper=2.3 mesh_cells=512 exit_center=0.83 exit_start=0.91 "
           "exit_radius=0.45 exit_duration=60 evolution_start=0.31",
      .fine = 0.1};

  (void)state;
  CalibrateBut(&setting, " kl_gibbs_binned tv_gibbs_binned w1_p_gibbs ");
}

/* Rows of a file, four at a time, by the signed matrix: order 2 would need many more cells. */
static void test_rows(void **state)
{
  static const Setting setting = {
      "SGD on rows, four at a time", "sgd", ALL,
      LINE "data_type=file data_path=data/diabetes_bmi.csv data_inputs=body_mass_index "
           "data_targets=disease_progression data_standardize=true training_learning_rate=0.25 training_batch_size=4 "
           "training_weight_decay=0.02 training_temperature=0.12 spectrum_pairs=3 mesh_lower=-2.4 mesh_upper=2.5 "
           "mesh_cells=512 transfer_order=4 particles_steps=130 exit_center=0.7 exit_start=0.63 exit_radius=0.45 "
           "exit_duration=60 "
           "evolution_start=0.31 "
           "mixing_start=0.31 sharpness_start=0.31",
      .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* Label noise alone: it vanishes at the saddle, which the law keeps away from. Modes beyond the first grow there, where
   particles hardly are, which leave them untold. */
static void test_signs(void **state)
{
  static const Setting setting = {
      "SGD on signs, label noise alone", "sgd", ALL,
      LINE "data_type=rademacher data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.9 spectrum_pairs=3 "
           "training_learning_rate=0.15 training_batch_size=1 mesh_lower=0.05 mesh_upper=2.4 mesh_cells=1536 "
           "exit_center=0.93 exit_start=0.86 exit_radius=0.34 exit_duration=60 evolution_start=0.41 mixing_start=0.41 "
           "sharpness_start=0.41",
      .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* Two batches to a step, of which one counts against the other. Bounds are below a tenth of the standard errors but for
   irreversibility_binned, 0.24, and markov_defect_p, 0.11. */
static void test_svag(void **state)
{
  static const Setting setting = {
      "SVAG, steps of a third", "svag", ALL,
      LINE "data_type=gaussian data_teacher=0.9 data_second_moment=0.8 data_label_noise=0.6 spectrum_pairs=1 "
           "svag_svag_order=3 training_learning_rate=0.15 training_batch_size=2 training_weight_decay=0.08 "
           "training_temperature=0.04 mesh_lower=0.05 mesh_upper=2.2 mesh_cells=512 transfer_order=4 exit_center=0.87 "
           "exit_start=0.78 "
           "exit_radius=0.33 exit_duration=60 evolution_start=0.36 mixing_start=0.36 sharpness_start=0.36",
      .fine = 0.25};

  (void)state;
  Calibrate(&setting);
}

static void test_svag_rows(void **state)
{
  static const Setting setting = {
      "SVAG on rows, twice four at a time", "svag", ALL,
      LINE "data_type=file data_path=data/diabetes_bmi.csv data_inputs=body_mass_index "
           "data_targets=disease_progression data_standardize=true training_learning_rate=0.25 training_batch_size=4 "
           "training_weight_decay=0.02 training_temperature=0.12 svag_svag_order=2 spectrum_pairs=2 mesh_lower=-2.4 "
           "mesh_upper=2.5 mesh_cells=512 transfer_order=4 particles_steps=130 exit_center=0.7 exit_start=0.63 "
           "exit_radius=0.45 exit_duration=60 evolution_start=0.31 mixing_start=0.31 sharpness_start=0.31",
      .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

#define PLANE                                                                                                          \
  "model_type=chain model_depth=2 particles_count=4096 particles_steps=30 particles_burn_in=10 data_type=gaussian "    \
  "data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.5 training_learning_rate=0.25 training_batch_size=2 "    \
  "training_weight_decay=0.15 training_temperature=0.2 mesh_lower=-2.4,-2.5 mesh_upper=2.5,2.4 "

/* Two weights, injected noise, order 4, on cells that fill the bins: bounds are below a sixth of the standard errors
   but for what is told by cells at walls (3.0 of them) and by parts of the law of p (markov_defect, 1.3), which is of
   order 2. */
static void test_plane(void **state)
{
  static const Setting setting = {
      "SGD of two weights",
      "sgd",
      {"spectrum", "stationary", "evolution", "msd", "autocorrelation", "mixing", "sharpness"},
      PLANE "spectrum_pairs=2 evolution_times=0.5,1.25 evolution_start=0.4,0.7 msd_times=0.5,1.25,2.5 "
            "mixing_times=0.5,1.25 mixing_start=0.4,0.7 autocorrelation_times=0.5,1.25 sharpness_times=0.5,1.25 "
            "sharpness_start=0.4,0.7 mesh_cells=64,64 transfer_order=4",
      .fine = 0.25};

  (void)state;
  CalibrateBut(&setting, " wall_mass markov_defect_p ");
}

/* Exits from a disc around the saddle, with a second one in it, and from the side of one minimum: times, rates, and
   where steps land. */
static void test_plane_exits(void **state)
{
  static const Setting disc = {
      "SGD of two weights, exits from a disc",
      "sgd",
      {"exit"},
      PLANE "mesh_cells=32,32 transfer_order=4 exit_region=ball exit_center=0,0 exit_radius=1.37 exit_start=0.21,-0.13 "
            "exit_times=0.5,1.25,3 exit_overshoot=0.1,0.3 exit_duration=30 exit_region_b=ball exit_center_b=0.72,0.61 "
            "exit_radius_b=0.34",
      .fine = 0.25};
  static const Setting side = {
      "SGD of two weights, exits from one side",
      "sgd",
      {"exit"},
      PLANE "mesh_cells=32,32 transfer_order=4 exit_region=half_space exit_normal=-1,-0.7 exit_offset=-0.33 "
            "exit_start=0.81,0.63 exit_times=0.5,1.25,3 exit_overshoot=0.1 exit_duration=90",
      .fine = 0.25};
  static const Setting valley = {
      "SGD of two weights, exits from a sublevel set",
      "sgd",
      {"exit"},
      PLANE "mesh_cells=36,36 transfer_order=4 exit_region=sublevel exit_level=0.17 exit_start=0.81,0.93 "
            "exit_times=0.5,1.25,3 exit_overshoot=0.07 exit_duration=15",
      .fine = 0.25};

  (void)state;
  Calibrate(&disc);
  Calibrate(&side);
  Calibrate(&valley);
}

/* What steps do between bins, which needs the chain of order 2: bounds are below half of the standard errors, of
   entropy_production_binned as large as they are. */
static void test_plane_currents(void **state)
{
  static const Setting setting = {
      "SGD of two weights, currents", "sgd", {"current"}, PLANE "mesh_cells=64,64", .fine = 1.2};

  (void)state;
  Calibrate(&setting);
}

#define TANGENTS                                                                                                       \
  "particles_count=4096 particles_steps=60 particles_burn_in=20 training_learning_rate=0.2 mesh_upper=2.5,2.6 "

/* How fast neighbours in the plane of two weights come together. Bounds are below a quarter of the standard errors. */
static void test_exponents_gaussian(void **state)
{
  static const Setting setting = {
      "SGD of two weights on Gaussian data, exponents",
      "sgd",
      {"lyapunov"},
      TANGENTS "model_type=chain model_depth=2 data_type=gaussian data_teacher=0.8 data_second_moment=0.9 "
               "data_label_noise=0.5 training_batch_size=5 training_weight_decay=0.15 training_temperature=0.2 "
               "mesh_lower=-2.6,-2.5 mesh_cells=38,38 transfer_order=4",
      .fine = 0.25};

  (void)state;
  Calibrate(&setting);
}

static void test_exponents_signs(void **state)
{
  static const Setting setting = {
      "SGD of two weights on signs, exponents",
      "sgd",
      {"lyapunov"},
      TANGENTS "model_type=chain model_depth=2 data_type=rademacher data_teacher=0.9 data_second_moment=1.2 "
               "data_label_noise=0.5 training_batch_size=2 training_weight_decay=0.12 training_temperature=0.12 "
               "mesh_lower=-2.6,-2.5 mesh_cells=40,40 transfer_order=4",
      .fine = 0.25};

  (void)state;
  Calibrate(&setting);
}

static void test_exponents_rows(void **state)
{
  static const Setting setting = {
      "SGD of two weights on rows, exponents",
      "sgd",
      {"lyapunov"},
      TANGENTS "model_type=chain model_depth=2 data_type=file data_path=data/diabetes_bmi.csv "
               "data_inputs=body_mass_index data_targets=disease_progression data_standardize=true "
               "training_batch_size=4 training_weight_decay=0.08 training_temperature=0.15 mesh_lower=-2.6,-2.5 "
               "mesh_cells=64,64",
      .fine = 0.25};

  (void)state;
  Calibrate(&setting);
}

/* u u^T x on five rows, in all pairs of them: steps turn by matrices that have no common direction. */
static void test_exponents_symmetric(void **state)
{
  char    path[]  = "/tmp/dlnfp-rows-XXXXXX", keys[1024];
  FILE   *f       = fdopen(mkstemp(path), "w");
  Setting setting = {"SGD of a symmetric factorisation on rows, exponents", "sgd", {"lyapunov"}, keys, .fine = 0.25};

  (void)state;
  assert_non_null(f);
  fprintf(f, "a,b,c,d\n0.9,-0.4,0.8,0.1\n-0.6,1.1,-0.5,0.7\n0.2,0.7,0.4,0.3\n1.2,0.3,0.9,-0.2\n-0.3,-0.8,0.2,-0.6\n");
  (void)fclose(f);
  (void)snprintf(keys, sizeof(keys),
                 TANGENTS "model_type=symmetric model_rank=1 data_type=file data_path=%s data_inputs=a,b "
                          "data_targets=c,d training_batch_size=2 training_weight_decay=0.1 training_temperature=0.15 "
                          "mesh_lower=-2.6,-2.5 mesh_cells=72,72",
                 path);
  Calibrate(&setting);
  (void)remove(path);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gaussian),
                                     cmocka_unit_test(test_descent),
                                     cmocka_unit_test(test_rows),
                                     cmocka_unit_test(test_signs),
                                     cmocka_unit_test(test_svag),
                                     cmocka_unit_test(test_svag_rows),
                                     cmocka_unit_test(test_plane),
                                     cmocka_unit_test(test_plane_currents),
                                     cmocka_unit_test(test_plane_exits),
                                     cmocka_unit_test(test_exponents_gaussian),
                                     cmocka_unit_test(test_exponents_signs),
                                     cmocka_unit_test(test_exponents_rows),
                                     cmocka_unit_test(test_exponents_symmetric)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  cmocka_set_test_filter(getenv("TEST_FILTER")); /* such as "*rows": one part alone, by hand */
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

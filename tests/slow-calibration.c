/* slow-calibration.c: calibrate.h on processes with Gaussian noise: of stationary laws first, then of everything in
   time (exits, courses from a start, correlations). */
#include "calibrate.h"

static void test_ou(void **state)
{
  static const Setting setting = {"non-normal OU",
                                  "ald",
                                  {"spectrum", "stationary", "current"},
                                  "model_type=ou model_drift=1.3,-0.9,0.4,0.7 "
                                  "model_diffusion=0.12,0.03,0.03,0.08 model_center=0.1,-0.2 "
                                  "training_learning_rate=0.05 training_batch_size=2 training_temperature=0.03 "
                                  "mesh_lower=-1.6,-1.7 mesh_upper=1.8,1.5 mesh_cells=256,256 "
                                  "particles_count=4096 particles_steps=200 particles_burn_in=60 "
                                  "spectrum_pairs=3",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* 384, 288 and 192 cells: the bins are of whole cells on all of them. dt: what extrapolation leaves of its bias is
 * small. */
static void test_chain(void **state)
{
  static const Setting setting = {"ALD on the 2-chain",
                                  "ald",
                                  {"spectrum", "stationary", "current"},
                                  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 "
                                  "data_label_noise=0.7 model_type=chain model_depth=2 "
                                  "training_learning_rate=0.2 training_batch_size=1 training_weight_decay=0.2 "
                                  "training_temperature=0.02 mesh_lower=-1.6,-1.5 mesh_upper=1.5,1.6 "
                                  "mesh_cells=384,384 particles_count=4096 particles_steps=150 "
                                  "particles_burn_in=60 spectrum_pairs=4 ald_dt=0.05",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* A start off the centre of the ball and of the law; drift and noise of no special direction. */
static void test_ou_in_time(void **state)
{
  static const Setting setting = {"non-normal OU in time",
                                  "ald",
                                  {"exit", "evolution", "msd", "autocorrelation", "mixing"},
                                  "model_type=ou model_drift=1.3,-0.9,0.4,0.7 "
                                  "model_diffusion=0.12,0.03,0.03,0.08 model_center=0.1,-0.2 "
                                  "training_learning_rate=0.05 training_batch_size=2 mesh_lower=-1.6,-1.7 "
                                  "mesh_upper=1.8,1.5 mesh_cells=128,128 particles_count=4096 "
                                  "particles_steps=120 particles_burn_in=20 exit_region=ball "
                                  "exit_center=0.1,-0.2 exit_radius=0.63 exit_start=0.27,-0.11 "
                                  "exit_times=0.3,0.9,1.7 exit_duration=14 evolution_times=0.23,0.8,1.9 "
                                  "evolution_start=0.6,0.3 msd_times=0.23,0.8,1.9 "
                                  "autocorrelation_times=0.23,0.8,1.9 mixing_times=0.4,1.1 "
                                  "mixing_start=0.6,0.3",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* From near the saddle of the 2-chain; exits from a ball around it, until next to none are left inside: what these
   might still do counts as error in full. The committor is to a smaller ball inside; both cut cells. */
static void test_chain_in_time(void **state)
{
  static const Setting setting = {"ALD on the 2-chain in time",
                                  "ald",
                                  {"exit", "evolution", "msd", "autocorrelation", "mixing", "sharpness"},
                                  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 "
                                  "data_label_noise=0.7 model_type=chain model_depth=2 "
                                  "training_learning_rate=0.1 training_batch_size=2 training_weight_decay=0.2 "
                                  "training_temperature=0.05 mesh_lower=-1.9,-1.8 mesh_upper=1.8,1.9 "
                                  "mesh_cells=256,256 particles_count=4096 particles_steps=80 "
                                  "particles_burn_in=20 exit_region=ball exit_center=origin exit_radius=0.63 "
                                  "exit_start=0.13,0.07 exit_times=0.4,1.1,2.3 exit_duration=20 "
                                  "exit_region_b=ball exit_center_b=0.35,0.33 exit_radius_b=0.17 "
                                  "evolution_times=0.3,1.2,3.1 evolution_start=0.31,0.17 msd_times=0.3,1.2,3.1 "
                                  "autocorrelation_times=0.3,1.2,3.1 mixing_times=0.6,2.1 "
                                  "mixing_start=0.31,0.17 sharpness_times=0.3,1.2,3.1 "
                                  "sharpness_start=0.31,0.17",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* What the settings in the plane below share: the 2-chain of test_chain_in_time, exits from a box, before or after a
   line is crossed that no axis is along. Particles start evenly over the cells of the generator's law, and the means,
   which tell how they share the wells, remember that for longer than these runs: nearer to the truth than their errors
   say. */
#define PLANE                                                                                                          \
  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.7 model_type=chain model_depth=2 "    \
  "training_learning_rate=0.1 training_batch_size=2 training_weight_decay=0.2 training_temperature=0.05 "              \
  "mesh_lower=-1.9,-1.8 mesh_upper=1.8,1.9 particles_count=4096 particles_steps=60 particles_burn_in=40 "              \
  "spectrum_pairs=1 spectrum_lag=0.7 exit_region=box exit_center=0.06,-0.05 exit_radius=0.61,0.55 "                    \
  "exit_start=0.13,-0.08 "                                                                                             \
  "exit_times=1.1,2.3 exit_duration=16 exit_region_b=half_space exit_normal_b=-0.6,-0.8 exit_offset_b=-0.41 "          \
  "evolution_times=0.3,1.2,3.1 evolution_start=0.31,0.17 msd_times=0.3,1.2,3.1 autocorrelation_times=0.3,1.2,3.1 "     \
  "sharpness_times=0.3,1.2,3.1 sharpness_start=0.31,0.17 mesh_cells=192,192 "

/* Its law is Gibbs': what it is from that is sampling, by which distances are too large. */
static void test_langevin(void **state)
{
  static const Setting setting = {
      "Langevin on the 2-chain",
      "langevin",
      {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation", "sharpness"},
      PLANE,
      .fine = 0.2};

  (void)state;
  CalibrateBut(&setting, " mean kl_gibbs_binned tv_gibbs_binned w1_p_gibbs ");
}

static void test_second_order(void **state)
{
  static const Setting setting = {"The modified equation on the 2-chain",
                                  "ald2",
                                  {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation"},
                                  PLANE,
                                  .fine = 0.2};

  (void)state;
  CalibrateBut(&setting, " mean ");
}

/* One column of U: two weights, whose noise has no axis of symmetry. Cells are wide for what changes sign in them,
   and the error of entropy production keeps all that steps change. */
static void test_symmetric(void **state)
{
  static const Setting setting = {
      "ALD on a symmetric factorisation",
      "ald",
      {"spectrum", "stationary", "current", "exit", "evolution", "msd", "autocorrelation"},
      "data_type=gaussian data_teacher=1.0,0.17,0.17,0.57 data_second_moment=0.9 data_label_noise=0.6 "
      "model_type=symmetric model_rank=1 training_learning_rate=0.06 training_batch_size=2 training_temperature=0.06 "
      "mesh_lower=-1.9,-1.8 mesh_upper=1.95,1.75 mesh_cells=192,192 particles_count=4096 particles_steps=100 "
      "particles_burn_in=60 spectrum_pairs=1 spectrum_lag=0.7 exit_region=ball exit_center=origin exit_radius=0.53 "
      "exit_start=0.11,0.07 exit_times=0.4,1.1,2.3 exit_duration=16 evolution_times=0.3,1.2,3.1 "
      "evolution_start=0.31,0.17 msd_times=0.3,1.2,3.1 autocorrelation_times=0.3,1.2,3.1",
      .fine = 0.1};

  (void)state;
  CalibrateBut(&setting, " mean entropy_production_binned w1_p markov_defect_p ");
}

/* Noise with a divergence of its own, in one coordinate. The error of wall_mass keeps what a step's bias may leave, and
   particles start with the wells' shares. */
static void test_third_order(void **state)
{
  static const Setting setting = {
      "The third-order equation on the balanced 2-chain",
      "ald3",
      {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation", "lyapunov"},
      "data_type=gaussian data_teacher=0.9 data_second_moment=0.8 data_label_noise=0.6 model_type=chain model_depth=2 "
      "model_coordinates=balanced training_learning_rate=0.1 training_batch_size=2 training_weight_decay=0.1 "
      "training_temperature=0.06 mesh_lower=-1.5 mesh_upper=1.6 mesh_cells=256 particles_count=4096 "
      "particles_steps=120 particles_burn_in=60 spectrum_pairs=2 exit_region=ball exit_center=0.6 exit_radius=0.5 "
      "exit_start=0.41 exit_region_b=half_space exit_normal_b=-1 exit_offset_b=-0.95 exit_times=0.4,1.3,3.2 "
      "exit_duration=40 evolution_times=0.4,1.3,3.2 evolution_start=0.41 msd_times=0.4,1.3,3.2 "
      "autocorrelation_times=0.4,1.3,3.2",
      .fine = 0.1};

  (void)state;
  CalibrateBut(&setting, " mean wall_mass ");
}

/* The flows of the edge of stability, beyond it, with injected noise: drifts with a kink, or with a table. A wall keeps
   off the saddle, whose neighbourhood is left so slowly and met so seldom that particles do not see it. */
#define EDGE                                                                                                           \
  "data_type=gaussian data_teacher=1.1 data_second_moment=0.9 data_label_noise=0.3 model_type=chain model_depth=2 "    \
  "model_coordinates=balanced training_learning_rate=1.1 training_batch_size=16 training_temperature=0.05 "            \
  "mesh_lower=0.35 mesh_upper=2.1 mesh_cells=512 particles_count=4096 particles_steps=30 particles_burn_in=10 "        \
  "spectrum_pairs=1 exit_region=ball exit_center=0.9 exit_radius=0.37 exit_start=0.83 exit_times=0.4,1.3,3.2 "         \
  "exit_duration=40 evolution_times=1.1,3.3 evolution_start=0.41 msd_times=1.1,2.2,4.4 autocorrelation_times=1.1,2.2 "

static void test_rod_flow(void **state)
{
  static const Setting setting = {"The rod flow beyond the edge of stability",
                                  "rod_flow",
                                  {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation"},
                                  EDGE,
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

static void test_central_flow(void **state)
{
  static const Setting setting = {"The central flow beyond the edge of stability",
                                  "central_flow",
                                  {"spectrum", "stationary", "exit", "evolution", "msd", "autocorrelation"},
                                  EDGE,
                                  .fine = 0.15};

  (void)state;
  Calibrate(&setting);
}

/* On the line: exponents of the orbit, noise along training, losses under other laws of the data, committors. */
static void test_balanced(void **state)
{
  static const Setting setting = {
      "ALD on the balanced 3-chain",
      "ald",
      {"lyapunov", "noise", "stationary", "evolution", "exit", "mixing", "msd", "autocorrelation"},
      "data_type=gaussian data_teacher=0.9 data_second_moment=0.8 "
      "data_label_noise=0.6 data_shift_teacher=0.7 data_shift_second_moment=1.3 "
      "model_type=chain model_depth=3 model_coordinates=balanced "
      "training_learning_rate=0.1 training_batch_size=2 training_weight_decay=0.1 "
      "ald_dt=0.0125 training_temperature=0.06 mesh_lower=-1.3 mesh_upper=1.9 "
      "mesh_cells=1024 particles_count=4096 particles_steps=180 "
      "particles_burn_in=50 noise_times=0.4,1.3,3.2 exit_region=ball exit_center=0.6 exit_radius=0.5 exit_start=0.41 "
      "exit_region_b=half_space exit_normal_b=-1 "
      "exit_offset_b=-0.95 exit_times=0.4,1.3,3.2 exit_duration=40 mixing_times=0.6,2.1 mixing_start=0.41 "
      "msd_times=0.4,1.3,3.2 autocorrelation_times=0.4,1.3,3.2 noise_start=0.41 "
      "evolution_times=0.4,1.3,3.2 evolution_start=0.41",
      .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* Along the flat valley of a 2-chain without decay. */
static void test_valley(void **state)
{
  static const Setting setting = {"Langevin in the valley of the 2-chain",
                                  "langevin",
                                  {"flat"},
                                  "data_type=gaussian data_teacher=0.8 data_label_noise=0.5 model_type=chain "
                                  "model_depth=2 training_learning_rate=0.1 training_batch_size=2 "
                                  "langevin_temperature=0.08 mesh_lower=-1.7,-1.6 mesh_upper=1.8,1.7 "
                                  "mesh_cells=128,120 particles_count=4096 particles_steps=200 "
                                  "particles_burn_in=50",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* Tangent vectors in the plane, where walls are met often. */
static void test_tangents(void **state)
{
  static const Setting setting = {"ALD on the 2-chain between walls, exponents",
                                  "ald",
                                  {"lyapunov"},
                                  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 "
                                  "data_label_noise=0.5 model_type=chain training_learning_rate=0.2 "
                                  "training_batch_size=2 training_weight_decay=0.1 training_temperature=0.07 "
                                  "ald_dt=0.02 mesh_lower=-1.3,-1.5 mesh_upper=1.6,1.4 mesh_cells=80,80 "
                                  "particles_count=1024 particles_steps=100 particles_burn_in=40",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

/* On a fractional clock, where correlations and displacements age. */
static void test_fractional_in_time(void **state)
{
  static const Setting setting = {"OU on a fractional clock, in time",
                                  "fractional",
                                  {"evolution", "msd", "autocorrelation"},
                                  "model_type=ou model_drift=0.9 model_diffusion=0.35 fractional_beta=0.6 "
                                  "fractional_clock_scale=1.7 training_learning_rate=0.05 mesh_lower=-4.1 "
                                  "mesh_upper=4.3 mesh_cells=256 particles_count=4096 particles_steps=120 "
                                  "particles_burn_in=0 evolution_times=0.3,1.2,3.1 evolution_start=0.7 "
                                  "msd_times=0.3,1.2,3.1 msd_age=1.3 autocorrelation_times=0.3,1.2,2.3 "
                                  "autocorrelation_age=1.3",
                                  .fine = 0.1};

  (void)state;
  Calibrate(&setting);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ou),         cmocka_unit_test(test_chain),
                                     cmocka_unit_test(test_ou_in_time), cmocka_unit_test(test_chain_in_time),
                                     cmocka_unit_test(test_langevin),   cmocka_unit_test(test_second_order),
                                     cmocka_unit_test(test_symmetric),  cmocka_unit_test(test_third_order),
                                     cmocka_unit_test(test_rod_flow),   cmocka_unit_test(test_central_flow),
                                     cmocka_unit_test(test_balanced),   cmocka_unit_test(test_valley),
                                     cmocka_unit_test(test_tangents),   cmocka_unit_test(test_fractional_in_time)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  cmocka_set_test_filter(getenv("TEST_FILTER")); /* such as "*chain": one part alone, by hand */
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

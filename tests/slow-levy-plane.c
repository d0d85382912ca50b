/* slow-levy-plane.c: calibrate.h on processes that jump in the plane: isotropic noise and independent components, the
   kinds of walls, exits with walls that kill, chains and the symmetric factorisation. Bounds of the generators are
   those of grids of some 72 x 72 cells and may be 0.55 of the standard errors: with errors of particles 1.4 times too
   small the variance of z would still be 1.5, most of them far smaller. Masses beside walls are known too badly on such
   cells, and frequencies are those of modes that seldom are complex; neither is compared. */
#define SEEDS 60
#include "calibrate.h"

#define FINE 0.55
#define BUT " wall_mass frequency "
#define PLANE                                                                                                          \
  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=1 model_type=chain model_depth=2 "      \
  "training_learning_rate=0.1 training_batch_size=1 training_weight_decay=0.07 mesh_lower=-1.6,-1.5 "                  \
  "mesh_upper=1.5,1.7 particles_count=4096 "
#define LAW "particles_steps=8 particles_burn_in=20 "
#define EXIT                                                                                                           \
  "levy_dt=0.0125 levy_temperature=0 particles_steps=1 particles_burn_in=0 exit_region=ball "                          \
  "exit_center=0.1,-0.05 exit_radius=1.1 exit_start=0.4,0.3 exit_times=0.3,0.9 exit_duration=6 exit_overshoot=0.3 "

static void test_mirror(void **state)
{
  static const Setting setting = {
      "isotropic, alpha 1.5, mirror",
      "levy",
      {"stationary", "current", "spectrum"},
      PLANE LAW
      "mesh_cells=64,64 levy_dt=0.025 levy_temperature=0.02 levy_alpha=1.5 levy_scale=0.6 levy_boundary=mirror",
      FINE};

  (void)state;
  CalibrateBut(&setting, BUT);
}

static void test_censored(void **state)
{
  static const Setting setting = {
      "isotropic, alpha 1.8, censored",
      "levy",
      {"stationary", "current"},
      PLANE LAW
      "mesh_cells=72,72 levy_dt=0.0125 levy_temperature=0 levy_alpha=1.8 levy_scale=0.5 levy_boundary=censored",
      FINE};

  (void)state;
  CalibrateBut(&setting, BUT);
}

static void test_confined(void **state)
{
  static const Setting setting = {"independent components, alpha 1.2, confined",
                                  "levy",
                                  {"stationary", "current"},
                                  PLANE LAW
                                  "mesh_cells=128,128 levy_dt=0.025 levy_temperature=0 levy_alpha=1.2 levy_scale=0.5 "
                                  "levy_boundary=confined levy_components=independent",
                                  FINE};

  (void)state;
  CalibrateBut(&setting, BUT);
}

static void test_killed(void **state)
{
  static const Setting setting = {"isotropic, alpha 1.5, exits, killing walls",
                                  "levy",
                                  {"exit"},
                                  PLANE EXIT "mesh_cells=72,72 levy_alpha=1.5 levy_scale=0.6 levy_boundary=killed",
                                  FINE};

  (void)state;
  CalibrateBut(&setting, BUT);
}

static void test_independent_exits(void **state)
{
  static const Setting setting = {
      "independent components, alpha 0.7, exits, killing walls",
      "levy",
      {"exit"},
      PLANE EXIT "mesh_cells=96,96 levy_alpha=0.7 levy_scale=0.6 levy_boundary=killed levy_components=independent",
      FINE};

  (void)state;
  CalibrateBut(&setting, BUT);
}

static void test_factorisation(void **state)
{
  static const Setting setting = {
      "symmetric factorisation, isotropic, alpha 1.3, mirror",
      "levy",
      {"stationary"},
      "data_type=gaussian data_teacher=0.9,0.2,0.2,-0.3 data_second_moment=0.9 data_label_noise=0.3 "
      "model_type=symmetric training_learning_rate=0.15 training_batch_size=3 training_weight_decay=0.06 "
      "mesh_lower=-1.8,-1.7 mesh_upper=1.8,1.6 particles_count=1024 " LAW
      "mesh_cells=112,112 levy_dt=0.025 levy_temperature=0 levy_alpha=1.3 levy_scale=0.7 levy_boundary=mirror",
      FINE};

  (void)state;
  CalibrateBut(&setting, BUT "variance_p loss "); /* bounds as wide as the errors */
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mirror), cmocka_unit_test(test_censored),          cmocka_unit_test(test_confined),
      cmocka_unit_test(test_killed), cmocka_unit_test(test_independent_exits), cmocka_unit_test(test_factorisation)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

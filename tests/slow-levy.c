/* slow-levy.c: calibrate.h on processes that jump: jumps that end at the walls, and mirrored ones on a clock that
 * waits.
 */
#include "calibrate.h"

#define LINE                                                                                                           \
  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=1 model_type=chain model_depth=2 "      \
  "model_coordinates=balanced training_learning_rate=0.1 training_batch_size=1 training_weight_decay=0.07 "            \
  "mesh_lower=-1.5 mesh_upper=1.6 levy_alpha=1.5 levy_scale=0.6 levy_dt=0.025 particles_count=4096 "

static void test_confined(void **state)
{
  static const Setting setting = {
      "alpha 1.5, confined",
      "levy",
      {"spectrum", "stationary", "exit"},
      LINE "mesh_cells=512 levy_temperature=0 levy_boundary=confined particles_steps=40 particles_burn_in=5 "
           "exit_region=ball exit_center=0.6 exit_radius=0.57 exit_start=0.7 exit_times=0.3,0.9 exit_duration=8 "
           "exit_overshoot=0.2"};

  (void)state;
  Calibrate(&setting);
}

static void test_fractional(void **state)
{
  static const Setting setting = {
      "alpha 1.5, mirror, fractional clock",
      "levy",
      {"evolution", "mixing"},
      LINE "mesh_cells=256 levy_boundary=mirror levy_clock=fractional levy_beta=0.7 particles_steps=20 "
           "particles_burn_in=0 mixing_times=0.4,1.3 mixing_start=0.3 evolution_times=0.4,1.3 evolution_start=0.3"};

  (void)state;
  Calibrate(&setting);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_confined), cmocka_unit_test(test_fractional)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

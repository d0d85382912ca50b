/* slow-levy.c: calibrate.h on processes that jump, on a line: every kind of boundary at four indices, by what stays
   (modes, the stationary law, exits) and by what happens in time (courses from a start, mixing, displacements,
   correlations), with a constant scale in one and with that of the gradient noise in the other; of walls that kill
   exits alone, as no particle stays. Then jumps that are mirrored on a clock that waits. All draw the same random
   numbers, so what one seed does to one of them it may do to others. Bounds may be 0.3 of the standard errors, which
   takes 0.08 off a variance of 1.
 */
#ifndef SEEDS
#define SEEDS 60
#endif
#include "calibrate.h"

#define LINE                                                                                                           \
  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=1 model_type=chain model_depth=2 "      \
  "model_coordinates=balanced training_learning_rate=0.1 training_batch_size=1 training_weight_decay=0.07 "            \
  "levy_temperature=0 particles_count=4096 "
#define EXITS                                                                                                          \
  "exit_region=ball exit_center=0.7 exit_radius=0.56 exit_start=0.7 exit_times=0.3,0.9 exit_duration=14 "              \
  "exit_overshoot=0.2 "

typedef enum { STAYS, IN_TIME, KILLED, WAITS } Questions;

static const struct {
  const char *title, *observables[5], *keys;
} ask[] = {
    [STAYS]   = {"what stays",
                 {"spectrum", "stationary", "exit"},
                 EXITS "mesh_cells=1024 particles_steps=24 particles_burn_in=5 spectrum_pairs=4"},
    [IN_TIME] = {"in time",
                 {"evolution", "mixing", "msd", "autocorrelation"},
                 "mesh_cells=512 particles_steps=24 particles_burn_in=5 evolution_times=0.4,1.3 evolution_start=0.3 "
                 "mixing_times=0.4,1.3 "
                 "mixing_start=0.3 msd_times=0.4,0.7,1.3 autocorrelation_times=0.4,1.3"},
    [KILLED]  = {"exits",
                 {"exit"},
                 "mesh_cells=1024 particles_steps=40 exit_region=half_space exit_normal=-1 "
                  "exit_offset=-0.2 exit_start=0.7 exit_times=0.3,0.9 exit_duration=20 exit_overshoot=0.2"},
    [WAITS]   = {
          "fractional clock",
          {"evolution", "mixing"},
          "mesh_cells=256 levy_clock=fractional levy_beta=0.7 particles_steps=20 "
            "particles_burn_in=0 mixing_times=0.4,1.3 mixing_start=0.3 evolution_times=0.4,1.3 evolution_start=0.3"}};

/* Jumps that do not happen at censoring walls are known by the ends of steps only, and at index 1.9 wall_mass keeps
   half a standard error of that: it is not compared there. Gradient noise vanishes at zero, where laws are singular and
   bounds wide: one well. At 0.7 it is so large that drift takes most of what ended at the wall out of the layer of
   wall_mass in one long step. */
enum { ONE, NOISE, SHORT };
static const char *const scales[] = {[ONE]   = "mesh_lower=-1.5 mesh_upper=1.6 levy_scale=0.6 levy_dt=0.025",
                                     [NOISE] = "mesh_lower=0.1 mesh_upper=1.6 levy_scale=gradient_noise levy_dt=0.025",
                                     [SHORT] =
                                         "mesh_lower=0.1 mesh_upper=1.6 levy_scale=gradient_noise levy_dt=0.0125"};

static const struct {
  const char *boundary, *alpha;
  int         scale;
  Questions   questions;
} lines[] = {
    {"killed", "0.7", ONE, KILLED},      {"killed", "1", NOISE, KILLED},      {"killed", "1.5", ONE, KILLED},
    {"killed", "1.9", NOISE, KILLED},    {"censored", "0.7", NOISE, STAYS},   {"censored", "0.7", ONE, IN_TIME},
    {"censored", "1", ONE, STAYS},       {"censored", "1", NOISE, IN_TIME},   {"censored", "1.5", NOISE, STAYS},
    {"censored", "1.5", ONE, IN_TIME},   {"censored", "1.9", ONE, STAYS},     {"censored", "1.9", NOISE, IN_TIME},
    {"mirror", "0.7", ONE, STAYS},       {"mirror", "0.7", NOISE, IN_TIME},   {"mirror", "1", NOISE, STAYS},
    {"mirror", "1", ONE, IN_TIME},       {"mirror", "1.5", ONE, STAYS},       {"mirror", "1.5", NOISE, IN_TIME},
    {"mirror", "1.9", NOISE, STAYS},     {"mirror", "1.9", ONE, IN_TIME},     {"confined", "0.7", SHORT, STAYS},
    {"confined", "0.7", ONE, IN_TIME},   {"confined", "1", ONE, STAYS},       {"confined", "1", NOISE, IN_TIME},
    {"confined", "1.5", ONE, STAYS},     {"confined", "1.5", NOISE, IN_TIME}, {"confined", "1.9", ONE, STAYS},
    {"confined", "1.9", NOISE, IN_TIME}, {"mirror", "1.5", ONE, WAITS}};

#define LINES (sizeof(lines) / sizeof(lines[0]))

static void test_line(void **state)
{
  const size_t k      = *(const size_t *)*state;
  const int    coarse = !strcmp(lines[k].boundary, "censored") && !strcmp(lines[k].alpha, "1.9");
  char         title[FP_TEXT], keys[4 * FP_TEXT];
  Setting      setting = {.title = title, .process = "levy", .keys = keys, .fine = 0.3};

  for (int o = 0; o < 5; o++) setting.observables[o] = ask[lines[k].questions].observables[o];
  (void)snprintf(title, sizeof(title), "alpha %s, %s scale, %s, %s", lines[k].alpha, lines[k].scale ? "varying" : "one",
                 lines[k].boundary, ask[lines[k].questions].title);
  (void)snprintf(keys, sizeof(keys), LINE "levy_alpha=%s %s levy_boundary=%s %s", lines[k].alpha,
                 scales[lines[k].scale], lines[k].boundary, ask[lines[k].questions].keys);
  CalibrateBut(&setting, coarse ? " wall_mass " : NULL);
}

int main(int argc, char **argv)
{
  struct CMUnitTest tests[LINES];
  size_t            number[LINES];
  int               failed;

  for (size_t k = 0; k < LINES; k++) {
    number[k] = k;
    tests[k]  = (struct CMUnitTest){.name = lines[k].boundary, .test_func = test_line, .initial_state = &number[k]};
  }
  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

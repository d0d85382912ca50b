/* t-noise-course.c: drift and noise along training. diffusion_peak of balanced chains against its closed form, with and
   without label noise; modes of a teacher against the chains that they are; generator against particles; one step of
   SGD against the moments of its data; times and starts that are refused. */
#include "runs.h"

#define DATA "observables=noise data_type=gaussian data_second_moment=0.9 data_label_noise=%.15g "

/* (4 + 2a) x^2 - (4 + 4a) x + 2a + a sigma^2/(s p^2) = 0 with a = 4 - 4/L */
static double Peak(double depth, double s, double p, double sigma)
{
  const double a = 4 - 4 / depth, A = 4 + 2 * a, B = 4 + 4 * a, C = 2 * a + a * sigma * sigma / (s * p * p);

  return (B - sqrt(B * B - 4 * A * C)) / (2 * A);
}

static void test_peaks(void **state)
{
  static const double sigma[] = {0, 0.17};

  (void)state;
  for (int depth = 2; depth <= 4; depth++)
    for (int k = 0; k < 2; k++) {
      json_t *root =
          Run(DATA "data_teacher=0.8 model_type=chain model_coordinates=balanced model_depth=%d "
                   "engines=particles particles_count=4096 particles_steps=2 particles_burn_in=0 "
                   "processes=sgd mesh_lower=0.01 mesh_upper=2 mesh_cells=16 noise_start=0.31 noise_times=0.1",
              sigma[k], depth);

      check(k || fabs(Peak(depth, 0.9, 0.8, 0) - (2.0 * depth - 2) / (3.0 * depth - 2)) < 1e-14, "the closed form");
      Meets(root, "sgd", "exact", "noise", Peak(depth, 0.9, 0.8, sigma[k]), 1e-5, "diffusion_peak[0]");
      json_decref(root);
    }
}

/* Two inputs, depth 2: the modes P_i grow as Saxe's sigmoids p_i/(1 + (p_i/P_i(0) - 1) exp(-2 s p_i t)), and the noise
   of each holds the residual of both: its variance is in proportion to (s^2 (e_i^2 + |e|^2) + s sigma^2) P_i^2. */
static void test_modes(void **state)
{
  const double s = 0.9, sigma = 0.1, p[2] = {0.8, 0.5}, start[2] = {0.04, 0.0225};
  double       most[2] = {0, 0}, at[2] = {0, 0};
  json_t      *root = Run(DATA "data_teacher=0.8,0.5 model_type=diagonal engines=particles particles_count=4096 "
                                    "particles_steps=2 particles_burn_in=0 processes=sgd mesh_lower=0.01,0.01 "
                                    "mesh_upper=2,2 mesh_cells=16,16 noise_start=0.2,0.15 noise_times=0.1",
                          sigma);

  (void)state;
  for (int k = 0; k < 200000; k++) {
    double P[2], e[2];

    for (int i = 0; i < 2; i++) {
      P[i] = p[i] / (1 + (p[i] / start[i] - 1) * exp(-2 * s * p[i] * k * 1e-4));
      e[i] = P[i] - p[i];
    }
    for (int i = 0; i < 2; i++) {
      const double noise = (s * s * (e[i] * e[i] + e[0] * e[0] + e[1] * e[1]) + s * sigma * sigma) * P[i] * P[i];

      if (noise > most[i]) at[i] = P[i] / p[i];
      most[i] = fmax(most[i], noise);
    }
  }
  for (int i = 0; i < 2; i++) {
    double error, value;

    value = Value(root, "sgd", "exact", "noise", i ? "diffusion_peak[1]" : "diffusion_peak[0]", &error);
    check(fabs(value - at[i]) < error + 1e-4 && error < 1e-3, "mode %d: %g +- %g, by the sigmoids %g", i, value, error,
          at[i]);
  }
  json_decref(root);
}

/* At time 0 from a point: |E g|, sqrt(tr C/B), and for p = w1 w2 the drift with its Ito term eta v w1 w2/B. */
static void test_start(void **state)
{
  const double s = 0.9, p = 0.8, sigma = 0.3, eta = 0.07, w1 = 0.9, w2 = 0.35, e = w1 * w2 - p, S = w1 * w1 + w2 * w2;
  const double v    = 2 * s * s * e * e + s * sigma * sigma;
  json_t      *root = Run(DATA "data_teacher=0.8 model_type=chain engines=particles particles_count=4096 "
                                    "particles_steps=2 particles_burn_in=0 processes=sgd,ald,gd training_learning_rate=0.07 "
                                    "training_batch_size=3 mesh_lower=-2,-2 mesh_upper=2,2 mesh_cells=16,16 "
                                    "noise_start=0.9,0.35 noise_times=0,0.1",
                          sigma);

  (void)state;
  for (int k = 0; k < 3; k++) {
    static const char *const names[] = {"sgd", "ald", "gd"};
    const double             on      = k < 2;

    Meets(root, names[k], "particles", "noise", -s * e * sqrt(S), 1, "drift_norm[t=0]");
    Meets(root, names[k], "particles", "noise", on * sqrt(v * S / 3), 1e-8, "diffusion_norm[t=0]");
    Meets(root, names[k], "particles", "noise", on * sqrt(v / 3) / (-s * e), 1e-8, "noise_ratio[t=0]");
    Meets(root, names[k], "particles", "noise", -s * e * S + on * eta * v * w1 * w2 / 3, 1e-7, "drift_mode[0][t=0]");
    Meets(root, names[k], "particles", "noise", on * sqrt(v / 3) * S, 1e-8, "diffusion_mode[0][t=0]");
  }
  json_decref(root);
}

static void test_engines(void **state)
{
  static const char *const names[] = {"drift_norm[t=0.4]", "diffusion_norm[t=1.3]", "noise_ratio[t=1.3]",
                                      "drift_mode[0][t=0.4]", "diffusion_mode[0][t=1.3]"};
  json_t *root = Run(DATA "data_teacher=0.8 model_type=chain model_coordinates=balanced processes=ald,langevin "
                          "engines=generator,particles training_temperature=0.03 training_weight_decay=0.1 "
                          "langevin_temperature=0.06 training_learning_rate=0.1 training_batch_size=2 "
                          "particles_count=8192 particles_steps=2 particles_burn_in=0 mesh_lower=-1.9 mesh_upper=2.1 "
                          "mesh_cells=192 noise_start=0.5 noise_spread=0.1 noise_times=0.4,1.3",
                     0.5);

  (void)state;
  for (int p = 0; p < 2; p++)
    for (int k = 0; k < 5; k++) {
      const char  *name = p ? "langevin" : "ald";
      double       bound, error;
      const double exact = Value(root, name, "generator", "noise", names[k], &bound);
      const double seen  = Value(root, name, "particles", "noise", names[k], &error);

      check(bound < 0.08, "%s of %s: bound %g is of no use", names[k], name, bound);
      check(fabs(exact - seen) < bound + 4.5 * error, "%s of %s: %g +- %g by generator, %g +- %g by particles",
            names[k], name, exact, bound, seen, error);
    }
  json_decref(root);
}

static void test_refused(void **state)
{
  static const char *const cases[] = {"noise_times=0.5",
                                      "noise_start=0.5",
                                      "noise_times=-1 noise_start=0.5",
                                      "noise_times=2,1 noise_start=0.5",
                                      "noise_times=1 noise_start=9",
                                      "noise_times=1 noise_start=0.5,0.5",
                                      "noise_times=1 noise_start=nowhere"};

  (void)state;
  RefusesEach("observables=noise processes=sgd data_type=gaussian data_teacher=0.8 model_type=chain "
              "model_coordinates=balanced mesh_lower=-2 mesh_upper=2 mesh_cells=16",
              sizeof(cases) / sizeof(cases[0]), cases);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_peaks), cmocka_unit_test(test_modes),
                                     cmocka_unit_test(test_start), cmocka_unit_test(test_engines),
                                     cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

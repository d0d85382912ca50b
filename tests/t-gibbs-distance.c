/* t-gibbs-distance.c: w1_p_gibbs, the Wasserstein-1 distance of the law of p from the Gibbs law, against laws known in
   closed form, by the generator with its order and by particles with their bias. Sign inputs and normal label noise
   make one weight an Ornstein-Uhlenbeck process or an autoregression, two equal ones a Gamma law. */
#include "quiet.h"
#include "scene.h"
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define SIGNS                                                                                                          \
  "data_type=rademacher data_teacher=%g data_label_noise=%g data_second_moment=%g training_learning_rate=%g "

static PetscReal Distance(Scene *s, PetscInt level)
{
  FPQuantities q = {0};
  PetscReal    value;

  SceneAsk(s, level, &q);
  value = SceneValue(&q, "w1_p_gibbs", NULL);
  must(FPQuantitiesFree(&q));
  return value;
}

/* Grids of n, 3n/4 and n/2 cells: order 2, and the finest value near the exact one. */
static void Orders(Scene *s, PetscReal exact, PetscReal near)
{
  PetscReal error[3], order;

  for (PetscInt l = 0; l < 3; l++) error[l] = Distance(s, l) - exact;
  order = log(error[2] / error[0]) / log(2.0);
  print_message("  exact %.8g, errors %.2e %.2e %.2e, order %.2f\n", exact, error[0], error[1], error[2], order);
  check(fabs(error[0]) < near * exact, "%.8g, exact %.8g", exact + error[0], exact);
  check(order > 1.6 && order < 2.4, "order %g", order);
}

/* One weight under the modified drift: variances D/s and D/(s (1 + eta s/2)), D = eta sigma^2 s/(2 B), at one mean. */
static void test_normal_laws(void **state)
{
  const PetscReal p = 0.7, sigma = 0.9, s = 1.3, eta = 0.6, D = eta * sigma * sigma * s / 4;
  Scene           scene;

  (void)state;
  SceneOpen(&scene, "ald2",
            SIGNS
            "training_batch_size=2 model_type=chain model_depth=1 mesh_lower=-2.61 mesh_upper=4.13 mesh_cells=240",
            p, sigma, s, eta);
  Orders(&scene, sqrt(2 / PETSC_PI) * sqrt(D / s) * (1 - 1 / sqrt(1 + eta * s / 2)), 1e-2);
  SceneClose(&scene);
}

/* F and G of p = w^2: Gamma of shape s p/(eta v) - 1/2 and scale eta v/s, v = sigma^2 s/B, and exp(-V/T) by the
   midpoint rule; both conditional on the box. */
static PetscReal GammaDistance(PetscReal p, PetscReal s, PetscReal eta, PetscReal v, PetscReal T, PetscReal low,
                               PetscReal high)
{
  const PetscReal shape = s * p / (eta * v) - 0.5, scale = eta * v / s;
  const PetscInt  n = 200000;
  const PetscReal h = (high - low) / n, first = gsl_cdf_gamma_P(low * low, shape, scale),
                  mass = gsl_cdf_gamma_P(high * high, shape, scale) - first;
  PetscReal sum = 0, G = 0, distance = 0;

  for (PetscInt k = 0; k < n; k++) sum += exp(-s * PetscSqr(PetscSqr(low + (k + 0.5) * h) - p) / (2 * T));
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal w = low + (k + 1) * h;

    G += exp(-s * PetscSqr(PetscSqr(low + (k + 0.5) * h) - p) / (2 * T)) / sum;
    distance += fabs((gsl_cdf_gamma_P(w * w, shape, scale) - first) / mass - G) * 2 * w * h;
  }
  return distance;
}

static void test_gamma_law(void **state)
{
  const PetscReal p = 0.9, sigma = 0.5, s = 1.2, eta = 0.3, v = sigma * sigma * s / 2, low = 0.35, high = 1.75;
  PetscReal       T;
  Scene           scene;

  (void)state;
  SceneOpen(&scene, "ald",
            SIGNS "training_batch_size=2 model_type=chain model_depth=2 model_coordinates=balanced mesh_lower=%g "
                  "mesh_upper=%g mesh_cells=200",
            p, sigma, s, eta, low, high);
  must(FPProcessGetGibbsTemperature(scene.process, &T));
  Orders(&scene, GammaDistance(p, s, eta, v, T, low, high), 1e-2);
  SceneClose(&scene);
}

/* SGD of one weight: variance eta sigma^2/(B (2 - eta s)), normal, at distance sqrt(2/pi) |sigma_1 - sigma_2|; Langevin
   dynamics at a temperature of its own is at none, within what its error says of the bias. */
static void test_particles(void **state)
{
  static const char *const files[] = {"results.json", "results.h5", "results.xdmf"};
  const PetscReal          sigma = 0.9, s = 1.3, eta = 0.6, D = eta * sigma * sigma * s / 4;
  const PetscReal          exact = sqrt(2 / PETSC_PI) * (sqrt(eta * sigma * sigma / (2 * (2 - eta * s))) - sqrt(D / s));
  char                     dir[] = "/tmp/dlnfp-distance-XXXXXX", keys[1024], path[80];
  PetscReal                value, error;
  PetscInt                 disagreements;
  FPConfig                 config;
  json_t                  *root;

  (void)state;
  assert_non_null(mkdtemp(dir));
  (void)snprintf(keys, sizeof(keys),
                 SIGNS "training_batch_size=2 model_type=chain model_depth=1 mesh_lower=-2.61 mesh_upper=4.13 "
                       "mesh_cells=64 processes=sgd,langevin langevin_temperature=0.11 observables=stationary "
                       "engines=generator,particles particles_count=16384 particles_steps=400 particles_burn_in=60",
                 0.7, sigma, s, eta);
  must(FPConfigCreate(&config));
  SceneSet(config, keys);
  must(QuietRun(config, dir, &disagreements));
  must(FPConfigDestroy(&config));
  assert_int_equal(disagreements, 0);
  root  = LoadResults(dir);
  value = Value(root, "sgd", "particles", "stationary", "w1_p_gibbs", &error);
  print_message("  sgd %.6g +- %.2g, exact %.6g\n", value, error, exact);
  check(fabs(value - exact) < 4.5 * error && error < 0.03 * exact, "sgd: %g +- %g, exact %g", value, error, exact);
  value = Value(root, "langevin", "particles", "stationary", "w1_p_gibbs", &error);
  print_message("  langevin %.6g +- %.2g, exact 0\n", value, error);
  check(fabs(value) < 3 * error && error < 0.02, "langevin: %g +- %g, exact 0", value, error);
  json_decref(root);
  for (int k = 0; k < 3; k++) {
    (void)snprintf(path, sizeof(path), "%s/%s", dir, files[k]);
    (void)unlink(path);
  }
  must(rmdir(dir));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_normal_laws), cmocka_unit_test(test_gamma_law),
                                     cmocka_unit_test(test_particles)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

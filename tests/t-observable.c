/* t-observable.c: observables against closed forms. Spectrum: modes of equal rate and other frequencies keep their
   numbers on all grids and in particles (OU: every eigenvalue is n lambda + m conj(lambda)). Noise: on the chain C is
   Var(r) grad p grad p^T and the Hessian at the minimum s grad p grad p^T. Reduction: equal weights of a chain stay
   equal under SGD without injected noise, so balanced is exact; aligned is not. */
#include "runs.h"

/* lambda = a +- i omega; rates a, a, 2a, 2a, 2a with frequencies omega, omega, 2 omega, 2 omega, 0 in some order. */
static void test_numbering(void **state)
{
  const double a = 1.0, omega = sqrt(0.9 * 0.4 - 0.3 * 0.3);
  json_t      *root = Run("model_type=ou model_drift=1.3,-0.9,0.4,0.7 model_diffusion=0.12,0.03,0.03,0.08 "
                               "training_learning_rate=0.05 training_batch_size=2 processes=ald observables=spectrum "
                               "spectrum_pairs=5 mesh_lower=-1.6,-1.7 mesh_upper=1.8,1.5 mesh_cells=64,64 "
                               "particles_count=4096 particles_steps=200 particles_burn_in=20");
  double       error, still = 0;

  (void)state;
  for (int k = 1; k <= 5; k++) {
    for (int engine = 0; engine < 2; engine++) {
      const char  *name  = engine ? "particles" : "generator";
      const double truth = k <= 2 ? a : 2 * a, limit = engine ? 4 : 1, useful = engine ? 0.15 : 0.02;
      char         quantity[32];
      double       value;

      (void)snprintf(quantity, sizeof(quantity), "decay_rate[%d]", k);
      value = Value(root, "ald", name, "spectrum", quantity, &error);
      check(fabs(value - truth) <= limit * error && error < useful * truth, "%s %s: %.6g +- %.2g, exactly %g", name,
            quantity, value, error, truth);
      (void)snprintf(quantity, sizeof(quantity), "frequency[%d]", k);
      value = Value(root, "ald", name, "spectrum", quantity, &error);
      still += k > 2 && value == 0;
      check(value == 0 || fabs(value - (k <= 2 ? omega : 2 * omega)) <= limit * error, "%s %s: %.6g +- %.2g", name,
            quantity, value, error);
      check(error < 2 * useful, "%s %s: error %g", name, quantity, error);
    }
  }
  check(still == 2, "one mode of rate 2a does not oscillate; both engines found %g", still);
  json_decref(root);
}

/* Walls close to the law move modes of about equal rate past each other from grid to grid: sorted, frequency[3] was
   0.97 +- 1.9. */
static void test_crossing(void **state)
{
  json_t *root = Run("model_type=ou model_drift=1.3,-0.7,0.4,0.9 model_diffusion=0.12,0.03,0.03,0.08 "
                     "model_center=0.1,-0.2 training_learning_rate=0.05 training_batch_size=2 "
                     "training_temperature=0.03 processes=ald observables=spectrum engines=generator "
                     "spectrum_pairs=6 mesh_lower=-1.3,-1.5 mesh_upper=1.4,1.2 mesh_cells=48,40");
  double  error;

  (void)state;
  for (int k = 1; k <= 6; k++) {
    char quantity[32];

    (void)snprintf(quantity, sizeof(quantity), "frequency[%d]", k);
    (void)Value(root, "ald", "generator", "spectrum", quantity, &error);
    check(error < 0.01, "%s has the bound %g", quantity, error);
    (void)snprintf(quantity, sizeof(quantity), "decay_rate[%d]", k);
    (void)Value(root, "ald", "generator", "spectrum", quantity, &error);
    check(error < 0.03, "%s has the bound %g", quantity, error);
  }
  json_decref(root);
}

#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=0.83 data_second_moment=0.9 data_label_noise=0.4 model_type=chain "                 \
  "training_learning_rate=0.07 training_batch_size=3 processes=sgd engines=particles "                                 \
  "particles_count=4096 "

/* At the minimum p = p*: Var r = s sigma^2, |grad p|^2 = 2 p* on the balanced valley. */
static void test_noise(void **state)
{
  const double exact = 0.9 * 0.16 * 2 * 0.83;
  json_t      *root  = Run(CHAIN "observables=noise noise_at=0.9110433579144299,0.9110433579144299 mesh_lower=-2,-2 "
                                       "mesh_upper=2,2 mesh_cells=16,16");
  double       error, value;

  (void)state;
  value = Value(root, "sgd", "exact", "noise", "covariance_eigenvalue[0][at=1]", &error);
  check(fabs(value - exact) < 1e-12, "eigenvalue %.15g, exactly %.15g", value, exact);
  value = Value(root, "sgd", "particles", "noise", "covariance_eigenvalue[0][at=1]", &error);
  check(fabs(value - exact) < 4 * error && error < 0.01 * exact, "drawn: %.6g +- %.2g, exactly %.6g", value, error,
        exact);
  check(Value(root, "sgd", "exact", "noise", "rank[at=1]", &error) == 1, "the chain's noise has rank one");
  check(fabs(Value(root, "sgd", "exact", "noise", "hessian_alignment[at=1]", &error) - 1) < 1e-12,
        "C and H are not aligned");
  check(Value(root, "sgd", "exact", "noise", "c_over_h_residual[at=1]", &error) < 1e-6, "C is not proportional to H");
  json_decref(root);
}

static void test_reduction_exact(void **state)
{
  static const char *const names[] = {"mean_p", "variance_p", "loss"};
  json_t                  *root    = Run(CHAIN "model_depth=3 model_coordinates=balanced training_weight_decay=0.05 "
                                                                   "observables=reduction,stationary particles_steps=200 particles_burn_in=20");

  (void)state;
  for (int k = 0; k < 3; k++) {
    char   difference[32], reduced[32];
    double error, value;

    (void)snprintf(difference, sizeof(difference), "difference_%s", names[k]);
    (void)snprintf(reduced, sizeof(reduced), "reduced_%s", names[k]);
    value = Value(root, "sgd", "particles", "reduction", difference, &error);
    check(fabs(value) < 1e-11 && error < 1e-11, "%s = %g +- %g on equal weights", difference, value, error);
    value = Value(root, "sgd", "particles", "reduction", reduced, &error) -
            Value(root, "sgd", "particles", "stationary", names[k], &error);
    check(fabs(value) < 1e-11, "%s differs from the process's own by %g", reduced, value);
    check(Value(root, "sgd", "particles", "stationary", names[k], &error) > 100 * 1e-11, "%s is no test", names[k]);
  }
  json_decref(root);
}

#define TWO_BY_TWO                                                                                                     \
  "data_type=gaussian data_teacher=1.1,0.3,-0.2,0.8 data_second_moment=0.9 data_label_noise=0.3 "                      \
  "model_type=factorisation model_coordinates=aligned training_learning_rate=0.05 training_batch_size=4 "              \
  "training_weight_decay=0.05 "

/* What the reduction drops, noise that turns the singular vectors, shows in the elements off the diagonal and the loss;
   E x x^T = s I, so the mean gradient stays inside. */
static void test_reduction_aligned(void **state)
{
  json_t *root = Run(TWO_BY_TWO "processes=sgd engines=particles observables=reduction particles_count=4096 "
                                "particles_steps=300 particles_burn_in=100");
  double  error, value;

  (void)state;
  check(Value(root, "sgd", "exact", "reduction", "gradient_defect", &error) < 1e-12, "the mean gradient leads out");
  value = Value(root, "sgd", "particles", "reduction", "difference_variance_p[0][1]", &error);
  check(value > 10 * error, "difference_variance_p[0][1] = %g +- %g", value, error);
  value = Value(root, "sgd", "particles", "reduction", "difference_loss", &error);
  check(value > 10 * error, "difference_loss = %g +- %g", value, error);
  value -= Value(root, "sgd", "particles", "reduction", "full_loss", &error) -
           Value(root, "sgd", "particles", "reduction", "reduced_loss", &error);
  check(fabs(value) < 1e-12, "full minus reduced is off by %g", value);
  json_decref(root);
}

/* The lift of a point has the same end-to-end matrix and loss, for every depth that has one. */
static void test_lift(void **state)
{
  const double z[2 * 3] = {0.7, -0.4, 1.3, 0.2, 0.9, -0.6}; /* three points */

  (void)state;
  for (int k = 0; k < 4; k++) {
    const int depth = (const int[]){1, 2, 5, 8}[k];
    char      keys[512];
    FPConfig  config;
    FPData    data;
    FPModel   reduced, full;
    double    w[32 * 3], M[2][4 * 3], loss[2][3];
    PetscInt  dim;

    (void)snprintf(keys, sizeof(keys), TWO_BY_TWO "model_depth=%d", depth);
    config = MakeConfig(keys);
    must(FPDataCreate(config, &data));
    must(FPModelCreate(config, data, &reduced));
    must(FPModelCreateFull(reduced, &full));
    assert_non_null(full);
    must(FPModelGetSizes(full, &dim, NULL, NULL));
    assert_int_equal(dim, 4 * depth);
    FPModelLiftFull(reduced, 3, z, w);
    FPModelMap(reduced, 3, z, M[0]);
    FPModelMap(full, 3, w, M[1]);
    FPModelLoss(reduced, 3, z, loss[0]);
    FPModelLoss(full, 3, w, loss[1]);
    for (int i = 0; i < 12; i++) check(fabs(M[0][i] - M[1][i]) < 1e-13, "entry %d of M: %g, %g", i, M[0][i], M[1][i]);
    for (int i = 0; i < 3; i++) check(fabs(loss[0][i] - loss[1][i]) < 1e-12, "loss %g, %g", loss[0][i], loss[1][i]);
    must(FPModelDestroy(&full));
    must(FPModelDestroy(&reduced));
    must(FPDataDestroy(&data));
    must(FPConfigDestroy(&config));
  }
}

/* Bounds know what a number is from the observable that makes it, not from its name. */
static void test_smoothness(void **state)
{
  static const struct {
    const char  *name;
    FPSmoothness smoothness;
  } known[] = {
      {"decay_rate[1]", FP_SMOOTH},    {"mean[0]", FP_SMOOTH},          {"variance_p", FP_SMOOTH},
      {"wall_mass", FP_ROUGH},         {"kl_gibbs", FP_OF_CELLS},       {"tv_gibbs", FP_ROUGH},
      {"kl_gibbs_binned", FP_ROUGH},   {"w1_p_gibbs", FP_ROUGH},        {"entropy_production", FP_ROUGH},
      {"current_l1", FP_ROUGH},        {"rotation[0][1]", FP_OF_CELLS}, {"entropy_production_binned", FP_ROUGH},
      {"projection[ald]", FP_OF_CELLS}};
  FPQuantities q = {0};
  Scene        s;

  (void)state;
  SceneOpen(&s, "ald",
            "data_type=gaussian data_teacher=0.83 data_second_moment=0.9 data_label_noise=0.4 model_type=chain "
            "training_learning_rate=0.07 training_batch_size=3 training_temperature=0.05 mesh_lower=-1.9,-2 "
            "mesh_upper=2,1.8 mesh_cells=20,22");
  SceneAsk(&s, 0, &q);
  for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
    const FPQuantity *item;

    must(FPQuantitiesFind(&q, known[k].name, &item));
    assert_non_null(item);
    check(item->smoothness == known[k].smoothness, "%s: %d", known[k].name, (int)item->smoothness);
  }
  must(FPQuantitiesFree(&q));
  SceneClose(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbering),       cmocka_unit_test(test_crossing),          cmocka_unit_test(test_noise),
      cmocka_unit_test(test_reduction_exact), cmocka_unit_test(test_reduction_aligned), cmocka_unit_test(test_lift),
      cmocka_unit_test(test_smoothness)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

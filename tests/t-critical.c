/* t-critical.c: critical points of networks against what is known of them: where they are, indices, eigenvalues, names.
 */
#include "models.h"

static PetscInt count_points(FPModel model)
{
  const FPCriticalPoint *points;
  PetscInt               n;

  must(FPModelGetCriticalPoints(model, &n, &points));
  return n;
}

/* Depth 2 with decay l: wells +-sqrt(P - l/s) with eigenvalues 2 l and 2 (s P - l), saddle 0 with l -+ s P. Without
   decay the wells are valleys. Depth 1: one minimum. */
static void test_chain_points(void **state)
{
  const PetscReal s = 0.8, P = 1.3, l = 0.13, w = PetscSqrtReal(P - l / s);
  PetscReal       floor;
  Case            c;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "training_weight_decay", "0.13"), &c));
  assert_int_equal(count_points(c.model), 3);
  check_point(c.model, "minimum", 0, 0, 2, (double[]){w, w}, (double[]){2 * l, 2 * (s * P - l)});
  check_point(c.model, "minimum_2", 0, 0, 2, (double[]){-w, -w}, NULL);
  check_point(c.model, "origin", 1, 0, 2, (double[]){0, 0}, (double[]){l - s * P, l + s * P});
  check(point(c.model, "saddle") == point(c.model, "origin"), "the only saddle goes by both names");
  near(point(c.model, "minimum")->value, l * l / (2 * s) + l * (P - l / s), 1e-13, "V at the minimum");
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, 0.08, 1e-15, "loss floor");
  destroy(&c);
  must(Create(KEYS(ONE, "model_type", "chain"), &c));
  assert_int_equal(count_points(c.model), 3);
  check_point(c.model, "minimum", 0, 1, 2, (double[]){sqrt(P), sqrt(P)}, (double[]){0, 2 * s * P});
  destroy(&c);
  must(Create(KEYS(ONE, "model_type", "chain", "model_coordinates", "invariant", "training_weight_decay", "0.13"), &c));
  assert_int_equal(count_points(c.model), 2);
  check_point(c.model, "minimum", 0, 0, 2, (double[]){P - l / s, 0}, NULL);
  check_point(c.model, "origin", 1, 0, 2, (double[]){0, 0}, NULL);
  destroy(&c);
  must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "1", "training_weight_decay", "0.13"), &c));
  assert_int_equal(count_points(c.model), 1);
  check_point(c.model, "minimum", 0, 0, 1, (double[]){s * P / (s + l)}, (double[]){s + l});
  destroy(&c);
}

/* Balanced depth 3: along the line s ((2L-1) w^(2L-2) - (L-1) P w^(L-2)) for the chain; z has metric 1/L, so the same
   number. At 0 everything is flat, yet V falls towards p > 0. */
static void test_deep_points(void **state)
{
  const PetscReal s = 0.8, P = 1.3, w = PetscPowReal(P, 1.0 / 3);
  Case            c;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "3"), &c));
  check_point(c.model, "minimum", 0, 2, 3, (double[]){w, w, w}, (double[]){0, 0, 3 * s * PetscPowReal(P, 4.0 / 3)});
  check_point(c.model, "minimum_4", 0, 2, 3, NULL, NULL);
  check_point(c.model, "origin", 0, 3, 3, NULL, (double[]){0, 0, 0});
  assert_int_equal(count_points(c.model), 5);
  destroy(&c);
  must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "3", "model_coordinates", "balanced"), &c));
  check_point(c.model, "minimum", 0, 0, 1, (double[]){w}, (double[]){s * (5 * w * w * w * w - 2 * P * w)});
  check_point(c.model, "origin", 0, 1, 1, (double[]){0}, NULL);
  assert_int_equal(count_points(c.model), 2);
  destroy(&c);
}

/* Even depth cannot make a negative product: the floor grows by s P^2/2 and the excess loss vanishes at 0. */
static void test_unreachable(void **state)
{
  const PetscReal noise   = 0.49 / 2;
  const double    zero[3] = {0, 0, 0}, one = 1;
  PetscReal       floor;
  double          loss;
  Case            c;

  (void)state;
  must(Create(KEYS(SIGN, "model_type", "chain", "model_depth", "4", "model_coordinates", "balanced"), &c));
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, noise + 1.7 * 1.21 / 2, 1e-13, "floor of a chain");
  FPModelLoss(c.model, 1, zero, &loss);
  near(loss, 0, 1e-14, "loss at 0");
  FPModelLoss(c.model, 1, &one, &loss);
  near(loss, 1.7 * (2.1 * 2.1 - 1.21) / 2, 1e-13, "loss at 1");
  destroy(&c);
  must(Create(KEYS(THREE, "model_type", "diagonal"), &c));
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, 0.125 + 0.9 * 0.25 / 2, 1e-13, "floor of a diagonal net");
  destroy(&c);
  must(Create(KEYS(SIGN, "model_type", "chain", "model_depth", "3", "model_coordinates", "balanced"), &c));
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, noise, 1e-14, "floor of an odd chain");
  destroy(&c);
}

/* Rank 1, s = 1.2: eigenvalues 1.4, 0.6 of the symmetric part of (1, 0.6; 0.2, 1), eigenvectors (1, +-1)/sqrt 2; the
   antisymmetric part (0.2) and lambda_2 stay in the loss floor: s (2 x 0.04 + 0.36)/2. */
static void test_symmetric_points(void **state)
{
  const PetscReal s = 1.2, a = PetscSqrtReal(0.7), b = PetscSqrtReal(0.3);
  PetscReal       floor;
  Case            c;

  (void)state;
  must(Create(KEYS("data_type", "gaussian", "data_teacher", "1,0.6,0.2,1", "data_second_moment", "1.2", "model_type",
                   "symmetric"),
              &c));
  assert_int_equal(count_points(c.model), 5);
  check_point(c.model, "minimum", 0, 0, 2, (double[]){a, a}, (double[]){2 * s * 0.8, 4 * s * 1.4});
  check_point(c.model, "minimum_2", 0, 0, 2, (double[]){-a, -a}, NULL);
  check_point(c.model, "saddle", 1, 0, 2, (double[]){b, -b}, (double[]){-2 * s * 0.8, 4 * s * 0.6});
  check_point(c.model, "saddle_2", 1, 0, 2, (double[]){-b, b}, NULL);
  check_point(c.model, "origin", 2, 0, 2, (double[]){0, 0}, (double[]){-2 * s * 1.4, -2 * s * 0.6});
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, s * (0.08 + 0.36) / 2, 1e-12, "floor");
  destroy(&c);
  must(Create(KEYS("data_type", "gaussian", "data_teacher", "0.3,0.9,0.9,0.3", "model_type", "symmetric"), &c));
  assert_int_equal(count_points(c.model), 3);
  check_point(c.model, "origin", 1, 0, 2, (double[]){0, 0}, (double[]){-2.4, 1.2});
  destroy(&c);
  must(Create(KEYS("data_type", "gaussian", "data_teacher", "1,0.6,0.2,1", "data_second_moment", "1.2", "model_type",
                   "symmetric", "model_rank", "2"),
              &c));
  assert_int_equal(count_points(c.model), 4);
  check_point(c.model, "minimum", 0, 1, 4, NULL, NULL);
  check_point(c.model, "origin", 4, 0, 4, NULL, NULL);
  must(FPModelGetLossFloor(c.model, &floor));
  near(floor, s * 0.04, 1e-12, "floor of rank 2");
  destroy(&c);
}

/* Whitened iris, W2 W1: s (sigma_i + sigma_j) and four zeros at the minimum, -+sigma_i twice at 0, and at the rank-1
   saddles most negative minus the missing sigma. */
static void test_factorisation_points(void **state)
{
  const FPCriticalPoint *minimum, *origin;
  PetscReal              s1, s2, floor;
  Case                   c, aligned;

  (void)state;
  must(Create(KEYS(IRIS, "data_whiten", "true", "model_type", "factorisation"), &c));
  assert_int_equal(count_points(c.model), 4);
  origin = point(c.model, "origin");
  s1     = origin->eigenvalue[7];
  s2     = origin->eigenvalue[5];
  near(s1, 1.090, 5e-4, "sigma_1");
  near(s2, 0.444, 5e-4, "sigma_2");
  check_point(c.model, "origin", 4, 0, 8, NULL, (double[]){-s1, -s1, -s2, -s2, s2, s2, s1, s1});
  check_point(c.model, "minimum", 0, 4, 8, NULL, (double[]){0, 0, 0, 0, 2 * s2, s1 + s2, s1 + s2, 2 * s1});
  check_point(c.model, "saddle", 1, 3, 8, NULL, (double[]){-s2, 0, 0, 0, s2, s1 - s2, s1 + s2, 2 * s1});
  near(point(c.model, "saddle_2")->eigenvalue[0], -s1, 1e-9, "saddle_2");
  minimum = point(c.model, "minimum");
  near(minimum->value, 0, 1e-28, "V at the minimum");
  must(Create(KEYS(IRIS, "data_whiten", "true", "model_type", "factorisation", "model_coordinates", "aligned"),
              &aligned));
  check_point(aligned.model, "minimum", 0, 0, 2, (double[]){sqrt(s1), sqrt(s2)}, (double[]){2 * s2, 2 * s1});
  check_point(aligned.model, "origin", 2, 0, 2, NULL, (double[]){-s1, -s2});
  must(FPModelGetLossFloor(aligned.model, &floor));
  near(floor, 1 - (s1 * s1 + s2 * s2) / 2, 1e-12, "floor");
  destroy(&aligned);
  destroy(&c);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain_points), cmocka_unit_test(test_deep_points),
                                     cmocka_unit_test(test_unreachable), cmocka_unit_test(test_symmetric_points),
                                     cmocka_unit_test(test_factorisation_points)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

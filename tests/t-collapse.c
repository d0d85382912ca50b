/* t-collapse.c: learning rates at which the saddle of a 2-chain begins and ceases to attract: closed forms of the SDEs,
   signs as inputs by hand, the window of SGD against its own exponent, and depths that have no threshold. */
#include "ask.h"
#include <math.h>

#define KEYS                                                                                                           \
  "data_type=gaussian data_teacher=%.17g data_second_moment=%.17g data_label_noise=%.17g model_type=chain "            \
  "model_depth=%d model_coordinates=%s training_learning_rate=%.17g training_batch_size=%d"

static void test_sde(void **state)
{
  const double p = 0.7, s = 1.3, sigma = 1.9, B = 3, square = sigma * sigma;
  const double exact[2] = {2 * p * B / (2 * s * p * p + square), 2 * p * B / (s * p * p * (2 + B) + square)};

  (void)state;
  for (int k = 0; k < 4; k++) {
    const char *name = k % 2 ? "ald2" : "ald";
    Asked       a;
    PetscReal   value, error, other;

    AskExact(&a, "collapse", name, KEYS, p, s, sigma, 2, k < 2 ? "balanced" : "weights", 0.1, 3);
    value = AskValue(&a, name, "exact", "collapse", "learning_rate[0]", &error);
    check(fabs(value - exact[k % 2]) <= error && error < 1e-9, "%s: %.15g +- %g, not %.15g", name, value, error,
          exact[k % 2]);
    assert_false(AskHas(&a, name, "exact", "collapse", "learning_rate[1]", &other, &error));
    AskClose(&a);
  }
}

static double Exponent(double eta, double p, double s, double sigma, int B)
{
  Asked  a;
  double value;

  AskExact(&a, "lyapunov", "sgd", KEYS, p, s, sigma, 2, "balanced", eta, B);
  value = AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin]", NULL);
  AskClose(&a);
  return value;
}

/* SGD: none without label noise; with enough of it a window, at whose ends its exponent vanishes, negative between. */
static void test_window(void **state)
{
  const double p = 0.3, s = 0.9, sigma = 1.6;
  Asked        a;
  PetscReal    low, high, error, other;

  (void)state;
  AskExact(&a, "collapse", "sgd", KEYS, p, s, 0.0, 2, "balanced", 0.1, 1);
  assert_true(AskValue(&a, "sgd", "exact", "collapse", "thresholds", NULL) == 0);
  AskClose(&a);
  AskExact(&a, "collapse", "sgd", KEYS, p, s, sigma, 2, "balanced", 0.4, 2);
  assert_true(AskValue(&a, "sgd", "exact", "collapse", "thresholds", NULL) == 2);
  low  = AskValue(&a, "sgd", "exact", "collapse", "learning_rate[0]", &error);
  high = AskValue(&a, "sgd", "exact", "collapse", "learning_rate[1]", &other);
  AskClose(&a);
  print_message("  SGD collapses for learning rates from %.9f to %.9f\n", low, high);
  check(error < 1e-6 * low && other < 1e-6 * high, "errors %g, %g", error, other);
  check(Exponent(low - error - 1e-9, p, s, sigma, 2) > 0 && Exponent(low + error + 1e-9, p, s, sigma, 2) < 0,
        "low end");
  check(Exponent(high - other - 1e-9, p, s, sigma, 2) < 0 && Exponent(high + other + 1e-9, p, s, sigma, 2) > 0,
        "high end");
}

/* Deeper origins neither attract nor repel; with decay l differences there shrink by 1 - eta l each step. */
static void test_deep(void **state)
{
  static const char *const process[] = {"sgd", "ald", "ald2"};
  const double             eta = 0.3, decay = 0.17;

  (void)state;
  for (int k = 0; k < 6; k++) {
    const double with[3] = {log(1 - eta * decay) / eta, -decay, -decay - eta * decay * decay / 2};
    const double exact   = k < 3 ? 0 : with[k % 3];
    const char  *name    = process[k % 3];
    PetscReal    error, value;
    Asked        a;

    AskExact(&a, "collapse", name, KEYS " training_weight_decay=%g", 0.7, 1.3, 1.9, 3 + k % 2,
             k % 2 ? "balanced" : "weights", eta, 2, k < 3 ? 0 : decay);
    value = AskValue(&a, name, "exact", "collapse", "exponent", &error);
    check(fabs(value - exact) <= error, "%s: exponent %g +- %g, not %g", name, value, error, exact);
    value = AskValue(&a, name, "exact", "collapse", "thresholds", NULL);
    check(k >= 3 || value == 0, "%s: %g thresholds", name, value);
    AskClose(&a);
  }
}

static void test_none(void **state)
{
  static const struct {
    const char *process;
    int         depth;
  } cases[] = {{"ald", 1}, {"sgd", 1}, {"gd", 2}};

  (void)state;
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    Asked     a;
    PetscReal value, error;

    AskExact(&a, "collapse", cases[k].process, KEYS, 0.7, 1.3, 1.9, cases[k].depth, "balanced", 0.1, 1);
    assert_false(AskHas(&a, cases[k].process, "exact", "collapse", "thresholds", &value, &error));
    AskClose(&a);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sde), cmocka_unit_test(test_window),
                                     cmocka_unit_test(test_deep), cmocka_unit_test(test_none)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

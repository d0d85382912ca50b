/* t-edge.c: gradient descent at and beyond the edge of stability: cycles, multipliers, period doubling and exponents of
   the cubic map of the balanced 2-chain, u' = (1 + hp) u - u^3 with u = sqrt(h) w, h = eta E x^2; and the flows that
   stand for its time average. */
#include "ask.h"
#include <math.h>

#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=%.17g data_second_moment=%.17g data_label_noise=0.3 model_type=chain "              \
  "model_depth=%d model_coordinates=%s training_learning_rate=%.17g orbit_start=%s orbit_burn_in=%d "

static PetscReal Row(Asked *a, const char process[], const char quantity[], double exact, double tolerance)
{
  PetscReal error, value = AskValue(a, process, "exact", "orbit", quantity, &error);

  check(fabs(value - exact) <= error + 1e-15, "%s of %s: %.15g +- %g, not %.15g", quantity, process, value, error,
        exact);
  check(error <= tolerance, "%s of %s: error %g", quantity, process, error);
  return value;
}

/* Between hp = 1 and sqrt(5) - 1 the weights alternate between two points with w1 w2 = 1/h, w1^2 + w2^2 = p + 1/h. */
static void test_cycle(void **state)
{
  static const double hp[] = {1.07, 1.19};
  const double        s = 0.83, p = 1.7;

  (void)state;
  for (int k = 0; k < 2; k++) {
    const double eta = hp[k] / (s * p), h = eta * s, multiplier = 9 - 2 * (1 + hp[k]) * (1 + hp[k]);
    const double transverse = 1 - 2 * (hp[k] - 1), center = sqrt((p + 3 / h) / 4), square = (p - 1 / h) / 4;
    Asked        a;
    PetscReal    x, y, error;

    AskExact(&a, "orbit", "gd", CHAIN, p, s, 2, "weights", eta, "0.41,0.57", 20000);
    (void)Row(&a, "gd", "period", 2, 0);
    x = AskValue(&a, "gd", "exact", "orbit", "point[0][1]", &error);
    y = AskValue(&a, "gd", "exact", "orbit", "point[1][1]", &error);
    check(fabs(x * y - 1 / h) < 1e-11 && fabs(x * x + y * y - p - 1 / h) < 1e-11, "cycle %.15g, %.15g", x, y);
    (void)Row(&a, "gd", "multiplier_re[0]", fabs(transverse) > fabs(multiplier) ? transverse : multiplier, 1e-8);
    (void)Row(&a, "gd", "multiplier_re[1]", fabs(transverse) > fabs(multiplier) ? multiplier : transverse, 1e-8);
    (void)Row(&a, "gd", "mean[0]", center, 1e-10);
    (void)Row(&a, "gd", "covariance[0][1]", square, 1e-10);
    (void)Row(&a, "gd", "exponent", log(fmax(fabs(multiplier), fabs(transverse))) / (2 * eta), 1e-6);
    AskClose(&a);
  }
}

/* Period and first multiplier at s = p = 1; period 0: none. */
static int Period(double hp, double *multiplier)
{
  Asked     a;
  PetscReal period = 0, error;

  AskExact(&a, "orbit", "gd", CHAIN, 1.0, 1.0, 2, "balanced", hp, "0.3", 6000);
  if (!AskHas(&a, "gd", "exact", "orbit", "period", &period, &error)) period = 0;
  if (period > 0) *multiplier = AskValue(&a, "gd", "exact", "orbit", "multiplier_re[0]", NULL);
  AskClose(&a);
  return (int)period;
}

/* hp at which the cycle of that period holds the turning point of the map, where its multiplier changes sign. */
static double Superstable(int period, double low, double high)
{
  for (int k = 0; k < 34; k++) {
    const double middle = 0.5 * (low + high);
    double       multiplier;
    const int    found = Period(middle, &multiplier);

    if (found && (found < period || (found == period && multiplier > 0)))
      low = middle;
    else
      high = middle;
  }
  return 0.5 * (low + high);
}

/* Period 4 from hp = sqrt(5) - 1 on, and the limit of the doublings by Feigenbaum's ratio. */
static void test_doubling(void **state)
{
  const double edge = sqrt(5) - 1, ratio = 4.669201609;
  double       at[3], multiplier, limit;

  (void)state;
  assert_int_equal(Period(0.97, &multiplier), 1);
  assert_int_equal(Period(edge - 2e-3, &multiplier), 2);
  assert_int_equal(Period(edge + 2e-3, &multiplier), 4);
  at[0] = Superstable(4, edge + 2e-3, 1.302);
  at[1] = Superstable(8, at[0], 1.3022);
  at[2] = Superstable(16, at[1], 1.30228);
  limit = at[2] + (at[2] - at[1]) / (ratio - 1);
  print_message("  superstable at %.9f, %.9f, %.9f: limit %.7f\n", at[0], at[1], at[2], limit);
  check(fabs(limit - 1.302283463) < 2e-6, "period doubling ends at %.9f", limit);
  assert_int_equal(Period(1.36, &multiplier), 0);
}

/* At hp = 2 the map is -2 cos 3 theta of u = 2 cos theta: exponent ln 3 per step, mean 0, E u^2 = 2. Beyond it
 * diverges.
 */
static void test_chaos(void **state)
{
  const double s = 0.83, p = 1.7, eta = 2 / (s * p);
  Asked        a;
  PetscReal    error, value;

  (void)state;
  AskExact(&a, "orbit", "gd", CHAIN, p, s, 2, "balanced", eta, "0.41", 3000);
  assert_false(AskHas(&a, "gd", "exact", "orbit", "period", &value, &error));
  value = AskValue(&a, "gd", "exact", "orbit", "exponent", &error);
  check(fabs(value - log(3) / eta) < 4 * error && error < 1e-3, "exponent %.9g +- %g", value, error);
  value = AskValue(&a, "gd", "exact", "orbit", "covariance[0][0]", &error);
  check(fabs(value - 2 / (eta * s)) < 4 * error && error < 0.05, "E w^2 %.9g +- %g", value, error);
  AskClose(&a);
  AskExact(&a, "orbit", "gd", CHAIN, p, s, 2, "balanced", 1.02 * eta, "0.41", 3000);
  assert_false(AskHas(&a, "gd", "exact", "orbit", "period", &value, &error));
  assert_false(AskHas(&a, "gd", "exact", "orbit", "mean[0]", &value, &error));
  AskClose(&a);
}

/* Flows on the balanced 2-chain. central_flow rests where the sharpness s (3 w^2 - p) is 2/eta; rod_flow on the centre
   of the exact cycle, with its amplitude. Below the edge both are gradient flow. */
static void test_flows(void **state)
{
  const double s = 0.83, p = 1.7, eta = 1.15 / (s * p), h = eta * s;
  Asked        a;

  (void)state;
  AskExact(&a, "orbit", "central_flow", CHAIN, p, s, 2, "balanced", eta, "0.41", 100);
  (void)Row(&a, "central_flow", "point[0]", sqrt((p + 2 / h) / 3), 1e-10);
  (void)Row(&a, "central_flow", "covariance[0][0]", 2.0 / 9 * (p - 1 / h), 1e-10);
  AskClose(&a);
  AskExact(&a, "orbit", "rod_flow", CHAIN, p, s, 2, "balanced", eta, "0.41", 100);
  (void)Row(&a, "rod_flow", "point[0]", sqrt((p + 3 / h) / 4), 1e-10);
  (void)Row(&a, "rod_flow", "covariance[0][0]", (p - 1 / h) / 4, 1e-10);
  AskClose(&a);
  for (int k = 0; k < 2; k++) {
    const char *name = k ? "rod_flow" : "central_flow";

    AskExact(&a, "orbit", name, CHAIN, p, s, 2, "balanced", 0.8 * eta, "0.41", 100);
    (void)Row(&a, name, "point[0]", sqrt(p), 1e-10);
    (void)Row(&a, name, "covariance[0][0]", 0, 1e-10);
    (void)Row(&a, name, "multiplier_re[0]", exp(-0.8 * eta * 2 * s * p), 2e-7);
    AskClose(&a);
  }
}

static double Variance(const char process[], int depth, double eta)
{
  Asked  a;
  double value;

  AskExact(&a, "orbit", process, CHAIN, 1.0, 1.0, depth, "balanced", eta, "0.9", 40000);
  value = AskValue(&a, process, "exact", "orbit", "covariance[0][0]", NULL);
  AskClose(&a);
  return value;
}

/* At the onset of oscillations, eta L = 2, the variance of central_flow is (20L - 16)/(27(L - 1)) of the exact one, as
   it has no fourth derivative of the loss; that of rod_flow is exact beyond the onset too. */
static void test_onset(void **state)
{
  (void)state;
  for (int L = 2; L < 6; L++) {
    const double exact = (20.0 * L - 16) / (27.0 * (L - 1)), gap = 0.01;
    double       ratio[2], rod                                   = 0;

    for (int k = 0; k < 2; k++) {
      const double eta = 2.0 / L * (1 + gap / (k + 1)), cycle = Variance("gd", L, eta);

      ratio[k] = Variance("central_flow", L, eta) / cycle;
      rod      = Variance("rod_flow", L, eta) / cycle - 1;
    }
    print_message("  depth %d: %.6f, exact %.6f; rod_flow off by %.1e\n", L, 2 * ratio[1] - ratio[0], exact, rod);
    check(fabs(2 * ratio[1] - ratio[0] - exact) < 1e-3, "depth %d: %g, not %g", L, 2 * ratio[1] - ratio[0], exact);
    check(fabs(rod) < 1e-8, "depth %d: rod_flow is off by %g", L, rod);
  }
}

/* Of the 2-chain in weights, e = w1 w2 - p: S/s = R + Q with R = |w|^2/2, Q = sqrt(((w1^2 - w2^2)/2)^2 + (2 w1 w2 -
 * p)^2). */
static double Sharpness(double s, double p, const double w[])
{
  const double r = 0.5 * (w[0] * w[0] + w[1] * w[1]), q = 0.5 * (w[0] * w[0] - w[1] * w[1]), m = 2 * w[0] * w[1] - p;

  return s * (r + sqrt(q * q + m * m));
}

/* Where the gradient flow would cross the edge central_flow is its projection on the edge: along the edge, and off the
   gradient by a multiple of the slope of the sharpness. */
static void test_edge(void **state)
{
  const double s = 0.83, p = 1.7, eta = 0.9, steps[] = {0.6, 0.9, 1.3, 1.6};
  Asked        a;

  (void)state;
  AskExact(&a, "orbit", "central_flow", CHAIN, p, s, 2, "weights", eta, "0.4,0.5", 100);
  for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
    const double angle = 0.5 * atan(1) * 2 * steps[k];
    double       low = 0.1, high = 10, w[2], b[2], g[2], slope[2], along, still;

    for (int i = 0; i < 100; i++) {
      const double r = 0.5 * (low + high);

      w[0] = r * cos(angle);
      w[1] = r * sin(angle);
      if (r * r > 2 && Sharpness(s, p, w) > 2 / eta)
        high = r;
      else
        low = r;
    }
    for (int i = 0; i < 2; i++) {
      double plus[2] = {w[0], w[1]}, minus[2] = {w[0], w[1]};

      plus[i] += 1e-5;
      minus[i] -= 1e-5;
      slope[i] = (Sharpness(s, p, plus) - Sharpness(s, p, minus)) / 2e-5;
    }
    FPProcessDrift(a.scene.process, 1, w, b);
    FPModelGradient(a.scene.model, 1, w, g);
    along = b[0] * slope[0] + b[1] * slope[1];
    still = g[0] * slope[0] + g[1] * slope[1];
    if (fabs(Sharpness(s, p, w) - 2 / eta) > 1e-9) continue; /* the ray has no point of the edge */
    if (still >= 0) {
      check(fabs(b[0] + g[0]) + fabs(b[1] + g[1]) < 1e-6, "central_flow is no gradient flow where it leaves the edge");
    } else {
      check(fabs(along) < 1e-5 * fabs(still), "the sharpness changes by %g along the edge", along);
      check(fabs((b[0] + g[0]) * slope[1] - (b[1] + g[1]) * slope[0]) < 1e-5, "the force is not along its slope");
    }
  }
  AskClose(&a);
}

/* Two unstable directions: a diagonal network of two inputs is two balanced chains, each with its own centre. */
static void test_two(void **state)
{
  const double s = 0.9, p[2] = {1.5, 1.3}, eta = 1.1 / (s * 1.3), h = eta * s;
  Asked        a;
  char         name[32];

  (void)state;
  AskExact(&a, "orbit", "central_flow",
           "data_type=gaussian data_teacher=%g,%g data_second_moment=%g data_label_noise=0.3 model_type=diagonal "
           "training_learning_rate=%.17g orbit_start=0.6,0.5",
           p[0], p[1], s, eta);
  for (int i = 0; i < 2; i++) {
    (void)snprintf(name, sizeof name, "mean[%d]", i);
    (void)Row(&a, "central_flow", name, sqrt((p[i] + 2 / h) / 3), 1e-4);
    (void)snprintf(name, sizeof name, "covariance[%d][%d]", i, i);
    (void)Row(&a, "central_flow", name, 2.0 / 9 * (p[i] - 1 / h), 1e-4);
  }
  (void)Row(&a, "central_flow", "covariance[0][1]", 0, 1e-4);
  AskClose(&a);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cycle), cmocka_unit_test(test_doubling),
                                     cmocka_unit_test(test_chaos), cmocka_unit_test(test_flows),
                                     cmocka_unit_test(test_onset), cmocka_unit_test(test_edge),
                                     cmocka_unit_test(test_two)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

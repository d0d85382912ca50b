/* t-weak.c: how far the stochastic models of SGD are from SGD itself as the learning rate falls, every number by
   engines: SGD by its transfer operator, models by their generators, grid errors far below the differences.
   Weak errors of E p and E loss at fixed times from a point: order 1 for langevin and ald, 2 for ald2 and ald3, where
   the injected T is zero or proportional to the learning rate. With T held fixed ald2 falls to order 1, as its noise
   lacks eta (T drift' ...), and says so; ald3 has that term and keeps its order. Of the stationary law: the relative
   error of the variance has order 1 for langevin, ald and ald2, and ald2's is the largest. */
#include "runs.h"

#define RATES 3

typedef struct {
  double noise, s, p, B;
} Law;

static const Law law = {0.47, 0.87, 1.13, 2};

/* Relative or plain differences from SGD at falling learning rates, and what the grids leave open of each. */
typedef struct {
  double apart[RATES], doubt[RATES];
} Errors;

static void Compare(Errors *e, int rate, const json_t *root, const char *process, const char *observable,
                    const char *quantity, int relative)
{
  double       own, other;
  const double sgd   = Value(root, "sgd", "transfer", observable, quantity, &own);
  const double model = Value(root, process, "generator", observable, quantity, &other);
  const double scale = relative ? fabs(sgd) : 1;

  e->apart[rate] = (model - sgd) / scale;
  e->doubt[rate] = hypot(own, other) / scale;
}

/* Orders of the two halvings, extrapolated: what is left of the next power of the learning rate falls by half. */
static void Order(const Errors *e, double low, double high, const char *process, const char *quantity)
{
  const double first = log2(fabs(e->apart[0] / e->apart[1])), last = log2(fabs(e->apart[1] / e->apart[2]));
  const double order = 2 * last - first;

  print_message("  %-9s %-18s %10.2e %10.2e %10.2e: orders %.2f, %.2f, limit %.2f\n", process, quantity, e->apart[0],
                e->apart[1], e->apart[2], first, last, order);
  check(order > low && order < high, "%s of %s has order %g, not in (%g, %g)", quantity, process, order, low, high);
  for (int r = 0; r < RATES; r++)
    check(e->doubt[r] < 0.5 * fabs(e->apart[r]), "%s of %s: %g is known to %g only", quantity, process, e->apart[r],
          e->doubt[r]);
}

/* D = (eta/2) noise^2 s p/B at the minimum of the balanced 2-chain, which langevin has with T = 2 D. */
static double Matched(double eta, double T)
{
  return eta * law.noise * law.noise * law.s * law.p / law.B + T;
}

static json_t *Course(const char *processes, int cells, double eta, double T, double start)
{
  return Run("data_type=gaussian data_teacher=%g data_label_noise=%g data_second_moment=%g model_type=chain "
             "model_depth=2 model_coordinates=balanced processes=%s engines=generator,transfer "
             "observables=evolution evolution_times=0.24,1.44 evolution_start=%g mesh_lower=0.3 mesh_upper=1.75 "
             "mesh_cells=%d training_batch_size=%g training_learning_rate=%.17g training_temperature=%.17g "
             "langevin_temperature=%.17g",
             law.p, law.noise, law.s, processes, start, cells, law.B, eta, T, Matched(eta, T));
}

typedef struct {
  const char *process, *quantity;
  double      low, high;
} Expected;

static size_t Warnings(const json_t *root, const char *words)
{
  size_t  i, count = 0;
  json_t *line;

  json_array_foreach(json_object_get(root, "warnings"), i, line) count +=
      strstr(json_string_value(line), words) != NULL;
  return count;
}

/* T = fixed + share * learning rate */
static void Weak(const char *processes, int cells, double start, double fixed, double share, int n,
                 const Expected expected[])
{
  Errors errors[8] = {0};

  for (int r = 0; r < RATES; r++) {
    const double eta  = 0.08 / (1 << r);
    json_t      *root = Course(processes, cells, eta, fixed + share * eta, start);

    check(Warnings(root, "of first order") == (strstr(processes, "ald2") && fixed + share > 0), "warnings with T = %g",
          fixed + share * eta);
    for (int k = 0; k < n; k++) Compare(&errors[k], r, root, expected[k].process, "evolution", expected[k].quantity, 0);
    json_decref(root);
  }
  for (int k = 0; k < n; k++)
    Order(&errors[k], expected[k].low, expected[k].high, expected[k].process, expected[k].quantity);
}

static void test_no_temperature(void **state)
{
  static const Expected expected[] = {{"ald", "loss[t=0.24]", 0.85, 1.15},  {"ald", "mean_p[t=1.44]", 0.9, 1.1},
                                      {"ald2", "loss[t=0.24]", 1.85, 2.15}, {"ald2", "mean_p[t=1.44]", 1.85, 2.1},
                                      {"ald3", "loss[t=0.24]", 1.85, 2.15}, {"ald3", "loss[t=1.44]", 1.85, 2.25}};
  static const Expected langevin[] = {{"langevin", "mean_p[t=0.24]", 0.9, 1.1},
                                      {"langevin", "mean_p[t=1.44]", 0.9, 1.1}};

  (void)state;
  Weak("sgd,ald,ald2,ald3", 672, 0.69, 0, 0, 6, expected);
  Weak("sgd,langevin", 704, 0.83, 0, 0, 2, langevin); /* from where its law still has weight */
}

static void test_proportional(void **state)
{
  static const Expected expected[] = {{"ald", "loss[t=0.24]", 0.85, 1.15},  {"ald", "mean_p[t=1.44]", 0.9, 1.1},
                                      {"ald2", "loss[t=0.24]", 1.85, 2.15}, {"ald2", "mean_p[t=1.44]", 1.9, 2.1},
                                      {"ald3", "loss[t=0.24]", 1.85, 2.15}, {"ald3", "mean_p[t=1.44]", 1.8, 2.2}};

  (void)state;
  Weak("sgd,ald,ald2,ald3", 608, 0.69, 0, 0.08, 6, expected);
}

static void test_fixed(void **state)
{
  static const Expected expected[] = {
      {"langevin", "loss[t=1.44]", 0.85, 1.15}, {"langevin", "mean_p[t=0.24]", 0.9, 1.1},
      {"ald", "mean_p[t=0.24]", 0.9, 1.1},      {"ald2", "mean_p[t=0.24]", 0.9, 1.15},
      {"ald2", "loss[t=1.44]", 0.85, 1.15},     {"ald3", "loss[t=0.24]", 1.85, 2.15},
      {"ald3", "mean_p[t=1.44]", 1.85, 2.15}};

  (void)state;
  Weak("sgd,langevin,ald,ald2,ald3", 320, 0.69, 0.016, 0, 7, expected);
}

/* One weight, e = w - p, h = eta s: E e and E e^2 at t = 0.96. Of SGD (1 - h)^k e_0 and m' = (1 - 2h + h^2 (1 + 2/B)) m
 + eta^2 sigma^2 s/B per step; of an SDE with b = -a e, D = c + d e^2, exp(-a t) e_0 and dm/dt = 2 (d - a) m + 2 c. */
static void Linear(int model, double eta, double start, double *mean, double *square)
{
  const double s = law.s, v = law.noise * law.noise * s / law.B, h = eta * s, t = 0.96;
  const double a = s + (model > 0) * eta * s * s / 2 + (model > 1) * eta * eta * s * s * s / 3;
  const double c = eta / 2 * v * (1 + (model > 1) * h);
  const double d = eta * s * s / law.B * (1 + (model > 1) * 2 * h), rate = 2 * (d - a);

  *mean   = start;
  *square = start * start;
  for (int k = 0; model < 0 && k < (int)(t / eta + 0.5); k++) {
    *mean *= 1 - h;
    *square = (1 - 2 * h + h * h * (1 + 2 / law.B)) * *square + eta * eta * v;
  }
  if (model < 0) return;
  *mean *= exp(-a * t);
  *square = exp(rate * t) * *square + 2 * c * (exp(rate * t) - 1) / rate;
}

/* The differences that the engines report are the exact ones, which have these orders. */
static void test_linear(void **state)
{
  static const char *const models[] = {"ald", "ald2", "ald3"};
  const double             start    = 0.55;

  (void)state;
  for (int m = 0; m < 3; m++) {
    double apart[2][2];

    for (int r = 0; r < 2; r++) {
      const double eta = 0.12 / (1 << r);
      double       mean[2], square[2];
      Errors       p, loss;
      json_t      *root = Run("data_type=gaussian data_teacher=%g data_label_noise=%g data_second_moment=%g "
                                   "model_type=chain model_depth=1 processes=sgd,%s engines=generator,transfer "
                                   "observables=evolution evolution_times=0.96 evolution_start=%g mesh_lower=-0.2 mesh_upper=2.4 "
                                   "mesh_cells=448 training_batch_size=%g training_learning_rate=%.17g",
                              law.p, law.noise, law.s, models[m], law.p - start, law.B, eta);

      Compare(&p, r, root, models[m], "evolution", "mean_p[t=0.96]", 0);
      Compare(&loss, r, root, models[m], "evolution", "loss[t=0.96]", 0);
      json_decref(root);
      Linear(-1, eta, -start, &mean[0], &square[0]);
      Linear(m, eta, -start, &mean[1], &square[1]);
      apart[0][r] = mean[1] - mean[0];
      apart[1][r] = law.s / 2 * (square[1] - square[0]);
      print_message("  %-5s E p off by %10.3e, exact %10.3e; E loss %10.3e, %10.3e\n", models[m], p.apart[r],
                    apart[0][r], loss.apart[r], apart[1][r]);
      check(fabs(p.apart[r] - apart[0][r]) < p.doubt[r], "E p of %s: %g, exact %g, +- %g", models[m], p.apart[r],
            apart[0][r], p.doubt[r]);
      check(fabs(loss.apart[r] - apart[1][r]) < loss.doubt[r], "E loss of %s: %g, exact %g, +- %g", models[m],
            loss.apart[r], apart[1][r], loss.doubt[r]);
      check(m == 2 || p.doubt[r] + loss.doubt[r] < 0.2 * fabs(apart[0][r]), "%s: doubts %g, %g", models[m], p.doubt[r],
            loss.doubt[r]);
    }
    for (int q = 0; q < 2; q++) {
      const double order = log2(fabs(apart[q][0] / apart[q][1]));

      print_message("  %-5s order %.2f\n", models[m], order);
      check(fabs(order - m - 1) < 0.25, "%s has order %g", models[m], order);
    }
  }
}

/* Signs as inputs: no third cumulant. Of langevin the T is that of the line, Matched(). */
static void test_stationary(void **state)
{
  static const Expected expected[] = {{"langevin", "variance_p", 0.9, 1.1},
                                      {"ald", "variance_p", 0.9, 1.1},
                                      {"ald2", "variance_p", 0.9, 1.1},
                                      {"ald3", "variance_p", 1.85, 2.15},
                                      {"langevin", "integrated_time_p", 0.9, 1.1},
                                      {"ald", "integrated_time_p", 0.9, 1.1},
                                      {"ald2", "integrated_time_p", 1.85, 2.15},
                                      {"ald", "gap", 0.9, 1.1},
                                      {"ald2", "gap", 1.85, 2.15},
                                      {"ald3", "gap", 2.8, 3.5}};
  const int             n          = (int)(sizeof expected / sizeof expected[0]);
  Errors                errors[16] = {0};

  (void)state;
  for (int r = 0; r < RATES; r++) {
    const double eta  = 0.16 / (1 << r);
    json_t      *root = Run("data_type=rademacher data_teacher=%g data_label_noise=%g data_second_moment=%g "
                                 "model_type=chain model_depth=2 model_coordinates=balanced processes=sgd,langevin,ald,ald2,ald3 "
                                 "engines=generator,transfer observables=stationary,spectrum,autocorrelation spectrum_pairs=2 "
                                 "autocorrelation_times=0.5 mesh_lower=0.5 mesh_upper=1.65 mesh_cells=256 "
                                 "training_batch_size=%g training_learning_rate=%.17g langevin_temperature=%.17g",
                            law.p, law.noise, law.s, law.B, eta, Matched(eta, 0));

    for (int k = 0; k < n; k++) {
      const char *quantity = expected[k].quantity;

      Compare(&errors[k], r, root, expected[k].process,
              *quantity == 'v'   ? "stationary"
              : *quantity == 'g' ? "spectrum"
                                 : "autocorrelation",
              quantity, 1);
    }
    json_decref(root);
  }
  for (int k = 0; k < n; k++)
    Order(&errors[k], expected[k].low, expected[k].high, expected[k].process, expected[k].quantity);
  check(fabs(errors[2].apart[2]) > 1.5 * fabs(errors[1].apart[2]), "the variance of ald2 is off by %g, of ald by %g",
        errors[2].apart[2], errors[1].apart[2]);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_temperature), cmocka_unit_test(test_proportional),
                                     cmocka_unit_test(test_fixed), cmocka_unit_test(test_linear),
                                     cmocka_unit_test(test_stationary)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

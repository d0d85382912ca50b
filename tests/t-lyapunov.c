/* t-lyapunov.c: exponents at critical points against closed forms (Gaussian logarithms, SDE values and their collapse
   thresholds, SGD without label noise, GD), the batch law of files by enumeration, Gaussian batches by characteristic
   functions; exponents along orbits where they are known: affine maps, collapsed networks, chaos with exponent ln 3. */
#include "ask.h"
#include <complex.h>
#include <gsl/gsl_integration.h>
#include "../src/observable/observableimpl.h"
#include <gsl/gsl_sf_dawson.h>
#include <math.h>

#define EULER 0.57721566490153286
#define CHAIN                                                                                                          \
  "data_type=gaussian data_second_moment=%.15g data_teacher=%.15g data_label_noise=%.15g model_type=chain "            \
  "training_learning_rate=%.15g training_batch_size=%d "

static PetscReal Exact(const char process[], const char keys[], const char quantity[])
{
  Asked     a;
  PetscReal value;

  AskExact(&a, "lyapunov", process, "%s particles_count=4096 particles_steps=2 particles_threads=1", keys);
  value = AskValue(&a, process, "exact", "lyapunov", quantity, NULL);
  AskClose(&a);
  return value;
}

static PetscReal AtOrigin(const char process[], PetscReal s, PetscReal p, PetscReal sigma, PetscReal eta, int batch)
{
  char keys[512];

  (void)snprintf(keys, sizeof(keys), CHAIN "model_coordinates=balanced", s, p, sigma, eta, batch);
  return Exact(process, keys, "exponent_at[origin]");
}

/* 2F2(1, 1; 3/2, 2; z) by its series */
static PetscReal Hypergeometric(PetscReal z)
{
  PetscReal sum = 0, term = 1;

  for (int k = 0; k < 400 && fabs(term) > 1e-18; k++) {
    sum += term;
    term *= z * (k + 1) / ((k + 1.5) * (k + 2));
  }
  return sum;
}

/* E ln |u + xi| = -(gamma + ln 2)/2 + (u^2/2) 2F2(1, 1; 3/2, 2; -u^2/2), continuous where the series changes */
static void test_normal_log(void **state)
{
  static const PetscReal u[] = {0, 0.31, -1.3, 2.7};

  (void)state;
  for (size_t k = 0; k < sizeof(u) / sizeof(u[0]); k++) {
    const PetscReal exact = -0.5 * (EULER + PetscLogReal(2)) + 0.5 * u[k] * u[k] * Hypergeometric(-0.5 * u[k] * u[k]);

    check(fabs(FPNormalLog(u[k]) - exact) < 1e-13, "at %g: %.16g, exact %.16g", u[k], FPNormalLog(u[k]), exact);
  }
  check(fabs(FPNormalLog(9 + 1e-9) - FPNormalLog(9 - 1e-9) - 2e-9 * PETSC_SQRT2 * gsl_sf_dawson(9 / PETSC_SQRT2)) <
            1e-14,
        "a jump of %g at 9", FPNormalLog(9 + 1e-9) - FPNormalLog(9 - 1e-9));
  check(fabs(FPNormalLog(40) - PetscLogReal(40) + 1 / 3200.0) < 1e-6, "at 40: %g", FPNormalLog(40));
}

typedef struct {
  PetscReal a, b, s, p, sigma;
  int       batch;
} Law;

/* E ln |W| = -gamma - int_0^inf (Re E e^{itW} - [t < 1])/t dt, W = a + b U, with E e^{itxy} = (1 - 2ips t + s sigma^2
   t^2)^{-1/2} per sample */
static double Characteristic(double t, void *context)
{
  const Law           *l   = (const Law *)context;
  const double         r   = l->b * t / l->batch;
  const double complex one = 1 - 2 * I * l->p * l->s * r + l->s * l->sigma * l->sigma * r * r;

  return (creal(cexp(I * l->a * t) * cpow(one, -0.5 * l->batch)) - (t < 1)) / t;
}

static void test_gaussian(void **state)
{
  const Law                  law[] = {{1, 0.83, 1.4, 0.7, 0.9, 6}, {0.93, -1.3, 0.6, 1.1, 1.3, 5}};
  gsl_integration_workspace *work  = gsl_integration_workspace_alloc(20000);

  (void)state;
  for (int k = 0; k < 2; k++) {
    Law          l = law[k];
    gsl_function f = {Characteristic, &l};
    double       near, far, error;
    PetscReal    value, bound;
    Asked        a;
    FPBatchMean  mean = {.batch = l.batch};

    must(gsl_integration_qag(&f, 0, 1, 1e-13, 1e-12, 20000, GSL_INTEG_GAUSS61, work, &near, &error));
    must(gsl_integration_qag(&f, 1, 2000, 1e-12, 1e-12, 20000, GSL_INTEG_GAUSS61, work, &far, &error));
    AskExact(&a, "lyapunov", "gd", CHAIN "particles_steps=2 particles_count=4096", l.s, l.p, l.sigma, 0.1, l.batch);
    mean.data = a.scene.data;
    must(FPBatchMeanLog(&mean, l.a, l.b, &value, &bound));
    check(fabs(value + EULER + near + far) < 1e-10, "case %d: %.14g, by its characteristic function %.14g", k, value,
          -EULER - near - far);
    check(bound < 1e-10, "bound %g", bound);
    AskClose(&a);
  }
  gsl_integration_workspace_free(work);
}

/* Without label noise, one sample: E ln (1 + c x^2) = ln c - gamma - ln 2 + pi erfi(1/sqrt(2c)) - 2F2(1, 1; 3/2, 2;
   1/2c)/c, and E ln |1 - c x^2| = ln c + 2 E ln |1/sqrt(c) + xi|; erfi(z) = 2 e^{z^2} Dawson(z)/sqrt(pi). */
static void test_no_label_noise(void **state)
{
  const PetscReal s = 1.3, p = 0.8, eta = 0.6, c = eta * p * s, z = 1 / sqrt(2 * c);
  const PetscReal plus = PetscLogReal(c) - EULER - PetscLogReal(2) +
                         PETSC_PI * 2 * exp(z * z) * gsl_sf_dawson(z) / sqrt(PETSC_PI) -
                         Hypergeometric(1 / (2 * c)) / c;
  const PetscReal minus = PetscLogReal(c) + 2 * FPNormalLog(1 / sqrt(c));
  PetscReal       error;
  Asked           a;

  (void)state;
  AskExact(&a, "lyapunov", "sgd", CHAIN "particles_steps=2 particles_count=4096 particles_threads=1", s, p, 0.0, eta,
           1);
  check(fabs(AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin][0]", &error) * eta - plus) < 1e-12, "plus");
  check(error < 1e-10, "bound %g", error);
  check(fabs(AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin][1]", &error) * eta - minus) < 1e-11,
        "minus");
  check(error < 1e-8, "bound %g", error);
  /* at the minimum w1 w2 = p: E ln |1 - eta S x^2/s|, S = 2 s p, and 1 along the valley */
  check(fabs(AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[minimum]", NULL) * eta -
             (PetscLogReal(2 * c) + 2 * FPNormalLog(1 / sqrt(2 * c)))) < 1e-11,
        "minimum");
  check(AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[minimum][0]", NULL) == 0, "along the valley");
  AskClose(&a);
}

/* Zeros of the exponents of the SDEs in the learning rate: the saddle attracts beyond them. */
static void test_thresholds(void **state)
{
  const PetscReal s = 1.2, p = 0.35, sigma = 1.1;
  const int       batch  = 3;
  const PetscReal first  = 2 * p * batch / (2 * s * p * p + sigma * sigma);
  const PetscReal second = 2 * p * batch / (s * p * p * (2 + batch) + sigma * sigma);

  (void)state;
  check(fabs(AtOrigin("ald", s, p, sigma, first, batch)) < 1e-13, "ald at its threshold");
  check(fabs(AtOrigin("ald2", s, p, sigma, second, batch)) < 1e-13, "ald2 at its threshold");
  check(AtOrigin("ald", s, p, sigma, 0.9 * first, batch) > 0 && AtOrigin("ald", s, p, sigma, 1.1 * first, batch) < 0,
        "the sign of ald");
  check(AtOrigin("gd", s, p, sigma, 0.9 * first, batch) > 0, "gd never collapses");
  /* -sp - eta v/(2B) in the other direction */
  {
    char keys[512];

    (void)snprintf(keys, sizeof(keys), CHAIN, s, p, sigma, 0.4, batch);
    check(fabs(Exact("ald", keys, "exponent_at[origin][1]") + s * p +
               0.4 * (2 * s * s * p * p + sigma * sigma * s) / (2 * batch)) < 1e-13,
          "the stable direction of ald");
  }
}

/* SGD: without label noise never, where the SDE does; with it in a window of learning rates, where the SDE has a half
   line. */
static void test_window(void **state)
{
  (void)state;
  check(AtOrigin("sgd", 1, 1, 0, 2.5, 1) > 0 && AtOrigin("ald", 1, 1, 0, 2.5, 1) < 0, "no label noise");
  check(AtOrigin("sgd", 1, 0.1, 1, 0.05, 1) > 0, "below the window");
  check(AtOrigin("sgd", 1, 0.1, 1, 0.8, 1) < 0, "inside");
  check(AtOrigin("sgd", 1, 0.1, 1, 6, 1) > 0 && AtOrigin("ald", 1, 0.1, 1, 6, 1) < 0, "above");
  /* small steps: SGD = SDE + O(eta^2) */
  check(fabs(AtOrigin("sgd", 1, 0.5, 0.7, 1e-3, 2) - AtOrigin("ald2", 1, 0.5, 0.7, 1e-3, 2)) < 2e-6, "small steps");
}

/* Signs as inputs: one Gaussian logarithm; deeper origins know only the decay; temperature leaves no fixed point. */
static void test_others(void **state)
{
  const PetscReal s = 0.9, p = 0.6, sigma = 0.5, eta = 0.7, scale = eta * sigma * sqrt(s / 2);
  PetscReal       value, error;
  Asked           a;

  (void)state;
  AskExact(&a, "lyapunov", "sgd",
           "data_type=rademacher data_second_moment=0.9 data_teacher=0.6 data_label_noise=0.5 model_type=chain "
           "training_learning_rate=0.7 training_batch_size=2 training_weight_decay=0.2 particles_steps=2 "
           "particles_count=4096");
  check(fabs(AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin]", NULL) -
             (PetscLogReal(scale) + FPNormalLog((1 - eta * 0.2 + eta * p * s) / scale)) / eta) < 1e-12,
        "signs");
  check(!AskHas(&a, "sgd", "exact", "lyapunov", "exponent_at[minimum]", &value, &error), "a value: %g", value);
  AskClose(&a);
  check(fabs(Exact("sgd",
                   "data_type=gaussian data_teacher=0.5 model_type=chain model_depth=3 training_learning_rate=0.3 "
                   "training_weight_decay=0.4",
                   "exponent_at[minimum]") -
             PetscLogReal(1 - 0.3 * 0.4) / 0.3) < 1e-13,
        "a deep origin");
  AskExact(&a, "lyapunov", "sgd", CHAIN "training_temperature=0.1 particles_steps=2 particles_count=4096", 1.0, 0.5,
           0.1, 0.1, 1);
  check(!AskHas(&a, "sgd", "exact", "lyapunov", "exponent_at[origin]", &value, &error), "a value: %g", value);
  AskClose(&a);
}

#define ROWS 20

static void WriteRows(char path[], double xy[ROWS])
{
  const int file = mkstemp(path);
  FILE     *f    = fdopen(file, "w");

  assert_non_null(f);
  (void)fprintf(f, "x,y\n");
  for (int k = 0; k < ROWS; k++) {
    const double x = 0.4 + 0.13 * k, y = sin(1.7 * k) - 0.2;

    (void)fprintf(f, "%.17g,%.17g\n", x, y);
    xy[k] = x * y;
  }
  assert_int_equal(fclose(f), 0);
}

/* All ordered pairs of sums of `each` rows: sum[n] of n = ROWS^each */
static double Pairs(int n, const double sum[], double a, double b)
{
  double total = 0;

  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) total += PetscLogReal(fabs(a + b * (sum[i] + sum[j])));
  return total / n / n;
}

/* Rows of a file: batches of 1 and 4 by enumeration, 8 on the lattice, which has its bound from halving. */
static void test_file(void **state)
{
  const double  a = 1, b = 0.83;
  static double one[ROWS], two[ROWS * ROWS], four[8855];
  char          path[] = "/tmp/dlnfp-rows-XXXXXX";
  double        exact;
  PetscReal     value, bound;
  Asked         asked;
  FPBatchMean   law = {.batch = 1};

  (void)state;
  WriteRows(path, one);
  AskExact(&asked, "lyapunov", "gd",
           "data_type=file data_path=%s model_type=chain particles_count=4096 particles_steps=2", path);
  law.data = asked.scene.data;
  exact    = 0;
  for (int k = 0; k < ROWS; k++) exact += PetscLogReal(fabs(a + b * one[k])) / ROWS;
  must(FPBatchMeanLog(&law, a, b, &value, &bound));
  check(fabs(value - exact) <= bound && bound < 1e-10, "batch 1: %.15g, exact %.15g", value, exact);
  for (int k = 0; k < ROWS * ROWS; k++) two[k] = one[k / ROWS] + one[k % ROWS];
  law.batch = 4;
  exact     = Pairs(ROWS * ROWS, two, a, b / 4);
  must(FPBatchMeanLog(&law, a, b, &value, &bound));
  check(fabs(value - exact) <= bound && bound < 1e-10, "batch 4: %.15g, exact %.15g", value, exact);
  law.batch = 8;
  exact     = 0;
  {
    static double weight[8855];
    int           n = 0;

    for (int i = 0; i < ROWS; i++)
      for (int j = i; j < ROWS; j++)
        for (int k = j; k < ROWS; k++)
          for (int l = k; l < ROWS; l++, n++) {
            const int m[4]   = {i, j, k, l};
            double    orders = 24;

            for (int r = 0, run = 1; r < 4; r++) { /* divide by the factorials of the multiplicities */
              run = r && m[r] == m[r - 1] ? run + 1 : 1;
              orders /= run;
            }
            weight[n] = orders / (ROWS * ROWS) / (ROWS * ROWS);
            four[n]   = one[i] + one[j] + one[k] + one[l];
          }
    for (int i = 0; i < n; i++)
      for (int j = 0; j <= i; j++)
        exact += (i == j ? 1 : 2) * weight[i] * weight[j] * PetscLogReal(fabs(a + b / 8 * (four[i] + four[j])));
  }
  must(FPBatchMeanLog(&law, a, b, &value, &bound));
  check(fabs(value - exact) <= bound, "batch 8: %.15g, exact %.15g, bound %.2g", value, exact, bound);
  check(bound < 2e-5, "batch 8: bound %g", bound);
  AskClose(&asked);
  (void)remove(path);
}

static void CheckOrbit(Asked *a, const char process[], PetscReal exact, PetscReal most)
{
  PetscReal error, value = AskValue(a, process, "particles", "lyapunov", "exponent_orbit", &error);

  check(fabs(value - exact) < 4.5 * error, "%.6g +- %.2g, exact %.6g", value, error, exact);
  check(error < most, "error %g", error);
  AskClose(a);
}

static void test_orbits(void **state)
{
  Asked     a;
  PetscReal exact;

  (void)state;
  /* one weight: every orbit has the exponent E ln |1 - eta x^2| */
  AskExact(&a, "lyapunov", "sgd",
           CHAIN "model_depth=1 particles_count=4096 particles_steps=60 particles_burn_in=5 particles_threads=1", 1.0,
           0.6, 0.5, 0.37, 2);
  exact = AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[minimum]", NULL);
  CheckOrbit(&a, "sgd", exact, 0.02);
  /* label noise collapses two weights: the orbit ends at the origin */
  AskExact(&a, "lyapunov", "sgd",
           CHAIN "particles_count=4096 particles_steps=300 particles_burn_in=200 particles_threads=1", 1.0, 0.05, 1.0,
           0.5, 4);
  exact = AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin]", NULL);
  check(exact < 0, "no collapse: %g", exact);
  CheckOrbit(&a, "sgd", exact, 0.01);
  /* gd: the cubic map at eta s p = 2 is the third Chebyshev polynomial, with exponent ln 3 per step */
  AskExact(&a, "lyapunov", "gd",
           CHAIN "model_coordinates=balanced particles_count=4096 particles_steps=400 particles_burn_in=40 "
                 "particles_threads=1",
           1.0, 1.0, 0.0, 2.0, 1);
  CheckOrbit(&a, "gd", PetscLogReal(3) / 2, 0.01);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_normal_log),     cmocka_unit_test(test_gaussian),
                                     cmocka_unit_test(test_no_label_noise), cmocka_unit_test(test_thresholds),
                                     cmocka_unit_test(test_window),         cmocka_unit_test(test_others),
                                     cmocka_unit_test(test_file),           cmocka_unit_test(test_orbits)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

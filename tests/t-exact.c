/* t-exact.c: the generator against exact laws and spectra of deep linear networks, each within the bound it reports. */
#include "lab.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_bessel.h>

static double square(const double *z, const double *unused)
{
  (void)unused;
  return z[0] * z[0];
}

static double fourth(const double *z, const double *unused)
{
  return square(z, unused) * square(z, unused);
}

static double shifted(const double *z, const double *power)
{
  return pow(z[0] - power[1], power[0]);
}

static double product(const double *z, const double *power)
{
  return pow(fabs(z[0] * z[1]), power[0]);
}

static double modulus(const double *z, const double *unused)
{
  (void)unused;
  return z[0] * z[1];
}

static double invariant(const double *z, const double *unused)
{
  (void)unused;
  return (z[0] - z[1]) * (z[0] + z[1]);
}

/* Cell probabilities of grid l against the difference of a distribution function; total variation. */
static double Distance(const Lab *lab, PetscInt l, double (*cdf)(double w, const double *parameter),
                       const double *parameter)
{
  PetscInt         n;
  const PetscInt  *node, *cells;
  PetscReal       *center, *width;
  const PetscReal *pi;
  double           sum = 0;

  must(FPGeneratorGetGrid(lab->gen[l], NULL, &cells, NULL));
  must(PetscMalloc2(cells[0], &center, cells[0], &width));
  must(FPGeneratorAxis(lab->gen[l], 0, center, width));
  must(FPGeneratorGetNodes(lab->gen[l], &n, &node, NULL, NULL, NULL));
  must(FPGeneratorStationary(lab->gen[l], &pi));
  for (PetscInt k = 0; k < n; k++) {
    PetscReal lower, upper, slope;
    const int i = node[k];

    FPMeshMap(lab->mesh, 0, (PetscReal)i / cells[0], &lower, &slope);
    FPMeshMap(lab->mesh, 0, (i + 1.0) / cells[0], &upper, &slope);
    sum += fabs(pi[k] - (cdf(upper, parameter) - cdf(lower, parameter))) / 2;
  }
  must(PetscFree2(center, width));
  return sum;
}

/* Cells are as wide as they are, so a density right at their centres is off by h^2, no more: a wrong law would not be
   that near, nor come nearer fourfold with twice the cells. */
static void CheckLaw(const Lab *lab, const char what[], double (*cdf)(double w, const double *parameter),
                     const double *parameter)
{
  const double fine = Distance(lab, 0, cdf, parameter), coarse = Distance(lab, lab->levels - 1, cdf, parameter);

  print_message("  %s: total variation %.2e, on half the cells %.2e\n", what, fine, coarse);
  check(fine < 3e-4, "%s: total variation %g", what, fine);
  check(coarse / fine > 3.8 && coarse / fine < 4.2, "%s: total variation %g, on half the cells %g", what, fine, coarse);
}

static double GammaOfSquare(double w, const double *parameter)
{
  return gsl_cdf_gamma_P(w * w, parameter[0], parameter[1]);
}

/* Balanced 2-chain, signs as inputs, so that the noise v0 = s sigma^2/B is constant; ald at T = 0. With decay l, which
   only lowers the teacher to p - l/s: w^2 ~ Gamma(shape (s p - l)/(eta v0) - 1/2, scale eta v0/s), E w^2 = p - l/s -
   eta v0/(2 s), and decay rates 2 n (mu - 2 n D) for n < mu/(4 D), D = eta v0/2, mu = s p - l - D. */
static void test_gamma(void **state)
{
  const double s = 0.85, p = 1.25, sigma = 1.15, eta = 0.13, B = 3, l = 0.055;
  const double v0 = s * sigma * sigma / B, D = eta * v0 / 2, mu = s * p - l - D, scale = eta * v0 / s;
  const double parameter[2] = {(s * p - l) / (eta * v0) - 0.5, scale};
  const double mean = parameter[0] * scale, second = parameter[0] * (parameter[0] + 1) * scale * scale;
  const char  *mesh[2] = {"mesh_lower 0.08 mesh_upper 2.6 mesh_map log mesh_cells 512",
                          "mesh_lower 0.05 mesh_upper 2.5 mesh_cells 512"};

  (void)state;
  assert_true(fabs(mean - (p - l / s - eta * v0 / (2 * s))) < 1e-14);
  for (int m = 0; m < 2; m++) {
    Lab  lab;
    char keys[1024];

    must(PetscSNPrintf(keys, sizeof keys,
                       "data_type rademacher data_teacher 1.25 data_label_noise 1.15 data_second_moment 0.85 "
                       "training_learning_rate 0.13 training_batch_size 3 training_weight_decay 0.055 "
                       "model_type chain model_depth 2 model_coordinates balanced %s",
                       mesh[m]));
    LabOpen(&lab, "ald", keys);
    LabSolve(&lab, 4);
    LabMeanWithin(&lab, "Gamma: E w^2", square, NULL, mean, 1e-3);
    LabMeanWithin(&lab, "Gamma: E w^4", fourth, NULL, second, 1e-3);
    CheckLaw(&lab, "Gamma", GammaOfSquare, parameter);
    for (int n = 1; n <= 3; n++) {
      assert_true(n < mu / (4 * D));
      LabRateWithin(&lab, "Morse: 2 n (mu - 2 n D)", n, 2 * n * (mu - 2 * n * D), 2e-2);
    }
    LabClose(&lab);
  }
}

/* Depth 1, Gaussian inputs (Pearson diffusion): e = w - p has v = 2 s^2 e^2 + s sigma^2, so b = -s e, D = eta v/(2 B),
   E e^2 = (eta sigma^2/B)/(2 - 2 h/B) with h = eta s, E e^4 = 3 c (E e^2)/(1 - 3 h/B), c = eta sigma^2/(2 B), and decay
   rates n s - n (n - 1) h s/B for 2 n < 1 + B/h. */
static void test_pearson(void **state)
{
  const double s = 0.9, p = 0.4, sigma = 0.7, eta = 0.12, B = 2, h = eta * s;
  const double c = eta * sigma * sigma / (2 * B), second = c / (1 - h / B),
               fourth_moment = 3 * c * second / (1 - 3 * h / B);
  const double two[2] = {2, p}, four[2] = {4, p}, one[2] = {1, 0};
  Lab          lab;

  (void)state;
  LabOpen(&lab, "ald",
          "data_type gaussian data_teacher 0.4 data_label_noise 0.7 data_second_moment 0.9 training_learning_rate 0.12 "
          "training_batch_size 2 model_type chain model_depth 1 mesh_lower -9.3 mesh_upper 10.1 mesh_map sinh:0.4:5 "
          "mesh_cells 768");
  LabSolve(&lab, 4);
  LabMeanWithin(&lab, "Pearson: E w", shifted, one, p, 1e-6);
  LabMeanWithin(&lab, "Pearson: E e^2", shifted, two, second, 1e-3);
  LabMeanWithin(&lab, "Pearson: E e^4", shifted, four, fourth_moment, 1e-2);
  for (int n = 1; n <= 3; n++) {
    assert_true(2 * n < 1 + B / h);
    LabRateWithin(&lab, "Pearson: n s - n (n - 1) h s/B", n, n * s - n * (n - 1) * h * s / B, 1e-3);
  }
  LabClose(&lab);
}

/* Density of the balanced 2-chain with Gaussian inputs, up to its norm: w^{2 th - 2} (2 e^2 + kappa)^{-1 - th/2}
   exp(-(B/h) kappa/(2 p^2 + kappa) (2 kappa)^{-1/2} atan(e sqrt(2/kappa))), e = w^2 - p, kappa = sigma^2/s, th = p B/(h
   (2 p^2 + kappa)). Its tail is w^-6 for every eta. */
typedef struct {
  double p, kappa, h, B, power, norm;
} Heavy;

static double HeavyDensity(double w, void *context)
{
  const Heavy *y = (const Heavy *)context;
  const double e = w * w - y->p, q = 2 * y->p * y->p + y->kappa, th = y->p * y->B / (y->h * q);
  const double at = atan(e * sqrt(2 / y->kappa));

  return pow(w, y->power) / y->norm *
         exp((2 * th - 2) * log(w) - (1 + th / 2) * log(2 * e * e + y->kappa) -
             y->B / y->h * y->kappa / q / sqrt(2 * y->kappa) * at);
}

static double HeavyIntegral(Heavy *y, double lower, double upper)
{
  gsl_integration_workspace *work = gsl_integration_workspace_alloc(2000);
  gsl_function               f    = {HeavyDensity, y};
  double                     value, error;

  assert_int_equal(gsl_integration_qag(&f, lower, upper, 0, 1e-11, 2000, GSL_INTEG_GAUSS31, work, &value, &error), 0);
  gsl_integration_workspace_free(work);
  return value;
}

static double HeavyCdf(double w, const double *parameter)
{
  Heavy y = {parameter[0], parameter[1], parameter[2], parameter[3], 0, parameter[4]};

  return HeavyIntegral(&y, 0.06, w);
}

static void test_heavy_tail(void **state)
{
  const double s = 0.8, p = 1.1, sigma = 0.9, eta = 0.15, B = 2, lower = 0.06, upper = 60;
  Heavy        y = {p, sigma * sigma / s, eta * s, B, 0, 1};
  double       parameter[5], slope, second, far[2] = {30, 50};
  Lab          lab;

  (void)state;
  LabOpen(
      &lab, "ald",
      "data_type gaussian data_teacher 1.1 data_label_noise 0.9 data_second_moment 0.8 training_learning_rate 0.15 "
      "training_batch_size 2 model_type chain model_depth 2 model_coordinates balanced mesh_lower 0.06 mesh_upper 60 "
      "mesh_map log mesh_cells 640");
  LabSolve(&lab, 2);
  y.norm       = HeavyIntegral(&y, lower, upper);
  parameter[0] = p;
  parameter[1] = y.kappa;
  parameter[2] = y.h;
  parameter[3] = B;
  parameter[4] = y.norm;
  CheckLaw(&lab, "Gaussian inputs", HeavyCdf, parameter);
  y.power = 2;
  second  = HeavyIntegral(&y, lower, upper);
  LabMeanWithin(&lab, "Gaussian inputs: E w^2", square, NULL, second, 1e-4);
  y.power = 4;
  LabMeanWithin(&lab, "Gaussian inputs: E w^4", fourth, NULL, HeavyIntegral(&y, lower, upper), 1e-3);
  { /* slope of the log density between two far cells */
    PetscInt         n, at[2] = {0};
    const PetscReal *z, *volume, *pi;

    must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, &z, NULL, &volume));
    must(FPGeneratorStationary(lab.gen[0], &pi));
    for (PetscInt k = 0; k < n; k++)
      for (int i = 0; i < 2; i++)
        if (z[k] < far[i]) at[i] = k;
    slope = log(pi[at[1]] / volume[at[1]] / (pi[at[0]] / volume[at[0]])) / log(z[at[1]] / z[at[0]]);
  }
  print_message("  Gaussian inputs: slope of the tail %.4f\n", slope);
  check(fabs(slope + 6) < 0.03, "the tail has slope %g, not -6", slope);
  LabClose(&lab);
}

/* w_1^2 - w_2^2 is an eigenfunction of langevin on every chain with decay l, with rate 2 l at every temperature. Even
   under w -> -w, it's found by its shape; walls are far. */
static void test_invariant(void **state)
{
  const char *keys[3] = {
      "data_type gaussian data_teacher 0.9 data_label_noise 0.5 data_second_moment 1.2 training_weight_decay 0.31 "
      "model_type chain model_depth 2 langevin_temperature 0.13 mesh_lower -3.4,-3.5 mesh_upper 3.5,3.4 mesh_cells "
      "96,80",
      "data_type gaussian data_teacher 0.9 data_label_noise 0.5 data_second_moment 1.2 training_weight_decay 0.23 "
      "model_type chain model_depth 2 langevin_temperature 0.05 mesh_lower -2.8,-2.7 mesh_upper 2.7,2.8 mesh_cells "
      "128,112",
      "data_type gaussian data_teacher 0.7 data_label_noise 0.5 data_second_moment 1.1 training_weight_decay 0.9 "
      "model_type chain model_depth 3 langevin_temperature 0.12 mesh_lower -1.9,-2,-1.9 mesh_upper 1.9,1.9,2 "
      "mesh_cells 24,24,24"};
  const double   rate[3] = {0.62, 0.46, 1.8}, tolerance[3] = {1e-2, 1e-2, 5e-2}, shape[3] = {1e-3, 1e-3, 2e-2};
  const PetscInt pairs[3] = {5, 5, 8};

  (void)state;
  for (int k = 0; k < 3; k++) {
    Lab      lab;
    double   v[FP_MAX_LEVELS], correlation = 0, value, error;
    PetscInt mode = 0;

    LabOpen(&lab, "langevin", keys[k]);
    LabSolve(&lab, pairs[k]);
    if (k < 2) {
      for (PetscInt l = lab.levels - 1; l >= 0; l--) {
        mode = LabFind(&lab, l, invariant, NULL, &correlation);
        v[l] = LabRate(&lab, l, mode);
      }
    } else { /* two modes share the rate: the span of w_i^2 - w_j^2 */
      for (PetscInt l = lab.levels - 1; l >= 0; l--) {
        double best = 1e9;

        for (PetscInt m = 1; m < lab.modes; m++)
          if (fabs(LabRate(&lab, l, m) - rate[k]) < best) {
            best = fabs(LabRate(&lab, l, m) - rate[k]);
            mode = m;
          }
        v[l] = LabRate(&lab, l, mode);
      }
      correlation = LabShare(&lab, 0, invariant, NULL, rate[k] * 0.1, LabRate(&lab, 0, mode));
    }
    LabBound(&lab, v, LabResidual(&lab, 0, mode), &value, &error);
    print_message("  mode %d, correlation 1 - %.1e\n", mode, 1 - correlation);
    LabWithin("w_1^2 - w_2^2: 2 l", value, error, rate[k], tolerance[k]);
    check(1 - correlation < shape[k], "the eigenfunction is not w_1^2 - w_2^2: correlation %g", correlation);
    LabClose(&lab);
  }
}

/* Law of P = w_1 w_2 under langevin with decay: exp(-s (P - p)^2/(2 T)) K0(l |P|/T). */
typedef struct {
  double s, p, l, T;
  int    power, sign; /* sign 1: keep the sign of P */
} Bessel;

static double BesselDensity(double P, void *context)
{
  const Bessel *y = (const Bessel *)context;
  double        x = 0;

  for (int side = -1; side <= 1; side += 2) /* both signs of the product, folded onto P > 0 */
    x += (side < 0 && y->sign ? -1 : 1) * exp(-y->s * (side * P - y->p) * (side * P - y->p) / (2 * y->T));
  return pow(P, y->power) * x * gsl_sf_bessel_K0(y->l * P / y->T);
}

static double BesselIntegral(Bessel y, int power, int sign)
{
  gsl_integration_workspace *work = gsl_integration_workspace_alloc(2000);
  gsl_function               f    = {BesselDensity, &y};
  double                     value, error;

  y.power = power;
  y.sign  = sign;
  assert_int_equal(gsl_integration_qags(&f, 0, 20, 0, 1e-12, 2000, work, &value, &error), 0);
  gsl_integration_workspace_free(work);
  return value;
}

static void test_bessel(void **state)
{
  const Bessel y    = {.s = 1.1, .p = 0.8, .l = 0.35, .T = 0.16};
  const double norm = BesselIntegral(y, 0, 0);
  const double two = 2, four = 4;
  Lab          lab;

  (void)state;
  LabOpen(
      &lab, "langevin",
      "data_type rademacher data_teacher 0.8 data_label_noise 0.6 data_second_moment 1.1 training_weight_decay 0.35 "
      "model_type chain model_depth 2 langevin_temperature 0.16 mesh_lower -6.3,-6.4 mesh_upper 6.4,6.3 mesh_cells "
      "128,120");
  LabSolve(&lab, 1);
  LabMeanWithin(&lab, "K0 law: E P", modulus, NULL, BesselIntegral(y, 1, 1) / norm, 1e-2);
  LabMeanWithin(&lab, "K0 law: E P^2", product, &two, BesselIntegral(y, 2, 0) / norm, 1e-2);
  LabMeanWithin(&lab, "K0 law: E P^4", product, &four, BesselIntegral(y, 4, 0) / norm, 1e-2);
  LabClose(&lab);
}

/* Eyring and Kramers: two wells at +-sqrt(p - l/s), each left in a mean time 2 pi/(s p - l) sqrt((s p + l)/(4 l)) exp(s
   (p
   - l/s)^2/(2 T)); the gap of the two-well chain is twice its inverse, the next order being a multiple of T. */
static void test_kramers(void **state)
{
  const double s = 0.9, p = 1.2, l = 0.2, a = p - l / s;
  const double T[3] = {0.09, 0.06, 0.04};
  double       last = 1;

  (void)state;
  for (int k = 0; k < 3; k++) {
    const double time  = 2 * PETSC_PI / (s * p - l) * sqrt((s * p + l) / (4 * l)) * exp(s * a * a / (2 * T[k]));
    const double exact = 2 / time;
    Lab          lab;
    char         keys[512];
    double       v[FP_MAX_LEVELS], value, error, defect;

    must(PetscSNPrintf(keys, sizeof keys,
                       "data_type rademacher data_teacher 1.2 data_label_noise 0.3 data_second_moment 0.9 "
                       "training_weight_decay 0.2 model_type chain model_depth 2 langevin_temperature %g "
                       "mesh_lower -2.6,-2.7 mesh_upper 2.7,2.6 mesh_cells 112,112",
                       T[k]));
    LabOpen(&lab, "langevin", keys);
    LabSolve(&lab, 2);
    for (PetscInt i = 0; i < lab.levels; i++) v[i] = LabRate(&lab, i, 1) - LabRate(&lab, i, 0);
    LabBound(&lab, v, LabResidual(&lab, 0, 1), &value, &error);
    defect = value / exact - 1;
    print_message("  T = %.2f: gap %.6g +- %.1e, Eyring-Kramers %.6g, ratio - 1 = %.4f = %.3f T\n", T[k], value, error,
                  exact, defect, defect / T[k]);
    check(error < 0.01 * value, "T = %g: bound %g of %g", T[k], error, value);
    check(fabs(defect) < last && fabs(defect) < 0.5 * T[k], "T = %g: the gap is %g of Eyring and Kramers'", T[k],
          value / exact);
    last = fabs(defect);
    LabClose(&lab);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gamma),      cmocka_unit_test(test_pearson),
                                     cmocka_unit_test(test_heavy_tail), cmocka_unit_test(test_invariant),
                                     cmocka_unit_test(test_bessel),     cmocka_unit_test(test_kramers)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (SlepcFinalize()) return 1;
  return failed;
}

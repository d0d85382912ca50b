/* t-refined.c: the third-order modified equation of SGD (preset ald3): its coefficients against closed forms, depth 1
   against exact moments, its order in the learning rate against the exact stationary law of SGD, its generator against
   quadrature, and what is refused. */
#include "lab.h"
#include "ask.h"

typedef struct {
  double b, b1, b2, Sigma, Sigma1, Sigma2; /* mean of one step over eta, variance over eta^2, with derivatives */
} Step;

/* Balanced chain: g = s (w^L - p) w^{L-1} + decay w, one sample's variance (kappa s^2 e^2 + sigma^2 s) w^{2L-2}, kappa
   2 for Gaussian inputs and 0 for signs. */
typedef struct {
  double s, p, sigma, decay, T, eta, B, kappa;
  int    L;
} Chain;

static Step StepAt(const Chain *c, double w)
{
  const int    L = c->L;
  const double e = pow(w, L) - c->p, e1 = L * pow(w, L - 1), e2 = L * (L - 1) * pow(w, L - 2);
  const double u = pow(w, L - 1), u1 = (L - 1) * pow(w, L - 2), u2 = (L - 1) * (L - 2) * pow(w, L - 3);
  const double v  = c->kappa * c->s * c->s * e * e + c->sigma * c->sigma * c->s;
  const double v1 = 2 * c->kappa * c->s * c->s * e * e1, v2 = 2 * c->kappa * c->s * c->s * (e1 * e1 + e * e2);
  const double U = u * u, U1 = 2 * u * u1, U2 = 2 * (u1 * u1 + u * u2);

  return (Step){.b      = -c->s * e * u - c->decay * w,
                .b1     = -c->s * (e1 * u + e * u1) - c->decay,
                .b2     = -c->s * (e2 * u + 2 * e1 * u1 + e * u2),
                .Sigma  = v * U / c->B + 2 * c->T / (c->L * c->eta),
                .Sigma1 = (v1 * U + v * U1) / c->B,
                .Sigma2 = (v2 * U + 2 * v1 * U1 + v * U2) / c->B};
}

static void OpenChain(Lab *lab, const Chain *c, const char process[], const char more[])
{
  char keys[1024];

  (void)snprintf(keys, sizeof keys,
                 "data_type %s data_teacher %.17g data_label_noise %.17g data_second_moment %.17g model_type chain "
                 "model_depth %d model_coordinates %s training_learning_rate %.17g training_batch_size %d "
                 "training_weight_decay %.17g training_temperature %.17g %s",
                 c->kappa > 0 ? "gaussian" : "rademacher", c->p, c->sigma, c->s, c->L,
                 c->L > 1 ? "balanced" : "weights", c->eta, (int)c->B, c->decay, c->T, more);
  LabOpen(lab, process, keys);
}

static void test_coefficients(void **state)
{
  static const Chain chains[] = {{0.83, 1.17, 0.45, 0.031, 0.013, 0.11, 3, 2, 2},
                                 {0.83, 1.17, 0.45, 0.031, 0.0, 0.07, 2, 2, 3},
                                 {0.91, -0.7, 0.6, 0.0, 0.02, 0.2, 1, 0, 1}};

  (void)state;
  for (size_t k = 0; k < sizeof chains / sizeof chains[0]; k++) {
    const Chain *c = &chains[k];
    Lab          lab;
    PetscInt     channels;

    OpenChain(&lab, c, "ald3", "");
    must(FPProcessGetChannels(lab.process, &channels));
    assert_int_equal(channels, 1);
    for (double w = -1.37; w < 1.6; w += 0.31) {
      const Step   t = StepAt(c, w);
      const double e = c->eta;
      const double b =
          t.b - e / 2 * t.b * t.b1 + e * e * (-t.Sigma * t.b2 / 4 + t.b * t.b1 * t.b1 / 3 + t.b * t.b * t.b2 / 12);
      const double D  = e / 2 * t.Sigma + e * e * (-t.b * t.Sigma1 / 4 - t.Sigma * t.b1 / 2);
      const double D1 = e / 2 * t.Sigma1 + e * e * (-0.75 * t.b1 * t.Sigma1 - t.b * t.Sigma2 / 4 - t.Sigma * t.b2 / 2);
      double       drift, diffusion, fick, S;

      FPProcessDrift(lab.process, 1, &w, &drift);
      FPProcessDiffusion(lab.process, 1, &w, &diffusion);
      FPProcessFick(lab.process, 1, &w, &fick);
      check(fabs(drift - b) < 1e-11 * (1 + fabs(b)), "b(%g) = %.15g, not %.15g", w, drift, b);
      check(fabs(diffusion - D) < 1e-11 * (1e-2 + fabs(D)), "D(%g) = %.15g, not %.15g", w, diffusion, D);
      check(fabs(fick - (b - D1)) < 1e-9 * (1 + fabs(b)), "v(%g) = %.15g, not %.15g", w, fick, b - D1);
      FPProcessWeightFactor(lab.process, 1, &w, &S);
      if (D > 0) check(fabs(S * S - 2 * D) < 1e-11 * (1e-2 + D), "S^2(%g) = %.15g, not %.15g", w, S * S, 2 * D);
    }
    LabClose(&lab);
  }
}

static double Square(const double *z, const double *center)
{
  return (z[0] - center[0]) * (z[0] - center[0]);
}

/* Depth 1, Gaussian inputs: b and D are a line and a parabola in w - p, so E e^2 is D(0)/(rate - D''/2); exact SGD has
   (eta sigma^2/B)/(2 - h (1 + 2/B)). The two part as h^2. */
static void test_kesten(void **state)
{
  const Chain c = {0.87, 0.6, 0.7, 0, 0, 0.13, 4, 2, 1};
  double      exact[2], apart[2];
  Lab         lab;

  (void)state;
  for (int r = 0; r < 2; r++) {
    const double h = c.eta * c.s / (r ? 8 : 1), noise = c.eta * c.sigma * c.sigma / c.B;

    exact[r] = noise * (1 + h) / (2 + h + 2 * h * h / 3 - 2 * h / c.B - 4 * h * h / c.B);
    apart[r] = exact[r] / (noise / (2 - h * (1 + 2 / c.B))) - 1;
  }
  OpenChain(&lab, &c, "ald3", "mesh_lower -0.9 mesh_upper 2.1 mesh_cells 256");
  LabSolve(&lab, 1);
  LabMeanWithin(&lab, "E e^2 of ald3 at depth 1", Square, &c.p, exact[0], 2e-3);
  LabClose(&lab);
  check(fabs(log2(apart[0] / apart[1]) / 3 - 2) < 0.1, "ald3 and SGD part as h^%g", log2(apart[0] / apart[1]) / 3);
}

/* Variance of w under the stationary law of dw = b dt + sqrt(2 D) dB on [low, high]: density exp(int b/D)/D. */
static double SdeVariance(FPProcess process, double low, double high)
{
  const int    n    = 8001;
  const double h    = (high - low) / (n - 1);
  double       mass = 0, first = 0, second = 0, top = -1e300;

  for (int pass = 0; pass < 2; pass++) {
    double integral = 0, last = 0, middle = 0;

    for (int k = 0; k < 2 * n - 1; k++) { /* Simpson's rule from node to node */
      const double w = low + 0.5 * k * h;
      double       b, D;

      FPProcessDrift(process, 1, &w, &b);
      FPProcessDiffusion(process, 1, &w, &D);
      if (k % 2) {
        middle = b / D;
        continue;
      }
      if (k) integral += h / 6 * (last + 4 * middle + b / D);
      last = b / D;
      if (!pass) {
        top = fmax(top, integral - log(D));
        continue;
      }
      const double rho = exp(integral - log(D) - top) * (k == 0 || k == 2 * n - 2 ? 0.5 : 1);

      mass += rho;
      first += rho * w;
      second += rho * w * w;
    }
  }
  return second / mass - first / mass * (first / mass);
}

/* The same of SGD itself on a 2-chain with signs as inputs: given w the next weight is Gaussian with mean
   w - eta s (w^2 - p) w and deviation eta sigma sqrt(s/B) w, so the trapezoidal rule for its Markov kernel is exact to
   rounding once the spacing is under the deviation. */
static double SgdVariance(const Chain *c, double low, double high)
{
  enum { N = 300 };
  static double P[N][N];
  double        rho[N], next[N], first = 0, second = 0, mass = 0;
  const double  h = (high - low) / (N - 1);

  for (int j = 0; j < N; j++) {
    const double w = low + j * h, mean = w - c->eta * c->s * (w * w - c->p) * w;
    const double sd = c->eta * c->sigma * sqrt(c->s / c->B) * w;

    check(h < 0.9 * sd, "grid of the exact law too coarse: %g of %g", h, sd);
    for (int i = 0; i < N; i++) {
      const double u = (low + i * h - mean) / sd;

      P[i][j] = h * exp(-0.5 * u * u) / (sd * sqrt(2 * M_PI));
    }
    rho[j] = exp(-30 * (w - sqrt(c->p)) * (w - sqrt(c->p)));
  }
  for (int step = 0; step < (int)(12 / (c->eta * c->s * c->p)); step++) {
    double sum = 0;

    for (int i = 0; i < N; i++) {
      next[i] = 0;
      for (int j = 0; j < N; j++) next[i] += P[i][j] * rho[j];
      sum += next[i];
    }
    for (int i = 0; i < N; i++) rho[i] = next[i] / sum;
  }
  for (int i = 0; i < N; i++) {
    const double w = low + i * h;

    mass += rho[i];
    first += rho[i] * w;
    second += rho[i] * w * w;
  }
  return second / mass - first / mass * (first / mass);
}

/* Relative error of the stationary variance: order 1 for langevin, ald and ald2, whose error is the larger; 2 for ald3,
   as the third cumulant of a step with signs as inputs vanishes. */
static void test_order(void **state)
{
  static const char *const process[] = {"langevin", "ald", "ald2", "ald3"};
  static const double      eta[] = {0.16, 0.08}, low[] = {0.9, 0.9, 0.9, 1.8}, high[] = {1.1, 1.1, 1.1, 2.2};
  double                   error[4][2];

  (void)state;
  for (int r = 0; r < 2; r++) {
    char temperature[64]; /* that gives langevin the diffusion of ald at the minimum, eta sigma^2 s p/(2B) = T/2 */
    const Chain  c     = {0.91, 1.2, 0.5, 0, 0, eta[r], 2, 0, 2};
    const double width = 7 * sqrt(eta[r] * 0.035), center = sqrt(c.p),
                 exact = SgdVariance(&c, center - width, center + width);

    (void)snprintf(temperature, sizeof temperature, "langevin_temperature %.17g",
                   c.eta * c.sigma * c.sigma * c.s * c.p / c.B);
    for (int k = 0; k < 4; k++) {
      Lab lab;

      OpenChain(&lab, &c, process[k], k ? "" : temperature);
      error[k][r] = SdeVariance(lab.process, center - width, center + width) / exact - 1;
      LabClose(&lab);
    }
  }
  for (int k = 0; k < 4; k++) {
    const double order = log2(fabs(error[k][0] / error[k][1]));

    print_message("  %-9s error %9.2e, %9.2e: order %.3f\n", process[k], error[k][0], error[k][1], order);
    check(order > low[k] - 0.1 && order < high[k] + 0.1, "%s has order %g", process[k], order);
  }
  check(fabs(error[2][0]) > fabs(error[1][0]) && fabs(error[3][1]) < 0.4 * fabs(error[1][1]),
        "ald %g, ald2 %g, ald3 %g", error[1][0], error[2][0], error[3][0]);
}

/* The generator on its grids against the same quadrature; E w = (E w^2 + 1 - E (w - 1)^2)/2. */
static void test_generator(void **state)
{
  const Chain  c    = {0.91, 1.2, 0.5, 0.05, 0.004, 0.19, 2, 2, 2};
  const double zero = 0, one = 1;
  double       value[FP_MAX_LEVELS], result, error;
  Lab          lab;

  (void)state;
  OpenChain(&lab, &c, "ald3", "mesh_lower 0.3 mesh_upper 1.9 mesh_cells 192");
  LabSolve(&lab, 1);
  for (PetscInt l = 0; l < lab.levels; l++) {
    const double second = LabMean(&lab, l, Square, &zero), mean = 0.5 * (second + 1 - LabMean(&lab, l, Square, &one));

    value[l] = second - mean * mean;
  }
  LabBound(&lab, value, 0, &result, &error);
  LabWithin("variance of ald3 by generator", result, error, SdeVariance(lab.process, 0.3, 1.9), 1e-2);
  LabClose(&lab);
}

/* Exponent at the saddle of a 2-chain. That of SGD is E ln |1 + eta U|/eta, U = x y, whose expansion in eta ald3 has to
   second order but for the third cumulant of U: the rest falls with the cube. */
static void test_exponent(void **state)
{
  const double s = 0.9, p = 0.8, sigma = 0.7, k = s * p, c = 2 * k * k + sigma * sigma * s;
  const double third = 8 * k * k * k + 6 * k * sigma * sigma * s; /* cumulant of x (p x + xi) */
  double       rest[2];

  (void)state;
  for (int r = 0; r < 2; r++) {
    const double eta  = r ? 0.01 : 0.02;
    const char  *keys = "data_type=gaussian data_teacher=%g data_label_noise=%g data_second_moment=%g model_type=chain "
                        "model_depth=2 model_coordinates=balanced training_batch_size=1 training_learning_rate=%g";
    const double exact = k - eta * (k * k + c) / 2 + eta * eta * (k * k * k / 3 + k * c);
    PetscReal    value, error, sgd;
    Asked        a;

    AskExact(&a, "lyapunov", "ald3", keys, p, sigma, s, eta);
    value = AskValue(&a, "ald3", "exact", "lyapunov", "exponent_at[origin]", &error);
    AskClose(&a);
    check(fabs(value - exact) < 1e-12, "exponent of ald3 %.15g, not %.15g", value, exact);
    AskExact(&a, "lyapunov", "sgd", keys, p, sigma, s, eta);
    sgd = AskValue(&a, "sgd", "exact", "lyapunov", "exponent_at[origin]", &error);
    AskClose(&a);
    rest[r] = sgd - value - eta * eta * third / 3;
  }
  print_message("  beyond ald3 and the third cumulant: %.3e, %.3e\n", rest[0], rest[1]);
  check(fabs(log2(rest[0] / rest[1]) - 3) < 0.2, "the exponents part as eta^%g", log2(rest[0] / rest[1]));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_coefficients), cmocka_unit_test(test_kesten),
                                     cmocka_unit_test(test_order), cmocka_unit_test(test_generator),
                                     cmocka_unit_test(test_exponent)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

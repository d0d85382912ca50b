/* t-transfer.c: the transfer operator of discrete algorithms against closed forms, brute sums and Chebyshev
   collocation. One weight, y = p x + xi, x ~ N(0, s), Var xi = v, h = eta s: e' = (1 - eta X) e + eta Z is linear, so
   mu_n = E (1 - eta X)^n, and moments are recursions. */
#include "lab.h"
#include "scene.h"
#include <math.h>

#define WEIGHT "model_type chain model_depth 1 data_type gaussian data_teacher 0.7 "

static double Square(const double *z, const double *centre)
{
  return (z[0] - centre[0]) * (z[0] - centre[0]);
}

static double Fourth(const double *z, const double *centre)
{
  return Square(z, centre) * Square(z, centre);
}

/* mu of mode k on grid l */
static double Multiplier(const Lab *lab, PetscInt l, PetscInt k)
{
  const PetscReal *mu;

  must(FPGeneratorGetMultipliers(lab->gen[l], &mu));
  return mu[2 * k];
}

/* E (1 - eta X)^n for X = s chi^2_B/B */
static double Power(double h, int B, int n)
{
  double sum = 0, moment = 1, binomial = 1;

  for (int k = 0; k <= n; k++) {
    sum += binomial * pow(-h, k) * moment;
    moment *= (B + 2.0 * k) / B;
    binomial *= (n - k) / (k + 1.0);
  }
  return sum;
}

/* All mu and the variance of SGD on one weight; order 2 of the variance; values inside their bounds. */
static void test_linear(void **state)
{
  const double eta = 0.17, s = 1.3, v = 0.36, centre[1] = {0.7};
  const int    B        = 3;
  const double variance = eta * v / B / (2 - eta * s * (1 + 2.0 / B));
  Lab          lab;
  double       error[FP_MAX_LEVELS] = {0};

  (void)state;
  LabOpen(&lab, "sgd",
          WEIGHT "data_second_moment 1.3 data_label_noise 0.6 training_learning_rate 0.17 training_batch_size 3 "
                 "mesh_lower -1.3 mesh_upper 2.8 mesh_cells 304");
  LabSolve(&lab, 4);
  LabMeanWithin(&lab, "variance", Square, centre, variance, 0.01);
  for (PetscInt n = 1; n < 5; n++) LabRateWithin(&lab, "rate", n, -log(Power(eta * s, B, (int)n)) / eta, 0.02);
  for (PetscInt l = 0; l < lab.levels; l++) error[l] = LabMean(&lab, l, Square, centre) - variance;
  check(log(error[2] / error[0]) / log(2) > 1.9 && log(error[2] / error[0]) / log(2) < 2.1, "order of the variance: %g",
        log(error[2] / error[0]) / log(2));
  for (PetscInt n = 0; n < 5; n++) /* of a linear map hats take polynomials to polynomials: nearly exact */
    check(fabs(Multiplier(&lab, 2, n) - Power(eta * s, B, (int)n)) < 1e-5, "mu_%d = %.10g, exact %.10g", (int)n,
          Multiplier(&lab, 2, n), Power(eta * s, B, (int)n));
  LabClose(&lab);
}

/* Signs: x^2 = s, an autoregression with mu_n = (1 - h)^n, negative for h > 1, where rates belong to turning modes. */
static void test_signs(void **state)
{
  const PetscReal *frequency;
  const double     h = 1.3 * 1.2, centre[1] = {-0.4};
  Lab              lab;

  (void)state;
  LabOpen(&lab, "sgd",
          "model_type chain model_depth 1 data_type rademacher data_teacher -0.4 data_second_moment 1.2 "
          "data_label_noise 0.3 training_learning_rate 1.3 training_batch_size 4 mesh_lower -2.4 mesh_upper 1.5 "
          "mesh_cells 192");
  LabSolve(&lab, 3);
  LabMeanWithin(&lab, "variance", Square, centre, 1.3 * 1.3 * 0.09 * 1.2 / 4 / (1 - (1 - h) * (1 - h)), 0.01);
  for (PetscInt n = 0; n < 4; n++)
    check(fabs(Multiplier(&lab, 0, n) - pow(1 - h, n)) < 2e-3, "mu_%d = %g, exact %g", (int)n, Multiplier(&lab, 0, n),
          pow(1 - h, n));
  must(FPGeneratorGetModes(lab.gen[0], NULL, NULL, &frequency, NULL));
  check(fabs(frequency[1] - M_PI / 1.3) < 1e-9 && frequency[2] < 1e-9, "frequencies %g %g", frequency[1], frequency[2]);
  LabClose(&lab);
}

/* SVAG(l): variance eta v/B/(2 - h/l - 2 h/B). */
static void test_svag(void **state)
{
  const double eta = 0.21, s = 1.1, v = 0.49, centre[1] = {0.7};
  Lab          lab;

  (void)state;
  LabOpen(&lab, "svag",
          WEIGHT "data_second_moment 1.1 data_label_noise 0.7 training_learning_rate 0.21 training_batch_size 2 "
                 "svag_svag_order 3 mesh_lower -1 mesh_upper 2.4 mesh_cells 80 transfer_nodes 6");
  LabSolve(&lab, 2);
  LabMeanWithin(&lab, "variance", Square, centre, eta * v / 2 / (2 - eta * s / 3 - 2 * eta * s / 2), 0.1);
  LabClose(&lab);
}

/* A file of rows: moments of e' = (1 - eta X) e + eta Z by sums over the rows, for one row and for batches of four by
   the lattice, whose mean and variance are exact. */
static void test_rows(void **state)
{
  const double eta = 0.3, T = 0.02, row[5][2] = {{1, 0.9}, {-0.7, 0.1}, {1.6, 0.4}, {0.3, -0.8}, {-1.2, -1.5}};
  char         file[] = "/tmp/dlnfp-rows-XXXXXX";
  FILE        *f      = fdopen(mkstemp(file), "w");

  (void)state;
  fprintf(f, "x,y\n");
  for (int i = 0; i < 5; i++) fprintf(f, "%g,%g\n", row[i][0], row[i][1]);
  fclose(f);
  for (int B = 1; B <= 4; B += 3) {
    double a = 0, c = 0, aa = 0, ac = 0, cc = 0, mean, second;
    char   keys[512];
    Lab    lab;

    for (int i = 0; i < 5; i++) { /* w' = A w + C for one row */
      const double A = 1 - eta * row[i][0] * row[i][0], C = eta * row[i][0] * row[i][1];

      a += A / 5;
      c += C / 5;
      aa += A * A / 5;
      ac += A * C / 5;
      cc += C * C / 5;
    }
    aa     = a * a + (aa - a * a) / B;
    ac     = a * c + (ac - a * c) / B;
    cc     = c * c + (cc - c * c) / B;
    mean   = c / (1 - a);
    second = (2 * ac * mean + cc + 2 * eta * T) / (1 - aa);
    snprintf(
        keys, sizeof(keys),
        "model_type chain model_depth 1 data_type file data_path %s data_inputs x data_targets y data_center false "
        "training_learning_rate 0.3 training_batch_size %d training_temperature 0.02 mesh_lower -3.1 mesh_upper 4.3 "
        "mesh_cells 256",
        file, B);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 2);
    LabMeanWithin(&lab, "variance", Square, &mean, second - mean * mean, 0.02);
    LabRateWithin(&lab, "first rate", 1, -log(a) / eta, 0.01);
    LabRateWithin(&lab, "second rate", 2, -log(aa) / eta, 0.02);
    LabClose(&lab);
  }
  must(remove(file));
}

/* Chebyshev collocation of the same operator, f -> E f(w'), w' = w - eta (X (P - p) - Z) w: the normal
   variables by a trapezoidal sum, without hats. Returns mu_1, by the power method after the constant is taken out. */
#define POINTS 56
static void Barycentric(const double x[], double at, double l[])
{
  double sum = 0;

  for (int j = 0; j < POINTS; j++) {
    const double w = (j % 2 ? -1.0 : 1.0) * sin(M_PI * (j + 0.5) / POINTS);

    l[j] = fabs(at - x[j]) < 1e-14 ? 1e30 : w / (at - x[j]);
    sum += l[j];
  }
  for (int j = 0; j < POINTS; j++) l[j] /= sum;
}

static double Chebyshev(double eta, double s, double sigma, double p, double T, double low, double high)
{
  static double P[POINTS][POINTS];
  double        x[POINTS], f[POINTS], g[POINTS], mu = 0;

  for (int i = 0; i < POINTS; i++) x[i] = (low + high) / 2 - (high - low) / 2 * cos(M_PI * (i + 0.5) / POINTS);
  for (int i = 0; i < POINTS; i++) {
    for (int j = 0; j < POINTS; j++) P[i][j] = 0;
    for (double t = -8; t < 8.001; t += 0.05) { /* label noise and injected noise as one normal variable */
      const double sd   = sqrt(eta * eta * sigma * sigma * s * x[i] * x[i] + 2 * eta * T / 2);
      const double at   = x[i] - eta * s * (x[i] * x[i] - p) * x[i] + sd * t;
      const double mass = 0.05 / sqrt(2 * M_PI) * exp(-t * t / 2);
      double       l[POINTS];

      if (at < low || at > high) continue;
      Barycentric(x, at, l);
      for (int j = 0; j < POINTS; j++) P[i][j] += mass * l[j];
    }
    f[i] = sin(3 * x[i]) + x[i];
  }
  for (int step = 0; step < 4000; step++) { /* differences from the value at one point lose the constant mode */
    double norm = 0;

    for (int i = 0; i < POINTS; i++) {
      g[i] = 0;
      for (int j = 0; j < POINTS; j++) g[i] += P[i][j] * f[j];
    }
    for (int i = 0; i < POINTS; i++) norm = fmax(norm, fabs(g[i] - g[0]));
    mu = (g[POINTS - 1] - g[0]) / (f[POINTS - 1] - f[0]);
    for (int i = 0; i < POINTS; i++) f[i] = (g[i] - g[0]) / norm;
  }
  return mu;
}

/* Two weights, balanced, signs, injected noise: rate and bound against collocation. */
static void test_balanced(void **state)
{
  Lab          lab;
  double       order;
  const double exact = Chebyshev(0.3, 1.0, 0.8, 0.9, 0.15, -2.6, 2.6);

  (void)state;
  LabOpen(&lab, "sgd",
          "model_type chain model_depth 2 model_coordinates balanced data_type rademacher data_teacher 0.9 "
          "data_second_moment 1 data_label_noise 0.8 training_learning_rate 0.3 training_batch_size 1 "
          "training_temperature 0.15 mesh_lower -2.6 mesh_upper 2.6 mesh_cells 192");
  LabSolve(&lab, 3);
  LabRateWithin(&lab, "gap against Chebyshev", 1, -log(exact) / 0.3, 0.02);
  order = log((exact - Multiplier(&lab, 2, 1)) / (exact - Multiplier(&lab, 0, 1))) / log(2);
  check(order > 1.9 && order < 2.1, "order %g", order);
  LabClose(&lab);
}

/* P keeps the constant, gives positive laws of mass 1, and k steps are k applications; between two, their mean. */
static void test_evolve(void **state)
{
  Lab             lab;
  PetscInt        n;
  PetscReal      *law, *out, *step, error[3], sum = 0;
  const PetscReal times[3] = {0.2, 0.3, 0.2 * 300};

  (void)state;
  LabOpen(&lab, "sgd",
          WEIGHT "data_second_moment 1.3 data_label_noise 0.6 training_learning_rate 0.2 training_batch_size 2 "
                 "mesh_lower -1 mesh_upper 2.4 mesh_cells 64 mesh_refine 1");
  LabSolve(&lab, 1);
  must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, NULL, NULL, NULL));
  must(PetscCalloc1(n, &law));
  must(PetscMalloc2(3 * n, &out, 2 * n, &step));
  law[n / 3] = 1;
  must(FPGeneratorEvolve(lab.gen[0], PETSC_FALSE, law, 3, times, out, error));
  must(FPGeneratorApply(lab.gen[0], PETSC_FALSE, law, step));
  for (PetscInt k = 0; k < n; k++) step[k] = law[k] + 0.2 * step[k];
  must(FPGeneratorApply(lab.gen[0], PETSC_FALSE, step, step + n));
  for (PetscInt k = 0; k < n; k++) {
    check(fabs(out[k] - step[k]) < 1e-14 && out[k] > -1e-16, "one step at %d", (int)k);
    check(fabs(out[n + k] - step[k] - 0.1 * step[n + k]) < 1e-14, "one and a half steps at %d", (int)k);
    sum += out[2 * n + k];
  }
  check(fabs(sum - 1) < 1e-12, "mass %.15g after 300 steps", sum);
  {
    const PetscReal *pi;

    must(FPGeneratorStationary(lab.gen[0], &pi));
    for (PetscInt k = 0; k < n; k++)
      check(fabs(out[2 * n + k] - pi[k]) < 1e-11, "law after 300 steps at %d: %g, %g", (int)k, out[2 * n + k], pi[k]);
  }
  must(PetscFree2(out, step));
  must(PetscFree(law));
  LabClose(&lab);
}

/* Many steps over a barrier, and out of walls: as many products, within the error that is told and 1e-13 of rounding.
 */
static void test_many_steps(void **state)
{
  static const char *const grid[3]  = {"mesh_cells 96", "mesh_cells 48 transfer_order 4",
                                       "mesh_cells 80 mesh_faces absorbing"};
  const PetscReal          steps[3] = {37, 700, 12000};

  (void)state;
  for (int g = 0; g < 3; g++) {
    char keys[512];
    Lab  lab;

    snprintf(keys, sizeof keys,
             "model_type chain model_depth 2 model_coordinates balanced data_type gaussian data_teacher 0.8 "
             "data_second_moment 0.9 "
             "data_label_noise 0.6 training_learning_rate 0.15 training_batch_size 1 training_temperature 0.04 "
             "mesh_lower -1.9 mesh_upper 2.1 mesh_refine 1 %s",
             grid[g]);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 1);
    for (int backward = 0; backward < 2; backward++) {
      PetscInt         n;
      const PetscReal *z;
      PetscReal       *x, *out, *change, times[3], error[3];

      must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, &z, NULL, NULL));
      must(PetscMalloc3(n, &x, 3 * n, &out, n, &change));
      for (PetscInt k = 0; k < n; k++) x[k] = backward ? sin(3 * z[k]) : k == n / 3;
      for (int t = 0; t < 3; t++) times[t] = 0.15 * steps[t];
      must(FPGeneratorEvolve(lab.gen[0], (PetscBool)backward, x, 3, times, out, error));
      for (int t = 0, done = 0; t < 3; t++) {
        double difference = 0;

        for (; done < steps[t]; done++) {
          must(FPGeneratorApply(lab.gen[0], (PetscBool)backward, x, change));
          for (PetscInt k = 0; k < n; k++) x[k] += 0.15 * change[k];
        }
        for (PetscInt k = 0; k < n; k++)
          difference =
              backward ? fmax(difference, fabs(out[t * n + k] - x[k])) : difference + fabs(out[t * n + k] - x[k]);
        check(difference < error[t] + 1e-13 && error[t] < 2e-12, "%s, %s, %g steps: off by %g, told %g", grid[g],
              backward ? "functions" : "laws", steps[t], difference, error[t]);
      }
      must(PetscFree3(x, out, change));
    }
    LabClose(&lab);
  }
}

/* The probability to leave [-L, L] at the first step from the middle is the normal tail; the chain's own survival is
   that of its killing. A learning rate at which the chain grows diverges at a rate, 1 - mu_0. */
static void test_divergence(void **state)
{
  const PetscReal *beyond, *z;
  PetscInt         n;
  Lab              lab;

  (void)state;
  LabOpen(&lab, "sgd",
          "model_type chain model_depth 1 data_type rademacher data_teacher 0.3 data_second_moment 1 data_label_noise "
          "0.8 training_learning_rate 0.6 training_batch_size 1 mesh_lower -1 mesh_upper 1.2 mesh_cells 96 mesh_faces "
          "absorbing");
  LabSolve(&lab, 1);
  must(FPGeneratorGetBeyond(lab.gen[0], &beyond));
  must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, &z, NULL, NULL));
  for (PetscInt k = 0; k < n; k++) {
    const double mean = z[k] - 0.6 * (z[k] - 0.3), sd = 0.6 * 0.8;
    const double exact = 0.5 * erfc((mean + 1) / sd * M_SQRT1_2) + 0.5 * erfc((1.2 - mean) / sd * M_SQRT1_2);

    check(fabs(beyond[k] - exact) < 1e-13, "leaves from %g with %g, exact %g", z[k], beyond[k], exact);
  }
  check(Multiplier(&lab, 0, 0) < 1 - 1e-3 && Multiplier(&lab, 0, 0) > 0.7, "mu_0 = %g", Multiplier(&lab, 0, 0));
  for (PetscInt l = 1; l < lab.levels; l++)
    check(fabs(Multiplier(&lab, l, 0) - Multiplier(&lab, 0, 0)) < 1e-3, "mu_0 = %g on grid %d", Multiplier(&lab, l, 0),
          (int)l);
  LabClose(&lab);
}

/* Kurtosis of one weight: the fourth moment of the linear recursion. */
static void test_fourth(void **state)
{
  const double h = 0.25 * 0.9, q = 0.25 * 0.25 * 0.9 * 0.25, centre[1] = {0.7}; /* B = 1: Z given X is N(0, v X) */
  const double m2 = q / (1 - (1 - 2 * h + 3 * h * h));
  const double a  = 1 - 4 * h + 6 * 3 * h * h - 4 * 15 * h * h * h + 105 * h * h * h * h;
  const double b = 6 * q * m2 * (1 - 2 * 3 * h + 15 * h * h), c = 3 * q * q * 3;
  Lab          lab;

  (void)state;
  LabOpen(&lab, "sgd",
          WEIGHT "data_second_moment 0.9 data_label_noise 0.5 training_learning_rate 0.25 training_batch_size 1 "
                 "mesh_lower -7 mesh_upper 8.4 mesh_cells 384 mesh_map sinh:0.7:4");
  LabSolve(&lab, 1);
  LabMeanWithin(&lab, "fourth moment", Fourth, centre, (b + c) / (1 - a), 0.1);
  LabClose(&lab);
}

/* Gaussian data on two weights, B = 1, label noise 1/2, learning rate 0.3: 3.5e-4 of the particles diverge per step
   (simulated elsewhere), where the boundary is far beyond the law. */
static void test_runaway(void **state)
{
  Lab    lab;
  double rate, error, v[FP_MAX_LEVELS];

  (void)state;
  LabOpen(&lab, "sgd",
          "model_type chain model_depth 2 model_coordinates balanced data_type gaussian data_teacher 1 "
          "data_second_moment 1 data_label_noise 0.5 training_learning_rate 0.3 training_batch_size 1 mesh_lower 0.01 "
          "mesh_upper 40 mesh_cells 192 mesh_map log mesh_faces reflecting,absorbing");
  LabSolve(&lab, 1);
  for (PetscInt l = 0; l < lab.levels; l++) v[l] = 1 - Multiplier(&lab, l, 0);
  LabBound(&lab, v, 0, &rate, &error);
  check(error < 0.05e-4, "%g +- %g diverge per step", rate, error);
  check(fabs(rate - 3.5e-4) < 0.1e-4, "%g diverge per step", rate);
  LabClose(&lab);
}

static double Covariance(const double *z, const double *which)
{
  return z[(int)which[0]] * z[(int)which[1]];
}

/* Two coordinates, noise of full rank: S = K S K^T + N, K = 1 - eta A, N = 2 eta D + 2 eta T, by iteration; mu are
   those of K, and turn. */
static void test_plane(void **state)
{
  const double     K[2][2] = {{1 - 0.3 * 0.9, 0.3 * 0.8}, {-0.3 * 0.5, 1 - 0.3 * 1.1}};
  const double     N[2][2] = {{0.6 * (0.3 + 0.25), 0.6 * 0.1}, {0.6 * 0.1, 0.6 * (0.2 + 0.25)}};
  const double     det     = K[0][0] * K[1][1] - K[0][1] * K[1][0];
  const PetscReal *rate, *frequency;
  double           S[2][2] = {{0}};
  Lab              lab;

  (void)state;
  for (int step = 0; step < 400; step++) {
    double next[2][2];

    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) {
        next[i][j] = N[i][j];
        for (int k = 0; k < 4; k++) next[i][j] += K[i][k / 2] * S[k / 2][k % 2] * K[j][k % 2];
      }
    memcpy(S, next, sizeof(S));
  }
  LabOpen(&lab, "sgd",
          "model_type ou model_drift 0.9,-0.8,0.5,1.1 model_diffusion 0.3,0.1,0.1,0.2 training_learning_rate 0.3 "
          "training_temperature 0.25 mesh_lower -4.2,-4.4 mesh_upper 4.4,4.2 mesh_cells 32,32");
  LabSolve(&lab, 2);
  LabMeanWithin(&lab, "covariance 1 1", Covariance, (const double[2]){0, 0}, S[0][0], 0.05);
  LabMeanWithin(&lab, "covariance 1 2", Covariance, (const double[2]){0, 1}, S[0][1], 0.2);
  LabMeanWithin(&lab, "covariance 2 2", Covariance, (const double[2]){1, 1}, S[1][1], 0.05);
  must(FPGeneratorGetModes(lab.gen[0], NULL, &rate, &frequency, NULL));
  check(fabs(rate[1] + log(det) / 0.6) < 1e-4, "rate %g, exact %g", rate[1], -log(det) / 0.6);
  check(fabs(frequency[1] - acos((K[0][0] + K[1][1]) / 2 / sqrt(det)) / 0.3) < 1e-4, "frequency %g", frequency[1]);
  LabClose(&lab);
}

/* Of one weight rho_k = (1 - h)^k: integrated time eta (1/h - 1/2); between steps the mean of two. MSD 2 Var (1 - rho).
 */
static void test_correlations(void **state)
{
  const char  *keys = "model_type=chain model_depth=1 data_type=gaussian data_teacher=0.7 data_second_moment=1.3 "
                      "data_label_noise=0.6 training_learning_rate=0.2 training_batch_size=3 mesh_lower=-1.3 "
                      "mesh_upper=2.7 mesh_cells=256 autocorrelation_times=0,0.2,0.7 msd_times=0,0.2,0.7";
  const double h = 0.26, rho = 0.5 * (pow(1 - h, 3) + pow(1 - h, 4));
  const double variance = 0.2 * 0.36 / 3 / (2 - h * (1 + 2.0 / 3));
  double       got;

  (void)state;
  got = SceneAnswer("autocorrelation", "sgd", keys, "integrated_time_p");
  check(fabs(got - 0.2 * (1 / h - 0.5)) < 1e-8, "integrated time %.12g, exact %.12g", got, 0.2 * (1 / h - 0.5));
  got = SceneAnswer("autocorrelation", "sgd", keys, "p[t=0.7]");
  check(fabs(got - rho) < 1e-8, "correlation %.12g, exact %.12g", got, rho);
  got = SceneAnswer("msd", "sgd", keys, "msd[t=0.7]");
  check(fabs(got - 2 * variance * (1 - rho)) < 1e-2 * got, "msd %.12g, exact %.12g", got, 2 * variance * (1 - rho));
}

/* Signs with h = 1: steps are independent, so exits from (a, b) are geometric: mean eta/q, variance eta^2 (1 - q)/q^2,
   rate -ln(1 - q)/eta, q the probability outside. */
static void test_exit(void **state)
{
  const char *keys =
      "model_type=chain model_depth=1 data_type=rademacher data_teacher=0.2 data_second_moment=2 "
      "data_label_noise=0.9 training_learning_rate=0.5 training_batch_size=2 mesh_lower=-4 mesh_upper=4.3 "
      "mesh_cells=100 exit_region=box exit_center=0.13 exit_radius=0.64";
  const double sd = 0.5 * 0.9, q = 0.5 * erfc(0.71 / sd * M_SQRT1_2) + 0.5 * erfc(0.57 / sd * M_SQRT1_2);

  (void)state;
  check(fabs(SceneAnswer("exit", "sgd", keys, "mean_time") - 0.5 / q) < 1e-9, "mean time");
  check(fabs(SceneAnswer("exit", "sgd", keys, "variance_time") - 0.25 * (1 - q) / q / q) < 1e-9, "variance");
  check(fabs(SceneAnswer("exit", "sgd", keys, "rate") + log(1 - q) / 0.5) < 1e-9, "rate");
}

/* The same in the plane: every step from anywhere is N(0, 2 eta (D + T)). A boundary that cuts cells costs a few per
   cent of the square of their width. */
static void test_exit_plane(void **state)
{
  const double sd[2] = {sqrt(0.8 * (0.5 + 0.3)), sqrt(0.8 * (0.2 + 0.3))};
  const double q     = 1 - erf(0.73 / sd[0] * M_SQRT1_2) * erf(0.61 / sd[1] * M_SQRT1_2);
  double       error[2];

  (void)state;
  for (int k = 0; k < 2; k++) {
    char keys[512];

    snprintf(keys, sizeof(keys),
             "model_type=ou model_drift=2.5,0,0,2.5 model_diffusion=0.5,0,0,0.2 training_learning_rate=0.4 "
             "training_temperature=0.3 mesh_lower=-4.5,-4.3 mesh_upper=4.4,4.5 mesh_cells=%d,%d exit_region=box "
             "exit_center=0,0 exit_radius=0.73,0.61 exit_start=0,0",
             24 << k, 24 << k);
    error[k] = fabs(SceneAnswer("exit", "sgd", keys, "mean_time") - 0.4 / q) * q / 0.4;
    check(error[k] < (k ? 0.0125 : 0.05), "mean time is off by %g", error[k]);
  }
}

/* What no step is known of stops before any work. */
static void test_refused(void **state)
{
  static const char *const keys[][2] = {
      {"sgd", "data_type=gaussian data_teacher=1 model_type=chain model_depth=1"},
      {"gd", "data_type=gaussian data_teacher=1 model_type=chain model_depth=1 data_label_noise=1"},
      {"sgd", "data_type=gaussian data_teacher=1 model_type=chain model_depth=2 data_label_noise=1"},
      {"sgd", "data_type=gaussian data_teacher=1,0,0,1 model_type=symmetric model_rank=1 data_label_noise=1"},
      {"sgd", "data_type=gaussian data_teacher=1,0,0,1 model_type=symmetric model_rank=1 data_label_noise=4 "
              "training_temperature=0.01"}};

  (void)state;
  for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
    Scene          s;
    PetscErrorCode ierr;

    SceneOpen(&s, keys[k][0], "%s training_learning_rate=0.1 mesh_lower=%s mesh_upper=%s mesh_cells=%s", keys[k][1],
              k < 2 ? "-2" : "-2,-2", k < 2 ? "2" : "2,2", k < 2 ? "32" : "32,32");
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    ierr = FPTransferCheck(s.process, &s.options);
    must(PetscPopErrorHandler());
    check(ierr == PETSC_ERR_USER_INPUT, "%s %s: %d", keys[k][0], keys[k][1], (int)ierr);
    SceneClose(&s);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_linear),       cmocka_unit_test(test_signs),      cmocka_unit_test(test_svag),
      cmocka_unit_test(test_rows),         cmocka_unit_test(test_balanced),   cmocka_unit_test(test_evolve),
      cmocka_unit_test(test_many_steps),   cmocka_unit_test(test_divergence), cmocka_unit_test(test_runaway),
      cmocka_unit_test(test_correlations), cmocka_unit_test(test_exit),       cmocka_unit_test(test_plane),
      cmocka_unit_test(test_exit_plane),   cmocka_unit_test(test_refused),    cmocka_unit_test(test_fourth)};
  int failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  return SlepcFinalize() || failed;
}

/* t-edge.c: gradient descent at and beyond the edge of stability: cycles, multipliers, period doubling and exponents of
   the cubic map of the balanced 2-chain, u' = (1 + hp) u - u^3 with u = sqrt(h) w, h = eta E x^2; and the flows that
   stand for its time average, one of them from a table. */
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

/* Six rows +-sqrt(3) l_j, l_j the columns of the Cholesky factor of C = I - 0.99 v v^T, and targets u.x: E x x^T = C
 * has one slow mode, v, along which p_i = w_i^2 comes to u_i. */
static void WriteCoupled(const char path[], const double u[])
{
  const double v[3] = {0.58, 0.575, 0.57}, size = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
  double       l[3][3] = {{0}};
  FILE        *f       = fopen(path, "w");

  assert_non_null(f);
  for (int j = 0; j < 3; j++)
    for (int i = j; i < 3; i++) {
      double rest = (i == j) - 0.99 * v[i] * v[j] / size;

      for (int k = 0; k < j; k++) rest -= l[i][k] * l[j][k];
      l[i][j] = i == j ? sqrt(rest) : rest / l[j][j];
    }
  (void)fprintf(f, "a,b,c,y\n");
  for (int row = 0; row < 6; row++) {
    const double sign = row % 2 ? -sqrt(3) : sqrt(3);
    double       y    = 0;

    for (int i = 0; i < 3; i++) {
      y += u[i] * sign * l[i][row / 2];
      (void)fprintf(f, "%.17g,", sign * l[i][row / 2]);
    }
    (void)fprintf(f, "%.17g\n", y);
  }
  assert_int_equal(fclose(f), 0);
}

#define COUPLED                                                                                                        \
  "data_type=file data_path=%s data_inputs=a,b,c data_targets=y model_type=diagonal training_learning_rate=%.17g "     \
  "orbit_start=0.988,0.985,0.997"

static void Coupled(const char path[], const char process[], double eta, double mean[3], double Sigma[3][3])
{
  Asked a;
  char  name[32];

  AskExact(&a, "orbit", process, COUPLED, path, eta);
  for (int i = 0; i < 3; i++) {
    (void)snprintf(name, sizeof name, "mean[%d]", i);
    mean[i] = AskValue(&a, process, "exact", "orbit", name, NULL);
    for (int j = 0; j < 3; j++) {
      (void)snprintf(name, sizeof name, "covariance[%d][%d]", i, j);
      Sigma[i][j] = AskValue(&a, process, "exact", "orbit", name, NULL);
    }
  }
  AskClose(&a);
}

/* Three coupled coordinates. At the minimum two of the sharpnesses, 3.01 and 2.99, are beyond 2/eta, and gd ends
   in a cycle. central_flow has its mean and its covariance, all of it, to a few thousandths of the way from the
   minimum. */
static void test_coupled(void **state)
{
  static const double etas[] = {0.7, 0.8}, u[3] = {1.5, 1.49, 1.51};
  char                path[] = "/tmp/dlnfp-edge-XXXXXX";
  const int           file   = mkstemp(path);

  (void)state;
  assert_true(file >= 0);
  (void)close(file);
  WriteCoupled(path, u);
  for (int k = 0; k < 2; k++) {
    double cycle[3], flow[3], Cycle[3][3], Flow[3][3], way = 0, off = 0, size = 0, apart = 0;

    Coupled(path, "gd", etas[k], cycle, Cycle);
    Coupled(path, "central_flow", etas[k], flow, Flow);
    for (int i = 0; i < 3; i++) {
      way = fmax(way, fabs(sqrt(u[i]) - cycle[i]));
      off = fmax(off, fabs(flow[i] - cycle[i]));
      for (int j = 0; j < 3; j++) {
        size  = fmax(size, fabs(Cycle[i][j]));
        apart = fmax(apart, fabs(Flow[i][j] - Cycle[i][j]));
      }
    }
    print_message("  eta %g: mean off by %.2e of %.3f, covariance by %.2e of %.2e\n", etas[k], off, way, apart, size);
    check(way > 0.03 && off < 3e-3 * way, "mean of central_flow off by %g of %g", off, way);
    check(size > 5e-4 && apart < 5e-3 * size, "covariance of central_flow off by %g of %g", apart, size);
  }
  (void)remove(path);
}

/* H[3][3] at w + t b */
static void HessianAlong(Asked *a, const double w[], const double b[], double t, double H[9])
{
  double at[3];

  for (int i = 0; i < 3; i++) at[i] = w[i] + t * b[i];
  FPModelHessian(a->scene.model, 1, at, H);
}

/* The two sharpest directions u of a symmetric H by iteration of H + 10 I. */
static void TwoSharpest(const double H[9], double u[2][3])
{
  for (int k = 0; k < 2; k++) {
    double v[3] = {0.3, -0.8, 0.5 + 0.3 * k};

    for (int step = 0; step < 20000; step++) {
      double next[3] = {0}, norm = 0, along = 0;

      for (int i = 0; k && i < 3; i++) along += v[i] * u[0][i];
      for (int i = 0; k && i < 3; i++) v[i] -= along * u[0][i];
      for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) next[i] += (H[3 * i + j] + 10 * (i == j)) * v[j];
      for (int i = 0; i < 3; i++) norm += next[i] * next[i];
      for (int i = 0; i < 3; i++) v[i] = next[i] / sqrt(norm);
    }
    for (int i = 0; i < 3; i++) u[k][i] = v[i];
  }
}

/* Two symmetric 2 x 2 matrices of entries 11, 12, 22: the least eigenvalue, and the product <A, B> */
static double Least(const double A[3])
{
  return 0.5 * (A[0] + A[2]) - hypot(0.5 * (A[0] - A[2]), A[1]);
}

static double Bracket(const double A[3], const double B[3])
{
  return A[0] * B[0] + 2 * A[1] * B[1] + A[2] * B[2];
}

/* b = -g - grad <H, Sigma>/2, and of X = U^T Sigma U, F = 2/eta - U^T (H + eta dH[b]) U: X >= 0, F >= 0, <X, F> = 0.
   Returns the least eigenvalue of X over the largest. */
static double Conditions(Asked *a, double eta, const double w[3])
{
  double b[3], g[3], Sigma[9], H[9], plus[9], minus[9], u[2][3], X[3], F[3], trace = 0;

  FPProcessDrift(a->scene.process, 1, w, b);
  FPProcessOscillation(a->scene.process, 1, w, Sigma);
  FPModelGradient(a->scene.model, 1, w, g);
  FPModelHessian(a->scene.model, 1, w, H);
  for (int k = 0; k < 3; k++) {
    const double e[3]  = {k == 0, k == 1, k == 2};
    double       slope = 0;

    HessianAlong(a, w, e, 1e-4, plus);
    HessianAlong(a, w, e, -1e-4, minus);
    for (int i = 0; i < 9; i++) slope += Sigma[i] * (plus[i] - minus[i]) / 2e-4;
    check(fabs(b[k] + g[k] + 0.5 * slope) < 1e-6, "drift %g, not %g", b[k], -g[k] - 0.5 * slope);
  }
  HessianAlong(a, w, b, 1e-4, plus);
  HessianAlong(a, w, b, -1e-4, minus);
  TwoSharpest(H, u);
  for (int k = 0; k < 3; k++) {
    const double *left = u[k / 2], *right = u[(k + 1) / 2];

    X[k] = 0;
    F[k] = (k != 1) * 2 / eta;
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++) {
        X[k] += left[i] * Sigma[3 * i + j] * right[j];
        F[k] -= left[i] * (H[3 * i + j] + eta * (plus[3 * i + j] - minus[3 * i + j]) / 2e-4) * right[j];
      }
  }
  for (int i = 0; i < 3; i++) trace += Sigma[4 * i];
  check(fabs(X[0] + X[2] - trace) < 1e-9 + 1e-6 * trace, "Sigma leaves the two sharpest directions: %g of %g",
        trace - X[0] - X[2], trace);
  check(Least(X) > -1e-7 * trace && Least(F) > -3e-5, "X >= %g, F >= %g", Least(X), Least(F));
  check(fabs(Bracket(X, F)) < 3e-5 * trace + 1e-12, "<X, F> = %g", Bracket(X, F));
  return Least(X) / (trace - Least(X));
}

/* Points where two sharpnesses are beyond the edge: solutions with one and with two directions. */
static void test_complementarity(void **state)
{
  const double eta = 0.75, u[3] = {1.5, 1.49, 1.51};
  char         path[] = "/tmp/dlnfp-edge-XXXXXX";
  const int    file   = mkstemp(path);
  int          two = 0, one = 0;
  Asked        a;

  (void)state;
  assert_true(file >= 0);
  (void)close(file);
  WriteCoupled(path, u);
  AskExact(&a, "orbit", "central_flow", COUPLED, path, eta);
  for (int k = 0; k < 40; k++) {
    const double r     = 1.17 + 0.01 * (k % 5);
    const double w[3]  = {r * (1 + 0.02 * sin(2.1 * k)), r * (1 + 0.02 * sin(3.7 * k + 1)),
                          r * (1 + 0.02 * sin(5.3 * k + 2))};
    const double share = Conditions(&a, eta, w);

    two += share > 1e-3;
    one += share < 1e-6;
  }
  print_message("  of 40 points %d with one direction, %d with two\n", one, two);
  check(one > 3 && two > 3, "%d points with one direction, %d with two", one, two);
  AskClose(&a);
  (void)remove(path);
}

/* g of the balanced chain, w^{L-1} (w^L - p) s, and its slope */
static void Gradient(int L, double s, double p, long double w, long double *g, long double *H)
{
  const long double power = powl(w, L - 2);

  *g = s * power * w * (power * w * w - p);
  *H = s * power * ((2 * L - 1) * power * w * w - (L - 1) * p);
}

/* Drift of rod_flow by bisection for the square of d in long double, where F grows with it */
static double Rod(int L, double s, double p, double eta, double m)
{
  long double low = 0, high = 16, b = 0;

  for (int k = 0; k < 120; k++) {
    const long double x = k ? (low + high) / 2 : 0, d = sqrtl(x);
    long double       g[2], H[2], S, slope;

    if (d < 1e-6L) { /* d^2 is too small to count in b */
      long double near[2], unused;

      Gradient(L, s, p, m, &g[0], &H[0]);
      Gradient(L, s, p, m + 1e-6L, &unused, &near[0]);
      Gradient(L, s, p, m - 1e-6L, &unused, &near[1]);
      S     = H[0];
      slope = (near[0] - near[1]) / 2e-6L;
      b     = -g[0];
    } else {
      Gradient(L, s, p, m + d, &g[0], &H[0]);
      Gradient(L, s, p, m - d, &g[1], &H[1]);
      S     = (g[0] - g[1]) / (2 * d);
      slope = (H[0] - H[1]) / (2 * d);
      b     = -(g[0] + g[1]) / 2;
    }
    if (S + eta * slope * b > 2 / eta)
      low = x;
    else if (k == 0)
      return (double)b;
    else
      high = x;
  }
  return (double)b;
}

/* The drift that particles take from a table, and beyond it, against the equation of the rod itself: for depth 2 in
   closed form, as d^2 is a quotient there. */
static void test_table(void **state)
{
  const double s = 0.83, p = 1.7;

  (void)state;
  for (int L = 2; L < 5; L++) {
    const double eta = 1.3 / (s * p);
    double       z[FP_BLOCK], b[FP_BLOCK], worst = 0;
    int          rods = 0;
    Scene        scene;

    SceneOpen(&scene, "rod_flow", CHAIN "mesh_lower=0.1 mesh_upper=2 mesh_cells=16", p, s, L, "balanced", eta, "0.5",
              0);
    for (int block = 0; block < 400; block++) {
      for (int l = 0; l < FP_BLOCK; l++) {
        const double u = fmod(0.5 + 0.6180339887498949 * (block * FP_BLOCK + l), 1); /* some beyond the table */

        z[l] = L == 2 ? 9 * u - 4.5 : 0.3 + 1.3 * u;
      }
      FPProcessDrift(scene.process, FP_BLOCK, z, b);
      for (int l = 0; l < (L == 2 ? FP_BLOCK : 2); l++) {
        const double m = z[l], F = 2 / eta - s * (3 * m * m - p) + 6 * eta * s * s * m * m * (m * m - p);
        const double x     = F < 0 ? F / (s - 18 * eta * s * s * m * m) : 0;
        const double exact = L == 2 ? -s * m * (m * m + 3 * x - p) : Rod(L, s, p, eta, m);

        rods += L > 2 || x > 0;
        worst = fmax(worst, fabs(b[l] - exact) / (1 + fabs(exact)));
      }
    }
    print_message("  depth %d: off by %.1e, %d rods\n", L, worst, rods);
    check(worst < 2e-12 && rods > 500, "depth %d: off by %g", L, worst);
    SceneClose(&scene);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cycle), cmocka_unit_test(test_doubling), cmocka_unit_test(test_chaos),
      cmocka_unit_test(test_flows), cmocka_unit_test(test_onset),    cmocka_unit_test(test_edge),
      cmocka_unit_test(test_two),   cmocka_unit_test(test_coupled),  cmocka_unit_test(test_complementarity),
      cmocka_unit_test(test_table)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

/* t-svag.c: the transfer operator of SVAG: the law of its steps by two batches against its characteristic function; its
   exponents against quadratures, words and particles; how it comes near to the SDE with SGD's noise as its order grows.
 */
#include "lab.h"
#include "runs.h"
#include "../src/generator/transferlaw.h"
#include "../src/observable/observableimpl.h"
#include <complex.h>

/* Largest difference, over wave vectors k, of the mixture's E exp(i k.z') from the closed form: with g = phi G, phi =
   dM/dz, G = sum_b c_b (e X_b + sigma (X_b/B)^(1/2) N(0, 1)), B X_b/s chi-squared of B degrees, u = h k.phi,

     exp(i k.rest - k^2 h T) prod_b (1 + (2 s/B) (i u c_b e + u^2 c_b^2 sigma^2/(2 B)))^(-B/2). */
typedef struct {
  double s, p, sigma, B, T, eta, decay, order, metric;
} Setting;

static double LawError(const Setting *x, FPStepLaw law, FPMixture *m, const double z[2], double M, const double phi[2])
{
  const double h = x->eta / x->order, root = sqrt(2 * x->order - 1), e = M - x->p;
  double       worst = 0;

  must(FPStepLawAt(law, z, m));
  for (int j = 0; j < 80; j++) {
    const double size = pow(10, -1 + 4.3 * (j / 2) / 40.), angle = j % 2 ? 0.7 : 2.1;
    const double k[2] = {m->dim == 1 ? size : size * cos(angle), m->dim == 1 ? 0 : size * sin(angle)};
    const double kk = size * size * x->metric, turn = k[0] * m->along[0] + (m->dim > 1 ? k[1] * m->along[1] : 0);
    const double u      = h * x->metric * (k[0] * phi[0] + k[1] * phi[1]);
    double _Complex sum = 0, exact = cexp(I * (1 - h * x->decay) * (k[0] * z[0] + k[1] * z[1]) - kk * h * x->T);

    for (PetscInt i = 0; i < m->n; i++) {
      const double phase = k[0] * m->at[0][i] + (m->dim > 1 ? k[1] * m->at[1][i] : 0);

      sum += m->weight[i] * cexp(I * phase - (pow(m->sd[i] * turn, 2) + size * size * m->injected * m->injected) / 2);
    }
    for (int b = 0; b < 2; b++) {
      const double c = (b ? 1 - root : 1 + root) / 2;

      exact *= cpow(1 + 2 * x->s / x->B * (I * u * c * e + pow(u * c * x->sigma, 2) / (2 * x->B)), -x->B / 2);
    }
    worst = fmax(worst, cabs(sum - exact));
  }
  return worst;
}

/* On a line, where components may be narrower than the injected noise, and in the plane; nodes: of panels */
static double LawErrors(const Setting *x, const char coordinates[], int nodes, PetscInt *most)
{
  const int plane = !strcmp(coordinates, "weights");
  double    worst = 0;
  char      keys[1024];
  Lab       lab;
  FPStepLaw law;
  FPMixture m = {0};

  (void)snprintf(keys, sizeof keys,
                 "model_type chain model_depth 2 model_coordinates %s data_type gaussian data_teacher %g "
                 "data_second_moment %g data_label_noise %g training_learning_rate %g training_batch_size %g "
                 "training_temperature %g training_weight_decay %g svag_svag_order %g transfer_nodes %d",
                 coordinates, x->p, x->s, x->sigma, x->eta, x->B, x->T, x->decay, x->order, nodes);
  LabOpen(&lab, "svag", keys);
  must(FPGeneratorOptionsRead(lab.config, &lab.generating));
  must(FPStepLawCreate(lab.process, &lab.generating.transfer, 1, 1, &law));
  for (int i = 0; i < 6; i++) {
    const double z[2] = {-1.7 + 0.71 * i, plane ? 1.3 - 0.37 * i : 0};
    const double M = plane ? z[0] * z[1] : z[0] * z[0], phi[2] = {plane ? z[1] : 2 * z[0], plane ? z[0] : 0};

    worst = fmax(worst, LawError(x, law, &m, z, M, phi));
    *most = PetscMax(*most, m.n);
  }
  must(FPMixtureFree(&m));
  must(FPStepLawDestroy(&law));
  LabClose(&lab);
  return worst;
}

/* With injected noise and without, wide and narrow, batches of one and more; errors fall faster than any power. */
static void test_law(void **state)
{
  static const struct {
    const char *coordinates;
    Setting     x;
  } of[] = {{"balanced", {0.83, 0.9, 0.57, 2, 0.04, 0.15, 0.08, 3, 0.5}},
            {"balanced", {1.2, 0.7, 0.31, 1, 0, 0.11, 0, 2, 0.5}},
            {"balanced", {0.9, -0.4, 0.05, 5, 0.002, 0.21, 0.02, 7, 0.5}},
            {"balanced", {0.8, 0.6, 0, 3, 0.05, 0.17, 0.03, 4, 0.5}},
            {"weights", {1.1, 0.8, 0.43, 3, 0.06, 0.13, 0.04, 2, 1}},
            {"weights", {0.87, 0.9, 0.02, 2, 0.09, 0.2, 0, 5, 1}}};

  (void)state;
  for (size_t k = 0; k < sizeof of / sizeof of[0]; k++) {
    PetscInt most     = 0;
    double   error[3] = {LawErrors(&of[k].x, of[k].coordinates, 4, &most),
                         LawErrors(&of[k].x, of[k].coordinates, 8, &most), 0};

    most     = 0;
    error[2] = LawErrors(&of[k].x, of[k].coordinates, 12, &most);
    print_message("  %-9s sigma %-4g T %-5g: errors %.1e, %.1e, %.1e of 4, 8, 12 nodes, %d components\n",
                  of[k].coordinates, of[k].x.sigma, of[k].x.T, error[0], error[1], error[2], (int)most);
    check(error[2] < 1e-10, "the law is off by %g", error[2]);
    check(error[0] > 10 * error[1] && error[1] > 10 * error[2], "errors %g, %g, %g do not fall", error[0], error[1],
          error[2]);
  }
}

/* E ln |W| of two Gaussian batches against the plane of their two chi variables by midpoints, whose error is small
   where the density is even: near the singularity, far from it, and so far that moments stand for it */
static void test_pair_log(void **state)
{
  static const struct {
    int    B;
    double a, s, Q, R, order, bound;
  } of[] = {{1, 0.96, 0.9, -0.31, 0.22, 2, 1e-9},    {3, 0.9, 1.3, -0.8, 0.4, 4, 1e-9},
            {3, -0.3, 0.7, 0.9, 0.5, 3, 1e-9},       {1, 0.02, 0.7, 0.9, 0.5, 3, 1e-9},
            {5, 0.99, 1.1, -0.003, 0.0011, 2, 1e-9}, {5, 0.99, 1.1, -2e-4, 4e-4, 2, 1e-9}};
  enum { POINTS = 400 };

  (void)state;
  for (size_t k = 0; k < sizeof of / sizeof of[0]; k++) {
    const double B = of[k].B, root = sqrt(2 * of[k].order - 1), c[2] = {(1 + root) / 2, (1 - root) / 2};
    FPPairLinear w   = {of[k].B, of[k].a, of[k].s, of[k].Q, of[k].R, {c[0], c[1]}};
    double       sum = 0, all = 0, value, error;

    must(FPPairLinearLog(&w, &value, &error));
    for (int i = 0; i < POINTS; i++)
      for (int j = 0; j < POINTS; j++) {
        const double x = 11.0 * (i + 0.5) / POINTS, y = 11.0 * (j + 0.5) / POINTS;
        const double mass = pow(x * y, B - 1) * exp(-(x * x + y * y) / 2), X = w.s * x * x / B, Y = w.s * y * y / B;
        const double sd = fabs(w.R) * sqrt((c[0] * c[0] * X + c[1] * c[1] * Y) / B);

        all += mass;
        sum += mass * (log(sd) + FPNormalLog((w.a + w.Q * (c[0] * X + c[1] * Y)) / sd));
      }
    print_message("  B %d, a %g: %.12g +- %.1e, by midpoints off by %.1e\n", of[k].B, w.a, value, error,
                  value - sum / all);
    check(fabs(value - sum / all) < (fabs(of[k].a) > 0.1 ? 1e-9 : 3e-5), "E ln |W| = %.12g, by midpoints %.12g", value,
          sum / all);
    check(error < of[k].bound, "the error is %g", error);
  }
}

/* Rows of a file: batches of two of twelve one by one, and on a lattice, against all 20736 pairs of batches */
static void test_rows_log(void **state)
{
  enum { N = 12 };
  const double  c[2]   = {(1 + sqrt(5)) / 2, (1 - sqrt(5)) / 2};
  char          path[] = "/tmp/dlnfp-rows-XXXXXX", keys[256];
  FILE         *f      = fdopen(mkstemp(path), "w");
  double        row[N], exact = 0, value, error;
  FPConfig      config;
  FPBatchLinear w = {.batch       = 2,
                     .batches     = 2,
                     .constant    = {0.93, 0.93},
                     .square      = {-0.31, -0.31},
                     .product     = {0.22, 0.22},
                     .coefficient = {c[0], c[1]}};

  (void)state;
  fprintf(f, "x,y\n");
  for (int i = 0; i < N; i++) {
    const double x = 1.4 * sin(3 * i + 1.0), y = 0.8 * x + 0.6 * cos(5 * i + 0.3);

    fprintf(f, "%.17g,%.17g\n", x, y);
    row[i] = -0.31 * x * x + 0.22 * x * y;
  }
  (void)fclose(f);
  for (int k = 0; k < N * N * N * N; k++)
    exact += log(fabs(0.93 + c[0] * (row[k % N] + row[k / N % N]) / 2 +
                      c[1] * (row[k / N / N % N] + row[k / N / N / N]) / 2)) /
             pow(N, 4);
  (void)snprintf(keys, sizeof keys, "data_type=file data_path=%s data_inputs=x data_targets=y data_center=false", path);
  config = MakeConfig(keys);
  must(FPDataCreate(config, &w.data));
  for (w.lattice = 0; w.lattice <= 1024; w.lattice += 1024) {
    must(FPBatchLinearLog(&w, &value, &error));
    print_message("  rows: %.9g +- %.1e, exact %.9g\n", value, error, exact);
    check(fabs(value - exact) < error + 1e-12 && error < 0.02, "%g +- %g, exact %g", value, error, exact);
  }
  must(FPDataDestroy(&w.data));
  must(FPConfigDestroy(&config));
  (void)remove(path);
}

/* Three seeds of particles, each within 4 errors of the transfer operator's exponent; the mean within 3 */
static void MeetParticles(const char title[], const char keys[], double useful)
{
  double  sum = 0, square = 0, bound;
  json_t *run   = Run("%s engines=transfer observables=lyapunov processes=svag", keys);
  double  exact = Value(run, "svag", "transfer", "lyapunov", "exponent_orbit", &bound);

  json_decref(run);
  check(bound < useful, "%s: the bound is %g", title, bound);
  for (int seed = 1; seed < 4; seed++) {
    double error, value;

    run   = Run("%s engines=particles observables=lyapunov processes=svag particles_count=4096 particles_steps=240 "
                  "particles_burn_in=60 particles_seed=%d",
                keys, seed);
    value = Value(run, "svag", "particles", "lyapunov", "exponent_orbit", &error);
    print_message("  %s: %.5g +- %.1e, by transfer %.6g +- %.1e\n", title, value, error, exact, bound);
    check(fabs(value - exact) < bound + 4 * error, "seed %d: %g +- %g, exact %g", seed, value, error, exact);
    sum += (value - exact) / 3;
    square += error * error / 9;
    json_decref(run);
  }
  check(fabs(sum) < bound + 3 * sqrt(square), "%s: particles are off by %g +- %g", title, sum, sqrt(square));
}

#define MODEL                                                                                                          \
  "data_teacher=0.9 data_label_noise=0.5 data_second_moment=1.1 model_type=chain model_depth=2 svag_svag_order=2 "     \
  "training_learning_rate=0.21 training_batch_size=2 training_weight_decay=0.06 training_temperature=0.05 "

static void test_exponents(void **state)
{
  (void)state;
  MeetParticles("Gaussian inputs on a line",
                MODEL "data_type=gaussian model_coordinates=balanced mesh_lower=0.05 mesh_upper=2.4 mesh_cells=128",
                1e-3);
  MeetParticles("signs on a line",
                MODEL "data_type=rademacher model_coordinates=balanced mesh_lower=0.05 mesh_upper=2.4 mesh_cells=128",
                1e-3);
  MeetParticles(
      "signs in the plane",
      MODEL "data_type=rademacher training_temperature=0.15 mesh_lower=-2.8,-2.9 mesh_upper=2.9,2.8 mesh_cells=32,32 "
            "transfer_order=4",
      0.01);
}

/* Factors J = I - h (decay + c_0 x x^T + c_1 y y^T) for rows x, y of a linear map, whatever the point: with g(t) = E ln
   |J u| of the direction u at angle t, f -> g + E f(J u) - constant settles on a circle of many angles. */
static void test_words(void **state)
{
  enum { ROWS = 3, PAIRS = 9, ANGLES = 4000, TURNS = 200 };
  static const double x[ROWS][2] = {{1.3, 0.4}, {-0.4, 1.1}, {0.8, -0.7}}, eta = 0.5, decay = 0.1;
  const double        c[2] = {(1 + sqrt(3)) / 2, (1 - sqrt(3)) / 2}, h = eta / 2;
  static double       g[ANGLES], f[ANGLES], next[ANGLES], to[PAIRS][ANGLES];
  char                path[] = "/tmp/dlnfp-rows-XXXXXX";
  FILE               *file   = fdopen(mkstemp(path), "w");
  double              growth = 0;
  json_t             *run;

  (void)state;
  fprintf(file, "x1,x2,y\n");
  for (int i = 0; i < ROWS; i++) fprintf(file, "%g,%g,%g\n", x[i][0], x[i][1], 0.3 * i + 0.2);
  (void)fclose(file);
  for (int k = 0; k < PAIRS * ANGLES; k++) {
    const int    pair = k / ANGLES, at = k % ANGLES;
    const double u[2] = {cos(M_PI * at / ANGLES), sin(M_PI * at / ANGLES)};
    double       v[2] = {(1 - h * decay) * u[0], (1 - h * decay) * u[1]};

    for (int b = 0; b < 2; b++) {
      const double *row = x[b ? pair / ROWS : pair % ROWS], along = h * c[b] * (row[0] * u[0] + row[1] * u[1]);

      for (int a = 0; a < 2; a++) v[a] -= along * row[a];
    }
    g[at] += log(hypot(v[0], v[1])) / PAIRS;
    to[pair][at] = fmod(atan2(v[1], v[0]) / M_PI + 2, 1) * ANGLES;
  }
  for (int turn = 0; turn < TURNS; turn++) {
    for (int at = 0; at < ANGLES; at++) {
      next[at] = g[at];
      for (int pair = 0; pair < PAIRS; pair++) {
        const int    low  = (int)to[pair][at];
        const double part = to[pair][at] - low;

        next[at] += ((1 - part) * f[low % ANGLES] + part * f[(low + 1) % ANGLES]) / PAIRS;
      }
    }
    growth = next[0] - f[0];
    for (int at = 0; at < ANGLES; at++) f[at] = next[at] - next[0];
  }
  run = Run("data_type=file data_path=%s data_inputs=x1,x2 data_targets=y model_type=diagonal model_depth=1 "
            "training_learning_rate=%g training_batch_size=1 training_weight_decay=%g training_temperature=0.1 "
            "mesh_lower=-2.6,-2.6 mesh_upper=3.9,3.6 mesh_cells=20,20 svag_svag_order=2 engines=transfer "
            "observables=lyapunov processes=svag",
            path, eta, decay);
  print_message("  rows of two inputs: %.6g\n", growth / h);
  Meets(run, "svag", "transfer", "lyapunov", growth / h, 5e-3, "exponent_orbit");
  json_decref(run);
  (void)remove(path);
}

/* What svag is for: at a fixed learning rate its law comes near to that of dz = -V' dt + (2 D)^(1/2) dB with the noise
   D of SGD, "ald", of first order in 1/l. Orders of the two doublings, extrapolated. Source: Z. Li, S. Malladi and S.
   Arora, NeurIPS 2021, theorem 4.3. */
static void test_limit(void **state)
{
  static const char *const of[][2] = {{"evolution", "mean_p[t=0.36]"},
                                      {"evolution", "loss[t=1.08]"},
                                      {"stationary", "variance_p"},
                                      {"autocorrelation", "integrated_time_p"}};
  enum { ASKED = 4, TIMES = 3 };
  double apart[ASKED][TIMES], doubt[ASKED][TIMES];

  (void)state;
  for (int r = 0; r < TIMES; r++) {
    json_t *run =
        Run("data_type=gaussian data_teacher=0.83 data_label_noise=0.56 data_second_moment=0.9 model_type=chain "
            "model_depth=2 model_coordinates=balanced processes=svag,ald engines=transfer,generator "
            "observables=stationary,evolution,autocorrelation autocorrelation_times=0.5 evolution_times=0.36,1.08 "
            "evolution_start=0.61 training_learning_rate=0.18 training_batch_size=3 "
            "training_temperature=0.03 training_weight_decay=0.07 mesh_lower=0.05 mesh_upper=2.2 "
            "mesh_cells=448 svag_svag_order=%d",
            2 << r);

    for (int q = 0; q < ASKED; q++) {
      double       own, other;
      const double svag = Value(run, "svag", "transfer", of[q][0], of[q][1], &own);
      const double ald  = Value(run, "ald", "generator", of[q][0], of[q][1], &other);

      apart[q][r] = svag - ald;
      doubt[q][r] = hypot(own, other);
    }
    json_decref(run);
  }
  for (int q = 0; q < ASKED; q++) {
    const double first = log2(fabs(apart[q][0] / apart[q][1])), last = log2(fabs(apart[q][1] / apart[q][2]));
    const double order = 2 * last - first;

    print_message("  %-15s %10.2e %10.2e %10.2e +- %.1e: orders %.2f, %.2f, limit %.2f\n", of[q][1], apart[q][0],
                  apart[q][1], apart[q][2], doubt[q][2], first, last, order);
    check(doubt[q][2] < 0.1 * fabs(apart[q][2]), "%s: %g +- %g", of[q][1], apart[q][2], doubt[q][2]);
    check(order > 0.85 && order < 1.15, "%s has order %g in 1/l", of[q][1], order);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_law),      cmocka_unit_test(test_pair_log),
                                     cmocka_unit_test(test_rows_log), cmocka_unit_test(test_exponents),
                                     cmocka_unit_test(test_words),    cmocka_unit_test(test_limit)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  cmocka_set_test_filter(getenv("TEST_FILTER"));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

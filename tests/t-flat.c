/* t-flat.c: along the flat directions of critical points. The valley of the 2-chain without decay, where with w = (m +
   x, m - x)/root two V = s x^4/8 on the line: conditional and projected laws against quadrature, gaps of the projected
   Langevin and anisotropic Langevin dynamics against a Galerkin method on Legendre polynomials, orders in h, particles;
   the plane of minima of the 3-chain, oblique to the grid; a saddle of the diagonal network; the law of the flat
   saddle of the balanced 4-chain: times grow like temperature to the power -1/2. What has no flat direction says so;
   bad input is one line and exit code 2. */
#include "program.h"
#include "scene.h"
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_legendre.h>
#include <gsl/gsl_sort_vector.h>
#include <math.h>

#define SIGMAS 4.5
#define NODES 200
#define BASIS 26

/* results.json of a run with these keys, "key=value" separated by blanks */
static json_t *Run(const char *format, ...)
{
  char        keys[2048], *rest = keys;
  const char *argv[80] = {"dlnfp", "run", InFolder("flat.yaml"), "-out", InFolder("out")};
  int         n        = 5;
  va_list     args;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    static char option[40][100];
    char       *value = strchr(word, '=');

    assert_non_null(value);
    *value = 0;
    (void)snprintf(option[n / 2], sizeof(option[0]), "-%s", word);
    argv[n]     = option[n / 2];
    argv[n + 1] = value + 1;
    n += 2;
  }
  check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
  return LoadResults(InFolder("out"));
}

/* The generator's bound, and the quadrature's own error, hold the exact value; the bound is at most `tolerance`. */
static void Within(const json_t *root, const char *process, const char *quantity, double exact, double tolerance)
{
  double       error;
  const double value = Value(root, process, "generator", "flat", quantity, &error);

  print_message("  %-9s %-30s %.9g exact %.9g: off by %.1e, bound %.1e\n", process, quantity, value, exact,
                fabs(value - exact), error);
  check(fabs(value - exact) <= error + 1e-11, "%s: %.12g, exact %.12g, bound %.3g", quantity, value, exact, error);
  check(error <= tolerance, "%s: the bound %.3g is more than %g", quantity, error, tolerance);
}

static void Sampled(const json_t *root, const char *process, const char *quantity, double exact, double tolerance)
{
  double       error;
  const double value = Value(root, process, "particles", "flat", quantity, &error);

  print_message("  %-9s %-30s %.6g exact %.6g: %.2f standard errors of %.1e\n", process, quantity, value, exact,
                (value - exact) / error, error);
  check(fabs(value - exact) <= SIGMAS * error, "%s: %.8g +- %.3g, exact %.8g", quantity, value, error, exact);
  check(error <= tolerance, "%s: the error %.3g is more than %g", quantity, error, tolerance);
}

/* dx = b dt + sqrt(2D) dB on a line between walls: law exp(int b/D)/D; b and D at x. */
typedef void (*Line)(double x, const double *parameter, double *b, double *D, double *loss);

/* mean, variance, loss of the law on (low, high), and the gap: int D phi_i' phi_j' p = gap int phi_i phi_j p. */
static void LineExact(Line line, const double *parameter, double low, double high, double exact[4])
{
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(NODES);
  gsl_matrix                    *K = gsl_matrix_calloc(BASIS, BASIS), *M = gsl_matrix_calloc(BASIS, BASIS);
  gsl_vector                    *rates  = gsl_vector_alloc(BASIS);
  gsl_eigen_gensymm_workspace   *work   = gsl_eigen_gensymm_alloc(BASIS);
  double                         sum[4] = {0}, force = 0, last = low, phi[BASIS], slope[BASIS];

  for (int k = 0; k < NODES; k++) {
    double x, weight, b, D, loss, p;

    (void)gsl_integration_glfixed_point(low, high, (size_t)k, &x, &weight, table);
    for (int s = 0; s < 4000; s++) { /* from the last node to this one, by the midpoint rule */
      line(last + (x - last) * (s + 0.5) / 4000, parameter, &b, &D, &loss);
      force += b / D * (x - last) / 4000;
    }
    last = x;
    line(x, parameter, &b, &D, &loss);
    p = weight * exp(force) / D;
    sum[0] += p;
    sum[1] += p * x;
    sum[2] += p * x * x;
    sum[3] += p * loss;
    (void)gsl_sf_legendre_Pl_deriv_array(BASIS - 1, 2 * (x - low) / (high - low) - 1, phi, slope);
    for (int i = 0; i < BASIS; i++)
      for (int j = 0; j < BASIS; j++) {
        *gsl_matrix_ptr(K, (size_t)i, (size_t)j) += p * D * slope[i] * slope[j] * 4 / ((high - low) * (high - low));
        *gsl_matrix_ptr(M, (size_t)i, (size_t)j) += p * phi[i] * phi[j];
      }
  }
  (void)gsl_eigen_gensymm(K, M, rates, work);
  gsl_sort_vector(rates);
  exact[0] = sum[1] / sum[0];
  exact[1] = sum[2] / sum[0] - exact[0] * exact[0];
  exact[2] = sum[3] / sum[0];
  exact[3] = gsl_vector_get(rates, 1);
  gsl_eigen_gensymm_free(work);
  gsl_vector_free(rates);
  gsl_matrix_free(M);
  gsl_matrix_free(K);
  gsl_integration_glfixed_table_free(table);
}

/* parameter: s, T, eta/(2B), sigma^2. On the line p - p* = -x^2/2 and grad p along it is -x. */
static void Valley(double x, const double *parameter, double *b, double *D, double *loss)
{
  const double s = parameter[0], v = s * s * x * x * x * x / 2 + s * parameter[3];

  *b    = -s * x * x * x / 2;
  *D    = parameter[1] + parameter[2] * v * x * x;
  *loss = s * x * x * x * x / 8;
}

#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.5 model_type=chain model_depth=2 "    \
  "training_learning_rate=0.1 training_batch_size=3 particles_threads=1 "
#define VALLEY CHAIN "training_temperature=0.04 mesh_lower=-1.7,-1.6 mesh_upper=1.9,2.0 "

static void test_valley(void **state)
{
  json_t      *root = Run(VALLEY "processes=ald,langevin mesh_cells=64,64 engines=generator");
  const double m = sqrt(0.9), low = sqrt(2) * fmax(-1.7 - m, m - 2.0), high = sqrt(2) * fmin(1.9 - m, m + 1.6);
  const double noise[2] = {0, 0.1 / 6};
  const char  *names[2] = {"langevin", "ald"};
  double       exact[4], error;

  (void)state;
  check(fabs(Value(root, "model", "exact", "flat", "direction[0][0]", &error) - sqrt(0.5)) < 1e-9 &&
            fabs(Value(root, "model", "exact", "flat", "direction[0][1]", &error) + sqrt(0.5)) < 1e-9,
        "the flat direction is not (1, -1)");
  for (int k = 0; k < 2; k++) {
    LineExact(Valley, (const double[]){1.1, 0.04, noise[k], 0.25}, low, high, exact);
    Within(root, names[k], "along_mean[0]", exact[0], 1e-5);
    Within(root, names[k], "along_covariance[0][0]", exact[1], 1e-5);
    Within(root, names[k], "along_loss", exact[2], 1e-6);
    Within(root, names[k], "gap", exact[3], 1e-4);
    Within(root, names[k], "relaxation_time", 1 / exact[3], 2e-3);
    if (k) {
      json_t      *fine = Run(VALLEY "processes=ald mesh_cells=320,16 engines=generator"); /* x has 320 cells */
      const double time = Value(fine, "ald", "generator", "flat", "mixing_time", &error);

      json_decref(fine);
      Within(root, "ald", "mixing_time", time, 2e-3 * time);
      break;
    }
    Within(root, names[k], "conditional_mean[0]", exact[0], 1e-6);
    Within(root, names[k], "conditional_covariance[0][0]", exact[1], 1e-6);
    Within(root, names[k], "conditional_loss", exact[2], 1e-7);
  }
  json_decref(root);
}

/* On one grid each: order 2 of the conditional law and of the projected process. */
static void test_order(void **state)
{
  static const char *const names[] = {"conditional_covariance[0][0]", "conditional_loss", "gap", "mixing_time"};
  double                   value[4][3];

  (void)state;
  for (int g = 0; g < 3; g++) {
    Scene        s;
    FPScene      scene;
    FPObservable o;
    FPQuantities q = {0};

    SceneOpen(&s, "ald",
              "data_type=gaussian data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.5 model_type=chain "
              "model_depth=2 training_learning_rate=0.3 training_batch_size=2 training_temperature=0.11 "
              "mesh_lower=-1.7,-1.6 mesh_upper=1.9,2.0 mesh_cells=%d,%d",
              32 << g, 32 << g);
    scene = (FPScene){.model = s.model, .mesh = s.mesh, .processes = 1, .process = &s.process};
    must(FPObservableCreate(s.config, "flat", &o));
    must(FPObservableRead(o, s.config, s.model, s.mesh, PETSC_TRUE));
    must(FPObservableSetScene(o, &scene));
    (void)SceneGrid(&s, 0);
    must(FPGeneratorSolve(s.gen, 1));
    must(FPObservableGenerator(o, s.gen, PETSC_FALSE, &q));
    for (int k = 0; k < 4; k++) value[k][g] = SceneValue(&q, names[k], NULL);
    must(FPQuantitiesFree(&q));
    must(FPObservableDestroy(&o));
    SceneClose(&s);
  }
  for (int k = 0; k < 4; k++) {
    const double order = log2((value[k][0] - value[k][1]) / (value[k][1] - value[k][2]));

    print_message("  %-30s %.8g %.8g %.8g: order %.2f\n", names[k], value[k][0], value[k][1], value[k][2], order);
    check(order > 1.6 && order < 2.4, "%s: order %g", names[k], order);
  }
}

/* Slabs of particles, wide ones too: their bias is taken off, or in the error. */
static void test_particles(void **state)
{
  const double m = sqrt(0.9), low = sqrt(2) * fmax(-1.7 - m, m - 2.0), high = sqrt(2) * fmin(1.9 - m, m + 1.6);
  double       exact[4], error;

  (void)state;
  LineExact(Valley, (const double[]){1.1, 0.04, 0, 0.25}, low, high, exact);
  for (int wide = 0; wide < 2; wide++) {
    json_t *root = Run(VALLEY "processes=%s mesh_cells=48,48 particles_count=4096 particles_steps=1000 "
                              "particles_burn_in=100 flat_width=%s",
                       wide ? "langevin" : "ald,langevin", wide ? "0.2" : "0");

    Sampled(root, "langevin", "conditional_mean[0]", exact[0], 0.03);
    Sampled(root, "langevin", "conditional_covariance[0][0]", exact[1], 0.12 * exact[1]);
    Sampled(root, "langevin", "conditional_loss", exact[2], 0.3 * exact[2]);
    if (wide) { /* the correction is most of the error: a wrong one leaves two of it */
      const double loss = Value(root, "langevin", "particles", "flat", "conditional_loss", &error);

      check(fabs(loss - exact[2]) < error, "loss %g +- %g, exact %g", loss, error, exact[2]);
    } else
      Sampled(root, "ald", "conditional_covariance[0][0]",
              Value(root, "ald", "generator", "flat", "conditional_covariance[0][0]", &error), 0.02);
    json_decref(root);
  }
}

/* Fits the box z + x in [low, high]^3? */
static int Fits(const double basis[2][3], double z, const double x[2], double low, double high)
{
  for (int a = 0; a < 3; a++) {
    const double w = z + x[0] * basis[0][a] + x[1] * basis[1][a];

    if (w < low - 1e-12 || w > high + 1e-12) return 0;
  }
  return 1;
}

/* Largest length of x[] times a factor that fits. */
static double Reach(const double basis[2][3], double z, double x0, double x1, double low, double high)
{
  double least = 0, most = 100;

  for (int step = 0; step < 100; step++) {
    const double middle = (least + most) / 2, x[2] = {middle * x0, middle * x1};

    *(Fits(basis, z, x, low, high) ? &least : &most) = middle;
  }
  return least;
}

/* The minima of the 3-chain near w = m(1, 1, 1): the plane across (1, 1, 1), in the cube from -1.1 to 2.1; 36 x 36
   Gauss-Legendre nodes. */
static void test_plane(void **state)
{
  enum { N = 36 };
  static const double basis[2][3] = {{0.8164965809277260, -0.4082482904638630, -0.4082482904638630},
                                     {0, 0.7071067811865475, -0.7071067811865475}};
  const double        s = 1.3, T = 0.35, z = cbrt(0.7);
  double              box[2][2], shrink = 1, sum[6] = {0};
  json_t *root = Run("data_type=gaussian data_teacher=0.7 data_second_moment=1.3 data_label_noise=0.5 model_type=chain "
                     "model_depth=3 training_temperature=0.35 processes=langevin engines=generator "
                     "mesh_lower=-1.1,-1.1,-1.1 mesh_upper=2.1,2.1,2.1 mesh_cells=24,24,24");
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(N);

  (void)state;
  for (int i = 0; i < 2; i++)
    for (int side = 0; side < 2; side++) {
      const double sign = side ? 1 : -1;

      box[i][side] = sign * Reach(basis, z, i == 0 ? sign : 0, i == 1 ? sign : 0, -1.1, 2.1);
    }
  for (int corner = 0; corner < 4; corner++)
    shrink = fmin(shrink, Reach(basis, z, box[0][corner & 1], box[1][corner >> 1], -1.1, 2.1));
  for (int k = 0; k < N * N; k++) {
    double x, y, wx, wy, p, V;

    (void)gsl_integration_glfixed_point(shrink * box[0][0], shrink * box[0][1], (size_t)(k % N), &x, &wx, table);
    (void)gsl_integration_glfixed_point(shrink * box[1][0], shrink * box[1][1], (size_t)(k / N), &y, &wy, table);
    p = 1;
    for (int a = 0; a < 3; a++) p *= z + x * basis[0][a] + y * basis[1][a];
    V = s * (p - 0.7) * (p - 0.7) / 2;
    p = wx * wy * exp(-V / T);
    for (int m = 0; m < 6; m++) sum[m] += p * (const double[]){1, x, x * x, y, y * y, V}[m];
  }
  gsl_integration_glfixed_table_free(table);
  for (int m = 1; m < 6; m++) sum[m] /= sum[0];
  for (int k = 0; k < 2; k++) {
    static const char *const prefix[] = {"conditional", "along"};
    char                     name[64];
    const double             size = 0.03;

    (void)snprintf(name, sizeof(name), "%s_mean[0]", prefix[k]);
    Within(root, "langevin", name, sum[1], size);
    (void)snprintf(name, sizeof(name), "%s_covariance[0][0]", prefix[k]);
    Within(root, "langevin", name, sum[2] - sum[1] * sum[1], size);
    (void)snprintf(name, sizeof(name), "%s_covariance[1][1]", prefix[k]);
    Within(root, "langevin", name, sum[4] - sum[3] * sum[3], size);
    (void)snprintf(name, sizeof(name), "%s_loss", prefix[k]);
    Within(root, "langevin", name, sum[5], size);
  }
  json_decref(root);
}

/* parameter: s, T. The diagonal network w_i^2 with teacher (0.8, 0): at its saddle w = 0 the second coordinate is flat,
   V = s x^4/2 + a constant; each coordinate stands for two weights. */
static void Saddle(double x, const double *parameter, double *b, double *D, double *loss)
{
  *b    = -parameter[0] * x * x * x;
  *D    = parameter[1] / 2;
  *loss = parameter[0] * (0.64 + x * x * x * x) / 2;
}

static void test_diagonal(void **state)
{
  json_t *root = Run("data_type=gaussian data_teacher=0.8,0 data_second_moment=1.2 data_label_noise=0.5 "
                     "model_type=diagonal processes=langevin langevin_temperature=0.1 engines=generator "
                     "mesh_lower=-1.7,-1.3 mesh_upper=1.6,1.4 mesh_cells=64,64 flat_at=origin");
  double  exact[4];

  (void)state;
  LineExact(Saddle, (const double[]){1.2, 0.1}, -1.3, 1.4, exact);
  Within(root, "langevin", "conditional_mean[0]", exact[0], 1e-4);
  Within(root, "langevin", "conditional_covariance[0][0]", exact[1], 1e-4);
  Within(root, "langevin", "conditional_loss", exact[2], 1e-4);
  Within(root, "langevin", "along_covariance[0][0]", exact[1], 1e-5);
  Within(root, "langevin", "gap", exact[3], 1e-3);
  json_decref(root);
}

/* From w = 0 of the balanced 4-chain on a half-line the wells are reached after a time like D^-(1 - 2/L) = D^-1/2. */
static void test_flat_saddle(void **state)
{
  double time[3], gap[3], error;

  (void)state;
  for (int k = 0; k < 3; k++) {
    json_t *root = Run("data_type=gaussian data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.5 "
                       "model_type=chain model_depth=4 model_coordinates=balanced processes=langevin "
                       "langevin_temperature=%g engines=generator flat_at=origin "
                       "mesh_lower=-1e-9 mesh_upper=1.6 mesh_cells=512",
                       0.016 / pow(4, k));

    time[k] = Value(root, "langevin", "generator", "flat", "mixing_time", &error);
    check(error < 1e-3 * time[k], "mixing time %g +- %g", time[k], error);
    gap[k] = Value(root, "langevin", "generator", "flat", "gap", &error);
    check(error < 1e-4 * gap[k], "gap %g +- %g", gap[k], error);
    json_decref(root);
    print_message("  mixing time %.6g, gap %.6g\n", time[k], gap[k]);
  }
  check(fabs(log(time[1] / time[0]) / log(4) - 0.5) < 0.01 && fabs(log(time[2] / time[1]) / log(4) - 0.5) < 0.002,
        "mixing times %g, %g, %g", time[0], time[1], time[2]);
  check(fabs(log(gap[0] / gap[1]) / log(4) - 0.5) < 0.01 && fabs(log(gap[1] / gap[2]) / log(4) - 0.5) < 0.003,
        "gaps %g, %g, %g", gap[0], gap[1], gap[2]);
}

static void Says(const json_t *root, const char *process, const char *engine, const char *word)
{
  const char *reason =
      json_string_value(json_object_get(Row(root, process, engine, "flat", "conditional_mean[0]"), "reason"));

  check(reason && strstr(reason, word), "%s by %s: %s, not %s", process, engine, reason ? reason : "a number", word);
}

static void test_nothing(void **state)
{
  static const struct {
    const char *keys, *word;
  } cases[] = {
      {"training_temperature=0.04 mesh_lower=-2,-2 mesh_upper=2,2 training_weight_decay=0.05 "
       "engines=generator,particles particles_steps=40 particles_count=4096",
       "no critical point"},
      {"training_temperature=0.04 mesh_lower=-2,-2 mesh_upper=2,2 flat_at=origin", "no flat direction"},
      {"mesh_lower=-2,-2 mesh_upper=2,2", "rank-deficient"},
      {"training_temperature=0.04 model_coordinates=invariant mesh_lower=-1.6,-1.5 mesh_upper=2.2,1.7", "a map"},
      {"training_temperature=0.04 mesh_lower=-1.7,0.99 mesh_upper=1.9,2.6", "outside the mesh"}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    json_t *root = Run(CHAIN "processes=ald mesh_cells=32,32 %s%s", k ? "engines=generator " : "", cases[k].keys);

    Says(root, "ald", "generator", cases[k].word);
    if (k == 0) Says(root, "ald", "particles", cases[k].word);
    json_decref(root);
  }
}

static void test_refused(void **state)
{
  static const struct {
    const char *word, *key, *value;
  } cases[] = {{"known are minimum", "-flat_at", "valley"},
               {"critical points", "-flat_at", "0.5,0.4"},
               {"no point of 2", "-flat_at", "0.5,0.4,0.1"},
               {"-flat_width", "-flat_width", "-0.1"},
               {"did you mean flat_width", "-flat_wdth", "0.1"}};

  (void)state;
  WriteText(InFolder("bad.yaml"), "data: {type: gaussian, teacher: 0.9}\nmodel: {type: chain, depth: 2}\n"
                                  "training: {temperature: 0.05}\nprocesses: [langevin]\nobservables: [flat]\n"
                                  "mesh: {lower: [-2, -2], upper: [2, 2], cells: [32, 32]}\n");
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const char *const argv[] = {"dlnfp", "check", InFolder("bad.yaml"), cases[k].key, cases[k].value, NULL};

    Refused(argv, cases[k].word);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_valley),    cmocka_unit_test(test_order),
                                     cmocka_unit_test(test_particles), cmocka_unit_test(test_plane),
                                     cmocka_unit_test(test_diagonal),  cmocka_unit_test(test_flat_saddle),
                                     cmocka_unit_test(test_nothing),   cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  must(MakeFolder(NULL));
  WriteText(InFolder("flat.yaml"), "observables: [flat]\n");
  failed = cmocka_run_group_tests(tests, NULL, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-tangent.c: exponents of discrete algorithms in the plane by the transfer operator of point and direction. Against
   eigenvalues of one matrix, real and complex; against products of random matrices, all words of a few letters; those
   of a 2-chain with their order, against an operator of order 4 and tangent vectors at several seeds; where walls
   mirror the vectors all the time; and of rows of a file, whose batches are told by a few with the moments of all. */
#include "runs.h"
#include "../src/generator/transfer.h"

#define ASK " engines=transfer observables=lyapunov processes=sgd"

/* I - eta A: ln of the modulus of its largest eigenvalue, whatever the law of the point is. */
static void test_one_matrix(void **state)
{
  static const double A[3][4] = {{1.3, 0.9, 0.4, 0.7}, {1.3, -0.9, 0.4, 0.7}, {1.1, 0.3, -0.2, 0.6}};
  const double        eta     = 0.25;

  (void)state;
  for (int k = 0; k < 3; k++) {
    const double half = 1 - eta * (A[k][0] + A[k][3]) / 2;
    const double det  = (1 - eta * A[k][0]) * (1 - eta * A[k][3]) - eta * eta * A[k][1] * A[k][2];
    const double root = half * half - det, size = root > 0 ? half + sqrt(root) : sqrt(det);
    json_t *run = Run("model_type=ou model_drift=%g,%g,%g,%g model_diffusion=0.15,0,0,0.15 training_learning_rate=%g "
                      "training_temperature=0.1 mesh_lower=-4.4,-4.5 mesh_upper=4.5,4.4 mesh_cells=24,24" ASK,
                      A[k][0], A[k][1], A[k][2], A[k][3], eta);

    Meets(run, "sgd", "transfer", "lyapunov", log(size) / eta, 2e-3, "exponent_orbit");
    json_decref(run);
  }
}

/* Factors I - eta (x x^T + decay) for rows x of a linear map, each as likely, whatever the point: the mean of ln |F_1
   v| over v = F_2 ... F_n u/|...| of all words settles as fast as directions do. */
static void test_products(void **state)
{
  enum { ROWS = 3, LETTERS = 11, WORDS = 177147 };
  static const double x[ROWS][2] = {{1.3, 0.4}, {-0.4, 1.1}, {0.8, -0.7}}, eta = 0.3, decay = 0.1;
  static double       v[WORDS][2];
  char                path[] = "/tmp/dlnfp-rows-XXXXXX";
  FILE               *f      = fdopen(mkstemp(path), "w");
  double              mean   = 0;
  json_t             *run;

  (void)state;
  assert_non_null(f);
  fprintf(f, "x1,x2,y\n");
  for (int i = 0; i < ROWS; i++) fprintf(f, "%g,%g,%g\n", x[i][0], x[i][1], 0.3 * i + 0.2);
  (void)fclose(f);
  v[0][0] = 0.6;
  v[0][1] = 0.8;
  for (int n = 0, words = 1; n < LETTERS; n++, words *= ROWS) {
    mean = 0;
    for (int w = words - 1; w >= 0; w--) {
      const double u[2] = {v[w][0], v[w][1]};

      for (int i = 0; i < ROWS; i++) {
        const double along = eta * (x[i][0] * u[0] + x[i][1] * u[1]);
        const double to[2] = {(1 - eta * decay) * u[0] - along * x[i][0], (1 - eta * decay) * u[1] - along * x[i][1]};
        const double size  = hypot(to[0], to[1]);

        mean += log(size) / words / ROWS;
        v[ROWS * w + i][0] = to[0] / size;
        v[ROWS * w + i][1] = to[1] / size;
      }
    }
  }
  run = Run("data_type=file data_path=%s data_inputs=x1,x2 data_targets=y model_type=diagonal model_depth=1 "
            "training_learning_rate=%g training_batch_size=1 training_weight_decay=%g training_temperature=0.1 "
            "mesh_lower=-2.6,-2.6 mesh_upper=3.9,3.6 mesh_cells=20,20" ASK,
            path, eta, decay);
  Meets(run, "sgd", "transfer", "lyapunov", mean / eta, 5e-3, "exponent_orbit");
  json_decref(run);
  (void)remove(path);
}

#define SIGNS                                                                                                          \
  "data_type=rademacher data_teacher=0.9 data_label_noise=0.5 data_second_moment=1.2 model_type=chain model_depth=2 "  \
  "training_learning_rate=0.2 training_batch_size=2 training_weight_decay=0.06 training_temperature=0.06 "

/* Three seeds of particles, each within 4 errors of the two; the mean within 3 */
static void MeetParticles(const char keys[], double exact, double bound)
{
  double sum = 0, square = 0;

  for (int seed = 1; seed < 4; seed++) {
    double  error, value;
    json_t *run = Run("%s engines=particles observables=lyapunov processes=sgd particles_count=4096 "
                      "particles_steps=240 particles_burn_in=60 particles_seed=%d",
                      keys, seed);

    value = Value(run, "sgd", "particles", "lyapunov", "exponent_orbit", &error);
    print_message("  seed %d: %.5g +- %.1e, exact %.6g +- %.1e\n", seed, value, error, exact, bound);
    check(fabs(value - exact) < bound + 4 * error, "seed %d: %g +- %g, exact %g", seed, value, error, exact);
    sum += (value - exact) / 3;
    square += error * error / 9;
    json_decref(run);
  }
  check(fabs(sum) < bound + 3 * sqrt(square), "particles are off by %g +- %g", sum, sqrt(square));
}

static void test_signs(void **state)
{
  const char    *box = SIGNS "mesh_lower=-2.6,-2.6 mesh_upper=2.6,2.6 ";
  char           keys[1024];
  const PetscInt cells[2] = {24, 40};
  double         exact, value[2], error, order;
  json_t        *run;

  (void)state;
  (void)snprintf(keys, sizeof(keys), "%s mesh_cells=40,40 transfer_order=4", box);
  exact = SceneAnswer("lyapunov", "sgd", keys, "exponent_orbit");
  for (int k = 0; k < 2; k++) {
    (void)snprintf(keys, sizeof(keys), "%s mesh_cells=%d,%d", box, (int)cells[k], (int)cells[k]);
    value[k] = SceneAnswer("lyapunov", "sgd", keys, "exponent_orbit");
  }
  order = log((value[0] - exact) / (value[1] - exact)) / log((double)cells[1] / cells[0]);
  print_message("  order %.3f: %.6g, %.6g, by order 4 %.7g\n", order, value[0], value[1], exact);
  check(order > 1.8 && order < 2.2, "order %g", order);
  run = Run("%s mesh_cells=40,40" ASK, box);
  Meets(run, "sgd", "transfer", "lyapunov", exact, 7e-3, "exponent_orbit");
  (void)Value(run, "sgd", "transfer", "lyapunov", "exponent_orbit", &error);
  json_decref(run);
  (void)snprintf(keys, sizeof(keys), "%s mesh_cells=40,40", box);
  MeetParticles(keys, exact, 3e-4);
}

/* The exponent that a run with these keys tells */
static double ByTransfer(const char keys[], double *error)
{
  json_t      *run   = Run("%s" ASK, keys);
  const double value = Value(run, "sgd", "transfer", "lyapunov", "exponent_orbit", error);

  json_decref(run);
  return value;
}

/* One step in thirteen meets a wall of a box with a single well, and is mirrored, the vector with it: without that it
   would be -0.29. */
static void test_walls(void **state)
{
  const char *keys = SIGNS "mesh_lower=0.1,0.2 mesh_upper=1.4,1.5 mesh_cells=30,30";
  double      value, error;

  (void)state;
  value = ByTransfer(keys, &error);
  MeetParticles(keys, value, error);
  check(error < 5e-3, "the bound is %g", error);
}

/* Inputs that may turn a step over, whose directions jump */
static void test_gaussian(void **state)
{
  const char *keys = "data_type=gaussian data_teacher=0.8 data_label_noise=0.4 data_second_moment=1.1 model_type=chain "
                     "model_depth=2 training_learning_rate=0.17 training_batch_size=5 training_weight_decay=0.08 "
                     "training_temperature=0.12 mesh_lower=-2.5,-2.6 mesh_upper=2.6,2.5 mesh_cells=30,30";
  double      value, error;

  (void)state;
  value = ByTransfer(keys, &error);
  print_message("  Gaussian inputs: %.6g +- %.1e\n", value, error);
  check(error < 4e-3, "the bound is %g", error);
  MeetParticles(keys, value, error);
}

/* Mixed moments of the mean of five draws from seven pairs, against all 16807 batches */
static void test_recombined(void **state)
{
  enum { N = 7, BATCH = 5, DEGREE = 7 };
  const double x[N] = {1.3, -0.4, 0.8, 0.1, 2.9, 0.7, -1.1}, y[N] = {0.2, 1.1, -0.7, 0.6, 3.1, -0.3, 0.5};
  const double share[N]                      = {0.2, 0.1, 0.15, 0.25, 0.05, 0.15, 0.1};
  double       exact[DEGREE + 1][DEGREE + 1] = {{0}}, worst = 0;
  FPPairs      p = {.n = N};

  (void)state;
  must(PetscMalloc2(2 * N, &p.at, N, &p.weight));
  for (int i = 0; i < N; i++) {
    p.at[2 * i]     = x[i];
    p.at[2 * i + 1] = y[i];
    p.weight[i]     = share[i];
  }
  must(FPPairsOfBatch(DEGREE, BATCH, &p));
  for (int k = 0; k < 16807; k++) {
    double X = 0, Y = 0, weight = 1;

    for (int b = 0, rest = k; b < BATCH; b++, rest /= N) {
      X += x[rest % N] / BATCH;
      Y += y[rest % N] / BATCH;
      weight *= share[rest % N];
    }
    for (int i = 0; i <= DEGREE; i++)
      for (int j = 0; i + j <= DEGREE; j++) exact[i][j] += weight * pow(X, i) * pow(Y, j);
  }
  for (int i = 0; i <= DEGREE; i++)
    for (int j = 0; i + j <= DEGREE; j++) {
      double sum = 0;

      for (int k = 0; k < p.n; k++) sum += p.weight[k] * pow(p.at[2 * k], i) * pow(p.at[2 * k + 1], j);
      worst = fmax(worst, fabs(sum - exact[i][j]) / (1 + fabs(exact[i][j])));
    }
  for (int k = 0; k < p.n; k++) check(p.weight[k] > 0, "weight %g", p.weight[k]);
  print_message("  %d points, moments off by %.1e\n", (int)p.n, worst);
  check(worst < 1e-10 && p.n <= 36, "%d points, moments off by %g", (int)p.n, worst);
  must(FPPairsFree(&p));
}

/* Batches of four of 442 patients */
static void test_patients(void **state)
{
  const char *keys =
      "data_type=file data_path=data/diabetes_bmi.csv data_inputs=body_mass_index data_targets=disease_progression "
      "data_standardize=true model_type=chain model_depth=2 training_learning_rate=0.2 training_batch_size=4 "
      "training_weight_decay=0.05 training_temperature=0.08 mesh_lower=-2.3,-2.4 mesh_upper=2.4,2.3 mesh_cells=24,24";
  double value, error;

  (void)state;
  value = ByTransfer(keys, &error);
  check(error < 5e-3, "the bound is %g", error);
  MeetParticles(keys, value, error);
}

/* What is refused says why. */
static void test_refused(void **state)
{
  static const char *const keys[][2] = {{"processes=sgd transfer_batch_law=gaussian", "sgd"},
                                        {"processes=svag svag_svag_order=2 transfer_batch_law=gaussian", "svag"},
                                        {"processes=gd transfer_order=4", "gd"}};

  (void)state;
  for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
    json_t *run = Run(SIGNS "mesh_lower=-2.6,-2.6 mesh_upper=2.6,2.6 mesh_cells=34,34 engines=transfer "
                            "observables=lyapunov %s",
                      keys[k][0]);

    check(!strcmp(json_string_value(
                      json_object_get(Row(run, keys[k][1], "transfer", "lyapunov", "exponent_orbit"), "status")),
                  "unsupported"),
          "%s is told", keys[k][0]);
    json_decref(run);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_matrix), cmocka_unit_test(test_products),
                                     cmocka_unit_test(test_signs),      cmocka_unit_test(test_walls),
                                     cmocka_unit_test(test_gaussian),   cmocka_unit_test(test_recombined),
                                     cmocka_unit_test(test_patients),   cmocka_unit_test(test_refused)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  return SlepcFinalize() || failed;
}

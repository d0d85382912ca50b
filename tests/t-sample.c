/* t-sample.c: `dlnfp sample`: points of an Ornstein-Uhlenbeck law from the generator and of SGD's from particles have
   its moments within their effective sample size, the same numbers in CSV and HDF5 from the same seed, snapshots of few
   particles count for less; bad input is one line and exit code 2. */
#include "program.h"
#include <hdf5.h>
#include <math.h>

/* b = -A w with A = diag(1.7, 0.6), langevin: covariance T A^-1, T = 0.2. SGD on one sign-valued input. */
static const char Grid[] =
    "model: {type: ou, drift: [1.7, 0, 0, 0.6], diffusion: [0.1, 0, 0, 0.1], center: [0.3, -0.2]}\n"
    "training: {learning_rate: 0.1}\n"
    "processes: [langevin, gd]\n"
    "langevin: {temperature: 0.2}\n"
    "mesh: {lower: [-2.4, -3.6], upper: [2.8, 3.3], cells: [96, 96]}\n"
    "particles: {count: 4096, steps: 400, burn_in: 200, seed: 3, threads: 1}\n";
static const char Walk[] = "data: {type: gaussian, teacher: [0.8], label_noise: 0.5, second_moment: 1.2}\n"
                           "model: {type: chain, depth: 1}\n"
                           "training: {learning_rate: 0.2, batch_size: 2}\n"
                           "processes: [sgd]\n"
                           "particles: {count: 4096, steps: 400, burn_in: 200, seed: 3, threads: 1}\n";

/* Rows of a CSV file of `columns` columns; the head line is compared. */
static int ReadCSV(const char *dir, const char *head, int columns, int most, double *value)
{
  FILE *f = fopen(InFolder("%s/sample.csv", dir), "r");
  char  line[300];
  int   n = 0;

  assert_non_null(f);
  assert_non_null(fgets(line, sizeof(line), f));
  check(!strcmp(line, head), "head line: %s", line);
  while (n < most && fgets(line, sizeof(line), f)) {
    char *at = line;

    for (int k = 0; k < columns; k++) {
      value[n * columns + k] = strtod(at, &at);
      check(*at == (k < columns - 1 ? ',' : '\n'), "row %d: %s", n, line);
      at++;
    }
    n++;
  }
  (void)fclose(f);
  return n;
}

static void Moments(int n, int columns, const double *value, int a, int b, double *mean, double *covariance)
{
  double sum[3] = {0, 0, 0};

  for (int i = 0; i < n; i++) {
    const double x = value[i * columns + a], y = value[i * columns + b];

    sum[0] += x / n;
    sum[1] += y / n;
    sum[2] += x * y / n;
  }
  *mean       = sum[0];
  *covariance = sum[2] - sum[0] * sum[1];
}

static double Effective(void)
{
  const char *at = strstr(ReadText(InFolder("output")), "effective sample size ");

  assert_non_null(at);
  return atof(at + strlen("effective sample size "));
}

static void test_generator(void **state)
{
  enum { N = 40000 };
  static double     value[3 * (N + 1)];
  const char *const argv[]      = {"dlnfp", "sample", InFolder("grid.yaml"), "-process", "langevin", "-count",
                                   "40000", "-out",   InFolder("grid"),      NULL};
  const double      variance[2] = {0.2 / 1.7, 0.2 / 0.6}, center[2] = {0.3, -0.2};

  (void)state;
  check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
  check(Effective() == N, "effective sample size %g", Effective());
  check(ReadCSV("grid", "w1,w2,loss\n", 3, N + 1, value) == N, "not %d rows", N);
  for (int a = 0; a < 2; a++) {
    double mean, covariance, loss = 0;

    Moments(N, 3, value, a, a, &mean, &covariance);
    check(fabs(mean - center[a]) < 4.5 * sqrt(variance[a] / N), "mean %g", mean);
    check(fabs(covariance - variance[a]) < 4.5 * variance[a] * sqrt(2.0 / N), "variance %g, exact %g", covariance,
          variance[a]);
    Moments(N, 3, value, 0, 1, &mean, &covariance);
    check(fabs(covariance) < 4.5 * sqrt(variance[0] * variance[1] / N), "covariance %g", covariance);
    for (int i = 0; i < N; i++) loss += value[3 * i + 2] / N; /* E V = T d/2 */
    check(fabs(loss - 0.2) < 4.5 * 0.2 / sqrt(N), "loss %g", loss);
  }
}

/* E e^2 = (eta sigma^2/B)/(2 - eta s (1 + 2/B)), without walls */
static void test_particles(void **state)
{
  enum { N = 30000 };
  static double            value[2 * (N + 1)];
  static const char *const counts[] = {"4000", "30000"};
  const double             eta = 0.2, s = 1.2, batch = 2, exact = eta * 0.25 / batch / (2 - eta * s * (1 + 2 / batch));

  (void)state;
  for (int k = 0; k < 2; k++) {
    const char *const argv[] = {"dlnfp",   "sample", InFolder("walk.yaml"), "-process", "sgd", "-count",
                                counts[k], "-out",   InFolder("walk"),      NULL};
    const int         n      = atoi(counts[k]);
    double            mean, variance, size;

    check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
    size = Effective();
    check(ReadCSV("walk", "w1,loss\n", 2, N + 1, value) == n, "not %d rows", n);
    Moments(n, 2, value, 0, 0, &mean, &variance);
    check(fabs(mean - 0.8) < 4.5 * sqrt(exact / size), "mean %g", mean);
    check(fabs(variance - exact) < 6 * exact * sqrt(2 / size), "variance %g, exact %g", variance, exact);
    check(k ? size > 0.2 * n && size <= n : size == n, "effective sample size %g of %d", size, n);
  }
}

/* Snapshots 4 steps apart when the memory is 1/(eta a) = 83 steps long: about 1/40 of the points count. */
static void test_effective(void **state)
{
  const char *const argv[] = {"dlnfp",
                              "sample",
                              InFolder("walk.yaml"),
                              "-process",
                              "sgd",
                              "-count",
                              "400000",
                              "-out",
                              InFolder("slow"),
                              "-training_learning_rate",
                              "0.01",
                              "-particles_burn_in",
                              "600",
                              NULL};
  /* of an AR(1) series of 98 points with correlation c = (1 - eta s)^4: n (1 - c)/(1 + c), and the ends */
  const double c = pow(1 - 0.012, 4), n = 98,
               sum = (1 + c) / (1 - c) - 2 * c * (1 - pow(c, n)) / (n * (1 - c) * (1 - c));

  (void)state;
  check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
  check(Effective() < 1.8 * 400000 / sum && Effective() > 0.4 * 400000 / sum,
        "effective sample size %g, of the series %g", Effective(), 400000 / sum);
}

/* The same points whatever the format; attributes. */
static void test_hdf5(void **state)
{
  enum { N = 500 };
  static double value[2 * (N + 1)], table[2 * N];
  double        size;
  hid_t         file, dataset, space, attribute;
  hsize_t       shape[2];

  (void)state;
  for (int k = 0; k < 2; k++) {
    const char *const argv[] = {
        "dlnfp",          "sample", InFolder("walk.yaml"), "-process", "sgd", "-count", "500", "-format",
        k ? "h5" : "csv", "-out",   InFolder("both"),      NULL};

    check(RunProgram(argv) == 0, "%s", ReadText(InFolder("errors")));
  }
  check(ReadCSV("both", "w1,loss\n", 2, N + 1, value) == N, "rows");
  file      = H5Fopen(InFolder("both/sample.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
  dataset   = H5Dopen2(file, "sample", H5P_DEFAULT);
  space     = H5Dget_space(dataset);
  attribute = H5Aopen(dataset, "effective_sample_size", H5P_DEFAULT);
  check(file >= 0 && dataset >= 0 && attribute >= 0, "cannot read the file");
  assert_int_equal(H5Sget_simple_extent_dims(space, shape, NULL), 2);
  check(shape[0] == N && shape[1] == 2, "shape %d x %d", (int)shape[0], (int)shape[1]);
  assert_true(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, table) >= 0);
  assert_true(H5Aread(attribute, H5T_NATIVE_DOUBLE, &size) >= 0);
  assert_true(H5Aexists(dataset, "columns") > 0 && H5Aexists(dataset, "run") > 0);
  check(size == N, "effective sample size %g", size);
  for (int k = 0; k < 2 * N; k++) check(value[k] == table[k], "entry %d: %.17g, %.17g", k, value[k], table[k]);
  (void)H5Aclose(attribute);
  (void)H5Sclose(space);
  (void)H5Dclose(dataset);
  (void)H5Fclose(file);
}

static void test_refused(void **state)
{
  static const struct {
    const char *word, *words[8];
  } cases[] = {{"accepted: langevin, gd", {"-process", "sgd", "-count", "10"}},
               {"deterministic", {"-process", "gd", "-count", "10"}},
               {"needs -process", {"-count", "10"}},
               {"needs -count", {"-process", "langevin"}},
               {"-count 0", {"-process", "langevin", "-count", "0"}},
               {"-count 1.5", {"-process", "langevin", "-count", "1.5"}},
               {"csv, h5", {"-process", "langevin", "-count", "10", "-format", "xml"}},
               {"particles_steps", {"-process", "langevin", "-count", "9000000", "-engines", "particles"}}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const char *argv[16] = {"dlnfp", "sample", InFolder("grid.yaml"), "-out", InFolder("refused")};

    for (int w = 0; w < 8 && cases[k].words[w]; w++) argv[5 + w] = cases[k].words[w];
    if (k == 7) argv[11] = "-langevin_dt", argv[12] = "0.1";
    Refused(argv, cases[k].word);
    check(access(InFolder("refused/sample.csv"), F_OK), "%s: something was written", cases[k].word);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_generator), cmocka_unit_test(test_particles),
                                     cmocka_unit_test(test_effective), cmocka_unit_test(test_hdf5),
                                     cmocka_unit_test(test_refused)};
  char                    command[64];
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  assert_non_null(mkdtemp(folder));
  WriteText(InFolder("grid.yaml"), Grid);
  WriteText(InFolder("walk.yaml"), Walk);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
  if (system(command)) failed++;
  must(SlepcFinalize());
  return failed;
}

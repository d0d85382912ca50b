/* t-sample.c: `dlnfp sample`: points of an Ornstein-Uhlenbeck law from the generator and of SGD's from particles have
   its moments within their effective sample size, the same numbers in CSV and HDF5 from the same seed, snapshots of few
   particles count for less. Quasi-stationary laws and their rates: of an OU process killed at a box against Kummer's
   function, of gradient descent with noise against the eigenvector of its integral operator. Laws restricted to a
   sublevel set against exact shares and moments. Bad input is one line and exit code 2. */
#include "program.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_hyperg.h>
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
  static double value[3 * (N + 1)];
  const double  variance[2] = {0.2 / 1.7, 0.2 / 0.6}, center[2] = {0.3, -0.2};

  (void)state;
  Runs("sample %s -process langevin -count 40000 -out %s", InFolder("grid.yaml"), InFolder("grid"));
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
    const int n = atoi(counts[k]);
    double    mean, variance, size;

    Runs("sample %s -process sgd -count %s -out %s", InFolder("walk.yaml"), counts[k], InFolder("walk"));
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
  /* of an AR(1) series of 98 points with correlation c = (1 - eta s)^4: n (1 - c)/(1 + c), and the ends */
  const double c = pow(1 - 0.012, 4), n = 98,
               sum = (1 + c) / (1 - c) - 2 * c * (1 - pow(c, n)) / (n * (1 - c) * (1 - c));

  (void)state;
  Runs("sample %s -process sgd -count 400000 -out %s -training_learning_rate 0.01 -particles_burn_in 600",
       InFolder("walk.yaml"), InFolder("slow"));
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

static double Said(const char *words)
{
  const char *at = strstr(ReadText(InFolder("output")), words);

  if (!at) fail_msg("not said: %s", words);
  return atof(at + strlen(words));
}

/* P(1F1), E x^2 of dx = -a x dt + sqrt(2D) dB killed at |x| = R: the backward eigenfunction is 1F1(-k/2a; 1/2; a
   x^2/2D), with k the least zero at R, and the law that times exp(-a x^2/2D). */
static double KilledLine(double a, double D, double R, double *rate)
{
  double low = 0, high = 1, sum[2] = {0, 0};

  while (gsl_sf_hyperg_1F1(-high / (2 * a), 0.5, a * R * R / (2 * D)) > 0) high *= 1.5;
  for (int step = 0; step < 80; step++) {
    const double k = (low + high) / 2;

    *(gsl_sf_hyperg_1F1(-k / (2 * a), 0.5, a * R * R / (2 * D)) > 0 ? &low : &high) = k;
  }
  for (int k = 0; k < 2000; k++) {
    const double x = R * (k + 0.5) / 2000, y = a * x * x / (2 * D);
    const double p = gsl_sf_hyperg_1F1(-low / (2 * a), 0.5, y) * exp(-y);

    sum[0] += p;
    sum[1] += x * x * p;
  }
  *rate = low;
  return sum[1] / sum[0];
}

/* A box around the center of the process: the product of two laws. The faces cut cells at any fraction. */
static void test_quasi_generator(void **state)
{
  enum { N = 40000 };
  static double value[3 * (N + 1)];
  const double  radius[2] = {0.47, 0.91}, A[2] = {1.7, 0.6}, center[2] = {0.3, -0.2};
  double        total = 0;

  (void)state;
  Runs("sample %s -process langevin -count 40000 -out %s -sample_law quasi_stationary -exit_region box -exit_center "
       "0.3,-0.2 -exit_radius 0.47,0.91",
       InFolder("grid.yaml"), InFolder("quasi"));
  check(ReadCSV("quasi", "w1,w2,loss\n", 3, N + 1, value) == N, "not %d rows", N);
  for (int a = 0; a < 2; a++) {
    double       rate, mean = 0, second = 0, fourth = 0;
    const double exact = KilledLine(A[a], 0.2, radius[a], &rate);

    total += rate;
    for (int i = 0; i < N; i++) {
      const double x = value[3 * i + a] - center[a];

      check(fabs(x) < radius[a], "point %d lies outside", i);
      mean += x / N;
      second += x * x / N;
      fourth += x * x * x * x / N;
    }
    check(fabs(mean) < 4.5 * sqrt(exact / N), "mean %g", mean);
    check(fabs(second - exact) < 4.5 * sqrt((fourth - second * second) / N) + 3e-3 * exact, "E x^2 %g, exact %g",
          second, exact);
  }
  check(fabs(Said("killed at rate ") - total) < 3e-3 * total, "rate %g, exact %g", Said("killed at rate "), total);
}

/* Gradient descent with noise on one weight is e' = c e + sqrt(2 eta T) xi, c = 1 - eta s; killed at |e| = R after a
   step: power iteration of the operator by Gauss-Legendre nodes. Returns E e^2 of those that live. */
static double KilledChain(double eta, double s, double T, double R, double *rate)
{
  enum { M = 96 };
  double                         x[M], weight[M], p[M], sum[3] = {0};
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(M);

  for (int i = 0; i < M; i++) {
    (void)gsl_integration_glfixed_point(-R, R, (size_t)i, &x[i], &weight[i], table);
    p[i] = 1 / (2 * R);
  }
  gsl_integration_glfixed_table_free(table);
  for (int step = 0; step < 800; step++) {
    double next[M];

    sum[0] = sum[1] = sum[2] = 0;
    for (int j = 0; j < M; j++) {
      next[j] = 0;
      for (int i = 0; i < M; i++)
        next[j] +=
            weight[i] * p[i] * exp(-pow(x[j] - (1 - eta * s) * x[i], 2) / (4 * eta * T)) / sqrt(4 * M_PI * eta * T);
      sum[0] += weight[j] * next[j];
      sum[1] += weight[j] * next[j] * x[j] * x[j];
    }
    for (int j = 0; j < M; j++) p[j] = next[j] / sum[0];
  }
  *rate = -log(sum[0]) / eta;
  return sum[1] / sum[0];
}

/* eta = 0.2, s = 1.2, T = 0.17; the same bits on two threads as on one */
static void test_quasi_particles(void **state)
{
  enum { N = 120000 };
  static double value[2][2 * (N + 1)];
  double        rate, second = 0, size, exact = KilledChain(0.2, 1.2, 0.17, 0.55, &rate);

  (void)state;
  for (int threads = 1; threads <= 2; threads++) {

    Runs("sample %s -process noisy -count 120000 -out %s -processes noisy -noisy_preset gd -noisy_temperature 0.17 "
         "-sample_law quasi_stationary -exit_region ball -exit_center minimum -exit_radius 0.55 -particles_threads %s",
         InFolder("walk.yaml"), InFolder("stay"), threads > 1 ? "2" : "1");
    check(ReadCSV("stay", "w1,loss\n", 2, N + 1, value[threads - 1]) == N, "not %d rows", N);
  }
  size = Effective();
  for (int i = 0; i < N; i++) {
    const double e = value[0][2 * i] - 0.8;

    check(fabs(e) < 0.55, "point %d lies outside: %g", i, e);
    second += e * e / N;
  }
  for (int k = 0; k < 2 * N; k++) check(value[0][k] == value[1][k], "entry %d differs on two threads", k);
  print_message("  E e^2 %.6f exact %.6f; rate %.5f +- %.1e exact %.5f; effective %g of %d\n", second, exact,
                Said("killed at rate "), Said(" +- "), rate, size, N);
  check(size > 0.2 * N && size <= N, "effective sample size %g", size);
  check(fabs(second - exact) < 4.5 * exact * sqrt(1.0 / size), "E e^2 %g, exact %g", second, exact);
  check(fabs(Said("killed at rate ") - rate) < 4.5 * Said(" +- "), "rate %g +- %g, exact %g", Said("killed at rate "),
        Said(" +- "), rate);
  check(Said(" +- ") < 0.01 * rate && Said("families of ") == 256, "rate +- %g, families of %g", Said(" +- "),
        Said("families of "));
}

/* SGD itself by its transfer operator: independent points of its exact law, Walk's second and fourth moments (B = 2),
   and of gradient descent with noise the law killed at |e| = R, as by particles above. */
static void test_transfer(void **state)
{
  enum { N = 40000 };
  static double value[2 * (N + 1)];
  const double  eta = 0.2, s = 1.2, exact = eta * 0.25 / 2 / (2 - eta * s * 2);
  double        mean, variance, fourth    = 0, rate;

  (void)state;
  Runs("sample %s -process sgd -count 40000 -out %s -mesh_lower -3.2 -mesh_upper 4.9 -mesh_cells 256 -engines transfer",
       InFolder("walk.yaml"), InFolder("exact"));
  check(strstr(ReadText(InFolder("output")), "by transfer"), "%s", ReadText(InFolder("output")));
  check(Effective() == N, "effective sample size %g", Effective());
  check(ReadCSV("exact", "w1,loss\n", 2, N + 1, value) == N, "not %d rows", N);
  Moments(N, 2, value, 0, 0, &mean, &variance);
  for (int i = 0; i < N; i++) fourth += pow(value[2 * i] - mean, 4) / N;
  check(fabs(mean - 0.8) < 4.5 * sqrt(exact / N), "mean %g", mean);
  check(fabs(variance - exact) < 4.5 * sqrt((fourth - variance * variance) / N) + 4e-3 * exact, "variance %g, exact %g",
        variance, exact);
  {
    const double second = KilledChain(0.2, 1.2, 0.17, 0.53, &rate);

    Runs("sample %s -process gd -processes gd -count 40000 -out %s -mesh_lower -1.1 -mesh_upper 2.9 -mesh_cells 400 "
         "-engines transfer -training_temperature 0.17 -sample_law quasi_stationary -exit_region ball -exit_center 0.8 "
         "-exit_radius 0.53",
         InFolder("walk.yaml"), InFolder("exact"));
    check(ReadCSV("exact", "w1,loss\n", 2, N + 1, value) == N, "not %d rows", N);
    mean = variance = 0;
    for (int i = 0; i < N; i++) {
      const double e = value[2 * i] - 0.8;

      check(fabs(e) < 0.53, "point %d lies outside", i);
      mean += e / N;
      variance += e * e / N;
    }
    check(fabs(mean) < 4.5 * sqrt(second / N), "mean %g", mean);
    check(fabs(variance - second) < 4.5 * second * sqrt(1.0 / N) + 1e-3 * second, "E e^2 %g, exact %g", variance,
          second);
    check(fabs(Said("killed at rate ") - rate) < 1e-3 * rate, "rate %g, exact %g", Said("killed at rate "), rate);
  }
}

/* V/T of a Gaussian law in the plane is exponential: P(V < l) = 1 - exp(-l/T). By the generator, and by particles. */
static void test_sublevel(void **state)
{
  enum { N = 30000 };
  static double value[3 * (N + 1)];
  const double  T = 0.2, level = 0.13, share = 1 - exp(-level / T), exact = T - level * exp(-level / T) / share;

  (void)state;
  for (int particles = 0; particles < 2; particles++) {
    double loss = 0, most = 0, square = 0, size;

    Runs("sample %s -process langevin -count 30000 -out %s -sample_region sublevel -sample_level 0.13 -langevin_dt "
         "0.005 -engines %s",
         InFolder("grid.yaml"), InFolder("low"), particles ? "particles" : "generator");
    check(ReadCSV("low", "w1,w2,loss\n", 3, N + 1, value) == N, "not %d rows", N);
    size = Effective();
    for (int i = 0; i < N; i++) {
      loss += value[3 * i + 2] / N;
      square += value[3 * i + 2] * value[3 * i + 2] / N;
      most = fmax(most, value[3 * i + 2]);
    }
    check(most < level && most > 0.999 * level, "the largest loss is %g, the level %g", most, level);
    check(particles ? size > 0.1 * N && size < N : size == N, "effective sample size %g", size);
    check(fabs(loss - exact) < 4.5 * sqrt((square - loss * loss) / size) + 3e-3 * exact, "loss %g, exact %g", loss,
          exact);
    {
      const char *at = strchr(strstr(ReadText(InFolder("output")), "effective"), ',');

      check(at && fabs(atof(at + 1) / 100 - share) < 4.5 * sqrt(share * (1 - share) / size) + 5e-3 * share,
            "acceptance %s exact %g", at, share);
    }
  }
}

/* A level so low that no particle is ever below it: bad input, after some simulation. */
static void test_nowhere(void **state)
{

  (void)state;
  check(
      RunWords(
          "sample %s -process langevin -count 10 -out %s -sample_region sublevel -sample_level 1e-9 -engines particles",
          InFolder("grid.yaml"), InFolder("refused")) == 2,
      "exit code is not 2: %s", ReadText(InFolder("errors")));
  check(strstr(ReadText(InFolder("errors")), "none of"), "said: %s", ReadText(InFolder("errors")));
}

/* Both at once: those that stay in a ball, of them those of small loss; attributes of the file. */
static void test_both(void **state)
{
  const char *const names[] = {"law", "acceptance", "rate", "rate_error"};
  static double     table[6000];
  double            acceptance = 0;
  hid_t             file, dataset, attribute;

  (void)state;
  Runs("sample %s -process sgd -count 3000 -out %s -sample_law quasi_stationary -exit_region ball -exit_center minimum "
       "-exit_radius 0.2 -sample_region sublevel -sample_level 0.004 -format h5",
       InFolder("walk.yaml"), InFolder("mix"));
  file    = H5Fopen(InFolder("mix/sample.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
  dataset = H5Dopen2(file, "sample", H5P_DEFAULT);
  for (int k = 0; k < 4; k++) check(H5Aexists(dataset, names[k]) > 0, "no attribute %s", names[k]);
  attribute = H5Aopen(dataset, "acceptance", H5P_DEFAULT);
  assert_true(H5Aread(attribute, H5T_NATIVE_DOUBLE, &acceptance) >= 0);
  assert_true(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, table) >= 0);
  check(acceptance > 0.1 && acceptance < 0.9, "acceptance %g", acceptance);
  for (int i = 0; i < 3000; i++) check(table[2 * i + 1] < 0.004, "loss %g", table[2 * i + 1]);
  (void)H5Aclose(attribute);
  (void)H5Dclose(dataset);
  (void)H5Fclose(file);
}

static void test_refused(void **state)
{
  static const struct {
    const char *word, *words[12];
  } cases[] = {{"accepted: langevin, gd", {"-process", "sgd", "-count", "10"}},
               {"deterministic", {"-process", "gd", "-count", "10"}},
               {"needs -process", {"-count", "10"}},
               {"needs -count", {"-process", "langevin"}},
               {"-count 0", {"-process", "langevin", "-count", "0"}},
               {"-count 1.5", {"-process", "langevin", "-count", "1.5"}},
               {"csv, h5", {"-process", "langevin", "-count", "10", "-format", "xml"}},
               {"particles_steps", {"-process", "langevin", "-count", "9000000", "-engines", "particles"}},
               {"exit_region", {"-process", "langevin", "-count", "10", "-sample_law", "quasi_stationary"}},
               {"sample_law", {"-process", "langevin", "-count", "10", "-sample_law", "quasi"}},
               {"did you mean sample_law", {"-process", "langevin", "-count", "10", "-sample_lav", "stationary"}},
               {"sample_level", {"-process", "langevin", "-count", "10", "-sample_region", "sublevel"}},
               {"its generator",
                {"-process", "langevin", "-count", "10", "-sample_law", "quasi_stationary", "-exit_region",
                 "half_space", "-exit_normal", "1,0", "-exit_offset", "0.9"}},
               {"none of 1000000",
                {"-process", "langevin", "-count", "10", "-sample_region", "half_space", "-sample_normal", "1,0",
                 "-sample_offset", "-2.5"}},
               {"lies outside the region",
                {"-process", "langevin", "-count", "10", "-sample_law", "quasi_stationary", "-exit_region", "sublevel",
                 "-exit_level", "0.1", "-exit_start", "1,1"}}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const char *argv[20] = {"dlnfp", "sample", InFolder("grid.yaml"), "-out", InFolder("refused")};

    for (int w = 0; w < 12 && cases[k].words[w]; w++) argv[5 + w] = cases[k].words[w];
    if (k == 7) argv[11] = "-langevin_dt", argv[12] = "0.1";
    if (k == 12) argv[17] = "-engines", argv[18] = "particles";
    Refused(argv, cases[k].word);
    check(access(InFolder("refused/sample.csv"), F_OK), "%s: something was written", cases[k].word);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_generator),       cmocka_unit_test(test_particles),
                                     cmocka_unit_test(test_effective),       cmocka_unit_test(test_hdf5),
                                     cmocka_unit_test(test_quasi_generator), cmocka_unit_test(test_quasi_particles),
                                     cmocka_unit_test(test_sublevel),        cmocka_unit_test(test_both),
                                     cmocka_unit_test(test_transfer),        cmocka_unit_test(test_nowhere),
                                     cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  must(MakeFolder(NULL));
  WriteText(InFolder("grid.yaml"), Grid);
  WriteText(InFolder("walk.yaml"), Walk);
  failed = cmocka_run_group_tests(tests, NULL, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-lyapunov.c: exponents at critical points against closed forms (Gaussian logarithms, SDE values and their collapse
   thresholds, SGD without label noise, GD), the batch law of files by enumeration, Gaussian batches by characteristic
   functions; exponents along orbits where they are known: affine maps, collapsed networks, chaos with exponent ln 3. */
#include "ask.h"
#include "runs.h"
#include <complex.h>
#include <gsl/gsl_integration.h>
#include "../src/observable/observableimpl.h"
#include <gsl/gsl_sf_dawson.h>
#include <math.h>

#define ORBITS "engines=particles observables=lyapunov particles_count=4096 "
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

static void CheckOrbit(const json_t *root, const char *process, double exact, double useful)
{
  Meets(root, process, "particles", "lyapunov", exact, useful, "exponent_orbit");
}

static void test_orbits(void **state)
{
  json_t   *root;
  PetscReal exact;
  double    error;

  (void)state;
  /* one weight: every orbit has the exponent E ln |1 - eta x^2| */
  root  = Run(ORBITS "processes=sgd,svag " CHAIN
                     "model_depth=1 training_weight_decay=0.01 particles_steps=80 particles_burn_in=5 "
                      "svag_svag_order=1",
              1.0, 0.6, 0.5, 0.37, 2);
  exact = Value(root, "sgd", "exact", "lyapunov", "exponent_at[minimum]", &error);
  CheckOrbit(root, "sgd", exact, 0.02);
  CheckOrbit(root, "svag", exact, 0.02);
  json_decref(root);
  /* label noise collapses the weights: the orbit ends at the origin, of sgd and of both modified equations */
  root = Run(ORBITS "processes=sgd,ald,ald2 ald_dt=0.05 ald2_dt=0.05 " CHAIN
                    "model_coordinates=balanced training_weight_decay=1.0e-9 particles_steps=400 particles_burn_in=300",
             1.0, 0.02, 1.0, 0.5, 4);
  for (int p = 0; p < 3; p++) {
    static const char *const processes[] = {"sgd", "ald", "ald2"};

    exact = Value(root, processes[p], "exact", "lyapunov", "exponent_at[origin]", &error);
    check(exact < 0, "%s does not collapse: %g", processes[p], exact);
    CheckOrbit(root, processes[p], exact, 0.01);
  }
  json_decref(root);
  /* gd: the cubic map at eta s p = 2 is the third Chebyshev polynomial, with exponent ln 3 per step */
  root = Run(ORBITS "processes=gd " CHAIN "model_coordinates=balanced particles_steps=400 particles_burn_in=40", 1.0,
             1.0, 0.0, 2.0, 1);
  CheckOrbit(root, "gd", PetscLogReal(3) / 2, 0.01);
  json_decref(root);
}

/* ln |J u| averaged over all pairs of the rows below, J = (1 - eta decay) I + eta S, S the mean of y x^T + x y^T, again
   and again along the direction J u: on 2000 directions, linear between them. The same whatever the direction is after
   some steps: the exponent of products of those matrices. */
enum { PAIRED = 5, DIRECTIONS = 2000, STEPS = 60 };
static const double paired[PAIRED][4] = {{0.9, -0.4, 0.8, 0.1},
                                         {-0.6, 1.1, -0.5, 0.7},
                                         {0.2, 0.7, 0.4, -0.9},
                                         {1.2, 0.3, 0.9, -0.2},
                                         {-0.3, -0.8, 0.2, -0.6}};

static double ByDirections(double eta, double decay)
{
  static double f[2][DIRECTIONS + 1];
  double        mean = 0;

  for (int j = 0; j <= DIRECTIONS; j++) f[0][j] = 0;
  for (int step = 0; step < STEPS; step++) {
    for (int j = 0; j < DIRECTIONS; j++) {
      const double u[2] = {cos(PETSC_PI * j / DIRECTIONS), sin(PETSC_PI * j / DIRECTIONS)};

      f[1][j] = 0;
      for (int pair = 0; pair < PAIRED * PAIRED; pair++) {
        double v[2] = {(1 - eta * decay) * u[0], (1 - eta * decay) * u[1]}, at;

        for (int k = 0; k < 2; k++) {
          const double *r = paired[k ? pair / PAIRED : pair % PAIRED];
          const double  x = r[0] * u[0] + r[1] * u[1], y = r[2] * u[0] + r[3] * u[1];

          for (int i = 0; i < 2; i++) v[i] += eta / 2 * (r[2 + i] * x + r[i] * y);
        }
        at = fmod(atan2(v[1], v[0]) / PETSC_PI + 1, 1) * DIRECTIONS;
        f[1][j] += (log(hypot(v[0], v[1])) + (1 - at + (int)at) * f[0][(int)at] + (at - (int)at) * f[0][(int)at + 1]) /
                   (PAIRED * PAIRED);
      }
    }
    f[1][DIRECTIONS] = f[1][0];
    mean             = f[1][0] - f[0][0];
    memcpy(f[0], f[1], sizeof(f[0]));
  }
  return mean / eta;
}

/* At points that SGD never leaves, by particles: where directions turn, against all of them; of a chain and at an
   unstable minimum against closed forms; of two inputs, the second of which is noise to the first, likewise. */
static void test_still(void **state)
{
#define STILL                                                                                                          \
  "engines=particles observables=lyapunov particles_count=4096 particles_steps=200 training_batch_size=2 "             \
  "training_learning_rate=0.3 "
  char         path[] = "/tmp/dlnfp-rows-XXXXXX";
  FILE        *f      = fdopen(mkstemp(path), "w");
  const double turned = ByDirections(0.3, 0.2);
  char         keys[512];
  double       error, exact;
  json_t      *run;

  (void)state;
  fprintf(f, "a,b,c,d\n");
  for (int i = 0; i < PAIRED; i++) fprintf(f, "%g,%g,%g,%g\n", paired[i][0], paired[i][1], paired[i][2], paired[i][3]);
  (void)fclose(f);
  for (int rank = 1; rank < 3; rank++) {
    run = Run(STILL "data_type=file data_path=%s data_inputs=a,b data_targets=c,d model_type=symmetric model_rank=%d "
                    "training_weight_decay=0.2 processes=sgd",
              path, rank);
    Meets(run, "sgd", "particles", "lyapunov", turned, 4e-3, "exponent_at[origin]");
    json_decref(run);
  }
  (void)remove(path);
  run   = Run(STILL CHAIN "training_weight_decay=0.1 processes=sgd,svag svag_svag_order=1 mesh_lower=0.1,0.1 "
                            "mesh_upper=1.9,1.8 mesh_cells=24,24",
              1.0, 0.6, 0.5, 0.3, 2);
  exact = Value(run, "sgd", "exact", "lyapunov", "exponent_at[origin]", &error);
  Meets(run, "sgd", "particles", "lyapunov", exact, 5e-3, "exponent_at[origin]");
  Meets(run, "svag", "particles", "lyapunov", exact, 5e-3, "exponent_at[origin]");
  json_decref(run);
  run   = Run(STILL CHAIN "processes=sgd mesh_lower=-2.1,-2 mesh_upper=2,2.1 mesh_cells=24,24", 1.0, 1.7, 0.0, 0.9, 1);
  exact = Value(run, "sgd", "exact", "lyapunov", "exponent_at[minimum][0]", &error);
  check(exact > 0.1, "the minimum attracts: %g", exact);
  Meets(run, "sgd", "particles", "lyapunov", exact, 0.02, "exponent_at[minimum][0]");
  json_decref(run);
  run = Run(STILL "data_type=gaussian data_teacher=0.8,-0.4 data_second_moment=0.9 data_label_noise=0.5 "
                  "model_type=diagonal model_depth=2 training_weight_decay=0.2 processes=sgd mesh_lower=-2,-2.1 "
                  "mesh_upper=2.1,2 mesh_cells=24,24");
  (void)snprintf(keys, sizeof(keys),
                 "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=%.15g model_type=chain "
                 "training_batch_size=2 training_learning_rate=0.3 training_weight_decay=0.2",
                 sqrt(0.5 * 0.5 + 0.4 * 0.4 * 0.9));
  Meets(run, "sgd", "particles", "lyapunov", Exact("sgd", keys, "exponent_at[origin]"), 5e-3, "exponent_at[origin]");
  json_decref(run);
}

/* Gibbs laws of one weight: -E V'' under exp(-V/T) by quadrature, V = p^2-chain of depth 2 with decay; signs as inputs
   have the noise sigma^2 s/B w^2 and the law w^{2 s p'/(eta v) - 2} ..., whose exponent is E [b' - (1/2) S'^2]. */
typedef struct {
  PetscReal s, p, decay, T, eta, v;
} Line;

static double GibbsWeight(const Line *l, double w)
{
  return exp(-(0.5 * l->s * PetscSqr(w * w - l->p) + l->decay * w * w) / l->T);
}

static void Gibbs(const Line *l, double w, double *weight, double *rate)
{
  *weight = GibbsWeight(l, w);
  *rate   = -l->s * (3 * w * w - l->p) - l->decay;
}

/* ald: b = -s (w^2 - p) w - decay w, S^2 = eta v w^2: density w^(2 (s p - decay)/(eta v) - 2) exp(-s w^2/(eta v)) */
static void Signs(const Line *l, double w, double *weight, double *rate)
{
  const double x = l->eta * l->v;

  *weight = pow(w, 2 * (l->s * l->p - l->decay) / x - 2) * exp(-l->s * w * w / x);
  *rate   = -l->s * (3 * w * w - l->p) - l->decay - 0.5 * x;
}

/* Midpoints of a box: smooth functions that vanish at its ends */
static double LineMean(const Line *l, void (*f)(const Line *, double, double *, double *), double lower, double upper)
{
  double sum = 0, total = 0;

  for (int k = 0; k < 200000; k++) {
    double weight, rate;

    (*f)(l, lower + (upper - lower) * (k + 0.5) / 200000, &weight, &rate);
    sum += weight * rate;
    total += weight;
  }
  return sum / total;
}

static void test_line(void **state)
{
  const Line langevin = {.s = 0.9, .p = 0.8, .decay = 0.1, .T = 0.07};
  const Line ald      = {.s = 0.9, .p = 0.8, .decay = 0.1, .eta = 0.3, .v = 0.9 * 0.7 * 0.7 / 3};
  json_t    *root;

  (void)state;
  root = Run("engines=generator,particles observables=lyapunov particles_count=4096 particles_steps=400 "
             "particles_burn_in=20 data_type=rademacher data_second_moment=0.9 data_teacher=0.8 data_label_noise=0.7 "
             "model_type=chain model_coordinates=balanced training_learning_rate=0.3 training_batch_size=3 "
             "training_weight_decay=0.1 langevin_temperature=0.07 mesh_lower=0.02 mesh_upper=2.4 mesh_cells=96 "
             "processes=ald");
  Meets(root, "ald", "generator", "lyapunov", LineMean(&ald, Signs, 0.02, 2.4), 1e-4, "exponent_orbit");
  Meets(root, "ald", "particles", "lyapunov", LineMean(&ald, Signs, 0.02, 2.4), 0.03, "exponent_orbit");
  json_decref(root);
  root = Run("engines=generator,particles observables=lyapunov particles_count=4096 particles_steps=400 "
             "particles_burn_in=20 data_type=gaussian data_second_moment=0.9 data_teacher=0.8 data_label_noise=0.7 "
             "model_type=chain model_coordinates=balanced training_learning_rate=0.05 training_weight_decay=0.1 "
             "langevin_temperature=0.07 mesh_lower=-2.1 mesh_upper=2.3 mesh_cells=64 processes=langevin");
  Meets(root, "langevin", "generator", "lyapunov", LineMean(&langevin, Gibbs, -2.1, 2.3), 1e-5, "exponent_orbit");
  Meets(root, "langevin", "particles", "lyapunov", LineMean(&langevin, Gibbs, -2.1, 2.3), 0.02, "exponent_orbit");
  json_decref(root);
}

/* Linear drift and additive noise: minus the least real part of the eigenvalues of A, real or complex. */
static void test_linear(void **state)
{
  static const struct {
    const char *drift;
    double      exact;
  } cases[] = {{"1.3,0.5,0.4,0.5", -0.9 + 0.6}, {"0.9,-1.7,1.2,0.7", -0.8}};

  (void)state;
  for (int k = 0; k < 2; k++) {
    json_t *root = Run("engines=generator,particles observables=lyapunov processes=ald model_type=ou model_drift=%s "
                       "model_diffusion=0.12,0.03,0.03,0.08 training_learning_rate=0.05 particles_count=4096 "
                       "particles_steps=300 particles_burn_in=5 mesh_lower=-2.1,-2 mesh_upper=1.9,2 mesh_cells=16,16",
                       cases[k].drift);

    Meets(root, "ald", "generator", "lyapunov", cases[k].exact, 0.003, "exponent_orbit");
    Meets(root, "ald", "particles", "lyapunov", cases[k].exact, 0.05, "exponent_orbit");
    json_decref(root);
  }
}

/* The 2-chain on three grids: second order. */
static void test_plane(void **state)
{
  static const char keys[] =
      "data_type=gaussian data_second_moment=0.9 data_teacher=0.8 data_label_noise=0.4 model_type=chain "
      "training_learning_rate=0.15 training_batch_size=2 training_weight_decay=0.1 training_temperature=0.05 "
      "mesh_lower=-2.1,-2 mesh_upper=2,2 mesh_cells=%s ";
  char      all[600];
  double    v[3], order;
  Scene     scene;
  FPScene   view;
  FPResults results = NULL;

  (void)state;
  (void)snprintf(all, sizeof(all), keys, "64,64");
  SceneOpen(&scene, "ald", "%s mesh_refine=2", all);
  view = (FPScene){.model = scene.model, .mesh = scene.mesh, .results = results, .processes = 1};
  for (PetscInt level = 0; level < 3; level++) {
    FPQuantities q = {0};
    FPObservable o;

    (void)SceneGrid(&scene, level);
    must(FPGeneratorSolve(scene.gen, 1));
    must(FPObservableCreate(scene.config, "lyapunov", &o));
    must(FPObservableSetScene(o, &view));
    must(FPObservableGenerator(o, scene.gen, PETSC_TRUE, &q));
    v[level] = SceneValue(&q, "exponent_orbit", NULL);
    must(FPObservableDestroy(&o));
    must(FPQuantitiesFree(&q));
  }
  SceneClose(&scene);
  for (order = 0.5; order < 5; order += 0.01) /* grids of 64, 48 and 32 cells */
    if ((pow(2, order) - pow(4.0 / 3, order)) / (pow(4.0 / 3, order) - 1) > (v[2] - v[1]) / (v[1] - v[0])) break;
  check(order > 1.7 && order < 2.3, "order %g: %.8g %.8g %.8g", order, v[0], v[1], v[2]);
}

/* Strong gradient noise, at walls that are met often: a simulation of its own (Euler steps of the point and the tangent
   vector, reflected along the co-normal, 10^4 to 4 10^4 particles, steps of 0.0003 to 0.0025 time units) says -0.4069
   +- 0.0006, -0.572 +- 0.002 and -0.546 +- 0.001. The particles of a run say the same. */
static void test_walls(void **state)
{
  static const struct {
    double      eta;
    const char *box;
    double      value, error, useful;
  } cases[]       = {{0.2, "mesh_lower=-2.1,-2 mesh_upper=2,2", -0.4069, 0.0006, 0.005},
                     {0.4, "mesh_lower=-2.1,-2 mesh_upper=2,2", -0.572, 0.002, 0.085},
                     {0.4, "mesh_lower=-1.5,-1.4 mesh_upper=1.4,1.5", -0.546, 0.001, 0.04}};
  const int count = (int)(sizeof(cases) / sizeof(cases[0]));

  (void)state;
  for (int k = 0; k < count; k++) {
    const PetscBool last = (PetscBool)(k == count - 1);
    double          value, bound, particles, error;
    json_t         *root =
        Run("engines=generator%s observables=lyapunov processes=ald data_type=gaussian data_second_moment=0.9 "
            "data_teacher=0.8 data_label_noise=0.9 model_type=chain training_learning_rate=%g training_batch_size=1 "
            "training_weight_decay=0.1 training_temperature=0.05 %s mesh_cells=40,40 particles_count=4096 "
            "particles_steps=60 particles_burn_in=10 ald_dt=0.01",
            last ? ",particles" : "", cases[k].eta, cases[k].box);

    value = Value(root, "ald", "generator", "lyapunov", "exponent_orbit", &bound);
    print_message("  %g +- %g, simulated %g +- %g\n", value, bound, cases[k].value, cases[k].error);
    check(fabs(value - cases[k].value) < bound + 3 * cases[k].error, "%g +- %g by generator, %g +- %g simulated", value,
          bound, cases[k].value, cases[k].error);
    check(bound < cases[k].useful, "bound %g is of no use", bound);
    if (last) {
      particles = Value(root, "ald", "particles", "lyapunov", "exponent_orbit", &error);
      print_message("  %g +- %g by particles\n", particles, error);
      check(fabs(particles - cases[k].value) < 4 * hypot(error, cases[k].error), "%g +- %g by particles", particles,
            error);
      check(error < 0.02, "error %g is of no use", error);
    }
    json_decref(root);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_normal_log), cmocka_unit_test(test_gaussian), cmocka_unit_test(test_no_label_noise),
      cmocka_unit_test(test_thresholds), cmocka_unit_test(test_window),   cmocka_unit_test(test_others),
      cmocka_unit_test(test_file),       cmocka_unit_test(test_orbits),   cmocka_unit_test(test_still),
      cmocka_unit_test(test_line),       cmocka_unit_test(test_linear),   cmocka_unit_test(test_plane),
      cmocka_unit_test(test_walls)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

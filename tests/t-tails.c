/* t-tails.c: Hill's estimator against the exact mean excess of ln x, E[ln(X/t) | X > t]: Pareto, symmetric stable and
   Student t samples; gradients of a chain with label noise, products of two normals; Kesten's tail of depth-1 SGD. */
#include "scene.h"
#include "../src/observable/observableimpl.h"
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_bessel.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAWS 400000

/* P(|X| > x) of Student's t with 3 degrees of freedom, x = t exp(y) */
static double Student(double y, void *t)
{
  return 2 * gsl_cdf_tdist_Q(*(double *)t * exp(y), 3);
}

/* (2/pi) K0(x) y with x = t exp(y): density of |x1 x2| times ln(x/t), in y */
static double Product(double y, void *t)
{
  const double x = *(double *)t * exp(y);

  return x > 600 ? 0 : y * x * 2 / PETSC_PI * gsl_sf_bessel_K0(x);
}

static double ProductDensity(double y, void *t)
{
  const double x = *(double *)t * exp(y);

  return x > 600 ? 0 : x * 2 / PETSC_PI * gsl_sf_bessel_K0(x);
}

static double Integral(double (*f)(double, void *), double t)
{
  gsl_integration_workspace *room = gsl_integration_workspace_alloc(500);
  gsl_function               F    = {.function = f, .params = &t};
  double                     value, error;

  assert_int_equal(gsl_integration_qag(&F, 0, 12, 1e-12, 1e-9, 500, GSL_INTEG_GAUSS31, room, &value, &error), 0);
  gsl_integration_workspace_free(room);
  return value;
}

static void test_samples(void **state)
{
  const double alpha[2] = {1.5, 2.7}, shares[2] = {0.013, 0.07};
  gsl_rng     *rng = gsl_rng_alloc(gsl_rng_mt19937);

  (void)state;
  for (int law = 0; law < 4; law++) {
    double *histogram = (double *)calloc(FP_HILL_SIZE, sizeof(*histogram)), value, error;

    for (int i = 0; i < DRAWS; i++) {
      const double x = law < 2    ? gsl_ran_pareto(rng, alpha[law], 0.31)
                       : law == 2 ? gsl_ran_tdist(rng, 3)
                                  : gsl_ran_gaussian(rng, 2.3);

      FPHillAdd(histogram, fabs(x));
    }
    for (int k = 0; k < 2; k++) {
      const double q = shares[k], hill = FPHill(histogram, q), t = gsl_cdf_tdist_Qinv(q / 2, 3);
      double       exact = law < 2 ? 1 / alpha[law] : Integral(Student, t) / q;

      must(FPHillNormal(q, &value, &error));
      if (law == 3) exact = value;
      check(fabs(hill - exact) < 5 * exact / sqrt(q * DRAWS), "law %d, share %g: %g, exact %g", law, q, hill, exact);
    }
    free(histogram);
  }
  gsl_rng_free(rng);
}

/* Symmetric stable, alpha = 1.5: the 500 largest of 10^4 have the expectation 0.612, not 2/3. */
static void test_stable(void **state)
{
  gsl_rng *rng  = gsl_rng_alloc(gsl_rng_mt19937);
  double   mean = 0;

  (void)state;
  for (int r = 0; r < 60; r++) {
    double *histogram = (double *)calloc(FP_HILL_SIZE, sizeof(*histogram));

    for (int i = 0; i < 10000; i++) FPHillAdd(histogram, fabs(gsl_ran_levy(rng, 1, 1.5)));
    mean += FPHill(histogram, 0.05) / 60;
    free(histogram);
  }
  check(fabs(mean - 0.612) < 0.012, "stable: %g", mean);
  gsl_rng_free(rng);
}

/* Rows of the observable: gradients through ops.exact, weights by particles of their own, without a run. */
static double Mean(FPObservable o, FPProcess process, const FPParticleOptions *options, PetscInt row)
{
  FPObserver       observer = {0};
  FPEnsemble       ensemble = {0};
  FPParticleReport report;
  FPQuantities     q = {0};
  PetscBool        used;
  PetscReal        dt, value;
  PetscInt         count;
  double          *acc, *sum, *start;

  must(FPProcessGetParticleStep(process, &dt));
  must(FPProcessGetStep(process, &dt));
  must(FPObservableParticlesBegin(o, process, dt, options, &observer, &ensemble, &used));
  assert_true(used);
  must(FPParticlesCount(options, &count));
  acc   = (double *)calloc(FP_GROUPS * observer.accumulator, sizeof(*acc));
  sum   = (double *)calloc(observer.accumulator, sizeof(*sum));
  start = (double *)calloc((size_t)count, sizeof(*start));
  must(FPParticlesRun(process, NULL, dt, options, start, 1, &observer, &acc, &report));
  for (size_t i = 0; i < FP_GROUPS * observer.accumulator; i++) sum[i % observer.accumulator] += acc[i];
  must(FPObservableEvaluate(o, sum, &q));
  value = q.list[row].value;
  must(FPQuantitiesFree(&q));
  free(acc);
  free(sum);
  free(start);
  return value;
}

/* ln E|1 - h x^2|^alpha */
static double Kesten(double h, double alpha)
{
  double sum = 0;

  for (int i = 0; i < 20000; i++) {
    const double x = 9 * (i + 0.5) / 20000;

    sum += 2 * 9.0 / 20000 * exp(-x * x / 2) / sqrt(2 * PETSC_PI) * pow(fabs(1 - h * x * x), alpha);
  }
  return log(sum);
}

static void Open(Scene *s, FPScene *scene, FPObservable *o, FPResults results, const char keys[])
{
  memset(s, 0, sizeof(*s));
  must(FPConfigCreate(&s->config));
  SceneSet(s->config, keys);
  must(FPDataCreate(s->config, &s->data));
  must(FPModelCreate(s->config, s->data, &s->model));
  must(FPProcessCreate(s->config, "sgd", s->model, &s->process));
  *scene = (FPScene){
      .model = s->model, .results = results, .processes = 1, .process = &s->process, .use_particles = PETSC_TRUE};
  must(FPParticleOptionsRead(s->config, &scene->particles));
  must(FPObservableCreate(s->config, "tails", o));
  must(FPObservableRead(*o, s->config, s->model, NULL, PETSC_TRUE));
  must(FPObservableSetScene(*o, scene));
}

/* alpha = 2 at h = 2B/(B + 2), and with decay l where (1 - l)^2 - 2 (1 - l) h + h^2 (1 + 2/B) = 1; 1 + B/h and 1 + B/h
   + B/2 of equations; the sum above, with B = 1; none where the logarithms grow, of signs, nor of two weights. */
static void test_index(void **state)
{
  static const struct {
    const char *process, *data;
    int         depth, B;
    double      h, decay, exact;
  } cases[] = {{"sgd", "gaussian", 1, 3, 1.2, 0, 2},
               {"sgd", "gaussian", 1, 5, 0.0, 0.2, 2},
               {"sgd", "gaussian", 1, 1, 0.77, 0, -1},
               {"ald", "gaussian", 1, 3, 0.31, 0, 1 + 3 / 0.31},
               {"ald", "gaussian", 1, 2, 0.31, 0.07, 1 + 2 * 0.38 / (0.31 * 0.31)},
               {"ald2", "gaussian", 1, 3, 0.31, 0, 2.5 + 3 / 0.31},
               {"langevin", "gaussian", 1, 3, 0.31, 0, 0},
               {"sgd", "gaussian", 1, 1, 5, 0, 0},
               {"sgd", "rademacher", 1, 1, 0.7, 0, 0},
               {"sgd", "gaussian", 2, 1, 0.3, 0, 0}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const double a = 1 - cases[k].decay, q = 1 + 2.0 / cases[k].B;
    const double h   = cases[k].h > 0 ? cases[k].h : (a + sqrt(a * a - q * (a * a - 1))) / q;
    double       low = 0.2, high = 8, exact = cases[k].exact;
    PetscReal    index, error;
    Scene        s;

    while (exact < 0 && high - low > 1e-12) *(Kesten(h, (low + high) / 2) < 0 ? &low : &high) = (low + high) / 2;
    if (exact < 0) exact = low;
    SceneOpen(
        &s, cases[k].process,
        "data_type=%s data_teacher=0.3 data_second_moment=1.1 data_label_noise=0.5 model_type=chain model_depth=%d "
        "model_coordinates=%s training_learning_rate=%.17g training_weight_decay=%.17g training_batch_size=%d "
        "mesh_lower=-2 mesh_upper=2 mesh_cells=16 langevin_temperature=0.1",
        cases[k].data, cases[k].depth, cases[k].depth > 1 ? "balanced" : "weights", h / 1.1, cases[k].decay * 1.1 / h,
        cases[k].B);
    must(FPTailIndex(s.process, s.model, &index, &error));
    check(fabs(index - exact) <= error + (k == 2 ? 1e-6 : 0), "%s, case %d: %.12g, exact %.12g", cases[k].process,
          (int)k, index, exact);
    SceneClose(&s);
  }
}

static void test_kesten(void **state)
{
  double       low = 0.2, high = 8, hill;
  Scene        s;
  FPScene      scene;
  FPObservable o;

  (void)state;
  Open(&s, &scene, &o, NULL,
       "data_type=gaussian data_teacher=0.3 data_second_moment=1.1 data_label_noise=0.5 model_type=chain "
       "model_depth=1 training_learning_rate=0.7 particles_count=131072 particles_steps=60 particles_burn_in=60 "
       "particles_threads=1 tails_k=0.005,0.02");
  while (high - low > 1e-6) {
    const double middle = (low + high) / 2;

    if (Kesten(0.77, middle) < 0)
      low = middle;
    else
      high = middle;
  }
  hill = Mean(o, s.process, &scene.particles, 0);
  check(fabs(hill * low - 1) < 0.12, "Kesten: alpha %g, 1/hill %g", low, 1 / hill);
  must(FPObservableDestroy(&o));
  SceneClose(&s);
}

/* |x y| at the minimum of a 2-chain: looks like a power law at every k, is none. */
static void test_product(void **state)
{
  const double shares[2] = {0.01, 0.1};
  char         dir[]     = "/tmp/dlnfp-tails-XXXXXX";
  Scene        s;
  FPScene      scene;
  FPObservable o;
  FPResults    results;

  (void)state;
  assert_non_null(mkdtemp(dir));
  must(FPResultsCreate(dir, &results));
  Open(&s, &scene, &o, results,
       "data_type=gaussian data_teacher=0.8 data_second_moment=1.1 data_label_noise=0.5 model_type=chain "
       "model_depth=2 training_learning_rate=0.05 particles_count=4096 tails_k=0.01,0.1");
  must(FPObservableExact(o));
  for (int k = 0; k < 2; k++) {
    const int n   = FP_GROUPS * 64 * FP_BLOCK;
    double    low = 0.1, high = 20, exact;
    PetscReal value, error;
    PetscBool found;
    char      name[64];

    while (high - low > 1e-9) {
      const double middle = (low + high) / 2;

      if (Integral(ProductDensity, middle) > shares[k])
        low = middle;
      else
        high = middle;
    }
    exact = Integral(Product, low) / shares[k];
    (void)snprintf(name, sizeof(name), "hill_gradient[k=%d][n=%d]", (int)(shares[k] * n + 0.5), n);
    must(FPResultsGet(results, "sgd", "particles", "tails", name, &value, &error, &found));
    check(found && fabs(value - exact) < 4.5 * error && error < 0.02, "%s: %g +- %g, exact %g", name, value, error,
          exact);
    (void)snprintf(name, sizeof(name), "hill_normal[k/n=%g]", shares[k]);
    must(FPResultsGet(results, "sgd", "exact", "tails", name, &value, &error, &found));
    check(found && value < 0.75 * exact, "%s: %g, products %g", name, value, exact);
  }
  must(FPObservableDestroy(&o));
  must(FPResultsDestroy(&results));
  (void)rmdir(dir);
  SceneClose(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_stable),
                                     cmocka_unit_test(test_index), cmocka_unit_test(test_kesten),
                                     cmocka_unit_test(test_product)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

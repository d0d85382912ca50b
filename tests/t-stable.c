/* t-stable.c: particles that jump, and stable fits. Stable numbers against their characteristic functions; exits from
   intervals and discs against R. Getoor's mean times (Trans. Am. Math. Soc. 101 (1961)) and, as a third opinion, walks
   on spheres, which jump from a ball at once by the law of R. Blumenthal, R. Getoor and D. Ray (ibid. 99 (1961)):
   from its centre to the distance R B^(-1/2), B a beta variable of alpha/2 and 1 - alpha/2; both engines for every
   boundary kind; what is refused. */
#include "program.h"
#include "fpparticles.h"
#include "../src/observable/observableimpl.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_bessel.h>
#include <math.h>

static const unsigned key[2] = {91, 7};

/* Block `call` of increments in that time; x[2][FP_BLOCK] */
static void Draw(const FPStable *law, int dim, double time, int call, double *x)
{
  unsigned word[8 * FP_BLOCK], raw[8 * FP_BLOCK];
  float    normal[8 * FP_BLOCK];
  int      normals, words;

  FPStableNeeds(law, dim, &normals, &words);
  assert_true(normals <= 8 && words <= 8);
  FPRandomWords(key, (unsigned long long)call * FP_BLOCK, 0, 8, word);
  FPRandomWords(key, (unsigned long long)call * FP_BLOCK, 8, 8, raw);
  FPRandomNormals(8, raw, normal);
  FPStableVector(law, dim, time, normal, word, x);
}

static void test_vectors(void **state)
{
  static const double k[][2] = {{0.7, 0}, {0.4, 0.9}, {-1.3, 0.6}, {0, 1.9}};
  enum { CALLS = 2048 };

  (void)state;
  for (int a = 0; a < 5; a++)
    for (int independent = 0; independent < 2; independent++)
      for (int q = 0; q < 4; q++) {
        const double   alpha = (double[]){0.6, 1, 1.003, 1.37, 2}[a], time = 0.3;
        const FPStable law = {.has = PETSC_TRUE, .alpha = alpha, .independent = (PetscBool)independent};
        const double   power =
            independent ? pow(fabs(k[q][0]), alpha) + pow(fabs(k[q][1]), alpha) : pow(hypot(k[q][0], k[q][1]), alpha);
        double sum[2] = {0}, square = 0, error;

        for (int call = 0; call < CALLS; call++) {
          double x[2 * FP_BLOCK];

          Draw(&law, 2, time, call, x);
          for (int l = 0; l < FP_BLOCK; l++) {
            const double phase = k[q][0] * x[l] + k[q][1] * x[FP_BLOCK + l];

            assert_true(isfinite(phase));
            sum[0] += cos(phase) / (CALLS * FP_BLOCK);
            sum[1] += sin(phase) / (CALLS * FP_BLOCK);
            square += cos(phase) * cos(phase) / (CALLS * FP_BLOCK);
          }
        }
        error = sqrt((square - sum[0] * sum[0]) / (CALLS * FP_BLOCK));
        check(fabs(sum[0] - exp(-time * power)) < 4.5 * error, "alpha %g: E cos = %g +- %g, not %g", alpha, sum[0],
              error, exp(-time * power));
        check(fabs(sum[1]) < 4.5 / sqrt(CALLS * FP_BLOCK), "alpha %g: E sin = %g", alpha, sum[1]);
      }
}

/* P(X <= x) of exp(-|t|^alpha) by Fourier's integral */
static double CDF(double alpha, double x)
{
  double sum = 0;

  for (int q = 0; q < 40000; q++) {
    const double t = 12 * (q + 0.5) / 40000;

    sum += sin(t * x) / t * exp(-pow(t, alpha)) * 12 / 40000;
  }
  return 0.5 + sum / PETSC_PI;
}

static double Bessel(double root, void *context)
{
  (void)context;
  return root > 0 ? 2 * root * gsl_sf_bessel_K0(root * root) / PETSC_PI : 0;
}

/* The product of normals: slope of ln(ln(1 + t^2)/2) where (1 + t^2)^(-1/2) is between 1 and 1/e, and the largest
   difference of distribution functions. */
static void CheckProduct(void)
{
  const double c = 1 / sqrt(expm1(2));
  double       x[10], y[10], mx = 0, my = 0, xy = 0, xx = 0, largest = 0;
  FPStableFit  fit;

  for (int k = 0; k < 10; k++) {
    x[k] = log((k + 1) / (10 * c));
    y[k] = log(log1p(exp(2 * x[k])) / 2);
    mx += x[k] / 10;
    my += y[k] / 10;
  }
  for (int k = 0; k < 10; k++) {
    xy += (x[k] - mx) * (y[k] - my);
    xx += (x[k] - mx) * (x[k] - mx);
  }
  FPStableFitProduct(&fit);
  check(fabs(fit.alpha - xy / xx) < 1e-8 && fabs(fit.scale - c) < 1e-8, "product: alpha %.10g, not %.10g", fit.alpha,
        xy / xx);
  for (int k = 1; k < 60; k++) {
    const double               z    = 0.04 * k;
    gsl_integration_workspace *room = gsl_integration_workspace_alloc(200);
    gsl_function               f    = {.function = Bessel};
    double                     value, error;

    assert_int_equal(gsl_integration_qags(&f, 0, sqrt(z), 1e-10, 1e-8, 200, room, &value, &error), 0);
    gsl_integration_workspace_free(room);
    largest = fmax(largest, fabs(0.5 + value - CDF(fit.alpha, z / c)));
  }
  print_message("  product of normals: alpha %.4f, misfit %.5f, by Fourier's integral %.5f\n", fit.alpha, fit.misfit,
                largest);
  check(fabs(fit.misfit - largest) < 2e-4, "misfit %g, not %g", fit.misfit, largest);
}

static void test_fit(void **state)
{
  enum { CALLS = 2048 };

  (void)state;
  for (int a = 0; a < 4; a++)
    for (int k = 0; k < 5; k++) {
      const double alpha = (double[]){1.02, 1.3, 1.7, 2}[a], x = (double[]){-2.1, 0.03, 0.4, 1.7, 6}[k];

      check(fabs(FPStableCDF(alpha, x) - CDF(alpha, x)) < 1e-4, "F(%g) at alpha %g: %g, not %g", x, alpha,
            FPStableCDF(alpha, x), CDF(alpha, x));
    }
  for (int a = 0; a < 3; a++) {
    const FPStable law       = {.has = PETSC_TRUE, .alpha = (double[]){0.9, 1.45, 1.9}[a]};
    double        *histogram = (double *)calloc(FP_FIT_SIZE, sizeof(*histogram));
    FPStableFit    fit;

    for (int call = 0; call < CALLS; call++) {
      double x[FP_BLOCK];

      Draw(&law, 1, 1, call, x);
      for (int l = 0; l < FP_BLOCK; l++) FPStableFitAdd(histogram, 0.7 * x[l] + 0.2);
    }
    FPStableFitHistogram(histogram, &fit);
    print_message("  alpha %g: fitted %.4f, scale %.4f, shift %.4f, misfit %.5f\n", law.alpha, fit.alpha, fit.scale,
                  fit.shift, fit.misfit);
    check(fabs(fit.alpha - law.alpha) < 0.012 && fabs(fit.scale - 0.7) < 0.01 && fabs(fit.shift - 0.2) < 0.02,
          "alpha %g: fit %g, %g, %g", law.alpha, fit.alpha, fit.scale, fit.shift);
    check(FPKolmogorov(CALLS * FP_BLOCK, fit.misfit) > 0.01, "alpha %g: misfit %g", law.alpha, fit.misfit);
    free(histogram);
  }
  CheckProduct();
}

static json_t *Results(int code, const char *format, ...)
{
  const char *run[] = {"dlnfp", "run", InFolder("run.yaml"), "-out", InFolder("out"), NULL};
  char        text[4096];
  va_list     args;
  int         got;

  va_start(args, format);
  (void)vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  WriteText(run[2], text);
  got = RunProgram(run);
  check(got == code, "exit code %d: %s", got, ReadText(InFolder("errors")));
  return code ? NULL : LoadResults(InFolder("out"));
}

/* |value - exact| <= error (a bound) or 4.5 standard errors and `doubt` */
static void Near(const json_t *root, const char *engine, const char *quantity, double exact, double doubt)
{
  double       error;
  const double value = Value(root, NULL, engine, NULL, quantity, &error);
  const double reach = strcmp(engine, "generator") ? 4.5 * error : error;

  print_message("  %-10s %-20s %.5f +- %.5f, exact %.5f\n", engine, quantity, value, error, exact);
  check(fabs(value - exact) <= reach + 4.5 * doubt, "%s by %s: %g +- %g, exact %g", quantity, engine, value, error,
        exact);
  check(error < 0.06 * fabs(exact), "%s by %s: error %g of %g", quantity, engine, error, value);
}

/* Shares that land above the start, and beyond `far` from the boundary of the ball of radius R around 0. */
static void WalkOnSpheres(int dim, double alpha, double start, double R, double far, int walks, double share[2])
{
  gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

  share[0] = share[1] = 0;
  for (int walk = 0; walk < walks; walk++) {
    double z[2] = {start, 0}, radius = fabs(start);

    while (radius < R) {
      const double jump  = (R - radius) / sqrt(gsl_ran_beta(rng, alpha / 2, 1 - alpha / 2));
      const double angle = 2 * PETSC_PI * gsl_rng_uniform(rng);

      z[0] += jump * (dim > 1 ? cos(angle) : angle < PETSC_PI ? 1 : -1);
      z[1] += dim > 1 ? jump * sin(angle) : 0;
      radius = hypot(z[0], z[1]);
    }
    share[0] += z[0] > start;
    share[1] += radius > R + far;
  }
  share[0] /= walks;
  share[1] /= walks;
  gsl_rng_free(rng);
}

#define FREE                                                                                                           \
  "training: {learning_rate: 0.02, batch_size: 1}\nprocesses: [levy]\nobservables: [exit]\n"                           \
  "particles: {count: 16384, steps: 900, seed: 5, threads: 1}\n"

/* Drift is too weak to matter: 1e-6. */
static void test_exits(void **state)
{
  const double R = 1.23, x = 0.3, sigma = 0.7;
  enum { WALKS = 60000 };

  (void)state;
  for (int a = 0; a < 3; a++) {
    const double alpha = (double[]){0.7, 1.2, 1.7}[a];
    const double mean  = pow(R * R - x * x, alpha / 2) / tgamma(1 + alpha) / pow(sigma, alpha);
    double       share[2];
    json_t      *root = Results(0,
                                FREE "model: {type: ou, drift: [0.000001], diffusion: [0], center: [0.2]}\n"
                                          "levy: {alpha: %g, scale: %g, boundary: killed, dt: 0.004}\n"
                                          "mesh: {lower: [-2.5], upper: [2.6], cells: [384]}\n"
                                          "exit: {region: ball, center: [0.2], radius: %g, start: [0.5], overshoot: [0.5]}\n",
                                alpha, sigma, R);

    print_message(" alpha %g\n", alpha);
    WalkOnSpheres(1, alpha, x, R, 0.5, WALKS, share);
    for (int e = 0; e < 2; e++) {
      const char *engine = e ? "particles" : "generator";

      Near(root, engine, "mean_time", mean, 1e-5 * mean);
      Near(root, engine, "landing_above[0]", share[0], sqrt(share[0] * (1 - share[0]) / WALKS));
      Near(root, engine, "overshoot[x=0.5]", share[1], sqrt(share[1] * (1 - share[1]) / WALKS));
    }
    json_decref(root);
  }
}

/* The moved boundary takes away what goes like dt^(1/alpha): at this step 0.046 would be left, not 0.007 +- 0.006. */
static void test_creeping(void **state)
{
  json_t      *root = Results(0, "model: {type: ou, drift: [0.000001], diffusion: [0], center: [0.2]}\n"
                                      "training: {learning_rate: 0.02, batch_size: 1}\nprocesses: [levy]\n"
                                      "levy: {alpha: 1.7, scale: 0.7, boundary: killed, dt: 0.02}\n"
                                      "mesh: {lower: [-3], upper: [3], cells: [64]}\nengines: [particles]\n"
                                      "particles: {count: 65536, steps: 900, seed: 11, threads: 1}\nobservables: [exit]\n"
                                      "exit: {region: ball, center: [0.2], radius: 1.23, start: [0.5]}\n");
  const double bias = Value(root, "levy", "particles", NULL, "step_bias[mean_time]", NULL);

  (void)state;
  check(fabs(bias) < 0.025, "step bias of the mean time: %g", bias);
  json_decref(root);
}

/* Without drift the law between walls that stop jumps is, by duality, that of the side on which the process leaves the
   interval: its density is (z - lower)^(alpha/2 - 1) (upper - z)^(alpha/2 - 1) up to a constant, of variance
   (length/2)^2/(1 + alpha) (S. Asmussen, Applied Probability and Queues, 2003, XIV.3, and Blumenthal, Getoor, Ray).
   Steps after which positions are merely cut off at the walls leave 6 per cent too much of it at 1.6 and 13 at 2,
   extrapolated. */
static void test_confined(void **state)
{
  (void)state;
  for (int a = 0; a < 3; a++) {
    const double alpha = (double[]){0.8, 1.6, 2}[a];
    json_t      *root  = Results(0,
                                 "model: {type: ou, drift: [0.000001], diffusion: [0]}\nengines: [particles]\n"
                                       "training: {learning_rate: 0.1, batch_size: 1}\nprocesses: [levy]\n"
                                       "levy: {alpha: %g, scale: 0.6, boundary: confined, dt: 0.1}\n"
                                       "mesh: {lower: [-0.7], upper: [1.2], cells: [64]}\n"
                                       "particles: {count: 16384, steps: 80, burn_in: 80, seed: 5, threads: 1}\n"
                                       "observables: [stationary]\n",
                                 alpha);

    print_message(" alpha %g\n", alpha);
    Near(root, "particles", "covariance[0][0]", 0.95 * 0.95 / (1 + alpha), 0);
    json_decref(root);
  }
}

static void test_disc(void **state)
{
  const double R = 1.1, x = 0.35, sigma = 0.8, alpha = 1.4;
  const double mean =
      pow(R * R - x * x, alpha / 2) / (pow(2, alpha) * pow(tgamma(1 + alpha / 2), 2)) / pow(sigma, alpha);
  double  share[2];
  json_t *root;
  enum { WALKS = 60000 };

  (void)state;
  root = Results(0,
                 FREE "model: {type: ou, drift: [0.000001,0,0,0.000001], diffusion: [0,0,0,0]}\n"
                      "levy: {alpha: %g, scale: %g, boundary: killed, dt: 0.004}\n"
                      "engines: [particles]\nmesh: {lower: [-2,-2], upper: [2,2], cells: [8,8]}\n"
                      "exit: {region: ball, center: [0,0], radius: %g, start: [%g,0], overshoot: [0.4]}\n",
                 alpha, sigma, R, x);
  WalkOnSpheres(2, alpha, x, R, 0.4, WALKS, share);
  Near(root, "particles", "mean_time", mean, 0);
  Near(root, "particles", "overshoot[x=0.4]", share[1], sqrt(share[1] * (1 - share[1]) / WALKS));
  json_decref(root);
}

/* Both engines on a 2-chain and a factorisation; exit code 3 where they disagree. */
static void test_engines(void **state)
{
  static const char *const data[] = {"{type: gaussian, teacher: [0.7], second_moment: 1.1, label_noise: 0.4}",
                                     "{type: gaussian, teacher: [0.9,0.2,0.2,-0.3], second_moment: 0.9, label_noise: "
                                     "0.3}"};
  static const struct {
    int         data;
    const char *model, *mesh, *levy;
  } cases[] = {{0, "{type: chain, depth: 2, coordinates: balanced}", "{lower: [-1.9], upper: [2.1], cells: [128]}",
                "{alpha: 0.8, scale: 0.3, boundary: censored}"},
               {0, "{type: chain, depth: 2, coordinates: balanced}", "{lower: [-1.9], upper: [2.1], cells: [128]}",
                "{alpha: 1.3, boundary: mirror, temperature: 0.03}"},
               {0, "{type: chain, depth: 2}", "{lower: [-1.8,-2.0], upper: [1.9,2.0], cells: [24,24]}",
                "{alpha: 1.8, scale: 0.35, components: independent, boundary: confined}"},
               {1, "{type: symmetric}", "{lower: [-1.8,-1.7], upper: [1.8,1.6], cells: [24,24]}",
                "{alpha: 1.3, scale: 0.3, boundary: mirror}"},
               {0, "{type: chain, depth: 2, coordinates: balanced}", "{lower: [-1.9], upper: [2.1], cells: [128]}",
                "{alpha: 2, scale: 0.3, boundary: confined}"}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    json_t *root = Results(0,
                           "data: %s\nmodel: %s\nmesh: %s\nlevy: %s\nprocesses: [levy]\n"
                           "training: {learning_rate: 0.05, batch_size: 3, weight_decay: 0.06}\n"
                           "particles: {count: 4096, steps: 800, burn_in: 50, seed: 12, threads: 1}\n"
                           "observables: [stationary]\n",
                           data[cases[k].data], cases[k].model, cases[k].mesh, cases[k].levy);

    check(json_array_size(json_object_get(root, "crosscheck")) > 4, "case %d has no cross-checks", (int)k);
    json_decref(root);
  }
}

/* In the plane both engines route a jump along the axes: along straight segments the projection would be 0.4. What is
   left comes from the grid's pattern, 0.2 on 88 x 88 cells, with the correlation 0.99. */
static void test_current(void **state)
{
  json_t      *root        = Results(0, "data: {type: gaussian, teacher: [0.8], second_moment: 0.9, label_noise: 1}\n"
                                                    "model: {type: chain, depth: 2}\n"
                                                    "training: {learning_rate: 0.1, batch_size: 1, weight_decay: 0.07}\n"
                                                    "processes: [levy]\nlevy: {alpha: 1.2, scale: 0.4, boundary: confined, dt: 0.05}\n"
                                                    "mesh: {lower: [-1.6, -1.5], upper: [1.5, 1.7], cells: [48, 48]}\n"
                                                    "particles: {count: 4096, steps: 150, burn_in: 10, seed: 3, threads: 1}\n"
                                                    "observables: [current]\n");
  const double projection  = Value(root, "levy", "particles", "current", "projection[levy]", NULL);
  const double correlation = Value(root, "levy", "particles", "current", "correlation[levy]", NULL);

  (void)state;
  print_message("  projection %.4f, correlation %.4f\n", projection, correlation);
  check(fabs(projection - 1) < 0.5, "projection %g", projection);
  check(correlation > 0.9, "correlation %g", correlation);
  json_decref(root);
}

static void test_refused(void **state)
{
  static const struct {
    const char *levy, *rest, *says;
  } cases[] = {{"{alpha: 0}", "", "levy_alpha"},
               {"{alpha: 2.1}", "", "levy_alpha"},
               {"{scale: 0}", "", "levy_scale"},
               {"{scale: wide}", "", "levy_scale"},
               {"{boundary: open}", "", "killed, censored, mirror, confined"},
               {"{components: some}", "", "isotropic, independent"},
               {"{boundary: mirror}",
                "mesh: {lower: [-1,-1], upper: [1,1], cells: [16,16], faces: [absorbing, reflecting, "
                "reflecting, reflecting]}\nengines: [generator]\nmodel: {type: chain, depth: 2}\n",
                "mesh_faces"},
               {"{boundary: killed}",
                "mesh: {lower: [-1,-1], upper: [1,1], cells: [16,16]}\nengines: [particles]\nobservables: "
                "[stationary]\nparticles: {count: 64}\n",
                "levy_boundary = killed"},
               {"{alpha: 1.2}", "model: {type: chain, depth: 2, coordinates: invariant}\n", "second moments"},
               {"{alpha: 1.2}", "model: {type: chain, depth: 2}\nengines: [particles]\n", "a box"},
               {"{alpha: 1.2}",
                "model: {type: chain, depth: 3}\nmesh: {lower: [-1,-1,-1], upper: [1,1,1], cells: [8,8,8]}\n",
                "1 and 2 dimensions"}};

  (void)state;
  for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
    const char *text;

    (void)Results(2,
                  "data: {type: gaussian, teacher: [0.7], label_noise: 0.3}\ntraining: {learning_rate: 0.05, "
                  "batch_size: 3, weight_decay: 0.1}\nprocesses: [levy]\nlevy: %s\n%s%s",
                  cases[k].levy, cases[k].rest,
                  strstr(cases[k].rest, "model") ? "" : "model: {type: chain, depth: 2}\n");
    text = ReadText(InFolder("errors"));
    check(strstr(text, cases[k].says), "case %d says: %s", (int)k, text);
    check(strchr(text, '\n') == strrchr(text, '\n'), "case %d says more than one line: %s", (int)k, text);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),  cmocka_unit_test(test_fit),     cmocka_unit_test(test_exits),
      cmocka_unit_test(test_creeping), cmocka_unit_test(test_disc),    cmocka_unit_test(test_confined),
      cmocka_unit_test(test_engines),  cmocka_unit_test(test_current), cmocka_unit_test(test_refused)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

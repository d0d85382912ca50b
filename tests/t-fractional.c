/* t-fractional.c: the fractional clock. Mittag-Leffler functions against series of 200 digits and against erfcx; stable
   numbers against their Laplace transform; the program's generator and particles against the exact relaxation of an
   Ornstein-Uhlenbeck process: mean E_beta(-c lambda t^beta), variance (D/lambda) (1 - E_beta(-2 c lambda t^beta)), of a
   pair of complex rates too. Ages against another formula, laws
   against means of ordinary ones over the inverse subordinator, SGD on the clock against the sum over its steps. */
#include "program.h"
#include "scene.h"
#include "fpparticles.h"
#include "fpspecial.h"
#include <gsl/gsl_integration.h>
#include <math.h>

static void test_scalar(void **state)
{
  /* power series at 200 digits, or the spectral integral at 50 */
  static const double known[][3] = {
      {0.3, 0.07, 0.92715093987423051},      {0.3, 4.5, 0.15037490568877674},      {0.3, 900, 0.00085542488677211382},
      {0.62, 0.0001, 0.99988839222433088},   {0.62, 2.2, 0.21138377952908415},     {0.62, 31, 0.013997007522118076},
      {0.62, 250000, 1.7106800940780996e-6}, {0.9, 0.8, 0.45247684234433445},      {0.9, 17, 0.0068838970025679161},
      {0.95, 23.5, 0.0023799001422417874},   {0.99, 12.25, 0.0010071215881095244}, {0.99, 29, 0.00037314408831832589},
      {0.999, 30.5, 3.5198075328163633e-5},  {0.999, 700, 1.4334907908850788e-6},  {0.05, 3, 0.24443463564564761}};

  (void)state;
  for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
    const double value = FPMittagLeffler(known[k][0], known[k][1]);

    check(fabs(value / known[k][2] - 1) < 1e-12, "E_%g(-%g) = %.17g, not %.17g", known[k][0], known[k][1], value,
          known[k][2]);
  }
  for (double x = 1e-9; x < 20; x *= 3.7) {
    const double half = exp(x * x) * erfc(x), value = FPMittagLeffler(0.5, x);

    check(fabs(value / half - 1) < 3e-13 * (1 + x * x), "E_0.5(-%g) = %.17g, not %.17g", x, value, half);
    check(FPMittagLeffler(1, x) == exp(-x), "E_1(-%g)", x);
  }
  for (double beta = 0.07; beta < 1; beta += 0.031) { /* completely monotone: down and flatter */
    double before = 1, slope = -HUGE_VAL;

    for (double x = 0.02; x < 200; x *= 1.9) {
      const double value = FPMittagLeffler(beta, x), now = (value - before) / x;

      check(value > 0 && value < before && now > slope, "E_%g(-%g) = %g", beta, x, value);
      before = value;
      slope  = now;
    }
  }
  assert_true(FPMittagLeffler(0.4, 0) == 1);
  assert_true(isnan(FPMittagLeffler(0, 1)) && isnan(FPMittagLeffler(1.1, 1)) && isnan(FPMittagLeffler(0.5, -1)));
}

static void test_stable(void **state)
{
  static const double beta[] = {0.23, 0.5, 0.87};
  const unsigned      key[2] = {17, 4242};
  enum { CALLS = 4096 };

  (void)state;
  for (int b = 0; b < 3; b++)
    for (double q = 0.3; q < 4; q *= 2.3) {
      double sum = 0, square = 0, mean, error;

      for (int c = 0; c < CALLS; c++) {
        unsigned word[4 * FP_BLOCK];
        double   s[FP_BLOCK];

        FPRandomWords(key, (unsigned long long)c * FP_BLOCK, 4 * (unsigned long long)b, 4, word);
        FPStablePositive(beta[b], word, s);
        for (int l = 0; l < FP_BLOCK; l++) {
          assert_true(s[l] > 0);
          sum += exp(-q * s[l]);
          square += exp(-2 * q * s[l]);
        }
      }
      mean  = sum / (CALLS * FP_BLOCK);
      error = sqrt((square / (CALLS * FP_BLOCK) - mean * mean) / (CALLS * FP_BLOCK));
      check(fabs(mean - exp(-pow(q, beta[b]))) < 4.5 * error, "E exp(-%g s) = %g +- %g, not %g", q, mean, error,
            exp(-pow(q, beta[b])));
    }
}

/* results.json of a run file with this text */
static json_t *Results(const char *text)
{
  const char *run[] = {"dlnfp", "run", InFolder("run.yaml"), "-out", InFolder("out"), NULL};
  int         code;

  WriteText(run[2], text);
  code = RunProgram(run);
  check(code == 0, "exit code %d: %s", code, ReadText(InFolder("errors")));
  return LoadResults(InFolder("out"));
}

/* Generator within its bound, which is no more than useful; particles within 4.5 standard errors. */
static void Both(const json_t *root, double exact, double useful, const char *format, ...)
{
  static const char *const engine[] = {"generator", "particles"};
  char                     quantity[64];
  va_list                  args;

  va_start(args, format);
  (void)vsnprintf(quantity, sizeof(quantity), format, args);
  va_end(args);
  for (int e = 0; e < 2; e++) {
    double       error;
    const double value = Value(root, NULL, engine[e], NULL, quantity, &error);

    check(fabs(value - exact) <= (e ? 4.5 : 1) * error, "%s by %s: %.10g +- %.2g, exactly %.10g", quantity, engine[e],
          value, error, exact);
    check(error <= (e ? 0.1 * fmax(1, exact) : useful), "%s by %s: error %g", quantity, engine[e], error);
  }
}

static void test_relaxation(void **state)
{
  const double  beta = 0.63, c = pow(1.7, 1 - beta), rate = 0.9, variance = 0.35 / rate, start = 1.1;
  const double  times[] = {0.1, 1, 5};
  json_t *const root    = Results("model: {type: ou, drift: [0.9], diffusion: [0.35], center: [0.2]}\n"
                                     "training: {learning_rate: 0.05}\n"
                                     "processes: [fractional]\n"
                                     "fractional: {beta: 0.63, clock_scale: 1.7}\n"
                                     "mesh: {lower: [-4.1], upper: [4.6], cells: [256]}\n"
                                     "particles: {count: 8192, steps: 100, burn_in: 1, seed: 5}\n"
                                     "observables: [evolution, msd]\n"
                                     "evolution: {times: [0.1, 1, 5], start: [1.3]}\n"
                                     "msd: {times: [0.1, 1, 5]}\n");

  (void)state;
  for (int k = 0; k < 3; k++) {
    const double t = times[k], x = c * rate * pow(t, beta), one = FPMittagLeffler(beta, x);
    const double two = FPMittagLeffler(beta, 2 * x), mean = 0.2 + start * one;

    Both(root, mean, 3e-5, "mean[0][t=%g]", t);
    Both(root, variance * (1 - two) + start * start * two + 0.4 * mean - 0.04, 1e-4, "second_moment[0][t=%g]", t);
    Both(root, 2 * variance * (1 - one), 1e-4, "msd[t=%g]", t); /* stationary, from when the clock starts */
  }
  json_decref(root);
}

/* dz = -A z with eigenvalues 0.7 +- 0.9 i: E z_1 + i E z_2 = E_beta(-c (0.7 + 0.9 i) t^beta) z(0), by the power series
   at 200 digits. */
static void test_turning(void **state)
{
  static const char *const time[]     = {"0.6", "1.7", "5"};
  static const double      exact[][2] = {{0.48766052140904453, -0.33451484200234841},
                                         {0.081611904503573189, -0.24828161197690995},
                                         {0.0082331065494905905, -0.03664128415970156}};
  json_t *const root = Results("model: {type: ou, drift: [0.7, -0.9, 0.9, 0.7], diffusion: [0.08, 0, 0, 0.08]}\n"
                               "training: {learning_rate: 0.05}\n"
                               "processes: [fractional]\n"
                               "fractional: {beta: 0.85, clock_scale: 1.5}\n"
                               "mesh: {lower: [-2.2, -2.1], upper: [2.3, 2.2], cells: [88, 80]}\n"
                               "particles: {count: 4096, steps: 100, burn_in: 1, seed: 5}\n"
                               "observables: [evolution]\n"
                               "evolution: {times: [0.6, 1.7, 5], start: [1.0, 0.0]}\n");

  (void)state;
  for (int k = 0; k < 3; k++) {
    Both(root, exact[k][0], 0.01, "mean[0][t=%s]", time[k]);
    Both(root, exact[k][1], 0.01, "mean[1][t=%s]", time[k]);
  }
  json_decref(root);
}

/* Survival of an exit: E_beta over the modes of the killed process. From the middle of an interval with D alone, x'' =
   0: rates D ((2 k + 1) pi/(2 R))^2, weights 4 (-1)^k/((2 k + 1) pi). */
static void test_survival(void **state)
{
  const double  beta = 0.74, D = 0.4, R = 1.3, times[] = {0.3, 2, 40};
  json_t *const root = Results("model: {type: ou, drift: [1e-9], diffusion: [0.4]}\n"
                               "training: {learning_rate: 0.02}\n"
                               "processes: [fractional]\n"
                               "fractional: {beta: 0.74, dt: 0.02}\n"
                               "mesh: {lower: [-2], upper: [2], cells: [200]}\n"
                               "particles: {count: 8192, steps: 2000, burn_in: 1, seed: 5}\n"
                               "observables: [exit]\n"
                               "exit: {region: ball, center: [0], radius: 1.3, start: [0], times: [0.3, 2, 40]}\n");
  double        low = 0, high = 100;

  (void)state;
  for (int k = 0; k < 3; k++) {
    double sum = 0;

    for (int j = 0; j < 400; j++)
      sum += 4 * (j % 2 ? -1 : 1) / ((2 * j + 1) * M_PI) *
             FPMittagLeffler(beta, D * pow((2 * j + 1) * M_PI / (2 * R), 2) * pow(times[k], beta));
    Both(root, sum, 2e-4, "survival[t=%g]", times[k]);
  }
  for (int step = 0; step < 50; step++) {
    const double t   = (low + high) / 2;
    double       sum = 0;

    for (int j = 0; j < 400; j++)
      sum += 4 * (j % 2 ? -1 : 1) / ((2 * j + 1) * M_PI) *
             FPMittagLeffler(beta, D * pow((2 * j + 1) * M_PI / (2 * R), 2) * pow(t, beta));
    *(sum > 0.5 ? &low : &high) = t;
  }
  Both(root, low, 5e-3, "median_time");
  json_decref(root);
}

/* Correlation of an Ornstein-Uhlenbeck process of rate l between clock times a and a + t, by another formula than the
   program's (N. N. Leonenko, M. M. Meerschaert and A. Sikorskii, J. Appl. Probab. 50 (2013)): E_beta(-l T^beta) +
   (l T^beta/Gamma(1 + beta)) int_0^{(a/T)^beta} E_beta(-l T^beta (1 - y^{1/beta})^beta) dy, T = a + t. */
typedef struct {
  double beta, x;
} Mode;

static double Integrand(double y, void *context)
{
  const Mode *m = (const Mode *)context;

  return FPMittagLeffler(m->beta, m->x * pow(1 - pow(y, 1 / m->beta), m->beta));
}

static double Aged(double beta, double l, double a, double t)
{
  const double               x    = l * pow(a + t, beta);
  Mode                       m    = {beta, x};
  gsl_function               f    = {Integrand, &m};
  gsl_integration_workspace *room = gsl_integration_workspace_alloc(200);
  double                     integral, error;

  must(gsl_integration_qags(&f, 0, pow(a / (a + t), beta), 1e-11, 1e-10, 200, room, &integral, &error));
  gsl_integration_workspace_free(room);
  return FPMittagLeffler(beta, x) + x / tgamma(1 + beta) * integral;
}

/* Correlations age, and so do displacements: 2 S (1 - rho). The present at a + t explains rho(a; a + t) x of the past
   and rho(a + t; a + 2t) x of the future. */
static void AgedRun(double beta, double age, double particles)
{
  static const char *const times[] = {"0.13", "1", "4.7"};
  const double             l = 0.9 * pow(1.7, 1 - beta), S = 0.35 / 0.9;
  char                     text[1024];
  json_t                  *root;

  (void)snprintf(text, sizeof(text),
                 "model: {type: ou, drift: [0.9], diffusion: [0.35], center: [0.2]}\n"
                 "training: {learning_rate: 0.05}\n"
                 "processes: [mine]\n"
                 "mine: {preset: langevin, clock: fractional, beta: %g, clock_scale: 1.7, temperature: 0.35}\n"
                 "mesh: {lower: [-4.1], upper: [4.6], cells: [128]}\n"
                 "particles: {count: %g, steps: 250, burn_in: 1, seed: 5}\n"
                 "observables: [autocorrelation, msd]\n"
                 "autocorrelation: {times: [0.13, 1, 4.7], age: %g}\n"
                 "msd: {times: [0.13, 1, 4.7], age: %g}\n",
                 beta, particles, age, age);
  root = Results(text);
  for (int k = 0; k < 3; k++) {
    const double t = atof(times[k]), rho = Aged(beta, l, age, t);

    Both(root, rho, 1e-4, "z[0][t=%s]", times[k]);
    Both(root, Aged(beta, l, age, 2 * t) - rho * Aged(beta, l, age + t, t), 1e-4, "markov_defect_z[0][t=%s]", times[k]);
    Both(root, 2 * S * (1 - rho), 1e-4, "msd[t=%s]", times[k]);
  }
  json_decref(root);
}

static void test_aged(void **state)
{
  (void)state;
  AgedRun(0.2, 0.77, 4096);
  AgedRun(0.5, 2.31, 8192);
  AgedRun(0.85, 0.03, 4096);
  AgedRun(0.98, 2.3, 4096);
}

/* The law of the process's own time E at clock time t: (E/(c t^beta))^(-1/beta) is positive stable, of distribution
   function 1/pi int_0^pi exp(-a(u) x^{-beta/(1 - beta)}) du (M. Kanter, 1975). */
/* ln a(u); rest = pi - u */
static double StableShape(double beta, double u, double rest)
{
  return beta / (1 - beta) * (log(sin(beta * u)) - log(sin(fmin(u, rest))) / beta) + log(sin((1 - beta) * u));
}

/* P(E > tau), and its density; at = tau/(c t^beta). The trapezoidal rule in ln(u/(pi - u)). */
static double OwnTime(double beta, double at, double *density)
{
  const double step = fmin(0.05, 0.2 * (1 - beta)); /* a(u) is steep where beta is near 1 */
  double       sum = 0, slope = 0;

  for (double v = -36; v < 36; v += step) {
    const double ay    = exp(StableShape(beta, M_PI / (1 + exp(-v)), M_PI / (1 + exp(v))) + log(at) / (1 - beta));
    const double share = step / ((1 + exp(v)) * (1 + exp(-v)));

    sum += share * exp(-ay);
    if (ay < 700) slope += share * ay * exp(-ay);
  }
  if (density) *density = slope / ((1 - beta) * at);
  return sum;
}

/* Laws under the fractional clock are means of ordinary ones over E: by Gauss's rule in ln tau, on both generators. */
static void Subordinate(FPGenerator slow, FPGenerator ordinary, const PetscReal initial[], double c, double beta,
                        double t, PetscBool backward)
{
  enum { COARSE = 12, PIECES = COARSE + 18, POINTS = 8, NODES = PIECES * POINTS };
  gsl_integration_glfixed_table *rule  = gsl_integration_glfixed_table_alloc(POINTS);
  const double                   scale = c * pow(t, beta), first = 1e-7, peak = pow(1e-4, 1 - beta);
  const double                   last = pow(40 / exp(StableShape(beta, 1e-9, M_PI)), 1 - beta);
  PetscReal                      tau[NODES], weight[NODES], error[NODES], *u, *v, most = 0, size = 0, own;
  FPGeneratorInfo                info;

  must(FPGeneratorGetInfo(ordinary, &info));
  must(PetscMalloc2((size_t)NODES * info.unknowns, &u, info.unknowns, &v));
  for (size_t k = 0; k < NODES; k++) {
    const PetscBool fine  = (PetscBool)(k / POINTS >= COARSE); /* around the peak, narrow where beta is near 1 */
    const double    from  = log(fine ? peak : first);
    const double    piece = (log(fine ? last : peak) - from) / (fine ? PIECES - COARSE : COARSE);
    const double    here  = from + piece * (double)(fine ? k / POINTS - COARSE : k / POINTS);
    double          at, share, density;

    gsl_integration_glfixed_point(here, here + piece, k % POINTS, &at, &share, rule);
    (void)OwnTime(beta, exp(at), &density);
    tau[k]    = scale * exp(at);
    weight[k] = share * exp(at) * density;
  }
  must(FPGeneratorEvolve(ordinary, backward, initial, NODES, tau, u, error));
  must(FPGeneratorEvolve(slow, backward, initial, 1, &t, v, &own));
  for (PetscInt k = 0; k < info.unknowns; k++) {
    PetscReal sum = (1 - OwnTime(beta, first, NULL)) * initial[k];

    for (int j = 0; j < NODES; j++) sum += weight[j] * u[(size_t)j * (size_t)info.unknowns + (size_t)k];
    most = backward ? PetscMax(most, fabs(sum - v[k])) : most + fabs(sum - v[k]);
    size = backward ? PetscMax(size, fabs(v[k])) : size + fabs(v[k]);
  }
  check(most <= own + 2e-6 * size, "order %g, t = %g: %g from subordination, of %g; error told %g", beta, t, most, size,
        own);
  gsl_integration_glfixed_table_free(rule);
  must(PetscFree2(u, v));
}

#define TURNING                                                                                                        \
  "model_type=ou model_drift=1.1,-0.6,0.5,0.8 model_diffusion=0.15,0.04,0.04,0.1 model_center=0.1,-0.2 "               \
  "training_learning_rate=0.05 mesh_lower=-1.9,-1.8 mesh_upper=2.1,1.5 mesh_cells=32,28 exit_region=ball "             \
  "exit_center=0.2,-0.1 exit_radius=0.9 exit_start=0.3,0.1 "

static void test_subordination(void **state)
{
  static const double beta[] = {0.2, 0.5, 0.85, 0.98}, t[] = {0.4, 3, 0.9, 1.7};
  const PetscReal     start[] = {0.3, 0.1};

  (void)state;
  for (int b = 0; b < 4; b++)
    for (int killed = 0; killed < 2; killed++) {
      Scene           slow, ordinary;
      FPGeneratorInfo info;
      FPRegion        region;
      PetscReal      *initial;

      SceneOpen(&ordinary, "ald", TURNING);
      SceneOpen(&slow, "mine", TURNING "mine_preset=ald mine_clock=fractional mine_beta=%g mine_clock_scale=1.3",
                beta[b]);
      if (killed) {
        must(FPRegionCreate(ordinary.config, "exit", PETSC_FALSE, ordinary.model, &region));
        must(FPGeneratorCreateKilled(ordinary.process, ordinary.mesh, 0, &ordinary.options, start, region,
                                     &ordinary.gen));
        must(FPGeneratorCreateKilled(slow.process, slow.mesh, 0, &slow.options, start, region, &slow.gen));
      } else {
        (void)SceneGrid(&ordinary, 0);
        (void)SceneGrid(&slow, 0);
      }
      must(FPGeneratorGetInfo(ordinary.gen, &info));
      must(PetscCalloc1(info.unknowns, &initial));
      for (PetscInt k = 0; k < info.unknowns; k++) initial[k] = killed ? 1 : k == info.unknowns / 3;
      Subordinate(slow.gen, ordinary.gen, initial, pow(1.3, 1 - beta[b]), beta[b], t[b], (PetscBool)killed);
      must(PetscFree(initial));
      if (killed) must(FPRegionDestroy(&region));
      SceneClose(&slow);
      SceneClose(&ordinary);
    }
}

/* SGD on the clock makes N steps by the time t, N = floor(E/eta): a walk with stable waiting times. Depth 1: the mean
   of w - p is z^N(w_0 - p) with z = 1 - eta s. */
static void test_walk(void **state)
{
  static const double beta[] = {0.35, 0.8};
  const double        eta = 0.1, z = 1 - eta * 0.9, start = 0.1, p = 0.8;

  (void)state;
  for (int b = 0; b < 2; b++) {
    char    text[1024];
    json_t *root;

    (void)snprintf(text, sizeof(text),
                   "data: {type: gaussian, teacher: [0.8], second_moment: 0.9, label_noise: 0.5}\n"
                   "model: {type: chain, depth: 1, coordinates: weights}\n"
                   "training: {learning_rate: 0.1, batch_size: 3}\n"
                   "processes: [mine]\nmine: {preset: sgd, clock: fractional, beta: %g, clock_scale: 1.4}\n"
                   "particles: {count: 32768, steps: 100, burn_in: 0, seed: 3}\n"
                   "observables: [evolution]\nevolution: {times: [0.5, 3.3, 20], start: [0.1]}\n",
                   beta[b]);
    root = Results(text);
    for (int k = 0; k < 3; k++) {
      const double t = (const double[]){0.5, 3.3, 20}[k], scale = pow(1.4, 1 - beta[b]) * pow(t, beta[b]);
      double       mean = 1, error, value;
      char         quantity[64];

      for (int n = 1; n < 600; n++) mean -= (1 - z) * pow(z, n - 1) * OwnTime(beta[b], n * eta / scale, NULL);
      (void)snprintf(quantity, sizeof(quantity), "mean[0][t=%g]", t);
      value = Value(root, NULL, "particles", NULL, quantity, &error);
      check(fabs(value - p - (start - p) * mean) < 4.5 * error && error < 0.01, "order %g: %s is %g +- %g, not %g",
            beta[b], quantity, value, error, p + (start - p) * mean);
    }
    json_decref(root);
  }
}

/* The order 1 changes no bit. */
static void test_ordinary(void **state)
{
  static const char        text[]   = "data: {type: gaussian, teacher: [0.8], second_moment: 0.9, label_noise: 0.5}\n"
                                      "model: {type: chain, depth: 1, coordinates: weights}\n"
                                      "training: {learning_rate: 0.1, batch_size: 3}\n"
                                      "processes: [%s]\n%s"
                                      "mesh: {lower: [-0.6], upper: [2.2], cells: [64]}\n"
                                      "particles: {count: 4096, steps: 100, burn_in: 10}\n"
                                      "observables: [evolution]\nevolution: {times: [0.5, 3], start: [0.1]}\n";
  static const char *const engine[] = {"generator", "particles"};
  char                     one[1024], two[1024];
  json_t                  *ordinary, *fractional;

  (void)state;
  (void)snprintf(one, sizeof(one), text, "mine", "mine: {preset: ald}\n");
  (void)snprintf(two, sizeof(two), text, "mine", "mine: {preset: ald, clock: fractional, beta: 1, clock_scale: 3}\n");
  ordinary   = Results(one);
  fractional = Results(two);
  for (int e = 0; e < 2; e++) {
    double       error[2];
    const double value = Value(ordinary, NULL, engine[e], NULL, "mean_p[t=3]", &error[0]);

    assert_true(value == Value(fractional, NULL, engine[e], NULL, "mean_p[t=3]", &error[1]) && error[0] == error[1]);
  }
  json_decref(ordinary);
  json_decref(fractional);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scalar),        cmocka_unit_test(test_stable),   cmocka_unit_test(test_relaxation),
      cmocka_unit_test(test_turning),       cmocka_unit_test(test_survival), cmocka_unit_test(test_aged),
      cmocka_unit_test(test_subordination), cmocka_unit_test(test_walk),     cmocka_unit_test(test_ordinary)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

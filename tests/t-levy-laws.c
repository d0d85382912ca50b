/* t-levy-laws.c: laws of processes that jump against what is known of them: quantiles, density and spectrum of stable
   Ornstein-Uhlenbeck processes, distances from the Gibbs law of the same potential, and the rate of rare exits beside
   that of single jumps. */
#include "ask.h"
#include "lab.h"
#include "runs.h"
#include <gsl/gsl_integration.h>

/* ------------------------------------------------------------------------------------------------------------------
   Stable Ornstein-Uhlenbeck processes */

typedef struct {
  double alpha, x;
} Point;

static double SineOverK(double k, void *context)
{
  const Point *at = (const Point *)context;

  return (k > 0 ? sin(k * at->x) / k : at->x) * exp(-pow(k, at->alpha));
}

static double OverK(double k, void *context)
{
  return exp(-pow(k, ((const Point *)context)->alpha)) / k;
}

/* P(X <= x) of exp(-|k|^alpha) by inversion: 1/2 + (1/pi) int sin(k x)/k exp(-k^alpha) dk; Fourier's integral beyond 1.
 */
static double StableLaw(double alpha, double x)
{
  Point                      at   = {.alpha = alpha, .x = fabs(x)};
  gsl_function               near = {.function = SineOverK, .params = &at}, far = {.function = OverK, .params = &at};
  gsl_integration_workspace *room   = gsl_integration_workspace_alloc(500),
                            *cycles = gsl_integration_workspace_alloc(500);
  gsl_integration_qawo_table *table = gsl_integration_qawo_table_alloc(at.x, 1, GSL_INTEG_SINE, 30);
  double                      head, tail, error;

  assert_int_equal(gsl_integration_qags(&near, 0, 1, 1e-11, 1e-11, 500, room, &head, &error), 0);
  assert_int_equal(gsl_integration_qawf(&far, 1, 1e-10, 500, room, cycles, table, &tail, &error), 0);
  gsl_integration_qawo_table_free(table);
  gsl_integration_workspace_free(room);
  gsl_integration_workspace_free(cycles);
  return 0.5 + (x < 0 ? -1 : 1) * (head + tail) / PETSC_PI;
}

#define THETA 1.3
#define SIGMA 0.8
#define CENTRE 0.37

static void OpenOU(Lab *lab, double alpha, double R, int cells)
{
  char keys[512];

  (void)snprintf(keys, sizeof keys,
                 "model_type ou model_drift %g model_diffusion 0 model_center %g levy_alpha %g levy_scale %g "
                 "levy_temperature 0 levy_boundary confined mesh_lower %.17g mesh_upper %.17g mesh_cells %d",
                 THETA, CENTRE, alpha, SIGMA, CENTRE - R, CENTRE + 1.1 * R, cells);
  LabOpen(lab, "levy", keys);
  LabSolve(lab, 2);
}

/* Where the law of the line, `below` + `inside` times that of the box, reaches q: by cubics through its sums up to the
   edges of cells. */
static double Quantile(const Lab *lab, PetscInt l, double below, double inside, double q)
{
  PetscInt         n, k = 1;
  const PetscReal *z, *volume, *pi;
  double           F[4], value = 0, sum = below;

  must(FPGeneratorGetNodes(lab->gen[l], &n, NULL, &z, NULL, &volume));
  must(FPGeneratorStationary(lab->gen[l], &pi));
  sum += inside * pi[0];
  while (sum + inside * pi[k] < q) sum += inside * pi[k++];
  assert_true(k > 1 && k < n - 2);
  F[1] = sum;
  F[0] = F[1] - inside * pi[k - 1];
  F[2] = F[1] + inside * pi[k];
  F[3] = F[2] + inside * pi[k + 1];
  for (int i = 0; i < 4; i++) {
    double weight = z[k] + (i - 1.5) * volume[k];

    for (int j = 0; j < 4; j++)
      if (j != i) weight *= (q - F[j]) / (F[i] - F[j]);
    value += weight;
  }
  return value;
}

/* Density at x, by a cubic through four cells. */
static double Density(const Lab *lab, PetscInt l, double inside, double x)
{
  PetscInt         k = 1;
  const PetscReal *z, *volume, *pi;
  double           value = 0;

  must(FPGeneratorGetNodes(lab->gen[l], NULL, NULL, &z, NULL, &volume));
  must(FPGeneratorStationary(lab->gen[l], &pi));
  while (z[k + 1] < x) k++;
  for (int i = -1; i < 3; i++) {
    double weight = inside * pi[k + i] / volume[k + i];

    for (int j = -1; j < 3; j++)
      if (j != i) weight *= (x - z[k + j]) / (z[k + i] - z[k + j]);
    value += weight;
  }
  return value;
}

/* Quantiles, density at the centre and slowest rate in a box, with bounds of the grids. */
typedef struct {
  double quantile[4], density, rate, error[6];
} Law;

static const double Share[4] = {0.6, 0.75, 0.9, 0.96};

static Law LawInBox(double alpha, double scale, double R, int cells)
{
  const double below = StableLaw(alpha, -R / scale), above = 1 - StableLaw(alpha, 1.1 * R / scale);
  double       v[FP_MAX_LEVELS];
  Lab          lab;
  Law          law;

  OpenOU(&lab, alpha, R, cells);
  for (int k = 0; k < 4; k++) {
    for (PetscInt l = 0; l < lab.levels; l++) v[l] = Quantile(&lab, l, below, 1 - below - above, Share[k]);
    LabBound(&lab, v, 0, &law.quantile[k], &law.error[k]);
  }
  for (PetscInt l = 0; l < lab.levels; l++) v[l] = Density(&lab, l, 1 - below - above, CENTRE);
  LabBound(&lab, v, 0, &law.density, &law.error[4]);
  for (PetscInt l = 0; l < lab.levels; l++) v[l] = LabRate(&lab, l, 1);
  LabBound(&lab, v, LabResidual(&lab, 0, 1), &law.rate, &law.error[5]);
  LabClose(&lab);
  return law;
}

/* Scale sigma (alpha theta)^(-1/alpha), rate theta. Errors are those of the grid, by its bound, and of the box, by what
   half of it changes and 1e-4; of the rate that falls like R^-alpha and is extrapolated. */
static void test_ornstein_uhlenbeck(void **state)
{
  static const double alpha[3] = {0.7, 1.3, 1.8}, useful[3] = {2e-2, 3e-3, 3e-4};
  /* scipy.stats.levy_stable.ppf(share, alpha, 0), SciPy 1.10 */
  static const double ppf[3][4] = {{0.27298199375548465, 1.0900642200356296, 5.591791552330889, 22.64027370223027},
                                   {0.346771353386199, 0.976378940326382, 2.297138321792809, 4.451243521849235},
                                   {0.35751675196179883, 0.9597564314023319, 1.8802969082559238, 2.707927173884157}};

  (void)state;
  for (int a = 0; a < 3; a++) {
    const double scale = SIGMA * pow(alpha[a] * THETA, -1 / alpha[a]), R = a ? 10 : 40;
    const int    cells = a ? 300 : 600;
    const Law    near = LawInBox(alpha[a], scale, R, cells), far = LawInBox(alpha[a], scale, 2 * R, 2 * cells);
    const double rate = far.rate + (far.rate - near.rate) / (pow(2, alpha[a]) - 1);
    const double peak = tgamma(1 + 1 / alpha[a]) / PETSC_PI / scale;

    for (int k = 0; k < 4; k++) {
      const double exact = scale * ppf[a][k], off = fabs(far.quantile[k] - CENTRE - exact);
      const double doubt = far.error[k] + fabs(far.quantile[k] - near.quantile[k]) + 1e-4 * exact;

      check(fabs(StableLaw(alpha[a], ppf[a][k]) - Share[k]) < 1e-7, "alpha %g: P(X <= %.12g) = %.9g", alpha[a],
            ppf[a][k], StableLaw(alpha[a], ppf[a][k]));
      print_message("  alpha %g: quantile %g is %.6f, exact %.6f: off by %.1e, doubt %.1e\n", alpha[a], Share[k],
                    far.quantile[k] - CENTRE, exact, off, doubt);
      check(off <= doubt && off < useful[a] * exact, "alpha %g: quantile %g off by %g, doubt %g", alpha[a], Share[k],
            off, doubt);
    }
    print_message("  alpha %g: density %.6f +- %.1e, exact %.6f; rate %.6f, then %.6f, %.6f\n", alpha[a], far.density,
                  far.error[4], peak, near.rate, far.rate, rate);
    check(fabs(far.density - peak) < far.error[4] + fabs(far.density - near.density) + 1e-4 * peak,
          "alpha %g: density %g, exact %g +- %g", alpha[a], far.density, peak, far.error[4]);
    check(fabs(rate / THETA - 1) < 3e-4 && fabs(far.rate / THETA - 1) > 1e-4, "alpha %g: rate %g of %g", alpha[a], rate,
          THETA);
  }
}

/* ------------------------------------------------------------------------------------------------------------------
   The Gibbs law of the same potential */

typedef struct {
  double kl, tv, w1;
} Distances;

/* Of the law with E exp(i k X) = exp(-T k^2/(2 theta) - sigma^alpha k^alpha/(alpha theta)), given |X| < R, from
   N(0, T/theta): by inversion, midpoint rules in k and x. */
static Distances Exact(double alpha, double theta, double sigma, double T, double R)
{
  enum { WAVES = 1500, CELLS = 6000 };
  const double dx = R / CELLS, dk = 9 * sqrt(theta / T) / WAVES, pi = PETSC_PI;
  double      *f = malloc(CELLS * sizeof(*f)), mass = 0, F = 0;
  Distances    d = {0};

  for (int i = 0; i < CELLS; i++) { /* of X > 0 */
    const double x = (i + 0.5) * dx;

    f[i] = 0;
    for (int m = 0; m < WAVES; m++) {
      const double k = (m + 0.5) * dk;

      f[i] += dk / pi * cos(k * x) * exp(-T * k * k / (2 * theta) - pow(sigma * k, alpha) / (alpha * theta));
    }
    mass += 2 * f[i] * dx;
  }
  for (int i = CELLS - 1; i >= 0; i--) { /* P(X > x) of both, from the wall inwards */
    const double x = (i + 0.5) * dx, p = f[i] / mass, g = sqrt(theta / (2 * pi * T)) * exp(-theta * x * x / (2 * T));

    F += p * dx;
    d.w1 += 2 * dx * fabs(F - 0.5 * p * dx - 0.5 * erfc(x * sqrt(theta / (2 * T))));
    d.tv += dx * fabs(p - g);
    d.kl += 2 * dx * p * (log(p) - log(theta / (2 * pi * T)) / 2 + theta * x * x / (2 * T));
  }
  free(f);
  return d;
}

static json_t *RunLevy(double alpha, double R, int cells, const char *keys)
{
  return Run("data_type=gaussian data_teacher=0.4 data_second_moment=1.2 data_label_noise=0.3 model_type=chain "
             "training_learning_rate=0.05 training_batch_size=2 processes=levy levy_alpha=%g "
             "levy_scale=0.35 levy_boundary=confined engines=generator observables=stationary mesh_lower=%.17g "
             "mesh_upper=%.17g mesh_cells=%d %s",
             alpha, 0.4 - R, 0.4 + R, cells, keys);
}

static double Get(const json_t *root, const char *quantity, double *error)
{
  return Value(root, "levy", "generator", "stationary", quantity, error);
}

/* One weight under jumps and the heat T: what its law in a box is from exp(-V/T), by generator and exactly. Total
   variation and Wasserstein distances settle as the box grows; KL does not, as exp(-V/T) has next to nothing where
   jumps lead. */
static void test_gibbs(void **state)
{
  const double alpha = 1.6, theta = 1.2, T = 0.08, box[3] = {4, 8, 16};
  Distances    got[3];

  (void)state;
  for (int b = 0; b < 3; b++) {
    const Distances exact = Exact(alpha, theta, 0.35, T, box[b]);
    json_t         *root  = RunLevy(alpha, box[b], 200 << b, "model_depth=1 levy_temperature=0.08");
    double          error[3], temperature, none;

    got[b]      = (Distances){.kl = Get(root, "kl_gibbs", &error[0]),
                              .tv = Get(root, "tv_gibbs", &error[1]),
                              .w1 = Get(root, "w1_p_gibbs", &error[2])};
    temperature = Get(root, "gibbs_temperature", &none);
    json_decref(root);
    print_message("  R %g: kl %.5f +- %.1e, exact %.5f; tv %.5f +- %.1e, exact %.5f; w1 %.5f +- %.1e, exact %.5f\n",
                  box[b], got[b].kl, error[0], exact.kl, got[b].tv, error[1], exact.tv, got[b].w1, error[2], exact.w1);
    check(fabs(temperature - T) < 1e-14, "Gibbs temperature %g", temperature);
    check(fabs(got[b].kl - exact.kl) < error[0] + 3e-3 * exact.kl, "kl %g, exact %g", got[b].kl, exact.kl);
    check(fabs(got[b].tv - exact.tv) < error[1] + 5e-4 * exact.tv, "tv %g, exact %g", got[b].tv, exact.tv);
    check(fabs(got[b].w1 - exact.w1) < error[2] + 1e-3 * exact.w1, "w1 %g, exact %g", got[b].w1, exact.w1);
  }
  check(got[2].kl - got[1].kl > 0.5 && got[1].kl - got[0].kl > 0.4, "kl %g, %g, %g", got[0].kl, got[1].kl, got[2].kl);
  check(fabs(got[2].tv - got[1].tv) < 2e-3 && fabs(got[2].w1 - got[1].w1) < 0.01, "tv %g, %g; w1 %g, %g", got[1].tv,
        got[2].tv, got[1].w1, got[2].w1);
}

/* At alpha = 2 what is stable is Gaussian, with sigma^2 as temperature of the weights; below, without heat, there is no
   Gibbs law, and the row says so. */
static void test_temperature(void **state)
{
  double  kl, error, none;
  json_t *root;

  (void)state;
  root =
      RunLevy(2, 1.9, 200, "model_depth=2 model_coordinates=balanced training_weight_decay=0.05 levy_temperature=0.03");
  check(fabs(Get(root, "gibbs_temperature", &none) - 0.03 - 0.35 * 0.35) < 1e-14, "temperature %g",
        Get(root, "gibbs_temperature", &none));
  kl = Get(root, "kl_gibbs", &error);
  check(fabs(kl) < 1e-6 + error && error < 1e-4, "kl %g +- %g", kl, error);
  json_decref(root);
  root = RunLevy(1.5, 1.9, 60, "model_depth=1 levy_temperature=0");
  check(strstr(json_string_value(json_object_get(Row(root, "levy", "generator", "stationary", "kl_gibbs"), "reason")),
               "jumps have no temperature"),
        "no reason");
  json_decref(root);
}

/* ------------------------------------------------------------------------------------------------------------------
   Rare exits */

/* c_1/alpha */
static double Unit(double alpha)
{
  return tgamma(alpha) * sin(PETSC_PI * alpha / 2) / PETSC_PI;
}

static void Asymptote(const char *what, double exact, double useful, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void Asymptote(const char *what, double exact, double useful, const char *format, ...)
{
  char      keys[1024];
  va_list   args;
  Asked     a;
  PetscReal value, error;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  AskExact(&a, "exit", "levy", "%s", keys);
  if (exact > 0) {
    value = AskValue(&a, "levy", "exact", "exit", "asymptotic_rate", &error);
    print_message("  %-32s %.9g +- %.1e, exact %.9g\n", what, value, error, exact);
    check(fabs(value - exact) <= error && error < useful * exact, "%s: %.12g +- %g, exact %.12g", what, value, error,
          exact);
  } else
    check(!AskHas(&a, "levy", "exact", "exit", "asymptotic_rate", &value, &error), "%s: %g", what, value);
  AskClose(&a);
}

#define OU_1 "model_type=ou model_drift=1.3 model_diffusion=0 model_center=0.3 levy_scale=0.07 levy_temperature=0 "
#define OU_2                                                                                                           \
  "model_type=ou model_drift=1.1,0.9,-0.7,1.4 model_diffusion=0,0,0,0 model_center=0.2,-0.1 levy_scale=0.07 "          \
  "levy_temperature=0 exit_start=0.6,0.1 "

#define FOLDS 20000

/* Closed forms: one jump from the centre of the drift, wherever the start, by what the box makes of it. */
static void test_asymptote(void **state)
{
  const double alpha[3] = {0.6, 1.4, 1.9};

  (void)state;
  for (int i = 0; i < 3; i++) {
    const double a = alpha[i], unit = pow(0.07, a) * Unit(a), left = 1.1, right = 0.7, low = 2.3, high = 3.2;
    const char  *line =
        OU_1 "levy_alpha=%g mesh_lower=-2 mesh_upper=3.5 mesh_cells=100 exit_region=ball exit_center=0.1 "
             "exit_radius=0.9 exit_start=-0.4 levy_boundary=%s";
    double inside = unit * (pow(left, -a) + pow(right, -a)), outside = unit * (pow(low, -a) + pow(high, -a));
    double folded = 0;

    Asymptote("line, confined", inside, 1e-8, line, a, "confined");
    Asymptote("line, killed", inside, 1e-8, line, a, "killed");
    Asymptote("line, censored", inside - outside, 1e-8, line, a, "censored");
    for (int k = 1; k < FOLDS; k++) /* images of the ball beyond the walls, to which jumps are folded back */
      for (int side = 0; side < 2; side++)
        for (int copy = 0; copy < 2; copy++) {
          const double period = 11, wall = side ? 3.5 : -2, centre = copy ? 0.1 : 2 * wall - 0.1;
          const double at = fabs(centre + (side ? 1 : -1) * period * (copy ? k : k - 1) - 0.3);

          folded += pow(at - 0.9, -a) - pow(at + 0.9, -a);
        }
    folded += 2 * 1.8 / 5.5 * pow(11 * (FOLDS - 0.5), -a); /* of what is beyond, the share of the box that it has */
    Asymptote("line, mirror", inside - unit * folded, a < 1 ? 2e-3 : 1e-5, line, a, "mirror");
    Asymptote("no box", unit * pow(0.3 + 0.5, -a), 1e-8,
              OU_1 "levy_alpha=%g exit_region=half_space exit_normal=-2 exit_offset=1 exit_start=1.5", a);
    Asymptote("plane, oblique half-space", unit * pow(0.99, -a), 1e-4,
              OU_2 "levy_alpha=%g exit_region=half_space exit_normal=0.6,0.8 exit_offset=1.03", a);
    Asymptote("plane, disc around the centre",
              pow(0.07, a) * pow(2, a) * tgamma(1 + a / 2) * tgamma(a / 2) * sin(PETSC_PI * a / 2) / PETSC_PI *
                  pow(0.8, -a),
              1e-6, OU_2 "levy_alpha=%g exit_region=ball exit_center=0.2,-0.1 exit_radius=0.8", a);
    Asymptote("plane, components", unit * (pow(0.99 / 0.6, -a) + pow(0.99 / 0.8, -a)), 1e-8,
              OU_2 "levy_alpha=%g levy_components=independent exit_region=half_space exit_normal=0.6,0.8 "
                   "exit_offset=1.03",
              a);
  }
#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.4 model_type=chain model_depth=2 "    \
  "levy_scale=0.1 mesh_cells=32 exit_region=half_space exit_offset=0 "
  Asymptote("saddle", 0, 0,
            CHAIN "model_coordinates=balanced mesh_lower=-2 mesh_upper=2 exit_normal=-1 exit_offset=0.1 "
                  "exit_start=origin");
  Asymptote("valley", 0, 0,
            CHAIN "model_coordinates=weights mesh_cells=16,16 mesh_lower=-2,-2 mesh_upper=2,2 exit_normal=-1,-1 "
                  "exit_start=1,0.7");
  Asymptote("alpha = 2", 0, 0,
            CHAIN "model_coordinates=balanced mesh_lower=-2 mesh_upper=2 exit_normal=-1 "
                  "exit_start=minimum levy_alpha=2");
}

/* Rate of leaving the right well of a balanced chain of two weights with decay over its asymptote. */
static double Ratio(double alpha, double sigma, int cells, double *bound)
{
  json_t *root  = Run("data_type=gaussian data_teacher=1.21 data_second_moment=1.3 data_label_noise=0.4 "
                       "model_type=chain model_depth=2 model_coordinates=balanced training_learning_rate=0.05 "
                       "training_weight_decay=0.08 processes=levy levy_alpha=%g levy_scale=%.17g levy_boundary=confined "
                       "mesh_lower=-0.1 mesh_upper=2.6 mesh_cells=%d engines=generator observables=exit "
                       "exit_region=half_space exit_normal=-1 exit_offset=0 exit_start=minimum",
                      alpha, sigma, cells);
  double  value = Value(root, "levy", "generator", "exit", "asymptotic_ratio", bound);

  json_decref(root);
  return value;
}

/* At six noise levels, with bounds that hold against a finer grid; cells end at the saddle on all of them. The ratio is
   1 + A sigma^alpha + B sigma: jumps that land about sigma from the saddle leave after all, and from halfway they leave
   more easily while they come home. The lesser power leads. */
static void test_ratio(void **state)
{
  (void)state;
  for (int a = 0; a < 2; a++) {
    const double alpha = a ? 1.4 : 0.8, u = pow(2, -alpha), v = 0.5;
    double       ratio[6], error[6], order[5], limit;

    for (int l = 0; l < 6; l++) {
      double coarse, bound;

      coarse   = Ratio(alpha, 0.4 * pow(0.5, l), 324, &bound);
      ratio[l] = Ratio(alpha, 0.4 * pow(0.5, l), 540, &error[l]);
      check(fabs(coarse - ratio[l]) <= bound + error[l] && error[l] < 5e-3,
            "alpha %g, level %d: %.6f +- %g, finer %.6f +- %g", alpha, l, coarse, bound, ratio[l], error[l]);
      check(l == 0 || (ratio[l] < ratio[l - 1] && ratio[l] > 1), "alpha %g: %g, then %g", alpha, ratio[l - 1],
            ratio[l]);
    }
    for (int l = 0; l < 5; l++) order[l] = log2((ratio[l] - 1) / (ratio[l + 1] - 1));
    limit = (ratio[4] - (u + v) * ratio[3] + u * v * ratio[2]) / ((1 - u) * (1 - v)); /* without both powers */
    print_message(
        "  alpha %g: ratio less 1: %.4f %.4f %.4f %.4f %.4f %.4f, orders %.3f %.3f %.3f %.3f %.3f; at 0: %.5f\n", alpha,
        ratio[0] - 1, ratio[1] - 1, ratio[2] - 1, ratio[3] - 1, ratio[4] - 1, ratio[5] - 1, order[0], order[1],
        order[2], order[3], order[4], limit);
    check(fabs(limit - 1) < 4e-3, "alpha %g: the ratio goes to %g", alpha, limit);
    for (int l = 2; l < 4; l++)
      check(order[l] > (a ? 0.95 : 0.6) && order[l] < (a ? 1.15 : 0.8), "alpha %g: order %g", alpha, order[l]);
  }
}

/* The same by particles, where noise is strong enough for them to leave. */
static void test_particles(void **state)
{
  json_t *root = Run("data_type=gaussian data_teacher=1.21 data_second_moment=1.3 data_label_noise=0.4 "
                     "model_type=chain model_depth=2 model_coordinates=balanced training_learning_rate=0.05 "
                     "training_weight_decay=0.08 processes=levy levy_alpha=1.4 levy_scale=0.37 levy_boundary=confined "
                     "mesh_lower=-0.3 mesh_upper=2.6 mesh_cells=200 engines=generator,particles particles_count=2048 "
                     "particles_steps=1200 particles_seed=5 observables=exit exit_region=half_space exit_normal=-1 "
                     "exit_offset=0 exit_start=minimum");
  double  exact, sampled, bound, error;

  (void)state;
  exact   = Value(root, "levy", "generator", "exit", "asymptotic_ratio", &bound);
  sampled = Value(root, "levy", "particles", "exit", "asymptotic_ratio", &error);
  json_decref(root);
  print_message("  ratio %.4f +- %.1e, by particles %.4f +- %.1e\n", exact, bound, sampled, error);
  check(fabs(exact - sampled) < bound + 5 * error && error < 0.1 * exact, "ratio %g +- %g, by particles %g +- %g",
        exact, bound, sampled, error);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ornstein_uhlenbeck), cmocka_unit_test(test_gibbs), cmocka_unit_test(test_temperature),
      cmocka_unit_test(test_asymptote),          cmocka_unit_test(test_ratio), cmocka_unit_test(test_particles)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

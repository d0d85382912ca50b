/* t-exit.c: exits against exact laws. One dimension: the OU process by hypergeometric series, any process by its scale
   function and speed measure; two: a rotating OU process, whose exit from a ball is that of its radius. Kramers' law
   with its next order and the multiplicative saddle are limits that the exact numbers must approach. */
#include "runs.h"
#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_hyperg.h>

#define SIGMAS 4.5

/* results.json of a run of this observable with these keys, "key=value" separated by blanks */
static json_t *Exits(const char *format, ...)
{
  char    keys[2048];
  va_list args;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  return Run("observables=exit particles_seed=3 %s", keys);
}

/* The generator's bound holds the exact value and is at most `tolerance` of it. */
static void Within(const json_t *root, const char *process, const char *quantity, double exact, double tolerance)
{
  double       error;
  const double value = Value(root, process, "generator", "exit", quantity, &error);

  print_message("  generator %-28s %.10g exact %.10g: off by %.2e, bound %.2e\n", quantity, value, exact,
                fabs(value - exact), error);
  check(fabs(value - exact) <= error, "%s: %.12g, exact %.12g, bound %.3g", quantity, value, exact, error);
  check(error <= tolerance * fabs(exact), "%s: the bound %.3g is more than %g of %g", quantity, error, tolerance,
        exact);
}

/* Particles of ald are within a few standard errors of a value, which are at most `tolerance` of it. */
static void Sampled(const json_t *root, const char *quantity, double exact, double tolerance)
{
  double       error;
  const double value = Value(root, "ald", "particles", "exit", quantity, &error);

  print_message("  particles %-28s %.6g exact %.6g: %.2f standard errors of %.2e\n", quantity, value, exact,
                (value - exact) / error, error);
  check(fabs(value - exact) <= SIGMAS * error, "%s: %.8g +- %.3g, exact %.8g", quantity, value, error, exact);
  check(error <= tolerance * fabs(exact), "%s: the error %.3g is more than %g of %g", quantity, error, tolerance,
        exact);
}

/* Particles of ald against the generator, both with their errors. */
static void Agree(const json_t *root, const char *quantity, double tolerance)
{
  double       bound, error;
  const double exact = Value(root, "ald", "generator", "exit", quantity, &bound),
               value = Value(root, "ald", "particles", "exit", quantity, &error);
  const double sum   = sqrt(bound * bound + error * error);

  print_message("  %-28s %.6g +- %.1e, %.6g +- %.1e: z = %.2f\n", quantity, exact, bound, value, error,
                (value - exact) / sum);
  check(fabs(value - exact) <= SIGMAS * sum, "%s: particles %.8g +- %.3g, generator %.8g +- %.3g", quantity, value,
        error, exact, bound);
  check(sum <= tolerance * fabs(exact), "%s: the errors %.3g are more than %g of %g", quantity, sum, tolerance, exact);
}

/* 2F2(1, 1; 3/2, 2; x) */
static double TwoFTwo(double x)
{
  double term = 1, sum = 1;

  for (int k = 0; k < 400; k++) {
    term *= (k + 1.0) * (k + 1.0) / ((k + 1.5) * (k + 2.0)) * x / (k + 1.0);
    sum += term;
  }
  return sum;
}

/* dx = -A x dt + sqrt(2 D) dB between -R and R: even eigenfunctions 1F1(-k/(2A); 1/2; A x^2/(2D)). */
typedef struct {
  double A, D, R, k;
} OU;

static double Even(const OU *ou, double x)
{
  return gsl_sf_hyperg_1F1(-ou->k / (2 * ou->A), 0.5, ou->A * x * x / (2 * ou->D));
}

static double WeighedSquare(double x, void *context)
{
  const OU *ou = (const OU *)context;

  return exp(-ou->A * x * x / (2 * ou->D)) * Even(ou, x) * Even(ou, x);
}

static double Weighed(double x, void *context)
{
  const OU *ou = (const OU *)context;

  return exp(-ou->A * x * x / (2 * ou->D)) * Even(ou, x);
}

static double Integral(double (*f)(double, void *), double from, double to, void *context)
{
  gsl_integration_workspace *work = gsl_integration_workspace_alloc(500);
  gsl_function               g    = {f, context};
  double                     value, error;

  assert_int_equal(gsl_integration_qag(&g, from, to, 0, 1e-9, 500, GSL_INTEG_GAUSS31, work, &value, &error), 0);
  gsl_integration_workspace_free(work);
  return value;
}

/* Rates of the even modes, and their weights in the survival from x: survival = sum weight exp(-rate t). */
static void EvenModes(OU ou, double x, int n, double rate[], double weight[])
{
  const double step   = 0.05 * ou.D * PETSC_PI * PETSC_PI / (4 * ou.R * ou.R);
  int          found  = 0;
  double       before = 1;

  for (ou.k = step; found < n; ou.k += step) {
    const double now = Even(&ou, ou.R);

    if (now * before < 0) {
      double low = ou.k - step, high = ou.k, kept = ou.k;

      for (int s = 0; s < 60; s++) {
        ou.k = (low + high) / 2;
        if (Even(&ou, ou.R) * before > 0)
          low = ou.k;
        else
          high = ou.k;
      }
      rate[found]   = ou.k;
      weight[found] = Even(&ou, x) * Integral(Weighed, 0, ou.R, &ou) / Integral(WeighedSquare, 0, ou.R, &ou);
      found++;
      ou.k = kept;
    }
    before = now;
  }
}

#define OU_KEYS                                                                                                        \
  "model_type=ou model_drift=%g model_diffusion=%g training_learning_rate=0.05 processes=ald mesh_lower=-1.3 "         \
  "mesh_upper=1.45 "

/* Stable and unstable, from a start off the centre: mean, variance, survival, median, rates by both engines. */
static void test_ou(void **state)
{
  const OU     cases[] = {{.A = 0.8, .D = 0.17, .R = 0.83}, {.A = -0.9, .D = 0.12, .R = 0.71}};
  const double x = 0.11, times[] = {0.4, 1.7};

  (void)state;
  for (int c = 0; c < 2; c++) {
    const OU ou = cases[c];
    json_t  *root =
        Exits(OU_KEYS "mesh_cells=150 particles_count=8192 particles_steps=20000 ald_dt=0.01 exit_region=ball "
                      "exit_center=0 exit_radius=%g exit_start=%g exit_times=0.4,1.7",
              ou.A, ou.D, ou.R, x);
    double rate[12], weight[12], survival[2] = {0, 0}, second = 0, low = 0, high = 20,
                                 mean = ou.R * ou.R / (2 * ou.D) * TwoFTwo(ou.A * ou.R * ou.R / (2 * ou.D)) -
                                        x * x / (2 * ou.D) * TwoFTwo(ou.A * x * x / (2 * ou.D));

    EvenModes(ou, x, 12, rate, weight);
    for (int k = 0; k < 12; k++) {
      for (int t = 0; t < 2; t++) survival[t] += weight[k] * exp(-rate[k] * times[t]);
      second += 2 * weight[k] / (rate[k] * rate[k]);
    }
    for (int s = 0; s < 60; s++) {
      double half = 0;

      for (int k = 0; k < 12; k++) half += weight[k] * exp(-rate[k] * (low + high) / 2);
      if (half > 0.5)
        low = (low + high) / 2;
      else
        high = (low + high) / 2;
    }
    Within(root, "ald", "mean_time", mean, 1e-3);
    Within(root, "ald", "variance_time", second - mean * mean, 1e-3);
    Within(root, "ald", "rate", rate[0], 1e-3);
    Within(root, "ald", "survival[t=0.4]", survival[0], 2e-3);
    Within(root, "ald", "survival[t=1.7]", survival[1], 1e-3);
    Within(root, "ald", "median_time", low, 1e-3);
    Sampled(root, "mean_time", mean, 0.03);
    Sampled(root, "variance_time", second - mean * mean, 0.1);
    Sampled(root, "rate", rate[0], 0.1);
    Sampled(root, "survival[t=0.4]", survival[0], 0.03);
    Sampled(root, "survival[t=1.7]", survival[1], 0.06);
    Sampled(root, "median_time", low, 0.05);
    json_decref(root);
  }
}

static double Scale(double x, void *context)
{
  const OU *ou = (const OU *)context;

  return exp(ou->A * x * x / (2 * ou->D));
}

/* From x, before leaving (-R, R): does it pass b? By the scale function. */
static void test_committor(void **state)
{
  OU           ou = {.A = 0.8, .D = 0.17, .R = 0.83};
  const double x = -0.21, b = 0.37;
  const double exact = Integral(Scale, -ou.R, x, &ou) / Integral(Scale, -ou.R, b, &ou);
  json_t      *root  = Exits(OU_KEYS "mesh_cells=150 particles_count=8192 ald_dt=0.01 exit_region=ball exit_center=0 "
                                           "exit_radius=%g exit_start=%g exit_region_b=half_space exit_normal_b=-1 "
                                           "exit_offset_b=%g",
                             ou.A, ou.D, ou.R, x, -b);

  (void)state;
  Within(root, "ald", "committor", exact, 1e-3);
  Sampled(root, "committor", exact, 0.05);
  json_decref(root);
}

/* Isotropic D and drift -k w plus a rotation: the radius knows only k; from the centre
   T = int_0^R (exp(k r^2/(2D)) - 1)/(k r) dr. */
static double Radial(double r, void *context)
{
  const OU *ou = (const OU *)context;

  return expm1(ou->A * r * r / (2 * ou->D)) / (ou->A * r);
}

#define ROTATING                                                                                                       \
  "model_type=ou model_drift=0.7,-0.9,0.9,0.7 model_diffusion=0.13,0,0,0.13 model_center=0.0713,-0.0331 "              \
  "training_learning_rate=0.05 processes=ald mesh_lower=-1.2,-1.1 mesh_upper=1.1,1.2 exit_region=ball "                \
  "exit_center=0.0713,-0.0331 exit_radius=0.8371 "

/* mean_time and rate of a process on one grid. */
static void OnGrid(const char process[], const char keys[], PetscReal value[2])
{
  Scene        s;
  FPObservable o;
  FPQuantities q = {0};
  FPScene      scene;

  SceneOpen(&s, process, "%s", keys);
  scene = (FPScene){.model = s.model, .mesh = s.mesh, .processes = 1, .process = &s.process};
  must(FPObservableCreate(s.config, "exit", &o));
  must(FPObservableRead(o, s.config, s.model, s.mesh, PETSC_TRUE));
  must(FPObservableSetScene(o, &scene));
  (void)SceneGrid(&s, 0);
  must(FPObservableGenerator(o, s.gen, PETSC_FALSE, &q));
  value[0] = SceneValue(&q, "mean_time", NULL);
  value[1] = SceneValue(&q, "rate", NULL);
  must(FPQuantitiesFree(&q));
  must(FPObservableDestroy(&o));
  SceneClose(&s);
}

/* A circle cuts cells at arbitrary fractions: order 2 nevertheless. */
static void test_order(void **state)
{
  OU             ou    = {.A = 0.7, .D = 0.13, .R = 0.8371};
  const PetscInt n[]   = {24, 33, 48, 67, 96, 132};
  const double   exact = Integral(Radial, 0, ou.R, &ou);
  PetscReal      v[6][2], slope[2];
  double         sx = 0, sxx = 0, sy[2] = {0, 0}, sxy[2] = {0, 0}, rate;

  (void)state;
  for (int k = 0; k < 6; k++) {
    char keys[512];

    (void)snprintf(keys, sizeof(keys), ROTATING "mesh_cells=%d,%d", (int)n[k], (int)n[k]);
    OnGrid("ald", keys, v[k]);
  }
  rate = (v[5][1] * n[5] * n[5] - v[2][1] * n[2] * n[2]) / (n[5] * n[5] - n[2] * n[2]);
  for (int k = 0; k < 5; k++) {
    const double x = -log((double)n[k]), y[2] = {log(fabs(v[k][0] - exact)), log(fabs(v[k][1] - rate))};

    print_message("  %3d cells: mean %.8f, off by %.2e; rate %.8f, off by %.2e\n", (int)n[k], v[k][0], v[k][0] - exact,
                  v[k][1], v[k][1] - rate);
    sx += x;
    sxx += x * x;
    for (int i = 0; i < 2; i++) {
      sy[i] += y[i];
      sxy[i] += x * y[i];
    }
  }
  for (int i = 0; i < 2; i++) slope[i] = (5 * sxy[i] - sx * sy[i]) / (5 * sxx - sx * sx);
  print_message("  fitted orders %.2f, %.2f\n", slope[0], slope[1]);
  check(slope[0] > 1.7 && slope[0] < 2.6, "order %g of the mean time", slope[0]);
  check(slope[1] > 1.7 && slope[1] < 2.6, "order %g of the rate", slope[1]);
  check(fabs(v[5][0] - exact) < 1e-3 * exact, "132 cells: off by %g of %g", v[5][0] - exact, exact);
}

static void test_ball(void **state)
{
  OU           ou    = {.A = 0.7, .D = 0.13, .R = 0.8371};
  const double exact = Integral(Radial, 0, ou.R, &ou);
  json_t      *root =
      Exits(ROTATING "mesh_cells=64,64 particles_count=8192 particles_steps=2000 ald_dt=0.02 exit_times=1.9");

  (void)state;
  Within(root, "ald", "mean_time", exact, 5e-3);
  Sampled(root, "mean_time", exact, 0.03);
  Agree(root, "variance_time", 0.1);
  Agree(root, "rate", 0.1);
  Agree(root, "survival[t=1.9]", 0.05);
  json_decref(root);
}

/* One coordinate: b(x) = -D Phi'(x) and constant D; from x to b, reflected at a:
   T = int_x^b exp(Phi(y))/D int_a^y exp(-Phi(z)) dz dy. */
typedef struct {
  double s, p, T, D, a, y;
} Well;

static double Potential(const Well *w, double x)
{
  return w->s * PetscSqr(x * x - w->p) / 2;
}

static double Inner(double z, void *context)
{
  const Well *w = (const Well *)context;

  return exp((Potential(w, w->y) - Potential(w, z)) / w->T);
}

static double Outer(double y, void *context)
{
  Well *w = (Well *)context;

  w->y = y;
  return Integral(Inner, w->a, y, w) / w->D;
}

/* Out of the well at -sqrt(p) of the balanced 2-chain under Langevin noise, over the barrier at 0. Kramers with the
   next order of both saddle points: T = 2 pi/(m sqrt(V''_a |V''_s|)) exp(dV/T) (1 + T sum (5 V'''^2/(24 V''^3) -+
   V''''/(8 V''^2))) with V'' = 4 s p at the minimum, -2 s p at the saddle, V''' = 12 s w, V'''' = 12 s: 1 + 3 T/(4 s
   p^2); m = 1/2: the metric of two equal weights. */
static void test_kramers(void **state)
{
  const double s = 0.9, p = 1.1, temperature[] = {0.11, 0.055};
  double       ratio[2];

  (void)state;
  for (int k = 0; k < 2; k++) {
    Well         well  = {.s = s, .p = p, .T = temperature[k], .D = temperature[k] / 2, .a = -2.1};
    const double exact = Integral(Outer, -sqrt(p), 0.6, &well);
    const double law   = 2 * PETSC_PI / (0.5 * sqrt(4 * s * p * 2 * s * p)) * exp(s * p * p / 2 / temperature[k]);
    json_t      *root =
        Exits("data_type=rademacher data_teacher=%g data_second_moment=%g model_type=chain model_depth=2 "
              "model_coordinates=balanced training_learning_rate=0.05 processes=langevin langevin_temperature=%g "
              "engines=generator mesh_lower=-2.1 mesh_upper=2.0 mesh_cells=240 exit_region=half_space exit_normal=1 "
              "exit_offset=0.6 exit_start=minimum_2",
              p, s, temperature[k]);
    double error, value;

    Within(root, "langevin", "mean_time", exact, 2e-3);
    value    = Value(root, "langevin", "generator", "exit", "mean_time", &error);
    ratio[k] = value / law;
    value *= Value(root, "langevin", "generator", "exit", "rate", &error);
    print_message("  T = %g: %.5f of Kramers' law, next order %.5f; mean time x rate %.5f\n", temperature[k], ratio[k],
                  1 + 0.75 * temperature[k] / (s * p * p), value);
    check(fabs(value - 1) < 0.02, "mean time x rate = %g: exits from a well are exponential", value);
    json_decref(root);
  }
  for (int k = 0; k < 2; k++) {
    const double T = temperature[k] / (s * p * p);

    check(fabs(ratio[k] - 1 - 0.75 * T) < 4 * T * T, "T = %g: %g of Kramers' law", temperature[k], ratio[k]);
  }
}

#define SLOPE                                                                                                          \
  "data_type=rademacher data_teacher=%g data_second_moment=%g model_type=chain model_depth=2 "                         \
  "model_coordinates=balanced training_learning_rate=0.05 processes=langevin langevin_temperature=%g "                 \
  "engines=generator "                                                                                                 \
  "mesh_lower=-2.1 mesh_upper=-0.7 mesh_cells=%d exit_region=half_space exit_normal=1 exit_offset=%g exit_start=%g"

/* Down the steep outer slope of a well of the same chain, out of the region before its minimum: on grids where one cell
   holds several units of V/T, factors that suit slow modes would be a quarter too fast. */
static void test_slope(void **state)
{
  const double   s = 0.9, p = 1.1, T = 0.023, start = -1.77, end = -1.23;
  const PetscInt n[]   = {56, 79, 112, 158, 224, 316};
  Well           well  = {.s = s, .p = p, .T = T, .D = T / 2, .a = -2.1};
  const double   exact = Integral(Outer, start, end, &well);
  double         sx = 0, sy = 0, sxx = 0, sxy = 0, slope;
  char           keys[1024];

  (void)state;
  for (int k = 0; k < 6; k++) {
    PetscReal v[2];
    json_t   *root;

    (void)snprintf(keys, sizeof(keys), SLOPE, p, s, T, (int)n[k], end, start);
    OnGrid("langevin", keys, v);
    print_message("  %3d cells: mean %.8f, exact %.8f, off by %.2e\n", (int)n[k], v[0], exact, v[0] - exact);
    if (k >= 2) {
      const double x = -log((double)n[k]), y = log(fabs(v[0] - exact));

      sx += x / 4;
      sy += y / 4;
      sxx += x * x / 4;
      sxy += x * y / 4;
    }
    root = Exits(SLOPE, p, s, T, (int)n[k], end, start);
    Within(root, "langevin", "mean_time", exact, 0.07);
    json_decref(root);
  }
  slope = (sxy - sx * sy) / (sxx - sx * sx);
  print_message("  fitted order %.2f\n", slope);
  check(slope > 1.8 && slope < 2.2, "order %g of the mean time down a slope", slope);
}

/* From a0 to R << sqrt(p) along the balanced line under ALD at T = 0, whose noise is proportional to w there: mean
   ln(R/a0)/mu, variance eta v/(B mu^3) ln(R/a0), mu = s p - eta v/(2B), v = 2 s^2 p^2 + sigma^2 s, up to R^2/p. */
static void test_multiplicative(void **state)
{
  const double s = 0.9, p = 1.2, sigma = 0.4, eta = 0.05, B = 2, a0 = 0.01, R = 0.05;
  const double v = 2 * s * s * p * p + sigma * sigma * s, mu = s * p - eta * v / (2 * B), length = log(R / a0);
  double       mean, variance, error;
  json_t      *root = Exits("data_type=gaussian data_teacher=%g data_second_moment=%g data_label_noise=%g "
                                 "training_learning_rate=%g training_batch_size=%g model_type=chain model_depth=2 "
                                 "model_coordinates=balanced processes=ald mesh_lower=0.001 mesh_upper=0.2 mesh_map=log "
                                 "mesh_cells=512 particles_count=4096 ald_dt=0.0125 exit_region=half_space exit_normal=1 "
                                 "exit_offset=%g exit_start=%g",
                            p, s, sigma, eta, B, R, a0);

  (void)state;
  mean = Value(root, "ald", "generator", "exit", "mean_time", &error);
  check(error < 5e-3 * mean, "bound %g of the mean time %g", error, mean);
  variance = Value(root, "ald", "generator", "exit", "variance_time", &error);
  print_message("  mean %.6f, ln(R/a0)/mu %.6f; variance %.6f, linear %.6f\n", mean, length / mu, variance,
                eta * v * length / (B * mu * mu * mu));
  check(fabs(mean * mu / length - 1) < R * R / p, "mean time %g, linear theory %g", mean, length / mu);
  check(fabs(variance * B * mu * mu * mu / (eta * v * length) - 1) < 5 * R * R / p, "variance %g, linear theory %g",
        variance, eta * v * length / (B * mu * mu * mu));
  Agree(root, "mean_time", 0.02);
  Agree(root, "variance_time", 0.1);
  json_decref(root);
}

/* The saddle of the 2-chain under injected and gradient noise: both engines, and SGD beside them. Negative curvature is
   w1 = w2 for p > 0; without noise it would leave there alone. */
static void test_saddle(void **state)
{
  json_t *root =
      Exits("data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.4 model_type=chain "
            "model_depth=2 training_learning_rate=0.05 training_batch_size=3 training_temperature=0.06 "
            "processes=ald,sgd mesh_lower=-1.5,-1.5 mesh_upper=1.5,1.5 mesh_cells=64,64 particles_count=8192 "
            "particles_steps=4000 ald_dt=0.0125 exit_region=ball exit_center=origin exit_radius=0.81 "
            "exit_times=1,3 exit_region_b=half_space exit_normal_b=-1,0 exit_offset_b=-0.35");
  double error, ald, sgd;

  (void)state;
  Agree(root, "mean_time", 0.03);
  Agree(root, "variance_time", 0.1);
  Agree(root, "rate", 0.1);
  Agree(root, "survival[t=1]", 0.03);
  Agree(root, "survival[t=3]", 0.1);
  Agree(root, "median_time", 0.04);
  Agree(root, "fraction_negative_curvature", 0.03);
  Agree(root, "committor", 0.04);
  ald = Value(root, "ald", "particles", "exit", "fraction_negative_curvature", &error);
  check(ald > 0.7 && ald < 1, "the share along negative curvature is %g", ald);
  ald = Value(root, "ald", "generator", "exit", "mean_time", &error);
  sgd = Value(root, "sgd", "particles", "exit", "mean_time", &error);
  check(fabs(sgd / ald - 1) < 0.15, "mean exit time of SGD %g, of its diffusion %g", sgd, ald);
  json_decref(root);
}

/* Without noise: the number of steps of the map w' = w + eta s w (p - w^2) until w >= R, exactly. */
static void test_steps(void **state)
{
  const double s = 0.9, p = 1.2, eta = 0.05, R = 0.3;
  double       w     = 0.01, error;
  int          steps = 0;
  json_t      *root  = Exits("data_type=gaussian data_teacher=%g data_second_moment=%g model_type=chain model_depth=2 "
                                   "model_coordinates=balanced training_learning_rate=%g processes=gd engines=particles "
                                   "mesh_lower=-2 mesh_upper=2 mesh_cells=32 particles_count=4096 exit_region=half_space "
                                   "exit_normal=1 exit_offset=%g exit_start=%g",
                             p, s, eta, R, w);

  (void)state;
  for (; w < R; steps++) w += eta * s * w * (p - w * w);
  check(fabs(Value(root, "gd", "particles", "exit", "mean_time", &error) - steps * eta) < 1e-9,
        "mean time %g, exactly %g", Value(root, "gd", "particles", "exit", "mean_time", &error), steps * eta);
  check(fabs(Value(root, "gd", "particles", "exit", "variance_time", &error)) < 1e-9, "a variance without noise");
  check(fabs(Value(root, "gd", "particles", "exit", "median_time", &error) - steps * eta) <= eta, "median");
  json_decref(root);
}

/* Particles that are still inside: the mean says so, or has an error that covers them. */
static void test_survivors(void **state)
{
  const OU     ou   = {.A = 0.8, .D = 0.17, .R = 0.83};
  const double mean = ou.R * ou.R / (2 * ou.D) * TwoFTwo(ou.A * ou.R * ou.R / (2 * ou.D));

  (void)state;
  for (int k = 0; k < 2; k++) {
    json_t *root = Exits(OU_KEYS "mesh_cells=64 particles_count=4096 ald_dt=0.0125 exit_region=ball exit_center=0 "
                                 "exit_radius=%g exit_times=1,60 exit_duration=%g",
                         ou.A, ou.D, ou.R, k ? 3.2 * mean : 1.1 * mean);

    check(!json_object_get(Row(root, "ald", "particles", "exit", "survival[t=60]"), "value"),
          "survival beyond the simulation");
    if (k)
      Sampled(root, "mean_time", mean, 0.1);
    else
      check(!json_object_get(Row(root, "ald", "particles", "exit", "mean_time"), "value"),
            "a mean although a third is still inside");
    Agree(root, "survival[t=1]", 0.05);
    json_decref(root);
  }
}

/* Noise along one direction only: w1^2 - w2^2 hardly moves, every value of it has its own rate, and the particles that
   start at one of them cannot know the slowest. */
static void test_dense(void **state)
{
  json_t *root =
      Exits("data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.4 model_type=chain "
            "model_depth=2 training_learning_rate=0.1 training_batch_size=1 processes=ald mesh_lower=-1.5,-1.5 "
            "mesh_upper=1.5,1.5 mesh_cells=64,64 particles_count=4096 exit_region=ball exit_center=0.4,0.3 "
            "exit_radius=0.3");

  (void)state;
  check(!json_object_get(Row(root, "ald", "particles", "exit", "rate"), "value"), "a rate from a tail that is none");
  Agree(root, "mean_time", 0.05);
  json_decref(root);
}

/* Large steps throw weights of SGD to infinity once they are far out; those that have left do not count any more. */
static void test_divergence(void **state)
{
  json_t *root =
      Exits("data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.4 model_type=chain "
            "model_depth=2 training_learning_rate=0.3 training_temperature=0.06 training_weight_decay=0.1 "
            "processes=sgd engines=particles particles_count=4096 exit_region=sublevel exit_level=0.25");
  double error, value;

  (void)state;
  value = Value(root, "sgd", "particles", "exit", "mean_time", &error);
  check(value > 3 && value < 8 && error < 0.1 * value, "mean time %g +- %g", value, error);
  json_decref(root);
}

/* Coarse meshes for a cold process: what they answer lies within its bound of a fine one. Without those bounds up to
   seven times outside. */
static void test_coarse(void **state)
{
  static const char *const what[] = {"mean_time", "variance_time", "rate", "rate[1]", "median_time", "survival[t=1.9]"};
  const int                cells[] = {37, 58, 90};

  (void)state;
  for (int cold = 0; cold < 2; cold++)
    for (int c = 0; c < 3; c++) {
      json_t *root[2];

      for (int fine = 0; fine < 2; fine++)
        root[fine] = Exits("data_type=gaussian data_teacher=0.83 data_second_moment=1.2 data_label_noise=0.4 "
                           "model_type=chain model_depth=2 model_coordinates=balanced training_temperature=%g "
                           "processes=langevin engines=generator mesh_lower=-1.65 mesh_upper=1.8 mesh_cells=%d "
                           "exit_region=ball exit_center=0.07 exit_radius=0.49 exit_times=1.9",
                           cold ? 0.006 : 0.025, fine ? 960 : cells[c]);
      for (size_t k = 0; k < sizeof(what) / sizeof(what[0]); k++) {
        double       bound[2];
        const double coarse = Value(root[0], "langevin", "generator", "exit", what[k], &bound[0]);
        const double exact  = Value(root[1], "langevin", "generator", "exit", what[k], &bound[1]);

        check(fabs(coarse - exact) <= bound[0] + bound[1], "%d cells: %s %g +- %g, on a fine mesh %g +- %g", cells[c],
              what[k], coarse, bound[0], exact, bound[1]);
      }
      json_decref(root[0]);
      json_decref(root[1]);
    }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ou),
                                     cmocka_unit_test(test_committor),
                                     cmocka_unit_test(test_order),
                                     cmocka_unit_test(test_ball),
                                     cmocka_unit_test(test_kramers),
                                     cmocka_unit_test(test_slope),
                                     cmocka_unit_test(test_multiplicative),
                                     cmocka_unit_test(test_saddle),
                                     cmocka_unit_test(test_steps),
                                     cmocka_unit_test(test_survivors),
                                     cmocka_unit_test(test_divergence),
                                     cmocka_unit_test(test_dense),
                                     cmocka_unit_test(test_coarse)};
  int                     failed;

  (void)gsl_set_error_handler_off();
  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  return SlepcFinalize() ? 1 : failed;
}

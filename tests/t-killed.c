/* t-killed.c: processes killed when they leave a region, at boundaries that cut cells anywhere: mean exit times and
   rates against closed forms, their order in h, rates and laws, bad input. */
#include "message.h"
#include "scene.h"
#include <gsl/gsl_sf_expint.h>
#include <gsl/gsl_sf_hyperg.h>
#include <math.h>

#define PLANE "mesh_lower=-1.31,-1.37 mesh_upper=1.33,1.29 "
#define GRIDS 7
static const int Cells[GRIDS] = {24, 29, 37, 45, 56, 71, 88};

typedef double (*Exact)(const double z[], const double parameter[]);

typedef struct {
  const char *name, *process, *keys;
  Exact       mean; /* exit time from z */
  double      rate; /* slowest decay rate; 0: not known, -1: of a hill in one dimension, drift -parameter[0] */
  double      parameter[4];
} Case;

/* D : grad grad u = -1, u = 0 on the sphere, for every constant D: (R^2 - r^2)/(2 tr D). parameter: R, tr D, center */
static double Brown(const double z[], const double p[])
{
  return (p[0] * p[0] - (z[0] - p[2]) * (z[0] - p[2]) - (z[1] - p[3]) * (z[1] - p[3])) / (2 * p[1]);
}

/* dz = -a z dt + sqrt(2D) dB in the plane, |z| < R: (F(a R^2/2D) - F(a r^2/2D))/2a, F(x) = Ei(x) - ln x. */
static double Radial(const double z[], const double p[])
{
  const double a = p[0], D = p[1], R = p[2], x = a * R * R / (2 * D), y = a * (z[0] * z[0] + z[1] * z[1]) / (2 * D);

  return (gsl_sf_expint_Ei(x) - log(x) - (gsl_sf_expint_Ei(y) - log(y))) / (2 * a);
}

/* dx = -a x dt + sqrt(2D) dB, |x| < R: with T(y) = (y^2/2D) 2F2(1,1; 3/2,2; a y^2/2D) the time is T(R) - T(x). */
static double LineTime(double y, double a, double D)
{
  const double x    = a * y * y / (2 * D);
  double       term = 1, sum = 1;

  for (int k = 0; k < 200; k++) {
    term *= (k + 1.0) * (k + 1.0) / ((k + 1.5) * (k + 2.0)) * x / (k + 1.0);
    sum += term;
  }
  return y * y / (2 * D) * sum;
}

static double Line(const double z[], const double p[])
{
  return LineTime(p[2], p[0], p[1]) - LineTime(z[0], p[0], p[1]);
}

/* First zero of the Bessel function J0. */
#define J0 2.404825557695773

/* D grad grad u = -1 on |x - p[3]| < p[1], |y| < p[2]: series in x. */
static double Rectangle(const double z[], const double p[])
{
  const double D = p[0], a = p[1], b = p[2], x = z[0] - p[3], y = z[1];
  double       sum = (a * a - x * x) / 2;

  for (int m = 0; m < 60; m++) {
    const double k = (m + 0.5) * PETSC_PI / a;

    sum -= 2 / (a * k * k * k) * (m % 2 ? -1 : 1) * cos(k * x) * (exp(k * (fabs(y) - b)) + exp(-k * (fabs(y) + b))) /
           (1 + exp(-2 * k * b));
  }
  return sum / D;
}

/* Smallest rate r of dx = lam x dt + sqrt(2D) dB on |x| < R: M(r/2 lam; 1/2; -lam R^2/2D) = 0. */
static double HillRate(double lam, double D, double R)
{
  double low = 1e-3, high = 1e-3;

  while (gsl_sf_hyperg_1F1(high / (2 * lam), 0.5, -lam * R * R / (2 * D)) > 0) high += 0.01;
  for (int k = 0; k < 60; k++) {
    const double middle = (low + high) / 2;

    if (gsl_sf_hyperg_1F1(middle / (2 * lam), 0.5, -lam * R * R / (2 * D)) > 0)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static const Case Cases[] = {
    {"disc",
     "ald",
     "model_type=ou model_drift=1e-9,0,0,1e-9 model_diffusion=0.35,0,0,0.35 exit_region=ball exit_center=0.11,-0.07 "
     "exit_radius=0.97 " PLANE,
     Brown,
     0.35 * J0 *J0 / (0.97 * 0.97),
     {0.97, 0.7, 0.11, -0.07}},
    {"disc, full D",
     "ald",
     "model_type=ou model_drift=1e-9,0,0,1e-9 model_diffusion=0.5,0.2,0.2,0.3 exit_region=ball exit_center=0.11,-0.07 "
     "exit_radius=0.97 " PLANE,
     Brown,
     0,
     {0.97, 0.8, 0.11, -0.07}},
    {"disc, full D, map",
     "ald",
     "model_type=ou model_drift=1e-9,0,0,1e-9 model_diffusion=0.5,-0.15,-0.15,0.3 exit_region=ball "
     "exit_center=0.11,-0.07 exit_radius=0.97 mesh_map=sinh:0.1:1.2,sinh:-0.2:1.5 " PLANE,
     Brown,
     0,
     {0.97, 0.8, 0.11, -0.07}},
    {"well, potential",
     "langevin",
     "model_type=ou model_drift=1.3,0,0,1.3 model_diffusion=1,0,0,1 langevin_temperature=0.3 exit_region=ball "
     "exit_center=0,0 exit_radius=1.03 " PLANE,
     Radial,
     0,
     {1.3, 0.3, 1.03}},
    {"well, transient",
     "langevin",
     "model_type=ou model_drift=1.3,0,0,1.3 model_diffusion=1,0,0,1 langevin_temperature=0.3 exit_region=ball "
     "exit_center=0,0 exit_radius=1.03 " PLANE,
     Radial,
     0,
     {1.3, 0.3, 1.03}},
    {"turning",
     "ald", /* the drift along circles changes nothing on a disc */
     "model_type=ou model_drift=1.3,-1.7,1.7,1.3 model_diffusion=0.3,0,0,0.3 exit_region=ball exit_center=0,0 "
     "exit_radius=1.03 " PLANE,
     Radial,
     0,
     {1.3, 0.3, 1.03}},
    {"line",
     "langevin",
     "model_type=ou model_drift=1.3 model_diffusion=1 langevin_temperature=0.3 exit_region=ball exit_center=0 "
     "exit_radius=1.03 mesh_lower=-1.31 mesh_upper=1.37 ",
     Line,
     0,
     {1.3, 0.3, 1.03}},
    {"line, hill",
     "langevin",
     "model_type=ou model_drift=-1.3 model_diffusion=1 langevin_temperature=0.3 exit_region=ball exit_center=0 "
     "exit_radius=1.03 mesh_lower=-1.31 mesh_upper=1.37 ",
     Line,
     -1,
     {-1.3, 0.3, 1.03}},
    {"rectangle",
     "ald",
     "model_type=ou model_drift=1e-9,0,0,1e-9 model_diffusion=0.35,0,0,0.35 exit_region=box exit_center=0.11,0 "
     "exit_radius=0.83,1.06 " PLANE,
     Rectangle,
     0.35 * PETSC_PI *PETSC_PI / 4 * (1 / (0.83 * 0.83) + 1 / (1.06 * 1.06)),
     {0.35, 0.83, 1.06, 0.11}},
};
#define CASES ((int)(sizeof(Cases) / sizeof(Cases[0])))

static const PetscReal Start[2] = {0.17, 0.21};

static void Killed(Scene *s, const PetscReal start[])
{
  FPRegion region;

  must(FPGeneratorDestroy(&s->gen));
  must(FPRegionCreate(s->config, "exit", PETSC_FALSE, s->model, &region));
  must(FPGeneratorCreateKilled(s->process, s->mesh, 0, &s->options, start, region, &s->gen));
  must(FPRegionDestroy(&region));
}

/* Order from a least squares fit of ln error in ln h. */
static double Order(const double error[])
{
  double sx = 0, sy = 0, sxx = 0, sxy = 0;

  for (int g = 0; g < GRIDS; g++) {
    const double x = -log(Cells[g]), y = log(error[g]);

    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  return (GRIDS * sxy - sx * sy) / (GRIDS * sxx - sx * sx);
}

/* Mean exit times from all cells: x[n]. */
static void MeanTimes(Scene *s, PetscInt *n, const PetscReal **z, PetscReal **x)
{
  PetscReal *one;

  must(FPGeneratorGetNodes(s->gen, n, NULL, z, NULL, NULL));
  must(PetscMalloc1(*n, &one));
  must(PetscMalloc1(*n, x));
  for (PetscInt i = 0; i < *n; i++) one[i] = 1;
  must(FPGeneratorInvert(s->gen, PETSC_TRUE, 0, one, *x));
  must(PetscFree(one));
}

/* Largest error over all cells, relative to the largest time. */
static double TimeError(Scene *s, const Case *k)
{
  const PetscReal *z;
  PetscReal       *x, off = 0, most = 0;
  PetscInt         n;

  MeanTimes(s, &n, &z, &x);
  for (PetscInt i = 0; i < n; i++) {
    const double point[2] = {z[i], s->dim > 1 ? z[n + i] : 0}, exact = k->mean(point, k->parameter);

    off  = fmax(off, fabs(x[i] - exact));
    most = fmax(most, exact);
  }
  must(PetscFree(x));
  return off / most;
}

static double RateError(Scene *s, double exact)
{
  const PetscReal *rate;

  must(FPGeneratorSolve(s->gen, 1));
  must(FPGeneratorGetModes(s->gen, NULL, &rate, NULL, NULL));
  return fabs(rate[0] / exact - 1);
}

static void test_order(PETSC_UNUSED void **none)
{
  for (int c = 0; c < CASES; c++) {
    const Case  *k     = &Cases[c];
    const double exact = k->rate < 0 ? HillRate(-k->parameter[0], k->parameter[1], k->parameter[2]) : k->rate;
    double       time[GRIDS], rate[GRIDS] = {0};

    for (int g = 0; g < GRIDS; g++) {
      Scene s;

      if (strstr(k->name, "line"))
        SceneOpen(&s, k->process, "%s mesh_cells=%d", k->keys, Cells[g]);
      else
        SceneOpen(&s, k->process, "%s mesh_cells=%d,%d", k->keys, Cells[g], Cells[g] + 3);
      s.options.transient = (PetscBool)(strstr(k->name, "transient") != NULL);
      Killed(&s, Start);
      time[g] = TimeError(&s, k);
      if (exact > 0) rate[g] = RateError(&s, exact);
      SceneClose(&s);
    }
    print_message("  %-18s time: %.1e %.1e %.1e, order %.2f\n", k->name, time[0], time[3], time[6], Order(time));
    check(Order(time) > 1.75 && Order(time) < 2.25, "%s: time of order %.2f", k->name, Order(time));
    check(time[6] < 1e-3, "%s: time off by %.1e", k->name, time[6]);
    if (exact == 0) continue;
    print_message("  %-18s rate: %.1e %.1e %.1e, order %.2f\n", k->name, rate[0], rate[3], rate[6], Order(rate));
    check(Order(rate) > 1.8 && Order(rate) < 2.3, "%s: rate of order %.2f", k->name, Order(rate));
  }
}

#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=1.1 data_label_noise=0.7 data_second_moment=0.9 training_learning_rate=0.15 "       \
  "training_batch_size=2 model_type=chain model_depth=2 "

/* Mean exit time of ald from the node next to the start */
static double TimeAt(const PetscReal start[], const char format[], ...)
{
  char             keys[4096];
  const PetscReal *z;
  PetscReal       *x, best = PETSC_MAX_REAL, time = 0;
  PetscInt         n;
  va_list          args;
  Scene            s;

  va_start(args, format);
  (void)vsnprintf(keys, sizeof(keys), format, args);
  va_end(args);
  SceneOpen(&s, "ald", "%s", keys);
  Killed(&s, start);
  MeanTimes(&s, &n, &z, &x);
  for (PetscInt i = 0; i < n; i++) {
    PetscReal d = 0;

    for (PetscInt a = 0; a < s.dim; a++) d += PetscSqr(z[a * n + i] - start[a]);
    if (d < best) {
      best = d;
      time = x[i];
    }
  }
  must(PetscFree(x));
  SceneClose(&s);
  return time;
}

/* A ball in three dimensions with a full D: the exit time is (R^2 - r^2)/(2 tr D). */
static void test_ball(PETSC_UNUSED void **none)
{
  const PetscReal start[3] = {0.1, -0.1, 0.05};
  double          off[2];

  for (int g = 0; g < 2; g++) {
    const PetscReal *z;
    PetscReal       *x;
    PetscInt         n;
    Scene            s;

    SceneOpen(&s, "ald",
              "model_type=ou model_drift=1e-9,0,0,0,1e-9,0,0,0,1e-9 "
              "model_diffusion=0.5,0.2,-0.1,0.2,0.4,0.15,-0.1,0.15,0.3 mesh_lower=-1.2,-1.21,-1.15 "
              "mesh_upper=1.2,1.17,1.23 mesh_cells=%d,%d,%d exit_region=ball exit_center=0,0,0 exit_radius=0.97",
              g ? 22 : 11, g ? 23 : 12, g ? 21 : 10);
    Killed(&s, start);
    MeanTimes(&s, &n, &z, &x);
    off[g] = 0;
    for (PetscInt i = 0; i < n; i++) {
      const double r = z[i] * z[i] + z[n + i] * z[n + i] + z[2 * n + i] * z[2 * n + i];

      off[g] = fmax(off[g], fabs(x[i] / (0.97 * 0.97) - (1 - r / (0.97 * 0.97)) / 2.4));
    }
    must(PetscFree(x));
    SceneClose(&s);
  }
  print_message("  ball: %.1e %.1e, order %.2f\n", off[0], off[1], log2(off[0] / off[1]));
  check(off[1] < 5e-3 && off[0] > 2.8 * off[1], "off by %.2e and %.2e", off[0], off[1]);
}

/* A boundary that moves over the centres of cells: no jumps in the answer, whatever the fraction. */
static void test_fractions(PETSC_UNUSED void **none)
{
  const PetscReal start[2] = {0.025, 0.025}; /* a centre; those along the axes are 0.05 apart */
  double          last     = 0;

  for (int k = -3; k <= 3; k++) {
    const double shift = k == 0 ? 0 : (k < 0 ? -1 : 1) * (abs(k) == 3 ? 1e-3 : abs(k) == 2 ? 1e-8 : 1e-14);
    const double time  = TimeAt(start,
                                "model_type=ou model_drift=0.3,0,0,0.2 model_diffusion=0.3,0.1,0.1,0.2 mesh_lower=-1,-1 "
                                 "mesh_upper=1,1 mesh_cells=40,40 exit_region=box exit_center=0.025,0.025 "
                                 "exit_radius=%.17g,%.17g",
                                0.75 + shift, 0.65 + shift);

    check(k == -3 || fabs(time - last) < (abs(k) == 3 || k == -2 ? 5e-3 : 1e-4) * time,
          "radius 0.75%+g: %.9g after %.9g", shift, time, last);
    last = time;
  }
}

/* Without injected noise a chain on the balanced line stays there: the exit time is that of the balanced chain, whose
   coordinate is shorter by the root of 2. */
static void test_rank_deficient(PETSC_UNUSED void **none)
{
  const PetscReal start[2] = {1.05, 1.05};
  const double    exact    = TimeAt(start,
                                    CHAIN "model_coordinates=balanced mesh_lower=0.2 mesh_upper=2.2 mesh_cells=800 "
                                                "exit_region=ball exit_center=minimum exit_radius=%.17g",
                                    0.37 / sqrt(2.0));
  double          off[2];

  for (int g = 0; g < 2; g++) {
    const double time = TimeAt(start,
                               CHAIN "mesh_lower=0.2,0.2 mesh_upper=2.2,2.2 mesh_cells=%d,%d exit_region=ball "
                                     "exit_center=minimum exit_radius=0.37",
                               g ? 120 : 40, g ? 120 : 40);

    off[g] = fabs(time / exact - 1);
    print_message("  %d cells: %.6g, balanced %.6g\n", g ? 120 : 40, time, exact);
  }
  check(off[0] < 0.1 && off[1] < 0.02, "off by %.3g and %.3g", off[0], off[1]);
}

/* Cold, and far above the well, which lies outside the region: only cells that are never reached are left out. */
static void test_cold(PETSC_UNUSED void **none)
{
  const PetscReal start[2] = {0.02, 0.01}, *z;
  PetscInt        n;
  Scene           s;

  SceneOpen(&s, "langevin", "%s",
            CHAIN "training_temperature=0.002 training_weight_decay=0.05 mesh_lower=-1.7,-1.7 mesh_upper=1.7,1.7 "
                  "mesh_cells=60,60 exit_region=ball exit_center=origin exit_radius=0.41");
  Killed(&s, start);
  must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, NULL, NULL));
  check(n * (3.4 / 60) * (3.4 / 60) > 0.85 * PETSC_PI * 0.41 * 0.41, "%d cells", (int)n);
  SceneClose(&s);
}

/* A larger region is left later; a union of two that do not touch is that of the start. */
static void test_unions(PETSC_UNUSED void **none)
{
  const PetscReal start[2] = {0.17, 0.21};
  const char     *keys     = "model_type=ou model_drift=1.3,-0.4,0.2,0.9 model_diffusion=0.3,0.1,0.1,0.2 "
                             "mesh_lower=-1.31,-1.37 mesh_upper=1.33,1.29 mesh_cells=40,44";
  const double    one      = TimeAt(start, "%s exit_region=ball exit_center=0.1,0.1 exit_radius=0.5", keys);
  const double    apart =
      TimeAt(start, "%s exit_region=ball,ball exit_center=0.1,0.1,-0.9,-0.9 exit_radius=0.5,0.3", keys);
  const double wide = TimeAt(start, "%s exit_region=ball,ball exit_center=0.1,0.1,-0.3,-0.1 exit_radius=0.5,0.4", keys);
  const double outside = TimeAt(start,
                                "%s exit_region=ball exit_center=-0.9,-0.9 exit_radius=0.02 "
                                "exit_inside=false",
                                keys);

  check(one == apart, "%.12g beside another ball, %.12g alone", apart, one);
  check(wide > 1.05 * one, "%.12g in a larger region, %.12g", wide, one);
  check(outside > 10 * wide, "a target smaller than a cell is hit after %g", outside);
}

static void test_bad_input(PETSC_UNUSED void **none)
{
  static const struct {
    const char *keys, *expected;
    PetscReal   start[2];
    int         given;
  } cases[] = {
      {"exit_region=ball exit_center=5,5 exit_radius=1", "the start lies outside the mesh", {5, 5}, 1},
      {"exit_region=ball exit_center=0.1,0.1 exit_radius=1e-3", "the region holds no cell of the grid", {0.1, 0.1}, 1},
      {"exit_region=ball exit_center=0.1,0.1 exit_radius=0.5",
       "the start (0.9, 0.2) lies outside the region",
       {0.9, 0.2},
       1},
      {"exit_region=ball exit_center=0.1,0.1 exit_radius=9",
       "the start lies outside the mesh: coordinate 2 = 3.5",
       {0.9, 3.5},
       1},
      {"exit_region=ball exit_center=0.1,0.1 exit_radius=0.12", "the region holds 2 of the 4 cells", {0.1, 0.1}, 1},
      {"exit_region=ball exit_center=0.9,0.9 exit_radius=0.3", "contains no critical point to start from", {0}, 0},
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    Scene    s;
    FPRegion region;

    SceneOpen(&s, "ald",
              "model_type=ou model_drift=1.3,-0.4,0.2,0.9 model_diffusion=0.3,0.1,0.1,0.2 mesh_lower=-1.31,-1.37 "
              "mesh_upper=1.33,1.29 mesh_cells=16,16 %s",
              cases[i].keys);
    must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &region));
    refused(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, cases[i].given ? cases[i].start : NULL, region,
                                    &s.gen),
            cases[i].expected);
    must(FPRegionDestroy(&region));
    s.gen = NULL;
    SceneClose(&s);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order),          cmocka_unit_test(test_ball), cmocka_unit_test(test_fractions),
      cmocka_unit_test(test_rank_deficient), cmocka_unit_test(test_cold), cmocka_unit_test(test_unions),
      cmocka_unit_test(test_bad_input),
  };
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

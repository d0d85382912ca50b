/* t-levy-exit.c: exits by jumps against what is known of them: from intervals, discs and half-spaces whose boundaries
   cut cells at any fraction, rare ones against the rate of a single jump. */
#include "jumping.h"

/* Mean times from the n nodes until gen is killed; freed by the caller. */
static PetscReal *ExitTimes(FPGenerator gen, PetscInt n)
{
  PetscReal *one, *time;

  must(PetscMalloc1(n, &one));
  must(PetscMalloc1(n, &time));
  for (PetscInt k = 0; k < n; k++) one[k] = 1;
  must(FPGeneratorInvert(gen, PETSC_TRUE, 0, one, time));
  must(PetscFree(one));
  return time;
}

/* Jumps that leave the box of the scene or, where region is not 0, an interval inside it, cut anywhere */
static void MakeLeaving(Scene *s, double alpha, double sigma, int region, FPRegion *ball)
{
  MakeStable(s, alpha, sigma, PETSC_FALSE, region ? FP_BOUNDARY_CONFINED : FP_BOUNDARY_KILLED, 0);
  if (region) {
    SceneSet(s->config, "exit_region=ball exit_center=0.2 exit_radius=1.23");
    must(FPRegionCreate(s->config, "exit", PETSC_FALSE, s->model, ball));
    must(FPGeneratorCreateKilled(s->process, s->mesh, 0, &s->options, NULL, *ball, &s->gen));
  } else
    (void)SceneGrid(s, 0);
}

/* Of a driftless process on (c - R, c + R) with 256 << level cells on `wide`: its decay rate over the unit less 1, and
   the largest relative error of Getoor's mean exit time over 0.8 of the interval. region: in a larger box, whose cells
   the boundary cuts anywhere. */
static void Interval(double alpha, double known, int region, int level, double *rate, double *time)
{
  const double     sigma = 0.7, R = 1.23, c = 0.2, unit = pow(sigma / R, alpha), extra = 0.31 + 0.013 * (region - 1);
  Scene            s;
  PetscInt         n;
  FPRegion         ball = NULL;
  const PetscReal *z, *volume;
  PetscReal       *T;

  OpenLine(&s, 0, c, c - R - (region ? extra : 0), c + R + (region ? 0.43 : 0), (region ? 342 : 256) << level);
  MakeLeaving(&s, alpha, sigma, region, &ball);
  must(FPGeneratorSolve(s.gen, 1));
  *rate = Rate(s.gen, 0) / unit / known - 1;
  *time = 0;
  z     = Nodes(s.gen, &n, &volume);
  T     = ExitTimes(s.gen, n);
  for (PetscInt k = 0; k < n; k++) {
    const double x = (z[k] - c) / R;

    if (fabs(x) < 0.8) *time = fmax(*time, fabs(T[k] * unit * tgamma(1 + alpha) / pow(1 - x * x, alpha / 2) - 1));
  }
  must(PetscFree(T));
  must(FPRegionDestroy(&ball));
  SceneClose(&s);
}

/* First eigenvalue of (-Laplacian)^(alpha/2) on (-1, 1), see t-jumps.c, and mean exit times: killed walls, and regions
   whose boundaries lie at several fractions of a cell. */
static void test_interval(void **state)
{
  static const double known[4][2] = {
      {0.5, 0.97016541872}, {1, 1.157773883698}, {1.5, 1.5975035456505}, {1.9, 2.2440593594001}};

  (void)state;
  for (int a = 0; a < 4; a++)
    for (int region = 0; region < 4; region++) {
      double time[2], rate[2], order[2];

      for (int l = 0; l < 2; l++) Interval(known[a][0], known[a][1], region, 2 * l, &rate[l], &time[l]);
      order[0] = log2(fabs(rate[0] / rate[1])) / 2;
      order[1] = log2(time[0] / time[1]) / 2;
      print_message("  alpha %g, %s: rate off by %.1e, order %.2f; exit time by %.1e, order %.2f\n", known[a][0],
                    region ? "region" : "walls", rate[1], order[0], time[1], order[1]);
      check(fabs(rate[1]) < 3e-6 && fabs(rate[0]) < 1e-4, "alpha %g: rate off by %g after %g", known[a][0], rate[1],
            rate[0]);
      check(region || (order[0] > 1.8 && order[0] < 2.6), "alpha %g: order %g of the rate", known[a][0], order[0]);
      check(time[1] < 1e-5 && time[0] < 2e-4 && (region || (order[1] > 1.8 && order[1] < 2.4)),
            "alpha %g: exit time off by %g after %g", known[a][0], time[1], time[0]);
    }
}

/* On a line so fine that rounding of the fastest rates, 1e7 times the slowest, hides that A x is rate x, rates are
   still known to what the solver does. */
static void test_fine_line(void **state)
{
  const PetscReal *rate, *residual;
  PetscInt         count;
  Scene            s;

  (void)state;
  OpenLine(&s, 0, 0, -1, 1, 8192);
  MakeStable(&s, 1.9, 1, PETSC_FALSE, FP_BOUNDARY_KILLED, 0);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
  must(FPGeneratorGetModes(s.gen, &count, &rate, NULL, &residual));
  assert_true(count >= 3);
  print_message("  8192 nodes, alpha 1.9: rate off by %.1e, residual %.1e\n", rate[0] - 2.2440593594001, residual[0]);
  check(fabs(rate[0] - 2.2440593594001) < 3e-8 + residual[0], "rate %.12g, residual %g", rate[0], residual[0]);
  for (int k = 0; k < 3; k++)
    check(residual[k] < 3e-7 * rate[k], "rate %d, %.12g, has the residual %g", k, rate[k], residual[k]);
  SceneClose(&s);
}

/* What a run reports of observable exit, from three grids: value and bound of quantities by name. */
static void AskExit(Scene *s, int count, const char *const name[], double value[], double bound[])
{
  FPQuantities q[SCENE_LEVELS];
  FPRefinement grids = {.levels = SCENE_LEVELS};
  PetscInt     cells[FP_MAX_AXES];
  FPScene      scene = {.model = s->model, .mesh = s->mesh, .processes = 1, .process = &s->process};

  memset(q, 0, sizeof(q));
  for (PetscInt l = SCENE_LEVELS - 1; l >= 0; l--) {
    FPObservable o;

    must(FPMeshGetCells(s->mesh, l, cells, &grids.ratio[l]));
    must(FPObservableCreate(s->config, "exit", &o));
    must(FPObservableRead(o, s->config, s->model, s->mesh, PETSC_TRUE));
    must(FPObservableSetScene(o, &scene));
    must(FPObservableGenerator(o, SceneGrid(s, l), PETSC_FALSE, &q[l]));
    must(FPObservableDestroy(&o));
  }
  must(FPGeneratorSolve(s->gen, 1));
  must(FPRunRefinement(s->gen, &grids));
  for (int k = 0; k < count; k++) {
    PetscReal v[SCENE_LEVELS];

    Reported(q, &grids, name[k], v, &value[k], &bound[k]);
  }
  for (int l = 0; l < SCENE_LEVELS; l++) must(FPQuantitiesFree(&q[l]));
}

/* Bounds that a run reports hold: two rates (see t-jumps.c), mean time, the side of landing and survival, early and
   late, of an interval whose ends cut cells at fractions that change from grid to grid. left: survival at 0.3, 1 and 4
   by the Galerkin method of t-jumps.c, with 160 polynomials in SciPy; more of them change its last two digits. */
static void test_reported_exits(void **state)
{
  static const char *const name[]      = {"rate",          "rate[1]",       "mean_time",       "landing_above[0]",
                                          "survival[t=4]", "survival[t=6]", "survival[t=0.3]", "survival[t=1]"};
  static const double      left[4][3]  = {{0.80666138, 0.47470837, 0.04152979},
                                          {0.838158397, 0.494017433, 0.039496169},
                                          {0.8427627175, 0.4331936459, 0.0215970187},
                                          {0.8062406911, 0.3418586090, 0.0082951136}};
  static const double      known[4][3] = {{0.5, 0.97016541872, 1.60153773153},
                                          {1, 1.157773883698, 2.754754742215},
                                          {1.5, 1.5975035456505, 5.0597599283081},
                                          {1.9, 2.2440593594001, 8.5957525239082}};
  double                   value[8], bound[8];
  Scene                    s;

  (void)state;
  for (int a = 0; a < 4; a++) {
    const double alpha = known[a][0], R = 1.23, sigma = 0.9, unit = pow(sigma / R, alpha), x = 0.3 / R;
    double exact[5] = {known[a][1] * unit, known[a][2] * unit, pow(1 - x * x, alpha / 2) / (unit * tgamma(1 + alpha)),
                       0.5, 0};
    const double decay = exp(-2 * exact[0]);

    for (int q = 0; q < 2000; q++)
      exact[3] += x / 2000 * pow(2, 1 - alpha) * tgamma(alpha) / pow(tgamma(alpha / 2), 2) *
                  pow(1 - PetscSqr(x * (q + 0.5) / 2000), alpha / 2 - 1);
    SceneOpen(&s, "p",
              QUIET
              "model_type=ou model_drift=0 model_diffusion=0 model_center=0.2 mesh_lower=-1.34 mesh_upper=1.87 "
              "mesh_cells=260 exit_region=ball exit_center=0.2 exit_radius=1.23 exit_start=0.5 exit_times=0.3,1,4,6");
    MakeStable(&s, alpha, sigma, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
    AskExit(&s, 8, name, value, bound);
    for (int t = 0; t < 3; t++) {
      const int k = t == 2 ? 4 : 6 + t;

      print_message("  alpha %g: %s off by %.1e, bound %.1e\n", alpha, name[k], value[k] - left[a][t], bound[k]);
      check(fabs(value[k] - left[a][t]) <= bound[k] + (a == 0 ? 2e-6 : 2e-8) && bound[k] < 0.01 * value[k],
            "alpha %g: %s = %.9g, exact %.9g, bound %.1e", alpha, name[k], value[k], left[a][t], bound[k]);
    }
    for (int k = 0; k < 4; k++)
      check(fabs(value[k] - exact[k]) <= bound[k] && bound[k] < 0.01 * exact[k],
            "alpha %g: %s = %.9g, %.1e off, bound %.1e", alpha, name[k], value[k], value[k] - exact[k], bound[k]);
    check(alpha < 1.5 || fabs(value[5] - decay * value[4]) < bound[5] + decay * bound[4] + 1e-5 * value[5],
          "alpha %g: survival %.9g, then %.9g", alpha, value[4], value[5]);
    SceneClose(&s);
  }
}

/* Where the grids agree by accident, bounds are those of boundaries that cut cells. Truth: by 4096 cells, to the last
   digit but one. */
static void test_reported_accidents(void **state)
{
  static const struct {
    const char *keys, *name;
    double      alpha, scale, exact;
    FPBoundary  boundary;
  } cases[] = {{"model_drift=1.894 model_center=-0.009 mesh_lower=-1.623 mesh_upper=1.736 mesh_cells=325 "
                "exit_center=0.09 exit_radius=0.606 exit_start=-0.31",
                "landing_above[0]", 1, 0.69, 0.34418, FP_BOUNDARY_CONFINED},
               {"model_drift=0 model_center=0.09 mesh_lower=-1.519 mesh_upper=1.978 mesh_cells=288 "
                "exit_center=0.181 exit_radius=0.637 exit_start=0.416",
                "median_time", 0.5, 1.057, 0.60257, FP_BOUNDARY_KILLED},
               {"model_drift=0 model_center=0.095 mesh_lower=-1.816 mesh_upper=1.303 mesh_cells=465 "
                "exit_center=-0.065 exit_radius=0.566 exit_start=-0.012",
                "mean_time", 0.5, 0.739, 2.0426, FP_BOUNDARY_CENSORED},
               {"model_drift=0 model_center=0.09 mesh_lower=-1.519 mesh_upper=1.978 mesh_cells=288 "
                "exit_center=0.181 exit_radius=0.637 exit_start=0.416",
                "variance_time", 0.5, 1.057, 0.66826, FP_BOUNDARY_KILLED}};

  (void)state;
  for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
    double value, bound;
    Scene  s;

    SceneOpen(&s, "p", QUIET "model_type=ou model_diffusion=0 exit_region=ball %s", cases[c].keys);
    MakeStable(&s, cases[c].alpha, cases[c].scale, PETSC_FALSE, cases[c].boundary, 0);
    AskExit(&s, 1, &cases[c].name, &value, &bound);
    print_message("  %s off by %.1e, bound %.1e\n", cases[c].name, value - cases[c].exact, bound);
    check(fabs(value - cases[c].exact) < bound && bound < 0.02 * value, "%s = %.9g, exact %g, bound %.1e",
          cases[c].name, value, cases[c].exact, bound);
    SceneClose(&s);
  }
}

/* A straight boundary of slope 1:2, which cuts all cells at the same few fractions: mean times, up to 0.03 cells off,
   against a grid five times as fine, on which the start is the centre of a cell too. */
static void test_reported_slope(void **state)
{
  static const char *const name[] = {"mean_time"};
  double                   worst  = 0;

  (void)state;
  for (int place = 0; place < 4; place++) {
    double value[2] = {0}, bound;

    for (int fine = 0; fine < 2; fine++) {
      FPRegion         half;
      Scene            s;
      PetscInt         n;
      const PetscReal *z, *volume;
      PetscReal       *time;

      SceneOpen(&s, "p",
                QUIET "model_type=ou model_drift=0,0,0,0 model_diffusion=0,0,0,0 mesh_lower=-1,-1 mesh_upper=1,1 "
                      "mesh_cells=%d,%d exit_region=half_space exit_normal=1,2 exit_offset=%g exit_start=-0.225,-0.275",
                fine ? 200 : 40, fine ? 200 : 40, 0.7 + 0.013 * place);
      MakeStable(&s, 0.7, 1, PETSC_FALSE, FP_BOUNDARY_MIRROR, 0);
      if (!fine) {
        AskExit(&s, 1, name, &value[0], &bound);
        SceneClose(&s);
        continue;
      }
      must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &half));
      must(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, NULL, half, &s.gen));
      z    = Nodes(s.gen, &n, &volume);
      time = ExitTimes(s.gen, n);
      for (PetscInt k = 0; k < n; k++)
        if (hypot(z[k] + 0.225, z[n + k] + 0.275) < 1e-9) value[1] = time[k];
      must(PetscFree(time));
      must(FPRegionDestroy(&half));
      SceneClose(&s);
    }
    worst = fmax(worst, fabs(value[0] - value[1]) / bound);
    check(fabs(value[0] - value[1]) < bound && bound < 0.02 * value[0], "place %d: %.9g, fine %.9g, bound %.1e", place,
          value[0], value[1], bound);
  }
  print_message("  mean times beside a slope are off by at most %.2f of their bounds\n", worst);
}

/* A disc whose boundary cuts cells at any fraction, in a box that is not square; cells: of the first axis. */
#define DISC_RADIUS 0.9
#define DISC_SCALE 1.1
static void OpenDisc(Scene *s, double alpha, PetscBool independent, int place, int cells, int refine)
{
  const double x = 2.3 / cells * (0.13 + 0.37 * place), y = 2.1 / cells * (0.41 + 0.29 * place);

  SceneOpen(s, "p",
            QUIET "model_type=ou model_drift=0,0,0,0 model_diffusion=0,0,0,0 mesh_lower=%.15g,%.15g "
                  "mesh_upper=%.15g,%.15g mesh_cells=%d,%d mesh_refine=%d exit_region=ball exit_center=0.1,-0.05 "
                  "exit_radius=0.9 exit_start=0.3,0.17",
            x - 1, y - 1.1, x + 1.3, y + 1, cells, cells * 11 / 12, refine);
  MakeStable(s, alpha, DISC_SCALE, independent, FP_BOUNDARY_CONFINED, 0);
}

/* Getoor's, isotropic noise */
static double DiscTime(double alpha, double x, double y)
{
  const double inside = DISC_RADIUS * DISC_RADIUS - PetscSqr(x - 0.1) - PetscSqr(y + 0.05);

  return pow(inside, alpha / 2) / (pow(2 * DISC_SCALE, alpha) * pow(tgamma(1 + alpha / 2), 2));
}

/* Bounds that a run reports hold wherever the disc lies: of the mean time, and of the rate, the first eigenvalue of the
   killed fractional Laplacian (B. Dyda, A. Kuznetsov, M. Kwasnicki 2017). */
static void test_reported_discs(void **state)
{
  static const char *const name[]      = {"mean_time", "rate"};
  static const double      known[4][2] = {
           {0.5, 1.34372911153}, {1, 2.006119032939}, {1.5, 3.275937535931}, {1.9, 5.132126323762}};
  double worst[2] = {0, 0};

  (void)state;
  for (int a = 0; a < 4; a++)
    for (int place = 0; place < 2; place++) {
      const double alpha    = known[a][0];
      const double exact[2] = {DiscTime(alpha, 0.3, 0.17), known[a][1] * pow(DISC_SCALE / DISC_RADIUS, alpha)};
      double       value[2], bound[2];
      Scene        s;

      OpenDisc(&s, alpha, PETSC_FALSE, place, 60, 2);
      AskExit(&s, 2, name, value, bound);
      SceneClose(&s);
      for (int q = 0; q < 2; q++) {
        worst[q] = fmax(worst[q], fabs(value[q] - exact[q]) / bound[q]);
        check(fabs(value[q] - exact[q]) <= bound[q] && bound[q] < (q ? 0.02 : 0.01) * exact[q],
              "alpha %g, place %d: %s = %.9g, exact %.9g, bound %.1e", alpha, place, name[q], value[q], exact[q],
              bound[q]);
      }
    }
  print_message("  exits from discs are off by at most %.2f (time) and %.2f (rate) of their bounds\n", worst[0],
                worst[1]);
}

/* Mean exit times from a disc over 0.6 of its area: the largest relative error, and by how many cells the disc seems
   too large, over three places. */
static void Disc(double alpha, PetscBool independent, int cells, double *error, double *shift, double *centre)
{
  *error = *shift = *centre = 0;
  for (int place = 0; place < 3; place++) {
    Scene            s;
    FPRegion         ball;
    PetscInt         n, middle = 0;
    const PetscReal *z, *volume;
    PetscReal       *time;

    OpenDisc(&s, alpha, independent, place, cells, 1);
    must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &ball));
    must(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, NULL, ball, &s.gen));
    z    = Nodes(s.gen, &n, &volume);
    time = ExitTimes(s.gen, n);
    for (PetscInt k = 0; k < n; k++) {
      const double r = hypot(z[k] - 0.1, z[n + k] + 0.05);

      time[k] /= DiscTime(alpha, z[k], z[n + k]);
      if (r < 0.7) *error = fmax(*error, fabs(time[k] - 1));
      if (r < hypot(z[middle] - 0.1, z[n + middle] + 0.05)) middle = k;
    }
    *centre += time[middle] / 3;
    *shift += (time[middle] - 1) * DISC_RADIUS / (alpha * 2.3 / cells) / 3;
    must(PetscFree(time));
    must(FPRegionDestroy(&ball));
    SceneClose(&s);
  }
}

/* Between the orders 1 and 2 what is left comes from fractions, which change from node to node; without the correction
   of slanting boundaries the disc would seem larger by 0.012 cells at alpha = 0.7. */
static void test_disc(void **state)
{
  (void)state;
  for (int a = 0; a < 5; a++) {
    const double alpha = (double[]){0.7, 1, 1.3, 1.5, 1.9}[a];
    double       error[2], shift[2], centre, order;

    for (int l = 0; l < 2; l++) Disc(alpha, PETSC_FALSE, 48 << 2 * l, &error[l], &shift[l], &centre);
    order = log2(error[0] / error[1]) / 2;
    print_message("  disc, alpha %g: exit time off by %.1e, order %.2f, by %.5f cells\n", alpha, error[1], order,
                  shift[1]);
    check(error[1] < 1.8e-4 && fabs(shift[1]) < 0.0015, "alpha %g: exit time off by %g, %g cells", alpha, error[1],
          shift[1]);
    check(order > (alpha < 1.6 ? 1.35 : 1.8) && order < (alpha < 1.6 ? 1.8 : 2.1), "alpha %g: order %g", alpha, order);
  }
}

/* Independent components, of which no exact time is known: two grids differ by no multiple of the spacing. */
static void test_independent_disc(void **state)
{
  (void)state;
  for (int a = 0; a < 3; a++) {
    const double alpha = (double[]){0.7, 1.1, 1.6}[a];
    double       error, shift[2], centre[2];

    for (int l = 0; l < 2; l++) Disc(alpha, PETSC_TRUE, 48 << 2 * l, &error, &shift[l], &centre[l]);
    error = (centre[0] / centre[1] - 1) * DISC_RADIUS / (alpha * 2.3 / 48);
    print_message("  disc, independent, alpha %g: %.5f cells between two grids\n", alpha, error);
    check(fabs(error) < 0.005, "alpha %g: %g cells between two grids", alpha, error);
  }
}

/* Rare exits from the right well of a balanced chain of depth 2, minimum m, across 0: the rate tends to
   c sigma^alpha m^-alpha/alpha, c = Gamma(1 + alpha) sin(pi alpha/2)/pi, as the noise falls: P. Imkeller and I.
   Pavlyukevich, Stoch. Process. Appl. 116 (2006). */
static void test_rare_exit(void **state)
{
  const double alpha = 1.4, m = sqrt(1.21), c = tgamma(1 + alpha) * sin(PETSC_PI * alpha / 2) / PETSC_PI;
  double       excess[3];

  (void)state;
  for (int l = 0; l < 3; l++) {
    const double sigma = 0.2 * pow(0.35, l);
    Scene        s;
    FPRegion     half;

    SceneOpen(&s, "p",
              QUIET "data_type=gaussian data_teacher=1.21 data_second_moment=1.3 model_type=chain model_depth=2 "
                    "model_coordinates=balanced mesh_lower=-0.5 mesh_upper=5.5 mesh_cells=900 mesh_refine=1 "
                    "exit_region=half_space exit_normal=-1 exit_offset=0");
    MakeStable(&s, alpha, sigma, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
    must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &half));
    must(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, NULL, half, &s.gen));
    must(FPGeneratorSolve(s.gen, 1));
    excess[l] = Rate(s.gen, 0) / (c * pow(sigma / m, alpha) / alpha) - 1;
    must(FPRegionDestroy(&half));
    SceneClose(&s);
  }
  print_message("  rate over its asymptote, less 1: %.4f %.4f %.4f\n", excess[0], excess[1], excess[2]);
  check(excess[0] > excess[1] && excess[1] > excess[2] && excess[2] > 0 && excess[2] < 0.03 && excess[0] < 0.5,
        "rate over its asymptote, less 1: %g %g %g", excess[0], excess[1], excess[2]);
}

/* The side on which a driftless process leaves an interval, from a quarter of the way up: see t-jumps.c; by killing
   walls, and by a region in a larger box. */
static void test_side(void **state)
{
  const double alpha = 1.3, R = 1.23;

  (void)state;
  for (int region = 0; region < 2; region++) {
    Scene            s;
    FPRegion         ball = NULL;
    PetscInt         n, at = 0;
    const PetscReal *z, *volume;
    PetscReal       *rate, *above;
    PetscBool        has;
    double           want = 0.5, x;

    OpenLine(&s, 0, 0.2, 0.2 - R - (region ? 0.31 : 0), 0.2 + R + (region ? 0.43 : 0), 500);
    MakeLeaving(&s, alpha, 0.7, region, &ball);
    z = Nodes(s.gen, &n, &volume);
    must(PetscMalloc2(n, &rate, n, &above));
    must(FPGeneratorKillsAbove(s.gen, 0, 0.5, rate, &has));
    assert_true(has);
    must(FPGeneratorInvert(s.gen, PETSC_TRUE, 0, rate, above));
    while (z[at] < 0.5) at++;
    x = (z[at] - 0.2) / R;
    for (int q = 0; q < 2000; q++)
      want += x / 2000 * pow(2, 1 - alpha) * tgamma(alpha) / pow(tgamma(alpha / 2), 2) *
              pow(1 - PetscSqr(x * (q + 0.5) / 2000), alpha / 2 - 1);
    print_message("  leaves above with %.7f, exact %.7f\n", (double)above[at], want);
    check(fabs(above[at] - want) < 2e-5, "leaves above with %.7f, exact %.7f", (double)above[at], want);
    must(PetscFree2(rate, above));
    must(FPRegionDestroy(&ball));
    SceneClose(&s);
  }
}

/* Drift towards the centre of an interval, or away from it, with killing walls: first eigenvalues of
   (-Laplacian)^(alpha/2) + theta x d/dx on (-1, 1) by the Galerkin method of t-jumps.c, with 320 polynomials in SciPy.
 */
static void test_driven_interval(void **state)
{
  static const double known[4][3] = {
      {1.5, 3, 0.747937076}, {1.5, -2, 2.911176066}, {1.2, 2, 0.7838716}, {1.9, 3, 1.088154682}};

  (void)state;
  for (int a = 0; a < 4; a++) {
    double error[2];

    for (int l = 0; l < 2; l++) {
      Scene s;

      OpenLine(&s, known[a][1], 0, -1, 1, 128 << (2 * l));
      MakeStable(&s, known[a][0], 1, PETSC_FALSE, FP_BOUNDARY_KILLED, 0);
      must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
      error[l] = Rate(s.gen, 0) / known[a][2] - 1;
      SceneClose(&s);
    }
    print_message("  alpha %g, theta %g: rate off by %.1e, order %.2f\n", known[a][0], known[a][1], error[1],
                  log2(fabs(error[0] / error[1])) / 2);
    check(fabs(error[1]) < 4e-4 && log2(fabs(error[0] / error[1])) / 2 > 1.2, "rate off by %g after %g", error[1],
          error[0]);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_interval),       cmocka_unit_test(test_fine_line),
                                     cmocka_unit_test(test_reported_exits), cmocka_unit_test(test_reported_accidents),
                                     cmocka_unit_test(test_reported_slope), cmocka_unit_test(test_reported_discs),
                                     cmocka_unit_test(test_disc),           cmocka_unit_test(test_independent_disc),
                                     cmocka_unit_test(test_rare_exit),      cmocka_unit_test(test_side),
                                     cmocka_unit_test(test_driven_interval)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

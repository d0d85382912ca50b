/* t-transfer-exits.c: exits of SGD in the plane by its transfer operator. Of a step with a normal law, N(x - eta A x,
   S), all that exit says solves integral equations over the region, whose kernel is smooth: on discs by Gauss-Legendre
   nodes of the radius and equal angles, in boxes by Gauss-Legendre nodes of both coordinates, they are solved to ten
   digits by a few hundred nodes (Nystroem's method), without a grid of the plane and without a boundary that cuts
   anything. */
#include "scene.h"
#include "../src/run/runimpl.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <petscblaslapack.h>
#include <stdlib.h>

#define RADII 14
#define ANGLES 36
#define SIDES 22
#define MOST (RADII * ANGLES > SIDES * SIDES ? RADII * ANGLES : SIDES * SIDES)
#define TIMES 2

typedef struct {
  PetscBool ball;
  double    A[4], S[4], eta, centre[2], radius[2], start[2], times[TIMES]; /* S: covariance of a step */
  int       n;
  double    x[MOST], y[MOST], w[MOST];
} Case;

/* What is known of a case */
typedef struct {
  double mean, variance, survival[TIMES], rate, above[2];
} Exact;

static void Place(Case *c)
{
  const int                      m = c->ball ? RADII : SIDES, other = c->ball ? ANGLES : SIDES;
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc((size_t)m);

  c->n = 0;
  for (int i = 0; i < m; i++)
    for (int j = 0; j < other; j++) {
      double a, wa, b, wb;

      gsl_integration_glfixed_point(c->ball ? 0 : -1, 1, (size_t)i, &a, &wa, table);
      if (c->ball) {
        b            = 2 * PETSC_PI * (j + 0.5) / other;
        wb           = 2 * PETSC_PI / other * a;
        c->x[c->n]   = c->centre[0] + c->radius[0] * a * cos(b);
        c->y[c->n]   = c->centre[1] + c->radius[0] * a * sin(b);
        c->w[c->n++] = wa * wb * c->radius[0] * c->radius[0];
      } else {
        gsl_integration_glfixed_point(-1, 1, (size_t)j, &b, &wb, table);
        c->x[c->n]   = c->centre[0] + c->radius[0] * a;
        c->y[c->n]   = c->centre[1] + c->radius[1] * b;
        c->w[c->n++] = wa * wb * c->radius[0] * c->radius[1];
      }
    }
  gsl_integration_glfixed_table_free(table);
}

static void Mean(const Case *c, const double z[], double m[])
{
  for (int a = 0; a < 2; a++) m[a] = z[a] - c->eta * (c->A[2 * a] * z[0] + c->A[2 * a + 1] * z[1]);
}

static double Density(const Case *c, const double z[], double x, double y)
{
  const double det = c->S[0] * c->S[3] - c->S[1] * c->S[2];
  double       m[2], dx, dy;

  Mean(c, z, m);
  dx = x - m[0];
  dy = y - m[1];
  return exp(-(c->S[3] * dx * dx - 2 * c->S[1] * dx * dy + c->S[0] * dy * dy) / (2 * det)) / (2 * PETSC_PI * sqrt(det));
}

/* Probability that a step from z ends outside with coordinate a above that of the start; the part inside by lines along
   the other coordinate */
static double LandsAbove(const Case *c, const double z[], int a)
{
  const double                   sd = sqrt(c->S[3 * a]), radius = c->ball ? c->radius[0] : c->radius[a];
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc(20);
  const double                   from = c->start[a], to = c->centre[a] + radius;
  double                         m[2], all, inside = 0;

  Mean(c, z, m);
  all = 0.5 * erfc((c->start[a] - m[a]) / sd * M_SQRT1_2);
  for (size_t i = 0; i < 20; i++) {
    /* t = sin of an angle takes the root at the end of a disc away */
    const double first = asin((from - c->centre[a]) / radius);
    double       angle, w, t, half, point[2], v, wv;

    gsl_integration_glfixed_point(first, PETSC_PI / 2, i, &angle, &w, table);
    t    = c->ball ? c->centre[a] + radius * sin(angle) : from + (to - from) * (angle - first) / (PETSC_PI / 2 - first);
    w    = c->ball ? w * radius * cos(angle) : w * (to - from) / (PETSC_PI / 2 - first);
    half = c->ball ? radius * cos(angle) : c->radius[1 - a];
    point[a] = t;
    for (size_t j = 0; j < 20; j++) {
      gsl_integration_glfixed_point(c->centre[1 - a] - half, c->centre[1 - a] + half, j, &v, &wv, table);
      point[1 - a] = v;
      inside += w * wv * Density(c, z, point[0], point[1]);
    }
  }
  gsl_integration_glfixed_table_free(table);
  return all - inside;
}

/* u(start) of u = f + K u, from its values u[n] on the nodes and f at the start */
static double AtStart(const Case *c, const double u[], double f)
{
  for (int j = 0; j < c->n; j++) f += Density(c, c->start, c->x[j], c->y[j]) * c->w[j] * u[j];
  return f;
}

/* The columns of f[4][n] become solutions of u = f + K u. */
static void Solve(const Case *c, const double K[], double f[])
{
  const PetscBLASInt n = c->n, columns = 4;
  PetscBLASInt      *pivot = malloc((size_t)n * sizeof(*pivot)), info;
  double            *M     = malloc((size_t)n * (size_t)n * sizeof(*M));

  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) M[j * n + i] = (i == j) - K[i * n + j];
  LAPACKgesv_(&n, &columns, M, &n, pivot, f, &n, &info);
  assert_int_equal(info, 0);
  free(M);
  free(pivot);
}

static void Answer(Case *c, Exact *exact)
{
  double *K, *f, *u, *v, mu = 0;

  Place(c);
  K = malloc((size_t)c->n * (size_t)c->n * sizeof(*K));
  f = malloc(4 * (size_t)c->n * sizeof(*f));
  u = malloc(2 * (size_t)c->n * sizeof(*u));
  v = u + c->n;
  for (int i = 0; i < c->n; i++) {
    const double z[2] = {c->x[i], c->y[i]};

    for (int j = 0; j < c->n; j++) K[i * c->n + j] = Density(c, z, c->x[j], c->y[j]) * c->w[j];
    f[i] = u[i] = 1;
    for (int a = 0; a < 2; a++) f[(2 + a) * c->n + i] = LandsAbove(c, z, a);
    f[c->n + i] = 0;
  }
  Solve(c, K, f); /* N, the mean number of steps; E N^2 = 1 + 2 K N + K E N^2, so E N (N - 1)/2 solves u = K N + K u */
  exact->mean = c->eta * AtStart(c, f, 1);
  for (int a = 0; a < 2; a++) exact->above[a] = AtStart(c, f + (2 + a) * c->n, LandsAbove(c, c->start, a));
  for (int i = 0; i < c->n; i++) {
    f[c->n + i] = 0;
    for (int j = 0; j < c->n; j++) f[c->n + i] += K[i * c->n + j] * f[j];
    v[i] = f[c->n + i];
  }
  {
    double *g = calloc(4 * (size_t)c->n, sizeof(*g)), half;

    memcpy(g, v, (size_t)c->n * sizeof(*g));
    Solve(c, K, g);
    half            = AtStart(c, g, AtStart(c, f, 0));
    exact->variance = c->eta * c->eta * (2 * half) + c->eta * exact->mean - exact->mean * exact->mean;
    free(g);
  }
  for (int t = 0, step = 0; step < 400; step++) { /* u = P(alive after step steps) */
    double norm = 0;

    for (; t < TIMES && (int)lround(c->times[t] / c->eta) == step + 1; t++) exact->survival[t] = AtStart(c, u, 0);
    for (int i = 0; i < c->n; i++) {
      v[i] = 0;
      for (int j = 0; j < c->n; j++) v[i] += K[i * c->n + j] * u[j];
      norm = PetscMax(norm, v[i]);
    }
    mu = norm;
    if (step >= 30)
      for (int i = 0; i < c->n; i++) v[i] /= norm;
    memcpy(u, v, (size_t)c->n * sizeof(*u));
  }
  exact->rate = -log(mu) / c->eta;
  free(K);
  free(f);
  free(u);
}

static void Keys(const Case *c, const double D[], double T, int order, int cells, const double box[], char keys[])
{
  (void)snprintf(keys, 1200,
                 "model_type=ou model_drift=%.17g,%.17g,%.17g,%.17g model_diffusion=%.17g,%.17g,%.17g,%.17g "
                 "training_learning_rate=%.17g training_temperature=%.17g mesh_lower=%.17g,%.17g "
                 "mesh_upper=%.17g,%.17g mesh_cells=%d,%d transfer_order=%d exit_region=%s exit_center=%.17g,%.17g "
                 "exit_start=%.17g,%.17g exit_times=%.17g,%.17g exit_radius=%.17g%s",
                 c->A[0], c->A[1], c->A[2], c->A[3], D[0], D[1], D[1], D[2], c->eta, T, box[0], box[1], box[2], box[3],
                 cells, cells, order, c->ball ? "ball" : "box", c->centre[0], c->centre[1], c->start[0], c->start[1],
                 c->times[0], c->times[1], c->radius[0], "");
  if (!c->ball) (void)snprintf(keys + strlen(keys), 60, ",%.17g", c->radius[1]);
}

#define NUMBERS (5 + TIMES)

/* Name and true value of every number */
static int List(const Case *c, const Exact *exact, char name[][40], double value[])
{
  int n = 0;

  strcpy(name[n], "mean_time"), value[n++]     = exact->mean;
  strcpy(name[n], "variance_time"), value[n++] = exact->variance;
  strcpy(name[n], "rate"), value[n++]          = exact->rate;
  for (int t = 0; t < TIMES; t++) {
    (void)snprintf(name[n], 40, "survival[t=%g]", c->times[t]);
    value[n++] = exact->survival[t];
  }
  strcpy(name[n], "landing_above[0]"), value[n++] = exact->above[0];
  strcpy(name[n], "landing_above[1]"), value[n++] = exact->above[1];
  return n;
}

static double Uniform(gsl_rng *r, double from, double to)
{
  return from + (to - from) * gsl_rng_uniform(r);
}

static void Draw(gsl_rng *r, PetscBool ball, Case *c, double D[3], double *T, double box[4])
{
  memset(c, 0, sizeof(*c));
  c->ball = ball;
  c->eta  = Uniform(r, 0.15, 0.35);
  c->A[0] = Uniform(r, 0.4, 1.6);
  c->A[3] = Uniform(r, 0.4, 1.6);
  c->A[1] = Uniform(r, -0.5, 0.5);
  c->A[2] = Uniform(r, -0.5, 0.5);
  D[0]    = Uniform(r, 0.05, 0.4);
  D[2]    = Uniform(r, 0.05, 0.4);
  D[1]    = Uniform(r, -0.8, 0.8) * sqrt(D[0] * D[2]);
  *T      = Uniform(r, 0.2, 0.4);
  c->S[0] = 2 * c->eta * (D[0] + *T);
  c->S[3] = 2 * c->eta * (D[2] + *T);
  c->S[1] = c->S[2] = 2 * c->eta * D[1];
  for (int a = 0; a < 2; a++) {
    c->centre[a] = Uniform(r, -0.4, 0.4);
    c->radius[a] = a && ball ? c->radius[0] : Uniform(r, 0.7, 1.3);
    c->start[a]  = c->centre[a] + Uniform(r, -0.55, 0.55) * c->radius[a];
  }
  for (int a = 0; a < 2; a++) {
    box[a]     = c->centre[a] - c->radius[a] - 4.6 * sqrt(c->S[3 * a]);
    box[2 + a] = c->centre[a] + c->radius[a] + 4.6 * sqrt(c->S[3 * a]);
  }
  for (int t = 0; t < TIMES; t++) c->times[t] = c->eta * (2 + 4 * t);
}

static int CompareReals(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static const FPQuantity *Find(const FPQuantities *q, const char name[])
{
  const FPQuantity *found;

  must(FPQuantitiesFind(q, name, &found));
  if (!found) fail_msg("no quantity %s", name);
  return found;
}

/* Answers of the grids of a mesh, as a run has them */
static void Ask(const char keys[], PetscInt levels, FPQuantities q[], FPRefinement *grids)
{
  Scene        s;
  FPScene      scene;
  FPObservable o;
  const FPBox *box;

  SceneOpen(&s, "sgd", "%s", keys);
  scene = (FPScene){.model = s.model, .mesh = s.mesh, .processes = 1, .process = &s.process};
  must(FPMeshGetBox(s.mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  must(FPObservableCreate(s.config, "exit", &o));
  must(FPObservableRead(o, s.config, s.model, s.mesh, PETSC_TRUE));
  must(FPObservableSetScene(o, &scene));
  memset(grids, 0, sizeof(*grids));
  grids->levels = levels;
  for (PetscInt l = levels - 1; l >= 0; l--) {
    PetscInt dim;

    must(FPGeneratorSolve(SceneGrid(&s, l), 0));
    must(FPGeneratorGetGrid(s.gen, &dim, NULL, &grids->ratio[l]));
    must(FPObservableGenerator(o, s.gen, PETSC_FALSE, &q[l]));
  }
  must(FPRunRefinement(s.gen, grids));
  must(FPObservableDestroy(&o));
  SceneClose(&s);
}

/* 12 regions, discs and boxes, at both orders, on meshes that have 3 to 6.5 cells in half of their width: every truth
   is within its bound. Of 16 others with seed 5 the median of bound over true error was 13 to 145 at order 2, 4 at
   order 4; survival by rates is the nearest. */
static void test_bounds(void **state)
{
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  double   ratio[2][12 * NUMBERS];
  size_t   count[2] = {0, 0};

  (void)state;
  gsl_rng_set(r, 7);
  for (int k = 0; k < 12; k++) {
    const PetscInt order = k % 2 ? 2 : 4;
    Case           c;
    Exact          exact;
    double         D[3], T, box[4], value[NUMBERS], wide;
    char           keys[1400], name[NUMBERS][40];
    FPQuantities   q[3] = {{0}};
    FPRefinement   grids;
    int            n, cells;

    Draw(r, (PetscBool)(k % 4 < 3), &c, D, &T, box);
    Answer(&c, &exact);
    n     = List(&c, &exact, name, value);
    wide  = PetscMax((box[2] - box[0]) / c.radius[0], (box[3] - box[1]) / c.radius[1]);
    cells = (int)Uniform(r, 3 * wide, 6.5 * wide);
    Keys(&c, D, T, (int)order, cells, box, keys);
    Ask(keys, 3, q, &grids);
    for (int i = 0; i < n; i++) {
      const FPQuantity *item = Find(&q[0], name[i]);
      const double      v[3] = {item->value, Find(&q[1], name[i])->value, Find(&q[2], name[i])->value};
      double            result, error;

      FPBoundGrids(&grids, item, v, item->error, &result, &error);
      check(fabs(result - value[i]) <= error, "region %d, order %d, %d cells, %s: %.10g, exact %.10g, bound %.2e", k,
            (int)order, cells, name[i], result, value[i], error);
      ratio[order == 4][count[order == 4]++] = error / PetscMax(fabs(result - value[i]), 1e-14);
    }
    for (int l = 0; l < 3; l++) must(FPQuantitiesFree(&q[l]));
  }
  for (int o = 0; o < 2; o++) {
    qsort(ratio[o], count[o], sizeof(double), CompareReals);
    print_message("  order %d: %d bounds, median of bound over true error %.1f, least %.2f\n", o ? 4 : 2, (int)count[o],
                  ratio[o][count[o] / 2], ratio[o][0]);
    check(ratio[o][count[o] / 2] < (o ? 10 : 60), "bounds are %g times as wide as errors", ratio[o][count[o] / 2]);
  }
  gsl_rng_free(r);
}

/* Errors fall with the second, or fourth, power of the width of cells that a circle cuts, as the mean over three
   meshes. At order 2 the law along the gradient noise is on a lattice that becomes
   finer with the mesh, so that the grids are those of one run, the finest and the one of half as many cells. */
static void test_orders(void **state)
{
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  Case     c;
  Exact    exact;
  double   D[3], T, box[4], value[NUMBERS];
  char     name[NUMBERS][40];
  int      n;

  (void)state;
  gsl_rng_set(r, 3);
  Draw(r, PETSC_TRUE, &c, D, &T, box);
  Answer(&c, &exact);
  n = List(&c, &exact, name, value);
  for (int order = 2; order <= 4; order += 2) {
    double sum[NUMBERS] = {0};

    for (int k = 0; k < 3; k++) {
      FPQuantities q[3] = {{0}};
      FPRefinement grids;
      char         keys[1400];

      Keys(&c, D, T, order, 30 + 5 * k, box, keys);
      Ask(keys, 3, q, &grids);
      for (int i = 0; i < n; i++)
        sum[i] += log2(fabs((Find(&q[2], name[i])->value - value[i]) / (Find(&q[0], name[i])->value - value[i]))) / 3;
      for (int l = 0; l < 3; l++) must(FPQuantitiesFree(&q[l]));
    }
    for (int i = 0; i < n; i++) {
      print_message("  order %d, %s %.8g: %.3f\n", order, name[i], value[i], sum[i]);
      if (strncmp(name[i], "landing", 7))
        check(sum[i] > order - 0.25 && sum[i] < order + (order == 2 ? 0.25 : 0.6), "%s: order %g", name[i], sum[i]);
    }
  }
  gsl_rng_free(r);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders), cmocka_unit_test(test_bounds)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

/* t-angle.c: exponents of linear equations dv = A v dt + sum_c B_c v dB_c in the plane, by quadrature over the angle
   (Khasminskii): the moments of the angle to many digits, and the whole estimator on a grid and its bound where the
   tangent vectors of a process obey such an equation, whatever its law and walls. Gibbs laws of two coordinates that
   know nothing of each other, whose exponent is an integral in one: the order of the grid.
 */
#include "ask.h"
#include "../src/observable/angleimpl.h"
#include "../src/process/processimpl.h"
#include "../src/run/runimpl.h"
#include <math.h>

#define CASES 3
#define PARTS 4000

typedef struct {
  double A[4], B[3][4]; /* the last may be zero */
} Linear;

static const Linear cases[CASES] = {{{0.3, 1.1, -0.4, -0.7}, {{0.5, 0.2, -0.6, 0.1}, {0.1, -0.4, 0.3, 0.7}}},
                                    {{-1.2, 2.3, -0.4, -0.2}, {{0.9, 0.3, 0.2, -0.4}, {0, 0.6, -0.6, 0.2}}},
                                    {{0.1, -1.4, 0.8, -0.5}, {{0.2, 0.7, 0.1, -0.3}, {0.4, -0.9, 0.5, 0.3}}}};

static double Form(const double x[2], const double M[4], const double y[2])
{
  return x[0] * (M[0] * y[0] + M[1] * y[1]) + x[1] * (M[2] * y[0] + M[3] * y[1]);
}

/* Drift, diffusion and growth at the angle t */
static void At(const Linear *l, double t, double *h, double *d, double *g)
{
  const double u[2] = {cos(t), sin(t)}, v[2] = {-sin(t), cos(t)};

  *h = Form(v, l->A, u);
  *g = Form(u, l->A, u);
  *d = 0;
  for (int c = 0; c < 3; c++) {
    const double along = Form(u, l->B[c], u), across = Form(v, l->B[c], u);

    *h -= along * across;
    *d += 0.5 * across * across;
    *g += 0.5 * (across * across - along * along);
  }
}

/* The law p = q/d on [0, pi) has q' = (h/d) q - flux, so q(t) = E(t) int_t^(t + pi) ds/E(s), E = exp int h/d. */
static double Quadrature(const Linear *l)
{
  static double R[2 * PARTS + 1], inverse[2 * PARTS + 1];
  const double  step  = PETSC_PI / PARTS;
  double        total = 0, sum = 0, h, d, g;

  R[0] = inverse[0] = 0;
  for (int k = 0; k < 2 * PARTS; k++) {
    R[k + 1] = R[k];
    for (int side = -1; side <= 1; side += 2) {
      At(l, (k + 0.5 + side * 0.5 / sqrt(3)) * step, &h, &d, &g);
      R[k + 1] += 0.5 * step * h / d;
    }
    At(l, (k + 0.5) * step, &h, &d, &g);
    { /* Simpson's, with R in the middle to fourth order */
      double low, high, r;

      At(l, k * step, &low, &r, &g);
      low /= r;
      At(l, (k + 1) * step, &high, &r, &g);
      high /= r;
      r              = 0.5 * (R[k] + R[k + 1]) + step / 8 * (low - high);
      inverse[k + 1] = inverse[k] + step / 6 * (exp(-R[k]) + 4 * exp(-r) + exp(-R[k + 1]));
    }
  }
  for (int k = 0; k < PARTS; k++) {
    double q;

    At(l, k * step, &h, &d, &g);
    q = exp(R[k]) * (inverse[k + PARTS] - inverse[k]) / d;
    total += q;
    sum += q * g;
  }
  return sum / total;
}

static void test_moments(void **state)
{
  (void)state;
  for (int k = 0; k < CASES; k++) {
    const double exact = Quadrature(&cases[k]);
    FPWave       across[2];
    FPAngle      angle;
    PetscReal    value;

    FPAngleSet(cases[k].A, 2, cases[k].B[0], &angle, across);
    must(FPAngleExponent(&angle, 160, &value));
    print_message("  %.12g by quadrature, off by %.1e\n", exact, value - exact);
    check(fabs(value - exact) < 1e-10, "case %d: %.14g, by quadrature %.14g", k, value, exact);
  }
}

/* Noise S_c = s_c + B_c z on the process of an OU model with drift -A z. */
static const double  constant[2][2] = {{0.7, 0.2}, {-0.3, 0.6}};
static const Linear *chosen;

static double Column(int c, int i, const double *w, int n, int l)
{
  return constant[c][i] + chosen->B[c][2 * i] * w[l] + chosen->B[c][2 * i + 1] * w[n + l];
}

static void AffineFactor(PETSC_UNUSED FPProcess process, int n, const double *w, double *S)
{
  for (int i = 0; i < 2; i++)
    for (int c = 0; c < 2; c++)
      for (int l = 0; l < n; l++) S[(i * 2 + c) * n + l] = Column(c, i, w, n, l);
}

static void AffineDiffusion(PETSC_UNUSED FPProcess process, int n, const double *w, double *D)
{
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      for (int c = 0; c < 2; c++)
        for (int l = 0; l < n; l++) D[(i * 2 + j) * n + l] += 0.5 * Column(c, i, w, n, l) * Column(c, j, w, n, l);
}

static void AffineDivergence(PETSC_UNUSED FPProcess process, int n, const double *w, double *out)
{
  for (int i = 0; i < 2; i++)
    for (int c = 0; c < 2; c++)
      for (int l = 0; l < n; l++) {
        const double *B = chosen->B[c];

        out[i * n + l] += 0.5 * ((B[0] + B[3]) * Column(c, i, w, n, l) + B[2 * i] * Column(c, 0, w, n, l) +
                                 B[2 * i + 1] * Column(c, 1, w, n, l));
      }
}

/* The estimator on all grids of the scene: v[SCENE_LEVELS], and what a run makes of them. */
static void Estimate(Scene *s, double v[], PetscReal *value, PetscReal *bound)
{
  FPScene   view = {.model = s->model, .mesh = s->mesh, .processes = 1, .process = &s->process};
  PetscReal ratio[SCENE_LEVELS], solver = 0, error;

  for (PetscInt level = 0; level < SCENE_LEVELS; level++) {
    FPQuantities q = {0};
    FPObservable o;

    (void)SceneGrid(s, level);
    must(FPGeneratorGetGrid(s->gen, NULL, NULL, &ratio[level]));
    must(FPGeneratorSolve(s->gen, 1));
    must(FPObservableCreate(s->config, "lyapunov", &o));
    must(FPObservableSetScene(o, &view));
    must(FPObservableGenerator(o, s->gen, (PetscBool)(level == 0), &q));
    v[level] = SceneValue(&q, "exponent_orbit", &error);
    solver   = PetscMax(solver, error);
    must(FPObservableDestroy(&o));
    must(FPQuantitiesFree(&q));
  }
  FPExtrapolateGrids(SCENE_LEVELS, v, ratio, solver, 2, value, bound);
}

static void test_grid(void **state)
{
  (void)state;
  for (int k = 0; k < CASES; k++) {
    const double *A = cases[k].A;
    double        exact, v[SCENE_LEVELS];
    PetscReal     value, bound;
    Scene         s;

    chosen = &cases[k];
    exact  = Quadrature(chosen);
    SceneOpen(&s, "ald",
              "model_type=ou model_drift=%.15g,%.15g,%.15g,%.15g model_diffusion=1,0,0,1 training_learning_rate=0.1 "
              "mesh_lower=-0.33,-0.29 mesh_upper=0.27,0.31 mesh_cells=32,28 mesh_refine=2",
              -A[0], -A[1], -A[2], -A[3]);
    s.process->noise.factor     = AffineFactor;
    s.process->noise.diffusion  = AffineDiffusion;
    s.process->noise.divergence = AffineDivergence;
    s.process->potential        = FP_NO_POTENTIAL;
    assert_int_equal(s.process->channels, 2);
    Estimate(&s, v, &value, &bound);
    print_message("  %.9g +- %.1e, by quadrature %.9g\n", value, bound, exact);
    check(fabs(value - exact) <= bound, "case %d: %.9g +- %.2g, by quadrature %.9g", k, value, bound, exact);
    check(bound < 1e-4, "case %d: bound %g is of no use", k, bound);
    SceneClose(&s);
  }
}

/* A stable equation with affine noise, z, seen as w = (z_1, z_2 + BEND z_1^2): noise then turns tangent vectors by what
   depends on the point, and moves it along; the exponent is that of z, as the walls are far out. */
#define BEND 0.6
static const Linear bent = {{-1.2, 0.5, -0.4, -0.9}, {{0.2, 0.08, -0.17, 0.05}, {0.05, -0.2, 0.15, 0.22}}};

/* S[2][2], and the drift, at a point */
static void Bend(double x, double y, double S[2][2], double b[2])
{
  const double z[2] = {x, y - BEND * x * x};
  double       f[2];

  for (int i = 0; i < 2; i++) {
    f[i] = bent.A[2 * i] * z[0] + bent.A[2 * i + 1] * z[1];
    for (int c = 0; c < 2; c++) S[i][c] = 0.5 * constant[c][i] + bent.B[c][2 * i] * z[0] + bent.B[c][2 * i + 1] * z[1];
  }
  b[0] = f[0];
  b[1] = f[1] + 2 * BEND * x * f[0] + BEND * (S[0][0] * S[0][0] + S[0][1] * S[0][1]);
  for (int c = 0; c < 2; c++) S[1][c] += 2 * BEND * x * S[0][c];
}

static void BentDrift(PETSC_UNUSED FPProcess process, int n, const double *w, double *b)
{
  for (int l = 0; l < n; l++) {
    double S[2][2], f[2];

    Bend(w[l], w[n + l], S, f);
    for (int i = 0; i < 2; i++) b[i * n + l] = f[i];
  }
}

static void BentFactor(PETSC_UNUSED FPProcess process, int n, const double *w, double *out)
{
  for (int l = 0; l < n; l++) {
    double S[2][2], f[2];

    Bend(w[l], w[n + l], S, f);
    for (int k = 0; k < 4; k++) out[k * n + l] = S[k / 2][k % 2];
  }
}

/* D_ij at a point */
static double BentD(int i, int j, double x, double y)
{
  double S[2][2], f[2];

  Bend(x, y, S, f);
  return 0.5 * (S[i][0] * S[j][0] + S[i][1] * S[j][1]);
}

static void BentDiffusion(PETSC_UNUSED FPProcess process, int n, const double *w, double *D)
{
  for (int k = 0; k < 4; k++)
    for (int l = 0; l < n; l++) D[k * n + l] += BentD(k / 2, k % 2, w[l], w[n + l]);
}

static void BentDivergence(PETSC_UNUSED FPProcess process, int n, const double *w, double *out)
{
  const double h = 1e-4;

  for (int i = 0; i < 2; i++)
    for (int l = 0; l < n; l++) {
      const double x = w[l], y = w[n + l];

      out[i * n + l] +=
          (BentD(i, 0, x + h, y) - BentD(i, 0, x - h, y) + BentD(i, 1, x, y + h) - BentD(i, 1, x, y - h)) / (2 * h);
    }
}

static void test_bent(void **state)
{
  const double exact = Quadrature(&bent);
  double       v[SCENE_LEVELS];
  PetscReal    value, bound;
  Scene        s;

  (void)state;
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1,0,0,1 model_diffusion=1,0,0,1 training_learning_rate=0.1 "
            "mesh_lower=-1.1,-1 mesh_upper=1.1,1.6 mesh_cells=48,48 mesh_refine=2");
  s.process->drift.drift      = BentDrift;
  s.process->noise.factor     = BentFactor;
  s.process->noise.diffusion  = BentDiffusion;
  s.process->noise.divergence = BentDivergence;
  s.process->potential        = FP_NO_POTENTIAL;
  assert_int_equal(s.process->channels, 2);
  Estimate(&s, v, &value, &bound);
  print_message("  %.9g +- %.1e, by quadrature %.9g; off by %.2e, %.2e, %.2e\n", value, bound, exact, v[0] - exact,
                v[1] - exact, v[2] - exact);
  check(fabs(value - exact) <= bound, "%.9g +- %.2g, by quadrature %.9g", value, bound, exact);
  check(bound < 2e-4, "bound %g is of no use", bound);
  SceneClose(&s);
}

/* Langevin dynamics on f = w_1^2 x_1 + w_2^2 x_2, independent inputs: V_i = s_i (w^2 - a_i)^2/4, exponent max_i -E
   V_i''. V_i is half the loss: two equal weights to a coordinate. */
static double Separate(double s, double a, double T, double lower, double upper)
{
  double sum = 0, total = 0;

  for (int k = 0; k < 100000; k++) {
    const double w = lower + (upper - lower) * (k + 0.5) / 100000, p = exp(-0.5 * s * (w * w - a) * (w * w - a) / T);

    total += p;
    sum -= p * s * (3 * w * w - a);
  }
  return sum / total;
}

static void test_separate(void **state)
{
  const double T = 0.11;
  double       exact, v[SCENE_LEVELS];
  PetscReal    value, bound;
  Scene        s;

  (void)state;
  exact = PetscMax(Separate(0.9, 0.8, T, -1.7, 1.8), Separate(0.9, 0.5, T, -1.6, 1.5));
  SceneOpen(&s, "langevin",
            "data_type=gaussian data_second_moment=0.9 data_inputs=x1,x2 data_targets=y data_teacher=0.8,0.5 "
            "data_label_noise=0.3 "
            "model_type=diagonal training_learning_rate=0.1 langevin_temperature=%.15g mesh_lower=-1.7,-1.6 "
            "mesh_upper=1.8,1.5 mesh_cells=48,44 mesh_refine=2",
            T);
  Estimate(&s, v, &value, &bound);
  print_message("  %.9g +- %.1e, exact %.9g\n", value, bound, exact);
  check(fabs(value - exact) <= bound, "%.9g +- %.2g, exact %.9g", value, bound, exact);
  check(fabs(v[0] - v[2]) < 1e-3, "%.9g, on half of the cells %.9g", v[0], v[2]);
  check(bound < 0.04, "bound %g is of no use", bound);
  SceneClose(&s);
}

/* ald of f = U U^T x at the origin: dU = (s (M + M^T) - decay) U dt + sqrt(eta/B) noise of y x^T + x y^T, with y = M x
   + xi, by Isserlis' theorem: Cov(y_a x_b, y_c x_d) = E y_a y_c E x_b x_d + E y_a x_d E x_b y_c. */
static void test_point(void **state)
{
  const double     M[4] = {0.7, 0.45, -0.1, -0.35}, s = 0.8, sigma = 0.9, eta = 0.35, decay = 0.15;
  static const int row[3] = {0, 0, 1}, column[3] = {0, 1, 1};
  double           yy[2][2], yx[2][2], C[3][3] = {{0}};
  Linear           l = {{0}, {{0}}};
  PetscReal        value, error;
  Asked            a;

  (void)state;
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      yx[i][j]       = s * M[2 * i + j];
      yy[i][j]       = s * (M[2 * i] * M[2 * j] + M[2 * i + 1] * M[2 * j + 1]) + (i == j ? sigma * sigma : 0);
      l.A[2 * i + j] = s * (M[2 * i + j] + M[2 * j + i]) - (i == j ? decay : 0);
    }
  for (int m = 0; m < 3; m++)
    for (int n = 0; n < 3; n++)
      for (int k = 0; k < 4; k++) { /* both orders of row and column */
        const int p = k & 1 ? column[m] : row[m], q = k & 1 ? row[m] : column[m];
        const int u = k & 2 ? column[n] : row[n], v = k & 2 ? row[n] : column[n];

        C[m][n] += eta / 3 * ((q == v ? s * yy[p][u] : 0) + yx[p][v] * yx[u][q]);
      }
  for (int c = 0; c < 3; c++) { /* Cholesky's factor, by columns */
    double factor[3] = {0};

    for (int m = c; m < 3; m++) factor[m] = C[m][c] / sqrt(C[c][c]);
    for (int m = 0; m < 3; m++)
      for (int n = 0; n < 3; n++)
        if (m >= c && n >= c && !(m == c && n == c)) C[m][n] -= factor[m] * factor[n];
    l.B[c][0] = factor[0];
    l.B[c][1] = l.B[c][2] = factor[1];
    l.B[c][3]             = factor[2];
  }
  AskExact(&a, "lyapunov", "ald",
           "data_type=gaussian data_inputs=x1,x2 data_targets=y1,y2 data_teacher=%g,%g,%g,%g data_second_moment=%g "
           "data_label_noise=%g model_type=symmetric training_learning_rate=%g training_batch_size=3 "
           "training_weight_decay=%g particles_steps=2 particles_count=4096",
           M[0], M[1], M[2], M[3], s, sigma, eta, decay);
  value = AskValue(&a, "ald", "exact", "lyapunov", "exponent_at[origin]", &error);
  print_message("  %.12g +- %.1e, by quadrature %.12g\n", value, error, Quadrature(&l));
  check(fabs(value - Quadrature(&l)) <= error, "%.14g, by quadrature %.14g", value, Quadrature(&l));
  check(error < 1e-8, "bound %g", error);
  check(!AskHas(&a, "ald", "exact", "lyapunov", "exponent_at[minimum]", &value, &error), "label noise does not vanish");
  AskClose(&a);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_moments), cmocka_unit_test(test_grid),
                                     cmocka_unit_test(test_bent), cmocka_unit_test(test_separate),
                                     cmocka_unit_test(test_point)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

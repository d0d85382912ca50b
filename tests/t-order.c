/* t-order.c: order of convergence of what the generator answers, and whether the bounds it reports hold and are useful:
   cases with closed forms, cases with an independent solver, and cases against much finer grids. SHOW=1 in the
   environment prints the numbers. */
#include "reported.h"
#include <math.h>
#include <stdlib.h>
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_legendre.h>

#define ROOM 600

/* A quantity and its true value; low < order < high is asserted from grids of h, 4/3 h and 2 h unless high = 0. */
typedef struct {
  const char *name;
  PetscReal   exact, low, high;
  PetscReal   doubt; /* of the value called exact */
} Known;

static struct {
  char      label[64];
  PetscReal exact, error, bound, doubt, order;
} Table[ROOM];
static int rows;

static void AskLevels(Scene *s, FPQuantities q[], FPRefinement *grids)
{
  PetscInt cells[FP_MAX_AXES];

  grids->levels = SCENE_LEVELS;
  grids->widths = 0;
  for (PetscInt l = SCENE_LEVELS - 1; l >= 0; l--) {
    memset(&q[l], 0, sizeof(q[l]));
    must(FPMeshGetCells(s->mesh, l, cells, &grids->ratio[l]));
    SceneAsk(s, l, &q[l]);
  }
  must(FPRunRefinement(s->gen, grids));
}

static void CheckKnown(Scene *s, const char label[], int count, const Known known[])
{
  FPQuantities q[SCENE_LEVELS];
  FPRefinement grids;

  AskLevels(s, q, &grids);
  for (int k = 0; k < count; k++) {
    PetscReal v[SCENE_LEVELS], value, bound;

    assert_true(rows < ROOM);
    Reported(q, &grids, known[k].name, v, &value, &bound);
    (void)snprintf(Table[rows].label, sizeof(Table[rows].label), "%s %s", label, known[k].name);
    Table[rows].exact = known[k].exact;
    Table[rows].error = PetscAbsReal(value - known[k].exact);
    Table[rows].bound = bound;
    Table[rows].doubt = known[k].doubt;
    Table[rows].order = PetscLog2Real(PetscAbsReal((v[2] - known[k].exact) / (v[0] - known[k].exact)));
    if (getenv("SHOW"))
      printf("%-34s %15.9g error of the grid %8.1e, reported %8.1e, bound %8.1e (%6.1f), doubt %8.1e, order %5.2f\n",
             Table[rows].label, (double)known[k].exact, (double)(v[0] - known[k].exact), (double)Table[rows].error,
             (double)bound, (double)(bound / Table[rows].error), (double)known[k].doubt, (double)Table[rows].order);
    rows++;
  }
  for (int l = 0; l < SCENE_LEVELS; l++) must(FPQuantitiesFree(&q[l]));
  for (int k = 0; k < count; k++) {
    const PetscReal order = Table[rows - count + k].order;

    check(known[k].high == 0 || (order > known[k].low && order < known[k].high), "%s: order %g",
          Table[rows - count + k].label, (double)order);
  }
}

/* True values from grids several times finer, by extrapolation. */
static void Fine(Scene *s, int count, Known known[])
{
  FPQuantities q[SCENE_LEVELS];
  FPRefinement grids;

  AskLevels(s, q, &grids);
  for (int k = 0; k < count; k++) {
    PetscReal v[SCENE_LEVELS];

    Reported(q, &grids, known[k].name, v, &known[k].exact, &known[k].doubt);
  }
  for (int l = 0; l < SCENE_LEVELS; l++) must(FPQuantitiesFree(&q[l]));
}

/* The same numbers on coarser grids, where no order is asked for but bounds have to hold. */
static void CheckCoarse(const char process[], const char keys[], const char label[], int count, const Known known[],
                        int meshes, const char *const mesh[])
{
  Known here[16];

  assert_true(count <= 16);
  for (int k = 0; k < count; k++) {
    here[k]     = known[k];
    here[k].low = here[k].high = 0;
  }
  for (int m = 0; m < meshes; m++) {
    char  text[40];
    Scene s;

    (void)snprintf(text, sizeof(text), "%s %s", label, mesh[m]);
    SceneOpen(&s, process, "%s mesh_cells=%s", keys, mesh[m]);
    CheckKnown(&s, text, count, here);
    SceneClose(&s);
  }
}

/* x = A^-1 b by Gauss's method, order n; A and b are destroyed. */
static void Solve(int n, PetscReal A[], PetscReal b[])
{
  for (int k = 0; k < n; k++) {
    int p = k;

    for (int i = k; i < n; i++)
      if (PetscAbsReal(A[i * n + k]) > PetscAbsReal(A[p * n + k])) p = i;
    for (int j = 0; j < n; j++) {
      const PetscReal t = A[k * n + j];

      A[k * n + j] = A[p * n + j];
      A[p * n + j] = t;
    }
    {
      const PetscReal t = b[k];

      b[k] = b[p];
      b[p] = t;
    }
    for (int i = 0; i < n; i++) {
      const PetscReal f = A[i * n + k] / A[k * n + k];

      if (i == k) continue;
      for (int j = k; j < n; j++) A[i * n + j] -= f * A[k * n + j];
      b[i] -= f * b[k];
    }
  }
  for (int k = 0; k < n; k++) b[k] /= A[k * n + k];
}

/* S of A S + S A^T = 2 D, order d */
static void Lyapunov(int d, const PetscReal A[], const PetscReal D[], PetscReal S[])
{
  PetscReal M[81 * 81] = {0};
  const int n          = d * d;

  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      S[i * d + j] = 2 * D[i * d + j];
      for (int k = 0; k < d; k++) {
        M[(i * d + j) * n + k * d + j] += A[i * d + k];
        M[(i * d + j) * n + i * d + k] += A[j * d + k];
      }
    }
  Solve(n, M, S);
}

/* Plane OU: covariance, 2 Q_12, entropy production -tr(D^-1 Q S^-1 Q) and integral of |J|, J = -Q S^-1 x p, the last by
   the mean of |Q S^-1 L u| over u ~ N(0, I), S = L L^T. */
static void ExactPlane(const PetscReal A[4], const PetscReal D[4], PetscReal S[4], PetscReal *rotation,
                       PetscReal *entropy, PetscReal *l1)
{
  PetscReal Q, L[3], detS, detD;

  Lyapunov(2, A, D, S);
  Q    = A[0] * S[1] + A[1] * S[3] - D[1];
  detS = S[0] * S[3] - S[1] * S[1];
  detD = D[0] * D[3] - D[1] * D[1];
  /* Q = q (0 1; -1 0): -D^-1 Q S^-1 Q = q^2/det S D^-1 S */
  *entropy  = Q * Q / (detS * detD) * (D[3] * S[0] - 2 * D[1] * S[1] + D[0] * S[3]);
  *rotation = 2 * Q;
  L[0]      = PetscSqrtReal(S[0]);
  L[1]      = S[1] / L[0];
  L[2]      = PetscSqrtReal(S[3] - L[1] * L[1]);
  *l1       = 0;
  for (int k = 0; k < 400; k++) {
    const PetscReal c = cos(2 * PETSC_PI * k / 400), s = sin(2 * PETSC_PI * k / 400);
    const PetscReal y = s / L[2], x = (c - L[1] * y) / L[0]; /* L^-T u */

    *l1 += hypot(x, y) / 400;
  }
  *l1 *= PetscAbsReal(Q) * PetscSqrtReal(PETSC_PI / 2);
}

static void test_ou(PETSC_UNUSED void **none)
{
  const PetscReal drift[2][4] = {{1, 0.9, 0.1, 1.7}, {1, -0.8, 0.3, 1.4}}, D[4] = {0.3, 0.13, 0.13, 0.2};

  for (int k = 0; k < 2; k++) {
    const PetscReal *A    = drift[k];
    const PetscReal  half = (A[0] + A[3]) / 2, disc = half * half - (A[0] * A[3] - A[1] * A[2]);
    const PetscReal  root = PetscSqrtReal(PetscAbsReal(disc));
    PetscReal        S[4], rotation, entropy, l1;
    Scene            s;

    ExactPlane(A, D, S, &rotation, &entropy, &l1);
    {
      const Known known[] = {{"decay_rate[1]", disc > 0 ? half - root : half, 1.8, 2.2, 1e-9},
                             {"decay_rate[2]", disc > 0 ? 2 * (half - root) : half, 1.8, 2.2, 1e-9},
                             {"decay_rate[3]", disc > 0 ? half + root : 2 * half, 1.8, 2.2, 1e-9},
                             {"frequency[1]", disc > 0 ? 0 : root, 1.7, disc > 0 ? 0 : 2.5, 1e-9},
                             {"gap", disc > 0 ? half - root : half, 1.8, 2.2, 1e-9},
                             {"covariance[0][0]", S[0], 1.8, 2.2, 1e-9},
                             {"covariance[0][1]", S[1], 1.8, 2.2, 1e-9},
                             {"covariance[1][1]", S[3], 1.8, 2.2, 1e-9},
                             {"rotation[0][1]", rotation, 1.8, 2.2, 1e-9},
                             {"current_l1", l1, 1.8, 2.2, 1e-9},
                             {"entropy_production", entropy, 1.8, 2.2, 1e-9}};

      SceneOpen(&s, "ald",
                "model_type=ou model_drift=%g,%g,%g,%g model_diffusion=0.3,0.13,0.13,0.2 model_center=0.3,-0.2 "
                "mesh_lower=-3.5,-2.9 mesh_upper=3.9,2.7 mesh_cells=96,80",
                A[0], A[1], A[2], A[3]);
      CheckKnown(&s, k ? "ou oscillating" : "ou", (int)(sizeof(known) / sizeof(known[0])), known);
      SceneClose(&s);
    }
  }
}

static void test_ou_space(PETSC_UNUSED void **none)
{
  const PetscReal A[9] = {1, -0.5, 0.2, 0.3, 1.3, 0.1, -0.1, 0.2, 0.8},
                  D[9] = {0.5, 0.1, -0.1, 0.1, 0.4, 0.1, -0.1, 0.1, 0.3};
  PetscReal        S[9];
  FPCurrentNumbers numbers;
  const PetscReal *pi;
  Scene            s;

  Lyapunov(3, A, D, S);
  {
    PetscReal Q[9];
    for (int i = 0; i < 9; i++) {
      Q[i] = -D[i];
      for (int k = 0; k < 3; k++) Q[i] += A[(i / 3) * 3 + k] * S[k * 3 + i % 3];
    }
    const Known known[] = {{"covariance[0][0]", S[0], 1.6, 2.4, 1e-8}, {"covariance[0][1]", S[1], 0, 0, 1e-8},
                           {"covariance[1][2]", S[5], 0, 0, 1e-8},     {"covariance[2][2]", S[8], 1.6, 2.4, 1e-8},
                           {"rotation[0][1]", 2 * Q[1], 0, 0, 1e-8},   {"rotation[0][2]", 2 * Q[2], 0, 0, 1e-8},
                           {"rotation[1][2]", 2 * Q[5], 0, 0, 1e-8}};

    SceneOpen(&s, "ald",
              "model_type=ou model_drift=1,-0.5,0.2,0.3,1.3,0.1,-0.1,0.2,0.8 "
              "model_diffusion=0.5,0.1,-0.1,0.1,0.4,0.1,-0.1,0.1,0.3 "
              "mesh_lower=-3.6,-3,-3.3 mesh_upper=3.3,3.2,3.1 mesh_cells=24,20,24 spectrum_pairs=3");
    CheckKnown(&s, "ou in space", 7, known);
  }
  must(FPGeneratorStationary(s.gen, &pi));
  must(FPGeneratorCurrent(s.gen, pi, NULL, NULL, NULL, &numbers));
  check(numbers.divergence_residual < 1e-11, "divergence %g", (double)numbers.divergence_residual);
  SceneClose(&s);
}

#define SIGNS "data_type=rademacher data_teacher=1.1 data_label_noise=0.9 model_type=chain model_depth=2 "
#define NORMAL "data_type=gaussian data_teacher=1.1 data_label_noise=0.9 model_type=chain model_depth=2 "
#define SYMMETRIC                                                                                                      \
  "data_type=gaussian data_inputs=a,b data_targets=c,d data_teacher=1.2,0.3,-0.4,0.7 data_label_noise=0.6 "            \
  "data_second_moment=0.8 model_type=symmetric "

/* ald on networks, in boxes that cut the law off-centre, against grids 2.5 times finer, and one entropy production
   against the spectral method of test_current_inside() (degrees 36 and 46). Where walls carry mass and D is strongly
   anisotropic entropy production and current have an order between 1.3 and 2. In the last, only bounds are asked for:
   its noise is very uneven. */
static void test_driven(PETSC_UNUSED void **none)
{
  const struct {
    const char *label, *keys, *mean, *variance;
    PetscReal   low, high, entropy;
    PetscReal   spectral; /* entropy production, known to 1e-8; 0: not known */
  } cases[] = {
      {"signs chain", SIGNS "training_learning_rate=0.2 training_batch_size=2 mesh_lower=-2.2,-1.9 mesh_upper=2.4,2.1",
       "mean_p", "variance_p", 1.7, 2.3, 1.3, 0.009425138},
      {"normal chain",
       NORMAL "training_learning_rate=0.04 training_batch_size=2 mesh_lower=-1.8,-1.5 mesh_upper=2.1,2.3", "mean_p",
       "variance_p", 1.7, 2.3, 1.3, 0},
      {"symmetric",
       SYMMETRIC "training_learning_rate=0.1 training_batch_size=2 mesh_lower=-1.7,-1.5 mesh_upper=2.1,1.2",
       "mean_p[0][1]", "variance_p[0][0]", 1.7, 2.3, 1.3, 0},
      {"uneven chain",
       NORMAL "training_learning_rate=0.2 training_batch_size=2 mesh_lower=-1.7,-1.4 mesh_upper=1.9,2.2", "mean_p",
       "variance_p", 0, 0, 0, 0},
  };

  for (size_t m = 0; m < sizeof(cases) / sizeof(cases[0]); m++) {
    const PetscReal a = cases[m].low, b = cases[m].high;
    Known           known[] = {{"decay_rate[1]", 0, a, b, 0},
                               {"decay_rate[2]", 0, a, b, 0},
                               {"decay_rate[3]", 0, a, b, 0},
                               {cases[m].mean, 0, a, b, 0},
                               {cases[m].variance, 0, a, b, 0},
                               {"loss", 0, a, b, 0},
                               {"covariance[0][1]", 0, a, b, 0},
                               {"rotation[0][1]", 0, 0, 0, 0},
                               {"max_curl", 0, 0, 0, 0},
                               {"circulation", 0, 0, 0, 0},
                               {"current_l1", 0, cases[m].entropy, b, 0},
                               {"entropy_production", 0, cases[m].entropy, b, 0}};
    const int       n       = (int)(sizeof(known) / sizeof(known[0]));
    char            keys[1024];
    Scene           s;

    (void)snprintf(keys, sizeof(keys), "%s spectrum_pairs=4 training_weight_decay=0.05 training_temperature=0.1",
                   cases[m].keys);
    SceneOpen(&s, "ald", "%s mesh_cells=160,144", keys);
    Fine(&s, n, known);
    if (cases[m].spectral > 0) {
      check(PetscAbsReal(known[n - 1].exact - cases[m].spectral) < known[n - 1].doubt,
            "entropy production %.9g +- %.2g", (double)known[n - 1].exact, (double)known[n - 1].doubt);
      known[n - 1].exact = cases[m].spectral;
      known[n - 1].doubt = 1e-8;
    }
    SceneClose(&s);
    SceneOpen(&s, "ald", "%s mesh_cells=64,56", keys);
    CheckKnown(&s, cases[m].label, n, known);
    SceneClose(&s);
    CheckCoarse("ald", keys, cases[m].label, n, known, 2, (const char *const[]){"48,40", "32,40"});
  }
}

/* ald on 2-chains whose walls carry no mass: everything about the current is of order 2. The first against a spectral
   Galerkin method (products of Legendre polynomials of degree 54 and 60 on the same box, weak form of div J = 0,
   entropy production int J . D^-1 v, by SciPy), to the digits in which the two degrees agree; both against grids twice
   as fine.
 */
static void test_current_inside(PETSC_UNUSED void **none)
{
  const struct {
    const char *label, *keys;
    PetscReal   entropy, circulation, curl; /* by the spectral method; 0: not known */
  } cases[] = {
      {"signs chain inside",
       SIGNS "training_learning_rate=0.2 training_batch_size=2 mesh_lower=-3.1,-2.9 mesh_upper=3,3.2", 0.01158575624,
       0.0064042, 0.103547},
      {"normal chain inside",
       NORMAL "training_learning_rate=0.06 training_batch_size=2 mesh_lower=-3.1,-2.9 mesh_upper=3,3.2", 0, 0, 0},
  };

  for (size_t m = 0; m < sizeof(cases) / sizeof(cases[0]); m++) {
    Known     known[] = {{"entropy_production", 0, 1.75, 2.25, 0},
                         {"current_l1", 0, 1.75, 2.25, 0},
                         {"max_curl", 0, 1.75, 2.25, 0},
                         {"circulation", 0, 1.75, 2.25, 0}};
    const int n       = (int)(sizeof(known) / sizeof(known[0]));
    char      keys[1024];
    Scene     s;

    (void)snprintf(keys, sizeof(keys), "%s spectrum_pairs=2 training_weight_decay=0.45 training_temperature=0.1",
                   cases[m].keys);
    SceneOpen(&s, "ald", "%s mesh_cells=180,160", keys);
    Fine(&s, n, known);
    if (cases[m].entropy > 0) {
      const PetscReal spectral[3] = {cases[m].entropy, cases[m].curl, cases[m].circulation};

      for (int k = 0; k < 3; k++) {
        const Known *q = &known[k ? k + 1 : 0];

        check(PetscAbsReal(q->exact - spectral[k]) < q->doubt + (k ? 2e-4 : 1e-8) * spectral[k],
              "%s: %.9g +- %.2g, by the spectral method %.9g", q->name, (double)q->exact, (double)q->doubt,
              (double)spectral[k]);
      }
      known[0].exact = cases[m].entropy;
      known[0].doubt = 1e-10;
    }
    SceneClose(&s);
    SceneOpen(&s, "ald", "%s mesh_cells=96,84", keys);
    CheckKnown(&s, cases[m].label, n, known);
    SceneClose(&s);
    CheckCoarse("ald", keys, cases[m].label, n, known, 3, (const char *const[]){"64,56", "48,40", "32,40"});
  }
}

/* Grids of 32 to 48 cells, on which bounds that trust an order of 2 are up to twice too small. */
static void test_coarse(PETSC_UNUSED void **none)
{
  const struct {
    const char *label, *process, *keys, *fine, *mean, *variance;
  } cases[] = {
      {"cold chain", "langevin",
       SIGNS "langevin_temperature=0.04 training_weight_decay=0.12 mesh_lower=-2.3,-2.1 mesh_upper=2.2,2.4", "176,168",
       "mean_p", "variance_p"},
      {"chain, ald2", "ald2",
       NORMAL "training_learning_rate=0.1 training_weight_decay=0.07 training_temperature=0.05 mesh_lower=-1.9,-2.1 "
              "mesh_upper=2.2,2",
       "160,144", "mean_p", "variance_p"},
      {"aligned", "langevin",
       "data_type=gaussian data_teacher=1,0.1,-0.1,0.5 data_label_noise=0.6 model_type=factorisation model_depth=2 "
       "model_coordinates=aligned training_learning_rate=0.05 training_weight_decay=0.05 training_temperature=0.045 "
       "mesh_lower=-2,-1.8 mesh_upper=2,1.9",
       "160,144", "mean_p[0][0]", "variance_p[0][0]"},
      {"diagonal", "ald",
       "data_type=gaussian data_teacher=0.9,0.45 data_label_noise=0.5 model_type=diagonal model_depth=2 "
       "training_batch_size=2 training_learning_rate=0.07 training_weight_decay=0.03 training_temperature=0.05 "
       "mesh_lower=-1.8,-1.6 mesh_upper=1.9,1.6",
       "160,144", "mean_p[0][1]", "variance_p[0][0]"},
  };

  for (size_t m = 0; m < sizeof(cases) / sizeof(cases[0]); m++) {
    Known known[] = {
        {"decay_rate[1]", 0, 0, 0, 0},    {"decay_rate[2]", 0, 0, 0, 0},    {"decay_rate[3]", 0, 0, 0, 0},
        {cases[m].mean, 0, 0, 0, 0},      {cases[m].variance, 0, 0, 0, 0},  {"loss", 0, 0, 0, 0},
        {"covariance[0][0]", 0, 0, 0, 0}, {"covariance[0][1]", 0, 0, 0, 0}, {"covariance[1][1]", 0, 0, 0, 0}};
    const int n = (int)(sizeof(known) / sizeof(known[0]));
    char      keys[1024];
    Scene     s;

    (void)snprintf(keys, sizeof(keys), "%s spectrum_pairs=4", cases[m].keys);
    SceneOpen(&s, cases[m].process, "%s mesh_cells=%s", keys, cases[m].fine);
    Fine(&s, n, known);
    SceneClose(&s);
    CheckCoarse(cases[m].process, keys, cases[m].label, n, known, 4,
                (const char *const[]){"64,56", "48,40", "40,48", "32,40"});
  }
}

/* Dynamics in the loss (w1 w2 - 1)^2/2 at T = 0.1 between walls, by a spectral Galerkin method of two degrees that
   agree to the digits given: 1e-10 for the gap, 5e-11 for the others. */
static void test_two_wells(PETSC_UNUSED void **none)
{
  const Known known[] = {
      {"decay_rate[1]", 8.515387e-4, 1.8, 2.2, 1e-10},  {"decay_rate[2]", 0.1177565947, 1.8, 2.2, 5e-11},
      {"decay_rate[3]", 0.1177652242, 1.8, 2.2, 5e-11}, {"decay_rate[4]", 0.3577628871, 1.8, 2.2, 5e-11},
      {"decay_rate[5]", 0.3618906666, 1.8, 2.2, 5e-11}, {"gap", 8.515387e-4, 1.8, 2.2, 1e-10}};
  Scene s;

  SceneOpen(&s, "langevin",
            "data_type=rademacher data_teacher=1 model_type=chain model_depth=2 langevin_temperature=0.1 "
            "mesh_lower=-2.5,-2.5 mesh_upper=2.5,2.5 mesh_cells=128,128 spectrum_pairs=5");
  CheckKnown(&s, "two wells", 6, known);
  SceneClose(&s);
  check(Table[rows - 1].error < 1e-5 * 8.515387e-4 && Table[rows - 1].bound < 1e-5 * 8.515387e-4,
        "relative error of the gap: true %g, reported %g", (double)(Table[rows - 1].error / 8.515387e-4),
        (double)(Table[rows - 1].bound / 8.515387e-4));
}

/* The balanced chain of depth 3 with decay l: V = (w^3 - p)^2/2 + 3 l w^2/2, wells near 0 and p^{1/3}, no symmetry.
   Gibbs moments by Gauss-Legendre quadrature, decay rates by the Galerkin method on Legendre polynomials, D = T/3. */
#define DEGREE 36
#define POINTS 400

static void Wells(PetscReal p, PetscReal l, PetscReal T, PetscReal low, PetscReal high, PetscReal rate[],
                  PetscReal moment[])
{
  gsl_matrix                    *A = gsl_matrix_calloc(DEGREE, DEGREE), *M = gsl_matrix_calloc(DEGREE, DEGREE);
  gsl_vector                    *value   = gsl_vector_alloc(DEGREE);
  gsl_eigen_gensymm_workspace   *work    = gsl_eigen_gensymm_alloc(DEGREE);
  gsl_integration_glfixed_table *rule    = gsl_integration_glfixed_table_alloc(POINTS);
  PetscReal                      sums[5] = {0};

  for (size_t k = 0; k < POINTS; k++) {
    double P[DEGREE + 1], dP[DEGREE + 1], x, weight;

    gsl_integration_glfixed_point(-1, 1, k, &x, &weight, rule);
    {
      const double w = (low + high) / 2 + (high - low) / 2 * x, e = w * w * w - p, V = e * e / 2 + 1.5 * l * w * w;
      const double g = weight * exp(-V / T), scale = 2 / (high - low);

      gsl_sf_legendre_Pl_deriv_array(DEGREE, x, P, dP);
      for (size_t i = 0; i < DEGREE; i++)
        for (size_t j = 0; j < DEGREE; j++) {
          *gsl_matrix_ptr(M, i, j) += g * P[i] * P[j];
          *gsl_matrix_ptr(A, i, j) += g * T / 3 * scale * scale * dP[i] * dP[j];
        }
      sums[0] += g;
      sums[1] += g * w;
      sums[2] += g * w * w;
      sums[3] += g * w * w * w;
      sums[4] += g * e * e / 2;
    }
  }
  gsl_eigen_gensymm(A, M, value, work);
  for (int i = 0; i < DEGREE; i++) rate[i] = gsl_vector_get(value, (size_t)i);
  must(PetscSortReal(DEGREE, rate));
  for (int k = 1; k < 5; k++) moment[k] = sums[k] / sums[0];
  gsl_integration_glfixed_table_free(rule);
  gsl_eigen_gensymm_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(A);
  gsl_matrix_free(M);
}

static void test_asymmetric_wells(PETSC_UNUSED void **none)
{
  const char *const maps[2] = {"", "mesh_map=sinh:0.45:1.7"};
  PetscReal         rate[DEGREE], moment[5];

  Wells(0.95, 0.11, 0.07, -0.8, 1.3, rate, moment);
  for (int m = 0; m < 2; m++) {
    const Known known[] = {{"gap", rate[1], 1.8, 2.2, 1e-11},
                           {"decay_rate[2]", rate[2], 1.8, 2.2, 1e-11},
                           {"decay_rate[3]", rate[3], 1.8, 2.2, 1e-10},
                           {"mean[0]", moment[1], 1.6, 2.2, 1e-13},
                           {"covariance[0][0]", moment[2] - moment[1] * moment[1], 1.6, 2.2, 1e-13},
                           {"mean_p", moment[3], 1.6, 2.2, 1e-13},
                           {"loss", moment[4], 1.6, 2.2, 1e-13}};
    Scene       s;

    SceneOpen(&s, "langevin",
              "data_type=rademacher data_teacher=0.95 model_type=chain model_depth=3 model_coordinates=balanced "
              "training_weight_decay=0.11 langevin_temperature=0.07 mesh_lower=-0.8 mesh_upper=1.3 mesh_cells=160 %s",
              maps[m]);
    CheckKnown(&s, m ? "asymmetric, mapped" : "asymmetric", 7, known);
    SceneClose(&s);
  }
}

/* Depth 1 with normal inputs, batch B, h = eta s: rates n s - n (n - 1) h s/B, variance eta sigma^2/(2 B)/(1 - h/B).
   Balanced depth 2 with inputs +-1, teacher P, v0 = sigma^2/B: p ~ Gamma of shape P/(eta v0) - 1/2 and scale eta v0,
   rates 2 n (mu - 2 n D) with D = eta v0/2, mu = P - D. */
static void test_exact_laws(PETSC_UNUSED void **none)
{
  const PetscReal eta = 0.12, s2 = 0.9, B = 3, sigma = 0.8, h = eta * s2;
  const Known     pearson[] = {{"decay_rate[1]", s2, 1.8, 2.2, 1e-12},
                               {"decay_rate[2]", 2 * s2 - 2 * h * s2 / B, 1.7, 2.2, 1e-9},
                               {"decay_rate[3]", 3 * s2 - 6 * h * s2 / B, 1.4, 2.2, 1e-7},
                               {"mean_p", 0.7, 0, 0, 1e-13},
                               {"variance_p", eta * sigma * sigma / (2 * B) / (1 - h / B), 0, 0, 1e-11}};
  const PetscReal v0 = 0.36, d = 0.1 * v0 / 2, mu = 1.2 - d, shape = 1.2 / (0.1 * v0) - 0.5;
  const Known     morse[] = {{"decay_rate[1]", 2 * (mu - 2 * d), 1.7, 2.2, 1e-10},
                             {"decay_rate[2]", 4 * (mu - 4 * d), 1.7, 2.2, 1e-8},
                             {"mean_p", shape * 0.1 * v0, 0, 0, 1e-12},
                             {"variance_p", shape * 0.01 * v0 * v0, 0, 0, 1e-12}};
  Scene           s;

  SceneOpen(
      &s, "ald",
      "data_type=gaussian data_teacher=0.7 data_second_moment=0.9 data_label_noise=0.8 training_learning_rate=0.12 "
      "training_batch_size=3 model_type=chain model_depth=1 mesh_lower=-0.9 mesh_upper=2.3 mesh_cells=512");
  CheckKnown(&s, "pearson", 5, pearson);
  SceneClose(&s);
  SceneOpen(&s, "ald",
            "data_type=rademacher data_teacher=1.2 data_label_noise=0.6 training_learning_rate=0.1 model_type=chain "
            "model_depth=2 model_coordinates=balanced mesh_lower=-2.2 mesh_upper=2.1 mesh_cells=256");
  CheckKnown(&s, "morse", 4, morse);
  SceneClose(&s);
}

/* Gibbs law of the 2-chain in weights and in coordinates p, q, where cells weigh dp dq/S: the same law of p. */
static void test_coordinates(PETSC_UNUSED void **none)
{
  const char *const keys[2]  = {"model_coordinates=weights mesh_lower=-3.1,-3.3 mesh_upper=3.2,3.1 mesh_cells=96,96",
                                "model_coordinates=invariant mesh_lower=-3.2,-4.8 mesh_upper=4,4.8 mesh_cells=192,176"};
  const char *const names[2] = {"mean_p", "variance_p"};
  PetscReal         value[2][2], bound[2][2];

  for (int c = 0; c < 2; c++) {
    FPQuantities q[SCENE_LEVELS];
    FPRefinement grids;
    PetscReal    v[SCENE_LEVELS];
    Scene        s;

    SceneOpen(&s, "langevin",
              "data_type=rademacher data_teacher=1.1 model_type=chain model_depth=2 training_weight_decay=0.4 "
              "langevin_temperature=0.12 spectrum_pairs=2 %s",
              keys[c]);
    AskLevels(&s, q, &grids);
    for (int k = 0; k < 2; k++) Reported(q, &grids, names[k], v, &value[c][k], &bound[c][k]);
    for (int l = 0; l < SCENE_LEVELS; l++) must(FPQuantitiesFree(&q[l]));
    SceneClose(&s);
  }
  for (int k = 0; k < 2; k++)
    check(PetscAbsReal(value[0][k] - value[1][k]) <= bound[0][k] + bound[1][k] + 1e-8 && bound[1][k] < 0.01,
          "%s: %.9g +- %.1g in weights, %.9g +- %.1g in p, q", names[k], (double)value[0][k], (double)bound[0][k],
          (double)value[1][k], (double)bound[1][k]);
}

/* Every bound reported above holds, and the middle one is at most 20 times the true error. */
static void test_bounds(PETSC_UNUSED void **none)
{
  PetscReal quotient[ROOM];
  int       count = 0, broken = 0;

  for (int k = 0; k < rows; k++) {
    const PetscReal error = Table[k].error, allowed = Table[k].bound + Table[k].doubt;

    if (error > allowed) {
      printf("%s: error %g, bound %g\n", Table[k].label, (double)error, (double)Table[k].bound);
      broken++;
    }
    if (error > 1e-13 * (1 + PetscAbsReal(Table[k].exact))) quotient[count++] = Table[k].bound / error;
  }
  must(PetscSortReal(count, quotient));
  printf("%d bounds, of %d the quotient bound/error: least %.2g, median %.3g, largest %.3g\n", rows, count,
         (double)quotient[0], (double)quotient[count / 2], (double)quotient[count - 1]);
  check(!broken, "%d bounds of %d do not hold", broken, rows);
  check(quotient[count / 2] <= 20, "median of bound/error %g", (double)quotient[count / 2]);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ou),
                                     cmocka_unit_test(test_ou_space),
                                     cmocka_unit_test(test_driven),
                                     cmocka_unit_test(test_current_inside),
                                     cmocka_unit_test(test_coarse),
                                     cmocka_unit_test(test_two_wells),
                                     cmocka_unit_test(test_asymmetric_wells),
                                     cmocka_unit_test(test_exact_laws),
                                     cmocka_unit_test(test_coordinates),
                                     cmocka_unit_test(test_bounds)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

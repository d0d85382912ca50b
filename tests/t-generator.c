/* t-generator.c: the generator as a Markov chain, its Gibbs laws and detailed balance, closed classes, masks, absorbing
   walls, vectors and currents. */
#include "message.h"
#include "scene.h"
#include <math.h>
#include <gsl/gsl_sf_hyperg.h>

#define SCALAR                                                                                                         \
  "data_type=gaussian data_teacher=1.1 data_label_noise=0.7 data_second_moment=0.9 training_learning_rate=0.15 "       \
  "training_batch_size=2 "
#define MATRIX                                                                                                         \
  "data_type=gaussian data_inputs=a,b data_targets=c,d data_teacher=1.2,0.3,-0.4,0.7 data_label_noise=0.6 "            \
  "data_second_moment=0.8 training_learning_rate=0.15 training_batch_size=2 "
#define VECTOR                                                                                                         \
  "data_type=gaussian data_inputs=a,b data_targets=c data_teacher=1.2,0.7 data_label_noise=0.6 "                       \
  "data_second_moment=0.8 training_learning_rate=0.15 training_batch_size=2 "
#define BOX2 "mesh_lower=-1.7,-1.3 mesh_upper=2.1,1.9 mesh_cells=64,48 "

typedef struct {
  const char *process, *keys;
  PetscReal   low, high; /* accepted orders of the weak residual below */
} Case;

/* Every model a grid can hold, with noise that is isotropic, full or rank-deficient. With rank-deficient D the residual
   falls as the square of the longest edge, which is h in the mean but moves in whole cells. */
static const Case Cases[] = {
    {"langevin", SCALAR BOX2 "model_type=chain model_depth=2 training_temperature=0.13 training_weight_decay=0.05", 1.8,
     2.2},
    {"ald", SCALAR BOX2 "model_type=chain model_depth=2 training_temperature=0.03 training_weight_decay=0.05", 1.8,
     2.3},
    {"ald2", SCALAR BOX2 "model_type=chain model_depth=2 training_temperature=0.03 training_weight_decay=0.05", 1.8,
     2.3},
    {"ald", SCALAR BOX2 "model_type=chain model_depth=2 generator_whole_box=true", 0.45, 2.5},
    {"ald2", SCALAR BOX2 "model_type=chain model_depth=2 mesh_map=sinh:0.3:2,uniform generator_whole_box=true", 0.45,
     2.5},
    {"ald",
     SCALAR BOX2 "model_type=chain model_depth=2 training_temperature=0.03 mesh_map=sinh:0.3:1.5,sinh:-0.2:1.2 "
                 "training_weight_decay=0.05",
     1.8, 2.3},
    {"langevin",
     SCALAR "model_type=chain model_depth=2 model_coordinates=invariant mesh_lower=0.3,-0.8 mesh_upper=2.1,1.1 "
            "mesh_cells=32,24 training_temperature=0.1 training_weight_decay=0.05",
     1.8, 2.3},
    {"ald",
     SCALAR "model_type=chain model_depth=2 model_coordinates=invariant mesh_lower=0.3,-0.8 mesh_upper=2.1,1.1 "
            "mesh_cells=32,24 training_temperature=0.1 training_weight_decay=0.05",
     1.8, 2.3},
    {"ald",
     SCALAR "model_type=chain model_depth=2 model_coordinates=invariant mesh_lower=0.3,-0.8 mesh_upper=2.1,1.1 "
            "mesh_cells=32,24 training_weight_decay=0.05 generator_whole_box=true",
     0.45, 2.5},
    {"ald",
     SCALAR "model_type=chain model_depth=3 model_coordinates=balanced mesh_lower=0.2 mesh_upper=2.3 mesh_cells=48",
     1.8, 2.3},
    {"ald2",
     SCALAR "model_type=chain model_depth=2 model_coordinates=balanced mesh_lower=-2 mesh_upper=2.3 mesh_cells=48 "
            "training_temperature=0.1",
     1.8, 2.3},
    {"ald", MATRIX BOX2 "model_type=symmetric training_temperature=0.05", 1.8, 2.3},
    {"ald", MATRIX BOX2 "model_type=symmetric", 0.45, 2.5},
    {"ald", MATRIX BOX2 "model_type=factorisation model_coordinates=aligned training_temperature=0.02", 1.8, 2.3},
    {"ald", VECTOR BOX2 "model_type=diagonal model_depth=2 training_temperature=0.02", 1.8, 2.3},
    {"ald", VECTOR BOX2 "model_type=diagonal model_depth=2 mesh_faces=absorbing", 0.45, 4.5},
    {"ald", BOX2 "model_type=ou model_drift=1,-0.8,0.3,1.4 model_diffusion=0.3,0.17,0.17,0.2", 1.9, 2.1},
    {"ald", BOX2 "model_type=ou model_drift=1,-0.8,0.3,1.4 model_diffusion=0.36,0.24,0.24,0.16", 0.45, 2.5},
    {"ald",
     "model_type=ou model_drift=1,-0.8,0.2,0.3,1.4,0,-0.1,0.4,0.9 "
     "model_diffusion=0.5,0.2,-0.1,0.2,0.4,0.15,-0.1,0.15,0.3 "
     "mesh_lower=-2,-1.8,-1.9 mesh_upper=1.7,2.2,2.3 mesh_cells=16,12,20",
     1.8, 2.3},
};
#define CASES ((int)(sizeof(Cases) / sizeof(Cases[0])))

/* f and its first and second derivatives: a product of f_a = sin(0.7 z + a + 0.3). */
static void Function(PetscInt d, const PetscReal z[], PetscReal *f, PetscReal g[], PetscReal H[])
{
  PetscReal s[3], c[3];

  *f = 1;
  for (PetscInt a = 0; a < d; a++) {
    s[a] = sin(0.7 * z[a] + a + 0.3);
    c[a] = cos(0.7 * z[a] + a + 0.3);
    *f *= s[a];
  }
  for (PetscInt a = 0; a < d; a++) {
    g[a] = 0.7 * c[a];
    for (PetscInt b = 0; b < d; b++) {
      if (b != a) g[a] *= s[b];
      H[a * d + b] = a == b ? -0.49 * *f : 0.49 * c[a] * c[b];
      for (PetscInt e = 0; e < d; e++)
        if (a != b && e != a && e != b) H[a * d + b] *= s[e];
    }
  }
}

/* Sum over nodes of measure g (Q f - b . grad f - D : grad grad f) over that of measure g |...|, with a weight g that
   vanishes at the walls: the weak residual, which knows nothing of the scheme's form. */
static PetscReal WeakResidual(Scene *s)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *kill;
  const FPEdge    *edge;
  PetscReal       *b, *D, *Qf, difference = 0, size = 0, *f;
  PetscInt         d, n, edges;

  must(FPGeneratorGetGrid(s->gen, &d, &cells, NULL));
  must(FPGeneratorGetNodes(s->gen, &n, &node, &z, &measure, NULL));
  must(FPGeneratorGetEdges(s->gen, &edges, &edge, &kill));
  must(PetscMalloc4(d * n, &b, d * d * n, &D, n, &Qf, n, &f));
  FPProcessDrift(s->process, (int)n, z, b);
  FPProcessDiffusion(s->process, (int)n, z, D);
  for (PetscInt k = 0; k < n; k++) {
    PetscReal p[3], g[3], H[9];

    for (PetscInt a = 0; a < d; a++) p[a] = z[a * n + k];
    Function(d, p, &f[k], g, H);
    Qf[k] = -kill[k] * f[k];
    for (PetscInt a = 0; a < d; a++) {
      Qf[k] -= b[a * n + k] * g[a];
      for (PetscInt c = 0; c < d; c++) Qf[k] -= D[(a * d + c) * n + k] * H[a * d + c];
    }
  }
  for (PetscInt e = 0; e < edges; e++) {
    Qf[edge[e].i] += edge[e].qij * (f[edge[e].j] - f[edge[e].i]);
    Qf[edge[e].j] += edge[e].qji * (f[edge[e].i] - f[edge[e].j]);
  }
  for (PetscInt k = 0; k < n; k++) {
    PetscReal w    = measure[k];
    PetscInt  rest = node[k];

    for (PetscInt a = 0; a < d; a++) {
      const PetscReal xi = (rest % cells[a] + 0.5) / cells[a];

      w *= pow(sin(PETSC_PI * xi), 8) * (1 + 0.5 * sin(3 * xi + a));
      rest /= cells[a];
    }
    difference += w * Qf[k];
    size += w;
  }
  must(PetscFree4(b, D, Qf, f));
  return PetscAbsReal(difference) / size;
}

/* Rates are rates of a chain on the lattice, for every process and model. */
static void CheckChain(Scene *s, const Case *c)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *kill;
  const FPEdge    *edge;
  PetscInt         d, n, edges;
  FPGeneratorInfo  info;
  PetscBool        absorbing = (PetscBool)(strstr(c->keys, "absorbing") != NULL);

  must(FPGeneratorGetInfo(s->gen, &info));
  must(FPGeneratorGetGrid(s->gen, &d, &cells, NULL));
  must(FPGeneratorGetNodes(s->gen, &n, &node, &z, NULL, NULL));
  must(FPGeneratorGetEdges(s->gen, &edges, &edge, &kill));
  assert_int_equal(n, info.unknowns);
  check(info.worst_row_sum <= 1e-14 && info.most_negative_rate == 0, "%s, %s: row sum %g", c->process, c->keys,
        (double)info.worst_row_sum);
  for (PetscInt e = 0; e < edges; e++) {
    PetscInt from = node[edge[e].i], to = node[edge[e].j];

    check(edge[e].qij >= 0 && edge[e].qji >= 0 && isfinite(edge[e].qij + edge[e].qji), "rates %g, %g",
          (double)edge[e].qij, (double)edge[e].qji);
    for (PetscInt a = 0; a < d; a++) {
      check(to % cells[a] - from % cells[a] == edge[e].offset[a], "edge %d is no lattice vector", (int)e);
      from /= cells[a];
      to /= cells[a];
    }
  }
  for (PetscInt k = 0; k < n; k++)
    check(absorbing ? kill[k] >= 0 && isfinite(kill[k]) : kill[k] == 0, "%s, %s: killed at %g at (%g, %g)", c->process,
          c->keys, (double)kill[k], (double)z[k], (double)z[n + k]);
}

/* The weak residual of every case falls with the order stated, on twice and four times the cells of the table. */
static void test_markov(PETSC_UNUSED void **none)
{
  for (int c = 0; c < CASES; c++) {
    PetscReal residual[2], order;
    Scene     s;

    SceneOpen(&s, Cases[c].process, "%s", Cases[c].keys);
    for (int k = 0; k < 2; k++) {
      (void)SceneGrid(&s, k ? 0 : 2);
      CheckChain(&s, &Cases[c]);
      residual[k] = WeakResidual(&s);
    }
    order = PetscLog2Real(residual[0] / residual[1]);
    if (getenv("SHOW"))
      printf("%8.1e %8.1e order %5.2f  %s %.60s\n", (double)residual[0], (double)residual[1], (double)order,
             Cases[c].process, strstr(Cases[c].keys, "model_type"));
    check(order >= Cases[c].low && order <= Cases[c].high, "%s, %s: residuals %g, %g, order %g", Cases[c].process,
          Cases[c].keys, (double)residual[0], (double)residual[1], (double)order);
    SceneClose(&s);
  }
}

/* Detailed balance and Gibbs law of one process: its stationary law is exp(-V/T) times the measure of the cells. H: the
   matrix of a quadratic potential H/2 about c, at temperature 1; NULL: the model's V. */
static void CheckGibbs(const char process[], PetscReal T, const PetscReal H[], const PetscReal c[], const char keys[])
{
  const PetscReal *z, *measure, *pi, *left;
  const FPEdge    *edge;
  PetscReal       *V, *w, *gibbs, least = PETSC_MAX_REAL, sum = 0, defect, worst = 0, tilt = 0;
  const PetscReal *rate;
  PetscInt         n, edges, weights;
  PetscBool        mapped;
  FPGeneratorInfo  info;
  Scene            s;

  SceneOpen(&s, process, "%s", keys);
  (void)SceneGrid(&s, 2);
  must(FPGeneratorGetInfo(s.gen, &info));
  check(info.reversible, "%s, %s is not seen to be reversible", process, keys);
  must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, &measure, NULL));
  must(FPGeneratorGetEdges(s.gen, &edges, &edge, NULL));
  must(FPModelGetParent(s.model, &mapped, &weights));
  must(PetscCalloc3(n, &V, weights * n, &w, n, &gibbs));
  if (mapped) FPModelLift(s.model, (int)n, z, w);
  if (!H) FPModelPotential(s.model, (int)n, mapped ? w : z, V);
  for (PetscInt k = 0; k < n; k++) {
    for (PetscInt i = 0; H && i < s.dim; i++)
      for (PetscInt j = 0; j < s.dim; j++)
        V[k] += 0.5 * H[i * s.dim + j] * (z[i * n + k] - c[i]) * (z[j * n + k] - c[j]);
    V[k] /= T;
    least = PetscMin(least, V[k]);
  }
  for (PetscInt k = 0; k < n; k++) sum += gibbs[k] = measure[k] * exp(least - V[k]);
  for (PetscInt e = 0; e < edges; e++) {
    const PetscInt  i = edge[e].i, j = edge[e].j;
    const PetscReal ratio = log(edge[e].qij / edge[e].qji) - V[i] + V[j] + log(measure[i] / measure[j]);

    worst = PetscMax(worst, PetscAbsReal(ratio) / PetscMax(1, PetscAbsReal(V[i] - V[j])));
  }
  check(worst <= 1e-12, "%s, %s: detailed balance %g", process, keys, (double)worst);
  must(FPGeneratorDetailedBalance(s.gen, &defect));
  check(defect <= 1e-12, "%s, %s: defect %g", process, keys, (double)defect);
  must(FPGeneratorSolve(s.gen, 2));
  must(FPGeneratorStationary(s.gen, &pi));
  worst = 0;
  for (PetscInt k = 0; k < n; k++) worst = PetscMax(worst, PetscAbsReal(pi[k] * sum / gibbs[k] - 1));
  check(worst <= 1e-10, "%s, %s: Gibbs law off by %g", process, keys, (double)worst);
  must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
  must(FPGeneratorGetMode(s.gen, 0, NULL, &left));
  for (PetscInt k = 0; k < n; k++) tilt = PetscMax(tilt, PetscAbsReal(left[k] / left[n / 2] * gibbs[n / 2] - gibbs[k]));
  check(tilt <= 1e-7 || rate[1] < 1e-6, "%s, %s: slowest left vector off by %g", process, keys, (double)tilt);
  must(PetscFree3(V, w, gibbs));
  SceneClose(&s);
}

static void test_gibbs(PETSC_UNUSED void **none)
{
  /* A = D H: D = (0.5, 0.2; 0.2, 0.3), H = (2, 0.7; 0.7, 1.1) and its 3-D like */
  const PetscReal H2[4] = {2, 0.7, 0.7, 1.1}, c2[2] = {0.21, -0.13}, c3[3] = {0, 0, 0};
  const PetscReal H3[9] = {2, 0.5, 0, 0.5, 1.5, -0.3, 0, -0.3, 1.8};

  CheckGibbs("langevin", 0.13, NULL, NULL,
             SCALAR "mesh_lower=-1.9,-1.3 mesh_upper=2.1,2.3 mesh_cells=64,48 mesh_map=sinh:0.3:2.2,sinh:0.9:1.7 "
                    "model_type=chain model_depth=2 training_temperature=0.13 training_weight_decay=0.05");
  CheckGibbs("langevin", 0.011, NULL, NULL,
             SCALAR "mesh_lower=-1.9,-1.3 mesh_upper=2.1,2.3 mesh_cells=64,48 model_type=chain model_depth=2 "
                    "training_temperature=0.011 training_weight_decay=0.05");
  CheckGibbs("langevin", 0.2, NULL, NULL,
             SCALAR
             "mesh_lower=-1.9,-1.3,-1.5 mesh_upper=2.1,2.3,1.8 mesh_cells=24,16,20 model_type=chain model_depth=3 "
             "training_temperature=0.2");
  CheckGibbs("langevin", 0.2, NULL, NULL, MATRIX BOX2 "model_type=symmetric training_temperature=0.2");
  CheckGibbs("langevin", 0.2, NULL, NULL,
             SCALAR "mesh_lower=-1.9 mesh_upper=2.1 mesh_cells=64 mesh_map=sinh:0.9:2 model_type=chain model_depth=3 "
                    "model_coordinates=balanced training_temperature=0.2 training_weight_decay=0.05");
  CheckGibbs("langevin", 0.13, NULL, NULL,
             SCALAR "mesh_lower=-2.4,-2 mesh_upper=2.4,2 mesh_cells=64,48 model_type=chain model_depth=2 "
                    "model_coordinates=invariant training_temperature=0.13 training_weight_decay=0.05");
  CheckGibbs("ald", 1, H2, c2,
             "model_type=ou model_center=0.21,-0.13 model_drift=1.14,0.57,0.61,0.47 model_diffusion=0.5,0.2,0.2,0.3 "
             "mesh_lower=-2.5,-3.1 mesh_upper=2.1,3.3 mesh_cells=64,40 mesh_map=sinh:0.4:2.1,sinh:-0.2:1.6");
  CheckGibbs("ald", 1, H2, c2,
             "model_type=ou model_center=0.21,-0.13 model_drift=1.14,0.57,0.61,0.47 model_diffusion=0.5,0.2,0.2,0.3 "
             "mesh_lower=-2.5,-3.1 mesh_upper=2.1,3.3 mesh_cells=40,64");
  CheckGibbs("ald", 1, H3, c3,
             "model_type=ou model_drift=1.1,0.58,-0.24,0.6,0.655,0.15,-0.125,0.085,0.495 "
             "model_diffusion=0.5,0.2,-0.1,0.2,0.4,0.15,-0.1,0.15,0.3 mesh_lower=-2.5,-2.1,-2.2 mesh_upper=2.1,2.3,2.2 "
             "mesh_cells=24,20,16 mesh_map=sinh:0.1:1.2,uniform,uniform");
}

/* The wells of the balanced chain without injected noise do not meet, wherever the nodes lie: D = 0 at w = 0. Kept is
   the class of the minimum. The paths of the diagonal network have four classes. */
static void test_closed_classes(PETSC_UNUSED void **none)
{
  const char *const boxes[] = {
      "mesh_lower=-2 mesh_upper=2 mesh_cells=64", "mesh_lower=-2 mesh_upper=2.17 mesh_cells=96",
      "mesh_lower=-1.83 mesh_upper=2 mesh_cells=63", "mesh_lower=-2 mesh_upper=2 mesh_cells=65 mesh_map=sinh:0.31:1.3"};
  for (int depth = 2; depth <= 4; depth++)
    for (int b = 0; b < 4; b++) {
      const FPCriticalPoint *points;
      const PetscReal       *z, *rate;
      PetscInt               n, count;
      FPGeneratorInfo        info;
      Scene                  s;

      SceneOpen(&s, "ald", "%s model_type=chain model_coordinates=balanced model_depth=%d %s", SCALAR, depth, boxes[b]);
      (void)SceneGrid(&s, 0);
      must(FPGeneratorGetInfo(s.gen, &info));
      must(FPModelGetCriticalPoints(s.model, &count, &points));
      must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, NULL, NULL));
      check(info.closed_classes >= 2 && info.closed_classes <= 4, "depth %d, %s: %d closed classes", depth, boxes[b],
            (int)info.closed_classes);
      for (PetscInt k = 0; k < n; k++)
        check(z[k] * points[0].z[0] > 0, "depth %d, %s: %g in the class of %g", depth, boxes[b], (double)z[k],
              (double)points[0].z[0]);
      must(FPGeneratorSolve(s.gen, 2));
      must(FPGeneratorGetModes(s.gen, &count, &rate, NULL, NULL));
      check(PetscAbsReal(rate[0]) < 1e-9 && rate[1] > 1e-2, "depth %d, %s: rates %g, %g", depth, boxes[b],
            (double)rate[0], (double)rate[1]);
      SceneClose(&s);
    }
  {
    FPGeneratorInfo info;
    Scene           s;

    SceneOpen(&s, "ald", "%s",
              VECTOR "mesh_lower=-1.7,-1.37 mesh_upper=2.1,1.9 mesh_cells=64,48 model_type=diagonal model_depth=2");
    (void)SceneGrid(&s, 0);
    must(FPGeneratorGetInfo(s.gen, &info));
    assert_int_equal(info.closed_classes, 4);
    SceneClose(&s);
    SceneOpen(&s, "ald", "%s", /* nodes on both lines where the noise vanishes */
              VECTOR "mesh_lower=-1.7,-1.9 mesh_upper=1.7,1.9 mesh_cells=51,45 model_type=diagonal model_depth=2");
    (void)SceneGrid(&s, 0);
    must(FPGeneratorGetInfo(s.gen, &info));
    assert_int_equal(info.closed_classes, 4);
    SceneClose(&s);
  }
}

static void Rates(Scene *s, PetscInt level, PetscInt count, PetscReal rates[])
{
  const PetscReal *rate;
  PetscInt         have;

  must(FPGeneratorSolve(SceneGrid(s, level), count - 1));
  must(FPGeneratorGetModes(s->gen, &have, &rate, NULL, NULL));
  check(have >= count, "%d of %d modes", (int)have, (int)count);
  for (PetscInt k = 0; k < count; k++) rates[k] = rate[k];
}

/* Cells without mass are left out and nobody sees it: for V = V_1(x) + V_2(y) and D = T I the spectrum of the plane is
   that of all sums of two spectra of lines, also on the grid, and the lines have no cells to leave out. */
static void test_mask(PETSC_UNUSED void **none)
{
  PetscReal       line[2][4], plane[6], sum[16];
  FPGeneratorInfo info;
  Scene           s;

  SceneOpen(
      &s, "langevin",
      "model_type=ou model_drift=1.3,0,0,0.7 model_diffusion=1,0,0,1 langevin_temperature=0.11 mesh_lower=-2.4,-2.9 "
      "mesh_upper=2.6,3.3 mesh_cells=48,40");
  Rates(&s, 0, 6, plane);
  must(FPGeneratorGetInfo(s.gen, &info));
  check(info.masked > 100 && info.masked + info.unknowns == 48 * 40, "%d cells masked", (int)info.masked);
  SceneClose(&s);
  for (int a = 0; a < 2; a++) {
    SceneOpen(&s, "langevin", "model_type=ou model_drift=%s model_diffusion=1 langevin_temperature=0.11 %s",
              a ? "0.7" : "1.3",
              a ? "mesh_lower=-2.9 mesh_upper=3.3 mesh_cells=40" : "mesh_lower=-2.4 mesh_upper=2.6 mesh_cells=48");
    Rates(&s, 0, 4, line[a]);
    must(FPGeneratorGetInfo(s.gen, &info));
    assert_int_equal(info.masked, 0);
    SceneClose(&s);
  }
  for (int k = 0; k < 16; k++) sum[k] = line[0][k / 4] + line[1][k % 4];
  must(PetscSortReal(16, sum));
  for (int k = 0; k < 6; k++)
    check(PetscAbsReal(plane[k] - sum[k]) < 1e-10, "mode %d: %.12g masked, %.12g whole", k, (double)plane[k],
          (double)sum[k]);
}

/* dx = -a x dt + sqrt(2 D) dB killed at l and u: with u = sqrt(a/2D) x rates are zeros of the determinant of the two
   Kummer solutions M(-r/2a, 1/2, u^2) and u M(1/2 - r/2a, 3/2, u^2) at the walls. */
static PetscReal KilledDeterminant(PetscReal r, PetscReal a, PetscReal D, PetscReal l, PetscReal u)
{
  const PetscReal x[2] = {l * PetscSqrtReal(a / (2 * D)), u * PetscSqrtReal(a / (2 * D))};
  PetscReal       even[2], odd[2];

  for (int k = 0; k < 2; k++) {
    even[k] = gsl_sf_hyperg_1F1(-r / (2 * a), 0.5, x[k] * x[k]);
    odd[k]  = x[k] * gsl_sf_hyperg_1F1(0.5 - r / (2 * a), 1.5, x[k] * x[k]);
  }
  return even[0] * odd[1] - even[1] * odd[0];
}

static void KilledRates(PetscReal a, PetscReal D, PetscReal l, PetscReal u, PetscInt count, PetscReal rate[])
{
  PetscReal r = 1e-3, last = KilledDeterminant(r, a, D, l, u);
  PetscInt  found = 0;

  while (found < count) {
    const PetscReal next = KilledDeterminant(r + 0.05, a, D, l, u);

    if (last * next < 0) {
      PetscReal low = r, high = r + 0.05;

      for (int k = 0; k < 60; k++) {
        const PetscReal middle = (low + high) / 2;

        if (KilledDeterminant(middle, a, D, l, u) * last > 0)
          low = middle;
        else
          high = middle;
      }
      rate[found++] = (low + high) / 2;
    }
    r += 0.05;
    last = next;
  }
}

/* log2 of the ratio of errors on half the cells and on all of them, for the slowest modes; largest error on the finest.
 */
static void CheckOrder(Scene *s, PetscInt count, const PetscReal exact[], PetscReal low, PetscReal high,
                       const char name[])
{
  PetscReal coarse[8], fine[8];

  Rates(s, 2, count, coarse);
  Rates(s, 0, count, fine);
  for (PetscInt k = 0; k < count; k++) {
    const PetscReal order = PetscLog2Real(PetscAbsReal((coarse[k] - exact[k]) / (fine[k] - exact[k])));

    check(order > low && order < high, "%s, mode %d: %.10g, %.10g, exactly %.10g, order %g", name, (int)k,
          (double)coarse[k], (double)fine[k], (double)exact[k], (double)order);
    check(PetscAbsReal(fine[k] - exact[k]) < 0.01 * exact[k], "%s, mode %d: %g, exactly %g", name, (int)k,
          (double)fine[k], (double)exact[k]);
  }
}

static void test_absorbing(PETSC_UNUSED void **none)
{
  PetscReal line[2][3], plane[9], full[3][2], fitted[2];
  Scene     s;

  KilledRates(1, 0.5, -0.9, 1.4, 3, line[0]);
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1 model_diffusion=0.5 mesh_lower=-0.9 mesh_upper=1.4 mesh_cells=256 "
            "mesh_faces=absorbing");
  CheckOrder(&s, 3, line[0], 1.9, 2.1, "line");
  SceneClose(&s);
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1 model_diffusion=0.5 mesh_lower=-0.9 mesh_upper=1.4 mesh_cells=256 "
            "mesh_faces=absorbing mesh_map=sinh:0.2:1.5");
  CheckOrder(&s, 3, line[0], 1.9, 2.1, "line with a map");
  SceneClose(&s);
  KilledRates(0.6, 0.8, -1.1, 1.3, 3, line[1]);
  for (int k = 0; k < 9; k++) plane[k] = line[0][k / 3] + line[1][k % 3];
  must(PetscSortReal(9, plane));
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1,0,0,0.6 model_diffusion=0.5,0,0,0.8 mesh_lower=-0.9,-1.1 mesh_upper=1.4,1.3 "
            "mesh_cells=128,96 mesh_faces=absorbing");
  CheckOrder(&s, 3, plane, 1.8, 2.3, "plane");
  SceneClose(&s);
  /* full D and a rotating drift: against a fit of h^2 and h^3 to three finer grids, h, 4/3 h and 2 h */
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1,-0.5,0.7,0.6 model_diffusion=0.5,0.3,0.3,0.8 mesh_lower=-0.9,-1.1 "
            "mesh_upper=1.4,1.3 mesh_cells=128,112 mesh_faces=absorbing,absorbing,absorbing,reflecting");
  for (int l = 0; l < 3; l++) Rates(&s, l, 2, full[l]);
  for (int k = 0; k < 2; k++) {
    const PetscReal d1 = full[1][k] - full[0][k], d2 = full[2][k] - full[0][k];
    const PetscReal b = (d2 / 3 - d1 * 9 / 7) / (7.0 / 3 - 37.0 / 21), a = d2 / 3 - b * 7 / 3;

    fitted[k] = full[0][k] - a - b;
  }
  SceneClose(&s);
  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1,-0.5,0.7,0.6 model_diffusion=0.5,0.3,0.3,0.8 mesh_lower=-0.9,-1.1 "
            "mesh_upper=1.4,1.3 mesh_cells=64,56 mesh_faces=absorbing,absorbing,absorbing,reflecting");
  CheckOrder(&s, 2, fitted, 1.6, 3.0, "full D");
  SceneClose(&s);
}

/* sum_k left_a[k] right_b[k], relative to the norms */
static PetscReal Overlap(FPGenerator gen, PetscInt n, PetscInt a, PetscInt b)
{
  const PetscReal *right, *left;
  PetscReal        sum = 0, size = 0;

  must(FPGeneratorGetMode(gen, a, NULL, &left));
  must(FPGeneratorGetMode(gen, b, &right, NULL));
  for (PetscInt k = 0; k < n; k++) {
    sum += left[k] * right[k];
    size += PetscAbsReal(left[k] * right[k]);
  }
  return sum / size;
}

/* Left and right vectors of a driven process: biorthogonal where rates differ, eigenvectors of the rates themselves;
   the stationary law positive and stationary. */
static void test_vectors(PETSC_UNUSED void **none)
{
  const PetscReal *rate, *frequency, *residual, *pi, *right, *left;
  const FPEdge    *edge;
  PetscReal       *net, worst = 0, largest = 0, sum = 0;
  PetscInt         n, edges;
  Scene            s;

  SceneOpen(&s, "ald",
            MATRIX "model_type=symmetric training_temperature=0.15 mesh_lower=-2.1,-1.7 mesh_upper=1.9,2.2 "
                   "mesh_cells=48,40");
  must(FPGeneratorSolve(SceneGrid(&s, 0), 4));
  must(FPGeneratorGetNodes(s.gen, &n, NULL, NULL, NULL, NULL));
  must(FPGeneratorGetEdges(s.gen, &edges, &edge, NULL));
  must(FPGeneratorGetModes(s.gen, NULL, &rate, &frequency, &residual));
  must(FPGeneratorStationary(s.gen, &pi));
  for (PetscInt k = 0; k < n; k++) {
    check(pi[k] > 0, "probability %g", (double)pi[k]);
    sum += pi[k];
  }
  check(PetscAbsReal(sum - 1) < 1e-12, "total probability %.15g", (double)sum);
  check(rate[0] > -1e-10 && rate[0] < 1e-10, "slowest rate %g", (double)rate[0]);
  for (PetscInt a = 0; a < 5; a++)
    for (PetscInt b = 0; b < 5; b++)
      if (PetscAbsReal(rate[a] - rate[b]) > 1e-6 && frequency[a] + frequency[b] == 0)
        check(PetscAbsReal(Overlap(s.gen, n, a, b)) < 1e-7, "left %d and right %d overlap by %g", (int)a, (int)b,
              (double)Overlap(s.gen, n, a, b));
  must(PetscCalloc1(n, &net));
  for (PetscInt m = 0; m < 5; m++) { /* Q^T left = -rate left, Q right = -rate right, for real rates */
    PetscReal size[2] = {0, 0}, off[2] = {0, 0};

    if (frequency[m] != 0) continue;
    must(FPGeneratorGetMode(s.gen, m, &right, &left));
    for (int side = 0; side < 2; side++) {
      const PetscReal *x = side ? right : left;

      for (PetscInt k = 0; k < n; k++) net[k] = rate[m] * x[k];
      for (PetscInt e = 0; e < edges; e++) {
        const PetscInt  i = edge[e].i, j = edge[e].j;
        const PetscReal flow = x[i] * edge[e].qij - x[j] * edge[e].qji;

        net[i] += side ? edge[e].qij * (x[j] - x[i]) : -flow;
        net[j] += side ? edge[e].qji * (x[i] - x[j]) : flow;
      }
      for (PetscInt k = 0; k < n; k++) {
        size[side] = PetscMax(size[side], PetscAbsReal(x[k]));
        off[side]  = PetscMax(off[side], PetscAbsReal(net[k]));
      }
      check(off[side] < 1e-6 * size[side], "mode %d, %s: residual %g", (int)m, side ? "right" : "left",
            (double)(off[side] / size[side]));
    }
  }
  must(PetscArrayzero(net, n));
  for (PetscInt e = 0; e < edges; e++) {
    const PetscReal flow = pi[edge[e].i] * edge[e].qij - pi[edge[e].j] * edge[e].qji;

    net[edge[e].i] += flow;
    net[edge[e].j] -= flow;
    largest = PetscMax(largest, pi[edge[e].i] * edge[e].qij);
  }
  for (PetscInt k = 0; k < n; k++) worst = PetscMax(worst, PetscAbsReal(net[k]));
  check(worst < 1e-12 * largest, "stationary law: net outflow %g of the largest flow", (double)(worst / largest));
  must(PetscFree(net));
  SceneClose(&s);
}

/* Largest error of J on the grid against the exact current of an OU process, relative to the largest current. Exact: J
   = (b + D S^-1 x) p with A S + S A^T = 2 D. Also: J and psi are one object, psi vanishes on all walls. */
static PetscReal CurrentError(Scene *s, PetscInt level, const PetscReal S[4], FPCurrentNumbers *numbers)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *pi;
  const PetscReal  det = S[0] * S[3] - S[1] * S[2];
  PetscReal       *J, *psi, *curl, *b, *D, worst = 0, largest = 0, high = 0, width[2][256], center[256];
  PetscInt         n, N, across;

  must(FPGeneratorSolve(SceneGrid(s, level), 3));
  must(FPGeneratorGetGrid(s->gen, NULL, &cells, NULL));
  must(FPGeneratorGetNodes(s->gen, &n, &node, &z, NULL, NULL));
  must(FPGeneratorStationary(s->gen, &pi));
  N      = cells[0] * cells[1];
  across = PetscMax(1, cells[0]);
  must(PetscMalloc5(2 * N, &J, (cells[0] + 1) * (cells[1] + 1), &psi, (cells[0] + 1) * (cells[1] + 1), &curl, 2 * n, &b,
                    4 * n, &D));
  must(FPGeneratorCurrent(s->gen, pi, J, psi, curl, numbers));
  for (PetscInt a = 0; a < 2; a++) must(FPGeneratorAxis(s->gen, a, center, width[a]));
  FPProcessDrift(s->process, (int)n, z, b);
  FPProcessDiffusion(s->process, (int)n, z, D);
  for (PetscInt c = 0; c < (cells[0] + 1) * (cells[1] + 1); c++) high = PetscMax(high, PetscAbsReal(psi[c]));
  for (PetscInt i = 0; i <= cells[0]; i++)
    for (PetscInt j = 0; j <= cells[1]; j++)
      if (i == 0 || j == 0 || i == cells[0] || j == cells[1])
        check(PetscAbsReal(psi[i + (cells[0] + 1) * j]) < 1e-9 * high, "psi on a wall is %g of its largest",
              (double)(psi[i + (cells[0] + 1) * j] / high));
  for (PetscInt k = 0; k < n; k++) {
    const PetscInt  i = node[k] % across, j = node[k] / across, c = i + (across + 1) * j;
    const PetscReal x = z[k], y = z[n + k];
    const PetscReal p =
        exp(-0.5 * (S[3] * x * x - 2 * S[1] * x * y + S[0] * y * y) / det) / (2 * PETSC_PI * PetscSqrtReal(det));
    const PetscReal f[2]      = {(S[3] * x - S[1] * y) / det, (S[0] * y - S[1] * x) / det};
    const PetscReal around[2] = {
        0.5 * (psi[c + cells[0] + 2] - psi[c + 1] + psi[c + cells[0] + 1] - psi[c]) / width[1][j],
        -0.5 * (psi[c + cells[0] + 2] - psi[c + cells[0] + 1] + psi[c + 1] - psi[c]) / width[0][i]};

    for (PetscInt a = 0; a < 2; a++) {
      const PetscReal exact = p * (b[a * n + k] + D[2 * a * n + k] * f[0] + D[(2 * a + 1) * n + k] * f[1]);

      check(PetscAbsReal(around[a] - J[a * N + node[k]]) < 1e-9 * high / width[1 - a][a ? i : j], "J and psi differ");
      worst   = PetscMax(worst, PetscAbsReal(J[a * N + node[k]] - exact));
      largest = PetscMax(largest, PetscAbsReal(exact));
    }
  }
  must(PetscFree5(J, psi, curl, b, D));
  return worst / largest;
}

/* A = (1, -0.8; 0.3, 1.4), D = (0.3, 0.17; 0.17, 0.2): S from A S + S A^T = 2 D. */
static void test_current(PETSC_UNUSED void **none)
{
  const char *const maps[2] = {"", "mesh_map=sinh:0.2:1.6,sinh:-0.3:1.4"};
  const PetscReal   A[4] = {1, -0.8, 0.3, 1.4}, D[3] = {0.3, 0.17, 0.2};
  /* unknowns S11, S12, S22: Cramer's rule on the three equations */
  const PetscReal M[3][3] = {{2 * A[0], 2 * A[1], 0}, {A[2], A[0] + A[3], A[1]}, {0, 2 * A[2], 2 * A[3]}};
  const PetscReal r[3]    = {2 * D[0], 2 * D[1], 2 * D[2]};
  const PetscReal det     = M[0][0] * (M[1][1] * M[2][2] - M[1][2] * M[2][1]) - M[0][1] * M[1][0] * M[2][2];
  PetscReal       S[4];

  S[0] = (r[0] * (M[1][1] * M[2][2] - M[1][2] * M[2][1]) - M[0][1] * (r[1] * M[2][2] - M[1][2] * r[2])) / det;
  S[3] = (M[0][0] * (M[1][1] * r[2] - r[1] * M[2][1]) - M[0][1] * M[1][0] * r[2] + r[0] * M[1][0] * M[2][1]) / det;
  S[1] = S[2] = (r[0] - M[0][0] * S[0]) / M[0][1];
  check(PetscAbsReal(A[2] * S[0] + (A[0] + A[3]) * S[1] + A[1] * S[3] - r[1]) < 1e-12, "covariance");
  for (int m = 0; m < 2; m++) {
    FPCurrentNumbers numbers;
    PetscReal        error[2];
    Scene            s;

    SceneOpen(&s, "ald",
              "model_type=ou model_drift=1,-0.8,0.3,1.4 model_diffusion=0.3,0.17,0.17,0.2 mesh_lower=-3.6,-2.3 "
              "mesh_upper=3.3,2.5 mesh_cells=96,80 %s",
              maps[m]);
    error[0] = CurrentError(&s, 2, S, &numbers);
    error[1] = CurrentError(&s, 0, S, &numbers);
    check(error[0] / error[1] > 3.4 && error[0] / error[1] < 4.8 && error[1] < 0.03, "errors of J: %g, %g",
          (double)error[0], (double)error[1]);
    check(numbers.divergence_residual < 1e-12, "divergence %g", (double)numbers.divergence_residual);
    check(numbers.has_entropy && numbers.entropy_production > 0, "entropy production %g",
          (double)numbers.entropy_production);
    SceneClose(&s);
  }
}

/* A reversible process has no current at all. */
static void test_no_current(PETSC_UNUSED void **none)
{
  FPCurrentNumbers numbers;
  const PetscReal *pi;
  Scene            s;

  SceneOpen(&s, "langevin", "%s", SCALAR BOX2 "model_type=chain model_depth=2 training_temperature=0.13");
  must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
  must(FPGeneratorStationary(s.gen, &pi));
  must(FPGeneratorCurrent(s.gen, pi, NULL, NULL, NULL, &numbers));
  check(numbers.current_l1 < 1e-12 && numbers.circulation < 1e-12 && numbers.max_curl < 1e-10 &&
            PetscAbsReal(numbers.entropy_production) < 1e-20,
        "current %g, circulation %g, entropy production %g", (double)numbers.current_l1, (double)numbers.circulation,
        (double)numbers.entropy_production);
  SceneClose(&s);
}

/* A symmetric double well of ald whose gap is near the rounding of the solver: the law of w -> -w keeps its symmetry
   within the error that the chain admits; where the gap is far below rounding, one well is the answer, and it says so.
 */
static void test_tiny_gap(PETSC_UNUSED void **none)
{
  static const char *const temperature[] = {"0.025", "0.0015"};

  for (int k = 0; k < 2; k++) {
    const PetscReal *z, *pi;
    PetscInt         n;
    PetscReal        mean = 0, square = 0;
    FPGeneratorInfo  info;
    Scene            s;

    SceneOpen(&s, "ald",
              "data_type=rademacher data_teacher=0.9 data_label_noise=0.4 model_type=chain training_weight_decay=0.05 "
              "training_batch_size=3 training_temperature=%s mesh_lower=-2.1,-2.1 mesh_upper=2.1,2.1 mesh_cells=56,56",
              temperature[k]);
    must(FPGeneratorSolve(SceneGrid(&s, 0), 3));
    must(FPGeneratorGetInfo(s.gen, &info));
    must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, NULL, NULL));
    must(FPGeneratorStationary(s.gen, &pi));
    for (PetscInt i = 0; i < n; i++) {
      mean += pi[i] * z[i];
      square += pi[i] * z[i] * z[i];
    }
    if (k == 0) {
      check(!info.metastable && info.mixing_error < 1e-3, "mixing error %g", (double)info.mixing_error);
      check(PetscAbsReal(mean) <= info.mixing_error * PetscSqrtReal(square) + 1e-12, "mean %g, error %g", (double)mean,
            (double)info.mixing_error);
    } else {
      check(info.metastable, "mixing error %g", (double)info.mixing_error);
      check(mean > 0.5, "mean %g: not the law of the well with p > 0, w > 0", (double)mean);
    }
    SceneClose(&s);
  }
}

/* A cold saddle between absorbing walls has two ways out and a slowest mode without a sign: the law is still one. */
static void test_cold_saddle(PETSC_UNUSED void **none)
{
  const PetscReal *pi;
  PetscReal        sum = 0;
  PetscInt         n;
  Scene            s;

  SceneOpen(&s, "langevin",
            "data_type=rademacher data_teacher=0.8 data_label_noise=0.4 model_type=chain training_weight_decay=0.1 "
            "langevin_temperature=0.001 mesh_lower=-0.6,-0.6 mesh_upper=0.6,0.6 mesh_cells=64,64 mesh_faces=absorbing");
  must(FPGeneratorSolve(SceneGrid(&s, 0), 3));
  must(FPGeneratorGetNodes(s.gen, &n, NULL, NULL, NULL, NULL));
  must(FPGeneratorStationary(s.gen, &pi));
  for (PetscInt k = 0; k < n; k++) {
    check(pi[k] >= 0, "probability %g", (double)pi[k]);
    sum += pi[k];
  }
  check(PetscAbsReal(sum - 1) < 1e-9, "sum %.12g", (double)sum);
  SceneClose(&s);
}

/* A cold law in the corner of a box far from it, on one cell: bad input, no failed computation. */
static void test_single_cell(PETSC_UNUSED void **none)
{
  Scene s;

  SceneOpen(&s, "langevin",
            "model_type=ou model_drift=1.3,0,0,0.7 model_diffusion=1,0,0,1 langevin_temperature=1e-4 mesh_lower=10,9 "
            "mesh_upper=12,13 mesh_cells=24,20");
  refused(FPGeneratorCreate(s.process, s.mesh, 0, &s.options, NULL, &s.gen), "mesh");
  s.gen = NULL;
  SceneClose(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_markov),      cmocka_unit_test(test_gibbs),      cmocka_unit_test(test_closed_classes),
      cmocka_unit_test(test_mask),        cmocka_unit_test(test_absorbing),  cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_current),     cmocka_unit_test(test_no_current), cmocka_unit_test(test_tiny_gap),
      cmocka_unit_test(test_cold_saddle), cmocka_unit_test(test_single_cell)};
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

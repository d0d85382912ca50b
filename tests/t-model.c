/* t-model.c: derivatives against differences, noise covariances against quadrature and closed forms, coordinates,
   wrong input. Critical points are in t-critical.c. */
#include "message.h"
#include "models.h"
#include <gsl/gsl_integration.h>
#include <string.h>

/* Every model, with keys in which nothing is round or symmetric. */
static const char *const Models[][20] = {
    {ONE, "model_type", "chain", "model_depth", "1", "training_weight_decay", "0.13"},
    {ONE, "model_type", "chain", "model_depth", "2", "training_weight_decay", "0.13"},
    {SIGN, "model_type", "chain", "model_depth", "3"},
    {"data_type", "file", "data_path", "data/diabetes_bmi.csv", "data_standardize", "true", "model_type", "chain",
     "model_depth", "4"},
    {ONE, "model_type", "chain", "model_depth", "3", "model_coordinates", "balanced", "training_weight_decay", "0.07"},
    {SIGN, "model_type", "chain", "model_depth", "4", "model_coordinates", "balanced"},
    {ONE, "model_type", "chain", "model_coordinates", "invariant", "training_weight_decay", "0.13"},
    {THREE, "model_type", "diagonal", "model_depth", "3", "training_weight_decay", "0.11"},
    {TWO, "model_type", "symmetric", "training_weight_decay", "0.11"},
    {IRIS, "model_type", "symmetric", "model_rank", "2"},
    {IRIS, "model_type", "factorisation", "training_weight_decay", "0.05"},
    {TWO, "model_type", "factorisation", "model_depth", "1"},
    {TWO, "model_type", "factorisation", "model_depth", "3", "training_weight_decay", "0.05"},
    {TWO, "model_type", "factorisation", "model_depth", "5", "training_weight_decay", "0.05"},
    {IRIS, "model_type", "factorisation", "model_depth", "6"},
    {ONE, "model_type", "chain", "model_depth", "19", "training_weight_decay", "0.05"},
    {TWO, "model_type", "factorisation", "model_depth", "3", "model_coordinates", "aligned"},
    {IRIS, "model_type", "factorisation", "model_coordinates", "aligned", "training_weight_decay", "0.05"},
    {"model_type", "ou", "model_drift", "1.1,0.4,-0.3,0.8", "model_diffusion", "0.5,0.2,0.2,0.3", "model_center",
     "0.2,-0.6", "training_weight_decay", "0.05"},
    {"model_type", "ou", "model_drift", "1.1,0.4,0.4,0.8", "model_diffusion", "0.5,0.5,0.5,0.5", "training_batch_size",
     "3"},
};
#define MODELS (PetscInt)(sizeof(Models) / sizeof(Models[0]))

/* Point l, coordinate k: spread over (-1.3, 1.3) without symmetry. */
static double coordinate(PetscInt l, PetscInt k)
{
  return 1.3 * sin(1.7 + 2.3 * (double)l + 1.1 * (double)(k * k + 3 * k));
}

/* d/dz_k of `rows` functions at z[d], fourth-order central differences of step h; `out` [rows] */
static void difference(FPModel model, void (*f)(FPModel, int, const double *, double *), PetscInt d, PetscInt rows,
                       const double z[], PetscInt k, double out[])
{
  const double h = 2e-3, c[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
  double       w[4 * FP_MAX_DIM], value[4 * FP_MAX_DIM * FP_MAX_DIM];

  for (PetscInt s = 0; s < 4; s++)
    for (PetscInt i = 0; i < d; i++) w[i * 4 + s] = z[i] + (i == k ? h * ((double[]){-2, -1, 1, 2})[s] : 0);
  (*f)(model, 4, w, value);
  for (PetscInt r = 0; r < rows; r++) {
    out[r] = 0;
    for (PetscInt s = 0; s < 4; s++) out[r] += c[s] * value[r * 4 + s] / h;
  }
}

/* J, gradient, Hessian, div C of one model at one point. */
static void check_derivatives(FPModel model, PetscInt d, PetscInt maps, const double z[])
{
  double    J[FP_MAX_MAP * FP_MAX_DIM], g[FP_MAX_DIM], H[FP_MAX_DIM * FP_MAX_DIM], c[FP_MAX_DIM];
  double    out[FP_MAX_DIM * FP_MAX_DIM], div[FP_MAX_DIM] = {0};
  PetscReal metric;
  PetscBool potential;

  must(FPModelGetMetric(model, &metric));
  must(FPModelHasPotential(model, &potential));
  FPModelJacobian(model, 1, z, J);
  FPModelGradient(model, 1, z, g);
  FPModelHessian(model, 1, z, H);
  FPModelDivCovariance(model, 1, z, c);
  for (PetscInt k = 0; k < d; k++) {
    if (maps) difference(model, FPModelMap, d, maps, z, k, out);
    for (PetscInt a = 0; a < maps; a++) near(J[a * d + k], out[a], 1e-9 * (1 + PetscAbsReal(out[a])), "Jacobian");
    difference(model, FPModelPotential, d, 1, z, k, out);
    if (potential) near(g[k], metric * out[0], 1e-9 * (1 + PetscAbsReal(g[k])), "gradient");
    difference(model, FPModelGradient, d, d, z, k, out);
    for (PetscInt i = 0; i < d; i++) near(H[i * d + k], out[i], 1e-9 * (1 + PetscAbsReal(out[i])), "Hessian");
    difference(model, FPModelCovariance, d, d * d, z, k, out);
    for (PetscInt i = 0; i < d; i++) div[i] += out[i * d + k];
  }
  for (PetscInt i = 0; i < d; i++) near(c[i], div[i], 2e-8 * (1 + PetscAbsReal(div[i])), "divergence of C");
}

static void test_derivatives(void **state)
{
  Case c;

  (void)state;
  for (PetscInt m = 0; m < MODELS; m++) {
    PetscInt d, inputs, targets;

    must(Create(Models[m], &c));
    must(FPModelGetSizes(c.model, &d, &inputs, &targets));
    for (PetscInt l = 0; l < 5; l++) {
      double z[FP_MAX_DIM];

      for (PetscInt k = 0; k < d; k++) z[k] = coordinate(l, k);
      check_derivatives(c.model, d, inputs * targets, z);
    }
    destroy(&c);
  }
}

/* One sample's gradient over the nodes: mean = gradient without decay, covariance = C = F F^T. */
static void check_samples(FPModel model, FPData data, PetscReal decay, PetscInt d, const double z[])
{
  PetscInt   p, r, count, channels;
  PetscReal *u, *weight, mean[FP_MAX_DIM] = {0}, cov[FP_MAX_DIM * FP_MAX_DIM] = {0}, size = 0;
  double     g[FP_MAX_DIM], C[FP_MAX_DIM * FP_MAX_DIM], F[FP_MAX_DIM * FP_MAX_DIM];

  must(FPDataGetSizes(data, &p, &r));
  must(FPDataGetNodes(data, 4, &count, &u, &weight));
  for (PetscInt n = 0; n < count; n++) {
    double sample[FP_MAX_DIM] = {0};

    FPModelSampleGradient(model, 1, z, u + n * (p + r), u + n * (p + r) + p, sample);
    for (PetscInt i = 0; i < d; i++) {
      mean[i] += weight[n] * sample[i];
      for (PetscInt j = 0; j < d; j++) cov[i * d + j] += weight[n] * sample[i] * sample[j];
    }
  }
  FPModelGradient(model, 1, z, g);
  FPModelCovariance(model, 1, z, C);
  FPModelCovarianceFactor(model, 1, z, F);
  must(FPModelGetChannels(model, &channels));
  for (PetscInt i = 0; i < d; i++) near(mean[i], g[i] - decay * z[i], 1e-11, "mean of the samples");
  for (PetscInt k = 0; k < d * d; k++) size = PetscMax(size, PetscAbsReal(C[k]));
  for (PetscInt k = 0; k < d * d; k++) {
    PetscReal FF = 0;

    for (PetscInt e = 0; e < channels; e++) FF += F[k / d * channels + e] * F[k % d * channels + e];
    near(cov[k] - mean[k / d] * mean[k % d], C[k], 1e-11 * (1 + size), "C from samples");
    near(FF, C[k], 1e-12 * (1 + size), "F F^T");
  }
  must(PetscFree(u));
  must(PetscFree(weight));
}

static void test_samples(void **state)
{
  Case c;

  (void)state;
  for (PetscInt m = 0; m < MODELS; m++) {
    PetscInt   d;
    FPTraining training;

    must(Create(Models[m], &c));
    must(FPTrainingRead(c.config, &training));
    must(FPModelGetSizes(c.model, &d, NULL, NULL));
    for (PetscInt l = 0; l < 4 && c.data; l++) {
      double z[FP_MAX_DIM];

      for (PetscInt k = 0; k < d; k++) z[k] = coordinate(l, k);
      check_samples(c.model, c.data, training.weight_decay, d, z);
    }
    destroy(&c);
  }
}

/* 150 points at once equal 150 single points, bit for bit up to the last digits that vector code may change. */
static void check_block(FPModel model, void (*f)(FPModel, int, const double *, double *), PetscInt d, PetscInt rows)
{
  enum { n = 150 };
  double *z, *many, one[FP_MAX_DIM * FP_MAX_DIM], zl[FP_MAX_DIM];

  must(PetscMalloc2(d * n, &z, rows * n, &many));
  for (PetscInt k = 0; k < d * n; k++) z[k] = coordinate(k % n, k / n);
  (*f)(model, n, z, many);
  for (PetscInt l = 0; l < n; l++) {
    for (PetscInt k = 0; k < d; k++) zl[k] = z[k * n + l];
    (*f)(model, 1, zl, one);
    for (PetscInt r = 0; r < rows; r++) near(many[r * n + l], one[r], 1e-13 * (1 + PetscAbsReal(one[r])), "block");
  }
  must(PetscFree2(z, many));
}

static void test_blocks(void **state)
{
  Case c;

  (void)state;
  for (PetscInt m = 0; m < MODELS; m++) {
    PetscInt d, inputs, targets, channels;

    must(Create(Models[m], &c));
    must(FPModelGetSizes(c.model, &d, &inputs, &targets));
    must(FPModelGetChannels(c.model, &channels));
    if (targets) check_block(c.model, FPModelMap, d, inputs * targets);
    if (targets) check_block(c.model, FPModelJacobian, d, inputs * targets * d);
    check_block(c.model, FPModelLoss, d, 1);
    check_block(c.model, FPModelPotential, d, 1);
    check_block(c.model, FPModelGradient, d, d);
    check_block(c.model, FPModelHessian, d, d * d);
    check_block(c.model, FPModelCovariance, d, d * d);
    check_block(c.model, FPModelDivCovariance, d, d);
    check_block(c.model, FPModelLift, d, d);
    check_block(c.model, FPModelProject, d, d);
    check_block(c.model, FPModelPush, d, d * d);
    check_block(c.model, FPModelMeasure, d, 1);
    destroy(&c);
  }
}

/* Chain: C = v Q Q^T with v = 2 s^2 (p - P)^2 + s sigma^2 (Gaussian), s sigma^2 (signs); Q_j = p/w_j. */
static void test_chain_noise(void **state)
{
  const double z[3] = {0.9, -1.4, 0.6}, p = z[0] * z[1] * z[2];
  double       C[9];
  Case         c;

  (void)state;
  for (PetscInt k = 0; k < 2; k++) {
    const PetscReal v = k ? 1.7 * 0.49 : 2 * 0.64 * PetscSqr(p - 1.3) + 0.8 * 0.16;

    if (k)
      must(Create(KEYS(SIGN, "model_type", "chain", "model_depth", "3"), &c));
    else
      must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "3"), &c));
    FPModelCovariance(c.model, 1, z, C);
    for (PetscInt i = 0; i < 9; i++) near(C[i], v * p * p / (z[i / 3] * z[i % 3]), 1e-13, "C");
    destroy(&c);
  }
}

/* Without label noise C vanishes at the minimum, to the last bit of a product. */
static void test_interpolation(void **state)
{
  double z[2] = {0.8, 1.3 / 0.8}, C[4], F[2];
  Case   c;

  (void)state;
  must(Create(KEYS("data_type", "gaussian", "data_teacher", "1.3", "model_type", "chain"), &c));
  FPModelCovariance(c.model, 1, z, C);
  FPModelCovarianceFactor(c.model, 1, z, F);
  for (PetscInt k = 0; k < 4; k++) near(C[k], 0, 1e-30, "C");
  for (PetscInt k = 0; k < 2; k++) near(F[k], 0, 1e-15, "F");
  destroy(&c);
}

/* 2 x 2 factorisation: Cov(G_ab, G_cd) = s^2 [(R R^T)_ac delta_bd + R_ad R_cb] + sigma^2 s delta_ac delta_bd, pulled
   back by dW1 = W2^T G, dW2 = G W1^T, where w = (W1, W2) by rows. */
static void test_factorisation_noise(void **state)
{
  const PetscReal s = 1.2, v = 0.31 * 0.31, teacher[4] = {0.7, -0.25, 0.4, 1.3};
  double          w[8], C[64], R[4], K[16], B[32] = {0};
  Case            c;

  (void)state;
  must(Create(KEYS(TWO, "model_type", "factorisation"), &c));
  for (PetscInt k = 0; k < 8; k++) w[k] = coordinate(3, k);
  for (PetscInt i = 0; i < 4; i++) R[i] = w[4 + i / 2 * 2] * w[i % 2] + w[5 + i / 2 * 2] * w[2 + i % 2] - teacher[i];
  for (PetscInt t = 0; t < 16; t++) {
    const PetscInt  a = t / 8, b = t / 4 % 2, e = t / 2 % 2, f = t % 2;
    const PetscReal RR = R[a * 2] * R[e * 2] + R[a * 2 + 1] * R[e * 2 + 1];

    K[t] = s * s * ((b == f) * RR + R[a * 2 + f] * R[e * 2 + b]) + v * s * (a == e) * (b == f);
  }
  for (PetscInt i = 0; i < 2; i++) /* B[ab][parameter]: derivative of both layers by G_ab */
    for (PetscInt j = 0; j < 2; j++)
      for (PetscInt a = 0; a < 2; a++) {
        B[(a * 2 + j) * 8 + i * 2 + j]     = w[4 + a * 2 + i]; /* dW1_ij = sum_a W2_ai G_aj */
        B[(i * 2 + a) * 8 + 4 + i * 2 + j] = w[j * 2 + a];     /* dW2_ij = sum_a G_ia W1_ja */
      }
  FPModelCovariance(c.model, 1, w, C);
  for (PetscInt k = 0; k < 64; k++) {
    PetscReal sum = 0;

    for (PetscInt t = 0; t < 16; t++) sum += B[t / 4 * 8 + k / 8] * K[t] * B[t % 4 * 8 + k % 8];
    near(C[k], sum, 1e-13, "C");
  }
  destroy(&c);
}

/* Diagonal net: Cov(g_i, g_j) = [s^2 (R_i R_j + |R|^2 delta_ij) + s sigma^2 delta_ij] w_i^2 w_j^2 for depth 3. */
static void test_diagonal_noise(void **state)
{
  const PetscReal s = 0.9, v = 0.25, z[3] = {0.9, -1.2, 0.4}, teacher[3] = {1.2, -0.5, 0.3};
  PetscReal       R[3], norm = 0;
  double          C[9], g[3];
  Case            c;

  (void)state;
  must(Create(KEYS(THREE, "model_type", "diagonal", "model_depth", "3"), &c));
  FPModelCovariance(c.model, 1, z, C);
  FPModelGradient(c.model, 1, z, g);
  for (PetscInt i = 0; i < 3; i++) {
    R[i] = z[i] * z[i] * z[i] - teacher[i];
    norm += R[i] * R[i];
    near(g[i], s * R[i] * z[i] * z[i], 1e-14, "gradient");
  }
  for (PetscInt k = 0; k < 9; k++) {
    const PetscInt i = k / 3, j = k % 3;

    near(C[k], (s * s * (R[i] * R[j] + (i == j) * norm) + (i == j) * s * v) * z[i] * z[i] * z[j] * z[j], 1e-13, "C");
  }
  destroy(&c);
}

/* Balanced coordinates: the gradient and C are those of each weight of the chain on its balanced line. */
static void test_balanced(void **state)
{
  const double w = 1.07, all[3] = {w, w, w};
  double       g1, C1, g[3], C[9], V1, V;
  Case         one, full;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "3", "model_coordinates", "balanced",
                   "training_weight_decay", "0.07"),
              &one));
  must(Create(KEYS(ONE, "model_type", "chain", "model_depth", "3", "training_weight_decay", "0.07"), &full));
  FPModelGradient(one.model, 1, &w, &g1);
  FPModelCovariance(one.model, 1, &w, &C1);
  FPModelPotential(one.model, 1, &w, &V1);
  FPModelGradient(full.model, 1, all, g);
  FPModelCovariance(full.model, 1, all, C);
  FPModelPotential(full.model, 1, all, &V);
  near(g1, g[1], 1e-14, "gradient");
  near(C1, C[4], 1e-14, "C");
  near(V1, V, 1e-14, "potential");
  destroy(&one);
  destroy(&full);
}

/* Drift and diffusion of the chain of depth 2 pushed to (p, q), against their closed forms. */
static void test_invariant(void **state)
{
  const PetscReal s = 0.8, P = 1.3, l = 0.13, eta = 0.3, T = 0.05, B = 3;
  Case            c;
  PetscBool       mapped;
  PetscInt        weights;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "model_coordinates", "invariant", "training_weight_decay", "0.13"), &c));
  must(FPModelGetParent(c.model, &mapped, &weights));
  assert_int_equal(mapped, PETSC_TRUE);
  assert_int_equal(weights, 2);
  for (PetscInt n = 0; n < 6; n++) {
    const double    z[2] = {coordinate(n, 0), n == 5 ? 0 : coordinate(n, 1)};
    const PetscReal S = 2 * hypot(z[0], z[1]), v = 2 * s * s * PetscSqr(z[0] - P) + s * 0.16;
    double          w[2], again[2], g[2], D[4], push[4], c2[2], b[2] = {0, 0}, Dz[4] = {0, 0, 0, 0}, m;

    FPModelLift(c.model, 1, z, w);
    FPModelProject(c.model, 1, w, again);
    FPModelGradient(c.model, 1, w, g);
    FPModelCovariance(c.model, 1, w, D);
    for (PetscInt k = 0; k < 4; k++) D[k] = eta / (2 * B) * D[k] + T * (k % 3 == 0);
    FPModelPush(c.model, 1, w, push);
    FPModelPushSecond(c.model, 1, w, D, c2);
    FPModelMeasure(c.model, 1, z, &m);
    for (PetscInt i = 0; i < 2; i++) {
      near(again[i], z[i], 1e-14, "project(lift(z))");
      b[i] = c2[i];
      for (PetscInt k = 0; k < 2; k++) b[i] -= push[i * 2 + k] * g[k];
      for (PetscInt t = 0; t < 8; t++)
        Dz[i * 2 + t / 4] += push[i * 2 + t / 2 % 2] * D[t / 2 % 2 * 2 + t % 2] * push[t / 4 * 2 + t % 2];
    }
    near(b[0], -s * (z[0] - P) * S - 2 * l * z[0] + eta * v / B * z[0], 1e-13, "b_p");
    near(b[1], -2 * l * z[1] - eta * v / B * z[1], 1e-13, "b_q");
    near(Dz[0], S * (T + eta * v * S / (2 * B)), 1e-13, "D_pp");
    near(Dz[1], 0, 1e-13, "D_pq");
    near(Dz[3], T * S, 1e-13, "D_qq");
    near(m, 1 / S, 1e-14 / S, "measure");
  }
  destroy(&c);
}

/* int dp dq/(2 sqrt(p^2 + q^2)) over [0, a] x [0, b], in polar coordinates: half the integral of the radius. */
static double Radius(double phi, void *context)
{
  const double *corner = (const double *)context;

  return 0.5 * PetscMin(corner[0] / cos(phi), corner[1] / sin(phi));
}

static double Quadrant(double p, double q)
{
  double                     corner[2] = {fabs(p), fabs(q)}, below, above, error;
  gsl_function               f         = {Radius, corner};
  gsl_integration_workspace *work      = gsl_integration_workspace_alloc(100);

  if (p == 0 || q == 0) {
    gsl_integration_workspace_free(work);
    return 0;
  }
  gsl_integration_qag(&f, 0, atan2(corner[1], corner[0]), 0, 1e-13, 100, GSL_INTEG_GAUSS31, work, &below, &error);
  gsl_integration_qag(&f, atan2(corner[1], corner[0]), M_PI_2, 0, 1e-13, 100, GSL_INTEG_GAUSS31, work, &above, &error);
  gsl_integration_workspace_free(work);
  return copysign(below + above, p * q);
}

/* Boxes far from the origin, with an edge on an axis, with a corner on the origin, around it, long and thin. */
static void test_measure(void **state)
{
  static const double box[][4] = {{0.7, 1.1, -0.3, 0.4},  {0, 0.3, 0, 0.2},       {-0.4, 0, 0, 0.7},
                                  {-0.3, 0.5, -0.2, 0.9}, {0.2, 0.21, -3, 2},     {-1.1, -1.09, 0.5, 0.51},
                                  {1e-9, 2e-9, 0, 1e-9},  {0, 1.3, 0.6, 0.60001}, {2, 2.001, -0.0005, 0.0005}};
  const double        unit[2] = {0, 0}, upper[2] = {0.3, 0.7};
  Case                c;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "model_coordinates", "invariant"), &c));
  for (size_t k = 0; k < sizeof(box) / sizeof(box[0]); k++) {
    const double lower[2] = {box[k][0], box[k][2]}, above[2] = {box[k][1], box[k][3]};
    const double exact = Quadrant(above[0], above[1]) - Quadrant(lower[0], above[1]) - Quadrant(above[0], lower[1]) +
                         Quadrant(lower[0], lower[1]);

    near(FPModelMeasureBox(c.model, lower, above), exact, 1e-12 * fabs(exact) + 4e-13 * hypot(above[0], above[1]),
         "measure of a box");
  }
  destroy(&c);
  must(Create(KEYS(ONE, "model_type", "chain"), &c));
  near(FPModelMeasureBox(c.model, unit, upper), 0.21, 1e-16, "volume");
  destroy(&c);
}

/* A small box is cut and summed: the two ways of computing must meet. */
static void test_measure_additive(void **state)
{
  const double lower[2] = {0.3, 0.1}, upper[2] = {0.5, 0.4};
  double       sum = 0;
  Case         c;

  (void)state;
  must(Create(KEYS(ONE, "model_type", "chain", "model_coordinates", "invariant"), &c));
  for (PetscInt k = 0; k < 400; k++) {
    const double a[2] = {0.3 + 0.01 * (double)(k / 20), 0.1 + 0.015 * (double)(k % 20)};
    const double b[2] = {0.3 + 0.01 * (double)(k / 20 + 1), 0.1 + 0.015 * (double)(k % 20 + 1)};

    sum += FPModelMeasureBox(c.model, a, b);
  }
  near(sum, FPModelMeasureBox(c.model, lower, upper), 2e-15, "sum over small boxes");
  destroy(&c);
}

/* The defect of the aligned coordinates: the part of the full gradient outside their tangent space, at W1 = diag(a)
   V^T, W2 = U diag(a). U, V follow from the Jacobian of M = U diag(a^2) V^T. */
static void test_reduction_defect(void **state)
{
  const double a[2] = {1.1, 0.6}, one[2] = {1, 1};
  double       J[8], u[2][2], v[2][2], w[8], g[8], ga[2], rest = 0;
  PetscReal    defect;
  Case         c, full;

  (void)state;
  must(Create(KEYS(IRIS, "model_type", "factorisation", "model_coordinates", "aligned"), &c));
  must(Create(KEYS(IRIS, "model_type", "factorisation"), &full));
  FPModelJacobian(c.model, 1, one, J); /* 2 u_ik v_jk at [(2 i + j) 2 + k] */
  for (PetscInt k = 0; k < 2; k++) {
    const double norm = hypot(J[k], J[2 + k]); /* 2 abs(u_1k), so that v_k is a unit vector */

    v[0][k] = J[k] / norm;
    v[1][k] = J[2 + k] / norm;
    for (PetscInt i = 0; i < 2; i++) u[i][k] = (J[(2 * i) * 2 + k] * v[0][k] + J[(2 * i + 1) * 2 + k] * v[1][k]) / 2;
  }
  for (PetscInt i = 0; i < 4; i++) {
    w[i]     = a[i / 2] * v[i % 2][i / 2];
    w[4 + i] = u[i / 2][i % 2] * a[i % 2];
  }
  FPModelGradient(full.model, 1, w, g);
  FPModelGradient(c.model, 1, a, ga);
  for (PetscInt i = 0; i < 4; i++) {
    rest += PetscSqr(g[i] - ga[i / 2] * v[i % 2][i / 2]);
    rest += PetscSqr(g[4 + i] - u[i / 2][i % 2] * ga[i % 2]);
  }
  must(FPModelGetReductionDefect(c.model, a, &defect));
  check(defect > 0.01, "defect %g", (double)defect);
  near(defect, sqrt(rest), 1e-13, "defect");
  destroy(&c);
  destroy(&full);
  must(Create(KEYS(IRIS, "data_whiten", "true", "model_type", "factorisation", "model_coordinates", "aligned"), &c));
  must(FPModelGetReductionDefect(c.model, a, &defect));
  near(defect, 0, 1e-13, "defect of whitened data");
  destroy(&c);
}

/* ou: D = eta/(2B) C is the one given, a sample adds A (w - c) + chol(C) x, decay moves the fixed point. */
static void test_ou(void **state)
{
  const double w[2] = {0.9, -0.4}, x[2] = {1.3, -0.8}, D[4] = {0.5, 0.2, 0.2, 0.3}, A[4] = {1.1, 0.4, -0.3, 0.8};
  double       C[4], F[4], g[2] = {0, 0};
  FPSampler    sampler;
  PetscBool    potential;
  PetscInt     d, inputs, targets;
  Case         c;

  (void)state;
  must(Create(KEYS("model_type", "ou", "model_drift", "1.1,0.4,-0.3,0.8", "model_diffusion", "0.5,0.2,0.2,0.3",
                   "model_center", "0.2,-0.6", "training_learning_rate", "0.07", "training_batch_size", "5",
                   "training_weight_decay", "0.3"),
              &c));
  must(FPModelGetSizes(c.model, &d, &inputs, &targets));
  check(d == 2 && inputs == 2 && targets == 0, "sizes %d %d %d", (int)d, (int)inputs, (int)targets);
  must(FPModelGetSampler(c.model, &sampler));
  assert_int_equal(sampler.normals, 2);
  must(FPModelHasPotential(c.model, &potential));
  assert_int_equal(potential, PETSC_FALSE);
  FPModelCovariance(c.model, 1, w, C);
  for (PetscInt k = 0; k < 4; k++) near(0.07 / 10 * C[k], D[k], 1e-15, "D");
  FPModelCovarianceFactor(c.model, 1, w, F);
  FPModelSampleGradient(c.model, 1, w, x, NULL, g);
  for (PetscInt i = 0; i < 2; i++)
    near(g[i], A[i * 2] * 0.7 + A[i * 2 + 1] * 0.2 + F[i * 2] * x[0] + F[i * 2 + 1] * x[1], 1e-13, "sample");
  /* (A + l) z = A c, A c = (-0.02, -0.54) */
  check_point(c.model, "minimum", 0, 0, 2,
              (double[]){(-0.02 * 1.1 + 0.54 * 0.4) / 1.66, (-0.54 * 1.4 - 0.02 * 0.3) / 1.66}, NULL);
  destroy(&c);
  must(Create(KEYS("model_type", "ou", "model_drift", "2", "model_diffusion", "0"), &c));
  must(FPModelHasPotential(c.model, &potential));
  assert_int_equal(potential, PETSC_TRUE);
  destroy(&c);
}

static void test_names(void **state)
{
  static const struct {
    const char *keys[14];
    const char *name;
    PetscInt    i;
  } table[] = {
      {{ONE, "model_type", "chain"}, "w2", 1},
      {{ONE, "model_type", "chain", "model_coordinates", "balanced"}, "w", 0},
      {{ONE, "model_type", "chain", "model_coordinates", "invariant"}, "q", 1},
      {{TWO, "model_type", "symmetric"}, "u2", 1},
      {{TWO, "model_type", "symmetric", "model_rank", "2"}, "u21", 2},
      {{TWO, "model_type", "factorisation"}, "w2_21", 6},
      {{TWO, "model_type", "factorisation", "model_coordinates", "aligned"}, "a2", 1},
  };
  char name[FP_NAME];
  Case c;

  (void)state;
  for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
    must(Create(table[k].keys, &c));
    must(FPModelGetCoordinateName(c.model, table[k].i, name));
    assert_string_equal(name, table[k].name);
    destroy(&c);
  }
}

static void refuse(const char *const keys[], const char word[])
{
  Case c;

  refused(Create(keys, &c), word);
  destroy(&c);
}

static void test_bad_input(void **state)
{
  (void)state;
  refuse(KEYS(ONE), "model_type");
  refuse(KEYS(ONE, "model_type", "chains"), "chains");
  refuse(KEYS("model_type", "chain"), "data_type");
  refuse(KEYS(TWO, "model_type", "chain"), "1 input");
  refuse(KEYS(TWO, "model_type", "diagonal"), "1 target");
  refuse(KEYS(ONE, "model_type", "symmetric"), "2 inputs");
  refuse(KEYS(ONE, "model_type", "chain", "model_depth", "0"), "model_depth");
  refuse(KEYS(ONE, "model_type", "chain", "model_depth", "257"), "model_depth");
  refuse(KEYS(ONE, "model_type", "chain", "model_depth", "3", "model_coordinates", "invariant"), "model_depth");
  refuse(KEYS(ONE, "model_type", "chain", "model_coordinates", "aligned"), "aligned");
  refuse(KEYS(TWO, "model_type", "factorisation", "model_depth", "65"), "model_depth");
  refuse(KEYS(TWO, "model_type", "symmetric", "model_rank", "3"), "model_rank");
  refuse(KEYS(ONE, "model_type", "chain", "training_weight_decay", "-1"), "training_weight_decay");
  refuse(KEYS(ONE, "model_type", "chain", "training_learning_rate", "0"), "training_learning_rate");
  refuse(KEYS(ONE, "model_type", "chain", "training_batch_size", "1.5"), "training_batch_size");
  refuse(KEYS(ONE, "model_type", "ou", "model_drift", "1", "model_diffusion", "1"), "data_type");
  refuse(KEYS("model_type", "ou", "model_diffusion", "1"), "model_drift");
  refuse(KEYS("model_type", "ou", "model_drift", "1"), "model_diffusion");
  refuse(KEYS("model_type", "ou", "model_drift", "1,2,3", "model_diffusion", "1,0,0,1"), "model_drift");
  refuse(KEYS("model_type", "ou", "model_drift", "1,0,0,1", "model_diffusion", "1"), "model_diffusion");
  refuse(KEYS("model_type", "ou", "model_drift", "1,0,0,1", "model_diffusion", "1,2,2,1"), "semidefinite");
  refuse(KEYS("model_type", "ou", "model_drift", "1,0,0,1", "model_diffusion", "1,0.1,0.2,1"), "symmetric");
  refuse(KEYS("model_type", "ou", "model_drift", "1", "model_diffusion", "1", "model_center", "1,2"), "model_center");
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_derivatives),
                                     cmocka_unit_test(test_samples),
                                     cmocka_unit_test(test_blocks),
                                     cmocka_unit_test(test_chain_noise),
                                     cmocka_unit_test(test_interpolation),
                                     cmocka_unit_test(test_factorisation_noise),
                                     cmocka_unit_test(test_diagonal_noise),
                                     cmocka_unit_test(test_balanced),
                                     cmocka_unit_test(test_invariant),
                                     cmocka_unit_test(test_measure),
                                     cmocka_unit_test(test_measure_additive),
                                     cmocka_unit_test(test_reduction_defect),
                                     cmocka_unit_test(test_ou),
                                     cmocka_unit_test(test_names),
                                     cmocka_unit_test(test_bad_input)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

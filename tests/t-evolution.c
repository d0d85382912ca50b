/* t-evolution.c: laws along time against closed forms. OU: mean exp(-A t) z0, covariance S - exp(-A t) (S - S0)
   exp(-A^T t), Gaussian entropy and KL. 2-chain: Saxe's sigmoid for the gradient flow, and w1^2 - w2^2, which decays at
   twice the weight decay under Langevin noise. Depth 1: the exact recursion of the moments of SGD. Mixing: total
   variation of two Gaussians, on the line and in bins. Mean squared displacement and autocorrelation of the OU process,
   of depth 1 and of SGD. Sharpness: the Hessian of a 2-chain along the gradient flow and under the Gibbs law. */
#include "runs.h"

/* 2 x 2 matrices by rows */
static void Multiply(const double a[4], const double b[4], double c[4])
{
  const double d[4] = {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
                       a[2] * b[1] + a[3] * b[3]};

  memcpy(c, d, sizeof(d));
}

/* exp(-A t), Taylor's series of exp(-A t/256) squared eight times */
static void Exponential(const double A[4], double t, double E[4])
{
  double term[4] = {1, 0, 0, 1}, step[4];

  for (int i = 0; i < 4; i++) {
    step[i] = -A[i] * t / 256;
    E[i]    = term[i];
  }
  for (int k = 1; k < 12; k++) {
    Multiply(term, step, term);
    for (int i = 0; i < 4; i++) E[i] += term[i] /= k;
  }
  for (int k = 0; k < 8; k++) Multiply(E, E, E);
}

/* A S + S A^T = 2 D in two dimensions. */
static void Lyapunov(const double A[4], const double D[4], double S[4])
{
  const double trace = A[0] + A[3], det = A[0] * A[3] - A[1] * A[2];
  const double J[4] = {A[3], -A[1], -A[2], A[0]}; /* adjugate; S = (det D + J D J^T)/(trace det) */
  const double K[4] = {J[0], J[2], J[1], J[3]};
  double       M[4];

  Multiply(J, D, M);
  Multiply(M, K, M);
  for (int i = 0; i < 4; i++) S[i] = (det * D[i] + M[i]) / (trace * det);
}

#define OU                                                                                                             \
  "model_type=ou model_drift=1.3,-0.9,0.4,0.7 model_diffusion=0.12,0.03,0.03,0.08 training_learning_rate=0.05 "        \
  "mesh_lower=-2.1,-2.2 mesh_upper=2.2,2.0 particles_count=16384 particles_steps=400 particles_burn_in=100 "           \
  "processes=ald "
static const double ouA[4] = {1.3, -0.9, 0.4, 0.7}, ouD[4] = {0.12, 0.03, 0.03, 0.08};

/* Mean and covariance at time t from a Gaussian of variance s0 around z0. */
static void OuLaw(const double z0[2], double s0, double t, double m[2], double S[4])
{
  double E[4], ET[4], inf[4];

  Exponential(ouA, t, E);
  Lyapunov(ouA, ouD, inf);
  for (int i = 0; i < 4; i++) ET[i] = E[i % 2 * 2 + i / 2];
  for (int i = 0; i < 2; i++) m[i] = E[2 * i] * z0[0] + E[2 * i + 1] * z0[1];
  for (int i = 0; i < 4; i++) S[i] = inf[i] - (i % 3 ? 0 : s0);
  Multiply(E, S, S);
  Multiply(S, ET, S);
  for (int i = 0; i < 4; i++) S[i] = inf[i] - S[i];
}

/* A Gaussian much wider than the box, mirrored at the walls, is the uniform law: E z^2 = (l^2 + l u + u^2)/3 at t = 0.
 */
static void test_wide_start(void **state)
{
  const double l[2] = {-2.1, -2.2}, u[2] = {2.2, 2.0};
  json_t      *root = Run(OU "mesh_cells=48,40 observables=evolution evolution_times=0,0.3 evolution_start=0.53,-0.41 "
                                  "evolution_spread=1.0e6");

  (void)state;
  for (int i = 0; i < 2; i++) {
    const double second = (l[i] * l[i] + l[i] * u[i] + u[i] * u[i]) / 3;

    Meets(root, "ald", "generator", "evolution", second, 5e-3, "second_moment[%d][t=0]", i);
    Meets(root, "ald", "particles", "evolution", second, 5e-2, "second_moment[%d][t=0]", i);
  }
  json_decref(root);
}

static void test_ou(void **state)
{
  static const char *const times[] = {"0", "0.3", "1.05", "4"};
  const double             z0[2] = {0.53, -0.41}, s0 = 0.2 * 0.2;
  double                   inf[4], det;
  json_t                  *root = Run(OU "mesh_cells=72,64 observables=evolution evolution_times=0,0.3,1.05,4 "
                                                          "evolution_start=0.53,-0.41 evolution_spread=0.2");

  (void)state;
  Lyapunov(ouA, ouD, inf);
  det = inf[0] * inf[3] - inf[1] * inf[2];
  for (int k = 0; k < 4; k++) {
    double m[2], S[4], entropy, kl;

    OuLaw(z0, s0, atof(times[k]), m, S);
    for (int i = 0; i < 2; i++) {
      Meets(root, "ald", "generator", "evolution", m[i], 3e-3, "mean[%d][t=%s]", i, times[k]);
      Meets(root, "ald", "particles", "evolution", m[i], 2e-2, "mean[%d][t=%s]", i, times[k]);
      Meets(root, "ald", "generator", "evolution", m[i] * m[i] + S[3 * i], 3e-3, "second_moment[%d][t=%s]", i,
            times[k]);
      Meets(root, "ald", "particles", "evolution", m[i] * m[i] + S[3 * i], 2e-2, "second_moment[%d][t=%s]", i,
            times[k]);
    }
    entropy = 1 + log(2 * PETSC_PI) + 0.5 * log(S[0] * S[3] - S[1] * S[2]);
    kl      = 0.5 * ((S[0] * inf[3] + S[3] * inf[0] - S[1] * inf[2] - S[2] * inf[1] + m[0] * m[0] * inf[3] -
                 2 * m[0] * m[1] * inf[1] + m[1] * m[1] * inf[0]) /
                    det -
                2 + log(det / (S[0] * S[3] - S[1] * S[2])));
    Meets(root, "ald", "generator", "evolution", entropy, 2e-2, "entropy[t=%s]", times[k]);
    Meets(root, "ald", "generator", "evolution", kl, 2e-2, "kl_stationary[t=%s]", times[k]);
  }
  json_decref(root);
}

/* One grid after the other: the errors of a point start go with h^2, however the grids lie about the start. */
static void test_order(void **state)
{
  static const char *const names[] = {"mean[0][t=0.7]", "second_moment[1][t=0.7]", "entropy[t=0.7]"};
  const double             z0[2]   = {0.53, -0.41};
  double                   m[2], S[4], exact[3], error[3][SCENE_LEVELS], h[SCENE_LEVELS];
  Scene                    s;
  FPScene                  scene;
  const FPBox             *box;

  (void)state;
  SceneOpen(&s, "ald", OU "mesh_cells=96,88 evolution_times=0.7 evolution_start=0.53,-0.41");
  OuLaw(z0, 0, 0.7, m, S);
  exact[0] = m[0];
  exact[1] = m[1] * m[1] + S[3];
  exact[2] = 1 + log(2 * PETSC_PI) + 0.5 * log(S[0] * S[3] - S[1] * S[2]);
  scene    = (FPScene){.model = s.model, .mesh = s.mesh, .processes = 1, .process = &s.process};
  must(FPMeshGetBox(s.mesh, &box));
  must(FPBinsCreate(box, &scene.bins));
  for (PetscInt l = 0; l < SCENE_LEVELS; l++) {
    FPQuantities q = {0};
    FPObservable o;

    (void)SceneGrid(&s, l);
    must(FPGeneratorGetGrid(s.gen, &s.dim, NULL, &h[l]));
    must(FPGeneratorSolve(s.gen, 1));
    must(FPObservableCreate(s.config, "evolution", &o));
    must(FPObservableRead(o, s.config, s.model, s.mesh, PETSC_TRUE));
    must(FPObservableSetScene(o, &scene));
    must(FPObservableGenerator(o, s.gen, PETSC_FALSE, &q));
    for (int k = 0; k < 3; k++) error[k][l] = SceneValue(&q, names[k], NULL) - exact[k];
    must(FPQuantitiesFree(&q));
    must(FPObservableDestroy(&o));
  }
  for (int k = 0; k < 3; k++)
    for (int l = 1; l < SCENE_LEVELS; l++) {
      const double order = log(error[k][l] / error[k][l - 1]) / log(h[l] / h[l - 1]);

      check(order > 1.8 && order < 2.2, "%s: order %g, errors %g, %g", names[k], order, error[k][l - 1], error[k][l]);
    }
  SceneClose(&s);
}

#define CHAIN "data_type=rademacher model_type=chain model_depth=2 particles_count=4096 observables=evolution "

/* P(t) = p/(1 + (p/P0 - 1) exp(-2 s p t)): gradient descent extrapolated in its step, ALD in its temperature. */
static void test_saxe(void **state)
{
  const double             p = 0.9, s = 1.1, w0 = 0.35;
  static const char *const times[] = {"0.8", "1.6", "3.2"}, *const process[] = {"gd", "ald"},
                           *const engine[] = {"particles", "generator"};
  json_t                         *root[2][2];
  double                          error;

  (void)state;
  for (int k = 0; k < 2; k++) {
    root[0][k] = Run(CHAIN "data_teacher=0.9 data_second_moment=1.1 processes=gd engines=particles "
                           "training_learning_rate=%s evolution_times=0.8,1.6,3.2 evolution_start=0.35,0.35 "
                           "mesh_lower=-2,-2 mesh_upper=2,2 mesh_cells=16,16",
                     k ? "0.004" : "0.008");
    root[1][k] = Run(CHAIN "model_coordinates=balanced data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.3 "
                           "processes=ald engines=generator training_learning_rate=%s training_temperature=%s "
                           "mesh_lower=-0.1 mesh_upper=1.4 mesh_cells=1024 evolution_times=0.8,1.6,3.2 "
                           "evolution_start=0.35",
                     k ? "0.001" : "0.002", k ? "0.001" : "0.002");
  }
  for (int r = 0; r < 2; r++)
    for (int k = 0; k < 3; k++) {
      const double exact = p / (1 + (p / (w0 * w0) - 1) * exp(-2 * s * p * atof(times[k])));
      char         name[32];
      double       P[2];

      (void)snprintf(name, sizeof(name), "mean_p[t=%s]", times[k]);
      for (int i = 0; i < 2; i++) P[i] = Value(root[r][i], process[r], engine[r], "evolution", name, &error);
      check(fabs(P[0] - exact) > 1e-4 && fabs(2 * P[1] - P[0] - exact) < 5e-5 + error && error < 1e-3,
            "%s %s: %g, %g +- %g, Saxe %g", process[r], name, P[0], P[1], error, exact);
    }
  for (int r = 0; r < 2; r++)
    for (int k = 0; k < 2; k++) json_decref(root[r][k]);
}

#define SHARP "data_type=rademacher model_type=chain particles_count=4096 observables=sharpness "

/* Of the Hessian of a 2-chain. */
static double ChainSharpness(double p, double s, double decay, double w1, double w2)
{
  const double half = 0.5 * (w1 * w1 - w2 * w2), P = w1 * w2;

  return s * (0.5 * (w1 * w1 + w2 * w2) + sqrt(half * half + (2 * P - p) * (2 * P - p))) + decay;
}

/* (w1, w2) after time t of the gradient flow from it: w1^2 - w2^2 = c stays and P = w1 w2 goes as
   P' = -s (P - p) sqrt(c^2 + 4 P^2), here by classical Runge-Kutta steps. */
static void Flow(double p, double s, double t, double w[2])
{
  const double c = w[0] * w[0] - w[1] * w[1], h = t / 2000;
  double       P = w[0] * w[1], sum;

  for (int k = 0; k < 2000; k++) {
    const double factor[4] = {0, 0.5, 0.5, 1}, weight[4] = {1, 2, 2, 1};
    double       slope = 0, total = 0;

    for (int i = 0; i < 4; i++) {
      const double at = P + h * factor[i] * slope;

      slope = -s * (at - p) * sqrt(c * c + 4 * at * at);
      total += weight[i] * slope / 6;
    }
    P += h * total;
  }
  sum  = sqrt(c * c + 4 * P * P);
  w[0] = sqrt(0.5 * (sum + c));
  w[1] = P / w[0];
}

/* gd, extrapolated in its step, along the hyperbola to s sqrt(c^2 + 4 p^2). */
static void test_sharpness_flow(void **state)
{
  const double             p = 0.9, s = 1.1, w0[2] = {0.8, 0.25};
  static const char *const times[] = {"0", "0.4", "0.8", "1.6", "24"};
  json_t                  *root[2];
  double                   error;

  (void)state;
  for (int r = 0; r < 2; r++)
    root[r] = Run(SHARP "model_depth=2 data_teacher=0.9 data_second_moment=1.1 processes=gd engines=particles "
                        "training_learning_rate=%s sharpness_times=0,0.4,0.8,1.6,24 sharpness_start=0.8,0.25 "
                        "mesh_lower=-2,-2 mesh_upper=2,2 mesh_cells=16,16",
                  r ? "0.004" : "0.008");
  for (int k = 0; k < 5; k++) {
    double w[2] = {w0[0], w0[1]}, exact, S[2];
    char   name[32];

    Flow(p, s, atof(times[k]), w);
    exact = ChainSharpness(p, s, 0, w[0], w[1]);
    if (k == 4) check(fabs(exact - s * hypot(w0[0] * w0[0] - w0[1] * w0[1], 2 * p)) < 1e-9, "limit %g", exact);
    (void)snprintf(name, sizeof(name), "sharpness[t=%s]", times[k]);
    for (int r = 0; r < 2; r++) S[r] = Value(root[r], "gd", "particles", "sharpness", name, &error);
    check(fabs(2 * S[1] - S[0] - exact) < (k ? 2e-5 : 1e-12), "%s: %.9g, %.9g, exact %.9g", name, S[0], S[1], exact);
  }
  check(fabs(Value(root[1], "gd", "exact", "sharpness", "threshold", &error) - 500) < 1e-9, "threshold");
  for (int r = 0; r < 2; r++) json_decref(root[r]);
}

/* Balanced weights are sharper across the coordinate at first; aligned ones have s (sigma_i + sigma_j) at the minimum.
   Reduced coordinates and all weights say the same of the same point. */
static void test_sharpness_lifted(void **state)
{
  json_t *balanced = Run(SHARP "model_depth=3 model_coordinates=balanced data_teacher=0.9 data_second_moment=1.1 "
                               "processes=gd engines=particles training_learning_rate=0.05 "
                               "training_weight_decay=0.02 sharpness_times=0,0.72,6 sharpness_start=0.4"),
         *weights  = Run(SHARP "model_depth=3 data_teacher=0.9 data_second_moment=1.1 processes=gd engines=particles "
                                "training_learning_rate=0.05 training_weight_decay=0.02 sharpness_times=0,0.72,6 "
                                "sharpness_start=0.4,0.4,0.4"),
         *aligned  = Run("data_type=gaussian data_teacher=0.9,0,0,-0.35 data_second_moment=1.1 "
                          "model_type=factorisation model_coordinates=aligned particles_count=4096 processes=gd "
                          "engines=particles observables=sharpness training_learning_rate=0.05 sharpness_times=0 "
                          "sharpness_start=minimum");
  static const char *const names[] = {"sharpness[t=0]", "sharpness[t=0.72]", "sharpness[t=6]"};
  double                   error;

  (void)state;
  for (int k = 0; k < 3; k++) {
    const double S[2] = {Value(balanced, "gd", "particles", "sharpness", names[k], &error),
                         Value(weights, "gd", "particles", "sharpness", names[k], &error)};

    check(fabs(S[0] - S[1]) < 1e-12, "%s: balanced %.15g, weights %.15g", names[k], S[0], S[1]);
    if (k == 0) /* across: s (p - P) w + decay */
      check(fabs(S[0] - 1.1 * (0.9 - 0.064) * 0.4 - 0.02) < 1e-12, "across the balanced line: %.15g", S[0]);
  }
  check(fabs(Value(aligned, "gd", "particles", "sharpness", names[0], &error) - 1.1 * 1.8) < 1e-7, "aligned");
  json_decref(balanced);
  json_decref(weights);
  json_decref(aligned);
}

/* E S under the Gibbs law of Langevin noise, which both engines come to, by the midpoint rule. */
static void test_sharpness_gibbs(void **state)
{
  const double p = 0.7, s = 0.9, T = 0.11, decay = 0.15;
  const int    n   = 800;
  double       sum = 0, mean = 0;
  json_t      *root = Run(SHARP "model_depth=2 data_teacher=0.7 data_second_moment=0.9 processes=langevin,sgd "
                                     "langevin_temperature=0.11 training_learning_rate=0.05 training_weight_decay=0.15 "
                                     "mesh_lower=-2.9,-2.8 mesh_upper=2.7,2.8 mesh_cells=64,60 sharpness_times=0.6,60 "
                                     "sharpness_start=0.9,0.3 sharpness_spread=0.2");

  (void)state;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      const double w1 = -2.9 + 5.6 * (i + 0.5) / n, w2 = -2.8 + 5.6 * (j + 0.5) / n, e = w1 * w2 - p;
      const double rho = exp(-(0.5 * s * e * e + 0.5 * decay * (w1 * w1 + w2 * w2)) / T);

      sum += rho;
      mean += rho * ChainSharpness(p, s, decay, w1, w2);
    }
  Meets(root, "langevin", "generator", "sharpness", mean / sum, 2e-2, "sharpness[t=60]");
  Meets(root, "langevin", "particles", "sharpness", mean / sum, 5e-2, "sharpness[t=60]");
  (void)Row(root, "sgd", "particles", "sharpness", "sharpness[t=0.6]");
  json_decref(root);
}

/* E (w1^2 - w2^2) = (w1^2 - w2^2)(0) exp(-2 decay t), whatever the temperature. */
static void test_invariant(void **state)
{
  const double exact = (0.9 * 0.9 - 0.3 * 0.3) * exp(-2 * 0.15 * 1.5);
  double       error[2], value;
  json_t      *root = Run(CHAIN "data_teacher=0.7 data_label_noise=0.4 processes=langevin langevin_temperature=0.06 "
                                     "training_learning_rate=0.05 training_weight_decay=0.15 mesh_lower=-2.6,-2.7 "
                                     "mesh_upper=2.7,2.5 mesh_cells=160,144 evolution_times=1.5 evolution_start=0.9,0.3");

  (void)state;
  for (int e = 0; e < 2; e++) {
    const char *engine = e ? "particles" : "generator";

    value = Value(root, "langevin", engine, "evolution", "second_moment[0][t=1.5]", &error[0]) -
            Value(root, "langevin", engine, "evolution", "second_moment[1][t=1.5]", &error[1]);
    check(fabs(value - exact) < (e ? 5 : 1) * (error[0] + error[1]) && (e || error[0] < 1e-3),
          "w1^2 - w2^2 by %s: %g +- %g, exact %g", engine, value, error[0] + error[1], exact);
  }
  json_decref(root);
}

/* Depth 1: e = w - p goes to (1 - eta (X + l)) e + eta (Z - l p), X and Z means over the batch, E X^2 = s^2 (1 + 2/B),
   E Z^2 = sigma^2 s/B, E X Z = 0. Between steps expectations are interpolated. */
static void test_sgd(void **state)
{
  const double p = 0.8, s = 0.9, sigma = 0.5, eta = 0.1, l = 0.05, B = 2;
  double       e = -1.1, square = 1.1 * 1.1, before = 0, before2 = 0;
  json_t      *root = Run("data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.5 "
                               "model_type=chain model_depth=1 processes=sgd engines=particles training_learning_rate=0.1 "
                               "training_batch_size=2 training_weight_decay=0.05 particles_count=65536 "
                               "observables=evolution mesh_lower=-9 mesh_upper=9 mesh_cells=32 "
                               "evolution_start=-0.3 evolution_times=0.1,0.5,2.03");

  (void)state;
  for (int k = 1; k <= 21; k++) {
    const double c = 1 - eta * (s + l);

    before  = e;
    before2 = square;
    square  = (c * c + eta * eta * 2 * s * s / B) * square - 2 * c * eta * l * p * e +
             eta * eta * sigma * sigma * s / B + eta * eta * l * l * p * p;
    e = c * e - eta * l * p;
    if (k == 1 || k == 5) {
      const char *t = k == 1 ? "0.1" : "0.5";

      Meets(root, "sgd", "particles", "evolution", p + e, 1e-2, "mean[0][t=%s]", t);
      Meets(root, "sgd", "particles", "evolution", square + 2 * p * e + p * p, 1e-2, "second_moment[0][t=%s]", t);
      Meets(root, "sgd", "particles", "evolution", 0.5 * s * square, 1e-2, "loss[t=%s]", t);
    }
  }
  Meets(root, "sgd", "particles", "evolution", p + 0.7 * before + 0.3 * e, 1e-2, "mean_p[t=2.03]");
  Meets(root, "sgd", "particles", "evolution", 0.5 * s * (0.7 * before2 + 0.3 * square), 1e-2, "loss[t=2.03]");
  json_decref(root);
}

/* Depth 1 with inputs of one size: SGD, gradient descent and Langevin noise all make p Gaussian. Of two Gaussians whose
   means are m apart and standard deviations s, W1 = E abs(m + s Z), Z normal. */
static void test_wasserstein(void **state)
{
  const double s = 0.9, sigma = 0.5, eta = 0.1, T = 0.05, t = 0.6;
  double       e = -1.1, v = 0;
  json_t      *root =
      Run("data_type=rademacher data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.5 model_type=chain "
          "model_depth=1 processes=sgd,gd,langevin langevin_temperature=0.05 engines=particles "
          "training_learning_rate=0.1 training_batch_size=2 particles_count=32768 observables=evolution "
          "mesh_lower=-2 mesh_upper=3 mesh_cells=32 evolution_start=-0.3 evolution_times=0.6");

  (void)state;
  for (int k = 0; k < 6; k++) {
    e *= 1 - eta * s;
    v = (1 - eta * s) * (1 - eta * s) * v + eta * eta * sigma * sigma * s / 2;
  }
  Meets(root, "gd", "particles", "evolution", sqrt(2 * v / PETSC_PI), 2e-3, "w1_p_sgd[t=0.6]");
  {
    const double m = fabs(-1.1 * exp(-s * t) - e), d = sqrt(T / s * (1 - exp(-2 * s * t))) - sqrt(v);

    Meets(root, "langevin", "particles", "evolution",
          d * sqrt(2 / PETSC_PI) * exp(-m * m / (2 * d * d)) + m * erf(m / (d * sqrt(2))), 6e-3, "w1_p_sgd[t=0.6]");
  }
  json_decref(root);
}

/* N(m, s^2) and N(0, S): where their densities cross, roots of a quadratic, and the probabilities between. */
static double GaussianVariation(double m, double s2, double S)
{
  const double a = 1 / s2 - 1 / S, b = -2 * m / s2, c = m * m / s2 - log(S / s2), root = sqrt(b * b - 4 * a * c);
  const double low = (-b - root) / (2 * a), high = (-b + root) / (2 * a);

  return 0.5 * (erf((high - m) / sqrt(2 * s2)) - erf((low - m) / sqrt(2 * s2))) -
         0.5 * (erf(high / sqrt(2 * S)) - erf(low / sqrt(2 * S)));
}

#define RATE 0.8
#define NOISE 0.2 /* so that the stationary variance is 1/4 */
#define START 1.1

static double OuVariation(double t)
{
  const double decay = exp(-RATE * t);

  return GaussianVariation(START * decay, 0.25 * (1 - decay * decay), 0.25);
}

/* The same on 16 bins of the box from -3.1 to 2.9. */
static double OuVariationBinned(double t)
{
  const double decay = exp(-RATE * t), m = START * decay, s = sqrt(0.5 * (1 - decay * decay)), S = sqrt(0.5);
  double       tv = 0;

  for (int b = 0; b < 16; b++) {
    const double low = -3.1 + 0.375 * b, high = low + 0.375;

    tv += 0.25 * fabs(erf((high - m) / s) - erf((low - m) / s) - erf(high / S) + erf(low / S));
  }
  return tv;
}

#define OU1                                                                                                            \
  "model_type=ou model_drift=0.8 model_diffusion=0.2 training_learning_rate=0.05 mesh_lower=-3.1 mesh_upper=2.9 "      \
  "processes=ald particles_count=32768 particles_steps=200 particles_burn_in=100 "

static void test_mixing(void **state)
{
  static const char *const times[] = {"0.4", "1.3", "3"};
  double                   low = 0.1, high = 5, worst, error, bound;
  json_t                  *root = Run(OU1 "mesh_cells=256 observables=mixing mixing_times=0.4,1.3,3 mixing_start=1.1");

  (void)state;
  while (high - low > 1e-10) {
    const double middle = (low + high) / 2;

    if (OuVariation(middle) > 0.25)
      low = middle;
    else
      high = middle;
  }
  Meets(root, "ald", "generator", "mixing", low, 2e-3, "mixing_time");
  Meets(root, "ald", "generator", "mixing", 1 / RATE, 1e-4, "relaxation_time");
  for (int k = 0; k < 3; k++) {
    const double t = atof(times[k]);

    Meets(root, "ald", "generator", "mixing", OuVariation(t), 2e-3, "tv[t=%s]", times[k]);
    Meets(root, "ald", "generator", "mixing", OuVariationBinned(t), 2e-3, "tv_binned[t=%s]", times[k]);
    Meets(root, "ald", "particles", "mixing", OuVariationBinned(t), 3e-2, "tv_binned[t=%s]", times[k]);
  }
  bound = Value(root, "ald", "generator", "mixing", "spectral_bound", &error);
  worst = Value(root, "ald", "generator", "mixing", "mixing_time_worst", &error);
  check(worst > bound && worst > low, "worst mixing time %g, bound %g, from the start %g", worst, bound, low);
  json_decref(root);
}

static double Gaussian(const double x[2], const double m[2], const double S[4])
{
  const double det = S[0] * S[3] - S[1] * S[2], a = x[0] - m[0], b = x[1] - m[1];

  return exp(-0.5 * (a * a * S[3] - a * b * (S[1] + S[2]) + b * b * S[0]) / det) / (2 * PETSC_PI * sqrt(det));
}

/* Two dimensions, by a sum over 500 x 500 points; a point is as far from the stationary law as can be. */
static void test_mixing_plane(void **state)
{
  const double z0[2] = {0.53, -0.41}, zero[2] = {0, 0}, h = 0.01;
  double       m[2], S[4], inf[4], tv = 0;
  json_t      *root =
      Run(OU "mesh_cells=128,120 observables=mixing mixing_times=0,0.7 mixing_start=0.53,-0.41 engines=generator");

  (void)state;
  OuLaw(z0, 0, 0.7, m, S);
  Lyapunov(ouA, ouD, inf);
  for (int k = 0; k < 250000; k++) {
    const double x[2] = {-2.5 + h * (k % 500 + 0.5), -2.5 + h * (k / 500 + 0.5)};

    tv += 0.5 * h * h * fabs(Gaussian(x, m, S) - Gaussian(x, zero, inf));
  }
  Meets(root, "ald", "generator", "mixing", tv, 2e-2, "tv[t=0.7]");
  Meets(root, "ald", "generator", "mixing", 1, 4e-2, "tv[t=0]");
  json_decref(root);
}

/* From a point: (z0 (1 - exp(-a t)))^2 + S (1 - exp(-2 a t)); in the stationary law 2 S (1 - exp(-a t)), S = 1/4. */
/* In the plane every number on coarse cells lies within its bound of what finer ones say: with a slowest mode that
   turns, whose phase and so whose worst starts are of no grid's choice; and beside a saddle, with noise that varies. */
static void test_finer(void **state)
{
  static const char *const keys[] = {
      "model_type=ou model_drift=1.1,0.8,-0.5,0.7 model_center=0.1,-0.07 model_diffusion=0.03,0.009,0.009,0.024 "
      "mesh_lower=-1.5,-1.6 mesh_upper=1.65,1.55 observables=mixing,autocorrelation ",
      "data_type=gaussian data_teacher=0.87 data_second_moment=1.1 data_label_noise=0.43 model_type=chain "
      "model_depth=2 "
      "training_learning_rate=0.06 training_batch_size=3 training_temperature=0.03 mesh_lower=-1.9,-2.1 "
      "mesh_upper=2,1.95 evolution_times=0.6,2.3 evolution_start=0.31,0.22 msd_times=0.5,2 exit_times=0.6,2.3 "
      "exit_region=box exit_center=0.06,-0.13 exit_radius=0.71,0.58 exit_start=0.13,-0.08 exit_region_b=half_space "
      "exit_normal_b=-0.6,-0.8 exit_offset_b=-0.63 observables=exit,evolution,msd,sharpness sharpness_times=0.6,2.1 "
      "sharpness_start=0.31,0.22 "};
  int numbers = 0;

  (void)state;
  for (size_t c = 0; c < sizeof(keys) / sizeof(keys[0]); c++) {
    const char *const cells[] = {"36,32", "52,48"};
    json_t           *coarse, *fine, *root[2], *row;
    size_t            i;

    for (int k = 0; k < 2; k++)
      root[k] = Run("%s mesh_cells=%s processes=ald engines=generator training_learning_rate=0.06 "
                    "mixing_times=0.7,3.1 mixing_start=1.6,1.5 autocorrelation_times=0.4,1.7",
                    keys[c], cells[k]);
    coarse = root[0];
    fine   = root[1];
    json_array_foreach(json_object_get(coarse, "results"), i, row)
    {
      const char  *observable = json_string_value(json_object_get(row, "observable"));
      const char  *quantity   = json_string_value(json_object_get(row, "quantity"));
      const double value      = json_number_value(json_object_get(row, "value"));
      const double bound      = json_number_value(json_object_get(row, "error"));
      double       error, truth;

      if (!json_object_get(row, "value") || strcmp(json_string_value(json_object_get(row, "engine")), "generator"))
        continue;
      truth = Value(fine, "ald", "generator", observable, quantity, &error);
      check(fabs(value - truth) <= bound + error, "%s %s: %g +- %g, on finer cells %g +- %g", observable, quantity,
            value, bound, truth, error);
      numbers++;
    }
    if (c == 0) { /* that start is next to the corner where the slowest mode is largest */
      double       error[2];
      const double start = Value(fine, "ald", "generator", "mixing", "tv[t=3.1]", &error[0]);
      const double worst = Value(fine, "ald", "generator", "mixing", "tv_worst[t=3.1]", &error[1]);

      check(worst >= start - error[0] - error[1], "tv %g from the worst start, %g from another", worst, start);
    }
    json_decref(coarse);
    json_decref(fine);
  }
  check(numbers > 50, "%d numbers", numbers);
}

static void test_msd(void **state)
{
  static const char *const times[] = {"0.2", "0.63", "2"};

  (void)state;
  for (int started = 0; started < 2; started++) {
    double  x[3], y[3], mean[2] = {0, 0}, slope[2] = {0, 0}, misfit = 0;
    json_t *root = Run(OU1 "mesh_cells=192 observables=msd msd_times=0.2,0.63,2 %s", started ? "msd_start=1.1" : "");

    for (int k = 0; k < 3; k++) {
      const double t = atof(times[k]), decay = exp(-RATE * t),
                   exact = started ? START * START * (1 - decay) * (1 - decay) + 0.25 * (1 - decay * decay)
                                   : 0.5 * (1 - decay);

      Meets(root, "ald", "generator", "msd", exact, 1e-3, "msd[t=%s]", times[k]);
      Meets(root, "ald", "particles", "msd", exact, 2e-2, "msd[t=%s]", times[k]);
      x[k] = log(t);
      y[k] = log(exact);
      mean[0] += x[k] / 3;
      mean[1] += y[k] / 3;
    }
    for (int k = 0; k < 3; k++) {
      slope[0] += (x[k] - mean[0]) * (y[k] - mean[1]);
      slope[1] += (x[k] - mean[0]) * (x[k] - mean[0]);
    }
    Meets(root, "ald", "generator", "msd", slope[0] / slope[1], 1e-3, "exponent");
    Meets(root, "ald", "particles", "msd", slope[0] / slope[1], 3e-2, "exponent");
    for (int k = 0; k < 3; k++) {
      const double left = y[k] - mean[1] - slope[0] / slope[1] * (x[k] - mean[0]);

      misfit += left * left / 3;
    }
    Meets(root, "ald", "generator", "msd", -sqrt(misfit), 1e-3, "exponent_misfit"); /* it bends down */
    Meets(root, "ald", "particles", "msd", -sqrt(misfit), 3e-2, "exponent_misfit");
    json_decref(root);
  }
}

/* OU: C(t) = exp(-A t) S, integral A^-1 S; conditional means are linear, so one coordinate alone has the Markov defect
   rho(2t) - rho(t)^2. */
static void test_autocorrelation_ou(void **state)
{
  static const char *const times[]    = {"0", "0.4", "1.37"};
  const double             det        = ouA[0] * ouA[3] - ouA[1] * ouA[2];
  const double             inverse[4] = {ouA[3] / det, -ouA[1] / det, -ouA[2] / det, ouA[0] / det};
  double                   S[4], C[4], twice[4];
  json_t *root = Run(OU "mesh_cells=120,104 observables=autocorrelation autocorrelation_times=0,0.4,1.37 "
                        "particles_steps=1200");

  (void)state;
  Lyapunov(ouA, ouD, S);
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < 3; k++) {
      double rho, defect;

      Exponential(ouA, atof(times[k]), C);
      Multiply(C, S, C);
      Exponential(ouA, 2 * atof(times[k]), twice);
      Multiply(twice, S, twice);
      rho    = C[3 * i] / S[3 * i];
      defect = twice[3 * i] / S[3 * i] - rho * rho;
      Meets(root, "ald", "generator", "autocorrelation", rho, 2e-3, "z[%d][t=%s]", i, times[k]);
      Meets(root, "ald", "particles", "autocorrelation", rho, 1e-2, "z[%d][t=%s]", i, times[k]);
      if (k == 0) continue;
      Meets(root, "ald", "generator", "autocorrelation", defect, 2e-3, "markov_defect_z[%d][t=%s]", i, times[k]);
      Meets(root, "ald", "particles", "autocorrelation", defect, 1e-2, "markov_defect_z[%d][t=%s]", i, times[k]);
    }
    Multiply(inverse, S, C);
    Meets(root, "ald", "generator", "autocorrelation", C[3 * i] / S[3 * i], 2e-3, "integrated_time_z[%d]", i);
    Meets(root, "ald", "particles", "autocorrelation", C[3 * i] / S[3 * i], 5e-2, "integrated_time_z[%d]", i);
  }
  json_decref(root);
}

/* Depth 1: Langevin noise makes p an OU process of rate s, so that the loss, a square, decays at 2 s; SGD is
   autoregressive, rho_k = (1 - eta s)^k for p. */
static void test_autocorrelation_depth1(void **state)
{
  const double s = 0.9, eta = 0.1, c = 1 - eta * s;
  json_t *root = Run("data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.5 model_type=chain "
                     "model_depth=1 processes=sgd,langevin langevin_temperature=0.11 training_learning_rate=0.1 "
                     "training_batch_size=2 particles_count=16384 particles_steps=500 particles_burn_in=100 "
                     "observables=autocorrelation mesh_lower=-1.7 mesh_upper=3.2 mesh_cells=192 "
                     "autocorrelation_times=0.3,1.25");

  (void)state;
  for (int e = 0; e < 2; e++) {
    const char  *engine = e ? "particles" : "generator";
    const double useful = e ? 3e-2 : 1e-3;

    for (int k = 0; k < 2; k++) {
      const char  *t    = k ? "1.25" : "0.3";
      const double time = atof(t);

      Meets(root, "langevin", engine, "autocorrelation", exp(-s * time), useful, "p[t=%s]", t);
      Meets(root, "langevin", engine, "autocorrelation", exp(-2 * s * time), useful, "loss[t=%s]", t);
      Meets(root, "langevin", engine, "autocorrelation", 0, useful, "markov_defect_p[t=%s]", t);
    }
    Meets(root, "langevin", engine, "autocorrelation", 1 / s, e ? 6e-2 : 1e-3, "integrated_time_p");
    Meets(root, "langevin", engine, "autocorrelation", 0.5 / s, e ? 6e-2 : 1e-3, "integrated_time_loss");
  }
  Meets(root, "sgd", "particles", "autocorrelation", c * c * c, 1e-2, "p[t=0.3]");
  Meets(root, "sgd", "particles", "autocorrelation", (pow(c, 12) + pow(c, 13)) / 2, 1e-2, "p[t=1.25]");
  Meets(root, "sgd", "particles", "autocorrelation", eta * (0.5 + c / (1 - c)), 5e-2, "integrated_time_p");
  Meets(root, "sgd", "particles", "autocorrelation", 0, 1e-2, "markov_defect_p[t=0.3]");
  Meets(root, "sgd", "particles", "autocorrelation", 0, 1e-2, "markov_defect_p[t=1.25]");
  json_decref(root);
}

static void test_refused(void **state)
{
  static const char *const cases[] = {"evolution_start=0.3,0.4",
                                      "evolution_times=1",
                                      "evolution_times=1,0.5 evolution_start=0.3,0.4",
                                      "evolution_times=-1,0.5 evolution_start=0.3,0.4",
                                      "evolution_times=1,soon evolution_start=0.3,0.4",
                                      "evolution_times=1 evolution_start=0.3",
                                      "evolution_times=1 evolution_start=nowhere",
                                      "evolution_times=1 evolution_start=0.3,2.7",
                                      "evolution_times=1 evolution_start=0.3,0.4 evolution_spread=-1",
                                      "observables=mixing mixing_times=1",
                                      "observables=mixing mixing_start=0.3,0.4",
                                      "observables=msd msd_times=0",
                                      "observables=msd msd_start=saddle",
                                      "observables=autocorrelation"};

  (void)state;
  RefusesEach(CHAIN "data_teacher=0.7 processes=langevin langevin_temperature=0.1 mesh_lower=-2,-2 "
                    "mesh_upper=2,2 mesh_cells=16,16",
              sizeof(cases) / sizeof(cases[0]), cases);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ou),
                                     cmocka_unit_test(test_wide_start),
                                     cmocka_unit_test(test_order),
                                     cmocka_unit_test(test_saxe),
                                     cmocka_unit_test(test_sharpness_flow),
                                     cmocka_unit_test(test_sharpness_lifted),
                                     cmocka_unit_test(test_sharpness_gibbs),
                                     cmocka_unit_test(test_invariant),
                                     cmocka_unit_test(test_sgd),
                                     cmocka_unit_test(test_wasserstein),
                                     cmocka_unit_test(test_mixing),
                                     cmocka_unit_test(test_mixing_plane),
                                     cmocka_unit_test(test_finer),
                                     cmocka_unit_test(test_msd),
                                     cmocka_unit_test(test_autocorrelation_ou),
                                     cmocka_unit_test(test_autocorrelation_depth1),
                                     cmocka_unit_test(test_refused)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-process.c: drift, diffusion, potentials and temperatures of processes against closed forms and finite differences.
 */
#include "message.h"
#include "fpprocess.h"

typedef struct {
  FPConfig  config;
  FPData    data;
  FPModel   model;
  FPProcess process;
} Setup;

static const char *const training[] = {"training_learning_rate",
                                       "0.07",
                                       "training_batch_size",
                                       "3",
                                       "training_weight_decay",
                                       "0.03",
                                       "training_temperature",
                                       "0.045",
                                       NULL};
static const char *const scalar[]   = {"data_type", "gaussian",           "data_teacher", "1.3", "data_label_noise",
                                       "0.6",       "data_second_moment", "0.8",          NULL};
static const char *const matrix[]   = {"data_type",
                                       "gaussian",
                                       "data_inputs",
                                       "a,b",
                                       "data_targets",
                                       "c,d",
                                       "data_teacher",
                                       "1.2,0.3,-0.4,0.7",
                                       "data_label_noise",
                                       "0.6",
                                       "data_second_moment",
                                       "0.8",
                                       NULL};
static const char *const vector[]   = {"data_type",
                                       "gaussian",
                                       "data_inputs",
                                       "a,b",
                                       "data_targets",
                                       "c",
                                       "data_teacher",
                                       "1.2,0.7",
                                       "data_label_noise",
                                       "0.6",
                                       "data_second_moment",
                                       "0.8",
                                       NULL};

static void Set(FPConfig config, const char *const pairs[])
{
  for (int k = 0; pairs[k]; k += 2) must(FPConfigSet(config, pairs[k], pairs[k + 1]));
}

static void Begin(Setup *s, const char *const data[], const char *const model[], const char *const process[])
{
  memset(s, 0, sizeof *s);
  must(FPConfigCreate(&s->config));
  if (data) Set(s->config, data);
  Set(s->config, training);
  Set(s->config, model);
  if (process) Set(s->config, process);
  if (data) must(FPDataCreate(s->config, &s->data));
  must(FPModelCreate(s->config, s->data, &s->model));
}

static void End(Setup *s)
{
  must(FPProcessDestroy(&s->process));
  must(FPModelDestroy(&s->model));
  must(FPDataDestroy(&s->data));
  must(FPConfigDestroy(&s->config));
}

static double Close(double a, double b)
{
  return fabs(a - b) / (1e-3 + fabs(a) + fabs(b));
}

/* The 2-chain in p = w1 w2, q = (w1^2 - w2^2)/2, with S = 2 sqrt(p^2 + q^2), e = p - teacher, v = Var r:
   b_p = -s e S - 2 l p + eta v p/B, b_q = -2 l q - eta v q/B, D = diag(S (T + eta v S/(2B)), T S) for ald. */
static void test_invariant(void **state)
{
  const char *const model[] = {"model_type", "chain", "model_depth", "2", "model_coordinates", "invariant", NULL};
  const double      s = 0.8, l = 0.03, T = 0.045, eta = 0.07, B = 3;
  const double      p[3] = {0.4, -0.7, 1.5}, q[3] = {0.9, -0.2, 0.35};
  const char       *name[3] = {"langevin", "ald", "ald2"};

  (void)state;
  for (int k = 0; k < 3; k++) {
    Setup  u;
    double z[6], b[6], D[12];

    Begin(&u, scalar, model, NULL);
    must(FPProcessCreate(u.config, name[k], u.model, &u.process));
    memcpy(z, p, sizeof p);
    memcpy(z + 3, q, sizeof q);
    FPProcessDrift(u.process, 3, z, b);
    FPProcessDiffusion(u.process, 3, z, D);
    for (int i = 0; i < 3; i++) {
      const double S = 2 * sqrt(p[i] * p[i] + q[i] * q[i]), e = p[i] - 1.3, v = 2 * s * s * e * e + s * 0.36;
      const double h = k ? eta * v / B : 0;

      if (k < 2) check(Close(b[i], -s * e * S - 2 * l * p[i] + h * p[i]) < 1e-12, "%s b_p %g", name[k], b[i]);
      check(Close(b[3 + i], -2 * l * q[i] - h * q[i] - (k == 2 ? eta * q[i] * (l * l + s * s * e * e) : 0)) < 1e-12,
            "%s b_q %g", name[k], b[3 + i]);
      check(Close(D[i], S * (T + h * S / 2)) < 1e-12 && Close(D[9 + i], T * S) < 1e-12, "%s D %g %g", name[k], D[i],
            D[9 + i]);
      check(fabs(D[3 + i]) + fabs(D[6 + i]) < 1e-13, "%s off-diagonal D %g", name[k], D[3 + i]);
    }
    End(&u);
  }
}

/* Decay of w1^2 - w2^2 on the 3-chain without decay: eta w3^2 v/B per unit time for ald, eta w3^2 (s^2 e^2 + v/B) for
   ald2, whatever T is; 0 would be the Stratonovich reading. */
static void test_ito(void **state)
{
  const char *const model[] = {"model_type", "chain", "model_depth", "3", "model_coordinates", "weights", NULL};
  const char *const none[]  = {"training_weight_decay", "0", NULL};
  const double      s = 0.8, eta = 0.07, B = 3, w[3] = {1.1, -0.6, 0.9};

  (void)state;
  for (int k = 0; k < 2; k++) {
    const double e = w[0] * w[1] * w[2] - 1.3, v = 2 * s * s * e * e + s * 0.36;
    const double rate = eta * w[2] * w[2] * (v / B + (k ? s * s * e * e : 0));
    Setup        u;
    double       b[3], D[9], change;

    Begin(&u, scalar, model, none);
    must(FPProcessCreate(u.config, k ? "ald2" : "ald", u.model, &u.process));
    FPProcessDrift(u.process, 1, w, b);
    FPProcessDiffusion(u.process, 1, w, D);
    change = 2 * (w[0] * b[0] - w[1] * b[1] + D[0] - D[4]);
    check(Close(change, -rate * (w[0] * w[0] - w[1] * w[1])) < 1e-12, "%g, exact %g", change,
          -rate * (w[0] * w[0] - w[1] * w[1]));
    End(&u);
  }
}

static const struct {
  const char *const *data, *key[15];
} model_case[] = {
    {scalar, {"model_type", "chain", "model_depth", "1", "model_coordinates", "weights"}},
    {scalar, {"model_type", "chain", "model_depth", "2", "model_coordinates", "weights"}},
    {scalar, {"model_type", "chain", "model_depth", "3", "model_coordinates", "weights"}},
    {scalar, {"model_type", "chain", "model_depth", "3", "model_coordinates", "balanced"}},
    {scalar, {"model_type", "chain", "model_depth", "2", "model_coordinates", "invariant"}},
    {vector, {"model_type", "diagonal", "model_depth", "3", "model_coordinates", "balanced"}},
    {matrix, {"model_type", "symmetric", "model_rank", "1", "model_coordinates", "weights"}},
    {matrix, {"model_type", "factorisation", "model_depth", "2", "model_coordinates", "aligned"}},
    {matrix, {"model_type", "factorisation", "model_depth", "3", "model_coordinates", "aligned"}},
    {matrix, {"model_type", "factorisation", "model_depth", "2", "model_coordinates", "weights"}},
    {NULL,
     {"model_type", "ou", "model_drift", "1.1,0.4,-0.3,0.8", "model_diffusion", "0.5,0.1,0.1,0.3", "model_center",
      "0.2,-0.1"}},
    /* D^{-1} A symmetric: A = D K, K = (2, .3; .3, 1) */
    {NULL,
     {"model_type", "ou", "model_drift", "1.03,0.25,0.29,0.33", "model_diffusion", "0.5,0.1,0.1,0.3", "model_center",
      "0.2,-0.1", "training_weight_decay", "0", "training_temperature", "0"}},
    /* singular D, reversible nowhere */
    {NULL,
     {"model_type", "ou", "model_drift", "1.1,0,0,1.1", "model_diffusion", "0.4,0.2,0.2,0.1", "model_center",
      "0.2,-0.1", "training_weight_decay", "0", "training_temperature", "0"}},
};
#define CASES ((int)(sizeof model_case / sizeof model_case[0]))
static const char *const drifts[] = {"gradient", "modified"}, *const noises[] = {"none", "isotropic", "gradient"};

static void Point(int d, double z[])
{
  static const double generic[FP_MAX_DIM] = {0.73, 0.41, -0.58, 0.92, 0.37, -0.81, 0.66, 0.29};

  memcpy(z, generic, (size_t)d * sizeof(double));
}

/* d/dz_k of f's `rows` components at z: central differences, one Richardson step (error O(h^4)) */
typedef void (*Field)(FPProcess process, int n, const double *z, double *f);
static void Differentiate(FPProcess process, Field f, int d, int rows, int k, const double *z, double *df)
{
  double x[FP_MAX_DIM], up[64], down[64], rough[64];

  memcpy(x, z, (size_t)d * sizeof(double));
  for (int step = 0; step < 2; step++) {
    const double h = step ? 1e-3 : 2e-3;

    x[k] = z[k] + h;
    f(process, 1, x, up);
    x[k] = z[k] - h;
    f(process, 1, x, down);
    for (int i = 0; i < rows; i++) {
      df[i] = (up[i] - down[i]) / (2 * h);
      if (step) df[i] += (df[i] - rough[i]) / 3;
      rough[i] = df[i];
    }
  }
}

static void Weighted(FPProcess process, int n, const double *z, double *mD)
{
  FPModel  model;
  PetscInt d;
  double   m;

  must(FPProcessGetModel(process, &model));
  must(FPModelGetSizes(model, &d, NULL, NULL));
  FPProcessDiffusion(process, n, z, mD);
  FPModelMeasure(model, n, z, &m);
  for (int i = 0; i < d * d; i++) mD[i] *= m;
}

/* v = b - div(m D)/m, and v = -D grad Phi where there is a potential */
static void CheckCalculus(Setup *u, const char *label)
{
  PetscInt  d;
  PetscBool has;
  double    z[FP_MAX_DIM], b[FP_MAX_DIM], v[FP_MAX_DIM], D[64], dD[64], m, dPhi[FP_MAX_DIM];

  must(FPModelGetSizes(u->model, &d, NULL, NULL));
  Point((int)d, z);
  FPProcessDrift(u->process, 1, z, b);
  FPProcessFick(u->process, 1, z, v);
  FPProcessDiffusion(u->process, 1, z, D);
  FPModelMeasure(u->model, 1, z, &m);
  for (int k = 0; k < d; k++) {
    Differentiate(u->process, Weighted, (int)d, (int)(d * d), k, z, dD);
    for (int i = 0; i < d; i++) b[i] -= dD[i * d + k] / m;
  }
  for (int i = 0; i < d; i++) check(Close(v[i], b[i]) < 1e-8, "%s: v[%d] = %.12g, not %.12g", label, i, v[i], b[i]);
  must(FPProcessHasPotential(u->process, &has));
  if (!has) return;
  for (int k = 0; k < d; k++) Differentiate(u->process, FPProcessPotential, (int)d, 1, k, z, &dPhi[k]);
  for (int i = 0; i < d; i++) {
    double flow = 0;

    for (int k = 0; k < d; k++) flow -= D[i * d + k] * dPhi[k];
    check(Close(v[i], flow) < 1e-8, "%s: v[%d] = %.12g, -D grad Phi = %.12g", label, i, v[i], flow);
  }
}

/* 2 D = S S^T, pushed forward where mapped; many points at once equal one at a time */
static void CheckFactor(Setup *u, const char *label)
{
  enum { n = FP_BLOCK + 7 };
  PetscInt      d, m, c;
  PetscBool     mapped;
  double        z[FP_MAX_DIM * n], w[FP_MAX_DIM], P[64], S[128], D[64], PS[128], one[FP_MAX_DIM], zl[FP_MAX_DIM];
  static double many[64 * n];

  must(FPModelGetSizes(u->model, &d, NULL, NULL));
  must(FPModelGetParent(u->model, &mapped, &m));
  must(FPProcessGetChannels(u->process, &c));
  Point((int)d, zl);
  FPModelLift(u->model, 1, zl, w);
  FPModelPush(u->model, 1, w, P);
  FPProcessWeightFactor(u->process, 1, w, S);
  FPProcessDiffusion(u->process, 1, zl, D);
  for (int i = 0; i < d; i++)
    for (int k = 0; k < c; k++) {
      PS[i * c + k] = 0;
      for (int a = 0; a < m; a++) PS[i * c + k] += (mapped ? P[i * m + a] : i == a) * S[a * c + k];
    }
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      double sum = 0;

      for (int k = 0; k < c; k++) sum += PS[i * c + k] * PS[j * c + k];
      check(fabs(sum - 2 * D[i * d + j]) < 1e-13, "%s: S S^T [%d][%d] = %g, 2 D = %g", label, i, j, sum,
            2 * D[i * d + j]);
    }
  for (int k = 0; k < d; k++)
    for (int l = 0; l < n; l++) z[k * n + l] = zl[k] * (1 + 0.003 * l);
  FPProcessDrift(u->process, n, z, many);
  for (int l = 0; l < n; l += n - 1) {
    for (int k = 0; k < d; k++) zl[k] = z[k * n + l];
    FPProcessDrift(u->process, 1, zl, one);
    for (int k = 0; k < d; k++)
      check(Close(one[k], many[k * n + l]) < 1e-13, "%s: point %d of %d: %g, alone %g", label, l, n, many[k * n + l],
            one[k]);
  }
}

static void test_calculus(void **state)
{
  (void)state;
  for (int c = 0; c < CASES; c++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 3; j++) {
        const char *const block[] = {
            "mine_preset", "ald", "mine_drift", drifts[i], "mine_noise", noises[j], j == 1 ? "mine_temperature" : NULL,
            "0.045",       NULL};
        Setup u;
        char  label[128];

        snprintf(label, sizeof label, "%s %s depth %s, %s, %s", model_case[c].key[1], model_case[c].key[5],
                 model_case[c].key[3], drifts[i], noises[j]);
        Begin(&u, model_case[c].data, model_case[c].key, block);
        must(FPProcessCreate(u.config, "mine", u.model, &u.process));
        CheckCalculus(&u, label);
        CheckFactor(&u, label);
        End(&u);
      }
}

/* Who has a potential: isotropic noise on a gradient, ou with D^{-1} A symmetric; never gradient noise elsewhere. */
static void test_potential_exists(void **state)
{
  static const struct {
    int         model;
    const char *process;
    PetscBool   has;
  } expected[] = {{1, "langevin", PETSC_TRUE}, {1, "ald", PETSC_FALSE},     {1, "ald2", PETSC_FALSE},
                  {1, "gd", PETSC_FALSE},      {3, "langevin", PETSC_TRUE}, {4, "langevin", PETSC_TRUE},
                  {10, "ald", PETSC_FALSE},    {11, "sgd", PETSC_FALSE},    {11, "ald", PETSC_TRUE},
                  {12, "ald", PETSC_FALSE}};

  (void)state;
  for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
    Setup     u;
    PetscBool has;

    Begin(&u, model_case[expected[k].model].data, model_case[expected[k].model].key, NULL);
    must(FPProcessCreate(u.config, expected[k].process, u.model, &u.process));
    must(FPProcessHasPotential(u.process, &has));
    check(has == expected[k].has, "model %d, %s: potential %d", expected[k].model, expected[k].process, (int)has);
    End(&u);
  }
}

static double Matched(const char *const data[], const char *const model[])
{
  const char *const block[] = {"langevin_temperature", "matched", NULL};
  Setup             u;
  FPTraining        t;
  double            gibbs;

  Begin(&u, data, model, block);
  must(FPProcessCreate(u.config, "langevin", u.model, &u.process));
  must(FPProcessGetTraining(u.process, &t));
  must(FPProcessGetGibbsTemperature(u.process, &gibbs));
  check(gibbs == t.temperature, "Gibbs temperature %g, T = %g", gibbs, t.temperature);
  must(FPProcessDestroy(&u.process));
  must(FPProcessCreate(u.config, "sgd", u.model, &u.process));
  must(FPProcessGetGibbsTemperature(u.process, &gibbs));
  check(Close(gibbs, t.temperature) < 1e-14, "of sgd %g, matched %g", gibbs, t.temperature);
  End(&u);
  return t.temperature;
}

/* Minimum of the 2-chain with decay: w^2 = teacher - l/s, e = -l/s, C = v (w, w)(w, w)^T; the same number in all its
   coordinates. Two independent diagonal chains: Var A_i = s^2 (e_i^2 + |e|^2) + s sigma^2. */
static void test_matched(void **state)
{
  const char *const balanced[] = {"model_type", "chain", "model_depth", "2", "model_coordinates", "balanced", NULL};
  const char *const diagonal[] = {"model_type", "diagonal", "model_depth", "2", "model_coordinates", "balanced", NULL};
  const double      s = 0.8, e = -0.03 / s, v = 2 * s * s * e * e + s * 0.36, gain = 0.07 / 6, T = 0.045;
  const double      two   = 3 * s * s * e * e + s * 0.36;
  const double      chain = T + gain * v * (1.3 + e), diag = T + gain * two * (1.2 + e + 0.7 + e) / 2;
  double            got[6];

  (void)state;
  got[0] = Matched(scalar, model_case[1].key);
  got[1] = Matched(scalar, balanced);
  got[2] = Matched(scalar, model_case[4].key);
  for (int k = 0; k < 3; k++) check(Close(got[k], chain) < 1e-9, "chain %d: %.12g, exact %.12g", k, got[k], chain);
  got[3] = Matched(vector, diagonal);
  check(Close(got[3], diag) < 1e-9, "diagonal: %.12g, exact %.12g", got[3], diag);
  got[4] = Matched(matrix, model_case[7].key);
  got[5] = Matched(matrix, model_case[9].key); /* with decay its minima are the aligned one, rotated */
  check(Close(got[4], got[5]) < 1e-8, "aligned %.12g, all eight weights %.12g", got[4], got[5]);
  got[4] = Matched(scalar, model_case[2].key);
  got[5] = Matched(scalar, model_case[3].key);
  check(Close(got[4], got[5]) < 1e-9, "3-chain in weights %.12g, balanced %.12g", got[4], got[5]);
}

/* Another reference point and another reference: at the origin of the 2-chain C = 0, so T is the injected one. */
static void test_matched_elsewhere(void **state)
{
  const char *const block[] = {
      "langevin_temperature", "matched", "langevin_matched_at", "origin", "ald_temperature", "0.021", NULL};
  Setup      u;
  FPTraining t;

  (void)state;
  Begin(&u, scalar, model_case[1].key, block);
  must(FPProcessCreate(u.config, "langevin", u.model, &u.process));
  must(FPProcessGetTraining(u.process, &t));
  check(Close(t.temperature, 0.021) < 1e-12, "T = %g", t.temperature);
  End(&u);
}

static void test_presets(void **state)
{
  static const char *const block[2][7] = {{"a_preset", "ald", "a_noise", "isotropic"},
                                          {"b_preset", "langevin", "b_drift", "modified", "b_noise", "gradient"}};
  static const char *const pair[2][2]  = {{"langevin", "a"}, {"ald2", "b"}};
  const double             w[2]        = {0.8, -0.3};

  (void)state;
  for (int k = 0; k < 2; k++) {
    double b[2][2], D[2][4];
    Setup  u;

    Begin(&u, scalar, model_case[1].key, block[k]);
    for (int i = 0; i < 2; i++) {
      const char *name;

      must(FPProcessDestroy(&u.process));
      must(FPProcessCreate(u.config, pair[k][i], u.model, &u.process));
      must(FPProcessGetName(u.process, &name));
      assert_string_equal(name, pair[k][i]);
      FPProcessDrift(u.process, 1, w, b[i]);
      FPProcessDiffusion(u.process, 1, w, D[i]);
    }
    assert_memory_equal(b[0], b[1], sizeof b[0]);
    assert_memory_equal(D[0], D[1], sizeof D[0]);
    must(FPConfigCheckUnknown(u.config));
    End(&u);
  }
}

/* Hessian at the minimum of the 2-chain along (1, 1): s (3 w^2 - teacher) + l; dt is eta/k. */
static void test_steps(void **state)
{
  const double      lambda = 0.8 * (3 * (1.3 - 0.03 / 0.8) - 1.3) + 0.03, eta = 0.07;
  const char *const block[] = {"svag_svag_order", "4", "ald_dt", "0.02", "ald2_dt", "0.07", NULL};
  const struct {
    const char *name;
    FPAlgorithm kind;
    double      step, dt;
  } expected[] = {{"sgd", FP_SGD, eta, 0},       {"gd", FP_GD, eta, 0},
                  {"svag", FP_SVAG, eta / 4, 0}, {"langevin", FP_SDE, 0, eta / ceil(20 * eta * lambda)},
                  {"ald", FP_SDE, 0, eta / 4},   {"ald2", FP_SDE, 0, eta}};

  (void)state;
  for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
    Setup       u;
    FPAlgorithm kind;
    double      step, dt;

    Begin(&u, scalar, model_case[1].key, block);
    must(FPProcessCreate(u.config, expected[k].name, u.model, &u.process));
    must(FPProcessGetAlgorithm(u.process, &kind, NULL));
    must(FPProcessGetStep(u.process, &step));
    must(FPProcessGetParticleStep(u.process, &dt));
    check(kind == expected[k].kind, "%s: algorithm %d", expected[k].name, (int)kind);
    check(fabs(step - expected[k].step) < 1e-15, "%s: step %g", expected[k].name, step);
    check(fabs(dt - expected[k].dt) < 1e-15, "%s: dt %g, not %g", expected[k].name, dt, expected[k].dt);
    End(&u);
  }
}

/* Columns of S: one of the 2-chain's rank-one noise, two injected ones only where T > 0. */
static void test_channels(void **state)
{
  static const struct {
    const char *temperature, *process;
    PetscInt    channels;
  } expected[] = {{"0.02", "ald", 3}, {"0", "ald", 1}, {"0.02", "langevin", 2}, {"0.02", "gd", 2}, {"0", "gd", 0}};

  (void)state;
  for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
    const char *const T[] = {"training_temperature", expected[k].temperature, NULL};
    Setup             u;
    PetscInt          channels;

    Begin(&u, scalar, model_case[1].key, T);
    must(FPProcessCreate(u.config, expected[k].process, u.model, &u.process));
    must(FPProcessGetChannels(u.process, &channels));
    check(channels == expected[k].channels, "%s at T = %s: %d channels", expected[k].process, expected[k].temperature,
          (int)channels);
    End(&u);
  }
}

/* ald on ou: b = -A (w - center) - decay w, D = diffusion + T I, whatever eta and B are */
static void test_ou(void **state)
{
  const double w[2] = {0.9, 0.5}, y[2] = {0.7, 0.6};
  double       b[2], D[4];
  Setup        u;

  (void)state;
  Begin(&u, NULL, model_case[10].key, NULL);
  must(FPProcessCreate(u.config, "ald", u.model, &u.process));
  FPProcessDrift(u.process, 1, w, b);
  FPProcessDiffusion(u.process, 1, w, D);
  check(Close(b[0], -1.1 * y[0] - 0.4 * y[1] - 0.03 * w[0]) < 1e-13, "b[0] = %g", b[0]);
  check(Close(b[1], 0.3 * y[0] - 0.8 * y[1] - 0.03 * w[1]) < 1e-13, "b[1] = %g", b[1]);
  check(Close(D[0], 0.545) < 1e-13 && Close(D[3], 0.345) < 1e-13, "D = %g, %g", D[0], D[3]);
  check(Close(D[1], 0.1) < 1e-13 && Close(D[2], 0.1) < 1e-13, "D = %g, %g off the diagonal", D[1], D[2]);
  End(&u);
}

static void test_bad_input(void **state)
{
  static const struct {
    const char *process, *key, *value, *says;
  } bad[] = {
      {"Mine", "Mine_preset", "ald", "small letters"},
      {"2mine", "2mine_preset", "ald", "small letters"},
      {"my_own", "my_own_preset", "ald", "small letters"},
      {"spectrum", "spectrum_preset", "ald", "reserved"},
      {"eps", "eps_preset", "ald", "reserved"},
      {"mine", "mine_drift", "gradient", "sgd, gd, svag, langevin, ald, ald2"},
      {"mine", "mine_preset", "cauchy", "sgd, gd, svag, langevin, ald, ald2"},
      {"sgd", "sgd_preset", "ald", "another name"},
      {"ald", "ald_drift", "sideways", "accepted are gradient, modified"},
      {"ald", "ald_noise", "heavy", "accepted are none, isotropic, gradient, refined, stable"},
      {"langevin", "langevin_temperature", "0", "must be positive or matched"},
      {"langevin", "training_temperature", "0", "must be positive or matched"},
      {"langevin", "langevin_temperature", "-0.1", "a number >= 0 and the word matched"},
      {"langevin", "langevin_temperature", "warm", "a number >= 0 and the word matched"},
      {"langevin", "langevin_temperature", "inf", "a number >= 0 and the word matched"},
      {"ald", "ald_temperature", "matched", "only noise isotropic"},
      {"langevin", "langevin_matched_to", "ald", "needs temperature: matched"},
      {"langevin", "langevin_dt", "0.08", "at most the learning rate, 0.07"},
      {"langevin", "langevin_dt", "0", "must be positive"},
      {"langevin", "langevin_svag_order", "3", "only preset svag"},
      {"svag", "svag_svag_order", "0", "outside [1, "},
      {"sgd", "sgd_dt", "0.01", "only an SDE"},
      {"sgd", "sgd_drift", "modified", "discrete algorithm"},
      {"gd", "gd_noise", "gradient", "discrete algorithm"},
  };

  (void)state;
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    const char *const pair[] = {bad[k].key, bad[k].value, NULL};
    Setup             u;

    Begin(&u, scalar, model_case[1].key, pair);
    refused(FPProcessCreate(u.config, bad[k].process, u.model, &u.process), bad[k].says);
    check(strstr(message, bad[k].process), "%s is not named: %s", bad[k].process, message);
    End(&u);
  }
}

/* A matched temperature that does not exist: no such point, no noise, a reference that is matched itself. */
static void test_bad_match(void **state)
{
  static const char *const bad[][7] = {
      {"langevin_matched_at", "hilltop", "accepted: minimum"},
      {"langevin_matched_to", "cauchy", "not a preset"},
      {"langevin_matched_to", "langevin", "another temperature is matched to this process"},
      {"langevin_matched_at", "origin", "so the matched temperature is 0", "training_temperature", "0"},
  };

  (void)state;
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    const char *const keys[] = {bad[k][0], bad[k][1], "langevin_temperature", "matched", bad[k][3], bad[k][4], NULL};
    Setup             u;

    Begin(&u, scalar, model_case[1].key, keys);
    refused(FPProcessCreate(u.config, "langevin", u.model, &u.process), bad[k][2]);
    End(&u);
  }
}

static void test_list(void **state)
{
  FILE  *out = tmpfile();
  char   text[8192];
  size_t n;

  (void)state;
  must(FPProcessList(out));
  rewind(out);
  n       = fread(text, 1, sizeof text - 1, out);
  text[n] = 0;
  fclose(out);
  for (int k = 0; k < 6; k++) {
    static const char *const word[] = {"langevin", "svag_order", "matched_at", "ald2", "modified", "isotropic"};

    check(strstr(text, word[k]), "%s is missing in: %s", word[k], text);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_invariant), cmocka_unit_test(test_ito),
      cmocka_unit_test(test_calculus),  cmocka_unit_test(test_potential_exists),
      cmocka_unit_test(test_matched),   cmocka_unit_test(test_matched_elsewhere),
      cmocka_unit_test(test_presets),   cmocka_unit_test(test_steps),
      cmocka_unit_test(test_bad_input), cmocka_unit_test(test_bad_match),
      cmocka_unit_test(test_list),      cmocka_unit_test(test_channels),
      cmocka_unit_test(test_ou),
  };
  int failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (SlepcFinalize()) return 1;
  return failed;
}

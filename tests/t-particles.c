/* The particle engine against closed forms of the very recursions it runs (Euler's step and SGD's batch included), with
   4.5 standard errors from the scatter of the groups, and against identities that hold for every single step. */
#include "test.h"
#include "fpparticles.h"
#include "../src/particles/particlesimpl.h"
#include <math.h>
#include <string.h>

/* data, model and process of one case */
typedef struct {
  FPConfig  config;
  FPData    data;
  FPModel   model;
  FPProcess process;
} Case;

/* keys: name, value, ..., NULL */
static void Open(const char name[], const char *const keys[], Case *c)
{
  PetscBool has;

  memset(c, 0, sizeof(*c));
  must(FPConfigCreate(&c->config));
  for (int k = 0; keys[k]; k += 2) must(FPConfigSet(c->config, keys[k], keys[k + 1]));
  must(FPConfigHas(c->config, "data_type", &has));
  if (has) must(FPDataCreate(c->config, &c->data));
  must(FPModelCreate(c->config, c->data, &c->model));
  must(FPProcessCreate(c->config, name, c->model, &c->process));
}

static void Close(Case *c)
{
  must(FPProcessDestroy(&c->process));
  must(FPModelDestroy(&c->model));
  must(FPDataDestroy(&c->data));
  must(FPConfigDestroy(&c->config));
}

/* Sums over particles and steps of a function f(before, after) with values [values], and the number of terms */
typedef struct {
  int values;
  void (*evaluate)(const void *parameters, int dim, const double *before, const double *after, double *f);
  const void *parameters;
} Mean;

static void SampleMean(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  const Mean *mean = (const Mean *)context;

  (void)scratch;
  for (int l = 0; l < FP_BLOCK; l++) {
    double before[FP_MAX_DIM], after[FP_MAX_DIM], f[FP_MAX_DIM] = {0};

    for (int i = 0; i < move->dim; i++) {
      before[i] = move->before[i * FP_BLOCK + l];
      after[i]  = move->after[i * FP_BLOCK + l];
    }
    mean->evaluate(mean->parameters, (int)move->dim, before, after, f);
    for (int v = 0; v < mean->values; v++) accumulator[v] += f[v];
    accumulator[mean->values] += 1;
  }
}

/* Run and return mean and standard error of each value. */
static void RunMean(const Case *c, const FPBox *box, double dt, const FPParticleOptions *options, const double *start,
                    const Mean *mean, double *value, double *error, FPParticleReport *report)
{
  const int        n           = mean->values + 1;
  double          *accumulator = calloc((size_t)(FP_GROUPS * n), sizeof(double));
  const FPObserver observer    = {.accumulator = (size_t)n, .every = 1, .sample = SampleMean, .context = mean};

  must(FPParticlesRun(c->process, box, dt, options, start, 1, &observer, &accumulator, report));
  for (int v = 0; v < mean->values; v++) {
    double sum = 0, square = 0;

    for (int g = 0; g < FP_GROUPS; g++) {
      const double m = accumulator[g * n + v] / accumulator[g * n + n - 1];

      sum += m;
      square += m * m;
    }
    value[v] = sum / FP_GROUPS;
    error[v] = sqrt(PetscMax(0, square / FP_GROUPS - value[v] * value[v]) / (FP_GROUPS - 1));
  }
  free(accumulator);
}

static double *Repeat(int dim, const double point[], int count)
{
  double *start = malloc((size_t)(count * dim) * sizeof(double));

  for (int k = 0; k < count * dim; k++) start[k] = point[k % dim];
  return start;
}

#define NEAR(got, error, exact, what)                                                                                  \
  check(fabs((got) - (exact)) < 4.5 * (error) && (error) < 0.02 * fabs(exact), "%s: %g +- %g, exact %g", what, got,    \
        error, exact)

/* ---- one weight: mean, variance, covariance with the next step ---- */

static void Weight(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  const double center = *(const double *)parameters, a = before[0] - center, b = after[0] - center;

  (void)dim;
  f[0] = b;
  f[1] = b * b;
  f[2] = a * b;
}

#define LINE                                                                                                           \
  "data_type", "gaussian", "data_teacher", "0.7", "data_second_moment", "1.3", "data_label_noise", "0.6",              \
      "model_type", "chain", "model_depth", "1", "training_learning_rate", "0.23"
enum { COUNT = FP_GROUPS * FP_BLOCK };
static const double s = 1.3, eta = 0.23, P = 0.7, sigma = 0.6;

/* Exact: E e^2 = variance, E e' e = factor E e^2 around the center */
static void CheckWeight(const char name[], const char *const keys[], double dt, double center, double variance,
                        double factor)
{
  const FPParticleOptions options = {.count = COUNT, .steps = 150, .burn_in = 60, .seed = 5, .threads = 2};
  const Mean              mean    = {3, Weight, &center};
  double                 *start   = Repeat(1, &center, COUNT), value[3], error[3];
  FPParticleReport        report;
  Case                    c;

  Open(name, keys, &c);
  RunMean(&c, NULL, dt, &options, start, &mean, value, error, &report);
  check(fabs(value[0]) < 4.5 * error[0], "%s: mean %g +- %g", name, value[0], error[0]);
  NEAR(value[1], error[1], variance, name);
  NEAR(value[2], error[2], variance * factor, name);
  Close(&c);
  free(start);
}

/* Euler-Maruyama of dw = -k (w - c) dt + sqrt(2T) dB has variance T/(k (1 - k dt/2)), not T/k */
static void test_euler(void **state)
{
  static const char *const keys[] = {LINE, "training_weight_decay", "0.4", "training_temperature", "0.11", NULL};
  const double             k = s + 0.4, dt = eta / 2;

  (void)state;
  CheckWeight("langevin", keys, dt, s * P / k, 0.11 / (k * (1 - 0.5 * k * dt)), 1 - k * dt);
}

/* e' = (1 - h X) e + eta Z: E e^2 = eta sigma^2/B / (2 - h - 2 h/B) (Kesten); injected noise adds 2 eta T per step */
static void test_sgd_variance(void **state)
{
  static const char *const one[]  = {LINE, "training_batch_size", "3", NULL};
  static const char *const two[]  = {LINE, "training_batch_size", "1", "training_temperature", "0.09", NULL};
  const double             h      = eta * s;
  const double             kesten = eta * sigma * sigma / 3 / (2 - h - 2 * h / 3);

  (void)state;
  CheckWeight("sgd", one, 0, P, kesten, 1 - h);
  CheckWeight("sgd", two, 0, P, (eta * h * sigma * sigma + 2 * eta * 0.09) / (2 * h - 3 * h * h), 1 - h);
}

/* SVAG(l): E e^2 = (eta sigma^2/B)/(2 - h/l - 2h/B), step eta/l */
static void test_svag_variance(void **state)
{
  static const char *const keys[] = {LINE, "training_batch_size", "2", "svag_svag_order", "3", NULL};
  const double             h      = eta * s;

  (void)state;
  CheckWeight("svag", keys, 0, P, eta * sigma * sigma / 2 / (2 - h / 3 - h), 1 - h / 3);
}

static void test_gd_noise(void **state)
{
  static const char *const keys[] = {LINE, "training_temperature", "0.2", "training_weight_decay", "0.1", NULL};
  const double             h      = eta * (s + 0.1);

  (void)state;
  CheckWeight("gd", keys, 0, s * P / (s + 0.1), 2 * eta * 0.2 / (2 * h - h * h), 1 - h);
}

/* ---- identities of single steps ---- */

typedef struct {
  double s, sigma, P, eta, B, c; /* c = 1 - eta decay */
} Chain2;

/* One SGD step of the 2-chain: with r solved from w1' = c w1 - eta r w2, q' = (c^2 - eta^2 r^2) q to rounding; and in
   the mean E r^2 = s^2 (p - P)^2 + v/B, v = 2 s^2 (p - P)^2 + s sigma^2 */
static void Balance(const void *parameters, int dim, const double *w, const double *after, double *f)
{
  const Chain2 *m = (const Chain2 *)parameters;
  const double  q = w[0] * w[0] - w[1] * w[1], next = after[0] * after[0] - after[1] * after[1];
  const double  r = (m->c * w[0] - after[0]) / (m->eta * w[1]), e = w[0] * w[1] - m->P;
  const double  mean = m->s * m->s * e * e * (1 + 2 / m->B) + m->s * m->sigma * m->sigma / m->B;

  (void)dim;
  f[0] = fabs(next - (m->c * m->c - m->eta * m->eta * r * r) * q);
  f[1] = next - (m->c * m->c - m->eta * m->eta * mean) * q;
  f[2] = fabs(next - q);
}

#define CHAIN2                                                                                                         \
  "data_type", "gaussian", "data_teacher", "0.9", "data_second_moment", "1.2", "data_label_noise", "0.5",              \
      "model_type", "chain", "model_depth", "2", "training_learning_rate", "0.07", "training_weight_decay", "0.03"

static void test_balance_decay(void **state)
{
  static const char *const keys[]   = {CHAIN2, "training_batch_size", "2", NULL};
  const FPParticleOptions  options  = {.count = COUNT, .steps = 60, .burn_in = 0, .seed = 2, .threads = 0};
  const Chain2             m        = {1.2, 0.5, 0.9, 0.07, 2, 1 - 0.07 * 0.03};
  const Mean               mean     = {3, Balance, &m};
  const double             point[2] = {1.5, 0.6};
  double                  *start    = Repeat(2, point, COUNT), value[3], error[3];
  FPParticleReport         report;
  Case                     c;

  (void)state;
  Open("sgd", keys, &c);
  RunMean(&c, NULL, 0, &options, start, &mean, value, error, &report);
  check(value[0] < 1e-14, "defect of q' %g", value[0]);
  check(fabs(value[1]) < 4.5 * error[1] && error[1] < 0.01 * value[2], "mean change of q off by %g +- %g of %g",
        value[1], error[1], value[2]);
  Close(&c);
  free(start);
}

static void Spread(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  (void)parameters;
  (void)before;
  for (int i = 1; i < dim; i++) f[0] += fabs(after[i] - after[0]);
  f[1] = fabs(after[0] - before[0]);
}

/* Equal weights of a chain of depth 3 stay equal under SGD and SVAG, to the last bit or nearly */
static void test_balanced_stays(void **state)
{
  static const char *const keys[]   = {"data_type",
                                       "gaussian",
                                       "data_teacher",
                                       "0.8",
                                       "data_second_moment",
                                       "1.1",
                                       "data_label_noise",
                                       "0.5",
                                       "model_type",
                                       "chain",
                                       "model_depth",
                                       "3",
                                       "training_learning_rate",
                                       "0.06",
                                       "training_batch_size",
                                       "3",
                                       "svag_svag_order",
                                       "2",
                                       NULL};
  const FPParticleOptions  options  = {.count = COUNT, .steps = 50, .burn_in = 0, .seed = 2, .threads = 0};
  const Mean               mean     = {2, Spread, NULL};
  const double             point[3] = {0.83, 0.83, 0.83};
  double                  *start    = Repeat(3, point, COUNT), value[2], error[2];
  FPParticleReport         report;

  (void)state;
  for (int a = 0; a < 2; a++) {
    Case c;

    Open(a ? "svag" : "sgd", keys, &c);
    RunMean(&c, NULL, 0, &options, start, &mean, value, error, &report);
    check(value[0] < 1e-14 && value[1] > 1e-3, "spread %g after moves of %g", value[0], value[1]);
    Close(&c);
  }
  free(start);
}

/* The batch through map and Jacobian, and sample by sample, on the same random words */
static void test_two_ways_of_a_batch(void **state)
{
  static const char *const keys[] = {CHAIN2, "training_batch_size",  "5",    "svag_svag_order",
                                     "4",    "training_temperature", "0.02", NULL};
  FPStepper                stepper[2];
  FPWorkspace              ws[2];
  Case                     c;

  (void)state;
  Open("svag", keys, &c);
  for (int a = 0; a < 2; a++) {
    must(FPStepperCreate(c.process, NULL, 0, 9, &stepper[a]));
    must(FPWorkspaceCreate(&stepper[a], 0, &ws[a]));
    assert_true(stepper[a].linear);
    stepper[a].linear = a ? PETSC_TRUE : PETSC_FALSE;
    FPWorkspaceStart(&ws[a], 128, 0);
    for (int k = 0; k < 2 * FP_BLOCK; k++) ws[a].z[0][k] = 0.9 + 0.01 * k;
    for (int n = 0; n < 21; n++) stepper[a].step(&stepper[a], &ws[a], ws[a].z[n % 2], ws[a].z[1 - n % 2]);
  }
  for (int k = 0; k < 2 * FP_BLOCK; k++)
    check(fabs(ws[0].z[1][k] - ws[1].z[1][k]) < 1e-12, "%g differs by %g", ws[0].z[1][k],
          ws[0].z[1][k] - ws[1].z[1][k]);
  FPWorkspaceDestroy(&ws[0]);
  FPWorkspaceDestroy(&ws[1]);
  Close(&c);
}

/* Items take their words from the stream one after the other, none twice, none left out: normals of a chunk first */
static void test_queue(void **state)
{
  FPStepper   stepper = {.batch = 1, .sampler = {.normals = 3, .words = 2}, .key = {7, 8}};
  FPWorkspace ws;
  const int   rounds = 3;

  (void)state;
  must(FPWorkspaceCreate(&stepper, 0, &ws));
  FPWorkspaceStart(&ws, 64, 0);
  for (int round = 0; round < rounds; round++)
    for (int item = 0; item < ws.sample.capacity; item++) {
      const int       chunk = round * ws.sample.capacity * 5, base = chunk + ws.sample.capacity * 3;
      const float    *normal;
      const unsigned *word;

      FPQueueNext(&ws, &ws.sample, &normal, &word);
      for (int k = 0; k < 2; k++) {
        const int n = base + item * 2 + k;
        unsigned  expected[4 * FP_BLOCK];

        FPRandomWords(stepper.key, 64, (unsigned long long)(n / 4 * 4), 4, expected);
        assert_memory_equal(expected + n % 4 * FP_BLOCK, word + k * FP_BLOCK, FP_BLOCK * sizeof(unsigned));
      }
      for (int k = 0; k < 3; k++) {
        const int n = chunk + item * 3 + k;
        unsigned  raw[4 * FP_BLOCK];
        float     expected[4 * FP_BLOCK];

        FPRandomWords(stepper.key, 64, (unsigned long long)(n / 4 * 4), 4, raw);
        FPRandomNormals(4, raw, expected);
        assert_memory_equal(expected + n % 4 * FP_BLOCK, normal + k * FP_BLOCK, FP_BLOCK * sizeof(float));
      }
    }
  assert_true(ws.index == (unsigned long long)(rounds * ws.sample.capacity * 5));
  FPWorkspaceDestroy(&ws);
}

static void Pair(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  const int mapped = *(const int *)parameters;

  (void)dim;
  (void)before;
  f[0] = mapped ? after[0] : after[0] * after[1];
  f[1] = mapped ? after[1] : 0.5 * (after[0] * after[0] - after[1] * after[1]);
}

/* SGD in the invariant coordinates (p, q) and in the weights: the same batches, the same p and q */
static void test_invariant(void **state)
{
  static const char *const keys[2][24] = {{CHAIN2, "training_batch_size", "2", NULL},
                                          {CHAIN2, "training_batch_size", "2", "model_coordinates", "invariant", NULL}};
  const FPParticleOptions  options     = {.count = COUNT, .steps = 40, .burn_in = 10, .seed = 8, .threads = 0};
  const double             point[2][2] = {{1.4, 0.5}, {1.4 * 0.5, 0.5 * (1.4 * 1.4 - 0.5 * 0.5)}};
  double                   value[2][2], error[2];
  FPParticleReport         report;

  (void)state;
  for (int a = 0; a < 2; a++) {
    const Mean mean  = {2, Pair, &a};
    double    *start = Repeat(2, point[a], COUNT);
    Case       c;

    Open("sgd", keys[a], &c);
    RunMean(&c, NULL, 0, &options, start, &mean, value[a], error, &report);
    Close(&c);
    free(start);
  }
  for (int v = 0; v < 2; v++) check(fabs(value[0][v] - value[1][v]) < 1e-12, "%g and %g", value[0][v], value[1][v]);
}

/* ---- threads ---- */

static void Bits(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  (void)parameters;
  for (int i = 0; i < dim; i++) {
    f[i]       = after[i] * after[i] * after[i];
    f[dim + i] = before[i] * after[dim - 1 - i];
  }
}

static void test_threads(void **state)
{
  static const char *const keys[]   = {CHAIN2, "training_batch_size", "1", "training_temperature", "0.02", NULL};
  static const char *const names[2] = {"sgd", "ald"};
  const FPBox              box      = {2, {-1.7, -2.1}, {1.9, 1.6}, {FP_REFLECTING}};
  const Mean               mean     = {4, Bits, NULL};
  const FPObserver         observer = {.accumulator = 5, .every = 3, .sample = SampleMean, .context = &mean};

  (void)state;
  for (int p = 0; p < 2; p++) {
    static double    sums[3][FP_GROUPS * 5];
    FPParticleReport report[3];
    Case             c;

    Open(names[p], keys, &c);
    for (int t = 0; t < 3; t++) {
      const FPParticleOptions options = {.count = 2 * COUNT, .steps = 30, .burn_in = 5, .seed = 4, .threads = t + 1};
      double                 *own     = sums[t];

      must(FPParticlesRun(c.process, &box, 0.07, &options, NULL, 1, &observer, &own, &report[t]));
      assert_memory_equal(sums[0], sums[t], sizeof(sums[0]));
      assert_memory_equal(report[0].crossings, report[t].crossings, sizeof(report[0].crossings));
    }
    check(isfinite(sums[0][0]) && sums[0][0] != 0 && sums[0][0] != sums[0][5], "groups are alike: %g", sums[0][0]);
    Close(&c);
  }
}

/* Another seed or process: other numbers */
static void test_seeds(void **state)
{
  static const char *const keys[]   = {CHAIN2, "training_batch_size", "1",   "processes",
                                       "sgd",  "other_preset",        "sgd", NULL};
  const double             point[2] = {1, 0.9};
  const Mean               mean     = {4, Bits, NULL};
  double                  *start    = Repeat(2, point, COUNT), value[3][4], error[4];
  FPParticleReport         report;

  (void)state;
  for (int a = 0; a < 3; a++) {
    const FPParticleOptions options = {.count = 100, .steps = 5, .burn_in = 0, .seed = a == 1 ? 6 : 4, .threads = 1};
    Case                    c;
    PetscInt                count;

    must(FPParticlesCount(&options, &count));
    assert_int_equal(count, COUNT);
    Open(a == 2 ? "other" : "sgd", keys, &c);
    RunMean(&c, NULL, 0, &options, start, &mean, value[a], error, &report);
    Close(&c);
  }
  check(value[0][0] != value[1][0] && value[0][0] != value[2][0], "same numbers: %g", value[0][0]);
  free(start);
}

/* ---- walls ---- */

static void Position(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  const FPBox *box = (const FPBox *)parameters;
  double       u[2];

  (void)dim;
  (void)before;
  for (int i = 0; i < 2; i++) u[i] = (after[i] - box->lower[i]) / (box->upper[i] - box->lower[i]);
  f[0] = u[0];
  f[1] = u[1];
  f[2] = u[0] * u[0];
  f[3] = u[1] * u[1];
  f[4] = (u[0] - 0.5) * (u[1] - 0.5) + 1; /* around 1, so that a relative tolerance makes sense */
  f[5] = u[0] < 0.1;
  f[6] = u[1] > 0.9;
}

/* Pure noise with diagonal and with full D between co-normally reflecting walls: the uniform law. Then a step N(0, 2 D
   dt) crosses one of two walls at distance L with probability 2 sqrt(D dt/pi)/L; with full D the corners, where two
   reflections meet, take a share of order sqrt(dt) of that. */
static void test_walls_uniform(void **state)
{
  static const char *const diffusion[2] = {"0.31,0,0,0.24", "0.31,0.2,0.2,0.24"};
  const FPBox              box          = {2, {-0.4, 0.3}, {1.1, 1.2}, {FP_REFLECTING}};
  const FPParticleOptions  options      = {.count = COUNT, .steps = 1000, .burn_in = 300, .seed = 3, .threads = 2};
  const double exact[7] = {0.5, 0.5, 1. / 3, 1. / 3, 1, 0.1, 0.1}, dt = 0.0025, tolerance[2] = {0.003, 0.03};
  const double expected = 2 * sqrt(0.31 * dt / M_PI) / 1.5 + 2 * sqrt(0.24 * dt / M_PI) / 0.9;
  const Mean   mean     = {7, Position, &box};

  (void)state;
  for (int a = 0; a < 2; a++) {
    const char *const keys[] = {
        "model_type", "ou", "model_drift", "0,0,0,0", "model_diffusion", diffusion[a], "training_learning_rate",
        "0.01",       NULL};
    double           value[7], error[7], crossings = 0;
    FPParticleReport report;
    Case             c;

    Open("ald", keys, &c);
    RunMean(&c, &box, dt, &options, NULL, &mean, value, error, &report);
    for (int v = 0; v < 7; v++) NEAR(value[v], error[v], exact[v], "uniform law");
    for (int g = 0; g < FP_GROUPS; g++) crossings += report.crossings[g] / FP_GROUPS;
    check(fabs(crossings - expected) < tolerance[a] * expected, "crossings %g, expected %g", crossings, expected);
    Close(&c);
  }
}

static void Range(const void *parameters, int dim, const double *before, const double *after, double *f)
{
  const double *limit = (const double *)parameters;

  (void)dim;
  (void)before;
  f[0] = after[0] < limit[0] || after[0] > limit[1];
}

/* Steps of many box lengths still end inside; one that crosses once is mirrored exactly */
static void test_mirror(void **state)
{
  static const char *const keys[]  = {LINE, "training_temperature", "9.0", NULL};
  static const char *const plain[] = {LINE, NULL};
  const FPBox              box = {1, {0.1}, {0.4}, {FP_REFLECTING}}, near = {1, {-1}, {0.25}, {FP_REFLECTING}};
  const double             limit[2] = {0.1, 0.4}, point = 0.2, h = eta * s, free1 = 0.2 + h * (P - 0.2);
  FPParticleOptions        options = {.count = COUNT, .steps = 20, .burn_in = 0, .seed = 3, .threads = 1};
  const Mean               range = {1, Range, limit}, weight = {2, Weight, &(const double){0}};
  double                   value[2], error[2], *start = Repeat(1, &point, COUNT);
  FPParticleReport         report;
  Case                     c;

  (void)state;
  Open("gd", keys, &c);
  RunMean(&c, &box, 0, &options, NULL, &range, value, error, &report);
  assert_true(value[0] == 0);
  check(report.crossings[3] > 0.5, "crossings %g", report.crossings[3]);
  Close(&c);
  Open("gd", plain, &c);
  options.steps = 1;
  RunMean(&c, &near, 0, &options, start, &weight, value, error, &report);
  check(fabs(value[0] - (0.5 - free1)) < 1e-14, "mirrored to %g, not %g", value[0], 0.5 - free1);
  assert_true(report.crossings[0] == 1);
  Close(&c);
  free(start);
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
  static const char *const keys[]   = {CHAIN2, "training_learning_rate", "2.5", NULL};
  const FPParticleOptions  options  = {.count = COUNT, .steps = 400, .burn_in = 0, .seed = 3, .threads = 2};
  const FPBox              box      = {2, {-3, -3}, {3, 3}, {FP_REFLECTING, FP_REFLECTING, FP_ABSORBING}};
  const double             point[2] = {2, 1.5};
  double                  *start    = Repeat(2, point, COUNT);
  FPParticleReport         report;
  Case                     c;

  (void)state;
  Open("gd", keys, &c);
  must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  assert_int_equal(FPParticlesRun(c.process, NULL, 0, &options, start, 0, NULL, NULL, &report), PETSC_ERR_FP);
  assert_int_equal(FPParticlesRun(c.process, &box, 0, &options, start, 0, NULL, NULL, &report), PETSC_ERR_SUP);
  assert_int_equal(FPParticlesRun(c.process, NULL, 0, &options, NULL, 0, NULL, NULL, &report), PETSC_ERR_ARG_INCOMP);
  must(PetscPopErrorHandler());
  Close(&c);
  Open("ald", keys, &c);
  must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
  assert_int_equal(FPParticlesRun(c.process, NULL, 0.7, &options, start, 0, NULL, NULL, &report), PETSC_ERR_ARG_INCOMP);
  must(PetscPopErrorHandler());
  Close(&c);
  free(start);
}

/* start() once per block, between burn-in and first sample; step counts; `every` */
static void StartCounting(const void *context, const FPMove *move, double *scratch)
{
  (void)context;
  scratch[0] = move->after[0];
  scratch[1] = 0;
  if (move->step != 0 || move->before != move->after) scratch[0] = NAN;
}

static void SampleCounting(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  (void)context;
  scratch[1] += 1;
  accumulator[0] += 1;
  accumulator[1] += (double)move->step;
  accumulator[2] = scratch[0];
  accumulator[3] += scratch[1];
}

static void test_observer_calls(void **state)
{
  static const char *const keys[]   = {LINE, NULL};
  const FPParticleOptions  options  = {.count = 2 * COUNT, .steps = 11, .burn_in = 7, .seed = 3, .threads = 2};
  const FPObserver         observer = {
              .accumulator = 4, .scratch = 2, .every = 3, .start = StartCounting, .sample = SampleCounting};
  const double     point = 0.2, expected = P - (P - 0.2) * pow(1 - eta * s, 7);
  double          *sums = malloc(4 * FP_GROUPS * sizeof(double)), *start = Repeat(1, &point, 2 * COUNT);
  FPParticleReport report;
  Case             c;

  (void)state;
  Open("gd", keys, &c);
  must(FPParticlesRun(c.process, NULL, 0, &options, start, 1, &observer, &sums, &report));
  for (int g = 0; g < FP_GROUPS; g++) { /* two blocks: steps 3, 6, 9 each */
    assert_true(sums[4 * g] == 6 && sums[4 * g + 1] == 36 && sums[4 * g + 3] == 12);
    check(fabs(sums[4 * g + 2] - expected) < 1e-14, "after the burn-in %g, not %g", sums[4 * g + 2], expected);
  }
  check(report.particle_steps == 2. * COUNT * 18, "%g particle-steps", report.particle_steps);
  Close(&c);
  free(start);
  free(sums);
}

/* scratch: active lanes, samples seen; lane l leaves at its sample 1 + l % 2 */
static void SampleLeaving(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  (void)context;
  scratch[FP_BLOCK] += 1;
  accumulator[0] += 1;
  accumulator[1] += (double)move->step;
  for (int l = 0; l < FP_BLOCK; l++) {
    if (scratch[l] == 0) accumulator[2] += fabs(move->before[l] - scratch[FP_BLOCK + 1 + l]);
    if (scratch[l] != 0 && scratch[FP_BLOCK] == 1 + l % 2) {
      scratch[l]                = 0;
      scratch[FP_BLOCK + 1 + l] = move->before[l];
    }
  }
}

static void StartLeaving(const void *context, const FPMove *move, double *scratch)
{
  (void)context;
  (void)move;
  for (int l = 0; l <= FP_BLOCK; l++) scratch[l] = l < FP_BLOCK;
}

static const double *Active(const void *context, const double *scratch)
{
  (void)context;
  return scratch;
}

/* Particles that have shown all stay where they were before that step, and a block ends with the last of them. */
static void test_active(void **state)
{
  static const char *const keys[]   = {LINE, NULL};
  const FPParticleOptions  options  = {.count = 2 * COUNT, .steps = 11, .burn_in = 7, .seed = 3, .threads = 2};
  const double             point    = 0.2;
  const FPObserver         observer = {.accumulator = 3,
                                       .scratch     = 2 * FP_BLOCK + 1,
                                       .every       = 1,
                                       .start       = StartLeaving,
                                       .sample      = SampleLeaving,
                                       .active      = Active};
  double                  *sums = malloc(3 * FP_GROUPS * sizeof(double)), *start = Repeat(1, &point, 2 * COUNT);
  FPParticleReport         report;
  Case                     c;

  (void)state;
  Open("gd", keys, &c);
  must(FPParticlesRun(c.process, NULL, 0, &options, start, 1, &observer, &sums, &report));
  for (int g = 0; g < FP_GROUPS; g++) /* two blocks: steps 1 and 2 each */
    assert_true(sums[3 * g] == 4 && sums[3 * g + 1] == 6 && sums[3 * g + 2] == 0);
  check(report.particle_steps == 2. * COUNT * 9, "%g particle-steps", report.particle_steps);
  Close(&c);
  free(start);
  free(sums);
}

enum { MEAN, SQUARE, WITH_STEP, WITH_OTHER, AGAIN };

/* Deviations of two other steps from their conditional mean: their mean, their variance over the conditional one, and
   their products with each other and with the step that was taken */
static void SampleAgain(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  double *other[2] = {scratch, scratch + FP_BLOCK};

  (void)context;
  for (int k = 0; k < 2; k++) (*move->again)(move, other[k]);
  for (int l = 0; l < FP_BLOCK; l++) {
    const double e = move->before[l] - P, mean = P + (1 - eta * s) * e;
    const double sd = eta * sqrt(2 * s * s * e * e + s * sigma * sigma);
    const double u = (move->after[l] - mean) / sd, v = (other[0][l] - mean) / sd, w = (other[1][l] - mean) / sd;

    accumulator[MEAN] += v;
    accumulator[SQUARE] += v * v;
    accumulator[WITH_STEP] += u * v;
    accumulator[WITH_OTHER] += v * w;
  }
}

/* Other steps from the same points: the law of a step, independent of it and of each other, on any number of threads */
static void test_again(void **state)
{
  static const char *const keys[]  = {LINE, NULL};
  const double             exact[] = {0, 1, 0, 0}, point[] = {P};
  const FPObserver         observer = {
              .accumulator = AGAIN, .scratch = 2 * FP_BLOCK, .every = 1, .sample = SampleAgain, .again = PETSC_TRUE};
  double          *sums[2], *start = Repeat(1, point, 2 * COUNT);
  FPParticleReport report;
  Case             c;

  (void)state;
  Open("sgd", keys, &c);
  for (int k = 0; k < 2; k++) {
    const FPParticleOptions options = {.count = 2 * COUNT, .steps = 40, .burn_in = 30, .seed = 3, .threads = 1 + k};

    sums[k] = malloc(AGAIN * FP_GROUPS * sizeof(double));
    must(FPParticlesRun(c.process, NULL, 0, &options, start, 1, &observer, &sums[k], &report));
  }
  assert_memory_equal(sums[0], sums[1], AGAIN * FP_GROUPS * sizeof(double));
  for (int f = 0; f < AGAIN; f++) {
    double mean = 0, square = 0;

    for (int g = 0; g < FP_GROUPS; g++) {
      const double value = sums[0][g * AGAIN + f] * FP_GROUPS / (40. * 2 * COUNT);

      mean += value / FP_GROUPS;
      square += value * value / FP_GROUPS;
    }
    square = sqrt((square - mean * mean) / FP_GROUPS);
    check(fabs(mean - exact[f]) < 4.5 * square && square < 0.01, "moment %d: %g +- %g, not %g", f, mean, square,
          exact[f]);
  }
  Close(&c);
  for (int k = 0; k < 2; k++) free(sums[k]);
  free(start);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_euler),
                                     cmocka_unit_test(test_sgd_variance),
                                     cmocka_unit_test(test_svag_variance),
                                     cmocka_unit_test(test_gd_noise),
                                     cmocka_unit_test(test_balance_decay),
                                     cmocka_unit_test(test_balanced_stays),
                                     cmocka_unit_test(test_two_ways_of_a_batch),
                                     cmocka_unit_test(test_queue),
                                     cmocka_unit_test(test_invariant),
                                     cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_seeds),
                                     cmocka_unit_test(test_walls_uniform),
                                     cmocka_unit_test(test_mirror),
                                     cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_observer_calls),
                                     cmocka_unit_test(test_active),
                                     cmocka_unit_test(test_again)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  return SlepcFinalize() ? 1 : failed;
}

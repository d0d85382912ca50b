/* t-deep.c: networks deeper than four matrices. Conservation laws of the gradient, SGD's exact law of w_i^2 - w_j^2,
   Hessians at critical points in closed form, blocks, work arrays, and whole runs on the real 2 x 2 data. (Derivatives
   against differences and covariances against quadrature at depths 5, 6 and 19: t-model.c.) */
#include "lab.h"
#include "program.h"
#include "fpparticles.h"
#include <time.h>

#define TWO "data_type gaussian data_teacher 0.7,-0.25,0.4,1.3 data_label_noise 0.31 data_second_moment 1.2 "
#define ONE "data_type gaussian data_teacher 1.3 data_label_noise 0.4 data_second_moment 0.8 "
#define IRIS                                                                                                           \
  "data_type file data_path data/iris_2x2.csv data_standardize true data_whiten true data_inputs "                     \
  "sepal_length_cm,petal_length_cm data_targets sepal_width_cm,petal_width_cm "

/* Entries of order 1 without symmetry. */
static double Entry(PetscInt k, PetscInt l)
{
  return 0.7 + 0.5 * sin(1.3 + 2.1 * (double)(k * k) + 0.9 * (double)(l * (k + 2)));
}

/* X = A^T A - B B^T of 2 x 2 matrices, polarised: of (A, B) and (a, b) it is A^T a + a^T A - B b^T - b B^T. */
static double Polarised(const double *A, const double *a, const double *B, const double *b, int i, int j)
{
  double sum = 0;

  for (int k = 0; k < 2; k++)
    sum += A[2 * k + i] * a[2 * k + j] + a[2 * k + i] * A[2 * k + j] - B[2 * i + k] * b[2 * j + k] -
           b[2 * i + k] * B[2 * j + k];
  return sum;
}

/* Along the gradient, and along that of one sample, W_{j+1}^T W_{j+1} - W_j W_j^T does not change to first order. */
static void test_balance(void **state)
{
  (void)state;
  for (int depth = 5; depth <= 9; depth += 2) {
    double w[36], g[2][36] = {{0}}, x[2] = {0.8, -1.7}, y[2] = {0.3, 1.1}, size = 0;
    char   keys[512];
    Lab    lab;

    (void)snprintf(keys, sizeof(keys), IRIS "model_type factorisation model_depth %d", depth);
    LabOpen(&lab, "sgd", keys);
    for (int k = 0; k < 4 * depth; k++) w[k] = Entry(k, depth);
    FPModelGradient(lab.model, 1, w, g[0]);
    FPModelSampleGradient(lab.model, 1, w, x, y, g[1]);
    for (int which = 0; which < 2; which++) {
      for (int k = 0; k < 4 * depth; k++) size = PetscMax(size, fabs(g[which][k]));
      for (int j = 0; j + 1 < depth; j++)
        for (int e = 0; e < 4; e++) {
          const double change =
              Polarised(w + 4 * (j + 1), g[which] + 4 * (j + 1), w + 4 * j, g[which] + 4 * j, e / 2, e % 2);

          check(fabs(change) < 1e-13 * size, "depth %d, layers %d and %d: %g beside gradients of %g", depth, j + 1,
                j + 2, change, size);
        }
    }
    check(size > 1e-2, "gradients of %g are no test", size);
    LabClose(&lab);
  }
}

enum { CHAIN = 7 };

/* Accumulator: largest violation, smallest and largest A^2 */
static void CheckLaw(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const double eta = *(const double *)context;

  (void)scratch;
  for (int l = 0; l < FP_BLOCK; l++) {
    double before[CHAIN], after[CHAIN], Q = 1, A;

    for (int i = 0; i < CHAIN; i++) {
      before[i] = move->before[i * FP_BLOCK + l];
      after[i]  = move->after[i * FP_BLOCK + l];
    }
    for (int k = 1; k < CHAIN; k++) Q *= before[k];
    A      = (before[0] - after[0]) / (eta * Q);
    acc[1] = PetscMax(acc[1], A * A);
    for (int i = 0; i < CHAIN; i++)
      for (int j = 0; j < i; j++) {
        double Q_ij = 1, gap;

        for (int k = 0; k < CHAIN; k++) Q_ij *= k == i || k == j ? 1 : before[k];
        gap = after[i] * after[i] - after[j] * after[j] -
              (1 - PetscSqr(eta * A * Q_ij)) * (before[i] * before[i] - before[j] * before[j]);
        acc[0] = PetscMax(acc[0], fabs(gap));
      }
  }
}

/* SGD, any batch, no decay: (w_i^2 - w_j^2)' = (1 - eta^2 A^2 Q_ij^2)(w_i^2 - w_j^2), A the batch mean of (p x - y) x
   and Q_ij the product of the other weights: exactly, step by step. */
static void test_chain_law(void **state)
{
  const double      eta      = 0.037;
  FPParticleOptions options  = {.count = 4096, .steps = 40, .seed = 5, .threads = 1};
  FPObserver        observer = {.accumulator = 2, .every = 1, .sample = CheckLaw, .context = &eta};
  FPParticleReport  report;
  double            sums[2 * FP_GROUPS], *accumulators[1] = {sums}, worst = 0, largest = 0;

  (void)state;
  for (int batch = 1; batch <= 3; batch += 2) {
    double *start;
    char    keys[512];
    Lab     lab;

    (void)snprintf(keys, sizeof(keys),
                   ONE "model_type chain model_depth %d training_learning_rate %g training_batch_size %d", CHAIN, eta,
                   batch);
    LabOpen(&lab, "sgd", keys);
    must(PetscMalloc1(4096 * CHAIN, &start));
    for (int k = 0; k < 4096 * CHAIN; k++) start[k] = 0.9 + 0.2 * sin(0.7 * k + 1.1 * (k % CHAIN));
    must(FPParticlesRun(lab.process, NULL, 0, &options, start, 1, &observer, accumulators, &report));
    for (int g = 0; g < FP_GROUPS; g++) {
      worst   = PetscMax(worst, sums[2 * g]);
      largest = PetscMax(largest, sums[2 * g + 1]);
    }
    check(largest > 1, "A^2 up to %g is no test", largest);
    check(worst < 1e-12, "violated by %g", worst);
    must(PetscFree(start));
    LabClose(&lab);
  }
}

static double Seconds(clock_t since)
{
  return (double)(clock() - since) / CLOCKS_PER_SEC;
}

static const FPCriticalPoint *Named(FPModel model, const char name[])
{
  const FPCriticalPoint *found;

  must(FPModelFindCriticalPoint(model, name, &found));
  if (!found) fail_msg("no critical point %s", name);
  return found;
}

/* Eigenvalues at the ends of the list are as expected (ascending), all others flat; relative to the largest. */
static void Ends(const FPCriticalPoint *point, PetscInt d, PetscInt negative, const double low[], PetscInt positive,
                 const double high[])
{
  const double scale = positive ? high[positive - 1] : 1;

  check(point->index == negative && point->flat == d - negative - positive, "%s: index %d, %d flat", point->name,
        (int)point->index, (int)point->flat);
  for (PetscInt k = 0; k < d; k++) {
    const double expected = k < negative ? low[k] : k >= d - positive ? high[k - d + positive] : 0;

    check(fabs(point->eigenvalue[k] - expected) < 1e-11 * scale, "%s: eigenvalue %d is %.15g, not %.15g", point->name,
          (int)k, point->eigenvalue[k], expected);
  }
}

static int Ascending(const void *a, const void *b)
{
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

/* Whitened data of second moment s, no decay, L >= 3, singular values sigma_1 > sigma_2. Minimum: s sum_k
   (sigma_i^{L-k} sigma_j^{k-1})^{2/L} for i, j = 1, 2 and zeros. Only mode 1: L s sigma_1^{2-2/L} and
   s sigma_1^{1-2/L} (sigma_1 +- sigma_2): no negative eigenvalue, but a saddle; only mode 2: the same with 1 and 2
   exchanged. Origin: all flat. */
static void test_critical_factorisation(void **state)
{
  const double s = 1.2, trace = 0.7 * 0.7 + 0.25 * 0.25 + 0.4 * 0.4 + 1.3 * 1.3, det = 0.7 * 1.3 + 0.25 * 0.4;
  const double sigma[2] = {sqrt((trace + sqrt(trace * trace - 4 * det * det)) / 2),
                           sqrt((trace - sqrt(trace * trace - 4 * det * det)) / 2)};

  (void)state;
  for (int depth = 5; depth <= 64; depth = depth < 8 ? 8 : depth * 8) {
    const double           L = depth, f1 = s * pow(sigma[0], 1 - 2 / L), f2 = s * pow(sigma[1], 1 - 2 / L);
    const double           one[3] = {f1 * (sigma[0] - sigma[1]), f1 * (sigma[0] + sigma[1]), L * f1 * sigma[0]};
    double                 two[2] = {f2 * (sigma[1] + sigma[0]), L * f2 * sigma[1]}, below = f2 * (sigma[1] - sigma[0]);
    double                 all[4] = {0};
    const clock_t          start  = clock();
    char                   keys[512];
    PetscInt               count;
    Lab                    lab;
    const FPCriticalPoint *points;

    (void)snprintf(keys, sizeof(keys), TWO "model_type factorisation model_depth %d", depth);
    LabOpen(&lab, "sgd", keys);
    for (int ij = 0; ij < 4; ij++)
      for (int k = 1; k <= depth; k++)
        all[ij] += s * pow(sigma[ij / 2], 2 * (L - k) / L) * pow(sigma[ij % 2], 2 * (k - 1) / L);
    qsort(all, 4, sizeof(double), Ascending);
    qsort(two, 2, sizeof(double), Ascending);
    must(FPModelGetCriticalPoints(lab.model, &count, &points));
    check(Seconds(start) < 3, "%g seconds", Seconds(start));
    assert_int_equal(count, 4);
    Ends(Named(lab.model, "minimum"), 4 * depth, 0, NULL, 4, all);
    Ends(Named(lab.model, "saddle"), 4 * depth, 0, NULL, 3, one);
    Ends(Named(lab.model, "saddle_2"), 4 * depth, 1, &below, 2, two);
    Ends(Named(lab.model, "origin"), 4 * depth, 0, NULL, 0, NULL);
    check(fabs(Named(lab.model, "saddle")->value - 0.5 * s * sigma[1] * sigma[1]) < 1e-13, "V at the saddle");
    check(fabs(Named(lab.model, "minimum")->value) < 1e-25, "V at the minimum");
    LabClose(&lab);
  }
}

/* With decay l: 0 is a minimum with Hessian l I, and what turns neighbouring layers against each other is flat: L - 1
   directions at the minimum. The gradient vanishes at every point of the list. */
static void test_critical_decay(void **state)
{
  (void)state;
  for (int depth = 5; depth <= 12; depth += 7) {
    const FPCriticalPoint *points, *minimum;
    double                 g[48];
    PetscInt               count, zero = -1;
    char                   keys[512];
    Lab                    lab;

    (void)snprintf(keys, sizeof(keys), TWO "model_type factorisation model_depth %d training_weight_decay 0.013",
                   depth);
    LabOpen(&lab, "sgd", keys);
    minimum = Named(lab.model, "minimum");
    assert_int_equal(minimum->flat, depth - 1);
    assert_int_equal(minimum->index, 0);
    must(FPModelGetCriticalPoints(lab.model, &count, &points));
    assert_int_equal(count, 9); /* each mode off, on, or on the barrier between the two */
    for (PetscInt k = 0; k < count; k++) {
      PetscBool all = PETSC_TRUE;

      FPModelGradient(lab.model, 1, points[k].z, g);
      for (int i = 0; i < 4 * depth; i++) check(fabs(g[i]) < 1e-9, "%s: gradient %g", points[k].name, g[i]);
      for (int i = 0; i < 4 * depth; i++) all = (PetscBool)(all && points[k].z[i] == 0);
      if (all) zero = k;
    }
    check(zero >= 0 && !strncmp(points[zero].name, "minimum_", 8), "0 is not listed as a minimum");
    for (int i = 0; i < 4 * depth; i++) check(fabs(points[zero].eigenvalue[i] - 0.013) < 1e-14, "Hessian at 0");
    LabClose(&lab);
  }
}

/* Chain, no decay: at the minimum one eigenvalue L s P^{2-2/L}, at 0 none for L >= 3. All patterns of signs are listed
   to depth 8, one of each product beyond. */
static void test_critical_chain(void **state)
{
  const int depths[] = {5, 9, 33, 256}, points[] = {17, 2, 2, 2};

  (void)state;
  for (int t = 0; t < 4; t++) {
    const double           L = depths[t], top = L * 0.8 * pow(1.3, 2 - 2 / L);
    const FPCriticalPoint *list;
    PetscInt               count;
    char                   keys[512];
    Lab                    lab;

    (void)snprintf(keys, sizeof(keys), ONE "model_type chain model_depth %d", depths[t]);
    LabOpen(&lab, "sgd", keys);
    must(FPModelGetCriticalPoints(lab.model, &count, &list));
    assert_int_equal(count, points[t]);
    Ends(Named(lab.model, "minimum"), depths[t], 0, NULL, 1, &top);
    Ends(Named(lab.model, "origin"), depths[t], 0, NULL, 0, NULL);
    LabClose(&lab);
  }
}

/* On 20 and 24 weights: many points at once are the points one by one, 2 D = S S^T, the modified drift is -g - eta J
   g/2 with J g by differences, and the covariance of a sample's gradient is the derivative's: C = F F^T. */
static void test_blocks(void **state)
{
  enum { N = FP_BLOCK + 7, MOST = 24 };
  static double z[MOST * N], b[MOST * N], D[MOST * MOST * N], S[MOST * 2 * MOST * N];

  (void)state;
  for (int depth = 5; depth <= 6; depth++) {
    const int    d   = 4 * depth;
    const double eta = 0.11;
    PetscInt     channels;
    char         keys[512];
    Lab          lab;

    (void)snprintf(keys, sizeof(keys),
                   TWO "model_type factorisation model_depth %d training_learning_rate %g training_batch_size 3 "
                       "training_temperature 0.017 ald_drift modified",
                   depth, eta);
    LabOpen(&lab, "ald", keys);
    for (int k = 0; k < d; k++)
      for (int l = 0; l < N; l++) z[k * N + l] = Entry(k, l);
    must(FPProcessGetChannels(lab.process, &channels));
    assert_int_equal(channels, 4 + d);
    FPProcessWeightDrift(lab.process, N, z, b);
    FPProcessDiffusion(lab.process, N, z, D);
    FPProcessWeightFactor(lab.process, N, z, S);
    for (int l = 0; l < N; l += 35) {
      double one[MOST], g[3][MOST], own[MOST * MOST], scale = 0, h = 0;

      for (int k = 0; k < d; k++) one[k] = z[k * N + l];
      FPModelGradient(lab.model, 1, one, g[0]);
      for (int k = 0; k < d; k++) h = PetscMax(h, fabs(g[0][k]));
      h = 1e-5 / h;
      for (int side = 0; side < 2; side++) {
        double near[MOST];

        for (int k = 0; k < d; k++) near[k] = one[k] + (side ? -h : h) * g[0][k];
        FPModelGradient(lab.model, 1, near, g[1 + side]);
      }
      for (int k = 0; k < d; k++) scale = PetscMax(scale, fabs(b[k * N + l]));
      for (int k = 0; k < d; k++) {
        const double expected = -g[0][k] - 0.5 * eta * (g[1][k] - g[2][k]) / (2 * h);

        check(fabs(b[k * N + l] - expected) < 1e-7 * scale, "drift %d of point %d: %g, %g", k, l, b[k * N + l],
              expected);
      }
      FPProcessDiffusion(lab.process, 1, one, own);
      for (int i = 0; i < d; i++) scale = PetscMax(scale, own[i * (d + 1)]);
      for (int ij = 0; ij < d * d; ij++) {
        double sum = 0;

        for (int c = 0; c < channels; c++)
          sum += 0.5 * S[(ij / d * channels + c) * N + l] * S[(ij % d * channels + c) * N + l];
        check(fabs(D[ij * N + l] - own[ij]) < 1e-14 * scale, "D of a block");
        check(fabs(sum - own[ij]) < 1e-12 * scale, "D_%d,%d = %g, S S^T/2 gives %g", ij / d, ij % d, own[ij], sum);
      }
    }
    LabClose(&lab);
  }
}

/* Gradient of a sample, Jacobian and Hessian of a chain of 4 n weights cost at most so much more than those of n. */
static void test_cost(void **state)
{
  double seconds[2][3];

  (void)state;
  for (int k = 0; k < 2; k++) {
    const int d = k ? 128 : 32;
    double   *w = FPScratchTake((size_t)d), *out = FPScratchTake((size_t)(d * d)), x[1] = {0.7}, y[1] = {0.4};
    char      keys[512];
    Lab       lab;

    (void)snprintf(keys, sizeof(keys), ONE "model_type chain model_depth %d", d);
    LabOpen(&lab, "sgd", keys);
    for (int i = 0; i < d; i++) w[i] = 1 + 0.01 * sin(i);
    for (int f = 0; f < 3; f++) {
      seconds[k][f] = 1;
      for (int trial = 0; trial < 7; trial++) {
        const clock_t start = clock();

        for (int n = 0; n < (f == 2 ? 40 : 4000); n++) {
          if (f == 0) FPModelSampleGradient(lab.model, 1, w, x, y, out);
          if (f == 1) FPModelJacobian(lab.model, 1, w, out);
          if (f == 2) FPModelHessian(lab.model, 1, w, out);
        }
        seconds[k][f] = PetscMin(seconds[k][f], Seconds(start));
      }
    }
    FPScratchRelease(w);
    LabClose(&lab);
  }
  check(seconds[1][0] < 9 * seconds[0][0], "gradients: %g and %g s", seconds[0][0], seconds[1][0]);
  check(seconds[1][1] < 9 * seconds[0][1], "Jacobians: %g and %g s", seconds[0][1], seconds[1][1]);
  check(seconds[1][2] < 40 * seconds[0][2], "Hessians: %g and %g s", seconds[0][2], seconds[1][2]);
}

/* Work arrays keep their place and content while others are taken, and come back in the same place. */
static void test_scratch(void **state)
{
  double *first = FPScratchTake(3), *again;

  (void)state;
  first[2] = 17;
  for (int round = 0; round < 2; round++) {
    double *array[6];

    for (int k = 0; k < 6; k++) {
      const size_t n = (size_t)1 << (4 * k);

      array[k] = FPScratchTake(n);
      assert_int_equal((uintptr_t)array[k] % 64, 0);
      array[k][0] = array[k][n - 1] = k;
    }
    for (int k = 0; k < 6; k++) check(array[k][0] == k && array[k][((size_t)1 << (4 * k)) - 1] == k, "array %d", k);
    FPScratchRelease(array[round ? 0 : 3]);
    again = FPScratchTake(1);
    assert_ptr_equal(again, array[round ? 0 : 3]);
    FPScratchRelease(array[0]);
  }
  assert_true(first[2] == 17);
  FPScratchRelease(first);
}

#define DATA                                                                                                           \
  "data: {type: file, path: %s/data/iris_2x2.csv, inputs: [sepal_length_cm, petal_length_cm], targets: "               \
  "[sepal_width_cm, petal_width_cm], standardize: true, whiten: true}\n"                                               \
  "training: {learning_rate: 0.05, batch_size: 4, weight_decay: 0.02}\nprocesses: [sgd]\nengines: [particles]\n"       \
  "particles: {count: 4096, steps: 400, burn_in: 0, seed: 3}\n"

/* Runs the program; what results.json then is. */
static json_t *Answer(int depth, const char *coordinates, const char *observables, const char *threads)
{
  char        yaml[1500], here[300];
  const char *path = InFolder("run.yaml"), *out = InFolder("out%d%s%s", depth, coordinates, threads);

  assert_non_null(getcwd(here, sizeof(here)));
  (void)snprintf(yaml, sizeof(yaml), DATA "model: {type: factorisation, depth: %d, coordinates: %s}\n%s", here, depth,
                 coordinates, observables);
  WriteText(path, yaml);
  check(RunProgram((const char *const[]){"dlnfp", "run", path, "-out", out, "-particles_threads", threads, NULL}) == 0,
        "the run of depth %d failed: %s", depth, ReadText(InFolder("errors")));
  return LoadResults(out);
}

/* The program on the real data: `reduction` of the aligned coordinates simulates all weights as the run of all weights
   does, which starts at the same minimum; depth 6 gives the same bits on one thread and on two. */
static void test_runs(void **state)
{
  static const char *const names[] = {"mean_p[0][0]",     "mean_p[0][1]",     "mean_p[1][0]",     "mean_p[1][1]",
                                      "variance_p[0][0]", "variance_p[0][1]", "variance_p[1][1]", "loss"};
  json_t                  *reduced =
      Answer(5, "aligned", "observables: [reduction, sharpness]\nsharpness: {times: [0, 1], start: minimum}\n", "1");
  json_t *full =
      Answer(5, "weights", "observables: [stationary, sharpness]\nsharpness: {times: [0, 1], start: minimum}\n", "1");
  double error[2], value[2];

  (void)state;
  for (int k = 0; k < 8; k++) {
    char name[40];

    (void)snprintf(name, sizeof(name), "full_%s", names[k]);
    value[0] = Value(reduced, NULL, NULL, "reduction", name, &error[0]);
    value[1] = Value(full, NULL, NULL, "stationary", names[k], &error[1]);
    check(error[1] > 0 && fabs(value[0] - value[1]) < 4.5 * hypot(error[0], error[1]), "%s: %g +- %g and %g +- %g",
          name, value[0], error[0], value[1], error[1]);
  }
  value[0] = Value(reduced, NULL, NULL, "reduction", "difference_loss", &error[0]);
  check(value[0] > 10 * error[0], "aligned keeps the loss: %g +- %g", value[0], error[0]);
  value[0] = Value(reduced, NULL, NULL, "sharpness", "sharpness[t=0]", &error[0]);
  value[1] = Value(full, NULL, NULL, "sharpness", "sharpness[t=0]", &error[1]);
  check(value[0] > 1 && fabs(value[1] - value[0]) < 1e-9, "sharpness %g, of all weights %g", value[0], value[1]);
  json_decref(reduced);
  json_decref(full);
  reduced = Answer(6, "weights", "observables: [stationary]\n", "1");
  full    = Answer(6, "weights", "observables: [stationary]\n", "2");
  assert_true(json_equal(json_object_get(reduced, "results"), json_object_get(full, "results")));
  json_decref(reduced);
  json_decref(full);
}

static void test_bad_input(void **state)
{
  static const char *const depth[] = {"0", "-3", "65", "1000000", "5.5", "deep"};

  (void)state;
  for (int k = 0; k < 6; k++)
    for (int chain = 0; chain < 2; chain++) {
      char yaml[600];

      if (chain && k == 2) continue;
      (void)snprintf(yaml, sizeof(yaml),
                     "data: {type: gaussian, teacher: %s}\nmodel: {type: %s, depth: %s}\nprocesses: [sgd]\n"
                     "observables: [stationary]\nengines: [particles]\n",
                     chain ? "[1.0]" : "[1.0, 0, 0, 0.5]", chain ? "chain" : "factorisation", depth[k]);
      WriteText(InFolder("bad.yaml"), yaml);
      Refused((const char *const[]){"dlnfp", "run", InFolder("bad.yaml"), "-out", InFolder("bad"), NULL},
              "model_depth");
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_balance),
      cmocka_unit_test(test_chain_law),
      cmocka_unit_test(test_critical_factorisation),
      cmocka_unit_test(test_critical_decay),
      cmocka_unit_test(test_critical_chain),
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_cost),
      cmocka_unit_test(test_scratch),
      cmocka_unit_test(test_runs),
      cmocka_unit_test(test_bad_input),
  };
  int failed;

  must(SlepcInitialize(NULL, NULL, NULL, NULL));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  return SlepcFinalize() ? 1 : failed;
}

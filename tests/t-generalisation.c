/* t-generalisation.c: test_loss, shifted_loss, generalisation_gap. Losses of a test file against sums over its rows,
   transformed by hand; shifted losses against quadratic forms; least losses that a model reaches against closed forms
   and brute force. Depth 1: the law of Langevin dynamics is Gaussian and the moments of SGD obey a closed recursion, so
   every answer of both engines has an exact one beside it, on rows of a file too. Depth 2: engines against each other.
 */
#include "program.h"
#include "scene.h"
#include <math.h>

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static const double TrainRows[][3] = {{1.2, 0.3, 2.1},  {-0.4, 1.9, 0.2}, {2.3, 1.1, 2.9},
                                      {0.7, -0.8, 0.4}, {3.1, 0.6, 3.7},  {1.5, 2.2, 1.3}};
static const double TestRows[][3]  = {{0.9, 1.4, 1.7}, {2.6, -0.3, 1.9}, {-1.1, 0.8, -0.6}, {1.8, 1.7, 3.2}};

/* Columns a, b, c; the test file has them in another order, among others. */
static void WriteRows(void)
{
  FILE *train = fopen(InFolder("train.csv"), "w"), *test = fopen(InFolder("test.csv"), "w");

  assert_non_null(train);
  assert_non_null(test);
  fprintf(train, "a,b,c\n");
  fprintf(test, "c,who,a,b\n");
  for (int r = 0; r < COUNT(TrainRows); r++)
    fprintf(train, "%.17g,%.17g,%.17g\n", TrainRows[r][0], TrainRows[r][1], TrainRows[r][2]);
  for (int r = 0; r < COUNT(TestRows); r++)
    fprintf(test, "%.17g,nobody,%.17g,%.17g\n", TestRows[r][2], TestRows[r][0], TestRows[r][1]);
  assert_int_equal(fclose(train), 0);
  assert_int_equal(fclose(test), 0);
}

static void Close(const char *what, double value, double exact, double tolerance)
{
  check(fabs(value - exact) <= tolerance, "%s: %.15g, exactly %.15g", what, value, exact);
}

/* Data and model of a line of keys; the process is of no matter. */
static void OpenModel(Scene *s, const char keys[])
{
  memset(s, 0, sizeof(*s));
  must(FPConfigCreate(&s->config));
  SceneSet(s->config, keys);
  must(FPConfigSet(s->config, "training_learning_rate", "0.05"));
  must(FPDataCreate(s->config, &s->data));
  must(FPModelCreate(s->config, s->data, &s->model));
  must(FPModelGetSizes(s->model, &s->dim, NULL, NULL));
}

static FPModel Other(Scene *s, FPLaw law, double *floor)
{
  FPModel other;

  must(FPModelGetOther(s->model, law, &other));
  assert_non_null(other);
  must(FPModelGetLossFloor(other, floor));
  return other;
}

/* Loss of a point under a law, floor included; the least loss is no more than it. */
static double Raw(Scene *s, FPLaw law, const double z[])
{
  double  floor, loss, w[FP_MAX_DIM];
  FPModel other = Other(s, law, &floor);

  FPModelLift(s->model, 1, z, w);
  FPModelLoss(other, 1, w, &loss);
  return loss + floor;
}

/* |M x - y|^2/2 over rows (a, b | c), after the training rows' mean, deviation and, whiten, symmetric root */
static double RowLoss(const double rows[][3], int n, PetscBool standardize, PetscBool whiten, const double M[2])
{
  const int N       = COUNT(TrainRows);
  double    mean[3] = {0, 0, 0}, scale[3] = {1, 1, 1}, S[3] = {0, 0, 0}, W[3] = {1, 0, 1}, loss = 0;

  for (int c = 0; c < 3 && standardize; c++) {
    for (int r = 0; r < N; r++) mean[c] += TrainRows[r][c] / N;
    scale[c] = 0;
    for (int r = 0; r < N; r++) scale[c] += pow(TrainRows[r][c] - mean[c], 2) / N;
    scale[c] = sqrt(scale[c]);
  }
  for (int r = 0; r < N; r++) {
    const double a = (TrainRows[r][0] - mean[0]) / scale[0], b = (TrainRows[r][1] - mean[1]) / scale[1];

    S[0] += a * a / N, S[1] += a * b / N, S[2] += b * b / N;
  }
  if (whiten) { /* root of S = (S + d I)/sqrt(tr S + 2 d), d = sqrt(det S); W is its inverse */
    const double d = sqrt(S[0] * S[2] - S[1] * S[1]), t = sqrt(S[0] + S[2] + 2 * d);

    W[0] = (S[2] + d) / (t * d), W[1] = -S[1] / (t * d), W[2] = (S[0] + d) / (t * d);
  }
  for (int r = 0; r < n; r++) {
    const double a = (rows[r][0] - mean[0]) / scale[0], b = (rows[r][1] - mean[1]) / scale[1];
    const double e = M[0] * (W[0] * a + W[1] * b) + M[1] * (W[1] * a + W[2] * b) - (rows[r][2] - mean[2]) / scale[2];

    loss += 0.5 * e * e / n;
  }
  return loss;
}

/* A diagonal network of depth 1 reaches every M = (w1, w2). */
static void test_rows(void **state)
{
  const char *const how[] = {"data_standardize=false", "data_standardize=true",
                             "data_standardize=true data_whiten=true"};

  (void)state;
  for (int k = 0; k < 3; k++) {
    Scene  s;
    char   keys[600];
    double floor, best = 1e9;

    (void)snprintf(keys, sizeof(keys),
                   "data_type=file data_path=%s data_test=%s data_inputs=a,b data_targets=c %s model_type=diagonal "
                   "model_depth=1",
                   InFolder("train.csv"), InFolder("test.csv"), how[k]);
    OpenModel(&s, keys);
    for (int i = 0; i < 50; i++) {
      const double z[2] = {0.7 * sin(i + 1), 0.9 * cos(2 * i + 1)},
                   own  = RowLoss(TrainRows, COUNT(TrainRows), k > 0, k > 1, z);
      double loss;

      Close(how[k], Raw(&s, FP_LAW_TEST, z), RowLoss(TestRows, COUNT(TestRows), k > 0, k > 1, z), 1e-12);
      best = fmin(best, RowLoss(TestRows, COUNT(TestRows), k > 0, k > 1, z));
      FPModelLoss(s.model, 1, z, &loss);
      must(FPModelGetLossFloor(s.model, &floor));
      Close("training rows", loss + floor, own, 1e-12);
    }
    (void)Other(&s, FP_LAW_TEST, &floor);
    check(floor < best && floor > 0, "least test loss %g, but some point has %g", floor, best);
    SceneClose(&s);
  }
}

/* tr((M - A) S (M - A)^T)/2 */
static double Form(const double M[4], const double A[4], const double S[4])
{
  double loss = 0;

  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      for (int k = 0; k < 2; k++)
        loss += 0.5 * (M[2 * i + j] - A[2 * i + j]) * S[2 * j + k] * (M[2 * i + k] - A[2 * i + k]);
  return loss;
}

#define SQUARE                                                                                                         \
  "data_type=gaussian data_teacher=0.9,0.2,-0.3,0.7 data_second_moment=0.8 data_label_noise=0.3 "                      \
  "data_shift_second_moment=1.3,0.4,0.4,0.6 data_shift_teacher=0.2,-0.6,0.8,0.1 data_shift_label_noise=0.5 "

static const double ShiftS[4] = {1.3, 0.4, 0.4, 0.6}, ShiftA[4] = {0.2, -0.6, 0.8, 0.1};

/* The least of a function of two variables on a grid that closes in on its best point */
static double Least(double (*f)(Scene *, const double *), Scene *s, double reach)
{
  double at[2] = {0, 0}, best = 1e9;

  for (int round = 0; round < 14; round++, reach *= 0.4) {
    const double centre[2] = {at[0], at[1]};

    for (int k = 0; k < 41 * 41; k++) {
      const double z[2]  = {centre[0] + reach * (k % 41 - 20) / 20, centre[1] + reach * (k / 41 - 20) / 20};
      const double value = f(s, z);

      if (value < best) {
        best  = value;
        at[0] = z[0];
        at[1] = z[1];
      }
    }
  }
  return best;
}

static double ShiftedForm(Scene *s, const double *z)
{
  double M[4];

  FPModelMap(s->model, 1, z, M);
  return Form(M, ShiftA, ShiftS) + 0.25;
}

/* The shifted teacher is none that the training teacher's singular vectors, or a symmetric matrix, could reach. */
static void test_square(void **state)
{
  const char *const models[] = {"model_type=factorisation model_coordinates=aligned", "model_type=symmetric",
                                "model_type=factorisation model_coordinates=aligned model_depth=3",
                                "model_type=factorisation model_coordinates=aligned model_depth=8"};

  (void)state;
  for (int k = 0; k < COUNT(models); k++) {
    char   keys[600];
    double floor, least;
    Scene  s;

    (void)snprintf(keys, sizeof(keys), SQUARE "%s", models[k]);
    OpenModel(&s, keys);
    for (int i = 0; i < 40; i++) {
      const double z[2] = {1.1 * sin(3 * i + 1), 0.8 * cos(5 * i + 2)};

      Close(models[k], Raw(&s, FP_LAW_SHIFTED, z), ShiftedForm(&s, z), 1e-12);
    }
    least = Least(ShiftedForm, &s, 2);
    (void)Other(&s, FP_LAW_SHIFTED, &floor);
    Close(models[k], floor, least, 1e-7);
    check(floor > 0.25 + 1e-3, "%s reaches what it cannot", models[k]);
    SceneClose(&s);
  }
  {
    double floor;
    Scene  s;

    OpenModel(&s, SQUARE "model_type=factorisation");
    (void)Other(&s, FP_LAW_SHIFTED, &floor);
    Close("all matrices", floor, 0.25, 1e-12);
    SceneClose(&s);
  }
}

/* A square of a weight is not negative: with a negative teacher 0 is best. Odd powers reach everything. */
static void test_floors(void **state)
{
  static const struct {
    const char *model;
    double      floor;
  } cases[] = {{"model_type=chain model_coordinates=balanced model_depth=2", 0.5 * 1.4 * 0.49 + 0.045},
               {"model_type=chain model_coordinates=balanced model_depth=4", 0.5 * 1.4 * 0.49 + 0.045},
               {"model_type=chain model_coordinates=balanced model_depth=3", 0.045},
               {"model_type=chain model_depth=2", 0.045},
               {"model_type=chain model_depth=2 model_coordinates=invariant", 0.045},
               {"model_type=diagonal model_depth=2", 0.5 * 1.4 * 0.49 + 0.045}};

  (void)state;
  for (int k = 0; k < COUNT(cases); k++) {
    char   keys[600];
    double floor, own;
    Scene  s;

    (void)snprintf(keys, sizeof(keys),
                   "data_type=rademacher data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.3 "
                   "data_shift_second_moment=1.4 data_shift_teacher=-0.7 %s",
                   cases[k].model);
    OpenModel(&s, keys);
    (void)Other(&s, FP_LAW_SHIFTED, &floor);
    Close(cases[k].model, floor, cases[k].floor, 1e-12);
    must(FPModelGetLossFloor(s.model, &own));
    Close("training floor", own, 0.045, 1e-12);
    SceneClose(&s);
  }
}

/* What a shift does not name stays, the residuals of a file too; their least squares matrix is the teacher. */
static void test_unchanged(void **state)
{
  const char *const file = "data_type=file data_path=%s data_inputs=a,b data_targets=c model_type=diagonal "
                           "model_depth=1 ";
  char              keys[600];
  Scene             s;
  double            floor, own, loss, z[2] = {0.4, -0.3};

  (void)state;
  (void)snprintf(keys, sizeof(keys), file, InFolder("train.csv"));
  strcat(keys, "data_shift_second_moment=1.7,0.2,0.2,0.9");
  OpenModel(&s, keys);
  must(FPModelGetLossFloor(s.model, &own));
  (void)Other(&s, FP_LAW_SHIFTED, &floor);
  Close("residuals", floor, own, 1e-12);
  {
    double best[2], e[2];

    must(FPDataGetLeastSquares(s.data, best));
    Close("least squares", RowLoss(TrainRows, COUNT(TrainRows), PETSC_FALSE, PETSC_FALSE, best), own, 1e-12);
    e[0] = z[0] - best[0], e[1] = z[1] - best[1];
    Close("second moment", Raw(&s, FP_LAW_SHIFTED, z) - floor,
          0.5 * (1.7 * e[0] * e[0] + 0.4 * e[0] * e[1] + 0.9 * e[1] * e[1]), 1e-12);
  }
  SceneClose(&s);
  (void)snprintf(keys, sizeof(keys), file, InFolder("train.csv"));
  strcat(keys, "data_shift_label_noise=0.6");
  OpenModel(&s, keys);
  FPModelLoss(s.model, 1, z, &loss);
  Close("label noise", Raw(&s, FP_LAW_SHIFTED, z), loss + 0.18, 1e-12);
  SceneClose(&s);
}

static json_t *Run(const char text[])
{
  int code;

  WriteText(InFolder("run.yaml"), text);
  code = RunWords("run %s -out %s", InFolder("run.yaml"), InFolder("out"));
  check(code == 0, "exit code %d: %s", code, ReadText(InFolder("errors")));
  return LoadResults(InFolder("out"));
}

/* Within the bound (generator), within 5 standard errors (particles), and the error is of use. */
static void Meets(const json_t *root, const char *process, const char *engine, const char *observable,
                  const char *quantity, double exact, double useful)
{
  const double reach = strcmp(engine, "particles") ? 1 : 5;
  double       error, value = Value(root, process, engine, observable, quantity, &error);

  check(fabs(value - exact) <= reach * error + 1e-13, "%s %s by %s: %.10g +- %.2g, exactly %.10g", observable, quantity,
        engine, value, error, exact);
  check(error <= useful, "%s %s by %s: error %g is of no use", observable, quantity, engine, error);
}

#define ETA 0.1
#define DECAY 0.15
#define BATCH 3
#define WARMTH 0.02
#define START 0.35

/* Moments of one sample of a scalar law: E x^2, E x y, E x^4, E x^3 y, E x^2 y^2 */
typedef struct {
  double xx, xy, xxxx, xxxy, xxyy;
} Sample;

/* E p and E p^2 of SGD after k steps from START (k < 0: stationary): p' = (1 - eta l) p - eta (mean of r over the
   batch) + sqrt(2 eta T) xi, r = x^2 p - x y */
static void Recursion(const Sample *u, int k, double *mean, double *square)
{
  const double c = 1 - ETA * DECAY - ETA * u->xx, share = ETA * ETA / BATCH;
  double       m = START, q = START * START;

  for (int i = 0; i < (k < 0 ? 5000 : k); i++) {
    const double variance =
        u->xxxx * q - 2 * u->xxxy * m + u->xxyy - (u->xx * u->xx * q - 2 * u->xx * u->xy * m + u->xy * u->xy);

    q = c * c * q + 2 * c * ETA * u->xy * m + ETA * ETA * u->xy * u->xy + share * variance + 2 * ETA * WARMTH;
    m = c * m + ETA * u->xy;
  }
  *mean   = m;
  *square = q;
}

/* Excess over the best: xx (E p^2 - 2 A E p + A^2)/2 */
static double Excess(double xx, double A, double mean, double square)
{
  return 0.5 * xx * (square - 2 * A * mean + A * A);
}

/* Gaussian data, depth 1. Langevin: mean s A/(s + l), variance T/(s + l) at the end; b is linear, so the same
   in closed form on the way. */
static void test_gaussian(void **state)
{
  const double s = 0.9, A = 0.8, T = 0.07, s1 = 1.6, A1 = 0.3, m = s * A / (s + DECAY), v = T / (s + DECAY);
  const Sample law   = {s, s * A, 3 * s * s, 3 * s * s * A, 3 * s * s * A * A + s * 0.16};
  const double decay = exp(-2 * (s + DECAY)), m2 = m + (START - m) * decay, v2 = v + (0.04 - v) * decay * decay;
  double       mean, square;
  json_t      *root = Run("data: {type: gaussian, teacher: 0.8, second_moment: 0.9, label_noise: 0.4,\n"
                               "  shift: {second_moment: 1.6, teacher: 0.3, label_noise: 0.7}}\n"
                               "model: {type: chain, depth: 1}\n"
                               "training: {learning_rate: 0.1, batch_size: 3, weight_decay: 0.15, temperature: 0.02}\n"
                               "processes: [langevin]\nlangevin: {temperature: 0.07}\n"
                               "mesh: {lower: -1.7, upper: 2.9, cells: 128}\n"
                               "particles: {count: 8192, steps: 600, burn_in: 100, seed: 3, threads: 1}\n"
                               "observables: [stationary, evolution]\n"
                               "evolution: {times: [0.3, 2], start: 0.35, spread: 0.2}\n");

  (void)state;
  Meets(root, "model", "exact", "stationary", "loss_floor", 0.08, 1e-11);
  Meets(root, "model", "exact", "stationary", "shifted_loss_floor", 0.245, 1e-11);
  for (int e = 0; e < 2; e++) {
    const char *engine = e ? "particles" : "generator";

    Meets(root, "langevin", engine, "stationary", "shifted_loss", Excess(s1, A1, m, m * m + v), e ? 2e-3 : 1e-5);
    Meets(root, "langevin", engine, "evolution", "shifted_loss[t=2]", Excess(s1, A1, m2, m2 * m2 + v2),
          e ? 6e-3 : 3e-4);
  }
  json_decref(root);
  root = Run("data: {type: gaussian, teacher: 0.8, second_moment: 0.9, label_noise: 0.4,\n"
             "  shift: {second_moment: 1.6, teacher: 0.3, label_noise: 0.7}}\n"
             "model: {type: chain, depth: 1}\n"
             "training: {learning_rate: 0.1, batch_size: 3, weight_decay: 0.15, temperature: 0.02}\n"
             "processes: [sgd]\nengines: [particles]\n"
             "particles: {count: 16384, steps: 600, burn_in: 200, seed: 4, threads: 1}\n"
             "observables: [stationary, evolution]\nevolution: {times: [0.5, 3], start: 0.35}\n");
  Recursion(&law, -1, &mean, &square);
  Meets(root, "sgd", "particles", "stationary", "shifted_loss", Excess(s1, A1, mean, square), 2e-3);
  Recursion(&law, 30, &mean, &square);
  Meets(root, "sgd", "particles", "evolution", "shifted_loss[t=3]", Excess(s1, A1, mean, square), 6e-3);
  Recursion(&law, 5, &mean, &square);
  Meets(root, "sgd", "particles", "evolution", "shifted_loss[t=0.5]", Excess(s1, A1, mean, square), 6e-3);
  mean   = Value(root, "sgd", "particles", "evolution", "mean[0][t=3]", NULL);
  square = Value(root, "sgd", "particles", "evolution", "second_moment[0][t=3]", NULL);
  Close("the quadratic form of the particles' own moments",
        Value(root, "sgd", "particles", "evolution", "shifted_loss[t=3]", NULL), Excess(s1, A1, mean, square), 1e-12);
  json_decref(root);
}

/* Rows of a file (column a learns b), depth 1, raw: SGD from its recursion, the gap with both floors in it. */
static void test_file(void **state)
{
  Sample  law = {0};
  double  xx = 0, xy = 0, yy = 0, own, mean, square, A, floor, test;
  char    text[1200];
  json_t *root;

  (void)state;
  for (int r = 0; r < COUNT(TrainRows); r++) {
    const double x = TrainRows[r][1] / COUNT(TrainRows), y = TrainRows[r][2], b = TrainRows[r][1];

    law.xx += x * b, law.xy += x * y, law.xxxx += x * b * b * b, law.xxxy += x * b * b * y, law.xxyy += x * b * y * y;
  }
  for (int r = 0; r < COUNT(TestRows); r++) {
    xx += TestRows[r][1] * TestRows[r][1] / COUNT(TestRows);
    xy += TestRows[r][1] * TestRows[r][2] / COUNT(TestRows);
    yy += TestRows[r][2] * TestRows[r][2] / COUNT(TestRows);
  }
  A = xy / xx;
  (void)snprintf(text, sizeof(text),
                 "data: {type: file, path: train.csv, test: test.csv, inputs: [b], targets: [c]}\n"
                 "model: {type: chain, depth: 1}\n"
                 "training: {learning_rate: 0.1, batch_size: 3, weight_decay: 0.15, temperature: 0.02}\n"
                 "processes: [sgd]\nengines: [particles]\n"
                 "particles: {count: 16384, steps: 800, burn_in: 200, seed: 5, threads: 1}\n"
                 "observables: [stationary, evolution]\nevolution: {times: [0.5, 3], start: 0.35}\n");
  root  = Run(text);
  floor = 0.5 * (yy - xy * A);
  Meets(root, "model", "exact", "stationary", "test_loss_floor", floor, 1e-11);
  own = Value(root, "model", "exact", "stationary", "loss_floor", NULL);
  Recursion(&law, -1, &mean, &square);
  test = Excess(xx, A, mean, square) + floor;
  Meets(root, "sgd", "particles", "stationary", "test_loss", test - floor, 1e-2);
  Meets(root, "sgd", "particles", "stationary", "generalisation_gap",
        test - own - Excess(law.xx, law.xy / law.xx, mean, square), 1e-2);
  Recursion(&law, 30, &mean, &square);
  test = Excess(xx, A, mean, square) + floor;
  Meets(root, "sgd", "particles", "evolution", "test_loss[t=3]", test - floor, 1e-2);
  Meets(root, "sgd", "particles", "evolution", "generalisation_gap[t=3]",
        test - own - Excess(law.xx, law.xy / law.xx, mean, square), 1e-2);
  json_decref(root);
}

/* A test file of the training rows gives the training numbers; so does a shift to where the data are already. */
static void test_same(void **state)
{
  static const char *const engine[] = {"generator", "particles"};
  json_t                  *root = Run("data: {type: file, path: train.csv, test: train.csv, inputs: [b], targets: [c], "
                                                       "standardize: true, shift: {second_moment: 1}}\n"
                                                       "model: {type: chain, depth: 2}\n"
                                                       "training: {learning_rate: 0.1, batch_size: 3, weight_decay: 0.15, temperature: 0.02}\n"
                                                       "processes: [ald]\nmesh: {lower: [-2.1, -2], upper: [1.9, 2], cells: [32, 24]}\n"
                                                       "particles: {count: 2048, steps: 100, burn_in: 50, seed: 5, threads: 1}\n"
                                                       "observables: [stationary, evolution]\n"
                                                       "evolution: {times: [1], start: [0.4, 0.2], spread: 0.2}\n");

  (void)state;
  for (int e = 0; e < 2; e++) {
    double error, other;

    Close("stationary test_loss", Value(root, "ald", engine[e], "stationary", "test_loss", &other),
          Value(root, "ald", engine[e], "stationary", "loss", &error), 1e-13);
    Close("its error", other, error, 1e-10);
    Close("stationary shifted_loss", Value(root, "ald", engine[e], "stationary", "shifted_loss", &other),
          Value(root, "ald", engine[e], "stationary", "loss", &error), 1e-13);
    Close("test_loss[t=1]", Value(root, "ald", engine[e], "evolution", "test_loss[t=1]", &other),
          Value(root, "ald", engine[e], "evolution", "loss[t=1]", &error), 1e-13);
    Close("gap", Value(root, "ald", engine[e], "stationary", "generalisation_gap", &error), 0, 1e-15);
    Close("gap[t=1]", Value(root, "ald", engine[e], "evolution", "generalisation_gap[t=1]", &error), 0, 1e-15);
  }
  Close("floors", Value(root, "model", "exact", "stationary", "test_loss_floor", NULL),
        Value(root, "model", "exact", "stationary", "loss_floor", NULL), 1e-15);
  json_decref(root);
}

/* Engines of a 2-chain and of the aligned factorisation agree on every new row. */
static void test_engines(void **state)
{
  static const char *const models[] = {
      "data: {type: file, path: train.csv, test: test.csv, inputs: [a], targets: [c], standardize: true,\n"
      "  shift: {second_moment: 1.7, teacher: -0.4}}\n"
      "model: {type: chain, depth: 2}\nmesh: {lower: [-2.1, -2], upper: [1.9, 2], cells: [48, 40]}\n",
      "data: {type: gaussian, teacher: [0.9, 0.2, -0.3, 0.7], second_moment: 0.8, label_noise: 0.3,\n"
      "  shift: {second_moment: [1.3, 0.4, 0.4, 0.6], teacher: [0.2, -0.6, 0.8, 0.1]}}\n"
      "model: {type: factorisation, coordinates: aligned}\n"
      "mesh: {lower: [-1.9, -1.8], upper: [1.8, 1.7], cells: [48, 40]}\n"};
  char text[1600];

  (void)state;
  for (int k = 0; k < 2; k++) {
    size_t  i;
    json_t *root, *row;
    int     found = 0;

    (void)snprintf(text, sizeof(text),
                   "%straining: {learning_rate: 0.05, batch_size: 3, weight_decay: 0.12, temperature: 0.04}\n"
                   "processes: [ald]\nparticles: {count: 8192, steps: 800, burn_in: 100, seed: 5, threads: 1}\n"
                   "observables: [stationary, evolution]\n"
                   "evolution: {times: [0.8, 3.01], start: [0.5, 0.3], spread: 0.15}\n",
                   models[k]);
    root = Run(text);
    json_array_foreach(json_object_get(root, "crosscheck"), i, row)
    {
      const char  *name = json_string_value(json_object_get(row, "quantity"));
      const double z    = json_number_value(json_object_get(row, "z"));

      if (!strstr(name, "test_loss") && !strstr(name, "shifted_loss") && !strstr(name, "generalisation_gap")) continue;
      check(fabs(z) < 5, "%s: engines differ by %g standard errors", name, z);
      found++;
    }
    check(found == (k ? 3 : 9), "%d rows are compared", found);
    json_decref(root);
  }
}

/* Mean of (p - A)^2 under exp(-V/T) between walls that cut it, by Simpson's rule */
static double CutSquare(double lower, double upper, double mean, double variance, double A)
{
  const int n   = 4000;
  double    sum = 0, weight = 0;

  for (int k = 0; k <= n; k++) {
    const double p = lower + (upper - lower) * k / n,
                 w = (k % n ? 2 + 2 * (k % 2) : 1) * exp(-(p - mean) * (p - mean) / (2 * variance));

    sum += w * (p - A) * (p - A);
    weight += w;
  }
  return sum / weight;
}

/* On one grid the mean of the form is the form of the grid's own moments. Between walls that cut the Gibbs law of depth
   1 errors fall as h^2. */
static void test_order(void **state)
{
  const double s = 0.9, A = 0.8, T = 0.07, s1 = 1.6, A1 = 0.3;
  const double exact = 0.5 * s1 * CutSquare(0.4, 1.1, s * A / (s + DECAY), T / (s + DECAY), A1);
  double       error[2], mean, variance, value;
  Scene        scene;

  (void)state;
  for (int k = 0; k < 2; k++) {
    FPQuantities q = {0};

    SceneOpen(&scene, "langevin",
              "data_type=gaussian data_teacher=0.8 data_second_moment=0.9 data_label_noise=0.4 "
              "data_shift_second_moment=1.6 data_shift_teacher=0.3 model_type=chain model_depth=1 "
              "training_learning_rate=0.1 training_weight_decay=0.15 langevin_temperature=0.07 mesh_lower=0.4 "
              "mesh_upper=1.1 mesh_cells=%d",
              k ? 64 : 32);
    SceneAsk(&scene, 0, &q);
    mean     = SceneValue(&q, "mean[0]", NULL);
    variance = SceneValue(&q, "covariance[0][0]", NULL);
    value    = SceneValue(&q, "shifted_loss", NULL);
    Close("the form of the grid's moments", value, Excess(s1, A1, mean, mean * mean + variance), 1e-13);
    error[k] = value - exact;
    must(FPQuantitiesFree(&q));
    SceneClose(&scene);
  }
  print_message("  shifted_loss off by %.3e, %.3e: order %.3f\n", error[0], error[1], log2(error[0] / error[1]));
  check(error[0] / error[1] > 3.7 && error[0] / error[1] < 4.3, "errors %g, %g", error[0], error[1]);
}

#define CHAIN                                                                                                          \
  "model: {type: chain, depth: 1}\ntraining: {learning_rate: 0.1}\nprocesses: [langevin]\n"                            \
  "langevin: {temperature: 0.1}\nmesh: {lower: -1, upper: 2, cells: 32}\nobservables: [stationary]\n"
#define ROWS "data: {type: file, path: train.csv, inputs: [b], targets: [c]"
#define PAIR                                                                                                           \
  "model: {type: diagonal}\ntraining: {learning_rate: 0.1}\nprocesses: [sgd]\nengines: [particles]\n"                  \
  "observables: [stationary]\ndata: {type: gaussian, teacher: [0.5, 0.4], "

static void test_bad(void **state)
{
  static const char *const cases[][2] = {
      {ROWS ", test: none.csv}\n" CHAIN, "data_test = none.csv: cannot read"},
      {ROWS ", test: short.csv}\n" CHAIN, "has no column b"},
      {ROWS ", test: nan.csv}\n" CHAIN, "column c"},
      {ROWS ", test: one.csv}\n" CHAIN, "at least 2"},
      {ROWS ", test: [train.csv, test.csv]}\n" CHAIN, "data_test"},
      {ROWS ", tests: test.csv}\n" CHAIN, "did you mean data_test?"},
      {"data: {type: gaussian, teacher: 1, test: test.csv}\n" CHAIN, "no columns that a test file could share"},
      {ROWS ", shift: {}}\n" CHAIN, "data_shift has no value"},
      {ROWS ", shift: 2}\n" CHAIN, "data_shift = 2"},
      {ROWS ", shift: {second_momentum: 2}}\n" CHAIN, "did you mean data_shift_second_moment?"},
      {ROWS ", shift: {second_moment: [2, 1]}}\n" CHAIN, "inputs x inputs = 1"},
      {ROWS ", shift: {second_moment: 0}}\n" CHAIN, "positive semidefinite"},
      {ROWS ", shift: {second_moment: -1}}\n" CHAIN, "positive semidefinite"},
      {ROWS ", shift: {second_moment: .nan}}\n" CHAIN, "not a number"},
      {ROWS ", shift: {second_moment: wide}}\n" CHAIN, "not a number"},
      {ROWS ", shift: {teacher: [1, 2]}}\n" CHAIN, "targets x inputs = 1"},
      {ROWS ", shift: {label_noise: -0.1}}\n" CHAIN, "data_shift_label_noise"},
      {PAIR "shift: {second_moment: [1, 0.3, 0.2, 1]}}\n", "not symmetric"},
      {PAIR "shift: {second_moment: [1, 1.3, 1.3, 1]}}\n", "positive semidefinite"},
      {PAIR "shift: {second_moment: [1, 2, 3]}}\n", "inputs x inputs = 4"},
      {PAIR "shift: {teacher: 1}}\n", "targets x inputs = 2"},
      {"model: {type: ou, drift: 1.7, diffusion: 0.1}\ntraining: {learning_rate: 0.1}\nprocesses: [ald]\n"
       "mesh: {lower: -1, upper: 2, cells: 32}\ndata: {test: test.csv}\n",
       "without data_type"},
      {"model: {type: ou, drift: 1.7, diffusion: 0.1}\ntraining: {learning_rate: 0.1}\nprocesses: [ald]\n"
       "mesh: {lower: -1, upper: 2, cells: 32}\ndata: {shift: {second_moment: 2}}\n",
       "without data_type"},
  };
  (void)state;
  WriteText(InFolder("short.csv"), "a,c\n1,2\n2,3\n");
  WriteText(InFolder("nan.csv"), "b,c\n1,2\n2,nan\n");
  WriteText(InFolder("one.csv"), "b,c\n1,2\n");
  for (int k = 0; k < COUNT(cases); k++) {
    WriteText(InFolder("bad.yaml"), cases[k][0]);
    Refused((const char *const[]){"dlnfp", "check", InFolder("bad.yaml"), NULL}, cases[k][1]);
  }
}

int main(int argc, char *argv[])
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),      cmocka_unit_test(test_square),   cmocka_unit_test(test_floors),
      cmocka_unit_test(test_unchanged), cmocka_unit_test(test_gaussian), cmocka_unit_test(test_file),
      cmocka_unit_test(test_same),      cmocka_unit_test(test_engines),  cmocka_unit_test(test_order),
      cmocka_unit_test(test_bad),
  };
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  must(MakeFolder(NULL));
  WriteRows();
  failed = cmocka_run_group_tests(tests, NULL, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-data.c: moments against closed forms and quadrature, samplers, CSV files as people write them, wrong input. */
#include "message.h"
#include "fpdata.h"
#include <string.h>
#include <unistd.h>

/* Keys and values one after the other, up to NULL. */
static PetscErrorCode Create(const char *const keys[], FPConfig *config, FPData *data)
{
  PetscFunctionBegin;
  *data = NULL;
  PetscCall(FPConfigCreate(config));
  for (PetscInt k = 0; keys[k]; k += 2) PetscCall(FPConfigSet(*config, keys[k], keys[k + 1]));
  PetscCall(FPDataCreate(*config, data));
  PetscFunctionReturn(0);
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refuse(const char *const keys[], const char word[])
{
  FPConfig config;
  FPData   data;

  refused(Create(keys, &config, &data), word);
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

static void near(PetscReal value, PetscReal expected, PetscReal tolerance, const char what[])
{
  check(PetscAbsReal(value - expected) <= tolerance, "%s: %.17g instead of %.17g", what, (double)value,
        (double)expected);
}

/* Second and fourth moments equal those of the nodes. */
static void check_nodes(FPData data)
{
  const PetscReal *second, *fourth;
  PetscReal       *u, *weight, sum = 0;
  PetscInt         p, r, n, count;

  must(FPDataGetSizes(data, &p, &r));
  n = p + r;
  must(FPDataGetMoments(data, &second, &fourth));
  must(FPDataGetNodes(data, 4, &count, &u, &weight));
  for (PetscInt k = 0; k < count; k++) sum += weight[k];
  near(sum, 1, 1e-13, "weights");
  for (PetscInt t = 0; t < n * n * n * n; t++) {
    PetscReal two = 0, four = 0;

    for (PetscInt k = 0; k < count; k++) {
      const PetscReal *uk = u + k * n;

      two += weight[k] * uk[t / n % n] * uk[t % n];
      four += weight[k] * uk[t / (n * n * n)] * uk[t / (n * n) % n] * uk[t / n % n] * uk[t % n];
    }
    near(second[t % (n * n)], two, 1e-12, "second moment");
    near(fourth[t], four, 1e-11 * (1 + PetscAbsReal(four)), "fourth moment");
  }
  must(PetscFree(u));
  must(PetscFree(weight));
}

/* Few nodes and all of them have the same means of products of three entries of 1, x x^T and y x^T. */
static void check_few(FPData data, PetscInt most)
{
  PetscReal *u[2], *weight[2], sum = 0;
  PetscInt   p, r, n, count[2], pairs;

  must(FPDataGetSizes(data, &p, &r));
  n     = p + r;
  pairs = 1 + n * p;
  must(FPDataGetNodes(data, 6, &count[0], &u[0], &weight[0]));
  must(FPDataGetFewNodes(data, 3, &count[1], &u[1], &weight[1]));
  check(count[1] <= most && count[1] <= count[0], "%d nodes of %d, at most %d were due", (int)count[1], (int)count[0],
        (int)most);
  for (PetscInt k = 0; k < count[1]; k++) {
    check(weight[1][k] > 0, "weight %g", (double)weight[1][k]);
    sum += weight[1][k];
  }
  near(sum, 1, 1e-13, "weights of few nodes");
  for (PetscInt t = 0; t < pairs * pairs * pairs; t++) {
    PetscReal mean[2] = {0, 0}, size = 0;

    for (PetscInt which = 0; which < 2; which++)
      for (PetscInt k = 0; k < count[which]; k++) {
        const PetscReal *uk      = u[which] + k * n;
        PetscReal        product = weight[which][k];

        for (PetscInt f = 0, rest = t; f < 3; f++, rest /= pairs)
          if (rest % pairs) product *= uk[(rest % pairs - 1) / p] * uk[(rest % pairs - 1) % p];
        mean[which] += product;
        size += PetscAbsReal(product);
      }
    near(mean[1], mean[0], 1e-11 * size, "mean by few nodes");
  }
  for (PetscInt which = 0; which < 2; which++) {
    must(PetscFree(u[which]));
    must(PetscFree(weight[which]));
  }
}

/* One input: E x^2 y^2 = k s^2 a^2 + s sigma^2 and E y^4 = k s^2 a^4 + 6 s a^2 sigma^2 + 3 sigma^4, k = E x^4/s^2. */
static void teacher(const char type[], PetscReal k)
{
  const PetscReal  a = -1.37, s = 0.83, v = 0.61 * 0.61;
  const PetscReal *second, *fourth;
  FPConfig         config;
  FPData           data;

  must(
      Create(KEYS("data_type", type, "data_teacher", "-1.37", "data_second_moment", "0.83", "data_label_noise", "0.61"),
             &config, &data));
  must(FPDataGetMoments(data, &second, &fourth));
  near(second[0], s, 1e-15, "E x^2");
  near(second[1], a * s, 1e-15, "E x y");
  near(second[3], a * a * s + v, 1e-15, "E y^2");
  near(fourth[0], k * s * s, 1e-14, "E x^4");
  near(fourth[3], k * s * s * a * a + s * v, 1e-14, "E x^2 y^2");
  near(fourth[15], k * s * s * a * a * a * a + 6 * s * a * a * v + 3 * v * v, 1e-13, "E y^4");
  check_nodes(data);
  check_few(data, 10);
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
  must(Create(KEYS("data_type", type, "data_teacher", "0.7,-0.2,0.4,1.3", "data_second_moment", "1.9",
                   "data_label_noise", "0.31"),
              &config, &data));
  check_nodes(data);
  check_few(data, 80);
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

static void test_gaussian(void **state)
{
  (void)state;
  teacher("gaussian", 3);
}

static void test_rademacher(void **state)
{
  (void)state;
  teacher("rademacher", 1);
}

/* Which numbers of the teacher and of the names give which sizes. */
static void test_sizes(void **state)
{
  static const struct {
    const char *keys[9];
    PetscInt    inputs, targets;
  } table[] = {
      {{"data_teacher", "2"}, 1, 1},
      {{"data_teacher", "2,1,3"}, 3, 1},
      {{"data_teacher", "1,2,3,4"}, 2, 2},
      {{"data_teacher", "1,2,3,4", "data_inputs", "a,b,c,d"}, 4, 1},
      {{"data_teacher", "1,2,3,4", "data_targets", "a,b"}, 2, 2},
      {{"data_teacher", "1,2,3", "data_targets", "a,b,c", "data_inputs", "x"}, 1, 3},
  };
  FPConfig config;
  FPData   data;
  PetscInt inputs, targets;

  (void)state;
  for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
    const char *keys[12] = {"data_type", "gaussian"};

    memcpy(keys + 2, table[k].keys, sizeof(table[k].keys));
    must(Create(keys, &config, &data));
    must(FPDataGetSizes(data, &inputs, &targets));
    assert_int_equal(inputs, table[k].inputs);
    assert_int_equal(targets, table[k].targets);
    must(FPDataDestroy(&data));
    must(FPConfigDestroy(&config));
  }
}

/* Standardised diabetes: slope and residual variance as published with the data. */
static void test_diabetes(void **state)
{
  const PetscReal *second, *fourth;
  FPConfig         config;
  FPData           data;

  (void)state;
  must(Create(KEYS("data_type", "file", "data_path", "data/diabetes_bmi.csv", "data_standardize", "true"), &config,
              &data));
  must(FPDataGetMoments(data, &second, &fourth));
  near(second[0], 1, 1e-14, "E x^2");
  near(second[3], 1, 1e-14, "E y^2");
  near(second[1], 0.5864501344746884, 1e-15, "slope");
  near(second[3] - second[1] * second[1], 0.656, 5e-4, "residual variance");
  check_nodes(data);
  check_few(data, 10);
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

/* Standardised and whitened iris: E x x^T = I, and the singular values of E y x^T are 1.090 and 0.444. */
static void test_iris(void **state)
{
  const PetscReal *S, *fourth;
  FPConfig         config;
  FPData           data;
  PetscReal        a, b, c, d, sum, difference;

  (void)state;
  must(Create(KEYS("data_type", "file", "data_path", "data/iris_2x2.csv", "data_standardize", "true", "data_whiten",
                   "true", "data_inputs", "sepal_length_cm,petal_length_cm", "data_targets",
                   "sepal_width_cm,petal_width_cm"),
              &config, &data));
  must(FPDataGetMoments(data, &S, &fourth));
  near(S[0], 1, 1e-13, "E x1^2");
  near(S[1], 0, 1e-13, "E x1 x2");
  near(S[5], 1, 1e-13, "E x2^2");
  a          = S[8];
  b          = S[9];
  c          = S[12];
  d          = S[13];
  sum        = PetscSqrtReal(PetscSqr(a + d) + PetscSqr(c - b)); /* s1 + s2 and abs(s1 - s2), one of them by sign */
  difference = PetscSqrtReal(PetscSqr(a - d) + PetscSqr(c + b));
  near((sum + difference) / 2, 1.090, 5e-4, "first singular value");
  near(PetscAbsReal(sum - difference) / 2, 0.444, 5e-4, "second singular value");
  check_nodes(data);
  check_few(data, 80);
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

/* Draws are the stated functions of the random numbers. */
static void test_samplers(void **state)
{
  float     normal[4 * FP_BLOCK];
  unsigned  word[FP_BLOCK];
  double    x[2 * FP_BLOCK], y[2 * FP_BLOCK];
  FPConfig  config;
  FPData    data;
  FPSampler sampler;

  (void)state;
  for (int l = 0; l < 4 * FP_BLOCK; l++) normal[l] = (float)(0.01 * l - 1.1);
  must(Create(KEYS("data_type", "gaussian", "data_teacher", "0.7,-0.2,0.4,1.3", "data_second_moment", "1.9",
                   "data_label_noise", "0.31"),
              &config, &data));
  must(FPDataGetSampler(data, &sampler));
  assert_int_equal(sampler.normals, 4);
  assert_int_equal(sampler.words, 0);
  sampler.draw(sampler.context, normal, NULL, x, y);
  for (int l = 0; l < FP_BLOCK; l++) {
    near(x[FP_BLOCK + l], sqrt(1.9) * (double)normal[FP_BLOCK + l], 1e-15, "x2");
    near(y[FP_BLOCK + l], 0.4 * x[l] + 1.3 * x[FP_BLOCK + l] + 0.31 * (double)normal[3 * FP_BLOCK + l], 1e-14, "y2");
  }
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
  must(Create(KEYS("data_type", "rademacher", "data_teacher", "0.7,-0.2", "data_second_moment", "2.25"), &config,
              &data));
  must(FPDataGetSampler(data, &sampler));
  assert_int_equal(sampler.normals, 0);
  assert_int_equal(sampler.words, 1);
  for (unsigned l = 0; l < FP_BLOCK; l++) word[l] = l + 4;
  sampler.draw(sampler.context, NULL, word, x, y);
  for (int l = 0; l < FP_BLOCK; l++) {
    near(x[l], l & 1 ? 1.5 : -1.5, 0, "x1");
    near(x[FP_BLOCK + l], l & 2 ? 1.5 : -1.5, 0, "x2");
    near(y[l], 0.7 * x[l] - 0.2 * x[FP_BLOCK + l], 1e-15, "y");
  }
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

static void write_file(char path[], const char text[])
{
  int fd;

  strcpy(path, "/tmp/t-data-XXXXXX");
  fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(close(fd), 0);
}

/* Byte order mark, CRLF, quotes, blanks, a text column nobody asked for, blank lines at the end; rows by words. */
static void test_csv(void **state)
{
  char       path[32];
  FPConfig   config;
  FPData     data;
  FPSampler  sampler;
  PetscReal *u, *weight;
  PetscInt   count;
  unsigned   word[FP_BLOCK];
  double     x[2 * FP_BLOCK], y[FP_BLOCK];

  (void)state;
  write_file(path, "\xef\xbb\xbf\"age, years\" ,kind,\"the \"\"x\"\"\", y\r\n1.5,big,2,-3e0\r\n 4 ,\"a,b\",\"5\",6\r\n"
                   "7,,8,9.25\r\n\r\n \r\n");
  must(Create(KEYS("data_type", "file", "data_path", path, "data_targets", "y", "data_inputs", "the \"x\""), &config,
              &data));
  must(FPDataGetNodes(data, 2, &count, &u, &weight));
  assert_int_equal(count, 3);
  for (PetscInt k = 0; k < 6; k++) near(u[k], ((double[]){2, -3, 5, 6, 8, 9.25})[k], 0, "value");
  must(FPDataGetSampler(data, &sampler));
  for (unsigned l = 0; l < FP_BLOCK; l++) word[l] = l * (0xffffffffu / (FP_BLOCK - 1)); /* from 0 to the last word */
  sampler.draw(sampler.context, NULL, word, x, y);
  for (int l = 0; l < FP_BLOCK; l++) {
    const PetscInt row = l * 3 / FP_BLOCK;

    near(x[l], u[2 * row], 0, "x of a row");
    near(y[l], u[2 * row + 1], 0, "y of a row");
  }
  must(PetscFree(u));
  must(PetscFree(weight));
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
  assert_int_equal(unlink(path), 0);
}

/* Files that do not hold what was asked for. */
static void test_bad_files(void **state)
{
  static const struct {
    const char *text, *key, *value, *word;
  } bad[] = {
      {"", "data_standardize", "true", "is empty"},
      {"a,b\n", "data_standardize", "true", "0 rows"},
      {"a,b\n1,2\n", "data_standardize", "true", "1 rows"},
      {"a,b\n1,2\n3,x\n", "data_standardize", "true", "line 3, column b"},
      {"a,b\n1,2\nnan,4\n", "data_standardize", "true", "line 3, column a"},
      {"a,b\n1,2\n,4\n", "data_standardize", "true", "line 3, column a"},
      {"a,b\n1,2\n3,inf\n", "data_standardize", "true", "line 3, column b"},
      {"a,b\n1,2\n3,4,5\n", "data_standardize", "true", "line 3"},
      {"a,b\n1,2\n\n3,4\n", "data_standardize", "true", "line 3"},
      {"a,b\n1,2\n3,2\n", "data_standardize", "true", "column b is constant"},
      {"a,b\n1,2\n3,4\n", "data_inputs", "c", "no column c"},
      {"a,b\n1,2\n3,4\n", "data_inputs", "b", "named twice"},
      {"a,a\n1,2\n3,4\n", "data_inputs", "a", "2 columns named a"},
      {"1,2\n3,4\n5,6\n", "data_standardize", "true", "accepted: a header"},
      {"a,b,c\n1,2,3\n2,4,1\n4,8,2\n", "data_whiten", "true", "linearly dependent"},
      {"a,b,c,d,e,f\n1,2,3,4,5,6\n1,2,3,4,5,7\n", "data_standardize", "true", "at most 4"},
  };
  char path[32];

  (void)state;
  for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
    write_file(path, bad[k].text);
    refuse(KEYS("data_type", "file", "data_path", path, bad[k].key, bad[k].value), bad[k].word);
    assert_int_equal(unlink(path), 0);
  }
  refuse(KEYS("data_type", "file", "data_path", "/nowhere/at_all.csv"), "/nowhere/at_all.csv");
  refuse(KEYS("data_type", "file"), "data_path");
}

static void test_bad_keys(void **state)
{
  FPConfig config;
  FPData   data;

  (void)state;
  refuse(KEYS("data_type", "gauss"), "gauss");
  refuse(KEYS("data_type", "gaussian"), "data_teacher");
  refuse(KEYS("data_type", "gaussian", "data_teacher", "1,2,3", "data_inputs", "a,b"), "3 numbers");
  refuse(KEYS("data_type", "gaussian", "data_teacher", "1,2,3,4,5"), "at most 4");
  refuse(KEYS("data_type", "gaussian", "data_teacher", "one"), "one");
  refuse(KEYS("data_type", "rademacher", "data_teacher", "1", "data_label_noise", "-0.1"), "-0.1");
  refuse(KEYS("data_type", "rademacher", "data_teacher", "1", "data_second_moment", "0"), "data_second_moment");
  must(Create(KEYS("model_type", "ou"), &config, &data));
  assert_null(data);
  must(FPConfigDestroy(&config));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gaussian), cmocka_unit_test(test_rademacher), cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_diabetes), cmocka_unit_test(test_iris),       cmocka_unit_test(test_samplers),
      cmocka_unit_test(test_csv),      cmocka_unit_test(test_bad_files),  cmocka_unit_test(test_bad_keys),
  };
  int failed;

  PetscCall(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  PetscCall(SlepcFinalize());
  return failed;
}

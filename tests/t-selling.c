/* t-selling.c: Selling's decomposition of random matrices in one, two and three dimensions. */
#include "test.h"
#include "fpgenerator.h"
#include <math.h>

static unsigned long long state = 88172645463325252ULL;

/* xorshift64*, G. Marsaglia and S. Vigna; uniform in (-1, 1) */
static double Uniform(void)
{
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return 2 * (double)((state * 2685821657736338717ULL) >> 11) / 9007199254740992.0 - 1;
}

/* A = sum_k value[k] v_k v_k^T with v_k orthonormal and random. */
static void RandomMatrix(int d, const double value[], double A[])
{
  double v[3][3];

  for (int k = 0; k < d; k++) {
    double norm = 0;

    for (int i = 0; i < d; i++) v[k][i] = Uniform();
    for (int m = 0; m < k; m++) {
      double dot = 0;

      for (int i = 0; i < d; i++) dot += v[k][i] * v[m][i];
      for (int i = 0; i < d; i++) v[k][i] -= dot * v[m][i];
    }
    for (int i = 0; i < d; i++) norm += v[k][i] * v[k][i];
    for (int i = 0; i < d; i++) v[k][i] /= sqrt(norm);
  }
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      A[i * d + j] = 0;
      for (int k = 0; k < d; k++) A[i * d + j] += value[k] * v[k][i] * v[k][j];
    }
}

/* Largest entry of A - sum lambda e e^T over the trace; at most d(d+1)/2 nonnegative weights. */
static double Residual(int d, const double A[], PetscInt count, const double lambda[], short offset[][3])
{
  double worst = 0, trace = 0;

  check(count <= d * (d + 1) / 2, "%d offsets in %d dimensions", (int)count, d);
  for (int i = 0; i < d; i++) trace += A[i * d + i];
  for (int c = 0; c < count; c++) {
    check(lambda[c] > 0, "weight %g", lambda[c]);
    for (int i = d; i < 3; i++) check(offset[c][i] == 0, "offset in dimension %d of %d", i + 1, d);
  }
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      double sum = A[i * d + j];

      for (int c = 0; c < count; c++) sum -= lambda[c] * offset[c][i] * offset[c][j];
      worst = fmax(worst, fabs(sum));
    }
  return worst / trace;
}

/* Offsets are no longer than a few times the square root of the condition number: lambda_c e_c e_c^T <= A and the
   weights of an obtuse superbase cannot all be small. Rounding of A is stretched by the square of the offsets. */
static void test_random(PETSC_UNUSED void **none)
{
  const double condition[] = {1, 3, 30, 1e3, 1e5, 1e7};

  for (int d = 1; d <= 3; d++)
    for (int c = 0; c < 6; c++)
      for (int trial = 0; trial < 300; trial++) {
        const double value[3] = {1, pow(condition[c], -0.5 - 0.5 * fabs(Uniform())), 1 / condition[c]};
        const double cond     = d == 1 ? 1 : d == 2 ? 1 / value[1] : condition[c];
        double       A[9], lambda[FP_MAX_OFFSETS], residual, longest = 0;
        short        offset[FP_MAX_OFFSETS][3];
        PetscInt     count;

        RandomMatrix(d, value, A);
        must(FPSelling(d, A, &count, lambda, offset));
        residual = Residual(d, A, count, lambda, offset);
        for (int k = 0; k < count; k++)
          for (int i = 0; i < d; i++) longest = fmax(longest, abs(offset[k][i]));
        check(residual < 1e-14 * (1 + longest * longest) + 1e-16 * pow(longest, 4),
              "d %d, condition %g: residual %g, longest offset %g", d, cond, residual, longest);
        check(longest <= 2 * sqrt(cond), "d %d, condition %g: longest offset %g", d, cond, longest);
      }
}

/* Known cases: multiples of I need the axes alone, a dominant diagonal gives the difference as weights, integer
   directions come back as they are. */
static void test_known(PETSC_UNUSED void **none)
{
  const double unit[9] = {2.5, 0, 0, 0, 2.5, 0, 0, 0, 2.5}, A[4] = {3, -1.25, -1.25, 2}, rank1[4] = {9, 6, 6, 4};
  double       lambda[FP_MAX_OFFSETS];
  short        offset[FP_MAX_OFFSETS][3];
  PetscInt     count;

  must(FPSelling(3, unit, &count, lambda, offset));
  assert_int_equal(count, 3);
  for (int c = 0; c < 3; c++)
    check(lambda[c] == 2.5 && abs(offset[c][0]) + abs(offset[c][1]) + abs(offset[c][2]) == 1, "weight %g", lambda[c]);
  must(FPSelling(2, A, &count, lambda, offset));
  assert_int_equal(count, 3);
  for (int c = 0; c < 3; c++) {
    const double expected = offset[c][0] && offset[c][1] ? 1.25 : offset[c][0] ? 1.75 : 0.75;

    check(fabs(lambda[c] - expected) < 1e-15, "(%d, %d): %g", offset[c][0], offset[c][1], lambda[c]);
    check(offset[c][0] * offset[c][1] <= 0, "(%d, %d)", offset[c][0], offset[c][1]);
  }
  must(FPSelling(2, rank1, &count, lambda, offset));
  assert_int_equal(count, 1);
  check(offset[0][0] == 3 && offset[0][1] == 2 && fabs(lambda[0] - 1) < 1e-14, "(%d, %d): %g", offset[0][0],
        offset[0][1], lambda[0]);
  must(FPSelling(2, (const double[4]){0, 0, 0, 0}, &count, lambda, offset));
  assert_int_equal(count, 0);
}

/* Units do not matter: the same offsets, weights scaled. */
static void test_scaling(PETSC_UNUSED void **none)
{
  const double value[3] = {1, 0.07, 0.004};

  for (int d = 2; d <= 3; d++)
    for (int trial = 0; trial < 50; trial++) {
      double   A[9], B[9], lambda[2][FP_MAX_OFFSETS];
      short    offset[2][FP_MAX_OFFSETS][3];
      PetscInt count[2];

      RandomMatrix(d, value, A);
      for (int i = 0; i < d * d; i++) B[i] = ldexp(A[i], trial % 2 ? 60 : -70);
      must(FPSelling(d, A, &count[0], lambda[0], offset[0]));
      must(FPSelling(d, B, &count[1], lambda[1], offset[1]));
      assert_int_equal(count[0], count[1]);
      for (int c = 0; c < count[0]; c++) {
        check(ldexp(lambda[0][c], trial % 2 ? 60 : -70) == lambda[1][c], "weight %g", lambda[1][c]);
        for (int i = 0; i < d; i++) assert_int_equal(offset[0][c][i], offset[1][c][i]);
      }
    }
}

/* Nearly rank-deficient along directions with small slopes, where Selling's algorithm flips about 1/slope times. */
static void test_slopes(PETSC_UNUSED void **none)
{
  for (int k = 1; k <= 8; k++) {
    const double slope = 0.7 * pow(0.3, k), eps = 1e-9;
    const double A[4] = {1 + eps * slope * slope, slope * (1 - eps), slope * (1 - eps), slope * slope + eps};
    double       lambda[FP_MAX_OFFSETS];
    short        offset[FP_MAX_OFFSETS][3];
    PetscInt     count;

    must(FPSelling(2, A, &count, lambda, offset));
    check(Residual(2, A, count, lambda, offset) < 1e-6, "slope %g: residual %g", slope,
          Residual(2, A, count, lambda, offset));
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_known),
                                     cmocka_unit_test(test_scaling), cmocka_unit_test(test_slopes)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

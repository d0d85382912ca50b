/* Random numbers of the particles: Philox against Random123 and its known answers, normals against the exact map in
   double precision and against the normal law. Statistics have a fixed seed; tolerances are 4.5 standard errors or the
   quantile of the same probability. */
#include "test.h"
#include "../src/particles/particlesimpl.h"
#include <Random123/philox.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <math.h>

enum { ROWS = 64, CALLS = 512, COUNT = ROWS * FP_BLOCK * CALLS };
#define RARE 3.4e-6 /* one-sided probability of 4.5 standard deviations */

/* Key, counter and answer of philox4x32 10 in Random123's kat_vectors */
static void test_known_answers(void **state)
{
  static const unsigned key[3][2]     = {{0, 0}, {0xffffffff, 0xffffffff}, {0xa4093822, 0x299f31d0}};
  static const unsigned counter[3][4] = {
      {0, 0, 0, 0}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}};
  static const unsigned answer[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};

  (void)state;
  for (int v = 0; v < 3; v++) {
    const philox4x32_ctr_t c    = {{counter[v][0], counter[v][1], counter[v][2], counter[v][3]}};
    const philox4x32_key_t k    = {{key[v][0], key[v][1]}};
    const philox4x32_ctr_t own  = philox4x32(c, k);
    const uint64_t         here = (uint64_t)counter[v][3] << 32 | counter[v][2];
    unsigned               word[4 * FP_BLOCK];

    for (int i = 0; i < 4; i++) assert_int_equal(own.v[i], answer[v][i]);
    if (counter[v][1] >> 30) continue; /* positions are counted in words, so these counters are not reached */
    FPRandomWords(key[v], here, ((uint64_t)counter[v][1] << 32 | counter[v][0]) * 4, 4, word);
    for (int i = 0; i < 4; i++) assert_int_equal(word[i * FP_BLOCK], answer[v][i]);
  }
}

/* Every lane and row, also where the low half of the particle number or of the position overflows */
static void test_random123(void **state)
{
  static const uint64_t first[3] = {0, 64 * 31, 0xffffffffu - 20}, index[3] = {0, 4 * 13, 4 * 0xfffffffeull};
  const unsigned        key[2] = {20241, 0x9f3c11d7};
  unsigned              word[12 * FP_BLOCK];

  (void)state;
  for (int v = 0; v < 3; v++) {
    FPRandomWords(key, first[v], index[v], 12, word);
    for (int l = 0; l < FP_BLOCK; l++)
      for (uint64_t g = 0; g < 3; g++) {
        const uint64_t         p = first[v] + (uint64_t)l, n = index[v] / 4 + g;
        const philox4x32_ctr_t c = {{(uint32_t)n, (uint32_t)(n >> 32), (uint32_t)p, (uint32_t)(p >> 32)}};
        const philox4x32_key_t k = {{key[0], key[1]}};
        const philox4x32_ctr_t r = philox4x32(c, k);

        for (uint64_t i = 0; i < 4; i++) assert_int_equal(word[(4 * g + i) * FP_BLOCK + (unsigned)l], r.v[i]);
      }
  }
}

/* All forms of Philox that this machine has, bit for bit, through a carry of the particle number */
static void test_forms(void **state)
{
  const unsigned key[2] = {0x01234567, 0xfedcba98};
  FPPhiloxBlock  block[3];
  const int      n = FPPhiloxBlocks(block);

  (void)state;
  for (int k = 0; k < n; k++) {
    unsigned word[2][4 * FP_BLOCK];

    FPRandomWords(key, 0x3ffffffe3ull, 4 * 0x1000000a7ull, 4, word[0]);
    block[k](key, 0x3ffffffe3ull, 0x1000000a7ull, word[1]);
    assert_memory_equal(word[0], word[1], sizeof(word[0]));
  }
}

/* The map in double: u = |a + 1/2|/2^31, angle pi b/2^32, the cosine with the sign of a */
static void Exact(unsigned a, unsigned b, double z[2])
{
  const double s = (double)(int32_t)a + 0.5, r = sqrt(-2 * log(fabs(s) * 0x1p-31)),
               t = M_PI * (double)(int32_t)b * 0x1p-32;

  z[0] = copysign(r, s) * cos(t);
  z[1] = r * sin(t);
}

/* Against the exact map where rounding u to float does not matter (u <= 1/2), relative to the radius; near u = 1 the
   radius has the absolute error sqrt(2 x 2^-24). Extremes: largest modulus sqrt(64 log 2), nothing infinite. */
static void test_normals_accuracy(void **state)
{
  static const unsigned extreme[8] = {0, 0xffffffff, 0x80000000, 0x7fffffff, 1, 0x40000000, 0xc0000000, 0x80000001};
  const unsigned        key[2]     = {7, 11};
  static unsigned       word[ROWS * FP_BLOCK];
  static float          normal[ROWS * FP_BLOCK];
  double                relative = 0, absolute = 0, largest = 0, z[2];

  (void)state;
  FPRandomWords(key, 128, 400, ROWS, word);
  for (int i = 0; i < FP_BLOCK; i++) {
    word[i]            = extreme[i / 8];
    word[FP_BLOCK + i] = extreme[i % 8];
  }
  FPRandomNormals(ROWS, word, normal);
  for (int k = 0; k < ROWS; k += 2)
    for (int l = 0; l < FP_BLOCK; l++) {
      const float *got = &normal[k * FP_BLOCK + l];
      double       r, error;

      Exact(word[k * FP_BLOCK + l], word[(k + 1) * FP_BLOCK + l], z);
      r     = hypot(z[0], z[1]);
      error = PetscMax(fabs((double)got[0] - z[0]), fabs((double)got[FP_BLOCK] - z[1]));
      if (r > sqrt(2 * M_LN2)) relative = PetscMax(relative, error / r);
      absolute = PetscMax(absolute, error);
      largest  = PetscMax(largest, PetscMax(fabs((double)got[0]), fabs((double)got[FP_BLOCK])));
    }
  check(relative < 3e-7, "relative error %g", relative);
  check(absolute < 3.5e-4, "absolute error %g", absolute);
  check(fabs(largest - sqrt(64 * M_LN2)) < 1e-6 * largest, "largest %.9g", largest);
}

/* z[k][particle of 64] of consecutive positions: COUNT normals, pairs (cosine, sine) in rows (2k, 2k + 1) */
static double *Sample(void)
{
  const unsigned  key[2] = {3, 0xc0ffee};
  static unsigned word[ROWS * FP_BLOCK];
  static float    normal[ROWS * FP_BLOCK];
  double         *z = malloc(COUNT * sizeof(double));

  for (int c = 0; c < CALLS; c++) {
    FPRandomWords(key, 640, (unsigned long long)(c * ROWS), ROWS, word);
    FPRandomNormals(ROWS, word, normal);
    for (int i = 0; i < ROWS * FP_BLOCK; i++) z[c * ROWS * FP_BLOCK + i] = (double)normal[i];
  }
  return z;
}

/* E z^k = (k-1)!! or 0; variance of z^k is (2k-1)!! minus its square */
static void test_moments(void **state)
{
  double *z = Sample(), factorial[17] = {1, 0};

  (void)state;
  for (int k = 2; k < 17; k++) factorial[k] = k % 2 ? 0 : factorial[k - 2] * (k - 1);
  for (int k = 1; k <= 8; k++) {
    const double error = sqrt((factorial[2 * k] - factorial[k] * factorial[k]) / COUNT);
    double       sum   = 0;

    for (int i = 0; i < COUNT; i++) sum += pow(z[i], k);
    check(fabs(sum / COUNT - factorial[k]) < 4.5 * error, "moment %d: %g +- %g, not %g", k, sum / COUNT, error,
          factorial[k]);
  }
  free(z);
}

/* Chi-square over 512 bins of equal probability and Kolmogorov-Smirnov */
static void test_law(void **state)
{
  enum { BINS = 512 };
  double *z = Sample(), chi2 = 0, distance = 0, bins[BINS] = {0};

  (void)state;
  for (int i = 0; i < COUNT; i++) {
    z[i] = gsl_cdf_ugaussian_P(z[i]);
    bins[PetscMin(BINS - 1, (int)(z[i] * BINS))] += 1;
  }
  for (int b = 0; b < BINS; b++) chi2 += (bins[b] - COUNT / BINS) * (bins[b] - COUNT / BINS) / (COUNT / BINS);
  check(chi2 < gsl_cdf_chisq_Qinv(RARE, BINS - 1), "chi-square %g", chi2);
  check(chi2 > gsl_cdf_chisq_Pinv(RARE, BINS - 1), "chi-square %g is too small", chi2);
  gsl_sort(z, 1, COUNT);
  for (int i = 0; i < COUNT; i++)
    distance = PetscMax(distance, PetscMax((double)(i + 1) / COUNT - z[i], z[i] - (double)i / COUNT));
  /* P(sqrt(n) distance > x) -> 2 exp(-2 x^2) */
  check(distance * sqrt(COUNT) < sqrt(-0.5 * log(RARE / 2)), "Kolmogorov-Smirnov %g", distance * sqrt(COUNT));
  free(z);
}

/* Two normals are independent when their squares sum to an exponential law, their ratio's angle is uniform and the two
   are independent: chi-square of 32 x 32 equal cells, for offsets inside a pair, to the next pair, next lane */
static void test_pairs(void **state)
{
  enum { SIDE = 32 };
  static const int offset[4] = {FP_BLOCK, 2 * FP_BLOCK, 1, 3 * FP_BLOCK};
  double          *z         = Sample();

  (void)state;
  for (int o = 0; o < 4; o++) {
    static double cell[SIDE][SIDE];
    double        chi2 = 0, expected;
    int           used = 0;

    PetscMemzero(cell, sizeof(cell));
    for (int i = 0; i + offset[o] < COUNT; i++) {
      const double a = z[i], b = z[i + offset[o]];
      const int    r = (int)(SIDE * exp(-0.5 * (a * a + b * b))), t = (int)(SIDE * (atan2(b, a) / (2 * M_PI) + 0.5));

      if (o == 0 && i / FP_BLOCK % 2) continue; /* offset 64 pairs the two of one transformation only once */
      cell[PetscMin(SIDE - 1, r)][PetscMin(SIDE - 1, t)] += 1;
      used++;
    }
    expected = (double)used / (SIDE * SIDE);
    for (int r = 0; r < SIDE; r++)
      for (int t = 0; t < SIDE; t++) chi2 += (cell[r][t] - expected) * (cell[r][t] - expected) / expected;
    /* overlapping pairs share members: twice the variance of chi-square at most */
    check(chi2 < gsl_cdf_chisq_Qinv(RARE, SIDE * SIDE - 1) + (o ? 60 : 0), "offset %d: chi-square %g", offset[o], chi2);
    check(chi2 > gsl_cdf_chisq_Pinv(RARE, SIDE * SIDE - 1) - (o ? 60 : 0), "offset %d: chi-square %g", offset[o], chi2);
  }
  free(z);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers), cmocka_unit_test(test_random123),
                                     cmocka_unit_test(test_forms),         cmocka_unit_test(test_normals_accuracy),
                                     cmocka_unit_test(test_moments),       cmocka_unit_test(test_law),
                                     cmocka_unit_test(test_pairs)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  return SlepcFinalize() ? 1 : failed;
}

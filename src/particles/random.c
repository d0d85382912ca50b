/* random.c: the random numbers of the particles.
   Words: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011). Word n of
   particle p is element n mod 4 of the bijection at counter (n/4 low, n/4 high, p low, p high): a pure function of key,
   particle and position, the same on every instruction set.
   Normals: Box-Muller in float. A first word a gives u = |a + 1/2|/2^31 in (0, 1] with a read as a signed number, and
   its sign that of the cosine; a second word b gives half a turn, pi b/2^32. The largest modulus is
   sqrt(64 log 2) = 6.6604. Where multiplications and additions are contracted the last bit depends on the instruction
   set, so results are reproducible to the bit per instruction set. */
#include "particlesimpl.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u /* golden ratio and sqrt(3) - 1: increments of the key */
#define PHILOX_W1 0xBB67AE85u
#define PHILOX_ROUNDS 10

static void Philox_Portable(const unsigned key[2], uint64_t first, uint64_t group, unsigned *restrict word)
{
  for (int l = 0; l < FP_BLOCK; l++) {
    uint32_t a = (uint32_t)group, b = (uint32_t)(group >> 32), c = (uint32_t)(first + (uint64_t)l),
             d = (uint32_t)((first + (uint64_t)l) >> 32), k0 = key[0], k1 = key[1];

    for (int r = 0; r < PHILOX_ROUNDS; r++) {
      const uint64_t p = (uint64_t)a * PHILOX_M0, q = (uint64_t)c * PHILOX_M1;

      a = (uint32_t)(q >> 32) ^ b ^ k0;
      b = (uint32_t)q;
      c = (uint32_t)(p >> 32) ^ d ^ k1;
      d = (uint32_t)p;
      k0 += PHILOX_W0;
      k1 += PHILOX_W1;
    }
    word[l]                = a;
    word[FP_BLOCK + l]     = b;
    word[2 * FP_BLOCK + l] = c;
    word[3 * FP_BLOCK + l] = d;
  }
}

#if defined(__x86_64__)
#define PHILOX_UNROLL _Pragma("GCC unroll 8")
#include <immintrin.h>

/* The same in 64-bit lanes, `chains` vectors at a time to hide the latency of the multiplication, which reads the low
   halves only: so the halves above need no masking. */
#define PHILOX_VECTOR(name, instructions, lanes, chains, multiply)                                                     \
  __attribute__((target(instructions))) static void name(const unsigned key[2], uint64_t first, uint64_t group,        \
                                                         unsigned *restrict word)                                      \
  {                                                                                                                    \
    typedef uint64_t Wide __attribute__((vector_size(8 * (lanes))));                                                   \
    typedef uint32_t Half __attribute__((vector_size(4 * (lanes))));                                                   \
    const Wide       zero = {0}, m0 = zero + PHILOX_M0, m1 = zero + PHILOX_M1;                                         \
    Wide             lane = zero;                                                                                      \
                                                                                                                       \
    for (int i = 0; i < (lanes); i++) lane[i] = (uint64_t)i;                                                           \
    for (int l = 0; l < FP_BLOCK; l += (lanes) * (chains)) {                                                           \
      Wide     a[chains], b[chains], c[chains], d[chains];                                                             \
      uint32_t k0 = key[0], k1 = key[1];                                                                               \
                                                                                                                       \
      PHILOX_UNROLL for (int j = 0; j < (chains); j++)                                                                 \
      {                                                                                                                \
        a[j] = zero + group;                                                                                           \
        b[j] = zero + (group >> 32);                                                                                   \
        c[j] = lane + (first + (uint64_t)(l + j * (lanes)));                                                           \
        d[j] = c[j] >> 32;                                                                                             \
      }                                                                                                                \
      for (int r = 0; r < PHILOX_ROUNDS; r++) {                                                                        \
        const Wide v0 = zero + k0, v1 = zero + k1;                                                                     \
                                                                                                                       \
        PHILOX_UNROLL for (int j = 0; j < (chains); j++)                                                               \
        {                                                                                                              \
          const Wide p = (Wide)multiply(a[j], m0), q = (Wide)multiply(c[j], m1);                                       \
                                                                                                                       \
          a[j] = (q >> 32) ^ b[j] ^ v0;                                                                                \
          b[j] = q;                                                                                                    \
          c[j] = (p >> 32) ^ d[j] ^ v1;                                                                                \
          d[j] = p;                                                                                                    \
        }                                                                                                              \
        k0 += PHILOX_W0;                                                                                               \
        k1 += PHILOX_W1;                                                                                               \
      }                                                                                                                \
      PHILOX_UNROLL for (int j = 0; j < (chains); j++)                                                                 \
      {                                                                                                                \
        const Half out[4] = {__builtin_convertvector(a[j], Half), __builtin_convertvector(b[j], Half),                 \
                             __builtin_convertvector(c[j], Half), __builtin_convertvector(d[j], Half)};                \
                                                                                                                       \
        for (int k = 0; k < 4; k++) memcpy(word + k * FP_BLOCK + l + j * (lanes), &out[k], sizeof(Half));              \
      }                                                                                                                \
    }                                                                                                                  \
  }
#define MULTIPLY_AVX2(x, y) _mm256_mul_epu32((__m256i)(x), (__m256i)(y))
#define MULTIPLY_AVX512(x, y) _mm512_mul_epu32((__m512i)(x), (__m512i)(y))
PHILOX_VECTOR(Philox_AVX2, "avx2", 4, 2, MULTIPLY_AVX2)
PHILOX_VECTOR(Philox_AVX512, "avx512f", 8, 4, MULTIPLY_AVX512)
#endif

static FPPhiloxBlock PhiloxSelect(void)
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return Philox_AVX512;
  if (__builtin_cpu_supports("avx2")) return Philox_AVX2;
#endif
  return Philox_Portable;
}

int FPPhiloxBlocks(FPPhiloxBlock block[3])
{
  int n = 0;

  block[n++] = Philox_Portable;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) block[n++] = Philox_AVX2;
  if (__builtin_cpu_supports("avx512f")) block[n++] = Philox_AVX512;
#endif
  return n;
}

/* index and rows are multiples of 4 */
void FPRandomWords(const unsigned key[2], unsigned long long first, unsigned long long index, int rows, unsigned *word)
{
  const FPPhiloxBlock philox = PhiloxSelect();

  for (int k = 0; k < rows; k += 4) philox(key, first, (index + (unsigned long long)k) / 4, word + k * FP_BLOCK);
}

/* sqrt(-2 log u), u in (0, 1]: u = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), log(1 + f)/f by a polynomial of
   degree 8 (minimax, relative error 2.7e-8). */
static inline float Radius(float u)
{
  union {
    float   value;
    int32_t bits;
  } x                    = {u};
  const int32_t exponent = (x.bits - 0x3f3504f3) >> 23; /* the bits of sqrt(1/2) */
  float         f, log1p;

  x.bits -= exponent * (1 << 23);
  f     = x.value - 1.0f;
  log1p = 8.7223550e-2f;
  log1p = log1p * f - 1.43668428e-1f;
  log1p = log1p * f + 1.49522664e-1f;
  log1p = log1p * f - 1.65623931e-1f;
  log1p = log1p * f + 1.99568335e-1f;
  log1p = log1p * f - 2.50020741e-1f;
  log1p = log1p * f + 3.33341856e-1f;
  log1p = log1p * f - 4.99999880e-1f;
  log1p = log1p * f + 9.99999974e-1f;
  return sqrtf(-2.0f * ((float)exponent * 6.93147181e-1f + log1p * f));
}

/* Pairs of rows (a, b) -> sqrt(-2 log u) (+-cos pi t, sin pi t), t in [-1/2, 1/2]: sin(pi t)/t and
   cos(pi t)/(1/4 - t^2) are minimax polynomials of degree 4 in t^2 (relative errors 5e-9 and 1e-9). */
FP_HOT void FPRandomNormals(int rows, const unsigned *restrict word, float *restrict normal)
{
  for (int k = 0; k < rows; k += 2) {
    const unsigned *first = word + k * FP_BLOCK, *second = first + FP_BLOCK;
    float          *cosine = normal + k * FP_BLOCK, *sine = cosine + FP_BLOCK;

#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) {
      const float a = (float)(int32_t)first[l] + 0.5f, t = (float)(int32_t)second[l] * 0x1p-32f, s = t * t;
      const float r = Radius(fabsf(a) * 0x1p-31f);
      float       p = 7.7560387e-2f, q = 2.4153379e-2f;

      p         = p * s - 5.98242126e-1f;
      p         = p * s + 2.55006973f;
      p         = p * s - 5.16770968f;
      p         = p * s + 3.14159264f;
      q         = q * s - 2.28738223e-1f;
      q         = q * s + 1.27798972f;
      q         = q * s - 3.73920805f;
      q         = q * s + 4.0f;
      cosine[l] = copysignf(r, a) * ((0.5f - t) * (0.5f + t)) * q;
      sine[l]   = r * t * p;
    }
  }
}

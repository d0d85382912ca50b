/* stable.c: random numbers of stable laws, from uniform words.
   Positive, E exp(-q s) = exp(-q^beta): s = sin(beta u)/sin(u)^{1/beta} (sin((1 - beta) u)/e)^{(1 - beta)/beta} with u
   uniform on (0, pi) and e exponential (M. Kanter, Ann. Probab. 3 (1975)).
   The loops are vectorised with the vector functions of the C library, whose last bits depend on the instruction set.
   32-bit uniforms end the tails at probabilities of 1e-10. */
#include "particlesimpl.h"
#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma omp declare simd notinbranch
extern double            sin(double);
#pragma omp declare simd notinbranch
extern double            log(double);
#pragma omp declare simd notinbranch
extern double            exp(double);
#endif

FP_HOT void FPStablePositive(double beta, const unsigned *restrict word, double *restrict s)
{
  const double power = (1 - beta) / beta;

#pragma omp simd
  for (int l = 0; l < FP_BLOCK; l++) {
    const double u = M_PI * 0x1p-32 * ((double)word[l] + 0.5), e = -log(0x1p-32 * ((double)word[FP_BLOCK + l] + 0.5));

    s[l] = sin(beta * u) * exp(power * log(sin((1 - beta) * u) / e) - log(sin(u)) / beta);
  }
}

/* stable.c: random numbers of stable laws, from uniform words.
   Positive, E exp(-q s) = exp(-q^beta): s = sin(beta u)/sin(u)^{1/beta} (sin((1 - beta) u)/e)^{(1 - beta)/beta} with u
   uniform on (0, pi) and e exponential (M. Kanter, Ann. Probab. 3 (1975)).
   The loops are vectorised with the vector functions of the C library, whose last bits depend on the instruction set.
   Symmetric, E exp(i k x) = exp(-|k|^alpha): x = sin(alpha v)/cos(v)^{1/alpha} (cos((1 - alpha) v)/e)^{(1 -
   alpha)/alpha} with v uniform on (-pi/2, pi/2) (J. Chambers, C. Mallows, B. Stuck, J. Am. Stat. Assoc. 71 (1976)): tan
   v, by nothing that cancels, at alpha = 1. v is drawn as its sign and the distance from pi/2, where the tails come
   from. Isotropic in d dimensions: sqrt(2 s) times d normal numbers, s positive of index alpha/2. 32-bit uniforms end
   the tails at probabilities of 1e-10. */
#include "particlesimpl.h"
#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma omp declare simd notinbranch
extern double            sin(double);
#pragma omp declare simd notinbranch
extern double            log(double);
#pragma omp declare simd notinbranch
extern double            exp(double);
#pragma omp declare simd notinbranch
extern double            cos(double);
#endif

#define LARGEST 700 /* ln of the numbers beyond which stable ones are cut off, so that their sums are finite */

FP_HOT void FPStablePositive(double beta, const unsigned *restrict word, double *restrict s)
{
  const double power = (1 - beta) / beta;

#pragma omp simd
  for (int l = 0; l < FP_BLOCK; l++) {
    const double u = M_PI * 0x1p-32 * ((double)word[l] + 0.5), e = -log(0x1p-32 * ((double)word[FP_BLOCK + l] + 0.5));

    s[l] = sin(beta * u) * exp(power * log(sin((1 - beta) * u) / e) - log(sin(u)) / beta);
  }
}

/* x[FP_BLOCK] of E exp(i k x) = exp(-time |k|^alpha) from word[2][FP_BLOCK] */
FP_HOT static void Symmetric(double alpha, double time, const unsigned *restrict word, double *restrict x)
{
  const double power = (1 - alpha) / alpha, inverse = 1 / alpha, shift = log(time) / alpha;

#pragma omp simd
  for (int l = 0; l < FP_BLOCK; l++) {
    const double w = M_PI * 0x1p-32 * ((double)(word[l] >> 1) + 0.5), v = M_PI_2 - w;
    const double e = -log(0x1p-32 * ((double)word[FP_BLOCK + l] + 0.5));
    const double y = power * log(cos((1 - alpha) * v) / e) - inverse * log(sin(w)) + shift;
    const double r = sin(alpha * v) * exp(y < LARGEST ? y : LARGEST);

    x[l] = word[l] & 1 ? -r : r;
  }
}

FP_HOT static void Isotropic(int dim, double time, const double *restrict s, const float *restrict normal,
                             double *restrict x)
{
  for (int i = 0; i < dim; i++) {
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) x[i * FP_BLOCK + l] = sqrt(2 * time * s[l]) * (double)normal[i * FP_BLOCK + l];
  }
}

static PetscBool Subordinated(const FPStable *stable, int dim)
{
  return (PetscBool)(stable->alpha < 2 && dim > 1 && !stable->independent);
}

void FPStableNeeds(const FPStable *stable, int dim, int *normals, int *words)
{
  const PetscBool subordinated = Subordinated(stable, dim);

  *normals = subordinated || stable->alpha >= 2 ? dim : 0;
  *words   = subordinated ? 2 : stable->alpha < 2 ? 2 * dim : 0;
}

void FPStableVector(const FPStable *stable, int dim, double time, const float *normal, const unsigned *word, double *x)
{
  double s[FP_BLOCK];

  if (Subordinated(stable, dim)) {
    FPStablePositive(stable->alpha / 2, word, s);
    for (int l = 0; l < FP_BLOCK; l++) s[l] = fmin(s[l], exp(LARGEST));
    Isotropic(dim, pow(time, 2 / stable->alpha), s, normal, x);
  } else if (stable->alpha >= 2) {
    for (int l = 0; l < FP_BLOCK; l++) s[l] = 1;
    Isotropic(dim, time, s, normal, x);
  } else
    for (int i = 0; i < dim; i++)
      Symmetric(stable->alpha, time, word + (ptrdiff_t)2 * i * FP_BLOCK, x + (ptrdiff_t)i * FP_BLOCK);
}

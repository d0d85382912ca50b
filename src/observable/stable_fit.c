/* stable_fit.c: the symmetric stable law exp(-|c t|^alpha + i s t) that is nearest to a characteristic function phi,
   and how far from it the law stays. c: |phi(1/c)| = 1/e; alpha: slope of ln(-ln |phi|) over ln t, by least squares at
   t = 0.1/c .. 1/c, at most 2 (I. Koutrouvelis, J. Am. Stat. Assoc. 75 (1980), with a fixed grid); s: phase of phi at t
   = 1/(2c). Misfit: Kolmogorov's distance between the distribution functions. A sample is kept as counts and sums in
   bins of asinh(10 x), narrow against the law, so that everything is a smooth function of sums. Product of two
   independent normal numbers: phi = (1 + t^2)^(-1/2), density K_0(|x|)/pi. */
#include "observableimpl.h"
#include <gsl/gsl_sf_bessel.h>

#define BINS (FP_FIT_SIZE / 2)
#define REACH 13.0 /* of asinh(10 x) */
#define POINTS 10
#define ANGLES 400

typedef struct {
  const double *histogram; /* NULL: the product of normals */
  double        total;
} Law;

static PetscReal Edge(PetscInt bin)
{
  return 0.1 * sinh(REACH * (2.0 * bin / BINS - 1));
}

void FPStableFitAdd(double histogram[FP_FIT_SIZE], PetscReal x)
{
  const PetscReal y   = PetscClipInterval(asinh(10 * x) / REACH, -1, 1);
  const PetscInt  bin = PetscMin((PetscInt)((y + 1) / 2 * BINS), BINS - 1);

  histogram[bin] += 1;
  histogram[BINS + bin] += x;
}

static void Characteristic(const Law *law, PetscReal t, PetscReal phi[2])
{
  phi[0] = phi[1] = 0;
  if (!law->histogram) {
    phi[0] = 1 / PetscSqrtReal(1 + t * t);
    return;
  }
  for (PetscInt b = 0; b < BINS; b++) {
    const double count = law->histogram[b];

    if (count == 0) continue;
    phi[0] += count / law->total * cos(t * law->histogram[BINS + b] / count);
    phi[1] += count / law->total * sin(t * law->histogram[BINS + b] / count);
  }
}

static PetscReal Modulus(const Law *law, PetscReal t)
{
  PetscReal phi[2];

  Characteristic(law, t, phi);
  return PetscClipInterval(hypot(phi[0], phi[1]), 1e-300, 1 - 1e-15);
}

/* P(X <= x) for exp(-|t|^alpha): J. Nolan, Commun. Stat. Stoch. Models 13 (1997), after V. Zolotarev. */
PetscReal FPStableCDF(PetscReal alpha, PetscReal x)
{
  const PetscReal power = alpha / (alpha - 1);
  PetscReal       sum   = 0;

  if (x < 0) return 1 - FPStableCDF(alpha, -x);
  if (x == 0) return 0.5;
  if (PetscAbsReal(alpha - 1) < 1e-3) return 0.5 + atan(x) / PETSC_PI;
  for (int q = 0; q < ANGLES; q++) {
    const double u = (q + 0.5) / ANGLES, angle = PETSC_PI / 2 * u * u * (3 - 2 * u); /* nodes crowd at both ends */
    const double V = power * log(x * cos(angle) / sin(alpha * angle)) + log(cos((alpha - 1) * angle) / cos(angle));

    sum += exp(-exp(PetscMin(V, 700))) * PETSC_PI * 3 * u * (1 - u) / ANGLES;
  }
  return alpha > 1 ? 1 - sum / PETSC_PI : 0.5 + sum / PETSC_PI;
}

/* Largest difference of distribution functions at the edges of the bins. */
static PetscReal Distance(const Law *law, const FPStableFit *fit)
{
  PetscReal below = law->histogram ? 0 : 0.5, largest = 0;

  for (PetscInt b = law->histogram ? 1 : BINS / 2 + 1; b < BINS; b++) {
    if (law->histogram)
      below += law->histogram[b - 1] / law->total;
    else { /* Gauss-Legendre of two points in the square root, where the density has its logarithm at 0 */
      const PetscReal low = PetscSqrtReal(PetscMax(Edge(b - 1), 0)), high = PetscSqrtReal(Edge(b));

      for (int q = -1; q <= 1; q += 2) {
        const PetscReal root = (low + high) / 2 + q * (high - low) / 2 / PetscSqrtReal(3);

        if (root < 20) below += gsl_sf_bessel_K0(root * root) / PETSC_PI * (high - low) * root;
      }
    }
    if (law->histogram && law->histogram[b - 1] == 0) continue;
    largest = PetscMax(largest, PetscAbsReal(below - FPStableCDF(fit->alpha, (Edge(b) - fit->shift) / fit->scale)));
  }
  return largest;
}

static void Fit(const Law *law, FPStableFit *fit)
{
  PetscReal low = -30, high = 30, x[POINTS], y[POINTS], mean[2] = {0}, slope[2] = {0}, phi[2];

  while (high - low > 1e-12) { /* |phi(exp(low))| > 1/e > |phi(exp(high))| */
    const PetscReal middle = (low + high) / 2;

    if (Modulus(law, exp(middle)) > exp(-1))
      low = middle;
    else
      high = middle;
  }
  for (int k = 0; k < POINTS; k++) {
    x[k] = log((k + 1.0) / POINTS) + low;
    y[k] = log(-log(Modulus(law, exp(x[k]))));
    mean[0] += x[k] / POINTS;
    mean[1] += y[k] / POINTS;
  }
  for (int k = 0; k < POINTS; k++) {
    slope[0] += (x[k] - mean[0]) * (y[k] - mean[1]);
    slope[1] += PetscSqr(x[k] - mean[0]);
  }
  Characteristic(law, exp(low) / 2, phi);
  fit->slope  = slope[0] / slope[1];
  fit->alpha  = PetscClipInterval(fit->slope, 0.1, 2);
  fit->scale  = exp(-low);
  fit->shift  = atan2(phi[1], phi[0]) * 2 / exp(low);
  fit->misfit = Distance(law, fit);
}

void FPStableFitHistogram(const double histogram[FP_FIT_SIZE], FPStableFit *fit)
{
  Law law = {.histogram = histogram};

  for (PetscInt b = 0; b < BINS; b++) law.total += histogram[b];
  Fit(&law, fit);
}

void FPStableFitProduct(FPStableFit *fit)
{
  const Law law = {0};

  Fit(&law, fit);
}

PetscReal FPKolmogorov(PetscReal n, PetscReal distance)
{
  const PetscReal x = distance * (PetscSqrtReal(n) + 0.12 + 0.11 / PetscSqrtReal(n));
  PetscReal       p = 0;

  if (x < 0.2) return 1;
  for (int k = 1; k < 100; k++) p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * x * x);
  return PetscClipInterval(p, 0, 1);
}

/* transferorder.c: normal laws integrated against interpolations of an order above that of hats. With nodes a < b
   around a place y, and c, d the next ones, Newton's form of the cubic through the four is

     f(y) = (hats) + (y - a)(y - b) f[a, b, c] + (y - a)(y - b)(y - c) f[a, b, c, d],

   so that hats keep their digits and two means are added for each interval. They, and the polynomials through all
   Chebyshev points, are integrated by Gauss-Legendre panels of two standard deviations at most. Weights of both may be
   negative: matrices of an order above 2 are signed, with row sums 1 like that of hats. Sources: P. J. Davis,
   Interpolation and Approximation (1963); J.-P. Berrut and L. N. Trefethen, SIAM Rev. 46 (2004). */
#include "transfer.h"

#define DENSITY 0.3989422804014327 /* of the standard normal law at 0 */
#define PANEL 2.0                  /* standard deviations that a panel may span */
#define NARROW 0.5                 /* and one of SHORT nodes */
#define SHORT 6
#define SPACINGS 3.0 /* of Chebyshev points, that a panel may span */

typedef struct {
  PetscReal a, b, c;
} Roots;

static void Point(const Roots *r, PetscReal y, PetscReal weight, PetscReal mean[2])
{
  const PetscReal value = weight * (y - r->a) * (y - r->b);

  mean[0] += value;
  mean[1] += value * (y - r->c);
}

/* Gauss-Legendre on (-1, 1): nodes and, symmetrically, their weights. Source: Abramowitz and Stegun, table 25.4. */
static const PetscReal Node[SHORT / 2]   = {0.2386191860831969086, 0.6612093864662645137, 0.9324695142031520278};
static const PetscReal Weight[SHORT / 2] = {0.4679139345726910473, 0.3607615730481386076, 0.1713244923791703450};

/* mean += on [from, to], at most NARROW sd wide */
static void AddShort(const Roots *r, PetscReal from, PetscReal to, PetscReal m, PetscReal sd, PetscReal mean[2])
{
  const PetscReal middle = (from + to) / 2, half = (to - from) / 2;

  for (PetscInt k = 0; k < SHORT; k++) {
    const PetscReal y = middle + (k % 2 ? half : -half) * Node[k / 2];

    Point(r, y, Weight[k / 2] * half * DENSITY / sd * FPExponential(-0.5 * PetscSqr((y - m) / sd)), mean);
  }
}

/* mean: E of (Y - a)(Y - b) and of (Y - a)(Y - b)(Y - c) on [from, to], Y ~ N(m, sd^2) */
static void Moments(const gsl_integration_glfixed_table *rule, const Roots *r, PetscReal from, PetscReal to,
                    PetscReal m, PetscReal sd, PetscReal mean[2])
{
  PetscInt panels;

  mean[0] = mean[1] = 0;
  from              = PetscMax(from, m - FP_TAIL * sd);
  to                = PetscMin(to, m + FP_TAIL * sd);
  if (to <= from) return;
  if (to - from <= 2 * NARROW * sd) {
    const PetscReal middle = to - from > NARROW * sd ? (from + to) / 2 : to;

    AddShort(r, from, middle, m, sd, mean);
    if (middle < to) AddShort(r, middle, to, m, sd, mean);
    return;
  }
  panels = (PetscInt)PetscCeilReal((to - from) / (PANEL * sd));
  for (PetscInt p = 0; p < panels; p++) {
    const PetscReal width = (to - from) / panels;

    for (size_t k = 0; k < rule->n; k++) {
      double y, w;

      gsl_integration_glfixed_point(from + p * width, from + (p + 1) * width, k, &y, &w, rule);
      Point(r, y, w * DENSITY / sd * exp(-0.5 * PetscSqr((y - m) / sd)), mean);
    }
  }
}

/* share += value f[x_0, ..., x_{n-1}], a divided difference of order n - 1 */
static void AddDifference(const PetscReal x[], const PetscInt at[], PetscInt n, PetscReal value, PetscReal share[])
{
  for (PetscInt i = 0; i < n; i++) {
    PetscReal product = 1;

    for (PetscInt j = 0; j < n; j++)
      if (j != i) product *= x[at[i]] - x[at[j]];
    share[at[i]] += value / product;
  }
}

void FPHatCubic(const gsl_integration_glfixed_table *rule, const PetscReal x[], PetscInt n, PetscReal lower,
                PetscReal upper, PetscReal weight, PetscReal m, PetscReal sd, PetscReal share[], PetscInt *first,
                PetscInt *last)
{
  PetscInt low = 0, high = n - 2;

  while (low < high && x[low + 1] < m - FP_TAIL * sd) low++;
  while (high > low && x[high] > m + FP_TAIL * sd) high--;
  for (PetscInt k = low; k <= high && n > 2; k++) {
    const PetscInt  at[4] = {k, k + 1, k > 0 ? k - 1 : 2, k == 0 ? 3 : k + 2 < n ? k + 2 : k - 2};
    const Roots     r     = {x[at[0]], x[at[1]], x[at[2]]};
    const PetscReal from = k ? x[k] : lower, to = k + 2 < n ? x[k + 1] : upper;
    PetscReal       mean[2] = {0, 0};

    if (sd > 0)
      Moments(rule, &r, from, to, m, sd, mean);
    else if (m >= from && (m < to || (k == high && m <= to)))
      Point(&r, m, 1, mean);
    AddDifference(x, at, 3, weight * mean[0], share);
    if (n > 3) AddDifference(x, at, 4, weight * mean[1], share);
    for (PetscInt i = 0; i < PetscMin(n, 4); i++) {
      *first = PetscMin(*first, at[i]);
      *last  = PetscMax(*last, at[i]);
    }
  }
}

/* share += weight times the polynomials at y, by the second barycentric formula with weights factor */
static void AddPolynomials(const PetscReal x[], const PetscReal factor[], PetscInt n, PetscReal y, PetscReal weight,
                           PetscReal share[], PetscReal work[])
{
  PetscReal sum = 0;

  for (PetscInt j = 0; j < n; j++)
    if (y == x[j]) {
      share[j] += weight;
      return;
    }
  for (PetscInt j = 0; j < n; j++) sum += work[j] = factor[j] / (y - x[j]);
  for (PetscInt j = 0; j < n; j++) share[j] += weight / sum * work[j];
}

void FPChebyshevAdd(const gsl_integration_glfixed_table *rule, const PetscReal x[], const PetscReal factor[],
                    PetscInt n, PetscReal lower, PetscReal upper, PetscReal weight, PetscReal m, PetscReal sd,
                    PetscReal share[], PetscReal work[])
{
  const PetscReal middle = (lower + upper) / 2, half = (upper - lower) / 2;
  const PetscReal last = PetscMin(upper, m + FP_TAIL * sd);

  if (sd == 0) {
    AddPolynomials(x, factor, n, m, weight, share, work);
    return;
  }
  for (PetscReal from = PetscMax(lower, m - FP_TAIL * sd), to; from < last; from = to) {
    const PetscReal angle = acos(PetscClipInterval((middle - from) / half, -1, 1)) + SPACINGS * PETSC_PI / n;

    to = PetscMin(last, PetscMin(from + PANEL * sd, angle < PETSC_PI ? middle - half * cos(angle) : upper));
    for (size_t k = 0; k < rule->n; k++) {
      double y, w;

      gsl_integration_glfixed_point(from, to, k, &y, &w, rule);
      AddPolynomials(x, factor, n, y, weight * w * DENSITY / sd * exp(-0.5 * PetscSqr((y - m) / sd)), share, work);
    }
  }
}

/* gibbs_distance.c: Wasserstein-1 distances of the law of p, each entry of the end-to-end matrix, from its law under
   exp(-V/T): the integral of |F - G| over p, F and G the distribution functions. On the cells of a generator F - G
   is linear between the edges of cells, half-way between values of p, so equal laws are at distance 0; particles are
   counted in bins of p. Where F and G agree within noise, |F - G| is too large on average: by how much is a row of its
   own, which enters the error. Exact: two normal laws of one mean are |sigma_1 - sigma_2| sqrt(2/pi) apart, two laws of
   ordered distribution functions by the difference of their means. */
#include "observableimpl.h"
#include <math.h>

#define FINE_1 8192 /* points per axis of the quadrature of the Gibbs law */
#define FINE_2 640
#define FINE_3 84

/* M[a*n + l] and the weight of n = FP_BLOCK points of the midpoint rule, the first one number `first`. */
static void GibbsPoints(const FPGibbsLines *lines, PetscInt first, double *z, double *w, double *M, double *V,
                        double *measure)
{
  const PetscInt n = FP_BLOCK;

  for (PetscInt l = 0; l < n; l++) {
    PetscInt rest = PetscMin(first + l, lines->points - 1);

    for (PetscInt a = 0; a < lines->box.dim; a++) {
      const PetscReal share = (rest % lines->axis + 0.5) / lines->axis;

      z[a * n + l] = lines->box.lower[a] + share * (lines->box.upper[a] - lines->box.lower[a]);
      rest /= lines->axis;
    }
  }
  const double *weights = FPWeightsOf(lines->model, lines->mapped, (int)n, z, w);
  FPModelMap(lines->model, (int)n, weights, M);
  FPModelPotential(lines->model, (int)n, weights, V);
  FPModelMeasure(lines->model, (int)n, z, measure);
}

PetscErrorCode FPGibbsLinesCreate(FPModel model, const FPBox *box, PetscReal temperature, FPGibbsLines *lines)
{
  const PetscInt n = FP_BLOCK;
  PetscInt       inputs, targets, weights;
  PetscReal      least = PETSC_MAX_REAL, upper[FP_MAX_MAP], sum = 0;
  double        *z, *w, *M, *V, *m;

  PetscFunctionBegin;
  PetscCall(PetscFree(lines->gibbs));
  lines->model = model;
  lines->box   = *box;
  PetscCall(FPModelGetParent(model, &lines->mapped, &weights));
  PetscCall(FPModelGetSizes(model, NULL, &inputs, &targets));
  lines->entries = inputs * targets;
  lines->axis    = box->dim == 1 ? FINE_1 : box->dim == 2 ? FINE_2 : FINE_3;
  lines->points  = 1;
  for (PetscInt a = 0; a < box->dim; a++) lines->points *= lines->axis;
  PetscCall(PetscCalloc1(lines->entries * FP_LINE, &lines->gibbs));
  PetscCall(PetscMalloc5(box->dim * n, &z, weights * n, &w, lines->entries * n, &M, n, &V, n, &m));
  for (PetscInt a = 0; a < lines->entries; a++) {
    lines->lower[a] = PETSC_MAX_REAL;
    upper[a]        = -PETSC_MAX_REAL;
  }
  for (PetscInt pass = 0; pass < 2; pass++) {
    for (PetscInt first = 0; first < lines->points; first += n) {
      GibbsPoints(lines, first, z, w, M, V, m);
      for (PetscInt l = 0; l < PetscMin(n, lines->points - first); l++) {
        const PetscReal weight = pass ? m[l] * PetscExpReal(-(V[l] - least) / temperature) : 0;

        least = PetscMin(least, V[l]);
        sum += weight;
        for (PetscInt a = 0; a < lines->entries; a++) {
          lines->lower[a] = PetscMin(lines->lower[a], M[a * n + l]);
          upper[a]        = PetscMax(upper[a], M[a * n + l]);
          if (pass) lines->gibbs[a * FP_LINE + FPGibbsLinesIndex(lines, a, M[a * n + l])] += weight;
        }
      }
    }
    for (PetscInt a = 0; a < lines->entries; a++)
      lines->width[a] = PetscMax(upper[a] - lines->lower[a], 1e-300) / FP_LINE;
  }
  for (PetscInt b = 0; b < lines->entries * FP_LINE; b++) lines->gibbs[b] /= sum;
  PetscCall(PetscFree5(z, w, M, V, m));
  PetscFunctionReturn(0);
}

/* E |x + s N(0, 1)| - |x| */
static PetscReal Folded(PetscReal x, PetscReal s)
{
  if (s <= 0) return 0;
  return s * PetscSqrtReal(2 / PETSC_PI) * PetscExpReal(-0.5 * PetscSqr(x / s)) -
         PetscAbsReal(x) * erfc(PetscAbsReal(x) / (s * PETSC_SQRT2));
}

void FPGibbsLinesDistance(const FPGibbsLines *lines, PetscInt a, const PetscReal p[], PetscReal independent,
                          PetscReal *distance, PetscReal *bias)
{
  PetscReal F = 0, G = 0, largest = 0;

  *distance = *bias = 0;
  for (PetscInt b = 0; b < FP_LINE - 1; b++) {
    F += p[a * FP_LINE + b];
    G += lines->gibbs[a * FP_LINE + b];
    *distance += lines->width[a] * PetscAbsReal(F - G);
    largest = PetscMax(largest, PetscAbsReal(p[a * FP_LINE + b] - lines->gibbs[a * FP_LINE + b]));
    if (independent > 0)
      *bias += lines->width[a] * Folded(F - G, PetscSqrtReal(PetscMax(0, F * (1 - F)) / independent));
  }
  if (independent <= 0) *bias = lines->width[a] * largest;
}

static PetscErrorCode Sorted(PetscInt n, const PetscReal p[], PetscReal **at, PetscInt **order)
{
  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n, at, n, order));
  for (PetscInt k = 0; k < n; k++) {
    (*at)[k]    = p[k];
    (*order)[k] = k;
  }
  PetscCall(PetscSortRealWithArrayInt(n, *at, *order));
  PetscFunctionReturn(0);
}

/* Half of a point's share lies on each side of it; between points with any the distribution function is linear. */
PetscErrorCode FPGibbsLinesFill(const FPGibbsLines *lines, PetscInt a, PetscInt n, const PetscReal p[],
                                const PetscReal share[], PetscReal line[])
{
  PetscReal *at, from = lines->lower[a], F = 0, below = 0, sum = 0;
  PetscInt  *order, b = 0;

  PetscFunctionBegin;
  PetscCall(Sorted(n, p, &at, &order));
  for (PetscInt k = 0; k <= n; k++) {
    const PetscReal mass = k < n ? share[order[k]] : 0,
                    to   = k < n ? at[k] : lines->lower[a] + FP_LINE * lines->width[a];
    const PetscReal next = k < n ? sum + 0.5 * mass : sum;

    if (k < n && mass < 1e-10) {
      sum += mass;
      continue;
    }
    for (; b < FP_LINE - 1; b++) {
      const PetscReal edge = lines->lower[a] + (b + 1) * lines->width[a];
      PetscReal       here;

      if (edge > to) break;
      here                  = to > from ? F + (next - F) * (edge - from) / (to - from) : next;
      line[a * FP_LINE + b] = here - below;
      below                 = here;
    }
    from = to;
    F    = next;
    sum += mass;
  }
  line[a * FP_LINE + FP_LINE - 1] = 1 - below;
  PetscCall(PetscFree2(at, order));
  PetscFunctionReturn(0);
}

/* Mean of |f| for f linear from a to b. */
static PetscReal MeanModulus(PetscReal a, PetscReal b)
{
  if (a * b >= 0) return 0.5 * PetscAbsReal(a + b);
  return 0.5 * (a * a + b * b) / (PetscAbsReal(a) + PetscAbsReal(b));
}

PetscErrorCode FPLawsDistance(PetscInt n, const PetscReal p[], const PetscReal first[], const PetscReal second[],
                              PetscReal *distance)
{
  PetscReal *at, F = 0;
  PetscInt  *order;

  PetscFunctionBegin;
  PetscCall(Sorted(n, p, &at, &order));
  *distance = 0;
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal last = F, from = 0.5 * (at[PetscMax(k - 1, 0)] + at[k]),
                    to = 0.5 * (at[k] + at[PetscMin(k + 1, n - 1)]);

    F += first[order[k]] - second[order[k]];
    *distance += (to - from) * MeanModulus(last, k < n - 1 ? F : 0);
  }
  PetscCall(PetscFree2(at, order));
  PetscFunctionReturn(0);
}

/* nested.c: integrals over one to three variables, each by panels that are halved until the Gauss-Kronrod pair of 7 and
   15 points agrees. The integrand is positive and given by its logarithm; its largest value, found on a coarse pass, is
   divided out. The tolerance is absolute, a share of a first estimate of the whole integral. */
#include "gibbsimpl.h"
#include <gsl/gsl_sf_bessel.h>
#include <math.h>

#define DEEPEST 40  /* halvings of a panel */
#define MATTERS 300 /* logarithms that far below the largest are zeros */

static const PetscReal Node[8]    = {0.991455371120812639206854697526329, 0.949107912342758524526189684047851,
                                     0.864864423359769072789712788640926, 0.741531185599394439863864773280788,
                                     0.586087235467691130294144691693000, 0.405845151377397166906606412076961,
                                     0.207784955007898467600689403773245, 0.000000000000000000000000000000000};
static const PetscReal Kronrod[8] = {0.022935322010529224963732008058970, 0.063092092629978553290700663189204,
                                     0.104790010322250183839876322541518, 0.140653259715525918745189590510238,
                                     0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
                                     0.204432940075298892414161999234649, 0.209482141084727828012999174891714};
static const PetscReal Gauss[8]   = {0, 0.129484966168869693270611432679082, 0, 0.279705391489276667901467771423780,
                                     0, 0.381830050505118944950369775488975, 0, 0.417959183673469387755102040816327};

typedef struct {
  const FPNested *nested;
  PetscReal       top, tolerance[3]; /* tolerance[k]: absolute, of integrals over v[k], v[k+1], ... */
} Work;

typedef struct {
  PetscReal sum[3]; /* Z and its two derivatives, divided by e^top */
} Sums;

PetscInt FPNestedEdges(PetscReal low, PetscReal high, PetscReal apart, PetscInt n, const PetscReal at[],
                       PetscReal edge[FP_EDGES])
{
  PetscInt count = 1;

  edge[0] = low;
  while (count < FP_EDGES - 1) {
    PetscReal next = high;

    for (PetscInt k = 0; k < n; k++)
      if (at[k] > edge[count - 1] + apart && at[k] < next) next = at[k];
    if (next > high - apart) break;
    edge[count++] = next;
  }
  edge[count++] = high;
  return count;
}

static Sums Range(const Work *work, PetscInt k, PetscReal v[]);

static Sums At(const Work *work, PetscInt k, const PetscReal v[], PetscReal x)
{
  PetscReal inside[3] = {v[0], v[1], v[2]}, slope[2], weight;

  inside[k] = x;
  if (k + 1 < work->nested->dim) return Range(work, k + 1, inside);
  weight = work->nested->node(work->nested->context, inside, slope) - work->top;
  if (!(weight > -MATTERS)) return (Sums){{0, 0, 0}};
  weight = PetscExpReal(weight);
  return (Sums){{weight, weight * slope[0], weight * slope[1]}};
}

static Sums Panel(const Work *work, PetscInt k, const PetscReal v[], PetscReal low, PetscReal high, PetscInt depth)
{
  const PetscReal middle = 0.5 * (low + high), half = 0.5 * (high - low);
  PetscReal       error = 0;
  Sums            value[15], all = {{0, 0, 0}}, part;

#pragma omp parallel for schedule(dynamic) if (k == 0 && work->nested->dim > 1)
  for (PetscInt i = 0; i < 15; i++) value[i] = At(work, k, v, middle + half * (i < 7 ? -Node[i] : Node[14 - i]));
  for (PetscInt q = 0; q < 3; q++) {
    PetscReal gauss = 0;

    for (PetscInt i = 0; i < 15; i++) {
      const PetscInt j = i < 8 ? i : 14 - i;

      all.sum[q] += half * Kronrod[j] * value[i].sum[q];
      gauss += half * Gauss[j] * value[i].sum[q];
    }
    error += PetscAbsReal(all.sum[q] - gauss);
  }
  if (error <= work->tolerance[k] || depth == DEEPEST) return all;
  all  = Panel(work, k, v, low, middle, depth + 1);
  part = Panel(work, k, v, middle, high, depth + 1);
  for (PetscInt q = 0; q < 3; q++) all.sum[q] += part.sum[q];
  return all;
}

static Sums Range(const Work *work, PetscInt k, PetscReal v[])
{
  PetscReal edge[FP_EDGES];
  Sums      all = {{0, 0, 0}};

  const PetscInt n = work->nested->edges(work->nested->context, k, v, edge);
  for (PetscInt i = 0; i + 1 < n; i++) {
    const Sums part = Panel(work, k, v, edge[i], edge[i + 1], 0);

    for (PetscInt q = 0; q < 3; q++) all.sum[q] += part.sum[q];
  }
  return all;
}

/* The largest logarithm at five points of every panel. */
static PetscReal Top(const FPNested *nested, PetscInt k, PetscReal v[])
{
  PetscReal edge[FP_EDGES], slope[2], top = -INFINITY;

  if (k == nested->dim) return nested->node(nested->context, v, slope);
  const PetscInt n = nested->edges(nested->context, k, v, edge);
  for (PetscInt i = 0; i + 1 < n; i++)
    for (PetscInt j = 0; j < 5; j++) {
      PetscReal inside[3] = {v[0], v[1], v[2]}, found;

      inside[k] = edge[i] + (edge[i + 1] - edge[i]) * (0.05 + 0.225 * j);
      found     = Top(nested, k + 1, inside);
      if (found > top) top = found;
    }
  return top;
}

FPGibbsAnswer FPNestedIntegrate(const FPNested *nested)
{
  PetscReal     v[3] = {0, 0, 0}, edge[FP_EDGES], slope[2], share = 1;
  Work          work = {.nested = nested, .tolerance = {INFINITY, INFINITY, INFINITY}};
  Sums          sums;
  FPGibbsAnswer answer;

  if (!nested->dim) {
    answer.log_z       = nested->node(nested->context, v, slope);
    answer.coefficient = -slope[0];
    answer.slope       = -(slope[1] - PetscSqr(slope[0]));
    return answer;
  }
  work.top = Top(nested, 0, v);
  sums     = Range(&work, 0, v);
  for (PetscInt k = 0; k < nested->dim; k++) {
    const PetscInt n = nested->edges(nested->context, 0, v, edge);

    work.tolerance[k] = nested->tolerance * sums.sum[0] / share;
    share *= edge[n - 1] - edge[0];
  }
  sums               = Range(&work, 0, v);
  answer.log_z       = work.top + PetscLogReal(sums.sum[0]);
  answer.coefficient = -sums.sum[1] / sums.sum[0];
  answer.slope       = -(sums.sum[2] / sums.sum[0] - PetscSqr(sums.sum[1] / sums.sum[0]));
  return answer;
}

/* Beyond 40 the asymptotic series sum_k c_k w^{-k}, c_k = c_{k-1} (2k - 1)^2/(8 k), of I_0(w) e^{-w} sqrt(2 pi w). */
PetscReal FPLogBessel(PetscReal w, PetscReal *first, PetscReal *second)
{
  PetscReal c = 1, s0 = 1, s1 = 0, s2 = 0;

  if (w < 40) {
    const PetscReal i0 = gsl_sf_bessel_I0_scaled(w), ratio = gsl_sf_bessel_I1_scaled(w) / i0;

    *first  = w * (ratio - 1);
    *second = w * (w - ratio - w * ratio * ratio);
    return PetscLogReal(i0);
  }
  for (PetscInt k = 1; k <= 20; k++) {
    c *= PetscSqr(2.0 * k - 1) / (8 * k * w);
    s0 += c;
    s1 -= k * c;
    s2 += k * (k + 1) * c;
  }
  *first  = -0.5 + s1 / s0;
  *second = 0.5 + s2 / s0 - PetscSqr(s1 / s0);
  return PetscLogReal(s0) - 0.5 * PetscLogReal(2 * PETSC_PI * w);
}

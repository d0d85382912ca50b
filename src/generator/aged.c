/* aged.c: laws and functions under a fractional clock of some age.

   A clock that started at time 0 stands still at the time `age` until some later time age + W, and then goes on as if
   it started there: so what a process does from the age on is what one does on a new clock, W later. W has the law of
   E. B. Dynkin and J. Lamperti (W. Feller, An Introduction to Probability Theory II (1971), XIV.3),

     P(W in dw) = sin(beta pi)/pi (age/w)^beta/(age + w) dw,      P(W > w) = I_{age/(age + w)}(beta, 1 - beta),

   and E_beta gives way to P(W > t) + int_0^t E_beta(scale (t - w)^beta Q) P(W in dw): a mean over laws, in which
   nothing cancels. In ln s, s = t - w, and below the first panel in s^beta, the integrand but for the law of W is
   smooth whatever the rates: it is interpolated at Chebyshev's points on panels, which all ages and lags share, and its
   Chebyshev polynomials are integrated over the law in ln s, or in ln w where s > t/2. What the last two polynomials
   contribute is the error told. */
#include "generatorimpl.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_gamma.h>

#define DEGREE 14     /* polynomials of a panel */
#define PANEL 4.0     /* last time of a panel over its first */
#define SHORTEST 1e-3 /* end of the first panel over the shortest lag */
#define PIECE 0.5     /* length of a piece of the integral, in logarithms */
#define POINTS 8      /* of Gauss's rule on it */
#define NOTHING 1e-17 /* shares of a lag, or of an age, below which an integrand is constant */
#define TOGETHER 32   /* times evolved in one call */

typedef struct {
  PetscReal  beta;
  PetscInt   panels, nodes;
  PetscReal  longest, *s;    /* s[nodes]: ascending */
  PetscReal *weight, *check; /* [queries][nodes] */
} Ageing;

/* End of panel k; panel 0 begins at 0. */
static PetscReal PanelEnd(const Ageing *a, PetscInt k)
{
  return a->longest * PetscPowReal(PANEL, k + 1 - a->panels);
}

/* Chebyshev's variable of s in panel k, in [-1, 1], and back. */
static PetscReal Variable(const Ageing *a, PetscInt k, PetscReal s)
{
  const PetscReal end = PanelEnd(a, k);

  return PetscClipInterval(k ? 1 + 2 * log(s / end) / log(PANEL) : 2 * PetscPowReal(s / end, a->beta) - 1, -1, 1);
}

static PetscReal Time(const Ageing *a, PetscInt k, PetscReal x)
{
  const PetscReal end = PanelEnd(a, k);

  return k ? end * PetscPowReal(PANEL, (x - 1) / 2) : end * PetscPowReal((x + 1) / 2, 1 / a->beta);
}

static void PlaceNodes(const Ageing *a)
{
  for (PetscInt k = 0; k < a->panels; k++)
    for (PetscInt j = 0; j < DEGREE; j++) a->s[k * DEGREE + j] = Time(a, k, -cos(PETSC_PI * (j + 0.5) / DEGREE));
}

/* moment[DEGREE] += share times Chebyshev's polynomials at s in panel k. */
static void AddPoint(const Ageing *a, PetscInt k, PetscReal s, PetscReal share, PetscReal moment[])
{
  const PetscReal angle = acos(Variable(a, k, s));

  for (PetscInt i = 0; i < DEGREE; i++) moment[i] += share * cos(i * angle);
}

/* The part of the integral from s = low to high, both in panel k: in ln s, or in ln w. */
static void AddPiece(const Ageing *a, const gsl_integration_glfixed_table *rule, PetscInt k, PetscReal age,
                     PetscReal lag, PetscReal low, PetscReal high, PetscReal moment[])
{
  const PetscBool by_s  = (PetscBool)(high <= lag / 2);
  const PetscReal from  = log(by_s ? PetscMax(low, NOTHING * lag) : PetscMax(lag - high, NOTHING * PetscMin(age, lag)));
  const PetscReal to    = log(by_s ? high : lag - low);
  const PetscInt  parts = PetscMax(1, (PetscInt)PetscCeilReal((to - from) / PIECE));

  for (PetscInt p = 0; p < parts; p++)
    for (size_t i = 0; i < POINTS; i++) {
      PetscReal at, share, s, w;

      gsl_integration_glfixed_point(from + (to - from) * p / parts, from + (to - from) * (p + 1) / parts, i, &at,
                                    &share, rule);
      s = by_s ? exp(at) : lag - exp(at);
      w = by_s ? lag - s : exp(at);
      share *= (by_s ? s : w) * sin(a->beta * PETSC_PI) / PETSC_PI * PetscPowReal(age / w, a->beta) / (age + w);
      AddPoint(a, k, s, share, moment);
    }
}

/* moment[panels][DEGREE] of the law of s = lag - W, where W < lag */
static void Moments(const Ageing *a, PetscReal age, PetscReal lag, PetscReal moment[])
{
  gsl_integration_glfixed_table *rule = gsl_integration_glfixed_table_alloc(POINTS);
  const PetscReal                none = NOTHING * PetscMin(age, lag);
  PetscInt                       last = 0;

  for (PetscInt k = 0; k < a->panels * DEGREE; k++) moment[k] = 0;
  while (last < a->panels - 1 && PanelEnd(a, last) < lag * (1 - PETSC_SQRT_MACHINE_EPSILON)) last++;
  for (PetscInt k = 0; k <= last; k++) {
    const PetscReal low = k ? PanelEnd(a, k - 1) : 0, high = k == last ? lag : PanelEnd(a, k);
    const PetscReal middle = PetscClipInterval(lag / 2, low, high);

    if (middle > low) AddPiece(a, rule, k, age, lag, low, middle, moment + k * DEGREE);
    if (high > middle) AddPiece(a, rule, k, age, lag, middle, high, moment + k * DEGREE);
  }
  AddPoint(a, last, lag, gsl_sf_beta_inc(1 - a->beta, a->beta, none / (age + none)), moment + last * DEGREE);
  gsl_integration_glfixed_table_free(rule);
}

/* Weights of the nodes for one age and lag. */
static PetscErrorCode SetWeights(const Ageing *a, PetscReal age, PetscReal lag, PetscReal weight[], PetscReal check[])
{
  PetscReal *moment;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(a->nodes, &moment));
  Moments(a, age, lag, moment);
  for (PetscInt k = 0; k < a->panels; k++)
    for (PetscInt j = 0; j < DEGREE; j++) {
      const PetscReal angle = PETSC_PI * (1 - (j + 0.5) / DEGREE);
      PetscReal       sum = 0, last = 0;

      for (PetscInt i = 0; i < DEGREE; i++) {
        const PetscReal term = (i ? 2.0 : 1.0) / DEGREE * cos(i * angle) * moment[k * DEGREE + i];

        sum += term;
        if (i >= DEGREE - 2) last += term;
      }
      weight[k * DEGREE + j] = sum;
      check[k * DEGREE + j]  = last;
    }
  PetscCall(PetscFree(moment));
  PetscFunctionReturn(0);
}

static PetscErrorCode Create(PetscReal beta, PetscInt count, const PetscReal ages[], const PetscReal lags[], Ageing *a)
{
  PetscReal shortest = PETSC_MAX_REAL;

  PetscFunctionBegin;
  a->beta    = beta;
  a->longest = 0;
  for (PetscInt q = 0; q < count; q++) {
    if (lags[q] == 0) continue;
    a->longest = PetscMax(a->longest, lags[q]);
    shortest   = PetscMin(shortest, lags[q]);
  }
  a->panels = a->longest > 0 ? 1 + (PetscInt)PetscCeilReal(log(a->longest / shortest / SHORTEST) / log(PANEL)) : 0;
  a->nodes  = a->panels * DEGREE;
  PetscCall(PetscMalloc1(a->nodes, &a->s));
  PetscCall(PetscCalloc2(count * a->nodes, &a->weight, count * a->nodes, &a->check));
  PlaceNodes(a);
  for (PetscInt q = 0; q < count; q++)
    if (lags[q] > 0 && ages[q] > 0)
      PetscCall(SetWeights(a, ages[q], lags[q], a->weight + q * a->nodes, a->check + q * a->nodes));
  PetscFunctionReturn(0);
}

/* out[count][n] of the ages beyond 0; lags of 0 and the share that has not moved included. */
static PetscErrorCode Mix(const Ageing *a, FPGenerator gen, PetscBool backward, const PetscReal initial[],
                          PetscInt count, const PetscReal ages[], const PetscReal lags[], PetscReal out[],
                          PetscReal error[])
{
  const PetscInt n = gen->n;
  PetscReal     *u, *left, solver[TOGETHER];

  PetscFunctionBegin;
  PetscCall(PetscMalloc2((size_t)TOGETHER * n, &u, (size_t)count * n, &left));
  PetscCall(PetscArrayzero(left, (size_t)count * n));
  for (PetscInt q = 0; q < count; q++) {
    const PetscReal still = lags[q] == 0 ? 1 : gsl_sf_beta_inc(a->beta, 1 - a->beta, ages[q] / (ages[q] + lags[q]));

    if (ages[q] == 0) continue;
    error[q] = 0;
    for (PetscInt k = 0; k < n; k++) out[(size_t)q * n + k] = still * initial[k];
  }
  for (PetscInt from = 0; from < a->nodes; from += TOGETHER) {
    const PetscInt nodes = PetscMin(TOGETHER, a->nodes - from);

    PetscCall(FPGeneratorEvolve(gen, backward, initial, nodes, a->s + from, u, solver));
    for (PetscInt q = 0; q < count; q++)
      for (PetscInt j = 0; j < nodes && ages[q] > 0; j++) {
        const PetscReal weight = a->weight[q * a->nodes + from + j], check = a->check[q * a->nodes + from + j];

        if (weight == 0 && check == 0) continue;
        error[q] += PetscAbsReal(weight) * solver[j];
        for (PetscInt k = 0; k < n; k++) {
          out[(size_t)q * n + k] += weight * u[(size_t)j * n + k];
          left[(size_t)q * n + k] += check * u[(size_t)j * n + k];
        }
      }
  }
  for (PetscInt q = 0; q < count; q++) {
    PetscReal most = 0, sum = 0;

    for (PetscInt k = 0; k < n; k++) {
      most = PetscMax(most, PetscAbsReal(left[(size_t)q * n + k]));
      sum += PetscAbsReal(left[(size_t)q * n + k]);
    }
    if (ages[q] > 0) error[q] += backward ? most : sum;
  }
  PetscCall(PetscFree2(u, left));
  PetscFunctionReturn(0);
}

/* Those of age 0, in ascending order. */
static PetscErrorCode New(FPGenerator gen, PetscBool backward, const PetscReal initial[], PetscInt count,
                          const PetscReal ages[], const PetscReal lags[], PetscReal out[], PetscReal error[])
{
  const PetscInt n = gen->n;
  PetscReal     *u, *solver, *sorted;
  PetscInt      *order, fresh = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4((size_t)count * n, &u, count, &solver, count, &sorted, count, &order));
  for (PetscInt q = 0; q < count; q++)
    if (ages[q] == 0) {
      sorted[fresh]  = lags[q];
      order[fresh++] = q;
    }
  PetscCall(PetscSortRealWithArrayInt(fresh, sorted, order));
  PetscCall(FPGeneratorEvolve(gen, backward, initial, fresh, sorted, u, solver));
  for (PetscInt i = 0; i < fresh; i++) {
    PetscCall(PetscArraycpy(out + (size_t)order[i] * n, u + (size_t)i * n, n));
    error[order[i]] = solver[i];
  }
  PetscCall(PetscFree4(u, solver, sorted, order));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorEvolveAged(FPGenerator gen, PetscBool backward, const PetscReal initial[], PetscInt count,
                                     const PetscReal ages[], const PetscReal lags[], PetscReal out[], PetscReal error[])
{
  PetscReal beta, *since;
  PetscBool aged = PETSC_FALSE;
  Ageing    a;

  PetscFunctionBegin;
  PetscCall(FPProcessGetClock(gen->process, &beta, NULL));
  PetscCall(PetscMalloc1(count, &since));
  for (PetscInt q = 0; q < count; q++) {
    since[q] = beta < 1 && lags[q] > 0 ? ages[q] : 0; /* the ordinary clock knows no age */
    aged     = (PetscBool)(aged || since[q] > 0);
  }
  PetscCall(New(gen, backward, initial, count, since, lags, out, error));
  if (aged) {
    PetscCall(Create(beta, count, since, lags, &a));
    PetscCall(Mix(&a, gen, backward, initial, count, since, lags, out, error));
    PetscCall(PetscFree(a.s));
    PetscCall(PetscFree2(a.weight, a.check));
  }
  PetscCall(PetscFree(since));
  PetscFunctionReturn(0);
}

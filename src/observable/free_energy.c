/* free_energy.c: the Gibbs law exp(-loss/T) over an untempered prior N(0, I/prior_precision) in all weights of the
   network; weight decay does not enter, and reduced coordinates stand for all their weights. With Z its normalisation
   and n = 1/T: free_energy = -T ln Z, learning_coefficient = (E_T L - L_0)/T = -d ln Z/d ln n, L the excess loss (L_0 =
   0: the full network reaches every map). As T -> 0, ln Z = -lambda ln n + (m - 1) ln ln n + O(1) (Watanabe, Algebraic
   Geometry and Statistical Learning Theory (2009)), so the coefficient at T misses lambda by (m - 1)/ln n: it is
   extrapolated in 1/ln n over n from e^64 to e^1024, and the multiplicity m likewise from (ln n)^2 d(coefficient)/d ln
   n.

   One path p = w_1 ... w_L with loss s (p - P)^2/2: given the other weights the law of the last one is Gaussian, which
   leaves the one-dimensional integral over u = ln |w_1 ... w_{L-1}|. The density of u is the (L-1)-fold convolution of
   that of ln |w|. All integrands are analytic and bounded for |Im u| < pi/4, so the trapezoidal rule of spacing h errs
   by exp(-pi^2/(2 h)): h = 1/8 is exact to double precision, and the bound is the difference to h = 1/16. Densities are
   kept divided by e^u, so that no small T underflows. Paths of uncorrelated inputs multiply their Z.
   Exact, L = 2, P = 0, prior precision 1, s = 1: Z = e^{1/4n} K_0(1/4n)/sqrt(2 pi n). */
#include "observableimpl.h"
#include <math.h>
#include <stdio.h>

#define LADDER 5    /* extrapolation: ln n = FIRST 2^k, k < LADDER */
#define FIRST 64.0  /* there 1/n is 1e-28: nothing but powers of 1/ln n is left of the bias */
#define UPPER 17.0  /* largest ln |w_1 ... w_k| that matters for standard normal weights, for any k */
#define MARGIN 20.0 /* widening of the range at its lower end, per convolution */
#define ROUNDING 1e-13

typedef struct {
  FPReals   temperatures;
  PetscReal prior_precision;
} Keys;

static const FPParameter FreeEnergyParameters[] = {
    {"temperatures", FP_REALS, offsetof(Keys, temperatures), "1,0.1,0.01,0.001,0.0001", FP_POSITIVE, PETSC_MAX_REAL,
     NULL, "loss", "T of exp(-loss/T); n samples with label noise sigma mean T = sigma^2/n"},
    {"prior_precision", FP_REAL, offsetof(Keys, prior_precision), "1", FP_POSITIVE, PETSC_MAX_REAL, NULL, "1/weight^2",
     "inverse variance of each weight in the prior"},
    {0}};

/* Paths of one depth, in units where the prior is N(0, I): path i has n s = e^{ln n + log_s[i]} and P^2 = square[i]. */
typedef struct {
  PetscInt  depth, paths;
  PetscReal log_s[FP_MAX_MAP], square[FP_MAX_MAP];
} Paths;

/* density[k] e^u of u = ln |product of weights| at u = lower + k h; NULL: the product of none, u = 0 surely. */
typedef struct {
  PetscInt  n, origin; /* u = 0 at k = origin */
  PetscReal h, *density;
} Law;

/* What one integral gives: ln Z, the coefficient -d ln Z/d ln n and its derivative by ln n. */
typedef struct {
  PetscReal log_z, coefficient, slope;
} Answer;

/* a * b on the lattice; what lies beyond its ends is left out */
static void Convolve(const Law *law, const double *a, const double *b, double *c)
{
  for (PetscInt k = 0; k < law->n; k++) {
    const PetscInt total = k + law->origin, first = PetscMax(0, total - law->n + 1), last = PetscMin(law->n - 1, total);
    double         sum = 0;

#pragma omp simd reduction(+ : sum)
    for (PetscInt i = first; i <= last; i++) sum += a[i] * b[total - i];
    c[k] = law->h * sum;
  }
}

/* The law of a product of `factors` standard normal weights, by repeated squaring. */
static PetscErrorCode LawCreate(PetscInt factors, PetscReal h, PetscReal lower, Law *law)
{
  double  *power, *work;
  PetscInt rest = factors;

  PetscFunctionBegin;
  law->h       = h;
  law->origin  = (PetscInt)ceil(lower / h);
  law->n       = law->origin + (PetscInt)ceil(UPPER / h) + 1;
  law->density = NULL;
  if (!factors) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(law->n, &law->density));
  PetscCall(PetscMalloc2(law->n, &power, law->n, &work));
  for (PetscInt k = 0; k < law->n; k++)
    power[k] = PetscSqrtReal(2 / PETSC_PI) * PetscExpReal(-0.5 * PetscExpReal(2 * (k - law->origin) * h));
  for (PetscBool empty = PETSC_TRUE; rest; rest /= 2) {
    if (rest % 2 && empty) {
      PetscCall(PetscArraycpy(law->density, power, law->n));
      empty = PETSC_FALSE;
    } else if (rest % 2) {
      Convolve(law, law->density, power, work);
      PetscCall(PetscArraycpy(law->density, work, law->n));
    }
    if (rest == 1) break;
    Convolve(law, power, power, work);
    PetscCall(PetscArraycpy(power, work, law->n));
  }
  PetscCall(PetscFree2(power, work));
  PetscFunctionReturn(0);
}

/* The last weight integrated out at u, with A = e^{2u + l}, l = ln n s: the logarithm of the integrand times e^{l/2}
   (or 1, if l < 0), and mean and mean square of n L, where n L = rho^2/2 with rho normal of mean square m2, variance V.
 */
static PetscReal Node(PetscReal u, PetscReal l, PetscReal square, PetscReal *first, PetscReal *second)
{
  const PetscReal x = 2 * u + l, one = x > 40 ? x : log1p(PetscExpReal(x)), V = 1 / (1 + PetscExpReal(-x));
  const PetscReal misfit = square > 0 ? square / (PetscExpReal(-l) + PetscExpReal(2 * u)) : 0;
  const PetscReal m2     = square > 0 ? PetscMin(1e100, square * PetscExpReal(PetscMin(600, l - 2 * one))) : 0;

  *first  = 0.5 * (V + m2);
  *second = 0.25 * (3 * V * V + 6 * V * m2 + m2 * m2);
  return 0.5 * (PetscMax(0, l) - one - misfit);
}

static Answer IntegratePath(const Law *law, PetscReal l, PetscReal square)
{
  const PetscInt n   = law->density ? law->n : 1;
  PetscReal      top = -INFINITY, s0 = 0, s1 = 0, s2 = 0;
  Answer         answer;

  for (PetscInt pass = 0; pass < 2; pass++)
    for (PetscInt k = 0; k < n; k++) {
      const PetscReal u = law->density ? (k - law->origin) * law->h : 0, density = law->density ? law->density[k] : 1;
      PetscReal       first, second, weight = u + Node(u, l, square, &first, &second);

      if (density == 0) continue;
      if (pass == 0) {
        top = PetscMax(top, weight);
        continue;
      }
      weight = density * PetscExpReal(weight - top);
      s0 += weight;
      s1 += weight * first;
      s2 += weight * second;
    }
  answer.log_z       = top - 0.5 * PetscMax(0, l) + PetscLogReal(s0 * (law->density ? law->h : 1));
  answer.coefficient = s1 / s0;
  answer.slope       = s1 / s0 - (s2 / s0 - PetscSqr(s1 / s0));
  return answer;
}

/* All paths at n = e^{log_n}. */
static Answer Integrate(const Law *law, const Paths *paths, PetscReal log_n)
{
  Answer all = {0, 0, 0};

  for (PetscInt i = 0; i < paths->paths; i++) {
    const Answer one = IntegratePath(law, log_n + paths->log_s[i], paths->square[i]);

    all.log_z += one.log_z;
    all.coefficient += one.coefficient;
    all.slope += one.slope;
  }
  return all;
}

/* Value at 1/ln n = 0 of the polynomial through LADDER values (Neville), and how far the last value moved it. */
static void Extrapolate(const PetscReal value[LADDER], PetscReal *result, PetscReal *error)
{
  PetscReal row[LADDER], before = value[LADDER - 1];

  for (PetscInt k = 0; k < LADDER; k++) row[k] = value[k];
  for (PetscInt order = 1; order < LADDER; order++)
    for (PetscInt k = 0; k < LADDER - order; k++) {
      const PetscReal ratio = (PetscReal)(1 << order);

      if (k == LADDER - order - 1) before = row[k + 1];
      row[k] = (ratio * row[k + 1] - row[k]) / (ratio - 1);
    }
  *result = row[0];
  *error  = PetscAbsReal(row[0] - before);
}

static PetscErrorCode AddRow(FPObservable obs, const char name[], PetscReal value, PetscReal error, const char unit[])
{
  PetscFunctionBegin;
  PetscCall(FPResultsAdd(obs->scene.results, "model", "exact", "free_energy", name, value, error, FP_BOUND, unit));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddTemperatures(FPObservable obs, const Paths *paths, const Law law[2])
{
  const Keys *keys = (const Keys *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < keys->temperatures.n; k++) {
    const PetscReal T = keys->temperatures.value[k];
    const Answer    a = Integrate(&law[0], paths, -PetscLogReal(T)), b = Integrate(&law[1], paths, -PetscLogReal(T));
    char            name[FP_NAME];

    (void)snprintf(name, sizeof(name), "free_energy[T=%.6g]", (double)T);
    PetscCall(AddRow(obs, name, -T * b.log_z,
                     T * (2 * PetscAbsReal(a.log_z - b.log_z) + ROUNDING * (1 + PetscAbsReal(b.log_z))), "loss"));
    (void)snprintf(name, sizeof(name), "learning_coefficient[T=%.6g]", (double)T);
    PetscCall(AddRow(obs, name, b.coefficient,
                     2 * PetscAbsReal(a.coefficient - b.coefficient) + ROUNDING * (1 + b.coefficient), "1"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddLimits(FPObservable obs, const Paths *paths, const Law law[2])
{
  const char *const name[2] = {"learning_coefficient", "multiplicity"};
  PetscReal         value[2][2][LADDER], limit[2][2], error[2][2];

  PetscFunctionBegin;
  for (PetscInt fine = 0; fine < 2; fine++) {
    for (PetscInt k = 0; k < LADDER; k++) {
      const PetscReal log_n  = FIRST * (1 << k);
      const Answer    answer = Integrate(&law[fine], paths, log_n);

      value[fine][0][k] = answer.coefficient;
      value[fine][1][k] = 1 + PetscSqr(log_n) * answer.slope;
    }
    for (PetscInt q = 0; q < 2; q++) Extrapolate(value[fine][q], &limit[fine][q], &error[fine][q]);
  }
  for (PetscInt q = 0; q < 2; q++) {
    const PetscReal rounding = 8 * ROUNDING * (q ? PetscSqr(FIRST * (1 << (LADDER - 1))) : 1) * paths->paths;

    PetscCall(
        AddRow(obs, name[q], limit[1][q], error[1][q] + 2 * PetscAbsReal(limit[1][q] - limit[0][q]) + rounding, "1"));
  }
  PetscFunctionReturn(0);
}

/* Layers of the network behind the coordinates of a chain or a diagonal network. */
static PetscErrorCode Depth(FPModel model, const char type[], const char coordinates[], PetscInt *depth)
{
  PetscReal metric;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, depth, NULL, NULL));
  PetscCall(FPModelGetMetric(model, &metric));
  if (!strcmp(coordinates, "balanced") || !strcmp(type, "diagonal")) *depth = (PetscInt)lround(1 / metric);
  PetscFunctionReturn(0);
}

/* The paths of the model; *reason: why it has none. An input that is always 0 leaves its path to the prior. */
static PetscErrorCode FindPaths(FPObservable obs, Paths *paths, const char **reason)
{
  const Keys      *keys = (const Keys *)obs->data;
  const char      *type, *coordinates;
  FPData           data;
  PetscInt         inputs, n;
  const PetscReal *second, *fourth;

  PetscFunctionBegin;
  PetscCall(FPModelGetName(obs->scene.model, &type, &coordinates));
  *reason = !strcmp(type, "chain") || !strcmp(type, "diagonal")
                ? NULL
                : "its Gibbs law does not reduce to one-dimensional integrals: chains and diagonal networks have one";
  if (*reason) PetscFunctionReturn(0);
  PetscCall(Depth(obs->scene.model, type, coordinates, &paths->depth));
  PetscCall(FPModelGetSizes(obs->scene.model, NULL, &inputs, NULL));
  PetscCall(FPModelGetData(obs->scene.model, &data));
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  n            = inputs + 1;
  paths->paths = 0;
  for (PetscInt i = 0; i < inputs; i++) {
    const PetscReal s = second[i * n + i];

    for (PetscInt j = 0; j < i; j++)
      if (PetscAbsReal(second[i * n + j]) > 1e-12 * PetscSqrtReal(s * second[j * n + j]))
        *reason = "inputs are correlated, so the paths are not independent: data_whiten makes them so";
    if (s <= 0) continue;
    paths->log_s[paths->paths] = PetscLogReal(s) - paths->depth * PetscLogReal(keys->prior_precision);
    paths->square[paths->paths++] =
        PetscSqr(second[i * n + inputs] / s) * PetscPowReal(keys->prior_precision, (PetscReal)paths->depth);
  }
  PetscFunctionReturn(0);
}

/* Lower end of u: beyond the place where the smallest T has its mass, by 60 in the exponent, by what the polynomial
   tail of the law needs, and by what convolutions lose at the end of the lattice. */
static PetscReal Lower(const Keys *keys, const Paths *paths)
{
  PetscReal reach = FIRST * (1 << (LADDER - 1)), log_s = 0;
  PetscInt  convolutions = 1;

  for (PetscInt k = 0; k < keys->temperatures.n; k++)
    reach = PetscMax(reach, -PetscLogReal(keys->temperatures.value[k]));
  for (PetscInt i = 0; i < paths->paths; i++) log_s = PetscMax(log_s, paths->log_s[i]);
  for (PetscInt rest = paths->depth; rest; rest /= 2) convolutions += 2;
  return 0.5 * (reach + log_s) + 60 + 2.5 * paths->depth + MARGIN * convolutions;
}

static PetscErrorCode Exact_FreeEnergy(FPObservable obs)
{
  Paths       paths;
  Law         law[2];
  const char *reason = NULL;

  PetscFunctionBegin;
  PetscCall(FindPaths(obs, &paths, &reason));
  if (reason) {
    PetscCall(FPResultsAddStatus(obs->scene.results, "model", "exact", "free_energy", "learning_coefficient",
                                 "unsupported", reason));
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k < 2; k++)
    PetscCall(LawCreate(paths.depth - 1, 1.0 / (8 << k), Lower((const Keys *)obs->data, &paths), &law[k]));
  PetscCall(AddTemperatures(obs, &paths, law));
  PetscCall(AddLimits(obs, &paths, law));
  for (PetscInt k = 0; k < 2; k++) PetscCall(PetscFree(law[k].density));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_FreeEnergy(FPObservable obs)
{
  Keys *keys;

  PetscFunctionBegin;
  PetscCall(PetscNew(&keys));
  obs->data       = keys;
  obs->parameters = FreeEnergyParameters;
  obs->ops        = (FPObservableOps){.exact = Exact_FreeEnergy};
  PetscFunctionReturn(0);
}

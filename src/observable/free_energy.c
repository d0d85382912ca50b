/* free_energy.c: the Gibbs law exp(-loss/T) over an untempered prior N(0, I/prior_precision) in all weights of the
   network; weight decay does not enter, and reduced coordinates stand for all their weights. With Z its normalisation
   and n = 1/T: free_energy = -T ln Z, learning_coefficient = (E_T L - L_0)/T = -d ln Z/d ln n, L the excess loss (L_0 =
   0: the full network reaches every map). As T -> 0, ln Z = -lambda ln n + (m - 1) ln ln n + O(1) (Watanabe, Algebraic
   Geometry and Statistical Learning Theory (2009)), so the coefficient at T misses lambda by (m - 1)/ln n: it is
   extrapolated in 1/ln n over n from e^64 to e^1024, and the multiplicity m likewise from (ln n)^2 d(coefficient)/d ln
   n.

   One path p = w_1 ... w_L with loss s (p - P)^2/2: given the other weights the law of the last one is Gaussian, which
   leaves the one-dimensional integral over u = ln |w_1 ... w_{L-1}|, analytic like the densities of loglaw.c. The bound
   is the difference of two lattices. Paths of uncorrelated inputs multiply their Z; so do the rows of one 2 x 2 matrix.
   Other networks: gibbs_factorisation.c, gibbs_symmetric.c, gibbs_diagonal.c, by nested quadrature, the bound again the
   difference of two resolutions. Those without logarithms are extrapolated in n^{-1/2} over n that grow by 4.
   Exact, L = 2, P = 0, prior precision 1, s = 1: Z = e^{1/4n} K_0(1/4n)/sqrt(2 pi n). */
#include "gibbsimpl.h"
#include <math.h>
#include <stdio.h>

#define LADDER 5          /* extrapolation: ln n = FIRST 2^k, k < LADDER */
#define FIRST 64.0        /* there 1/n is 1e-28: nothing but powers of 1/ln n is left of the bias */
#define FIRST_NESTED 40.0 /* likewise of nested integrals, where n itself must be a number */
#define MOST_LEVELS 8     /* extrapolation in n^{-1/2} */
#define MARGIN 20.0       /* widening of the range at its lower end, per convolution */
#define ROUNDING 1e-13
#define LOSS_ROUNDING 4e-9 /* of n (loss - least loss), 1e6 units of the loss at 0, for the last of MOST_LEVELS */

typedef struct {
  FPReals   temperatures;
  PetscReal prior_precision;
  PetscBool limits;
} Keys;

static const FPParameter FreeEnergyParameters[] = {
    {"temperatures", FP_REALS, offsetof(Keys, temperatures), "1,0.1,0.01,0.001,0.0001", FP_POSITIVE, PETSC_MAX_REAL,
     NULL, "loss", "T of exp(-loss/T); n samples with label noise sigma mean T = sigma^2/n"},
    {"prior_precision", FP_REAL, offsetof(Keys, prior_precision), "1", FP_POSITIVE, PETSC_MAX_REAL, NULL, "1/weight^2",
     "inverse variance of each weight in the prior"},
    {"limits", FP_BOOL, offsetof(Keys, limits), "true", 0, 0, NULL, NULL,
     "the limits T -> 0 too: seconds where three 2 x 2 matrices or more are multiplied"},
    {0}};

/* Paths of one depth, in units where the prior is N(0, I): path i has n s = e^{ln n + log_s[i]} and P^2 = square[i]. */
typedef struct {
  PetscInt  depth, paths;
  PetscReal log_s[FP_MAX_MAP], square[FP_MAX_MAP];
} Paths;

/* One way or the other to integrate: paths on the laws of two lattices, or nested quadrature. */
typedef struct {
  Paths    paths;
  FPLogLaw law[2];
  FPGibbs  gibbs; /* NULL: paths */
} Source;

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

static FPGibbsAnswer IntegratePath(const FPLogLaw *law, PetscReal l, PetscReal square)
{
  const PetscInt n   = law->density ? law->n : 1;
  PetscReal      top = -INFINITY, s0 = 0, s1 = 0, s2 = 0;
  FPGibbsAnswer  answer;

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

/* At n = e^{log_n}, on the coarser or the finer resolution. */
static PetscErrorCode Integrate(const Source *source, PetscBool fine, PetscReal log_n, FPGibbsAnswer *all)
{
  const Paths *paths = &source->paths;

  PetscFunctionBegin;
  *all = (FPGibbsAnswer){0, 0, 0};
  if (source->gibbs) PetscCall((*source->gibbs->integrate)(source->gibbs, fine, log_n, all));
  for (PetscInt i = 0; i < paths->paths; i++) {
    const FPGibbsAnswer one = IntegratePath(&source->law[fine], log_n + paths->log_s[i], paths->square[i]);

    all->log_z += one.log_z;
    all->coefficient += one.coefficient;
    all->slope += one.slope;
  }
  PetscFunctionReturn(0);
}

/* Value at 0 of the polynomial through `levels` values at abscissas that halve (Neville), and how far the last value
   moved it. */
static void Extrapolate(PetscInt levels, const PetscReal value[], PetscReal *result, PetscReal *error)
{
  PetscReal row[MOST_LEVELS], before = value[levels - 1];

  for (PetscInt k = 0; k < levels; k++) row[k] = value[k];
  for (PetscInt order = 1; order < levels; order++)
    for (PetscInt k = 0; k < levels - order; k++) {
      const PetscReal ratio = (PetscReal)(1 << order);

      if (k == levels - order - 1) before = row[k + 1];
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

static PetscErrorCode AddTemperatures(FPObservable obs, const Source *source)
{
  const Keys *keys = (const Keys *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < keys->temperatures.n; k++) {
    const PetscReal T = keys->temperatures.value[k];
    FPGibbsAnswer   a, b;
    char            name[FP_NAME];

    PetscCall(Integrate(source, PETSC_FALSE, -PetscLogReal(T), &a));
    PetscCall(Integrate(source, PETSC_TRUE, -PetscLogReal(T), &b));
    (void)snprintf(name, sizeof(name), "free_energy[T=%.6g]", (double)T);
    PetscCall(AddRow(obs, name, -T * b.log_z,
                     T * (2 * PetscAbsReal(a.log_z - b.log_z) + ROUNDING * (1 + PetscAbsReal(b.log_z))), "loss"));
    (void)snprintf(name, sizeof(name), "learning_coefficient[T=%.6g]", (double)T);
    PetscCall(AddRow(obs, name, b.coefficient,
                     2 * PetscAbsReal(a.coefficient - b.coefficient) + ROUNDING * (1 + b.coefficient), "1"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddLimits(FPObservable obs, const Source *source)
{
  const char *const name[2]     = {"learning_coefficient", "multiplicity"};
  const PetscBool   logarithmic = (PetscBool)(!source->gibbs || source->gibbs->logarithmic);
  const PetscInt    levels      = logarithmic ? LADDER : MOST_LEVELS;
  PetscReal         value[2][2][MOST_LEVELS], limit[2][2], error[2][2], last = 0;

  PetscFunctionBegin;
  for (PetscInt fine = 0; fine < 2; fine++) {
    for (PetscInt k = 0; k < levels; k++) {
      FPGibbsAnswer answer;

      last = logarithmic ? (source->gibbs ? FIRST_NESTED : FIRST) * (1 << k)
                         : source->gibbs->log_first + k * PetscLogReal(4.0);
      PetscCall(Integrate(source, (PetscBool)fine, last, &answer));
      value[fine][0][k] = answer.coefficient;
      value[fine][1][k] = logarithmic ? 1 + PetscSqr(last) * answer.slope : answer.slope;
    }
    for (PetscInt q = 0; q < 2; q++) Extrapolate(levels, value[fine][q], &limit[fine][q], &error[fine][q]);
    if (!logarithmic) { /* the slope by ln n itself tends to 0 where m = 1 */
      limit[fine][1] = 1 + PetscSqr(last) * limit[fine][1];
      error[fine][1] *= PetscSqr(last);
    }
  }
  for (PetscInt q = 0; q < 2; q++) {
    const PetscReal digits   = logarithmic ? 8 * ROUNDING * PetscMax(1, source->paths.paths) : LOSS_ROUNDING;
    const PetscReal rounding = digits * (q ? PetscSqr(last) : 1);

    PetscCall(
        AddRow(obs, name[q], limit[1][q], error[1][q] + 2 * PetscAbsReal(limit[1][q] - limit[0][q]) + rounding, "1"));
  }
  PetscFunctionReturn(0);
}

/* Layers of the network behind the coordinates. */
static PetscErrorCode Depth(FPModel model, const char type[], const char coordinates[], PetscInt *depth)
{
  PetscReal metric;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, depth, NULL, NULL));
  PetscCall(FPModelGetMetric(model, &metric));
  if (!strcmp(coordinates, "balanced") || !strcmp(coordinates, "aligned") || !strcmp(type, "diagonal"))
    *depth = (PetscInt)lround(1 / metric);
  else if (!strcmp(type, "factorisation"))
    *depth /= 4;
  else if (!strcmp(type, "symmetric"))
    *depth = 2;
  PetscFunctionReturn(0);
}

/* Is every correlation zero? */
static PetscBool Uncorrelated(const FPGibbsForm *form)
{
  const PetscInt m = form->inputs;

  for (PetscInt i = 0; i < m; i++)
    for (PetscInt j = 0; j < i; j++)
      if (PetscAbsReal(form->C[i * m + j]) > 1e-12 * PetscSqrtReal(form->C[i * m + i] * form->C[j * m + j]))
        return PETSC_FALSE;
  return PETSC_TRUE;
}

/* The least squares map A from E y x^T, in place. Where inputs are uncorrelated, one that is always 0 has strength 0;
   else *reason: why there is no A. */
static void LeastSquares(FPGibbsForm *form, const char **reason)
{
  const PetscInt  m                          = form->inputs;
  const PetscBool separate                   = Uncorrelated(form);
  PetscReal       F[FP_MAX_MAP * FP_MAX_MAP] = {0};

  if (!FPGibbsFactor(m, form->C, F)) *reason = "inputs are linearly dependent: their second moments determine no map";
  for (PetscInt t = 0; t < form->targets; t++) {
    PetscReal *row = form->A + t * m;

    if (!*reason) FPGibbsSolve(m, F, row);
    for (PetscInt i = 0; i < m && *reason && separate; i++)
      row[i] = form->C[i * m + i] > 0 ? row[i] / form->C[i * m + i] : 0;
  }
}

/* The model's loss in units where the prior is N(0, I); *reason: why there is none. */
static PetscErrorCode FindForm(FPObservable obs, const char type[], const char coordinates[], FPGibbsForm *form,
                               const char **reason)
{
  const Keys      *keys = (const Keys *)obs->data;
  FPData           data;
  const PetscReal *second, *fourth;
  PetscReal        scale;
  PetscInt         m, n;

  PetscFunctionBegin;
  PetscCall(Depth(obs->scene.model, type, coordinates, &form->depth));
  PetscCall(FPModelGetSizes(obs->scene.model, NULL, &form->inputs, &form->targets));
  PetscCall(FPModelGetData(obs->scene.model, &data));
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  m           = form->inputs;
  n           = m + form->targets;
  scale       = PetscPowReal(keys->prior_precision, (PetscReal)form->depth);
  form->reach = FIRST_NESTED * (1 << (LADDER - 1));
  for (PetscInt k = 0; k < keys->temperatures.n; k++)
    form->reach = PetscMax(form->reach, -PetscLogReal(keys->temperatures.value[k]));
  for (PetscInt i = 0; i < m * m; i++) form->C[i] = second[i / m * n + i % m];
  for (PetscInt i = 0; i < m * form->targets; i++) form->A[i] = second[(m + i / m) * n + i % m];
  LeastSquares(form, reason);
  for (PetscInt i = 0; i < m * m; i++) form->C[i] /= scale;
  for (PetscInt i = 0; i < m * form->targets; i++) form->A[i] *= PetscSqrtReal(scale);
  PetscFunctionReturn(0);
}

static void AddPath(Paths *paths, PetscReal s, PetscReal square)
{
  paths->log_s[paths->paths]    = PetscLogReal(s);
  paths->square[paths->paths++] = square;
}

/* One 2 x 2 matrix: its rows, along the two axes of C, are four paths of one weight. */
static void MatrixPaths(const FPGibbsForm *form, Paths *paths)
{
  const FPSpin    C     = FPSpinOf(form->C[0], form->C[1], form->C[3]);
  const PetscReal angle = 0.5 * atan2(C.y, C.x), axis[2][2] = {{cos(angle), sin(angle)}, {-sin(angle), cos(angle)}};

  for (PetscInt i = 0; i < 2; i++)
    for (PetscInt row = 0; row < 2; row++)
      AddPath(paths, C.c + (i ? -1 : 1) * hypot(C.x, C.y),
              PetscSqr(form->A[2 * row] * axis[i][0] + form->A[2 * row + 1] * axis[i][1]));
}

/* How to integrate over the model's prior; *reason: why it is not done. An input that is always 0 leaves its path to
   the prior. */
static PetscErrorCode FindSource(FPObservable obs, Source *source, const char **reason)
{
  const char *type, *coordinates;
  FPGibbsForm form = {0};

  PetscFunctionBegin;
  PetscCall(FPModelGetName(obs->scene.model, &type, &coordinates));
  if (!strcmp(type, "ou")) *reason = "it is no network: there are no weights that a prior could be over";
  if (*reason) PetscFunctionReturn(0);
  PetscCall(FindForm(obs, type, coordinates, &form, reason));
  source->paths.depth = form.depth;
  if ((!strcmp(type, "chain") || !strcmp(type, "diagonal")) && Uncorrelated(&form)) {
    *reason = NULL;
    for (PetscInt i = 0; i < form.inputs; i++) {
      const PetscReal s = form.C[i * (form.inputs + 1)];

      if (s > 0) AddPath(&source->paths, s, PetscSqr(form.A[i]));
    }
  } else if (*reason) {
    PetscFunctionReturn(0);
  } else if (!strcmp(type, "diagonal") && form.inputs > 3) {
    *reason = "more than three correlated inputs leave too many integrals: data_whiten makes the paths independent";
  } else if (!strcmp(type, "diagonal")) {
    PetscCall(FPGibbsCreate_Diagonal(&form, &source->gibbs));
  } else if (!strcmp(type, "symmetric")) {
    PetscCall(FPModelGetSizes(obs->scene.model, &form.depth, NULL, NULL));
    PetscCall(FPGibbsCreate_Symmetric(&form, form.depth / 2, &source->gibbs));
  } else if (form.depth == 1) {
    MatrixPaths(&form, &source->paths);
  } else if (form.depth > 2 && (!Uncorrelated(&form) || PetscAbsReal(form.C[0] / form.C[3] - 1) > 1e-10)) {
    *reason = "inputs of unequal variances or correlated ones break the symmetry that three matrices and more need: "
              "data_whiten restores it";
  } else {
    PetscCall(FPGibbsCreate_Factorisation(&form, &source->gibbs));
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
  Source      source = {0};
  const char *reason = NULL;

  PetscFunctionBegin;
  PetscCall(FindSource(obs, &source, &reason));
  if (reason) {
    PetscCall(FPResultsAddStatus(obs->scene.results, "model", "exact", "free_energy", "learning_coefficient",
                                 "unsupported", reason));
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k < 2 && !source.gibbs; k++)
    PetscCall(FPLogLawCreate(source.paths.depth - 1, 1.0 / (8 << k), Lower((const Keys *)obs->data, &source.paths),
                             &source.law[k]));
  PetscCall(AddTemperatures(obs, &source));
  if (((const Keys *)obs->data)->limits) PetscCall(AddLimits(obs, &source));
  for (PetscInt k = 0; k < 2; k++) PetscCall(FPLogLawDestroy(&source.law[k]));
  if (source.gibbs) PetscCall((*source.gibbs->destroy)(source.gibbs));
  PetscCall(PetscFree(source.gibbs));
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

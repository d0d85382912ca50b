/* logmean.c: E ln |a + b U|, U the mean over a batch of B of x y or x^2: the Lyapunov exponents of SGD at a point.
   Gaussian inputs of variance s, y = p x + xi, Var xi = sigma^2: X = mean x^2 = s c/B with c chi-squared of B degrees,
   and given X the mean of x y is p X + sigma sqrt(X/B) N(0, 1), whose logarithm is FPNormalLog(): one adaptive
   quadrature. Signs as inputs: X = s. Rows of a file: a sum over the rows for B = 1, over multisets of rows for few of
   them, else the B-fold convolution of the rows' law on a lattice by FFT, each row split so that its mean is kept, ln
   averaged over a cell; the bound is three times the change from half the lattice, and the grain that ten multisets
   make near the singularity. */
#include "observableimpl.h"
#include <complex.h>
#include <fftw3.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_dawson.h>
#include <gsl/gsl_sf_gamma.h>
#include <math.h>

#define ROUNDING 1e-13
#define MULTISETS 2e6     /* enumerated one by one up to so many */
#define LATTICE (1 << 19) /* points of the finer lattice */
#define INTERVALS 1000    /* of the adaptive quadrature */

/* d/du E ln |u + xi| = sqrt(2) Dawson(u/sqrt(2)); at u = 0 the value is -(gamma + ln 2)/2. Beyond 9 the asymptotic
   series ln u - sum_k (2k - 1)!!/(2k u^{2k}), whose smallest term is below exp(-40). */
PetscReal FPNormalLog(PetscReal u)
{
  static const PetscReal zero = -0.63518142273073908501; /* -(gamma + ln 2)/2 */
  const PetscReal        x    = PetscAbsReal(u);
  PetscReal              sum = 0, moment = 1;

  if (x > 9) {
    for (PetscInt k = 1; k < 30; k++) {
      moment *= (2 * k - 1) / (x * x);
      sum -= moment / (2 * k);
    }
    return PetscLogReal(x) + sum;
  }
  for (PetscInt piece = 0; piece < 3; piece++) { /* Gauss-Legendre on thirds */
    static const double node[10]   = {0.0765265211334973, 0.2277858511416451, 0.3737060887154195, 0.5108670019508271,
                                      0.6360536807265150, 0.7463319064601508, 0.8391169718222188, 0.9122344282513259,
                                      0.9639719272779138, 0.9931285991850949};
    static const double weight[10] = {0.1527533871307258, 0.1491729864726037, 0.1420961093183820, 0.1316886384491766,
                                      0.1181945319615184, 0.1019301198172404, 0.0832767415767048, 0.0626720483341091,
                                      0.0406014298003869, 0.0176140071391521};
    const PetscReal     half = x / 6, middle = (2 * piece + 1) * half;

    for (PetscInt k = 0; k < 10; k++)
      sum += half * weight[k] *
             (gsl_sf_dawson((middle - half * node[k]) / PETSC_SQRT2) +
              gsl_sf_dawson((middle + half * node[k]) / PETSC_SQRT2));
  }
  return zero + PETSC_SQRT2 * sum;
}

PetscErrorCode FPBatchMeanMoments(const FPBatchMean *law, PetscReal *mean, PetscReal *variance)
{
  const PetscReal *second, *fourth;

  PetscFunctionBegin;
  PetscCall(FPDataGetMoments(law->data, &second, &fourth)); /* u = (x, y) */
  *mean     = second[law->squares ? 0 : 1];
  *variance = fourth[law->squares ? 0 : 3] - *mean * *mean; /* E x^4, E x^2 y^2 */
  PetscFunctionReturn(0);
}

typedef struct {
  PetscReal a, b, s, p, sigma; /* U = p X + sigma sqrt(X/B) N(0, 1) */
  PetscInt  batch;
} Conditional;

/* Given X */
static PetscReal GivenSquare(const Conditional *c, PetscReal X)
{
  const PetscReal center = c->a + c->b * c->p * X, scale = PetscAbsReal(c->b) * c->sigma * PetscSqrtReal(X / c->batch);

  if (scale <= 1e-300) return PetscLogReal(PetscAbsReal(center));
  return PetscLogReal(scale) + FPNormalLog(center / scale);
}

/* t = sqrt(c): density 2 t^{B-1} e^{-t^2/2}/(2^{B/2} Gamma(B/2)) */
static double GaussianIntegrand(double t, void *context)
{
  const Conditional *c = (const Conditional *)context;
  const PetscReal    B = c->batch, X = c->s * t * t / B;
  const PetscReal    log_density =
      (B - 1) * PetscLogReal(t) - 0.5 * t * t - (0.5 * B - 1) * PetscLogReal(2.0) - gsl_sf_lngamma(0.5 * B);

  return PetscExpReal(log_density) * GivenSquare(c, X);
}

/* The integrand turns sharply, or is singular, where a + b p X = 0. */
static PetscErrorCode GaussianLog(Conditional *c, PetscReal *value, PetscReal *error)
{
  const PetscReal            root = PetscSqrtReal((PetscReal)c->batch), X = -c->a / (c->b * c->p);
  double                     point[3] = {PetscMax(0, root - 12), 0, root + 12};
  size_t                     points   = 2;
  gsl_function               f        = {GaussianIntegrand, c};
  gsl_integration_workspace *work     = gsl_integration_workspace_alloc(INTERVALS);
  gsl_error_handler_t       *handler  = gsl_set_error_handler_off();
  int                        code;

  PetscFunctionBegin;
  if (isfinite(X) && X > 0) point[1] = PetscSqrtReal(X * c->batch / c->s);
  if (point[1] > point[0] && point[1] < point[2])
    points = 3;
  else
    point[1] = point[2];
  code = gsl_integration_qagp(&f, point, points, 1e-14, 1e-13, INTERVALS, work, value, error);
  (void)gsl_set_error_handler(handler);
  gsl_integration_workspace_free(work);
  PetscCheck(code == 0 || *error < 1e-8, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "E ln |%g + %g U| by quadrature: error %.2g", (double)c->a, (double)c->b, *error);
  *error += ROUNDING;
  PetscFunctionReturn(0);
}

/* Law of one sample of x y or x^2 in a file: n values, equally likely. */
static PetscErrorCode RowValues(const FPBatchMean *law, PetscInt *n, PetscReal **value)
{
  PetscReal *u, *weight;

  PetscFunctionBegin;
  PetscCall(FPDataGetNodes(law->data, 1, n, &u, &weight));
  PetscCall(PetscMalloc1(*n, value));
  for (PetscInt k = 0; k < *n; k++) (*value)[k] = u[2 * k] * u[2 * k + (law->squares ? 0 : 1)];
  PetscCall(PetscFree(u));
  PetscCall(PetscFree(weight));
  PetscFunctionReturn(0);
}

/* Sum of weight ln |a + b sum/B| over multisets of rows first, first + 1, ...; the weight of a multiset is the number
   of its orders, B!/prod (multiplicity)!, over n^B. */
static PetscReal SumMultisets(PetscInt n, const PetscReal row[], PetscInt first, PetscInt left, PetscReal a,
                              PetscReal b, PetscReal weight)
{
  PetscReal sum = 0, each = weight, at = a;

  if (first == n - 1) {
    for (PetscInt k = 1; k <= left; k++) each *= 1.0 / k;
    return each * PetscLogReal(PetscAbsReal(a + left * b * row[first]));
  }
  for (PetscInt k = 0; k <= left; k++) {
    if (k == left) return sum + each * PetscLogReal(PetscAbsReal(at));
    sum += SumMultisets(n, row, first + 1, left - k, at, b, each);
    each /= k + 1;
    at += b * row[first];
  }
  return sum;
}

/* ln |w + t| averaged over t in [-h/2, h/2] */
static PetscReal CellLog(PetscReal w, PetscReal h)
{
  const PetscReal x   = w / h;
  PetscReal       sum = 0;

  if (PetscAbsReal(x) > 1e3) return PetscLogReal(PetscAbsReal(w)) - 1 / (24 * x * x);
  for (int side = -1; side < 2; side += 2) {
    const PetscReal y = x + 0.5 * side;

    if (y != 0) sum += side * y * PetscLogReal(PetscAbsReal(y));
  }
  return sum - 1 + PetscLogReal(h);
}

/* By FFT on a lattice of `points` points */
static PetscErrorCode LatticeLog(PetscInt n, const PetscReal row[], PetscInt batch, PetscReal a, PetscReal b,
                                 PetscInt points, PetscReal *value)
{
  const PetscInt  cells = (points - 1) / batch - 1;
  PetscReal       low = row[0], high = row[0], h;
  double         *p       = fftw_alloc_real((size_t)points);
  double complex *hat     = fftw_alloc_complex((size_t)points / 2 + 1);
  fftw_plan       forward = fftw_plan_dft_r2c_1d(points, p, hat, FFTW_ESTIMATE),
            backward      = fftw_plan_dft_c2r_1d(points, hat, p, FFTW_ESTIMATE);

  PetscFunctionBegin;
  for (PetscInt k = 1; k < n; k++) {
    low  = PetscMin(low, row[k]);
    high = PetscMax(high, row[k]);
  }
  h = (high - low) / cells;
  for (PetscInt k = 0; k < points; k++) p[k] = 0;
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal x = (row[k] - low) / h;
    const PetscInt  i = PetscMin(cells - 1, (PetscInt)x);

    p[i] += (i + 1 - x) / n;
    p[i + 1] += (x - i) / n;
  }
  fftw_execute(forward);
  for (PetscInt k = 0; k <= points / 2; k++) {
    double complex power = 1, square = hat[k];

    for (PetscInt rest = batch; rest; rest /= 2, square *= square)
      if (rest % 2) power *= square;
    hat[k] = power / points;
  }
  fftw_execute(backward);
  *value = 0;
  for (PetscInt k = 0; k < points; k++)
    *value += p[k] * CellLog(a + b * (low + k * h / batch), PetscAbsReal(b) * h / batch);
  fftw_destroy_plan(forward);
  fftw_destroy_plan(backward);
  fftw_free(p);
  fftw_free(hat);
  PetscFunctionReturn(0);
}

static PetscErrorCode FileLog(const FPBatchMean *law, PetscReal a, PetscReal b, PetscReal *value, PetscReal *error)
{
  PetscReal *row, sets = 1, low = PETSC_MAX_REAL, high = -PETSC_MAX_REAL, orders = 1;
  PetscInt   n;

  PetscFunctionBegin;
  PetscCall(RowValues(law, &n, &row));
  for (PetscInt k = 0; k < law->batch; k++) {
    sets *= (PetscReal)(n + k) / (k + 1);
    orders *= (PetscReal)(k + 1) / n;
  }
  for (PetscInt k = 0; k < n; k++) {
    low  = PetscMin(low, row[k]);
    high = PetscMax(high, row[k]);
  }
  *error = ROUNDING;
  if (high == low) {
    *value = PetscLogReal(PetscAbsReal(a + b * low));
  } else if (law->batch == 1) {
    *value = 0;
    for (PetscInt k = 0; k < n; k++) *value += PetscLogReal(PetscAbsReal(a + b * row[k])) / n;
  } else if (sets < MULTISETS && n > 1) {
    *value = SumMultisets(n, row, 0, law->batch, a, b / law->batch, orders);
  } else {
    PetscReal coarse;

    PetscCall(LatticeLog(n, row, law->batch, a, b, LATTICE / 2, &coarse));
    PetscCall(LatticeLog(n, row, law->batch, a, b, LATTICE, value));
    *error = 3 * PetscAbsReal(*value - coarse) + 10 / sets + 1e-11;
  }
  PetscCall(PetscFree(row));
  PetscFunctionReturn(0);
}

PetscErrorCode FPBatchMeanLog(const FPBatchMean *law, PetscReal a, PetscReal b, PetscReal *value, PetscReal *error)
{
  Conditional      c = {.a = a, .b = b, .batch = law->batch, .p = 1};
  const PetscReal *second, *fourth;
  const char      *type;

  PetscFunctionBegin;
  PetscCall(FPDataGetType(law->data, &type));
  PetscCall(FPDataGetMoments(law->data, &second, &fourth));
  c.s = second[0];
  if (!law->squares) {
    c.p     = second[1] / second[0];
    c.sigma = PetscSqrtReal(PetscMax(0, second[3] - c.p * second[1]));
    if (c.sigma < 1e-7 * PetscSqrtReal(second[3])) c.sigma = 0; /* a difference of equal numbers */
  }
  *error = ROUNDING;
  if (b == 0)
    *value = PetscLogReal(PetscAbsReal(a));
  else if (!strcmp(type, "file"))
    PetscCall(FileLog(law, a, b, value, error));
  else if (!strcmp(type, "gaussian"))
    PetscCall(GaussianLog(&c, value, error));
  else
    *value = GivenSquare(&c, c.s);
  PetscFunctionReturn(0);
}

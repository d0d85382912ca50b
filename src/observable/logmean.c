/* logmean.c: E ln |W|, W = a + the mean over a batch of B of q x^2 + r x y: how SGD stretches differences at a point.
   Gaussian inputs of variance s, y = p x + xi, Var xi = sigma^2: X = mean x^2 = s c/B with c chi-squared of B degrees,
   and given X the mean of x y is p X + sigma sqrt(X/B) N(0, 1), whose logarithm is FPNormalLog(): one adaptive
   quadrature. Signs as inputs: X = s. Rows of a file: a sum over the rows for B = 1, over multisets of rows for few of
   them, else the B-fold convolution of the rows' law on a lattice by FFT, each row split so that its mean is kept, ln
   averaged over a cell; the bound is three times the change from half the lattice, and the grain that ten multisets
   make near the singularity. Of svag, two batches with coefficients c_0 + c_1 = 1: Gaussian inputs by logpair.c, rows
   by pairs of multisets, or on one lattice. Averages over W on the way between two points smooth the singularities of
   laws without density: int ln |W| is known.
 */
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
  PetscReal a[2], q[2], r[2], s, p, sigma; /* W = a + (q + r p) X + r sigma sqrt(X/B) N(0, 1), at both ends */
  PetscReal tolerance, squares; /* sum of the squares of coefficients of the normal part, 1 but for two batches */
  PetscInt  batch;
} Conditional;

/* ln |w + t| averaged over t in [-h/2, h/2] */
static PetscReal CellLog(PetscReal w, PetscReal h)
{
  const PetscReal x   = w / h;
  PetscReal       sum = 0;

  if (!(PetscAbsReal(h) > 0) || PetscAbsReal(x) > 1e3)
    return PetscLogReal(PetscAbsReal(w)) - (h == 0 ? 0 : 1 / (24 * x * x));
  for (int side = -1; side < 2; side += 2) {
    const PetscReal y = x + 0.5 * side;

    if (y != 0) sum += side * y * PetscLogReal(PetscAbsReal(y));
  }
  return sum - 1 + PetscLogReal(PetscAbsReal(h));
}

/* Given X */
static PetscReal GivenSquare(const Conditional *c, PetscReal X)
{
  const PetscReal low  = c->a[0] + (c->q[0] + c->r[0] * c->p) * X;
  const PetscReal high = c->a[1] + (c->q[1] + c->r[1] * c->p) * X, r = (c->r[0] + c->r[1]) / 2;
  const PetscReal scale = PetscAbsReal(r) * c->sigma * PetscSqrtReal(c->squares * X / c->batch);

  if (scale <= 1e-300) return CellLog((low + high) / 2, high - low);
  return PetscLogReal(scale) + FPNormalLog((low + high) / 2 / scale);
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

/* The integrand turns sharply, or is singular, where the centre of W vanishes. */
static PetscErrorCode GaussianLog(Conditional *c, PetscReal *value, PetscReal *error)
{
  const PetscReal            root     = PetscSqrtReal((PetscReal)c->batch);
  double                     point[4] = {PetscMax(0, root - 12)};
  size_t                     points   = 1;
  gsl_function               f        = {GaussianIntegrand, c};
  gsl_integration_workspace *work     = gsl_integration_workspace_alloc(INTERVALS);
  gsl_error_handler_t       *handler  = gsl_set_error_handler_off();
  int                        code;

  PetscFunctionBegin;
  for (int end = 0; end < 2; end++) {
    const PetscReal X = -c->a[end] / (c->q[end] + c->r[end] * c->p), t = PetscSqrtReal(X * c->batch / c->s);

    if (!(X > 0) || !isfinite(t) || t <= point[0] || t >= root + 12) continue;
    if (points > 1 && PetscAbsReal(t - point[1]) < 1e-12 * t) continue;
    point[points++] = t;
  }
  if (points == 3 && point[2] < point[1]) {
    const double first = point[2];

    point[2] = point[1];
    point[1] = first;
  }
  point[points++] = root + 12;
  code            = gsl_integration_qagp(&f, point, points, 1e-14, c->tolerance, INTERVALS, work, value, error);
  (void)gsl_set_error_handler(handler);
  gsl_integration_workspace_free(work);
  PetscCheck(code == 0 || *error < 1e-8, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "E ln |%g + %g X + ...| by quadrature: error %.2g", (double)c->a[0], (double)c->q[0], *error);
  *error += ROUNDING;
  PetscFunctionReturn(0);
}

/* W - a of one row of a file, at one end: n values, equally likely. */
static PetscErrorCode RowValues(const FPBatchLinear *w, int end, PetscInt *n, PetscReal **value)
{
  PetscReal *u, *weight;

  PetscFunctionBegin;
  PetscCall(FPDataGetNodes(w->data, 1, n, &u, &weight));
  PetscCall(PetscMalloc1(*n, value));
  for (PetscInt k = 0; k < *n; k++)
    (*value)[k] = u[2 * k] * (w->square[end] * u[2 * k] + w->product[end] * u[2 * k + 1]);
  PetscCall(PetscFree(u));
  PetscCall(PetscFree(weight));
  PetscFunctionReturn(0);
}

/* Batches as multisets of rows; the weight of a multiset is the number of its orders, B!/prod (multiplicity)!, over
   n^B. */
typedef struct {
  PetscInt                n, batch, batches;
  const PetscReal *const *row;
  const PetscReal        *coefficient;
  PetscReal               orders; /* B!/n^B */
} Sets;

static PetscReal SumMultisets(const Sets *s, PetscInt b, PetscInt first, PetscInt left, PetscReal low, PetscReal high,
                              PetscReal weight);

/* Weight times ln |W|, with batch b chosen: summed over the other one, if there is any */
static PetscReal SumOthers(const Sets *s, PetscInt b, PetscReal low, PetscReal high, PetscReal weight)
{
  if (b + 1 < s->batches) return SumMultisets(s, b + 1, 0, s->batch, low, high, weight * s->orders);
  return weight * CellLog((low + high) / 2, high - low);
}

/* Over what can be drawn of rows first, first + 1, ... in the `left` draws that remain of batch b */
static PetscReal SumMultisets(const Sets *s, PetscInt b, PetscInt first, PetscInt left, PetscReal low, PetscReal high,
                              PetscReal weight)
{
  const PetscReal part = s->coefficient[b] / s->batch;
  PetscReal       sum = 0, each = weight;

  if (first == s->n - 1) {
    for (PetscInt k = 1; k <= left; k++) each *= 1.0 / k;
    return SumOthers(s, b, low + left * part * s->row[0][first], high + left * part * s->row[1][first], each);
  }
  for (PetscInt k = 0; k <= left; k++) {
    if (k == left) return sum + SumOthers(s, b, low, high, each);
    sum += SumMultisets(s, b, first + 1, left - k, low, high, each);
    each /= k + 1;
    low += part * s->row[0][first];
    high += part * s->row[1][first];
  }
  return sum;
}

/* By FFT on a lattice of `points` points, for a + the mean over each batch, times its coefficient */
static PetscErrorCode LatticeLog(const Sets *s, const PetscReal row[], PetscReal a, PetscInt points, PetscReal *value)
{
  const PetscInt  cells  = (points - 1) / s->batch - s->batches;
  PetscReal       low[2] = {0, 0}, range = 0, h;
  double         *p       = fftw_alloc_real((size_t)points);
  double complex *hat     = fftw_alloc_complex((size_t)points / 2 + 1);
  double complex *product = fftw_alloc_complex((size_t)points / 2 + 1);
  fftw_plan       forward = fftw_plan_dft_r2c_1d(points, p, hat, FFTW_ESTIMATE),
            backward      = fftw_plan_dft_c2r_1d(points, product, p, FFTW_ESTIMATE);

  PetscFunctionBegin;
  for (PetscInt b = 0; b < s->batches; b++) {
    PetscReal high = s->coefficient[b] * row[0];

    low[b] = high;
    for (PetscInt k = 1; k < s->n; k++) {
      low[b] = PetscMin(low[b], s->coefficient[b] * row[k]);
      high   = PetscMax(high, s->coefficient[b] * row[k]);
    }
    range += high - low[b];
  }
  h = range / cells;
  for (PetscInt k = 0; k <= points / 2; k++) product[k] = 1.0 / points;
  for (PetscInt b = 0; b < s->batches; b++) {
    for (PetscInt k = 0; k < points; k++) p[k] = 0;
    for (PetscInt k = 0; k < s->n; k++) {
      const PetscReal x = (s->coefficient[b] * row[k] - low[b]) / h;
      const PetscInt  i = PetscMin(cells - 1, (PetscInt)x);

      p[i] += (i + 1 - x) / s->n;
      p[i + 1] += (x - i) / s->n;
    }
    fftw_execute(forward);
    for (PetscInt k = 0; k <= points / 2; k++) {
      double complex square = hat[k];

      for (PetscInt rest = s->batch; rest; rest /= 2, square *= square)
        if (rest % 2) product[k] *= square;
    }
  }
  fftw_execute(backward);
  *value = 0;
  for (PetscInt k = 0; k < points; k++) *value += p[k] * CellLog(a + low[0] + low[1] + k * h / s->batch, h / s->batch);
  fftw_destroy_plan(forward);
  fftw_destroy_plan(backward);
  fftw_free(p);
  fftw_free(hat);
  fftw_free(product);
  PetscFunctionReturn(0);
}

/* Rows at both ends, and their midpoints for the lattice, which smooths by itself. */
static PetscErrorCode FileLog(const FPBatchLinear *w, PetscReal *value, PetscReal *error)
{
  const PetscReal middle = (w->constant[0] + w->constant[1]) / 2, most = w->lattice ? 4.0 * w->lattice : MULTISETS;
  const PetscReal alone[2] = {1, 0};
  PetscReal      *row[2], count = 1, low = PETSC_MAX_REAL, high = -PETSC_MAX_REAL;
  Sets            s = {.batch       = w->batch,
                       .batches     = w->batches == 2 ? 2 : 1,
                       .coefficient = w->batches == 2 ? w->coefficient : alone,
                       .orders      = 1};

  PetscFunctionBegin;
  for (int end = 0; end < 2; end++) PetscCall(RowValues(w, end, &s.n, &row[end]));
  for (PetscInt k = 0; k < w->batch; k++) {
    count *= (PetscReal)(s.n + k) / (k + 1);
    s.orders *= (PetscReal)(k + 1) / s.n;
  }
  count = PetscPowRealInt(count, s.batches);
  for (PetscInt k = 0; k < s.n; k++) {
    low  = PetscMin(low, PetscMin(row[0][k], row[1][k]));
    high = PetscMax(high, PetscMax(row[0][k], row[1][k]));
  }
  *error = ROUNDING;
  if (high == low) {
    *value = CellLog(middle + low, w->constant[1] - w->constant[0]);
  } else if (w->batch == 1 && s.batches == 1) {
    *value = 0;
    for (PetscInt k = 0; k < s.n; k++) {
      const PetscReal at[2] = {w->constant[0] + row[0][k], w->constant[1] + row[1][k]};

      *value += CellLog((at[0] + at[1]) / 2, at[1] - at[0]) / s.n;
    }
  } else if (s.n == 1 || count < most) {
    const PetscReal *const both[2] = {row[0], row[1]};

    s.row  = both;
    *value = SumMultisets(&s, 0, 0, w->batch, w->constant[0], w->constant[1], s.orders);
  } else {
    const PetscInt points = w->lattice ? w->lattice : LATTICE;
    PetscReal      coarse;

    for (PetscInt k = 0; k < s.n; k++) row[0][k] = (row[0][k] + row[1][k]) / 2;
    PetscCall(LatticeLog(&s, row[0], middle, points / 2, &coarse));
    PetscCall(LatticeLog(&s, row[0], middle, points, value));
    *error = 3 * PetscAbsReal(*value - coarse) + 10 / count + 1e-11;
  }
  PetscCall(PetscFree(row[0]));
  PetscCall(PetscFree(row[1]));
  PetscFunctionReturn(0);
}

/* Gaussian inputs; two batches give W a density, so that the midpoint stands for both ends. */
static PetscErrorCode InputsLog(const FPBatchLinear *w, Conditional *c, PetscReal *value, PetscReal *error)
{
  FPPairLinear pair = {.batch       = w->batch,
                       .a           = (c->a[0] + c->a[1]) / 2,
                       .s           = c->s,
                       .Q           = (c->q[0] + c->q[1] + (c->r[0] + c->r[1]) * c->p) / 2,
                       .R           = (c->r[0] + c->r[1]) / 2 * c->sigma,
                       .coefficient = {w->coefficient[0], w->coefficient[1]}};

  PetscFunctionBegin;
  if (w->batches == 2)
    PetscCall(FPPairLinearLog(&pair, value, error));
  else
    PetscCall(GaussianLog(c, value, error));
  PetscFunctionReturn(0);
}

PetscErrorCode FPBatchLinearLog(const FPBatchLinear *w, PetscReal *value, PetscReal *error)
{
  Conditional      c = {.a         = {w->constant[0], w->constant[1]},
                        .q         = {w->square[0], w->square[1]},
                        .r         = {w->product[0], w->product[1]},
                        .batch     = w->batch,
                        .squares   = w->batches == 2 ? PetscSqr(w->coefficient[0]) + PetscSqr(w->coefficient[1]) : 1,
                        .tolerance = w->lattice ? 1e-10 : 1e-13};
  const PetscReal *second, *fourth;
  const char      *type;

  PetscFunctionBegin;
  *error = ROUNDING;
  if (w->square[0] == 0 && w->square[1] == 0 && w->product[0] == 0 && w->product[1] == 0) {
    *value = CellLog((c.a[0] + c.a[1]) / 2, c.a[1] - c.a[0]);
    PetscFunctionReturn(0);
  }
  PetscCall(FPDataGetType(w->data, &type));
  PetscCall(FPDataGetMoments(w->data, &second, &fourth));
  c.s = second[0];
  c.p = second[1] / second[0];
  if (w->product[0] != 0 || w->product[1] != 0) {
    c.sigma = PetscSqrtReal(PetscMax(0, second[3] - c.p * second[1]));
    if (c.sigma < 1e-7 * PetscSqrtReal(second[3])) c.sigma = 0; /* a difference of equal numbers */
  }
  if (!strcmp(type, "file"))
    PetscCall(FileLog(w, value, error));
  else if (!strcmp(type, "gaussian"))
    PetscCall(InputsLog(w, &c, value, error));
  else
    *value = GivenSquare(&c, c.s);
  PetscFunctionReturn(0);
}

PetscErrorCode FPBatchMeanLog(const FPBatchMean *law, PetscReal a, PetscReal b, PetscReal *value, PetscReal *error)
{
  const PetscReal     square = law->squares ? b : 0, product = b - square;
  const FPBatchLinear w = {.data     = law->data,
                           .batch    = law->batch,
                           .constant = {a, a},
                           .square   = {square, square},
                           .product  = {product, product}};

  PetscFunctionBegin;
  PetscCall(FPBatchLinearLog(&w, value, error));
  PetscFunctionReturn(0);
}

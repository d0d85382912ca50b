/* logpair.c: E ln |W| where W is linear in two batches of Gaussian inputs. As int_0^inf (exp(-k) - cos(k w))/k dk =
   ln |w|, it is one integral of the characteristic function,

     E ln |W| = int_0^inf (exp(-k) - Re phi(k))/k dk,
     phi(k) = exp(i k a) prod_b (1 - (2 s/B) (i k c_b Q - k^2 c_b^2 R^2/(2 B)))^(-B/2),

   whose tail oscillates with exp(i k a) alone. Where W is far from 0 beside its width that takes too many turns, and
   four moments are enough. Source: I. S. Gradshteyn and I. M. Ryzhik, Table of Integrals, 3.784. */
#include "observableimpl.h"
#include <complex.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_expint.h>
#include <math.h>

#define INTERVALS 4000
#define TURNS 2.0  /* of exp(i k a) before the tail */
#define STILL 0.05 /* |a| over the size of W: below it nothing turns */
#define FAR 1e3    /* mean over width: moments are enough */
#define TOLERANCE 1e-12
#define ENOUGH 1e-8 /* error that is accepted */

typedef struct {
  const FPPairLinear *w;
  PetscReal           scale; /* of W, unit of 1/k */
  int                 part;  /* of the amplitude: 0 real, 1 imaginary */
} Phi;

/* phi(k/scale), but for exp(i k a/scale); each factor of the product has a positive real part. */
static double _Complex Amplitude(const Phi *phi, PetscReal k)
{
  const FPPairLinear *w = phi->w;
  double _Complex sum   = 0;

  k /= phi->scale;
  for (int b = 0; b < 2; b++) {
    const PetscReal c = w->coefficient[b];

    sum += clog(1 + 2 * w->s / w->batch * (k * k * c * c * w->R * w->R / (2 * w->batch) - I * k * c * w->Q));
  }
  return cexp(-0.5 * w->batch * sum);
}

static double Whole(double k, void *context)
{
  const Phi *phi             = (const Phi *)context;
  const double _Complex turn = Amplitude(phi, k) * cexp(I * k * phi->w->a / phi->scale);

  return (exp(-k) - creal(turn)) / k;
}

static double Tail(double k, void *context)
{
  const Phi *phi          = (const Phi *)context;
  const double _Complex A = Amplitude(phi, k);

  return (phi->part ? cimag(A) : creal(A)) / k;
}

/* Mean and cumulants 2, 3, 4 of W */
static void Cumulants(const FPPairLinear *w, PetscReal kappa[4])
{
  const PetscReal each = 2 * w->s / w->batch, half = 0.5 * w->batch;

  kappa[0] = w->a;
  kappa[1] = kappa[2] = kappa[3] = 0;
  for (int b = 0; b < 2; b++) { /* -B/2 ln(1 - g x - v x^2) */
    const PetscReal g = each * w->coefficient[b] * w->Q;
    const PetscReal v = each * PetscSqr(w->coefficient[b] * w->R) / (2 * w->batch);

    kappa[0] += half * g;
    kappa[1] += half * (2 * v + g * g);
    kappa[2] += half * (6 * g * v + 2 * g * g * g);
    kappa[3] += half * (12 * v * v + 24 * g * g * v + 6 * g * g * g * g);
  }
}

/* [0, k] by bisection, the rest by the turns of the exponential function, or by a map of the half-line */
static int Integrate(Phi *phi, double *value, double *error)
{
  const PetscReal            a    = phi->w->a / phi->scale;
  gsl_integration_workspace *work = gsl_integration_workspace_alloc(INTERVALS),
                            *more = gsl_integration_workspace_alloc(INTERVALS);
  const PetscBool turning         = (PetscBool)(PetscAbsReal(a) > STILL);
  const double    from            = turning ? TURNS * 2 * PETSC_PI / PetscAbsReal(a) : 1;
  gsl_function    whole = {Whole, phi}, tail = {Tail, phi};
  double          part, bound;
  int             code =
      gsl_integration_qag(&whole, 0, from, TOLERANCE, TOLERANCE, INTERVALS, GSL_INTEG_GAUSS31, work, value, error);

  if (!turning) {
    code = PetscMax(code, gsl_integration_qagiu(&whole, from, TOLERANCE, TOLERANCE, INTERVALS, work, &part, &bound));
    *value += part;
    *error += bound;
  }
  for (phi->part = 0; phi->part < 2 && turning; phi->part++) {
    gsl_integration_qawo_table *turns =
        gsl_integration_qawo_table_alloc(PetscAbsReal(a), 1, phi->part ? GSL_INTEG_SINE : GSL_INTEG_COSINE, 30);

    code = PetscMax(code, gsl_integration_qawf(&tail, from, TOLERANCE, INTERVALS, work, more, turns, &part, &bound));
    *value += phi->part ? (a > 0 ? part : -part) : -part;
    *error += bound;
    gsl_integration_qawo_table_free(turns);
  }
  if (turning) *value += gsl_sf_expint_E1(from);
  gsl_integration_workspace_free(work);
  gsl_integration_workspace_free(more);
  return code;
}

PetscErrorCode FPPairLinearLog(const FPPairLinear *w, PetscReal *value, PetscReal *error)
{
  Phi                  phi = {.w = w};
  gsl_error_handler_t *handler;
  PetscReal            kappa[4];
  int                  code;

  PetscFunctionBegin;
  Cumulants(w, kappa);
  if (PetscAbsReal(kappa[0]) > FAR * PetscSqrtReal(kappa[1])) {
    const PetscReal m = kappa[0];

    *value = log(PetscAbsReal(m)) - kappa[1] / (2 * m * m) + kappa[2] / (3 * m * m * m) -
             (kappa[3] + 3 * kappa[1] * kappa[1]) / (4 * m * m * m * m);
    *error = TOLERANCE;
    PetscFunctionReturn(0);
  }
  phi.scale = PetscSqrtReal(w->a * w->a + kappa[0] * kappa[0] + kappa[1]);
  handler   = gsl_set_error_handler_off();
  code      = Integrate(&phi, value, error);
  (void)gsl_set_error_handler(handler);
  PetscCheck(code == 0 || *error < ENOUGH, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
             "E ln |%g + ...| of two batches by quadrature: error %.2g", (double)w->a, *error);
  *value += log(phi.scale);
  *error += TOLERANCE;
  PetscFunctionReturn(0);
}

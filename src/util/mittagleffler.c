/* mittagleffler.c: E_beta(-x) as an integral of positive terms, so that nothing cancels however small the value is.

   The spectral representation E_beta(-x) = int_0^inf exp(-r x^{1/beta}) K(r) dr, K(r) = sin(beta pi) r^{beta-1}/(pi
   (r^{2 beta} + 2 r^beta cos(beta pi) + 1)) (R. Gorenflo and F. Mainardi, in Fractals and Fractional Calculus in
   Continuum Mechanics, 1997, section 3) becomes, with r^beta = sin(beta pi - phi)/sin(phi),

     E_beta(-x) = 1/(pi beta) int_0^{beta pi} exp(-(x sin(beta pi - phi)/sin(phi))^{1/beta}) dphi.

   What is steep lies at the ends, where the double exponential rule phi = beta pi/(1 + exp(-pi sinh u)) (H. Takahasi
   and M. Mori, Publ. RIMS 9 (1974)) puts its points; the distances from both ends are known to all digits. Halving the
   step about squares the error: after a change by CHANGE less than 1e-13 is left, by comparison with further steps. */
#include "fpspecial.h"
#include <math.h>

#define REACH 6.2 /* of u: beyond, the weights are below the least number */
#define CHANGE 1e-11
#define HALVINGS 8
#define NOTHING 1e-18 /* of the sum so far: terms that end it */

/* sin(a), for a < pi given with b = pi - a, so that both ends are exact. */
static double Sine(double a, double b)
{
  return sin(a < b ? a : b);
}

/* Weight times integrand at u, for an interval of length 1; *past: the integrand is near 1, its last value. */
static double Term(double beta, double logx, double u, int *past)
{
  const double e = exp(-M_PI * fabs(sinh(u))), near = e / (1 + e), far = 1 / (1 + e); /* shares of the interval */
  const double weight = M_PI * cosh(u) * near * far, length = beta * M_PI;
  const double phi = length * (u < 0 ? near : far), rest = length * (u < 0 ? far : near), gap = (1 - beta) * M_PI;
  const double base  = Sine(rest, gap + phi) / Sine(phi, gap + rest); /* r^beta */
  const double value = weight > 0 ? exp(-exp((logx + log(base)) / beta)) : 1;

  *past = value > 0.5;
  return weight * value;
}

/* Terms at h, h + step, ...: to the right the integrand rises to 1 and the weights fall, to the left both fall. */
static double Terms(double beta, double logx, double h, double step, double sum)
{
  int past;

  for (double u = h; u < REACH; u += step) {
    const double term = Term(beta, logx, u, &past);

    sum += term;
    if (past && term <= NOTHING * sum) break;
  }
  for (double u = -h; u > -REACH; u -= step) {
    const double term = Term(beta, logx, u, &past);

    sum += term;
    if (term <= NOTHING * sum) break;
  }
  return sum;
}

double FPMittagLeffler(double beta, double x)
{
  double h = 0.5, sum, before;
  int    past;

  if (!(beta > 0 && beta <= 1 && x >= 0)) return NAN;
  if (x == 0) return 1;
  if (beta == 1) return exp(-x);
  sum = Terms(beta, log(x), h, h, Term(beta, log(x), 0, &past));
  for (int halving = 0; halving < HALVINGS; halving++) {
    before = sum * h;
    h /= 2;
    sum = Terms(beta, log(x), h, 2 * h, sum);
    if (halving > 0 && fabs(sum * h - before) <= CHANGE * sum * h) break;
  }
  return sum * h;
}

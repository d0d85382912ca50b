/* sweepfit.c: the power of a swept key that a quantity follows over all its values: ln |value| = order ln key +
   constant, by least squares with the weights 1/(s^2 + FLOOR^2), s = error/|value|. order_error is the standard error
   of the slope, larger by the root of chi^2 per degree of freedom where that is above 1: what points are off a straight
   line is known to it. A quantity has an order where all its values have one sign, and differ from zero by more than
   errors; it is that of these values of the key, not of the limit. Source: P. R. Bevington, Data Reduction and Error
   Analysis (1969), chapter 6.
 */
#include "runimpl.h"

#define FLOOR 0.01   /* of a value: no power law is taken to hold better */
#define RESOLVED 3.0 /* errors that values differ from zero by, at least */
#define FEWEST 3     /* values */

typedef struct {
  PetscReal weight, x, y, xx, xy;
} Sums;

static void AddPoint(Sums *s, PetscReal weight, PetscReal x, PetscReal y)
{
  s->weight += weight;
  s->x += weight * x;
  s->y += weight * y;
  s->xx += weight * x * x;
  s->xy += weight * x * y;
}

void FPSweepAddOrder(PetscInt n, const PetscReal key[], json_t *table)
{
  const json_t   *values = json_object_get(table, "value"), *errors = json_object_get(table, "error");
  const PetscReal center = n > 0 ? PetscLogReal(key[0]) : 0;
  Sums            s      = {0};
  PetscReal       order = 0, constant = 0, spread = 1, chi = 0;

  if (n < FEWEST) return;
  for (PetscInt pass = 0; pass < 2; pass++) {
    for (PetscInt k = 0; k < n; k++) {
      const PetscReal value = json_number_value(json_array_get(values, (size_t)k));
      const PetscReal error = json_number_value(json_array_get(errors, (size_t)k));
      const PetscReal first = json_number_value(json_array_get(values, 0));
      const PetscReal x = PetscLogReal(key[k]) - center, y = PetscLogReal(PetscAbsReal(value));
      const PetscReal weight = 1 / (PetscSqr(error / value) + PetscSqr(FLOOR));

      if (!(PetscAbsReal(value) > RESOLVED * error) || value * first <= 0) return;
      if (pass == 0)
        AddPoint(&s, weight, x, y);
      else
        chi += weight * PetscSqr(y - order * x - constant);
    }
    spread   = s.xx - s.x * s.x / s.weight;
    order    = (s.xy - s.x * s.y / s.weight) / spread;
    constant = (s.y - order * s.x) / s.weight;
  }
  json_object_set_new(table, "order", json_real(order));
  json_object_set_new(table, "order_error", json_real(PetscSqrtReal(PetscMax(1, chi / (n - 2)) / spread)));
}

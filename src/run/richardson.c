/* richardson.c: a value and an error from a sequence of grids.
   Three grids, errors a h^2 + ...: R01 and R12 are Richardson's extrapolations from the two finer and the two coarser
   grids, and R012 fits a h^2 + b h^4. R01 is the value; 2 |R012 - R01| bounds its error if the next power is h^3 or
   h^4. Rp extrapolates with the power p that the three answers follow; where p is not the nominal one, beside a
   singularity say, |Rp - R01| is what the model is wrong by, so the bound is no less. Both may vanish by accident, so a
   share of the correction |R01 - v0| is added: powers of h^3, as walls, the kink of |J| and stencils that change from
   node to node make them, leave about the square root of the relative correction. Where the three answers do not shrink
   like a power between 1.3 and 3.5, nothing is extrapolated: the finest answer stands, with twice the largest
   difference as its bound. At order 4, powers between 2.8 and 6.5 are extrapolated, with the coarser extrapolation for
   the next power; numbers that then follow a power of order 2, such as those of cells and not of nodes, as at order 2.
   Order 0, collocation: the finest answer stands, and its difference from the next is its bound where differences fall
   as no power up to 4 does. Source: P. J. Roache, Annu. Rev. Fluid Mech. 29 (1997). */
#include "runimpl.h"

#define GEOMETRIC 6 /* quotient of the differences of three grids beyond that of order 4 */
#define SHARE 0.05  /* of the correction: an extrapolation is not trusted to more than this */

static PetscReal Extrapolated(PetscReal fine, PetscReal coarse, PetscReal ratio, PetscInt order)
{
  return fine + (fine - coarse) / (PetscPowReal(ratio, order) - 1);
}

/* Of the correction: what the bound keeps of it. */
static PetscReal Share(PetscReal finest, PetscReal extrapolated)
{
  const PetscReal size = PetscMax(PetscAbsReal(finest), PetscAbsReal(extrapolated));

  if (size == 0) return SHARE;
  return PetscClipInterval(0.6 * PetscSqrtReal(PetscAbsReal(extrapolated - finest) / size), SHARE, 0.5);
}

/* Do the differences shrink like h^p with low < p < high? */
static PetscBool ShrinksLike(const PetscReal v[], const PetscReal r[], PetscReal low, PetscReal high)
{
  const PetscReal d01 = v[1] - v[0], d12 = v[2] - v[1];
  PetscReal       quotient, least, most;

  if (d01 == 0 || d12 / d01 <= 0) return PETSC_FALSE;
  quotient = d12 / d01;
  least    = (PetscPowReal(r[2], low) - PetscPowReal(r[1], low)) / (PetscPowReal(r[1], low) - 1);
  most     = (PetscPowReal(r[2], high) - PetscPowReal(r[1], high)) / (PetscPowReal(r[1], high) - 1);
  return (PetscBool)(quotient > least && quotient < most);
}

/* The extrapolation with the power that the differences follow, known to lie between low and high. */
static PetscReal Observed(const PetscReal v[], const PetscReal r[], PetscReal low, PetscReal high)
{
  const PetscReal quotient = (v[2] - v[1]) / (v[1] - v[0]);

  for (PetscInt step = 0; step < 50; step++) {
    const PetscReal p = (low + high) / 2, at = PetscPowReal(r[1], p);

    if ((PetscPowReal(r[2], p) - at) / (at - 1) < quotient)
      low = p;
    else
      high = p;
  }
  return v[0] + (v[0] - v[1]) / (PetscPowReal(r[1], (low + high) / 2) - 1);
}

void FPExtrapolateGrids(PetscInt levels, const PetscReal v[], const PetscReal r[], PetscReal solver, PetscInt order,
                        PetscReal *result, PetscReal *error)
{
  const PetscBool fourth = (PetscBool)(order == 4 && levels > 2 && ShrinksLike(v, r, 2.8, 6.5));
  const PetscInt  power  = order == 0 || (order == 4 && levels > 2 && !fourth) ? 2 : order;
  const PetscReal R01    = Extrapolated(v[0], v[1], r[1], power);

  if (order == 0 && (levels == 2 || PetscAbsReal(v[1] - v[2]) >= GEOMETRIC * PetscAbsReal(v[0] - v[1]))) {
    *result = v[0];
    *error  = PetscAbsReal(v[0] - v[1]) + 3 * solver;
    return;
  }
  if (levels == 2) {
    *result = R01;
    *error  = PetscAbsReal(R01 - v[0]) + 3 * solver;
    return;
  }
  if (fourth) {
    *result = R01;
    *error  = PetscMax(PetscAbsReal(R01 - Extrapolated(v[1], v[2], r[2] / r[1], 4)),
                       PetscAbsReal(Observed(v, r, 2.8, 6.5) - R01)) +
             SHARE * PetscAbsReal(R01 - v[0]) + 3 * solver;
  } else if ((order == 2 || order == 4) && ShrinksLike(v, r, 1.3, 3.5)) {
    const PetscReal R12  = Extrapolated(v[1], v[2], r[2] / r[1], 2);
    const PetscReal R012 = R01 + (R01 - R12) / (PetscSqr(r[2]) - 1); /* errors of R01, R12 go as h0^2 h1^2, h1^2 h2^2 */

    *result = R01;
    *error  = PetscMax(2 * PetscAbsReal(R012 - R01), PetscAbsReal(Observed(v, r, 1.3, 3.5) - R01)) +
             Share(v[0], R01) * PetscAbsReal(R01 - v[0]) + 3 * solver;
  } else if (order == 1 && ShrinksLike(v, r, 0.6, 2.5)) {
    *result = R01;
    *error  = PetscAbsReal(R01 - Extrapolated(v[1], v[2], r[2] / r[1], 1)) +
             PetscAbsReal(Observed(v, r, 0.6, 2.5) - R01) + 0.3 * PetscAbsReal(R01 - v[0]) + 3 * solver;
  } else {
    const PetscReal neighbours = PetscMax(PetscAbsReal(v[0] - v[1]), PetscAbsReal(v[1] - v[2]));

    *result = v[0];
    *error  = 2 * PetscMax(PetscAbsReal(v[0] - v[2]), neighbours) + 3 * solver;
  }
}

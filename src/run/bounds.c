/* bounds.c: from the answers on the grids of a refinement sequence a value, and a bound on its error.
   Generators of order 2 (BoundOfLaw): where the law is resolved (FPRunRefinement) and the answers shrink like a power
   between 1.75 and 2.55, the value is Richardson's extrapolation R01 from the two finer grids, and its bound
   4 |R01 - R12|, R12 that from the two coarser, and a share of the correction, because that difference may vanish by
   accident and because a in a h^2 is not quite the same on every grid: stencils change from node to node, walls and
   kinks lie elsewhere between the nodes. Elsewhere the finest answer stands, with 3.6 times the largest difference as
   its bound (an order of 2 would need a third of it), less where the answers come together faster than that, and more
   where cells are as wide as the law. The numbers were set on 9800 bounds with known truth: every kind of model and
   process in one and two coordinates, random parameters, 24 to 192 cells per axis, boxes that cut the law and boxes
   that do not. Of 7237 with other parameters 6 were outside, three of them in coordinates p, q, where convergence is
   irregular beside p = q = 0, two means that are zero by symmetry.
   Generators of another order (FPExtrapolateGrids): with errors a h^2 + ..., R012 fits a h^2 + b h^4 to three grids;
   R01 is the value, and 2 |R012 - R01| bounds its error if the next power is h^3 or h^4. Rp extrapolates with the power
   p that the three answers follow; where p is not the nominal one, beside a singularity say, |Rp - R01| is what the
   model is wrong by, so the bound is no less. Both may vanish by accident, so a share of the correction |R01 - v0| is
   added. Where the three answers do not shrink like a power between 1.3 and 3.5, nothing is extrapolated: the finest
   answer stands, with twice the largest difference as its bound. Order 0, collocation: the finest answer stands, and
   its difference from the next is its bound where differences fall as no power up to 4 does. Transfer operators
   (BoundOfSteps): what counts is a cell over one standard deviation of a step, which interpolation blurs. The finest
   answer stands, and the largest difference between grids bounds it: an order of 2 needs a third of that, an order of 4
   a fifteenth, and the rest is for numbers that follow another power or none, more of it where cells are wide, where
   the number is of cells, its region or its start lies elsewhere in the cells of every grid, or only two grids speak,
   which agree by accident. Where cells are narrow, smooth numbers that follow the nominal power are extrapolated, and
   rough ones that follow order 2; where they are narrower still, all numbers that follow a power from 1.3 to 3.5.
   Powers between 2 and 4 are common on coarse meshes: to take them for 2 overshot the truth by more than the finest
   answer was off. Where the boundary of a region cuts nothing but integrals (FP_CUT), extrapolations of order 4 are
   spoilt by accident, but the difference of the two finer grids, or a quarter of that of the coarser, was more than the
   finest is off by for 112 numbers on random discs and boxes, and half as much again is the bound. Generators and
   transfer operators, where a cell is wider than 0.7 widths of the law at the minimum
   (Coarse): the differences of the grids may agree by accident, so nothing is extrapolated, and the largest difference
   counts several times, more the wider the cells. Of 1952 numbers of all observables on lines with 0.7 to 5 widths in a
   cell, 210 were outside the bounds of an extrapolation, up to 90 times, and 8 outside these, 7 of them with more than
   3, where all grids may agree on a law that never leaves its cell. Last, by what the quantity is (FPSmoothness): rough
   ones get 2.4 times the bound of a generator's extrapolation, and where points lie in their cells moves a number by a
   share of h^2 that jumps from grid to grid, that share of what extrapolation changes. Source: P. J. Roache, Annu. Rev.
   Fluid Mech. 29 (1997). */
#include "runimpl.h"

#define GEOMETRIC 6 /* quotient of the differences of three grids beyond that of order 4 */
#define SLOW 1.75   /* powers of h between which the answers of generators may shrink to be extrapolated */
#define FAST 2.55
#define RANGE 3.6  /* differences between grids that bound their finest answer */
#define SHARE 0.05 /* of the correction: an extrapolation is not trusted to more than this */
#define CUT 1.5    /* differences of the two finer grids */
#define TIMES 3    /* the largest difference, where cells are wide */
#define FINE 0.35  /* a cell in widths of a step: the narrower ones, and all that are narrow */
#define NARROW 0.6
#define KEPT 0.3 /* of the correction of numbers that are not smooth */
#define LONELY 3 /* times the difference of two grids, where cells are as wide as steps */

static PetscReal Extrapolated(PetscReal fine, PetscReal coarse, PetscReal ratio, PetscInt order)
{
  return fine + (fine - coarse) / (PetscPowReal(ratio, order) - 1);
}

/* The largest difference of two grids */
static PetscReal Range(PetscInt levels, const PetscReal v[])
{
  PetscReal most = 0;

  for (PetscInt l = 0; l < levels; l++)
    for (PetscInt m = 0; m < l; m++) most = PetscMax(most, PetscAbsReal(v[l] - v[m]));
  return most;
}

/* Of the correction: what the bound keeps of it. */
static PetscReal Share(PetscReal finest, PetscReal extrapolated)
{
  const PetscReal size = PetscMax(PetscAbsReal(finest), PetscAbsReal(extrapolated));

  if (size == 0) return SHARE;
  return PetscClipInterval(0.6 * PetscSqrtReal(PetscAbsReal(extrapolated - finest) / size), SHARE, 0.5);
}

/* (h2^p - h1^p)/(h1^p - h0^p), which the differences follow where errors go as h^p. */
static PetscReal Quotient(const PetscReal r[], PetscReal p)
{
  return (PetscPowReal(r[2], p) - PetscPowReal(r[1], p)) / (PetscPowReal(r[1], p) - 1);
}

/* Do the differences shrink like h^p with low < p < high? */
static PetscBool ShrinksLike(const PetscReal v[], const PetscReal r[], PetscReal low, PetscReal high)
{
  const PetscReal d01 = v[1] - v[0], d12 = v[2] - v[1];

  if (d01 == 0 || d12 / d01 <= 0) return PETSC_FALSE;
  return (PetscBool)(d12 / d01 > Quotient(r, low) && d12 / d01 < Quotient(r, high));
}

/* The extrapolation with the power that the differences follow, known to lie between low and high. */
static PetscReal Observed(const PetscReal v[], const PetscReal r[], PetscReal low, PetscReal high)
{
  const PetscReal quotient = (v[2] - v[1]) / (v[1] - v[0]);

  for (PetscInt step = 0; step < 50; step++) {
    const PetscReal p = (low + high) / 2;

    if (Quotient(r, p) < quotient)
      low = p;
    else
      high = p;
  }
  return v[0] + (v[0] - v[1]) / (PetscPowReal(r[1], (low + high) / 2) - 1);
}

void FPExtrapolateGrids(PetscInt levels, const PetscReal v[], const PetscReal r[], PetscReal solver, PetscInt order,
                        PetscReal *result, PetscReal *error)
{
  const PetscReal R01 = Extrapolated(v[0], v[1], r[1], order == 0 ? 2 : order);

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
  if (order == 2 && ShrinksLike(v, r, 1.3, 3.5)) {
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
    *result = v[0];
    *error  = 2 * Range(levels, v) + 3 * solver;
  }
}

/* Cells are narrow enough to extrapolate: 2 to the narrowest standard deviation of the law with the same stencil
   everywhere, else 3.3. */
static PetscBool Resolved(const FPRefinement *grids)
{
  return (PetscBool)(grids->resolution < (grids->plain ? 0.5 : 0.3));
}

/* Of the correction: what the bound keeps of it. */
static PetscReal ShareOfGrids(const FPRefinement *grids)
{
  return grids->plain ? 0.05 + 4.4 * PetscSqr(grids->resolution) : 0.15 + 1.35 * grids->resolution;
}

/* How far the finest answer may be off. */
static PetscReal Spread(const FPRefinement *grids, const PetscReal v[])
{
  const PetscReal last = PetscAbsReal(v[1] - v[0]), before = grids->levels > 2 ? PetscAbsReal(v[2] - v[1]) : 0;
  const PetscReal range = Range(grids->levels, v);
  const PetscReal wide  = PetscMin(1 + PetscPowReal(grids->resolution / 0.7, 4), 4.5);
  PetscReal       times = RANGE * range;

  if (grids->levels > 2 && (v[2] - v[1]) * (v[1] - v[0]) > 0 && before > Quotient(grids->ratio, FAST) * last)
    times = PetscMin(times, range + 6 * last);
  return wide * times;
}

/* Of a generator of order 2. */
static void BoundOfLaw(const FPRefinement *grids, const PetscReal v[], PetscReal solver, FPSmoothness smoothness,
                       PetscReal *result, PetscReal *error)
{
  const PetscReal *r    = grids->ratio;
  const PetscReal  more = (smoothness == FP_ROUGH ? 2.4 : 1) * (grids->curved ? 1.5 : 1), far = Spread(grids, v);
  const PetscReal  R01 = Extrapolated(v[0], v[1], r[1], 2);

  *result = R01;
  if (grids->levels == 2 && Resolved(grids))
    *error = PetscAbsReal(R01 - v[0]);
  else if (grids->levels > 2 && Resolved(grids) && ShrinksLike(v, r, SLOW, FAST)) {
    const PetscReal R12 = Extrapolated(v[1], v[2], r[2] / r[1], 2);

    *error = PetscMin(4 * PetscAbsReal(R01 - R12) + ShareOfGrids(grids) * PetscAbsReal(R01 - v[0]), far);
  } else {
    *result = v[0];
    *error  = far;
  }
  *error = more * *error + 3 * solver;
}

/* The extrapolation of three grids that follow a power nearly, and what it may be off. */
static PetscReal Narrow(PetscInt power, const PetscReal r[], const PetscReal v[], const PetscReal nearly[2],
                        PetscReal kept, PetscReal *result)
{
  const PetscReal R12 = Extrapolated(v[1], v[2], r[2] / r[1], power), by = Observed(v, r, nearly[0], nearly[1]);

  *result = Extrapolated(v[0], v[1], r[1], power);
  return PetscMax((power == 4 ? 2 : 3) * PetscAbsReal(*result - R12), 2 * PetscAbsReal(by - *result)) +
         kept * PetscAbsReal(*result - v[0]);
}

/* Of a transfer operator of order 2 or 4 */
static void BoundOfSteps(const FPRefinement *grids, const FPQuantity *item, const PetscReal v[], PetscReal solver,
                         PetscReal *result, PetscReal *error)
{
  const PetscReal *r      = grids->ratio;
  const PetscBool  fourth = (PetscBool)(grids->order == 4), three = (PetscBool)(grids->levels > 2);
  const PetscBool  cut       = (PetscBool)(item->smoothness == FP_CUT);
  const PetscBool  plain     = (PetscBool)((item->smoothness == FP_SMOOTH && item->unsteady == 0) || (cut && !fourth));
  const PetscBool  fine      = (PetscBool)(grids->steps < FINE);
  const PetscReal  falls[2]  = {fourth ? 2 : 1.2, fourth ? 7 : 3.2};
  const PetscReal  second[2] = {fine ? 1.3 : SLOW, fine ? 3.5 : FAST},
                  nominal[2] = {fourth ? 3.2 : second[0], fourth ? 5.2 : second[1]};
  const PetscReal s          = PetscSqr(grids->steps);
  PetscReal       times = fourth ? 2 : three ? 3 : 4, narrow = PETSC_MAX_REAL, value = 0;

  if (three && plain && ShrinksLike(v, r, falls[0], falls[1])) times = 1;
  if (item->smoothness == FP_ROUGH || (item->unsteady > 0 && !three)) times *= 1.5;
  if (!three && grids->steps > FP_WIDE) times *= LONELY;
  *result = v[0];
  *error  = times * (1 + s * s) * Range(grids->levels, v);
  if (three && fourth && cut)
    *error = (1 + s * s) * CUT * PetscMax(PetscAbsReal(v[0] - v[1]), PetscAbsReal(v[1] - v[2]) / 4);
  if (three && plain && grids->steps < (fourth ? NARROW : 1.4) && ShrinksLike(v, r, nominal[0], nominal[1]))
    narrow = Narrow(fourth ? 4 : 2, r, v, nominal,
                    SHARE + (fourth ? PetscMin(1.25, 16 * s) : PetscMin(0.3, 3.2 * s * s)), &value);
  else if (three && !(cut && fourth) && (fine || (item->smoothness == FP_ROUGH && grids->steps < NARROW)) &&
           ShrinksLike(v, r, second[0], second[1]))
    narrow = Narrow(2, r, v, second, KEPT, &value);
  if (narrow < *error) {
    *result = value;
    *error  = narrow;
  } else if (!three && plain && !fourth && grids->steps < 0.3) {
    *result = Extrapolated(v[0], v[1], r[1], 2);
    *error  = 2.5 * PetscAbsReal(*result - v[0]);
  }
  *error += 3 * solver;
}

/* Where cells are wide for the law at the minimum; false: they are not. */
static PetscBool Coarse(const FPRefinement *grids, const PetscReal v[], PetscReal solver, PetscReal *result,
                        PetscReal *error)
{
  const PetscReal widths = grids->widths, most = Range(grids->levels, v);

  if (!(widths > FP_WIDE)) return PETSC_FALSE;
  *result = v[0];
  *error  = TIMES * PetscMax(1, widths) * PetscSqr(PetscMax(1, widths / 2)) * most + 3 * solver;
  return PETSC_TRUE;
}

void FPBoundGrids(const FPRefinement *grids, const FPQuantity *item, const PetscReal v[], PetscReal solver,
                  PetscReal *result, PetscReal *error)
{
  PetscReal coarse, wide;

  if (grids->order < 2)
    FPExtrapolateGrids(grids->levels, v, grids->ratio, solver, grids->order, result, error);
  else if (grids->law)
    BoundOfLaw(grids, v, solver, item->smoothness, result, error);
  else
    BoundOfSteps(grids, item, v, solver, result, error);
  if (grids->order >= 2 && Coarse(grids, v, solver, &coarse, &wide)) {
    *error  = PetscMax(*error + PetscAbsReal(*result - coarse), wide);
    *result = coarse;
  }
  *error += item->unsteady * PetscAbsReal(*result - v[0]) + 4 * PETSC_MACHINE_EPSILON * PetscAbsReal(*result);
}

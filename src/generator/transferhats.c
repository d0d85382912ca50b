/* transferhats.c: normal laws integrated exactly against hat functions. With G(u) = E (u - Y)_+, Y ~ N(m, sd^2), the
   function that rises from 0 to 1 between two knots a < b has the complementary expectation S = (G(b) - G(a))/(b - a),
   the mean of Y's distribution function there, and a hat is the difference of two of these: positive, sum 1, whatever
   sd is. Above m the same is done with E (Y - u)_+, so that small weights keep their digits. */
#include "transfer.h"

#define REACH FP_TAIL
#define RULE 16 /* Gauss-Legendre nodes of a panel */

/* E (u - Y)_+ for Y ~ N(0, sd^2), u <= 0 as a rule */
static PetscReal Ramp(PetscReal u, PetscReal sd)
{
  const PetscReal t = u / sd;

  return sd * (0.3989422804014327 * exp(-t * t / 2) + t * 0.5 * erfc(-t * M_SQRT1_2));
}

static PetscReal Below(PetscReal u, PetscReal sd)
{
  return sd > 0 ? 0.5 * erfc(-u / sd * M_SQRT1_2) : (PetscReal)(u > 0);
}

/* Ends of the part of the line inside the region, one segment each; a boundary is found by bisection between nodes. */
static PetscErrorCode Cut(FPHatAxis *h, FPRegion region)
{
  PetscReal inside, level, at;

  PetscFunctionBegin;
  FPRegionLevel(region, 1, &h->lower, &inside);
  h->segments         = 0;
  h->segment[0].lower = h->lower;
  h->segment[0].first = 0;
  for (PetscInt k = 0; k <= h->nodes; k++) {
    PetscReal low = k ? h->x[k - 1] : h->lower, high;

    at = high = k < h->nodes ? h->x[k] : h->upper;
    FPRegionLevel(region, 1, &at, &level);
    if ((level < 0) != (inside < 0)) {
      for (PetscInt step = 0; step < 60; step++) {
        const PetscReal middle = (low + high) / 2;
        PetscReal       value;

        FPRegionLevel(region, 1, &middle, &value);
        if ((value < 0) == (inside < 0))
          low = middle;
        else
          high = middle;
      }
      if (inside < 0) {
        h->segment[h->segments].upper = high;
        h->segment[h->segments].count = k - h->segment[h->segments].first;
        h->segments += h->segment[h->segments].count > 0;
      } else {
        h->segment[h->segments].lower = high;
        h->segment[h->segments].first = k;
      }
      inside = level;
    }
  }
  if (inside < 0) {
    h->segment[h->segments].upper = h->upper;
    h->segment[h->segments].count = h->nodes - h->segment[h->segments].first;
    h->segments += h->segment[h->segments].count > 0;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPHatAxisCreateNodes(PetscInt nodes, const PetscReal x[], PetscReal lower, PetscReal upper,
                                    const PetscBool mirror[2], PetscInt order, FPHatAxis **hats)
{
  FPHatAxis *h;

  PetscFunctionBegin;
  PetscCall(PetscNew(&h));
  *hats    = h;
  h->nodes = nodes;
  h->order = order;
  h->rule  = gsl_integration_glfixed_table_alloc(RULE);
  h->lower = lower;
  h->upper = upper;
  for (PetscInt side = 0; side < 2; side++) h->mirror[side] = mirror[side];
  PetscCall(PetscMalloc5(h->nodes, &h->x, h->nodes, &h->weight, h->nodes + 2, &h->knot, h->nodes + 2, &h->share,
                         h->nodes + 2, &h->segment));
  PetscCall(PetscArraycpy(h->x, x, nodes));
  for (PetscInt j = 0; j < h->nodes && h->order == 0; j++)
    h->knot[j] = (j % 2 ? -1 : 1) * sin(PETSC_PI * (j + 0.5) / h->nodes);
  PetscCall(PetscArrayzero(h->weight, h->nodes));
  h->low        = h->nodes;
  h->high       = -1;
  h->segments   = 1;
  h->segment[0] = (FPSegment){.count = h->nodes, .lower = h->lower, .upper = h->upper};
  PetscFunctionReturn(0);
}

PetscErrorCode FPHatAxisCreate(FPGenerator gen, PetscInt axis, FPRegion region, FPHatAxis **hats)
{
  const FPBox *box;
  PetscReal   *x, *width;
  PetscBool    mirror[2];

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  for (PetscInt side = 0; side < 2; side++) mirror[side] = (PetscBool)(box->face[2 * axis + side] == FP_REFLECTING);
  PetscCall(PetscMalloc2(gen->cells[axis], &x, gen->cells[axis], &width));
  PetscCall(FPGeneratorAxis(gen, axis, x, width));
  PetscCall(FPHatAxisCreateNodes(gen->cells[axis], x, box->lower[axis], box->upper[axis], mirror,
                                 FPTransferOrder(&gen->options.transfer), hats));
  PetscCall(PetscFree2(x, width));
  if (region) PetscCall(Cut(*hats, region));
  PetscFunctionReturn(0);
}

PetscErrorCode FPHatAxisDestroy(FPHatAxis **hats)
{
  PetscFunctionBegin;
  if (!*hats) PetscFunctionReturn(0);
  gsl_integration_glfixed_table_free((*hats)->rule);
  PetscCall(PetscFree5((*hats)->x, (*hats)->weight, (*hats)->knot, (*hats)->share, (*hats)->segment));
  PetscCall(PetscFree(*hats));
  PetscFunctionReturn(0);
}

void FPHatAxisClear(FPHatAxis *h)
{
  for (PetscInt k = h->low; k <= h->high; k++) h->weight[k] = 0;
  h->low  = h->nodes;
  h->high = -1;
}

/* First of knot[0 .. n - 1], ascending, that is above u; n: none */
static PetscInt FirstAbove(const PetscReal knot[], PetscInt n, PetscReal u)
{
  PetscInt low = 0, high = n;

  while (low < high) {
    const PetscInt middle = (low + high) / 2;

    if (knot[middle] > u)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* share[first .. last] of the n knots, knot[0] and knot[n - 1] being the ends beyond which nothing counts */
static void Point(const PetscReal knot[], PetscInt n, PetscReal m, PetscReal share[], PetscInt *first, PetscInt *last)
{
  const PetscInt above = PetscClipInterval(FirstAbove(knot, n, m), 1, n - 1);

  *first           = above - 1;
  *last            = above;
  share[above]     = (m - knot[above - 1]) / (knot[above] - knot[above - 1]);
  share[above - 1] = 1 - share[above];
}

static void Spread(const PetscReal knot[], PetscInt n, PetscReal m, PetscReal sd, PetscReal share[], PetscInt *first,
                   PetscInt *last)
{
  PetscInt  from = PetscMax(FirstAbove(knot, n, m - REACH * sd) - 1, 0), to, k;
  PetscReal before, ramp;

  to     = PetscMin(PetscMax(FirstAbove(knot, n, m + REACH * sd), from + 1), n - 1);
  *first = from;
  *last  = to;
  /* rising part: intervals that end below m */
  before = Below(knot[0] - m, sd); /* mass that is lost below */
  if (from > 0) before = 0;
  ramp = Ramp(knot[from] - m, sd);
  for (k = from; k < to && knot[k + 1] <= m; k++) {
    const PetscReal next = Ramp(knot[k + 1] - m, sd), mean = (next - ramp) / (knot[k + 1] - knot[k]);

    share[k] = mean - before;
    before   = mean;
    ramp     = next;
  }
  /* share[k] is the peak's: 1 less what is below and above it */
  {
    PetscInt  top   = to;
    PetscReal above = to == n - 1 ? Below(m - knot[n - 1], sd) : 0, tail = Ramp(m - knot[to], sd);

    for (; top > k; top--) {
      const PetscReal next = Ramp(m - knot[top - 1], sd), mean = (next - tail) / (knot[top] - knot[top - 1]);

      share[top] = mean - above;
      above      = mean;
      tail       = next;
    }
    share[k] = 1 - before - above;
  }
}

void FPHatShares(const PetscReal knot[], PetscInt n, PetscReal mean, PetscReal sd, PetscReal share[], PetscInt *first,
                 PetscInt *last)
{
  if (sd > 0)
    Spread(knot, n, mean, sd, share, first, last);
  else
    Point(knot, n, mean, share, first, last);
}

/* The image of the law at m, on one segment */
static void AddImage(FPHatAxis *h, const FPSegment *s, PetscReal weight, PetscReal m, PetscReal sd)
{
  const PetscInt n = s->count + 2;
  PetscInt       first, last, low, high;
  PetscReal      below = 0, above = 0, *x = h->knot, theta;

  if (m + REACH * sd < s->lower || m - REACH * sd > s->upper) return;
  if (h->order == 0) {
    FPChebyshevAdd(h->rule, h->x, h->knot, h->nodes, s->lower, s->upper, weight, m, sd, h->weight, h->share);
    h->low  = 0;
    h->high = h->nodes - 1;
    return;
  }
  x[0] = s->lower;
  for (PetscInt k = 0; k < s->count; k++) x[k + 1] = h->x[s->first + k];
  x[n - 1] = s->upper;
  FPHatShares(x, n, m, sd, h->share, &first, &last);
  if (first == 0) below = h->share[0];
  if (last == n - 1) above = h->share[n - 1];
  low  = s->first + PetscMax(first, 1) - 1;
  high = s->first + PetscMin(last, n - 2) - 1;
  if (below != 0 && s->count > 1) high = PetscMax(high, s->first + 1);
  if (above != 0 && s->count > 1) low = PetscMin(low, s->first + s->count - 2);
  h->low  = PetscMin(h->low, low);
  h->high = PetscMax(h->high, high);
  for (PetscInt k = PetscMax(first, 1); k <= PetscMin(last, n - 2); k++)
    h->weight[s->first + k - 1] += weight * h->share[k];
  theta = s->count > 1 ? (x[1] - x[0]) / (x[2] - x[1]) : 0;
  h->weight[s->first] += weight * below * (1 + theta);
  if (s->count > 1) h->weight[s->first + 1] -= weight * below * theta;
  theta = s->count > 1 ? (x[n - 1] - x[n - 2]) / (x[n - 2] - x[n - 3]) : 0;
  h->weight[s->first + s->count - 1] += weight * above * (1 + theta);
  if (s->count > 1) h->weight[s->first + s->count - 2] -= weight * above * theta;
  if (h->order == 4) {
    low  = h->low - s->first;
    high = h->high - s->first;
    FPHatCubic(h->rule, h->x + s->first, s->count, s->lower, s->upper, weight, m, sd, h->weight + s->first, &low,
               &high);
    h->low  = low + s->first;
    h->high = high + s->first;
  }
}

static void AddEverySegment(FPHatAxis *h, PetscReal weight, PetscReal m, PetscReal sd)
{
  for (PetscInt k = 0; k < h->segments; k++) AddImage(h, &h->segment[k], weight, m, sd);
}

void FPHatAxisAdd(FPHatAxis *h, PetscReal weight, PetscReal mean, PetscReal sd)
{
  const PetscReal length = h->upper - h->lower, reach = REACH * sd;

  h->beyond += weight * (Below(h->lower - mean, sd) + Below(mean - h->upper, sd));
  if (h->mirror[0] && h->mirror[1]) {
    PetscReal m = fmod(mean - h->lower, 2 * length), widest;

    if (m < 0) m += 2 * length;
    m += h->lower;
    if (sd == 0) m = m < h->upper ? PetscMax(m, h->lower + 1e-15 * length) : PetscMax(m, h->upper + 1e-15 * length);
    widest = PetscCeilReal(PetscMin(reach / (2 * length), 1e3)) + 1;
    for (PetscReal k = -widest; k <= widest; k++) {
      AddEverySegment(h, weight, m + 2 * k * length, sd);
      AddEverySegment(h, weight, 2 * h->lower - m + 2 * k * length, sd);
    }
    return;
  }
  AddEverySegment(h, weight, mean, sd);
  if (h->mirror[0]) AddEverySegment(h, weight, 2 * h->lower - mean, sd);
  if (h->mirror[1]) AddEverySegment(h, weight, 2 * h->upper - mean, sd);
}

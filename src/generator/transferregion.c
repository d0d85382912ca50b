/* transferregion.c: steps in the plane that end in a set. With K(x, y) the density of a step, the integral of K(x, y)
   u(y) over a region is smooth in x on both sides of its boundary: u is kept on all nodes from which cells of the
   region are interpolated, those just beyond the boundary too, and the boundary cuts nothing but the integral. Cells
   lie between the nodes, as the intervals of transferplane.c do. Whole ones are products of the pieces of both axes; of
   those that the boundary cuts the part inside is integrated along lines that cross it, in strips that end where it
   meets the sides between which the lines run, so that in each the ends of the lines are smooth: by Gauss-Legendre
   nodes, on panels of one standard deviation at most. Source of the strips: R. I. Saye, SIAM J. Sci. Comput. 37 (2015).
 */
#include "transfer.h"

#define DENSITY 0.3989422804014327 /* of the standard normal law at 0 */
#define LOOKS 8                    /* parts of a segment at whose ends the level is looked at */
#define SIDE 5                     /* points per axis and cell that tell whether a boundary cuts it */
#define NARROW 1e-13               /* of a segment, to which a crossing is found */
#define MOST_STEPS 140
#define SAME 1e-7 /* of a cell: its quarters make no difference */
#define DEEPEST 6 /* quarterings */
#define ALONE 8   /* Gauss-Legendre nodes where a probability is all that is asked for */

typedef enum { OUTSIDE, WHOLE, CUT } State;

typedef struct {
  PetscInt  m[2], first, last; /* its intervals, and points */
  PetscReal middle[2], half[2];
} CutCell;

struct _p_FPLanding {
  FPPlane                        plane;
  FPRegion                       set;
  PetscReal                      sign;            /* -1: the complement */
  PetscInt                       terms;           /* 1: probabilities alone */
  PetscInt                       low[2], high[2]; /* intervals that the set meets */
  char                          *state;           /* [m1][m0] */
  PetscInt                       cuts, points, room[2];
  CutCell                       *cut;
  PetscReal                     *at[2], *weight, *value; /* of the points of cut cells */
  PetscReal                     *product;                /* [m1 - low][terms][m0 - low][terms] */
  gsl_integration_glfixed_table *along;
};

/* Share of the segment at which the level passes 0 between low and high, where it is flow and fhigh: by secants, with
   halvings where they are slow */
static PetscReal Root(FPLanding l, const PetscReal from[], const PetscReal to[], PetscReal low, PetscReal high,
                      PetscReal flow, PetscReal fhigh)
{
  for (PetscInt step = 0; step < MOST_STEPS && high - low > NARROW; step++) {
    const PetscReal secant = low + (high - low) * flow / (flow - fhigh), least = NARROW / 2;
    const PetscReal t    = step % 3 == 2 ? (low + high) / 2 : PetscClipInterval(secant, low + least, high - least);
    const PetscReal z[2] = {from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])};
    double          f;

    FPRegionLevel(l->set, 1, z, &f);
    if ((l->sign * f < 0) == (l->sign * flow < 0)) {
      low  = t;
      flow = f;
    } else {
      high  = t;
      fhigh = f;
    }
  }
  return (low + high) / 2;
}

/* Shares of the segment at which it passes the boundary, ascending; *inside: where it starts */
static PetscInt Crossings(FPLanding l, const PetscReal from[], const PetscReal to[], PetscReal t[LOOKS],
                          PetscBool *inside)
{
  PetscReal z[2 * (LOOKS + 1)], f[LOOKS + 1];
  PetscInt  n = 0;

  for (PetscInt k = 0; k <= LOOKS; k++)
    for (PetscInt a = 0; a < 2; a++) z[a * (LOOKS + 1) + k] = from[a] + (to[a] - from[a]) * k / LOOKS;
  FPRegionLevel(l->set, LOOKS + 1, z, f);
  *inside = (PetscBool)(l->sign * f[0] < 0);
  for (PetscInt k = 0; k < LOOKS; k++)
    if ((l->sign * f[k] < 0) != (l->sign * f[k + 1] < 0))
      t[n++] = Root(l, from, to, (PetscReal)k / LOOKS, (PetscReal)(k + 1) / LOOKS, f[k], f[k + 1]);
  return n;
}

static PetscErrorCode AddPoint(FPLanding l, const PetscReal at[], PetscReal weight)
{
  PetscFunctionBegin;
  if (l->points == l->room[1]) {
    l->room[1] = PetscMax(1024, 2 * l->room[1]);
    for (PetscInt a = 0; a < 2; a++) PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)l->room[1], &l->at[a]));
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)l->room[1], &l->weight));
  }
  for (PetscInt a = 0; a < 2; a++) l->at[a][l->points] = at[a];
  l->weight[l->points++] = weight;
  PetscFunctionReturn(0);
}

/* Panels of a part of an axis */
static PetscInt Panels(const FPPlaneAxis *axis, PetscReal length)
{
  return PetscMax(1, (PetscInt)PetscCeilReal(length / axis->sd));
}

/* What is inside on the line from `from` along axis `in` to `end`, with a weight of its own */
static PetscErrorCode AddLine(FPLanding l, PetscInt in, const PetscReal from[], PetscReal end, PetscReal weight)
{
  PetscReal t[LOOKS + 2], to[2] = {from[0], from[1]};
  PetscBool inside;
  PetscInt  n;

  PetscFunctionBegin;
  to[in]   = end;
  t[0]     = 0;
  n        = Crossings(l, from, to, t + 1, &inside);
  t[n + 1] = 1;
  for (PetscInt k = 0; k <= n; k++, inside = (PetscBool)!inside) {
    const PetscReal length = (t[k + 1] - t[k]) * (end - from[in]);
    const PetscInt  panels = Panels(&l->plane->axis[in], length);

    for (PetscInt i = 0; inside && i < panels * (PetscInt)l->along->n; i++) {
      const PetscReal low   = from[in] + t[k] * (end - from[in]) + i / (PetscInt)l->along->n * length / panels;
      PetscReal       at[2] = {from[0], from[1]}, w;

      gsl_integration_glfixed_point(low, low + length / panels, (size_t)i % l->along->n, &at[in], &w, l->along);
      PetscCall(AddPoint(l, at, weight * w));
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddStrips(FPLanding l, PetscInt in, const PetscReal lower[], const PetscReal upper[])
{
  const PetscInt out = 1 - in;
  PetscReal      t[2 * LOOKS + 2], from[2], to[2];
  PetscBool      inside;
  PetscInt       n = 2;

  PetscFunctionBegin;
  t[0] = 0;
  t[1] = 1;
  for (PetscInt side = 0; side < 2; side++) {
    from[in] = to[in] = side ? upper[in] : lower[in];
    from[out]         = lower[out];
    to[out]           = upper[out];
    n += Crossings(l, from, to, t + n, &inside);
  }
  PetscCall(PetscSortReal(n, t));
  from[in] = lower[in];
  for (PetscInt k = 0; k + 1 < n; k++) {
    const PetscReal length = (t[k + 1] - t[k]) * (upper[out] - lower[out]);
    const PetscInt  panels = Panels(&l->plane->axis[out], length);

    if (!(length > 0)) continue;
    for (PetscInt i = 0; i < panels * (PetscInt)l->along->n; i++) {
      const PetscReal low = lower[out] + t[k] * (upper[out] - lower[out]) + i / (PetscInt)l->along->n * length / panels;
      PetscReal       w;

      gsl_integration_glfixed_point(low, low + length / panels, (size_t)i % l->along->n, &from[out], &w, l->along);
      PetscCall(AddLine(l, in, from, upper[in], w));
    }
  }
  PetscFunctionReturn(0);
}

static PetscReal Area(FPLanding l, PetscInt first)
{
  PetscReal area = 0;

  for (PetscInt q = first; q < l->points; q++) area += l->weight[q];
  return area;
}

/* Points of the part of a rectangle that is inside; their lines cross the boundary */
static PetscErrorCode AddRectangle(FPLanding l, const PetscReal lower[], const PetscReal upper[])
{
  const PetscReal z[8] = {lower[0], upper[0], lower[0], upper[0], lower[1], lower[1], upper[1], upper[1]};
  double          f[4];

  PetscFunctionBegin;
  FPRegionLevel(l->set, 4, z, f);
  PetscCall(AddStrips(l, PetscAbsReal(f[1] + f[3] - f[0] - f[2]) >= PetscAbsReal(f[2] + f[3] - f[0] - f[1]) ? 0 : 1,
                      lower, upper));
  PetscFunctionReturn(0);
}

static void Quarter(PetscInt k, const PetscReal lower[], const PetscReal upper[], PetscReal low[], PetscReal high[])
{
  for (PetscInt a = 0; a < 2; a++) {
    const PetscReal middle = (lower[a] + upper[a]) / 2;

    low[a]  = (k >> a) % 2 ? middle : lower[a];
    high[a] = (k >> a) % 2 ? upper[a] : middle;
  }
}

/* The same, in quarters where these make a difference, as they do around the corners of a set */
static PetscErrorCode AddPart(FPLanding l, const PetscReal lower[], const PetscReal upper[], PetscReal whole,
                              PetscInt depth)
{
  const PetscInt first = l->points;
  PetscReal      low[2], high[2], area;
  PetscInt       middle;

  PetscFunctionBegin;
  PetscCall(AddRectangle(l, lower, upper));
  if (depth == DEEPEST) PetscFunctionReturn(0);
  area   = Area(l, first);
  middle = l->points;
  for (PetscInt k = 0; k < 4; k++) {
    Quarter(k, lower, upper, low, high);
    PetscCall(AddRectangle(l, low, high));
  }
  if (PetscAbsReal(Area(l, middle) - area) < SAME * whole) {
    l->points = middle;
    PetscFunctionReturn(0);
  }
  l->points = first;
  for (PetscInt k = 0; k < 4; k++) {
    Quarter(k, lower, upper, low, high);
    PetscCall(AddPart(l, low, high, whole, depth + 1));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddCut(FPLanding l, const PetscInt m[])
{
  PetscReal lower[2], upper[2];
  CutCell  *cell;

  PetscFunctionBegin;
  if (l->cuts == l->room[0]) {
    l->room[0] = PetscMax(128, 2 * l->room[0]);
    PetscCall(PetscRealloc(sizeof(CutCell) * (size_t)l->room[0], &l->cut));
  }
  cell        = &l->cut[l->cuts++];
  cell->first = l->points;
  for (PetscInt a = 0; a < 2; a++) {
    lower[a]        = l->plane->axis[a].end[m[a]];
    upper[a]        = l->plane->axis[a].end[m[a] + 1];
    cell->m[a]      = m[a];
    cell->middle[a] = (lower[a] + upper[a]) / 2;
    cell->half[a]   = (upper[a] - lower[a]) / 2;
  }
  PetscCall(AddPart(l, lower, upper, (upper[0] - lower[0]) * (upper[1] - lower[1]), 0));
  cell->last = l->points;
  PetscFunctionReturn(0);
}

static PetscErrorCode FindCells(FPLanding l)
{
  const FPPlaneAxis *axis = l->plane->axis;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((axis[0].nodes + 1) * (axis[1].nodes + 1), &l->state));
  for (PetscInt a = 0; a < 2; a++) {
    l->low[a]  = axis[a].nodes + 1;
    l->high[a] = -1;
  }
  for (PetscInt j = 0; j <= axis[1].nodes; j++)
    for (PetscInt i = 0; i <= axis[0].nodes; i++) {
      const PetscInt m[2] = {i, j};
      PetscReal      z[2 * SIDE * SIDE], f[SIDE * SIDE];
      PetscInt       inside = 0;
      char          *state  = &l->state[j * (axis[0].nodes + 1) + i];

      for (PetscInt k = 0; k < SIDE * SIDE; k++)
        for (PetscInt a = 0; a < 2; a++) {
          const PetscReal *end = axis[a].end + m[a];

          z[a * SIDE * SIDE + k] = end[0] + (end[1] - end[0]) * (a ? k / SIDE : k % SIDE) / (SIDE - 1);
        }
      FPRegionLevel(l->set, SIDE * SIDE, z, f);
      for (PetscInt k = 0; k < SIDE * SIDE; k++) inside += l->sign * f[k] < 0;
      *state = (char)(inside == 0 ? OUTSIDE : inside == SIDE * SIDE ? WHOLE : CUT);
      if (*state == CUT) PetscCall(AddCut(l, m));
      for (PetscInt a = 0; a < 2 && *state != OUTSIDE; a++) {
        l->low[a]  = PetscMin(l->low[a], m[a]);
        l->high[a] = PetscMax(l->high[a], m[a]);
      }
    }
  PetscFunctionReturn(0);
}

PetscErrorCode FPLandingCreate(FPPlane plane, FPRegion set, PetscBool complement, PetscBool alone, FPLanding *landing)
{
  FPLanding l;

  PetscFunctionBegin;
  PetscCall(PetscNew(&l));
  *landing = l;
  l->plane = plane;
  l->set   = set;
  l->sign  = complement ? -1 : 1;
  l->terms = alone ? 1 : plane->terms;
  l->along = gsl_integration_glfixed_table_alloc((size_t)(alone ? ALONE : l->terms + 2));
  PetscCall(FindCells(l));
  PetscCall(PetscMalloc1(l->points, &l->value));
  PetscCall(PetscMalloc1(PetscMax(0, l->high[0] - l->low[0] + 1) * PetscMax(0, l->high[1] - l->low[1] + 1) * l->terms *
                             l->terms,
                         &l->product));
  PetscFunctionReturn(0);
}

void FPLandingNodes(FPLanding l, PetscInt beyond[])
{
  const FPPlaneAxis *axis = l->plane->axis;
  FPGenerator        gen  = l->plane->gen;

  for (PetscInt k = 0; k < gen->n; k++) beyond[k] = 1;
  for (PetscInt j = 0; j <= axis[1].nodes; j++)
    for (PetscInt i = 0; i <= axis[0].nodes; i++) {
      PetscInt node[2][FP_TERMS];

      if (l->state[j * (axis[0].nodes + 1) + i] == OUTSIDE) continue;
      FPPlaneNodes(i, axis[0].nodes, node[0]);
      FPPlaneNodes(j, axis[1].nodes, node[1]);
      for (PetscInt s = 0; s < l->terms; s++)
        for (PetscInt t = 0; t < l->terms; t++) beyond[gen->unknown[node[1][t] * gen->stride[1] + node[0][s]]] = 0;
    }
}

void FPLandingClear(FPLanding l)
{
  const PetscInt wide = (l->high[0] - l->low[0] + 1) * l->terms;

  for (PetscInt k = 0; k < wide * (l->high[1] - l->low[1] + 1) * l->terms && wide > 0; k++) l->product[k] = 0;
  for (PetscInt q = 0; q < l->points; q++) l->value[q] = 0;
}

/* value[n] += factor exp(-(((x - at)/sd)^2 + ..)/2) */
FP_HOT static void Densities(PetscInt n, const PetscReal x[], const PetscReal y[], const PetscReal at[],
                             const PetscReal sd[], PetscReal factor, PetscReal value[])
{
  const PetscReal fx = M_SQRT1_2 / sd[0], fy = M_SQRT1_2 / sd[1];

#pragma omp simd
  for (PetscInt q = 0; q < n; q++) {
    const PetscReal dx = (x[q] - at[0]) * fx, dy = (y[q] - at[1]) * fy;

    value[q] += factor * FPExponential(-dx * dx - dy * dy);
  }
}

/* value[points] += density of the point at hand at the points of cut cells */
static void AddDensity(FPLanding l, PetscReal weight)
{
  const FPPlaneAxis *axis  = l->plane->axis;
  const PetscReal    sd[2] = {axis[0].wide, axis[1].wide}, factor = weight * PetscSqr(DENSITY) / (sd[0] * sd[1]);

  for (PetscInt i = 0; i < axis[0].images; i++)
    for (PetscInt j = 0; j < axis[1].images; j++) {
      const PetscReal at[2] = {axis[0].image[i], axis[1].image[j]};

      for (PetscInt c = 0; c < l->cuts; c++) {
        const CutCell  *cell  = &l->cut[c];
        const PetscInt  first = cell->first;
        const PetscReal dx    = PetscMax(0, PetscAbsReal(cell->middle[0] - at[0]) - cell->half[0]) / sd[0];
        const PetscReal dy    = PetscMax(0, PetscAbsReal(cell->middle[1] - at[1]) - cell->half[1]) / sd[1];

        if (dx * dx + dy * dy <= PetscSqr(FP_TAIL))
          Densities(cell->last - first, l->at[0] + first, l->at[1] + first, at, sd, factor, l->value + first);
      }
    }
}

void FPLandingAdd(FPLanding l, PetscReal weight)
{
  const FPPlaneAxis *x = &l->plane->axis[0], *y = &l->plane->axis[1];
  const PetscInt     terms = l->terms, wide = (l->high[0] - l->low[0] + 1) * terms;
  const PetscInt     from = PetscMax(l->low[0], x->low), to = PetscMin(l->high[0], x->high);
  const PetscReal   *first = terms == 1 ? x->mass : x->piece, *second = terms == 1 ? y->mass : y->piece;

  for (PetscInt j = PetscMax(l->low[1], y->low) * terms; j < (PetscMin(l->high[1], y->high) + 1) * terms; j++) {
    PetscReal      *product = l->product + (j - l->low[1] * terms) * wide - l->low[0] * terms;
    const PetscReal share   = weight * second[j];

#pragma omp simd
    for (PetscInt i = from * terms; i < (to + 1) * terms; i++) product[i] += share * first[i];
  }
  AddDensity(l, weight);
}

void FPLandingCollect(FPLanding l, PetscReal row[], PetscReal *mass)
{
  const FPPlaneAxis *axis  = l->plane->axis;
  const PetscInt     terms = l->terms, wide = (l->high[0] - l->low[0] + 1) * terms, stride = l->plane->gen->stride[1];

  *mass = 0;
  for (PetscInt k = 0; k < l->plane->gen->lattice && row; k++) row[k] = 0;
  for (PetscInt j = l->low[1]; j <= l->high[1]; j++)
    for (PetscInt i = l->low[0]; i <= l->high[0]; i++) {
      const PetscReal *block = l->product + (j - l->low[1]) * terms * wide + (i - l->low[0]) * terms;
      PetscInt         node[2][FP_TERMS];

      if (l->state[j * (axis[0].nodes + 1) + i] != WHOLE) continue;
      FPPlaneNodes(i, axis[0].nodes, node[0]);
      FPPlaneNodes(j, axis[1].nodes, node[1]);
      for (PetscInt t = 0; t < terms; t++)
        for (PetscInt s = 0; s < terms; s++) {
          *mass += block[t * wide + s];
          if (row) row[node[1][t] * stride + node[0][s]] += block[t * wide + s];
        }
    }
  for (PetscInt c = 0; c < l->cuts; c++) {
    const CutCell *cell = &l->cut[c];
    PetscInt       node[2][FP_TERMS];

    FPPlaneNodes(cell->m[0], axis[0].nodes, node[0]);
    FPPlaneNodes(cell->m[1], axis[1].nodes, node[1]);
    for (PetscInt q = cell->first; q < cell->last; q++) {
      const PetscReal value = l->weight[q] * l->value[q];
      PetscReal       shape[2][FP_TERMS];

      *mass += value;
      for (PetscInt a = 0; a < 2 && row; a++)
        FPPlaneShapes(axis[a].nodes, axis[a].x, cell->m[a], terms, l->at[a][q], shape[a]);
      for (PetscInt t = 0; t < terms && row; t++)
        for (PetscInt s = 0; s < terms; s++) row[node[1][t] * stride + node[0][s]] += value * shape[1][t] * shape[0][s];
    }
  }
}

PetscErrorCode FPLandingDestroy(FPLanding *landing)
{
  FPLanding l = *landing;

  PetscFunctionBegin;
  if (!l) PetscFunctionReturn(0);
  gsl_integration_glfixed_table_free(l->along);
  PetscCall(PetscFree(l->state));
  PetscCall(PetscFree(l->cut));
  for (PetscInt a = 0; a < 2; a++) PetscCall(PetscFree(l->at[a]));
  PetscCall(PetscFree(l->weight));
  PetscCall(PetscFree(l->value));
  PetscCall(PetscFree(l->product));
  PetscCall(PetscFree(*landing));
  PetscFunctionReturn(0);
}

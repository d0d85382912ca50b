/* transferregion.c: steps in the plane that end in a set. With K(x, y) the density of a step, the integral of K(x, y)
   u(y) over a region is smooth in x on both sides of its boundary: u is kept on all nodes from which cells of the
   region are interpolated, those just beyond the boundary too, and the boundary cuts nothing but the integral. Here
   cells lie between nodes, or between nodes and walls, where one polynomial of each axis interpolates. Whole cells are
   products of integrals along the axes; of cells that the boundary cuts the part inside is integrated along lines that
   cross it, in strips that end where it meets the sides between which the lines run, so that in each the ends of the
   lines are smooth: both by Gauss-Legendre nodes, on panels of one standard deviation at most. Noise narrower than a
   sixteenth of a cell counts as that wide. Source of the strips: R. I. Saye, SIAM J. Sci. Comput. 37 (2015). */
#include "transfer.h"
#include <petscblaslapack.h>

#define DENSITY 0.3989422804014327 /* of the standard normal law at 0 */
#define PANEL 0.75                 /* standard deviations that a panel along an axis may span */
#define WIDEST 16                  /* standard deviations in a cell, at most */
#define RULE 6                     /* Gauss-Legendre nodes of a panel along an axis */
#define TERMS 4                    /* nodes of an interpolation, at most */
#define LOOKS 8                    /* parts of a segment at whose ends the level is looked at */
#define SIDE 5                     /* points per axis and cell that tell whether a boundary cuts it */
#define HALVINGS 46

typedef enum { OUTSIDE, WHOLE, CUT } State;

/* Intervals between the ends of an axis and its nodes; those from low to high are met by the set. */
typedef struct {
  PetscInt    nodes, low, high, *first; /* points of interval m: first[m] .. first[m + 1] - 1 */
  PetscReal  *x, *end;                  /* [nodes], [nodes + 2] */
  PetscReal  *y, *weight, *shape;       /* points, shape[point][terms] */
  PetscReal   sd;                       /* least, of what is integrated */
  PetscBool   mirror[2];
  PetscInt    images, room;
  PetscReal  *image, *piece; /* of the component at hand; piece[interval - low][terms] of all, one after the other */
} Axis;

typedef struct {
  PetscInt  m[2], first, last; /* its intervals, and points */
  PetscReal middle[2], half[2];
} CutCell;

struct _p_FPLanding {
  FPGenerator                    gen;
  FPRegion                       set;
  PetscReal                      sign; /* -1: the complement */
  PetscInt                       terms;
  Axis                           axis[2];
  char                          *state; /* [m1][m0] */
  PetscInt                       cuts, points, room[2];
  CutCell                       *cut;
  PetscReal                     *at, *weight, *value; /* of the points of cut cells: at[point][2] */
  gsl_integration_glfixed_table *rule, *along;
  PetscReal                     *product; /* [m1][m0] blocks of pieces, terms x terms */
};

/* Nodes of the polynomial that interpolates on interval m of n nodes: hats, or cubics as FPHatCubic() has them */
static void NodesOf(PetscInt m, PetscInt n, PetscInt node[TERMS])
{
  const PetscInt k = PetscClipInterval(m - 1, 0, n - 2);

  node[0] = k;
  node[1] = k + 1;
  node[2] = k > 0 ? k - 1 : 2;
  node[3] = k == 0 ? 3 : k + 2 < n ? k + 2 : k - 2;
}

/* Values at y of the polynomials of interval m; one term: 1 */
static void Shapes(const Axis *axis, PetscInt m, PetscInt terms, PetscReal y, PetscReal shape[])
{
  PetscInt node[TERMS];

  NodesOf(m, axis->nodes, node);
  for (PetscInt s = 0; s < terms; s++) {
    shape[s] = 1;
    for (PetscInt t = 0; t < terms; t++)
      if (t != s) shape[s] *= (y - axis->x[node[t]]) / (axis->x[node[s]] - axis->x[node[t]]);
  }
}

static PetscReal Level(FPLanding l, const PetscReal z[])
{
  double f;

  FPRegionLevel(l->set, 1, z, &f);
  return l->sign * f;
}

static PetscErrorCode SetUpAxis(FPLanding l, PetscInt a, PetscReal injected)
{
  FPGenerator    gen  = l->gen;
  Axis          *axis = &l->axis[a];
  const PetscInt n    = gen->cells[a];
  const FPBox   *box;
  PetscReal     *width;
  PetscInt      *panels, points = 0;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  axis->nodes = n;
  for (PetscInt side = 0; side < 2; side++) axis->mirror[side] = (PetscBool)(box->face[2 * a + side] == FP_REFLECTING);
  PetscCall(PetscMalloc3(n, &axis->x, n + 2, &axis->end, n + 2, &axis->first));
  PetscCall(PetscMalloc2(n, &width, n + 1, &panels));
  PetscCall(FPGeneratorAxis(gen, a, axis->x, width));
  axis->end[0]     = box->lower[a];
  axis->end[n + 1] = box->upper[a];
  axis->sd         = injected;
  for (PetscInt k = 0; k < n; k++) {
    axis->end[k + 1] = axis->x[k];
    axis->sd         = PetscMax(axis->sd, width[k] / WIDEST);
  }
  for (PetscInt m = 0; m <= n; m++) {
    axis->first[m] = points;
    panels[m]      = (PetscInt)PetscCeilReal((axis->end[m + 1] - axis->end[m]) / (PANEL * axis->sd));
    points += RULE * panels[m];
  }
  axis->first[n + 1] = points;
  PetscCall(PetscMalloc3(points, &axis->y, points, &axis->weight, points * l->terms, &axis->shape));
  for (PetscInt m = 0; m <= n; m++)
    for (PetscInt i = axis->first[m]; i < axis->first[m + 1]; i++) {
      const PetscInt  p     = (i - axis->first[m]) / RULE;
      const PetscReal whole = (axis->end[m + 1] - axis->end[m]) / panels[m], from = axis->end[m] + p * whole;

      gsl_integration_glfixed_point(from, from + whole, (size_t)((i - axis->first[m]) % RULE), &axis->y[i],
                                    &axis->weight[i], l->rule);
      Shapes(axis, m, l->terms, axis->y[i], axis->shape + i * l->terms);
    }
  PetscCall(PetscFree2(width, panels));
  PetscFunctionReturn(0);
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
  for (PetscInt k = 0; k < LOOKS; k++) {
    PetscReal low = (PetscReal)k / LOOKS, high = (PetscReal)(k + 1) / LOOKS;

    if ((l->sign * f[k] < 0) == (l->sign * f[k + 1] < 0)) continue;
    for (PetscInt step = 0; step < HALVINGS; step++) {
      const PetscReal middle = (low + high) / 2;
      const PetscReal at[2]  = {from[0] + middle * (to[0] - from[0]), from[1] + middle * (to[1] - from[1])};

      if ((Level(l, at) < 0) == (l->sign * f[k] < 0))
        low = middle;
      else
        high = middle;
    }
    t[n++] = (low + high) / 2;
  }
  return n;
}

static PetscErrorCode AddPoint(FPLanding l, const PetscReal at[], PetscReal weight)
{
  PetscFunctionBegin;
  if (l->points == l->room[1]) {
    l->room[1] = PetscMax(1024, 2 * l->room[1]);
    PetscCall(PetscRealloc(sizeof(PetscReal) * 2 * (size_t)l->room[1], &l->at));
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)l->room[1], &l->weight));
  }
  l->at[2 * l->points]     = at[0];
  l->at[2 * l->points + 1] = at[1];
  l->weight[l->points++]   = weight;
  PetscFunctionReturn(0);
}

/* Panels of a part of an axis */
static PetscInt Panels(const Axis *axis, PetscReal length)
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
    const PetscInt  panels = Panels(&l->axis[in], length);

    for (PetscInt i = 0; inside && i < panels * (PetscInt)l->along->n; i++) {
      const PetscReal low = from[in] + t[k] * (end - from[in]) + i / (PetscInt)l->along->n * length / panels;
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
    const PetscInt  panels = Panels(&l->axis[out], length);

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

/* The part of a cell that is inside; its lines cross the boundary. */
static PetscErrorCode AddCut(FPLanding l, const PetscInt m[], const PetscReal f[])
{
  const PetscInt  last  = SIDE * SIDE - 1;
  const PetscReal rise0 = f[SIDE - 1] + f[last] - f[0] - f[last - SIDE + 1];
  const PetscReal rise1 = f[last - SIDE + 1] + f[last] - f[0] - f[SIDE - 1];
  PetscReal       lower[2], upper[2];
  CutCell        *cell;

  PetscFunctionBegin;
  if (l->cuts == l->room[0]) {
    l->room[0] = PetscMax(128, 2 * l->room[0]);
    PetscCall(PetscRealloc(sizeof(CutCell) * (size_t)l->room[0], &l->cut));
  }
  cell        = &l->cut[l->cuts++];
  cell->first = l->points;
  for (PetscInt a = 0; a < 2; a++) {
    lower[a]        = l->axis[a].end[m[a]];
    upper[a]        = l->axis[a].end[m[a] + 1];
    cell->m[a]      = m[a];
    cell->middle[a] = (lower[a] + upper[a]) / 2;
    cell->half[a]   = (upper[a] - lower[a]) / 2;
  }
  PetscCall(AddStrips(l, PetscAbsReal(rise0) >= PetscAbsReal(rise1) ? 0 : 1, lower, upper));
  cell->last = l->points;
  PetscFunctionReturn(0);
}

static PetscErrorCode FindCells(FPLanding l)
{
  Axis *axis = l->axis;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((axis[0].nodes + 1) * (axis[1].nodes + 1), &l->state));
  for (PetscInt a = 0; a < 2; a++) {
    axis[a].low  = axis[a].nodes + 1;
    axis[a].high = -1;
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
      if (*state == CUT) PetscCall(AddCut(l, m, f));
      for (PetscInt a = 0; a < 2 && *state != OUTSIDE; a++) {
        axis[a].low  = PetscMin(axis[a].low, m[a]);
        axis[a].high = PetscMax(axis[a].high, m[a]);
      }
    }
  PetscFunctionReturn(0);
}

PetscErrorCode FPLandingCreate(FPGenerator gen, FPRegion set, PetscBool complement, PetscBool masses,
                               PetscReal injected, FPLanding *landing)
{
  const PetscInt most = PetscMin(gen->cells[0], gen->cells[1]);
  FPLanding      l;

  PetscFunctionBegin;
  PetscCall(PetscNew(&l));
  *landing = l;
  l->gen   = gen;
  l->set   = set;
  l->sign  = complement ? -1 : 1;
  l->terms = masses ? 1 : PetscMin(most, FPTransferOrder(&gen->options.transfer));
  l->rule  = gsl_integration_glfixed_table_alloc(RULE);
  l->along = gsl_integration_glfixed_table_alloc((size_t)(masses ? 2 * TERMS : l->terms + 2));
  for (PetscInt a = 0; a < 2; a++) PetscCall(SetUpAxis(l, a, injected));
  PetscCall(FindCells(l));
  PetscCall(PetscMalloc1(l->points, &l->value));
  PetscCall(PetscMalloc1(PetscMax(0, l->axis[0].high - l->axis[0].low + 1) *
                             PetscMax(0, l->axis[1].high - l->axis[1].low + 1) * l->terms * l->terms,
                         &l->product));
  PetscFunctionReturn(0);
}

void FPLandingNodes(FPLanding l, PetscInt beyond[])
{
  for (PetscInt k = 0; k < l->gen->n; k++) beyond[k] = 1;
  for (PetscInt j = 0; j <= l->axis[1].nodes; j++)
    for (PetscInt i = 0; i <= l->axis[0].nodes; i++) {
      PetscInt node[2][TERMS];

      if (l->state[j * (l->axis[0].nodes + 1) + i] == OUTSIDE) continue;
      NodesOf(i, l->axis[0].nodes, node[0]);
      NodesOf(j, l->axis[1].nodes, node[1]);
      for (PetscInt s = 0; s < l->terms; s++)
        for (PetscInt t = 0; t < l->terms; t++)
          beyond[l->gen->unknown[node[1][t] * l->gen->stride[1] + node[0][s]]] = 0;
    }
}

/* Images of a place in the walls that matter to the set */
static PetscErrorCode FindImages(Axis *axis, PetscReal m, PetscReal reach)
{
  const PetscReal lower = axis->end[0], upper = axis->end[axis->nodes + 1];
  const PetscReal from = axis->end[axis->low] - reach, to = axis->end[axis->high + 1] + reach;
  const PetscBool both   = (PetscBool)(axis->mirror[0] && axis->mirror[1]);
  const PetscReal period = 2 * (upper - lower);
  const PetscReal own[3] = {m, 2 * lower - m, 2 * upper - m};

  PetscFunctionBegin;
  axis->images = 0;
  for (PetscInt k = 0; k < (both ? 2 : 3); k++) {
    const PetscReal first = both ? own[k] + period * PetscCeilReal((from - own[k]) / period) : own[k];

    if (k > 0 && !both && !axis->mirror[k - 1]) continue;
    for (PetscReal at = first; at < to; at += both ? period : PETSC_MAX_REAL / 4) {
      if (at < from) continue;
      if (axis->images == axis->room) {
        axis->room = PetscMax(8, 2 * axis->room);
        PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)axis->room, &axis->image));
      }
      axis->image[axis->images++] = at;
    }
  }
  PetscFunctionReturn(0);
}

/* piece[high - low + 1][terms]: integrals of the component over the intervals */
static void AddPieces(const Axis *axis, PetscInt terms, PetscReal sd, PetscReal weight, PetscReal piece[])
{
  for (PetscInt k = 0; k < (axis->high - axis->low + 1) * terms; k++) piece[k] = 0;
  for (PetscInt i = 0; i < axis->images; i++) {
    const PetscReal at = axis->image[i], reach = FP_TAIL * sd, factor = weight * DENSITY / sd;

    for (PetscInt m = axis->low; m <= axis->high; m++) {
      if (axis->end[m + 1] < at - reach || axis->end[m] > at + reach) continue;
      for (PetscInt q = axis->first[m]; q < axis->first[m + 1]; q++) {
        const PetscReal mass = factor * axis->weight[q] * exp(-0.5 * PetscSqr((axis->y[q] - at) / sd));

        for (PetscInt s = 0; s < terms; s++) piece[(m - axis->low) * terms + s] += mass * axis->shape[q * terms + s];
      }
    }
  }
}

/* value[points] += density of the component at the points of cut cells */
static void AddDensity(FPLanding l, const PetscReal sd[], PetscReal weight)
{
  const PetscReal factor = weight * PetscSqr(DENSITY) / (sd[0] * sd[1]);

  for (PetscInt i = 0; i < l->axis[0].images; i++)
    for (PetscInt j = 0; j < l->axis[1].images; j++) {
      const PetscReal x = l->axis[0].image[i], y = l->axis[1].image[j];

      for (PetscInt c = 0; c < l->cuts; c++) {
        const CutCell  *cell = &l->cut[c];
        const PetscReal dx   = PetscMax(0, PetscAbsReal(cell->middle[0] - x) - cell->half[0]) / sd[0];
        const PetscReal dy   = PetscMax(0, PetscAbsReal(cell->middle[1] - y) - cell->half[1]) / sd[1];

        if (dx * dx + dy * dy > PetscSqr(FP_TAIL)) continue;
        for (PetscInt q = cell->first; q < cell->last; q++)
          l->value[q] +=
              factor * exp(-0.5 * (PetscSqr((l->at[2 * q] - x) / sd[0]) + PetscSqr((l->at[2 * q + 1] - y) / sd[1])));
      }
    }
}

/* Entries of the cells, with what their nodes are: into row[lattice], or as their sum */
static void Collect(FPLanding l, PetscReal row[], PetscReal *mass)
{
  const PetscInt terms = l->terms, wide = (l->axis[0].high - l->axis[0].low + 1) * terms, stride = l->gen->stride[1];

  *mass = 0;
  for (PetscInt j = l->axis[1].low; j <= l->axis[1].high; j++)
    for (PetscInt i = l->axis[0].low; i <= l->axis[0].high; i++) {
      const PetscReal *block = l->product + (j - l->axis[1].low) * terms * wide + (i - l->axis[0].low) * terms;
      PetscInt         node[2][TERMS];

      if (l->state[j * (l->axis[0].nodes + 1) + i] != WHOLE) continue;
      NodesOf(i, l->axis[0].nodes, node[0]);
      NodesOf(j, l->axis[1].nodes, node[1]);
      for (PetscInt t = 0; t < terms; t++)
        for (PetscInt s = 0; s < terms; s++) {
          *mass += block[t * wide + s];
          if (row) row[node[1][t] * stride + node[0][s]] += block[t * wide + s];
        }
    }
  for (PetscInt c = 0; c < l->cuts; c++) {
    const CutCell *cell = &l->cut[c];
    PetscInt       node[2][TERMS];

    NodesOf(cell->m[0], l->axis[0].nodes, node[0]);
    NodesOf(cell->m[1], l->axis[1].nodes, node[1]);
    for (PetscInt q = cell->first; q < cell->last; q++) {
      const PetscReal value = l->weight[q] * l->value[q];
      PetscReal       shape[2][TERMS];

      *mass += value;
      for (PetscInt a = 0; a < 2 && row; a++) Shapes(&l->axis[a], cell->m[a], terms, l->at[2 * q + a], shape[a]);
      for (PetscInt t = 0; t < terms && row; t++)
        for (PetscInt s = 0; s < terms; s++)
          row[node[1][t] * stride + node[0][s]] += value * shape[1][t] * shape[0][s];
    }
  }
}

PetscErrorCode FPLandingFrom(FPLanding l, const FPMixture *points, const PetscReal normal[], PetscReal row[],
                             PetscReal *mass)
{
  Axis            *axis  = l->axis;
  const PetscInt   terms = l->terms;
  PetscBLASInt     size[2], count = 0;
  const PetscReal  one = 1, zero = 0;
  const PetscReal  sd[2] = {PetscMax(normal[0], axis[0].sd), PetscMax(normal[1], axis[1].sd)};

  PetscFunctionBegin;
  *mass = 0;
  for (PetscInt k = 0; k < l->gen->lattice && row; k++) row[k] = 0;
  if (axis[0].high < axis[0].low) PetscFunctionReturn(0);
  for (PetscInt a = 0; a < 2; a++) {
    size[a] = (PetscBLASInt)((axis[a].high - axis[a].low + 1) * terms);
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)(size[a] * points->n), &axis[a].piece));
  }
  for (PetscInt q = 0; q < l->points; q++) l->value[q] = 0;
  for (PetscInt p = 0; p < points->n; p++) {
    for (PetscInt a = 0; a < 2; a++) PetscCall(FindImages(&axis[a], points->at[a][p], FP_TAIL * sd[a]));
    if (axis[0].images * axis[1].images == 0) continue;
    AddPieces(&axis[0], terms, sd[0], 1, axis[0].piece + (size_t)count * size[0]);
    AddPieces(&axis[1], terms, sd[1], points->weight[p], axis[1].piece + (size_t)count * size[1]);
    AddDensity(l, sd, points->weight[p]);
    count++;
  }
  if (!count) PetscFunctionReturn(0);
  BLASgemm_("N", "T", &size[0], &size[1], &count, &one, axis[0].piece, &size[0], axis[1].piece, &size[1], &zero,
            l->product, &size[0]);
  Collect(l, row, mass);
  PetscFunctionReturn(0);
}

PetscErrorCode FPLandingDestroy(FPLanding *landing)
{
  FPLanding l = *landing;

  PetscFunctionBegin;
  if (!l) PetscFunctionReturn(0);
  for (PetscInt a = 0; a < 2; a++) {
    PetscCall(PetscFree3(l->axis[a].x, l->axis[a].end, l->axis[a].first));
    PetscCall(PetscFree3(l->axis[a].y, l->axis[a].weight, l->axis[a].shape));
    PetscCall(PetscFree(l->axis[a].image));
    PetscCall(PetscFree(l->axis[a].piece));
  }
  gsl_integration_glfixed_table_free(l->rule);
  gsl_integration_glfixed_table_free(l->along);
  PetscCall(PetscFree(l->state));
  PetscCall(PetscFree(l->cut));
  PetscCall(PetscFree(l->at));
  PetscCall(PetscFree(l->weight));
  PetscCall(PetscFree(l->value));
  PetscCall(PetscFree(l->product));
  PetscCall(PetscFree(*landing));
  PetscFunctionReturn(0);
}

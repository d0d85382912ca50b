/* transferplane.c: one step in the plane, from a law of points, each with normal noise along both axes. Between
   neighbouring nodes, and between nodes and walls, one polynomial of each axis interpolates: a straight line, or the
   cubic of FPHatCubic(); before walls and beyond the last node the one before it goes on. Its integrals over such an
   interval, the pieces, are those of a point and its images in the walls by Gauss-Legendre nodes, on panels of three
   quarters of a standard deviation at most. A row of the operator is the sum of their products. */
#include "transfer.h"

#define DENSITY 0.3989422804014327 /* of the standard normal law at 0 */
#define PANEL 0.75                 /* standard deviations that a panel along an axis may span */
#define RULE 6                     /* Gauss-Legendre nodes of a panel */
#define FINE 0.3                   /* or, of panels of so many standard deviations, */
#define FEWER 5

void FPPlaneNodes(PetscInt m, PetscInt n, PetscInt node[])
{
  const PetscInt k = PetscClipInterval(m - 1, 0, n - 2);

  node[0] = k;
  node[1] = k + 1;
  node[2] = k > 0 ? k - 1 : 2;
  node[3] = k == 0 ? 3 : k + 2 < n ? k + 2 : k - 2;
}

void FPPlaneShapes(PetscInt n, const PetscReal x[], PetscInt m, PetscInt terms, PetscReal y, PetscReal shape[])
{
  PetscInt node[FP_TERMS];

  FPPlaneNodes(m, n, node);
  for (PetscInt s = 0; s < terms; s++) {
    shape[s] = 1;
    for (PetscInt t = 0; t < terms; t++)
      if (t != s) shape[s] *= (y - x[node[t]]) / (x[node[s]] - x[node[t]]);
  }
}

/* Points of quadrature on the intervals */
static PetscErrorCode PlacePoints(FPPlane p, FPPlaneAxis *axis)
{
  const PetscInt n      = axis->nodes;
  PetscInt       points = 0, *panels, *rule;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n + 1, &panels, n + 1, &rule));
  for (PetscInt m = 0; m <= n; m++) {
    const PetscReal width = axis->end[m + 1] - axis->end[m];

    axis->first[m] = points;
    panels[m]      = (PetscInt)PetscCeilReal(width / (PANEL * axis->sd));
    rule[m]        = width < FINE * panels[m] * axis->sd ? FEWER : RULE;
    points += rule[m] * panels[m];
  }
  axis->first[n + 1] = points;
  PetscCall(
      PetscMalloc4(points, &axis->y, points, &axis->weight, points, &axis->density, points * p->terms, &axis->shape));
  for (PetscInt m = 0; m <= n; m++) {
    gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc((size_t)rule[m]);
    const PetscReal                width = (axis->end[m + 1] - axis->end[m]) / panels[m];

    for (PetscInt i = axis->first[m]; i < axis->first[m + 1]; i++) {
      const PetscInt  k    = i - axis->first[m];
      const PetscReal from = axis->end[m] + k / rule[m] * width;

      gsl_integration_glfixed_point(from, from + width, (size_t)(k % rule[m]), &axis->y[i], &axis->weight[i], table);
      FPPlaneShapes(axis->nodes, axis->x, m, p->terms, axis->y[i], axis->shape + i * p->terms);
    }
    gsl_integration_glfixed_table_free(table);
  }
  PetscCall(PetscFree2(panels, rule));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUpAxis(FPPlane p, PetscInt a, PetscReal injected, PetscReal widest)
{
  FPGenerator    gen  = p->gen;
  FPPlaneAxis   *axis = &p->axis[a];
  const PetscInt n    = gen->cells[a];
  const FPBox   *box;
  PetscReal     *width;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  axis->nodes = n;
  for (PetscInt side = 0; side < 2; side++) axis->mirror[side] = (PetscBool)(box->face[2 * a + side] == FP_REFLECTING);
  PetscCall(PetscMalloc3(n, &axis->x, n + 2, &axis->end, n + 2, &axis->first));
  PetscCall(PetscMalloc3((n + 1) * p->terms, &axis->piece, n + 1, &axis->mass, n, &axis->row));
  PetscCall(PetscMalloc1(n, &width));
  PetscCall(FPGeneratorAxis(gen, a, axis->x, width));
  axis->end[0]     = box->lower[a];
  axis->end[n + 1] = box->upper[a];
  axis->sd         = injected;
  for (PetscInt k = 0; k < n; k++) {
    axis->end[k + 1] = axis->x[k];
    axis->sd         = PetscMax(axis->sd, width[k] / widest);
  }
  PetscCall(PetscFree(width));
  PetscCall(PlacePoints(p, axis));
  PetscFunctionReturn(0);
}

PetscErrorCode FPPlaneCreate(FPGenerator gen, PetscReal injected, PetscReal widest, FPPlane *plane)
{
  const PetscInt most = PetscMin(gen->cells[0], gen->cells[1]);
  FPPlane        p;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  *plane   = p;
  p->gen   = gen;
  p->terms = PetscMin(most, FPTransferOrder(&gen->options.transfer));
  for (PetscInt a = 0; a < 2; a++) PetscCall(SetUpAxis(p, a, injected, widest));
  PetscFunctionReturn(0);
}

/* Images of a place in the walls, as far as they reach the box */
static PetscErrorCode FindImages(FPPlaneAxis *axis, PetscReal m, PetscReal reach)
{
  const PetscReal lower = axis->end[0], upper = axis->end[axis->nodes + 1], from = lower - reach, to = upper + reach;
  const PetscBool both   = (PetscBool)(axis->mirror[0] && axis->mirror[1]);
  const PetscReal period = 2 * (upper - lower);
  const PetscReal own[3] = {m, 2 * lower - m, 2 * upper - m};

  PetscFunctionBegin;
  axis->images = 0;
  for (PetscInt k = 0; k < (both ? 2 : 3); k++) {
    PetscReal at = both ? own[k] + period * PetscCeilReal((from - own[k]) / period) : own[k];

    if (k > 0 && !both && !axis->mirror[k - 1]) continue;
    for (; at < to; at += period) {
      if (axis->images == axis->room) {
        axis->room = PetscMax(8, 2 * axis->room);
        PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)axis->room, &axis->image));
      }
      if (at > from) axis->image[axis->images++] = at;
      if (!both) break;
    }
  }
  PetscFunctionReturn(0);
}

FP_HOT void FPPlaneDensity(PetscInt n, const PetscReal y[], PetscReal at, PetscReal sd, PetscReal weight,
                           PetscReal density[])
{
  const PetscReal narrow = M_SQRT1_2 / sd, factor = weight * DENSITY / sd;

#pragma omp simd
  for (PetscInt q = 0; q < n; q++) {
    const PetscReal t = (y[q] - at) * narrow;

    density[q] += factor * FPExponential(-t * t);
  }
}

/* Onto mass and piece what an image has in the intervals that it reaches */
static void AddImage(FPPlaneAxis *axis, PetscInt terms, PetscReal at)
{
  const PetscReal reach = FP_TAIL * axis->wide;
  PetscInt        low = 0, high = axis->nodes, points;

  while (low < high && axis->end[low + 1] < at - reach) low++;
  while (high > low && axis->end[high] > at + reach) high--;
  points = axis->first[high + 1] - axis->first[low];
  for (PetscInt q = 0; q < points; q++) axis->density[q] = 0;
  FPPlaneDensity(points, axis->y + axis->first[low], at, axis->wide, 1, axis->density);
  for (PetscInt m = low; m <= high; m++) {
    PetscReal sum[FP_TERMS] = {0}, mass = 0;

    for (PetscInt q = axis->first[m]; q < axis->first[m + 1]; q++) {
      const PetscReal density = axis->weight[q] * axis->density[q - axis->first[low]];

      mass += density;
      for (PetscInt s = 0; s < terms; s++) sum[s] += density * axis->shape[q * terms + s];
    }
    axis->mass[m] += mass;
    for (PetscInt s = 0; s < terms; s++) axis->piece[m * terms + s] += sum[s];
  }
  axis->low  = PetscMin(axis->low, low);
  axis->high = PetscMax(axis->high, high);
}

/* mass, piece and row of the point at hand, and the intervals and nodes where they are not zero */
static void FindPieces(FPPlaneAxis *axis, PetscInt terms)
{
  const PetscInt n = axis->nodes;
  PetscInt       node[FP_TERMS];

  for (PetscInt m = 0; m <= n; m++) axis->mass[m] = 0;
  for (PetscInt k = 0; k < (n + 1) * terms; k++) axis->piece[k] = 0;
  for (PetscInt k = 0; k < n; k++) axis->row[k] = 0;
  axis->low  = n + 1;
  axis->high = -1;
  for (PetscInt i = 0; i < axis->images; i++) AddImage(axis, terms, axis->image[i]);
  axis->from = n;
  axis->to   = -1;
  for (PetscInt m = axis->low; m <= axis->high; m++) {
    FPPlaneNodes(m, n, node);
    for (PetscInt s = 0; s < terms; s++) {
      axis->row[node[s]] += axis->piece[m * terms + s];
      axis->from = PetscMin(axis->from, node[s]);
      axis->to   = PetscMax(axis->to, node[s]);
    }
  }
}

/* Mass of N(m, sd^2) outside the box */
static PetscReal Beyond(const FPPlaneAxis *axis, PetscReal m, PetscReal sd)
{
  return 0.5 * (erfc((m - axis->end[0]) / sd * M_SQRT1_2) + erfc((axis->end[axis->nodes + 1] - m) / sd * M_SQRT1_2));
}

PetscErrorCode FPPlaneStep(FPPlane p, const FPMixture *points, const PetscReal normal[], PetscInt count,
                           FPLanding landing[], PetscReal row[], PetscReal *beyond)
{
  FPPlaneAxis *x = &p->axis[0], *y = &p->axis[1];

  PetscFunctionBegin;
  *beyond = 0;
  for (PetscInt k = 0; k < p->gen->lattice && row; k++) row[k] = 0;
  for (PetscInt l = 0; l < count; l++) FPLandingClear(landing[l]);
  for (PetscInt i = 0; i < points->n; i++) {
    const PetscReal weight = points->weight[i];

    for (PetscInt a = 0; a < 2; a++) {
      p->axis[a].wide = PetscMax(normal[a], p->axis[a].sd);
      PetscCall(FindImages(&p->axis[a], points->at[a][i], FP_TAIL * p->axis[a].wide));
      FindPieces(&p->axis[a], p->terms);
    }
    *beyond +=
        weight * (1 - (1 - Beyond(x, points->at[0][i], normal[0])) * (1 - Beyond(y, points->at[1][i], normal[1])));
    for (PetscInt j = y->from; j <= y->to && row; j++) {
      const PetscReal share = weight * y->row[j];
      PetscReal      *to    = row + j * p->gen->stride[1];

#pragma omp simd
      for (PetscInt k = x->from; k <= x->to; k++) to[k] += share * x->row[k];
    }
    for (PetscInt l = 0; l < count; l++) FPLandingAdd(landing[l], weight);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPPlaneDestroy(FPPlane *plane)
{
  FPPlane p = *plane;

  PetscFunctionBegin;
  if (!p) PetscFunctionReturn(0);
  for (PetscInt a = 0; a < 2; a++) {
    FPPlaneAxis *axis = &p->axis[a];

    PetscCall(PetscFree3(axis->x, axis->end, axis->first));
    PetscCall(PetscFree4(axis->y, axis->weight, axis->density, axis->shape));
    PetscCall(PetscFree3(axis->piece, axis->mass, axis->row));
    PetscCall(PetscFree(axis->image));
  }
  PetscCall(PetscFree(*plane));
  PetscFunctionReturn(0);
}

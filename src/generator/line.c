/* line.c: rank-one noise that keeps to a line through the start. With D = f f^T the curve that follows f is never left
   where the drift keeps to it as well: along z_j(x), x = z_a, Ito's formula asks for b_j = z_j' b_a + z_j'' D_aa (D. W.
   Stroock and S. R. S. Varadhan, Proc. 6th Berkeley Symp. 3 (1972): the support of a diffusion). Balanced weights of a
   chain are such a line, wherever the cells of the box lie. The process on it is one of x alone, with drift b_a and
   diffusion D_aa: one node where the line crosses each layer of cells of axis a, fitted edges between them. No
   diffusion is added, second order. What lies off the line only decays onto it, and has no part in this chain. */
#include "generatorimpl.h"

#define TOLERANCE 1e-6 /* of the largest drift: what may point off the line */
#define FLAT 1e-3      /* share of the noise, in cells^2, that axis a must have */
#define RANK 1e-9      /* of tr(D)^2 */
#define NOISELESS 1e-10
#define PANELS FP_LINE_PANELS

typedef struct {
  FPGenerator gen;
  PetscInt    a, first, count; /* layers first ... first + count - 1 of axis a */
  PetscReal  *z;               /* [cells[a]][3]: where the line crosses the middle of a layer */
  PetscReal   share[2];        /* of the first and last layer: from half way to the neighbour to the wall */
} Line;

/* One point: dz/dxi_a along the line and what moves there. Between two parts of the line, where the noise vanishes, the
   direction is kept. */
static PetscBool Tangent(const Line *line, PetscReal xi, const PetscReal z[], PetscReal dz[])
{
  FPGenerator    gen = line->gen;
  const PetscInt d = gen->dim, a = line->a;
  PetscReal      point[3], D[9], slope, trace = 0, squares = 0, cells = 0, own;

  for (PetscInt i = 0; i < d; i++) point[i] = z[i];
  FPMeshMap(gen->mesh, a, xi, &point[a], &slope);
  FPProcessDiffusion(gen->process, 1, point, D);
  for (PetscInt i = 0; i < d; i++) {
    PetscReal t, s, at;

    trace += D[i * d + i];
    for (PetscInt j = 0; j < d; j++) squares += PetscSqr(D[i * d + j]);
    FPMeshUnmap(gen->mesh, i, point[i], &t);
    FPMeshMap(gen->mesh, i, t, &at, &s);
    cells += D[i * d + i] / PetscSqr(s * gen->h[i]);
  }
  if (trace <= 0) return PETSC_TRUE;
  own = D[a * d + a] / PetscSqr(slope * gen->h[a]);
  if (PetscAbsReal(squares - trace * trace) > RANK * trace * trace || own < FLAT * cells) return PETSC_FALSE;
  for (PetscInt i = 0; i < d; i++) dz[i] = slope * D[i * d + a] / D[a * d + a];
  return PETSC_TRUE;
}

/* One step of Runge and Kutta's of length t in xi_a; dz: the last direction known, kept where there is none. */
static PetscBool Step(const Line *line, PetscReal xi, PetscReal t, PetscReal z[], PetscReal dz[])
{
  const PetscInt  d    = line->gen->dim;
  const PetscReal c[4] = {0, 0.5, 0.5, 1}, w[4] = {1. / 6, 2. / 6, 2. / 6, 1. / 6};
  PetscReal       sum[3] = {0}, slope;

  for (PetscInt s = 0; s < 4; s++) {
    PetscReal at[3];

    for (PetscInt i = 0; i < d; i++) at[i] = z[i] + c[s] * t * dz[i];
    if (!Tangent(line, xi + c[s] * t, at, dz)) return PETSC_FALSE;
    for (PetscInt i = 0; i < d; i++) sum[i] += w[s] * t * dz[i];
  }
  for (PetscInt i = 0; i < d; i++) z[i] += sum[i];
  FPMeshMap(line->gen->mesh, line->a, xi + t, &z[line->a], &slope);
  return PETSC_TRUE;
}

/* From xi to xi + t in PANELS steps; points[PANELS + 1][3], the first of them given. */
static PetscBool Follow(const Line *line, PetscReal xi, PetscReal t, PetscReal points[][3], PetscReal dz[])
{
  for (PetscInt p = 0; p < PANELS; p++) {
    for (PetscInt i = 0; i < line->gen->dim; i++) points[p + 1][i] = points[p][i];
    if (!Step(line, xi + t * p / PANELS, t / PANELS, points[p + 1], dz)) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* Share of the way from z to `to` on which the box is not left: 1 where all of it lies inside. */
static PetscReal Inside(const FPBox *box, const PetscReal z[], const PetscReal to[])
{
  PetscReal part = 1;

  for (PetscInt i = 0; i < box->dim; i++) {
    if (to[i] < box->lower[i]) part = PetscMin(part, (z[i] - box->lower[i]) / (z[i] - to[i]));
    if (to[i] > box->upper[i]) part = PetscMin(part, (box->upper[i] - z[i]) / (to[i] - z[i]));
  }
  return part;
}

/* All layers on one side (sign) of the point z at xi, whose nearest layer on that side is `layer`. */
static PetscBool Trace(Line *line, PetscReal xi, const PetscReal start[], PetscInt layer, PetscInt sign)
{
  FPGenerator    gen = line->gen;
  const PetscInt d = gen->dim, a              = line->a;
  PetscReal      points[PANELS + 1][3], dz[3] = {0};
  const FPBox   *box;

  (void)FPMeshGetBox(gen->mesh, &box);
  for (PetscInt i = 0; i < d; i++) points[0][i] = start[i];
  line->share[sign > 0] = 1;
  if (!Tangent(line, xi, points[0], dz)) return PETSC_FALSE;
  for (; layer >= 0 && layer < gen->cells[a]; layer += sign) {
    const PetscReal to = (layer + 0.5) * gen->h[a];
    PetscReal       part;

    if (!Follow(line, xi, to - xi, points, dz)) return PETSC_FALSE;
    part = Inside(box, points[0], points[PANELS]);
    if (part < 1) {
      line->share[sign > 0] = 0.5 + part * PetscAbsReal(to - xi) / gen->h[a];
      break;
    }
    for (PetscInt i = 0; i < d; i++) line->z[3 * layer + i] = points[0][i] = points[PANELS][i];
    line->first = PetscMin(line->first, layer);
    line->count++;
    xi = to;
  }
  return PETSC_TRUE;
}

/* Does the drift keep to the line? Where it turns, by differences over a small part of the box. */
static PetscBool Tangential(const Line *line)
{
  FPGenerator    gen = line->gen;
  const PetscInt d = gen->dim, a = line->a;
  PetscReal      off = 0, most = 0;

  for (PetscInt l = line->first; l < line->first + line->count; l++) {
    const PetscReal *z = &line->z[3 * l], xi = (l + 0.5) * gen->h[a], t = 1e-5;
    PetscReal        b[3], D[9], up[3] = {0}, down[3] = {0}, dz[3] = {0}, high[3], low[3], slope, above, below, at;

    FPProcessDrift(gen->process, 1, z, b);
    FPProcessDiffusion(gen->process, 1, z, D);
    if (D[a * d + a] <= 0 || !Tangent(line, xi, z, dz)) continue;
    FPMeshMap(gen->mesh, a, xi, &at, &slope);
    FPMeshMap(gen->mesh, a, xi + t, &at, &above);
    FPMeshMap(gen->mesh, a, xi - t, &at, &below);
    for (PetscInt i = 0; i < d; i++) {
      high[i] = z[i] + t * dz[i];
      low[i]  = z[i] - t * dz[i];
    }
    if (!Tangent(line, xi + t, high, up) || !Tangent(line, xi - t, low, down)) return PETSC_FALSE;
    for (PetscInt i = 0; i < d; i++) {
      const PetscReal turn = (up[i] / above - down[i] / below) / (2 * t * slope);

      off  = PetscMax(off, PetscAbsReal(b[i] - dz[i] / slope * b[a] - turn * D[a * d + a]));
      most = PetscMax(most, PetscAbsReal(b[i]));
    }
  }
  return (PetscBool)(off <= TOLERANCE * most);
}

/* Least noise, in cells^2 of axis a, on the way between two points, by narrowing around the least of five values. */
static PetscReal LeastNoise(const Line *line, PetscReal xi, const PetscReal z[], PetscReal t, const PetscReal to[])
{
  FPGenerator    gen   = line->gen;
  const PetscInt d     = gen->dim;
  PetscReal      least = PETSC_MAX_REAL, middle = 0.5, reach = 0.5;

  for (PetscInt step = 0; step < 70; step++, reach /= 1.5) {
    PetscReal best = middle;

    for (PetscInt p = -2; p <= 2; p++) {
      const PetscReal u = PetscClipInterval(middle + 0.5 * p * reach, 0, 1);
      PetscReal       at[3], D[9], slope;

      for (PetscInt i = 0; i < d; i++) at[i] = z[i] + u * (to[i] - z[i]);
      FPMeshMap(gen->mesh, line->a, xi + u * t, &at[line->a], &slope);
      FPProcessDiffusion(gen->process, 1, at, D);
      D[0] = D[line->a * (d + 1)] / PetscSqr(slope * gen->h[line->a]);
      if (D[0] < least) {
        least = D[0];
        best  = u;
      }
    }
    middle = best;
  }
  return least;
}

/* The edge from layer l to the next. Nothing gets across a point where the noise vanishes. */
static PetscErrorCode AddEdge(const Line *line, PetscInt l)
{
  FPGenerator     gen = line->gen;
  const PetscInt  d = gen->dim, a = line->a, k = l - line->first;
  const PetscReal xi0 = (l + 0.5) * gen->h[a];
  PetscReal       points[PANELS + 1][3], lambda[PANELS + 1], speed[PANELS + 1], dz[3] = {0}, least, most = 0;
  PetscReal       share[2] = {k == 0 ? line->share[0] : 1, k + 2 == line->count ? line->share[1] : 1};
  FPEdge          e        = {.i = k, .j = k + 1};
  PetscInt        worst = 0, rest[2] = {gen->node[k], gen->node[k + 1]};

  PetscFunctionBegin;
  for (PetscInt i = 0; i < d; i++) {
    points[0][i] = line->z[3 * l + i];
    e.offset[i]  = (short)(rest[1] % gen->cells[i] - rest[0] % gen->cells[i]);
    rest[0] /= gen->cells[i];
    rest[1] /= gen->cells[i];
  }
  if (!Tangent(line, xi0, points[0], dz) || !Follow(line, xi0, gen->h[a], points, dz)) PetscFunctionReturn(0);
  for (PetscInt p = 0; p <= PANELS; p++) {
    const PetscReal xi = xi0 + gen->h[a] * p / PANELS;
    PetscReal       b[3], D[9], at, slope;

    FPProcessDrift(gen->process, 1, points[p], b);
    FPProcessDiffusion(gen->process, 1, points[p], D);
    FPMeshMap(gen->mesh, a, xi, &at, &slope);
    lambda[p] = D[a * d + a] / PetscSqr(slope * gen->h[a]);
    speed[p]  = FPGeneratorLatticeDrift(gen, a, xi, b[a], D[a * d + a]);
    most      = PetscMax(most, lambda[p]);
    if (lambda[p] < lambda[worst]) worst = p;
  }
  least = lambda[worst];
  for (PetscInt p = PetscMax(worst - 1, 0); p < PetscMin(worst + 1, PANELS) && least < 0.3 * most; p++)
    least =
        PetscMin(least, LeastNoise(line, xi0 + gen->h[a] * p / PANELS, points[p], gen->h[a] / PANELS, points[p + 1]));
  if (least <= NOISELESS * most) PetscFunctionReturn(0);
  e.qij = FPLineRate(lambda, speed, gen->options.transient) / share[0];
  for (PetscInt p = 0; p <= PANELS / 2; p++) {
    const PetscReal x = lambda[p], y = speed[p];

    lambda[p]          = lambda[PANELS - p];
    lambda[PANELS - p] = x;
    speed[p]           = -speed[PANELS - p];
    speed[PANELS - p]  = -y;
  }
  e.qji = FPLineRate(lambda, speed, gen->options.transient) / share[1];
  PetscCall(FPGeneratorAddEdge(gen, &e));
  PetscFunctionReturn(0);
}

/* The unknowns become the points of the line, each in the cell it lies in. */
static PetscErrorCode PlaceNodes(const Line *line)
{
  FPGenerator    gen = line->gen;
  const PetscInt d = gen->dim, n = line->count;
  PetscReal     *volume, *measure;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n, &volume, n, &measure));
  for (PetscInt k = 0; k < n; k++) {
    PetscInt l = 0;

    for (PetscInt i = 0; i < d; i++) {
      PetscReal xi;

      FPMeshUnmap(gen->mesh, i, line->z[3 * (line->first + k) + i], &xi);
      l += gen->stride[i] * PetscClipInterval((PetscInt)(xi * gen->cells[i]), 0, gen->cells[i] - 1);
    }
    volume[k]    = gen->volume[gen->unknown[l]];
    measure[k]   = gen->measure[gen->unknown[l]];
    gen->node[k] = l; /* one in every layer, so not yet read */
  }
  for (PetscInt l = 0; l < gen->lattice; l++) gen->unknown[l] = -1;
  gen->n = n;
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal share = k == 0 ? line->share[0] : k + 1 == n ? line->share[1] : 1;

    gen->unknown[gen->node[k]] = k;
    gen->volume[k]             = share * volume[k];
    gen->measure[k]            = share * measure[k];
    for (PetscInt i = 0; i < d; i++) {
      PetscReal xi, at;

      gen->z[i * n + k] = line->z[3 * (line->first + k) + i];
      FPMeshUnmap(gen->mesh, i, gen->z[i * n + k], &xi);
      FPMeshMap(gen->mesh, i, xi, &at, &gen->slope[i * n + k]);
    }
  }
  PetscCall(PetscFree2(volume, measure));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorBuildLine(FPGenerator gen, PetscBool *found)
{
  Line         line = {.gen = gen, .first = PETSC_MAX_INT};
  PetscReal    D[9], xi[3], at, slope, noise, most = 0;
  const FPBox *box;

  PetscFunctionBegin;
  *found = PETSC_FALSE;
  if (gen->absorbing || gen->region || gen->options.whole) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  if (Inside(box, gen->start, gen->start) < 1) PetscFunctionReturn(0);
  FPProcessDiffusion(gen->process, 1, gen->start, D);
  for (PetscInt i = 0; i < gen->dim; i++) {
    FPMeshUnmap(gen->mesh, i, gen->start[i], &xi[i]);
    FPMeshMap(gen->mesh, i, xi[i], &at, &slope);
    noise = D[i * (gen->dim + 1)] / PetscSqr(slope * gen->h[i]);
    if (noise > most * (1 + TOLERANCE)) {
      most   = noise;
      line.a = i;
    }
  }
  if (most <= 0) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(3 * gen->cells[line.a], &line.z));
  {
    const PetscReal x     = xi[line.a] * gen->cells[line.a] - 0.5;
    const PetscInt  above = (PetscInt)PetscCeilReal(x);

    *found = (PetscBool)(Trace(&line, xi[line.a], gen->start, above - 1, -1) &&
                         Trace(&line, xi[line.a], gen->start, above, 1) && line.count >= 4 && Tangential(&line));
  }
  if (*found) {
    PetscCall(PlaceNodes(&line));
    for (PetscInt l = line.first; l + 1 < line.first + line.count; l++) PetscCall(AddEdge(&line, l));
    gen->info.along  = line.a;
    gen->info.widest = 1;
  }
  PetscCall(PetscFree(line.z));
  PetscFunctionReturn(0);
}

/* fitted.c: exponentially fitted edges (Scharfetter-Gummel) for a nondegenerate D.
   At every node D is a sum of lambda_k e_k e_k^T over lattice vectors; each node gives lambda_k/2 to the edges x, x +-
   e_k. With P the integral of D^-1 v along the edge (v = b - div D, the Fick drift) the rates are q(x -> x') = W c
   B(-P)/volume(x),  q(x' -> x) = W c B(P)/volume(x'),  B(z) = z/(e^z - 1), so ln of their ratio is P plus the volumes'
   whatever c > 0: where v = -D grad Phi the Gibbs law and detailed balance are exact. c = 1 is Scharfetter and
   Gummel's; where Phi is known at the middle, P1 and P2 the two halves of P, slow modes are 10 to 70 times more
   accurate with c = clip(e^{(P1 - P2)/2}, 1/2, 2) min(sinh(|P|/2)/(|P|/2), 5/4). Where |P| is above 2 that c drives the
   law a quarter too fast on every grid: laws on their way (options.transient) have c = 1.
   Source: D. L. Scharfetter and H. K. Gummel, IEEE Trans. Electron Devices 16 (1969). */
#include "generatorimpl.h"

#define MAX_WALL_SPAN 4
#define WALL_LAYERS 6

/* Factor of edges that span m layers, nearer end in layer j from a reflecting wall, near walls where the widest span is
   M: makes every interface parallel to the wall carry the tangential flux of the half cell between wall and first node.
   Table [M][m][j]. */
static const PetscReal WallTable[MAX_WALL_SPAN + 1][MAX_WALL_SPAN + 1][WALL_LAYERS] = {
    {{0}},
    {{0}, {3. / 2, 1, 1, 1, 1, 1}},
    {{0}, {1, 3. / 2, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 1}},
    {{0}, {1. / 2, 7. / 6, 3. / 2, 4. / 3, 1, 1}, {1, 4. / 3, 5. / 3, 1, 1, 1}, {3. / 2, 2, 1, 1, 1, 1}},
    {{0},
     {1. / 3, 3. / 4, 5. / 4, 3. / 2, 17. / 12, 5. / 4},
     {2. / 3, 5. / 6, 5. / 3, 4. / 3, 3. / 2, 1},
     {1, 5. / 4, 3. / 2, 7. / 4, 1, 1},
     {4. / 3, 5. / 3, 2, 1, 1, 1}}};

PetscErrorCode FPGeneratorAddEdge(FPGenerator gen, const FPEdge *edge)
{
  PetscFunctionBegin;
  if (gen->edges == gen->room) {
    gen->room = gen->room ? 2 * gen->room : 4 * gen->n + 16;
    PetscCall(PetscRealloc((size_t)gen->room * sizeof(FPEdge), &gen->edge));
  }
  gen->edge[gen->edges++] = *edge;
  PetscFunctionReturn(0);
}

/* Lattice index of the node's foot on the lower wall of axis a, and its layer from that wall. */
static PetscInt Foot(FPGenerator gen, PetscInt node, PetscInt a, PetscInt *layer)
{
  *layer = node / gen->stride[a] % gen->cells[a];
  return node - *layer * gen->stride[a];
}

/* Widest normal span of the stencils in the WALL_LAYERS layers above each foot: span[(2 a + side)*lattice + foot].
   Spans are told apart along the walls, as tables for wide ones are less accurate. */
static void WallSpans(FPGenerator gen, const FPStencil stencil[], PetscInt span[])
{
  for (PetscInt k = 0; k < gen->n; k++)
    for (PetscInt a = 0; a < gen->dim; a++)
      for (PetscInt c = 0; c < stencil[k].count; c++) {
        const PetscInt m = PetscAbsInt(stencil[k].offset[c][a]);
        PetscInt       layer, foot = Foot(gen, gen->node[k], a, &layer);
        PetscInt      *low = &span[2 * a * gen->lattice + foot], *high = low + gen->lattice;

        if (layer < WALL_LAYERS) *low = PetscMax(*low, m);
        if (gen->cells[a] - 1 - layer < WALL_LAYERS) *high = PetscMax(*high, m);
      }
}

static PetscReal WallFactor(FPGenerator gen, const FPEdge *e, const PetscInt span[])
{
  const FPBox *box;
  PetscReal    factor = 1;

  (void)FPMeshGetBox(gen->mesh, &box);
  for (PetscInt a = 0; a < gen->dim; a++) {
    const PetscInt m = PetscAbsInt(e->offset[a]);
    PetscInt       from, to, tail = Foot(gen, gen->node[e->i], a, &from), head = Foot(gen, gen->node[e->j], a, &to);

    for (PetscInt side = 0; side < 2 && m > 0; side++) {
      const PetscInt *wide  = span + (2 * a + side) * gen->lattice;
      const PetscInt  layer = side ? gen->cells[a] - 1 - PetscMax(from, to) : PetscMin(from, to);
      const PetscInt  M     = PetscMax(m, PetscMax(wide[tail], wide[head]));

      if (layer < WALL_LAYERS && box->face[2 * a + side] == FP_REFLECTING) factor *= WallTable[M][m][layer];
    }
  }
  return factor;
}

static PetscReal Weight(const FPStencil *s, const short offset[3])
{
  for (PetscInt c = 0; c < s->count; c++)
    if (s->offset[c][0] == offset[0] && s->offset[c][1] == offset[1] && s->offset[c][2] == offset[2])
      return s->lambda[c];
  return 0;
}

/* Edges with their weights W in qij; P still to come. Each edge is made once: by its tail if that knows the offset,
 * else by its head. */
static PetscErrorCode CollectEdges(FPGenerator gen, const FPStencil stencil[])
{
  PetscBool diagonal = PETSC_FALSE;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < gen->n; k++) {
    for (PetscInt c = 0; c < stencil[k].count; c++) {
      const short *e = stencil[k].offset[c];

      if ((e[0] != 0) + (e[1] != 0) + (e[2] != 0) > 1) diagonal = PETSC_TRUE;
      for (PetscInt sign = 1; sign >= -1; sign -= 2) {
        PetscInt  other;
        PetscReal theta, W;

        if (FPGeneratorNeighbour(gen, k, e, sign, &other, &theta) != FP_INSIDE) continue;
        W = Weight(&stencil[other], e);
        if (sign < 0 && W > 0) continue;
        W = 0.5 * (stencil[k].lambda[c] + W);
        PetscCall(FPGeneratorAddEdge(
            gen,
            &(FPEdge){.i = sign > 0 ? k : other, .j = sign > 0 ? other : k, .offset = {e[0], e[1], e[2]}, .qij = W}));
      }
    }
  }
  if (diagonal) {
    PetscInt *span;

    PetscCall(PetscCalloc1(2 * gen->dim * gen->lattice, &span));
    WallSpans(gen, stencil, span);
    for (PetscInt s = 0; s < gen->edges; s++) gen->edge[s].qij *= WallFactor(gen, &gen->edge[s], span);
    PetscCall(PetscFree(span));
  }
  PetscFunctionReturn(0);
}

/* Coordinates of the points at fraction t of each edge (straight in xi), and dz/dt. */
static void PointsOnEdges(FPGenerator gen, PetscReal t, PetscReal z[], PetscReal dz[])
{
  const PetscInt E = gen->edges;

  for (PetscInt s = 0; s < E; s++) {
    PetscInt rest = gen->node[gen->edge[s].i];

    for (PetscInt a = 0; a < gen->dim; a++) {
      const PetscReal step = gen->edge[s].offset[a] * gen->h[a];
      PetscReal       slope;

      FPMeshMap(gen->mesh, a, (rest % gen->cells[a] + 0.5) * gen->h[a] + t * step, &z[a * E + s], &slope);
      dz[a * E + s] = slope * step;
      rest /= gen->cells[a];
    }
  }
}

static PetscReal Determinant(PetscInt d, PetscInt m, const PetscReal D[], PetscInt s)
{
  const PetscReal a = D[s];

  if (d == 1) return a;
  if (d == 2) return a * D[3 * m + s] - D[m + s] * D[2 * m + s];
  return a * (D[4 * m + s] * D[8 * m + s] - D[5 * m + s] * D[7 * m + s]) -
         D[m + s] * (D[3 * m + s] * D[8 * m + s] - D[5 * m + s] * D[6 * m + s]) +
         D[2 * m + s] * (D[3 * m + s] * D[7 * m + s] - D[4 * m + s] * D[6 * m + s]);
}

/* Least det D on an edge near t = middle, by narrowing the interval around the least of five values. */
static PetscReal LeastDeterminant(FPGenerator gen, const FPEdge *e, PetscReal middle)
{
  PetscReal least = PETSC_MAX_REAL, reach = 0.125;

  for (PetscInt step = 0; step < 40; step++, reach /= 1.5) {
    PetscReal best = middle;

    for (PetscInt p = -2; p <= 2; p++) {
      const PetscReal t = PetscClipInterval(middle + 0.5 * p * reach, 0, 1);
      PetscReal       z[3], dz, D[9], det;
      PetscInt        rest = gen->node[e->i];

      for (PetscInt a = 0; a < gen->dim; a++) {
        FPMeshMap(gen->mesh, a, (rest % gen->cells[a] + 0.5 + t * e->offset[a]) * gen->h[a], &z[a], &dz);
        rest /= gen->cells[a];
      }
      FPProcessDiffusion(gen->process, 1, z, D);
      det = Determinant(gen->dim, 1, D, 0);
      if (det < least) {
        least = det;
        best  = t;
      }
    }
    middle = best;
  }
  return least;
}

/* Drop the edges inside which D becomes singular: nothing gets through there, wherever the nodes lie. Such edges are
   looked for where det D, at five points, falls to less than 0.3 of its largest value. */
static PetscErrorCode CutEdges(FPGenerator gen)
{
  const PetscInt E = gen->edges, d = gen->dim;
  PetscReal     *z, *dz, *D, *least, *most;
  PetscInt       kept = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc5(d * E, &z, d * E, &dz, d * d * E, &D, E, &least, E, &most));
  for (PetscInt s = 0; s < E; s++) {
    least[s] = PETSC_MAX_REAL;
    most[s]  = 0;
  }
  for (PetscInt p = 0; p <= 4; p++) {
    PointsOnEdges(gen, 0.25 * p, z, dz);
    FPProcessDiffusion(gen->process, (int)E, z, D);
    for (PetscInt s = 0; s < E; s++) {
      const PetscReal det = Determinant(d, E, D, s);

      most[s]  = PetscMax(most[s], det);
      least[s] = PetscMin(least[s], det);
    }
  }
  for (PetscInt s = 0; s < E; s++) {
    for (PetscInt p = 0; p <= 4 && least[s] < 0.3 * most[s] && least[s] > 1e-10 * most[s]; p++)
      least[s] = PetscMin(least[s], LeastDeterminant(gen, &gen->edge[s], 0.25 * p));
    if (least[s] > 1e-10 * most[s]) gen->edge[kept++] = gen->edge[s];
  }
  gen->edges = kept;
  PetscCall(PetscFree5(z, dz, D, least, most));
  PetscFunctionReturn(0);
}

/* Solve D F = v (order d <= 3, D positive definite) by Cholesky's method and return F . t. */
static PetscReal ForceAlong(PetscInt d, PetscReal D[3][3], PetscReal v[3], const PetscReal t[3])
{
  PetscReal sum = 0;

  for (PetscInt i = 0; i < d; i++) {
    for (PetscInt j = 0; j <= i; j++) {
      PetscReal x = D[i][j];

      for (PetscInt k = 0; k < j; k++) x -= D[i][k] * D[j][k];
      D[i][j] = i == j ? PetscSqrtReal(x) : x / D[j][j];
    }
    for (PetscInt k = 0; k < i; k++) v[i] -= D[i][k] * v[k];
    v[i] /= D[i][i];
  }
  for (PetscInt i = d - 1; i >= 0; i--) {
    for (PetscInt k = i + 1; k < d; k++) v[i] -= D[k][i] * v[k];
    v[i] /= D[i][i];
    sum += v[i] * t[i];
  }
  return sum;
}

/* f[s] = (D^-1 v) . dz at m points. */
static PetscErrorCode Forces(FPGenerator gen, PetscInt m, const PetscReal z[], const PetscReal dz[], PetscReal f[])
{
  const PetscInt d = gen->dim;
  PetscReal     *D, *v;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(d * d * m, &D, d * m, &v));
  FPProcessDiffusion(gen->process, m, z, D);
  FPProcessFick(gen->process, m, z, v);
  for (PetscInt s = 0; s < m; s++) {
    PetscReal A[3][3], b[3], t[3];

    for (PetscInt i = 0; i < d; i++) {
      for (PetscInt j = 0; j < d; j++) A[i][j] = D[(i * d + j) * m + s];
      b[i] = v[i * m + s];
      t[i] = dz[i * m + s];
    }
    f[s] = ForceAlong(d, A, b, t);
  }
  PetscCall(PetscFree2(D, v));
  PetscFunctionReturn(0);
}

/* Integrals of the force over the two halves of each edge by Simpson's rule on 2 panels in all (exact for cubic forces)
   in two and more dimensions, on 8 in one dimension. In one dimension also the mean of 1/D over each edge, relative to
   qij. */
static PetscErrorCode IntegrateForces(FPGenerator gen, PetscReal first[], PetscReal second[])
{
  const PetscInt E = gen->edges, panels = gen->dim == 1 ? 8 : 4;
  PetscReal     *z, *dz, *f;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(gen->dim * E, &z, gen->dim * E, &dz, E, &f));
  PetscCall(PetscArrayzero(first, E));
  PetscCall(PetscArrayzero(second, E));
  for (PetscInt p = 0; p <= panels; p++) {
    const PetscReal end = p == 0 || p == panels || p == panels / 2, w = (end ? 1 : p % 2 ? 4 : 2) / (3.0 * panels);

    PointsOnEdges(gen, (PetscReal)p / panels, z, dz);
    PetscCall(Forces(gen, E, z, dz, f));
    for (PetscInt s = 0; s < E; s++) {
      if (p <= panels / 2) first[s] += w * f[s];
      if (p >= panels / 2) second[s] += w * f[s];
    }
  }
  PetscCall(PetscFree3(z, dz, f));
  PetscFunctionReturn(0);
}

static PetscErrorCode PotentialDifferences(FPGenerator gen, PetscReal first[], PetscReal second[])
{
  const PetscInt E = gen->edges;
  PetscReal     *z, *dz, *middle;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(gen->dim * E, &z, gen->dim * E, &dz, E, &middle));
  PointsOnEdges(gen, 0.5, z, dz);
  FPProcessPotential(gen->process, E, z, middle);
  for (PetscInt s = 0; s < E; s++) {
    first[s]  = gen->potential[gen->edge[s].i] - middle[s];
    second[s] = middle[s] - gen->potential[gen->edge[s].j];
  }
  PetscCall(PetscFree3(z, dz, middle));
  PetscFunctionReturn(0);
}

/* One dimension: the weight of an edge is the harmonic mean of D on it (Simpson's rule for 1/D), so an edge on which D
 * vanishes is cut. */
static PetscErrorCode HarmonicWeights(FPGenerator gen)
{
  const PetscInt E = gen->edges;
  PetscReal     *z, *dz, *D, *m;
  PetscInt       kept = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(E, &z, E, &dz, E, &D, E, &m));
  PointsOnEdges(gen, 0.5, z, dz);
  FPProcessDiffusion(gen->process, (int)E, z, D);
  FPModelMeasure(gen->model, (int)E, z, m);
  for (PetscInt s = 0; s < E; s++) {
    FPEdge         *e    = &gen->edge[s];
    const PetscReal mean = 2 * e->qij, middle = m[s] * D[s] * gen->h[0] / (dz[s] * gen->h[0] * gen->h[0]);
    const PetscReal tail = e->P, head = mean - e->P;

    if (middle <= 1e-14 * mean || tail <= 0 || head <= 0) continue;
    e->qij            = 6 / (1 / tail + 4 / middle + 1 / head);
    gen->edge[kept++] = *e;
  }
  gen->edges = kept;
  PetscCall(PetscFree4(z, dz, D, m));
  PetscFunctionReturn(0);
}

static void SetRates(FPGenerator gen, const PetscReal first[], const PetscReal second[], PetscBool halves)
{
  PetscReal cell = 1;

  for (PetscInt a = 0; a < gen->dim; a++) cell *= gen->h[a];
  for (PetscInt s = 0; s < gen->edges; s++) {
    FPEdge         *e = &gen->edge[s];
    const PetscReal P = first[s] + second[s];
    PetscReal       W = e->qij * cell;

    if (halves && !gen->options.transient) W *= FPFittedFactor(first[s], second[s]);
    e->P   = P;
    e->qij = W * FPBernoulli(-P) / gen->measure[e->i];
    e->qji = W * FPBernoulli(P) / gen->measure[e->j];
  }
}

PetscErrorCode FPGeneratorPartForce(FPGenerator gen, PetscInt k, const short offset[3], PetscInt sign,
                                    PetscReal fraction, PetscReal *first, PetscReal *second)
{
  const PetscReal w[3] = {1. / 12, 4. / 12, 1. / 12};
  PetscReal       Phi[5], f;

  PetscFunctionBegin;
  *first = *second = 0;
  for (PetscInt p = 0; p < 5; p++) {
    PetscReal z[3], dz[3];
    PetscInt  rest = gen->node[k];

    for (PetscInt a = 0; a < gen->dim; a++) {
      const PetscReal step = fraction * sign * offset[a] * gen->h[a];

      FPMeshMap(gen->mesh, a, (rest % gen->cells[a] + 0.5) * gen->h[a] + 0.25 * p * step, &z[a], &dz[a]);
      dz[a] *= step;
      rest /= gen->cells[a];
    }
    if (gen->potential) {
      FPProcessPotential(gen->process, 1, z, &Phi[p]);
      continue;
    }
    PetscCall(Forces(gen, 1, z, dz, &f));
    if (p <= 2) *first += w[p] * f;
    if (p >= 2) *second += w[p - 2] * f;
  }
  if (gen->potential) {
    *first  = Phi[0] - Phi[2];
    *second = Phi[2] - Phi[4];
  }
  PetscFunctionReturn(0);
}

/* Rates into absorbing walls: an edge that meets the wall at fraction theta kills at W B(-theta P)/theta. */
static PetscErrorCode AbsorbAtWalls(FPGenerator gen, const FPStencil stencil[])
{
  PetscReal cell = 1;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < gen->dim; a++) cell *= gen->h[a];
  for (PetscInt k = 0; k < gen->n; k++) {
    for (PetscInt c = 0; c < 2 * stencil[k].count; c++) {
      const short   *e    = stencil[k].offset[c / 2];
      const PetscInt sign = c % 2 ? -1 : 1;
      PetscReal      theta, first, second;
      PetscInt       other;

      if (FPGeneratorNeighbour(gen, k, e, sign, &other, &theta) != FP_BEYOND_ABSORBING) continue;
      PetscCall(FPGeneratorPartForce(gen, k, e, sign, theta, &first, &second));
      if (!isfinite(first + second)) continue; /* D is singular on the way */
      gen->kill[k] += stencil[k].lambda[c / 2] * cell * FPBernoulli(-first - second) / theta / gen->measure[k];
    }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorBuildFitted(FPGenerator gen, const PetscReal D[])
{
  FPStencil *stencil;
  PetscReal *first, *second;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(gen->n, &stencil));
  gen->options.stencil_width =
      PetscMin(gen->options.stencil_width ? gen->options.stencil_width : MAX_WALL_SPAN, MAX_WALL_SPAN);
  PetscCall(FPGeneratorBuildStencils(gen, D, PETSC_TRUE, stencil));
  PetscCall(CollectEdges(gen, stencil));
  if (gen->dim == 1 || !gen->potential) PetscCall(CutEdges(gen));
  if (gen->dim == 1) {
    for (PetscInt s = 0; s < gen->edges; s++) gen->edge[s].P = Weight(&stencil[gen->edge[s].i], gen->edge[s].offset);
    PetscCall(HarmonicWeights(gen));
  }
  PetscCall(PetscMalloc2(gen->edges, &first, gen->edges, &second));
  if (gen->potential)
    PetscCall(PotentialDifferences(gen, first, second));
  else
    PetscCall(IntegrateForces(gen, first, second));
  SetRates(gen, first, second, (PetscBool)(gen->potential || gen->dim == 1));
  if (gen->absorbing) PetscCall(AbsorbAtWalls(gen, stencil));
  PetscCall(PetscFree2(first, second));
  PetscCall(PetscFree(stencil));
  PetscFunctionReturn(0);
}

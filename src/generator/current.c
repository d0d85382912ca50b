/* current.c: the probability current of a law, from the edges alone.
   An edge's net flux pi_i q_ij - pi_j q_ji is routed through cell faces along lattice paths, averaged over the orders
   of the axes (one path straight along each axis in turn; jumps of a discrete algorithm along their segment), so that
   the flux out of every cell is exactly that of the chain. Face fluxes give J, its curl and, in two dimensions, the
   stream function psi with J = (d_2 psi, -d_1 psi), psi = 0 on the walls. Entropy production: J. Schnakenberg, Rev.
   Mod. Phys. 48 (1976), equation 7.6, for the whole chain.
 */
#include "generatorimpl.h"

#define DETAILED 64 /* roundings between the two fluxes of an edge in detailed balance; 40 seen */

static const PetscInt Orders[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/* flux[a*lattice + x]: through the upper face of cell x in direction a. */
static void RouteEdge(FPGenerator gen, const FPEdge *e, PetscReal net, PetscReal flux[])
{
  const PetscInt  d = gen->dim, count = d == 1 ? 1 : d == 2 ? 2 : 6;
  const PetscReal share = net / count;

  for (PetscInt o = 0; o < count; o++) {
    PetscInt at = gen->node[e->i];

    for (PetscInt s = 0; s < 3; s++) {
      const PetscInt a = Orders[o][s];
      PetscInt       m;

      if (a >= d) continue;
      m = e->offset[a];
      for (; m > 0; m--) {
        flux[a * gen->lattice + at] += share;
        at += gen->stride[a];
      }
      for (; m < 0; m++) {
        at -= gen->stride[a];
        flux[a * gen->lattice + at] -= share;
      }
    }
  }
}

/* A jump of a discrete algorithm: through the faces that the straight segment crosses, corners both ways. */
static void RouteStraight(FPGenerator gen, const FPEdge *e, PetscReal net, PetscReal flux[])
{
  for (PetscInt o = 0; o < 2; o++) {
    PetscInt at = gen->node[e->i], gone[2] = {0, 0};
    PetscInt steps = PetscAbsInt(e->offset[0]) + PetscAbsInt(e->offset[1]);

    for (; steps > 0; steps--) {
      /* the segment meets the next face of axis a at (gone + 1/2)/|offset| of its length */
      const PetscInt first  = (2 * gone[0] + 1) * PetscAbsInt(e->offset[1]);
      const PetscInt second = (2 * gone[1] + 1) * PetscAbsInt(e->offset[0]);
      const PetscInt a      = gone[0] == PetscAbsInt(e->offset[0])   ? 1
                              : gone[1] == PetscAbsInt(e->offset[1]) ? 0
                              : first == second                      ? o
                                                                     : first > second;

      gone[a]++;
      if (e->offset[a] < 0) at -= gen->stride[a];
      flux[a * gen->lattice + at] += e->offset[a] < 0 ? -net / 2 : net / 2;
      if (e->offset[a] > 0) at += gen->stride[a];
    }
  }
}

/* J at centres: mean of the two faces over the face's area. */
static PetscErrorCode CentreCurrent(FPGenerator gen, const PetscReal flux[], PetscReal *width[], PetscReal J[])
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < gen->dim; a++) {
    for (PetscInt x = 0; x < gen->lattice; x++) {
      PetscReal area = 1;
      PetscInt  rest = x, i = 0;

      for (PetscInt b = 0; b < gen->dim; b++) {
        if (b == a)
          i = rest % gen->cells[b];
        else
          area *= width[b][rest % gen->cells[b]];
        rest /= gen->cells[b];
      }
      J[a * gen->lattice + x] =
          0.5 * (flux[a * gen->lattice + x] + (i > 0 ? flux[a * gen->lattice + x - gen->stride[a]] : 0)) / area;
    }
  }
  PetscFunctionReturn(0);
}

/* d_1 J_2 - d_2 J_1 at inner corners, from the centre currents of the four cells around each. */
static PetscReal CornerCurl(FPGenerator gen, const PetscReal J[], PetscReal *center[], PetscInt i, PetscInt j)
{
  const PetscInt   n0 = gen->cells[0], at = i + n0 * j;
  const PetscReal *J1 = J, *J2 = J + gen->lattice;
  const PetscReal  dx = center[0][i + 1] - center[0][i], dy = center[1][j + 1] - center[1][j];

  return 0.5 * (J2[at + 1] - J2[at] + J2[at + n0 + 1] - J2[at + n0]) / dx -
         0.5 * (J1[at + n0] - J1[at] + J1[at + n0 + 1] - J1[at + 1]) / dy;
}

static void StreamFunction(FPGenerator gen, const PetscReal flux[], PetscReal psi[])
{
  const PetscInt n0 = gen->cells[0], n1 = gen->cells[1];

  for (PetscInt j = 0; j <= n1; j++)
    for (PetscInt i = 0; i <= n0; i++) {
      const PetscReal below = j > 0 ? psi[i + (n0 + 1) * (j - 1)] : 0;

      psi[i + (n0 + 1) * j] = (i == 0 || j == 0) ? 0 : below + flux[(i - 1) + n0 * (j - 1)];
    }
}

/* Extremum near the corner (i, j) of the corners [first[0], last[0]] x [first[1], last[1]], from the parabola through
   nine of them: the largest of samples alone would move by its place between them. */
static PetscReal Peak(const PetscReal f[], PetscInt row, const PetscInt first[2], const PetscInt last[2], PetscInt at)
{
  const PetscInt   i = at % row, j = at / row;
  const PetscReal *x = &f[at];
  PetscReal        a, b, g, h, mixed, det, s, t;

  if (i <= first[0] || i >= last[0] || j <= first[1] || j >= last[1]) return *x;
  a     = x[1] - 2 * x[0] + x[-1];
  b     = x[row] - 2 * x[0] + x[-row];
  mixed = (x[row + 1] - x[row - 1] - x[1 - row] + x[-1 - row]) / 4;
  g     = (x[1] - x[-1]) / 2;
  h     = (x[row] - x[-row]) / 2;
  det   = a * b - mixed * mixed;
  if (det <= 0) return *x;
  s = (mixed * h - b * g) / det;
  t = (mixed * g - a * h) / det;
  return PetscMax(PetscAbsReal(s), PetscAbsReal(t)) > 1 ? *x : *x + (g * s + h * t) / 2;
}

/* In the layers next to walls, as many as the longest stencil reaches and one, the weights of edges that stand for
   those through the wall shift the current along the wall between layers, so its curl means nothing there: continued
   from farther in along straight lines, axis by axis. */
static void ContinueToWalls(FPGenerator gen, PetscReal curl[])
{
  const PetscInt row = gen->cells[0] + 1, last[2] = {gen->cells[0] - 1, gen->cells[1] - 1}, stride[2] = {1, row};
  const PetscInt width = gen->info.widest + 1;

  for (PetscInt a = 0; a < 2; a++)
    for (PetscInt side = 0; side < 2 && last[a] >= 2 * width + 4; side++)
      for (PetscInt c = 1; c <= last[1 - a]; c++) {
        const PetscInt  from = side ? last[a] - width : 1 + width, inwards = side ? -stride[a] : stride[a];
        PetscReal      *x     = &curl[from * stride[a] + c * stride[1 - a]];
        const PetscReal slope = (x[0] - x[2 * inwards]) / 2;

        for (PetscInt i = 1; i <= width; i++) x[-i * inwards] = x[0] + i * slope;
      }
}

static void PlaneNumbers(FPGenerator gen, const PetscReal flux[], const PetscReal J[], PetscReal *center[],
                         PetscReal psi[], PetscReal curl[], FPCurrentNumbers *numbers)
{
  const PetscInt n0 = gen->cells[0], n1 = gen->cells[1];
  const PetscInt wall[2] = {0, 0}, far[2] = {n0, n1}, inner[2] = {1, 1}, outer[2] = {n0 - 1, n1 - 1};
  PetscInt       low = 0, high = 0, largest = 0;

  StreamFunction(gen, flux, psi);
  for (PetscInt c = 0; c < (n0 + 1) * (n1 + 1); c++) {
    if (psi[c] < psi[low]) low = c;
    if (psi[c] > psi[high]) high = c;
    curl[c] = 0;
  }
  numbers->circulation = Peak(psi, n0 + 1, wall, far, high) - Peak(psi, n0 + 1, wall, far, low);
  for (PetscInt j = 0; j + 1 < n1; j++)
    for (PetscInt i = 0; i + 1 < n0; i++) {
      const PetscInt at = (i + 1) + (n0 + 1) * (j + 1);

      curl[at] = CornerCurl(gen, J, center, i, j);
    }
  ContinueToWalls(gen, curl);
  for (PetscInt c = 0; c < (n0 + 1) * (n1 + 1); c++)
    if (PetscAbsReal(curl[c]) > PetscAbsReal(curl[largest])) largest = c;
  numbers->max_curl = PetscAbsReal(Peak(curl, n0 + 1, inner, outer, largest));
}

/* Not where rates of one direction are missing or negative, or drift goes against jumps alone. */
static PetscErrorCode HasEntropy(FPGenerator gen, PetscBool *has)
{
  FPStable  stable;
  PetscReal D[9];

  PetscFunctionBegin;
  *has = (PetscBool)(!gen->info.degenerate && !gen->info.interpolates);
  PetscCall(FPProcessGetStable(gen->process, &stable));
  if (!stable.has || stable.alpha == 2) PetscFunctionReturn(0);
  FPProcessDiffusion(gen->process, 1, gen->start, D);
  *has = (PetscBool)(D[0] > 0);
  PetscFunctionReturn(0);
}

static PetscErrorCode EdgeSums(FPGenerator gen, const PetscReal pi[], PetscReal flux[], FPCurrentNumbers *numbers)
{
  PetscReal *divergence, through = 0;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(gen->n, &divergence));
  PetscCall(HasEntropy(gen, &numbers->has_entropy));
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge   *e     = &gen->edge[s];
    const PetscReal forth = gen->jumps ? FPJumpsRate(gen->jumps, e->i, e->j) : 0;
    const PetscReal back  = gen->jumps ? FPJumpsRate(gen->jumps, e->j, e->i) : 0;
    const PetscReal net   = pi[e->i] * e->qij - pi[e->j] * e->qji; /* jumps are routed with the others */
    const PetscReal up = pi[e->i] * (e->qij + forth), down = pi[e->j] * (e->qji + back);

    if (gen->step > 0 && gen->dim == 2)
      RouteStraight(gen, e, net, flux);
    else
      RouteEdge(gen, e, net, flux);
    divergence[e->i] += net;
    divergence[e->j] -= net;
    through += PetscAbsReal(pi[e->i] * e->qij) + PetscAbsReal(pi[e->j] * e->qji);
    if (up > 0 && down > 0) numbers->entropy_production += (up - down) * log(up / down);
  }
  if (gen->jumps) {
    PetscCall(FPGeneratorAddJumps(gen, PETSC_FALSE, -1, pi, divergence));
    PetscCall(FPGeneratorJumpFlux(gen, pi, flux, &numbers->entropy_production, &through));
  }
  for (PetscInt k = 0; k < gen->n; k++) numbers->divergence_residual += PetscAbsReal(divergence[k]);
  numbers->divergence_residual = numbers->divergence_residual / through;
  numbers->rounding            = PetscSqr(DETAILED * PETSC_MACHINE_EPSILON) * through;
  PetscCall(PetscFree(divergence));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorCurrent(FPGenerator gen, const PetscReal pi[], PetscReal J[], PetscReal psi[],
                                  PetscReal curl[], FPCurrentNumbers *numbers)
{
  const PetscInt d = gen->dim;
  PetscReal     *flux, *center[3], *width[3], *own[3] = {NULL, NULL, NULL};
  PetscInt       corners = 1;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(numbers, sizeof(*numbers)));
  PetscCall(PetscCalloc1(d * gen->lattice, &flux));
  for (PetscInt a = 0; a < d; a++) {
    PetscCall(PetscMalloc2(gen->cells[a], &center[a], gen->cells[a], &width[a]));
    PetscCall(FPGeneratorAxis(gen, a, center[a], width[a]));
    corners *= gen->cells[a] + 1;
  }
  if (!J) {
    PetscCall(PetscMalloc1(d * gen->lattice, &own[0]));
    J = own[0];
  }
  PetscCall(EdgeSums(gen, pi, flux, numbers));
  PetscCall(CentreCurrent(gen, flux, width, J));
  for (PetscInt k = 0; k < gen->n; k++) {
    PetscReal norm = 0;

    for (PetscInt a = 0; a < d; a++) norm += PetscSqr(J[a * gen->lattice + gen->node[k]]);
    numbers->current_l1 += PetscSqrtReal(norm) * gen->volume[k];
  }
  if (d == 2) {
    if (!psi) PetscCall(PetscMalloc1(corners, &own[1]));
    if (!curl) PetscCall(PetscMalloc1(corners, &own[2]));
    PlaneNumbers(gen, flux, J, center, psi ? psi : own[1], curl ? curl : own[2], numbers);
  }
  for (PetscInt a = 0; a < d; a++) PetscCall(PetscFree2(center[a], width[a]));
  for (PetscInt a = 0; a < 3; a++) PetscCall(PetscFree(own[a]));
  PetscCall(PetscFree(flux));
  PetscFunctionReturn(0);
}

/* killed.c: a process killed when it leaves a region. Cells whose centres lie outside are no unknowns. An edge with
   weight W that crosses the boundary at the fraction theta kills at rate W c B(-P)/theta, P the integral of D^-1 v to
   the crossing and c the factor of fitted.c for that part: second order in h. Edges whose ends lie inside but which
   cross the boundary on the way kill at both ends. The scheme for rank-deficient D kills at the rate of the jump over
   theta, and is first order as everywhere.
   What belongs to a node ends half way along each of its edges, or half way to the boundary: its cell keeps that share,
   weighed by what the edges carry across the boundary. Without it the error of flat boundaries jumps with the fraction
   from grid to grid, and no extrapolation holds. A boundary within half a cell of a wall is not seen beyond the last
   centre.
 */
#include "generatorimpl.h"

#define LEAST 1e-6 /* of a fraction: rates stay finite, the boundary moves by that share of a cell */

/* Fraction of the edge, in xi, at which its straight line in z leaves the region; 1 beyond doubt inside. */
static PetscReal Crossing(FPGenerator gen, const FPEdge *e, PetscBool forward)
{
  const PetscInt n = gen->n, k = forward ? e->i : e->j, other = forward ? e->j : e->i;
  PetscInt       axis = 0;
  PetscReal      from[3], to[3], t, begin, end, at;

  for (PetscInt a = 0; a < gen->dim; a++) {
    from[a] = gen->z[a * n + k];
    to[a]   = gen->z[a * n + other];
    if (PetscAbsInt(e->offset[a]) > PetscAbsInt(e->offset[axis])) axis = a;
  }
  t = FPRegionLeaves(gen->region, from, to);
  if (t >= 1) return 1;
  FPMeshUnmap(gen->mesh, axis, from[axis], &begin);
  FPMeshUnmap(gen->mesh, axis, to[axis], &end);
  FPMeshUnmap(gen->mesh, axis, from[axis] + t * (to[axis] - from[axis]), &at);
  return PetscClipInterval((at - begin) / (end - begin), LEAST, 1);
}

/* W c, the same at both ends */
static PetscReal Conductance(FPGenerator gen, const FPEdge *e)
{
  return e->P > 0 ? e->qij * gen->measure[e->i] / FPBernoulli(-e->P) : e->qji * gen->measure[e->j] / FPBernoulli(e->P);
}

/* Kill at one end of an edge that leaves at fraction theta. */
static PetscErrorCode KillAt(FPGenerator gen, const FPEdge *e, PetscBool forward, PetscReal theta)
{
  const PetscInt  k = forward ? e->i : e->j, sign = forward ? 1 : -1;
  const PetscBool halves = (PetscBool)((gen->potential || gen->dim == 1) && !gen->options.transient);
  PetscReal       first, second, W;

  PetscFunctionBegin;
  if (gen->info.degenerate) {
    gen->kill[k] += (forward ? e->qij : e->qji) / theta;
    PetscFunctionReturn(0);
  }
  W = Conductance(gen, e);
  if (halves) {
    PetscCall(FPGeneratorPartForce(gen, k, e->offset, sign, 1, &first, &second));
    W /= FPFittedFactor(first, second);
  }
  PetscCall(FPGeneratorPartForce(gen, k, e->offset, sign, theta, &first, &second));
  if (halves) W *= FPFittedFactor(first, second);
  gen->kill[k] += W * FPBernoulli(-first - second) / theta / gen->measure[k];
  PetscFunctionReturn(0);
}

/* Direction in which the level grows fastest at a node, in cells. */
static void Normal(FPGenerator gen, PetscInt k, PetscReal normal[])
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscReal      z[18], f[6];

  for (PetscInt p = 0; p < 2 * d; p++)
    for (PetscInt a = 0; a < d; a++)
      z[a * 2 * d + p] =
          gen->z[a * n + k] + (a == p / 2 ? (p % 2 ? 0.1 : -0.1) * gen->slope[a * n + k] * gen->h[a] : 0);
  FPRegionLevel(gen->region, (int)(2 * d), z, f);
  for (PetscInt a = 0; a < d; a++) normal[a] = f[2 * a + 1] - f[2 * a];
}

/* z/2 coth(z/2) */
static PetscReal Even(PetscReal z)
{
  return 0.5 * (FPBernoulli(z) + FPBernoulli(-z));
}

/* What an edge that leaves at fraction theta adds to the length of a cell along it, twice that of its half: theta, less
   where P, the integral of D^-1 v over the whole edge, drives out. Exact for constant coefficients. */
static PetscReal Arm(PetscReal theta, PetscReal P)
{
  if (theta >= 1 || PetscAbsReal(P) < PETSC_SQRT_MACHINE_EPSILON) return theta;
  return theta - 2 * (Even(P) - Even(theta * P)) / P;
}

/* The share of its cell that a node keeps. */
static PetscErrorCode CutCells(FPGenerator gen, const PetscReal theta[][2])
{
  const PetscInt  d = gen->dim, n = gen->n;
  const PetscBool plain = (PetscBool)(gen->options.transient || (!gen->potential && d > 1)); /* c = 1 */
  PetscReal      *arms, *weights, *normal;

  PetscFunctionBegin;
  PetscCall(PetscCalloc3(n, &arms, n, &weights, d * n, &normal));
  for (PetscInt s = 0; s < gen->edges; s++)
    for (PetscInt side = 0; side < 2; side++) {
      const PetscInt k = side ? gen->edge[s].j : gen->edge[s].i;

      if (theta[s][side] > 0 && theta[s][side] < 1 && weights[k] == 0) {
        Normal(gen, k, normal + d * k);
        weights[k] = PETSC_SMALL * PETSC_SMALL;
      }
    }
  for (PetscInt s = 0; s < gen->edges; s++)
    for (PetscInt side = 0; side < 2; side++) {
      const FPEdge  *e     = &gen->edge[s];
      const PetscInt k     = side ? e->j : e->i;
      PetscReal      along = 0, w;

      for (PetscInt a = 0; a < d; a++) along += e->offset[a] * normal[d * k + a];
      w = Conductance(gen, e) * along * along;
      arms[k] += w * (plain ? Arm(theta[s][side], side ? -e->P : e->P) : theta[s][side]);
      weights[k] += w;
    }
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal share = arms[k] > 0 ? PetscClipInterval(arms[k] / weights[k], LEAST, 1) : 1;

    arms[k] = share;
    gen->measure[k] *= share;
    gen->volume[k] *= share;
  }
  for (PetscInt s = 0; s < gen->edges; s++) {
    gen->edge[s].qij /= arms[gen->edge[s].i];
    gen->edge[s].qji /= arms[gen->edge[s].j];
  }
  PetscCall(PetscFree3(arms, weights, normal));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorKillOutside(FPGenerator gen)
{
  PetscReal *level, (*theta)[2]; /* of both ends; 0: outside */
  PetscInt  *outside, kept = 0, left = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(gen->n, &level, gen->n, &outside));
  PetscCall(PetscCalloc1(gen->edges, &theta));
  FPRegionLevel(gen->region, (int)gen->n, gen->z, level);
  for (PetscInt k = 0; k < gen->n; k++) {
    outside[k] = level[k] >= 0;
    left += !outside[k];
  }
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    if (!outside[e->i]) theta[s][0] = Crossing(gen, e, PETSC_TRUE);
    if (!outside[e->j]) theta[s][1] = outside[e->i] || theta[s][0] < 1 ? Crossing(gen, e, PETSC_FALSE) : 1;
  }
  if (!gen->info.degenerate) PetscCall(CutCells(gen, theta));
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge e = gen->edge[s];

    if (!outside[e.i] && !outside[e.j] && theta[s][0] >= 1) {
      gen->edge[kept++] = e;
      continue;
    }
    if (!outside[e.i]) PetscCall(KillAt(gen, &e, PETSC_TRUE, theta[s][0]));
    if (!outside[e.j]) PetscCall(KillAt(gen, &e, PETSC_FALSE, theta[s][1]));
  }
  gen->edges = kept;
  if (left < gen->n) PetscCall(FPGeneratorKeep(gen, outside, 0));
  PetscCall(PetscFree(theta));
  PetscCall(PetscFree2(level, outside));
  PetscFunctionReturn(0);
}

/* nodes.c: which cells of the box are unknowns, where they lie, how wide their stencils are. */
#include "generatorimpl.h"
#include <gsl/gsl_rng.h>
#include <petscblaslapack.h>

/* Cells with exp(-Phi) below e^-45 of the largest carry no mass: no eigenvalue moves by 1e-12, but for those of modes
   that live there. */
#define MASK_DEPTH 45.0
#define START_DEPTH 25.0
#define ALIKE 1.0 /* flat minima are as deep as the least value to this */

static PetscErrorCode LatticeAxes(FPGenerator gen, PetscReal *center[], PetscReal *slope[])
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < gen->dim; a++) {
    PetscCall(PetscMalloc2(gen->cells[a], &center[a], gen->cells[a], &slope[a]));
    for (PetscInt i = 0; i < gen->cells[a]; i++)
      FPMeshMap(gen->mesh, a, (i + 0.5) * gen->h[a], &center[a][i], &slope[a][i]);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode FillNodes(FPGenerator gen, PetscReal *center[], PetscReal *slope[])
{
  const PetscInt n = gen->n;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < n; k++) {
    PetscReal lower[3], upper[3], d;
    PetscInt  rest = gen->node[k];

    gen->volume[k] = 1;
    for (PetscInt a = 0; a < gen->dim; a++) {
      const PetscInt i = rest % gen->cells[a];

      rest /= gen->cells[a];
      gen->z[a * n + k]     = center[a][i];
      gen->slope[a * n + k] = slope[a][i];
      FPMeshMap(gen->mesh, a, i * gen->h[a], &lower[a], &d);
      FPMeshMap(gen->mesh, a, (i + 1) * gen->h[a], &upper[a], &d);
      gen->volume[k] *= upper[a] - lower[a];
    }
    gen->measure[k] = FPModelMeasureBox(gen->model, lower, upper);
  }
  PetscFunctionReturn(0);
}

/* A flat top, or any other point where drift vanishes, holds slow modes of its own however little mass it has: the
   level rises above such points in the box. Not where there are several wells, which would be joined by a barrier that
   nothing crosses within any time. */
static PetscErrorCode RaiseLevel(FPGenerator gen, PetscReal least, PetscReal *level)
{
  const FPCriticalPoint *points;
  PetscInt               count, wells = 0;
  PetscReal              highest = 0;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(gen->model, &count, &points));
  for (PetscInt c = 0; c < count; c++) {
    PetscBool inside = PETSC_TRUE;
    PetscReal Phi;

    for (PetscInt a = 0; a < gen->dim; a++) {
      PetscReal xi;

      FPMeshUnmap(gen->mesh, a, points[c].z[a], &xi);
      inside = (PetscBool)(inside && xi > 0 && xi < 1);
    }
    if (!inside) continue;
    FPProcessPotential(gen->process, 1, points[c].z, &Phi);
    wells += points[c].index == 0 && Phi < least + (points[c].flat ? ALIKE : MASK_DEPTH);
    highest = PetscMax(highest, Phi - least);
  }
  gen->deep = (PetscBool)(wells == 1 && highest > MASK_DEPTH - START_DEPTH);
  if (gen->deep) *level = PetscMax(*level, least + highest + START_DEPTH);
  PetscFunctionReturn(0);
}

/* Where to mask: MASK_DEPTH above the least potential; that inside the region where there is one, and at least
   START_DEPTH above the start, as what passes there before it is killed is the answer. */
static PetscErrorCode MaskLevel(FPGenerator gen, const PetscReal z[], const PetscReal Phi[], PetscReal *level)
{
  const PetscInt N = gen->lattice;
  PetscReal     *f, least = PETSC_MAX_REAL, start;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(N, &f));
  for (PetscInt l = 0; l < N; l++) f[l] = -1;
  if (gen->region) FPRegionLevel(gen->region, (int)N, z, f);
  for (PetscInt l = 0; l < N; l++)
    if (f[l] < 0) least = PetscMin(least, Phi[l]);
  PetscCall(PetscFree(f));
  FPInputCheck(least < PETSC_MAX_REAL,
               "the region holds no cell of the grid of %" PetscInt_FMT
               " cells; choose a larger region, a mesh that contains it, or more cells",
               N);
  *level = least + MASK_DEPTH;
  if (gen->region && gen->potential) {
    FPProcessPotential(gen->process, 1, gen->start, &start);
    *level = PetscMax(*level, start + START_DEPTH);
  }
  if (!gen->region && gen->potential && gen->dim < 3) PetscCall(RaiseLevel(gen, least, level));
  PetscFunctionReturn(0);
}

/* Keep the cells that carry mass under exp(-Phi). */
static PetscErrorCode Mask(FPGenerator gen, PetscReal *center[], PetscBool has)
{
  const PetscInt N = gen->lattice;
  PetscReal     *z, *Phi, level = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(gen->dim * N, &z, N, &Phi));
  for (PetscInt l = 0; l < N; l++) {
    PetscInt rest = l;

    for (PetscInt a = 0; a < gen->dim; a++) {
      z[a * N + l] = center[a][rest % gen->cells[a]];
      rest /= gen->cells[a];
    }
    Phi[l] = 0;
  }
  if (has) {
    FPProcessPotential(gen->process, N, z, Phi);
    PetscCall(PetscMalloc1(N, &gen->potential));
  }
  PetscCall(MaskLevel(gen, z, Phi, &level));
  gen->n = 0;
  for (PetscInt l = 0; l < N; l++) gen->unknown[l] = Phi[l] > level ? -1 : gen->n++;
  gen->info.masked = N - gen->n;
  PetscCall(PetscMalloc1(gen->n, &gen->node));
  for (PetscInt l = 0; l < N; l++) {
    if (gen->unknown[l] < 0) continue;
    gen->node[gen->unknown[l]] = l;
    if (has) gen->potential[gen->unknown[l]] = Phi[l];
  }
  PetscCall(PetscFree2(z, Phi));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorBuildNodes(FPGenerator gen)
{
  PetscReal *center[3], *slope[3];
  PetscBool  has;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(gen->lattice, &gen->unknown));
  PetscCall(FPProcessHasPotential(gen->process, &has));
  PetscCall(LatticeAxes(gen, center, slope));
  PetscCall(Mask(gen, center, has));
  PetscCall(PetscMalloc4(gen->dim * gen->n, &gen->z, gen->dim * gen->n, &gen->slope, gen->n, &gen->measure, gen->n,
                         &gen->volume));
  PetscCall(FillNodes(gen, center, slope));
  for (PetscInt a = 0; a < gen->dim; a++) PetscCall(PetscFree2(center[a], slope[a]));
  PetscCall(PetscCalloc3(gen->n, &gen->kill, gen->n, &gen->added, gen->n, &gen->capped));
  PetscFunctionReturn(0);
}

void FPGeneratorPointInCell(FPGenerator gen, PetscInt k, const PetscReal u[], PetscReal point[])
{
  const PetscInt n    = gen->n;
  PetscInt       rest = gen->node[k];

  if (gen->info.along >= 0 && n > 1) {
    const PetscReal t    = u[gen->info.along] - 0.5;
    const PetscInt  side = t > 0 ? 1 : -1, other = k + side >= 0 && k + side < n ? k + side : k - side;

    for (PetscInt a = 0; a < gen->dim; a++)
      point[a] = gen->z[a * n + k] + t * (other - k) * (gen->z[a * n + other] - gen->z[a * n + k]);
    return;
  }
  for (PetscInt a = 0; a < gen->dim; a++) {
    const PetscInt i = rest % gen->cells[a];
    PetscReal      lower, upper, slope;

    FPMeshMap(gen->mesh, a, i * gen->h[a], &lower, &slope);
    FPMeshMap(gen->mesh, a, (i + 1) * gen->h[a], &upper, &slope);
    point[a] = lower + u[a] * (upper - lower);
    rest /= gen->cells[a];
  }
}

PetscErrorCode FPGeneratorDraw(FPGenerator gen, const PetscReal p[], PetscInt count, PetscInt seed, PetscReal points[])
{
  PetscReal cumulated = 0, u[3];
  PetscInt  k         = 0;
  gsl_rng  *rng       = gsl_rng_alloc(gsl_rng_mt19937);

  PetscFunctionBegin;
  gsl_rng_set(rng, (unsigned long)seed);
  for (PetscInt i = 0; i < count; i++) {
    const PetscReal target = (i + gsl_rng_uniform(rng)) / count;
    const PetscInt  to = (PetscInt)(((PetscInt64)i * 2654435761LL) % count); /* the factor is prime: a permutation */

    while (k < gen->n - 1 && cumulated + p[k] < target) cumulated += p[k++];
    for (PetscInt a = 0; a < gen->dim; a++) u[a] = gsl_rng_uniform(rng);
    FPGeneratorPointInCell(gen, k, u, points + (size_t)to * gen->dim);
  }
  gsl_rng_free(rng);
  PetscFunctionReturn(0);
}

FPWhere FPGeneratorNeighbour(FPGenerator gen, PetscInt k, const short offset[3], PetscInt sign, PetscInt *neighbour,
                             PetscReal *fraction)
{
  const FPBox *box;
  PetscInt     rest = gen->node[k], other = gen->node[k];
  FPWhere      where = FP_INSIDE;

  (void)FPMeshGetBox(gen->mesh, &box);
  *neighbour = -1;
  *fraction  = 1;
  for (PetscInt a = 0; a < gen->dim; a++) {
    const PetscInt i = rest % gen->cells[a], m = sign * offset[a], to = i + m;
    PetscReal      theta = 1;
    PetscInt       face  = -1;

    rest /= gen->cells[a];
    other += m * gen->stride[a];
    if (to < 0) {
      face  = 2 * a;
      theta = (i + 0.5) / -m;
    } else if (to >= gen->cells[a]) {
      face  = 2 * a + 1;
      theta = (gen->cells[a] - i - 0.5) / m;
    }
    if (face >= 0 && (where == FP_INSIDE || theta < *fraction)) { /* the wall that is met first */
      where     = box->face[face] == FP_ABSORBING ? FP_BEYOND_ABSORBING : FP_BEYOND_REFLECTING;
      *fraction = theta;
    }
  }
  if (where != FP_INSIDE) return where;
  *neighbour = gen->unknown[other];
  return *neighbour < 0 ? FP_MASKED : FP_INSIDE;
}

/* Smallest and largest eigenvalue and main eigenvector of a symmetric matrix of order d <= 3. */
static PetscErrorCode Eigen(PetscInt d, const PetscReal A[], PetscReal *least, PetscReal *most, PetscReal f[])
{
  PetscReal    M[9], w[3], work[32];
  PetscBLASInt n, lwork = 32, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(d, &n));
  for (PetscInt i = 0; i < d * d; i++) M[i] = A[i];
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &n, M, &n, w, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  *least = w[0];
  *most  = w[d - 1];
  for (PetscInt i = 0; i < d; i++) f[i] = M[(d - 1) * d + i];
  PetscFunctionReturn(0);
}

/* Rank-deficient at most nodes. On a line where one direction of the noise dies out nodes may come close enough to it
   by chance, but that must not decide the scheme, which would then change from grid to grid. */
PetscErrorCode FPGeneratorIsDegenerate(FPGenerator gen, const PetscReal D[], PetscBool *degenerate)
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscInt       deficient = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < n && d > 1; k++) {
    PetscReal A[9], least, most, f[3];

    for (PetscInt i = 0; i < d * d; i++) A[i] = D[i * n + k];
    PetscCall(Eigen(d, A, &least, &most, f));
    if (least <= 1e-10 * most) deficient++;
  }
  *degenerate = (PetscBool)(2 * deficient > n);
  PetscFunctionReturn(0);
}

static PetscInt Widest(PetscInt d, PetscInt count, short offset[][3])
{
  PetscInt widest = 0;

  for (PetscInt c = 0; c < count; c++)
    for (PetscInt a = 0; a < d; a++) widest = PetscMax(widest, PetscAbsInt(offset[c][a]));
  return widest;
}

/* Selling stencil of A, no wider than the cap; A becomes A + eps (I - f f^T) with the smallest eps that fits. */
static PetscErrorCode CappedStencil(FPGenerator gen, PetscReal A[], PetscInt cap, FPStencil *s, PetscReal *eps)
{
  const PetscInt d = gen->dim;
  PetscReal      least, most, f[3], low = 0, high;

  PetscFunctionBegin;
  *eps = 0;
  PetscCall(Eigen(d, A, &least, &most, f));
  s->count = 0;
  if (most <= 0) PetscFunctionReturn(0);
  if (least > 1e-9 * most) {
    PetscCall(FPSelling(d, A, &s->count, s->lambda, s->offset));
    if (Widest(d, s->count, s->offset) <= cap) PetscFunctionReturn(0);
  }
  high = most;
  for (PetscInt step = 0; step < 24; step++) {
    const PetscReal trial = step == 0 ? 1e-9 * most : PetscSqrtReal(PetscMax(low, 1e-9 * most) * high);
    PetscReal       B[9];

    for (PetscInt i = 0; i < d; i++)
      for (PetscInt j = 0; j < d; j++) B[i * d + j] = A[i * d + j] + trial * ((i == j) - f[i] * f[j]);
    PetscCall(FPSelling(d, B, &s->count, s->lambda, s->offset));
    if (Widest(d, s->count, s->offset) <= cap) {
      *eps = high = trial;
      if (step == 0) break;
    } else {
      low = trial;
    }
  }
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) A[i * d + j] += high * ((i == j) - f[i] * f[j]);
  *eps = high;
  PetscCall(FPSelling(d, A, &s->count, s->lambda, s->offset));
  PetscFunctionReturn(0);
}

/* D_ii along the axes alone: for corners, where a long offset leaves the box at both ends. */
static void AxisStencil(PetscInt d, const PetscReal A[], FPStencil *s)
{
  s->count = 0;
  for (PetscInt a = 0; a < d; a++) {
    if (A[a * d + a] <= 0) continue;
    for (PetscInt b = 0; b < 3; b++) s->offset[s->count][b] = (short)(a == b);
    s->lambda[s->count++] = A[a * d + a];
  }
}

static PetscBool LeavesAtBothEnds(FPGenerator gen, PetscInt k, const FPStencil *s)
{
  for (PetscInt c = 0; c < s->count; c++) {
    PetscInt  other;
    PetscReal theta;

    if (FPGeneratorNeighbour(gen, k, s->offset[c], 1, &other, &theta) >= FP_BEYOND_REFLECTING &&
        FPGeneratorNeighbour(gen, k, s->offset[c], -1, &other, &theta) >= FP_BEYOND_REFLECTING)
      return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

PetscErrorCode FPGeneratorBuildStencils(FPGenerator gen, const PetscReal D[], PetscBool measured, FPStencil stencil[])
{
  const PetscInt d = gen->dim, n = gen->n, cap = gen->options.stencil_width;
  PetscReal     *m;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &m));
  for (PetscInt k = 0; k < n; k++) m[k] = 1;
  if (measured) FPModelMeasure(gen->model, n, gen->z, m);
  for (PetscInt k = 0; k < n; k++) {
    PetscReal A[9], scale = measured ? m[k] : 1, eps;

    for (PetscInt a = 0; a < d && measured; a++) scale *= gen->slope[a * n + k];
    for (PetscInt a = 0; a < d; a++)
      for (PetscInt b = 0; b < d; b++)
        A[a * d + b] =
            scale * D[(a * d + b) * n + k] / (gen->slope[a * n + k] * gen->h[a] * gen->slope[b * n + k] * gen->h[b]);
    PetscCall(CappedStencil(gen, A, cap, &stencil[k], &eps));
    if (eps > 0) {
      PetscReal width = 0;

      for (PetscInt a = 0; a < d; a++) width = PetscMax(width, gen->slope[a * n + k] * gen->h[a]);
      gen->added[k]  = eps * width * width / scale;
      gen->capped[k] = 1;
    }
    if (LeavesAtBothEnds(gen, k, &stencil[k])) AxisStencil(d, A, &stencil[k]);
    gen->info.widest = PetscMax(gen->info.widest, Widest(d, stencil[k].count, stencil[k].offset));
  }
  PetscCall(PetscFree(m));
  PetscFunctionReturn(0);
}

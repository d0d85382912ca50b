/* degenerate.c: rates for a rank-deficient D, where no force D^-1 v exists.
   Pointwise (non-divergence) form of L f = b . grad f + D : grad grad f, everything taken at the departure node, so
   that the Ito correction, and with it the decay of what lies outside the range of D, is right to first order. With
   Selling's D = sum lambda_k e_k e_k^T, F = D^+ b on the range of D, B(z) = z/(e^z - 1): rate of the jump by +-e_k:
   lambda_k B(-+ F . e_k), whose mean displacement is D F; the rest b - D F is upwinded along the axes. First order; the
   diffusion it adds is reported. Eigenvalues and moments only: edge currents of this scheme have no limit. Source: H.
   J. Kushner and P. Dupuis, Numerical Methods for Stochastic Control Problems (2001), chapter 5. */
#include "generatorimpl.h"
#include <petscblaslapack.h>

#define RANGE 1e-6 /* eigenvalues of D below this share of the largest are outside its range */

typedef struct {
  PetscInt  i, j, order;
  short     offset[3];
  PetscReal rate;
  PetscBool forward; /* the rate is that of tail i -> head j */
} Jump;

typedef struct {
  PetscInt n, room;
  Jump    *jump;
} Jumps;

static PetscErrorCode AddJump(FPGenerator gen, Jumps *jumps, PetscInt k, const short e[3], PetscInt sign,
                              PetscReal rate)
{
  PetscInt  other;
  PetscReal theta;

  PetscFunctionBegin;
  if (rate <= 0) PetscFunctionReturn(0);
  switch (FPGeneratorNeighbour(gen, k, e, sign, &other, &theta)) {
  case FP_BEYOND_ABSORBING:
    gen->kill[k] += rate;
    break;
  case FP_INSIDE:
    if (jumps->n == jumps->room) {
      jumps->room = jumps->room ? 2 * jumps->room : 16 * gen->n + 16;
      PetscCall(PetscRealloc((size_t)jumps->room * sizeof(Jump), &jumps->jump));
    }
    jumps->jump[jumps->n] = (Jump){.i       = sign > 0 ? k : other,
                                   .j       = sign > 0 ? other : k,
                                   .order   = jumps->n,
                                   .offset  = {e[0], e[1], e[2]},
                                   .rate    = rate,
                                   .forward = (PetscBool)(sign > 0)};
    jumps->n++;
    break;
  default:
    break; /* a reflecting wall: the jump does not happen */
  }
  PetscFunctionReturn(0);
}

/* A[d*d] in cells^2/time (destroyed), beta[d] in cells/time -> F = A^+ beta; beta becomes the part outside the range.
 */
static PetscErrorCode SplitDrift(PetscInt d, PetscReal A[], PetscReal beta[], PetscReal F[])
{
  PetscReal    w[3], work[32], rest[3] = {0};
  PetscBLASInt n, lwork = 32, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(d, &n));
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &n, A, &n, w, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  for (PetscInt a = 0; a < d; a++) F[a] = 0;
  for (PetscInt m = 0; m < d; m++) {
    PetscReal along = 0;

    for (PetscInt a = 0; a < d; a++) along += A[m * d + a] * beta[a];
    for (PetscInt a = 0; a < d; a++) {
      if (w[m] > RANGE * w[d - 1])
        F[a] += along / w[m] * A[m * d + a];
      else
        rest[a] += along * A[m * d + a];
    }
  }
  for (PetscInt a = 0; a < d; a++) beta[a] = rest[a];
  PetscFunctionReturn(0);
}

/* Ito drift in cells per time: b_xi = b/z' - D z''/z'^3. */
static void LatticeDrift(FPGenerator gen, PetscInt k, const PetscReal D[], const PetscReal b[], PetscReal beta[])
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscInt       rest = gen->node[k];

  for (PetscInt a = 0; a < d; a++) {
    const PetscReal xi = (rest % gen->cells[a] + 0.5) * gen->h[a], s = gen->slope[a * n + k], t = 1e-4;
    PetscReal       z, up, down;

    rest /= gen->cells[a];
    FPMeshMap(gen->mesh, a, xi + t, &z, &up);
    FPMeshMap(gen->mesh, a, xi - t, &z, &down);
    beta[a] = (b[a * n + k] / s - D[(a * d + a) * n + k] * (up - down) / (2 * t) / (s * s * s)) / gen->h[a];
  }
}

static PetscErrorCode NodeJumps(FPGenerator gen, PetscInt k, const PetscReal D[], const PetscReal b[],
                                const FPStencil *s, Jumps *jumps)
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscReal      A[9], beta[3], F[3];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++)
      A[i * d + j] = D[(i * d + j) * n + k] / (gen->slope[i * n + k] * gen->h[i] * gen->slope[j * n + k] * gen->h[j]);
  LatticeDrift(gen, k, D, b, beta);
  PetscCall(SplitDrift(d, A, beta, F));
  for (PetscInt c = 0; c < s->count; c++) {
    PetscReal P = 0;

    for (PetscInt a = 0; a < d; a++) P += F[a] * s->offset[c][a];
    PetscCall(AddJump(gen, jumps, k, s->offset[c], 1, s->lambda[c] * FPBernoulli(-P)));
    PetscCall(AddJump(gen, jumps, k, s->offset[c], -1, s->lambda[c] * FPBernoulli(P)));
  }
  for (PetscInt a = 0; a < d; a++) {
    const short     e[3]  = {a == 0, a == 1, a == 2};
    const PetscReal width = gen->slope[a * n + k] * gen->h[a];

    PetscCall(AddJump(gen, jumps, k, e, beta[a] > 0 ? 1 : -1, PetscAbsReal(beta[a])));
    gen->added[k] += PetscAbsReal(beta[a]) * width * width / 2;
  }
  PetscFunctionReturn(0);
}

static int CompareJumps(const void *a, const void *b)
{
  const Jump *x = (const Jump *)a, *y = (const Jump *)b;

  if (x->i != y->i) return x->i < y->i ? -1 : 1;
  if (x->j != y->j) return x->j < y->j ? -1 : 1;
  return x->order < y->order ? -1 : 1;
}

PetscErrorCode FPGeneratorBuildDegenerate(FPGenerator gen, const PetscReal D[])
{
  const PetscInt d = gen->dim, n = gen->n;
  FPStencil     *stencil;
  PetscReal     *b;
  Jumps          jumps = {0};
  PetscReal      cells = 1;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < d; a++) cells *= gen->cells[a];
  /* Stencils may grow as the square root of the cells per axis: then both their length and the diffusion added vanish
   * with h. */
  if (!gen->options.stencil_width)
    gen->options.stencil_width = PetscMax(2, (PetscInt)(0.75 * PetscPowReal(cells, 0.5 / d)));
  PetscCall(PetscMalloc2(n, &stencil, d * n, &b));
  FPProcessDrift(gen->process, (int)n, gen->z, b);
  PetscCall(FPGeneratorBuildStencils(gen, D, PETSC_FALSE, stencil));
  for (PetscInt k = 0; k < n; k++) PetscCall(NodeJumps(gen, k, D, b, &stencil[k], &jumps));
  qsort(jumps.jump, (size_t)jumps.n, sizeof(Jump), CompareJumps);
  for (PetscInt s = 0; s < jumps.n; s++) {
    const Jump *jump = &jumps.jump[s];
    FPEdge     *last = gen->edges ? &gen->edge[gen->edges - 1] : NULL;

    if (!last || last->i != jump->i || last->j != jump->j) {
      PetscCall(FPGeneratorAddEdge(
          gen, &(FPEdge){.i = jump->i, .j = jump->j, .offset = {jump->offset[0], jump->offset[1], jump->offset[2]}}));
      last = &gen->edge[gen->edges - 1];
    }
    if (jump->forward)
      last->qij += jump->rate;
    else
      last->qji += jump->rate;
  }
  PetscCall(PetscFree(jumps.jump));
  PetscCall(PetscFree2(stencil, b));
  PetscFunctionReturn(0);
}

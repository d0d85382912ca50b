/* gibbs_symmetric.c: M = U U^T, U of shape 2 x rank, its law in the eigenvalues a^2 >= b^2 of M and the angle of its
   axes. With C = c0 I + E(c), (C A^T + A C)/2 = s0 I + E(s) the loss is linear in the cosine and sine of twice the
   angle, which leaves exp(-n K) I_0(n w) e^{-n w}, w = (a^2 - b^2) |(a^2 + b^2) c/2 - s|, K the loss at the best angle.
   Rank 1: b = 0, density a exp(-a^2/2). Rank 2: (a^2 - b^2) exp(-(a^2 + b^2)/2), a >= b >= 0, a Wishart law. K is
   measured from its minimum, the smallest loss that the network reaches. As n grows no logarithms appear: the set of
   minima is a point or a smooth curve, or M's eigenvalue there is 0, which makes powers of n^{-1/2}. */
#include "gibbsimpl.h"
#include <math.h>

#define LARGEST 10.0 /* of a, b: exp(-a^2/2) is 2e-22 there */

typedef struct {
  PetscInt  rank;
  PetscReal c0, c[2], s0, s[2], constant, least, at[2]; /* least: min K, at (b, a) */
} Symmetric;

typedef struct {
  const Symmetric *f;
  PetscReal        n;
} Context;

/* K at the best angle, less `least`; w as above */
static PetscReal Loss(const Symmetric *f, PetscReal b, PetscReal a, PetscReal *w)
{
  const PetscReal A = a * a, B = b * b, half = 0.5 * (A + B);

  *w = (A - B) * hypot(half * f->c[0] - f->s[0], half * f->c[1] - f->s[1]);
  return 0.5 * (A * A + B * B) * f->c0 - (A + B) * f->s0 + f->constant - *w - f->least;
}

static PetscReal Node(const void *context, const PetscReal v[], PetscReal slope[2])
{
  const Context   *c = (const Context *)context;
  const Symmetric *f = c->f;
  const PetscReal  b = f->rank == 2 ? v[0] : 0, a = v[f->rank - 1], density = f->rank == 2 ? a * a - b * b : a;
  PetscReal        w, first, second;
  const PetscReal  nK = c->n * Loss(f, b, a, &w), bessel = FPLogBessel(c->n * w, &first, &second);

  if (!(density > 0)) return -INFINITY;
  slope[0] = first - nK;
  slope[1] = first + second - nK + PetscSqr(slope[0]);
  return PetscLogReal(density) - 0.5 * (a * a + b * b) - nK + bessel;
}

/* Panels that shrink towards the minimum, which is n^{-1/2} wide or, where it is flat, n^{-1/4}. */
static PetscInt Edges(const void *context, PetscInt k, const PetscReal v[], PetscReal edge[FP_EDGES])
{
  const Context  *c     = (const Context *)context;
  const PetscReal width = 3 / PetscSqrtReal(1 + c->n * c->f->c0), at = c->f->at[c->f->rank == 1 ? 1 : k];
  PetscReal       all[20];

  for (PetscInt i = 0; i < 10; i++) {
    all[2 * i]     = at - width * PetscPowReal(3, (PetscReal)i);
    all[2 * i + 1] = at + width * PetscPowReal(3, (PetscReal)i);
  }
  return FPNestedEdges(k ? v[0] : 0, LARGEST, 0.3 * width, 20, all, edge);
}

static PetscErrorCode Integrate(FPGibbs gibbs, PetscBool fine, PetscReal log_n, FPGibbsAnswer *answer)
{
  const Symmetric *f      = (const Symmetric *)gibbs->data;
  const Context    c      = {.f = f, .n = PetscExpReal(log_n)};
  const FPNested   nested = {f->rank, Edges, Node, &c, fine ? 1e-10 : 1e-7};

  PetscFunctionBegin;
  *answer = FPNestedIntegrate(&nested);
  PetscFunctionReturn(0);
}

/* min K on grids that zoom in on the best point of the last one */
static void FindLeast(Symmetric *f, PetscReal reach)
{
  enum { POINTS = 48 };
  PetscReal low[2] = {0, 0}, high[2] = {f->rank == 2 ? reach : 0, reach};

  for (PetscInt zoom = 0; zoom < 24; zoom++) {
    PetscReal best = INFINITY, step[2];

    for (PetscInt i = 0; i < 2; i++) step[i] = (high[i] - low[i]) / POINTS;
    for (PetscInt i = 0; i <= POINTS; i++)
      for (PetscInt j = 0; j <= POINTS; j++) {
        const PetscReal a = low[1] + j * step[1], b = PetscMin(a, low[0] + i * step[0]);
        PetscReal       w, K                        = Loss(f, b, a, &w);

        if (K >= best) continue;
        best     = K;
        f->at[0] = b;
        f->at[1] = a;
      }
    for (PetscInt i = 0; i < 2; i++) {
      low[i]  = PetscMax(0, f->at[i] - 6 * step[i]);
      high[i] = f->at[i] + 6 * step[i];
    }
    if (zoom == 23) f->least = best;
  }
}

static PetscErrorCode Destroy(FPGibbs gibbs)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(gibbs->data));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGibbsCreate_Symmetric(const FPGibbsForm *form, PetscInt rank, FPGibbs *gibbs)
{
  const PetscReal *C = form->C, *A = form->A;
  const FPSpin     c = FPSpinOf(C[0], C[1], C[3]);
  /* (C A^T + A C)/2 */
  const FPSpin s = FPSpinOf(C[0] * A[0] + C[1] * A[1], 0.5 * (C[0] * A[2] + C[1] * A[3] + C[1] * A[0] + C[3] * A[1]),
                            C[1] * A[2] + C[3] * A[3]);
  Symmetric   *f;
  PetscReal    size;

  PetscFunctionBegin;
  PetscCall(PetscNew(gibbs));
  PetscCall(PetscNew(&f));
  *f = (Symmetric){.rank = rank, .c0 = c.c, .c = {c.x, c.y}, .s0 = s.c, .s = {s.x, s.y}};
  for (PetscInt i = 0; i < 2; i++) /* tr A C A^T/2 */
    f->constant +=
        0.5 * (C[0] * A[2 * i] * A[2 * i] + 2 * C[1] * A[2 * i] * A[2 * i + 1] + C[3] * A[2 * i + 1] * A[2 * i + 1]);
  size = f->constant > 0 ? f->constant : f->c0;
  FindLeast(f, 1.5 * PetscSqrtReal(1e-3 + PetscSqrtReal(2 * f->constant / (c.c - hypot(c.x, c.y)))));
  **gibbs =
      (struct _p_FPGibbs){.integrate = Integrate, .destroy = Destroy, .log_first = PetscLogReal(64 / size), .data = f};
  PetscFunctionReturn(0);
}

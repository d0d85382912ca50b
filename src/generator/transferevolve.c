/* transferevolve.c: powers of the transfer operator. Few steps by products, many by squares of the whole matrix; at a
   time between two steps the linear interpolation of both, as of anything that is known at steps only. */
#include "transfer.h"
#include <petscblaslapack.h>

#define DENSE 1200 /* unknowns, at most, of a matrix that is squared */
#define SQUARES 40 /* powers of two, at most */
#define ROUNDING 1e-15

typedef struct {
  FPGenerator gen;
  PetscBool   backward;
  PetscInt    n, have;
  PetscReal  *square[SQUARES]; /* of P, by columns; [have] */
  PetscReal  *work;
} Powers;

static PetscErrorCode Step(Powers *p, PetscReal x[])
{
  PetscFunctionBegin;
  PetscCall(FPGeneratorApply(p->gen, p->backward, x, p->work));
  for (PetscInt k = 0; k < p->n; k++) x[k] += p->gen->step * p->work[k];
  PetscFunctionReturn(0);
}

static PetscErrorCode First(Powers *p)
{
  FPGenerator    gen = p->gen;
  const PetscInt n   = p->n;
  PetscReal     *P;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1((size_t)n * n, &P));
  for (PetscInt k = 0; k < n; k++) P[k * n + k] = 1 - gen->step * gen->kill[k];
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    P[e->j * n + e->i] += gen->step * e->qij;
    P[e->i * n + e->i] -= gen->step * e->qij;
    P[e->i * n + e->j] += gen->step * e->qji;
    P[e->j * n + e->j] -= gen->step * e->qji;
  }
  p->square[p->have++] = P;
  PetscFunctionReturn(0);
}

static PetscErrorCode Square(Powers *p, PetscInt power)
{
  const PetscBLASInt n   = (PetscBLASInt)p->n;
  const PetscReal    one = 1, zero = 0;

  PetscFunctionBegin;
  if (!p->have) PetscCall(First(p));
  for (; p->have <= power; p->have++) {
    PetscCall(PetscMalloc1((size_t)n * (size_t)n, &p->square[p->have]));
    BLASgemm_("N", "N", &n, &n, &n, &one, p->square[p->have - 1], &n, p->square[p->have - 1], &n, &zero,
              p->square[p->have], &n);
  }
  PetscFunctionReturn(0);
}

/* x goes on by `steps` steps */
static PetscErrorCode Advance(Powers *p, PetscInt64 steps, PetscReal x[])
{
  const PetscBLASInt n = (PetscBLASInt)p->n, unit = 1;
  const PetscReal    one = 1, zero = 0;

  PetscFunctionBegin;
  if (steps <= p->n || p->n > DENSE) {
    for (PetscInt64 k = 0; k < steps; k++) PetscCall(Step(p, x));
    PetscFunctionReturn(0);
  }
  for (PetscInt power = 0; steps; power++, steps /= 2) {
    if (steps % 2 == 0) continue;
    PetscCall(Square(p, power));
    BLASgemv_(p->backward ? "N" : "T", &n, &n, &one, p->square[power], &n, x, &unit, &zero, p->work, &unit);
    PetscCall(PetscArraycpy(x, p->work, p->n));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPTransferEvolve(FPGenerator gen, PetscBool backward, const PetscReal initial[], PetscInt count,
                                const PetscReal times[], PetscReal out[], PetscReal error[])
{
  const PetscInt n    = gen->n;
  Powers         p    = {.gen = gen, .backward = backward, .n = n};
  PetscInt64     done = 0;
  PetscReal     *x, size = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n, &x, n, &p.work));
  PetscCall(PetscArraycpy(x, initial, n));
  for (PetscInt k = 0; k < n; k++)
    size = backward ? PetscMax(size, PetscAbsReal(initial[k])) : size + PetscAbsReal(initial[k]);
  for (PetscInt t = 0; t < count; t++) {
    const PetscInt64 whole = (PetscInt64)(times[t] / gen->step + 1e-6);
    const PetscReal  part  = PetscMax(0, times[t] / gen->step - (PetscReal)whole);
    PetscReal       *now   = out + (size_t)t * n;

    PetscCheck(times[t] >= (t ? times[t - 1] : 0) && times[t] < PETSC_INFINITY, PETSC_COMM_SELF,
               PETSC_ERR_ARG_OUTOFRANGE, "times must be finite, ascending and not negative");
    PetscCall(Advance(&p, whole - done, x));
    done = whole;
    PetscCall(PetscArraycpy(now, x, n));
    if (part > 1e-6) {
      PetscCall(Step(&p, now));
      for (PetscInt k = 0; k < n; k++) now[k] = x[k] + part * (now[k] - x[k]);
    }
    error[t] = ROUNDING * (PetscReal)(10 + PetscMin(done, 1000)) * size;
  }
  for (PetscInt k = 0; k < p.have; k++) PetscCall(PetscFree(p.square[k]));
  PetscCall(PetscFree2(x, p.work));
  PetscFunctionReturn(0);
}

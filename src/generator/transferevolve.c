/* transferevolve.c: powers of the transfer operator; at a time between two steps the linear interpolation of both, as
   of anything that is known at steps only. Few steps are products. Many are taken in the Krylov space of where they
   start (Arnoldi; Saad 1992, "Analysis of some Krylov subspace approximations"): with P V = V H + h v e_m^T,
   orthonormal, a step is y <- H y, and what it leaves out is h y_m v. That is added up, as P lets nothing grow; where
   one step would leave out too much, v joins the space, and where that is full it starts again from V y. Modes that
   have died out cost nothing, so a law takes 10^5 steps towards equilibrium with some hundred products. */
#include "transfer.h"
#include <petscblaslapack.h>

#define FEW 40         /* steps, at most, that are products */
#define SPACE 80       /* vectors of a Krylov space */
#define LEFT_OUT 1e-13 /* by all steps together, of the size of the start */
#define CLOSED 1e-14   /* h below which the space is invariant to rounding */
#define LEAP 1024      /* steps, a power of 2, that are taken at once where many are left */
#define ROUNDING 1e-15

typedef struct {
  FPGenerator gen;
  PetscBool   backward, positive; /* positive: so are P and the start */
  PetscInt    n, size, squared;   /* size: vectors of the space so far, without the next one; when leap was made */
  PetscReal  *work, *V, *H, *y;   /* [n], [SPACE + 1][n], columns [SPACE][SPACE + 1], [SPACE + 1] */
  PetscReal  *leap, *square;      /* H^LEAP, [size][size], and room */
  PetscReal   allowed, left_out;  /* by one step; so far */
} Powers;

static PetscErrorCode Step(Powers *p, PetscReal x[])
{
  PetscFunctionBegin;
  PetscCall(FPGeneratorApply(p->gen, p->backward, x, p->work));
  for (PetscInt k = 0; k < p->n; k++) x[k] += p->gen->step * p->work[k];
  PetscFunctionReturn(0);
}

/* One vector more: P times the last one, orthogonal to all (twice, which is enough). */
static PetscErrorCode Extend(Powers *p)
{
  const PetscBLASInt n = (PetscBLASInt)p->n, m = (PetscBLASInt)p->size + 1, unit = 1;
  const PetscReal    one = 1, minus = -1, zero = 0;
  PetscReal         *column = p->H + p->size * (SPACE + 1), *next = p->V + (size_t)m * p->n, part[SPACE + 1], norm;

  PetscFunctionBegin;
  PetscCall(PetscArraycpy(next, p->V + (size_t)p->size * p->n, p->n));
  PetscCall(Step(p, next));
  PetscCall(PetscArrayzero(column, SPACE + 1));
  for (PetscInt pass = 0; pass < 2; pass++) {
    BLASgemv_("T", &n, &m, &one, p->V, &n, next, &unit, &zero, part, &unit);
    BLASgemv_("N", &n, &m, &minus, p->V, &n, part, &unit, &one, next, &unit);
    for (PetscInt k = 0; k < m; k++) column[k] += part[k];
  }
  norm = BLASnrm2_(&n, next, &unit);
  if (norm < CLOSED) norm = 0;
  for (PetscInt k = 0; k < p->n; k++) next[k] = norm > 0 ? next[k] / norm : 0;
  column[m] = norm;
  p->y[m]   = 0;
  p->size   = m;
  PetscFunctionReturn(0);
}

/* The space of x alone, and its image. */
static PetscErrorCode Start(Powers *p, const PetscReal x[])
{
  const PetscBLASInt n = (PetscBLASInt)p->n, unit = 1;

  PetscFunctionBegin;
  p->size    = 0;
  p->squared = 0;
  p->y[0]    = BLASnrm2_(&n, x, &unit);
  for (PetscInt k = 0; k < p->n; k++) p->V[k] = p->y[0] > 0 ? x[k] / p->y[0] : 0;
  PetscCall(Extend(p));
  PetscFunctionReturn(0);
}

/* x = V y */
static void Finish(Powers *p, PetscReal x[])
{
  const PetscBLASInt n = (PetscBLASInt)p->n, m = (PetscBLASInt)p->size, unit = 1;
  const PetscReal    one = 1, zero = 0;

  BLASgemv_("N", &n, &m, &one, p->V, &n, p->y, &unit, &zero, x, &unit);
  for (PetscInt k = 0; p->positive && k < p->n; k++) x[k] = PetscMax(0, x[k]);
}

/* What the next step would leave out: in the sum of its absolute values for laws, at most for functions. */
static PetscReal Loss(const Powers *p)
{
  const PetscReal next = p->H[(p->size - 1) * (SPACE + 1) + p->size] * p->y[p->size - 1];

  return PetscAbsReal(next) * (p->backward ? 1 : PetscSqrtReal((PetscReal)p->n));
}

static void SmallStep(Powers *p)
{
  PetscReal y[SPACE];

  for (PetscInt i = 0; i < p->size; i++) y[i] = 0;
  for (PetscInt j = 0; j < p->size; j++)
    for (PetscInt i = 0; i <= PetscMin(j + 1, p->size - 1); i++) y[i] += p->H[j * (SPACE + 1) + i] * p->y[j];
  for (PetscInt i = 0; i < p->size; i++) p->y[i] = y[i];
}

/* y <- H^LEAP y, unless the last of these steps would leave out too much: *leapt. H^LEAP by squares, once for a space.
 */
static PetscErrorCode Leap(Powers *p, PetscBool *leapt)
{
  const PetscBLASInt m = (PetscBLASInt)p->size, unit = 1;
  const PetscReal    one = 1, zero = 0, before = Loss(p);
  PetscReal          y[SPACE];

  PetscFunctionBegin;
  if (p->squared != m) {
    for (PetscInt j = 0; j < m; j++) PetscCall(PetscArraycpy(p->leap + j * m, p->H + j * (SPACE + 1), m));
    for (PetscInt steps = 1; steps < LEAP; steps *= 2) {
      BLASgemm_("N", "N", &m, &m, &m, &one, p->leap, &m, p->leap, &m, &zero, p->square, &m);
      PetscCall(PetscArraycpy(p->leap, p->square, m * m));
    }
    p->squared = m;
  }
  PetscCall(PetscArraycpy(y, p->y, m));
  BLASgemv_("N", &m, &m, &one, p->leap, &m, y, &unit, &zero, p->y, &unit);
  *leapt = (PetscBool)(Loss(p) <= p->allowed);
  if (*leapt)
    p->left_out += LEAP * PetscMax(before, Loss(p));
  else
    PetscCall(PetscArraycpy(p->y, y, m));
  PetscFunctionReturn(0);
}

static PetscErrorCode ByKrylov(Powers *p, PetscInt64 steps, PetscReal x[])
{
  PetscFunctionBegin;
  PetscCall(Start(p, x));
  while (steps > 0) {
    PetscBool leapt = PETSC_FALSE;

    if (Loss(p) > p->allowed) {
      if (p->size < SPACE) {
        PetscCall(Extend(p));
      } else {
        Finish(p, x);
        PetscCall(Start(p, x));
      }
      continue;
    }
    if (steps >= LEAP && p->size >= FEW) PetscCall(Leap(p, &leapt));
    if (!leapt) {
      p->left_out += Loss(p);
      SmallStep(p);
    }
    steps -= leapt ? LEAP : 1;
  }
  Finish(p, x);
  PetscFunctionReturn(0);
}

/* x goes on by `steps` steps */
static PetscErrorCode Advance(Powers *p, PetscInt64 steps, PetscReal x[])
{
  PetscFunctionBegin;
  if (steps > FEW) {
    PetscCall(ByKrylov(p, steps, x));
    PetscFunctionReturn(0);
  }
  for (PetscInt64 k = 0; k < steps; k++) PetscCall(Step(p, x));
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
  PetscCall(PetscMalloc4(n, &x, n, &p.work, (size_t)(SPACE + 1) * n, &p.V, SPACE + 1, &p.y));
  PetscCall(PetscMalloc3(SPACE * (SPACE + 1), &p.H, SPACE * SPACE, &p.leap, SPACE * SPACE, &p.square));
  PetscCall(PetscArraycpy(x, initial, n));
  p.positive = (PetscBool)(FPTransferOrder(&gen->options.transfer) == 2);
  for (PetscInt k = 0; k < n; k++) {
    size       = backward ? PetscMax(size, PetscAbsReal(initial[k])) : size + PetscAbsReal(initial[k]);
    p.positive = (PetscBool)(p.positive && initial[k] >= 0);
  }
  if (count) p.allowed = LEFT_OUT * size / PetscMax(1, times[count - 1] / gen->step);
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
    error[t] = p.left_out + ROUNDING * (PetscReal)(10 + PetscMin(done, 1000)) * size;
  }
  PetscCall(PetscFree4(x, p.work, p.V, p.y));
  PetscCall(PetscFree3(p.H, p.leap, p.square));
  PetscFunctionReturn(0);
}

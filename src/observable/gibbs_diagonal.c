/* gibbs_diagonal.c: a diagonal network with correlated inputs, p_i = v_i w_i with v_i the product of the first L - 1
   weights of a path. Given v the p_i are normal of variances v_i^2, so Z = E_v det(I + n V C V)^{-1/2} exp(-a^T (V^2 +
   (n C)^{-1})^{-1} a/2), a the teacher: integrals over u_i = ln |v_i|, whose integrand is smooth. */
#include "gibbsimpl.h"
#include <math.h>

#define TAIL 38.0 /* beyond u = -ln(n)/2 the integrand falls like e^u */
#define MOST 3    /* inputs */

typedef struct {
  PetscInt  m, depth;
  PetscReal scale, inverse[MOST * MOST], a[MOST]; /* ln of C's geometric mean, divided out; inverse of C */
  FPLogLaw  law[2];
} Diagonal;

typedef struct {
  const Diagonal *f;
  const FPLogLaw *law;
  PetscReal       log_n;
} Context;

/* Pivots that have lost ten digits count as zero. */
PetscBool FPGibbsFactor(PetscInt m, const PetscReal Q[], PetscReal F[])
{
  for (PetscInt j = 0; j < m; j++)
    for (PetscInt i = j; i < m; i++) {
      PetscReal sum = Q[i * m + j];

      for (PetscInt k = 0; k < j; k++) sum -= F[i * m + k] * F[j * m + k];
      if (i == j && !(sum > 1e-10 * Q[i * m + i])) return PETSC_FALSE;
      F[i * m + j] = i == j ? PetscSqrtReal(sum) : sum / F[j * m + j];
    }
  return PETSC_TRUE;
}

void FPGibbsSolve(PetscInt m, const PetscReal F[], PetscReal b[])
{
  for (PetscInt i = 0; i < m; i++) {
    for (PetscInt k = 0; k < i; k++) b[i] -= F[i * m + k] * b[k];
    b[i] /= F[i * m + i];
  }
  for (PetscInt i = m - 1; i >= 0; i--) {
    for (PetscInt k = i + 1; k < m; k++) b[i] -= F[k * m + i] * b[k];
    b[i] /= F[i * m + i];
  }
}

/* With N = (n C)^{-1}, Q = V^2 + N, b = Q^{-1} a, R = Q^{-1} N: the logarithm is (ln det N - ln det Q - a^T b)/2; by ln
   n its slope is (tr R - m - b^T N b)/2 and its curvature (tr R^2 - tr R - 2 b^T N R b + b^T N b)/2. */
static PetscReal Node(const void *context, const PetscReal v[], PetscReal slope[2])
{
  const Context  *c     = (const Context *)context;
  const Diagonal *f     = c->f;
  const PetscInt  m     = f->m;
  const PetscReal per_n = PetscExpReal(-c->log_n);
  PetscReal       Q[MOST * MOST], N[MOST * MOST], F[MOST * MOST], R[MOST * MOST], b[MOST], Nb[MOST];
  PetscReal       weight = -0.5 * m * c->log_n, trace = 0, trace2 = 0, bNb = 0, bNRb = 0;

  for (PetscInt i = 0; i < m * m; i++) Q[i] = N[i] = f->inverse[i] * per_n;
  for (PetscInt i = 0; i < m; i++) Q[i * m + i] += PetscExpReal(2 * v[i]);
  if (!FPGibbsFactor(m, Q, F)) return -INFINITY;
  for (PetscInt i = 0; i < m; i++) {
    PetscReal fall;

    b[i] = f->a[i];
    weight -= PetscLogReal(F[i * m + i]);
    if (c->law->density) weight += v[i] + PetscLogReal(FPLogLawAt(c->law, v[i], &fall));
  }
  FPGibbsSolve(m, F, b);
  for (PetscInt i = 0; i < m; i++) weight -= 0.5 * f->a[i] * b[i];
  if (!(weight > -1e4)) return -INFINITY;
  for (PetscInt j = 0; j < m; j++) { /* column j of R, kept as a row */
    for (PetscInt i = 0; i < m; i++) R[j * m + i] = N[i * m + j];
    FPGibbsSolve(m, F, R + j * m);
    trace += R[j * m + j];
    Nb[j] = 0;
    for (PetscInt i = 0; i < m; i++) Nb[j] += N[j * m + i] * b[i];
    bNb += Nb[j] * b[j];
  }
  for (PetscInt i = 0; i < m; i++)
    for (PetscInt j = 0; j < m; j++) {
      trace2 += R[j * m + i] * R[i * m + j];
      bNRb += Nb[i] * R[j * m + i] * b[j];
    }
  slope[0] = 0.5 * (trace - m - bNb);
  slope[1] = 0.5 * (trace2 - trace - 2 * bNRb + bNb) + PetscSqr(slope[0]);
  return weight;
}

static PetscInt Edges(const void *context, PETSC_UNUSED PetscInt k, PETSC_UNUSED const PetscReal v[],
                      PetscReal edge[FP_EDGES])
{
  const Context  *c    = (const Context *)context;
  const PetscReal at[] = {-0.5 * c->log_n - 16, -0.5 * c->log_n - 4, -0.5 * c->log_n + 4, -4, 0};

  return FPNestedEdges(-0.5 * PetscMax(0, c->log_n) - TAIL, FPLogLawEnd(c->law), 0.7, 5, at, edge);
}

static PetscErrorCode Integrate(FPGibbs gibbs, PetscBool fine, PetscReal log_n, FPGibbsAnswer *answer)
{
  const Diagonal *f      = (const Diagonal *)gibbs->data;
  const Context   c      = {.f = f, .law = &f->law[fine], .log_n = log_n + f->scale};
  const FPNested  nested = {f->depth > 1 ? f->m : 0, Edges, Node, &c,
                           f->m == 3 ? (fine ? 1e-7 : 1e-5) : (fine ? 1e-9 : 1e-7)};

  PetscFunctionBegin;
  *answer = FPNestedIntegrate(&nested);
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy(FPGibbs gibbs)
{
  Diagonal *f = (Diagonal *)gibbs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 2; k++) PetscCall(FPLogLawDestroy(&f->law[k]));
  PetscCall(PetscFree(gibbs->data));
  PetscFunctionReturn(0);
}

/* A strength of the teacher below 1e-12 of the largest is taken for 0. */
PetscErrorCode FPGibbsCreate_Diagonal(const FPGibbsForm *form, FPGibbs *gibbs)
{
  const PetscInt m              = form->inputs;
  PetscReal      F[MOST * MOST] = {0}, scaled[MOST * MOST] = {0}, log_det = 0, largest = 0;
  Diagonal      *f;

  PetscFunctionBegin;
  PetscCall(PetscNew(gibbs));
  PetscCall(PetscNew(&f));
  f->m     = m;
  f->depth = form->depth;
  (void)FPGibbsFactor(m, form->C, F);
  for (PetscInt i = 0; i < m; i++) log_det += 2 * PetscLogReal(F[i * m + i]);
  f->scale = log_det / m;
  for (PetscInt i = 0; i < m * m; i++) scaled[i] = form->C[i] * PetscExpReal(-f->scale);
  (void)FPGibbsFactor(m, scaled, F);
  for (PetscInt j = 0; j < m; j++) {
    f->inverse[j * m + j] = 1;
    FPGibbsSolve(m, F, f->inverse + j * m);
    largest = PetscMax(largest, PetscAbsReal(form->A[j]));
  }
  for (PetscInt j = 0; j < m; j++) f->a[j] = PetscAbsReal(form->A[j]) > 1e-12 * largest ? form->A[j] : 0;
  for (PetscInt k = 0; k < 2; k++) {
    const PetscReal lower = 0.5 * PetscMax(0, form->reach + f->scale) + TAIL + 20.0 * form->depth;

    PetscCall(FPLogLawCreate(form->depth - 1, 1.0 / (k ? 32 : 24), lower, &f->law[k]));
    if (form->depth > 1) PetscCall(FPLogLawSmooth(form->depth - 1, &f->law[k]));
  }
  **gibbs = (struct _p_FPGibbs){.integrate = Integrate, .destroy = Destroy, .logarithmic = PETSC_TRUE, .data = f};
  PetscFunctionReturn(0);
}

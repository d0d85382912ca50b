/* gibbs_factorisation.c: M = W_L ... W_1 of 2 x 2 matrices. Given G = X^T X, X = W_{L-1} ... W_1, the rows of M are
   normal of covariance G, so Z = E_G det(I + n G C)^{-1} exp(-tr A (G + (n C)^{-1})^{-1} A^T/2). With x >= y the
   logarithms of the eigenvalues of G' = C^{1/2} G C^{1/2}, what depends on the angle of its axes is an exponential of a
   cosine, and averages to a Bessel function I_0.
   Density of (x, y). L = 2: a Wishart law of 2 degrees of freedom and scale C. L > 2, C = c I: with 2d = x + y, 2r = x
   - y the product of Gaussian matrices is a random walk in d and on the hyperbolic plane at distance r from its start,
   and horocycles (the QR factorisation: diagonal entries are products of independent chi variables) carry the law a(u)
   of ln |product of L - 1 normal variables|: with rho = a e^{-u} the density g(d, r) against dd sinh r dr is Abel's
     g = c/pi e^{3d/2} int_r^inf -d/dt [rho((d + t)/2) rho((d - t)/2)] dt/sqrt(cosh t - cosh r),
   c = (pi/sqrt 2) (pi/2)^{(L-1)/2}. Nothing changes its sign. For L = 2, g = exp(2d - e^d cosh r).
   Sources: the Abel transform, Helgason, Groups and Geometric Analysis (1984), IV.5; the rest is derived here. */
#include "gibbsimpl.h"
#include <gsl/gsl_integration.h>
#include <math.h>

#define TAIL 76.0  /* beyond y = -ln n the integrand falls like e^{y/2} */
#define REACH 36.0 /* of Abel's integral, which falls like e^{-z} */
#define MOST_Z 14  /* quadrature points per panel, at most */

typedef struct {
  PetscInt  depth;
  PetscReal scale, b[2];     /* ln of C's geometric mean, divided out; eigenvalues of C^{1/2} A^T A C^{1/2} */
  PetscReal k0, v1[2], most; /* C^{-1} = k0 I + E(v1), v1 along the axes of b and across; largest x */
  FPLogLaw  law[2];
} Factorisation;

typedef struct {
  const Factorisation *f;
  const FPLogLaw      *law;
  PetscInt             points; /* per panel of Abel's integral */
  PetscReal            z[MOST_Z], weight[MOST_Z], log_n;
} Context;

/* Abel's integral, by q = sqrt((cosh t - cosh r)/2) = cosh(r/2) sinh z */
static PetscReal Abel(const Context *c, PetscReal d, PetscReal r)
{
  static const PetscReal edge[] = {0, 1.5, 3, 5, 7.5, 11, 16, 24, REACH};
  const PetscReal        most   = PetscMin(REACH, 0.5 * (2 * FPLogLawEnd(c->law) - d - r) + 1);
  const PetscReal        ch = cosh(r / 2), sh = sinh(r / 2);
  PetscReal              sum = 0;

  for (PetscInt p = 0; p < 8 && edge[p] < most; p++) {
    const PetscReal low = edge[p], high = PetscMin(edge[p + 1], most);

    for (PetscInt i = 0; i < c->points; i++) {
      const PetscReal z = 0.5 * (low + high) + 0.5 * (high - low) * c->z[i], S = hypot(sh, ch * sinh(z));
      const PetscReal t = 2 * asinh(S);
      PetscReal       fast, slow, both;

      both = FPLogLawAt(c->law, 0.5 * (d + t), &fast);
      if (both < 1e-30) break;
      both *= FPLogLawAt(c->law, 0.5 * (d - t), &slow);
      sum += 0.5 * (high - low) * c->weight[i] * 0.5 * both * (fast - slow) * cosh(z) / S / sqrt(1 + S * S);
    }
  }
  return PETSC_SQRT2 * ch * sum;
}

/* ln of the density of (x, y), without what the angle takes part in */
static PetscReal LogDensity(const Context *c, PetscReal x, PetscReal y)
{
  const PetscReal d = 0.5 * (x + y), r = 0.5 * (x - y), log_sinh = r + PetscLogReal(-0.5 * expm1(-2 * r));
  const PetscInt  k = c->f->depth - 1;

  if (k == 1) return 2 * d + log_sinh - PetscLogReal(2.0) - 0.5 * c->f->k0 * (PetscExpReal(x) + PetscExpReal(y));
  return 1.5 * d + log_sinh - PetscLogReal(2.0) + PetscLogReal(PetscMax(0, Abel(c, d, r)) / PETSC_SQRT2) +
         0.5 * k * PetscLogReal(PETSC_PI / 2);
}

/* The average over the angle of exp(|v1 + v2| cos ...), with |v2| in the exponent taken out: v2 = m along the first
   axis, v1 given; dm, ddm: derivatives of m by ln n. */
static PetscReal Angle(PetscReal m, PetscReal dm, PetscReal ddm, PetscReal along, PetscReal across, PetscReal out[2])
{
  const PetscReal p = m + along, w = hypot(p, across);
  PetscReal       first, second, value = FPLogBessel(w, &first, &second), ratio, bend;

  out[0] = out[1] = 0;
  if (w == 0) return value;
  ratio = p / w * (dm / w); /* d ln w */
  bend  = PetscSqr(dm / w) * PetscSqr(across / w) + p / w * (ddm / w);
  value += (along * (along + 2 * m) + across * across) / (w + m);
  out[0] = first * ratio;
  out[1] = second * ratio * ratio + first * bend;
  if (across != 0) {
    const PetscReal less = p > 0 ? -across / (w + p) * (across / w) : p / w - 1;

    out[0] += less * dm;
    out[1] += less * ddm + w * PetscSqr(dm / w) * PetscSqr(across / w);
  } else if (p < 0) {
    out[0] -= 2 * dm;
    out[1] -= 2 * ddm;
  }
  return value;
}

static PetscReal Node(const void *context, const PetscReal v[], PetscReal slope[2])
{
  const Context       *c    = (const Context *)context;
  const Factorisation *f    = c->f;
  const PetscReal      x[2] = {v[1], v[0]}, l = c->log_n;
  PetscReal            weight, g[2], dg[2], ddg[2], along = 0, across = 0, turn[2], one = 0, two = 0;

  if (!(x[0] > x[1])) return -INFINITY;
  weight = 0;
  for (PetscInt i = 0; i < 2; i++) {
    const PetscReal e = x[i] + l, share = 1 / (1 + PetscExpReal(e)), rest = 1 / (1 + PetscExpReal(-e));

    g[i]   = 1 / (PetscExpReal(x[i]) + PetscExpReal(-l));
    dg[i]  = g[i] * share;
    ddg[i] = dg[i] * (share - rest);
    weight -= 0.5 * f->b[i] * g[i] + (e > 40 ? e : log1p(PetscExpReal(e)));
    one -= 0.5 * f->b[i] * dg[i] + rest;
    two -= 0.5 * f->b[i] * ddg[i] + rest * share;
  }
  if (!(weight > -1e4)) return -INFINITY;
  if (f->depth == 2) {
    along  = -0.5 * f->v1[0] * (PetscExpReal(x[0]) - PetscExpReal(x[1]));
    across = -0.5 * f->v1[1] * (PetscExpReal(x[0]) - PetscExpReal(x[1]));
  }
  const PetscReal half = 0.25 * (f->b[0] - f->b[1]);
  weight += Angle(half * (g[1] - g[0]), half * (dg[1] - dg[0]), half * (ddg[1] - ddg[0]), along, across, turn);
  slope[0] = one + turn[0];
  slope[1] = two + turn[1] + PetscSqr(slope[0]);
  return weight + LogDensity(c, x[0], x[1]);
}

static PetscInt Edges(const void *context, PetscInt k, const PetscReal v[], PetscReal edge[FP_EDGES])
{
  const Context  *c = (const Context *)context;
  const PetscReal l = c->log_n, top = c->f->most;
  const PetscReal at[] = {-l - 40, -l - 20, -l - 8, -l, -l + 8, -8, -3, 0, 3};

  return FPNestedEdges(k ? v[0] : -PetscMax(l, 0) - TAIL, top, 0.7, 9, at, edge);
}

static PetscErrorCode Integrate(FPGibbs gibbs, PetscBool fine, PetscReal log_n, FPGibbsAnswer *answer)
{
  const Factorisation *f      = (const Factorisation *)gibbs->data;
  Context              c      = {.f = f, .law = &f->law[fine], .points = fine ? MOST_Z : 11, .log_n = log_n + f->scale};
  const FPNested       nested = {2, Edges, Node, &c, f->depth > 2 ? (fine ? 1e-7 : 1e-6) : (fine ? 1e-9 : 1e-7)};
  gsl_integration_glfixed_table *table;

  PetscFunctionBegin;
  table = gsl_integration_glfixed_table_alloc((size_t)c.points);
  for (PetscInt i = 0; i < c.points; i++)
    (void)gsl_integration_glfixed_point(-1, 1, (size_t)i, &c.z[i], &c.weight[i], table);
  gsl_integration_glfixed_table_free(table);
  *answer = FPNestedIntegrate(&nested);
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy(FPGibbs gibbs)
{
  Factorisation *f = (Factorisation *)gibbs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 2; k++) PetscCall(FPLogLawDestroy(&f->law[k]));
  PetscCall(PetscFree(gibbs->data));
  PetscFunctionReturn(0);
}

/* A singular value of the teacher below 1e-12 of the other is taken for 0. */
static void Teacher(const FPGibbsForm *form, PetscReal C[3], Factorisation *f)
{
  const PetscReal *A = form->A, det = C[0] * C[2] - C[1] * C[1], root = PetscSqrtReal(det);
  const PetscReal  t    = PetscSqrtReal(C[0] + C[2] + 2 * root); /* C^{1/2} = (C + sqrt(det) I)/t */
  const PetscReal  r[3] = {(C[0] + root) / t, C[1] / t, (C[2] + root) / t};
  const PetscReal  a[4] = {A[0] * r[0] + A[1] * r[1], A[0] * r[1] + A[1] * r[2], A[2] * r[0] + A[3] * r[1],
                           A[2] * r[1] + A[3] * r[2]};
  const FPSpin     B    = FPSpinOf(a[0] * a[0] + a[2] * a[2], a[0] * a[1] + a[2] * a[3], a[1] * a[1] + a[3] * a[3]);
  const FPSpin     K    = FPSpinOf(C[2] / det, -C[1] / det, C[0] / det);
  const PetscReal  size = hypot(B.x, B.y), ux = size > 0 ? B.x / size : 1, uy = size > 0 ? B.y / size : 0;

  f->b[0] = B.c + size;
  f->b[1] = f->b[0] > 0 ? PetscSqr(a[0] * a[3] - a[1] * a[2]) / f->b[0] : 0;
  if (f->b[1] < 1e-24 * f->b[0]) f->b[1] = 0;
  f->k0    = K.c;
  f->v1[0] = K.x * ux + K.y * uy;
  f->v1[1] = K.y * ux - K.x * uy;
  f->most  = PetscLogReal(90 / (K.c - hypot(K.x, K.y)));
}

PetscErrorCode FPGibbsCreate_Factorisation(const FPGibbsForm *form, FPGibbs *gibbs)
{
  Factorisation  *f;
  const PetscReal mean = PetscSqrtReal(form->C[0] * form->C[3] - form->C[1] * form->C[2]);
  PetscReal       C[3] = {form->C[0] / mean, form->C[1] / mean, form->C[3] / mean};

  PetscFunctionBegin;
  PetscCall(PetscNew(gibbs));
  PetscCall(PetscNew(&f));
  f->depth = form->depth;
  f->scale = PetscLogReal(mean);
  Teacher(form, C, f);
  for (PetscInt k = 0; k < 2 && f->depth > 2; k++) {
    const PetscReal lower = 0.5 * (PetscMax(0, form->reach + f->scale) + TAIL) + REACH + 20.0 * f->depth;

    PetscCall(FPLogLawCreate(f->depth - 1, 1.0 / (k ? 32 : 24), lower, &f->law[k]));
    PetscCall(FPLogLawSmooth(f->depth - 1, &f->law[k]));
    f->most = 2 * FPLogLawEnd(&f->law[k]);
  }
  **gibbs = (struct _p_FPGibbs){.integrate = Integrate, .destroy = Destroy, .logarithmic = PETSC_TRUE, .data = f};
  PetscFunctionReturn(0);
}

/* evolve.c: shifted solves with the generator Q, and exp(tQ) on vectors.

   FPGeneratorInvert(): x = (shift - Q)^-1 rhs (backward: functions) or (shift - Q^T)^-1 rhs (measures). shift > 0; or
   shift = 0, which needs killing: mean exit times are shift = 0, rhs = 1. Without killing shift = 0 solves the Poisson
   equation -Q x = rhs: rhs must have stationary mean 0 (functions) or sum 0 (measures), and of all solutions comes the
   one that is 0 at the start's node; the caller adds the constant, or the multiple of the law, that it wants. The
   factors stay until another shift is asked for.

   With a killed generator: mean exit times are (0 - Q)^-1 1, second moments twice that of them again; the survival
   function from every cell is exp(tQ) 1 (backward, one call for all starts), from one law the sum of exp(tQ^T) p.

   FPGeneratorEvolve(): Krylov space of (I - gamma Q)^-1, gamma a tenth of the last time, orthonormal in the inner
   product in which Q is dissipative (weights 1/pi for measures, pi for functions) mixed with a little of the uniform
   law, so that starts where pi is tiny lose nothing. The space grows until its last vectors change no answer by more
   than TOLERANCE; times are split where it does not get there: first between times, then by a stop on the way. The
   error told is that change. Afterwards negative entries are cut off and the mass is put right (measures), or values
   outside the range of the start are (functions). Source: S. Gueckel, GAMM-Mitteilungen 36 (2013); J. van den Eshof
   and M. Hochbruck, SIAM J. Sci. Comput. 27 (2006).

   EvolveBy() is the same for any function of t Q; under a fractional clock that is E_beta(scale t^beta Q).
 */
#include "transfer.h"
#include <petscblaslapack.h>

#define TOLERANCE 1e-10
#define POLE 0.1       /* gamma of the last time */
#define FIRST 12       /* vectors before the first look at the error */
#define EVERY 4        /* vectors between two looks */
#define MOST 60        /* vectors of a space */
#define RATIO 20.0     /* last time over first that share a space */
#define DEEPEST 8      /* splits of a list of times */
#define UNIFORM 1e-3   /* share of the uniform law in the weights */
#define STIFF 1e4      /* gamma times the largest rate */
#define SQUARINGS 10   /* of the rational approximation to exp */
#define WIDEST 1200.0  /* of -ln pi that the symmetric form can hold */
#define ROUNDING 2e-15 /* of the norm of the start, put into the error */
#define STILL 5e-14    /* and below which nothing is asked */

/* (shift - Q) in the symmetric form of reversible chains, factored. */
static PetscErrorCode Factor(FPGenerator gen, PetscReal shift)
{
  PetscReal killed = 0, least = 0;
  PetscBool symmetric, pinned;

  PetscFunctionBegin;
  if (gen->solver && gen->shift == shift) PetscFunctionReturn(0);
  PetscCall(FPGeneratorForget(gen));
  for (PetscInt k = 0; k < gen->n; k++) {
    killed += gen->kill[k];
    if (gen->logpi) least = PetscMin(least, gen->logpi[k]);
  }
  symmetric = (PetscBool)(gen->logpi && least > -WIDEST);
  if (symmetric) {
    PetscCall(PetscMalloc1(gen->n, &gen->root));
    for (PetscInt k = 0; k < gen->n; k++) gen->root[k] = exp(gen->logpi[k] / 2);
  }
  pinned = (PetscBool)(shift == 0 && killed == 0); /* which changes nothing where x = 0 */
  PetscCall(FPGeneratorAssemble(gen, symmetric, shift, pinned, &gen->shifted));
  if (symmetric) PetscCall(MatSetOption(gen->shifted, MAT_SPD, PETSC_TRUE));
  PetscCall(KSPCreate(PETSC_COMM_SELF, &gen->solver));
  PetscCall(KSPSetOperators(gen->solver, gen->shifted, gen->shifted));
  PetscCall(FPGeneratorSetSolver(gen, symmetric, shift, pinned, gen->solver));
  PetscCall(KSPSetUp(gen->solver));
  gen->shift = shift;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorForget(FPGenerator gen)
{
  PetscFunctionBegin;
  PetscCall(KSPDestroy(&gen->solver));
  PetscCall(MatDestroy(&gen->shifted));
  PetscCall(PetscFree(gen->root));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorApply(FPGenerator gen, PetscBool backward, const PetscReal x[], PetscReal y[])
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < gen->n; k++) y[k] = -gen->kill[k] * x[k];
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    if (backward) {
      y[e->i] += e->qij * (x[e->j] - x[e->i]);
      y[e->j] += e->qji * (x[e->i] - x[e->j]);
    } else {
      const PetscReal net = e->qij * x[e->i] - e->qji * x[e->j];

      y[e->i] -= net;
      y[e->j] += net;
    }
  }
  PetscCall(FPGeneratorAddJumps(gen, backward, 1, x, y));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorInvert(FPGenerator gen, PetscBool backward, PetscReal shift, const PetscReal rhs[],
                                 PetscReal x[])
{
  Vec                b, y;
  PetscScalar       *in;
  const PetscScalar *solution;
  KSPConvergedReason reason;

  PetscFunctionBegin;
  PetscCall(Factor(gen, shift));
  PetscCall(MatCreateVecs(gen->shifted, &y, &b));
  PetscCall(VecGetArray(b, &in));
  for (PetscInt k = 0; k < gen->n; k++) {
    const PetscReal root = gen->root ? gen->root[k] : 1;

    in[k] = backward ? rhs[k] * root : rhs[k] / root;
  }
  PetscCall(VecRestoreArray(b, &in));
  if (backward || gen->root)
    PetscCall(KSPSolve(gen->solver, b, y));
  else
    PetscCall(KSPSolveTranspose(gen->solver, b, y));
  PetscCall(KSPGetConvergedReason(gen->solver, &reason));
  PetscCheck(reason > 0, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED, "solve with the generator and shift %g: %s",
             (double)shift, KSPConvergedReasons[reason]);
  PetscCall(VecGetArrayRead(y, &solution));
  for (PetscInt k = 0; k < gen->n; k++) {
    const PetscReal root = gen->root ? gen->root[k] : 1;

    x[k] = backward ? solution[k] / root : solution[k] * root;
  }
  PetscCall(VecRestoreArrayRead(y, &solution));
  PetscCall(VecDestroy(&b));
  PetscCall(VecDestroy(&y));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorInvertColumns(FPGenerator gen, PetscReal shift, PetscInt count, PetscReal x[])
{
  const PetscInt n = gen->n;
  PC             pc;
  Mat            factor, b, y;
  PetscReal     *work;

  PetscFunctionBegin;
  PetscCall(Factor(gen, shift));
  PetscCall(KSPGetPC(gen->solver, &pc));
  PetscCall(PCFactorGetMatrix(pc, &factor));
  PetscCall(PetscMalloc1((size_t)n * count, &work));
  for (PetscInt c = 0; c < count && gen->root; c++)
    for (PetscInt k = 0; k < n; k++) x[(size_t)c * n + k] *= gen->root[k];
  PetscCall(MatCreateSeqDense(PETSC_COMM_SELF, n, count, x, &b));
  PetscCall(MatCreateSeqDense(PETSC_COMM_SELF, n, count, work, &y));
  PetscCall(MatMatSolve(factor, b, y));
  PetscCall(MatDestroy(&b));
  PetscCall(MatDestroy(&y));
  for (PetscInt c = 0; c < count; c++)
    for (PetscInt k = 0; k < n; k++)
      x[(size_t)c * n + k] = gen->root ? work[(size_t)c * n + k] / gen->root[k] : work[(size_t)c * n + k];
  PetscCall(PetscFree(work));
  PetscFunctionReturn(0);
}

/* C = A B, all m x m by columns. */
static void Multiply(PetscInt m, const PetscReal A[], const PetscReal B[], PetscReal C[])
{
  const PetscBLASInt order = (PetscBLASInt)m;
  const PetscReal    one = 1, none = 0;

  BLASgemm_("N", "N", &order, &order, &order, &one, A, &order, B, &order, &none, C, &order);
}

/* X = A^-1 X; A is overwritten. */
static PetscErrorCode Divide(PetscInt m, PetscReal A[], PetscReal X[])
{
  PetscBLASInt order, pivot[MOST], info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(m, &order));
  PetscCallBLAS("LAPACKgesv", LAPACKgesv_(&order, &order, A, &order, pivot, X, &order, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK gesv returned %d", (int)info);
  PetscFunctionReturn(0);
}

/* First column of exp(Z), Z = tau (I - H^-1), as r(Z/K)^K with K = 2^SQUARINGS and the Pade approximation r of degrees
   2 and 3, which vanishes at infinity. Written with H and G = H - I only, so fast modes, of which H has eigenvalues
   near 0, do no harm, and K needs not grow with them. Error below 1e-13 as long as Z turns by less than 20 radians. */
static PetscErrorCode SmallExponential(PetscInt m, const PetscReal H[], PetscReal tau, PETSC_UNUSED void *context,
                                       PetscReal y[])
{
  const PetscInt  mm    = m * m;
  const PetscReal s     = ldexp(tau, -SQUARINGS);
  const PetscReal theta = 3.637834252744496, square = 60 / theta,
                  twice = 9 - theta; /* roots of z^3 - 9z^2 + 36z - 60 */
  PetscReal *G, *HH, *GH, *GG, *X, *Y;

  PetscFunctionBegin;
  PetscCall(PetscMalloc6(mm, &G, mm, &HH, mm, &GH, mm, &GG, mm, &X, mm, &Y));
  for (PetscInt k = 0; k < mm; k++) G[k] = H[k] - (k % (m + 1) == 0);
  Multiply(m, H, H, HH);
  Multiply(m, G, H, GH);
  Multiply(m, G, G, GG);
  for (PetscInt k = 0; k < mm; k++) {
    X[k] = HH[k] + 0.4 * s * GH[k] + s * s / 20 * GG[k];
    Y[k] = HH[k] - twice / square * s * GH[k] + s * s / square * GG[k];
  }
  PetscCall(Divide(m, Y, X));
  Multiply(m, H, X, HH);
  for (PetscInt k = 0; k < mm; k++) Y[k] = H[k] - s / theta * G[k];
  PetscCall(Divide(m, Y, HH));
  for (PetscInt k = 0; k < SQUARINGS; k++) {
    Multiply(m, HH, HH, X);
    PetscCall(PetscArraycpy(HH, X, mm));
  }
  PetscCall(PetscArraycpy(y, HH, m));
  PetscCall(PetscFree6(G, HH, GH, GG, X, Y));
  PetscFunctionReturn(0);
}

typedef struct {
  FPGenerator     gen;
  PetscBool       backward;
  FPSmallFunction function;
  void           *context;
  PetscReal      *weight;     /* [n]: inner product sum weight x y, orthonormal V */
  PetscReal      *V, *H;      /* [most + 1][n]; by columns, [MOST][MOST + 1] */
  PetscReal      *y, *before; /* [time][MOST]: coefficients now and EVERY vectors ago */
  PetscReal       gamma, beta;
  PetscInt        m, most;
  PetscBool       complete; /* the space is invariant */
  PetscBool       stops;    /* f(s + t) = f(s) f(t) */
} Space;

static PetscErrorCode SetWeights(Space *s)
{
  FPGenerator     gen = s->gen;
  const PetscReal c   = gen->logpi || gen->stationary ? UNIFORM : 1;
  PetscReal       V   = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < gen->n; k++) V += gen->volume[k];
  for (PetscInt k = 0; k < gen->n; k++) {
    const PetscReal law = gen->logpi ? exp(gen->logpi[k]) : gen->stationary ? gen->stationary[k] : 0;
    const PetscReal mix = law + c * gen->volume[k] / V;

    s->weight[k] = s->backward ? mix : 1 / mix;
  }
  PetscFunctionReturn(0);
}

static PetscReal Product(const Space *s, const PetscReal x[], const PetscReal y[])
{
  PetscReal sum = 0;

#pragma omp simd reduction(+ : sum)
  for (PetscInt k = 0; k < s->gen->n; k++) sum += s->weight[k] * x[k] * y[k];
  return sum;
}

static PetscErrorCode Begin(Space *s, const PetscReal initial[], PetscReal gamma)
{
  PetscFunctionBegin;
  s->gamma    = gamma;
  s->beta     = PetscSqrtReal(Product(s, initial, initial));
  s->m        = 0;
  s->complete = PETSC_FALSE;
  for (PetscInt k = 0; k < s->gen->n; k++) s->V[k] = initial[k] / s->beta;
  PetscFunctionReturn(0);
}

/* v = (I - gamma Q)^-1 u, refined once where gamma is long against the fastest rates: slow modes lose what the
   condition of the matrix takes from them. */
static PetscErrorCode Resolve(const Space *s, const PetscReal u[], PetscReal v[])
{
  const PetscInt n = s->gen->n;
  PetscReal     *r;

  PetscFunctionBegin;
  PetscCall(FPGeneratorInvert(s->gen, s->backward, 1 / s->gamma, u, v));
  for (PetscInt k = 0; k < n; k++) v[k] /= s->gamma;
  if (s->gamma * s->gen->info.largest_rate < STIFF) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(n, &r));
  PetscCall(FPGeneratorApply(s->gen, s->backward, v, r));
  for (PetscInt k = 0; k < n; k++) r[k] = u[k] - v[k] + s->gamma * r[k];
  PetscCall(FPGeneratorInvert(s->gen, s->backward, 1 / s->gamma, r, r));
  for (PetscInt k = 0; k < n; k++) v[k] += r[k] / s->gamma;
  PetscCall(PetscFree(r));
  PetscFunctionReturn(0);
}

/* One vector more, by Arnoldi's method; Gram-Schmidt twice. */
static PetscErrorCode Extend(Space *s)
{
  const PetscInt n = s->gen->n, m = s->m;
  PetscReal     *v = s->V + (size_t)(m + 1) * n, *h = s->H + (size_t)m * (MOST + 1), norm, all = 0;

  PetscFunctionBegin;
  PetscCall(Resolve(s, s->V + (size_t)m * n, v));
  PetscCall(PetscArrayzero(h, MOST + 1));
  for (PetscInt pass = 0; pass < 2; pass++)
    for (PetscInt j = 0; j <= m; j++) {
      const PetscReal *u = s->V + (size_t)j * n, along = Product(s, u, v);

      h[j] += along;
      for (PetscInt k = 0; k < n; k++) v[k] -= along * u[k];
    }
  for (PetscInt j = 0; j <= m; j++) all += h[j] * h[j];
  norm        = PetscSqrtReal(Product(s, v, v));
  h[m + 1]    = norm;
  s->complete = (PetscBool)(norm <= 1e-14 * PetscSqrtReal(all));
  for (PetscInt k = 0; k < n && !s->complete; k++) v[k] /= norm;
  s->m++;
  PetscFunctionReturn(0);
}

/* Coefficients of the answer at time t. */
static PetscErrorCode Coefficients(const Space *s, PetscReal t, PetscReal y[])
{
  PetscReal H[MOST * MOST];

  PetscFunctionBegin;
  for (PetscInt j = 0; j < s->m; j++)
    for (PetscInt i = 0; i < s->m; i++) H[j * s->m + i] = s->H[(size_t)j * (MOST + 1) + i];
  PetscCall((*s->function)(s->m, H, t / s->gamma, s->context, y));
  for (PetscInt j = 0; j < s->m; j++) y[j] *= s->beta;
  for (PetscInt j = s->m; j < MOST; j++) y[j] = 0;
  PetscFunctionReturn(0);
}

static void Combine(const Space *s, const PetscReal y[], PetscReal out[])
{
  const PetscInt n = s->gen->n;

  for (PetscInt k = 0; k < n; k++) out[k] = 0;
  for (PetscInt j = 0; j < s->m; j++) {
    const PetscReal *v = s->V + (size_t)j * n;

    for (PetscInt k = 0; k < n; k++) out[k] += y[j] * v[k];
  }
}

/* Norm of a combination: a bound of the total variation, or the maximum; where that is at least `large`, to which the
   norm of the coefficients is a lower bound, not worked out unless this is the last word. work[n]. */
static PetscReal Norm(const Space *s, const PetscReal y[], PetscReal large, PetscReal work[])
{
  PetscReal norm = 0;

  for (PetscInt j = 0; j < s->m; j++) norm += y[j] * y[j];
  norm = 1.001 * PetscSqrtReal(norm);
  if (!s->backward || (norm > large && s->m < s->most)) return norm;
  Combine(s, y, work);
  norm = 0;
  for (PetscInt k = 0; k < s->gen->n; k++) norm = PetscMax(norm, PetscAbsReal(work[k]));
  return norm;
}

/* Grow the space until the answers at all times stand still but for `goal`; error[count] is by how much they still
   moved. */
static PetscErrorCode Converge(Space *s, PetscInt count, const PetscReal times[], PetscReal goal, PetscReal work[],
                               PetscReal error[], PetscBool *converged)
{
  PetscFunctionBegin;
  PetscCall(PetscArrayzero(s->before, count * MOST));
  *converged = PETSC_FALSE;
  for (PetscInt target = FIRST; !*converged; target = s->m + EVERY) {
    PetscReal worst = 0;

    while (s->m < PetscMin(target, s->most) && !s->complete) PetscCall(Extend(s));
    for (PetscInt t = 0; t < count; t++) {
      PetscReal *y = s->y + t * MOST, *before = s->before + t * MOST;

      PetscCall(Coefficients(s, times[t], y));
      for (PetscInt j = 0; j < MOST; j++) before[j] = y[j] - before[j];
      error[t] = s->complete ? 0 : Norm(s, before, goal, work);
      worst    = PetscMax(worst, error[t]);
      error[t] += ROUNDING * s->beta;
      PetscCall(PetscArraycpy(before, y, MOST));
    }
    *converged = (PetscBool)(worst <= goal);
    if (s->m >= s->most) break;
  }
  PetscFunctionReturn(0);
}

static PetscReal Size(const Space *s, const PetscReal x[])
{
  PetscReal size = 0;

  for (PetscInt k = 0; k < s->gen->n; k++)
    size = s->backward ? PetscMax(size, PetscAbsReal(x[k])) : size + PetscAbsReal(x[k]);
  return size;
}

/* Answers at times that share a space, or at two lots of them, or from a stop at half the first time on. */
static PetscErrorCode Stretch(Space *s, const PetscReal initial[], PetscInt count, const PetscReal times[],
                              PetscReal out[], PetscReal error[], PetscInt depth)
{
  const PetscInt n = s->gen->n;
  PetscReal     *work;
  PetscInt       half      = 0;
  PetscBool      converged = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &work));
  PetscCall(Begin(s, initial, POLE * times[count - 1]));
  PetscCall(Converge(s, count, times, TOLERANCE * Size(s, initial) + STILL * s->beta, work, error, &converged));
  if (converged || depth >= DEEPEST || (!s->stops && times[count - 1] <= 3 * times[0])) {
    for (PetscInt t = 0; t < count; t++) Combine(s, s->y + t * MOST, out + (size_t)t * n);
  } else if (times[count - 1] > 3 * times[0]) {
    while (times[half] * times[half] <= times[0] * times[count - 1]) half++;
    PetscCall(Stretch(s, initial, half, times, out, error, depth + 1));
    PetscCall(Stretch(s, initial, count - half, times + half, out + (size_t)half * n, error + half, depth + 1));
  } else {
    const PetscReal stop = times[0] / 2;
    PetscReal      *middle, *rest, lost;

    PetscCall(PetscMalloc2(n, &middle, count, &rest));
    for (PetscInt t = 0; t < count; t++) rest[t] = times[t] - stop;
    PetscCall(Stretch(s, initial, 1, &stop, middle, &lost, depth + 1));
    PetscCall(Stretch(s, middle, count, rest, out, error, depth + 1));
    for (PetscInt t = 0; t < count; t++) error[t] += lost;
    PetscCall(PetscFree2(middle, rest));
  }
  PetscCall(PetscFree(work));
  PetscFunctionReturn(0);
}

/* A law stays one: no negative entries, and the mass of the start, or no more where some are killed. What is cut off
   counts as error. */
static void MendMeasure(FPGenerator gen, const PetscReal initial[], PetscBool kept, PetscReal out[], PetscReal *error)
{
  PetscReal least = 0, cut = 0, mass = 0, sum = 0, size = 0;

  for (PetscInt k = 0; k < gen->n; k++) {
    least = PetscMin(least, initial[k]);
    mass += initial[k];
  }
  for (PetscInt k = 0; k < gen->n; k++) {
    if (least >= 0 && out[k] < 0) {
      cut -= out[k];
      out[k] = 0;
    }
    sum += out[k];
    size += PetscAbsReal(out[k]);
  }
  if ((kept || (least >= 0 && sum > mass)) && size > 0)
    for (PetscInt k = 0; k < gen->n; k++) out[k] += (mass - sum) / size * PetscAbsReal(out[k]);
  *error += cut + (kept ? PetscAbsReal(mass - sum) : 0);
}

/* The maximum principle; killed processes have the value 0 where they are killed. */
static void MendFunction(FPGenerator gen, const PetscReal initial[], PetscBool kept, PetscReal out[])
{
  PetscReal low = kept ? initial[0] : 0, high = low;

  for (PetscInt k = 0; k < gen->n; k++) {
    low  = PetscMin(low, initial[k]);
    high = PetscMax(high, initial[k]);
  }
  for (PetscInt k = 0; k < gen->n; k++) out[k] = PetscClipInterval(out[k], low, high);
}

static PetscErrorCode Times(Space *s, const PetscReal initial[], PetscInt count, const PetscReal times[],
                            PetscReal out[], PetscReal error[])
{
  const PetscInt n    = s->gen->n;
  PetscInt       from = 0;

  PetscFunctionBegin;
  for (; from < count && (times[from] == 0 || Size(s, initial) == 0); from++) {
    PetscCall(PetscArraycpy(out + (size_t)from * n, initial, n));
    error[from] = 0;
  }
  for (PetscInt to = from; from < count; from = to) {
    while (to < count && times[to] <= RATIO * times[from] && to - from < MOST) to++;
    PetscCall(Stretch(s, initial, to - from, times + from, out + (size_t)from * n, error + from, 0));
  }
  PetscFunctionReturn(0);
}

/* stops: f(s + t) = f(s) f(t), so that a long time may be reached by a stop on the way. */
static PetscErrorCode EvolveBy(FPGenerator gen, PetscBool backward, FPSmallFunction function, void *context,
                               PetscBool stops, const PetscReal initial[], PetscInt count, const PetscReal times[],
                               PetscReal out[], PetscReal error[])
{
  const PetscInt n      = gen->n;
  Space          s      = {.gen      = gen,
                           .backward = backward,
                           .function = function,
                           .context  = context,
                           .stops    = stops,
                           .most     = PetscMin(MOST, n)};
  PetscReal      killed = 0;

  PetscFunctionBegin;
  for (PetscInt t = 0; t < count; t++)
    PetscCheck(times[t] >= (t ? times[t - 1] : 0) && times[t] < PETSC_INFINITY, PETSC_COMM_SELF,
               PETSC_ERR_ARG_OUTOFRANGE, "times must be finite, ascending and not negative");
  for (PetscInt k = 0; k < n; k++) killed += gen->kill[k];
  PetscCall(PetscMalloc5(n, &s.weight, (size_t)(s.most + 1) * n, &s.V, MOST * (MOST + 1), &s.H, MOST * MOST, &s.y,
                         MOST * MOST, &s.before));
  PetscCall(SetWeights(&s));
  PetscCall(Times(&s, initial, count, times, out, error));
  for (PetscInt t = 0; t < count; t++) {
    if (times[t] == 0) continue;
    if (backward)
      MendFunction(gen, initial, (PetscBool)(killed == 0), out + (size_t)t * n);
    else
      MendMeasure(gen, initial, (PetscBool)(killed == 0), out + (size_t)t * n, &error[t]);
  }
  PetscCall(PetscFree5(s.weight, s.V, s.H, s.y, s.before));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorEvolve(FPGenerator gen, PetscBool backward, const PetscReal initial[], PetscInt count,
                                 const PetscReal times[], PetscReal out[], PetscReal error[])
{
  PetscReal beta, scale, *powers;

  PetscFunctionBegin;
  if (gen->step > 0) {
    PetscCall(FPTransferEvolve(gen, backward, initial, count, times, out, error));
    PetscFunctionReturn(0);
  }
  PetscCall(FPProcessGetClock(gen->process, &beta, &scale));
  if (beta == 1) {
    PetscCall(EvolveBy(gen, backward, SmallExponential, NULL, PETSC_TRUE, initial, count, times, out, error));
    PetscFunctionReturn(0);
  }
  PetscCall(PetscMalloc1(count, &powers));
  for (PetscInt t = 0; t < count; t++) powers[t] = scale * PetscPowReal(times[t], beta);
  PetscCall(EvolveBy(gen, backward, FPSmallMittagLeffler, &beta, PETSC_FALSE, initial, count, powers, out, error));
  PetscCall(PetscFree(powers));
  PetscFunctionReturn(0);
}

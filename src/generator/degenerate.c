/* degenerate.c: rates for a rank-deficient D, where no force D^-1 v exists.
   Pointwise (non-divergence) form of L f = b . grad f + D : grad grad f, everything taken at the departure node, so
   that the Ito correction, and with it the decay of what lies outside the range of D, is right to first order. With
   Selling's D = sum lambda_k e_k e_k^T, F = D^+ b on the range of D, B(z) = z/(e^z - 1): rate of the jump by +-e_k:
   lambda_k B(-+ F . e_k), whose mean displacement is D F; the rest b - D F is upwinded along the axes.
   Where D has rank one along a short lattice vector that vector is the stencil, so a line of nodes to which noise and
   drift are tangent, the balanced line of a chain between equal axes, is a closed class, second order on it. Elsewhere
   D is filled up to full rank in proportion to the spacing: first order, and the added diffusion is reported.
   Eigenvalues and moments only: edge currents of this scheme have no limit. Source: H. J. Kushner and P. Dupuis,
   Numerical Methods for Stochastic Control Problems (2001), chapter 5. */
#include "generatorimpl.h"
#include <petscblaslapack.h>

#define RANGE 1e-6    /* eigenvalues of D below this share of the largest are outside its range */
#define NOTHING 1e-12 /* shares that are rounding */
#define FILL 0.25     /* diffusion added outside the range of D, of D's largest eigenvalue over the squared width */

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

/* D at one node in cells^2/time, by its eigenvectors: those from `first` on span its range. */
typedef struct {
  PetscReal value[3], vector[9]; /* ascending; vector m at [m*d] */
  PetscInt  first;
} Spectral;

static PetscErrorCode Decompose(FPGenerator gen, PetscInt k, const PetscReal D[], Spectral *s)
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscReal      work[32];
  PetscBLASInt   order, lwork = 32, info;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++)
      s->vector[i * d + j] =
          D[(i * d + j) * n + k] / (gen->slope[i * n + k] * gen->h[i] * gen->slope[j * n + k] * gen->h[j]);
  PetscCall(PetscBLASIntCast(d, &order));
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &order, s->vector, &order, s->value, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  s->first = 0;
  while (s->first < d && (s->value[s->first] <= 0 || s->value[s->first] <= RANGE * s->value[d - 1])) s->first++;
  PetscFunctionReturn(0);
}

/* beta[d] in cells/time -> F = A^+ beta; beta becomes the part outside the range. */
static void SplitDrift(PetscInt d, const Spectral *s, PetscReal beta[], PetscReal F[])
{
  PetscReal rest[3] = {0};

  for (PetscInt a = 0; a < d; a++) F[a] = 0;
  for (PetscInt m = 0; m < d; m++) {
    PetscReal along = 0;

    for (PetscInt a = 0; a < d; a++) along += s->vector[m * d + a] * beta[a];
    for (PetscInt a = 0; a < d; a++) {
      if (m >= s->first)
        F[a] += along / s->value[m] * s->vector[m * d + a];
      else
        rest[a] += along * s->vector[m * d + a];
    }
  }
  for (PetscInt a = 0; a < d; a++) beta[a] = rest[a];
}

/* A of rank one along a lattice vector no longer than the width is a stencil of one offset, exactly. */
static PetscBool AlongLattice(PetscInt d, const Spectral *s, PetscInt width, FPStencil *stencil)
{
  const PetscReal *f    = &s->vector[(d - 1) * d];
  PetscReal        most = 0;

  if (s->first != d - 1) return PETSC_FALSE;
  for (PetscInt a = 0; a < d; a++) most = PetscMax(most, PetscAbsReal(f[a]));
  for (PetscInt q = 1; q <= width; q++) {
    PetscReal defect = 0, length = 0;

    for (PetscInt a = 0; a < 3; a++) {
      const PetscReal x = a < d ? q * f[a] / most : 0, e = PetscFloorReal(x + 0.5);

      defect                = PetscMax(defect, PetscAbsReal(x - e));
      stencil->offset[0][a] = (short)e;
      length += e * e;
    }
    if (defect > 1e-9) continue;
    stencil->count     = 1;
    stencil->lambda[0] = s->value[d - 1] / length;
    return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

/* b_xi = b/z' - D z''/z'^3 */
PetscReal FPGeneratorLatticeDrift(FPGenerator gen, PetscInt a, PetscReal xi, PetscReal b, PetscReal D)
{
  const PetscReal t = 1e-4;
  PetscReal       z, s, up, down;

  FPMeshMap(gen->mesh, a, xi, &z, &s);
  FPMeshMap(gen->mesh, a, xi + t, &z, &up);
  FPMeshMap(gen->mesh, a, xi - t, &z, &down);
  return (b / s - D * (up - down) / (2 * t) / (s * s * s)) / gen->h[a];
}

/* Along the lattice vector e from node k, at FP_LINE_PANELS + 1 points from end to end: lambda, D as a multiple of e
   e^T, and speed, the drift as a multiple of e. straight: D has no other part there. turned: the noise, followed from
   one end to the other, points backwards. */
typedef struct {
  PetscReal lambda[FP_LINE_PANELS + 1], speed[FP_LINE_PANELS + 1];
  PetscBool straight, turned;
} Profile;

static PetscErrorCode Follow(FPGenerator gen, PetscInt k, const short e[3], PetscInt sign, Profile *line)
{
  const PetscInt d = gen->dim, m = FP_LINE_PANELS + 1;
  PetscReal      xi[3 * (FP_LINE_PANELS + 1)], z[3 * (FP_LINE_PANELS + 1)], slope[3 * (FP_LINE_PANELS + 1)],
      b[3 * (FP_LINE_PANELS + 1)];
  PetscReal D[9 * (FP_LINE_PANELS + 1)], length = 0, dot = 0, *S;
  PetscInt  rest = gen->node[k], weights, channels;
  PetscBool mapped;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < d; a++) {
    length += e[a] * e[a];
    for (PetscInt p = 0; p < m; p++) {
      xi[a * m + p] = (rest % gen->cells[a] + 0.5 + (PetscReal)p / FP_LINE_PANELS * sign * e[a]) * gen->h[a];
      FPMeshMap(gen->mesh, a, xi[a * m + p], &z[a * m + p], &slope[a * m + p]);
    }
    rest /= gen->cells[a];
  }
  FPProcessDiffusion(gen->process, m, z, D);
  FPProcessDrift(gen->process, m, z, b);
  line->straight = PETSC_TRUE;
  for (PetscInt p = 0; p < m; p++) {
    PetscReal trace = 0, along = 0;

    line->speed[p] = 0;
    for (PetscInt i = 0; i < d; i++) {
      for (PetscInt j = 0; j < d; j++) {
        const PetscReal A = D[(i * d + j) * m + p] / (slope[i * m + p] * gen->h[i] * slope[j * m + p] * gen->h[j]);

        trace += i == j ? A : 0;
        along += A * e[i] * e[j];
      }
      line->speed[p] +=
          sign * e[i] / length * FPGeneratorLatticeDrift(gen, i, xi[i * m + p], b[i * m + p], D[(i * d + i) * m + p]);
    }
    line->lambda[p] = trace / length;
    if (PetscAbsReal(along / length - trace) > 1e-9 * trace) line->straight = PETSC_FALSE;
  }
  line->turned = PETSC_FALSE;
  PetscCall(FPModelGetParent(gen->model, &mapped, &weights));
  if (mapped) PetscFunctionReturn(0);
  PetscCall(FPProcessGetChannels(gen->process, &channels));
  PetscCall(PetscMalloc1(m * d * channels, &S));
  FPProcessWeightFactor(gen->process, m, z, S);
  for (PetscInt i = 0; i < d * channels; i++) dot += S[i * m] * S[i * m + FP_LINE_PANELS];
  line->turned = (PetscBool)(dot <= 0);
  PetscCall(PetscFree(S));
  PetscFunctionReturn(0);
}

PetscReal FPLineRate(const PetscReal lambda[], const PetscReal speed[], PetscBool transient)
{
  const PetscInt n       = FP_LINE_PANELS;
  PetscReal      half[2] = {0}, least = lambda[0], most = lambda[0], P, W, c;

  for (PetscInt p = 0; p <= n; p++) {
    least = PetscMin(least, lambda[p]);
    most  = PetscMax(most, lambda[p]);
  }
  if (least <= NOTHING * most) return 0;
  for (PetscInt h = 0; h < 2; h++) {
    const PetscInt from = h * n / 2;

    for (PetscInt p = 0; p <= n / 2; p++)
      half[h] += (p == 0 || p == n / 2 ? 1 : p % 2 ? 4 : 2) / (3.0 * n) * speed[from + p] / lambda[from + p];
    half[h] -= log(lambda[from + n / 2] / lambda[from]);
  }
  P = half[0] + half[1];
  W = 6 / (1 / lambda[0] + 4 / lambda[n / 2] + 1 / lambda[n]);
  c = PetscClipInterval(exp((half[0] - half[1]) / 2), 0.5, 2.0);
  if (transient) return W * FPBernoulli(-P);
  return W * c * FPFittedGrowth(P) * FPBernoulli(-P);
}

/* D at one node with what is missing to full rank. Stencils as long as the square root of the cells per axis, and
   diffusion added in proportion, vanish alike with h. */
static PetscErrorCode FilledStencil(FPGenerator gen, PetscInt k, const Spectral *s, FPStencil *stencil)
{
  const PetscInt  d     = gen->dim;
  const PetscReal floor = gen->fill * s->value[d - 1];
  PetscReal       A[9] = {0}, width = 0;

  PetscFunctionBegin;
  for (PetscInt m = 0; m < d; m++)
    for (PetscInt i = 0; i < d * d; i++)
      A[i] += PetscMax(s->value[m], floor) * s->vector[m * d + i / d] * s->vector[m * d + i % d];
  PetscCall(FPSelling(d, A, &stencil->count, stencil->lambda, stencil->offset));
  for (PetscInt a = 0; a < d; a++) width = PetscMax(width, gen->slope[a * gen->n + k] * gen->h[a]);
  if (s->value[0] < floor) {
    gen->added[k] += (floor - s->value[0]) * width * width;
    gen->capped[k] = 1;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode NodeJumps(FPGenerator gen, PetscInt k, const PetscReal D[], const PetscReal b[], Jumps *jumps)
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscReal      beta[3], F[3], speed = 0;
  PetscInt       rest = gen->node[k];
  Spectral       spectral;
  FPStencil      s = {.count = 0};
  PetscBool      exact;

  PetscFunctionBegin;
  PetscCall(Decompose(gen, k, D, &spectral));
  for (PetscInt a = 0; a < d; a++) {
    beta[a] =
        FPGeneratorLatticeDrift(gen, a, (rest % gen->cells[a] + 0.5) * gen->h[a], b[a * n + k], D[(a * d + a) * n + k]);
    rest /= gen->cells[a];
    speed += PetscAbsReal(beta[a]) + PetscMax(spectral.value[a], 0);
  }
  SplitDrift(d, &spectral, beta, F);
  exact = AlongLattice(d, &spectral, gen->options.stencil_width, &s);
  if (!exact && spectral.first < d) PetscCall(FilledStencil(gen, k, &spectral, &s));
  for (PetscInt c = 0; c < s.count; c++) {
    PetscReal P = 0;

    for (PetscInt a = 0; a < d; a++) {
      P += F[a] * s.offset[c][a];
      gen->info.widest = PetscMax(gen->info.widest, PetscAbsInt(s.offset[c][a]));
    }
    for (PetscInt sign = 1; sign >= -1; sign -= 2) {
      PetscReal rate = s.lambda[c] * FPBernoulli(-sign * P), theta;
      PetscInt  other;

      if (exact && FPGeneratorNeighbour(gen, k, s.offset[c], sign, &other, &theta) == FP_INSIDE) {
        Profile line;

        PetscCall(Follow(gen, k, s.offset[c], sign, &line));
        if (line.straight) rate = line.turned ? 0 : FPLineRate(line.lambda, line.speed, gen->options.transient);
      }
      PetscCall(AddJump(gen, jumps, k, s.offset[c], sign, rate));
    }
  }
  for (PetscInt a = 0; a < d; a++) {
    const short     e[3]  = {a == 0, a == 1, a == 2};
    const PetscReal width = gen->slope[a * n + k] * gen->h[a];
    PetscReal       theta;
    PetscInt        other;

    if (PetscAbsReal(beta[a]) <= NOTHING * speed) continue;
    /* A drift across the noise that turns back on the way leads to a zero between the nodes, which is not crossed. */
    if (exact && s.offset[0][a] == 0 &&
        FPGeneratorNeighbour(gen, k, e, beta[a] > 0 ? 1 : -1, &other, &theta) == FP_INSIDE &&
        b[a * n + k] * b[a * n + other] < 0)
      continue;
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
  PetscReal     *b;
  Jumps          jumps = {0};
  PetscReal      cells = 1;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < d; a++) cells *= gen->cells[a];
  /* Stencils may grow as the square root of the cells per axis: then both their length and the diffusion added vanish
   * with h. */
  if (!gen->options.stencil_width) {
    const PetscReal width = PetscMax(2, 0.75 * PetscPowReal(cells, 0.5 / d));

    gen->options.stencil_width = (PetscInt)width;
    gen->fill                  = FILL / PetscSqr(width);
  } else
    gen->fill = FILL / PetscSqr((PetscReal)gen->options.stencil_width);
  PetscCall(PetscMalloc1(d * n, &b));
  FPProcessDrift(gen->process, (int)n, gen->z, b);
  for (PetscInt k = 0; k < n; k++) PetscCall(NodeJumps(gen, k, D, b, &jumps));
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
  PetscCall(PetscFree(b));
  PetscFunctionReturn(0);
}

/* jumps.c: the jumps of one lattice: their rates, what becomes of those that leave the box, and products by FFTW.

   Killed walls: solutions behave as the distance to the power alpha/2, and the lattice's harmonic function of the half
   line is Gamma(k + 1 + alpha/2)/k! ~ (k + delta)^(alpha/2), delta = 1/2 + alpha/4, so the first node lies delta h from
   the wall. A wall at the distance t h instead of delta h adds the killing kappa h^-alpha, kappa = (delta - t)/(1 -
   delta + t), 1/t - 1 for alpha = 2. In the plane axes that are cut at one node add the sum of theirs where components
   are independent; isotropic, their mean, weighted by h^-alpha, times (sum of h^-2)^(alpha/2). Both are exact for a
   boundary along an axis or a diagonal of the cells, where the walk across it is one on a line. One that slants
   otherwise is, in the mean over its distance from the nodes, farther out by slope (1 - slope) times a polynomial, at
   most 0.03 cells, and none at alpha = 2. It is fitted to mean exit times from strips whose edges have rational
   slopes, where the walk is one on a line too, but no nearest-neighbour one, against R. Getoor's. */
#include "jumpsimpl.h"

#define LEAST 1e-6 /* of a distance from a wall, in cells */

PetscReal FPJumpsDelta(PetscReal alpha)
{
  return 0.5 + alpha / 4;
}

/* Extra killing, in units of h^-alpha, of a node whose distance from a killing wall is t spacings in place of delta. */
static PetscReal CutRate(PetscReal alpha, PetscReal t)
{
  const PetscReal delta = FPJumpsDelta(alpha);

  return (delta - t) / (1 - delta + PetscMax(t, LEAST));
}

/* Beside a killing boundary at the distance t modes behave as u_k = h_k - (delta - t) g_k, h_k = (1 + a)_k/k! and g_k =
   (a)_k/k! with a = alpha/2, u_k Gamma(1 + a) ~ (k + t)^a. The finite part of the sum of u_k^2, by Gauss's formula for
   2F1 at 1, is what sums of two modes are off by, so eigenvalues are by that times spacing^{1 + alpha}. Those of u_k
   are 0 for every t: sums of one mode, and mean exit times, are off by less. The term R k^{alpha - 2} of u_k^2 has a
   finite part with a pole at alpha = 1, which its partial sum takes away: of all nodes, or where it grows with them and
   is a matter of spacing^2, of the first. */
PetscReal FPJumpsLayer(PetscReal alpha, PetscReal t, PetscReal count)
{
  const PetscReal a = alpha / 2, delta = FPJumpsDelta(alpha), q = delta - t, unit = PetscSqr(tgamma(1 + a));
  const PetscReal e = a * (a - 1) * ((a + 1) * (3 * a + 2) / 24 - q * a / 2), R = a * a * t * t + 2 * e;
  const PetscReal hh = tgamma(-1 - alpha) / PetscSqr(tgamma(-a)), hg = tgamma(-alpha) / (tgamma(-a) * tgamma(1 - a));
  const PetscReal gg = tgamma(1 - alpha) / PetscSqr(tgamma(1 - a));

  return -(hh - 2 * q * hg + q * q * gg + R * PetscPowReal(count, PetscMin(alpha - 1, 0)) / (unit * (alpha - 1))) /
         PetscSqr(1 - q);
}

PetscInt FPJumpsLength(PetscInt least)
{
  for (PetscInt length = least + least % 2;; length += 2) {
    PetscInt rest = length;

    while (rest % 2 == 0) rest /= 2;
    while (rest % 3 == 0) rest /= 3;
    while (rest % 5 == 0) rest /= 5;
    while (rest % 7 == 0) rest /= 7;
    if (rest == 1) return length;
  }
}

static PetscErrorCode CheckSetting(const FPJumpsSetting *s)
{
  PetscFunctionBegin;
  PetscCheck(s->dim == 1 || s->dim == 2, PETSC_COMM_SELF, PETSC_ERR_SUP, "jumps in %" PetscInt_FMT " dimensions",
             s->dim);
  PetscCheck(s->alpha > 0 && s->alpha <= 2, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "alpha = %g is outside (0, 2]",
             (double)s->alpha);
  for (PetscInt a = 0; a < s->dim; a++)
    PetscCheck(s->cells[a] > 1 && s->h[a] > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
               "axis %" PetscInt_FMT " has %" PetscInt_FMT " cells of width %g", a, s->cells[a], (double)s->h[a]);
  PetscFunctionReturn(0);
}

/* One dimension has a second axis of one cell; at alpha = 2 isotropic noise has independent components. */
static PetscErrorCode CopySetting(FPJumps g, const FPJumpsSetting *setting)
{
  FPJumpsSetting *s = &g->setting;

  PetscFunctionBegin;
  *s = *setting;
  if (s->dim == 1) {
    s->cells[1] = 1;
    s->h[1]     = 1;
  }
  if (s->dim == 1 || s->alpha == 2) s->independent = PETSC_TRUE;
  g->box = s->cells[0] * s->cells[1];
  PetscCall(PetscMalloc2(g->box, &g->node, g->box, &g->unknown));
  for (PetscInt l = 0; l < g->box; l++) {
    g->unknown[l] = s->live && !s->live[l] ? -1 : g->n;
    if (g->unknown[l] >= 0) g->node[g->n++] = l;
  }
  PetscCheck(g->n > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "no node of the box is an unknown");
  PetscCall(PetscMalloc5(g->n, &g->rate, g->n, &g->total, g->n, &g->self, g->n, &g->out, g->n, &g->kill));
  for (PetscInt k = 0; k < g->n; k++) {
    g->rate[k] = s->rate ? s->rate[k] : 1;
    PetscCheck(g->rate[k] >= 0 && isfinite(g->rate[k]), PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
               "a node jumps at %g times the rate of the lattice", (double)g->rate[k]);
  }
  s->live = NULL;
  s->rate = NULL;
  s->cut  = NULL;
  PetscFunctionReturn(0);
}

/* Sums over displacements beyond one, along one axis or both, from the exact marginals: those of the isotropic walk
   along an axis are the rates in one dimension. across[a][cells[a]]: those rates; rest[a]: rate of all of them. */
static void SumBeyond(FPJumps g, PetscReal *across[2], const PetscReal rest[2])
{
  const PetscInt nx = g->setting.cells[0], ny = g->setting.cells[1];

  for (PetscInt a = 0; a < 2; a++) {
    const PetscInt along = a ? nx : 1, beside = a ? 1 : nx, b = 1 - a;

    for (PetscInt l = 0; l < g->setting.cells[b]; l++) {
      PetscReal sum = ((l ? across[b][l] : g->all - rest[b]) - g->weight[l * beside]) / 2;

      for (PetscInt d = 0; d < g->setting.cells[a]; d++) {
        if (d) sum -= g->weight[l * beside + d * along];
        g->face[a][l * beside + d * along] = PetscMax(sum, 0);
      }
    }
  }
  for (PetscInt j = 0; j < nx; j++) {
    PetscReal sum = (g->tail[0][j] - g->face[0][j]) / 2;

    for (PetscInt k = 0; k < ny; k++) {
      if (k) sum -= g->face[0][k * nx + j];
      g->corner[k * nx + j] = PetscMax(sum, 0);
    }
  }
}

static PetscErrorCode Weights(FPJumps g)
{
  const FPJumpsSetting *s  = &g->setting;
  const PetscInt        nx = s->cells[0], ny = s->cells[1];
  PetscReal            *across[2], rest[2]   = {0, 0};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(nx, &g->tail[0], ny, &g->tail[1]));
  PetscCall(PetscCalloc4(g->box, &g->weight, g->box, &g->face[0], g->box, &g->face[1], g->box, &g->corner));
  PetscCall(PetscCalloc2(nx, &across[0], ny, &across[1]));
  for (PetscInt a = 0; a < s->dim; a++) {
    const PetscReal unit = PetscPowReal(s->h[a], -s->alpha);

    rest[a] = unit * FPJumpsWeights(s->alpha, s->cells[a], across[a], g->tail[a]);
    for (PetscInt k = 0; k < s->cells[a]; k++) {
      across[a][k] *= unit;
      g->tail[a][k] *= unit;
    }
  }
  if (s->dim == 1) g->tail[1][0] = 0;
  if (s->independent) {
    g->all = rest[0] + rest[1];
    for (PetscInt j = 0; j < nx; j++) g->weight[j] = across[0][j];
    for (PetscInt k = 1; k < ny; k++) g->weight[k * nx] = across[1][k];
    PetscCall(PetscArraycpy(g->face[0], g->tail[0], nx));
    for (PetscInt k = 0; k < ny; k++) g->face[1][k * nx] = g->tail[1][k];
  } else {
    PetscCall(FPJumpsWeightsPlane(s->alpha, s->cells, s->h, g->weight, &g->all));
    SumBeyond(g, across, rest);
  }
  PetscCall(PetscFree2(across[0], across[1]));
  PetscFunctionReturn(0);
}

/* Zero padding makes the product of the box a circular one; the mirrored lattice is circular by itself, with the
   symbol known, and its images come from the inverse transform. */
static PetscErrorCode SetUpProducts(FPJumps g)
{
  const FPJumpsSetting *s      = &g->setting;
  const PetscBool       mirror = (PetscBool)(s->boundary == FP_BOUNDARY_MIRROR);
  const PetscInt        nx = s->cells[0], ny = s->cells[1];
  PetscInt              px, py, half;
  PetscReal             scale;

  PetscFunctionBegin;
  g->pad[0] = px = mirror ? 2 * nx : FPJumpsLength(2 * nx - 1);
  g->pad[1] = py = s->dim == 1 ? 1 : mirror ? 2 * ny : FPJumpsLength(2 * ny - 1);
  half           = px / 2 + 1;
  scale          = 1.0 / ((PetscReal)px * py);
  g->real        = fftw_alloc_real((size_t)px * py);
  g->hat         = fftw_alloc_complex((size_t)half * py);
  PetscCheck(g->real && g->hat, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for transforms of %" PetscInt_FMT " numbers",
             px * py);
  g->forward  = fftw_plan_dft_r2c_2d(py, px, g->real, g->hat, FFTW_ESTIMATE);
  g->backward = fftw_plan_dft_c2r_2d(py, px, g->hat, g->real, FFTW_ESTIMATE);
  PetscCheck(g->forward && g->backward, PETSC_COMM_SELF, PETSC_ERR_LIB, "FFTW has no plan for %" PetscInt_FMT, px * py);
  PetscCall(PetscMalloc3((size_t)half * py, &g->symbol, g->box, &g->from, g->box, &g->to));
  if (!mirror) {
    PetscCall(PetscArrayzero(g->real, (size_t)px * py));
    for (PetscInt k = 1 - ny; k < ny; k++)
      for (PetscInt j = 1 - nx; j < nx; j++)
        g->real[(k + py) % py * px + (j + px) % px] = g->weight[PetscAbsInt(k) * nx + PetscAbsInt(j)];
    fftw_execute(g->forward);
    for (PetscInt l = 0; l < half * py; l++) g->symbol[l] = creal(g->hat[l]) * scale;
    PetscFunctionReturn(0);
  }
  for (PetscInt k = 0; k < py; k++)
    for (PetscInt j = 0; j < half; j++) {
      const PetscReal theta[2] = {2 * PETSC_PI * j / px, 2 * PETSC_PI * k / py};

      g->symbol[k * half + j] = (g->all - FPJumpsSymbol(s, theta)) * scale;
      g->hat[k * half + j]    = g->symbol[k * half + j];
    }
  fftw_execute(g->backward);
  PetscCall(PetscFree4(g->weight, g->face[0], g->face[1], g->corner));
  PetscCall(PetscCalloc4((nx + 1) * (ny + 1), &g->weight, 1, &g->face[0], 1, &g->face[1], 1, &g->corner));
  for (PetscInt k = 0; k < (s->dim == 1 ? 1 : ny + 1); k++)
    for (PetscInt j = 0; j <= nx; j++) g->weight[k * (nx + 1) + j] = PetscMax(g->real[k * px + j], 0);
  PetscFunctionReturn(0);
}

/* to = all jumps between nodes of the box times from, those that walls turn around with them; may be the same. */
static PetscErrorCode Convolve(FPJumps g, PetscBool transposed, const PetscReal from[], PetscReal to[])
{
  const PetscInt  nx = g->setting.cells[0], ny = g->setting.cells[1], px = g->pad[0], py = g->pad[1];
  const PetscBool mirror = (PetscBool)(g->setting.boundary == FP_BOUNDARY_MIRROR);

  PetscFunctionBegin;
  PetscCall(PetscArrayzero(g->real, (size_t)px * py));
  for (PetscInt k = 0; k < ny; k++) {
    PetscReal *row = g->real + (size_t)k * px;

    PetscCall(PetscArraycpy(row, from + k * nx, nx));
    if (!mirror) continue;
    for (PetscInt j = 0; j < nx; j++) row[px - 1 - j] = row[j];
    if (py > 1) PetscCall(PetscArraycpy(g->real + (size_t)(py - 1 - k) * px, row, px));
  }
  fftw_execute(g->forward);
  for (PetscInt l = 0; l < (px / 2 + 1) * py; l++) g->hat[l] *= g->symbol[l];
  fftw_execute(g->backward);
  if (g->setting.boundary == FP_BOUNDARY_CONFINED) {
    for (PetscInt k = 0; k < ny; k++) PetscCall(PetscArraycpy(g->back + k * nx, g->real + (size_t)k * px, nx));
    PetscCall(FPJumpsAddWalls(g, transposed, from, g->back));
    PetscCall(PetscArraycpy(to, g->back, g->box));
  } else
    for (PetscInt k = 0; k < ny; k++) PetscCall(PetscArraycpy(to + k * nx, g->real + (size_t)k * px, nx));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsApply(FPJumps g, PetscBool transposed, const PetscReal x[], PetscReal y[])
{
  PetscFunctionBegin;
  if (g->n < g->box) PetscCall(PetscArrayzero(g->from, g->box));
  for (PetscInt k = 0; k < g->n; k++) g->from[g->node[k]] = transposed ? g->rate[k] * x[k] : x[k];
  PetscCall(Convolve(g, transposed, g->from, g->to));
  for (PetscInt k = 0; k < g->n; k++)
    y[k] = (transposed ? 1 : g->rate[k]) * (g->to[g->node[k]] - g->total[k] * g->from[g->node[k]]);
  PetscFunctionReturn(0);
}

/* Rate of leaving the box below and above along every axis, corners in halves: leave[4]. */
static void Leave(FPJumps g, PetscInt node, PetscReal leave[4])
{
  const FPJumpsSetting *s = &g->setting;
  PetscInt              at[2];

  FPJumpsPlace(s, node, at);
  for (PetscInt a = 0; a < 2; a++)
    for (PetscInt side = 0; side < 2; side++) leave[2 * a + side] = g->tail[a][side ? s->cells[a] - 1 - at[a] : at[a]];
  for (PetscInt c = 0; c < 4 && !s->independent; c++) {
    const PetscInt  j = c % 2 ? s->cells[0] - 1 - at[0] : at[0], k = c / 2 ? s->cells[1] - 1 - at[1] : at[1];
    const PetscReal both = g->corner[k * s->cells[0] + j];

    leave[c % 2] -= both / 2;
    leave[2 + c / 2] -= both / 2;
  }
}

/* The lattice's rate from one node of the box to another, or back to itself by a wall. */
static PetscReal LatticeRate(FPJumps g, PetscInt from, PetscInt to)
{
  const FPJumpsSetting *s  = &g->setting;
  const PetscInt        nx = s->cells[0];
  PetscInt              a[2], b[2], d[2];
  PetscReal             sum = 0;

  FPJumpsPlace(s, from, a);
  FPJumpsPlace(s, to, b);
  for (PetscInt i = 0; i < 2; i++) d[i] = PetscAbsInt(b[i] - a[i]);
  if (s->boundary == FP_BOUNDARY_MIRROR) {
    for (PetscInt c = 0; c < (s->dim == 1 ? 2 : 4); c++) {
      PetscInt j = c % 2 ? a[0] + b[0] + 1 : d[0], k = c / 2 ? a[1] + b[1] + 1 : d[1];

      j = PetscMin(j, 2 * nx - j);
      k = PetscMin(k, 2 * s->cells[1] - k);
      sum += g->weight[k * (nx + 1) + j];
    }
    return sum;
  }
  sum = g->weight[d[1] * nx + d[0]];
  if (s->boundary != FP_BOUNDARY_CONFINED) return sum;
  for (PetscInt side = 0; side < 4; side++) {
    const PetscInt i = side / 2, last = s->cells[i] - 1, beyond = side % 2 ? last - a[i] : a[i];

    if (i >= s->dim || b[i] != (side % 2 ? last : 0)) continue;
    sum += g->face[i][i ? beyond * nx + d[0] : d[1] * nx + beyond];
  }
  for (PetscInt c = 0; c < 4 && !s->independent; c++) {
    const PetscInt j = c % 2 ? nx - 1 : 0, k = c / 2 ? s->cells[1] - 1 : 0;

    if (b[0] == j && b[1] == k) sum += g->corner[PetscAbsInt(k - a[1]) * nx + PetscAbsInt(j - a[0])];
  }
  return sum;
}

PetscReal FPJumpsRate(FPJumps g, PetscInt i, PetscInt j)
{
  return g->rate[i] * LatticeRate(g, g->node[i], g->node[j]);
}

/* By how much a slanting boundary is to be moved in, in cells; slope: its angle's tangent in cells, at most 1. */
static PetscReal Slant(PetscReal alpha, PetscReal slope)
{
  const PetscReal x = 2 - alpha, first = x * (-0.0278 + x * (0.0368 + x * 0.0128));
  const PetscReal second = x * (0.0362 - x * (0.0056 + x * 0.0059));

  return slope * (1 - slope) * (first + second * slope) * PetscSqrtReal(1 + slope * slope);
}

/* What a boundary within the cells around an unknown adds to its killing. */
static PetscReal Cut(FPJumps g, const PetscReal cut[], PetscInt k)
{
  const FPJumpsSetting *s       = &g->setting;
  PetscReal             nearest = FP_JUMPS_FAR, other = FP_JUMPS_FAR, in = 0, sum = 0, squares = 0, powers = 0;

  for (PetscInt a = 0; a < s->dim; a++) {
    const PetscReal t = PetscMin(cut[2 * a * g->n + k], cut[(2 * a + 1) * g->n + k]);

    other   = PetscMin(other, PetscMax(t, nearest));
    nearest = PetscMin(t, nearest);
  }
  if (!s->independent && other < FP_JUMPS_FAR) in = Slant(s->alpha, nearest / other);
  for (PetscInt c = 0; c < 2 * s->dim; c++) {
    const PetscReal t = cut[c * g->n + k], power = PetscPowReal(s->h[c / 2], -s->alpha);

    if (t >= 1) continue;
    sum += CutRate(s->alpha, t - in) * power;
    squares += 1 / PetscSqr(s->h[c / 2]);
    powers += power;
  }
  return s->independent || powers == 0 ? sum : sum / powers * PetscPowReal(squares, s->alpha / 2);
}

static PetscErrorCode Totals(FPJumps g, const PetscReal cut[])
{
  const FPBoundary boundary = g->setting.boundary;
  PetscReal       *dead, *every;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(g->box, &dead, g->box, &every));
  for (PetscInt l = 0; l < g->box; l++) dead[l] = g->unknown[l] < 0;
  for (PetscInt l = 0; l < g->box; l++) every[l] = 1;
  if (g->n < g->box) PetscCall(Convolve(g, PETSC_FALSE, dead, dead));
  if (boundary == FP_BOUNDARY_CENSORED) PetscCall(Convolve(g, PETSC_FALSE, every, every));
  for (PetscInt k = 0; k < g->n; k++) {
    const PetscInt l       = g->node[k];
    PetscReal      gone[4] = {0, 0, 0, 0}, kill, extra = cut ? Cut(g, cut, k) : 0;

    if (boundary == FP_BOUNDARY_KILLED) Leave(g, l, gone);
    kill        = PetscMax(dead[l], 0) + gone[0] + gone[1] + gone[2] + gone[3];
    extra       = PetscMax(extra, -kill);
    g->self[k]  = boundary == FP_BOUNDARY_MIRROR || boundary == FP_BOUNDARY_CONFINED ? LatticeRate(g, l, l) : 0;
    g->total[k] = boundary == FP_BOUNDARY_CENSORED ? every[l] : g->all;
    g->out[k]   = g->rate[k] * PetscMax(g->total[k] - g->self[k] - kill, 0);
    g->kill[k]  = g->rate[k] * (kill + extra);
    g->total[k] += extra;
  }
  PetscCall(PetscFree2(dead, every));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsCreate(const FPJumpsSetting *setting, FPJumps *jumps)
{
  FPJumps g;

  PetscFunctionBegin;
  PetscCall(CheckSetting(setting));
  PetscCall(PetscNew(&g));
  *jumps = g;
  PetscCall(CopySetting(g, setting));
  PetscCall(Weights(g));
  PetscCall(SetUpProducts(g));
  if (g->setting.boundary == FP_BOUNDARY_CONFINED) PetscCall(PetscMalloc1(g->box, &g->back));
  PetscCall(FPJumpsWallsCreate(g));
  PetscCall(Totals(g, setting->cut));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsGetOutflow(FPJumps g, PetscInt *n, const PetscReal **out, const PetscReal **kill)
{
  PetscFunctionBegin;
  *n    = g->n;
  *out  = g->out;
  *kill = g->kill;
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsLanding(FPJumps g, PetscReal landing[])
{
  const PetscInt sides = 2 * g->setting.dim;

  PetscFunctionBegin;
  PetscCall(PetscArrayzero(landing, sides * g->n));
  for (PetscInt k = 0; k < g->n && g->setting.boundary == FP_BOUNDARY_KILLED; k++) {
    PetscReal leave[4];

    Leave(g, g->node[k], leave);
    for (PetscInt c = 0; c < sides; c++) landing[c * g->n + k] = g->rate[k] * leave[c];
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsDead(FPJumps g, const PetscReal value[], PetscReal y[])
{
  PetscFunctionBegin;
  for (PetscInt l = 0; l < g->box; l++) g->from[l] = g->unknown[l] < 0 ? value[l] : 0;
  PetscCall(Convolve(g, PETSC_FALSE, g->from, g->to));
  for (PetscInt k = 0; k < g->n; k++) y[k] = g->rate[k] * g->to[g->node[k]];
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsPairsCreate(PetscInt room, FPJumpsPairs *pairs)
{
  PetscFunctionBegin;
  pairs->count = 0;
  PetscCall(PetscMalloc4(room, &pairs->i, room, &pairs->j, room, &pairs->qij, room, &pairs->qji));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsPairsFree(FPJumpsPairs *pairs)
{
  PetscFunctionBegin;
  PetscCall(PetscFree4(pairs->i, pairs->j, pairs->qij, pairs->qji));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsNear(FPJumps g, PetscInt distance, FPJumpsPairs *pairs)
{
  const FPJumpsSetting *s     = &g->setting;
  const PetscInt        above = s->dim == 1 ? 0 : distance, most = g->n * (distance + above * (2 * distance + 1));

  PetscFunctionBegin;
  PetscCall(FPJumpsPairsCreate(most, pairs));
  for (PetscInt k = 0; k < g->n; k++) {
    PetscInt at[2];

    FPJumpsPlace(s, g->node[k], at);
    for (PetscInt dy = 0; dy <= above; dy++)
      for (PetscInt dx = dy ? -distance : 1; dx <= distance; dx++) {
        const PetscInt x = at[0] + dx, y = at[1] + dy, found = pairs->count;
        PetscInt       other;

        if (x < 0 || x >= s->cells[0] || y >= s->cells[1]) continue;
        other = g->unknown[y * s->cells[0] + x];
        if (other < 0) continue;
        pairs->i[found]   = k;
        pairs->j[found]   = other;
        pairs->qij[found] = FPJumpsRate(g, k, other);
        pairs->qji[found] = FPJumpsRate(g, other, k);
        pairs->count++;
      }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsDestroy(FPJumps *jumps)
{
  FPJumps g = *jumps;

  PetscFunctionBegin;
  if (!g) PetscFunctionReturn(0);
  fftw_destroy_plan(g->forward);
  fftw_destroy_plan(g->backward);
  fftw_free(g->real);
  fftw_free(g->hat);
  PetscCall(PetscFree3(g->symbol, g->from, g->to));
  PetscCall(PetscFree(g->back));
  PetscCall(FPJumpsWallsDestroy(g));
  PetscCall(PetscFree4(g->weight, g->face[0], g->face[1], g->corner));
  PetscCall(PetscFree2(g->tail[0], g->tail[1]));
  PetscCall(PetscFree5(g->rate, g->total, g->self, g->out, g->kill));
  PetscCall(PetscFree2(g->node, g->unknown));
  PetscCall(PetscFree(*jumps));
  PetscFunctionReturn(0);
}

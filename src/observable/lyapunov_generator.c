/* lyapunov_generator.c: exponent_orbit from the stationary law, by the formula of Furstenberg and Khasminskii, with the
   coupling of lyapunov_orbit.c. In one dimension it is E [b' - (1/2) sum_c S_c'^2]. In two, A = Db and B_c = D S_c turn
   the angle t of the tangent vector as angle.c says; noise moves point and angle together, so (z, t) has the generator
   Q + h d/dt + d d^2/dt^2 + sum_c S_c (u'.B_c u) . grad d/dt, Q that of z: the rates of the grid. Galerkin's method:
   functions phi(z) exp(2ikt) with phi a polynomial, orthonormal under the law of the grid; Q knows the walls, which
   move z alone. Errors are those of the grid, of second order, and of three numbers that grow with its cells. MODES:
   frequencies of t, DEGREE: of polynomials. WIDENING: a diffusion e of t that makes the law smooth where noise does
   not: about an attracting direction that is met at the rate r it is normal, of variance e/r, so E exp(2ikt) falls as
   exp(-2k^2 e/r); e = r ln(1/CUT)/(2 modes^2) leaves the share CUT at the end. The answer is extrapolated to e = 0 from
   e and 2e. On the finest grid, 4e and a lower degree say what that leaves; where tangent vectors change places often,
   as those of two wells do, it is most of the bound, and falls slowly with modes. Source: R. Z. Khasminskii, Theory
   Probab. Appl. 12 (1967); Arnold, Random Dynamical Systems (1998), section 6.2. */
#include "lyapunovimpl.h"
#include "angleimpl.h"
#include <math.h>
#include <petscblaslapack.h>

#define LEAST_DEGREE 5
#define MOST_DEGREE 10
#define LEAST_MODES 16
#define MOST_MODES 64
#define LOWER 2 /* by how much the degree that the other is compared with */
#define CUT 1e-2
#define NOTHING 1e-11 /* of the largest density: polynomials grow where the law is nothing but rounding */
#define DEPENDENT 1e-10

/* Derivatives at z[d], d = 1, 2: A[d][d], B[channels][d][d], and S[d][channels]. */
typedef struct {
  PetscInt d, channels;
  double   A[4], *S, *B;
} Tangents;

static PetscErrorCode TangentsCreate(FPProcess process, PetscInt d, Tangents *t)
{
  PetscFunctionBegin;
  t->d = d;
  PetscCall(FPProcessGetChannels(process, &t->channels));
  PetscCall(PetscMalloc2(3 * d * t->channels, &t->S, d * d * t->channels, &t->B));
  PetscFunctionReturn(0);
}

static void Differentiate(FPProcess process, const double z[], Tangents *t)
{
  const PetscInt d = t->d, n = t->channels;

  if (n) FPProcessWeightFactor(process, 1, z, t->S);
  for (PetscInt j = 0; j < d; j++) {
    double near[2], b[2][2];

    for (int side = 0; side < 2; side++) {
      for (PetscInt i = 0; i < d; i++) near[i] = z[i] + (i == j ? (side ? FP_TANGENT : -FP_TANGENT) : 0);
      FPProcessWeightDrift(process, 1, near, b[side]);
      if (n) FPProcessWeightFactor(process, 1, near, t->S + (1 + side) * d * n);
    }
    for (PetscInt i = 0; i < d; i++) {
      const double *low = t->S + (d + i) * n, *high = t->S + (2 * d + i) * n;

      t->A[i * d + j] = (b[1][i] - b[0][i]) / (2 * FP_TANGENT);
      for (PetscInt c = 0; c < n; c++) t->B[(c * d + i) * d + j] = (high[c] - low[c]) / (2 * FP_TANGENT);
    }
  }
}

static void OneDimension(FPProcess process, Tangents *t, PetscInt n, const PetscReal z[], const PetscReal pi[],
                         PetscReal *exponent)
{
  *exponent = 0;
  for (PetscInt k = 0; k < n; k++) {
    double rate;

    Differentiate(process, z + k, t);
    rate = t->A[0];
    for (PetscInt c = 0; c < t->channels; c++) rate -= 0.5 * t->B[c] * t->B[c];
    *exponent += pi[k] * rate;
  }
}

/* What the cells of the finest grid, per axis, allow for. */
static void Resolution(const PetscInt cells[], PetscReal ratio, PetscInt *degree, PetscInt *modes)
{
  const PetscReal axis = PetscSqrtReal((PetscReal)cells[0] * cells[1]) * ratio;

  *degree = PetscClipInterval((PetscInt)lround(4 + axis / 8), LEAST_DEGREE, MOST_DEGREE);
  *modes  = PetscClipInterval(2 * (PetscInt)lround(axis / 2), LEAST_MODES, MOST_MODES);
}

/* Coefficients at the nodes of a grid, and functions of z that are orthonormal under its stationary law. */
typedef struct {
  FPGenerator      gen;
  PetscInt         n, size, lower; /* lower: how many of the functions have a degree less by LOWER */
  const PetscReal *z;
  double          *pi;  /* [n]; 0 where the law is next to nothing */
  double          *phi; /* [size][n], gradient[axis] likewise */
  double          *gradient[2];
  FPAngle         *angle; /* [n] */
  FPWave          *cross; /* [n][2]: sum_c S_c (u'.B_c u) */
  double           rate;  /* mean over z of a bound of how fast nearby directions meet */
} Lift;

static double Dot(PetscInt n, const double *weight, const double *x, const double *y)
{
  double sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += weight[k] * x[k] * y[k];
  return sum;
}

static void Subtract(PetscInt n, double factor, const double *x, double *y)
{
  for (PetscInt k = 0; k < n; k++) y[k] -= factor * x[k];
}

/* P_0 .. P_degree at x in [-1, 1] and their derivatives. */
static void Legendre(PetscInt degree, double x, double *P, double *dP)
{
  P[0]  = 1;
  dP[0] = 0;
  for (PetscInt k = 1; k <= degree; k++) {
    P[k]  = k == 1 ? x : ((2 * k - 1) * x * P[k - 1] - (k - 1) * P[k - 2]) / k;
    dP[k] = k * P[k - 1] + x * dP[k - 1];
  }
}

/* Products of Legendre's polynomials, of total degree up to `degree`, lowest first. */
static void SetProducts(Lift *s, const FPBox *box, PetscInt degree)
{
  double P[2][MOST_DEGREE + 1], dP[2][MOST_DEGREE + 1];

  for (PetscInt k = 0; k < s->n; k++) {
    PetscInt l = 0;

    for (int a = 0; a < 2; a++)
      Legendre(degree, (2 * s->z[a * s->n + k] - box->lower[a] - box->upper[a]) / (box->upper[a] - box->lower[a]), P[a],
               dP[a]);
    for (PetscInt total = 0; total <= degree; total++)
      for (PetscInt i = 0; i <= total; i++, l++) {
        s->phi[l * s->n + k]         = P[0][i] * P[1][total - i];
        s->gradient[0][l * s->n + k] = 2 / (box->upper[0] - box->lower[0]) * dP[0][i] * P[1][total - i];
        s->gradient[1][l * s->n + k] = 2 / (box->upper[1] - box->lower[1]) * P[0][i] * dP[1][total - i];
      }
  }
}

/* Gram and Schmidt's, twice; functions that are not new on the grid are dropped. `lower`: as many come first. */
static PetscErrorCode Orthonormalise(PetscInt lower, Lift *s)
{
  const PetscInt n       = s->n;
  double *const  rows[3] = {s->phi, s->gradient[0], s->gradient[1]};
  PetscInt       kept    = 0;

  PetscFunctionBegin;
  for (PetscInt l = 0; l < s->size; l++) {
    const double before = Dot(n, s->pi, s->phi + l * n, s->phi + l * n);
    double       after;

    for (int r = 0; r < 3 && kept < l; r++) PetscCall(PetscArraycpy(rows[r] + kept * n, rows[r] + l * n, n));
    for (PetscInt i = 0; i < 2 * kept; i++) {
      const double share = Dot(n, s->pi, s->phi + i % kept * n, s->phi + kept * n);

      for (int r = 0; r < 3; r++) Subtract(n, share, rows[r] + i % kept * n, rows[r] + kept * n);
    }
    after = Dot(n, s->pi, s->phi + kept * n, s->phi + kept * n);
    if (after < DEPENDENT * before) continue;
    for (int r = 0; r < 3; r++)
      for (PetscInt k = 0; k < n; k++) rows[r][kept * n + k] /= PetscSqrtReal(after);
    kept++;
    if (l < lower) s->lower = kept;
  }
  s->size = kept;
  PetscFunctionReturn(0);
}

/* The coefficients of the angle at every node. */
static PetscErrorCode SetAngles(FPProcess process, Tangents *t, Lift *s)
{
  FPWave *across;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(t->channels, &across));
  s->rate = 0;
  for (PetscInt k = 0; k < s->n; k++) {
    const double z[2] = {s->z[k], s->z[s->n + k]};

    Differentiate(process, z, t);
    FPAngleSet(t->A, t->channels, t->B, &s->angle[k], across);
    for (int axis = 0; axis < 2; axis++)
      for (int j = 0; j < 3; j++) {
        s->cross[2 * k + axis].c[j] = 0;
        for (PetscInt c = 0; c < t->channels; c++)
          s->cross[2 * k + axis].c[j] += t->S[axis * t->channels + c] * across[c].c[j];
      }
    s->rate += s->pi[k] * FPAngleRate(&s->angle[k]);
  }
  PetscCall(PetscFree(across));
  PetscFunctionReturn(0);
}

static PetscErrorCode LiftCreate(FPProcess process, FPGenerator gen, const FPBox *box, PetscInt degree, Tangents *t,
                                 Lift *s)
{
  const PetscInt   all = (degree + 1) * (degree + 2) / 2, lower = (degree - LOWER + 1) * (degree - LOWER + 2) / 2;
  const PetscReal *volume, *pi;
  double           most = 0, total = 0;

  PetscFunctionBegin;
  s->gen = gen;
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetNodes(gen, &s->n, NULL, &s->z, NULL, &volume));
  PetscCall(PetscMalloc6(s->n, &s->pi, all * s->n, &s->phi, all * s->n, &s->gradient[0], all * s->n, &s->gradient[1],
                         s->n, &s->angle, 2 * s->n, &s->cross));
  for (PetscInt k = 0; k < s->n; k++) most = PetscMax(most, pi[k] / volume[k]);
  for (PetscInt k = 0; k < s->n; k++) {
    s->pi[k] = pi[k] < NOTHING * most * volume[k] ? 0 : pi[k];
    total += s->pi[k];
  }
  for (PetscInt k = 0; k < s->n; k++) s->pi[k] /= total;
  s->size = all;
  SetProducts(s, box, degree);
  PetscCall(Orthonormalise(lower, s));
  PetscCall(SetAngles(process, t, s));
  PetscFunctionReturn(0);
}

static PetscErrorCode LiftDestroy(Lift *s)
{
  PetscFunctionBegin;
  PetscCall(PetscFree6(s->pi, s->phi, s->gradient[0], s->gradient[1], s->angle, s->cross));
  PetscFunctionReturn(0);
}

/* out[l*size + i] = sum_k test_i(k) pi(k) phi_l(k) */
static void Project(const Lift *s, const double *test, const double *weighted, double *out)
{
  const PetscBLASInt size = (PetscBLASInt)s->size, n = (PetscBLASInt)s->n;
  const PetscScalar  one = 1, none = 0;

  BLASgemm_("T", "N", &size, &size, &n, &one, test, &n, weighted, &n, &none, out, &size);
}

/* The real (part 0) or imaginary part of what stands beside 2im exp(2ijt) or -4m^2 exp(2ijt), phi_i by phi_i. */
static void Coefficient(const Lift *s, PetscBool turn, int j, int part, double *test)
{
  for (PetscInt k = 0; k < s->n; k++) {
    const double complex w = turn ? s->angle[k].turn.c[j] : s->angle[k].spread.c[j];
    const double complex x = s->cross[2 * k].c[j], y = s->cross[2 * k + 1].c[j];

    for (PetscInt i = 0; i < s->size; i++) {
      const PetscInt at = i * s->n + k;

      test[at] = s->phi[at] * (part ? cimag(w) : creal(w));
      if (turn)
        test[at] += part ? s->gradient[0][at] * cimag(x) + s->gradient[1][at] * cimag(y)
                         : s->gradient[0][at] * creal(x) + s->gradient[1][at] * creal(y);
    }
  }
}

static PetscErrorCode SetDirections(const Lift *s, FPDirections *d)
{
  const PetscInt n = s->n, size = s->size;
  double        *test, *weighted, *part[2];

  PetscFunctionBegin;
  d->size = d->room = size;
  PetscCall(PetscMalloc4(size * n, &test, size * n, &weighted, size * size, &part[0], size * size, &part[1]));
  PetscCall(PetscMalloc1(size * size, &d->still));
  for (PetscInt l = 0; l < size; l++) {
    for (PetscInt k = 0; k < n; k++) weighted[l * n + k] = s->pi[k] * s->phi[l * n + k];
    PetscCall(FPGeneratorApply(s->gen, PETSC_TRUE, s->phi + l * n, test + l * n));
  }
  Project(s, test, weighted, d->still);
  for (int j = 0; j < 3; j++) {
    PetscCall(PetscMalloc3(size * size, &d->turn[j], size * size, &d->spread[j], size, &d->growth[j]));
    for (int turn = 0; turn < 2; turn++) {
      double complex *out = turn ? d->turn[j] : d->spread[j];

      for (int p = 0; p < 2; p++) {
        Coefficient(s, (PetscBool)turn, j, p, test);
        Project(s, test, weighted, part[p]);
      }
      for (PetscInt at = 0; at < size * size; at++) out[at] = part[0][at] + I * part[1][at];
    }
    for (PetscInt l = 0; l < size; l++) {
      d->growth[j][l] = 0;
      for (PetscInt k = 0; k < n; k++) d->growth[j][l] += weighted[l * n + k] * s->angle[k].growth.c[j];
    }
  }
  PetscCall(PetscFree4(test, weighted, part[0], part[1]));
  PetscFunctionReturn(0);
}

/* Extrapolated to no widening from e and 2e, or from 2e and 4e, in v[0] and v[1]. */
static PetscErrorCode Extrapolate(FPDirections *d, PetscReal e, PetscInt count, PetscReal v[])
{
  PetscReal w[3];

  PetscFunctionBegin;
  for (PetscInt k = 0; k <= count; k++, e *= 2) {
    d->widening = e;
    PetscCall(FPDirectionsExponent(d, &w[k]));
  }
  for (PetscInt k = 0; k < count; k++) v[k] = 2 * w[k] - w[k + 1];
  PetscFunctionReturn(0);
}

/* error: on the finest grid, of the angle and of the polynomials; a run takes three times this. That covers what the
   extrapolation leaves of powers of e down to 0.15, as intermittent noise makes them, and polynomials whose error falls
   to 0.8 with two more degrees: at a learning rate of 0.4 in a 2-chain it falls from 0.015 to 0.012 only between 48 and
   96 cells. */
static PetscErrorCode TwoDimensions(FPProcess process, FPGenerator gen, const FPBox *box, Tangents *t, PetscBool finest,
                                    PetscReal *exponent, PetscReal *error)
{
  Lift            s = {0};
  FPDirections    d = {0};
  PetscInt        degree;
  const PetscInt *cells;
  PetscReal       ratio, e, v[2] = {0, 0}, low = 0;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, NULL, &cells, &ratio));
  Resolution(cells, ratio, &degree, &d.modes);
  PetscCall(LiftCreate(process, gen, box, degree, t, &s));
  PetscCall(SetDirections(&s, &d));
  e = s.rate * PetscLogReal(1 / CUT) / (2 * PetscSqr((PetscReal)d.modes));
  PetscCall(Extrapolate(&d, e, finest ? 2 : 1, v));
  *exponent = v[0];
  *error    = 0;
  if (finest) {
    d.size = s.lower;
    PetscCall(Extrapolate(&d, e, 1, &low));
    *error = 3 * PetscAbsReal(v[0] - v[1]) + 1.5 * PetscAbsReal(v[0] - low);
  }
  for (int j = 0; j < 3; j++) PetscCall(PetscFree3(d.turn[j], d.spread[j], d.growth[j]));
  PetscCall(PetscFree(d.still));
  PetscCall(LiftDestroy(&s));
  PetscFunctionReturn(0);
}

/* Jumps stretch tangent vectors by their scale's slope, and turn them: what the drift's slope tells is all there is in
   one dimension where the scale is constant. */
static PetscErrorCode RefuseJumps(FPGenerator gen, const char **reason)
{
  const PetscReal *z;
  PetscReal       *sigma;
  PetscInt         n, dim;
  FPProcess        process;
  FPStable         stable;
  PetscBool        same = PETSC_TRUE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  if (!stable.has) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(PetscMalloc1(n, &sigma));
  FPProcessStableScale(process, (int)n, z, sigma);
  for (PetscInt k = 0; k < n; k++) same = (PetscBool)(same && sigma[k] == sigma[0]);
  PetscCall(PetscFree(sigma));
  if (dim > 1 || !same)
    *reason = "jumps stretch and turn tangent vectors, which this grid does not know; particles have it";
  if (stable.boundary == FP_BOUNDARY_KILLED) *reason = "a process that is killed at walls has no orbit that goes on";
  PetscFunctionReturn(0);
}

/* Why there is none on this grid, or NULL. */
static PetscErrorCode Refuse(FPObservable obs, FPGenerator gen, const char **reason)
{
  const FPBox    *box;
  PetscInt        dim, weights;
  PetscBool       mapped;
  FPGeneratorInfo info;
  PetscReal       step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, NULL, NULL, NULL, NULL, NULL));
  PetscCall(FPModelGetParent(obs->scene.model, &mapped, &weights));
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  *reason = NULL;
  for (PetscInt f = 0; f < 2 * dim; f++)
    if (box->face[f] == FP_ABSORBING) *reason = "a process that is killed at walls has no orbit that goes on";
  if (dim > 2) *reason = "directions of tangent vectors in three dimensions need a grid of five; particles have it";
  if (dim == 2 && info.degenerate)
    *reason =
        "of rank-deficient noise the law keeps to a line: gradients across it are not on the grid; particles have it";
  if (mapped) *reason = FP_LYAPUNOV_MAPPED;
  PetscCall(RefuseJumps(gen, reason));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) PetscCall(FPLyapunovTransferRefused(gen, reason));
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const PetscReal *z, *pi;
  const char      *reason = NULL, *name;
  PetscReal        step, exponent = 0, error = 0;
  PetscInt         dim, n;
  const FPBox     *box;
  FPProcess        process;
  Tangents         t;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(Refuse(obs, gen, &reason));
  if (reason) {
    PetscCall(FPProcessGetName(process, &name));
    if (finest)
      PetscCall(FPResultsAddStatus(obs->scene.results, name, FPGeneratorEngine(gen), obs->name, "exponent_orbit",
                                   "unsupported", reason));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) {
    PetscCall(FPLyapunovTransfer(gen, finest, &exponent, &error));
    PetscCall(FPQuantitiesAdd(q, exponent, error, "1/time", "exponent_orbit"));
    PetscFunctionReturn(0);
  }
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  PetscCall(TangentsCreate(process, dim, &t));
  if (dim == 1)
    OneDimension(process, &t, n, z, pi, &exponent);
  else
    PetscCall(TwoDimensions(process, gen, box, &t, finest, &exponent, &error));
  PetscCall(
      FPQuantitiesAdd(q, exponent, error + 1e-9 * PetscMax(1, PetscAbsReal(exponent)), "1/time", "exponent_orbit"));
  PetscCall(PetscFree2(t.S, t.B));
  PetscFunctionReturn(0);
}

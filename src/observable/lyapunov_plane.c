/* lyapunov_plane.c: exponent_orbit of an SDE in the plane, from its generator. A = Db and B_c = D S_c turn the angle t
   of the tangent vector as angle.c says; noise moves point and angle together, so (z, t) has the generator
     L = Q + h d/dt + d d^2/dt^2 + v . grad d/dt,  v = sum_c S_c (u'.B_c u),
   Q that of z, which knows the walls: they move z alone. The exponent is the number for which L f = exponent - g has a
   solution f = sum_m f_m(z) exp(2imt), m <= MODES. The modes above 0 do not need f_0, and the mean of the equation of
   mode 0 is the exponent.
   z lives on the grid, with the rates q_ij of its edges, and so does v . grad: with v = D y it is the sum over edges of
   (1/2) q_ij (y . (z_j - z_i)) (f_j - f_i), the mixed term of a square |f_j - f_i + (1/2) y . (z_j - z_i) df/dt|^2 that
   Q and d complete, so that no mode grows; central differences on wide stencils let some grow. y is M^-1 v, M the
   larger of D and what the edges have of it, which may be more. Where noise does not turn t its law is not smooth.
   DAMPING: mode m decays at POWER ln(1/CUT) r (m/MODES)^POWER besides, r a bound of the rate at which directions meet,
   so that about a direction that attracts at the rate r the share CUT is left at the last mode. Errors are those of the
   grid, of second order, and of modes: all, half and a quarter of them, as many as the finest grid has cells per axis,
   are extrapolated. The equations are solved by GMRES, in the norm of the law of z, with the preconditioner (s - Q) (s
   - h d/dt - d d^2/dt^2)/s of alternating directions. Source: R. Z. Khasminskii, Theory Probab. Appl. 12 (1967);
   Arnold, Random Dynamical Systems (1998), section 6.2; D. W. Peaceman and H. H. Rachford, J. SIAM 3 (1955). */
#include "lyapunovimpl.h"
#include "angleimpl.h"
#include <math.h>
#include <petscksp.h>

#define LEAST_MODES 16
#define MOST_MODES 64
#define ROOM 4e5 /* modes times nodes of the finest grid, 6 MiB to a vector of GMRES */
#define RESTART 30
#define LOOSE 1e-3 /* residuals between which the answer is seen to change */
#define TIGHT 2e-4
#define MOST_STEPS 200
#define POWER 6
#define CUT 1e-2
#define SLOWEST 0.9   /* quotient of differences as modes are doubled */
#define SHIFT 4       /* s over the rate at which directions meet */
#define NOTHING 1e-12 /* of the largest probability of a node: the least weight in the norm */

typedef struct {
  FPGenerator      gen;
  PetscInt         n, edges, modes;
  const FPEdge    *edge;
  const PetscReal *z, *pi;
  FPAngle         *angle;  /* [n] */
  FPWave          *pull;   /* [n][2]: y */
  double          *root;   /* [n]: of pi */
  double           rate;   /* mean over z of a bound of how fast nearby directions meet */
  double           shift;  /* s */
  double complex  *line;   /* [modes][5][n]: factors of s - h d/dt - d d^2/dt^2 at every node, by rows of five */
  double complex  *slopes; /* [4][n]: a mode, Q of it, and the two sums over edges that y multiplies */
  double          *column; /* [2*modes][n] */
} Plane;

/* The part of the symmetric matrix M = {xx, xy, yy} that has no negative eigenvalue */
static void Positive(const double M[3], double out[3])
{
  const double mean = (M[0] + M[2]) / 2, half = (M[0] - M[2]) / 2, radius = hypot(half, M[1]);
  const double high = PetscMax(mean + radius, 0), low = PetscMax(mean - radius, 0);
  const double tilt = radius > 0 ? (high - low) / (2 * radius) : 0;

  out[0] = (high + low) / 2 + tilt * half;
  out[1] = tilt * M[1];
  out[2] = (high + low) / 2 - tilt * half;
}

/* D {xx, xy, yy} of the edges at every node, moments[n][3] */
static void EdgeDiffusion(const Plane *p, double *moments)
{
  for (PetscInt s = 0; s < p->edges; s++) {
    const FPEdge *e = &p->edge[s];
    const double  x = p->z[e->j] - p->z[e->i], y = p->z[p->n + e->j] - p->z[p->n + e->i];
    const double  half[3] = {x * x / 2, x * y / 2, y * y / 2};

    for (int k = 0; k < 3; k++) {
      moments[3 * e->i + k] += e->qij * half[k];
      moments[3 * e->j + k] += e->qji * half[k];
    }
  }
}

/* y = M^-1 v for the larger one, M, of D and the edges' D; of rank 1 on its range */
static void SetPull(const double D[3], const double edges[3], const FPWave v[2], FPWave y[2])
{
  const double more[3] = {edges[0] - D[0], edges[1] - D[1], edges[2] - D[2]};
  double       M[3], trace, determinant;

  Positive(more, M);
  for (int k = 0; k < 3; k++) M[k] += D[k];
  trace       = M[0] + M[2];
  determinant = M[0] * M[2] - M[1] * M[1];
  for (int j = 0; j < 3; j++) {
    const double complex a = v[0].c[j], b = v[1].c[j];

    if (trace == 0) {
      y[0].c[j] = y[1].c[j] = 0;
    } else if (determinant > 1e-12 * trace * trace) {
      y[0].c[j] = (M[2] * a - M[1] * b) / determinant;
      y[1].c[j] = (M[0] * b - M[1] * a) / determinant;
    } else {
      y[0].c[j] = a / trace;
      y[1].c[j] = b / trace;
    }
  }
}

/* The coefficients at every node */
static PetscErrorCode SetCoefficients(FPProcess process, FPTangents *t, Plane *p)
{
  const PetscInt C = t->channels;
  FPWave        *across, v[2];
  double        *edges;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(C, &across));
  PetscCall(PetscCalloc1(3 * p->n, &edges));
  EdgeDiffusion(p, edges);
  p->rate = 0;
  for (PetscInt k = 0; k < p->n; k++) {
    const double z[2] = {p->z[k], p->z[p->n + k]};
    double       D[3] = {0};

    FPTangentsAt(process, z, t);
    FPAngleSet(t->A, C, t->B, &p->angle[k], across);
    for (int a = 0; a < 2; a++) v[a] = (FPWave){{0}};
    for (PetscInt c = 0; c < C; c++) {
      const double S[2] = {t->S[c], t->S[C + c]};

      D[0] += S[0] * S[0] / 2;
      D[1] += S[0] * S[1] / 2;
      D[2] += S[1] * S[1] / 2;
      for (int a = 0; a < 2; a++)
        for (int j = 0; j < 3; j++) v[a].c[j] += S[a] * across[c].c[j];
    }
    SetPull(D, edges + 3 * k, v, p->pull + 2 * k);
    p->rate += p->pi[k] * FPAngleRate(&p->angle[k]);
  }
  PetscCall(PetscFree(across));
  PetscCall(PetscFree(edges));
  PetscFunctionReturn(0);
}

/* The mode in slopes[0]: Q of it, and what pull multiplies */
static void Differences(const Plane *p)
{
  const PetscInt  n = p->n;
  double complex *f = p->slopes, *Q = f + n, *x = Q + n, *y = x + n;

  for (PetscInt k = 0; k < 3 * n; k++) Q[k] = 0;
  for (PetscInt s = 0; s < p->edges; s++) {
    const FPEdge        *e = &p->edge[s];
    const double complex d = f[e->j] - f[e->i];
    const double         a = (p->z[e->j] - p->z[e->i]) / 2, b = (p->z[n + e->j] - p->z[n + e->i]) / 2;

    Q[e->i] += e->qij * d;
    Q[e->j] -= e->qji * d;
    x[e->i] += e->qij * a * d;
    x[e->j] += e->qji * a * d;
    y[e->i] += e->qij * b * d;
    y[e->j] += e->qji * b * d;
  }
}

/* a b, of finite numbers */
static inline double complex Times(double complex a, double complex b)
{
  return creal(a) * creal(b) - cimag(a) * cimag(b) + I * (creal(a) * cimag(b) + cimag(a) * creal(b));
}

/* What mode m, its differences in slopes, gives to mode m + j at node k, but for Q and the damping */
static inline double complex Reach(const Plane *p, PetscInt m, int j, PetscInt k)
{
  const double complex *f = p->slopes + k, *x = f + 2 * p->n, *y = f + 3 * p->n;
  const FPAngle        *a    = &p->angle[k];
  const FPWave         *pull = p->pull + 2 * k;

  const double complex sum =
      Times(FPWaveAt(&a->turn, j), *f) + Times(FPWaveAt(&pull[0], j), *x) + Times(FPWaveAt(&pull[1], j), *y);

  return 2.0 * m * (I * creal(sum) - cimag(sum)) - 4.0 * m * m * Times(FPWaveAt(&a->spread, j), *f);
}

static double Damping(const Plane *p, PetscInt m)
{
  return POWER * log(1 / CUT) * p->rate * pow((double)m / p->modes, POWER);
}

/* Mode m of X, whose entries are those of f times root */
static void Load(const Plane *p, const PetscScalar *X, PetscInt m)
{
  const double complex *f = (const double complex *)X + (size_t)(m - 1) * p->n;

  for (PetscInt k = 0; k < p->n; k++) p->slopes[k] = f[k] / p->root[k];
  Differences(p);
}

/* -L */
static PetscErrorCode PlaneMult(Mat A, Vec in, Vec out)
{
  Plane             *p;
  const PetscScalar *X;
  PetscScalar       *Y;
  double complex    *y;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(A, &p));
  PetscCall(VecZeroEntries(out));
  PetscCall(VecGetArrayRead(in, &X));
  PetscCall(VecGetArray(out, &Y));
  y = (double complex *)Y;
  for (PetscInt m = 1; m <= p->modes; m++) {
    const double damping = Damping(p, m);

    Load(p, X, m);
    for (int j = -2; j <= 2; j++) {
      const PetscInt  to  = PetscAbsInt(m + j);
      double complex *row = y + (size_t)(to - 1) * p->n;

      if (to == 0 || to > p->modes) continue;
      for (PetscInt k = 0; k < p->n; k++) {
        double complex given = Reach(p, m, j, k);

        if (j == 0) given += p->slopes[p->n + k] - damping * p->slopes[k];
        row[k] -= p->root[k] * (m + j < 0 ? conj(given) : given);
      }
    }
  }
  PetscCall(VecRestoreArrayRead(in, &X));
  PetscCall(VecRestoreArray(out, &Y));
  PetscFunctionReturn(0);
}

/* E g + what modes 1 and 2 give to mode 0 */
static PetscErrorCode PlaneExponent(const Plane *p, Vec x, PetscReal *exponent, PetscReal *drift)
{
  const PetscScalar *X;

  PetscFunctionBegin;
  *drift = 0;
  for (PetscInt k = 0; k < p->n; k++) *drift += p->pi[k] * creal(p->angle[k].growth.c[0]);
  *exponent = *drift;
  PetscCall(VecGetArrayRead(x, &X));
  for (int m = 1; m <= 2; m++) {
    Load(p, X, m);
    for (PetscInt k = 0; k < p->n; k++) *exponent += 2 * p->pi[k] * creal(Reach(p, m, -m, k));
  }
  PetscCall(VecRestoreArrayRead(x, &X));
  PetscFunctionReturn(0);
}

/* s - h d/dt - d d^2/dt^2 at every node, of modes 1 ... modes among each other: five diagonals, eliminated without
   pivots, as its part that is symmetric is positive where s is above the rate at which directions meet. */
static void FactorLines(const Plane *p)
{
  const PetscInt n = p->n;

  for (PetscInt m = 1; m <= p->modes; m++) {
    double complex *row = p->line + (size_t)(m - 1) * 5 * n;

    for (int s = 0; s < 5; s++) {
      const PetscInt from = m + s - 2;

      for (PetscInt k = 0; k < n; k++)
        row[s * n + k] = from < 1 || from > p->modes ? 0
                                                     : 4.0 * from * from * FPWaveAt(&p->angle[k].spread, 2 - s) -
                                                           2 * I * from * FPWaveAt(&p->angle[k].turn, 2 - s) +
                                                           (s == 2 ? p->shift + Damping(p, m) : 0);
    }
    for (PetscInt b = PetscMin(2, m - 1); b >= 1; b--) {
      const double complex *above = row - b * 5 * n;

      for (PetscInt k = 0; k < n; k++) {
        const double complex l = Times(row[(2 - b) * n + k], above[2 * n + k]);

        row[(2 - b) * n + k] = l;
        row[(3 - b) * n + k] -= Times(l, above[3 * n + k]);
        row[(4 - b) * n + k] -= Times(l, above[4 * n + k]);
      }
    }
    for (PetscInt k = 0; k < n; k++) row[2 * n + k] = 1 / row[2 * n + k];
  }
}

static void SolveLines(const Plane *p, double complex *f)
{
  const PetscInt n = p->n, M = p->modes;

  for (PetscInt m = 1; m <= M; m++)
    for (PetscInt b = PetscMin(2, m - 1); b >= 1; b--) {
      const double complex *l = p->line + ((size_t)(m - 1) * 5 + 2 - b) * n, *above = f + (size_t)(m - 1 - b) * n;
      double complex       *row = f + (size_t)(m - 1) * n;

      for (PetscInt k = 0; k < n; k++) row[k] -= Times(l[k], above[k]);
    }
  for (PetscInt m = M; m >= 1; m--) {
    const double complex *u   = p->line + (size_t)(m - 1) * 5 * n;
    double complex       *row = f + (size_t)(m - 1) * n;

    for (PetscInt b = 1; b <= PetscMin(2, M - m); b++)
      for (PetscInt k = 0; k < n; k++) row[k] -= Times(u[(2 + b) * n + k], row[b * n + k]);
    for (PetscInt k = 0; k < n; k++) row[k] = Times(row[k], u[2 * n + k]);
  }
}

static PetscErrorCode PlanePrecondition(PC pc, Vec in, Vec out)
{
  Plane             *p;
  const PetscScalar *X;
  PetscScalar       *Y;
  double complex    *f;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &p));
  PetscCall(VecGetArrayRead(in, &X));
  PetscCall(VecGetArray(out, &Y));
  f = (double complex *)Y;
  for (PetscInt c = 0; c < 2 * p->modes; c++) /* real and imaginary parts in turn */
    for (PetscInt k = 0; k < p->n; k++)
      p->column[(size_t)c * p->n + k] = X[2 * ((size_t)(c / 2) * p->n + k) + c % 2] * p->shift / p->root[k];
  PetscCall(FPGeneratorInvertColumns(p->gen, p->shift, 2 * p->modes, p->column));
  for (PetscInt m = 0; m < p->modes; m++)
    for (PetscInt k = 0; k < p->n; k++)
      f[(size_t)m * p->n + k] = p->column[(size_t)(2 * m) * p->n + k] + I * p->column[(size_t)(2 * m + 1) * p->n + k];
  SolveLines(p, f);
  for (PetscInt m = 0; m < p->modes; m++)
    for (PetscInt k = 0; k < p->n; k++) f[(size_t)m * p->n + k] *= p->root[k];
  PetscCall(VecRestoreArrayRead(in, &X));
  PetscCall(VecRestoreArray(out, &Y));
  PetscFunctionReturn(0);
}

static PetscErrorCode SolverCreate(Plane *p, Mat *A, KSP *ksp, Vec *x, Vec *b)
{
  const PetscInt  size = 2 * p->modes * p->n;
  PetscScalar    *B;
  double complex *right;
  PC              pc;

  PetscFunctionBegin;
  PetscCall(MatCreateShell(PETSC_COMM_SELF, size, size, size, size, p, A));
  PetscCall(MatShellSetOperation(*A, MATOP_MULT, (void (*)(void))PlaneMult));
  PetscCall(KSPCreate(PETSC_COMM_SELF, ksp));
  PetscCall(KSPSetOperators(*ksp, *A, *A));
  PetscCall(KSPSetType(*ksp, KSPGMRES));
  PetscCall(KSPGMRESSetRestart(*ksp, RESTART));
  PetscCall(KSPSetPCSide(*ksp, PC_RIGHT));
  PetscCall(KSPSetInitialGuessNonzero(*ksp, PETSC_TRUE));
  PetscCall(KSPGetPC(*ksp, &pc));
  PetscCall(PCSetType(pc, PCSHELL));
  PetscCall(PCShellSetContext(pc, p));
  PetscCall(PCShellSetApply(pc, PlanePrecondition));
  PetscCall(MatCreateVecs(*A, x, b));
  PetscCall(VecGetArray(*b, &B));
  right = (double complex *)B;
  for (PetscInt m = 1; m <= 2; m++)
    for (PetscInt k = 0; k < p->n; k++) right[(m - 1) * p->n + k] = p->root[k] * p->angle[k].growth.c[m];
  PetscCall(VecRestoreArray(*b, &B));
  PetscFunctionReturn(0);
}

/* With the first `modes` modes; error: of GMRES. */
static PetscErrorCode Solve(Plane *p, PetscInt modes, PetscReal *exponent, PetscReal *error)
{
  Mat       A;
  KSP       ksp;
  Vec       x, b;
  PetscReal norm, residual, before, drift;

  PetscFunctionBegin;
  p->modes = modes;
  PetscCall(
      PetscMalloc3((size_t)5 * modes * p->n, &p->line, 4 * p->n, &p->slopes, (size_t)2 * modes * p->n, &p->column));
  FactorLines(p);
  PetscCall(SolverCreate(p, &A, &ksp, &x, &b));
  PetscCall(VecNorm(b, NORM_2, &norm));
  PetscCall(KSPSetTolerances(ksp, LOOSE, LOOSE * norm, PETSC_DEFAULT, MOST_STEPS));
  PetscCall(KSPSolve(ksp, b, x));
  PetscCall(PlaneExponent(p, x, &before, &drift));
  PetscCall(KSPSetTolerances(ksp, TIGHT, TIGHT * norm, PETSC_DEFAULT, MOST_STEPS));
  PetscCall(KSPSolve(ksp, b, x));
  PetscCall(PlaneExponent(p, x, exponent, &drift));
  PetscCall(KSPGetResidualNorm(ksp, &residual));
  *error = PetscAbsReal(*exponent - before);
  if (residual > 2 * TIGHT * norm) *error += residual / norm * PetscAbsReal(*exponent - drift);
  PetscCall(KSPDestroy(&ksp));
  PetscCall(MatDestroy(&A));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&b));
  PetscCall(PetscFree3(p->line, p->slopes, p->column));
  PetscFunctionReturn(0);
}

/* v[0], v[1] and v[2], of all, half and a quarter of the modes, extrapolated as a power of their number between
   MODES^-2, or any faster one, and SLOWEST; where they do not fall like one the first stands. */
static void ExtrapolateModes(const PetscReal v[3], PetscReal *value, PetscReal *error)
{
  const PetscReal fine = v[0] - v[1], coarse = v[1] - v[2];
  const PetscReal share = PetscClipInterval(fine / coarse, 0.25, SLOWEST);

  *value = v[0];
  *error = PetscAbsReal(fine);
  if (!(fine * coarse > 0)) return;
  *value += fine * share / (1 - share);
  *error = 0.5 * PetscAbsReal(*value - v[0]);
}

PetscErrorCode FPLyapunovPlane(FPProcess process, FPGenerator gen, FPTangents *t, PetscReal *exponent, PetscReal *error)
{
  Plane           p = {.gen = gen};
  const PetscInt *cells;
  PetscReal       ratio, axis, most = 0, v[3], solver = 0;
  PetscInt        modes;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, NULL, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &p.n, NULL, &p.z, NULL, NULL));
  PetscCall(FPGeneratorGetEdges(gen, &p.edges, &p.edge, NULL));
  PetscCall(FPGeneratorStationary(gen, &p.pi));
  PetscCall(PetscMalloc3(p.n, &p.angle, 2 * p.n, &p.pull, p.n, &p.root));
  for (PetscInt k = 0; k < p.n; k++) most = PetscMax(most, p.pi[k]);
  for (PetscInt k = 0; k < p.n; k++) p.root[k] = PetscSqrtReal(PetscMax(p.pi[k], NOTHING * most));
  PetscCall(SetCoefficients(process, t, &p));
  p.shift = p.rate > 0 ? SHIFT * p.rate : 1;
  axis    = PetscMin(PetscSqrtReal((PetscReal)cells[0] * cells[1]) * ratio, ROOM / (p.n * ratio * ratio));
  modes   = 4 * (PetscInt)lround(PetscClipInterval(axis, LEAST_MODES, MOST_MODES) / 4);
  for (int k = 0; k < 3; k++) {
    PetscReal change = 0;

    PetscCall(Solve(&p, modes >> k, &v[k], &change));
    solver = PetscMax(solver, change);
  }
  ExtrapolateModes(v, exponent, error);
  *error += solver;
  PetscCall(PetscFree3(p.angle, p.pull, p.root));
  PetscFunctionReturn(0);
}

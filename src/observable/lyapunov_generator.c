/* lyapunov_generator.c: exponent_orbit from the stationary law, by the formula of Furstenberg and Khasminskii, with the
   coupling of lyapunov_orbit.c. With A = Db, B_c = D S_c and the tangent vector's direction u = (cos t, sin t), u' =
   du/dt: exponent = E [u.A u + (1/2) sum_c (|B_c u|^2 - 2 (u.B_c u)^2)], in one dimension E [b' - (1/2) sum_c S_c'^2].
   In two, (z, t) has the generator Q + h d/dt + (D + e) d^2/dt^2 + sum_c S_c (u'.B_c u) . grad d/dt, h = u'.A u - sum_c
   (u.B_c u)(u'.B_c u), D = (1/2) sum_c (u'.B_c u)^2, Q that of z: the rates of the grid. The coefficients are
   trigonometric polynomials of t of degree 4, even ones, so the moments m_k = E exp(2ikt) per cell obey linear
   equations that couple k to k - 2 ... k + 2; m_0 is the stationary law, and what lies beyond `MODES` (on the finest
   grid) is cut off. e = NARROW rate/MODES^2 on the finest grid, proportional to h^2 on the others, widens the law of t
   so that this is allowed, and selects the largest exponent where there are several: an error of order h^2 like the
   others, which the extrapolation over grids removes. Walls move z alone. Source: R. Z. Khasminskii, Theory Probab.
   Appl. 12 (1967); Arnold, Random Dynamical Systems (1998), section 6.2. */
#include "lyapunovimpl.h"
#include <complex.h>
#include <petscksp.h>

#define MODES 8
#define NARROW 3
#define MOST_UNKNOWNS 40000 /* of the linear system on the finest grid: some seconds, and half a gigabyte */
#define TOO_MANY "two dimensions take 16 unknowns for each cell: more than 2500 cells are too many; particles have it"

/* sum over k = -2 .. 2 of c[k + 2] exp(2ikt) */
typedef struct {
  double complex c[5];
} Wave;

/* At one node: what multiplies 2ik (turn), -4k^2 (spread) and 2ik d/dz_a (cross[a]), and the mean of Q (growth). */
typedef struct {
  Wave turn, spread, growth, cross[2];
} Angle;

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

/* a += factor x y, where the product has no more than degree 2 */
static void AddProduct(Wave *a, double factor, const Wave *x, const Wave *y)
{
  for (int i = -2; i <= 2; i++)
    for (int j = -2; j <= 2; j++)
      if (i + j >= -2 && i + j <= 2) a->c[i + j + 2] += factor * x->c[i + 2] * y->c[j + 2];
}

/* u.M u and u'.M u, M[2][2] */
static void Split(const double M[4], Wave *along, Wave *across)
{
  const double complex g = (M[0] - M[3]) / 4 - I * (M[1] + M[2]) / 4;

  *along  = (Wave){{0, conj(g), (M[0] + M[3]) / 2, g, 0}};
  *across = (Wave){{0, -I * conj(g), (M[2] - M[1]) / 2, I * g, 0}};
}

static void SetAngle(const Tangents *t, Angle *a)
{
  *a = (Angle){.turn = {{0}}};
  Split(t->A, &a->growth, &a->turn);
  for (PetscInt c = 0; c < t->channels; c++) {
    Wave along, across;

    Split(t->B + 4 * c, &along, &across);
    AddProduct(&a->growth, 0.5, &across, &across);
    AddProduct(&a->growth, -0.5, &along, &along);
    AddProduct(&a->turn, -1, &along, &across);
    AddProduct(&a->spread, 0.5, &across, &across);
    for (int axis = 0; axis < 2; axis++)
      for (int k = 0; k < 5; k++) a->cross[axis].c[k] += t->S[axis * t->channels + c] * across.c[k];
  }
}

/* How fast t may move: the modulus of turn and spread. */
static double Rate(const Angle *a)
{
  double sum = 0;

  for (int k = 0; k < 5; k++) sum += cabs(a->turn.c[k]) + cabs(a->spread.c[k]);
  return sum;
}

typedef struct {
  FPGenerator      gen;
  PetscInt         n, modes;
  const PetscReal *z, *pi;
  PetscInt        *next; /* [n][4]: neighbours along -z_0, +z_0, -z_1, +z_1; the node itself where there is none */
  Angle           *angle;
  PetscReal        widening; /* e */
  Mat              M;
  Vec              x, y;
} Lift;

static PetscErrorCode SetNeighbours(Lift *s)
{
  const PetscInt  *cells, *node;
  const PetscReal *measure, *volume;
  PetscReal        ratio;
  PetscInt         dim, total, *unknown;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(s->gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(s->gen, &s->n, &node, &s->z, &measure, &volume));
  total = cells[0] * cells[1];
  PetscCall(PetscMalloc1(total, &unknown));
  PetscCall(PetscMalloc1(4 * s->n, &s->next));
  for (PetscInt k = 0; k < total; k++) unknown[k] = -1;
  for (PetscInt k = 0; k < s->n; k++) unknown[node[k]] = k;
  for (PetscInt k = 0; k < s->n; k++) {
    const PetscInt i = node[k] % cells[0], j = node[k] / cells[0];
    const PetscInt at[4] = {i > 0 ? node[k] - 1 : -1, i < cells[0] - 1 ? node[k] + 1 : -1,
                            j > 0 ? node[k] - cells[0] : -1, j < cells[1] - 1 ? node[k] + cells[0] : -1};

    for (int m = 0; m < 4; m++) s->next[4 * k + m] = at[m] >= 0 && unknown[at[m]] >= 0 ? unknown[at[m]] : k;
  }
  PetscCall(PetscFree(unknown));
  PetscFunctionReturn(0);
}

/* Adds c m_k of node `from` to the equation of mode m at node `to`: m_0 is known, m_{-k} = conj m_k. */
static PetscErrorCode Couple(Lift *s, PetscInt to, PetscInt m, PetscInt from, PetscInt k, double complex c)
{
  const PetscInt  row[2] = {2 * (to * s->modes + m - 1), 2 * (to * s->modes + m - 1) + 1};
  const PetscInt  size = PetscAbsInt(k), first = 2 * (from * s->modes + size - 1), column[2] = {first, first + 1};
  const PetscReal sign = k < 0 ? -1 : 1, value[4] = {creal(c), -sign * cimag(c), cimag(c), sign * creal(c)};

  PetscFunctionBegin;
  if (size > s->modes || c == 0) PetscFunctionReturn(0);
  if (k == 0) {
    const PetscReal known[2] = {-creal(c) * s->pi[from], -cimag(c) * s->pi[from]};

    PetscCall(VecSetValues(s->y, 2, row, known, ADD_VALUES));
  } else
    PetscCall(MatSetValues(s->M, 2, row, 2, column, value, ADD_VALUES));
  PetscFunctionReturn(0);
}

/* What the angle adds to the equations of mode m: those of node k, and through the gradient those of its neighbours. */
static PetscErrorCode AddAngle(Lift *s, PetscInt k, PetscInt m)
{
  const Angle *a = &s->angle[k];

  PetscFunctionBegin;
  for (int j = -2; j <= 2; j++) {
    const double complex spread = a->spread.c[j + 2] + (j ? 0 : s->widening);

    PetscCall(Couple(s, k, m, k, m + j, 2 * I * m * a->turn.c[j + 2] - 4.0 * m * m * spread));
    for (int axis = 0; axis < 2; axis++) {
      const PetscInt       low = s->next[4 * k + 2 * axis], high = s->next[4 * k + 2 * axis + 1];
      const PetscReal      width = s->z[axis * s->n + high] - s->z[axis * s->n + low];
      const double complex c     = low == high ? 0 : 2 * I * m * a->cross[axis].c[j + 2] / width;

      PetscCall(Couple(s, high, m, k, m + j, c));
      PetscCall(Couple(s, low, m, k, m + j, -c));
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Assemble(Lift *s)
{
  const FPEdge    *edge;
  const PetscReal *kill;
  PetscInt         edges, size = 2 * s->modes * s->n, *links;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetEdges(s->gen, &edges, &edge, &kill));
  PetscCall(PetscMalloc1(size, &links));
  for (PetscInt r = 0; r < size; r++) links[r] = 2 * 5 + 4 * 2 * 5 + 1;
  for (PetscInt e = 0; e < edges; e++)
    for (PetscInt r = 0; r < 2 * s->modes; r++) {
      links[2 * s->modes * edge[e].i + r]++;
      links[2 * s->modes * edge[e].j + r]++;
    }
  PetscCall(MatCreateSeqAIJ(PETSC_COMM_SELF, size, size, 0, links, &s->M));
  PetscCall(PetscFree(links));
  PetscCall(MatCreateVecs(s->M, &s->x, &s->y));
  for (PetscInt m = 1; m <= s->modes; m++) {
    for (PetscInt e = 0; e < edges; e++) {
      PetscCall(Couple(s, edge[e].j, m, edge[e].i, m, edge[e].qij));
      PetscCall(Couple(s, edge[e].i, m, edge[e].i, m, -edge[e].qij));
      PetscCall(Couple(s, edge[e].i, m, edge[e].j, m, edge[e].qji));
      PetscCall(Couple(s, edge[e].j, m, edge[e].j, m, -edge[e].qji));
    }
    for (PetscInt k = 0; k < s->n; k++) PetscCall(AddAngle(s, k, m));
  }
  PetscCall(MatAssemblyBegin(s->M, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(s->M, MAT_FINAL_ASSEMBLY));
  PetscCall(VecAssemblyBegin(s->y));
  PetscCall(VecAssemblyEnd(s->y));
  PetscFunctionReturn(0);
}

static PetscErrorCode SolveMoments(Lift *s)
{
  KSPConvergedReason reason;
  KSP                ksp;
  PC                 pc;

  PetscFunctionBegin;
  PetscCall(KSPCreate(PETSC_COMM_SELF, &ksp));
  PetscCall(KSPSetOperators(ksp, s->M, s->M));
  PetscCall(KSPSetType(ksp, KSPPREONLY));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PCSetType(pc, PCLU));
  PetscCall(PCFactorSetMatSolverType(pc, MATSOLVERMUMPS));
  PetscCall(KSPSolve(ksp, s->y, s->x));
  PetscCall(KSPGetConvergedReason(ksp, &reason));
  PetscCheck(reason > 0, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED, "the moments of the tangent direction: %s",
             KSPConvergedReasons[reason]);
  PetscCall(KSPDestroy(&ksp));
  PetscFunctionReturn(0);
}

static PetscErrorCode Average(const Lift *s, PetscReal *exponent)
{
  const PetscReal *x;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(s->x, &x));
  *exponent = 0;
  for (PetscInt k = 0; k < s->n; k++) {
    *exponent += creal(s->angle[k].growth.c[2]) * s->pi[k];
    for (PetscInt m = 1; m <= 2; m++) {
      const PetscReal *moment = x + 2 * (k * s->modes + m - 1);

      *exponent += 2 * creal(s->angle[k].growth.c[2 + m] * (moment[0] + I * moment[1]));
    }
  }
  PetscCall(VecRestoreArrayRead(s->x, &x));
  PetscFunctionReturn(0);
}

static PetscErrorCode TwoDimensions(FPProcess process, FPGenerator gen, Tangents *t, const PetscReal pi[],
                                    PetscReal ratio, PetscReal *exponent)
{
  Lift s = {.gen = gen, .pi = pi, .modes = (PetscInt)PetscCeilReal(MODES / ratio)};

  PetscFunctionBegin;
  PetscCall(SetNeighbours(&s));
  PetscCall(PetscMalloc1(s.n, &s.angle));
  for (PetscInt k = 0; k < s.n; k++) {
    const double z[2] = {s.z[k], s.z[s.n + k]};

    Differentiate(process, z, t);
    SetAngle(t, &s.angle[k]);
    s.widening += pi[k] * Rate(&s.angle[k]);
  }
  s.widening *= NARROW * PetscSqr(ratio / MODES);
  PetscCall(Assemble(&s));
  PetscCall(SolveMoments(&s));
  PetscCall(Average(&s, exponent));
  PetscCall(MatDestroy(&s.M));
  PetscCall(VecDestroy(&s.x));
  PetscCall(VecDestroy(&s.y));
  PetscCall(PetscFree(s.next));
  PetscCall(PetscFree(s.angle));
  PetscFunctionReturn(0);
}

/* Jumps stretch tangent vectors by their scale's slope, and turn them: what the drift's slope tells is all there is in
   one dimension where the scale is constant. */
static PetscErrorCode RefuseJumps(FPGenerator gen, const char **reason)
{
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume;
  PetscReal       *sigma;
  PetscInt         n, dim;
  const PetscInt  *cells;
  PetscReal        ratio;
  FPProcess        process;
  FPStable         stable;
  PetscBool        same = PETSC_TRUE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  if (!stable.has) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
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
  const FPBox     *box;
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume;
  PetscReal        ratio;
  PetscInt         dim, n, weights;
  PetscBool        mapped;
  FPGeneratorInfo  info;
  PetscReal        step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPModelGetParent(obs->scene.model, &mapped, &weights));
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  *reason = NULL;
  for (PetscInt f = 0; f < 2 * dim; f++)
    if (box->face[f] == FP_ABSORBING) *reason = "a process that is killed at walls has no orbit that goes on";
  if (dim > 2) *reason = "directions of tangent vectors in three dimensions need a grid of five; particles have it";
  if (dim == 2 && 2 * MODES * n * ratio * ratio > MOST_UNKNOWNS) *reason = TOO_MANY;
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
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume, *pi;
  const char      *reason = NULL, *name;
  PetscReal        ratio, step, exponent = 0, error;
  PetscInt         dim, n;
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
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) {
    PetscCall(FPLyapunovTransfer(gen, &exponent, &error));
    PetscCall(FPQuantitiesAdd(q, exponent, error, "1/time", "exponent_orbit"));
    PetscFunctionReturn(0);
  }
  PetscCall(TangentsCreate(process, dim, &t));
  if (dim == 1)
    OneDimension(process, &t, n, z, pi, &exponent);
  else
    PetscCall(TwoDimensions(process, gen, &t, pi, ratio, &exponent));
  PetscCall(FPQuantitiesAdd(q, exponent, 1e-9 * PetscMax(1, PetscAbsReal(exponent)), "1/time", "exponent_orbit"));
  PetscCall(PetscFree2(t.S, t.B));
  PetscFunctionReturn(0);
}

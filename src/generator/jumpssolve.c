/* jumpssolve.c: (shift + local - Q) x = b with jumps Q: the operator without a matrix, and its preconditioners.

   Trigonometric: on sines that vanish at the first dead nodes (killed walls) the lattice's symbol is exact, and the
   difference between that matrix and the killed one stays small however fine the grid; cosines for the other kinds.
   Where the scale varies, rows are divided by rate first: P = diag(rate) (symbol + shift <1/rate>).
   Source: D. Bini and F. Di Benedetto, Proc. 2nd SPAA (1990), the matrix algebra tau.
   Near: factors of shift + local + killing + jumps to the nearest nodes, which hold what is stiff where drift
   dominates. Multigrid: cells joined in pairs per axis, a coarse node alive where half of its cells are, the same jumps
   with twice the spacing on every level, Chebyshev smoothing of Jacobi's method, dense factors of the coarsest. */
#include "jumpsimpl.h"

#define COARSEST 400 /* unknowns of the coarsest grid, at most */
#define MOST_LEVELS 12
#define SMOOTHING 2   /* steps before and after */
#define SMOOTHED 0.22 /* least eigenvalue that smoothing takes on, of the largest */
#define PI PETSC_PI

typedef struct {
  FPJumps   jumps;
  Mat       local;
  PetscReal shift;
} Operator;

static PetscErrorCode Multiply(Mat A, PetscBool transposed, Vec x, Vec y)
{
  Operator          *op;
  const PetscScalar *in;
  PetscScalar       *out;
  PetscInt           n;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(A, &op));
  PetscCall(VecGetLocalSize(x, &n));
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  PetscCall(FPJumpsApply(op->jumps, transposed, in, out));
  for (PetscInt k = 0; k < n; k++) out[k] = op->shift * in[k] - out[k];
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  if (!op->local) PetscFunctionReturn(0);
  if (transposed)
    PetscCall(MatMultTransposeAdd(op->local, x, y, y));
  else
    PetscCall(MatMultAdd(op->local, x, y, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode OperatorMult(Mat A, Vec x, Vec y)
{
  PetscFunctionBegin;
  PetscCall(Multiply(A, PETSC_FALSE, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode OperatorMultTranspose(Mat A, Vec x, Vec y)
{
  PetscFunctionBegin;
  PetscCall(Multiply(A, PETSC_TRUE, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode OperatorDiagonal(Mat A, Vec diagonal)
{
  Operator        *op;
  const PetscReal *out, *kill;
  PetscScalar     *d;
  PetscInt         n;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(A, &op));
  if (op->local)
    PetscCall(MatGetDiagonal(op->local, diagonal));
  else
    PetscCall(VecZeroEntries(diagonal));
  PetscCall(FPJumpsGetOutflow(op->jumps, &n, &out, &kill));
  PetscCall(VecGetArray(diagonal, &d));
  for (PetscInt k = 0; k < n; k++) d[k] += op->shift + out[k] + kill[k];
  PetscCall(VecRestoreArray(diagonal, &d));
  PetscFunctionReturn(0);
}

static PetscErrorCode OperatorDestroy(Mat A)
{
  Operator *op;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(A, &op));
  PetscCall(MatDestroy(&op->local));
  PetscCall(PetscFree(op));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsCreateOperator(FPJumps jumps, Mat local, PetscReal shift, Mat *A)
{
  Operator *op;

  PetscFunctionBegin;
  PetscCall(PetscNew(&op));
  op->jumps = jumps;
  op->local = local;
  op->shift = shift;
  if (local) PetscCall(PetscObjectReference((PetscObject)local));
  PetscCall(MatCreateShell(PETSC_COMM_SELF, jumps->n, jumps->n, jumps->n, jumps->n, op, A));
  PetscCall(MatShellSetOperation(*A, MATOP_MULT, (void (*)(void))OperatorMult));
  PetscCall(MatShellSetOperation(*A, MATOP_MULT_TRANSPOSE, (void (*)(void))OperatorMultTranspose));
  PetscCall(MatShellSetOperation(*A, MATOP_GET_DIAGONAL, (void (*)(void))OperatorDiagonal));
  PetscCall(MatShellSetOperation(*A, MATOP_DESTROY, (void (*)(void))OperatorDestroy));
  PetscFunctionReturn(0);
}

/* Work without a matrix; context belongs to pc from now on. */
static PetscErrorCode SetShell(PC pc, void *context, PetscErrorCode (*apply)(PC, Vec, Vec),
                               PetscErrorCode (*transposed)(PC, Vec, Vec), PetscErrorCode (*destroy)(PC))
{
  PetscFunctionBegin;
  PetscCall(PCSetType(pc, PCSHELL));
  PetscCall(PCShellSetContext(pc, context));
  PetscCall(PCShellSetApply(pc, apply));
  PetscCall(PCShellSetApplyTranspose(pc, transposed));
  PetscCall(PCShellSetDestroy(pc, destroy));
  PetscFunctionReturn(0);
}

/* Trigonometric */
typedef struct {
  FPJumps    jumps;
  PetscReal *data, *inverse; /* [box]: work; over symbol, shift and the transforms' factor */
  fftw_plan  forward, backward;
} Transform;

static PetscErrorCode TransformApply(Transform *t, PetscBool transposed, Vec x, Vec y)
{
  FPJumps            g = t->jumps;
  const PetscScalar *in;
  PetscScalar       *out;

  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  PetscCall(PetscArrayzero(t->data, g->box));
  for (PetscInt k = 0; k < g->n; k++) t->data[g->node[k]] = transposed ? in[k] : in[k] / g->rate[k];
  fftw_execute(t->forward);
  for (PetscInt l = 0; l < g->box; l++) t->data[l] *= t->inverse[l];
  fftw_execute(t->backward);
  for (PetscInt k = 0; k < g->n; k++) out[k] = t->data[g->node[k]] / (transposed ? g->rate[k] : 1);
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(0);
}

static PetscErrorCode TransformMult(PC pc, Vec x, Vec y)
{
  Transform *t;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &t));
  PetscCall(TransformApply(t, PETSC_FALSE, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode TransformMultTranspose(PC pc, Vec x, Vec y)
{
  Transform *t;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &t));
  PetscCall(TransformApply(t, PETSC_TRUE, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode TransformDestroy(PC pc)
{
  Transform *t;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &t));
  fftw_destroy_plan(t->forward);
  fftw_destroy_plan(t->backward);
  fftw_free(t->data);
  PetscCall(PetscFree(t->inverse));
  PetscCall(PetscFree(t));
  PetscFunctionReturn(0);
}

static void TransformSymbol(Transform *t, PetscReal shift)
{
  FPJumps               g    = t->jumps;
  const FPJumpsSetting *s    = &g->setting;
  const PetscBool       sine = (PetscBool)(s->boundary == FP_BOUNDARY_KILLED);
  const PetscInt        nx = s->cells[0], ny = s->cells[1];
  PetscReal             mean = 0, factor = 1, least;

  for (PetscInt k = 0; k < g->n; k++) mean += 1 / g->rate[k] / g->n;
  for (PetscInt a = 0; a < s->dim; a++) factor *= 2 * (s->cells[a] + sine);
  least = FPJumpsSymbol(s, (PetscReal[2]){PI / (2 * nx), 0}); /* in the place of 0, for the constant */
  for (PetscInt k = 0; k < ny; k++)
    for (PetscInt j = 0; j < nx; j++) {
      const PetscReal theta[2] = {sine ? PI * (j + 1) / (nx + 1) : PI * j / nx,
                                  sine && s->dim > 1 ? PI * (k + 1) / (ny + 1) : PI * k / ny};
      const PetscReal value = FPJumpsSymbol(s, theta) + shift * mean;

      t->inverse[k * nx + j] = 1 / (factor * (value > 0 ? value : least));
    }
}

static PetscErrorCode SetTransform(FPJumps g, PetscReal shift, PC pc)
{
  const FPJumpsSetting *s    = &g->setting;
  const PetscBool       sine = (PetscBool)(s->boundary == FP_BOUNDARY_KILLED);
  const fftw_r2r_kind   to = sine ? FFTW_RODFT00 : FFTW_REDFT10, from = sine ? FFTW_RODFT00 : FFTW_REDFT01;
  const int             nx = (int)s->cells[0], ny = (int)s->cells[1];
  Transform            *t;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < g->n; k++)
    PetscCheck(g->rate[k] > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE, "a node without jumps has no such transform");
  PetscCall(PetscNew(&t));
  t->jumps = g;
  t->data  = fftw_alloc_real((size_t)g->box);
  PetscCheck(t->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for a transform");
  PetscCall(PetscMalloc1(g->box, &t->inverse));
  if (s->dim == 1) {
    t->forward  = fftw_plan_r2r_1d(nx, t->data, t->data, to, FFTW_ESTIMATE);
    t->backward = fftw_plan_r2r_1d(nx, t->data, t->data, from, FFTW_ESTIMATE);
  } else {
    t->forward  = fftw_plan_r2r_2d(ny, nx, t->data, t->data, to, to, FFTW_ESTIMATE);
    t->backward = fftw_plan_r2r_2d(ny, nx, t->data, t->data, from, from, FFTW_ESTIMATE);
  }
  PetscCheck(t->forward && t->backward, PETSC_COMM_SELF, PETSC_ERR_LIB, "FFTW has no plan for a transform");
  TransformSymbol(t, shift);
  PetscCall(SetShell(pc, t, TransformMult, TransformMultTranspose, TransformDestroy));
  PetscFunctionReturn(0);
}

/* A solver of one application, and the coarser grids it needs, if any */
typedef struct {
  PetscInt levels; /* beyond the finest */
  FPJumps  jumps[MOST_LEVELS];
  KSP      inner;
} Grids;

static PetscErrorCode GridsMult(PC pc, Vec x, Vec y)
{
  Grids *grids;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &grids));
  PetscCall(KSPSolve(grids->inner, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode GridsMultTranspose(PC pc, Vec x, Vec y)
{
  Grids *grids;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &grids));
  PetscCall(KSPSolveTranspose(grids->inner, x, y));
  PetscFunctionReturn(0);
}

static PetscErrorCode GridsDestroy(PC pc)
{
  Grids *grids;

  PetscFunctionBegin;
  PetscCall(PCShellGetContext(pc, &grids));
  PetscCall(KSPDestroy(&grids->inner));
  for (PetscInt l = 0; l < grids->levels; l++) PetscCall(FPJumpsDestroy(&grids->jumps[l]));
  PetscCall(PetscFree(grids));
  PetscFunctionReturn(0);
}

/* grids->inner for the matrix A and one application */
static PetscErrorCode SetGrids(Grids *grids, Mat A, PC *inner, PC pc)
{
  PetscFunctionBegin;
  PetscCall(KSPCreate(PETSC_COMM_SELF, &grids->inner));
  PetscCall(KSPSetType(grids->inner, KSPPREONLY));
  PetscCall(KSPSetOperators(grids->inner, A, A));
  PetscCall(KSPGetPC(grids->inner, inner));
  PetscCall(SetShell(pc, grids, GridsMult, GridsMultTranspose, GridsDestroy));
  PetscFunctionReturn(0);
}

PetscErrorCode FPMatrixOfEntries(PetscInt n, PetscCount entries, PetscInt row[], PetscInt column[],
                                 const PetscReal value[], Mat *A)
{
  PetscFunctionBegin;
  PetscCall(MatCreate(PETSC_COMM_SELF, A));
  PetscCall(MatSetSizes(*A, n, n, n, n));
  PetscCall(MatSetType(*A, MATSEQAIJ));
  PetscCall(MatSetPreallocationCOO(*A, entries, row, column));
  PetscCall(MatSetValuesCOO(*A, value, INSERT_VALUES));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsAssemble(const FPJumpsPairs *pairs, PetscInt n, const PetscReal diagonal[], PetscBool leaving,
                               Mat *A)
{
  const PetscInt entries = 2 * pairs->count + n;
  PetscInt      *row, *column;
  PetscReal     *value;

  PetscFunctionBegin;
  PetscCall(PetscMalloc3(entries, &row, entries, &column, entries, &value));
  for (PetscInt k = 0; k < n; k++) {
    row[k] = column[k] = k;
    value[k]           = diagonal[k];
  }
  for (PetscInt s = 0; s < pairs->count; s++) {
    const PetscInt at = n + 2 * s, i = pairs->i[s], j = pairs->j[s];

    row[at] = column[at + 1] = i;
    column[at] = row[at + 1] = j;
    value[at]                = -pairs->qij[s];
    value[at + 1]            = -pairs->qji[s];
    if (!leaving) continue;
    value[i] += pairs->qij[s];
    value[j] += pairs->qji[s];
  }
  PetscCall(FPMatrixOfEntries(n, entries, row, column, value, A));
  PetscCall(PetscFree3(row, column, value));
  PetscFunctionReturn(0);
}

/* shift + local + killing + jumps to the neighbours, as a sparse matrix; whole: with the outflow of all jumps */
static PetscErrorCode NearMatrix(const Operator *op, PetscBool whole, Mat *P)
{
  FPJumps      g = op->jumps;
  FPJumpsPairs near;
  PetscReal   *diagonal;

  PetscFunctionBegin;
  PetscCall(FPJumpsNear(g, 1, &near));
  PetscCall(PetscMalloc1(g->n, &diagonal));
  for (PetscInt k = 0; k < g->n; k++) diagonal[k] = op->shift + g->kill[k] + (whole ? g->out[k] : 0);
  PetscCall(FPJumpsAssemble(&near, g->n, diagonal, (PetscBool)!whole, P));
  if (op->local) PetscCall(MatAXPY(*P, 1, op->local, DIFFERENT_NONZERO_PATTERN));
  PetscCall(PetscFree(diagonal));
  PetscCall(FPJumpsPairsFree(&near));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetNear(const Operator *op, PetscBool whole, PC pc)
{
  Grids *grids;
  Mat    P;
  PC     factors;

  PetscFunctionBegin;
  PetscCall(NearMatrix(op, whole, &P));
  PetscCall(PetscNew(&grids));
  PetscCall(SetGrids(grids, P, &factors, pc));
  PetscCall(MatDestroy(&P));
  PetscCall(PCSetType(factors, PCLU));
  PetscCall(PCFactorSetMatSolverType(factors, MATSOLVERMUMPS));
  PetscCall(KSPSetUp(grids->inner));
  PetscFunctionReturn(0);
}

/* Multigrid */
static PetscErrorCode Coarsen(FPJumps fine, FPJumps *coarse)
{
  FPJumpsSetting s = fine->setting;
  char          *live;
  PetscReal     *rate, *mean;
  PetscInt      *count, box, n = 0;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < s.dim; a++) {
    s.cells[a] = (fine->setting.cells[a] + 1) / 2;
    s.h[a] *= 2;
  }
  box = s.cells[0] * s.cells[1];
  PetscCall(PetscCalloc4(box, &live, box, &rate, box, &mean, box, &count));
  for (PetscInt k = 0; k < fine->n; k++) {
    PetscInt at[2], l;

    FPJumpsPlace(&fine->setting, fine->node[k], at);
    l = at[0] / 2 + (s.dim > 1 ? at[1] / 2 : 0) * s.cells[0];
    mean[l] += fine->rate[k];
    count[l]++;
  }
  for (PetscInt l = 0; l < box; l++) {
    live[l] = count[l] >= (s.dim > 1 ? 2 : 1);
    if (live[l]) rate[n++] = mean[l] / count[l];
  }
  s.live = live;
  s.rate = rate;
  PetscCall(FPJumpsCreate(&s, coarse));
  PetscCall(PetscFree4(live, rate, mean, count));
  PetscFunctionReturn(0);
}

/* Linear interpolation from the centres of coarse cells; dead ones are 0. */
static PetscErrorCode Interpolation(FPJumps fine, FPJumps coarse, Mat *P)
{
  const FPJumpsSetting *s      = &coarse->setting;
  const PetscBool       killed = (PetscBool)(s->boundary == FP_BOUNDARY_KILLED);

  PetscFunctionBegin;
  PetscCall(MatCreateSeqAIJ(PETSC_COMM_SELF, fine->n, coarse->n, 4, NULL, P));
  for (PetscInt k = 0; k < fine->n; k++) {
    PetscInt at[2];

    FPJumpsPlace(&fine->setting, fine->node[k], at);
    for (PetscInt c = 0; c < (s->dim > 1 ? 4 : 2); c++) {
      PetscInt  to[2]  = {0, 0}, column;
      PetscReal w      = 1;
      PetscBool beyond = PETSC_FALSE;

      for (PetscInt a = 0; a < s->dim; a++) {
        const PetscBool aside = (PetscBool)(c >> a & 1);

        to[a] = at[a] / 2 + (aside ? (at[a] % 2 ? 1 : -1) : 0);
        w *= aside ? 0.25 : 0.75;
        if (to[a] < 0 || to[a] >= s->cells[a]) beyond = PETSC_TRUE;
        to[a] = PetscClipInterval(to[a], 0, s->cells[a] - 1);
      }
      column = coarse->unknown[to[1] * s->cells[0] + to[0]];
      if (column >= 0 && !(beyond && killed)) PetscCall(MatSetValue(*P, k, column, w, ADD_VALUES));
    }
  }
  PetscCall(MatAssemblyBegin(*P, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(*P, MAT_FINAL_ASSEMBLY));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsCreateMatrix(FPJumps g, Mat local, PetscReal shift, Mat *A)
{
  const PetscInt    *column;
  const PetscScalar *value;
  PetscScalar       *a;
  PetscInt           count;

  PetscFunctionBegin;
  PetscCall(MatCreateSeqDense(PETSC_COMM_SELF, g->n, g->n, NULL, A));
  PetscCall(MatDenseGetArray(*A, &a));
  for (PetscInt j = 0; j < g->n; j++)
    for (PetscInt i = 0; i < g->n; i++)
      a[j * g->n + i] = i == j ? shift + g->out[i] + g->kill[i] : -FPJumpsRate(g, i, j);
  for (PetscInt i = 0; local && i < g->n; i++) {
    PetscCall(MatGetRow(local, i, &count, &column, &value));
    for (PetscInt c = 0; c < count; c++) a[column[c] * g->n + i] += value[c];
    PetscCall(MatRestoreRow(local, i, &count, &column, &value));
  }
  PetscCall(MatDenseRestoreArray(*A, &a));
  PetscFunctionReturn(0);
}

/* Chebyshev's iteration on the upper part of the spectrum of Jacobi's: at most symbol(pi)/all, all the diagonal. */
static PetscErrorCode SetSmoother(PC pc, PetscInt level, FPJumps g, Mat A)
{
  const PetscReal largest = FPJumpsSymbol(&g->setting, (PetscReal[2]){PI, PI}) / g->all;
  Operator       *op;
  KSP             smoother;
  PC              inner;

  PetscFunctionBegin;
  PetscCall(PCMGGetSmoother(pc, level, &smoother));
  PetscCall(MatShellGetContext(A, &op));
  PetscCall(KSPSetOperators(smoother, A, A));
  PetscCall(KSPSetType(smoother, op->local ? KSPRICHARDSON : KSPCHEBYSHEV));
  PetscCall(KSPSetTolerances(smoother, PETSC_DEFAULT, PETSC_DEFAULT, PETSC_DEFAULT, op->local ? 1 : SMOOTHING));
  PetscCall(KSPSetNormType(smoother, KSP_NORM_NONE));
  PetscCall(KSPGetPC(smoother, &inner));
  if (op->local) {
    PetscCall(SetNear(op, PETSC_TRUE, inner));
    PetscFunctionReturn(0);
  }
  PetscCall(KSPChebyshevSetEigenvalues(smoother, 1.05 * largest, SMOOTHED * largest));
  PetscCall(PCSetType(inner, PCJACOBI));
  PetscFunctionReturn(0);
}

/* Level `level` > 0: smoothing with A, and the way to the next coarser grid, where *local becomes R local P. */
static PetscErrorCode SetLevel(PC mg, PetscInt level, FPJumps fine, FPJumps coarse, Mat A, Mat *local)
{
  Mat P, R, product = NULL;

  PetscFunctionBegin;
  PetscCall(SetSmoother(mg, level, fine, A));
  PetscCall(Interpolation(fine, coarse, &P));
  PetscCall(MatTranspose(P, MAT_INITIAL_MATRIX, &R));
  PetscCall(MatScale(R, 1.0 / (1 << fine->setting.dim)));
  PetscCall(PCMGSetInterpolation(mg, level, P));
  PetscCall(PCMGSetRestriction(mg, level, R));
  if (*local) PetscCall(MatMatMatMult(R, *local, P, MAT_INITIAL_MATRIX, PETSC_DEFAULT, &product));
  PetscCall(MatDestroy(local));
  *local = product;
  PetscCall(MatDestroy(&P));
  PetscCall(MatDestroy(&R));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetLevels(Grids *grids, const Operator *op, PC mg)
{
  Mat local = op->local, A;
  KSP coarse;
  PC  factors;

  PetscFunctionBegin;
  if (local) PetscCall(PetscObjectReference((PetscObject)local));
  PetscCall(PCMGSetLevels(mg, grids->levels + 1, NULL));
  for (PetscInt l = 0; l < grids->levels; l++) { /* from the finest */
    FPJumps fine = l ? grids->jumps[l - 1] : op->jumps;

    PetscCall(FPJumpsCreateOperator(fine, local, op->shift, &A));
    PetscCall(SetLevel(mg, grids->levels - l, fine, grids->jumps[l], A, &local));
    PetscCall(MatDestroy(&A));
  }
  PetscCall(FPJumpsCreateMatrix(grids->levels ? grids->jumps[grids->levels - 1] : op->jumps, local, op->shift, &A));
  PetscCall(PCMGGetCoarseSolve(mg, &coarse));
  PetscCall(KSPSetOperators(coarse, A, A));
  PetscCall(KSPSetType(coarse, KSPPREONLY));
  PetscCall(KSPGetPC(coarse, &factors));
  PetscCall(PCSetType(factors, PCLU));
  PetscCall(MatDestroy(&A));
  PetscCall(MatDestroy(&local));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetMultigrid(const Operator *op, Mat A, PC pc)
{
  Grids  *grids;
  FPJumps g = op->jumps;
  PC      mg;

  PetscFunctionBegin;
  PetscCall(PetscNew(&grids));
  while (g->n > COARSEST && grids->levels < MOST_LEVELS && g->setting.cells[0] > 8) {
    PetscCall(Coarsen(g, &grids->jumps[grids->levels]));
    g = grids->jumps[grids->levels++];
  }
  PetscCall(SetGrids(grids, A, &mg, pc));
  PetscCall(PCSetType(mg, PCMG));
  PetscCall(SetLevels(grids, op, mg));
  PetscCall(KSPSetUp(grids->inner));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsSetPC(Mat A, FPJumpsPC kind, PC pc)
{
  Operator *op;

  PetscFunctionBegin;
  PetscCall(MatShellGetContext(A, &op));
  switch (kind) {
  case FP_JUMPS_TRIGONOMETRIC:
    PetscCall(SetTransform(op->jumps, op->shift, pc));
    break;
  case FP_JUMPS_NEAR:
    PetscCall(SetNear(op, PETSC_FALSE, pc));
    break;
  case FP_JUMPS_MULTIGRID:
    PetscCall(SetMultigrid(op, A, pc));
    break;
  }
  PetscFunctionReturn(0);
}

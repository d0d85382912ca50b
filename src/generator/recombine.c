/* recombine.c: a law of two numbers, given by many points, replaced by as few of these points as it has moments up to a
   degree, with other weights, none of them negative, and the same moments. Points are gathered into twice as many
   groups; of two vectors of weights with the same moments one can go along until a group has weight zero, until half of
   them are gone; and so on with the points of those that are left. The law of a mean over a batch follows from that of
   one draw by repeated doubling, since moments of sums need no others than those of the terms. Sources: C. Litterer and
   T. Lyons, Ann. Appl. Probab. 22 (2012); M. Tchernychova, thesis, Oxford (2016). */
#include "transfer.h"
#include <petscblaslapack.h>

#define DEFECT 1e-8 /* of moments, relative to what they sum */

/* Axes in which the law has mean 0 and unit covariance: u = (x - mean_x)/root, v = ((y - mean_y) - slope (x - mean_x))/
   rest; a root is 1 where nothing varies. */
typedef struct {
  PetscReal mean[2], root, slope, rest;
} Axes;

static void SetAxes(const FPPairs *p, Axes *axes)
{
  PetscReal C[3] = {0, 0, 0};

  *axes = (Axes){.mean = {0, 0}};
  for (PetscInt k = 0; k < p->n; k++)
    for (int a = 0; a < 2; a++) axes->mean[a] += p->weight[k] * p->at[2 * k + a];
  for (PetscInt k = 0; k < p->n; k++) {
    const PetscReal x = p->at[2 * k] - axes->mean[0], y = p->at[2 * k + 1] - axes->mean[1];

    C[0] += p->weight[k] * x * x;
    C[1] += p->weight[k] * x * y;
    C[2] += p->weight[k] * y * y;
  }
  axes->root  = C[0] > 0 ? PetscSqrtReal(C[0]) : 1;
  axes->slope = C[0] > 0 ? C[1] / C[0] : 0;
  C[2] -= axes->slope * C[1];
  axes->rest = C[2] > 0 ? PetscSqrtReal(C[2]) : 1;
}

/* Number of moments, and those polynomials at a point: products of normalised Hermite polynomials */
static PetscInt Moments(PetscInt degree)
{
  return (degree + 1) * (degree + 2) / 2;
}

static void Polynomials(const Axes *axes, PetscInt degree, const PetscReal at[2], PetscReal value[])
{
  const PetscReal x = at[0] - axes->mean[0], y = at[1] - axes->mean[1];
  const PetscReal z[2] = {x / axes->root, (y - axes->slope * x) / axes->rest};
  PetscReal       H[2][FP_PAIRS_DEGREE + 1];
  PetscInt        count = 0;

  for (int a = 0; a < 2; a++) {
    H[a][0] = 1;
    H[a][1] = z[a];
    for (PetscInt k = 1; k < degree; k++)
      H[a][k + 1] = (z[a] * H[a][k] - PetscSqrtReal(k) * H[a][k - 1]) / PetscSqrtReal(k + 1.0);
  }
  for (PetscInt i = 0; i <= degree; i++)
    for (PetscInt j = 0; i + j <= degree; j++) value[count++] = H[0][i] * H[1][j];
}

/* The points of positive weight that come first to an end along c, times root: their weights are left with none. */
static PetscErrorCode Leave(PetscInt n, const PetscReal root[], const PetscReal c[], PetscReal weight[], PetscInt *gone)
{
  PetscReal sign = 0, step = PETSC_MAX_REAL;

  PetscFunctionBegin;
  *gone = -1;
  for (PetscInt j = 0; j < n; j++)
    if (PetscAbsReal(c[j]) > PetscAbsReal(sign)) sign = c[j];
  for (PetscInt j = 0; j < n; j++)
    if (c[j] * sign > 0 && weight[j] < step * root[j] * PetscAbsReal(c[j])) {
      step  = weight[j] / (root[j] * PetscAbsReal(c[j]));
      *gone = j;
    }
  PetscCheck(*gone >= 0, PETSC_COMM_SELF, PETSC_ERR_PLIB, "moments leave nothing to choose");
  for (PetscInt j = 0; j < n; j++) weight[j] = PetscMax(0, weight[j] - (sign > 0 ? step : -step) * root[j] * c[j]);
  weight[*gone] = 0;
  PetscFunctionReturn(0);
}

/* N[left][n], orthonormal rows: reflected so that all but the last are zero at `gone`. */
static void Reflect(PetscInt n, PetscInt left, PetscInt gone, PetscReal N[], PetscReal v[], PetscReal dot[])
{
  const PetscBLASInt m = (PetscBLASInt)n, k = (PetscBLASInt)left, unit = 1;
  const PetscReal    one = 1, zero = 0;
  PetscReal          square = 0, minus;

  for (PetscInt i = 0; i < left; i++) {
    v[i] = N[i * n + gone];
    square += v[i] * v[i];
  }
  if (square == 0) return;
  v[left - 1] += v[left - 1] > 0 ? PetscSqrtReal(square) : -PetscSqrtReal(square);
  square = 0;
  for (PetscInt i = 0; i < left; i++) square += v[i] * v[i];
  minus = -2 / square;
  BLASgemv_("N", &m, &k, &one, N, &m, v, &unit, &zero, dot, &unit);
  BLASgemm_("N", "T", &m, &k, &unit, &minus, dot, &m, v, &k, &one, N, &m);
  for (PetscInt i = 0; i + 1 < left; i++) N[i * n + gone] = 0;
}

/* weight[columns] with the same A weight, A[columns][rows] by columns, of which no more than `rows` are positive, the
   others zero. A is lost. Changes of weights that change no moment are sought over the roots of the weights, so that
   far points of little weight do no harm. */
static PetscErrorCode Eliminate(PetscInt rows, PetscInt columns, PetscReal A[], PetscReal weight[])
{
  PetscBLASInt m = (PetscBLASInt)columns, k = (PetscBLASInt)rows, room = 64 * m, info;
  PetscReal   *Q, *tau, *work, *root;

  PetscFunctionBegin;
  if (columns <= rows) PetscFunctionReturn(0);
  PetscCall(PetscMalloc4(columns * columns, &Q, columns, &tau, room, &work, columns, &root));
  for (PetscInt j = 0; j < columns; j++) root[j] = PetscSqrtReal(weight[j]);
  for (PetscInt i = 0; i < rows; i++)
    for (PetscInt j = 0; j < columns; j++) Q[i * columns + j] = root[j] * A[j * rows + i];
  LAPACKgeqrf_(&m, &k, Q, &m, tau, work, &room, &info);
  LAPACKorgqr_(&m, &m, &k, Q, &m, tau, work, &room, &info);
  PetscCheck(!info, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK orgqr: %d", (int)info);
  for (PetscInt left = columns - rows; left > 0; left--) {
    PetscReal *N = Q + rows * columns;
    PetscInt   gone;

    PetscCall(Leave(columns, root, N + (left - 1) * columns, weight, &gone));
    Reflect(columns, left, gone, N, tau, work);
  }
  PetscCall(PetscFree4(Q, tau, work, root));
  PetscFunctionReturn(0);
}

/* Half of the points go, or all but as many as there are moments. */
static PetscErrorCode Halve(const Axes *axes, PetscInt degree, FPPairs *p)
{
  const PetscInt rows = Moments(degree), groups = PetscMin(2 * rows, p->n);
  PetscReal     *A, *weight, *before, *value;
  PetscInt       n = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(rows * groups, &A, groups, &weight, groups, &before, rows, &value));
  PetscCall(PetscArrayzero(A, rows * groups));
  PetscCall(PetscArrayzero(weight, groups));
  for (PetscInt k = 0; k < p->n; k++) {
    Polynomials(axes, degree, p->at + 2 * k, value);
    for (PetscInt i = 0; i < rows; i++) A[k % groups * rows + i] += p->weight[k] * value[i];
    weight[k % groups] += p->weight[k];
  }
  for (PetscInt j = 0; j < groups; j++) {
    for (PetscInt i = 0; i < rows; i++) A[j * rows + i] /= weight[j];
    before[j] = weight[j];
  }
  PetscCall(Eliminate(rows, groups, A, weight));
  for (PetscInt k = 0; k < p->n; k++) {
    const PetscInt j = k % groups;

    if (weight[j] == 0) continue;
    p->at[2 * n]     = p->at[2 * k];
    p->at[2 * n + 1] = p->at[2 * k + 1];
    p->weight[n++]   = p->weight[k] * weight[j] / before[j];
  }
  PetscCheck(n < p->n, PETSC_COMM_SELF, PETSC_ERR_PLIB, "no point could be left out");
  p->n = n;
  PetscCall(PetscFree4(A, weight, before, value));
  PetscFunctionReturn(0);
}

/* size: the same of their moduli */
static void SumMoments(const Axes *axes, PetscInt degree, const FPPairs *p, PetscReal sum[], PetscReal size[],
                       PetscReal value[])
{
  for (PetscInt i = 0; i < Moments(degree); i++) sum[i] = size[i] = 0;
  for (PetscInt k = 0; k < p->n; k++) {
    Polynomials(axes, degree, p->at + 2 * k, value);
    for (PetscInt i = 0; i < Moments(degree); i++) {
      sum[i] += p->weight[k] * value[i];
      size[i] += p->weight[k] * PetscAbsReal(value[i]);
    }
  }
}

PetscErrorCode FPPairsRecombine(PetscInt degree, FPPairs *p)
{
  const PetscInt count = Moments(degree);
  PetscReal     *before, *after, *size, *value;
  Axes           axes;

  PetscFunctionBegin;
  if (p->n <= count) PetscFunctionReturn(0);
  PetscCall(PetscMalloc4(count, &before, count, &after, count, &size, count, &value));
  SetAxes(p, &axes);
  SumMoments(&axes, degree, p, before, size, value);
  while (p->n > count) PetscCall(Halve(&axes, degree, p));
  SumMoments(&axes, degree, p, after, size, value);
  for (PetscInt i = 0; i < count; i++)
    PetscCheck(PetscAbsReal(after[i] - before[i]) <= DEFECT * size[i], PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED,
               "moment %" PetscInt_FMT " of a batch is off by %g", i, (double)(after[i] - before[i]));
  PetscCall(PetscFree4(before, after, size, value));
  PetscFunctionReturn(0);
}

/* The law of the sum of both, recombined */
static PetscErrorCode Add(PetscInt degree, const FPPairs *p, const FPPairs *q, FPPairs *sum)
{
  PetscFunctionBegin;
  sum->n = p->n * q->n;
  PetscCall(PetscMalloc2(2 * sum->n, &sum->at, sum->n, &sum->weight));
  for (PetscInt k = 0; k < sum->n; k++) {
    const PetscInt i = k / q->n, j = k % q->n;

    for (int a = 0; a < 2; a++) sum->at[2 * k + a] = p->at[2 * i + a] + q->at[2 * j + a];
    sum->weight[k] = p->weight[i] * q->weight[j];
  }
  PetscCall(FPPairsRecombine(degree, sum));
  PetscFunctionReturn(0);
}

PetscErrorCode FPPairsOfBatch(PetscInt degree, PetscInt batch, FPPairs *p)
{
  FPPairs result = {0}, power = *p;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < 2 * p->n; k++) power.at[k] /= batch;
  PetscCall(FPPairsRecombine(degree, &power));
  for (PetscInt rest = batch; rest > 0; rest /= 2) {
    FPPairs next = {0};

    if (rest % 2 && result.n) {
      PetscCall(Add(degree, &result, &power, &next));
      PetscCall(FPPairsFree(&result));
      result = next;
    } else if (rest % 2) {
      result.n = power.n;
      PetscCall(PetscMalloc2(2 * power.n, &result.at, power.n, &result.weight));
      PetscCall(PetscArraycpy(result.at, power.at, 2 * power.n));
      PetscCall(PetscArraycpy(result.weight, power.weight, power.n));
    }
    if (rest == 1) break;
    PetscCall(Add(degree, &power, &power, &next));
    PetscCall(FPPairsFree(&power));
    power = next;
  }
  PetscCall(FPPairsFree(&power));
  *p = result;
  PetscFunctionReturn(0);
}

PetscErrorCode FPPairsOfTwo(PetscInt degree, const PetscReal c[2], FPPairs *p)
{
  FPPairs second = {.n = p->n}, sum = {0};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(2 * p->n, &second.at, p->n, &second.weight));
  PetscCall(PetscArraycpy(second.weight, p->weight, p->n));
  for (PetscInt k = 0; k < 2 * p->n; k++) {
    second.at[k] = c[1] * p->at[k];
    p->at[k] *= c[0];
  }
  PetscCall(Add(degree, p, &second, &sum));
  PetscCall(FPPairsFree(&second));
  PetscCall(FPPairsFree(p));
  *p = sum;
  PetscFunctionReturn(0);
}

PetscErrorCode FPPairsFree(FPPairs *p)
{
  PetscFunctionBegin;
  PetscCall(PetscFree2(p->at, p->weight));
  p->n = 0;
  PetscFunctionReturn(0);
}

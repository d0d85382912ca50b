/* thin.c: fewer nodes for the same expectations. What gradients and Hessians of a linear network know of a sample is
   x x^T and y x^T, so products of a few of them are sums of monomials in (x, y) of even degree, with no more factors y
   than x. By Caratheodory's theorem a law on any number of points has the same means of N such monomials as one on N
   of these points: of N + 1 points with weights w, a null vector v of their monomials (its sum is 0, as 1 is one of
   them) gives w - t v with the same means, and the least t that makes a weight 0 drops that point. One input and one
   target, three factors: N = 10, whatever the rows of the file. */
#include "dataimpl.h"
#include <gsl/gsl_linalg.h>

#define MOST_VARIABLES 5
#define MOST_WORK 1.5e9 /* multiplications */

/* Exponents of all monomials, exponent[count][n]; NULL: count them alone. */
static PetscInt Monomials(PetscInt inputs, PetscInt n, PetscInt degree, PetscInt exponent[])
{
  PetscInt count = 0, all = 1;

  for (PetscInt i = 0; i < n; i++) all *= degree + 1;
  for (PetscInt code = 0; code < all; code++) {
    PetscInt rest = code, x = 0, y = 0, e[MOST_VARIABLES];

    for (PetscInt i = 0; i < n; i++, rest /= degree + 1) {
      e[i] = rest % (degree + 1);
      if (i < inputs)
        x += e[i];
      else
        y += e[i];
    }
    if (y > x || x + y > degree || (x + y) % 2) continue;
    for (PetscInt i = 0; exponent && i < n; i++) exponent[count * n + i] = e[i];
    count++;
  }
  return count;
}

/* Columns of A: the monomials at the last N + 1 points of the list. v: A v = 0, the last column of Q in A^T = Q R */
static PetscErrorCode NullVector(PetscInt N, PetscInt n, const PetscInt exponent[], const PetscReal scale[],
                                 const PetscReal u[], const PetscInt list[], gsl_matrix *At, gsl_vector *tau,
                                 gsl_vector *v)
{
  PetscFunctionBegin;
  for (PetscInt j = 0; j <= N; j++)
    for (PetscInt k = 0; k < N; k++) {
      PetscReal product = 1;

      for (PetscInt i = 0; i < n; i++)
        for (PetscInt e = 0; e < exponent[k * n + i]; e++) product *= u[list[j] * n + i] / scale[i];
      gsl_matrix_set(At, (size_t)j, (size_t)k, product);
    }
  gsl_vector_set_basis(v, (size_t)N);
  PetscCheck(!gsl_linalg_QR_decomp(At, tau) && !gsl_linalg_QR_Qvec(At, tau, v), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "QR decomposition of %" PetscInt_FMT " monomials", N);
  PetscFunctionReturn(0);
}

/* Drop at least one of the last N + 1 points of the list, whose weights change; count: of the list. */
static void Drop(PetscInt N, const gsl_vector *v, PetscInt list[], PetscReal weight[], PetscInt *count)
{
  const PetscInt from  = *count - N - 1;
  PetscReal      t     = PETSC_MAX_REAL;
  PetscInt       least = 0, left = from;

  for (PetscInt j = 0; j <= N; j++) {
    const PetscReal vj = gsl_vector_get(v, (size_t)j);

    if (vj > 0 && weight[list[from + j]] < t * vj) {
      t     = weight[list[from + j]] / vj;
      least = j;
    }
  }
  for (PetscInt j = 0; j <= N; j++) {
    const PetscInt at = list[from + j];

    weight[at] -= t * gsl_vector_get(v, (size_t)j);
    if (j != least && weight[at] > 0) list[left++] = at;
  }
  *count = left;
}

static PetscErrorCode Thin(PetscInt N, PetscInt n, const PetscInt exponent[], PetscInt *count, PetscReal u[],
                           PetscReal weight[])
{
  gsl_matrix *At  = gsl_matrix_alloc((size_t)N + 1, (size_t)N);
  gsl_vector *tau = gsl_vector_alloc((size_t)N), *v = gsl_vector_alloc((size_t)N + 1);
  PetscReal   scale[MOST_VARIABLES] = {0};
  PetscInt   *list, left = *count;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(left, &list));
  for (PetscInt k = 0; k < left; k++) {
    list[k] = k;
    for (PetscInt i = 0; i < n; i++) scale[i] = PetscMax(scale[i], PetscAbsReal(u[k * n + i]));
  }
  for (PetscInt i = 0; i < n; i++)
    if (scale[i] == 0) scale[i] = 1;
  while (left > N) {
    PetscCall(NullVector(N, n, exponent, scale, u, list + left - N - 1, At, tau, v));
    Drop(N, v, list, weight, &left);
  }
  for (PetscInt k = 0; k < left; k++) { /* ascending, so that nothing is overwritten before it is read */
    for (PetscInt i = 0; i < n; i++) u[k * n + i] = u[list[k] * n + i];
    weight[k] = weight[list[k]];
  }
  *count = left;
  PetscCall(PetscFree(list));
  gsl_vector_free(v);
  gsl_vector_free(tau);
  gsl_matrix_free(At);
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetFewNodes(FPData data, PetscInt factors, PetscInt *count, PetscReal **u, PetscReal **weight)
{
  const PetscInt n = data->inputs + data->targets;
  PetscInt       N, *exponent;

  PetscFunctionBegin;
  PetscCall(FPDataGetNodes(data, 2 * factors, count, u, weight));
  if (n > MOST_VARIABLES) PetscFunctionReturn(0);
  N = Monomials(data->inputs, n, 2 * factors, NULL);
  if ((PetscReal)*count * N * N * N > MOST_WORK) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(N * n, &exponent));
  (void)Monomials(data->inputs, n, 2 * factors, exponent);
  PetscCall(Thin(N, n, exponent, count, *u, *weight));
  PetscCall(PetscFree(exponent));
  PetscFunctionReturn(0);
}

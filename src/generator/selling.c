/* selling.c: a positive semidefinite matrix as a nonnegative sum of squares of integer vectors.
   For a superbase v_0 .. v_d of Z^d (d + 1 vectors with sum 0, any d of them a basis) and every symmetric D,
     d = 2:  D = - sum_{i<j} (v_i . D v_j) e_ij e_ij^T,  e_ij = rotation by 90 degrees of the third vector,
     d = 3:  D = - sum_{i<j} (v_i . D v_j) e_ij e_ij^T,  e_ij = v_k x v_l, {k, l} the other two.
   All weights are nonnegative when the superbase is obtuse, v_i . D v_j <= 0; Selling's algorithm gets there by flips,
   each of which lowers sum_i |v_i|_D^2. Source: E. Selling, J. reine angew. Math. 77 (1874); J. H. Conway and N. J. A.
   Sloane, Proc. R. Soc. A 436 (1992). */
#include "fpgenerator.h"
#include <limits.h>

#define MAX_FLIPS 1000000 /* directions of slope 1/m need about m of them */

/* a . D b, and what rounding may have done to it */
static PetscReal Product(PetscInt d, const PetscReal D[], const PetscInt a[], const PetscInt b[], PetscReal *rounding)
{
  PetscReal sum = 0, size = 0;

  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) {
      const PetscReal term = a[i] * D[i * d + j] * b[j];

      sum += term;
      size += PetscAbsReal(term);
    }
  *rounding = 4 * PETSC_MACHINE_EPSILON * size;
  return sum;
}

/* Pair (i, j), i < j, makes an acute angle: flip it. The others get v_i (all but one of them, by the sign rule). */
static void Flip(PetscInt d, PetscInt v[][3], PetscInt i, PetscInt j)
{
  if (d == 2) {
    const PetscInt k = 3 - i - j;

    for (PetscInt a = 0; a < 2; a++) {
      v[k][a] = v[i][a] - v[j][a];
      v[i][a] = -v[i][a];
    }
  } else {
    for (PetscInt k = 0; k < 4; k++) {
      if (k == i || k == j) continue;
      for (PetscInt a = 0; a < 3; a++) v[k][a] += v[i][a];
    }
    for (PetscInt a = 0; a < 3; a++) v[i][a] = -v[i][a];
  }
}

static PetscErrorCode Reduce(PetscInt d, const PetscReal D[], PetscInt v[][3])
{
  PetscReal trace = 0;
  PetscInt  flips = 0;
  PetscBool done;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < d; a++) trace += D[a * d + a];
  do {
    done = PETSC_TRUE;
    for (PetscInt i = 0; i <= d && done; i++) {
      for (PetscInt j = i + 1; j <= d && done; j++) {
        PetscReal       rounding;
        const PetscReal product = Product(d, D, v[i], v[j], &rounding);

        if (product <= PetscMax(1e-14 * trace, rounding)) continue;
        Flip(d, v, i, j);
        done = PETSC_FALSE;
      }
    }
    PetscCheck(++flips < MAX_FLIPS, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED, "no obtuse superbase after %d flips",
               MAX_FLIPS);
  } while (!done);
  PetscFunctionReturn(0);
}

/* First nonzero entry positive, so that an edge has one name. */
static void Orient(PetscInt d, short e[3])
{
  PetscInt a = 0;

  while (a < d - 1 && e[a] == 0) a++;
  if (e[a] >= 0) return;
  for (a = 0; a < d; a++) e[a] = (short)-e[a];
}

/* The vector that belongs to the pair (i, j). */
static PetscErrorCode PairOffset(PetscInt d, PetscInt v[][3], PetscInt i, PetscInt j, short e[3])
{
  PetscInt long_e[3] = {0};

  PetscFunctionBegin;
  if (d == 1) {
    long_e[0] = 1;
  } else if (d == 2) {
    long_e[0] = -v[3 - i - j][1];
    long_e[1] = v[3 - i - j][0];
  } else {
    PetscInt other[2], n = 0;

    for (PetscInt k = 0; k < 4; k++)
      if (k != i && k != j) other[n++] = k;
    for (PetscInt a = 0; a < 3; a++) {
      const PetscInt b = (a + 1) % 3, c = (a + 2) % 3;

      long_e[a] = v[other[0]][b] * v[other[1]][c] - v[other[0]][c] * v[other[1]][b];
    }
  }
  for (PetscInt a = 0; a < 3; a++) {
    PetscCheck(PetscAbsInt(long_e[a]) <= SHRT_MAX, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
               "a diffusion tensor needs an offset of %" PetscInt_FMT " cells", PetscAbsInt(long_e[a]));
    e[a] = (short)long_e[a];
  }
  Orient(d, e);
  PetscFunctionReturn(0);
}

PetscErrorCode FPSelling(PetscInt dim, const PetscReal D[], PetscInt *count, PetscReal lambda[], short offset[][3])
{
  PetscInt  v[4][3] = {{0}};
  PetscReal trace   = 0;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < dim; a++) trace += D[a * dim + a];
  *count = 0;
  if (trace <= 0) PetscFunctionReturn(0);
  for (PetscInt a = 0; a < dim; a++) {
    v[a][a]   = 1;
    v[dim][a] = -1;
  }
  if (dim > 1) PetscCall(Reduce(dim, D, v));
  for (PetscInt i = 0; i <= dim; i++) {
    for (PetscInt j = i + 1; j <= dim; j++) {
      PetscReal       rounding;
      const PetscReal weight = dim == 1 ? D[0] : -Product(dim, D, v[i], v[j], &rounding);

      if (weight <= 1e-14 * trace) continue;
      PetscCall(PairOffset(dim, v, i, j, offset[*count]));
      lambda[(*count)++] = weight;
    }
  }
  PetscFunctionReturn(0);
}

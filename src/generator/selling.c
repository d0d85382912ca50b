/* selling.c: a positive semidefinite matrix as a nonnegative sum of squares of integer vectors.
   For a superbase v_0 .. v_d of Z^d (d + 1 vectors with sum 0, any d of them a basis) and every symmetric D,
     d = 2:  D = - sum_{i<j} (v_i . D v_j) e_ij e_ij^T,  e_ij = rotation by 90 degrees of the third vector,
     d = 3:  D = - sum_{i<j} (v_i . D v_j) e_ij e_ij^T,  e_ij = v_k x v_l, {k, l} the other two.
   All weights are nonnegative when the superbase is obtuse, v_i . D v_j <= 0; Selling's algorithm gets there by flips,
   each of which lowers sum_i |v_i|_D^2. Source: E. Selling, J. reine angew. Math. 77 (1874); J. H. Conway and N. J. A.
   Sloane, Proc. R. Soc. A 436 (1992). */
#include "fpgenerator.h"

#define MAX_FLIPS 1000

static PetscReal Product(PetscInt d, const PetscReal D[], const short a[], const short b[])
{
  PetscReal sum = 0;

  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) sum += a[i] * D[i * d + j] * b[j];
  return sum;
}

/* Pair (i, j), i < j, makes an acute angle: flip it. The others get v_i (all but one of them, by the sign rule). */
static void Flip(PetscInt d, short v[][3], PetscInt i, PetscInt j)
{
  if (d == 2) {
    const PetscInt k = 3 - i - j;

    for (PetscInt a = 0; a < 2; a++) {
      v[k][a] = (short)(v[i][a] - v[j][a]);
      v[i][a] = (short)-v[i][a];
    }
  } else {
    for (PetscInt k = 0; k < 4; k++) {
      if (k == i || k == j) continue;
      for (PetscInt a = 0; a < 3; a++) v[k][a] = (short)(v[k][a] + v[i][a]);
    }
    for (PetscInt a = 0; a < 3; a++) v[i][a] = (short)-v[i][a];
  }
}

static PetscErrorCode Reduce(PetscInt d, const PetscReal D[], short v[][3])
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
        if (Product(d, D, v[i], v[j]) <= 1e-14 * trace) continue;
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

PetscErrorCode FPSelling(PetscInt dim, const PetscReal D[], PetscInt *count, PetscReal lambda[], short offset[][3])
{
  short     v[4][3] = {{0}};
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
      const PetscReal weight = dim == 1 ? D[0] : -Product(dim, D, v[i], v[j]);
      short          *e      = offset[*count];

      if (weight <= 1e-14 * trace) continue;
      e[0] = e[1] = e[2] = 0;
      if (dim == 1) {
        e[0] = 1;
      } else if (dim == 2) {
        const short *t = v[3 - i - j];

        e[0] = (short)-t[1];
        e[1] = t[0];
      } else {
        PetscInt other[2], n = 0;

        for (PetscInt k = 0; k < 4; k++)
          if (k != i && k != j) other[n++] = k;
        for (PetscInt a = 0; a < 3; a++) {
          const PetscInt b = (a + 1) % 3, c = (a + 2) % 3;

          e[a] = (short)(v[other[0]][b] * v[other[1]][c] - v[other[0]][c] * v[other[1]][b]);
        }
      }
      Orient(dim, e);
      lambda[(*count)++] = weight;
    }
  }
  PetscFunctionReturn(0);
}

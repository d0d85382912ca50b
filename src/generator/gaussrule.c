/* gaussrule.c: Gauss's quadrature for a probability law, from the recurrence of its orthonormal polynomials, and from a
   law on many points, whose polynomials Stieltjes' procedure finds. Sources: G. H. Golub and J. H. Welsch, Math. Comp.
   23 (1969); W. Gautschi, SIAM J. Sci. Stat. Comput. 3 (1982). */
#include "transfer.h"
#include <petscblaslapack.h>

PetscErrorCode FPGaussRule(PetscInt n, PetscReal diagonal[], PetscReal off[], PetscReal node[], PetscReal weight[])
{
  PetscBLASInt size = (PetscBLASInt)n, info;
  PetscReal   *Z, *work;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n * n, &Z, 2 * n, &work));
  LAPACKsteqr_("I", &size, diagonal, off + 1, Z, &size, work, &info);
  PetscCheck(!info, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK steqr: %d", (int)info);
  for (PetscInt k = 0; k < n; k++) {
    node[k]   = diagonal[k];
    weight[k] = PetscSqr(Z[k * n]);
  }
  PetscCall(PetscFree2(Z, work));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGaussOfPoints(PetscInt points, const PetscReal x[], const PetscReal mass[], PetscInt n,
                               PetscReal node[], PetscReal weight[])
{
  PetscReal *before, *now, *diagonal, *off, total = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc4(points, &before, points, &now, n, &diagonal, n + 1, &off));
  for (PetscInt i = 0; i < points; i++) total += mass[i];
  for (PetscInt i = 0; i < points; i++) {
    before[i] = 0;
    now[i]    = 1;
  }
  off[0] = 0;
  for (PetscInt k = 0; k < n; k++) {
    PetscReal mean = 0, square = 0;

    for (PetscInt i = 0; i < points; i++) mean += mass[i] / total * x[i] * now[i] * now[i];
    diagonal[k] = mean;
    if (k + 1 == n) break;
    for (PetscInt i = 0; i < points; i++) {
      const PetscReal next = (x[i] - mean) * now[i] - off[k] * before[i];

      before[i] = now[i];
      now[i]    = next;
      square += mass[i] / total * next * next;
    }
    off[k + 1] = PetscSqrtReal(square);
    for (PetscInt i = 0; i < points; i++) now[i] /= off[k + 1];
  }
  PetscCall(FPGaussRule(n, diagonal, off, node, weight));
  for (PetscInt k = 0; k < n; k++) weight[k] *= total;
  PetscCall(PetscFree4(before, now, diagonal, off));
  PetscFunctionReturn(0);
}

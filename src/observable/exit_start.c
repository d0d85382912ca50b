/* exit_start.c: values at the start of functions on the cells of a killed generator, by interpolation between their
   centres, and the solution of its equations. */
#include "exitgenerator.h"

/* Lagrange weights of `points` cells from `first` on at position xi, in cells. */
static void Lagrange(PetscInt points, PetscInt first, PetscReal xi, PetscReal weight[])
{
  for (PetscInt i = 0; i < points; i++) {
    weight[i] = 1;
    for (PetscInt j = 0; j < points; j++)
      if (j != i) weight[i] *= (xi - (PetscReal)(first + j) - 0.5) / (PetscReal)(i - j);
  }
}

/* The tensor of `points` cells per axis that begins `shift` cells beside the centred one; false where some cell of it
   is no unknown. */
static PetscBool TryStencil(PetscInt dim, const PetscInt cells[], const PetscReal xi[], const PetscInt unknown[],
                            PetscInt points, const PetscInt shift[], FPExitStencil *s)
{
  PetscReal weight[3][FP_EXIT_NODES];
  PetscInt  first[3], total = 1;

  for (PetscInt a = 0; a < dim; a++) {
    const PetscInt centred = (PetscInt)floor(xi[a] - 0.5) - (points / 2 - 1);

    first[a] = PetscClipInterval(centred, 0, cells[a] - points) + shift[a];
    if (first[a] < 0 || first[a] + points > cells[a]) return PETSC_FALSE;
    Lagrange(points, first[a], xi[a], weight[a]);
    total *= points;
  }
  s->n = total;
  for (PetscInt k = 0; k < total; k++) {
    PetscInt rest = k, lattice = 0, stride = 1;

    s->weight[k] = 1;
    for (PetscInt a = 0; a < dim; a++) {
      lattice += stride * (first[a] + rest % points);
      s->weight[k] *= weight[a][rest % points];
      stride *= cells[a];
      rest /= points;
    }
    s->node[k] = unknown[lattice];
    if (s->node[k] < 0) return PETSC_FALSE;
  }
  return PETSC_TRUE;
}

/* The best stencil whose cells are all inside: centred, else shifted, else of fewer cells; the nearest node at last. */
PetscErrorCode FPExitBuildStencil(const FPExit *e, FPGenerator gen, FPMesh mesh, FPExitStencil *s)
{
  const PetscInt *cells, *unknown, order[] = {0, 1, -1, 2, -2};
  PetscReal       xi[3];
  PetscInt        dim, tries = 1;
  PetscBool       found = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetUnknowns(gen, &unknown));
  for (PetscInt a = 0; a < dim; a++) {
    FPMeshUnmap(mesh, a, e->z[a], &xi[a]);
    xi[a] *= cells[a];
    tries *= 5;
  }
  for (PetscInt points = FP_EXIT_NODES; points >= 1 && !found; points--)
    for (PetscInt k = 0; k < tries && !found; k++) {
      const PetscInt shift[3] = {order[k % 5], order[k / 5 % 5], order[k / 25 % 5]};

      found = TryStencil(dim, cells, xi, unknown, points, shift, s);
    }
  PetscCheck(found, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "exit: no cell of the grid near the start lies inside the region; use more cells");
  PetscFunctionReturn(0);
}

/* x = -Q^-1 rhs; *residual: of any component. Times the mean exit time from a node that is as far as the solver may be
   off there, by the maximum principle. */
PetscErrorCode FPExitSolve(FPGenerator killed, const PetscReal rhs[], PetscReal x[], PetscReal *residual)
{
  PetscReal *rest;
  PetscInt   n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(killed, &n, NULL, NULL, NULL, NULL));
  PetscCall(FPGeneratorInvert(killed, PETSC_TRUE, 0, rhs, x));
  PetscCall(PetscMalloc1(n, &rest));
  PetscCall(FPGeneratorApply(killed, PETSC_TRUE, x, rest));
  *residual = 0;
  for (PetscInt k = 0; k < n; k++) *residual = PetscMax(*residual, PetscAbsReal(rhs[k] + rest[k]));
  PetscCall(PetscFree(rest));
  PetscFunctionReturn(0);
}

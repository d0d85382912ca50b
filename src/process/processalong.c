/* processalong.c: derivatives that the models do not have in closed form, by fourth-order centred differences. What is
   differentiated are polynomials of the weights, so a step of 1e-3 leaves about 1e-12 of their size. */
#include "processimpl.h"

#define DIFFERENCE 1e-3

void FPProcessAlong(FPModel model, FPModelFunction f, int d, int rows, int n, const double *w, const double *u,
                    double *out)
{
  static const double weight[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12}, step[4] = {-2, -1, 1, 2};
  double             *at = FPScratchTake((size_t)(d * n)), *value = FPScratchTake((size_t)(rows * n));

  memset(out, 0, (size_t)(rows * n) * sizeof(double));
  for (int p = 0; p < 4; p++) {
    for (int k = 0; k < d * n; k++) at[k] = w[k] + step[p] * DIFFERENCE * (u ? u[k] : 1.0);
    (*f)(model, n, at, value);
    for (int k = 0; k < rows * n; k++) out[k] += weight[p] / DIFFERENCE * value[k];
  }
  FPScratchRelease(at);
}

PetscErrorCode FPProcessRequireScalar(FPProcess process, const char axis[])
{
  const char *type, *coordinates;

  PetscFunctionBegin;
  PetscCall(FPModelGetName(process->model, &type, &coordinates));
  FPInputCheck(
      process->weights == 1 && !process->mapped,
      "process %s: %s is known in one coordinate that is a weight; model %s in coordinates %s has %" PetscInt_FMT
      " (a chain has one in coordinates balanced)",
      process->name, axis, type, coordinates, process->weights);
  PetscFunctionReturn(0);
}

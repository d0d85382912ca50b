/* "gd": z' = z - eta (E g + decay z) + sqrt(2 eta T metric) xi, SGD with an infinite batch. */
#include "processimpl.h"

PetscErrorCode FPAlgorithmCreate_GD(FPProcess process)
{
  PetscFunctionBegin;
  process->algorithm.kind = FP_GD;
  PetscFunctionReturn(0);
}

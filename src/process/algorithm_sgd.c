/* "sgd": z' = z - eta (mean of g over B samples drawn with replacement + decay z) + sqrt(2 eta T metric) xi. */
#include "processimpl.h"

PetscErrorCode FPAlgorithmCreate_SGD(FPProcess process)
{
  PetscFunctionBegin;
  process->algorithm.kind = FP_SGD;
  PetscFunctionReturn(0);
}

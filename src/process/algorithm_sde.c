/* "sde": continuous time, dz = b dt + sqrt(2 D) dB in the sense of Ito. */
#include "processimpl.h"

PetscErrorCode FPAlgorithmCreate_SDE(FPProcess process)
{
  PetscFunctionBegin;
  process->algorithm.kind = FP_SDE;
  PetscFunctionReturn(0);
}

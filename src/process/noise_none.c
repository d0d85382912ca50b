/* "none": no noise of its own, D = T metric I from the injected noise alone; T = 0 is the gradient flow. */
#include "processimpl.h"

PetscErrorCode FPNoiseCreate_None(FPProcess process)
{
  PetscFunctionBegin;
  process->noise.isotropic = PETSC_TRUE;
  PetscFunctionReturn(0);
}

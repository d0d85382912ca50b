/* clock_ordinary.c: the process runs in time itself. */
#include "processimpl.h"

PetscErrorCode FPClockCreate_Ordinary(FPProcess process)
{
  PetscFunctionBegin;
  process->fractional = PETSC_FALSE;
  PetscFunctionReturn(0);
}

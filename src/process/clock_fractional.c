/* clock_fractional.c: Caputo's derivative of order beta in time. The process waits between its moves for times of
   infinite mean, so that each of its modes relaxes as a Mittag-Leffler function and squared displacements grow like
   t^beta. (R. Metzler and J. Klafter, Phys. Rep. 339 (2000).) */
#include "processimpl.h"

PetscErrorCode FPClockCreate_Fractional(FPProcess process)
{
  PetscFunctionBegin;
  process->fractional = PETSC_TRUE;
  PetscFunctionReturn(0);
}

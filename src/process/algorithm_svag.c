/* "svag" of order l: steps of time eta/l with the gradient (1 + sqrt(2l - 1))/2 g_1 + (1 - sqrt(2l - 1))/2 g_2 of two
   independent batches: the mean of g and l times its variance, so l = 1 is SGD and l -> infinity its SDE.
   Source: Li, Malladi, Arora, On the validity of modeling SGD with stochastic differential equations (2021). */
#include "processimpl.h"

PetscErrorCode FPAlgorithmCreate_SVAG(FPProcess process)
{
  PetscFunctionBegin;
  process->algorithm.kind    = FP_SVAG;
  process->algorithm.ordered = PETSC_TRUE;
  PetscFunctionReturn(0);
}

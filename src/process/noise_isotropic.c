/* "isotropic": D = T metric I with T > 0, the noise of overdamped Langevin dynamics; T may be matched to another
   process. Where a coordinate stands for depth equal weights, metric = 1/depth: the noise of the weights projected on
   the set where they are equal, so that the law is exp(-V/T) in all coordinates.
   Source: Pavliotis, Stochastic Processes and Applications (2014), chapter 4. */
#include "processimpl.h"

PetscErrorCode FPNoiseCreate_Isotropic(FPProcess process)
{
  PetscFunctionBegin;
  process->noise.isotropic         = PETSC_TRUE;
  process->noise.needs_temperature = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* jumping.h: scenes whose process jumps, for tests of its generator. */
#ifndef FPTESTJUMPING_H
#define FPTESTJUMPING_H
#include "reported.h"
#include "../src/generator/generatorimpl.h"
#include "../src/process/processimpl.h"
#include <math.h>

/* Process p of a scene gets stable noise in place of its own; T: its Gaussian noise. scale 0: of the gradient noise. */
static inline void MakeStable(Scene *s, double alpha, double scale, PetscBool independent, FPBoundary boundary,
                              double T)
{
  FPProcess p = s->process;

  memset(&p->noise, 0, sizeof(p->noise));
  must(FPNoiseCreate_Stable(p));
  p->noise.stable.alpha       = alpha;
  p->noise.stable.independent = independent;
  p->noise.stable.boundary    = boundary;
  p->noise.scale              = scale;
  p->training.temperature     = T;
  p->potential                = FP_NO_POTENTIAL;
}

#define QUIET "p_preset=langevin p_noise=none p_temperature=0 "

/* dz = -theta (z - center) dt on a line */
static inline void OpenLine(Scene *s, double theta, double center, double lower, double upper, int cells)
{
  SceneOpen(s, "p",
            QUIET "model_type=ou model_drift=%.17g model_diffusion=0 model_center=%.17g mesh_lower=%.17g "
                  "mesh_upper=%.17g mesh_cells=%d mesh_refine=1",
            theta, center, lower, upper, cells);
}

static inline const PetscReal *Nodes(FPGenerator gen, PetscInt *n, const PetscReal **volume)
{
  const PetscReal *z;

  must(FPGeneratorGetNodes(gen, n, NULL, &z, NULL, volume));
  return z;
}

static inline double Rate(FPGenerator gen, PetscInt k)
{
  PetscInt         count;
  const PetscReal *rate;

  must(FPGeneratorGetModes(gen, &count, &rate, NULL, NULL));
  assert_true(k < count);
  return rate[k];
}
#endif

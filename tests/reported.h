/* reported.h: from the answers of an observable on the grids of a scene, what a run reports. */
#ifndef FPTESTREPORTED_H
#define FPTESTREPORTED_H
#include "scene.h"
#include "../src/run/runimpl.h"

/* Value and bound of a quantity by its name; v[SCENE_LEVELS]: its value on each grid, the finest first. */
static inline void Reported(const FPQuantities q[], const FPRefinement *grids, const char name[], PetscReal v[],
                            PetscReal *value, PetscReal *bound)
{
  const FPQuantity *item;
  PetscReal         solver = 0;

  for (int l = 0; l < SCENE_LEVELS; l++) {
    PetscReal error;

    v[l]   = SceneValue(&q[l], name, &error);
    solver = PetscMax(solver, error);
  }
  must(FPQuantitiesFind(&q[0], name, &item));
  FPBoundGrids(grids, item, v, solver, value, bound);
}
#endif

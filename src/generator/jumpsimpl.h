/* jumpsimpl.h: the inside of FPJumps. Arrays over the box have `box` numbers, first coordinate fastest; rates in them
   are those of the lattice, without the factor rate[] of the unknowns. */
#ifndef FPJUMPSIMPL_H
#define FPJUMPSIMPL_H
#include "jumps.h"
#include <complex.h>
#include <fftw3.h>

/* jumpsconfined.c: transforms along one wall of the plane, for jumps that end there */
typedef struct {
  PetscInt      length, half;
  PetscReal    *real, *symbol; /* symbol[cells[a]][half]: transforms of the kernels, by distance from the wall */
  fftw_complex *hat, *sum;     /* one transform; sum[2][half] */
  fftw_plan     forward, backward;
} FPJumpsWall;

struct _p_FPJumps {
  FPJumpsSetting setting; /* rate, live and cut point to copies, or are NULL */
  PetscInt       box, n;
  PetscInt      *node, *unknown; /* node[n]: in the box; unknown[box]: -1 where dead */
  PetscReal      all;            /* rate of all jumps from a node of the infinite lattice */
  PetscReal     *rate;           /* [n] */
  PetscReal     *total, *self;   /* [n]: rate of all that happens at a node, and of what leads back to it */
  PetscReal     *out, *kill;     /* [n], with the factor rate */
  PetscReal     *weight;         /* [cells[1]][cells[0]]: by displacement; mirror: [cells[1] + 1][cells[0] + 1], the sum
                                    over all images of a displacement */
  PetscReal *tail[2];            /* [cells[a]]: one-sided, beyond a displacement along axis a */
  PetscReal *face[2];            /* isotropic in the plane, [cells[1]][cells[0]]: at displacements beyond that along
                                    axis a, and just that along the other */
  PetscReal *corner;             /* likewise, beyond both to one side each */
  /* products */
  PetscInt      pad[2];
  PetscReal    *real, *symbol, *from, *to; /* [pad[1]][pad[0]]; [pad[1]][pad[0]/2 + 1], over pad[0] pad[1]; [box] */
  fftw_complex *hat;
  fftw_plan     forward, backward;
  PetscReal    *back;    /* [box]: what comes back of one product, with walls that stop jumps */
  FPJumpsWall   wall[2]; /* across the axes, isotropic walls that stop jumps */
};

PETSC_INTERN PetscErrorCode FPJumpsWallsCreate(FPJumps jumps);
PETSC_INTERN PetscErrorCode FPJumpsWallsDestroy(FPJumps jumps);
/* jumpsconfined.c: out += rates of jumps that end at the walls times in, or the transposed; [box]. */
PETSC_INTERN PetscErrorCode FPJumpsAddWalls(FPJumps jumps, PetscBool transposed, const PetscReal in[], PetscReal out[]);

static inline void FPJumpsPlace(const FPJumpsSetting *s, PetscInt node, PetscInt at[2])
{
  at[0] = node % s->cells[0];
  at[1] = node / s->cells[0];
}
/* A length not below `least` that FFTW is fast at, even */
PETSC_INTERN PetscInt FPJumpsLength(PetscInt least);
#endif

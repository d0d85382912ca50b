/* jumpflux.c: currents and entropy production of chains that jump, from all pairs of unknowns.
   A jump crosses every surface between its ends, and which ones depends on the way one thinks of it: it is routed
   through cell faces along the axes, the mean over their orders, as edges are, so that the flux out of every cell is
   exactly the chain's, and the flux through a hyperplane of cell faces counts exactly the jumps across.
   Entropy production needs Gaussian noise: without it drift against jumps is b^2/rate, rate ~ h^-alpha per neighbour at
   a distance h, which grows as h^(alpha-2): the path measures of a process and its reverse are singular. */
#include "generatorimpl.h"

typedef struct {
  PetscReal *first, *second; /* [lattice]: changes of the flux along axis 0 in a row, along axis 1 in a column */
} Changes;

/* A net flux from node a to node b along axis 0 first, and along axis 1 first; axis of faces, start and end. */
static void Route(FPGenerator gen, PetscInt a, PetscInt b, PetscReal net, Changes *c)
{
  const PetscInt  n0 = gen->cells[0], row = a / n0 * n0, end = b / n0 * n0;
  const PetscReal share = gen->dim == 1 ? net : net / 2;

  c->first[a] += share;
  c->first[row + b % n0] -= share;
  if (gen->dim == 1) return;
  c->second[row + b % n0] += share;
  c->second[b] -= share;
  c->second[a] += share;
  c->second[end + a % n0] -= share;
  c->first[end + a % n0] += share;
  c->first[b] -= share;
}

/* Flux through upper faces: sums of the changes from the lower walls on. */
static void Accumulate(FPGenerator gen, const Changes *c, PetscReal flux[])
{
  const PetscInt n0 = gen->cells[0];

  for (PetscInt l = 0; l < gen->lattice; l += n0) {
    PetscReal sum = 0;

    for (PetscInt i = 0; i < n0; i++) flux[l + i] += sum += c->first[l + i];
  }
  for (PetscInt i = 0; i < n0 && gen->dim > 1; i++) {
    PetscReal sum = 0;

    for (PetscInt l = i; l < gen->lattice; l += n0) flux[gen->lattice + l] += sum += c->second[l];
  }
}

PetscErrorCode FPGeneratorJumpFlux(FPGenerator gen, const PetscReal pi[], PetscReal flux[], PetscReal *entropy,
                                   PetscReal *through)
{
  const PetscInt n0 = gen->cells[0];
  Changes        c;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(gen->lattice, &c.first, gen->lattice, &c.second));
  for (PetscInt i = 0; i < gen->n; i++)
    for (PetscInt j = i + 1; j < gen->n; j++) {
      const PetscInt  a = gen->node[i], b = gen->node[j];
      const PetscReal up = pi[i] * FPJumpsRate(gen->jumps, i, j), down = pi[j] * FPJumpsRate(gen->jumps, j, i);
      const PetscBool near = (PetscBool)((b - a == 1 && b % n0) || b - a == n0); /* counted with their edges */

      Route(gen, a, b, up - down, &c);
      *through += up + down;
      if (!near && up > 0 && down > 0) *entropy += (up - down) * log(up / down);
    }
  Accumulate(gen, &c, flux);
  PetscCall(PetscFree2(c.first, c.second));
  PetscFunctionReturn(0);
}

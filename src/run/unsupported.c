/* unsupported.c: what an observable cannot say of a process, with the reason. One table for the rows of the results
   (status "unsupported") and for `dlnfp list`. */
#include "runimpl.h"
#include <stdio.h>

typedef struct {
  const char *observable, *engine, *when, *reason;
  PetscErrorCode (*applies)(const FPRunObjects *, PetscInt, PetscBool *); /* NULL: said elsewhere, listed only */
} Unsupported;

static PetscErrorCode Deterministic(const FPRunObjects *run, PetscInt p, PetscBool *applies)
{
  PetscFunctionBegin;
  PetscCall(FPProcessIsDeterministic(run->process[p], applies));
  PetscFunctionReturn(0);
}

static PetscErrorCode Unbounded(const FPRunObjects *run, PETSC_UNUSED PetscInt p, PetscBool *applies)
{
  PetscFunctionBegin;
  *applies = (PetscBool)(run->mesh == NULL);
  PetscFunctionReturn(0);
}

static PetscErrorCode Mapped(const FPRunObjects *run, PETSC_UNUSED PetscInt p, PetscBool *applies)
{
  PetscInt weights;

  PetscFunctionBegin;
  PetscCall(FPModelGetParent(run->model, applies, &weights));
  PetscFunctionReturn(0);
}

static PetscErrorCode Fractional(const FPRunObjects *run, PetscInt p, PetscBool *applies)
{
  PetscReal beta;

  PetscFunctionBegin;
  PetscCall(FPProcessGetClock(run->process[p], &beta, NULL));
  *applies = (PetscBool)(beta < 1);
  PetscFunctionReturn(0);
}

static PetscErrorCode Killed(const FPRunObjects *run, PetscInt p, PetscBool *applies)
{
  FPStable stable;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStable(run->process[p], &stable));
  *applies = (PetscBool)(stable.has && stable.boundary == FP_BOUNDARY_KILLED);
  PetscFunctionReturn(0);
}

static PetscErrorCode OnLine(const FPRunObjects *run, PetscInt p, PetscBool *applies)
{
  PetscBool discrete;

  PetscFunctionBegin;
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  PetscCall(Mapped(run, p, applies));
  *applies = (PetscBool)(*applies && discrete);
  PetscFunctionReturn(0);
}

static PetscErrorCode Collocated(const FPRunObjects *run, PetscInt p, PetscBool *applies)
{
  PetscBool discrete;

  PetscFunctionBegin;
  PetscCall(FPRunIsDiscrete(run, p, &discrete));
  *applies = (PetscBool)(discrete && !strcmp(run->generating.transfer.scheme, "chebyshev"));
  PetscFunctionReturn(0);
}

#define NODES "Chebyshev points know means of smooth functions, not laws on cells: transfer_scheme: local has them"
#define GONE                                                                                                           \
  "walls kill its particles: what is asked of those that live, the generator knows; exit counts those that leave"
#define AGES                                                                                                           \
  "a fractional clock ages: no average over time tells it; in the process's own time it is that of the ordinary clock"

static const Unsupported Table[] = {
    {"spectrum", "particles", "boundary killed", GONE, Killed},
    {"stationary", "particles", "boundary killed", GONE, Killed},
    {"current", "particles", "boundary killed", GONE, Killed},
    {"lyapunov", "particles", "boundary killed", GONE, Killed},
    {"autocorrelation", "particles", "boundary killed", GONE, Killed},
    {"evolution", "particles", "boundary killed", GONE, Killed},
    {"mixing", "particles", "boundary killed", GONE, Killed},
    {"msd", "particles", "boundary killed", GONE, Killed},
    {"sharpness", "particles", "boundary killed", GONE, Killed},
    {"tails", "particles", "boundary killed", GONE, Killed},
    {"flat", "particles", "boundary killed", GONE, Killed},
    {"noise", "particles", "boundary killed", GONE, Killed},
    {"spectrum", "particles", "gd at temperature 0",
     "a deterministic map ends in a point: nothing fluctuates that could relax", Deterministic},
    {"current", "particles", "gd at temperature 0", "a deterministic map ends in a point: it carries no current",
     Deterministic},
    {"spectrum", "particles", "clock fractional", AGES, Fractional},
    {"current", "particles", "clock fractional", AGES, Fractional},
    {"lyapunov", "particles", "clock fractional", AGES, Fractional},
    {"autocorrelation", "every", "clock fractional", "integrated_time: infinite, as correlations fall like t^-beta",
     NULL},
    {"exit", "every", "clock fractional", "mean_time, variance_time: the waiting times have no mean", NULL},
    {"exit", "particles", "clock fractional", "rate: the generator's is per unit of the process's own time", NULL},
    {"current", "particles", "no mesh", "currents are measured on bins of a box: give mesh_lower and mesh_upper",
     Unbounded},
    {"current", "particles", "noise stable, 2-D",
     "entropy_production_binned: jumps have no diffusion that their current could be measured by", NULL},
    {"*", "generator", "sgd, svag, gd", "a discrete algorithm has no Fokker-Planck generator", NULL},
    {"*", "transfer", "SDEs", "an SDE has a generator", NULL},
    {"*", "transfer", "more than 2 coordinates", "grids have 1 or 2 dimensions; particles run without a mesh", NULL},
    {"*", "transfer", "coordinates invariant, temperature > 0",
     "injected noise leaves the line q = 0 on which a step is known: accepted are coordinates weights, balanced", NULL},
    {"exit", "transfer", "coordinates invariant", "the law is on the line q = 0: coordinates balanced have its exits",
     OnLine},
    {"*", "transfer", "no normal variable",
     "gd, or rows of a file, at temperature 0: finitely many maps, whose law and spectrum no grid converges to "
     "(transfer_scheme: chebyshev has rows of a file in one coordinate)",
     NULL},
    {"*", "transfer", "2 weights, temperature 0", "the noise of a step has a single direction", NULL},
    {"current", "every", "SDEs", "irreversibility_binned: of steps, which an SDE has none of", NULL},
    {"current", "transfer", "transfer_order 4",
     "entropy_production: the logarithm of negative weights; transfer_order: 2 has it", NULL},
    {"current", "transfer", "transfer_scheme chebyshev", NODES, Collocated},
    {"mixing", "transfer", "transfer_scheme chebyshev", NODES, Collocated},
    {"flat", "transfer", "transfer_scheme chebyshev", NODES, Collocated},
    {"exit", "transfer", "transfer_scheme chebyshev",
     "a region cuts the polynomials: transfer_scheme: local has exits; of a whole box, mesh_faces: absorbing has the "
     "rate",
     Collocated},
    {"autocorrelation", "transfer", "transfer_scheme chebyshev", "markov_defect: it takes parts of the law of p", NULL},
    {"stationary", "transfer", "transfer_scheme chebyshev", "densities, distances, wall_mass: " NODES, NULL},
    {"evolution", "transfer", "transfer_scheme chebyshev", "entropies: " NODES, NULL},
    {"lyapunov", "transfer", "2-D, many batches",
     "of several inputs or targets up to 2000 different batches of rows; up to 1e8 nodes times batches times angles; "
     "where vectors turn (not of gd on a diagonal network); particles have the others",
     NULL},
    {"lyapunov", "transfer", "order 4 or chebyshev, rows",
     "the logarithm of a stretch without density is singular, which only cells average over; in 2-D likewise of gd",
     NULL},
    {"lyapunov", "transfer", "batch_law gaussian", "it is known where a step leads, not how it stretches", NULL},
    {"*", "generator", "SDEs without noise", "the law of a flow is a point: observable orbit says where it ends", NULL},
    {"collapse", "every", "other than chains of two weights and more at T = 0",
     "the noise vanishes at no saddle where differences grow linearly", NULL},
    {"orbit", "every", "processes with noise", "a process with noise has a law, not an orbit", NULL},
    {"orbit", "every", "coordinates invariant",
     "the map acts on the weights: model_coordinates = weights or balanced has its orbits", NULL},
    {"*", "generator", "more than 3 coordinates", "grids have 1 to 3 dimensions; particles run without a mesh", NULL},
    {"evolution", "particles", "every process",
     "kl_stationary: particles on their way know no stationary law; entropy_binned is compared", NULL},
    {"evolution", "generator", "every process", "w1_p_sgd: SGD has no generator; particles of both are compared", NULL},
    {"evolution", "generator", "starts without cells",
     "a start in cells without stationary probability or outside the closed class has no law on the grid", NULL},
    {"sharpness", "generator", "starts without cells",
     "a start in cells without stationary probability or outside the closed class has no law on the grid", NULL},
    {"sharpness", "generator, transfer", "rows times cells over 3e8",
     "batch_sharpness: the gradients of all rows at all cells are too many; particles draw batches", NULL},
    {"sharpness", "every", "diagonal",
     "all the weights behind the coordinates are not among those of a model, so their Hessian is not known", NULL},
    {"tails", "generator", "every process", "a grid ends where its box does: its law has no tails", NULL},
    {"tails", "particles", "gd at temperature 0", "a deterministic map ends in points: nothing fluctuates",
     Deterministic},
    {"mixing", "particles", "gd at temperature 0", "a deterministic map ends in points: no law is left to come near to",
     Deterministic},
    {"mixing", "particles", "no mesh", "laws are compared on bins of a box: give mesh_lower and mesh_upper", Unbounded},
    {"mixing", "particles", "every process", "mixing_time: particles are counted at the times asked for only", NULL},
    {"autocorrelation", "particles", "gd at temperature 0", "a deterministic map ends in points: nothing fluctuates",
     Deterministic},
    {"autocorrelation", "particles", "no mesh", "markov_defect: the present is told by bins over what p is in the box",
     NULL},
    {"autocorrelation", "every", "every process", "markov_defect_loss: the loss is not what a model is reduced to",
     NULL},
    {"autocorrelation", "generator", "absorbing faces", "a process that is killed at walls is not stationary", NULL},
    {"noise", "generator", "points",
     "the noise at a point is a property of the data, not of a law; noise_times asks along training", NULL},
    {"noise", "generator", "starts without cells",
     "a start in cells without stationary probability or outside the closed class has no law on the grid", NULL},
    {"free_energy", "generator", "every process", "the Gibbs law is known: its integrals are quadratures", NULL},
    {"free_energy", "particles", "every process", "the Gibbs law is known: its integrals are quadratures", NULL},
    {"flat", "every", "coordinates invariant", "the Hessian of the weights says nothing of coordinates that are a map",
     NULL},
    {"flat", "every", "0 or over 3 flat directions", "there is nothing to move along, or too much for a grid", NULL},
    {"flat", "particles", "gd at temperature 0", "a deterministic map ends in points: none come near the subspace",
     Deterministic},
    {"flat", "particles", "every process", "gap, mixing_time: particles are not confined to a subspace", NULL},
    {"free_energy", "exact", "ou", "it is no network: there are no weights that a prior could be over", NULL},
    {"free_energy", "exact", "over 3 correlated inputs",
     "the paths of a diagonal network leave as many integrals as inputs: data_whiten makes the paths independent",
     NULL},
    {"free_energy", "exact", "3 matrices, E x x^T != s I",
     "inputs of unequal variances or correlated ones break the symmetry that the integrals use: data_whiten restores "
     "it",
     NULL},
    {"free_energy", "exact", "linearly dependent inputs", "their second moments determine no map", NULL},
    {"exit", "every", "coordinates invariant",
     "fraction_negative_curvature: of coordinates that are a map, the Hessian of the weights says nothing", NULL},
    {"exit", "exact", "noise stable",
     "asymptotic_rate: at alpha = 2, from no stable point of the drift, or isotropic in more than 2 coordinates", NULL},
    {"stationary", "every", "noise stable, no temperature",
     "kl_gibbs, tv_gibbs, w1_p_gibbs: jumps have no temperature that a Gibbs law could have", NULL},
    {"exit", "particles", "too few steps",
     "mean_time, variance_time: more than a tenth is inside at the end of particles_steps or exit_duration", NULL},
    {"lyapunov", "generator", "absorbing faces", "a process that is killed at walls has no orbit that goes on", NULL},
    {"lyapunov", "generator", "rank-deficient D in 2-D",
     "the law keeps to a line: gradients across it are not on the grid", NULL},
    {"lyapunov", "generator", "noise stable, 2-D or not constant",
     "jumps stretch and turn tangent vectors, which this grid does not know; particles have it", NULL},
    {"lyapunov", "generator", "3 coordinates", "directions of tangent vectors would need a grid of five dimensions",
     NULL},
    {"lyapunov", "generator", "coordinates invariant", "tangent vectors live in the weights", NULL},
    {"lyapunov", "particles", "coordinates invariant",
     "tangent vectors live in the weights: model_coordinates = weights has them", Mapped},
    {"lyapunov", "exact", "temperature above 0", "injected noise leaves no point where it is", NULL},
    {"lyapunov", "exact", "sgd, SDEs beyond chains", "the directions do not separate", NULL},
    {"reduction", "generator", "every process", "SGD is discrete, and all the weights are too many for a grid", NULL},
    {"reduction", "particles", "weights, invariant", "these coordinates reduce nothing", NULL},
    {"reduction", "particles", "diagonal", "all the weights are not among the coordinates of the model", NULL}};

PetscErrorCode FPRunUnsupported(const FPRunObjects *run, PetscInt p, PetscInt o, const char engine[],
                                const char **reason)
{
  const char *name;

  PetscFunctionBegin;
  *reason = NULL;
  PetscCall(FPObservableGetName(run->observable[o], &name));
  for (size_t k = 0; k < sizeof(Table) / sizeof(Table[0]) && !*reason; k++) {
    PetscBool applies;

    if (!Table[k].applies || strcmp(Table[k].observable, name) || strcmp(Table[k].engine, engine)) continue;
    PetscCall((*Table[k].applies)(run, p, &applies));
    if (applies) *reason = Table[k].reason;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunAddInfinite(FPRunObjects *run, const char process[], const char engine[], const char observable[],
                                const char quantity[])
{
  PetscFunctionBegin;
  PetscCall(FPResultsAddStatus(run->results, process, engine, observable, quantity, "infinite",
                               "the waiting times of a fractional clock have no mean"));
  PetscFunctionReturn(0);
}

const char *FPRunUnsupportedQuantity(const char observable[])
{
  static const struct {
    const char *observable, *quantity;
  } names[] = {{"exit", "mean_time"},
               {"spectrum", "gap"},
               {"lyapunov", "exponent_orbit"},
               {"mixing", "tv_binned"},
               {"autocorrelation", "integrated_time"},
               {"tails", "hill_w"},
               {"flat", "conditional_mean[0]"},
               {"stationary", "mean[0]"},
               {"evolution", "loss"},
               {"msd", "exponent"},
               {"sharpness", "sharpness"},
               {"noise", "trace"}};

  for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
    if (!strcmp(names[k].observable, observable)) return names[k].quantity;
  return "entropy_production_binned";
}

PetscErrorCode FPRunListUnsupported(FILE *out)
{
  PetscFunctionBegin;
  fprintf(out, "\nunsupported:\n");
  for (size_t k = 0; k < sizeof(Table) / sizeof(Table[0]); k++)
    fprintf(out, "  %-11s by %-9s %-24s %s\n", Table[k].observable, Table[k].engine, Table[k].when, Table[k].reason);
  PetscFunctionReturn(0);
}

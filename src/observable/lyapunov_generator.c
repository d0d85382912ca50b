/* lyapunov_generator.c: exponent_orbit from the stationary law, by the formula of Furstenberg and Khasminskii, with the
   factor S of lyapunov_orbit.c. In one dimension it is E [b' - (1/2) sum_c S_c'^2]; lyapunov_plane.c has two
   dimensions, lyapunov_transfer.c discrete algorithms. Source: R. Z. Khasminskii, Theory Probab. Appl. 12 (1967). */
#include "lyapunovimpl.h"

static PetscErrorCode TangentsCreate(FPProcess process, PetscInt d, FPTangents *t)
{
  PetscFunctionBegin;
  t->d = d;
  PetscCall(FPProcessGetChannels(process, &t->channels));
  PetscCall(PetscMalloc2(3 * d * t->channels, &t->S, d * d * t->channels, &t->B));
  PetscFunctionReturn(0);
}

void FPTangentsAt(FPProcess process, const double z[], FPTangents *t)
{
  const PetscInt d = t->d, n = t->channels;

  if (n) FPProcessWeightFactor(process, 1, z, t->S);
  for (PetscInt j = 0; j < d; j++) {
    double near[2], b[2][2];

    for (int side = 0; side < 2; side++) {
      for (PetscInt i = 0; i < d; i++) near[i] = z[i] + (i == j ? (side ? FP_TANGENT : -FP_TANGENT) : 0);
      FPProcessWeightDrift(process, 1, near, b[side]);
      if (n) FPProcessWeightFactor(process, 1, near, t->S + (1 + side) * d * n);
    }
    for (PetscInt i = 0; i < d; i++) {
      const double *low = t->S + (d + i) * n, *high = t->S + (2 * d + i) * n;

      t->A[i * d + j] = (b[1][i] - b[0][i]) / (2 * FP_TANGENT);
      for (PetscInt c = 0; c < n; c++) t->B[(c * d + i) * d + j] = (high[c] - low[c]) / (2 * FP_TANGENT);
    }
  }
}

static void OneDimension(FPProcess process, FPTangents *t, PetscInt n, const PetscReal z[], const PetscReal pi[],
                         PetscReal *exponent)
{
  *exponent = 0;
  for (PetscInt k = 0; k < n; k++) {
    double rate;

    FPTangentsAt(process, z + k, t);
    rate = t->A[0];
    for (PetscInt c = 0; c < t->channels; c++) rate -= 0.5 * t->B[c] * t->B[c];
    *exponent += pi[k] * rate;
  }
}

/* Jumps stretch tangent vectors by their scale's slope, and turn them: what the drift's slope tells is all there is in
   one dimension where the scale is constant. */
static PetscErrorCode RefuseJumps(FPGenerator gen, const char **reason)
{
  const PetscReal *z;
  PetscReal       *sigma;
  PetscInt         n, dim;
  FPProcess        process;
  FPStable         stable;
  PetscBool        same = PETSC_TRUE;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetStable(process, &stable));
  if (!stable.has) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(PetscMalloc1(n, &sigma));
  FPProcessStableScale(process, (int)n, z, sigma);
  for (PetscInt k = 0; k < n; k++) same = (PetscBool)(same && sigma[k] == sigma[0]);
  PetscCall(PetscFree(sigma));
  if (dim > 1 || !same)
    *reason = "jumps stretch and turn tangent vectors, which this grid does not know; particles have it";
  if (stable.boundary == FP_BOUNDARY_KILLED) *reason = "a process that is killed at walls has no orbit that goes on";
  PetscFunctionReturn(0);
}

/* Why there is none on this grid, or NULL. */
static PetscErrorCode Refuse(FPObservable obs, FPGenerator gen, const char **reason)
{
  const FPBox    *box;
  PetscInt        dim, weights;
  PetscBool       mapped;
  FPGeneratorInfo info;
  PetscReal       step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPModelGetParent(obs->scene.model, &mapped, &weights));
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  *reason = NULL;
  for (PetscInt f = 0; f < 2 * dim; f++)
    if (box->face[f] == FP_ABSORBING) *reason = "a process that is killed at walls has no orbit that goes on";
  if (dim > 2) *reason = "directions of tangent vectors in three dimensions need a grid of five; particles have it";
  if (dim == 2 && info.degenerate)
    *reason =
        "of rank-deficient noise the law keeps to a line: gradients across it are not on the grid; particles have it";
  if (mapped) *reason = FP_LYAPUNOV_MAPPED;
  PetscCall(RefuseJumps(gen, reason));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) PetscCall(FPLyapunovTransferRefused(gen, reason));
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovGenerator(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  const PetscReal *z, *pi;
  const char      *reason = NULL;
  PetscReal        step, exponent = 0, error = 0;
  PetscInt         dim, n;
  FPProcess        process;
  FPTangents       t;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(Refuse(obs, gen, &reason));
  if (reason) {
    if (finest) PetscCall(FPObservableMissingOn(obs, gen, "exponent_orbit", "unsupported", reason));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) {
    PetscCall(FPLyapunovTransfer(gen, finest, &exponent, &error));
    if (PetscIsNanReal(exponent)) {
      if (finest)
        PetscCall(
            FPObservableMissingOn(obs, gen, "exponent_orbit", "unsupported",
                                  "tangent vectors turn too slowly for their directions to be solved for, as where "
                                  "both exponents are alike; particles have it"));
      PetscFunctionReturn(0);
    }
    PetscCall(FPQuantitiesAdd(q, exponent, error, "1/time", "exponent_orbit"));
    PetscFunctionReturn(0);
  }
  PetscCall(TangentsCreate(process, dim, &t));
  if (dim == 1)
    OneDimension(process, &t, n, z, pi, &exponent);
  else
    PetscCall(FPLyapunovPlane(process, gen, &t, &exponent, &error));
  PetscCall(
      FPQuantitiesAdd(q, exponent, error + 1e-9 * PetscMax(1, PetscAbsReal(exponent)), "1/time", "exponent_orbit"));
  PetscCall(PetscFree2(t.S, t.B));
  PetscFunctionReturn(0);
}

/* lyapunov_transfer.c: exponent_orbit of a discrete algorithm on a line, exactly: E ln |dz'/dz|/h over the stationary
   law of the transfer operator and the batch, h the time of a step. With g = phi (M x^2 - x y), phi = metric dM/dz, the
   gradient of one sample, a batch stretches differences by 1 - h decay - h mean[(phi' M + phi dM/dz) x^2 - phi' x y];
   injected noise moves both ends alike, and walls mirror them. logmean.c has the expectation over the batch, exact
   but for batches of very many rows; gradient descent has 1 - h V''. Between the ends of a cell the stretch is taken as
   linear: laws without density make its logarithm singular at points of the line. Order h^2 of the cells. */
#include "lyapunovimpl.h"
#include <math.h>

#define LATTICE 8192 /* points, of batches of rows */
#define RARE 1e-14   /* cells of less probability are nothing */

typedef struct {
  FPModel       model;
  FPAlgorithm   algorithm;
  FPTraining    training;
  PetscReal     h, metric;
  FPBatchLinear law;
} Stretch;

static PetscReal Slope(const Stretch *s, PetscReal z)
{
  PetscReal slope;

  FPModelJacobian(s->model, 1, &z, &slope);
  return slope;
}

/* End number `end` of the stretch: that of steps from z */
static void SetEnd(Stretch *s, int end, PetscReal z)
{
  const PetscReal slope = Slope(s, z);
  const PetscReal bend  = s->metric * (Slope(s, z + FP_TANGENT) - Slope(s, z - FP_TANGENT)) / (2 * FP_TANGENT);
  PetscReal       M;

  FPModelMap(s->model, 1, &z, &M);
  s->law.constant[end] = 1 - s->h * s->training.weight_decay;
  s->law.square[end]   = -s->h * (bend * M + s->metric * slope * slope);
  s->law.product[end]  = s->h * bend;
}

/* Without a batch: gradient descent, and ou, whose noise is the same everywhere */
static void SetMean(Stretch *s, int end, PetscReal z)
{
  PetscReal hessian;

  FPModelHessian(s->model, 1, &z, &hessian);
  s->law.constant[end] = 1 - s->h * hessian;
}

PetscErrorCode FPLyapunovTransferRefused(FPGenerator gen, const char **reason)
{
  const FPGeneratorOptions *options;
  const PetscInt           *cells;
  PetscReal                 ratio;
  PetscInt                  dim, level;
  FPMesh                    mesh;
  FPProcess                 process;
  FPModel                   model;
  FPData                    data;
  FPAlgorithm               algorithm;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &options));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPProcessGetModel(process, &model));
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  if (data && algorithm != FP_GD && !strcmp(options->transfer.batch_law, "gaussian"))
    *reason = "the normal law of a batch says where a step leads, not how it stretches";
  if (algorithm == FP_SVAG) *reason = "two batches of opposite signs stretch by no known law; particles have it";
  if (dim > 1)
    *reason = "directions of tangent vectors in the plane need a grid of three dimensions; particles have it";
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovTransfer(FPGenerator gen, PetscReal *exponent, PetscReal *error)
{
  const PetscInt  *cells, *node;
  const PetscReal *z, *measure, *volume, *pi;
  PetscReal        ratio;
  PetscInt         dim, n;
  FPProcess        process;
  Stretch          s = {.law = {.lattice = LATTICE}};

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, &ratio));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, &measure, &volume));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetStep(gen, &s.h));
  PetscCall(FPProcessGetModel(process, &s.model));
  PetscCall(FPProcessGetTraining(process, &s.training));
  PetscCall(FPProcessGetAlgorithm(process, &s.algorithm, NULL));
  PetscCall(FPModelGetMetric(s.model, &s.metric));
  PetscCall(FPModelGetData(s.model, &s.law.data));
  s.law.batch = s.training.batch_size;
  *exponent = *error = 0;
  for (PetscInt k = 0; k < n; k++) {
    PetscReal value, bound;

    if (pi[k] < RARE) continue;
    for (int end = 0; end < 2; end++) {
      const PetscReal share = end;
      PetscReal       at;

      FPGeneratorPointInCell(gen, k, &share, &at);
      if (s.algorithm == FP_GD || !s.law.data)
        SetMean(&s, end, at);
      else
        SetEnd(&s, end, at);
    }
    PetscCall(FPBatchLinearLog(&s.law, &value, &bound));
    *exponent += pi[k] * value / s.h;
    *error += pi[k] * bound / s.h;
  }
  *error += 1e-9 * PetscMax(1, PetscAbsReal(*exponent));
  PetscFunctionReturn(0);
}

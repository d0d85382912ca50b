/* lyapunov_transfer.c: exponent_orbit of a discrete algorithm on a line, exactly: E ln |dz'/dz|/h over the stationary
   law of the transfer operator and the batch, h the time of a step. With g = phi (M x^2 - x y), phi = metric dM/dz, the
   gradient of one sample, a batch stretches differences by 1 - h decay - h mean[(phi' M + phi dM/dz) x^2 - phi' x y];
   injected noise moves both ends alike, and walls mirror them. logmean.c has the expectation over the batch, exact
   but for batches of very many rows; gradient descent has 1 - h V''. Where the law of the stretch
   has no density its logarithm is singular at points of the line: between the ends of a cell it is then taken as
   linear, order h^2; else the order is that of the operator. In the plane vectors turn too: transfertangent.c. */
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

/* Has the stretch from a point a density? Gaussian inputs always, signs with label noise on more than one layer. */
static PetscErrorCode IsSmooth(FPProcess process, PetscBool *smooth)
{
  const PetscReal *second, *fourth;
  const char      *type, *family, *coordinates;
  FPModel          model;
  FPData           data;
  FPAlgorithm      algorithm;

  PetscFunctionBegin;
  *smooth = PETSC_FALSE;
  PetscCall(FPProcessGetModel(process, &model));
  PetscCall(FPModelGetName(model, &family, &coordinates));
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  if (!data || algorithm == FP_GD) PetscFunctionReturn(0);
  PetscCall(FPDataGetType(data, &type));
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  *smooth = (PetscBool)(!strcmp(type, "gaussian") ||
                        (!strcmp(type, "rademacher") && strcmp(coordinates, "weights") &&
                         second[3] * second[0] - second[1] * second[1] > 1e-12 * second[3] * second[0]));
  PetscFunctionReturn(0);
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
  PetscInt                  dim;
  FPProcess                 process;
  FPModel                   model;
  FPData                    data;
  FPAlgorithm               algorithm;
  FPGeneratorInfo           info;
  PetscBool                 smooth;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  if (dim > 1) {
    if (!*reason) PetscCall(FPGeneratorGrowthRefused(gen, reason));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(IsSmooth(process, &smooth));
  PetscCall(FPGeneratorGetSetting(gen, NULL, NULL, &options));
  PetscCall(FPProcessGetModel(process, &model));
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  if (info.interpolates && !smooth)
    *reason = "the logarithm of a stretch without density is singular, which cells average over and the nodes of "
              "interpolations do not: transfer_order: 2, transfer_scheme: local";
  if (data && algorithm != FP_GD && !strcmp(options->transfer.batch_law, "gaussian"))
    *reason = "the normal law of a batch says where a step leads, not how it stretches";
  PetscFunctionReturn(0);
}

PetscErrorCode FPLyapunovTransfer(FPGenerator gen, PetscBool finest, PetscReal *exponent, PetscReal *error)
{
  const PetscReal *z, *pi;
  PetscInt         dim, n;
  FPProcess        process;
  Stretch          s = {.law = {.lattice = LATTICE}};
  PetscBool        smooth;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  if (dim > 1) {
    *error = 0;
    PetscCall(FPGeneratorGrowth(gen, exponent, finest ? error : NULL));
    PetscFunctionReturn(0);
  }
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, &z, NULL, NULL));
  PetscCall(FPGeneratorStationary(gen, &pi));
  PetscCall(FPGeneratorGetStep(gen, &s.h));
  PetscCall(FPProcessGetModel(process, &s.model));
  PetscCall(FPProcessGetTraining(process, &s.training));
  PetscCall(FPProcessGetAlgorithm(process, &s.algorithm, NULL));
  PetscCall(FPModelGetMetric(s.model, &s.metric));
  PetscCall(FPModelGetData(s.model, &s.law.data));
  PetscCall(IsSmooth(process, &smooth));
  PetscCall(FPProcessGetBatches(process, &s.law.batches, s.law.coefficient));
  s.law.batch = s.training.batch_size;
  *exponent = *error = 0;
  for (PetscInt k = 0; k < n; k++) {
    PetscReal value, bound;

    if (PetscAbsReal(pi[k]) < RARE) continue;
    for (int end = 0; end < 2; end++) {
      const PetscReal share = end;
      PetscReal       at    = z[k];

      if (!smooth) FPGeneratorPointInCell(gen, k, &share, &at);
      if (s.algorithm == FP_GD || !s.law.data)
        SetMean(&s, end, at);
      else
        SetEnd(&s, end, at);
    }
    PetscCall(FPBatchLinearLog(&s.law, &value, &bound));
    *exponent += pi[k] * value / s.h;
    *error += PetscAbsReal(pi[k]) * bound / s.h;
  }
  *error += 1e-9 * PetscMax(1, PetscAbsReal(*exponent));
  PetscFunctionReturn(0);
}

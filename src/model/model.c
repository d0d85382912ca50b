/* model.c: a model, its registry, and the public functions, which hand blocks of points to the type. */
#include "modelimpl.h"
#include <string.h>

#define FP_MODEL(name, type, parameters, help) name " "
static const char Types[] =
#include "modellist.h"
    ;
#undef FP_MODEL

static const FPParameter TypeParameters[] = {
    {"type", FP_CHOICE, 0, NULL, 0, 0, Types, NULL, "which network"},
    {.name = NULL},
};

static const struct {
  const char *name;
  PetscErrorCode (*create)(FPModel, FPConfig);
} Registry[] = {
#define FP_MODEL(name, type, parameters, help) {name, FPModelCreate_##type},
#include "modellist.h"
#undef FP_MODEL
};

PetscErrorCode FPModelCreate(FPConfig config, FPData data, FPModel *model)
{
  char      type[FP_TEXT]; /* one of the registry, or FPConfigRead() refuses it */
  PetscBool has;

  PetscFunctionBegin;
  *model = NULL;
  PetscCall(FPConfigRead(config, "model", TypeParameters, type));
  PetscCall(FPConfigHas(config, "model_type", &has));
  FPInputCheck(has, "model_type is missing; accepted: %s", Types);
  PetscCall(PetscNew(model));
  (*model)->data   = data;
  (*model)->metric = 1;
  PetscCall(PetscStrncpy((*model)->type, type, FP_TEXT));
  PetscCall(FPTrainingRead(config, &(*model)->training));
  for (size_t k = 0; k < sizeof(Registry) / sizeof(Registry[0]); k++)
    if (!strcmp(Registry[k].name, type)) PetscCall((*Registry[k].create)(*model, config));
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetName(FPModel model, const char **type, const char **coordinates)
{
  PetscFunctionBegin;
  if (type) *type = model->type;
  if (coordinates) *coordinates = model->coordinates;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetSizes(FPModel model, PetscInt *dim, PetscInt *inputs, PetscInt *targets)
{
  PetscFunctionBegin;
  if (dim) *dim = model->dim;
  if (inputs) *inputs = model->inputs;
  if (targets) *targets = model->targets;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetCoordinateName(FPModel model, PetscInt i, char name[])
{
  PetscFunctionBegin;
  if (model->ops.name)
    PetscCall((*model->ops.name)(model, i, name));
  else
    PetscCall(PetscSNPrintf(name, FP_NAME, "w%" PetscInt_FMT, i + 1));
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetMetric(FPModel model, PetscReal *metric)
{
  PetscFunctionBegin;
  *metric = model->metric;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetData(FPModel model, FPData *data)
{
  PetscFunctionBegin;
  *data = model->data;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetChannels(FPModel model, PetscInt *channels)
{
  PetscFunctionBegin;
  *channels = model->channels;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelHasPotential(FPModel model, PetscBool *has)
{
  PetscFunctionBegin;
  *has = model->potential;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetLossFloor(FPModel model, PetscReal *floor)
{
  PetscFunctionBegin;
  *floor = model->residual + model->gap;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetOther(FPModel model, FPLaw law, FPModel *other)
{
  FPData  data = NULL;
  FPModel same;

  PetscFunctionBegin;
  if (model->data) PetscCall(FPDataGetOther(model->data, law, &data));
  if (data && !model->other[law]) {
    PetscCall(PetscNew(&same));
    *same             = *model;
    same->ops.destroy = NULL;
    same->points      = 0;
    same->point       = NULL;
    PetscCall(PetscArrayzero(same->other, FP_LAWS));
    PetscCall(FPNetworkSetLaw(same, data));
    if (!same->reachable) PetscCall(FPModelFindGap(same));
    model->other[law] = same;
  }
  *other = model->other[law];
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetCriticalPoints(FPModel model, PetscInt *count, const FPCriticalPoint **points)
{
  PetscFunctionBegin;
  if (!model->point) PetscCall(FPModelFindCriticalPoints(model));
  *count  = model->points;
  *points = model->point;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetReductionDefect(FPModel model, const PetscReal z[], PetscReal *defect)
{
  PetscFunctionBegin;
  *defect = 0;
  if (model->ops.defect) PetscCall((*model->ops.defect)(model, z, defect));
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelGetParent(FPModel model, PetscBool *mapped, PetscInt *weights)
{
  PetscFunctionBegin;
  if (mapped) *mapped = model->ops.project ? PETSC_TRUE : PETSC_FALSE;
  if (weights) *weights = model->weights;
  PetscFunctionReturn(0);
}

/* out[rows][n] from w[columns][n]: kernels see blocks whose stride is their own number of points. */
static void Blocks(FPModel model, FPKernel kernel, int n, int columns, const double *w, int rows, double *out)
{
  double *wb, *ob;

  if (n <= FP_BLOCK) {
    (*kernel)(model, n, w, out);
    return;
  }
  wb = FPScratchTake((size_t)(columns * FP_BLOCK));
  ob = FPScratchTake((size_t)(rows * FP_BLOCK));
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int m = PetscMin(FP_BLOCK, n - first);

    for (int k = 0; k < columns; k++) memcpy(wb + k * m, w + (size_t)k * n + first, (size_t)m * sizeof(double));
    (*kernel)(model, m, wb, ob);
    for (int k = 0; k < rows; k++) memcpy(out + (size_t)k * n + first, ob + k * m, (size_t)m * sizeof(double));
  }
  FPScratchRelease(wb);
}

void FPModelMap(FPModel model, int n, const double *z, double *M)
{
  if (model->maps) Blocks(model, model->ops.map, n, model->weights, z, model->maps, M);
}

void FPModelJacobian(FPModel model, int n, const double *z, double *J)
{
  if (model->maps) Blocks(model, model->ops.jacobian, n, model->weights, z, model->maps * model->weights, J);
}

void FPModelLoss(FPModel model, int n, const double *z, double *loss)
{
  Blocks(model, model->ops.loss, n, model->weights, z, 1, loss);
}

FP_HOT void FPModelPotential(FPModel model, int n, const double *z, double *V)
{
  const double stiffness = model->training.weight_decay / (2 * model->metric);

  FPModelLoss(model, n, z, V);
  if (stiffness == 0) return;
  for (int k = 0; k < model->weights; k++) {
    const double *zk = z + (size_t)k * n;
#pragma omp simd
    for (int l = 0; l < n; l++) V[l] += stiffness * zk[l] * zk[l];
  }
}

FP_HOT void FPModelGradient(FPModel model, int n, const double *z, double *g)
{
  const double decay = model->training.weight_decay;

  Blocks(model, model->ops.gradient, n, model->weights, z, model->weights, g);
  if (decay == 0) return;
#pragma omp simd
  for (int l = 0; l < model->weights * n; l++) g[l] += decay * z[l];
}

void FPModelHessian(FPModel model, int n, const double *z, double *H)
{
  const int d = model->weights;

  Blocks(model, model->ops.hessian, n, d, z, d * d, H);
  for (int k = 0; k < d; k++)
    for (int l = 0; l < n; l++) H[(size_t)(k * d + k) * n + l] += model->training.weight_decay;
}

void FPModelCovariance(FPModel model, int n, const double *z, double *C)
{
  Blocks(model, model->ops.covariance, n, model->weights, z, model->weights * model->weights, C);
}

void FPModelDivCovariance(FPModel model, int n, const double *z, double *c)
{
  Blocks(model, model->ops.divergence, n, model->weights, z, model->weights, c);
}

void FPModelCovarianceFactor(FPModel model, int n, const double *z, double *F)
{
  Blocks(model, model->ops.factor, n, model->weights, z, model->weights * model->channels, F);
}

/* Samples come in blocks of the particle engine; longer arrays are cut, as in Blocks(). */
void FPModelSampleGradient(FPModel model, int n, const double *z, const double *x, const double *y, double *g)
{
  const int d = model->weights, p = model->inputs, q = model->targets;
  double   *zb, *gb, *xb, *yb;

  if (n <= FP_BLOCK) {
    (*model->ops.sample)(model, n, z, x, y, g);
    return;
  }
  zb = FPScratchTake((size_t)(d * FP_BLOCK));
  gb = FPScratchTake((size_t)(d * FP_BLOCK));
  xb = FPScratchTake((size_t)(p * FP_BLOCK));
  yb = FPScratchTake((size_t)(q * FP_BLOCK));
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int    m     = PetscMin(FP_BLOCK, n - first);
    const size_t bytes = (size_t)m * sizeof(double);

    for (int k = 0; k < d; k++) memcpy(zb + k * m, z + (size_t)k * n + first, bytes);
    for (int k = 0; k < d; k++) memcpy(gb + k * m, g + (size_t)k * n + first, bytes);
    for (int k = 0; k < p; k++) memcpy(xb + k * m, x + (size_t)k * n + first, bytes);
    for (int k = 0; k < q; k++) memcpy(yb + k * m, y + (size_t)k * n + first, bytes);
    (*model->ops.sample)(model, m, zb, xb, yb, gb);
    for (int k = 0; k < d; k++) memcpy(g + (size_t)k * n + first, gb + k * m, bytes);
  }
  FPScratchRelease(zb);
}

PetscErrorCode FPModelGetSampler(FPModel model, FPSampler *sampler)
{
  PetscFunctionBegin;
  *sampler = model->sampler;
  PetscFunctionReturn(0);
}

void FPModelLift(FPModel model, int n, const double *z, double *w)
{
  if (model->ops.lift)
    Blocks(model, model->ops.lift, n, model->dim, z, model->weights, w);
  else
    memmove(w, z, (size_t)(model->dim * n) * sizeof(double));
}

void FPModelProject(FPModel model, int n, const double *w, double *z)
{
  if (model->ops.project)
    Blocks(model, model->ops.project, n, model->weights, w, model->dim, z);
  else
    memmove(z, w, (size_t)(model->dim * n) * sizeof(double));
}

void FPModelPush(FPModel model, int n, const double *w, double *Dphi)
{
  const int d = model->dim;

  if (model->ops.push) {
    Blocks(model, model->ops.push, n, model->weights, w, d * model->weights, Dphi);
    return;
  }
  for (int k = 0; k < d * d; k++)
    for (int l = 0; l < n; l++) Dphi[(size_t)k * n + l] = k % (d + 1) == 0;
}

void FPModelPushSecond(FPModel model, int n, const double *w, const double *D, double *c)
{
  if (model->ops.pushsecond)
    (*model->ops.pushsecond)(model, n, w, D, c);
  else
    memset(c, 0, (size_t)(model->dim * n) * sizeof(double));
}

void FPModelMeasure(FPModel model, int n, const double *z, double *m)
{
  if (model->ops.measure)
    Blocks(model, model->ops.measure, n, model->dim, z, 1, m);
  else
    for (int l = 0; l < n; l++) m[l] = 1;
}

double FPModelMeasureBox(FPModel model, const double lower[], const double upper[])
{
  double volume = 1;

  if (model->ops.measurebox) return (*model->ops.measurebox)(lower, upper);
  for (int k = 0; k < model->dim; k++) volume *= upper[k] - lower[k];
  return volume;
}

PetscErrorCode FPModelCreateFull(FPModel reduced, FPModel *full)
{
  FPConfig config;
  char     depth[32];

  PetscFunctionBegin;
  *full = NULL;
  if (!reduced->ops.full) PetscFunctionReturn(0);
  PetscCall(PetscSNPrintf(depth, sizeof(depth), "%" PetscInt_FMT, reduced->depth));
  PetscCall(FPConfigCreate(&config));
  PetscCall(FPTrainingWrite(config, &reduced->training));
  PetscCall(FPConfigSet(config, "model_type", reduced->type));
  PetscCall(FPConfigSet(config, "model_depth", depth));
  PetscCall(FPConfigSet(config, "model_coordinates", "weights"));
  PetscCall(FPModelCreate(config, reduced->data, full));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

void FPModelLiftFull(FPModel reduced, int n, const double *z, double *w)
{
  if (reduced->ops.full) Blocks(reduced, reduced->ops.full, n, reduced->dim, z, (int)reduced->full, w);
}

PetscErrorCode FPModelDestroy(FPModel *model)
{
  PetscFunctionBegin;
  if (!*model) PetscFunctionReturn(0);
  if ((*model)->ops.destroy) PetscCall((*(*model)->ops.destroy)(*model));
  for (PetscInt law = 0; law < FP_LAWS; law++) PetscCall(FPModelDestroy(&(*model)->other[law]));
  PetscCall(PetscFree((*model)->point));
  PetscCall(PetscFree(*model));
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelList(FILE *out)
{
  PetscFunctionBegin;
#define FP_MODEL(name, type, parameters, help)                                                                         \
  PetscCall(PetscFPrintf(PETSC_COMM_WORLD, out, "%-14s %s\n", name, help));                                            \
  PetscCall(FPParametersView(parameters, "model", out));
#include "modellist.h"
#undef FP_MODEL
  PetscFunctionReturn(0);
}

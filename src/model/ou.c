/* ou.c: "ou": the Ornstein-Uhlenbeck process dw = -A (w - c) dt + sqrt(2 D) dB in disguise: a "gradient" A (w - c),
   which is one only for symmetric A (then V = (w - c) A (w - c)/2), with sample noise of covariance C = 2 B D/eta, so
   that the gradient noise axis gives D = eta/(2B) C back. Exact: every quantity of every engine is known. Source: C.
   Godreche, J.-M. Luck, arXiv:1807.00694. */
#include "modelimpl.h"
#include <string.h>

typedef struct {
  FPReals drift, diffusion, center;
} Keys;

const FPParameter FPOUParameters[] = {
    {"drift", FP_REALS, offsetof(Keys, drift), NULL, 0, 0, NULL, "1/time", "matrix A by rows, d x d numbers"},
    {"diffusion", FP_REALS, offsetof(Keys, diffusion), NULL, 0, 0, NULL, "w^2/time",
     "symmetric positive semidefinite matrix D by rows, d x d numbers"},
    {"center", FP_REALS, offsetof(Keys, center), NULL, 0, 0, NULL, NULL, "where the drift vanishes; default 0"},
    {.name = NULL},
};

typedef struct {
  double *A, *C, *F; /* [d][d], C = F F^T */
  double  center[FP_MAX_DIM];
} OU;

FP_HOT static void FPModelGradient_OU(FPModel model, int n, const double *w, double *g)
{
  const OU *ou = (const OU *)model->impl;
  const int d  = model->dim;

  for (int i = 0; i < d; i++) {
    for (int l = 0; l < n; l++) g[i * n + l] = 0;
    for (int j = 0; j < d; j++) {
      const double a = ou->A[i * d + j], c = ou->center[j];
#pragma omp simd
      for (int l = 0; l < n; l++) g[i * n + l] += a * (w[j * n + l] - c);
    }
  }
}

static void FPModelLoss_OU(FPModel model, int n, const double *w, double *loss)
{
  const OU *ou = (const OU *)model->impl;
  const int d  = model->dim;

  for (int l = 0; l < n; l++) loss[l] = 0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      for (int l = 0; l < n; l++)
        loss[l] += 0.5 * ou->A[i * d + j] * (w[i * n + l] - ou->center[i]) * (w[j * n + l] - ou->center[j]);
}

static void Constant(int n, int rows, const double *value, double *out)
{
  for (int k = 0; k < rows; k++)
    for (int l = 0; l < n; l++) out[k * n + l] = value[k];
}

static void FPModelHessian_OU(FPModel model, int n, PETSC_UNUSED const double *w, double *H)
{
  Constant(n, model->dim * model->dim, ((const OU *)model->impl)->A, H);
}

static void FPModelCovariance_OU(FPModel model, int n, PETSC_UNUSED const double *w, double *C)
{
  Constant(n, model->dim * model->dim, ((const OU *)model->impl)->C, C);
}

static void FPModelDivergence_OU(FPModel model, int n, PETSC_UNUSED const double *w, double *c)
{
  memset(c, 0, (size_t)(model->dim * n) * sizeof(double));
}

static void FPModelFactor_OU(FPModel model, int n, PETSC_UNUSED const double *w, double *F)
{
  Constant(n, model->dim * model->dim, ((const OU *)model->impl)->F, F);
}

/* x: d normals */
FP_HOT static void FPModelSample_OU(FPModel model, int n, const double *w, const double *x,
                                    PETSC_UNUSED const double *y, double *g)
{
  const OU *ou = (const OU *)model->impl;
  const int d  = model->dim;

  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      const double a = ou->A[i * d + j], c = ou->center[j], f = ou->F[i * d + j];
#pragma omp simd
      for (int l = 0; l < n; l++) g[i * n + l] += a * (w[j * n + l] - c) + f * x[j * n + l];
    }
}

FP_HOT static void FPModelDraw_OU(const void *context, const float *normal, PETSC_UNUSED const unsigned *word,
                                  double *x, PETSC_UNUSED double *y)
{
  const int d = ((FPModel)context)->dim;

#pragma omp simd
  for (int l = 0; l < d * FP_BLOCK; l++) x[l] = (double)normal[l];
}

static PetscErrorCode FPModelStarts_OU(FPModel model, PetscInt *count, PetscReal **w)
{
  const OU *ou = (const OU *)model->impl;

  PetscFunctionBegin;
  *count = 1;
  PetscCall(PetscMalloc1(model->dim, w));
  for (PetscInt i = 0; i < model->dim; i++) (*w)[i] = ou->center[i];
  PetscFunctionReturn(0);
}

static PetscErrorCode FPModelDestroy_OU(FPModel model)
{
  OU *ou = (OU *)model->impl;

  PetscFunctionBegin;
  PetscCall(PetscFree3(ou->A, ou->C, ou->F));
  PetscCall(PetscFree(model->impl));
  PetscFunctionReturn(0);
}

static const FPModelOps Ops     = {.loss       = FPModelLoss_OU,
                                   .gradient   = FPModelGradient_OU,
                                   .hessian    = FPModelHessian_OU,
                                   .covariance = FPModelCovariance_OU,
                                   .divergence = FPModelDivergence_OU,
                                   .factor     = FPModelFactor_OU,
                                   .sample     = FPModelSample_OU,
                                   .starts     = FPModelStarts_OU,
                                   .destroy    = FPModelDestroy_OU};
static const FPSampler  Sampler = {.draw = FPModelDraw_OU};

/* Symmetric and, by its factor, positive semidefinite. */
static PetscErrorCode CheckDiffusion(PetscInt d, const PetscReal D[], const char where[])
{
  double   *F     = FPScratchTake((size_t)(d * d));
  PetscReal scale = 0;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < d * d; k++) scale = PetscMax(scale, PetscAbsReal(D[k]));
  FPCholesky(d, 1, D, F);
  for (PetscInt k = 0; k < d * d; k++) {
    const PetscInt i = k / d, j = k % d;
    PetscReal      rest = D[k];

    for (PetscInt c = 0; c < d; c++) rest -= F[i * d + c] * F[j * d + c];
    FPInputCheck(PetscAbsReal(D[k] - D[j * d + i]) <= 1e-12 * scale && PetscAbsReal(rest) <= 1e-10 * scale,
                 "%s is not symmetric positive semidefinite", where);
  }
  FPScratchRelease(F);
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckKeys(FPConfig config, const Keys *keys, PetscInt *dim)
{
  const PetscInt d = (PetscInt)PetscSqrtReal((PetscReal)keys->drift.n);
  const char    *where;

  PetscFunctionBegin;
  FPInputCheck(keys->drift.n, "model_drift is missing; accepted: d x d numbers, row by row");
  FPInputCheck(keys->diffusion.n, "model_diffusion is missing; accepted: d x d numbers, row by row");
  PetscCall(FPConfigWhere(config, "model_drift", &where));
  FPInputCheck(d * d == keys->drift.n && d <= FP_MAX_DIM,
               "%s has %" PetscInt_FMT " numbers; accepted: d x d of them, d = 1 to %d", where, keys->drift.n,
               FP_MAX_DIM);
  PetscCall(FPConfigWhere(config, "model_diffusion", &where));
  FPInputCheck(keys->diffusion.n == d * d,
               "%s has %" PetscInt_FMT " numbers; accepted: as many as model_drift, %" PetscInt_FMT, where,
               keys->diffusion.n, d * d);
  PetscCall(CheckDiffusion(d, keys->diffusion.value, where));
  if (keys->center.n) PetscCall(FPConfigWhere(config, "model_center", &where));
  FPInputCheck(!keys->center.n || keys->center.n == d, "%s has %" PetscInt_FMT " numbers; accepted: %" PetscInt_FMT,
               where, keys->center.n, d);
  *dim = d;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelCreate_OU(FPModel model, FPConfig config)
{
  Keys     keys;
  OU      *ou;
  PetscInt d = 0;

  PetscFunctionBegin;
  FPInputCheck(!model->data, "data_type is set, but model_type = ou has no data; accepted: no section data");
  PetscCall(FPConfigRead(config, "model", FPOUParameters, &keys));
  PetscCall(CheckKeys(config, &keys, &d));
  PetscCall(PetscNew(&ou));
  PetscCall(PetscMalloc3(d * d, &ou->A, d * d, &ou->C, d * d, &ou->F));
  model->impl            = ou;
  model->ops             = Ops;
  model->sampler         = Sampler;
  model->sampler.normals = d;
  model->sampler.context = model;
  model->dim = model->weights = model->inputs = model->channels = d;
  model->potential                                              = PETSC_TRUE;
  for (PetscInt k = 0; k < d * d; k++) {
    ou->A[k] = keys.drift.value[k];
    ou->C[k] = 2 * model->training.batch_size / model->training.learning_rate * keys.diffusion.value[k];
    if (keys.drift.value[k] != keys.drift.value[k % d * d + k / d]) model->potential = PETSC_FALSE;
  }
  for (PetscInt i = 0; i < d; i++) ou->center[i] = keys.center.n ? keys.center.value[i] : 0;
  FPCholesky(d, 1, ou->C, ou->F);
  PetscCall(PetscStrncpy(model->coordinates, "weights", FP_TEXT));
  PetscCall(FPConfigFree(FPOUParameters, &keys));
  PetscFunctionReturn(0);
}

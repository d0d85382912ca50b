/* critical.c: critical points of V by Newton's method from the starts of the type. A step is minus the pseudo-inverse
   of the Hessian times the gradient: where a continuum of critical points passes, it moves across it, not along it. */
#include "modelimpl.h"
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_linalg.h>
#include <math.h>

#define FLAT 1e-7 /* eigenvalues of the Hessian below this, relative to its scale, count as zero */
#define SAME 1e-5 /* points nearer than this, relative to the scale of w, are one */

/* Sizes of the Hessian and of the weights where V has its features. */
static void Scales(FPModel model, PetscReal *hessian, PetscReal *size)
{
  PetscReal trace = model->training.weight_decay, best = 0;

  for (PetscInt j = 0; j < model->inputs; j++) trace += model->maps ? model->xx[j * (model->inputs + 1)] : 1;
  for (PetscInt a = 0; a < model->maps; a++) best = PetscMax(best, PetscAbsReal(model->best[a]));
  *hessian = trace * (1 + best);
  *size    = PetscPowReal(1 + best, 1.0 / PetscMax(1, model->depth));
}

/* Newton's method; arrived: at a point where the gradient vanishes. */
static PetscErrorCode NewtonRun(FPModel model, double w[], PetscBool *arrived)
{
  const PetscInt d = model->weights;
  gsl_matrix    *U = gsl_matrix_alloc((size_t)d, (size_t)d), *V = gsl_matrix_alloc((size_t)d, (size_t)d);
  gsl_vector    *S = gsl_vector_alloc((size_t)d), *work = gsl_vector_alloc((size_t)d);
  PetscReal      hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  *arrived = PETSC_FALSE;
  for (PetscInt step = 0; step < 100 && !*arrived; step++) {
    double g[FP_MAX_DIM], H[FP_MAX_DIM * FP_MAX_DIM], norm = 0, length = 0, reach = 0;

    FPModelGradient(model, 1, w, g);
    FPModelHessian(model, 1, w, H);
    for (PetscInt i = 0; i < d; i++) norm = PetscMax(norm, fabs(g[i]));
    for (PetscInt i = 0; i < d; i++) reach = PetscMax(reach, fabs(w[i]));
    if (!isfinite(norm) || reach > 100 * size) break;
    for (PetscInt k = 0; k < d * d; k++) gsl_matrix_set(U, (size_t)(k / d), (size_t)(k % d), H[k]);
    gsl_linalg_SV_decomp(U, V, S, work);
    for (PetscInt e = 0; e < d; e++) {
      const double sigma = gsl_vector_get(S, (size_t)e);
      double       move  = 0;

      if (sigma < 1e-11 * hessian) continue;
      for (PetscInt i = 0; i < d; i++) move -= gsl_matrix_get(U, (size_t)i, (size_t)e) * g[i] / sigma;
      for (PetscInt i = 0; i < d; i++) w[i] += move * gsl_matrix_get(V, (size_t)i, (size_t)e);
      length = PetscMax(length, fabs(move));
    }
    if (length < 1e-9 * size && norm < 1e-8 * hessian) *arrived = PETSC_TRUE;
  }
  gsl_vector_free(work);
  gsl_vector_free(S);
  gsl_matrix_free(V);
  gsl_matrix_free(U);
  PetscFunctionReturn(0);
}

/* Ascending eigenvalues of the symmetric part of the Hessian at w, index and flat of the point. */
static PetscErrorCode Classify(FPModel model, const double w[], FPCriticalPoint *point)
{
  const PetscInt            d     = model->weights;
  gsl_matrix               *A     = gsl_matrix_alloc((size_t)d, (size_t)d);
  gsl_vector               *value = gsl_vector_alloc((size_t)d);
  gsl_eigen_symm_workspace *work  = gsl_eigen_symm_alloc((size_t)d);
  double                    H[FP_MAX_DIM * FP_MAX_DIM];
  PetscReal                 hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  FPModelHessian(model, 1, w, H);
  for (PetscInt k = 0; k < d * d; k++)
    gsl_matrix_set(A, (size_t)(k / d), (size_t)(k % d), 0.5 * (H[k] + H[k % d * d + k / d]));
  gsl_eigen_symm(A, value, work);
  for (PetscInt i = 0; i < d; i++) point->eigenvalue[i] = gsl_vector_get(value, (size_t)i);
  PetscCall(PetscSortReal(d, point->eigenvalue));
  point->index = point->flat = 0;
  for (PetscInt i = 0; i < d; i++) {
    if (PetscAbsReal(point->eigenvalue[i]) < FLAT * hessian)
      point->flat++;
    else if (point->eigenvalue[i] < 0)
      point->index++;
  }
  FPModelPotential(model, 1, w, &point->value);
  FPModelProject(model, 1, w, point->z);
  gsl_eigen_symm_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(A);
  PetscFunctionReturn(0);
}

/* A tensor grid with an odd number of values per weight, so that 0 is one of them. */
static PetscErrorCode GridStarts(FPModel model, PetscInt *count, PetscReal **w)
{
  const PetscInt each[] = {65, 17, 9, 5}, d = model->weights;
  PetscReal      hessian, size;

  PetscFunctionBegin;
  PetscCheck(d <= 4, PETSC_COMM_SELF, PETSC_ERR_PLIB, "a model of %" PetscInt_FMT " weights has to give starts", d);
  Scales(model, &hessian, &size);
  *count = 1;
  for (PetscInt i = 0; i < d; i++) *count *= each[d - 1];
  PetscCall(PetscMalloc1(*count * d, w));
  for (PetscInt k = 0; k < *count; k++)
    for (PetscInt i = 0, rest = k; i < d; i++, rest /= each[d - 1])
      (*w)[k * d + i] = 1.5 * size * (2.0 * (rest % each[d - 1]) / (each[d - 1] - 1) - 1);
  PetscFunctionReturn(0);
}

/* Whether it is on the list already: at the same place or, met by a grid, on the same continuum. */
static PetscBool Known(FPModel model, PetscInt n, const FPCriticalPoint point[], const FPCriticalPoint *found)
{
  PetscReal hessian, size;

  Scales(model, &hessian, &size);
  for (PetscInt k = 0; k < n; k++) {
    PetscReal distance = 0;

    for (PetscInt i = 0; i < model->dim; i++) distance = PetscMax(distance, PetscAbsReal(point[k].z[i] - found->z[i]));
    if (distance < SAME * size) return PETSC_TRUE;
    if (!model->ops.starts && found->flat && found->flat == point[k].flat && found->index == point[k].index &&
        PetscAbsReal(found->value - point[k].value) < 1e-9 * hessian * size * size)
      return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscErrorCode Search(FPModel model, PetscInt *count, FPCriticalPoint **points)
{
  PetscInt   starts;
  PetscReal *w, hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  PetscCall((*(model->ops.starts ? model->ops.starts : GridStarts))(model, &starts, &w));
  PetscCall(PetscCalloc1(starts, points));
  *count = 0;
  for (PetscInt s = 0; s < starts; s++) {
    PetscReal      *ws = w + s * model->weights;
    FPCriticalPoint found;
    PetscBool       arrived;

    PetscCall(PetscMemzero(&found, sizeof(found)));
    PetscCall(NewtonRun(model, ws, &arrived));
    if (!arrived) continue;
    for (PetscInt i = 0; i < model->weights; i++)
      if (PetscAbsReal(ws[i]) < SAME * size) ws[i] = 0; /* zero weights belong to saddles: make them exact */
    PetscCall(Classify(model, ws, &found));
    if (!Known(model, *count, *points, &found)) (*points)[(*count)++] = found;
  }
  PetscCall(PetscFree(w));
  PetscFunctionReturn(0);
}

/* Larger first among equal minima: trace of M (sum of its entries unless square), then the sum of the weights, then
   the first weight. */
static PetscReal Preference(FPModel model, const FPCriticalPoint *point)
{
  double    M[FP_MAX_MAP], w[FP_MAX_DIM];
  PetscReal trace = 0, sum = 0;

  FPModelLift(model, 1, point->z, w);
  FPModelMap(model, 1, w, M);
  for (PetscInt a = 0; a < model->maps; a++)
    if (model->inputs != model->targets || a % (model->inputs + 1) == 0) trace += M[a];
  for (PetscInt i = 0; i < model->weights; i++) sum += w[i] * (1 - 1e-2 * i);
  return trace + 1e-6 * sum;
}

/* Whether a comes before b: minima first, ascending V, then by preference. */
static PetscBool Before(FPModel model, const FPCriticalPoint *a, const FPCriticalPoint *b)
{
  PetscReal hessian, size;

  Scales(model, &hessian, &size);
  if ((a->index == 0) != (b->index == 0)) return a->index == 0 ? PETSC_TRUE : PETSC_FALSE;
  if (PetscAbsReal(a->value - b->value) > 1e-9 * hessian * size * size)
    return a->value < b->value ? PETSC_TRUE : PETSC_FALSE;
  return Preference(model, a) > Preference(model, b) ? PETSC_TRUE : PETSC_FALSE;
}

/* minimum, minimum_2, ..., saddle, ..., maximum, ...; origin for w = 0 unless it is a minimum. */
static PetscErrorCode Baptise(FPModel model, PetscInt n, FPCriticalPoint point[])
{
  const char *const word[3] = {"minimum", "saddle", "maximum"};
  PetscInt          used[3] = {0, 0, 0};

  PetscFunctionBegin;
  for (PetscInt k = 0; k < n; k++) {
    const PetscInt kind = point[k].index == 0 ? 0 : point[k].index < model->weights ? 1 : 2;
    PetscBool      zero = PETSC_TRUE;

    for (PetscInt i = 0; i < model->dim; i++)
      if (point[k].z[i] != 0) zero = PETSC_FALSE;
    if (zero && (kind || (point[k].flat && point[k].value > point[0].value))) {
      PetscCall(PetscStrncpy(point[k].name, "origin", FP_NAME));
    } else if (used[kind]++) {
      PetscCall(PetscSNPrintf(point[k].name, FP_NAME, "%s_%" PetscInt_FMT, word[kind], used[kind]));
    } else {
      PetscCall(PetscStrncpy(point[k].name, word[kind], FP_NAME));
    }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelFindCriticalPoints(FPModel model)
{
  PetscFunctionBegin;
  PetscCall(Search(model, &model->points, &model->point));
  for (PetscInt k = 1; k < model->points; k++)
    for (PetscInt j = k; j > 0 && Before(model, &model->point[j], &model->point[j - 1]); j--) {
      const FPCriticalPoint swap = model->point[j];

      model->point[j]     = model->point[j - 1];
      model->point[j - 1] = swap;
    }
  PetscCall(Baptise(model, model->points, model->point));
  PetscFunctionReturn(0);
}

/* The smallest loss is that of a critical point without decay. */
PetscErrorCode FPModelFindGap(FPModel model)
{
  const PetscReal  decay = model->training.weight_decay;
  FPCriticalPoint *point;
  PetscInt         n;

  PetscFunctionBegin;
  model->gap                   = 0;
  model->training.weight_decay = 0;
  PetscCall(Search(model, &n, &point));
  PetscCheck(n, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED, "found no minimum of the loss of %s", model->type);
  model->gap = point[0].value;
  for (PetscInt k = 1; k < n; k++) model->gap = PetscMin(model->gap, point[k].value);
  model->training.weight_decay = decay;
  PetscCall(PetscFree(point));
  PetscFunctionReturn(0);
}

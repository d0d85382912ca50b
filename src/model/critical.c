/* critical.c: critical points of V by Newton's method from the starts of the type. A step is minus the pseudo-inverse
   of the Hessian times the gradient: where a continuum of critical points passes, it moves across it, not along it. */
#include "modelimpl.h"
#include <petscblaslapack.h>
#include <math.h>

#define FLAT 1e-7 /* eigenvalues of the Hessian below this, relative to its scale, count as zero */
#define SAME 1e-5 /* points nearer than this, relative to the scale of w, are one */

typedef enum { MINIMUM, SADDLE, MAXIMUM } Kind;
typedef struct {
  FPCriticalPoint point;
  Kind            kind;
} Found;

/* Sizes of the Hessian and of the weights where V has its features. */
static void Scales(FPModel model, PetscReal *hessian, PetscReal *size)
{
  PetscReal trace = model->training.weight_decay, best = 0;

  for (PetscInt j = 0; j < model->inputs; j++) trace += model->maps ? model->xx[j * (model->inputs + 1)] : 1;
  for (PetscInt a = 0; a < model->maps; a++) best = PetscMax(best, PetscAbsReal(model->best[a]));
  *hessian = trace * (1 + best);
  *size    = PetscPowReal(1 + best, 1.0 / PetscMax(1, model->depth));
}

PetscInt FPModelModuli(PetscInt L, PetscReal s, PetscReal target, PetscReal decay, PetscReal root[2])
{
  const PetscReal bound = 1.5 * PetscPowReal(1 + PetscAbsReal(target), 1.0 / L);
  const PetscInt  scan  = 2000;
  PetscInt        found = 0;

  if (decay == 0) {
    if (target > 0) root[found++] = PetscPowReal(target, 1.0 / L);
    return found;
  }
#define SLOPE(a) (s * (PetscPowRealInt(a, L) - target) * PetscPowRealInt(a, L - 1) + decay * (a))
  for (PetscInt k = 0; k < scan && found < 2; k++) {
    PetscReal lower = bound * (k + 0.5) / scan, upper = bound * (k + 1.5) / scan;

    if ((SLOPE(lower) > 0) == (SLOPE(upper) > 0)) continue;
    for (PetscInt step = 0; step < 60; step++) {
      const PetscReal middle = (lower + upper) / 2;

      if ((SLOPE(lower) > 0) == (SLOPE(middle) > 0))
        lower = middle;
      else
        upper = middle;
    }
    root[found++] = (lower + upper) / 2;
  }
#undef SLOPE
  return found;
}

/* w -= pseudo-inverse of H[d][d] times g, singular values below `least` counting as zero; *length: largest part of that
   step along a singular direction. H is destroyed; room[d * (2 d + 8)]. */
static PetscErrorCode NewtonStep(PetscInt d, PetscReal least, double H[], const double g[], double w[], double room[],
                                 PetscReal *length)
{
  double      *right = room, *left = right + d * d, *sigma = left + d * d, *work = sigma + d;
  PetscBLASInt n, lwork, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(d, &n));
  PetscCall(PetscBLASIntCast(7 * d, &lwork));
  /* by columns, LAPACK sees H^T = right^T sigma left^T, so H = left sigma right by rows */
  PetscCallBLAS("LAPACKgesvd", LAPACKgesvd_("A", "A", &n, &n, H, &n, sigma, right, &n, left, &n, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK gesvd returned %d", (int)info);
  *length = 0;
  for (PetscInt e = 0; e < d && sigma[e] >= least; e++) {
    double move = 0;

    for (PetscInt i = 0; i < d; i++) move -= left[i * d + e] * g[i] / sigma[e];
    for (PetscInt i = 0; i < d; i++) w[i] += move * right[e * d + i];
    *length = PetscMax(*length, fabs(move));
  }
  PetscFunctionReturn(0);
}

/* Newton's method; arrived: at a point where the gradient vanishes. */
static PetscErrorCode NewtonRun(FPModel model, double w[], PetscBool *arrived)
{
  const PetscInt d = model->weights;
  double        *H = FPScratchTake((size_t)(d * d)), *room = FPScratchTake((size_t)(d * (2 * d + 8)));
  double        *g = FPScratchTake((size_t)d);
  PetscReal      hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  *arrived = PETSC_FALSE;
  for (PetscInt step = 0; step < 100 && !*arrived; step++) {
    PetscReal norm = 0, length = 0, reach = 0;

    FPModelGradient(model, 1, w, g);
    FPModelHessian(model, 1, w, H);
    for (PetscInt i = 0; i < d; i++) norm = PetscMax(norm, fabs(g[i]));
    for (PetscInt i = 0; i < d; i++) reach = PetscMax(reach, fabs(w[i]));
    if (!isfinite(norm) || reach > 100 * size) break;
    PetscCall(NewtonStep(d, 1e-11 * hessian, H, g, w, room, &length));
    if (length < 1e-9 * size && norm < 1e-8 * hessian) *arrived = PETSC_TRUE;
  }
  FPScratchRelease(H);
  PetscFunctionReturn(0);
}

/* Whether V falls along some direction spanned by flat eigenvectors, vector[flat][d]: then a point without negative
   eigenvalues is a saddle of higher order. A fixed set of directions and one length are tried. */
static PetscBool Descends(FPModel model, const double w[], PetscReal value, PetscInt flat, const double vector[])
{
  PetscReal hessian, size;
  unsigned  random = 1;

  Scales(model, &hessian, &size);
  for (PetscInt trial = 0; trial < 256; trial++) {
    double v[FP_MAX_DIM] = {0}, V, norm = 0;

    for (PetscInt f = 0; f < flat; f++) {
      random = random * 1664525u + 1013904223u; /* Numerical Recipes' generator: any spread of directions will do */
      for (PetscInt i = 0; i < model->weights; i++)
        v[i] += ((random >> 8) / 8388608.0 - 1) * vector[f * model->weights + i];
    }
    for (PetscInt i = 0; i < model->weights; i++) norm += v[i] * v[i];
    for (PetscInt i = 0; i < model->weights; i++) v[i] = w[i] + 0.3 * size * v[i] / PetscSqrtReal(norm);
    FPModelPotential(model, 1, v, &V);
    if (V < value - 1e-9 * hessian * size * size) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

/* Is a point without negative eigenvalues a saddle? Of a network without decay whose local minima are global, by its
   value (Laurent and von Brecht, Deep linear networks with arbitrary loss: all local minima are global, 2018; of
   diagonal networks because V is convex in M, and M(w) open). A deep network falls from its saddles so slowly that no
   trial would tell. */
static PetscBool HigherSaddle(FPModel model, const double w[], const FPCriticalPoint *point, const double vector[])
{
  PetscReal hessian, size;

  if (point->flat == 0) return PETSC_FALSE;
  if (!model->benign || model->training.weight_decay > 0) return Descends(model, w, point->value, point->flat, vector);
  Scales(model, &hessian, &size);
  return (PetscBool)(point->value > 1e-9 * hessian * size * size);
}

/* Fills the point at w: ascending eigenvalues of the symmetric part of the Hessian, index, flat, kind. */
static PetscErrorCode Classify(FPModel model, const double w[], Found *found)
{
  const PetscInt   d     = model->weights;
  FPCriticalPoint *point = &found->point;
  double          *H = FPScratchTake((size_t)(d * d)), *A = FPScratchTake((size_t)(d * d));
  double          *work = FPScratchTake((size_t)(8 * d));
  PetscBLASInt     n, lwork, info;
  PetscReal        hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  FPModelPotential(model, 1, w, &point->value);
  FPModelProject(model, 1, w, point->z);
  FPModelHessian(model, 1, w, H);
  for (PetscInt k = 0; k < d * d; k++) A[k] = 0.5 * (H[k] + H[k % d * d + k / d]);
  PetscCall(PetscBLASIntCast(d, &n));
  PetscCall(PetscBLASIntCast(8 * d, &lwork));
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &n, A, &n, point->eigenvalue, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  for (PetscInt i = 0; i < d; i++) {
    if (PetscAbsReal(point->eigenvalue[i]) < FLAT * hessian)
      point->flat++;
    else if (point->eigenvalue[i] < 0)
      point->index++;
  }
  found->kind = point->index == 0 ? MINIMUM : point->index < d ? SADDLE : MAXIMUM;
  if (found->kind == MINIMUM && HigherSaddle(model, w, point, A)) found->kind = SADDLE; /* flat ones come first */
  FPScratchRelease(H);
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

/* Whether it is on the list already: at the same place or, unless they are isolated, on the same
   continuum (same value, index and flat directions). */
static PetscBool Known(FPModel model, PetscInt n, const Found list[], const FPCriticalPoint *point)
{
  PetscReal hessian, size;

  Scales(model, &hessian, &size);
  for (PetscInt k = 0; k < n; k++) {
    const FPCriticalPoint *other    = &list[k].point;
    PetscReal              distance = 0;

    for (PetscInt i = 0; i < model->dim; i++) distance = PetscMax(distance, PetscAbsReal(other->z[i] - point->z[i]));
    if (distance < SAME * size) return PETSC_TRUE;
    if (!model->isolated && point->flat && point->flat == other->flat && point->index == other->index &&
        PetscAbsReal(point->value - other->value) < 1e-9 * hessian * size * size)
      return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscErrorCode Search(FPModel model, PetscInt *count, Found **list)
{
  PetscInt   starts;
  PetscReal *w, hessian, size;

  PetscFunctionBegin;
  Scales(model, &hessian, &size);
  PetscCall((*(model->ops.starts ? model->ops.starts : GridStarts))(model, &starts, &w));
  PetscCall(PetscCalloc1(starts, list));
  *count = 0;
  for (PetscInt s = 0; s < starts; s++) {
    PetscReal *ws = w + s * model->weights;
    Found      found;
    PetscBool  arrived;

    PetscCall(PetscMemzero(&found, sizeof(found)));
    PetscCall(NewtonRun(model, ws, &arrived));
    if (!arrived) continue;
    for (PetscInt i = 0; i < model->weights; i++)
      if (PetscAbsReal(ws[i]) < SAME * size) ws[i] = 0; /* zero weights belong to saddles: make them exact */
    PetscCall(Classify(model, ws, &found));
    if (!Known(model, *count, *list, &found.point)) (*list)[(*count)++] = found;
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
static PetscBool Before(FPModel model, const Found *a, const Found *b)
{
  PetscReal hessian, size;

  Scales(model, &hessian, &size);
  if ((a->kind == MINIMUM) != (b->kind == MINIMUM)) return a->kind == MINIMUM ? PETSC_TRUE : PETSC_FALSE;
  if (PetscAbsReal(a->point.value - b->point.value) > 1e-9 * hessian * size * size)
    return a->point.value < b->point.value ? PETSC_TRUE : PETSC_FALSE;
  return Preference(model, &a->point) > Preference(model, &b->point) ? PETSC_TRUE : PETSC_FALSE;
}

/* minimum, minimum_2, ..., saddle, ..., maximum, ...; origin for w = 0 unless it is a minimum. */
static PetscErrorCode Baptise(FPModel model, PetscInt n, Found list[])
{
  const char *const word[3] = {"minimum", "saddle", "maximum"};
  PetscInt          used[3] = {0, 0, 0};

  PetscFunctionBegin;
  for (PetscInt k = 0; k < n; k++) {
    const Kind kind = list[k].kind;
    char      *name = list[k].point.name;
    PetscBool  zero = PETSC_TRUE;

    for (PetscInt i = 0; i < model->dim; i++)
      if (list[k].point.z[i] != 0) zero = PETSC_FALSE;
    if (zero && kind != MINIMUM) {
      PetscCall(PetscStrncpy(name, "origin", FP_NAME));
    } else if (used[kind]++) {
      PetscCall(PetscSNPrintf(name, FP_NAME, "%s_%" PetscInt_FMT, word[kind], used[kind]));
    } else {
      PetscCall(PetscStrncpy(name, word[kind], FP_NAME));
    }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelFindCriticalPoints(FPModel model)
{
  Found *list;

  PetscFunctionBegin;
  PetscCall(Search(model, &model->points, &list));
  for (PetscInt k = 1; k < model->points; k++)
    for (PetscInt j = k; j > 0 && Before(model, &list[j], &list[j - 1]); j--) {
      const Found swap = list[j];

      list[j]     = list[j - 1];
      list[j - 1] = swap;
    }
  PetscCall(Baptise(model, model->points, list));
  PetscCall(PetscCalloc1(PetscMax(1, model->points), &model->point));
  for (PetscInt k = 0; k < model->points; k++) model->point[k] = list[k].point;
  PetscCall(PetscFree(list));
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelFindCriticalPoint(FPModel model, const char name[], const FPCriticalPoint **point)
{
  const FPCriticalPoint *points, *origin = NULL;
  PetscInt               count;

  PetscFunctionBegin;
  *point = NULL;
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  for (PetscInt k = 0; k < count && !*point; k++) {
    if (!strcmp(points[k].name, name)) *point = &points[k];
    if (!strcmp(points[k].name, "origin")) origin = &points[k];
  }
  if (!*point && !strcmp(name, "saddle")) *point = origin;
  PetscFunctionReturn(0);
}

PetscErrorCode FPModelNameCriticalPoints(FPModel model, char text[])
{
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  PetscCall(PetscStrncpy(text, count ? points[0].name : "none", FP_TEXT));
  for (PetscInt k = 1; k < count && strlen(text) + FP_NAME + 2 < FP_TEXT; k++) {
    PetscCall(PetscStrlcat(text, ", ", FP_TEXT));
    PetscCall(PetscStrlcat(text, points[k].name, FP_TEXT));
  }
  PetscFunctionReturn(0);
}

/* The smallest loss is that of a critical point without decay. */
PetscErrorCode FPModelFindGap(FPModel model)
{
  const PetscReal decay = model->training.weight_decay;
  Found          *list;
  PetscInt        n;

  PetscFunctionBegin;
  model->gap                   = 0;
  model->training.weight_decay = 0;
  PetscCall(Search(model, &n, &list));
  PetscCheck(n, PETSC_COMM_SELF, PETSC_ERR_NOT_CONVERGED, "found no minimum of the loss of %s", model->type);
  model->gap = list[0].point.value;
  for (PetscInt k = 1; k < n; k++) model->gap = PetscMin(model->gap, list[k].point.value);
  model->training.weight_decay = decay;
  PetscCall(PetscFree(list));
  PetscFunctionReturn(0);
}

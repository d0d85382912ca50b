/* teacher.c: y = A x + xi with xi ~ N(0, sigma^2 I), common to the laws of x.
   With u = (x, y) = L x + (0, xi), L = [I; A]: second moments S = s L L^T + sigma^2 (0, I). Fourth moments by Isserlis,
   S_ab S_cd + S_ac S_bd + S_ad S_bc, plus sum_i k s^2 L_ai L_bi L_ci L_di where the inputs have fourth cumulant k s^2
   (Gauss 0, signs -2). */
#include "dataimpl.h"
#include <gsl/gsl_integration.h>

typedef struct {
  FPReals   teacher;
  FPStrings inputs, targets;
  PetscReal label_noise, second_moment;
} Keys;

const FPParameter FPTeacherParameters[] = {
    {"teacher", FP_REALS, offsetof(Keys, teacher), NULL, 0, 0, NULL, NULL,
     "matrix A by rows, targets x inputs numbers"},
    {"inputs", FP_STRINGS, offsetof(Keys, inputs), NULL, 0, 0, NULL, NULL,
     "a name for each input; without: one target, as many inputs as the teacher has numbers (four numbers: 2 x 2)"},
    {"targets", FP_STRINGS, offsetof(Keys, targets), NULL, 0, 0, NULL, NULL, "a name for each target"},
    {"label_noise", FP_REAL, offsetof(Keys, label_noise), "0", 0, PETSC_MAX_REAL, NULL, NULL,
     "standard deviation of the noise in each target"},
    {"second_moment", FP_REAL, offsetof(Keys, second_moment), "1", FP_POSITIVE, PETSC_MAX_REAL, NULL, NULL,
     "E x_i^2 of each input"},
    {.name = NULL},
};

/* One of the two lengths follows from the other when only one list of names is given. */
static PetscErrorCode FPTeacherSizes(const Keys *keys, const char where[], FPData data)
{
  const PetscInt n = keys->teacher.n;

  PetscFunctionBegin;
  data->inputs  = keys->inputs.n;
  data->targets = keys->targets.n;
  if (!data->inputs && !data->targets) {
    data->targets = n == 4 ? 2 : 1;
    data->inputs  = n / data->targets;
  } else if (!data->inputs) {
    data->inputs = n / data->targets;
  } else if (!data->targets) {
    data->targets = n / data->inputs;
  }
  FPInputCheck(data->inputs > 0 && data->targets > 0 && data->inputs * data->targets == n,
               "%s has %" PetscInt_FMT " numbers; accepted: targets x inputs numbers (%" PetscInt_FMT
               " inputs, %" PetscInt_FMT " targets are named)",
               where, n, keys->inputs.n, keys->targets.n);
  FPInputCheck(n <= FP_MAX_MAP, "%s has %" PetscInt_FMT " numbers; accepted: at most %d", where, n, FP_MAX_MAP);
  PetscFunctionReturn(0);
}

static PetscErrorCode FPTeacherMoments(FPData data, PetscReal cumulant)
{
  const FPTeacher *t = (const FPTeacher *)data->impl;
  const PetscInt   m = t->inputs, n = t->inputs + t->targets;
  PetscReal       *S, *F, L[2 * FP_MAX_MAP * FP_MAX_MAP] = {0};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(n * n, &data->second, n * n * n * n, &data->fourth));
  S = data->second;
  F = data->fourth;
  for (PetscInt a = 0; a < n; a++)
    for (PetscInt i = 0; i < m; i++) L[a * m + i] = a < m ? (a == i) : t->A[(a - m) * m + i];
  for (PetscInt a = 0; a < n; a++)
    for (PetscInt b = 0; b < n; b++) {
      S[a * n + b] = (a == b && a >= m) ? t->sigma * t->sigma : 0;
      for (PetscInt i = 0; i < m; i++) S[a * n + b] += t->s * L[a * m + i] * L[b * m + i];
    }
  for (PetscInt k = 0; k < n * n * n * n; k++) {
    const PetscInt a = k / (n * n * n), b = k / (n * n) % n, c = k / n % n, d = k % n;

    F[k] = S[a * n + b] * S[c * n + d] + S[a * n + c] * S[b * n + d] + S[a * n + d] * S[b * n + c];
    for (PetscInt i = 0; i < m; i++)
      F[k] += cumulant * t->s * t->s * L[a * m + i] * L[b * m + i] * L[c * m + i] * L[d * m + i];
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode FPTeacherDestroy(FPData data)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(data->impl));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTeacherCreate(FPData data, FPConfig config, PetscReal cumulant)
{
  Keys        keys;
  FPTeacher  *t;
  PetscBool   has;
  const char *where;

  PetscFunctionBegin;
  PetscCall(PetscNew(&t));
  data->impl    = t;
  data->destroy = FPTeacherDestroy;
  PetscCall(FPConfigRead(config, "data", FPTeacherParameters, &keys));
  PetscCall(FPConfigHas(config, "data_teacher", &has));
  FPInputCheck(has, "data_teacher is missing; accepted: targets x inputs numbers, row by row");
  PetscCall(FPConfigWhere(config, "data_teacher", &where));
  PetscCall(FPTeacherSizes(&keys, where, data));
  t->inputs  = data->inputs;
  t->targets = data->targets;
  t->s       = keys.second_moment;
  t->root    = PetscSqrtReal(t->s);
  t->sigma   = keys.label_noise;
  for (PetscInt a = 0; a < keys.teacher.n; a++) t->A[a] = keys.teacher.value[a];
  PetscCall(FPConfigFree(FPTeacherParameters, &keys));
  PetscCall(FPTeacherMoments(data, cumulant));
  data->sampler.context = t;
  PetscFunctionReturn(0);
}

PetscErrorCode FPGaussHermite(PetscInt degree, PetscInt *n, double **x, double **w)
{
  gsl_integration_fixed_workspace *rule;
  double                           sum = 0;

  PetscFunctionBegin;
  *n   = degree / 2 + 1;
  rule = gsl_integration_fixed_alloc(gsl_integration_fixed_hermite, (size_t)*n, 0.0, 0.5, 0.0, 0.0);
  PetscCheck(rule, PETSC_COMM_SELF, PETSC_ERR_MEM, "Gauss-Hermite rule with %" PetscInt_FMT " nodes", *n);
  PetscCall(PetscMalloc2(*n, x, *n, w));
  for (PetscInt k = 0; k < *n; k++) {
    (*x)[k] = gsl_integration_fixed_nodes(rule)[k];
    (*w)[k] = gsl_integration_fixed_weights(rule)[k];
    sum += (*w)[k];
  }
  for (PetscInt k = 0; k < *n; k++) (*w)[k] /= sum; /* the weight function is exp(-x^2/2), not yet a probability */
  gsl_integration_fixed_free(rule);
  PetscFunctionReturn(0);
}

/* Node k of the tensor rule: n values for each of the inputs, h values for each noise (just 0 without label noise). */
PetscErrorCode FPTeacherNodes(FPData data, PetscInt n, const double x[], const double w[], PetscInt degree,
                              PetscInt *count, PetscReal **u, PetscReal **weight)
{
  const FPTeacher *t = (const FPTeacher *)data->impl;
  const PetscInt   m = t->inputs, r = t->targets;
  PetscInt         h;
  double          *xi, *wi, total = 1;

  PetscFunctionBegin;
  PetscCall(FPGaussHermite(t->sigma > 0 ? degree : 0, &h, &xi, &wi));
  for (PetscInt i = 0; i < m + r; i++) total *= i < m ? n : h;
  PetscCheck(total < 1e7, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "%g quadrature nodes of degree %" PetscInt_FMT,
             total, degree);
  *count = (PetscInt)total;
  PetscCall(PetscMalloc1(*count * (m + r), u));
  PetscCall(PetscMalloc1(*count, weight));
  for (PetscInt k = 0; k < *count; k++) {
    PetscReal *uk   = *u + k * (m + r);
    PetscInt   rest = k;

    (*weight)[k] = 1;
    for (PetscInt i = 0; i < m; i++, rest /= n) {
      uk[i] = t->root * x[rest % n];
      (*weight)[k] *= w[rest % n];
    }
    for (PetscInt j = 0; j < r; j++, rest /= h) {
      uk[m + j] = t->sigma * xi[rest % h];
      (*weight)[k] *= wi[rest % h];
      for (PetscInt i = 0; i < m; i++) uk[m + j] += t->A[j * m + i] * uk[i];
    }
  }
  PetscCall(PetscFree2(xi, wi));
  PetscFunctionReturn(0);
}

void FPTeacherTargets(const FPTeacher *t, const float *normal, const double *x, double *y)
{
  for (int j = 0; j < t->targets; j++) {
    double *yj = y + j * FP_BLOCK;

    if (t->sigma > 0) {
#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) yj[l] = t->sigma * (double)normal[j * FP_BLOCK + l];
    } else {
      for (int l = 0; l < FP_BLOCK; l++) yj[l] = 0;
    }
    for (int i = 0; i < t->inputs; i++) {
      const double a = t->A[j * t->inputs + i];
#pragma omp simd
      for (int l = 0; l < FP_BLOCK; l++) yj[l] += a * x[i * FP_BLOCK + l];
    }
  }
}

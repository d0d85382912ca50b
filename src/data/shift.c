/* shift.c: the section data.shift: the law that the data would have with another second moment of the inputs, teacher
   or label noise. With A the least squares matrix of the data (their teacher, if they have one), S = E x x^T and N the
   second moment of y - A x, which is uncorrelated with x: E y x^T = A S and E y y^T = A S A^T + N. A shift replaces S,
   A, N one by one, and what it does not name stays. A loss knows second moments alone, so that is all of the law. */
#include "dataimpl.h"
#include <gsl/gsl_eigen.h>

typedef struct {
  FPReals   second_moment, teacher;
  PetscReal label_noise;
} Keys;

const FPParameter FPShiftParameters[] = {
    {"second_moment", FP_REALS, offsetof(Keys, second_moment), NULL, 0, 0, NULL, NULL,
     "E x x^T by rows, or one number: its multiple of I"},
    {"teacher", FP_REALS, offsetof(Keys, teacher), NULL, 0, 0, NULL, NULL,
     "matrix A by rows, targets x inputs numbers; file: instead of the least squares matrix"},
    {"label_noise", FP_REAL, offsetof(Keys, label_noise), NULL, 0, PETSC_MAX_REAL, NULL, NULL,
     "standard deviation of the noise in each target; file: instead of the residuals"},
    {.name = NULL},
};

/* A value where the section should be is refused, a section without keys likewise. */
static const FPParameter Section[] = {
    {"shift", FP_STRINGS, 0, NULL, 0, 0, "second_moment teacher label_noise", NULL, "the section itself"},
    {.name = NULL},
};

/* S[p][p], from one number or p x p of them */
static PetscErrorCode SecondMoment(const char where[], PetscInt p, const FPReals *given, PetscReal S[])
{
  gsl_matrix               *A     = gsl_matrix_alloc((size_t)p, (size_t)p);
  gsl_vector               *value = gsl_vector_alloc((size_t)p);
  gsl_eigen_symm_workspace *work  = gsl_eigen_symm_alloc((size_t)p);
  PetscReal                 least, most, skew = 0;

  PetscFunctionBegin;
  FPInputCheck(given->n == 1 || given->n == p * p,
               "%s has %" PetscInt_FMT " numbers; accepted: one, or inputs x inputs = %" PetscInt_FMT, where, given->n,
               p * p);
  for (PetscInt k = 0; k < p * p; k++) S[k] = given->n > 1 ? given->value[k] : k % (p + 1) ? 0 : given->value[0];
  for (PetscInt k = 0; k < p * p; k++) {
    gsl_matrix_set(A, (size_t)(k / p), (size_t)(k % p), S[k]);
    skew = PetscMax(skew, PetscAbsReal(S[k] - S[k % p * p + k / p]));
  }
  gsl_eigen_symm(A, value, work);
  gsl_vector_minmax(value, &least, &most);
  gsl_eigen_symm_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(A);
  FPInputCheck(most > 0 && skew <= 1e-12 * most && least >= -1e-12 * most,
               "%s is not symmetric positive semidefinite (and not 0), so it is no E x x^T", where);
  PetscFunctionReturn(0);
}

/* N[r][r], of what the least squares matrix A leaves of the targets */
static void Residuals(FPData data, const PetscReal A[], PetscReal N[])
{
  const PetscInt   p = data->inputs, r = data->targets, n = p + r;
  const PetscReal *second = data->second;

  for (PetscInt ij = 0; ij < r * r; ij++) {
    const PetscInt i = ij / r, j = ij % r;

    N[ij] = second[(p + i) * n + p + j];
    for (PetscInt a = 0; a < p; a++)
      for (PetscInt b = 0; b < p; b++) N[ij] -= A[i * p + a] * second[a * n + b] * A[j * p + b];
  }
}

/* Moments of (x, A x + xi), E x x^T = S, E xi xi^T = N */
static void Compose(FPData data, const PetscReal S[], const PetscReal A[], const PetscReal N[])
{
  const PetscInt p = data->inputs, r = data->targets, n = p + r;

  for (PetscInt ab = 0; ab < n * n; ab++) {
    const PetscInt a = ab / n, b = ab % n;

    data->second[ab] = a >= p && b >= p ? N[(a - p) * r + b - p] : 0;
    for (PetscInt i = 0; i < p; i++)
      for (PetscInt j = 0; j < p; j++)
        data->second[ab] +=
            (a < p ? a == i : A[(a - p) * p + i]) * S[i * p + j] * (b < p ? b == j : A[(b - p) * p + j]);
  }
}

static PetscErrorCode Apply(FPData data, FPConfig config, const Keys *keys, FPData shifted)
{
  const PetscInt p = data->inputs, r = data->targets, n = p + r;
  PetscReal      S[FP_MAX_MAP * FP_MAX_MAP], A[FP_MAX_MAP], N[FP_MAX_MAP * FP_MAX_MAP];
  const char    *where;

  PetscFunctionBegin;
  PetscCall(FPDataGetLeastSquares(data, A));
  Residuals(data, A, N);
  for (PetscInt k = 0; k < p * p; k++) S[k] = data->second[k / p * n + k % p];
  PetscCall(FPConfigWhere(config, "data_shift_second_moment", &where));
  if (keys->second_moment.n) PetscCall(SecondMoment(where, p, &keys->second_moment, S));
  PetscCall(FPConfigWhere(config, "data_shift_teacher", &where));
  FPInputCheck(!keys->teacher.n || keys->teacher.n == p * r,
               "%s has %" PetscInt_FMT " numbers; accepted: targets x inputs = %" PetscInt_FMT, where, keys->teacher.n,
               p * r);
  for (PetscInt k = 0; k < keys->teacher.n; k++) A[k] = keys->teacher.value[k];
  for (PetscInt k = 0; k < r * r && !PetscIsNanReal(keys->label_noise); k++)
    N[k] = k % (r + 1) ? 0 : PetscSqr(keys->label_noise);
  Compose(shifted, S, A, N);
  PetscFunctionReturn(0);
}

PetscErrorCode FPShiftCreate(FPData data, FPConfig config)
{
  const PetscInt n = data->inputs + data->targets;
  Keys           keys;
  FPStrings      section;
  PetscBool      has;
  const char    *where;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "data", Section, &section));
  PetscCall(FPConfigWhere(config, "data_shift", &where));
  FPInputCheck(!section.n, "%s: this is a section; its keys are second_moment, teacher, label_noise", where);
  PetscCall(FPConfigFree(Section, &section));
  PetscCall(FPConfigRead(config, "data_shift", FPShiftParameters, &keys));
  PetscCall(FPConfigHas(config, "data_shift", &has));
  if (has) {
    FPData shifted;

    PetscCall(FPDataCreateOther(data, FP_LAW_SHIFTED, &shifted));
    PetscCall(PetscMalloc2(n * n, &shifted->second, 0, &shifted->fourth));
    PetscCall(Apply(data, config, &keys, shifted));
  }
  PetscCall(FPConfigFree(FPShiftParameters, &keys));
  PetscFunctionReturn(0);
}

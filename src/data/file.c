/* file.c: "file": the rows of a CSV file, drawn uniformly with replacement; every expectation is the exact mean over
   rows. standardize: each column gets mean 0 and population variance 1. whiten: the inputs are multiplied by the
   symmetric root (E x x^T)^{-1/2}, the one that moves them least; another root would rotate the inputs and nothing
   else. Sampler: one word, row = floor(word rows/2^32), so no two probabilities differ by more than 2^-32. */
#include "dataimpl.h"
#include <gsl/gsl_eigen.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  char      path[FP_TEXT], test[FP_TEXT];
  FPStrings inputs, targets;
  PetscBool standardize, whiten;
} Keys;

const FPParameter FPFileParameters[] = {
    {"path", FP_STRING, offsetof(Keys, path), NULL, 0, 0, NULL, NULL, "CSV file with a header"},
    {"test", FP_STRING, offsetof(Keys, test), NULL, 0, 0, NULL, NULL,
     "CSV file with the same columns, transformed as the rows of path, for test_loss"},
    {"inputs", FP_STRINGS, offsetof(Keys, inputs), NULL, 0, 0, NULL, NULL,
     "columns of x; default: all that are not targets"},
    {"targets", FP_STRINGS, offsetof(Keys, targets), NULL, 0, 0, NULL, NULL, "columns of y; default: the last column"},
    {"standardize", FP_BOOL, offsetof(Keys, standardize), "false", 0, 0, NULL, NULL,
     "each column to mean 0 and population variance 1"},
    {"whiten", FP_BOOL, offsetof(Keys, whiten), "false", 0, 0, NULL, NULL, "inputs also to E x x^T = I"},
    {.name = NULL},
};

/* What standardize and whiten do to the rows of the training file, and then to those of any other: u - mean, over
   scale, and x -> root x. */
typedef struct {
  PetscReal mean[2 * FP_MAX_MAP], scale[2 * FP_MAX_MAP], root[FP_MAX_MAP * FP_MAX_MAP];
} Transform;

typedef struct {
  PetscInt rows, inputs, targets;
  double  *u; /* [rows][inputs + targets] */
} File;

static PetscErrorCode FitScale(const char where[], const FPTable *table, Transform *t)
{
  PetscFunctionBegin;
  for (PetscInt c = 0; c < table->columns; c++) {
    const PetscReal *u    = table->value + c;
    PetscReal        mean = 0, variance = 0, largest = 0;

    for (PetscInt r = 0; r < table->rows; r++) mean += u[r * table->columns] / table->rows;
    for (PetscInt r = 0; r < table->rows; r++) {
      const PetscReal centred = u[r * table->columns] - mean;

      largest = PetscMax(largest, PetscAbsReal(centred));
      variance += centred * centred / table->rows;
    }
    FPInputCheck(largest > 1e-13 * PetscAbsReal(mean) && variance > 0,
                 "%s: column %s is constant, so data_standardize cannot give it variance 1", where, table->name[c]);
    t->mean[c]  = mean;
    t->scale[c] = PetscSqrtReal(variance);
  }
  PetscFunctionReturn(0);
}

static void Scale(const Transform *t, FPTable *table)
{
  for (PetscInt r = 0; r < table->rows; r++)
    for (PetscInt c = 0; c < table->columns; c++) {
      PetscReal *u = &table->value[r * table->columns + c];

      *u -= t->mean[c];
      *u /= t->scale[c];
    }
}

/* root = (E x x^T)^{-1/2}, from the eigenvectors of E x x^T */
static PetscErrorCode FitRoot(const char where[], PetscInt p, const FPTable *table, Transform *t)
{
  gsl_matrix                *S = gsl_matrix_calloc((size_t)p, (size_t)p), *V = gsl_matrix_alloc((size_t)p, (size_t)p);
  gsl_vector                *value = gsl_vector_alloc((size_t)p);
  gsl_eigen_symmv_workspace *work  = gsl_eigen_symmv_alloc((size_t)p);

  PetscFunctionBegin;
  for (PetscInt r = 0; r < table->rows; r++)
    for (PetscInt k = 0; k < p * p; k++) {
      const PetscReal *u = table->value + r * table->columns;

      *gsl_matrix_ptr(S, (size_t)(k / p), (size_t)(k % p)) += u[k / p] * u[k % p] / table->rows;
    }
  gsl_eigen_symmv(S, value, V, work);
  FPInputCheck(gsl_vector_min(value) > 1e-12 * gsl_vector_max(value),
               "%s: the inputs are linearly dependent, so data_whiten has no solution", where);
  PetscCall(PetscArrayzero(t->root, p * p));
  for (PetscInt k = 0; k < p * p * p; k++) {
    const size_t i = (size_t)(k / (p * p)), j = (size_t)(k / p % p), e = (size_t)(k % p);

    t->root[k / p] += gsl_matrix_get(V, i, e) * gsl_matrix_get(V, j, e) / PetscSqrtReal(gsl_vector_get(value, e));
  }
  gsl_eigen_symmv_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(V);
  gsl_matrix_free(S);
  PetscFunctionReturn(0);
}

static void Whiten(const Transform *t, PetscInt p, FPTable *table)
{
  PetscReal x[FP_MAX_MAP];

  for (PetscInt r = 0; r < table->rows; r++) {
    PetscReal *u = table->value + r * table->columns;

    memcpy(x, u, (size_t)p * sizeof(PetscReal));
    for (PetscInt i = 0; i < p; i++) {
      u[i] = 0;
      for (PetscInt j = 0; j < p; j++) u[i] += t->root[i * p + j] * x[j];
    }
  }
}

/* Means over the rows; each set of equal indices is summed once. */
static PetscErrorCode Moments(FPData data)
{
  const File    *f = (const File *)data->impl;
  const PetscInt n = f->inputs + f->targets;

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(n * n, &data->second, n * n * n * n, &data->fourth));
  for (PetscInt k = 0; k < n * n * n * n; k++) {
    PetscInt  index[4] = {k / (n * n * n), k / (n * n) % n, k / n % n, k % n}, same;
    PetscReal sum      = 0;

    PetscCall(PetscSortInt(4, index));
    same = ((index[0] * n + index[1]) * n + index[2]) * n + index[3];
    if (same < k) {
      data->fourth[k] = data->fourth[same];
      continue;
    }
    for (PetscInt r = 0; r < f->rows; r++) {
      const double *u = f->u + r * n;

      sum += u[index[0]] * u[index[1]] * u[index[2]] * u[index[3]];
    }
    data->fourth[k] = sum / f->rows;
  }
  for (PetscInt k = 0; k < n * n; k++) {
    for (PetscInt r = 0; r < f->rows; r++) data->second[k] += f->u[r * n + k / n] * f->u[r * n + k % n];
    data->second[k] /= f->rows;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode FPDataNodes_File(FPData data, PETSC_UNUSED PetscInt degree, PetscInt *count, PetscReal **u,
                                       PetscReal **weight)
{
  const File    *f = (const File *)data->impl;
  const PetscInt n = f->inputs + f->targets;

  PetscFunctionBegin;
  *count = f->rows;
  PetscCall(PetscMalloc1(f->rows * n, u));
  PetscCall(PetscMalloc1(f->rows, weight));
  PetscCall(PetscArraycpy(*u, f->u, f->rows * n));
  for (PetscInt r = 0; r < f->rows; r++) (*weight)[r] = 1.0 / f->rows;
  PetscFunctionReturn(0);
}

FP_HOT static void FPDataDraw_File(const void *context, PETSC_UNUSED const float *normal, const unsigned *word,
                                   double *x, double *y)
{
  const File *f = (const File *)context;
  const int   p = f->inputs, n = f->inputs + f->targets;

  for (int a = 0; a < n; a++) {
    const double *u   = f->u + a;
    double       *out = a < p ? x + a * FP_BLOCK : y + (a - p) * FP_BLOCK;
#pragma omp simd
    for (int l = 0; l < FP_BLOCK; l++) out[l] = u[(((uint64_t)word[l] * (uint64_t)f->rows) >> 32) * (uint64_t)n];
  }
}

static PetscErrorCode FPDataDestroy_File(FPData data)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(((File *)data->impl)->u));
  PetscCall(PetscFree(data->impl));
  PetscFunctionReturn(0);
}

/* Names of the inputs, then of the targets, and how many there are of each; the strings are borrowed from keys and all.
 */
static PetscErrorCode Columns(const char where[], const Keys *keys, const FPTable *all, FPData data, PetscInt room,
                              char *name[])
{
  PetscInt n    = 0;
  char    *last = all->name[all->columns - 1], **target = keys->targets.n ? keys->targets.value : &last;

  PetscFunctionBegin;
  data->targets = keys->targets.n ? keys->targets.n : 1;
  data->inputs  = keys->inputs.n;
  for (PetscInt c = 0; c < all->columns && !keys->inputs.n; c++) {
    PetscBool is = PETSC_FALSE;

    for (PetscInt t = 0; t < data->targets; t++)
      if (!strcmp(target[t], all->name[c])) is = PETSC_TRUE;
    if (!is) data->inputs++;
    if (!is && n < room) name[n++] = all->name[c];
  }
  FPInputCheck(
      data->inputs > 0 && data->inputs * data->targets <= FP_MAX_MAP,
      "%s: %" PetscInt_FMT " inputs and %" PetscInt_FMT
      " targets; accepted: at least one of each, inputs x targets at most %d (choose columns with data_inputs, "
      "data_targets)",
      where, data->inputs, data->targets, FP_MAX_MAP);
  for (PetscInt c = 0; c < keys->inputs.n; c++) name[n++] = keys->inputs.value[c];
  for (PetscInt t = 0; t < data->targets; t++) name[n++] = target[t];
  for (PetscInt c = 0; c < n; c++)
    for (PetscInt b = 0; b < c; b++)
      FPInputCheck(strcmp(name[c], name[b]), "%s: column %s is named twice in data_inputs, data_targets", where,
                   name[c]);
  PetscFunctionReturn(0);
}

static const FPSampler Sampler = {.words = 1, .draw = FPDataDraw_File};

/* Reads the named columns, transforms them (fit: by what these rows ask for, kept in *t) and completes data. where: the
 * key. */
static PetscErrorCode Load(FPData data, const Keys *keys, const char file[], const char where[], char *name[],
                           PetscBool fit, Transform *t)
{
  File   *f;
  FPTable table;

  PetscFunctionBegin;
  PetscCall(PetscNew(&f));
  data->impl            = f;
  data->nodes           = FPDataNodes_File;
  data->destroy         = FPDataDestroy_File;
  data->sampler         = Sampler;
  data->sampler.context = f;
  PetscCall(FPTableRead(file, where, data->inputs + data->targets, name, &table));
  if (keys->standardize && fit) PetscCall(FitScale(where, &table, t));
  if (keys->standardize) Scale(t, &table);
  if (keys->whiten && fit) PetscCall(FitRoot(where, data->inputs, &table, t));
  if (keys->whiten) Whiten(t, data->inputs, &table);
  f->rows     = table.rows;
  f->inputs   = data->inputs;
  f->targets  = data->targets;
  f->u        = table.value;
  table.value = NULL;
  PetscCall(FPTableFree(&table));
  PetscCall(Moments(data));
  PetscFunctionReturn(0);
}

/* The key's text for messages, and the path of its file. */
static PetscErrorCode Locate(FPConfig config, const char key[], const char path[], char where[2 * FP_TEXT],
                             char file[FP_TEXT])
{
  const char *text;

  PetscFunctionBegin;
  PetscCall(FPConfigWhere(config, key, &text));
  PetscCall(PetscStrncpy(where, text, 2 * FP_TEXT));
  PetscCall(FPConfigPath(config, path, file, FP_TEXT));
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataCreate_File(FPData data, FPConfig config)
{
  Keys      keys;
  Transform transform;
  FPTable   header;
  char      file[FP_TEXT], where[2 * FP_TEXT], *name[2 * FP_MAX_MAP];

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "data", FPFileParameters, &keys));
  FPInputCheck(keys.path[0], "data_path is missing; accepted: the name of a CSV file with a header");
  PetscCall(Locate(config, "data_path", keys.path, where, file));
  PetscCall(FPTableHeader(file, where, &header));
  PetscCall(Columns(where, &keys, &header, data, FP_MAX_MAP, name));
  PetscCall(Load(data, &keys, file, where, name, PETSC_TRUE, &transform));
  if (keys.test[0]) {
    FPData test;

    PetscCall(FPDataCreateOther(data, FP_LAW_TEST, &test));
    PetscCall(Locate(config, "data_test", keys.test, where, file));
    PetscCall(Load(test, &keys, file, where, name, PETSC_FALSE, &transform));
  }
  PetscCall(FPTableFree(&header));
  PetscCall(FPConfigFree(FPFileParameters, &keys));
  PetscFunctionReturn(0);
}

/* file.c: "file": the rows of a CSV file, drawn uniformly with replacement; every expectation is the exact mean over
   rows. standardize: each column gets mean 0 and population variance 1. whiten: the inputs are multiplied by the
   symmetric root (E x x^T)^{-1/2}, the one that moves them least; another root would rotate the inputs and nothing
   else. Sampler: one word, row = floor(word rows/2^32), so no two probabilities differ by more than 2^-32. */
#include "dataimpl.h"
#include <gsl/gsl_eigen.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  char      path[FP_TEXT];
  FPStrings inputs, targets;
  PetscBool standardize, whiten;
} Keys;

const FPParameter FPFileParameters[] = {
    {"path", FP_STRING, offsetof(Keys, path), NULL, 0, 0, NULL, NULL, "CSV file with a header"},
    {"inputs", FP_STRINGS, offsetof(Keys, inputs), NULL, 0, 0, NULL, NULL,
     "columns of x; default: all that are not targets"},
    {"targets", FP_STRINGS, offsetof(Keys, targets), NULL, 0, 0, NULL, NULL, "columns of y; default: the last column"},
    {"standardize", FP_BOOL, offsetof(Keys, standardize), "false", 0, 0, NULL, NULL,
     "each column to mean 0 and population variance 1"},
    {"whiten", FP_BOOL, offsetof(Keys, whiten), "false", 0, 0, NULL, NULL, "inputs also to E x x^T = I"},
    {.name = NULL},
};

typedef struct {
  PetscInt rows, inputs, targets;
  double  *u; /* [rows][inputs + targets] */
} File;

static PetscErrorCode Standardize(const char where[], FPTable *table)
{
  PetscFunctionBegin;
  for (PetscInt c = 0; c < table->columns; c++) {
    PetscReal mean = 0, variance = 0, largest = 0, *u = table->value + c;

    for (PetscInt r = 0; r < table->rows; r++) mean += u[r * table->columns] / table->rows;
    for (PetscInt r = 0; r < table->rows; r++) {
      u[r * table->columns] -= mean;
      largest = PetscMax(largest, PetscAbsReal(u[r * table->columns]));
      variance += u[r * table->columns] * u[r * table->columns] / table->rows;
    }
    FPInputCheck(largest > 1e-13 * PetscAbsReal(mean) && variance > 0,
                 "%s: column %s is constant, so data_standardize cannot give it variance 1", where, table->name[c]);
    for (PetscInt r = 0; r < table->rows; r++) u[r * table->columns] /= PetscSqrtReal(variance);
  }
  PetscFunctionReturn(0);
}

/* x becomes W x with W = (E x x^T)^{-1/2}, from the eigenvectors of E x x^T. */
static PetscErrorCode Whiten(const char where[], PetscInt p, FPTable *table)
{
  gsl_matrix                *S = gsl_matrix_calloc((size_t)p, (size_t)p), *V = gsl_matrix_alloc((size_t)p, (size_t)p);
  gsl_vector                *value = gsl_vector_alloc((size_t)p);
  gsl_eigen_symmv_workspace *work  = gsl_eigen_symmv_alloc((size_t)p);
  PetscReal                  x[FP_MAX_MAP];

  PetscFunctionBegin;
  for (PetscInt r = 0; r < table->rows; r++)
    for (PetscInt k = 0; k < p * p; k++) {
      const PetscReal *u = table->value + r * table->columns;

      *gsl_matrix_ptr(S, (size_t)(k / p), (size_t)(k % p)) += u[k / p] * u[k % p] / table->rows;
    }
  gsl_eigen_symmv(S, value, V, work);
  FPInputCheck(gsl_vector_min(value) > 1e-12 * gsl_vector_max(value),
               "%s: the inputs are linearly dependent, so data_whiten has no solution", where);
  gsl_matrix_set_zero(S);
  for (PetscInt k = 0; k < p * p * p; k++) {
    const size_t i = (size_t)(k / (p * p)), j = (size_t)(k / p % p), e = (size_t)(k % p);

    *gsl_matrix_ptr(S, i, j) +=
        gsl_matrix_get(V, i, e) * gsl_matrix_get(V, j, e) / PetscSqrtReal(gsl_vector_get(value, e));
  }
  for (PetscInt r = 0; r < table->rows; r++) {
    PetscReal *u = table->value + r * table->columns;

    memcpy(x, u, (size_t)p * sizeof(PetscReal));
    for (PetscInt i = 0; i < p; i++) {
      u[i] = 0;
      for (PetscInt j = 0; j < p; j++) u[i] += gsl_matrix_get(S, (size_t)i, (size_t)j) * x[j];
    }
  }
  gsl_eigen_symmv_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(V);
  gsl_matrix_free(S);
  PetscFunctionReturn(0);
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

/* Reads, transforms and hands the values over to *f. */
static PetscErrorCode Load(FPData data, const Keys *keys, const char file[], const char where[], File *f)
{
  FPTable header, table;
  char   *name[2 * FP_MAX_MAP];

  PetscFunctionBegin;
  PetscCall(FPTableHeader(file, where, &header));
  PetscCall(Columns(where, keys, &header, data, FP_MAX_MAP, name));
  PetscCall(FPTableRead(file, where, data->inputs + data->targets, name, &table));
  if (keys->standardize) PetscCall(Standardize(where, &table));
  if (keys->whiten) PetscCall(Whiten(where, data->inputs, &table));
  f->rows     = table.rows;
  f->inputs   = data->inputs;
  f->targets  = data->targets;
  f->u        = table.value;
  table.value = NULL;
  PetscCall(FPTableFree(&table));
  PetscCall(FPTableFree(&header));
  PetscFunctionReturn(0);
}

static const FPSampler Sampler = {.words = 1, .draw = FPDataDraw_File};

PetscErrorCode FPDataCreate_File(FPData data, FPConfig config)
{
  Keys        keys;
  File       *f;
  const char *text;
  char        file[FP_TEXT], where[2 * FP_TEXT];

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "data", FPFileParameters, &keys));
  FPInputCheck(keys.path[0], "data_path is missing; accepted: the name of a CSV file with a header");
  PetscCall(FPConfigWhere(config, "data_path", &text));
  PetscCall(PetscStrncpy(where, text, sizeof(where)));
  PetscCall(FPConfigPath(config, keys.path, file, sizeof(file)));
  PetscCall(PetscNew(&f));
  data->impl    = f;
  data->nodes   = FPDataNodes_File;
  data->destroy = FPDataDestroy_File;
  PetscCall(Load(data, &keys, file, where, f));
  PetscCall(Moments(data));
  data->sampler         = Sampler;
  data->sampler.context = f;
  PetscCall(FPConfigFree(FPFileParameters, &keys));
  PetscFunctionReturn(0);
}

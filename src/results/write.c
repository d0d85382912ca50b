/* write.c: results.json, results.h5 and results.xdmf. Each file is complete in memory before the first byte is written,
   all are written under temporary names, and only then renamed: a run that is killed or finds the disk full leaves
   the old or the new file, never half of one. results.json comes last, so it speaks of fields that are there. */
#include "resultsimpl.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static PetscErrorCode Set(json_t *object, const char key[], json_t *value) /* takes the reference to value */
{
  PetscFunctionBegin;
  PetscCheck(!json_object_set_new(object, key, value), PETSC_COMM_SELF, PETSC_ERR_PLIB,
             "value of %s cannot be written as JSON", key);
  PetscFunctionReturn(0);
}

static PetscErrorCode SetString(json_t *object, const char key[], const char value[])
{
  PetscFunctionBegin;
  PetscCall(Set(object, key, json_string(value)));
  PetscFunctionReturn(0);
}

static PetscErrorCode Append(json_t *array, json_t *value)
{
  PetscFunctionBegin;
  PetscCheck(!json_array_append_new(array, value), PETSC_COMM_SELF, PETSC_ERR_MEM, "out of memory");
  PetscFunctionReturn(0);
}

static PetscErrorCode RowJSON(const FPRow *row, json_t *object)
{
  PetscFunctionBegin;
  PetscCall(SetString(object, "process", row->process));
  PetscCall(SetString(object, "engine", row->engine));
  PetscCall(SetString(object, "observable", row->observable));
  PetscCall(SetString(object, "quantity", row->quantity));
  if (row->status) {
    PetscCall(SetString(object, "status", row->status));
    PetscCall(SetString(object, "reason", row->reason));
    PetscFunctionReturn(0);
  }
  PetscCall(Set(object, "value", json_real((double)row->value)));
  PetscCall(Set(object, "error", json_real((double)row->error)));
  PetscCall(SetString(object, "error_kind", row->kind == FP_BOUND ? "bound" : "standard"));
  PetscCall(SetString(object, "unit", row->unit));
  PetscFunctionReturn(0);
}

/* What cross-check and comparison have in common; engines in the order of the difference. */
static PetscErrorCode PairJSON(FPResults r, const FPPair *pair, json_t *object)
{
  const FPRow *a = &r->row[pair->a], *b = &r->row[pair->b];

  PetscFunctionBegin;
  PetscCall(SetString(object, "process", a->process));
  PetscCall(SetString(object, "observable", a->observable));
  PetscCall(SetString(object, "quantity", a->quantity));
  PetscCall(Set(object, "engines", json_pack("[ss]", a->engine, b->engine)));
  PetscCall(Set(object, "difference", json_real((double)pair->difference)));
  PetscCall(Set(object, "error", json_real((double)pair->error)));
  PetscCall(Set(object, "z", pair->defined ? json_real((double)pair->z) : json_null()));
  PetscFunctionReturn(0);
}

static PetscErrorCode ComparisonJSON(FPResults r, const FPPair *pair, json_t *object)
{
  const double value = (double)r->row[pair->a].value, reference = (double)r->row[pair->b].value;

  PetscFunctionBegin;
  PetscCall(PairJSON(r, pair, object));
  PetscCall(SetString(object, "reference", r->reference));
  PetscCall(Set(object, "value", json_real(value)));
  PetscCall(Set(object, "reference_value", json_real(reference)));
  PetscFunctionReturn(0);
}

static double PeakMemoryMiB(void)
{
  struct rusage usage;

  return getrusage(RUSAGE_SELF, &usage) ? 0.0 : (double)usage.ru_maxrss / 1024.0; /* Linux counts KiB */
}

PetscErrorCode FPResultsFile_JSON(FPResults r, FPFile *file)
{
  json_t *root = json_object(), *rows = json_array(), *pairs = json_array(), *comparisons = json_array();

  PetscFunctionBegin;
  PetscCall(Set(root, "schema", json_integer(FP_SCHEMA)));
  PetscCall(SetString(root, "version", FP_VERSION));
  PetscCall(Set(root, "run", json_incref(r->run)));
  PetscCall(Set(root, "results", rows));
  PetscCall(Set(root, "crosscheck", pairs));
  PetscCall(Set(root, "comparison", comparisons));
  for (PetscInt i = 0; i < r->rows; i++) {
    PetscCall(Append(rows, json_object()));
    PetscCall(RowJSON(&r->row[i], json_array_get(rows, (size_t)i)));
  }
  for (PetscInt i = 0; i < r->pairs; i++) {
    PetscCall(Append(pairs, json_object()));
    PetscCall(PairJSON(r, &r->pair[i], json_array_get(pairs, (size_t)i)));
    PetscCall(Set(json_array_get(pairs, (size_t)i), "agree", json_boolean(r->pair[i].agree)));
  }
  for (PetscInt i = 0; i < r->comparisons; i++) {
    PetscCall(Append(comparisons, json_object()));
    PetscCall(ComparisonJSON(r, &r->comparison[i], json_array_get(comparisons, (size_t)i)));
  }
  PetscCall(Set(root, "timing", json_incref(r->timing)));
  PetscCall(Set(root, "memory_mib", json_real(PeakMemoryMiB())));
  PetscCall(Set(root, "warnings", json_incref(r->warnings)));
  file->name = "results.json";
  file->data = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  json_decref(root);
  PetscCheck(file->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "cannot write the results as JSON");
  file->size = strlen(file->data);
  PetscFunctionReturn(0);
}

static int WriteAll(const char path[], const char data[], size_t size)
{
  FILE *out = fopen(path, "wb");
  int   code;

  if (!out) return errno;
  errno = 0;
  code  = (fwrite(data, 1, size, out) == size) ? 0 : errno ? errno : EIO;
  if (fclose(out) && !code) code = errno;
  return code;
}

static PetscErrorCode Paths(FPResults r, const FPFile *file, char path[], char temporary[], size_t length)
{
  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(path, length, "%s/%s", r->dir, file->name));
  PetscCall(PetscSNPrintf(temporary, length, "%s.%d.tmp", path, (int)getpid()));
  PetscFunctionReturn(0);
}

static PetscErrorCode Save(FPResults r, PetscInt n, const FPFile file[])
{
  char path[FP_TEXT + 64], temporary[FP_TEXT + 96];
  int  code = 0;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < n && !code; i++) {
    PetscCall(Paths(r, &file[i], path, temporary, sizeof(path)));
    code = WriteAll(temporary, file[i].data, file[i].size);
  }
  for (PetscInt i = 0; i < n && !code; i++) {
    PetscCall(Paths(r, &file[i], path, temporary, sizeof(path)));
    if (rename(temporary, path)) code = errno;
  }
  for (PetscInt i = 0; i < n && code; i++) {
    PetscCall(Paths(r, &file[i], path, temporary, sizeof(path)));
    (void)unlink(temporary);
  }
  PetscCheck(!code, PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write the results to %s: %s; the old files are kept",
             r->dir, strerror(code));
  r->written = PETSC_TRUE;
  PetscFunctionReturn(0);
}

static PetscErrorCode Write(FPResults r)
{
  FPFile         file[3] = {{NULL, NULL, 0}, {NULL, NULL, 0}, {NULL, NULL, 0}};
  PetscErrorCode ierr;

  PetscFunctionBegin;
  ierr = FPResultsFile_HDF5(r, &file[0]);
  if (!ierr) ierr = FPResultsFile_XDMF(r, &file[1]);
  if (!ierr) ierr = FPResultsFile_JSON(r, &file[2]);
  if (!ierr) ierr = Save(r, 3, file);
  for (PetscInt i = 0; i < 3; i++) free(file[i].data);
  PetscCall(ierr);
  PetscFunctionReturn(0);
}

/* Collective; rank 0 writes, and its failure is everybody's. */
PetscErrorCode FPResultsWrite(FPResults results)
{
  int ierr = 0;

  PetscFunctionBegin;
  if (results->rank == 0) ierr = Write(results);
  PetscCallMPI(MPI_Bcast(&ierr, 1, MPI_INT, 0, PETSC_COMM_WORLD));
  PetscCall(ierr);
  PetscFunctionReturn(0);
}

/* results.c: the store of rows, fields and warnings. Everything stays in memory until FPResultsWrite(). */
#include "resultsimpl.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir with parents; created tells whether the last folder is new. Returns errno or 0. */
static int MakeFolder(const char dir[], PetscBool *created)
{
  char path[FP_TEXT];

  *created = PETSC_FALSE;
  for (size_t i = 0; dir[i]; i++) {
    path[i]     = dir[i];
    path[i + 1] = 0;
    if ((dir[i + 1] == '/' || !dir[i + 1]) && dir[i] != '/') {
      *created = (mkdir(path, 0777) == 0) ? PETSC_TRUE : PETSC_FALSE;
      if (!*created && errno != EEXIST) return errno;
    }
  }
  return 0;
}

/* Can files be created in dir? By trying: permissions do not tell of read-only file systems. Returns errno or 0. */
static int ProbeFolder(const char dir[])
{
  char        path[FP_TEXT + 32];
  struct stat info;
  int         descriptor;

  if (stat(dir, &info)) return errno;
  if (!S_ISDIR(info.st_mode)) return ENOTDIR;
  (void)snprintf(path, sizeof(path), "%s/.writable-XXXXXX", dir);
  descriptor = mkstemp(path);
  if (descriptor < 0) return errno;
  (void)close(descriptor);
  (void)unlink(path);
  return 0;
}

PetscErrorCode FPResultsCreate(const char dir[], FPResults *results)
{
  FPResults   r;
  int         failure[2] = {0, 0}; /* errno, created */
  PetscMPIInt rank;
  PetscBool   created = PETSC_FALSE;

  PetscFunctionBegin;
  *results = NULL;
  FPInputCheck(dir[0] && strlen(dir) < FP_TEXT, "output folder \"%.40s\": a path of 1 to %d characters is accepted",
               dir, FP_TEXT - 1);
  PetscCallMPI(MPI_Comm_rank(PETSC_COMM_WORLD, &rank));
  if (rank == 0) {
    failure[0] = MakeFolder(dir, &created);
    if (!failure[0]) failure[0] = ProbeFolder(dir);
    failure[1] = created;
  }
  PetscCallMPI(MPI_Bcast(failure, 2, MPI_INT, 0, PETSC_COMM_WORLD));
  FPInputCheck(!failure[0],
               "cannot write to the output folder %s: %s; a folder that can be created or written is accepted", dir,
               strerror(failure[0]));
  PetscCall(PetscNew(&r));
  PetscCall(PetscStrncpy(r->dir, dir, sizeof(r->dir)));
  r->rank     = rank;
  r->created  = (PetscBool)failure[1];
  r->run      = json_object();
  r->warnings = json_array();
  r->timing   = json_object();
  r->index    = json_object();
  PetscCheck(r->run && r->warnings && r->timing && r->index, PETSC_COMM_SELF, PETSC_ERR_MEM, "out of memory");
  *results = r;
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsSetRun(FPResults results, json_t *run)
{
  PetscFunctionBegin;
  PetscCheck(run, PETSC_COMM_SELF, PETSC_ERR_ARG_NULL, "no run to record");
  json_decref(results->run);
  results->run = run;
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsName(const char name[], char copy[FP_NAME])
{
  PetscFunctionBegin;
  PetscCheck(strlen(name) < FP_NAME, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "name %s is longer than %d characters", name,
             FP_NAME - 1);
  PetscCall(PetscStrncpy(copy, name, FP_NAME));
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsClaim(FPResults results, const char path[])
{
  PetscFunctionBegin;
  PetscCheck(!json_object_get(results->index, path), PETSC_COMM_SELF, PETSC_ERR_PLIB, "%s is recorded twice", path);
  PetscCheck(!json_object_set_new(results->index, path, json_true()), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "%s is no valid UTF-8", path);
  PetscFunctionReturn(0);
}

static PetscErrorCode NewRow(FPResults r, const char process[], const char engine[], const char observable[],
                             const char quantity[], FPRow **row)
{
  char path[4 * FP_NAME + 8];

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(path, sizeof(path), "row %s %s %s %s", process, engine, observable, quantity));
  PetscCall(FPResultsClaim(r, path));
  PetscCall(FPReserve(r->rows, r->row_capacity, r->row));
  *row = &r->row[r->rows];
  PetscCall(PetscMemzero(*row, sizeof(**row)));
  PetscCall(FPResultsName(process, (*row)->process));
  PetscCall(FPResultsName(engine, (*row)->engine));
  PetscCall(FPResultsName(observable, (*row)->observable));
  PetscCall(FPResultsName(quantity, (*row)->quantity));
  r->rows++;
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsAdd(FPResults results, const char process[], const char engine[], const char observable[],
                            const char quantity[], PetscReal value, PetscReal error, FPErrorKind kind,
                            const char unit[])
{
  FPRow *row;
  char   reason[FP_TEXT];

  PetscFunctionBegin;
  if (PetscIsInfOrNanReal(value)) {
    PetscCall(PetscSNPrintf(reason, sizeof(reason), "the computation gave %s", isnan(value) ? "nan" : "an infinity"));
    PetscCall(FPResultsAddStatus(results, process, engine, observable, quantity, "undefined", reason));
    PetscFunctionReturn(0);
  }
  if (PetscIsInfOrNanReal(error)) {
    PetscCall(
        PetscSNPrintf(reason, sizeof(reason), "the computation gave %.9g, but its error is not finite", (double)value));
    PetscCall(FPResultsAddStatus(results, process, engine, observable, quantity, "undefined", reason));
    PetscFunctionReturn(0);
  }
  PetscCheck(error >= 0.0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "negative error %g of %s %s %s %s", (double)error,
             process, engine, observable, quantity);
  PetscCall(NewRow(results, process, engine, observable, quantity, &row));
  row->value = value;
  row->error = error;
  row->kind  = kind;
  PetscCall(FPResultsName(unit, row->unit));
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsAddStatus(FPResults results, const char process[], const char engine[], const char observable[],
                                  const char quantity[], const char status[], const char reason[])
{
  FPRow *row;

  PetscFunctionBegin;
  PetscCall(NewRow(results, process, engine, observable, quantity, &row));
  PetscCall(PetscStrallocpy(status, &row->status));
  PetscCall(PetscStrallocpy(reason, &row->reason));
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsWarn(FPResults results, const char format[], ...)
{
  char    text[4 * FP_TEXT];
  va_list arguments;
  size_t  i;
  json_t *known;

  PetscFunctionBegin;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  json_array_foreach(results->warnings, i, known)
  {
    if (!strcmp(json_string_value(known), text)) PetscFunctionReturn(0);
  }
  PetscCheck(!json_array_append_new(results->warnings, json_string(text)), PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "warning is no valid UTF-8: %s", text);
  if (results->rank == 0) {
    FPProgressPause();
    (void)fprintf(stderr, "dlnfp: warning: %s\n", text);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsGet(FPResults results, const char process[], const char engine[], const char observable[],
                            const char quantity[], PetscReal *value, PetscReal *error, PetscBool *found)
{
  PetscFunctionBegin;
  *found = PETSC_FALSE;
  for (PetscInt i = 0; i < results->rows && !*found; i++) {
    const FPRow *row = &results->row[i];

    if (row->status || strcmp(row->quantity, quantity) || strcmp(row->process, process) ||
        strcmp(row->engine, engine) || strcmp(row->observable, observable))
      continue;
    *found = PETSC_TRUE;
    if (value) *value = row->value;
    if (error) *error = row->error;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsTiming(FPResults results, const char phase[], PetscReal seconds)
{
  const json_t *before = json_object_get(results->timing, phase);

  PetscFunctionBegin;
  PetscCheck(!json_object_set_new(results->timing, phase, json_real(json_real_value(before) + (double)seconds)),
             PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "cannot record %g seconds of phase %s", (double)seconds, phase);
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsDestroy(FPResults *results)
{
  FPResults r = *results;

  PetscFunctionBegin;
  if (!r) PetscFunctionReturn(0);
  if (r->rank == 0 && r->created && !r->written) (void)rmdir(r->dir); /* only if still empty */
  for (PetscInt i = 0; i < r->rows; i++) {
    PetscCall(PetscFree(r->row[i].status));
    PetscCall(PetscFree(r->row[i].reason));
  }
  for (PetscInt i = 0; i < r->fields; i++) PetscCall(PetscFree(r->field[i].data));
  for (PetscInt i = 0; i < r->axes; i++) PetscCall(PetscFree(r->axis[i].z));
  json_decref(r->run);
  json_decref(r->warnings);
  json_decref(r->timing);
  json_decref(r->index);
  PetscCall(PetscFree(r->row));
  PetscCall(PetscFree(r->pair));
  PetscCall(PetscFree(r->comparison));
  PetscCall(PetscFree(r->field));
  PetscCall(PetscFree(r->axis));
  PetscCall(PetscFree(*results));
  PetscFunctionReturn(0);
}

/* sample.c: `dlnfp sample`: points drawn from the law of one process, and their file. */
#include "runimpl.h"
#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CheckHDF5(call) PetscCheck((call) >= 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "HDF5 call failed: %s", #call)

static PetscErrorCode FindProcess(const FPRunObjects *run, const char process[], PetscInt *p)
{
  char names[FP_TEXT] = "";

  PetscFunctionBegin;
  for (*p = 0; *p < run->processes && strcmp(run->options.processes.value[*p], process); (*p)++) {
    PetscCall(PetscStrlcat(names, names[0] ? ", " : "", sizeof(names)));
    PetscCall(PetscStrlcat(names, run->options.processes.value[*p], sizeof(names)));
  }
  FPInputCheck(*p < run->processes, "command line: -process %s is no process of this run file; accepted: %s", process,
               names);
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteCSV(FPModel model, const FPSample *sample, const char file[])
{
  FILE *f = fopen(file, "w");
  int   bad;

  PetscFunctionBegin;
  PetscCheck(f, PETSC_COMM_SELF, PETSC_ERR_FILE_OPEN, "cannot write %s: %s", file, strerror(errno));
  for (PetscInt a = 0; a < sample->dim; a++) {
    char name[FP_NAME];

    PetscCall(FPModelGetCoordinateName(model, a, name));
    fprintf(f, "%s,", name);
  }
  fprintf(f, "loss\n");
  for (size_t k = 0; k < (size_t)sample->count * (size_t)(sample->dim + 1); k++)
    fprintf(f, "%.17g%c", sample->value[k], (k + 1) % (size_t)(sample->dim + 1) ? ',' : '\n');
  bad = ferror(f);
  bad = fclose(f) || bad;
  PetscCheck(!bad, PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s: %s", file, strerror(errno));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteTexts(hid_t dataset, const char name[], PetscInt n, const char *const text[])
{
  const hsize_t count = (hsize_t)n;
  hid_t         type, space, attribute;

  PetscFunctionBegin;
  CheckHDF5(type = H5Tcopy(H5T_C_S1));
  CheckHDF5(H5Tset_size(type, H5T_VARIABLE));
  CheckHDF5(H5Tset_cset(type, H5T_CSET_UTF8));
  CheckHDF5(space = n > 1 ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_SCALAR));
  CheckHDF5(attribute = H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Awrite(attribute, type, text));
  CheckHDF5(H5Aclose(attribute));
  CheckHDF5(H5Sclose(space));
  CheckHDF5(H5Tclose(type));
  PetscFunctionReturn(0);
}

/* A number that the sample does not have (NaN) has no attribute. */
static PetscErrorCode WriteNumber(hid_t dataset, const char name[], PetscReal value)
{
  hid_t scalar, attribute;

  PetscFunctionBegin;
  if (PetscIsNanReal(value)) PetscFunctionReturn(0);
  CheckHDF5(scalar = H5Screate(H5S_SCALAR));
  CheckHDF5(attribute = H5Acreate2(dataset, name, H5T_NATIVE_DOUBLE, scalar, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value));
  CheckHDF5(H5Aclose(attribute));
  CheckHDF5(H5Sclose(scalar));
  PetscFunctionReturn(0);
}

/* Dataset "sample" [count][columns] with attributes columns, process, engine, law, run (JSON), version,
   effective_sample_size, and where they exist acceptance, rate and rate_error. */
static PetscErrorCode WriteHDF5(FPConfig config, FPModel model, const FPSample *sample, const char process[],
                                const char path[])
{
  const hsize_t shape[2] = {(hsize_t)sample->count, (hsize_t)sample->dim + 1};
  const char   *column[FP_MAX_DIM + 1], *version = FP_VERSION;
  char          name[FP_MAX_DIM][FP_NAME], *text;
  json_t       *run = json_object();
  hid_t         file, space, dataset;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < sample->dim; a++) {
    PetscCall(FPModelGetCoordinateName(model, a, name[a]));
    column[a] = name[a];
  }
  column[sample->dim] = "loss";
  PetscCall(FPConfigResolved(config, run));
  text = json_dumps(run, JSON_COMPACT | JSON_REAL_PRECISION(17));
  PetscCheck(text, PETSC_COMM_SELF, PETSC_ERR_MEM, "cannot write the run as JSON");
  CheckHDF5(file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(space = H5Screate_simple(2, shape, NULL));
  CheckHDF5(dataset = H5Dcreate2(file, "sample", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, sample->value));
  PetscCall(WriteTexts(dataset, "columns", sample->dim + 1, column));
  PetscCall(WriteTexts(dataset, "process", 1, &process));
  PetscCall(WriteTexts(dataset, "engine", 1, &sample->engine));
  PetscCall(WriteTexts(dataset, "version", 1, &version));
  PetscCall(WriteTexts(dataset, "run", 1, (const char *const *)&text));
  PetscCall(WriteTexts(dataset, "law", 1, &sample->law));
  PetscCall(WriteNumber(dataset, "effective_sample_size", sample->effective));
  PetscCall(WriteNumber(dataset, "acceptance", sample->acceptance));
  PetscCall(WriteNumber(dataset, "rate", sample->rate));
  PetscCall(WriteNumber(dataset, "rate_error", sample->rate_error));
  CheckHDF5(H5Dclose(dataset));
  CheckHDF5(H5Sclose(space));
  CheckHDF5(H5Fclose(file));
  free(text);
  json_decref(run);
  PetscFunctionReturn(0);
}

static PetscErrorCode Tell(const FPSample *sample, const char process[], const char path[])
{
  PetscFunctionBegin;
  printf("%d points of the %s law of %s by %s, effective sample size %.0f", (int)sample->count, sample->law, process,
         sample->engine, sample->effective);
  if (!PetscIsNanReal(sample->acceptance))
    printf(", %.3g %% of the law lie in the region", 100 * (double)sample->acceptance);
  if (!PetscIsNanReal(sample->rate)) printf(", killed at rate %.6g", (double)sample->rate);
  if (sample->rate_error > 0) printf(" +- %.1g", (double)sample->rate_error);
  if (sample->population) printf(", families of %d particles", (int)sample->population);
  printf(": %s\n", path);
  PetscFunctionReturn(0);
}

/* Written aside, then renamed. */
static PetscErrorCode Write(FPConfig config, FPModel model, const FPSample *sample, const char process[],
                            const char format[], const char dir[])
{
  char path[2 * FP_TEXT], aside[2 * FP_TEXT];

  PetscFunctionBegin;
  (void)snprintf(path, sizeof(path), "%s/sample.%s", dir, format);
  (void)snprintf(aside, sizeof(aside), "%s/.sample.%d", dir, (int)getpid());
  if (!strcmp(format, "csv"))
    PetscCall(WriteCSV(model, sample, aside));
  else
    PetscCall(WriteHDF5(config, model, sample, process, aside));
  PetscCheck(!rename(aside, path), PETSC_COMM_SELF, PETSC_ERR_FILE_WRITE, "cannot write %s: %s", path, strerror(errno));
  PetscCall(Tell(sample, process, path));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRunSample(FPConfig config, const char process[], PetscInt count, const char format[], const char dir[])
{
  FPRunObjects run;
  FPResults    place;
  FPSample     sample = {.count = count};
  PetscInt     p;

  PetscFunctionBegin;
  FPInputCheck(!strcmp(format, "csv") || !strcmp(format, "h5"), "command line: -format %s; accepted: csv, h5", format);
  FPInputCheck(count > 0 && count <= FP_MOST_POINTS, "command line: -count = %" PetscInt_FMT "; accepted: 1 to %d",
               count, FP_MOST_POINTS);
  PetscCall(FPRunOpen(config, &run));
  PetscCall(FindProcess(&run, process, &p));
  PetscCall(FPModelGetSizes(run.model, &sample.dim, NULL, NULL));
  PetscCall(FPResultsCreate(dir, &place)); /* makes the directory, or refuses it */
  PetscCall(FPRunDraw(&run, p, &sample));
  PetscCall(Write(config, run.model, &sample, process, format, dir));
  PetscCall(FPResultsDestroy(&place)); /* which removes it again where nothing has come into it */
  PetscCall(PetscFree(sample.value));
  PetscCall(FPRunClose(&run));
  PetscFunctionReturn(0);
}

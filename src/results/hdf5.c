/* hdf5.c: results.h5. Fields are /PROCESS/ENGINE/NAME with attributes long_name, unit and axes (one name per dimension,
   slowest first: the path of the dataset with the coordinates, or "component"); coordinates are /grid/GRID/NAME. The
   file carries the program's version and the run as JSON text. It is built in memory (core driver), so that HDF5
   itself never meets a full disk. Strings have variable length and are UTF-8: Python reads them as str. */
#include "resultsimpl.h"
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

/* HDF5 returns a negative number on failure, as an identifier or as a status. */
#define CheckHDF5(call) PetscCheck((call) >= 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "HDF5 call failed: %s", #call)

static PetscErrorCode WriteStrings(hid_t object, const char name[], PetscInt n, const char *const text[])
{
  const hsize_t count = (hsize_t)n;
  hid_t         type, space, attribute;

  PetscFunctionBegin;
  CheckHDF5(type = H5Tcopy(H5T_C_S1));
  CheckHDF5(H5Tset_size(type, H5T_VARIABLE));
  CheckHDF5(H5Tset_cset(type, H5T_CSET_UTF8));
  if (n == 1)
    CheckHDF5(space = H5Screate(H5S_SCALAR));
  else
    CheckHDF5(space = H5Screate_simple(1, &count, NULL));
  CheckHDF5(attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Awrite(attribute, type, text));
  CheckHDF5(H5Aclose(attribute));
  CheckHDF5(H5Sclose(space));
  CheckHDF5(H5Tclose(type));
  PetscFunctionReturn(0);
}

/* Missing groups on the way are made. */
static PetscErrorCode WriteArray(hid_t file, const char path[], PetscInt rank, const PetscInt shape[],
                                 const double data[], hid_t *dataset)
{
  hsize_t size[FP_MAX_RANK];
  hid_t   space, parents;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < rank; i++) size[i] = (hsize_t)shape[i];
  CheckHDF5(space = H5Screate_simple((int)rank, size, NULL));
  CheckHDF5(parents = H5Pcreate(H5P_LINK_CREATE));
  CheckHDF5(H5Pset_create_intermediate_group(parents, 1));
  CheckHDF5(*dataset = H5Dcreate2(file, path, H5T_NATIVE_DOUBLE, space, parents, H5P_DEFAULT, H5P_DEFAULT));
  CheckHDF5(H5Dwrite(*dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
  CheckHDF5(H5Pclose(parents));
  CheckHDF5(H5Sclose(space));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteField(FPResults r, hid_t file, const FPField *field)
{
  char          path[3 * FP_NAME + 8], names[FP_MAX_RANK][2 * FP_NAME + 8];
  const char   *list[FP_MAX_RANK], *text;
  const FPAxis *axis[FP_MAX_AXES];
  PetscInt      dim;
  hid_t         dataset;

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(path, sizeof(path), "/%s/%s/%s", field->process, field->engine, field->name));
  PetscCall(WriteArray(file, path, field->rank, field->shape, field->data, &dataset));
  text = field->long_name;
  PetscCall(WriteStrings(dataset, "long_name", 1, &text));
  text = field->unit;
  PetscCall(WriteStrings(dataset, "unit", 1, &text));
  PetscCall(FPResultsFieldAxes(r, field, &dim, axis));
  for (PetscInt i = 0; i < field->rank; i++) {
    const PetscInt k = field->rank - 1 - i; /* coordinate of dimension i */

    if (k < dim)
      PetscCall(PetscSNPrintf(names[i], sizeof(names[i]), "/grid/%s/%s", axis[k]->grid, axis[k]->coordinate));
    else
      PetscCall(PetscStrncpy(names[i], "component", sizeof(names[i])));
    list[i] = names[i];
  }
  PetscCall(WriteStrings(dataset, "axes", field->rank, list));
  CheckHDF5(H5Dclose(dataset));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteAxis(hid_t file, const FPAxis *axis)
{
  char        path[2 * FP_NAME + 8];
  const char *text;
  hid_t       dataset;

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(path, sizeof(path), "/grid/%s/%s", axis->grid, axis->coordinate));
  PetscCall(WriteArray(file, path, 1, &axis->n, axis->z, &dataset));
  text = axis->coordinate;
  PetscCall(WriteStrings(dataset, "long_name", 1, &text));
  text = axis->unit;
  PetscCall(WriteStrings(dataset, "unit", 1, &text));
  CheckHDF5(H5Dclose(dataset));
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteContent(FPResults r, hid_t file)
{
  const char *version = FP_VERSION;
  char       *run     = json_dumps(r->run, JSON_COMPACT | JSON_REAL_PRECISION(17));

  PetscFunctionBegin;
  PetscCheck(run, PETSC_COMM_SELF, PETSC_ERR_MEM, "cannot write the run as JSON");
  PetscCall(WriteStrings(file, "version", 1, &version));
  PetscCall(WriteStrings(file, "run", 1, (const char *const *)&run));
  free(run);
  for (PetscInt i = 0; i < r->axes; i++) PetscCall(WriteAxis(file, &r->axis[i]));
  for (PetscInt i = 0; i < r->fields; i++) PetscCall(WriteField(r, file, &r->field[i]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsFile_HDF5(FPResults r, FPFile *image)
{
  hid_t   access, file;
  ssize_t size;

  PetscFunctionBegin;
  image->name = "results.h5";
  CheckHDF5(access = H5Pcreate(H5P_FILE_ACCESS));
  CheckHDF5(H5Pset_fapl_core(access, (size_t)1 << 20, 0));
  CheckHDF5(file = H5Fcreate(image->name, H5F_ACC_TRUNC, H5P_DEFAULT, access));
  PetscCall(WriteContent(r, file));
  CheckHDF5(H5Fflush(file, H5F_SCOPE_GLOBAL));
  size = H5Fget_file_image(file, NULL, 0);
  PetscCheck(size > 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "HDF5 gives no file image");
  image->size = (size_t)size;
  image->data = malloc(image->size);
  PetscCheck(image->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for %zu bytes of results.h5", image->size);
  size = H5Fget_file_image(file, image->data, image->size);
  PetscCheck(size == (ssize_t)image->size, PETSC_COMM_SELF, PETSC_ERR_LIB, "HDF5 gives no file image");
  CheckHDF5(H5Fclose(file));
  CheckHDF5(H5Pclose(access));
  PetscFunctionReturn(0);
}

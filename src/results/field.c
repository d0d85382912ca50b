/* field.c: fields on grids, and the coordinates of their axes. */
#include "resultsimpl.h"
#include <string.h>

PetscErrorCode FPResultsField(FPResults results, const char process[], const char engine[], const char name[],
                              PetscInt rank, const PetscInt shape[], const double data[], const char long_name[],
                              const char unit[])
{
  FPField *field;
  char     path[3 * FP_NAME + 8];

  PetscFunctionBegin;
  PetscCheck(rank >= 1 && rank <= FP_MAX_RANK, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "field %s of rank %" PetscInt_FMT, name, rank);
  PetscCall(PetscSNPrintf(path, sizeof(path), "/%s/%s/%s", process, engine, name));
  PetscCall(FPResultsClaim(results, path));
  PetscCall(FPReserve(results->fields, results->field_capacity, results->field));
  field = &results->field[results->fields];
  PetscCall(PetscMemzero(field, sizeof(*field)));
  PetscCall(FPResultsName(process, field->process));
  PetscCall(FPResultsName(engine, field->engine));
  PetscCall(FPResultsName(name, field->name));
  PetscCall(FPResultsName(unit, field->unit));
  PetscCall(PetscStrncpy(field->long_name, long_name, sizeof(field->long_name)));
  field->rank = rank;
  field->size = 1;
  for (PetscInt i = 0; i < rank; i++) {
    PetscCheck(shape[i] > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "empty field %s", path);
    field->shape[i] = shape[i];
    field->size *= (size_t)shape[i];
  }
  PetscCall(PetscMalloc1(field->size, &field->data));
  PetscCall(PetscMemcpy(field->data, data, field->size * sizeof(*data)));
  results->fields++;
  PetscFunctionReturn(0);
}

/* The same axis may be given again (by another engine on the same grid); with other content it is an error. */
PetscErrorCode FPResultsAxis(FPResults results, const char grid[], PetscInt axis, const char coordinate[], PetscInt n,
                             const double z[], const char unit[])
{
  FPAxis *new;

  PetscFunctionBegin;
  PetscCheck(axis >= 0 && axis < FP_MAX_AXES && n > 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "axis %" PetscInt_FMT " of grid %s with %" PetscInt_FMT " points", axis, grid, n);
  for (PetscInt i = 0; i < results->axes; i++) {
    const FPAxis *old = &results->axis[i];

    if (strcmp(old->grid, grid) || (old->axis != axis && strcmp(old->coordinate, coordinate))) continue;
    PetscCheck(old->axis == axis && !strcmp(old->coordinate, coordinate) && old->n == n &&
                   !memcmp(old->z, z, (size_t)n * sizeof(*z)),
               PETSC_COMM_SELF, PETSC_ERR_PLIB, "axis %s of grid %s is recorded twice, differently", coordinate, grid);
    PetscFunctionReturn(0);
  }
  PetscCall(FPReserve(results->axes, results->axis_capacity, results->axis));
  new = &results->axis[results->axes];
  PetscCall(PetscMemzero(new, sizeof(*new)));
  PetscCall(FPResultsName(grid, new->grid));
  PetscCall(FPResultsName(coordinate, new->coordinate));
  PetscCall(FPResultsName(unit, new->unit));
  new->axis = axis;
  new->n    = n;
  PetscCall(PetscMalloc1(n, &new->z));
  PetscCall(PetscMemcpy(new->z, z, (size_t)n * sizeof(*z)));
  results->axes++;
  PetscFunctionReturn(0);
}

/* Axes 0, 1, ... of grid `name`, and how many there are. */
static PetscInt GridAxes(FPResults results, const char name[], const FPAxis *axis[FP_MAX_AXES])
{
  PetscInt dim = 0;

  for (PetscInt k = 0; k < FP_MAX_AXES; k++) {
    axis[k] = NULL;
    for (PetscInt i = 0; i < results->axes; i++)
      if (results->axis[i].axis == k && !strcmp(results->axis[i].grid, name)) axis[k] = &results->axis[i];
    if (!axis[k]) break;
    dim++;
  }
  return dim;
}

/* Does grid `name` have the shape of the field's last dimensions? */
static PetscBool Fits(FPResults results, const FPField *field, const char name[], PetscInt *dim,
                      const FPAxis *axis[FP_MAX_AXES])
{
  *dim = GridAxes(results, name, axis);
  if (*dim < 1 || *dim > field->rank) return PETSC_FALSE;
  for (PetscInt k = 0; k < *dim; k++)
    if (axis[k]->n != field->shape[field->rank - 1 - k]) return PETSC_FALSE;
  return PETSC_TRUE;
}

PetscErrorCode FPResultsFieldAxes(FPResults results, const FPField *field, PetscInt *dim,
                                  const FPAxis *axis[FP_MAX_AXES])
{
  const PetscBool binned = (PetscBool)(!strcmp(field->engine, "particles") || strstr(field->name, "binned"));
  char            both[2 * FP_NAME];
  const char     *named[] = {both, field->process, field->engine, binned ? "bins" : "cells"};

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(both, sizeof(both), "%s/%s", field->process, field->engine));
  for (size_t c = 0; c < PETSC_STATIC_ARRAY_LENGTH(named); c++)
    if (Fits(results, field, named[c], dim, axis)) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < results->axes; i++) {
    if (results->axis[i].axis != 0) continue;
    if (Fits(results, field, results->axis[i].grid, dim, axis)) PetscFunctionReturn(0);
  }
  *dim = 0;
  PetscFunctionReturn(0);
}

/* xdmf.c: results.xdmf, which lets ParaView and VisIt open results.h5. One rectilinear grid for each process and engine
   with fields on a grid of 2 or 3 dimensions; values sit at the grid's nodes (the coordinates of the axes). A field
   with component indices becomes one scalar for each component, a hyperslab: ParaView's "XDMF Reader" (version 2) shows
   them, its XDMF 3 readers only the fields without components. */
#include "resultsimpl.h"
#include <string.h>

static void Dimensions(FILE *out, const FPField *field, PetscInt from)
{
  for (PetscInt i = from; i < field->rank; i++)
    (void)fprintf(out, "%s%" PetscInt_FMT, i > from ? " " : "", field->shape[i]);
}

static void Geometry(FILE *out, const FPField *field, PetscInt dim, const FPAxis *axis[])
{
  (void)fprintf(out, "    <Topology TopologyType=\"%dDRectMesh\" Dimensions=\"", (int)dim);
  Dimensions(out, field, field->rank - dim);
  (void)fprintf(out, "\"/>\n    <Geometry GeometryType=\"%s\">\n", dim == 2 ? "VXVY" : "VXVYVZ");
  for (PetscInt k = 0; k < dim; k++)
    (void)fprintf(out,
                  "      <DataItem Name=\"%s\" Format=\"HDF\" NumberType=\"Float\" Precision=\"8\" "
                  "Dimensions=\"%" PetscInt_FMT "\">results.h5:/grid/%s/%s</DataItem>\n",
                  axis[k]->coordinate, axis[k]->n, axis[k]->grid, axis[k]->coordinate);
  (void)fprintf(out, "    </Geometry>\n");
}

static void Data(FILE *out, const FPField *field)
{
  (void)fprintf(out, "<DataItem Format=\"HDF\" NumberType=\"Float\" Precision=\"8\" Dimensions=\"");
  Dimensions(out, field, 0);
  (void)fprintf(out, "\">results.h5:/%s/%s/%s</DataItem>\n", field->process, field->engine, field->name);
}

/* Component `index` (over all leading dimensions, last fastest) of the field: one scalar attribute. */
static void Component(FILE *out, const FPField *field, PetscInt dim, PetscInt index)
{
  const PetscInt lead               = field->rank - dim;
  PetscInt       start[FP_MAX_RANK] = {0};

  for (PetscInt i = lead - 1, rest = index; i >= 0; rest /= field->shape[i], i--) start[i] = rest % field->shape[i];
  (void)fprintf(out, "    <Attribute Name=\"%s", field->name);
  for (PetscInt i = 0; i < lead; i++) (void)fprintf(out, "[%" PetscInt_FMT "]", start[i]);
  (void)fprintf(out, "\" AttributeType=\"Scalar\" Center=\"Node\">\n      ");
  if (lead) {
    (void)fprintf(out, "<DataItem ItemType=\"HyperSlab\" Dimensions=\"");
    Dimensions(out, field, lead);
    (void)fprintf(out, "\">\n        <DataItem Format=\"XML\" Dimensions=\"3 %" PetscInt_FMT "\">", field->rank);
    for (PetscInt i = 0; i < field->rank; i++) (void)fprintf(out, "%" PetscInt_FMT " ", i < lead ? start[i] : 0);
    for (PetscInt i = 0; i < field->rank; i++) (void)fprintf(out, "1 ");
    for (PetscInt i = 0; i < field->rank; i++) (void)fprintf(out, "%" PetscInt_FMT " ", i < lead ? 1 : field->shape[i]);
    (void)fprintf(out, "</DataItem>\n        ");
  }
  Data(out, field);
  if (lead) (void)fprintf(out, "      </DataItem>\n");
  (void)fprintf(out, "    </Attribute>\n");
}

/* Writes the fields that share process, engine and grid with field `first`, unless an earlier field did. */
static PetscErrorCode WriteGrid(FPResults r, FILE *out, PetscInt first)
{
  const FPAxis *axis[FP_MAX_AXES], *other[FP_MAX_AXES];
  PetscInt      dim, dim_other;
  PetscBool     open = PETSC_FALSE;

  PetscFunctionBegin;
  PetscCall(FPResultsFieldAxes(r, &r->field[first], &dim, axis));
  if (dim != 2 && dim != 3) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < r->fields; i++) {
    const FPField *field      = &r->field[i];
    PetscInt       components = 1;

    if (strcmp(field->process, r->field[first].process) || strcmp(field->engine, r->field[first].engine)) continue;
    PetscCall(FPResultsFieldAxes(r, field, &dim_other, other));
    if (dim_other != dim || other[0] != axis[0]) continue;
    if (i < first) PetscFunctionReturn(0);
    if (!open) {
      (void)fprintf(out, "   <Grid Name=\"%s %s\" GridType=\"Uniform\">\n", field->process, field->engine);
      Geometry(out, field, dim, axis);
      open = PETSC_TRUE;
    }
    for (PetscInt k = 0; k < field->rank - dim; k++) components *= field->shape[k];
    for (PetscInt c = 0; c < components; c++) Component(out, field, dim, c);
  }
  (void)fprintf(out, "   </Grid>\n");
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsFile_XDMF(FPResults r, FPFile *file)
{
  FILE          *out;
  PetscErrorCode ierr = 0;

  PetscFunctionBegin;
  file->name = "results.xdmf";
  out        = open_memstream(&file->data, &file->size);
  PetscCheck(out, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for results.xdmf");
  (void)fprintf(out, "<?xml version=\"1.0\"?>\n<!DOCTYPE Xdmf SYSTEM \"Xdmf.dtd\" []>\n<Xdmf Version=\"2.0\">\n"
                     " <Domain>\n");
  for (PetscInt i = 0; i < r->fields && !ierr; i++) ierr = WriteGrid(r, out, i);
  (void)fprintf(out, " </Domain>\n</Xdmf>\n");
  if (fclose(out) && !ierr) ierr = PETSC_ERR_MEM;
  PetscCall(ierr);
  PetscFunctionReturn(0);
}

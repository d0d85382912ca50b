/* fields.c: functions on the unknowns of a generator as fields on its whole lattice, 0 where there is no unknown. */
#include "observableimpl.h"

PetscErrorCode FPFieldOfCells(FPObservable obs, FPGenerator gen, const char name[], const PetscReal value[],
                              PetscBool per_volume, const char long_name[], const char unit[])
{
  const PetscInt  *cells, *node;
  const PetscReal *volume;
  PetscReal       *field;
  PetscInt         dim, n, shape[3], total = 1;
  const char      *process_name;
  FPProcess        process;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessGetName(process, &process_name));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, NULL, NULL, &volume));
  for (PetscInt a = 0; a < dim; a++) {
    total *= cells[a];
    shape[dim - 1 - a] = cells[a];
  }
  PetscCall(PetscCalloc1(total, &field));
  for (PetscInt k = 0; k < n; k++) field[node[k]] = per_volume ? value[k] / volume[k] : value[k];
  PetscCall(FPResultsField(obs->scene.results, process_name, FPGeneratorEngine(gen), name, dim, shape, field, long_name,
                           unit));
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

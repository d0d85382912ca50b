/* mesh.c: the box, its walls, its per-axis maps and its sequence of grids.
   Maps: "uniform"; "sinh:C:K", z = C + A sinh(K (xi - xi_C)), finest at C, cells K/tanh(K)-fold finer than at the far
   wall for large K; "log", z = lower (upper/lower)^xi, for boxes away from 0. Besides, for collocation, z = middle -
   (length/2) cos(pi xi). */
#include "fpmesh.h"

typedef enum { MAP_UNIFORM, MAP_SINH, MAP_LOG, MAP_CHEBYSHEV } MapKind;

typedef struct {
  MapKind   kind;
  PetscReal center, strength, origin, amplitude; /* sinh: z = center + amplitude sinh(strength (xi - origin)) */
} AxisMap;

typedef struct {
  FPReals   lower, upper;
  FPInts    cells;
  FPStrings map, faces;
  PetscInt  refine;
  char      file[FP_TEXT];
} MeshOptions;

static const FPParameter MeshParameters[] = {
    {"file", FP_STRING, offsetof(MeshOptions, file), NULL, 0, 0, NULL, NULL,
     "a YAML file with the keys of this section; keys of the run file win"},
    {"lower", FP_REALS, offsetof(MeshOptions, lower), NULL, 0, 0, NULL, "coordinate", "lower corner of the box"},
    {"upper", FP_REALS, offsetof(MeshOptions, upper), NULL, 0, 0, NULL, "coordinate", "upper corner of the box"},
    {"cells", FP_INTS, offsetof(MeshOptions, cells), NULL, 8, 1048576, NULL, "cells",
     "cells per axis of the finest grid; multiples of 8 refine evenly"},
    {"map", FP_STRINGS, offsetof(MeshOptions, map), NULL, 0, 0, NULL, NULL,
     "per axis: uniform, sinh:CENTER:STRENGTH or log; default uniform"},
    {"faces", FP_STRINGS, offsetof(MeshOptions, faces), NULL, 0, 0, "reflecting absorbing", NULL,
     "lower and upper face of each axis in turn, or one word for all; default reflecting"},
    {"refine", FP_INT, offsetof(MeshOptions, refine), "2", 1, 2, NULL, "grids",
     "coarser grids for the error estimate: 1 adds 1/2 of the cells per axis, 2 adds 3/4 and 1/2"},
    {0}};

struct _p_FPMesh {
  FPBox    box;
  PetscInt cells[FP_MAX_AXES], refine;
  AxisMap  map[FP_MAX_AXES];
};

static PetscErrorCode ReadMap(const char text[], PetscReal lower, PetscReal upper, AxisMap *map)
{
  char rest;

  PetscFunctionBegin;
  map->kind = MAP_UNIFORM;
  if (!strcmp(text, "uniform")) PetscFunctionReturn(0);
  if (!strcmp(text, "log")) {
    FPInputCheck(lower > 0, "mesh_map = log needs mesh_lower > 0 on its axis, not %g", (double)lower);
    map->kind = MAP_LOG;
    PetscFunctionReturn(0);
  }
  FPInputCheck(sscanf(text, "sinh:%lf:%lf%c", &map->center, &map->strength, &rest) == 2,
               "mesh_map = %s: accepted are uniform, sinh:CENTER:STRENGTH and log", text);
  FPInputCheck(map->center > lower && map->center < upper && map->strength > 0 && map->strength <= 20,
               "mesh_map = %s: the center must lie inside (%g, %g), the strength in (0, 20]", text, (double)lower,
               (double)upper);
  map->kind = MAP_SINH;
  {
    const PetscReal r = (map->center - lower) / (upper - map->center), k = map->strength;

    map->origin    = atanh(r * sinh(k) / (1 + r * cosh(k))) / k;
    map->amplitude = (upper - lower) / (sinh(k * (1 - map->origin)) + sinh(k * map->origin));
  }
  PetscFunctionReturn(0);
}

/* One entry of a list as text, for FPConfigSet(). */
static PetscErrorCode ListText(const FPParameter *p, const void *base, char text[], size_t length, PetscInt *entries)
{
  const char *field = (const char *)base + p->offset;
  size_t      used  = 0;

  PetscFunctionBegin;
  text[0]  = 0;
  *entries = p->kind == FP_REALS  ? ((const FPReals *)field)->n
             : p->kind == FP_INTS ? ((const FPInts *)field)->n
                                  : ((const FPStrings *)field)->n;
  for (PetscInt i = 0; i < *entries; i++) {
    const char *comma = i ? "," : "";

    if (p->kind == FP_REALS)
      used += (size_t)snprintf(text + used, length - used, "%s%.17g", comma, ((const FPReals *)field)->value[i]);
    else if (p->kind == FP_INTS)
      used += (size_t)snprintf(text + used, length - used, "%s%d", comma, ((const FPInts *)field)->value[i]);
    else
      used += (size_t)snprintf(text + used, length - used, "%s%s", comma, ((const FPStrings *)field)->value[i]);
    FPInputCheck(used < length, "mesh_%s is too long", p->name);
  }
  PetscFunctionReturn(0);
}

/* Keys of the mesh file become keys of the run, unless the run has them. */
static PetscErrorCode MergeFile(FPConfig config, const char file[])
{
  FPConfig    other;
  MeshOptions o;
  char        path[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(FPConfigPath(config, file, path, sizeof(path)));
  PetscCall(FPConfigCreate(&other));
  PetscCall(FPConfigLoad(other, path));
  PetscCall(FPConfigRead(other, "", MeshParameters, &o));
  PetscCall(FPConfigCheckUnknown(other));
  for (const FPParameter *p = MeshParameters; p->name; p++) {
    char      key[FP_NAME], text[4 * FP_TEXT];
    PetscInt  entries = 1;
    PetscBool here, there;

    PetscCall(PetscSNPrintf(key, sizeof(key), "mesh_%s", p->name));
    PetscCall(FPConfigHas(config, key, &here));
    PetscCall(FPConfigHas(other, p->name, &there));
    if (here || !there || p->kind == FP_STRING) continue;
    if (p->kind == FP_INT)
      PetscCall(PetscSNPrintf(text, sizeof(text), "%" PetscInt_FMT, o.refine));
    else
      PetscCall(ListText(p, &o, text, sizeof(text), &entries));
    if (entries) PetscCall(FPConfigSet(config, key, text));
  }
  PetscCall(FPConfigFree(MeshParameters, &o));
  PetscCall(FPConfigDestroy(&other));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetFaces(const FPStrings *faces, FPBox *box)
{
  PetscFunctionBegin;
  FPInputCheck(faces->n <= 1 || faces->n == 2 * box->dim,
               "mesh_faces has %" PetscInt_FMT " entries; accepted are 1 or %" PetscInt_FMT
               " (lower and upper of each axis)",
               faces->n, 2 * box->dim);
  for (PetscInt f = 0; f < 2 * box->dim; f++) {
    const char *word = faces->n ? faces->value[faces->n == 1 ? 0 : f] : "reflecting";

    box->face[f] = strcmp(word, "absorbing") ? FP_REFLECTING : FP_ABSORBING;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(FPMesh mesh, PetscInt dim, const MeshOptions *o)
{
  PetscFunctionBegin;
  FPInputCheck(dim <= 3, "mesh: grids have 1 to 3 dimensions, the model's coordinates have %" PetscInt_FMT, dim);
  FPInputCheck(o->lower.n == dim,
               "mesh_lower has %" PetscInt_FMT " entries, the model has %" PetscInt_FMT " coordinates", o->lower.n,
               dim);
  FPInputCheck(o->upper.n == dim,
               "mesh_upper has %" PetscInt_FMT " entries, the model has %" PetscInt_FMT " coordinates", o->upper.n,
               dim);
  FPInputCheck(o->cells.n == dim,
               "mesh_cells has %" PetscInt_FMT " entries, the model has %" PetscInt_FMT " coordinates", o->cells.n,
               dim);
  FPInputCheck(o->map.n == 0 || o->map.n == dim,
               "mesh_map has %" PetscInt_FMT " entries, the model has %" PetscInt_FMT " coordinates", o->map.n, dim);
  mesh->box.dim = dim;
  mesh->refine  = o->refine;
  for (PetscInt i = 0; i < dim; i++) {
    const PetscReal lower = o->lower.value[i], upper = o->upper.value[i];

    FPInputCheck(lower < upper, "mesh_lower = %g must be below mesh_upper = %g (axis %" PetscInt_FMT ")", (double)lower,
                 (double)upper, i + 1);
    mesh->box.lower[i] = lower;
    mesh->box.upper[i] = upper;
    mesh->cells[i]     = o->cells.value[i];
    PetscCall(ReadMap(o->map.n ? o->map.value[i] : "uniform", lower, upper, &mesh->map[i]));
  }
  PetscCall(SetFaces(&o->faces, &mesh->box));
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshCreate(FPConfig config, PetscInt dim, FPMesh *mesh, PetscBool *has)
{
  MeshOptions o;
  PetscBool   lower, upper, cells;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "mesh", MeshParameters, &o));
  if (o.file[0]) {
    PetscCall(MergeFile(config, o.file));
    PetscCall(FPConfigFree(MeshParameters, &o));
    PetscCall(FPConfigRead(config, "mesh", MeshParameters, &o));
  }
  PetscCall(FPConfigHas(config, "mesh_lower", &lower));
  PetscCall(FPConfigHas(config, "mesh_upper", &upper));
  PetscCall(FPConfigHas(config, "mesh_cells", &cells));
  *mesh = NULL;
  *has  = (PetscBool)(lower || upper || cells);
  if (*has) {
    PetscCall(PetscNew(mesh));
    PetscCall(SetUp(*mesh, dim, &o));
  }
  PetscCall(FPConfigFree(MeshParameters, &o));
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshCreateChebyshev(FPMesh mesh, PetscReal lower, PetscReal upper, FPMesh *chebyshev)
{
  PetscFunctionBegin;
  PetscCheck(mesh->box.dim == 1, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "Chebyshev points are those of a line");
  PetscCall(PetscNew(chebyshev));
  **chebyshev                = *mesh;
  (*chebyshev)->box.lower[0] = lower;
  (*chebyshev)->box.upper[0] = upper;
  (*chebyshev)->map[0].kind  = MAP_CHEBYSHEV;
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshCreateOpen(FPMesh mesh, FPMesh *open)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(open));
  **open = *mesh;
  for (PetscInt f = 0; f < 2 * mesh->box.dim; f++) (*open)->box.face[f] = FP_ABSORBING;
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshGetBox(FPMesh mesh, const FPBox **box)
{
  PetscFunctionBegin;
  *box = &mesh->box;
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshGetLevels(FPMesh mesh, PetscInt *levels)
{
  PetscFunctionBegin;
  *levels = mesh->refine + 1;
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshGetCells(FPMesh mesh, PetscInt level, PetscInt cells[], PetscReal *ratio)
{
  const PetscReal share   = level == 0 ? 1.0 : (level == 1 && mesh->refine == 2) ? 0.75 : 0.5;
  PetscReal       product = 1;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < mesh->box.dim; i++) {
    const PetscInt odd = mesh->cells[i] % 2; /* kept: whether the middle of the box is a node or a face */

    cells[i] = level == 0 ? mesh->cells[i] : 2 * (PetscInt)round((share * mesh->cells[i] - odd) / 2) + odd;
    product *= (PetscReal)mesh->cells[i] / cells[i];
  }
  *ratio = PetscPowReal(product, 1.0 / mesh->box.dim);
  PetscFunctionReturn(0);
}

void FPMeshMap(FPMesh mesh, PetscInt axis, PetscReal xi, PetscReal *z, PetscReal *dz)
{
  const AxisMap  *m     = &mesh->map[axis];
  const PetscReal lower = mesh->box.lower[axis], upper = mesh->box.upper[axis];

  if (m->kind == MAP_SINH) {
    *z  = m->center + m->amplitude * sinh(m->strength * (xi - m->origin));
    *dz = m->amplitude * m->strength * cosh(m->strength * (xi - m->origin));
  } else if (m->kind == MAP_LOG) {
    *z  = lower * exp(xi * log(upper / lower));
    *dz = *z * log(upper / lower);
  } else if (m->kind == MAP_CHEBYSHEV) {
    *z  = (lower + upper) / 2 - (upper - lower) / 2 * cos(PETSC_PI * xi);
    *dz = PETSC_PI * (upper - lower) / 2 * sin(PETSC_PI * xi);
  } else {
    *z  = lower + xi * (upper - lower);
    *dz = upper - lower;
  }
}

void FPMeshUnmap(FPMesh mesh, PetscInt axis, PetscReal z, PetscReal *xi)
{
  const AxisMap  *m     = &mesh->map[axis];
  const PetscReal lower = mesh->box.lower[axis], upper = mesh->box.upper[axis];

  if (m->kind == MAP_SINH)
    *xi = m->origin + asinh((z - m->center) / m->amplitude) / m->strength;
  else if (m->kind == MAP_LOG)
    *xi = log(z / lower) / log(upper / lower);
  else if (m->kind == MAP_CHEBYSHEV)
    *xi = acos(PetscClipInterval(1 - 2 * (z - lower) / (upper - lower), -1, 1)) / PETSC_PI;
  else
    *xi = (z - lower) / (upper - lower);
}

PetscErrorCode FPMeshDestroy(FPMesh *mesh)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(*mesh));
  PetscFunctionReturn(0);
}

PetscErrorCode FPMeshList(FILE *out)
{
  PetscFunctionBegin;
  PetscCall(FPParametersView(MeshParameters, "mesh", out));
  PetscFunctionReturn(0);
}

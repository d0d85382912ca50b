/* exit.c: how long a process stays in a region, and where it leaves: mean_time, variance_time, survival[t=..],
   median_time from one start; rate and rate[1], the slowest rates of the process killed at the boundary, the first of
   which is the exit rate of those that have stayed long; fraction_negative_curvature, the share of exits whose
   displacement from the centre, a critical point with negative curvature, lies with more than half of its square along
   those directions; landing_above[i] and overshoot[x=..], of processes that jump, the shares of exits that land where
   z_i is larger than at the start, and more than x beyond the boundary; committor, the probability of meeting region_b
   before leaving; asymptotic_ratio, of processes that jump, the rate over its limit for weak noise. Generator:
   exit_generator.c; particles: exit_particles.c; exit_asymptote.c. Exact, for dx = a x dt + sqrt(2 D) dB left
   at |x| = R from 0: mean R^2/(2 D) 2F2(1, 1; 3/2, 2; -a R^2/(2 D)), rate k with 1F1(k/(2 a); 1/2; -a R^2/(2 D)) = 0.
 */
#include "exitimpl.h"
#include <gsl/gsl_eigen.h>

#define SAME_POINT 1e-6
#define FEWEST 2 /* cells per axis */

static const FPParameter ExitParameters[] = {
    {"start", FP_STRINGS, offsetof(FPExit, start), NULL, 0, 0, NULL, "weight",
     "numbers, or the name of a critical point; default: the center of the region, else the minimum"},
    {"times", FP_REALS, offsetof(FPExit, times), NULL, 0, PETSC_MAX_REAL, NULL, "time",
     "ascending, of the survival curve"},
    {"overshoot", FP_REALS, offsetof(FPExit, overshoot), NULL, FP_POSITIVE, PETSC_MAX_REAL, NULL, "weight",
     "distances from the boundary to land beyond: of processes that jump (sublevel: differences of loss)"},
    {"duration", FP_REAL, offsetof(FPExit, duration), "0", 0, PETSC_MAX_REAL, NULL, "time",
     "of the simulation; 0: 30 lifetimes by the generator, at most particles_steps"},
    {0}};

/* Keys of the region that also name a default start. */
typedef struct {
  FPStrings region, center;
} Place;

static const FPParameter PlaceParameters[] = {
    {"region", FP_STRINGS, offsetof(Place, region), NULL, 0, 0, NULL, NULL, "types of region"},
    {"center", FP_STRINGS, offsetof(Place, center), NULL, 0, 0, NULL, "weight", "numbers, or a critical point"},
    {0}};

static const FPParameter EngineParameters[] = {
    {"engines", FP_STRINGS, 0, "generator,particles", 0, 0, NULL, NULL, "of the run"}, {0}};

PetscErrorCode FPExitWalls(FPProcess process, FPMesh mesh, const FPBox **walls)
{
  FPStable stable;

  PetscFunctionBegin;
  *walls = NULL;
  PetscCall(FPProcessGetStable(process, &stable));
  if (stable.has && stable.boundary == FP_BOUNDARY_KILLED && mesh) PetscCall(FPMeshGetBox(mesh, walls));
  PetscFunctionReturn(0);
}

/* f becomes the larger of it and the distance beyond the walls. */
static void Walls(const FPBox *walls, int n, const double *z, double *f)
{
  for (PetscInt a = 0; walls && a < walls->dim; a++)
    for (int l = 0; l < n; l++)
      f[l] = PetscMax(f[l], PetscMax(walls->lower[a] - z[a * n + l], z[a * n + l] - walls->upper[a]));
}

void FPExitLevel(FPRegion region, const FPBox *walls, int n, const double *z, double *f)
{
  FPRegionLevel(region, n, z, f);
  Walls(walls, n, z, f);
}

void FPExitDistance(FPRegion region, const FPBox *walls, int n, const double *z, double *f)
{
  FPRegionDistance(region, n, z, f);
  Walls(walls, n, z, f);
}

static PetscErrorCode ReadTimes(FPExit *e)
{
  PetscFunctionBegin;
  for (PetscInt k = 1; k < e->times.n; k++)
    FPInputCheck(e->times.value[k] > e->times.value[k - 1], "exit_times: %g after %g; accepted are ascending times",
                 (double)e->times.value[k], (double)e->times.value[k - 1]);
  PetscFunctionReturn(0);
}

/* Is the centre a critical point with negative curvature? Then it moves onto it; coordinates that are a map have their
 * own Hessian. */
static PetscErrorCode FindSaddle(FPExit *e)
{
  const FPCriticalPoint *points;
  PetscInt               count, weights;
  PetscBool              mapped;

  PetscFunctionBegin;
  PetscCall(FPModelGetParent(e->model, &mapped, &weights));
  if (mapped) PetscFunctionReturn(0);
  PetscCall(FPModelGetCriticalPoints(e->model, &count, &points));
  for (PetscInt k = 0; k < count; k++) {
    PetscReal distance = 0;

    for (PetscInt a = 0; a < e->dim; a++) distance = PetscMax(distance, PetscAbsReal(points[k].z[a] - e->centre[a]));
    if (distance > SAME_POINT || points[k].index == 0) continue;
    e->negative = points[k].index;
    PetscCall(PetscArraycpy(e->centre, points[k].z, e->dim));
    PetscFunctionReturn(0);
  }
  PetscFunctionReturn(0);
}

/* Eigenvectors of the symmetric part of the Hessian at the centre that belong to its lowest eigenvalues. */
static PetscErrorCode NegativeDirections(FPExit *e)
{
  const size_t               d = (size_t)e->dim;
  double                    *H = FPScratchTake(d * d);
  gsl_matrix                *A = gsl_matrix_alloc(d, d), *vector = gsl_matrix_alloc(d, d);
  gsl_vector                *value = gsl_vector_alloc(d);
  gsl_eigen_symmv_workspace *work  = gsl_eigen_symmv_alloc(d);

  PetscFunctionBegin;
  FPModelHessian(e->model, 1, e->centre, H);
  for (size_t i = 0; i < d; i++)
    for (size_t j = 0; j < d; j++) gsl_matrix_set(A, i, j, (H[i * d + j] + H[j * d + i]) / 2);
  (void)gsl_eigen_symmv(A, value, vector, work);
  (void)gsl_eigen_symmv_sort(value, vector, GSL_EIGEN_SORT_VAL_ASC);
  PetscCall(PetscMalloc1((size_t)e->negative * d, &e->vector));
  for (size_t k = 0; k < (size_t)e->negative; k++)
    for (size_t i = 0; i < d; i++) e->vector[k * d + i] = gsl_matrix_get(vector, i, k);
  FPScratchRelease(H);
  gsl_eigen_symmv_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(vector);
  gsl_matrix_free(A);
  PetscFunctionReturn(0);
}

/* The start: as given, else the center of the region, else the minimum; centre: the center, else the start. */
static PetscErrorCode ReadStart(FPExit *e, FPConfig config)
{
  Place     place = {0};
  PetscBool centred;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "exit", PlaceParameters, &place));
  centred = (PetscBool)(place.center.n > 0 && place.region.n == 1);
  if (centred) PetscCall(FPPointRead(config, "exit_center", &place.center, e->model, e->centre));
  if (e->start.n > 0)
    PetscCall(FPPointRead(config, "exit_start", &e->start, e->model, e->z));
  else if (centred)
    PetscCall(PetscArraycpy(e->z, e->centre, e->dim));
  else {
    const FPCriticalPoint *points;
    PetscInt               count;

    PetscCall(FPModelGetCriticalPoints(e->model, &count, &points));
    FPInputCheck(count > 0, "exit_start is missing: the model has no minimum to start from; give numbers");
    PetscCall(PetscArraycpy(e->z, points[0].z, e->dim));
  }
  if (!centred) PetscCall(PetscArraycpy(e->centre, e->z, e->dim));
  PetscCall(FPConfigFree(PlaceParameters, &place));
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckStart(const FPExit *e, FPMesh mesh)
{
  double level;

  PetscFunctionBegin;
  FPRegionLevel(e->region, 1, e->z, &level);
  FPInputCheck(level<0, "exit_start = %g%s lies outside the region of exit_region; accepted are points inside it",
                     (double)e->z[0], e->dim> 1
                   ? ", ..."
                   : "");
  if (e->second) {
    FPRegionLevel(e->second, 1, e->z, &level);
    FPInputCheck(level >= 0, "exit_start = %g%s lies in the region of exit_region_b; accepted are points outside it",
                 (double)e->z[0], e->dim > 1 ? ", ..." : "");
  }
  if (mesh) {
    const FPBox *box;

    PetscCall(FPMeshGetBox(mesh, &box));
    for (PetscInt a = 0; a < e->dim; a++)
      FPInputCheck(e->z[a] > box->lower[a] && e->z[a] < box->upper[a],
                   "exit_start: coordinate %" PetscInt_FMT " = %g is outside the mesh; accepted are (%g, %g)", a + 1,
                   (double)e->z[a], (double)box->lower[a], (double)box->upper[a]);
  }
  PetscFunctionReturn(0);
}

/* Reflecting walls keep what the region does not let out before. */
static PetscErrorCode CheckWayOut(const FPExit *e, FPMesh mesh)
{
  const FPBox *box;
  PetscInt     cells[FP_MAX_AXES], total = 1;
  PetscReal    ratio;
  PetscBool    out = PETSC_FALSE;

  PetscFunctionBegin;
  if (!mesh) PetscFunctionReturn(0);
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPMeshGetCells(mesh, 0, cells, &ratio));
  for (PetscInt f = 0; f < 2 * e->dim; f++) out = (PetscBool)(out || box->face[f] == FP_ABSORBING);
  for (PetscInt a = 0; a < e->dim; a++) total *= cells[a] + 1;
  for (PetscInt k = 0; k < total && !out; k++) { /* the corners of the cells */
    PetscInt rest = k;
    double   z[FP_MAX_AXES], slope, level;

    for (PetscInt a = 0; a < e->dim; a++) {
      FPMeshMap(mesh, a, (PetscReal)(rest % (cells[a] + 1)) / cells[a], &z[a], &slope);
      rest /= cells[a] + 1;
    }
    FPRegionLevel(e->region, 1, z, &level);
    out = (PetscBool)(level >= 0);
  }
  FPInputCheck(out, "exit_region holds the whole mesh, whose walls reflect: nothing leaves it; choose a smaller region "
                    "or absorbing mesh_faces");
  PetscFunctionReturn(0);
}

/* A grid needs some cells in the region: counted on the coarsest one of a run with an engine on grids. */
static PetscErrorCode CheckCells(const FPExit *e, FPConfig config, FPMesh mesh)
{
  PetscInt  levels, cells[FP_MAX_AXES], total = 1, inside = 0, needed = 1;
  PetscReal ratio;
  FPStrings engines = {0};
  PetscBool wanted;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "", EngineParameters, &engines));
  wanted = PETSC_FALSE;
  for (PetscInt k = 0; mesh && k < engines.n; k++)
    wanted = (PetscBool)(wanted || strcmp(engines.value[k], "particles") != 0);
  PetscCall(FPConfigFree(EngineParameters, &engines));
  if (!wanted) PetscFunctionReturn(0);
  PetscCall(FPMeshGetLevels(mesh, &levels));
  PetscCall(FPMeshGetCells(mesh, levels - 1, cells, &ratio));
  for (PetscInt a = 0; a < e->dim; a++) {
    total *= cells[a];
    needed *= FEWEST;
  }
  for (PetscInt k = 0; k < total && inside < needed; k++) {
    PetscInt rest = k;
    double   z[FP_MAX_AXES], slope, level;

    for (PetscInt a = 0; a < e->dim; a++) {
      FPMeshMap(mesh, a, (rest % cells[a] + 0.5) / cells[a], &z[a], &slope);
      rest /= cells[a];
    }
    FPRegionLevel(e->region, 1, z, &level);
    inside += level < 0;
  }
  FPInputCheck(inside >= needed,
               "exit_region holds the centres of %" PetscInt_FMT
               " cells of the coarsest grid; accepted are %" PetscInt_FMT
               " or more: give a larger region, a mesh around it, or more mesh_cells",
               inside, needed);
  PetscFunctionReturn(0);
}

static PetscErrorCode Read_Exit(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  FPExit *e = (FPExit *)obs->data;

  PetscFunctionBegin;
  e->model = model;
  PetscCall(FPModelGetSizes(model, &e->dim, NULL, NULL));
  PetscCall(ReadTimes(e));
  PetscCall(FPRegionCreate(config, "exit", PETSC_FALSE, model, &e->region));
  PetscCall(FPRegionCreate(config, "exit", PETSC_TRUE, model, &e->second));
  FPInputCheck(e->region || !wanted, "exit_region is missing: exits are from a ball, a box, ...");
  if (!e->region) PetscFunctionReturn(0);
  PetscCall(ReadStart(e, config));
  if (wanted) PetscCall(CheckStart(e, mesh));
  if (wanted) PetscCall(CheckWayOut(e, mesh));
  if (wanted) PetscCall(CheckCells(e, config, mesh));
  PetscCall(FindSaddle(e));
  if (e->negative) PetscCall(NegativeDirections(e));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Exit(FPObservable obs)
{
  FPExit *e = (FPExit *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPRegionDestroy(&e->region));
  PetscCall(FPRegionDestroy(&e->second));
  PetscCall(PetscFree(e->vector));
  PetscCall(PetscFree(e->limit));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Exit(FPObservable obs)
{
  FPExit *e;

  PetscFunctionBegin;
  PetscCall(PetscNew(&e));
  obs->data       = e;
  obs->parameters = ExitParameters;
  obs->ops        = (FPObservableOps){.read      = Read_Exit,
                                      .exact     = FPExitExact,
                                      .generator = FPExitGenerator,
                                      .begin     = FPExitParticlesBegin,
                                      .evaluate  = FPExitEvaluate,
                                      .destroy   = Destroy_Exit};
  PetscFunctionReturn(0);
}

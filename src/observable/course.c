/* course.c: times and starts of the observables along time. */
#include "course.h"
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <stdlib.h>

#define ON_LINE 0.01     /* cells */
#define GAUSSIAN_REACH 8 /* standard deviations */
#define LATEST 1e12      /* beyond, rounding of the fastest rates is all that is left */
#define STENCIL 8        /* centres that a point is interpolated from */
#define UNIFORM 4        /* lengths of the box: a Gaussian this wide, mirrored, is uniform to e^-79 */

static PetscErrorCode ReadTimes(FPCourse *course, const char section[])
{
  const PetscInt n = course->times.n;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &course->t));
  for (PetscInt k = 0; k < n; k++) {
    const char *word = course->times.value[k];
    char       *end;

    course->t[k] = strtod(word, &end);
    FPInputCheck(end != word && !*end && course->t[k] >= 0 && course->t[k] <= LATEST,
                 "%s_times: '%s' is no time; numbers from 0 to %g are accepted", section, word, LATEST);
    FPInputCheck(k == 0 || course->t[k] > course->t[k - 1], "%s_times: %s after %s; ascending times are accepted",
                 section, word, course->times.value[k - 1]);
    FPInputCheck(strlen(word) < 20, "%s_times: '%s' is longer than 19 characters", section, word);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPCourseReadStarted(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  PetscFunctionBegin;
  PetscCall(FPCourseRead((FPCourse *)obs->data, obs->name, config, model, mesh, PETSC_TRUE, wanted));
  PetscFunctionReturn(0);
}

PetscErrorCode FPCourseRead(FPCourse *course, const char section[], FPConfig config, FPModel model, FPMesh mesh,
                            PetscBool needs_start, PetscBool wanted)
{
  char     key[2 * FP_NAME];
  PetscInt dim;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  FPInputCheck(!wanted || course->times.n > 0,
               "%s_times is not given: a list of times, ascending from 0 on, is accepted", section);
  FPInputCheck(!wanted || !needs_start || course->start.n > 0,
               "%s_start is not given: %" PetscInt_FMT " coordinates or the name of a critical point are accepted",
               section, dim);
  if (course->times.n > 0) PetscCall(ReadTimes(course, section));
  if (course->start.n == 0) PetscFunctionReturn(0);
  PetscCall(PetscSNPrintf(key, sizeof(key), "%s_start", section));
  PetscCall(FPPointRead(config, key, &course->start, model, course->z));
  course->started = PETSC_TRUE;
  if (mesh) {
    const FPBox *box;

    PetscCall(FPMeshGetBox(mesh, &box));
    for (PetscInt a = 0; a < dim; a++)
      FPInputCheck(course->z[a] > box->lower[a] && course->z[a] < box->upper[a],
                   "%s: coordinate %" PetscInt_FMT " is %g, outside the box from %g to %g", key, a + 1,
                   (double)course->z[a], (double)box->lower[a], (double)box->upper[a]);
  }
  PetscFunctionReturn(0);
}

/* x mirrored into [0, 1] */
static PetscReal Mirror(PetscReal x)
{
  x = PetscAbsReal(x) - 2 * PetscFloorReal(PetscAbsReal(x) / 2);
  return x > 1 ? 2 - x : x;
}

/* Add a weight at xi in [0, 1] of an axis of n cells: cubic B-spline, mirrored at the ends. */
static void Deposit(PetscInt n, PetscReal xi, PetscReal weight, PetscReal share[])
{
  const PetscReal x = xi * n - 0.5, f = x - PetscFloorReal(x), g = 1 - f;
  const PetscInt  i    = (PetscInt)PetscFloorReal(x);
  const PetscReal w[4] = {g * g * g / 6, 2.0 / 3 - f * f * (2 - f) / 2, 2.0 / 3 - g * g * (2 - g) / 2, f * f * f / 6};

  for (PetscInt k = 0; k < 4; k++) {
    PetscInt j = i - 1 + k;

    if (j < 0) j = -1 - j;
    if (j >= n) j = 2 * n - 1 - j;
    share[PetscClipInterval(j, 0, n - 1)] += weight * w[k];
  }
}

/* The same by the polynomial through the STENCIL centres around xi, shifted inwards at the ends and at most a quarter
   of them (but four): what it makes of smooth functions is far nearer than order 4, wherever xi lies between the
   centres. */
static void Interpolate(PetscInt n, PetscReal xi, PetscReal weight, PetscReal share[])
{
  const PetscReal x      = xi * n - 0.5;
  const PetscInt  points = 2 * PetscClipInterval(n / STENCIL, 2, STENCIL / 2);
  const PetscInt  first  = PetscClipInterval((PetscInt)PetscFloorReal(x) - points / 2 + 1, 0, n - points);

  for (PetscInt i = 0; i < points; i++) {
    PetscReal w = weight;

    for (PetscInt j = 0; j < points; j++)
      if (j != i) w *= (x - (PetscReal)(first + j)) / (PetscReal)(i - j);
    share[first + i] += w;
  }
}

/* Law of one coordinate on the cells of its axis. */
static void AxisLaw(const FPCourse *course, FPMesh mesh, const FPBox *box, PetscInt a, PetscInt n, PetscBool is_signed,
                    PetscReal share[])
{
  const PetscReal length = box->upper[a] - box->lower[a], s = PetscMin(course->spread, UNIFORM * length);
  const PetscReal step  = s > 0 ? PetscMin(0.25 * length / n, s / 4) : 1;
  const PetscInt  reach = s > 0 ? (PetscInt)PetscCeilReal(GAUSSIAN_REACH * s / step) : 0;
  PetscReal       sum   = 0;

  for (PetscInt k = -reach; k <= reach; k++) sum += exp(s > 0 ? -0.5 * PetscSqr(k * step / s) : 0);
  for (PetscInt k = -reach; k <= reach; k++) {
    const PetscReal z = Mirror((course->z[a] + k * step - box->lower[a]) / length) * length + box->lower[a];
    PetscReal       xi;

    FPMeshUnmap(mesh, a, z, &xi);
    (is_signed ? Interpolate : Deposit)(n, xi, exp(s > 0 ? -0.5 * PetscSqr(k * step / s) : 0) / sum, share);
  }
}

/* Does the start, a point, lie on the line of the unknowns, one per layer of the axis `along`? */
static PetscBool StartsOnLine(const FPCourse *course, PetscInt dim, PetscInt n, const PetscReal z[], PetscInt along)
{
  PetscInt k = 0;

  while (k < n - 2 && z[along * n + k + 1] < course->z[along]) k++;
  for (PetscInt a = 0; a < dim; a++) {
    const PetscReal *at = &z[a * n + k], *x = &z[along * n + k];
    const PetscReal  t = (course->z[along] - x[0]) / (x[1] - x[0]);

    if (PetscAbsReal(at[0] + t * (at[1] - at[0]) - course->z[a]) > ON_LINE * PetscAbsReal(x[1] - x[0]))
      return PETSC_FALSE;
  }
  return (PetscBool)(course->spread == 0);
}

PetscErrorCode FPCourseLaw(const FPCourse *course, FPGenerator gen, PetscReal law[], PetscReal *missing)
{
  const PetscInt  *cells, *node;
  const PetscReal *z;
  const FPBox     *box;
  PetscReal       *share[3], sum = 0;
  PetscInt         dim, n;
  FPMesh           mesh;
  FPGeneratorInfo  info;
  PetscBool        on_line;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  PetscCall(FPGeneratorGetSetting(gen, &mesh, NULL, NULL));
  PetscCall(FPMeshGetBox(mesh, &box));
  PetscCall(FPGeneratorGetGrid(gen, &dim, &cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &n, &node, &z, NULL, NULL));
  on_line = (PetscBool)(info.along >= 0 && StartsOnLine(course, dim, n, z, info.along));
  for (PetscInt a = 0; a < dim; a++) {
    PetscCall(PetscCalloc1(cells[a], &share[a]));
    if (info.interpolates && info.order == 0)
      PetscCall(FPGeneratorShares(gen, a, course->z[a], course->spread, share[a]));
    else
      AxisLaw(course, mesh, box, a, cells[a], info.interpolates, share[a]);
  }
  for (PetscInt k = 0; k < n; k++) {
    PetscInt rest = node[k];

    law[k] = info.along < 0 || on_line;
    for (PetscInt a = 0; a < dim; a++) {
      if (info.along < 0 || info.along == a) law[k] *= share[a][rest % cells[a]];
      rest /= cells[a];
    }
    sum += law[k];
  }
  *missing = PetscMax(0, 1 - sum);
  for (PetscInt k = 0; k < n && sum > 0; k++) law[k] /= sum;
  for (PetscInt a = 0; a < dim; a++) PetscCall(PetscFree(share[a]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPCourseMover(FPGenerator gen, FPGenerator *mover)
{
  const FPGeneratorOptions *same;
  FPGeneratorOptions        options;
  FPGeneratorInfo           info[2];
  FPProcess                 process;
  FPMesh                    mesh;
  PetscInt                  level, dim;
  PetscBool                 potential;
  PetscReal                 step;

  PetscFunctionBegin;
  *mover = NULL;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPProcessHasPotential(process, &potential));
  PetscCall(FPGeneratorGetStep(gen, &step));
  if (step > 0) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetGrid(gen, &dim, NULL, NULL));
  PetscCall(FPGeneratorGetInfo(gen, &info[0]));
  if (!potential && dim > 1 && !info[0].degenerate) PetscFunctionReturn(0);
  PetscCall(FPGeneratorGetSetting(gen, &mesh, &level, &same));
  options           = *same;
  options.transient = PETSC_TRUE;
  PetscCall(FPGeneratorCreate(process, mesh, level, &options, NULL, mover));
  PetscCall(FPGeneratorGetInfo(*mover, &info[1]));
  PetscCheck(info[0].unknowns == info[1].unknowns, PETSC_COMM_SELF, PETSC_ERR_PLIB,
             "two chains on one grid have %" PetscInt_FMT " and %" PetscInt_FMT " unknowns", info[0].unknowns,
             info[1].unknowns);
  PetscFunctionReturn(0);
}

PetscErrorCode FPCourseEvolve(const FPCourse *course, FPGenerator gen, const PetscReal law[], PetscReal p[],
                              PetscReal error[])
{
  FPGenerator mover;

  PetscFunctionBegin;
  PetscCall(FPCourseMover(gen, &mover));
  PetscCall(FPGeneratorEvolve(mover ? mover : gen, PETSC_FALSE, law, course->times.n, course->t, p, error));
  PetscCall(FPGeneratorDestroy(&mover));
  PetscFunctionReturn(0);
}

void FPCourseSurvivors(FPGenerator gen, PetscReal p[], PetscReal *mass)
{
  FPGeneratorInfo info;

  (void)FPGeneratorGetInfo(gen, &info);
  *mass = 0;
  for (PetscInt k = 0; k < info.unknowns; k++) *mass += p[k];
  for (PetscInt k = 0; k < info.unknowns; k++) p[k] = info.interpolates ? p[k] / *mass : PetscMax(0, p[k] / *mass);
}

void FPCourseMean(PetscInt n, const PetscReal p[], const PetscReal f[], PetscReal error, PetscReal *mean,
                  PetscReal *bound)
{
  PetscReal least = PETSC_MAX_REAL, most = PETSC_MIN_REAL;

  *mean = 0;
  for (PetscInt k = 0; k < n; k++) {
    *mean += p[k] * f[k];
    least = PetscMin(least, f[k]);
    most  = PetscMax(most, f[k]);
  }
  *bound = error * (most - least) + 1e-13 * PetscMax(PetscAbsReal(least), PetscAbsReal(most));
}

PetscErrorCode FPCourseEnsemble(const FPCourse *course, const FPScene *scene, const FPParticleOptions *options,
                                FPEnsemble *ensemble)
{
  const FPBox *box = NULL;
  PetscInt     count, dim;
  gsl_rng     *rng = gsl_rng_alloc(gsl_rng_mt19937);

  PetscFunctionBegin;
  ensemble->own      = PETSC_TRUE;
  ensemble->duration = course->t[course->times.n - 1];
  if (scene->mesh) PetscCall(FPMeshGetBox(scene->mesh, &box));
  PetscCall(FPModelGetSizes(scene->model, &dim, NULL, NULL));
  PetscCall(FPParticlesCount(options, &count));
  PetscCall(PetscMalloc1((size_t)count * dim, &ensemble->start));
  gsl_rng_set(rng, (unsigned long)options->seed + 1);
  for (PetscInt k = 0; k < count; k++)
    for (PetscInt a = 0; a < dim; a++) {
      PetscReal z = course->z[a];

      if (course->spread > 0) z += gsl_ran_gaussian(rng, course->spread);
      if (course->spread > 0 && box)
        z = box->lower[a] +
            (box->upper[a] - box->lower[a]) * Mirror((z - box->lower[a]) / (box->upper[a] - box->lower[a]));
      ensemble->start[(size_t)k * dim + a] = z;
    }
  gsl_rng_free(rng);
  PetscFunctionReturn(0);
}

PetscInt FPCourseDue(const FPCourse *course, PetscInt64 step, PetscReal dt, PetscInt *first)
{
  const PetscReal slack = 1e-6 * dt, from = step == 1 ? -1 : (PetscReal)(step - 1) * dt + slack,
                  to = (PetscReal)step * dt + slack;
  PetscInt low = 0, high = course->times.n, last;

  while (low < high) { /* the first time beyond `from` */
    const PetscInt middle = (low + high) / 2;

    if (course->t[middle] > from)
      high = middle;
    else
      low = middle + 1;
  }
  *first = last = low;
  while (last < course->times.n && course->t[last] <= to) last++;
  return last - low;
}

void FPCoursePick(PetscInt rows, PetscReal fraction, const double before[], const double after[], double z[])
{
  for (PetscInt i = 0; i < rows; i++)
    for (PetscInt l = 0; l < FP_BLOCK; l++)
      z[i * FP_BLOCK + l] = (l + 0.5 < fraction * FP_BLOCK ? after : before)[i * FP_BLOCK + l];
}

PetscErrorCode FPCourseDestroy(FPCourse *course)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(course->t));
  PetscFunctionReturn(0);
}

void FPBinsWiden(const FPBins *bins, FPBins *wide)
{
  const PetscInt merge = bins->dim < 3 ? 4 : 2;

  *wide       = *bins;
  wide->total = 1;
  for (PetscInt a = 0; a < bins->dim; a++) {
    wide->count[a] /= merge;
    wide->width[a] *= merge;
    wide->volume *= merge;
    wide->total *= wide->count[a];
  }
}

PetscErrorCode FPEntryName(FPModel model, PetscInt a, char name[24])
{
  PetscInt inputs, targets;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, NULL, &inputs, &targets));
  PetscCall(PetscStrncpy(name, "p", 24));
  if (inputs * targets > 1) PetscCall(PetscSNPrintf(name, 24, "p[%d][%d]", (int)(a / inputs), (int)(a % inputs)));
  PetscFunctionReturn(0);
}

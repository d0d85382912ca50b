/* lab.h: one process on all grids of a mesh, from keys as on the command line, for tests that compare with exact laws.
 */
#ifndef FPLAB_H
#define FPLAB_H
#include "test.h"
#include "../src/run/runimpl.h"
#include <math.h>

typedef struct {
  FPConfig           config;
  FPData             data;
  FPModel            model;
  FPProcess          process;
  FPMesh             mesh;
  FPGeneratorOptions generating;
  PetscInt           levels, modes, order;
  FPGenerator        gen[FP_MAX_LEVELS]; /* the finest first */
  PetscReal          ratio[FP_MAX_LEVELS];
  FPRefinement       grids; /* the same, as a run knows it */
} Lab;

typedef double (*LabFunction)(const double *z, const double *parameter); /* z[dim] */

/* keys: "section_key value section_key value ..." */
static inline void LabOpen(Lab *lab, const char process[], const char keys[])
{
  char text[1024], *word, *rest = text, *key = NULL;

  memset(lab, 0, sizeof *lab);
  must(FPConfigCreate(&lab->config));
  must(PetscStrncpy(text, keys, sizeof text));
  while ((word = strtok_r(rest, " ", &rest))) {
    if (key) must(FPConfigSet(lab->config, key, word));
    key = key ? NULL : word;
  }
  must(FPDataCreate(lab->config, &lab->data));
  must(FPModelCreate(lab->config, lab->data, &lab->model));
  must(FPProcessCreate(lab->config, process, lab->model, &lab->process));
}

static inline void LabSolve(Lab *lab, PetscInt pairs)
{
  PetscInt        dim;
  PetscBool       has;
  FPGeneratorInfo info;

  must(FPModelGetSizes(lab->model, &dim, NULL, NULL));
  must(FPMeshCreate(lab->config, dim, &lab->mesh, &has));
  must(FPGeneratorOptionsRead(lab->config, &lab->generating));
  must(FPMeshGetLevels(lab->mesh, &lab->levels));
  for (PetscInt l = 0; l < lab->levels; l++) {
    must(FPGeneratorCreate(lab->process, lab->mesh, l, &lab->generating, NULL, &lab->gen[l]));
    must(FPGeneratorGetGrid(lab->gen[l], &dim, NULL, &lab->ratio[l]));
    must(FPGeneratorSolve(lab->gen[l], pairs));
  }
  must(FPGeneratorGetModes(lab->gen[0], &lab->modes, NULL, NULL, NULL));
  must(FPGeneratorGetInfo(lab->gen[0], &info));
  lab->order        = info.order; /* as a run decides */
  lab->grids.levels = lab->levels;
  must(PetscArraycpy(lab->grids.ratio, lab->ratio, lab->levels));
  must(FPRunRefinement(lab->gen[0], &lab->grids));
}

static inline void LabClose(Lab *lab)
{
  for (PetscInt l = 0; l < lab->levels; l++) must(FPGeneratorDestroy(&lab->gen[l]));
  if (lab->mesh) must(FPMeshDestroy(&lab->mesh));
  must(FPProcessDestroy(&lab->process));
  must(FPModelDestroy(&lab->model));
  must(FPDataDestroy(&lab->data));
  must(FPConfigDestroy(&lab->config));
}

/* Stationary mean of f on one grid. */
static inline double LabMean(const Lab *lab, PetscInt l, LabFunction f, const double *parameter)
{
  PetscInt         n, dim;
  const PetscReal *z, *pi;
  double           sum = 0;

  must(FPModelGetSizes(lab->model, &dim, NULL, NULL));
  must(FPGeneratorGetNodes(lab->gen[l], &n, NULL, &z, NULL, NULL));
  must(FPGeneratorStationary(lab->gen[l], &pi));
  for (PetscInt k = 0; k < n; k++) {
    double point[FP_MAX_DIM];

    for (PetscInt a = 0; a < dim; a++) point[a] = z[a * n + k];
    sum += pi[k] * f(point, parameter);
  }
  return sum;
}

static inline double LabRate(const Lab *lab, PetscInt l, PetscInt k)
{
  PetscInt         count;
  const PetscReal *rate;

  must(FPGeneratorGetModes(lab->gen[l], &count, &rate, NULL, NULL));
  assert_true(k < count);
  return rate[k];
}

static inline double LabResidual(const Lab *lab, PetscInt l, PetscInt k)
{
  const PetscReal *residual;

  must(FPGeneratorGetModes(lab->gen[l], NULL, NULL, NULL, &residual));
  return residual[k];
}

/* Products under the stationary law of f less its mean with mode m, f f, and of the mode with itself. */
static inline void LabProducts(const Lab *lab, PetscInt l, PetscInt m, LabFunction f, const double *parameter,
                               double mean, double *fr, double *ff, double *rr)
{
  PetscInt         n, dim;
  const PetscReal *z, *pi, *right;

  must(FPModelGetSizes(lab->model, &dim, NULL, NULL));
  must(FPGeneratorGetNodes(lab->gen[l], &n, NULL, &z, NULL, NULL));
  must(FPGeneratorStationary(lab->gen[l], &pi));
  must(FPGeneratorGetMode(lab->gen[l], m, &right, NULL));
  *fr = *ff = *rr = 0;
  for (PetscInt k = 0; k < n; k++) {
    double point[FP_MAX_DIM], value;

    for (PetscInt a = 0; a < dim; a++) point[a] = z[a * n + k];
    value = f(point, parameter) - mean;
    *fr += pi[k] * value * right[k];
    *ff += pi[k] * value * value;
    *rr += pi[k] * right[k] * right[k];
  }
}

/* The mode whose eigenfunction is most like f less its mean, and the correlation of the two under the stationary law.
 */
static inline PetscInt LabFind(const Lab *lab, PetscInt l, LabFunction f, const double *parameter, double *correlation)
{
  const double mean = LabMean(lab, l, f, parameter);
  PetscInt     best = 0;

  *correlation = 0;
  for (PetscInt m = 1; m < lab->modes; m++) {
    double fr, ff, rr;

    LabProducts(lab, l, m, f, parameter, mean, &fr, &ff, &rr);
    if (fabs(fr) / sqrt(ff * rr) > *correlation) {
      *correlation = fabs(fr) / sqrt(ff * rr);
      best         = m;
    }
  }
  return best;
}

/* How much of f less its mean lies in the span of the modes whose rates are within `spread` of `rate`, as a
   correlation; reversible processes, whose modes are orthogonal under the stationary law. */
static inline double LabShare(const Lab *lab, PetscInt l, LabFunction f, const double *parameter, double spread,
                              double rate)
{
  const double mean  = LabMean(lab, l, f, parameter);
  double       share = 0;

  for (PetscInt m = 1; m < lab->modes; m++) {
    double fr, ff, rr;

    if (fabs(LabRate(lab, l, m) - rate) > spread) continue;
    LabProducts(lab, l, m, f, parameter, mean, &fr, &ff, &rr);
    share += fr * fr / (rr * ff);
  }
  return sqrt(share);
}

/* Value and bound from all grids; value[l] is that of grid l. */
static inline void LabBound(const Lab *lab, const double value[], double solver, double *result, double *error)
{
  const FPQuantity smooth = {.smoothness = FP_SMOOTH};

  FPBoundGrids(&lab->grids, &smooth, value, solver, result, error);
}

/* |value - exact| within the bound, and the bound no more than `tolerance` of the exact value. */
static inline void LabWithin(const char what[], double value, double error, double exact, double tolerance)
{
  print_message("  %-34s %.12g exact %.12g: off by %.2e, bound %.2e\n", what, value, exact, fabs(value - exact), error);
  check(fabs(value - exact) <= error, "%s: %.15g, exact %.15g, off by %.3g, bound %.3g", what, value, exact,
        fabs(value - exact), error);
  check(error <= tolerance * fabs(exact), "%s: bound %.3g is more than %g of %g", what, error, tolerance, exact);
}

static inline void LabMeanWithin(const Lab *lab, const char what[], LabFunction f, const double *parameter,
                                 double exact, double tolerance)
{
  double v[FP_MAX_LEVELS], value, error;

  for (PetscInt l = 0; l < lab->levels; l++) v[l] = LabMean(lab, l, f, parameter);
  LabBound(lab, v, 0, &value, &error);
  LabWithin(what, value, error, exact, tolerance);
}

static inline void LabRateWithin(const Lab *lab, const char what[], PetscInt mode, double exact, double tolerance)
{
  double v[FP_MAX_LEVELS], value, error;

  for (PetscInt l = 0; l < lab->levels; l++) v[l] = LabRate(lab, l, mode);
  LabBound(lab, v, LabResidual(lab, 0, mode), &value, &error);
  LabWithin(what, value, error, exact, tolerance);
}
#endif

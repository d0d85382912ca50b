/* exit_asymptote.c: the rate at which weak jumps leave a region. The drift keeps the process near a stable point m, and
   what leaves does so by one jump from there, at the rate
     sigma(m)^alpha nu({y: m + y lands outside the region}),
   nu the Levy measure, c_d |y|^(-d-alpha) dy with c_d = alpha 2^(alpha-1) Gamma((d+alpha)/2)/(pi^(d/2)
   Gamma(1-alpha/2)), or c_1 |y|^(-1-alpha) dy along each axis where components are independent: asymptotic_rate.
   asymptotic_ratio, the slowest rate over it, goes to 1 as sigma falls, whatever drift and barriers are (P. Imkeller,
   I. Pavlyukevich, Stoch. Process. Appl. 116 (2006) 611, in one dimension; P. Imkeller, I. Pavlyukevich, M. Stauch, J.
   Stat. Phys. 141 (2010) 94). The box is part of the process: a jump out of it lands where the boundary kind says.
   Along a ray from m, nu is the sum of r^-alpha/alpha over the radii at which landing points leave the region, less
   that over those at which they come back; in the plane rays are summed by the midpoint rule. Errors: what half as many
   rays and radii change. */
#include "exitimpl.h"
#include <gsl/gsl_complex_math.h>
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_linalg.h>
#include <math.h>

#define MOST 8        /* coordinates */
#define RAYS 2048     /* in the plane */
#define FLOW 200000   /* Runge-Kutta steps to the stable point, at most */
#define AT_REST 1e-9  /* length of a step there, over that of the box */
#define FLAT 1e-6     /* least rate of return over the largest: less is a valley, not a point */
#define NEAREST 1e-4  /* radii, in lengths of the box, */
#define FAR 10        /* their relative distance up to here */
#define FARTHEST 1e10 /* and from there on */
#define CLOSE_STEP 0.01
#define FAR_STEP 0.1
#define PERIOD 64      /* radii per period of a box that mirrors */
#define PERIODS_1 2000 /* of them that are looked at on a line, in the plane */
#define PERIODS_2 40

typedef struct {
  const FPExit *e;
  const FPBox  *box; /* NULL: none */
  FPBoundary    boundary;
  PetscInt      dim;
  PetscReal     alpha, length, m[MOST];
} Jump;

/* ------------------------------------------------------------------------------------------------------------------
   The stable point */

/* One step of the flow of the drift. */
static void Flow(FPProcess process, PetscInt d, PetscReal dt, PetscReal z[])
{
  PetscReal k[4][MOST], at[MOST];

  for (PetscInt stage = 0; stage < 4; stage++) {
    const PetscReal share = stage == 3 ? dt : dt / 2;

    for (PetscInt i = 0; i < d; i++) at[i] = z[i] + (stage ? share * k[stage - 1][i] : 0);
    FPProcessDrift(process, 1, at, k[stage]);
  }
  for (PetscInt i = 0; i < d; i++) z[i] += dt / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
}

/* Derivative of the drift by central differences. */
static void Derivative(const Jump *j, FPProcess process, gsl_matrix *A)
{
  const PetscReal h = 1e-5 * j->length;

  for (PetscInt a = 0; a < j->dim; a++) {
    PetscReal at[MOST], b[2][MOST];

    for (int side = 0; side < 2; side++) {
      for (PetscInt i = 0; i < j->dim; i++) at[i] = j->m[i] + (i == a ? (side ? h : -h) : 0);
      FPProcessDrift(process, 1, at, b[side]);
    }
    for (PetscInt i = 0; i < j->dim; i++) gsl_matrix_set(A, (size_t)i, (size_t)a, (b[1][i] - b[0][i]) / (2 * h));
  }
}

/* Do small displacements die out? */
static PetscBool Stable(const gsl_matrix *derivative)
{
  const size_t                 d       = derivative->size1;
  gsl_matrix                  *A       = gsl_matrix_alloc(d, d);
  gsl_eigen_nonsymm_workspace *work    = gsl_eigen_nonsymm_alloc(d);
  gsl_vector_complex          *values  = gsl_vector_complex_alloc(d);
  PetscReal                    slowest = INFINITY, largest = 0;

  gsl_matrix_memcpy(A, derivative);
  if (gsl_eigen_nonsymm(A, values, work)) slowest = -1;
  for (size_t i = 0; i < d; i++) {
    const gsl_complex value = gsl_vector_complex_get(values, i);

    slowest = PetscMin(slowest, -GSL_REAL(value));
    largest = PetscMax(largest, gsl_complex_abs(value));
  }
  gsl_vector_complex_free(values);
  gsl_eigen_nonsymm_free(work);
  gsl_matrix_free(A);
  return (PetscBool)(slowest > FLAT * largest);
}

/* j->m: where the drift leads from the start, refined by Newton's method. */
static PetscErrorCode FindRest(Jump *j, FPProcess process, const char **reason)
{
  const size_t     d = (size_t)j->dim;
  gsl_matrix      *A = gsl_matrix_alloc(d, d);
  gsl_vector      *b = gsl_vector_alloc(d), *x = gsl_vector_alloc(d);
  gsl_permutation *permutation = gsl_permutation_alloc(d);
  PetscReal        dt, moved = INFINITY;
  int              sign;

  PetscFunctionBegin;
  *reason = NULL;
  PetscCall(FPProcessGetParticleStep(process, &dt));
  for (PetscInt step = 0; step < FLOW && moved > AT_REST * j->length && !*reason; step++) {
    PetscReal before[MOST], level;

    PetscCall(PetscArraycpy(before, j->m, j->dim));
    Flow(process, j->dim, dt, j->m);
    FPExitLevel(j->e->region, j->box, 1, j->m, &level);
    if (!(level < 0)) *reason = "the drift alone leaves the region: its exits are not rare";
    moved = 0;
    for (PetscInt i = 0; i < j->dim; i++) moved = hypot(moved, j->m[i] - before[i]);
  }
  if (!*reason) Derivative(j, process, A);
  if (!*reason && (moved > AT_REST * j->length || !Stable(A)))
    *reason = "from exit_start the drift leads to no stable point";
  for (int step = 0; step < 3 && !*reason; step++) {
    FPProcessDrift(process, 1, j->m, b->data);
    Derivative(j, process, A);
    PetscCheck(!gsl_linalg_LU_decomp(A, permutation, &sign) && !gsl_linalg_LU_solve(A, permutation, b, x),
               PETSC_COMM_SELF, PETSC_ERR_LIB, "GSL solves no %d equations for a stable point", (int)d);
    for (size_t i = 0; i < d; i++) j->m[i] -= gsl_vector_get(x, i);
  }
  gsl_permutation_free(permutation);
  gsl_vector_free(x);
  gsl_vector_free(b);
  gsl_matrix_free(A);
  PetscFunctionReturn(0);
}

/* ------------------------------------------------------------------------------------------------------------------
   The measure of the jumps that leave */

/* Where z ends that a jump brings to a coordinate beyond the walls. */
static double Land(FPBoundary boundary, double lower, double upper, double z)
{
  const double length = upper - lower;

  if (boundary == FP_BOUNDARY_CONFINED) return PetscClipInterval(z, lower, upper);
  z = fmod(z - lower, 2 * length);
  if (z < 0) z += 2 * length;
  return lower + (z > length ? 2 * length - z : z);
}

/* out[n], n <= FP_BLOCK: does a jump from m along u over the distance r[n] leave the region? */
static void Leaves(const Jump *j, const PetscReal u[], int n, const double r[], PetscBool out[])
{
  double   *z = FPScratchTake((size_t)(j->dim * n)), f[FP_BLOCK];
  PetscBool beyond[FP_BLOCK];

  for (int l = 0; l < n; l++) beyond[l] = PETSC_FALSE;
  for (PetscInt a = 0; a < j->dim; a++)
    for (int l = 0; l < n; l++) {
      double *at = &z[a * n + l];

      *at = j->m[a] + r[l] * u[a];
      if (!j->box || (*at >= j->box->lower[a] && *at <= j->box->upper[a])) continue;
      beyond[l] = PETSC_TRUE;
      *at       = Land(j->boundary, j->box->lower[a], j->box->upper[a], *at);
    }
  FPRegionLevel(j->e->region, n, z, f);
  FPScratchRelease(z);
  for (int l = 0; l < n; l++) {
    out[l] = (PetscBool) !(f[l] < 0);
    if (beyond[l] && j->boundary == FP_BOUNDARY_KILLED) out[l] = PETSC_TRUE;
    if (beyond[l] && j->boundary == FP_BOUNDARY_CENSORED) out[l] = PETSC_FALSE;
  }
}

/* The radius between low and high at which that changes. */
static double Crossing(const Jump *j, const PetscReal u[], double low, double high)
{
  PetscBool before, here;

  Leaves(j, u, 1, &low, &before);
  for (int step = 0; step < 60; step++) {
    const double middle = (low + high) / 2;

    Leaves(j, u, 1, &middle, &here);
    if (here == before)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

/* r^-alpha at the radii where landing points leave, less that where they return. coarse: relative distance of radii, in
   units of the usual one. doubt: a mirroring box is looked at over many periods only. */
static PetscReal Ray(const Jump *j, const PetscReal u[], PetscReal coarse, PetscReal *doubt)
{
  const PetscBool mirror = (PetscBool)(j->box && j->boundary == FP_BOUNDARY_MIRROR);
  const PetscReal period = 2 * j->length,
                  end    = mirror ? (j->dim == 1 ? PERIODS_1 : PERIODS_2) * period : FARTHEST * j->length;
  PetscReal sum = 0, last = 0, share = 0;
  PetscBool outside = PETSC_FALSE, out[FP_BLOCK];
  double    r[FP_BLOCK];

  while (last < end) {
    PetscReal next = last;

    for (int l = 0; l < FP_BLOCK; l++) {
      const PetscReal step = coarse * next * (next < FAR * j->length ? CLOSE_STEP : FAR_STEP);

      next += next > 0 ? PetscMin(step, mirror ? coarse * period / PERIOD : step) : NEAREST * j->length;
      r[l] = next;
    }
    Leaves(j, u, FP_BLOCK, r, out);
    for (int l = 0; l < FP_BLOCK; l++) {
      if (out[l] != outside) sum += (out[l] ? 1 : -1) * PetscPowReal(Crossing(j, u, last, r[l]), -j->alpha);
      if (r[l] > end / 2 && out[l]) share += (r[l] - last) / (end / 2);
      outside = out[l];
      last    = r[l];
    }
  }
  *doubt = mirror ? PetscPowReal(last, -j->alpha) * 4 * period / last : 0;
  return sum + (mirror ? (PetscMin(share, 1) - outside) * PetscPowReal(last, -j->alpha) : 0);
}

static PetscReal Density(PetscInt d, PetscReal alpha)
{
  return alpha * PetscPowReal(2, alpha - 1) * tgamma((d + alpha) / 2) /
         (PetscPowReal(PETSC_PI, d / 2.0) * tgamma(1 - alpha / 2));
}

/* nu of what leaves */
static PetscReal Measure(const Jump *j, PetscBool independent, PetscReal coarse, PetscReal *doubt)
{
  const PetscBool plane = (PetscBool)(j->dim == 2 && !independent);
  const PetscInt  rays  = plane ? (PetscInt)(RAYS / coarse) : 2 * j->dim;
  const PetscReal c     = plane ? Density(2, j->alpha) * 2 * PETSC_PI / rays : Density(1, j->alpha);
  PetscReal       sum   = 0, own;

  *doubt = 0;
  for (PetscInt k = 0; k < rays; k++) {
    const PetscReal angle   = 2 * PETSC_PI * (k + 0.5) / rays;
    PetscReal       u[MOST] = {0};

    if (plane) {
      u[0] = cos(angle);
      u[1] = sin(angle);
    } else {
      u[k / 2] = k % 2 ? 1 : -1;
    }
    sum += c / j->alpha * Ray(j, u, coarse, &own);
    *doubt += c / j->alpha * own;
  }
  return sum;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static PetscErrorCode Compute(const FPExit *e, FPProcess process, FPMesh mesh, FPExitLimit *limit)
{
  FPStable  stable;
  Jump      j = {.e = e, .dim = e->dim};
  PetscReal nu, coarse, doubt[2], sigma;

  PetscFunctionBegin;
  *limit = (FPExitLimit){.process = process};
  PetscCall(FPProcessGetStable(process, &stable));
  if (stable.alpha >= 2) limit->reason = "at alpha = 2 nothing jumps";
  if (e->dim > MOST || (e->dim > 2 && !stable.independent))
    limit->reason = "the directions of jumps are summed over in one and two dimensions, or along axes";
  if (limit->reason) PetscFunctionReturn(0);
  if (mesh) PetscCall(FPMeshGetBox(mesh, &j.box));
  j.alpha    = stable.alpha;
  j.boundary = stable.boundary;
  j.length   = j.box ? 0 : 1;
  PetscCall(PetscArraycpy(j.m, e->z, e->dim));
  for (PetscInt a = 0; a < e->dim; a++)
    j.length = PetscMax(j.length, j.box ? j.box->upper[a] - j.box->lower[a] : PetscAbsReal(j.m[a]));
  PetscCall(FindRest(&j, process, &limit->reason));
  if (limit->reason) PetscFunctionReturn(0);
  FPProcessStableScale(process, 1, j.m, &sigma);
  nu           = Measure(&j, stable.independent, 1, &doubt[0]);
  coarse       = Measure(&j, stable.independent, 2, &doubt[1]);
  limit->rate  = PetscPowReal(sigma, j.alpha) * nu;
  limit->error = PetscPowReal(sigma, j.alpha) * (PetscAbsReal(nu - coarse) + doubt[0] + 1e-9 * nu);
  if (!(limit->rate > 0))
    limit->reason = sigma > 0 ? "no jump from the stable point of the drift lands outside"
                              : "the noise vanishes at the stable point of the drift";
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitAsymptote(FPExit *e, FPProcess process, FPMesh mesh, const FPExitLimit **limit)
{
  FPStable stable;
  PetscInt k = 0;

  PetscFunctionBegin;
  *limit = NULL;
  PetscCall(FPProcessGetStable(process, &stable));
  if (!stable.has) PetscFunctionReturn(0);
  while (k < e->limits && e->limit[k].process != process) k++;
  if (k == e->limits) {
    PetscCall(PetscRealloc(sizeof(*e->limit) * (size_t)(k + 1), &e->limit));
    PetscCall(Compute(e, process, mesh, &e->limit[k]));
    e->limits++;
  }
  *limit = &e->limit[k];
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitAddRatio(const FPExitLimit *limit, PetscReal rate, PetscReal error, FPQuantities *q)
{
  PetscFunctionBegin;
  if (!limit || limit->reason) PetscFunctionReturn(0);
  PetscCall(FPQuantitiesAdd(q, rate / limit->rate, (error + rate * limit->error / limit->rate) / limit->rate, "1",
                            "asymptotic_ratio"));
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitExact(FPObservable obs)
{
  FPExit        *e     = (FPExit *)obs->data;
  const FPScene *scene = &obs->scene;

  PetscFunctionBegin;
  for (PetscInt p = 0; p < scene->processes && e->region; p++) {
    const FPExitLimit *limit;
    const char        *name;

    PetscCall(FPExitAsymptote(e, scene->process[p], scene->mesh, &limit));
    PetscCall(FPProcessGetName(scene->process[p], &name));
    if (!limit) continue;
    if (limit->reason)
      PetscCall(
          FPResultsAddStatus(scene->results, name, "exact", obs->name, "asymptotic_rate", "undefined", limit->reason));
    else
      PetscCall(FPResultsAdd(scene->results, name, "exact", obs->name, "asymptotic_rate", limit->rate, limit->error,
                             FP_BOUND, "1/time"));
  }
  PetscFunctionReturn(0);
}

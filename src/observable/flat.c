/* flat.c: what a process does along the flat directions of a critical point z, the kernel F of the Hessian there, of
   one to three dimensions; x are orthonormal coordinates of z + F, direction[i][a] the rows of F, and x = 0 is z.
   conditional_...: mean, covariance and loss of the stationary law conditional on z + F, that is of its density there.
     Generator: flat_generator.c. Particles: those in a slab |z - its projection| < w, the mean of a region that is even
     across z + F (but at its ends, where walls cut slabs obliquely), so off by a power series in w^2: slabs of
   half-widths w and w/2 are extrapolated, and the correction is a doubt that enters the error. along_...: the same of
   the stationary law of the process projected on z + F, a process of its own by definition: drift P b and diffusion P D
   P at points of z + F, P the projection on F. For Gibbs processes the two laws are equal; others differ, as noise
   across F moves the law along it. gap, relaxation_time, mixing_time (TV <= 1/4 from z), mixing_time_worst (from the
   cells where the slowest mode is extreme): of that process. Both live in the largest box z + x, lower <= x <= upper,
   that fits the mesh's: of the extents of z + F along each direction, all shrunk by one factor where corners would
   stick out; its walls reflect. */
#include "flat.h"
#include <gsl/gsl_eigen.h>
#include <math.h>

#define FLAT 1e-7  /* eigenvalues of the Hessian below this count as zero, of the largest at any critical point */
#define SLOPE 1e-6 /* of that eigenvalue: a gradient that counts as zero */
#define NARROW 0.5 /* half-width of a slab in standard deviations of the law across it */
#define WIDEST 0.1 /* of the box's least length */
#define SAMPLING 4 /* SGD steps between samples */
#define FEWEST 64  /* particles in the inner slab */

static const FPParameter Parameters[] = {
    {"at", FP_STRINGS, offsetof(FPFlat, at), NULL, 0, 0, NULL, "weight",
     "a critical point by name, or its coordinates; default: the first with flat directions"},
    {"width", FP_REAL, offsetof(FPFlat, width), "0", 0, PETSC_MAX_REAL, NULL, "weight",
     "half-width of the particles' slab; 0: half a standard deviation of the Gibbs law across it"},
    {0}};

static PetscErrorCode Refuse(FPFlat *f, const char reason[])
{
  PetscFunctionBegin;
  PetscCall(PetscStrncpy(f->reason, reason, sizeof(f->reason)));
  PetscFunctionReturn(0);
}

/* The critical point: as given, else the first with flat directions; stiff: largest eigenvalue at any. */
static PetscErrorCode ReadPoint(FPFlat *f, FPConfig config, PetscReal *stiff)
{
  const FPCriticalPoint *points;
  PetscInt               count, k = 0;
  PetscReal              g[FP_MAX_DIM];
  const char            *where;

  PetscFunctionBegin;
  PetscCall(FPModelGetCriticalPoints(f->model, &count, &points));
  *stiff = 0;
  for (PetscInt p = 0; p < count; p++)
    for (PetscInt a = 0; a < f->dim; a++) *stiff = PetscMax(*stiff, PetscAbsReal(points[p].eigenvalue[a]));
  if (!f->at.n) {
    while (k < count && !points[k].flat) k++;
    if (k == count)
      PetscCall(Refuse(f, "no critical point of the model has a flat direction"));
    else
      PetscCall(PetscArraycpy(f->z, points[k].z, f->dim));
    PetscFunctionReturn(0);
  }
  PetscCall(FPPointRead(config, "flat_at", &f->at, f->model, f->z));
  PetscCall(FPConfigWhere(config, "flat_at", &where));
  FPModelGradient(f->model, 1, f->z, g);
  for (PetscInt a = 0; a < f->dim; a++)
    FPInputCheck(PetscAbsReal(g[a]) <= SLOPE * PetscMax(1, *stiff),
                 "%s: the gradient of V is %g there along coordinate %" PetscInt_FMT
                 "; accepted are critical points (dlnfp list critical_points)",
                 where, (double)g[a], a + 1);
  PetscFunctionReturn(0);
}

/* Rows of an orthonormal basis of the range of the projection P[d][d], of rank k: Gram-Schmidt on its columns, the
   longest that is left first, so that coordinate axes stay themselves. */
static void Basis(PetscInt d, PetscInt k, PetscReal P[], PetscReal basis[])
{
  for (PetscInt i = 0; i < k; i++) {
    PetscInt best = 0;

    for (PetscInt a = 1; a < d; a++)
      if (P[a * d + a] > P[best * d + best] + 1e-9) best = a;
    for (PetscInt a = 0; a < d; a++) basis[i * d + a] = P[a * d + best] / PetscSqrtReal(P[best * d + best]);
    for (PetscInt a = 0; a < d; a++)
      for (PetscInt b = 0; b < d; b++) P[a * d + b] -= basis[i * d + a] * basis[i * d + b];
  }
}

/* k, basis and stiffest from the Hessian at z. */
static PetscErrorCode Kernel(FPFlat *f, PetscReal stiff)
{
  const size_t               d = (size_t)f->dim;
  double                    *H, *P;
  gsl_matrix                *A = gsl_matrix_alloc(d, d), *vector = gsl_matrix_alloc(d, d);
  gsl_vector                *value = gsl_vector_alloc(d);
  gsl_eigen_symmv_workspace *work  = gsl_eigen_symmv_alloc(d);

  PetscFunctionBegin;
  PetscCall(PetscCalloc2(d * d, &H, d * d, &P));
  FPModelHessian(f->model, 1, f->z, H);
  for (size_t i = 0; i < d; i++)
    for (size_t j = 0; j < d; j++) gsl_matrix_set(A, i, j, (H[i * d + j] + H[j * d + i]) / 2);
  (void)gsl_eigen_symmv(A, value, vector, work);
  for (size_t e = 0; e < d; e++) {
    const PetscReal size = PetscAbsReal(gsl_vector_get(value, e));

    if (size > FLAT * stiff) {
      f->stiffest = PetscMax(f->stiffest, size);
      continue;
    }
    f->k++;
    for (size_t i = 0; i < d; i++)
      for (size_t j = 0; j < d; j++) P[i * d + j] += gsl_matrix_get(vector, i, e) * gsl_matrix_get(vector, j, e);
  }
  if (f->k == 0) PetscCall(Refuse(f, "the critical point has no flat direction: its Hessian is not singular"));
  if (f->k > FP_FLAT_MOST) PetscCall(Refuse(f, "the critical point has more than three flat directions"));
  if (!f->reason[0]) Basis(f->dim, f->k, P, f->basis);
  PetscCall(PetscFree2(H, P));
  gsl_eigen_symmv_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(vector);
  gsl_matrix_free(A);
  PetscFunctionReturn(0);
}

/* lower and upper in the box of the mesh. */
static PetscErrorCode Fit(FPFlat *f, FPMesh mesh)
{
  const FPBox *box;
  PetscReal    shrink = 1;

  PetscFunctionBegin;
  PetscCall(FPMeshGetBox(mesh, &box));
  f->bounded = PETSC_TRUE;
  f->room    = PETSC_MAX_REAL;
  for (PetscInt a = 0; a < f->dim; a++) {
    f->room = PetscMin(f->room, box->upper[a] - box->lower[a]);
    if (box->face[2 * a] == FP_ABSORBING || box->face[2 * a + 1] == FP_ABSORBING)
      PetscCall(Refuse(f, "a process that is killed at walls has no stationary law to be conditioned"));
    if (f->z[a] <= box->lower[a] || f->z[a] >= box->upper[a])
      PetscCall(Refuse(f, "the critical point lies outside the mesh"));
  }
  for (PetscInt i = 0; i < f->k; i++) {
    f->lower[i] = PETSC_MIN_REAL;
    f->upper[i] = PETSC_MAX_REAL;
    for (PetscInt a = 0; a < f->dim; a++) {
      const PetscReal u = f->basis[i * f->dim + a];

      if (PetscAbsReal(u) < 1e-9) continue;
      f->lower[i] = PetscMax(f->lower[i], ((u > 0 ? box->lower[a] : box->upper[a]) - f->z[a]) / u);
      f->upper[i] = PetscMin(f->upper[i], ((u > 0 ? box->upper[a] : box->lower[a]) - f->z[a]) / u);
    }
  }
  for (PetscInt corner = 0; corner < 1 << f->k; corner++)
    for (PetscInt a = 0; a < f->dim; a++) {
      PetscReal off = 0;

      for (PetscInt i = 0; i < f->k; i++)
        off += (corner >> i & 1 ? f->upper[i] : f->lower[i]) * f->basis[i * f->dim + a];
      if (off > 0) shrink = PetscMin(shrink, (box->upper[a] - f->z[a]) / off);
      if (off < 0) shrink = PetscMin(shrink, (box->lower[a] - f->z[a]) / off);
    }
  for (PetscInt i = 0; i < f->k && shrink < 1 - 1e-9; i++) {
    f->lower[i] *= shrink;
    f->upper[i] *= shrink;
  }
  PetscFunctionReturn(0);
}

/* A key whose value is a list of k numbers. */
static PetscErrorCode SetList(FPConfig config, const char key[], PetscInt k, const PetscReal value[])
{
  char text[FP_TEXT] = "", one[32];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < k; i++) {
    PetscCall(PetscSNPrintf(one, sizeof(one), "%s%.17g", i ? "," : "", (double)value[i]));
    PetscCall(PetscStrlcat(text, one, sizeof(text)));
  }
  PetscCall(FPConfigSet(config, key, text));
  PetscFunctionReturn(0);
}

/* The coordinates x as a model of type ou, of which only the critical point x = 0 and the rates are used, and a mesh
   with as many cells along every direction as the parent has along its finest axis. config also asks for mixing from x
   = 0. */
static PetscErrorCode Along(FPFlat *f, FPMesh mesh, PetscReal stiff)
{
  PetscReal identity[FP_FLAT_MOST * FP_FLAT_MOST] = {0}, zero[FP_FLAT_MOST] = {0}, number[FP_FLAT_MOST], ratio;
  PetscInt  cells[FP_MAX_DIM], levels, most = 0;
  PetscBool has;

  PetscFunctionBegin;
  PetscCall(FPMeshGetCells(mesh, 0, cells, &ratio));
  PetscCall(FPMeshGetLevels(mesh, &levels));
  for (PetscInt a = 0; a < f->dim; a++) most = PetscMax(most, cells[a]);
  for (PetscInt i = 0; i < f->k; i++) {
    identity[i * (f->k + 1)] = stiff;
    number[i]                = most;
  }
  PetscCall(FPConfigCreate(&f->config));
  PetscCall(FPConfigSet(f->config, "mixing_times", "1"));
  PetscCall(SetList(f->config, "mixing_start", f->k, zero));
  PetscCall(FPConfigSet(f->config, "model_type", "ou"));
  PetscCall(SetList(f->config, "model_drift", f->k * f->k, identity));
  PetscCall(SetList(f->config, "model_diffusion", f->k * f->k, identity));
  PetscCall(SetList(f->config, "mesh_lower", f->k, f->lower));
  PetscCall(SetList(f->config, "mesh_upper", f->k, f->upper));
  PetscCall(SetList(f->config, "mesh_cells", f->k, number));
  PetscCall(FPConfigSet(f->config, "mesh_refine", levels == 2 ? "1" : "2"));
  PetscCall(FPModelCreate(f->config, NULL, &f->along));
  PetscCall(FPMeshCreate(f->config, f->k, &f->mesh, &has));
  PetscFunctionReturn(0);
}

static PetscErrorCode Read_Flat(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  FPFlat   *f     = (FPFlat *)obs->data;
  PetscReal stiff = 0;
  PetscBool mapped;

  PetscFunctionBegin;
  f->model = model;
  PetscCall(FPModelGetSizes(model, &f->dim, NULL, NULL));
  PetscCall(FPModelGetParent(model, &mapped, NULL));
  if (mapped) {
    PetscCall(Refuse(f, "the Hessian of the weights says nothing of coordinates that are a map of them"));
    PetscFunctionReturn(0);
  }
  if (!wanted && !f->at.n) PetscFunctionReturn(0);
  PetscCall(ReadPoint(f, config, &stiff));
  if (f->reason[0]) PetscFunctionReturn(0);
  PetscCall(Kernel(f, stiff));
  if (f->reason[0] || !mesh) PetscFunctionReturn(0);
  PetscCall(Fit(f, mesh));
  if (!f->reason[0]) PetscCall(Along(f, mesh, stiff > 0 ? stiff : 1));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Flat(FPObservable obs)
{
  const FPFlat *f = (const FPFlat *)obs->data;

  PetscFunctionBegin;
  if (f->reason[0]) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < f->k; i++)
    for (PetscInt a = 0; a < f->dim; a++) {
      char name[FP_NAME];

      PetscCall(PetscSNPrintf(name, sizeof(name), "direction[%d][%d]", (int)i, (int)a));
      PetscCall(FPResultsAdd(obs->scene.results, "model", "exact", obs->name, name, f->basis[i * f->dim + a], FLAT,
                             FP_BOUND, "1"));
    }
  PetscFunctionReturn(0);
}

PetscErrorCode FPFlatAddMoments(const FPFlat *f, const char prefix[], const PetscReal m[], PetscReal error,
                                FPQuantities *q)
{
  const PetscReal *second = m + f->k;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < f->k; i++)
    PetscCall(
        FPQuantitiesAdd(q, m[i], error * PetscMax(f->upper[i], -f->lower[i]), "weight", "%smean[%d]", prefix, (int)i));
  for (PetscInt i = 0; i < f->k; i++)
    for (PetscInt j = i; j < f->k; j++, second++)
      PetscCall(FPQuantitiesAdd(q, *second - m[i] * m[j], error * PetscAbsReal(*second), "weight^2",
                                "%scovariance[%d][%d]", prefix, (int)i, (int)j));
  PetscCall(FPQuantitiesAdd(q, *second, error * *second, "loss", "%sloss", prefix));
  PetscFunctionReturn(0);
}

/* Accumulator: for the outer and the inner slab the count, then the moments. */
static void Sample(const void *context, const FPMove *move, PETSC_UNUSED double *scratch, double *acc)
{
  const FPFlat  *f    = (const FPFlat *)context;
  const PetscInt size = 1 + FPFlatMoments(f);

  for (PetscInt l = 0; l < FP_BLOCK; l++) {
    PetscReal x[FP_FLAT_MOST] = {0}, across = 0;
    PetscBool inside = PETSC_TRUE;

    for (PetscInt a = 0; a < f->dim; a++) across += PetscSqr(move->after[a * FP_BLOCK + l] - f->z[a]);
    for (PetscInt i = 0; i < f->k; i++) {
      for (PetscInt a = 0; a < f->dim; a++)
        x[i] += f->basis[i * f->dim + a] * (move->after[a * FP_BLOCK + l] - f->z[a]);
      across -= x[i] * x[i];
      inside = (PetscBool)(inside && (!f->bounded || (x[i] >= f->lower[i] && x[i] <= f->upper[i])));
    }
    for (PetscInt s = 0; s < 2 && inside; s++) {
      if (f->k < f->dim && across >= PetscSqr(f->slab / (s + 1))) break;
      acc[s * size] += 1;
      FPFlatAdd(f, 1, x, acc + s * size + 1);
    }
  }
}

static PetscErrorCode Begin_Flat(FPObservable obs, FPProcess process, PetscReal dt,
                                 PETSC_UNUSED const FPParticleOptions *options, FPObserver *observer,
                                 PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  FPFlat    *f = (FPFlat *)obs->data;
  FPTraining training;
  PetscReal  temperature, metric;

  PetscFunctionBegin;
  if (f->reason[0]) {
    if (f->told != process)
      PetscCall(FPObservableMissing(obs, process, "particles", "conditional_mean[0]", "undefined", f->reason));
    f->told = process;
    PetscFunctionReturn(0);
  }
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPProcessGetGibbsTemperature(process, &temperature));
  PetscCall(FPModelGetMetric(f->model, &metric));
  f->process = process;
  f->slab    = f->width > 0 ? f->width : NARROW * PetscSqrtReal(temperature * metric / PetscMax(f->stiffest, 1e-300));
  if (f->width == 0 && f->room > 0) f->slab = PetscMin(f->slab > 0 ? f->slab : 1, WIDEST * f->room);
  observer->accumulator = 2 * (size_t)(1 + FPFlatMoments(f));
  observer->every       = FPStepsOf(SAMPLING * training.learning_rate, dt);
  observer->sample      = Sample;
  observer->context     = f;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

static PetscErrorCode Evaluate_Flat(FPObservable obs, const double sums[], FPQuantities *q)
{
  const FPFlat  *f       = (const FPFlat *)obs->data;
  const PetscInt size    = 1 + FPFlatMoments(f);
  FPQuantities   slab[2] = {{0}};
  PetscReal      m[FP_FLAT_MOST + FP_FLAT_MOST * (FP_FLAT_MOST + 1) / 2 + 1];

  PetscFunctionBegin;
  for (PetscInt s = 0; s < 2; s++) {
    for (PetscInt k = 0; k < size - 1; k++) m[k] = sums[size] < FEWEST ? NAN : sums[s * size + 1 + k] / sums[s * size];
    PetscCall(FPFlatAddMoments(f, "conditional_", m, 0, &slab[s]));
  }
  for (PetscInt k = 0; k < slab[0].n; k++) {
    const FPQuantity *item = &slab[1].list[k];
    const PetscReal   more = (item->value - slab[0].list[k].value) / 3;

    PetscCall(FPQuantitiesAdd(q, item->value + more, 0, item->unit, "%s", item->name));
    PetscCall(FPQuantitiesAdd(q, more, 0, item->unit, "~%s", item->name));
  }
  for (PetscInt s = 0; s < 2; s++) PetscCall(FPQuantitiesFree(&slab[s]));
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Flat(FPObservable obs)
{
  FPFlat *f = (FPFlat *)obs->data;

  PetscFunctionBegin;
  PetscCall(FPMeshDestroy(&f->mesh));
  PetscCall(FPModelDestroy(&f->along));
  PetscCall(FPConfigDestroy(&f->config));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Flat(FPObservable obs)
{
  FPFlat *f;

  PetscFunctionBegin;
  PetscCall(PetscNew(&f));
  obs->data       = f;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read      = Read_Flat,
                                      .exact     = Exact_Flat,
                                      .generator = FPFlatGenerator,
                                      .begin     = Begin_Flat,
                                      .evaluate  = Evaluate_Flat,
                                      .destroy   = Destroy_Flat};
  PetscFunctionReturn(0);
}

/* transferlaw.c: the law of one step of a discrete algorithm, z' = (1 - h decay) z - h g + sqrt(2 h T metric) xi, g the
   mean over a batch (svag: a combination of two), h the time of a step.

   One input and one target: g = metric dM/dz G with the scalar G = (M - A) X - Z, X the mean of x^2 and Z that of
   noise x over the batch. Gaussian inputs: transferchi.c. Signs: X = s. A file: the exact law of B draws of its
   rows. Other networks: in one dimension any batch
   of the rows of a file, else a list of all batches, where they are few, and where they are not, or the data are no
   file, points with the moments of a batch, which the injected noise joins (recombine.c). `batch_law:
   gaussian`, and the ou model, whose noise is normal: the mean and covariance of the gradient. */
#include "transferlaw.h"

#define LEAST_DEGREE 3
#define WIDEST 0.3 /* times the degree: widths of the injected noise that moments of the gradient noise tell */

PetscErrorCode FPMixtureAdd(FPMixture *m, PetscReal weight, const PetscReal at[], PetscReal sd)
{
  PetscFunctionBegin;
  if (m->n == m->room) {
    const PetscInt room = PetscMax(64, 2 * m->room);

    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)room, &m->weight));
    PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)room, &m->sd));
    for (PetscInt a = 0; a < m->dim; a++) PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)room, &m->at[a]));
    m->room = room;
  }
  m->weight[m->n] = weight;
  m->sd[m->n]     = sd;
  for (PetscInt a = 0; a < m->dim; a++) m->at[a][m->n] = at[a];
  m->n++;
  PetscFunctionReturn(0);
}

PetscErrorCode FPMixtureFree(FPMixture *m)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(m->weight));
  PetscCall(PetscFree(m->sd));
  for (PetscInt a = 0; a < 3; a++) PetscCall(PetscFree(m->at[a]));
  PetscFunctionReturn(0);
}

/* Variance of what the batches of a step add up to, over that of one */
static PetscReal Squares(FPStepLaw law)
{
  return PetscSqr(law->coefficient[0]) + (law->batches == 2 ? PetscSqr(law->coefficient[1]) : 0);
}

/* s, A and sigma from the moments of one input and one target */
static PetscErrorCode SetTeacher(FPStepLaw law, FPData data)
{
  const PetscReal *second, *fourth;

  PetscFunctionBegin;
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  law->s     = second[0];
  law->A     = second[1] / second[0];
  law->sigma = PetscSqrtReal(PetscMax(0, second[3] - law->A * law->A * second[0]));
  if (law->sigma < 1e-7 * PetscSqrtReal(second[3])) law->sigma = 0;
  PetscFunctionReturn(0);
}

/* Gradients of several directions in the plane: batches of rows are listed where they are few, all others known by
   their moments. */
static PetscErrorCode ChooseVectors(FPStepLaw law, FPData data)
{
  PetscFunctionBegin;
  if (law->kind == LAW_ROWS && FPBatchCount(law->rows, law->training.batch_size, law->batches) <= MOST_BATCHES)
    PetscFunctionReturn(0);
  if (law->kind != LAW_ROWS) PetscCall(FPDataGetNodes(data, 2 * law->degree, &law->rows, &law->u, &law->share));
  law->kind = LAW_PAIRS;
  PetscFunctionReturn(0);
}

static PetscErrorCode Choose(FPStepLaw law, FPProcess process, const FPTransferOptions *options)
{
  FPAlgorithm algorithm;
  FPData      data;
  const char *type;
  PetscBool   mapped, gaussian = (PetscBool)!strcmp(options->batch_law, "gaussian");

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPModelGetData(law->model, &data));
  PetscCall(FPModelGetParent(law->model, &mapped, NULL));
  law->mapped = mapped;
  FPInputCheck(
      !mapped || law->injected == 0,
      "engine transfer: in model_coordinates: invariant a step is known on the line q = 0, which injected noise "
      "leaves; accepted are training_temperature: 0, or coordinates weights");
  if (algorithm == FP_GD) {
    law->kind = LAW_MEAN;
    PetscFunctionReturn(0);
  }
  law->kind = LAW_NORMAL;
  if (gaussian || !data) PetscFunctionReturn(0);
  PetscCall(FPDataGetType(data, &type));
  law->kind = !strcmp(type, "file") ? LAW_ROWS : strcmp(type, "gaussian") ? LAW_SIGNS : LAW_CHI;
  if (law->kind == LAW_ROWS) PetscCall(FPDataGetNodes(data, 1, &law->rows, &law->u, &law->share));
  if (!law->scalar && law->dim == 2) PetscCall(ChooseVectors(law, data));
  if (law->kind == LAW_ROWS)
    PetscCall(PetscMalloc1(law->rows, &law->atom));
  else if (law->kind != LAW_PAIRS)
    PetscCall(SetTeacher(law, data));
  PetscFunctionReturn(0);
}

/* Without any normal variable the operator takes smooth functions to others, but no grid of hats sees its spectrum. */
static PetscErrorCode CheckNormal(const struct _p_FPStepLaw *law, const char name[])
{
  PetscFunctionBegin;
  if (law->injected > 0) PetscFunctionReturn(0);
  FPInputCheck(
      law->kind != LAW_MEAN,
      "engine transfer: %s without injected noise is a deterministic map, whose operator has no spectrum that a "
      "grid could show; give training_temperature > 0",
      name);
  FPInputCheck(
      law->kind != LAW_ROWS || law->collocates,
      "engine transfer: %s on the rows of a file without injected noise is finitely many maps: its law and its "
      "spectrum are not smooth, and no grid converges; give training_temperature > 0, or in one coordinate "
      "transfer_scheme: chebyshev, which knows means of smooth functions",
      name);
  FPInputCheck(law->dim == 1 || law->mapped,
               "engine transfer: in %" PetscInt_FMT
               " coordinates it takes injected noise to join the parts of a step of %s; give training_temperature > 0, "
               "or model_coordinates: balanced or invariant",
               law->dim, name);
  FPInputCheck(law->kind == LAW_NORMAL || law->kind == LAW_ROWS || law->kind == LAW_PAIRS || law->sigma > 0,
               "engine transfer: %s without label noise and injected noise comes to rest at a minimum: no law is left; "
               "give data_label_noise > 0 or training_temperature > 0",
               name);
  PetscFunctionReturn(0);
}

/* Points with the moments of a batch are a law where the injected noise joins them. */
static PetscErrorCode CheckWidth(FPStepLaw law, const char name[])
{
  const FPCriticalPoint *points;
  PetscReal              C[9], width = 0;
  PetscInt               count;

  PetscFunctionBegin;
  if (law->kind != LAW_PAIRS) PetscFunctionReturn(0);
  PetscCall(FPModelGetCriticalPoints(law->model, &count, &points));
  if (!count) PetscFunctionReturn(0);
  FPModelCovariance(law->model, 1, points[0].z, C);
  width = law->h * PetscSqrtReal(PetscMax(C[0], C[3]) * Squares(law) / law->training.batch_size) / law->injected;
  FPInputCheck(
      width <= WIDEST * law->degree,
      "engine transfer: a step of %s has gradient noise %.3g times as wide as the injected noise, accepted are "
      "%.3g; more training_temperature, or more transfer_nodes",
      name, (double)width, (double)(WIDEST * law->degree));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetPanels(FPStepLaw law)
{
  gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc((size_t)law->nodes);

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(law->nodes, &law->node, law->nodes, &law->weight));
  for (PetscInt k = 0; k < law->nodes; k++)
    gsl_integration_glfixed_point(-1, 1, (size_t)k, &law->node[k], &law->weight[k], table);
  gsl_integration_glfixed_table_free(table);
  PetscFunctionReturn(0);
}

PetscErrorCode FPStepLawCreate(FPProcess process, const FPTransferOptions *options, PetscReal fineness, PetscReal most,
                               FPStepLaw *out)
{
  FPStepLaw   law;
  FPData      data;
  const char *name;

  PetscFunctionBegin;
  PetscCall(PetscNew(&law));
  *out = law;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPProcessGetModel(process, &law->model));
  PetscCall(FPProcessGetTraining(process, &law->training));
  PetscCall(FPProcessGetStep(process, &law->h));
  PetscCall(FPProcessGetBatches(process, &law->batches, law->coefficient));
  PetscCall(FPModelGetSizes(law->model, &law->dim, &law->inputs, &law->targets));
  PetscCall(FPModelGetMetric(law->model, &law->metric));
  PetscCall(FPModelGetData(law->model, &data));
  law->fineness   = fineness;
  law->most       = most;
  law->nodes      = options->nodes;
  law->degree     = PetscClipInterval(options->nodes / 2 - 1, LEAST_DEGREE, FP_PAIRS_DEGREE);
  law->order      = FPTransferOrder(options) == 2 ? 2 : 4;
  law->scalar     = (PetscBool)(data && law->inputs * law->targets == 1);
  law->injected   = PetscSqrtReal(2 * law->h * law->training.temperature * law->metric);
  law->collocates = (PetscBool)(FPTransferOrder(options) == 0);
  FPInputCheck(!law->collocates || law->dim == 1,
               "transfer_scheme: chebyshev is for one coordinate, not for %" PetscInt_FMT "; accepted is local",
               law->dim);
  PetscCall(Choose(law, process, options));
  PetscCall(CheckNormal(law, name));
  PetscCall(CheckWidth(law, name));
  if (law->kind == LAW_CHI) PetscCall(SetPanels(law));
  PetscFunctionReturn(0);
}

void FPStepLawCoarsen(FPStepLaw law)
{
  law->degree = PetscMax(LEAST_DEGREE, law->degree - 1);
}

PetscErrorCode FPStepLawDestroy(FPStepLaw *law)
{
  PetscFunctionBegin;
  if (!*law) PetscFunctionReturn(0);
  PetscCall(PetscFree((*law)->u));
  PetscCall(PetscFree((*law)->share));
  PetscCall(PetscFree((*law)->atom));
  PetscCall(PetscFree2((*law)->node, (*law)->weight));
  PetscCall(PetscFree(*law));
  PetscFunctionReturn(0);
}

PetscReal FPStepLawInjected(FPStepLaw law)
{
  return law->injected;
}

PetscBool FPStepLawIsFinite(FPStepLaw law)
{
  return (PetscBool)(law->kind == LAW_ROWS && law->injected == 0);
}

PetscErrorCode FPStepLawAdd(FPStepLaw law, const PetscReal rest[], PetscReal weight, PetscReal G, PetscReal sd,
                            FPMixture *m)
{
  PetscReal at[3];

  PetscFunctionBegin;
  for (PetscInt a = 0; a < law->dim; a++) at[a] = rest[a] - G * m->along[a];
  PetscCall(FPMixtureAdd(m, weight, at, sd));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddRows(FPStepLaw law, const PetscReal z[], const PetscReal rest[], PetscReal length, PetscReal M,
                              FPMixture *m)
{
  const PetscInt wide  = law->inputs + law->targets;
  FPBatch        batch = {.n           = law->rows,
                          .batch       = law->training.batch_size,
                          .batches     = law->batches,
                          .order       = law->order,
                          .atom        = law->atom,
                          .share       = law->share,
                          .coefficient = {law->coefficient[0], law->coefficient[1]}};
  PetscReal     *value, *weight;
  PetscInt       count;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < law->rows; i++) {
    const PetscReal *x = law->u + (size_t)i * wide;

    law->atom[i] = 0;
    if (law->scalar)
      law->atom[i] = (M * x[0] - x[1]) * x[0];
    else
      FPModelSampleGradient(law->model, 1, z, x, x + law->inputs, &law->atom[i]);
  }
  if (length == 0) {
    PetscCall(FPStepLawAdd(law, rest, 1, 0, 0, m));
    PetscFunctionReturn(0);
  }
  batch.spacing = PetscMin(law->fineness * law->injected, law->most) / length;
  PetscCall(FPBatchLaw(&batch, &count, &value, &weight));
  for (PetscInt k = 0; k < count; k++) PetscCall(FPStepLawAdd(law, rest, weight[k], value[k], 0, m));
  PetscCall(PetscFree2(value, weight));
  PetscFunctionReturn(0);
}

/* Batches of rows that move several coordinates in different directions: a list of all */
static PetscErrorCode AddVectors(FPStepLaw law, const PetscReal z[], const PetscReal rest[], FPMixture *m)
{
  const PetscInt n = law->rows, wide = law->inputs + law->targets;
  PetscReal     *value[3] = {NULL}, *weight[3] = {NULL}, *g;
  PetscInt       count = 0;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(3 * n, &g));
  for (PetscInt i = 0; i < n; i++) {
    const PetscReal *x = law->u + (size_t)i * wide;

    FPModelSampleGradient(law->model, 1, z, x, x + law->inputs, g + 3 * i);
  }
  for (PetscInt a = 0; a < law->dim; a++) {
    const FPBatch batch = {.n           = n,
                           .batch       = law->training.batch_size,
                           .batches     = law->batches,
                           .order       = law->order,
                           .atom        = law->atom,
                           .share       = law->share,
                           .coefficient = {law->coefficient[0], law->coefficient[1]}};

    for (PetscInt i = 0; i < n; i++) law->atom[i] = g[3 * i + a];
    PetscCall(FPBatchLaw(&batch, &count, &value[a], &weight[a]));
  }
  for (PetscInt k = 0; k < count; k++) {
    PetscReal at[3];

    for (PetscInt a = 0; a < law->dim; a++) at[a] = rest[a] - law->h * value[a][k];
    PetscCall(FPMixtureAdd(m, weight[0][k], at, 0));
  }
  for (PetscInt a = 0; a < law->dim; a++) PetscCall(PetscFree2(value[a], weight[a]));
  PetscCall(PetscFree(g));
  PetscFunctionReturn(0);
}

/* Gradients that are vectors, of batches too many to list: the moments of their law up to a degree. */
static PetscErrorCode AddPairs(FPStepLaw law, const PetscReal z[], const PetscReal rest[], FPMixture *m)
{
  const PetscInt wide  = law->inputs + law->targets;
  FPPairs        pairs = {.n = law->rows};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(2 * pairs.n, &pairs.at, pairs.n, &pairs.weight));
  PetscCall(PetscArraycpy(pairs.weight, law->share, pairs.n));
  PetscCall(PetscArrayzero(pairs.at, 2 * pairs.n));
  for (PetscInt i = 0; i < pairs.n; i++) {
    const PetscReal *x = law->u + (size_t)i * wide;

    FPModelSampleGradient(law->model, 1, z, x, x + law->inputs, pairs.at + 2 * i);
  }
  PetscCall(FPPairsOfBatch(law->degree, law->training.batch_size, &pairs));
  if (law->batches == 2) PetscCall(FPPairsOfTwo(law->degree, law->coefficient, &pairs));
  for (PetscInt k = 0; k < pairs.n; k++) {
    const PetscReal at[2] = {rest[0] - law->h * pairs.at[2 * k], rest[1] - law->h * pairs.at[2 * k + 1]};

    PetscCall(FPMixtureAdd(m, pairs.weight[k], at, 0));
  }
  PetscCall(FPPairsFree(&pairs));
  PetscFunctionReturn(0);
}

/* The normal law with mean and covariance of the gradient: C = f f^T + r e e^T with f the column of the largest
   variance over its root and e the other axis, whose share the hats of that axis take exactly. */
static PetscErrorCode AddNormal(FPStepLaw law, const PetscReal z[], const PetscReal rest[], FPMixture *m)
{
  const PetscInt d       = law->dim;
  PetscReal      squares = Squares(law), C[9], g[3], at[3], norm;
  PetscInt       main    = 0;

  PetscFunctionBegin;
  FPModelGradient(law->model, 1, z, g);
  FPModelCovariance(law->model, 1, z, C);
  for (PetscInt a = 0; a < d; a++) {
    at[a] = rest[a] - law->h * (g[a] - law->training.weight_decay * z[a]);
    if (C[a * d + a] > C[main * d + main]) main = a;
  }
  norm = C[main * d + main];
  for (PetscInt a = 0; a < d; a++) {
    const PetscReal left = norm > 0 && a != main ? C[a * d + a] - PetscSqr(C[a * d + main]) / norm : 0;

    m->along[a]  = norm > 0 ? law->h * C[a * d + main] / norm : 0;
    m->normal[a] = hypot(law->injected, law->h * PetscSqrtReal(PetscMax(left, 0) * squares / law->training.batch_size));
  }
  PetscCall(FPMixtureAdd(m, 1, at, PetscSqrtReal(norm * squares / law->training.batch_size)));
  PetscFunctionReturn(0);
}

PetscErrorCode FPStepLawAt(FPStepLaw law, const PetscReal z[], FPMixture *m)
{
  PetscReal rest[3], jacobian[3], g[3], M = 0, length = 0;

  PetscFunctionBegin;
  m->n        = 0;
  m->dim      = law->dim;
  m->injected = law->injected;
  m->line     = (PetscBool)(law->scalar || law->kind == LAW_NORMAL);
  for (PetscInt a = 0; a < law->dim; a++) {
    rest[a]      = (1 - law->h * law->training.weight_decay) * z[a];
    m->along[a]  = law->h;
    m->normal[a] = law->injected;
  }
  if (law->scalar) {
    FPModelMap(law->model, 1, z, &M);
    FPModelJacobian(law->model, 1, z, jacobian);
    for (PetscInt a = 0; a < law->dim; a++) m->along[a] = law->h * law->metric * jacobian[a];
  }
  for (PetscInt a = 0; a < law->dim; a++) length = hypot(length, m->along[a]);
  if (law->kind == LAW_MEAN) {
    FPModelGradient(law->model, 1, z, g);
    for (PetscInt a = 0; a < law->dim; a++) rest[a] = z[a] - law->h * g[a];
    PetscCall(FPMixtureAdd(m, 1, rest, 0));
  } else if (law->kind == LAW_NORMAL) {
    PetscCall(AddNormal(law, z, rest, m));
  } else if (law->kind == LAW_ROWS && (law->scalar || law->dim == 1)) {
    PetscCall(AddRows(law, z, rest, length, M, m));
  } else if (law->kind == LAW_ROWS) {
    PetscCall(AddVectors(law, z, rest, m));
  } else if (law->kind == LAW_PAIRS) {
    PetscCall(AddPairs(law, z, rest, m));
  } else if (law->kind == LAW_SIGNS) {
    PetscCall(FPStepLawAdd(law, rest, 1, (M - law->A) * law->s,
                           law->sigma * PetscSqrtReal(law->s * Squares(law) / law->training.batch_size), m));
  } else {
    PetscCall(FPStepLawAddChi(law, rest, length, M, m));
  }
  PetscFunctionReturn(0);
}

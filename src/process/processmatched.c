/* processmatched.c: a temperature from a process's own noise: tr D/d over all the weights at a critical point. */
#include "processimpl.h"
#include <gsl/gsl_complex_math.h>
#include <gsl/gsl_eigen.h>

/* `aligned` factorisation: a_i stands in depth matrices, W_1 = R a V^T, W_j = R a R^T, W_L = U a R^T. With
   K = U^T (e x^T) V the sample's gradient with respect to W_k has squared norm sum_ij (a_i^{L-k} a_j^{k-1} K_ij)^2, so
   the diagonal of K is what the reduction keeps, and the rest is noise that leaves it. K_ij = (u_i . e)(v_j . x) is a
   product of two linear forms in (x, y), whose variance is a sum over second and fourth moments. */
static PetscErrorCode AlignedMean(FPModel model, const PetscReal a[], PetscReal metric, PetscReal *mean)
{
  const PetscInt   depth  = (PetscInt)lround(1.0 / metric);
  const PetscReal  one[2] = {1.0, 1.0};
  const PetscReal *second, *fourth;
  FPData           data;
  PetscReal        M[4], J[8], u[2][2], v[2][2], trace = 0.0;

  PetscFunctionBegin;
  PetscCall(FPModelGetData(model, &data));
  PetscCall(FPDataGetMoments(data, &second, &fourth));
  FPModelMap(model, 1, a, M);
  FPModelJacobian(model, 1, one, J); /* at a = 1: depth u_i v_i^T */
  for (PetscInt i = 0; i < 2; i++) {
    const PetscReal row0 = hypot(J[i], J[2 + i]), row1 = hypot(J[4 + i], J[6 + i]);
    const PetscInt  r = row0 > row1 ? 0 : 1;

    for (PetscInt c = 0; c < 2; c++) v[i][c] = J[(2 * r + c) * 2 + i] / PetscMax(row0, row1);
    for (PetscInt t = 0; t < 2; t++)
      u[i][t] = (J[2 * t * 2 + i] * v[i][0] + J[(2 * t + 1) * 2 + i] * v[i][1]) / (PetscReal)depth;
  }
  for (PetscInt i = 0; i < 2; i++)
    for (PetscInt j = 0; j < 2; j++) {
      const PetscReal e[4]  = {u[i][0] * M[0] + u[i][1] * M[2], u[i][0] * M[1] + u[i][1] * M[3], -u[i][0], -u[i][1]};
      PetscReal       first = 0.0, square = 0.0;

      for (PetscInt b = 0; b < 4; b++)
        for (PetscInt c = 0; c < 2; c++) {
          first += e[b] * v[j][c] * second[b * 4 + c];
          for (PetscInt f = 0; f < 4; f++)
            for (PetscInt g = 0; g < 2; g++)
              square += e[b] * e[f] * v[j][c] * v[j][g] * fourth[((b * 4 + f) * 4 + c) * 4 + g];
        }
      for (PetscInt k = 1; k <= depth; k++)
        trace += pow(a[i] * a[i], (double)(depth - k)) * pow(a[j] * a[j], (double)(k - 1)) * (square - first * first);
    }
  *mean = trace / (4.0 * (PetscReal)depth);
  PetscFunctionReturn(0);
}

/* Mapped coordinates: the trace at a preimage. `weights` and the symmetric factorisation: z are the weights.
   `balanced`: a coordinate with gradient g_i is depth equal weights, each with the gradient g_i, so that their block of
   C is C_ii in all of its entries, with trace depth C_ii: the mean over weights is the mean over coordinates. */
PetscErrorCode FPProcessMeanCovariance(FPModel model, const PetscReal z[], PetscReal *mean)
{
  const char *type, *coordinates;
  PetscBool   mapped, aligned;
  PetscInt    weights;
  PetscReal   metric, *C, w[FP_MAX_DIM];

  PetscFunctionBegin;
  PetscCall(FPModelGetName(model, &type, &coordinates));
  PetscCall(FPModelGetParent(model, &mapped, &weights));
  PetscCall(FPModelGetMetric(model, &metric));
  PetscCall(PetscStrcmp(coordinates, "aligned", &aligned));
  if (aligned) {
    PetscCall(AlignedMean(model, z, metric, mean));
    PetscFunctionReturn(0);
  }
  if (mapped) FPModelLift(model, 1, z, w);
  C = FPScratchTake((size_t)(weights * weights));
  FPModelCovariance(model, 1, mapped ? w : z, C);
  *mean = 0.0;
  for (PetscInt i = 0; i < weights; i++) *mean += C[i * weights + i] / (PetscReal)weights;
  FPScratchRelease(C);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessSharpness(FPProcess process, const PetscReal z[], PetscReal *sharpness)
{
  const size_t                 d      = (size_t)process->weights;
  PetscReal                   *H      = FPScratchTake(d * d), w[FP_MAX_DIM];
  gsl_eigen_nonsymm_workspace *work   = gsl_eigen_nonsymm_alloc(d);
  gsl_vector_complex          *values = gsl_vector_complex_alloc(d);
  gsl_matrix_view              matrix = gsl_matrix_view_array(H, d, d);

  PetscFunctionBegin;
  PetscCheck(work && values, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for eigenvalues");
  if (process->mapped) FPModelLift(process->model, 1, z, w);
  FPModelHessian(process->model, 1, process->mapped ? w : z, H);
  PetscCheck(!gsl_eigen_nonsymm(&matrix.matrix, values, work), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "GSL finds no eigenvalues of the Hessian of process %s", process->name);
  *sharpness = 0.0;
  for (size_t i = 0; i < d; i++) *sharpness = PetscMax(*sharpness, gsl_complex_abs(gsl_vector_complex_get(values, i)));
  gsl_vector_complex_free(values);
  gsl_eigen_nonsymm_free(work);
  FPScratchRelease(H);
  PetscFunctionReturn(0);
}

/* Text for messages: file, line, key and value of NAME_KEY, or the default that stands for it. */
static PetscErrorCode Where(FPConfig config, FPProcess process, const char key[], const char value[], char text[],
                            size_t length)
{
  const char *where;

  PetscFunctionBegin;
  PetscCall(FPProcessKeyWhere(config, process, key, &where));
  if (where)
    PetscCall(PetscStrncpy(text, where, length));
  else
    PetscCall(PetscSNPrintf(text, length, "key %s_%s = %s (default)", process->name, key, value));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessMatchedTemperature(FPConfig config, FPProcess process, const FPProcessKeys *keys,
                                           PetscReal *temperature)
{
  const FPCriticalPoint *point;
  FPProcess              reference;
  PetscReal              mean = 0.0;
  char                   where[FP_TEXT], names[FP_TEXT];

  PetscFunctionBegin;
  PetscCall(FPModelFindCriticalPoint(process->model, keys->matched_at, &point));
  if (!point) {
    PetscCall(Where(config, process, "matched_at", keys->matched_at, where, sizeof where));
    PetscCall(FPModelNameCriticalPoints(process->model, names));
    FPInputError("%s: not a critical point of this model; accepted: %s", where, names);
  }
  PetscCall(FPProcessCreate_Private(config, keys->matched_to, process->model, PETSC_TRUE, &reference));
  PetscCall(Where(config, process, "matched_to", keys->matched_to, where, sizeof where));
  FPInputCheck(!reference->noise.whole,
               "%s: the noise of that process is no multiple of C; accepted are ald, ald2, sgd", where);
  if (reference->noise.gain > 0.0) {
    PetscReal away[FP_MAX_DIM], scale;
    PetscInt  dim;

    PetscCall(FPProcessMeanCovariance(process->model, point->z, &mean));
    PetscCall(FPModelGetSizes(process->model, &dim, NULL, NULL));
    for (PetscInt i = 0; i < dim; i++) away[i] = point->z[i] + 1.0;
    PetscCall(FPProcessMeanCovariance(process->model, away, &scale));
    if (mean < 1e-20 * scale) mean = 0.0; /* the rounding of a covariance that vanishes at the point */
  }
  *temperature = reference->noise.gain * mean + reference->training.temperature;
  PetscCall(FPProcessDestroy(&reference));
  PetscCall(Where(config, process, "temperature", "matched", where, sizeof where));
  FPInputCheck(*temperature > 0.0, "%s: %s has no noise at %s, so the matched temperature is 0; it must be positive",
               where, keys->matched_to, keys->matched_at);
  PetscFunctionReturn(0);
}

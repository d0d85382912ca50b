/* orbit.c: where a process without noise ends, as an orbit of its map over one step (gd) or over the time eta of one
   (SDEs without noise, such as central_flow; Runge-Kutta). After the burn-in the least period up to `points` is looked
   for and the cycle refined by Newton's method; its multipliers are the eigenvalues of the derivative of the map over
   one period. exponent: ln of the largest modulus per unit time, of an aperiodic orbit the mean growth of a tangent
   vector. mean, covariance and loss are time averages over the cycle or the orbit; a flow that averages over
   oscillations adds their covariance Sigma, and <H, Sigma>/2 to the loss, H the Hessian of the loss.
     Exact, balanced 2-chain, h = eta E x^2, u = sqrt(h) w: u' = (1 + hp) u - u^3, a cycle of period 2 from hp = 1 with
   w1 w2 = 1/h and multiplier 9 - 2(1 + hp)^2, period 4 from sqrt(5) - 1, exponent ln 3/eta at hp = 2. Points of an
   aperiodic orbit are a sample of it: their error is its standard deviation. */
#include "observableimpl.h"
#include "fpregion.h"
#include <gsl/gsl_complex_math.h>
#include <gsl/gsl_eigen.h>
#include <math.h>

#define MOST 8      /* coordinates */
#define SUBSTEPS 40 /* of a flow in the time of one step */
#define BATCHES 20  /* of an aperiodic orbit, for standard errors */
#define CLOSED 1e-6 /* distance at which an orbit is taken to have closed */
#define FAR 1e6     /* it diverges */

typedef struct {
  FPStrings start;
  PetscInt  burn_in, steps, points;
  PetscReal z[FP_MAX_DIM];
} Orbit;

static const FPParameter Parameters[] = {{"start", FP_STRINGS, offsetof(Orbit, start), NULL, 0, 0, NULL, "weight",
                                          "where it starts: coordinates, or the name of a critical point"},
                                         {"burn_in", FP_INT, offsetof(Orbit, burn_in), "20000", 1, 100000000, NULL,
                                          "steps", "before the orbit is looked at"},
                                         {"steps", FP_INT, offsetof(Orbit, steps), "20000", 100, 100000000, NULL,
                                          "steps", "that an aperiodic orbit is averaged over"},
                                         {"points", FP_INT, offsetof(Orbit, points), "32", 1, 1024, NULL, NULL,
                                          "longest period, and points shown of an aperiodic orbit"},
                                         {0}};

typedef struct {
  FPProcess   process;
  FPModel     model;
  const char *name;
  FPTraining  training;
  FPAlgorithm algorithm;
  PetscInt    d;
  PetscReal   metric;
} Map;

static PetscErrorCode Read_Orbit(FPObservable obs, FPConfig config, FPModel model, PETSC_UNUSED FPMesh mesh,
                                 PetscBool wanted)
{
  Orbit *o = (Orbit *)obs->data;

  PetscFunctionBegin;
  FPInputCheck(!wanted || o->start.n > 0, "orbit_start is missing: it says where the orbit starts");
  if (o->start.n) PetscCall(FPPointRead(config, "orbit_start", &o->start, model, o->z));
  PetscFunctionReturn(0);
}

/* One step, or the flow over the time of one */
static void Step(const Map *m, const PetscReal z[], PetscReal out[])
{
  const PetscInt  d   = m->d;
  const PetscReal eta = m->training.learning_rate, dt = eta / SUBSTEPS;
  PetscReal       k[4][MOST], at[MOST], from[MOST];

  if (m->algorithm == FP_GD) {
    FPModelGradient(m->model, 1, z, k[0]);
    for (PetscInt i = 0; i < d; i++) out[i] = z[i] - eta * k[0][i];
    return;
  }
  for (PetscInt i = 0; i < d; i++) from[i] = z[i];
  for (PetscInt step = 0; step < SUBSTEPS; step++) {
    for (PetscInt stage = 0; stage < 4; stage++) {
      const PetscReal share = stage == 0 ? 0 : stage == 3 ? dt : dt / 2;

      for (PetscInt i = 0; i < d; i++) at[i] = from[i] + (stage ? share * k[stage - 1][i] : 0);
      FPProcessDrift(m->process, 1, at, k[stage]);
    }
    for (PetscInt i = 0; i < d; i++) from[i] += dt / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
  }
  for (PetscInt i = 0; i < d; i++) out[i] = from[i];
}

/* J[d][d] of Step(): I - eta H of gd, centred differences of a flow */
static void Derivative(const Map *m, const PetscReal z[], PetscReal J[])
{
  const PetscInt d = m->d;

  if (m->algorithm == FP_GD) {
    FPModelHessian(m->model, 1, z, J);
    for (PetscInt i = 0; i < d * d; i++) J[i] = (i % (d + 1) == 0) - m->training.learning_rate * J[i];
    return;
  }
  for (PetscInt j = 0; j < d; j++) {
    PetscReal at[MOST], plus[MOST], minus[MOST];

    for (PetscInt i = 0; i < d; i++) at[i] = z[i];
    at[j] = z[j] + 1e-5;
    Step(m, at, plus);
    at[j] = z[j] - 1e-5;
    Step(m, at, minus);
    for (PetscInt i = 0; i < d; i++) J[i * d + j] = (plus[i] - minus[i]) / 2e-5;
  }
}

/* J = A J */
static void Multiply(PetscInt d, const PetscReal A[], PetscReal J[])
{
  PetscReal product[MOST * MOST];

  for (PetscInt i = 0; i < d; i++)
    for (PetscInt j = 0; j < d; j++) {
      product[i * d + j] = 0;
      for (PetscInt k = 0; k < d; k++) product[i * d + j] += A[i * d + k] * J[k * d + j];
    }
  for (PetscInt i = 0; i < d * d; i++) J[i] = product[i];
}

static PetscReal Distance(PetscInt d, const PetscReal a[], const PetscReal b[])
{
  PetscReal far = 0;

  for (PetscInt i = 0; i < d; i++) far = PetscMax(far, PetscAbsReal(a[i] - b[i]));
  return far;
}

/* `period` steps from z to end, and their derivative */
static void Around(const Map *m, PetscInt period, const PetscReal z[], PetscReal end[], PetscReal J[])
{
  const PetscInt d = m->d;
  PetscReal      A[MOST * MOST], at[MOST];

  for (PetscInt i = 0; i < d; i++) at[i] = z[i];
  for (PetscInt i = 0; i < d * d; i++) J[i] = i % (d + 1) == 0;
  for (PetscInt k = 0; k < period; k++) {
    Derivative(m, at, A);
    Multiply(d, A, J);
    Step(m, at, end);
    for (PetscInt i = 0; i < d; i++) at[i] = end[i];
  }
}

/* x[d] = (I - J)^-1 r by elimination; PETSC_FALSE: singular, as along a valley of fixed points */
static PetscBool Correct(PetscInt d, const PetscReal J[], const PetscReal r[], PetscReal x[])
{
  PetscReal M[MOST][MOST + 1];

  for (PetscInt i = 0; i < d; i++) {
    for (PetscInt j = 0; j < d; j++) M[i][j] = (i == j) - J[i * d + j];
    M[i][d] = r[i];
  }
  for (PetscInt a = 0; a < d; a++) {
    PetscInt p = a;

    for (PetscInt i = a + 1; i < d; i++)
      if (PetscAbsReal(M[i][a]) > PetscAbsReal(M[p][a])) p = i;
    if (PetscAbsReal(M[p][a]) < 1e-9) return PETSC_FALSE;
    for (PetscInt j = a; j <= d; j++) {
      const PetscReal swap = M[a][j];

      M[a][j] = M[p][j];
      M[p][j] = swap;
    }
    for (PetscInt i = 0; i < d; i++) {
      const PetscReal factor = i == a ? 0 : M[i][a] / M[a][a];

      for (PetscInt j = a; j <= d; j++) M[i][j] -= factor * M[a][j];
    }
  }
  for (PetscInt i = 0; i < d; i++) x[i] = M[i][d] / M[i][i];
  return PETSC_TRUE;
}

/* Least period of the orbit at z, refined into z; 0: none. error: how far the cycle may be. */
static PetscInt Close(const Map *m, PetscInt longest, PetscReal z[], PetscReal J[], PetscReal *error)
{
  const PetscInt d = m->d;
  PetscReal      at[MOST], end[MOST], r[MOST], x[MOST], size = 1;
  /* in two and more coordinates a flow finds its unstable direction to the root of the rounding */
  const PetscReal floor  = m->algorithm == FP_GD || d == 1 ? 1e-13 : 1e-7;
  PetscInt        period = 0;

  for (PetscInt i = 0; i < d; i++) {
    at[i] = z[i];
    size  = PetscMax(size, PetscAbsReal(z[i]));
  }
  for (PetscInt k = 1; k <= longest && !period; k++) {
    Step(m, at, end);
    for (PetscInt i = 0; i < d; i++) at[i] = end[i];
    if (Distance(d, at, z) < CLOSED * size) period = k;
  }
  *error = CLOSED * size;
  for (PetscInt k = 0; k < 8 && period; k++) {
    Around(m, period, z, end, J);
    for (PetscInt i = 0; i < d; i++) r[i] = end[i] - z[i];
    *error = 10 * Distance(d, end, z) + floor * size;
    if (!Correct(d, J, r, x)) break;
    *error = floor * size;
    for (PetscInt i = 0; i < d; i++) {
      *error = PetscMax(*error, 2 * PetscAbsReal(x[i]));
      z[i] += x[i];
    }
  }
  if (period) Around(m, period, z, end, J);
  return period;
}

/* Excess loss at z, with the oscillations that the drift averages over; Sigma[d][d] of those */
static void AverageLoss(const Map *m, const PetscReal z[], PetscReal *loss, PetscReal Sigma[])
{
  const PetscInt d = m->d;
  PetscBool      has;
  PetscReal      H[MOST * MOST];

  FPModelLoss(m->model, 1, z, loss);
  for (PetscInt i = 0; i < d * d; i++) Sigma[i] = 0;
  if (FPProcessHasOscillation(m->process, &has) || !has) return;
  FPProcessOscillation(m->process, 1, z, Sigma);
  FPModelHessian(m->model, 1, z, H);
  for (PetscInt i = 0; i < d * d; i++)
    *loss += 0.5 * (H[i] - (i % (d + 1) == 0 ? m->training.weight_decay : 0)) / m->metric * Sigma[i];
}

/* Sums over an orbit: z, z z^T with Sigma, loss */
typedef struct {
  PetscReal count, z[MOST], zz[MOST * MOST], loss;
} Sums;

static void AddPoint(const Map *m, const PetscReal z[], Sums *sums)
{
  PetscReal loss, Sigma[MOST * MOST];

  AverageLoss(m, z, &loss, Sigma);
  sums->count += 1;
  sums->loss += loss;
  for (PetscInt i = 0; i < m->d; i++) {
    sums->z[i] += z[i];
    for (PetscInt j = 0; j < m->d; j++) sums->zz[i * m->d + j] += z[i] * z[j] + Sigma[i * m->d + j];
  }
}

/* The averages in a row: mean[d], covariance[d][d], loss */
static PetscInt Averages(PetscInt d, const Sums *s, PetscReal out[])
{
  for (PetscInt i = 0; i < d; i++) out[i] = s->z[i] / s->count;
  for (PetscInt i = 0; i < d * d; i++) out[d + i] = s->zz[i] / s->count - out[i / d] * out[i % d];
  out[d + d * d] = s->loss / s->count;
  return d + d * d + 1;
}

static PetscErrorCode AddAverages(FPObservable obs, const Map *m, const PetscReal value[], const PetscReal error[],
                                  FPErrorKind kind)
{
  const PetscInt d = m->d;
  char           name[FP_NAME];

  PetscFunctionBegin;
  for (PetscInt k = 0; k < d + d * d + 1; k++) {
    if (k < d)
      PetscCall(PetscSNPrintf(name, sizeof name, "mean[%d]", (int)k));
    else
      PetscCall(PetscSNPrintf(name, sizeof name, k < d + d * d ? "covariance[%d][%d]" : "loss", (int)((k - d) / d),
                              (int)((k - d) % d)));
    PetscCall(FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, name, value[k], error[k], kind,
                           k < d           ? "weight"
                           : k < d + d * d ? "weight^2"
                                           : "loss"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddPoints(FPObservable obs, const Map *m, PetscInt count, const PetscReal z[],
                                const PetscReal error[], FPErrorKind kind)
{
  PetscReal at[MOST], end[MOST];
  char      name[FP_NAME];

  PetscFunctionBegin;
  for (PetscInt i = 0; i < m->d; i++) at[i] = z[i];
  for (PetscInt k = 0; k < count; k++) {
    for (PetscInt i = 0; i < m->d; i++) {
      PetscCall(PetscSNPrintf(name, sizeof name, m->d > 1 ? "point[%d][%d]" : "point[%d]", (int)k, (int)i));
      PetscCall(FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, name, at[i], error[i], kind, "weight"));
    }
    Step(m, at, end);
    for (PetscInt i = 0; i < m->d; i++) at[i] = end[i];
  }
  PetscFunctionReturn(0);
}

/* multiplier_re[k], multiplier_im[k] by falling modulus, and the largest modulus */
static PetscErrorCode AddMultipliers(FPObservable obs, const Map *m, PetscReal J[], PetscReal error, PetscReal *largest)
{
  const size_t                 d      = (size_t)m->d;
  gsl_eigen_nonsymm_workspace *work   = gsl_eigen_nonsymm_alloc(d);
  gsl_vector_complex          *values = gsl_vector_complex_alloc(d);
  gsl_matrix_view              matrix = gsl_matrix_view_array(J, d, d);
  PetscReal                    re[MOST], im[MOST];
  char                         name[FP_NAME];

  PetscFunctionBegin;
  PetscCheck(!gsl_eigen_nonsymm(&matrix.matrix, values, work), PETSC_COMM_SELF, PETSC_ERR_LIB,
             "GSL finds no multipliers of the orbit of process %s", m->name);
  for (size_t k = 0; k < d; k++) {
    const gsl_complex v = gsl_vector_complex_get(values, k);
    size_t            i = k;

    for (; i > 0 && hypot(re[i - 1], im[i - 1]) < gsl_complex_abs(v); i--) {
      re[i] = re[i - 1];
      im[i] = im[i - 1];
    }
    re[i] = GSL_REAL(v);
    im[i] = GSL_IMAG(v);
  }
  gsl_vector_complex_free(values);
  gsl_eigen_nonsymm_free(work);
  *largest = hypot(re[0], im[0]);
  for (size_t k = 0; k < d; k++) {
    PetscCall(PetscSNPrintf(name, sizeof name, "multiplier_re[%d]", (int)k));
    PetscCall(FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, name, re[k], error, FP_BOUND, "1"));
    PetscCall(PetscSNPrintf(name, sizeof name, "multiplier_im[%d]", (int)k));
    PetscCall(FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, name, im[k], error, FP_BOUND, "1"));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Periodic(FPObservable obs, const Map *m, PetscInt period, const PetscReal z[], PetscReal J[],
                               PetscReal distance)
{
  const PetscReal time = (PetscReal)period * m->training.learning_rate;
  PetscReal       at[MOST], end[MOST], value[MOST + MOST * MOST + 1], error[MOST + MOST * MOST + 1], largest, slope = 1;
  Sums            sums = {0};

  PetscFunctionBegin;
  for (PetscInt i = 0; i < m->d; i++) at[i] = z[i];
  for (PetscInt k = 0; k < period; k++) {
    AddPoint(m, at, &sums);
    Step(m, at, end);
    for (PetscInt i = 0; i < m->d; i++) at[i] = end[i];
    for (PetscInt i = 0; i < m->d; i++) slope = PetscMax(slope, PetscAbsReal(at[i]));
  }
  for (PetscInt i = 0; i < Averages(m->d, &sums, value); i++) error[i] = 20 * slope * distance + 1e-13;
  PetscCall(
      FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, "period", (PetscReal)period, 0, FP_BOUND, "steps"));
  for (PetscInt k = 0; k < period; k++) slope *= 3;
  /* differences of a flow and its steps leave less than 1e-7 of its derivative */
  PetscCall(AddMultipliers(
      obs, m, J, PetscMin(1, 100 * slope * distance + (m->algorithm == FP_GD ? 1e-12 * slope : 1e-7)), &largest));
  if (largest > 0)
    PetscCall(FPResultsAdd(
        obs->scene.results, m->name, "exact", obs->name, "exponent", PetscLogReal(largest) / time,
        PetscMin(1, 100 * slope * distance / largest + (m->algorithm == FP_GD ? 1e-12 * slope : 1e-7) / largest) / time,
        FP_BOUND, "1/time"));
  PetscCall(AddAverages(obs, m, value, error, FP_BOUND));
  for (PetscInt i = 0; i < m->d; i++) error[i] = 2 * distance;
  PetscCall(AddPoints(obs, m, period, z, error, FP_BOUND));
  PetscFunctionReturn(0);
}

/* Growth of a tangent vector in one step; v stays of length 1 */
static PetscReal Stretch(const Map *m, const PetscReal z[], PetscReal v[])
{
  PetscReal J[MOST * MOST], w[MOST], norm = 0;

  Derivative(m, z, J);
  for (PetscInt i = 0; i < m->d; i++) {
    w[i] = 0;
    for (PetscInt j = 0; j < m->d; j++) w[i] += J[i * m->d + j] * v[j];
    norm += w[i] * w[i];
  }
  norm = PetscSqrtReal(norm);
  for (PetscInt i = 0; i < m->d; i++) v[i] = w[i] / PetscMax(norm, 1e-300);
  return PetscLogReal(PetscMax(norm, 1e-300));
}

static PetscErrorCode Aperiodic(FPObservable obs, const Map *m, const PetscReal z[])
{
  const Orbit   *o      = (const Orbit *)obs->data;
  const PetscInt length = PetscMax(1, o->steps / BATCHES);
  PetscReal      at[MOST], end[MOST], v[MOST], value[MOST + MOST * MOST + 2], error[MOST + MOST * MOST + 2];
  PetscReal      batch[MOST + MOST * MOST + 2], deviation[MOST];
  Sums           all   = {0};
  PetscInt       rows  = m->d + m->d * m->d + 1;
  PetscReal      total = 0, squares[MOST + MOST * MOST + 2] = {0}, first[MOST + MOST * MOST + 2] = {0};

  PetscFunctionBegin;
  for (PetscInt i = 0; i < m->d; i++) {
    at[i] = z[i];
    v[i]  = 1 / PetscSqrtReal((PetscReal)(m->d + i));
  }
  for (PetscInt b = 0; b < BATCHES; b++) {
    Sums      sums   = {0};
    PetscReal growth = 0;

    for (PetscInt k = 0; k < length; k++) {
      AddPoint(m, at, &sums);
      AddPoint(m, at, &all);
      growth += Stretch(m, at, v);
      Step(m, at, end);
      for (PetscInt i = 0; i < m->d; i++) at[i] = end[i];
    }
    total += growth;
    (void)Averages(m->d, &sums, batch);
    batch[rows] = growth / length / m->training.learning_rate;
    for (PetscInt i = 0; i <= rows; i++) {
      first[i] += batch[i] / BATCHES;
      squares[i] += batch[i] * batch[i] / BATCHES;
    }
  }
  (void)Averages(m->d, &all, value);
  value[rows] = total / (length * BATCHES) / m->training.learning_rate;
  for (PetscInt i = 0; i <= rows; i++)
    error[i] = PetscSqrtReal(PetscMax(0, squares[i] - first[i] * first[i]) / (BATCHES - 1)) + 1e-13;
  PetscCall(FPResultsAddStatus(obs->scene.results, m->name, "exact", obs->name, "period", "aperiodic",
                               "no period up to orbit_points: points are a sample of the orbit"));
  PetscCall(FPResultsAdd(obs->scene.results, m->name, "exact", obs->name, "exponent", value[rows], error[rows],
                         FP_STANDARD, "1/time"));
  PetscCall(AddAverages(obs, m, value, error, FP_STANDARD));
  for (PetscInt i = 0; i < m->d; i++) deviation[i] = PetscSqrtReal(PetscMax(0, value[m->d + i * (m->d + 1)]));
  PetscCall(AddPoints(obs, m, o->points, z, deviation, FP_STANDARD));
  PetscFunctionReturn(0);
}

/* Why the process has no orbit, or NULL */
static PetscErrorCode NoOrbit(const Map *m, const char **reason)
{
  PetscInt  weights;
  PetscBool mapped, deterministic;

  PetscFunctionBegin;
  PetscCall(FPProcessIsDeterministic(m->process, &deterministic));
  PetscCall(FPModelGetParent(m->model, &mapped, &weights));
  *reason = NULL;
  if (!deterministic)
    *reason = "a process with noise has a law, not an orbit";
  else if (mapped)
    *reason = "the map acts on the weights: model_coordinates = weights or balanced has its orbits";
  else if (m->d > MOST)
    *reason = "orbits are followed in up to 8 coordinates";
  PetscFunctionReturn(0);
}

static PetscErrorCode Follow(FPObservable obs, const Map *m)
{
  const Orbit *o = (const Orbit *)obs->data;
  PetscReal    z[MOST], end[MOST], J[MOST * MOST], error, size = 0;
  PetscInt     period;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < m->d; i++) z[i] = o->z[i];
  for (PetscInt k = 0; k < o->burn_in && size < FAR; k++) {
    Step(m, z, end);
    size = 0;
    for (PetscInt i = 0; i < m->d; i++) {
      size = isfinite(end[i]) ? PetscMax(size, PetscAbsReal(end[i])) : FAR;
      z[i] = end[i];
    }
    if (m->algorithm != FP_GD && k > 400) break; /* flows come to rest */
  }
  if (size >= FAR) {
    PetscCall(FPResultsAddStatus(obs->scene.results, m->name, "exact", obs->name, "period", "diverges",
                                 "the orbit leaves every bounded set"));
    PetscFunctionReturn(0);
  }
  period = Close(m, o->points, z, J, &error);
  if (period)
    PetscCall(Periodic(obs, m, period, z, J, error));
  else
    PetscCall(Aperiodic(obs, m, z));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Orbit(FPObservable obs)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < obs->scene.processes; p++) {
    Map         m = {.process = obs->scene.process[p], .model = obs->scene.model};
    const char *reason;

    PetscCall(FPProcessGetName(m.process, &m.name));
    PetscCall(FPProcessGetTraining(m.process, &m.training));
    PetscCall(FPProcessGetAlgorithm(m.process, &m.algorithm, NULL));
    PetscCall(FPModelGetSizes(m.model, &m.d, NULL, NULL));
    PetscCall(FPModelGetMetric(m.model, &m.metric));
    PetscCall(NoOrbit(&m, &reason));
    if (reason)
      PetscCall(FPObservableMissing(obs, m.process, "exact", "period", "unsupported", reason));
    else
      PetscCall(Follow(obs, &m));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Orbit(FPObservable obs)
{
  Orbit *o;

  PetscFunctionBegin;
  PetscCall(PetscNew(&o));
  obs->data       = o;
  obs->parameters = Parameters;
  obs->ops        = (FPObservableOps){.read = Read_Orbit, .exact = Exact_Orbit};
  PetscFunctionReturn(0);
}

/* spectrum_particles.c: modes from particles, the Galerkin eigenproblem of the transition operator at a lag tau,
   C_tau v = mu C_0 v with C_0 = E psi psi^T, C_tau = E psi(0) psi(tau)^T, on the basis of spectrum_basis.c; rate =
   -log|mu|/tau. C_0 is the mean over both ends of the pairs that C_tau is of: then v^T (C_0 - C_tau) v =
   E |v(tau) - v(0)|^2/2, so that a slow mode is as slow as transitions are rare, whatever the ends of the run happen to
   differ by. Twice the lag gives a second answer, and what the two differ by beyond noise enters the error, so a
   poor basis shows. Modes that the particles cannot tell apart are reported by their mean, as sorted estimates of equal
   rates are biased, with the distance of the reference from that mean in the error. Source: S. Klus et al., J.
   Nonlinear Sci. 28 (2018); H. Wu et al., J. Chem. Phys. 146 (2017). */
#include "spectrumimpl.h"
#include <petscblaslapack.h>

#define LAGS 2
#define BLUR 3         /* modes closer than this many standard errors are reported by their mean */
#define FEW 30         /* events: a rate of fewer is known no better than their number */
#define CONDITION 1e-7 /* directions of C_0 below this share of its largest eigenvalue are dropped */

/* Scratch: counter, then LAGS + 1 generations of psi, newest at counter % (LAGS + 1). Accumulator: samples, then for
   each lag the pairs, the sum of psi psi^T over both members of all pairs, and that of psi(0) psi(tau)^T. */
static void Start(const void *context, const FPMove *move, double *scratch)
{
  const FPSpectrum *s = (const FPSpectrum *)context;

  scratch[0] = 0;
  FPSpectrumEvaluateBasis(s, move->after, scratch + 1);
}

FP_HOT static void AddProducts(PetscInt size, const double *a, const double *b, double *C)
{
  for (PetscInt i = 0; i < size; i++)
    for (PetscInt j = 0; j < size; j++) {
      double sum = 0;

      for (PetscInt l = 0; l < FP_BLOCK; l++) sum += a[i * FP_BLOCK + l] * b[j * FP_BLOCK + l];
      C[i * size + j] += sum;
    }
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const FPSpectrum *s   = (const FPSpectrum *)context;
  const PetscInt    now = (PetscInt)scratch[0] + 1, block = s->size * FP_BLOCK, square = s->size * s->size;
  double           *fresh = scratch + 1 + (now % (LAGS + 1)) * block;

  scratch[0] = now;
  FPSpectrumEvaluateBasis(s, move->after, fresh);
  acc[0] += FP_BLOCK;
  for (PetscInt lag = 1; lag <= LAGS && lag <= now; lag++) {
    const double *old  = scratch + 1 + ((now - lag) % (LAGS + 1)) * block;
    double       *sums = acc + 1 + (lag - 1) * (2 * square + 1);

    sums[0] += FP_BLOCK;
    AddProducts(s->size, old, old, sums + 1);
    AddProducts(s->size, fresh, fresh, sums + 1);
    AddProducts(s->size, old, fresh, sums + 1 + square);
  }
}

static PetscErrorCode DefaultLag(const FPSpectrum *s, FPModel model, PetscReal *tau)
{
  const FPCriticalPoint *points;
  PetscInt               count;

  PetscFunctionBegin;
  *tau = s->lag;
  if (!isnan(s->lag)) PetscFunctionReturn(0);
  PetscCall(FPModelGetCriticalPoints(model, &count, &points));
  if (s->modes && s->modes->rate[s->modes->modes] > 0)
    *tau = 1 / s->modes->rate[s->modes->modes];
  else
    *tau = count > 0 && points[0].eigenvalue[s->dim - 1] > 0 ? 1 / points[0].eigenvalue[s->dim - 1] : 1;
  PetscFunctionReturn(0);
}

/* Both steps of an SDE number their modes alike, by what the grids say together: on the finest alone two rates may
   stand the other way round. */
static PetscErrorCode SetReference(FPObservable obs, const char name[])
{
  FPSpectrum        *s        = (FPSpectrum *)obs->data;
  const FPModeBasis *b        = s->modes;
  const char        *engine[] = {"generator", "transfer"};

  PetscFunctionBegin;
  s->clustered = PETSC_FALSE;
  if (!strcmp(s->numbered, name)) PetscFunctionReturn(0);
  PetscCall(PetscStrncpy(s->numbered, name, sizeof(s->numbered)));
  s->reference.n = 0;
  if (!b || strcmp(b->process, name)) PetscFunctionReturn(0);
  s->reference.n = b->modes + 1;
  PetscCall(PetscArraycpy(s->reference.rate, b->rate, b->modes + 1));
  PetscCall(PetscArraycpy(s->reference.frequency, b->frequency, b->modes + 1));
  for (PetscInt k = 0; k < 2 * s->reference.n && obs->scene.results; k++) {
    char      quantity[FP_NAME];
    PetscReal value, error;
    PetscBool found;

    PetscCall(PetscSNPrintf(quantity, FP_NAME, "decay_rate[%" PetscInt_FMT "]", k / 2));
    PetscCall(FPResultsGet(obs->scene.results, name, engine[k % 2], obs->name, quantity, &value, &error, &found));
    if (found) s->reference.rate[k / 2] = value;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPSpectrumParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                        const FPParticleOptions *options, FPObserver *observer,
                                        PETSC_UNUSED FPEnsemble *ensemble, PetscBool *used)
{
  FPSpectrum *s = (FPSpectrum *)obs->data;
  FPTraining  training;
  PetscInt    count;
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPParticlesCount(options, &count));
  PetscCall(FPModelGetSizes(obs->scene.model, &s->dim, NULL, NULL));
  PetscCall(FPSpectrumChooseBasis(s, obs->scene.mesh, name, count, options->steps * training.learning_rate));
  PetscCall(SetReference(obs, name));
  PetscCall(DefaultLag(s, obs->scene.model, &s->tau));
  observer->every       = FPStepsOf(s->tau, dt);
  s->tau                = observer->every * dt;
  observer->accumulator = (size_t)(LAGS * (2 * s->size * s->size + 1) + 1);
  observer->scratch     = (size_t)(1 + (LAGS + 1) * s->size * FP_BLOCK);
  observer->start       = Start;
  observer->sample      = Sample;
  observer->context     = s;
  *used                 = PETSC_TRUE;
  PetscFunctionReturn(0);
}

/* Columns of W[n*kept] whiten C: W^T C W = I on the directions kept. C is destroyed. */
static PetscErrorCode Whiten(PetscInt n, PetscReal C[], PetscReal W[], PetscInt *kept)
{
  PetscReal    w[FP_MAX_BASIS], work[8 * FP_MAX_BASIS], root[FP_MAX_BASIS];
  PetscBLASInt order, lwork = 8 * FP_MAX_BASIS, info;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(n, &order));
  for (PetscInt i = 0; i < n; i++) root[i] = C[i * n + i] > 0 ? PetscSqrtReal(C[i * n + i]) : 1;
  for (PetscInt i = 0; i < n; i++)
    for (PetscInt j = 0; j < n; j++) C[i * n + j] /= root[i] * root[j];
  PetscCallBLAS("LAPACKsyev", LAPACKsyev_("V", "U", &order, C, &order, w, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK syev returned %d", (int)info);
  *kept = 0;
  for (PetscInt m = 0; m < n; m++) {
    if (w[m] <= CONDITION * w[n - 1]) continue;
    for (PetscInt i = 0; i < n; i++) W[*kept * n + i] = C[m * n + i] / (root[i] * PetscSqrtReal(w[m]));
    ++*kept;
  }
  PetscFunctionReturn(0);
}

/* Rates and frequencies of all modes, ascending, from C_0 and C_tau (both [n*n], destroyed). */
static PetscErrorCode Rates(PetscInt n, PetscReal C0[], PetscReal Ct[], PetscReal tau, PetscInt *modes,
                            PetscReal rate[], PetscReal frequency[])
{
  PetscReal W[FP_MAX_BASIS * FP_MAX_BASIS], K[FP_MAX_BASIS * FP_MAX_BASIS], re[FP_MAX_BASIS], im[FP_MAX_BASIS],
      work[8 * FP_MAX_BASIS], none = 0, key[FP_MAX_BASIS];
  PetscBLASInt order, lwork = 8 * FP_MAX_BASIS, one = 1, info;
  PetscInt     kept, sorted[FP_MAX_BASIS];

  PetscFunctionBegin;
  PetscCall(Whiten(n, C0, W, &kept));
  for (PetscInt a = 0; a < kept; a++) {
    PetscReal half[FP_MAX_BASIS];

    for (PetscInt j = 0; j < n; j++) {
      half[j] = 0;
      for (PetscInt i = 0; i < n; i++) half[j] += W[a * n + i] * Ct[i * n + j];
    }
    for (PetscInt b = 0; b < kept; b++) {
      K[a + b * kept] = 0;
      for (PetscInt j = 0; j < n; j++) K[a + b * kept] += half[j] * W[b * n + j];
    }
  }
  PetscCall(PetscBLASIntCast(kept, &order));
  PetscCallBLAS("LAPACKgeev",
                LAPACKgeev_("N", "N", &order, K, &order, re, im, &none, &one, &none, &one, work, &lwork, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK geev returned %d", (int)info);
  for (PetscInt k = 0; k < kept; k++) {
    key[k]    = -log(PetscMax(hypot(re[k], im[k]), PETSC_MACHINE_EPSILON)) / tau;
    sorted[k] = k;
  }
  PetscCall(PetscSortRealWithPermutation(kept, key, sorted));
  for (PetscInt k = 0; k < kept; k++) {
    rate[k]      = key[sorted[k]];
    frequency[k] = PetscAbsReal(atan2(im[sorted[k]], re[sorted[k]])) / tau;
  }
  *modes = kept;
  PetscFunctionReturn(0);
}

/* FPModes that `time` of simulated motion cannot tell apart share a cluster: a rate r is known to about sqrt(2 r/time),
   the error of the best estimate for an OU process. */
static void FindClusters(FPSpectrum *s, PetscReal time)
{
  const FPModes *m = &s->reference;

  for (PetscInt k = 0; k < m->n; k++) {
    s->cluster[k] = k;
    s->blur[k]    = 0;
    for (PetscInt j = 1; j < k && s->missed[k] < 1; j++) {
      const PetscReal noise = PetscSqrtReal(2 * PetscAbsReal(m->rate[k]) / time);

      if (s->missed[j] == 1 || !(hypot(m->rate[k] - m->rate[j], m->frequency[k] - m->frequency[j]) <= BLUR * noise))
        continue;
      s->cluster[k] = s->cluster[j];
      s->blur[k] = s->blur[s->cluster[j]] = noise;
      break;
    }
  }
}

/* Means over clusters in place; spread[k]: how far mode k of the reference lies from the mean of its cluster. */
static void MeanOfClusters(const FPSpectrum *s, const PetscReal reference[], PetscReal value[], PetscReal spread[])
{
  for (PetscInt c = 1; c < s->reference.n; c++) {
    PetscReal mean = 0, centre = 0;
    PetscInt  members = 0;

    for (PetscInt k = c; k < s->reference.n; k++) {
      if (s->cluster[k] != c) continue;
      mean += value[k];
      centre += reference[k];
      members++;
    }
    for (PetscInt k = c; k < s->reference.n; k++) {
      if (s->cluster[k] != c) continue;
      value[k]  = mean / members;
      spread[k] = PetscAbsReal(reference[k] - centre / members);
    }
  }
}

/* One row for the run to add to the error: what the two lags differ by, and the spread inside a cluster. */
static PetscErrorCode AddDoubt(FPQuantities *q, PetscReal difference, PetscReal spread, const char name[], int k)
{
  char label[FP_NAME];

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(label, sizeof(label), k < 0 ? "~%s" : "~%s[%d]", name, k));
  PetscCall(FPQuantitiesAdd(q, spread > 0 ? hypot(difference, spread) : difference, 0, "", "%s", label));
  PetscFunctionReturn(0);
}

/* Standard error of a rate that is that of a few events: exchange between two equal wells at rate r takes r time/2 of
   them, and where n are seen, n + 1 is the variance of what may be expected. Of a few the scatter of the groups tells
   less. */
static PetscReal Rare(PetscReal time, PetscReal rate)
{
  const PetscReal events = PetscMax(rate, 0) * time / 2;

  return events < FEW ? 2 * PetscSqrtReal(events + 1) / time : 0;
}

/* The first call after Begin sees all groups; where no generator numbers the modes, it does, for all later calls. */
PetscErrorCode FPSpectrumEvaluate(FPObservable obs, const double sums[], FPQuantities *q)
{
  FPSpectrum    *s      = (FPSpectrum *)obs->data;
  const PetscInt square = s->size * s->size, wanted = PetscMin(s->pairs + 1, s->size);
  FPModes        modes[LAGS];
  PetscReal      rare[FP_MAX_BASIS], *C0, *Ct, spread[2][FP_MAX_BASIS] = {{0}};

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(square, &C0, square, &Ct));
  for (PetscInt lag = 1; lag <= LAGS; lag++) {
    const double *pairs = sums + 1 + (lag - 1) * (2 * square + 1), *C = pairs + 1 + square;
    PetscReal     rate[FP_MAX_BASIS], frequency[FP_MAX_BASIS];
    PetscInt      have = 0; /* none where the run is shorter than the lag */

    for (PetscInt i = 0; i < square; i++) C0[i] = 0.5 * pairs[1 + i] / pairs[0];
    for (PetscInt i = 0; i < s->size; i++)
      for (PetscInt j = 0; j < s->size; j++)
        Ct[i * s->size + j] =
            (s->reversible ? 0.5 * (C[i * s->size + j] + C[j * s->size + i]) : C[i * s->size + j]) / pairs[0];
    if (pairs[0] > 0) PetscCall(Rates(s->size, C0, Ct, lag * s->tau, &have, rate, frequency));
    if (s->reference.n == 0) {
      for (PetscInt k = 0; k < wanted; k++) s->reference.rate[k] = k < have ? rate[k] : NAN;
      for (PetscInt k = 0; k < wanted; k++) s->reference.frequency[k] = k < have ? frequency[k] : NAN;
      s->reference.n = wanted;
    }
    if (!s->clustered) FindClusters(s, sums[0] * s->tau);
    s->clustered = PETSC_TRUE;
    FPModesFollow(&s->reference, have, rate, frequency, &modes[lag - 1]);
    MeanOfClusters(s, s->reference.rate, modes[lag - 1].rate, spread[0]);
    MeanOfClusters(s, s->reference.frequency, modes[lag - 1].frequency, spread[1]);
  }
  for (PetscInt k = 1; k < modes[0].n; k++)
    if (s->missed[k] == 1) modes[0].rate[k] = modes[0].frequency[k] = NAN;
  modes[0].rate[0] = modes[1].rate[0] = 0;
  rare[0]                             = 0;
  for (PetscInt k = 1; k < modes[0].n; k++) {
    rare[k] = Rare(sums[0] * s->tau, modes[0].rate[k]);
    rare[k] = hypot(rare[k], s->missed[k] * modes[0].rate[k]);
  }
  PetscCall(FPSpectrumAddRates(modes[0].n, modes[0].rate, modes[0].frequency, rare, 1, q));
  for (PetscInt k = 1; k < modes[0].n; k++) {
    PetscCall(AddDoubt(q, modes[0].rate[k] - modes[1].rate[k], spread[0][k], "decay_rate", (int)k));
    PetscCall(AddDoubt(q, modes[0].frequency[k] - modes[1].frequency[k], hypot(spread[1][k], s->blur[k]), "frequency",
                       (int)k));
  }
  if (modes[0].n > 1) {
    const PetscReal r0 = modes[0].rate[1], r1 = modes[1].rate[1];

    PetscCall(AddDoubt(q, r0 - r1, spread[0][1], "gap", -1));
    PetscCall(AddDoubt(q, 1 / r0 - 1 / r1, spread[0][1] / (r0 * r0), "relaxation_time", -1));
  }
  PetscCall(PetscFree2(C0, Ct));
  PetscFunctionReturn(0);
}

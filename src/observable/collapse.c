/* collapse.c: stochastic collapse onto the origin of a chain, which attracts where its largest Lyapunov exponent is
   negative. Of depth 3 and more it is zero, or that of weight decay alone, at every learning rate: gradients and their
   noise are of second order there. Of depth 2 learning_rate[k], ascending, are the learning rates at which the exponent
   changes sign, all else as in the run file; thresholds their number, exponent that of the run's own learning rate. SGD
   collapses in a window: from above, E ln |1 + eta U| > 0 again, U the batch mean of x y; its SDEs collapse on a
   half-line. Exact: without decay ald from eta = 2pB/(2 s p^2 + sigma^2) on, ald2 from 2pB/(s p^2 (2 + B) + sigma^2),
   with Gaussian inputs. Looked for from 1e-2 to 1e2 B in units of 1/sqrt(E U^2), at 12 places per decade: two
   thresholds that are nearer to each other may be missed. Source of the criterion: Chen, Kunin, Yamamura and Ganguli,
   arXiv:2306.04251; lyapunov.c has the exponents. */
#include "observableimpl.h"
#include <math.h>

#define PER_DECADE 12
#define STEPS 100

typedef struct {
  FPProcess process;
  FPModel   model;
} Saddle;

/* Largest value that the learning rate may have for the process to be one */
static PetscErrorCode Ceiling(const Saddle *s, PetscReal *eta)
{
  const FPCriticalPoint *points;
  const char            *drift;
  PetscInt               count;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAxes(s->process, &drift, NULL));
  PetscCall(FPModelGetCriticalPoints(s->model, &count, &points));
  *eta = strcmp(drift, "refined") || !count ? PETSC_MAX_REAL : 1 / points[0].eigenvalue[0];
  PetscFunctionReturn(0);
}

/* Root between low and high, where the exponent is below[] and above[], by false position (Illinois). */
static PetscErrorCode Root(const Saddle *s, PetscReal low, PetscReal high, PetscReal below, PetscReal above,
                           PetscReal *root, PetscReal *error)
{
  PetscReal   value = below, own = 0;
  const char *reason;

  PetscFunctionBegin;
  *root = low;
  for (PetscInt k = 0; k < STEPS && high - low > 1e-13 * high; k++) {
    const PetscReal before = *root;
    /* halves where false position is slow */
    *root = k % 3 == 2 ? 0.5 * (low + high) : (low * above - high * below) / (above - below);
    PetscCall(FPLyapunovOrigin(s->process, s->model, *root, &value, &own, &reason));
    if ((value > 0) == (below > 0)) {
      low   = *root;
      below = value;
    } else {
      high  = *root;
      above = value;
    }
    if (PetscAbsReal(value) <= own || PetscAbsReal(*root - before) < 1e-14 * high) break;
  }
  {
    const PetscReal d = 1e-4 * *root;
    PetscReal       plus, minus, ignored;

    PetscCall(FPLyapunovOrigin(s->process, s->model, *root + d, &plus, &ignored, &reason));
    PetscCall(FPLyapunovOrigin(s->process, s->model, *root - d, &minus, &ignored, &reason));
    *error = 2 * (PetscAbsReal(value) + own) * 2 * d / PetscAbsReal(plus - minus) + 1e-12 * *root;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Search(FPObservable obs, const Saddle *s, const char process[])
{
  FPTraining  training;
  FPBatchMean law = {0};
  PetscReal   mean, variance, scale, ceiling = PETSC_MAX_REAL, eta, value, error, last = 0, last_eta = 0;
  PetscInt    found = 0, places;
  const char *reason;
  char        name[FP_NAME];

  PetscFunctionBegin;
  PetscCall(FPProcessGetTraining(s->process, &training));
  PetscCall(FPModelGetData(s->model, &law.data));
  law.batch = training.batch_size;
  PetscCall(FPBatchMeanMoments(&law, &mean, &variance));
  PetscCall(Ceiling(s, &ceiling));
  scale  = 1 / PetscSqrtReal(mean * mean + variance);
  places = (PetscInt)ceil(PER_DECADE * (4 + log10((double)training.batch_size)));
  for (PetscInt k = 0; k <= places; k++) {
    eta = 1e-2 * scale * PetscPowReal(10, (PetscReal)k / PER_DECADE);
    if (eta >= ceiling) break;
    PetscCall(FPLyapunovOrigin(s->process, s->model, eta, &value, &error, &reason));
    if (!isfinite(value)) value = -1e3; /* a step maps to zero with positive probability */
    if (k && (value > 0) != (last > 0)) {
      PetscReal root;

      PetscCall(Root(s, last_eta, eta, last, value, &root, &error));
      PetscCall(PetscSNPrintf(name, sizeof name, "learning_rate[%d]", (int)found++));
      PetscCall(FPResultsAdd(obs->scene.results, process, "exact", obs->name, name, root, error, FP_BOUND, "time"));
    }
    last     = value;
    last_eta = eta;
  }
  PetscCall(
      FPResultsAdd(obs->scene.results, process, "exact", obs->name, "thresholds", (PetscReal)found, 0, FP_BOUND, "1"));
  PetscCall(FPLyapunovOrigin(s->process, s->model, training.learning_rate, &value, &error, &reason));
  if (isfinite(value))
    PetscCall(
        FPResultsAdd(obs->scene.results, process, "exact", obs->name, "exponent", value, error, FP_BOUND, "1/time"));
  PetscFunctionReturn(0);
}

static PetscErrorCode Exact_Collapse(FPObservable obs)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < obs->scene.processes; p++) {
    const Saddle s = {obs->scene.process[p], obs->scene.model};
    FPTraining   training;
    PetscReal    value, error;
    const char  *reason, *name;

    PetscCall(FPProcessGetName(s.process, &name));
    PetscCall(FPProcessGetTraining(s.process, &training));
    PetscCall(FPLyapunovOrigin(s.process, s.model, training.learning_rate, &value, &error, &reason));
    if (reason)
      PetscCall(FPObservableMissing(obs, s.process, "exact", "thresholds", "unsupported", reason));
    else
      PetscCall(Search(obs, &s, name));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Collapse(FPObservable obs)
{
  PetscFunctionBegin;
  obs->ops = (FPObservableOps){.exact = Exact_Collapse};
  PetscFunctionReturn(0);
}

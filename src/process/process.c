/* process.c: a process from its axes. */
#include "processimpl.h"

static PetscErrorCode SetTemperature(FPConfig config, FPProcess process, const FPProcessKeys *keys, PetscBool reference)
{
  char        key[2 * FP_NAME], *end;
  const char *where;
  PetscReal   T = process->training.temperature;
  PetscBool   matched;

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(key, sizeof key, "%s_temperature", process->name));
  PetscCall(PetscStrcmp(keys->temperature, "matched", &matched));
  if (matched) {
    PetscCall(FPConfigWhere(config, key, &where));
    FPInputCheck(process->noise.needs_temperature, "%s: only noise isotropic can be matched; a number is accepted",
                 where);
    FPInputCheck(!reference, "%s: another temperature is matched to this process, so a number is accepted", where);
    PetscCall(FPProcessMatchedTemperature(config, process, keys, &T));
  } else if (keys->temperature[0]) {
    T = strtod(keys->temperature, &end);
    PetscCall(FPConfigWhere(config, key, &where));
    FPInputCheck(strspn(keys->temperature, "0123456789+-.eE") == strlen(keys->temperature) && !*end && T >= 0.0 &&
                     T <= PETSC_MAX_REAL,
                 "%s: accepted are a number >= 0 and the word matched", where);
  }
  FPInputCheck(T > 0.0 || !process->noise.needs_temperature,
               "process %s: its noise is isotropic, so its temperature must be positive or matched, not 0; set %s or "
               "training_temperature",
               process->name, key);
  process->training.temperature = T;
  PetscFunctionReturn(0);
}

/* dt = eta/k: k the least with dt <= the key dt, or with dt times the sharpness at the minimum <= 1/20. */
static PetscErrorCode SetParticleStep(FPConfig config, FPProcess process, const FPProcessKeys *keys)
{
  const PetscReal        eta = process->training.learning_rate;
  const FPCriticalPoint *point;
  PetscReal              sharpness;
  char                   key[2 * FP_NAME];
  const char            *where;

  PetscFunctionBegin;
  process->dt = 0.0;
  if (process->algorithm.kind != FP_SDE) PetscFunctionReturn(0);
  if (!PetscIsNanReal(keys->dt)) {
    PetscCall(PetscSNPrintf(key, sizeof key, "%s_dt", process->name));
    PetscCall(FPConfigWhere(config, key, &where));
    FPInputCheck(keys->dt <= eta, "%s: at most the learning rate, %g, is accepted", where, (double)eta);
    process->dt = eta / PetscCeilReal(eta / keys->dt * (1.0 - 1e-12));
    PetscFunctionReturn(0);
  }
  PetscCall(FPModelFindCriticalPoint(process->model, "minimum", &point));
  if (!point) PetscFunctionReturn(0);
  PetscCall(FPProcessSharpness(process, point->z, &sharpness));
  process->dt = eta / PetscMax(1.0, PetscCeilReal(20.0 * eta * sharpness * (1.0 - 1e-12)));
  PetscFunctionReturn(0);
}

static PetscErrorCode SetGibbsTemperature(FPProcess process)
{
  const FPCriticalPoint *point;
  PetscReal              mean;

  PetscFunctionBegin;
  process->gibbs = process->training.temperature;
  if (process->noise.isotropic) PetscFunctionReturn(0);
  PetscCall(FPModelFindCriticalPoint(process->model, "minimum", &point));
  if (point) {
    PetscCall(FPProcessMeanCovariance(process->model, point->z, &mean));
    process->gibbs += process->noise.gain * mean;
    if (process->noise.whole) {
      FPProcessWeightDiffusion(process, 1, point->z, &mean);
      process->gibbs = mean + process->training.temperature * (1 - process->metric);
    }
    if (process->noise.stable.has && process->noise.stable.alpha == 2) { /* Gaussian: D = sigma^2 I */
      FPProcessStableScale(process, 1, point->z, &mean);
      process->gibbs += mean * mean / process->metric;
    }
  } else
    process->gibbs = 0.0;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessCreate_Private(FPConfig config, const char name[], FPModel model, PetscBool reference,
                                       FPProcess *process)
{
  FPProcess     p;
  FPProcessKeys keys;

  PetscFunctionBegin;
  PetscCall(PetscNew(&p));
  *process = p;
  p->model = model;
  PetscCall(PetscStrncpy(p->name, name, sizeof p->name));
  PetscCall(FPTrainingRead(config, &p->training));
  PetscCall(FPModelGetSizes(model, &p->dim, NULL, NULL));
  PetscCall(FPModelGetParent(model, &p->mapped, &p->weights));
  PetscCall(FPModelGetMetric(model, &p->metric));
  PetscCall(FPProcessReadKeys(config, p, &keys));
  p->order       = keys.svag_order;
  p->beta        = keys.beta;
  p->clock_scale = keys.clock_scale;
  PetscCall(SetTemperature(config, p, &keys, reference));
  if (p->noise.stable.has) PetscCall(FPProcessSetUpStable(config, p, &keys));
  p->channels = p->noise.channels + (p->training.temperature > 0.0 && !p->noise.whole ? p->weights : 0);
  PetscCall(SetParticleStep(config, p, &keys));
  PetscCall(SetGibbsTemperature(p));
  PetscCall(FPProcessSetUpPotential(p));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessCreate(FPConfig config, const char name[], FPModel model, FPProcess *process)
{
  PetscFunctionBegin;
  PetscCall(FPProcessCreate_Private(config, name, model, PETSC_FALSE, process));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetName(FPProcess process, const char **name)
{
  PetscFunctionBegin;
  *name = process->name;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetModel(FPProcess process, FPModel *model)
{
  PetscFunctionBegin;
  *model = process->model;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetTraining(FPProcess process, FPTraining *training)
{
  PetscFunctionBegin;
  *training = process->training;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetAlgorithm(FPProcess process, FPAlgorithm *algorithm, PetscInt *order)
{
  PetscFunctionBegin;
  if (algorithm) *algorithm = process->algorithm.kind;
  if (order) *order = process->order;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessIsDeterministic(FPProcess process, PetscBool *deterministic)
{
  const FPAlgorithm kind = process->algorithm.kind;

  PetscFunctionBegin;
  *deterministic = (PetscBool)((kind == FP_GD || kind == FP_SDE) && process->channels == 0 &&
                               !process->noise.stable.has && process->training.temperature == 0);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessHasOscillation(FPProcess process, PetscBool *has)
{
  PetscFunctionBegin;
  *has = (PetscBool)(process->drift.oscillation && !process->mapped && !process->section);
  PetscFunctionReturn(0);
}

void FPProcessOscillation(FPProcess process, int n, const double *z, double *Sigma)
{
  process->drift.oscillation(process, n, z, Sigma);
}

PetscErrorCode FPProcessGetCaveat(FPProcess process, const char **caveat)
{
  PetscFunctionBegin;
  *caveat = process->training.temperature > 0 ? process->drift.heated : NULL;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetAxes(FPProcess process, const char **drift, const char **noise)
{
  PetscFunctionBegin;
  if (drift) *drift = process->drift_name;
  if (noise) *noise = process->noise_name;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetClock(FPProcess process, PetscReal *beta, PetscReal *scale)
{
  PetscFunctionBegin;
  if (beta) *beta = process->beta;
  if (scale) *scale = PetscPowReal(process->clock_scale, 1 - process->beta);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetStep(FPProcess process, PetscReal *step)
{
  PetscFunctionBegin;
  *step = process->algorithm.kind == FP_SDE ? 0.0 : process->training.learning_rate / (PetscReal)process->order;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetBatches(FPProcess process, PetscInt *batches, PetscReal coefficient[2])
{
  PetscFunctionBegin;
  *batches       = process->algorithm.kind == FP_SVAG && process->order > 1 ? 2 : 1;
  coefficient[0] = *batches == 2 ? (1 + PetscSqrtReal(2 * (PetscReal)process->order - 1)) / 2 : 1;
  coefficient[1] = 1 - coefficient[0];
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetParticleStep(FPProcess process, PetscReal *dt)
{
  PetscFunctionBegin;
  FPInputCheck(process->dt > 0.0 || process->algorithm.kind != FP_SDE,
               "process %s: the potential has no minimum to choose the particles' step from; set %s_dt", process->name,
               process->name);
  *dt = process->dt;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetGibbsTemperature(FPProcess process, PetscReal *temperature)
{
  PetscFunctionBegin;
  *temperature = process->gibbs;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessHasPotential(FPProcess process, PetscBool *has)
{
  PetscFunctionBegin;
  *has = (PetscBool)(process->potential != FP_NO_POTENTIAL);
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessCheckBox(FPProcess process, const PetscReal lower[], const PetscReal upper[])
{
  PetscFunctionBegin;
  if (process->noise.check) PetscCall((*process->noise.check)(process, lower, upper));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessGetChannels(FPProcess process, PetscInt *channels)
{
  PetscFunctionBegin;
  *channels = process->channels;
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessDestroy(FPProcess *process)
{
  PetscFunctionBegin;
  if (*process && (*process)->drift.destroy) PetscCall((*process)->drift.destroy(*process));
  if (*process) PetscCall(PetscFree((*process)->curvature));
  if (*process) PetscCall(PetscFree((*process)->section));
  PetscCall(PetscFree(*process));
  PetscFunctionReturn(0);
}

/* stepper.c: what a step of a process needs, gathered once so that threads only read it. */
#include "particlesimpl.h"
#include <math.h>

#define PIECES 3 /* of a step beside walls that stop jumps */

/* FNV-1a of the process's name: processes with the same seed use unrelated streams. */
static unsigned Hash(const char name[])
{
  unsigned hash = 2166136261u;

  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
  return hash;
}

static PetscErrorCode CheckBox(const FPBox *box, PetscInt dim, const char name[])
{
  PetscFunctionBegin;
  if (!box) PetscFunctionReturn(0);
  PetscCheck(box->dim == dim, PETSC_COMM_WORLD, PETSC_ERR_ARG_SIZ,
             "particles of process %s have %" PetscInt_FMT " coordinates, the box has %" PetscInt_FMT, name, dim,
             box->dim);
  for (PetscInt i = 0; i < 2 * dim; i++)
    PetscCheck(box->face[i] == FP_REFLECTING, PETSC_COMM_WORLD, PETSC_ERR_SUP,
               "particles of process %s: the %s face of coordinate %" PetscInt_FMT
               " is absorbing; particles know reflecting faces only",
               name, i % 2 ? "upper" : "lower", i / 2 + 1);
  PetscFunctionReturn(0);
}

static PetscErrorCode SetTime(FPStepper *s, const FPTraining *training, PetscReal dt, const char name[])
{
  PetscReal ratio, step;

  PetscFunctionBegin;
  PetscCall(FPProcessGetStep(s->process, &step));
  s->dt = s->sde ? dt : step;
  PetscCheck(s->dt > 0, PETSC_COMM_WORLD, PETSC_ERR_ARG_OUTOFRANGE, "particle step of process %s is %g, not positive",
             name, s->dt);
  ratio       = training->learning_rate / s->dt;
  s->substeps = (PetscInt)lround(ratio);
  PetscCheck(s->substeps >= 1 && fabs(ratio - (double)s->substeps) < 1e-9 * ratio, PETSC_COMM_WORLD,
             PETSC_ERR_ARG_INCOMP, "particle step %g of process %s does not divide the learning rate %g", s->dt, name,
             (double)training->learning_rate);
  PetscFunctionReturn(0);
}

static PetscErrorCode SetAlgorithm(FPStepper *s, const FPTraining *training)
{
  FPAlgorithm algorithm;
  PetscInt    batches;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(s->process, &algorithm, NULL));
  PetscCall(FPProcessGetBatches(s->process, &batches, s->coefficient));
  s->sde     = algorithm == FP_SDE ? PETSC_TRUE : PETSC_FALSE;
  s->step    = algorithm == FP_SDE ? FPStep_SDE : algorithm == FP_GD ? FPStep_GD : FPStep_SGD;
  s->batch   = algorithm == FP_SGD || algorithm == FP_SVAG ? (int)training->batch_size : 0;
  s->batches = (int)batches;
  PetscFunctionReturn(0);
}

static PetscErrorCode SetModel(FPStepper *s)
{
  PetscInt dim, inputs, targets, weights, channels = 0;
  FPData   data;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(s->model, &dim, &inputs, &targets));
  PetscCall(FPModelGetParent(s->model, &s->mapped, &weights));
  PetscCall(FPModelGetMetric(s->model, &s->metric));
  PetscCall(FPModelGetData(s->model, &data));
  PetscCall(FPModelGetSampler(s->model, &s->sampler));
  if (s->sde) PetscCall(FPProcessGetChannels(s->process, &channels));
  PetscCall(FPProcessGetStable(s->process, &s->stable));
  s->linear   = data && s->batch * s->batches > 1 ? PETSC_TRUE : PETSC_FALSE;
  s->dim      = (int)dim;
  s->inputs   = (int)inputs;
  s->targets  = (int)targets;
  s->weights  = (int)weights;
  s->channels = (int)channels;
  s->pieces   = s->box && s->stable.has && s->stable.boundary == FP_BOUNDARY_CONFINED ? PIECES : 1;
  if (s->stable.has) FPStableNeeds(&s->stable, s->dim, &s->jump_normals, &s->jump_words);
  PetscFunctionReturn(0);
}

void FPStepperAdvance(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  if (s->mapped) {
    FPModelLift(s->model, FP_BLOCK, before, ws->w[0]);
    s->step(s, ws, ws->w[0], ws->w[1]);
    FPModelProject(s->model, FP_BLOCK, ws->w[1], after);
  } else
    s->step(s, ws, before, after);
}

int FPStepperStep(const FPStepper *s, FPWorkspace *ws, const double *before, double *after)
{
  FPStepperAdvance(s, ws, before, after);
  return FPWallsApply(s, ws, before, after);
}

PetscErrorCode FPStepperCreate(FPProcess process, const FPBox *box, PetscReal dt, PetscInt seed, FPStepper *stepper)
{
  FPTraining  training;
  const char *name;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(stepper, sizeof(*stepper)));
  stepper->process = process;
  PetscCall(FPProcessGetClock(process, &stepper->beta, &stepper->scale));
  stepper->fractional = (PetscBool)(stepper->beta < 1);
  stepper->box        = box;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPProcessGetModel(process, &stepper->model));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(SetAlgorithm(stepper, &training));
  PetscCall(SetModel(stepper));
  PetscCall(CheckBox(box, stepper->dim, name));
  PetscCall(SetTime(stepper, &training, dt, name));
  stepper->decay = training.weight_decay;
  if (!stepper->sde) stepper->amplitude = PetscSqrtReal(2 * stepper->dt * training.temperature * stepper->metric);
  stepper->key[0] = (unsigned)seed;
  stepper->key[1] = Hash(name);
  PetscFunctionReturn(0);
}

/* training.c: section `training`, common to the model and to every process. */
#include "fpmodel.h"

static const FPParameter TrainingParameters[] = {
    {"learning_rate", FP_REAL, offsetof(FPTraining, learning_rate), "0.1", FP_POSITIVE, PETSC_MAX_REAL, NULL,
     "time per step", "eta; time is steps x eta"},
    {"batch_size", FP_INT, offsetof(FPTraining, batch_size), "1", 1, PETSC_MAX_INT, NULL, NULL,
     "samples per step, drawn with replacement"},
    {"weight_decay", FP_REAL, offsetof(FPTraining, weight_decay), "0", 0, PETSC_MAX_REAL, NULL, "1/time",
     "l of the potential V = L + l/2 |w|^2"},
    {"temperature", FP_REAL, offsetof(FPTraining, temperature), "0", 0, PETSC_MAX_REAL, NULL, "w^2/time",
     "noise injected into every process: D grows by T I, a step of SGD by sqrt(2 eta T) N(0, I)"},
    {.name = NULL},
};

PetscErrorCode FPTrainingRead(FPConfig config, FPTraining *training)
{
  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, "training", TrainingParameters, training));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTrainingWrite(FPConfig config, const FPTraining *training)
{
  char text[32];

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(text, sizeof(text), "%.17g", (double)training->learning_rate));
  PetscCall(FPConfigSet(config, "training_learning_rate", text));
  PetscCall(PetscSNPrintf(text, sizeof(text), "%" PetscInt_FMT, training->batch_size));
  PetscCall(FPConfigSet(config, "training_batch_size", text));
  PetscCall(PetscSNPrintf(text, sizeof(text), "%.17g", (double)training->weight_decay));
  PetscCall(FPConfigSet(config, "training_weight_decay", text));
  PetscCall(PetscSNPrintf(text, sizeof(text), "%.17g", (double)training->temperature));
  PetscCall(FPConfigSet(config, "training_temperature", text));
  PetscFunctionReturn(0);
}

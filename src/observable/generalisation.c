/* generalisation.c: what laws of the data that were not trained on make of a point: test_loss and shifted_loss, excess
   losses as `loss` is one, over the least loss that the model's coordinates reach under that law; and
   generalisation_gap, loss of the test file minus loss of the training data, floors included. Every loss is a quadratic
   form of the end-to-end matrix with the law's second moments, so its mean under the law of the weights has no error
   but that law's own. */
#include "observableimpl.h"

PetscErrorCode FPJudgesSetUp(FPModel model, FPJudges *judges)
{
  PetscFunctionBegin;
  judges->rows = 0;
  for (int law = 0; law < FP_LAWS; law++) {
    FPModel   other;
    PetscReal floor, own;

    PetscCall(FPModelGetOther(model, (FPLaw)law, &other));
    if (!other) continue;
    judges->model[judges->rows] = other;
    PetscCall(PetscSNPrintf(judges->name[judges->rows], sizeof(judges->name[0]), "%s_loss", FPLawNames[law]));
    judges->rows++;
    if (law != FP_LAW_TEST) continue;
    PetscCall(FPModelGetLossFloor(other, &floor));
    PetscCall(FPModelGetLossFloor(model, &own));
    judges->model[judges->rows] = NULL;
    judges->floors              = floor - own;
    PetscCall(PetscStrncpy(judges->name[judges->rows], "generalisation_gap", sizeof(judges->name[0])));
    judges->rows++;
  }
  PetscFunctionReturn(0);
}

void FPJudgesLoss(const FPJudges *judges, int n, const double *w, const double *loss, double *out)
{
  for (PetscInt r = 0; r < judges->rows; r++) {
    double *row = out + (size_t)r * n;

    if (judges->model[r]) {
      FPModelLoss(judges->model[r], n, w, row);
      continue;
    }
    for (int l = 0; l < n; l++) row[l] = row[l - n] - loss[l] + judges->floors; /* after the row of the test file */
  }
}

/* spectrum_numbering.c: which mode is which. By rate on the finest grid. Everything else (coarser grids, particles,
   groups left out) is numbered by the nearest eigenvalues in the complex plane, since sorting would swap modes of
   nearly equal rates and other frequencies. */
#include "spectrumimpl.h"

#define STILL 1e-9 /* frequencies below this share of the rate are zero */

/* Number the estimated modes like the reference: of all pairs of a reference mode and one of the slowest estimated
   modes, the closest in the complex plane belong together, then the closest of the rest. NaN where none is left. */
void FPModesFollow(const FPModes *reference, PetscInt have, const PetscReal rate[], const PetscReal frequency[],
                   FPModes *out)
{
  const PetscInt candidates             = PetscMin(have, reference->n + 2); /* the last may be one of a pair */
  PetscBool      given[FP_MAX_BASIS]    = {PETSC_FALSE};
  PetscBool      answered[FP_MAX_BASIS] = {PETSC_FALSE};

  out->n = reference->n;
  for (PetscInt k = 0; k < out->n; k++) out->rate[k] = out->frequency[k] = NAN;
  for (PetscInt round = 0; round < PetscMin(candidates, out->n); round++) {
    PetscInt  mode = -1, candidate = -1;
    PetscReal closest = PETSC_MAX_REAL;

    for (PetscInt k = 0; k < out->n; k++)
      for (PetscInt c = 0; c < candidates && !answered[k]; c++) {
        const PetscReal distance = hypot(rate[c] - reference->rate[k], frequency[c] - reference->frequency[k]);

        if (given[c] || !(distance < closest)) continue;
        closest   = distance;
        mode      = k;
        candidate = c;
      }
    if (mode < 0) return;
    answered[mode] = given[candidate] = PETSC_TRUE;
    out->rate[mode]                   = rate[candidate];
    out->frequency[mode]              = frequency[candidate];
  }
}

/* The rows decay_rate[k], frequency[k] and their errors. */
static PetscErrorCode ReadModes(const FPQuantities *q, FPModes *modes, PetscReal error[])
{
  PetscFunctionBegin;
  for (modes->n = 0; modes->n < FP_MAX_BASIS; modes->n++) {
    const FPQuantity *rate, *frequency;
    char              name[2][FP_NAME];

    PetscCall(PetscSNPrintf(name[0], FP_NAME, "decay_rate[%d]", (int)modes->n));
    PetscCall(PetscSNPrintf(name[1], FP_NAME, "frequency[%d]", (int)modes->n));
    PetscCall(FPQuantitiesFind(q, name[0], &rate));
    PetscCall(FPQuantitiesFind(q, name[1], &frequency));
    if (!rate || !frequency) break;
    modes->rate[modes->n]      = rate->value;
    modes->frequency[modes->n] = frequency->value;
    error[modes->n]            = rate->error;
  }
  PetscFunctionReturn(0);
}

/* FPModes that oscillate, or those that do not, and where[] they stand in the whole list. */
static void Select(const FPModes *all, PetscBool oscillating, FPModes *some, PetscInt where[])
{
  some->n = 0;
  for (PetscInt k = 0; k < all->n; k++) {
    if ((all->frequency[k] > STILL * PetscAbsReal(all->rate[k])) != oscillating) continue;
    where[some->n]             = k;
    some->rate[some->n]        = all->rate[k];
    some->frequency[some->n++] = all->frequency[k];
  }
}

/* Of modes numbered by rate, what may be another's on the true operator: the frequency of one whose rate is nearer than
   grids tell them apart, and that of two real modes that may have met, as the square of half their distance is off by
   what it differs between grids. doubt[n], in the frequency. */
static void Doubts(const FPModes *finest, const FPModes *coarse, PetscReal doubt[])
{
  for (PetscInt k = 0; k < finest->n; k++) doubt[k] = 0;
  for (PetscInt k = 1; k < finest->n; k++)
    for (PetscInt j = k + 1; j < finest->n; j++) {
      const PetscReal apart = finest->rate[j] - finest->rate[k], other = finest->frequency[j] - finest->frequency[k];
      const PetscReal before = coarse->rate[j] - coarse->rate[k];
      const PetscReal moved =
          PetscAbsReal(coarse->rate[j] - finest->rate[j]) + PetscAbsReal(coarse->rate[k] - finest->rate[k]);
      PetscReal worst = apart < moved ? PetscAbsReal(other) : 0;

      if (finest->frequency[j] + finest->frequency[k] == 0)
        worst = 0.5 * PetscSqrtReal(PetscMax(0, PetscAbsReal(before * before - apart * apart) - apart * apart));
      doubt[j] = PetscMax(doubt[j], worst);
      doubt[k] = PetscMax(doubt[k], worst);
    }
}

/* error += doubt where the frequency shows */
static void AddDoubts(const FPQuantities *q, PetscReal step, const FPModes *modes, const PetscReal doubt[])
{
  for (PetscInt i = 0; i < q->n; i++) {
    FPQuantity *item = &q->list[i];
    int         k;

    if (sscanf(item->name, "frequency[%d]", &k) == 1)
      item->error += doubt[k];
    else if (sscanf(item->name, "mu_re[%d]", &k) == 1 || sscanf(item->name, "mu_im[%d]", &k) == 1)
      item->error += doubt[k] * step * exp(-modes->rate[k] * step);
  }
}

/* Renumber a coarser grid's modes like those of the finest: those that do not oscillate keep their order. */
PetscErrorCode FPSpectrumAlign(FPObservable obs, const FPQuantities *finest, FPQuantities *coarse)
{
  FPModes      reference, given, wanted, have, followed, out;
  FPQuantities q = {0};
  PetscReal    error[FP_MAX_BASIS], doubt[FP_MAX_BASIS], step = ((const FPSpectrum *)obs->data)->step;
  PetscInt     to[FP_MAX_BASIS], from[FP_MAX_BASIS];

  PetscFunctionBegin;
  PetscCall(ReadModes(finest, &reference, error));
  PetscCall(ReadModes(coarse, &given, error));
  if (given.n != reference.n) PetscFunctionReturn(0);
  out = given; /* stays where the coarser grid has fewer modes of a kind */
  for (PetscInt oscillating = 0; oscillating < 2; oscillating++) {
    Select(&reference, (PetscBool)oscillating, &wanted, to);
    Select(&given, (PetscBool)oscillating, &have, from);
    followed = have;
    if (oscillating) FPModesFollow(&wanted, have.n, have.rate, have.frequency, &followed);
    for (PetscInt k = 0; k < PetscMin(wanted.n, have.n); k++) {
      if (isnan(followed.rate[k])) continue;
      out.rate[to[k]]      = followed.rate[k];
      out.frequency[to[k]] = followed.frequency[k];
    }
  }
  PetscCall(FPSpectrumAddRates(out.n, out.rate, out.frequency, error, 0, &q));
  PetscCall(FPSpectrumAddMultipliers((const FPSpectrum *)obs->data, out.n, out.rate, out.frequency, error, &q));
  Doubts(&reference, &out, doubt);
  if (step > 0) AddDoubts(&q, step, &reference, doubt);
  for (PetscInt k = 0; k < coarse->n; k++)
    if (strstr(coarse->list[k].name, "block_rate"))
      PetscCall(
          FPQuantitiesAdd(&q, coarse->list[k].value, coarse->list[k].error, "1/time", "%s", coarse->list[k].name));
  PetscCall(FPQuantitiesFree(coarse));
  *coarse = q;
  PetscFunctionReturn(0);
}

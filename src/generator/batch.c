/* batch.c: the law of a sum of independent draws from a few atoms: a list of all batches where they are few, else by
   Fourier transforms on a lattice. An atom between
   two lattice points is shared by both, so that its mean stays; what that adds to the variance is taken out by drawing
   the law of the sum together around its mean. What is left goes with the square of the spacing, from the third
   cumulant on. At order 4 an atom is shared by four points, with the weights of cubic interpolation (two negative),
   which keeps three cumulants: what is left goes with the fourth power. */
#include "transfer.h"
#include <complex.h>
#include <fftw3.h>

#define MOST 262144   /* lattice points */
#define NOTHING 1e-18 /* of the mass: rounding of the transforms */
#define FEW 500       /* batches that are listed one by one */
#define LISTED 100000 /* the same where there is no injected noise, which a lattice would need */

typedef struct {
  PetscInt      size, from; /* lattice point k holds the value (from + k) spacing, from the mean */
  PetscReal     spacing, variance, binned;
  double       *mass;
  fftw_complex *hat, *product;
  fftw_plan     forward, backward;
} Lattice;

static PetscReal Mean(const FPBatch *b)
{
  PetscReal mean = 0;

  for (PetscInt i = 0; i < b->n; i++) mean += b->share[i] * b->atom[i];
  return mean;
}

/* Deviation of atom i in batch a from its mean, for each draw */
static PetscReal Deviation(const FPBatch *b, PetscReal mean, PetscInt a, PetscInt i)
{
  return b->coefficient[a] * (b->atom[i] - mean) / b->batch;
}

static PetscErrorCode SetRange(const FPBatch *b, PetscReal mean, Lattice *lattice)
{
  PetscReal low = 0, high = 0;

  PetscFunctionBegin;
  for (PetscInt a = 0; a < b->batches; a++) {
    PetscReal least = 0, most = 0;

    for (PetscInt i = 0; i < b->n; i++) {
      least = PetscMin(least, Deviation(b, mean, a, i));
      most  = PetscMax(most, Deviation(b, mean, a, i));
    }
    low += b->batch * (PetscFloorReal(least / b->spacing) - (b->order == 4));
    high += b->batch * (PetscCeilReal(most / b->spacing) + (b->order == 4));
  }
  FPInputCheck(
      high - low < MOST,
      "engine transfer: the gradient noise of a batch is over %d times as wide as the injected noise, too much "
      "for the lattice that its law is put on; more training_temperature, or transfer_batch_law: gaussian",
      MOST / 4);
  lattice->spacing = b->spacing;
  lattice->from    = (PetscInt)low;
  for (lattice->size = 2; lattice->size < high - low + 1;) lattice->size *= 2;
  PetscFunctionReturn(0);
}

/* product *= (transform of one draw)^batch */
static void MultiplyBatch(const FPBatch *b, PetscReal mean, PetscInt a, Lattice *l)
{
  for (PetscInt k = 0; k < l->size; k++) l->mass[k] = 0;
  for (PetscInt i = 0; i < b->n; i++) {
    const PetscReal x = Deviation(b, mean, a, i) / l->spacing, low = PetscFloorReal(x), up = x - low;
    const PetscInt  at = ((PetscInt)low % l->size + l->size) % l->size;

    l->variance += b->batch * b->share[i] * x * x;
    if (b->order == 4) {
      const PetscReal share[4] = {-up * (up - 1) * (up - 2) / 6, (up + 1) * (up - 1) * (up - 2) / 2,
                                  -(up + 1) * up * (up - 2) / 2, (up + 1) * up * (up - 1) / 6};

      for (PetscInt s = 0; s < 4; s++) l->mass[(at + s - 1 + l->size) % l->size] += b->share[i] * share[s];
      l->binned += b->batch * b->share[i] * x * x;
      continue;
    }
    l->mass[at] += b->share[i] * (1 - up);
    l->mass[(at + 1) % l->size] += b->share[i] * up;
    l->binned += b->batch * b->share[i] * (x * x + up * (1 - up));
  }
  fftw_execute(l->forward);
  for (PetscInt k = 0; k <= l->size / 2; k++) {
    double _Complex power = 1, base = l->hat[k];

    for (PetscInt e = b->batch; e > 0; e /= 2) {
      if (e % 2) power *= base;
      base *= base;
    }
    l->product[k] *= power;
  }
}

static PetscErrorCode CopyAtoms(const FPBatch *b, PetscReal value[], PetscReal weight[])
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < b->n; i++) {
    value[i]  = b->coefficient[0] * b->atom[i];
    weight[i] = b->share[i];
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Convolve(const FPBatch *b, PetscReal mean, Lattice *l)
{
  PetscFunctionBegin;
  l->mass     = fftw_alloc_real((size_t)l->size);
  l->hat      = fftw_alloc_complex((size_t)l->size / 2 + 1);
  l->product  = fftw_alloc_complex((size_t)l->size / 2 + 1);
  l->forward  = fftw_plan_dft_r2c_1d(l->size, l->mass, l->hat, FFTW_ESTIMATE);
  l->backward = fftw_plan_dft_c2r_1d(l->size, l->product, l->mass, FFTW_ESTIMATE);
  for (PetscInt k = 0; k <= l->size / 2; k++) l->product[k] = 1;
  for (PetscInt a = 0; a < b->batches; a++) MultiplyBatch(b, mean, a, l);
  fftw_execute(l->backward);
  fftw_destroy_plan(l->forward);
  fftw_destroy_plan(l->backward);
  fftw_free(l->hat);
  fftw_free(l->product);
  PetscFunctionReturn(0);
}

PetscReal FPBatchCount(PetscInt n, PetscInt batch, PetscInt batches)
{
  PetscReal count = 1;

  for (PetscInt k = 1; k <= batch; k++) count *= (PetscReal)(n - 1 + k) / k;
  return PetscPowReal(PetscFloorReal(count + 0.5), batches);
}

static PetscReal Multisets(const FPBatch *b)
{
  return FPBatchCount(b->n, b->batch, b->batches);
}

typedef struct {
  const FPBatch *batch;
  PetscInt       count;
  PetscReal     *value, *weight;
} List;

/* All that can be drawn of atoms i, i + 1, ... in the `left` draws that remain of batch a */
static void ListFrom(List *list, PetscInt a, PetscInt i, PetscInt left, PetscReal value, PetscReal weight)
{
  const FPBatch *b = list->batch;

  if (left == 0 && a + 1 < b->batches) {
    ListFrom(list, a + 1, 0, b->batch, value, weight);
  } else if (left == 0) {
    list->value[list->count]    = value;
    list->weight[list->count++] = weight;
  } else if (i + 1 == b->n) {
    ListFrom(list, a, i, 0, value + left * b->coefficient[a] * b->atom[i] / b->batch,
             weight * PetscPowRealInt(b->share[i], left));
  } else {
    PetscReal ways = 1;

    for (PetscInt k = 0; k <= left; k++) {
      ListFrom(list, a, i + 1, left - k, value + k * b->coefficient[a] * b->atom[i] / b->batch, weight * ways);
      ways *= b->share[i] * (left - k) / (k + 1);
    }
  }
}

PetscErrorCode FPBatchLaw(const FPBatch *b, PetscInt *count, PetscReal **value, PetscReal **weight)
{
  const PetscReal mean  = Mean(b);
  PetscReal       total = 0, sum = 0, shrink;
  Lattice         l = {0};

  PetscFunctionBegin;
  if (b->batch == 1 && b->batches == 1) {
    *count = b->n;
    PetscCall(PetscMalloc2(b->n, value, b->n, weight));
    PetscCall(CopyAtoms(b, *value, *weight));
    PetscFunctionReturn(0);
  }
  if (Multisets(b) <= (b->spacing > 0 ? FEW : LISTED)) {
    List list = {.batch = b};

    PetscCall(PetscMalloc2((PetscInt)Multisets(b), value, (PetscInt)Multisets(b), weight));
    list.value  = *value;
    list.weight = *weight;
    ListFrom(&list, 0, 0, b->batch, 0, 1);
    *count = list.count;
    PetscFunctionReturn(0);
  }
  FPInputCheck(b->spacing > 0,
               "engine transfer: %g different batches without injected noise are too many to list, accepted are %d; "
               "give training_temperature > 0",
               (double)Multisets(b), LISTED);
  for (PetscInt a = 0; a < b->batches; a++) total += b->coefficient[a] * mean;
  PetscCall(SetRange(b, mean, &l));
  PetscCall(Convolve(b, mean, &l));
  PetscCall(PetscMalloc2(l.size, value, l.size, weight));
  shrink = l.binned > 0 ? PetscSqrtReal(l.variance / l.binned) : 1;
  *count = 0;
  for (PetscInt k = 0; k < l.size; k++) {
    const PetscInt  at   = ((l.from + k) % l.size + l.size) % l.size;
    const PetscReal mass = l.mass[at] / l.size;

    if (!(PetscAbsReal(mass) > NOTHING)) continue;
    (*value)[*count]      = total + (l.from + k) * l.spacing * shrink;
    (*weight)[(*count)++] = mass;
    sum += mass;
  }
  for (PetscInt k = 0; k < *count; k++) (*weight)[k] /= sum;
  fftw_free(l.mass);
  PetscFunctionReturn(0);
}

/* variation.c: total variation between a law on the cells of a generator and its stationary law, TV = 1/2 int abs(p -
   pi), and when that comes down to a quarter. */
#include "variation.h"

#define STEPS 16   /* times between two looks for the mixing time */
#define CLOSE 0.02 /* steps of this part of the mixing time are interpolated */
#define ROUNDS 60  /* looks */

PetscErrorCode FPGroundCreate(FPGenerator gen, FPGround *ground)
{

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetGrid(gen, &ground->dim, &ground->cells, NULL));
  PetscCall(FPGeneratorGetNodes(gen, &ground->n, &ground->node, NULL, NULL, &ground->volume));
  PetscCall(FPGeneratorStationary(gen, &ground->pi));
  PetscCall(FPGeneratorGetUnknowns(gen, &ground->unknown));
  PetscCall(PetscMalloc1(ground->n, &ground->d));
  PetscFunctionReturn(0);
}

/* Mean of abs(D + sum G_i U_i), U_i uniform in (-1/2, 1/2), where that changes sign: an antiderivative of order dim + 1
   of the sign, taken at the corners. */
static PetscReal MeanAbsolute(PetscInt dim, PetscReal D, const PetscReal G[])
{
  PetscReal sum = 0, scale = 1;

  for (PetscInt corner = 0; corner < 1 << dim; corner++) {
    PetscReal at = D, sign = 1, power;

    for (PetscInt a = 0; a < dim; a++) {
      at += corner >> a & 1 ? G[a] / 2 : -G[a] / 2;
      sign *= corner >> a & 1 ? 1 : -1;
    }
    power = PetscAbsReal(at);
    for (PetscInt a = 0; a < dim; a++) power *= at;
    sum += sign * power;
  }
  for (PetscInt a = 0; a < dim; a++) scale *= (a + 2) * G[a];
  return sum / scale;
}

/* TV between a law on the cells, which need not be normalised (killed at absorbing walls: conditional on survival), and
   pi. Where the difference changes sign in a cell, by its slopes: else the error would depend on where in a cell. */
PetscReal FPGroundVariation(const FPGround *s, const PetscReal p[])
{
  PetscReal sum = 0, tv = 0;

  for (PetscInt k = 0; k < s->n; k++) sum += p[k];
  for (PetscInt k = 0; k < s->n; k++) s->d[k] = (p[k] / sum - s->pi[k]) / s->volume[k];
  for (PetscInt k = 0; k < s->n; k++) {
    PetscReal G[3], all = 0, mean = PetscAbsReal(s->d[k]);
    PetscInt  rest = s->node[k], stride = 1;
    PetscBool crosses = PETSC_FALSE;

    for (PetscInt a = 0; a < s->dim; a++) {
      const PetscInt i = rest % s->cells[a], low = i > 0 ? s->unknown[s->node[k] - stride] : -1,
                     high  = i < s->cells[a] - 1 ? s->unknown[s->node[k] + stride] : -1;
      const PetscReal left = low < 0 ? 0 : s->d[k] - s->d[low], right = high < 0 ? 0 : s->d[high] - s->d[k];

      G[a] = left * right > 0 ? PetscMin(PetscAbsReal(left), PetscAbsReal(right))
                              : 0; /* no slopes at the foot of a peak */
      all += G[a];
      crosses =
          (PetscBool)(crosses || (low >= 0 && s->d[low] * s->d[k] < 0) || (high >= 0 && s->d[high] * s->d[k] < 0));
      stride *= s->cells[a];
      rest /= s->cells[a];
    }
    if (crosses && all > 2 * mean) {
      for (PetscInt a = 0; a < s->dim; a++) G[a] = PetscMax(G[a], 1e-3 * all);
      mean = MeanAbsolute(s->dim, mean, G);
    }
    tv += 0.5 * mean * s->volume[k];
  }
  return tv;
}

/* Where a parabola through (tv[k], t[k]), k = 0..2, meets FP_MIXED. */
static PetscReal Meet(const PetscReal t[3], const PetscReal tv[3])
{
  PetscReal at = 0;

  for (PetscInt i = 0; i < 3; i++) {
    PetscReal weight = 1;

    for (PetscInt j = 0; j < 3; j++)
      if (j != i) weight *= log(FP_MIXED / tv[j]) / log(tv[i] / tv[j]);
    at += weight * t[i];
  }
  return at;
}

/* When TV comes down to FP_MIXED from a law. scale: about how long that takes. *time < 0: not found. */
PetscErrorCode FPGroundTime(FPGenerator mover, const FPGround *ground, const PetscReal law[], PetscReal scale,
                            PetscReal *time, PetscReal *error)
{
  const PetscInt n = ground->n;
  PetscReal     *p, *from, T = scale, offset = 0, t[STEPS], from_there[STEPS], tv[STEPS], solver[STEPS], beta;
  FPProcess      process;

  PetscFunctionBegin;
  *time  = FPGroundVariation(ground, law) <= FP_MIXED ? 0 : -1;
  *error = 0;
  PetscCall(PetscMalloc2((size_t)STEPS * n, &p, n, &from));
  PetscCall(PetscArraycpy(from, law, n));
  PetscCall(FPGeneratorGetProcess(mover, &process));
  PetscCall(FPProcessGetClock(process, &beta, NULL));
  for (PetscInt round = 0; round < ROUNDS && *time < 0; round++) {
    PetscInt k = 0;

    for (PetscInt i = 0; i < STEPS; i++) {
      t[i]          = T * (i + 1) / STEPS;
      from_there[i] = beta < 1 ? offset + t[i] : t[i]; /* a fractional clock has memory: from the start each time */
    }
    PetscCall(FPGeneratorEvolve(mover, PETSC_FALSE, beta < 1 ? law : from, STEPS, from_there, p, solver));
    for (PetscInt i = 0; i < STEPS; i++) tv[i] = FPGroundVariation(ground, p + (size_t)i * n);
    while (k < STEPS && tv[k] > FP_MIXED) k++;
    if (k == STEPS) { /* later: go on from the end */
      PetscCall(PetscArraycpy(from, p + (size_t)(STEPS - 1) * n, n));
      offset += T;
      T *= 2;
    } else if (k == 0) { /* early in the first step */
      T /= STEPS;
    } else if (T / STEPS > CLOSE * (offset + t[k])) { /* look closer */
      PetscCall(PetscArraycpy(from, p + (size_t)(k - 1) * n, n));
      offset += t[k - 1];
      T /= STEPS;
    } else {
      const PetscInt first = PetscClipInterval(k - 1, 0, STEPS - 3);

      *time  = offset + Meet(t + first, tv + first);
      *error = 1e-3 * T / STEPS + solver[k] * T / STEPS / PetscMax(tv[k - 1] - tv[k], 1e-300);
    }
  }
  PetscCall(PetscFree2(p, from));
  PetscFunctionReturn(0);
}

void FPVariationAdd(const PetscReal d[2], PetscBool all, signed char sign[3], PetscReal *plain, PetscReal *split)
{
  const PetscReal by[3] = {d[0] + d[1], d[0], d[1]};

  for (PetscInt k = 0; k < 3 && all; k++) sign[k] = (signed char)((by[k] > 0) - (by[k] < 0));
  *plain += 0.25 * sign[0] * (d[0] + d[1]);
  *split += 0.25 * (sign[1] * d[1] + sign[2] * d[0]);
}

/* steps.c: steps of discrete algorithms on bins: their displacements, and how far the chain is from its own reverse,
   from the law of the bins before and after one step, the wide bins of course.h: with s = P(b, c) + P(c, b) and d =
   (P(b, c) - P(c, b))/s, irreversibility_binned = sum over pairs b < c of 2 s d artanh(d s/(s + RARE)) per unit of
   time. Without RARE, which keeps out pairs that particles hardly see and those seen one way only, this is the
   Kullback-Leibler divergence of P(b, c) from P(c, b), and so at most that of forward and backward paths per unit of
   time (the transfer operator's entropy_production): both steps lose information. Source: Kawai, Parrondo and Van den
   Broeck, Phys. Rev. Lett. 98, 080602 (2007), for coarse descriptions. */
#include "steps.h"
#include <math.h>

#define RARE 1e-4 /* probability of a pair */

/* Positions in units of bins. */
void FPDepositAlong(const FPBins *bins, const double *from, const double *step, double weight, double *table)
{
  const PetscInt d = bins->dim, size = FPDepositSize(d);
  double         t = 0, u[3], v[3];
  PetscInt       i[3];

  for (PetscInt a = 0; a < d; a++) {
    u[a] = (from[a] - bins->lower[a]) / bins->width[a];
    v[a] = step[a] / bins->width[a];
    i[a] = PetscClipInterval((PetscInt)floor(u[a]), 0, bins->count[a] - 1);
  }
  for (PetscInt guard = 0; guard < 4096; guard++) {
    double   next = 1;
    PetscInt axis = -1, index = 0;

    for (PetscInt a = 0; a < d; a++) {
      const double edge = v[a] > 0 ? (i[a] + 1 - u[a]) / v[a] : v[a] < 0 ? (i[a] - u[a]) / v[a] : 2;

      if (edge < next) {
        next = edge;
        axis = a;
      }
    }
    next = PetscMax(next, t);
    for (PetscInt a = d - 1; a >= 0; a--) index = index * bins->count[a] + i[a];
    FPDeposit(table + index * size, d, weight * (next - t), step);
    t = next;
    if (axis < 0) break;
    i[axis] += v[axis] > 0 ? 1 : -1;
    if (i[axis] < 0 || i[axis] >= bins->count[axis]) {
      FPDeposit(table + index * size, d, weight * (1 - t), step);
      break;
    }
  }
}

PetscReal FPIrreversibility(PetscInt bins, const PetscReal joint[], PetscReal mass, PetscReal time)
{
  PetscReal sum = 0;

  for (PetscInt b = 0; b < bins; b++)
    for (PetscInt c = b + 1; c < bins; c++) {
      const PetscReal s = (joint[b * bins + c] + joint[c * bins + b]) / mass;

      if (s <= 0) continue; /* an operator of order 4 may have next to nothing below zero */
      const PetscReal d = (joint[b * bins + c] - joint[c * bins + b]) / mass / s;

      sum += 2 * s * d * atanh(d * s / (s + RARE));
    }
  return sum / time;
}

/* joint[b*total + c] += the law of a step that leads from unknown i to j, each anywhere in its cell */
static void AddStep(PetscReal mass, PetscInt i, PetscInt j, PetscInt total, const PetscInt first[],
                    const PetscInt bin[], const PetscReal share[], PetscReal joint[])
{
  for (PetscInt s = first[i]; s < first[i + 1]; s++)
    for (PetscInt t = first[j]; t < first[j + 1]; t++) joint[bin[s] * total + bin[t]] += mass * share[s] * share[t];
}

PetscErrorCode FPStepsVisit(FPGenerator gen, const PetscReal pi[], void (*visit)(void *, PetscInt, PetscInt, PetscReal),
                            void *context)
{
  const FPEdge    *edge;
  const PetscReal *kill;
  PetscReal        step, *stay;
  PetscInt         edges, n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &step));
  PetscCall(FPGeneratorGetEdges(gen, &edges, &edge, &kill));
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &stay));
  for (PetscInt k = 0; k < n; k++) stay[k] = 1 - step * kill[k];
  for (PetscInt e = 0; e < edges; e++) {
    const PetscInt i = edge[e].i, j = edge[e].j;

    if (edge[e].qij != 0) visit(context, i, j, pi[i] * step * edge[e].qij);
    if (edge[e].qji != 0) visit(context, j, i, pi[j] * step * edge[e].qji);
    stay[i] -= step * edge[e].qij;
    stay[j] -= step * edge[e].qji;
  }
  for (PetscInt k = 0; k < n; k++)
    if (stay[k] != 0) visit(context, k, k, pi[k] * stay[k]);
  PetscCall(PetscFree(stay));
  PetscFunctionReturn(0);
}

typedef struct {
  PetscInt   total, *first, *bin;
  PetscReal *share, *joint;
} Joint;

static void Visit(void *context, PetscInt i, PetscInt j, PetscReal mass)
{
  const Joint *s = (const Joint *)context;

  AddStep(mass, i, j, s->total, s->first, s->bin, s->share, s->joint);
}

PetscErrorCode FPIrreversibilityAdd(const FPBins *wide, FPGenerator gen, const PetscReal pi[], FPQuantities *q)
{
  Joint     s = {.total = wide->total};
  PetscReal step;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetStep(gen, &step));
  PetscCall(FPBinsShares(wide, gen, &s.first, &s.bin, &s.share));
  PetscCall(PetscCalloc1(wide->total * wide->total, &s.joint));
  PetscCall(FPStepsVisit(gen, pi, Visit, &s));
  PetscCall(
      FPQuantitiesAdd(q, FPIrreversibility(wide->total, s.joint, 1, step), 0, "nat/time", "irreversibility_binned"));
  FPQuantitiesSetSmoothness(q, q->n - 1, FP_ROUGH, 0);
  PetscCall(PetscFree(s.joint));
  PetscCall(PetscFree(s.first));
  PetscCall(PetscFree(s.bin));
  PetscCall(PetscFree(s.share));
  PetscFunctionReturn(0);
}

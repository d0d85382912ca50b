/* section.c: a process projected on an affine subspace z0 + span(u_1, ..., u_k), u orthonormal, as a process in the
   coordinates x along it: drift (u_i . b) and diffusion (u_i . D u_j) of the parent at z0 + sum x_i u_i. Isotropic
   noise stays isotropic, and a potential becomes its restriction, so the law of a Gibbs process is its conditional law.
 */
#include "processimpl.h"

#define DIFFERENCE 1e-3 /* step of the fourth-order differences of D, which is a polynomial of the weights */

struct _FPSection {
  FPProcess parent;
  int       dim;                                                   /* of the parent */
  double    origin[FP_MAX_AXES], basis[FP_MAX_AXES * FP_MAX_AXES]; /* [k][dim] */
};

/* z[dim][n] of x[k][n] */
static void Lift(FPProcess process, int n, const double *x, double *z)
{
  const FPSection *s = process->section;

  for (int a = 0; a < s->dim; a++)
    for (int l = 0; l < n; l++) {
      z[a * n + l] = s->origin[a];
      for (int i = 0; i < process->weights; i++) z[a * n + l] += s->basis[i * s->dim + a] * x[i * n + l];
    }
}

/* out[k][columns][n] = basis in[dim][columns][n] */
static void Project(FPProcess process, int columns, int n, const double *in, double *out)
{
  const FPSection *s = process->section;

  for (int i = 0; i < process->weights; i++)
    for (int c = 0; c < columns * n; c++) {
      out[i * columns * n + c] = 0;
      for (int a = 0; a < s->dim; a++) out[i * columns * n + c] += s->basis[i * s->dim + a] * in[a * columns * n + c];
    }
}

static void Drift(FPProcess process, int n, const double *x, double *b)
{
  double z[FP_MAX_AXES * FP_BLOCK], bz[FP_MAX_AXES * FP_BLOCK];

  Lift(process, n, x, z);
  FPProcessDrift(process->section->parent, n, z, bz);
  Project(process, 1, n, bz, b);
}

static void Energy(FPProcess process, int n, const double *x, double *U)
{
  double z[FP_MAX_AXES * FP_BLOCK];

  Lift(process, n, x, z);
  process->section->parent->drift.energy(process->section->parent, n, z, U);
}

static void Diffusion(FPProcess process, int n, const double *x, double *D)
{
  const FPSection *s = process->section;
  const int        k = (int)process->weights;
  double           z[FP_MAX_AXES * FP_BLOCK], Dz[FP_MAX_AXES * FP_MAX_AXES * FP_BLOCK];

  Lift(process, n, x, z);
  FPProcessDiffusion(s->parent, n, z, Dz);
  for (int i = 0; i < k; i++)
    for (int j = 0; j < k; j++)
      for (int a = 0; a < s->dim; a++)
        for (int b = 0; b < s->dim; b++)
          for (int l = 0; l < n; l++)
            D[(i * k + j) * n + l] +=
                s->basis[i * s->dim + a] * s->basis[j * s->dim + b] * Dz[(a * s->dim + b) * n + l];
}

/* c_i += d_j D_ij along the subspace */
static void Divergence(FPProcess process, int n, const double *x, double *c)
{
  static const double weight[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12}, step[4] = {-2, -1, 1, 2};
  const int           k = (int)process->weights;
  double              at[FP_MAX_AXES * FP_BLOCK], D[FP_MAX_AXES * FP_MAX_AXES * FP_BLOCK];

  for (int j = 0; j < k; j++)
    for (int p = 0; p < 4; p++) {
      memcpy(at, x, (size_t)(k * n) * sizeof(double));
      for (int l = 0; l < n; l++) at[j * n + l] += step[p] * DIFFERENCE;
      memset(D, 0, (size_t)(k * k * n) * sizeof(double));
      Diffusion(process, n, at, D);
      for (int i = 0; i < k; i++)
        for (int l = 0; l < n; l++) c[i * n + l] += weight[p] / DIFFERENCE * D[(i * k + j) * n + l];
    }
}

static void Factor(FPProcess process, int n, const double *x, double *S)
{
  double z[FP_MAX_AXES * FP_BLOCK], *Sz = FPScratchTake((size_t)(process->section->dim * process->channels * n));

  Lift(process, n, x, z);
  FPProcessWeightFactor(process->section->parent, n, z, Sz);
  Project(process, (int)process->channels, n, Sz, S);
  FPScratchRelease(Sz);
}

PetscErrorCode FPProcessCreateSection(FPProcess parent, FPModel model, const PetscReal origin[],
                                      const PetscReal basis[], FPProcess *process)
{
  FPProcess p;
  PetscInt  k;

  PetscFunctionBegin;
  PetscCheck(!parent->mapped && parent->algorithm.kind == FP_SDE && parent->dim <= FP_MAX_AXES, PETSC_COMM_SELF,
             PETSC_ERR_SUP, "sections are of SDEs in coordinates that are weights, as many as a grid has axes");
  PetscCall(FPModelGetSizes(model, &k, NULL, NULL));
  PetscCall(PetscNew(&p));
  *p = *parent;
  PetscCall(PetscNew(&p->section));
  p->section->parent = parent;
  p->section->dim    = (int)parent->dim;
  PetscCall(PetscArraycpy(p->section->origin, origin, parent->dim));
  PetscCall(PetscArraycpy(p->section->basis, basis, k * parent->dim));
  p->model     = model;
  p->curvature = NULL; /* the parent's */
  p->dim = p->weights = k;
  p->drift            = (FPDrift){.drift = Drift};
  p->potential        = FP_NO_POTENTIAL;
  if (parent->noise.isotropic) {
    PetscBool has;

    PetscCall(FPModelHasPotential(parent->model, &has));
    has               = (PetscBool)(has && parent->drift.energy);
    p->noise.channels = 0;
    p->channels       = k;
    if (has) p->drift.energy = Energy;
    if (has && k > 1) p->potential = FP_ENERGY;
  } else {
    p->training.temperature = 0; /* D of the parent holds the injected noise */
    p->noise =
        (FPNoise){.channels = parent->channels, .diffusion = Diffusion, .divergence = Divergence, .factor = Factor};
  }
  *process = p;
  PetscFunctionReturn(0);
}

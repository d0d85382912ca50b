/* transferblocks.c: the 2-chain in the coordinates p = w1 w2, q = (w1^2 - w2^2)/2 without injected noise. With r the
   random number of a step, eta (mean of e x) there, and a = 1 - eta decay,

     w1' = a w1 - r w2,  w2' = a w2 - r w1,  so that  q' = (a^2 - r^2) q,

   and q = 0, w1 = w2 = w, is never left: w' = (a - r) w. The law lives on it, and functions g(p) q^m are taken to those
   of degree m and more in q, so that the smooth spectrum of P is that of the operators g -> E (a^2 - r^2)^m g(p') on
   the line. Functions of p are even in w, so they are interpolated over w on both sides of 0, where a normal law stays
   one; r = a - w'/w is then known at every node, and the factor goes with the weight of the node. */
#include "transfer.h"
#include <petscblaslapack.h>

#define FEWEST 4 /* nodes */

struct _p_FPBlocks {
  FPGenerator gen;
  FPStepLaw   law;
  FPHatAxis  *hats; /* [2 n]: -w_{n-1} .. -w_0, w_0 .. w_{n-1} */
  FPMixture   mixture;
  PetscReal   kept; /* a */
};

PetscErrorCode FPTransferPlaceOnLine(FPGenerator gen)
{
  const FPBox *box;
  PetscReal    xi, level, slope;
  PetscInt     row, n = 0;

  PetscFunctionBegin;
  FPInputCheck(!gen->region, "engine transfer: in model_coordinates: invariant regions have no exits; accepted are the "
                             "coordinates weights and balanced");
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  FPInputCheck(box->lower[1] < 0 && box->upper[1] > 0 && box->upper[0] > 0,
               "engine transfer: in model_coordinates: invariant the law lives on q = 0 with p > 0; accepted are "
               "mesh_lower < 0 < mesh_upper of q, and mesh_upper of p > 0");
  FPMeshUnmap(gen->mesh, 1, 0, &xi);
  row = PetscClipInterval((PetscInt)(xi * gen->cells[1]), 0, gen->cells[1] - 1);
  FPMeshMap(gen->mesh, 1, xi, &level, &slope);
  for (PetscInt l = 0; l < gen->lattice; l++) {
    const PetscInt k = gen->unknown[l];

    gen->unknown[l] = -1;
    if (l / gen->stride[1] != row || k < 0 || gen->z[k] <= 0) continue;
    gen->z[n]       = gen->z[k];
    gen->slope[n]   = gen->slope[k];
    gen->volume[n]  = gen->volume[k];
    gen->measure[n] = gen->measure[k];
    gen->node[n]    = l;
    gen->unknown[l] = n++;
  }
  FPInputCheck(n >= FEWEST, "mesh_cells: %" PetscInt_FMT " cells of p > 0 on the line q = 0 are too few", n);
  for (PetscInt k = 0; k < n; k++) {
    gen->z[n + k]     = 0;
    gen->slope[n + k] = slope;
  }
  gen->n               = n;
  gen->info.along      = 0;
  gen->info.degenerate = PETSC_TRUE;
  PetscFunctionReturn(0);
}

PetscErrorCode FPBlocksCreate(FPGenerator gen, FPStepLaw law, FPBlocks *blocks)
{
  const PetscInt n = gen->n;
  const FPBox   *box;
  FPTraining     training;
  PetscBool      mirror[2];
  PetscReal     *w;
  FPBlocks       b;

  PetscFunctionBegin;
  PetscCall(PetscNew(&b));
  *blocks = b;
  b->gen  = gen;
  b->law  = law;
  PetscCall(FPProcessGetTraining(gen->process, &training));
  PetscCall(FPMeshGetBox(gen->mesh, &box));
  b->kept   = 1 - gen->step * training.weight_decay;
  mirror[0] = mirror[1] = (PetscBool)(box->face[1] == FP_REFLECTING);
  PetscCall(PetscMalloc1(2 * n, &w));
  for (PetscInt k = 0; k < n; k++) {
    w[n + k]     = PetscSqrtReal(gen->z[k]);
    w[n - 1 - k] = -w[n + k];
  }
  PetscCall(FPHatAxisCreateNodes(2 * n, w, -PetscSqrtReal(box->upper[0]), PetscSqrtReal(box->upper[0]), mirror,
                                 FPTransferOrder(&gen->options.transfer), &b->hats));
  PetscCall(PetscFree(w));
  PetscFunctionReturn(0);
}

PetscErrorCode FPBlocksRow(FPBlocks b, PetscInt k, PetscInt m, PetscReal row[], PetscReal *beyond)
{
  const PetscInt  n = b->gen->n;
  FPHatAxis      *h = b->hats;
  const PetscReal w = h->x[n + k], z[3] = {w, w, 0};
  FPMixture      *mixture = &b->mixture;

  PetscFunctionBegin;
  PetscCall(FPStepLawAt(b->law, z, mixture));
  FPHatAxisClear(h);
  h->beyond = 0;
  for (PetscInt i = 0; i < mixture->n; i++)
    FPHatAxisAdd(h, mixture->weight[i], mixture->at[0][i], mixture->sd[i] * PetscAbsReal(mixture->along[0]));
  for (PetscInt j = 0; j < n; j++) row[j] = 0;
  for (PetscInt j = h->low; j <= h->high; j++) {
    const PetscReal r = b->kept - h->x[j] / w;

    row[j < n ? n - 1 - j : j - n] += h->weight[j] * PetscPowRealInt(b->kept * b->kept - r * r, m);
  }
  if (beyond) *beyond = h->beyond;
  PetscFunctionReturn(0);
}

PetscErrorCode FPBlocksDestroy(FPBlocks *blocks)
{
  PetscFunctionBegin;
  if (!*blocks) PetscFunctionReturn(0);
  PetscCall(FPHatAxisDestroy(&(*blocks)->hats));
  PetscCall(FPMixtureFree(&(*blocks)->mixture));
  PetscCall(PetscFree(*blocks));
  PetscFunctionReturn(0);
}

/* Eigenvalues of A[n][n], destroyed: real and imaginary parts, |mu| falling */
static PetscErrorCode Eigenvalues(PetscInt n, PetscReal A[], PetscReal re[], PetscReal im[])
{
  PetscBLASInt order, info, room, one = 1;
  PetscReal   *work;

  PetscFunctionBegin;
  PetscCall(PetscBLASIntCast(n, &order));
  PetscCall(PetscBLASIntCast(8 * n, &room));
  PetscCall(PetscMalloc1(room, &work));
  PetscCallBLAS("LAPACKgeev",
                LAPACKgeev_("N", "N", &order, A, &order, re, im, NULL, &one, NULL, &one, work, &room, &info));
  PetscCheck(info == 0, PETSC_COMM_SELF, PETSC_ERR_LIB, "LAPACK geev returned %d", (int)info);
  for (PetscInt i = 1; i < n; i++) /* insertion: stable, so conjugates stay together */
    for (PetscInt j = i; j > 0 && hypot(re[j], im[j]) > hypot(re[j - 1], im[j - 1]) * (1 + 1e-12); j--) {
      const PetscReal x = re[j], y = im[j];

      re[j]     = re[j - 1];
      im[j]     = im[j - 1];
      re[j - 1] = x;
      im[j - 1] = y;
    }
  PetscCall(PetscFree(work));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorGetBlock(FPGenerator gen, PetscInt m, PetscInt count, PetscReal mu[])
{
  const PetscInt n = gen->n;
  FPStepLaw      law;
  FPBlocks       blocks;
  PetscReal     *A, *re, *im;

  PetscFunctionBegin;
  PetscCheck(gen->step > 0 && gen->info.along == 0, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONGSTATE,
             "blocks are those of a 2-chain in p and q");
  PetscCheck(count <= n && m >= 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "%" PetscInt_FMT " modes of %" PetscInt_FMT, count, n);
  PetscCall(FPStepLawCreate(gen->process, &gen->options.transfer, gen->ratio, PETSC_MAX_REAL, &law));
  PetscCall(FPBlocksCreate(gen, law, &blocks));
  PetscCall(PetscMalloc3(n * n, &A, n, &re, n, &im));
  for (PetscInt k = 0; k < n; k++) PetscCall(FPBlocksRow(blocks, k, m, A + (size_t)k * n, NULL)); /* transposed */
  PetscCall(Eigenvalues(n, A, re, im));
  for (PetscInt k = 0; k < count; k++) {
    mu[2 * k]     = re[k];
    mu[2 * k + 1] = im[k];
  }
  PetscCall(PetscFree3(A, re, im));
  PetscCall(FPBlocksDestroy(&blocks));
  PetscCall(FPStepLawDestroy(&law));
  PetscFunctionReturn(0);
}

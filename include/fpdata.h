/* fpdata.h: the law of one sample (x, y), x in R^inputs, y in R^targets. Types: file, gaussian, rademacher. */
#ifndef FPDATA_H
#define FPDATA_H
#include "fpconfig.h"

typedef struct _p_FPData *FPData;

/* Reads section "data"; without one *data is NULL, and every model but ou refuses it. */
PETSC_EXTERN PetscErrorCode FPDataCreate(FPConfig config, FPData *data);
PETSC_EXTERN PetscErrorCode FPDataGetType(FPData data, const char **type);
PETSC_EXTERN PetscErrorCode FPDataGetSizes(FPData data, PetscInt *inputs, PetscInt *targets);
/* Exact moments of u = (x, y), n = inputs + targets: second[a*n + b] = E u_a u_b, fourth[((a*n + b)*n + c)*n + d]. */
PETSC_EXTERN PetscErrorCode FPDataGetMoments(FPData data, const PetscReal **second, const PetscReal **fourth);
/* Quadrature exact for polynomials in (x, y) up to the degree: count nodes u[count][n], weight[count]; the caller
   frees both with PetscFree(). File: the rows themselves; else (signs or Gauss-Hermite) x Gauss-Hermite. */
PETSC_EXTERN PetscErrorCode FPDataGetNodes(FPData data, PetscInt degree, PetscInt *count, PetscReal **u,
                                           PetscReal **weight);
/* The same for products of up to `factors` entries of 1, x x^T and y x^T, of which the gradient and the Hessian of a
   sample are linear functions: no more nodes than there are such products, if that takes no long time. */
PETSC_EXTERN PetscErrorCode FPDataGetFewNodes(FPData data, PetscInt factors, PetscInt *count, PetscReal **u,
                                              PetscReal **weight);
/* How particles draw a sample: `normals` N(0,1) numbers and `words` uniform 32-bit words make one (x, y). */
typedef struct {
  int normals, words;
  /* normal[k*FP_BLOCK + l], word[k*FP_BLOCK + l] -> x[i*FP_BLOCK + l], y[j*FP_BLOCK + l], lane l */
  void (*draw)(const void *context, const float *normal, const unsigned *word, double *x, double *y);
  const void *context;
} FPSampler;
PETSC_EXTERN PetscErrorCode FPDataGetSampler(FPData data, FPSampler *sampler);
/* Other laws of (x, y) that the same network is judged by: a test file, and a shift of second moment, teacher or label
   noise. *other is NULL where the run file has none and belongs to data; a shifted law has second moments alone. */
typedef enum { FP_LAW_TEST, FP_LAW_SHIFTED, FP_LAWS } FPLaw;
PETSC_EXTERN const char *const FPLawNames[FP_LAWS]; /* "test", "shifted" */
PETSC_EXTERN PetscErrorCode    FPDataGetOther(FPData data, FPLaw law, FPData *other);
/* best[targets][inputs] = E[y x^T] E[x x^T]^+, the least squares matrix of smallest norm */
PETSC_EXTERN PetscErrorCode FPDataGetLeastSquares(FPData data, PetscReal best[]);
PETSC_EXTERN PetscErrorCode FPDataDestroy(FPData *data);
PETSC_EXTERN PetscErrorCode FPDataList(FILE *out);
#endif

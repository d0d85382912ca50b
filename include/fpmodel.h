/* fpmodel.h: a deep linear network reduced to d coordinates z. Everything follows from its end-to-end matrix M(z)
   [targets x inputs]: with e = M x - y and G = e x^T, one sample's gradient is g = metric * (dM/dz)^T G, and SGD moves
   z' = z - eta (mean of g over the batch + decay z) + sqrt(2 eta T metric) xi. `metric` is 1 in weights and 1/depth
   where depth equal weights are one coordinate, so that b = -metric grad V, V = L + decay/(2 metric) |z|^2, injected
   noise D = T metric I, and the Gibbs law is exp(-V/T) in every case. Arrays are structures of arrays: n points,
   component k of point l at [k*n + l]; matrices by rows, entry (i, j) at [(i*d + j)*n + l]. These functions are plain
   C, free of side effects, so threads may call them. */
#ifndef FPMODEL_H
#define FPMODEL_H
#include "fpdata.h"

typedef struct _p_FPModel *FPModel;

/* Section `training`, common to the model (decay) and to every process. */
typedef struct {
  PetscReal learning_rate;
  PetscInt  batch_size;
  PetscReal weight_decay, temperature;
} FPTraining;
PETSC_EXTERN PetscErrorCode FPTrainingRead(FPConfig config, FPTraining *training);
PETSC_EXTERN PetscErrorCode FPTrainingWrite(FPConfig config, const FPTraining *training); /* sets the keys */

typedef struct {
  char      name[FP_NAME];          /* minimum, minimum_2, saddle, origin, ... */
  PetscReal z[FP_MAX_DIM];          /* where */
  PetscReal value;                  /* V */
  PetscInt  index, flat;            /* number of negative and of zero Hessian eigenvalues (of V) */
  PetscReal eigenvalue[FP_MAX_DIM]; /* of the Hessian of V in z, divided by nothing: d^2 V/dz^2 * metric, ascending */
} FPCriticalPoint;

PETSC_EXTERN PetscErrorCode FPModelCreate(FPConfig config, FPData data, FPModel *model); /* sections model, training */
PETSC_EXTERN PetscErrorCode FPModelGetName(FPModel model, const char **type, const char **coordinates);
PETSC_EXTERN PetscErrorCode FPModelGetSizes(FPModel model, PetscInt *dim, PetscInt *inputs, PetscInt *targets);
PETSC_EXTERN PetscErrorCode FPModelGetCoordinateName(FPModel model, PetscInt i, char name[]); /* "w1", "p", ... */
PETSC_EXTERN PetscErrorCode FPModelGetMetric(FPModel model, PetscReal *metric);
PETSC_EXTERN PetscErrorCode FPModelGetData(FPModel model, FPData *data); /* NULL for ou, which has targets = 0 */
/* In coordinates `weights`, `balanced`, `aligned` (lift and push are the identity); for `invariant` see below. */
PETSC_EXTERN void FPModelMap(FPModel model, int n, const double *z, double *M);       /* [targets*inputs][n] */
PETSC_EXTERN void FPModelJacobian(FPModel model, int n, const double *z, double *J);  /* dM_a/dz_k, [nm][d][n] */
PETSC_EXTERN void FPModelLoss(FPModel model, int n, const double *z, double *loss);   /* excess: L - min L, >= 0 */
PETSC_EXTERN void FPModelPotential(FPModel model, int n, const double *z, double *V); /* L + decay |w|^2/2, L excess */
PETSC_EXTERN void FPModelGradient(FPModel model, int n, const double *z, double *g); /* metric grad V = E g + decay z */
PETSC_EXTERN void FPModelHessian(FPModel model, int n, const double *z, double *H);  /* Jacobian of FPModelGradient */
PETSC_EXTERN void FPModelCovariance(FPModel model, int n, const double *z, double *C);    /* of one sample's g */
PETSC_EXTERN void FPModelDivCovariance(FPModel model, int n, const double *z, double *c); /* c_i = d_j C_ij */
/* C = F F^T with F[d][channels]; C may be singular, F then has columns of zeros. */
PETSC_EXTERN PetscErrorCode FPModelGetChannels(FPModel model, PetscInt *channels);
PETSC_EXTERN void           FPModelCovarianceFactor(FPModel model, int n, const double *z, double *F);
/* Adds one sample's g (no decay) to g; x[inputs][n], y[targets][n]. */
PETSC_EXTERN void FPModelSampleGradient(FPModel model, int n, const double *z, const double *x, const double *y,
                                        double *g);
/* How one sample is drawn: the data's sampler; for ou x are dim normals. */
PETSC_EXTERN PetscErrorCode FPModelGetSampler(FPModel model, FPSampler *sampler);
/* ou with a drift that is not symmetric has none; its loss and potential are those of the symmetric part. */
PETSC_EXTERN PetscErrorCode FPModelHasPotential(FPModel model, PetscBool *has);
PETSC_EXTERN PetscErrorCode FPModelGetLossFloor(FPModel model, PetscReal *floor); /* min L */
/* Critical points of V in z, minima first; the array belongs to the model. */
PETSC_EXTERN PetscErrorCode FPModelGetCriticalPoints(FPModel model, PetscInt *count, const FPCriticalPoint **points);
/* The one of that name, NULL if there is none; `saddle` is the origin too where no other point is one. */
PETSC_EXTERN PetscErrorCode FPModelFindCriticalPoint(FPModel model, const char name[], const FPCriticalPoint **point);
/* The names that FPModelFindCriticalPoint knows, "minimum, origin", as messages say them; text[FP_TEXT]. */
PETSC_EXTERN PetscErrorCode FPModelNameCriticalPoints(FPModel model, char text[]);

/* The same network, in the coordinates that the training data gave it, judged by another law of the data: FPModelMap,
   FPModelLoss (excess over the least loss that the coordinates reach under that law) and FPModelGetLossFloor; nothing
   else. NULL: the data have no such law. It belongs to the model. */
PETSC_EXTERN PetscErrorCode FPModelGetOther(FPModel model, FPLaw law, FPModel *other);

/* Norm of the mean gradient of the full weights that leads out of the reduced coordinates (factorisation: aligned,
   where E x x^T is no multiple of I); 0 where the reduction is exact for the gradient flow. */
PETSC_EXTERN PetscErrorCode FPModelGetReductionDefect(FPModel model, const PetscReal z[], PetscReal *defect);

/* The network of all weights behind coordinates that reduce it (chain: balanced, factorisation: aligned), with the same
   data and training; *full = NULL where the coordinates are no such reduction. FPModelLiftFull: a point of the reduced
   model as w[weights][n]. */
PETSC_EXTERN PetscErrorCode FPModelCreateFull(FPModel reduced, FPModel *full);
PETSC_EXTERN void           FPModelLiftFull(FPModel reduced, int n, const double *z, double *w);

/* Coordinates that are a nonlinear map z = phi(w) of the weights of `parent` (chain: invariant). All functions above
   then act on the parent's weights w; mapped = PETSC_FALSE, parent = model and identities otherwise. */
PETSC_EXTERN PetscErrorCode FPModelGetParent(FPModel model, PetscBool *mapped, PetscInt *weights);
PETSC_EXTERN void           FPModelLift(FPModel model, int n, const double *z, double *w);    /* one preimage */
PETSC_EXTERN void           FPModelProject(FPModel model, int n, const double *w, double *z); /* phi */
PETSC_EXTERN void           FPModelPush(FPModel model, int n, const double *w, double *Dphi); /* [d][weights][n] */
PETSC_EXTERN void           FPModelPushSecond(FPModel model, int n, const double *w, const double *D,
                                              double *c); /* D_ij d_i d_j phi */
/* Reference measure: dw = m(z) dz; m = 1 unless mapped. Integral of m over the box [lower, upper], and m at points. */
PETSC_EXTERN void           FPModelMeasure(FPModel model, int n, const double *z, double *m);
PETSC_EXTERN double         FPModelMeasureBox(FPModel model, const double lower[], const double upper[]);
PETSC_EXTERN PetscErrorCode FPModelDestroy(FPModel *model);
PETSC_EXTERN PetscErrorCode FPModelList(FILE *out);
#endif

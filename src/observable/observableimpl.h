/* observableimpl.h: the inside of FPObservable. */
#ifndef FPOBSERVABLEIMPL_H
#define FPOBSERVABLEIMPL_H
#include "fpobservable.h"

typedef struct {
  PetscErrorCode (*read)(FPObservable, FPConfig, FPModel, FPMesh, PetscBool);
  PetscErrorCode (*pairs)(FPObservable, PetscInt *);
  PetscErrorCode (*exact)(FPObservable);
  PetscErrorCode (*generator)(FPObservable, FPGenerator, PetscBool, FPQuantities *);
  PetscErrorCode (*align)(FPObservable, const FPQuantities *, FPQuantities *);
  PetscErrorCode (*begin)(FPObservable, FPProcess, PetscReal, const FPParticleOptions *, FPObserver *, FPEnsemble *,
                          PetscBool *);
  PetscErrorCode (*evaluate)(FPObservable, const double[], FPQuantities *);
  PetscErrorCode (*fields)(FPObservable, const double[]);
  PetscErrorCode (*end)(FPObservable);
  PetscErrorCode (*destroy)(FPObservable);
} FPObservableOps;

struct _p_FPObservable {
  char               name[FP_NAME];
  FPObservableOps    ops;
  FPScene            scene;
  const FPParameter *parameters; /* NULL: no keys */
  void              *data;       /* starts with the fields of the parameters */
};

/* A row in place of a number that this observable does not have, with a status and the reason in words: of a process,
   by an engine; of the process and engine of a generator. */
PETSC_INTERN PetscErrorCode FPObservableMissing(FPObservable obs, FPProcess process, const char engine[],
                                                const char quantity[], const char status[], const char reason[]);
PETSC_INTERN PetscErrorCode FPObservableMissingOn(FPObservable obs, FPGenerator gen, const char quantity[],
                                                  const char status[], const char reason[]);

#define FP_OBSERVABLE(name, create, help) PETSC_INTERN PetscErrorCode create(FPObservable);
#include "observablelist.h"
#undef FP_OBSERVABLE

/* logmean.c: E ln |a + b U| over the data law of one input and one target, U the mean over a batch of x y (squares:
   x^2), as a value and a bound; minus infinity where a + b U = 0 has positive probability. U's own mean and variance
   are those of one sample. */
typedef struct {
  FPData    data;
  PetscBool squares;
  PetscInt  batch;
} FPBatchMean;
PETSC_INTERN PetscErrorCode FPBatchMeanMoments(const FPBatchMean *law, PetscReal *mean, PetscReal *variance);
PETSC_INTERN PetscErrorCode FPBatchMeanLog(const FPBatchMean *law, PetscReal a, PetscReal b, PetscReal *value,
                                           PetscReal *error);
/* E ln |W| averaged over W on the straight way between its two ends, W_i = constant[i] + mean over a batch of
   (square[i] x^2 + product[i] x y), the same samples at both; where the law of W has a density, at the midpoint.
   lattice: points for batches of rows that are too many to enumerate; 0: as accurate as can be. batches 2: of svag,
   the means of two batches, times their coefficients; 1, or 0: of one. */
typedef struct {
  FPData    data;
  PetscInt  batch, lattice, batches;
  PetscReal constant[2], square[2], product[2], coefficient[2];
} FPBatchLinear;
PETSC_INTERN PetscErrorCode FPBatchLinearLog(const FPBatchLinear *w, PetscReal *value, PetscReal *error);
/* logpair.c: E ln |W|, W = a + sum_b c_b (Q X_b + R (X_b/B)^(1/2) N(0, 1)) of two batches, B X_b/s chi-squared of B
   degrees, all independent */
typedef struct {
  PetscInt  batch;
  PetscReal a, s, Q, R, coefficient[2];
} FPPairLinear;
PETSC_INTERN PetscErrorCode FPPairLinearLog(const FPPairLinear *w, PetscReal *value, PetscReal *error);
/* E ln |u + xi|, xi ~ N(0, 1) */
PETSC_INTERN PetscReal FPNormalLog(PetscReal u);

/* lyapunov.c: largest exponent at the origin of a chain of depth 2, were the learning rate eta; *reason: why there is
   none, or NULL. */
PETSC_INTERN PetscErrorCode FPLyapunovOrigin(FPProcess process, FPModel model, PetscReal eta, PetscReal *value,
                                             PetscReal *error, const char **reason);

/* noise.c: gradients of one sample each at weights w[d], for one group of FP_GROUPS: use() gets g[d][FP_BLOCK] `blocks`
   times. Other groups and more blocks draw other samples, the same everywhere. */
PETSC_INTERN PetscErrorCode FPGradientsDraw(FPModel model, const PetscReal w[], PetscInt group, PetscInt blocks,
                                            void (*use)(void *context, PetscInt d, const double *g), void *context);

/* tails.c: Hill's estimator from a histogram of ln x, in which x >= 0 are counted: the mean of ln(x/t) over the share
   of the largest x, t the least of them; not a number where that share reaches x = 0. */
#define FP_HILL_SIZE 5120
PETSC_INTERN void      FPHillAdd(double histogram[FP_HILL_SIZE], PetscReal x);
PETSC_INTERN PetscReal FPHill(const double histogram[FP_HILL_SIZE], PetscReal share);
/* The same of the modulus of a normal variable, exactly. */
/* tail_index.c: 0 where it is not known or there is none */
PETSC_INTERN PetscErrorCode FPTailIndex(FPProcess process, FPModel model, PetscReal *index, PetscReal *error);
PETSC_INTERN PetscErrorCode FPHillNormal(PetscReal share, PetscReal *value, PetscReal *error);

/* stable_fit.c: the nearest symmetric stable law, of scale c and shift, from a histogram of numbers x of order 1;
   misfit: Kolmogorov's distance. slope: alpha before it is cut off at 2. */
#define FP_FIT_SIZE 8192
typedef struct {
  PetscReal alpha, slope, scale, shift, misfit;
} FPStableFit;
PETSC_INTERN void FPStableFitAdd(double histogram[FP_FIT_SIZE], PetscReal x);
PETSC_INTERN void FPStableFitHistogram(const double histogram[FP_FIT_SIZE], FPStableFit *fit);
/* The same of the product of two independent normal numbers, exactly. */
PETSC_INTERN void      FPStableFitProduct(FPStableFit *fit);
PETSC_INTERN PetscReal FPStableCDF(PetscReal alpha, PetscReal x); /* of exp(-|t|^alpha) */
/* Probability that n numbers of the law itself are further from it; an upper bound where parameters were fitted. */
PETSC_INTERN PetscReal FPKolmogorov(PetscReal n, PetscReal distance);

/* generalisation.c: rows that other laws of the data add to `loss`, none where the run file has no other law. */
#define FP_JUDGES (FP_LAWS + 1)
typedef struct {
  PetscInt  rows;
  char      name[FP_JUDGES][24];
  FPModel   model[FP_JUDGES]; /* under the other law; NULL: the row before, less the training loss */
  PetscReal floors;           /* loss_floor of the test file minus that of the training data */
} FPJudges;
PETSC_INTERN PetscErrorCode FPJudgesSetUp(FPModel model, FPJudges *judges);
/* out[rows][n] at weights w[weights][n], where the model's loss is loss[n] */
PETSC_INTERN void FPJudgesLoss(const FPJudges *judges, int n, const double *w, const double *loss, double *out);

/* w[weights*n] of z[dim*n]: identity unless the model is mapped. Returns the array to use. */
static inline const double *FPWeightsOf(FPModel model, PetscBool mapped, int n, const double *z, double *w)
{
  if (!mapped) return z;
  FPModelLift(model, n, z, w);
  return w;
}

/* gibbs_distance.c: bins of p, one line of FP_LINE for each entry of the end-to-end matrix over the range that it has
   in the box, with their probabilities under exp(-V/T). */
#define FP_LINE 512
typedef struct {
  FPModel   model;
  FPBox     box;
  PetscBool mapped;
  PetscInt  entries, axis, points;                        /* points of the quadrature: axis^dim */
  PetscReal lower[FP_MAX_MAP], width[FP_MAX_MAP], *gibbs; /* [entries*FP_LINE]; NULL: there is no such law */
} FPGibbsLines;
/* Frees what lines->gibbs held before. */
PETSC_INTERN PetscErrorCode FPGibbsLinesCreate(FPModel model, const FPBox *box, PetscReal temperature,
                                               FPGibbsLines *lines);
/* Of the probabilities p[entries*FP_LINE], by the integral of |F - G|; bias: what noise adds to it, were p those of so
   many independent draws; 0 draws, a law without noise: what the width of the bins may hide. */
PETSC_INTERN void FPGibbsLinesDistance(const FPGibbsLines *lines, PetscInt a, const PetscReal p[],
                                       PetscReal independent, PetscReal *distance, PetscReal *bias);
/* line[a*FP_LINE ...] of a law on n points p, such as the cells of a grid. */
PETSC_INTERN PetscErrorCode FPGibbsLinesFill(const FPGibbsLines *lines, PetscInt a, PetscInt n, const PetscReal p[],
                                             const PetscReal share[], PetscReal line[]);
/* Wasserstein-1 distance of two laws on the same n points p. */
PETSC_INTERN PetscErrorCode FPLawsDistance(PetscInt n, const PetscReal p[], const PetscReal first[],
                                           const PetscReal second[], PetscReal *distance);
static inline PetscInt      FPGibbsLinesIndex(const FPGibbsLines *lines, PetscInt a, double p)
{
  const double at = (p - lines->lower[a]) / lines->width[a];

  return at <= 0 ? 0 : at >= FP_LINE - 1 ? FP_LINE - 1 : (PetscInt)at;
}

/* fields.c: value[n] on the unknowns of a generator into the results as a field; per_volume: divided by the cells'
   volumes, as probabilities become densities. */
PETSC_INTERN PetscErrorCode FPFieldOfCells(FPObservable obs, FPGenerator gen, const char name[],
                                           const PetscReal value[], PetscBool per_volume, const char long_name[],
                                           const char unit[]);

/* bins.c: bins bin[first[k] .. first[k + 1] - 1] that the cell of unknown k meets, and its share in each; the caller
   frees all three. */
PETSC_INTERN PetscErrorCode FPBinsShares(const FPBins *bins, FPGenerator gen, PetscInt **first, PetscInt **bin,
                                         PetscReal **share);
/* Bin of component-wise position z[a*stride], clamped to the box. */
static inline PetscInt FPBinsIndex(const FPBins *bins, const double *z, PetscInt stride)
{
  PetscInt index = 0;

  for (PetscInt a = bins->dim - 1; a >= 0; a--) {
    PetscInt i = (PetscInt)((z[a * stride] - bins->lower[a]) / bins->width[a]);

    if (i < 0) i = 0;
    if (i >= bins->count[a]) i = bins->count[a] - 1;
    index = index * bins->count[a] + i;
  }
  return index;
}

/* Steps between samples that lie `time` apart. */
static inline PetscInt FPStepsOf(PetscReal time, PetscReal dt)
{
  return PetscMax(1, (PetscInt)(time / dt + 0.5));
}
#endif

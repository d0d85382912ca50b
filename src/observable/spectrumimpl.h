/* spectrumimpl.h: what the files of the observable spectrum share. */
#ifndef FPSPECTRUMIMPL_H
#define FPSPECTRUMIMPL_H
#include "observableimpl.h"

#define FP_MAX_BASIS 48
#define FP_SHARES 3 /* of a variance: a half, a quarter, an eighth */

/* Eigenfunctions of one process on its grid, [modes][lattice]. */
typedef struct {
  char       process[FP_NAME];
  PetscInt   modes, cells[3], lattice;
  FPMesh     mesh;                        /* the grid's own */
  PetscReal *function, *rate, *frequency; /* rate, frequency [modes + 1] */
  PetscReal (*rarest)[FP_SHARES];         /* [modes]: probabilities that shares of their variance come from */
  PetscReal mean[3], deviation[3];        /* of the coordinates under the stationary law */
  PetscBool reversible;
} FPModeBasis;

typedef struct {
  PetscInt  n;
  PetscReal rate[FP_MAX_BASIS], frequency[FP_MAX_BASIS];
} FPModes;

typedef struct {
  PetscInt  pairs, degree;
  PetscReal lag;
  PetscReal step;   /* of the discrete algorithm whose transfer operator was asked last; 0: an SDE */
  PetscBool killed; /* and whether it may leave the box */
  /* particles */
  PetscInt           known, size, dim, polynomials, exponent[FP_MAX_BASIS][FP_MAX_DIM];
  FPModeBasis        basis[16];
  const FPModeBasis *modes;                    /* for the process at hand; NULL: polynomials only */
  PetscInt           own, which[FP_MAX_BASIS]; /* functions of it that particles see */
  PetscReal          missed[FP_MAX_BASIS];     /* share of the variance of a mode of the reference; 1: it is not seen */
  FPMesh             mesh;
  PetscReal          centre[FP_MAX_DIM], scale[FP_MAX_DIM], tau;
  PetscBool          reversible, clustered, borrowed;
  FPModes            reference; /* by which modes are numbered: the generator's, or those of the first evaluation */
  char               numbered[FP_NAME];     /* process that the reference belongs to */
  PetscInt           cluster[FP_MAX_BASIS]; /* number of its first mode */
  PetscReal
      blur[FP_MAX_BASIS]; /* standard error of a frequency in a cluster of several, as two real modes may seem a pair */
} FPSpectrum;

/* decay_rate[k], frequency[k] for first <= k < count, gap and relaxation_time; error NULL: 0. Of a discrete algorithm:
   the eigenvalues mu of its transfer operator, |mu| falling, of conjugate pairs that with positive imaginary part; and
   of one that leaves the box the probability per step to do so. */
PETSC_INTERN PetscErrorCode FPSpectrumAddRates(PetscInt count, const PetscReal rate[], const PetscReal frequency[],
                                               const PetscReal error[], PetscInt first, FPQuantities *q);
PETSC_INTERN PetscErrorCode FPSpectrumAddMultipliers(const FPSpectrum *s, PetscInt count, const PetscReal rate[],
                                                     const PetscReal frequency[], const PetscReal error[],
                                                     FPQuantities *q);
/* spectrum_numbering.c: the estimated modes numbered like the reference, NaN where none is left; and a coarser grid's
   like those of the finest. */
PETSC_INTERN void           FPModesFollow(const FPModes *reference, PetscInt have, const PetscReal rate[],
                                          const PetscReal frequency[], FPModes *out);
PETSC_INTERN PetscErrorCode FPSpectrumAlign(FPObservable obs, const FPQuantities *finest, FPQuantities *coarse);
/* spectrum_basis.c: the first `modes` eigenfunctions of a generator become a basis; the basis for particles of a
   process on a mesh (NULL: no box), its own if it is kept, as far as `count` of them see it in that time; and
   psi[size][FP_BLOCK] at z[dim][FP_BLOCK]. */
PETSC_INTERN PetscErrorCode FPSpectrumKeepBasis(FPSpectrum *s, FPGenerator gen, PetscInt modes);
PETSC_INTERN PetscErrorCode FPSpectrumChooseBasis(FPSpectrum *s, FPMesh mesh, const char process[], PetscInt count,
                                                  PetscReal time);
PETSC_INTERN void           FPSpectrumEvaluateBasis(const FPSpectrum *s, const double *z, double *psi);
/* spectrum_particles.c */
PETSC_INTERN PetscErrorCode FPSpectrumParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt,
                                                     const FPParticleOptions *options, FPObserver *observer,
                                                     FPEnsemble *ensemble, PetscBool *used);
PETSC_INTERN PetscErrorCode FPSpectrumEvaluate(FPObservable obs, const double sums[], FPQuantities *q);
#endif

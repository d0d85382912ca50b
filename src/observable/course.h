/* course.h: what the observables along time share: the times asked for, the law at time 0, and bins wide enough for
   particles to fill. */
#ifndef FPCOURSE_H
#define FPCOURSE_H
#include "observableimpl.h"

#define FP_COURSE_MISSING 1e-6 /* share of a starting law that may lie in cells without unknowns */
#define FP_COURSE_NOWHERE                                                                                              \
  "the start lies where the generator has no unknowns: cells without stationary probability, or outside the closed "   \
  "class; particles can start there"

/* First field of an observable's data; the keys of its section are FP_COURSE_... */
typedef struct {
  FPStrings  times, start; /* as in the run file */
  PetscReal  spread, age;
  PetscReal *t; /* [times.n], ascending */
  PetscBool  started;
  PetscReal  z[FP_MAX_DIM]; /* the start, if started */
} FPCourse;

#define FP_COURSE_TIMES                                                                                                \
  {                                                                                                                    \
    "times", FP_STRINGS, offsetof(FPCourse, times), NULL, 0, 0, NULL, "time", "when it is asked: ascending, from 0 on" \
  }
#define FP_COURSE_START                                                                                                \
  {                                                                                                                    \
    "start", FP_STRINGS, offsetof(FPCourse, start), NULL, 0, 0, NULL, "weight",                                        \
        "coordinates, or the name of a critical point"                                                                 \
  }
#define FP_COURSE_SPREAD                                                                                               \
  {                                                                                                                    \
    "spread", FP_REAL, offsetof(FPCourse, spread), "0", 0, PETSC_MAX_REAL, NULL, "weight",                             \
        "standard deviation of a Gaussian around the start, mirrored at the walls"                                     \
  }
#define FP_COURSE_AGE                                                                                                  \
  {                                                                                                                    \
    "age", FP_REAL, offsetof(FPCourse, age), "0", 0, PETSC_MAX_REAL, NULL, "time",                                     \
        "time from which lags count, since a fractional clock started; a stationary process on the ordinary clock "    \
        "has none"                                                                                                     \
  }

/* Errors (user input): no times, times that are no numbers, negative or not ascending; start: absent (where needed),
   not in the box. */
PETSC_INTERN PetscErrorCode FPCourseRead(FPCourse *course, const char section[], FPConfig config, FPModel model,
                                         FPMesh mesh, PetscBool needs_start, PetscBool wanted);
/* The same for an observable all of whose questions have a start. */
PETSC_INTERN PetscErrorCode FPCourseReadStarted(FPObservable obs, FPConfig config, FPModel model, FPMesh mesh,
                                                PetscBool wanted);
/* Probability of each cell at time 0: the Gaussian around the start, smoothed by a cubic B-spline of the cells. Mean
   as given, variance larger by h^2/3 wherever the start lies between the centres, so that answers converge with a
   smooth h^2; of operators of order 4, whose laws are signed, interpolated from eight centres along each axis. missing:
   share of the law in cells that are no unknowns, which is left out; all of it where the unknowns are a line and the
   start is no point of it. */
PETSC_INTERN PetscErrorCode FPCourseLaw(const FPCourse *course, FPGenerator gen, PetscReal law[], PetscReal *missing);
/* The chain of the same process, grid and law that moves down steep slopes at the right speed (FPGeneratorOptions:
   transient); NULL: gen itself does. Destroyed by the caller. */
PETSC_INTERN PetscErrorCode FPCourseMover(FPGenerator gen, FPGenerator *mover);
/* p[t*n + k]: the law on the cells at time t, from law[n] at time 0, with the error[t] of FPGeneratorEvolve(). */
PETSC_INTERN PetscErrorCode FPCourseEvolve(const FPCourse *course, FPGenerator gen, const PetscReal law[],
                                           PetscReal p[], PetscReal error[]);
/* Makes p[n] conditional on survival; mass: its sum before. */
PETSC_INTERN void FPCourseSurvivors(FPGenerator gen, PetscReal p[], PetscReal *mass);
/* Mean of f under p of sum 1, and its error where p is off by `error` in total variation. */
PETSC_INTERN void FPCourseMean(PetscInt n, const PetscReal p[], const PetscReal f[], PetscReal error, PetscReal *mean,
                               PetscReal *bound);
/* Particles of an observable's own, which start at points of the same law and run until the last time. */
PETSC_INTERN PetscErrorCode FPCourseEnsemble(const FPCourse *course, const FPScene *scene,
                                             const FPParticleOptions *options, FPEnsemble *ensemble);
/* Index of the first time that lies in the step from time (step - 1) dt to step dt (time 0 in the first), and the
   number of such times. */
PETSC_INTERN PetscInt FPCourseDue(const FPCourse *course, PetscInt64 step, PetscReal dt, PetscInt *first);
/* How far time t lies on the way from step - 1 to step, in [0, 1]: laws are interpolated linearly between steps. */
static inline PetscReal FPCourseFraction(PetscReal t, PetscInt64 step, PetscReal dt)
{
  const PetscReal f = t / dt - (PetscReal)(step - 1);

  return f < 1e-6 ? 0 : f > 1 - 1e-6 ? 1 : f;
}
/* z[rows][FP_BLOCK] at time t, of a step that has it: linear interpolation of laws, by lanes that are still before[] or
   already after[] it. */
PETSC_INTERN void           FPCoursePick(PetscInt rows, PetscReal fraction, const double before[], const double after[],
                                         double z[]);
PETSC_INTERN PetscErrorCode FPCourseDestroy(FPCourse *course);

/* Every fourth edge of the common bins (three dimensions: every second): 16, 8 x 8, 6 x 6 x 6. */
PETSC_INTERN void FPBinsWiden(const FPBins *bins, FPBins *wide);
/* "p", or "p[i][j]" of entry a of an end-to-end matrix */
PETSC_INTERN PetscErrorCode FPEntryName(FPModel model, PetscInt a, char name[24]);
#endif

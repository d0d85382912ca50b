/* Solving with jumps: iterations and seconds of the processor against the number of unknowns; no entry of the table
   should grow but the seconds. */
#include "../src/generator/jumps.h"
#include "../src/generator/generatorimpl.h"
#include "scene.h"
#include <slepceps.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static double Seconds(void)
{
  struct timespec t;

  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Iterations of a solve to 1e-10 with an even right side. */
static PetscErrorCode Solve(FPJumps jumps, FPJumpsPC kind, const char type[], PetscReal shift, PetscInt *iterations,
                            double *seconds)
{
  const PetscReal *out, *kill;
  PetscInt         n;
  Mat              A;
  KSP              ksp;
  PC               pc;
  Vec              x, b;

  PetscFunctionBegin;
  PetscCall(FPJumpsGetOutflow(jumps, &n, &out, &kill));
  PetscCall(FPJumpsCreateOperator(jumps, NULL, shift, &A));
  PetscCall(KSPCreate(PETSC_COMM_SELF, &ksp));
  PetscCall(KSPSetOperators(ksp, A, A));
  PetscCall(KSPSetType(ksp, type));
  PetscCall(KSPSetTolerances(ksp, 1e-10, PETSC_DEFAULT, PETSC_DEFAULT, 500));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(FPJumpsSetPC(A, kind, pc));
  PetscCall(VecCreateSeq(PETSC_COMM_SELF, n, &x));
  PetscCall(VecDuplicate(x, &b));
  for (PetscInt k = 0; k < n; k++) PetscCall(VecSetValue(b, k, 1 + 0.3 * sin(7.0 * k / n), INSERT_VALUES));
  PetscCall(VecAssemblyBegin(b));
  PetscCall(VecAssemblyEnd(b));
  *seconds = Seconds();
  PetscCall(KSPSolve(ksp, b, x));
  *seconds = Seconds() - *seconds;
  PetscCall(KSPGetIterationNumber(ksp, iterations));
  PetscCall(KSPDestroy(&ksp));
  PetscCall(MatDestroy(&A));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&b));
  PetscFunctionReturn(0);
}

static PetscErrorCode Line(PetscReal alpha, PetscInt n)
{
  FPJumpsSetting s = {.dim = 1, .cells = {n}, .h = {2 / (n + alpha / 2)}, .alpha = alpha};
  PetscReal     *rate;
  FPJumps        jumps;
  PetscInt       plain, varied, cosine;
  double         seconds, other;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &rate));
  PetscCall(FPJumpsCreate(&s, &jumps));
  PetscCall(Solve(jumps, FP_JUMPS_TRIGONOMETRIC, KSPCG, 0, &plain, &seconds));
  PetscCall(FPJumpsDestroy(&jumps));
  for (PetscInt k = 0; k < n; k++) rate[k] = 1 + 0.9 * sin(5.0 * k / n);
  s.rate = rate;
  PetscCall(FPJumpsCreate(&s, &jumps));
  PetscCall(Solve(jumps, FP_JUMPS_TRIGONOMETRIC, KSPGMRES, 0, &varied, &other));
  PetscCall(FPJumpsDestroy(&jumps));
  s.rate     = NULL;
  s.boundary = FP_BOUNDARY_CENSORED;
  s.h[0]     = 2.0 / n;
  PetscCall(FPJumpsCreate(&s, &jumps));
  PetscCall(Solve(jumps, FP_JUMPS_TRIGONOMETRIC, KSPCG, 0.1, &cosine, &other));
  PetscCall(FPJumpsDestroy(&jumps));
  PetscCall(PetscFree(rate));
  printf("line   alpha %.1f n %7d  sine %2d (%.4f s)  varying scale %2d  cosine %2d\n", (double)alpha, (int)n,
         (int)plain, seconds, (int)varied, (int)cosine);
  PetscFunctionReturn(0);
}

/* A square with killed walls, or where `disc`, the disc in it, which a region kills. */
static PetscErrorCode Plane(PetscReal alpha, PetscInt cells, PetscBool disc, FPJumps *jumps, PetscInt *n)
{
  const PetscReal h = 2 / (cells + alpha / 2), *out, *kill;
  FPJumpsSetting  s = {.dim = 2, .cells = {cells, cells}, .h = {h, h}, .alpha = alpha};
  char           *live;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(cells * cells, &live));
  for (PetscInt l = 0; l < cells * cells; l++)
    live[l] = hypot(-1 + h * (l % cells + FPJumpsDelta(alpha)), -1 + h * (l / cells + FPJumpsDelta(alpha))) < 1;
  if (disc) s.live = live;
  PetscCall(FPJumpsCreate(&s, jumps));
  PetscCall(FPJumpsGetOutflow(*jumps, n, &out, &kill));
  PetscCall(PetscFree(live));
  PetscFunctionReturn(0);
}

static PetscErrorCode Disc(PetscReal alpha, PetscInt cells)
{
  PetscInt n, iterations;
  FPJumps  jumps;
  double   seconds;

  PetscFunctionBegin;
  PetscCall(Plane(alpha, cells, PETSC_TRUE, &jumps, &n));
  PetscCall(Solve(jumps, FP_JUMPS_MULTIGRID, KSPCG, 0, &iterations, &seconds));
  printf("disc   alpha %.1f n %7d  multigrid %2d (%.3f s)\n", (double)alpha, (int)n, (int)iterations, seconds);
  PetscCall(FPJumpsDestroy(&jumps));
  PetscFunctionReturn(0);
}

static PetscErrorCode CountSolve(PETSC_UNUSED KSP ksp, PETSC_UNUSED Vec b, PETSC_UNUSED Vec x, void *count)
{
  PetscFunctionBegin;
  ++*(PetscInt *)count;
  PetscFunctionReturn(0);
}

/* On a line: inverses of A by conjugate gradients. In the plane: LOBPCG, which takes fewer products, but loses its
   basis to rounding where the fastest rates, n^alpha times the slowest, are some 1e7 times those. The generators choose
   so too. */
static PetscErrorCode SetEigensolver(PetscInt dim, FPJumps jumps, Mat A, EPS eps, KSP *ksp)
{
  Mat B = A;
  ST  st;
  PC  pc;

  PetscFunctionBegin;
  PetscCall(EPSGetST(eps, &st));
  if (dim == 1) {
    PetscCall(EPSSetType(eps, EPSKRYLOVSCHUR));
    PetscCall(EPSSetTarget(eps, 0));
    PetscCall(EPSSetWhichEigenpairs(eps, EPS_TARGET_MAGNITUDE));
    PetscCall(STSetType(st, STSINVERT));
    PetscCall(STSetMatMode(st, ST_MATMODE_SHELL));
    PetscCall(PetscObjectReference((PetscObject)B));
  } else {
    PetscCall(EPSSetType(eps, EPSLOBPCG));
    PetscCall(EPSSetWhichEigenpairs(eps, EPS_SMALLEST_REAL));
    PetscCall(STSetType(st, STPRECOND));
    PetscCall(FPJumpsCreateOperator(jumps, NULL, 0.01, &B));
  }
  PetscCall(STGetKSP(st, ksp));
  PetscCall(KSPSetType(*ksp, dim == 1 ? KSPCG : KSPPREONLY));
  PetscCall(KSPSetTolerances(*ksp, 1e-12, PETSC_DEFAULT, PETSC_DEFAULT, 200));
  PetscCall(KSPGetPC(*ksp, &pc));
  PetscCall(FPJumpsSetPC(B, FP_JUMPS_TRIGONOMETRIC, pc));
  PetscCall(MatDestroy(&B));
  PetscFunctionReturn(0);
}

/* Six eigenpairs of the line or the square, preconditioned by sines. */
static PetscErrorCode Modes(PetscInt dim, PetscReal alpha, PetscInt cells)
{
  const double     begin = Seconds();
  FPJumpsSetting   line  = {.dim = 1, .cells = {cells}, .h = {2 / (cells + alpha / 2)}, .alpha = alpha};
  const PetscReal *out, *kill;
  PetscInt         n, converged, steps, inverses = 0;
  FPJumps          jumps;
  Mat              A;
  EPS              eps;
  KSP              ksp;
  PetscScalar      first, imaginary;
  struct rusage    usage;

  PetscFunctionBegin;
  if (dim == 2)
    PetscCall(Plane(alpha, cells, PETSC_FALSE, &jumps, &n));
  else
    PetscCall(FPJumpsCreate(&line, &jumps));
  PetscCall(FPJumpsGetOutflow(jumps, &n, &out, &kill));
  PetscCall(FPJumpsCreateOperator(jumps, NULL, 0, &A));
  PetscCall(EPSCreate(PETSC_COMM_SELF, &eps));
  PetscCall(EPSSetOperators(eps, A, NULL));
  PetscCall(EPSSetProblemType(eps, EPS_HEP));
  PetscCall(EPSSetDimensions(eps, 6, PETSC_DEFAULT, PETSC_DEFAULT));
  PetscCall(EPSSetTolerances(eps, 1e-8, 200));
  PetscCall(SetEigensolver(dim, jumps, A, eps, &ksp));
  PetscCall(KSPSetPostSolve(ksp, CountSolve, &inverses));
  PetscCall(EPSSolve(eps));
  PetscCall(EPSGetConverged(eps, &converged));
  if (dim == 1)
    PetscCall(KSPGetTotalIterations(ksp, &steps));
  else
    PetscCall(EPSGetIterationNumber(eps, &steps));
  PetscCall(EPSGetEigenvalue(eps, 0, &first, &imaginary));
  (void)getrusage(RUSAGE_SELF, &usage);
  printf("%s alpha %.1f n %7d  ", dim == 2 ? "square" : "line  ", (double)alpha, (int)n);
  printf(dim == 1 ? "%d eigenpairs, inverses of %.1f iterations" : "%d eigenpairs in %.0f steps", (int)converged,
         dim == 1 ? (double)steps / (double)inverses : (double)steps);
  printf(", first %.9g, %.2f s, peak %.0f MiB\n", (double)first, Seconds() - begin, usage.ru_maxrss / 1024.);
  PetscCall(EPSDestroy(&eps));
  PetscCall(MatDestroy(&A));
  PetscCall(FPJumpsDestroy(&jumps));
  PetscFunctionReturn(0);
}

/* The same of a process on a mesh, or of the disc in that square, which a region kills: boundaries are those of cells.
 */
static PetscErrorCode Chain(PetscReal alpha, PetscInt cells, PetscBool disc)
{
  const double     begin = Seconds();
  const PetscReal *rate;
  Scene            s;
  FPRegion         ball = NULL;
  FPGeneratorInfo  info;
  struct rusage    usage;

  PetscFunctionBegin;
  SceneOpen(&s, "levy",
            "levy_alpha=%g levy_scale=1 levy_temperature=0 levy_boundary=killed model_type=ou model_drift=0,0,0,0 "
            "model_diffusion=0,0,0,0 mesh_lower=-1,-1 mesh_upper=1,1 mesh_cells=%d,%d mesh_refine=1 exit_region=ball "
            "exit_center=0,0 exit_radius=1",
            (double)alpha, (int)cells, (int)cells);
  if (disc) PetscCall(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &ball));
  if (disc)
    PetscCall(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, NULL, ball, &s.gen));
  else
    (void)SceneGrid(&s, 0);
  PetscCall(FPGeneratorSolve(s.gen, 5));
  PetscCall(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
  PetscCall(FPGeneratorGetInfo(s.gen, &info));
  (void)getrusage(RUSAGE_SELF, &usage);
  printf("%s alpha %.1f n %7d  six pairs of the generator, first %.9g, %.1f s, peak %.0f MiB\n",
         disc ? "disc  " : "square", (double)alpha, (int)info.unknowns, (double)rate[0], Seconds() - begin,
         usage.ru_maxrss / 1024.);
  PetscCall(FPRegionDestroy(&ball));
  SceneClose(&s);
  PetscFunctionReturn(0);
}

/* (0.05 - Q) x = b of a process with drift to the centre, as a chain: iterations with its sparse part
   as preconditioner. */
static PetscErrorCode Drift(PetscReal alpha, PetscInt dim, PetscInt cells)
{
  PetscReal *x;
  PetscInt   n, iterations;
  Scene      s;
  double     seconds;

  PetscFunctionBegin;
  SceneOpen(&s, "levy",
            "levy_alpha=%g levy_scale=0.8 levy_temperature=0 levy_boundary=confined model_type=ou %s mesh_refine=1 "
            "mesh_cells=%d%s%.*d",
            (double)alpha,
            dim == 2 ? "model_drift=1.1,0.7,-0.7,1.4 model_diffusion=0,0,0,0 mesh_lower=-4,-5 mesh_upper=5,5"
                     : "model_drift=1.3 model_diffusion=0 mesh_lower=-9 mesh_upper=11",
            (int)cells, dim == 2 ? "," : "", dim == 2 ? 1 : 0, dim == 2 ? (int)cells : 0);
  (void)SceneGrid(&s, 0);
  PetscCall(FPGeneratorGetNodes(s.gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &x));
  for (PetscInt k = 0; k < n; k++) x[k] = 1 + 0.3 * sin(7.0 * k / n);
  seconds = Seconds();
  PetscCall(FPGeneratorInvert(s.gen, PETSC_TRUE, 0.05, x, x));
  seconds = Seconds() - seconds;
  PetscCall(KSPGetIterationNumber(s.gen->solver, &iterations));
  printf("%s alpha %.1f n %7d  with drift %2d (%.3f s)\n", dim == 2 ? "square" : "line  ", (double)alpha, (int)n,
         (int)iterations, seconds);
  PetscCall(PetscFree(x));
  SceneClose(&s);
  PetscFunctionReturn(0);
}

static PetscErrorCode Run(void)
{
  static const PetscReal alpha[4] = {0.5, 1, 1.5, 1.9};

  PetscFunctionBegin;
  for (int a = 0; a < 4; a++)
    for (PetscInt n = 256; n <= 65536; n *= 4) PetscCall(Line(alpha[a], n));
  for (int a = 0; a < 4; a++)
    for (PetscInt cells = 64; cells <= 512; cells *= 2) PetscCall(Disc(alpha[a], cells));
  for (int a = 0; a < 4; a++)
    for (PetscInt n = 256; n <= 65536; n *= 4) PetscCall(Modes(1, alpha[a], n));
  for (PetscInt cells = 64; cells <= 512; cells *= 2) PetscCall(Modes(2, 1.5, cells));
  for (PetscInt cells = 64; cells <= 512; cells *= 2) PetscCall(Chain(1.5, cells, PETSC_FALSE));
  for (PetscInt cells = 64; cells <= 512; cells *= 2) PetscCall(Chain(1.5, cells, PETSC_TRUE));
  for (int a = 0; a < 4; a++)
    for (PetscInt n = 1024; n <= 65536; n *= 4) PetscCall(Drift(alpha[a], 1, n));
  for (PetscInt cells = 64; cells <= 512; cells *= 2) PetscCall(Drift(1.5, 2, cells));
  PetscFunctionReturn(0);
}

int main(int argc, char **argv)
{
  PetscErrorCode ierr = SlepcInitialize(&argc, &argv, NULL, NULL);

  if (!ierr) ierr = Run();
  return ierr || SlepcFinalize();
}

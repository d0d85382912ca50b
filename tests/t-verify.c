/* t-verify.c: the slowest modes are all there: those of a flat top against a count of eigenvalues, and what a solver
   missed, in chains that are symmetric and in others. */
#include "scene.h"
#include "../src/generator/solveimpl.h"
#include <math.h>

/* Eigenvalues below `below` of -D u'' + (v^2/(4 D) + v'/2) u on [low, high] by finite differences of second order,
   u = 0 at the ends: negative pivots. That is the generator D f'' + v f' with D constant, u = f exp(integral of v/2D).
 */
static PetscInt CountWitten(FPProcess process, PetscReal low, PetscReal high, PetscInt n, PetscReal below)
{
  const PetscReal h = (high - low) / (n + 1), step = 1e-5;
  PetscReal       pivot = 1;
  PetscInt        count = 0;

  for (PetscInt k = 0; k < n; k++) {
    const PetscReal z[3] = {low + (k + 1) * h - step, low + (k + 1) * h, low + (k + 1) * h + step};
    PetscReal       v[3], D[3];

    FPProcessFick(process, 3, z, v);
    FPProcessDiffusion(process, 3, z, D);
    pivot = 2 * D[1] / (h * h) + v[1] * v[1] / (4 * D[1]) + (v[2] - v[0]) / (4 * step) - below -
            (k ? PetscSqr(D[1] / (h * h)) / pivot : 0);
    count += pivot < 0;
  }
  return count;
}

/* The flat top of a 3-chain, far colder than any mass reaches it, holds the slowest modes: those of the Schroedinger
   form beside it, where the well's do not reach. */
static void test_flat_top(PETSC_UNUSED void **none)
{
  Scene s;

  SceneOpen(&s, "langevin",
            "data_type=gaussian data_teacher=0.81 data_second_moment=1.2 data_label_noise=0.3 model_type=chain "
            "model_depth=3 model_coordinates=balanced training_temperature=0.0013 mesh_lower=-1.6 mesh_upper=1.8 "
            "mesh_cells=600");
  for (PetscInt level = 0; level < 2; level++) {
    const PetscReal *rate;

    (void)SceneGrid(&s, level);
    must(FPGeneratorSolve(s.gen, 2));
    must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
    check(PetscAbsReal(rate[0]) < 1e-10, "slowest rate %g", (double)rate[0]);
    for (PetscInt k = 1; k <= 2; k++) {
      const PetscReal wrong = (level ? 4e-3 : 1.2e-3) * rate[k];

      check(CountWitten(s.process, -0.55, 0.6, 6000, rate[k] - wrong) == k - 1 &&
                CountWitten(s.process, -0.55, 0.6, 6000, rate[k] + wrong) == k,
            "level %" PetscInt_FMT ": rate %" PetscInt_FMT " is %.8g", level, k, (double)rate[k]);
    }
  }
  SceneClose(&s);
}

/* Two wells; a solver that is sent to the wrong place finds faster modes, and the slowest are found all the same. */
static void test_missed(PETSC_UNUSED void **none)
{
  PetscReal right[5];
  Scene     s;

  SceneOpen(&s, "langevin",
            "data_type=gaussian data_teacher=0.9 data_second_moment=1.1 model_type=chain model_depth=2 "
            "training_temperature=0.08 mesh_lower=-2.1,-1.9 mesh_upper=2,2 mesh_cells=32,32");
  for (PetscInt wrong = 0; wrong < 2; wrong++) {
    const PetscReal *rate;
    PetscInt         count;

    if (wrong) must(PetscOptionsSetValue(NULL, "-spectrum_eps_target", "1.7"));
    (void)SceneGrid(&s, 1);
    must(FPGeneratorSolve(s.gen, 4));
    must(PetscOptionsClearValue(NULL, "-spectrum_eps_target"));
    must(FPGeneratorGetModes(s.gen, &count, &rate, NULL, NULL));
    check(count >= 5, "%" PetscInt_FMT " modes", count);
    for (PetscInt k = 0; k < 5; k++) {
      if (!wrong) right[k] = rate[k];
      check(PetscAbsReal(rate[k] - right[k]) < 1e-9, "mode %" PetscInt_FMT ": %.12g, not %.12g", k, (double)rate[k],
            (double)right[k]);
    }
  }
  SceneClose(&s);
}

/* Take mode k, with its conjugate if it has one, out of the list of a generator. */
static PetscInt TakeOut(FPGenerator gen, PetscInt k)
{
  const PetscInt taken = gen->frequency[k] > 1e-9 ? 2 : 1, rest = gen->modes - k - taken, n = gen->n;

  memmove(gen->rate + k, gen->rate + k + taken, (size_t)rest * sizeof(PetscReal));
  memmove(gen->frequency + k, gen->frequency + k + taken, (size_t)rest * sizeof(PetscReal));
  memmove(gen->residual + k, gen->residual + k + taken, (size_t)rest * sizeof(PetscReal));
  memmove(gen->right + k * n, gen->right + (k + taken) * n, (size_t)(rest * n) * sizeof(PetscReal));
  memmove(gen->left + k * n, gen->left + (k + taken) * n, (size_t)(rest * n) * sizeof(PetscReal));
  gen->modes -= taken;
  return taken;
}

/* An OU process that is not reversible, with modes that oscillate and modes that do not. With all modes in the list
   nothing is missed; without one of them, or a pair, the vector found lies in its space, (A - rate)^2 + frequency^2 = 0
   there, and solving with it brings the list back. */
static void test_missed_not_symmetric(PETSC_UNUSED void **none)
{
  enum { WANTED = 10 }; /* 1, 2, 3 and 4 eigenvalues with about 0, 1, 2 and 3 times the first rate */
  Scene s;

  SceneOpen(&s, "ald",
            "model_type=ou model_drift=1.3,0.9,-0.6,0.8 model_diffusion=0.11,0.02,0.02,0.07 model_center=0.1,-0.2 "
            "mesh_lower=-1.7,-1.9 mesh_upper=1.8,1.6 mesh_cells=26,24");
  (void)SceneGrid(&s, 0);
  assert_null(s.gen->logpi);
  for (PetscInt k = 1, taken = 1; k < 6; k += taken) {
    PetscReal rate[WANTED], frequency[WANTED], defect, size;
    PetscBool missed;
    Mat       A;
    EPS       eps;
    Vec       x, y, z;

    (void)SceneGrid(&s, 0);
    must(FPGeneratorAssemble(s.gen, PETSC_FALSE, 0, PETSC_FALSE, &A));
    must(FPGeneratorSolveModes(s.gen, A, WANTED, NULL, &eps));
    must(FPGeneratorStoreModes(s.gen, eps, NULL, A, WANTED));
    must(MatCreateVecs(A, &x, &y));
    must(VecDuplicate(x, &z));
    must(FPGeneratorSeekMissed(s.gen, eps, &missed, x));
    assert_false(missed);
    memcpy(rate, s.gen->rate, sizeof(rate));
    memcpy(frequency, s.gen->frequency, sizeof(frequency));
    taken = TakeOut(s.gen, k);
    must(FPGeneratorSeekMissed(s.gen, eps, &missed, x));
    assert_true(missed);
    must(MatMult(A, x, y));
    must(VecAXPY(y, -rate[k], x));
    must(MatMult(A, y, z));
    must(VecAXPBYPCZ(z, -rate[k], PetscSqr(frequency[k]), 1, y, x));
    must(VecNorm(x, NORM_2, &size));
    must(VecNorm(z, NORM_2, &defect));
    check(defect < 2e-2 * size, "without mode %d: %g of the vector is elsewhere", (int)k, (double)(defect / size));
    must(FPGeneratorSolveAgain(s.gen, A, WANTED, &eps));
    assert_int_equal(s.gen->modes, WANTED);
    for (PetscInt m = 0; m < WANTED; m++)
      check(hypot(s.gen->rate[m] - rate[m], s.gen->frequency[m] - frequency[m]) < 1e-8,
            "without mode %d: mode %d is %.12g, %.12g", (int)k, (int)m, (double)s.gen->rate[m],
            (double)s.gen->frequency[m]);
    must(VecDestroy(&x));
    must(VecDestroy(&y));
    must(VecDestroy(&z));
    must(EPSDestroy(&eps));
    must(MatDestroy(&A));
  }
  SceneClose(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_flat_top), cmocka_unit_test(test_missed),
                                     cmocka_unit_test(test_missed_not_symmetric)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

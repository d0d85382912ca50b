/* t-free-energy.c: free energies and learning coefficients against closed forms: one weight (a Gaussian integral), the
   2-chain (K_0 of 1/4n; K_0(|p|) for a teacher p), the 3-chain by nested quadrature, multiplicities of chains and
   diagonal networks, and the thermodynamic identity between the two quantities. Every bound holds and is small. */
#include "ask.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sf_bessel.h>
#include <math.h>

#define CHAIN                                                                                                          \
  "data_type=gaussian data_second_moment=%g data_teacher=%g data_label_noise=0.3 model_type=chain model_depth=%d "

static void Compare(Asked *a, const char quantity[], PetscReal exact, PetscReal most)
{
  PetscReal error, value = AskValue(a, "model", "exact", "free_energy", quantity, &error);

  check(fabs(value - exact) <= error + 1e-14 * fabs(exact), "%s = %.16g, exact %.16g, bound %.2g", quantity, value,
        exact, error);
  check(error <= most, "%s: the bound %.2g is useless", quantity, error);
}

/* One weight: Z = (1 + n s/l)^{-1/2} exp(-n s p^2/(2 (1 + n s/l))), l the prior's precision. */
static void test_one_weight(void **state)
{
  const PetscReal s = 1.7, p = -0.6, l = 2.3, T = 0.037, n = s / T;
  const PetscReal lnZ = -0.5 * log(1 + n / l) - 0.5 * n * p * p / (1 + n / l);
  const PetscReal r = (n / l) / (1 + n / l), m = n * p * p / PetscSqr(1 + n / l);
  Asked           a;

  (void)state;
  AskExact(&a, "free_energy", "sgd", CHAIN "free_energy_temperatures=%g free_energy_prior_precision=%g", s, p, 1, T, l);
  Compare(&a, "free_energy[T=0.037]", -T * lnZ, 1e-13);
  Compare(&a, "learning_coefficient[T=0.037]", 0.5 * (r + m), 1e-12);
  Compare(&a, "learning_coefficient", 0.5, 1e-10);
  Compare(&a, "multiplicity", 1, 1e-5);
  AskClose(&a);
}

/* Two weights without a teacher: Z = e^z K_0(z) sqrt(2 z/pi), z = 1/4n; the coefficient 1/2 + z - z K_1(z)/K_0(z). */
static void test_two_weights(void **state)
{
  const PetscReal s = 0.8, l = 1.6, T[] = {3.1, 0.017, 2.3e-9};
  Asked           a;

  (void)state;
  for (int balanced = 0; balanced < 2; balanced++) {
    AskExact(&a, "free_energy", "sgd",
             CHAIN "model_coordinates=%s free_energy_temperatures=%g,%g,%g free_energy_prior_precision=%g", s, 0.0, 2,
             balanced ? "balanced" : "weights", T[0], T[1], T[2], l);
    for (int k = 0; k < 3; k++) {
      const PetscReal z = T[k] * l * l / (4 * s), k0 = gsl_sf_bessel_K0_scaled(z), k1 = gsl_sf_bessel_K1_scaled(z);
      char            name[FP_NAME];

      (void)snprintf(name, sizeof(name), "free_energy[T=%.6g]", T[k]);
      Compare(&a, name, -T[k] * log(sqrt(2 * z / PETSC_PI) * k0), 1e-12 * T[k] * 30);
      (void)snprintf(name, sizeof(name), "learning_coefficient[T=%.6g]", T[k]);
      Compare(&a, name, 0.5 + z - z * k1 / k0, 1e-12);
    }
    Compare(&a, "learning_coefficient", 0.5, 1e-8);
    Compare(&a, "multiplicity", 2, 1e-4);
    AskClose(&a);
  }
}

/* A teacher p: sqrt(n) Z -> sqrt(2/pi) K_0(|p|) with a correction of order T; either sign. */
static void test_teacher(void **state)
{
  const PetscReal T = 1e-9;
  Asked           a;

  (void)state;
  for (int sign = -1; sign < 2; sign += 2) {
    PetscReal error, F;

    AskExact(&a, "free_energy", "sgd", CHAIN "free_energy_temperatures=%g", 1.0, sign * 0.73, 2, T);
    F = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=1e-09]", &error);
    check(fabs(-F / T - 0.5 * log(T) - log(sqrt(2 / PETSC_PI) * gsl_sf_bessel_K0(0.73))) < 1e-8, "ln Z = %.12g",
          -F / T);
    Compare(&a, "learning_coefficient", 0.5, 1e-10);
    Compare(&a, "multiplicity", 1, 1e-5);
    AskClose(&a);
  }
}

typedef struct {
  double n, p, first;
} Integrand;

/* exp(-n (ab - p)^2/2 ...) of three weights with the last one integrated out, by nested adaptive quadrature */
static double Inner(double b, void *context)
{
  const Integrand *i = (const Integrand *)context;
  const double     A = i->n * PetscSqr(i->first * b);

  return exp(-0.5 * (b * b + i->n * i->p * i->p / (1 + A))) / sqrt(2 * PETSC_PI * (1 + A));
}

static double Outer(double x, void *context)
{
  static gsl_integration_workspace *work = NULL;
  Integrand                        *i    = (Integrand *)context;
  gsl_function                      f    = {Inner, context};
  double                            value, error;

  if (!work) work = gsl_integration_workspace_alloc(400);
  i->first = x;
  must(gsl_integration_qag(&f, 0, 12, 1e-14, 1e-12, 400, GSL_INTEG_GAUSS61, work, &value, &error));
  return 2 * value * exp(-0.5 * x * x) / sqrt(2 * PETSC_PI);
}

static void test_three_weights(void **state)
{
  gsl_integration_workspace *work = gsl_integration_workspace_alloc(400);

  (void)state;
  for (int k = 0; k < 2; k++) {
    const PetscReal s = 1.3, T = 0.21, p = k ? 0.9 : 0;
    Integrand       i = {.n = s / T, .p = p};
    gsl_function    f = {Outer, &i};
    double          Z, error;
    Asked           a;

    must(gsl_integration_qag(&f, 0, 12, 1e-13, 1e-11, 400, GSL_INTEG_GAUSS61, work, &Z, &error));
    AskExact(&a, "free_energy", "sgd", CHAIN "free_energy_temperatures=%g", s, p, 3, T);
    check(fabs(AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.21]", NULL) + T * log(2 * Z)) < 1e-10,
          "teacher %g", p);
    AskClose(&a);
  }
  gsl_integration_workspace_free(work);
}

/* Chains: lambda = 1/2 at every depth, m = depth without a teacher, 1 with one. */
static void test_depth(void **state)
{
  static const PetscInt depth[] = {3, 4, 5, 7};

  (void)state;
  for (size_t k = 0; k < sizeof(depth) / sizeof(depth[0]); k++)
    for (int teacher = 0; teacher < 2; teacher++) {
      Asked a;

      AskExact(&a, "free_energy", "sgd", CHAIN "model_coordinates=balanced free_energy_temperatures=0.1", 0.9,
               teacher ? 0.4 : 0.0, (int)depth[k]);
      Compare(&a, "learning_coefficient", 0.5, 1e-5);
      Compare(&a, "multiplicity", teacher ? 1 : (PetscReal)depth[k], 1e-3);
      AskClose(&a);
    }
}

/* Diagonal networks: lambda = d/2, m = 1 + (L - 1) times the number of coordinates whose teacher is zero; free energies
   of the paths add up. */
static void test_diagonal(void **state)
{
  PetscReal F[3], error[3];
  Asked     a;

  (void)state;
  AskExact(&a, "free_energy", "sgd",
           "data_type=gaussian data_teacher=0,0.6,0 data_inputs=a,b,c data_second_moment=1.2 model_type=diagonal "
           "model_depth=3 free_energy_temperatures=0.07");
  Compare(&a, "learning_coefficient", 1.5, 1e-6);
  Compare(&a, "multiplicity", 5, 1e-3);
  F[0] = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.07]", &error[0]);
  AskClose(&a);
  for (int k = 1; k < 3; k++) {
    AskExact(&a, "free_energy", "sgd", CHAIN "free_energy_temperatures=0.07", 1.2, k == 1 ? 0 : 0.6, 3);
    F[k] = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.07]", &error[k]);
    AskClose(&a);
  }
  check(fabs(F[0] - 2 * F[1] - F[2]) < 1e-12, "%.16g is not 2 x %.16g + %.16g", F[0], F[1], F[2]);
}

/* learning_coefficient = d(F/T)/d ln(1/T), by a central difference */
static void test_identity(void **state)
{
  const PetscReal T = 0.05, step = 1e-3;
  PetscReal       lnZ[2], difference, value;
  Asked           a;

  (void)state;
  AskExact(&a, "free_energy", "sgd", CHAIN "free_energy_temperatures=%.15g,%.15g,%.15g", 1.1, 0.35, 6, T * exp(-step),
           T, T * exp(step));
  lnZ[0]     = -AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.04995]", NULL) / (T * exp(-step));
  lnZ[1]     = -AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.05005]", NULL) / (T * exp(step));
  difference = -(lnZ[0] - lnZ[1]) / (2 * step);
  value      = AskValue(&a, "model", "exact", "free_energy", "learning_coefficient[T=0.05]", NULL);
  check(fabs(value - difference) < 1e-6, "%.12g, by differences %.12g", value, difference);
  AskClose(&a);
}

#define MATRIX                                                                                                         \
  "data_type=gaussian data_teacher=%s data_second_moment=1.3 data_label_noise=0.2 training_weight_decay=0.1 "

/* Aoyagi's learning coefficients of products of L matrices of 2 x 2, teachers of rank r = 0, 1, 2: (3/2, 2L - 3) where
   r = 0 (for L = 2: 1), (2, L), (2, 1). */
static void test_factorisation_limits(void **state)
{
  static const char *const teacher[] = {"0,0,0,0", "0.6,0.3,1,0.5", "0.6,0.3,-0.7,0.5"};
  static const PetscReal   lambda[]  = {1.5, 2, 2};

  (void)state;
  for (int rank = 0; rank < 3; rank++)
    for (int depth = 2; depth < (rank == 1 ? 4 : 3); depth++) {
      Asked a;

      AskExact(&a, "free_energy", "sgd",
               MATRIX "model_type=factorisation model_coordinates=aligned model_depth=%d "
                      "free_energy_temperatures=0.3",
               teacher[rank], depth);
      Compare(&a, "learning_coefficient", lambda[rank], 1e-6);
      Compare(&a, "multiplicity", rank == 1 ? depth : 1, 1e-4);
      AskClose(&a);
    }
}

/* T = 0.1: values of two steps of the Wishart kernel for three matrices, by the trapezoidal rule over both pairs of
   eigenvalues (SciPy, to the digits given). */
static void test_three_matrices(void **state)
{
  static const struct {
    const char *teacher;
    PetscReal   F;
  } known[] = {{"0,0,0,0", 0.3392604494}, {"0.6,0.3,1,0.5", 0.6107980183}, {"0.6,0.3,-0.7,0.5", 0.6399450065}};

  (void)state;
  for (int k = 0; k < 3; k++) {
    PetscReal error, F;
    Asked     a;

    AskExact(&a, "free_energy", "sgd",
             MATRIX "model_type=factorisation model_depth=3 free_energy_temperatures=0.1 free_energy_limits=false",
             known[k].teacher);
    F = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.1]", &error);
    check(fabs(F - known[k].F) < 1e-8 && error < 1e-10, "teacher %s: %.12g +- %.2g, known %.12g", known[k].teacher, F,
          error, known[k].F);
    AskClose(&a);
  }
}

/* One matrix: Z is Gaussian. Inputs correlated: rows of a file. */
#define ROWS "data_type=file data_path=%s data_inputs=a,b training_weight_decay=0.1 "

static void WriteRows(char path[])
{
  FILE *file;
  int   fd;

  strcpy(path, "/tmp/dlnfp-rows-XXXXXX");
  fd = mkstemp(path);
  assert_true(fd >= 0);
  file = fdopen(fd, "w");
  assert_non_null(file);
  fprintf(file,
          "a,b,c,d\n1.1,0.3,0.7,-0.2\n-0.4,0.9,0.1,0.5\n0.6,-1.2,-0.5,0.4\n-1.3,-0.5,-0.6,-0.9\n0.2,0.8,0.9,0.3\n");
  assert_int_equal(fclose(file), 0);
}

/* Correlated inputs, prior precision 1.4, T = 0.1. One matrix and one layer: closed forms (NumPy). Others: means over
   4.8e6 draws of the prior, the last layer of the matrices integrated out (NumPy), with their standard errors. */
static void test_correlated(void **state)
{
  static const struct {
    const char *keys;
    PetscReal   F, error, lambda;
  } known[] = {
      {"data_targets=c,d model_type=factorisation model_depth=1", 0.38670872315624677, 1e-14, 2},
      {"data_targets=c,d model_type=factorisation model_depth=2", 0.3428642570963056, 3.4e-5, 2},
      {"data_targets=c,d model_type=symmetric model_rank=1", 0.1958956163766034, 7.1e-5, 1},
      {"data_targets=c,d model_type=symmetric model_rank=2", 0.2826395062603437, 1.2e-4, 1.5},
      {"data_targets=c model_type=diagonal model_depth=2", 0.1796219547669523, 4.8e-5, 1},
      {"data_targets=c model_type=diagonal model_depth=3", 0.17150177132106992, 4.6e-5, 1},
  };
  char path[40];

  (void)state;
  WriteRows(path);
  for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
    PetscReal error, F;
    Asked     a;

    AskExact(&a, "free_energy", "sgd", ROWS "%s free_energy_temperatures=0.1 free_energy_prior_precision=1.4", path,
             known[k].keys);
    F = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.1]", &error);
    check(fabs(F - known[k].F) < 4.5 * known[k].error && error < 1e-11, "%s: %.12g +- %.2g, known %.12g", known[k].keys,
          F, error, known[k].F);
    Compare(&a, "learning_coefficient", known[k].lambda, 1e-7);
    Compare(&a, "multiplicity", 1, 1e-4);
    AskClose(&a);
  }
  must(unlink(path));
}

/* A zero teacher: with R = |U|^2 rank 1 has loss s R^2/2, R/2 exponential; E exp(-n s R^2/2) = sqrt(pi) z erfcx(z), z =
   1/sqrt(8 n s). lambda = d/4 as the loss is homogeneous of degree 4. A teacher of rank 1: (1, 5/4); negative: (1, 2) =
   d/2, a quadratic minimum. */
static void test_symmetric(void **state)
{
  static const struct {
    const char *teacher;
    PetscReal   lambda[2];
  } known[] = {{"0,0,0,0", {0.5, 1}}, {"0.98,0.42,0.42,0.18", {1, 1.25}}, {"-0.6,0.1,0.3,-0.8", {1, 2}}};

  (void)state;
  for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
    for (int rank = 1; rank < 3; rank++) {
      const PetscReal T = 0.17, z = 1 / sqrt(8 * 1.3 / T);
      Asked           a;

      AskExact(&a, "free_energy", "sgd", MATRIX "model_type=symmetric model_rank=%d free_energy_temperatures=%g",
               known[k].teacher, rank, T);
      Compare(&a, "learning_coefficient", known[k].lambda[rank - 1], 1e-6);
      Compare(&a, "multiplicity", 1, 1e-4);
      if (k == 0 && rank == 1)
        Compare(&a, "free_energy[T=0.17]", -T * log(sqrt(PETSC_PI) * z * exp(z * z) * erfc(z)), 1e-12);
      AskClose(&a);
    }
}

/* Inputs that are nearly uncorrelated, by nested quadrature, and those that are, by products of integrals over a line,
   where F is even in the correlation. */
static void test_nearly_correlated(void **state)
{
  PetscReal F[2], coefficient[2], multiplicity[2];

  (void)state;
  for (int k = 0; k < 2; k++) {
    char  path[] = "/tmp/dlnfp-rows-XXXXXX";
    FILE *file   = fdopen(mkstemp(path), "w");
    Asked a;

    assert_non_null(file);
    fprintf(file, "a,b,c\n1.5,0,1.2\n-1.5,0,-1.2\n%g,0.9,0\n%g,-0.9,0\n", k * 1e-6, k * 1e-6 * -1);
    assert_int_equal(fclose(file), 0);
    AskExact(&a, "free_energy", "sgd",
             ROWS "data_targets=c model_type=diagonal free_energy_temperatures=0.03 model_depth=3", path);
    F[k]            = AskValue(&a, "model", "exact", "free_energy", "free_energy[T=0.03]", NULL);
    coefficient[k]  = AskValue(&a, "model", "exact", "free_energy", "learning_coefficient[T=0.03]", NULL);
    multiplicity[k] = AskValue(&a, "model", "exact", "free_energy", "multiplicity", NULL);
    AskClose(&a);
    must(unlink(path));
  }
  check(fabs(F[0] - F[1]) < 1e-11, "%.15g, correlated %.15g", F[0], F[1]);
  check(fabs(coefficient[0] - coefficient[1]) < 1e-10, "%.15g, correlated %.15g", coefficient[0], coefficient[1]);
  check(fabs(multiplicity[0] - 3) < 1e-3, "multiplicity %g", multiplicity[0]);
}

/* What has no numbers says so. */
static void test_unsupported(void **state)
{
  PetscReal value, error;
  char      path[40];
  Asked     a;

  (void)state;
  WriteRows(path);
  AskExact(&a, "free_energy", "sgd", ROWS "data_targets=c,d model_type=factorisation model_depth=3", path);
  check(!AskHas(&a, "model", "exact", "free_energy", "learning_coefficient", &value, &error), "a value: %g", value);
  AskClose(&a);
  must(unlink(path));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_weight),
                                     cmocka_unit_test(test_two_weights),
                                     cmocka_unit_test(test_teacher),
                                     cmocka_unit_test(test_three_weights),
                                     cmocka_unit_test(test_depth),
                                     cmocka_unit_test(test_diagonal),
                                     cmocka_unit_test(test_identity),
                                     cmocka_unit_test(test_unsupported),
                                     cmocka_unit_test(test_factorisation_limits),
                                     cmocka_unit_test(test_three_matrices),
                                     cmocka_unit_test(test_correlated),
                                     cmocka_unit_test(test_symmetric),
                                     cmocka_unit_test(test_nearly_correlated)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

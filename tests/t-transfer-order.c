/* t-transfer-order.c: transfer operators of order 4 and Chebyshev collocation: orders, exactness on cubics, closed
   forms, finitely many maps on their invariant interval, and collocation as the reference of the matrices. */
#include "lab.h"
#include "scene.h"
#include "../src/generator/transfer.h"
#include <math.h>

static double Product(const double *z, const double *parameter)
{
  (void)parameter;
  return z[0] * z[0];
}

static double Deviation(const double *z, const double *centre)
{
  return (z[0] - centre[0]) * (z[0] - centre[0]);
}

static double Squared(const double *z, const double *centre)
{
  return (z[0] * z[0] - centre[0]) * (z[0] * z[0] - centre[0]);
}

/* Gap, E p and variance of p on grid l, p = w^2 */
static void Summary(const Lab *lab, PetscInt l, double value[3])
{
  value[0] = LabRate(lab, l, 1);
  value[1] = LabMean(lab, l, Product, NULL);
  value[2] = LabMean(lab, l, Squared, &value[1]);
}

#define BALANCED                                                                                                       \
  "model_type chain model_depth 2 model_coordinates balanced data_type rademacher data_teacher 0.8 "                   \
  "data_second_moment 1.2 data_label_noise 0.7 training_learning_rate 0.27 training_batch_size 2 "                     \
  "training_temperature 0.11 mesh_lower -2.3 mesh_upper 2.4 "

/* Collocation by 112 polynomials, and by 84, whose difference is its error */
static void Reference(double value[3])
{
  Lab    lab;
  double coarse[3];

  LabOpen(&lab, "sgd", BALANCED "mesh_cells 112 transfer_scheme chebyshev");
  LabSolve(&lab, 2);
  Summary(&lab, 0, value);
  Summary(&lab, 1, coarse);
  for (int k = 0; k < 3; k++) check(fabs(value[k] - coarse[k]) < 2e-12, "%d: %.15g, %.15g", k, value[k], coarse[k]);
  LabClose(&lab);
}

static void test_orders(void **state)
{
  static const char *const name[3] = {"gap", "E p", "variance of p"};
  double                   exact[3];

  (void)state;
  Reference(exact);
  for (int order = 2; order <= 4; order += 2) {
    char   keys[512];
    double fine[3], coarse[3];
    Lab    lab;

    snprintf(keys, sizeof(keys), BALANCED "mesh_cells 192 transfer_order %d", order);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 2);
    Summary(&lab, 0, fine);
    Summary(&lab, 2, coarse);
    for (int k = 0; k < 3; k++) {
      const double p = log((coarse[k] - exact[k]) / (fine[k] - exact[k])) / log(2);

      print_message("  order %d: %s off by %.2e, order %.3f\n", order, name[k], fine[k] - exact[k], p);
      check(p > order - 0.15 && p < order + 0.15, "%s: order %g", name[k], p);
    }
    check(lab.order == order, "order %d", (int)lab.order);
    LabClose(&lab);
  }
}

/* Extrapolated from 640, 480 and 320 cells */
static void test_reference(void **state)
{
  static const char *const name[3] = {"gap", "E p", "variance of p"};
  double                   exact[3], v[3][FP_MAX_LEVELS], on[3];
  Lab                      lab;

  (void)state;
  Reference(exact);
  LabOpen(&lab, "sgd", BALANCED "mesh_cells 640 transfer_order 4");
  LabSolve(&lab, 1);
  for (PetscInt l = 0; l < lab.levels; l++) {
    Summary(&lab, l, on);
    for (int k = 0; k < 3; k++) v[k][l] = on[k];
  }
  for (int k = 0; k < 3; k++) {
    double value, error;

    LabBound(&lab, v[k], k ? 1e-13 : LabResidual(&lab, 0, 1), &value, &error);
    LabWithin(name[k], value, error, exact[k], 1e-8);
    check(fabs(value - exact[k]) < 1e-10, "%s off by %g", name[k], value - exact[k]);
  }
  LabClose(&lab);
}

/* Two grids of 6 to 32 cells: they do not tell the order, so their difference is the bound. An order of 4 taken for
   granted left the gap up to nine times outside. */
static void test_two_grids(void **state)
{
  static const char *const name[3] = {"gap", "E p", "variance of p"};
  double                   exact[3];

  (void)state;
  Reference(exact);
  for (int cells = 12; cells <= 32; cells += cells == 12 ? 6 : 2) {
    double v[3][FP_MAX_LEVELS], on[3];
    char   keys[512];
    Lab    lab;

    snprintf(keys, sizeof(keys), BALANCED "mesh_cells %d mesh_refine 1 transfer_order 4", cells);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 1);
    assert_int_equal(lab.levels, 2);
    for (PetscInt l = 0; l < 2; l++) {
      Summary(&lab, l, on);
      for (int k = 0; k < 3; k++) v[k][l] = on[k];
    }
    for (int k = 0; k < 3; k++) {
      double value, error;

      LabBound(&lab, v[k], 0, &value, &error);
      check(fabs(value - exact[k]) <= error, "%d cells, %s: %g +- %g, exact %g", cells, name[k], value, error,
            exact[k]);
    }
    LabClose(&lab);
  }
}

/* Four rows at a time at order 2: the lattice of batches becomes finer with the mesh, so that answers converge. */
static void test_fine_lattice(void **state)
{
#define FOUR_ROWS                                                                                                      \
  "model_type=chain model_depth=2 model_coordinates=balanced data_type=file data_path=data/diabetes_bmi.csv "          \
  "data_inputs=body_mass_index data_targets=disease_progression data_standardize=true training_learning_rate=0.22 "    \
  "training_batch_size=4 training_weight_decay=0.03 training_temperature=0.45 mesh_lower=-2.4 mesh_upper=2.5 "         \
  "mesh_refine=1 autocorrelation_times=0.22 "
  const double exact  = SceneAnswer("autocorrelation", "sgd", FOUR_ROWS "mesh_cells=192 transfer_order=4", "p[t=0.22]");
  const double coarse = SceneAnswer("autocorrelation", "sgd", FOUR_ROWS "mesh_cells=160", "p[t=0.22]") - exact;
  const double fine   = SceneAnswer("autocorrelation", "sgd", FOUR_ROWS "mesh_cells=320", "p[t=0.22]") - exact;
  const double order  = log2(coarse / fine);

  (void)state;
  print_message("  autocorrelation %.6g off by %.2e and %.2e, order %.2f\n", exact, coarse, fine, order);
  check(order > 1.7 && order < 2.4 && fabs(coarse) < 5e-3 * exact, "order %g, off by %g", order, coarse);
}

/* Value at z of a function on the nodes, by the operator's own interpolation */
static double At(FPGenerator gen, PetscInt n, double z, const PetscReal f[])
{
  double     sum = 0;
  PetscReal *share;

  must(PetscMalloc1(n, &share));
  must(FPGeneratorShares(gen, 0, z, 0, share));
  for (PetscInt k = 0; k < n; k++) sum += share[k] * f[k];
  must(PetscFree(share));
  return sum;
}

/* Mean time to leave [0.3, 1.4] from 0.71, by collocation on that interval with absorbing walls */
static double ExitReference(const char degree[])
{
  Lab        lab;
  char       keys[512];
  PetscInt   n;
  PetscReal *time;
  double     value;

  snprintf(keys, sizeof(keys),
           BALANCED "training_temperature 0.21 mesh_lower 0.3 mesh_upper 1.4 mesh_faces absorbing mesh_refine 1 "
                    "transfer_scheme chebyshev "
                    "mesh_cells %s",
           degree);
  LabOpen(&lab, "sgd", keys);
  LabSolve(&lab, 1);
  must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, NULL, NULL, NULL));
  must(PetscMalloc1(n, &time));
  for (PetscInt k = 0; k < n; k++) time[k] = 1;
  must(FPGeneratorInvert(lab.gen[0], PETSC_TRUE, 0, time, time));
  value = At(lab.gen[0], n, 0.71, time);
  must(PetscFree(time));
  LabClose(&lab);
  return value;
}

/* The region is the middle third of the mesh, so that its ends are faces of cells on every grid. */
static void test_exit(void **state)
{
  const double exact = ExitReference("48"), again = ExitReference("36");

  (void)state;
  check(fabs(exact - again) < 1e-10, "collocation: %.15g, %.15g", exact, again);
  for (int order = 2; order <= 4; order += 2) {
    double error[2], p;

    for (int k = 0; k < 2; k++) {
      char keys[700];

      snprintf(keys, sizeof(keys),
               "model_type=chain model_depth=2 model_coordinates=balanced data_type=rademacher data_teacher=0.8 "
               "data_second_moment=1.2 data_label_noise=0.7 training_learning_rate=0.27 training_batch_size=2 "
               "training_temperature=0.21 mesh_lower=-0.8 mesh_upper=2.5 exit_region=box exit_center=0.85 "
               "exit_radius=0.55 exit_start=0.71 mesh_cells=%d transfer_order=%d",
               192 << k, order);
      error[k] = SceneAnswer("exit", "sgd", keys, "mean_time") - exact;
    }
    p = log(error[0] / error[1]) / log(2);
    print_message("  order %d: mean exit time %.10g off by %.2e, order %.3f\n", order, exact, error[1], p);
    check(p > order - 0.2 && p < order + 0.2, "mean exit time: order %g", p);
  }
}

/* P keeps 1 to rounding, and cubics are taken to what they are, E w'^3: w' = a + b n for a normal n. Row sums of the
   signed matrix are those of a chain, while entries are not. */
static void test_cubics(void **state)
{
  Lab              lab;
  FPGeneratorInfo  info;
  PetscInt         n;
  const PetscReal *z;
  PetscReal       *f, *Pf;

  (void)state;
  LabOpen(&lab, "sgd", BALANCED "mesh_cells 40 transfer_order 4 mesh_refine 1");
  LabSolve(&lab, 1);
  must(FPGeneratorGetInfo(lab.gen[0], &info));
  check(info.interpolates && info.most_negative_rate < -1e-6, "most negative rate %g", info.most_negative_rate);
  check(info.worst_row_sum < 1e-13, "row sum %g", info.worst_row_sum);
  must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, &z, NULL, NULL));
  must(PetscMalloc2(n, &f, n, &Pf));
  for (PetscInt k = 0; k < n; k++) f[k] = z[k] * z[k] * z[k];
  must(FPGeneratorApply(lab.gen[0], PETSC_TRUE, f, Pf));
  for (PetscInt k = 0; k < n; k++) {
    const double w = z[k], a = w - 0.27 * 1.2 * (w * w - 0.8) * w;
    const double b2  = 0.27 * 0.27 * 0.49 * 1.2 / 2 * w * w + 2 * 0.27 * 0.11 / 2;
    const double got = f[k] + 0.27 * Pf[k], exact = a * a * a + 3 * a * b2;

    if (fabs(w) > 0.6) continue; /* farther out walls mirror what steps there */
    check(fabs(got - exact) < 1e-12, "E w'^3 from %g: %.15g, exact %.15g", w, got, exact);
  }
  must(PetscFree2(f, Pf));
  LabClose(&lab);
}

/* A mean within the bound of collocation, to which a run adds the rounding of moments */
static void MeanWithin(const Lab *lab, const char what[], LabFunction f, const double *parameter, double exact,
                       double tolerance)
{
  double v[FP_MAX_LEVELS], value, error;

  for (PetscInt l = 0; l < lab->levels; l++) v[l] = LabMean(lab, l, f, parameter);
  LabBound(lab, v, 1e-13 * fabs(v[0]), &value, &error);
  LabWithin(what, value, error, exact, tolerance);
}

/* One weight: mu_n = E (1 - eta X)^n and the variance; truth inside the bound at every degree, which falls with it.
   Signs have X = s, and the law is normal; Gaussian data have tails that the walls cut. */
static void test_collocation(void **state)
{
  static const int degree[] = {12, 16, 24, 32, 48, 64, 96};
  const double     eta = 0.19, s = 1.3, v = 0.36, centre[1] = {0.7}, h = eta * s;

  (void)state;
  for (int k = 0; k < 7; k++) {
    const int    gaussian = k == 6;
    const double square   = 1 - 2 * h + h * h * (gaussian ? 5.0 / 3 : 1); /* E (1 - eta X)^2 */
    const double loose    = degree[k] < 24 ? 1e-3 : degree[k] < 32 ? 1e-5 : degree[k] < 48 ? 1e-7 : 3e-9;
    char         keys[512];
    Lab          lab;

    snprintf(keys, sizeof(keys),
             "model_type chain model_depth 1 data_type %s data_teacher 0.7 data_second_moment 1.3 data_label_noise "
             "0.6 training_learning_rate 0.19 training_batch_size 3 mesh_lower %s mesh_upper %s mesh_cells %d "
             "transfer_scheme chebyshev",
             gaussian ? "gaussian" : "rademacher", gaussian ? "-2.1" : "-0.4", gaussian ? "3.9" : "1.75", degree[k]);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 4);
    check(lab.order == 0, "order %d", (int)lab.order);
    print_message("  %d polynomials:\n", degree[k]);
    MeanWithin(&lab, "variance", Deviation, centre, eta * eta * v * s / 3 / (1 - square), loose);
    LabRateWithin(&lab, "first rate", 1, -log(1 - h) / eta, loose);
    LabRateWithin(&lab, "second rate", 2, -log(square) / eta, 10 * loose);
    LabClose(&lab);
  }
}

static void WriteRows(char file[], int n, const double row[][2])
{
  FILE *f = fdopen(mkstemp(file), "w");

  fprintf(f, "x,y\n");
  for (int i = 0; i < n; i++) fprintf(f, "%.17g,%.17g\n", row[i][0], row[i][1]);
  fclose(f);
}

/* Two rows, no noise: w' = A w + C with two maps. Moments and mu_n = E A^n are exact, and the hull of the attractor
   ends at the fixed points of the maps. */
static void test_two_points(void **state)
{
  const double eta = 0.37, row[2][2] = {{1.1, 0.9}, {0.8, -0.3}};
  char         file[] = "/tmp/dlnfp-rows-XXXXXX", keys[512];
  double       a[4] = {0}, ac = 0, c = 0, cc = 0, mean;
  const FPBox *box;

  FPGeneratorInfo info;
  FPMesh          mesh;
  Lab             lab;

  (void)state;
  WriteRows(file, 2, row);
  for (int i = 0; i < 2; i++) {
    const double A = 1 - eta * row[i][0] * row[i][0], C = eta * row[i][0] * row[i][1];

    for (int n = 1; n < 4; n++) a[n] += pow(A, n) / 2;
    c += C / 2;
    cc += C * C / 2;
    ac += A * C / 2;
  }
  mean = c / (1 - a[1]);
  snprintf(keys, sizeof(keys),
           "model_type chain model_depth 1 data_type file data_path %s data_inputs x data_targets y "
           "training_learning_rate 0.37 training_batch_size 1 mesh_lower -4 mesh_upper 5 mesh_cells 24 "
           "transfer_scheme chebyshev",
           file);
  LabOpen(&lab, "sgd", keys);
  LabSolve(&lab, 3);
  must(FPGeneratorGetInfo(lab.gen[0], &info));
  check(info.finite, "not known as finitely many maps");
  must(FPGeneratorGetSetting(lab.gen[0], &mesh, NULL, NULL));
  must(FPMeshGetBox(mesh, &box));
  check(fabs(box->lower[0] + 0.375) < 1e-12 && fabs(box->upper[0] - 0.9 / 1.1) < 1e-12, "interval [%.15g, %.15g]",
        box->lower[0], box->upper[0]);
  MeanWithin(&lab, "variance", Deviation, &mean, (2 * ac * mean + cc) / (1 - a[2]) - mean * mean, 1e-11);
  for (PetscInt n = 1; n < 4; n++) LabRateWithin(&lab, "rate", n, -log(a[n]) / eta, 1e-6);
  LabClose(&lab);
  must(remove(file));
}

/* Two rows on a balanced 2-chain, B = 1 and 3. Numbers: f -> sum over the maps of f(w'), cubic splines on 10001 and
   20001 points of the interval, iterated until constant (they agree to 1e-15). The interval ends at the fixed points
   (y/x)^(1/2). */
static void test_two_points_deep(void **state)
{
  const double row[2][2]   = {{1.1, 0.9}, {0.8, 0.35}};
  const double exact[2][3] = {{1.49953766747522, 0.677099534849698, 0.0124896681440850},
                              {1.75996663712202, 0.683394550325181, 0.00420180345797335}};

  (void)state;
  for (int k = 0; k < 2; k++) {
    char         file[] = "/tmp/dlnfp-rows-XXXXXX", keys[512];
    const FPBox *box;

    FPMesh mesh;
    Lab    lab;

    WriteRows(file, 2, row);
    snprintf(keys, sizeof(keys),
             "model_type chain model_depth 2 model_coordinates balanced data_type file data_path %s data_inputs x "
             "data_targets y training_learning_rate 0.47 training_batch_size %d mesh_lower 0.1 mesh_upper 2 "
             "mesh_cells 32 transfer_scheme chebyshev",
             file, k ? 3 : 1);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 2);
    must(FPGeneratorGetSetting(lab.gen[0], &mesh, NULL, NULL));
    must(FPMeshGetBox(mesh, &box));
    check(fabs(box->lower[0] - sqrt(0.35 / 0.8)) < 1e-13 && fabs(box->upper[0] - sqrt(0.9 / 1.1)) < 1e-13,
          "interval [%.15g, %.15g]", box->lower[0], box->upper[0]);
    LabRateWithin(&lab, "gap", 1, exact[k][0], 1e-10);
    MeanWithin(&lab, "E p", Product, NULL, exact[k][1], 1e-10);
    MeanWithin(&lab, "variance of p", Squared, &exact[k][1], exact[k][2], 1e-8);
    LabClose(&lab);
    must(remove(file));
  }
}

/* Twelve rows in batches of five are put on a lattice, which at order 4 keeps three moments: E w'^3 against sums. */
static void test_lattice(void **state)
{
  const double eta = 0.23, T = 0.07;
  double       row[12][2], w = 0;
  char         file[] = "/tmp/dlnfp-rows-XXXXXX", keys[512];

  (void)state;
  for (int i = 0; i < 12; i++) {
    row[i][0] = 0.4 + 0.3 * sin(1.7 * i) + 0.05 * i;
    row[i][1] = cos(2.3 * i) + 0.1 * i * i / 12;
  }
  WriteRows(file, 12, row);
  for (int order = 2; order <= 4; order += 2) {
    PetscInt         n;
    const PetscReal *z;
    PetscReal       *f, *Pf;
    double           worst = 0;
    Lab              lab;

    snprintf(keys, sizeof(keys),
             "model_type chain model_depth 1 data_type file data_path %s data_inputs x data_targets y "
             "training_learning_rate 0.23 training_batch_size 5 training_temperature 0.07 mesh_lower -5 mesh_upper 6.2 "
             "mesh_cells 64 mesh_refine 1 transfer_order %d",
             file, order);
    LabOpen(&lab, "sgd", keys);
    LabSolve(&lab, 1);
    must(FPGeneratorGetNodes(lab.gen[0], &n, NULL, &z, NULL, NULL));
    must(PetscMalloc2(n, &f, n, &Pf));
    for (PetscInt k = 0; k < n; k++) f[k] = z[k] * z[k] * z[k];
    must(FPGeneratorApply(lab.gen[0], PETSC_TRUE, f, Pf));
    for (PetscInt k = 0; k < n; k++) {
      double m = 0, c2 = 0, c3 = 0, exact;

      w = z[k];
      if (fabs(w) > 2) continue;
      for (int i = 0; i < 12; i++) m += (w * row[i][0] - row[i][1]) * row[i][0] / 12;
      for (int i = 0; i < 12; i++) {
        const double d = (w * row[i][0] - row[i][1]) * row[i][0] - m;

        c2 += d * d / 12 / 5;
        c3 += d * d * d / 12 / 25;
      }
      c2    = eta * eta * c2 + 2 * eta * T;
      c3    = -eta * eta * eta * c3;
      m     = w - eta * m;
      exact = m * m * m + 3 * m * c2 + c3;
      worst = fmax(worst, fabs(f[k] + eta * Pf[k] - exact));
    }
    print_message("  order %d: E w'^3 off by %.2e\n", order, worst);
    check(order == 4 ? worst < 1e-11 : worst > 1e-3, "order %d: E w'^3 is off by %g", order, worst);
    must(PetscFree2(f, Pf));
    LabClose(&lab);
  }
  must(remove(file));
}

/* The law of a step on batches of five of those rows by itself: mean and variance exact on a lattice as wide as half
   the injected noise, and the third cumulant at order 4. */
static void test_moments_of_lattice(void **state)
{
  const double eta = 0.23, T = 0.07, z = 0.64;
  double       row[12][2], exact[4] = {0};
  char         file[] = "/tmp/dlnfp-rows-XXXXXX";

  (void)state;
  for (int i = 0; i < 12; i++) {
    row[i][0] = 0.4 + 0.3 * sin(1.7 * i) + 0.05 * i;
    row[i][1] = cos(2.3 * i) + 0.1 * i * i / 12;
    exact[1] += (z * row[i][0] - row[i][1]) * row[i][0] / 12;
  }
  for (int i = 0; i < 12; i++)
    for (int c = 2; c < 4; c++) exact[c] += pow((z * row[i][0] - row[i][1]) * row[i][0] - exact[1], c) / 12;
  WriteRows(file, 12, row);
  for (int order = 2; order <= 4; order += 2) {
    const FPTransferOptions options = {.nodes = 12, .batch_law = "exact", .order = order, .scheme = "local"};
    double                  mean = 0, cumulant[4] = {0};
    FPMixture               m = {0};
    FPStepLaw               law;
    Scene                   s;

    SceneOpen(
        &s, "sgd",
        "model_type=chain model_depth=1 data_type=file data_path=%s data_inputs=x data_targets=y "
        "training_learning_rate=0.23 training_batch_size=5 training_temperature=0.07 mesh_lower=-5 mesh_upper=6.2 "
        "mesh_cells=64",
        file);
    must(FPStepLawCreate(s.process, &options, 0.5, 1, &law));
    must(FPStepLawAt(law, &z, &m));
    for (int i = 0; i < m.n; i++) mean += m.weight[i] * m.at[0][i];
    for (int i = 0; i < m.n; i++)
      for (int c = 2; c < 4; c++) cumulant[c] += m.weight[i] * pow(m.at[0][i] - mean, c);
    check(m.n < 1000 && m.n > 10, "%d points", (int)m.n);
    check(fabs(m.injected - sqrt(2 * eta * T)) < 1e-15, "injected %g", m.injected);
    check(fabs(mean - z + eta * exact[1]) < 1e-12, "order %d: mean %.15g", order, mean);
    check(fabs(cumulant[2] / (eta * eta * exact[2] / 5) - 1) < 1e-10, "order %d: variance %.15g, exact %.15g", order,
          cumulant[2], eta * eta * exact[2] / 5);
    if (order == 4)
      check(fabs(cumulant[3] / (-pow(eta, 3) * exact[3] / 25) - 1) < 1e-8, "third cumulant %.15g", cumulant[3]);
    must(FPMixtureFree(&m));
    must(FPStepLawDestroy(&law));
    SceneClose(&s);
  }
  must(remove(file));
}

/* In the plane, two weights: all moments of a step up to the third, and the order of gap and E p from three grids. */
static void test_plane(void **state)
{
  static const int cells[3] = {18, 24, 32};
  const double     eta = 0.23, s = 1.1, p = 0.9, v = 0.49, T = 0.21;
  double           value[2][3];

  (void)state;
  for (int c = 0; c < 3; c++) {
    char             keys[512];
    PetscInt         n;
    const PetscReal *z, *pi;
    PetscReal       *f, *Pf;
    Scene            scene;

    snprintf(keys, sizeof(keys),
             "model_type=chain model_depth=2 model_coordinates=weights data_type=rademacher data_teacher=0.9 "
             "data_second_moment=1.1 data_label_noise=0.7 training_learning_rate=0.23 training_batch_size=2 "
             "training_temperature=0.21 mesh_lower=-2.7,-2.6 mesh_upper=2.6,2.7 mesh_cells=%d,%d transfer_order=4",
             cells[c], cells[c]);
    SceneOpen(&scene, "sgd", "%s", keys);
    must(FPGeneratorSolve(SceneGrid(&scene, 0), 2));
    must(FPGeneratorGetNodes(scene.gen, &n, NULL, &z, NULL, NULL));
    must(FPGeneratorStationary(scene.gen, &pi));
    must(PetscMalloc2(n, &f, n, &Pf));
    for (PetscInt k = 0; k < n; k++) f[k] = z[k] * z[k] * z[n + k];
    must(FPGeneratorApply(scene.gen, PETSC_TRUE, f, Pf));
    value[0][c] = value[1][c] = 0;
    for (PetscInt k = 0; k < n; k++) {
      const double w1 = z[k], w2 = z[n + k], e = s * (w1 * w2 - p), g = v * s / 2;
      const double m1 = w1 - eta * e * w2, m2 = w2 - eta * e * w1;
      const double c11 = eta * eta * g * w2 * w2 + 2 * eta * T, c12 = eta * eta * g * w1 * w2;
      const double exact = m1 * m1 * m2 + m2 * c11 + 2 * m1 * c12;

      value[1][c] += pi[k] * w1 * w2;
      if (hypot(w1, w2) > 0.4 || c < 2) continue;
      check(fabs(f[k] + eta * Pf[k] - exact) < 1e-10, "E w1'^2 w2' from (%g, %g): %.12g, exact %.12g", w1, w2,
            f[k] + eta * Pf[k], exact);
    }
    {
      const PetscReal *rate;

      must(FPGeneratorGetModes(scene.gen, NULL, &rate, NULL, NULL));
      value[0][c] = rate[1];
    }
    must(PetscFree2(f, Pf));
    SceneClose(&scene);
  }
  for (int q = 0; q < 2; q++) { /* spacings are as 16 : 12 : 9 */
    const double order = log((value[q][1] - value[q][0]) / (value[q][2] - value[q][1])) / log(4.0 / 3);

    print_message("  %s: %.8g, order %.2f\n", q ? "E p" : "gap", value[q][2], order);
    check(order > 3.5 && order < 4.6, "%s: order %g", q ? "E p" : "gap", order);
  }
}

/* In the plane, batches of two rows out of 442: their lattice has negative shares, without which rows had sums above 1.
   Each step keeps the mean, E w' = w - eta grad L. */
static void test_plane_rows(void **state)
{
  const double     eta = 0.21;
  PetscInt         n, checked = 0;
  const PetscReal *z;
  PetscReal       *P;
  Scene            s;

  (void)state;
  SceneOpen(&s, "sgd",
            "model_type=chain model_depth=2 model_coordinates=weights data_type=file data_path=data/diabetes_bmi.csv "
            "data_inputs=body_mass_index data_targets=disease_progression data_standardize=true "
            "training_learning_rate=%g training_batch_size=2 training_temperature=0.17 mesh_lower=-2.6,-2.7 "
            "mesh_upper=2.7,2.6 mesh_cells=18,18 transfer_order=4",
            eta);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
  must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, NULL, NULL));
  must(PetscMalloc1(n, &P));
  must(FPGeneratorApply(s.gen, PETSC_TRUE, z, P));
  for (PetscInt k = 0; k < n; k++) {
    const double w[2] = {z[k], z[n + k]};
    double       g[2];

    if (hypot(w[0], w[1]) > 0.6) continue; /* farther out walls mirror */
    FPModelGradient(s.model, 1, w, g);
    checked++;
    check(fabs(P[k] + g[0]) < 1e-8, "mean step of w1 from (%g, %g): %.12g, exact %.12g", w[0], w[1], P[k], -g[0]);
  }
  check(checked > 8, "%d nodes", (int)checked);
  must(PetscFree(P));
  SceneClose(&s);
}

/* One sample's gradient of |w w.x - y|^2/2: (e x^T + x e^T) w, e = w w.x - y */
static void SymmetricGradient(const double w[2], const double row[4], double g[2])
{
  const double wx = w[0] * row[0] + w[1] * row[1], e[2] = {w[0] * wx - row[2], w[1] * wx - row[3]};
  const double ew = e[0] * w[0] + e[1] * w[1];

  for (int a = 0; a < 2; a++) g[a] = e[a] * wx + row[a] * ew;
}

/* Two weights of the symmetric model on five rows, in batches of three, T > 0: E w1'^2 w2' from every node by a sum
   over all 125 batches. */
static void test_symmetric(void **state)
{
  static const double row[5][4] = {{0.9, -0.4, 0.8, 0.1},
                                   {-0.6, 1.1, -0.5, 0.7},
                                   {0.2, 0.7, 0.4, 0.3},
                                   {1.2, 0.3, 0.9, -0.2},
                                   {-0.3, -0.8, 0.2, -0.6}};
  const double        eta = 0.13, T = 0.19;
  char                file[] = "/tmp/dlnfp-rows-XXXXXX";
  FILE               *f;
  PetscInt            n, checked = 0;
  const PetscReal    *z;
  PetscReal          *cubic, *P;
  Scene               s;

  (void)state;
  f = fdopen(mkstemp(file), "w");
  fprintf(f, "a,b,c,d\n");
  for (int i = 0; i < 5; i++) fprintf(f, "%g,%g,%g,%g\n", row[i][0], row[i][1], row[i][2], row[i][3]);
  fclose(f);
  SceneOpen(&s, "sgd",
            "model_type=symmetric model_rank=1 data_type=file data_path=%s data_inputs=a,b data_targets=c,d "
            "training_learning_rate=0.13 training_batch_size=3 training_temperature=0.19 mesh_lower=-2.9,-2.8 "
            "mesh_upper=2.8,2.9 mesh_cells=24,24 transfer_order=4",
            file);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
  must(FPGeneratorGetNodes(s.gen, &n, NULL, &z, NULL, NULL));
  must(PetscMalloc2(n, &cubic, n, &P));
  for (PetscInt k = 0; k < n; k++) cubic[k] = z[k] * z[k] * z[n + k];
  must(FPGeneratorApply(s.gen, PETSC_TRUE, cubic, P));
  for (PetscInt k = 0; k < n; k++) {
    const double w[2] = {z[k], z[n + k]};
    double       g[5][2], exact = 0;

    if (hypot(w[0], w[1]) > 0.7) continue;
    for (int i = 0; i < 5; i++) SymmetricGradient(w, row[i], g[i]);
    for (int b = 0; b < 125; b++) {
      const int    i[3] = {b % 5, b / 5 % 5, b / 25};
      const double x    = w[0] - eta / 3 * (g[i[0]][0] + g[i[1]][0] + g[i[2]][0]);
      const double y    = w[1] - eta / 3 * (g[i[0]][1] + g[i[1]][1] + g[i[2]][1]);

      exact += (x * x + 2 * eta * T) * y / 125;
    }
    checked++;
    check(fabs(cubic[k] + eta * P[k] - exact) < 1e-11, "E w1'^2 w2' from (%g, %g): %.14g, exact %.14g", w[0], w[1],
          cubic[k] + eta * P[k], exact);
  }
  check(checked > 20, "%d nodes", (int)checked);
  must(PetscFree2(cubic, P));
  SceneClose(&s);
  must(remove(file));
}

/* Two weights of the symmetric model: E cos(k.w') from w over batches of Gaussian inputs (Gauss-Hermite), of signs (all
   of them) and of 40 rows (all of them). Given the inputs, label noise xi moves w by -eta ((x.w) xi + (xi.w) x). */
#define BATCH_NODES 12
typedef struct {
  double w[2], k[2], teacher[4], s, sigma, eta, T;
  int    B;       /* samples of a step of time eta */
  double part[3]; /* of each of them in the gradient */
} Cosine;

/* Of inputs x[B][2], and where row[B][4] is given of those rows without noise */
static double CosineOf(const Cosine *c, const double x[][2], const double (*row)[4])
{
  double mean[2] = {c->w[0], c->w[1]}, square = 0;

  for (int b = 0; b < c->B; b++) {
    double u[4] = {x[b][0], x[b][1], 0, 0}, g[2], wx;

    for (int i = 0; i < 2; i++)
      u[2 + i] = row ? row[b][2 + i] : c->teacher[2 * i] * x[b][0] + c->teacher[2 * i + 1] * x[b][1];
    SymmetricGradient(c->w, u, g);
    wx = c->w[0] * x[b][0] + c->w[1] * x[b][1];
    for (int i = 0; i < 2; i++) {
      mean[i] -= c->eta * c->part[b] * g[i];
      square +=
          pow(c->eta * c->part[b] * c->sigma * (wx * c->k[i] + (c->k[0] * x[b][0] + c->k[1] * x[b][1]) * c->w[i]), 2);
    }
  }
  square += 2 * c->eta * c->T * (c->k[0] * c->k[0] + c->k[1] * c->k[1]);
  return cos(c->k[0] * mean[0] + c->k[1] * mean[1]) * exp(-square / 2);
}

/* Nodes and weights of N(0, 1), by Newton's method on Hermite polynomials */
static void Hermite(int n, double node[], double weight[])
{
  for (int i = 0; i < n; i++) {
    double t = 0, p = 0, q = 1;

    t = i == 0 ? sqrt(4.0 * n + 2) - 1.85575 * pow(2.0 * n + 1, -1.0 / 6) * M_SQRT2 : node[i - 1] - 0.4;
    for (int step = 0; step < 200; step++) {
      double sum = 0, change;

      p = 1;
      q = 0;
      for (int k = 0; k < n; k++) {
        const double next = (t * p - sqrt(k) * q) / sqrt(k + 1.0);

        q = p;
        p = next;
      }
      for (int j = 0; j < i; j++) sum += 1 / (t - node[j]);
      change = p / (sqrt(n) * q - p * sum);
      t -= change;
      if (fabs(change) < 1e-14) break;
    }
    node[i]   = t;
    weight[i] = 1 / (n * q * q);
  }
}

static double CosineGaussian(const Cosine *c)
{
  double node[BATCH_NODES], weight[BATCH_NODES], sum = 0;
  int    total = 1;

  Hermite(BATCH_NODES, node, weight);
  for (int a = 0; a < 2 * c->B; a++) total *= BATCH_NODES;
  for (int k = 0; k < total; k++) {
    double x[2][2], mass = 1;

    for (int a = 0, rest = k; a < 2 * c->B; a++, rest /= BATCH_NODES) {
      x[a / 2][a % 2] = sqrt(c->s) * node[rest % BATCH_NODES];
      mass *= weight[rest % BATCH_NODES];
    }
    sum += mass * CosineOf(c, x, NULL);
  }
  return sum;
}

static double CosineSigns(const Cosine *c)
{
  double sum = 0;

  for (int k = 0; k < 1 << 2 * c->B; k++) {
    double x[3][2];

    for (int a = 0; a < 2 * c->B; a++) x[a / 2][a % 2] = k >> a & 1 ? sqrt(c->s) : -sqrt(c->s);
    sum += CosineOf(c, x, NULL) / (1 << 2 * c->B);
  }
  return sum;
}

static double CosineRows(const Cosine *c, const double row[40][4])
{
  double sum = 0;

  for (int k = 0; k < 64000; k++) {
    const int i[3] = {k % 40, k / 40 % 40, k / 1600};
    double    u[3][4], x[3][2];

    for (int b = 0; b < 3; b++) {
      memcpy(u[b], row[i[b]], sizeof(u[b]));
      memcpy(x[b], row[i[b]], sizeof(x[b]));
    }
    sum += CosineOf(c, x, (const double(*)[4])u) / 64000;
  }
  return sum;
}

/* The same by the points of a step that the operator is made of */
static double CosineOfStep(const Cosine *c, const char process[], const char type[], int nodes)
{
  const FPTransferOptions options = {.nodes = nodes, .batch_law = "exact", .order = 2, .scheme = "local"};
  FPMixture               m       = {0};
  FPStepLaw               law;
  Scene                   s;
  const int               two = !strcmp(process, "svag");
  double                  sum = 0;

  SceneOpen(
      &s, process,
      "model_type=symmetric model_rank=1 %s training_learning_rate=%.17g training_batch_size=%d svag_svag_order=2 "
      "training_temperature=%.17g mesh_lower=-2,-2 mesh_upper=2,2 mesh_cells=16,16",
      type, two ? 2 * c->eta : c->eta, two ? c->B / 2 : c->B, c->T);
  must(FPStepLawCreate(s.process, &options, 0.25, 1, &law));
  must(FPStepLawAt(law, c->w, &m));
  for (int i = 0; i < m.n; i++)
    sum += m.weight[i] * cos(c->k[0] * m.at[0][i] + c->k[1] * m.at[1][i]) *
           exp(-0.5 * (pow(m.normal[0] * c->k[0], 2) + pow(m.normal[1] * c->k[1], 2)));
  must(FPMixtureFree(&m));
  must(FPStepLawDestroy(&law));
  SceneClose(&s);
  return sum;
}

/* 5, 7 and 9 moments are ever nearer, at waves of one and two standard deviations of the injected noise. SVAG of order
   2 draws two samples, of which the second counts against the first. */
static void test_vectors(void **state)
{
  static const char *const process[5] = {"sgd", "sgd", "sgd", "svag", "svag"};
  static const char *const data[3]    = {
         "data_type=gaussian data_teacher=0.9,0.2,-0.1,0.6 data_second_moment=0.8 data_label_noise=0.7",
         "data_type=rademacher data_teacher=0.9,0.2,-0.1,0.6 data_second_moment=0.8 data_label_noise=0.7",
         "data_type=file data_inputs=a,b data_targets=c,d data_path="};
  double row[40][4];
  char   file[] = "/tmp/dlnfp-rows-XXXXXX", keys[400];
  FILE  *f      = fdopen(mkstemp(file), "w");

  (void)state;
  fprintf(f, "a,b,c,d\n");
  for (int i = 0; i < 40; i++) {
    for (int a = 0; a < 4; a++) row[i][a] = sin(1.7 * i + 2.1 * a) + 0.4 * cos(3.3 * i * (a + 1));
    fprintf(f, "%.17g,%.17g,%.17g,%.17g\n", row[i][0], row[i][1], row[i][2], row[i][3]);
  }
  fclose(f);
  for (int kind = 0; kind < 5; kind++)
    for (int wave = 1; wave <= 2; wave++) {
      const double eta = kind < 3 ? 0.11 : 0.03, sd = sqrt(2 * eta * 0.2);
      Cosine       c = {.w       = {0.83, -0.31},
                        .k       = {0.8 * wave / sd, -0.6 * wave / sd},
                        .teacher = {0.9, 0.2, -0.1, 0.6},
                        .s       = 0.8,
                        .sigma   = kind != 2 ? 0.7 : 0,
                        .eta     = eta,
                        .T       = 0.2,
                        .B       = kind == 1 || kind == 2 ? 3 : 2};
      double       exact, off[3];

      for (int b = 0; b < c.B; b++) c.part[b] = kind < 3 ? 1. / c.B : (1 + (b ? -1 : 1) * sqrt(3)) / 2;
      exact = kind % 3 == 0 ? CosineGaussian(&c) : kind == 2 ? CosineRows(&c, row) : CosineSigns(&c);
      (void)snprintf(keys, sizeof(keys), "%s%s", data[kind % 3], kind == 2 ? file : "");
      for (int n = 0; n < 3; n++) off[n] = fabs(CosineOfStep(&c, process[kind], keys, 12 + 4 * n) - exact);
      print_message("  law %d, wave %d: %.10g, off by %.1e, %.1e, %.1e\n", kind, wave, exact, off[0], off[1], off[2]);
      check(off[0] < (wave == 1 ? 1e-4 : 3e-3), "law %d: %g off by %g", kind, exact, off[0]);
      check(off[2] < (wave == 1 ? 0.1 : 0.3) * off[0] + 1e-9, "law %d: off by %g, by %g with more moments", kind,
            off[0], off[2]);
    }
  must(remove(file));
}

#define CHAIN                                                                                                          \
  "model_type=chain model_depth=2 data_type=rademacher data_teacher=0.9 data_second_moment=1.1 data_label_noise=0.4 "  \
  "training_learning_rate=0.23 training_batch_size=2 training_weight_decay=0.03 transfer_order=4 "

/* Blocks of the 2-chain in p and q. Numbers: g -> E (a^2 - r^2)^m g((a - r)^2 p) by 40, 60 and 80 Chebyshev polynomials
   in p on [0.1, 2.2] and 80 Gauss-Hermite nodes, all alike. Block 0 is what balanced weights have on the same nodes. */
static void test_blocks(void **state)
{
  static const double exact[4][2] = {{0, 2.448820680624},
                                     {0.08699165829719, 2.515280944226},
                                     {0.1736099988449, 2.58191562059},
                                     {0.2598659783371, 2.648710063256}};
  const PetscReal    *rate;
  PetscReal           mu[4], gap;
  Scene               s;

  (void)state;
  SceneOpen(&s, "sgd",
            CHAIN "model_coordinates=invariant mesh_lower=0.1,-1 mesh_upper=2.2,0.9 mesh_cells=160,8 "
                  "mesh_map=log,uniform");
  must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
  for (PetscInt m = 0; m < 4; m++) {
    must(FPGeneratorGetBlock(s.gen, m, 2, mu));
    for (int k = 0; k < 2; k++) {
      const double got = -log(hypot(mu[2 * k], mu[2 * k + 1])) / 0.23;

      check(fabs(got - exact[m][k]) < 3e-7, "block %d, rate %d: %.12g, exact %.12g", (int)m, k, got, exact[m][k]);
    }
  }
  must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
  gap = rate[1];
  SceneClose(&s);
  SceneOpen(&s, "sgd", CHAIN "model_coordinates=balanced mesh_lower=%.17g mesh_upper=%.17g mesh_cells=160 mesh_map=log",
            sqrt(0.1), sqrt(2.2));
  must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
  must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
  check(fabs(rate[1] - gap) < 1e-8, "block 0: %.12g, balanced weights: %.12g", gap, rate[1]);
  SceneClose(&s);
}

/* Two weights with little injected noise T: the three slowest modes of the plane go over into the first of the blocks
   1, 2, 3. Parabola through T = 0.001, 0.0015, 0.002 at 0. */
static void test_blocks_in_plane(void **state)
{
  static const double exact[3] = {0.08699165829719, 0.1736099988449, 0.2598659783371};
  double              v[3][3];

  (void)state;
  for (int k = 0; k < 3; k++) {
    const PetscReal *rate;
    Scene            s;

    SceneOpen(&s, "sgd",
              CHAIN "model_coordinates=weights training_temperature=%g mesh_lower=0.26,0.26 mesh_upper=1.78,1.78 "
                    "mesh_cells=28,28",
              0.001 + 0.0005 * k);
    must(FPGeneratorSolve(SceneGrid(&s, 0), 3));
    must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
    for (int m = 0; m < 3; m++) v[m][k] = rate[m + 1];
    SceneClose(&s);
  }
  for (int m = 0; m < 3; m++) {
    const double at0 = 6 * v[m][0] - 8 * v[m][1] + 3 * v[m][2];

    print_message("  block %d: %.7g, %.7g, %.7g -> %.7g, exact %.7g\n", m + 1, v[m][2], v[m][1], v[m][0], at0,
                  exact[m]);
    check(fabs(at0 - exact[m]) < 1e-3 * exact[m], "block %d: %g, exact %g", m + 1, at0, exact[m]);
  }
}

/* What has no step, no interval or no meaning stops before any work. */
static void test_refused(void **state)
{
  static const char *const keys[] = {
      "model_type=ou model_drift=1,0,0,1 model_diffusion=1,0,0,1 transfer_scheme=chebyshev mesh_lower=-2,-2 "
      "mesh_upper=2,2 mesh_cells=16,16",
      "model_type=chain model_depth=2 model_coordinates=invariant data_type=gaussian data_teacher=1 data_label_noise=1 "
      "training_temperature=0.1 mesh_lower=0.1,-1 mesh_upper=2,1 mesh_cells=16,8",
      "model_type=chain model_depth=2 model_coordinates=invariant data_type=gaussian data_teacher=1 data_label_noise=1 "
      "mesh_lower=0.1,0.2 mesh_upper=2,1 mesh_cells=16,8",
      "model_type=chain model_depth=1 data_type=gaussian data_teacher=1 transfer_scheme=chebyshev mesh_lower=-2 "
      "mesh_upper=2 mesh_cells=16",
      "model_type=chain model_depth=1 data_type=file data_inputs=x data_targets=y transfer_order=4 "
      "mesh_lower=-2 mesh_upper=2 mesh_cells=16",
      "model_type=chain model_depth=1 data_type=file data_inputs=x data_targets=y "
      "transfer_scheme=chebyshev mesh_lower=0.3 mesh_upper=2 mesh_cells=16",
      "model_type=chain model_depth=1 data_type=file data_inputs=x data_targets=y "
      "transfer_scheme=chebyshev mesh_faces=absorbing mesh_lower=-2 mesh_upper=2 mesh_cells=16"};
  const double row[2][2] = {{1.1, 0.9}, {0.8, -0.3}};
  char         file[]    = "/tmp/dlnfp-rows-XXXXXX";

  (void)state;
  WriteRows(file, 2, row);
  for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
    char           text[600];
    Scene          s;
    PetscErrorCode ierr;

    snprintf(text, sizeof(text), "%s training_learning_rate=0.1%s%s", keys[k],
             k < 4 ? "" : " data_path=", k < 4 ? "" : file);
    SceneOpen(&s, "sgd", "%s", text);
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    ierr = FPTransferCheck(s.process, &s.options);
    if (!ierr) ierr = FPGeneratorCreate(s.process, s.mesh, 0, &s.options, NULL, &s.gen);
    must(PetscPopErrorHandler());
    check(ierr == PETSC_ERR_USER_INPUT, "%s: %d", keys[k], (int)ierr);
    if (ierr) s.gen = NULL;
    SceneClose(&s);
  }
  must(remove(file));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders),
                                     cmocka_unit_test(test_reference),
                                     cmocka_unit_test(test_two_grids),
                                     cmocka_unit_test(test_fine_lattice),
                                     cmocka_unit_test(test_exit),
                                     cmocka_unit_test(test_cubics),
                                     cmocka_unit_test(test_collocation),
                                     cmocka_unit_test(test_two_points),
                                     cmocka_unit_test(test_two_points_deep),
                                     cmocka_unit_test(test_lattice),
                                     cmocka_unit_test(test_moments_of_lattice),
                                     cmocka_unit_test(test_plane),
                                     cmocka_unit_test(test_symmetric),
                                     cmocka_unit_test(test_plane_rows),
                                     cmocka_unit_test(test_vectors),
                                     cmocka_unit_test(test_blocks),
                                     cmocka_unit_test(test_blocks_in_plane),
                                     cmocka_unit_test(test_refused)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  return SlepcFinalize() || failed;
}

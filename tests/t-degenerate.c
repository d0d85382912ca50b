/* t-degenerate.c: rank-deficient diffusion. The chain under ald at T = 0, D = eta v/(2B) grad p grad p^T: the law lives
   on the balanced line w_1 = w_2, and on any box the answers are those of the balanced chain in one dimension; the
   whole box, when asked for, takes noise that vanishes with h. And where T > 0, p and q have the part of the weights'
   spectrum that is even under w -> -w. */
#include "lab.h"

static const char Rademacher[] =
    "data_type rademacher data_teacher 1.1 data_label_noise 1.3 data_second_moment 0.9 training_learning_rate 0.11 "
    "training_batch_size 2 training_weight_decay 0.07 model_type chain model_depth 2";
static const char Gaussian[] =
    "data_type gaussian data_teacher 1.3 data_label_noise 0.9 data_second_moment 0.8 training_learning_rate 0.07 "
    "training_batch_size 3 training_weight_decay 0.16 model_type chain model_depth 2";

static const char Wide[] = "mesh_lower 0.04 mesh_upper 3 mesh_map log";

static double product(const double *z, const double *power)
{
  return pow(z[0] * z[1], power[0]);
}

static double balanced(const double *z, const double *power)
{
  return pow(z[0], 2 * power[0]);
}

static double first(const double *z, const double *power)
{
  return pow(z[0], power[0]);
}

static double second(const double *z, const double *power)
{
  return pow(z[1], power[0]);
}

static double unbalance(const double *z, const double *unused)
{
  (void)unused;
  return 0.25 * pow((z[0] - z[1]) * (z[0] + z[1]), 2);
}

static void Open(Lab *lab, const char process[], const char law[], const char coordinates[], const char rest[],
                 PetscInt pairs)
{
  char keys[1024];

  must(PetscSNPrintf(keys, sizeof keys, "%s model_coordinates %s %s", law, coordinates, rest));
  LabOpen(lab, process, keys);
  LabSolve(lab, pairs);
}

/* gap, E p, Var p on every grid: [3][levels] */
static void Answers(const Lab *lab, LabFunction p, double answer[3][FP_MAX_LEVELS])
{
  const double one = 1, two = 2;

  for (PetscInt l = 0; l < lab->levels; l++) {
    answer[0][l] = LabRate(lab, l, 1) - LabRate(lab, l, 0);
    answer[1][l] = LabMean(lab, l, p, &one);
    answer[2][l] = LabMean(lab, l, p, &two) - answer[1][l] * answer[1][l];
  }
}

/* The balanced chain on a fine grid between walls: gap, E p, Var p to nine digits. */
static void Reference(const char law[], const char walls[], double exact[3])
{
  char   keys[256];
  Lab    lab;
  double answer[3][FP_MAX_LEVELS], error;

  must(PetscSNPrintf(keys, sizeof keys, "%s mesh_cells 1280", walls));
  Open(&lab, "ald", law, "balanced", keys, 2);
  Answers(&lab, balanced, answer);
  for (int i = 0; i < 3; i++) {
    LabBound(&lab, answer[i], 0, &exact[i], &error);
    check(error < 1e-6 * exact[i], "the reference is known to %g of %g only", error, exact[i]);
  }
  LabClose(&lab);
}

/* w^2 ~ Gamma for signs as inputs, the slowest mode Morse's: shape (s p - l)/(eta v0) - 1/2, scale eta v0/s, gap 2 (mu
   - eta v0) with mu = s p - l - eta v0/2. */
static void CheckGamma(const double answer[3])
{
  const double v0 = 0.9 * 1.3 * 1.3 / 2, noise = 0.11 * v0, slope = 0.9 * 1.1 - 0.07;
  const double shape = slope / noise - 0.5, scale = noise / 0.9;
  const double exact[3] = {2 * (slope - 1.5 * noise), shape * scale, shape * scale * scale};

  for (int i = 0; i < 3; i++)
    check(fabs(answer[i] - exact[i]) < 1e-6 * exact[i], "quantity %d is %.10g, exact %.10g", i, answer[i], exact[i]);
}

static const char *const What[3] = {"gap", "E p", "Var p"};

/* Errors on all grids; observed order from the coarsest to the finest. */
static void CheckConvergence(const Lab *lab, const char mesh[], int from, double answer[3][FP_MAX_LEVELS],
                             const double exact[3], double least)
{
  for (int i = from; i < 3; i++) {
    const double fine = fabs(answer[i][0] - exact[i]), coarse = fabs(answer[i][2] - exact[i]);
    const double order = log(coarse / fine) / log(lab->ratio[2]);
    double       value, error;

    LabBound(lab, answer[i], 0, &value, &error);
    print_message("  %-46s %-5s %.8g %.8g %.8g order %.2f, extrapolated %.9g +- %.1e, exact %.9g\n", mesh, What[i],
                  answer[i][2], answer[i][1], answer[i][0], order, value, error, exact[i]);
    if (coarse > 1e-7 * exact[i]) check(order > least, "%s: %s has order %g", mesh, What[i], order);
    check(fabs(value - exact[i]) <= error + 1e-6 * exact[i], "%s: %s %.9g, exact %.9g, bound %.2g", mesh, What[i],
          value, exact[i], error);
    check(fabs(value - exact[i]) < 0.01 * exact[i], "%s: %s %.9g, exact %.9g", mesh, What[i], value, exact[i]);
    check(fabs(value - answer[i][0]) < 0.015 * exact[i], "%s: %s moves by %g in the extrapolation", mesh, What[i],
          fabs(value - answer[i][0]));
  }
}

/* On the whole box, where equal axes hold the line, it is a closed class; those through which it does not pass are the
   other well and the two halves of w_1 = -w_2, whatever nodes lie at w = 0. */
static void test_aligned(void **state)
{
  const char *const law[2]  = {Rademacher, Gaussian};
  const char *const mesh[4] = {"mesh_lower 0.05,0.05 mesh_upper 2.8,2.8 mesh_cells 160,160",
                               "mesh_lower -2.7,-2.7 mesh_upper 2.7,2.7 mesh_cells 240,240",
                               "mesh_lower -2.3,-2.3 mesh_upper 2.8,2.8 mesh_cells 256,256",
                               "mesh_lower -1.35,-1.35 mesh_upper 2.7,2.7 mesh_cells 216,216"};

  (void)state;
  for (int k = 0; k < 2; k++) {
    double exact[3], answer[3][FP_MAX_LEVELS];

    Reference(law[k], Wide, exact);
    if (k == 0) CheckGamma(exact);
    for (int m = 0; m < 4; m++) {
      Lab             lab;
      FPGeneratorInfo info;

      Open(&lab, "ald", law[k], "weights generator_whole_box true", mesh[m], 2);
      Answers(&lab, product, answer);
      CheckConvergence(&lab, mesh[m], 0, answer, exact, 1.6);
      for (PetscInt l = 0; l < lab.levels; l++) {
        must(FPGeneratorGetInfo(lab.gen[l], &info));
        assert_true(info.degenerate && info.reversible);
        assert_true(info.added_diffusion == 0);
        check(m == 0 ? info.closed_classes == 1 : info.closed_classes > 1, "%s: %d closed classes", mesh[m],
              info.closed_classes);
        assert_true(LabMean(&lab, l, unbalance, NULL) == 0);
      }
      LabClose(&lab);
    }
  }
}

/* Any box: shifted, of cells that are not square, mapped, with one well or two, or cutting the line off where it
   carries mass. Reference: the balanced chain between the walls that the line meets. */
static void test_any_box(void **state)
{
  const struct {
    const char *mesh, *walls;
    int         classes;
  } box[] = {
      {"mesh_lower 0.11,0.17 mesh_upper 2.9,3.3 mesh_cells 144,128", Wide, 1},
      {"mesh_lower -2.8,-3.1 mesh_upper 2.93,2.7 mesh_cells 176,233", Wide, 2},
      {"mesh_lower -0.9,-3.1 mesh_upper 2.93,2.87 mesh_cells 97,268", Wide, 2},
      {"mesh_lower 0.06,0.09 mesh_upper 2.9,3.2 mesh_cells 120,132 mesh_map log,sinh:1:0.8", Wide, 1},
      {"mesh_lower 0.51,0.63 mesh_upper 1.37,1.29 mesh_cells 84,60", "mesh_lower 0.63 mesh_upper 1.29", 1},
      {"mesh_lower -0.7,0.58 mesh_upper 1.9,1.41 mesh_cells 132,112", "mesh_lower 0.58 mesh_upper 1.41", 1},
  };
  const char *const law[2] = {Rademacher, Gaussian};

  (void)state;
  for (int k = 0; k < 2; k++)
    for (size_t m = 0; m < sizeof(box) / sizeof(box[0]); m++) {
      double          exact[3], answer[3][FP_MAX_LEVELS];
      Lab             lab;
      FPGeneratorInfo info;

      Reference(law[k], box[m].walls, exact);
      Open(&lab, "ald", law[k], "weights", box[m].mesh, 2);
      Answers(&lab, product, answer);
      CheckConvergence(&lab, box[m].mesh, 0, answer, exact, m < 4 ? 1.6 : -9); /* walls at any share of a cell */
      for (PetscInt l = 0; l < lab.levels; l++) {
        must(FPGeneratorGetInfo(lab.gen[l], &info));
        assert_true(info.degenerate && info.reversible && info.along >= 0);
        assert_true(info.added_diffusion == 0);
        check(info.closed_classes == box[m].classes, "%s: %d closed classes", box[m].mesh, info.closed_classes);
        check(LabMean(&lab, l, unbalance, NULL) < 1e-24, "%s: not on the line", box[m].mesh);
      }
      LabClose(&lab);
    }
}

/* The whole box, and cells that are not square or a box that is shifted: no line of nodes is balanced, and the slowest
   mode of the class is q, with rate eta v/B + 2 l where v is constant. */
static void test_unaligned(void **state)
{
  const char *const mesh[3] = {"mesh_lower 0.1,0.2 mesh_upper 2.2,2.3 mesh_cells 128,128",
                               "mesh_lower 0.1,0.2 mesh_upper 2.2,2.4 mesh_cells 144,128",
                               "mesh_lower 0.05,0.2 mesh_upper 2.25,2.6 mesh_cells 160,128"};
  const double      q       = 0.11 * 0.9 * 1.3 * 1.3 / 2 + 2 * 0.07;
  double            exact[3], answer[3][FP_MAX_LEVELS];

  (void)state;
  Reference(Rademacher, Wide, exact);
  check(q < exact[0], "q is no longer the slowest mode");
  exact[0] = q;
  for (int m = 0; m < 3; m++) {
    Lab    lab;
    double added[FP_MAX_LEVELS], order;

    Open(&lab, "ald", Rademacher, "weights generator_whole_box true", mesh[m], 2);
    Answers(&lab, product, answer);
    CheckConvergence(&lab, mesh[m], 1, answer, exact, 0.9);
    for (PetscInt l = 0; l < lab.levels; l++) {
      FPGeneratorInfo info;

      must(FPGeneratorGetInfo(lab.gen[l], &info));
      added[l] = info.added_diffusion;
      check(fabs(answer[0][l] - q) < 0.015 * q, "%s: the slowest mode has rate %g, not %g", mesh[m], answer[0][l], q);
    }
    order = log(added[2] / added[0]) / log(lab.ratio[2]);
    print_message("  added diffusion %.3g %.3g %.3g, order %.2f; q mode %.6g %.6g %.6g, exact %.6g\n", added[2],
                  added[1], added[0], order, answer[0][2], answer[0][1], answer[0][0], q);
    check(order > 0.9 && added[0] < 1e-3, "added diffusion %g, order %g", added[0], order);
    LabClose(&lab);
  }
}

/* Depth 3: the line is w_1 = w_2 = w_3, and in one dimension the noise dies out as w^4. In three, boxes that hold it in
   nodes and one that does not. */
static void test_depth_three(void **state)
{
  static const char law[] =
      "data_type rademacher data_teacher 1.1 data_label_noise 1.3 data_second_moment 0.9 training_learning_rate 0.11 "
      "training_batch_size 2 training_weight_decay 0.07 model_type chain model_depth 3";
  const char *const mesh[3]  = {"mesh_lower 0.3,0.3,0.3 mesh_upper 2,2,2 mesh_cells 64,64,64",
                                "mesh_lower 0.22,-0.4,0.1 mesh_upper 2.1,1.9,2 mesh_cells 56,72,60",
                                "mesh_lower 0.41,0.3,0.2 mesh_upper 2.3,2,1.97 mesh_cells 48,64,80"};
  const char *const walls[3] = {"mesh_lower 0.3 mesh_upper 2", "mesh_lower 0.22 mesh_upper 1.9",
                                "mesh_lower 0.41 mesh_upper 1.97"};

  (void)state;
  for (int k = 0; k < 3; k++) {
    double exact[3], answer[3][FP_MAX_LEVELS];
    Lab    lab;

    Reference(law, walls[k], exact);
    Open(&lab, "ald", law, "weights", mesh[k], 2);
    for (PetscInt l = 0; l < lab.levels; l++) {
      const double one = 1, two = 2;

      answer[0][l] = LabRate(&lab, l, 1);
      answer[1][l] = LabMean(&lab, l, first, &one);
      answer[2][l] = LabMean(&lab, l, first, &two) - answer[1][l] * answer[1][l];
    }
    exact[1] = exact[2] = 0;
    {
      const double one = 0.5, two = 1;
      Lab          line;
      double       v[2][FP_MAX_LEVELS], error;
      char         keys[128];

      must(PetscSNPrintf(keys, sizeof keys, "%s mesh_cells 1024", walls[k]));
      Open(&line, "ald", law, "balanced", keys, 2);
      for (PetscInt l = 0; l < line.levels; l++) {
        v[0][l] = LabMean(&line, l, balanced, &one);
        v[1][l] = LabMean(&line, l, balanced, &two) - v[0][l] * v[0][l];
      }
      LabBound(&line, v[0], 0, &exact[1], &error);
      LabBound(&line, v[1], 0, &exact[2], &error);
      LabClose(&line);
    }
    CheckConvergence(&lab, mesh[k], 0, answer, exact, 1.6);
    LabClose(&lab);
  }
}

/* The whole box, both wells, and no line of nodes balanced: noise that was added joins the wells at a rate near
   rounding. The law is that of the well of the minimum. */
static void test_two_wells(void **state)
{
  const double two = 2, one = 1;
  double       exact[3];
  Lab          lab;

  (void)state;
  Reference(Rademacher, Wide, exact);
  Open(&lab, "ald", Rademacher, "weights generator_whole_box true",
       "mesh_lower -2.1,-2.2 mesh_upper 2.2,2.3 mesh_cells 128,128", 2);
  for (PetscInt l = 0; l < lab.levels; l++) {
    const double mean = LabMean(&lab, l, product, &one), variance = LabMean(&lab, l, product, &two) - mean * mean;
    const double w = LabMean(&lab, l, first, &one);

    print_message("  E w1 %.5g, E p %.5g, Var p %.5g, rates %.2g %.5g\n", w, mean, variance, LabRate(&lab, l, 1),
                  LabRate(&lab, l, 2));
    check(w > 0.95 && fabs(mean - exact[1]) < 0.005 * exact[1] && fabs(variance - exact[2]) < 0.1 * exact[2],
          "E w1 %g, E p %g, Var p %g; exact %g, %g", w, mean, variance, exact[1], exact[2]);
  }
  LabClose(&lab);
}

/* In p and q the line is q = 0, whether a row of nodes lies there or not. */
static void test_invariant(void **state)
{
  const char *const rows[2] = {"mesh_cells 168,24 mesh_upper 5.3,0.9", "mesh_cells 160,25 mesh_upper 5.7,1.13"};
  const double      one = 1, two = 2;
  double            exact[3], answer[3][FP_MAX_LEVELS];

  (void)state;
  Reference(Rademacher, Wide, exact);
  for (int m = 0; m < 2; m++) {
    char keys[256];
    Lab  lab;

    must(PetscSNPrintf(keys, sizeof keys, "mesh_lower 0.02,-0.9 mesh_map log,uniform %s", rows[m]));
    Open(&lab, "ald", Rademacher, "invariant", keys, 2);
    Answers(&lab, first, answer);
    for (PetscInt l = 0; l < lab.levels; l++)
      check(fabs(LabMean(&lab, l, second, &one)) < 1e-15 && LabMean(&lab, l, second, &two) < 1e-30, "q is not 0: %g",
            LabMean(&lab, l, second, &one));
    CheckConvergence(&lab, rows[m], 0, answer, exact, 1.8);
    LabClose(&lab);
  }
}

/* Is mode m of grid l odd under w -> -w? The box and the grids are symmetric, so a node's mirror image is a node. */
static PetscBool Odd(const Lab *lab, PetscInt l, PetscInt m)
{
  PetscInt         n, total;
  const PetscInt  *node, *cells;
  PetscReal        sum = 0, *image;
  const PetscReal *right, *left;

  must(FPGeneratorGetGrid(lab->gen[l], NULL, &cells, NULL));
  must(FPGeneratorGetNodes(lab->gen[l], &n, &node, NULL, NULL, NULL));
  must(FPGeneratorGetMode(lab->gen[l], m, &right, &left));
  total = cells[0] * cells[1];
  must(PetscCalloc1(total, &image));
  for (PetscInt k = 0; k < n; k++) image[node[k]] = left[k];
  for (PetscInt k = 0; k < n; k++) sum += image[total - 1 - node[k]] * right[k];
  {
    PetscReal same = 0;

    for (PetscInt k = 0; k < n; k++) same += left[k] * right[k];
    must(PetscFree(image));
    check(fabs(fabs(sum) - fabs(same)) < 1e-6 * fabs(same), "mode %d is neither even nor odd: %g, %g", m, sum, same);
    return (PetscBool)(sum * same < 0);
  }
}

/* T > 0: the spectrum in (p, q) is the even part of that in weights, each with its own bound. */
static void test_even_part(void **state)
{
  static const char law[] =
      "data_type gaussian data_teacher 0.9 data_label_noise 0.8 data_second_moment 0.8 training_learning_rate 0.09 "
      "training_batch_size 2 training_weight_decay 0.25 training_temperature 0.12 model_type chain model_depth 2";
  const char *const process[2] = {"langevin", "ald"};

  (void)state;
  for (int k = 0; k < 2; k++) {
    Lab      weights, invariant;
    PetscInt next = 1;

    Open(&weights, process[k], law, "weights", "mesh_lower -3.6,-3.6 mesh_upper 3.6,3.6 mesh_cells 112,112", 8);
    Open(&invariant, process[k], law, "invariant",
         "mesh_lower -6.4,-6.4 mesh_upper 6.4,6.4 mesh_map sinh:0:6.5,sinh:0:6.5 mesh_cells 144,144", 4);
    for (PetscInt m = 1; m < weights.modes - 1 && next < 4; m++) {
      double v[FP_MAX_LEVELS], u[FP_MAX_LEVELS], a, b, da, db;

      if (Odd(&weights, 0, m)) continue;
      for (PetscInt l = 0; l < 3; l++) {
        v[l] = LabRate(&weights, l, m);
        u[l] = LabRate(&invariant, l, next);
      }
      LabBound(&weights, v, LabResidual(&weights, 0, m), &a, &da);
      LabBound(&invariant, u, LabResidual(&invariant, 0, next), &b, &db);
      print_message(
          "  %s: weights mode %d %.8g +- %.1e, p and q mode %d %.8g +- %.1e, difference %.1e (%g %g %g | %g %g %g)\n",
          process[k], m, a, da, next, b, db, fabs(a - b), v[0], v[1], v[2], u[0], u[1], u[2]);
      check(fabs(a - b) < da + db, "%s: weights %.9g +- %.2g, p and q %.9g +- %.2g", process[k], a, da, b, db);
      check(da + db < 0.05 * a, "%s: bounds %g and %g of %g", process[k], da, db, a);
      next++;
    }
    check(next == 4, "%s: %d even modes found", process[k], next - 1);
    LabClose(&weights);
    LabClose(&invariant);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_aligned),     cmocka_unit_test(test_any_box),
                                     cmocka_unit_test(test_unaligned),   cmocka_unit_test(test_two_wells),
                                     cmocka_unit_test(test_depth_three), cmocka_unit_test(test_invariant),
                                     cmocka_unit_test(test_even_part)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (SlepcFinalize()) return 1;
  return failed;
}

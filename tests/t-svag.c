/* t-svag.c: the transfer operator of SVAG: the law of its steps by two batches against its characteristic function; its
   exponents against quadratures, words and particles; how it comes near to the SDE with SGD's noise as its order grows.
 */
#include "lab.h"
#include "runs.h"
#include "../src/generator/transferlaw.h"
#include <complex.h>

/* Largest difference, over wave vectors k, of the mixture's E exp(i k.z') from the closed form: with g = phi G, phi =
   dM/dz, G = sum_b c_b (e X_b + sigma (X_b/B)^(1/2) N(0, 1)), B X_b/s chi-squared of B degrees, u = h k.phi,

     exp(i k.rest - k^2 h T) prod_b (1 + (2 s/B) (i u c_b e + u^2 c_b^2 sigma^2/(2 B)))^(-B/2). */
typedef struct {
  double s, p, sigma, B, T, eta, decay, order, metric;
} Setting;

static double LawError(const Setting *x, FPStepLaw law, FPMixture *m, const double z[2], double M, const double phi[2])
{
  const double h = x->eta / x->order, root = sqrt(2 * x->order - 1), e = M - x->p;
  double       worst = 0;

  must(FPStepLawAt(law, z, m));
  for (int j = 0; j < 80; j++) {
    const double size = pow(10, -1 + 4.3 * (j / 2) / 40.), angle = j % 2 ? 0.7 : 2.1;
    const double k[2] = {m->dim == 1 ? size : size * cos(angle), m->dim == 1 ? 0 : size * sin(angle)};
    const double kk = size * size * x->metric, turn = k[0] * m->along[0] + (m->dim > 1 ? k[1] * m->along[1] : 0);
    const double u      = h * x->metric * (k[0] * phi[0] + k[1] * phi[1]);
    double _Complex sum = 0, exact = cexp(I * (1 - h * x->decay) * (k[0] * z[0] + k[1] * z[1]) - kk * h * x->T);

    for (PetscInt i = 0; i < m->n; i++) {
      const double phase = k[0] * m->at[0][i] + (m->dim > 1 ? k[1] * m->at[1][i] : 0);

      sum += m->weight[i] * cexp(I * phase - (pow(m->sd[i] * turn, 2) + size * size * m->injected * m->injected) / 2);
    }
    for (int b = 0; b < 2; b++) {
      const double c = (b ? 1 - root : 1 + root) / 2;

      exact *= cpow(1 + 2 * x->s / x->B * (I * u * c * e + pow(u * c * x->sigma, 2) / (2 * x->B)), -x->B / 2);
    }
    worst = fmax(worst, cabs(sum - exact));
  }
  return worst;
}

/* On a line, where components may be narrower than the injected noise, and in the plane; nodes: of panels */
static double LawErrors(const Setting *x, const char coordinates[], int nodes, PetscInt *most)
{
  const int plane = !strcmp(coordinates, "weights");
  double    worst = 0;
  char      keys[1024];
  Lab       lab;
  FPStepLaw law;
  FPMixture m = {0};

  (void)snprintf(keys, sizeof keys,
                 "model_type chain model_depth 2 model_coordinates %s data_type gaussian data_teacher %g "
                 "data_second_moment %g data_label_noise %g training_learning_rate %g training_batch_size %g "
                 "training_temperature %g training_weight_decay %g svag_svag_order %g transfer_nodes %d",
                 coordinates, x->p, x->s, x->sigma, x->eta, x->B, x->T, x->decay, x->order, nodes);
  LabOpen(&lab, "svag", keys);
  must(FPGeneratorOptionsRead(lab.config, &lab.generating));
  must(FPStepLawCreate(lab.process, &lab.generating.transfer, 1, 1, &law));
  for (int i = 0; i < 6; i++) {
    const double z[2] = {-1.7 + 0.71 * i, plane ? 1.3 - 0.37 * i : 0};
    const double M = plane ? z[0] * z[1] : z[0] * z[0], phi[2] = {plane ? z[1] : 2 * z[0], plane ? z[0] : 0};

    worst = fmax(worst, LawError(x, law, &m, z, M, phi));
    *most = PetscMax(*most, m.n);
  }
  must(FPMixtureFree(&m));
  must(FPStepLawDestroy(&law));
  LabClose(&lab);
  return worst;
}

/* With injected noise and without, wide and narrow, batches of one and more; errors fall faster than any power. */
static void test_law(void **state)
{
  static const struct {
    const char *coordinates;
    Setting     x;
  } of[] = {{"balanced", {0.83, 0.9, 0.57, 2, 0.04, 0.15, 0.08, 3, 0.5}},
            {"balanced", {1.2, 0.7, 0.31, 1, 0, 0.11, 0, 2, 0.5}},
            {"balanced", {0.9, -0.4, 0.05, 5, 0.002, 0.21, 0.02, 7, 0.5}},
            {"balanced", {0.8, 0.6, 0, 3, 0.05, 0.17, 0.03, 4, 0.5}},
            {"weights", {1.1, 0.8, 0.43, 3, 0.06, 0.13, 0.04, 2, 1}},
            {"weights", {0.87, 0.9, 0.02, 2, 0.09, 0.2, 0, 5, 1}}};

  (void)state;
  for (size_t k = 0; k < sizeof of / sizeof of[0]; k++) {
    PetscInt most     = 0;
    double   error[3] = {LawErrors(&of[k].x, of[k].coordinates, 4, &most),
                         LawErrors(&of[k].x, of[k].coordinates, 8, &most), 0};

    most     = 0;
    error[2] = LawErrors(&of[k].x, of[k].coordinates, 12, &most);
    print_message("  %-9s sigma %-4g T %-5g: errors %.1e, %.1e, %.1e of 4, 8, 12 nodes, %d components\n",
                  of[k].coordinates, of[k].x.sigma, of[k].x.T, error[0], error[1], error[2], (int)most);
    check(error[2] < 1e-10, "the law is off by %g", error[2]);
    check(error[0] > 10 * error[1] && error[1] > 10 * error[2], "errors %g, %g, %g do not fall", error[0], error[1],
          error[2]);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_law)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  cmocka_set_test_filter(getenv("TEST_FILTER"));
  failed = cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
  must(SlepcFinalize());
  return failed;
}

/* t-ito.c: the calculus, by the decay of q = (w_1^2 - w_2^2)/2. Gradient flow keeps q; the noise makes it decay, at the
   rate eta v/(B) by its Ito correction, and the Stratonovich reading would have 0. One SGD step multiplies q by (1 -
   eta l)^2 - eta^2 r^2, r the residual times x, exactly. Signs as inputs make v = Var r = s sigma^2 constant. */
#include "lab.h"

#define ETA 0.14
#define BATCH 2.0
#define S 0.9
#define SIGMA 1.2
#define DECAY 0.03
#define TEACHER 1.15
#define COUNT 65536

static const char Law[] =
    "data_type rademacher data_teacher 1.15 data_label_noise 1.2 data_second_moment 0.9 training_learning_rate 0.14 "
    "training_batch_size 2 training_weight_decay 0.03 model_type chain model_depth 2";
static const double Noise = ETA * S * SIGMA * SIGMA / BATCH; /* eta v/B */

static double balance(const double *z, const double *unused)
{
  (void)unused;
  return (z[0] - z[1]) * (z[0] + z[1]) / 2;
}

static double second(const double *z, const double *unused)
{
  (void)unused;
  return z[1];
}

static void CheckMode(Lab *lab, const char what[], LabFunction q, double tolerance)
{
  const double exact = Noise + 2 * DECAY;
  double       v[FP_MAX_LEVELS], value, error, correlation = 0;
  PetscInt     mode = 0;

  for (PetscInt l = lab->levels - 1; l >= 0; l--) {
    mode = LabFind(lab, l, q, NULL, &correlation);
    v[l] = LabRate(lab, l, mode);
  }
  LabBound(lab, v, LabResidual(lab, 0, mode), &value, &error);
  LabWithin(what, value, error, exact, tolerance);
  check(correlation > 0.999, "%s: correlation %g with q", what, correlation);
  check(value - 2 * DECAY > 50 * error, "%s: %g is no different from the Stratonovich rate %g by %g", what, value,
        2 * DECAY, error);
}

/* q is an eigenfunction of ald at every T, its rate eta v/B + 2 l: in weights, in p and q, and there also where next to
   no noise is injected. */
static void test_generator(void **state)
{
  const char *const rest[3] = {
      "training_temperature 0.02 model_coordinates weights mesh_lower -3.4,-3.3 mesh_upper 3.3,3.4 mesh_cells 128,128",
      "training_temperature 0.02 model_coordinates invariant mesh_lower -3.5,-4.6 mesh_upper 6.5,4.6 mesh_map "
      "sinh:1:2,sinh:0:3 mesh_cells 128,128",
      "training_temperature 1e-5 model_coordinates invariant mesh_lower 0.01,-0.5 mesh_upper 6,0.5 mesh_map "
      "log,sinh:0:8 mesh_cells 96,128"};
  const char *const what[3] = {"q in weights", "q in p and q", "q in p and q, T = 1e-5"};

  (void)state;
  for (int k = 0; k < 3; k++) {
    Lab  lab;
    char keys[1024];

    must(PetscSNPrintf(keys, sizeof keys, "%s %s", Law, rest[k]));
    LabOpen(&lab, "ald", keys);
    LabSolve(&lab, 5);
    CheckMode(&lab, what[k], k ? second : balance, 0.02);
    LabClose(&lab);
  }
}

/* Sums of q over all particles of a group, after each step. */
static void Sample(const void *context, const FPMove *move, double *scratch, double *accumulator)
{
  const PetscInt steps = *(const PetscInt *)context;

  (void)scratch;
  if (move->step > steps) return;
  for (int l = 0; l < FP_BLOCK; l++) {
    const double a = move->after[l], b = move->after[FP_BLOCK + l];

    accumulator[move->step - 1] += (a - b) * (a + b) / 2;
  }
}

/* Mean of q after each step relative to its start, and the standard error of the last, from the scatter of groups. */
static void Decay(const char process[], const char extra[], PetscReal dt, PetscInt steps, double mean[], double *error)
{
  const PetscInt    record   = dt > 0 ? (PetscInt)(steps * ETA / dt + 0.5) : steps;
  FPParticleOptions options  = {.count = COUNT, .steps = steps, .seed = 11, .threads = 1};
  FPObserver        observer = {.accumulator = (size_t)record, .every = 1, .sample = Sample, .context = &record};
  FPParticleReport  report;
  PetscInt          count;
  double           *start, *sums, *accumulators[1], spread = 0;
  char              keys[1024];
  Lab               lab;

  must(PetscSNPrintf(keys, sizeof keys, "%s %s", Law, extra));
  LabOpen(&lab, process, keys);
  must(FPParticlesCount(&options, &count));
  must(PetscMalloc1(2 * count, &start));
  must(PetscCalloc1(FP_GROUPS * record, &sums));
  accumulators[0] = sums;
  for (PetscInt i = 0; i < count; i++) { /* on the valley w_1 w_2 = teacher, far from balance */
    start[2 * i]     = 1.6;
    start[2 * i + 1] = TEACHER / 1.6;
  }
  must(FPParticlesRun(lab.process, NULL, dt, &options, start, 1, &observer, accumulators, &report));
  for (PetscInt k = 0; k < record; k++) {
    mean[k] = 0;
    for (int g = 0; g < FP_GROUPS; g++) mean[k] += sums[g * record + k] / count / balance(start, NULL);
  }
  for (int g = 0; g < FP_GROUPS; g++)
    spread += PetscSqr(sums[g * record + record - 1] * FP_GROUPS / count / balance(start, NULL) - mean[record - 1]);
  *error = sqrt(spread / (FP_GROUPS * (FP_GROUPS - 1.0)));
  must(PetscFree(start));
  must(PetscFree(sums));
  LabClose(&lab);
}

/* E q after k steps of SGD. E r^2 depends on p, which fluctuates, so the product formula holds for one step exactly:
   from the valley, where e = p - teacher = 0, E q_1/q_0 = (1 - eta l)^2 - eta^2 v/B. */
static void test_sgd(void **state)
{
  const double exact = PetscSqr(1 - ETA * DECAY) - ETA * Noise, without = PetscSqr(1 - ETA * DECAY);
  double       mean[1], error;

  (void)state;
  Decay("sgd", "model_coordinates weights", 0, 1, mean, &error);
  print_message("  SGD, one step: E q/q0 %.6f +- %.1e, exact %.6f, without noise %.6f: %.0f standard errors\n", mean[0],
                error, exact, without, fabs(mean[0] - without) / error);
  check(fabs(mean[0] - exact) < 4.5 * error, "%.8g, exact %.8g, standard error %.2g", mean[0], exact, error);
  check(fabs(mean[0] - without) > 50 * error, "only %g standard errors from no decay", fabs(mean[0] - without) / error);
}

/* ald at T = 0: E q(t) = q(0) exp(-(eta v/B + 2 l) t). Euler's step multiplies E q by 1 - (eta v/B + 2 l) dt + O(dt^2)
   with the drift's second order; two steps sizes, extrapolated. */
static void test_ald(void **state)
{
  const double   rate  = Noise + 2 * DECAY;
  const PetscInt steps = 24;
  double         mean[2][400], error[2], value, spread, exact = exp(-rate * steps * ETA),
                                                stratonovich = exp(-2 * DECAY * steps * ETA);

  (void)state;
  for (int k = 0; k < 2; k++) Decay("ald", "model_coordinates weights", ETA / (4 << k), steps, mean[k], &error[k]);
  value  = 2 * mean[1][8 * steps - 1] - mean[0][4 * steps - 1];
  spread = sqrt(4 * error[1] * error[1] + error[0] * error[0]); /* a bound: common random numbers would make it less */
  print_message(
      "  ald: E q/q0 at t = %.2f: %.6f %.6f -> %.6f +- %.1e, Ito %.6f, Stratonovich %.6f: %.0f standard errors\n",
      steps * ETA, mean[0][4 * steps - 1], mean[1][8 * steps - 1], value, spread, exact, stratonovich,
      fabs(value - stratonovich) / spread);
  check(fabs(value - exact) < 4.5 * spread, "%.8g, exact %.8g, standard error %.2g", value, exact, spread);
  check(fabs(value - stratonovich) > 50 * spread, "only %g standard errors from Stratonovich",
        fabs(value - stratonovich) / spread);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_generator), cmocka_unit_test(test_sgd),
                                     cmocka_unit_test(test_ald)};
  int                     failed;

  if (SlepcInitialize(&argc, &argv, NULL, NULL)) return 1;
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (SlepcFinalize()) return 1;
  return failed;
}

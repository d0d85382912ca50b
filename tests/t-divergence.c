/* t-divergence.c: learning rates at which SGD has no law, by the program itself. One weight, signs: e' = a e + noise
   with a = 1 - h; for |a| > 1 it runs away, and exp(-k e^2) with 1 + 2 k sd^2 = a^2 is the slowest mode that vanishes
   far out, so that what is left in a wide box falls by |a| per step: divergence_rate = 1 - 1/|a|. */
#include "program.h"
#include <math.h>

#define RUN                                                                                                            \
  "data: {type: rademacher, teacher: 0.3, second_moment: 1.2, label_noise: 0.2}\n"                                     \
  "model: {type: chain, depth: 1}\n"                                                                                   \
  "training: {learning_rate: 1.9, batch_size: 2}\n"                                                                    \
  "processes: [sgd]\n"                                                                                                 \
  "mesh: {lower: [-8], upper: [9], cells: [192]}\n"                                                                    \
  "engines: [transfer]\n"                                                                                              \
  "observables: [spectrum, stationary]\n"

static json_t *Results(const char *const argv[])
{
  const int code = RunProgram(argv);

  check(code == 0, "exit code %d: %s", code, ReadText(InFolder("errors")));
  return LoadResults(folder);
}

/* That steps leave the box */
static PetscBool Warned(const json_t *root)
{
  size_t  i;
  json_t *line;

  json_array_foreach(json_object_get(root, "warnings"), i,
                     line) if (strstr(json_string_value(line), "leaves the box")) return PETSC_TRUE;
  return PETSC_FALSE;
}

/* Walls that let out or mirror, at every order; and no word of it where the law is inside. */
static void test_runaway(void **state)
{
  const double             exact      = 1 - 1 / (1.9 * 1.2 - 1);
  static const char *const with[4][2] = {{"-mesh_faces", "absorbing"},
                                         {"-transfer_order", "2"},
                                         {"-transfer_order", "4"},
                                         {"-transfer_scheme", "chebyshev"}};

  (void)state;
  WriteText(InFolder("run.yaml"), RUN);
  for (int k = 0; k < 4; k++) {
    const char *const argv[] = {"dlnfp", "run", InFolder("run.yaml"), "-out", folder, with[k][0], with[k][1], NULL};
    json_t           *root   = Results(argv);
    double            error;
    const double      rate = Value(root, "sgd", NULL, NULL, k ? "leaving_rate" : "divergence_rate", &error);

    check(Warned(root), "%s %s: no warning", with[k][0], with[k][1]);
    check(fabs(rate - exact) <= error + 1e-13 && error < 1e-6, "%s %s: %.12g +- %g, exact %.12g", with[k][0],
          with[k][1], rate, error, exact);
    json_decref(root);
  }
  {
    const char *const argv[] = {"dlnfp", "run", InFolder("run.yaml"), "-out", folder, "-training_learning_rate",
                                "1.3",   NULL};
    json_t           *root   = Results(argv);

    check(!Warned(root) && !FindRow(root, NULL, NULL, NULL, "leaving_rate"), "a law inside the box leaves it");
    json_decref(root);
  }
}

static void test_refused(void **state)
{
  static const char *const key[][3] = {
      {"-transfer_order", "3", "transfer_order = 3: accepted are 2 and 4"},
      {"-transfer_order", "8", "transfer_order"},
      {"-transfer_scheme", "spectral", "local, chebyshev"},
  };

  (void)state;
  WriteText(InFolder("run.yaml"), RUN);
  for (size_t k = 0; k < sizeof(key) / sizeof(key[0]); k++) {
    const char *const argv[] = {"dlnfp", "check", InFolder("run.yaml"), key[k][0], key[k][1], NULL};

    Refused(argv, key[k][2]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_runaway), cmocka_unit_test(test_refused)};

  return cmocka_run_group_tests(tests, MakeFolder, RemoveFolder);
}

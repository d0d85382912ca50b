/* tail_index.c: the index alpha of the stationary law's tails, P(|w| > x) ~ x^-alpha, where it is known: of one weight,
   whose noise grows like the weight. SGD on Gaussian inputs of variance s with weight decay l takes w to (1 - eta (X +
   l)) w + noise, X = s chi^2_B/B, so E|1 - eta (X + l)|^alpha = 1 (Kesten, Acta Math. 131, 1973). An SDE with drift -k
   w and D = c w^2 far out has a density like |w|^(-2 - k/c), alpha = 1 + k/c. */
#include "observableimpl.h"
#include <gsl/gsl_integration.h>

#define FAR 1e6     /* where drift is linear and D quadratic */
#define MOST 1e4    /* an index above is not told from none */
#define RULE 20     /* Gauss-Legendre nodes of a panel */
#define PANEL 0.25  /* of y, X = s y^2/B */
#define TAIL 12.0   /* of y beyond the largest integrand */
#define STEPS 200   /* of the search */
#define CLOSE 1e-13 /* relative width at which it ends */
#define ROUNDING 1e-9

typedef struct {
  PetscReal                      h, decay; /* eta s, eta l */
  PetscInt                       batch;
  gsl_integration_glfixed_table *rule;
} Step;

/* ln E|1 - h y^2/B - decay|^alpha, y of the chi law of B degrees */
static PetscReal LogMoment(const Step *s, PetscReal alpha)
{
  const PetscReal B = s->batch, zero = PetscSqrtReal(PetscMax(0, (1 - s->decay) * B / s->h));
  const PetscReal last = PetscSqrtReal(2 * alpha + B) + TAIL;
  PetscReal       sum  = 0;

  for (PetscReal from = 0, to; from < last; from = to) {
    to = from + PANEL;
    if (from < zero && to > zero) to = zero; /* the kink */
    for (size_t k = 0; k < s->rule->n; k++) {
      double y, weight, size;

      gsl_integration_glfixed_point(from, to, k, &y, &weight, s->rule);
      size = fabs(1 - s->decay - s->h * y * y / B);
      if (y > 0 && size > 0)
        sum += weight * exp(alpha * log(size) + (B - 1) * log(y) - y * y / 2 - (B / 2 - 1) * M_LN2 - lgamma(B / 2));
    }
  }
  return sum > 0 ? log(sum) : PETSC_MIN_REAL;
}

/* The root above 0; 0 where the logarithms have a mean above 0, so that there is no law, or the index is beyond MOST.
 */
static PetscReal Root(const Step *s)
{
  PetscReal low = 1e-3, high;

  if (LogMoment(s, low) >= 0) return 0;
  for (high = 1; LogMoment(s, high) < 0; high *= 2) {
    low = high;
    if (high > MOST) return 0;
  }
  for (PetscInt k = 0; k < STEPS && high - low > CLOSE * high; k++) {
    const PetscReal middle = (low + high) / 2;

    if (LogMoment(s, middle) < 0)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

static PetscErrorCode OfEquation(FPProcess process, PetscReal *index)
{
  double      w[2] = {-FAR, FAR}, b[2], D[2];
  const char *drift, *noise;
  PetscReal   k, c;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAxes(process, &drift, &noise));
  if ((strcmp(drift, "gradient") && strcmp(drift, "modified") && strcmp(drift, "refined")) || !strcmp(noise, "stable"))
    PetscFunctionReturn(0);
  for (int side = 0; side < 2; side++) {
    FPProcessDrift(process, 1, &w[side], &b[side]);
    FPProcessDiffusion(process, 1, &w[side], &D[side]);
  }
  k = (b[0] - b[1]) / (2 * FAR);
  c = (D[0] + D[1]) / (2 * FAR * FAR);
  if (k > 0 && c * MOST > k) *index = 1 + k / c;
  PetscFunctionReturn(0);
}

PetscErrorCode FPTailIndex(FPProcess process, FPModel model, PetscReal *index, PetscReal *error)
{
  Step             step;
  FPTraining       training;
  FPAlgorithm      algorithm;
  FPData           data;
  PetscInt         dim, inputs, targets;
  const char      *type, *coordinates, *law;
  const PetscReal *second, *fourth;
  PetscReal        metric;

  PetscFunctionBegin;
  *index = *error = 0;
  PetscCall(FPModelGetName(model, &type, &coordinates));
  PetscCall(FPModelGetSizes(model, &dim, &inputs, &targets));
  PetscCall(FPModelGetMetric(model, &metric));
  PetscCall(FPModelGetData(model, &data));
  if (!data || strcmp(type, "chain") || dim != 1 || metric != 1) PetscFunctionReturn(0);
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, NULL));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPDataGetType(data, &law));
  if (algorithm == FP_SDE) {
    PetscCall(OfEquation(process, index));
  } else if (algorithm == FP_SGD && !strcmp(law, "gaussian")) {
    PetscCall(FPDataGetMoments(data, &second, &fourth));
    step = (Step){.h     = training.learning_rate * second[0],
                  .decay = training.learning_rate * training.weight_decay,
                  .batch = training.batch_size,
                  .rule  = gsl_integration_glfixed_table_alloc(RULE)};

    *index = Root(&step);
    gsl_integration_glfixed_table_free(step.rule);
  }
  *error = ROUNDING * *index;
  PetscFunctionReturn(0);
}

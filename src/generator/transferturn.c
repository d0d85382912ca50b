/* transferturn.c: how one step moves a point of the plane and a small difference beside it, by the same batch: z' = at
   + N(0, diag(normal^2)), v' = J v, as a rule of quadrature over batches. With one input and one target the gradient is
   g = metric u G, u = dM/dz, G = M X - Y, X and Y the means of x^2 and x y, so J = (1 - h decay) I - h metric (X u u^T
   + G W), W the second derivative of M. Gaussian inputs: X is a Gamma variable, and given X, or where inputs are signs,
   G is normal. Of svag, sums over two batches with coefficients c: X_b = 2 s r u_b/B, u_0 + u_1 = 1, r a Gamma
   variable, u_0 a Beta variable, and G has the variance sigma^2/B sum_b c_b^2 X_b. All have a Gauss rule, with the more
   nodes the longer steps in their direction are beside the injected noise, over which all that follows is smooth.
   Batches of rows are listed one by one. Gradient descent has J = I - h H, and so has ou, whose noise is everywhere the
   same. */
#include "transferlaw.h"

#define DERIVATIVE 1e-5 /* step of central differences, in weights */
#define LEAST 6         /* nodes of a rule */
#define GROWTH 4        /* more of them for each time that steps are longer than the injected noise */
#define SIZES 24        /* rules of LEAST, LEAST + 4, ... nodes */
#define DEGREE 10       /* of moments of batches of rows, and more of them likewise */
#define LOWEST 5
#define DEGREES ((FP_PAIRS_DEGREE - LOWEST) / 2 + 1)
#define NOTHING 1e-13 /* probability of a batch that is left out */
#define FIELDS 6      /* of a row: gradient and its Jacobian */

typedef struct {
  PetscInt   n;
  PetscReal *node, *weight;
} Rule;

/* N(0, 1); the Gamma variable of shape B/2, of two batches B; twice the Beta variable of B/2 and B/2, less 1 */
typedef enum { NORMAL, GAMMA, BETA, KINDS } RuleKind;

struct _p_FPTurns {
  FPStepLaw law;
  FPMixture mixture;
  Rule      rule[KINDS][SIZES];
  FPPairs   pairs[DEGREES]; /* X and Y of batches of rows */
  PetscReal fineness;       /* as asked for last */
};

/* What a step from one point is made of, where there is one input and one target */
typedef struct {
  PetscReal rest[2], u[2], W[4], M, step, keep, length; /* step: h metric; keep: 1 - h decay; length: of step u */
} Scalar;

/* Recurrence of the polynomials that are orthonormal for a law */
static void SetRecurrence(RuleKind kind, PetscReal shape, PetscInt n, PetscReal diagonal[], PetscReal off[])
{
  for (PetscInt k = 0; k < n; k++) {
    const PetscReal twice = 2 * shape; /* Beta: Gegenbauer's, lambda = shape - 1/2 */

    diagonal[k] = kind == GAMMA ? 2 * k + shape : 0;
    off[k]      = PetscSqrtReal(kind == NORMAL  ? k
                                : kind == GAMMA ? k * (k + shape - 1)
                                : k < 2         ? k / (twice + 1)
                                                : k * (k + twice - 2) / ((2 * k + twice - 1) * (2 * k + twice - 3)));
  }
}

/* For steps that are `length` times as long as the injected noise */
static PetscErrorCode GetRule(FPTurns t, PetscReal length, RuleKind kind, const Rule **out)
{
  const PetscReal wanted = t->fineness * (LEAST + GROWTH * length);
  const PetscInt  size   = (PetscInt)PetscClipInterval(PetscCeilReal((wanted - LEAST) / 4), 0, SIZES - 1);
  const PetscInt  n      = LEAST + 4 * size;
  const PetscReal shape  = t->law->training.batch_size / (kind == GAMMA && t->law->batches == 2 ? 1.0 : 2.0);
  Rule           *rule   = &t->rule[kind][size];
  PetscReal      *diagonal, *off;

  PetscFunctionBegin;
  *out = rule;
  if (rule->n) PetscFunctionReturn(0);
  PetscCall(PetscMalloc2(n, &diagonal, n, &off));
  SetRecurrence(kind, shape, n, diagonal, off);
  rule->n = n;
  PetscCall(PetscMalloc2(n, &rule->node, n, &rule->weight));
  PetscCall(FPGaussRule(n, diagonal, off, rule->node, rule->weight));
  PetscCall(PetscFree2(diagonal, off));
  PetscFunctionReturn(0);
}

/* Sum of the squares of the coefficients of batches */
static PetscReal Squares(FPStepLaw law)
{
  return law->batches == 2 ? PetscSqr(law->coefficient[0]) + PetscSqr(law->coefficient[1]) : 1;
}

static PetscErrorCode Add(FPTurnList *list, PetscReal weight, const PetscReal at[], const PetscReal J[])
{
  PetscFunctionBegin;
  if (weight < NOTHING) PetscFunctionReturn(0);
  if (list->n == list->room) {
    list->room = PetscMax(64, 2 * list->room);
    PetscCall(PetscRealloc(sizeof(FPTurn) * (size_t)list->room, &list->turn));
  }
  list->turn[list->n] = (FPTurn){.weight = weight, .at = {at[0], at[1]}, .J = {J[0], J[1], J[2], J[3]}};
  list->n++;
  PetscFunctionReturn(0);
}

static void SetScalar(FPStepLaw law, const PetscReal z[], Scalar *s)
{
  s->step = law->h * law->metric;
  s->keep = 1 - law->h * law->training.weight_decay;
  FPModelMap(law->model, 1, z, &s->M);
  FPModelJacobian(law->model, 1, z, s->u);
  s->length = s->step * hypot(s->u[0], s->u[1]);
  for (int a = 0; a < 2; a++) {
    PetscReal at[2] = {z[0], z[1]}, up[2], down[2];

    s->rest[a] = s->keep * z[a];
    at[a]      = z[a] + DERIVATIVE;
    FPModelJacobian(law->model, 1, at, up);
    at[a] = z[a] - DERIVATIVE;
    FPModelJacobian(law->model, 1, at, down);
    for (int b = 0; b < 2; b++) s->W[2 * b + a] = (up[b] - down[b]) / (2 * DERIVATIVE);
  }
}

/* A batch with the means X and G */
static PetscErrorCode AddScalar(const Scalar *s, PetscReal weight, PetscReal X, PetscReal G, FPTurnList *list)
{
  PetscReal at[2], J[4];

  PetscFunctionBegin;
  for (int a = 0; a < 2; a++) {
    at[a] = s->rest[a] - s->step * G * s->u[a];
    for (int b = 0; b < 2; b++)
      J[2 * a + b] = (a == b ? s->keep : 0) - s->step * (X * s->u[a] * s->u[b] + G * s->W[2 * a + b]);
  }
  PetscCall(Add(list, weight, at, J));
  PetscFunctionReturn(0);
}

/* G is normal, given X = sum_b c_b X_b and V = sum_b c_b^2 X_b. */
static PetscErrorCode AddGivenSquare(FPTurns t, const Scalar *s, PetscReal weight, PetscReal X, PetscReal V,
                                     FPTurnList *list)
{
  FPStepLaw       law  = t->law;
  const PetscReal mean = (s->M - law->A) * X, sd = law->sigma * PetscSqrtReal(V / law->training.batch_size);
  const PetscReal usual = law->sigma * PetscSqrtReal(law->s * Squares(law) / law->training.batch_size);
  const Rule     *rule;

  PetscFunctionBegin;
  if (sd == 0) {
    PetscCall(AddScalar(s, weight, X, mean, list));
    PetscFunctionReturn(0);
  }
  PetscCall(GetRule(t, s->length * usual / law->injected, NORMAL, &rule));
  for (PetscInt k = 0; k < rule->n; k++)
    PetscCall(AddScalar(s, weight * rule->weight[k], X, mean + sd * rule->node[k], list));
  PetscFunctionReturn(0);
}

/* r of the Gamma variable */
static PetscErrorCode AddTwo(FPTurns t, const Scalar *s, PetscReal weight, PetscReal r, FPTurnList *list)
{
  FPStepLaw       law = t->law;
  const PetscReal B = law->training.batch_size, *c = law->coefficient, moved = (c[0] - c[1]) / PetscSqrtReal(B + 1);
  const PetscReal scale = 2 * law->s * r / B;
  const Rule     *rule;

  PetscFunctionBegin;
  PetscCall(GetRule(t, s->length * PetscAbsReal(s->M - law->A) * law->s * moved / law->injected, BETA, &rule));
  for (PetscInt k = 0; k < rule->n; k++) {
    const PetscReal first = (1 + rule->node[k]) / 2, second = 1 - first;

    PetscCall(AddGivenSquare(t, s, weight * rule->weight[k], scale * (c[0] * first + c[1] * second),
                             scale * (c[0] * c[0] * first + c[1] * c[1] * second), list));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode AddGamma(FPTurns t, const Scalar *s, FPTurnList *list)
{
  FPStepLaw       law   = t->law;
  const PetscReal B     = law->training.batch_size;
  const PetscReal moved = PetscAbsReal(s->M - law->A) * law->s * PetscSqrtReal(2 / B * Squares(law));
  const Rule     *rule;

  PetscFunctionBegin;
  PetscCall(GetRule(t, s->length * moved / law->injected, GAMMA, &rule));
  for (PetscInt k = 0; k < rule->n; k++) {
    const PetscReal r = rule->node[k], X = 2 * law->s * r / B;

    if (law->batches == 2)
      PetscCall(AddTwo(t, s, rule->weight[k], r, list));
    else
      PetscCall(AddGivenSquare(t, s, rule->weight[k], X, X, list));
  }
  PetscFunctionReturn(0);
}

/* Batches of rows with one input and one target: few with the moments of all */
static PetscErrorCode AddPairs(FPTurns t, const Scalar *s, FPTurnList *list)
{
  FPStepLaw law    = t->law;
  PetscReal square = 0, mean = 0;
  FPPairs  *pairs;
  PetscInt  size;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < law->rows; i++) {
    const PetscReal *x = law->u + 2 * i, G = (s->M * x[0] - x[1]) * x[0];

    mean += law->share[i] * G;
    square += law->share[i] * G * G;
  }
  square = PetscSqrtReal(PetscMax(0, square - mean * mean) * Squares(law) / law->training.batch_size);
  square *= s->length / law->injected;
  size  = (PetscInt)PetscClipInterval(PetscCeilReal((t->fineness * (DEGREE + GROWTH * square) - LOWEST) / 2), 0,
                                      DEGREES - 1);
  pairs = &t->pairs[size];
  if (!pairs->n) {
    pairs->n = law->rows;
    PetscCall(PetscMalloc2(2 * law->rows, &pairs->at, law->rows, &pairs->weight));
    for (PetscInt i = 0; i < law->rows; i++) {
      pairs->at[2 * i]     = PetscSqr(law->u[2 * i]);
      pairs->at[2 * i + 1] = law->u[2 * i] * law->u[2 * i + 1];
      pairs->weight[i]     = law->share[i];
    }
    PetscCall(FPPairsOfBatch(LOWEST + 2 * size, law->training.batch_size, pairs));
    if (law->batches == 2) PetscCall(FPPairsOfTwo(LOWEST + 2 * size, law->coefficient, pairs));
  }
  for (PetscInt k = 0; k < pairs->n; k++)
    PetscCall(AddScalar(s, pairs->weight[k], pairs->at[2 * k], s->M * pairs->at[2 * k] - pairs->at[2 * k + 1], list));
  PetscFunctionReturn(0);
}

/* field[FIELDS][rows]: gradient of each row without decay, and its Jacobian */
static void RowFields(FPStepLaw law, const PetscReal z[], PetscReal field[])
{
  const PetscInt n = law->rows, wide = law->inputs + law->targets;

  for (PetscInt i = 0; i < n; i++) {
    const PetscReal *x    = law->u + (size_t)i * wide;
    PetscReal        g[2] = {0, 0};

    FPModelSampleGradient(law->model, 1, z, x, x + law->inputs, g);
    for (int a = 0; a < 2; a++) {
      PetscReal at[2] = {z[0], z[1]}, up[2] = {0, 0}, down[2] = {0, 0};

      field[a * n + i] = g[a];
      at[a]            = z[a] + DERIVATIVE;
      FPModelSampleGradient(law->model, 1, at, x, x + law->inputs, up);
      at[a] = z[a] - DERIVATIVE;
      FPModelSampleGradient(law->model, 1, at, x, x + law->inputs, down);
      for (int b = 0; b < 2; b++) field[(2 + 2 * b + a) * n + i] = (up[b] - down[b]) / (2 * DERIVATIVE);
    }
  }
}

static PetscErrorCode AddRows(FPTurns t, const PetscReal z[], FPTurnList *list)
{
  FPStepLaw       law  = t->law;
  const PetscReal keep = 1 - law->h * law->training.weight_decay;
  PetscReal      *value[FIELDS], *weight[FIELDS], *field;
  PetscInt        count = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(FIELDS * law->rows, &field));
  RowFields(law, z, field);
  for (PetscInt f = 0; f < FIELDS; f++) {
    const FPBatch batch = {.n           = law->rows,
                           .batch       = law->training.batch_size,
                           .batches     = law->batches,
                           .order       = law->order,
                           .atom        = field + f * law->rows,
                           .share       = law->share,
                           .coefficient = {law->coefficient[0], law->coefficient[1]}};

    PetscCall(FPBatchLaw(&batch, &count, &value[f], &weight[f]));
  }
  for (PetscInt k = 0; k < count; k++) {
    const PetscReal at[2] = {keep * z[0] - law->h * value[0][k], keep * z[1] - law->h * value[1][k]};
    const PetscReal J[4]  = {keep - law->h * value[2][k], -law->h * value[3][k], -law->h * value[4][k],
                             keep - law->h * value[5][k]};

    PetscCall(Add(list, weight[0][k], at, J));
  }
  for (PetscInt f = 0; f < FIELDS; f++) PetscCall(PetscFree2(value[f], weight[f]));
  PetscCall(PetscFree(field));
  PetscFunctionReturn(0);
}

/* One normal law, or a point, whose differences are those of the mean gradient */
static PetscErrorCode AddMean(FPTurns t, const PetscReal z[], FPTurnList *list)
{
  FPStepLaw        law = t->law;
  const FPMixture *m   = &t->mixture;
  PetscReal        H[4], J[4], length;
  const Rule      *rule;

  PetscFunctionBegin;
  PetscCall(FPStepLawAt(law, z, &t->mixture));
  FPModelHessian(law->model, 1, z, H);
  for (int k = 0; k < 4; k++) J[k] = (k % 3 ? 0 : 1) - law->h * H[k];
  for (int a = 0; a < 2; a++) list->normal[a] = m->normal[a];
  length = m->sd[0] * hypot(m->along[0], m->along[1]);
  PetscCall(GetRule(t, length / PetscMin(m->normal[0], m->normal[1]), NORMAL, &rule));
  for (PetscInt k = 0; k < (length > 0 ? rule->n : 1); k++) {
    const PetscReal move  = length > 0 ? rule->node[k] * m->sd[0] : 0;
    const PetscReal at[2] = {m->at[0][0] + move * m->along[0], m->at[1][0] + move * m->along[1]};

    PetscCall(Add(list, length > 0 ? rule->weight[k] : 1, at, J));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPTurnsCreate(FPStepLaw law, FPTurns *turns)
{
  PetscFunctionBegin;
  PetscCheck(law->dim == 2, PETSC_COMM_SELF, PETSC_ERR_SUP, "tangent vectors turn in the plane");
  PetscCall(PetscNew(turns));
  (*turns)->law = law;
  PetscFunctionReturn(0);
}

const char *FPTurnsRefused(FPStepLaw law, PetscBool smooth)
{
  FPData data;

  (void)FPModelGetData(law->model, &data);
  if (law->kind == LAW_NORMAL && data) return "the normal law of a batch says where a step leads, not how it stretches";
  if (law->kind == LAW_PAIRS)
    return "the batches are too many to list, each with its turn of the plane: up to 2000 of rows are; particles have "
           "it";
  if (smooth && data && (law->kind == LAW_ROWS || law->kind == LAW_MEAN || law->sigma == 0))
    return "where a step turns and stretches by finitely many matrices the logarithm is singular, which is known to "
           "order 2: transfer_order: 2";
  return NULL;
}

PetscErrorCode FPTurnsAt(FPTurns t, const PetscReal z[], PetscReal fineness, FPTurnList *list)
{
  FPStepLaw law = t->law;
  Scalar    s;

  PetscFunctionBegin;
  t->fineness     = fineness;
  list->n         = 0;
  list->normal[0] = list->normal[1] = law->injected;
  if (law->kind == LAW_MEAN || law->kind == LAW_NORMAL) {
    PetscCall(AddMean(t, z, list));
  } else if (law->kind == LAW_ROWS && !law->scalar) {
    PetscCall(AddRows(t, z, list));
  } else {
    SetScalar(law, z, &s);
    if (law->kind == LAW_ROWS)
      PetscCall(AddPairs(t, &s, list));
    else if (law->kind == LAW_SIGNS)
      PetscCall(AddGivenSquare(t, &s, 1, law->s, law->s * Squares(law), list));
    else
      PetscCall(AddGamma(t, &s, list));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPTurnsDestroy(FPTurns *turns)
{
  PetscFunctionBegin;
  if (!*turns) PetscFunctionReturn(0);
  for (int kind = 0; kind < KINDS; kind++)
    for (PetscInt k = 0; k < SIZES; k++)
      PetscCall(PetscFree2((*turns)->rule[kind][k].node, (*turns)->rule[kind][k].weight));
  for (PetscInt k = 0; k < DEGREES; k++) PetscCall(FPPairsFree(&(*turns)->pairs[k]));
  PetscCall(FPMixtureFree(&(*turns)->mixture));
  PetscCall(PetscFree(*turns));
  PetscFunctionReturn(0);
}

/* t-evolve.c: exp(tQ) on measures and functions, shifted solves and Poisson's equation, against uniformisation (A.
   Jensen, 1953: a sum of positive terms that shares nothing with Krylov spaces) and exact moments. */
#include "scene.h"
#include <math.h>

#define SCALAR                                                                                                         \
  "data_type=gaussian data_teacher=1.1 data_label_noise=0.7 data_second_moment=0.9 training_learning_rate=0.15 "       \
  "training_batch_size=2 "

typedef struct {
  PetscInt         n, edges;
  const PetscInt  *node;
  const PetscReal *z, *measure, *volume, *kill;
  const FPEdge    *edge;
} Chain;

static Chain View(Scene *s)
{
  Chain c;

  must(FPGeneratorGetNodes(s->gen, &c.n, &c.node, &c.z, &c.measure, &c.volume));
  must(FPGeneratorGetEdges(s->gen, &c.edges, &c.edge, &c.kill));
  return c;
}

/* y = Q x, or Q^T x */
static void Apply(const Chain *c, PetscBool backward, const PetscReal x[], PetscReal y[])
{
  for (PetscInt k = 0; k < c->n; k++) y[k] = -c->kill[k] * x[k];
  for (PetscInt s = 0; s < c->edges; s++) {
    const FPEdge *e = &c->edge[s];

    if (backward) {
      y[e->i] += e->qij * (x[e->j] - x[e->i]);
      y[e->j] += e->qji * (x[e->i] - x[e->j]);
    } else {
      const PetscReal net = e->qij * x[e->i] - e->qji * x[e->j];

      y[e->i] -= net;
      y[e->j] += net;
    }
  }
}

static void Uniformise(Scene *s, PetscBool backward, const PetscReal x[], PetscReal t, PetscReal out[])
{
  const Chain     c = View(s);
  FPGeneratorInfo info;
  PetscReal      *v, *Qv, mean;

  must(FPGeneratorGetInfo(s->gen, &info));
  must(PetscMalloc2(c.n, &v, c.n, &Qv));
  mean = info.largest_rate * t;
  for (PetscInt k = 0; k < c.n; k++) {
    v[k]   = x[k];
    out[k] = 0;
  }
  for (PetscInt j = 0; j < mean + 12 * sqrt(mean) + 40; j++) {
    const PetscReal w = exp(j * log(mean) - mean - lgamma(j + 1.0));

    for (PetscInt k = 0; k < c.n; k++) out[k] += w * v[k];
    Apply(&c, backward, v, Qv);
    for (PetscInt k = 0; k < c.n; k++) v[k] += Qv[k] / info.largest_rate;
  }
  must(PetscFree2(v, Qv));
}

static PetscInt Nearest(const Chain *c, PetscInt dim, const PetscReal point[])
{
  PetscInt  best  = 0;
  PetscReal least = PETSC_MAX_REAL;

  for (PetscInt k = 0; k < c->n; k++) {
    PetscReal d = 0;

    for (PetscInt a = 0; a < dim; a++) d += PetscSqr(c->z[a * c->n + k] - point[a]);
    if (d < least) {
      least = d;
      best  = k;
    }
  }
  return best;
}

typedef struct {
  const char *process, *keys;
  PetscReal   start[3];
} Case;

static const Case Cases[] = {
    {"langevin",
     SCALAR "model_type=chain model_depth=2 training_temperature=0.13 training_weight_decay=0.05 mesh_lower=-1.7,-1.3 "
            "mesh_upper=2.1,1.9 mesh_cells=24,20",
     {0.1, -0.2}},
    {"langevin", /* cold, from the saddle: its probability is e^-20 */
     SCALAR "model_type=chain model_depth=2 training_temperature=0.025 training_weight_decay=0.05 mesh_lower=-1.7,-1.3 "
            "mesh_upper=2.1,1.9 mesh_cells=24,20",
     {0, 0}},
    {"ald",
     SCALAR "model_type=chain model_depth=2 training_temperature=0.03 training_weight_decay=0.05 mesh_lower=-1.7,-1.3 "
            "mesh_upper=2.1,1.9 mesh_cells=24,20",
     {-1.2, 1.1}},
    {"ald", /* turns by 9 radians while it relaxes */
     "model_type=ou model_drift=0.3,-2.7,2.7,0.4 model_diffusion=0.3,0.1,0.1,0.2 mesh_lower=-2.7,-2.3 "
     "mesh_upper=2.1,2.9 mesh_cells=24,20",
     {1.1, -0.7}},
    {"ald", /* not normal: shear */
     "model_type=ou model_drift=0.5,-4.1,0,0.7 model_diffusion=0.3,0.1,0.1,0.2 mesh_lower=-2.7,-2.3 "
     "mesh_upper=2.1,2.9 mesh_cells=20,24",
     {-1.9, 1.7}},
    {"ald", /* rank-deficient D */
     SCALAR "model_type=chain model_depth=2 training_weight_decay=0.05 mesh_lower=-1.7,-1.3 mesh_upper=2.1,1.9 "
            "mesh_cells=24,20",
     {1.4, 0.3}},
    {"ald", /* absorbing walls */
     SCALAR "model_type=chain model_depth=2 training_temperature=0.03 mesh_lower=-1.7,-1.3 mesh_upper=2.1,1.9 "
            "mesh_cells=20,24 mesh_faces=absorbing",
     {0.2, 0.2}},
    {"langevin",
     SCALAR "model_type=chain model_depth=3 model_coordinates=balanced training_temperature=0.05 mesh_lower=-1.1 "
            "mesh_upper=2.1 mesh_cells=96",
     {-0.7}},
};
#define CASES ((int)(sizeof(Cases) / sizeof(Cases[0])))
#define TIMES 7

/* Both directions, a start in one cell and a discontinuous function; three decades of times in one call. */
static void test_uniformisation(PETSC_UNUSED void **none)
{
  const PetscReal times[TIMES] = {0, 0.013, 0.11, 0.4, 1.7, 5.3, 23.1};

  for (int c = 0; c < CASES; c++)
    for (int backward = 0; backward < 2; backward++) {
      Scene     s;
      Chain     chain;
      PetscReal error[TIMES], *x, *out, *exact, worst = 0, largest = 0, mass = 0;

      SceneOpen(&s, Cases[c].process, "%s", Cases[c].keys);
      (void)SceneGrid(&s, 0);
      chain = View(&s);
      must(PetscCalloc3(chain.n, &x, chain.n * TIMES, &out, chain.n, &exact));
      if (backward)
        for (PetscInt k = 0; k < chain.n; k++) x[k] = chain.z[k] > 0.21 ? 0.8 : -0.3;
      else
        x[Nearest(&chain, s.dim, Cases[c].start)] = 1;
      must(FPGeneratorEvolve(s.gen, (PetscBool)backward, x, TIMES, times, out, error));
      for (int t = 0; t < TIMES; t++) {
        PetscReal off = 0, sum = 0;

        if (times[t] > 0)
          Uniformise(&s, (PetscBool)backward, x, times[t], exact);
        else
          must(PetscArraycpy(exact, x, chain.n));
        for (PetscInt k = 0; k < chain.n; k++) {
          const PetscReal d = PetscAbsReal(out[t * chain.n + k] - exact[k]);

          off = backward ? PetscMax(off, d) : off + d;
          sum += out[t * chain.n + k];
          if (!backward) check(out[t * chain.n + k] >= 0, "case %d: a negative probability", c);
        }
        worst   = PetscMax(worst, off);
        largest = PetscMax(largest, error[t]);
        if (t > 0 && !backward && !strstr(Cases[c].keys, "absorbing"))
          check(PetscAbsReal(sum - 1) < 1e-14, "case %d: mass %.17g", c, (double)sum);
        if (!backward && t > 0 && strstr(Cases[c].keys, "absorbing"))
          check(sum <= mass + 1e-14, "case %d: mass grows to %.17g", c, (double)sum);
        mass = sum;
        check(off <= error[t] + 1e-11, "case %d, backward %d, t = %g: off by %.2e, told %.2e", c, backward,
              (double)times[t], (double)off, (double)error[t]);
        check(error[t] < 1e-9, "case %d, backward %d, t = %g: error %.2e", c, backward, (double)times[t],
              (double)error[t]);
      }
      print_message("  case %d, backward %d: off by %.1e, told %.1e\n", c, backward, (double)worst, (double)largest);
      must(PetscFree3(x, out, exact));
      SceneClose(&s);
    }
}

/* One call for all times and a stop on the way agree. */
static void test_semigroup(PETSC_UNUSED void **none)
{
  const PetscReal first = 0.37, second = 1.1, both = first + second;

  for (int backward = 0; backward < 2; backward++) {
    Scene      s;
    Chain      c;
    PetscReal *x, *y, *z, error[2], off = 0;

    SceneOpen(&s, Cases[3].process, "%s", Cases[3].keys);
    (void)SceneGrid(&s, 0);
    c = View(&s);
    must(PetscMalloc3(c.n, &x, c.n, &y, c.n, &z));
    for (PetscInt k = 0; k < c.n; k++) x[k] = sin(1.3 * c.z[k]) + (backward ? 0 : c.measure[k]);
    must(FPGeneratorEvolve(s.gen, (PetscBool)backward, x, 1, &both, z, error));
    must(FPGeneratorEvolve(s.gen, (PetscBool)backward, x, 1, &first, y, error));
    must(FPGeneratorEvolve(s.gen, (PetscBool)backward, y, 1, &second, x, error + 1));
    for (PetscInt k = 0; k < c.n; k++)
      off = backward ? PetscMax(off, PetscAbsReal(x[k] - z[k])) : off + PetscAbsReal(x[k] - z[k]);
    check(off < 1e-9 * (backward ? 1 : c.n), "backward %d: off by %.2e", backward, (double)off);
    must(PetscFree3(x, y, z));
    SceneClose(&s);
  }
}

/* (shift - Q) x = rhs, its transpose, the Poisson equation, and mean exit times where something is killed. */
static void test_invert(PETSC_UNUSED void **none)
{
  for (int c = 0; c < CASES; c++)
    for (int backward = 0; backward < 2; backward++)
      for (int zero = 0; zero < 2; zero++) {
        const PetscReal  shift = zero ? 0 : 0.31;
        const PetscReal *pi;
        const PetscBool  killed = (PetscBool)(strstr(Cases[c].keys, "absorbing") != NULL);
        Scene            s;
        Chain            chain;
        PetscReal       *rhs, *x, *Qx, off = 0, size = 0, mean = 0;

        SceneOpen(&s, Cases[c].process, "%s", Cases[c].keys);
        (void)SceneGrid(&s, 0);
        chain = View(&s);
        must(FPGeneratorSolve(s.gen, 1));
        must(FPGeneratorStationary(s.gen, &pi));
        must(PetscMalloc3(chain.n, &rhs, chain.n, &x, chain.n, &Qx));
        for (PetscInt k = 0; k < chain.n; k++) {
          const PetscReal f = cos(1.7 * chain.z[k] + 0.3);

          rhs[k] = backward ? f : f * pi[k];
          mean += f * pi[k];
        }
        for (PetscInt k = 0; k < chain.n && zero && !killed; k++) rhs[k] -= backward ? mean : mean * pi[k];
        must(FPGeneratorInvert(s.gen, (PetscBool)backward, shift, rhs, x));
        Apply(&chain, (PetscBool)backward, x, Qx);
        for (PetscInt k = 0; k < chain.n; k++) {
          const PetscReal d = PetscAbsReal(shift * x[k] - Qx[k] - rhs[k]);

          off  = backward ? PetscMax(off, d) : off + d;
          size = backward ? PetscMax(size, PetscAbsReal(x[k])) : size + PetscAbsReal(x[k]);
        }
        check(off < 1e-9 * PetscMax(1, size), "case %d, backward %d, shift %g: residual %.2e, solution %.2e", c,
              backward, (double)shift, (double)off, (double)size);
        must(PetscFree3(rhs, x, Qx));
        SceneClose(&s);
      }
}

/* dx = -a x dt + sqrt(2D) dB in one and a sheared one in two dimensions from a point: mean exp(-At) x0, variance
   S - exp(-At) S exp(-At)^T, entropy of the density in one dimension ln(2 pi e variance)/2. Errors fall as h^2 (a start
   in one cell is the point's within h; both are exactly its centre here). */
static void Moments(PetscInt cells, PetscReal t, PetscReal start, PetscReal *mean, PetscReal *variance,
                    PetscReal *entropy)
{
  Scene      s;
  Chain      c;
  PetscReal *p, *q, error;

  SceneOpen(&s, "ald", "model_type=ou model_drift=0.9 model_diffusion=0.4 mesh_lower=-4 mesh_upper=5 mesh_cells=%d",
            (int)cells);
  (void)SceneGrid(&s, 0);
  c = View(&s);
  must(PetscCalloc2(c.n, &p, c.n, &q));
  p[Nearest(&c, 1, &start)] = 1;
  check(PetscAbsReal(c.z[Nearest(&c, 1, &start)] - start) < 1e-9, "the start is no node of %d cells", (int)cells);
  must(FPGeneratorEvolve(s.gen, PETSC_FALSE, p, 1, &t, q, &error));
  *mean = *variance = *entropy = 0;
  for (PetscInt k = 0; k < c.n; k++) *mean += q[k] * c.z[k];
  for (PetscInt k = 0; k < c.n; k++) {
    *variance += q[k] * PetscSqr(c.z[k] - *mean);
    if (q[k] > 0) *entropy -= q[k] * log(q[k] / c.volume[k]);
  }
  must(PetscFree2(p, q));
  SceneClose(&s);
}

static void test_moments(PETSC_UNUSED void **none)
{
  const PetscReal a = 0.9, D = 0.4, start = 0.5 + 2.0 / 3, t = 0.63;
  const PetscReal mean = start * exp(-a * t), variance = D / a * (1 - exp(-2 * a * t));
  const PetscReal exact[3] = {mean, variance, 0.5 * log(2 * PETSC_PI * exp(1.0) * variance)};
  PetscReal       off[3][3], value[3];

  for (int g = 0; g < 3; g++) {
    Moments((PetscInt[]){81, 135, 243}[g], t, start, &value[0], &value[1], &value[2]);
    for (int q = 0; q < 3; q++) off[g][q] = PetscAbsReal(value[q] - exact[q]);
  }
  for (int q = 0; q < 3; q++) {
    const PetscReal order = log(off[1][q] / off[2][q]) / log(243.0 / 135);

    print_message("  moment %d: errors %.2e %.2e %.2e, order %.2f\n", q, (double)off[0][q], (double)off[1][q],
                  (double)off[2][q], (double)order);
    check(off[2][q] < 1e-10 || (order > 1.9 && order < 2.1), "moment %d: order %.2f", q, (double)order);
  }
}

/* Long against the fastest rates by 10 decades: measures become the stationary law, functions their mean. */
static void test_long_times(PETSC_UNUSED void **none)
{
  const PetscReal time   = 3e7;
  const int       list[] = {0, 2, 3};

  for (int l = 0; l < 3; l++)
    for (int backward = 0; backward < 2; backward++) {
      const Case      *k = &Cases[list[l]];
      const PetscReal *pi;
      PetscReal       *x, *y, error, off = 0, mean = 0;
      Scene            s;
      Chain            c;

      SceneOpen(&s, k->process, "%s", k->keys);
      (void)SceneGrid(&s, 0);
      c = View(&s);
      must(PetscCalloc2(c.n, &x, c.n, &y));
      for (PetscInt i = 0; i < c.n; i++) x[i] = backward ? sin(1.3 * c.z[i]) : i % 7 == 0;
      must(FPGeneratorEvolve(s.gen, (PetscBool)backward, x, 1, &time, y, &error));
      must(FPGeneratorSolve(s.gen, 1));
      must(FPGeneratorStationary(s.gen, &pi));
      for (PetscInt i = 0; i < c.n; i++) mean += backward ? pi[i] * x[i] : x[i];
      for (PetscInt i = 0; i < c.n; i++)
        off = backward ? PetscMax(off, PetscAbsReal(y[i] - mean)) : off + PetscAbsReal(y[i] / mean - pi[i]);
      print_message("  case %d, backward %d: off by %.1e\n", list[l], backward, (double)off);
      check(off < 1e-9, "case %d, backward %d: off by %.2e", list[l], backward, (double)off);
      must(PetscFree2(x, y));
      SceneClose(&s);
    }
}

/* A law that decays as one: the quasi-stationary one of a well whose rate is 1e-7 of the fastest. */
static void test_slow_decay(PETSC_UNUSED void **none)
{
  const PetscReal *pi, *rate;
  PetscReal       *y, time, error, sum = 0;
  Scene            s;
  Chain            c;

  SceneOpen(&s, "langevin", "%s",
            "model_type=ou model_drift=1.3 model_diffusion=1 langevin_temperature=0.06 mesh_lower=-1 mesh_upper=1.1 "
            "mesh_cells=128 mesh_faces=absorbing");
  (void)SceneGrid(&s, 0);
  c = View(&s);
  must(FPGeneratorSolve(s.gen, 2));
  must(FPGeneratorGetModes(s.gen, NULL, &rate, NULL, NULL));
  must(FPGeneratorStationary(s.gen, &pi));
  time = 1.7 / rate[0];
  must(PetscMalloc1(c.n, &y));
  must(FPGeneratorEvolve(s.gen, PETSC_FALSE, pi, 1, &time, y, &error));
  for (PetscInt i = 0; i < c.n; i++) sum += y[i];
  print_message("  rate %.3e: %.12g left, exp(-1.7) = %.12g\n", (double)rate[0], (double)sum, exp(-1.7));
  check(fabs(sum - exp(-1.7)) < 1e-9, "%.12g left", (double)sum);
  must(PetscFree(y));
  SceneClose(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_uniformisation), cmocka_unit_test(test_semigroup),  cmocka_unit_test(test_invert),
      cmocka_unit_test(test_moments),        cmocka_unit_test(test_long_times), cmocka_unit_test(test_slow_decay),
  };
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

/* t-jumps.c: the jumps of stable noise on a lattice: rates and where they lead, products against direct sums, killed
   boxes and discs against eigenvalues, exit times and exit sides that are known, solvers that don't slow down.

   Eigenvalues of (-Laplacian)^(alpha/2) on (-1, 1) and on the unit disc come from Galerkin's method with
   (1 - r^2)^(alpha/2) times Jacobi polynomials, on which the operator is diagonal (B. Dyda, A. Kuznetsov, M. Kwasnicki,
   Constr. Approx. 45 (2017)), in SciPy: 400 and 200 of them, half as many agree to the digits given but for the last.
 */
#include "test.h"
#include "../src/generator/jumps.h"
#include <math.h>

static PetscErrorCode Lattice(PetscInt dim, PetscInt nx, PetscInt ny, PetscReal alpha, PetscBool independent,
                              FPBoundary boundary, FPJumpsSetting *s)
{
  PetscFunctionBegin;
  *s = (FPJumpsSetting){.dim         = dim,
                        .cells       = {nx, ny},
                        .h           = {0.31, 0.23},
                        .alpha       = alpha,
                        .independent = independent,
                        .boundary    = boundary};
  PetscFunctionReturn(0);
}

/* x = (shift - Q)^-1 b, or with Q^T */
static PetscInt Invert(FPJumps jumps, FPJumpsPC kind, const char type[], PetscBool transposed, PetscReal shift,
                       const PetscReal b[], PetscReal x[])
{
  const PetscReal   *out, *kill;
  PetscInt           n, iterations;
  Mat                A;
  KSP                ksp;
  PC                 pc;
  Vec                in, solution;
  KSPConvergedReason reason;

  must(FPJumpsGetOutflow(jumps, &n, &out, &kill));
  must(FPJumpsCreateOperator(jumps, NULL, shift, &A));
  must(KSPCreate(PETSC_COMM_SELF, &ksp));
  must(KSPSetOperators(ksp, A, A));
  must(KSPSetType(ksp, type));
  must(KSPSetTolerances(ksp, 1e-11, PETSC_DEFAULT, PETSC_DEFAULT, 300));
  must(KSPGetPC(ksp, &pc));
  must(FPJumpsSetPC(A, kind, pc));
  must(VecCreateSeqWithArray(PETSC_COMM_SELF, 1, n, b, &in));
  must(VecCreateSeqWithArray(PETSC_COMM_SELF, 1, n, x, &solution));
  if (transposed)
    must(KSPSolveTranspose(ksp, in, solution));
  else
    must(KSPSolve(ksp, in, solution));
  must(KSPGetConvergedReason(ksp, &reason));
  check(reason > 0, "no convergence: %s", KSPConvergedReasons[reason]);
  must(KSPGetIterationNumber(ksp, &iterations));
  must(VecDestroy(&in));
  must(VecDestroy(&solution));
  must(KSPDestroy(&ksp));
  must(MatDestroy(&A));
  return iterations;
}

/* The smallest eigenvalues of -Q, for symmetric Q. */
static void Eigenvalues(FPJumps jumps, FPJumpsPC kind, PetscInt count, PetscReal value[])
{
  const PetscReal shift = 0.01;
  Mat             A, B;
  EPS             eps;
  ST              st;
  KSP             ksp;
  PC              pc;

  must(FPJumpsCreateOperator(jumps, NULL, 0, &A));
  must(FPJumpsCreateOperator(jumps, NULL, shift, &B));
  must(EPSCreate(PETSC_COMM_SELF, &eps));
  must(EPSSetOperators(eps, A, NULL));
  must(EPSSetProblemType(eps, EPS_HEP));
  must(EPSSetDimensions(eps, count, PETSC_DEFAULT, PETSC_DEFAULT));
  must(EPSSetTarget(eps, -shift));
  must(EPSSetWhichEigenpairs(eps, EPS_TARGET_MAGNITUDE));
  must(EPSSetTolerances(eps, 1e-10, 100));
  must(EPSGetST(eps, &st));
  must(STSetType(st, STSINVERT));
  must(STSetMatMode(st, ST_MATMODE_SHELL));
  must(STGetKSP(st, &ksp));
  must(KSPSetType(ksp, KSPCG));
  must(KSPSetTolerances(ksp, 1e-12, PETSC_DEFAULT, PETSC_DEFAULT, 300));
  must(KSPGetPC(ksp, &pc));
  must(FPJumpsSetPC(B, kind, pc));
  must(EPSSolve(eps));
  for (PetscInt k = 0; k < count; k++) {
    PetscScalar kr, ki;

    must(EPSGetEigenvalue(eps, k, &kr, &ki));
    value[k] = kr;
  }
  must(EPSDestroy(&eps));
  must(MatDestroy(&A));
  must(MatDestroy(&B));
}

/* Rate at displacement (j, k) as the coefficient of the symbol, by the rectangle rule with M^2 points: off by the rates
   at distance M and more. */
static double Coefficient(const FPJumpsSetting *s, int j, int k, int M)
{
  double sum = 0;

  for (int q = 0; q < M; q++)
    for (int p = 0; p <= M / 2; p++) {
      const double theta[2] = {2 * PETSC_PI * p / M, 2 * PETSC_PI * q / M};

      sum += (p > 0 && p < M / 2 ? 2 : 1) * FPJumpsSymbol(s, theta) * cos(j * theta[0]) * cos(k * theta[1]);
    }
  return sum / ((double)M * M);
}

/* The rates are the Fourier coefficients of the symbol, and fall off as the density of jumps does. */
static void test_symbol(void **state)
{
  enum { M = 768 };
  static const double alpha[] = {0.4, 1.0, 1.37, 1.97};

  (void)state;
  for (int a = 0; a < 4; a++) {
    const PetscInt cells[2] = {300, 260};
    const double   h[2] = {0.7, 1.1}, e = alpha[a];
    const double   density =
        e * pow(2, e - 1) * tgamma(1 + e / 2) / (PETSC_PI * tgamma(1 - e / 2)); /* r^(2+alpha) times */
    const FPJumpsSetting s   = {.dim = 2, .cells = {300, 260}, .h = {0.7, 1.1}, .alpha = e};
    const double         far = 20 * density * h[0] * h[1] * pow(0.7 * M, -2 - e); /* images at the distance M */
    PetscReal           *w, all;

    must(PetscMalloc1(cells[0] * cells[1], &w));
    must(FPJumpsWeightsPlane(e, cells, h, w, &all));
    for (int k = 0; k < 3; k++)
      for (int j = 0; j < 4; j++) {
        const double c = Coefficient(&s, j, k, M), got = j + k ? -w[k * 300 + j] : all;

        check(fabs(c - got) < far + 1e-13, "alpha %g: coefficient (%d, %d) is %.15g, not %.15g, images %g", e, j, k,
              got, c, far);
      }
    for (int k = 0; k < 260; k += 37) {
      const double r = hypot(299 * h[0], k * h[1]), want = density * h[0] * h[1] * pow(r, -2 - e);

      check(fabs(w[k * 300 + 299] / want - 1) < 2e-4, "alpha %g: far rate %g, density %g", e, w[k * 300 + 299], want);
    }
    for (int l = 1; l < 300 * 260; l++) check(w[l] > 0, "alpha %g: rate %g at %d", e, w[l], l);
    must(PetscFree(w));
  }
}

/* One dimension: rates, tails and all sum to each other; at alpha = 2 the Gaussian stencil. */
static void test_line(void **state)
{
  PetscReal w[400], tail[400];

  (void)state;
  for (int a = 1; a <= 20; a++) {
    const double    alpha = a / 10.;
    const PetscReal g0    = FPJumpsWeights(alpha, 400, w, tail);
    double          sum   = 0;

    for (int k = 0; k < 400; k++) {
      sum += w[k];
      check(w[k] >= 0, "negative rate");
      check(fabs(2 * (sum + tail[k]) - g0) < 1e-13 * g0, "alpha %g: sums to %.16g, not %.16g", alpha,
            2 * (sum + tail[k]), (double)g0);
    }
    for (int p = 1; p < 4; p++) { /* the symbol, but for the tail, which is summed by parts */
      const double theta = 0.9 * p, want = pow(2 * sin(theta / 2), alpha);
      double       got = g0;

      for (int k = 1; k < 400; k++) got -= 2 * w[k] * cos(k * theta);
      check(fabs(got - want) <= 2 * w[399] / fabs(sin(theta / 2)), "alpha %g: symbol %g, not %g", alpha, got, want);
    }
  }
  check(w[1] == 1 && w[2] == 0 && tail[0] == 1 && tail[1] == 0, "alpha = 2: %g %g, tails %g %g", w[1], w[2], tail[0],
        tail[1]);
}

/* Products are those of the rates, which are positive and sum to what the outflow says; kinds, masks, scales. */
static void CheckProducts(const FPJumpsSetting *s, const char what[])
{
  FPJumps          jumps;
  const PetscReal *out, *kill;
  PetscInt         n;
  PetscReal       *x, *y, *z, *direct, most = 0;

  must(FPJumpsCreate(s, &jumps));
  must(FPJumpsGetOutflow(jumps, &n, &out, &kill));
  must(PetscMalloc4(n, &x, n, &y, n, &z, n, &direct));
  for (PetscInt k = 0; k < n; k++) {
    x[k] = sin(1 + 2.7 * k) + 0.3;
    most = PetscMax(most, out[k] + kill[k]);
  }
  for (int transposed = 0; transposed < 2; transposed++) {
    must(FPJumpsApply(jumps, (PetscBool)transposed, x, y));
    for (PetscInt i = 0; i < n; i++) {
      double sum = 0;

      direct[i] = -(out[i] + kill[i]) * x[i];
      for (PetscInt j = 0; j < n; j++) {
        const double q = i == j ? 0 : transposed ? FPJumpsRate(jumps, j, i) : FPJumpsRate(jumps, i, j);

        check(q >= 0, "%s: negative rate %g", what, q);
        direct[i] += q * x[j];
        sum += q;
      }
      check(transposed || fabs(sum - out[i]) < 1e-13 * most, "%s: node %d jumps at %.15g, its rates sum to %.15g", what,
            (int)i, (double)out[i], sum);
      check(fabs(y[i] - direct[i]) < 1e-12 * most, "%s: product %d%s is %.15g, not %.15g", what, (int)i,
            transposed ? " transposed" : "", (double)y[i], (double)direct[i]);
    }
  }
  for (PetscInt k = 0; k < n; k++) x[k] = 1;
  must(FPJumpsApply(jumps, PETSC_FALSE, x, z));
  for (PetscInt k = 0; k < n; k++)
    check(fabs(z[k] + kill[k]) < 1e-13 * most && kill[k] >= 0, "%s: row %d sums to %g, killed at %g", what, (int)k,
          (double)z[k], (double)kill[k]);
  if (s->boundary != FP_BOUNDARY_KILLED && !s->live)
    for (PetscInt k = 0; k < n; k++) check(kill[k] == 0, "%s: killed at %g", what, (double)kill[k]);
  must(PetscFree4(x, y, z, direct));
  must(FPJumpsDestroy(&jumps));
}

static void test_products(void **state)
{
  static const char *const kinds[] = {"killed", "censored", "mirror", "confined"};
  static const double      alpha[] = {0.35, 1, 1.6, 2};

  (void)state;
  for (int kind = 0; kind < 4; kind++)
    for (int a = 0; a < 4; a++)
      for (int type = 0; type < 3; type++)
        for (int masked = 0; masked < 2; masked++) {
          FPJumpsSetting s;
          PetscReal      rate[9 * 13];
          char           live[9 * 13], what[64];

          must(Lattice(type ? 2 : 1, type ? 9 : 117, 13, alpha[a], (PetscBool)(type == 1), (FPBoundary)kind, &s));
          for (int l = 0; l < 117; l++) {
            live[l] = !masked || (l % 9 != 4 && l > 1 && l < 111);
            rate[l] = 0.2 + 0.01 * (l % 17);
          }
          if (masked) s.live = live;
          s.rate = rate;
          (void)snprintf(what, sizeof what, "%s%s, alpha %g, type %d", kinds[kind], masked ? ", masked" : "", alpha[a],
                         type);
          CheckProducts(&s, what);
        }
}

/* Where jumps out of the box land, on the line: to the left at the rate of the left tail; in the plane the sum is all.
 */
static void test_landing(void **state)
{
  FPJumpsSetting   s;
  FPJumps          jumps;
  const PetscReal *out, *kill;
  PetscInt         n;
  PetscReal        landing[4 * 77], w[80], tail[80];

  (void)state;
  must(Lattice(2, 11, 7, 1.3, PETSC_FALSE, FP_BOUNDARY_KILLED, &s));
  must(FPJumpsCreate(&s, &jumps));
  must(FPJumpsGetOutflow(jumps, &n, &out, &kill));
  must(FPJumpsLanding(jumps, landing));
  for (PetscInt k = 0; k < n; k++) {
    const PetscInt other = 10 - k % 11 + k / 11 * 11; /* seen in a mirror */
    double         sum   = 0;

    for (int c = 0; c < 4; c++) sum += landing[c * n + k];
    check(fabs(sum / kill[k] - 1) < 1e-13, "killed at %g, lands at %g", (double)kill[k], sum);
    check(fabs(landing[k] / landing[n + other] - 1) < 1e-12, "not symmetric");
  }
  must(FPJumpsDestroy(&jumps));
  (void)FPJumpsWeights(1.3, 80, w, tail);
  must(Lattice(1, 77, 1, 1.3, PETSC_FALSE, FP_BOUNDARY_KILLED, &s));
  must(FPJumpsCreate(&s, &jumps));
  must(FPJumpsLanding(jumps, landing));
  for (int k = 0; k < 77; k++)
    check(fabs(landing[k] / (tail[k] * pow(0.31, -1.3)) - 1) < 1e-13, "lands below at %g", (double)landing[k]);
  must(FPJumpsDestroy(&jumps));
}

/* The interval (-1, 1) with killed walls on N nodes. */
static void Interval(PetscReal alpha, PetscInt N, FPJumps *jumps)
{
  FPJumpsSetting s = {.dim = 1, .cells = {N}, .h = {2 / (N + alpha / 2)}, .alpha = alpha};

  must(FPJumpsCreate(&s, jumps));
}

/* First eigenvalues of the interval: order min(2, 1 + alpha), and 1e-5 at 1024 nodes. */
static void test_interval(void **state)
{
  static const double known[4][4] = {{0.5, 0.97016541872, 1.60153773153, 2.0288210538},
                                     {1, 1.157773883698, 2.754754742215, 4.316801066593},
                                     {1.5, 1.5975035456505, 5.0597599283081, 9.5943057675497},
                                     {1.9, 2.2440593594001, 8.5957525239082, 18.7168940066938}};

  (void)state;
  for (int a = 0; a < 4; a++) {
    const double alpha = known[a][0], order = PetscMin(2, 1 + alpha);
    PetscReal    value[3][3];

    for (int l = 0; l < 3; l++) {
      FPJumps jumps;

      Interval(alpha, 256 << l, &jumps);
      Eigenvalues(jumps, FP_JUMPS_TRIGONOMETRIC, 3, value[l]);
      must(FPJumpsDestroy(&jumps));
    }
    for (int k = 0; k < 3; k++) {
      const double e0 = value[0][k] - known[a][k + 1], e1 = value[1][k] - known[a][k + 1],
                   e2 = value[2][k] - known[a][k + 1];

      print_message("  alpha %g, eigenvalue %d: off by %.1e of it at 1024 nodes, order %.2f\n", alpha, k,
                    e2 / known[a][k + 1], log2(e1 / e2));
      check(fabs(e2) < (k ? 2e-5 : 1e-5) * known[a][k + 1], "alpha %g, eigenvalue %d is %.12g, not %.12g", alpha, k,
            (double)value[2][k], known[a][k + 1]);
      check(k > 0 || (log2(e1 / e2) > order - 0.25 && log2(e1 / e2) < order + 0.3 && log2(e0 / e1) > order - 0.4),
            "alpha %g: orders %g and %g, not %g", alpha, log2(e0 / e1), log2(e1 / e2), order);
    }
  }
}

/* Mean exit time (1 - x^2)^(alpha/2)/Gamma(1 + alpha) (R. K. Getoor 1961), and the probability to leave above,
   2^(1-alpha) Gamma(alpha)/Gamma(alpha/2)^2 int_-1^x (1 - u^2)^(alpha/2-1) du (R. M. Blumenthal, R. K. Getoor and D. B.
   Ray 1961), at the centre and one quarter up; backward and transposed solves agree. */
static void test_exit(void **state)
{
  static const double alpha[] = {0.5, 1, 1.5, 1.9};

  (void)state;
  for (int a = 0; a < 4; a++) {
    const double e = alpha[a];
    double       error[3], side[3];

    for (int l = 0; l < 3; l++) {
      const PetscInt N = (128 << l) - 1, at = N / 2 + N / 8;
      const double   h = 2 / (N + e / 2), x = -1 + (FPJumpsDelta(e) + at) * h;
      FPJumps        jumps;
      PetscReal     *b, *u, *landing, *v;
      double         above = 0, sum = 0, want = 0.5;

      Interval(e, N, &jumps);
      must(PetscMalloc4(N, &b, N, &u, 2 * N, &landing, N, &v));
      for (PetscInt k = 0; k < N; k++) b[k] = 1;
      (void)Invert(jumps, FP_JUMPS_TRIGONOMETRIC, KSPCG, PETSC_FALSE, 0, b, u);
      error[l] = u[at] - pow(1 - x * x, e / 2) / tgamma(1 + e);
      must(FPJumpsLanding(jumps, landing));
      (void)Invert(jumps, FP_JUMPS_TRIGONOMETRIC, KSPCG, PETSC_FALSE, 0, landing + N, v);
      above = v[at];
      for (int q = 0; q < 4000; q++) { /* midpoints, x > 0 */
        const double y = x * (q + 0.5) / 4000;

        want += x / 4000 * pow(2, 1 - e) * tgamma(e) / pow(tgamma(e / 2), 2) * pow(1 - y * y, e / 2 - 1);
      }
      side[l] = above - want;
      for (PetscInt k = 0; k < N; k++) b[k] = k == at;
      (void)Invert(jumps, FP_JUMPS_TRIGONOMETRIC, KSPGMRES, PETSC_TRUE, 0, b, v); /* time spent everywhere */
      for (PetscInt k = 0; k < N; k++) sum += v[k];
      check(fabs(sum - u[at]) < 1e-8 * u[at], "mean time %.12g forward, %.12g backward", sum, (double)u[at]);
      must(PetscFree4(b, u, landing, v));
      must(FPJumpsDestroy(&jumps));
    }
    print_message("  alpha %g: exit time off by %.1e, order %.2f; side off by %.1e, orders %.2f %.2f\n", e, error[2],
                  log2(error[1] / error[2]), side[2], log2(fabs(side[0] / side[1])), log2(fabs(side[1] / side[2])));
    check(fabs(error[2]) < 2e-5, "exit time off by %g", error[2]);
    check(log2(error[1] / error[2]) > 1.9 && log2(error[1] / error[2]) < 2.1, "alpha %g: order %g of the exit time", e,
          log2(error[1] / error[2]));
    check(fabs(side[2]) < 3e-4, "alpha %g: probability to leave above off by %g", e, side[2]);
  }
}

/* Variable scale, solved both ways: against direct sums, and drift-free rows scale. */
static void test_scale(void **state)
{
  enum { N = 300 };
  FPJumpsSetting s = {.dim = 1, .cells = {N}, .h = {0.01}, .alpha = 1.2};
  PetscReal      rate[N], b[N], x[N], y[N];

  (void)state;
  for (int k = 0; k < N; k++) {
    rate[k] = 1 + 0.95 * sin(0.05 * k);
    b[k]    = 1 + 0.5 * cos(0.3 * k);
  }
  s.rate = rate;
  for (int kind = 0; kind < 3; kind++)
    for (int transposed = 0; transposed < 2; transposed++) {
      const FPJumpsPC pc = (FPJumpsPC)kind;
      FPJumps         jumps;
      PetscInt        iterations;

      must(FPJumpsCreate(&s, &jumps));
      iterations = Invert(jumps, pc, KSPGMRES, (PetscBool)transposed, 0.4, b, x);
      must(FPJumpsApply(jumps, (PetscBool)transposed, x, y));
      for (int k = 0; k < N; k++)
        check(fabs(0.4 * x[k] - y[k] - b[k]) < 1e-7, "preconditioner %d: residual %g", kind,
              (double)(0.4 * x[k] - y[k] - b[k]));
      check(iterations < (pc == FP_JUMPS_NEAR ? 60 : 14) || (pc == FP_JUMPS_MULTIGRID && transposed),
            "preconditioner %d took %d iterations", kind, (int)iterations);
      must(FPJumpsDestroy(&jumps));
    }
}

/* The unit disc on `cells` squared cells, cut at its rim. */
static PetscInt Disc(PetscReal alpha, PetscInt cells, PetscReal offset, FPJumps *jumps, PetscReal **radius)
{
  const double   h = 2.1 / cells;
  FPJumpsSetting s = {.dim = 2, .cells = {cells, cells}, .h = {h, h}, .alpha = alpha};
  char          *live;
  PetscReal     *cut, *z;
  PetscInt       n = 0;

  must(PetscMalloc3(cells * cells, &live, 4 * cells * cells, &cut, 2 * cells * cells, &z));
  for (PetscInt l = 0; l < cells * cells; l++) {
    const double x = -1.05 + h * (l % cells + 0.5 + offset), y = -1.05 + h * (l / cells + 0.5 - offset);

    live[l] = hypot(x, y) < 1;
    if (!live[l]) continue;
    z[2 * n]     = x;
    z[2 * n + 1] = y;
    n++;
  }
  must(PetscMalloc1(n, radius));
  for (PetscInt k = 0; k < n; k++) {
    const double x = z[2 * k], y = z[2 * k + 1], across = sqrt(1 - y * y), up = sqrt(1 - x * x);

    (*radius)[k]   = hypot(x, y);
    cut[k]         = (across + x) / h;
    cut[n + k]     = (across - x) / h;
    cut[2 * n + k] = (up + y) / h;
    cut[3 * n + k] = (up - y) / h;
  }
  s.live = live;
  s.cut  = cut;
  must(FPJumpsCreate(&s, jumps));
  must(PetscFree3(live, cut, z));
  return n;
}

/* First eigenvalues and mean exit time (1 - r^2)^(alpha/2)/(2^(alpha/2) Gamma(1 + alpha/2))^2 of the disc. */
static void test_disc(void **state)
{
  static const double known[4][2] = {
      {0.5, 1.34372911153}, {1, 2.006119032939}, {1.5, 3.275937535931}, {1.9, 5.132126323762}};
  static const int cells[3] = {33, 67, 131};

  (void)state;
  for (int a = 0; a < 4; a++) {
    const double e = known[a][0];
    double       error[3], mean[3];

    for (int l = 0; l < 3; l++) {
      FPJumps    jumps;
      PetscReal *radius, *b, *u, value;
      PetscInt   n = Disc(e, cells[l], 0.1, &jumps, &radius);

      Eigenvalues(jumps, FP_JUMPS_MULTIGRID, 1, &value);
      error[l] = fabs(value / known[a][1] - 1);
      must(PetscMalloc2(n, &b, n, &u));
      for (PetscInt k = 0; k < n; k++) b[k] = 1;
      (void)Invert(jumps, FP_JUMPS_MULTIGRID, KSPCG, PETSC_FALSE, 0, b, u);
      mean[l] = 0;
      for (PetscInt k = 0; k < n; k++)
        if (radius[k] < 0.7)
          mean[l] = PetscMax(
              mean[l],
              fabs(u[k] * pow(4, e / 2) * pow(tgamma(1 + e / 2), 2) / pow(1 - radius[k] * radius[k], e / 2) - 1));
      must(PetscFree2(b, u));
      must(PetscFree(radius));
      must(FPJumpsDestroy(&jumps));
    }
    print_message("  alpha %g: eigenvalue off by %.1e, order %.2f; exit time by %.1e, order %.2f\n", e, error[2],
                  log2(error[0] / error[2]) / log2(131. / 33), mean[2], log2(mean[0] / mean[2]) / log2(131. / 33));
    check(error[2] < 1e-3 && log2(error[0] / error[2]) / log2(131. / 33) > 1.2,
          "alpha %g: eigenvalue off by %g after %g", e, error[2], error[0]);
    check(mean[2] < 1e-3 && log2(mean[0] / mean[2]) / log2(131. / 33) > 1.2, "alpha %g: exit time off by %g after %g",
          e, mean[2], mean[0]);
  }
}

/* Components that are independent: eigenvalues of a rectangle are sums of those of its sides. */
static void test_independent(void **state)
{
  const double   alpha = 1.4;
  FPJumpsSetting s     = {.dim = 2, .cells = {90, 70}, .h = {0.03, 0.021}, .alpha = alpha, .independent = PETSC_TRUE};
  FPJumps        jumps;
  PetscReal      plane, side[2];

  (void)state;
  must(FPJumpsCreate(&s, &jumps));
  Eigenvalues(jumps, FP_JUMPS_TRIGONOMETRIC, 1, &plane);
  must(FPJumpsDestroy(&jumps));
  for (int a = 0; a < 2; a++) {
    FPJumpsSetting one = {.dim = 1, .cells = {s.cells[a]}, .h = {s.h[a]}, .alpha = alpha};

    must(FPJumpsCreate(&one, &jumps));
    Eigenvalues(jumps, FP_JUMPS_TRIGONOMETRIC, 1, &side[a]);
    must(FPJumpsDestroy(&jumps));
  }
  check(fabs(plane / (side[0] + side[1]) - 1) < 1e-9, "rectangle %.12g, sides %.12g", (double)plane,
        (double)(side[0] + side[1]));
}

/* Iterations to 1e-11 at a size and at sixteen times that. */
static void test_iterations(void **state)
{
  static const double alpha[] = {0.5, 1, 1.5, 1.9};

  (void)state;
  for (int a = 0; a < 4; a++) {
    PetscInt line[2], plane[2];

    for (int l = 0; l < 2; l++) {
      const PetscInt N = l ? 16384 : 1024;
      FPJumps        jumps;
      PetscReal     *b, *x, *radius;
      PetscInt       n;

      Interval(alpha[a], N, &jumps);
      must(PetscMalloc2(N, &b, N, &x));
      for (PetscInt k = 0; k < N; k++) b[k] = 1 + 0.3 * sin(7.0 * k / N);
      line[l] = Invert(jumps, FP_JUMPS_TRIGONOMETRIC, KSPCG, PETSC_FALSE, 0, b, x);
      must(FPJumpsDestroy(&jumps));
      n = Disc(alpha[a], l ? 128 : 32, 0, &jumps, &radius);
      assert_true(n <= N);
      plane[l] = Invert(jumps, FP_JUMPS_MULTIGRID, KSPCG, PETSC_FALSE, 0, b, x);
      must(FPJumpsDestroy(&jumps));
      must(PetscFree(radius));
      must(PetscFree2(b, x));
    }
    print_message("  alpha %g: %d and %d iterations on the line, %d and %d in the disc\n", alpha[a], (int)line[0],
                  (int)line[1], (int)plane[0], (int)plane[1]);
    check(line[1] <= line[0] + 3 && line[1] <= 14, "line: %d iterations, then %d", (int)line[0], (int)line[1]);
    check(plane[1] <= plane[0] + 5 && plane[1] <= 18, "disc: %d iterations, then %d", (int)plane[0], (int)plane[1]);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_symbol),      cmocka_unit_test(test_line),
                                     cmocka_unit_test(test_products),    cmocka_unit_test(test_landing),
                                     cmocka_unit_test(test_interval),    cmocka_unit_test(test_exit),
                                     cmocka_unit_test(test_scale),       cmocka_unit_test(test_disc),
                                     cmocka_unit_test(test_independent), cmocka_unit_test(test_iterations)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

/* t-levy.c: generators of processes with stable noise against laws that are known: stable Ornstein-Uhlenbeck processes,
   alpha = 2 against the Gaussian generator, currents, solvers. Exits are in t-levy-exit.c. */
#include "jumping.h"

/* P(X <= x) of the symmetric stable law exp(-|k|^alpha), alpha > 1: 1/2 + 1/pi int sin(k x)/k exp(-k^alpha) dk. */
static double StableCDF(double alpha, double x)
{
  double sum = 0;

  for (int q = 0; q < 20000; q++) {
    const double k = 12 * (q + 0.5) / 20000;

    sum += sin(k * x) / k * exp(-pow(k, alpha)) * 12 / 20000;
  }
  return 0.5 + sum / PETSC_PI;
}

typedef struct {
  double density, rate, second, share, tail; /* at the centre; first two decay rates; P(|z - c| <= 1.1) */
} Law;

static Law StationaryLaw(double alpha, double theta, double sigma, double R, int cells)
{
  const double     c = 0.37;
  Scene            s;
  PetscInt         n;
  const PetscReal *z, *volume, *pi;
  Law              law = {0};
  FPGeneratorInfo  info;

  OpenLine(&s, theta, c, c - R, c + R, cells);
  MakeStable(&s, alpha, sigma, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 3));
  z = Nodes(s.gen, &n, &volume);
  must(FPGeneratorStationary(s.gen, &pi));
  for (PetscInt k = 0; k < n; k++) {
    const double end = fabs(z[k] - c) + volume[k] / 2 - 1.1;

    law.share += pi[k] * PetscClipInterval(1 - end / volume[k], 0, 1);
  }
  law.density = (9 * (pi[n / 2] + pi[n / 2 - 1]) - pi[n / 2 + 1] - pi[n / 2 - 2]) / 16 / volume[0];
  must(FPGeneratorGetInfo(s.gen, &info));
  law.tail   = info.tail_mass;
  law.rate   = Rate(s.gen, 1);
  law.second = Rate(s.gen, 2);
  SceneClose(&s);
  return law;
}

/* dz = -theta z dt + sigma dL has the stable law of scale sigma (alpha theta)^(-1/alpha) and the rates k theta, in the
   limit of a large box, where errors fall as R^-alpha. */
static void test_ornstein_uhlenbeck(void **state)
{
  const double theta = 1.3, sigma = 0.8;

  (void)state;
  for (int a = 0; a < 3; a++) {
    const double alpha = (double[]){1.2, 1.5, 1.8}[a], scale = sigma * pow(alpha * theta, -1 / alpha);
    const double density = tgamma(1 + 1 / alpha) / PETSC_PI / scale, share = 2 * StableCDF(alpha, 1.1 / scale) - 1;
    const Law    near = StationaryLaw(alpha, theta, sigma, 8, 256), fine = StationaryLaw(alpha, theta, sigma, 8, 512),
              far          = StationaryLaw(alpha, theta, sigma, 16, 512);
    const double beyond[2] = {2 - 2 * StableCDF(alpha, 8 / scale), 2 - 2 * StableCDF(alpha, 16 / scale)};
    const double weight = 1 / (pow(2, alpha) - 1), rate = far.rate + weight * (far.rate - near.rate);
    const double inside = 1 - beyond[1]; /* the law is that of the line, given the box */
    const double limit  = (far.density + (fine.density - near.density) * 4 / 3) * inside; /* of h */

    print_message("  alpha %g: beyond the box %.3g and %.3g, estimates %.3g and %.3g\n", alpha, beyond[0], beyond[1],
                  near.tail, far.tail);
    print_message("  alpha %g: density %.6f, exact %.6f; share %.6f, exact %.6f; rates %.5f %.5f at R = 8, 16: %.5f\n",
                  alpha, limit, density, far.share * inside, share, near.rate, far.rate, rate);
    check(fabs(near.tail / beyond[0] - 1) < 0.05 && fabs(far.tail / beyond[1] - 1) < 0.03,
          "alpha %g: beyond the box %g and %g, estimates %g and %g", alpha, beyond[0], beyond[1], near.tail, far.tail);
    check(fabs(limit / density - 1) < 5e-4, "alpha %g: density %g, exact %g", alpha, limit, density);
    check(fabs(far.share * inside - share) < 1.2e-3, "alpha %g: share %g, exact %g", alpha, far.share * inside, share);
    check(fabs(far.rate / theta - 1) < 0.02 && fabs(rate / theta - 1) < 1.5e-3, "alpha %g: rate %g, then %g", alpha,
          far.rate, rate);
    check(fabs(far.second / (2 * theta) - 1) < 0.03, "alpha %g: second rate %g", alpha, far.second);
  }
}

/* alpha = 2 with scale sigma is Gaussian with D = sigma^2: rates k theta and variance (sigma^2 + T)/theta, of
   which central differences make no error for a linear drift; every kind of boundary that keeps what is inside. */
static void test_gaussian(void **state)
{
  const double theta = 0.9, sigma = 0.55, T = 0.21, variance = (sigma * sigma + T) / theta;

  (void)state;
  for (int kind = FP_BOUNDARY_CENSORED; kind <= FP_BOUNDARY_CONFINED; kind++) {
    double rate[2], second[2];

    for (int l = 0; l < 2; l++) {
      Scene            s;
      PetscInt         n;
      const PetscReal *z, *volume, *pi;

      OpenLine(&s, theta, 0.31, -4.9, 5.2, 160 << l);
      MakeStable(&s, 2, sigma, PETSC_FALSE, (FPBoundary)kind, T);
      must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
      z = Nodes(s.gen, &n, &volume);
      must(FPGeneratorStationary(s.gen, &pi));
      rate[l]   = Rate(s.gen, 2) / (2 * theta) - 1;
      second[l] = 0;
      for (PetscInt k = 0; k < n; k++) second[l] += pi[k] * (z[k] - 0.31) * (z[k] - 0.31);
      second[l] = second[l] / variance - 1;
      SceneClose(&s);
    }
    check(fabs(rate[0]) < 1e-6 && fabs(rate[1]) < 1e-6, "rate off by %g after %g", rate[1], rate[0]);
    check(fabs(second[1]) < 1e-6, "variance off by %g", second[1]);
  }
}

/* A balanced chain under gradient noise at alpha = 2 is ald; rates on two grids, extrapolated, agree. */
static void test_chain(void **state)
{
  static const char keys[] =
      "data_type=gaussian data_teacher=1.1 data_label_noise=0.6 data_second_moment=1.3 model_type=chain model_depth=2 "
      "model_coordinates=balanced training_learning_rate=0.15 training_batch_size=2 "
      "ald_temperature=0.06 p_preset=ald p_temperature=0.06 mesh_lower=-2.3 mesh_upper=2.2 "
      "mesh_refine=1 mesh_cells=%d";
  double rate[2][2][2];

  (void)state;
  for (int stable = 0; stable < 2; stable++)
    for (int l = 0; l < 2; l++) {
      Scene s;

      SceneOpen(&s, stable ? "p" : "ald", keys, 300 << l);
      if (stable) MakeStable(&s, 2, 0, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0.06);
      must(FPGeneratorSolve(SceneGrid(&s, 0), 2));
      for (int k = 0; k < 2; k++) rate[stable][l][k] = Rate(s.gen, k + 1);
      SceneClose(&s);
    }
  for (int k = 0; k < 2; k++) {
    const double ald = (4 * rate[0][1][k] - rate[0][0][k]) / 3, levy = (4 * rate[1][1][k] - rate[1][0][k]) / 3;

    print_message("  rate %d: %.9g of ald, %.9g of jumps at alpha = 2\n", k + 1, ald, levy);
    check(fabs(levy / ald - 1) < 1e-4, "rate %d: %.9g of ald, %.9g of jumps", k + 1, ald, levy);
  }
}

/* Scale of a number and of the gradient noise, where a coordinate stands for several weights. */
static void test_scale(void **state)
{
  static const char keys[] =
      "data_type=gaussian data_teacher=1.1 data_label_noise=0.6 data_second_moment=1.3 model_type=chain model_depth=3 "
      "model_coordinates=balanced training_learning_rate=0.15 training_batch_size=2 "
      "p_preset=ald p_temperature=0";
  const double  z[2] = {0.4, -0.9};
  FPConfig      config;
  FPData        data;
  FPModel       model;
  FPProcess     p;
  FPProcessKeys given = {.scale = "0.5", .components = "isotropic", .boundary = "mirror", .alpha = 1.6};
  double        sigma[2], D[2];
  FPStable      stable;

  (void)state;
  must(FPConfigCreate(&config));
  SceneSet(config, keys);
  must(FPDataCreate(config, &data));
  must(FPModelCreate(config, data, &model));
  must(FPProcessCreate(config, "p", model, &p));
  FPProcessDiffusion(p, 2, z, D);
  must(FPNoiseCreate_Stable(p));
  must(FPProcessSetUpStable(config, p, &given));
  must(FPProcessGetStable(p, &stable));
  assert_true(stable.has && !stable.independent && stable.alpha == 1.6 && stable.boundary == FP_BOUNDARY_MIRROR);
  FPProcessStableScale(p, 2, z, sigma);
  check(fabs(sigma[1] - 0.5 / sqrt(3)) < 1e-14, "isotropic: %g", sigma[1]);
  must(PetscStrncpy(given.components, "independent", sizeof(given.components)));
  must(FPProcessSetUpStable(config, p, &given));
  FPProcessStableScale(p, 2, z, sigma);
  check(fabs(sigma[0] - 0.5 * pow(3, 1 / 1.6 - 1)) < 1e-14, "independent: %g", sigma[0]); /* 3 components of 0.5/3 */
  must(PetscStrncpy(given.scale, "gradient_noise", sizeof(given.scale)));
  given.alpha = 2;
  must(FPProcessSetUpStable(config, p, &given));
  FPProcessStableScale(p, 2, z, sigma);
  for (int k = 0; k < 2; k++)
    check(fabs(sigma[k] * sigma[k] / D[k] - 1) < 1e-13, "sigma^2 = %g, D = %g", sigma[k], D[k]);
  given.alpha = 1.6;
  must(FPProcessSetUpStable(config, p, &given));
  FPProcessStableScale(p, 2, z, D);
  check(fabs(D[0] / sigma[0] - pow(0.15, 0.6 / 1.6 - 0.5)) < 1e-13, "alpha 1.6: %g of %g", D[0], sigma[0]);
  for (int k = 0; k < 4; k++) {
    static const char *const bad[4][3] = {{"-1", "isotropic", "killed"},
                                          {"noise", "isotropic", "killed"},
                                          {"1", "both", "killed"},
                                          {"1", "isotropic", "reflecting"}};

    must(PetscStrncpy(given.scale, bad[k][0], sizeof(given.scale)));
    must(PetscStrncpy(given.components, bad[k][1], sizeof(given.components)));
    must(PetscStrncpy(given.boundary, bad[k][2], sizeof(given.boundary)));
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    assert_int_equal(FPProcessSetUpStable(config, p, &given), PETSC_ERR_USER_INPUT);
    must(PetscPopErrorHandler());
  }
  must(FPProcessDestroy(&p));
  must(FPModelDestroy(&model));
  must(FPDataDestroy(&data));
  must(FPConfigDestroy(&config));
}

/* E cos(k z) from a point: cos(k z_0 e^{-theta t}) exp(-sigma^alpha k^alpha (1 - e^{-alpha theta t})/(alpha theta)),
   forwards from the point's cell and backwards, at two sizes of the matrix: dense and not. */
static void test_evolution(void **state)
{
  const double theta = 0.8, sigma = 0.5, alpha = 1.7, k0 = 1.3, times[2] = {0.4, 1.5};

  (void)state;
  for (int cells = 241; cells <= 641; cells += 400) {
    Scene            s;
    PetscInt         n;
    const PetscReal *z, *volume;
    PetscReal       *start, *out, error[2];

    OpenLine(&s, theta, 0, -12, 12, cells);
    MakeStable(&s, alpha, sigma, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
    z = Nodes(SceneGrid(&s, 0), &n, &volume);
    must(PetscMalloc2(n, &start, 2 * n, &out));
    for (int backward = 0; backward < 2; backward++) {
      const PetscInt from = 5 * n / 9;

      for (PetscInt k = 0; k < n; k++) start[k] = backward ? cos(k0 * z[k]) : k == from;
      must(FPGeneratorEvolve(s.gen, (PetscBool)backward, start, 2, times, out, error));
      for (int t = 0; t < 2; t++) {
        const double decay = exp(-theta * times[t]);
        const double exact = cos(k0 * z[from] * decay) *
                             exp(-pow(sigma * k0, alpha) * (1 - exp(-alpha * theta * times[t])) / (alpha * theta));
        double got = backward ? out[t * n + from] : 0, mass = 0;

        for (PetscInt k = 0; k < n && !backward; k++) {
          got += out[t * n + k] * cos(k0 * z[k]);
          mass += out[t * n + k];
        }
        check(fabs(got - exact) < (cells > 600 ? 1e-3 : 5e-3), "%d cells, t = %g, %s: %.8g, exact %.8g", cells,
              times[t], backward ? "backward" : "forward", got, exact);
        check(backward || fabs(mass - 1) < 1e-9, "mass %.12g", mass);
        check(error[t] < 1e-8, "error %g", (double)error[t]);
      }
    }
    must(PetscFree2(start, out));
    SceneClose(&s);
  }
}

/* Solves with drift, both ways, do not take more iterations on a fine grid, on a line and in the plane. */
static void test_iterations(void **state)
{
  (void)state;
  for (int a = 0; a < 3; a++)
    for (int dim = 1; dim <= 2; dim++) {
      PetscInt most[2] = {0, 0};

      for (int l = 0; l < 2; l++) {
        Scene            s;
        PetscInt         n, iterations;
        const PetscReal *volume;
        PetscReal       *x, *y;

        if (dim == 1)
          OpenLine(&s, 1.3, 0.3, -9, 11, l ? 4096 : 700);
        else
          SceneOpen(&s, "p",
                    QUIET "model_type=ou model_drift=1.1,0.7,-0.7,1.4 model_diffusion=0,0,0,0 mesh_lower=-4,-5 "
                          "mesh_upper=5,5 mesh_cells=%d,%d mesh_refine=1",
                    l ? 96 : 32, l ? 104 : 36);
        MakeStable(&s, 0.5 + 0.5 * a, 0.8, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
        (void)Nodes(SceneGrid(&s, 0), &n, &volume);
        must(PetscMalloc2(n, &x, n, &y));
        for (PetscInt k = 0; k < n; k++) x[k] = 1 + 0.3 * sin(7. * k / n);
        for (int backward = 0; backward < 2; backward++) {
          must(FPGeneratorInvert(s.gen, (PetscBool)backward, 0.05, x, y));
          must(KSPGetIterationNumber(s.gen->solver, &iterations));
          most[l] = PetscMax(most[l], iterations);
        }
        must(PetscFree2(x, y));
        SceneClose(&s);
      }
      print_message("  alpha %g, %dD: %d iterations, then %d\n", 0.5 + 0.5 * a, dim, (int)most[0], (int)most[1]);
      check(most[1] <= most[0] + 4 && most[1] < 16, "%d iterations, then %d", (int)most[0], (int)most[1]);
    }
}

/* Strong drift: rates stay nonnegative, and what diffusion that took is told; bad settings end in one line. */
static void test_chain_rates(void **state)
{
  Scene           s;
  FPGeneratorInfo info;

  (void)state;
  OpenLine(&s, 40, 0, -3, 3, 64);
  MakeStable(&s, 0.7, 0.3, PETSC_FALSE, FP_BOUNDARY_CENSORED, 0);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
  must(FPGeneratorGetInfo(s.gen, &info));
  check(info.most_negative_rate >= 0 && info.worst_row_sum < 1e-14 && info.added_diffusion > 0,
        "rate %g, row sum %g, added %g", (double)info.most_negative_rate, (double)info.worst_row_sum,
        (double)info.added_diffusion);
  SceneClose(&s);
  for (int k = 0; k < 3; k++) {
    static const char *const keys[] = {"mesh_map=sinh:0.1:1.2", "mesh_faces=absorbing,reflecting", "mesh_cells=65"};

    SceneOpen(&s, "p",
              QUIET "data_type=gaussian data_teacher=1.1 data_second_moment=1.3 model_type=chain model_depth=2 "
                    "model_coordinates=balanced "
                    "mesh_lower=-2 mesh_upper=2 mesh_cells=64 mesh_refine=1 %s",
              keys[k]);
    MakeStable(&s, 1.5, k == 2 ? 0 : 0.3, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
    must(PetscPushErrorHandler(PetscReturnErrorHandler, NULL));
    assert_int_equal(FPGeneratorCreate(s.process, s.mesh, 0, &s.options, NULL, &s.gen), PETSC_ERR_USER_INPUT);
    must(PetscPopErrorHandler());
    s.gen = NULL;
    SceneClose(&s);
  }
}

/* A line at rest has no current, jumps and drift together; rotation dz = -(k z + w z^perp) dt in the plane at alpha = 2
   has the entropy production 2 w^2/k whatever the noise; with Gaussian noise beside jumps that of a driven line is
   finite, without it is refused. Net flux through columns of faces counts every jump across. */
static void test_current(void **state)
{
  FPCurrentNumbers numbers;
  Scene            s;
  const PetscReal *pi;
  PetscReal        production[2];

  (void)state;
  OpenLine(&s, 1.1, 0.2, -6, 7, 200);
  MakeStable(&s, 1.4, 0.6, PETSC_FALSE, FP_BOUNDARY_MIRROR, 0);
  must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
  must(FPGeneratorStationary(s.gen, &pi));
  must(FPGeneratorCurrent(s.gen, pi, NULL, NULL, NULL, &numbers));
  check(numbers.current_l1 < 1e-9 && numbers.divergence_residual < 1e-11 && !numbers.has_entropy, "current %g, rest %g",
        (double)numbers.current_l1, (double)numbers.divergence_residual);
  SceneClose(&s);
  for (int l = 0; l < 2; l++) {
    OpenLine(&s, 1.1, 0.2, -6, 7, 150 << l);
    MakeStable(&s, 1.4, 0.6, PETSC_FALSE, FP_BOUNDARY_MIRROR, 0.2);
    must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
    must(FPGeneratorStationary(s.gen, &pi));
    must(FPGeneratorCurrent(s.gen, pi, NULL, NULL, NULL, &numbers));
    assert_true(numbers.has_entropy);
    production[l] = numbers.entropy_production;
    SceneClose(&s);
  }
  check(production[0] > 0.01 && fabs(production[1] / production[0] - 1) < 0.1, "entropy production %g, then %g",
        (double)production[0], (double)production[1]);
  for (int l = 0; l < 2; l++) {
    SceneOpen(&s, "p",
              QUIET "model_type=ou model_drift=1.2,-0.7,0.7,1.2 model_diffusion=0,0,0,0 mesh_lower=-3.3,-3.2 "
                    "mesh_upper=3.2,3.3 mesh_cells=%d,%d mesh_refine=1",
              28 << l, 30 << l);
    MakeStable(&s, 2, 0.8, PETSC_FALSE, FP_BOUNDARY_CENSORED, 0);
    must(FPGeneratorSolve(SceneGrid(&s, 0), 1));
    must(FPGeneratorStationary(s.gen, &pi));
    must(FPGeneratorCurrent(s.gen, pi, NULL, NULL, NULL, &numbers));
    check(numbers.divergence_residual < 1e-10, "rest %g", (double)numbers.divergence_residual);
    production[l] = numbers.entropy_production / (2 * 0.49 / 1.2) - 1;
    SceneClose(&s);
  }
  print_message("  entropy production of rotation off by %.1e, order %.2f\n", production[1],
                log2(production[0] / production[1]));
  check(fabs(production[1]) < 0.02 && production[0] / production[1] > 3, "entropy production off by %g after %g",
        (double)production[1], (double)production[0]);
}

/* Jumps alone, under any law: the flux through the faces between two columns of a plane is what jumps from one side to
   the other less what jumps back, and the flux out of every cell is what the chain loses there. */
static void test_flux(void **state)
{
  Scene            s;
  PetscInt         n;
  PetscReal       *pi, *flux, *change, entropy = 0, through = 0, across = 0;
  const PetscReal *volume;

  (void)state;
  SceneOpen(&s, "p",
            QUIET "model_type=ou model_drift=1,0,0,1 model_diffusion=0,0,0,0 mesh_lower=-1,-2 mesh_upper=2,2 "
                  "mesh_cells=11,9 mesh_refine=1");
  MakeStable(&s, 1.3, 0.8, PETSC_FALSE, FP_BOUNDARY_CONFINED, 0);
  (void)Nodes(SceneGrid(&s, 0), &n, &volume);
  must(PetscMalloc1(n, &pi));
  must(PetscCalloc2(2 * n, &flux, n, &change));
  for (PetscInt k = 0; k < n; k++) pi[k] = 1 + 0.9 * sin(1. + 3 * k);
  must(FPGeneratorJumpFlux(s.gen, pi, flux, &entropy, &through));
  must(FPGeneratorAddJumps(s.gen, PETSC_FALSE, 1, pi, change));
  for (PetscInt k = 0; k < n; k++) {
    const PetscInt i = k % 11, j = k / 11;
    const double   out = flux[k] - (i ? flux[k - 1] : 0) + flux[n + k] - (j ? flux[n + k - 11] : 0);

    check(fabs(out + change[k]) < 1e-10 * through, "cell %d: flux out %g, change %g", (int)k, out, (double)change[k]);
    if (i == 4) across += flux[k];
  }
  for (PetscInt k = 0; k < n; k++)
    for (PetscInt l = 0; l < n; l++)
      if ((k % 11 <= 4) != (l % 11 <= 4)) across -= (k % 11 <= 4 ? 1 : -1) * pi[k] * FPJumpsRate(s.gen->jumps, k, l);
  check(fabs(across) < 1e-11 * through, "flux across is off by %g", (double)across);
  must(PetscFree(pi));
  must(PetscFree2(flux, change));
  SceneClose(&s);
}

/* Without drift a chain is symmetric where walls do not stop its jumps, and then solved as such: modes and exit times,
   or resolvents, are those of a drift that is next to nothing, by the other solvers. */
static void test_symmetric(void **state)
{
  static const struct {
    FPBoundary boundary;
    PetscBool  region;
    double     T, alpha;
  } kinds[] = {{FP_BOUNDARY_KILLED, PETSC_FALSE, 0, 1.3},
               {FP_BOUNDARY_CONFINED, PETSC_TRUE, 0.05, 0.8},
               {FP_BOUNDARY_MIRROR, PETSC_FALSE, 0, 1.6},
               {FP_BOUNDARY_CENSORED, PETSC_FALSE, 0.03, 1.1}};

  (void)state;
  for (size_t c = 0; c < sizeof(kinds) / sizeof(kinds[0]); c++) {
    double rate[2][4], sum[2];

    for (int drift = 0; drift < 2; drift++) {
      const double     theta = drift ? 1e-9 : 0;
      Scene            s;
      FPRegion         ball = NULL;
      FPGeneratorInfo  info;
      PetscInt         n;
      const PetscReal *volume;
      PetscReal       *x, *y;

      SceneOpen(&s, "p",
                QUIET "model_type=ou model_drift=%g,0,0,%g model_diffusion=0,0,0,0 mesh_lower=-1,-1.1 mesh_upper=1.3,1 "
                      "mesh_cells=38,34 mesh_refine=1 exit_region=ball exit_center=0.1,-0.05 exit_radius=0.93",
                theta, theta);
      MakeStable(&s, kinds[c].alpha, 0.7, PETSC_FALSE, kinds[c].boundary, kinds[c].T);
      if (kinds[c].region) {
        must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &ball));
        must(FPGeneratorCreateKilled(s.process, s.mesh, 0, &s.options, NULL, ball, &s.gen));
      } else
        (void)SceneGrid(&s, 0);
      must(FPGeneratorSolve(s.gen, 3));
      must(FPGeneratorGetInfo(s.gen, &info));
      assert_int_equal(info.reversible, !drift);
      for (int k = 0; k < 4; k++) rate[drift][k] = Rate(s.gen, k);
      (void)Nodes(s.gen, &n, &volume);
      must(PetscMalloc2(n, &x, n, &y));
      for (PetscInt k = 0; k < n; k++) x[k] = 1 + 0.3 * sin(7. * k / n);
      must(FPGeneratorInvert(s.gen, PETSC_FALSE, kinds[c].region ? 0 : 0.1, x, y));
      sum[drift] = 0;
      for (PetscInt k = 0; k < n; k++) sum[drift] += y[k] * cos(3. * k / n);
      must(PetscFree2(x, y));
      must(FPRegionDestroy(&ball));
      SceneClose(&s);
    }
    for (int k = 0; k < 4; k++)
      check(fabs(rate[0][k] - rate[1][k]) < 3e-7 * (1 + rate[1][k]), "case %d, rate %d: %.10g, else %.10g", (int)c, k,
            rate[0][k], rate[1][k]);
    check(fabs(sum[0] / sum[1] - 1) < 1e-7, "case %d: solution %.10g, else %.10g", (int)c, sum[0], sum[1]);
  }
}

/* What a square of jumps needs: the measured peak of the program is 0.28 of it for a symmetric chain (372 MiB at 512 x
   512, where no matrix is made); matrices are small. */
static void test_memory(void **state)
{
  static const int cells[3] = {24, 25, 512};
  PetscReal        bytes[3];

  (void)state;
  for (int k = 0; k < 3; k++) {
    Scene s;

    SceneOpen(&s, "p",
              QUIET "model_type=ou model_drift=1,0,0,1 model_diffusion=0,0,0,0 mesh_lower=-1,-1 mesh_upper=1,1 "
                    "mesh_cells=%d,%d mesh_refine=1",
              cells[k], cells[k]);
    must(FPGeneratorEstimate(s.mesh, 0, PETSC_FALSE, PETSC_TRUE, &bytes[k]));
    SceneClose(&s);
  }
  check(bytes[0] > 4. * 576 * 576 * 8 && bytes[0] < 20e6 && bytes[1] < bytes[0], "%g bytes, then %g", (double)bytes[0],
        (double)bytes[1]);
  check(bytes[2] > 0.5e9 && bytes[2] < 2.147e9, "512 x 512: %g bytes", (double)bytes[2]);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ornstein_uhlenbeck),
                                     cmocka_unit_test(test_gaussian),
                                     cmocka_unit_test(test_chain),
                                     cmocka_unit_test(test_scale),
                                     cmocka_unit_test(test_evolution),
                                     cmocka_unit_test(test_iterations),
                                     cmocka_unit_test(test_chain_rates),
                                     cmocka_unit_test(test_current),
                                     cmocka_unit_test(test_flux),
                                     cmocka_unit_test(test_symmetric),
                                     cmocka_unit_test(test_memory)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

/* t-region.c: levels of regions, unions and complements, where segments leave them, points by name, bad input. */
#include "message.h"
#include "scene.h"
#include <math.h>

#define CHAIN                                                                                                          \
  "data_type=gaussian data_teacher=1.1 data_label_noise=0.7 data_second_moment=0.9 training_learning_rate=0.15 "       \
  "training_weight_decay=0.05 model_type=chain model_depth=2 "

typedef struct {
  FPConfig config;
  FPData   data;
  FPModel  model;
} Stage;

static void Open(Stage *s, const char keys[])
{
  char all[2048];

  (void)snprintf(all, sizeof(all), "%s %s", strstr(keys, "model_type") ? "" : CHAIN, keys);
  must(FPConfigCreate(&s->config));
  SceneSet(s->config, all);
  must(FPDataCreate(s->config, &s->data));
  must(FPModelCreate(s->config, s->data, &s->model));
}

static void Close(Stage *s)
{
  must(FPModelDestroy(&s->model));
  must(FPDataDestroy(&s->data));
  must(FPConfigDestroy(&s->config));
}

static double Excess(const double w[])
{
  return 0.45 * (w[0] * w[1] - 1.1) * (w[0] * w[1] - 1.1);
}

/* What each case says of a point. */
static double Ball(const double z[])
{
  return hypot(z[0] - 0.3, z[1] + 0.2) - 0.7;
}
static double Outside(const double z[])
{
  return -Ball(z);
}
static double Box(const double z[])
{
  return fmax(fabs(z[0] - 0.3) - 0.4, fabs(z[1] + 0.2) - 0.9);
}
static double Half(const double z[])
{
  return (0.6 * z[0] - 0.8 * z[1]) - 0.25;
}
static double Sublevel(const double z[])
{
  return Excess(z) - 0.13;
}
static double Union(const double z[])
{
  return fmin(fmin(hypot(z[0], z[1]) - 0.5, Half(z)), fmax(fabs(z[0] + 1.1) - 0.3, fabs(z[1] - 1.2) - 0.2));
}

static const struct {
  const char *keys;
  double (*level)(const double z[]);
} Regions[] = {
    {"exit_region=ball exit_center=0.3,-0.2 exit_radius=0.7", Ball},
    {"exit_region=ball exit_center=0.3,-0.2 exit_radius=0.7 exit_inside=false", Outside},
    {"exit_region=box exit_center=0.3,-0.2 exit_radius=0.4,0.9", Box},
    {"exit_region=half_space exit_normal=3,-4 exit_offset=1.25", Half},
    {"exit_region=sublevel exit_level=0.13", Sublevel},
    {"exit_region=ball,half_space,box exit_center=origin,-1.1,1.2 exit_radius=0.5,0.3,0.2 exit_normal=3,-4 "
     "exit_offset=1.25",
     Union},
};
#define REGIONS ((int)(sizeof(Regions) / sizeof(Regions[0])))

/* Signs at points all over, also in blocks that are not full; segments leave where f changes sign, by bisection. */
static void test_levels(PETSC_UNUSED void **none)
{
  enum { N = 203 };

  for (int c = 0; c < REGIONS; c++) {
    Stage    s;
    FPRegion region;
    double   z[2 * N], f[N];
    int      left = 0;

    Open(&s, Regions[c].keys);
    must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &region));
    assert_non_null(region);
    must(FPConfigCheckUnknown(s.config));
    for (int k = 0; k < N; k++) {
      z[k]     = 1.9 * sin(1.0 + 2.7 * k);
      z[N + k] = 1.9 * sin(2.0 + 4.3 * k * k);
    }
    FPRegionLevel(region, N, z, f);
    for (int k = 0; k < N; k++) {
      const double p[2] = {z[k], z[N + k]};

      check(f[k] * Regions[c].level(p) > 0, "case %d: %g at a point with %g", c, f[k], Regions[c].level(p));
    }
    for (int k = 0; k + 1 < N; k++) {
      const double from[2] = {z[k], z[N + k]}, to[2] = {from[0] + 0.9 * z[k + 1], from[1] + 0.9 * z[N + k + 1]};
      const double t     = FPRegionLeaves(region, from, to);
      const double at[2] = {from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])};

      if (Regions[c].level(from) >= 0)
        check(t == 0, "case %d: leaves from outside at %g", c, t);
      else if (t < 1) {
        check(fabs(Regions[c].level(at)) < 1e-9, "case %d: leaves at level %g", c, Regions[c].level(at));
        left++;
      } else
        check(Regions[c].level(to) < 1e-12, "case %d: did not leave", c);
    }
    check(left > 4, "case %d: %d segments leave", c, left);
    must(FPRegionDestroy(&region));
    Close(&s);
  }
}

/* The second region of a section, none at all, and coordinates that are a map: p = w1 w2. */
static void test_kinds(PETSC_UNUSED void **none)
{
  Stage        s;
  FPRegion     region;
  const double z[2] = {0.4, -0.3};
  double       f;

  Open(&s, "exit_region_b=ball exit_center_b=minimum exit_radius_b=0.2");
  must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &region));
  assert_null(region);
  must(FPRegionCreate(s.config, "exit", PETSC_TRUE, s.model, &region));
  assert_non_null(region);
  must(FPConfigCheckUnknown(s.config));
  must(FPRegionDestroy(&region));
  Close(&s);
  Open(&s, "model_coordinates=invariant exit_region=sublevel exit_level=0.13");
  must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &region));
  FPRegionLevel(region, 1, z, &f);
  check(fabs(f - (0.45 * 0.7 * 0.7 - 0.13)) < 1e-12, "level %g in invariant coordinates", f);
  must(FPRegionDestroy(&region));
  Close(&s);
}

static void test_points(PETSC_UNUSED void **none)
{
  Stage                  s;
  const FPCriticalPoint *point;
  PetscInt               count;
  PetscReal              z[2];

  Open(&s, "");
  must(FPModelGetCriticalPoints(s.model, &count, &point));
  for (PetscInt k = 0; k < count; k++) {
    char     *word  = (char *)point[k].name;
    FPStrings words = {1, &word};

    must(FPPointRead(s.config, "exit_start", &words, s.model, z));
    check(z[0] == point[k].z[0] && z[1] == point[k].z[1], "%s is another point", word);
  }
  {
    char     *word[2] = {"-0.25", "1.5e-1"};
    FPStrings words   = {2, word};

    must(FPPointRead(s.config, "exit_start", &words, s.model, z));
    check(z[0] == -0.25 && z[1] == 0.15, "(%g, %g)", (double)z[0], (double)z[1]);
  }
  Close(&s);
}

static void test_bad_input(PETSC_UNUSED void **none)
{
  static const struct {
    const char *keys, *expected;
  } cases[] = {
      {"exit_region=sphere exit_radius=1", "exit_region = sphere is not one of: ball, box, half_space, sublevel"},
      {"exit_region=ball exit_radius=0.4", "exit_center is missing; region ball needs 2 numbers, or the name of"},
      {"exit_region=ball exit_center=0,1", "exit_radius is missing; region ball needs 1 number"},
      {"exit_region=ball exit_center=0,1 exit_radius=0", "exit_radius = 0 must be positive"},
      {"exit_region=ball exit_center=0,1 exit_radius=-2", "exit_radius = -2 must be positive"},
      {"exit_region=ball exit_center=0,1,2 exit_radius=2", "exit_center has 3 entries; region ball takes 2"},
      {"exit_region=ball exit_center=0 exit_radius=2", "exit_center = 0: 1 entries make no point of 2 coordinates"},
      {"exit_region=ball exit_center=nowhere exit_radius=2", "exit_center = nowhere: no critical point has the name "},
      {"exit_region=ball exit_center=0,east exit_radius=2", "entry 2, east, is not a number"},
      {"exit_region=ball exit_center=0,1 exit_radius=1,2", "exit_radius has 2 numbers; region ball takes 1"},
      {"exit_region=box exit_center=0,1 exit_radius=1", "exit_radius has 1 number; region box needs 2"},
      {"exit_region=half_space exit_normal=0,0 exit_offset=1", "exit_normal = 0,0 has length 0"},
      {"exit_region=half_space exit_normal=1,0", "exit_offset is missing; region half_space needs 1 number"},
      {"exit_region=sublevel exit_level=0", "exit_level = 0 must be positive"},
      {"exit_region=sublevel exit_level=1 exit_radius=2", "exit_radius has 1 number; region sublevel takes 0"},
      {"exit_radius=2", "exit_radius has 1 number; region (not given) takes 0"},
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    Stage    s;
    FPRegion region;

    Open(&s, cases[i].keys);
    refused(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &region), cases[i].expected);
    Close(&s);
  }
}

/* A ball without a half-space: negative where both say so, on more points than a block. */
static void test_difference(void **state)
{
  enum { N = 3 * FP_BLOCK + 5 };
  Stage    s;
  FPRegion ball, half, rest;
  double   z[2 * N], f[N];
  PetscInt inside = 0;

  (void)state;
  Open(&s, "exit_region=ball exit_center=0.3,-0.2 exit_radius=0.7 exit_region_b=half_space exit_normal_b=1,0.5 "
           "exit_offset_b=0.1");
  must(FPRegionCreate(s.config, "exit", PETSC_FALSE, s.model, &ball));
  must(FPRegionCreate(s.config, "exit", PETSC_TRUE, s.model, &half));
  must(FPRegionCreateDifference(ball, half, &rest));
  for (int l = 0; l < N; l++) {
    z[l]     = -0.5 + 1.7 * fmod(0.618034 * l, 1);
    z[N + l] = -1.1 + 1.7 * fmod(0.754878 * l, 1);
  }
  FPRegionLevel(rest, N, z, f);
  for (int l = 0; l < N; l++) {
    const double point[2] = {z[l], z[N + l]};
    const int    in       = Ball(point) < 0 && point[0] + 0.5 * point[1] > 0.1;

    check((f[l] < 0) == in, "(%g, %g): level %g", point[0], point[1], f[l]);
    inside += in;
  }
  check(inside > 20 && inside < N - 20, "%d of %d points inside", (int)inside, N);
  must(FPRegionDestroy(&rest));
  must(FPRegionDestroy(&half));
  must(FPRegionDestroy(&ball));
  Close(&s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_levels),    cmocka_unit_test(test_kinds),      cmocka_unit_test(test_points),
      cmocka_unit_test(test_bad_input), cmocka_unit_test(test_difference),
  };
  int failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

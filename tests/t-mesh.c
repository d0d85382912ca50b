/* t-mesh.c: maps of the axes, the sequence of grids, memory estimates and bad input. */
#include "message.h"
#include "fpgenerator.h"
#include <math.h>
#include <string.h>

/* Keys "key=value" separated by blanks; returns the error code. */
static PetscErrorCode Open(const char keys[], PetscInt dim, FPMesh *mesh)
{
  char           text[1024], *rest = text;
  FPConfig       config;
  PetscBool      has = PETSC_FALSE;
  PetscErrorCode code;

  strcpy(text, keys);
  must(FPConfigCreate(&config));
  for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    char *value = strchr(word, '=');

    *value = 0;
    must(FPConfigSet(config, word, value + 1));
  }
  *mesh = NULL;
  code  = FPMeshCreate(config, dim, mesh, &has);
  if (!code) assert_int_equal(has, *mesh != NULL);
  must(FPConfigDestroy(&config));
  return code;
}

/* Ends of the box, inverse and derivative (five-point differences, error h^4/30 f^(5)) of every map. */
static void test_maps(PETSC_UNUSED void **none)
{
  const PetscReal lower[3] = {-1.3, 0.2, -0.7}, upper[3] = {2.9, 5.5, 1.9};
  FPMesh          mesh;

  must(Open("mesh_lower=-1.3,0.2,-0.7 mesh_upper=2.9,5.5,1.9 mesh_cells=16,16,16 mesh_map=sinh:0.45:3.7,log,uniform", 3,
            &mesh));
  for (PetscInt a = 0; a < 3; a++) {
    PetscReal z, dz, last = -PETSC_MAX_REAL;

    FPMeshMap(mesh, a, 0, &z, &dz);
    check(PetscAbsReal(z - lower[a]) < 1e-14, "axis %d begins at %g", (int)a, (double)z);
    FPMeshMap(mesh, a, 1, &z, &dz);
    check(PetscAbsReal(z - upper[a]) < 1e-14, "axis %d ends at %g", (int)a, (double)z);
    for (PetscInt k = 0; k <= 37; k++) {
      const PetscReal xi = k / 37.0, t = 1e-3;
      PetscReal       back, slope, v[4], ignored;

      FPMeshMap(mesh, a, xi, &z, &slope);
      FPMeshUnmap(mesh, a, z, &back);
      check(PetscAbsReal(back - xi) < 1e-14, "axis %d: %g comes back as %g", (int)a, (double)xi, (double)back);
      for (PetscInt i = 0; i < 4; i++) FPMeshMap(mesh, a, xi + (i < 2 ? i - 2 : i - 1) * t, &v[i], &ignored);
      dz = (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * t);
      check(PetscAbsReal(dz - slope) < 1e-9 * (1 + slope), "axis %d: slope %.12g, differences %.12g", (int)a,
            (double)slope, (double)dz);
      check(z > last, "axis %d is not monotone", (int)a);
      last = z;
    }
  }
  { /* sinh is finest at its center: slope there over slope at the far wall is 1/cosh of the distance */
    PetscReal xi, z, least, far;

    FPMeshUnmap(mesh, 0, 0.45, &xi);
    FPMeshMap(mesh, 0, xi, &z, &least);
    FPMeshMap(mesh, 0, 1, &z, &far);
    check(PetscAbsReal(far / least - cosh(3.7 * (1 - xi))) < 1e-12 * far / least, "ratio %g", (double)(far / least));
    for (PetscInt k = 0; k <= 20; k++) {
      FPMeshMap(mesh, 0, k / 20.0, &z, &far);
      check(far >= least, "finer at %g than at the center", (double)z);
    }
  }
  must(FPMeshDestroy(&mesh));
}

/* 3/4 and 1/2 of the cells, the parity kept, so that the middle of the box stays a node or a face. */
static void test_sequence(PETSC_UNUSED void **none)
{
  FPMesh       mesh;
  const FPBox *box;
  PetscInt     levels, cells[3];
  PetscReal    ratio;

  must(Open("mesh_lower=-1,0 mesh_upper=1,3 mesh_cells=64,48 mesh_faces=absorbing,reflecting,reflecting,absorbing", 2,
            &mesh));
  must(FPMeshGetLevels(mesh, &levels));
  assert_int_equal(levels, 3);
  for (PetscInt l = 0; l < 3; l++) {
    const PetscInt expected[3][2] = {{64, 48}, {48, 36}, {32, 24}};

    must(FPMeshGetCells(mesh, l, cells, &ratio));
    assert_int_equal(cells[0], expected[l][0]);
    assert_int_equal(cells[1], expected[l][1]);
    check(PetscAbsReal(ratio - 64.0 / expected[l][0]) < 1e-14, "ratio %g", (double)ratio);
  }
  must(FPMeshGetBox(mesh, &box));
  assert_int_equal(box->dim, 2);
  assert_int_equal(box->face[0], FP_ABSORBING);
  assert_int_equal(box->face[1], FP_REFLECTING);
  assert_int_equal(box->face[2], FP_REFLECTING);
  assert_int_equal(box->face[3], FP_ABSORBING);
  check(box->lower[1] == 0 && box->upper[1] == 3, "axis 2 is (%g, %g)", (double)box->lower[1], (double)box->upper[1]);
  must(FPMeshDestroy(&mesh));

  must(Open("mesh_lower=-1,0 mesh_upper=1,3 mesh_cells=65,50 mesh_refine=1 mesh_faces=absorbing", 2, &mesh));
  must(FPMeshGetLevels(mesh, &levels));
  assert_int_equal(levels, 2);
  must(FPMeshGetCells(mesh, 1, cells, &ratio));
  check(cells[0] == 33 && cells[1] % 2 == 0 && PetscAbsInt(cells[1] - 25) <= 1, "%d x %d cells", (int)cells[0],
        (int)cells[1]);
  check(PetscAbsReal(ratio - PetscSqrtReal(65.0 / cells[0] * 50.0 / cells[1])) < 1e-14, "ratio %g", (double)ratio);
  must(FPMeshGetBox(mesh, &box));
  for (PetscInt f = 0; f < 4; f++) assert_int_equal(box->face[f], FP_ABSORBING);
  must(FPMeshDestroy(&mesh));
}

/* Memory estimates grow with the grid and say no to what is hopeless: a 3-D grid of 400^3 needs more than 1 TiB. */
static void test_memory(PETSC_UNUSED void **none)
{
  const char *const keys[3] = {"mesh_lower=0,0,0 mesh_upper=1,1,1 mesh_cells=48,48,48",
                               "mesh_lower=0,0,0 mesh_upper=1,1,1 mesh_cells=64,64,64",
                               "mesh_lower=0,0,0 mesh_upper=1,1,1 mesh_cells=400,400,400"};
  PetscReal         bytes[3], coarse;
  FPMesh            mesh;

  for (int k = 0; k < 3; k++) {
    must(Open(keys[k], 3, &mesh));
    must(FPGeneratorEstimate(mesh, 0, PETSC_FALSE, PETSC_FALSE, &bytes[k]));
    must(FPGeneratorEstimate(mesh, 2, PETSC_FALSE, PETSC_FALSE, &coarse));
    check(coarse < bytes[k] / 8, "coarse grid %g bytes", (double)coarse);
    must(FPMeshDestroy(&mesh));
  }
  check(bytes[0] > 0.5e9 && bytes[0] < 5e9, "48^3: %g bytes", (double)bytes[0]);
  check(bytes[1] > 1.5e9 && bytes[1] < 16e9, "64^3: %g bytes", (double)bytes[1]);
  check(bytes[2] > 1.1e12, "400^3: %g bytes", (double)bytes[2]);
}

/* One line that names the key. */
static void test_bad_input(PETSC_UNUSED void **none)
{
  const struct {
    const char *keys, *said;
    PetscInt    dim;
  } bad[] = {
      {"mesh_lower=0,0 mesh_upper=1 mesh_cells=16,16", "mesh_upper has 1 entries", 2},
      {"mesh_lower=0 mesh_upper=1,1 mesh_cells=16,16", "mesh_lower has 1 entries", 2},
      {"mesh_lower=0,0 mesh_upper=1,1 mesh_cells=16", "mesh_cells has 1 entries", 2},
      {"mesh_lower=0,0 mesh_upper=1,1", "mesh_cells has 0 entries", 2},
      {"mesh_lower=1 mesh_upper=1 mesh_cells=16", "must be below mesh_upper = 1", 1},
      {"mesh_lower=2 mesh_upper=1 mesh_cells=16", "must be below mesh_upper = 1", 1},
      {"mesh_lower=0 mesh_upper=1 mesh_cells=7", "mesh_cells", 1},
      {"mesh_lower=0 mesh_upper=1 mesh_cells=16.5", "mesh_cells", 1},
      {"mesh_lower=0 mesh_upper=nan mesh_cells=16", "mesh_upper", 1},
      {"mesh_lower=0 mesh_upper=inf mesh_cells=16", "mesh_upper", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=log", "mesh_map = log", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=cubic", "mesh_map = cubic", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=sinh:1.5:2", "the center must lie inside", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=sinh:0:0", "the strength in (0, 20]", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=sinh:0:nan", "mesh_map", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=sinh:0:2:3", "mesh_map", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_map=uniform,uniform", "mesh_map has 2 entries", 1},
      {"mesh_lower=-1 mesh_upper=1 mesh_cells=16 mesh_faces=open", "mesh_faces", 1},
      {"mesh_lower=0,0 mesh_upper=1,1 mesh_cells=16,16 mesh_faces=absorbing,reflecting", "mesh_faces has 2 entries", 2},
      {"mesh_lower=0 mesh_upper=1 mesh_cells=16 mesh_refine=3", "mesh_refine", 1},
      {"mesh_lower=0,0,0,0 mesh_upper=1,1,1,1 mesh_cells=8,8,8,8", "1 to 3 dimensions", 4},
      {"mesh_file=no/such.yaml", "no/such.yaml", 1},
  };
  FPMesh mesh;

  for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) refused(Open(bad[k].keys, bad[k].dim, &mesh), bad[k].said);
  must(Open("", 2, &mesh));
  assert_null(mesh);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_maps), cmocka_unit_test(test_sequence),
                                     cmocka_unit_test(test_memory), cmocka_unit_test(test_bad_input)};
  int                     failed;

  must(SlepcInitialize(&argc, &argv, NULL, NULL));
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  must(SlepcFinalize());
  return failed;
}

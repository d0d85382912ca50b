/* data.c: the law of one sample, its registry and what all types share. */
#include "dataimpl.h"
#include <gsl/gsl_eigen.h>
#include <string.h>

const char *const FPLawNames[FP_LAWS] = {"test", "shifted"};

#define FP_DATA(name, type, parameters, help) name " "
static const char Types[] =
#include "datalist.h"
    ;
#undef FP_DATA

static const FPParameter TypeParameters[] = {
    {"type", FP_CHOICE, 0, NULL, 0, 0, Types, NULL, "law of one sample (x, y)"},
    {.name = NULL},
};

static const struct {
  const char *name;
  PetscErrorCode (*create)(FPData, FPConfig);
} Registry[] = {
#define FP_DATA(name, type, parameters, help) {name, FPDataCreate_##type},
#include "datalist.h"
#undef FP_DATA
};

/* Other laws need data to begin with; only a file has columns for a test file to share. */
static PetscErrorCode CheckOthers(FPConfig config, FPData data)
{
  PetscBool   test, shift;
  const char *where;

  PetscFunctionBegin;
  PetscCall(FPConfigHas(config, "data_test", &test));
  PetscCall(FPConfigHas(config, "data_shift", &shift));
  PetscCall(FPConfigWhere(config, test ? "data_test" : "data_shift", &where));
  if (data)
    FPInputCheck(!test || data->other[FP_LAW_TEST],
                 "%s: data_type = %s has no columns that a test file could share; accepted: data_type = file", where,
                 data->type);
  else
    FPInputCheck(!test && !shift, "%s: without data_type nothing is learned that other data could judge", where);
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataCreate(FPConfig config, FPData *data)
{
  char      type[FP_TEXT]; /* one of the registry, or FPConfigRead() refuses it */
  PetscBool has;

  PetscFunctionBegin;
  *data = NULL;
  PetscCall(FPConfigRead(config, "data", TypeParameters, type));
  PetscCall(FPConfigHas(config, "data_type", &has));
  if (!has) {
    PetscCall(CheckOthers(config, NULL));
    PetscFunctionReturn(0);
  }
  PetscCall(PetscNew(data));
  PetscCall(PetscStrncpy((*data)->type, type, sizeof(type)));
  for (size_t k = 0; k < sizeof(Registry) / sizeof(Registry[0]); k++)
    if (!strcmp(Registry[k].name, type)) PetscCall((*Registry[k].create)(*data, config));
  PetscCall(CheckOthers(config, *data));
  PetscCall(FPShiftCreate(*data, config));
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetType(FPData data, const char **type)
{
  PetscFunctionBegin;
  *type = data->type;
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetSizes(FPData data, PetscInt *inputs, PetscInt *targets)
{
  PetscFunctionBegin;
  *inputs  = data->inputs;
  *targets = data->targets;
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetMoments(FPData data, const PetscReal **second, const PetscReal **fourth)
{
  PetscFunctionBegin;
  *second = data->second;
  *fourth = data->fourth;
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetNodes(FPData data, PetscInt degree, PetscInt *count, PetscReal **u, PetscReal **weight)
{
  PetscFunctionBegin;
  PetscCheck(degree >= 0, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "degree %" PetscInt_FMT " < 0", degree);
  PetscCall((*data->nodes)(data, degree, count, u, weight));
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetSampler(FPData data, FPSampler *sampler)
{
  PetscFunctionBegin;
  *sampler = data->sampler;
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetOther(FPData data, FPLaw law, FPData *other)
{
  PetscFunctionBegin;
  *other = data->other[law];
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataCreateOther(FPData data, FPLaw law, FPData *other)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(other));
  data->other[law] = *other;
  PetscCall(PetscStrncpy((*other)->type, data->type, FP_TEXT));
  (*other)->inputs  = data->inputs;
  (*other)->targets = data->targets;
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataGetLeastSquares(FPData data, PetscReal best[])
{
  const PetscInt             p = data->inputs, n = p + data->targets;
  const PetscReal           *second = data->second;
  gsl_matrix                *A = gsl_matrix_alloc((size_t)p, (size_t)p), *V = gsl_matrix_alloc((size_t)p, (size_t)p);
  gsl_vector                *value = gsl_vector_alloc((size_t)p);
  gsl_eigen_symmv_workspace *work  = gsl_eigen_symmv_alloc((size_t)p);

  PetscFunctionBegin;
  for (PetscInt j = 0; j < p * p; j++) gsl_matrix_set(A, (size_t)(j / p), (size_t)(j % p), second[j / p * n + j % p]);
  gsl_eigen_symmv(A, value, V, work);
  for (PetscInt a = 0; a < p * data->targets; a++) {
    best[a] = 0;
    for (PetscInt e = 0; e < p; e++) {
      const PetscReal lambda = gsl_vector_get(value, (size_t)e), Vje = gsl_matrix_get(V, (size_t)(a % p), (size_t)e);
      PetscReal       projection = 0;

      for (PetscInt j = 0; j < p; j++)
        projection += second[(p + a / p) * n + j] * gsl_matrix_get(V, (size_t)j, (size_t)e);
      if (lambda > 1e-13 * gsl_vector_max(value)) best[a] += projection / lambda * Vje;
    }
  }
  gsl_eigen_symmv_free(work);
  gsl_vector_free(value);
  gsl_matrix_free(V);
  gsl_matrix_free(A);
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataDestroy(FPData *data)
{
  PetscFunctionBegin;
  if (!*data) PetscFunctionReturn(0);
  for (PetscInt law = 0; law < FP_LAWS; law++) PetscCall(FPDataDestroy(&(*data)->other[law]));
  if ((*data)->destroy) PetscCall((*(*data)->destroy)(*data));
  PetscCall(PetscFree2((*data)->second, (*data)->fourth));
  PetscCall(PetscFree(*data));
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataList(FILE *out)
{
  PetscFunctionBegin;
#define FP_DATA(name, type, parameters, help)                                                                          \
  PetscCall(PetscFPrintf(PETSC_COMM_WORLD, out, "%-14s %s\n", name, help));                                            \
  PetscCall(FPParametersView(parameters, "data", out));
#include "datalist.h"
#undef FP_DATA
  PetscCall(PetscFPrintf(PETSC_COMM_WORLD, out, "%-14s %s\n", "shift",
                         "with any type: another law that the network is judged by; what is not given stays"));
  PetscCall(FPParametersView(FPShiftParameters, "data_shift", out));
  PetscFunctionReturn(0);
}

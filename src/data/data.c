/* data.c: the law of one sample, its registry and what all types share. */
#include "dataimpl.h"

#define FP_DATA(name, type, parameters, help) name " "
static const char Types[] =
#include "datalist.h"
    ;
#undef FP_DATA

static const FPParameter TypeParameters[] = {
    {"type", FP_CHOICE, 0, NULL, 0, 0, Types, NULL, "law of one sample (x, y)"},
    {.name = NULL},
};

static PetscErrorCode FPDataRegisterAll(PetscFunctionList *list)
{
  PetscFunctionBegin;
  *list = NULL;
#define FP_DATA(name, type, parameters, help) PetscCall(PetscFunctionListAdd(list, name, FPDataCreate_##type));
#include "datalist.h"
#undef FP_DATA
  PetscFunctionReturn(0);
}

PetscErrorCode FPDataCreate(FPConfig config, FPData *data)
{
  char              type[FP_TEXT];
  PetscBool         has;
  PetscFunctionList list;
  PetscErrorCode (*create)(FPData, FPConfig);

  PetscFunctionBegin;
  *data = NULL;
  PetscCall(FPConfigRead(config, "data", TypeParameters, type));
  PetscCall(FPConfigHas(config, "data_type", &has));
  if (!has) PetscFunctionReturn(0);
  PetscCall(FPDataRegisterAll(&list));
  PetscCall(PetscFunctionListFind(list, type, &create));
  PetscCall(PetscFunctionListDestroy(&list));
  FPInputCheck(create, "data_type = %s is not known; accepted: %s", type, Types);
  PetscCall(PetscNew(data));
  PetscCall(PetscStrncpy((*data)->type, type, sizeof(type)));
  PetscCall((*create)(*data, config));
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

PetscErrorCode FPDataDestroy(FPData *data)
{
  PetscFunctionBegin;
  if (!*data) PetscFunctionReturn(0);
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
  PetscFunctionReturn(0);
}

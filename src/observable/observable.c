/* observable.c: the interface of observables, their registry, and the small types they share. */
#include "observableimpl.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FP_OBSERVABLE(name, create, help) name " "
static const char Names[] =
#include "observablelist.h"
    ;
#undef FP_OBSERVABLE

typedef PetscErrorCode (*CreateFunction)(FPObservable);

static const struct {
  const char    *name;
  CreateFunction create;
} Registry[] = {
#define FP_OBSERVABLE(name, create, help) {name, create},
#include "observablelist.h"
#undef FP_OBSERVABLE
};

PetscErrorCode FPObservableCreate(FPConfig config, const char name[], FPObservable *observable)
{
  CreateFunction create = NULL;
  FPObservable   o;

  PetscFunctionBegin;
  for (size_t k = 0; k < sizeof(Registry) / sizeof(Registry[0]); k++)
    if (!strcmp(Registry[k].name, name)) create = Registry[k].create;
  FPInputCheck(create, "observables = %s is not one of: %s", name, Names);
  PetscCall(PetscNew(&o));
  PetscCall(PetscStrncpy(o->name, name, sizeof(o->name)));
  PetscCall((*create)(o));
  if (o->parameters) PetscCall(FPConfigRead(config, name, o->parameters, o->data));
  PetscCall(FPConfigAllowSolver(config, name));
  *observable = o;
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableRead(FPObservable observable, FPConfig config, FPModel model, FPMesh mesh, PetscBool wanted)
{
  PetscFunctionBegin;
  if (observable->ops.read) PetscCall((*observable->ops.read)(observable, config, model, mesh, wanted));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableGetName(FPObservable observable, const char **name)
{
  PetscFunctionBegin;
  *name = observable->name;
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableMissing(FPObservable obs, FPProcess process, const char engine[], const char quantity[],
                                   const char status[], const char reason[])
{
  const char *name;

  PetscFunctionBegin;
  PetscCall(FPProcessGetName(process, &name));
  PetscCall(FPResultsAddStatus(obs->scene.results, name, engine, obs->name, quantity, status, reason));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableMissingOn(FPObservable obs, FPGenerator gen, const char quantity[], const char status[],
                                     const char reason[])
{
  FPProcess process;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetProcess(gen, &process));
  PetscCall(FPObservableMissing(obs, process, FPGeneratorEngine(gen), quantity, status, reason));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableSetScene(FPObservable observable, const FPScene *scene)
{
  PetscFunctionBegin;
  observable->scene = *scene;
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableGetPairs(FPObservable observable, PetscInt *pairs)
{
  PetscFunctionBegin;
  *pairs = 1;
  if (observable->ops.pairs) PetscCall((*observable->ops.pairs)(observable, pairs));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableExact(FPObservable observable)
{
  PetscFunctionBegin;
  if (observable->ops.exact) PetscCall((*observable->ops.exact)(observable));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableGenerator(FPObservable observable, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  PetscFunctionBegin;
  if (observable->ops.generator) PetscCall((*observable->ops.generator)(observable, gen, finest, q));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableAlign(FPObservable observable, const FPQuantities *finest, FPQuantities *coarse)
{
  PetscFunctionBegin;
  if (observable->ops.align) PetscCall((*observable->ops.align)(observable, finest, coarse));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableParticlesBegin(FPObservable observable, FPProcess process, PetscReal dt,
                                          const FPParticleOptions *options, FPObserver *observer, FPEnsemble *ensemble,
                                          PetscBool *used)
{
  PetscFunctionBegin;
  *used = PETSC_FALSE;
  if (observable->ops.begin)
    PetscCall((*observable->ops.begin)(observable, process, dt, options, observer, ensemble, used));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableEvaluate(FPObservable observable, const double sums[], FPQuantities *q)
{
  PetscFunctionBegin;
  PetscCall((*observable->ops.evaluate)(observable, sums, q));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableFields(FPObservable observable, const double sums[])
{
  PetscFunctionBegin;
  if (observable->ops.fields) PetscCall((*observable->ops.fields)(observable, sums));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableParticlesEnd(FPObservable observable)
{
  PetscFunctionBegin;
  if (observable->ops.end) PetscCall((*observable->ops.end)(observable));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableDestroy(FPObservable *observable)
{
  PetscFunctionBegin;
  if (!*observable) PetscFunctionReturn(0);
  if ((*observable)->ops.destroy) PetscCall((*(*observable)->ops.destroy)(*observable));
  if ((*observable)->parameters) PetscCall(FPConfigFree((*observable)->parameters, (*observable)->data));
  PetscCall(PetscFree((*observable)->data));
  PetscCall(PetscFree(*observable));
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableList(FILE *out)
{
  PetscFunctionBegin;
#define FP_OBSERVABLE(name, create, help)                                                                              \
  {                                                                                                                    \
    FPObservable o;                                                                                                    \
    PetscCall(PetscNew(&o));                                                                                           \
    PetscCall(create(o));                                                                                              \
    fprintf(out, "%-12s %s\n", name, help);                                                                            \
    if (o->parameters) PetscCall(FPParametersView(o->parameters, name, out));                                          \
    PetscCall(PetscFree(o->data));                                                                                     \
    PetscCall(PetscFree(o));                                                                                           \
  }
#include "observablelist.h"
#undef FP_OBSERVABLE
  PetscFunctionReturn(0);
}

PetscErrorCode FPQuantitiesAdd(FPQuantities *q, PetscReal value, PetscReal error, const char unit[], const char name[],
                               ...)
{
  va_list     args;
  FPQuantity *item;

  PetscFunctionBegin;
  if (q->n == q->room) {
    q->room = q->room ? 2 * q->room : 32;
    PetscCall(PetscRealloc((size_t)q->room * sizeof(FPQuantity), &q->list));
  }
  item = &q->list[q->n++];
  va_start(args, name);
  (void)vsnprintf(item->name, sizeof(item->name), name, args);
  va_end(args);
  PetscCall(PetscStrncpy(item->unit, unit, sizeof(item->unit)));
  item->value      = value;
  item->error      = error;
  item->smoothness = FP_SMOOTH;
  item->unsteady   = 0;
  PetscFunctionReturn(0);
}

void FPQuantitiesSetSmoothness(FPQuantities *q, PetscInt first, FPSmoothness smoothness, PetscReal unsteady)
{
  for (PetscInt k = first; k < q->n; k++) {
    q->list[k].smoothness = smoothness;
    q->list[k].unsteady   = unsteady;
  }
}

PetscErrorCode FPQuantitiesFind(const FPQuantities *q, const char name[], const FPQuantity **found)
{
  PetscFunctionBegin;
  *found = NULL;
  for (PetscInt k = 0; k < q->n && !*found; k++)
    if (!strcmp(q->list[k].name, name)) *found = &q->list[k];
  PetscFunctionReturn(0);
}

PetscErrorCode FPQuantitiesFree(FPQuantities *q)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(q->list));
  q->n = q->room = 0;
  PetscFunctionReturn(0);
}

/* region.c: regions, unions and complements of them, and points by name. */
#include "regionimpl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS 16 /* points of a segment at which f is looked at */

#define FP_REGION(name, type, help) name " "
static const char Types[] =
#include "regionlist.h"
    ;
#undef FP_REGION

struct _p_FPRegion {
  PetscInt  parts, dim;
  FPPart   *part; /* their union, or its complement */
  PetscBool inside;
  FPRegion  first, without; /* of a difference, which has no parts */
};

typedef struct {
  FPStrings region, center;
  FPReals   list[FP_REGION_REALS];
  PetscBool inside;
} Keys;

#define LIST(key) (offsetof(Keys, list) + (key) * sizeof(FPReals))
/* One table for each region of a section: the second one's keys end in _b. */
#define REGION_KEYS(suffix)                                                                                            \
  {"region" suffix,                                                                                                    \
   FP_STRINGS,                                                                                                         \
   offsetof(Keys, region),                                                                                             \
   NULL,                                                                                                               \
   0,                                                                                                                  \
   0,                                                                                                                  \
   Types,                                                                                                              \
   NULL,                                                                                                               \
   "types of region; of several, their union, whose numbers follow one another in the keys below"},                    \
      {"center" suffix,                                                                                                \
       FP_STRINGS,                                                                                                     \
       offsetof(Keys, center),                                                                                         \
       NULL,                                                                                                           \
       0,                                                                                                              \
       0,                                                                                                              \
       NULL,                                                                                                           \
       "weight",                                                                                                       \
       "ball, box: numbers, or the name of a critical point"},                                                         \
      {"radius" suffix,                                                                                                \
       FP_REALS,                                                                                                       \
       LIST(FP_REGION_RADIUS),                                                                                         \
       NULL,                                                                                                           \
       FP_POSITIVE,                                                                                                    \
       PETSC_MAX_REAL,                                                                                                 \
       NULL,                                                                                                           \
       "weight",                                                                                                       \
       "ball: one number; box: half the width along every coordinate"},                                                \
      {"normal" suffix, FP_REALS, LIST(FP_REGION_NORMAL), NULL, 0, 0, NULL, "1", "half_space: normal . z < offset"},   \
      {"offset" suffix, FP_REALS, LIST(FP_REGION_OFFSET), NULL, 0, 0, NULL, "weight", "half_space"},                   \
      {"level" suffix, FP_REALS,    LIST(FP_REGION_LEVEL),                                                             \
       NULL,           FP_POSITIVE, PETSC_MAX_REAL,                                                                    \
       NULL,           "loss",      "sublevel: excess loss below which a point lies inside"},                          \
      {"inside" suffix,                                                                                                \
       FP_BOOL,                                                                                                        \
       offsetof(Keys, inside),                                                                                         \
       "true",                                                                                                         \
       0,                                                                                                              \
       0,                                                                                                              \
       NULL,                                                                                                           \
       NULL,                                                                                                           \
       "false: the complement of the region"},

static const FPParameter Parameters[]               = {REGION_KEYS(""){.name = NULL}};
static const FPParameter SecondParameters[]         = {REGION_KEYS("_b"){.name = NULL}};
static const char *const ListNames[FP_REGION_REALS] = {"radius", "normal", "offset", "level"};

struct _FPRegionReader {
  FPConfig    config;
  FPModel     model;
  const char *section, *suffix, *type; /* suffix of the keys; type of the part being read */
  PetscInt    dim, center, used[FP_REGION_REALS];
  Keys        keys;
};

static PetscErrorCode KeyOf(const FPRegionReader *reader, const char name[], char key[])
{
  PetscFunctionBegin;
  PetscCall(
      PetscSNPrintf(key, FP_TEXT, "%s%s%s%s", reader->section, reader->section[0] ? "_" : "", name, reader->suffix));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRegionRefuse(FPRegionReader *reader, FPRegionKey name, const char reason[])
{
  char        key[FP_TEXT];
  const char *where;

  PetscFunctionBegin;
  PetscCall(KeyOf(reader, ListNames[name], key));
  PetscCall(FPConfigWhere(reader->config, key, &where));
  FPInputError("%s %s", where, reason);
}

PetscErrorCode FPRegionTake(FPRegionReader *reader, FPRegionKey name, PetscInt count, PetscReal value[])
{
  const FPReals *list = &reader->keys.list[name];
  char           key[FP_TEXT];

  PetscFunctionBegin;
  PetscCall(KeyOf(reader, ListNames[name], key));
  FPInputCheck(list->n > 0, "%s is missing; region %s needs %" PetscInt_FMT " number%s", key, reader->type, count,
               count > 1 ? "s" : "");
  FPInputCheck(reader->used[name] + count <= list->n,
               "%s has %" PetscInt_FMT " number%s; region %s needs %" PetscInt_FMT, key, list->n,
               list->n > 1 ? "s" : "", reader->type, reader->used[name] + count);
  PetscCall(PetscArraycpy(value, list->value + reader->used[name], count));
  reader->used[name] += count;
  PetscFunctionReturn(0);
}

static PetscBool IsNumber(const char text[], PetscReal *value)
{
  char *end;

  *value = strtod(text, &end);
  return (PetscBool)(text[0] && !text[strspn(text, "0123456789+-.eE")] && !*end && isfinite(*value));
}

PetscErrorCode FPRegionTakeCenter(FPRegionReader *reader, PetscReal z[])
{
  const FPStrings *words = &reader->keys.center;
  char             key[FP_TEXT];
  PetscReal        number;
  FPStrings        part = {.n = reader->dim};

  PetscFunctionBegin;
  PetscCall(KeyOf(reader, "center", key));
  FPInputCheck(reader->center < words->n,
               "%s is missing; region %s needs %" PetscInt_FMT " numbers, or the name of a critical point", key,
               reader->type, reader->dim);
  part.value = words->value + reader->center;
  if (!IsNumber(part.value[0], &number)) part.n = 1;
  part.n = PetscMin(part.n, words->n - reader->center);
  PetscCall(FPPointRead(reader->config, key, &part, reader->model, z));
  reader->center += part.n;
  PetscFunctionReturn(0);
}

PetscErrorCode FPPointRead(FPConfig config, const char key[], const FPStrings *words, FPModel model, PetscReal z[])
{
  const FPCriticalPoint *point;
  char                   names[FP_TEXT];
  const char            *where;
  PetscInt               dim;
  PetscReal              number;

  PetscFunctionBegin;
  PetscCall(FPModelGetSizes(model, &dim, NULL, NULL));
  PetscCall(FPConfigWhere(config, key, &where));
  if (words->n != 1 || IsNumber(words->value[0], &number)) {
    FPInputCheck(words->n == dim, "%s: %" PetscInt_FMT " entries make no point of %" PetscInt_FMT " coordinates", where,
                 words->n, dim);
    for (PetscInt a = 0; a < dim; a++)
      FPInputCheck(IsNumber(words->value[a], &z[a]), "%s: entry %" PetscInt_FMT ", %.80s, is not a number", where,
                   a + 1, words->value[a]);
    PetscFunctionReturn(0);
  }
  PetscCall(FPModelFindCriticalPoint(model, words->value[0], &point));
  if (point) {
    PetscCall(PetscArraycpy(z, point->z, dim));
    PetscFunctionReturn(0);
  }
  PetscCall(FPModelNameCriticalPoints(model, names));
  FPInputError("%s: no critical point has the name %.80s; known are %s", where, words->value[0], names);
}

typedef PetscErrorCode (*CreateFunction)(FPPart *, FPRegionReader *);

static const struct {
  const char    *name;
  CreateFunction create;
} Registry[] = {
#define FP_REGION(name, type, help) {name, FPRegionCreate_##type},
#include "regionlist.h"
#undef FP_REGION
};

/* Numbers that no part took are a mistake. */
static PetscErrorCode CheckAllTaken(FPRegionReader *reader)
{
  char key[FP_TEXT];

  PetscFunctionBegin;
  PetscCall(KeyOf(reader, "center", key));
  FPInputCheck(reader->center == reader->keys.center.n,
               "%s has %" PetscInt_FMT " entries; region %s takes %" PetscInt_FMT, key, reader->keys.center.n,
               reader->type, reader->center);
  for (int k = 0; k < FP_REGION_REALS; k++) {
    PetscCall(KeyOf(reader, ListNames[k], key));
    FPInputCheck(reader->used[k] == reader->keys.list[k].n,
                 "%s has %" PetscInt_FMT " number%s; region %s takes %" PetscInt_FMT, key, reader->keys.list[k].n,
                 reader->keys.list[k].n > 1 ? "s" : "", reader->keys.region.n > 1 ? "union" : reader->type,
                 reader->used[k]);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode CreateParts(FPRegionReader *reader, FPRegion region)
{
  PetscFunctionBegin;
  region->parts  = reader->keys.region.n;
  region->inside = reader->keys.inside;
  region->dim    = reader->dim;
  PetscCall(PetscCalloc1(region->parts, &region->part));
  for (PetscInt p = 0; p < region->parts; p++) {
    CreateFunction create = NULL;

    reader->type          = reader->keys.region.value[p];
    region->part[p].model = reader->model;
    region->part[p].dim   = (int)reader->dim;
    for (size_t k = 0; k < sizeof(Registry) / sizeof(Registry[0]); k++)
      if (!strcmp(Registry[k].name, reader->type)) create = Registry[k].create;
    FPInputCheck(create, "%s_region%s = %s is not one of: %s", reader->section, reader->suffix, reader->type, Types);
    PetscCall((*create)(&region->part[p], reader));
  }
  PetscCall(CheckAllTaken(reader));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRegionCreate(FPConfig config, const char section[], PetscBool second, FPModel model, FPRegion *region)
{
  const FPParameter *table  = second ? SecondParameters : Parameters;
  FPRegionReader     reader = {.config = config, .model = model, .section = section, .suffix = second ? "_b" : ""};

  PetscFunctionBegin;
  *region = NULL;
  PetscCall(FPModelGetSizes(model, &reader.dim, NULL, NULL));
  PetscCall(FPConfigRead(config, section, table, &reader.keys));
  if (reader.keys.region.n > 0) {
    PetscCall(PetscNew(region));
    PetscCall(CreateParts(&reader, *region));
  } else {
    reader.type = "(not given)";
    PetscCall(CheckAllTaken(&reader));
  }
  PetscCall(FPConfigFree(table, &reader.keys));
  PetscFunctionReturn(0);
}

PetscErrorCode FPRegionCreateDifference(FPRegion region, FPRegion without, FPRegion *difference)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(difference));
  (*difference)->dim     = region->dim;
  (*difference)->first   = region;
  (*difference)->without = without;
  PetscFunctionReturn(0);
}

typedef struct {
  void (*level)(const void *context, int n, const double *z, double *f);
  const void *context;
} Given;

static void Level_Given(const FPPart *part, int n, const double *z, double *f)
{
  const Given *given = (const Given *)part->impl;

  (*given->level)(given->context, n, z, f);
}

PetscErrorCode FPRegionCreateLevel(PetscInt dim, void (*level)(const void *context, int n, const double *z, double *f),
                                   const void *context, FPRegion *region)
{
  Given *given;

  PetscFunctionBegin;
  PetscCall(PetscNew(region));
  PetscCall(PetscCalloc1(1, &(*region)->part));
  PetscCall(PetscNew(&given));
  *given                   = (Given){level, context};
  (*region)->parts         = 1;
  (*region)->dim           = dim;
  (*region)->inside        = PETSC_TRUE;
  (*region)->part[0].dim   = (int)dim;
  (*region)->part[0].impl  = given;
  (*region)->part[0].level = Level_Given;
  PetscFunctionReturn(0);
}

PetscErrorCode FPRegionList(FILE *out)
{
  PetscFunctionBegin;
#define FP_REGION(name, type, help) fprintf(out, "%-12s %s\n", name, help);
#include "regionlist.h"
#undef FP_REGION
  fprintf(out,
          "\nkeys in the section of an observable that knows regions (of a second region with _b at their end):\n");
  PetscCall(FPParametersView(Parameters, "", out));
  PetscFunctionReturn(0);
}

static void Level(FPRegion region, PetscBool distance, int n, const double *z, double *f);

/* max(f of the first, -f of the other) */
static void LevelOfDifference(FPRegion region, PetscBool distance, int n, const double *z, double *f)
{
  double *zb = FPScratchTake((size_t)(region->dim * FP_BLOCK)), fb[FP_BLOCK];

  Level(region->first, distance, n, z, f);
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int m = PetscMin(FP_BLOCK, n - first);

    for (PetscInt i = 0; i < region->dim; i++)
      memcpy(zb + i * m, z + (size_t)i * (size_t)n + first, (size_t)m * sizeof(double));
    Level(region->without, distance, m, zb, fb);
    for (int l = 0; l < m; l++) f[first + l] = PetscMax(f[first + l], -fb[l]);
  }
  FPScratchRelease(zb);
}

static void Level(FPRegion region, PetscBool distance, int n, const double *z, double *f)
{
  double *zb, fb[FP_BLOCK];

  if (region->first) {
    LevelOfDifference(region, distance, n, z, f);
    return;
  }
  zb = FPScratchTake((size_t)(region->dim * FP_BLOCK));
  for (int first = 0; first < n; first += FP_BLOCK) {
    const int m = PetscMin(FP_BLOCK, n - first);

    for (PetscInt i = 0; i < region->dim; i++)
      memcpy(zb + i * m, z + (size_t)i * (size_t)n + first, (size_t)m * sizeof(double));
    for (PetscInt p = 0; p < region->parts; p++) {
      const FPPart *part = &region->part[p];

      (*part->level)(part, m, zb, fb);
      for (int l = 0; l < m && distance && part->radius > 0; l++)
        fb[l] = part->radius * (sqrt(PetscMax(0, 1 + 2 * fb[l] / part->radius)) - 1);
      for (int l = 0; l < m; l++) f[first + l] = p ? PetscMin(f[first + l], fb[l]) : fb[l];
    }
    for (int l = 0; l < m && !region->inside; l++) f[first + l] = -f[first + l];
  }
  FPScratchRelease(zb);
}

void FPRegionLevel(FPRegion region, int n, const double *z, double *f)
{
  Level(region, PETSC_FALSE, n, z, f);
}

void FPRegionDistance(FPRegion region, int n, const double *z, double *f)
{
  Level(region, PETSC_TRUE, n, z, f);
}

static double LevelOn(FPRegion region, const double from[], const double to[], double t)
{
  double z[FP_MAX_DIM], f;

  for (PetscInt a = 0; a < region->dim; a++) z[a] = from[a] + t * (to[a] - from[a]);
  FPRegionLevel(region, 1, z, &f);
  return f;
}

double FPRegionLeaves(FPRegion region, const double from[], const double to[])
{
  double *z   = FPScratchTake((size_t)(region->dim * (LOOKS + 1))), f[LOOKS + 1], low, high;
  int     out = 0;

  for (int p = 0; p <= LOOKS; p++)
    for (PetscInt a = 0; a < region->dim; a++)
      z[a * (LOOKS + 1) + p] = p < LOOKS ? from[a] + p * (to[a] - from[a]) / LOOKS : to[a];
  FPRegionLevel(region, LOOKS + 1, z, f);
  FPScratchRelease(z);
  while (out <= LOOKS && f[out] < 0) out++;
  if (out > LOOKS) return 1;
  if (out == 0) return 0;
  low  = (double)(out - 1) / LOOKS;
  high = (double)out / LOOKS;
  for (int step = 0; step < 48; step++) {
    const double middle = (low + high) / 2;

    if (LevelOn(region, from, to, middle) < 0)
      low = middle;
    else
      high = middle;
  }
  return high;
}

PetscErrorCode FPRegionDestroy(FPRegion *region)
{
  PetscFunctionBegin;
  if (!*region) PetscFunctionReturn(0);
  for (PetscInt p = 0; p < (*region)->parts; p++) PetscCall(PetscFree((*region)->part[p].impl));
  PetscCall(PetscFree((*region)->part));
  PetscCall(PetscFree(*region));
  PetscFunctionReturn(0);
}

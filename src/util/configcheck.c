/* configcheck.c: keys that no table knows, and the solver keys, which belong to PETSc and SLEPc. */
#include "configimpl.h"
#include <ctype.h>

/* First words of the options of PETSc's and SLEPc's objects, as they follow the prefix SECTION_. */
static const char *const SolverHeads[] = {"eps", "st", "ksp", "pc", "mat",  "vec", "bv",  "ds",
                                          "fn",  "rg", "mfn", "ts", "snes", "svd", "sub", NULL};

/* The text after "PREFIX_" at the start of key, else NULL. */
static const char *After(const char key[], const char prefix[])
{
  const size_t length = strlen(prefix);

  return !strncmp(key, prefix, length) && key[length] == '_' ? key + length + 1 : NULL;
}

PetscErrorCode FPConfigAllowSolver(FPConfig config, const char section[])
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < config->sections; i++)
    if (!strcmp(config->section[i], section)) PetscFunctionReturn(0);
  PetscCheck(config->sections < FP_MAX_SECTIONS, PETSC_COMM_SELF, PETSC_ERR_PLIB, "more than %d sections with solvers",
             FP_MAX_SECTIONS);
  PetscCall(PetscStrncpy(config->section[config->sections++], section, FP_NAME));
  PetscFunctionReturn(0);
}

static const char *SolverSection(FPConfig config, const char key[])
{
  for (PetscInt i = 0; i < config->sections; i++)
    if (After(key, config->section[i])) return config->section[i];
  return NULL;
}

PetscBool FPConfigIsSolverKey(FPConfig config, const char key[])
{
  if (json_object_get(config->known, key)) return PETSC_FALSE;
  for (PetscInt i = 0; i < config->sections; i++) {
    const char *rest = After(key, config->section[i]);

    for (int k = 0; rest && SolverHeads[k]; k++)
      if (After(rest, SolverHeads[k])) return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

/* Levenshtein distance, letters compared without case. */
static int Distance(const char a[], const char b[])
{
  const int n = (int)PetscMin(strlen(b), FP_KEY);
  int       row[FP_KEY + 1];

  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];

    row[0] = i;
    for (int j = 1; j <= n; j++) {
      const int change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

      diagonal = row[j];
      row[j]   = PetscMin(change, 1 + PetscMin(row[j], row[j - 1]));
    }
  }
  return row[n];
}

/* The known key that was meant: nearest, where leaving out the section costs as much as one wrong letter. */
static const char *Nearest(FPConfig config, const char key[])
{
  const char *name, *nearest = NULL;
  json_t     *value;
  int         least = PETSC_MAX_INT;

  json_object_foreach(config->known, name, value)
  {
    int distance = Distance(key, name);

    for (const char *rest = strchr(name, '_'); rest; rest = strchr(rest + 1, '_'))
      distance = PetscMin(distance, 1 + Distance(key, rest + 1));
    if (distance < least) {
      least   = distance;
      nearest = name;
    }
  }
  return nearest;
}

static PetscErrorCode RefuseUnknown(FPConfig config, const FPEntry *entry)
{
  const char *nearest = Nearest(config, entry->key);
  const char *section = SolverSection(config, entry->key);
  char        place[FP_LINE / 2], solver[FP_LINE / 4];

  PetscFunctionBegin;
  place[0] = solver[0] = 0;
  if (entry->source == FP_FROM_FILE) (void)snprintf(place, sizeof(place), "%s:%d: ", config->file, entry->line);
  if (entry->source == FP_FROM_COMMAND) (void)snprintf(place, sizeof(place), "command line: ");
  if (section) {
    (void)snprintf(solver, sizeof(solver), " (solver keys start with");
    for (int k = 0; SolverHeads[k]; k++)
      (void)snprintf(solver + strlen(solver), sizeof(solver) - strlen(solver), "%s %s_%s_", k ? "," : "", section,
                     SolverHeads[k]);
    (void)snprintf(solver + strlen(solver), sizeof(solver) - strlen(solver), ")");
  }
  FPInputError("%sunknown key %s%s%s%s%s", place, entry->key, nearest ? "; did you mean " : "", nearest ? nearest : "",
               nearest ? "?" : "", solver);
}

/* A key without a table: fine as the head of a section that has nothing in it. */
static PetscErrorCode CheckSection(FPConfig config, const FPEntry *entry, PetscBool *known)
{
  const char *name, *where;
  json_t     *value;

  PetscFunctionBegin;
  *known = PETSC_FALSE;
  json_object_foreach(config->known, name, value) if (After(name, entry->key))
  {
    PetscCall(FPConfigWhere(config, entry->key, &where));
    FPInputCheck(entry->empty && entry->source == FP_FROM_FILE, "%s: this is a section, its keys are such as %s", where,
                 name);
    *known = PETSC_TRUE;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigCheckUnknown(FPConfig config)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < config->n; i++) {
    const FPEntry *entry = &config->entry[i];
    PetscBool      known = FPConfigIsSolverKey(config, entry->key);

    if (!known && !json_object_get(config->known, entry->key)) {
      PetscCall(CheckSection(config, entry, &known));
      if (!known) PetscCall(RefuseUnknown(config, entry));
    }
  }
  for (PetscInt i = 0; i < config->n; i++) {
    const FPEntry *entry = &config->entry[i];
    char           name[FP_KEY + 1], text[FP_LINE];

    (void)snprintf(name, sizeof(name), "-%s", entry->key);
    PetscCall(FPConfigJoin(entry, ",", sizeof(text), text));
    PetscCall(PetscOptionsSetValue(NULL, name, entry->empty ? NULL : text));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigCheckUnread(FPConfig config)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < config->n; i++) {
    const char *where;
    PetscBool   used;

    if (!FPConfigIsSolverKey(config, config->entry[i].key)) continue;
    PetscCall(PetscOptionsUsed(NULL, config->entry[i].key, &used)); /* this function wants no '-' */
    PetscCall(FPConfigWhere(config, config->entry[i].key, &where));
    FPInputCheck(used, "%s was read by no solver of this run; the results were written", where);
  }
  PetscFunctionReturn(0);
}

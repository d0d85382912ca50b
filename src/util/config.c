/* config.c: the keys of a run: where they come from, how they are named in messages, what is recorded of them. */
#include "configimpl.h"
#include <ctype.h>
#include <unistd.h>

#define FP_SHOWN 120 /* characters of a value that messages show */

PetscErrorCode FPConfigCreate(FPConfig *config)
{
  PetscFunctionBegin;
  PetscCall(PetscNew(config));
  (*config)->known = json_object();
  PetscCheck((*config)->known, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for a JSON object");
  PetscFunctionReturn(0);
}

FPEntry *FPConfigFind(FPConfig config, const char key[])
{
  for (PetscInt i = 0; i < config->n; i++)
    if (!strcmp(config->entry[i].key, key)) return &config->entry[i];
  return NULL;
}

static PetscErrorCode FreeItems(FPEntry *entry)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < entry->n; i++) PetscCall(PetscFree(entry->item[i]));
  PetscCall(PetscFree(entry->item));
  entry->n = 0;
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigAdd(FPConfig config, const char key[], FPSource source, int line, PetscBool list,
                           PetscBool empty, PetscInt n, const char *const item[])
{
  FPEntry *entry = FPConfigFind(config, key);

  PetscFunctionBegin;
  FPInputCheck(strlen(key) < FP_KEY, "the key %.40s... is longer than %d characters", key, FP_KEY - 1);
  if (!entry) {
    FPInputCheck(config->n < FP_MAX_KEYS, "more than %d keys, the last is %s", FP_MAX_KEYS, key);
    if (config->n == config->size) {
      config->size = 2 * config->size + 32;
      PetscCall(PetscRealloc((size_t)config->size * sizeof(FPEntry), &config->entry));
    }
    entry = &config->entry[config->n++];
    PetscCall(PetscMemzero(entry, sizeof(*entry)));
    PetscCall(PetscStrncpy(entry->key, key, FP_KEY));
  }
  PetscCall(FreeItems(entry));
  entry->source = source;
  entry->line   = line;
  entry->list   = list;
  entry->empty  = empty;
  PetscCall(PetscMalloc1(n, &entry->item));
  for (PetscInt i = 0; i < n; i++) {
    PetscCall(PetscStrallocpy(item[i], &entry->item[i]));
    entry->n = i + 1;
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigSet(FPConfig config, const char key[], const char value[])
{
  PetscFunctionBegin;
  PetscCall(FPConfigAdd(config, key, FP_FROM_PROGRAM, 0, PETSC_FALSE, PETSC_FALSE, 1, &value));
  PetscFunctionReturn(0);
}

/* A word that may follow an option as its value: no '-' in front, or a number that starts with it. */
static PetscBool IsValue(const char word[])
{
  if (word[0] != '-') return PETSC_TRUE;
  return (PetscBool)(isdigit((unsigned char)word[1]) || (word[1] == '.' && isdigit((unsigned char)word[2])));
}

static PetscErrorCode CheckOption(int argc, char *argv[], int at)
{
  const char *word  = argv[at];
  const char *equal = strchr(word, '=');

  PetscFunctionBegin;
  FPInputCheck(word[0] == '-' && isalpha((unsigned char)word[word[1] == '-' ? 2 : 1]),
               "command line: stray word \"%s\"; options are written -key value", word);
  FPInputCheck(!equal, "command line: %s; options are written with a blank, -%.*s %s", word,
               (int)(equal - word - strspn(word, "-")), word + strspn(word, "-"), equal + 1);
  FPInputCheck(word[1] != '-', "command line: %s; options are written with one hyphen, -%s", word, word + 2);
  for (int i = 0; i < at; i++) FPInputCheck(strcmp(argv[i], word), "command line: duplicate key %s, given twice", word);
  for (int i = at; i < argc && i < at + 2; i++) {
    json_t *text = json_string(argv[i]);

    FPInputCheck(text, "command line: word %d is not valid UTF-8", i + 1);
    json_decref(text);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigOverride(FPConfig config, int argc, char *argv[])
{
  PetscFunctionBegin;
  for (int i = 0; i < argc; i++) {
    const char *key = argv[i] + 1;

    PetscCall(CheckOption(argc, argv, i));
    if (i + 1 < argc && IsValue(argv[i + 1])) {
      const char *value = argv[++i];

      PetscCall(FPConfigAdd(config, key, FP_FROM_COMMAND, 0, PETSC_FALSE, PETSC_FALSE, 1, &value));
    } else {
      PetscCall(FPConfigAdd(config, key, FP_FROM_COMMAND, 0, PETSC_FALSE, PETSC_TRUE, 0, NULL));
    }
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigHas(FPConfig config, const char key[], PetscBool *has)
{
  const size_t length = strlen(key);

  PetscFunctionBegin;
  *has = PETSC_FALSE;
  for (PetscInt i = 0; i < config->n && !*has; i++) {
    const FPEntry *entry = &config->entry[i];

    if (entry->empty && entry->source == FP_FROM_FILE) continue;
    if (!strncmp(entry->key, key, length) && (entry->key[length] == 0 || entry->key[length] == '_')) *has = PETSC_TRUE;
  }
  PetscFunctionReturn(0);
}

/* All items in one text; what does not fit is cut. */
PetscErrorCode FPConfigJoin(const FPEntry *entry, const char separator[], size_t length, char text[])
{
  size_t used = 0;

  PetscFunctionBegin;
  text[0] = 0;
  for (PetscInt i = 0; i < entry->n && used < length; i++)
    used += (size_t)snprintf(text + used, length - used, "%s%s", i ? separator : "", entry->item[i]);
  PetscFunctionReturn(0);
}

/* The value that a key has without being given, as read so far. */
static PetscErrorCode DefaultText(FPConfig config, const char key[], size_t length, char text[])
{
  const json_t *value = json_object_get(config->known, key);
  char         *dump;

  PetscFunctionBegin;
  text[0] = 0;
  if (!value || json_is_null(value)) PetscFunctionReturn(0);
  dump = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
  PetscCheck(dump, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for the text of %s", key);
  (void)snprintf(text, length, " = %s (default)", json_is_string(value) ? json_string_value(value) : dump);
  free(dump);
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigWhere(FPConfig config, const char key[], const char **where)
{
  const FPEntry *entry = FPConfigFind(config, key);
  char           source[FP_LINE / 2], value[FP_SHOWN + 1], shown[FP_SHOWN + 16];

  PetscFunctionBegin;
  source[0] = 0;
  if (config->file && !entry) (void)snprintf(source, sizeof(source), "%s: ", config->file);
  if (entry && entry->source == FP_FROM_FILE)
    (void)snprintf(source, sizeof(source), "%s:%d: ", config->file, entry->line);
  if (entry && entry->source == FP_FROM_COMMAND) (void)snprintf(source, sizeof(source), "command line: -");
  if (!entry)
    PetscCall(DefaultText(config, key, sizeof(shown), shown));
  else if (entry->empty)
    shown[0] = 0;
  else {
    PetscCall(FPConfigJoin(entry, ", ", sizeof(value), value));
    (void)snprintf(shown, sizeof(shown), entry->list ? " = [%s%s]" : " = %s%s", value,
                   strlen(value) == FP_SHOWN ? "..." : "");
    if (!entry->list && !value[0]) (void)snprintf(shown, sizeof(shown), " = \"\"");
  }
  (void)snprintf(config->where, FP_LINE, "%s%s%s", source, key, shown);
  for (char *c = config->where; *c; c++)
    if (iscntrl((unsigned char)*c)) *c = ' ';
  *where = config->where;
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigPath(FPConfig config, const char path[], char full[], size_t length)
{
  const char *slash = config->file ? strrchr(config->file, '/') : NULL;
  int         need;

  PetscFunctionBegin;
  if (slash && path[0] != '/') {
    need = snprintf(full, length, "%.*s/%s", (int)(slash - config->file), config->file, path);
    if (need < (int)length && !access(full, F_OK)) PetscFunctionReturn(0);
  }
  need = snprintf(full, length, "%s", path);
  FPInputCheck(need < (int)length, "the path %.60s... is longer than %d characters", path, (int)length - 1);
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigResolved(FPConfig config, json_t *run)
{
  const char *key;
  json_t     *value;

  PetscFunctionBegin;
  json_object_foreach(config->known, key, value)
  {
    if (json_is_null(value)) continue;
    PetscCheck(!json_object_set_new(run, key, json_deep_copy(value)), PETSC_COMM_SELF, PETSC_ERR_MEM,
               "no memory to record %s", key);
  }
  for (PetscInt i = 0; i < config->n; i++) {
    const FPEntry *entry = &config->entry[i];
    char           text[FP_LINE];

    if (!FPConfigIsSolverKey(config, entry->key)) continue;
    PetscCall(FPConfigJoin(entry, ",", sizeof(text), text));
    PetscCheck(!json_object_set_new(run, entry->key, entry->empty ? json_true() : json_string(text)), PETSC_COMM_SELF,
               PETSC_ERR_MEM, "no memory to record %s", entry->key);
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigDestroy(FPConfig *config)
{
  PetscFunctionBegin;
  if (!*config) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < (*config)->n; i++) {
    char name[FP_KEY + 1];

    (void)snprintf(name, sizeof(name), "-%s", (*config)->entry[i].key);
    PetscCall(PetscOptionsClearValue(NULL, name)); /* FPConfigCheckUnknown() may have set it */
    PetscCall(FreeItems(&(*config)->entry[i]));
  }
  PetscCall(PetscFree((*config)->entry));
  PetscCall(PetscFree((*config)->file));
  json_decref((*config)->known);
  PetscCall(PetscFree(*config));
  PetscFunctionReturn(0);
}

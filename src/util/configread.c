/* configread.c: structs filled from tables of parameters. Numbers are read strictly: the whole text, decimal, finite,
   no silent cutting. A whole number may be written as 1e6 or 5.0, since its value is exact. A list may be one word with
   commas ("64,48", the way of the command line). */
#include "configimpl.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>

/* One key while it is read, so that every complaint can name it. */
typedef struct {
  FPConfig           config;
  const FPParameter *parameter;
  const char        *key;
  const FPEntry     *entry;
  PetscBool          given; /* or the default of the table, which is not held to the bounds */
  PetscInt           n;     /* texts: the items, split and trimmed */
  char             **text;
} Reader;

/* Is the whole text a finite number? errno is ERANGE afterwards where that was the reason to say no. */
static PetscBool TextIsReal(const char text[], PetscReal *value)
{
  char *end;

  errno = 0;
  if (!text[0] || text[strspn(text, "0123456789+-.eE")]) return PETSC_FALSE;
  *value = strtod(text, &end);
  return (PetscBool)(!*end && errno != ERANGE && isfinite(*value));
}

/* As few digits as read back as value, at least 6. */
static void NumberText(PetscReal value, char text[32])
{
  for (int digits = 6; digits <= 17; digits++) {
    (void)snprintf(text, 32, "%.*g", digits, (double)value);
    if (strtod(text, NULL) == value) return;
  }
}

/* The unit as messages show it: nothing for a pure number. */
static const char *Unit(const FPParameter *parameter)
{
  return parameter->unit && strcmp(parameter->unit, "1") ? parameter->unit : "";
}

static PetscBool IsInteger(FPKind kind)
{
  return (PetscBool)(kind == FP_INT || kind == FP_INTS);
}

static PetscBool IsList(FPKind kind)
{
  return (PetscBool)(kind == FP_REALS || kind == FP_INTS || kind == FP_STRINGS);
}

/* "[0, inf)"; "": no bounds. */
static void RangeText(const FPParameter *parameter, size_t length, char text[])
{
  const PetscReal most  = IsInteger(parameter->kind) ? (PetscReal)PETSC_MAX_INT : PETSC_MAX_REAL;
  const PetscReal lower = parameter->lower, upper = parameter->upper;
  char            low[32], high[32];

  text[0] = 0;
  if (lower == 0 && upper == 0) return;
  NumberText(lower == FP_POSITIVE ? 0 : lower, low);
  NumberText(upper, high);
  (void)snprintf(text, length, "%s%s, %s", lower == FP_POSITIVE || lower <= -most ? "(" : "[",
                 lower <= -most ? "-inf" : low, upper >= most ? "inf)" : high);
  if (upper < most) (void)snprintf(text + strlen(text), length - strlen(text), "]");
}

/* Complain about item `at` of a list, or about the value (at < 0). */
static PetscErrorCode Refuse(const Reader *reader, PetscInt at, const char reason[])
{
  const char *where;

  PetscFunctionBegin;
  PetscCheck(reader->given, PETSC_COMM_SELF, PETSC_ERR_PLIB, "the default %s of %s %s", reader->parameter->initial,
             reader->key, reason);
  PetscCall(FPConfigWhere(reader->config, reader->key, &where));
  if (at >= 0 && reader->n > 1)
    FPInputError("%s: entry %" PetscInt_FMT ", %.80s, %s", where, at + 1, reader->text[at], reason);
  FPInputError("%s %s", where, reason);
}

static PetscErrorCode CheckBounds(const Reader *reader, PetscInt at, PetscReal value)
{
  const FPParameter *p = reader->parameter;
  char               range[96], reason[192];

  PetscFunctionBegin;
  if (!reader->given || (p->lower == 0 && p->upper == 0)) PetscFunctionReturn(0);
  if (value >= p->lower && value <= p->upper) PetscFunctionReturn(0);
  if (value < p->lower && p->lower == FP_POSITIVE &&
      p->upper >= (IsInteger(p->kind) ? (PetscReal)PETSC_MAX_INT : PETSC_MAX_REAL))
    PetscCall(Refuse(reader, at, "must be positive"));
  RangeText(p, sizeof(range), range);
  (void)snprintf(reason, sizeof(reason), "is outside %s%s%.80s", range, Unit(p)[0] ? " " : "", Unit(p));
  PetscCall(Refuse(reader, at, reason));
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadReal(const Reader *reader, PetscInt at, PetscReal *value)
{
  PetscFunctionBegin;
  if (!TextIsReal(reader->text[at], value))
    PetscCall(Refuse(reader, at, errno == ERANGE ? "is too large or too small for a number" : "is not a number"));
  PetscCall(CheckBounds(reader, at, *value));
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadInt(const Reader *reader, PetscInt at, PetscInt *value)
{
  PetscReal real = 0;

  PetscFunctionBegin;
  if (!TextIsReal(reader->text[at], &real) || real != floor(real))
    PetscCall(Refuse(reader, at, "is not a whole number"));
  if (PetscAbsReal(real) > (PetscReal)PETSC_MAX_INT) {
    char reason[64];

    (void)snprintf(reason, sizeof(reason), "is too large, at most %" PetscInt_FMT, (PetscInt)PETSC_MAX_INT);
    PetscCall(Refuse(reader, at, reason));
  }
  PetscCall(CheckBounds(reader, at, real));
  *value = (PetscInt)real;
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadBool(const Reader *reader, PetscBool *value)
{
  static const char *const word[6] = {"true", "yes", "on", "false", "no", "off"};

  PetscFunctionBegin;
  for (int i = 0; i < 6; i++) {
    PetscBool same;

    PetscCall(PetscStrcasecmp(reader->text[0], word[i], &same));
    *value = (PetscBool)(i < 3);
    if (same) PetscFunctionReturn(0);
  }
  PetscCall(Refuse(reader, -1, "is neither true nor false"));
  PetscFunctionReturn(0);
}

/* choices: words separated by blanks */
static PetscErrorCode CheckChoice(const Reader *reader, PetscInt at)
{
  const char  *text    = reader->text[at];
  const char  *choices = reader->parameter->choices;
  const size_t length  = strlen(text);
  char         reason[FP_LINE / 2];
  size_t       used;

  PetscFunctionBegin;
  if (!choices) PetscFunctionReturn(0);
  for (const char *word = choices; *word; word += strcspn(word, " "), word += strspn(word, " "))
    if (strcspn(word, " ") == length && !strncmp(word, text, length)) PetscFunctionReturn(0);
  used = (size_t)snprintf(reason, sizeof(reason), "is not one of: ");
  for (const char *c = choices; *c && used + 3 < sizeof(reason); c++) {
    if (*c == ' ' && !c[1]) break;
    if (*c == ' ') reason[used++] = ',';
    reason[used++] = *c;
  }
  reason[used] = 0;
  PetscCall(Refuse(reader, at, reason));
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadText(const Reader *reader, char field[FP_TEXT])
{
  PetscFunctionBegin;
  if (strlen(reader->text[0]) >= FP_TEXT) PetscCall(Refuse(reader, -1, "is longer than 511 characters"));
  if (reader->parameter->kind == FP_CHOICE) PetscCall(CheckChoice(reader, 0));
  PetscCall(PetscStrncpy(field, reader->text[0], FP_TEXT));
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadList(const Reader *reader, void *field)
{
  FPReals   *reals   = (FPReals *)field;
  FPInts    *ints    = (FPInts *)field;
  FPStrings *strings = (FPStrings *)field;

  PetscFunctionBegin;
  switch (reader->parameter->kind) {
  case FP_REALS:
    PetscCall(PetscMalloc1(reader->n, &reals->value));
    for (PetscInt i = 0; i < reader->n; i++) PetscCall(ReadReal(reader, i, &reals->value[i]));
    reals->n = reader->n;
    break;
  case FP_INTS:
    PetscCall(PetscMalloc1(reader->n, &ints->value));
    for (PetscInt i = 0; i < reader->n; i++) PetscCall(ReadInt(reader, i, &ints->value[i]));
    ints->n = reader->n;
    break;
  default:
    PetscCall(PetscMalloc1(reader->n, &strings->value));
    for (PetscInt i = 0; i < reader->n; i++) {
      PetscCall(CheckChoice(reader, i));
      PetscCall(PetscStrallocpy(reader->text[i], &strings->value[i]));
      strings->n = i + 1; /* so that FPConfigFree() knows what there is */
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadField(const Reader *reader, void *field)
{
  PetscFunctionBegin;
  switch (reader->parameter->kind) {
  case FP_REAL:
    PetscCall(ReadReal(reader, 0, (PetscReal *)field));
    break;
  case FP_INT:
    PetscCall(ReadInt(reader, 0, (PetscInt *)field));
    break;
  case FP_BOOL:
    PetscCall(ReadBool(reader, (PetscBool *)field));
    break;
  case FP_STRING:
  case FP_CHOICE:
    PetscCall(ReadText(reader, (char *)field));
    break;
  default:
    PetscCall(ReadList(reader, field));
  }
  PetscFunctionReturn(0);
}

/* What a field holds when there is neither a value nor a default. */
static PetscErrorCode ClearField(const FPParameter *parameter, void *field)
{
  PetscFunctionBegin;
  switch (parameter->kind) {
  case FP_REAL:
    *(PetscReal *)field = NAN;
    break;
  case FP_INT:
    *(PetscInt *)field = -1;
    break;
  case FP_BOOL:
    *(PetscBool *)field = PETSC_FALSE;
    break;
  case FP_STRING:
  case FP_CHOICE:
    *(char *)field = 0;
    break;
  case FP_REALS:
    PetscCall(PetscMemzero(field, sizeof(FPReals)));
    break;
  case FP_INTS:
    PetscCall(PetscMemzero(field, sizeof(FPInts)));
    break;
  case FP_STRINGS:
    PetscCall(PetscMemzero(field, sizeof(FPStrings)));
    break;
  }
  PetscFunctionReturn(0);
}

/* A text that is a number is recorded as one, as for keys that take a number or a word. */
static json_t *JsonText(const char text[])
{
  PetscReal value;

  return TextIsReal(text, &value) ? json_real(value) : json_string(text);
}

static json_t *JsonField(FPKind kind, const void *field)
{
  json_t *list;

  switch (kind) {
  case FP_REAL:
    return json_real(*(const PetscReal *)field);
  case FP_INT:
    return json_integer(*(const PetscInt *)field);
  case FP_BOOL:
    return json_boolean(*(const PetscBool *)field);
  case FP_STRING:
  case FP_CHOICE:
    return JsonText((const char *)field);
  default:
    break;
  }
  list = json_array();
  if (kind == FP_REALS)
    for (PetscInt i = 0; i < ((const FPReals *)field)->n; i++)
      json_array_append_new(list, json_real(((const FPReals *)field)->value[i]));
  if (kind == FP_INTS)
    for (PetscInt i = 0; i < ((const FPInts *)field)->n; i++)
      json_array_append_new(list, json_integer(((const FPInts *)field)->value[i]));
  if (kind == FP_STRINGS)
    for (PetscInt i = 0; i < ((const FPStrings *)field)->n; i++)
      json_array_append_new(list, JsonText(((const FPStrings *)field)->value[i]));
  return list;
}

/* Copies the items into reader->text, trimmed; a scalar read as a list is split at its commas. */
static PetscErrorCode Split(Reader *reader, const FPEntry *entry)
{
  const PetscBool split = (PetscBool)(IsList(reader->parameter->kind) && !entry->list && entry->n == 1);
  PetscInt        n     = entry->n;

  PetscFunctionBegin;
  if (split)
    for (const char *c = entry->item[0]; *c; c++) n += *c == ',';
  PetscCall(PetscMalloc1(n, &reader->text));
  for (const char *c = n ? entry->item[0] : NULL; reader->n < n; reader->n++) {
    const char *begin  = split ? c : entry->item[reader->n];
    size_t      length = split ? strcspn(begin, ",") : strlen(begin);

    c = begin + length + (split && begin[length] == ',');
    while (length && isspace((unsigned char)*begin)) begin++, length--;
    while (length && isspace((unsigned char)begin[length - 1])) length--;
    PetscCall(PetscMalloc1(length + 1, &reader->text[reader->n]));
    PetscCall(PetscMemcpy(reader->text[reader->n], begin, length));
    reader->text[reader->n][length] = 0;
  }
  PetscFunctionReturn(0);
}

/* Does what was written have the form, if not yet the content, that the kind asks for? */
static PetscErrorCode CheckForm(const Reader *reader)
{
  static const char *const wanted[] = {"a number", "a whole number",    "true or false",           "a text",
                                       "a word",   "a list of numbers", "a list of whole numbers", "a list of words"};
  const FPKind             kind     = reader->parameter->kind;
  const char              *words    = reader->parameter->choices;
  char                     reason[FP_LINE / 2];

  PetscFunctionBegin;
  if (reader->entry->empty) {
    (void)snprintf(reason, sizeof(reason), "has no value; it takes %s%s%s", wanted[kind], words ? ": " : "",
                   words ? words : "");
    PetscCall(Refuse(reader, -1, reason));
  }
  if (reader->entry->list && !IsList(kind)) {
    (void)snprintf(reason, sizeof(reason), "is a list; the key takes %s", wanted[kind]);
    PetscCall(Refuse(reader, -1, reason));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadKey(FPConfig config, const char key[], const FPParameter *parameter, void *field)
{
  char     *item[1];
  FPEntry   initial = {.n = 1, .item = item};
  FPEntry  *entry   = FPConfigFind(config, key);
  Reader    reader  = {config, parameter, key, entry, entry ? PETSC_TRUE : PETSC_FALSE, 0, NULL};
  json_t   *value;
  PetscBool flag;

  PetscFunctionBegin;
  PetscCall(ClearField(parameter, field));
  if (!entry && !parameter->initial) {
    value = json_object_get(config->known, key) ? NULL : json_null();
  } else {
    flag    = (PetscBool)(entry && entry->empty && entry->source == FP_FROM_COMMAND && parameter->kind == FP_BOOL);
    item[0] = flag ? (char *)"true" : (char *)parameter->initial;
    if (!entry || flag) reader.entry = &initial;
    PetscCall(CheckForm(&reader));
    PetscCall(Split(&reader, reader.entry));
    PetscCall(ReadField(&reader, field));
    for (PetscInt i = 0; i < reader.n; i++) PetscCall(PetscFree(reader.text[i]));
    PetscCall(PetscFree(reader.text));
    value = JsonField(parameter->kind, field);
    PetscCheck(value, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory to record %s", key);
  }
  if (value) (void)json_object_set_new(config->known, key, value);
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigRead(FPConfig config, const char section[], const FPParameter table[], void *base)
{
  PetscFunctionBegin;
  for (const FPParameter *p = table; p->name; p++) PetscCall(ClearField(p, (char *)base + p->offset));
  for (const FPParameter *p = table; p->name; p++) {
    char key[FP_KEY];

    (void)snprintf(key, FP_KEY, "%s%s%s", section, section[0] ? "_" : "", p->name);
    PetscCall(ReadKey(config, key, p, (char *)base + p->offset));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigFree(const FPParameter table[], void *base)
{
  PetscFunctionBegin;
  for (const FPParameter *p = table; p->name; p++) {
    void      *field   = (char *)base + p->offset;
    FPStrings *strings = (FPStrings *)field;

    if (p->kind == FP_REALS) PetscCall(PetscFree(((FPReals *)field)->value));
    if (p->kind == FP_INTS) PetscCall(PetscFree(((FPInts *)field)->value));
    if (p->kind == FP_STRINGS) {
      for (PetscInt i = 0; i < strings->n; i++) PetscCall(PetscFree(strings->value[i]));
      PetscCall(PetscFree(strings->value));
    }
    if (IsList(p->kind)) PetscCall(ClearField(p, field));
  }
  PetscFunctionReturn(0);
}

PetscErrorCode FPParametersView(const FPParameter table[], const char section[], FILE *out)
{
  static const char *const kinds[] = {"number", "whole number", "true or false", "text",
                                      "word",   "numbers",      "whole numbers", "words"};

  PetscFunctionBegin;
  for (const FPParameter *p = table; p->name; p++) {
    char key[FP_KEY], range[96], accepted[FP_LINE];

    (void)snprintf(key, sizeof(key), "%s%s%s", section, section[0] ? "_" : "", p->name);
    RangeText(p, sizeof(range), range);
    if (p->choices)
      (void)snprintf(accepted, sizeof(accepted), "%s", p->choices);
    else
      (void)snprintf(accepted, sizeof(accepted), "%s%s%s%s%s", kinds[p->kind], range[0] ? " in " : "", range,
                     Unit(p)[0] ? " " : "", Unit(p));
    fprintf(out, "  %-28s %-12s %s\n", key, p->initial ? p->initial : "-", accepted);
    if (p->help && p->help[0]) fprintf(out, "  %-28s %-12s   %s\n", "", "", p->help);
  }
  PetscFunctionReturn(0);
}

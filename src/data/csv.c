/* csv.c: named columns of a CSV file. The first line names the columns; commas separate, double quotes may enclose a
   field ("" inside them is one quote), blanks around a field, a byte order mark, CRLF and blank lines at the end do no
   harm. Only the columns asked for need be numbers. */
#include "dataimpl.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS 1024

typedef struct {
  const char *file, *where;
  FILE       *in;
  char       *line;
  size_t      length;
  PetscInt    number;              /* of the line, from 1 */
  PetscInt    fields;              /* of the line */
  char       *field[MOST_COLUMNS]; /* point into line */
} Reader;

/* The field that starts at *s, in place without quotes and blanks around; *s moves to the next one, NULL after the
 * last. */
static char *NextField(char **s)
{
  char *in = *s, *begin, *out;

  while (*in == ' ' || *in == '\t') in++;
  begin = out = in;
  if (*in == '"') {
    for (in++; *in && (*in != '"' || in[1] == '"'); in++) {
      if (*in == '"') in++;
      *out++ = *in;
    }
    while (*in && *in != ',') in++;
  } else {
    while (*in && *in != ',') *out++ = *in++;
    while (out > begin && isspace((unsigned char)out[-1])) out--;
  }
  *s   = *in ? in + 1 : NULL;
  *out = 0;
  return begin;
}

/* The next line that is not blank, split; fields = 0 at the end of the file. */
static PetscErrorCode NextLine(Reader *r)
{
  PetscInt blank = 0;
  char    *s;

  PetscFunctionBegin;
  r->fields = 0;
  while (getline(&r->line, &r->length, r->in) >= 0) {
    s = r->line;
    if (!r->number++ && !strncmp(s, "\xef\xbb\xbf", 3)) s += 3;
    if (!s[strspn(s, " \t\r\n")]) {
      if (!blank) blank = r->number;
      continue;
    }
    FPInputCheck(!blank, "%s: line %" PetscInt_FMT " of %s is empty; accepted: blank lines only at the end", r->where,
                 blank, r->file);
    s[strcspn(s, "\r\n")] = 0;
    while (s) {
      FPInputCheck(r->fields < MOST_COLUMNS, "%s: line %" PetscInt_FMT " of %s has more than %d columns", r->where,
                   r->number, r->file, MOST_COLUMNS);
      r->field[r->fields++] = NextField(&s);
    }
    PetscFunctionReturn(0);
  }
  PetscFunctionReturn(0);
}

/* Positions of the named columns in the header line (all of them for n = 0), and their names. */
static PetscErrorCode FindColumns(Reader *r, PetscInt n, char *const names[], FPTable *table, PetscInt position[])
{
  PetscFunctionBegin;
  table->columns = n ? n : r->fields;
  FPInputCheck(table->columns <= MOST_COLUMNS, "%s: more than %d columns", r->where, MOST_COLUMNS);
  PetscCall(PetscCalloc1(table->columns, &table->name));
  for (PetscInt c = 0; c < table->columns; c++) {
    const char *name = n ? names[c] : r->field[c];
    char       *end;
    PetscInt    found = 0;

    for (PetscInt f = 0; f < r->fields; f++)
      if (!strcmp(r->field[f], name)) {
        position[c] = f;
        found++;
      }
    FPInputCheck(found, "%s: %s has no column %s; its first line starts with %s%s%s", r->where, r->file, name,
                 r->field[0], r->fields > 1 ? ", " : "", r->fields > 1 ? r->field[1] : "");
    FPInputCheck(found == 1, "%s: %s has %" PetscInt_FMT " columns named %s", r->where, r->file, found, name);
    (void)strtod(name, &end);
    FPInputCheck(*name && *end, "%s: the first line of %s has '%s' for a column name; accepted: a header with names",
                 r->where, r->file, name);
    PetscCall(PetscStrncpy(table->name[c], name, FP_NAME));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Number(const Reader *r, const char text[], const char column[], PetscReal *value)
{
  char *end;

  PetscFunctionBegin;
  FPInputCheck(*text, "%s: line %" PetscInt_FMT ", column %s of %s is empty; accepted: a finite number", r->where,
               r->number, column, r->file);
  *value = strtod(text, &end);
  FPInputCheck(!*end && isfinite(*value),
               "%s: line %" PetscInt_FMT ", column %s of %s is '%.80s'; accepted: a finite number", r->where, r->number,
               column, r->file, text);
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadRows(Reader *r, const PetscInt position[], PetscInt width, FPTable *table)
{
  PetscInt room = 256;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(room * table->columns, &table->value));
  PetscCall(NextLine(r));
  while (r->fields) {
    FPInputCheck(r->fields == width,
                 "%s: line %" PetscInt_FMT " of %s has %" PetscInt_FMT " columns, the header %" PetscInt_FMT, r->where,
                 r->number, r->file, r->fields, width);
    if (table->rows == room) {
      room *= 2;
      PetscCall(PetscRealloc(sizeof(PetscReal) * (size_t)(room * table->columns), &table->value));
    }
    for (PetscInt c = 0; c < table->columns; c++)
      PetscCall(Number(r, r->field[position[c]], table->name[c], &table->value[table->rows * table->columns + c]));
    table->rows++;
    PetscCall(NextLine(r));
  }
  PetscFunctionReturn(0);
}

/* rows: below the header, or the header alone */
static PetscErrorCode ReadTable(Reader *r, PetscBool rows, PetscInt n, char *const names[], FPTable *table)
{
  PetscInt position[MOST_COLUMNS], width;

  PetscFunctionBegin;
  PetscCall(NextLine(r));
  FPInputCheck(r->fields, "%s: %s is empty; accepted: a CSV file with a header", r->where, r->file);
  width = r->fields;
  PetscCall(FindColumns(r, n, names, table, position));
  if (!rows) PetscFunctionReturn(0);
  PetscCall(ReadRows(r, position, width, table));
  FPInputCheck(table->rows >= 2, "%s: %s has %" PetscInt_FMT " rows below its header; accepted: at least 2", r->where,
               r->file, table->rows);
  PetscFunctionReturn(0);
}

static PetscErrorCode OpenTable(const char file[], const char where[], PetscBool rows, PetscInt n, char *const names[],
                                FPTable *table)
{
  Reader         reader = {.file = file, .where = where};
  PetscErrorCode ierr;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(table, sizeof(*table)));
  reader.in = fopen(file, "r");
  FPInputCheck(reader.in, "%s: cannot read %s", where, file);
  ierr = ReadTable(&reader, rows, n, names, table); /* checked once the file is closed */
  free(reader.line);
  (void)fclose(reader.in);
  if (ierr) PetscCall(FPTableFree(table));
  PetscCall(ierr);
  PetscFunctionReturn(0);
}

PetscErrorCode FPTableHeader(const char file[], const char where[], FPTable *table)
{
  PetscFunctionBegin;
  PetscCall(OpenTable(file, where, PETSC_FALSE, 0, NULL, table));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTableRead(const char file[], const char where[], PetscInt n, char *const names[], FPTable *table)
{
  PetscFunctionBegin;
  PetscCall(OpenTable(file, where, PETSC_TRUE, n, names, table));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTableFree(FPTable *table)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(table->name));
  PetscCall(PetscFree(table->value));
  PetscFunctionReturn(0);
}

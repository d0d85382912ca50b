/* view.c: what a run prints. For each process and observable one line per quantity with a column per engine; then the
   cross-checks; then every model beside the reference. Long lists are shortened, never in results.json. */
#include "resultsimpl.h"
#include <math.h>
#include <string.h>

#define LIST_MAX 12  /* entries of one list, name[...], that are printed in full */
#define LIST_SHOWN 8 /* of longer ones */
#define MAX_COLUMNS 16

/* Names a list belongs to: the text before the first bracket. */
static PetscBool SameList(const char a[], const char b[])
{
  const size_t n = strcspn(a, "[");

  return (a[n] == '[' && n == strcspn(b, "[") && !strncmp(a, b, n)) ? PETSC_TRUE : PETSC_FALSE;
}

static PetscBool SameBlock(const FPRow *a, const FPRow *b)
{
  return (!strcmp(a->observable, b->observable) && !strcmp(a->process, b->process)) ? PETSC_TRUE : PETSC_FALSE;
}

/* Position of name in list[0..*n), appended if new (and there is room). */
static PetscInt Column(const char name[], PetscInt *n, const char *list[])
{
  PetscInt i = 0;

  while (i < *n && strcmp(list[i], name)) i++;
  if (i == *n && *n < MAX_COLUMNS) list[(*n)++] = name;
  return i;
}

static PetscErrorCode ValueCell(const FPRow *row, FPTable *table)
{
  char text[FP_NAME];

  PetscFunctionBegin;
  if (row->status) {
    PetscCall(FPTableCell(table, "%s", row->status));
    PetscFunctionReturn(0);
  }
  FPFormatValue(row->value, row->error, text);
  if (row->error == 0.0)
    PetscCall(FPTableCell(table, "%s (exact)", text));
  else
    PetscCall(FPTableCell(table, "%s ± %.1e (%s)", text, (double)row->error, row->kind == FP_BOUND ? "bound" : "std"));
  PetscFunctionReturn(0);
}

/* First row of the block in which row i's quantity appears, and the place of that quantity in its list. */
static PetscBool FirstOfQuantity(FPResults r, PetscInt i, PetscInt *place, PetscInt *length)
{
  PetscBool first = PETSC_TRUE;

  *place = *length = 0;
  for (PetscInt j = 0; j < r->rows && first; j++) {
    const FPRow *a = &r->row[i], *b = &r->row[j];

    if (!SameBlock(a, b)) continue;
    if (j < i && !strcmp(a->quantity, b->quantity)) first = PETSC_FALSE;
    if (strcmp(a->engine, b->engine) || !SameList(a->quantity, b->quantity)) continue;
    (*length)++;
    if (j < i) (*place)++;
  }
  return first;
}

static PetscErrorCode BlockRow(FPResults r, PetscInt i, PetscInt engines, const char *engine[], FPTable *table)
{
  const char *unit = r->row[i].unit;

  PetscFunctionBegin;
  PetscCall(FPTableCell(table, "%s", r->row[i].quantity));
  for (PetscInt e = 0; e < engines; e++) {
    const FPRow *found = NULL;

    for (PetscInt j = i; j < r->rows && !found; j++)
      if (SameBlock(&r->row[i], &r->row[j]) && !strcmp(r->row[i].quantity, r->row[j].quantity) &&
          !strcmp(r->row[j].engine, engine[e]))
        found = &r->row[j];
    if (!found)
      PetscCall(FPTableCell(table, "-"));
    else
      PetscCall(ValueCell(found, table));
    if (found && !unit[0]) unit = found->unit;
  }
  PetscCall(FPTableCell(table, "%s", unit));
  PetscFunctionReturn(0);
}

/* The reasons of a block's rows without a value, each once, with the quantities it concerns. */
static PetscErrorCode Reasons(FPResults r, PetscInt first, FILE *out)
{
  PetscFunctionBegin;
  for (PetscInt i = first; i < r->rows; i++) {
    const FPRow *a    = &r->row[i];
    PetscBool    told = PETSC_FALSE;
    PetscInt     n    = 0;

    if (!a->status || !SameBlock(a, &r->row[first])) continue;
    for (PetscInt j = first; j < r->rows; j++) {
      const FPRow *b = &r->row[j];

      if (!b->status || !SameBlock(a, b) || strcmp(a->engine, b->engine) || strcmp(a->reason, b->reason)) continue;
      if (j < i) told = PETSC_TRUE;
      if (told) break;
      if (n < LIST_SHOWN) (void)fprintf(out, "%s%s", n ? ", " : "    * ", b->quantity);
      n++;
    }
    if (told) continue;
    if (n > LIST_SHOWN) (void)fprintf(out, " and %" PetscInt_FMT " more", n - LIST_SHOWN);
    (void)fprintf(out, " (%s): %s: %s\n", a->engine, a->status, a->reason);
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode ViewBlock(FPResults r, PetscInt first, FILE *out)
{
  const char *engine[MAX_COLUMNS];
  PetscInt    engines = 0, place, length;
  FPTable     table   = {0, 0, 0, NULL};

  PetscFunctionBegin;
  for (PetscInt i = first; i < r->rows; i++)
    if (SameBlock(&r->row[i], &r->row[first])) (void)Column(r->row[i].engine, &engines, engine);
  table.columns = engines + 2;
  PetscCall(FPTableCell(&table, "%s", "quantity"));
  for (PetscInt e = 0; e < engines; e++) PetscCall(FPTableCell(&table, "%s", engine[e]));
  PetscCall(FPTableCell(&table, "unit"));
  for (PetscInt i = first; i < r->rows; i++) {
    if (!SameBlock(&r->row[i], &r->row[first]) || !FirstOfQuantity(r, i, &place, &length)) continue;
    if (length <= LIST_MAX || place < LIST_SHOWN)
      PetscCall(BlockRow(r, i, engines, engine, &table));
    else if (place == LIST_SHOWN) {
      PetscCall(FPTableCell(&table, "... %" PetscInt_FMT " more %.*s[...] in results.json", length - LIST_SHOWN,
                            (int)strcspn(r->row[i].quantity, "["), r->row[i].quantity));
      PetscCall(FPTableFill(&table));
    }
  }
  (void)fprintf(out, "\n%s: %s\n", r->row[first].process, r->row[first].observable);
  PetscCall(FPTablePrint(&table, out, NULL));
  PetscCall(Reasons(r, first, out));
  PetscFunctionReturn(0);
}

/* Blocks in the order of their first rows, all observables of a process together. */
static PetscErrorCode ViewRows(FPResults r, FILE *out)
{
  PetscFunctionBegin;
  for (PetscInt p = 0; p < r->rows; p++) {
    PetscBool seen = PETSC_FALSE;

    for (PetscInt i = 0; i < p && !seen; i++) seen = (PetscBool)!strcmp(r->row[i].process, r->row[p].process);
    if (seen) continue;
    for (PetscInt o = p; o < r->rows; o++) {
      if (strcmp(r->row[o].process, r->row[p].process)) continue;
      seen = PETSC_FALSE;
      for (PetscInt i = p; i < o && !seen; i++) seen = SameBlock(&r->row[i], &r->row[o]);
      if (!seen) PetscCall(ViewBlock(r, o, out));
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode ZCell(const FPPair *pair, FPTable *table)
{
  PetscFunctionBegin;
  if (!pair->defined)
    PetscCall(FPTableCell(table, "undefined"));
  else
    PetscCall(FPTableCell(table, fabs((double)pair->z) < 1000.0 ? "%+.1f" : "%+.0e", (double)pair->z));
  PetscFunctionReturn(0);
}

static PetscErrorCode PairRow(FPResults r, const FPPair *pair, FPTable *table)
{
  const FPRow *a = &r->row[pair->a], *b = &r->row[pair->b];

  PetscFunctionBegin;
  PetscCall(FPTableCell(table, "%s", a->process));
  PetscCall(FPTableCell(table, "%s", a->observable));
  PetscCall(FPTableCell(table, "%s", a->quantity));
  PetscCall(FPTableCell(table, "%s - %s", a->engine, b->engine));
  PetscCall(FPTableCell(table, "%+.1e ± %.1e", (double)pair->difference, (double)pair->error));
  PetscCall(ZCell(pair, table));
  PetscCall(FPTableCell(table, "%s", pair->agree ? "" : "DISAGREE"));
  PetscFunctionReturn(0);
}

/* Of the pairs in the same list as pair i: how many, the place of i among them, and the largest abs(z) of those that
   agree and are not shown. */
static PetscInt PairList(FPResults r, PetscInt i, PetscInt *place, PetscReal *largest)
{
  PetscInt     length = 0;
  const FPRow *a      = &r->row[r->pair[i].a];

  *place   = 0;
  *largest = 0.0;
  for (PetscInt j = 0; j < r->pairs; j++) {
    const FPRow *b = &r->row[r->pair[j].a];

    if (!SameBlock(a, b) || !SameList(a->quantity, b->quantity) || strcmp(a->engine, b->engine) ||
        strcmp(r->row[r->pair[i].b].engine, r->row[r->pair[j].b].engine))
      continue;
    if (j < i) (*place)++;
    if (length >= LIST_SHOWN && r->pair[j].agree) *largest = PetscMax(*largest, fabs(r->pair[j].z));
    length++;
  }
  return length;
}

static PetscErrorCode ViewPairs(FPResults r, FILE *out)
{
  static const char *const heading[] = {"process", "observable", "quantity", "engines", "difference", "z", ""};
  FPTable                  table     = {(PetscInt)PETSC_STATIC_ARRAY_LENGTH(heading), 0, 0, NULL};
  PetscInt                 place, bad = 0;
  PetscReal                largest;

  PetscFunctionBegin;
  if (!r->pairs) PetscFunctionReturn(0);
  for (PetscInt c = 0; c < table.columns; c++) PetscCall(FPTableCell(&table, "%s", heading[c]));
  for (PetscInt i = 0; i < r->pairs; i++) {
    const PetscInt length = PairList(r, i, &place, &largest);

    if (!r->pair[i].agree) bad++;
    if (length <= LIST_MAX || place < LIST_SHOWN || !r->pair[i].agree) PetscCall(PairRow(r, &r->pair[i], &table));
    if (length > LIST_MAX && place == LIST_SHOWN) {
      PetscCall(FPTableCell(&table, "... and %" PetscInt_FMT " more of this list; those that agree have abs(z) <= %.1f",
                            length - LIST_SHOWN, (double)largest));
      PetscCall(FPTableFill(&table));
    }
  }
  (void)fprintf(out,
                "\nCross-check: %" PetscInt_FMT " pairs of engines, %" PetscInt_FMT
                " beyond %g standard errors (z = difference/error)\n",
                r->pairs, bad, (double)r->threshold);
  PetscCall(FPTablePrint(&table, out, "DISAGREE"));
  PetscFunctionReturn(0);
}

/* "+12.3 % (z +4.5)"; the plain difference where the reference is zero within its error. */
static PetscErrorCode ComparisonCell(FPResults r, const FPPair *pair, FPTable *table)
{
  const FPRow *reference = &r->row[pair->b];
  char         z[FP_NAME];

  PetscFunctionBegin;
  if (!pair->defined)
    PetscCall(PetscStrncpy(z, "z undefined", sizeof(z)));
  else
    (void)snprintf(z, sizeof(z), fabs((double)pair->z) < 1000.0 ? "z %+.1f" : "z %+.0e", (double)pair->z);
  if (fabs(reference->value) > 2.0 * reference->error)
    PetscCall(FPTableCell(table, "%+.3g %% (%s)", (double)(100.0 * pair->difference / fabs(reference->value)), z));
  else
    PetscCall(FPTableCell(table, "%+.2e (%s)", (double)pair->difference, z));
  PetscFunctionReturn(0);
}

static PetscErrorCode ComparisonRow(FPResults r, PetscInt i, PetscInt models, const char *model[], FPTable *table)
{
  const FPRow *like = &r->row[r->comparison[i].a];

  PetscFunctionBegin;
  PetscCall(FPTableCell(table, "%s", like->observable));
  PetscCall(FPTableCell(table, "%s", like->quantity));
  PetscCall(ValueCell(&r->row[r->comparison[i].b], table));
  for (PetscInt m = 0; m < models; m++) {
    const FPPair *found = NULL;

    for (PetscInt j = i; j < r->comparisons && !found; j++) {
      const FPRow *row = &r->row[r->comparison[j].a];

      if (!strcmp(row->process, model[m]) && !strcmp(row->observable, like->observable) &&
          !strcmp(row->quantity, like->quantity))
        found = &r->comparison[j];
    }
    if (!found)
      PetscCall(FPTableCell(table, "-"));
    else
      PetscCall(ComparisonCell(r, found, table));
  }
  PetscFunctionReturn(0);
}

/* Is comparison i the first of its quantity, and which place has the quantity in its list? */
static PetscBool FirstComparison(FPResults r, PetscInt i, PetscInt *place, PetscInt *length)
{
  const FPRow *a     = &r->row[r->comparison[i].a];
  PetscBool    first = PETSC_TRUE;

  *place = *length = 0;
  for (PetscInt j = 0; j < r->comparisons && first; j++) {
    const FPRow *b = &r->row[r->comparison[j].a];

    if (strcmp(a->observable, b->observable)) continue;
    if (j < i && !strcmp(a->quantity, b->quantity)) first = PETSC_FALSE;
    if (strcmp(a->process, b->process) || !SameList(a->quantity, b->quantity)) continue;
    (*length)++;
    if (j < i) (*place)++;
  }
  return first;
}

static PetscErrorCode ViewComparison(FPResults r, FILE *out)
{
  const char *model[MAX_COLUMNS];
  PetscInt    models = 0, place, length;
  FPTable     table  = {0, 0, 0, NULL};

  PetscFunctionBegin;
  if (!r->comparisons) PetscFunctionReturn(0);
  for (PetscInt i = 0; i < r->comparisons; i++) (void)Column(r->row[r->comparison[i].a].process, &models, model);
  table.columns = models + 3;
  PetscCall(FPTableCell(&table, "observable"));
  PetscCall(FPTableCell(&table, "quantity"));
  PetscCall(FPTableCell(&table, "%s", r->reference));
  for (PetscInt m = 0; m < models; m++) PetscCall(FPTableCell(&table, "%s", model[m]));
  for (PetscInt i = 0; i < r->comparisons; i++) {
    if (!FirstComparison(r, i, &place, &length)) continue;
    if (length <= LIST_MAX || place < LIST_SHOWN)
      PetscCall(ComparisonRow(r, i, models, model, &table));
    else if (place == LIST_SHOWN) {
      PetscCall(FPTableCell(&table, "... %" PetscInt_FMT " more of this list in results.json", length - LIST_SHOWN));
      PetscCall(FPTableFill(&table));
    }
  }
  (void)fprintf(out, "\nAgainst %s: difference from it in per cent (or plain, where it is zero within its error)\n",
                r->reference);
  PetscCall(FPTablePrint(&table, out, NULL));
  PetscFunctionReturn(0);
}

PetscErrorCode FPResultsView(FPResults results, FILE *out)
{
  PetscFunctionBegin;
  if (results->rank) PetscFunctionReturn(0);
  PetscCall(ViewRows(results, out));
  PetscCall(ViewPairs(results, out));
  PetscCall(ViewComparison(results, out));
  (void)fflush(out);
  PetscFunctionReturn(0);
}

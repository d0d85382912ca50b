/* table.c: text tables with columns as wide as their content, and numbers with the digits that their error allows. */
#include "resultsimpl.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

PetscErrorCode FPTableCell(FPTable *table, const char format[], ...)
{
  char    text[4 * FP_TEXT];
  va_list arguments;

  PetscFunctionBegin;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  PetscCall(FPReserve(table->cells, table->capacity, table->cell));
  PetscCall(PetscStrallocpy(text, &table->cell[table->cells]));
  table->cells++;
  PetscFunctionReturn(0);
}

PetscErrorCode FPTableFill(FPTable *table)
{
  PetscFunctionBegin;
  while (table->cells % table->columns) PetscCall(FPTableCell(table, "%s", ""));
  PetscFunctionReturn(0);
}

/* Columns on the screen: the bytes of UTF-8 that do not continue a character. */
static int Width(const char text[])
{
  int width = 0;

  for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
  return width;
}

static void PrintRow(const FPTable *table, FILE *out, PetscInt row, const int width[], const char highlight[])
{
  const char *const *cell = (const char *const *)&table->cell[row * table->columns];
  PetscInt           last = table->columns - 1;

  while (last > 0 && !cell[last][0]) last--;
  for (PetscInt c = 0; c <= last; c++) {
    const int   pad   = (c < last) ? width[c] - Width(cell[c]) : 0;
    const char *shown = highlight && !strcmp(cell[c], highlight) ? "\033[1;31m%s%s\033[0m%*s" : "%s%s%*s";

    (void)fprintf(out, shown, c ? "  " : "    ", cell[c], pad, "");
  }
  (void)fputc('\n', out);
}

PetscErrorCode FPTablePrint(FPTable *table, FILE *out, const char highlight[])
{
  const PetscInt rows = table->cells / table->columns;
  int           *width;

  PetscFunctionBegin;
  if (!isatty(fileno(out))) highlight = NULL;
  PetscCall(PetscCalloc1(table->columns, &width));
  for (PetscInt i = 0; i < table->cells; i++) {
    const PetscInt c = i % table->columns, last = table->columns - 1;
    PetscInt       used = last;

    while (used > c && !table->cell[i - c + used][0]) used--;
    if (used == 0 && c == 0 && last > 0) continue; /* a remark in place of a row runs over the columns */
    width[c] = PetscMax(width[c], Width(table->cell[i]));
  }
  for (PetscInt r = 0; r < rows; r++) PrintRow(table, out, r, width, highlight);
  PetscCall(PetscFree(width));
  for (PetscInt i = 0; i < table->cells; i++) PetscCall(PetscFree(table->cell[i]));
  PetscCall(PetscFree(table->cell));
  table->cells = table->capacity = 0;
  PetscFunctionReturn(0);
}

/* Two digits of the error, the value down to the same place, at most ten digits. */
void FPFormatValue(PetscReal value, PetscReal error, char text[FP_NAME])
{
  const int exponent = (value != 0.0) ? (int)floor(log10(fabs(value))) : 0;
  int       digits   = 9;

  if (value == 0.0) {
    (void)snprintf(text, FP_NAME, "0");
    return;
  }
  if (error > 0.0) digits = exponent - (int)floor(log10(error)) + 2;
  digits = digits < 2 ? 2 : digits > 10 ? 10 : digits;
  if (error == 0.0)
    (void)snprintf(text, FP_NAME, "%.*g", digits, value);
  else if (exponent >= -3 && exponent < 6 && digits > exponent)
    (void)snprintf(text, FP_NAME, "%.*f", digits - 1 - exponent, value);
  else
    (void)snprintf(text, FP_NAME, "%.*e", digits - 1, value);
}

/* tabulate.c: a drift in one coordinate that is dear to compute, as polynomials of degree 5 on cells of an interval,
   each through its Chebyshev points and compared with the drift at other ones. Cells that disagree are split, down to
   1e-6 of the interval; the last of them, at kinks and jumps, and all beyond the interval, are left to whoever asks. */
#include "processimpl.h"
#include "tabulate.h"

#define ORDER 6  /* of a cell: coefficients */
#define CHECKS 5 /* and points of comparison */
#define TOP 512  /* cells of the interval */
#define PARTS 16 /* of a cell that is split */
#define SPLITS 3
#define MOST 40000     /* cells */
#define ACCURACY 3e-13 /* of 1 + |b| */
#define POINTS (ORDER + CHECKS)

enum { LEAF = -1, LEFT_OUT = -2 };

typedef struct {
  int    child; /* the first of PARTS cells that this one is split into, LEAF or LEFT_OUT */
  double coefficient[ORDER];
} Cell;

struct _FPTable {
  double   lower, upper;
  PetscInt count, room;
  Cell    *cell; /* the first TOP: those of the interval */
};

/* A cell from the values at its points: does it agree with the last of them? */
static PetscBool SetCell(const double node[], const double value[], Cell *cell)
{
  /* monomials of the Chebyshev polynomials */
  static const double T[ORDER][ORDER] = {{1},           {0, 1},           {-1, 0, 2},
                                         {0, -3, 0, 4}, {1, 0, -8, 0, 8}, {0, 5, 0, -20, 0, 16}};
  double              worst = 0, size = 0;

  for (int i = 0; i < ORDER; i++) cell->coefficient[i] = 0;
  for (int k = 0; k < ORDER; k++) {
    double a = 0;

    for (int j = 0; j < ORDER; j++) a += value[j] * cos(PETSC_PI * k * (j + 0.5) / ORDER);
    a *= (k ? 2.0 : 1.0) / ORDER;
    for (int i = 0; i < ORDER; i++) cell->coefficient[i] += a * T[k][i];
  }
  for (int p = ORDER; p < POINTS; p++) {
    double sum = 0;

    for (int i = ORDER - 1; i >= 0; i--) sum = sum * node[p] + cell->coefficient[i];
    worst = PetscMax(worst, fabs(sum - value[p]));
    size  = PetscMax(size, fabs(value[p]));
  }
  return (PetscBool)(worst <= ACCURACY * (1 + size)); /* false where it is not a number */
}

/* `count` cells from `lower` on, each `width` wide; *first: where they are */
static PetscErrorCode AddCells(FPTable t, FPProcess process, FPCurve f, double lower, double width, int count,
                               int splits, int *first)
{
  double node[POINTS], *x, *y;

  PetscFunctionBegin;
  *first = (int)t->count;
  t->count += count;
  if (t->count > t->room) {
    t->room = 2 * t->count;
    PetscCall(PetscRealloc(sizeof(Cell) * (size_t)t->room, &t->cell));
  }
  for (int p = 0; p < POINTS; p++)
    node[p] = p < ORDER ? cos(PETSC_PI * (p + 0.5) / ORDER) : -1 + 2.0 * (p - ORDER) / (CHECKS - 1);
  PetscCall(PetscMalloc2(count * POINTS, &x, count * POINTS, &y));
  for (int k = 0; k < count * POINTS; k++) x[k] = lower + width * (k / POINTS + 0.5 * (1 + node[k % POINTS]));
  for (int k = 0; k < count * POINTS; k += FP_BLOCK)
    (*f)(process, PetscMin(FP_BLOCK, count * POINTS - k), x + k, y + k);
  for (int k = 0; k < count; k++) {
    Cell *cell = &t->cell[*first + k];
    int   child;

    cell->child = LEAF;
    if (SetCell(node, y + k * POINTS, cell)) continue;
    cell->child = LEFT_OUT;
    if (splits == 0 || t->count + PARTS > MOST) continue;
    PetscCall(AddCells(t, process, f, lower + k * width, width / PARTS, PARTS, splits - 1, &child));
    t->cell[*first + k].child = child;
  }
  PetscCall(PetscFree2(x, y));
  PetscFunctionReturn(0);
}

PetscErrorCode FPTableCreate(FPProcess process, FPCurve f, double lower, double upper, FPTable *table)
{
  int first;

  PetscFunctionBegin;
  PetscCall(PetscNew(table));
  (*table)->lower = lower;
  (*table)->upper = upper;
  PetscCall(AddCells(*table, process, f, lower, (upper - lower) / TOP, TOP, SPLITS, &first));
  PetscFunctionReturn(0);
}

int FPTableAt(const struct _FPTable *t, int n, const double *x, double *y, int missing[])
{
  const double scale = TOP / (t->upper - t->lower);
  int          count = 0;

  for (int l = 0; l < n; l++) {
    double      at = (x[l] - t->lower) * scale;
    const Cell *cell;
    int         k;

    if (!(at >= 0 && at < TOP)) {
      missing[count++] = l;
      continue;
    }
    k    = (int)at;
    cell = &t->cell[k];
    at -= k;
    while (cell->child >= 0) {
      at *= PARTS;
      k    = PetscMin((int)at, PARTS - 1);
      cell = &t->cell[cell->child + k];
      at -= k;
    }
    at = 2 * at - 1;
    if (cell->child == LEFT_OUT) missing[count++] = l;
    y[l] = cell->coefficient[ORDER - 1];
    for (int i = ORDER - 2; i >= 0; i--) y[l] = y[l] * at + cell->coefficient[i];
  }
  return count;
}

PetscErrorCode FPTableDestroy(FPTable *table)
{
  PetscFunctionBegin;
  if (*table) PetscCall(PetscFree((*table)->cell));
  PetscCall(PetscFree(*table));
  PetscFunctionReturn(0);
}

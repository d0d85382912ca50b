/* scratch.c: work arrays of the calling thread, a stack of doubles beside the one of the processor. It grows by pieces
   that are kept: after the first few calls, taking is an addition. */
#include "fputil.h"
#include <stdio.h>
#include <stdlib.h>

#define LINE 8      /* doubles of a cache line */
#define FIRST 32768 /* doubles of the first piece, enough for small models */
#define PIECES 48   /* each at least twice as large as the one before it */

typedef struct {
  double *base;
  size_t  size, used;
} Piece;

static _Thread_local struct {
  Piece piece[PIECES];
  int   top;
} Stack;

/* A piece with room for `size` doubles on top of the stack. */
static Piece *Grow(size_t size)
{
  Piece *p = &Stack.piece[Stack.top];

  if (p->used) p = &Stack.piece[++Stack.top];
  if (p->size >= size) return p;
  free(p->base);
  p->size = PetscMax(size, Stack.top ? 2 * p[-1].size : FIRST);
  p->base = (double *)aligned_alloc(LINE * sizeof(double), p->size * sizeof(double));
  if (!p->base) {
    (void)fprintf(stderr, "dlnfp: no memory for work arrays of %zu bytes\n", p->size * sizeof(double));
    exit(EXIT_FAILURE);
  }
  return p;
}

double *FPScratchTake(size_t doubles)
{
  const size_t size = doubles / LINE * LINE + LINE;
  Piece       *p    = &Stack.piece[Stack.top];

  if (p->size - p->used < size) p = Grow(size);
  p->used += size;
  return p->base + p->used - size;
}

void FPScratchRelease(const double *first)
{
  Piece *p = &Stack.piece[Stack.top];

  while (Stack.top > 0 && (first < p->base || first >= p->base + p->size)) {
    p->used = 0;
    p       = &Stack.piece[--Stack.top];
  }
  p->used = (size_t)(first - p->base);
}

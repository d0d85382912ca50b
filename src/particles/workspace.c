/* workspace.c: one thread's memory, and the random numbers drawn ahead for the block it works on. */
#include "particlesimpl.h"
#include <stdlib.h>

#define RAW_ROWS 16

static int QueueCapacity(const FPQueue *queue)
{
  const int rows = queue->normals + queue->words;

  return rows ? 4 * PetscMax(1, 8 / rows) : 0;
}

static size_t Take(size_t *used, size_t bytes)
{
  const size_t here = *used;

  *used += (bytes + FP_ALIGNMENT - 1) / FP_ALIGNMENT * FP_ALIGNMENT;
  return here;
}

/* Lay the arrays out in memory; with memory NULL only their sum is wanted. */
static size_t Layout(const FPStepper *s, size_t scratch, FPWorkspace *ws)
{
  const int maps = s->inputs * s->targets, w = s->weights;
  size_t    used = 0;
  char     *base = (char *)ws->memory;
  const struct {
    double **array;
    int      rows;
  } doubles[]       = {{&ws->z[0], s->dim},
                       {&ws->z[1], s->dim},
                       {&ws->w[0], w},
                       {&ws->w[1], w},
                       {&ws->x, s->inputs},
                       {&ws->y, s->targets},
                       {&ws->M, maps},
                       {&ws->J, maps * w},
                       {&ws->G, maps},
                       {&ws->b, w},
                       {&ws->S, w * s->channels},
                       {&ws->D, s->dim * s->dim},
                       {&ws->next, s->fractional},
                       {&ws->tick, s->fractional ? s->dim : 0},
                       {&ws->jump, s->stable.has ? s->dim : 0},
                       {&ws->rest, s->stable.has ? s->dim : 0},
                       {&ws->sigma, s->stable.has},
                       {&ws->piece[0], s->pieces > 1},
                       {&ws->piece[1], s->pieces > 1},
                       {&ws->least, s->pieces > 1 ? s->dim : 0},
                       {&ws->most, s->pieces > 1 ? s->dim : 0}};
  FPQueue *queue[3] = {&ws->sample, &ws->noise, &ws->ticks};

  for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
    const size_t here = Take(&used, (size_t)doubles[i].rows * FP_BLOCK * sizeof(double));

    if (base) *doubles[i].array = (double *)(void *)(base + here);
  }
  for (int q = 0; q < 3; q++) {
    const size_t items  = (size_t)queue[q]->capacity * FP_BLOCK;
    const size_t normal = Take(&used, items * (size_t)queue[q]->normals * sizeof(float));
    const size_t word   = Take(&used, items * (size_t)queue[q]->words * sizeof(unsigned));

    if (base) queue[q]->normal = (float *)(void *)(base + normal);
    if (base) queue[q]->word = (unsigned *)(void *)(base + word);
  }
  const size_t raw = Take(&used, RAW_ROWS * FP_BLOCK * sizeof(unsigned)), own = Take(&used, scratch * sizeof(double));

  ws->bytes = own;
  if (base) ws->raw = (unsigned *)(void *)(base + raw);
  if (base) ws->scratch = (double *)(void *)(base + own);
  return used;
}

PetscErrorCode FPWorkspaceCreate(const FPStepper *stepper, size_t scratch, FPWorkspace *ws)
{
  size_t bytes;

  PetscFunctionBegin;
  PetscCall(PetscMemzero(ws, sizeof(*ws)));
  ws->key[0] = stepper->key[0];
  ws->key[1] = stepper->key[1];
  if (!stepper->sde) {
    ws->sample.normals = stepper->batch ? stepper->sampler.normals : 0;
    ws->sample.words   = stepper->batch ? stepper->sampler.words : 0;
  }
  ws->noise.normals   = stepper->sde             ? stepper->pieces * (stepper->channels + stepper->jump_normals)
                        : stepper->amplitude > 0 ? stepper->weights
                                                 : 0;
  ws->noise.words     = stepper->pieces * stepper->jump_words + stepper->pieces - 1;
  ws->ticks.words     = stepper->fractional ? 2 : 0;
  ws->sample.capacity = QueueCapacity(&ws->sample);
  ws->ticks.capacity  = QueueCapacity(&ws->ticks);
  ws->noise.capacity  = QueueCapacity(&ws->noise);
  bytes               = Layout(stepper, scratch, ws);
  ws->memory          = aligned_alloc(FP_ALIGNMENT, bytes);
  PetscCheck(ws->memory, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for the particles of one thread: %zu bytes", bytes);
  PetscCall(PetscMemzero(ws->memory, bytes));
  (void)Layout(stepper, scratch, ws);
  PetscFunctionReturn(0);
}

void FPWorkspaceDestroy(FPWorkspace *ws)
{
  free(ws->memory);
  ws->memory = NULL;
}

void FPWorkspaceFollow(const FPWorkspace *from, FPWorkspace *to)
{
  memcpy(to->memory, from->memory, from->bytes);
  to->first       = from->first;
  to->index       = from->index;
  to->sample.next = from->sample.next;
  to->noise.next  = from->noise.next;
}

void FPWorkspaceStart(FPWorkspace *ws, unsigned long long first, unsigned long long index)
{
  ws->first       = first;
  ws->index       = index;
  ws->sample.next = ws->sample.capacity;
  ws->noise.next  = ws->noise.capacity;
  ws->ticks.next  = ws->ticks.capacity;
}

static void QueueFill(FPWorkspace *ws, FPQueue *queue)
{
  const int normals = queue->normals * queue->capacity, words = queue->words * queue->capacity;

  for (int k = 0; k < normals; k += RAW_ROWS) {
    const int rows = PetscMin(RAW_ROWS, normals - k);

    FPRandomWords(ws->key, ws->first, ws->index + (unsigned long long)k, rows, ws->raw);
    FPRandomNormals(rows, ws->raw, queue->normal + k * FP_BLOCK);
  }
  ws->index += (unsigned long long)normals;
  FPRandomWords(ws->key, ws->first, ws->index, words, queue->word);
  ws->index += (unsigned long long)words;
  queue->next = 0;
}

void FPQueueNext(FPWorkspace *ws, FPQueue *queue, const float **normal, const unsigned **word)
{
  if (queue->next == queue->capacity) QueueFill(ws, queue);
  *normal = queue->normal + queue->next * queue->normals * FP_BLOCK;
  *word   = queue->word + queue->next * queue->words * FP_BLOCK;
  queue->next++;
}

/* jumpsconfined.c: products with the jumps that walls stop: what leaves the box along an axis ends on the node of the
   wall, per coordinate. In the plane the jumps of a column that end at a wall are a convolution along the wall, one for
   each distance from it, by transforms of that length, planned once; jumps beyond two walls end in the corner. */
#include "jumpsimpl.h"

/* Jumps along one axis alone: those beyond the wall end at its node in the same row. */
static void AlongAxis(FPJumps g, PetscInt a, PetscBool transposed, const PetscReal in[], PetscReal out[])
{
  const FPJumpsSetting *s      = &g->setting;
  const PetscInt        stride = a ? s->cells[0] : 1, last = s->cells[a] - 1;

  for (PetscInt l = 0; l < g->box; l++) {
    PetscInt at[2], low, high;

    FPJumpsPlace(s, l, at);
    low  = l - at[a] * stride;
    high = low + last * stride;
    if (transposed) {
      out[low] += g->tail[a][at[a]] * in[l];
      out[high] += g->tail[a][last - at[a]] * in[l];
    } else
      out[l] += g->tail[a][at[a]] * in[low] + g->tail[a][last - at[a]] * in[high];
  }
}

static PetscErrorCode WallCreate(FPJumps g, PetscInt a, FPJumpsWall *w)
{
  const FPJumpsSetting *s     = &g->setting;
  const PetscInt        along = s->cells[1 - a], step = a ? 1 : s->cells[0], away = a ? s->cells[0] : 1;

  PetscFunctionBegin;
  w->length = FPJumpsLength(2 * along - 1);
  w->half   = w->length / 2 + 1;
  w->real   = fftw_alloc_real((size_t)w->length);
  w->hat    = fftw_alloc_complex((size_t)w->half);
  w->sum    = fftw_alloc_complex((size_t)(2 * w->half));
  PetscCheck(w->real && w->hat && w->sum, PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for a transform");
  w->forward  = fftw_plan_dft_r2c_1d((int)w->length, w->real, w->hat, FFTW_ESTIMATE);
  w->backward = fftw_plan_dft_c2r_1d((int)w->length, w->hat, w->real, FFTW_ESTIMATE);
  PetscCheck(w->forward && w->backward, PETSC_COMM_SELF, PETSC_ERR_LIB, "FFTW has no plan for a transform");
  PetscCall(PetscMalloc1((size_t)s->cells[a] * w->half, &w->symbol));
  for (PetscInt d = 0; d < s->cells[a]; d++) {
    PetscCall(PetscArrayzero(w->real, w->length));
    for (PetscInt l = 1 - along; l < along; l++)
      w->real[(l + w->length) % w->length] = g->face[a][PetscAbsInt(l) * step + d * away];
    fftw_execute(w->forward);
    for (PetscInt f = 0; f < w->half; f++) w->symbol[d * w->half + f] = creal(w->hat[f]) / w->length;
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode WallDestroy(FPJumpsWall *w)
{
  PetscFunctionBegin;
  fftw_destroy_plan(w->forward);
  fftw_destroy_plan(w->backward);
  fftw_free(w->real);
  fftw_free(w->hat);
  fftw_free(w->sum);
  PetscCall(PetscFree(w->symbol));
  PetscFunctionReturn(0);
}

/* hat = transform of the line of nodes at `at` along axis a */
static void Transform(FPJumps g, PetscInt a, FPJumpsWall *w, const PetscReal in[], PetscInt at)
{
  const PetscInt along = g->setting.cells[1 - a], step = a ? 1 : g->setting.cells[0],
                 away = a ? g->setting.cells[0] : 1;

  for (PetscInt l = 0; l < w->length; l++) w->real[l] = l < along ? in[at * away + l * step] : 0;
  fftw_execute(w->forward);
}

static void AddBack(FPJumps g, PetscInt a, FPJumpsWall *w, PetscInt at, PetscReal out[])
{
  const PetscInt along = g->setting.cells[1 - a], step = a ? 1 : g->setting.cells[0],
                 away = a ? g->setting.cells[0] : 1;

  fftw_execute(w->backward);
  for (PetscInt l = 0; l < along; l++) out[at * away + l * step] += w->real[l];
}

static void AlongWalls(FPJumps g, PetscInt a, FPJumpsWall *w, PetscBool transposed, const PetscReal in[],
                       PetscReal out[])
{
  const PetscInt last = g->setting.cells[a] - 1, half = w->half;

  for (PetscInt side = 0; side < 2; side++) {
    if (!transposed) Transform(g, a, w, in, side ? last : 0);
    for (PetscInt f = 0; f < half; f++) w->sum[side * half + f] = transposed ? 0 : w->hat[f];
  }
  for (PetscInt d = 0; d <= last; d++) {
    const PetscReal *low = w->symbol + d * half, *high = w->symbol + (last - d) * half;

    if (transposed) {
      Transform(g, a, w, in, d);
      for (PetscInt f = 0; f < half; f++) {
        w->sum[f] += low[f] * w->hat[f];
        w->sum[half + f] += high[f] * w->hat[f];
      }
    } else {
      for (PetscInt f = 0; f < half; f++) w->hat[f] = low[f] * w->sum[f] + high[f] * w->sum[half + f];
      AddBack(g, a, w, d, out);
    }
  }
  for (PetscInt side = 0; side < 2 && transposed; side++) {
    for (PetscInt f = 0; f < half; f++) w->hat[f] = w->sum[side * half + f];
    AddBack(g, a, w, side ? last : 0, out);
  }
}

static void IntoCorners(FPJumps g, PetscBool transposed, const PetscReal in[], PetscReal out[])
{
  const PetscInt nx = g->setting.cells[0], ny = g->setting.cells[1];

  for (PetscInt c = 0; c < 4; c++) {
    const PetscInt x = c % 2 ? nx - 1 : 0, y = c / 2 ? ny - 1 : 0, corner = y * nx + x;

    for (PetscInt k = 0; k < ny; k++)
      for (PetscInt j = 0; j < nx; j++) {
        const PetscReal rate = g->corner[PetscAbsInt(k - y) * nx + PetscAbsInt(j - x)];

        if (transposed)
          out[corner] += rate * in[k * nx + j];
        else
          out[k * nx + j] += rate * in[corner];
      }
  }
}

PetscErrorCode FPJumpsWallsCreate(FPJumps g)
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < g->setting.dim && g->setting.boundary == FP_BOUNDARY_CONFINED && !g->setting.independent;
       a++)
    PetscCall(WallCreate(g, a, &g->wall[a]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsWallsDestroy(FPJumps g)
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < 2; a++)
    if (g->wall[a].symbol) PetscCall(WallDestroy(&g->wall[a]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPJumpsAddWalls(FPJumps g, PetscBool transposed, const PetscReal in[], PetscReal out[])
{
  PetscFunctionBegin;
  for (PetscInt a = 0; a < g->setting.dim; a++)
    if (g->setting.independent)
      AlongAxis(g, a, transposed, in, out);
    else
      AlongWalls(g, a, &g->wall[a], transposed, in, out);
  if (!g->setting.independent) IntoCorners(g, transposed, in, out);
  PetscFunctionReturn(0);
}

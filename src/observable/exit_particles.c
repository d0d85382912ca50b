/* exit_particles.c: times at which particles leave a region.
   Between the ends of a step of an SDE the distance to the boundary, here the level f of the region, is taken for a
   Brownian bridge of variance s = 2 dt grad f . D grad f: from -a to -b it touches 0 with probability exp(-2 a b/s),
   and given that it touches or crosses it, from -a to b, the time at which it does so first is dt x/(1 + x) with x
   inverse Gaussian of mean a/b and shape a^2/s. So what is left of the time step is of first order (E. Gobet, Stoch.
   Process. Appl. 87 (2000); A. Metwally and A. Atiya, J. Derivatives 10 (2002)), and the run extrapolates it. Inverse
   Gaussian numbers: J. Michael, W. Schucany and R. Haas, Am. Stat. 30 (1976). Jumps have no bridge. A walk of steps
   sigma dt^{1/alpha} X, X stable, that is looked at after steps only, leaves as the process would leave through a
   boundary further out by c sigma dt^{1/alpha}, c = -E[X^+] zeta(1 - 1/alpha) = -Gamma(1 - 1/alpha) zeta(1 -
   1/alpha)/pi for alpha > 1 (the next term of the Wiener-Hopf factor, exp(-sum_n E[exp(-l S_n); S_n > 0]/n)); so the
   boundary is moved inwards by as much, and what is left, as for alpha <= 1, is of first order up to logarithms. At
   alpha = 2 c is 0.5826 sqrt(2) (M. Broadie, P. Glasserman, S. Kou, Math. Finance 7 (1997)), and the bridge is used.
   Jumps leave at a time of their step that is uniform. A discrete algorithm leaves with the first step that ends
   outside. The slowest rate is the number of exits after a time over the time lived after it, as
   of an exponential tail (geometric, of a discrete algorithm); the same from an earlier time says how far the tail is
   from one. */
#include "exitimpl.h"
#include <gsl/gsl_sf_zeta.h>
#include <math.h>

#define BINS 512
#define AROUND 0.1    /* share of the exits about the median that tell their density there */
#define LIFETIMES 30  /* length of the simulation in 1/rate */
#define SURVIVORS 0.1 /* share up to which the mean is completed by an exponential tail */
#define STREAM (1ULL << 62)
#define WORDS 8 /* random words per step and lane: four for each region */
#define CLOCK_STREAM (3ULL << 61)
#define EARLY 1e-4 /* least and largest stable numbers that the bins tell apart, to the power 1/beta */
#define LATE 1e4

/* Accumulator: these, exits up to each of the times, bins: exits, sums of their times; exits beyond each overshoot, and
   above the start in each coordinate. */
enum { COUNT, EXITS, TIME, SQUARE, NEGATIVE, SECOND, TIMES };

/* Scratch of a block, by rows of FP_BLOCK: inside (1 or 0), second region visited, levels of both regions before the
   step and after it, variance of both, how far both boundaries are moved, a shifted level, the scale of jumps, then
   coordinates [dim], diffusion [dim][dim], gradient [dim]. */
enum {
  INSIDE,
  VISITED,
  BEFORE,
  AFTER    = BEFORE + 2,
  VARIANCE = AFTER + 2,
  MOVED    = VARIANCE + 2,
  SHIFTED  = MOVED + 2,
  SCALE,
  POINTS
};

static size_t AccumulatorSize(const FPExit *e)
{
  return (size_t)(TIMES + e->times.n + 2 * BINS + e->overshoot.n + e->dim);
}

static FPRegion Region(const FPExit *e, int which)
{
  return which ? e->second : e->region;
}

static void Levels(const FPExit *e, int which, const double *z, double *f)
{
  FPExitLevel(Region(e, which), which ? NULL : e->walls, FP_BLOCK, z, f);
}

static void Start(const void *context, const FPMove *move, double *scratch)
{
  const FPExit *e = (const FPExit *)context;

  for (int l = 0; l < FP_BLOCK; l++) {
    scratch[INSIDE * FP_BLOCK + l]  = 1;
    scratch[VISITED * FP_BLOCK + l] = 0;
  }
  for (int r = 0; r < 2 && Region(e, r); r++) Levels(e, r, move->after, scratch + (AFTER + r) * FP_BLOCK);
}

static const double *Active(PETSC_UNUSED const void *context, const double *scratch)
{
  return scratch + INSIDE * FP_BLOCK;
}

/* What jumps do to a level of gradient g[dim][FP_BLOCK]: at alpha = 2 they are Gaussian; else, without other noise,
   the boundary moves. */
static void JumpLevel(const FPExit *e, double dt, const double *g, const double *sigma, double *s, double *moved)
{
  const double alpha = e->stable.alpha, power = e->stable.independent ? alpha : 2;

  for (int l = 0; l < FP_BLOCK; l++) {
    double sum = 0;

    for (PetscInt i = 0; i < e->dim; i++) sum += pow(fabs(g[i * FP_BLOCK + l]), power);
    if (alpha >= 2)
      s[l] += 2 * dt * PetscSqr(sigma[l]) * sum;
    else if (!(s[l] > 0))
      moved[l] = e->unseen * sigma[l] * pow(sum, 1 / power);
  }
}

/* variance[FP_BLOCK] of the levels' increments over a step, by one-sided differences of the levels */
static void Variances(const FPExit *e, const FPMove *move, double *scratch)
{
  const int d       = (int)e->dim;
  double   *shifted = scratch + SHIFTED * FP_BLOCK, *z = scratch + POINTS * FP_BLOCK, *D = z + d * FP_BLOCK,
         *g = D + d * d * FP_BLOCK;

  FPProcessDiffusion(e->process, FP_BLOCK, move->before, D);
  if (e->stable.has) FPProcessStableScale(e->process, FP_BLOCK, move->before, scratch + SCALE * FP_BLOCK);
  for (int r = 0; r < 2 && Region(e, r); r++) {
    const double *level = scratch + (BEFORE + r) * FP_BLOCK;
    double       *s     = scratch + (VARIANCE + r) * FP_BLOCK;

    for (int k = 0; k < d * FP_BLOCK; k++) z[k] = move->before[k];
    for (int i = 0; i < d; i++) {
      const double h = 1e-6;

      for (int l = 0; l < FP_BLOCK; l++) z[i * FP_BLOCK + l] += h;
      Levels(e, r, z, shifted);
      for (int l = 0; l < FP_BLOCK; l++) g[i * FP_BLOCK + l] = (shifted[l] - level[l]) / h;
      for (int l = 0; l < FP_BLOCK; l++) z[i * FP_BLOCK + l] = move->before[i * FP_BLOCK + l];
    }
    for (int l = 0; l < FP_BLOCK; l++) s[l] = 0;
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++)
        for (int l = 0; l < FP_BLOCK; l++)
          s[l] += 2 * move->dt * g[i * FP_BLOCK + l] * g[j * FP_BLOCK + l] * D[(i * d + j) * FP_BLOCK + l];
    if (e->stable.has) JumpLevel(e, move->dt, g, scratch + SCALE * FP_BLOCK, s, scratch + (MOVED + r) * FP_BLOCK);
  }
}

/* Inverse Gaussian of mean a/b and shape a^2/s, from a normal and a uniform number. */
static double InverseGaussian(double a, double b, double s, double normal, double uniform)
{
  const double mean = a / PetscMax(b, 1e-12 * a), c = normal * normal * s / (a * PetscMax(b, 1e-12 * a));
  const double less = mean / (1 + c / 2 + sqrt(c + c * c / 4));

  return uniform * (mean + less) <= mean ? less : mean * mean / less;
}

/* Fraction of the step at which the bridge from level `from` to `to` first reaches 0 from the side it is on; 2: never.
   Of jumps with s = 0 the end of the step tells, on a boundary moved by `moved` towards that side. word: four random
   words, FP_BLOCK apart. */
static double Touches(const FPExit *e, double from, double to, double s, double moved, const unsigned *word)
{
  const double a = fabs(from), b = fabs(to), u = (word[0] + 0.5) * 0x1p-32;
  const int    crosses = from < 0 ? to >= -moved : to < moved;

  if (!e->sde) return crosses ? 1 : 2;
  if (e->stable.has && !(s > 0)) return crosses ? u : 2;
  if (!crosses && !(s > 0 && u < exp(-2 * a * b / s))) return 2;
  if (!(s > 0) || a == 0) return a == 0 ? 0 : a / (a + b);
  {
    const double radius = sqrt(-2 * log((word[FP_BLOCK] + 0.5) * 0x1p-32));
    const double normal = radius * cos(2 * PETSC_PI * (word[2 * FP_BLOCK] + 0.5) * 0x1p-32);
    const double x      = InverseGaussian(a, b, s, normal, (word[3 * FP_BLOCK] + 0.5) * 0x1p-32);

    return x / (1 + x);
  }
}

/* Under a fractional clock particles are followed in the process's own time tau, which is reached at tau^{1/beta} times
   a stable number, whatever they did. */
static double Physical(const FPExit *e, const FPMove *move, int l, double time)
{
  unsigned word[4 * FP_BLOCK];
  double   stable[FP_BLOCK];

  if (e->beta == 1) return time;
  FPRandomWords(move->key, move->first, CLOCK_STREAM, 4, word);
  FPStablePositive(e->beta, word, stable);
  return pow(time / e->pace, 1 / e->beta) * stable[l];
}

/* Has it left by the time t? Of a discrete algorithm survival is linear between two steps. */
static double Left(const FPExit *e, const FPMove *move, double time, double t)
{
  if (e->sde || e->beta < 1) return time <= t * (1 + 1e-12);
  return PetscClipInterval(t / move->dt - (double)(move->step - 1), 0, 1);
}

static void Record(const FPExit *e, const FPMove *move, int l, double fraction, const double *scratch, double *acc)
{
  const double from = fabs(scratch[BEFORE * FP_BLOCK + l]), to = fabs(scratch[AFTER * FP_BLOCK + l]);
  const double at   = !e->sde ? 1 : e->stable.has && e->stable.alpha < 2 ? 0 : from / PetscMax(from + to, 1e-300);
  const double time = Physical(e, move, l, ((double)(move->step - 1) + fraction) * move->dt);
  const int    bin  = (int)PetscClipInterval(e->bins_per_factor * log(time / e->first), 0, BINS - 1);
  double       z[FP_MAX_DIM], beyond = 0;

  acc[EXITS] += 1;
  acc[TIME] += time;
  acc[SQUARE] += time * time;
  for (PetscInt i = 0; i < e->dim; i++)
    z[i] = (1 - at) * move->before[i * FP_BLOCK + l] + at * move->after[i * FP_BLOCK + l];
  if (e->negative && FPExitAlongNegative(e, z, 1)) acc[NEGATIVE] += 1;
  for (PetscInt k = 0; k < e->times.n; k++) acc[TIMES + k] += Left(e, move, time, e->times.value[k]);
  for (PetscInt i = 0; i < e->dim; i++)
    acc[TIMES + e->times.n + 2 * BINS + e->overshoot.n + i] += move->after[i * FP_BLOCK + l] > e->z[i];
  for (PetscInt i = 0; i < e->dim; i++) z[i] = move->after[i * FP_BLOCK + l];
  if (e->overshoot.n) FPExitDistance(e->region, e->walls, 1, z, &beyond);
  for (PetscInt k = 0; k < e->overshoot.n; k++)
    acc[TIMES + e->times.n + 2 * BINS + k] += beyond > e->overshoot.value[k];
  acc[TIMES + e->times.n + bin] += 1;
  acc[TIMES + e->times.n + BINS + bin] += time;
}

/* Could any particle inside have left, or met the second region, during the step? */
static PetscBool SomeNear(const FPExit *e, const double *scratch)
{
  for (int r = 0; r < 2 && Region(e, r); r++) {
    const double *from = scratch + (BEFORE + r) * FP_BLOCK, *to = scratch + (AFTER + r) * FP_BLOCK,
                 *s = scratch + (VARIANCE + r) * FP_BLOCK, *moved = scratch + (MOVED + r) * FP_BLOCK;

    for (int l = 0; l < FP_BLOCK; l++)
      if (scratch[INSIDE * FP_BLOCK + l] > 0 &&
          (from[l] * to[l] <= 0 || (e->sde && (2 * from[l] * to[l] < 25 * s[l] || fabs(to[l]) <= moved[l]))))
        return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static void Sample(const void *context, const FPMove *move, double *scratch, double *acc)
{
  const FPExit *e = (const FPExit *)context;
  unsigned      word[WORDS * FP_BLOCK];

  if (move->step == 1) acc[COUNT] += FP_BLOCK;
  for (int r = 0; r < 2 && Region(e, r); r++) {
    double *before = scratch + (BEFORE + r) * FP_BLOCK, *after = scratch + (AFTER + r) * FP_BLOCK;

    for (int l = 0; l < FP_BLOCK; l++) before[l] = after[l];
    Levels(e, r, move->after, after);
  }
  if (e->sde) Variances(e, move, scratch);
  if (!SomeNear(e, scratch)) return;
  FPRandomWords(move->key, move->first, STREAM + WORDS * (unsigned long long)move->step, WORDS, word);
  for (int l = 0; l < FP_BLOCK; l++) {
    double fraction[2] = {2, 2};

    if (!(scratch[INSIDE * FP_BLOCK + l] > 0)) continue;
    for (int r = 0; r < 2 && Region(e, r); r++)
      fraction[r] = Touches(e, scratch[(BEFORE + r) * FP_BLOCK + l], scratch[(AFTER + r) * FP_BLOCK + l],
                            scratch[(VARIANCE + r) * FP_BLOCK + l], scratch[(MOVED + r) * FP_BLOCK + l],
                            word + (ptrdiff_t)4 * r * FP_BLOCK + l);
    if (e->second && fraction[1] < 2 && fraction[1] <= fraction[0] && !(scratch[VISITED * FP_BLOCK + l] > 0)) {
      scratch[VISITED * FP_BLOCK + l] = 1;
      acc[SECOND] += 1;
    }
    if (fraction[0] > 1) continue;
    scratch[INSIDE * FP_BLOCK + l] = 0;
    Record(e, move, l, fraction[0], scratch, acc);
  }
}

/* How far out the boundary seems to those who look once per unit of time, in units of stable noise; 0 where that is not
   the leading term. */
static PetscReal Unseen(PetscReal alpha)
{
  return alpha > 1 && alpha < 2 ? -tgamma(1 - 1 / alpha) * gsl_sf_zeta(1 - 1 / alpha) / PETSC_PI : 0;
}

/* Rates that are known of this process, else of another one of the run. */
static void Recall(FPExit *e)
{
  PetscInt which = 0;

  e->slow = e->fast = 0;
  if (!e->known) return;
  for (PetscInt k = 0; k < e->known; k++)
    if (e->rates[k].process == e->process) which = k;
  e->slow = e->rates[which].rate[0];
  if (e->rates[which].process == e->process) e->fast = e->rates[which].rate[1];
}

PetscErrorCode FPExitParticlesBegin(FPObservable obs, FPProcess process, PetscReal dt, const FPParticleOptions *options,
                                    FPObserver *observer, FPEnsemble *ensemble, PetscBool *used)
{
  FPExit     *e = (FPExit *)obs->data;
  FPAlgorithm algorithm;
  FPTraining  training;
  PetscInt    order, count;

  PetscFunctionBegin;
  PetscCall(FPProcessGetAlgorithm(process, &algorithm, &order));
  PetscCall(FPProcessGetTraining(process, &training));
  PetscCall(FPParticlesCount(options, &count));
  e->process = process;
  e->sde     = (PetscBool)(algorithm == FP_SDE);
  e->dt      = dt;
  e->tail    = -1;
  Recall(e);
  e->end = options->steps * training.learning_rate;
  if (e->slow > 0) e->end = PetscMin(e->end, LIFETIMES / e->slow);
  if (e->duration > 0) e->end = e->duration;
  e->end = PetscMax(1, ceil(e->end / training.learning_rate - 1e-9)) * training.learning_rate;
  PetscCall(FPProcessGetClock(process, &e->beta, &e->pace));
  PetscCall(FPProcessGetStable(process, &e->stable));
  PetscCall(FPExitWalls(process, obs->scene.mesh, &e->walls));
  PetscCall(FPExitAsymptote(e, process, obs->scene.mesh, &e->weak));
  e->unseen          = e->stable.has ? Unseen(e->stable.alpha) * PetscPowReal(dt, 1 / e->stable.alpha) : 0;
  e->first           = dt;
  e->bins_per_factor = BINS / log(e->end / dt * (1 + 1e-9) + 1e-9);
  if (e->beta < 1) {
    e->first           = PetscPowReal(dt / e->pace * EARLY, 1 / e->beta);
    e->bins_per_factor = BINS / (log(e->end / dt * LATE / EARLY) / e->beta);
  }
  PetscCall(PetscMalloc1((size_t)count * (size_t)e->dim, &ensemble->start));
  for (PetscInt k = 0; k < count; k++) PetscCall(PetscArraycpy(ensemble->start + (size_t)k * e->dim, e->z, e->dim));
  ensemble->own            = PETSC_TRUE;
  ensemble->ordinary_clock = PETSC_TRUE;
  ensemble->duration       = e->end;
  observer->accumulator    = AccumulatorSize(e);
  observer->scratch        = (size_t)(POINTS + 2 * e->dim + e->dim * e->dim) * FP_BLOCK;
  observer->every          = 1;
  observer->start          = Start;
  observer->sample         = Sample;
  observer->active         = Active;
  observer->context        = e;
  *used                    = PETSC_TRUE;
  PetscFunctionReturn(0);
}

static PetscReal Edge(const FPExit *e, PetscInt bin)
{
  return bin > 0 ? e->first * exp(bin / e->bins_per_factor) : 0;
}

/* Time by which the share 1 - left has left, linear inside a bin; NaN when that is not seen. */
static PetscReal Quantile(const FPExit *e, const double sums[], PetscReal left)
{
  const double *exits = sums + TIMES + e->times.n, target = (1 - left) * sums[COUNT];
  double        seen = 0;

  for (PetscInt b = 0; b < BINS; b++) {
    if (exits[b] > 0 && seen + exits[b] >= target)
      return Edge(e, b) + (Edge(e, b + 1) - Edge(e, b)) * (target - seen) / exits[b];
    seen += exits[b];
  }
  return NAN;
}

/* The same of a discrete algorithm, whose survival is linear between the steps of a bin and the one before; the bin
   and the density in it are those of all particles. */
static PetscReal StepMedian(FPExit *e, const double sums[], PetscBool all)
{
  const double *exits = sums + TIMES + e->times.n;
  double        seen  = 0, low, high;

  if (all) {
    e->middle = 0;
    while (e->middle < BINS && seen + exits[e->middle] < sums[COUNT] / 2) seen += exits[e->middle++];
  }
  if (e->middle >= BINS) return NAN;
  low  = PetscMax(1, PetscCeilReal(Edge(e, e->middle) / e->dt - 1e-9)) - 1;
  high = PetscMax(low + 1, PetscCeilReal(Edge(e, e->middle + 1) / e->dt - 1e-9) - 1);
  if (all) e->density = exits[e->middle] / sums[COUNT] / (high - low);
  seen = 0;
  for (PetscInt b = 0; b < e->middle; b++) seen += exits[b];
  return e->dt * (low + (0.5 - seen / sums[COUNT]) / e->density);
}

/* The median time, linear about the bin in which it lies by all particles, with the density of exits around it: the
   same for those of all but one group, as bins that change would be multiplied in the jackknife's correction. */
static PetscReal Median(FPExit *e, const double sums[], PetscBool all)
{
  const double *exits = sums + TIMES + e->times.n;
  double        seen  = 0;

  if (all) {
    double   around;
    PetscInt low, high;

    e->middle = 0;
    while (e->middle < BINS && seen + exits[e->middle] < sums[COUNT] / 2) seen += exits[e->middle++];
    low    = PetscMin(e->middle, BINS - 1);
    high   = low + 1;
    around = exits[low];
    while (around < AROUND * sums[COUNT] && (low > 0 || high < BINS)) {
      if (low > 0) around += exits[--low];
      if (high < BINS) around += exits[high++];
    }
    e->density = around / sums[COUNT] / (Edge(e, high) - Edge(e, low));
  }
  if (e->middle >= BINS || !(e->density > 0)) return NAN;
  seen = 0;
  for (PetscInt b = 0; b < e->middle; b++) seen += exits[b];
  return Edge(e, e->middle) + (0.5 - seen / sums[COUNT]) / e->density;
}

/* Exits after the time over the time lived after it; from the next edge of a bin. Of a discrete algorithm the share q
   of the steps at risk that lead out, as the rate -ln(1 - q) per step. */
static PetscReal TailRate(const FPExit *e, const double sums[], PetscReal time)
{
  const double   *exits = sums + TIMES + e->times.n, *times = exits + BINS;
  const PetscBool steps = (PetscBool)(!e->sde && e->beta == 1);
  double          left = 0, lived = 0;
  PetscReal       from;
  PetscInt        first = 0;

  while (first < BINS && Edge(e, first) < time) first++;
  from = Edge(e, first);
  if (steps) from = e->dt * (PetscMax(1, PetscCeilReal(from / e->dt - 1e-9)) - 1);
  for (PetscInt b = first; b < BINS; b++) {
    left += exits[b];
    lived += times[b] - exits[b] * from;
  }
  lived += (sums[COUNT] - sums[EXITS]) * (e->end - from);
  if (!(left >= 10 && lived > 0)) return NAN;
  return steps ? -log1p(-PetscMin(left * e->dt / lived, 1 - PETSC_SMALL)) / e->dt : left / lived;
}

/* Where the tail begins: the second mode has lost a factor 100 against the first, or a tenth is left. Where it has not
   even lost a factor 10 by then, as with rates that lie dense, no tail is seen. */
static void FindTail(FPExit *e, const double sums[])
{
  const PetscReal late = Quantile(e, sums, 0.1), gap = e->fast - e->slow;

  e->tail        = isnan(late) ? 0 : late;
  e->before_tail = Quantile(e, sums, 0.4);
  e->trust       = 1;
  e->seen        = PETSC_TRUE;
  if (isnan(e->before_tail)) e->before_tail = 0;
  if (e->fast <= 0) return;
  e->tail        = PetscMin(isnan(late) ? e->end / 2 : late, log(100) / PetscMax(gap, log(100) / e->end));
  e->before_tail = e->tail / 2;
  e->trust       = 1 / expm1(gap * (e->tail - e->before_tail));
  e->seen        = (PetscBool)(gap * e->tail > log(10));
}

/* mean_time, variance_time, rate; of a fractional clock survival falls like a power of time. */
static PetscErrorCode AddMoments(FPExit *e, const double sums[], FPQuantities *q)
{
  const PetscBool all = (PetscBool)(e->tail < 0); /* the first evaluation is of all groups */
  const PetscReal n = sums[COUNT], left = n - sums[EXITS];
  PetscReal       rate, rest = 0, mean = NAN, variance = NAN, last, doubt;

  PetscFunctionBegin;
  if (all) FindTail(e, sums);
  rate = e->seen ? TailRate(e, sums, e->tail) : NAN;
  if (left > 0) rest = isnan(rate) ? TailRate(e, sums, 0) : rate;
  if (left > 0) rest = e->sde ? 1 / rest : -e->dt / expm1(-rest * e->dt); /* mean time before those still inside */
  last = e->end + rest;
  if (left <= SURVIVORS * n) {
    mean     = (sums[TIME] + left * last) / n;
    variance = (sums[SQUARE] + left * (last * last + rest * rest)) / n - mean * mean;
  }
  if (left > 0 && isnan(rest)) mean = variance = NAN;
  PetscCall(FPQuantitiesAdd(q, mean, left / n * rest, "time", "mean_time"));
  PetscCall(FPQuantitiesAdd(q, variance, 2 * left / n * last * rest, "time^2", "variance_time"));
  PetscCall(FPQuantitiesAdd(q, rate, 0, "1/time", "rate"));
  PetscCall(FPExitAddRatio(e->weak, rate, 0, q));
  doubt = e->seen ? e->trust * (TailRate(e, sums, e->before_tail) - rate) : 0; /* a row at every step, seen or not */
  PetscCall(FPQuantitiesAdd(q, doubt, 0, "1/time", "~rate"));
  if (e->weak && !e->weak->reason) PetscCall(FPQuantitiesAdd(q, doubt / e->weak->rate, 0, "1", "~asymptotic_ratio"));
  PetscFunctionReturn(0);
}

/* Bound of the probability that a fractional clock has passed e->end by the time t: of E tau^n/end^n, tau the process's
   own time with E tau^n = n! (pace t^beta)^n/Gamma(1 + n beta), the least. */
static PetscReal Passed(const FPExit *e, PetscReal t)
{
  const PetscReal x     = log(e->pace * PetscPowReal(t, e->beta) / e->end);
  PetscReal       least = 1;

  for (int n = 1; n < 200; n++) least = PetscMin(least, exp(lgamma(n + 1.0) - lgamma(1 + n * e->beta) + n * x));
  return least;
}

/* Where exits land: not of those that are still inside at the end. */
static PetscErrorCode AddLandings(const FPExit *e, const double sums[], FPQuantities *q)
{
  const PetscReal n = sums[COUNT], left = n - sums[EXITS], doubt = 1 / n + left / n;
  const PetscBool few    = (PetscBool)(left > SURVIVORS * n);
  const double   *landed = sums + TIMES + e->times.n + 2 * BINS;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < e->dim; i++)
    PetscCall(FPQuantitiesAdd(q, few ? NAN : landed[e->overshoot.n + i] / sums[EXITS], doubt, "1", "landing_above[%d]",
                              (int)i));
  for (PetscInt k = 0; k < e->overshoot.n; k++)
    PetscCall(FPQuantitiesAdd(q, few ? NAN : landed[k] / sums[EXITS], doubt, "1", "overshoot[x=%g]",
                              (double)e->overshoot.value[k]));
  PetscFunctionReturn(0);
}

PetscErrorCode FPExitEvaluate(FPObservable obs, const double sums[], FPQuantities *q)
{
  FPExit         *e   = (FPExit *)obs->data;
  const PetscBool all = (PetscBool)(e->tail < 0); /* the first evaluation is of all groups */
  const PetscReal n = sums[COUNT], left = n - sums[EXITS], one = 1 / n;
  PetscReal       median;

  PetscFunctionBegin;
  if (e->beta == 1)
    PetscCall(AddMoments(e, sums, q));
  else
    PetscCall(FPQuantitiesAdd(q, INFINITY, 0, "time", "mean_time"));
  for (PetscInt k = 0; k < e->times.n; k++) {
    const PetscReal seen = e->beta < 1 || e->times.value[k] <= e->end ? 1 - sums[TIMES + k] / n : NAN;

    const PetscReal unknown = e->beta < 1 ? left / n * Passed(e, e->times.value[k]) : 0;

    PetscCall(FPQuantitiesAdd(q, seen, one + unknown, "1", "survival[t=%g]", (double)e->times.value[k]));
  }
  median = e->beta < 1 ? Quantile(e, sums, 0.5) : e->sde ? Median(e, sums, all) : StepMedian(e, sums, all);
  PetscCall(FPQuantitiesAdd(q, median, e->sde || e->beta == 1 ? 0 : e->dt / 2, "time", "median_time"));
  if (e->negative)
    PetscCall(FPQuantitiesAdd(q, left <= SURVIVORS * n ? sums[NEGATIVE] / sums[EXITS] : NAN, one + left / n, "1",
                              "fraction_negative_curvature"));
  if (e->stable.has || !e->sde) PetscCall(AddLandings(e, sums, q));
  if (e->second) PetscCall(FPQuantitiesAdd(q, sums[SECOND] / n, one + left / n, "1", "committor"));
  PetscFunctionReturn(0);
}

/* classes.c: closed classes of the chain (strongly connected components that nothing leaves), and its reversibility. */
#include "generatorimpl.h"

#define TAIL_DEPTH 28.0 /* tails below e^-28 = 7e-13 of the largest density carry no mass */
#define UNRESOLVED 0.95 /* quotient of the noise in two cells towards its zero */

typedef struct {
  PetscInt *first, *to; /* jumps with positive rate, by departure node */
} Graph;

static PetscErrorCode BuildGraph(FPGenerator gen, Graph *graph)
{
  const PetscInt n = gen->n;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(n + 2, &graph->first));
  PetscCall(PetscMalloc1(2 * gen->edges, &graph->to));
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    if (e->qij > 0) graph->first[e->i + 2]++;
    if (e->qji > 0) graph->first[e->j + 2]++;
  }
  for (PetscInt k = 0; k < n; k++) graph->first[k + 2] += graph->first[k + 1];
  for (PetscInt s = 0; s < gen->edges; s++) {
    const FPEdge *e = &gen->edge[s];

    if (e->qij > 0) graph->to[graph->first[e->i + 1]++] = e->j;
    if (e->qji > 0) graph->to[graph->first[e->j + 1]++] = e->i;
  }
  PetscFunctionReturn(0);
}

/* R. E. Tarjan, SIAM J. Comput. 1 (1972), without recursion. component[n]; classes come out in reverse topological
 * order. */
static PetscErrorCode Components(PetscInt n, const Graph *g, PetscInt component[], PetscInt *count)
{
  PetscInt *index, *low, *stack, *path, *next, top = 0, depth = 0, clock = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc5(n, &index, n, &low, n, &stack, n, &path, n, &next));
  for (PetscInt k = 0; k < n; k++) index[k] = component[k] = -1;
  *count = 0;
  for (PetscInt root = 0; root < n; root++) {
    if (index[root] >= 0) continue;
    path[depth++] = root;
    while (depth > 0) {
      const PetscInt k = path[depth - 1];

      if (index[k] < 0) {
        index[k] = low[k] = clock++;
        next[k]           = g->first[k];
        stack[top++]      = k;
      }
      while (next[k] < g->first[k + 1] && index[g->to[next[k]]] >= 0) {
        const PetscInt m = g->to[next[k]++];

        if (component[m] < 0) low[k] = PetscMin(low[k], index[m]);
      }
      if (next[k] < g->first[k + 1]) {
        path[depth++] = g->to[next[k]];
        continue;
      }
      depth--;
      if (depth > 0) low[path[depth - 1]] = PetscMin(low[path[depth - 1]], low[k]);
      if (low[k] < index[k]) continue;
      do component[stack[--top]] = *count;
      while (stack[top] != k);
      ++*count;
    }
  }
  PetscCall(PetscFree5(index, low, stack, path, next));
  PetscFunctionReturn(0);
}

/* Unknown nearest to a point. */
PetscInt FPGeneratorNearest(FPGenerator gen, const PetscReal point[])
{
  PetscReal best = PETSC_MAX_REAL;
  PetscInt  node = 0;

  for (PetscInt k = 0; k < gen->n; k++) {
    PetscReal distance = 0;

    for (PetscInt a = 0; a < gen->dim; a++)
      distance += PetscSqr((gen->z[a * gen->n + k] - point[a]) / (gen->slope[a * gen->n + k] * gen->h[a]));
    if (distance < best) {
      best = distance;
      node = k;
    }
  }
  return node;
}

/* Follow jumps from a node until a closed class is reached. */
static PetscInt ReachClosed(const Graph *g, PetscInt n, PetscInt node, const PetscInt component[],
                            const PetscBool closed[])
{
  PetscInt *queue = NULL, head = 0, tail = 0, found = component[node];
  char     *seen = NULL;

  if (PetscMalloc1(n, &queue) || PetscCalloc1(n, &seen)) return found;
  queue[tail++] = node;
  seen[node]    = 1;
  while (head < tail) {
    const PetscInt k = queue[head++];

    if (closed[component[k]]) {
      found = component[k];
      break;
    }
    for (PetscInt s = g->first[k]; s < g->first[k + 1]; s++)
      if (!seen[g->to[s]]) {
        seen[g->to[s]] = 1;
        queue[tail++]  = g->to[s];
      }
  }
  (void)PetscFree(queue);
  (void)PetscFree(seen);
  return found;
}

/* Drop every unknown outside one component with its edges; rates stay what they are. */
PetscErrorCode FPGeneratorKeep(FPGenerator gen, const PetscInt component[], PetscInt wanted)
{
  PetscInt      *renumber, kept = 0, edges = 0;
  const PetscInt n = gen->n;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &renumber));
  for (PetscInt k = 0; k < n; k++) renumber[k] = component[k] == wanted ? kept++ : -1;
  for (PetscInt k = 0; k < n; k++) {
    const PetscInt to = renumber[k];

    gen->unknown[gen->node[k]] = to;
    if (to < 0) continue;
    gen->node[to]    = gen->node[k];
    gen->measure[to] = gen->measure[k];
    gen->volume[to]  = gen->volume[k];
    gen->kill[to]    = gen->kill[k];
    gen->added[to]   = gen->added[k];
    gen->capped[to]  = gen->capped[k];
    if (gen->potential) gen->potential[to] = gen->potential[k];
    if (gen->beyond) gen->beyond[to] = gen->beyond[k];
  }
  for (PetscInt a = 0; a < gen->dim; a++)
    for (PetscInt k = 0; k < n; k++)
      if (renumber[k] >= 0) {
        gen->z[a * kept + renumber[k]]     = gen->z[a * n + k];
        gen->slope[a * kept + renumber[k]] = gen->slope[a * n + k];
      }
  for (PetscInt s = 0; s < gen->edges; s++) {
    FPEdge e = gen->edge[s];

    e.i = renumber[e.i];
    e.j = renumber[e.j];
    if (e.i >= 0 && e.j >= 0) gen->edge[edges++] = e;
  }
  gen->n     = kept;
  gen->edges = edges;
  PetscCall(PetscFree(renumber));
  PetscFunctionReturn(0);
}

/* Single nodes without jumps to or from them, as on a line of nodes where the noise vanishes, belong to a set that the
   process never meets: they are not counted beside others. */
PetscErrorCode FPGeneratorRestrictToClass(FPGenerator gen, const PetscReal start[])
{
  Graph      graph;
  PetscInt  *component, count = 0;
  PetscBool *closed, *met;

  PetscFunctionBegin;
  if (gen->info.interpolates) { /* no graph of jumps: every node is joined to all near where a step leads */
    gen->info.closed_classes = 1;
    gen->home                = FPGeneratorNearest(gen, start);
    PetscFunctionReturn(0);
  }
  PetscCall(BuildGraph(gen, &graph));
  PetscCall(PetscMalloc1(gen->n, &component));
  PetscCall(Components(gen->n, &graph, component, &count));
  PetscCall(PetscMalloc1(count, &closed));
  PetscCall(PetscCalloc1(count, &met));
  for (PetscInt c = 0; c < count; c++) closed[c] = PETSC_TRUE;
  for (PetscInt k = 0; k < gen->n; k++)
    for (PetscInt s = graph.first[k]; s < graph.first[k + 1]; s++) {
      met[component[graph.to[s]]] = PETSC_TRUE;
      if (component[graph.to[s]] != component[k]) closed[component[k]] = PETSC_FALSE;
    }
  gen->info.closed_classes = 0;
  for (PetscInt c = 0; c < count; c++) gen->info.closed_classes += closed[c] && met[c];
  gen->info.closed_classes = PetscMax(gen->info.closed_classes, 1);
  if (count > 1)
    PetscCall(FPGeneratorKeep(gen, component,
                              ReachClosed(&graph, gen->n, FPGeneratorNearest(gen, start), component, closed)));
  gen->home = FPGeneratorNearest(gen, start);
  PetscCall(PetscFree(closed));
  PetscCall(PetscFree(met));
  PetscCall(PetscFree(component));
  PetscCall(PetscFree(graph.first));
  PetscCall(PetscFree(graph.to));
  PetscFunctionReturn(0);
}

PetscErrorCode FPGeneratorRestrictToReachable(FPGenerator gen, const PetscReal start[])
{
  const PetscInt n = gen->n;
  Graph          graph;
  PetscInt      *component, *seen, *queue, count = 0, head = 0, tail = 0;
  PetscBool     *open;

  PetscFunctionBegin;
  if (gen->info.interpolates) {
    gen->home = FPGeneratorNearest(gen, start);
    PetscFunctionReturn(0);
  }
  PetscCall(BuildGraph(gen, &graph));
  PetscCall(PetscMalloc2(n, &component, n, &queue));
  PetscCall(PetscCalloc1(n, &seen));
  PetscCall(Components(n, &graph, component, &count));
  PetscCall(PetscCalloc1(count, &open));
  queue[tail]         = FPGeneratorNearest(gen, start);
  seen[queue[tail++]] = 1;
  while (head < tail) {
    const PetscInt k = queue[head++];

    if (gen->kill[k] > 0) open[component[k]] = PETSC_TRUE;
    for (PetscInt s = graph.first[k]; s < graph.first[k + 1]; s++) {
      const PetscInt to = graph.to[s];

      if (component[to] != component[k]) open[component[k]] = PETSC_TRUE;
      if (!seen[to]) queue[tail++] = to;
      seen[to] = 1;
    }
  }
  gen->info.closed_classes = 0;
  for (PetscInt k = 0; k < tail; k++) {
    PetscBool *opens = &open[component[queue[k]]];

    gen->info.closed_classes += !*opens;
    *opens = PETSC_TRUE;
  }
  if (tail < n) PetscCall(FPGeneratorKeep(gen, seen, 1));
  gen->home = FPGeneratorNearest(gen, start);
  PetscCall(PetscFree(open));
  PetscCall(PetscFree(seen));
  PetscCall(PetscFree2(component, queue));
  PetscCall(PetscFree(graph.first));
  PetscCall(PetscFree(graph.to));
  PetscFunctionReturn(0);
}

/* ln(q_ij/q_ji): from P where there is one, without underflow */
static PetscReal LogRatio(FPGenerator gen, const FPEdge *e)
{
  return gen->info.degenerate ? log(e->qij / e->qji) : e->P + log(gen->measure[e->j] / gen->measure[e->i]);
}

/* logpi[n]: sums of ln(q_ij/q_ji) along a spanning tree of the edges, from unknown 0 on */
static PetscErrorCode FollowTree(FPGenerator gen, PetscReal logpi[])
{
  PetscInt *first, *edge, *queue, head = 0, tail = 0; /* edges of k: edge[first[k] .. first[k + 1] - 1] */
  char     *seen;

  PetscFunctionBegin;
  PetscCall(PetscCalloc1(gen->n + 2, &first));
  PetscCall(PetscMalloc2(2 * gen->edges, &edge, gen->n, &queue));
  PetscCall(PetscCalloc1(gen->n, &seen));
  for (PetscInt s = 0; s < gen->edges; s++) {
    first[gen->edge[s].i + 2]++;
    first[gen->edge[s].j + 2]++;
  }
  for (PetscInt k = 0; k < gen->n; k++) first[k + 2] += first[k + 1];
  for (PetscInt s = 0; s < gen->edges; s++) {
    edge[first[gen->edge[s].i + 1]++] = s;
    edge[first[gen->edge[s].j + 1]++] = s;
  }
  logpi[0]      = log(gen->measure[0]);
  seen[0]       = 1;
  queue[tail++] = 0;
  while (head < tail) {
    const PetscInt k = queue[head++];

    for (PetscInt s = first[k]; s < first[k + 1]; s++) {
      const FPEdge   *e     = &gen->edge[edge[s]];
      const PetscInt  other = e->i == k ? e->j : e->i;
      const PetscReal step  = LogRatio(gen, e);

      if (seen[other]) continue;
      seen[other]   = 1;
      logpi[other]  = logpi[k] + (e->i == k ? step : -step);
      queue[tail++] = other;
    }
  }
  PetscCall(PetscFree(first));
  PetscCall(PetscFree2(edge, queue));
  PetscCall(PetscFree(seen));
  PetscFunctionReturn(0);
}

/* Kolmogorov's criterion: ln pi from a spanning tree of edges must fit every other edge. */
PetscErrorCode FPGeneratorRecogniseReversible(FPGenerator gen)
{
  PetscReal *logpi, largest = PETSC_MIN_REAL, sum = 0;

  PetscFunctionBegin;
  gen->info.reversible = PETSC_FALSE;
  for (PetscInt s = 0; s < gen->edges && gen->info.degenerate; s++)
    if (gen->edge[s].qij <= 0 || gen->edge[s].qji <= 0) PetscFunctionReturn(0);
  PetscCall(PetscMalloc1(gen->n, &logpi));
  PetscCall(FollowTree(gen, logpi));
  gen->info.reversible = PETSC_TRUE;
  for (PetscInt s = 0; s < gen->edges && gen->info.reversible; s++) {
    const FPEdge   *e     = &gen->edge[s];
    const PetscReal apart = PetscAbsReal(logpi[e->i] + LogRatio(gen, e) - logpi[e->j]);
    const PetscReal size  = PetscMax(PetscAbsReal(logpi[e->i]), PetscAbsReal(logpi[e->j]));

    gen->info.reversible = (PetscBool) !(apart > 1e-10 * PetscMax(1, size));
  }
  if (gen->info.reversible) {
    PetscCall(PetscMalloc1(gen->n, &gen->logpi));
    for (PetscInt k = 0; k < gen->n; k++) largest = PetscMax(largest, logpi[k]);
    for (PetscInt k = 0; k < gen->n; k++) sum += exp(logpi[k] - largest);
    for (PetscInt k = 0; k < gen->n; k++) gen->logpi[k] = logpi[k] - largest - log(sum);
  }
  PetscCall(PetscFree(logpi));
  PetscFunctionReturn(0);
}

/* Size of the diffusion in cells^2/time. */
static PetscErrorCode LatticeNoise(FPGenerator gen, PetscReal noise[])
{
  const PetscInt d = gen->dim, n = gen->n;
  PetscReal     *D;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(d * d * n, &D));
  FPProcessDiffusion(gen->process, (int)n, gen->z, D);
  for (PetscInt k = 0; k < n; k++) {
    noise[k] = 0;
    for (PetscInt a = 0; a < d; a++) noise[k] += D[(a * d + a) * n + k] / PetscSqr(gen->slope[a * n + k] * gen->h[a]);
  }
  PetscCall(PetscFree(D));
  PetscFunctionReturn(0);
}

/* Towards a zero of the noise cells resolve ever less of what is a matter of the logarithm of the distance, and would
   give false slow modes whose rates don't depend on h. Where the law is known only now, drop such cells at the two ends
   as far as they carry no mass; cells between, a barrier say, and tails of another kind stay. */
PetscErrorCode FPGeneratorDropTails(FPGenerator gen, const PetscReal start[])
{
  const PetscInt n = gen->n, classes = gen->info.closed_classes;
  PetscInt      *tail, first = 0, last = n - 1;
  PetscReal     *noise, least = PETSC_MIN_REAL;

  PetscFunctionBegin;
  if (!gen->logpi || gen->potential || gen->absorbing) PetscFunctionReturn(0);
  PetscCall(PetscMalloc2(n, &noise, n, &tail));
  PetscCall(LatticeNoise(gen, noise));
  for (PetscInt k = 0; k < n; k++) least = PetscMax(least, gen->logpi[k] - log(gen->volume[k]) - TAIL_DEPTH);
  while (gen->logpi[first] - log(gen->volume[first]) < least && noise[first] < UNRESOLVED * noise[first + 1]) first++;
  while (gen->logpi[last] - log(gen->volume[last]) < least && noise[last] < UNRESOLVED * noise[last - 1]) last--;
  for (PetscInt k = 0; k < n; k++) tail[k] = k < first || k > last;
  if (last - first + 1 < n) {
    PetscCall(FPGeneratorKeep(gen, tail, 0));
    PetscCall(FPGeneratorRestrictToClass(gen, start));
    gen->info.closed_classes = classes;
    gen->info.masked += n - gen->n;
    PetscCall(PetscFree(gen->logpi));
    PetscCall(FPGeneratorRecogniseReversible(gen));
  }
  PetscCall(PetscFree2(noise, tail));
  PetscFunctionReturn(0);
}

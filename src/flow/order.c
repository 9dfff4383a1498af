/* The order of a graph: strongly connected components (Tarjan 1972, iterative), where scheduling
 * starts, back edges by dominance, a topological order of the forward edges (Kahn), and the cycles
 * that are no loops. All linear in nodes and edges but dominators, which are nearly so.
 */
#include "flow/flow_priv.h"

/* ---- strongly connected components ---- */

struct tarjan {
    struct fgraph *g;
    const struct plan_edge *edges;
    uint32_t *low, *at; /* lowest reachable number; next out-edge to look at */
    uint32_t *stack, *path;
    uint32_t stack_count, path_count, number, comps;
};

static void tarjan_push(struct tarjan *t, uint32_t node) {
    t->low[node] = ++t->number;
    t->at[node] = t->g->out_start[node];
    t->stack[t->stack_count++] = node;
    t->path[t->path_count++] = node;
}

/* number holds the discovery number while a node is on the stack; comp is NONE until it leaves. */
static void tarjan_run(struct tarjan *t, uint32_t *number, uint32_t root) {
    struct fgraph *g = t->g;
    tarjan_push(t, root);
    number[root] = t->number;
    while (t->path_count) {
        uint32_t v = t->path[t->path_count - 1];
        if (t->at[v] < g->out_start[v + 1]) {
            uint32_t w = t->edges[g->out[t->at[v]++]].target;
            if (!number[w]) {
                tarjan_push(t, w);
                number[w] = t->number;
            } else if (g->comp[w] == NONE && number[w] < t->low[v]) {
                t->low[v] = number[w];
            }
            continue;
        }
        t->path_count--;
        if (t->path_count) {
            uint32_t up = t->path[t->path_count - 1];
            t->low[up] = t->low[v] < t->low[up] ? t->low[v] : t->low[up];
        }
        if (t->low[v] == number[v]) {
            uint32_t w;
            do {
                w = t->stack[--t->stack_count];
                g->comp[w] = t->comps;
            } while (w != v);
            t->comps++;
        }
    }
}

static bool find_components(struct unit *u) {
    struct fgraph *g = &u->graph;
    struct session *s = u->s;
    struct tarjan t = {.g = g,
                       .edges = u->plan->edges,
                       .low = SCRATCH(s, g->n, uint32_t),
                       .at = SCRATCH(s, g->n, uint32_t),
                       .stack = SCRATCH(s, g->n, uint32_t),
                       .path = SCRATCH(s, g->n, uint32_t)};
    uint32_t *number = SCRATCH(s, g->n, uint32_t);
    bool *fed = SCRATCH(s, g->n, bool);
    g->comp = SCRATCH(s, g->n, uint32_t);
    g->entry = SCRATCH(s, g->n, bool);
    if (s->nomem) {
        return false;
    }
    memset(g->comp, 0xff, g->n * sizeof *g->comp);
    for (uint32_t i = 0; i < g->n; i++) {
        if (!number[i]) {
            tarjan_run(&t, number, i);
        }
    }
    /* Entries: the first node of every component that no other component leads into. */
    for (uint32_t e = 0; e < g->m; e++) {
        const struct plan_edge *edge = &u->plan->edges[e];
        if (g->comp[edge->source] != g->comp[edge->target]) {
            fed[g->comp[edge->target]] = true;
        }
    }
    for (uint32_t i = 0; i < g->n; i++) {
        g->entry[i] = !fed[g->comp[i]];
        fed[g->comp[i]] = true;
    }
    return true;
}

/* ---- forward order ---- */

static bool find_topo(struct unit *u) {
    struct fgraph *g = &u->graph;
    struct plan *p = u->plan;
    uint32_t *open = SCRATCH(u->s, g->n, uint32_t);
    g->topo = SCRATCH(u->s, g->n, uint32_t);
    g->topo_at = SCRATCH(u->s, g->n, uint32_t);
    if (u->s->nomem) {
        return false;
    }
    for (uint32_t e = 0; e < g->m; e++) {
        open[p->edges[e].target] += p->edges[e].back_of < 0;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        if (!open[i]) {
            g->topo[count++] = i;
        }
    }
    for (uint32_t at = 0; at < count; at++) {
        uint32_t v = g->topo[at];
        g->topo_at[v] = at;
        for (uint32_t k = g->out_start[v]; k < g->out_start[v + 1]; k++) {
            const struct plan_edge *e = &p->edges[g->out[k]];
            if (e->back_of < 0 && --open[e->target] == 0) {
                g->topo[count++] = e->target;
            }
        }
    }
    g->reducible = count == g->n;
    for (uint32_t i = 0; i < g->n; i++) {
        g->topo_at[i] = open[i] ? NONE : g->topo_at[i];
    }
    return true;
}

/* ---- cycles that are no loops ---- */

/* The first forward in-edge from a node that is left. */
static const struct plan_edge *edge_left(const struct unit *u, uint32_t node) {
    const struct fgraph *g = &u->graph;
    for (uint32_t e = in_from(g, node); e < in_to(g, node); e++) {
        const struct plan_edge *edge = &u->plan->edges[e];
        if (edge->back_of < 0 && g->topo_at[edge->source] == NONE) {
            return edge;
        }
    }
    return NULL;
}

static void refuse_cycle(struct unit *u, uint32_t start, uint32_t order) {
    struct plan *p = u->plan;
    struct buf text;
    buf_init(&text, 0);
    uint32_t node = start, steps = 0;
    const struct plan_edge *first = edge_left(u, start);
    do {
        const struct plan_edge *e = edge_left(u, node);
        buf_printf(&text, "%.*s <- ", STR_ARG(p->nodes[node].name));
        node = e->source;
    } while (node != start && ++steps < u->graph.n);
    buf_append(&text, p->nodes[start].name);
    u->s->nomem |= !buf_ok(&text);
    struct diag_item *item =
        diag_error(u->s->diag, first->mark, "irreducible",
                   "the cycle %.*s has no single header: it can be entered at more than one node",
                   STR_ARG(flow_text_clip(buf_str(&text), 500)));
    flow_subject_set(u, item, RANK_IRREDUCIBLE, order, buf_str(&text));
    diag_help(u->s->diag, item, "let everything outside the cycle lead to one of its nodes only");
    buf_fini(&text);
}

/* What is left after Kahn leads backward into cycles: every node walks to its first in-edge that is
 * left, and each cycle of this walk is reported once. */
static bool refuse_cycles(struct unit *u) {
    struct fgraph *g = &u->graph;
    uint32_t *walk = SCRATCH(u->s, g->n, uint32_t);
    if (!walk) {
        return false;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t node = i;
        while (g->topo_at[node] == NONE && !walk[node]) {
            walk[node] = i + 1;
            node = edge_left(u, node)->source;
        }
        if (g->topo_at[node] == NONE && walk[node] == i + 1 && g->topo_at[i] == NONE) {
            refuse_cycle(u, node, i);
            walk[node] = NONE;
        }
    }
    return !u->s->nomem;
}

bool flow_graph_order(struct unit *u) {
    struct fgraph *g = &u->graph;
    if (!find_components(u) || !flow_dominators_find(u)) {
        return false;
    }
    for (uint32_t e = 0; e < g->m; e++) {
        struct plan_edge *edge = &u->plan->edges[e];
        edge->back_of = graph_dominates(g, edge->target, edge->source) ? 0 : -1;
    }
    if (!find_topo(u)) {
        return false;
    }
    return g->reducible || refuse_cycles(u);
}

/* ---- reachability ---- */

static bool tree_reaches(const struct fgraph *g, uint32_t from, uint32_t to) {
    return g->walk_pre[from] <= g->walk_pre[to] &&
           g->walk_pre[to] < g->walk_pre[from] + g->walk_size[from];
}

/* Backward from `to`, never past the component of `from`. stamps has 2n entries: by node, equal to
 * stamp when seen, then room for the nodes still to look at. */
bool flow_graph_reaches(struct unit *u, uint32_t from, uint32_t to, uint32_t *stamps,
                        uint32_t stamp) {
    const struct fgraph *g = &u->graph;
    uint32_t *todo = stamps + g->n;
    uint32_t count = 0;
    if (from == to) {
        for (uint32_t e = in_from(g, to); e < in_to(g, to); e++) {
            if (g->comp[u->plan->edges[e].source] == g->comp[to]) {
                return true;
            }
        }
        return false;
    }
    todo[count++] = to;
    stamps[to] = stamp;
    while (count) {
        uint32_t node = todo[--count];
        if (g->comp[node] == g->comp[from] || tree_reaches(g, from, node)) {
            return true;
        }
        for (uint32_t e = in_from(g, node); e < in_to(g, node); e++) {
            uint32_t source = u->plan->edges[e].source;
            if (stamps[source] != stamp && g->comp[source] <= g->comp[from]) {
                stamps[source] = stamp;
                todo[count++] = source;
            }
        }
    }
    return false;
}

/* Dominators by Lengauer and Tarjan (1979, with path compression): nearly linear, no recursion. The
 * virtual root is node n; its successors are the entries. Every node is reachable from it, since
 * every component that nothing leads into has an entry.
 *
 * Inside, nodes are numbers of the depth-first search: 0 is the root.
 */
#include "flow/flow_priv.h"

struct dom {
    struct unit *u;
    uint32_t *node_of, *number_of;                     /* by number; by node */
    uint32_t *parent, *semi, *label, *ancestor, *idom; /* by number */
    uint32_t *bucket, *next;                           /* lists by number, 0 ends */
    uint32_t *path;
    uint32_t count;
};

static void visit(struct dom *d, uint32_t node, uint32_t parent) {
    d->node_of[d->count] = node;
    d->number_of[node] = d->count;
    d->parent[d->count] = parent;
    d->path[d->count] = d->u->graph.out_start[node];
    d->count++;
}

/* Depth-first from one entry; path holds the next out-edge of every number on the way. */
static void search(struct dom *d, uint32_t entry) {
    const struct fgraph *g = &d->u->graph;
    uint32_t v = d->count;
    visit(d, entry, 0);
    while (v) {
        uint32_t node = d->node_of[v];
        if (d->path[v] == g->out_start[node + 1]) {
            v = d->parent[v];
            continue;
        }
        uint32_t target = d->u->plan->edges[g->out[d->path[v]++]].target;
        if (d->number_of[target] == NONE) {
            uint32_t parent = v;
            v = d->count;
            visit(d, target, parent);
        }
    }
}

/* The number with the least semidominator on the way to the root of v's tree. */
static uint32_t eval(struct dom *d, uint32_t v) {
    if (d->ancestor[v] == NONE) {
        return v;
    }
    uint32_t depth = 0;
    for (uint32_t w = v; d->ancestor[d->ancestor[w]] != NONE; w = d->ancestor[w]) {
        d->path[depth++] = w;
    }
    while (depth) {
        uint32_t w = d->path[--depth];
        uint32_t up = d->ancestor[w];
        if (d->semi[d->label[up]] < d->semi[d->label[w]]) {
            d->label[w] = d->label[up];
        }
        d->ancestor[w] = d->ancestor[up];
    }
    return d->label[v];
}

static void semidominator(struct dom *d, uint32_t w) {
    const struct fgraph *g = &d->u->graph;
    uint32_t node = d->node_of[w];
    if (g->entry[node]) {
        d->semi[w] = 0;
    }
    for (uint32_t e = in_from(g, node); e < in_to(g, node); e++) {
        uint32_t best = eval(d, d->number_of[d->u->plan->edges[e].source]);
        d->semi[w] = d->semi[best] < d->semi[w] ? d->semi[best] : d->semi[w];
    }
}

static void solve(struct dom *d) {
    for (uint32_t w = d->count - 1; w > 0; w--) {
        semidominator(d, w);
        d->next[w] = d->bucket[d->semi[w]];
        d->bucket[d->semi[w]] = w;
        uint32_t parent = d->parent[w];
        d->ancestor[w] = parent;
        while (d->bucket[parent]) {
            uint32_t v = d->bucket[parent];
            d->bucket[parent] = d->next[v];
            uint32_t best = eval(d, v);
            d->idom[v] = d->semi[best] < d->semi[v] ? best : parent;
        }
    }
    for (uint32_t w = 1; w < d->count; w++) {
        if (d->idom[w] != d->semi[w]) {
            d->idom[w] = d->idom[d->idom[w]];
        }
    }
}

/* Preorder intervals of a tree given by parents with smaller numbers. */
static void intervals(struct dom *d, const uint32_t *up, uint32_t *pre, uint32_t *size) {
    uint32_t *next = d->bucket;
    for (uint32_t w = 0; w < d->count; w++) {
        size[d->node_of[w]] = 1;
    }
    for (uint32_t w = d->count - 1; w > 0; w--) {
        size[d->node_of[up[w]]] += size[d->node_of[w]];
    }
    pre[d->node_of[0]] = 0;
    next[0] = 1;
    for (uint32_t w = 1; w < d->count; w++) {
        pre[d->node_of[w]] = next[up[w]];
        next[up[w]] += size[d->node_of[w]];
        next[w] = pre[d->node_of[w]] + 1;
    }
}

static bool allocate(struct dom *d) {
    struct session *s = d->u->s;
    struct fgraph *g = &d->u->graph;
    size_t n = g->n + 1u;
    uint32_t **arrays[] = {&d->node_of,  &d->number_of, &d->parent,  &d->semi,     &d->label,
                           &d->ancestor, &d->idom,      &d->bucket,  &d->next,     &d->path,
                           &g->walk_pre, &g->walk_size, &g->dom_pre, &g->dom_size, &g->idom};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        *arrays[i] = SCRATCH(s, n, uint32_t);
    }
    return !s->nomem;
}

bool flow_dominators_find(struct unit *u) {
    struct fgraph *g = &u->graph;
    struct dom d = {.u = u};
    if (!allocate(&d)) {
        return false;
    }
    memset(d.number_of, 0xff, (g->n + 1u) * sizeof *d.number_of);
    memset(d.ancestor, 0xff, (g->n + 1u) * sizeof *d.ancestor);
    d.node_of[0] = g->n;
    d.number_of[g->n] = 0;
    d.count = 1;
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->entry[i] && d.number_of[i] == NONE) {
            search(&d, i);
        }
    }
    ASSERT(d.count == g->n + 1u);
    for (uint32_t w = 0; w < d.count; w++) {
        d.semi[w] = d.label[w] = w;
    }
    solve(&d);
    intervals(&d, d.idom, g->dom_pre, g->dom_size);
    intervals(&d, d.parent, g->walk_pre, g->walk_size);
    for (uint32_t w = 1; w < d.count; w++) {
        g->idom[d.node_of[w]] = d.node_of[d.idom[w]];
    }
    return true;
}

/* Ranks, grouping, and the order of the steps of a layout. Everything takes time in proportion to
 * nodes, edges and the pieces that they are cut into.
 */
#include "cli/layout.h"

enum err layout_group(struct arena *a, const uint32_t *keys, uint32_t count, uint32_t groups,
                      struct layout_groups *out) {
    uint32_t *items = ARENA_ARRAY(a, count + 1u, uint32_t);
    uint32_t *first = ARENA_ARRAY(a, groups + 2u, uint32_t);
    if (!items || !first) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        first[keys[i] + 2]++;
    }
    for (uint32_t k = 0; k < groups; k++) {
        first[k + 2] += first[k + 1];
    }
    for (uint32_t i = 0; i < count; i++) {
        items[first[keys[i] + 1]++] = i;
    }
    *out = (struct layout_groups){items, first};
    return OK;
}

/* Kahn's algorithm over the forward edges, which have no cycle: a node is done when all before it
 * are, one below the lowest of them. */
enum err layout_ranks(const struct graph *g, uint32_t *ranks, uint32_t *out_count) {
    uint32_t *sources = ARENA_ARRAY(g->arena, g->edge_count + 1u, uint32_t);
    uint32_t *open = ARENA_ARRAY(g->arena, g->node_count + 1u, uint32_t);
    uint32_t *queue = ARENA_ARRAY(g->arena, g->node_count + 1u, uint32_t);
    struct layout_groups out;
    if (!sources || !open || !queue) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        sources[i] = g->edges[i].source;
        open[g->edges[i].target] += !g->edges[i].back;
    }
    if (layout_group(g->arena, sources, g->edge_count, g->node_count, &out)) {
        return ERR_NOMEM;
    }
    uint32_t queued = 0;
    for (uint32_t i = 0; i < g->node_count; i++) {
        ranks[i] = 0;
        if (!open[i]) {
            queue[queued++] = i;
        }
    }
    uint32_t lowest = 0;
    for (uint32_t done = 0; done < queued; done++) {
        uint32_t node = queue[done];
        lowest = ranks[node] > lowest ? ranks[node] : lowest;
        for (uint32_t k = out.first[node]; k < out.first[node + 1]; k++) {
            const struct graph_edge *e = &g->edges[out.items[k]];
            if (e->back) {
                continue;
            }
            if (ranks[e->target] < ranks[node] + 1) {
                ranks[e->target] = ranks[node] + 1;
            }
            if (--open[e->target] == 0) {
                queue[queued++] = e->target;
            }
        }
    }
    *out_count = g->node_count ? lowest + 1 : 0;
    return OK;
}

int64_t layout_upper_x(const struct layout *l, const struct layout_piece *p) {
    return l->points[p->upper].x + l->ports[p->upper_port].offset;
}

int64_t layout_lower_x(const struct layout *l, const struct layout_piece *p) {
    return l->points[p->lower].x + l->ports[p->lower_port].offset;
}

enum err layout_make(const struct graph *g, const struct layout_sizes *sizes, struct layout *out) {
    *out = (struct layout){.graph = g};
    enum err err = layout_cut(out);
    err = err ? err : layout_order(out);
    err = err ? err : layout_ports(out, sizes);
    return err ? err : layout_place(out, sizes);
}

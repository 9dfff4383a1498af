/* The graph as an indented list, for terminals that its picture would not fit on: every node in the
 * order in which it may first run, below it where it leads.
 */
#include "cli/graph.h"
#include "cli/layout.h"

static void put_node(const struct graph_node *n, struct buf *out) {
    buf_printf(out, "%.*s  (%.*s)", STR_ARG(n->name), STR_ARG(n->kind));
    if (n->label.len) {
        buf_printf(out, "  %.*s", STR_ARG(n->label));
    }
    buf_append_char(out, '\n');
}

static void put_edge(const struct graph *g, const struct graph_edge *e, struct buf *out) {
    buf_printf(out, "    %.*s%s-> %.*s%s\n", STR_ARG(e->label), e->label.len ? " " : "",
               STR_ARG(g->nodes[e->target].name), e->back ? "  (back)" : "");
}

enum err graph_list(const struct graph *g, struct buf *out) {
    uint32_t *ranks = ARENA_ARRAY(g->arena, g->node_count + 1u, uint32_t);
    uint32_t *sources = ARENA_ARRAY(g->arena, g->edge_count + 1u, uint32_t);
    struct layout_groups nodes, edges;
    uint32_t count;
    if (!ranks || !sources || layout_ranks(g, ranks, &count)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        sources[i] = g->edges[i].source;
    }
    if (layout_group(g->arena, ranks, g->node_count, count, &nodes) ||
        layout_group(g->arena, sources, g->edge_count, g->node_count, &edges)) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        uint32_t node = nodes.items[i];
        put_node(&g->nodes[node], out);
        for (uint32_t k = edges.first[node]; k < edges.first[node + 1]; k++) {
            put_edge(g, &g->edges[edges.items[k]], out);
        }
    }
    return buf_ok(out) ? OK : ERR_NOMEM;
}

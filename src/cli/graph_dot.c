/* Graphviz: nodes by their names, which are identifiers. Back edges do not count for the ranks, so
 * that dot puts the header of a loop above its body, as the other formats do.
 */
#include "cli/graph.h"

/* Inside of double quotes; a backslash would begin one of dot's own escapes. */
static void put(struct buf *b, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            buf_append_char(b, '\\');
        }
        buf_append_char(b, text.ptr[i]);
    }
}

static void put_node(struct buf *b, const struct graph_node *n) {
    buf_printf(b, "  \"%.*s\" [label=\"%.*s", STR_ARG(n->name), STR_ARG(n->name));
    if (n->label.len) {
        buf_append_cstr(b, "\\n");
        put(b, n->label);
    }
    buf_append_cstr(b, "\\n");
    put(b, n->kind);
    buf_append_cstr(b, "\"");
    if (n->decides) {
        buf_append_cstr(b, ", shape=hexagon");
    } else if (n->child) {
        buf_append_cstr(b, ", shape=component");
    } else if (n->foreach) {
        buf_append_cstr(b, ", peripheries=2");
    }
    buf_append_cstr(b, "];\n");
}

static void put_edge(struct buf *b, const struct graph *g, const struct graph_edge *e) {
    buf_printf(b, "  \"%.*s\" -> \"%.*s\"", STR_ARG(g->nodes[e->source].name),
               STR_ARG(g->nodes[e->target].name));
    const char *before = " [";
    if (e->label.len) {
        buf_printf(b, "%slabel=\"", before);
        put(b, e->label);
        buf_append_cstr(b, "\"");
        before = ", ";
    }
    if (e->back || e->error || e->named) {
        buf_printf(b, "%s%s", before,
                   e->back    ? "style=dashed, constraint=false"
                   : e->named ? "style=dashed"
                              : "style=dotted, color=red");
        before = ", ";
    }
    buf_printf(b, "%s;\n", before[0] == ',' ? "]" : "");
}

enum err graph_dot(const struct graph *g, struct buf *out) {
    buf_append_cstr(out, "digraph \"");
    put(out, g->name);
    buf_append_cstr(out, "\" {\n  node [shape=box, style=rounded, fontname=\"monospace\"];\n"
                         "  edge [fontname=\"monospace\", fontsize=11];\n");
    for (uint32_t i = 0; i < g->node_count; i++) {
        put_node(out, &g->nodes[i]);
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        put_edge(out, g, &g->edges[i]);
    }
    buf_append_cstr(out, "}\n");
    return buf_ok(out) ? OK : ERR_NOMEM;
}

/* Mermaid flowcharts. Nodes are numbered, because names like `end` are words of the language.
 * Labels always stand in quotes, the only place where any text may.
 */
#include "cli/graph.h"

/* Inside of double quotes: entities of Mermaid (#...;) for what it would read as its own or as
 * HTML. */
static void put(struct buf *b, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '"': buf_append_cstr(b, "#quot;"); break;
        case '#': buf_append_cstr(b, "#35;"); break;
        case '&': buf_append_cstr(b, "#amp;"); break;
        case '<': buf_append_cstr(b, "#lt;"); break;
        case '>': buf_append_cstr(b, "#gt;"); break;
        case '`': buf_append_cstr(b, "#96;"); break;
        default: buf_append_char(b, text.ptr[i]);
        }
    }
}

static void put_node(struct buf *b, const struct graph_node *n, uint32_t number) {
    const char *open = n->decides ? "{{" : n->child ? "[[" : n->foreach ? "[/" : "[";
    const char *close = n->decides ? "}}" : n->child ? "]]" : n->foreach ? "/]" : "]";
    buf_printf(b, "  n%u%s\"%.*s<br/>", number, open, STR_ARG(n->name));
    if (n->label.len) {
        put(b, n->label);
        buf_append_cstr(b, "<br/>");
    }
    put(b, n->kind);
    buf_printf(b, "\"%s\n", close);
}

enum err graph_mermaid(const struct graph *g, struct buf *out) {
    buf_append_cstr(out, "flowchart TD\n");
    for (uint32_t i = 0; i < g->node_count; i++) {
        put_node(out, &g->nodes[i], i);
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        const struct graph_edge *e = &g->edges[i];
        buf_printf(out, "  n%u %s", e->source, e->back || e->error || e->named ? "-.->" : "-->");
        if (e->label.len) {
            buf_append_cstr(out, "|\"");
            put(out, e->label);
            buf_append_cstr(out, "\"|");
        }
        buf_printf(out, " n%u\n", e->target);
    }
    return buf_ok(out) ? OK : ERR_NOMEM;
}

/* The plan as something to draw: texts, handles and marks, cleaned once for all formats. Only reads
 * the plan; what it makes borrows names from it.
 */
#include "cli/graph.h"

#include "cli/text.h"

static struct str clean(struct arena *a, struct str text) {
    struct buf b;
    buf_init(&b, 0);
    text_clean(&b, text);
    struct str s = buf_ok(&b) ? arena_str(a, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return s;
}

/* "code, foreach", "workflow greet", "ask, repeats at most 5 times" */
static struct str kind_text(const struct plan *p, const struct plan_node *n, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, n->kind->name);
    if (n->child) {
        buf_append_char(&b, ' ');
        text_clean(&b, n->child->name);
    }
    if (n->foreach.present) {
        buf_append_cstr(&b, ", foreach");
    }
    if (n->heads >= 0) {
        buf_printf(&b, ", up to %u times", p->loops[n->heads].max_iterations);
    }
    if (n->role == ROLE_FINALLY) {
        buf_append_cstr(&b, ", finally");
    }
    struct str s = buf_ok(&b) ? arena_str(a, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return s;
}

/* From each node to those that it names, behind the edges. */
static uint32_t add_named(const struct plan *p, struct graph_edge *edges, uint32_t count) {
    for (uint32_t i = 0; i < p->node_count; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (n->owner >= 0) {
            edges[count++] = (struct graph_edge){.source = (uint32_t)n->owner,
                                                 .target = i,
                                                 .label = str_from(plan_role_name(n->role)),
                                                 .named = true};
        }
    }
    return count;
}

static struct str handle_text(const struct plan *p, const struct plan_edge *e) {
    const struct plan_node *n = &p->nodes[e->source];
    if (e->handle == HANDLE_ANY) {
        return STR("any");
    }
    bool only = e->handle < n->handle_count && !plan_node_decides(n);
    return only ? STR("") : plan_handle_name(n, e->handle);
}

enum err graph_make(const struct plan *p, struct arena *a, struct graph *out) {
    struct graph_node *nodes = ARENA_ARRAY(a, p->node_count + 1u, struct graph_node);
    struct graph_edge *edges =
        ARENA_ARRAY(a, p->edge_count + p->node_count + 1u, struct graph_edge);
    bool ok = nodes && edges;
    for (uint32_t i = 0; ok && i < p->node_count; i++) {
        const struct plan_node *n = &p->nodes[i];
        nodes[i] = (struct graph_node){.name = n->name,
                                       .label = clean(a, n->label),
                                       .kind = kind_text(p, n, a),
                                       .decides = plan_node_decides(n),
                                       .foreach = n->foreach.present,
                                       .child = n->child != NULL};
        ok = nodes[i].label.ptr && nodes[i].kind.ptr;
    }
    for (uint32_t i = 0; ok && i < p->edge_count; i++) {
        const struct plan_edge *e = &p->edges[i];
        edges[i] = (struct graph_edge){.source = e->source,
                                       .target = e->target,
                                       .label = clean(a, handle_text(p, e)),
                                       .back = e->back_of >= 0,
                                       .error = e->handle == HANDLE_ERROR};
        ok = edges[i].label.ptr != NULL;
    }
    *out = (struct graph){.arena = a,
                          .name = clean(a, p->name),
                          .nodes = nodes,
                          .node_count = p->node_count,
                          .edges = edges,
                          .edge_count = ok ? add_named(p, edges, p->edge_count) : 0};
    return ok && out->name.ptr ? OK : ERR_NOMEM;
}

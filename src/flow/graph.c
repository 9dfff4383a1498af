/* From needs to edges: every need is checked and becomes one edge, numbered by node in file order,
 * then by order of needs, so the edges into a node are consecutive.
 *
 * An edge with an unknown handle stays in the graph (odd), so that its loops are still seen; of a
 * need that names no node it is noted what it may lead to (doubtful): nothing is said that only
 * follows from it.
 */
#include "flow/flow_priv.h"

struct need {
    const struct yaml_node *yaml;
    struct str text;   /* as written */
    struct str name;   /* before the first dot */
    struct str handle; /* behind it */
    bool dotted;
};

static struct need split_need(const struct yaml_node *n) {
    struct need need = {.yaml = n, .text = n->text};
    need.name = str_split(n->text, '.', &need.handle);
    need.dotted = need.name.len < n->text.len;
    return need;
}

static const struct yaml_node *needs_at(const struct draft *d, uint32_t i) {
    const struct yaml_node *n = d->common[COMMON_NEEDS];
    return n->type == YAML_LIST ? n->items[i] : n;
}

static uint32_t needs_count(const struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_NEEDS];
    if (!n || n->type == YAML_MAP) {
        return 0;
    }
    return n->type == YAML_LIST ? n->count : 1;
}

static struct str need_subject(struct unit *u, const struct draft *d, const struct need *need,
                               const char *tail) {
    struct str text = arena_printf(&u->s->scratch, "%.*s needs %.*s%s", STR_ARG(d->node->name),
                                   STR_ARG(need->text), tail);
    return text.ptr ? text : STR("");
}

struct str *flow_names_get(struct unit *u) {
    const struct str general[FLOW_GENERAL_NAMES] = {STR("inputs"), STR("nodes"), STR("execution"),
                                                    STR("env"),    STR("item"),  STR("index"),
                                                    STR("vars")};
    uint32_t count = u->plan->node_count;
    if (!u->names) {
        u->names = SCRATCH(u->s, count + FLOW_GENERAL_NAMES, struct str);
        for (uint32_t i = 0; u->names && i < count; i++) {
            u->names[i] = u->plan->nodes[i].name;
        }
        if (u->names) {
            memcpy(u->names + count, general, sizeof general);
        }
    }
    return u->names;
}

static void refuse_node(struct unit *u, const struct draft *d, const struct need *need,
                        uint32_t order) {
    struct diag *diag = u->s->diag;
    struct diag_item *item =
        diag_error(diag, need->yaml->mark, "unknown_node",
                   "\"%.*s\" needs \"%.*s\", but there is no node of that name",
                   STR_ARG(d->node->name), STR_ARG(flow_text_clip(need->name, 60)));
    flow_subject_set(u, item, RANK_NEEDS, order, need_subject(u, d, need, ""));
    if (item != &diag->dropped) {
        struct str *names = flow_names_get(u);
        if (names) {
            flow_suggest(u, item, need->name, names, u->plan->node_count);
        }
    }
}

static void refuse_handle(struct unit *u, const struct draft *d, const struct need *need,
                          const struct plan_node *source, uint32_t order) {
    struct diag *diag = u->s->diag;
    struct str handle = need->dotted ? need->handle : STR("out");
    struct diag_item *item = diag_error(
        diag, need->yaml->mark, "unknown_handle", "node \"%.*s\" (%s) has no exit \"%.*s\"",
        STR_ARG(source->name), source->kind->name, STR_ARG(flow_text_clip(handle, 60)));
    flow_subject_set(u, item, RANK_NEEDS, order, need_subject(u, d, need, ""));
    struct str *known = SCRATCH(u->s, source->handle_count + 1u, struct str);
    if (item != &diag->dropped && known) {
        if (source->handle_count) {
            memcpy(known, source->handles, source->handle_count * sizeof *known);
        }
        known[source->handle_count] = STR("error");
        flow_suggest(u, item, handle, known, source->handle_count + 1u);
    }
}

/* The handle that a need names; HANDLE_NONE when the source has no such. */
static uint16_t need_handle(const struct plan_node *source, const struct need *need) {
    if (!need->dotted) {
        if (plan_node_any_exit(source)) {
            return HANDLE_ANY;
        }
        return source->handle_count ? 0 : HANDLE_NONE;
    }
    if (str_is(need->handle, "limit")) {
        return HANDLE_LIMIT;
    }
    return plan_handle_find(source, need->handle);
}

static void refuse_twice(struct unit *u, const struct draft *d, const struct need *need,
                         uint32_t order) {
    struct diag_item *item =
        diag_error(u->s->diag, need->yaml->mark, "duplicate_need", "\"%.*s\" needs \"%.*s\" twice",
                   STR_ARG(d->node->name), STR_ARG(need->text));
    flow_subject_set(u, item, RANK_NEEDS, order, need_subject(u, d, need, " twice"));
    diag_help(u->s->diag, item, "remove one of them");
}

/* Edges of one node seen so far: stamps by (source, handle) would need a table of all handles, so a
 * map of "source handle" in scratch serves; it is made only for nodes with several needs. */
static bool is_twice(struct unit *u, struct map *seen, uint32_t source, uint16_t handle,
                     bool *out) {
    struct str key = arena_printf(&u->s->scratch, "%u %u", (unsigned)source, (unsigned)handle);
    bool is_new = false;
    if (!key.ptr || !map_put(seen, key, &is_new)) {
        u->s->nomem = true;
        return false;
    }
    *out = !is_new;
    return true;
}

/* need is NULL when nothing of it can be read. */
static void note_missing(struct unit *u, struct draft *d, const struct need *need) {
    u->graph.missing = true;
    u->graph.missing_error |= !need || str_is(need->handle, "error");
    d->incomplete = true;
}

static bool add_need(struct unit *u, struct draft *d, const struct yaml_node *n, struct map *seen) {
    struct plan *p = u->plan;
    struct str text;
    if (!flow_text_get(u, n, "needs", &text)) {
        note_missing(u, d, NULL);
        return true;
    }
    struct need need = split_need(n);
    uint32_t order = p->edge_count;
    int64_t source = plan_node_find(p, need.name);
    if (source < 0) {
        note_missing(u, d, &need);
        refuse_node(u, d, &need, order);
        return true;
    }
    const struct draft *from = &u->drafts[source];
    struct plan_edge e = {
        .source = (uint32_t)source, .target = d->node->index, .back_of = -1, .mark = n->mark};
    bool odd = from->broken;
    e.handle = odd ? HANDLE_ANY : need_handle(from->node, &need);
    if (e.handle == HANDLE_NONE) {
        refuse_handle(u, d, &need, from->node, order);
        odd = true;
        e.handle = HANDLE_ANY;
    }
    bool twice = false;
    if (seen && !odd && !is_twice(u, seen, e.source, e.handle, &twice)) {
        return false;
    }
    if (twice) {
        refuse_twice(u, d, &need, order);
        return true;
    }
    u->graph.odd[p->edge_count] = odd;
    p->edges[p->edge_count++] = e;
    return true;
}

static bool add_needs(struct unit *u, struct draft *d) {
    uint32_t count = needs_count(d);
    const struct yaml_node *n = d->common[COMMON_NEEDS];
    if (n && n->type == YAML_MAP) {
        flow_type_refuse(u, n, "needs", "a node or a list of nodes");
        note_missing(u, d, NULL);
    }
    struct map seen;
    map_init(&seen, &u->s->scratch);
    for (uint32_t i = 0; i < count; i++) {
        if (!add_need(u, d, needs_at(d, i), count > 1 ? &seen : NULL)) {
            return false;
        }
    }
    return true;
}

/* ---- lists by node ---- */

static bool index_edges(struct unit *u) {
    struct fgraph *g = &u->graph;
    struct plan *p = u->plan;
    g->n = p->node_count;
    g->m = p->edge_count;
    g->in_start = SCRATCH(u->s, g->n + 2u, uint32_t);
    g->out_start = SCRATCH(u->s, g->n + 2u, uint32_t);
    g->out = KEEP(u->s, g->m, uint32_t);
    if (u->s->nomem) {
        return false;
    }
    for (uint32_t e = 0; e < g->m; e++) {
        g->in_start[p->edges[e].target + 1]++;
        g->out_start[p->edges[e].source + 2]++;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        g->in_start[i + 1] += g->in_start[i];
        g->out_start[i + 2] += g->out_start[i + 1];
    }
    for (uint32_t e = 0; e < g->m; e++) {
        g->out[g->out_start[p->edges[e].source + 1]++] = e;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        p->nodes[i].out_edges = g->out + g->out_start[i];
        p->nodes[i].out_count = g->out_start[i + 1] - g->out_start[i];
    }
    return true;
}

/* Everything behind an incomplete node: what is said about other nodes does not depend on the needs
 * that name nothing. */
static bool mark_doubtful(struct unit *u) {
    struct fgraph *g = &u->graph;
    uint32_t *list = SCRATCH(u->s, g->n, uint32_t), count = 0;
    g->doubtful = SCRATCH(u->s, g->n, bool);
    if (u->s->nomem) {
        return false;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        if (u->drafts[i].incomplete) {
            g->doubtful[i] = true;
            list[count++] = i;
        }
    }
    for (uint32_t at = 0; at < count; at++) {
        const struct plan_node *n = &u->plan->nodes[list[at]];
        for (uint32_t i = 0; i < n->out_count; i++) {
            uint32_t target = u->plan->edges[n->out_edges[i]].target;
            if (!g->doubtful[target]) {
                g->doubtful[target] = true;
                list[count++] = target;
            }
        }
    }
    return true;
}

/* ---- failure fields ---- */

static void check_value(struct unit *u, struct draft *d) {
    const struct plan_node *n = d->node;
    const struct yaml_node *value = yaml_get(d->common[COMMON_ON_ERROR], STR("value"));
    if (d->broken || !plan_node_decides(n)) {
        return;
    }
    for (uint16_t i = 0; value->type == YAML_SCALAR && i < n->handle_count; i++) {
        if (str_eq(n->handles[i], value->text)) {
            return;
        }
    }
    struct diag *diag = u->s->diag;
    struct diag_item *item =
        diag_error(diag, value->mark, "bad_on_error_value",
                   "on_error of \"%.*s\": the value must name one of its exits", STR_ARG(n->name));
    struct str subject = arena_printf(&u->s->scratch, "%.*s: not a handle", STR_ARG(n->name));
    flow_subject_set(u, item, RANK_FAILURE, n->index, subject);
    if (item != &diag->dropped && value->type == YAML_SCALAR) {
        flow_suggest(u, item, value->text, n->handles, n->handle_count);
    }
}

static void check_failure_fields(struct unit *u, struct draft *d) {
    struct plan_node *n = d->node;
    const struct yaml_node *on_error = d->common[COMMON_ON_ERROR];
    const struct plan_edge *error_edge = NULL;
    for (uint32_t i = 0; i < n->out_count && !error_edge; i++) {
        const struct plan_edge *e = &u->plan->edges[n->out_edges[i]];
        error_edge = e->handle == HANDLE_ERROR ? e : NULL;
    }
    for (uint32_t i = 0; i < n->out_count; i++) {
        uint16_t handle = u->plan->edges[n->out_edges[i]].handle;
        n->has_timeout_edge |= str_is(plan_handle_name(n, handle), "timeout");
    }
    n->has_error_edge = error_edge != NULL;
    if (on_error && error_edge) {
        struct diag_item *item =
            diag_error(u->s->diag, on_error->mark, "error_and_on_error",
                       "\"%.*s\" has on_error, and \"%.*s\" needs its error", STR_ARG(n->name),
                       STR_ARG(u->plan->nodes[error_edge->target].name));
        flow_subject_set(u, item, RANK_FAILURE, n->index, n->name);
        diag_help(u->s->diag, item,
                  "a failure is handled in one way: remove on_error, or the need "
                  "in line %u",
                  error_edge->mark.line);
        return;
    }
    if (n->on_error == ON_ERROR_VALUE) {
        check_value(u, d);
    }
}

static void check_foreach(struct unit *u, const struct draft *d) {
    const struct yaml_node *foreach = d->common[COMMON_FOREACH];
    if (foreach && !d->broken && plan_node_decides(d->node)) {
        struct diag_item *item =
            diag_error(u->s->diag, foreach->mark, "foreach_decides",
                       "\"%.*s\" chooses between exits and so cannot run for each of several items",
                       STR_ARG(d->node->name));
        diag_help(u->s->diag, item, "decide inside a sub-workflow, or filter the items before");
    }
}

bool flow_graph_build(struct unit *u) {
    uint32_t needs = 0;
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        needs += needs_count(&u->drafts[i]);
    }
    u->plan->edges = KEEP(u->s, needs, struct plan_edge);
    u->graph.odd = SCRATCH(u->s, needs, bool);
    if (u->s->nomem) {
        return false;
    }
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        if (!add_needs(u, &u->drafts[i])) {
            return false;
        }
    }
    if (!index_edges(u) || !mark_doubtful(u)) {
        return false;
    }
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        check_failure_fields(u, &u->drafts[i]);
        check_foreach(u, &u->drafts[i]);
    }
    return !u->s->nomem;
}

struct str flow_edge_text(struct unit *u, const struct plan_edge *e) {
    const struct plan_node *source = &u->plan->nodes[e->source];
    struct str handle = plan_handle_name(source, e->handle);
    struct str text =
        arena_printf(&u->s->scratch, "%.*s.%.*s", STR_ARG(source->name), STR_ARG(handle));
    return text.ptr ? text : STR("");
}

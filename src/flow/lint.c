/* Warnings: what compiles but is likely not meant. A warning never stops a workflow, so it may err:
 * what is hard to decide is not warned about, and searches stop after a fixed amount of work.
 */
#include "flow/flow_priv.h"
#include "flow/loops_priv.h"

/* ---- a field of what may be null ---- */

static bool surely_taken(const struct unit *u, const struct plan_edge *e, const uint8_t *sure) {
    const struct plan_node *source = &u->plan->nodes[e->source];
    bool only_exit = e->handle == HANDLE_ANY || (e->handle == 0 && source->handle_count == 1);
    return only_exit && sure[e->source];
}

/* A node surely has a body when it has no guard, cannot fail without failing the execution, and
 * one of its needs is surely taken. */
bool flow_sure_lint(struct unit *u, uint8_t *sure) {
    const struct fgraph *g = &u->graph;
    for (uint32_t at = 0; g->reducible && at < g->n; at++) {
        uint32_t i = g->topo[at];
        const struct plan_node *n = &u->plan->nodes[i];
        bool runs = n->in_count_edges == 0 && !n->role;
        for (uint32_t k = 0; !runs && k < n->in_count_edges; k++) {
            runs = surely_taken(u, &u->plan->edges[n->in_edges[k]], sure);
        }
        sure[i] = runs && !u->drafts[i].common[COMMON_IF] && !n->has_error_edge &&
                  n->on_error != ON_ERROR_CONTINUE;
    }
    return true;
}

void flow_field_lint(struct scope *scope, uint32_t node) {
    struct unit *u = scope->u;
    const struct fgraph *g = &u->graph;
    struct diag *d = u->s->diag;
    struct str name = u->plan->nodes[node].name;
    bool inside = scope->node != NONE;
    if (!g->reducible || scope->linted == node ||
        (inside && !scope->finally && graph_dominates(g, node, scope->root))) {
        return;
    }
    const char *why = NULL;
    if (scope->finally) {
        why = "may not have run";
    } else if (!scope->sure[node]) {
        why = "may be skipped";
    } else if (inside && g->comp[node] == g->comp[scope->root] &&
               g->topo_at[node] > g->topo_at[scope->root]) {
        why = "has not run in the first iteration";
    }
    if (why) {
        scope->linted = node;
        struct diag_item *item = diag_add(
            d, DIAG_WARNING, scope->mark, "maybe_null",
            "\"%.*s\" %s: it is null then, and a field of null is an error", STR_ARG(name), why);
        diag_help(d, item, "write %.*s.?field, or ask for nodes.%.*s.status first", STR_ARG(name),
                  STR_ARG(name));
    }
}

/* ---- a template that reads like an expression ---- */

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* What may follow a path in an expression, but hardly in a sentence. */
static bool is_operator(struct str text) {
    static const char *const operators[] = {"==", "!=", "<", ">", "&&", "||", "?"};
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (str_starts(text, str_from(operators[i]))) {
            return true;
        }
    }
    return false;
}

/* name, name.name, name[0].name ..., alone or before an operator. *out_head is the first name. */
static bool is_path(struct str text, struct str *out_head) {
    size_t at = 0;
    while (at < text.len && is_word_char(text.ptr[at])) {
        at++;
    }
    *out_head = str_sub(text, 0, at);
    while (at < text.len && (is_word_char(text.ptr[at]) || strchr(".[]", text.ptr[at]))) {
        at++;
    }
    if (at == 0 || text.ptr[at - 1] == '.') {
        return false;
    }
    struct str rest = str_trim(str_sub(text, at, text.len));
    return out_head->len > 0 && (!rest.len || (rest.len > 1 && is_operator(rest)));
}

/* A path that begins with a name that is known here. */
static bool is_known_path(struct scope *scope, struct str text) {
    struct unit *u = scope->u;
    struct str head;
    if (!is_path(text, &head)) {
        return false;
    }
    bool dotted = head.len < text.len;
    int64_t node = plan_node_find(u->plan, head);
    bool known = dotted && (str_is(head, "inputs") || str_is(head, "vars"));
    known |= dotted && (scope->flags & SCOPE_ITEM) && str_eq(head, scope->draft->node->foreach.as);
    return known ||
           (node >= 0 && node != scope->node &&
            flow_graph_reaches(u, (uint32_t)node, scope->root, scope->seen, ++scope->search));
}

/* A text with an operator or a call that compiles here and reads a name: hardly a sentence. */
static bool is_expression(struct scope *scope, struct str text) {
    struct session *s = scope->u->s;
    size_t signs = 0;
    for (size_t i = 0; i < text.len; i++) {
        signs += text.ptr[i] && strchr("(<>=+*?[&|!", text.ptr[i]) != NULL;
    }
    if (!signs) {
        return false;
    }
    struct diag findings;
    const struct expr *x = NULL;
    uint32_t slots = 0, flags = scope->flags;
    diag_init(&findings, &s->scratch);
    scope->flags |= SCOPE_TRIAL;
    struct expr_scope view = flow_scope_view(scope);
    enum err err = expr_compile(&s->scratch, text, scope->mark, &view, &x, &findings);
    scope->flags = flags;
    if (err == OK) {
        expr_slots(x, &slots);
    }
    return slots > 0;
}

void flow_text_lint(struct scope *scope, struct str text) {
    struct unit *u = scope->u;
    struct str trimmed = str_trim(text);
    if (text.len > 200 || scope->node == NONE) {
        return;
    }
    if (is_known_path(scope, trimmed) || is_expression(scope, trimmed)) {
        struct diag *d = u->s->diag;
        struct diag_item *item = diag_add(
            d, DIAG_WARNING, scope->mark, "bare_name",
            "\"%.*s\" is plain text here, though it reads like an expression", STR_ARG(text));
        diag_help(d, item, "for the value write \"{{ %.*s }}\"", STR_ARG(str_trim(text)));
    }
}

/* ---- loops ---- */

#define MAX_STEPS 4000000u /* edges looked at in all */

/* What is known of an iteration in which `exit` is taken: its source leaves by that handle, and so
 * does every decision that had to choose one handle to get there. Stamped by node. */
static void assume_exit(struct loops *ls, uint32_t header, const struct plan_edge *exit) {
    const struct unit *u = ls->u;
    uint32_t node = exit->source;
    ls->credit[node] = exit->handle;
    ls->credit_stamp[node] = ls->visit;
    for (; node != header && ls->steps < MAX_STEPS; node = u->graph.idom[node]) {
        const struct plan_node *n = &u->plan->nodes[node];
        const struct plan_edge *only = &u->plan->edges[n->in_edges[0]];
        ls->steps++;
        if (n->in_count_edges == 1 && only->handle != HANDLE_ANY) {
            ls->credit[only->source] = only->handle;
            ls->credit_stamp[only->source] = ls->visit;
        }
    }
}

static bool may_take(const struct loops *ls, const struct plan_edge *e) {
    return ls->credit_stamp[e->source] != ls->visit || e->handle == HANDLE_ANY ||
           ls->credit[e->source] == HANDLE_ANY || e->handle == ls->credit[e->source];
}

/* A back edge that can be taken in the same iteration as exit, or NULL. */
static const struct plan_edge *find_way_back(struct loops *ls, uint32_t header,
                                             const struct plan_edge *exit) {
    const struct unit *u = ls->u;
    uint32_t count = 0;
    ls->visit++;
    assume_exit(ls, header, exit);
    ls->list[count++] = header;
    ls->in_body[header] = ls->visit;
    for (uint32_t at = 0; at < count; at++) {
        const struct plan_node *n = &u->plan->nodes[ls->list[at]];
        for (uint32_t i = 0; i < n->out_count && ls->steps < MAX_STEPS; i++) {
            const struct plan_edge *e = &u->plan->edges[n->out_edges[i]];
            ls->steps++;
            if (!may_take(ls, e)) {
                continue;
            }
            if (e->back_of >= 0 && e->target == header && e->handle != HANDLE_ERROR) {
                return e;
            }
            if (e->back_of < 0 && ls->in_cycle[e->target] == ls->stamp &&
                ls->in_body[e->target] != ls->visit) {
                ls->in_body[e->target] = ls->visit;
                ls->list[count++] = e->target;
            }
        }
    }
    return NULL;
}

/* No edge of the same handle leads into the cycle. */
static bool is_exit(const struct loops *ls, const struct plan_edge *exit) {
    const struct plan_node *n = &ls->u->plan->nodes[exit->source];
    if (exit->handle >= n->handle_count || ls->in_cycle[exit->source] != ls->stamp) {
        return false;
    }
    for (uint32_t i = 0; i < n->out_count; i++) {
        const struct plan_edge *e = &ls->u->plan->edges[n->out_edges[i]];
        if (plan_edge_matches(e, exit->handle) && ls->in_cycle[e->target] == ls->stamp) {
            return false;
        }
    }
    return true;
}

static void lint_parallel(struct loops *ls, uint32_t index) {
    struct unit *u = ls->u;
    const struct plan_loop *l = &u->plan->loops[index];
    for (uint32_t i = 0; i < l->leaving_count && ls->steps < MAX_STEPS; i++) {
        const struct plan_edge *exit = &u->plan->edges[l->leaving[i]];
        ls->steps++;
        if (!is_exit(ls, exit)) {
            continue;
        }
        const struct plan_edge *back = find_way_back(ls, l->header, exit);
        if (back) {
            struct diag *d = u->s->diag;
            struct diag_item *item = diag_add(
                d, DIAG_WARNING, exit->mark, "parallel_exit",
                "this exit of the loop of \"%.*s\" and its way back from \"%.*s\" can both be "
                "taken in one iteration; the exit is forgotten then",
                STR_ARG(u->plan->nodes[l->header].name),
                STR_ARG(u->plan->nodes[back->source].name));
            diag_help(d, item, "let one condition decide between going on and leaving");
            return;
        }
    }
}

static void lint_header(struct loops *ls, uint32_t index) {
    struct unit *u = ls->u;
    const struct wloop *l = &ls->items[index];
    uint32_t first = l->header;
    for (uint32_t i = 0; i < l->cycle_count; i++) {
        first = l->cycle[i] < first ? l->cycle[i] : first;
    }
    if (first != l->header) {
        const struct plan_node *header = &u->plan->nodes[l->header];
        struct diag *d = u->s->diag;
        struct diag_item *item =
            diag_add(d, DIAG_WARNING, header->mark, "header_not_first",
                     "the loop of \"%.*s\" starts here, but \"%.*s\" stands before it in the file",
                     STR_ARG(header->name), STR_ARG(u->plan->nodes[first].name));
        diag_help(d, item, "write the node where a loop starts before its other nodes");
    }
}

void flow_loops_lint(struct loops *ls) {
    memset(ls->in_body, 0, ls->u->graph.n * sizeof *ls->in_body);
    memset(ls->credit_stamp, 0, ls->u->graph.n * sizeof *ls->credit_stamp);
    for (uint32_t i = 0; i < ls->count; i++) {
        const struct wloop *l = &ls->items[i];
        ls->stamp++;
        for (uint32_t k = 0; k < l->cycle_count; k++) {
            ls->in_cycle[l->cycle[k]] = ls->stamp;
        }
        lint_header(ls, i);
        lint_parallel(ls, i);
    }
}

/* ---- times, recovery ---- */

/* Without a node that calls a service a breaker does nothing. */
static void lint_breaker(struct unit *u) {
    bool calls = false;
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        const struct plan_node *n = &u->plan->nodes[i];
        calls |= !n->kind || (n->kind->service && !n->pure);
    }
    if (u->plan->breaker.failures && !calls) {
        struct diag_item *item = diag_add(u->s->diag, DIAG_WARNING, u->def.breaker->mark,
                                          "unreachable", "\"breaker\": no node calls a service");
        diag_help(u->s->diag, item, "a sub-workflow has a breaker of its own");
    }
}

bool flow_unit_lint(struct unit *u) {
    struct diag *d = u->s->diag;
    int64_t whole = u->plan->timeout_us;
    lint_breaker(u);
    flow_recover_check(u);
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        flow_recover_lint(u, &u->drafts[i]);
    }
    for (uint32_t i = 0; whole && i < u->plan->node_count; i++) {
        const struct yaml_node *given = u->drafts[i].common[COMMON_TIMEOUT];
        const struct plan_node *n = &u->plan->nodes[i];
        bool reached = u->plan->nodes[plan_node_root(u->plan, i)].role != ROLE_FINALLY;
        if (given && reached && n->timeout_us > whole) {
            char text[40];
            time_print_duration(whole, text, sizeof text);
            struct diag_item *item =
                diag_add(d, DIAG_WARNING, given->mark, "timeout_beyond",
                         "the timeout of \"%.*s\" is longer than that of the whole execution, %s",
                         STR_ARG(n->name), text);
            diag_help(d, item, "shorten it, or lengthen the workflow's timeout");
        }
    }
    return true;
}

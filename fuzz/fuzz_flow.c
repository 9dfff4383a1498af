/* Any text as a workflow: compiling must end, within memory and without a crash, and what is found
 * must be well told.
 *
 * Checked: a refused workflow has findings with a message in UTF-8 and a place; a plan keeps its
 * own promises (edges, loops, bodies, names); compiling the same text twice gives the same plan. A
 * broken promise aborts. "other.yaml" and "run.py" can be referred to; nothing else is there.
 */
#include "flow/flow.h"

/* The kinds of the unit tests; nothing else of the tests is linked here. */
#include "../tests/support/flow_kinds.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err read_input(void *ctx, struct str path, struct arena *a, struct str *out,
                           struct error *e) {
    (void)a;
    if (str_is(path, "flow.yaml")) {
        *out = *(const struct str *)ctx;
        return OK;
    }
    if (str_is(path, "other.yaml")) {
        *out = STR("cairn: 1\ninputs: {n: {type: integer, default: 1}}\n"
                   "nodes: {x: {type: work, value: inputs.n}}\n");
        return OK;
    }
    if (str_is(path, "run.py")) {
        *out = STR("print(1)\n");
        return OK;
    }
    return error_set(e, ERR_NOT_FOUND, "no such file");
}

static void check_findings(const struct diag *d) {
    ASSERT(d->errors > 0);
    for (uint32_t i = 0; i < d->count; i++) {
        const struct diag_item *item = &d->items[i];
        ASSERT(item->message.len > 0 && item->code.len > 0 && item->mark.file);
        ASSERT(str_is_utf8(item->message) && str_is_utf8(item->help));
    }
    ASSERT(flow_first_finding(d) || d->errors > d->count);
}

static bool in_body(const struct plan_loop *l, uint32_t node) {
    for (uint32_t i = 0; i < l->body_count; i++) {
        if (l->body[i] == node) {
            return true;
        }
    }
    return false;
}

static void check_edges(const struct plan *p) {
    for (uint32_t i = 0; i < p->edge_count; i++) {
        const struct plan_edge *e = &p->edges[i];
        const struct plan_node *source = &p->nodes[e->source];
        ASSERT(e->source < p->node_count && e->target < p->node_count);
        ASSERT(e->handle < source->handle_count || e->handle >= HANDLE_ANY);
        ASSERT(e->handle != HANDLE_LIMIT || source->heads >= 0);
        ASSERT(e->back_of < 0 || p->loops[e->back_of].header == e->target);
        for (uint32_t k = 0; k < e->leaves_count; k++) {
            ASSERT(in_body(&p->loops[e->leaves[k]], e->source));
            ASSERT(!in_body(&p->loops[e->leaves[k]], e->target));
        }
    }
}

static void check_plan(const struct plan *p) {
    ASSERT(p->node_count > 0 && strlen(p->hash) == 64 && p->file_count > 0);
    check_edges(p);
    for (uint32_t i = 0; i < p->node_count; i++) {
        const struct plan_node *n = &p->nodes[i];
        ASSERT(plan_node_find(p, n->name) == (int64_t)i && n->kind && n->index == i);
        ASSERT(n->retry.attempts >= 1);
        for (uint32_t k = 0; k < n->in_count_edges; k++) {
            ASSERT(p->edges[n->in_edges[k]].target == i && p->edges[n->in_edges[k]].back_of < 0);
        }
    }
    for (uint32_t i = 0; i < p->loop_count; i++) {
        const struct plan_loop *l = &p->loops[i];
        ASSERT(l->back_count > 0 && in_body(l, l->header));
        ASSERT(p->nodes[l->header].heads == (int32_t)i && l->max_iterations > 0);
        ASSERT(i == 0 || p->loops[i - 1].body_count <= l->body_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct plan *plans[2] = {NULL, NULL};
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {.ctx = &text, .read = read_input},
                                 .kinds = flow_test_kinds};
    for (int i = 0; i < 2; i++) {
        struct arena a;
        struct diag d;
        arena_init(&a, 0);
        diag_init(&d, &a);
        enum err err = flow_compile(&source, &plans[i], &d, NULL);
        ASSERT(err == OK || err == ERR_INVALID);
        if (err) {
            check_findings(&d);
        } else {
            check_plan(plans[i]);
        }
        arena_fini(&a);
    }
    ASSERT(!plans[0] == !plans[1]);
    if (plans[0]) {
        ASSERT(strcmp(plans[0]->hash, plans[1]->hash) == 0);
        ASSERT(plans[0]->ref_count == plans[1]->ref_count);
    }
    plan_free(plans[0]);
    plan_free(plans[1]);
    return 0;
}

/* What an execution came to, as text, for comparing with the undisturbed run.
 */
#include "sim.h"

/* A value without what an error tells beside its node: a crash makes more attempts, and it is a
 * matter of time which item of a foreach, or step of a sub-workflow, fails first. */
static struct value timeless(struct value v, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    if (v.type == VALUE_LIST) {
        for (size_t i = 0; i < value_count(v); i++) {
            value_list_add(&b, timeless(v.items[i], a));
        }
        return value_list_done(&b);
    }
    if (v.type != VALUE_MAP) {
        return v;
    }
    for (size_t i = 0; i < value_count(v); i++) {
        struct str key = value_str(v.pairs[i].key);
        if (!str_is(key, "attempt") && !str_is(key, "message") && !str_is(key, "type")) {
            value_map_add(&b, key, timeless(v.pairs[i].val, a));
        }
    }
    return value_map_done(&b);
}

static void print_value(struct value v, struct buf *out) {
    struct arena a;
    arena_init(&a, 0);
    value_print_canonical(timeless(v, &a), out);
    arena_fini(&a);
}

/* A variable: a number, or sum and number of what was appended, whose order is a matter of time. */
static void print_sum(struct value v, struct buf *out) {
    int64_t sum = v.type == VALUE_INT ? v.num : 0;
    for (size_t i = 0; v.type == VALUE_LIST && i < value_count(v); i++) {
        sum += v.items[i].type == VALUE_INT ? v.items[i].num : 0;
    }
    buf_printf(out, "var %lld %u\n", (long long)sum, v.type == VALUE_INT ? 0 : v.extra);
}

static uint32_t iteration_of(const struct engine *g, uint32_t node) {
    uint32_t iteration = 0;
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        bool same = str_eq(t->plan->nodes[t->step.node].name, engine_plan(g)->nodes[node].name);
        if (same && !t->undone && t->step.iteration > iteration) {
            iteration = t->step.iteration;
        }
    }
    return iteration;
}

/* Which items of a foreach that fails complete before, and so are undone, is a matter of time. */
static bool undoes(const struct plan *p, uint32_t node) {
    while (p->nodes[node].role && p->nodes[node].role != ROLE_COMPENSATE &&
           p->nodes[node].owner >= 0) {
        node = (uint32_t)p->nodes[node].owner;
    }
    return p->nodes[node].role == ROLE_COMPENSATE;
}

enum err outcome_print(struct world *w, const struct seen_execution *x, struct buf *out,
                       struct error *e) {
    struct host_view v;
    enum err err = x->quarantined
                       ? ERR_QUARANTINED
                       : host_view_open(w->disk, recipe_kinds(w->recipe), str_from(x->id), &v, e);
    if (err == ERR_QUARANTINED) {
        buf_append_cstr(out, "quarantined\n");
        return OK;
    }
    if (err) {
        return err;
    }
    enum exec_status status = engine_status(v.engine);
    buf_printf(out, "%s\n", exec_status_name(status));
    bool whole = status == EXEC_COMPLETED || status == EXEC_PARTIAL || w->recipe->keeps_going;
    if (whole) {
        print_value(engine_result(v.engine), out);
        buf_append_char(out, '\n');
    }
    for (uint32_t i = 0; whole && i < v.plan->node_count; i++) {
        if (undoes(v.plan, i)) {
            continue;
        }
        buf_printf(out, "%.*s#%u %s ", STR_ARG(v.plan->nodes[i].name), iteration_of(v.engine, i),
                   step_status_name(engine_node_status(v.engine, i)));
        print_value(engine_node_body(v.engine, i), out);
        buf_append_char(out, '\n');
    }
    for (uint32_t i = 0; whole && i < v.plan->var_count; i++) {
        print_sum(engine_var(v.engine, i), out);
    }
    host_view_close(&v);
    return buf_ok(out) ? OK : error_nomem(e);
}

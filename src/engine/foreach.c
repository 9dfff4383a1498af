/* foreach: one step per item, the body is the list in item order. Implements model.md "foreach":
 * items evaluated once and stored, on_item_error fail or collect, drains.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine_priv.h"

void foreach_free(struct foreach_state *f) {
    if (!f) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        flight_unref(f->items[i].flight);
        held_clear(&f->items[i].body);
        held_clear(&f->items[i].error);
    }
    held_clear(&f->list);
    heap_fini(&f->due);
    free(f->items);
    free(f);
}

void foreach_skip_kept(struct foreach_state *f) {
    while (f->next < f->count && step_status_final(f->items[f->next].status)) {
        f->next++;
    }
}

static enum err fail_start(struct engine *g, uint32_t node, enum err code, const char *message,
                           struct error *e) {
    struct step_id step = {node, g->nodes[node].iteration, -1, g->nodes[node].generation};
    struct step_failure f = {
        .class = FAILURE_PERMANENT, .type = str_from(err_name(code)), .message = str_from(message)};
    return engine_attempt_failed(g, step, 0, &f, e);
}

static enum err not_a_list(const char *what, struct value v, struct error *why) {
    return error_set(why, ERR_EXPRESSION, "foreach.%s must be a list, it is %s", what,
                     value_type_name((enum value_type)v.type));
}

enum err foreach_start(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_foreach *f = &g->plan->nodes[node].foreach;
    struct names names;
    struct error why;
    struct value items = {0};
    arena_reset(&g->scratch);
    names_init(&names, g, node, &g->scratch);
    enum err err = f->axis_count ? matrix_items(f, &names.env, &items, &why)
                                 : pval_eval(&f->items, &names.env, &items, &why);
    if (!err && items.type != VALUE_LIST) {
        err = not_a_list("items", items, &why);
    }
    if (!err && value_count(items) > f->max_items) {
        err = error_set(&why, ERR_LIMIT, "foreach has %zu items, more than max_items %u",
                        value_count(items), f->max_items);
    }
    if (err) {
        return err == ERR_NOMEM ? error_nomem(e) : fail_start(g, node, err, why.message, e);
    }
    struct event ev = event_of_node(g, EVENT_FOREACH_STARTED, node);
    ev.inputs = items;
    return engine_emit(g, &ev, e);
}

static enum err cancel_effect(struct engine *g, struct step_id step, uint32_t attempt,
                              struct error *e) {
    struct engine_effect fx = {.type = OUT_CANCEL,
                               .step = step,
                               .attempt = attempt,
                               .flight = engine_item_of(g, step)->flight};
    return g->plan->nodes[step.node].pure ? OK : engine_emit_effect(g, &fx, e);
}

enum err foreach_cancel_items(struct engine *g, uint32_t node, bool running_too, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    struct event ev = event_of_node(g, EVENT_ITEMS_CANCELLED, node);
    uint32_t started = f->next;
    for (uint32_t i = 0; i < started; i++) {
        bool waits = f->items[i].status == STEP_WAITING;
        if (step_status_final(f->items[i].status) || !(running_too || waits)) {
            continue;
        }
        struct event one = event_of_step(EVENT_STEP_CANCELLED, ev.step);
        one.step.index = i;
        bool stop = f->items[i].status == STEP_RUNNING;
        enum err err = stop ? cancel_effect(g, one.step, f->items[i].attempt, e) : OK;
        err = err ? err : engine_emit(g, &one, e);
        if (err) {
            return err;
        }
    }
    if (started == f->count) {
        return OK;
    }
    ev.first = started;
    ev.count = f->count - started;
    return engine_emit(g, &ev, e);
}

/* The failure of the foreach that its item's failure is. */
static enum err fail_foreach(struct engine *g, uint32_t node, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    uint32_t i = 0;
    while (f->items[i].status != STEP_FAILED) {
        i++;
    }
    const struct value *type = value_get(f->items[i].error.v, STR("type"));
    const struct value *message = value_get(f->items[i].error.v, STR("message"));
    char text[ERROR_MESSAGE_BYTES];
    struct str why = message ? value_str(*message) : STR("");
    snprintf(text, sizeof text, "item %u: %.*s", i, (int)(why.len < 900 ? why.len : 900), why.ptr);
    struct step_id step = {node, g->nodes[node].iteration, -1, g->nodes[node].generation};
    struct step_failure failure = {.class = FAILURE_PERMANENT,
                                   .type = type ? value_str(*type) : STR("failed"),
                                   .message = str_from(text)};
    return engine_attempt_failed(g, step, 0, &failure, e);
}

static bool any_cancelled(const struct foreach_state *f) {
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->items[i].status == STEP_CANCELLED) {
            return true;
        }
    }
    return false;
}

enum err foreach_settle(struct engine *g, uint32_t node, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    if (!f || step_status_final(g->nodes[node].status) || g->nodes[node].aided) {
        return OK;
    }
    if (f->failed && !g->plan->nodes[node].foreach.collect) {
        enum err err = foreach_cancel_items(g, node, true, e);
        return err ? err : fail_foreach(g, node, e);
    }
    if (f->unfinished > 0) {
        return OK;
    }
    bool cancelled = g->mode != MODE_RUN && any_cancelled(f);
    struct event ev =
        event_of_node(g, cancelled ? EVENT_STEP_CANCELLED : EVENT_STEP_COMPLETED, node);
    enum err err = engine_emit_end(g, &ev, e);
    return err || cancelled ? err : engine_checkpoint_node(g, node, e);
}

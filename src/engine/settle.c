/* Settling: what follows from an event, decided in a fixed order until nothing changes: limits of
 * loops, then joins, guards and skips in file order, then (only when all that is quiet) the
 * innermost loop that may repeat. Implements model.md "Scheduling"; changes state by events alone.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

/* Back edges that would be taken at max_iterations count as dead that moment. */
static enum err refuse_backs(struct engine *g, uint32_t loop, struct error *e) {
    const struct plan_loop *l = &g->plan->loops[loop];
    for (uint32_t i = 0; i < l->back_count; i++) {
        if (g->effective[l->backs[i]] != EDGE_TAKEN || g->loops[loop].count < l->max_iterations) {
            continue;
        }
        bool first = !g->loops[loop].hit;
        struct event ev = event_of_node(g, EVENT_LOOP_LIMIT, l->header);
        ev.edge = l->backs[i];
        enum err err = engine_emit(g, &ev, e);
        if (!err && first && l->on_limit == ON_LIMIT_FAIL) {
            const struct plan_node *header = &g->plan->nodes[l->header];
            char text[200];
            int n = snprintf(text, sizeof text, "the loop ran %u times, its max_iterations",
                             g->loops[loop].count);
            err = engine_fail_execution(g, STR("loop_limit"), (struct str){text, (size_t)n},
                                        header->name, 0, e);
        }
        if (err || g->mode != MODE_RUN) {
            return err;
        }
    }
    return OK;
}

static enum err settle_limits(struct engine *g, struct error *e) {
    while (g->limits.count && g->mode == MODE_RUN) {
        enum err err = refuse_backs(g, heap_pop(&g->limits), e);
        if (err) {
            return err;
        }
    }
    return OK;
}

static enum err skip(struct engine *g, uint32_t node, const char *reason, struct error *e) {
    struct event ev = event_of_node(g, EVENT_STEP_SKIPPED, node);
    ev.reason = str_from(reason);
    return engine_emit_end(g, &ev, e);
}

static struct step_failure expression_failure(const struct error *x) {
    return (struct step_failure){.class = FAILURE_PERMANENT,
                                 .type = str_from(err_name(x->code)),
                                 .message = str_from(x->message)};
}

/* `if` is evaluated when the node is ready, before a slot. */
static enum err guard(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[node];
    struct names names;
    struct error why;
    bool pass = false;
    arena_reset(&g->scratch);
    names_init(&names, g, node, &g->scratch);
    enum err err = expr_eval_bool(p->guard, &names.env, &pass, &why);
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (err) {
        struct step_failure f = expression_failure(&why);
        struct step_id id = {node, g->nodes[node].iteration, -1, g->nodes[node].generation};
        return engine_attempt_failed(g, id, 0, &f, e);
    }
    if (!pass) {
        return skip(g, node, "guard", e);
    }
    struct event ev = event_of_node(g, EVENT_STEP_READY, node);
    return engine_emit(g, &ev, e);
}

static enum err settle_node(struct engine *g, uint32_t node, bool quiet, struct error *e) {
    struct node_state *n = &g->nodes[node];
    n->dirty = false;
    if (n->status != STEP_PENDING || n->ready) {
        return OK;
    }
    switch (engine_node_join(g, node)) {
    case JOIN_IS_WAIT: return OK;
    case JOIN_IS_SKIP: return quiet ? OK : skip(g, node, "dead", e);
    case JOIN_IS_READY: break;
    }
    if (g->plan->nodes[node].guard && !n->guarded) {
        return quiet ? OK : guard(g, node, e);
    }
    return engine_make_ready(g, node, e);
}

/* One pass over the nodes that something happened to, in file order. */
static enum err settle_nodes(struct engine *g, bool quiet, struct error *e) {
    enum err err = OK;
    g->in_pass = true;
    while (g->now_dirty.count && !err) {
        g->pass_at = heap_pop(&g->now_dirty);
        err = settle_node(g, g->pass_at, quiet, e);
        if (g->mode != MODE_RUN) {
            break;
        }
    }
    g->in_pass = false;
    struct heap done = g->now_dirty;
    if (done.count == 0) {
        g->now_dirty = g->next_dirty;
        g->next_dirty = done;
    }
    return err;
}

static enum err repeat_one(struct engine *g, bool *out_repeated, struct error *e) {
    while (g->rearm.count) {
        uint32_t loop = heap_pop(&g->rearm);
        g->loops[loop].queued = false;
        if (!engine_loop_may_repeat(g, loop)) {
            continue;
        }
        struct event ev = event_of_node(g, EVENT_LOOP_REPEATED, g->plan->loops[loop].header);
        ev.count = g->loops[loop].count + 1;
        *out_repeated = true;
        return engine_emit(g, &ev, e);
    }
    *out_repeated = false;
    return OK;
}

static enum err settle_once(struct engine *g, struct error *e) {
    bool again = true;
    while (again && g->mode == MODE_RUN) {
        enum err err = settle_limits(g, e);
        if (!err && g->mode == MODE_RUN && g->now_dirty.count) {
            err = settle_nodes(g, false, e);
        } else if (!err && g->mode == MODE_RUN) {
            err = repeat_one(g, &again, e);
        }
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err engine_settle(struct engine *g, struct error *e) {
    bool again = true;
    while (again) {
        enum err err = settle_once(g, e);
        again = false;
        if (!err && g->mode != MODE_STOPPED) {
            err = engine_start_ready(g, &again, e);
        }
        if (err) {
            return err;
        }
    }
    return OK;
}

/* While folding, events tell what was decided; what was not recorded (which nodes are ready, which
 * pure steps were begun) is found again below, at the same points as when it was decided. */

static enum err settle_dirty(struct engine *g, struct error *e) {
    enum err err = OK;
    while (!err && g->mode == MODE_RUN && g->now_dirty.count) {
        err = settle_nodes(g, true, e);
    }
    return err;
}

enum err engine_settle_quietly(struct engine *g, struct error *e) {
    if (g->status == EXEC_PENDING || exec_status_final(g->status) || g->unsettled) {
        g->starting = false; /* what goes on from here begins in a turn of its own */
        return OK;
    }
    enum err err = g->starting ? engine_begin_quietly(g, UINT32_MAX, e) : OK;
    err = err ? err : settle_dirty(g, e);
    g->starting = false;
    return err ? err : engine_begin_quietly(g, UINT32_MAX, e);
}

static bool is_pending(const struct engine *g, struct step_id s) {
    const struct item_state *item = engine_item_of(g, s);
    return s.index >= 0 ? item && item->status == STEP_PENDING
                        : g->nodes[s.node].status == STEP_PENDING;
}

/* A retry that was due and would exceed a budget: what has a lower rank began before that. */
static bool is_held_back(const struct engine *g, const struct event *ev) {
    return ev->kind == EVENT_BUDGET_EXCEEDED && engine_step_status(g, ev->step) == STEP_RETRYING;
}

/* The turns of a decision, by its events:
 *   settling: skipped, ready, repeated, limit, a guard that failed
 *   starting: scheduled, foreach started, a start that failed or was over a budget (of a step
 *     that was pending)
 *   neither:  what follows from one of these (an execution fails, steps are cancelled ...) */
enum turn { TURN_NEITHER, TURN_SETTLING, TURN_STARTING };

static enum turn turn_of(const struct engine *g, const struct event *ev) {
    if (ev->kind == EVENT_STEP_SKIPPED || ev->kind == EVENT_STEP_READY ||
        ev->kind == EVENT_LOOP_REPEATED || ev->kind == EVENT_LOOP_LIMIT) {
        return TURN_SETTLING;
    }
    bool starts = ev->kind == EVENT_STEP_SCHEDULED || ev->kind == EVENT_STEP_WAITING ||
                  ev->kind == EVENT_FOREACH_STARTED || ev->kind == EVENT_BUDGET_EXCEEDED;
    bool ends = ev->kind == EVENT_STEP_FAILED || ev->kind == EVENT_STEP_COMPLETED ||
                ev->kind == EVENT_STEP_SUSPENDED ||
                (ev->kind == EVENT_STEP_AIDED && ev->role != ROLE_COMPENSATE);
    if (is_held_back(g, ev)) {
        return TURN_STARTING;
    }
    if (!(starts || ends) || ev->step.node >= g->plan->node_count || !is_pending(g, ev->step)) {
        return TURN_NEITHER;
    }
    bool guard = g->plan->nodes[ev->step.node].guard && !g->nodes[ev->step.node].guarded;
    return ends && guard ? TURN_SETTLING : TURN_STARTING;
}

/* Within a decision nodes are settled, then what is ready starts in order of rank, and so on in
 * turns. Pure steps begin without an event: before the next event of a higher rank, and all of them
 * before nodes are settled again. */
enum err engine_catch_up(struct engine *g, const struct event *ev, struct error *e) {
    if (!ev->follows) {
        return engine_settle_quietly(g, e);
    }
    enum turn turn = turn_of(g, ev);
    enum err err = OK;
    if (turn == TURN_SETTLING && g->starting) {
        g->starting = false;
        return engine_begin_quietly(g, UINT32_MAX, e);
    }
    if (turn != TURN_STARTING) {
        return OK;
    }
    bool same_turn = ev->step.index >= 0 || g->nodes[ev->step.node].ready || is_held_back(g, ev);
    if (g->starting && !same_turn) {
        err = engine_begin_quietly(g, UINT32_MAX, e);
    }
    if (!err && (!g->starting || !same_turn)) {
        err = settle_dirty(g, e);
    }
    g->starting = true;
    return err ? err : engine_begin_quietly(g, g->order[ev->step.node], e);
}

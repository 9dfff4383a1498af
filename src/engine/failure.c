/* What a failure does. The order is model.md's: retries; then `error` edges; then on_error; then
 * recover (recover.c); then the workflow's on_failure. The table below is the whole rule.
 */
#include <math.h>
#include <stdio.h>

#include "engine/engine_priv.h"

/* has error edge | on_error  -> effect
 *      yes       | (none)    -> handled: failed, its error edges are taken
 *      no        | value     -> completed with the value, meta.error kept
 *      no        | continue  -> failed, its edges die; the execution ends partial at best
 *      no        | fail      -> failed, its edges die, the execution fails (on_failure) */
static enum failure_effect failure_effect(const struct plan_node *p) {
    bool others = p->role && p->role != ROLE_FINALLY; /* its failure is its subject's */
    if (others && p->on_error == ON_ERROR_FAIL) {
        return EFFECT_HANDLED;
    }
    if (p->has_error_edge) {
        return EFFECT_HANDLED;
    }
    switch (p->on_error) {
    case ON_ERROR_VALUE: return EFFECT_VALUE;
    case ON_ERROR_CONTINUE: return EFFECT_CONTINUE;
    case ON_ERROR_FAIL: break;
    }
    return EFFECT_FAIL;
}

/* retry.on names types, classes, or any. What is in doubt is tried again only by its name. */
static bool retry_listed(const struct retry_policy *r, const struct step_failure *f) {
    static const char *const classes[] = {
        [FAILURE_PERMANENT] = "permanent", [FAILURE_TRANSIENT] = "transient"};
    bool in_doubt = str_is(f->type, "in_doubt");
    for (uint32_t i = 0; i < r->on_count; i++) {
        bool by_class = str_is(r->on[i], classes[f->class]) || str_is(r->on[i], "any");
        if (str_eq(r->on[i], f->type) || (by_class && !in_doubt)) {
            return true;
        }
    }
    return r->on_count == 0 && f->class == FAILURE_TRANSIENT && !in_doubt;
}

/* An effect that is done at most once is not done again because its result was refused. */
static bool may_retry(const struct plan_node *p, const struct step_failure *f) {
    if (str_is(f->type, "budget") || approval_refused(f->type)) {
        return false; /* nothing would be different */
    }
    bool once = p->delivery == DELIVERY_AT_MOST_ONCE && !p->pure;
    return retry_listed(&p->retry, f) && (!once || str_is(f->type, "in_doubt"));
}

/* backoff * factor^(n-1), at most max, moved by up to +-jitter of itself. The jitter is a hash of
 * step and attempt, so a fold finds the same. */
static int64_t retry_delay_us(const struct engine *g, struct step_id step, uint32_t failures) {
    const struct retry_policy *r = &g->plan->nodes[step.node].retry;
    double delay = (double)r->backoff_us * pow(r->factor, failures - 1);
    if (r->max_us && delay > (double)r->max_us) {
        delay = (double)r->max_us;
    }
    char text[STEP_ID_BYTES];
    uint64_t hash =
        hash_bytes(step_id_print(g->plan, step, text), failures) ^ hash_bytes(g->id, failures);
    double unit = (double)(hash >> 11) / (double)(1ull << 53);
    delay *= 1 + r->jitter * (2 * unit - 1);
    return delay > 9e15 ? (int64_t)9e15 : (int64_t)delay;
}

static enum err retry(struct engine *g, struct step_id step, uint32_t attempt,
                      const struct step_failure *f, struct error *e) {
    struct item_state *item = engine_item_of(g, step);
    uint32_t failures = (item ? item->failures : g->nodes[step.node].failures) + 1;
    struct event ev = event_of_step(EVENT_STEP_RETRYING, step);
    int64_t delay_us = retry_delay_us(g, step, failures);
    delay_us = f->retry_after_us > delay_us ? f->retry_after_us : delay_us;
    ev.forget = f->forget_calls;
    ev.attempt = attempt;
    ev.due_us = g->now.us + delay_us;
    ev.error_type = f->type;
    ev.message = f->message;
    ev.meta = f->meta; /* what it used was paid for */
    enum err err = engine_emit(g, &ev, e);
    if (err || (delay_us == 0 && !g->paused)) {
        return err ? err : engine_schedule(g, step, attempt + 1, e);
    }
    struct engine_effect fx = {.type = OUT_TIMER,
                               .step = step,
                               .attempt = attempt,
                               .timer = INPUT_RETRY_DUE,
                               .due = {ev.due_us}};
    return engine_emit_effect(g, &fx, e);
}

enum err engine_fail_execution(struct engine *g, struct str type, struct str message,
                               struct str node, uint32_t attempt, struct error *e) {
    static const uint64_t modes[] = {
        [ON_FAILURE_CONTINUE] = 0, [ON_FAILURE_DRAIN] = 1, [ON_FAILURE_CANCEL] = 2};
    struct event ev = {.kind = EVENT_EXECUTION_FAILING,
                       .error_type = type,
                       .message = message,
                       .node = node,
                       .attempt = attempt,
                       .undo = g->want_undo,
                       .mode = modes[g->plan->on_failure]};
    bool running = g->mode == MODE_RUN;
    if (g->phase != PHASE_MAIN) {
        ev.mode = 0; /* what else runs last still does */
    }
    if (g->phase != PHASE_MAIN && g->cancelling) {
        return OK;
    }
    g->want_undo = false;
    bool asks = ev.undo && !g->undo_asked;
    if (g->has_error && !asks && !(running && ev.mode)) {
        return OK; /* the first failure is the error, and nothing else changes */
    }
    enum err err = engine_emit(g, &ev, e);
    return err || !running || !ev.mode ? err : engine_wind_down(g, ev.mode == 2, e);
}

static enum err complete_with_value(struct engine *g, struct step_id step, uint32_t attempt,
                                    const struct step_failure *f, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct names names;
    struct error why;
    struct event ev = event_of_step(EVENT_STEP_COMPLETED, step);
    arena_reset(&g->scratch);
    names_init(&names, g, step.node, &g->scratch);
    enum err err = pval_eval(&p->on_error_value, &names.env, &ev.body, &why);
    err = err ? err : vars_eval(g, step, ev.body, &ev.set, &why);
    if (err) {
        struct event failed = event_of_step(EVENT_STEP_FAILED, step);
        failed.attempt = attempt;
        failed.error_type = str_from(err_name(err));
        failed.message = str_from(why.message);
        failed.effect = p->role && p->role != ROLE_FINALLY ? EFFECT_HANDLED : EFFECT_FAIL;
        err = engine_emit_end(g, &failed, e);
        return err || failed.effect != EFFECT_FAIL
                   ? err
                   : engine_fail_execution(g, failed.error_type, failed.message, p->name, attempt,
                                           e);
    }
    if (p->handle_count > 1 && ev.body.type == VALUE_TEXT) {
        ev.handle = value_str(ev.body);
    }
    struct track_more what = {.error_type = f->type, .error_message = f->message};
    struct track t = {.more = &what, .attempt = attempt};
    struct value_builder meta;
    value_builder_init(&meta, &g->scratch);
    value_map_add(&meta, STR("error"), engine_error_value(&g->scratch, &t, p->name));
    ev.meta = value_map_done(&meta);
    ev.attempt = attempt;
    ev.error_type = f->type;
    ev.message = f->message;
    err = meta.ok ? engine_emit_end(g, &ev, e) : error_nomem(e);
    return err ? err : engine_checkpoint_node(g, step.node, e);
}

static enum err fail_node(struct engine *g, struct step_id step, uint32_t attempt,
                          const struct step_failure *f, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    enum failure_effect effect = failure_effect(p);
    if (effect == EFFECT_VALUE) {
        return complete_with_value(g, step, attempt, f, e);
    }
    struct event ev = event_of_step(EVENT_STEP_FAILED, step);
    ev.attempt = attempt;
    ev.effect = effect;
    ev.error_type = f->type;
    ev.message = f->message;
    ev.meta = f->meta;
    enum err err = engine_emit_end(g, &ev, e);
    if (err || effect != EFFECT_FAIL) {
        return err;
    }
    return engine_fail_execution(g, f->type, f->message, p->name, attempt, e);
}

enum err engine_attempt_failed(struct engine *g, struct step_id step, uint32_t attempt,
                               const struct step_failure *f, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct item_state *item = engine_item_of(g, step);
    uint32_t failures = item ? item->failures : g->nodes[step.node].failures;
    if (attempt > 0 && failures + 1 < p->retry.attempts && may_retry(p, f) &&
        g->mode != MODE_STOPPED) {
        return retry(g, step, attempt, f, e);
    }
    return engine_attempts_over(g, step, attempt, f, e);
}

enum err engine_attempts_over(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_failure *f, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    const struct item_state *item = engine_item_of(g, step);
    bool aided = g->nodes[step.node].aided == ROLE_FALLBACK; /* and that failed, too */
    if (step.index < 0 && p->aux[ROLE_FALLBACK] >= 0 && !aided && g->mode == MODE_RUN) {
        return engine_aid(g, step, attempt, ROLE_FALLBACK, f, e);
    }
    bool by_all = item && (p->foreach.collect || p->aux[ROLE_FALLBACK] >= 0);
    bool handled = failure_effect(p) != EFFECT_FAIL || by_all;
    bool done = false;
    if (!handled && g->mode == MODE_RUN) {
        struct failed_step failed = {step, attempt, f, 0};
        enum err err = engine_recover(g, &failed, &done, e);
        if (err || done) {
            return err;
        }
    }
    return engine_fail_for_good(g, step, attempt, f, e);
}

enum err engine_fail_for_good(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_failure *f, struct error *e) {
    if (step.index < 0) {
        return fail_node(g, step, attempt, f, e);
    }
    struct event ev = event_of_step(EVENT_STEP_FAILED, step);
    ev.attempt = attempt;
    ev.error_type = f->type;
    ev.message = f->message;
    ev.meta = f->meta;
    enum err err = engine_emit(g, &ev, e);
    return err ? err : foreach_settle(g, step.node, e);
}

static enum err cancel_node(struct engine *g, uint32_t node, struct error *e) {
    struct node_state *n = &g->nodes[node];
    struct event ev = event_of_node(g, EVENT_STEP_CANCELLED, node);
    if (n->status == STEP_RUNNING && !n->each && !n->aided && !g->plan->nodes[node].pure) {
        struct engine_effect fx = {
            .type = OUT_CANCEL, .step = ev.step, .attempt = n->attempt, .flight = n->flight};
        enum err err = engine_emit_effect(g, &fx, e);
        if (err) {
            return err;
        }
    }
    return engine_emit_end(g, &ev, e);
}

/* What becomes of a node when the execution winds down:
 *   pending, waiting                 -> cancelled
 *   running or retrying, drain       -> goes on to its end
 *   foreach, drain                   -> items not started or waiting are cancelled; if none is
 *                                       left, it too
 *   running or retrying, cancel      -> cancelled, its effect is stopped
 *   another node runs for it         -> ends as that does */
enum err engine_wind_down(struct engine *g, bool running_too, struct error *e) {
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        struct node_state *n = &g->nodes[i];
        bool cancel = n->status == STEP_PENDING || n->status == STEP_WAITING;
        enum err err = OK;
        if (!cancel && !step_status_final(n->status)) {
            bool items = n->each && !n->aided;
            err = items ? foreach_cancel_items(g, i, running_too, e) : OK;
            cancel = running_too || (items && n->each->unfinished == 0);
        }
        if (!err && cancel) {
            err = cancel_node(g, i, e);
        }
        if (err) {
            return err;
        }
    }
    return OK;
}

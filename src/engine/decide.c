/* decide: one input in, events and effects out. One function per input, found by a table; after
 * it the state settles, and the execution ends if nothing is left.
 */
#include <stdio.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

typedef enum err (*input_fn)(struct engine *g, const struct engine_input *in, struct error *e);

static bool running_attempt(const struct engine *g, const struct engine_input *in) {
    return engine_runs(g, in->step, in->attempt);
}

static enum err on_create(struct engine *g, const struct engine_input *in, struct error *e) {
    struct event ev = *in->created;
    ev.kind = EVENT_EXECUTION_CREATED;
    ev.rules = ENGINE_RULES;
    return engine_emit(g, &ev, e);
}

static enum err tell_timer(struct engine *g, struct step_id step, uint32_t attempt,
                           enum input_type timer, int64_t due_us, struct error *e) {
    struct engine_effect fx = {
        .type = OUT_TIMER, .step = step, .attempt = attempt, .timer = timer, .due = {due_us}};
    return engine_emit_effect(g, &fx, e);
}

static enum err tell_exec_timeout(struct engine *g, struct error *e) {
    wall_us due = engine_deadline(g);
    return due.us ? tell_timer(g, (struct step_id){0}, 0, INPUT_EXEC_TIMEOUT, due.us, e) : OK;
}

/* This host has begun it, when a request was decided on before it was told that it owns all. */
static bool begun_here(const struct engine *g, const struct engine_input *in, struct step_id step) {
    const struct track *t = in->folded ? engine_track_find(g, step) : NULL;
    return t && t->seq > in->folded;
}

/* What is under way in a step is told again; a new owner makes a new attempt of it. */
static enum err tell_step(struct engine *g, const struct engine_input *in, struct step_id step,
                          bool new_attempt, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct node_state *n = &g->nodes[step.node];
    struct item_state *item = engine_item_of(g, step);
    uint8_t status = item ? item->status : n->status;
    uint32_t attempt = item ? item->attempt : n->attempt;
    if (status == STEP_RETRYING && !MUTANT(drop_timer_on_restore)) {
        return tell_timer(g, step, attempt, INPUT_RETRY_DUE, item ? item->due_us : n->due_us, e);
    }
    if (status == STEP_WAITING) {
        return engine_tell_wait(g, step, attempt, item ? item->due_us : n->due_us, e);
    }
    bool completed = MUTANT(rerun_completed_step) && status == STEP_COMPLETED;
    bool aided = !item && n->aided; /* what runs for it is told by itself */
    if ((status != STEP_RUNNING && !completed) || aided || begun_here(g, in, step)) {
        return OK;
    }
    struct engine_effect fx = {.type = OUT_EVAL, .step = step, .attempt = attempt};
    if (p->pure) {
        return engine_emit_effect(g, &fx, e);
    }
    if (new_attempt && p->delivery == DELIVERY_AT_MOST_ONCE) {
        struct step_failure f = {
            .class = FAILURE_PERMANENT,
            .type = STR("in_doubt"),
            .message = STR("the owner ended while the step ran; whether it took effect is "
                           "unknown, and delivery is at_most_once")};
        return engine_attempt_failed(g, step, attempt, &f, e);
    }
    if (new_attempt) {
        return engine_schedule(g, step, attempt + 1, e);
    }
    fx.type = OUT_PERFORM;
    fx.flight = item ? item->flight : n->flight;
    return engine_emit_effect(g, &fx, e);
}

static enum err tell_again(struct engine *g, const struct engine_input *in, bool new_attempt,
                           struct error *e) {
    enum err err = tell_exec_timeout(g, e);
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        struct node_state *n = &g->nodes[i];
        struct step_id step = {i, n->iteration, -1, n->generation};
        if (!n->each) {
            err = tell_step(g, in, step, new_attempt, e);
        }
        for (uint32_t k = 0; n->each && k < n->each->next && !err; k++) {
            step.index = k;
            err = tell_step(g, in, step, new_attempt, e);
        }
    }
    return err;
}

static enum err on_start(struct engine *g, const struct engine_input *in, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_STARTED, .host = in->host, .epoch = in->epoch};
    bool began = in->folded && g->epoch == in->epoch && !g->unsettled;
    if (exec_status_final(g->status) || began) {
        return OK; /* a request that came before ended it, or went back and began it from there */
    }
    enum err err = engine_emit(g, &ev, e);
    err = err ? err : engine_check_vars(g, e);
    return err || exec_status_final(g->status) ? err : tell_again(g, in, true, e);
}

static enum err on_refresh(struct engine *g, const struct engine_input *in, struct error *e) {
    return g->status == EXEC_PENDING ? OK : tell_again(g, in, false, e);
}

static enum err eval_step(struct engine *g, const struct engine_input *in, struct flight *f,
                          struct error *e) {
    const struct plan_node *p = &g->plan->nodes[in->step.node];
    struct step_result result = {.arena = flight_arena(f)};
    struct error why;
    enum err err = flight_resolve(g, f, NULL, &why);
    if (!err) {
        err = flight_made(f, p->kind->eval(flight_in(f), &result, &why));
    }
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (err) {
        struct step_failure failure = {.class = err == ERR_TRANSIENT ? FAILURE_TRANSIENT
                                                                     : FAILURE_PERMANENT,
                                       .type = str_from(err_name(err)),
                                       .message = str_from(why.message)};
        return engine_attempt_failed(g, in->step, in->attempt, &failure, e);
    }
    return engine_complete_step(g, in->step, in->attempt, &result, g->now, e);
}

static enum err on_eval(struct engine *g, const struct engine_input *in, struct error *e) {
    if (!running_attempt(g, in)) {
        return OK;
    }
    struct flight *f;
    enum err err = flight_new(g, in->step, in->attempt, &f, e);
    if (err) {
        return err;
    }
    err = eval_step(g, in, f, e);
    flight_unref(f);
    return err;
}

static bool is_cancelled(const struct engine *g, struct step_id step) {
    if (step.node >= g->plan->node_count) {
        return false;
    }
    if (!step_current(g, step)) { /* a rollback stopped it */
        const struct track_slot *s = track_past(g, step);
        return s && s->t.undone && s->t.status == STEP_CANCELLED;
    }
    const struct item_state *item = engine_item_of(g, step);
    return step.index >= 0 ? item && item->status == STEP_CANCELLED
                           : g->nodes[step.node].status == STEP_CANCELLED;
}

/* A result that comes after its step was cancelled is kept once, for its usage. */
static enum err late(struct engine *g, const struct engine_input *in, struct error *e) {
    if (value_is_null(in->result->meta) || !is_cancelled(g, in->step)) {
        return OK;
    }
    const struct track_slot *s = track_past(g, in->step);
    if (s && !value_is_null(s->t.meta)) {
        return OK;
    }
    struct event ev = event_of_step(EVENT_LATE_RESULT, in->step);
    ev.attempt = in->attempt;
    ev.meta = in->result->meta;
    return engine_emit(g, &ev, e);
}

static enum err on_done(struct engine *g, const struct engine_input *in, struct error *e) {
    if (!running_attempt(g, in)) {
        return late(g, in, e);
    }
    return engine_complete_step(g, in->step, in->attempt, in->result, in->started, e);
}

/* at_most_once: whatever fails after it was handed over leaves open whether it took effect. */
static enum err effect_failed(struct engine *g, const struct engine_input *in,
                              const struct step_failure *f, struct error *e) {
    if (g->plan->nodes[in->step.node].delivery != DELIVERY_AT_MOST_ONCE) {
        return engine_attempt_failed(g, in->step, in->attempt, f, e);
    }
    char text[ERROR_MESSAGE_BYTES];
    struct str type = str_sub(f->type, 0, 60), message = str_sub(f->message, 0, 800);
    int n = snprintf(text, sizeof text,
                     "%.*s: %.*s (delivery is at_most_once: whether it took effect is unknown)",
                     STR_ARG(type), STR_ARG(message));
    struct step_failure doubt = {.class = FAILURE_PERMANENT,
                                 .type = STR("in_doubt"),
                                 .message = {text, (size_t)n},
                                 .meta = f->meta};
    return engine_attempt_failed(g, in->step, in->attempt, &doubt, e);
}

static enum err on_fail(struct engine *g, const struct engine_input *in, struct error *e) {
    return running_attempt(g, in) ? effect_failed(g, in, in->failure, e) : OK;
}

enum err engine_retry_due(struct engine *g, struct step_id step, uint32_t attempt,
                          struct error *e) {
    if (step.node >= g->plan->node_count || !step_current(g, step)) {
        return OK;
    }
    struct node_state *n = &g->nodes[step.node];
    struct item_state *item = engine_item_of(g, step);
    bool *due = item ? &item->retry_due : &n->retry_due;
    if ((item ? item->status : n->status) != STEP_RETRYING ||
        (item ? item->attempt : n->attempt) != attempt || *due) {
        return OK;
    }
    *due = true;
    bool slotted = engine_holds_slot(&g->plan->nodes[step.node]);
    bool ok = heap_push(slotted ? &g->slotted : &g->ready, g->order[step.node]);
    ok = ok && (!item || heap_push(&n->each->due, (uint32_t)step.index));
    return ok ? OK : error_nomem(e);
}

static enum err on_retry_due(struct engine *g, const struct engine_input *in, struct error *e) {
    return engine_retry_due(g, in->step, in->attempt, e);
}

/* How long the attempt may still run: the time of a sub-workflow stands still while the tree is
 * paused. What is in flight elsewhere goes on during a pause, and so does its time. */
static int64_t time_left_us(const struct engine *g, struct step_id step) {
    const struct item_state *item = engine_item_of(g, step);
    int64_t due_us = item ? item->due_us : g->nodes[step.node].due_us;
    return g->plan->nodes[step.node].child ? due_us - engine_unpaused_us(g) : 0;
}

static enum err on_step_timeout(struct engine *g, const struct engine_input *in, struct error *e) {
    if (!running_attempt(g, in)) {
        return OK;
    }
    int64_t left_us = time_left_us(g, in->step);
    if (left_us > 0) {
        return tell_timer(g, in->step, in->attempt, INPUT_STEP_TIMEOUT, g->now.us + left_us, e);
    }
    char duration[40], text[120];
    time_print_duration(g->plan->nodes[in->step.node].timeout_us, duration, sizeof duration);
    int n = snprintf(text, sizeof text, "the attempt took longer than its timeout of %s", duration);
    struct engine_effect fx = {.type = OUT_CANCEL, .step = in->step, .attempt = in->attempt};
    struct step_failure f = {
        .class = FAILURE_TRANSIENT, .type = STR("timeout"), .message = {text, (size_t)n}};
    enum err err = engine_emit_effect(g, &fx, e);
    return err ? err : effect_failed(g, in, &f, e);
}

static enum err on_exec_timeout(struct engine *g, const struct engine_input *in, struct error *e) {
    (void)in;
    wall_us due = engine_deadline(g);
    if (exec_status_final(g->status) || !due.us) {
        return OK;
    }
    if (g->now.us < due.us) {
        return tell_exec_timeout(g, e); /* a pause moved it */
    }
    char text[120];
    double seconds = (double)g->timeout_us / 1e6;
    int n = snprintf(text, sizeof text, "Execution timed out after %g seconds", seconds);
    struct event ev = {.kind = EVENT_EXECUTION_FAILING,
                       .error_type = STR("timeout"),
                       .message = {text, (size_t)n},
                       .mode = 2};
    enum err err = engine_emit(g, &ev, e);
    return err ? err : engine_wind_down(g, true, e);
}

static enum err reserved_value(struct engine *g, const struct step_charge *c, struct value *out,
                               struct error *e) {
    struct value_builder b;
    arena_reset(&g->scratch);
    value_builder_init(&b, &g->scratch);
    value_map_add(&b, STR("tokens"), value_int(c->tokens));
    value_map_add(&b, STR("usd"), value_int(c->nano_usd));
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* What was recorded may be told again after a commit whose outcome was unknown. */
static enum err on_call(struct engine *g, const struct engine_input *in, struct error *e) {
    const struct call *known = track_call_find(g, in->step, in->call);
    bool begins = in->type == INPUT_CALL_BEGUN;
    bool ours = known && known->attempt == in->attempt;
    struct engine_effect fx = {
        .type = OUT_CALL, .step = in->step, .attempt = in->attempt, .call = in->call};
    if (!running_attempt(g, in) || (begins ? ours : !ours || known->done.us)) {
        bool again = begins && ours && in->charge && running_attempt(g, in);
        return again ? engine_emit_effect(g, &fx, e) : OK;
    }
    struct event ev = event_of_step(begins ? EVENT_CALL_BEGUN : EVENT_CALL_DONE, in->step);
    ev.attempt = in->attempt;
    ev.call = in->call;
    ev.body = in->value;
    if (!in->charge || !begins) {
        return engine_emit(g, &ev, e);
    }
    enum err err = reserved_value(g, in->charge, &ev.reserved, e);
    err = err ? err : engine_emit(g, &ev, e);
    return err ? err : engine_emit_effect(g, &fx, e);
}

static enum err on_call_failed(struct engine *g, const struct engine_input *in, struct error *e) {
    const struct call *known = track_call_find(g, in->step, in->call);
    if (!running_attempt(g, in) || !known || known->attempt != in->attempt ||
        !account_call_open(g, in->step, in->call)) {
        return OK;
    }
    struct event ev = event_of_step(EVENT_CALL_FAILED, in->step);
    ev.attempt = in->attempt;
    ev.call = in->call;
    ev.meta = in->value;
    return engine_emit(g, &ev, e);
}

static enum err on_process(struct engine *g, const struct engine_input *in, struct error *e) {
    if (!running_attempt(g, in)) {
        return OK;
    }
    struct event ev = event_of_step(EVENT_STEP_PROCESS, in->step);
    ev.attempt = in->attempt;
    ev.pid = in->pid;
    ev.process_start = in->process_start;
    return engine_emit(g, &ev, e);
}

static enum err on_log(struct engine *g, const struct engine_input *in, struct error *e) {
    if (!running_attempt(g, in)) {
        return OK;
    }
    struct event ev = event_of_step(EVENT_STEP_LOG, in->step);
    ev.attempt = in->attempt;
    ev.stream = in->stream;
    ev.text = in->text;
    return engine_emit(g, &ev, e);
}

static const input_fn inputs[] = {
    [INPUT_CREATE] = on_create,
    [INPUT_START] = on_start,
    [INPUT_EVAL] = on_eval,
    [INPUT_DONE] = on_done,
    [INPUT_FAIL] = on_fail,
    [INPUT_RETRY_DUE] = on_retry_due,
    [INPUT_STEP_TIMEOUT] = on_step_timeout,
    [INPUT_EXEC_TIMEOUT] = on_exec_timeout,
    [INPUT_CANCEL] = engine_on_cancel,
    [INPUT_SERVICE_DOWN] = service_on_down,
    [INPUT_SERVICE_UP] = service_on_up,
    [INPUT_WAIT_DUE] = engine_on_wait_due,
    [INPUT_ANSWER] = engine_on_answer,
    [INPUT_SIGNAL] = engine_on_signal,
    [INPUT_PAUSE] = engine_on_pause,
    [INPUT_RESUME] = engine_on_resume,
    [INPUT_RETRY] = engine_on_retry,
    [INPUT_ROLLBACK] = engine_on_rollback,
    [INPUT_CHECKPOINT] = engine_on_checkpoint,
    [INPUT_LOG] = on_log,
    [INPUT_CALL_BEGUN] = on_call,
    [INPUT_CALL_DONE] = on_call,
    [INPUT_PROCESS] = on_process,
    [INPUT_CALL_FAILED] = on_call_failed,
    [INPUT_OVER_BUDGET] = engine_on_over_budget,
    [INPUT_BUDGET_RAISED] = engine_on_budget_raised,
    [INPUT_REFRESH] = on_refresh,
};

enum err engine_decide(struct engine *g, const struct engine_input *in, struct engine_out *out,
                       struct error *e) {
    ASSERT((size_t)in->type < ARRAY_LEN(inputs) && !g->out);
    ASSERT(!g->superseded && (!g->unsettled || in->type == INPUT_START));
    enum err err = engine_settle_quietly(g, e); /* after a fold: what its last decision began */
    if (err) {
        return err;
    }
    wall_us before = g->now;
    uint64_t seq = g->seq;
    if (in->now.us > g->now.us) {
        g->now = in->now;
    }
    g->out = out;
    g->first_record = true;
    g->want_undo = false;
    g->allowance = in->allowance;
    g->steps_before = g->account.used[BUDGET_STEPS];
    err = inputs[in->type](g, in, e);
    for (bool again = true; !err && again;) {
        again = false;
        if (g->status != EXEC_PENDING && !exec_status_final(g->status) && !g->superseded) {
            err = engine_settle(g, e);
            err = err ? err : engine_finish_if_done(g, &again, e);
        }
    }
    g->out = NULL;
    g->allowance = NULL;
    if (g->seq == seq) {
        g->now = before; /* the state's time is that of its last event */
    }
    /* Whatever was made without the memory for it must not be recorded. */
    return !err && (g->scratch.starved || g->arena.starved) ? error_nomem(e) : err;
}

enum err engine_fold(struct engine *g, const struct event *ev, struct error *e) {
    ASSERT(!g->out);
    /* What a rollback goes back to is settled anew by the decision after it. */
    enum err err = ev->kind == EVENT_EXECUTION_ROLLED_BACK ? OK : engine_catch_up(g, ev, e);
    err = err ? err : engine_apply(g, ev, e);
    return !err && (g->scratch.starved || g->arena.starved) ? error_nomem(e) : err;
}

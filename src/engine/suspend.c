/* Suspended steps: they wait although their kind does not ask for it, because the engine has a
 * question or must not go on yet. One table says for each reason what an answer and the passing of
 * the time come to; all else (lists, prompts, pause, cancel, drain) is as for a step that waits.
 *
 * What was to be done next lies in the events: suspended says why and until when, released that
 * another attempt follows. A step that was never begun becomes pending again and is looked at anew.
 */
#include "engine/engine_priv.h"

typedef enum err (*answer_fn)(struct engine *g, const struct engine_input *in, struct step_id step,
                              struct error *e);
typedef enum err (*due_fn)(struct engine *g, struct step_id step, struct error *e);

static const struct {
    answer_fn answer; /* NULL: no answer moves it */
    due_fn due;       /* NULL: never by time */
    bool fresh;       /* released, it may fail as often as at first */
} reasons[] = {
    [SUSPENDED_NOT] = {NULL, NULL, false},
    [SUSPENDED_FAILED] = {recover_on_answer, recover_on_due, true},
    [SUSPENDED_BREAKER] = {NULL, service_on_due, false},
    [SUSPENDED_BUDGET] = {budget_on_answer, NULL, false},
};

enum suspend_reason engine_suspended(const struct engine *g, struct step_id step) {
    const struct item_state *item = engine_item_of(g, step);
    return (enum suspend_reason)(item ? item->suspended : g->nodes[step.node].suspended);
}

enum err engine_suspend(struct engine *g, struct step_id step, uint32_t attempt,
                        const struct suspension *s, struct error *e) {
    struct event ev = event_of_step(EVENT_STEP_SUSPENDED, step);
    ev.attempt = attempt;
    ev.why = s->reason;
    ev.recovery = s->entry;
    ev.due_us = s->due_us;
    ev.body = s->request;
    if (s->failure) {
        ev.error_type = s->failure->type;
        ev.message = s->failure->message;
        ev.meta = s->failure->meta; /* what it used was paid for */
        ev.forget = s->failure->forget_calls;
    }
    enum err err = engine_emit(g, &ev, e);
    return err ? err : engine_tell_wait(g, step, attempt, s->due_us, e);
}

enum err engine_release(struct engine *g, struct step_id step, struct str by, uint32_t unanswered,
                        struct error *e) {
    struct event ev = event_of_step(EVENT_STEP_RELEASED, step);
    ev.attempt = engine_step_attempt(g, step);
    ev.due_us = g->now.us;
    ev.reason = by;
    ev.count = unanswered;
    enum err err = engine_emit(g, &ev, e);
    struct engine_effect fx = {.type = OUT_TIMER,
                               .step = step,
                               .attempt = (uint32_t)ev.attempt,
                               .timer = INPUT_RETRY_DUE,
                               .due = g->now};
    bool retries = engine_step_status(g, step) == STEP_RETRYING;
    return err || !retries ? err : engine_emit_effect(g, &fx, e);
}

/* Held back, it asks nobody: it is tried again by itself, and nothing else would be sooner. */
static enum err refuse_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                              struct error *e) {
    const struct track_slot *t = track_of(g, step);
    const struct item_state *item = engine_item_of(g, step);
    char id[STEP_ID_BYTES], at[TIME_RFC3339_BYTES];
    time_print_rfc3339((wall_us){item ? item->due_us : g->nodes[step.node].due_us}, at);
    struct str name = t ? engine_text_in(t->t.more->request, "service") : STR("");
    return engine_refuse(
        g, in, e,
        "step %.*s waits for its service%s%.*s and no answer moves it: it is tried "
        "again by itself at %s",
        STR_ARG(step_id_print(g->plan, step, id)), name.len ? " " : "",
        STR_ARG(str_sub(name, 0, 200)), at);
}

enum err suspend_on_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                           struct error *e) {
    answer_fn answer = reasons[engine_suspended(g, step)].answer;
    return answer ? answer(g, in, step, e) : refuse_answer(g, in, step, e);
}

enum err suspend_on_due(struct engine *g, struct step_id step, struct error *e) {
    const struct item_state *item = engine_item_of(g, step);
    int64_t due_us = item ? item->due_us : g->nodes[step.node].due_us;
    due_fn due = reasons[engine_suspended(g, step)].due;
    if (!due || !due_us || g->now.us < due_us) {
        return OK; /* the time of what it waited for before */
    }
    return due(g, step, e);
}

/* ---- the fold ---- */

static enum err wrong(const struct event *ev, struct error *e) {
    return error_set(e, ERR_CORRUPT, "event %llu (%s) does not follow from those before it",
                     (unsigned long long)ev->seq, event_name(ev->kind));
}

static enum err suspend_item(struct engine *g, const struct event *ev, struct item_state *item,
                             struct error *e) {
    struct foreach_state *f = g->nodes[ev->step.node].each;
    item->entry = (uint16_t)ev->recovery;
    item->due_us = ev->due_us;
    item->attempt = (uint32_t)ev->attempt;
    item->retry_due = false;
    if (ev->step.index >= (int64_t)f->next) { /* its inputs failed: it never started */
        f->next = (uint32_t)ev->step.index + 1;
        foreach_skip_kept(f);
    }
    engine_set_item_suspended(g, ev->step, (enum suspend_reason)ev->why);
    enum err err = track_begin(g, ev->step, &item->track, e);
    return err ? err : engine_feed(g, ev->step.node, e);
}

static enum err suspend_node(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    n->suspended = (uint8_t)ev->why;
    n->entry = (uint16_t)ev->recovery;
    n->due_us = ev->due_us;
    n->attempt = (uint32_t)ev->attempt;
    n->ready = n->retry_due = false;
    engine_set_aided(g, ev->step.node, ROLE_NONE);
    engine_set_status(g, ev->step.node, STEP_WAITING);
    return track_begin(g, ev->step, &n->track, e);
}

enum err suspend_apply(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    struct item_state *item = engine_item_of(g, ev->step);
    enum step_status status = engine_step_status(g, ev->step);
    bool whole_foreach = n->each && !item;
    bool known = ev->why > SUSPENDED_NOT && ev->why < ARRAY_LEN(reasons);
    if (!known || whole_foreach || step_status_final(status) || (ev->step.index >= 0 && !item)) {
        return wrong(ev, e);
    }
    if (status == STEP_RUNNING && (item || !n->aided)) {
        engine_release_slot(g, &g->plan->nodes[ev->step.node]);
    }
    enum err err = item ? suspend_item(g, ev, item, e) : suspend_node(g, ev, e);
    track_attempt(g, ev->step, (uint32_t)ev->attempt);
    err = err ? err : track_wait(g, ev, e);
    if (!err && ev->forget) {
        *(item ? &item->calls_from : &n->calls_from) = track_calls_forget(g, ev->step);
    }
    if (err || !ev->error_type.len) {
        return err;
    }
    return engine_note_failure(g, ev, e);
}

/* Its guard, the items of its foreach or its inputs are evaluated again. */
static enum err pend_again(struct engine *g, uint32_t node, struct error *e) {
    engine_set_status(g, node, STEP_PENDING);
    return engine_mark_dirty(g, node, e);
}

enum err release_apply(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    struct item_state *item = engine_item_of(g, ev->step);
    uint8_t *suspended = item ? &item->suspended : &n->suspended;
    if (engine_step_status(g, ev->step) != STEP_WAITING || !*suspended) {
        return wrong(ev, e);
    }
    if (reasons[*suspended].fresh) {
        *(item ? &item->failures : &n->failures) = 0;
        *(item ? &item->unanswered : &n->unanswered) = (uint16_t)ev->count;
    }
    if (item || n->more) {
        held_clear(item ? &item->error : &n->more->error);
    }
    n->suspended = item ? n->suspended : SUSPENDED_NOT;
    *(item ? &item->due_us : &n->due_us) = ev->due_us;
    enum err err = track_retry(g, ev, e);
    if (err || (!item && n->attempt == 0)) {
        return err ? err : pend_again(g, ev->step.node, e);
    }
    if (item) {
        engine_set_item_status(g, ev->step, STEP_RETRYING);
    } else {
        engine_set_status(g, ev->step.node, STEP_RETRYING);
    }
    return OK;
}

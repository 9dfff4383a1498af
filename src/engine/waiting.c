/* Steps that wait for something outside: a person, a time. Begun without an effect, ended by an
 * answer or by the time coming; both are decided here by what the kind's pure functions say.
 *
 * Invariant: an answer is taken at most once, by the step and iteration it names. Implements
 * model.md "Delivery" (an answer names the step it answers).
 */
#include <stdio.h>

#include "engine/engine_priv.h"

static struct flight *flight_of(const struct engine *g, struct step_id step) {
    struct item_state *item = engine_item_of(g, step);
    return item ? item->flight : g->nodes[step.node].flight;
}

enum err engine_tell_wait(struct engine *g, struct step_id step, uint32_t attempt, int64_t due_us,
                          struct error *e) {
    struct engine_effect fx = {.type = OUT_TIMER,
                               .step = step,
                               .attempt = attempt,
                               .timer = INPUT_WAIT_DUE,
                               .due = {due_us}};
    return due_us && g->out ? engine_emit_effect(g, &fx, e) : OK;
}

static struct step_failure failure_of(const struct error *why) {
    return (struct step_failure){.class = FAILURE_PERMANENT,
                                 .type = str_from(err_name(why->code)),
                                 .message = str_from(why->message)};
}

enum err engine_wait(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                     struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct step_wait wait = {.arena = flight_arena(f)};
    struct value bound;
    struct error why;
    enum err err = flight_made(f, p->kind->wait(flight_in(f), g->now, &wait, &why));
    err = err ? err : approval_show(g, step, &wait, &bound, &why);
    if (err) { /* an attempt that was never begun: there is nothing to try again */
        struct step_failure failure = failure_of(&why);
        return err == ERR_NOMEM ? error_nomem(e) : engine_attempt_failed(g, step, 0, &failure, e);
    }
    struct event ev = event_of_step(EVENT_STEP_WAITING, step);
    ev.attempt = attempt;
    ev.due_us = wait.due.us;
    ev.body = wait.request;
    ev.approval = bound;
    if (attempt == 1 && flight_recorded(f, &ev.inputs, &ev.scope)) {
        return error_nomem(e);
    }
    bool taken = false;
    err = engine_emit(g, &ev, e);
    err = err ? err : signal_take_kept(g, step, attempt, f, &taken, e);
    err = err || taken ? err : answer_take_kept(g, step, attempt, f, &taken, e);
    return err || taken ? err : engine_tell_wait(g, step, attempt, wait.due.us, e);
}

enum step_status engine_step_status(const struct engine *g, struct step_id step) {
    if (step.node >= g->plan->node_count || !step_current(g, step)) {
        return STEP_PENDING;
    }
    const struct item_state *item = engine_item_of(g, step);
    if (step.index >= 0 && !item) {
        return STEP_PENDING;
    }
    return (enum step_status)(item ? item->status : g->nodes[step.node].status);
}

uint32_t engine_step_attempt(const struct engine *g, struct step_id step) {
    const struct item_state *item = engine_item_of(g, step);
    return item ? item->attempt : g->nodes[step.node].attempt;
}

/* What woken makes lies in the arena of the flight, which the step lets go when it ends: held until
 * then. */
static enum err complete_held(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_result *result, struct error *e) {
    struct flight *f = flight_ref(flight_of(g, step));
    enum err err = engine_complete_step(g, step, attempt, result, (wall_us){0}, e);
    flight_unref(f);
    return err;
}

/* Deadlines of people run on during a pause and fire after it: resume tells them again. */
enum err engine_on_wait_due(struct engine *g, const struct engine_input *in, struct error *e) {
    if (g->paused || engine_step_status(g, in->step) != STEP_WAITING ||
        engine_step_attempt(g, in->step) != in->attempt) {
        return OK;
    }
    if (engine_suspended(g, in->step)) {
        return suspend_on_due(g, in->step, e);
    }
    struct flight *f = flight_of(g, in->step);
    struct step_result result = {.arena = flight_arena(f)};
    struct step_wake wake = {.answered = false};
    struct error why;
    const struct node_kind *kind = g->plan->nodes[in->step.node].kind;
    enum err err = flight_made(f, kind->woken(flight_in(f), &wake, &result, &why));
    if (err) {
        struct step_failure failure = failure_of(&why);
        bool escalates = g->plan->nodes[in->step.node].aux[ROLE_ON_TIMEOUT] >= 0;
        if (err == ERR_NOMEM) {
            return error_nomem(e);
        }
        return escalates && err == ERR_TIMEOUT
                   ? engine_aid(g, in->step, in->attempt, ROLE_ON_TIMEOUT, &failure, e)
                   : engine_attempt_failed(g, in->step, in->attempt, &failure, e);
    }
    return complete_held(g, in->step, in->attempt, &result, e);
}

/* ---- answers ---- */

struct waiters {
    struct step_id only;
    uint32_t count;
    char names[400];
};

static bool asks(const struct engine *g, struct step_id step) {
    const struct track_slot *t = track_of(g, step);
    return t && str_is(engine_text_in(t->t.more->request, "for"), "answer");
}

/* Those that wait for a time or a signal count only when they are named. */
static void note_waiter(struct waiters *w, const struct engine *g, struct step_id step,
                        bool named) {
    char text[STEP_ID_BYTES];
    if (!named && !asks(g, step)) {
        return;
    }
    struct str id = step_id_print(g->plan, step, text);
    size_t used = strlen(w->names);
    w->only = step;
    if (used + id.len + 20 < sizeof w->names) {
        snprintf(w->names + used, sizeof w->names - used, "%s%.*s", w->count ? ", " : "",
                 STR_ARG(id));
    } else if (used + 5 < sizeof w->names && w->names[used - 1] != '.') {
        memcpy(w->names + used, " ...", 5);
    }
    w->count++;
}

/* All steps that wait, of one node or of all. */
static void find_waiters(const struct engine *g, int64_t node, struct waiters *w) {
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        const struct node_state *n = &g->nodes[i];
        struct step_id step = {i, n->iteration, -1, n->generation};
        if (node >= 0 && i != (uint32_t)node) {
            continue;
        }
        if (n->status == STEP_WAITING) {
            note_waiter(w, g, step, node >= 0);
        }
        for (uint32_t k = 0; n->each && k < n->each->next; k++) {
            step.index = k;
            if (n->each->items[k].status == STEP_WAITING) {
                note_waiter(w, g, step, node >= 0);
            }
        }
    }
}

enum err engine_refuse(struct engine *g, const struct engine_input *in, struct error *e,
                       const char *fmt, ...) {
    char text[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return engine_verdict(g, in, text, e);
}

/* The step waited once and was ended, by an answer or otherwise. */
static enum err refuse_ended(struct engine *g, const struct engine_input *in, struct step_id step,
                             struct error *e) {
    enum step_status status = engine_step_status(g, step);
    char id[STEP_ID_BYTES];
    struct str name = step_id_print(g->plan, step, id);
    const struct track_slot *t = track_of(g, step);
    const struct value *by = t ? value_get(t->t.meta, STR("answeredBy")) : NULL;
    if (by && by->type == VALUE_TEXT) {
        return engine_refuse(g, in, e, "step %.*s was already answered, by %.*s", STR_ARG(name),
                             STR_ARG(value_str(*by)));
    }
    return engine_refuse(g, in, e, "step %.*s does not wait for an answer, it is %s", STR_ARG(name),
                         step_status_name(status));
}

/* A name is that of the node as long as it can mean one step only: once a step of the node has
 * begun and another follows, it is the id of the first (without iteration and generation), so that
 * an answer to that one never answers a later one. */
static const struct track *first_of(const struct engine *g, uint32_t node) {
    for (uint32_t i = 0; i < g->track_count; i++) {
        const struct track *t = &g->track[i].t;
        if (t->step.node == node && t->begun_tick && !step_current(g, t->step)) {
            return t;
        }
    }
    return NULL;
}

static enum err refuse_past(struct engine *g, const struct engine_input *in, const struct track *t,
                            struct error *e) {
    struct str who = engine_text_in(t->meta, "answeredBy");
    struct waiters w = {0};
    find_waiters(g, t->step.node, &w);
    return engine_refuse(g, in, e, "step %.*s %s%.*s%s%s", STR_ARG(in->target),
                         who.len ? "was already answered, by " : "is over", STR_ARG(who),
                         w.count ? "; waiting: " : "", w.names);
}

/* The order of the parts of an id is told when it begins with the name of a node. */
static enum err refuse_unknown(struct engine *g, const struct engine_input *in, struct error *e) {
    size_t len = 0;
    while (len < in->target.len && !strchr("#[~", in->target.ptr[len])) {
        len++;
    }
    struct str name = str_sub(in->target, 0, len);
    bool known = len < in->target.len && plan_node_find(g->plan, name) >= 0;
    return engine_refuse(g, in, e, "the workflow has no step \"%.*s\"%s%.*s%s", STR_ARG(in->target),
                         known ? "; its steps are named like " : "",
                         STR_ARG(known ? name : STR("")), known ? "#2[3]~1" : "");
}

static enum err refuse_others(struct engine *g, const struct engine_input *in, struct error *e) {
    struct waiters w = {0};
    struct step_id named;
    bool known = step_id_parse(g->plan, in->target, &named);
    bool each = known && g->plan->nodes[named.node].foreach.present;
    find_waiters(g, -1, &w);
    return engine_refuse(g, in, e, "step \"%.*s\" does not wait for an answer%s%s%s",
                         STR_ARG(in->target),
                         each && named.index < 0 ? "; name one of its items, [0] is the first" : "",
                         w.count ? "; waiting: " : "", w.names);
}

/* Which step is meant, and whether it waits already; false when a refusal was told (or *err is
 * set). */
static bool find_target(struct engine *g, const struct engine_input *in, struct step_id *out,
                        bool *out_waits, enum err *err, struct error *e) {
    struct waiters w = {0};
    struct step_id named = {0};
    bool by_node = in->target.len && !in->exact;
    int64_t node = by_node ? plan_node_find(g->plan, in->target) : -1;
    bool exact = in->target.len && step_id_parse(g->plan, in->target, &named);
    const struct track *first = node >= 0 ? first_of(g, (uint32_t)node) : NULL;
    *out_waits = true;
    if (in->target.len && !exact && node < 0) {
        *err = refuse_unknown(g, in, e);
        return false;
    }
    if (exact && engine_step_status(g, named) == STEP_WAITING) {
        *out = named;
        return true;
    }
    if (first) {
        *err = refuse_past(g, in, first, e);
        return false;
    }
    find_waiters(g, node, &w);
    bool by_name = in->target.len == 0 || node >= 0;
    if (by_name && w.count == 1) {
        *out = w.only;
        return true;
    }
    if (node >= 0) {
        named = (struct step_id){(uint32_t)node, g->nodes[node].iteration, -1,
                                 g->nodes[node].generation};
    }
    if (in->target.len && (node < 0 || !w.count) && answer_may_be_kept(g, named)) {
        *out = named;
        *out_waits = false;
        return true;
    }
    if (by_name && w.count > 1) {
        *err = engine_refuse(g, in, e, "%u steps wait: say which one: %s", w.count, w.names);
    } else if (in->target.len && step_current(g, named) &&
               engine_step_status(g, named) != STEP_PENDING) {
        *err = refuse_ended(g, in, named, e);
    } else if (in->target.len) {
        *err = refuse_others(g, in, e);
    } else {
        *err = engine_refuse(g, in, e,
                             "no step waits for an answer; name the step that is to take it");
    }
    return false;
}

static enum err take_answer(struct engine *g, const struct engine_input *in, struct step_id step,
                            struct error *e) {
    if (engine_suspended(g, step)) {
        return suspend_on_answer(g, in, step, e);
    }
    struct flight *f = flight_of(g, step);
    uint32_t attempt = engine_step_attempt(g, step);
    struct step_result result = {.arena = flight_arena(f)};
    struct step_wake wake = {.answered = true, .answer = in->value, .by = in->by};
    struct error why;
    const struct node_kind *kind = g->plan->nodes[step.node].kind;
    enum err err = flight_made(f, kind->woken(flight_in(f), &wake, &result, &why));
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (err) {
        return engine_verdict(g, in, why.message, e);
    }
    err = engine_verdict(g, in, NULL, e);
    return err ? err : complete_held(g, step, attempt, &result, e);
}

enum err engine_on_answer(struct engine *g, const struct engine_input *in, struct error *e) {
    struct step_id step;
    enum err err = OK;
    bool waits;
    if (exec_status_final(g->status)) {
        return engine_refuse(g, in, e, "the execution has ended (%s); allowed now: %s",
                             exec_status_name(g->status),
                             exec_status_allows(str_from(exec_status_name(g->status)), false));
    }
    if (!find_target(g, in, &step, &waits, &err, e)) {
        return err;
    }
    return waits ? take_answer(g, in, step, e) : answer_keep(g, in, step, e);
}

/* Signals: something outside tells an execution by a name that something happened. Each is taken by
 * one step that waits for that name, the oldest first; what comes before its step waits is kept.
 *
 * Invariant: a signal is taken at most once: the completion of the step that took it names it by
 * the number of the event that brought it.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

enum { KEPT_MOST = 10000 };

static struct kept_signal *find_kept(struct engine *g, struct str name) {
    for (uint32_t i = 0; i < g->signal_count; i++) {
        if (!g->signals[i].taken && str_eq(g->signals[i].name, name)) {
            return &g->signals[i];
        }
    }
    return NULL;
}

/* The name that the step waits for, or empty. */
static struct str awaited(const struct engine *g, struct step_id step) {
    const struct track_slot *t = track_of(g, step);
    return t ? engine_text_in(t->t.more->request, "signal") : STR("");
}

static enum err take(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                     const struct kept_signal *s, struct error *e) {
    struct step_result result = {.arena = flight_arena(f)};
    struct step_wake wake = {
        .answered = true, .answer = s->payload.v, .by = s->by, .signal = (int64_t)s->seq};
    struct error why;
    enum err err = g->plan->nodes[step.node].kind->woken(flight_in(f), &wake, &result, &why);
    if (err) {
        struct step_failure failure = {.class = FAILURE_PERMANENT,
                                       .type = str_from(err_name(err)),
                                       .message = str_from(why.message)};
        return err == ERR_NOMEM ? error_nomem(e)
                                : engine_attempt_failed(g, step, attempt, &failure, e);
    }
    struct flight *held = flight_ref(f);
    err = engine_complete_step(g, step, attempt, &result, (wall_us){0}, e);
    flight_unref(held);
    return err;
}

enum err signal_take_kept(struct engine *g, struct step_id step, uint32_t attempt, struct flight *f,
                          bool *out_taken, struct error *e) {
    struct str name = awaited(g, step);
    const struct kept_signal *s = name.len ? find_kept(g, name) : NULL;
    *out_taken = s != NULL;
    return s ? take(g, step, attempt, f, s, e) : OK;
}

/* The step that began to wait for the name first; false when none does. */
static bool find_waiter(const struct engine *g, struct str name, const struct track **out) {
    for (uint32_t i = 0; i < g->track_count && g->waiting_steps; i++) {
        const struct track *t = &g->track[i].t;
        if (t->status == STEP_WAITING && t->plan == g->plan && step_current(g, t->step) &&
            str_eq(awaited(g, t->step), name)) {
            *out = t;
            return true;
        }
    }
    return false;
}

static const char *refusal(const struct engine *g, const struct engine_input *in) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->signal_count; i++) {
        kept += !g->signals[i].taken;
    }
    return !in->target.len                      ? "the signal has no name"
           : in->target.len > SIGNAL_MOST_BYTES ? "the name of the signal is longer than 256 bytes"
           : kept >= KEPT_MOST ? "10000 signals are kept that no step has taken yet"
                               : NULL;
}

/* A signal has a name of its own and is for no step: the id of a step that waits for something else
 * is a mistake, unless another one waits for a signal of that name. */
static bool means_step(const struct engine *g, struct str target, struct step_id *out) {
    const struct track *other;
    return plan_node_find(g->plan, target) < 0 && step_id_parse(g->plan, target, out) &&
           engine_step_status(g, *out) == STEP_WAITING && !find_waiter(g, target, &other);
}

static enum err refuse_step(struct engine *g, const struct engine_input *in, struct step_id step,
                            struct error *e) {
    struct str name = awaited(g, step);
    return engine_refuse(g, in, e, "%.*s is a step, and a signal has a name%s%.*s%s",
                         STR_ARG(in->target), name.len ? ": the step waits for \"" : "",
                         STR_ARG(name), name.len ? "\"" : "");
}

enum err engine_on_signal(struct engine *g, const struct engine_input *in, struct error *e) {
    const char *why_not = refusal(g, in);
    if (exec_status_final(g->status)) {
        return engine_refuse(g, in, e, "the execution has ended (%s); allowed now: %s",
                             exec_status_name(g->status),
                             exec_status_allows(str_from(exec_status_name(g->status)), false));
    }
    struct step_id step;
    if (!why_not && means_step(g, in->target, &step)) {
        return refuse_step(g, in, step, e);
    }
    struct event ev = {
        .kind = EVENT_SIGNAL_RECEIVED, .reason = in->by, .text = in->target, .body = in->value};
    const struct track *t;
    enum err err = engine_verdict(g, in, why_not, e);
    err = err || why_not ? err : engine_emit(g, &ev, e);
    if (err || why_not || !find_waiter(g, in->target, &t)) {
        return err;
    }
    const struct item_state *item = engine_item_of(g, t->step);
    return take(g, t->step, t->attempt, item ? item->flight : g->nodes[t->step.node].flight,
                find_kept(g, in->target), e);
}

/* ---- the fold ---- */

enum err signal_apply(struct engine *g, const struct event *ev, struct error *e) {
    if (g->signal_count == g->signal_cap) {
        uint32_t cap = g->signal_cap ? g->signal_cap * 2 : 8;
        struct kept_signal *more = realloc(g->signals, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->signals = more;
        g->signal_cap = cap;
    }
    struct kept_signal *s = &g->signals[g->signal_count];
    *s = (struct kept_signal){.name = arena_str(&g->arena, ev->text),
                              .by = arena_str(&g->arena, ev->reason),
                              .seq = ev->seq};
    if (!s->name.ptr || !s->by.ptr || held_set(&s->payload, ev->body, e)) {
        return error_nomem(e);
    }
    g->signal_count++;
    return OK;
}

void signal_note_taken(struct engine *g, const struct event *completed) {
    const struct value *number = value_get(completed->meta, STR("signal"));
    for (uint32_t i = 0; number && i < g->signal_count; i++) {
        struct kept_signal *s = &g->signals[i];
        if (number->type == VALUE_INT && s->seq == (uint64_t)number->num) {
            s->taken = !MUTANT(take_signal_twice);
            held_clear(&s->payload);
            s->payload.v = value_null();
        }
    }
}

void signals_free(struct engine *g) {
    for (uint32_t i = 0; i < g->signal_count; i++) {
        held_clear(&g->signals[i].payload);
    }
    free(g->signals);
}

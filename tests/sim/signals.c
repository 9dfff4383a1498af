/* Signals: people send them, early, in time and twice; steps wait for them by name.
 *
 * What must hold: an accepted request is one signal; each is taken by at most one step of those
 * that count, and of one name the oldest first; nobody waits for a signal that is there. What a
 * step took that a rollback undoes is there again.
 */
#include "sim.h"

struct seen_signal {
    struct seen_signal *next;
    struct str name;
    uint64_t seq;
};

/* A completion that names a signal. */
struct seen_take {
    struct seen_take *before;
    const struct seen_signal *signal;
    uint64_t seq;
};

struct seen_rollback {
    struct seen_rollback *before;
    uint64_t seq, to;
};

static bool is_ear(const struct plan_node *n) { return str_is(str_from(n->kind->name), "hear"); }

struct str signal_of(const struct plan_node *n) {
    return hash_bytes(n->name, 5) % 2 ? STR("go") : STR("come");
}

bool signals_are_heard(const struct plan *p) {
    bool heard = false;
    for (uint32_t i = 0; i < p->node_count && !heard; i++) {
        const struct plan_node *n = &p->nodes[i];
        heard = is_ear(n) || (n->child && signals_are_heard(n->child));
    }
    return heard;
}

/* ---- what is recorded ---- */

/* Whether an event counts still, as seen from the end. */
static bool counts(const struct seen_execution *x, uint64_t seq) {
    uint64_t upto = UINT64_MAX;
    for (const struct seen_rollback *r = x->rollbacks; r; r = r->before) {
        if (r->seq > upto) {
            continue;
        }
        if (seq > r->to && seq < r->seq) {
            return false;
        }
        upto = r->to;
    }
    return true;
}

static bool is_taken(const struct seen_execution *x, const struct seen_signal *s) {
    const struct seen_take *t = x->takes;
    while (t && !(t->signal == s && counts(x, t->seq))) {
        t = t->before;
    }
    return t != NULL;
}

/* The next to be taken. */
static const struct seen_signal *oldest(const struct seen_execution *x, struct str name) {
    const struct seen_signal *s = x->signals;
    while (s && (!str_eq(s->name, name) || is_taken(x, s))) {
        s = s->next;
    }
    return s;
}

static bool is_awaited(const struct seen_execution *x, struct str name) {
    for (uint32_t i = 0; i < x->steps.count; i++) {
        const struct seen_step *s = x->steps.entries[i].ptr;
        if (!s->over && s->hears.len && str_eq(s->hears, name)) {
            return true;
        }
    }
    return false;
}

static void received(struct world *w, struct seen_execution *x, const struct event *ev) {
    struct seen_signal *s = ARENA_NEW(&w->arena, struct seen_signal), **at = &x->signals;
    *s = (struct seen_signal){.name = arena_str(&w->arena, ev->text), .seq = ev->seq};
    w->signals++;
    world_tally(w, TALLY_SIGNAL_EARLY, !is_awaited(x, s->name));
    world_tally(w, TALLY_SIGNAL_TWICE, oldest(x, s->name) != NULL);
    while (*at) {
        at = &(*at)->next;
    }
    *at = s;
}

static void completed(struct world *w, struct seen_execution *x, const struct seen_step *s,
                      const struct event *ev) {
    const struct value *number = value_get(ev->meta, STR("signal"));
    const struct seen_signal *next = s->hears.len ? oldest(x, s->hears) : NULL;
    if (!number) {
        return;
    }
    if (!next || number->type != VALUE_INT || (uint64_t)number->num != next->seq) {
        world_fail(w, "%.*s took the signal of event %lld, the next is that of event %llu",
                   STR_ARG(s->id), (long long)number->num,
                   (unsigned long long)(next ? next->seq : 0));
        return;
    }
    struct seen_take *t = ARENA_NEW(&w->arena, struct seen_take);
    *t = (struct seen_take){.before = x->takes, .signal = next, .seq = ev->seq};
    x->takes = t;
    world_tally(w, TALLY_SIGNAL_TAKEN, true);
}

static uint32_t taken_count(const struct seen_execution *x) {
    uint32_t count = 0;
    for (const struct seen_take *t = x->takes; t; t = t->before) {
        count += counts(x, t->seq);
    }
    return count;
}

static void rolled_back(struct world *w, struct seen_execution *x, const struct event *ev) {
    struct seen_rollback *r = ARENA_NEW(&w->arena, struct seen_rollback);
    uint32_t before = taken_count(x);
    *r = (struct seen_rollback){.before = x->rollbacks, .seq = ev->seq, .to = ev->to};
    x->rollbacks = r;
    world_tally(w, TALLY_SIGNAL_RETURNED, taken_count(x) < before);
}

void signals_event(struct world *w, struct seen_execution *x, struct str id,
                   const struct event *ev) {
    if (ev->kind == EVENT_SIGNAL_RECEIVED) {
        received(w, x, ev);
    } else if (ev->kind == EVENT_EXECUTION_ROLLED_BACK) {
        rolled_back(w, x, ev);
    }
    if (!id.len || ev->kind == EVENT_LATE_RESULT) {
        return;
    }
    struct seen_step *s = mirror_step(w, x, id);
    if (ev->kind == EVENT_STEP_COMPLETED) {
        completed(w, x, s, ev);
    }
    const struct value *name =
        ev->kind == EVENT_STEP_WAITING ? value_get(ev->body, STR("signal")) : NULL;
    s->hears = name ? arena_str(&w->arena, value_str(*name)) : STR("");
}

void signals_check(struct world *w, const struct seen_execution *x) {
    for (uint32_t i = 0; i < x->steps.count && x->signals; i++) {
        const struct seen_step *s = x->steps.entries[i].ptr;
        if (!s->over && s->hears.len && oldest(x, s->hears)) {
            world_fail(w, "%.*s waits for a signal that is there", STR_ARG(s->id));
        }
    }
}

/* ---- people ---- */

/* Of all executions that have not ended: a name that a step waits for, or, if early, may. */
static const struct seen_execution *pick(struct world *w, bool early, struct str *out) {
    const struct seen_execution *found = NULL;
    uint32_t count = 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        for (uint32_t i = 0; early && !x->final && i < x->plan->node_count; i++) {
            if (is_ear(&x->plan->nodes[i]) && rng_below(&w->rng, ++count) == 0) {
                *out = signal_of(&x->plan->nodes[i]);
                found = x;
            }
        }
        for (uint32_t i = 0; !early && !x->final && i < x->steps.count; i++) {
            const struct seen_step *s = x->steps.entries[i].ptr;
            if (!s->over && s->hears.len && rng_below(&w->rng, ++count) == 0) {
                *out = s->hears;
                found = x;
            }
        }
    }
    return found;
}

bool signals_send(struct world *w, bool early) {
    struct str name = STR("");
    const struct seen_execution *x = pick(w, early, &name);
    if (x) {
        people_ask(w, x, "signal", name, "7");
    }
    return x != NULL;
}

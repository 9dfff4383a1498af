/* Auxiliary nodes in the journal, and what must hold of them: each run is the next iteration of
 * its node; while one stands in for a step, that step does nothing, and it ends in the decision in
 * which the other does; the nodes of finally run last, in their order, once for every end.
 */
#include "sim.h"

static struct seen_step *called(struct world *w, struct seen_execution *x, struct step_id run,
                                struct str id) {
    uint32_t node = run.node;
    x->armed[node] += x->called[node];
    x->called[node] = true;
    if (run.iteration != x->armed[node]) {
        world_fail(w, "%.*s is called, it is to be iteration %u", STR_ARG(id), x->armed[node]);
    }
    struct seen_step *s = mirror_step(w, x, id);
    if (s->begun || s->over) {
        world_fail(w, "%.*s is called twice", STR_ARG(id));
    }
    return s;
}

static void stands_in(struct world *w, struct seen_execution *x, struct seen_step *subject,
                      const struct event *ev) {
    struct step_id run = {.index = -1};
    if (!step_id_parse(x->plan, ev->aux, &run)) {
        world_fail(w, "%.*s is aided by \"%.*s\"", STR_ARG(subject->id), STR_ARG(ev->aux));
        return;
    }
    if (subject->aux && !subject->aux->over) {
        world_fail(w, "%.*s is aided by two", STR_ARG(subject->id));
    }
    subject->aux = called(w, x, run, ev->aux);
    subject->aux->subject = subject;
    x->owed = x->owed == subject ? NULL : x->owed; /* another one after the first */
    w->answers_taken += subject->wants_more;       /* "fail", as in mirror.c */
    subject->running = subject->asks = subject->wants_more = false;
    subject->wake_us = 0;
}

/* A step is undone once, after all that completed later, and alone. */
static void undoes(struct world *w, struct seen_execution *x, struct seen_step *subject,
                   const struct event *ev) {
    struct step_id run = {.index = -1};
    if (!step_id_parse(x->plan, ev->aux, &run)) {
        world_fail(w, "%.*s is undone by \"%.*s\"", STR_ARG(subject->id), STR_ARG(ev->aux));
        return;
    }
    if (!x->undoing || !subject->completed_at || subject->undone) {
        world_fail(w, "%.*s is undone, which is not to be", STR_ARG(subject->id));
    } else if (subject->completed_at <= x->undo_after) {
        world_fail(w, "%.*s is undone, which a rollback keeps", STR_ARG(subject->id));
    } else if (subject->completed_at > x->undo_at) {
        world_fail(w, "%.*s is undone after what completed before it", STR_ARG(subject->id));
    } else if (x->undo_step && !x->undo_step->over) {
        world_fail(w, "%.*s is undone while %.*s is", STR_ARG(subject->id),
                   STR_ARG(x->undo_step->subject->id));
    }
    world_tally(w, TALLY_UNDO, true);
    x->undo_at = subject->completed_at;
    x->undo_step = called(w, x, run, ev->aux);
    x->undo_step->subject = subject;
}

/* All that could be was undone, unless somebody stopped it. */
void mirror_check_undone(struct world *w, const struct seen_execution *x, uint64_t after) {
    for (uint32_t i = 0; i < x->steps.count; i++) {
        const struct seen_step *s = x->steps.entries[i].ptr;
        int64_t node = s->completed_at ? plan_node_find(x->plan, s->node->name) : -1;
        bool can = node >= 0 && x->plan->nodes[node].aux[ROLE_COMPENSATE] >= 0;
        if (can && !s->undone && s->completed_at > after) {
            world_fail(w, "%s goes back or ends, and %.*s was not undone", x->id, STR_ARG(s->id));
        }
    }
}

static void finally(struct world *w, struct seen_execution *x, const struct event *ev,
                    struct str id) {
    const struct plan *p = x->plan;
    if (x->finals == p->finally_count || p->finally[x->finals] != ev->step.node) {
        world_fail(w, "%.*s of finally is not the next", STR_ARG(id));
    } else if (x->final_step && !x->final_step->over) {
        world_fail(w, "%.*s begins before %.*s has ended", STR_ARG(id), STR_ARG(x->final_step->id));
    }
    x->finals++;
    x->final_step = called(w, x, ev->step, id);
}

/* What is called when all else is final. */
static bool is_late(const struct seen_execution *x, uint32_t node) {
    const struct plan *p = x->plan;
    while (p->nodes[node].owner >= 0 && p->nodes[node].role != ROLE_COMPENSATE) {
        node = (uint32_t)p->nodes[node].owner;
    }
    return p->nodes[node].role == ROLE_COMPENSATE;
}

static bool is_last(const struct seen_execution *x, uint32_t node) {
    return x->plan->nodes[plan_node_root(x->plan, node)].role == ROLE_FINALLY;
}

static void check_step(struct world *w, const struct seen_execution *x, const struct seen_step *s,
                       const struct event *ev) {
    bool begins = ev->kind == EVENT_STEP_SCHEDULED || ev->kind == EVENT_STEP_WAITING;
    bool ends = ev->kind == EVENT_STEP_COMPLETED || ev->kind == EVENT_STEP_FAILED;
    if (s->aux && begins) {
        world_fail(w, "%.*s begins while %.*s runs for it", STR_ARG(s->id), STR_ARG(s->aux->id));
    }
    if (s->aux && ends && !s->aux->over) {
        world_fail(w, "%.*s ends before %.*s, which runs for it", STR_ARG(s->id),
                   STR_ARG(s->aux->id));
    }
    if (begins && is_late(x, ev->step.node) != (x->undoing && !x->finals)) {
        world_fail(w, "%.*s begins %s all is final", STR_ARG(s->id),
                   x->undoing ? "after" : "before");
    }
    if (begins && is_last(x, ev->step.node) != (x->finals > 0)) {
        world_fail(w, "%.*s begins %s finally", STR_ARG(s->id), x->finals ? "after" : "before");
    }
}

static void check_end(struct world *w, const struct seen_execution *x) {
    bool all = x->finals == x->plan->finally_count && (!x->final_step || x->final_step->over);
    if (x->undoing && !x->undo_stopped && !x->quarantined && !x->ended_above) {
        mirror_check_undone(w, x, 0);
    }
    if (!all && !x->final_stopped && !x->quarantined && !x->ended_above) {
        world_fail(w, "%s ends after %u of %u nodes of finally", x->id, x->finals,
                   x->plan->finally_count);
    }
}

/* What it did itself can be undone if its workflow said how then, and (check_undone) still does. */
static void note_end(const struct seen_execution *x, struct seen_step *s, const struct event *ev) {
    bool each = x->plan->nodes[ev->step.node].foreach.present && ev->step.index < 0;
    bool itself = !s->aux && !ev->error_type.len && !each && !s->cached_of.len;
    bool can = x->plan->nodes[ev->step.node].aux[ROLE_COMPENSATE] >= 0;
    if (ev->kind == EVENT_STEP_COMPLETED && itself && can) {
        s->completed_at = ev->seq;
    }
    bool undid = ev->kind == EVENT_STEP_COMPLETED || ev->kind == EVENT_STEP_SKIPPED ||
                 (ev->kind == EVENT_STEP_FAILED && ev->effect == EFFECT_CONTINUE);
    bool stopped = ev->kind == EVENT_STEP_CANCELLED && s->attempt > 0;
    if (x->undo_step == s) {
        s->subject->undone = s->subject->undone || undid;
        s->subject->redo = s->subject->redo || undid || stopped;
    }
}

/* A retry relies on nothing that was undone, or may be. */
static void check_redone(struct world *w, struct seen_execution *x) {
    for (uint32_t i = 0; i < x->steps.count; i++) {
        struct seen_step *s = x->steps.entries[i].ptr;
        int64_t node = s->redo ? plan_node_find(x->plan, s->node->name) : -1;
        if (node >= 0 && !x->plan->nodes[node].role && !mirror_is_anew(x, s->node->name)) {
            world_fail(w, "%.*s was undone, and a retry keeps it", STR_ARG(s->id));
        }
        s->redo = false;
    }
}

void mirror_auxiliary(struct world *w, struct seen_execution *x, struct str id,
                      const struct event *ev) {
    struct seen_step *s = id.len ? mirror_step(w, x, id) : NULL;
    if (!ev->follows && x->owed && !x->owed->over) {
        world_fail(w, "%.*s does not end with what ran for it", STR_ARG(x->owed->id));
    }
    if (ev->kind == EVENT_STEP_AIDED && ev->role == ROLE_COMPENSATE) {
        undoes(w, x, s, ev);
    } else if (ev->kind == EVENT_UNDO_BEGUN) {
        x->undoing = true;
        x->undo_after = ev->after;
        x->finals = ev->after ? 0 : x->finals;
        x->final_step = ev->after ? NULL : x->final_step;
        x->final_stopped = x->undo_stopped = false;
        x->undo_at = UINT64_MAX;
        x->undo_step = NULL;
    } else if (ev->kind == EVENT_STEP_AIDED) {
        stands_in(w, x, s, ev);
    } else if (ev->kind == EVENT_FINALLY_BEGUN) {
        finally(w, x, ev, id);
    } else if (ev->kind == EVENT_CANCEL_REQUESTED) {
        x->final_stopped = x->final_stopped || x->finals > 0;
        x->undo_stopped = x->undo_stopped || (x->undoing && !x->finals);
    } else if (ev->kind == EVENT_EXECUTION_RETRIED) {
        check_redone(w, x);
        x->finals = 0;
        x->final_step = NULL;
        x->final_stopped = x->undoing = x->undo_stopped = false;
    } else if (ev->kind == EVENT_EXECUTION_COMPLETED || ev->kind == EVENT_EXECUTION_FAILED ||
               ev->kind == EVENT_EXECUTION_CANCELLED) {
        check_end(w, x);
    } else if (s) {
        s->aux = ev->kind == EVENT_STEP_RELEASED ? NULL : s->aux; /* it does its work itself */
        check_step(w, x, s, ev);
        note_end(x, s, ev);
        bool waits = x->owed == s && ev->kind == EVENT_STEP_SUSPENDED; /* a person ends it */
        bool owes = s->over && s->subject && s->subject->aux == s;
        x->owed = owes ? s->subject : waits ? NULL : x->owed;
    }
}

/* The fold of what was undone: events between the target of a rollback and the rollback. Of them
 * counts only what is never undone: usage, ownership, which step ids were used, which steps were
 * undone by compensate nodes, so that no kept result of theirs is used again, what came from
 * outside (a signal goes back into its queue, an answer to a step that has not begun is kept for
 * it), and what is shown of the past.
 *
 * Invariant: nothing here changes what a decision after the rollback depends on, but for that.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

typedef enum err (*undone_fn)(struct engine *g, const struct event *ev, struct error *e);

/* Scans from the end: a rollback that counts makes everything back to its target count no more,
 * rollbacks in there included. */
void engine_mark_undone(const uint64_t *to, uint64_t count, bool *out_undone) {
    uint64_t at = count;
    while (at > 0) {
        uint64_t upto = to[at - 1] && to[at - 1] < at ? to[at - 1] : at - 1;
        out_undone[--at] = false;
        while (at > upto) {
            out_undone[--at] = true;
        }
    }
}

/* ---- which step has which entry of the tracker ---- */

static uint32_t place_of(const struct engine *g, struct step_id s) {
    uint64_t hash = (s.node * 0x9e3779b97f4a7c15u) ^ ((uint64_t)s.index << 20) ^
                    ((uint64_t)s.iteration << 40) ^ ((uint64_t)s.generation << 9);
    hash = (hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(hash >> 32) & (g->index_cap - 1);
}

/* Where the step of the plan that counts is, or where there is place for it. */
static uint32_t find_place(const struct engine *g, struct step_id step) {
    uint32_t at = place_of(g, step);
    while (g->index[at] && !step_id_same(g->track[g->index[at] - 1].t.step, step)) {
        at = (at + 1) & (g->index_cap - 1);
    }
    return at;
}

static void put(struct engine *g, struct step_id step, uint32_t track) {
    g->index[find_place(g, step)] = track;
}

static enum err build(struct engine *g, struct error *e) {
    uint32_t cap = 64;
    while (cap < g->track_count * 4u) {
        cap *= 2;
    }
    free(g->index);
    g->index = calloc(cap, sizeof *g->index);
    g->index_cap = cap;
    for (uint32_t i = 0; g->index && i < g->track_count; i++) {
        if (g->track[i].t.plan == g->plan) {
            put(g, g->track[i].t.step, i + 1);
        }
    }
    return g->index ? OK : error_nomem(e);
}

uint32_t undone_find(const struct engine *g, struct step_id step) {
    return g->index[find_place(g, step)];
}

enum err undone_add(struct engine *g, struct step_id step, uint32_t track, struct error *e) {
    if (track * 2u > g->index_cap) {
        return build(g, e);
    }
    put(g, step, track);
    return OK;
}

void undone_over(struct engine *g) {
    free(g->index);
    g->index = NULL;
    g->undoing = false;
}

/* ---- events ---- */

static void note_used(struct engine *g, struct step_id s) {
    struct node_state *n = &g->nodes[s.node];
    n->floor = s.generation + 1 > n->floor ? s.generation + 1 : n->floor;
    n->floor_iteration = s.iteration > n->floor_iteration ? s.iteration : n->floor_iteration;
}

static enum err undone_owner(struct engine *g, const struct event *ev, struct error *e) {
    (void)e;
    g->epoch = ev->epoch ? ev->epoch : g->epoch;
    if (!g->started.us) {
        g->started = ev->at;
    }
    return OK;
}

static enum err undone_rollback(struct engine *g, const struct event *ev, struct error *e) {
    enum err err = undone_owner(g, ev, e);
    return err ? err : rollback_note_count(g, ev, e);
}

static enum err undone_waiting(struct engine *g, const struct event *ev, struct error *e) {
    enum err err = track_begin_undone(g, ev, e);
    return err ? err : track_wait(g, ev, e);
}

static enum err undone_aided(struct engine *g, const struct event *ev, struct error *e) {
    struct step_id run;
    if (!step_id_parse(g->plan, ev->aux, &run)) {
        return error_set(e, ERR_CORRUPT, "event %llu calls what is no step",
                         (unsigned long long)ev->seq);
    }
    note_used(g, run);
    if (ev->role == ROLE_COMPENSATE) {
        g->nodes[ev->step.node].fresh |= FRESH_UNDONE;
    }
    enum err err = track_of(g, ev->step) ? OK : track_begin_undone(g, ev, e);
    return err ? err : track_aid(g, ev, e);
}

static const undone_fn table[] = {
    [EVENT_EXECUTION_STARTED] = undone_owner,
    [EVENT_EXECUTION_ROLLED_BACK] = undone_rollback,
    [EVENT_EXECUTION_RETRIED] = rollback_note_count,
    [EVENT_STEP_SCHEDULED] = track_begin_undone,
    [EVENT_STEP_WAITING] = undone_waiting,
    [EVENT_STEP_SUSPENDED] = undone_waiting,
    [EVENT_FOREACH_STARTED] = track_begin_undone,
    [EVENT_STEP_AIDED] = undone_aided,
    [EVENT_STEP_COMPLETED] = track_end_undone,
    [EVENT_STEP_FAILED] = track_end_undone,
    [EVENT_STEP_SKIPPED] = track_end_undone,
    [EVENT_STEP_CANCELLED] = track_end_undone,
    [EVENT_STEP_RETRYING] = track_retry,
    [EVENT_CALL_BEGUN] = track_call_begun,
    [EVENT_CALL_DONE] = track_call_done,
    [EVENT_LATE_RESULT] = track_late,
    [EVENT_STEP_PROCESS] = track_process,
    [EVENT_SIGNAL_RECEIVED] = signal_apply,
    [EVENT_ANSWER_KEPT] = answer_apply_kept,
    [EVENT_ANSWER_DROPPED] = answer_apply_dropped,
    [EVENT_CHECKPOINT_MADE] = past_point,
};

enum err engine_fold_undone(struct engine *g, const struct event *ev, struct error *e) {
    bool known = !ev->has_step || ev->step.node < g->plan->node_count;
    if (ev->seq != g->seq + 1 || !known) {
        return error_set(e, ERR_CORRUPT, "event %llu (%s), which was undone, follows event %llu",
                         (unsigned long long)ev->seq, event_name(ev->kind),
                         (unsigned long long)g->seq);
    }
    if (!event_name(ev->kind)) {
        return error_set(e, ERR_UNSUPPORTED,
                         "event %llu is of kind %d, which this cairn does not know: use a newer "
                         "version",
                         (unsigned long long)ev->seq, (int)ev->kind);
    }
    enum err err = g->undoing ? OK : build(g, e);
    g->undoing = true;
    g->seq = ev->seq;
    g->now = ev->at;
    err = err ? err : past_note(g, ev, e);
    err = err ? err : account_note(g, ev, e);
    if (ev->has_step && ev->kind != EVENT_LATE_RESULT && ev->kind != EVENT_ANSWER_KEPT) {
        note_used(g, ev->step);
    }
    undone_fn fn = (size_t)ev->kind < ARRAY_LEN(table) ? table[ev->kind] : NULL;
    err = err || !fn ? err : fn(g, ev, e);
    return !err && (g->scratch.starved || g->arena.starved) ? error_nomem(e) : err;
}

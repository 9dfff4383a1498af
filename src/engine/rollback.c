/* A rollback: the state becomes that of an earlier event, and what came after it no longer counts.
 *
 * Decided here, recorded as one event with its target; what it leads to is had by folding the
 * journal anew, live too (undone.c has what of the undone events is kept). Steps that had begun by
 * the target and not ended become pending in a new generation, so that no step id and no key is
 * used twice. Implements model.md "Time travel", "States".
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

bool engine_is_superseded(const struct engine *g) { return g->superseded; }

bool engine_is_unsettled(const struct engine *g) { return g->unsettled; }

/* ---- deciding ---- */

static enum err stop(struct engine *g, struct step_id step, struct error *e) {
    const struct node_state *n = &g->nodes[step.node];
    const struct item_state *item = engine_item_of(g, step);
    struct engine_effect fx = {.type = OUT_CANCEL,
                               .step = step,
                               .attempt = item ? item->attempt : n->attempt,
                               .flight = item ? item->flight : n->flight};
    bool runs = (item ? item->status : n->status) == STEP_RUNNING && !(n->aided && !item);
    return runs && !g->plan->nodes[step.node].pure ? engine_emit_effect(g, &fx, e) : OK;
}

/* What is being performed is stopped, sub-workflows too; it is pending anew afterwards. */
static enum err stop_all(struct engine *g, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        const struct node_state *n = &g->nodes[i];
        struct step_id step = {i, n->iteration, -1, n->generation};
        if (!n->each) {
            err = stop(g, step, e);
        }
        for (uint32_t k = 0; n->each && k < n->each->next && !err; k++) {
            step.index = k;
            err = stop(g, step, e);
        }
    }
    return err;
}

enum err engine_roll_back(struct engine *g, struct event *ev, struct error *e) {
    if (undo_is_left(g, ev->to)) {
        return undo_before_rollback(g, ev, e);
    }
    enum err err = stop_all(g, e);
    return err ? err : engine_emit(g, ev, e);
}

enum err engine_on_rollback(struct engine *g, const struct engine_input *in, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_ROLLED_BACK,
                       .reason = in->by,
                       .resume = in->resume,
                       .host = in->host,
                       .epoch = in->epoch};
    struct error why;
    enum err err = engine_may_rollback(g, in->target, &ev.to, &why);
    const char *refusal =
        err         ? why.message
        : in->below ? "it is a sub-workflow, and a step of its parent waits for it: roll that back"
        : exec_status_final(g->status) && !in->epoch ? "the execution has ended"
                                                     : NULL;
    if (refusal) {
        return engine_verdict(g, in, refusal, e);
    }
    err = engine_verdict(g, in, NULL, e);
    return err ? err : engine_roll_back(g, &ev, e);
}

/* ---- how often ---- */

static struct rollback_count *find_count(const struct engine *g, struct str node, uint64_t entry) {
    for (uint32_t i = 0; i < g->rollback_count; i++) {
        if (g->rollbacks[i].entry == entry && str_eq(g->rollbacks[i].node, node)) {
            return &g->rollbacks[i];
        }
    }
    return NULL;
}

uint64_t rollback_count_of(const struct engine *g, struct str node, uint64_t entry) {
    const struct rollback_count *c = find_count(g, node, entry);
    return c ? c->count : 0;
}

enum err rollback_note_count(struct engine *g, const struct event *ev, struct error *e) {
    if (!ev->node.len) {
        g->rollback_count = 0;
        return OK;
    }
    struct rollback_count *c = find_count(g, ev->node, ev->recovery);
    if (!c && g->rollback_count == g->rollback_cap) {
        uint32_t cap = g->rollback_cap ? g->rollback_cap * 2 : 8;
        struct rollback_count *more = realloc(g->rollbacks, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->rollbacks = more;
        g->rollback_cap = cap;
    }
    if (!c) {
        c = &g->rollbacks[g->rollback_count];
        *c = (struct rollback_count){.node = arena_str(&g->arena, ev->node), .entry = ev->recovery};
        if (!c->node.ptr) {
            return error_nomem(e);
        }
        g->rollback_count++;
    }
    c->count++;
    return OK;
}

void rollback_digest_counts(const struct engine *g, struct buf *b) {
    for (uint32_t i = 0; i < g->rollback_count; i++) {
        const uint64_t numbers[] = {g->rollbacks[i].entry, g->rollbacks[i].count};
        buf_append(b, (struct str){(const char *)numbers, sizeof numbers});
        buf_append(b, g->rollbacks[i].node);
    }
}

/* ---- the fold ---- */

static void undo_track(struct engine *g, uint32_t track) {
    if (track) {
        g->track[track - 1].t.undone = true;
    }
}

/* Its ids so far are used up. */
static void use_new_ids(struct node_state *n) {
    uint32_t next = n->generation + (n->status != STEP_PENDING || n->track);
    uint32_t floor = generation_floor(n, n->iteration);
    if (!MUTANT(reuse_id_after_rollback)) {
        n->generation = next > floor ? next : floor;
    }
}

/* What items had ended with is kept. */
static void undo_items(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    for (uint32_t i = 0; i < n->each->count; i++) {
        struct item_state *item = &n->each->items[i];
        struct step_id step = {node, n->iteration, i, n->generation};
        if (step_status_final(item->status)) {
            continue;
        }
        if (item->status == STEP_RUNNING) {
            engine_release_slot(g, &g->plan->nodes[node]);
        }
        engine_set_item_status(g, step, STEP_PENDING);
        undo_track(g, item->track);
        flight_unref(item->flight);
        held_clear(&item->error);
        *item = (struct item_state){.status = STEP_PENDING};
    }
    n->each->queued = false;
    n->each->due.count = 0;
    n->each->next = 0;
    foreach_skip_kept(n->each);
}

/* A run that others called for: they call again, for another one. */
static void abandon(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    if (n->each) {
        undo_items(g, node);
    } else if (n->status == STEP_RUNNING && !n->aided) {
        engine_release_slot(g, &g->plan->nodes[node]);
    }
    undo_track(g, n->track);
    flight_unref(n->flight);
    n->flight = NULL;
    node_more_clear(n);
    engine_set_aided(g, node, ROLE_NONE);
    n->suspended = SUSPENDED_NOT;
    engine_set_status(g, node, STEP_CANCELLED);
    foreach_free(n->each);
    n->each = NULL;
}

/* A step that had not ended is pending anew; a foreach goes on with the items it had. */
static enum err undo_step(struct engine *g, uint32_t node, struct error *e) {
    struct node_state *n = &g->nodes[node];
    n->dirty = n->ready = n->retry_due = false;
    if (step_status_final(n->status)) {
        return OK;
    }
    if (g->plan->nodes[node].role) {
        abandon(g, node);
        return OK;
    }
    if (n->each) {
        undo_items(g, node);
    } else if (n->status == STEP_RUNNING && !n->aided) {
        engine_release_slot(g, &g->plan->nodes[node]);
    }
    undo_track(g, n->track);
    use_new_ids(n);
    flight_unref(n->flight);
    n->flight = NULL;
    node_more_clear(n);
    engine_set_aided(g, node, ROLE_NONE);
    n->suspended = SUSPENDED_NOT;
    n->entry = 0;
    n->attempt = n->failures = n->calls_from = n->unanswered = 0;
    if (!n->each) {
        n->track = 0;
        engine_set_status(g, node, STEP_PENDING);
        return OK;
    }
    struct step_id step = {node, n->iteration, -1, n->generation};
    return track_again(g, step, &n->track, e);
}

/* It goes on with the items that are left; with none, it ends once more: a node that ran for it
 * runs no longer. */
static enum err go_on_with_items(struct engine *g, uint32_t node, struct error *e) {
    if (g->nodes[node].each->unfinished) {
        return engine_feed(g, node, e);
    }
    return heap_push(&g->ready, g->order[node]) ? OK : error_nomem(e);
}

/* It is under way again, its time counts from now. */
static enum err go_on(struct engine *g, const struct event *ev, struct error *e) {
    g->status = EXEC_RUNNING;
    g->epoch = ev->epoch ? ev->epoch : g->epoch;
    if (!g->started.us) {
        g->started = ev->at;
    }
    g->timed_from = ev->at;
    g->timed_paused_us = g->paused_us;
    g->paused = !ev->resume;
    g->paused_at = ev->at;
    g->paused_by = ev->reason.len ? arena_str(&g->arena, ev->reason) : STR("");
    g->paused_why = STR("");
    g->starting = false;
    g->unsettled = true;
    struct heap *all[] = {&g->now_dirty, &g->next_dirty, &g->limits,
                          &g->rearm,     &g->ready,      &g->slotted};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i]->count = 0;
    }
    return g->paused_by.ptr ? OK : error_nomem(e);
}

/* What was under way is told as stopped by the rollback. */
static void end_tracks(struct engine *g, const struct event *ev) {
    for (uint32_t i = 0; i < g->track_count; i++) {
        struct track_slot *s = &g->track[i];
        if (s->t.undone && !step_status_final(s->t.status)) {
            s->t.status = STEP_CANCELLED;
            s->t.ended = ev->at;
            s->t.ended_tick = ++g->ticks;
            track_waits_no_more(s);
        }
    }
}

enum err rollback_apply(struct engine *g, const struct event *ev, struct error *e) {
    if (g->out) {
        g->superseded = true;
        g->mode = MODE_STOPPED; /* whatever the decision was about, it is over */
        return OK;
    }
    undone_over(g);
    if (ev->to == 0 || ev->to >= ev->seq || exec_status_final(g->status) || g->mode != MODE_RUN) {
        return error_set(e, ERR_CORRUPT, "event %llu goes back to event %llu, which is no target",
                         (unsigned long long)ev->seq, (unsigned long long)ev->to);
    }
    uint8_t *none = ARENA_ARRAY(&g->scratch, (size_t)g->plan->node_count + 1, uint8_t);
    enum err err = none ? OK : error_nomem(e);
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        err = undo_step(g, i, e);
        answer_end_generation(g, i);
    }
    err = err ? err : go_on(g, ev, e);
    err = err ? err : edges_reopen(g, none, e);
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        const struct node_state *n = &g->nodes[i];
        err = n->each && n->status == STEP_RUNNING ? go_on_with_items(g, i, e) : OK;
    }
    end_tracks(g, ev);
    return err ? err : rollback_note_count(g, ev, e);
}

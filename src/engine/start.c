/* Starting what is ready: by priority, then file order (then item index). Pure steps and others
 * that hold no slot start at once, also past a step that waits for a slot.
 *
 * Two heaps of ranks: `ready` (needs no slot) and `slotted`. Entries may be stale: what a node is
 * now decides, not that it stands in a heap.
 */
#include "engine/engine_priv.h"

bool engine_holds_slot(const struct plan_node *n) {
    return !n->pure && !(n->kind->flags & KIND_NO_SLOT) && !plan_node_waits(n);
}

void engine_release_slot(struct engine *g, const struct plan_node *n) {
    g->held_slots -= engine_holds_slot(n);
}

/* Nothing starts. */
static bool is_held(struct engine *g) { return g->paused || engine_budget_holds(g); }

static bool slot_free(const struct engine *g) {
    return g->plan->concurrency == 0 || g->held_slots < g->plan->concurrency;
}

enum err engine_make_ready(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[node];
    g->nodes[node].ready = true;
    bool slotted = engine_holds_slot(p) && !p->foreach.present;
    return heap_push(slotted ? &g->slotted : &g->ready, g->order[node]) ? OK : error_nomem(e);
}

static enum err tell_eval(struct engine *g, struct step_id step, uint32_t attempt,
                          struct error *e) {
    struct engine_effect fx = {.type = OUT_EVAL, .step = step, .attempt = attempt};
    return g->out ? engine_emit_effect(g, &fx, e) : OK;
}

/* A pure step begins without an event: its completion will be one. */
static enum err begin_pure(struct engine *g, struct step_id step, struct error *e) {
    struct node_state *n = &g->nodes[step.node];
    struct item_state *item = engine_item_of(g, step);
    uint32_t *track = item ? &item->track : &n->track;
    if (item) {
        engine_set_item_status(g, step, STEP_RUNNING);
        item->attempt = 1;
        n->each->next = (uint32_t)step.index + 1;
        foreach_skip_kept(n->each);
    } else {
        engine_set_status(g, step.node, STEP_RUNNING);
        n->ready = n->armed = false;
        n->attempt = 1;
    }
    enum err err = track_begin(g, step, track, e);
    if (err) {
        return err;
    }
    g->track[*track - 1].t.before = g->seq; /* it has no event */
    return tell_eval(g, step, 1, e);
}

static enum err perform(struct engine *g, struct step_id step, uint32_t attempt, struct error *e) {
    struct item_state *item = engine_item_of(g, step);
    struct engine_effect fx = {.type = OUT_PERFORM,
                               .step = step,
                               .attempt = attempt,
                               .flight = item ? item->flight : g->nodes[step.node].flight};
    return engine_emit_effect(g, &fx, e);
}

/* What was approved does not cover it: it fails, and nothing is performed. */
static enum err fail_unapproved(struct engine *g, struct step_id step, uint32_t attempt,
                                struct flight *f, bool *out_failed, struct error *e) {
    struct step_failure failure;
    enum err err = approval_check(g, f, &failure, e);
    *out_failed = !err && failure.type.len;
    if (*out_failed) {
        struct flight *held = flight_ref(f);
        err = engine_attempt_failed(g, step, attempt, &failure, e);
        flight_unref(held);
    }
    return err;
}

/* Later attempts of a step get the inputs of the first. */
static enum err schedule_again(struct engine *g, struct step_id step, uint32_t attempt,
                               struct error *e) {
    struct item_state *item = engine_item_of(g, step);
    struct node_state *n = &g->nodes[step.node];
    if (plan_node_waits(&g->plan->nodes[step.node])) {
        return engine_wait(g, step, attempt, item ? item->flight : n->flight, e);
    }
    bool failed = false;
    enum err err = g->plan->nodes[step.node].approved
                       ? fail_unapproved(g, step, attempt - 1, n->flight, &failed, e)
                       : OK;
    if (err || failed) {
        return err;
    }
    struct event ev = event_of_step(EVENT_STEP_SCHEDULED, step);
    ev.attempt = attempt;
    err = engine_emit(g, &ev, e);
    if (err) {
        return err;
    }
    if (g->plan->nodes[step.node].pure) {
        return tell_eval(g, step, attempt, e);
    }
    flight_next_attempt(item ? item->flight : n->flight, attempt,
                        item ? item->failures : n->failures);
    return perform(g, step, attempt, e);
}

/* The step's from now on, unless it ended meanwhile. */
static void keep_flight(struct engine *g, struct step_id step, struct flight *f) {
    struct item_state *item = engine_item_of(g, step);
    struct node_state *n = &g->nodes[step.node];
    if (step_status_final(item ? item->status : n->status)) {
        flight_unref(f);
    } else {
        *(item ? &item->flight : &n->flight) = f;
    }
}

static enum err schedule_first(struct engine *g, struct step_id step, struct error *e) {
    struct flight *f;
    struct error why;
    enum budget_kind over;
    if (!plan_node_waits(&g->plan->nodes[step.node]) && engine_step_over_budget(g, &over)) {
        return engine_over_budget(g, step, 0, over, 1, e);
    }
    enum err err = flight_new(g, step, 1, &f, e);
    if (err) {
        return err;
    }
    err = flight_resolve(g, f, NULL, &why);
    if (err) {
        flight_unref(f);
        struct step_failure failure = {.class = FAILURE_PERMANENT,
                                       .type = str_from(err_name(why.code)),
                                       .message = str_from(why.message)};
        return err == ERR_NOMEM ? error_nomem(e) : engine_attempt_failed(g, step, 0, &failure, e);
    }
    if (plan_node_waits(&g->plan->nodes[step.node])) {
        keep_flight(g, step, flight_ref(f)); /* a signal that came before may end it at once */
        err = engine_wait(g, step, 1, f, e);
        flight_unref(f);
        return err;
    }
    bool failed;
    err = fail_unapproved(g, step, 0, f, &failed, e);
    if (err || failed) {
        flight_unref(f);
        return err;
    }
    struct event ev = event_of_step(EVENT_STEP_SCHEDULED, step);
    ev.attempt = 1;
    err = flight_recorded(f, &ev.inputs, &ev.scope) ? error_nomem(e) : engine_emit(g, &ev, e);
    if (err) {
        flight_unref(f);
        return err;
    }
    keep_flight(g, step, f);
    return perform(g, step, 1, e);
}

enum err engine_schedule(struct engine *g, struct step_id step, uint32_t attempt, struct error *e) {
    struct item_state *item = engine_item_of(g, step);
    struct flight *f = item ? item->flight : g->nodes[step.node].flight;
    return f || attempt > 1 ? schedule_again(g, step, attempt, e) : schedule_first(g, step, e);
}

static enum err start_node(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[node];
    struct node_state *n = &g->nodes[node];
    struct step_id step = {node, n->iteration, -1, n->generation};
    if (p->foreach.present) {
        return g->out ? foreach_start(g, node, e) : OK;
    }
    if (p->pure) {
        return begin_pure(g, step, e);
    }
    return g->out ? engine_schedule(g, step, 1, e) : OK;
}

static enum err start_item(struct engine *g, uint32_t node, uint32_t index, struct error *e) {
    struct node_state *n = &g->nodes[node];
    struct step_id step = {node, n->iteration, index, n->generation};
    if (g->plan->nodes[node].pure) {
        return begin_pure(g, step, e);
    }
    return engine_schedule(g, step, 1, e);
}

static bool item_may_start(const struct engine *g, uint32_t node) {
    const struct plan_node *p = &g->plan->nodes[node];
    const struct foreach_state *f = g->nodes[node].each;
    bool within = p->foreach.concurrency == 0 || f->running < p->foreach.concurrency;
    return f->next < f->count && within && (!engine_holds_slot(p) || slot_free(g));
}

/* An item that waited for a person has lost its place to another one. */
static bool retry_fits(const struct engine *g, uint32_t node) {
    uint32_t most = g->plan->nodes[node].foreach.concurrency, count = 0;
    const struct foreach_state *f = g->nodes[node].each;
    bool fewer = most == 0 || f->running <= most;
    for (uint32_t i = 0; !fewer && i < f->next; i++) {
        count += f->items[i].status == STEP_RUNNING;
    }
    return fewer || count < most;
}

/* Starts retries that are due and items that were not started, as slots allow. */
static enum err start_items(struct engine *g, uint32_t node, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    const struct plan_node *p = &g->plan->nodes[node];
    f->queued = false;
    if (!g->out && !p->pure) {
        return OK; /* a fold: they have events of their own */
    }
    while (f->due.count && !is_held(g) && retry_fits(g, node) &&
           (!engine_holds_slot(p) || slot_free(g))) {
        uint32_t index = heap_pop(&f->due);
        struct step_id step = {node, g->nodes[node].iteration, index, g->nodes[node].generation};
        enum err err = f->items[index].status == STEP_RETRYING
                           ? engine_schedule(g, step, f->items[index].attempt + 1, e)
                           : OK;
        if (err) {
            return err;
        }
    }
    while (g->mode == MODE_RUN && !is_held(g) && item_may_start(g, node)) {
        enum err err = start_item(g, node, f->next, e);
        if (err || g->nodes[node].each != f || g->nodes[node].status != STEP_RUNNING) {
            return err; /* an item's inputs failed and ended the foreach */
        }
    }
    if (is_held(g)) {
        return engine_feed(g, node, e);
    }
    bool due = f->due.count && retry_fits(g, node); /* else the end of an item starts it */
    bool waits = due || (f->next < f->count && engine_holds_slot(p) && !slot_free(g));
    if (waits && !f->queued) {
        f->queued = true;
        return heap_push(&g->slotted, g->order[node]) ? OK : error_nomem(e);
    }
    return OK;
}

static enum err start_one(struct engine *g, uint32_t node, bool *out_again, struct error *e) {
    struct node_state *n = &g->nodes[node];
    if (n->status == STEP_PENDING && n->ready && g->mode == MODE_RUN) {
        enum err err = start_node(g, node, e);
        if (err || !n->each) {
            return err;
        }
    }
    if (n->status == STEP_RETRYING && n->retry_due) {
        struct step_id step = {node, n->iteration, -1, n->generation};
        return engine_schedule(g, step, n->attempt + 1, e);
    }
    if (!n->each || n->status != STEP_RUNNING) {
        return OK;
    }
    if (n->each->unfinished == 0 && g->out) {
        *out_again = true;
        return foreach_settle(g, node, e);
    }
    return start_items(g, node, e);
}

/* The next node to look at, in rank order over both heaps; false when none may start. */
static bool next_rank(struct engine *g, uint32_t *out) {
    bool slotted = g->slotted.count && slot_free(g);
    if (!g->ready.count && !slotted) {
        return false;
    }
    bool from_ready = g->ready.count && (!slotted || g->ready.items[0] <= g->slotted.items[0]);
    *out = heap_pop(from_ready ? &g->ready : &g->slotted);
    return true;
}

/* While folding: begins the pure steps of ready nodes before a rank. What else is ready has events
 * of its own. */
enum err engine_begin_quietly(struct engine *g, uint32_t before_rank, struct error *e) {
    enum err err = OK;
    bool again;
    while (!err && !is_held(g) && g->ready.count && g->ready.items[0] < before_rank) {
        err = start_one(g, g->by_rank[heap_pop(&g->ready)], &again, e);
    }
    return err;
}

enum err engine_start_ready(struct engine *g, bool *out_again, struct error *e) {
    uint32_t rank;
    *out_again = false;
    while (g->mode != MODE_STOPPED && !is_held(g) && next_rank(g, &rank)) {
        enum err err = start_one(g, g->by_rank[rank], out_again, e);
        if (err) {
            return err;
        }
    }
    *out_again = *out_again || g->now_dirty.count || g->limits.count || g->rearm.count;
    *out_again = *out_again && g->mode == MODE_RUN && !g->paused;
    return OK;
}

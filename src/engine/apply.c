/* The fold: what each event does to the state. Decides nothing: the same events give the same
 * state, live and after a crash. One function per event kind, found by a table.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

typedef enum err (*apply_fn)(struct engine *g, const struct event *ev, struct error *e);

struct item_state *engine_item_of(const struct engine *g, struct step_id s) {
    struct foreach_state *f = g->nodes[s.node].each;
    return f && s.index >= 0 && s.index < (int64_t)f->count ? &f->items[s.index] : NULL;
}

static enum err corrupt(const struct event *ev, struct error *e) {
    return error_set(e, ERR_CORRUPT, "event %llu (%s) does not follow from those before it",
                     (unsigned long long)ev->seq, event_name(ev->kind));
}

static bool is_active(uint8_t status) {
    return status == STEP_RUNNING || status == STEP_RETRYING || status == STEP_WAITING;
}

/* It is under way, and others are what runs or waits. */
static bool is_idle(const struct node_state *n) {
    return n->status == STEP_RUNNING && (n->each || n->aided);
}

void engine_set_status(struct engine *g, uint32_t node, enum step_status status) {
    struct node_state *n = &g->nodes[node];
    g->active -= is_active(n->status);
    g->idle_running -= is_idle(n);
    g->waiting_steps -= n->status == STEP_WAITING;
    g->by_status[n->status]--;
    n->status = (uint8_t)status;
    g->active += is_active(n->status);
    g->idle_running += is_idle(n);
    g->waiting_steps += status == STEP_WAITING;
    g->by_status[n->status]++;
}

void engine_set_aided(struct engine *g, uint32_t node, enum node_role role) {
    struct node_state *n = &g->nodes[node];
    g->idle_running -= is_idle(n);
    n->aided = (uint8_t)role;
    g->idle_running += is_idle(n);
}

static bool is_going(uint8_t status) { return status == STEP_RUNNING || status == STEP_RETRYING; }

/* Items that count for the foreach's concurrency: those that go on by themselves, also when their
 * service is left alone. Who waits for somebody holds nothing. */
static bool holds_place(const struct item_state *item) {
    return is_going(item->status) ||
           (item->status == STEP_WAITING && item->suspended == SUSPENDED_BREAKER);
}

/* The one place that changes the status of an item that was begun: keeps the counts. */
static void set_item(struct engine *g, struct step_id step, enum step_status status,
                     enum suspend_reason suspended) {
    struct foreach_state *f = g->nodes[step.node].each;
    struct item_state *item = &f->items[step.index];
    f->running -= holds_place(item);
    g->items_running -= is_going(item->status);
    g->waiting_steps -= item->status == STEP_WAITING;
    item->status = (uint8_t)status;
    item->suspended = (uint8_t)suspended;
    f->running += holds_place(item);
    g->items_running += is_going(item->status);
    g->waiting_steps += status == STEP_WAITING;
}

void engine_set_item_status(struct engine *g, struct step_id step, enum step_status status) {
    set_item(g, step, status, SUSPENDED_NOT);
}

void engine_set_item_suspended(struct engine *g, struct step_id step, enum suspend_reason why) {
    set_item(g, step, STEP_WAITING, why);
}

/* A step stops holding what it held while it ran. */
static void let_go(struct engine *g, struct step_id s) {
    struct node_state *n = &g->nodes[s.node];
    struct item_state *item = engine_item_of(g, s);
    uint8_t status = item ? item->status : n->status;
    struct flight **flight = item ? &item->flight : &n->flight;
    if (status == STEP_RUNNING && (item || !is_idle(n))) {
        engine_release_slot(g, &g->plan->nodes[s.node]);
    }
    flight_unref(*flight);
    *flight = NULL;
    n->suspended = item ? n->suspended : SUSPENDED_NOT;
}

static enum err end_node(struct engine *g, const struct event *ev, enum step_status status,
                         uint16_t handle, struct error *e) {
    uint32_t node = ev->step.node;
    let_go(g, ev->step);
    engine_set_aided(g, node, ROLE_NONE);
    engine_set_status(g, node, status);
    g->nodes[node].ready = false;
    if (g->plan->nodes[node].role == ROLE_COMPENSATE) {
        undo_ended(g, node);
    }
    enum err err = track_end(g, ev, status, e);
    return err ? err : edges_leave(g, node, handle, e);
}

enum err engine_feed(struct engine *g, uint32_t node, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    if (f->queued || (f->next == f->count && f->due.count == 0)) {
        return OK;
    }
    f->queued = true;
    struct heap *h = engine_holds_slot(&g->plan->nodes[node]) ? &g->slotted : &g->ready;
    return heap_push(h, g->order[node]) ? OK : error_nomem(e);
}

static enum err end_item(struct engine *g, const struct event *ev, enum step_status status,
                         struct error *e) {
    struct item_state *item = engine_item_of(g, ev->step);
    ASSERT(item);
    let_go(g, ev->step);
    engine_set_item_status(g, ev->step, status);
    g->nodes[ev->step.node].each->unfinished--;
    enum err err = track_end(g, ev, status, e);
    return err ? err : engine_feed(g, ev->step.node, e);
}

static enum err apply_created(struct engine *g, const struct event *ev, struct error *e) {
    if (g->seq != 1) {
        return corrupt(ev, e);
    }
    if (ev->rules != ENGINE_RULES) {
        return error_set(e, ERR_UNSUPPORTED,
                         "execution %.*s follows scheduling rules %llu; this cairn knows rules %u: "
                         "use a newer version",
                         STR_ARG(ev->id), (unsigned long long)ev->rules, ENGINE_RULES);
    }
    g->created = ev->at;
    g->timeout_us = ev->timeout_us;
    budget_from_value(ev->budget, &g->budget_given);
    g->has_budget |= budget_any(&g->budget_given);
    g->is_charged = ev->of.len > 0;
    g->id = arena_str(&g->arena, ev->id);
    g->folder = arena_str(&g->arena, ev->folder);
    if (!g->id.ptr || !g->folder.ptr) {
        return error_nomem(e);
    }
    enum err err = held_set(&g->inputs, ev->inputs, e);
    err = err ? err : held_set(&g->env, ev->env, e);
    return err ? err : vars_init(g, e);
}

static enum err apply_started(struct engine *g, const struct event *ev, struct error *e) {
    (void)e;
    g->epoch = ev->epoch;
    g->unsettled = false;
    if (g->status == EXEC_PENDING) {
        g->status = EXEC_RUNNING;
        g->started = g->timed_from = ev->at;
    }
    return OK;
}

static enum err apply_ready(struct engine *g, const struct event *ev, struct error *e) {
    g->nodes[ev->step.node].guarded = true;
    return engine_make_ready(g, ev->step.node, e);
}

static void take_slot(struct engine *g, uint32_t node) {
    g->held_slots += engine_holds_slot(&g->plan->nodes[node]);
}

/* When a waiting step is woken, or a sub-workflow's time is up. */
static int64_t due_of(const struct engine *g, const struct event *ev) {
    int64_t timeout_us = g->plan->nodes[ev->step.node].timeout_us;
    return ev->kind == EVENT_STEP_WAITING ? ev->due_us : engine_unpaused_us(g) + timeout_us;
}

static enum err scheduled_item(struct engine *g, const struct event *ev, struct error *e) {
    struct foreach_state *f = g->nodes[ev->step.node].each;
    struct item_state *item = engine_item_of(g, ev->step);
    if (!item || step_status_final(item->status)) {
        return corrupt(ev, e);
    }
    bool first = item->status == STEP_PENDING;
    bool waits = ev->kind == EVENT_STEP_WAITING;
    if (item->status != STEP_RUNNING && !waits) {
        take_slot(g, ev->step.node);
    }
    if (first && ev->step.index >= (int64_t)f->next) {
        f->next = (uint32_t)ev->step.index + 1;
        foreach_skip_kept(f);
    }
    engine_set_item_status(g, ev->step, waits ? STEP_WAITING : STEP_RUNNING);
    item->due_us = due_of(g, ev);
    item->retry_due = false;
    item->attempt = (uint32_t)ev->attempt;
    track_attempt(g, ev->step, item->attempt);
    return first ? track_begin(g, ev->step, &item->track, e) : OK;
}

static enum err scheduled_node(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    if (step_status_final(n->status) || n->each) {
        return corrupt(ev, e);
    }
    bool first = n->status == STEP_PENDING;
    bool waits = ev->kind == EVENT_STEP_WAITING;
    if (n->status != STEP_RUNNING && !waits) {
        take_slot(g, ev->step.node);
    }
    engine_set_status(g, ev->step.node, waits ? STEP_WAITING : STEP_RUNNING);
    n->due_us = due_of(g, ev);
    n->ready = n->retry_due = n->armed = false;
    n->attempt = (uint32_t)ev->attempt;
    track_attempt(g, ev->step, n->attempt);
    return first ? track_begin(g, ev->step, &n->track, e) : OK;
}

static enum err apply_scheduled(struct engine *g, const struct event *ev, struct error *e) {
    enum err err = ev->step.index >= 0 ? scheduled_item(g, ev, e) : scheduled_node(g, ev, e);
    struct item_state *item = engine_item_of(g, ev->step);
    struct flight **flight = item ? &item->flight : &g->nodes[ev->step.node].flight;
    if (err || g->out || g->plan->nodes[ev->step.node].pure) {
        return err; /* live, the decision makes the flight itself */
    }
    if (*flight) {
        flight_next_attempt(*flight, (uint32_t)ev->attempt,
                            item ? item->failures : g->nodes[ev->step.node].failures);
        return OK;
    }
    err = flight_new(g, ev->step, (uint32_t)ev->attempt, flight, e);
    return err ? err : flight_resolve(g, *flight, ev, e);
}

static enum err apply_waiting(struct engine *g, const struct event *ev, struct error *e) {
    if (!plan_node_waits(&g->plan->nodes[ev->step.node])) {
        return corrupt(ev, e);
    }
    enum err err = apply_scheduled(g, ev, e);
    err = err ? err : approval_note(g, ev, e);
    return err ? err : track_wait(g, ev, e);
}

static enum err foreach_list(struct engine *g, uint32_t node, struct held *out, struct error *e) {
    struct foreach_state *f = g->nodes[node].each;
    bool collect = g->plan->nodes[node].foreach.collect;
    struct arena a;
    struct value_builder list;
    arena_init(&a, 0);
    value_builder_init(&list, &a);
    for (uint32_t i = 0; i < f->count; i++) {
        struct item_state *item = &f->items[i];
        bool ok = item->status == STEP_COMPLETED;
        struct value v = item->body.v;
        if (collect) {
            struct value_builder entry;
            value_builder_init(&entry, &a);
            value_map_add(&entry, STR("ok"), value_bool(ok));
            value_map_add(&entry, ok ? STR("value") : STR("error"), ok ? v : item->error.v);
            v = value_map_done(&entry);
            list.ok = list.ok && entry.ok;
        }
        value_list_add(&list, v);
    }
    struct value v = value_list_done(&list);
    enum err err = list.ok ? held_set(out, v, e) : error_nomem(e);
    arena_fini(&a);
    return err;
}

static enum err completed_body(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    if (!n->each || ev->error_type.len /* on_error gave a value */) {
        return held_set(&n->body, ev->body, e);
    }
    for (uint32_t i = 0; i < n->each->count; i++) {
        if (n->each->items[i].status == STEP_FAILED) {
            n->why = WHY_COLLECTED;
        }
    }
    return foreach_list(g, ev->step.node, &n->body, e);
}

static enum err note_end(struct engine *g, uint32_t node, struct error *e) {
    if (!(g->plan->nodes[node].kind->flags & KIND_END)) {
        return OK;
    }
    if (g->end_count == g->end_cap) {
        uint32_t cap = g->end_cap ? g->end_cap * 2 : 8;
        uint32_t *ends = ARENA_ARRAY(&g->arena, cap, uint32_t);
        if (!ends) {
            return error_nomem(e);
        }
        if (g->end_count) {
            memcpy(ends, g->ends, g->end_count * sizeof *ends);
        }
        g->ends = ends;
        g->end_cap = cap;
    }
    g->ends[g->end_count++] = node;
    return OK;
}

static enum err note_meta(struct engine *g, struct node_state *n, struct value meta,
                          struct error *e) {
    if (value_is_null(meta) && !n->more) {
        return OK;
    }
    return node_more_make(g, n) ? held_set(&n->more->meta, meta, e) : error_nomem(e);
}

static enum err completed_node(struct engine *g, const struct event *ev, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[ev->step.node];
    struct node_state *n = &g->nodes[ev->step.node];
    uint16_t handle = ev->handle.len ? plan_handle_find(p, ev->handle) : 0;
    if (handle == HANDLE_NONE || step_status_final(n->status)) {
        return corrupt(ev, e);
    }
    n->attempt = ev->attempt ? (uint32_t)ev->attempt : n->attempt;
    enum err err = completed_body(g, ev, e);
    err = err ? err : note_meta(g, n, ev->meta, e);
    err = err ? err : undo_note(g, ev, &n->body, e);
    err = err ? err : end_node(g, ev, STEP_COMPLETED, handle, e);
    return err ? err : note_end(g, ev->step.node, e);
}

static enum err completed_item(struct engine *g, const struct event *ev, struct error *e) {
    struct item_state *item = engine_item_of(g, ev->step);
    if (!item || step_status_final(item->status)) {
        return corrupt(ev, e);
    }
    item->attempt = ev->attempt ? (uint32_t)ev->attempt : item->attempt;
    enum err err = held_set(&item->body, ev->body, e);
    err = err ? err : undo_note(g, ev, &item->body, e);
    return err ? err : end_item(g, ev, STEP_COMPLETED, e);
}

static enum err apply_completed(struct engine *g, const struct event *ev, struct error *e) {
    bool waits = plan_node_waits(&g->plan->nodes[ev->step.node]);
    bool asked = waits && engine_step_status(g, ev->step) == STEP_WAITING &&
                 !engine_suspended(g, ev->step); /* and not on_error or a person of its failure */
    enum err err = ev->step.index < 0 ? completed_node(g, ev, e) : completed_item(g, ev, e);
    if (!err && waits) {
        signal_note_taken(g, ev);
        answer_note_end(g, ev->step, asked);
    }
    return err ? err : vars_apply(g, ev, e);
}

static enum err apply_retrying(struct engine *g, const struct event *ev, struct error *e) {
    struct item_state *item = engine_item_of(g, ev->step);
    struct node_state *n = &g->nodes[ev->step.node];
    uint8_t status = item ? item->status : n->status;
    if (status != STEP_RUNNING && status != STEP_WAITING) {
        return corrupt(ev, e);
    }
    if (status == STEP_RUNNING) {
        engine_release_slot(g, &g->plan->nodes[ev->step.node]);
    }
    enum err err = track_retry(g, ev, e);
    if (err) {
        return err;
    }
    if (ev->forget) {
        *(item ? &item->calls_from : &n->calls_from) = track_calls_forget(g, ev->step);
    }
    if (item) {
        engine_set_item_status(g, ev->step, STEP_RETRYING);
        item->due_us = ev->due_us;
        item->failures++;
        return OK;
    }
    engine_set_status(g, ev->step.node, STEP_RETRYING);
    n->due_us = ev->due_us;
    n->failures++;
    return OK;
}

enum err engine_note_failure(struct engine *g, const struct event *ev, struct error *e) {
    struct item_state *item = engine_item_of(g, ev->step);
    struct node_more *more = item ? NULL : node_more_make(g, &g->nodes[ev->step.node]);
    struct arena a;
    if (!item && !more) {
        return error_nomem(e);
    }
    arena_init(&a, 0);
    struct track_more what = {.error_type = ev->error_type, .error_message = ev->message};
    struct track t = {.more = &what, .attempt = (uint32_t)ev->attempt};
    struct value map = engine_error_value(&a, &t, g->plan->nodes[ev->step.node].name);
    struct held *out = item ? &item->error : &more->error;
    enum err err = a.starved ? error_nomem(e) : held_set(out, map, e);
    arena_fini(&a);
    return err;
}

static enum err apply_failed(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    struct item_state *item = engine_item_of(g, ev->step);
    if (ev->step.index >= 0 ? !item || step_status_final(item->status)
                            : step_status_final(n->status)) {
        return corrupt(ev, e);
    }
    enum err err = engine_note_failure(g, ev, e);
    if (err) {
        return err;
    }
    if (item) {
        n->each->failed = true;
        if (ev->step.index >= (int64_t)n->each->next) { /* its inputs failed: it never started */
            n->each->next = (uint32_t)ev->step.index + 1;
            foreach_skip_kept(n->each);
        }
        return end_item(g, ev, STEP_FAILED, e);
    }
    n->attempt = ev->attempt ? (uint32_t)ev->attempt : n->attempt;
    n->why = ev->effect == EFFECT_CONTINUE ? WHY_CONTINUED : WHY_NONE;
    return end_node(g, ev, STEP_FAILED, ev->effect == EFFECT_HANDLED ? HANDLE_ERROR : HANDLE_NONE,
                    e);
}

static enum err apply_skipped(struct engine *g, const struct event *ev, struct error *e) {
    if (g->nodes[ev->step.node].status != STEP_PENDING || ev->step.index >= 0) {
        return corrupt(ev, e);
    }
    return end_node(g, ev, STEP_SKIPPED, HANDLE_NONE, e);
}

static enum err apply_cancelled(struct engine *g, const struct event *ev, struct error *e) {
    struct item_state *item = engine_item_of(g, ev->step);
    uint8_t status = item ? item->status : g->nodes[ev->step.node].status;
    if (step_status_final(status)) {
        return corrupt(ev, e);
    }
    return item ? end_item(g, ev, STEP_CANCELLED, e)
                : end_node(g, ev, STEP_CANCELLED, HANDLE_NONE, e);
}

static enum err apply_foreach(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    if (n->status != STEP_PENDING || ev->inputs.type != VALUE_LIST) {
        return corrupt(ev, e);
    }
    struct foreach_state *f = calloc(1, sizeof *f);
    size_t count = value_count(ev->inputs);
    struct item_state *items = calloc(count ? count : 1, sizeof *items);
    enum err err = f && items ? held_set(&f->list, ev->inputs, e) : error_nomem(e);
    if (err) {
        free(f);
        free(items);
        return err;
    }
    f->items = items;
    f->count = f->unfinished = (uint32_t)count;
    n->ready = n->armed = false;
    n->each = f;
    engine_set_status(g, ev->step.node, STEP_RUNNING);
    err = track_begin(g, ev->step, &n->track, e);
    return err ? err : engine_feed(g, ev->step.node, e);
}

static enum err apply_items_cancelled(struct engine *g, const struct event *ev, struct error *e) {
    struct foreach_state *f = g->nodes[ev->step.node].each;
    if (!f || ev->first < f->next || ev->first > f->count || ev->count > f->count - ev->first) {
        return corrupt(ev, e);
    }
    struct event one = *ev;
    for (uint64_t i = 0; i < ev->count; i++) {
        one.step.index = (int64_t)(ev->first + i);
        if (step_status_final(f->items[ev->first + i].status)) {
            continue; /* kept by a retry or a rollback */
        }
        f->items[ev->first + i].status = STEP_CANCELLED;
        f->unfinished--;
        enum err err = track_end(g, &one, STEP_CANCELLED, e);
        if (err) {
            return err;
        }
    }
    f->next = f->count;
    return OK;
}

static enum err apply_repeated(struct engine *g, const struct event *ev, struct error *e) {
    int32_t loop = g->plan->nodes[ev->step.node].heads;
    if (loop < 0 || !engine_loop_may_repeat(g, (uint32_t)loop)) {
        return corrupt(ev, e);
    }
    return edges_rearm(g, (uint32_t)loop, e);
}

static enum err apply_limit(struct engine *g, const struct event *ev, struct error *e) {
    if (ev->edge >= g->plan->edge_count || g->plan->edges[ev->edge].back_of < 0 ||
        g->effective[ev->edge] != EDGE_TAKEN) {
        return corrupt(ev, e);
    }
    return edges_refuse(g, (uint32_t)ev->edge, e);
}

static enum err apply_failing(struct engine *g, const struct event *ev, struct error *e) {
    if (!g->has_error) {
        g->has_error = true;
        g->error = (struct engine_error){.type = arena_str(&g->arena, ev->error_type),
                                         .message = arena_str(&g->arena, ev->message),
                                         .node = arena_str(&g->arena, ev->node),
                                         .attempt = (uint32_t)ev->attempt};
        if (!g->error.type.ptr || !g->error.message.ptr || !g->error.node.ptr) {
            return error_nomem(e);
        }
    }
    g->undo_asked = g->undo_asked || ev->undo;
    if (ev->mode && g->mode != MODE_STOPPED) {
        g->mode = ev->mode == 1 ? MODE_DRAIN : MODE_STOPPED;
    }
    return OK;
}

static enum err apply_cancel(struct engine *g, const struct event *ev, struct error *e) {
    (void)ev;
    (void)e;
    g->cancelling = !g->has_error;
    g->cancel_asked = true;
    g->mode = MODE_STOPPED;
    return OK;
}

static enum err apply_paused(struct engine *g, const struct event *ev, struct error *e) {
    if (g->paused) {
        return corrupt(ev, e);
    }
    g->paused = true;
    g->paused_at = ev->at;
    g->paused_by = ev->reason.len ? arena_str(&g->arena, ev->reason) : STR("");
    g->paused_why = ev->message.len ? arena_str(&g->arena, ev->message) : STR("");
    return g->paused_by.ptr && g->paused_why.ptr ? OK : error_nomem(e);
}

static enum err apply_resumed(struct engine *g, const struct event *ev, struct error *e) {
    if (!g->paused) {
        return corrupt(ev, e);
    }
    g->paused = false;
    g->paused_us += ev->at.us - (g->paused_at.us > g->started.us ? g->paused_at.us : g->started.us);
    return OK;
}

static enum err apply_nothing(struct engine *g, const struct event *ev, struct error *e) {
    (void)g;
    (void)ev;
    (void)e;
    return OK;
}

static enum err apply_end(struct engine *g, const struct event *ev, struct error *e) {
    g->status = ev->kind == EVENT_EXECUTION_FAILED      ? EXEC_FAILED
                : ev->kind == EVENT_EXECUTION_CANCELLED ? EXEC_CANCELLED
                : ev->partial                           ? EXEC_PARTIAL
                                                        : EXEC_COMPLETED;
    g->ended = ev->at;
    return held_set(&g->result, ev->body, e);
}

static const apply_fn table[] = {
    [EVENT_EXECUTION_CREATED] = apply_created,
    [EVENT_EXECUTION_STARTED] = apply_started,
    [EVENT_STEP_READY] = apply_ready,
    [EVENT_STEP_SCHEDULED] = apply_scheduled,
    [EVENT_STEP_COMPLETED] = apply_completed,
    [EVENT_STEP_RETRYING] = apply_retrying,
    [EVENT_STEP_FAILED] = apply_failed,
    [EVENT_STEP_SKIPPED] = apply_skipped,
    [EVENT_STEP_CANCELLED] = apply_cancelled,
    [EVENT_FOREACH_STARTED] = apply_foreach,
    [EVENT_ITEMS_CANCELLED] = apply_items_cancelled,
    [EVENT_LOOP_REPEATED] = apply_repeated,
    [EVENT_LOOP_LIMIT] = apply_limit,
    [EVENT_EXECUTION_FAILING] = apply_failing,
    [EVENT_CANCEL_REQUESTED] = apply_cancel,
    [EVENT_CALL_BEGUN] = track_call_begun,
    [EVENT_CALL_DONE] = track_call_done,
    [EVENT_LATE_RESULT] = track_late,
    [EVENT_EXECUTION_COMPLETED] = apply_end,
    [EVENT_EXECUTION_FAILED] = apply_end,
    [EVENT_EXECUTION_CANCELLED] = apply_end,
    [EVENT_STEP_PROCESS] = track_process,
    [EVENT_STEP_WAITING] = apply_waiting,
    [EVENT_EXECUTION_PAUSED] = apply_paused,
    [EVENT_EXECUTION_RESUMED] = apply_resumed,
    [EVENT_STEP_LOG] = apply_nothing,
    [EVENT_EXECUTION_CLAIMED] = apply_nothing,
    [EVENT_EXECUTION_RETRIED] = retry_apply,
    [EVENT_SIGNAL_RECEIVED] = signal_apply,
    [EVENT_STEP_SUSPENDED] = suspend_apply,
    [EVENT_STEP_RELEASED] = release_apply,
    [EVENT_ANSWER_KEPT] = answer_apply_kept,
    [EVENT_ANSWER_DROPPED] = answer_apply_dropped,
    [EVENT_WORKFLOW_CHANGED] = change_apply,
    [EVENT_STEP_AIDED] = aid_apply,
    [EVENT_FINALLY_BEGUN] = finally_apply,
    [EVENT_UNDO_BEGUN] = undo_apply,
    [EVENT_EXECUTION_ROLLED_BACK] = rollback_apply,
    [EVENT_CHECKPOINT_MADE] = past_point,
    [EVENT_BUDGET_EXCEEDED] = apply_nothing,
    [EVENT_BUDGET_RAISED] = apply_nothing,
    [EVENT_CALL_FAILED] = apply_nothing,
};

/* Events that belong to a step that is not the current one are wrong, but for late ones and those
 * that begin a step. */
static bool follows(const struct engine *g, const struct event *ev) {
    if (ev->seq != g->seq + 1 || exec_status_final(g->status)) {
        return ev->seq == g->seq + 1 &&
               (ev->kind == EVENT_LATE_RESULT || ev->kind == EVENT_EXECUTION_CLAIMED ||
                ev->kind == EVENT_ANSWER_DROPPED || ev->kind == EVENT_WORKFLOW_CHANGED ||
                ev->kind == EVENT_EXECUTION_RETRIED || ev->kind == EVENT_EXECUTION_ROLLED_BACK ||
                (ev->kind == EVENT_UNDO_BEGUN && ev->after));
    }
    if (!ev->has_step || ev->kind == EVENT_LATE_RESULT) {
        return true;
    }
    /* Of a step that is, or may be, a later one, or that is undone. */
    bool to_come = ev->kind == EVENT_ANSWER_KEPT || ev->kind == EVENT_FINALLY_BEGUN ||
                   (ev->kind == EVENT_STEP_AIDED && ev->role == ROLE_COMPENSATE);
    return ev->step.node < g->plan->node_count && (to_come || step_current(g, ev->step));
}

enum err engine_apply(struct engine *g, const struct event *ev, struct error *e) {
    if ((size_t)ev->kind >= ARRAY_LEN(table) || !table[ev->kind]) {
        return error_set(e, ERR_UNSUPPORTED,
                         "event %llu is of kind %d, which this cairn does not know: use a newer "
                         "version",
                         (unsigned long long)ev->seq, (int)ev->kind);
    }
    if (!follows(g, ev)) {
        return corrupt(ev, e);
    }
    g->seq = ev->seq;
    g->now = ev->at;
    enum err err = past_note(g, ev, e);
    err = err ? err : account_note(g, ev, e);
    err = err ? err : table[ev->kind](g, ev, e);
    if (!err && (ev->kind == EVENT_STEP_SKIPPED || ev->kind == EVENT_STEP_FAILED ||
                 ev->kind == EVENT_STEP_CANCELLED)) {
        answer_note_end(g, ev->step, false);
    }
    return err;
}

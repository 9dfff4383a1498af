/* A retry of what has ended: which steps run anew, decided once and recorded by name.
 *
 * Anew run: what failed, was cancelled or never came to an end, the node that is named, and all
 * that depends on one of these; each in a new generation, with new keys. What completed is kept,
 * also the completed items of a foreach that failed. Implements model.md "States": failed, partial,
 * cancelled -> running by retry.
 */
#include <stdio.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

enum { KEPT, ITEMS, WHOLE }; /* what becomes of a node */

static bool is_handled(const struct engine *g, uint32_t node) {
    const struct plan_node *p = &g->plan->nodes[node];
    for (uint32_t i = 0; i < p->out_count; i++) {
        if (g->raw[p->out_edges[i]] == EDGE_TAKEN) {
            return true;
        }
    }
    return false;
}

static uint8_t fate_of(const struct engine *g, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    if (g->plan->nodes[node].role) {
        return KEPT; /* it runs again when it is called again */
    }
    bool failed = n->status == STEP_FAILED && !is_handled(g, node);
    if (!failed && !n->undone && n->why == WHY_NONE && n->status != STEP_CANCELLED &&
        step_status_final(n->status)) {
        return KEPT;
    }
    bool open = false, kept = false;
    for (uint32_t i = 0; n->each && i < n->each->count; i++) {
        const struct item_state *item = &n->each->items[i];
        bool keeps = item->status == STEP_COMPLETED && !item->undone;
        open |= !keeps;
        kept |= keeps;
    }
    return open && (kept || !n->undone) ? ITEMS : WHOLE;
}

/* What was undone in earlier iterations too is done again from the header of its loops on. */
static void enter_anew(const struct engine *g, uint8_t *fates) {
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        const struct plan_node *p = &g->plan->nodes[i];
        for (uint32_t k = 0; g->nodes[i].undone && k < p->loop_count; k++) {
            fates[g->plan->loops[p->loops[k]].header] = WHOLE;
        }
    }
}

static bool spread_edge(const struct engine *g, uint32_t edge, uint8_t *fates) {
    const struct plan_edge *x = &g->plan->edges[edge];
    bool changed = x->back_of < 0 && fates[x->target] != WHOLE;
    if (changed) {
        fates[x->target] = WHOLE;
    }
    return changed;
}

/* What depends on a node that runs anew does, too; a loop that may go round again is left again. */
static void spread(const struct engine *g, uint8_t *fates) {
    const struct plan *p = g->plan;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < p->edge_count; i++) {
            changed |= fates[p->edges[i].source] != KEPT && spread_edge(g, i, fates);
        }
        for (uint32_t i = 0; i < p->loop_count; i++) {
            const struct plan_loop *l = &p->loops[i];
            bool again = false;
            for (uint32_t k = 0; k < l->back_count; k++) {
                again |= fates[p->edges[l->backs[k]].source] != KEPT;
            }
            for (uint32_t k = 0; k < l->leaving_count && again; k++) {
                changed |= spread_edge(g, l->leaving[k], fates);
            }
        }
    }
}

static enum err names_of(const struct engine *g, const uint8_t *fates, uint8_t which,
                         struct arena *a, struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        if (fates[i] == which) {
            value_list_add(&b, value_text(g->plan->nodes[i].name));
        }
    }
    *out = value_list_done(&b);
    return b.ok ? OK : error_nomem(e);
}

enum err engine_may_retry(const struct engine *g, const struct plan *p, struct str from,
                          struct error *e) {
    enum exec_status status = engine_status(g);
    if (!exec_status_final(status)) {
        return error_set(e, ERR_CONFLICT,
                         "the execution is %s: only what has ended is retried; allowed now: %s",
                         exec_status_name(status),
                         exec_status_allows(str_from(exec_status_name(status)), false));
    }
    struct step_id step;
    if (from.len && plan_node_find(p ? p : g->plan, from) < 0) {
        bool known = step_id_parse(p ? p : g->plan, from, &step);
        struct str name = known ? (p ? p : g->plan)->nodes[step.node].name : STR("");
        return error_set(e, ERR_INVALID, "the workflow has no node \"%.*s\"%s%.*s",
                         STR_ARG(str_sub(from, 0, 200)),
                         known ? ", which is a step: it runs anew with its node, " : "",
                         STR_ARG(name));
    }
    int64_t named = from.len ? plan_node_find(g->plan, from) : -1;
    if (named >= 0 && g->plan->nodes[named].role) {
        const struct plan_node *n = &g->plan->nodes[named];
        return error_set(
            e, ERR_INVALID,
            "\"%.*s\" (%s) only runs when it is called: name the node that it runs for",
            STR_ARG(n->name), plan_role_name(n->role));
    }
    if (status == EXEC_COMPLETED && !from.len) {
        return error_set(e, ERR_CONFLICT,
                         "the execution completed, nothing of it failed; allowed now: %s",
                         exec_status_allows(str_from(exec_status_name(status)), false));
    }
    return OK;
}

/* It ended, and on the workflow as it is now it would not have begun, or not yet. */
static bool is_out_of_place(const struct engine *g, uint32_t node) {
    uint8_t status = g->nodes[node].status;
    bool ran = status == STEP_COMPLETED || status == STEP_FAILED;
    return ran && engine_node_join(g, node) != JOIN_IS_READY;
}

/* From now on it is of another workflow, or has other inputs. */
static enum err emit_changed(struct engine *g, const struct engine_input *in, struct error *e) {
    const struct plan *p = in->plan ? in->plan : g->plan;
    struct event ev = {.kind = EVENT_WORKFLOW_CHANGED,
                       .workflow = p->name,
                       .hash = str_from(p->hash),
                       .entry = p->entry,
                       .inputs = in->inputs,
                       .env = in->env,
                       .folder = in->folder,
                       .reason = in->by};
    if (!in->plan && value_is_null(in->inputs)) {
        return OK;
    }
    enum err err = answer_drop_all(g, e);
    engine_offer_plan(g, p);
    return err ? err : engine_emit(g, &ev, e);
}

/* The nodes named; or of these those that would keep items. */
static void force_whole(const struct engine *g, struct value names, bool items, uint8_t *fates) {
    for (size_t i = 0; names.type == VALUE_LIST && i < value_count(names); i++) {
        int64_t node = plan_node_find(g->plan, value_str(names.items[i]));
        bool called = node >= 0 && g->plan->nodes[node].role; /* by others, when they run anew */
        if (node >= 0 && !called && (!items || fates[node] == ITEMS)) {
            fates[node] = WHOLE;
        }
    }
}

/* In an arena of its own: the fold of the event uses the engine's. */
static enum err emit_retried(struct engine *g, const struct engine_input *in, struct arena *a,
                             struct error *e) {
    uint8_t *fates = ARENA_ARRAY(a, (size_t)g->plan->node_count + 1, uint8_t);
    struct event ev = {.kind = EVENT_EXECUTION_RETRIED, .reason = in->by};
    bool changed = in->plan || !value_is_null(in->inputs);
    if (!fates) {
        return error_nomem(e);
    }
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        fates[i] = changed && is_out_of_place(g, i) ? WHOLE : fate_of(g, i);
    }
    int64_t from = in->target.len ? plan_node_find(g->plan, in->target) : -1;
    int64_t named = g->has_error ? plan_node_find(g->plan, g->error.node) : -1;
    if (from >= 0) {
        fates[from] = WHOLE;
    }
    if (named >= 0 && fates[named] == KEPT && !g->plan->nodes[named].role) {
        fates[named] = WHOLE; /* the header of a loop that hit its limit */
    }
    force_whole(g, in->anew, false, fates);
    force_whole(g, in->whole, true, fates);
    enter_anew(g, fates);
    spread(g, fates);
    ev.from = from >= 0 ? g->plan->nodes[from].name : STR("");
    ev.budget = in->value;
    enum err err = names_of(g, fates, WHOLE, a, &ev.nodes, e);
    err = err ? err : names_of(g, fates, ITEMS, a, &ev.keeping, e);
    return err ? err : engine_emit(g, &ev, e);
}

enum err engine_on_retry(struct engine *g, const struct engine_input *in, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_STARTED, .host = in->host, .epoch = in->epoch};
    struct error why;
    if (engine_may_retry(g, in->plan, in->target, &why)) {
        return engine_verdict(g, in, why.message, e);
    }
    enum err err = engine_verdict(g, in, NULL, e);
    struct arena a;
    err = err ? err : emit_changed(g, in, e);
    arena_init(&a, 0);
    err = err ? err : emit_retried(g, in, &a, e);
    arena_fini(&a);
    err = err ? err : engine_emit(g, &ev, e);
    err = err ? err : engine_check_vars(g, e);
    wall_us due = engine_deadline(g);
    bool timed = !exec_status_final(g->status) && due.us;
    struct engine_effect fx = {.type = OUT_TIMER, .timer = INPUT_EXEC_TIMEOUT, .due = due};
    return err || !timed ? err : engine_emit_effect(g, &fx, e);
}

/* ---- the fold ---- */

static void drop_items(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    for (uint32_t i = 0; n->each && i < n->each->count; i++) {
        struct item_state *item = &n->each->items[i];
        struct step_id step = {node, n->iteration, i, n->generation};
        if (item->status == STEP_COMPLETED && !item->undone) {
            continue;
        }
        if (item->status == STEP_RUNNING) {
            engine_release_slot(g, &g->plan->nodes[node]);
        }
        engine_set_item_status(g, step, STEP_PENDING);
        flight_unref(item->flight);
        held_clear(&item->body);
        held_clear(&item->error);
        *item = (struct item_state){.status = STEP_PENDING};
    }
}

void engine_begin_generation(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    if (n->status == STEP_RUNNING && !n->each) {
        engine_release_slot(g, &g->plan->nodes[node]);
    }
    n->generation += n->status != STEP_PENDING && !MUTANT(reuse_id_after_retry);
    uint32_t floor = generation_floor(n, n->iteration);
    n->generation = n->generation > floor ? n->generation : floor;
    answer_end_generation(g, node);
    flight_unref(n->flight);
    n->flight = NULL;
    held_clear(&n->body);
    node_more_clear(n);
    n->attempt = n->failures = n->track = n->calls_from = n->unanswered = 0;
    n->why = WHY_NONE;
    n->suspended = SUSPENDED_NOT;
    n->undone = n->armed = n->guarded = n->retry_due = false;
}

static void reset_whole(struct engine *g, uint32_t node) {
    struct node_state *n = &g->nodes[node];
    drop_items(g, node);
    engine_begin_generation(g, node);
    engine_set_status(g, node, STEP_PENDING);
    foreach_free(n->each);
    n->each = NULL;
}

/* The foreach goes on with the items it had; those that completed are kept. */
static enum err reset_items(struct engine *g, uint32_t node, struct error *e) {
    struct node_state *n = &g->nodes[node];
    struct foreach_state *f = n->each;
    if (!f) {
        return error_set(e, ERR_CORRUPT, "items of a node that has none are to be kept");
    }
    uint32_t track = n->track;
    drop_items(g, node);
    engine_begin_generation(g, node);
    n->track = track;
    engine_set_status(g, node, STEP_RUNNING);
    f->failed = f->queued = false;
    f->due.count = 0;
    f->unfinished = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        f->unfinished += f->items[i].status != STEP_COMPLETED;
    }
    f->next = 0;
    foreach_skip_kept(f);
    struct step_id step = {node, n->iteration, -1, n->generation};
    return track_again(g, step, &n->track, e);
}

static enum err reset_all(struct engine *g, struct value names, uint8_t which, uint8_t *fates,
                          struct error *e) {
    for (size_t i = 0; i < value_count(names); i++) {
        bool text = names.items[i].type == VALUE_TEXT;
        int64_t node = text ? plan_node_find(g->plan, value_str(names.items[i])) : -1;
        if (node < 0) {
            return error_set(e, ERR_CORRUPT, "a node that is to run anew is not in the workflow");
        }
        fates[node] = which;
        if (which == WHOLE) {
            reset_whole(g, (uint32_t)node);
        } else {
            enum err err = reset_items(g, (uint32_t)node, e);
            if (err) {
                return err;
            }
        }
    }
    return OK;
}

/* It is under way again, and its time counts from now. */
static void go_on(struct engine *g, const struct event *ev) {
    g->status = EXEC_RUNNING;
    g->mode = MODE_RUN;
    g->cancelling = g->has_error = g->paused = false;
    g->error = (struct engine_error){0};
    g->ended = (wall_us){0};
    g->timed_from = ev->at;
    g->timed_paused_us = g->paused_us;
    held_clear(&g->result);
    g->result.v = value_null();
    g->phase = PHASE_MAIN;
    g->cancel_asked = g->undo_asked = false;
    g->undo_seq = 0;
    g->finally_begun = 0;
    held_clear(&g->prepared);
    g->prepared.v = value_null();
    edges_forget_work(g);
}

/* Who names a node wants it done, not its result of before: from now on, until the next retry. What
 * was undone is no longer as its result says: until it has completed once more. */
static void note_fresh(struct engine *g, const struct event *ev) {
    int64_t named = ev->from.len ? plan_node_find(g->plan, ev->from) : -1;
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        struct node_state *n = &g->nodes[i];
        bool still = (n->fresh & FRESH_UNDONE) && n->status != STEP_COMPLETED;
        bool undone = n->undone || still;
        n->fresh = (uint8_t)((named == i ? FRESH_NAMED : 0) | (undone ? FRESH_UNDONE : 0));
    }
}

enum err retry_apply(struct engine *g, const struct event *ev, struct error *e) {
    /* Not reset: an event that was just decided on lies in it. */
    uint8_t *fates = ARENA_ARRAY(&g->scratch, (size_t)g->plan->node_count + 1, uint8_t);
    if (!fates || !exec_status_final(g->status)) {
        return fates ? error_set(e, ERR_CORRUPT, "a retry of what has not ended") : error_nomem(e);
    }
    go_on(g, ev);
    note_fresh(g, ev);
    enum err err = rollback_note_count(g, ev, e);
    err = err ? err : reset_all(g, ev->nodes, WHOLE, fates, e);
    err = err ? err : reset_all(g, ev->keeping, ITEMS, fates, e);
    err = err ? err : edges_reopen(g, fates, e);
    for (uint32_t i = 0; i < g->plan->node_count && !err; i++) {
        err = fates[i] == ITEMS ? engine_feed(g, i, e) : OK;
    }
    return err;
}

bool engine_is_fresh(const struct engine *g, uint32_t node) { return g->nodes[node].fresh != 0; }

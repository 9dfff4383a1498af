/* A stored execution goes on in this host: claimed from an owner that is gone, folded, rid of the
 * processes that were left, told that it starts; or, when it has ended, only folded or retried.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

static enum err owned(const struct store_execution *x, struct error *e) {
    return error_set(e, ERR_CONFLICT,
                     "execution %.*s is run by another process, %lld, which is alive",
                     STR_ARG(x->fixed.id), (long long)x->owner_pid);
}

/* Given up here: children that this host still owns. */
static bool has_children_left(const struct run *parent) {
    for (const struct run *r = parent->host->runs; r; r = r->next) {
        if (r->to_drop && r->is_child && r->parent_num == parent->num) {
            return true;
        }
    }
    return false;
}

/* Given up here, and nothing of it is left that has to stop first: whoever takes it over goes on
 * with its children at once. */
bool run_is_gone(const struct run *r) { return r->lost && !r->ports && !has_children_left(r); }

/* The run of this id that lives here, or was given up here and still has attempts to stop. */
static struct run *find_here(const struct host *h, struct str id) {
    struct run *r = h->runs;
    while (r && (r->ended || run_is_gone(r) || !str_is(id, r->id))) {
        r = r->next;
    }
    return r;
}

/* What the last owner's processes are still doing, they must not do beside those to come. */
static void kill_left(const struct run *r) {
    bool programs = false;
    for (uint32_t i = 0; i < engine_track_count(r->engine); i++) {
        const struct track *t = engine_track(r->engine, i);
        const struct node_kind *kind = t->plan->nodes[t->step.node].kind;
        if ((kind->flags & KIND_PROGRAM) && t->status != STEP_COMPLETED) {
            programs = true;
            io_process_kill_stale(t->more->pid, t->more->process_start);
        }
    }
    if (programs) {
        claim_kill_marked(str_from(r->id));
    }
}

static enum err fold_attached(struct run *r, const struct store_execution *x, struct error *e) {
    engine_free(r->engine);
    r->engine = NULL;
    r->num = x->num;
    memcpy(r->id, x->fixed.id.ptr, IO_ID_BYTES - 1);
    r->epoch = x->epoch;
    r->last_seq = x->last_seq;
    r->last_event = x->last_event;
    struct store_range all = {x->num, 0, x->last_seq};
    enum err err = run_fold(&r->host->shelf, r->plan, all, &r->engine, e);
    if (err) {
        return err;
    }
    r->status = engine_status(r->engine);
    return run_follow_plan(r, e);
}

/* Another workflow and other inputs, and what runs anew because of them. */
static enum err keep_changes(const struct run *r, const struct host_retry *q, struct happened *x,
                             struct error *e) {
    x->in.folder = arena_str(&x->arena, q->folder);
    x->in.plan = q->plan;
    enum err err = mend_anew(r->engine, q, &x->arena, &x->in, e);
    if (budget_any(&q->budget) || q->budget.on_exceed) {
        x->in.value = budget_value(&q->budget, &x->arena);
    }
    bool ok = x->in.folder.ptr && !x->arena.starved &&
              value_copy(&x->arena, q->inputs, &x->in.inputs) &&
              value_copy(&x->arena, q->env, &x->in.env);
    return err ? err : ok ? OK : error_nomem(e);
}

static enum err queue_revival(struct run *r, const struct revival *q, struct error *e) {
    struct happened *x = happened_new(q->type);
    if (!x) {
        return error_nomem(e);
    }
    x->in.host = r->host->host_id;
    x->in.epoch = r->epoch;
    x->in.resume = q->resume;
    x->in.target = arena_str(&x->arena, q->target);
    x->in.by = arena_str(&x->arena, q->by);
    bool ok = x->in.target.ptr && x->in.by.ptr;
    enum err err = ok && q->retry ? keep_changes(r, q->retry, x, e) : OK;
    if (err || !ok) {
        happened_free(x);
        return err ? err : error_nomem(e);
    }
    run_happens(r, x);
    return OK;
}

/* Rows of all its steps are written: a retry adds to them, a rollback makes them void. */
static bool has_rows(const struct store_execution *x) {
    return x->row.completed.us && x->row.steps_upto && !host_is_quarantined(x);
}

/* Somebody wants its end, or it back as it was: nothing of it is begun once more, and nothing is
 * given up as in doubt, before that. What a step of its parent waits for cannot go back. */
static bool is_to_stop(struct run *r, const struct store_execution *x) {
    struct store_inbox *rows = NULL;
    struct error ignored;
    struct arena a;
    uint32_t count = 0;
    bool stops = false;
    arena_init(&a, 0);
    if (store_inbox_open(r->host->options.store, r->num, &a, &rows, &count, &ignored)) {
        count = 0; /* whoever looks later finds it */
    }
    for (uint32_t i = 0; i < count; i++) {
        stops |= str_is(rows[i].kind, host_request_name(REQUEST_CANCEL)) ||
                 (!x->fixed.parent && str_is(rows[i].kind, host_request_name(REQUEST_ROLLBACK)));
    }
    arena_fini(&a);
    return stops;
}

static void let_go(struct run *r, const struct store_execution *x) {
    struct error ignored;
    (void)!claim_drop(r->host, x->num, x->epoch, &ignored);
}

/* It may be ours even if the claim fails: then it is dropped, see run_drop_lost. */
static enum err claim_and_fold(struct run *r, struct store_execution *x, struct error *e) {
    r->num = x->num;
    r->epoch = x->epoch + 1;
    enum err err = claim_take(r->host, x, e);
    if (err) {
        return err;
    }
    r->untold = true;
    err = fold_attached(r, x, e);
    if (err) {
        let_go(r, x);
    }
    return err;
}

/* Claimed first, then folded, and only when all of it is as it was, the time that passed counts.
 * What was asked of it before a retry or rollback is decided on before that: refused, it had ended.
 */
static enum err attach(struct run *r, const struct store_execution *stored,
                       const struct revival *again, struct error *e) {
    struct store_execution x = *stored;
    if (x.row.completed.us && !again) {
        enum err err = fold_attached(r, &x, e);
        return err ? err : budget_load(r, e);
    }
    enum err err = claim_and_fold(r, &x, e);
    if (err) {
        return err;
    }
    err = budget_load(r, e);
    if (!err) {
        kill_left(r);
        host_inbox_look(r->host); /* what was asked meanwhile */
        r->steps_written = has_rows(&x) ? engine_track_count(r->engine) : 0;
        /* What a rollback goes back to is begun before anything else is decided on. */
        bool first = again || (is_to_stop(r, &x) && !engine_is_unsettled(r->engine));
        err = first ? inbox_take(r->host, true, e) : OK;
        err = err || again ? err : run_queue_start(r, e);
        err = err || !again ? err : queue_revival(r, again, e);
    }
    if (err) {
        let_go(r, &x);
    }
    return err;
}

enum err run_hold(struct host *h, const struct plan *p, const struct store_execution *x,
                  struct run **out, struct error *e) {
    struct store_execution held = *x;
    enum err err = run_new(h, p, out, e);
    if (err) {
        return err;
    }
    (*out)->held = true;
    err = claim_and_fold(*out, &held, e);
    if (err) {
        run_give_up(*out, NULL);
    }
    return err;
}

static enum err being_stopped(const struct run *r, struct error *e) {
    return error_set(e, ERR_CONFLICT, "execution %s was given up here and is being stopped", r->id);
}

bool run_is_below_ours(const struct host *h, const struct store_execution *x) {
    const struct run *r = x->fixed.parent ? h->runs : NULL;
    while (r && (r->ended || r->lost || r->num != x->fixed.parent)) {
        r = r->next;
    }
    return r != NULL;
}

enum err run_attach(struct host *h, const struct plan *p, const struct store_execution *x,
                    struct run **out, struct error *e) {
    struct run *r = find_here(h, x->fixed.id);
    if (r && r->lost) {
        return being_stopped(r, e);
    }
    if (r) {
        *out = r;
        return OK;
    }
    bool alive = x->owner_alive && x->host != h->host_id && !MUTANT(take_from_the_living);
    if (alive && !x->row.completed.us && !run_is_below_ours(h, x)) {
        return owned(x, e);
    }
    enum err err = run_new(h, p, &r, e);
    if (err) {
        return err;
    }
    err = attach(r, x, NULL, e);
    if (err) {
        run_give_up(r, NULL); /* the caller is told */
        return err;
    }
    *out = r;
    return OK;
}

static enum err under_way(const struct run *r, struct error *e) {
    return error_set(e, ERR_CONFLICT, "execution %s goes on here already: a retry is under way",
                     r->id);
}

enum err run_revive(struct host *h, const struct plan *p, const struct store_execution *x,
                    const struct revival *q, struct run **out, struct error *e) {
    struct run *here = find_here(h, x->fixed.id);
    bool changes = q->retry && (q->retry->plan || !value_is_null(q->retry->inputs) ||
                                budget_any(&q->retry->budget) || q->retry->budget.on_exceed);
    if (here && !here->lost && !changes) {
        *out = here; /* it is under way again already */
        return OK;
    }
    enum err err = here && here->lost ? being_stopped(here, e)
                   : here             ? under_way(here, e)
                                      : run_new(h, p, out, e);
    if (err) {
        return err;
    }
    err = attach(*out, x, q, e);
    if (err) {
        run_give_up(*out, NULL);
    }
    return err;
}

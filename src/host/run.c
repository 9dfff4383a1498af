/* The life of one execution in this host: created, folded again after a failed commit, given up
 * when the store refuses, let go when its end is recorded. How it is taken over: attach.c.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "host/host_priv.h"

enum err run_new(struct host *h, const struct plan *p, struct run **out, struct error *e) {
    struct run *r = calloc(1, sizeof *r);
    if (!r) {
        return error_nomem(e);
    }
    r->host = h;
    r->plan = p;
    arena_init_small(&r->memory, RUN_TEXT_BYTES);
    engine_out_init(&r->out);
    enum err err = engine_new(p, &r->engine, e);
    if (err) {
        run_free(r);
        return err;
    }
    r->next = h->runs;
    h->runs = r;
    h->live_runs++;
    *out = r;
    return OK;
}

static void drop_queue(struct queue *q) {
    struct happened *x;
    while ((x = queue_take(q))) {
        happened_free(x);
    }
}

static void free_state(struct run *r) {
    drop_queue(&r->happened);
    drop_queue(&r->decided);
    engine_out_fini(&r->out);
    engine_free(r->engine);
    r->engine = NULL;
}

/* While a port is left, or its last words wait to be recorded, the state is needed. */
void run_let_go(struct run *r) {
    bool over = r->lost || (!r->happened.first && !r->decided.first);
    if (r->ended && !r->ports && over) {
        free_state(r);
        vault_unref(r->vault);
        r->vault = NULL;
    }
}

void run_free(struct run *r) {
    free_state(r);
    vault_unref(r->vault);
    budget_free(r);
    free(r->buckets);
    arena_fini(&r->memory);
    free(r);
}

/* ---- folded again ---- */

/* What the store has of it now: a commit whose outcome is unknown may have been recorded. */
static enum err read_head(struct run *r, struct error *e) {
    struct arena a;
    struct store_execution x;
    arena_init(&a, 0);
    enum err err = store_execution_get(r->host->options.store, r->num, str_from(r->id), &a, &x, e);
    if (!err && x.epoch != r->epoch) {
        err = error_set(e, ERR_FENCED, "execution %s has another owner now", r->id);
    }
    if (!err) {
        r->num = x.num;
        r->is_new = false;
        r->last_seq = x.last_seq;
        r->last_event = x.last_event;
        r->row_complete = x.row.steps_upto && x.row.steps_upto == x.last_seq;
    }
    arena_fini(&a);
    return err;
}

enum err run_tell_recorded(struct run *r, uint64_t from, struct error *e) {
    const struct host_observer *o = &r->host->options.observer;
    struct store_range range = {r->num, from, r->last_seq};
    struct store_event *rows = NULL;
    struct arena a;
    uint32_t count = 0;
    r->untold = false;
    if (!o->event || from == r->last_seq) {
        return OK;
    }
    arena_init(&a, 0);
    enum err err = store_read_events(r->host->options.store, range, &a, &rows, &count, e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct host_event ev = {.kind = (enum event_kind)rows[i].kind,
                                .seq = rows[i].seq,
                                .at = rows[i].at,
                                .step = rows[i].step,
                                .body = rows[i].body};
        o->event(o->ctx, r, &ev);
    }
    arena_fini(&a);
    return err;
}

static enum err fold_recorded(struct run *r, struct error *e) {
    enum err err = read_head(r, e);
    struct store_range all = {r->num, 0, r->last_seq};
    if (err == ERR_NOT_FOUND && r->is_new) {
        return engine_new(r->plan, &r->engine, e); /* nothing of it was recorded */
    }
    return err ? err : run_fold(&r->host->shelf, r->plan, all, &r->engine, e);
}

/* A request whose verdict is recorded had its effect: it is not decided on again, for it might mean
 * another step by now. */
static enum err is_settled(const struct run *r, const struct happened *x, bool *out,
                           struct error *e) {
    struct store_inbox row;
    struct arena a;
    *out = false;
    if (x->in.ticket <= 0 || MUTANT(ask_twice)) {
        return OK;
    }
    arena_init(&a, 0);
    enum err err = store_inbox_get(r->host->options.store, x->in.ticket, &a, &row, e);
    *out = !err && row.verdict.len > 0;
    arena_fini(&a);
    return err;
}

/* The input records who owns it from then on. */
static bool begins_epoch(const struct happened *x) {
    return x->in.type == INPUT_START || x->in.type == INPUT_RETRY ||
           (x->in.type == INPUT_ROLLBACK && x->in.epoch);
}

/* What was decided on comes once more, in order. Then what is under way is told again, pure steps
 * included: last, so that nothing is performed whose end is among what comes. */
static enum err decide_anew(struct run *r, struct error *e) {
    struct queue all = r->decided;
    struct happened *x;
    r->decided = (struct queue){0};
    while ((x = queue_take(&r->happened))) {
        queue_put(&all, x);
    }
    bool recorded = engine_last_seq(r->engine) > 0;
    bool unsettled = engine_is_unsettled(r->engine);
    bool started = engine_epoch(r->engine) == r->epoch;
    bool tells = recorded && !unsettled && !r->held; /* what is held has begun nothing here */
    struct happened *refresh = tells ? happened_new(INPUT_REFRESH) : NULL;
    enum err err = OK;
    while ((x = queue_take(&all))) {
        bool settled = false;
        err = err ? err : is_settled(r, x, &settled, e);
        bool again = !settled && x->in.type != INPUT_EVAL && x->in.type != INPUT_REFRESH &&
                     !(recorded && x->in.type == INPUT_CREATE) &&
                     !(unsettled && x->in.type == INPUT_START) && !(started && begins_epoch(x));
        if (again) {
            queue_put(&r->happened, x);
        } else {
            happened_free(x);
        }
    }
    if (refresh) {
        queue_put(&r->happened, refresh);
    }
    run_make_ready(r);
    if (!err && unsettled) {
        return run_start_first(r, e);
    }
    return err ? err : tells && !refresh ? error_nomem(e) : OK;
}

static enum err refold(struct run *r, struct error *e) {
    uint64_t committed = r->last_seq, known = committed - r->untold;
    engine_free(r->engine);
    r->engine = NULL;
    r->asleep = false;
    r->written.known = false;
    engine_out_reset(&r->out);
    enum err err = fold_recorded(r, e);
    if (err) {
        return err;
    }
    budget_note(r);
    r->failures = r->last_seq > committed ? 0 : r->failures; /* it was recorded after all */
    err = run_follow_plan(r, e);
    if (err) {
        return err;
    }
    r->status = engine_status(r->engine);
    if (r->rows_void && r->last_seq > committed) {
        ports_undo_all(r); /* the rollback was recorded after all */
    }
    r->rows_void = false;
    r->steps_written = r->row_complete ? engine_track_count(r->engine) : r->steps_written;
    ports_cancel_stale(r);
    err = decide_anew(r, e);
    return err ? err : run_tell_recorded(r, known, e);
}

void run_again(struct run *r) {
    struct error e;
    r->is_void = r->in_batch;
    if (!r->lost && refold(r, &e)) {
        run_give_up(r, &e);
    }
}

void run_failed(struct run *r, const struct error *why) {
    r->failures += why->code != ERR_STORE_BUSY; /* others hold the store: no failure of anything */
    if (!r->lost && r->failures >= HOST_COMMIT_TRIES) {
        r->is_void = r->in_batch;
        run_give_up(r, why);
        return;
    }
    run_again(r);
}

/* ---- beginnings ---- */

static enum err keep_fixed(struct run *r, const struct host_submission *s, struct error *e) {
    struct store_new *f = &r->fixed;
    *f = (struct store_new){.id = str_from(r->id),
                            .workflow = r->plan->name,
                            .workflow_hash = str_from(r->plan->hash),
                            .entry = r->plan->entry,
                            .key = s->key,
                            .parent = r->parent_num,
                            .parent_step = r->parent ? flight_in(r->parent->flight)->step : STR(""),
                            .rules = ENGINE_RULES,
                            .created = host_now(r->host)};
    r->folder = s->folder;
    f->inputs = json_text(&r->memory, s->inputs);
    f->labels = s->labels.type == VALUE_MAP ? json_text(&r->memory, s->labels) : STR("{}");
    bool ok = text_keep(&r->memory, &f->key) && text_keep(&r->memory, &f->parent_step) &&
              text_keep(&r->memory, &r->folder);
    return ok && f->inputs.ptr && f->labels.ptr ? OK : error_nomem(e);
}

static enum err queue_created(struct run *r, const struct host_submission *s, struct error *e) {
    struct happened *x = happened_new(INPUT_CREATE);
    struct event *ev = x ? ARENA_NEW(&x->arena, struct event) : NULL;
    if (!ev) {
        happened_free(x);
        return error_nomem(e);
    }
    *ev = (struct event){.id = r->fixed.id,
                         .workflow = r->fixed.workflow,
                         .hash = r->fixed.workflow_hash,
                         .entry = r->fixed.entry,
                         .timeout_us = s->timeout_us ? s->timeout_us : r->plan->timeout_us,
                         .parent = r->parent ? str_from(r->parent->run->id) : STR(""),
                         .parent_step = r->fixed.parent_step,
                         .key = r->fixed.key,
                         .folder = r->folder};
    ev->of = r->above ? budget_above(r->above) : STR("");
    bool ok = value_copy(&x->arena, s->inputs, &ev->inputs) &&
              value_copy(&x->arena, s->env, &ev->env) &&
              value_copy(&x->arena, s->labels, &ev->labels);
    if (budget_any(&s->budget) || s->budget.on_exceed) {
        ev->budget = budget_value(&s->budget, &x->arena);
        ok = ok && ev->budget.type == VALUE_MAP;
    }
    if (!ok) {
        happened_free(x);
        return error_nomem(e);
    }
    x->in.created = ev;
    run_happens(r, x);
    return OK;
}

enum err run_follow_plan(struct run *r, struct error *e) {
    struct str folder = engine_folder(r->engine);
    r->plan = engine_plan(r->engine);
    if (!engine_last_seq(r->engine) || str_eq(r->folder, folder)) {
        return OK;
    }
    r->folder = folder;
    return text_keep(&r->memory, &r->folder) ? OK : error_nomem(e);
}

static struct happened *new_start(struct run *r) {
    struct happened *x = happened_new(INPUT_START);
    if (x) {
        x->in.host = r->host->host_id;
        x->in.epoch = r->epoch;
    }
    return x;
}

enum err run_queue_start(struct run *r, struct error *e) {
    struct happened *x = new_start(r);
    if (!x) {
        return error_nomem(e);
    }
    x->in.folded = r->last_seq;
    run_happens(r, x);
    return OK;
}

enum err run_start_first(struct run *r, struct error *e) {
    struct happened *x = new_start(r);
    if (!x) {
        return error_nomem(e);
    }
    queue_put_first(&r->happened, x);
    run_make_ready(r);
    return OK;
}

/* Once for many executions of one workflow: nothing takes one out of a store. */
static enum err put_workflow(struct host *h, const struct plan *p, struct error *e) {
    if (!strcmp(h->put_hash, p->hash)) {
        return OK;
    }
    enum err err = host_workflow_put(h->options.store, p, e);
    if (!err) {
        memcpy(h->put_hash, p->hash, sizeof h->put_hash);
    }
    return err;
}

enum err run_create(struct run *r, const struct host_submission *s, struct error *e) {
    struct host *h = r->host;
    io_execution_id(h->clock, &h->last_ms, r->id);
    r->epoch = 1;
    r->is_new = true;
    enum err err = put_workflow(h, r->plan, e);
    err = err ? err : keep_fixed(r, s, e);
    err = err ? err : queue_created(r, s, e);
    return err ? err : run_queue_start(r, e);
}

/* ---- ends ---- */

/* Result and error outlive the state. Without memory for them they are read from the store. */
static void keep_ending(struct run *r) {
    struct store_row row;
    struct error ignored;
    if (row_make(r, &r->memory, &row, &ignored) == OK) {
        r->result_json = row.result;
        r->error_json = row.error;
    }
}

void run_over(struct run *r) {
    const struct host_observer *o = &r->host->options.observer;
    ASSERT(!r->ended);
    r->ended = true;
    r->host->live_runs--;
    keep_ending(r);
    if (r->parent) {
        child_ended(r);
    }
    if (o->ended) {
        o->ended(o->ctx, r);
    }
    ports_cancel_all(r); /* the last port to go lets go of the state */
    run_let_go(r);
}

/* A bug ends the execution that shows it: it would show it again. False when the store refuses to
 * record that. */
static bool quarantine(struct run *r, struct error *why) {
    struct arena a;
    struct store_execution x;
    struct error e;
    struct str bug = str_from(why->message);
    if (r->is_new) {
        return true; /* there is nothing to end */
    }
    arena_init(&a, 0);
    enum err err = store_execution_get(r->host->options.store, r->num, STR(""), &a, &x, &e);
    bool ours = !err && x.epoch == r->epoch && x.host == r->host->host_id;
    bool done = ours && claim_quarantine(r->host, &x, bug, &e) == OK;
    arena_fini(&a);
    if (done) {
        error_wrap(why, ERR_QUARANTINED, "execution %s has failed as quarantined", r->id);
        why->code = ERR_QUARANTINED;
    }
    return done;
}

void run_give_up(struct run *r, const struct error *reason) {
    const struct host_observer *o = &r->host->options.observer;
    struct error why = reason ? *reason : (struct error){0};
    if (r->lost) {
        return;
    }
    r->lost = true;
    if (r->ended) {
        run_let_go(r); /* only what came late is lost */
        return;
    }
    r->host->live_runs--;
    bool over = why.code == ERR_BUG && quarantine(r, &why);
    r->to_drop = !over && !r->is_new;
    r->host->drops += r->to_drop;
    ports_cancel_all(r);
    if (o->lost && reason) {
        o->lost(o->ctx, r, &why);
    }
    if (r->parent && over) {
        child_gone(r, "quarantined", &why);
    } else if (r->parent && r->parent->run->ended) {
        child_gone(r, "lost", &why); /* it was only waited for */
    } else if (r->parent) {
        run_give_up(r->parent->run, reason); /* it would wait for ever */
    }
}

bool run_is_back(const struct run *old) {
    const struct run *r = old->host->runs;
    while (r && (r == old || r->lost || r->ended || r->num != old->num)) {
        r = r->next;
    }
    return r != NULL;
}

void run_drop_lost(struct host *h) {
    for (struct run *r = h->drops ? h->runs : NULL; r; r = r->next) {
        struct error ignored;
        if (r->to_drop && run_is_gone(r) &&
            (run_is_back(r) || claim_drop(h, r->num, r->epoch, &ignored) == OK)) {
            r->to_drop = false;
            h->drops--;
        }
    }
}

/* The host's outside: opening, submitting, the turn, closing.
 * A turn is always decide, commit, perform, in this order, on the loop's thread; nothing else in
 * the host calls an engine or the store's commit.
 */
#include "host/host.h"

#include <stdlib.h>
#include <unistd.h>

#include "host/host_priv.h"

/* The loop has to turn once more; what is due is looked for in host_turn. */
static void woken(void *ctx) { (void)ctx; }

/* So that the journal can be read with names from outside. */
static enum err name_events(struct store *s, struct error *e) {
    struct store_kind_name names[64];
    size_t count;
    const struct event_row *rows = event_rows(&count);
    ASSERT(count <= ARRAY_LEN(names));
    for (size_t i = 0; i < count; i++) {
        names[i] = (struct store_kind_name){
            .id = (uint16_t)rows[i].number, .name = rows[i].id_name, .version = rows[i].version};
    }
    return store_kinds_put(s, names, count, e);
}

enum err host_open(const struct host_options *o, struct host **out, struct error *e) {
    struct host *h = calloc(1, sizeof *h);
    if (!h) {
        return error_nomem(e);
    }
    h->options = *o;
    h->shift = 1; /* a new run is of none */
    h->slots_free = true;
    h->clock = io_loop_clock(o->loop);
    shelf_init(&h->shelf, o->store, o->kinds);
    arena_init(&h->scratch, 0);
    arena_init(&h->keys_memory, 0);
    map_init(&h->keys, &h->keys_memory);
    h->timer = io_timer_open(o->loop, woken, h);
    h->log_timer = io_timer_open(o->loop, logs_due, h);
    h->process_timer = io_timer_open(o->loop, processes_due, h);
    h->launcher = io_launcher_open(o->loop);
    char name[256] = "";
    (void)!gethostname(name, sizeof name - 1);
    enum err err =
        h->timer && h->log_timer && h->process_timer && h->launcher ? OK : error_nomem(e);
    err = err ? err : inbox_open(h, e);
    err = err ? err
              : store_host_register(o->store, (int64_t)getpid(), str_from(name), &h->host_id, e);
    err = err ? err : lease_open(h, e);
    err = err ? err : name_events(o->store, e);
    if (!err && o->on_death) {
        io_launcher_on_death(h->launcher, o->on_death, o->on_death_env);
    }
    err = err || !o->watched ? err : io_launcher_start(h->launcher, e);
    if (err) {
        host_close(h);
        return err;
    }
    *out = h;
    return OK;
}

void host_close(struct host *h) {
    if (!h) {
        return;
    }
    for (struct run *r = h->runs; r; r = r->next) {
        r->lost = true;
    }
    lease_close(h->lease);
    for (struct run *r = h->runs; r; r = r->next) {
        ports_cancel_all(r);
    }
    while (h->port_count > 0 && io_loop_turn(h->options.loop, true)) {}
    /* First what the loop may call: closing the launcher turns it. */
    io_timer_close(h->timer);
    io_timer_close(h->log_timer);
    io_timer_close(h->process_timer);
    inbox_close(h);
    struct run *next;
    for (struct run *r = h->runs; r; r = next) {
        next = r->next;
        run_free(r);
    }
    shelf_fini(&h->shelf);
    free(h->timers);
    if (h->launcher) {
        io_launcher_close(h->launcher);
    }
    arena_fini(&h->keys_memory);
    breakers_free(h);
    arena_fini(&h->scratch);
    free(h);
}

/* With a name of its own: what was submitted is let go of when an execution sleeps. */
static struct map_entry *key_entry(struct host *h, struct str key) {
    bool fresh;
    struct str name = map_find(&h->keys, key) ? key : arena_str(&h->keys_memory, key);
    return name.ptr ? map_put(&h->keys, name, &fresh) : NULL;
}

/* A run that was submitted here under the key, perhaps not yet recorded. */
static struct run *keyed_here(const struct host *h, struct str key) {
    const struct map_entry *entry = key.len ? map_find(&h->keys, key) : NULL;
    struct run *r = entry ? entry->ptr : NULL;
    return r && !r->lost ? r : NULL;
}

static enum err key_reused(struct str key, struct str id, struct error *e) {
    return error_set(e, ERR_CONFLICT,
                     "key_reused: the key \"%.*s\" belongs to execution %.*s, which has another "
                     "workflow or other inputs",
                     STR_ARG(key), STR_ARG(id));
}

static bool same_work(const struct host_submission *s, const struct store_new *known) {
    struct arena a;
    arena_init(&a, 0);
    bool same = str_is(known->workflow_hash, s->plan->hash) &&
                str_eq(known->inputs, json_text(&a, s->inputs));
    arena_fini(&a);
    return same;
}

/* What was submitted is let go of when an execution sleeps; the store has it. */
static enum err same_work_here(const struct host_submission *s, const struct run *here, bool *out,
                               struct error *e) {
    struct arena a;
    struct store_execution x = {.fixed = here->fixed};
    arena_init(&a, 0);
    enum err err = here->fixed.id.len ? OK
                                      : store_execution_get(here->host->options.store, here->num,
                                                            STR(""), &a, &x, e);
    *out = !err && same_work(s, &x.fixed);
    arena_fini(&a);
    return err;
}

/* The same key gives the same execution; other work under it is refused. */
static enum err submit_again(struct host *h, const struct host_submission *s,
                             const struct store_execution *x, struct run **out, struct error *e) {
    if (!same_work(s, &x->fixed)) {
        return key_reused(s->key, x->fixed.id, e);
    }
    enum err err = run_attach(h, s->plan, x, out, e);
    if (!err && exec_status_final((*out)->status) && !(*out)->ended) {
        run_over(*out);
    }
    return err;
}

enum err host_submit(struct host *h, const struct host_submission *s, struct run **out,
                     struct error *e) {
    struct run *here = keyed_here(h, s->key);
    if (here) {
        bool same = false;
        enum err err = same_work_here(s, here, &same, e);
        *out = same ? here : *out;
        return err || same ? err : key_reused(s->key, run_id(here), e);
    }
    if (s->key.len) {
        struct arena a;
        struct store_execution found;
        arena_init(&a, 0);
        enum err err = store_execution_by_key(h->options.store, s->key, &a, &found, e);
        if (err != ERR_NOT_FOUND) {
            err = err ? err : submit_again(h, s, &found, out, e);
            arena_fini(&a);
            return err;
        }
        arena_fini(&a);
    }
    struct run *r;
    enum err err = run_new(h, s->plan, &r, e);
    if (err) {
        return err;
    }
    err = run_create(r, s, e);
    struct map_entry *entry = err || !s->key.len ? NULL : key_entry(h, r->fixed.key);
    if (!err && s->key.len && !entry) {
        err = error_nomem(e);
    }
    if (err) {
        run_give_up(r, NULL);
        return err;
    }
    if (entry) {
        entry->ptr = r;
    }
    *out = r;
    return OK;
}

static enum err plan_of(struct host *h, const struct store_execution *x, const struct plan **out,
                        struct error *e) {
    return shelf_find(&h->shelf, x->fixed.workflow_hash, x->fixed.entry, out, e);
}

/* A tree of executions has one owner: what is below one that has not ended goes on with it. */
static enum err check_root(struct host *h, const struct store_execution *x, struct arena *a,
                           struct error *e) {
    struct store_execution above;
    if (!x->fixed.parent) {
        return OK;
    }
    enum err err = store_execution_get(h->options.store, x->fixed.parent, STR(""), a, &above, e);
    if (!err && !above.row.completed.us) {
        err =
            error_set(e, ERR_CONFLICT,
                      "execution %.*s is a sub-workflow of %.*s, which has not ended: resume that",
                      STR_ARG(x->fixed.id), STR_ARG(above.fixed.id));
    }
    return err;
}

enum err host_resume(struct host *h, struct str id, struct run **out, struct error *e) {
    struct arena a;
    struct store_execution x;
    const struct plan *plan;
    arena_init(&a, 0);
    enum err err = store_execution_get(h->options.store, 0, id, &a, &x, e);
    if (!err && x.row.completed.us) {
        err = error_set(e, ERR_CONFLICT, "execution %.*s has ended (%.*s)", STR_ARG(id),
                        STR_ARG(x.row.status));
    }
    err = err ? err : check_root(h, &x, &a, e);
    err = err ? err : plan_of(h, &x, &plan, e);
    err = err ? err : run_attach(h, plan, &x, out, e);
    arena_fini(&a);
    return err;
}

/* Before it is claimed: may it, and is it sound? */
static enum err check_retry(struct host *h, const struct store_execution *x,
                            const struct host_retry *q, struct error *e) {
    struct host_view v;
    if (!x->row.completed.us) {
        return error_set(e, ERR_CONFLICT,
                         "execution %.*s has not ended (%.*s): only what has is retried; allowed "
                         "now: %s",
                         STR_ARG(x->fixed.id), STR_ARG(host_status(x)), host_allows(x));
    }
    if (q->force && host_is_quarantined(x)) {
        return OK;
    }
    enum err err = host_view_open(h->options.store, h->options.kinds, x->fixed.id, &v, e);
    if (!err) {
        err = engine_may_retry(v.engine, q->plan, q->from, e);
        host_view_close(&v);
    }
    return err;
}

enum err host_retry(struct host *h, struct str id, const struct host_retry *q, struct run **out,
                    struct error *e) {
    struct arena a;
    struct store_execution x;
    const struct plan *plan;
    arena_init(&a, 0);
    enum err err = store_execution_get(h->options.store, 0, id, &a, &x, e);
    err = err ? err : check_retry(h, &x, q, e);
    err = err ? err : check_root(h, &x, &a, e);
    err = err ? err : plan_of(h, &x, &plan, e);
    struct revival again = {.type = INPUT_RETRY, .target = q->from, .by = q->by, .retry = q};
    err = err || !q->plan ? err : host_workflow_put(h->options.store, q->plan, e);
    err = err ? err : run_revive(h, plan, &x, &again, out, e);
    arena_fini(&a);
    return err;
}

enum err host_may_rollback(struct host *h, struct str id, struct str to, struct error *e) {
    struct host_view v;
    uint64_t ignored;
    enum err err = host_view_open(h->options.store, h->options.kinds, id, &v, e);
    if (!err) {
        err = engine_may_rollback(v.engine, to, &ignored, e);
        host_view_close(&v);
    }
    return err;
}

/* Before it is claimed. */
static enum err check_rollback(struct host *h, const struct store_execution *x,
                               const struct host_rollback *q, struct error *e) {
    if (!x->row.completed.us) {
        return error_set(e, ERR_CONFLICT,
                         "execution %.*s has not ended (%.*s): ask who runs it for a rollback",
                         STR_ARG(x->fixed.id), STR_ARG(x->row.status));
    }
    return host_may_rollback(h, x->fixed.id, q->to, e);
}

enum err host_rollback(struct host *h, struct str id, const struct host_rollback *q,
                       struct run **out, struct error *e) {
    struct arena a;
    struct store_execution x;
    const struct plan *plan;
    struct revival again = {
        .type = INPUT_ROLLBACK, .target = q->to, .by = q->by, .resume = q->resume};
    arena_init(&a, 0);
    enum err err = store_execution_get(h->options.store, 0, id, &a, &x, e);
    err = err ? err : check_rollback(h, &x, q, e);
    err = err ? err : check_root(h, &x, &a, e);
    err = err ? err : plan_of(h, &x, &plan, e);
    err = err ? err : run_revive(h, plan, &x, &again, out, e);
    arena_fini(&a);
    return err;
}

enum err host_cancel(struct host *h, struct run *r, struct str by, struct error *e) {
    struct host_request q = {.type = REQUEST_CANCEL, .by = by};
    return host_ask(h, r, &q, e);
}

enum err host_turn(struct host *h, bool wait, bool *out_busy, struct error *e) {
    lease_turn(h);
    timers_due(h);
    enum err err = inbox_take(h, false, e);
    bool decides = host_has_work(h); /* the caller looks at what came of it before a wait */
    if (!err) {
        turn_decide(h);
        budget_turn(h);
        turn_take_rows(h);
        err = turn_commit(h, e);
        run_drop_lost(h);
        child_turn_left(h);
    }
    if (err) {
        return err;
    }
    lease_check(h);
    perform_queued(h);
    bool pending = host_has_work(h) && !h->batch;
    timers_arm(h);
    *out_busy = h->live_runs > 0 || h->port_count > 0 || pending || h->batch;
    if (!pending) {
        store_idle(h->options.store);
    }
    bool waits = wait && !pending && !decides && *out_busy;
    bool alive = io_loop_turn(h->options.loop, waits);
    if (waits && !alive && !host_has_work(h) && !h->timer_count) {
        *out_busy = false; /* nobody is left who could end what is performed */
    }
    return OK;
}

enum err host_run(struct host *h, struct error *e) {
    bool busy = true;
    while (busy) {
        enum err err = host_turn(h, true, &busy, e);
        if (err) {
            return err;
        }
    }
    return OK;
}

struct str run_id(const struct run *r) {
    return str_from(r->id);
}

enum exec_status run_status(const struct run *r) { return r->status; }

const struct engine *run_engine(const struct run *r) { return r->engine; }

const struct plan *run_plan(const struct run *r) { return r->plan; }

bool run_is_child(const struct run *r) { return r->is_child; }

struct str run_result_json(const struct run *r) {
    return r->result_json;
}

struct str run_error_json(const struct run *r) {
    return r->error_json;
}

enum err host_view_open(struct store *s, struct kind_table kinds, struct str id,
                        struct host_view *out, struct error *e) {
    *out = (struct host_view){0};
    arena_init(&out->arena, 0);
    shelf_init(&out->shelf, s, kinds);
    enum err err = store_execution_get(s, 0, id, &out->arena, &out->stored, e);
    if (!err && host_is_quarantined(&out->stored)) {
        err = error_set(e, ERR_QUARANTINED, "execution %.*s is quarantined: see cairn results",
                        STR_ARG(id));
    }
    struct store_range all = {out->stored.num, 0, out->stored.last_seq};
    err = err ? err : run_fold(&out->shelf, NULL, all, &out->engine, e);
    if (err) {
        host_view_close(out);
        return err;
    }
    out->plan = engine_plan(out->engine);
    return OK;
}

void host_view_close(struct host_view *v) {
    engine_free(v->engine);
    shelf_fini(&v->shelf);
    arena_fini(&v->arena);
    *v = (struct host_view){0};
}

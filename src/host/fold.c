/* Folding: a state made of the journal in the store. The journal says which workflow it is of; its
 * plan comes from the shelf. A bug in a fold is caught (base/trap.h), so that one broken journal
 * ends nothing but its own execution.
 */
#include "host/host_priv.h"

static enum err fetch_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                           struct error *e) {
    return store_blob_get(ctx, hash, a, out, e);
}

struct event_fetch host_fetch(struct store *s) {
    return (struct event_fetch){s, fetch_blob};
}

struct folding {
    struct shelf *shelf;
    const struct plan *known; /* by the caller: not looked for when it is the one that is meant */
    struct engine *engine;    /* NULL before the first event */
    struct event_fetch fetch;
    const struct store_event *rows;
    const bool *undone; /* by a rollback, per row */
    uint32_t count;
};

static enum err plan_of(const struct folding *f, const struct event *ev, const struct plan **out,
                        struct error *e) {
    *out = f->known;
    return f->known && plan_is(f->known, ev->hash, ev->entry)
               ? OK
               : shelf_find(f->shelf, ev->hash, ev->entry, out, e);
}

static enum err begin(struct folding *f, const struct event *ev, struct error *e) {
    const struct plan *p;
    enum err err = ev->kind == EVENT_EXECUTION_CREATED
                       ? OK
                       : error_set(e, ERR_CORRUPT, "its journal does not begin with its creation");
    err = err ? err : plan_of(f, ev, &p, e);
    return err ? err : engine_new(p, &f->engine, e);
}

/* From here on the journal is of another workflow. */
static enum err offer(const struct folding *f, const struct event *ev, struct error *e) {
    const struct plan *p;
    enum err err = plan_of(f, ev, &p, e);
    if (!err) {
        engine_offer_plan(f->engine, p);
    }
    return err;
}

static enum err read_step(const struct folding *f, const struct store_event *row, struct event *ev,
                          struct error *e) {
    if (!row->step.len) {
        return OK;
    }
    ev->has_step = true;
    if (f->engine && step_id_parse(engine_plan(f->engine), row->step, &ev->step)) {
        return OK;
    }
    return error_set(e, ERR_CORRUPT,
                     "event %llu names step \"%.*s\", which the workflow does not have",
                     (unsigned long long)row->seq, STR_ARG(row->step));
}

static enum err fold_one(struct folding *f, uint32_t at, struct error *e) {
    const struct store_event *row = &f->rows[at];
    struct arena a;
    struct event ev = {.kind = (enum event_kind)row->kind, .seq = row->seq, .at = row->at};
    enum err err = read_step(f, row, &ev, e);
    if (err) {
        return err;
    }
    arena_init(&a, 0);
    err = event_decode(row->body, &f->fetch, &a, &ev, e);
    err = err || f->engine ? err : begin(f, &ev, e);
    err = err || ev.kind != EVENT_WORKFLOW_CHANGED ? err : offer(f, &ev, e);
    err = err             ? err
          : f->undone[at] ? engine_fold_undone(f->engine, &ev, e)
                          : engine_fold(f->engine, &ev, e);
    arena_fini(&a);
    return err;
}

static enum err fold_rows(void *ctx, struct error *e) {
    struct folding *f = ctx;
    enum err err = OK;
    for (uint32_t i = 0; i < f->count && !err; i++) {
        err = fold_one(f, i, e);
    }
    return err;
}

/* Which of the rows a rollback made count no more; in a. */
static enum err find_undone(const struct folding *f, struct arena *a, bool **out, struct error *e) {
    uint64_t *to = ARENA_ARRAY(a, (size_t)f->count + 1, uint64_t);
    bool *undone = ARENA_ARRAY(a, (size_t)f->count + 1, bool);
    enum err err = to && undone ? OK : error_nomem(e);
    bool any = false;
    for (uint32_t i = 0; i < f->count && !err; i++) {
        struct event ev = {.kind = EVENT_EXECUTION_ROLLED_BACK};
        if (f->rows[i].kind == ev.kind) {
            err = event_decode(f->rows[i].body, &f->fetch, a, &ev, e);
            to[i] = err ? 0 : ev.to;
            any = true;
        }
    }
    if (!err && any) {
        engine_mark_undone(to, f->count, undone);
    }
    *out = undone;
    return err;
}

static enum err fold(struct folding *f, struct engine **out, struct error *e) {
    struct arena a;
    bool *undone = NULL;
    arena_init(&a, 0);
    enum err err = find_undone(f, &a, &undone, e);
    f->undone = undone;
    err = err ? err : trap_run(fold_rows, f, e);
    err = err || f->engine ? err : error_set(e, ERR_CORRUPT, "its journal is empty");
    arena_fini(&a);
    if (err) {
        engine_free(err == ERR_BUG ? NULL : f->engine);
        return err;
    }
    *out = f->engine;
    return OK;
}

enum err run_fold(struct shelf *shelf, const struct plan *known, struct store_range r,
                  struct engine **out, struct error *e) {
    struct arena a;
    struct store_event *rows = NULL;
    struct folding f = {.shelf = shelf, .known = known, .fetch = host_fetch(shelf->store)};
    arena_init(&a, 0);
    enum err err = store_read_events(shelf->store, r, &a, &rows, &f.count, e);
    f.rows = rows;
    err = err ? err : fold(&f, out, e);
    arena_fini(&a);
    return err;
}

/* ---- with what is not recorded yet ---- */

/* Large values of this batch are not in the store before its commit. */
static enum err fetch_new(void *ctx, struct str hash, struct arena *a, struct str *out,
                          struct error *e) {
    struct run *r = ctx;
    for (uint32_t i = 0; i < r->out.blobs.count; i++) {
        const struct event_blob *b = &r->out.blobs.items[i];
        if (str_is(hash, b->hash)) {
            *out = arena_str(a, (struct str){r->out.blobs.bytes.ptr + b->offset, b->len});
            return out->ptr ? OK : error_nomem(e);
        }
    }
    return fetch_blob(r->host->options.store, hash, a, out, e);
}

static void add_new(const struct run *r, struct store_event *rows) {
    for (uint32_t i = 0; i < r->out.record_count; i++) {
        const struct engine_record *x = &r->out.records[i];
        rows[i] = (struct store_event){.seq = x->seq,
                                       .at = x->at,
                                       .kind = (uint16_t)x->kind,
                                       .step = {r->out.bytes.ptr + x->step_offset, x->step_len},
                                       .body = {r->out.bytes.ptr + x->body_offset, x->body_len}};
    }
}

static enum err read_all(struct run *r, struct arena *a, struct store_event **out,
                         uint32_t *out_count, struct error *e) {
    struct store_range range = {r->num, 0, r->last_seq};
    struct store_event *old = NULL;
    uint32_t count = 0;
    enum err err =
        r->is_new ? OK : store_read_events(r->host->options.store, range, a, &old, &count, e);
    if (err) {
        return err;
    }
    *out = ARENA_ARRAY(a, (size_t)count + r->out.record_count + 1, struct store_event);
    if (!*out) {
        return error_nomem(e);
    }
    if (count) {
        memcpy(*out, old, count * sizeof **out);
    }
    add_new(r, *out + count);
    *out_count = count + r->out.record_count;
    return OK;
}

enum err run_fold_anew(struct run *r, struct error *e) {
    struct folding f = {.shelf = &r->host->shelf, .known = r->plan, .fetch = {r, fetch_new}};
    struct store_event *rows = NULL;
    struct engine *g;
    struct arena a;
    arena_init(&a, 0);
    enum err err = read_all(r, &a, &rows, &f.count, e);
    f.rows = rows;
    err = err ? err : fold(&f, &g, e);
    if (!err) {
        engine_free(r->engine);
        r->engine = g;
    }
    arena_fini(&a);
    return err;
}

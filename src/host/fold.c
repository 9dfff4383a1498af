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
    const struct store_event *rows;
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

static enum err fold_one(struct folding *f, const struct store_event *row, struct error *e) {
    struct arena a;
    struct event_fetch fetch = host_fetch(f->shelf->store);
    struct event ev = {.kind = (enum event_kind)row->kind, .seq = row->seq, .at = row->at};
    enum err err = read_step(f, row, &ev, e);
    if (err) {
        return err;
    }
    arena_init(&a, 0);
    err = event_decode(row->body, &fetch, &a, &ev, e);
    err = err || f->engine ? err : begin(f, &ev, e);
    err = err || ev.kind != EVENT_WORKFLOW_CHANGED ? err : offer(f, &ev, e);
    err = err ? err : engine_fold(f->engine, &ev, e);
    arena_fini(&a);
    return err;
}

static enum err fold_rows(void *ctx, struct error *e) {
    struct folding *f = ctx;
    enum err err = OK;
    for (uint32_t i = 0; i < f->count && !err; i++) {
        err = fold_one(f, &f->rows[i], e);
    }
    return err;
}

enum err run_fold(struct shelf *shelf, const struct plan *known, struct store_range r,
                  struct engine **out, struct error *e) {
    struct arena a;
    struct store_event *rows = NULL;
    struct folding f = {.shelf = shelf, .known = known};
    arena_init(&a, 0);
    enum err err = store_read_events(shelf->store, r, &a, &rows, &f.count, e);
    f.rows = rows;
    err = err ? err : trap_run(fold_rows, &f, e);
    err = err || f.engine ? err : error_set(e, ERR_CORRUPT, "its journal is empty");
    arena_fini(&a);
    if (err) {
        engine_free(err == ERR_BUG ? NULL : f.engine);
        return err;
    }
    *out = f.engine;
    return OK;
}

/* Folding: a state made of the journal in the store. A bug in it is caught (base/trap.h), so that
 * one broken journal ends nothing but its own execution.
 */
#include "host/host_priv.h"

static enum err fetch_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                           struct error *e) {
    return store_blob_get(ctx, hash, a, out, e);
}

struct event_fetch host_fetch(struct store *s) {
    return (struct event_fetch){s, fetch_blob};
}

static enum err fold_one(struct engine *g, struct store *s, const struct store_event *row,
                         struct error *e) {
    struct arena a;
    struct event_fetch fetch = host_fetch(s);
    struct event ev = {.kind = (enum event_kind)row->kind, .seq = row->seq, .at = row->at};
    if (row->step.len) {
        ev.has_step = true;
        if (!step_id_parse(engine_plan(g), row->step, &ev.step)) {
            return error_set(e, ERR_CORRUPT,
                             "event %llu names step \"%.*s\", which the workflow "
                             "does not have",
                             (unsigned long long)row->seq, STR_ARG(row->step));
        }
    }
    arena_init(&a, 0);
    enum err err = event_decode(row->body, &fetch, &a, &ev, e);
    err = err ? err : engine_fold(g, &ev, e);
    arena_fini(&a);
    return err;
}

struct folding {
    struct store *store;
    struct engine *engine;
    const struct store_event *rows;
    uint32_t count;
};

static enum err fold_rows(void *ctx, struct error *e) {
    const struct folding *f = ctx;
    enum err err = OK;
    for (uint32_t i = 0; i < f->count && !err; i++) {
        err = fold_one(f->engine, f->store, &f->rows[i], e);
    }
    return err;
}

enum err run_fold(struct store *s, const struct plan *p, int64_t num, uint64_t upto,
                  struct engine **out, struct error *e) {
    struct arena a;
    struct store_event *rows = NULL;
    struct folding f = {.store = s};
    arena_init(&a, 0);
    enum err err = engine_new(p, &f.engine, e);
    err = err ? err
              : store_read_events(s, (struct store_range){num, 0, upto}, &a, &rows, &f.count, e);
    f.rows = rows;
    err = err ? err : trap_run(fold_rows, &f, e);
    arena_fini(&a);
    if (err) {
        engine_free(err == ERR_BUG ? NULL : f.engine);
        return err;
    }
    *out = f.engine;
    return OK;
}

/* A wrapping store that fails when it is told to: the failures that a disk shows only rarely.
 *
 * Invariant: what it returns is what a real store may return. ERR_STORE means that inner was not
 * asked; ERR_STORE_UNKNOWN means that inner did it, and the caller sees none of its out fields.
 */
#include "store/faults.h"

#include <stdlib.h>

#include "store/store_priv.h"

struct faulty {
    struct store base;
    struct store *inner;
    struct store_faults faults;
};

static struct store *inner(struct store *s) { return ((struct faulty *)s)->inner; }

static enum store_fault ask(struct store *s, enum store_write what) {
    struct faulty *f = (struct faulty *)s;
    return f->faults.ask(f->faults.ctx, what);
}

static enum err failed_before(struct error *e) {
    return error_set(e, ERR_STORE, "the store failed (injected), nothing was recorded");
}

/* The outcome of a write that inner has done. */
static enum err failed_after(enum store_fault fault, enum err status, struct error *e) {
    if (fault != STORE_FAULT_AFTER || status != OK) {
        return status;
    }
    return error_set(e, ERR_STORE_UNKNOWN, "the store failed (injected) after recording");
}

static void faulty_close(struct store *s) { free(s); }

static void faulty_patience(struct store *s, uint32_t ms) { store_patience(inner(s), ms); }

static void copy_stats(struct store *s) { store_stats_get(inner(s), &s->stats); }

/* Commits a copy of the batch, so that the caller's out fields stay as they were. */
static enum err commit_unseen(struct store *s, const struct store_batch *b, struct error *e) {
    struct store_batch copy = *b;
    copy.changes = malloc((b->count + 1) * sizeof *copy.changes);
    if (!copy.changes) {
        return error_nomem(e);
    }
    if (b->count) {
        memcpy(copy.changes, b->changes, b->count * sizeof *copy.changes);
    }
    enum err status = store_commit(inner(s), &copy, e);
    free(copy.changes);
    return failed_after(STORE_FAULT_AFTER, status, e);
}

static enum err no_space(struct error *e) {
    return error_set(e, ERR_STORE_FULL, "no space: nothing was recorded");
}

static enum err faulty_commit(struct store *s, struct store_batch *b, struct error *e) {
    enum store_fault fault = ask(s, STORE_WRITE_COMMIT);
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_FULL) {
        return fault == STORE_FAULT_FULL ? no_space(e) : failed_before(e);
    }
    enum err status =
        fault == STORE_FAULT_AFTER ? commit_unseen(s, b, e) : store_commit(inner(s), b, e);
    copy_stats(s);
    return status;
}

static enum err faulty_workflow_put(struct store *s, struct str hash, struct str name,
                                    struct str bundle, struct error *e) {
    enum store_fault fault = ask(s, STORE_WRITE_WORKFLOW);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    return failed_after(fault, store_workflow_put(inner(s), hash, name, bundle, e), e);
}

static enum err faulty_blob_put(struct store *s, struct str hash, struct str bytes,
                                struct error *e) {
    enum store_fault fault = ask(s, STORE_WRITE_BLOB);
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_FULL) {
        return fault == STORE_FAULT_FULL ? no_space(e) : failed_before(e);
    }
    return failed_after(fault, store_blob_put(inner(s), hash, bytes, e), e);
}

static enum err faulty_inbox_add(struct store *s, const struct store_inbox *row, int64_t *out_id,
                                 struct error *e) {
    int64_t id = 0;
    enum store_fault fault = ask(s, STORE_WRITE_INBOX);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    enum err status = failed_after(fault, store_inbox_add(inner(s), row, &id, e), e);
    if (status == OK) {
        *out_id = id;
    }
    return status;
}

static enum err faulty_host_register(struct store *s, int64_t pid, struct str hostname,
                                     int64_t *out_host, struct error *e) {
    int64_t host = 0;
    enum store_fault fault = ask(s, STORE_WRITE_HOST);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    enum err status =
        failed_after(fault, store_host_register(inner(s), pid, hostname, &host, e), e);
    if (status == OK) {
        *out_host = host;
    }
    return status;
}

static enum err faulty_host_renew(struct store *s, int64_t host, wall_us until, struct error *e) {
    enum store_fault fault = ask(s, STORE_WRITE_HOST);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    return failed_after(fault, store_host_renew(inner(s), host, until, e), e);
}

static enum err faulty_hosts_sweep(struct store *s, uint32_t *out_gone, struct error *e) {
    uint32_t gone = 0;
    enum store_fault fault = ask(s, STORE_WRITE_HOST);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    enum err status = failed_after(fault, store_hosts_sweep(inner(s), &gone, e), e);
    if (status == OK) {
        *out_gone = gone;
    }
    return status;
}

static enum err faulty_kinds_put(struct store *s, const struct store_kind_name *kinds, size_t count,
                                 struct error *e) {
    enum store_fault fault = ask(s, STORE_WRITE_KINDS);
    if (fault == STORE_FAULT_BEFORE) {
        return failed_before(e);
    }
    return failed_after(fault, store_kinds_put(inner(s), kinds, count, e), e);
}

/* --- reading goes straight through --- */

static enum err faulty_events(struct store *s, struct store_range r, struct arena *a,
                              struct store_events *out, struct error *e) {
    return inner(s)->ops->events(inner(s), r, a, out, e);
}

static enum err faulty_get(struct store *s, struct store_name name, struct arena *a,
                           struct store_execution *out, struct error *e) {
    return inner(s)->ops->get(inner(s), name, a, out, e);
}

static enum err faulty_find(struct store *s, struct str prefix, struct arena *a,
                            struct str *out_ids, uint32_t *out_count, struct error *e) {
    return inner(s)->ops->find(inner(s), prefix, a, out_ids, out_count, e);
}

static enum err faulty_last(struct store *s, struct arena *a, struct str *out_ids,
                            uint32_t *out_count, struct error *e) {
    return inner(s)->ops->last(inner(s), a, out_ids, out_count, e);
}

static enum err faulty_list(struct store *s, const struct store_filter *f, struct arena *a,
                            struct store_executions *out, struct error *e) {
    return inner(s)->ops->list(inner(s), f, a, out, e);
}

static enum err faulty_children(struct store *s, struct store_children of, struct arena *a,
                                struct store_executions *out, struct error *e) {
    return inner(s)->ops->children(inner(s), of, a, out, e);
}

static enum err faulty_steps(struct store *s, int64_t num, struct arena *a, struct store_steps *out,
                             struct error *e) {
    return inner(s)->ops->steps(inner(s), num, a, out, e);
}

static enum err faulty_messages(struct store *s, int64_t num, struct arena *a,
                                struct store_messages *out, struct error *e) {
    return inner(s)->ops->messages(inner(s), num, a, out, e);
}

static enum err faulty_workflow_get(struct store *s, struct str hash, struct arena *a,
                                    struct str *out, struct error *e) {
    return store_workflow_get(inner(s), hash, a, out, e);
}

static enum err faulty_blob_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                                struct error *e) {
    return store_blob_get(inner(s), hash, a, out, e);
}

static enum err faulty_cache_get(struct store *s, struct str key, wall_us now, struct arena *a,
                                 struct store_cached *out, struct error *e) {
    return store_cache_get(inner(s), key, now, a, out, e);
}

static enum err faulty_inbox_open(struct store *s, int64_t execution, struct arena *a,
                                  struct store_inbox_rows *out, struct error *e) {
    return inner(s)->ops->inbox_open(inner(s), execution, a, out, e);
}

static enum err faulty_inbox_get(struct store *s, int64_t id, struct arena *a,
                                 struct store_inbox *out, struct error *e) {
    return store_inbox_get(inner(s), id, a, out, e);
}

static enum err faulty_host_list(struct store *s, struct arena *a, struct store_hosts *out,
                                 struct error *e) {
    return inner(s)->ops->host_list(inner(s), a, out, e);
}

static enum err faulty_left_count(struct store *s, uint32_t *out, struct error *e) {
    return store_left_count(inner(s), out, e);
}

static const char *faulty_inbox_file(struct store *s) { return store_inbox_file(inner(s)); }

static bool faulty_has_news(struct store *s) { return store_has_news(inner(s)); }

static void faulty_idle(struct store *s) { store_idle(inner(s)); }

static const struct store_ops ops = {
    .close = faulty_close,
    .patience = faulty_patience,
    .commit = faulty_commit,
    .events = faulty_events,
    .get = faulty_get,
    .find = faulty_find,
    .last = faulty_last,
    .list = faulty_list,
    .children = faulty_children,
    .steps = faulty_steps,
    .messages = faulty_messages,
    .workflow_put = faulty_workflow_put,
    .workflow_get = faulty_workflow_get,
    .blob_put = faulty_blob_put,
    .blob_get = faulty_blob_get,
    .cache_get = faulty_cache_get,
    .inbox_add = faulty_inbox_add,
    .inbox_open = faulty_inbox_open,
    .inbox_get = faulty_inbox_get,
    .inbox_file = faulty_inbox_file,
    .has_news = faulty_has_news,
    .host_register = faulty_host_register,
    .host_renew = faulty_host_renew,
    .hosts_sweep = faulty_hosts_sweep,
    .host_list = faulty_host_list,
    .left_count = faulty_left_count,
    .kinds_put = faulty_kinds_put,
    .idle = faulty_idle,
};

enum err store_faulty_open(struct store *inner_store, const struct store_faults *f,
                           struct store **out, struct error *e) {
    struct faulty *s = calloc(1, sizeof *s);
    if (!s) {
        return error_nomem(e);
    }
    s->base.ops = &ops;
    s->inner = inner_store;
    s->faults = *f;
    *out = &s->base;
    return OK;
}

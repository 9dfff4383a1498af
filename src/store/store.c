/* The face of every store: finds the backend that a URL names, checks what callers must not get
 * wrong, and hands on. Knows nothing of how a backend keeps its rows.
 *
 * Invariant: a backend sees only batches that store.h allows (a bug of the caller asserts here,
 * before anything is written).
 */
#include "store/store.h"

#include <stdio.h>

#include "store/store_priv.h"

enum { LIST_MAX = 1000 };

static const struct store_backend backend_rows[] = {
#define STORE_BACKEND(scheme, doc) {#scheme, doc, store_##scheme##_open},
#include "store/backends.def"
#undef STORE_BACKEND
};

const struct store_backend *store_backends(size_t *out_count) {
    *out_count = ARRAY_LEN(backend_rows);
    return backend_rows;
}

/* The part before the first colon if it looks like a scheme: letters, digits, + - . and no
 * slash before it. */
static size_t scheme_length(const char *url) {
    size_t len = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return url[len] == ':' ? len : 0;
}

static enum err unknown_scheme(const char *url, size_t len, struct error *e) {
    char known[100] = "";
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(backend_rows); i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 backend_rows[i].scheme);
    }
    return error_set(e, ERR_INVALID,
                     "unknown kind of store \"%.*s\" (known: %s); for a file of that name write "
                     "sqlite:%s",
                     (int)len, url, known, url);
}

enum err store_open(const char *url, bool make, const struct io_clock *clock, struct store **out,
                    struct error *e) {
    size_t len = scheme_length(url);
    const struct store_backend *row = len == 0 ? &backend_rows[0] : NULL;
    for (size_t i = 0; i < ARRAY_LEN(backend_rows) && !row; i++) {
        if (str_is((struct str){url, len}, backend_rows[i].scheme)) {
            row = &backend_rows[i];
        }
    }
    if (!row) {
        return unknown_scheme(url, len, e);
    }
    return row->open(len ? url + len + 1 : url, make, clock, out, e);
}

void store_close(struct store *s) {
    if (s) {
        s->ops->close(s);
    }
}

void store_patience(struct store *s, uint32_t ms) {
    if (s->ops->patience) {
        s->ops->patience(s, ms);
    }
}

static void check_change(const struct store_change *c) {
    ASSERT(c->num > 0 || (c->num == 0 && c->new != NULL && c->epoch == 1 && c->last_seq == 0));
    ASSERT(c->num > 0 || (c->new->id.len > 0 && c->last_event == 0));
    ASSERT(c->epoch > 0 && c->host >= -1 && c->row.status.len > 0);
    ASSERT(c->new_epoch == 0 || c->new_epoch >= c->epoch);
    for (uint32_t i = 0; i < c->event_count; i++) {
        ASSERT(c->events[i].seq == c->last_seq + i + 1);
    }
}

enum err store_commit(struct store *s, struct store_batch *b, struct error *e) {
    for (uint32_t i = 0; i < b->count; i++) {
        check_change(&b->changes[i]);
    }
    return s->ops->commit(s, b, e);
}

enum err store_read_events(struct store *s, struct store_range r, struct arena *a,
                           struct store_event **out, uint32_t *out_count, struct error *e) {
    struct store_events events = {0};
    enum err status = s->ops->events(s, r, a, &events, e);
    if (status == OK) {
        *out = events.items;
        *out_count = events.count;
    }
    return status;
}

enum err store_execution_get(struct store *s, int64_t num, struct str id, struct arena *a,
                             struct store_execution *out, struct error *e) {
    return s->ops->get(s, (struct store_name){.num = num, .id = id}, a, out, e);
}

enum err store_execution_by_key(struct store *s, struct str key, struct arena *a,
                                struct store_execution *out, struct error *e) {
    return s->ops->get(s, (struct store_name){.key = key}, a, out, e);
}

enum err store_execution_find(struct store *s, struct str prefix, struct arena *a,
                              struct str *out_ids, uint32_t *out_count, struct error *e) {
    if (str_is(prefix, "@last")) {
        return s->ops->last(s, a, out_ids, out_count, e);
    }
    return s->ops->find(s, prefix, a, out_ids, out_count, e);
}

enum err store_execution_list(struct store *s, const struct store_filter *f, struct arena *a,
                              struct store_execution **out, uint32_t *out_count, struct error *e) {
    if (f->limit < 1 || f->limit > LIST_MAX) {
        return error_set(e, ERR_INVALID, "a list has 1 to %d rows, not %u", LIST_MAX, f->limit);
    }
    struct store_executions rows = {0};
    enum err status = s->ops->list(s, f, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_children_read(struct store *s, struct store_children of, struct arena *a,
                             struct store_execution **out, uint32_t *out_count, struct error *e) {
    struct store_executions rows = {0};
    enum err status = s->ops->children(s, of, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_steps_read(struct store *s, int64_t num, struct arena *a, struct store_step **out,
                          uint32_t *out_count, struct error *e) {
    struct store_steps rows = {0};
    enum err status = s->ops->steps(s, num, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_messages_read(struct store *s, int64_t num, struct arena *a,
                             struct store_message **out, uint32_t *out_count, struct error *e) {
    struct store_messages rows = {0};
    enum err status = s->ops->messages(s, num, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_workflow_put(struct store *s, struct str hash, struct str name, struct str bundle,
                            struct error *e) {
    return s->ops->workflow_put(s, hash, name, bundle, e);
}

enum err store_workflow_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                            struct error *e) {
    return s->ops->workflow_get(s, hash, a, out, e);
}

enum err store_blob_put(struct store *s, struct str hash, struct str bytes, struct error *e) {
    return s->ops->blob_put(s, hash, bytes, e);
}

enum err store_blob_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                        struct error *e) {
    return s->ops->blob_get(s, hash, a, out, e);
}

enum err store_cache_get(struct store *s, struct str key, wall_us now, struct arena *a,
                         struct store_cached *out, struct error *e) {
    return s->ops->cache_get(s, key, now, a, out, e);
}

enum err store_inbox_add(struct store *s, const struct store_inbox *row, int64_t *out_id,
                         struct error *e) {
    return s->ops->inbox_add(s, row, out_id, e);
}

enum err store_inbox_open(struct store *s, int64_t execution, struct arena *a,
                          struct store_inbox **out, uint32_t *out_count, struct error *e) {
    struct store_inbox_rows rows = {0};
    enum err status = s->ops->inbox_open(s, execution, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_inbox_get(struct store *s, int64_t id, struct arena *a, struct store_inbox *out,
                         struct error *e) {
    return s->ops->inbox_get(s, id, a, out, e);
}

const char *store_inbox_file(struct store *s) {
    return s->ops->inbox_file ? s->ops->inbox_file(s) : NULL;
}

bool store_has_news(struct store *s) { return !s->ops->has_news || s->ops->has_news(s); }

enum err store_host_register(struct store *s, int64_t pid, struct str hostname, int64_t *out_host,
                             struct error *e) {
    return s->ops->host_register(s, pid, hostname, out_host, e);
}

enum err store_host_renew(struct store *s, int64_t host, wall_us until, struct error *e) {
    return s->ops->host_renew(s, host, until, e);
}

enum err store_hosts_sweep(struct store *s, uint32_t *out_gone, struct error *e) {
    return s->ops->hosts_sweep(s, out_gone, e);
}

enum err store_host_list(struct store *s, struct arena *a, struct store_host **out,
                         uint32_t *out_count, struct error *e) {
    struct store_hosts rows = {0};
    enum err status = s->ops->host_list(s, a, &rows, e);
    if (status == OK) {
        *out = rows.items;
        *out_count = rows.count;
    }
    return status;
}

enum err store_left_count(struct store *s, uint32_t *out, struct error *e) {
    return s->ops->left_count(s, out, e);
}

enum err store_kinds_put(struct store *s, const struct store_kind_name *kinds, size_t count,
                         struct error *e) {
    return s->ops->kinds_put(s, kinds, count, e);
}

void store_idle(struct store *s) { s->ops->idle(s); }

enum err store_check(struct store *s, void (*tell)(void *ctx, const struct store_finding *f),
                     void *ctx, struct error *e) {
    if (!s->ops->check) {
        return error_set(e, ERR_UNSUPPORTED, "a store of this kind cannot be checked");
    }
    s->ops->check(s, tell, ctx);
    return OK;
}

void store_stats_get(const struct store *s, struct store_stats *out) { *out = s->stats; }

void *store_array_grow(struct arena *a, void *items, uint32_t count, uint32_t *cap,
                       size_t item_bytes) {
    if (count < *cap) {
        return items;
    }
    uint32_t larger = *cap ? *cap * 2 : 16;
    void *moved = arena_array(a, larger, item_bytes);
    if (!moved) {
        return NULL;
    }
    if (count > 0) {
        memcpy(moved, items, count * item_bytes);
    }
    *cap = larger;
    return moved;
}

enum err store_error_missing(struct store_name name, struct error *e) {
    if (name.num) {
        return error_set(e, ERR_NOT_FOUND, "no execution number %lld", (long long)name.num);
    }
    if (name.id.len) {
        return error_set(e, ERR_NOT_FOUND, "no execution %.*s", STR_ARG(name.id));
    }
    return error_set(e, ERR_NOT_FOUND, "no execution with the key %.*s", STR_ARG(name.key));
}

enum err store_error_no_request(int64_t id, struct error *e) {
    return error_set(e, ERR_NOT_FOUND, "the inbox has no request %lld", (long long)id);
}

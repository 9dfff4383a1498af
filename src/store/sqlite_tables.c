/* The small tables: workflows and blobs by hash, names of event kinds. Each change is a transaction
 * of its own, durable when the call returns.
 *
 * Invariant: what is there already costs a read, no write.
 */
#include <stdlib.h>

#include "store/sqlite_priv.h"

/* --- by hash --- */

/* Whether a statement with one text parameter gives a row. */
static enum err is_there(struct sqlite_store *s, enum stmt_id id, struct str key, bool *out,
                         struct error *e) {
    enum err status = sqlite_read_begin(s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, id, e);
    int rc = SQLITE_NOMEM;
    if (st) {
        bind_text(st, 1, key);
        rc = sqlite3_step(st);
    }
    *out = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        status = sqlite_conn_fail(s, &s->reader, e);
    }
    sqlite3_reset(st);
    sqlite_read_end(s);
    return status;
}

struct packed {
    struct str hash, name;
    size_t size_bytes;
    struct str bytes;
};

static enum err put_packed(struct sqlite_store *s, enum stmt_id id, const struct packed *p,
                           struct error *e) {
    enum err status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, id, e);
    if (st) {
        bind_text(st, 1, p->hash);
        if (id == STMT_WORKFLOW_PUT) {
            bind_text(st, 2, p->name);
        }
        bind_count(st, 3, p->size_bytes);
        bind_blob(st, 4, p->bytes);
        sqlite3_bind_int64(st, 5, s->clock->wall(s->clock->ctx).us);
    }
    if (!st || sqlite_run(st) != SQLITE_OK) {
        status = sqlite_conn_fail(s, &s->writer, e);
    }
    return sqlite_write_end(s, status, e);
}

/* p->bytes are still to be compressed. */
static enum err put_hashed(struct sqlite_store *s, enum stmt_id there, enum stmt_id put,
                           struct packed *p, struct error *e) {
    bool known = false;
    enum err status = is_there(s, there, p->hash, &known, e);
    if (status != OK || known) {
        return status;
    }
    p->size_bytes = p->bytes.len;
    status = store_zip(p->bytes, &p->bytes, e);
    if (status != OK) {
        return status;
    }
    status = put_packed(s, put, p, e);
    free((char *)(uintptr_t)p->bytes.ptr);
    return status;
}

enum err sqlite_workflow_put(struct store *base, struct str hash, struct str name,
                             struct str bundle, struct error *e) {
    struct packed p = {.hash = hash, .name = name, .bytes = bundle};
    return put_hashed(sqlite_of(base), STMT_WORKFLOW_THERE, STMT_WORKFLOW_PUT, &p, e);
}

enum err sqlite_blob_put(struct store *base, struct str hash, struct str bytes, struct error *e) {
    struct packed p = {.hash = hash, .bytes = bytes};
    return put_hashed(sqlite_of(base), STMT_BLOB_THERE, STMT_BLOB_PUT, &p, e);
}

static enum err get_hashed(struct sqlite_store *s, enum stmt_id id, struct str hash,
                           struct arena *a, struct str *out, struct error *e) {
    enum err status = sqlite_read_begin(s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, id, e);
    int rc = SQLITE_NOMEM;
    if (st) {
        bind_text(st, 1, hash);
        rc = sqlite3_step(st);
    }
    if (rc == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(st, 1);
        struct str packed = {bytes, (size_t)sqlite3_column_bytes(st, 1)};
        status = store_unzip(packed, (size_t)sqlite3_column_int64(st, 0), a, out, e);
        if (status == ERR_CORRUPT) {
            status = error_wrap(e, status, "the store %s, %.*s", s->path, STR_ARG(hash));
        }
    } else if (rc == SQLITE_DONE) {
        status =
            error_set(e, ERR_NOT_FOUND, "the store has nothing under the hash %.*s", STR_ARG(hash));
    } else {
        status = sqlite_conn_fail(s, &s->reader, e);
    }
    sqlite3_reset(st);
    sqlite_read_end(s);
    return status;
}

enum err sqlite_workflow_get(struct store *base, struct str hash, struct arena *a, struct str *out,
                             struct error *e) {
    return get_hashed(sqlite_of(base), STMT_WORKFLOW_GET, hash, a, out, e);
}

enum err sqlite_blob_get(struct store *base, struct str hash, struct arena *a, struct str *out,
                         struct error *e) {
    return get_hashed(sqlite_of(base), STMT_BLOB_GET, hash, a, out, e);
}

/* --- names of event kinds --- */

static enum err kind_is_there(struct sqlite_store *s, const struct store_kind_name *k, bool *out,
                              struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, STMT_KIND_GET, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->reader, e);
    }
    sqlite3_bind_int(st, 1, k->id);
    int rc = sqlite3_step(st);
    *out = rc == SQLITE_ROW &&
           str_is((struct str){(const char *)sqlite3_column_text(st, 0),
                               (size_t)sqlite3_column_bytes(st, 0)},
                  k->name) &&
           sqlite3_column_int64(st, 1) == k->version;
    enum err status =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : sqlite_conn_fail(s, &s->reader, e);
    sqlite3_reset(st);
    return status;
}

static enum err kinds_are_there(struct sqlite_store *s, const struct store_kind_name *kinds,
                                size_t count, bool *out, struct error *e) {
    *out = true;
    enum err status = sqlite_read_begin(s, e);
    if (status != OK) {
        return status;
    }
    for (size_t i = 0; i < count && *out && status == OK; i++) {
        status = kind_is_there(s, &kinds[i], out, e);
    }
    sqlite_read_end(s);
    return status;
}

static enum err put_kind(struct sqlite_store *s, const struct store_kind_name *k, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_KIND_PUT, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    sqlite3_bind_int(st, 1, k->id);
    bind_text(st, 2, str_from(k->name));
    bind_count(st, 3, k->version);
    return sqlite_run(st) == SQLITE_OK ? OK : sqlite_conn_fail(s, &s->writer, e);
}

enum err sqlite_kinds_put(struct store *base, const struct store_kind_name *kinds, size_t count,
                          struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    bool there;
    enum err status = kinds_are_there(s, kinds, count, &there, e);
    if (status != OK || there) {
        return status;
    }
    status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == OK; i++) {
        status = put_kind(s, &kinds[i], e);
    }
    return sqlite_write_end(s, status, e);
}

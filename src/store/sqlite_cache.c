/* Kept results: written with the completion they come from, in its transaction, so that there is
 * one exactly if that was recorded; read before an effect is performed.
 *
 * Invariant: an entry that is over is never given. Those are deleted a few at a time, whenever
 * another one is written.
 */
#include "store/sqlite_priv.h"

static enum err sweep(struct sqlite_store *s, wall_us now, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_CACHE_SWEEP, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    sqlite3_bind_int64(st, 1, now.us);
    return sqlite_run(st) == SQLITE_OK ? OK : sqlite_conn_fail(s, &s->writer, e);
}

enum err sqlite_cache_put(struct sqlite_store *s, const struct store_cached *c, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_CACHE_PUT, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    bind_text(st, 1, c->key);
    bind_text(st, 2, c->execution);
    bind_text(st, 3, c->step);
    sqlite3_bind_int64(st, 4, c->at.us);
    sqlite3_bind_int64(st, 5, c->expires.us);
    bind_blob(st, 6, c->event);
    return sqlite_run(st) == SQLITE_OK ? sweep(s, c->at, e) : sqlite_conn_fail(s, &s->writer, e);
}

static enum err read_entry(struct sqlite_store *s, struct str key, wall_us now, struct arena *a,
                           struct store_cached *out, struct error *e) {
    bool full = false;
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, STMT_CACHE_GET, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->reader, e);
    }
    bind_text(st, 1, key);
    sqlite3_bind_int64(st, 2, now.us);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = (struct store_cached){.key = key,
                                     .execution = column_str(st, 0, a, &full),
                                     .step = column_str(st, 1, a, &full),
                                     .at = column_time(st, 2),
                                     .expires = column_time(st, 3),
                                     .event = column_str(st, 4, a, &full)};
    }
    enum err err = full               ? error_nomem(e)
                   : rc == SQLITE_ROW ? OK
                   : rc == SQLITE_DONE
                       ? error_set(e, ERR_NOT_FOUND, "no result is kept under this key")
                       : sqlite_conn_fail(s, &s->reader, e);
    sqlite3_reset(st);
    return err;
}

enum err sqlite_cache_get(struct store *base, struct str key, wall_us now, struct arena *a,
                          struct store_cached *out, struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    enum err err = sqlite_read_begin(s, e);
    if (err) {
        return err;
    }
    err = read_entry(s, key, now, a, out, e);
    sqlite_read_end(s);
    return err;
}

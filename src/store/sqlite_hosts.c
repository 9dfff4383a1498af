/* The table of hosts: who lives, until when their lease runs, who is dead.
 *
 * Invariant: a host's row is visible only after its liveness byte is held, so a row whose byte is
 * free belongs to a dead host, whatever its lease says. Ids are never used again.
 */
#include "store/sqlite_priv.h"

static enum err drop_host(struct sqlite_store *s, int64_t id, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_HOST_DROP, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    sqlite3_bind_int64(st, 1, id);
    return sqlite_run(st) == SQLITE_OK ? OK : sqlite_conn_fail(s, &s->writer, e);
}

/* Counts the rows of dead hosts, and deletes them when drop. Executions that name them show an
 * owner that is gone, as before. */
static enum err each_dead(struct sqlite_store *s, struct sqlite_conn *c, bool drop, uint32_t *out,
                          struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, c, STMT_HOST_IDS, e);
    if (!st) {
        return sqlite_conn_fail(s, c, e);
    }
    enum err status = OK;
    int rc = SQLITE_DONE;
    *out = 0;
    while (status == OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(st, 0);
        if (!sqlite_host_alive(s, id, column_time(st, 1))) {
            (*out)++;
            status = drop ? drop_host(s, id, e) : OK;
        }
    }
    if (status == OK && rc != SQLITE_DONE) {
        status = sqlite_conn_fail(s, c, e);
    }
    sqlite3_reset(st);
    return status;
}

static enum err count_dead(struct sqlite_store *s, uint32_t *out, struct error *e) {
    enum err status = sqlite_read_begin(s, e);
    if (status == OK) {
        status = each_dead(s, &s->reader, false, out, e);
        sqlite_read_end(s);
    }
    return status;
}

enum err sqlite_hosts_sweep(struct store *base, uint32_t *out_gone, struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    uint32_t gone = 0;
    enum err status = count_dead(s, &gone, e);
    if (status != OK || !gone) {
        *out_gone = status == OK ? 0 : *out_gone;
        return status;
    }
    status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    status = each_dead(s, &s->writer, true, &gone, e);
    status = sqlite_write_end(s, status, e);
    if (status == OK) {
        *out_gone = gone;
    }
    return status;
}

static enum err add_host(struct sqlite_store *s, int64_t pid, struct str hostname, int64_t *out,
                         struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_HOST_ADD, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    int64_t now_us = s->clock->wall(s->clock->ctx).us;
    sqlite3_bind_int64(st, 1, pid);
    bind_text(st, 2, hostname);
    sqlite3_bind_int64(st, 3, now_us);
    sqlite3_bind_int64(st, 4, now_us + STORE_LEASE_US);
    if (sqlite_run(st) != SQLITE_OK) {
        return sqlite_conn_fail(s, &s->writer, e);
    }
    *out = sqlite3_last_insert_rowid(s->writer.db);
    return sqlite_host_hold(s, *out, e);
}

enum err sqlite_host_register(struct store *base, int64_t pid, struct str hostname,
                              int64_t *out_host, struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    ASSERT(s->host == 0);
    int64_t host = 0;
    uint32_t gone;
    enum err status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    status = each_dead(s, &s->writer, true, &gone, e);
    if (status == OK) {
        status = add_host(s, pid, hostname, &host, e);
    }
    status = sqlite_write_end(s, status, e);
    if (status == OK) {
        *out_host = host;
    } else {
        s->host = 0;
    }
    return status;
}

enum err sqlite_host_renew(struct store *base, int64_t host, wall_us until, struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    enum err status = sqlite_write_begin(s, e);
    if (status != OK) {
        return status;
    }
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_HOST_RENEW, e);
    if (st) {
        sqlite3_bind_int64(st, 1, host);
        sqlite3_bind_int64(st, 2, until.us);
    }
    if (!st || sqlite_run(st) != SQLITE_OK) {
        status = sqlite_conn_fail(s, &s->writer, e);
    } else if (sqlite3_changes(s->writer.db) == 0) {
        status = error_set(e, ERR_FENCED, "host %lld was taken for dead by another process",
                           (long long)host);
    }
    return sqlite_write_end(s, status, e);
}

/* --- listing --- */

static enum err list_in(struct sqlite_store *s, struct arena *a, struct store_hosts *out,
                        struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, STMT_HOST_LIST, e);
    if (!st) {
        return sqlite_conn_fail(s, &s->reader, e);
    }
    struct store_hosts rows = {0};
    uint32_t cap = 0;
    bool full = false;
    int rc = SQLITE_DONE;
    while (!full && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        rows.items = store_array_grow(a, rows.items, rows.count, &cap, sizeof *rows.items);
        full = !rows.items;
        if (!full) {
            struct store_host *h = &rows.items[rows.count++];
            *h = (struct store_host){.id = sqlite3_column_int64(st, 0),
                                     .pid = sqlite3_column_int64(st, 1),
                                     .hostname = column_str(st, 2, a, &full),
                                     .registered = column_time(st, 3),
                                     .until = column_time(st, 4),
                                     .executions = column_u32(st, 5)};
            h->alive = sqlite_host_alive(s, h->id, h->until);
        }
    }
    enum err status = full                ? error_nomem(e)
                      : rc == SQLITE_DONE ? OK
                                          : sqlite_conn_fail(s, &s->reader, e);
    sqlite3_reset(st);
    if (status == OK) {
        *out = rows;
    }
    return status;
}

enum err sqlite_host_list(struct store *base, struct arena *a, struct store_hosts *out,
                          struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    enum err status = sqlite_read_begin(s, e);
    if (status == OK) {
        status = list_in(s, a, out, e);
        sqlite_read_end(s);
    }
    return status;
}

/* --- what they left --- */

/* Of all executions of one owner at once: whether that lives is no question for SQL. */
static enum err count_left(struct sqlite_store *s, uint32_t *out, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->reader, STMT_LEFT_COUNT, e);
    uint32_t count = 0;
    int rc;
    if (!st) {
        return sqlite_conn_fail(s, &s->reader, e);
    }
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t host = sqlite3_column_int64(st, 0);
        bool known = sqlite3_column_type(st, 1) != SQLITE_NULL;
        bool owned = known && sqlite_host_alive(s, host, column_time(st, 1));
        count += owned ? 0 : column_u32(st, 2);
    }
    enum err status = rc == SQLITE_DONE ? OK : sqlite_conn_fail(s, &s->reader, e);
    sqlite3_reset(st);
    *out = status == OK ? count : *out;
    return status;
}

enum err sqlite_left_count(struct store *base, uint32_t *out, struct error *e) {
    struct sqlite_store *s = sqlite_of(base);
    enum err status = sqlite_read_begin(s, e);
    if (status == OK) {
        status = count_left(s, out, e);
        sqlite_read_end(s);
    }
    return status;
}

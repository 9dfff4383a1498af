/* A store of an older format is brought up to ours: all steps from its version on in one write
 * transaction under the lock, so whoever dies half way leaves it as it was.
 *
 * Must never happen under a process of an earlier cairn that still runs executions: it would stop
 * at its next commit. A row of `events` is never touched. docs/FORMAT.md has the procedure.
 */
#include <stdio.h>
#include <string.h>

#include "store/sqlite_priv.h"

static const struct {
    int from;
    const char *sql;
} steps[] = {
#define UPGRADE(from, sql) {from, sql},
#include "store/sqlite_upgrade.def"
#undef UPGRADE
};

static const char *const schema[] = {
#define SCHEMA(sql) sql,
#include "store/sqlite_schema.def"
#undef SCHEMA
};

static enum err run(struct sqlite_store *s, const char *sql, struct error *e) {
    int rc = sqlite3_exec(s->writer.db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : sqlite_error(s, s->writer.db, rc, e);
}

/* Steps to the next row: its statement stays open in *out, to be finalized by the caller. */
static enum err first_row(struct sqlite_store *s, const char *sql, sqlite3_stmt **out,
                          bool *out_row, struct error *e) {
    int rc = sqlite3_prepare_v2(s->writer.db, sql, -1, out, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(*out) : rc;
    *out_row = rc == SQLITE_ROW;
    return *out_row || rc == SQLITE_DONE ? OK : sqlite_error(s, s->writer.db, rc, e);
}

static enum err refuse_living(struct sqlite_store *s, struct error *e) {
    sqlite3_stmt *st = NULL;
    bool row = false;
    enum err status = first_row(s, "SELECT id, until_us, pid FROM hosts", &st, &row, e);
    for (; status == OK && row; row = sqlite3_step(st) == SQLITE_ROW) {
        wall_us until = {sqlite3_column_int64(st, 1)};
        if (sqlite_host_alive(s, sqlite3_column_int64(st, 0), until)) {
            status =
                error_set(e, ERR_STORE_VERSION,
                          "the store %s has an older format and is in use by process %lld of "
                          "an earlier cairn: try again when that has ended, and it is brought "
                          "up to format %d",
                          s->path, (long long)sqlite3_column_int64(st, 2), STORE_FORMAT_VERSION);
        }
    }
    sqlite3_finalize(st);
    return status;
}

static enum err drop_views(struct sqlite_store *s, struct error *e) {
    bool row = true;
    enum err status = OK;
    while (row && status == OK) {
        sqlite3_stmt *st = NULL;
        char sql[300] = "";
        status = first_row(s, "SELECT name FROM sqlite_master WHERE type = 'view' LIMIT 1", &st,
                           &row, e);
        if (status == OK && row) {
            snprintf(sql, sizeof sql, "DROP VIEW \"%s\"", (const char *)sqlite3_column_text(st, 0));
        }
        sqlite3_finalize(st);
        status = status == OK && row ? run(s, sql, e) : status;
    }
    return status;
}

static enum err make_views(struct sqlite_store *s, struct error *e) {
    enum err status = OK;
    for (size_t i = 0; i < ARRAY_LEN(schema) && status == OK; i++) {
        bool view = strncmp(schema[i], "CREATE VIEW", strlen("CREATE VIEW")) == 0;
        status = view ? run(s, schema[i], e) : OK;
    }
    return status;
}

static enum err version_now(struct sqlite_store *s, int *out, struct error *e) {
    sqlite3_stmt *st = NULL;
    bool row = false;
    enum err status = first_row(s, "PRAGMA user_version", &st, &row, e);
    *out = row ? sqlite3_column_int(st, 0) : 0;
    sqlite3_finalize(st);
    return status;
}

static enum err note_version(struct sqlite_store *s, struct error *e) {
    char sql[200];
    snprintf(sql, sizeof sql,
             "UPDATE meta SET value = '%d' WHERE key = 'format_version'; PRAGMA user_version = %d",
             STORE_FORMAT_VERSION, STORE_FORMAT_VERSION);
    return run(s, sql, e);
}

/* Inside the transaction. Another process may have been quicker. */
static enum err bring_up(struct sqlite_store *s, bool *out_changed, struct error *e) {
    int from = 0;
    enum err status = version_now(s, &from, e);
    *out_changed = status == OK && from < STORE_FORMAT_VERSION;
    if (!*out_changed) {
        return status;
    }
    status = refuse_living(s, e);
    status = status == OK ? drop_views(s, e) : status;
    for (size_t i = 0; i < ARRAY_LEN(steps) && status == OK; i++) {
        status = steps[i].from >= from ? run(s, steps[i].sql, e) : OK;
    }
    status = status == OK ? make_views(s, e) : status;
    return status == OK ? note_version(s, e) : status;
}

enum err sqlite_upgrade(struct sqlite_store *s, struct error *e) {
    bool changed = false;
    enum err status = sqlite_lock_take(s, s->wait_ms, e);
    if (status != OK) {
        return status;
    }
    status = run(s, "BEGIN IMMEDIATE", e);
    if (status == OK) {
        status = bring_up(s, &changed, e);
        status =
            status == OK && changed ? sqlite_write_commit(s, e) : sqlite_write_abort(s, status);
        return status;
    }
    sqlite_lock_release(s);
    return status;
}

/* One connection: opening it, telling whose file it is before anything can change it, and the
 * settings that docs/FORMAT.md lists.
 *
 * Must never write to a file that is not a cairn store of our version. Invariant: an open
 * connection does not checkpoint by itself, neither after a commit nor when it is closed, because
 * that would happen outside of the lock.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "store/sqlite_priv.h"

/* synchronous FULL: an acknowledged commit survives power loss; secure_delete is on in Debian. */
static const char settings[] = "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;"
                               "PRAGMA secure_delete = OFF; PRAGMA foreign_keys = OFF;"
                               "PRAGMA mmap_size = 0";

/* An integer PRAGMA. */
static enum err read_number(struct sqlite_store *s, sqlite3 *db, const char *sql, int64_t *out,
                            struct error *e) {
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    enum err status = rc == SQLITE_ROW ? OK : sqlite_error(s, db, rc, e);
    sqlite3_finalize(st);
    return status;
}

static enum err wrong_version(struct sqlite_store *s, int64_t found, struct error *e) {
    if (found > STORE_FORMAT_VERSION)
        return error_set(e, ERR_STORE_VERSION,
                         "the store %s has format %lld, this cairn (%s) knows format %d: use the "
                         "newer cairn that wrote it, or another --store",
                         s->path, (long long)found, CAIRN_VERSION, STORE_FORMAT_VERSION);
    return error_set(e, ERR_STORE_VERSION,
                     "the store %s has format %lld, this cairn (%s) knows format %d: no way is "
                     "known from there, use the cairn that wrote it, or another --store",
                     s->path, (long long)found, CAIRN_VERSION, STORE_FORMAT_VERSION);
}

enum err sqlite_version_check(struct sqlite_store *s, struct sqlite_conn *c, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, c, STMT_VERSION, e);
    if (!st)
        return sqlite_error(s, c->db, sqlite3_errcode(c->db), e);
    int rc = sqlite3_step(st);
    int64_t found = sqlite3_column_int64(st, 0);
    if (rc != SQLITE_ROW)
        rc = sqlite3_reset(st);
    else
        sqlite3_reset(st);
    if (rc != SQLITE_ROW)
        return sqlite_error(s, c->db, rc, e);
    return found == STORE_FORMAT_VERSION ? OK : wrong_version(s, found, e);
}

/* out_old: it is ours, of a format that there is a way from. */
static enum err check_owner(struct sqlite_store *s, sqlite3 *db, bool *out_old, struct error *e) {
    int64_t found = 0, version = 0;
    enum err status = read_number(s, db, "PRAGMA application_id", &found, e);
    if (status != OK)
        return status;
    if (found != SQLITE_APPLICATION_ID)
        return error_set(e, ERR_STORE,
                         "%s is an SQLite database of another program and was left as it is: name "
                         "another with --store",
                         s->path);
    status = read_number(s, db, "PRAGMA user_version", &version, e);
    *out_old = version >= STORE_FORMAT_OLDEST && version < STORE_FORMAT_VERSION;
    if (status == OK && version != STORE_FORMAT_VERSION && !*out_old)
        status = wrong_version(s, version, e);
    return status;
}

static int count_frames(void *ctx, sqlite3 *db, const char *name, int frames) {
    (void)db;
    (void)name;
    ((struct sqlite_store *)ctx)->frames = frames;
    return SQLITE_OK;
}

/* Before the first statement, which may already recover a log that a dead process left. */
static void tame(sqlite3 *db) {
    int on = 1;
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_wal_autocheckpoint(db, 0);
    sqlite3_busy_timeout(db, SQLITE_WAIT_MS);
}

/* Without it the log would stay as long as it ever was. */
static int limit_log(sqlite3 *db) {
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit = %d", SQLITE_LOG_BYTES);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static enum err set_up(struct sqlite_store *s, sqlite3 *db, bool write, bool *out_old,
                       struct error *e) {
    if (write && sqlite3_db_readonly(db, "main") == 1)
        return sqlite_error_path(s->path, EACCES, e);
    enum err status = check_owner(s, db, out_old, e);
    if (status != OK)
        return status;
    int rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
    if (rc == SQLITE_OK && write)
        rc = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    if (rc == SQLITE_OK && write)
        rc = limit_log(db);
    if (rc != SQLITE_OK)
        return sqlite_error(s, db, rc, e);
    if (write)
        sqlite3_wal_hook(db, count_frames, s);
    return OK;
}

/* By the writer, which a reader opens for that alone if need be. */
static enum err bring_up(struct sqlite_store *s, bool write, struct error *e) {
    if (write)
        return sqlite_upgrade(s, e);
    enum err status =
        s->writer.db ? sqlite_upgrade(s, e) : sqlite_conn_open(s, &s->writer, true, e);
    if (status == ERR_STORE)
        status = error_wrap(e, status,
                            "the store has an older format and could not be brought up to format "
                            "%d, for which it must be written to",
                            STORE_FORMAT_VERSION);
    return status;
}

enum err sqlite_conn_open(struct sqlite_store *s, struct sqlite_conn *c, bool write,
                          struct error *e) {
    bool old = false;
    int flags = SQLITE_OPEN_NOMUTEX | (write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    enum err status = write ? sqlite_side_open(s, e) : OK;
    if (status != OK)
        return status;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(s->path, &db, flags, NULL);
    if (rc != SQLITE_OK) {
        status = sqlite_error(s, db, rc, e);
    } else {
        tame(db);
        status = set_up(s, db, write, &old, e);
    }
    if (status != OK) {
        sqlite3_close(db);
        return status;
    }
    c->db = db;
    status = old ? bring_up(s, write, e) : OK;
    if (status != OK)
        sqlite_conn_close(c);
    return status;
}

void sqlite_conn_close(struct sqlite_conn *c) {
    for (int i = 0; i < STMT_COUNT; i++) {
        sqlite3_finalize(c->stmts[i]);
        c->stmts[i] = NULL;
    }
    int rc = sqlite3_close(c->db);
    ASSERT(rc == SQLITE_OK);
    c->db = NULL;
    c->log_inode = 0;
}

/* The SQLite store: opening by path, transactions, and the table of its operations.
 *
 * The reader and the writer are connections of their own, each opened when first needed: a command
 * that only looks never opens the writer. Invariants: no write outside of the lock; no transaction
 * with another format version than ours; no transaction on a file that no longer bears our name.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_priv.h"

enum { SMALLEST_DATABASE = 512 };

static const char *const statements[STMT_COUNT] = {
#define STMT(id, sql) [STMT_##id] = sql,
#include "store/sqlite_stmts.def"
#undef STMT
};

sqlite3_stmt *sqlite_stmt(struct sqlite_store *s, struct sqlite_conn *c, enum stmt_id id,
                          struct error *e) {
    if (c->stmts[id]) {
        return c->stmts[id];
    }
    int rc = sqlite3_prepare_v3(c->db, statements[id], -1, SQLITE_PREPARE_PERSISTENT, &c->stmts[id],
                                NULL);
    if (rc != SQLITE_OK) {
        (void)sqlite_error(s, c->db, rc, e);
    }
    return c->stmts[id];
}

int sqlite_run(sqlite3_stmt *st) {
    int rc = sqlite3_step(st);
    int reset = sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? OK : reset != SQLITE_OK ? reset : rc;
}

/* --- transactions --- */

static enum err run_plain(struct sqlite_store *s, struct sqlite_conn *c, enum stmt_id id,
                          struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, c, id, e);
    if (!st) {
        return sqlite_error(s, c->db, sqlite3_errcode(c->db), e);
    }
    int rc = sqlite_run(st);
    return rc == SQLITE_OK ? OK : sqlite_error(s, c->db, rc, e);
}

/* Of the log that stands under its name now; 0: none does. */
static uint64_t log_inode(const struct sqlite_store *s) {
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", s->path);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* SQLite goes on in the log that it has open, which whoever comes later does not see. As long as
 * nobody has begun another one, what is in it can be brought into the database by who has the lock;
 * after that nothing may be, for the index is that of both. */
static enum err log_is_gone(struct sqlite_store *s, struct sqlite_conn *c, struct error *e) {
    if (c == &s->writer && log_inode(s) == 0) {
        (void)sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    s->frames = 0; /* nothing to be done about it when the store is closed */
    return error_set(e, ERR_STORE,
                     "the log %s-wal was deleted or replaced while the store was in use; nothing "
                     "more is recorded: end the processes that use it and start again",
                     s->path);
}

/* Somebody deleted or replaced a file: what we would write, nobody would ever see. */
static enum err check_place(struct sqlite_store *s, struct sqlite_conn *c, struct error *e) {
    int moved = 0;
    sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved) {
        bool there = !c->log_inode || log_inode(s) == c->log_inode;
        return there ? OK : log_is_gone(s, c, e);
    }
    return error_set(e, ERR_STORE,
                     "the store %s was deleted or replaced while in use; nothing was recorded: "
                     "put it back or start again",
                     s->path);
}

static enum err begin(struct sqlite_store *s, struct sqlite_conn *c, enum stmt_id id,
                      struct error *e) {
    enum err status = check_place(s, c, e);
    if (status == OK) {
        status = run_plain(s, c, id, e);
    }
    if (status != OK) {
        return status;
    }
    status = sqlite_version_check(s, c, e);
    if (status != OK) {
        (void)run_plain(s, c, STMT_ROLLBACK, NULL);
    } else if (!c->log_inode) {
        c->log_inode = log_inode(s);
    }
    return status;
}

enum err sqlite_read_begin(struct sqlite_store *s, struct error *e) {
    if (!s->reader.db) {
        enum err status = sqlite_conn_open(s, &s->reader, false, e);
        if (status != OK) {
            return status;
        }
    }
    return begin(s, &s->reader, STMT_BEGIN_READ, e);
}

void sqlite_read_end(struct sqlite_store *s) {
    if (!sqlite3_get_autocommit(s->reader.db)) {
        (void)run_plain(s, &s->reader, STMT_ROLLBACK, NULL);
    }
}

static int64_t mono_ms(const struct sqlite_store *s) {
    return s->clock->mono(s->clock->ctx).ns / 1000000;
}

enum err sqlite_write_begin(struct sqlite_store *s, struct error *e) {
    if (!s->writer.db) {
        enum err status = sqlite_conn_open(s, &s->writer, true, e);
        if (status != OK) {
            return status;
        }
    }
    int64_t until_ms = mono_ms(s) + s->wait_ms;
    enum err status = sqlite_lock_take(s, s->wait_ms, e);
    if (status != OK) {
        return status;
    }
    int64_t left_ms = until_ms - mono_ms(s); /* for other programs, which take no turns */
    sqlite3_busy_timeout(s->writer.db, left_ms > 1 ? (int)left_ms : 1);
    status = begin(s, &s->writer, STMT_BEGIN_WRITE, e);
    if (status != OK) {
        sqlite_lock_release(s);
    }
    return status;
}

enum err sqlite_write_abort(struct sqlite_store *s, enum err status) {
    if (!sqlite3_get_autocommit(s->writer.db)) {
        (void)run_plain(s, &s->writer, STMT_ROLLBACK, NULL);
    }
    sqlite_lock_release(s);
    return status;
}

enum err sqlite_write_commit(struct sqlite_store *s, struct error *e) {
    sqlite3_stmt *st = sqlite_stmt(s, &s->writer, STMT_COMMIT, e);
    if (!st) {
        return sqlite_write_abort(s, sqlite_error(s, s->writer.db, SQLITE_NOMEM, e));
    }
    int rc = sqlite_run(st);
    if (rc == SQLITE_OK) {
        sqlite_wal_after_commit(s);
        sqlite_lock_release(s);
        return OK;
    }
    enum err status = sqlite_error(s, s->writer.db, rc, e);
    if (sqlite_commit_is_unknown(s->writer.db, rc)) {
        status = error_set(e, ERR_STORE_UNKNOWN,
                           "the store %s failed while committing (%s); whether the last records "
                           "are in it shows when it is read again",
                           s->path, sqlite3_errmsg(s->writer.db));
    }
    return sqlite_write_abort(s, status);
}

enum err sqlite_write_end(struct sqlite_store *s, enum err status, struct error *e) {
    return status == OK ? sqlite_write_commit(s, e) : sqlite_write_abort(s, status);
}

enum err sqlite_conn_fail(struct sqlite_store *s, struct sqlite_conn *c, struct error *e) {
    return sqlite_error(s, c->db, sqlite3_extended_errcode(c->db), e);
}

/* --- opening --- */

static char *join_path(const char *folder, const char *name) {
    size_t len = strlen(folder) + strlen(name) + 2;
    char *path = malloc(len);
    if (path) {
        snprintf(path, len, "%s%s%s", folder, strcmp(folder, "/") ? "/" : "", name);
    }
    return path;
}

/* The absolute path without links, so that every name of a store leads to one side file. */
static enum err resolve(struct sqlite_store *s, const char *path, bool make, struct error *e) {
    if (!*path) {
        return error_set(e, ERR_INVALID, "the store has no path: name a file");
    }
    char folder[PATH_MAX], real[PATH_MAX];
    if (strlen(path) + sizeof "-journal" > PATH_MAX) {
        return sqlite_error_path(path, ENAMETOOLONG, e);
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!slash) {
        strcpy(folder, ".");
    } else {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + (slash == path), path);
    }
    enum err status = make ? io_dir_make(folder, 0700, e) : OK;
    if (status != OK) {
        return sqlite_error_outside(path, status, e);
    }
    if (realpath(path, real)) {
        s->path = strdup(real);
    } else if (errno == ENOENT && realpath(folder, real)) {
        s->path = *name ? join_path(real, name) : strdup(real);
    } else {
        return errno == ENOENT ? error_set(e, ERR_NOT_FOUND, "no store at %s", path)
                               : sqlite_error_path(path, errno, e);
    }
    return s->path ? OK : error_nomem(e);
}

static enum err open_there(struct sqlite_store *s, bool make, struct error *e) {
    struct stat st;
    bool there = stat(s->path, &st) == 0;
    if (!there && errno != ENOENT) {
        return sqlite_error_path(s->path, errno, e);
    }
    if (there && !S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode)
                   ? sqlite_error_path(s->path, EISDIR, e)
                   : error_set(e, ERR_STORE, "the store %s is no ordinary file", s->path);
    }
    if (there && st.st_size > 0 && st.st_size < SMALLEST_DATABASE) {
        return sqlite_error(s, NULL, SQLITE_NOTADB, e); /* SQLite takes it for an empty one */
    }
    if (there && st.st_size > 0) {
        return sqlite_conn_open(s, make ? &s->writer : &s->reader, make, e);
    }
    if (!make) {
        return error_set(e, ERR_NOT_FOUND, "no store at %s: cairn run makes one, --store names one",
                         s->path);
    }
    enum err status = sqlite_create(s, e);
    return status == OK ? sqlite_conn_open(s, &s->writer, true, e) : status;
}

static void sqlite_close(struct store *base) {
    struct sqlite_store *s = sqlite_of(base);
    if (s->writer.db) {
        sqlite_wal_settle(s);
    }
    sqlite_conn_close(&s->reader);
    sqlite_conn_close(&s->writer);
    io_lock_close(&s->side);
    free(s->outcomes);
    free(s->inbox_path);
    free(s->path);
    free(s);
}

static void sqlite_idle(struct store *base) {
    struct sqlite_store *s = sqlite_of(base);
    if (s->writer.db) {
        sqlite_wal_idle(s);
    }
}

static void sqlite_patience(struct store *base, uint32_t ms) { sqlite_of(base)->wait_ms = (int)ms; }

static const struct store_ops ops = {
    .close = sqlite_close,
    .patience = sqlite_patience,
    .commit = sqlite_commit,
    .events = sqlite_events,
    .get = sqlite_get,
    .find = sqlite_find,
    .last = sqlite_last,
    .list = sqlite_list,
    .children = sqlite_children,
    .steps = sqlite_steps,
    .messages = sqlite_messages,
    .workflow_put = sqlite_workflow_put,
    .workflow_get = sqlite_workflow_get,
    .blob_put = sqlite_blob_put,
    .blob_get = sqlite_blob_get,
    .cache_get = sqlite_cache_get,
    .inbox_add = sqlite_inbox_add,
    .inbox_open = sqlite_inbox_open,
    .inbox_get = sqlite_inbox_get,
    .inbox_file = sqlite_inbox_file,
    .has_news = sqlite_has_news,
    .host_register = sqlite_host_register,
    .host_renew = sqlite_host_renew,
    .hosts_sweep = sqlite_hosts_sweep,
    .host_list = sqlite_host_list,
    .left_count = sqlite_left_count,
    .kinds_put = sqlite_kinds_put,
    .idle = sqlite_idle,
    .check = sqlite_check,
};

enum err store_sqlite_open(const char *path, bool make, const struct io_clock *clock,
                           struct store **out, struct error *e) {
    struct sqlite_store *s = calloc(1, sizeof *s);
    if (!s) {
        return error_nomem(e);
    }
    s->base.ops = &ops;
    s->clock = clock;
    s->side.fd = -1;
    s->wait_ms = SQLITE_WAIT_MS;
    enum err status = resolve(s, path, make, e);
    if (status == OK) {
        status = open_there(s, make, e);
    }
    if (status != OK) {
        sqlite_close(&s->base);
        return status;
    }
    *out = &s->base;
    return OK;
}

void store_process_set_up(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

const char *store_sqlite_version(void) { return sqlite3_libversion(); }

/* Inside of the SQLite store: one handle, up to two connections (writer, reader), the side file.
 *
 * Every write and every checkpoint happens between sqlite_write_begin and sqlite_write_commit or
 * _abort, that is with byte 0 of the side file held: SQLite before 3.51.3 can corrupt a WAL when
 * two connections write or checkpoint at the same instant, and busy_timeout starves waiters.
 * The database file itself is never opened by other means: closing it would drop SQLite's locks.
 */
#ifndef CAIRN_STORE_SQLITE_PRIV_H
#define CAIRN_STORE_SQLITE_PRIV_H

#include <sqlite3.h>

#include "io/file.h"
#include "store/store_priv.h"

#define SQLITE_APPLICATION_ID 0x6361726e /* "carn" at offset 68 of the file */
enum {
    SQLITE_WAIT_MS = 5000,           /* for others, unless told otherwise */
    SQLITE_CHECKPOINT_FRAMES = 8000, /* the WAL starts anew after so many pages */
    SQLITE_FRAME_BYTES = 4096 + 24,  /* a page in the WAL */
    /* The usual size of the WAL: a longer one is cut back when it starts anew. */
    SQLITE_LOG_BYTES = (SQLITE_CHECKPOINT_FRAMES + 256) * SQLITE_FRAME_BYTES,
    SQLITE_EVENT_BLOCK = 32, /* rows of one INSERT of EVENT_MANY */
    SQLITE_STEP_BLOCK = 16,  /* and of STEP_MANY */
    SQLITE_EVENT_COLUMNS = 8,
    SQLITE_STEP_COLUMNS = 19,
};

enum stmt_id {
#define STMT(id, sql) STMT_##id,
#include "store/sqlite_stmts.def"
#undef STMT
    STMT_COUNT
};

struct sqlite_conn {
    sqlite3 *db;        /* NULL: not opened yet */
    uint64_t log_inode; /* of the log that it reads and writes; 0: not known yet */
    sqlite3_stmt *stmts[STMT_COUNT];
};

/* What a commit will have done to a change, published only when it is durable. */
struct sqlite_outcome {
    int64_t num, last_event;
    bool fenced, key_taken;
};

struct sqlite_store {
    struct store base;
    const struct io_clock *clock;
    char *path; /* absolute, links resolved */
    struct sqlite_conn writer, reader;
    struct io_lock side;  /* <path>-lock; fd -1: not opened yet */
    int64_t host;         /* registered by this handle, its byte is held; 0: none */
    int wait_ms;          /* of writes, for others */
    int frames;           /* pages in the WAL after our last commit */
    int checkpoint_at;    /* frames at which to try the next checkpoint */
    int insist_at;        /* frames at which to wait for readers with it */
    char *inbox_path;     /* of the file beside it that is watched; NULL: not needed yet */
    int64_t data_version; /* when somebody asked for news last; 0: never */
    struct sqlite_outcome *outcomes;
    uint32_t outcomes_cap;
};

/* --- sqlite.c: connections and transactions --- */

/* The prepared statement, reset and unbound; NULL with an error. */
sqlite3_stmt *sqlite_stmt(struct sqlite_store *s, struct sqlite_conn *c, enum stmt_id id,
                          struct error *e);
/* Steps a statement that gives no rows and resets it: SQLITE_OK or the error. */
int sqlite_run(sqlite3_stmt *st);
/* A read transaction on the reader, checked for the format version. */
enum err sqlite_read_begin(struct sqlite_store *s, struct error *e);
void sqlite_read_end(struct sqlite_store *s);
/* Takes the turnstile and begins; on failure nothing is held. */
enum err sqlite_write_begin(struct sqlite_store *s, struct error *e);
/* Ends what begin began, whatever it returns: ERR_STORE_UNKNOWN or surely not recorded. */
enum err sqlite_write_commit(struct sqlite_store *s, struct error *e);
/* Rolls back and returns status, which is why. */
enum err sqlite_write_abort(struct sqlite_store *s, enum err status);
/* Commits when status is OK, else aborts. */
enum err sqlite_write_end(struct sqlite_store *s, enum err status, struct error *e);
/* The error that the connection had last. */
enum err sqlite_conn_fail(struct sqlite_store *s, struct sqlite_conn *c, struct error *e);

/* --- sqlite_open.c --- */

enum err sqlite_conn_open(struct sqlite_store *s, struct sqlite_conn *c, bool write,
                          struct error *e);
void sqlite_conn_close(struct sqlite_conn *c);
/* ERR_STORE_VERSION unless the file has our format. */
enum err sqlite_version_check(struct sqlite_store *s, struct sqlite_conn *c, struct error *e);

/* --- sqlite_create.c --- */

/* Makes the database file, complete or not at all; fine when it is there meanwhile. */
enum err sqlite_create(struct sqlite_store *s, struct error *e);

/* --- sqlite_upgrade.c --- */

enum { STORE_FORMAT_OLDEST = 1 };
/* Brings a store of an older format up to ours, on the writer; fine when it has it meanwhile.
 * ERR_STORE_VERSION while a host of an earlier cairn lives. */
enum err sqlite_upgrade(struct sqlite_store *s, struct error *e);

/* --- sqlite_wal.c: under the lock --- */

void sqlite_wal_after_commit(struct sqlite_store *s);
/* At the end of the work: leaves a WAL that is quick to open. */
void sqlite_wal_settle(struct sqlite_store *s);
void sqlite_wal_idle(struct sqlite_store *s);

/* --- sqlite_lock.c: the side file --- */

enum err sqlite_side_open(struct sqlite_store *s, struct error *e);
enum err sqlite_lock_take(struct sqlite_store *s, int wait_ms, struct error *e);
void sqlite_lock_release(struct sqlite_store *s);
enum err sqlite_host_hold(struct sqlite_store *s, int64_t host, struct error *e);
/* Whether a host that has a row with this lease lives. */
bool sqlite_host_alive(struct sqlite_store *s, int64_t host, wall_us until);
long sqlite_noted_pid(struct sqlite_store *s);

/* --- sqlite_holders.c --- */

enum err sqlite_error_busy(struct sqlite_store *s, struct error *e);
/* Other processes that hold a snapshot at this moment; a process may come twice. */
uint32_t sqlite_readers(const struct sqlite_store *s, long *out_pids, uint32_t room);
bool sqlite_process_name(long pid, char *out, size_t out_bytes);

/* --- sqlite_error.c --- */

/* What an SQLite result means for a user, with what to do. */
enum err sqlite_error(struct sqlite_store *s, sqlite3 *db, int rc, struct error *e);
enum err sqlite_error_path(const char *path, int no, struct error *e);
/* Turns what another module said into an error of this store. */
enum err sqlite_error_outside(const char *path, enum err status, struct error *e);
/* After a failed COMMIT: true when it may have reached the disk all the same. */
bool sqlite_commit_is_unknown(sqlite3 *db, int rc);

/* --- the operations, by file --- */

/* sqlite_write.c */
enum err sqlite_commit(struct store *base, struct store_batch *b, struct error *e);
/* sqlite_tables.c */
enum err sqlite_workflow_put(struct store *base, struct str hash, struct str name,
                             struct str bundle, struct error *e);
enum err sqlite_workflow_get(struct store *base, struct str hash, struct arena *a, struct str *out,
                             struct error *e);
enum err sqlite_blob_put(struct store *base, struct str hash, struct str bytes, struct error *e);
enum err sqlite_blob_get(struct store *base, struct str hash, struct arena *a, struct str *out,
                         struct error *e);
enum err sqlite_kinds_put(struct store *base, const struct store_kind_name *kinds, size_t count,
                          struct error *e);
/* sqlite_cache.c; put is part of a commit */
enum err sqlite_cache_put(struct sqlite_store *s, const struct store_cached *c, struct error *e);
enum err sqlite_cache_get(struct store *base, struct str key, wall_us now, struct arena *a,
                          struct store_cached *out, struct error *e);
/* sqlite_inbox.c */
enum err sqlite_inbox_add(struct store *base, const struct store_inbox *row, int64_t *out_id,
                          struct error *e);
const char *sqlite_inbox_file(struct store *base);
bool sqlite_has_news(struct store *base);
/* After a commit that added a row or gave one its verdict. */
void sqlite_inbox_touch(struct sqlite_store *s);
/* sqlite_hosts.c */
enum err sqlite_host_register(struct store *base, int64_t pid, struct str hostname,
                              int64_t *out_host, struct error *e);
enum err sqlite_host_renew(struct store *base, int64_t host, wall_us until, struct error *e);
enum err sqlite_hosts_sweep(struct store *base, uint32_t *out_gone, struct error *e);
enum err sqlite_host_list(struct store *base, struct arena *a, struct store_hosts *out,
                          struct error *e);
enum err sqlite_left_count(struct store *base, uint32_t *out, struct error *e);
/* sqlite_read.c */
enum err sqlite_events(struct store *base, struct store_range r, struct arena *a,
                       struct store_events *out, struct error *e);
enum err sqlite_get(struct store *base, struct store_name name, struct arena *a,
                    struct store_execution *out, struct error *e);
enum err sqlite_find(struct store *base, struct str prefix, struct arena *a, struct str *out_ids,
                     uint32_t *out_count, struct error *e);
enum err sqlite_last(struct store *base, struct arena *a, struct str *out_ids, uint32_t *out_count,
                     struct error *e);
enum err sqlite_children(struct store *base, struct store_children of, struct arena *a,
                         struct store_executions *out, struct error *e);
enum err sqlite_list(struct store *base, const struct store_filter *f, struct arena *a,
                     struct store_executions *out, struct error *e);
enum err sqlite_steps(struct store *base, int64_t num, struct arena *a, struct store_steps *out,
                      struct error *e);
enum err sqlite_messages(struct store *base, int64_t num, struct arena *a,
                         struct store_messages *out, struct error *e);
enum err sqlite_inbox_open(struct store *base, int64_t execution, struct arena *a,
                           struct store_inbox_rows *out, struct error *e);
enum err sqlite_inbox_get(struct store *base, int64_t id, struct arena *a, struct store_inbox *out,
                          struct error *e);

/* sqlite_check.c */
void sqlite_check(struct store *base, void (*tell)(void *ctx, const struct store_finding *f),
                  void *ctx);

/* --- binding and reading columns --- */

static inline struct sqlite_store *sqlite_of(struct store *s) { return (struct sqlite_store *)s; }

/* The bytes must live until the statement is reset. */
static inline void bind_text(sqlite3_stmt *st, int at, struct str s) {
    sqlite3_bind_text64(st, at, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

/* NULL when empty. */
static inline void bind_some(sqlite3_stmt *st, int at, struct str s) {
    if (s.len)
        bind_text(st, at, s);
    else
        sqlite3_bind_null(st, at);
}

static inline void bind_blob(sqlite3_stmt *st, int at, struct str s) {
    sqlite3_bind_blob64(st, at, s.len ? s.ptr : "", s.len, SQLITE_STATIC);
}

/* NULL for no time. */
static inline void bind_time(sqlite3_stmt *st, int at, wall_us t) {
    if (t.us)
        sqlite3_bind_int64(st, at, t.us);
    else
        sqlite3_bind_null(st, at);
}

static inline void bind_count(sqlite3_stmt *st, int at, uint64_t n) {
    sqlite3_bind_int64(st, at, (int64_t)n);
}

/* Copies a column into the arena; empty for NULL. *full is set when it does not fit. */
static inline struct str column_str(sqlite3_stmt *st, int at, struct arena *a, bool *full) {
    const void *bytes = sqlite3_column_blob(st, at);
    size_t len = (size_t)sqlite3_column_bytes(st, at);
    if (!len)
        return (struct str){"", 0};
    struct str copy = arena_str(a, (struct str){bytes, len});
    if (!copy.ptr) {
        *full = true;
        return (struct str){"", 0};
    }
    return copy;
}

static inline wall_us column_time(sqlite3_stmt *st, int at) {
    return (wall_us){sqlite3_column_int64(st, at)};
}

static inline uint32_t column_u32(sqlite3_stmt *st, int at) {
    return (uint32_t)sqlite3_column_int64(st, at);
}

#endif

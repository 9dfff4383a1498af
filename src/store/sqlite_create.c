/* A new database file: built under another name without a journal, synced, and renamed when it is
 * complete, so that whoever finds a store under its name finds a whole one. Under the lock.
 *
 * Must never replace a file with content. Invariant: a -wal that an earlier, deleted database left
 * is removed before, for SQLite would replay it into the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_priv.h"

static const char *const schema[] = {
#define SCHEMA(sql) sql,
#include "store/sqlite_schema.def"
#undef SCHEMA
};

static int exec(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }

/* Facts for people; what counts is user_version. */
static int put_meta(struct sqlite_store *s, sqlite3 *db) {
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT INTO meta VALUES('format_version', '%d'), ('created_by', 'cairn %s'),"
             " ('created_us', '%lld')",
             STORE_FORMAT_VERSION, CAIRN_VERSION, (long long)s->clock->wall(s->clock->ctx).us);
    return exec(db, sql);
}

static int fill(struct sqlite_store *s, sqlite3 *db) {
    char sql[100];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             SQLITE_APPLICATION_ID, STORE_FORMAT_VERSION);
    int rc = exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                      "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; BEGIN");
    if (rc == SQLITE_OK)
        rc = exec(db, sql);
    for (size_t i = 0; i < ARRAY_LEN(schema) && rc == SQLITE_OK; i++)
        rc = exec(db, schema[i]);
    if (rc == SQLITE_OK)
        rc = put_meta(s, db);
    return rc == SQLITE_OK ? exec(db, "COMMIT") : rc;
}

static enum err build(struct sqlite_store *s, const char *path, struct error *e) {
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = fill(s, db);
    enum err status = rc == SQLITE_OK ? OK : sqlite_error(s, db, rc, e);
    sqlite3_close(db);
    return status;
}

/* Bytes 18 and 19 of an SQLite file are its write and read version; 2 says WAL. Setting them here
 * spares the journal and the syncs of PRAGMA journal_mode. An errno value, 0 for success. */
static int finish_file(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int no = pwrite(fd, "\2\2", 2, 18) == 2 && fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return no;
}

static int sync_folder(const char *path) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* may not be listed: then it cannot be synced */
    int no = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return no;
}

static int move_in(const char *from, const char *path) {
    struct stat st;
    int no = renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0 : errno;
    if (no == EEXIST && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        no = rename(from, path) == 0 ? 0 : errno;
    if (no == EINVAL || no == ENOSYS) { /* a file system without it */
        no = link(from, path) == 0 ? 0 : errno;
        unlink(from);
    }
    return no;
}

static bool remove_beside(struct sqlite_store *s, const char *suffix) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", s->path, suffix);
    return unlink(path) == 0;
}

/* What an earlier database left. It must be gone for good before the new one is there: after a
 * power loss the new one could have its name and the old log still its own. */
static int remove_left(struct sqlite_store *s) {
    (void)remove_beside(s, "-shm");
    return remove_beside(s, "-wal") ? sync_folder(s->path) : 0;
}

static enum err create_locked(struct sqlite_store *s, struct error *e) {
    char fresh[PATH_MAX];
    struct stat st;
    if (stat(s->path, &st) == 0 && st.st_size > 0)
        return OK; /* somebody was quicker */
    snprintf(fresh, sizeof fresh, "%s-new", s->path);
    unlink(fresh);
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return sqlite_error_path(s->path, errno, e);
    close(fd);
    enum err status = build(s, fresh, e);
    if (status == OK) {
        int no = remove_left(s);
        no = no ? no : finish_file(fresh);
        no = no ? no : move_in(fresh, s->path);
        no = no ? no : sync_folder(s->path);
        status = no ? sqlite_error_path(s->path, no, e) : OK;
    }
    if (status != OK)
        unlink(fresh);
    return status;
}

enum err sqlite_create(struct sqlite_store *s, struct error *e) {
    enum err status = sqlite_lock_take(s, SQLITE_WAIT_MS, e);
    if (status != OK)
        return status;
    status = create_locked(s, e);
    sqlite_lock_release(s);
    return status;
}

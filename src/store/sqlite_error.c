/* What SQLite's result codes mean for the person who reads the message: what, where, what to do.
 * Must never let "database is locked" through, nor call something recorded that was not.
 */
#include "store/sqlite_priv.h"

#include <errno.h>
#include <sys/stat.h>

/* SQLite forgets errno when it is COMMIT that fails; the file itself knows. */
static int last_errno(sqlite3 *db) {
    int no = sqlite3_system_errno(db);
    sqlite3_file *log = NULL;
    if (!no) {
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    }
    if (log && log->pMethods) {
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &no);
    }
    return no;
}

static const char *errno_text(int no) {
    const char *text = no ? strerrordesc_np(no) : NULL;
    return text ? text : "unknown reason";
}

enum err sqlite_error_path(const char *path, int no, struct error *e) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return error_set(e, ERR_STORE, "%s is a folder: name a file in it as the store", path);
    }
    if (no == ENOSPC || no == EDQUOT) {
        return error_set(e, ERR_STORE, "no space left for the store %s: free some and try again",
                         path);
    }
    if (no == EACCES || no == EPERM || no == EROFS) {
        return error_set(e, ERR_STORE,
                         "the store %s: %s; check the permissions of the file and its folder, or "
                         "name another with --store",
                         path, errno_text(no));
    }
    return error_set(e, ERR_STORE, "cannot open the store %s: %s", path, errno_text(no));
}

enum err sqlite_error_outside(const char *path, enum err status, struct error *e) {
    if (status == ERR_NOMEM || !e) {
        return status == ERR_NOMEM ? status : ERR_STORE;
    }
    return error_set(e, ERR_STORE, "the store %s: %s", path, e->message);
}

static enum err io_trouble(const char *path, int no, struct error *e) {
    if (no == EFBIG || no == EDQUOT || no == ENOSPC) {
        return error_set(e, ERR_STORE_FULL,
                         "the store %s cannot grow: %s; free some space or raise the "
                         "limit; nothing was recorded",
                         path, errno_text(no));
    }
    return error_set(e, ERR_STORE, "the disk failed under the store %s: %s; see the system log",
                     path, errno_text(no));
}

enum err sqlite_error(struct sqlite_store *s, sqlite3 *db, int rc, struct error *e) {
    int no = db ? last_errno(db) : 0;
    const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    if (rc == SQLITE_IOERR_NOMEM) {
        return error_nomem(e);
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return error_nomem(e);
    case SQLITE_NOTADB:
        return error_set(e, ERR_STORE,
                         "%s is not a cairn store (no SQLite database at all) and was left as it "
                         "is: name another with --store",
                         s->path);
    case SQLITE_CORRUPT:
        if (no == EIO || no == ENXIO) { /* what could not be read is no damage in the file */
            return io_trouble(s->path, no, e);
        }
        return error_set(
            e, ERR_CORRUPT,
            "the store %s is damaged (%s): cairn db check tells where; copy it and its "
            "-wal file away, then restore a backup or try \"sqlite3 FILE .recover\"",
            s->path, text);
    case SQLITE_FULL:
        return error_set(e, ERR_STORE_FULL,
                         "no space left for the store %s: free some; nothing was recorded",
                         s->path);
    case SQLITE_PERM:
    case SQLITE_READONLY: return sqlite_error_path(s->path, EACCES, e);
    case SQLITE_CANTOPEN: return sqlite_error_path(s->path, no, e);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return sqlite_error_busy(s, e);
    case SQLITE_TOOBIG:
        return error_set(e, ERR_LIMIT, "a value for the store %s is larger than 1 GB", s->path);
    case SQLITE_IOERR: return io_trouble(s->path, no, e);
    default: return error_set(e, ERR_STORE, "the store %s: %s", s->path, text);
    }
}

/* A frame that could not be written ends the commit before its last frame; only a failed sync (or
 * a write that failed for no reason of space) leaves open what is on the disk. */
bool sqlite_commit_is_unknown(sqlite3 *db, int rc) {
    if ((rc & 0xff) != SQLITE_IOERR || rc == SQLITE_IOERR_NOMEM) {
        return false;
    }
    int no = last_errno(db);
    return rc != SQLITE_IOERR_WRITE || (no != EFBIG && no != EDQUOT && no != ENOSPC);
}

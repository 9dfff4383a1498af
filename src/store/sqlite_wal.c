/* The write-ahead log: how long it gets and that overwriting it is cheap. All under the lock.
 *
 * Appending to a file costs each commit a change of its size on disk (0.19 ms against 0.12 ms for
 * overwriting), so the log is filled with zeros ahead of use, in steps that double up to 1 MiB:
 * 64 MB at once would cost a new store some 60 ms, and a short run needs 100 KB. A zero frame is
 * no valid frame, so SQLite stops there when it recovers. Only bytes past the end of the file are
 * ever written here, never a frame.
 */
#include "store/sqlite_priv.h"

enum {
    FRAME_BYTES = SQLITE_FRAME_BYTES,
    AHEAD_BYTES = 16 * FRAME_BYTES, /* zeros left at which more are made */
    STEP_LEAST = 64 * 1024,
    STEP_MOST = 1024 * 1024,
    FILL_MOST = SQLITE_LOG_BYTES,
    RETRY_FRAMES = 1000,                          /* after a checkpoint that a reader held up */
    INSIST_FRAMES = 2 * SQLITE_CHECKPOINT_FRAMES, /* readers that come and go all the time hold up
                                                     every checkpoint that does not wait */
    INSIST_MS =
        100, /* longer than any read of ours that is repeated; others may hold on for ever */
    IDLE_FRAMES = 1000,  /* worth a checkpoint when nothing else is to do */
    SETTLE_FRAMES = 256, /* what the next opener may have to recover, 1 MB */
};

static const char zeros[STEP_LEAST];

static sqlite3_file *wal_file(struct sqlite_store *s) {
    sqlite3_file *file = NULL;
    sqlite3_file_control(s->writer.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    return file && file->pMethods ? file : NULL;
}

/* What fails here (a full disk) is no failure of the commit: the next one will tell. */
static void fill_ahead(struct sqlite_store *s) {
    sqlite3_file *file = wal_file(s);
    sqlite3_int64 size;
    if (!file || file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
        return;
    }
    sqlite3_int64 used = (sqlite3_int64)s->frames * FRAME_BYTES + 32;
    if (size >= FILL_MOST || size - used > AHEAD_BYTES) {
        return;
    }
    sqlite3_int64 step = size < STEP_LEAST ? STEP_LEAST : size > STEP_MOST ? STEP_MOST : size;
    for (sqlite3_int64 done = 0; done < step; done += STEP_LEAST) {
        if (file->pMethods->xWrite(file, zeros, STEP_LEAST, size + done) != SQLITE_OK) {
            return;
        }
    }
}

static void checkpoint(struct sqlite_store *s, int mode) {
    int frames = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->writer.db, "main", mode, &frames, &copied);
    if (rc == SQLITE_OK) {
        s->base.stats.checkpoints++;
    }
    s->checkpoint_at =
        rc == SQLITE_OK && frames == copied ? SQLITE_CHECKPOINT_FRAMES : s->frames + RETRY_FRAMES;
}

/* Waits until nobody reads from the log, so that the next writer starts it anew. A reader that does
 * not let go costs INSIST_MS each time: the tries become rarer as the log grows. */
static void insist(struct sqlite_store *s) {
    sqlite3_busy_timeout(s->writer.db, INSIST_MS);
    checkpoint(s, SQLITE_CHECKPOINT_RESTART);
    s->insist_at = s->frames + s->frames / 4;
}

void sqlite_wal_after_commit(struct sqlite_store *s) {
    if (s->frames < SQLITE_CHECKPOINT_FRAMES) {
        s->checkpoint_at = SQLITE_CHECKPOINT_FRAMES;
        s->insist_at = INSIST_FRAMES;
    }
    if (s->frames >= s->insist_at) {
        insist(s);
    } else if (s->frames >= s->checkpoint_at) {
        checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
    } else {
        fill_ahead(s);
    }
}

void sqlite_wal_idle(struct sqlite_store *s) {
    if (s->frames < IDLE_FRAMES || sqlite_lock_take(s, 0, NULL) != OK) {
        return;
    }
    checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
    s->frames = 0;
    sqlite_lock_release(s);
}

void sqlite_wal_settle(struct sqlite_store *s) {
    if (s->frames < SETTLE_FRAMES || sqlite_lock_take(s, 0, NULL) != OK) {
        return;
    }
    sqlite3_busy_timeout(s->writer.db, 0);
    checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
    sqlite_lock_release(s);
}

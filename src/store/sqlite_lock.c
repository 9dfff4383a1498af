/* The side file <database>-lock: byte 0 is held around every write and taken in turn (byte 9 is the
 * door of io_turnstile, 2^40 and on its queue), byte 1000 + id is held by host id while it lives.
 * The file's text is the pid of the last writer, for messages only.
 *
 * Invariant: a handle that holds byte 0 holds it on the file that bears the name now: should
 * somebody delete the side file, the next taker makes a new one and comes back to it.
 */
#include "store/sqlite_priv.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTE_WRITE = 0, BYTE_DOOR = 9, BYTE_HOST = 1000 };
#define BYTE_QUEUE (INT64_C(1) << 40)

static void side_path(const struct sqlite_store *s, const char *suffix, char out[PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s%s", s->path, suffix);
}

enum err sqlite_side_open(struct sqlite_store *s, struct error *e) {
    if (s->side.fd >= 0) {
        return OK;
    }
    char path[PATH_MAX];
    side_path(s, "-lock", path);
    enum err status = io_lock_open(&s->side, path, e);
    if (status == OK || status == ERR_NOMEM || !e) {
        return status == OK ? OK : sqlite_error_outside(s->path, status, e);
    }
    return error_set(e, ERR_STORE,
                     "the store %s: %s; it may only be read: check the permissions of its folder, "
                     "or name another with --store",
                     s->path, e->message);
}

static enum err take_byte(struct sqlite_store *s, int wait_ms, struct error *e) {
    static const struct io_turnstile turnstile = {BYTE_WRITE, BYTE_DOOR, BYTE_QUEUE};
    enum err status = io_lock_take_in_turn(&s->side, &turnstile, wait_ms, e);
    if (status == OK) {
        return OK;
    }
    return status == ERR_STORE_BUSY ? sqlite_error_busy(s, e)
                                    : sqlite_error_outside(s->path, status, e);
}

static void note_pid(struct sqlite_store *s) {
    char text[24];
    int len = snprintf(text, sizeof text, "%-20lld\n", (long long)getpid());
    (void)!pwrite(s->side.fd, text, (size_t)len, 0); /* only for messages */
}

/* The side file was deleted under us: others would lock another one. */
static bool side_is_gone(struct sqlite_store *s) {
    struct stat st;
    return fstat(s->side.fd, &st) == 0 && st.st_nlink == 0;
}

enum err sqlite_lock_take(struct sqlite_store *s, int wait_ms, struct error *e) {
    for (;;) {
        enum err status = sqlite_side_open(s, e);
        if (status == OK) {
            status = take_byte(s, wait_ms, e);
        }
        if (status != OK) {
            return status;
        }
        if (!side_is_gone(s)) {
            break;
        }
        io_lock_close(&s->side);
        if (s->host && (status = sqlite_host_hold(s, s->host, e)) != OK) {
            return status;
        }
    }
    note_pid(s);
    return OK;
}

void sqlite_lock_release(struct sqlite_store *s) { io_lock_release(&s->side, BYTE_WRITE); }

enum err sqlite_host_hold(struct sqlite_store *s, int64_t host, struct error *e) {
    enum err status = sqlite_side_open(s, e);
    if (status == OK) {
        status = io_lock_take(&s->side, BYTE_HOST + host, 0, e);
    }
    if (status == OK) {
        s->host = host;
    }
    return status;
}

/* A store that can only be read has no side file to ask: then the lease has to do. */
bool sqlite_host_alive(struct sqlite_store *s, int64_t host, wall_us until) {
    if (host == s->host) {
        return true;
    }
    if (sqlite_side_open(s, NULL) != OK) {
        return until.us > s->clock->wall(s->clock->ctx).us;
    }
    return io_lock_held(&s->side, BYTE_HOST + host);
}

/* Who holds byte 0, by the note in the file; 0: nobody, or not known. */
long sqlite_noted_pid(struct sqlite_store *s) {
    char text[24] = "";
    if (s->side.fd < 0 || !io_lock_held(&s->side, BYTE_WRITE)) {
        return 0;
    }
    return pread(s->side.fd, text, sizeof text - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

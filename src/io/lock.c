/* OFD byte locks on a side file: they belong to the open descriptor, so they are not lost when
 * some other descriptor of the same file is closed (as POSIX record locks are), fall when the
 * process dies, and work between threads as between processes.
 *
 * A turnstile is a queue of such bytes: each who waits stands on one of their own.
 *
 * Must never be used on a database file: closing it would drop SQLite's own locks.
 * Invariant: the file is never removed, or two owners could lock two different files.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/io_priv.h"

enum { WAIT_FIRST_US = 200, WAIT_MOST_US = 10000 };
/* A commit holds its byte for some 100 us: the next in turn asks again at once for that long, so
 * that it is handed over without a pause; those behind it look when it may be their turn. */
enum { SPINS = 200, NEXT_US = 100, NEXT_MOST_US = 1000, QUEUE_BYTES = 1 << 20 };
#define STALLED_NS 200000000 /* who waits in front does not take what is free: it was stopped */

enum err io_lock_open(struct io_lock *l, const char *path, struct error *e) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return io_error_errno(e, errno, "cannot open lock file", path);
    }
    l->fd = fd;
    return OK;
}

void io_lock_close(struct io_lock *l) {
    if (l != NULL) {
        io_fd_close(&l->fd);
    }
}

static int range_call(int fd, int command, struct flock *range) {
    int status;
    do {
        status = fcntl(fd, command, range);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? -errno : range->l_type;
}

static int lock_call(int fd, int command, short type, int64_t at) {
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return range_call(fd, command, &range);
}

static enum err lock_error(struct error *e, int no) {
    return error_set(e, ERR_IO, "cannot lock: %s", io_errno_text(no));
}

static void pause_us(int64_t us) {
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

/* The kernel has no wait with a deadline, so a bounded wait asks again with growing pauses. */
enum err io_lock_take(struct io_lock *l, int64_t at, int wait_ms, struct error *e) {
    if (wait_ms < 0) {
        int status = lock_call(l->fd, F_OFD_SETLKW, F_WRLCK, at);
        return status < 0 ? lock_error(e, -status) : OK;
    }
    int64_t start_ns = io_clock_system.mono(NULL).ns;
    int64_t pause = WAIT_FIRST_US;
    for (;;) {
        int status = lock_call(l->fd, F_OFD_SETLK, F_WRLCK, at);
        if (status >= 0) {
            return OK;
        }
        if (status != -EAGAIN && status != -EACCES) {
            return lock_error(e, -status);
        }
        int64_t left_us =
            (int64_t)wait_ms * 1000 - (io_clock_system.mono(NULL).ns - start_ns) / 1000;
        if (left_us <= 0) {
            return error_set(e, ERR_STORE_BUSY, "another process holds the lock (waited %d ms)",
                             wait_ms);
        }
        pause_us(pause < left_us ? pause : left_us);
        pause = pause * 2 < WAIT_MOST_US ? pause * 2 : WAIT_MOST_US;
    }
}

/* What cannot be let go of would hold up all others: better to end, which lets go of it. */
void io_lock_release(struct io_lock *l, int64_t at) {
    enum { TRIES = 3 };
    int status = -1;
    for (int i = 0; i < TRIES && status < 0; i++) {
        status = lock_call(l->fd, F_OFD_SETLK, F_UNLCK, at);
    }
    ASSERT(status >= 0);
}

bool io_lock_held(struct io_lock *l, int64_t at) {
    int type = lock_call(l->fd, F_OFD_GETLK, F_WRLCK, at);
    return type >= 0 && type != F_UNLCK;
}

/* ---- in turn ---- */

struct waiting {
    struct io_lock *l;
    const struct io_turnstile *t;
    int64_t until_ns;
    int64_t mine; /* the byte in the queue, -1: none yet */
    int spins;
};

static bool is_busy(int status) { return status == -EAGAIN || status == -EACCES; }

/* A byte of the queue in [from, to) that another holds; -1: none. */
static int64_t held_in_queue(const struct io_lock *l, int64_t from, int64_t to) {
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = to - from};
    bool held = to > from && range_call(l->fd, F_OFD_GETLK, &range) >= 0 && range.l_type != F_UNLCK;
    return held ? range.l_start : -1;
}

/* False when the time is up. */
static bool pause_before(struct waiting *w, int64_t ahead) {
    int64_t left_us = (w->until_ns - io_clock_system.mono(NULL).ns) / 1000;
    if (left_us <= 0) {
        return false;
    }
    if (ahead == 0 && w->spins++ < SPINS) {
        sched_yield();
        return true;
    }
    int64_t us = NEXT_US * (ahead ? ahead : w->spins++ - SPINS);
    us = us < NEXT_MOST_US ? us : NEXT_MOST_US;
    pause_us(us < left_us ? us : left_us);
    return true;
}

/* 0, or what keeps it: -EAGAIN when the time was up. */
static int take_by(struct waiting *w, int64_t at) {
    int status;
    w->spins = 0;
    while (is_busy(status = lock_call(w->l->fd, F_OFD_SETLK, F_WRLCK, at))) {
        if (!pause_before(w, 0)) {
            break;
        }
    }
    return status;
}

/* Behind the last that waits. Nobody else chooses meanwhile. */
static int join(struct waiting *w) {
    int64_t end = w->t->queue + QUEUE_BYTES, at = w->t->queue, held;
    int status = take_by(w, w->t->door);
    if (status < 0) {
        return status;
    }
    while ((held = held_in_queue(w->l, at, end)) >= 0) {
        at = held + 1;
    }
    status = at < end ? lock_call(w->l->fd, F_OFD_SETLK, F_WRLCK, at) : -EAGAIN;
    w->mine = status < 0 ? -1 : at;
    io_lock_release(w->l, w->t->door);
    return status;
}

/* For how long nobody took what is there to be taken. */
static int64_t idle_ns(const struct waiting *w, int64_t *since_ns) {
    int64_t now_ns = io_clock_system.mono(NULL).ns;
    if (!*since_ns || io_lock_held(w->l, w->t->at)) {
        *since_ns = now_ns;
    }
    return now_ns - *since_ns;
}

static int wait_in_turn(struct waiting *w) {
    int64_t first, since_ns = 0;
    int status = join(w);
    if (status < 0) {
        return status;
    }
    while ((first = held_in_queue(w->l, w->t->queue, w->mine)) >= 0 &&
           idle_ns(w, &since_ns) < STALLED_NS) {
        if (!pause_before(w, w->mine - first)) {
            return -EAGAIN;
        }
    }
    return take_by(w, w->t->at);
}

enum err io_lock_take_in_turn(struct io_lock *l, const struct io_turnstile *t, int wait_ms,
                              struct error *e) {
    struct waiting w = {.l = l, .t = t, .mine = -1};
    int status = -EAGAIN;
    if (held_in_queue(l, t->queue, t->queue + QUEUE_BYTES) < 0) {
        status = lock_call(l->fd, F_OFD_SETLK, F_WRLCK, t->at);
    }
    if (is_busy(status) && wait_ms > 0) {
        w.until_ns = io_clock_system.mono(NULL).ns + wait_ms * INT64_C(1000000);
        status = wait_in_turn(&w);
    }
    if (w.mine >= 0) {
        io_lock_release(l, w.mine);
    }
    if (is_busy(status)) {
        return error_set(e, ERR_STORE_BUSY, "another process holds the lock (waited %d ms)",
                         wait_ms);
    }
    return status < 0 ? lock_error(e, -status) : OK;
}

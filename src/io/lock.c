/* OFD byte locks on a side file: they belong to the open descriptor, so they are not lost when
 * some other descriptor of the same file is closed (as POSIX record locks are), fall when the
 * process dies, and work between threads as between processes.
 *
 * Must never be used on a database file: closing it would drop SQLite's own locks.
 * Invariant: the file is never removed, or two owners could lock two different files.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/io_priv.h"

enum { WAIT_FIRST_US = 200, WAIT_MOST_US = 10000 };

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

static int lock_call(int fd, int command, short type, int64_t at) {
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int status;
    do {
        status = fcntl(fd, command, &range);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? -errno : range.l_type;
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

void io_lock_release(struct io_lock *l, int64_t at) {
    int status = lock_call(l->fd, F_OFD_SETLK, F_UNLCK, at);
    ASSERT(status >= 0);
}

bool io_lock_held(struct io_lock *l, int64_t at) {
    int type = lock_call(l->fd, F_OFD_GETLK, F_WRLCK, at);
    return type >= 0 && type != F_UNLCK;
}

/* A process that is fed: its standard input is a stream which its owner goes on writing to.
 *
 * What the process does not take at once is kept and written when it does. Never waits, and a
 * process that has died makes no signal and no error: its end is told as that of any other.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/launcher_host_priv.h"

bool process_feed_open(struct io_process *p) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    p->feed_fd = pair[0];
    p->fds[WIRE_FD_IN] = pair[1];
    buf_init(&p->unfed, 0);
    return true;
}

void process_feed_close(struct io_process *p) {
    if (p->feed_fd < 0) {
        return;
    }
    io_poll_close(p->feed_poll);
    p->feed_poll = NULL;
    io_fd_close(&p->feed_fd);
    buf_fini(&p->unfed);
}

static void on_takes(void *ctx, int events);

/* False when there is no memory to wait until it takes the rest, which is lost then. */
static bool watch(struct io_process *p, bool rest) {
    if (rest && p->feed_poll == NULL) {
        p->feed_poll = io_poll_open(p->launcher->loop, p->feed_fd, IO_WRITABLE, on_takes, p);
    }
    if (rest && p->feed_poll != NULL) {
        return true;
    }
    io_poll_close(p->feed_poll);
    p->feed_poll = NULL;
    buf_reset(&p->unfed);
    p->unfed_at = 0;
    return !rest;
}

/* What could not be written because the other end is closed is dropped. */
static bool give(struct io_process *p) {
    bool more = true;
    while (more && p->unfed_at < p->unfed.len) {
        ssize_t put = send(p->feed_fd, p->unfed.ptr + p->unfed_at, p->unfed.len - p->unfed_at,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        p->unfed_at += put > 0 ? (size_t)put : 0;
        more = put > 0 || errno == EINTR;
    }
    bool kept = watch(p, p->unfed_at < p->unfed.len && errno == EAGAIN);
    if (p->unfed.len == 0 && p->feed_ended) {
        process_feed_close(p);
    }
    return kept;
}

static void on_takes(void *ctx, int events) {
    (void)events;
    (void)give(ctx); /* it is watched already */
}

bool io_process_feed(struct io_process *p, struct str bytes) {
    for (int i = 0; i < PROCESS_PIPES; i++) {
        p->pipes[i].seen_bytes = 0;
        p->pipes[i].noted = false;
    }
    p->stdout_cut = false;
    if (p->feed_fd < 0) {
        return true; /* it has ended, which will be told */
    }
    buf_append(&p->unfed, bytes);
    if (!buf_ok(&p->unfed)) {
        return false;
    }
    return give(p);
}

void io_process_feed_end(struct io_process *p) {
    p->feed_ended = true;
    if (p->feed_fd >= 0) {
        (void)give(p); /* what is left is watched already */
    }
}

bool io_process_takes(const struct io_process *p) {
    struct pollfd end = {.fd = p->feed_fd, .events = POLLOUT};
    return p->feed_fd >= 0 && (poll(&end, 1, 0) <= 0 || (end.revents & (POLLHUP | POLLERR)) == 0);
}

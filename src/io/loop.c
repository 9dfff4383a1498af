/* The event loop over libuv: the one file that knows libuv's handles.
 *
 * Each registration is one heap object around one libuv handle; close takes it out of the count
 * at once and frees it when libuv lets go of the handle, so a callback may close its own handle.
 * Never here: policy (deadlines, retries) or anything that blocks besides waiting for events.
 * Invariants: no callback runs after close; a timer never fires early (by libuv's clock, in
 * whole milliseconds); a turn in which a callback ran never goes on to wait, so that the owner
 * of the loop can act on what happened.
 */
#include "io/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include "io/io_priv.h"

enum { SPARE_DESCRIPTORS = 64, POOL_THREADS = 4 /* libuv's number */ };

struct io_loop {
    uv_loop_t uv;
    const struct io_clock *clock;
    size_t open_count;
    bool pool; /* its threads are there */
};

struct io_timer {
    uv_timer_t uv; /* first: the handle's address is the object's */
    struct io_loop *loop;
    void (*due)(void *ctx);
    void *ctx;
};

struct io_poll {
    uv_poll_t uv;
    struct io_loop *loop;
    int events;
    void (*ready)(void *ctx, int events);
    void *ctx;
};

struct io_watch {
    uv_fs_event_t uv;
    struct io_loop *loop;
    void (*changed)(void *ctx, bool gone);
    void *ctx;
};

struct io_signal {
    uv_signal_t uv;
    struct io_loop *loop;
    void (*got)(void *ctx, int signo);
    void *ctx;
};

struct io_wake {
    uv_async_t uv;
    struct io_loop *loop;
    void (*woken)(void *ctx);
    void *ctx;
};

struct work {
    uv_work_t uv;
    struct io_loop *loop;
    void (*job)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
};

/* Where libuv finds no descriptor for its own pipes, or no thread for its pool, it ends the
 * process: so they are tried out first. */
static bool descriptors_left(void) {
    int fds[SPARE_DESCRIPTORS], count = 0;
    fds[0] = epoll_create1(EPOLL_CLOEXEC);
    while (fds[count] >= 0 && ++count < SPARE_DESCRIPTORS) {
        fds[count] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    }
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    return count == SPARE_DESCRIPTORS;
}

static void *wait_at(void *barrier) {
    pthread_mutex_lock(barrier);
    pthread_mutex_unlock(barrier);
    return NULL;
}

static bool threads_left(void) {
    pthread_t threads[POOL_THREADS];
    pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER;
    int count = 0;
    pthread_mutex_lock(&all); /* none ends before all are there */
    while (count < POOL_THREADS && pthread_create(&threads[count], NULL, wait_at, &all) == 0) {
        count++;
    }
    pthread_mutex_unlock(&all);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&all);
    return count == POOL_THREADS;
}

enum err io_loop_open(const struct io_clock *clock, struct io_loop **out, struct error *e) {
    struct io_loop *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return error_nomem(e);
    }
    if (!descriptors_left()) {
        free(l);
        return error_set(e, ERR_IO,
                         "too few file descriptors are left: at least %d more are needed; raise "
                         "the limit (ulimit -n)",
                         SPARE_DESCRIPTORS);
    }
    int status = uv_loop_init(&l->uv);
    if (status != 0) {
        free(l);
        return io_error_errno(e, -status, "cannot make", "an event loop");
    }
    l->clock = clock;
    *out = l;
    return OK;
}

void io_loop_close(struct io_loop *l) {
    if (l == NULL) {
        return;
    }
    ASSERT(l->open_count == 0);
    while (uv_loop_alive(&l->uv) != 0) {
        uv_run(&l->uv, UV_RUN_ONCE);
    }
    ASSERT(uv_loop_close(&l->uv) == 0);
    free(l);
}

bool io_loop_turn(struct io_loop *l, bool wait) {
    return uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT) != 0;
}

const struct io_clock *io_loop_clock(const struct io_loop *l) { return l->clock; }

size_t io_loop_open_count(const struct io_loop *l) { return l->open_count; }

static void free_handle(uv_handle_t *handle) { free(handle); }

static void close_handle(struct io_loop *l, void *handle) {
    ASSERT(l->open_count > 0);
    l->open_count--;
    uv_close(handle, free_handle);
}

/* libuv 1.44 runs due timers before it waits for descriptors; uv_stop makes that wait empty. */
static void on_timer(uv_timer_t *uv) {
    struct io_timer *t = (struct io_timer *)(void *)uv;
    uv_stop(&t->loop->uv);
    t->due(t->ctx);
}

struct io_timer *io_timer_open(struct io_loop *l, void (*due)(void *ctx), void *ctx) {
    struct io_timer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->loop = l;
    t->due = due;
    t->ctx = ctx;
    ASSERT(uv_timer_init(&l->uv, &t->uv) == 0);
    l->open_count++;
    return t;
}

/* Milliseconds for uv_timer_start such that libuv's truncated clock passes the exact moment. */
static uint64_t timeout_ms(struct io_loop *l, int64_t delay_ns) {
    enum { NS_PER_MS = 1000000 };
    if (delay_ns <= 0) {
        return 0;
    }
    uint64_t due_ns = uv_hrtime() + (uint64_t)delay_ns;
    uint64_t due_ms = due_ns / NS_PER_MS + (due_ns % NS_PER_MS != 0);
    uint64_t now_ms = uv_now(&l->uv);
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

void io_timer_start(struct io_timer *t, int64_t delay_ns) {
    uv_update_time(&t->loop->uv);
    ASSERT(uv_timer_start(&t->uv, on_timer, timeout_ms(t->loop, delay_ns), 0) == 0);
}

void io_timer_stop(struct io_timer *t) { uv_timer_stop(&t->uv); }

void io_timer_background(struct io_timer *t) { uv_unref((uv_handle_t *)&t->uv); }

void io_timer_close(struct io_timer *t) {
    if (t != NULL) {
        close_handle(t->loop, &t->uv);
    }
}

static void on_poll(uv_poll_t *uv, int status, int events) {
    struct io_poll *p = (struct io_poll *)(void *)uv;
    int flags =
        ((events & UV_READABLE) ? IO_READABLE : 0) | ((events & UV_WRITABLE) ? IO_WRITABLE : 0);
    /* An error on the descriptor: the owner learns of it by the call it then makes. libuv has
     * stopped watching; io_poll_change starts again. */
    p->ready(p->ctx, status != 0 ? p->events : flags);
}

static void poll_start(struct io_poll *p) {
    int flags = ((p->events & IO_READABLE) ? UV_READABLE : 0) |
                ((p->events & IO_WRITABLE) ? UV_WRITABLE : 0);
    int status = flags != 0 ? uv_poll_start(&p->uv, flags, on_poll) : uv_poll_stop(&p->uv);
    ASSERT(status == 0);
}

struct io_poll *io_poll_open(struct io_loop *l, int fd, int events,
                             void (*ready)(void *ctx, int events), void *ctx) {
    struct io_poll *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    if (uv_poll_init(&l->uv, &p->uv, fd) != 0) {
        free(p);
        return NULL;
    }
    p->loop = l;
    p->events = events;
    p->ready = ready;
    p->ctx = ctx;
    l->open_count++;
    poll_start(p);
    return p;
}

void io_poll_change(struct io_poll *p, int events) {
    p->events = events;
    poll_start(p);
}

void io_poll_close(struct io_poll *p) {
    if (p != NULL) {
        close_handle(p->loop, &p->uv);
    }
}

/* libuv tells a write and a change of attributes as a change, everything else as a rename. */
static void on_change(uv_fs_event_t *uv, const char *name, int events, int status) {
    struct io_watch *w = (struct io_watch *)(void *)uv;
    (void)name;
    w->changed(w->ctx, status != 0 || (events & UV_RENAME) != 0);
}

struct io_watch *io_watch_open(struct io_loop *l, const char *path,
                               void (*changed)(void *ctx, bool gone), void *ctx) {
    struct io_watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->loop = l;
    w->changed = changed;
    w->ctx = ctx;
    ASSERT(uv_fs_event_init(&l->uv, &w->uv) == 0);
    l->open_count++;
    if (uv_fs_event_start(&w->uv, on_change, path, 0) != 0) {
        io_watch_close(w);
        return NULL;
    }
    uv_unref((uv_handle_t *)&w->uv);
    return w;
}

void io_watch_close(struct io_watch *w) {
    if (w != NULL) {
        close_handle(w->loop, &w->uv);
    }
}

static void on_signal(uv_signal_t *uv, int signo) {
    struct io_signal *s = (struct io_signal *)(void *)uv;
    s->got(s->ctx, signo);
}

struct io_signal *io_signal_open(struct io_loop *l, int signo, void (*got)(void *ctx, int signo),
                                 void *ctx) {
    struct io_signal *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->loop = l;
    s->got = got;
    s->ctx = ctx;
    ASSERT(uv_signal_init(&l->uv, &s->uv) == 0);
    l->open_count++;
    if (uv_signal_start(&s->uv, on_signal, signo) != 0) {
        io_signal_close(s);
        return NULL;
    }
    return s;
}

void io_signal_close(struct io_signal *s) {
    if (s != NULL) {
        close_handle(s->loop, &s->uv);
    }
}

static void on_job(uv_work_t *uv) {
    struct work *w = (struct work *)(void *)uv;
    w->job(w->ctx);
}

static void on_job_done(uv_work_t *uv, int status) {
    struct work *w = (struct work *)(void *)uv;
    struct work mine = *w;
    ASSERT(status == 0 && mine.loop->open_count > 0);
    mine.loop->open_count--;
    free(w);
    mine.done(mine.ctx);
}

bool io_work_start(struct io_loop *l, void (*job)(void *ctx), void (*done)(void *ctx), void *ctx) {
    l->pool = l->pool || threads_left();
    struct work *w = l->pool ? calloc(1, sizeof *w) : NULL;
    if (w == NULL) {
        return false;
    }
    *w = (struct work){.loop = l, .job = job, .done = done, .ctx = ctx};
    ASSERT(uv_queue_work(&l->uv, &w->uv, on_job, on_job_done) == 0);
    l->open_count++;
    return true;
}

static void on_wake(uv_async_t *uv) {
    struct io_wake *w = (struct io_wake *)(void *)uv;
    w->woken(w->ctx);
}

struct io_wake *io_wake_open(struct io_loop *l, void (*woken)(void *ctx), void *ctx) {
    struct io_wake *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    if (uv_async_init(&l->uv, &w->uv, on_wake) != 0) {
        free(w);
        return NULL;
    }
    w->loop = l;
    w->woken = woken;
    w->ctx = ctx;
    uv_unref((uv_handle_t *)&w->uv);
    l->open_count++;
    return w;
}

void io_wake_send(struct io_wake *w) { uv_async_send(&w->uv); }

void io_wake_close(struct io_wake *w) {
    if (w != NULL) {
        close_handle(w->loop, &w->uv);
    }
}

const char *io_uv_version(void) { return uv_version_string(); }

/* The beating thread: sleeps on a condition, so that closing it takes no longer than one call.
 *
 * Waits by CLOCK_MONOTONIC: while the machine sleeps nothing has to be done.
 */
#include "io/beat.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct io_beat {
    int64_t period_ns;
    void (*beat)(void *ctx);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool stop; /* under lock */
};

/* False when it is to stop. */
static bool rest(struct io_beat *b) {
    struct timespec until;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    int64_t ns = until.tv_nsec + b->period_ns;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&b->lock);
    while (!b->stop && pthread_cond_timedwait(&b->woken, &b->lock, &until) == 0) {}
    bool go_on = !b->stop;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static void *run(void *ctx) {
    struct io_beat *b = ctx;
    do {
        b->beat(b->ctx);
    } while (rest(b));
    return NULL;
}

static void release(struct io_beat *b) {
    pthread_cond_destroy(&b->woken);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

struct io_beat *io_beat_open(int64_t period_ns, void (*beat)(void *ctx), void *ctx) {
    struct io_beat *b = calloc(1, sizeof *b);
    pthread_condattr_t clock;
    sigset_t all, before;
    if (!b) {
        return NULL;
    }
    *b = (struct io_beat){.period_ns = period_ns, .beat = beat, .ctx = ctx};
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->woken, &clock);
    pthread_condattr_destroy(&clock);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&b->thread, NULL, run, b) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ok) {
        release(b);
        return NULL;
    }
    return b;
}

void io_beat_close(struct io_beat *b) {
    if (!b) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->woken);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    release(b);
}

/* Timers of executions, and the clock that they go by. Due times are recorded, so they are of the
 * wall clock; the loop's own timer is armed for the first one, at most a second ahead, so that a
 * clock that jumps is noticed.
 *
 * A clock set forward makes due what it passes. One set back delays nothing: the host's own time is
 * ahead of the wall clock by that much from then on, until that is set forward again, so a wait
 * takes as long as it says and no event is earlier than the one before. Invariant: what a timer
 * leads to is decided at a time that is not before its due time.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "host/host_priv.h"

#define LOOK_AGAIN_NS 1000000000
#define JUMP_US 1000000         /* less is a clock that is corrected, or a process that is slow */
#define BUSY_PAUSE_NS 100000000 /* between two tries of a commit that others keep from happening */
#define FULL_PAUSE_NS 500000000 /* or that there is no space for */

wall_us host_now(struct host *h) {
    wall_us wall = h->clock->wall(h->clock->ctx);
    mono_ns mono = h->clock->mono(h->clock->ctx);
    if (h->last_mono.ns) {
        int64_t step_us = wall.us - h->last_wall.us - (mono.ns - h->last_mono.ns) / 1000;
        h->ahead_us -= step_us > JUMP_US || step_us < -JUMP_US ? step_us : 0;
        h->ahead_us = h->ahead_us > 0 ? h->ahead_us : 0;
    }
    h->last_wall = wall;
    h->last_mono = mono;
    return (wall_us){wall.us + h->ahead_us};
}

static void sift_up(struct timer *heap, uint32_t at) {
    struct timer t = heap[at];
    while (at > 0 && heap[(at - 1) / 2].due.us > t.due.us) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = t;
}

static void sift_down(struct timer *heap, uint32_t count, uint32_t at) {
    struct timer t = heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && heap[child + 1].due.us < heap[child].due.us) {
            child++;
        }
        if (heap[child].due.us >= t.due.us) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = t;
}

enum err timer_add(struct host *h, const struct timer *t, struct error *e) {
    if (h->timer_count == h->timer_cap) {
        uint32_t cap = h->timer_cap ? h->timer_cap * 2 : 64;
        struct timer *more = realloc(h->timers, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        h->timers = more;
        h->timer_cap = cap;
    }
    h->timers[h->timer_count++] = *t;
    sift_up(h->timers, h->timer_count - 1);
    t->run->timers++;
    return OK;
}

/* Timers of runs that ended are dropped when they come to the top. */
static void drop_first(struct host *h) {
    h->timers[0].run->timers--;
    h->timers[0] = h->timers[--h->timer_count];
    if (h->timer_count) {
        sift_down(h->timers, h->timer_count, 0);
    }
}

static bool over(const struct timer *t) { return t->run->ended || t->run->lost; }

void timers_due(struct host *h) {
    wall_us now = {host_now(h).us + 1000000 * MUTANT(wake_early)};
    while (h->timer_count && (over(&h->timers[0]) || h->timers[0].due.us <= now.us)) {
        struct timer t = h->timers[0];
        struct happened *x = over(&t) ? NULL : happened_new(t.type);
        if (!x && !over(&t)) {
            return; /* no memory: it stays due */
        }
        drop_first(h);
        if (x && t.type == INPUT_STEP_TIMEOUT) {
            breaker_timed_out(t.run, t.step, t.attempt);
        }
        if (x) {
            x->in.step = t.step;
            x->in.attempt = t.attempt;
            x->not_before = t.recorded;
            run_happens(t.run, x);
        }
    }
}

bool host_next_due(const struct host *h, wall_us *out) {
    if (h->timer_count == 0) {
        return false;
    }
    out->us = h->timers[0].due.us - h->ahead_us;
    return true;
}

void timers_arm(struct host *h) {
    wall_us due;
    if (h->batch) {
        io_timer_start(h->timer,
                       h->is_full ? FULL_PAUSE_NS
                                  : BUSY_PAUSE_NS); /* a timer that is due joins the batch then */
        return;
    }
    if (!host_next_due(h, &due)) {
        io_timer_stop(h->timer);
        return;
    }
    int64_t delay_us = due.us - h->clock->wall(h->clock->ctx).us;
    int64_t delay_ns = delay_us > LOOK_AGAIN_NS / 1000 ? LOOK_AGAIN_NS
                       : delay_us > 0                  ? delay_us * 1000
                                                       : 0;
    io_timer_start(h->timer, delay_ns);
}

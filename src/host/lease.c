/* The host's lease: renewed every 5 seconds, good for 30, counted by a clock that jumps never and
 * runs on while the machine sleeps.
 *
 * With a store of its own (host_options.lease_url) a thread renews it, and only as long as the loop
 * answers its pings: it vouches for a living loop, not for a process. The thread begins with the
 * first renewal, so a short run has none. Otherwise the loop renews between its turns.
 * Invariant: no effect is begun on a lease that is over before the owners in the store were read
 * again.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "host/host_priv.h"
#include "io/beat.h"

#define RENEW_NS (HOST_LEASE_RENEW_US * INT64_C(1000))
#define LEASE_NS (STORE_LEASE_US * INT64_C(1000))

struct lease {
    struct host *host;
    struct io_timer *timer; /* does not keep the loop alive, nor do the pings */
    struct io_wake *ping;
    _Atomic int64_t until_ns;
    _Atomic uint32_t answers; /* pings that the loop has answered */
    _Atomic bool taken;       /* others took this host for dead */
    _Atomic bool lapsed;      /* it was over once, and the owners were not read again since */
    struct io_beat *beat;     /* NULL: the loop renews */
    bool failed;
    /* Of the thread: */
    struct store *store;
    uint32_t seen;
};

static int64_t mono_ns_of(const struct host *h) { return h->clock->mono(h->clock->ctx).ns; }

/* One renewal, counted from before it was asked for. */
static void renew(struct lease *l, struct store *s) {
    struct host *h = l->host;
    struct error ignored;
    int64_t began = mono_ns_of(h);
    wall_us until = {h->clock->wall(h->clock->ctx).us + STORE_LEASE_US}; /* as others see it */
    enum err err = store_host_renew(s, h->host_id, until, &ignored);
    if (!err) {
        if (began >= atomic_load(&l->until_ns) && !MUTANT(trust_old_lease)) {
            atomic_store(&l->lapsed, true); /* before: nobody must see the new lease without it */
        }
        atomic_store(&l->until_ns, began + LEASE_NS);
    } else if (err == ERR_FENCED) {
        atomic_store(&l->taken, true);
    }
}

/* On the thread: as long as the loop has answered since the last time. */
static void vouch(void *ctx) {
    struct lease *l = ctx;
    struct error ignored;
    uint32_t answers = atomic_load(&l->answers);
    if (!l->store &&
        store_open(l->host->options.lease_url, false, l->host->clock, &l->store, &ignored)) {
        l->store = NULL;
    }
    if (l->store && answers != l->seen) {
        renew(l, l->store);
    }
    l->seen = answers;
    io_wake_send(l->ping);
}

/* ---- on the loop ---- */

static void pinged(void *ctx) { atomic_fetch_add(&((struct lease *)ctx)->answers, 1); }

/* Time for a renewal: by this turn, or by the thread from now on. */
static void due(void *ctx) {
    struct lease *l = ctx;
    if (l->host->options.lease_url && !l->failed) {
        l->seen = atomic_load(&l->answers) - 1; /* the loop lives: it has called this */
        l->beat = io_beat_open(RENEW_NS, vouch, l);
        l->failed = !l->beat; /* the loop does it then */
    }
    if (!l->beat) {
        io_timer_start(l->timer, RENEW_NS);
    }
}

enum err lease_open(struct host *h, struct error *e) {
    struct lease *l = calloc(1, sizeof *l);
    if (!l) {
        return error_nomem(e);
    }
    l->host = h;
    h->lease = l;
    l->timer = io_timer_open(h->options.loop, due, l);
    l->ping = io_wake_open(h->options.loop, pinged, l);
    if (!l->timer || !l->ping) {
        return error_nomem(e);
    }
    io_timer_background(l->timer);
    io_timer_start(l->timer, RENEW_NS);
    atomic_store(&l->until_ns, mono_ns_of(h) + LEASE_NS); /* registered a moment ago */
    return OK;
}

void lease_close(struct lease *l) {
    if (!l) {
        return;
    }
    io_beat_close(l->beat);
    if (l->store) {
        store_close(l->store);
    }
    if (l->timer) {
        io_timer_close(l->timer);
    }
    if (l->ping) {
        io_wake_close(l->ping);
    }
    free(l);
}

/* Whether the store still names this host as the owner; else it is given up. */
static void check_owner(struct run *r) {
    struct arena a;
    struct store_execution x;
    struct error why = {0};
    arena_init(&a, 0);
    enum err err = store_execution_get(r->host->options.store, r->num, STR(""), &a, &x, &why);
    bool mine = !err && x.epoch == r->epoch && (x.host == r->host->host_id || x.row.completed.us);
    if (err) {
        run_failed(r, &why);
    } else if (!mine && !MUTANT(skip_epoch_check)) {
        error_set(&why, ERR_FENCED,
                  "this process was stopped for longer than its lease; meanwhile another one has "
                  "taken execution %s over",
                  r->id);
        run_give_up(r, &why);
    }
    arena_fini(&a);
}

static bool is_over(const struct lease *l) {
    return mono_ns_of(l->host) >= atomic_load(&l->until_ns);
}

bool lease_is_good(const struct host *h) {
    return !is_over(h->lease) && !atomic_load(&h->lease->lapsed);
}

void lease_check(struct host *h) {
    struct lease *l = h->lease;
    if (is_over(l)) {
        renew(l, h->options.store);
        atomic_store(&l->lapsed, true);
    }
    if (!atomic_exchange(&l->lapsed, false)) {
        return;
    }
    for (struct run *r = h->runs; r; r = r->next) {
        if (!r->ended && !r->lost && !r->is_new) {
            check_owner(r);
        }
    }
}

void lease_turn(struct host *h) {
    struct lease *l = h->lease;
    if (!l->beat && mono_ns_of(h) >= atomic_load(&l->until_ns) - LEASE_NS + RENEW_NS) {
        renew(l, h->options.store);
    }
    if (atomic_exchange(&l->taken, false)) {
        struct error why;
        error_set(&why, ERR_FENCED,
                  "other processes took this one for dead: its lease was over; `cairn resume` goes "
                  "on with what it ran");
        for (struct run *r = h->runs; r; r = r->next) {
            if (!r->ended && !r->lost) {
                run_give_up(r, &why);
            }
        }
    }
    lease_check(h);
}

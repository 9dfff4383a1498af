/* Ownership as the store has it: claimed from a host that is gone, dropped when this host gives an
 * execution up; when every claim of it ended a process, it is (quarantine.c).
 *
 * A claim is recorded before the journal is folded, so who dies over the fold leaves a trace: three
 * claims whose owners died are the end of it. None of this looks at a state of the engine.
 * Invariant: nothing is written but at the head that was read, under the epoch that was read.
 */
#include <stdio.h>

#include "base/mutant.h"
#include "host/host_priv.h"

enum { CLAIMS_MOST = 3 };

static wall_us later(wall_us a, wall_us b) { return a.us > b.us ? a : b; }

enum err claim_event(const struct event *ev, wall_us at, uint64_t seq, struct arena *a,
                     struct store_event *out, struct error *e) {
    struct buf body;
    struct event_blobs none = {0};
    buf_init(&body, 0);
    buf_init(&none.bytes, 0);
    enum err err = event_encode(ev, &body, &none, e);
    *out = (struct store_event){.seq = seq,
                                .at = at,
                                .kind = (uint16_t)ev->kind,
                                .step = STR(""),
                                .body = arena_str(a, buf_str(&body))};
    buf_fini(&body);
    buf_fini(&none.bytes);
    return err ? err : out->body.ptr ? OK : error_nomem(e);
}

/* Who was quicker is told as far as it is still there. */
static enum err fenced(struct host *h, const struct store_execution *x, struct error *e) {
    struct arena a;
    struct store_execution now = {0};
    struct error ignored;
    char who[40] = "another process";
    arena_init(&a, 0);
    if (!store_execution_get(h->options.store, x->num, STR(""), &a, &now, &ignored) &&
        now.owner_alive) {
        snprintf(who, sizeof who, "process %lld", (long long)now.owner_pid);
    }
    arena_fini(&a);
    return error_set(e, ERR_CONFLICT, "execution %.*s was taken by %s at the same moment",
                     STR_ARG(x->fixed.id), who);
}

enum err claim_look_again(struct host *h, const struct store_execution *before,
                          const struct store_change *c, bool *out_done, struct arena *a,
                          struct error *e) {
    struct store_execution now;
    enum err err = store_execution_get(h->options.store, before->num, STR(""), a, &now, e);
    if (err) {
        return err;
    }
    *out_done = now.epoch == c->new_epoch && now.host == c->host &&
                now.last_seq == c->last_seq + c->event_count;
    bool untouched = now.epoch == before->epoch && now.last_seq == before->last_seq;
    return *out_done || untouched ? OK : fenced(h, before, e);
}

bool claim_may_pass(enum err err) {
    return err == ERR_STORE || err == ERR_STORE_UNKNOWN || err == ERR_STORE_BUSY ||
           err == ERR_STORE_FULL;
}

/* Commits a change at the head of x; a store that fails for a moment is asked again. */
static enum err commit(struct host *h, const struct store_execution *x, struct store_change *c,
                       struct arena *a, struct error *e) {
    struct store_batch b = {.changes = c, .count = 1};
    enum err err = OK;
    c->num = x->num;
    c->epoch = x->epoch;
    c->last_seq = x->last_seq;
    c->last_event = x->last_event;
    for (int tries = 0; tries < HOST_COMMIT_TRIES; tries++) {
        bool done = false;
        struct error why;
        err = store_commit(h->options.store, &b, e);
        if (!err) {
            return c->fenced && !MUTANT(claim_despite_fence) ? fenced(h, x, e) : OK;
        }
        if (!claim_may_pass(err) || err == ERR_STORE_BUSY) {
            return err; /* nothing was recorded; who is busy for how long is the caller's to wait */
        }
        enum err again = claim_look_again(h, x, c, &done, a, &why);
        if (done || again == ERR_CONFLICT) {
            return done ? OK : fenced(h, x, e);
        }
    }
    return err;
}

/* ---- who died over it ---- */

/* How many owners in a row ended over it: recorded nothing and did not let go of it either. Who was
 * short of memory, or had a store that failed, let go, and another may well fare better. */
static enum err count_dead(struct host *h, const struct store_execution *x, struct arena *a,
                           uint64_t *out, struct error *e) {
    struct store_event *last;
    struct event_fetch fetch = host_fetch(h->options.store);
    struct event ev = {.kind = EVENT_EXECUTION_CLAIMED};
    uint32_t count = 0;
    *out = 0;
    if (!x->host || !x->last_seq) {
        return OK;
    }
    struct store_range newest = {x->num, x->last_seq - 1, x->last_seq};
    enum err err = store_read_events(h->options.store, newest, a, &last, &count, e);
    if (err || !count || last->kind != EVENT_EXECUTION_CLAIMED) {
        return err;
    }
    err = event_decode(last->body, &fetch, a, &ev, e);
    *out = ev.count + 1;
    return err;
}

static enum err quarantine_poison(struct host *h, const struct store_execution *x,
                                  struct error *e) {
    struct str message = STR("each of the last three processes that took it over ended before "
                             "anything new of it was recorded; it is not tried again");
    enum err err = claim_quarantine(h, x, message, e);
    return err ? err
               : error_set(e, ERR_QUARANTINED, "execution %.*s has failed as quarantined: %.*s",
                           STR_ARG(x->fixed.id), STR_ARG(message));
}

/* ---- claims ---- */

void claim_kill_marked(struct str id) {
    char mark[sizeof "CAIRN_IDEMPOTENCY_KEY=/" + IO_ID_BYTES];
    int len = snprintf(mark, sizeof mark, "CAIRN_IDEMPOTENCY_KEY=%.*s/", STR_ARG(id));
    io_process_kill_marked((struct str){mark, (size_t)len});
}

enum err claim_take(struct host *h, struct store_execution *x, struct error *e) {
    struct arena a;
    struct store_event event;
    uint64_t dead;
    arena_init(&a, 0);
    enum err err = count_dead(h, x, &a, &dead, e);
    if (err || dead >= CLAIMS_MOST) {
        arena_fini(&a);
        return err ? err : quarantine_poison(h, x, e);
    }
    wall_us now = later(host_now(h), x->row.updated);
    bool ours = x->host == h->host_id || run_is_below_ours(h, x);
    struct event ev = {
        .kind = EVENT_EXECUTION_CLAIMED, .host = h->host_id, .epoch = x->epoch + 1, .count = dead};
    struct store_change c = {.new_epoch = x->epoch + 1,
                             .host = h->host_id,
                             .dead_host = ours ? 0 : x->host,
                             .events = &event,
                             .event_count = 1,
                             .row = x->row};
    c.row.updated = now;
    err = claim_event(&ev, now, x->last_seq + 1, &a, &event, e);
    err = err ? err : commit(h, x, &c, &a, e);
    struct store_execution after;
    err = err ? err : store_execution_get(h->options.store, x->num, STR(""), &a, &after, e);
    if (!err && after.epoch != x->epoch + 1) {
        err = fenced(h, x, e);
    }
    if (err) { /* it may have been recorded */
        struct error ignored;
        (void)!claim_drop(h, x->num, x->epoch + 1, &ignored);
    } else {
        x->epoch = after.epoch;
        x->host = h->host_id;
        x->last_seq = after.last_seq;
        x->last_event = after.last_event;
    }
    arena_fini(&a);
    return err;
}

enum err claim_drop(struct host *h, int64_t num, uint64_t epoch, struct error *e) {
    struct arena a;
    struct store_execution x;
    arena_init(&a, 0);
    enum err err = store_execution_get(h->options.store, num, STR(""), &a, &x, e);
    if (!err && x.epoch == epoch && x.host == h->host_id) {
        struct store_change c = {.row = x.row};
        struct store_batch b = {.changes = &c, .count = 1};
        c.num = num;
        c.epoch = epoch;
        c.last_seq = x.last_seq;
        c.last_event = x.last_event;
        err = store_commit(h->options.store, &b, e);
    }
    arena_fini(&a);
    return err;
}

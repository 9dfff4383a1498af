/* Executions that rest. Of one that waits, with nothing in flight, the journal tells everything;
 * when a host has many, those that come to rest keep no state in memory. Their timers and their
 * place in the host stay; the state is folded again when something happens to them.
 *
 * Must never sleep: who has something undecided or unrecorded, and who has a parent or children
 * here, for they look at each other's state.
 */
#include "host/host_priv.h"

static bool rests(const struct run *r) {
    bool over = r->ended || r->lost || r->starved || r->is_void || !r->engine;
    bool busy = r->is_ready || r->in_batch || r->happened.first || r->decided.first || r->ports;
    bool waits = r->status == EXEC_WAITING || r->status == EXEC_PAUSED;
    return !over && !busy && waits && !r->is_new && !r->untold && !r->parent &&
           engine_last_seq(r->engine) == r->last_seq && r->last_seq <= HOST_SLEEP_EVENTS;
}

void run_rest(struct run *r) {
    const struct host *h = r->host;
    uint32_t awake = h->options.awake_runs ? h->options.awake_runs : HOST_AWAKE_RUNS;
    if (h->live_runs < awake || !rests(r)) {
        return;
    }
    engine_free(r->engine);
    r->engine = NULL;
    r->asleep = true;
    engine_out_fini(&r->out);
    engine_out_init(&r->out);
    r->fixed = (struct store_new){0};
    r->folder = (struct str){0};
    arena_fini(&r->memory);
    arena_init_small(&r->memory, RUN_TEXT_BYTES);
}

enum err run_wake(struct run *r, struct error *e) {
    if (!r->asleep) {
        return OK;
    }
    struct store_range all = {r->num, 0, r->last_seq};
    enum err err = run_fold(&r->host->shelf, r->plan, all, &r->engine, e);
    if (err) {
        return err;
    }
    r->asleep = false;
    r->folder = engine_folder(r->engine);
    return text_keep(&r->memory, &r->folder) ? OK : error_nomem(e);
}

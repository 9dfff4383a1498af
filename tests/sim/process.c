/* One of the competing hosts: a process that comes to life, submits or takes over, turns, is
 * stopped for a while, and dies at any write of its store or between two turns.
 *
 * Its store is a handle of its own on the world's disk behind one that fails. What it is allowed to
 * give up, and why, is checked here.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_CLAIMS 2 /* one more without anything new, and quarantine is right */

const char *fault_name(enum fault f) {
    static const char *const names[] = {"no fault", "failure before", "failure after",
                                        "crash before", "crash after"};
    return names[f];
}

/* ---- the store's faults ---- */

/* Some execution would be quarantined if its owner ended now. */
static bool near_quarantine(const struct world *w) {
    for (const struct seen_execution *x = w->executions; x && !w->weather.poison; x = x->next) {
        if ((!x->final || w->may_return) && x->claims >= MOST_CLAIMS) {
            return true;
        }
    }
    return false;
}

static enum fault planned_fault(const struct world *w) {
    uint32_t at = w->weather.at_commit;
    bool now = w->commits == at || (w->weather.every && w->faults_left && w->commits % at == 0);
    return now && !(w->weather.every && near_quarantine(w)) ? w->weather.fault : FAULT_NONE;
}

static enum fault next_fault(struct process *p, enum store_write what) {
    struct world *w = p->world;
    if (w->weather.at_commit) {
        return what == STORE_WRITE_COMMIT ? planned_fault(w) : FAULT_NONE;
    }
    if (p->storm_left) {
        p->storm_left--;
        return rng_chance(&w->rng, 200) ? FAULT_FAIL_AFTER : FAULT_FAIL_BEFORE;
    }
    if (!w->faults_left || !rng_chance(&w->rng, w->weather.write_permille)) {
        return FAULT_NONE;
    }
    enum fault f = (enum fault)(1 + rng_below(&w->rng, FAULT_COUNT - 1));
    bool fails = f == FAULT_FAIL_BEFORE || f == FAULT_FAIL_AFTER;
    if (fails && p->failures_in_a_row >= HOST_COMMIT_TRIES - 2) {
        return FAULT_NONE; /* a host may give up a store that goes on failing */
    }
    return !fails && near_quarantine(w) ? FAULT_NONE : f;
}

static enum store_fault ask(void *ctx, enum store_write what) {
    struct process *p = ctx;
    struct world *w = p->world;
    if (p->dead) {
        return STORE_FAULT_BEFORE;
    }
    if (!p->host || what == STORE_WRITE_KINDS) {
        return STORE_FAULT_NONE;
    }
    w->commits += what == STORE_WRITE_COMMIT;
    if (what == STORE_WRITE_COMMIT && !p->performing) {
        world_others_act(p);
    }
    enum fault f = next_fault(p, what);
    if (f == FAULT_NONE) {
        p->failures_in_a_row = 0;
        return STORE_FAULT_NONE;
    }
    world_say(w, "%u: %s %u: %s", p->number,
              what == STORE_WRITE_COMMIT ? "commit" : "put after commit", w->commits,
              fault_name(f));
    w->faults_left -= w->faults_left > 0;
    p->failures_in_a_row++;
    p->failures++;
    p->dead = f == FAULT_CRASH_BEFORE || f == FAULT_CRASH_AFTER;
    return f == FAULT_FAIL_BEFORE || f == FAULT_CRASH_BEFORE ? STORE_FAULT_BEFORE
                                                             : STORE_FAULT_AFTER;
}

/* ---- what the host tells ---- */

/* Its place among those that live and those that are lost, or their number. */
static uint32_t place_of(const struct process *p, const struct run *r) {
    uint32_t i = 0;
    while (i < p->run_count + p->lost_count && p->runs[i] != r) {
        i++;
    }
    return i;
}

/* At the end of those that live. */
static void add_run(struct process *p, struct run *r) {
    uint32_t count = p->run_count + p->lost_count;
    if (count == p->run_cap) {
        p->run_cap = p->run_cap ? p->run_cap * 2 : 16;
        p->runs = realloc(p->runs, p->run_cap * sizeof(struct run *));
        ASSERT(p->runs);
    }
    p->runs[count] = p->runs[p->run_count];
    p->runs[p->run_count++] = r;
}

static void told_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct process *p = ctx;
    (void)ev;
    if (place_of(p, r) == p->run_count + p->lost_count) {
        add_run(p, r);
    }
}

static void lose_run(struct process *p, struct run *r) {
    uint32_t at = place_of(p, r);
    if (at == p->run_count + p->lost_count) {
        add_run(p, r);
        at = place_of(p, r);
    }
    p->runs[at] = p->runs[--p->run_count];
    p->runs[p->run_count] = r;
    p->lost_count++;
}

static const struct seen_execution *root_of(const struct seen_execution *x) {
    while (x && x->parent) {
        x = x->parent;
    }
    return x;
}

/* Something of the tree belongs to another: a tree is given up as a whole. */
static bool taken_by_others(const struct process *p, const struct seen_execution *x) {
    const struct seen_execution *root = root_of(x);
    for (const struct seen_execution *y = p->world->executions; y && root; y = y->next) {
        if (y->owner != p->serial && root_of(y) == root) {
            return true;
        }
    }
    return !x;
}

static bool may_lose(const struct process *p, const struct seen_execution *x, enum err why) {
    switch ((int)why) {
    case ERR_FENCED: return taken_by_others(p, x);
    case ERR_CONFLICT: return p->world->process_count > 1; /* a key, at the same moment */
    case ERR_STORE:
    case ERR_STORE_UNKNOWN: return p->failures >= HOST_COMMIT_TRIES;
    case ERR_CANCELLED: return true; /* its parent was lost, which was told, too */
    case ERR_QUARANTINED: return x && x->quarantined;
    default: return false;
    }
}

static void told_lost(void *ctx, struct run *r, const struct error *e) {
    struct process *p = ctx;
    lose_run(p, r);
    if (p->dead || p->submitting) {
        return;
    }
    mirror_sync(p->world);
    world_say(p->world, "%u: gives %.*s up: %s", p->number, STR_ARG(run_id(r)), e->message);
    if (!may_lose(p, mirror_find(p->world, run_id(r)), e->code)) {
        world_fail(p->world, "process %u gave %.*s up: %s", p->number, STR_ARG(run_id(r)),
                   e->message);
    }
}

/* ---- life ---- */

static enum err open_host(struct process *p, struct error *e) {
    struct world *w = p->world;
    struct store_faults faults = {ask, p};
    struct host_options o = {.loop = p->loop,
                             .kinds = recipe_kinds(w->recipe),
                             .slots = w->recipe->slots,
                             .awake_runs = w->recipe->slots % 3 == 0 ? 1 : 0,
                             .observer = {.ctx = p, .event = told_event, .lost = told_lost}};
    enum err err = w->weather.far ? store_memory_attach_far(w->disk, &p->handle, e)
                                  : store_memory_attach(w->disk, &p->handle, e);
    err = err ? err : store_faulty_open(p->handle, &faults, &p->faulty, e);
    o.store = p->faulty;
    return err ? err : host_open(&o, &p->host, e);
}

static void be_born(struct process *p) {
    struct world *w = p->world;
    struct error e;
    p->dead = false;
    memset(p->breakers, 0, sizeof p->breakers);
    p->ahead_us = w->now.us - w->mono_us;
    p->failures = 0;
    p->serial = ++w->serials;
    w->lives++;
    world_say(w, "%u: life %u", p->number, w->lives);
    if (open_host(p, &e)) {
        world_fail(w, "no host: %s", e.message);
    }
}

void process_die(struct process *p) {
    world_say(p->world, "%u: death", p->number);
    p->dead = true;
    io_timer_start(p->ender, 0); /* also for handlers that were told to stop before */
    host_close(p->host);
    io_timer_stop(p->ender);
    ASSERT(p->port_count == 0);
    p->host = NULL;
    p->run_count = p->lost_count = 0;
    p->busy = false;
    store_close(p->faulty);
    store_close(p->handle);
    p->faulty = p->handle = NULL;
    p->failures_in_a_row = p->storm_left = 0;
    p->stopped_us = 0;
    (void)world_pass(p->world, rng_below(&p->world->rng, 2000000));
}

void process_leave(struct process *p) {
    struct process *before = p->world->acting;
    struct error e;
    if (!host_at_rest(p->host)) {
        return;
    }
    p->world->acting = p;
    p->performing = false;
    p->entered = true;
    enum err err = host_release(p->host, &e);
    world_say(p->world, "%u: leaves%s%s", p->number, err ? ", but for " : "", err ? e.message : "");
    world_tally(p->world, TALLY_LEAVE, !err && p->run_count);
    p->entered = false;
    mirror_sync(p->world);
    p->world->acting = before;
}

void process_open(struct world *w, uint32_t number) {
    struct process *p = &w->processes[number - 1];
    struct error e;
    *p = (struct process){.world = w, .number = number};
    p->clock = world_clock(p);
    if (io_loop_open(&p->clock, &p->loop, &e)) {
        world_fail(w, "no loop: %s", e.message);
        return;
    }
    p->ender = io_timer_open(p->loop, handlers_end_all, p);
}

void process_close(struct process *p) {
    if (p->host) {
        process_die(p);
    }
    if (p->ender) {
        io_timer_close(p->ender);
    }
    io_loop_close(p->loop);
    free(p->ports);
    free(p->runs);
}

/* ---- work ---- */

bool process_runs(const struct process *p, const struct seen_execution *x) {
    for (uint32_t i = 0; i < p->run_count; i++) {
        if (str_is(run_id(p->runs[i]), x->id)) {
            return true;
        }
    }
    return false;
}

static struct seen_execution *keyed(const struct world *w, struct str key) {
    struct seen_execution *x = w->executions;
    while (x && !str_eq(x->key, key)) {
        x = x->next;
    }
    return x;
}

static bool is_owned(struct process *p, const struct seen_execution *x) {
    struct store_execution stored;
    struct arena a;
    struct error e;
    arena_init(&a, 0);
    bool owned = !store_execution_get(p->world->disk, x->num, STR(""), &a, &stored, &e) &&
                 stored.owner_alive;
    arena_fini(&a);
    return owned;
}

/* What may go wrong with taking over: it is tried again. */
static void check_refusal(struct process *p, const char *what, const struct error *e) {
    world_say(p->world, "%u: not %s: %s", p->number, what, e->message);
    bool fine = e->code == ERR_STORE || e->code == ERR_STORE_UNKNOWN || e->code == ERR_CONFLICT ||
                e->code == ERR_FENCED || e->code == ERR_QUARANTINED;
    if (!fine && !p->dead) {
        world_fail(p->world, "not %s: %s", what, e->message);
    }
}

static void submit(struct process *p, struct str key) {
    struct run *r;
    struct error e;
    struct host_submission s = {.plan = p->world->plan, .key = key, .folder = STR("/sim")};
    s.inputs = p->world->inputs;
    p->submitting = true;
    if (host_submit(p->host, &s, &r, &e)) {
        check_refusal(p, "submitted", &e);
    }
    p->submitting = false;
}

static void resume(struct process *p, const struct seen_execution *x) {
    struct run *r;
    struct error e;
    world_say(p->world, "%u: resume %s", p->number, x->id);
    p->submitting = true;
    if (host_resume(p->host, str_from(x->id), &r, &e)) {
        check_refusal(p, "resumed", &e);
    }
    p->submitting = false;
}

static bool wants(struct process *p, const struct seen_execution *x) {
    bool mine = x->owner == p->serial && process_runs(p, x);
    return !x->final && !mine && (!is_owned(p, x) || rng_chance(&p->world->rng, 100));
}

void process_seek(struct process *p) {
    struct world *w = p->world;
    p->performing = false;
    p->entered = true;
    for (uint32_t i = 0; i < w->root_count && !p->dead; i++) {
        char text[24];
        struct str key = {text, (size_t)snprintf(text, sizeof text, "the-key-%u", i + 1)};
        const struct seen_execution *x = keyed(w, key);
        if (!x || (wants(p, x) && rng_chance(&w->rng, 400))) {
            submit(p, key);
        } else if (wants(p, x)) {
            resume(p, x);
        }
        mirror_sync(w);
    }
    for (const struct seen_execution *x = w->executions; x && !p->dead; x = x->next) {
        if (x->parent && x->parent->final && wants(p, x)) {
            resume(p, x); /* an orphan */
            mirror_sync(w);
        }
    }
    p->entered = false;
}

static struct value other_inputs(struct world *w) {
    struct value_builder b;
    uint32_t x = 1 + rng_below(&w->rng, 60);
    w->given |= 1ull << x;
    value_builder_init(&b, &w->arena);
    value_map_add(&b, STR("x"), value_int(x));
    return value_map_done(&b);
}

bool process_retry(struct process *p) {
    struct host_retry how = {.by = STR("somebody")};
    struct world *w = p->world;
    struct run *r;
    struct error e;
    const struct seen_execution *x = w->executions;
    while (x && (x->parent || !x->final || (x->completed && !w->weather.mends) || x->quarantined)) {
        x = x->next;
    }
    if (!x) {
        return false;
    }
    how.plan = rng_chance(&w->rng, w->weather.mends ? 800 : 300) ? world_mend(w) : NULL;
    if (w->recipe->given && rng_chance(&w->rng, 400)) {
        how.inputs = other_inputs(w);
    }
    const struct plan *plan = how.plan ? how.plan : x->plan;
    if (x->completed) {
        uint32_t from = rng_below(&w->rng, plan->node_count);
        how.from = plan->nodes[plan_node_root(plan, from)].name;
        int64_t old = plan_node_find(x->plan, how.from);
        bool called = plan->nodes[plan_node_root(plan, from)].role != ROLE_NONE ||
                      (old >= 0 && x->plan->nodes[old].role != ROLE_NONE);
        how.from = called ? STR("") : how.from; /* then that is refused: nothing of it failed */
    }
    world_say(w, "%u: retry %s%s", p->number, x->id, how.plan ? " on another workflow" : "");
    w->acting = p;
    p->performing = false;
    p->submitting = p->entered = true;
    if (host_retry(p->host, str_from(x->id), &how, &r, &e)) {
        check_refusal(p, "retried", &e);
        world_tally(w, TALLY_RETRY_REFUSED, e.code == ERR_CONFLICT || e.code == ERR_FENCED);
    }
    p->submitting = p->entered = false;
    mirror_sync(w);
    if (p->dead) {
        process_die(p);
    }
    return true;
}

void process_rollback(struct process *p, const struct seen_execution *x, struct str target,
                      bool resume) {
    const struct host_rollback how = {.to = target, .by = STR("somebody"), .resume = resume};
    struct world *w = p->world;
    struct run *r;
    struct error e;
    w->acting = p;
    p->performing = false;
    p->submitting = p->entered = true;
    enum err err = host_rollback(p->host, str_from(x->id), &how, &r, &e);
    if (err == ERR_INVALID || err == ERR_NOT_FOUND) {
        world_say(w, "%u: %s", p->number, e.message);
        world_tally(w, TALLY_ROLLBACK_REFUSED, true);
    } else if (err) {
        check_refusal(p, "rolled back", &e);
    }
    p->submitting = p->entered = false;
    mirror_sync(w);
    if (p->dead) {
        process_die(p);
    }
}

static void turn(struct process *p) {
    struct error e;
    p->performing = false;
    p->entered = true;
    if (host_turn(p->host, false, &p->busy, &e)) {
        world_fail(p->world, "turn: %s", e.message);
    }
    p->entered = false;
    mirror_sync(p->world);
}

void process_step(struct process *p) {
    struct world *w = p->world;
    struct process *before = w->acting;
    w->acting = p;
    if (!p->host) {
        be_born(p);
        process_seek(p);
    }
    if (!p->dead && !w->failed) {
        turn(p);
    }
    if (p->dead) {
        process_die(p);
    } else if (!w->failed) {
        mirror_check_live(p);
    }
    w->acting = before;
}

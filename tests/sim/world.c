/* The world: what hosts live in. It owns the clock and the disk, and picks what happens next: which
 * process goes on, which handler ends, when time passes and who interferes.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_US 1700000000000000
#define MOST_STEPS 12000
#define FAULTY_STEPS 1500 /* afterwards nothing goes wrong any more: all must come to an end */
#define MOST_IDLE 400
#define MOST_FAULTS 25
#define MOST_LIVES 60
#define HOUR_US INT64_C(3600000000)
#define LOOK_NS 200000

static struct world *current;

struct world *world_now(void) {
    return current;
}

void world_fail(struct world *w, const char *fmt, ...) {
    va_list ap;
    if (w->failed) {
        return;
    }
    w->failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(w->why, sizeof w->why, fmt, ap);
    va_end(ap);
    world_say(w, "VIOLATION: %s", w->why);
}

void world_say(struct world *w, const char *fmt, ...) {
    va_list ap;
    if (!w->trace) {
        return;
    }
    printf("%10.6f ", (double)(w->now.us - FIRST_US) / 1e6);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

/* ---- clock and randomness ---- */

static wall_us read_wall(void *ctx) { return ((struct world *)ctx)->now; }

/* No handler that does not hang is out of time. A look moves only the clock that never jumps, and
 * the jump that a host finds next counts as time of its own what it has looked until then. */
static bool in_time(const struct world *w) {
    int64_t looks_us = w->jumped ? w->mono_extra_ns / 1000 : 0;
    for (uint32_t i = 0; i < w->process_count; i++) {
        const struct process *p = &w->processes[i];
        for (uint32_t k = 0; k < p->port_count; k++) {
            const struct open_port *o = &p->ports[k];
            int64_t timeout_us = o->step->node->timeout_us;
            bool may_end = timeout_us && !o->hangs && !o->cancelled;
            if (may_end && process_time(p) + looks_us >= o->started_us + timeout_us) {
                return false;
            }
        }
    }
    return true;
}

/* Every look costs a little, so that turns end by time too; not what would cut a handler off. */
static mono_ns read_mono(void *ctx) {
    struct world *w = ctx;
    w->mono_extra_ns += LOOK_NS;
    if (w->jumped && !in_time(w)) {
        w->mono_extra_ns -= LOOK_NS;
    }
    return (mono_ns){w->mono_us * 1000 + w->mono_extra_ns};
}

static void read_random(void *ctx, void *out, size_t size_bytes) {
    struct world *w = ctx;
    for (size_t i = 0; i < size_bytes; i++) {
        ((uint8_t *)out)[i] = (uint8_t)rng_next(&w->rng);
    }
}

/* What a process's host looks at: it goes by the latest time that it has seen. */
static wall_us look_wall(void *ctx) {
    struct process *p = ctx;
    p->ahead_us = process_time(p) - p->world->mono_us;
    return read_wall(p->world);
}

static mono_ns look_mono(void *ctx) { return read_mono(((struct process *)ctx)->world); }

static void look_random(void *ctx, void *out, size_t size_bytes) {
    read_random(((struct process *)ctx)->world, out, size_bytes);
}

struct io_clock world_clock(struct process *p) {
    return (struct io_clock){p, look_wall, look_mono, look_random};
}

/* Moves the clocks, but not so far that a handler would be cut off. */
static bool move_clocks(struct world *w, int64_t wall, int64_t mono) {
    w->now.us += wall;
    w->mono_us += mono;
    if (in_time(w)) {
        return true;
    }
    w->now.us -= wall;
    w->mono_us -= mono;
    return false;
}

bool world_pass(struct world *w, int64_t us) { return move_clocks(w, us, us); }

/* The clock that people see is set; the other one goes on as it was. */
static void set_clock(struct world *w, int64_t by_us) {
    bool jumped = w->jumped;
    w->jumped = true;
    if (w->now.us + by_us < FIRST_US - 30 * HOUR_US || !move_clocks(w, by_us, 0)) {
        w->jumped = jumped;
        return;
    }
    world_say(w, "the clock is set by %lld s", (long long)(by_us / 1000000));
}

/* ---- who goes on ---- */

static struct process *pick_process(struct world *w, const struct process * not ) {
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < w->process_count; i++) {
        const struct process *p = &w->processes[i];
        fitting += !p->entered && !process_stopped(p) && p != not ;
    }
    uint32_t skip = fitting > 1 ? rng_below(&w->rng, fitting) : 0;
    for (uint32_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        if (!p->entered && !process_stopped(p) && p != not &&!skip--) {
            return p;
        }
    }
    return NULL;
}

static void wake_all(struct world *w) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        w->processes[i].stopped_us = 0;
    }
}

/* Both of two that come at the same instant read before either writes: the others go on while p
 * waits for the disk. A slow one lets time go on, too. */
void world_others_act(struct process *p) {
    struct world *w = p->world;
    bool slow = rng_chance(&w->rng, w->weather.slow_permille) &&
                world_pass(w, rng_below(&w->rng, 50000000));
    bool meets = w->process_count > 1 && (slow || rng_chance(&w->rng, w->weather.meet_permille));
    if (slow) {
        world_say(w, "%u: the store is slow", p->number);
    }
    if (!meets) {
        return;
    }
    mirror_sync(w);
    for (uint32_t n = 1 + rng_below(&w->rng, 3); n > 0 && !w->failed; n--) {
        struct process *other = pick_process(w, p);
        if (!other) {
            return;
        }
        world_say(w, "%u: meanwhile", other->number);
        if (w->weather.crowd && rng_chance(&w->rng, 300)) {
            (void)people_act(w);
        }
        struct process *before = w->acting;
        w->acting = other;
        if (other->host && w->weather.crowd && w->weather.retries && rng_chance(&w->rng, 300)) {
            w->weather.retries -= process_retry(other);
        } else if (other->host && rng_chance(&w->rng, 500)) {
            process_seek(other);
        }
        w->acting = before;
        process_step(other);
    }
}

/* ---- what happens next ---- */

static bool end_one(struct world *w, bool cancelled) {
    uint32_t from = w->process_count > 1 ? rng_below(&w->rng, w->process_count) : 0;
    for (uint32_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[(from + i) % w->process_count];
        if (p->host && !process_stopped(p) && handlers_end_one(p, cancelled)) {
            return true;
        }
    }
    return false;
}

static bool jump(struct world *w) {
    wall_us due, first = {INT64_MAX};
    for (uint32_t i = 0; i < w->process_count; i++) {
        const struct process *p = &w->processes[i];
        if (p->host && !process_stopped(p) && host_next_due(p->host, &due) && due.us < first.us) {
            first = due;
        }
    }
    if (first.us == INT64_MAX) {
        return false;
    }
    if (first.us > w->now.us) {
        if (!world_pass(w, first.us - w->now.us)) {
            return false;
        }
        world_say(w, "time is due");
    }
    return true;
}

static void cancel_root(struct world *w) {
    struct error e;
    if (rng_chance(&w->rng, 700)) {
        w->cancelled_by_us = people_cancel(w) || w->cancelled_by_us;
        return;
    }
    for (uint32_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        for (uint32_t k = 0; k < p->run_count && p->host && !process_stopped(p); k++) {
            if (run_is_child(p->runs[k])) {
                continue;
            }
            w->cancelled_by_us = true;
            world_say(w, "somebody cancels");
            if (host_cancel(p->host, p->runs[k], STR("somebody"), &e)) {
                world_fail(w, "not cancelled: %s", e.message);
            }
            return;
        }
    }
}

/* Past a lease, or not. */
static void stop_one(struct world *w) {
    struct process *p = pick_process(w, NULL);
    if (p && p->host) {
        p->stopped_us = w->mono_us + 1 + rng_below(&w->rng, 80000000);
        world_say(w, "%u: is stopped for %lld s", p->number,
                  (long long)((p->stopped_us - w->mono_us) / 1000000));
    }
}

static void kill_one(struct world *w) {
    struct process *p = &w->processes[rng_below(&w->rng, w->process_count)];
    if (p->host && w->weather.crowd && !process_stopped(p) && rng_chance(&w->rng, 500)) {
        process_leave(p);
    }
    if (p->host) {
        process_die(p);
    }
    if (w->weather.cancel_permille && !w->cancelled_by_us && rng_chance(&w->rng, 200)) {
        cancel_root(w); /* before anybody takes over */
    }
}

static void break_one(struct world *w) {
    struct process *p = pick_process(w, NULL);
    if (p && p->host && w->faults_left) {
        p->storm_left = 4 + rng_below(&w->rng, 12);
        w->faults_left -= 1;
        world_say(w, "%u: its store fails for a while", p->number);
    }
}

/* What goes wrong between two turns. */
static void interfere(struct world *w) {
    struct rng *r = &w->rng;
    const struct weather *k = &w->weather;
    if (rng_chance(r, k->jump_permille)) {
        set_clock(w, -(int64_t)rng_below(r, 5000000));
    }
    if (rng_chance(r, k->leap_permille)) {
        set_clock(w, rng_chance(r, 500) ? HOUR_US : -HOUR_US);
    }
    if (rng_chance(r, k->stop_permille)) {
        stop_one(w);
    }
    if (rng_chance(r, k->storm_permille)) {
        break_one(w);
    }
}

static void seek_one(struct world *w) {
    struct process *p = pick_process(w, NULL);
    if (p && p->host) {
        w->acting = p;
        process_seek(p);
        if (p->dead) {
            process_die(p);
        }
    }
}

/* Nothing goes on by itself: time passes, the stopped go on, somebody takes over, people help. */
static void nudge(struct world *w) {
    w->idle++;
    if (jump(w)) {
        return;
    }
    if (w->process_count > 1) {
        (void)world_pass(w, w->weather.far ? STORE_LEASE_US / 2 : 1000000);
        if (rng_chance(&w->rng, 300)) {
            wake_all(w);
        }
    }
    if (!people_help(w) || rng_chance(&w->rng, 100)) {
        seek_one(w);
    }
}

/* Somebody wants what has ended to go on. */
static bool retry_one(struct world *w) {
    struct process *p = w->weather.retries ? pick_process(w, NULL) : NULL;
    bool retried = p && p->host && process_retry(p);
    w->weather.retries -= retried && w->weather.retries;
    return retried;
}

static void act(struct world *w) {
    struct rng *r = &w->rng;
    bool calm = w->weather.calm;
    (void)world_pass(w, rng_below(r, 3000));
    interfere(w);
    if (w->lives < MOST_LIVES && rng_chance(r, w->weather.crash_permille)) {
        kill_one(w);
    } else if (!w->cancelled_by_us && rng_chance(r, w->weather.cancel_permille)) {
        cancel_root(w);
    } else if (rng_chance(r, w->weather.people_permille) && people_act(w)) {
        w->idle = 0;
    } else if (w->weather.retries && rng_chance(r, 100) && retry_one(w)) {
        w->idle = 0;
    } else if (!calm && w->weather.rollbacks && rng_chance(r, 60) && rollback_one(w)) {
        w->idle = 0;
    } else if (w->process_count > 1 && rng_chance(r, 100)) {
        seek_one(w);
    } else if (!calm && rng_chance(r, 300) && end_one(w, true)) {
        w->idle = 0;
    } else if (!calm && rng_chance(r, 150) && jump(w)) {
        w->idle++;
    } else if (end_one(w, false)) {
        w->idle = 0;
        while (!calm && rng_chance(r, 300) && end_one(w, false)) {}
    } else if (end_one(w, true)) {
        w->idle = 0;
    } else {
        nudge(w);
    }
}

static bool is_over(const struct world *w) {
    uint32_t roots = 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        if (!x->final) {
            return false;
        }
        roots += !x->parent;
    }
    for (uint32_t i = 0; i < w->process_count; i++) {
        if (w->processes[i].busy) {
            return false;
        }
    }
    return roots == w->root_count;
}

/* From now on nothing goes wrong. */
static void faults_off(struct world *w) {
    struct weather *k = &w->weather;
    w->faults_left = 0;
    k->crash_permille = k->cancel_permille = k->people_permille = k->jump_permille = 0;
    k->leap_permille = k->stop_permille = k->slow_permille = k->meet_permille = 0;
    k->storm_permille = 0;
    wake_all(w);
    world_say(w, "from now on nothing goes wrong");
}

static bool step(struct world *w) {
    struct process *p = pick_process(w, NULL);
    if (w->steps == FAULTY_STEPS) {
        faults_off(w);
    }
    if (p) {
        process_step(p);
    }
    if (w->failed || (is_over(w) && !retry_one(w) && !rollback_one(w))) {
        return false;
    }
    act(w);
    return !w->failed;
}

/* ---- a whole run ---- */

static enum err read_document(void *ctx, struct str path, struct arena *a, struct str *out,
                              struct error *e) {
    const struct world *w = ctx;
    if (w->recipe->example.len) {
        return example_read(path, a, out, e);
    }
    if (!str_is(path, "sim.json")) {
        return error_set(e, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
    }
    *out = w->mended_document.len ? w->mended_document : w->recipe->document;
    return OK;
}

static void compile(struct world *w) {
    const struct recipe *r = w->recipe;
    struct flow_source source = {.entry = r->example.len ? r->entry : STR("sim.json"),
                                 .loader = {w, read_document},
                                 .kinds = recipe_kinds(w->recipe)};
    struct diag d;
    struct error e = {0};
    diag_init(&d, &w->arena);
    enum err err = flow_compile(&source, &w->plan, &d, &e);
    if (!err) {
        err = r->example.len ? example_inputs(r, w->plan, &w->arena, &w->inputs, &d)
                             : flow_inputs(w->plan, NULL, 0, &w->arena, &w->inputs, &d);
    }
    if (err) {
        struct buf b;
        buf_init(&b, 0);
        diag_print(&d, &b);
        world_fail(w, "does not compile: %s %.*s", e.message, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
}

const struct plan *world_mend(struct world *w) {
    struct flow_source source = {
        .entry = STR("sim.json"), .loader = {w, read_document}, .kinds = recipe_kinds(w->recipe)};
    struct diag d;
    struct error e = {0};
    if (w->recipe->example.len || !w->recipe->seed || w->mended_count == MOST_MENDED) {
        return NULL;
    }
    uint32_t from = 1 + rng_below(&w->rng, 2 * w->plan->node_count);
    w->mended_document = recipe_mend(w->recipe->seed, from, rng_next(&w->rng), &w->arena);
    diag_init(&d, &w->arena);
    if (flow_compile(&source, &w->mended[w->mended_count], &d, &e)) {
        world_fail(w, "the mended workflow does not compile: %s", e.message);
        return NULL;
    }
    w->mended_document = STR("");
    w->heard = w->heard || signals_are_heard(w->mended[w->mended_count]);
    return w->mended[w->mended_count++];
}

static void open_world(struct world *w) {
    struct error e;
    w->clock = (struct io_clock){w, read_wall, read_mono, read_random};
    w->process_count = w->weather.processes ? w->weather.processes : 1;
    w->may_retry = w->weather.retries > 0;
    w->may_return = w->may_retry || w->weather.rollbacks;
    w->root_count = w->weather.roots ? w->weather.roots : 1;
    if (store_open("memory:", true, &w->clock, &w->disk, &e)) {
        world_fail(w, "no world: %s", e.message);
        return;
    }
    for (uint32_t i = 1; i <= w->process_count; i++) {
        process_open(w, i);
    }
    compile(w);
    w->heard = !w->failed && signals_are_heard(w->plan);
}

static void close_world(struct world *w) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        process_close(&w->processes[i]);
    }
    plan_free(w->plan);
    for (uint32_t i = 0; i < w->mended_count; i++) {
        plan_free(w->mended[i]);
    }
    store_close(w->disk);
    arena_fini(&w->arena);
}

static void check_ends(struct world *w) {
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        if (!x->final) {
            world_fail(w, "%s has not ended", x->id);
        }
    }
}

/* What the first root came to; the others must have come to the same. */
static void tell_outcome(struct world *w, struct buf *out) {
    struct error e;
    for (const struct seen_execution *x = w->executions; x && !w->failed; x = x->next) {
        struct buf text;
        if (x->parent) {
            continue;
        }
        buf_init(&text, 0);
        if (outcome_print(w, x, &text, &e)) {
            world_fail(w, "no outcome: %s", e.message);
        } else if (!out->len) {
            buf_append(out, buf_str(&text));
        } else if (!str_eq(buf_str(out), buf_str(&text)) && !w->cancelled_by_us &&
                   !w->quarantined && !w->retried && !w->recipe->differs) {
            world_fail(w, "%s comes to something else than the first:\n%.*s", x->id,
                       STR_ARG(buf_str(&text)));
        }
        buf_fini(&text);
    }
}

void world_run(const struct recipe *r, const struct weather *weather, bool trace, struct arena *a,
               struct verdict *out) {
    struct world w = {.recipe = r,
                      .weather = *weather,
                      .trace = trace,
                      .rng = {weather->seed},
                      .now = {FIRST_US},
                      .mono_us = FIRST_US,
                      .faults_left = MOST_FAULTS};
    struct buf text;
    current = &w;
    arena_init(&w.arena, 0);
    buf_init(&text, 0);
    open_world(&w);
    while (!w.failed && step(&w)) {
        if (++w.steps > MOST_STEPS || w.idle > MOST_IDLE) {
            world_fail(&w, "stuck: nothing happens any more");
        }
    }
    if (!w.failed) {
        check_ends(&w);
        people_check(&w);
        mirror_check_rows(&w);
        tell_outcome(&w, &text);
    }
    *out = (struct verdict){.ok = !w.failed,
                            .outcome = arena_str(a, buf_str(&text)),
                            .quarantined = w.quarantined,
                            .retried = w.retried,
                            .commits = w.commits,
                            .lives = w.lives};
    memcpy(out->why, w.why, sizeof out->why);
    memcpy(out->tally, w.tally, sizeof out->tally);
    buf_fini(&text);
    close_world(&w);
    current = NULL;
}

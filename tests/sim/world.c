/* The world: what a host lives in. It owns the clock, the disk, the handlers and the process that
 * dies and comes back, and picks what happens next.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_US 1700000000000000
#define MOST_STEPS 20000
#define MOST_IDLE 300
#define MOST_FAULTS 25
#define MOST_LIVES 60

static struct world *current;

struct world *world_now(void) {
    return current;
}

const char *fault_name(enum fault f) {
    static const char *const names[] = {"no fault", "failure before", "failure after",
                                        "crash before", "crash after"};
    return names[f];
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

/* Every look costs a little, so that turns end by time too. */
static mono_ns read_mono(void *ctx) {
    struct world *w = ctx;
    w->mono_extra_ns += 200000;
    return (mono_ns){w->now.us * 1000 + w->mono_extra_ns};
}

static void read_random(void *ctx, void *out, size_t size_bytes) {
    struct world *w = ctx;
    for (size_t i = 0; i < size_bytes; i++) {
        ((uint8_t *)out)[i] = (uint8_t)rng_next(&w->rng);
    }
}

/* ---- the store's faults ---- */

static enum fault next_fault(struct world *w, enum store_write what) {
    const struct weather *weather = &w->weather;
    if (weather->at_commit) {
        return what == STORE_WRITE_COMMIT && w->commits == weather->at_commit ? weather->fault
                                                                              : FAULT_NONE;
    }
    if (!w->faults_left || !rng_chance(&w->rng, weather->write_permille)) {
        return FAULT_NONE;
    }
    enum fault f = (enum fault)(1 + rng_below(&w->rng, FAULT_COUNT - 1));
    bool fails = f == FAULT_FAIL_BEFORE || f == FAULT_FAIL_AFTER;
    if (fails && w->failures_in_a_row >= HOST_COMMIT_TRIES - 2) {
        return FAULT_NONE; /* a host may give up a store that goes on failing */
    }
    return f;
}

static enum store_fault ask(void *ctx, enum store_write what) {
    struct world *w = ctx;
    if (w->dead) {
        return STORE_FAULT_BEFORE;
    }
    if (what == STORE_WRITE_HOST || what == STORE_WRITE_KINDS) {
        return STORE_FAULT_NONE;
    }
    w->commits += what == STORE_WRITE_COMMIT;
    enum fault f = next_fault(w, what);
    if (f == FAULT_NONE) {
        w->failures_in_a_row = 0;
        return STORE_FAULT_NONE;
    }
    world_say(w, "%s %u: %s", what == STORE_WRITE_COMMIT ? "commit" : "put after commit",
              w->commits, fault_name(f));
    w->faults_left -= w->faults_left > 0;
    w->failures_in_a_row++;
    w->dead = f == FAULT_CRASH_BEFORE || f == FAULT_CRASH_AFTER;
    return f == FAULT_FAIL_BEFORE || f == FAULT_CRASH_BEFORE ? STORE_FAULT_BEFORE
                                                             : STORE_FAULT_AFTER;
}

/* ---- handlers ---- */

static uint64_t hash_inputs(const struct step_in *in) {
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < in->node->kind->field_count; i++) {
        value_print_canonical(in->fields[i], &b);
    }
    value_print_canonical(in->ins, &b);
    value_print_canonical(in->scope, &b);
    value_print_canonical(in->item, &b);
    buf_append(&b, in->key);
    uint64_t hash = hash_bytes(buf_str(&b), 0);
    buf_fini(&b);
    return hash ? hash : 1;
}

static void check_start(struct world *w, const struct step_in *in, struct seen_execution *x,
                        struct seen_step *s) {
    char key[STEP_ID_BYTES + IO_ID_BYTES];
    snprintf(key, sizeof key, "%s/%.*s", x->id, STR_ARG(s->id));
    if (s->over) {
        world_fail(w, "%.*s is performed again after it ended", STR_ARG(s->id));
    }
    if (!s->running || s->attempt != in->attempt) {
        world_fail(w, "attempt %u of %.*s is performed, but not recorded as scheduled", in->attempt,
                   STR_ARG(s->id));
    }
    if (!str_is(in->key, key)) {
        world_fail(w, "the key of %.*s is %.*s", STR_ARG(s->id), STR_ARG(in->key));
    }
    if (++s->starts > 1 && s->node->delivery == DELIVERY_AT_MOST_ONCE) {
        world_fail(w, "%.*s is performed twice, it is at_most_once", STR_ARG(s->id));
    }
    uint64_t hash = hash_inputs(in);
    if (s->inputs_hash && s->inputs_hash != hash) {
        world_fail(w, "attempt %u of %.*s got other inputs than the one before", in->attempt,
                   STR_ARG(s->id));
    }
    s->inputs_hash = hash;
    uint32_t slots = 0;
    for (uint32_t i = 0; i < w->port_count; i++) {
        const struct open_port *o = &w->ports[i];
        slots += !(o->step->node->kind->flags & KIND_NO_SLOT);
        if (o->step == s) {
            world_fail(w, "two attempts of %.*s are performed at once", STR_ARG(s->id));
        }
    }
    if (w->recipe->slots && slots >= w->recipe->slots && !(s->node->kind->flags & KIND_NO_SLOT)) {
        world_fail(w, "more than %u effects at once", w->recipe->slots);
    }
}

void world_started(struct world *w, struct step_port *port) {
    const struct step_in *in = port->in;
    if (!w->dead) {
        mirror_sync(w);
    }
    struct seen_execution *x = mirror_find(w, in->execution);
    if (!x) {
        world_fail(w, "a step of %.*s is performed, which is not recorded", STR_ARG(in->execution));
        x = w->executions;
    }
    struct seen_step *s = mirror_step(w, x, in->step);
    world_say(w, "start %.*s attempt %u", STR_ARG(in->step), in->attempt);
    if (!w->dead) {
        check_start(w, in, x, s);
    }
    if (in->node->child) {
        return; /* its end is that of the child */
    }
    if (w->port_count == w->port_cap) {
        w->port_cap = w->port_cap ? w->port_cap * 2 : 16;
        w->ports = realloc(w->ports, w->port_cap * sizeof *w->ports);
        ASSERT(w->ports);
    }
    enum fate fate = fate_of(w->recipe, in->node, in->step, in->attempt);
    s->started_attempt = in->attempt;
    s->started_us = w->now.us;
    w->ports[w->port_count++] = (struct open_port){.port = port,
                                                   .execution = x,
                                                   .step = s,
                                                   .attempt = in->attempt,
                                                   .hangs = fate == FATE_HANG};
}

void world_cancelled(struct world *w, struct step_port *port) {
    for (uint32_t i = 0; i < w->port_count; i++) {
        if (w->ports[i].port == port) {
            w->ports[i].cancelled = true;
            world_say(w, "stop %.*s", STR_ARG(port->in->step));
        }
    }
}

static struct open_port take_port(struct world *w, uint32_t i) {
    struct open_port o = w->ports[i];
    memmove(&w->ports[i], &w->ports[i + 1], (--w->port_count - i) * sizeof o);
    return o;
}

static void fail_port(const struct open_port *o, enum failure_class class) {
    struct step_failure f = {.class = class,
                             .type = class == FAILURE_TRANSIENT ? STR("flaky") : STR("broken"),
                             .message = STR("as the seed says")};
    o->port->ops->fail(o->port, &f);
}

static void talk(struct world *w, const struct open_port *o) {
    struct value_builder b;
    struct arena a;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    value_map_add(&b, STR("role"), value_text(STR("user")));
    value_map_add(&b, STR("content"), value_text(o->step->id));
    struct value said = value_map_done(&b);
    struct value known;
    uint32_t call = o->port->ops->call_begin(o->port, said, &known);
    if (value_is_null(known) && rng_chance(&w->rng, 700)) {
        o->port->ops->call_done(o->port, call, said);
    }
    o->port->ops->log(o->port, "note", STR("talking"));
    arena_fini(&a);
}

static void end_port(struct world *w, uint32_t i) {
    struct open_port o = take_port(w, i);
    const struct plan_node *n = o.step->node;
    enum fate fate = fate_of(w->recipe, n, o.step->id, o.attempt);
    struct arena a;
    world_say(w, "end %.*s attempt %u%s", STR_ARG(o.step->id), o.attempt,
              o.cancelled ? ", cancelled" : "");
    if (fate == FATE_FAIL || fate == FATE_BREAK || fate == FATE_HANG) {
        fail_port(&o, fate == FATE_BREAK ? FAILURE_PERMANENT : FAILURE_TRANSIENT);
        return;
    }
    arena_init(&a, 0);
    struct value_builder meta;
    value_builder_init(&meta, &a);
    value_map_add(&meta, STR("tokens"), value_int(3));
    struct step_result r = {.handle = handle_of(w->recipe, n, o.step->id),
                            .body = body_of(w->recipe, n, o.step->id, &a),
                            .meta = value_map_done(&meta)};
    o.port->ops->done(o.port, &r);
    arena_fini(&a);
}

/* Handlers of a dead process: nothing hears them. */
static void end_all(void *ctx) {
    struct world *w = ctx;
    while (w->port_count) {
        struct open_port o = take_port(w, w->port_count - 1);
        fail_port(&o, FAILURE_PERMANENT);
    }
}

/* ---- the process ---- */

static void told_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct world *w = ctx;
    (void)ev;
    for (uint32_t i = 0; i < w->run_count; i++) {
        if (w->runs[i] == r) {
            return;
        }
    }
    if (w->run_count == w->run_cap) {
        w->run_cap = w->run_cap ? w->run_cap * 2 : 16;
        w->runs = realloc(w->runs, w->run_cap * sizeof(struct run *));
        ASSERT(w->runs);
    }
    w->runs[w->run_count++] = r;
}

static void told_lost(void *ctx, struct run *r, const struct error *e) {
    struct world *w = ctx;
    if (!w->dead && !w->submitting) {
        world_fail(w, "the host gave %.*s up: %s", STR_ARG(run_id(r)), e->message);
    }
}

static enum err open_host(struct world *w, struct error *e) {
    struct store_faults faults = {ask, w};
    struct host_options o = {.loop = w->loop,
                             .kinds = sim_kinds,
                             .slots = w->recipe->slots,
                             .observer = {.ctx = w, .event = told_event, .lost = told_lost}};
    enum err err = store_memory_attach(w->disk, &w->handle, e);
    err = err ? err : store_faulty_open(w->handle, &faults, &w->faulty, e);
    o.store = w->faulty;
    return err ? err : host_open(&o, &w->host, e);
}

/* A new process begins the execution, or goes on with it in one of two ways. */
static void be_born(struct world *w) {
    struct error e;
    struct host_submission s = {.plan = w->plan, .key = STR("the-key"), .folder = STR("/sim")};
    s.inputs = value_list(NULL, 0);
    s.inputs.type = VALUE_MAP;
    enum err err = OK;
    if (!w->host) {
        w->dead = false;
        w->lives++;
        world_say(w, "life %u", w->lives);
        err = open_host(w, &e);
    }
    if (err) {
        world_fail(w, "no host: %s", e.message);
        return;
    }
    bool resume = w->executions && rng_chance(&w->rng, 600);
    if (resume && w->executions->final) {
        return;
    }
    w->submitting = true;
    err = resume ? host_resume(w->host, str_from(w->executions->id), &w->root, &e)
                 : host_submit(w->host, &s, &w->root, &e);
    w->submitting = false;
    if (err == ERR_STORE || err == ERR_STORE_UNKNOWN) {
        w->root = NULL; /* tried again */
    } else if (err) {
        world_fail(w, "%s: %s", resume ? "not resumed" : "not submitted", e.message);
    }
}

static void die(struct world *w) {
    world_say(w, "death");
    w->dead = true;
    io_timer_start(w->ender, 0); /* also for handlers that were told to stop before */
    host_close(w->host);
    io_timer_stop(w->ender);
    ASSERT(w->port_count == 0);
    w->host = NULL;
    w->root = NULL;
    w->run_count = 0;
    store_close(w->faulty);
    store_close(w->handle);
    w->faulty = w->handle = NULL;
    w->failures_in_a_row = 0;
    w->now.us += rng_below(&w->rng, 2000000);
}

/* ---- what happens next ---- */

static int64_t pick_port(struct world *w, bool cancelled) {
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < w->port_count; i++) {
        fitting += w->ports[i].cancelled == cancelled && (cancelled || !w->ports[i].hangs);
    }
    uint32_t skip = fitting && !w->weather.calm ? rng_below(&w->rng, fitting) : 0;
    for (uint32_t i = 0; fitting && i < w->port_count; i++) {
        if (w->ports[i].cancelled == cancelled && (cancelled || !w->ports[i].hangs) && !skip--) {
            return i;
        }
    }
    return -1;
}

static bool end_one(struct world *w, bool cancelled) {
    int64_t i = pick_port(w, cancelled);
    if (i < 0) {
        return false;
    }
    if (!cancelled && !w->weather.calm && rng_chance(&w->rng, 100)) {
        talk(w, &w->ports[i]);
        return true;
    }
    end_port(w, (uint32_t)i);
    return true;
}

static bool jump(struct world *w) {
    wall_us due;
    if (!host_next_due(w->host, &due) || due.us > mirror_time_limit(w)) {
        return false;
    }
    if (due.us > w->now.us) {
        w->now = due;
        world_say(w, "time is due");
    }
    return true;
}

static void pass_time(struct world *w) {
    int64_t to = w->now.us + rng_below(&w->rng, 3000);
    if (to <= mirror_time_limit(w)) {
        w->now.us = to;
    }
}

static void cancel_root(struct world *w) {
    struct error e;
    w->cancelled_by_us = true;
    world_say(w, "somebody cancels");
    if (w->root && host_cancel(w->host, w->root, STR("somebody"), &e)) {
        world_fail(w, "not cancelled: %s", e.message);
    }
}

static void act(struct world *w) {
    struct rng *r = &w->rng;
    bool calm = w->weather.calm;
    pass_time(w);
    if (rng_chance(r, w->weather.jump_permille)) {
        w->now.us -= rng_below(r, 5000000);
        world_say(w, "the clock goes back");
    }
    if (w->lives < MOST_LIVES && rng_chance(r, w->weather.crash_permille)) {
        die(w);
    } else if (!w->cancelled_by_us && rng_chance(r, w->weather.cancel_permille)) {
        cancel_root(w);
    } else if (rng_chance(r, w->weather.people_permille) && people_act(w)) {
        w->idle = 0;
    } else if (!calm && rng_chance(r, 300) && end_one(w, true)) {
        w->idle = 0;
    } else if (!calm && rng_chance(r, 150) && jump(w)) {
        w->idle++;
    } else if (end_one(w, false)) {
        w->idle = 0;
        while (!calm && rng_chance(r, 300) && end_one(w, false)) {}
    } else if (end_one(w, true)) {
        w->idle = 0;
    } else if (jump(w)) {
        w->idle++;
    } else {
        (void)people_help(w);
        w->idle++;
    }
}

static bool is_over(struct world *w, bool busy) {
    return w->executions && w->executions->final && !busy;
}

static bool step(struct world *w) {
    bool busy = true;
    struct error e;
    if (!w->root) {
        be_born(w);
        if (w->dead) {
            die(w);
            return true;
        }
    }
    if (!w->host || w->failed) {
        return !w->failed;
    }
    if (host_turn(w->host, false, &busy, &e)) {
        world_fail(w, "turn: %s", e.message);
        return false;
    }
    mirror_sync(w);
    if (w->dead) {
        die(w);
        return true;
    }
    mirror_check_live(w);
    if (w->failed || is_over(w, busy)) {
        return false;
    }
    act(w);
    return true;
}

/* ---- a whole run ---- */

static enum err read_document(void *ctx, struct str path, struct arena *a, struct str *out,
                              struct error *e) {
    const struct world *w = ctx;
    (void)a;
    if (!str_is(path, "sim.json")) {
        return error_set(e, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
    }
    *out = w->recipe->document;
    return OK;
}

static void compile(struct world *w) {
    struct flow_source source = {
        .entry = STR("sim.json"), .loader = {w, read_document}, .kinds = sim_kinds};
    struct diag d;
    struct error e = {0};
    diag_init(&d, &w->arena);
    if (flow_compile(&source, &w->plan, &d, &e)) {
        struct buf b;
        buf_init(&b, 0);
        diag_print(&d, &b);
        world_fail(w, "does not compile: %s %.*s", e.message, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
}

static void open_world(struct world *w) {
    struct error e;
    w->clock = (struct io_clock){w, read_wall, read_mono, read_random};
    if (io_loop_open(&w->clock, &w->loop, &e) ||
        store_open("memory:", true, &w->clock, &w->disk, &e)) {
        world_fail(w, "no world: %s", e.message);
        return;
    }
    w->ender = io_timer_open(w->loop, end_all, w);
    compile(w);
}

static void close_world(struct world *w) {
    if (w->host) {
        die(w);
    }
    plan_free(w->plan);
    if (w->ender) {
        io_timer_close(w->ender);
    }
    io_loop_close(w->loop);
    store_close(w->disk);
    free(w->ports);
    free(w->runs);
    arena_fini(&w->arena);
}

static void check_ends(struct world *w) {
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        if (!x->final) {
            world_fail(w, "%s has not ended", x->id);
        }
    }
}

void world_run(const struct recipe *r, const struct weather *weather, bool trace, struct arena *a,
               struct verdict *out) {
    struct world w = {.recipe = r,
                      .weather = *weather,
                      .trace = trace,
                      .rng = {weather->seed},
                      .now = {FIRST_US},
                      .faults_left = MOST_FAULTS};
    struct buf text;
    struct error e;
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
    }
    if (!w.failed && outcome_print(&w, &text, &e)) {
        world_fail(&w, "no outcome: %s", e.message);
    }
    *out = (struct verdict){.ok = !w.failed,
                            .outcome = arena_str(a, buf_str(&text)),
                            .commits = w.commits,
                            .lives = w.lives};
    memcpy(out->why, w.why, sizeof out->why);
    buf_fini(&text);
    close_world(&w);
    current = NULL;
}

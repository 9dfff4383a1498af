/* A process that runs a story and has trouble, then processes without any, until it has ended.
 *
 * What must hold: an error is one of the trouble and says something; what the process lost is owned
 * by nobody as soon as there is no trouble any more, as long as the process lives; no effect begins
 * that is not recorded, or whose step is recorded as completed; when everything is closed nothing
 * is left allocated; the outcome is compared by the caller.
 */
#include <stdio.h>

#include "fail.h"
#include "host/host_priv.h"
#include "store/faults.h"
#include "task.h"

#define FIRST_US INT64_C(1700000000000000)
#define SECRET "s3cret-value-99"
enum { MOST_RUNS = 8, MOST_TURNS = 300, MOST_LIVES = 8, MOST_ERRORS = 4, MOST_IDLE = 8 };

struct world {
    const struct story *story;
    const struct trouble *trouble;
    struct store_trouble store_trouble;
    wall_us now;
    uint64_t random;
    struct io_clock clock;
    struct store *disk; /* never fails, outlives processes */

    /* the process that lives now */
    bool troubled;
    struct io_loop *loop;
    struct store *handle, *faulty;
    struct plan *plan;
    struct host *host;
    struct run *root;
    struct run *runs[MOST_RUNS]; /* that the host has told of */
    uint32_t run_count;
    uint32_t acts, idle, errors;
    bool ended, lost, paused;

    struct arena arena; /* of the test itself: used only while nothing fails */
    struct played *played;
};

static PRINTF_LIKE(2, 3) void world_fail(struct world *w, const char *fmt, ...) {
    va_list ap;
    if (!w->played->ok) {
        return;
    }
    w->played->ok = false;
    va_start(ap, fmt);
    vsnprintf(w->played->why, sizeof w->played->why, fmt, ap);
    va_end(ap);
}

static wall_us read_wall(void *ctx) { return ((struct world *)ctx)->now; }

static mono_ns read_mono(void *ctx) { return (mono_ns){((struct world *)ctx)->now.us * 1000}; }

static void read_random(void *ctx, void *out, size_t size_bytes) {
    struct world *w = ctx;
    for (size_t i = 0; i < size_bytes; i++) {
        w->random = w->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(w->random >> 56);
    }
}

/* ---- errors ---- */

static bool is_of_trouble(const struct world *w, enum err code) {
    return w->troubled &&
           (w->trouble->alloc_n ? code == ERR_NOMEM
                                : w->store_trouble.told && code == w->trouble->store.code);
}

static void expect_error(struct world *w, const char *what, enum err err, const struct error *e) {
    if (!is_of_trouble(w, err)) {
        world_fail(w, "%s: error \"%s\" that nothing made: %s", what, err_name(err), e->message);
    } else if (e->code != err || !e->message[0]) {
        world_fail(w, "%s: error \"%s\" without a message", what, err_name(err));
    }
}

/* ---- what the host tells ---- */

static void know_run(struct world *w, struct run *r) {
    for (uint32_t i = 0; i < w->run_count; i++) {
        if (w->runs[i] == r) {
            return;
        }
    }
    ASSERT(w->run_count < MOST_RUNS);
    w->runs[w->run_count++] = r;
}

static void on_event(void *ctx, struct run *r, const struct host_event *ev) {
    (void)ev;
    know_run(ctx, r);
}

static void on_found(void *ctx, struct run *r) { know_run(ctx, r); }

static void on_ended(void *ctx, struct run *r) {
    struct world *w = ctx;
    w->ended = w->ended || r == w->root;
}

static void on_lost(void *ctx, struct run *r, const struct error *e) {
    struct world *w = ctx;
    w->lost = true;
    if (e->code != ERR_CANCELLED) { /* with its parent */
        expect_error(w, run_is_child(r) ? "a sub-workflow is lost" : "lost", e->code, e);
    }
}

static enum err get_secret(void *ctx, struct str name, struct arena *a, struct str *out,
                           struct error *e) {
    (void)ctx;
    (void)name;
    *out = arena_str(a, STR(SECRET));
    return out->ptr ? OK : error_nomem(e);
}

/* ---- the journal, as an effect finds it ---- */

static enum err no_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                        struct error *e) {
    return store_blob_get(((struct world *)ctx)->disk, hash, a, out, e);
}

static void look_at_journal(struct world *w, const struct step_in *in, struct arena *a) {
    struct store_execution x;
    struct store_event *rows = NULL;
    struct event_fetch fetch = {w, no_blob};
    struct error e = {0};
    uint32_t count = 0;
    uint64_t attempt = 0;
    enum err err = store_execution_get(w->disk, 0, in->execution, a, &x, &e);
    err = err ? err
              : store_read_events(w->disk, (struct store_range){x.num, 0, x.last_seq}, a, &rows,
                                  &count, &e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct event ev = {.kind = (enum event_kind)rows[i].kind};
        if (!str_eq(rows[i].step, in->step)) {
            continue;
        }
        err = event_decode(rows[i].body, &fetch, a, &ev, &e);
        attempt = ev.kind == EVENT_STEP_SCHEDULED ? ev.attempt : attempt;
        if (ev.kind == EVENT_STEP_COMPLETED) {
            world_fail(w, "%.*s begins once more, though it has completed", STR_ARG(in->step));
        }
    }
    if (err || attempt != in->attempt) {
        world_fail(w, "%.*s begins its attempt %u, of which nothing is recorded (%s)",
                   STR_ARG(in->step), in->attempt, e.message);
    }
}

static void task_begins(void *ctx, const struct step_in *in) {
    struct arena a;
    alloc_pause();
    arena_init(&a, 0);
    look_at_journal(ctx, in, &a);
    arena_fini(&a);
    alloc_go_on();
}

/* ---- a process begins ---- */

static enum err read_document(void *ctx, struct str path, struct arena *a, struct str *out,
                              struct error *e) {
    const struct world *w = ctx;
    if (!str_is(path, "flow.yaml")) {
        return error_set(e, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
    }
    *out = arena_str(a, str_from(w->story->document));
    return out->ptr ? OK : error_nomem(e);
}

static enum err open_host(struct world *w, struct error *e) {
    enum err err = io_loop_open(&w->clock, &w->loop, e);
    err = err ? err : store_memory_attach(w->disk, &w->handle, e);
    err = err ? err : store_troubled_open(w->handle, &w->store_trouble, &w->faulty, e);
    if (err) {
        return err;
    }
    struct host_options o = {.store = w->faulty,
                             .loop = w->loop,
                             .kinds = task_kinds(),
                             .observer = {.ctx = w,
                                          .event = on_event,
                                          .found = on_found,
                                          .ended = on_ended,
                                          .lost = on_lost},
                             .secrets = {w, get_secret}};
    return host_open(&o, &w->host, e);
}

static enum err submit(struct world *w, struct error *e) {
    struct diag diag;
    struct arena a;
    struct flow_source source = {
        .entry = STR("flow.yaml"), .loader = {w, read_document}, .kinds = task_kinds()};
    struct host_submission s = {.key = str_from(w->story->key), .folder = STR("/")};
    arena_init(&a, 0);
    diag_init(&diag, &a);
    enum err err = flow_compile(&source, &w->plan, &diag, e);
    if (err == ERR_INVALID) {
        world_fail(w, "does not compile: %.*s",
                   STR_ARG(diag.count ? diag.items[0].message : str_from(e->message)));
    }
    struct value given = value_null();
    struct flow_input list[4];
    err = err ? err : value_parse_json(&a, str_from(w->story->inputs), &given, e);
    for (size_t i = 0; i < value_count(given); i++) {
        list[i] =
            (struct flow_input){.name = value_str(given.pairs[i].key), .value = given.pairs[i].val};
    }
    if (!err) {
        err = flow_inputs(w->plan, list, value_count(given), &a, &s.inputs, &diag);
        error_set(e, err, "inputs");
    }
    s.plan = w->plan;
    err = err ? err : host_submit(w->host, &s, &w->root, e);
    arena_fini(&a);
    return err;
}

/* The newest execution without a parent; what the test itself reads fails in no way. */
static bool find_root(struct world *w, struct store_execution *out) {
    struct error e;
    struct str ids[STORE_FIND_MAX];
    uint32_t count = 0;
    alloc_pause();
    bool found = store_execution_find(w->disk, STR("@last"), &w->arena, ids, &count, &e) == OK &&
                 count == 1 && store_execution_get(w->disk, 0, ids[0], &w->arena, out, &e) == OK;
    alloc_go_on();
    return found;
}

static enum err begin(struct world *w, struct error *e) {
    struct store_execution x;
    enum err err = open_host(w, e);
    if (err) {
        return err;
    }
    return find_root(w, &x) ? host_resume(w->host, x.fixed.id, &w->root, e) : submit(w, e);
}

static void die(struct world *w) {
    host_close(w->host);
    plan_free(w->plan);
    io_loop_close(w->loop);
    if (w->faulty) {
        store_close(w->faulty);
    }
    if (w->handle) {
        store_close(w->handle);
    }
    w->host = NULL;
    w->plan = NULL;
    w->loop = NULL;
    w->faulty = w->handle = NULL;
    w->root = NULL;
    w->run_count = w->acts = w->idle = w->errors = 0;
    w->ended = w->lost = w->paused = false;
    ASSERT(tasks.count == 0);
}

/* ---- what happens in it ---- */

static bool ask_of(struct world *w, struct run *r, const struct host_request *q) {
    struct error e = {0};
    enum err err = host_ask(w->host, r, q, &e);
    if (err) {
        expect_error(w, "asked", err, &e);
    }
    return true;
}

static bool people_act(struct world *w) {
    for (uint32_t i = 0; i < w->run_count; i++) {
        struct run *r = w->runs[i];
        const struct engine *g = run_engine(r);
        if (!g || r->ended || r->lost) {
            continue;
        }
        enum exec_status status = engine_status(g);
        if (status == EXEC_PAUSED) {
            struct host_request q = {.type = REQUEST_RESUME, .by = STR("Bea")};
            return ask_of(w, w->root, &q);
        }
        if (status != EXEC_WAITING || !w->story->answer) {
            continue;
        }
        if (w->story->stop && !w->paused) {
            struct host_request q = {.type = REQUEST_PAUSE, .by = STR("Ada")};
            w->paused = true;
            return ask_of(w, w->root, &q);
        }
        struct host_request q = {.type = REQUEST_ANSWER, .by = STR("Ada"), .ticket = -1};
        q.value = value_text(str_from(w->story->answer));
        return ask_of(w, r, &q);
    }
    return false;
}

/* While nothing can be recorded time stands still: what is due then would be another story. */
static bool jump(struct world *w) {
    wall_us due;
    bool barred = w->store_trouble.told && w->store_trouble.for_good;
    if (barred || !host_next_due(w->host, &due)) {
        return false;
    }
    w->now.us = due.us > w->now.us ? due.us : w->now.us;
    return true;
}

/* Timers first: an answer that nobody takes would be given for ever. */
static void act(struct world *w) {
    w->acts++;
    if (!w->lost && (task_end_one() || jump(w) || people_act(w))) {
        w->idle = 0;
        return;
    }
    w->now.us += 2000000;
    w->idle++;
}

static bool step(struct world *w) {
    bool busy = true;
    struct error e = {0};
    enum err err = host_turn(w->host, false, &busy, &e);
    if (err) {
        expect_error(w, "turn", err, &e);
        return ++w->errors < MOST_ERRORS;
    }
    if (w->ended && !busy) {
        return false;
    }
    if (!host_has_work(w->host)) {
        act(w);
    }
    return w->idle < MOST_IDLE;
}

/* Whoever lost it must have let go of it: nobody would ever go on with it as long as this process
 * lives. */
static void check_owner(struct world *w) {
    struct store_execution x;
    if (!find_root(w, &x) || x.row.completed.us || w->errors >= MOST_ERRORS) {
        return;
    }
    if (!w->lost) {
        world_fail(w, "stuck: %.*s is %.*s, and nothing happens any more", STR_ARG(x.fixed.id),
                   STR_ARG(x.row.status));
    } else if (x.host == w->host->host_id) {
        world_fail(w, "lost, but still owned by the process, which does nothing about it");
    }
}

static void live(struct world *w, uint32_t most_acts) {
    struct error e = {0};
    enum err err = begin(w, &e);
    uint32_t turns = 0;
    if (err) {
        expect_error(w, "begin", err, &e);
        return;
    }
    know_run(w, w->root);
    if (exec_status_final(run_status(w->root))) {
        return;
    }
    while (w->acts < most_acts && step(w)) {
        if (++turns > MOST_TURNS) {
            break;
        }
    }
    bool for_good = w->troubled && (w->trouble->alloc_for_good || w->trouble->store.for_good);
    if (turns > MOST_TURNS && !for_good) {
        world_fail(w, "it never ends");
    }
    if (w->acts < most_acts && !for_good) {
        check_owner(w);
    }
}

/* ---- all of it ---- */

/* Attempts are left out: a process that was lost costs some. */
static void print_steps(struct world *w, int64_t num, struct buf *out) {
    struct store_step *rows = NULL;
    struct error e = {0};
    uint32_t count = 0;
    if (store_steps_read(w->disk, num, &w->arena, &rows, &count, &e)) {
        world_fail(w, "no steps: %s", e.message);
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t attempt = str_find(rows[i].error, STR("\"attempt\""), 0);
        buf_printf(out, "  %.*s %.*s %.*s %.*s %.*s %.*s %.*s\n", STR_ARG(rows[i].step),
                   STR_ARG(rows[i].status), STR_ARG(rows[i].dependencies),
                   STR_ARG(str_sub(rows[i].result, 0, 200)),
                   STR_ARG(str_sub(rows[i].error, 0, attempt)), STR_ARG(rows[i].handle),
                   STR_ARG(rows[i].content_type));
    }
}

static void print_outcome(struct world *w) {
    struct store_filter all = {.limit = 100};
    struct store_execution *rows = NULL;
    struct error e = {0};
    struct buf b;
    uint32_t count = 0;
    buf_init(&b, 0);
    if (store_execution_list(w->disk, &all, &w->arena, &rows, &count, &e)) {
        world_fail(w, "no list: %s", e.message);
    }
    for (uint32_t i = count; i-- > 0;) {
        struct host_view v;
        const struct store_row *row = &rows[i].row;
        buf_printf(&b, "%.*s %.*s %.*s %.*s %u/%u\n", STR_ARG(rows[i].fixed.workflow),
                   STR_ARG(row->status), STR_ARG(row->result), STR_ARG(row->error),
                   row->completed_tasks, row->total_tasks);
        print_steps(w, rows[i].num, &b);
        if (host_view_open(w->disk, task_kinds(), rows[i].fixed.id, &v, &e)) {
            world_fail(w, "%.*s cannot be folded: %s", STR_ARG(rows[i].fixed.id), e.message);
            continue;
        }
        if (!str_is(row->status, exec_status_name(engine_status(v.engine)))) {
            world_fail(w, "%.*s is stored as %.*s, but its journal says otherwise",
                       STR_ARG(rows[i].fixed.id), STR_ARG(row->status));
        }
        host_view_close(&v);
    }
    if (str_find(buf_str(&b), STR(SECRET), 0) != SIZE_MAX) {
        world_fail(w, "the secret stands in the outcome");
    }
    snprintf(w->played->outcome, sizeof w->played->outcome, "%.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static bool has_ended(struct world *w) {
    struct store_execution x;
    return find_root(w, &x) && x.row.completed.us;
}

static void play(struct world *w, uint32_t lives) {
    /* The process in which something goes wrong may be one that takes over from another. */
    if (w->trouble->resumes) {
        live(w, 1);
        die(w);
        if (has_ended(w)) {
            return;
        }
    }
    w->troubled = true;
    for (uint32_t i = 0; i <= w->trouble->again && !has_ended(w); i++) {
        w->store_trouble = w->trouble->store;
        alloc_arm(w->trouble->alloc_n, w->trouble->alloc_for_good);
        live(w, UINT32_MAX);
        w->played->calls = w->store_trouble.calls;
        die(w);
        w->played->allocations = alloc_disarm();
    }
    w->troubled = false;
    w->store_trouble = (struct store_trouble){0};
    for (uint32_t i = 0; i < lives && w->played->ok && !has_ended(w); i++) {
        live(w, UINT32_MAX);
        die(w);
    }
    if (w->played->ok && !has_ended(w)) {
        world_fail(w, "it has not ended, though nothing goes wrong any more");
    }
}

void world_play(const struct story *s, const struct trouble *t, struct played *out) {
    struct world w = {.story = s, .trouble = t, .now = {FIRST_US}, .random = 1, .played = out};
    struct error e;
    size_t before = alloc_live();
    *out = (struct played){.ok = true};
    w.clock = (struct io_clock){&w, read_wall, read_mono, read_random};
    arena_init(&w.arena, 0);
    tasks = (struct tasks){.ctx = &w, .begins = task_begins};
    if (store_open("memory:", true, &w.clock, &w.disk, &e)) {
        world_fail(&w, "no store: %s", e.message);
        return;
    }
    play(&w, MOST_LIVES);
    print_outcome(&w);
    store_close(w.disk);
    arena_fini(&w.arena);
    if (alloc_live() != before) {
        world_fail(&w, "%zu allocations are not freed", alloc_live() - before);
        alloc_print_live();
    }
}

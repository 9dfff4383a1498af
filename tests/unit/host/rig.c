/* The rig: see rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/host_priv.h"
#include "rig_kinds.h"

#define FIRST_US INT64_C(1700000000000000)

struct rig rig;

/* ---- clock ---- */

static wall_us read_wall(void *ctx) { return ((struct rig *)ctx)->now; }

static mono_ns read_mono(void *ctx) {
    const struct rig *g = ctx;
    return (mono_ns){(g->now.us + g->mono_ahead_us) * 1000};
}

static void read_random(void *ctx, void *out, size_t size_bytes) {
    static uint64_t state = 1;
    (void)ctx;
    for (size_t i = 0; i < size_bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(state >> 56);
    }
}

void rig_wait_ms(int64_t ms) {
    rig.now.us += ms * 1000;
    rig_turns();
}

void rig_jump_ms(int64_t ms) {
    rig.now.us += ms * 1000;
    rig.mono_ahead_us -= ms * 1000;
    rig_turns();
}

/* ---- faults ---- */

static enum store_fault next_fault(const char **script) {
    char what = *script && **script ? *(*script)++ : '.';
    return what == 'b'   ? STORE_FAULT_BEFORE
           : what == 'a' ? STORE_FAULT_AFTER
           : what == 'f' ? STORE_FAULT_FULL
                         : STORE_FAULT_NONE;
}

static enum store_fault ask(void *ctx, enum store_write what) {
    struct rig *g = ctx;
    switch (what) {
    case STORE_WRITE_COMMIT: g->commit_count++; return next_fault(&g->commits);
    case STORE_WRITE_BLOB: return next_fault(&g->blobs);
    case STORE_WRITE_WORKFLOW: return next_fault(&g->workflows);
    case STORE_WRITE_INBOX:
    case STORE_WRITE_HOST:
    case STORE_WRITE_KINDS: break;
    }
    return STORE_FAULT_NONE;
}

/* ---- what the host tells ---- */

static struct map_entry *entry_of(struct map *m, struct str key) {
    bool fresh;
    struct map_entry *found = map_find(m, key);
    return found ? found : map_put(m, arena_str(&rig.arena, key), &fresh);
}

static void told_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct rig *g = ctx;
    struct map_entry *last = entry_of(&g->told, run_id(r));
    struct store_execution x = rig_stored(run_id(r));
    if (last->num) {
        assert_int_equal(ev->seq, last->num + 1); /* none is left out, none comes twice */
    }
    assert_true(ev->seq <= x.last_seq);
    last->num = ev->seq;
    if (g->on_event) {
        g->on_event(g, r, ev);
    }
}

static void told_log(void *ctx, struct run *r, struct str step, const char *stream,
                     struct str text) {
    struct rig *g = ctx;
    (void)r;
    buf_printf(&g->log, "%.*s %s %.*s\n", STR_ARG(step), stream, STR_ARG(text));
}

static void told_ended(void *ctx, struct run *r) {
    struct rig *g = ctx;
    g->ended++;
    if (g->on_ended) {
        g->on_ended(g, r);
    }
}

static void told_lost(void *ctx, struct run *r, const struct error *e) {
    struct rig *g = ctx;
    (void)r;
    g->lost++;
    snprintf(g->why_lost, sizeof g->why_lost, "%s", e->message);
}

static void told_busy(void *ctx, const struct error *why) {
    struct rig *g = ctx;
    assert_true(!why || why->code == ERR_STORE_BUSY || why->code == ERR_STORE_FULL);
    g->busy += why != NULL;
    g->free_again += why == NULL;
}

/* ---- opening and closing ---- */

static void open_host(void) {
    struct error e;
    struct store_faults faults = {ask, &rig};
    assert_int_equal(rig.url ? store_open(rig.url, false, &rig.clock, &rig.handle, &e)
                             : store_memory_attach(rig.disk, &rig.handle, &e),
                     OK);
    assert_int_equal(store_faulty_open(rig.handle, &faults, &rig.faulty, &e), OK);
    rig.options.store = rig.faulty;
    assert_int_equal(host_open(&rig.options, &rig.host, &e), OK);
}

static void close_host(void) {
    host_close(rig.host);
    store_close(rig.faulty);
    store_close(rig.handle);
    rig.host = NULL;
}

int rig_setup(void **state) {
    (void)state;
    return rig_setup_on(NULL);
}

int rig_setup_on(const char *url) {
    struct error e;
    rig = (struct rig){.url = url, .now = {FIRST_US}};
    rig.clock = (struct io_clock){&rig, read_wall, read_mono, read_random};
    arena_init(&rig.arena, 0);
    map_init(&rig.scheduled, &rig.arena);
    map_init(&rig.seen, &rig.arena);
    map_init(&rig.told, &rig.arena);
    buf_init(&rig.log, 0);
    assert_int_equal(io_loop_open(&rig.clock, &rig.loop, &e), OK);
    assert_int_equal(store_open(url ? url : "memory:", true, &rig.clock, &rig.disk, &e), OK);
    rig.options = (struct host_options){.loop = rig.loop,
                                        .kinds = rig_kinds,
                                        .observer = {.ctx = &rig,
                                                     .event = told_event,
                                                     .log = told_log,
                                                     .ended = told_ended,
                                                     .lost = told_lost,
                                                     .busy = told_busy}};
    open_host();
    return 0;
}

int rig_teardown(void **state) {
    (void)state;
    rig.cancel_waits = false;
    close_host();
    for (uint32_t i = 0; i < rig.plan_count; i++) {
        plan_free(rig.plans[i]);
    }
    for (uint32_t i = 0; i < rig.start_count; i++) {
        assert_null(rig.starts[i].port); /* whatever was started has ended */
    }
    assert_int_equal(io_loop_open_count(rig.loop), 0);
    io_loop_close(rig.loop);
    store_close(rig.disk);
    buf_fini(&rig.log);
    free(rig.starts);
    arena_fini(&rig.arena);
    return 0;
}

void rig_take_over(struct run *r) {
    struct error e;
    struct store_execution x = rig_stored(run_id(r));
    struct store_change c = {.num = x.num,
                             .epoch = x.epoch,
                             .new_epoch = x.epoch + 1,
                             .last_seq = x.last_seq,
                             .last_event = x.last_event,
                             .row = x.row};
    struct store_batch b = {.changes = &c, .count = 1};
    assert_int_equal(store_commit(rig.disk, &b, &e), OK);
    assert_false(c.fenced);
}

void rig_reopen(void) {
    close_host();
    open_host();
}

/* ---- workflows and executions ---- */

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    if (!str_is(path, "flow.yaml")) {
        return error_set(e, ERR_NOT_FOUND, "no such file");
    }
    *out = arena_str(a, str_from(ctx));
    return out->ptr ? OK : error_nomem(e);
}

const struct plan *rig_plan(const char *text) {
    struct error e;
    struct diag diag;
    struct plan *p = NULL;
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {(void *)(uintptr_t)text, read_text},
                                 .kinds = rig_kinds};
    diag_init(&diag, &rig.arena);
    if (flow_compile(&source, &p, &diag, &e)) {
        fail_msg("does not compile: %.*s",
                 STR_ARG(diag.count ? diag.items[0].message : str_from(e.message)));
    }
    assert_true(rig.plan_count < ARRAY_LEN(rig.plans));
    rig.plans[rig.plan_count++] = p;
    return p;
}

struct value rig_json(const char *json) {
    struct error e;
    struct value v = {0};
    assert_int_equal(value_parse_json(&rig.arena, str_from(json), &v, &e), OK);
    return v;
}

enum err rig_submit_key(const struct plan *p, const char *inputs_json, const char *key,
                        struct run **out, struct error *e) {
    struct host_submission s = {.plan = p,
                                .inputs = rig_json(inputs_json ? inputs_json : "{}"),
                                .key = str_from(key),
                                .folder = STR("/rig")};
    return host_submit(rig.host, &s, out, e);
}

struct run *rig_submit(const struct plan *p, const char *inputs_json) {
    struct error e;
    struct run *r = NULL;
    assert_int_equal(rig_submit_key(p, inputs_json, NULL, &r, &e), OK);
    return r;
}

struct run *rig_resume(struct str id) {
    struct error e = {0};
    struct run *r = NULL;
    if (host_resume(rig.host, id, &r, &e)) {
        fail_msg("not resumed: %s", e.message);
    }
    return r;
}

struct run *rig_retry(struct str id, const struct host_retry *q) {
    struct error e = {0};
    struct run *r = NULL;
    if (host_retry(rig.host, id, q, &r, &e)) {
        fail_msg("not retried: %s", e.message);
    }
    rig_turns();
    return r;
}

struct run *rig_restart(struct run *r, int64_t away_ms) {
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    rig.now.us += away_ms * 1000;
    return rig_resume(id);
}

struct run *rig_run(const char *text) {
    struct run *r = rig_submit(rig_plan(text), NULL);
    rig_turns();
    return r;
}

bool rig_turn(void) {
    struct error e = {0};
    bool busy = false;
    if (host_turn(rig.host, false, &busy, &e)) {
        fail_msg("turn: %s", e.message);
    }
    return busy;
}

static bool more_to_do(void) {
    wall_us due;
    return host_has_work(rig.host) || (host_next_due(rig.host, &due) && due.us <= rig.now.us);
}

void rig_turns(void) {
    uint32_t turns = 0;
    do {
        rig_turn();
        assert_true(++turns < 100000);
    } while (more_to_do());
}

/* ---- attempts ---- */

struct started *rig_find(const char *step) {
    for (uint32_t i = rig.start_count; i > 0; i--) {
        if (rig.starts[i - 1].port && strcmp(rig.starts[i - 1].step, step) == 0) {
            return &rig.starts[i - 1];
        }
    }
    return NULL;
}

uint32_t rig_open_count(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig.start_count; i++) {
        count += rig.starts[i].port != NULL;
    }
    return count;
}

uint32_t rig_starts_of(const char *step) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig.start_count; i++) {
        count += strcmp(rig.starts[i].step, step) == 0;
    }
    return count;
}

void rig_tell_done(struct started *s, const char *body_json, const char *meta_json) {
    struct step_port *port = s->port;
    struct step_result r = {.body = body_json ? rig_json(body_json) : value_null(),
                            .meta = meta_json ? rig_json(meta_json) : value_null()};
    assert_non_null(port);
    s->port = NULL;
    port->ops->done(port, &r);
}

void rig_tell_failed(struct started *s, enum failure_class class, const char *type) {
    struct step_port *port = s->port;
    struct step_failure f = {
        .class = class, .type = str_from(type), .message = STR("as the test says")};
    assert_non_null(port);
    s->port = NULL;
    (port->ops->fail)(port, &f);
}

static struct started *open_step(const char *step) {
    struct started *s = rig_find(step);
    if (!s) {
        fail_msg("step %s is not being performed", step);
    }
    return s;
}

void rig_done_full(const char *step, const char *body_json, const char *meta_json) {
    rig_tell_done(open_step(step), body_json, meta_json);
    rig_turns();
}

void rig_done(const char *step, const char *body_json) { rig_done_full(step, body_json, NULL); }

void rig_fail(const char *step, enum failure_class class, const char *type) {
    rig_tell_failed(open_step(step), class, type);
    rig_turns();
}

void rig_done_all(void) {
    while (rig_open_count()) {
        for (uint32_t i = 0; i < rig.start_count; i++) {
            if (rig.starts[i].port) {
                rig_tell_done(&rig.starts[i], NULL, NULL);
            }
        }
        rig_turns();
    }
}

/* ---- looking ---- */

struct store_execution rig_stored(struct str id) {
    struct store_execution x = {0};
    struct error e;
    (void)!store_execution_get(rig.disk, 0, id, &rig.arena, &x, &e);
    return x;
}

static enum err fetch(void *ctx, struct str hash, struct arena *a, struct str *out,
                      struct error *e) {
    return store_blob_get(ctx, hash, a, out, e);
}

static struct event decoded(const struct store_event *row) {
    struct event ev = {.kind = (enum event_kind)row->kind};
    struct event_fetch get = {rig.disk, fetch};
    struct error e;
    assert_int_equal(event_decode(row->body, &get, &rig.arena, &ev, &e), OK);
    return ev;
}

const char *rig_journal(struct str id) {
    struct store_execution x = rig_stored(id);
    struct store_event *rows = NULL;
    struct error e;
    struct buf b;
    uint32_t count = 0;
    struct store_range all = {x.num, 0, x.last_seq};
    buf_init(&b, 0);
    if (x.num) {
        assert_int_equal(store_read_events(rig.disk, all, &rig.arena, &rows, &count, &e), OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct event ev = decoded(&rows[i]);
        assert_int_equal(rows[i].seq, i + 1);
        assert_true(!rig.forbidden ||
                    str_find(rows[i].body, str_from(rig.forbidden), 0) == SIZE_MAX);
        buf_printf(&b, "%s%s", i ? "; " : "", event_name(rows[i].kind));
        if (rows[i].step.len) {
            buf_printf(&b, " %.*s", STR_ARG(rows[i].step));
        }
        if (ev.attempt) {
            buf_printf(&b, " %u", (unsigned)ev.attempt);
        }
    }
    struct str text = arena_str(&rig.arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

uint32_t rig_count(struct str id, const char *what) {
    uint32_t count = 0;
    size_t len = strlen(what);
    for (const char *at = rig_journal(id); (at = strstr(at, what)); at += len) {
        count += at[len] == '\0' || at[len] == ';' || at[len] == ' ';
    }
    return count;
}

const char *rig_result(struct run *r) {
    struct str s = run_result_json(r);
    return s.len ? s.ptr : "";
}

const char *rig_error(struct run *r) {
    struct str s = run_error_json(r);
    return s.len ? s.ptr : "";
}

const char *rig_status(struct run *r) { return exec_status_name(run_status(r)); }

void rig_check_fold(struct run *r) {
    struct error e = {0};
    struct engine *g = NULL;
    uint64_t live = 0, folded = 1;
    if (!r->engine) {
        return;
    }
    struct shelf shelf;
    shelf_init(&shelf, rig.disk, rig.options.kinds);
    assert_int_equal(run_fold(&shelf, NULL, (struct store_range){r->num, 0, r->last_seq}, &g, &e),
                     OK);
    assert_int_equal(engine_digest(r->engine, &live, &e), OK);
    assert_int_equal(engine_digest(g, &folded, &e), OK);
    engine_free(g);
    shelf_fini(&shelf);
    assert_true(live == folded);
}

/* ---- called by the kinds ---- */

/* Takes note of all step_scheduled events that the store has of an execution. */
static void read_scheduled(struct str id) {
    struct store_execution x = rig_stored(id);
    struct store_event *rows = NULL;
    struct error e;
    uint32_t count = 0;
    assert_true(x.num > 0);
    struct map_entry *seen = entry_of(&rig.seen, id);
    struct store_range rest = {x.num, seen->num, x.last_seq};
    assert_int_equal(store_read_events(rig.disk, rest, &rig.arena, &rows, &count, &e), OK);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].kind == EVENT_STEP_SCHEDULED) {
            struct str key =
                arena_printf(&rig.arena, "%.*s/%.*s", STR_ARG(id), STR_ARG(rows[i].step));
            entry_of(&rig.scheduled, key)->num = decoded(&rows[i]).attempt;
        }
    }
    seen->num = x.last_seq;
}

static void check_start(const struct step_in *in) {
    read_scheduled(in->execution);
    struct map_entry *recorded = map_find(&rig.scheduled, in->key);
    assert_non_null(recorded);
    assert_int_equal(recorded->num, in->attempt);
    for (uint32_t i = 0; i < rig.start_count; i++) {
        const struct started *s = &rig.starts[i];
        if (str_is(in->execution, s->execution) && str_is(in->step, s->step)) {
            assert_null(s->port);
            assert_int_not_equal(s->attempt, in->attempt);
        }
    }
}

void rig_kind_started(struct step_port *port) {
    const struct step_in *in = port->in;
    check_start(in);
    if (rig.start_count == rig.start_cap) {
        rig.start_cap = rig.start_cap ? rig.start_cap * 2 : 64;
        rig.starts = realloc(rig.starts, rig.start_cap * sizeof *rig.starts);
        assert_non_null(rig.starts);
    }
    struct started *s = &rig.starts[rig.start_count++];
    *s = (struct started){.port = port, .attempt = in->attempt};
    snprintf(s->execution, sizeof s->execution, "%.*s", STR_ARG(in->execution));
    snprintf(s->step, sizeof s->step, "%.*s", STR_ARG(in->step));
    if (rig.on_start) {
        rig.on_start(&rig, port);
    }
}

void rig_kind_cancelled(struct step_port *port) {
    for (uint32_t i = 0; i < rig.start_count; i++) {
        struct started *s = &rig.starts[i];
        if (s->port != port) {
            continue;
        }
        assert_false(s->cancelled); /* told once */
        s->cancelled = true;
        if (!rig.cancel_waits) {
            rig_tell_failed(s, FAILURE_PERMANENT, "cancelled");
        }
    }
}

bool rig_kind_has_no_memory(void) {
    rig.nomem_evals -= rig.nomem_evals > 0;
    return rig.nomem_evals > 0;
}

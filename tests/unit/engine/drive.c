/* Driving one execution; see groups.h. What is recorded is decoded at once, so that every test
 * also runs the codec.
 */
#include <stdio.h>

#include "groups.h"
#include "support/flow_kinds.h"

static enum err read_text(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    (void)path;
    (void)a;
    (void)e;
    *out = str_from(ctx);
    return OK;
}

struct plan *plan_of(const char *yaml) {
    struct flow_source source = {.entry = STR("flow.yaml"),
                                 .loader = {(void *)(uintptr_t)yaml, read_text},
                                 .kinds = flow_test_kinds};
    struct arena a;
    struct diag d;
    struct error e = {0};
    struct plan *p = NULL;
    arena_init(&a, 0);
    diag_init(&d, &a);
    enum err err = flow_compile(&source, &p, &d, &e);
    if (err) {
        struct buf b;
        buf_init(&b, 0);
        diag_print(&d, &b);
        print_error("%s %.*s", e.message, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
    arena_fini(&a);
    assert_int_equal(err, OK);
    return p;
}

static enum err give_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                          struct error *e) {
    const struct drive *d = ctx;
    char hex[SHA256_HEX_BYTES];
    (void)a;
    (void)e;
    sha256_hex(d->blob, hex);
    assert_str(hash, hex);
    *out = d->blob;
    return OK;
}

static void keep_events(struct drive *d) {
    struct event_fetch fetch = {d, give_blob};
    struct error e;
    for (uint32_t i = 0; i < d->out.blobs.count; i++) {
        const struct event_blob *b = &d->out.blobs.items[i];
        d->blob = arena_str(&d->arena, (struct str){d->out.blobs.bytes.ptr + b->offset, b->len});
    }
    struct event *all =
        ARENA_ARRAY(&d->arena, d->event_count + d->out.record_count + 1, struct event);
    if (d->event_count) {
        memcpy(all, d->journal, d->event_count * sizeof *all);
    }
    d->journal = all;
    for (uint32_t i = 0; i < d->out.record_count; i++) {
        const struct engine_record *r = &d->out.records[i];
        struct str step = {d->out.bytes.ptr + r->step_offset, r->step_len};
        struct str body = {d->out.bytes.ptr + r->body_offset, r->body_len};
        struct event *ev = &all[d->event_count++];
        *ev = (struct event){.kind = r->kind, .seq = r->seq, .at = r->at, .has_step = step.len > 0};
        assert_int_equal(r->seq, d->event_count);
        if (ev->has_step) {
            assert_true(step_id_parse(d->plan, step, &ev->step));
        }
        body = arena_str(&d->arena, body);
        assert_int_equal(event_decode(body, &fetch, &d->arena, ev, &e), OK);
    }
}

/* As a host does for an execution without sub-workflows. */
static bool allow(const struct drive *d, const struct engine_input *in, struct allowance *out) {
    struct budget b = engine_budget_for(d->engine, in);
    struct account a = engine_account(d->engine);
    *out = (struct allowance){0};
    for (int i = 0; i < BUDGET_KINDS; i++) {
        int64_t time_us = engine_time_used_for(d->engine, in);
        out->of[i] = (struct allowed){.limited = b.has[i],
                                      .fails = b.on_exceed == EXCEED_FAIL,
                                      .of = STR("exec_test"),
                                      .limit = b.limit[i],
                                      .used = i == BUDGET_TIME ? time_us : a.used[i],
                                      .reserved = a.reserved[i]};
    }
    return budget_any(&b);
}

void drive_give(struct drive *d, struct engine_input *in) {
    struct error e = {0};
    struct allowance allowance;
    in->now.us = d->now_us;
    in->allowance = allow(d, in, &allowance) ? &allowance : NULL;
    engine_out_reset(&d->out);
    enum err err = engine_decide(d->engine, in, &d->out, &e);
    if (err) {
        print_error("%s\n", e.message);
    }
    assert_int_equal(err, OK);
    keep_events(d);
}

void drive_open(struct drive *d, const char *yaml) {
    struct error e;
    *d = (struct drive){.plan = plan_of(yaml), .now_us = NOW_US};
    d->plans[d->plan_count++] = d->plan;
    engine_out_init(&d->out);
    arena_init(&d->arena, 0);
    assert_int_equal(engine_new(d->plans[0], &d->engine, &e), OK);
    struct event created = {.id = STR("exec_test"), .timeout_us = d->plan->timeout_us};
    struct engine_input create = {.type = INPUT_CREATE, .created = &created};
    struct engine_input start = {.type = INPUT_START, .host = 1, .epoch = 1};
    drive_give(d, &create);
    drive_give(d, &start);
}

void drive_close(struct drive *d) {
    engine_out_fini(&d->out);
    engine_free(d->engine);
    for (uint32_t i = 0; i < d->plan_count; i++) {
        plan_free(d->plans[i]);
    }
    arena_fini(&d->arena);
}

int drive_teardown(void **state) {
    drive_close(*state);
    return 0;
}

static struct step_id id_of(const struct drive *d, const char *step) {
    struct step_id id = {.index = -1};
    if (step) {
        assert_true(step_id_parse(d->plan, str_from(step), &id));
    }
    return id;
}

void drive_input(struct drive *d, enum input_type type, const char *step, uint32_t attempt) {
    struct engine_input in = {
        .type = type, .step = id_of(d, step), .attempt = attempt, .host = 2, .epoch = 2};
    in.by = STR("a test");
    drive_give(d, &in);
}

void drive_over_budget(struct drive *d, const char *step, enum budget_kind kind, int64_t asked) {
    struct engine_input in = {.type = INPUT_OVER_BUDGET,
                              .step = id_of(d, step),
                              .attempt = 1,
                              .over = kind,
                              .asked = asked};
    drive_give(d, &in);
}

void drive_call(struct drive *d, enum input_type type, const char *step, uint32_t call,
                const struct step_charge *charge, const char *json) {
    struct engine_input in = {
        .type = type, .step = id_of(d, step), .attempt = 1, .call = call, .charge = charge};
    struct error e;
    if (json) {
        assert_int_equal(value_parse_json(&d->arena, str_from(json), &in.value, &e), OK);
    }
    drive_give(d, &in);
}

void drive_done(struct drive *d, const char *step, uint32_t attempt, struct value body) {
    struct step_result r = {.body = body, .meta = value_null()};
    struct engine_input in = {
        .type = INPUT_DONE, .step = id_of(d, step), .attempt = attempt, .result = &r};
    drive_give(d, &in);
}

void drive_leave(struct drive *d, const char *step, uint32_t attempt, const char *handle) {
    struct step_result r = {.handle = str_from(handle)};
    struct engine_input in = {
        .type = INPUT_DONE, .step = id_of(d, step), .attempt = attempt, .result = &r};
    drive_give(d, &in);
}

void drive_change(struct drive *d, const char *yaml, struct engine_input *in) {
    assert_true(d->plan_count < DRIVE_PLANS);
    in->type = INPUT_RETRY;
    in->host = 2;
    in->epoch = 2;
    in->plan = d->plan = d->plans[d->plan_count++] = plan_of(yaml);
    drive_give(d, in);
}

void drive_fail(struct drive *d, const char *step, uint32_t attempt, enum failure_class class,
                const char *type) {
    struct step_failure f = {
        .class = class, .type = str_from(type), .message = STR("no luck"), .meta = d->meta};
    struct engine_input in = {
        .type = INPUT_FAIL, .step = id_of(d, step), .attempt = attempt, .failure = &f};
    drive_give(d, &in);
}

const char *drive_answer(struct drive *d, const char *target, const char *answer) {
    struct engine_input in = {.type = INPUT_ANSWER,
                              .target = str_from(target),
                              .value = value_text(str_from(answer)),
                              .by = STR("me"),
                              .ticket = 1};
    drive_give(d, &in);
    assert_int_equal(d->out.verdict_count, 1);
    const struct engine_verdict *v = &d->out.verdicts[0];
    return arena_str(&d->arena, (struct str){d->out.bytes.ptr + v->offset, v->len}).ptr;
}

uint32_t effects_of(const struct drive *d, enum out_type type) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->out.effect_count; i++) {
        count += d->out.effects[i].type == type;
    }
    return count;
}

const struct engine_effect *effect_of(const struct drive *d, enum out_type type) {
    for (uint32_t i = 0; i < d->out.effect_count; i++) {
        if (d->out.effects[i].type == type) {
            return &d->out.effects[i];
        }
    }
    return NULL;
}

const struct event *event_of(const struct drive *d, enum event_kind kind) {
    for (uint32_t i = d->event_count; i > 0; i--) {
        if (d->journal[i - 1].kind == kind) {
            return &d->journal[i - 1];
        }
    }
    return NULL;
}

static void fold_all(struct drive *d, struct engine *g) {
    struct error e = {0};
    uint32_t plan = 0;
    uint64_t *to = ARENA_ARRAY(&d->arena, d->event_count + 1, uint64_t);
    bool *undone = ARENA_ARRAY(&d->arena, d->event_count + 1, bool);
    for (uint32_t i = 0; i < d->event_count; i++) {
        to[i] = d->journal[i].to;
    }
    engine_mark_undone(to, d->event_count, undone);
    for (uint32_t i = 0; i < d->event_count; i++) {
        if (d->journal[i].kind == EVENT_WORKFLOW_CHANGED) {
            engine_offer_plan(g, d->plans[++plan]);
        }
        enum err err = undone[i] ? engine_fold_undone(g, &d->journal[i], &e)
                                 : engine_fold(g, &d->journal[i], &e);
        if (err) {
            print_error("%s\n", e.message);
        }
        assert_int_equal(err, OK);
    }
}

void drive_refold(struct drive *d) {
    struct engine *folded;
    struct error e = {0};
    uint64_t live = 0, again = 1;
    assert_int_equal(engine_new(d->plans[0], &folded, &e), OK);
    fold_all(d, folded);
    assert_int_equal(engine_digest(d->engine, &live, &e), OK);
    assert_int_equal(engine_digest(folded, &again, &e), OK);
    assert_int_equal(live, again);
    engine_free(d->engine);
    d->engine = folded;
}

void drive_completes(struct drive *d, const char *step) {
    drive_done(d, step, 1, value_text(str_from(step)));
    drive_refold(d);
}

void drive_fails(struct drive *d, const char *step) {
    drive_fail(d, step, 1, FAILURE_PERMANENT, "code");
    drive_refold(d);
}

enum step_status drive_status(const struct drive *d, const char *node) {
    int64_t found = plan_node_find(d->plan, str_from(node));
    assert_true(found >= 0);
    return engine_node_status(d->engine, (uint32_t)found);
}

void drive_rollback(struct drive *d, const char *target, bool resume) {
    struct engine_input in = {.type = INPUT_ROLLBACK,
                              .target = str_from(target),
                              .by = STR("a test"),
                              .resume = resume,
                              .epoch = exec_status_final(engine_status(d->engine)) ? 1 : 0,
                              .ticket = 1};
    drive_give(d, &in);
    assert_int_equal(d->out.verdict_count, 1);
    if (engine_is_superseded(d->engine)) {
        drive_begin_anew(d);
    }
}

void drive_begin_anew(struct drive *d) {
    struct engine_input start = {.type = INPUT_START, .host = 1, .epoch = 1};
    struct error e;
    engine_free(d->engine);
    assert_int_equal(engine_new(d->plans[0], &d->engine, &e), OK);
    fold_all(d, d->engine);
    drive_refold(d);
    assert_true(engine_is_unsettled(d->engine));
    drive_give(d, &start);
    drive_refold(d);
}

struct str verdict_of(const struct drive *d) {
    const struct engine_verdict *v = &d->out.verdicts[0];
    return d->out.verdict_count ? (struct str){d->out.bytes.ptr + v->offset, v->len} : STR("");
}

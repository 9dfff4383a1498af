/* Hostile moments: kinds that speak after the host began to close, watchers that submit and cancel,
 * nothing left that could ever happen.
 */
#include "rig.h"

#include <poll.h>
#include <stdlib.h>

#include "io/loop.h"

static struct run *second;
static const struct plan *plan;

static void submit_once(struct rig *g, struct run *r) {
    (void)g;
    (void)r;
    if (!second) {
        second = rig_submit(plan, NULL);
    }
}

static void a_watcher_submits_at_the_end(void **state) {
    (void)state;
    second = NULL;
    plan = rig_plan("{cairn: 1, nodes: {a: {type: calc, value: \"1\"}}}");
    rig.on_ended = submit_once;
    (void)rig_submit(plan, NULL);
    rig_turns();
    assert_string_equal(rig_status(second), "completed");
    assert_int_equal(rig.ended, 2);
}

static void submit_at_event(struct rig *g, struct run *r, const struct host_event *ev) {
    if (ev->kind == EVENT_EXECUTION_CREATED) {
        submit_once(g, r);
    }
}

static void a_watcher_submits_at_an_event(void **state) {
    (void)state;
    second = NULL;
    plan = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    rig.on_event = submit_at_event;
    (void)rig_submit(plan, NULL);
    rig_turns();
    rig_done_all();
    assert_int_equal(rig.ended, 2);
}

static void cancel_at_event(struct rig *g, struct run *r, const struct host_event *ev) {
    struct error e;
    if (ev->kind == EVENT_STEP_COMPLETED) {
        assert_int_equal(host_cancel(g->host, r, STR("a watcher"), &e), OK);
    }
}

static void a_watcher_cancels(void **state) {
    (void)state;
    rig.on_event = cancel_at_event;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig_open_count(), 0);
}

static void cancel_in_start(struct rig *g, struct step_port *port) {
    struct error e;
    (void)port;
    assert_int_equal(host_cancel(g->host, second, STR("a kind"), &e), OK);
}

static void cancelled_while_a_port_starts(void **state) {
    (void)state;
    second = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}, b: {type: work}}}"), NULL);
    rig.on_start = cancel_in_start;
    rig_turns();
    assert_string_equal(rig_status(second), "cancelled");
    assert_int_equal(rig_open_count(), 0);
}

/* A kind may talk inside start; only done and fail are forbidden there. */
static void talk_in_start(struct rig *g, struct step_port *port) {
    (void)g;
    port->ops->log(port, "note", STR("hello"));
    port->ops->chunk(port, STR("piece"));
    port->ops->process(port, 1, 2);
    (void)port->ops->call_begin(port, value_null(), &(struct value){0});
}

/* Those of the loop, which go by the real clock. */
static void wait_for_timers(void) {
    poll(NULL, 0, 30);
    rig_turns();
}

static void a_kind_talks_while_it_starts(void **state) {
    (void)state;
    rig.on_start = talk_in_start;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    assert_int_equal(rig_count(run_id(r), "call_begun a"), 1);
    wait_for_timers();
    assert_int_equal(rig_count(run_id(r), "step_process a"), 1);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(str_find(buf_str(&rig.log), STR("a note hello"), 0), 0);
}

/* What has ended leaves nothing to be killed. */
static void a_process_of_a_short_attempt_is_not_recorded(void **state) {
    (void)state;
    rig.on_start = talk_in_start;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    rig_done("a", NULL);
    wait_for_timers();
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig_count(run_id(r), "step_process a"), 0);
}

/* After it was told to stop, nothing that a kind says is recorded or shown. */
static void talk_after_cancel(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct step_port *port = rig_find("a")->port;
    rig.cancel_waits = true;
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    uint64_t last = rig_stored(run_id(r)).last_seq;
    port->ops->log(port, "note", STR("still here"));
    port->ops->process(port, 1, 2);
    port->ops->call_done(port, port->ops->call_begin(port, value_null(), &(struct value){0}),
                         value_null());
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_int_equal(rig_stored(run_id(r)).last_seq, last);
    assert_int_equal(rig.log.len, 0);
    assert_false(rig_turn());
}

/* A message in bytes that are no text, and one that is cut inside a character, become text. */
static void messages_that_are_no_text(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a.error], "
                            "value: \"a\"}, k: {type: kid, needs: [b], on_error: continue, "
                            "workflow: {nodes: {w: {type: work}}}}, c: {type: work, needs: [b], "
                            "value: \"nodes.k.error\"}}}");
    struct step_failure f = {.type = STR("bad\xff"), .message = STR("\x80 caf\xc3\xa9 \xf0\x9f")};
    struct step_port *port = rig_find("a")->port;
    rig_find("a")->port = NULL;
    (port->ops->fail)(port, &f);
    rig_turns();
    struct value got = rig_find("b")->port->in->fields[0];
    assert_true(str_is(value_str(*value_get(got, STR("type"))), "bad?"));
    assert_true(str_is(value_str(*value_get(got, STR("message"))), "? caf\xc3\xa9 ??"));
    rig_done("b", NULL);
    char text[1001];
    for (size_t i = 0; i < 1000; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    text[0] = text[999] = 'x'; /* the second character of each pair stands alone somewhere */
    text[1] = 'y';
    text[1000] = '\0';
    f = (struct step_failure){.type = STR("long"), .message = str_from(text)};
    port = rig_find("w")->port;
    rig_find("w")->port = NULL;
    (port->ops->fail)(port, &f);
    rig_turns();
    rig_check_fold(r);
    rig_done("c", NULL);
    assert_int_equal(rig.lost, 0);
    assert_string_equal(rig_status(r), "partial");
    assert_true(str_is_utf8(rig_stored(run_id(r)).row.error));
}

/* ---- closing ---- */

static void end_all(void *ctx) {
    (void)ctx;
    for (uint32_t i = 0; i < rig.start_count; i++) {
        if (rig.starts[i].port) {
            assert_true(rig.starts[i].cancelled);
            rig_tell_done(&rig.starts[i], "1", NULL);
        }
    }
}

static void done_after_closing_began(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    uint64_t last = rig_stored(id).last_seq;
    struct io_timer *later = io_timer_open(rig.loop, end_all, NULL);
    rig.cancel_waits = true;
    io_timer_start(later, 1000000);
    rig_reopen(); /* waits for what it told to stop */
    io_timer_close(later);
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig_stored(id).last_seq, last); /* and records nothing of it */
    assert_int_equal(rig.ended + rig.lost, 0);
}

static void closing_with_work_undecided(void **state) {
    (void)state;
    (void)rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig_tell_done(rig_find("a"), "1", NULL);
    (void)rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    rig_reopen();
    assert_int_equal(rig.start_count, 1);
}

static void closing_a_host_that_did_nothing(void **state) {
    (void)state;
    rig_reopen();
    host_close(NULL);
    assert_false(rig_turn());
}

/* ---- nothing can happen ---- */

/* No timer, no descriptor, an attempt that nobody will end: the loop must not spin for ever. */
static void running_returns_when_nothing_can_happen(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, e: {type: end, needs: [a], value: "
                            "a}}}");
    assert_int_equal(host_run(rig.host, &e), OK);
    assert_string_equal(rig_status(r), "running");
    rig_tell_done(rig_find("a"), "1", NULL);
    assert_int_equal(host_run(rig.host, &e), OK);
    assert_string_equal(rig_status(r), "completed");
}

static void running_nothing(void **state) {
    (void)state;
    struct error e;
    bool busy = true;
    assert_int_equal(host_run(rig.host, &e), OK);
    assert_int_equal(host_turn(rig.host, true, &busy, &e), OK);
    assert_false(busy);
}

/* Small where it was made, since its parts are shared, but a gigabyte as a copy. The step fails; a
 * host that gave up would come to this again and again. */
static void a_result_beyond_all_memory(void **state) {
    (void)state;
    enum { PARTS = 1100, PART_BYTES = 1 << 20 };
    char *text = calloc(1, PART_BYTES);
    struct value *parts = calloc(PARTS, sizeof *parts);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct started *s = rig_find("a");
    assert_non_null(text);
    assert_non_null(parts);
    memset(text, 'x', PART_BYTES);
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = value_text((struct str){text, PART_BYTES});
    }
    struct step_result result = {.body = value_list(parts, PARTS)};
    struct step_port *port = s->port;
    s->port = NULL;
    port->ops->done(port, &result);
    rig_turns();
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "too_large"));
    assert_int_equal(rig.lost, 0);
    free(parts);
    free(text);
}

int run_hostile_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(a_watcher_submits_at_the_end),
        T(a_watcher_submits_at_an_event),
        T(a_watcher_cancels),
        T(cancelled_while_a_port_starts),
        T(a_kind_talks_while_it_starts),
        T(a_process_of_a_short_attempt_is_not_recorded),
        T(talk_after_cancel),
        T(messages_that_are_no_text),
        T(a_result_beyond_all_memory),
        T(done_after_closing_began),
        T(closing_with_work_undecided),
        T(closing_a_host_that_did_nothing),
        T(running_returns_when_nothing_can_happen),
        T(running_nothing),
#undef T
    };
    return cmocka_run_group_tests_name("host hostile", tests, NULL, NULL);
}

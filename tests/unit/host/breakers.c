/* Breakers: when a service is left alone, who asks it again and when, what comes of who waits; and
 * that it never waits for ever.
 */
#include "rig.h"

#define HEAD "cairn: 1, breaker: {failures: 3, open: 10s, max: 40s}, "
#define RETRY "retry: {attempts: 50, backoff: 0s}"
/* Items that call service "s", as many as slots allow. */
#define ITEMS(n) \
    "{" HEAD "nodes: {a: {type: work, value: \"'s'\", " RETRY ", foreach: {items: \"" n "\"}}}}"

static uint32_t held(struct run *r) {
    const struct engine *g = run_engine(r);
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        count += engine_track(g, i)->status == STEP_WAITING;
    }
    return count;
}

static void fail_all(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct started *s = NULL;
        for (uint32_t k = 0; k < rig.start_count && !s; k++) {
            s = rig.starts[k].port ? &rig.starts[k] : NULL;
        }
        assert_non_null(s);
        rig_tell_failed(s, FAILURE_TRANSIENT, "down");
    }
    rig_turns();
}

/* Four items of which three have failed, and all four are held back. */
static struct run *opened(void) {
    struct run *r = rig_run(ITEMS("[1,2,3,4]"));
    assert_int_equal(rig_open_count(), 4);
    fail_all(4);
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(held(r), 4);
    assert_int_equal(run_status(r), EXEC_WAITING);
    rig_check_fold(r);
    return r;
}

static void only_failures_in_a_row_open_it(void **state) {
    (void)state;
    struct run *r = rig_run(ITEMS("[1]"));
    for (int round = 0; round < 3; round++) {
        rig_fail("a[0]", FAILURE_TRANSIENT, "down");
        rig_fail("a[0]", FAILURE_TRANSIENT, "down");
        assert_int_equal(rig_open_count(), 1);
        rig_done("a[0]", NULL);
        assert_string_equal(rig_status(r), "completed");
        r = rig_run(ITEMS("[1]"));
    }
    rig_fail("a[0]", FAILURE_TRANSIENT, "down");
    rig_fail("a[0]", FAILURE_TRANSIENT, "down");
    assert_int_equal(rig_open_count(), 1);
    rig_fail("a[0]", FAILURE_TRANSIENT, "down");
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(held(r), 1);
}

static void who_is_held_back_loses_no_attempt(void **state) {
    (void)state;
    struct run *r = opened();
    const struct track *t = engine_track(run_engine(r), 1);
    assert_int_equal(t->attempt, 1);
    assert_int_equal(t->due.us, rig.now.us + 10000000);
    rig_wait_ms(10000);
    assert_int_equal(rig_open_count(), 1);
    for (uint32_t i = 0; i < rig.start_count; i++) {
        assert_true(rig.starts[i].attempt <= 2);
    }
}

static void one_probe_at_a_time_and_its_answer_wakes_all(void **state) {
    (void)state;
    struct run *r = opened();
    rig_wait_ms(9999);
    assert_int_equal(rig_open_count(), 0);
    rig_wait_ms(1);
    assert_int_equal(rig_open_count(), 1);
    assert_int_equal(held(r), 3);
    rig_check_fold(r);
    rig_wait_ms(10000); /* the probe takes its time: the others ask, and wait on */
    assert_int_equal(rig_open_count(), 1);
    for (uint32_t i = 0; i < rig.start_count; i++) {
        if (rig.starts[i].port) {
            rig_tell_done(&rig.starts[i], NULL, NULL);
        }
    }
    rig_turns();
    assert_int_equal(rig_open_count(), 3); /* no time has passed */
    rig_check_fold(r);
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
}

static void each_failed_probe_doubles_the_time(void **state) {
    (void)state;
    struct run *r = opened();
    const int64_t waits_ms[] = {10000, 20000, 40000, 40000};
    for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
        rig_wait_ms(waits_ms[i] - 1);
        assert_int_equal(rig_open_count(), 0);
        rig_wait_ms(1);
        assert_int_equal(rig_open_count(), 1);
        fail_all(1);
        assert_int_equal(held(r), 4);
    }
}

static void a_service_says_itself_how_long(void **state) {
    (void)state;
    (void)rig_run(ITEMS("[1]"));
    for (int i = 0; i < 3; i++) {
        struct step_failure f = {.class = FAILURE_TRANSIENT,
                                 .type = STR("down"),
                                 .message = STR("later"),
                                 .retry_after_us = i == 2 ? 60000000 : 0};
        struct started *s = rig_find("a[0]");
        struct step_port *port = s->port;
        s->port = NULL;
        (port->ops->fail)(port, &f);
        rig_turns();
    }
    rig_wait_ms(59999);
    assert_int_equal(rig_open_count(), 0);
    rig_wait_ms(1);
    assert_int_equal(rig_open_count(), 1);
}

static void a_probe_that_is_cancelled_leaves_it_to_the_next(void **state) {
    (void)state;
    const struct plan *p = rig_plan(ITEMS("[1,2]"));
    struct run *first = rig_submit(p, NULL), *second = rig_submit(p, NULL);
    struct error e;
    rig_turns();
    fail_all(4);
    assert_int_equal(held(first) + held(second), 4);
    rig_wait_ms(10000);
    assert_int_equal(rig_open_count(), 1);
    struct run *probing = held(first) == 1 ? first : second;
    struct run *other = probing == first ? second : first;
    assert_int_equal(host_cancel(rig.host, probing, STR("somebody"), &e), OK);
    rig_turns();
    assert_string_equal(rig_status(probing), "cancelled");
    rig_wait_ms(10000);
    assert_int_equal(rig_open_count(), 1);
    assert_int_equal(held(other), 1);
    rig_done_all();
    assert_string_equal(rig_status(other), "completed");
}

/* Let go to be the probe, it had to wait for a slot, and is paused before it got one. */
static void one_that_was_let_go_and_never_came_holds_nobody_up(void **state) {
    (void)state;
    struct error e;
    struct host_request q = {.type = REQUEST_PAUSE, .by = STR("somebody")};
    rig.options.slots = 1;
    rig_reopen();
    struct run *r = rig_run(ITEMS("[1]"));
    fail_all(1);
    fail_all(1);
    fail_all(1);
    struct run *busy = rig_run("{cairn: 1, nodes: {b: {type: work}}}");
    struct run *other = rig_run(ITEMS("[1]"));
    assert_int_equal(held(r), 1);
    rig_wait_ms(10000); /* r is let go, and stands behind b */
    assert_int_equal(held(r), 0);
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    assert_int_equal(host_cancel(rig.host, r, STR("somebody"), &e), OK);
    rig_turns();
    rig_done("b", NULL);
    rig_wait_ms(20000);
    assert_int_equal(rig_open_count(), 1);
    rig_done_all();
    assert_string_equal(rig_status(busy), "completed");
    assert_string_equal(rig_status(other), "completed");
}

static void a_timeout_counts_as_a_failure(void **state) {
    (void)state;
    struct run *r =
        rig_run("{" HEAD "nodes: {a: {type: work, timeout: 1s, value: \"'s'\", " RETRY "}}}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_open_count(), 1);
        rig_wait_ms(1000);
    }
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(held(r), 1);
}

static void whoever_answers_closes_it(void **state) {
    (void)state;
    struct run *r = opened();
    rig_wait_ms(10000);
    for (uint32_t i = 0; i < rig.start_count; i++) {
        if (rig.starts[i].port) { /* it is there, and does not like what it is asked */
            rig_tell_failed(&rig.starts[i], FAILURE_PERMANENT, "bad_request");
        }
    }
    rig_turns();
    assert_string_equal(rig_status(r), "failed");
    struct run *next = rig_run(ITEMS("[1]"));
    assert_int_equal(rig_open_count(), 1);
    rig_done_all();
    assert_string_equal(rig_status(next), "completed");
}

static void others_go_on(void **state) {
    (void)state;
    (void)opened();
    struct run *r = rig_run("{" HEAD "nodes: {a: {type: work, value: \"'other'\"}, "
                            "b: {type: light}}}");
    assert_int_equal(rig_open_count(), 2);
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
    r = rig_run("{cairn: 1, nodes: {a: {type: work, value: \"'s'\"}}}"); /* it asked for none */
    assert_int_equal(rig_open_count(), 1);
    rig_done_all();
}

static void the_concurrency_of_a_foreach_holds(void **state) {
    (void)state;
    struct run *r = rig_run("{" HEAD "nodes: {a: {type: work, value: \"'s'\", " RETRY
                            ", foreach: {items: \"[1,2,3,4,5,6,7,8]\", concurrency: 3}}}}");
    fail_all(3);
    assert_int_equal(held(r), 3); /* and no other item is scheduled for nothing */
    assert_int_equal(rig_count(str_from(rig_stored(run_id(r)).fixed.id.ptr), "step_scheduled"), 6);
    rig_check_fold(r);
}

static void the_executions_time_goes_on(void **state) {
    (void)state;
    struct run *r =
        rig_run("{" HEAD "timeout: 5s, nodes: {a: {type: work, value: \"'s'\", " RETRY "}}}");
    fail_all(1);
    fail_all(1);
    fail_all(1);
    assert_int_equal(held(r), 1);
    rig_wait_ms(5000);
    assert_string_equal(rig_status(r), "failed");
}

static void another_process_finds_the_time_and_asks_for_itself(void **state) {
    (void)state;
    struct run *r = opened();
    r = rig_restart(r, 3000);
    rig_turns();
    assert_int_equal(held(r), 4);
    assert_int_equal(rig_open_count(), 0);
    rig_wait_ms(7000);
    assert_int_equal(rig_open_count(), 4); /* it knows nothing bad of the service */
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
}

static void what_winds_down_is_not_held_back(void **state) {
    (void)state;
    struct run *r = rig_run("{" HEAD "nodes: {a: {type: work, value: \"'s'\", " RETRY
                            ", foreach: {items: \"[1,2,3]\"}}, b: {type: work}}}");
    fail_all(3);
    assert_int_equal(held(r), 3);
    rig_fail("b", FAILURE_PERMANENT, "bad");
    assert_string_equal(rig_status(r), "failed");
}

/* A fallback and a node that runs last are held back and go on as any other. */
static void auxiliary_nodes_are_held_back_too(void **state) {
    (void)state;
    (void)opened();
    struct run *r = rig_run("{" HEAD "nodes: {a: {type: work, fallback: b}, "
                            "b: {type: work, value: \"'s'\"}, c: {type: work, value: \"'s'\"}},"
                            " finally: [c]}");
    rig_fail("a", FAILURE_PERMANENT, "bad");
    assert_null(rig_find("b"));
    assert_int_equal(held(r), 1);
    rig_check_fold(r);
    rig_wait_ms(10000);
    for (int i = 0; i < 20 && run_status(r) != EXEC_COMPLETED; i++) {
        rig_done_all();
        rig_wait_ms(10000);
    }
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig_starts_of("b"), 1);
    assert_int_equal(rig_starts_of("c"), 1);
}

int run_breaker_tests(void) {
#define WITH_RIG(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        WITH_RIG(only_failures_in_a_row_open_it),
        WITH_RIG(who_is_held_back_loses_no_attempt),
        WITH_RIG(one_probe_at_a_time_and_its_answer_wakes_all),
        WITH_RIG(each_failed_probe_doubles_the_time),
        WITH_RIG(a_service_says_itself_how_long),
        WITH_RIG(a_probe_that_is_cancelled_leaves_it_to_the_next),
        WITH_RIG(one_that_was_let_go_and_never_came_holds_nobody_up),
        WITH_RIG(a_timeout_counts_as_a_failure),
        WITH_RIG(whoever_answers_closes_it),
        WITH_RIG(others_go_on),
        WITH_RIG(the_concurrency_of_a_foreach_holds),
        WITH_RIG(the_executions_time_goes_on),
        WITH_RIG(another_process_finds_the_time_and_asks_for_itself),
        WITH_RIG(what_winds_down_is_not_held_back),
        WITH_RIG(auxiliary_nodes_are_held_back_too),
    };
    return cmocka_run_group_tests_name("breakers", tests, NULL, NULL);
}

/* Time: retries at their recorded due times, timeouts of attempts and of executions, and what a
 * crash changes of them (nothing).
 */
#include "rig.h"

#include "host/host_priv.h"

static void retries_back_off(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work, "
                "retry: {attempts: 4, backoff: 10s, factor: 2, max: 25s, jitter: 0}}}}");
    const int64_t delays_ms[] = {10000, 20000, 25000};
    for (uint32_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
        rig_fail("a", FAILURE_TRANSIENT, "flaky");
        assert_int_equal(engine_node_status(run_engine(r), 0), STEP_RETRYING);
        rig_wait_ms(delays_ms[i] - 1);
        assert_null(rig_find("a"));
        rig_wait_ms(1);
        assert_int_equal(rig_find("a")->attempt, i + 2);
    }
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_string_equal(rig_status(r), "failed");
    assert_string_equal(rig_error(r), "{\"type\":\"flaky\",\"message\":\"as the test says\","
                                      "\"node\":\"a\",\"attempt\":4}");
}

static void permanent_failures_are_not_retried(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 4}}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 4, on: [broken]}}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(60000);
    rig_fail("a", FAILURE_TRANSIENT, "flaky"); /* not listed */
    assert_string_equal(rig_status(r), "failed");
}

/* A due time with jitter is the same whoever computes it, and a crash does not move it. */
static void jitter_is_recorded(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, "
                            "retry: {attempts: 3, backoff: 20s, jitter: 0.5}}}}");
    int64_t failed_us = rig.now.us;
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    wall_us due = {0}, again = {0};
    assert_true(host_next_due(rig.host, &due));
    assert_true(due.us >= failed_us + 10000000 && due.us <= failed_us + 30000000);
    assert_true(due.us != failed_us + 20000000);
    r = rig_restart(r, 5000);
    rig_turns();
    assert_true(host_next_due(rig.host, &again));
    assert_int_equal(due.us, again.us);
    assert_null(rig_find("a"));
    rig.now = due;
    rig_turns();
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* The time has passed while nobody owned it: at once, and only once. */
static void a_due_time_passed_while_away(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, "
                            "retry: {attempts: 2, backoff: 10s}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    r = rig_restart(r, 3600000);
    rig_turns();
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void a_timeout_stops_the_attempt(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, timeout: 5s}}}");
    rig_wait_ms(4999);
    assert_false(rig_find("a")->cancelled);
    rig_wait_ms(1);
    assert_null(rig_find("a"));
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "\"type\":\"timeout\""));
    assert_non_null(strstr(rig_error(r), "timeout of 5s"));
}

static void never_two_attempts_at_once(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, timeout: 5s, "
                            "retry: {attempts: 3, backoff: 1s, jitter: 0}}}}");
    rig.cancel_waits = true;
    rig_wait_ms(5000);
    struct started *first = rig_find("a");
    assert_true(first->cancelled);
    rig_wait_ms(60000);
    assert_ptr_equal(rig_find("a"), first); /* due, but the one before has not ended */
    assert_int_equal(rig_starts_of("a"), 1);
    rig_tell_done(first, "1", NULL); /* what it still says is ignored */
    rig_turns();
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", "2");
    assert_string_equal(rig_status(r), "completed");
    rig.cancel_waits = false;
}

static void waiting_for_a_slot_is_not_counted(void **state) {
    (void)state;
    rig.options.slots = 1;
    rig_reopen();
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, timeout: 5s}}}");
    rig_wait_ms(60000);
    rig_done("a", NULL);
    assert_non_null(rig_find("b"));
    rig_wait_ms(4999);
    assert_non_null(rig_find("b"));
    rig_wait_ms(1);
    assert_null(rig_find("b"));
    assert_string_equal(rig_status(r), "failed");
}

static void an_execution_times_out(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 1s, nodes: {a: {type: work}, b: {type: work, "
                            "needs: [a]}}}");
    rig_wait_ms(999);
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(1);
    assert_string_equal(rig_status(r), "failed");
    assert_string_equal(rig_error(r),
                        "{\"type\":\"timeout\",\"message\":\"Execution timed out after 1 "
                        "seconds\",\"node\":null,\"attempt\":null}");
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig_count(run_id(r), "step_cancelled a"), 1);
    assert_int_equal(rig_count(run_id(r), "step_cancelled b"), 1);
}

static void an_execution_times_out_while_away(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 90s, nodes: {a: {type: work}}}");
    assert_int_equal(rig_stored(run_id(r)).row.deadline.us, rig.now.us + 90000000);
    r = rig_restart(r, 100000);
    rig_turns();
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "Execution timed out after 90 seconds"));
    assert_int_equal(rig_open_count(), 0);
}

static void a_submission_may_shorten_the_time(void **state) {
    (void)state;
    struct error e;
    struct run *r = NULL;
    struct host_submission s = {.plan =
                                    rig_plan("{cairn: 1, timeout: 90s, nodes: {a: {type: work}}}"),
                                .inputs = {.type = VALUE_MAP},
                                .timeout_us = 2500000};
    assert_int_equal(host_submit(rig.host, &s, &r, &e), OK);
    rig_turns();
    rig_wait_ms(2500);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "Execution timed out after 2.5 seconds"));
}

/* A clock that goes back moves nothing back: events never are older than those before. */
static void a_clock_that_jumps_back(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig.now.us -= 3600000000;
    rig_done("a", NULL);
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
    struct store_execution x = rig_stored(run_id(r));
    struct store_event *rows;
    struct error e;
    uint32_t count;
    struct store_range all = {x.num, 0, x.last_seq};
    assert_int_equal(store_read_events(rig.disk, all, &rig.arena, &rows, &count, &e), OK);
    for (uint32_t i = 1; i < count; i++) {
        assert_true(rows[i].at.us >= rows[i - 1].at.us);
    }
}

static void timers_of_what_is_over_are_forgotten(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 1h, nodes: {a: {type: work, timeout: 10s}}}");
    wall_us due;
    assert_true(host_next_due(rig.host, &due));
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
    rig_turn();
    assert_false(host_next_due(rig.host, &due));
}

enum { HOUR_MS = 3600000 };

/* Retries and timeouts take as long as they say, those set before the jump and those after it; the
 * journal's time does not go back. */
static void a_clock_set_back_delays_nothing(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 60s, nodes: {a: {type: work, "
                            "retry: {attempts: 9, backoff: 10s, factor: 1, jitter: 0}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    rig_wait_ms(4000);
    for (int i = 0; i < 3; i++) {
        wall_us before = engine_times(run_engine(r)).last;
        rig_jump_ms(i == 2 ? HOUR_MS : -HOUR_MS); /* the last: in part back to where it was */
        rig_wait_ms(i == 0 ? 5999 : 9999);
        assert_null(rig_find("a"));
        rig_wait_ms(1);
        assert_int_equal(rig_find("a")->attempt, i + 2);
        assert_true(engine_times(run_engine(r)).last.us > before.us);
        rig_fail("a", FAILURE_TRANSIENT, "flaky");
    }
    rig_wait_ms(10000);
    assert_int_equal(rig_find("a")->attempt, 5); /* 40 s of its 60 are over */
    rig_wait_ms(19999);
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(1);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "\"type\":\"timeout\""));
}

static void a_clock_set_forward_makes_due_what_it_passes(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, "
                            "retry: {attempts: 4, backoff: 10s, factor: 1, jitter: 0}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    rig_jump_ms(HOUR_MS);
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    rig_wait_ms(9999);
    assert_null(rig_find("a"));
    rig_wait_ms(1);
    rig_done("a", "1");
    assert_string_equal(rig_status(r), "completed");
}

/* What was set while the clock was wrong is of the wrong time: the way back must not stretch it. */
static void a_clock_set_forward_and_back_delays_nothing(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, "
                            "retry: {attempts: 4, backoff: 10s, factor: 1, jitter: 0}}}}");
    rig_jump_ms(HOUR_MS);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    rig_jump_ms(-HOUR_MS);
    rig_wait_ms(9999);
    assert_null(rig_find("a"));
    rig_wait_ms(1);
    assert_non_null(rig_find("a"));
    rig_done("a", "1");
    assert_string_equal(rig_status(r), "completed");
}

/* A clock that is an hour behind the journal: what is left of a wait is at most all of it. */
static void a_resume_on_a_clock_behind_the_journal(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, "
                            "retry: {attempts: 4, backoff: 10s, factor: 1, jitter: 0}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    struct run *again = rig_restart(r, -HOUR_MS);
    rig_turns();
    rig_wait_ms(9999);
    assert_null(rig_find("a"));
    rig_wait_ms(1);
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", "1");
    assert_string_equal(rig_status(again), "completed");
}

int run_time_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(retries_back_off),
        T(a_clock_set_back_delays_nothing),
        T(a_clock_set_forward_makes_due_what_it_passes),
        T(a_clock_set_forward_and_back_delays_nothing),
        T(a_resume_on_a_clock_behind_the_journal),
        T(permanent_failures_are_not_retried),
        T(jitter_is_recorded),
        T(a_due_time_passed_while_away),
        T(a_timeout_stops_the_attempt),
        T(never_two_attempts_at_once),
        T(waiting_for_a_slot_is_not_counted),
        T(an_execution_times_out),
        T(an_execution_times_out_while_away),
        T(a_submission_may_shorten_the_time),
        T(a_clock_that_jumps_back),
        T(timers_of_what_is_over_are_forgotten),
#undef T
    };
    return cmocka_run_group_tests_name("host times", tests, NULL, NULL);
}

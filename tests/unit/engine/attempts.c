/* Attempts of a step: retries and their delays, timeouts, what may be tried again, late and double
 * news, calls.
 */
#include "groups.h"

#define ONE(fields) "cairn: 1\nnodes:\n  a: {type: work, " fields "}\n"

static int64_t delay_after(const char *yaml, uint32_t failures) {
    struct drive d;
    int64_t delay_us = 0;
    drive_open(&d, yaml);
    for (uint32_t i = 1; i <= failures; i++) {
        drive_fail(&d, "a", i, FAILURE_TRANSIENT, "code");
        const struct engine_effect *timer = effect_of(&d, OUT_TIMER);
        assert_non_null(timer);
        assert_int_equal(timer->timer, INPUT_RETRY_DUE);
        assert_int_equal(timer->due.us, event_of(&d, EVENT_STEP_RETRYING)->due_us);
        delay_us = timer->due.us - d.now_us;
        d.now_us = timer->due.us;
        drive_input(&d, INPUT_RETRY_DUE, "a", i);
        assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, i + 1);
    }
    drive_close(&d);
    return delay_us;
}

static void delays_grow_to_their_maximum(void **state) {
    static const char yaml[] =
        ONE("retry: {attempts: 9, backoff: 1s, factor: 3, max: 20s, jitter: 0}");
    (void)state;
    assert_int_equal(delay_after(yaml, 1), 1000000);
    assert_int_equal(delay_after(yaml, 2), 3000000);
    assert_int_equal(delay_after(yaml, 3), 9000000);
    assert_int_equal(delay_after(yaml, 4), 20000000);
    assert_int_equal(delay_after(yaml, 5), 20000000);
}

static void jitter_is_bounded_and_repeats(void **state) {
    static const char yaml[] =
        ONE("retry: {attempts: 9, backoff: 10s, factor: 1, max: 1h, jitter: 0.5}");
    int64_t first = delay_after(yaml, 1), seen = 0;
    (void)state;
    assert_int_equal(delay_after(yaml, 1), first);
    for (uint32_t i = 1; i <= 6; i++) {
        int64_t delay_us = delay_after(yaml, i);
        assert_in_range(delay_us, 5000000, 15000000);
        seen += delay_us != first;
    }
    assert_true(seen > 0);
}

static void no_backoff_starts_at_once(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ONE("retry: {attempts: 3, backoff: 0s}"));
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(effects_of(&d, OUT_TIMER), 0);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 2);
    drive_close(&d);
}

/* The attempts that a failure leads to: 0 when it was not tried again. */
static bool is_retried(const char *yaml, enum failure_class class, const char *type) {
    struct drive d;
    drive_open(&d, yaml);
    drive_fail(&d, "a", 1, class, type);
    bool retried = event_of(&d, EVENT_STEP_RETRYING) != NULL;
    assert_int_equal(engine_status(d.engine), retried ? EXEC_RUNNING : EXEC_FAILED);
    drive_close(&d);
    return retried;
}

static void only_listed_failures_are_tried_again(void **state) {
    (void)state;
    assert_true(is_retried(ONE("retry: {attempts: 2}"), FAILURE_TRANSIENT, "x"));
    assert_false(is_retried(ONE("retry: {attempts: 2}"), FAILURE_PERMANENT, "x"));
    assert_false(is_retried(ONE("retry: {attempts: 1}"), FAILURE_TRANSIENT, "x"));
    assert_true(is_retried(ONE("retry: {attempts: 2, on: [x]}"), FAILURE_PERMANENT, "x"));
    assert_false(is_retried(ONE("retry: {attempts: 2, on: [x]}"), FAILURE_TRANSIENT, "y"));
    assert_true(is_retried(ONE("retry: {attempts: 2, on: [permanent]}"), FAILURE_PERMANENT, "y"));
    assert_true(is_retried(ONE("retry: {attempts: 2, on: [any]}"), FAILURE_PERMANENT, "y"));
}

#define ONCE "delivery: at_most_once, retry: {attempts: 5, "

static void at_most_once_is_in_doubt(void **state) {
    struct drive d;
    (void)state;
    assert_false(is_retried(ONE(ONCE "on: [any]}"), FAILURE_TRANSIENT, "x"));
    assert_false(is_retried(ONE(ONCE "on: [transient, x]}"), FAILURE_TRANSIENT, "x"));
    assert_true(is_retried(ONE(ONCE "on: [in_doubt]}"), FAILURE_PERMANENT, "x"));
    drive_open(&d, ONE(ONCE "on: [any]}"));
    drive_input(&d, INPUT_START, NULL, 0); /* another owner */
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
    assert_str(engine_error(d.engine)->type, "in_doubt");
    drive_close(&d);
}

static void a_timeout_stops_and_fails(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ONE("timeout: 90s"));
    assert_int_equal(flight_in(effect_of(&d, OUT_PERFORM)->flight)->timeout_us, 90000000);
    d.now_us += 90000000;
    drive_input(&d, INPUT_STEP_TIMEOUT, "a", 1);
    assert_int_equal(effects_of(&d, OUT_CANCEL), 1);
    assert_str(event_of(&d, EVENT_STEP_FAILED)->error_type, "timeout");
    assert_true(str_find(event_of(&d, EVENT_STEP_FAILED)->message, STR("1m30s"), 0) != SIZE_MAX);
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_close(&d);
}

static void the_execution_has_a_timeout_too(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\ntimeout: 2s\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a}\n");
    assert_int_equal(engine_times(d.engine).deadline.us, NOW_US + 2000000);
    d.now_us += 2000000;
    drive_input(&d, INPUT_EXEC_TIMEOUT, NULL, 0);
    assert_int_equal(effects_of(&d, OUT_CANCEL), 1);
    assert_int_equal(effects_of(&d, OUT_ENDED), 1);
    assert_str(engine_error(d.engine)->type, "timeout");
    assert_str(engine_error(d.engine)->message, "Execution timed out after 2 seconds");
    drive_close(&d);
}

static void news_of_other_attempts_moves_nothing(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ONE("retry: {attempts: 3, backoff: 0s}"));
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    uint64_t seq = engine_last_seq(d.engine);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_done(&d, "a", 1, value_int(1));
    drive_input(&d, INPUT_STEP_TIMEOUT, "a", 1);
    drive_input(&d, INPUT_RETRY_DUE, "a", 1);
    drive_done(&d, "a#1", 2, value_int(1));
    drive_done(&d, "a[0]", 2, value_int(1));
    assert_int_equal(engine_last_seq(d.engine), seq);
    drive_done(&d, "a", 2, value_int(5));
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_done(&d, "a", 2, value_int(6));
    assert_int_equal(engine_node_body(d.engine, 0).num, 5);
    drive_close(&d);
}

/* A due retry that is told twice (a timer, and again after a fold) starts one attempt. */
static void a_retry_told_twice_starts_once(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\nconcurrency: 1\nnodes:\n"
               "  a: {type: work, foreach: {items: [1, 2]}, retry: {attempts: 4, backoff: 1s}}\n");
    drive_fail(&d, "a[0]", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(effect_of(&d, OUT_PERFORM)->step.index, 1); /* it has the slot now */
    d.now_us += 60000000;
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
    drive_done(&d, "a[1]", 1, value_int(1));
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 2);
    drive_fail(&d, "a[0]", 2, FAILURE_TRANSIENT, "code");
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0); /* not before it is due */
    assert_int_equal(effects_of(&d, OUT_TIMER), 1);
    drive_close(&d);
}

static void tell_call(struct drive *d, enum input_type type, uint32_t call) {
    struct engine_input in = {.type = type,
                              .step = {0, 0, -1, 0},
                              .attempt = 1,
                              .call = call,
                              .value = value_int(7),
                              .now = {d->now_us}};
    struct error e;
    engine_out_reset(&d->out);
    assert_int_equal(engine_decide(d->engine, &in, &d->out, &e), OK);
}

static void calls_are_recorded_once(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ONE("note: x"));
    tell_call(&d, INPUT_CALL_DONE, 1);
    assert_int_equal(d.out.record_count, 0); /* not begun */
    tell_call(&d, INPUT_CALL_BEGUN, 1);
    assert_int_equal(d.out.record_count, 1);
    tell_call(&d, INPUT_CALL_BEGUN, 1);
    assert_int_equal(d.out.record_count, 0);
    tell_call(&d, INPUT_CALL_DONE, 1);
    tell_call(&d, INPUT_CALL_DONE, 1);
    assert_int_equal(d.out.record_count, 0);
    assert_int_equal(engine_call_count(d.engine), 1);
    assert_int_equal(engine_call(d.engine, 0)->answer.num, 7);
    drive_close(&d);
}

int run_attempt_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(delays_grow_to_their_maximum),    TEST(jitter_is_bounded_and_repeats),
        TEST(no_backoff_starts_at_once),       TEST(only_listed_failures_are_tried_again),
        TEST(at_most_once_is_in_doubt),        TEST(a_timeout_stops_and_fails),
        TEST(the_execution_has_a_timeout_too), TEST(news_of_other_attempts_moves_nothing),
        TEST(a_retry_told_twice_starts_once),  TEST(calls_are_recorded_once)};
    return cmocka_run_group_tests_name("attempts", tests, NULL, NULL);
}

/* Cancelling: by hand, by a failure, and what comes after it.
 */
#include "rig.h"

static void cancel(struct run *r) {
    struct error e;
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
}

static void a_running_execution_is_cancelled(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    cancel(r);
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig_open_count(), 0);
    assert_string_equal(rig_error(r), "");
    assert_string_equal(rig_result(r), "");
    assert_string_equal(rig_journal(run_id(r)),
                        "execution_created; execution_started; step_scheduled a 1; "
                        "cancel_requested; step_cancelled a; step_cancelled b; "
                        "execution_cancelled");
    assert_int_equal(rig.ended, 1);
    cancel(r); /* of what has ended: nothing */
    assert_int_equal(rig.ended, 1);
}

static void before_it_began(void **state) {
    (void)state;
    struct run *r = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    cancel(r);
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig.start_count, 0); /* started and ended in one commit: nothing leaves */
}

static void what_arrived_first_counts(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, e: {type: end, needs: [a], value: "
                            "a}}}");
    rig_tell_done(rig_find("a"), "1", NULL);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    assert_int_equal(rig_count(run_id(r), "step_completed a"), 1);
    r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_tell_done(rig_find("a"), "1", "{\"usage\": {\"tokens\": 7}}");
    rig_turns();
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig_count(run_id(r), "step_completed a"), 0);
    assert_int_equal(rig_count(run_id(r), "late_result a"), 1);
}

static void a_late_result_is_kept(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, on_failure: continue, nodes: {a: {type: work, foreach: "
                            "{items: \"[1, 2]\"}, value: item}, b: {type: work}}}");
    rig.cancel_waits = true;
    rig_fail("a[0]", FAILURE_PERMANENT, "broken");
    assert_true(rig_find("a[1]")->cancelled);
    rig_done_full("a[1]", "1", "{\"usage\": {\"tokens\": 7}}");
    assert_int_equal(rig_count(run_id(r), "late_result a[1]"), 1);
    rig.cancel_waits = false;
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "failed");
}

static struct store_step row_of(struct run *r, const char *step) {
    struct store_step *rows;
    struct error e;
    uint32_t count = 0;
    assert_int_equal(
        store_steps_read(rig.disk, rig_stored(run_id(r)).num, &rig.arena, &rows, &count, &e), OK);
    for (uint32_t i = 0; i < count; i++) {
        if (str_is(rows[i].step, step)) {
            return rows[i];
        }
    }
    fail_msg("no row of %s", step);
    return (struct store_step){0};
}

/* The execution is over, what it cost is not: usage and cost of a call that could not be stopped
 * are recorded after the end. */
static void a_late_result_after_the_end(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct step_port *port = rig_find("a")->port;
    (void)port->ops->call_begin(port, value_null(), &(struct value){0});
    rig.cancel_waits = true;
    cancel(r);
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig.ended, 1);
    assert_true(rig_turn()); /* the attempt has not ended */
    rig_done_full("a", "1", "{\"usage\": {\"tokens\": 7}}");
    assert_int_equal(rig_count(run_id(r), "late_result a"), 1);
    assert_int_equal(rig.ended, 1);
    assert_false(rig_turn());
    assert_string_equal(row_of(r, "a").usage.ptr, "{\"tokens\":7}");
    assert_string_equal(row_of(r, "a").status.ptr, "cancelled");
    struct store_execution x = rig_stored(run_id(r));
    assert_int_equal(x.row.steps_upto, x.last_seq);
    assert_int_equal(x.host, 0);
    struct store_message *messages;
    struct error e;
    uint32_t count = 0;
    assert_int_equal(store_messages_read(rig.disk, x.num, &rig.arena, &messages, &count, &e), OK);
    assert_int_equal(count, 1);
    struct host_view v;
    assert_int_equal(host_view_open(rig.disk, rig.options.kinds, run_id(r), &v, &e), OK);
    assert_int_equal(engine_status(v.engine), EXEC_CANCELLED);
    host_view_close(&v);
}

static void a_late_result_after_the_end_survives_faults(void **state) {
    (void)state;
    for (const char *fault = "ba"; *fault; fault++) {
        char one[2] = {*fault, '\0'};
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
        rig.cancel_waits = true;
        cancel(r);
        rig.commits = one;
        rig_done_full("a", "1", "{\"usage\": {\"tokens\": 7}}");
        assert_int_equal(rig_count(run_id(r), "late_result a"), 1);
        assert_string_equal(row_of(r, "a").usage.ptr, "{\"tokens\":7}");
        assert_int_equal(rig.ended, 1);
        assert_int_equal(rig.lost, 0);
        assert_false(rig_turn());
        rig_teardown(NULL);
    }
}

static void late_without_usage_is_nothing(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    rig.cancel_waits = true;
    cancel(r);
    uint64_t last = rig_stored(run_id(r)).last_seq;
    rig_done("a", "1");
    assert_int_equal(rig_stored(run_id(r)).last_seq, last);
    assert_false(rig_turn());
}

static void a_failure_cancels_the_rest(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, on_failure: cancel, nodes: {a: {type: work}, b: {type: "
                            "work}, c: {type: work, needs: [b]}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig_count(run_id(r), "step_cancelled"), 2);
}

static void a_drain_lets_finish(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}, c: {type: work, "
                            "needs: [b]}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "running");
    rig_done("b", "1");
    assert_string_equal(rig_status(r), "failed");
    assert_int_equal(rig_starts_of("c"), 0);
}

static void what_retries_is_cancelled(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 3, backoff: 10s}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    cancel(r);
    assert_string_equal(rig_status(r), "cancelled");
    rig_wait_ms(60000);
    assert_int_equal(rig.start_count, 1);
}

/* A kind that cannot be told to stop ends when it ends. */
static void what_cannot_be_stopped_ends_by_itself(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: mute}}}");
    cancel(r);
    assert_string_equal(rig_status(r), "cancelled");
    assert_true(rig_turn());
    rig_done("a", NULL);
    assert_false(rig_turn());
}

int run_cancel_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(a_running_execution_is_cancelled),
        T(before_it_began),
        T(what_arrived_first_counts),
        T(a_late_result_is_kept),
        T(a_late_result_after_the_end),
        cmocka_unit_test(a_late_result_after_the_end_survives_faults),
        T(late_without_usage_is_nothing),
        T(a_failure_cancels_the_rest),
        T(a_drain_lets_finish),
        T(what_retries_is_cancelled),
        T(what_cannot_be_stopped_ends_by_itself),
#undef T
    };
    return cmocka_run_group_tests_name("host cancels", tests, NULL, NULL);
}

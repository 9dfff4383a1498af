/* Slots of the host: how many effects are performed at once, and whose turn it is.
 */
#include "rig.h"

static void set_slots(uint32_t slots) {
    rig.options.slots = slots;
    rig_reopen();
}

static void no_more_than_the_slots(void **state) {
    (void)state;
    set_slots(3);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, foreach: {items: \"[1,2,3,4,5,6,7,"
                            "8,9,10]\"}, value: item}}}");
    assert_int_equal(rig_open_count(), 3);
    for (int i = 0; i < 7; i++) {
        rig_tell_done(&rig.starts[i], NULL, NULL);
        rig_turns();
        assert_int_equal(rig_open_count(), 3);
        assert_int_equal(rig.start_count, 4 + i);
    }
    rig_done_all();
    assert_int_equal(rig.start_count, 10);
    assert_string_equal(rig_status(r), "completed");
}

static void sixty_four_unless_told_otherwise(void **state) {
    (void)state;
    (void)rig_run(
        "{cairn: 1, inputs: {n: {type: integer, default: 1}}, nodes: {"
        "l: {type: work}, a: {type: work, needs: [l], foreach: {items: l}, value: item}}}");
    char json[256] = "[0";
    for (int i = 1; i < 100; i++) {
        strcat(json, ",0");
    }
    strcat(json, "]");
    rig_done("l", json);
    assert_int_equal(rig_open_count(), HOST_SLOTS);
    rig_done_all();
    assert_int_equal(rig.start_count, 101);
}

/* Two executions with many steps share fairly. */
static void executions_take_turns(void **state) {
    (void)state;
    set_slots(1);
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work, foreach: {items: "
                                    "\"[1,2,3,4]\"}, value: item}}}");
    struct run *runs[] = {rig_submit(p, NULL), rig_submit(p, NULL)};
    rig_turns();
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(rig.start_count, i + 1);
        if (i > 0) {
            assert_string_not_equal(rig.starts[i].execution, rig.starts[i - 1].execution);
        }
        rig_tell_done(&rig.starts[i], NULL, NULL);
        rig_turns();
    }
    for (uint32_t i = 2; i < 8; i++) {
        assert_int_equal(rig.starts[i].step[2], rig.starts[i - 2].step[2] + 1); /* item order */
    }
    assert_string_equal(rig_status(runs[0]), "completed");
    assert_string_equal(rig_status(runs[1]), "completed");
}

static void the_first_step_of_each_is_before_the_second_of_any(void **state) {
    (void)state;
    set_slots(2);
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work}, b: {type: work}}}");
    struct run *runs[] = {rig_submit(p, NULL), rig_submit(p, NULL)};
    rig_turns();
    assert_int_equal(rig.start_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_string_equal(rig.starts[i].step, "a");
        assert_true(str_is(run_id(runs[i]), rig.starts[i].execution));
    }
    rig_done_all();
    assert_string_equal(rig_status(runs[0]), "completed");
    assert_string_equal(rig_status(runs[1]), "completed");
}

static void who_waits_is_before_who_comes(void **state) {
    (void)state;
    set_slots(1);
    (void)rig_run("{cairn: 1, nodes: {a: {type: work}, c: {type: work, needs: [a]}}}");
    (void)rig_run("{cairn: 1, nodes: {b: {type: work}}}");
    rig_done("a", NULL); /* its slot is free when c is to begin */
    assert_non_null(rig_find("b"));
    assert_null(rig_find("c"));
    rig_done_all();
}

static void what_needs_no_slot_passes(void **state) {
    (void)state;
    set_slots(1);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}, c: {type: light},"
                            "d: {type: calc, value: \"1\"}}}");
    assert_non_null(rig_find("a"));
    assert_null(rig_find("b"));
    assert_non_null(rig_find("c"));
    rig_done("c", NULL);
    assert_null(rig_find("b")); /* it gave no slot back */
    rig_done("a", NULL);
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* It waits for the attempt before it, not for a slot. */
static void a_second_attempt_without_a_slot_passes(void **state) {
    (void)state;
    set_slots(1);
    (void)rig_run("{cairn: 1, nodes: {a: {type: work}, q: {type: work}, c: {type: light, timeout: "
                  "1s, retry: {attempts: 2, backoff: 1s, jitter: 0}}}}");
    rig.cancel_waits = true;
    rig_wait_ms(1000);
    rig_wait_ms(1000);
    assert_int_equal(rig_starts_of("c"), 1);
    rig_tell_failed(rig_find("c"), FAILURE_PERMANENT, "cancelled");
    rig_turns();
    assert_int_equal(rig_starts_of("c"), 2);
    rig.cancel_waits = false;
    rig_done_all();
}

static void retrying_holds_no_slot(void **state) {
    (void)state;
    set_slots(1);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 2, backoff: 10s, "
                            "jitter: 0}}, b: {type: work}}}");
    assert_null(rig_find("b"));
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_non_null(rig_find("b"));
    rig_wait_ms(10000);
    assert_null(rig_find("a"));
    rig_done("b", NULL);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* An attempt that was told to stop holds its slot until it has ended. */
static void stopping_holds_the_slot(void **state) {
    (void)state;
    set_slots(1);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, timeout: 1s, on_error: {value: "
                            "\"0\"}}, b: {type: work}}}");
    rig.cancel_waits = true;
    rig_wait_ms(1000);
    assert_null(rig_find("b"));
    rig_tell_failed(rig_find("a"), FAILURE_PERMANENT, "cancelled");
    rig_turns();
    assert_non_null(rig_find("b"));
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
    rig.cancel_waits = false;
}

static void a_cancelled_execution_leaves_the_queue(void **state) {
    (void)state;
    set_slots(1);
    struct error e;
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work, foreach: {items: "
                                    "\"[1,2,3,4]\"}, value: item}}}");
    struct run *first = rig_submit(p, NULL);
    struct run *second = rig_submit(p, NULL);
    rig_turns();
    assert_int_equal(host_cancel(rig.host, second, STR("me"), &e), OK);
    rig_turns();
    rig_done_all();
    assert_int_equal(rig.start_count, 4);
    assert_string_equal(rig_status(first), "completed");
    assert_string_equal(rig_status(second), "cancelled");
}

static void slots_of_the_execution_come_first(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, concurrency: 2, nodes: {a: {type: work, foreach: {items: "
                            "\"[1,2,3,4,5]\", concurrency: 4}, value: item}, b: {type: work}}}");
    assert_int_equal(rig_open_count(), 2);
    rig_done_all();
    assert_int_equal(rig.start_count, 6);
    assert_string_equal(rig_status(r), "completed");
}

int run_slot_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(no_more_than_the_slots),
        T(sixty_four_unless_told_otherwise),
        T(executions_take_turns),
        T(who_waits_is_before_who_comes),
        T(the_first_step_of_each_is_before_the_second_of_any),
        T(what_needs_no_slot_passes),
        T(a_second_attempt_without_a_slot_passes),
        T(retrying_holds_no_slot),
        T(stopping_holds_the_slot),
        T(a_cancelled_execution_leaves_the_queue),
        T(slots_of_the_execution_come_first),
#undef T
    };
    return cmocka_run_group_tests_name("host slots", tests, NULL, NULL);
}

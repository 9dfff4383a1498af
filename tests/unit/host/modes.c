/* Failure modes of docs/guarantees.md, by their numbers, that take an order of events which only
 * this rig can bring about.
 */
#include "rig.h"

/* The memory of an execution is thrown away while attempts run, so its effects are told again. */
static void failure_mode_03_what_is_under_way_is_not_begun_again(void **state) {
    (void)state;
    for (const char *script = "ab"; *script; script++) {
        char one[2] = {*script, '\0'};
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}, c: {type: "
                                "work, needs: [b]}, k: {type: kid, workflow: {nodes: {x: {type: "
                                "work}}}}}}");
        rig.commits = one;
        rig.commit_count = 0;
        rig_done("b", NULL);
        assert_int_equal(rig_starts_of("a"), 1);
        assert_int_equal(rig_starts_of("x"), 1);
        assert_int_equal(rig_starts_of("c"), 1);
        assert_false(rig_find("a")->cancelled || rig_find("x")->cancelled);
        rig_done_all();
        assert_string_equal(rig_status(r), "completed");
        assert_int_equal(rig_starts_of("a") + rig_starts_of("x"), 2);
        rig_teardown(NULL);
    }
}

/* Two of its executions: one was taken, the other goes on. */
static void failure_mode_04_what_was_taken_is_fenced_alone(void **state) {
    (void)state;
    const char *two = "{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}";
    struct run *taken = rig_run(two);
    struct started *late = rig_find("a");
    struct run *kept = rig_run(two);
    struct started *fine = rig_find("a");
    rig_take_over(taken);
    const char *before = rig_journal(run_id(taken));
    rig_tell_done(late, "1", NULL); /* both in one commit */
    rig_tell_done(fine, "1", NULL);
    rig_turns();
    assert_int_equal(rig.lost, 1);
    assert_string_equal(rig_journal(run_id(taken)), before);
    assert_int_equal(rig_starts_of("b"), 1);
    rig_done("b", NULL);
    assert_string_equal(rig_status(kept), "completed");
}

static void failure_mode_05_a_slot_is_not_kept_over_a_restart(void **state) {
    (void)state;
    rig.options.slots = 1;
    rig_reopen();
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, foreach: \"[1, 2, 3]\", value: "
                            "item}, e: {type: end, needs: [a], value: a}}}");
    for (int i = 0; i < 2; i++) {
        r = rig_restart(r, 0);
        rig_turns();
        assert_string_equal(rig_status(r), "running");
        assert_int_equal(rig_open_count(), 1);
    }
    for (int i = 0; i < 3; i++) {
        char step[16], body[16];
        snprintf(step, sizeof step, "a[%d]", i);
        snprintf(body, sizeof body, "%d", i);
        assert_int_equal(rig_open_count(), 1);
        rig_done(step, body);
    }
    assert_string_equal(rig_result(r), "[0,1,2]");
}

static void failure_mode_16_a_retry_keeps_its_time_over_restarts(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 3, backoff: 10s, "
                            "jitter: 0}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    for (int i = 0; i < 5; i++) {
        r = rig_restart(r, 1000);
        rig_turns();
        assert_int_equal(rig_open_count(), 0);
    }
    rig_wait_ms(4999);
    assert_int_equal(rig_open_count(), 0);
    rig_wait_ms(1); /* ten seconds after the failure, not after the last restart */
    assert_int_equal(rig_open_count(), 1);
    assert_int_equal(rig_starts_of("a"), 2);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    r = rig_restart(r, 60000); /* nobody was there when it came due: once, not once a period */
    rig_turns();
    assert_int_equal(rig_open_count(), 1);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_int_equal(rig_starts_of("a"), 3);
    assert_string_equal(rig_status(r), "failed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int run_mode_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_mode_03_what_is_under_way_is_not_begun_again),
        T(failure_mode_04_what_was_taken_is_fenced_alone),
        T(failure_mode_05_a_slot_is_not_kept_over_a_restart),
        T(failure_mode_16_a_retry_keeps_its_time_over_restarts),
    };
    return cmocka_run_group_tests_name("failure modes", tests, NULL, NULL);
}

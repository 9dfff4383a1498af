/* What leaves when: effects and news only after the commit that decided them, and one commit for
 * all that happened in a turn.
 */
#include "rig.h"

static const char *const one_step = "{cairn: 1, nodes: {a: {type: work, value: \"7\"}, "
                                    "e: {type: end, needs: [a], value: a}}}";

static void an_effect_leaves_after_its_commit(void **state) {
    (void)state;
    struct run *r = rig_submit(rig_plan(one_step), NULL);
    assert_int_equal(rig.start_count, 0);
    assert_int_equal(rig.commit_count, 0);
    rig_turn(); /* the rig checks that the event is in the store when start is called */
    assert_int_equal(rig.start_count, 1);
    assert_int_equal(rig.commit_count, 1);
    rig_done("a", "41");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "41");
    assert_string_equal(rig_journal(run_id(r)),
                        "execution_created; execution_started; step_scheduled a 1; "
                        "step_completed a; step_completed e; execution_completed");
}

static void nothing_leaves_before_a_commit_that_works(void **state) {
    (void)state;
    rig.commits = "bb";
    (void)rig_submit(rig_plan(one_step), NULL);
    rig_turn();
    assert_int_equal(rig.start_count, 0);
    assert_int_equal(rig.told.count, 0);
    rig_turn();
    assert_int_equal(rig.start_count, 0);
    rig_turn();
    assert_int_equal(rig.start_count, 1);
    rig_done("a", NULL);
}

static void a_turn_is_one_commit(void **state) {
    (void)state;
    const struct plan *p = rig_plan(one_step);
    for (int i = 0; i < 50; i++) {
        (void)rig_submit(p, NULL);
    }
    rig_turn();
    assert_int_equal(rig.start_count, 50);
    assert_int_equal(rig.commit_count, 1);
    for (uint32_t i = 0; i < 50; i++) {
        rig_tell_done(&rig.starts[i], "1", NULL);
    }
    rig_turn();
    assert_int_equal(rig.commit_count, 2);
    rig_turns();
    assert_int_equal(rig.commit_count, 2);
    assert_int_equal(rig.ended, 50);
}

static void pure_steps_run_ahead_in_one_commit(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: calc, value: \"1\"},"
                            "b: {type: calc, needs: [a], value: \"a + 1\"},"
                            "c: {type: choose, needs: [b], when: \"b == 2\"},"
                            "d: {type: work, needs: [c.true], value: b},"
                            "e: {type: end, needs: [c.false], value: b}}}");
    assert_int_equal(rig.commit_count, 1);
    assert_int_equal(rig_starts_of("d"), 1);
    rig_done("d", NULL);
    assert_int_equal(rig.commit_count, 2);
    assert_string_equal(rig_status(r), "completed");
}

static void nothing_to_do_commits_nothing(void **state) {
    (void)state;
    (void)rig_run(one_step);
    uint32_t before = rig.commit_count;
    for (int i = 0; i < 10; i++) {
        assert_true(rig_turn());
    }
    assert_int_equal(rig.commit_count, before);
    rig_done("a", NULL);
    assert_false(rig_turn());
}

static void a_long_loop_takes_several_turns(void **state) {
    (void)state;
    struct run *r = rig_submit(
        rig_plan("{cairn: 1, nodes: {"
                 "n: {type: calc, needs: [again.true], value: iteration, max_iterations: 10000},"
                 "again: {type: choose, needs: [n], when: \"iteration < 4999\"},"
                 "e: {type: end, needs: [again.false], value: \"n + 1\"}}}"),
        NULL);
    struct run *other = rig_submit(rig_plan(one_step), NULL);
    rig_turn();
    assert_int_equal(rig_starts_of("a"), 1); /* the long one does not hold up the other */
    assert_string_equal(rig_status(r), "running");
    assert_true(rig_stored(run_id(r)).last_seq <= HOST_TURN_EVENTS + 10);
    rig_done("a", NULL);
    assert_string_equal(rig_status(other), "completed");
    rig_turns();
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "5000");
    assert_true(rig.commit_count >= 15); /* 15,000 events, at most 1,000 a turn */
    assert_int_equal(rig_stored(run_id(r)).last_seq, 2 + 5000 * 2 + 4999 + 1 + 1);
}

/* The caller has something to say about what was recorded, or leaves. Nothing here would end a
 * wait: a turn that waited finds nobody alive and says that nothing is left to do. */
static void a_turn_that_records_does_not_wait(void **state) {
    struct error e = {0};
    bool busy = false;
    (void)state;
    (void)rig_submit(rig_plan(one_step), NULL);
    assert_int_equal(host_turn(rig.host, true, &busy, &e), OK);
    assert_int_equal(rig.start_count, 1);
    assert_true(busy);
    rig_done("a", NULL);
}

int run_commit_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(an_effect_leaves_after_its_commit),
        T(nothing_leaves_before_a_commit_that_works),
        T(a_turn_is_one_commit),
        T(pure_steps_run_ahead_in_one_commit),
        T(nothing_to_do_commits_nothing),
        T(a_long_loop_takes_several_turns),
        T(a_turn_that_records_does_not_wait),
#undef T
    };
    return cmocka_run_group_tests_name("host commits", tests, NULL, NULL);
}

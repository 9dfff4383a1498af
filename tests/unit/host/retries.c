/* Retries of what has ended: what failed runs anew in a new generation, what completed is kept. */
#include "rig.h"

static struct run *retry_with(struct run *r, struct host_retry q) {
    struct str id = arena_str(&rig.arena, run_id(r));
    q.by = STR("test");
    rig_reopen();
    struct run *again = rig_retry(id, &q);
    rig_check_fold(again);
    return again;
}

static struct run *retry(struct run *r) { return retry_with(r, (struct host_retry){0}); }

static struct run *retry_from(struct run *r, const char *node) {
    return retry_with(r, (struct host_retry){.from = str_from(node)});
}

static enum err refused(struct run *r, const char *from, const char *expected) {
    struct error e = {0};
    struct run *again;
    struct host_retry q = {.from = str_from(from), .by = STR("test")};
    enum err err = host_retry(rig.host, arena_str(&rig.arena, run_id(r)), &q, &again, &e);
    if (!strstr(e.message, expected)) {
        fail_msg("said: %s", e.message);
    }
    return err;
}

static void what_failed_runs_anew(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}, c: "
                            "{type: work, needs: [b]}, e: {type: end, needs: [c], value: \"[a, b, "
                            "c]\"}}}");
    rig_done("a", "1");
    rig_fail("b", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    r = retry(r);
    assert_string_equal(rig_status(r), "running");
    assert_null(rig_find("a"));
    rig_done("b~1", "2");
    rig_done("c~1", "3");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2,3]");
    assert_int_equal(rig_starts_of("a"), 1);
    assert_int_equal(rig_stored(run_id(r)).epoch, 2);
    assert_true(rig_stored(run_id(r)).row.error.len == 0);
    assert_int_equal(rig_count(run_id(r), "execution_retried"), 1);
}

static void again_and_again(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, e: {type: end, needs: [a], value: "
                            "a}}}");
    const char *const steps[] = {"a", "a~1", "a~2", "a~3"};
    for (int i = 0; i < 3; i++) {
        rig_fail(steps[i], FAILURE_PERMANENT, "broken");
        assert_string_equal(rig_status(r), "failed");
        r = retry(r);
    }
    rig_done(steps[3], "4");
    assert_string_equal(rig_result(r), "4");
}

static void two_retries_at_once_are_one(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, e: {type: end, needs: [a], value: "
                            "a}}}");
    struct run *first = NULL, *second = NULL;
    struct host_retry q = {.by = STR("test")};
    struct error e = {0};
    rig_fail("a", FAILURE_PERMANENT, "broken");
    struct str id = arena_str(&rig.arena, run_id(r));
    assert_int_equal(host_retry(rig.host, id, &q, &first, &e), OK);
    assert_int_equal(host_retry(rig.host, id, &q, &second, &e), OK);
    assert_ptr_equal(first, second);
    rig_turns();
    assert_int_equal(rig_count(id, "execution_claimed"), 1);
    rig_done("a~1", "1");
    assert_string_equal(rig_result(second), "1");
}

static void a_crash_in_a_retry_goes_on_with_it(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: calc, needs: [a], "
                            "value: \"a + 1\"}, e: {type: end, needs: [b], value: b}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    r = retry(r);
    r = rig_restart(r, 0);
    rig_turns();
    assert_int_equal(rig_find("a~1")->attempt, 2);
    rig_done("a~1", "2");
    assert_string_equal(rig_result(r), "3");
    rig_check_fold(r);
}

static void completed_items_are_kept(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work, foreach: {items: \"[1, 2, 3, 4]\", "
                "concurrency: 2}, value: item}, e: {type: end, needs: [a], value: a}}}");
    rig_done("a[0]", "10");
    rig_fail("a[1]", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    r = retry(r);
    assert_null(rig_find("a[0]~1"));
    rig_done("a[1]~1", "20");
    rig_done("a[2]~1", "30");
    rig_done("a[3]~1", "40");
    assert_string_equal(rig_result(r), "[10,20,30,40]");
    assert_int_equal(rig_starts_of("a[0]"), 1);
}

static void collected_failures_run_anew(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, foreach: {items: \"[1, 2, 3]\", "
                            "on_item_error: collect}, value: item}, e: {type: end, needs: [a], "
                            "value: \"a.map(x, x.ok)\"}}}");
    rig_done("a[0]", "10");
    rig_fail("a[1]", FAILURE_PERMANENT, "broken");
    rig_done("a[2]", "30");
    assert_string_equal(rig_status(r), "partial");
    assert_string_equal(rig_result(r), "[true,false,true]");
    r = retry(r);
    assert_int_equal(rig_open_count(), 1);
    rig_done("a[1]~1", "20");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[true,true,true]");
}

static void what_saw_nothing_of_it_runs_anew(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work, on_error: continue}, b: {type: "
                "work}, c: {type: calc, needs: [a, b], value: \"[a, b]\"}, e: {type: end, "
                "needs: [c], value: c}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    rig_done("b", "2");
    assert_string_equal(rig_status(r), "partial");
    assert_string_equal(rig_result(r), "[null,2]");
    r = retry(r);
    rig_done("a~1", "1");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2]");
    assert_int_equal(rig_starts_of("b"), 1);
}

static const char *const looped =
    "{cairn: 1, vars: {n: 0}, nodes: {h: {type: work, needs: [q.true], set: {n: \"vars.n + 1\"}}, "
    "m: {type: work, needs: [h]}, q: {type: choose, needs: [m], when: \"vars.n < 3\"}, h2: {type: "
    "work, needs: [q.false]}, e: {type: end, needs: [h2], value: \"[vars.n, h2]\"}}}";

static void a_loop_goes_on_where_it_failed(void **state) {
    (void)state;
    struct run *r = rig_run(looped);
    rig_done("h", NULL);
    rig_done("m", NULL);
    rig_done("h#1", NULL);
    rig_fail("m#1", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    r = retry(r);
    rig_done("m#1~1", NULL);
    rig_done("h#2", NULL);
    rig_done("m#2", NULL);
    rig_done("h2~1", "7");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[3,7]");
    assert_int_equal(rig_starts_of("h#1"), 1);
}

static void a_loop_that_is_over_is_kept(void **state) {
    (void)state;
    struct run *r = rig_run(looped);
    const char *const steps[] = {"h", "m", "h#1", "m#1", "h#2", "m#2"};
    for (int i = 0; i < 6; i++) {
        rig_done(steps[i], NULL);
    }
    rig_fail("h2", FAILURE_PERMANENT, "broken");
    uint32_t before = rig.start_count;
    r = retry(r);
    rig_done("h2~1", "7");
    assert_string_equal(rig_result(r), "[3,7]");
    assert_int_equal(rig.start_count, before + 1);
}

static void from_a_node_of_a_loop_that_is_over(void **state) {
    (void)state;
    struct run *r = rig_run(looped);
    const char *const steps[] = {"h", "m", "h#1", "m#1", "h#2", "m#2"};
    for (int i = 0; i < 6; i++) {
        rig_done(steps[i], NULL);
    }
    rig_done("h2", "7");
    assert_string_equal(rig_status(r), "completed");
    r = retry_from(r, "m");
    rig_done("m#2~1", NULL);
    rig_done("h2~1", "8");
    assert_string_equal(rig_result(r), "[3,8]");
    r = retry_from(r, "h"); /* entered anew: n is 4, so it is left at once */
    rig_done("h#2~1", NULL);
    rig_done("m#2~2", NULL);
    rig_done("h2~2", "9");
    assert_string_equal(rig_result(r), "[4,9]");
}

static void a_cancelled_one_goes_on(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}, e: {type: end, "
                            "needs: [a, b], value: \"[a, b]\"}}}");
    rig_done("a", "1");
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    assert_string_equal(rig_status(r), "cancelled");
    r = retry(r);
    rig_done("b~1", "2");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2]");
}

static void its_time_starts_anew(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 10s, nodes: {a: {type: work}}}");
    rig_wait_ms(10000);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "timed out"));
    r = retry(r);
    rig_wait_ms(9000);
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(1000);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "timed out"));
}

static void what_is_not_retried(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    assert_int_equal(refused(r, "", "has not ended (running)"), ERR_CONFLICT);
    rig_done("a", NULL);
    assert_int_equal(refused(r, "", "nothing of it failed"), ERR_CONFLICT);
    assert_int_equal(refused(r, "z", "no node \"z\""), ERR_INVALID);
    assert_int_equal(rig_stored(run_id(r)).epoch, 1);
    r = retry_from(r, "a");
    rig_done("a~1", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void quarantined_only_by_force(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig_done("a", "1");
    struct str id = arena_str(&rig.arena, run_id(r));
    for (int i = 0; i < 3; i++) {
        rig_reopen();
        (void)rig_resume(id);
    }
    rig_reopen();
    map_find(&rig.told, id)->num = 0;
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_QUARANTINED);
    struct host_retry q = {.by = STR("me")};
    assert_int_equal(host_retry(rig.host, id, &q, &r, &e), ERR_QUARANTINED);
    q.force = true;
    r = rig_retry(id, &q);
    rig_check_fold(r);
    rig_done("b~1", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig_starts_of("a"), 1);
}

static void a_retry_of_unknown_outcome(void **state) {
    (void)state;
    for (int at = 0; at < 4; at++) {
        char script[5] = "....";
        script[at / 2] = at % 2 ? 'a' : 'b';
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
        rig_fail("a", FAILURE_PERMANENT, "broken");
        struct str id = arena_str(&rig.arena, run_id(r));
        struct host_retry q = {.by = STR("me")};
        rig_reopen();
        rig.commits = script;
        r = rig_retry(id, &q);
        assert_int_equal(rig_count(id, "execution_retried"), 1);
        assert_int_equal(rig_find("a~1")->attempt, 1);
        rig_done("a~1", NULL);
        assert_string_equal(rig_status(r), "completed");
        rig_teardown(NULL);
    }
}

/* The claim is recorded, what follows is not: whoever comes next is not told of a living owner, and
 * however often that happens, no process ended of it. */
static void a_retry_that_is_given_up_is_owned_by_nobody(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    struct str id = arena_str(&rig.arena, run_id(r));
    struct host_retry q = {.by = STR("me")};
    for (int i = 0; i < 5; i++) {
        rig_reopen();
        rig.commits = ".bbbbb";
        r = rig_retry(id, &q);
        rig_turn();
        assert_int_equal(rig.lost, i + 1);
        assert_int_equal(rig_stored(id).host, 0);
        assert_true(str_is(rig_stored(id).row.status, "failed"));
    }
    r = retry(r);
    rig_done("a~1", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* Its variables have no first values now as then. */
static void without_first_values_of_its_vars_it_fails_again(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, inputs: {n: {}}, vars: {v: '{{ inputs.n.x }}'}, nodes: "
                            "{a: {type: work}}}");
    assert_string_equal(rig_status(r), "failed");
    r = retry(r);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "vars.v: "));
    assert_int_equal(rig.start_count, 0);
}

static int64_t put_request(struct run *r, const char *kind, const char *step) {
    struct store_inbox row = {.execution = rig_stored(run_id(r)).num,
                              .kind = str_from(kind),
                              .step = str_from(step),
                              .payload = STR("{}")};
    struct error e;
    int64_t id = 0;
    assert_int_equal(store_inbox_add(rig.disk, &row, &id, &e), OK);
    return id;
}

/* Who asked was told that it has ended: nothing of it comes true later. */
static void what_was_asked_before_is_refused(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    const int64_t rows[] = {put_request(r, "cancel", ""), put_request(r, "pause", ""),
                            put_request(r, "signal", "paid")};
    r = retry(r);
    assert_string_equal(rig_status(r), "running");
    assert_int_equal(rig_count(run_id(r), "signal_received"), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_inbox row;
        struct error e;
        assert_int_equal(store_inbox_get(rig.disk, rows[i], &rig.arena, &row, &e), OK);
        assert_true(str_starts(row.verdict, STR("refused: ")));
    }
    rig_done("a~1", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* What an attempt of before says after all is nobody's; who asks meanwhile gets a verdict. */
static void a_request_beside_a_late_result(void **state) {
    (void)state;
    struct error e;
    struct store_inbox row;
    struct host_retry q = {.by = STR("test")};
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    rig.cancel_waits = true;
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    struct started *late = rig_find("a");
    struct run *again = rig_retry(arena_str(&rig.arena, run_id(r)), &q);
    assert_string_equal(rig_status(again), "running");
    int64_t id = put_request(again, "signal", "paid");
    host_inbox_look(rig.host);
    rig_tell_done(late, "1", "{\"usage\": {\"tokens\": 7}}");
    rig_turns();
    assert_int_equal(rig_count(run_id(again), "signal_received"), 1);
    assert_int_equal(rig_count(run_id(again), "late_result"), 0);
    assert_int_equal(store_inbox_get(rig.disk, id, &rig.arena, &row, &e), OK);
    assert_true(str_is(row.verdict, "accepted"));
    rig_done("a~1", NULL);
    assert_string_equal(rig_status(again), "completed");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int run_retry_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_failed_runs_anew),
        TEST(again_and_again),
        TEST(two_retries_at_once_are_one),
        TEST(a_crash_in_a_retry_goes_on_with_it),
        TEST(completed_items_are_kept),
        TEST(collected_failures_run_anew),
        TEST(what_saw_nothing_of_it_runs_anew),
        TEST(a_loop_goes_on_where_it_failed),
        TEST(a_loop_that_is_over_is_kept),
        TEST(from_a_node_of_a_loop_that_is_over),
        TEST(a_cancelled_one_goes_on),
        TEST(its_time_starts_anew),
        TEST(what_is_not_retried),
        TEST(quarantined_only_by_force),
        TEST(a_retry_that_is_given_up_is_owned_by_nobody),
        TEST(what_was_asked_before_is_refused),
        TEST(a_request_beside_a_late_result),
        TEST(without_first_values_of_its_vars_it_fails_again),
        cmocka_unit_test(a_retry_of_unknown_outcome),
    };
    return cmocka_run_group_tests_name("retries", tests, NULL, NULL);
}

/* Rollbacks in the host: of what runs and of what has ended, over failed commits and crashes; what
 * is being performed is stopped before anything new begins, sub-workflows in the same commit.
 */
#include "rig.h"

static const char chain[] = "{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}, "
                            "e: {type: end, needs: [b], value: \"[a, b]\"}}}";

static void ask(struct run *r, const char *to, bool resume) {
    struct error e;
    struct host_request q = {.type = REQUEST_ROLLBACK,
                             .step = str_from(to),
                             .value = value_bool(resume),
                             .by = STR("test"),
                             .ticket = -1};
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
}

static struct run *revive(struct run *r, const char *to, bool resume) {
    struct error e = {0};
    struct run *again = NULL;
    struct str id = arena_str(&rig.arena, run_id(r));
    struct host_rollback q = {.to = str_from(to), .by = STR("test"), .resume = resume};
    rig_reopen();
    if (host_rollback(rig.host, id, &q, &again, &e)) {
        fail_msg("rollback: %s", e.message);
    }
    rig_turns();
    rig_check_fold(again);
    return again;
}

static void what_runs_is_stopped_before_anything_new_begins(void **state) {
    (void)state;
    struct run *r = rig_run(chain);
    rig_done("a", "1");
    rig.cancel_waits = true;
    ask(r, "a", true);
    rig_check_fold(r);
    assert_true(rig_find("b")->cancelled);
    assert_null(rig_find("a~1")); /* b has not stopped yet */
    rig_done("b", "2");
    assert_int_equal(rig_count(run_id(r), "step_completed b"), 0);
    rig_done("a~1", "3");
    rig_done("b~1", "4");
    assert_string_equal(rig_result(r), "[3,4]");
}

static void what_has_ended_goes_on(void **state) {
    (void)state;
    struct run *r = rig_run(chain);
    rig_done("a", "1");
    rig_done("b", "2");
    assert_string_equal(rig_status(r), "completed");
    r = revive(r, "b", false);
    assert_string_equal(rig_status(r), "paused");
    assert_true(rig_stored(run_id(r)).row.completed.us == 0);
    assert_int_equal(rig_stored(run_id(r)).epoch, 2);
    assert_int_equal(rig_open_count(), 0);
    struct store_step *rows;
    uint32_t count = 1;
    struct error e;
    assert_int_equal(
        store_steps_read(rig.disk, rig_stored(run_id(r)).num, &rig.arena, &rows, &count, &e), OK);
    assert_int_equal(count, 0); /* what they said no longer counts */
    struct host_request q = {.type = REQUEST_RESUME, .by = STR("test")};
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
    rig_done("b~1", "3");
    assert_string_equal(rig_result(r), "[1,3]");
    assert_int_equal(
        store_steps_read(rig.disk, rig_stored(run_id(r)).num, &rig.arena, &rows, &count, &e), OK);
    assert_int_equal(count, 5);
    assert_true(str_is(rows[1].step, "b") && str_is(rows[1].status, "completed"));
    assert_true(str_starts(rows[1].meta, STR("{\"rolledBack\":true")));
    assert_true(str_is(rows[3].step, "b~1") && rows[3].meta.len == 0);
}

/* Each of its commits fails, before or after it was recorded, or is the last of its process. */
static void over_failed_commits_and_crashes(void **state) {
    static const char *const fates[] = {"b", "a", ".b", ".a", "..b", "..a"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        struct run *r = rig_run(chain);
        rig_done("a", "1");
        rig_fail("b", FAILURE_PERMANENT, "broken");
        struct str id = arena_str(&rig.arena, run_id(r));
        struct error e;
        struct host_rollback q = {.to = STR("b"), .by = STR("test"), .resume = true};
        rig_reopen();
        rig.commits = fates[i];
        assert_int_equal(host_rollback(rig.host, id, &q, &r, &e), OK);
        rig_turns();
        rig_check_fold(r);
        assert_int_equal(rig_count(id, "execution_rolled_back"), 1);
        r = rig_restart(r, 1000);
        rig_turns();
        rig_check_fold(r);
        rig_done("b~1", "2");
        assert_string_equal(rig_result(r), "[1,2]");
        assert_int_equal(rig_starts_of("b"), i + 1);
    }
}

/* The process ends between the rollback and what it leads to. */
static void a_crash_right_after_it(void **state) {
    (void)state;
    struct run *r = rig_run(chain);
    rig_done("a", "1");
    rig.commits = ".bbbbbbbbbb";
    struct host_request q = {
        .type = REQUEST_ROLLBACK, .step = STR("b"), .value = value_bool(true), .by = STR("test")};
    struct error e;
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turn();
    struct str id = arena_str(&rig.arena, run_id(r));
    assert_int_equal(rig_count(id, "execution_rolled_back"), 1);
    rig.commits = "";
    r = rig_restart(r, 1000);
    rig_turns();
    rig_check_fold(r);
    rig_done("b~1", "2");
    assert_string_equal(rig_result(r), "[1,2]");
}

static void a_sub_workflow_ends_with_it(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, k: {type: kid, needs: [a], "
                            "workflow: {nodes: {w: {type: work}}}}}}");
    rig_done("a", "1");
    assert_non_null(rig_find("w"));
    struct str kid = arena_str(&rig.arena, str_from(rig_find("w")->execution));
    ask(r, "k", false);
    rig_check_fold(r);
    assert_true(str_is(rig_stored(kid).row.status, "cancelled"));
    assert_string_equal(rig_status(r), "paused");
    struct host_request q = {.type = REQUEST_RESUME, .by = STR("test")};
    struct error e;
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
    assert_false(str_is(kid, rig_find("w")->execution)); /* another one */
    rig_done("w", "2");
    assert_string_equal(rig_status(r), "completed");
}

/* A large value of the sub-workflow that cannot be written keeps both from being recorded. */
static void nor_is_it_recorded_without(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, k: {type: kid, needs: [a], "
                            "workflow: {nodes: {w: {type: work}, v: {type: work}}}}}}");
    struct error e;
    struct host_request q = {.type = REQUEST_ROLLBACK, .step = STR("k"), .by = STR("test")};
    char large[40003];
    memset(large, 'x', sizeof large);
    large[0] = large[40001] = '"';
    large[40002] = '\0';
    rig_done("a", "1");
    struct str kid = arena_str(&rig.arena, str_from(rig_find("w")->execution));
    rig_tell_done(rig_find("w"), large, NULL);
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig.blobs = "b";
    rig_turn();
    assert_int_equal(rig_count(run_id(r), "execution_rolled_back"), 0);
    assert_int_equal(rig_count(kid, "cancel_requested"), 0);
    rig_turns();
    assert_int_equal(rig_count(run_id(r), "execution_rolled_back"), 1);
    assert_true(str_is(rig_stored(kid).row.status, "cancelled"));
    rig_check_fold(r);
}

/* Decided on in one batch with what it goes back behind. */
static void back_behind_what_is_not_recorded_yet(void **state) {
    (void)state;
    struct run *r = rig_run(chain);
    struct error e;
    struct host_request q = {
        .type = REQUEST_ROLLBACK, .step = STR("a"), .value = value_bool(true), .by = STR("test")};
    rig_tell_done(rig_find("a"), "1", NULL);
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
    rig_check_fold(r);
    assert_int_equal(rig_starts_of("b"), 0);
    rig_done("a~1", "2");
    rig_done("b~1", "3");
    assert_string_equal(rig_result(r), "[2,3]");
}

static void who_is_refused_claims_nothing(void **state) {
    static const char *const rows[][2] = {{"@x", "no checkpoint"},
                                          {"99", "no event 99"},
                                          {"x", "is no target"},
                                          {"e", "was at its end"}};
    (void)state;
    struct run *r = rig_run(chain);
    struct error e;
    struct run *again;
    struct str id = arena_str(&rig.arena, run_id(r));
    struct host_rollback early = {.to = STR("a"), .by = STR("test")};
    assert_int_equal(host_rollback(rig.host, id, &early, &again, &e), ERR_CONFLICT);
    rig_done("a", "1");
    rig_fail("b", FAILURE_PERMANENT, "broken");
    rig_reopen();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct host_rollback q = {.to = str_from(rows[i][0]), .by = STR("test")};
        assert_true(host_rollback(rig.host, id, &q, &again, &e) != OK);
        if (!strstr(e.message, rows[i][1])) {
            fail_msg("said: %s", e.message);
        }
    }
    assert_int_equal(rig_stored(id).epoch, 1);
    assert_true(str_is(rig_stored(id).row.status, "failed"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int run_rollback_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_runs_is_stopped_before_anything_new_begins),
        TEST(what_has_ended_goes_on),
        TEST(over_failed_commits_and_crashes),
        TEST(a_crash_right_after_it),
        TEST(a_sub_workflow_ends_with_it),
        TEST(nor_is_it_recorded_without),
        TEST(back_behind_what_is_not_recorded_yet),
        TEST(who_is_refused_claims_nothing),
    };
    return cmocka_run_group_tests_name("rollbacks", tests, NULL, NULL);
}

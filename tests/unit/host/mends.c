/* Retries on another workflow or with other inputs: durable as one decision, whatever becomes of
 * the commit, and read by whoever comes next from the store alone.
 */
#include "rig.h"

#define FIRST                                                                            \
    "{cairn: 1, name: first, nodes: {a: {type: work}, x: {type: work}, b: {type: work, " \
    "needs: [a, x]}, e: {type: end, needs: [b], value: \"[a, b]\"}}}"
#define MENDED                                                                              \
    "{cairn: 1, name: mended, inputs: {n: {type: integer, default: 5}}, nodes: {b: {type: " \
    "work, needs: [a, c]}, c: {type: work, needs: [a]}, a: {type: work}, e: {type: end, "   \
    "needs: [b], value: \"[a, b, c, inputs.n]\"}}}"

/* a and x completed, b failed. */
static struct str failed(void) {
    struct run *r = rig_run(FIRST);
    rig_done("a", "1");
    rig_done("x", "0");
    rig_fail("b", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    return id;
}

static struct host_retry mended(const struct plan *p) {
    return (struct host_retry){.by = STR("me"), .plan = p, .inputs = rig_json("{\"n\":7}")};
}

static void ends_well(struct run *r) {
    rig_done("c", "3");
    rig_done("b~1", "2");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2,3,7]");
    assert_int_equal(rig_starts_of("a"), 1);
    rig_check_fold(r);
}

static void it_is_of_the_new_one(void **state) {
    (void)state;
    struct str id = failed();
    const struct plan *p = rig_plan(MENDED);
    struct host_retry q = mended(p);
    struct run *r = rig_retry(id, &q);
    rig_check_fold(r);
    struct store_execution x = rig_stored(id);
    assert_true(str_is(x.fixed.workflow, "mended") && str_is(x.fixed.workflow_hash, p->hash));
    assert_true(str_is(x.fixed.inputs, "{\"n\":7}"));
    assert_int_equal(x.row.total_tasks, 4);
    assert_ptr_equal(run_plan(r), p);
    assert_null(rig_find("a"));
    assert_null(rig_find("b~1"));
    ends_well(r);
    assert_true(str_is(rig_stored(id).fixed.workflow, "mended"));
}

/* Steps of nodes that went are still told, from the rows and from the journal. */
static void what_went_is_still_there(void **state) {
    (void)state;
    struct str id = failed();
    struct host_retry q = mended(rig_plan(MENDED));
    struct run *r = rig_retry(id, &q);
    for (int live = 1; live >= 0; live--) {
        struct host_view v;
        struct store_step *rows;
        struct store_message *messages;
        struct error e;
        uint32_t count, message_count, found = 0;
        assert_int_equal(host_view_open(rig.disk, rig.options.kinds, id, &v, &e), OK);
        assert_int_equal(host_view_rows(&v, &rows, &count, &messages, &message_count, &e), OK);
        for (uint32_t i = 0; i < count; i++) {
            found += str_is(rows[i].step, "x") && str_is(rows[i].status, "completed");
        }
        assert_int_equal(found, 1);
        host_view_close(&v);
        if (live) {
            ends_well(r);
        }
    }
}

static void a_crash_right_after(void **state) {
    (void)state;
    struct str id = failed();
    struct host_retry q = mended(rig_plan(MENDED));
    struct run *r = rig_restart(rig_retry(id, &q), 0);
    rig_turns();
    assert_int_equal(rig_find("c")->attempt, 2);
    ends_well(r);
}

static void a_commit_of_unknown_outcome(void **state) {
    (void)state;
    for (int at = 0; at < 6; at++) {
        char script[5] = "....";
        script[at / 2] = at % 2 ? 'a' : 'b';
        rig_setup(NULL);
        struct str id = failed();
        struct host_retry q = mended(rig_plan(MENDED));
        rig.commits = script;
        struct run *r = rig_retry(id, &q);
        assert_int_equal(rig_count(id, "workflow_changed"), 1);
        assert_int_equal(rig_count(id, "execution_retried"), 1);
        assert_int_equal(rig_find("c")->attempt, 1);
        ends_well(r);
        rig_teardown(NULL);
    }
}

/* The files could not be stored: nothing is begun, and it may be tried again. */
static void without_its_files(void **state) {
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct run *r;
        struct error e;
        rig_setup(NULL);
        struct str id = failed();
        struct host_retry q = mended(rig_plan(MENDED));
        rig.workflows = after ? "a" : "b";
        assert_int_not_equal(host_retry(rig.host, id, &q, &r, &e), OK);
        rig_turns();
        assert_int_equal(rig_stored(id).epoch, 1);
        assert_true(str_is(rig_stored(id).fixed.workflow, "first"));
        ends_well(rig_retry(id, &q));
        rig_teardown(NULL);
    }
}

static void given_up_before_it_is_recorded(void **state) {
    (void)state;
    struct str id = failed();
    struct host_retry q = mended(rig_plan(MENDED));
    rig.commits = ".bbbbb";
    (void)rig_retry(id, &q);
    rig_turn();
    assert_int_equal(rig.lost, 1);
    assert_true(str_is(rig_stored(id).fixed.workflow, "first"));
    assert_true(str_is(rig_stored(id).row.status, "failed"));
    rig_reopen();
    ends_well(rig_retry(id, &q));
}

static void two_at_once_are_not_one(void **state) {
    (void)state;
    struct str id = failed();
    struct run *first, *second;
    struct error e;
    struct host_retry q = mended(rig_plan(MENDED));
    assert_int_equal(host_retry(rig.host, id, &q, &first, &e), OK);
    assert_int_equal(host_retry(rig.host, id, &q, &second, &e), ERR_CONFLICT);
    rig_turns();
    ends_well(first);
}

static void inputs_alone(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, inputs: {n: {type: integer, default: 5}}, nodes: {a: {type: "
                "work}, e: {type: end, needs: [a], value: \"inputs.n\"}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    struct str id = arena_str(&rig.arena, run_id(r));
    struct str hash = rig_stored(id).fixed.workflow_hash;
    struct host_retry q = mended(NULL);
    rig_reopen();
    r = rig_retry(id, &q);
    rig_done("a~1", NULL);
    assert_string_equal(rig_result(r), "7");
    assert_true(str_eq(rig_stored(id).fixed.workflow_hash, hash));
    rig_check_fold(r);
}

/* What such a journal says is under way is not: its process died, and no other looked after it. */
static void what_was_quarantined(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, x: {type: work, foreach: {items: "
                            "'[1, 2]'}}, b: {type: work, needs: [a]}}}");
    rig_done("a", "1");
    rig_done("x[0]", "1");
    struct str id = arena_str(&rig.arena, run_id(r));
    for (int i = 0; i < 3; i++) {
        rig_reopen();
        (void)rig_resume(id);
    }
    rig_reopen();
    map_find(&rig.told, id)->num = 0;
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_QUARANTINED);
    struct host_retry q =
        mended(rig_plan("{cairn: 1, nodes: {n: {type: work}, b: {type: work, needs: "
                        "[a]}, a: {type: work}, x: {type: work, foreach: {items: "
                        "'[1, 2]'}}}}"));
    q.inputs = value_null();
    q.force = true;
    r = rig_retry(id, &q);
    rig_check_fold(r);
    rig_done("n", NULL);
    rig_done("b~1", NULL);
    rig_done("x[1]~1", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig_starts_of("a"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int run_mend_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_is_of_the_new_one),          TEST(what_went_is_still_there),
        TEST(a_crash_right_after),           cmocka_unit_test(a_commit_of_unknown_outcome),
        cmocka_unit_test(without_its_files), TEST(given_up_before_it_is_recorded),
        TEST(two_at_once_are_not_one),       TEST(inputs_alone),
        TEST(what_was_quarantined),
    };
    return cmocka_run_group_tests_name("mends", tests, NULL, NULL);
}

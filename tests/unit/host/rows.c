/* The read model: what other programs see of an execution without folding its journal.
 */
#include "host/host_priv.h"
#include "rig.h"

static uint32_t steps_of(struct run *r, struct store_step **out) {
    struct error e;
    uint32_t count = 0;
    assert_int_equal(
        store_steps_read(rig.disk, rig_stored(run_id(r)).num, &rig.arena, out, &count, &e), OK);
    return count;
}

static void the_row_follows_every_commit(void **state) {
    (void)state;
    struct error e;
    struct run *r = NULL;
    struct value_builder labels;
    value_builder_init(&labels, &rig.arena);
    value_map_add(&labels, STR("team"), value_text(STR("blue")));
    struct host_submission s = {
        .plan = rig_plan("{cairn: 1, name: shop, timeout: 1h, on_failure: continue, inputs: {n: "
                         "{type: integer}}, nodes: {a: {type: work, value: inputs.n}, b: {type: "
                         "choose, needs: [a], when: \"a == 1\"}, c: {type: work, needs: [b.false]},"
                         "d: {type: work, needs: [a], on_error: continue}, e: {type: end, needs: "
                         "[b.true], value: \"{'got': a}\"}}}"),
        .inputs = rig_json("{\"n\": 3}"),
        .labels = value_map_done(&labels),
        .key = STR("a-key")};
    wall_us began = rig.now;
    assert_int_equal(host_submit(rig.host, &s, &r, &e), OK);
    rig_turns();
    struct store_execution x = rig_stored(run_id(r));
    assert_string_equal(x.fixed.workflow.ptr, "shop");
    assert_string_equal(x.fixed.labels.ptr, "{\"team\":\"blue\"}");
    assert_string_equal(x.fixed.inputs.ptr, "{\"n\":3}");
    assert_string_equal(x.fixed.key.ptr, "a-key");
    assert_int_equal(x.fixed.rules, ENGINE_RULES);
    assert_int_equal(x.fixed.parent, 0);
    assert_string_equal(x.row.status.ptr, "running");
    assert_int_equal(x.row.started.us, began.us);
    assert_int_equal(x.row.completed.us, 0);
    assert_int_equal(x.row.deadline.us, began.us + INT64_C(3600000000));
    assert_int_equal(x.row.total_tasks, 5);
    assert_int_equal(x.row.completed_tasks, 0);
    assert_int_equal(x.host != 0, true);
    rig.now.us += 5000000;
    rig_done("a", "1");
    x = rig_stored(run_id(r));
    assert_int_equal(x.row.completed_tasks, 3);
    assert_int_equal(x.row.skipped_tasks, 1);
    assert_int_equal(x.row.updated.us, began.us + 5000000);
    rig_fail("d", FAILURE_PERMANENT, "broken");
    x = rig_stored(run_id(r));
    assert_string_equal(x.row.status.ptr, "partial");
    assert_int_equal(x.row.failed_tasks, 1);
    assert_string_equal(x.row.result.ptr, "{\"got\":1}");
    assert_int_equal(x.row.error.len, 0);
    assert_int_equal(x.row.completed.us, rig.now.us);
    assert_int_equal(x.row.deadline.us, 0);
    assert_int_equal(x.row.steps_upto, x.last_seq);
    assert_int_equal(x.host, 0);
}

static void a_failure_is_told_in_the_row(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig_fail("a", FAILURE_PERMANENT, "broken");
    struct store_execution x = rig_stored(run_id(r));
    assert_string_equal(x.row.status.ptr, "failed");
    assert_string_equal(x.row.error.ptr, "{\"type\":\"broken\",\"message\":\"as the test says\","
                                         "\"node\":\"a\",\"attempt\":1}");
    assert_int_equal(x.row.result.len, 0);
    struct store_step *rows;
    assert_int_equal(steps_of(r, &rows), 2);
    assert_string_equal(rows[0].error.ptr, x.row.error.ptr);
    assert_string_equal(rows[1].status.ptr, "cancelled");
    assert_int_equal(rows[1].started.us, 0);
}

static void step_rows_hold_what_happened(void **state) {
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {"
        "a: {type: work, needs: [more.true], description: counts, max_iterations: 5},"
        "more: {type: choose, needs: [a], when: \"iteration < 1\"},"
        "f: {type: work, needs: [more.false], foreach: {items: \"['x', 'y']\", on_item_error: "
        "collect}, value: item, retry: {attempts: 2, backoff: 1s, jitter: 0}}}}");
    rig_done("a", "1");
    rig_done_full("a#1", "2.0", "{\"usage\": {\"input_tokens\": 3}}");
    rig.now.us += 1000;
    rig_fail("f[0]", FAILURE_TRANSIENT, "flaky");
    rig_wait_ms(1000);
    rig_done("f[0]", "{\"k\": null}");
    rig_fail("f[1]", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "partial");
    struct store_step *rows;
    const char *const want[] = {"a completed 1 1",
                                "more completed true 1",
                                "a#1 completed 2.0 1",
                                "more#1 completed false 1",
                                "f completed [{\"ok\":true,\"value\":{\"k\":null}},{\"ok\":false,"
                                "\"error\":{\"type\":\"broken\",\"message\":\"as the test says\","
                                "\"node\":\"f\",\"attempt\":1}}] 0",
                                "f[0] completed {\"k\":null} 2",
                                "f[1] failed  1"};
    uint32_t count = steps_of(r, &rows);
    assert_int_equal(count, ARRAY_LEN(want));
    for (uint32_t i = 0; i < count; i++) {
        char got[400];
        snprintf(got, sizeof got, "%.*s %.*s %.*s %u", STR_ARG(rows[i].step),
                 STR_ARG(rows[i].status), STR_ARG(rows[i].result), rows[i].attempt);
        assert_string_equal(got, want[i]);
        assert_true(rows[i].completed.us >= rows[i].started.us && rows[i].started.us > 0);
    }
    assert_string_equal(rows[0].description.ptr, "counts");
    assert_string_equal(rows[0].kind.ptr, "work");
    assert_string_equal(rows[2].usage.ptr, "{\"input_tokens\":3}");
    assert_int_equal(rows[2].iteration, 1);
    assert_int_equal(rows[2].index, -1);
    assert_int_equal(rows[6].index, 1);
    assert_string_equal(rows[4].dependencies.ptr, "[\"more\"]");
}

static const char *numbers(uint32_t count) {
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&b, "%c%u", i ? ',' : '[', i);
    }
    buf_append_char(&b, ']');
    struct str kept = arena_str(&rig.arena, buf_str(&b));
    buf_fini(&b);
    return kept.ptr;
}

static void check_many(struct run *r, uint32_t items) {
    struct store_step *rows;
    uint32_t count = steps_of(r, &rows);
    assert_int_equal(count, items + 3);
    for (uint32_t i = 0; i < items; i++) {
        char want[32];
        snprintf(want, sizeof want, "f[%u]", i);
        assert_string_equal(rows[i + 2].step.ptr, want);
        assert_string_equal(rows[i + 2].status.ptr, "completed");
    }
    struct store_execution x = rig_stored(run_id(r));
    assert_string_equal(x.row.status.ptr, "completed");
    assert_int_equal(x.row.steps_upto, x.last_seq);
    assert_int_equal(rig.ended, 1);
}

/* 3,500 items leave 3,500 rows, at most 1,000 in a commit. */
static void many_rows_come_in_several_commits(void **state) {
    (void)state;
    for (const char *faults = ".ba"; *faults; faults++) {
        char script[] = {*faults, '.', *faults, *faults, '.', '\0'};
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {l: {type: work}, f: {type: calc, needs: [l], "
                                "foreach: {items: l}, value: \"item + index\"}, e: {type: end, "
                                "needs: [f], value: \"size(f)\"}}}");
        rig_tell_done(rig_find("l"), numbers(3500), NULL);
        while (!exec_status_final(run_status(r))) {
            rig_turn();
        }
        assert_int_equal(rig.ended, 0); /* the end is recorded, its rows are not */
        assert_true(rig_stored(run_id(r)).row.steps_upto == 0);
        uint32_t before = rig.commit_count;
        rig.commits = script;
        rig_turns();
        assert_in_range(rig.commit_count - before, 3, 9);
        check_many(r, 3500);
        assert_string_equal(rig_result(r), "3500");
        rig_teardown(NULL);
    }
}

static void many_effects(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {l: {type: work}, f: {type: work, needs: [l], "
                            "foreach: {items: l}, value: item}, e: {type: end, "
                            "needs: [f], value: \"size(f)\"}}}");
    rig_done("l", numbers(3500));
    rig_done_all();
    check_many(r, 3500);
}

/* A commit takes as many of the executions that have ended as it has room for, not all of them. */
static void rows_wait_for_room(void **state) {
    (void)state;
    enum { RUNS = 5, ITEMS = 900 };
    struct run *runs[RUNS];
    struct store_step *rows;
    uint32_t in_batch = 0;
    const struct plan *p = rig_plan(
        "{cairn: 1, nodes: {l: {type: work}, f: {type: calc, needs: [l], foreach: {items: l}, "
        "value: \"item + index\"}, e: {type: end, needs: [f], value: \"size(f)\"}}}");
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = rig_submit(p, NULL);
    }
    rig_turns();
    for (size_t i = 0; i < RUNS; i++) {
        rig_tell_done(rig_find("l"), numbers(ITEMS), NULL);
    }
    while (!exec_status_final(run_status(runs[0])) || !exec_status_final(run_status(runs[4]))) {
        rig_turn();
    }
    assert_in_range(rig.ended, 0, RUNS - 3);
    turn_take_rows(rig.host);
    for (const struct run *r = rig.host->batch; r; r = r->batch_next) {
        in_batch++;
    }
    assert_in_range(in_batch, 1, 2);
    rig_turns();
    assert_int_equal(rig.ended, RUNS);
    for (size_t i = 0; i < RUNS; i++) {
        assert_int_equal(steps_of(runs[i], &rows), ITEMS + 3);
    }
}

int run_row_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(the_row_follows_every_commit),
        T(a_failure_is_told_in_the_row),
        T(step_rows_hold_what_happened),
        cmocka_unit_test(many_rows_come_in_several_commits),
        T(many_effects),
        T(rows_wait_for_room),
#undef T
    };
    return cmocka_run_group_tests_name("host rows", tests, NULL, NULL);
}

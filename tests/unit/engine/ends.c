/* How steps and executions end: bodies that are refused, expressions that fail, foreach limits,
 * late results, results.
 */
#include <stdlib.h>

#include "groups.h"

static void bodies_must_fit_their_schema(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n"
                   "  a: {type: work, output_schema: {type: integer}, on_error: continue}\n"
                   "  b: {type: work, output_schema: {type: integer}}\n");
    drive_done(&d, "a", 1, value_text(STR("no number")));
    assert_str(event_of(&d, EVENT_STEP_FAILED)->error_type, "schema");
    drive_done(&d, "b", 1, value_int(3));
    assert_int_equal(engine_status(d.engine), EXEC_PARTIAL);
    drive_close(&d);
}

static void bodies_over_the_limit_fail_their_step(void **state) {
    struct drive d;
    size_t len = ENGINE_MAX_OUTPUT_BYTES + 1;
    char *bytes = calloc(1, len);
    (void)state;
    assert_non_null(bytes);
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n");
    drive_done(&d, "a", 1, value_bytes((struct str){bytes, len}));
    assert_str(engine_error(d.engine)->type, "too_large");
    assert_int_equal(d.out.blobs.count, 0);
    drive_close(&d);
    free(bytes);
}

static void large_bodies_are_blobs(void **state) {
    struct drive d;
    static char bytes[EVENT_INLINE_BYTES + 1];
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a}\n");
    drive_done(&d, "a", 1, value_bytes((struct str){bytes, sizeof bytes}));
    assert_int_equal(d.out.blobs.count, 1);
    drive_refold(&d);
    assert_int_equal(engine_node_body(d.engine, 0).extra, sizeof bytes);
    drive_close(&d);
}

static void an_unknown_handle_is_refused(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  c: {type: condition, effect: true}\n"
                   "  a: {type: work, needs: c.true}\n");
    struct step_result r = {.handle = STR("maybe")};
    struct engine_input in = {
        .type = INPUT_DONE, .step = {0, 0, -1, 0}, .attempt = 1, .result = &r, .now = {NOW_US}};
    struct error e;
    engine_out_reset(&d.out);
    assert_int_equal(engine_decide(d.engine, &in, &d.out, &e), OK);
    assert_str(engine_error(d.engine)->type, "handle");
    drive_close(&d);
}

static void expressions_that_fail_fail_their_step(void **state) {
    static const char *const flows[] = {
        "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a, value: a.x}\n",
        "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a, if: a.x > 1}\n",
        "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a, in: {v: a.x}}\n",
        "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a, foreach: a.x}\n",
        "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work, needs: a, foreach: a.y}\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        struct drive d;
        struct value_pair y = {value_text(STR("y")), value_int(1)};
        struct value body = {.type = VALUE_MAP, .extra = 1, .pairs = &y};
        drive_open(&d, flows[i]);
        drive_done(&d, "a", 1, body);
        assert_int_equal(engine_status(d.engine), EXEC_FAILED);
        assert_str(engine_error(d.engine)->type, "expression");
        assert_str(engine_error(d.engine)->node, "b");
        assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
        drive_refold(&d);
        drive_close(&d);
    }
}

static void too_many_items_are_refused(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\nnodes:\n  a: {type: work, foreach: {items: [1, 2, 3], max_items: 2}}\n");
    assert_str(engine_error(d.engine)->type, "limit");
    drive_close(&d);
}

static void late_usage_is_kept_once(void **state) {
    struct drive d;
    struct value_pair pair = {value_text(STR("tokens")), value_int(9)};
    struct step_result r = {.meta = {.type = VALUE_MAP, .extra = 1, .pairs = &pair}};
    struct engine_input in = {
        .type = INPUT_DONE, .step = {0, 0, -1, 0}, .attempt = 1, .result = &r, .now = {NOW_US}};
    struct error e;
    (void)state;
    drive_open(&d, "cairn: 1\non_failure: drain\nnodes:\n  a: {type: work}\n  b: {type: work}\n");
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    assert_int_equal(engine_status(d.engine), EXEC_CANCELLED);
    for (uint32_t i = 0; i < 2; i++) {
        engine_out_reset(&d.out);
        assert_int_equal(engine_decide(d.engine, &in, &d.out, &e), OK);
        assert_int_equal(d.out.record_count, i == 0);
    }
    assert_int_equal(value_get(engine_track(d.engine, 0)->meta, STR("tokens"))->num, 9);
    assert_int_equal(engine_node_status(d.engine, 0), STEP_CANCELLED);
    drive_close(&d);
}

static void outputs_that_fail_fail_the_execution(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\noutputs: {x: a.x}\n");
    drive_done(&d, "a", 1, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "expression");
    assert_true(value_is_null(engine_result(d.engine)));
    drive_refold(&d);
    drive_close(&d);
}

static void a_failure_before_a_cancel_counts(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work}\n");
    drive_fail(&d, "a", 1, FAILURE_PERMANENT, "code");
    assert_int_equal(engine_status(d.engine), EXEC_RUNNING); /* it drains */
    struct engine_input in = {.type = INPUT_CANCEL, .by = STR("me"), .ticket = 1};
    drive_give(&d, &in);
    assert_true(
        str_is(verdict_of(&d), "accepted: stopped, it had failed before and ends as failed"));
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "code");
    drive_close(&d);
}

int run_end_tests(void) {
    const struct CMUnitTest tests[] = {TEST(bodies_must_fit_their_schema),
                                       TEST(bodies_over_the_limit_fail_their_step),
                                       TEST(large_bodies_are_blobs),
                                       TEST(an_unknown_handle_is_refused),
                                       TEST(expressions_that_fail_fail_their_step),
                                       TEST(too_many_items_are_refused),
                                       TEST(late_usage_is_kept_once),
                                       TEST(outputs_that_fail_fail_the_execution),
                                       TEST(a_failure_before_a_cancel_counts)};
    return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}

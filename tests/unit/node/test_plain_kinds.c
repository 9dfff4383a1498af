/* start, transform, workflow: what their bodies are and what they refuse. */
#include "harness.h"

static void start_gives_the_inputs(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct error e = {0};
    world_open(&w, "cairn: 1\nnodes: {s: {type: start}}\n", NULL);
    w.names = world_value(&w, "{\"inputs\": {\"city\": \"Lima\", \"n\": 3}}");
    attempt_init(&a, &w, "s");
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_string_equal(world_json(&w, a.result.body), "{\"city\":\"Lima\",\"n\":3}");
    world_close(&w);
}

static void transform_gives_the_value(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct error e = {0};
    world_open(&w,
               "cairn: 1\n"
               "inputs: {n: {type: integer}}\n"
               "nodes:\n"
               "  t: {type: transform, value: {twice: inputs.n * 2, list: [inputs.n, '\"x\"']}}\n",
               NULL);
    w.names = world_value(&w, "{\"inputs\": {\"n\": 21}}");
    attempt_init(&a, &w, "t");
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_string_equal(world_json(&w, a.result.body), "{\"twice\":42,\"list\":[21,\"x\"]}");
    world_close(&w);
}

#define CHILD                        \
    "cairn: 1\n"                     \
    "inputs: {n: {type: integer}}\n" \
    "nodes: {t: {type: transform, value: inputs.n}}\n"
static const struct world_file child_file[] = {{"sub/child.yaml", CHILD}, {NULL, NULL}};

static void workflow_hands_its_inputs_to_the_child(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    world_open(&w,
               "cairn: 1\n"
               "inputs: {k: {type: integer}}\n"
               "nodes:\n"
               "  c: {type: workflow, workflow: sub/child.yaml, inputs: {n: inputs.k + 1}}\n",
               child_file);
    w.names = world_value(&w, "{\"inputs\": {\"k\": 6}}");
    attempt_init(&a, &w, "c");
    assert_non_null(a.in.node->child);
    attempt_run(&a);
    assert_int_equal(a.children, 1);
    assert_string_equal(world_json(&w, a.child_inputs), "{\"n\":7}");
    world_close(&w);
}

static void workflow_refuses_inputs_that_are_no_map(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    world_open(&w,
               "cairn: 1\n"
               "inputs: {k: {type: integer}}\n"
               "nodes: {c: {type: workflow, workflow: sub/child.yaml, inputs: '[inputs.k]'}}\n",
               child_file);
    w.names = world_value(&w, "{\"inputs\": {\"k\": 6}}");
    attempt_init(&a, &w, "c");
    attempt_run(&a);
    assert_false(a.done);
    assert_int_equal(a.children, 0);
    assert_str(a.failure.type, "invalid");
    assert_str(a.failure.message, "inputs of a sub-workflow must be a map, not list");
    world_close(&w);
}

static void workflow_names_what_is_missing(void **state) {
    (void)state;
    struct world w;
    world_open(&w, "cairn: 1\nnodes:\n  c: {type: workflow, workflow: sub/chid.yaml}\n",
               child_file);
    world_refused(&w, "flow.yaml:3:33: error: cannot read");
    world_close(&w);
}

int plain_kinds_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_gives_the_inputs),
        cmocka_unit_test(transform_gives_the_value),
        cmocka_unit_test(workflow_hands_its_inputs_to_the_child),
        cmocka_unit_test(workflow_refuses_inputs_that_are_no_map),
        cmocka_unit_test(workflow_names_what_is_missing),
    };
    return cmocka_run_group_tests_name("node plain kinds", tests, NULL, NULL);
}

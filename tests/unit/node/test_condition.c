/* condition: by a bool, by cases, by an agent; handles, bodies, refusals. */
#include "harness.h"

#include <stdio.h>

#define AGENTS                                                                            \
    "agents: {judge: {service: offline, replies: [{match: good, reply: \"Yes, it is.\"}," \
    " {match: bad, reply: No}, {reply: Perhaps}]}}\n"

/* Compiles a condition with these fields (in flow style) and the value of inputs.x. */
static void open_condition(struct world *w, struct attempt *a, const char *fields, const char *x) {
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {x: {}}\n" AGENTS "nodes:\n  c: {type: condition, %s}\n",
                       fields);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, NULL);
    struct value_builder inputs, names;
    value_builder_init(&inputs, &w->arena);
    value_map_add(&inputs, STR("x"), world_value(w, x));
    value_builder_init(&names, &w->arena);
    value_map_add(&names, STR("inputs"), value_map_done(&inputs));
    w->names = value_map_done(&names);
    attempt_init(a, w, "c");
}

static void expect(const char *fields, const char *x, const char *handle, const char *body) {
    struct world w;
    struct attempt a;
    struct error e = {0};
    open_condition(&w, &a, fields, x);
    assert_int_equal(attempt_eval(&a, &e), OK);
    assert_str(a.result.handle, handle);
    assert_string_equal(world_json(&w, a.result.body), body);
    world_close(&w);
}

static void when_leaves_by_true_or_false(void **state) {
    (void)state;
    expect("when: inputs.x > 3", "4", "true", "true");
    expect("when: inputs.x > 3", "3", "false", "false");
    expect("when: true", "0", "true", "true");
}

static void when_wants_a_bool(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    struct error e = {0};
    open_condition(&w, &a, "when: inputs.x", "\"yes\"");
    assert_int_equal(attempt_eval(&a, &e), ERR_EXPRESSION);
    assert_string_equal(e.message, "\"when\" must be true or false, not string \"yes\"");
    assert_int_equal(e.mark.line, 5);
    world_close(&w);
}

static void switch_leaves_by_the_case(void **state) {
    (void)state;
    expect("switch: inputs.x, cases: [a, b]", "\"b\"", "b", "\"b\"");
    expect("switch: inputs.x, cases: [a, b]", "\"c\"", "default", "\"c\"");
    expect("switch: inputs.x, cases: ['1', '2']", "2", "2", "2");
    expect("switch: inputs.x, cases: ['true']", "true", "true", "true");
    expect("switch: inputs.x, cases: [a]", "null", "default", "null");
}

static void handles_follow_the_form(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_condition(&w, &a, "switch: inputs.x, cases: [a, b]", "1");
    assert_int_equal(a.in.node->handle_count, 3);
    assert_str(a.in.node->handles[2], "default");
    world_close(&w);
    open_condition(&w, &a, "when: true", "1");
    assert_int_equal(a.in.node->handle_count, 2);
    assert_str(a.in.node->handles[1], "false");
    world_close(&w);
}

static void expect_refusal(const char *fields, const char *part) {
    struct world w;
    char text[1000];
    snprintf(text, sizeof text, "cairn: 1\n" AGENTS "nodes:\n  c: {type: condition, %s}\n", fields);
    world_open(&w, text, NULL);
    world_refused(&w, part);
    world_close(&w);
}

static void bad_forms_are_refused(void **state) {
    (void)state;
    expect_refusal("label: x", "exactly one of when, switch, agent must be given");
    expect_refusal("when: true, switch: 1, cases: [a]", "exactly one of");
    expect_refusal("switch: 1", "\"switch\" needs the key \"cases\"");
    expect_refusal("switch: 1, cases: []", "cases is empty");
    expect_refusal("switch: 1, cases: [a, a]", "twice");
    expect_refusal("switch: 1, cases: [error]", "cannot be a case");
    expect_refusal("agent: judge", "\"agent\" needs the key \"question\"");
    expect_refusal("agent: juge, question: Well?", "did you mean \"judge\"");
}

static void ask(const char *x, struct world *w, struct attempt *a) {
    open_condition(w, a, "agent: judge, question: \"Is it {{ inputs.x }}?\"", x);
    assert_false(a->in.node->pure);
    attempt_run(a);
    assert_int_equal(a->calls_done, 1);
    assert_string_equal(world_json(w, *value_get(a->answer, STR("role"))), "\"assistant\"");
}

static void an_agent_decides(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    ask("\"good\"", &w, &a);
    assert_true(a.done);
    assert_str(a.result.handle, "true");
    assert_true(a.result.body.boolean);
    assert_non_null(value_get(a.result.meta, STR("usage")));
    world_close(&w);
    ask("\"bad\"", &w, &a);
    assert_true(a.done);
    assert_str(a.result.handle, "false");
    world_close(&w);
}

static void an_answer_that_decides_nothing_fails(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    ask("\"fair\"", &w, &a);
    assert_false(a.done);
    assert_str(a.failure.type, "answer");
    assert_int_equal(a.failure.class, FAILURE_TRANSIENT);
    assert_str(a.failure.message, "the agent answered neither yes nor no but \"Perhaps\"");
    world_close(&w);
}

int condition_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_leaves_by_true_or_false),
        cmocka_unit_test(when_wants_a_bool),
        cmocka_unit_test(switch_leaves_by_the_case),
        cmocka_unit_test(handles_follow_the_form),
        cmocka_unit_test(bad_forms_are_refused),
        cmocka_unit_test(an_agent_decides),
        cmocka_unit_test(an_answer_that_decides_nothing_fails),
    };
    return cmocka_run_group_tests_name("node condition", tests, NULL, NULL);
}

/* agent: what is asked and recorded, what comes back, what is refused when compiling. */
#include "harness.h"

#include <stdio.h>

#define NODES           \
    "nodes:\n"          \
    "  a:\n"            \
    "    type: agent\n" \
    "    agent: w\n"    \
    "    prompt: \"Write about {{ inputs.topic }}.\"\n"

static void open_agent(struct world *w, struct attempt *a, const char *agent) {
    char text[2000];
    int len =
        snprintf(text, sizeof text,
                 "cairn: 1\ninputs: {topic: {type: string}}\nagents:\n  w: %s\n" NODES, agent);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, NULL);
    w->names = world_value(w, "{\"inputs\": {\"topic\": \"salt {{ x }}\"}}");
    if (a) {
        attempt_init(a, w, "a");
    }
}

static void the_answer_is_the_body(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_agent(&w, &a,
               "{service: offline, model: m1, system: Be brief now., replies: [Salt it is]}");
    attempt_run(&a);
    assert_true(a.done);
    assert_str(value_str(a.result.body), "Salt it is");
    assert_string_equal(world_json(&w, a.result.meta),
                        "{\"agent\":\"w\",\"service\":\"offline\",\"model\":\"offline\",\"usage\":"
                        "{\"inputTokens\":9,\"outputTokens\":3,\"llmCalls\":1}}");
    assert_str(a.chunks, "Salt it is");
    world_close(&w);
}

static void the_call_is_recorded(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_agent(&w, &a, "{service: offline, system: Be brief., replies: [Salt it is]}");
    attempt_run(&a);
    assert_int_equal(a.calls_begun, 1);
    assert_int_equal(a.calls_done, 1);
    assert_string_equal(world_json(&w, a.request),
                        "{\"role\":\"user\",\"content\":\"Write about salt {{ x }}.\","
                        "\"agent\":\"w\",\"service\":\"offline\",\"system\":\"Be brief.\"}");
    assert_string_equal(world_json(&w, a.answer),
                        "{\"role\":\"assistant\",\"content\":\"Salt it is\",\"model\":\"offline\","
                        "\"usage\":{\"inputTokens\":8,\"outputTokens\":3,\"llmCalls\":1}}");
    world_close(&w);
}

static void a_failure_is_told_with_its_class(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_agent(&w, &a, "{service: offline, replies: [{fail: 2, reply: ok}]}");
    attempt_run(&a);
    assert_false(a.done);
    assert_int_equal(a.failure.class, FAILURE_TRANSIENT);
    assert_str(a.failure.type, "transient");
    assert_int_equal(a.calls_done, 0);
    attempt_init(&a, &w, "a");
    a.in.attempt = 3;
    attempt_run(&a);
    assert_true(a.done);
    world_close(&w);
}

static void a_prompt_file_is_a_template(void **state) {
    (void)state;
    static const struct world_file files[] = {
        {"prompts/write.txt", "About {{ inputs.topic }}:\n{{#if inputs.topic != \"\"}}go{{/if}}"},
        {NULL, NULL}};
    struct world w;
    struct attempt a;
    world_open(&w,
               "cairn: 1\ninputs: {topic: {type: string}}\nagents: {w: {service: offline}}\n"
               "nodes: {a: {type: agent, agent: w, prompt_file: prompts/write.txt}}\n",
               files);
    w.names = world_value(&w, "{\"inputs\": {\"topic\": \"salt\"}}");
    attempt_init(&a, &w, "a");
    assert_int_equal(w.plan->file_count, 2);
    attempt_run(&a);
    assert_str(value_str(a.result.body), "Offline reply to: About salt:\ngo");
    world_close(&w);
}

static void findings_in_a_prompt_file_point_there(void **state) {
    (void)state;
    static const struct world_file files[] = {
        {"p.txt", "One\ntwo {{ inputs.topik }}\n"}, {"q.txt", "\xff\xfe"}, {NULL, NULL}};
    struct world w;
    world_open(&w,
               "cairn: 1\ninputs: {topic: {type: string}}\nagents: {w: {service: offline}}\n"
               "nodes:\n  a: {type: agent, agent: w, prompt_file: p.txt}\n"
               "  b: {type: agent, agent: w, prompt_file: q.txt}\n"
               "  c: {type: agent, agent: w, prompt_file: 'r{{ 1 }}.txt'}\n",
               files);
    world_refused(&w, "p.txt:2:8: error: ");
    world_refused(&w, "flow.yaml:6:43: error: \"q.txt\" is not text in UTF-8");
    world_refused(&w, "flow.yaml:7:43: error: the path of a file cannot be computed");
    assert_int_equal(w.diag.errors, 3);
    world_close(&w);
}

static void expect_refusal(const char *agent, const char *part) {
    struct world w;
    open_agent(&w, NULL, agent);
    world_refused(&w, "flow.yaml:4:3: error: ");
    world_refused(&w, part);
    world_close(&w);
}

static void bad_agents_are_refused_when_compiling(void **state) {
    (void)state;
    expect_refusal("{service: ofline}", "did you mean \"offline\"?");
    expect_refusal("{service: hal9000}", "this version of cairn has: offline");
    expect_refusal("{service: openai, model: gpt}",
                   "the service \"openai\" is not available in this version");
    expect_refusal("{service: offline, replies: yes sir}", "must be a list that is not empty");
    expect_refusal("{service: offline, replies: []}", "must be a list that is not empty");
    expect_refusal("{service: offline, replies: [a, {match: b, reply: c}]}", "mixes plain replies");
    expect_refusal("{service: offline, replies: [{match: b}]}", "has no \"reply\"");
    expect_refusal("{service: offline, replies: [{match: [], reply: c}]}", "empty list");
    expect_refusal("{service: offline, replies: [{match: '', reply: c}]}", "fit every prompt");
    expect_refusal("{service: offline, replies: [{match: b, replay: c}]}", "no key \"replay\"");
    expect_refusal("{service: offline, replies: [{fail: 0, reply: c}]}", "1 to 1000");
    expect_refusal("{service: offline, replies: {rules: [a]}}", "not \"rules\"");
}

/* One finding, however many nodes use the agent. */
static void a_bad_agent_is_reported_once(void **state) {
    (void)state;
    struct world w;
    world_open(&w,
               "cairn: 1\nagents: {w: {service: nobody}}\nnodes:\n"
               "  a: {type: agent, agent: w, prompt: x}\n"
               "  b: {type: agent, agent: w, prompt: y}\n",
               NULL);
    assert_int_equal(w.diag.errors, 1);
    world_close(&w);
}

int agent_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_the_body),
        cmocka_unit_test(the_call_is_recorded),
        cmocka_unit_test(a_failure_is_told_with_its_class),
        cmocka_unit_test(a_prompt_file_is_a_template),
        cmocka_unit_test(findings_in_a_prompt_file_point_there),
        cmocka_unit_test(bad_agents_are_refused_when_compiling),
        cmocka_unit_test(a_bad_agent_is_reported_once),
    };
    return cmocka_run_group_tests_name("node agent", tests, NULL, NULL);
}

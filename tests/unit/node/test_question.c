/* Questions to agents: agents made of inputs, structured answers and their one repair, answers of
 * an earlier attempt, memory, runs in a loop. The service is `offline`, whose answers are known.
 */
#include "harness.h"

#include "flow/plan.h"
#include "node/node_priv.h"

#include <stdio.h>

static void open_node(struct world *w, struct attempt *a, const char *agent, const char *node) {
    char text[3000];
    int len = snprintf(text, sizeof text,
                       "cairn: 1\ninputs: {who: {type: string}, n: {type: integer, default: 3}}\n"
                       "agents:\n  w: %s\nnodes:\n  a: {type: agent, agent: w, %s}\n",
                       agent, node);
    assert_in_range(len, 1, sizeof text - 1);
    world_open(w, text, NULL);
    w->names = world_value(w, "{\"inputs\": {\"who\": \"offline\", \"n\": 3}}");
    if (a) {
        attempt_init(a, w, "a");
    }
}

static void expect_refusal(const char *agent, const char *node, const char *part) {
    struct world w;
    open_node(&w, NULL, agent, node);
    world_refused(&w, part);
    world_close(&w);
}

/* ---- agents of inputs ---- */

static void an_agent_is_made_of_inputs(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a,
              "{service: '{{ inputs.who }}', model: 'm{{ inputs.n }}', system: '{{ inputs }}', "
              "replies: [yes sir]}",
              "prompt: p");
    attempt_run(&a);
    assert_true(a.done);
    assert_string_equal(world_json(&w, a.request),
                        "{\"role\":\"user\",\"content\":\"p\",\"agent\":\"w\",\"service\":"
                        "\"offline\",\"model\":\"m3\",\"system\":"
                        "\"{\\\"who\\\":\\\"offline\\\",\\\"n\\\":3}\"}");
    world_close(&w);
}

static void an_input_that_names_no_service(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: '{{ inputs.who }}{{ inputs.who }}'}", "prompt: p");
    attempt_run(&a);
    assert_false(a.done);
    assert_int_equal(a.failure.class, FAILURE_PERMANENT);
    assert_int_equal(a.calls_begun, 0);
    assert_non_null(strstr(a.failure.message.ptr, "agent \"w\": there is no service called "
                                                  "\"offlineoffline\""));
    world_close(&w);
}

static void an_escaped_template_is_a_text(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline, system: 'say \\{{ x }}'}", "prompt: p");
    attempt_run(&a);
    assert_str(value_str(*value_get(a.request, STR("system"))), "say {{ x }}");
    world_close(&w);
}

static void agents_that_cannot_be(void **state) {
    (void)state;
    expect_refusal("{service: offline, system: '{{ parse.x }}'}", "prompt: p",
                   "may refer to inputs alone");
    expect_refusal("{service: offline, model: '{{ inputs.whom }}'}", "prompt: p",
                   "no input \"whom\"; did you mean \"who\"?");
    expect_refusal("{service: '{{ inputs.who }}', replies: []}", "prompt: p",
                   "agent \"w\", if its service is offline: \"replies\" must be a list");
    expect_refusal("{service: '{{ inputs.who }}', params: {stream: false}}", "prompt: p",
                   "if its service is openai_compatible: \"params\" cannot have \"stream\"");
    expect_refusal("{service: openai_compatible}", "prompt: p", "needs a \"model\"");
    expect_refusal("{service: openai_compatible, model: m, base_url: localhost}", "prompt: p",
                   "\"base_url\" must be the address");
    expect_refusal("{service: offline}", "prompt: p, params: 3", "\"params\" must be a map");
    expect_refusal("{service: '{{ inputs.who }}'}", "prompt: p, params: {n: 2}",
                   "\"params\" cannot have \"n\"");
    expect_refusal("{service: offline}", "prompt: p, max_runs: 0", "at least 1");
    expect_refusal("{service: offline}", "prompt: p, schema: {type: 3}", "type");
}

/* Its address and model may come from inputs, so they need not be known when compiling. */
static void what_an_input_gives_is_not_missed(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, NULL,
              "{service: openai_compatible, model: '{{ inputs.who }}', base_url: 'http://x'}",
              "prompt: p");
    assert_int_equal(w.diag.errors, 0);
    world_close(&w);
    open_node(&w, &a, "{service: openai_compatible, model: m, base_url: '{{ inputs.who }}'}",
              "prompt: p");
    attempt_run(&a);
    assert_non_null(strstr(a.failure.message.ptr, "\"base_url\" must be the address"));
    assert_int_equal(a.failure.class, FAILURE_PERMANENT);
    attempt_init(&a, &w, "a");
    a.port.net = NULL;
    attempt_run(&a);
    assert_non_null(strstr(a.failure.message.ptr, "there is no network"));
    world_close(&w);
}

static void the_key_is_asked_for(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: openai_compatible, model: m, api_key: UNSET}", "prompt: p");
    attempt_run(&a);
    assert_str(a.failure.type, "not_found");
    assert_str(a.failure.message, "agent \"w\" needs a key: secret UNSET is not set");
    assert_int_equal(a.calls_begun, 0);
    world_close(&w);
}

/* ---- structured answers ---- */

#define SCHEMA "prompt: p, schema: {type: object, required: [n], properties: {n: {type: integer}}}"

static void a_structured_answer_is_a_value(void **state) {
    (void)state;
    static const char *const replies[] = {"{n: 1}", "' {\"n\": 1}\n'",
                                          "\"Here:\\n```json\\n{\\\"n\\\": 1}\\n```\\nbye\""};
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct world w;
        struct attempt a;
        char agent[200];
        snprintf(agent, sizeof agent, "{service: offline, replies: [{reply: %s}]}", replies[i]);
        open_node(&w, &a, agent, SCHEMA);
        attempt_run(&a);
        assert_true(a.done);
        assert_string_equal(world_json(&w, a.result.body), "{\"n\":1}");
        assert_int_equal(a.calls_begun, 1);
        assert_null(value_get(a.result.meta, STR("repaired")));
        world_close(&w);
    }
}

#define REPAIRED                                                                        \
    "{service: offline, replies: [{match: does not fit, reply: '{\"n\": 2}'}, {reply: " \
    "'{\"n\": \"x\"}'}]}"

static void an_answer_is_repaired_once(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, REPAIRED, SCHEMA);
    attempt_run(&a);
    assert_true(a.done);
    assert_string_equal(world_json(&w, a.result.body), "{\"n\":2}");
    assert_int_equal(a.calls_begun, 2);
    assert_int_equal(a.calls_done, 2);
    assert_true(value_get(a.result.meta, STR("repaired"))->boolean);
    assert_int_equal(value_get(*value_get(a.result.meta, STR("usage")), STR("llmCalls"))->num, 2);
    struct str again = value_str(*value_get(a.request, STR("content")));
    assert_true(str_find(again, STR("/n: "), 0) != SIZE_MAX);
    assert_int_equal(value_get(a.request, STR("earlier"))->num, 2);
    world_close(&w);
}

static void an_answer_that_never_fits(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline, replies: [no idea]}", SCHEMA);
    attempt_run(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "schema");
    assert_int_equal(a.failure.class, FAILURE_PERMANENT);
    assert_true(a.failure.forget_calls);
    assert_int_equal(value_get(*value_get(a.failure.meta, STR("usage")), STR("llmCalls"))->num, 2);
    assert_non_null(strstr(a.failure.message.ptr, "it is not JSON (line 1, column "));
    assert_non_null(strstr(a.failure.message.ptr, "it begins with \"no idea\""));
    world_close(&w);
}

/* ---- answers of an earlier attempt ---- */

static void know(struct attempt *a, struct value answers) {
    a->known_answers = answers.items;
    a->known_count = (uint32_t)value_count(answers);
}

static void a_known_answer_is_not_asked_for_again(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline, replies: [new]}", "prompt: p");
    know(&a, world_value(&w, "[{\"role\":\"assistant\",\"content\":\"old\",\"model\":\"m\","
                             "\"usage\":{\"inputTokens\":5,\"outputTokens\":6,\"llmCalls\":1}}]"));
    attempt_run(&a);
    assert_str(value_str(a.result.body), "old");
    assert_int_equal(a.calls_begun, 1);
    assert_int_equal(a.calls_done, 0);
    assert_string_equal(world_json(&w, a.result.meta),
                        "{\"agent\":\"w\",\"service\":\"offline\",\"model\":\"m\",\"usage\":"
                        "{\"inputTokens\":5,\"outputTokens\":6,\"llmCalls\":1}}");
    world_close(&w);
}

/* The first call was answered before the crash, the repair was not. */
static void a_repair_goes_on_after_a_crash(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, REPAIRED, SCHEMA);
    know(&a, world_value(&w, "[{\"content\":\"{}\",\"model\":\"m\"}]"));
    attempt_run(&a);
    assert_true(a.done);
    assert_int_equal(a.calls_begun, 2);
    assert_int_equal(a.calls_done, 1);
    /* what the first used was not recorded: the sum is unknown */
    assert_string_equal(world_json(&w, *value_get(a.result.meta, STR("usage"))),
                        "{\"llmCalls\":2}");
    world_close(&w);
}

static void a_known_answer_can_be_cancelled(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline}", "prompt: p");
    know(&a, world_value(&w, "[{\"content\":\"old\",\"model\":\"m\"}]"));
    attempt_start(&a);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "cancelled");
    world_close(&w);
}

/* ---- what it may cost ---- */

static void a_question_reserves_its_prompt_and_the_longest_answer(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a,
              "{service: offline, replies: [one two], system: be brief, params: {max_tokens: 7}, "
              "price: {input: 10, output: 20}}",
              "prompt: say two words");
    attempt_run(&a);
    assert_true(a.done);
    assert_int_equal(a.charge.tokens, 5 + 7);
    assert_int_equal(a.charge.nano_usd, 5 * 10000 + 7 * 20000);
    assert_null(a.charge.no_price);
    assert_string_equal(world_json(&w, *value_get(a.result.meta, STR("usage"))),
                        "{\"inputTokens\":5,\"outputTokens\":2,\"llmCalls\":1,\"costUsd\":9e-5}");
    world_close(&w);
}

static void a_model_without_a_price_says_so(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: openai_compatible, model: mine, base_url: 'http://127.0.0.1:1'}",
              "prompt: p");
    a.reserves_nothing = true;
    attempt_start(&a);
    assert_non_null(strstr(a.charge.no_price, "no price of the model mine is known"));
    attempt_cancel(&a);
    attempt_finish(&a);
    world_close(&w);
}

static void a_question_that_waits_for_a_budget_can_be_cancelled(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline}", "prompt: p");
    a.reserves_nothing = true;
    attempt_start(&a);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "cancelled");
    assert_int_equal(a.calls_done, 0);
    world_close(&w);
}

/* ---- memory ---- */

#define SAID                                                                               \
    "[{\"request\":{\"agent\":\"w\",\"content\":\"q1\"},\"answer\":{\"content\":\"a1\"}}," \
    "{\"request\":{\"agent\":\"x\",\"content\":\"q2\"},\"answer\":{\"content\":\"a2\"}}]"

/* Messages as "user: text|model: text|", and what was asked of the host. */
static const char *remembered(struct world *w, struct attempt *a, const char *memory) {
    const struct llm_message *messages;
    size_t count;
    struct buf b;
    char agent[200];
    snprintf(agent, sizeof agent, "{service: offline%s}", memory);
    open_node(w, a, agent, "prompt: p");
    a->said = world_value(w, SAID);
    a->said_of = STR("-");
    assert_int_equal(node_memory_read(&a->port, &w->plan->agents[0], &messages, &count, NULL), OK);
    buf_init(&b, 0);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&b, "%s: %.*s|", messages[i].from_model ? "model" : "user",
                   STR_ARG(messages[i].text));
    }
    struct str text = arena_str(&w->arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

static void expect_messages(const char *memory, const char *of, uint32_t at_most,
                            const char *expected) {
    struct world w;
    struct attempt a;
    const char *got = remembered(&w, &a, memory);
    assert_string_equal(got, expected);
    assert_str(a.said_of, of);
    assert_int_equal(a.said_at_most, at_most);
    world_close(&w);
}

static void what_an_agent_remembers(void **state) {
    (void)state;
    const char *all = "user: q1|model: a1|user: To x: q2|user: x: a2|";
    expect_messages("", "-", 0, ""); /* without a memory nobody is asked */
    expect_messages(", memory: {keep: none}", "-", 0, "");
    expect_messages(", memory: {keep: own}", "w", 0, all);
    expect_messages(", memory: {at_most: 9}", "w", 5, all);
    expect_messages(", memory: {keep: all}", "", 0, all);
    expect_messages(", memory: {keep: all, at_most: 3}", "", 2, all + strlen("user: q1|"));
}

static void the_number_of_messages_is_recorded(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline, memory: {keep: all}}", "prompt: p");
    a.said = world_value(&w, SAID);
    attempt_run(&a);
    assert_int_equal(value_get(a.request, STR("earlier"))->num, 4);
    world_close(&w);
}

/* ---- in a loop ---- */

static void past_max_runs_the_last_answer_stays(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline}", "prompt: p, max_runs: 2");
    a.in.iteration = 2;
    a.in.previous = value_text(STR("the last"));
    attempt_run(&a);
    assert_str(value_str(a.result.body), "the last");
    assert_string_equal(world_json(&w, a.result.meta), "{\"exhausted\":true}");
    assert_int_equal(a.calls_begun, 0);
    attempt_init(&a, &w, "a");
    a.in.iteration = 2;
    a.in.index = 1;
    a.in.previous = world_value(&w, "[\"x\", \"y\"]");
    attempt_run(&a);
    assert_str(value_str(a.result.body), "y");
    attempt_init(&a, &w, "a");
    a.in.iteration = 1;
    attempt_run(&a);
    assert_int_equal(a.calls_begun, 1);
    attempt_init(&a, &w, "a");
    a.in.iteration = 9;
    attempt_start(&a);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_str(a.failure.type, "cancelled");
    world_close(&w);
}

static void params_of_the_node_go_first(void **state) {
    (void)state;
    struct world w;
    struct attempt a;
    open_node(&w, &a, "{service: offline, params: {seed: 1, top_p: 2}}",
              "prompt: p, params: {seed: '{{ inputs.n }}'}");
    attempt_run(&a);
    assert_string_equal(world_json(&w, *value_get(a.request, STR("params"))),
                        "{\"seed\":3,\"top_p\":2}");
    world_close(&w);
}

int question_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_is_made_of_inputs),
        cmocka_unit_test(an_input_that_names_no_service),
        cmocka_unit_test(an_escaped_template_is_a_text),
        cmocka_unit_test(agents_that_cannot_be),
        cmocka_unit_test(what_an_input_gives_is_not_missed),
        cmocka_unit_test(the_key_is_asked_for),
        cmocka_unit_test(a_structured_answer_is_a_value),
        cmocka_unit_test(an_answer_is_repaired_once),
        cmocka_unit_test(an_answer_that_never_fits),
        cmocka_unit_test(a_known_answer_is_not_asked_for_again),
        cmocka_unit_test(a_repair_goes_on_after_a_crash),
        cmocka_unit_test(a_known_answer_can_be_cancelled),
        cmocka_unit_test(a_question_reserves_its_prompt_and_the_longest_answer),
        cmocka_unit_test(a_model_without_a_price_says_so),
        cmocka_unit_test(a_question_that_waits_for_a_budget_can_be_cancelled),
        cmocka_unit_test(what_an_agent_remembers),
        cmocka_unit_test(the_number_of_messages_is_recorded),
        cmocka_unit_test(past_max_runs_the_last_answer_stays),
        cmocka_unit_test(params_of_the_node_go_first),
    };
    return cmocka_run_group_tests_name("node question", tests, NULL, NULL);
}

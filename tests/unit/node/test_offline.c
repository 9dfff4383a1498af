/* The service offline: which reply, from the request alone. */
#include "harness.h"

#include <stdio.h>

/* Runs one question to an agent with these settings; the answer, or "!" and the failure. */
static const char *reply(struct world *w, const char *settings, const char *prompt, int64_t index,
                         uint32_t iteration) {
    static const struct world_file files[] = {
        {"r.yaml", "replies:\n  - match: [cat, dog]\n    reply: pet\ndefault: thing\n"},
        {"r.json", "[\"one\", \"two\"]"},
        {NULL, NULL}};
    char text[2000];
    snprintf(text, sizeof text,
             "cairn: 1\ninputs: {p: {type: string}}\nagents: {w: {service: offline%s}}\n"
             "nodes: {a: {type: agent, agent: w, prompt: '{{ inputs.p }}'}}\n",
             settings);
    world_open(w, text, files);
    struct value_builder inputs, names;
    value_builder_init(&inputs, &w->arena);
    value_map_add(&inputs, STR("p"), value_text(str_from(prompt)));
    value_builder_init(&names, &w->arena);
    value_map_add(&names, STR("inputs"), value_map_done(&inputs));
    w->names = value_map_done(&names);
    struct attempt a;
    attempt_init(&a, w, "a");
    a.in.index = index;
    a.in.iteration = iteration;
    attempt_run(&a);
    struct str out = a.done ? value_str(a.result.body)
                            : arena_printf(&w->arena, "!%.*s", STR_ARG(a.failure.message));
    return out.len ? out.ptr : "";
}

static void expect(const char *settings, const char *prompt, int64_t index, uint32_t iteration,
                   const char *expected) {
    struct world w;
    const char *got = reply(&w, settings, prompt, index, iteration);
    assert_string_equal(got, expected);
    world_close(&w);
}

static void lists_go_by_iteration(void **state) {
    (void)state;
    expect(", replies: [a, b, c]", "x", -1, 0, "a");
    expect(", replies: [a, b, c]", "x", -1, 2, "c");
    expect(", replies: [a, b, c]", "x", -1, 9, "c");
}

static void lists_go_by_index_of_an_item(void **state) {
    (void)state;
    expect(", replies: [a, b, c]", "x", 1, 0, "b");
    expect(", replies: [a, b, c]", "x", 1, 7, "b");
    expect(", replies: [a, b, c]", "x", 5, 0, "c");
}

static void the_first_rule_that_fits_answers(void **state) {
    (void)state;
    const char *rules = ", replies: [{match: REFUND, reply: billing}, {match: [ship, parcel], "
                        "reply: [s0, s1]}, {reply: {kind: other, n: 1}}]";
    expect(rules, "I want a refund for the parcel", -1, 0, "billing");
    expect(rules, "Where is my PARCEL?", -1, 1, "s1");
    expect(rules, "Hello", -1, 0, "{\"kind\":\"other\",\"n\":1}");
}

static void defaults_answer_the_rest(void **state) {
    (void)state;
    expect(", replies: [{match: a, reply: b}], default: z", "q", -1, 0, "z");
    expect(", default: z", "q", -1, 0, "z");
    expect(", replies_file: r.yaml", "a Dog", -1, 0, "pet");
    expect(", replies_file: r.yaml", "a stone", -1, 0, "thing");
    expect(", replies_file: r.json", "a stone", -1, 1, "two");
}

static void nothing_fits_is_a_failure(void **state) {
    (void)state;
    expect(", replies: [{match: a, reply: b}]", "q", -1, 0,
           "!agent \"w\": none of the agent's 1 rules in \"replies\" fits the prompt \"q\"; a rule "
           "without \"match\" at the end fits every prompt");
}

static void without_a_script_it_echoes(void **state) {
    (void)state;
    expect("", "  Hello you  ", -1, 0, "Offline reply to: Hello you");
    expect("", "", -1, 0, "Offline reply to: ");
    char prompt[3001];
    memset(prompt, 'x', 1999);
    for (size_t i = 1999; i < 3000; i += 2) { /* the cut falls inside a character */
        memcpy(prompt + i, "é", 2);
    }
    prompt[3000] = '\0';
    prompt[2999] = 'y';
    struct world w;
    const char *got = reply(&w, "", prompt, -1, 0);
    assert_int_equal(strlen(got), strlen("Offline reply to: ") + 1999 + 3);
    assert_true(str_is_utf8(str_from(got)));
    world_close(&w);
}

int offline_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_go_by_iteration),
        cmocka_unit_test(lists_go_by_index_of_an_item),
        cmocka_unit_test(the_first_rule_that_fits_answers),
        cmocka_unit_test(defaults_answer_the_rest),
        cmocka_unit_test(nothing_fits_is_a_failure),
        cmocka_unit_test(without_a_script_it_echoes),
    };
    return cmocka_run_group_tests_name("llm offline", tests, NULL, NULL);
}

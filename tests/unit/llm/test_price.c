/* Prices of models, and what a question may use at most.
 *
 * The numbers of the table are those of prices.def: a change there is meant.
 */
#include "groups.h"
#include "llm/price.h"

static void the_table_knows_models_by_name_and_by_date(void **state) {
    (void)state;
    struct llm_price p = llm_price_find(STR("gpt-4o-mini"));
    assert_true(p.known);
    assert_true(p.input == 0.15);
    assert_true(p.cached == 0.075);
    assert_true(p.output == 0.60);
    assert_true(llm_price_find(STR("gpt-4o-2024-08-06")).output == 10);
    assert_true(llm_price_find(STR("gpt-5.1")).input == 1.25);
    assert_false(llm_price_find(STR("gpt-4o-mini-audio")).known);
    assert_false(llm_price_find(STR("gpt-4o-2024-08-0x")).known);
    assert_false(llm_price_find(STR("gpt")).known);
    assert_false(llm_price_find(STR("openai/gpt-4o")).known);
    assert_false(llm_price_find(STR("")).known);
}

static void money_is_counted_in_billionths(void **state) {
    (void)state;
    struct llm_price p = {.known = true, .input = 10, .cached = 1, .output = 20};
    struct llm_usage u = {.known = true, .input_tokens = 7, .output_tokens = 3, .cached_tokens = 2};
    assert_int_equal(llm_price_nano_usd(&p, &u), 5 * 10000 + 2 * 1000 + 3 * 20000);
    u.cached_tokens = 99; /* no more than the input */
    assert_int_equal(llm_price_nano_usd(&p, &u), 7 * 1000 + 3 * 20000);
    u = (struct llm_usage){.known = true, .output_tokens = UINT64_MAX};
    assert_int_equal(llm_price_nano_usd(&p, &u), INT64_C(1000000000000000000));
}

static uint64_t bytes(struct str text) { return text.len; }

static void a_question_may_use_its_prompt_and_the_longest_answer(void **state) {
    (void)state;
    struct arena a;
    struct error e;
    struct value params;
    struct llm_agent agent = {.system = STR("be brief")};
    struct llm_message earlier[] = {{.text = STR("before")}, {.text = STR("and after")}};
    struct llm_request r = {.agent = &agent,
                            .prompt = STR("hello"),
                            .form = STR("JSON"),
                            .earlier = earlier,
                            .earlier_count = 2};
    struct llm_service counts = {.count = bytes}, guesses = {0};
    struct llm_usage most = llm_usage_most(&counts, &r);
    assert_int_equal(most.input_tokens, 8 + 5 + 4 + 6 + 9);
    assert_int_equal(most.output_tokens, LLM_OUTPUT_TOKENS);
    assert_int_equal(most.cached_tokens, 0);
    most = llm_usage_most(&guesses, &r);
    assert_int_equal(most.input_tokens, (8 / 3 + 5 / 3 + 4 / 3 + 6 / 3 + 9 / 3) + 5 * 8);
    arena_init(&a, 0);
    assert_int_equal(value_parse_json(&a, STR("{\"max_completion_tokens\": 70}"), &params, &e), OK);
    r.params = params;
    assert_int_equal(llm_usage_most(&counts, &r).output_tokens, 70);
    assert_int_equal(value_parse_json(&a, STR("{\"max_tokens\": 12}"), &params, &e), OK);
    r.params = params;
    assert_int_equal(llm_usage_most(&counts, &r).output_tokens, 12);
    assert_int_equal(value_parse_json(&a, STR("{\"max_tokens\": -1}"), &params, &e), OK);
    r.params = params;
    assert_int_equal(llm_usage_most(&counts, &r).output_tokens, LLM_OUTPUT_TOKENS);
    arena_fini(&a);
}

int price_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_knows_models_by_name_and_by_date),
        cmocka_unit_test(money_is_counted_in_billionths),
        cmocka_unit_test(a_question_may_use_its_prompt_and_the_longest_answer),
    };
    return cmocka_run_group_tests_name("prices", tests, NULL, NULL);
}

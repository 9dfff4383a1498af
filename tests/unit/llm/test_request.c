/* Requests of chat completions: the address, the messages, what params may do. */
#include "groups.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct value json(const char *text) {
    struct value v;
    assert_int_equal(value_parse_json(&arena, str_from(text), &v, NULL), OK);
    return v;
}

static void expect_body(const struct llm_request *r, const char *expected) {
    struct buf b;
    struct error e = {0};
    buf_init(&b, 0);
    assert_int_equal(chat_body(r, &arena, &b, &e), OK);
    assert_str(buf_str(&b), expected);
    buf_fini(&b);
}

#define STREAMED "\"stream\":true,\"stream_options\":{\"include_usage\":true}"

static void a_question_alone(void **state) {
    (void)state;
    struct llm_agent agent = {.model = STR("m")};
    struct llm_request r = {.agent = &agent, .prompt = STR("Say \"hi\"\n")};
    expect_body(&r, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
                    "\"Say \\\"hi\\\"\\n\"}]," STREAMED "}");
}

static void a_conversation(void **state) {
    (void)state;
    struct llm_agent agent = {.model = STR("m"), .system = STR("Be brief.")};
    struct llm_message earlier[] = {{.text = STR("one")}, {.from_model = true, .text = STR("two")}};
    struct llm_request r = {.agent = &agent,
                            .prompt = STR("three"),
                            .form = STR("Use JSON."),
                            .earlier = earlier,
                            .earlier_count = 2};
    expect_body(&r, "{\"model\":\"m\",\"messages\":["
                    "{\"role\":\"system\",\"content\":\"Be brief.\\n\\nUse JSON.\"},"
                    "{\"role\":\"user\",\"content\":\"one\"},"
                    "{\"role\":\"assistant\",\"content\":\"two\"},"
                    "{\"role\":\"user\",\"content\":\"three\"}]," STREAMED "}");
}

/* The API takes schemas of objects alone. */
static void a_schema_of_an_object_is_sent(void **state) {
    (void)state;
    struct llm_agent agent = {.model = STR("m")};
    struct llm_request r = {.agent = &agent, .prompt = STR("p")};
    r.schema = json("{\"type\":\"object\"}");
    expect_body(&r,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]," STREAMED
                ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                "{\"name\":\"answer\",\"schema\":{\"type\":\"object\"}}}}");
    r.schema = json("{\"type\":\"array\"}");
    expect_body(
        &r, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]," STREAMED "}");
}

static void params_go_through(void **state) {
    (void)state;
    struct llm_agent agent = {.model = STR("m"), .base_url = STR("http://localhost:1/v1")};
    struct llm_request r = {.agent = &agent, .prompt = STR("p")};
    r.params = json("{\"max_tokens\":5,\"stop\":[\"x\"]}");
    expect_body(&r,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]," STREAMED
                ",\"max_tokens\":5,\"stop\":[\"x\"]}");
    agent.base_url = STR("");
    expect_body(&r,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]," STREAMED
                ",\"max_completion_tokens\":5,\"stop\":[\"x\"]}");
}

/* For a server that knows another one, or none. */
static void a_response_format_of_ones_own(void **state) {
    (void)state;
    struct llm_agent agent = {.model = STR("m")};
    struct llm_request r = {.agent = &agent, .prompt = STR("p")};
    r.schema = json("{\"type\":\"object\"}");
    r.params = json("{\"response_format\":{\"type\":\"text\"}}");
    expect_body(&r,
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]," STREAMED
                ",\"response_format\":{\"type\":\"text\"}}");
}

static void params_change_nothing_that_is_relied_on(void **state) {
    (void)state;
    struct error e = {0};
    assert_int_equal(chat_params_check(json("{\"temperature\":0}"), &e), OK);
    assert_int_equal(chat_params_check(value_null(), &e), OK);
    assert_int_equal(chat_params_check(json("{\"top_p\":1,\"stream\":false}"), &e), ERR_INVALID);
    assert_part(e.message, "\"params\" cannot have \"stream\"");
}

static void expect_url(const char *base, const char *address, const char *expected) {
    struct llm_agent agent = {.base_url = str_from(base)};
    struct llm_request r = {.agent = &agent, .address = str_from(address)};
    struct error e = {0};
    struct str url = {0};
    enum err err = chat_url(&r, &arena, &url, &e);
    if (expected) {
        assert_int_equal(err, OK);
        assert_str(url, expected);
    } else {
        assert_int_equal(err, ERR_INVALID);
        assert_part(e.message, "\"base_url\" must be the address");
    }
}

static void where_it_goes(void **state) {
    (void)state;
    expect_url("", "", "https://api.openai.com/v1/chat/completions");
    expect_url("", "http://proxy/v1", "http://proxy/v1/chat/completions");
    expect_url("http://h:1/v1//", "http://proxy/v1", "http://h:1/v1/chat/completions");
    expect_url("localhost:1", "", NULL);
    expect_url("https://", "", NULL);
    expect_url("http://h/v1?key=1", "", NULL);
    expect_url("http://h/a b", "", NULL);
}

int request_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_conversation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_schema_of_an_object_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(params_go_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_response_format_of_ones_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(params_change_nothing_that_is_relied_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_it_goes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("llm requests", tests, NULL, NULL);
}

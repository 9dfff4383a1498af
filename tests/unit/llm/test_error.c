/* What statuses and errors mean: what may pass, when, and that no message holds the key. */
#include "groups.h"

#define KEY "sk-canary-0123456789"

/* One answer of the server and what is made of it. */
struct answered {
    int status;
    const char *header, *value; /* one, or NULL */
    const char *body;
    enum err code;
    const char *type;
    int64_t retry_after_us;
    const char *part; /* of the message */
};

static void expect(const struct answered *a) {
    struct net_header header = {str_from(a->header), str_from(a->value)};
    struct net_response head = {
        .status = a->status, .headers = &header, .header_count = a->header != NULL};
    struct chat_failure f = {.key = STR(KEY), .key_name = STR("THE_KEY")};
    chat_status_read(&head, str_from(a->body), (wall_us){1000000}, &f);
    if (f.error.code != a->code) {
        fail_msg("status %d, %s: %s", a->status, a->body, err_name(f.error.code));
    }
    assert_str(f.type, a->type);
    assert_int_equal(f.retry_after_us, a->retry_after_us);
    assert_part(f.error.message, a->part);
    assert_null(strstr(f.error.message, KEY));
}

#define BODY(rest) "{\"error\":{\"message\":\"why not\"" rest "}}"

static void statuses(void **state) {
    (void)state;
    static const struct answered all[] = {
        {400, NULL, NULL, BODY(), ERR_INVALID, "bad_request", 0, "status 400: why not"},
        {401, NULL, NULL, BODY(), ERR_DENIED, "unauthorized", 0, "why not"},
        {402, NULL, NULL, BODY(), ERR_DENIED, "quota", 0, "why not"},
        {403, NULL, NULL, BODY(), ERR_DENIED, "unauthorized", 0, "why not"},
        {404, NULL, NULL, BODY(), ERR_NOT_FOUND, "not_found", 0, "why not"},
        {408, NULL, NULL, BODY(), ERR_TRANSIENT, "unavailable", 0, "why not"},
        {409, NULL, NULL, BODY(), ERR_TRANSIENT, "unavailable", 0, "why not"},
        {422, NULL, NULL, BODY(), ERR_INVALID, "bad_request", 0, "why not"},
        {429, NULL, NULL, BODY(), ERR_TRANSIENT, "rate_limited", 0, "why not"},
        {500, NULL, NULL, BODY(), ERR_TRANSIENT, "unavailable", 0, "why not"},
        {529, NULL, NULL, BODY(), ERR_TRANSIENT, "unavailable", 0, "why not"},
        {302, NULL, NULL, "", ERR_INVALID, "bad_answer", 0, "302 and said nothing more"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        expect(&all[i]);
    }
}

static void the_server_has_the_last_word(void **state) {
    (void)state;
    static const struct answered all[] = {
        {429, "retry-after", "7", BODY(",\"code\":\"insufficient_quota\""), ERR_DENIED, "quota", 0,
         "why not"},
        {429, "retry-after", "7", BODY(",\"code\":\"rate_limit_exceeded\""), ERR_TRANSIENT,
         "rate_limited", 7000000, "why not"},
        {429, "x-should-retry", "true", BODY(",\"type\":\"insufficient_quota\""), ERR_DENIED,
         "quota", 0, "why not"},
        {500, "X-Should-Retry", "false", BODY(), ERR_INVALID, "unavailable", 0, "why not"},
        {400, "x-should-retry", "true", BODY(), ERR_TRANSIENT, "bad_request", 0, "why not"},
        {503, "Retry-After", "3600", BODY(), ERR_TRANSIENT, "unavailable", 3600000000, "why not"},
        {503, "retry-after-ms", "1500", BODY(), ERR_TRANSIENT, "unavailable", 1500000, "why not"},
        {503, "retry-after", "Thu, 01 Jan 1970 00:00:11 GMT", BODY(), ERR_TRANSIENT, "unavailable",
         10000000, "why not"},
        {400, "retry-after", "9", BODY(), ERR_INVALID, "bad_request", 0, "why not"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        expect(&all[i]);
    }
}

static void every_form_of_a_message(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"error\":\"why not\"}", "[{\"error\":{\"message\":\"why not\"}}]",
        "{\"message\":\"why not\"}", "{\"detail\":\"why not\"}", "  why not\n"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct answered a = {
            500,           NULL,          NULL, bodies[i],
            ERR_TRANSIENT, "unavailable", 0,    "the server answered with status 500: why not"};
        expect(&a);
    }
}

/* Not even a part of it, where a long message is cut. */
static void the_key_is_in_no_message(void **state) {
    (void)state;
    struct answered a = {401,        NULL,           NULL, "{\"error\":\"bad " KEY "\"}",
                         ERR_DENIED, "unauthorized", 0,    "bad [secret THE_KEY]"};
    expect(&a);
    char long_body[900];
    memset(long_body, 'x', sizeof long_body);
    memcpy(long_body + 190, KEY, strlen(KEY));
    long_body[sizeof long_body - 1] = '\0';
    struct net_response head = {.status = 401};
    struct chat_failure f = {.key = STR(KEY), .key_name = STR("THE_KEY")};
    chat_status_read(&head, str_from(long_body), (wall_us){0}, &f);
    assert_null(strstr(f.error.message, "sk-"));
}

static void a_message_is_utf8_to_its_end(void **state) {
    (void)state;
    struct chat_failure f = {0};
    struct buf b;
    buf_init(&b, 0);
    assert_str(chat_quote(&f, STR("a\xc3\xbc\xff-"), 100, &b), "a\xc3\xbc?-");
    buf_reset(&b);
    assert_str(chat_quote(&f, STR("a\xc3\xbc-"), 2, &b), "a");
    buf_fini(&b);
}

int error_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),
        cmocka_unit_test(the_server_has_the_last_word),
        cmocka_unit_test(every_form_of_a_message),
        cmocka_unit_test(the_key_is_in_no_message),
        cmocka_unit_test(a_message_is_utf8_to_its_end),
    };
    return cmocka_run_group_tests_name("llm errors", tests, NULL, NULL);
}

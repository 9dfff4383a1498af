/* Answers of chat completions: streams however they are cut, whole bodies, and what is no answer.
 */
#include "groups.h"
#include "net/sse.h"

#include <stdio.h>

struct reading {
    struct chat_answer answer;
    struct chat_failure failure;
    char pieces[200]; /* what was told as it came, with a bar after each */
    enum err err;
};

static void on_event(void *ctx, struct str name, struct str data) {
    struct reading *r = ctx;
    struct str piece;
    (void)name;
    if (r->err) {
        return;
    }
    r->err = chat_answer_event(&r->answer, data, &piece, &r->failure);
    if (!r->err && piece.len) {
        size_t at = strlen(r->pieces);
        snprintf(r->pieces + at, sizeof r->pieces - at, "%.*s|", STR_ARG(piece));
    }
}

/* Reads a stream in pieces of so many bytes, to its end. */
static void read_stream(struct reading *r, const char *text, size_t step) {
    struct str rest = str_from(text);
    struct error e = {0};
    struct sse sse;
    *r = (struct reading){.err = OK};
    chat_answer_init(&r->answer);
    sse_init(&sse, 0, on_event, r);
    for (size_t at = 0; at < rest.len; at += step) {
        assert_int_equal(sse_feed(&sse, str_sub(rest, at, at + step), &e), OK);
    }
    sse_fini(&sse);
    r->err = r->err ? r->err : chat_answer_end(&r->answer, &r->failure);
}

static void expect_failure(const char *stream, enum err code, const char *type, const char *part) {
    struct reading r;
    read_stream(&r, stream, 1000);
    assert_int_equal(r.err, code);
    assert_int_equal(r.failure.error.code, code);
    assert_str(r.failure.type, type);
    assert_part(r.failure.error.message, part);
    chat_answer_fini(&r.answer);
}

#define ROLE "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"
#define PIECE(text) \
    "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}],\"usage\":null}\n\n"
#define END(why) "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n"
#define USAGE                                                                       \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4," \
    "\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n"
#define DONE "data: [DONE]\n\n"

static void a_stream_however_it_is_cut(void **state) {
    (void)state;
    const char *stream = ": hello\r\n\r\n" ROLE PIECE("Gr\xc3\xbc\xc3\x9f") PIECE(" \\u20ac 5")
        END("stop") USAGE DONE;
    for (size_t step = 1; step < 40; step++) {
        struct reading r;
        read_stream(&r, stream, step);
        assert_int_equal(r.err, OK);
        assert_str(buf_str(&r.answer.text), "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac 5");
        assert_string_equal(r.pieces, "Gr\xc3\xbc\xc3\x9f| \xe2\x82\xac 5|");
        assert_str(buf_str(&r.answer.model), "m-1");
        assert_true(r.answer.usage.known && r.answer.usage.cached_known);
        assert_int_equal(r.answer.usage.input_tokens, 9);
        assert_int_equal(r.answer.usage.output_tokens, 4);
        assert_int_equal(r.answer.usage.cached_tokens, 3);
        chat_answer_fini(&r.answer);
    }
}

static void usage_that_is_not_told_is_unknown(void **state) {
    (void)state;
    struct reading r;
    read_stream(&r, PIECE("a") END("stop") DONE, 1000);
    assert_int_equal(r.err, OK);
    assert_false(r.answer.usage.known);
    chat_answer_fini(&r.answer);
}

/* Some servers end the connection instead of saying [DONE], some say nothing but [DONE]. */
static void either_end_will_do(void **state) {
    (void)state;
    struct reading r;
    read_stream(&r, PIECE("a") END("stop"), 1000);
    assert_int_equal(r.err, OK);
    chat_answer_fini(&r.answer);
    read_stream(&r, PIECE("a") DONE "data: junk\n\n", 1000);
    assert_int_equal(r.err, OK);
    chat_answer_fini(&r.answer);
}

static void what_is_no_answer(void **state) {
    (void)state;
    expect_failure(PIECE("abc"), ERR_TRANSIENT, "unavailable",
                   "broke off its answer after 3 bytes");
    expect_failure("", ERR_TRANSIENT, "unavailable", "after 0 bytes");
    expect_failure("data: {\"cho\n\n", ERR_TRANSIENT, "bad_answer", "{\"cho");
    expect_failure("data: 7\n\n", ERR_TRANSIENT, "bad_answer", "is no answer");
    expect_failure(PIECE("abc") END("length") DONE, ERR_LIMIT, "truncated", "after 3 bytes");
    expect_failure(END("content_filter") DONE, ERR_DENIED, "refused", "content filter");
    expect_failure(END("tool_calls") DONE, ERR_INVALID, "bad_answer", "call a tool");
    expect_failure("data: {\"choices\":[{\"delta\":{\"refusal\":\"I \"}}]}\n\n"
                   "data: {\"choices\":[{\"delta\":{\"refusal\":\"won't\"},"
                   "\"finish_reason\":\"stop\"}]}\n\n" DONE,
                   ERR_DENIED, "refused", "the model refused: I won't");
}

static void an_error_in_the_middle(void **state) {
    (void)state;
    expect_failure(PIECE("a") "data: {\"error\":{\"message\":\"gone\"}}\n\n", ERR_TRANSIENT,
                   "unavailable", "broke off with an error: gone");
    expect_failure("data: {\"error\":{\"message\":\"no\",\"code\":429}}\n\n", ERR_TRANSIENT,
                   "rate_limited", "no");
    expect_failure("data: {\"error\":{\"message\":\"no\",\"code\":400}}\n\n", ERR_INVALID,
                   "bad_request", "no");
    expect_failure("data: {\"error\":{\"type\":\"invalid_request_error\"}}\n\n", ERR_INVALID,
                   "bad_request", "did not say why");
    expect_failure("data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", ERR_DENIED, "quota",
                   "did not say why");
    expect_failure("data: {\"error\":\"plain words\"}\n\n", ERR_TRANSIENT, "unavailable",
                   "plain words");
}

static enum err read_whole(struct reading *r, const char *body) {
    *r = (struct reading){.err = OK};
    chat_answer_init(&r->answer);
    enum err err = chat_answer_whole(&r->answer, str_from(body), &r->failure);
    return err ? err : chat_answer_end(&r->answer, &r->failure);
}

static void a_body_that_is_no_stream(void **state) {
    (void)state;
    struct reading r;
    assert_int_equal(read_whole(&r,
                                "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"},"
                                "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
                                "\"completion_tokens\":2}}"),
                     OK);
    assert_str(buf_str(&r.answer.text), "hi");
    assert_true(r.answer.usage.known && !r.answer.usage.cached_known);
    chat_answer_fini(&r.answer);
    assert_int_equal(read_whole(&r, "{\"error\":{\"message\":\"busy\",\"code\":503}}"),
                     ERR_TRANSIENT);
    assert_part(r.failure.error.message, "busy");
    chat_answer_fini(&r.answer);
    assert_int_equal(read_whole(&r, "<html>"), ERR_TRANSIENT);
    chat_answer_fini(&r.answer);
}

/* Status 200 and JSON, but nothing that was said: never an empty answer. */
static void an_answer_without_a_message(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"hello\":1}",
        "{\"choices\":[]}",
        "{\"choices\":null}",
        "{\"choices\":{\"message\":{\"content\":\"a\"}}}",
        "{\"choices\":[7]}",
        "{\"choices\":[{}]}",
        "{\"choices\":[{\"message\":\"a\",\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":{\"a\":1}},\"finish_reason\":\"stop\"}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reading r;
        assert_int_equal(read_whole(&r, bodies[i]), ERR_TRANSIENT);
        assert_str(r.failure.type, "invalid_response");
        assert_part(r.failure.error.message, "no message with a text in \"choices\"");
        chat_answer_fini(&r.answer);
    }
    expect_failure(DONE, ERR_TRANSIENT, "invalid_response", "no message");
    expect_failure(USAGE DONE, ERR_TRANSIENT, "invalid_response", "no message");
    struct reading r;
    assert_int_equal(read_whole(&r, "{\"choices\":[{\"message\":{\"content\":null}}]}"), OK);
    chat_answer_fini(&r.answer);
}

int answer_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_however_it_is_cut),
        cmocka_unit_test(usage_that_is_not_told_is_unknown),
        cmocka_unit_test(either_end_will_do),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(an_error_in_the_middle),
        cmocka_unit_test(a_body_that_is_no_stream),
        cmocka_unit_test(an_answer_without_a_message),
    };
    return cmocka_run_group_tests_name("llm answers", tests, NULL, NULL);
}

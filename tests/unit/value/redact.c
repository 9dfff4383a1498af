/* Redaction: every form of a secret, at every border of pieces, overlapping secrets, values.
 */
#include "groups.h"

#include "value/redact.h"

static struct redactor *made(const char *const *pairs, size_t count) {
    struct redactor *r = redactor_new();
    assert_non_null(r);
    for (size_t i = 0; i < count; i += 2) {
        assert_true(redactor_add(r, str_from(pairs[i]), str_from(pairs[i + 1])));
    }
    return r;
}

static void check(const struct redactor *r, const char *text, const char *expected) {
    struct arena a;
    struct value out;
    arena_init(&a, 0);
    assert_true(redact_value(r, &a, value_text(str_from(text)), &out));
    assert_str(value_str(out), expected);
    arena_fini(&a);
}

/* In one piece, in two cut anywhere, byte by byte: always the same. */
static void check_stream(const struct redactor *r, const char *text, const char *expected) {
    struct str s = str_from(text);
    for (size_t cut = 0; cut <= s.len + 1; cut++) {
        struct buf out;
        struct redact_stream *stream = redact_stream_new(r);
        buf_init(&out, 0);
        if (cut <= s.len) {
            assert_true(redact_stream_feed(stream, str_sub(s, 0, cut), false, &out));
            assert_true(redact_stream_feed(stream, str_sub(s, cut, s.len), false, &out));
        }
        for (size_t i = 0; cut > s.len && i < s.len; i++) {
            assert_true(redact_stream_feed(stream, str_sub(s, i, i + 1), false, &out));
        }
        assert_true(redact_stream_feed(stream, STR(""), true, &out));
        assert_str(buf_str(&out), expected);
        redact_stream_free(stream);
        buf_fini(&out);
    }
}

static void check_both(const struct redactor *r, const char *text, const char *expected) {
    check(r, text, expected);
    check_stream(r, text, expected);
}

static void texts_at_every_border(void **state) {
    (void)state;
    static const char *const secrets[] = {"KEY", "s3cret-value"};
    struct redactor *r = made(secrets, 2);
    check_both(r, "", "");
    check_both(r, "nothing here", "nothing here");
    check_both(r, "s3cret-value", "[secret KEY]");
    check_both(r, "a s3cret-value b", "a [secret KEY] b");
    check_both(r, "s3cret-values3cret-value", "[secret KEY][secret KEY]");
    check_both(r, "s3cret-s3cret-value-s3cret-valu", "s3cret-[secret KEY]-s3cret-valu");
    redactor_free(r);
}

static void secrets_that_overlap(void **state) {
    (void)state;
    static const char *const secrets[] = {"A",       "abcdef", "LONG",    "abcdef-123", "TAIL",
                                          "efghijk", "MID",    "bcdefg1", "AA",         "zazazaz"};
    struct redactor *r = made(secrets, ARRAY_LEN(secrets));
    check_both(r, "abcdef abcdef-123 abcdef-12", "[secret A] [secret LONG] [secret A]-12");
    check_both(r, "xabcdefghijkx", "x[secret TAIL]x"); /* a union, not a byte of either is left */
    check_both(r, "abcdefg1", "[secret MID]");
    check_both(r, "zazazazazazazaz!", "[secret AA]!"); /* it overlaps itself */
    check_both(r, "zazazaz zazazazaz", "[secret AA] [secret AA]");
    redactor_free(r);
}

static void other_ways_to_write_it(void **state) {
    (void)state;
    static const char *const secrets[] = {"K", "p\xc3\xa4/ss \"w\\+d\xf0\x9f\x94\x91"};
    struct redactor *r = made(secrets, 2);
    check_both(r, "p\xc3\xa4/ss \"w\\+d\xf0\x9f\x94\x91", "[secret K]");
    check_both(r, "{\"x\":\"p\xc3\xa4/ss \\\"w\\\\+d\xf0\x9f\x94\x91\"}", "{\"x\":\"[secret K]\"}");
    check_both(r, "p\\u00e4/ss \\\"w\\\\+d\\ud83d\\udd11", "[secret K]");
    check_both(r, "p\\u00e4\\/ss \\\"w\\\\+d\\ud83d\\udd11", "[secret K]");
    check_both(r, "?q=p%C3%A4%2Fss%20%22w%5C%2Bd%F0%9F%94%91&", "?q=[secret K]&");
    check_both(r, "?q=p%c3%a4/ss+%22w%5c%2bd%f0%9f%94%91&", "?q=[secret K]&");
    redactor_free(r);
}

/* Base64 of a text that has the secret at any place: nothing of four digits or more is left. */
static void base64_around_it(void **state) {
    (void)state;
    static const char *const secrets[] = {"K", "topsecret?\?>>"};
    static const char *const rows[][2] = {
        {"dG9wc2VjcmV0Pz8+Pg==", "[secret K]g=="},         /* alone */
        {"dTp0b3BzZWNyZXQ/Pz4+", "dTp[secret K]"},         /* u:... */
        {"dXM6dG9wc2VjcmV0Pz8+Pg==", "dXM6[secret K]g=="}, /* us:... */
        {"dXNlOnRvcHNlY3JldD8/Pj46eA==", "dXNlOn[secret K]46eA=="},
        {"dTp0b3BzZWNyZXQ_Pz4-", "dTp[secret K]"}, /* the alphabet of URLs */
    };
    struct redactor *r = made(secrets, 2);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_both(r, rows[i][0], rows[i][1]);
    }
    redactor_free(r);
}

static void values_of_every_type(void **state) {
    (void)state;
    static const char *const secrets[] = {"K", "s3cret-value", "N", "12345678"};
    struct redactor *r = made(secrets, 4);
    struct arena a;
    struct value out;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    struct value v =
        json_value(&a, "{\"s3cret-value\": [\"x s3cret-value\", {\"k\": \"s3cret-value\"}], "
                       "\"n\": 12345678, \"d\": 12345678.5, \"m\": 1234567, "
                       "\"t\": true, \"z\": null}");
    assert_true(redact_value(r, &a, v, &out));
    value_print_json(out, 0, &b);
    assert_str(buf_str(&b), "{\"[secret K]\":[\"x [secret K]\",{\"k\":\"[secret K]\"}],"
                            "\"n\":\"[secret N]\",\"d\":\"[secret N].5\",\"m\":1234567,"
                            "\"t\":true,\"z\":null}");
    assert_true(redact_value(r, &a, value_bytes(STR("\0s3cret-value\xff")), &out));
    assert_int_equal(out.type, VALUE_BYTES);
    assert_int_equal(value_str(out).len, strlen("[secret K]") + 2);
    assert_memory_equal(value_str(out).ptr, "\0[secret K]\xff", value_str(out).len);
    buf_fini(&b);
    arena_fini(&a);
    redactor_free(r);
}

static void messages_that_cut_it_off(void **state) {
    (void)state;
    static const char *const secrets[] = {"K", "s3cret-value", "SHORT", "abc-de"};
    static const char *const rows[][2] = {
        {"it said s3cret-v...", "it said [secret K]..."},
        {"it said s3cret", "it said [secret K]"},
        {"it said s3cre...", "it said s3cre..."},
        {"s3cret-value s3cret-xvalue abc-d abc-de",
         "[secret K] [secret K]xvalue abc-d [secret SHORT]"},
        {"{\"a\":\"czNjcmV0LX", "{\"a\":\"[secret K]"},
        {"s3crs3cret-v abc-de", "s3cr[secret K] [secret SHORT]"},
    };
    struct redactor *r = made(secrets, 4);
    struct arena a;
    struct str out;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(redact_message(r, &a, str_from(rows[i][0]), &out));
        assert_str(out, rows[i][1]);
    }
    arena_fini(&a);
    redactor_free(r);
}

/* What is held back when another secret comes is read with it. */
static void secrets_added_on_the_way(void **state) {
    (void)state;
    struct str first = STR("abcabcabcabc"), text = STR("--abcabcabcabcabcabcX=second-secret--");
    for (size_t cut = 0; cut <= text.len; cut++) {
        static const char *const secrets[] = {"A", "abcabc"};
        struct redactor *r = made(secrets, 2);
        struct redact_stream *s = redact_stream_new(r);
        struct buf out;
        buf_init(&out, 0);
        assert_true(redact_stream_feed(s, str_sub(text, 0, cut), false, &out));
        assert_true(redactor_add(r, STR("B"), STR("second-secret")));
        assert_true(redactor_add(r, STR("C"), first));
        assert_true(redact_stream_feed(s, str_sub(text, cut, text.len), true, &out));
        assert_int_equal(str_find(buf_str(&out), STR("abc"), 0), SIZE_MAX);
        bool second = str_find(buf_str(&out), STR("=[secret B]--"), 0) != SIZE_MAX;
        assert_true(second == (cut <= str_find(text, STR("second"), 0)));
        buf_fini(&out);
        redact_stream_free(s);
        redactor_free(r);
    }
}

/* Long texts that are almost secrets, and many secrets: linear, so this ends at once. */
static void hard_texts_take_linear_time(void **state) {
    (void)state;
    struct redactor *r = redactor_new();
    struct buf text, out;
    buf_init(&text, 0);
    buf_init(&out, 0);
    for (int i = 0; i < 60000; i++) {
        buf_append_char(&text, 'a');
    }
    assert_true(redactor_add(r, STR("LONG"), buf_str(&text)));
    text.ptr[59999] = 'b';
    for (size_t len = 40000; len < 40020; len++) {
        assert_true(redactor_add(r, STR("OTHER"), str_sub(buf_str(&text), 59999 - len, 60000)));
    }
    struct redact_stream *s = redact_stream_new(r);
    for (int i = 0; i < 500000; i++) { /* byte by byte, one short of a find for ever */
        assert_true(redact_stream_feed(s, i % 59999 ? STR("a") : STR("c"), false, &out));
    }
    assert_true(redact_stream_feed(s, STR(""), true, &out));
    assert_int_equal(out.len, 500000);
    redact_stream_free(s);
    buf_fini(&text);
    buf_fini(&out);
    redactor_free(r);
}

int run_redact_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(texts_at_every_border),    TEST(secrets_that_overlap),
        TEST(other_ways_to_write_it),   TEST(base64_around_it),
        TEST(messages_that_cut_it_off), TEST(values_of_every_type),
        TEST(secrets_added_on_the_way), TEST(hard_texts_take_linear_time),
    };
    return cmocka_run_group_tests_name("redacting", tests, NULL, NULL);
}

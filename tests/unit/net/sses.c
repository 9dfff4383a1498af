/* Server-sent events: each case is read whole, byte by byte and split at every place; the events
 * are the same. */
#include "groups.h"

#include "net/sse.h"

static const struct {
    const char *stream;
    const char *events; /* "name=data;" for each */
} cases[] = {
    {"data: one\n\n", "message=one;"},
    {"data: one\r\n\r\ndata: two\r\n\r\n", "message=one;message=two;"},
    {"data: one\r\rdata: two\r\r", "message=one;message=two;"},
    {"data: a\r\n\ndata: b\n\r\n", "message=a;message=b;"},
    {"data: a\ndata: b\ndata\ndata:c\n\n", "message=a\nb\n\nc;"},
    {"event: delta\ndata: {\"a\": \"b:c\"}\n\n", "delta={\"a\": \"b:c\"};"},
    {"event: only\n\ndata: x\n\n", "message=x;"},
    {"event: a\nevent: b\ndata: x\n\n", "b=x;"},
    {": comment\n:\n: data: no\ndata: x\n: between\n\n", "message=x;"},
    {"data:\n\n", "message=;"},
    {"data\n\n", "message=;"},
    {"data:  two spaces\n\n", "message= two spaces;"},
    {"Data: case\ndatax: x\n data: y\n\n", ""},
    {"data: never ended\n", ""},
    {"data: never ended", ""},
    {"\n\n\n", ""},
    {"", ""},
    {"\xEF\xBB\xBF"
     "data: x\n\n",
     "message=x;"},
    {"data: \xEF\xBB\xBF"
     "x\n\n",
     "message=\xEF\xBB\xBF"
     "x;"},
    {"data: gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\xB2\n\n",
     "message=gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\xB2;"},
    {"data: [DONE]\n\n", "message=[DONE];"},
};

static struct buf seen;

static void note(void *ctx, struct str name, struct str data) {
    (void)ctx;
    buf_append(&seen, name);
    buf_append_char(&seen, '=');
    buf_append(&seen, data);
    buf_append_char(&seen, ';');
}

static void feed(struct sse *s, struct str bytes) {
    struct error e = {0};
    assert_int_equal(sse_feed(s, bytes, &e), OK);
}

static void expect(size_t index, const char *how) {
    if (!str_is(buf_str(&seen), cases[index].events)) {
        fail_msg("case %zu %s: %.*s", index, how, STR_ARG(buf_str(&seen)));
    }
    buf_reset(&seen);
}

static void streams_are_read_however_they_come(void **state) {
    (void)state;
    buf_init(&seen, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str all = str_from(cases[i].stream);
        for (size_t at = 0; at <= all.len; at++) {
            struct sse s;
            sse_init(&s, 0, note, NULL);
            feed(&s, str_sub(all, 0, at));
            feed(&s, str_sub(all, at, all.len));
            sse_fini(&s);
            expect(i, "in two pieces");
        }
        struct sse s;
        sse_init(&s, 0, note, NULL);
        for (size_t at = 0; at < all.len; at++) {
            feed(&s, str_sub(all, at, at + 1));
        }
        sse_fini(&s);
        expect(i, "byte by byte");
    }
    buf_fini(&seen);
}

static void ids_and_retries_are_kept(void **state) {
    (void)state;
    struct sse s;
    buf_init(&seen, 0);
    sse_init(&s, 0, note, NULL);
    feed(&s, STR("id: 7\nretry: 1500\ndata: x\n\ndata: y\nid: a\0b\nretry: soon\n\n"));
    assert_true(str_is(buf_str(&s.id), "7"));
    assert_int_equal(s.retry_us, 1500000);
    assert_true(str_is(buf_str(&seen), "message=x;message=y;"));
    feed(&s, STR("id\n\n"));
    assert_int_equal(s.id.len, 0);
    sse_fini(&s);
    buf_fini(&seen);
}

static void endless_lines_and_events_end(void **state) {
    (void)state;
    struct sse s;
    struct error e = {0};
    buf_init(&seen, 0);
    sse_init(&s, 16, note, NULL);
    feed(&s, STR("data: 123456789"));
    assert_int_equal(sse_feed(&s, STR("0123456789"), &e), ERR_LIMIT);
    sse_fini(&s);
    sse_init(&s, 16, note, NULL);
    feed(&s, STR("data: 12345678\n"));
    assert_int_equal(sse_feed(&s, STR("data: 12345678\n\n"), &e), ERR_LIMIT);
    assert_string_equal(e.message, "a line or an event of the stream is longer than 16 bytes");
    assert_int_equal(seen.len, 0);
    sse_fini(&s);
    buf_fini(&seen);
}

int run_sse_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_however_they_come),
        cmocka_unit_test(ids_and_retries_are_kept),
        cmocka_unit_test(endless_lines_and_events_end),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}

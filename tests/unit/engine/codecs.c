/* Bodies of events: every field there and back, large values out of line, hostile bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "groups.h"

static struct value large_text(struct arena *a, size_t len) {
    char *bytes = arena_alloc(a, len);
    memset(bytes, 'x', len);
    return value_text((struct str){bytes, len});
}

struct written {
    struct buf body;
    struct event_blobs blobs;
};

static void write_event(struct written *w, const struct event *ev) {
    struct error e;
    *w = (struct written){0};
    buf_init(&w->body, 0);
    buf_init(&w->blobs.bytes, 0);
    assert_int_equal(event_encode(ev, &w->body, &w->blobs, &e), OK);
}

static void written_free(struct written *w) {
    buf_fini(&w->body);
    buf_fini(&w->blobs.bytes);
    free(w->blobs.items);
}

static enum err from_blobs(void *ctx, struct str hash, struct arena *a, struct str *out,
                           struct error *e) {
    const struct written *w = ctx;
    (void)a;
    for (uint32_t i = 0; i < w->blobs.count; i++) {
        const struct event_blob *b = &w->blobs.items[i];
        if (str_is(hash, b->hash)) {
            *out = (struct str){w->blobs.bytes.ptr + b->offset, b->len};
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no such blob");
}

/* Every field gets a value of its own, made of its number. */
static struct event full_event(struct arena *a) {
    struct event ev = {0};
#define SET_u(number, id) ev.id = (uint64_t)number << number % 50
#define SET_i(number, id) ev.id = number % 2 ? -((int64_t)number << 40) : (int64_t)number << 50
#define SET_t(number, id) ev.id = arena_printf(a, "text %d", number)
#define SET_v(number, id) ev.id = value_text(arena_printf(a, "value %d", number))
#define EVENT_FIELD(number, id, type, doc) SET_##type(number, id);
#include "engine/events.def"
#undef EVENT_FIELD
    return ev;
}

static void every_field_comes_back(void **state) {
    struct arena a;
    struct written w;
    struct error e;
    struct event back = {0};
    (void)state;
    arena_init(&a, 0);
    struct event ev = full_event(&a);
    write_event(&w, &ev);
    assert_int_equal(event_decode(buf_str(&w.body), NULL, &a, &back, &e), OK);
#define SAME_u(id) assert_true(back.id == ev.id)
#define SAME_i(id) assert_true(back.id == ev.id)
#define SAME_t(id) assert_true(str_eq(back.id, ev.id))
#define SAME_v(id) assert_true(value_identical(back.id, ev.id))
#define EVENT_FIELD(number, id, type, doc) \
    SAME_##type(id);                       \
    assert_true(event_has(&back, number));
#include "engine/events.def"
#undef EVENT_FIELD
    written_free(&w);
    arena_fini(&a);
}

static void numbers_of_fields_fit_their_byte(void **state) {
    (void)state;
#define EVENT_FIELD(number, id, type, doc) assert_true(number > 0 && number < 128);
#include "engine/events.def"
#undef EVENT_FIELD
}

static void nothing_takes_no_bytes(void **state) {
    struct event ev = {0}, back = {0};
    struct written w;
    struct error e;
    (void)state;
    write_event(&w, &ev);
    assert_int_equal(w.body.len, 0);
    assert_int_equal(event_decode(STR(""), NULL, NULL, &back, &e), OK);
    assert_false(back.present[0] || back.present[1]);
    written_free(&w);
}

/* One byte over the limit goes out of line, one less does not; both come back. */
static void large_values_are_blobs(void **state) {
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    size_t overhead = value_size(large_text(&a, EVENT_INLINE_BYTES)) - EVENT_INLINE_BYTES;
    for (size_t more = 0; more < 2; more++) {
        struct event ev = {.body = large_text(&a, EVENT_INLINE_BYTES - overhead + more),
                           .inputs = large_text(&a, 100000 * more)};
        struct event back = {0};
        struct written w;
        struct error e = {0};
        struct event_fetch fetch = {&w, from_blobs};
        write_event(&w, &ev);
        assert_int_equal(w.blobs.count, 2 * more);
        assert_int_equal(event_decode(buf_str(&w.body), &fetch, &a, &back, &e), OK);
        assert_true(value_identical(back.body, ev.body));
        if (more) {
            assert_true(w.body.len < 100);
            assert_true(value_identical(back.inputs, ev.inputs));
            assert_int_equal(event_decode(buf_str(&w.body), NULL, &a, &back, &e), ERR_NEED_BLOB);
        }
        written_free(&w);
    }
    arena_fini(&a);
}

static void hostile_bodies_are_refused(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        enum err expected;
    } rows[] = {
        {"\x00", 1, ERR_UNSUPPORTED},     /* 0 is no field */
        {"\xfe\x01", 2, ERR_UNSUPPORTED}, /* a field of the future */
        {"\x01", 1, ERR_CORRUPT},         /* number missing */
        {"\x01\x80\x80", 3, ERR_CORRUPT}, /* number without an end */
        {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, ERR_CORRUPT}, /* too long */
        {"\x02\x05"
         "abc",
         5, ERR_CORRUPT}, /* text shorter than it says */
        {"\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, ERR_CORRUPT},
        {"\x06", 1, ERR_CORRUPT},         /* value missing */
        {"\x06\x02\x01", 3, ERR_CORRUPT}, /* neither inline nor blob */
        {"\x06\x01"
         "short",
         7, ERR_CORRUPT},                         /* a hash has 32 bytes */
        {"\x06\x00\x02\xff\xff", 5, ERR_CORRUPT}, /* two values in the place of one */
        {"\x06\x00\x00", 3, ERR_CORRUPT},         /* an empty value */
    };
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct event ev = {0};
        struct error e = {0};
        struct str body = {rows[i].bytes, rows[i].len};
        enum err err = event_decode(body, NULL, &a, &ev, &e);
        if (err != rows[i].expected) {
            fail_msg("row %zu gave %s", i, err_name(err));
        }
        assert_true(e.message[0] != '\0');
    }
    arena_fini(&a);
}

/* Every cut and every changed byte of a full body is read or refused, never worse. */
static void damaged_bodies_never_crash(void **state) {
    struct arena a, scratch;
    struct written w;
    struct error e;
    (void)state;
    arena_init(&a, 0);
    arena_init(&scratch, 1 << 20);
    struct event ev = full_event(&a);
    write_event(&w, &ev);
    for (size_t i = 0; i < w.body.len; i++) {
        struct event back = {0};
        (void)!event_decode((struct str){w.body.ptr, i}, NULL, &scratch, &back, &e);
        char kept = w.body.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            w.body.ptr[i] = (char)(kept ^ (1 << bit));
            back = (struct event){0};
            arena_reset(&scratch);
            (void)!event_decode(buf_str(&w.body), NULL, &scratch, &back, &e);
        }
        w.body.ptr[i] = kept;
    }
    written_free(&w);
    arena_fini(&scratch);
    arena_fini(&a);
}

static void kinds_have_names(void **state) {
    size_t count;
    const struct event_row *rows = event_rows(&count);
    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(event_name(rows[i].number), rows[i].id_name);
        assert_true(rows[i].version >= 1 && rows[i].number > 0);
    }
    assert_null(event_name(0));
    assert_null(event_name(1000));
}

int run_codec_tests(void) {
    const struct CMUnitTest tests[] = {TEST(every_field_comes_back),
                                       TEST(numbers_of_fields_fit_their_byte),
                                       TEST(nothing_takes_no_bytes),
                                       TEST(large_values_are_blobs),
                                       TEST(hostile_bodies_are_refused),
                                       TEST(damaged_bodies_never_crash),
                                       TEST(kinds_have_names)};
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}

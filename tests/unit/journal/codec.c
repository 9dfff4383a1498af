/* The codec of event bodies: exact bytes, everything there and back, and bytes that are no event.
 */
#include "engine/event.h"

#include <stdlib.h>

#include "groups.h"

static struct arena arena;
static struct buf body;
static struct event_blobs blobs;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    buf_init(&body, 0);
    blobs = (struct event_blobs){0};
    buf_init(&blobs.bytes, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    buf_fini(&body);
    buf_fini(&blobs.bytes);
    free(blobs.items);
    return 0;
}

static void encode(const struct event *ev) {
    struct error e;
    buf_reset(&body);
    assert_int_equal(event_encode(ev, &body, &blobs, &e), OK);
}

static enum err get_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                         struct error *e) {
    struct event_blobs *all = ctx;
    for (uint32_t i = 0; i < all->count; i++) {
        if (str_is(hash, all->items[i].hash)) {
            struct str bytes = {all->bytes.ptr + all->items[i].offset, all->items[i].len};
            *out = arena_str(a, bytes);
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no such blob");
}

static enum err decode(struct str bytes, struct event *out) {
    struct event_fetch fetch = {&blobs, get_blob};
    struct error e;
    *out = (struct event){0};
    return event_decode(bytes, &fetch, &arena, out, &e);
}

/* These bytes are on disks: they never change. */
static void exact_bytes(void **state) {
    (void)state;
    const struct event ev = {.id = STR("ab"),
                             .attempt = 2,
                             .body = value_int(5),
                             .due_us = -1,
                             .count = 300,
                             .follows = 1};
    static const char want[] = "\x02\x02"
                               "ab"
                               "\x0f\x02"         /* attempt */
                               "\x11\x00\x01\x95" /* body: inline, 1 byte, the int 5 */
                               "\x15\x01"         /* due_us: zigzag */
                               "\x1c\xac\x02"     /* count: varint */
                               "\x24\x01";        /* follows */
    encode(&ev);
    assert_int_equal(body.len, sizeof want - 1);
    assert_memory_equal(body.ptr, want, body.len);
}

static void nothing_is_no_bytes(void **state) {
    (void)state;
    struct event ev = {.kind = EVENT_STEP_READY, .seq = 9, .has_step = true};
    encode(&ev);
    assert_int_equal(body.len, 0);
    assert_int_equal(decode(buf_str(&body), &ev), OK);
    assert_false(ev.present[0] || ev.present[1]);
}

#define SAME_u(id) assert_true(got.id == ev.id)
#define SAME_i(id) assert_true(got.id == ev.id)
#define SAME_t(id) assert_true(str_eq(got.id, ev.id))
#define SAME_v(id) assert_true(value_identical(got.id, ev.id))

static void round_trip(const struct event *given, const uint64_t present[2]) {
    struct event ev = *given, got;
    encode(&ev);
    assert_int_equal(decode(buf_str(&body), &got), OK);
#define EVENT_FIELD(number, id, type, doc) SAME_##type(id);
#include "engine/events.def"
#undef EVENT_FIELD
    assert_memory_equal(got.present, present, sizeof got.present);
}

#define ALL_u(n) (UINT64_MAX - n)
#define ALL_i(n) (INT64_MIN + n)
#define ALL_t(n) ((struct str){"a text of up to forty bytes, with \0 too", (n - 1) % 39 + 1})
#define ALL_v(n) value_list(items, n % 4 + 1)

static void every_field_comes_back(void **state) {
    (void)state;
    const struct value items[] = {value_uint(3), value_double(3.0), value_timestamp(1, 2),
                                  value_null()};
    struct event ev = {0};
    uint64_t present[2] = {0};
#define EVENT_FIELD(number, id, type, doc) \
    ev.id = ALL_##type(number);            \
    present[number / 64] |= 1ull << number % 64;
#include "engine/events.def"
#undef EVENT_FIELD
    round_trip(&ev, present);
    assert_int_equal(blobs.count, 0);
}

/* What a reader needs to know about numbers: none twice, none zero, all in one byte. */
static void numbers_are_used_once(void **state) {
    (void)state;
    uint64_t fields[2] = {0}, events = 0;
#define EVENT_FIELD(number, id, type, doc)                     \
    assert_true(number > 0 && number < 128);                   \
    assert_true(!(fields[number / 64] & 1ull << number % 64)); \
    fields[number / 64] |= 1ull << number % 64;
#define EVENT(number, id, name, version, doc)               \
    assert_true(number > 0 && number < 64 && version >= 1); \
    assert_true(!(events & 1ull << number));                \
    events |= 1ull << number;                               \
    assert_string_equal(event_name(number), name);
#include "engine/events.def"
#undef EVENT
#undef EVENT_FIELD
    assert_null(event_name(0));
    assert_null(event_name(63));
    assert_null(event_name(70000));
}

static struct value text_of(size_t len) {
    char *text = arena_alloc(&arena, len);
    memset(text, 'x', len);
    return value_text((struct str){text, len});
}

static void large_values_are_blobs(void **state) {
    (void)state;
    /* A text over 31 bytes has a tag and a length of three bytes before it. */
    struct event ev = {.inputs = text_of(EVENT_INLINE_BYTES - 4), .body = value_int(1)};
    round_trip(&ev, (const uint64_t[2]){1ull << 6 | 1ull << 17});
    assert_int_equal(blobs.count, 0);
    ev.inputs = text_of(EVENT_INLINE_BYTES - 3);
    ev.meta = text_of(100000);
    round_trip(&ev, (const uint64_t[2]){1ull << 6 | 1ull << 17 | 1ull << 18});
    assert_int_equal(blobs.count, 2);
    assert_true(body.len < 100);
    assert_int_equal((uint8_t)body.ptr[1], 1);
    struct error e;
    struct event got = {0};
    assert_int_equal(event_decode(buf_str(&body), NULL, &arena, &got, &e), ERR_NEED_BLOB);
    blobs.count = 0;
    assert_int_equal(decode(buf_str(&body), &got), ERR_NOT_FOUND);
}

static void unknown_fields_are_refused_by_name(void **state) {
    (void)state;
    struct event got = {0};
    struct error e;
    assert_int_equal(event_decode(STR("\x7f\x01"), NULL, &arena, &got, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.message, "field 127"));
    assert_int_equal(decode(STR("\0"), &got), ERR_UNSUPPORTED);
}

static void bodies_that_are_cut_or_wrong(void **state) {
    (void)state;
    static const struct str wrong[] = {
        STR_INIT("\x0f"),                                         /* no number */
        STR_INIT("\x0f\x80"),                                     /* half of one */
        STR_INIT("\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* over 64 bits */
        STR_INIT("\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        STR_INIT("\x02\x05"
                 "abc"), /* text beyond the end */
        STR_INIT("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        STR_INIT("\x11"), /* neither inline nor blob */
        STR_INIT("\x11\x02\x01\x95"),
        STR_INIT("\x11\x00\x02\x95"),     /* value beyond the end */
        STR_INIT("\x11\x00\x02\x95\x95"), /* more than a value */
        STR_INIT("\x11\x01"
                 "too short for a hash"),
        STR_INIT("\x0f\x01\x0f\x02"), /* a field twice */
    };
    struct event got;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(decode(wrong[i], &got), ERR_CORRUPT);
    }
}

/* Whatever is done to the bytes: an error or an event, never a crash. */
static void damaged_bodies(void **state) {
    (void)state;
    const struct value items[] = {value_text(STR("some text")), value_double(0.5)};
    const struct event ev = {.id = STR("exec_1"),
                             .inputs = value_list(items, 2),
                             .body = text_of(40000),
                             .timeout_us = -5,
                             .attempt = 1u << 20};
    encode(&ev);
    char copy[256];
    assert_true(body.len < sizeof copy);
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        struct event got;
        size_t len = body.len;
        memcpy(copy, body.ptr, len);
        for (int k = 0; k < 1 + i % 3; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            copy[(seed >> 33) % len] = (char)(seed >> 56);
        }
        len = i % 5 ? len : (seed >> 40) % len;
        char *exact = malloc(len ? len : 1); /* so that a read past the end is noticed */
        memcpy(exact, copy, len);
        (void)!decode((struct str){exact, len}, &got);
        free(exact);
        arena_reset(&arena);
    }
}

int run_codec_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(exact_bytes),
        T(nothing_is_no_bytes),
        T(every_field_comes_back),
        T(numbers_are_used_once),
        T(large_values_are_blobs),
        T(unknown_fields_are_refused_by_name),
        T(bodies_that_are_cut_or_wrong),
        T(damaged_bodies),
#undef T
    };
    return cmocka_run_group_tests_name("journal codec", tests, NULL, NULL);
}

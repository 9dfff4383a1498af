/* Bytes that nobody encoded: every truncation, every changed byte, random bytes, claims of length
 * that cannot be true. None may crash, none may take memory out of proportion, and what is
 * accepted must encode to the very same bytes. Meant to run under the sanitizers too.
 */
#include "groups.h"

#include <stdlib.h>

/* Decodes from a block of just that size; true if accepted. */
static bool try_decode(struct str s) {
    struct arena a;
    struct value v;
    struct error e;
    char *p = malloc(s.len ? s.len : 1);
    assert_non_null(p);
    if (s.len)
        memcpy(p, s.ptr, s.len);
    arena_init(&a, 0);
    enum err err = value_decode(&a, (struct str){p, s.len}, &v, &e);
    assert_true(err == OK || err == ERR_CORRUPT);
    assert_true(a.used_bytes <= 64 + s.len * 80);
    if (err == OK) {
        struct buf b;
        buf_init(&b, 0);
        value_encode(v, &b);
        assert_true(str_eq(buf_str(&b), s));
        buf_fini(&b);
    }
    arena_fini(&a);
    free(p);
    return err == OK;
}

static struct str sample(struct arena *a, uint64_t seed) {
    struct buf b;
    buf_init(&b, 0);
    value_encode(random_value(a, &seed, 4), &b);
    assert_true(buf_ok(&b));
    struct str s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 150; seed++) {
        struct arena a;
        arena_init(&a, 0);
        struct str s = sample(&a, seed);
        assert_true(try_decode(s));
        for (size_t n = 0; n < s.len && n < 600; n++)
            assert_false(try_decode(str_sub(s, 0, n)));
        arena_fini(&a);
    }
}

static void every_changed_byte_is_survived(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct arena a;
        arena_init(&a, 0);
        struct str s = sample(&a, seed);
        char *copy = arena_alloc(&a, s.len);
        memcpy(copy, s.ptr, s.len);
        for (size_t i = 0; i < s.len && i < 400; i++) {
            for (int bit = 0; bit < 8; bit++) {
                copy[i] = (char)(s.ptr[i] ^ (1 << bit));
                (void)try_decode((struct str){copy, s.len});
            }
            copy[i] = (char)~s.ptr[i];
            (void)try_decode((struct str){copy, s.len});
            copy[i] = s.ptr[i];
        }
        arena_fini(&a);
    }
}

static void random_bytes_are_survived(void **state) {
    (void)state;
    uint64_t seed = 99;
    for (int round = 0; round < 30000; round++) {
        char bytes[48];
        size_t len = random_next(&seed) % sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(random_next(&seed) >> (random_next(&seed) % 5));
        (void)try_decode((struct str){bytes, len});
    }
}

static void other_forms_are_refused(void **state) {
    (void)state;
    static const struct str rows[] = {
        {"", 0},
        {"\x0d", 1},                                          /* no such tag */
        {"\x60", 1},                                          /**/
        {"\x00\x00", 2},                                      /* bytes after the value */
        {"\x03\x00", 2},                                      /* 0 in the long form */
        {"\x03\xDE\x01", 3},                                  /* 111 in the long form */
        {"\x04\x80\x00", 3},                                  /* varint with a needless byte */
        {"\x04\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11}, /* more than 64 bits */
        {"\x04\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x81\x00", 12},
        {"\x07\x01x", 3},                    /* short text in the long form */
        {"\x21\xFF", 2},                     /* no UTF-8 */
        {"\x22\xED\xA0", 3},                 /**/
        {"\x51\x01\xFF\x00", 4},             /* a key that is no UTF-8 */
        {"\x52\x01x\x00\x01x\x00", 7},       /* a key twice */
        {"\x0b\x01\x00", 3},                 /* short list in the long form */
        {"\x09\x00\x80\x94\xEB\xDC\x03", 7}, /* 1,000,000,000 nanoseconds */
        {"\x09\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12},
        {"\x0a\x02\x01", 3}, /* 1 s and -1 ns */
        {"\x0a\x01\x02", 3}, /* -1 s and 1 ns */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (try_decode(rows[i]))
            fail_msg("row %zu was accepted", i);
    }
}

/* Lists that each claim all that is left: 200 times the input, were it believed. */
static void nested_claims_take_no_memory(void **state) {
    (void)state;
    enum { LEN = 100000 };
    char *bytes = malloc(LEN);
    assert_non_null(bytes);
    memset(bytes, 0, LEN);
    for (size_t level = 0; level < VALUE_MAX_DEPTH; level++)
        memcpy(bytes + level * 4, "\x0b\x80\x8d\x06", 4); /* a list of 99,968 */
    assert_false(try_decode((struct str){bytes, LEN}));
    for (size_t level = 0; level < VALUE_MAX_DEPTH; level++)
        memcpy(bytes + level * 4, "\x0c\xC0\x84\x03", 4); /* a map of 49,728 */
    assert_false(try_decode((struct str){bytes, LEN}));
    free(bytes);
}

static void huge_claims_are_refused(void **state) {
    (void)state;
    static const char tags[] = {0x07, 0x08, 0x0b, 0x0c};
    for (size_t i = 0; i < sizeof tags; i++) {
        char bytes[11] = "\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
        bytes[0] = tags[i];
        assert_false(try_decode((struct str){bytes, sizeof bytes}));
    }
}

static void depth_is_bounded(void **state) {
    (void)state;
    char bytes[100001];
    memset(bytes, 0x41, sizeof bytes);
    bytes[VALUE_MAX_DEPTH] = 0;
    assert_true(try_decode((struct str){bytes, VALUE_MAX_DEPTH + 1}));
    bytes[VALUE_MAX_DEPTH] = 0x41;
    bytes[VALUE_MAX_DEPTH + 1] = 0;
    assert_false(try_decode((struct str){bytes, VALUE_MAX_DEPTH + 2}));
    bytes[sizeof bytes - 1] = 0;
    assert_false(try_decode((struct str){bytes, sizeof bytes}));
}

static void out_is_untouched_on_failure(void **state) {
    (void)state;
    struct arena a;
    struct error e;
    struct value v = value_int(42);
    arena_init(&a, 0);
    assert_int_equal(value_decode(&a, STR("\x42\x90"), &v, &e), ERR_CORRUPT);
    assert_int_equal(v.num, 42);
    assert_true(strlen(e.message) > 0);
    assert_int_equal(value_decode(&a, (struct str){0}, &v, NULL), ERR_CORRUPT);
    arena_fini(&a);
    arena_init(&a, 16);
    assert_int_equal(value_decode(&a, STR("\x42\x90\x91"), &v, &e), ERR_NOMEM);
    assert_int_equal(v.num, 42);
    arena_fini(&a);
}

int run_hostile_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_truncation_is_refused),
        TEST(every_changed_byte_is_survived),
        TEST(random_bytes_are_survived),
        TEST(other_forms_are_refused),
        TEST(nested_claims_take_no_memory),
        TEST(huge_claims_are_refused),
        TEST(depth_is_bounded),
        TEST(out_is_untouched_on_failure),
    };
    return cmocka_run_group_tests_name("value: hostile bytes", tests, NULL, NULL);
}

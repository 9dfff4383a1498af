/* Equality, identity and copies: exact numbers across types, order of maps, NaN, depth.
 */
#include "groups.h"

#include <math.h>

static void check_equal(struct value a, struct value b, bool expected) {
    assert_int_equal(value_equal(a, b), expected);
    assert_int_equal(value_equal(b, a), expected);
}

static void numbers_across_types(void **state) {
    (void)state;
    check_equal(value_int(3), value_double(3.0), true);
    check_equal(value_int(3), value_uint(3), true);
    check_equal(value_uint(3), value_double(3.0), true);
    check_equal(value_int(-1), value_uint(UINT64_MAX), false);
    check_equal(value_int(INT64_MAX), value_double(0x1p63), false);
    check_equal(value_int(INT64_MIN), value_double(-0x1p63), true);
    check_equal(value_uint(UINT64_MAX), value_double(0x1p64), false);
    check_equal(value_uint(UINT64_C(1) << 63), value_double(0x1p63), true);
    check_equal(value_int((INT64_C(1) << 53) + 1), value_double(0x1p53), false);
    check_equal(value_int(0), value_double(-0.0), true);
    check_equal(value_int(0), value_double(0.5), false);
    check_equal(value_double(0.0), value_double(-0.0), true);
    check_equal(value_double((double)NAN), value_double((double)NAN), false);
    check_equal(value_int(0), value_double((double)NAN), false);
    check_equal(value_int(INT64_MAX), value_double((double)INFINITY), false);
    check_equal(value_bool(true), value_int(1), false);
    check_equal(value_text(STR("1")), value_int(1), false);
    check_equal(value_null(), value_bool(false), false);
}

static void texts_bytes_and_times(void **state) {
    (void)state;
    check_equal(value_text(STR("")), value_text((struct str){0}), true);
    check_equal(value_text(STR("a")), value_bytes(STR("a")), false);
    check_equal(value_timestamp(1, 2), value_timestamp(1, 2), true);
    check_equal(value_timestamp(1, 2), value_timestamp(1, 3), false);
    check_equal(value_timestamp(1, 0), value_duration(1, 0), false);
    check_equal(value_duration(-1, -5), value_duration(-1, -5), true);
}

static void lists_and_maps(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal, identical;
    } rows[] = {
        {"[1,2]", "[1,2]", true, true},
        {"[1,2]", "[1,2.0]", true, false},
        {"[1,2]", "[2,1]", false, false},
        {"[1]", "[1,2]", false, false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true, false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false, false},
        {"{\"a\":1}", "{\"b\":1}", false, false},
        {"{\"a\":null}", "{\"b\":null}", false, false},
        {"{}", "[]", false, false},
        {"{\"a\":[{\"b\":[1]}]}", "{\"a\":[{\"b\":[1]}]}", true, true},
    };
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value x = json_value(&a, rows[i].a), y = json_value(&a, rows[i].b);
        check_equal(x, y, rows[i].equal);
        assert_int_equal(value_identical(x, y), rows[i].identical);
    }
    arena_fini(&a);
}

static struct value map_in_steps(struct arena *a, unsigned count, unsigned step) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (unsigned i = 0; i < count; i++) {
        unsigned n = i * step % count;
        value_map_add(&b, arena_printf(a, "k%u", n), value_int(n));
    }
    return value_map_done(&b);
}

static void large_maps_in_another_order(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct value x = map_in_steps(&a, 1009, 1), y = map_in_steps(&a, 1009, 500);
    assert_int_equal(value_count(y), 1009);
    assert_true(value_equal(x, y));
    assert_false(value_identical(x, y));
    arena_fini(&a);
}

static void identity_sees_bits_and_flags(void **state) {
    (void)state;
    assert_true(value_identical(value_double((double)NAN), value_double((double)NAN)));
    assert_false(value_identical(value_double(0.0), value_double(-0.0)));
    assert_false(value_identical(value_int(1), value_uint(1)));
    struct value lossy = value_double(1e20);
    lossy.flags = VALUE_LOSSY;
    assert_false(value_identical(lossy, value_double(1e20)));
    assert_true(value_equal(lossy, value_double(1e20)));
}

static void optionals(void **state) {
    (void)state;
    struct value one = value_int(1);
    struct value none = {.type = VALUE_OPTIONAL};
    struct value some = {.type = VALUE_OPTIONAL, .items = &one};
    check_equal(none, none, true);
    check_equal(none, some, false);
    check_equal(some, some, true);
    check_equal(some, one, false);
}

static void copies_are_identical_and_apart(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 300; seed++) {
        struct arena a, b;
        uint64_t s = seed;
        struct value copy;
        arena_init(&a, 0);
        arena_init(&b, 0);
        struct value v = random_value(&a, &s, 4);
        assert_true(value_copy(&b, v, &copy));
        assert_true(value_identical(v, copy));
        arena_fini(&a); /* the copy must not need it */
        size_t size = value_size(copy);
        assert_true(size > 0 && size != SIZE_MAX);
        assert_true(value_identical(copy, copy));
        arena_fini(&b);
    }
}

static void copy_without_memory_fails(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    uint64_t seed = 11;
    struct value v = random_value(&a, &seed, 4);
    while (value_size(v) < 500)
        v = random_value(&a, &seed, 4);
    for (size_t cap = 16;; cap += 16) {
        struct arena small;
        struct value copy = value_int(1);
        arena_init(&small, cap);
        bool done = value_copy(&small, v, &copy);
        assert_true(done ? value_identical(v, copy) : value_is_null(copy));
        arena_fini(&small);
        if (done)
            break;
    }
    arena_fini(&a);
}

static struct value nested(struct arena *a, int depth) {
    struct value v = value_int(1);
    for (int i = 0; i < depth; i++) {
        struct value *item = ARENA_NEW(a, struct value);
        *item = v;
        v = value_list(item, 1);
    }
    return v;
}

static void depth_is_bounded(void **state) {
    (void)state;
    struct arena a;
    struct value copy;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    struct value fits = nested(&a, VALUE_MAX_DEPTH), deep = nested(&a, VALUE_MAX_DEPTH + 1);
    struct value abyss = nested(&a, 1000000);
    assert_true(value_equal(fits, fits) && value_identical(fits, fits));
    assert_true(value_copy(&a, fits, &copy));
    assert_false(value_equal(deep, deep) || value_identical(deep, deep));
    assert_false(value_copy(&a, deep, &copy));
    assert_false(value_equal(abyss, abyss) || value_copy(&a, abyss, &copy));
    assert_true(value_size(fits) == VALUE_MAX_DEPTH + 1 && value_size(abyss) == SIZE_MAX);
    void (*const writers[])(struct value, struct buf *) = {value_encode, value_print_canonical,
                                                           value_print_text};
    for (size_t i = 0; i < ARRAY_LEN(writers); i++) {
        buf_reset(&b);
        writers[i](fits, &b);
        assert_true(buf_ok(&b));
        writers[i](abyss, &b);
        assert_false(buf_ok(&b));
    }
    buf_fini(&b);
    arena_fini(&a);
}

int run_compare_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(numbers_across_types),
        TEST(texts_bytes_and_times),
        TEST(lists_and_maps),
        TEST(large_maps_in_another_order),
        TEST(identity_sees_bits_and_flags),
        TEST(optionals),
        TEST(copies_are_identical_and_apart),
        TEST(copy_without_memory_fails),
        TEST(depth_is_bounded),
    };
    return cmocka_run_group_tests_name("value: compare", tests, NULL, NULL);
}

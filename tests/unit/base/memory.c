/* Arenas and buffers: alignment, clearing, caps, reuse, and what happens at every limit.
 *
 * Sizes near SIZE_MAX are included: they must be refused, never wrapped around. Whether bytes
 * beyond an object are touched is for the sanitizer builds to find.
 */
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>

static bool all_zero(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

static void arena_objects_are_aligned_and_zero(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
            char *p = arena_alloc(&a, size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            assert_true(all_zero(p, size));
            memset(p, 0xA5, size); /* so that reuse without clearing would show */
        }
        arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
    arena_fini(&a);
}

static void arena_objects_do_not_overlap(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    struct arena a;
    arena_init(&a, 0);
    unsigned char **objects = calloc(COUNT, sizeof *objects);
    assert_non_null(objects);
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = 1 + i % 97 + (i % 500 == 0 ? 100000 : 0);
        objects[i] = arena_alloc(&a, size);
        assert_non_null(objects[i]);
        memset(objects[i], (int)(i & 0xFF), size);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(objects[i][0], i & 0xFF);
        assert_int_equal(objects[i][i % 97], i & 0xFF);
    }
    free(objects);
    arena_fini(&a);
}

static void arena_cap_is_exact(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    for (int i = 0; i < 64; i++)
        assert_non_null(arena_alloc(&a, 16));
    assert_int_equal(a.used_bytes, 1024);
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_str(&a, STR("x")).ptr);
    assert_null(arena_printf(&a, "%d", 1).ptr);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 1024));
    assert_null(arena_alloc(&a, 0));
    arena_fini(&a);
    assert_non_null(arena_alloc(&a, 1000)); /* usable again, with the same cap */
    assert_null(arena_alloc(&a, 1000));
    arena_fini(&a);
}

static void arena_large_object_keeps_cap(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1000000);
    assert_non_null(arena_alloc(&a, 900000));
    assert_null(arena_alloc(&a, 200000));
    assert_non_null(arena_alloc(&a, 90000));
    arena_reset(&a);
    char *p = arena_alloc(&a, 900000);
    assert_non_null(p);
    assert_true(all_zero(p, 900000));
    arena_fini(&a);
}

static void arena_refuses_absurd_sizes(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 15));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_array(&a, SIZE_MAX / 8 + 1, 8));
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 1));
    arena_fini(&a);
}

static void arena_takes_null_and_zeroed(void **state) {
    (void)state;
    struct arena a = {0};
    arena_fini(NULL);
    arena_fini(&a);
    arena_reset(&a);
    struct arena b = {0};
    assert_non_null(arena_alloc(&b, 10));
    arena_fini(&b);
    arena_fini(&b);
}

static void arena_empty_objects_are_objects(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    void *p = arena_alloc(&a, 0);
    void *q = ARENA_ARRAY(&a, 0, uint64_t);
    assert_non_null(p);
    assert_non_null(q);
    assert_ptr_not_equal(p, q);
    struct str empty = arena_str(&a, (struct str){0});
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    arena_fini(&a);
}

static void arena_text(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct str s = arena_str(&a, (struct str){"a\0b", 3});
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.ptr, "a\0b", 4);
    assert_str(arena_printf(&a, "%s-%d", "n", 7), "n-7");
    for (int width = 250; width < 262; width++) { /* around the size of the buffer on the stack */
        struct str wide = arena_printf(&a, "%*d", width, 5);
        assert_int_equal(wide.len, width);
        assert_int_equal(strlen(wide.ptr), width);
        assert_int_equal(wide.ptr[width - 1], '5');
    }
    arena_fini(&a);
}

static void buf_appends_everything(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_append(&b, STR("ab"));
    buf_append(&b, (struct str){0});
    buf_append_char(&b, 'c');
    buf_append_cstr(&b, "de");
    buf_printf(&b, "%d%s", 12, "f");
    assert_true(buf_ok(&b));
    assert_str(buf_str(&b), "abcde12f");
    size_t len = 0;
    char *p = buf_take(&b, &len);
    assert_int_equal(len, 8);
    assert_string_equal(p, "abcde12f");
    free(p);
    assert_int_equal(b.len, 0);
    buf_append(&b, STR("again"));
    assert_str(buf_str(&b), "again");
    buf_fini(&b);
    buf_fini(&b);
    buf_fini(NULL);
}

static void buf_stops_at_its_limit(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    buf_append(&b, STR("0123456789"));
    assert_true(buf_ok(&b));
    buf_append_char(&b, 'x');
    assert_false(buf_ok(&b));
    assert_str(buf_str(&b), "0123456789");
    assert_null(buf_reserve(&b, 0));
    assert_null(buf_take(&b, NULL));
    buf_reset(&b);
    assert_true(buf_ok(&b));
    buf_append(&b, STR("01234567890"));
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 0);
    buf_append_char(&b, 'x'); /* ignored: an earlier part is missing */
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void buf_printf_of_every_length(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 600);
    for (int width = 250; width < 262; width++) {
        buf_reset(&b);
        buf_printf(&b, "<%*d>", width, 7);
        assert_int_equal(b.len, width + 2);
        assert_int_equal(b.ptr[width], '7');
        assert_int_equal(b.ptr[width + 1], '>');
    }
    buf_reset(&b);
    buf_printf(&b, "%600d", 1);
    assert_true(buf_ok(&b));
    buf_printf(&b, "%d", 1);
    assert_false(buf_ok(&b));
    buf_fini(&b);
}

static void buf_reserve_is_exact_and_refuses_wraps(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    char *p = buf_reserve(&b, 100);
    assert_non_null(p);
    memset(p, 'x', 100);
    b.len = 100;
    assert_non_null(buf_reserve(&b, 0));
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_fini(&b);
    buf_init(&b, SIZE_MAX);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_fini(&b);
}

static void buf_take_of_nothing_is_empty_text(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    size_t len = 9;
    char *p = buf_take(&b, &len);
    assert_non_null(p);
    assert_string_equal(p, "");
    assert_int_equal(len, 0);
    free(p);
    buf_fini(&b);
}

int run_memory_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(arena_objects_are_aligned_and_zero),
        TEST(arena_objects_do_not_overlap),
        TEST(arena_cap_is_exact),
        TEST(arena_large_object_keeps_cap),
        TEST(arena_refuses_absurd_sizes),
        TEST(arena_takes_null_and_zeroed),
        TEST(arena_empty_objects_are_objects),
        TEST(arena_text),
        TEST(buf_appends_everything),
        TEST(buf_stops_at_its_limit),
        TEST(buf_printf_of_every_length),
        TEST(buf_reserve_is_exact_and_refuses_wraps),
        TEST(buf_take_of_nothing_is_empty_text),
    };
    return cmocka_run_group_tests_name("base: memory", tests, NULL, NULL);
}

/* The hash map: insertion order, growth over many sizes, odd keys, and lack of memory.
 *
 * After a refused insertion the map must still hold exactly what it held before.
 */
#include "groups.h"

static void small_map(void **state) {
    (void)state;
    struct arena a;
    struct map m;
    bool is_new = false;
    arena_init(&a, 0);
    map_init(&m, &a);
    assert_null(map_find(&m, STR("a")));
    struct map_entry *e = map_put(&m, STR("a"), &is_new);
    assert_true(is_new);
    assert_int_equal(e->num, 0);
    e->num = 5;
    assert_int_equal(map_put(&m, STR("a"), &is_new)->num, 5);
    assert_false(is_new);
    assert_non_null(map_put(&m, STR(""), NULL));
    assert_non_null(map_find(&m, (struct str){0}));
    assert_non_null(map_put(&m, (struct str){"a\0b", 3}, NULL));
    assert_null(map_find(&m, (struct str){"a\0c", 3}));
    assert_int_equal(m.count, 3);
    arena_fini(&a);
}

static struct str key_of(struct arena *a, unsigned i) {
    return arena_printf(a, "key-%u", i * 2654435761u);
}

static void hundred_thousand_keys(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    struct arena a;
    struct map m;
    arena_init(&a, 0);
    map_init(&m, &a);
    for (unsigned i = 0; i < COUNT; i++) {
        bool is_new = false;
        struct map_entry *e = map_put(&m, key_of(&a, i), &is_new);
        assert_non_null(e);
        assert_true(is_new);
        e->num = i;
    }
    assert_int_equal(m.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct str key = key_of(&a, i);
        assert_int_equal(map_find(&m, key)->num, i);
        assert_int_equal(m.entries[i].num, i); /* order of insertion */
    }
    assert_null(map_find(&m, STR("key-x")));
    arena_fini(&a);
}

static void every_size_up_to_a_hundred(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    for (unsigned size = 0; size < 100; size++) {
        struct map m;
        map_init(&m, &a);
        for (unsigned i = 0; i < size; i++)
            map_put(&m, key_of(&a, i), NULL)->num = i + 1;
        for (unsigned i = 0; i < size; i++)
            assert_int_equal(map_find(&m, key_of(&a, i))->num, i + 1);
        assert_null(map_find(&m, key_of(&a, size)));
    }
    arena_fini(&a);
}

static void out_of_memory_leaves_the_map_whole(void **state) {
    (void)state;
    struct arena keys, a;
    struct map m;
    unsigned count = 0;
    arena_init(&keys, 0);
    arena_init(&a, 5000);
    map_init(&m, &a);
    while (map_put(&m, key_of(&keys, count), NULL))
        count++;
    assert_true(count >= 8 && count < 1000);
    assert_int_equal(m.count, count);
    for (unsigned i = 0; i < count; i++)
        assert_non_null(map_find(&m, key_of(&keys, i)));
    assert_null(map_find(&m, key_of(&keys, count)));
    assert_null(map_put(&m, key_of(&keys, count), NULL));
    arena_fini(&a);
    arena_fini(&keys);
}

int run_map_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(small_map),
        TEST(hundred_thousand_keys),
        TEST(every_size_up_to_a_hundred),
        TEST(out_of_memory_leaves_the_map_whole),
    };
    return cmocka_run_group_tests_name("base: maps", tests, NULL, NULL);
}

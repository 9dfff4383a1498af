/* Building and finding: constructors, builders, duplicate keys, maps with and without an index,
 * keys that are numbers, limits of memory.
 */
#include "groups.h"

static struct str key_of(struct arena *a, unsigned i) { return arena_printf(a, "key-%u", i); }

static void zero_is_null(void **state) {
    (void)state;
    struct value v;
    memset(&v, 0, sizeof v);
    assert_true(value_is_null(v));
    assert_int_equal(sizeof v, 16);
}

static void type_names(void **state) {
    (void)state;
    assert_string_equal(value_type_name(VALUE_NULL), "null");
    assert_string_equal(value_type_name(VALUE_TEXT), "string");
    assert_string_equal(value_type_name(VALUE_MAP), "map");
    assert_string_equal(value_type_name(VALUE_OPTIONAL), "optional");
}

static void times_from_microseconds(void **state) {
    (void)state;
    static const struct {
        int64_t us, s;
        uint32_t ns;
    } rows[] = {
        {0, 0, 0},
        {1500000, 1, 500000000},
        {-1, -1, 999999000},
        {-1000000, -1, 0},
        {INT64_MAX, 9223372036854, 775807000},
        {INT64_MIN, -9223372036855, 224192000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value v = value_timestamp_us((wall_us){rows[i].us});
        assert_int_equal(v.type, VALUE_TIMESTAMP);
        assert_int_equal(v.num, rows[i].s);
        assert_int_equal(v.extra, rows[i].ns);
    }
}

static void empty_list_and_map(void **state) {
    (void)state;
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    struct value list = value_list_done(&b);
    value_builder_init(&b, &a);
    struct value map = value_map_done(&b);
    assert_int_equal(list.type, VALUE_LIST);
    assert_int_equal(value_count(list), 0);
    assert_int_equal(map.type, VALUE_MAP);
    assert_null(value_get(map, STR("a")));
    assert_int_equal(a.used_bytes, 0);
    arena_fini(&a);
}

static void list_keeps_order(void **state) {
    (void)state;
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    for (int i = 0; i < 1000; i++)
        value_list_add(&b, value_int(i));
    struct value list = value_list_done(&b);
    assert_int_equal(value_count(list), 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(list.items[i].num, i);
    arena_fini(&a);
}

/* Each size on both sides of where the index begins. */
static void maps_of_every_size(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    for (unsigned size = 0; size < 70; size++) {
        struct value_builder b;
        value_builder_init(&b, &a);
        for (unsigned i = 0; i < size; i++)
            value_map_add(&b, key_of(&a, i), value_int(i));
        struct value map = value_map_done(&b);
        assert_int_equal(value_count(map), size);
        for (unsigned i = 0; i < size; i++) {
            const struct value *v = value_get(map, key_of(&a, i));
            assert_non_null(v);
            assert_int_equal(v->num, i);
            assert_str(value_str(map.pairs[i].key), key_of(&a, i).ptr);
        }
        assert_null(value_get(map, key_of(&a, size)));
        assert_null(value_get(map, STR("")));
    }
    arena_fini(&a);
}

static void large_map(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    for (unsigned i = 0; i < COUNT; i++)
        value_map_add(&b, key_of(&a, i), value_int(i));
    struct value map = value_map_done(&b);
    assert_int_equal(value_count(map), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        const struct value *v = value_get(map, key_of(&a, i));
        if (!v || v->num != i)
            fail_msg("key %u", i);
    }
    assert_null(value_get(map, STR("key-100000")));
    arena_fini(&a);
}

/* Every key is added `times` times; the last value stands in the place of the first. */
static void check_duplicates(unsigned keys, unsigned times) {
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    for (unsigned t = 0; t < times; t++) {
        for (unsigned i = 0; i < keys; i++)
            value_map_add(&b, key_of(&a, i), value_int(t * 1000 + i));
    }
    struct value map = value_map_done(&b);
    assert_int_equal(value_count(map), keys);
    for (unsigned i = 0; i < keys; i++) {
        assert_str(value_str(map.pairs[i].key), key_of(&a, i).ptr);
        assert_int_equal(map.pairs[i].val.num, (times - 1) * 1000 + i);
        assert_ptr_equal(value_get(map, key_of(&a, i)), &map.pairs[i].val);
    }
    assert_null(value_get(map, STR("other")));
    arena_fini(&a);
}

static void last_duplicate_wins(void **state) {
    (void)state;
    for (unsigned keys = 1; keys < 40; keys++) {
        for (unsigned times = 1; times < 5; times++)
            check_duplicates(keys, times);
    }
}

static void number_keys(struct arena *a, int extra_keys) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add_value(&b, value_int(1), value_int(10));
    value_map_add_value(&b, value_uint(UINT64_MAX), value_int(20));
    value_map_add_value(&b, value_bool(true), value_int(30));
    value_map_add_value(&b, value_text(STR("1")), value_int(40));
    value_map_add_value(&b, value_int(-1), value_int(50));
    value_map_add_value(&b, value_uint(1), value_int(11)); /* the same key as int 1 */
    for (int i = 0; i < extra_keys; i++)
        value_map_add_value(&b, value_int(100 + i), value_null());
    struct value m = value_map_done(&b);
    assert_int_equal(value_count(m), 5 + extra_keys);
    assert_int_equal(value_get_key(m, value_int(1))->num, 11);
    assert_int_equal(value_get_key(m, value_uint(1))->num, 11);
    assert_int_equal(value_get_key(m, value_double(1.0))->num, 11);
    assert_null(value_get_key(m, value_double(1.5)));
    assert_int_equal(value_get_key(m, value_uint(UINT64_MAX))->num, 20);
    assert_int_equal(value_get_key(m, value_int(-1))->num, 50);
    assert_int_equal(value_get_key(m, value_double(-1.0))->num, 50);
    assert_null(value_get_key(m, value_double(0x1p64)));
    assert_int_equal(value_get_key(m, value_bool(true))->num, 30);
    assert_null(value_get_key(m, value_bool(false)));
    assert_int_equal(value_get(m, STR("1"))->num, 40);
}

static void numeric_keys_compare_by_value(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    number_keys(&a, 0);
    number_keys(&a, 20);
    arena_fini(&a);
}

static void get_of_no_map_is_null(void **state) {
    (void)state;
    assert_null(value_get(value_null(), STR("a")));
    assert_null(value_get(value_text(STR("a")), STR("a")));
    assert_null(value_get(value_list(NULL, 0), STR("a")));
}

static void builders_report_lack_of_memory(void **state) {
    (void)state;
    for (size_t cap = 16; cap < 4000; cap += 48) {
        struct arena a;
        struct value_builder list, map;
        arena_init(&a, cap);
        value_builder_init(&list, &a);
        value_builder_init(&map, &a);
        for (int i = 0; i < 500; i++) {
            value_list_add(&list, value_int(i));
            value_map_add(&map, STR("k"), value_int(i));
        }
        assert_false(list.ok && map.ok);
        assert_true(list.ok || value_is_null(value_list_done(&list)));
        assert_true(map.ok || value_is_null(value_map_done(&map)));
        arena_fini(&a);
    }
}

int run_build_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(zero_is_null),
        TEST(type_names),
        TEST(times_from_microseconds),
        TEST(empty_list_and_map),
        TEST(list_keeps_order),
        TEST(maps_of_every_size),
        TEST(large_map),
        TEST(last_duplicate_wins),
        TEST(numeric_keys_compare_by_value),
        TEST(get_of_no_map_is_null),
        TEST(builders_report_lack_of_memory),
    };
    return cmocka_run_group_tests_name("value: build", tests, NULL, NULL);
}

/* Large, deep and hostile schemas and values: bounded work, no crash, memory can run out. */
#include <stdio.h>
#include <time.h>

#include "schema_tests.h"

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_fini(&arena);
    return 0;
}

static bool valid(const struct schema *s, struct value v) {
    struct schema_result r;
    struct error e = {0};
    if (schema_check(s, v, &arena, &r, &e) != OK) {
        fail_msg("stopped: %s", e.message);
    }
    return r.valid;
}

static enum err stopped(const struct schema *s, struct value v, struct error *e) {
    struct schema_result r;
    return schema_check(s, v, &arena, &r, e);
}

static struct value nested_list(int depth) {
    struct value v = value_list(NULL, 0);
    for (int i = 0; i < depth; i++) {
        struct value *item = ARENA_NEW(&arena, struct value);
        *item = v;
        v = value_list(item, 1);
    }
    return v;
}

static void circular_reference(void **state) {
    (void)state;
    struct error e = {0};
    const struct schema *s = compiled(&arena, "{\"$ref\": \"#\"}");
    assert_int_equal(stopped(s, value_int(1), &e), ERR_LIMIT);
    assert_string_equal(e.message,
                        "the value is nested too deeply, or the schema refers to itself");
    s = compiled(&arena, "{\"anyOf\": [{\"$ref\": \"#\"}, {\"$ref\": \"#\"}]}");
    assert_int_equal(stopped(s, value_int(1), &e), ERR_LIMIT);
}

static void deep_value(void **state) {
    (void)state;
    const struct schema *s =
        compiled(&arena, "{\"allOf\": [{\"type\": \"array\", \"items\": {\"$ref\": \"#\"}}]}");
    struct error e = {0};
    assert_true(valid(s, nested_list(VALUE_MAX_DEPTH)));
    assert_int_equal(stopped(s, nested_list(100000), &e), ERR_LIMIT);
}

static void deep_schema(void **state) {
    (void)state;
    struct value v = value_bool(true);
    for (int i = 0; i < 100000; i++) {
        struct value_builder b;
        value_builder_init(&b, &arena);
        value_map_add(&b, STR("not"), v);
        v = value_map_done(&b);
    }
    const struct schema *s;
    struct error e = {0};
    assert_int_equal(schema_compile(&arena, v, &s, &e), ERR_INVALID);
    assert_non_null(strstr(e.message, "the schema is nested too deeply"));
}

/* 2^30 ways through the schema. */
static void many_ways(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, "{\"$ref\": \"#/$defs/d0\", \"$defs\": {\"d30\": false");
    for (int i = 0; i < 30; i++) {
        buf_printf(&b,
                   ", \"d%d\": {\"anyOf\": [{\"$ref\": \"#/$defs/d%d\"}, "
                   "{\"$ref\": \"#/$defs/d%d\"}]}",
                   i, i + 1, i + 1);
    }
    buf_append_cstr(&b, "}}");
    buf_append_char(&b, '\0');
    const struct schema *s = compiled(&arena, b.ptr);
    struct error e = {0};
    assert_int_equal(stopped(s, value_int(1), &e), ERR_LIMIT);
    buf_fini(&b);
}

static struct value numbers(int count, bool twice) {
    struct value *items = ARENA_ARRAY(&arena, (size_t)count, struct value);
    for (int i = 0; i < count; i++) {
        items[i] = i % 2 ? value_int(i) : value_double(i);
    }
    if (twice) {
        items[count - 1] = value_uint(4);
    }
    return value_list(items, (size_t)count);
}

static void unique_items(void **state) {
    (void)state;
    const struct schema *s = compiled(&arena, "{\"uniqueItems\": true}");
    clock_t start = clock();
    assert_true(valid(s, numbers(300000, false)));
    assert_false(valid(s, numbers(300000, true)));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
    struct schema_result r;
    struct error e = {0};
    assert_int_equal(schema_check(s, numbers(100, true), &arena, &r, &e), OK);
    assert_string_equal(r.errors[0].message.ptr,
                        "expected different items: 4 and 99 (from 0) are equal");
}

static void many_errors(void **state) {
    (void)state;
    const struct schema *s = compiled(&arena, "{\"items\": {\"type\": \"string\"}}");
    struct schema_result r;
    struct error e = {0};
    assert_int_equal(schema_check(s, numbers(1000, false), &arena, &r, &e), OK);
    assert_false(r.valid);
    assert_int_equal(r.count, SCHEMA_MAX_ERRORS);
}

/* Neither regular expressions nor their memory may pile up over many items. */
static void many_searches(void **state) {
    (void)state;
    struct value *items = ARENA_ARRAY(&arena, 300000, struct value);
    for (int i = 0; i < 300000; i++) {
        items[i] = value_text(STR("aaaaaaaaaaaaaaaaaaaa"));
    }
    struct value list = value_list(items, 300000);
    const struct schema *s =
        compiled(&arena, "{\"items\": {\"pattern\": \"^(a|aa|aaa){10,30}$\"}}");
    assert_true(valid(s, list));
}

static void long_text(void **state) {
    (void)state;
    size_t count = (size_t)1 << 20;
    char *text = arena_alloc(&arena, count);
    memset(text, 'a', count);
    const struct schema *s = compiled(&arena, "{\"pattern\": \"(a*)*b\"}");
    clock_t start = clock();
    assert_false(valid(s, value_text((struct str){text, count})));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
}

static void endless_defaults(void **state) {
    (void)state;
    const struct schema *s =
        compiled(&arena, "{\"properties\": {\"a\": {\"$ref\": \"#\", \"default\": {}}}}");
    struct value v;
    struct error e = {0};
    assert_int_equal(schema_fill(s, json(&arena, "{}"), &arena, &v, &e), ERR_LIMIT);
}

/* 18446744073709551615 and 18446744073709551616.0 are not the same number. */
static void exact_numbers(void **state) {
    (void)state;
    const struct schema *s = compiled(&arena, "{\"maximum\": 9007199254740993}");
    assert_true(valid(s, value_int(9007199254740993)));
    assert_true(valid(s, value_double(9007199254740992.0)));
    assert_false(valid(s, value_double(9007199254740994.0)));
    s = compiled(&arena, "{\"exclusiveMinimum\": 18446744073709551615}");
    assert_false(valid(s, value_uint(UINT64_MAX)));
    assert_true(valid(s, value_double(18446744073709551616.0)));
    s = compiled(&arena, "{\"minimum\": -9223372036854775808}");
    assert_true(valid(s, value_int(INT64_MIN)));
    assert_false(valid(s, value_double(-9223372036854777856.0)));
    s = compiled(&arena, "{\"multipleOf\": 3}");
    assert_true(valid(s, value_uint(UINT64_MAX)));
    assert_false(valid(s, value_uint(UINT64_MAX - 1)));
    assert_true(valid(s, value_int(INT64_MIN + 2)));
    assert_true(valid(s, value_double(3e300)));
    assert_false(valid(s, value_double(1e300)));
}

static void other_types(void **state) {
    (void)state;
    const struct schema *s = compiled(&arena, "{\"type\": \"string\", \"minLength\": 100}");
    assert_true(valid(s, value_bytes(STR("x"))));
    assert_true(valid(s, value_timestamp(0, 0)));
    assert_false(valid(s, value_text(STR("x"))));
}

/* Memory runs out at every possible place once: an error, never a crash or a verdict. */
static void out_of_memory(void **state) {
    (void)state;
    static const char schema[] =
        "{\"$id\": \"http://x/y\", \"properties\": {\"a\": {\"$ref\": \"z#/$defs/b\"}}, \"$defs\": "
        "{\"z\": {\"$id\": \"z\", \"$defs\": {\"b\": {\"pattern\": \"^[a-c]+$\"}}}}, "
        "\"anyOf\": [{\"required\": [\"q\"]}, {\"type\": \"array\"}]}";
    struct value source = json(&arena, schema), v = json(&arena, "{\"a\": \"d\"}");
    bool worked = false;
    for (size_t cap = 16; cap < 100000 && !worked; cap += 16) {
        struct arena a;
        struct error e = {0};
        const struct schema *s = NULL;
        struct schema_result r = {0};
        arena_init(&a, cap);
        enum err err = schema_compile(&a, source, &s, &e);
        err = err ? err : schema_check(s, v, &a, &r, &e);
        worked = err == OK;
        if (worked) {
            assert_int_equal(r.count, 2);
        } else {
            assert_int_equal(err, ERR_NOMEM);
        }
        arena_fini(&a);
    }
    assert_true(worked);
}

int run_limits(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(circular_reference, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_value, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(many_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(unique_items, setup, teardown),
        cmocka_unit_test_setup_teardown(many_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(many_searches, setup, teardown),
        cmocka_unit_test_setup_teardown(long_text, setup, teardown),
        cmocka_unit_test_setup_teardown(endless_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(exact_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(other_types, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

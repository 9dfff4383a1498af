/* Values as text: JSON of every type, indented and not; canonical text; templates; short forms.
 */
#include "groups.h"

#include <math.h>

static void check_json(struct value v, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    assert_true(buf_ok(&b));
    assert_str(buf_str(&b), expected);
    buf_fini(&b);
}

static void scalars(void **state) {
    (void)state;
    check_json(value_null(), "null");
    check_json(value_bool(true), "true");
    check_json(value_bool(false), "false");
    check_json(value_int(0), "0");
    check_json(value_int(INT64_MAX), "9223372036854775807");
    check_json(value_int(INT64_MIN), "-9223372036854775808");
    check_json(value_uint(UINT64_MAX), "18446744073709551615");
    check_json(value_double(3.0), "3.0");
    check_json(value_double((double)NAN), "\"NaN\"");
    check_json(value_double(-HUGE_VAL), "\"-Infinity\"");
    check_json(value_bytes((struct str){0}), "\"\"");
    check_json(value_bytes(STR("f")), "\"Zg==\"");
    check_json(value_bytes(STR("fo")), "\"Zm8=\"");
    check_json(value_bytes(STR("foo")), "\"Zm9v\"");
    check_json(value_bytes(STR("foob\xFF\xFE")), "\"Zm9vYv/+\"");
}

static void times(void **state) {
    (void)state;
    check_json(value_timestamp(0, 0), "\"1970-01-01T00:00:00Z\"");
    check_json(value_timestamp(1795250723, 123000000), "\"2026-11-21T08:45:23.123Z\"");
    check_json(value_timestamp(-1, 1), "\"1969-12-31T23:59:59.000000001Z\"");
    check_json(value_duration(0, 0), "\"0s\"");
    check_json(value_duration(1, 500000000), "\"1.5s\"");
    check_json(value_duration(-1, -500000000), "\"-1.5s\"");
    check_json(value_duration(0, -1), "\"-0.000000001s\"");
    check_json(value_duration(5400, 0), "\"5400s\"");
    check_json(value_duration(INT64_MIN, 0), "\"-9223372036854775808s\"");
    struct buf b;
    buf_init(&b, 0);
    value_print_json(value_timestamp(INT64_MIN, 0), 0, &b); /* any year has some text */
    value_print_json(value_timestamp(INT64_MAX, 0), 0, &b);
    assert_true(buf_ok(&b));
    buf_fini(&b);
}

static void strings_are_escaped(void **state) {
    (void)state;
    check_json(value_text(STR("a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
    check_json(value_text(STR("\b\f\n\r\t")), "\"\\b\\f\\n\\r\\t\"");
    check_json(value_text((struct str){"\0\x1F\x7F", 3}), "\"\\u0000\\u001f\x7F\"");
    check_json(value_text(STR("\xE2\x82\xAC\xF0\x9F\x98\x80")), "\"\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    check_json(value_text(STR("a\xFF\"\xE2\x82")), "\"a\xEF\xBF\xBD\\\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    check_json(value_text((struct str){0}), "\"\"");
}

/* Every ASCII character, alone and among others, reads back. */
static void every_ascii_character_reads_back(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    for (int c = 0; c < 128; c++) {
        char text[3] = {'x', (char)c, 'y'};
        struct value v = value_text((struct str){text, 3}), back;
        struct error e;
        buf_reset(&b);
        value_print_json(v, 0, &b);
        assert_int_equal(value_parse_json(&a, buf_str(&b), &back, &e), OK);
        assert_true(value_identical(v, back));
    }
    buf_fini(&b);
    arena_fini(&a);
}

static void indented(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    struct value v = json_value(&a, "{\"a\":[1,{}],\"b\":{\"c\":[]}}");
    value_print_json(v, 2, &b);
    assert_str(buf_str(&b),
               "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n  }\n}");
    check_json(v, "{\"a\":[1,{}],\"b\":{\"c\":[]}}");
    buf_fini(&b);
    arena_fini(&a);
}

static void printing_stops_at_the_limit_of_the_buffer(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    struct value v = json_value(&a, "{\"a\":[1,2,3,\"four\"],\"b\":\"\\n\"}");
    for (size_t max = 1; max < 29; max++) {
        buf_init(&b, max);
        value_print_json(v, 0, &b);
        assert_false(buf_ok(&b));
        buf_fini(&b);
    }
    buf_init(&b, 31);
    value_print_json(v, 0, &b);
    assert_true(buf_ok(&b));
    buf_fini(&b);
    arena_fini(&a);
}

static void check_canonical(struct value v, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    value_print_canonical(v, &b);
    assert_true(buf_ok(&b));
    assert_str(buf_str(&b), expected);
    buf_fini(&b);
}

static void canonical_forms(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    check_canonical(value_null(), "null");
    check_canonical(value_int(3), "3");
    check_canonical(value_uint(3), "{\"$uint\":\"3\"}");
    check_canonical(value_double(3.0), "3.0");
    check_canonical(value_double(-0.0), "0.0");
    check_canonical(value_double((double)NAN), "{\"$double\":\"NaN\"}");
    check_canonical(value_bytes(STR("foo")), "{\"$bytes\":\"Zm9v\"}");
    check_canonical(value_timestamp(0, 5), "{\"$timestamp\":\"1970-01-01T00:00:00.000000005Z\"}");
    check_canonical(value_duration(1, 0), "{\"$duration\":\"1s\"}");
    check_canonical(value_text(STR("\xC3\xA4\n")), "\"\xC3\xA4\\n\"");
    check_canonical(json_value(&a, "{\"b\": [1, 2.5], \"a\": {\"d\":{}, \"c\":null}, \"\": []}"),
                    "{\"\":[],\"a\":{\"c\":null,\"d\":{}},\"b\":[1,2.5]}");
    check_canonical(json_value(&a, "{\"\xC3\xA4\":1,\"z\":2,\"Z\":3,\"zz\":4}"),
                    "{\"Z\":3,\"z\":2,\"zz\":4,\"\xC3\xA4\":1}");
    /* a map that looks like a mark is told from one */
    check_canonical(json_value(&a, "{\"$bytes\":\"Zm9v\"}"), "{\"$map\":{\"$bytes\":\"Zm9v\"}}");
    check_canonical(json_value(&a, "{\"$map\":{}}"), "{\"$map\":{\"$map\":{}}}");
    check_canonical(json_value(&a, "{\"$a\":1,\"$b\":2}"), "{\"$a\":1,\"$b\":2}");
    arena_fini(&a);
}

/* The same map with its pairs in a random order. */
static struct value shuffled(struct arena *a, struct value v, uint64_t *seed) {
    struct value_builder b;
    value_builder_init(&b, a);
    if (v.type == VALUE_LIST) {
        for (size_t i = 0; i < value_count(v); i++)
            value_list_add(&b, shuffled(a, v.items[i], seed));
        return value_list_done(&b);
    }
    if (v.type != VALUE_MAP)
        return v;
    size_t count = value_count(v);
    struct value_pair *pairs = ARENA_ARRAY(a, count, struct value_pair);
    for (size_t i = 0; i < count; i++)
        pairs[i] = v.pairs[i];
    for (size_t i = count; i > 0; i--) {
        size_t j = random_next(seed) % i;
        struct value_pair moved = pairs[j];
        pairs[j] = pairs[i - 1];
        value_map_add_value(&b, moved.key, shuffled(a, moved.val, seed));
    }
    return value_map_done(&b);
}

static void canonical_text_ignores_order(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 500; seed++) {
        struct arena a;
        struct buf x, y;
        uint64_t s = seed;
        arena_init(&a, 0);
        buf_init(&x, 0);
        buf_init(&y, 0);
        struct value v = random_value(&a, &s, 5);
        struct value w = shuffled(&a, v, &s);
        value_print_canonical(v, &x);
        value_print_canonical(w, &y);
        assert_true(buf_ok(&x) && str_eq(buf_str(&x), buf_str(&y)));
        buf_fini(&x);
        buf_fini(&y);
        arena_fini(&a);
    }
}

/* Two values have the same canonical text only if they are the same but for order. */
static void canonical_text_tells_values_apart(void **state) {
    (void)state;
    enum { COUNT = 400 };
    struct arena a;
    struct value values[COUNT];
    struct str texts[COUNT];
    uint64_t seed = 5;
    arena_init(&a, 0);
    for (int i = 0; i < COUNT; i++) {
        struct buf b;
        buf_init(&b, 0);
        values[i] = random_value(&a, &seed, 2);
        value_print_canonical(values[i], &b);
        texts[i] = arena_str(&a, buf_str(&b));
        buf_fini(&b);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < i; j++) {
            if (str_eq(texts[i], texts[j]))
                assert_int_equal(values[i].type, values[j].type);
            else
                assert_false(value_identical(values[i], values[j]));
        }
    }
    arena_fini(&a);
}

static void check_text(struct value v, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    value_print_text(v, &b);
    assert_str(buf_str(&b), expected);
    buf_fini(&b);
}

static void inside_templates(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    check_text(value_null(), "");
    check_text(value_text(STR("a\"b\n")), "a\"b\n");
    check_text(value_int(-7), "-7");
    check_text(value_double(2.0), "2.0");
    check_text(value_double((double)NAN), "NaN");
    check_text(value_bool(true), "true");
    check_text(value_timestamp(0, 0), "1970-01-01T00:00:00Z");
    check_text(value_duration(90, 0), "90s");
    check_text(value_bytes(STR("foo")), "Zm9v");
    check_text(json_value(&a, "[1,\"a\",null]"), "[1,\"a\",null]");
    check_text(json_value(&a, "{\"a\":1}"), "{\"a\":1}");
    arena_fini(&a);
}

/* Types, optionals and keys that are not text: expressions show them, nothing stores them. */
static void what_expressions_alone_know(void **state) {
    (void)state;
    struct arena a;
    struct value_builder b;
    struct value one = value_int(1);
    struct value some = {.type = VALUE_OPTIONAL, .items = &one};
    struct value none = {.type = VALUE_OPTIONAL};
    struct value type = {.type = VALUE_TYPE, .ptr = "int", .extra = 3};
    arena_init(&a, 0);
    check_json(some, "1");
    check_json(none, "null");
    check_json(type, "\"int\"");
    check_text(type, "int");
    check_canonical(some, "{\"$optional\":[1]}");
    check_canonical(none, "{\"$optional\":[]}");
    check_canonical(type, "{\"$type\":\"int\"}");
    value_builder_init(&b, &a);
    value_map_add_value(&b, value_uint(2), value_null());
    value_map_add_value(&b, value_int(10), value_null());
    value_map_add_value(&b, value_bool(true), value_null());
    value_map_add_value(&b, value_int(-3), value_null());
    value_map_add_value(&b, value_text(STR("a")), value_null());
    struct value map = value_map_done(&b);
    check_json(map, "{\"2\":null,\"10\":null,\"true\":null,\"-3\":null,\"a\":null}");
    check_canonical(map, "{\"true\":null,\"-3\":null,\"10\":null,\"2\":null,\"a\":null}");
    arena_fini(&a);
}

static void check_short(struct value v, size_t max, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    buf_append(&b, STR("got "));
    value_print_short(v, max, &b);
    assert_true(buf_ok(&b));
    assert_str(str_sub(buf_str(&b), 4, SIZE_MAX), expected);
    buf_fini(&b);
}

static void short_forms(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    check_short(value_null(), 20, "null");
    check_short(value_int(12), 20, "12");
    check_short(value_text(STR("short")), 7, "\"short\"");
    check_short(value_text(STR("some text")), 10, "\"some ...\"");
    check_short(value_text(STR("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC")), 10,
                "\"\xE2\x82\xAC...\"");
    check_short(json_value(&a, "[1,2,3,4,5,6]"), 10, "[1,2,3,...");
    check_short(json_value(&a, "[1,2,3,4,5]"), 11, "[1,2,3,4,5]");
    check_short(value_text(STR("abc")), 0, "");
    check_short(value_text(STR("abc")), 2, "\"a");
    arena_fini(&a);
}

static void short_forms_keep_their_limit(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 300; seed++) {
        struct arena a;
        struct buf b;
        uint64_t s = seed;
        arena_init(&a, 0);
        buf_init(&b, 0);
        struct value v = random_value(&a, &s, 4);
        for (size_t max = 0; max < 60; max++) {
            buf_reset(&b);
            value_print_short(v, max, &b);
            assert_true(buf_ok(&b) && b.len <= max);
            assert_true(str_is_utf8(buf_str(&b)));
        }
        buf_fini(&b);
        arena_fini(&a);
    }
}

int run_print_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(scalars),
        TEST(times),
        TEST(strings_are_escaped),
        TEST(every_ascii_character_reads_back),
        TEST(indented),
        TEST(printing_stops_at_the_limit_of_the_buffer),
        TEST(canonical_forms),
        TEST(canonical_text_ignores_order),
        TEST(canonical_text_tells_values_apart),
        TEST(inside_templates),
        TEST(what_expressions_alone_know),
        TEST(short_forms),
        TEST(short_forms_keep_their_limit),
    };
    return cmocka_run_group_tests_name("value: print", tests, NULL, NULL);
}

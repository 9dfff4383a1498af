/* Parsing JSON: what comes out for what goes in, integers around 64 bits in every position, where
 * errors are marked, limits, and that what is printed parses back.
 */
#include "groups.h"

#include <stdlib.h>

static void check_parse(const char *text, struct value expected) {
    struct arena a;
    arena_init(&a, 0);
    struct value v = json_value(&a, text);
    if (!value_identical(v, expected))
        fail_msg("%s", text);
    arena_fini(&a);
}

static struct value lossy(double d) {
    struct value v = value_double(d);
    v.flags = VALUE_LOSSY;
    return v;
}

static void scalars(void **state) {
    (void)state;
    check_parse(" null\n", value_null());
    check_parse("true", value_bool(true));
    check_parse("false", value_bool(false));
    check_parse("0", value_int(0));
    check_parse("-0", value_int(0));
    check_parse("3", value_int(3));
    check_parse("3.0", value_double(3.0));
    check_parse("-0.0", value_double(-0.0));
    check_parse("1e2", value_double(100.0));
    check_parse("1E-2", value_double(0.01));
    check_parse("1e-400", value_double(0.0));
    check_parse("\"\"", value_text(STR("")));
    check_parse("\"a\\u0000b\"", value_text((struct str){"a\0b", 3}));
    check_parse("\"\\u20ac\\ud83d\\ude00\\n\\/\"",
                value_text(STR("\xE2\x82\xAC\xF0\x9F\x98\x80\n/")));
}

static void integers_around_64_bits(void **state) {
    (void)state;
    check_parse("999999999999999999", value_int(999999999999999999));
    check_parse("1000000000000000000", value_int(1000000000000000000));
    check_parse("9223372036854775807", value_int(INT64_MAX));
    check_parse("-9223372036854775808", value_int(INT64_MIN));
    check_parse("9223372036854775808", value_uint(UINT64_C(1) << 63));
    check_parse("18446744073709551615", value_uint(UINT64_MAX));
    check_parse("18446744073709551616", lossy(0x1p64));
    check_parse("-9223372036854775809", lossy(-0x1p63));
    check_parse("100000000000000000000", lossy(1e20));
    check_parse("-100000000000000000000", lossy(-1e20));
    check_parse("18446744073709551616.0", value_double(0x1p64));
    check_parse("18446744073709551616e0", value_double(0x1p64));
    check_parse("1234567890123456789.5", value_double(1234567890123456789.5));
}

static void long_integers_keep_their_places(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    struct value v = json_value(&a, "{\"18446744073709551615\":[1,18446744073709551615,2.5,\n"
                                    "\"\\\"18446744073709551615\",{\"a\":18446744073709551614},\n"
                                    "-1,100000000000000000000,0],\"b\":9223372036854775807}");
    value_print_json(v, 0, &b);
    assert_str(buf_str(&b), "{\"18446744073709551615\":[1,18446744073709551615,2.5,"
                            "\"\\\"18446744073709551615\",{\"a\":18446744073709551614},"
                            "-1,1e20,0],\"b\":9223372036854775807}");
    assert_int_equal(value_get(v, STR("b"))->type, VALUE_INT);
    buf_fini(&b);
    arena_fini(&a);
}

static enum err parse_error(struct str text, struct error *e) {
    struct arena a;
    struct value v = value_int(42);
    arena_init(&a, 0);
    enum err err = value_parse_json(&a, text, &v, e);
    if (err != OK)
        assert_int_equal(v.num, 42); /* untouched */
    arena_fini(&a);
    return err;
}

static void refused_with_a_mark(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t line, column;
    } rows[] = {
        {"", 1, 1},
        {" \n\n  ", 3, 3},
        {"[1,}", 1, 4},
        {"{\"a\":1,\n\"\xC3\xA4\xC3\xA4\":]", 2, 6},
        {"[1 2]", 1, 4},
        {"{\"a\":1,\"a\":2}", 1, 10},
        {"{a:1}", 1, 2},
        {"1 1", 1, 3},
        {"[18446744073709551615,\n18446744073709551615 x]", 2, 22},
        {"[0123456789012345678901]", 1, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error e;
        assert_int_equal(parse_error(str_from(rows[i].text), &e), ERR_INVALID);
        if (e.mark.line != rows[i].line || e.mark.column != rows[i].column)
            fail_msg("%s: %u:%u %s", rows[i].text, e.mark.line, e.mark.column, e.message);
        assert_true(strlen(e.message) > 0 && str_is_utf8(str_from(e.message)));
    }
}

static void refused(void **state) {
    (void)state;
    static const char *const rows[] = {
        "nul",
        "NaN",
        "Infinity",
        "-",
        "+1",
        ".5",
        "1.",
        "01",
        "-01",
        "1e",
        "0x1",
        "'a'",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{1:2}",
        "[",
        "{",
        "\"",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ude00\"",
        "\"\xFF\"",
        "\xFF",
        "\"\xED\xA0\x80\"",
        "[1]]",
        "// a\n1",
        "--18446744073709551615",
        "+18446744073709551615",
        "18446744073709551615a",
        "1e400",
        "[-]",
        "-018446744073709551615",
        "18446744073709551615.",
        "18446744073709551615e",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "\xEF\xBB\xBF{}",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error e;
        if (parse_error(str_from(rows[i]), &e) != ERR_INVALID)
            fail_msg("%s", rows[i]);
    }
    assert_int_equal(parse_error((struct str){"1\0", 2}, NULL), ERR_INVALID);
    assert_int_equal(parse_error((struct str){"[\"a\0b\"]", 7}, NULL), ERR_INVALID);
    assert_int_equal(parse_error(STR("{\"a\\u0000\":1}"), NULL), ERR_INVALID); /* jansson */
    assert_int_equal(parse_error((struct str){0}, NULL), ERR_INVALID);
}

static void integers_beyond_doubles(void **state) {
    (void)state;
    char text[700];
    struct error e;
    memset(text, '9', sizeof text);
    assert_int_equal(parse_error((struct str){text, 309}, &e), ERR_INVALID);
    assert_int_equal(parse_error((struct str){text, 700}, &e), ERR_INVALID);
    text[0] = text[1] = '[';
    text[2] = '\n';
    text[698] = text[699] = ']';
    assert_int_equal(parse_error((struct str){text, 700}, &e), ERR_INVALID);
    assert_int_equal(e.mark.line, 2);
    assert_int_equal(e.mark.column, 1);
    memset(text, '0', sizeof text);
    text[0] = '1';
    assert_int_equal(parse_error((struct str){text, 309}, &e), OK);
    text[0] = '-';
    text[1] = '1';
    assert_int_equal(parse_error((struct str){text, 310}, &e), OK);
    assert_int_equal(parse_error((struct str){text, 311}, &e), ERR_INVALID);
}

static void depth_is_bounded(void **state) {
    (void)state;
    enum { MANY = 300000 };
    char *text = malloc(MANY);
    struct error e;
    assert_non_null(text);
    memset(text, '[', MANY);
    memset(text + VALUE_MAX_DEPTH, ']', VALUE_MAX_DEPTH);
    assert_int_equal(parse_error((struct str){text, 2 * VALUE_MAX_DEPTH}, &e), OK);
    memset(text, '[', MANY);
    memset(text + VALUE_MAX_DEPTH + 1, ']', VALUE_MAX_DEPTH + 1);
    assert_int_equal(parse_error((struct str){text, 2 * VALUE_MAX_DEPTH + 2}, &e), ERR_LIMIT);
    assert_int_equal(e.mark.column, VALUE_MAX_DEPTH + 1);
    memset(text, '[', MANY);
    assert_int_equal(parse_error((struct str){text, MANY}, &e), ERR_LIMIT);
    for (size_t i = 0; i + 5 <= MANY; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(parse_error((struct str){text, MANY}, &e), ERR_LIMIT);
    memset(text, '[', MANY); /* brackets inside a string are none */
    text[0] = text[MANY - 1] = '"';
    assert_int_equal(parse_error((struct str){text, MANY}, &e), OK);
    free(text);
}

static void large_objects_have_an_index(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "%c\"key %d\":%d", i ? ',' : '{', i, i);
    buf_append_char(&b, '}');
    buf_append_char(&b, '\0');
    struct value v = json_value(&a, b.ptr);
    assert_int_equal(value_count(v), 20000);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(value_get(v, arena_printf(&a, "key %d", i))->num, i);
    buf_fini(&b);
    arena_fini(&a);
}

static void lack_of_memory_is_told(void **state) {
    (void)state;
    for (size_t cap = 16;; cap += 16) {
        struct arena a;
        struct value v;
        struct error e;
        arena_init(&a, cap);
        enum err err = value_parse_json(&a, STR("{\"a\":[1,2,{\"b\":\"text\"}]}"), &v, &e);
        arena_fini(&a);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_NOMEM);
    }
}

/* True when JSON shows every part of v without turning it into text. */
static bool is_plain(struct value v) {
    switch ((enum value_type)v.type) {
    case VALUE_LIST:
        for (size_t i = 0; i < value_count(v); i++) {
            if (!is_plain(v.items[i]))
                return false;
        }
        return true;
    case VALUE_MAP:
        for (size_t i = 0; i < value_count(v); i++) {
            if (!is_plain(v.pairs[i].val) ||
                str_find(value_str(v.pairs[i].key), (struct str){"", 1}, 0) != SIZE_MAX)
                return false;
        }
        return true;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_TEXT: return true;
    case VALUE_UINT: return v.unum > INT64_MAX;
    case VALUE_DOUBLE: return v.flags == 0 && v.real - v.real == 0;
    case VALUE_BYTES:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_TYPE:
    case VALUE_OPTIONAL: return false;
    }
    return false;
}

static void plain_values_parse_back(void **state) {
    (void)state;
    int plain = 0;
    for (uint64_t seed = 1; seed < 6000; seed++) {
        struct arena a;
        struct buf b;
        struct error e;
        struct value back;
        uint64_t s = seed;
        arena_init(&a, 0);
        buf_init(&b, 0);
        struct value v = random_value(&a, &s, 3);
        value_print_json(v, (int)(seed % 3), &b);
        assert_true(buf_ok(&b) && str_is_utf8(buf_str(&b)));
        if (is_plain(v)) {
            plain++;
            if (value_parse_json(&a, buf_str(&b), &back, &e) != OK || !value_identical(v, back))
                fail_msg("seed %d", (int)seed);
        }
        buf_fini(&b);
        arena_fini(&a);
    }
    assert_true(plain > 1000);
}

int run_json_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(scalars),
        TEST(integers_around_64_bits),
        TEST(long_integers_keep_their_places),
        TEST(refused_with_a_mark),
        TEST(refused),
        TEST(integers_beyond_doubles),
        TEST(depth_is_bounded),
        TEST(large_objects_have_an_index),
        TEST(lack_of_memory_is_told),
        TEST(plain_values_parse_back),
    };
    return cmocka_run_group_tests_name("value: JSON", tests, NULL, NULL);
}

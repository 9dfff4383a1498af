/* Slices: order, search, cutting, UTF-8 (the table of well-formed sequences and its borders),
 * numbers at the 64-bit borders, edit distance and "did you mean".
 */
#include "groups.h"

static int sign(int n) { return (n > 0) - (n < 0); }

static void order(void **state) {
    (void)state;
    assert_int_equal(str_cmp((struct str){0}, STR("")), 0);
    assert_int_equal(sign(str_cmp(STR("a"), STR("ab"))), -1);
    assert_int_equal(sign(str_cmp(STR("b"), STR("ab"))), 1);
    assert_int_equal(sign(str_cmp(STR("a"), STR("\xC3\xA4"))), -1); /* bytes are unsigned */
    assert_true(str_eq(STR(""), (struct str){0}));
    assert_true(str_is(STR("ab"), "ab"));
    assert_false(str_is(STR("ab"), "abc"));
    assert_true(str_is((struct str){0}, NULL));
}

static void starts_ends_find(void **state) {
    (void)state;
    struct str s = STR("abcabc");
    assert_true(str_starts(s, STR("abc")) && str_starts(s, STR("")) && str_starts(s, s));
    assert_false(str_starts(STR("ab"), s));
    assert_true(str_ends(s, STR("bc")) && str_ends(s, STR("")) && str_ends(s, s));
    assert_false(str_ends(STR("bc"), s));
    assert_int_equal(str_find(s, STR("bc"), 0), 1);
    assert_int_equal(str_find(s, STR("bc"), 2), 4);
    assert_true(str_find(s, STR("bc"), 5) == SIZE_MAX);
    assert_true(str_find(s, STR("x"), 0) == SIZE_MAX);
    assert_int_equal(str_find(s, STR(""), 6), 6);
    assert_true(str_find(s, STR(""), 7) == SIZE_MAX);
    assert_true(str_find((struct str){0}, STR("x"), 0) == SIZE_MAX);
}

static void cutting(void **state) {
    (void)state;
    assert_str(str_sub(STR("abcd"), 1, 3), "bc");
    assert_str(str_sub(STR("abcd"), 2, SIZE_MAX), "cd");
    assert_str(str_sub(STR("abcd"), 3, 1), "");
    assert_str(str_sub(STR("abcd"), SIZE_MAX, SIZE_MAX), "");
    assert_int_equal(str_sub((struct str){0}, 1, 2).len, 0);
    assert_str(str_trim(STR(" \t\r\n a b \v\f")), "a b");
    assert_str(str_trim(STR("   ")), "");
    assert_int_equal(str_trim((struct str){0}).len, 0);
}

static void splitting(void **state) {
    (void)state;
    struct str rest = STR("a,,b");
    assert_str(str_split(rest, ',', &rest), "a");
    assert_str(str_split(rest, ',', &rest), "");
    assert_str(str_split(rest, ',', &rest), "b");
    assert_str(rest, "");
    assert_str(str_split(rest, ',', &rest), "");
    assert_int_equal(str_split((struct str){0}, ',', &rest).len, 0);
}

static const struct {
    struct str text;
    uint32_t code; /* 0: ill-formed */
} utf8_table[] = {
    {{"\0", 1}, 0},
    {{"\x7F", 1}, 0x7F},
    {{"\xC2\x80", 2}, 0x80},
    {{"\xDF\xBF", 2}, 0x7FF},
    {{"\xE0\xA0\x80", 3}, 0x800},
    {{"\xED\x9F\xBF", 3}, 0xD7FF},
    {{"\xEE\x80\x80", 3}, 0xE000},
    {{"\xEF\xBF\xBF", 3}, 0xFFFF},
    {{"\xF0\x90\x80\x80", 4}, 0x10000},
    {{"\xF4\x8F\xBF\xBF", 4}, 0x10FFFF},
};

static const struct str ill_formed[] = {
    {"\x80", 1},             /* continuation alone */
    {"\xBF", 1},             /**/
    {"\xC0\x80", 2},         /* overlong */
    {"\xC1\xBF", 2},         /**/
    {"\xE0\x80\x80", 3},     /**/
    {"\xE0\x9F\xBF", 3},     /**/
    {"\xF0\x80\x80\x80", 4}, /**/
    {"\xF0\x8F\xBF\xBF", 4}, /**/
    {"\xED\xA0\x80", 3},     /* surrogates */
    {"\xED\xBF\xBF", 3},     /**/
    {"\xF4\x90\x80\x80", 4}, /* beyond U+10FFFF */
    {"\xF5\x80\x80\x80", 4}, /**/
    {"\xFF", 1},             /**/
    {"\xC2", 1},             /* cut short */
    {"\xE2\x82", 2},         /**/
    {"\xF0\x9F\x98", 3},     /**/
    {"\xC2\x41", 2},         /* continuation missing */
    {"\xE2\x82\x41", 3},     /**/
};

static void utf8_well_formed(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(utf8_table); i++) {
        size_t pos = 0;
        assert_true(str_is_utf8(utf8_table[i].text));
        assert_int_equal(str_utf8_next(utf8_table[i].text, &pos), utf8_table[i].code);
        assert_int_equal(pos, utf8_table[i].text.len);
    }
    assert_true(str_is_utf8((struct str){0}));
}

static void utf8_ill_formed_at_every_offset(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ill_formed); i++) {
        size_t pos = 0;
        assert_int_equal(str_utf8_next(ill_formed[i], &pos), 0xFFFD);
        assert_int_equal(pos, 1);
        for (size_t lead = 0; lead < 20; lead++) { /* around the steps of eight bytes */
            char text[40];
            memset(text, 'x', sizeof text);
            memcpy(text + lead, ill_formed[i].ptr, ill_formed[i].len);
            assert_false(str_is_utf8((struct str){text, lead + ill_formed[i].len}));
            assert_false(str_is_utf8((struct str){text, sizeof text}));
        }
    }
}

static void utf8_next_always_ends(void **state) {
    (void)state;
    struct str s = {"a\xFF\xE2\x82\xAC\xE2\x82", 7};
    const uint32_t expected[] = {'a', 0xFFFD, 0x20AC, 0xFFFD, 0xFFFD};
    size_t pos = 0;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(str_utf8_next(s, &pos), expected[i]);
    assert_int_equal(pos, s.len);
    assert_int_equal(str_utf8_next(s, &pos), 0xFFFD);
    assert_int_equal(pos, s.len);
}

/* Every code point, written by hand, reads back; surrogates don't. */
static void utf8_every_code_point(void **state) {
    (void)state;
    for (uint32_t c = 0x800; c <= 0x10FFFF; c++) {
        unsigned char t[4];
        size_t n = c < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--)
            t[i] = (unsigned char)(0x80 | ((c >> (6 * (n - 1 - i))) & 0x3F));
        t[0] = (unsigned char)((n == 3 ? 0xE0 : 0xF0) | (c >> (6 * (n - 1))));
        struct str s = {(const char *)t, n};
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        size_t pos = 0;
        if (str_is_utf8(s) == surrogate || str_utf8_next(s, &pos) != (surrogate ? 0xFFFD : c))
            fail_msg("U+%04X", c);
    }
}

static void integers(void **state) {
    (void)state;
    int64_t i = 7;
    uint64_t u = 7;
    assert_true(str_to_int64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_int64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_int64(STR("-0"), &i) && i == 0);
    assert_true(str_to_int64(STR("007"), &i) && i == 7);
    assert_true(str_to_uint64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    const char *bad[] = {"",
                         "-",
                         "+1",
                         " 1",
                         "1 ",
                         "1.0",
                         "0x1",
                         "--1",
                         "9223372036854775808",
                         "-9223372036854775809",
                         "99999999999999999999",
                         "1e3"};
    for (size_t n = 0; n < ARRAY_LEN(bad); n++)
        assert_false(str_to_int64(str_from(bad[n]), &i));
    assert_false(str_to_uint64(STR("18446744073709551616"), &u));
    assert_false(str_to_uint64(STR("184467440737095516150"), &u));
    assert_false(str_to_uint64(STR("-1"), &u));
    assert_int_equal(i, 7); /* untouched on failure */
    assert_true(u == UINT64_MAX);
}

static void distance(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},         {"", "abc", 3},      {"kitten", "sitting", 3},
        {"abc", "acb", 1},   {"abcd", "badc", 2}, {"timeout", "timeot", 1},
        {"flaw", "lawn", 2}, {"a", "b", 1},       {"prompt", "promtp", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str a = str_from(rows[i].a), b = str_from(rows[i].b);
        assert_int_equal(str_distance(a, b, 100), rows[i].distance);
        assert_int_equal(str_distance(b, a, 100), rows[i].distance);
    }
    assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 2), 2);
    char wide[100];
    memset(wide, 'x', sizeof wide);
    assert_int_equal(str_distance((struct str){wide, 100}, STR("x"), 5), 5);
    assert_int_equal(str_distance((struct str){wide, 100}, (struct str){wide, 100}, 5), 0);
    assert_int_equal(str_distance((struct str){wide, 64}, (struct str){wide, 60}, 9), 4);
}

static void nearest(void **state) {
    (void)state;
    const struct str words[] = {STR("timeout"), STR("retry"), STR("inputs"), STR("outputs")};
    assert_str(str_nearest(STR("tiemout"), words, 4), "timeout");
    assert_str(str_nearest(STR("input"), words, 4), "inputs");
    assert_str(str_nearest(STR("retries"), words, 4), "");
    assert_str(str_nearest(STR("rety"), words, 4), "retry");
    assert_str(str_nearest(STR("zzzzzz"), words, 4), "");
    assert_str(str_nearest(STR(""), words, 4), "");
    assert_str(str_nearest(STR("a"), words, 4), "");
    assert_str(str_nearest(STR("retry"), words, 0), "");
    assert_str(str_nearest(STR("fi"), (const struct str[]){STR("if")}, 1), "if");
}

static void names(void **state) {
    (void)state;
    const char *good[] = {"a", "_", "a1", "parse_2", "_0"};
    const char *bad[] = {"", "1a", "A", "a-b", "a b", "a.b", "\xC3\xA4", "aB"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_is_name(str_from(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_is_name(str_from(bad[i])));
    assert_false(str_is_name((struct str){"a\0", 2}));
}

int run_text_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(order),
        TEST(starts_ends_find),
        TEST(cutting),
        TEST(splitting),
        TEST(utf8_well_formed),
        TEST(utf8_ill_formed_at_every_offset),
        TEST(utf8_next_always_ends),
        TEST(utf8_every_code_point),
        TEST(integers),
        TEST(distance),
        TEST(nearest),
        TEST(names),
    };
    return cmocka_run_group_tests_name("base: texts", tests, NULL, NULL);
}

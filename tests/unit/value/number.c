/* Doubles as text: known shortest forms, and for many random ones that the
 * text reads back, is a JSON number, shows that it is a double, and is not longer than needed.
 */
#include "groups.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void known_forms(void **state) {
    (void)state;
    static const struct {
        double d;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.0, "-1.0"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {1.5, "1.5"},
        {100.0, "100.0"},
        {123456789012345.0, "123456789012345.0"},
        {999999999999999.0, "999999999999999.0"},
        {1e15, "1e15"},
        {1e21, "1e21"},
        {1e-5, "1e-5"},
        {0.0001, "0.0001"},
        {1e300, "1e300"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {9007199254740993.0, "9007199254740992.0"},
        {3.141592653589793, "3.141592653589793"},
        {1e100, "1e100"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[32];
        size_t len = value_print_double(rows[i].d, out);
        assert_string_equal(out, rows[i].text);
        assert_int_equal(len, strlen(out));
    }
}

static void names_of_what_is_no_number(void **state) {
    (void)state;
    char out[32];
    assert_int_equal(value_print_double((double)NAN, out), 3);
    assert_string_equal(out, "NaN");
    (void)value_print_double(HUGE_VAL, out);
    assert_string_equal(out, "Infinity");
    (void)value_print_double(-HUGE_VAL, out);
    assert_string_equal(out, "-Infinity");
}

static double from_bits(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static size_t digits_in(const char *text) {
    size_t n = 0;
    bool leading = true;
    for (; *text && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && !(leading && *text == '0')) {
            leading = false;
            n++;
        }
    }
    return n;
}

static void check_random(double d) {
    char out[32], shorter[64];
    struct arena a;
    struct value v;
    struct error e;
    size_t len = value_print_double(d, out);
    assert_true(len < 32 && len == strlen(out));
    assert_true(strchr(out, '.') || strchr(out, 'e'));
    if (strtod(out, NULL) != d)
        fail_msg("%s", out);
    size_t digits = digits_in(out);
    bool integral = str_ends((struct str){out, len}, STR(".0"));
    if (!integral && digits > 1) { /* a digit less is not enough */
        (void)snprintf(shorter, sizeof shorter, "%.*e", (int)digits - 2, d);
        assert_true(strtod(shorter, NULL) != d);
    }
    arena_init(&a, 0);
    assert_int_equal(value_parse_json(&a, (struct str){out, len}, &v, &e), OK);
    assert_true(value_identical(v, value_double(d)));
    arena_fini(&a);
}

static void random_doubles_read_back(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 100000; i++) {
        double d = from_bits(random_next(&seed));
        if (isfinite(d))
            check_random(d);
        check_random((double)(int64_t)random_next(&seed) / 1000.0);
        check_random((double)(random_next(&seed) % 100000) / 100.0);
    }
}

static void borders_read_back(void **state) {
    (void)state;
    for (int exponent = -1074; exponent < 1024; exponent++) {
        double d = ldexp(1.0, exponent);
        check_random(d);
        check_random(nextafter(d, 0.0));
        if (exponent < 1023)
            check_random(nextafter(d, HUGE_VAL));
    }
}

int run_number_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(known_forms),
        TEST(names_of_what_is_no_number),
        TEST(random_doubles_read_back),
        TEST(borders_read_back),
    };
    return cmocka_run_group_tests_name("value: numbers", tests, NULL, NULL);
}

/* Times: civil dates against a day-by-day count, RFC 3339 in and out, durations in and out.
 *
 * The property tests walk the whole printable range in steps that share no factor with days,
 * months or eras, so every kind of date is met.
 */
#include "groups.h"

#define US_PER_S INT64_C(1000000)
#define FIRST_S INT64_C(-62167219200)
#define LAST_S INT64_C(253402300799)

static bool leap_year(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

/* Counts days one by one from 0000-03-01 and compares both directions. */
static void civil_dates_day_by_day(void **state) {
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = -400, y;
    int month = 1, day = 1, m, d;
    for (int64_t n = time_days_from_civil(-400, 1, 1); year < 2400; n++) {
        time_civil_from_days(n, &y, &m, &d);
        if (y != year || m != month || d != day || time_days_from_civil(year, month, day) != n)
            fail_msg("%lld-%d-%d", (long long)year, month, day);
        if (++day > lengths[month - 1] + (month == 2 && leap_year(year))) {
            day = 1;
            month++;
        }
        if (month > 12) {
            month = 1;
            year++;
        }
    }
    assert_int_equal(time_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(time_days_from_civil(2000, 2, 29), 11016);
    assert_int_equal(time_days_from_civil(1969, 12, 31), -1);
}

static void check_print(int64_t us, const char *expected) {
    char out[TIME_RFC3339_BYTES];
    time_print_rfc3339((wall_us){us}, out);
    assert_string_equal(out, expected);
}

static void rfc3339_prints(void **state) {
    (void)state;
    check_print(0, "1970-01-01T00:00:00.000Z");
    check_print(-1, "1969-12-31T23:59:59.999Z");
    check_print(INT64_C(1795250723123999), "2026-11-21T08:45:23.123Z");
    check_print(INT64_C(951782400) * US_PER_S, "2000-02-29T00:00:00.000Z");
    check_print(FIRST_S * US_PER_S, "0000-01-01T00:00:00.000Z");
    check_print(LAST_S * US_PER_S + 999999, "9999-12-31T23:59:59.999Z");
    check_print(INT64_MIN, "0000-01-01T00:00:00.000Z");
    check_print(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void rfc3339_prints_what_it_parses(void **state) {
    (void)state;
    for (int64_t s = FIRST_S; s <= LAST_S; s += 97654321) {
        char out[TIME_RFC3339_BYTES];
        int64_t back_s = 0;
        int32_t ns = 0;
        int64_t ms = (s % 1000 + 1000) % 1000;
        time_print_rfc3339((wall_us){s * US_PER_S + ms * 1000}, out);
        assert_true(time_parse_rfc3339(str_from(out), &back_s, &ns));
        assert_int_equal(back_s, s);
        assert_int_equal(ns, ms * 1000000);
    }
}

static void rfc3339_parses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t s;
        int32_t ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1970-01-01t00:00:00z", 0, 0},
        {"1970-01-01T00:00:00.1Z", 0, 100000000},
        {"1970-01-01T00:00:00.123456789Z", 0, 123456789},
        {"1970-01-01T00:00:00.000000001Z", 0, 1},
        {"1969-12-31T23:59:59.5Z", -1, 500000000},
        {"1970-01-01T01:00:00+01:00", 0, 0},
        {"1969-12-31T18:30:00-05:30", 0, 0},
        {"1970-01-01T00:00:00-00:00", 0, 0},
        {"1970-01-01T23:59:00+23:59", 0, 0},
        {"2000-02-29T00:00:00Z", 951782400, 0},
        {"2024-02-29T12:00:00Z", 1709208000, 0},
        {"1998-12-31T23:59:60Z", 915148800, 0},
        {"1998-12-31T15:59:60.25-08:00", 915148800, 250000000},
        {"0000-01-01T00:00:00Z", FIRST_S, 0},
        {"9999-12-31T23:59:59Z", LAST_S, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t s = 1;
        int32_t ns = 1;
        if (!time_parse_rfc3339(str_from(rows[i].text), &s, &ns))
            fail_msg("%s", rows[i].text);
        assert_int_equal(s, rows[i].s);
        assert_int_equal(ns, rows[i].ns);
    }
}

static void rfc3339_refuses(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-1-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1998-12-31T23:58:60Z",
        "1998-12-31T22:59:60Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z",
        "1970-01-01T00:00:00,5Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+01",
        "1970-01-01T00:00:00ZZ",
        "1970-01-01T00:00:00Z ",
        " 1970-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z",
        "1970-01-01T00:00:0\xD9\xA0Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t s = 42;
        int32_t ns = 42;
        if (time_parse_rfc3339(str_from(rows[i]), &s, &ns))
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(s, 42);
        assert_int_equal(ns, 42);
    }
    struct str whole = STR("2026-11-21T08:45:23.123+01:00");
    for (size_t n = 0; n < whole.len; n++) {
        int64_t s;
        int32_t ns;
        assert_false(time_parse_rfc3339(str_sub(whole, 0, n), &s, &ns));
    }
}

static void durations_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"0s", 0},
        {"90s", 90 * US_PER_S},
        {"1h30m", 5400 * US_PER_S},
        {"1.5s", 1500000},
        {"1d", 86400 * US_PER_S},
        {"0.5d", 43200 * US_PER_S},
        {"250ms", 250000},
        {"7us", 7},
        {"1.5ms", 1500},
        {"1m5s", 65 * US_PER_S},
        {"1m5ms", 60 * US_PER_S + 5000},
        {"1s1s", 2 * US_PER_S},
        {"0.0000001s", 0},
        {"0.000001s", 1},
        {"0.000000000012d", 1},
        {"36525d", INT64_C(36525) * 86400 * US_PER_S},
        {"007s", 7 * US_PER_S},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;
        if (!time_parse_duration(str_from(rows[i].text), &us))
            fail_msg("%s", rows[i].text);
        assert_int_equal(us, rows[i].us);
    }
}

static void durations_refuse(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "0",
        "1",
        "s",
        "-1s",
        "+1s",
        "1 s",
        " 1s",
        "1s ",
        "1.s",
        ".5s",
        "1..5s",
        "1x",
        "1S",
        "1h30",
        "1e3s",
        "1ns",
        "1sm",
        "1mss",
        "1,5s",
        "36526d",
        "36525d1us",
        "999999999999999999d",
        "9999999999999999999s",
        "0x1s",
        "1.5.5s",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = 42;
        if (time_parse_duration(str_from(rows[i]), &us))
            fail_msg("accepted: '%s'", rows[i]);
        assert_int_equal(us, 42);
    }
}

static void check_duration(int64_t us, const char *expected) {
    char out[80];
    assert_int_equal(time_print_duration(us, out, sizeof out), strlen(expected));
    assert_string_equal(out, expected);
}

static void durations_print(void **state) {
    (void)state;
    check_duration(0, "0s");
    check_duration(1, "1us");
    check_duration(1500, "1.5ms");
    check_duration(250000, "250ms");
    check_duration(1500000, "1.5s");
    check_duration(60 * US_PER_S, "1m");
    check_duration(5400 * US_PER_S, "1h30m");
    check_duration(5400 * US_PER_S + 1, "1h30m1us");
    check_duration(90061 * US_PER_S + 500000, "1d1h1m1.5s");
    check_duration(-1500000, "-1.5s");
    check_duration(INT64_MIN, "-106751991d4h54.775808s");
}

static void durations_print_what_they_parse(void **state) {
    (void)state;
    const int64_t max = INT64_C(36525) * 86400 * US_PER_S;
    for (int64_t us = 1; us < max; us = us * 3 / 2 + 17) {
        char out[80];
        int64_t back = -1;
        size_t len = time_print_duration(us, out, sizeof out);
        assert_int_equal(strlen(out), len);
        if (!time_parse_duration(str_from(out), &back) || back != us)
            fail_msg("%s", out);
    }
}

static void durations_fit_any_room(void **state) {
    (void)state;
    char out[8] = "xxxxxxx";
    assert_int_equal(time_print_duration(1, out, 0), 0);
    assert_int_equal(out[0], 'x');
    assert_int_equal(time_print_duration(5400 * US_PER_S, out, 4), 3);
    assert_string_equal(out, "1h3");
    assert_int_equal(out[4], 'x');
}

int run_time_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(civil_dates_day_by_day), TEST(rfc3339_prints),  TEST(rfc3339_prints_what_it_parses),
        TEST(rfc3339_parses),         TEST(rfc3339_refuses), TEST(durations_parse),
        TEST(durations_refuse),       TEST(durations_print), TEST(durations_print_what_they_parse),
        TEST(durations_fit_any_room),
    };
    return cmocka_run_group_tests_name("base: times", tests, NULL, NULL);
}

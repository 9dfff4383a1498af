/* Heads: finding a header, and what Retry-After asks for in each of its forms. */
#include "groups.h"

#include "net/net.h"

static void headers_are_found_by_any_case(void **state) {
    (void)state;
    struct net_header headers[] = {{STR("Content-Type"), STR("text/plain")},
                                   {STR("X-One"), STR("1")},
                                   {STR("x-one"), STR("2")}};
    struct net_response r = {.headers = headers, .header_count = 3};
    assert_true(str_is(*net_header_find(&r, "content-type"), "text/plain"));
    assert_true(str_is(*net_header_find(&r, "X-ONE"), "1"));
    assert_null(net_header_find(&r, "content"));
    assert_null(net_header_find(&r, "content-type-x"));
}

/* 2026-11-21T08:45:23Z */
static const wall_us now = {INT64_C(1795250723) * 1000000};

static const struct {
    const char *name, *value;
    int64_t us;
} waits[] = {
    {"Retry-After", "120", 120000000},
    {"retry-after", " 1.5 ", 1500000},
    {"retry-after", "0", 0},
    {"retry-after", "-5", 0},
    {"retry-after", "1e3", 0},
    {"retry-after", "1.2.3", 0},
    {"retry-after", "soon", 0},
    {"retry-after", "", 0},
    {"retry-after", "99999999999999999999", INT64_C(366) * 86400 * 1000000},
    {"retry-after-ms", "250", 250000},
    {"retry-after-ms", "0.5", 500},
    {"Retry-After", "Sat, 21 Nov 2026 08:46:23 GMT", 60000000},
    {"Retry-After", "Saturday, 21-Nov-26 08:46:23 GMT", 60000000},
    {"Retry-After", "Sat Nov 21 08:46:23 2026", 60000000},
    {"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT", 0},
    {"Retry-After", "Sat, 21 Nov 2026 08:46:23 CET", 0},
    {"Retry-After", "Sat, 21 Now 2026 08:46:23 GMT", 0},
    {"Retry-After", "Sat, 21 Nov 2026 28:46:23 GMT", 0},
};

static void retry_after_has_many_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        struct net_header h = {str_from(waits[i].name), str_from(waits[i].value)};
        struct net_response r = {.headers = &h, .header_count = 1};
        int64_t us = net_retry_after_us(&r, now);
        if (us != waits[i].us) {
            fail_msg("%s: %s asks for %lld us", waits[i].name, waits[i].value, (long long)us);
        }
    }
}

static void milliseconds_win(void **state) {
    (void)state;
    struct net_header both[] = {{STR("retry-after"), STR("2")},
                                {STR("retry-after-ms"), STR("1500")}};
    struct net_response r = {.headers = both, .header_count = 2};
    assert_int_equal(net_retry_after_us(&r, now), 1500000);
    both[1].value = STR("?");
    assert_int_equal(net_retry_after_us(&r, now), 2000000);
    assert_int_equal(net_retry_after_us(&(struct net_response){0}, now), 0);
}

int run_head_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_by_any_case),
        cmocka_unit_test(retry_after_has_many_forms),
        cmocka_unit_test(milliseconds_win),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}

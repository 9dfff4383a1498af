/* Findings: counting past the limit, order, help, and how they print.
 *
 * A finding that cannot be kept must still be counted: an input with errors is never taken for
 * one without.
 */
#include "base/diag.h"
#include "groups.h"

static void check_printed(const struct diag *d, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    diag_print(d, &b);
    assert_str(buf_str(&b), expected);
    buf_fini(&b);
}

static void findings_print_in_order(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    arena_init(&a, 0);
    diag_init(&d, &a);
    check_printed(&d, "");
    (void)diag_error(&d, (struct mark){"b.yaml", 1, 1}, "x", "third");
    (void)diag_error(&d, (struct mark){"a.yaml", 10, 2}, "x", "second %d", 2);
    struct diag_item *item =
        diag_add(&d, DIAG_WARNING, (struct mark){"a.yaml", 9, 7}, "y", "first");
    diag_suggest(&d, item, STR("rety"), (const struct str[]){STR("retry"), STR("x")}, 2);
    (void)diag_error(&d, (struct mark){0}, "z", "nowhere");
    diag_sort(&d);
    assert_int_equal(d.errors, 3);
    assert_int_equal(d.warnings, 1);
    check_printed(&d, "error: nowhere\n"
                      "a.yaml:9:7: warning: first\n    did you mean \"retry\"?\n"
                      "a.yaml:10:2: error: second 2\n"
                      "b.yaml:1:1: error: third\n");
    arena_fini(&a);
}

static void equal_places_keep_their_order(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    arena_init(&a, 0);
    diag_init(&d, &a);
    for (int i = 0; i < 20; i++)
        (void)diag_error(&d, (struct mark){"f", (uint32_t)(i % 2), 1}, "x", "%d", i);
    diag_sort(&d);
    for (int i = 0; i < 20; i++) {
        int64_t n = -1;
        assert_true(str_to_int64(d.items[i].message, &n));
        assert_int_equal(n, i < 10 ? 2 * i : 2 * (i - 10) + 1);
    }
    arena_fini(&a);
}

static void the_rest_is_counted(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    arena_init(&a, 0);
    diag_init(&d, &a);
    for (int i = 0; i < DIAG_MAX_ITEMS + 5; i++)
        diag_help(&d, diag_error(&d, (struct mark){0}, "x", "e"), "h");
    assert_int_equal(d.count, DIAG_MAX_ITEMS);
    assert_int_equal(d.errors, DIAG_MAX_ITEMS + 5);
    struct buf b;
    buf_init(&b, 0);
    diag_print(&d, &b);
    assert_true(str_ends(buf_str(&b), STR("and 5 more\n")));
    buf_fini(&b);
    arena_fini(&a);
}

static void errors_go_before_warnings_when_not_all_are_shown(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    struct buf b;
    arena_init(&a, 0);
    diag_init(&d, &a);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)diag_add(&d, DIAG_WARNING, (struct mark){"f", i, 1}, "x", "w");
        (void)diag_error(&d, (struct mark){"f", i, 2}, "x", "e");
    }
    static const char *const shown[] = {
        "and 6 more\n",
        "f:1:2: error: e\nf:2:2: error: e\nand 4 more\n",
        "f:1:1: warning: w\nf:1:2: error: e\nf:2:2: error: e\nf:3:2: error: e\nand 2 more\n",
    };
    for (uint32_t i = 0; i < ARRAY_LEN(shown); i++) {
        buf_init(&b, 0);
        diag_print_most(&d, 2 * i, &b);
        assert_str(buf_str(&b), shown[i]);
        buf_fini(&b);
    }
    arena_fini(&a);
}

static void lack_of_memory_is_counted(void **state) {
    (void)state;
    struct arena a;
    struct diag d;
    arena_init(&a, 32);
    diag_init(&d, &a);
    diag_help(&d, diag_error(&d, (struct mark){0}, "x", "a message longer than the arena is"), "h");
    assert_int_equal(d.errors, 1);
    assert_int_equal(d.count, 0);
    check_printed(&d, "and 1 more\n");
    arena_fini(&a);
}

int run_diag_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(findings_print_in_order),       TEST(errors_go_before_warnings_when_not_all_are_shown),
        TEST(equal_places_keep_their_order), TEST(the_rest_is_counted),
        TEST(lack_of_memory_is_counted),
    };
    return cmocka_run_group_tests_name("base: diag", tests, NULL, NULL);
}

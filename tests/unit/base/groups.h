/* The groups of tests of base, one per file, run by main.c. Each returns the number of tests that
 * failed. No test may depend on another, on the clock, or on the folder it runs in.
 */
#ifndef CAIRN_TESTS_UNIT_BASE_GROUPS_H
#define CAIRN_TESTS_UNIT_BASE_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "base/base.h"

int run_memory_tests(void);
int run_diag_tests(void);
int run_error_tests(void);
int run_hash_tests(void);
int run_map_tests(void);
int run_text_tests(void);
int run_time_tests(void);
int run_trap_tests(void);

/* A cmocka row of a function named after what it shows. */
#define TEST(name) cmocka_unit_test(name)

#define assert_str(actual, expected)                             \
    do {                                                         \
        struct str actual_ = (actual);                           \
        assert_int_equal(actual_.len, strlen(expected));         \
        assert_memory_equal(actual_.ptr, expected, actual_.len); \
    } while (0)

#endif

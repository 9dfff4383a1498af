/* The groups of tests of value, one per file, run by main.c, and what they share: random values
 * from a seed, so that a failure can be repeated, and comparing text.
 */
#ifndef CAIRN_TESTS_UNIT_VALUE_GROUPS_H
#define CAIRN_TESTS_UNIT_VALUE_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "value/value.h"

int run_build_tests(void);
int run_compare_tests(void);
int run_csv_tests(void);
int run_codec_tests(void);
int run_hostile_tests(void);
int run_json_tests(void);
int run_json_suite_tests(void);
int run_number_tests(void);
int run_print_tests(void);
int run_redact_tests(void);

/* A cmocka row of a function named after what it shows. */
#define TEST(name) cmocka_unit_test(name)

#define assert_str(actual, expected)                             \
    do {                                                         \
        struct str actual_ = (actual);                           \
        assert_int_equal(actual_.len, strlen(expected));         \
        assert_memory_equal(actual_.ptr, expected, actual_.len); \
    } while (0)

/* The next number of a sequence that depends on *seed alone. */
uint64_t random_next(uint64_t *seed);
/* A value of any type that crosses the journal, nested at most `depth` levels. */
struct value random_value(struct arena *a, uint64_t *seed, int depth);
/* The value of JSON text; fails the test if it has none. */
struct value json_value(struct arena *a, const char *text);

#endif

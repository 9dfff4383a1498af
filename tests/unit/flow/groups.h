/* The groups of tests of flow, one per file, run by main.c. Each returns the number of tests that
 * failed. They run in the project's folder.
 */
#ifndef CAIRN_TESTS_FLOW_GROUPS_H
#define CAIRN_TESTS_FLOW_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "files.h"

int run_case_tests(void);
int run_value_tests(void);
int run_file_tests(void);
int run_input_tests(void);
int run_finding_tests(void);
int run_schema_tests(void);
int run_size_tests(void);
int run_memory_tests(void);
int run_document_tests(void);
int run_coerce_tests(void);

#define TEST(name) cmocka_unit_test(name)

#define assert_str(actual, expected)                             \
    do {                                                         \
        struct str actual_ = (actual);                           \
        assert_int_equal(actual_.len, strlen(expected));         \
        assert_memory_equal(actual_.ptr, expected, actual_.len); \
    } while (0)

#endif

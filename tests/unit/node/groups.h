/* The groups of tests of the node kinds, one per file, run by main.c. Each returns the number of
 * tests that failed. A new file test_<name>.c defines int <name>_tests(void) and has a row in
 * NODE_TEST_GROUPS. No test may depend on another, or on the folder it runs in.
 */
#ifndef CAIRN_TESTS_UNIT_NODE_GROUPS_H
#define CAIRN_TESTS_UNIT_NODE_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "base/base.h"

#if __has_include("test_code.c")
#define CODE_GROUP(row) row(code)
#else
#define CODE_GROUP(row)
#endif

#define NODE_TEST_GROUPS(row)                                                                  \
    row(every_kind) row(plain_kinds) row(condition) row(end) row(agent) row(offline) row(http) \
        row(question) CODE_GROUP(row) row(code_folder) row(code_pure) row(hook) row(template)  \
            row(check) row(file) row(file_parts) row(integration) row(zygote) row(service)

#define NODE_TEST_GROUP(name) int name##_tests(void);
NODE_TEST_GROUPS(NODE_TEST_GROUP)
#undef NODE_TEST_GROUP

#define assert_str(actual, expected)                             \
    do {                                                         \
        struct str actual_ = (actual);                           \
        assert_int_equal(actual_.len, strlen(expected));         \
        assert_memory_equal(actual_.ptr, expected, actual_.len); \
    } while (0)

#endif

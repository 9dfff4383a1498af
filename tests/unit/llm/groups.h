/* What the groups of tests of llm share: one function per file, the number that failed. */
#ifndef CAIRN_TESTS_UNIT_LLM_GROUPS_H
#define CAIRN_TESTS_UNIT_LLM_GROUPS_H

/* cmocka needs these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h comes last */
#include <cmocka.h>

#include "llm/chat.h"

int request_tests(void);
int answer_tests(void);
int error_tests(void);
int price_tests(void);

#define assert_str(actual, expected)                                        \
    do {                                                                    \
        struct str actual_ = (actual);                                      \
        if (!str_is(actual_, expected)) {                                   \
            fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(actual_), expected); \
        }                                                                   \
    } while (0)
#define assert_part(text, part)                          \
    do {                                                 \
        if (!strstr(text, part)) {                       \
            fail_msg("no \"%s\" in \"%s\"", part, text); \
        }                                                \
    } while (0)

#endif

/* The groups of the journal's tests; each gives the number of tests that failed.
 */
#ifndef CAIRN_TESTS_UNIT_JOURNAL_GROUPS_H
#define CAIRN_TESTS_UNIT_JOURNAL_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

int run_codec_tests(void);
int run_format_tests(void);
int run_golden_tests(void);

/* Writes a golden store into an empty folder: see record.c. The exit status. */
int record_golden(const char *folder);

#endif

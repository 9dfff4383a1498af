/* What net's groups of tests share with main.c: one function per file, the number that failed. */
#ifndef CAIRN_TESTS_NET_GROUPS_H
#define CAIRN_TESTS_NET_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int run_client_tests(void);
int run_failure_tests(void);
int run_guard_tests(void);
int run_head_tests(void);
int run_redirect_tests(void);
int run_sse_tests(void);

#endif

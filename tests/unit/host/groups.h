/* The groups of the host's unit tests; each gives the number of tests that failed.
 */
#ifndef CAIRN_TESTS_UNIT_HOST_GROUPS_H
#define CAIRN_TESTS_UNIT_HOST_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

int run_commit_tests(void);
int run_failure_tests(void);
int run_time_tests(void);
int run_slot_tests(void);
int run_shift_tests(void);
int run_budget_tests(void);
int run_cancel_tests(void);
int run_child_tests(void);
int run_resume_tests(void);
int run_history_tests(void);
int run_row_tests(void);
int run_hostile_tests(void);
int run_secret_tests(void);
int run_claim_tests(void);
int run_quarantine_tests(void);
int run_mend_tests(void);
int run_retry_tests(void);
int run_rollback_tests(void);
int run_inbox_tests(void);
int run_mode_tests(void);
int run_power_tests(void);
int run_sleep_tests(void);
int run_breaker_tests(void);
int run_cache_tests(void);

#endif

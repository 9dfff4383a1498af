/* Runs every group of the host's unit tests; the exit status is 1 if any test failed.
 *
 * A group is one file here and a line below. Groups share no state: each test opens a rig of its
 * own (rig.h).
 */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_commit_tests();
    failed += run_failure_tests();
    failed += run_time_tests();
    failed += run_slot_tests();
    failed += run_shift_tests();
    failed += run_budget_tests();
    failed += run_cancel_tests();
    failed += run_child_tests();
    failed += run_resume_tests();
    failed += run_history_tests();
    failed += run_row_tests();
    failed += run_hostile_tests();
    failed += run_secret_tests();
    failed += run_claim_tests();
    failed += run_quarantine_tests();
    failed += run_mend_tests();
    failed += run_retry_tests();
    failed += run_rollback_tests();
    failed += run_inbox_tests();
    failed += run_breaker_tests();
    failed += run_mode_tests();
    failed += run_power_tests();
    failed += run_sleep_tests();
    failed += run_cache_tests();
    return failed != 0;
}

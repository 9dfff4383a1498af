/* Runs every group of the engine's unit tests; the exit status is 1 if any test failed. How it
 * schedules is tested by cases (tests/cases/engine) and by the simulator (tests/sim).
 */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_answer_tests();
    failed += run_approval_tests();
    failed += run_attempt_tests();
    failed += run_change_tests();
    failed += run_budget_tests();
    failed += run_codec_tests();
    failed += run_end_tests();
    failed += run_fold_tests();
    failed += run_heap_tests();
    failed += run_recovery_tests();
    failed += run_rollback_tests();
    failed += run_step_id_tests();
    failed += run_var_tests();
    return failed != 0;
}

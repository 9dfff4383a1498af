/* Runs every group of base's unit tests; the exit status is 1 if any test failed.
 *
 * A group is one file here. A new file adds its run_<group>_tests to groups.h and one line below;
 * the groups share no state.
 */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_memory_tests();
    failed += run_diag_tests();
    failed += run_error_tests();
    failed += run_hash_tests();
    failed += run_map_tests();
    failed += run_text_tests();
    failed += run_time_tests();
    failed += run_trap_tests();
    return failed != 0;
}

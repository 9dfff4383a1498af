/* Runs every group of io's unit tests; the exit status is 1 if any test failed.
 *
 * A group is one file here. A new file adds its run_<group>_tests to groups.h and one line below;
 * the groups share no state.
 */
#include "groups.h"

#include <string.h>

int main(int argc, char **argv) {
    int failed = 0;
    if (argc == 2 && strcmp(argv[1], LEAVE_A_FOLDER) == 0) {
        scratch_leave();
    }
    failed += run_beat_tests();
    failed += run_clock_tests();
    failed += run_file_tests();
    failed += run_lock_tests();
    failed += run_place_tests();
    failed += run_loop_tests();
    failed += run_launcher_tests();
    failed += run_tree_tests();
    failed += run_contain_tests();
    failed += run_death_tests();
    failed += run_scratch_tests();
    failed += run_gather_tests();
    return failed != 0;
}

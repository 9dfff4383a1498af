/* Runs every group of value's unit tests; the exit status is 1 if any test failed.
 *
 * A group is one file here. A new file adds its run_<group>_tests to groups.h and one line below;
 * the groups share no state.
 */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_build_tests();
    failed += run_compare_tests();
    failed += run_csv_tests();
    failed += run_codec_tests();
    failed += run_hostile_tests();
    failed += run_json_tests();
    failed += run_json_suite_tests();
    failed += run_number_tests();
    failed += run_print_tests();
    failed += run_redact_tests();
    return failed != 0;
}

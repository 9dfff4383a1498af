/* Runs every group of net's unit tests; the exit status is 1 if any test failed. */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_guard_tests();
    failed += run_head_tests();
    failed += run_sse_tests();
    failed += run_client_tests();
    failed += run_redirect_tests();
    failed += run_failure_tests();
    return failed != 0;
}

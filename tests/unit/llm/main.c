/* Runs every group of llm's unit tests; the exit status is 1 if any test failed. */
#include "groups.h"

int main(void) {
    int failed = request_tests();
    failed += answer_tests();
    failed += error_tests();
    failed += price_tests();
    return failed != 0;
}

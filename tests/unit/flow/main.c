/* Runs every group of flow's unit tests; the exit status is 1 if any test failed. */
#include "groups.h"

int main(void) {
    int failed = 0;
    failed += run_case_tests();
    failed += run_value_tests();
    failed += run_file_tests();
    failed += run_input_tests();
    failed += run_finding_tests();
    failed += run_schema_tests();
    failed += run_size_tests();
    failed += run_memory_tests();
    failed += run_document_tests();
    failed += run_coerce_tests();
    return failed != 0;
}

/* Tests of the journal's format: the codec of events, its description in docs/FORMAT.md, and the
 * journals in tests/golden, which must be read for ever.
 *
 *   unit-journal                   all tests
 *   unit-journal --record FOLDER   writes a store for tests/golden (see tests/golden/record)
 */
#include <string.h>

#include "groups.h"

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--record") == 0) {
        return record_golden(argv[2]);
    }
    int failed = 0;
    failed += run_codec_tests();
    failed += run_format_tests();
    failed += run_golden_tests();
    return failed != 0;
}

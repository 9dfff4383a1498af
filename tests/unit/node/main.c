/* Runs every group of the unit tests of node and llm; the exit status is 1 if any test failed.
 *
 * A group is one file here and a row in groups.h; the groups share no state.
 */
#include "groups.h"

int main(void) {
    int failed = 0;
#define NODE_TEST_GROUP(name) failed += name##_tests();
    NODE_TEST_GROUPS(NODE_TEST_GROUP)
#undef NODE_TEST_GROUP
    return failed != 0;
}

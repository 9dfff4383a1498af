/* A small table of node kinds for tests of workflows: they compile, none of them does anything.
 * work, condition, end, form (every type of field), agent, workflow.
 */
#ifndef CAIRN_TESTS_FLOW_KINDS_H
#define CAIRN_TESTS_FLOW_KINDS_H

#include "flow/flow.h"

extern const struct kind_table flow_test_kinds;

#endif

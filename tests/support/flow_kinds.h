/* A small table of node kinds for tests of workflows: they compile, none of them does anything.
 * work, condition, end, form (every type of field), agent, workflow.
 */
#ifndef CAIRN_TESTS_FLOW_KINDS_H
#define CAIRN_TESTS_FLOW_KINDS_H

#include "flow/flow.h"

extern const struct kind_table flow_test_kinds;

/* step_wait of a kind that waits for a person: for an answer, as long as its timeout. */
enum err flow_test_wait(const struct step_in *in, wall_us now, struct step_wait *out,
                        struct error *e);

#endif

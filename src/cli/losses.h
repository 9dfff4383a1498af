/* What an execution lost by failures, for `results`, `explain` and the end of a run: which nodes
 * failed and which did not run because of them.
 */
#ifndef CAIRN_CLI_LOSSES_H
#define CAIRN_CLI_LOSSES_H

#include "cli/details.h"

enum { LOSSES_SHOWN = 12 }; /* nodes in a line for people */

/* [{step, node, error}]: every step that failed, also where the workflow allows it. */
struct value losses_failures(const struct details *d, struct arena *a);
/* [{node, status, because}]: nodes that were skipped or cancelled since the node `because` failed;
 * empty when the workflow cannot be compiled here. */
struct value losses_list(const struct details *d, struct arena *a);
/* That list in words, a line for each cause. */
void losses_print(struct buf *b, struct value list);

#endif

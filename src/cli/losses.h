/* What an execution lost by failures, for `results`, `explain` and the end of a run: which nodes
 * failed and which did not run because of them.
 */
#ifndef CAIRN_CLI_LOSSES_H
#define CAIRN_CLI_LOSSES_H

#include "cli/details.h"

enum { LOSSES_SHOWN = 12 }; /* nodes in a line for people */

/* [{step, node, error}]: every step that failed, also where the workflow allows it; not those that
 * a retry did anew. */
struct value losses_failures(const struct details *d, struct arena *a);
/* [{node, status, because}]: nodes that were skipped or cancelled since the node `because` failed;
 * {node, status, by}: who cancelled what had failed stopped it. Empty when the workflow cannot be
 * compiled here. */
struct value losses_list(const struct details *d, struct arena *a);
/* That list in words, a line for each cause. */
void losses_print(struct buf *b, struct value list);

/* The steps that were under way when the execution was stopped, by its timeout, a failure or
 * somebody: [{step, since, durationMs, attempt, by?}]; by: who cancelled what had failed. */
struct value losses_stopped(const struct details *d, struct arena *a);
/* "    under way when its time was up: fetch for 2.1s, parse for 12ms": that list; the error and
 * the status of the execution say why. */
void losses_print_stopped(struct buf *b, struct value list, struct value error, struct str status);

#endif

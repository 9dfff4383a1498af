/* The executions that nobody runs and that should be run: what `cairn resume --all` goes on with.
 *
 * Those are the interrupted ones (their process is gone), and of those that were left waiting the
 * ones that a time moves, or a request that stands in the inbox. What only a person could move is
 * no orphan: `answer` runs it. Nor is what was paused. Only looks.
 */
#ifndef CAIRN_CLI_ORPHANS_H
#define CAIRN_CLI_ORPHANS_H

#include "cli/details.h"

struct orphan {
    struct str id, workflow, status; /* as stored: running, waiting ... */
};

struct orphans {
    struct orphan *items; /* in the arena of the command line, oldest first */
    uint32_t count, cap;
};

/* Finds them all: of a tree its topmost execution that has not ended. Reported. */
enum err orphans_find(struct session *s, struct orphans *out) MUST_USE;
/* How many are interrupted, of all in the store; 0 when that cannot be read. */
uint32_t orphans_interrupted(struct session *s);

#endif

/* Asking something of an execution, whoever runs it: through the inbox when it has a living owner,
 * else by taking it over. The answer is what its owner decided, recorded with what came of it.
 */
#ifndef CAIRN_CLI_REQUEST_H
#define CAIRN_CLI_REQUEST_H

#include "cli/running.h"

/* Asks it of the execution that the command line's first argument means, and tells the verdict as
 * `done` says ("cancelled", "accepted"). With take, an execution that nobody runs is taken over and
 * run on here, unless check finds it wrong; without, that is refused. What has ended is handed to
 * revive, when that is not NULL.
 * Gives the exit status; everything is reported. */
struct request {
    struct host_request ask;
    bool take;
    int (*check)(struct running *x, const struct store_execution *found); /* 0 or exit status */
    int (*revive)(struct running *x, const struct store_execution *found);
    const char *done;
};
int request_run(struct cli *c, struct request *q);

#endif

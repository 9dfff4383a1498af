/* Asking something of an execution, whoever runs it: through the inbox when it has a living owner,
 * else by taking it over. The answer is what its owner decided, recorded with what came of it.
 */
#ifndef CAIRN_CLI_REQUEST_H
#define CAIRN_CLI_REQUEST_H

#include "cli/running.h"

/* What is done about an execution that nobody runs; a request that it would refuse changes and
 * begins nothing whatever this says. */
enum request_left {
    LEFT_REFUSED,  /* it needs who runs it */
    LEFT_RECORDED, /* decided on and recorded, nothing goes on */
    LEFT_TAKEN,    /* taken over and run on here */
    LEFT_WHOLE,    /* likewise, but of a tree that is interrupted not because of a part of it */
};

/* Asks it of the execution that the command line's first argument means, and tells the verdict as
 * `done` says ("cancelled", "accepted"). check may find it wrong for an execution that nobody runs.
 * What has ended is handed to revive, when that is not NULL.
 * Gives the exit status; everything is reported. */
struct request {
    struct host_request ask;
    enum request_left left;
    int (*check)(struct running *x, const struct store_execution *found); /* 0 or exit status */
    int (*revive)(struct running *x, const struct store_execution *found);
    const char *done;
};
int request_run(struct cli *c, struct request *q);

#endif

/* What has ended goes on: retried, or from an earlier state on.
 *
 * Part of host/host.h, which includes it.
 */
#ifndef CAIRN_HOST_AGAIN_H
#define CAIRN_HOST_AGAIN_H

#include "engine/engine.h"
#include "flow/flow.h"

struct host;
struct run;

struct host_retry {
    struct str from; /* a node that runs anew, with all that depends on it, besides what failed */
    struct str by;
    bool force;              /* also when it was quarantined */
    const struct plan *plan; /* goes on with this workflow; must outlive the host. NULL: its own */
    struct value inputs;     /* from now on, checked by flow_inputs; null: as they were */
    struct value env;        /* recorded environment variables, or null: as they were */
    struct str folder;       /* of the plan: relative paths of effects start here */
    struct budget budget;    /* what it has is the execution's limit from now on, in all */
};
/* A failed, partial or cancelled execution goes on: what failed runs anew in a new generation, what
 * completed is kept. With another workflow or inputs what follows from the change does, too.
 * ERR_CONFLICT when its state does not allow it, ERR_QUARANTINED without force. */
enum err host_retry(struct host *h, struct str id, const struct host_retry *q, struct run **out,
                    struct error *e) MUST_USE;

struct host_rollback {
    struct str to; /* a seq, @name or NODE[#k]: see engine/past.c */
    struct str by;
    bool resume; /* it goes on at once; else it is paused */
};
/* What has ended is under way again, from an earlier state on. ERR_CONFLICT when it has not ended
 * (then REQUEST_ROLLBACK does it); errors about the target. */
enum err host_rollback(struct host *h, struct str id, const struct host_rollback *q,
                       struct run **out, struct error *e) MUST_USE;
/* OK when it could go back to there as it is recorded now; errors about the target. */
enum err host_may_rollback(struct host *h, struct str id, struct str to, struct error *e) MUST_USE;

#endif

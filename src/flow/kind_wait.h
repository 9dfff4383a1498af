/* What a kind's wait and woken are given and give: of steps that wait for something outside.
 *
 * Part of flow/kind.h, which includes it.
 */
#ifndef CAIRN_FLOW_KIND_WAIT_H
#define CAIRN_FLOW_KIND_WAIT_H

#include "base/base.h"
#include "value/value.h"

/* What a step waits for. */
struct step_wait {
    struct arena *arena;  /* for what request points to */
    wall_us due;          /* it is woken then; 0: never by time */
    struct value request; /* map, recorded and shown: what is asked, of whom */
};
/* Why it is woken. */
struct step_wake {
    bool answered;       /* else: the time of step_wait.due came */
    struct value answer; /* as it was given, not checked */
    struct str by;       /* who answered, or empty */
    int64_t signal;      /* answered by the signal of this event; 0 by an answer */
    int64_t kept;        /* the answer came before, by this event; 0: it came now */
    bool aided;          /* answered by what the node named by on_timeout came to */
};

#endif

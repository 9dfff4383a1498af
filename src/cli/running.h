/* One `cairn run` while it lasts: what cmd_run.c begins and run_end.c tells the end of.
 *
 * Owned by cmd_run.c, which opens and closes everything in it.
 */
#ifndef CAIRN_CLI_RUNNING_H
#define CAIRN_CLI_RUNNING_H

#include "cli/load.h"
#include "cli/outcome.h"
#include "cli/watch.h"

struct running {
    struct cli *c;
    struct session s;
    struct workflow w;
    struct watch watch;
    struct run *run;
    struct str id;
    struct io_signal *signals[2];
    uint32_t stops; /* signals that came */
    bool ended, lost;
    struct error why_lost;
};

/* The three ways out; each gives the exit status. */
int run_tell_end(struct running *x);
int run_tell_lost(struct running *x);
int run_tell_interrupted(struct running *x);

#endif

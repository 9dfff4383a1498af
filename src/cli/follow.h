/* Reading the journal of an execution that any process runs, as it grows.
 *
 * Only looks: nothing is written to the store, and no reading lasts longer than one query.
 */
#ifndef CAIRN_CLI_FOLLOW_H
#define CAIRN_CLI_FOLLOW_H

#include "cli/details.h"

struct follow {
    struct session *s;
    struct str id;            /* the whole one; stays */
    struct store_execution x; /* as it was when last looked at */
    struct arena seen;        /* of x */
    struct shelf shelf;
    const struct plan *plan; /* the newest one, in the shelf */
    const struct plan *page; /* of the event that is told */
    uint64_t seq;            /* events up to this were told */
    bool stop;               /* Ctrl-C, or the one who is told has enough */
    struct io_signal *signal;
    void *ctx;
    void (*event)(void *ctx, const struct store_event *ev);
};

/* Finds the execution of the first argument and compiles its plan from the store. Reported. */
enum err follow_open(struct follow *f, struct session *s) MUST_USE;
/* Tells the events that are there and not told yet. Reported. */
enum err follow_read(struct follow *f) MUST_USE;
/* Tells what comes until the execution has ended, nobody runs it any more, or stop. Reported. */
enum err follow_until_end(struct follow *f) MUST_USE;
void follow_close(struct follow *f);

#endif

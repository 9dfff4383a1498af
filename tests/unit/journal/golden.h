/* What a golden store holds, as text: for recording it and for comparing.
 */
#ifndef CAIRN_TESTS_UNIT_JOURNAL_GOLDEN_H
#define CAIRN_TESTS_UNIT_JOURNAL_GOLDEN_H

#include "host/host.h"

/* Which kinds and fields of events were met. */
struct coverage {
    bool events[64], fields[128];
};

/* A JSON document over all executions of a store, oldest first, each compiled from the store and
 * folded: identity, status, result, error, and every step with its attempt, handle and body. Fails
 * the program's assertions when anything cannot be read. */
void golden_print(struct store *s, struct buf *out, struct coverage *seen);

/* A clock that stands still; now may be set. */
extern wall_us golden_now;
extern const struct io_clock golden_clock;

/* Performing: what a kind was told to start, in order; ended by golden_act. */
#define GOLDEN_PORTS 64
struct golden_world {
    struct io_loop *loop;
    struct host *host;
    struct step_port *ports[GOLDEN_PORTS];
    bool cancelled[GOLDEN_PORTS];
    uint32_t count;
};
void golden_world_open(struct golden_world *w, struct store *s);
void golden_world_close(struct golden_world *w);
/* Turns and ends attempts as their nodes say, until nothing but what hangs is left. */
void golden_act(struct golden_world *w);

#endif

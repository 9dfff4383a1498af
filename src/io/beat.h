/* A thread that calls one function again and again, for what must go on while the loop is busy.
 * The only thread of cairn besides libuv's pool; what it shares with the loop is atomic.
 */
#ifndef CAIRN_IO_BEAT_H
#define CAIRN_IO_BEAT_H

#include "base/base.h"

struct io_beat;

/* Calls beat(ctx) on a thread of its own, at once and then period_ns after each return. It takes no
 * signals. NULL: no thread to be had. */
struct io_beat *io_beat_open(int64_t period_ns, void (*beat)(void *ctx), void *ctx);
/* Waits for a call that is under way; none follows. NULL is fine. */
void io_beat_close(struct io_beat *b);

#endif

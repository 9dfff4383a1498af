/* The event loop (libuv), its timers, descriptors, signals and wake-ups from other threads.
 * One loop per host, used by one thread; everything registered is counted and must be closed
 * before the loop is. Callbacks run on the loop's thread, one at a time.
 */
#ifndef CAIRN_IO_LOOP_H
#define CAIRN_IO_LOOP_H

#include "base/base.h"
#include "io/clock.h"

struct io_loop;
struct io_timer;
struct io_poll;
struct io_signal;
struct io_wake;

enum err io_loop_open(const struct io_clock *clock, struct io_loop **out, struct error *e) MUST_USE;
/* Asserts that nothing is open any more (after letting closes finish). NULL is fine. */
void io_loop_close(struct io_loop *l);
/* Runs one turn: waits for events when wait, handles all that are due. Returns false when nothing
 * is registered that could ever happen. */
bool io_loop_turn(struct io_loop *l, bool wait);
const struct io_clock *io_loop_clock(const struct io_loop *l);
/* Timers, polls, watches, signals, wakes and works that are open. */
size_t io_loop_open_count(const struct io_loop *l);

/* One-shot timer; start again to move it. delay from now. Freed by close, callback not run then. */
struct io_timer *io_timer_open(struct io_loop *l, void (*due)(void *ctx), void *ctx);
void io_timer_start(struct io_timer *t, int64_t delay_ns);
void io_timer_stop(struct io_timer *t);
/* From now on it does not keep the loop alive by itself. */
void io_timer_background(struct io_timer *t);
void io_timer_close(struct io_timer *t);

enum { IO_READABLE = 1, IO_WRITABLE = 2 };
/* Watches a descriptor (owned by the caller, who closes it after io_poll_close), which becomes
 * nonblocking. NULL when it cannot be watched (an ordinary file). */
struct io_poll *io_poll_open(struct io_loop *l, int fd, int events,
                             void (*ready)(void *ctx, int events), void *ctx);
void io_poll_change(struct io_poll *p, int events);
void io_poll_close(struct io_poll *p);

/* Watches a file: changed(ctx, gone) when somebody wrote to it; gone when it was removed, renamed
 * or replaced: then this watch sees nothing any more. Hints only: some may be merged, some come for
 * nothing, and on some filesystems none come, so whoever watches polls as well, seldom. NULL when
 * it cannot be watched (not there, not allowed, too many watches). Does not keep the loop alive by
 * itself. */
struct io_watch *io_watch_open(struct io_loop *l, const char *path,
                               void (*changed)(void *ctx, bool gone), void *ctx);
void io_watch_close(struct io_watch *w);

/* Unix signals of this process (cli only). */
struct io_signal *io_signal_open(struct io_loop *l, int signo, void (*got)(void *ctx, int signo),
                                 void *ctx);
void io_signal_close(struct io_signal *s);

/* Runs job(ctx) on a thread of the pool, which must touch nothing else of the caller's, then
 * done(ctx) on the loop's thread, never from inside this call. Counted as open until done. False
 * when there is no memory, or no thread to be had: neither is called. */
bool io_work_start(struct io_loop *l, void (*job)(void *ctx), void (*done)(void *ctx), void *ctx);

/* Wake-up from any thread; calls may be merged. Does not keep the loop alive by itself. */
struct io_wake *io_wake_open(struct io_loop *l, void (*woken)(void *ctx), void *ctx);
void io_wake_send(struct io_wake *w);
void io_wake_close(struct io_wake *w);

/* Of the library behind it, for people. */
const char *io_uv_version(void);

#endif

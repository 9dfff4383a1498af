/* Going on in a process of its own after the one that the user started has left.
 *
 * The process that was started forks before it has opened anything and waits; the other one works
 * on as if nothing had happened until it can do alone (io_detach_alone, io_detach_leave). Until
 * then it is in the same session, writes to the same streams and dies with the process that waits;
 * after that nothing of the terminal, the caller's pipes or its other descriptors is left with it.
 */
#ifndef CAIRN_IO_DETACH_H
#define CAIRN_IO_DETACH_H

#include "base/base.h"

#define IO_DETACH_FDS 256 /* descriptors of the caller's that are remembered */

struct io_detach {
    int pipe;                  /* to the other process; -1: there is none any more */
    int64_t child;             /* in the process that waits: the pid of the other; else 0 */
    int out, err;              /* the caller's, while the streams are at a file; else -1 */
    int caller[IO_DETACH_FDS]; /* what the caller left open besides the streams */
    size_t caller_count;
    const char *made; /* the file, when it was not there before */
};

/* Forks: afterwards there are two processes, told apart by child. Only while there is one thread,
 * and nothing is open that must not be shared. */
enum err io_detach_fork(struct io_detach *d, struct error *e) MUST_USE;
/* In the process that was started: waits until the other one leaves or ends, and gives the status
 * that it said or ended with; *out_signal is what ended it, 0 for none. */
int io_detach_wait(struct io_detach *d, int *out_signal);
/* In the other one: standard output and error go to the end of this file, which is made when it is
 * not there (0600, its missing folders 0700). path must outlive d. */
enum err io_detach_file(struct io_detach *d, const char *path, struct error *e) MUST_USE;
/* They go where they went before. With drop a file that was made is removed. */
void io_detach_back(struct io_detach *d, bool drop);
/* In a session of its own, outliving the process that waits and its terminal. Before the user is
 * told that it is so. */
void io_detach_alone(void);
/* The process that waits ends with this status, and nothing that the caller had opened is left
 * here. Only after io_detach_file. */
void io_detach_leave(struct io_detach *d, int status);

#endif

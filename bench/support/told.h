/* What a program was told of its executions, and whether it is in the store: the proof that a
 * durable benchmark was one. And how often this process has synced a file.
 */
#ifndef CAIRN_BENCH_TOLD_H
#define CAIRN_BENCH_TOLD_H

#include <cairn.h>
#include <stddef.h>
#include <stdint.h>

struct told {
    struct told_event *events;
    size_t count, room;
};

/* Notes an event; for cairn_subscribe, with a struct told that is zero at first as ctx. */
void told_note(void *ctx, const struct cairn_event *ev);
/* Looks for each in the store, from another process. Gives how many are there; frees the list. */
size_t told_found(struct told *t, const char *store);

/* Calls of fdatasync by this process so far, also by SQLite: the one of libc is replaced. */
uint64_t told_syncs(void);

#endif

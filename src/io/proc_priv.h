/* Reading /proc: which processes exist, who is whose child, when they started.
 *
 * Used by the launcher process and for killing what a dead host left, so: no malloc, no stdio, no
 * locale. Pids are only trusted together with a start time or within one scan.
 */
#ifndef CAIRN_IO_PROC_PRIV_H
#define CAIRN_IO_PROC_PRIV_H

#include <sys/types.h>

#include "base/base.h"

/* A growing array in its own mapping. */
struct proc_vec {
    void *ptr;
    size_t count;
    size_t cap;
    size_t item_bytes;
};

void proc_vec_init(struct proc_vec *v, size_t item_bytes);
void proc_vec_fini(struct proc_vec *v);
/* A new zeroed last item, or NULL when the system has no memory. */
void *proc_vec_add(struct proc_vec *v);
/* Moves the last item to the place of item i. */
void proc_vec_drop(struct proc_vec *v, size_t i);

struct proc_row {
    pid_t pid;
    pid_t ppid;
    pid_t pgid;
    pid_t sid;
    uint64_t start_time; /* clock ticks after boot, field 22 of /proc/PID/stat */
    uint32_t mark;       /* 0, or whose tree it belongs to: the caller's numbers */
    bool zombie;         /* ended, not yet waited for */
};

/* False when there is no such process. */
bool proc_read(pid_t pid, struct proc_row *out);
/* All processes, ordered by pid, without marks. False when /proc cannot be read. */
bool proc_scan(struct proc_vec *rows);
struct proc_row *proc_find(const struct proc_vec *rows, pid_t pid);
/* Gives every process without a mark that of its parent, down to the leaves. */
void proc_spread(struct proc_vec *rows);
/* Sends signo to each process with this mark that has not ended, and for SIGKILL to their whole
 * process groups too (a group is hit at once, so a fork bomb cannot outrun it). Returns how many
 * there were. keep_pgid is a group that is never signalled: the caller's own. */
size_t proc_signal(const struct proc_vec *rows, uint32_t mark, int signo, pid_t keep_pgid);
/* Number that follows the name (as "NAME=<prefix>") in the environment of pid, or -1. */
int64_t proc_token_find(pid_t pid, struct str prefix);

#endif

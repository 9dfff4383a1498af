/* Killing what a host left running that did not live to see it ended, nor did its launcher.
 *
 * Runs in the host that takes an execution over. It must never signal a process that only shares
 * the number: pid and start time both have to fit, or its environment has to say whose it is.
 * Descendants are remembered from scan to scan: they lose their parents while they are killed.
 */
#include "io/launcher.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/proc_priv.h"

enum { TREE = 1, WAIT_MOST_MS = 1000, LOOK_PAUSE_MS = 2 };

static struct proc_row *find_same(const struct proc_vec *rows, const struct proc_row *like) {
    struct proc_row *row = proc_find(rows, like->pid);
    return row != NULL && row->start_time == like->start_time ? row : NULL;
}

/* This process and those that started it are nobody's left-overs. */
static void spare_own(struct proc_vec *rows) {
    struct proc_row *row = proc_find(rows, getpid());
    for (size_t depth = 0; row != NULL && depth <= rows->count; depth++) {
        row->mark = 0;
        row = proc_find(rows, row->ppid);
    }
}

/* Marks in rows what was seen before and what descends from it, and adds the new to seen. */
static void mark_tree(struct proc_vec *rows, struct proc_vec *seen) {
    for (size_t i = 0; i < seen->count; i++) {
        struct proc_row *row = find_same(rows, &((struct proc_row *)seen->ptr)[i]);
        if (row != NULL) {
            row->mark = TREE;
        }
    }
    spare_own(rows);
    proc_spread(rows);
    const struct proc_row *items = rows->ptr;
    for (size_t i = 0; i < rows->count; i++) {
        bool known = false;
        for (size_t k = 0; k < seen->count && !known; k++) {
            known = ((struct proc_row *)seen->ptr)[k].pid == items[i].pid;
        }
        struct proc_row *note = items[i].mark == TREE && !known ? proc_vec_add(seen) : NULL;
        if (note != NULL) {
            *note = items[i];
        }
    }
}

/* What is new in every scan is looked at for the text, too: it may have been started by one that
 * was killed since. */
static void mark_text(struct proc_vec *rows, struct str text) {
    struct proc_row *items = rows->ptr;
    for (size_t i = 0; text.len > 0 && i < rows->count; i++) {
        if (items[i].pid != getpid() && !items[i].zombie &&
            proc_token_find(items[i].pid, text) >= 0) {
            items[i].mark = TREE;
        }
    }
}

static void kill_all(struct proc_vec *seen, struct str text) {
    struct proc_vec rows;
    proc_vec_init(&rows, sizeof(struct proc_row));
    int64_t end_ns = io_clock_system.mono(NULL).ns + WAIT_MOST_MS * INT64_C(1000000);
    while (proc_scan(&rows) && io_clock_system.mono(NULL).ns < end_ns) {
        mark_text(&rows, text);
        mark_tree(&rows, seen);
        if (proc_signal(&rows, TREE, SIGKILL, getpgrp()) == 0) {
            break;
        }
        poll(NULL, 0, LOOK_PAUSE_MS);
    }
    proc_vec_fini(&rows);
}

void io_process_kill_stale(int64_t pid, uint64_t start_time) {
    struct proc_row main_row;
    if (pid <= 1 || pid > INT32_MAX || pid == getpid() || !proc_read((pid_t)pid, &main_row) ||
        main_row.start_time != start_time) {
        return;
    }
    struct proc_vec seen;
    proc_vec_init(&seen, sizeof(struct proc_row));
    struct proc_row *first = proc_vec_add(&seen);
    if (first != NULL) {
        *first = main_row;
        kill_all(&seen, STR(""));
    }
    proc_vec_fini(&seen);
}

void io_process_kill_marked(struct str text) {
    struct proc_vec seen;
    proc_vec_init(&seen, sizeof(struct proc_row));
    kill_all(&seen, text);
    proc_vec_fini(&seen);
}

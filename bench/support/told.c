/* Events that were told, against the journal: see told.h. A missing one is no error here, but a
 * number that is too small.
 */
#include "support/told.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct told_event {
    char execution[32];
    uint64_t seq;
    char type[32];
    char step[32];
};

static _Atomic uint64_t syncs; /* any thread may commit */

int fdatasync(int fd) {
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

uint64_t told_syncs(void) { return syncs; }

static void must(int failed, const char *what) {
    if (failed) {
        fprintf(stderr, "bench: %s\n", what);
        exit(1);
    }
}

void told_note(void *ctx, const struct cairn_event *ev) {
    struct told *t = ctx;
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 1024;
        t->events = realloc(t->events, t->room * sizeof *t->events);
        must(!t->events, "out of memory");
    }
    struct told_event *e = &t->events[t->count++];
    e->seq = ev->seq;
    snprintf(e->execution, sizeof e->execution, "%s", ev->execution);
    snprintf(e->type, sizeof e->type, "%s", ev->type);
    snprintf(e->step, sizeof e->step, "%s", ev->step);
}

static int by_place(const void *a, const void *b) {
    const struct told_event *x = a, *y = b;
    int order = strcmp(x->execution, y->execution);
    return order ? order : x->seq < y->seq ? -1 : x->seq > y->seq;
}

static struct told_event row_of(sqlite3_stmt *s) {
    struct told_event e = {.seq = (uint64_t)sqlite3_column_int64(s, 1)};
    snprintf(e.execution, sizeof e.execution, "%s", (const char *)sqlite3_column_text(s, 0));
    snprintf(e.type, sizeof e.type, "%s", (const char *)sqlite3_column_text(s, 2));
    snprintf(e.step, sizeof e.step, "%s", (const char *)sqlite3_column_text(s, 3));
    return e;
}

/* Both are in order, so one walk finds all. */
static size_t find_all(const struct told *t, const char *store) {
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    size_t at = 0, found = 0;
    must(sqlite3_open_v2(store, &db, SQLITE_OPEN_READONLY, NULL), "the store cannot be opened");
    must(sqlite3_prepare_v2(db,
                            "SELECT execution, seq, event, step FROM journal "
                            "ORDER BY execution, seq",
                            -1, &s, NULL),
         "the journal cannot be read");
    while (at < t->count && sqlite3_step(s) == SQLITE_ROW) {
        struct told_event row = row_of(s);
        while (at < t->count && by_place(&t->events[at], &row) < 0) {
            at++; /* it is not there */
        }
        if (at < t->count && by_place(&t->events[at], &row) == 0) {
            found += strcmp(t->events[at].type, row.type) == 0 &&
                     strcmp(t->events[at].step, row.step) == 0;
            at++;
        }
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return found;
}

size_t told_found(struct told *t, const char *store) {
    int fds[2], status;
    size_t found = 0;
    qsort(t->events, t->count, sizeof *t->events, by_place);
    must(pipe(fds) != 0, "no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        found = find_all(t, store);
        _exit(write(fds[1], &found, sizeof found) != sizeof found);
    }
    close(fds[1]);
    must(read(fds[0], &found, sizeof found) != sizeof found, "nothing was found out");
    must(waitpid(pid, &status, 0) != pid || status != 0, "who looked did not end well");
    close(fds[0]);
    free(t->events);
    *t = (struct told){0};
    return found;
}

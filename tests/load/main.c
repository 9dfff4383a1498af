/* Many executions of no-op steps in one host, for tests that kill it: goes on with those that are
 * left in a store and submits what is missing to the number that is wanted.
 *
 *   load STORE NOTES EXECUTIONS STEPS
 *
 * What happens is written to the file NOTES at once, a line each: "ran KEY" before a step is ended,
 * and "told EXECUTION SEQ TYPE STEP" for each event, which a host tells after its commit. So what
 * stands there after a kill was acknowledged. The last line of stdout is the number of commits.
 */
#include <cairn.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NODE_BYTES = 60, SLOTS = 100000 };

static int notes;

static void must(int failed, const char *what, const char *why) {
    if (failed) {
        fprintf(stderr, "load: %s: %s\n", what, why);
        exit(1);
    }
}

static void note(const char *line, int len) {
    must(write(notes, line, (size_t)len) != len, "notes", "cannot be written");
}

static void noop(struct cairn_step *s, void *ctx) {
    char line[200];
    (void)ctx;
    note(line, snprintf(line, sizeof line, "ran %s\n", cairn_step_key(s)));
    cairn_step_done(s, NULL);
}

static void told(void *ctx, const struct cairn_event *ev) {
    char line[300];
    (void)ctx;
    note(line, snprintf(line, sizeof line, "told %s %llu %s %s\n", ev->execution,
                        (unsigned long long)ev->seq, ev->type, ev->step));
}

/* *out_text is to stay until c is closed. */
static struct cairn_workflow *chain(struct cairn *c, int steps, char **out_text) {
    struct cairn_workflow *w = NULL;
    char why[CAIRN_ERROR_BYTES];
    char *text = malloc((size_t)steps * NODE_BYTES + 200);
    must(!text, "workflow", "out of memory");
    int at = sprintf(text, "cairn: 1\nname: load\nnodes:\n  s0: {type: noop}\n");
    for (int i = 1; i < steps; i++) {
        at += sprintf(text + at, "  s%d: {type: noop, needs: [s%d]}\n", i, i - 1);
    }
    must(cairn_load_text(c, text, "load.yaml", &w, why), "load", why);
    *out_text = text;
    return w;
}

/* Goes on with what has not ended; gives how many there are in all. */
static int go_on(struct cairn *c, const char *store) {
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    struct cairn_execution *x;
    char why[CAIRN_ERROR_BYTES];
    int count = 0;
    must(sqlite3_open_v2(store, &db, SQLITE_OPEN_READONLY, NULL), store, "cannot be opened");
    sqlite3_busy_timeout(db, 10000);
    must(sqlite3_prepare_v2(db, "SELECT id, completed_us FROM executions", -1, &s, NULL), store,
         "cannot be read");
    while (sqlite3_step(s) == SQLITE_ROW) {
        count++;
        if (sqlite3_column_type(s, 1) == SQLITE_NULL) {
            must(cairn_resume(c, (const char *)sqlite3_column_text(s, 0), &x, why), "resume", why);
        }
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return count;
}

int main(int argc, char **argv) {
    struct cairn *c;
    struct cairn_execution *x;
    struct cairn_kind kind = {.name = "noop", .doc = "does nothing", .start = noop};
    struct cairn_stats stats;
    char why[CAIRN_ERROR_BYTES], *text;
    must(argc != 5, "usage", "load STORE NOTES EXECUTIONS STEPS");
    notes = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    must(notes < 0, argv[2], "cannot be opened");
    must(cairn_open(argv[1], &c, why), "open", why);
    must(cairn_register(c, &kind, why), "register", why);
    cairn_set_slots(c, SLOTS);
    cairn_subscribe(c, told, NULL);
    struct cairn_workflow *w = chain(c, atoi(argv[4]), &text);
    for (int left = atoi(argv[3]) - go_on(c, argv[1]); left > 0; left--) {
        must(cairn_submit(c, w, NULL, &x, why), "submit", why);
    }
    must(cairn_run(c, why), "run", why);
    cairn_stats(c, &stats);
    cairn_close(c);
    free(text);
    printf("%llu\n", (unsigned long long)stats.commits);
    return 0;
}

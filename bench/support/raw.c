/* Bare SQLite rows of cairn's shape. The layout follows docs/FORMAT.md; what is left out is the
 * work of an engine, so the ratio to it is what that work costs.
 */
#include "raw.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

bool bench_note(const char *figure, double value, const char *unit, double goal,
                bool less_is_better) {
    const char *path = getenv("CAIRN_BENCH_JSON");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (f) {
        fprintf(f, "{\"figure\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"goal\": %.6g}\n",
                figure, value, unit, goal);
        fclose(f);
    }
    return goal == 0 || (less_is_better ? value <= goal : value >= goal);
}

void bench_sqlite_set_up(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

void bench_folder(char *out, size_t out_bytes) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, out_bytes, "%s/cairn-bench-XXXXXX", tmp ? tmp : ".");
    if (!mkdtemp(out)) {
        die("cannot make a folder", out);
    }
}

void bench_remove(const char *folder) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    if (system(command) != 0) {
        fprintf(stderr, "bench: %s could not be removed\n", folder);
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(double *figures, int count) {
    qsort(figures, (size_t)count, sizeof *figures, by_size);
    return figures[count / 2];
}

#define BLOCK 50 /* events in one INSERT: fewer statements is what makes bare rows fastest */

struct pending {
    int execution, kind, body_bytes;
    int64_t id, seq, prev;
    char step[16];
};

struct raw {
    struct pending block[BLOCK];
    int pending;
    sqlite3 *db;
    sqlite3_stmt *event, *events, *head, *end, *step, *create, *begun, *begin, *commit;
    int64_t next_event;
    int64_t *last; /* event of each execution */
    int64_t *seq;
};

static void check(struct raw *r, int rc, const char *what) {
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        die(what, sqlite3_errmsg(r->db));
    }
}

static sqlite3_stmt *prepare(struct raw *r, const char *sql) {
    sqlite3_stmt *s;
    check(r, sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL), sql);
    return s;
}

static void run(struct raw *r, sqlite3_stmt *s) {
    check(r, sqlite3_step(s), "step");
    sqlite3_reset(s);
}

static void open_raw(struct raw *r, const char *folder, int executions) {
    static const char ddl[] =
        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF; PRAGMA cache_size=-65536;"
        "CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, execution INTEGER, seq INTEGER,"
        " at_us INTEGER, kind INTEGER, step TEXT, prev INTEGER, body BLOB);"
        "CREATE TABLE executions(num INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE,"
        " status TEXT, result TEXT);"
        "CREATE TABLE progress(execution INTEGER PRIMARY KEY, epoch INTEGER, last_seq INTEGER,"
        " last_event INTEGER, updated_us INTEGER, completed_tasks INTEGER);"
        "CREATE TABLE steps(id INTEGER PRIMARY KEY AUTOINCREMENT, execution INTEGER, step TEXT,"
        " node TEXT, kind TEXT, status TEXT, attempt INTEGER, started_us INTEGER,"
        " completed_us INTEGER, result TEXT);";
    char path[600];
    snprintf(path, sizeof path, "%s/raw.db", folder);
    check(r,
          sqlite3_open_v2(path, &r->db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
          path);
    check(r, sqlite3_exec(r->db, ddl, NULL, NULL, NULL), "create");
    char many[BLOCK * 20 + 40] = "INSERT INTO events VALUES";
    for (int i = 0; i < BLOCK; i++) {
        strcat(many, i ? ",(?,?,?,?,?,?,?,?)" : "(?,?,?,?,?,?,?,?)");
    }
    r->event = prepare(r, "INSERT INTO events VALUES(?1,?2,?3,?4,?5,?6,?7,?8)");
    r->events = prepare(r, many);
    r->head = prepare(r, "UPDATE progress SET last_seq=?2, last_event=?3, updated_us=?4,"
                         " completed_tasks=?5 WHERE execution=?1");
    r->end = prepare(r, "UPDATE executions SET status='completed', result='null' WHERE num=?1");
    r->create = prepare(r, "INSERT INTO executions VALUES(?1,?2,'running','')");
    r->begun = prepare(r, "INSERT INTO progress VALUES(?1,1,0,0,0,0)");
    r->step = prepare(r, "INSERT INTO steps VALUES(NULL,?1,?2,?2,'noop','completed',1,?3,?3,"
                         "'null')");
    r->begin = prepare(r, "BEGIN IMMEDIATE");
    r->commit = prepare(r, "COMMIT");
    r->last = calloc((size_t)executions + 1, sizeof *r->last);
    r->seq = calloc((size_t)executions + 1, sizeof *r->seq);
    r->next_event = 1;
}

static void close_raw(struct raw *r) {
    sqlite3_finalize(r->event);
    sqlite3_finalize(r->events);
    sqlite3_finalize(r->head);
    sqlite3_finalize(r->end);
    sqlite3_finalize(r->create);
    sqlite3_finalize(r->begun);
    sqlite3_finalize(r->step);
    sqlite3_finalize(r->begin);
    sqlite3_finalize(r->commit);
    sqlite3_close(r->db);
    free(r->last);
    free(r->seq);
}

static void bind_event(sqlite3_stmt *st, int at, const struct pending *p) {
    static const char body[64] = "a body of about the size that a trivial step's event has";
    sqlite3_bind_int64(st, at + 1, p->id);
    sqlite3_bind_int(st, at + 2, p->execution);
    sqlite3_bind_int64(st, at + 3, p->seq);
    sqlite3_bind_int64(st, at + 4, 1763715600000000 + p->id);
    sqlite3_bind_int(st, at + 5, p->kind);
    sqlite3_bind_text(st, at + 6, p->step, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, at + 7, p->prev);
    sqlite3_bind_blob(st, at + 8, body, p->body_bytes, SQLITE_STATIC);
}

/* Writes what is pending: a whole block in one statement, a rest row by row. */
static void flush_events(struct raw *r) {
    bool whole = r->pending == BLOCK;
    for (int i = 0; i < r->pending; i++) {
        bind_event(whole ? r->events : r->event, whole ? i * 8 : 0, &r->block[i]);
        if (!whole) {
            run(r, r->event);
        }
    }
    if (whole) {
        run(r, r->events);
    }
    r->pending = 0;
}

static void put_event(struct raw *r, int execution, int kind, const char *step, int body_bytes) {
    struct pending *p = &r->block[r->pending++];
    *p = (struct pending){.execution = execution,
                          .kind = kind,
                          .body_bytes = body_bytes,
                          .id = r->next_event++,
                          .seq = ++r->seq[execution],
                          .prev = r->last[execution]};
    r->last[execution] = p->id;
    snprintf(p->step, sizeof p->step, "%s", step);
    if (r->pending == BLOCK) {
        flush_events(r);
    }
}

static void put_head(struct raw *r, int execution, int done) {
    sqlite3_bind_int(r->head, 1, execution);
    sqlite3_bind_int64(r->head, 2, r->seq[execution]);
    sqlite3_bind_int64(r->head, 3, r->last[execution]);
    sqlite3_bind_int64(r->head, 4, 1763715600000000);
    sqlite3_bind_int(r->head, 5, done);
    run(r, r->head);
}

static void commit(struct raw *r) {
    flush_events(r);
    run(r, r->commit);
}

static void put_execution(struct raw *r, int execution) {
    char id[40];
    snprintf(id, sizeof id, "exec_%020d", execution);
    sqlite3_bind_int(r->create, 1, execution);
    sqlite3_bind_text(r->create, 2, id, -1, SQLITE_STATIC);
    run(r, r->create);
    sqlite3_bind_int(r->begun, 1, execution);
    run(r, r->begun);
    put_event(r, execution, 1, "", 60);
    put_event(r, execution, 2, "", 6);
    put_event(r, execution, 4, "s0", 6);
    put_head(r, execution, 0);
}

static void put_round(struct raw *r, int execution, int done, int steps) {
    char step[16], next[16];
    snprintf(step, sizeof step, "s%d", done - 1);
    snprintf(next, sizeof next, "s%d", done);
    put_event(r, execution, 5, step, 12);
    if (done < steps) {
        put_event(r, execution, 4, next, 6);
    } else {
        put_event(r, execution, 19, "", 2);
    }
    put_head(r, execution, done);
    if (done == steps) {
        sqlite3_bind_int(r->end, 1, execution);
        run(r, r->end);
    }
}

static void put_steps(struct raw *r, int execution, int steps) {
    for (int i = 0; i < steps; i++) {
        char step[16];
        snprintf(step, sizeof step, "s%d", i);
        sqlite3_bind_int(r->step, 1, execution);
        sqlite3_bind_text(r->step, 2, step, -1, SQLITE_STATIC);
        sqlite3_bind_int64(r->step, 3, 1763715600000000);
        run(r, r->step);
    }
}

double raw_rounds(const char *folder, int executions, int steps) {
    struct raw r = {0};
    open_raw(&r, folder, executions);
    double from = bench_now();
    run(&r, r.begin);
    for (int x = 1; x <= executions; x++) {
        put_execution(&r, x);
    }
    commit(&r);
    for (int done = 1; done <= steps; done++) {
        run(&r, r.begin);
        for (int x = 1; x <= executions; x++) {
            put_round(&r, x, done, steps);
        }
        commit(&r);
    }
    int per_commit = 1000 / steps > 0 ? 1000 / steps : 1;
    for (int x = 1; x <= executions; x += per_commit) {
        run(&r, r.begin);
        for (int k = x; k < x + per_commit && k <= executions; k++) {
            put_steps(&r, k, steps);
        }
        commit(&r);
    }
    double seconds = bench_now() - from;
    close_raw(&r);
    return seconds;
}

double raw_commit_rate(const char *folder, int steps) {
    return steps / raw_rounds(folder, 1, steps);
}

double raw_fdatasync_rate(const char *folder, int count) {
    static const char page[4096];
    char path[600];
    snprintf(path, sizeof path, "%s/sync", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0) {
        die("cannot open", path);
    }
    double from = bench_now();
    for (int i = 0; i < count; i++) {
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) {
            die("cannot write", path);
        }
    }
    double seconds = bench_now() - from;
    close(fd);
    return count / seconds;
}

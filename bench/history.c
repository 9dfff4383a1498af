/* 1,000,000 past executions in the store: what a new run, `list`, `results` and opening cost then.
 * Goals: a new run within 10 % of one on a store with a single execution, `list` under 25 ms,
 * opening (`results @last`) under 5 ms above a command that opens no store.
 *
 * The past is made of one real execution, copied row by row with new numbers and ids.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/raw.h"
#include "support/work.h"

#define PAST 1000000
#define RUNS 15
#define RUN_GOAL 1.10
#define LIST_GOAL_S 0.025
#define OPEN_GOAL_S 0.005

static void must_sql(sqlite3 *db, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "bench: %s: %s\n", why, sql);
        exit(1);
    }
}

/* Ids stay 20 characters long and sort behind the real one; events keep their chains. */
static void copy_past(const char *store) {
    char each[200];
    sqlite3 *db;
    if (sqlite3_open_v2(store, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        fprintf(stderr, "bench: %s: %s\n", store, sqlite3_errmsg(db));
        exit(1);
    }
    snprintf(
        each, sizeof each,
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < %d) SELECT i FROM n",
        PAST - 1);
    must_sql(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; BEGIN");
    must_sql(db, each);
    must_sql(db, "CREATE TEMP TABLE k AS SELECT count(*) AS events FROM events");
    must_sql(db,
             "INSERT INTO executions SELECT 1 + i, substr(id, 1, 5) || '0' ||"
             " printf('%019d', i), workflow, workflow_hash, entry, status, created_us + i,"
             " started_us + i, completed_us + i, deadline_us, total_tasks, rules, parent,"
             " parent_step, key, labels, error, result, usage FROM executions, n WHERE num = 1");
    must_sql(db,
             "INSERT INTO progress SELECT 1 + i, epoch, host, last_seq, last_event + i * events,"
             " updated_us + i, completed_tasks, failed_tasks, skipped_tasks, waiting_tasks,"
             " steps_upto FROM progress, n, k WHERE execution = 1");
    must_sql(db, "INSERT INTO inputs SELECT 1 + i, body FROM inputs, n WHERE execution = 1");
    must_sql(db, "INSERT INTO events SELECT id + i * events, 1 + i, seq, at_us + i, kind, step,"
                 " CASE WHEN prev THEN prev + i * events ELSE 0 END, body"
                 " FROM n, events, k WHERE execution = 1 ORDER BY i, id");
    must_sql(db, "INSERT INTO steps(execution, step, node, kind, status, dependencies, description,"
                 " iteration, generation, attempt, item, started_us, completed_us, result, error,"
                 " usage, handle, content_type, meta) SELECT 1 + i, step, node, kind, status,"
                 " dependencies, description, iteration, generation, attempt, item, started_us + i,"
                 " completed_us + i, result, error, usage, handle, content_type, meta"
                 " FROM n, steps WHERE execution = 1");
    must_sql(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_close(db);
}

static double median_of(const char *const *words) {
    double times[RUNS];
    (void)work_cairn(words);
    for (int i = 0; i < RUNS; i++) {
        times[i] = work_cairn(words).seconds;
    }
    return bench_median(times, RUNS);
}

int main(void) {
    char folder[600], file[700], store[700], fresh[700];
    bench_folder(folder, sizeof folder);
    work_write_chain(folder, "flow", 10);
    snprintf(file, sizeof file, "%s/flow.yaml", folder);
    snprintf(store, sizeof store, "%s/past.db", folder);
    snprintf(fresh, sizeof fresh, "%s/fresh.db", folder);
    const char *const begin[] = {"run", file, "--quiet", "--store", store, NULL};
    const char *const other[] = {"run", file, "--quiet", "--store", fresh, NULL};
    const char *const list[] = {"list", "--store", store, NULL};
    const char *const open[] = {"results", "@last", "--store", store, NULL};
    const char *const none[] = {"expr", "1", NULL};
    (void)work_cairn(begin);
    copy_past(store);
    double ratios[RUNS];
    (void)work_cairn(other);
    for (int i = 0; i < RUNS; i++) {
        double many = work_cairn(begin).seconds;
        ratios[i] = many / work_cairn(other).seconds;
    }
    double ratio = bench_median(ratios, RUNS), list_s = median_of(list);
    double open_s = median_of(open) - median_of(none);
    printf("%d past executions, medians of %d: a new run costs %.2f of one on a fresh store (goal "
           "%.2f); list %.1f ms (goal %.0f); opening and reading one %.1f ms (goal %.0f)\n",
           PAST, RUNS, ratio, RUN_GOAL, list_s * 1e3, LIST_GOAL_S * 1e3, open_s * 1e3,
           OPEN_GOAL_S * 1e3);
    bench_remove(folder);
    bool well = bench_note("a run after a million, to one on a fresh store", ratio, "ratio",
                           RUN_GOAL, true);
    well &= bench_note("list of a million", list_s * 1e3, "ms", LIST_GOAL_S * 1e3, true);
    well &= bench_note("opening a million", open_s * 1e3, "ms", OPEN_GOAL_S * 1e3, true);
    return well ? 0 : 1;
}

/* Failure mode 15 of docs/guarantees.md: what makes SQLite safe for several processes.
 *
 * SQLite itself had defects in what two connections do to one log at the same moment. Here no two
 * ever do: every commit and every checkpoint holds byte 0 of the side file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "io/file.h"
#include "store/sqlite_priv.h"
#include "store/suite.h"

static const char *pragma(struct fixture *f, sqlite3 *db, const char *name) {
    char sql[80];
    sqlite3_stmt *st = NULL;
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    struct str text = arena_str(&f->a, str_from((const char *)sqlite3_column_text(st, 0)));
    sqlite3_finalize(st);
    return text.ptr;
}

static void failure_mode_15_settings(void **state) {
    struct fixture *f = fixture_of(state);
    struct store_change c = make_execution(f, "a");
    (void)get_num(f, c.num); /* both connections are open now */
    struct sqlite_store *s = sqlite_of(f->s);
    sqlite3 *const both[] = {s->writer.db, s->reader.db};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_non_null(both[i]);
        assert_string_equal(pragma(f, both[i], "journal_mode"), "wal");
        assert_string_equal(pragma(f, both[i], "synchronous"), "2"); /* FULL */
        assert_string_equal(pragma(f, both[i], "wal_autocheckpoint"), "0");
        assert_string_equal(pragma(f, both[i], "mmap_size"), "0");
        assert_string_equal(pragma(f, both[i], "locking_mode"), "normal");
    }
    assert_int_equal(sqlite3_threadsafe() != 0, 1);
}

static int64_t size_of(struct fixture *f, const char *suffix) {
    struct stat st;
    char path[280];
    snprintf(path, sizeof path, "%s%s", f->path, suffix);
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* As another process that writes now. */
static void hold_write_lock(struct fixture *f, struct io_lock *l) {
    char path[280];
    snprintf(path, sizeof path, "%s-lock", f->path);
    assert_ok(f, io_lock_open(l, path, &f->e));
    assert_ok(f, io_lock_take(l, 0, 0, &f->e));
}

/* So much in the log that whoever may would bring it home. */
static void fill_log(struct fixture *f) {
    struct store_change c = make_execution(f, "a");
    for (int i = 0; sqlite_of(f->s)->frames < 1500; i++) {
        assert_true(i < 3000);
        c = change_next(f, &c, 20, "word");
        assert_ok(f, commit_one(f, f->s, &c));
    }
}

static void failure_mode_15_a_checkpoint_waits_its_turn(void **state) {
    struct fixture *f = fixture_of(state);
    struct io_lock other;
    struct store_stats before, after;
    fill_log(f);
    store_stats_get(f->s, &before);
    int64_t main_bytes = size_of(f, ""), log_bytes = size_of(f, "-wal");
    hold_write_lock(f, &other);
    store_idle(f->s);
    store_stats_get(f->s, &after);
    assert_int_equal(after.checkpoints, before.checkpoints);
    store_close(f->s); /* nor does the last one that leaves */
    f->s = NULL;
    assert_int_equal(size_of(f, ""), main_bytes);
    assert_int_equal(size_of(f, "-wal"), log_bytes);
    io_lock_close(&other);
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change c = make_execution(f, "b");
    assert_true(c.num > 1);
    store_idle(f->s);
    store_stats_get(f->s, &after);
    assert_true(after.checkpoints > 0 && size_of(f, "") > main_bytes);
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
}

#define TEST(f) \
    { #f, f, suite_setup, suite_teardown, (void *)(uintptr_t) "sqlite" }

int run_sqlite_modes(void) {
    const struct CMUnitTest tests[] = {
        TEST(failure_mode_15_settings),
        TEST(failure_mode_15_a_checkpoint_waits_its_turn),
    };
    return cmocka_run_group_tests_name("sqlite failure modes", tests, NULL, NULL);
}

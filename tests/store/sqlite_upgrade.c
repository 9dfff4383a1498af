/* Stores of older formats, as they were released (tests/golden): they come up to ours whole or not
 * at all, whoever opens them and whenever that ends, and then are what a new store is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "store/suite.h"
#include "support/power.h"

static const char *const released[] = {"tests/golden/v1/cairn.db"};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f ? fixture_init(f, "sqlite") : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    fixture_fini(f);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *file) {
    struct str bytes;
    assert_ok(f, io_file_read(file, 64 << 20, &f->a, &bytes, &f->e));
    assert_ok(f, io_file_write(f->path, bytes, 0600, false, &f->e));
}

/* What a store holds, whatever its format. */
static struct str content(struct fixture *f) {
    bool first = str_is(sql_rows(f, "PRAGMA user_version"), "1");
    struct str heads = sql_rows(f, first ? "SELECT count(*), sum(last_seq), sum(last_event),"
                                           " sum(completed_tasks), sum(epoch) FROM executions"
                                         : "SELECT count(*), sum(last_seq), sum(last_event),"
                                           " sum(completed_tasks), sum(epoch) FROM progress");
    struct str rest =
        sql_rows(f, "SELECT * FROM (SELECT 'events', count(*), sum(length(body)), sum(prev) FROM"
                    " events UNION ALL SELECT 'executions', count(*), sum(total_tasks),"
                    " group_concat(id || status) FROM executions UNION ALL SELECT 'steps',"
                    " count(*), sum(attempt), sum(length(result)) FROM steps UNION ALL SELECT"
                    " 'blobs', count(*), sum(length(data)), sum(size) FROM blobs UNION ALL SELECT"
                    " 'last', seq, 0, 0 FROM sqlite_sequence WHERE name = 'executions')");
    return arena_printf(&f->a, "%.*s %.*s", STR_ARG(heads), STR_ARG(rest));
}

/* Tables column by column, since ALTER TABLE leaves another text; all else by its text. */
static struct str shape(struct fixture *f) {
    return sql_rows(f, "SELECT m.name, c.cid, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk"
                       " FROM sqlite_schema m JOIN pragma_table_info(m.name) c"
                       " WHERE m.type = 'table' UNION ALL"
                       " SELECT type, name, tbl_name, sql, 0, 0, 0 FROM sqlite_schema"
                       " WHERE type <> 'table' ORDER BY 1, 2, 3");
}

static void assert_came_up(struct fixture *f, struct str before) {
    char version[20];
    snprintf(version, sizeof version, "%d", STORE_FORMAT_VERSION);
    assert_str(sql_rows(f, "PRAGMA user_version"), version);
    assert_str(sql_rows(f, "SELECT value FROM meta WHERE key = 'format_version'"), version);
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    assert_same(content(f), before);
}

static void test_every_format_comes_up(void **state) {
    struct fixture *f = fixture_of(state);
    struct fixture fresh;
    assert_int_equal(fixture_init(&fresh, "sqlite"), 0);
    assert_ok(&fresh, store_open(fresh.url, true, &io_clock_system, &fresh.s, &fresh.e));
    for (size_t i = 0; i < ARRAY_LEN(released); i++) {
        for (int make = 0; make < 2; make++) { /* who reads and who writes */
            put(f, released[i]);
            struct str before = content(f);
            assert_ok(f, store_open(f->url, make, &io_clock_system, &f->s, &f->e));
            assert_came_up(f, before);
            assert_same(shape(f), shape(&fresh));
            make_execution(f, "new");
            store_close(f->s);
            f->s = NULL;
            assert_ok(f, io_dir_remove(f->dir, &f->e));
            assert_ok(f, io_dir_make(f->dir, 0700, &f->e));
        }
    }
    fixture_fini(&fresh);
}

/* An earlier cairn that still runs executions would stop at its next commit. */
static void test_not_under_a_living_host(void **state) {
    struct fixture *f = fixture_of(state);
    char side[300];
    struct io_lock lock;
    put(f, released[0]);
    struct str shaped = shape(f);
    sql_run(f, "INSERT INTO hosts(id, pid, hostname, registered_us, until_us)"
               " VALUES(77, 4711, 'here', 1, 1)");
    snprintf(side, sizeof side, "%s-lock", f->path);
    assert_ok(f, io_lock_open(&lock, side, &f->e));
    assert_ok(f, io_lock_take(&lock, 1000 + 77, 0, &f->e));
    for (int make = 0; make < 2; make++) {
        assert_err(f, ERR_STORE_VERSION, store_open(f->url, make, &io_clock_system, &f->s, &f->e));
        assert_says(f, "in use by process 4711");
        assert_same(shape(f), shaped);
    }
    io_lock_close(&lock);
    assert_ok(f, store_open(f->url, false, &io_clock_system, &f->s, &f->e));
    assert_str(sql_rows(f, "PRAGMA user_version"), "2");
}

/* ---- ended half way ---- */

struct cuts {
    struct fixture *f;
    struct fixture image;
    struct str before;
    uint32_t count, old;
    char wrong[1200];
};

static void cut(struct cuts *c, uint64_t seed) {
    struct fixture *f = &c->image;
    bool made = power_image(f->dir, seed);
    bool old = made && str_is(sql_rows(f, "PRAGMA user_version"), "1");
    enum err err = made ? store_open(f->url, false, &io_clock_system, &f->s, &f->e) : OK;
    store_close(f->s);
    f->s = NULL;
    bool good = made && !err && str_is(sql_rows(f, "PRAGMA user_version"), "2") &&
                str_is(sql_rows(f, "PRAGMA integrity_check"), "ok") &&
                str_eq(content(f), c->before);
    if (!good && !c->wrong[0]) {
        snprintf(c->wrong, sizeof c->wrong, "operation %llu, image %llu: %s",
                 (unsigned long long)power_steps(), (unsigned long long)seed,
                 err    ? f->e.message
                 : made ? "not what it was"
                        : "no room for an image");
    }
    c->count++;
    c->old += old;
}

static void stepped(void *ctx) {
    for (uint64_t i = 0; i < 6; i++) {
        cut(ctx, i < 2 ? i : power_steps() * 7 + i);
    }
}

static void test_ended_after_any_operation(void **state) {
    struct cuts c = {.f = fixture_of(state)};
    assert_int_equal(fixture_init(&c.image, "sqlite"), 0);
    put(c.f, released[0]);
    c.before = content(c.f);
    power_watch(c.f->dir, stepped, &c);
    enum err err = store_open(c.f->url, false, &io_clock_system, &c.f->s, &c.f->e);
    store_close(c.f->s);
    c.f->s = NULL;
    power_stop();
    assert_ok(c.f, err);
    assert_string_equal(c.wrong, "");
    assert_true(c.old > 0 && c.old < c.count); /* cuts before and after the commit */
    fixture_fini(&c.image);
}

int run_sqlite_upgrade(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_format_comes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_under_a_living_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ended_after_any_operation, setup, teardown),
    };
    return cmocka_run_group_tests_name("sqlite upgrade", tests, NULL, NULL);
}

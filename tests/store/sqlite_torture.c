/* Every write and every sync of an operation fails once, for every n: what was reported must be
 * what is in the database, at once and after it was opened again, and the store goes on working.
 */
#include <stdio.h>
#include <string.h>

#include "store/fault_vfs.h"
#include "store/suite.h"

enum { MOST = 400 };

static struct store_event *read_all(struct fixture *f, int64_t num, uint32_t *out_count) {
    struct store_event *events = NULL;
    assert_ok(f, store_read_events(f->s, (struct store_range){num, 0, 99}, &f->a, &events,
                                   out_count, &f->e));
    return events;
}

/* What the failing operation may have done, seen from outside. */
static void check_outcome(struct fixture *f, enum err got, int64_t old_num) {
    struct store_execution x;
    uint32_t count;
    read_all(f, old_num, &count);
    enum err there = store_execution_get(f->s, 0, STR("exec_b"), &f->a, &x, &f->e);
    assert_int_equal(there == OK, count == 3); /* all of the batch or nothing */
    assert_int_equal(count == 3, get_num(f, old_num).last_seq == 3);
    if (got == OK)
        assert_int_equal(count, 3);
    else if (got != ERR_STORE_UNKNOWN)
        assert_int_equal(count, 0);
}

/* One commit of a change and a new execution, with the n-th operation failing. False when there
 * is no n-th. */
static bool commit_once(enum fault_kind kind, int n, bool lasts) {
    struct fixture fixture, *f = &fixture;
    assert_int_equal(fixture_init(f, "sqlite"), 0);
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a");
    struct store_change both[] = {change_next(f, &a, 3, "w"), change_new(f, "b")};
    struct store_batch batch = {.changes = both, .count = 2};
    fault_vfs_arm(kind, n, lasts);
    enum err got = store_commit(f->s, &batch, &f->e);
    bool fired = fault_vfs_fired();
    fault_vfs_arm(kind, 0, false);
    assert_true(got == OK || got == ERR_STORE_UNKNOWN ||
                got == (kind == FAULT_WRITE_FULL ? ERR_STORE_FULL : ERR_STORE));
    assert_true(fired || got == OK);
    if (got == ERR_STORE_UNKNOWN)
        assert_true(kind != FAULT_WRITE_FULL);
    if (got != OK) {
        assert_int_equal(both[0].last_event, a.last_event);
        assert_int_equal(both[1].num, 0);
        assert_non_null(strstr(f->e.message, f->path));
    }
    check_outcome(f, got, a.num);
    reopen(f);
    check_outcome(f, got, a.num);
    struct store_execution x = get_num(f, a.num);
    struct store_change now = {.num = a.num,
                               .epoch = 1,
                               .host = -1,
                               .last_seq = x.last_seq,
                               .last_event = x.last_event,
                               .row = x.row};
    struct store_change next = change_next(f, &now, 2, "w");
    assert_ok(f, commit_one(f, f->s, &next));
    assert_false(next.fenced);
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    fixture_fini(f);
    return fired;
}

static void torture_commit(enum fault_kind kind, bool lasts) {
    int n = 1;
    while (n < MOST && commit_once(kind, n, lasts))
        n++;
    assert_true(n > 1 && n < MOST);
}

static void test_no_space(void **state) {
    (void)state;
    torture_commit(FAULT_WRITE_FULL, false);
    torture_commit(FAULT_WRITE_FULL, true);
}

static void test_failing_writes(void **state) {
    (void)state;
    torture_commit(FAULT_WRITE_IO, false);
    torture_commit(FAULT_WRITE_IO, true);
}

static void test_failing_syncs(void **state) {
    (void)state;
    torture_commit(FAULT_SYNC_IO, false);
    torture_commit(FAULT_SYNC_IO, true);
}

/* A sync that fails after the last frame was written is the case that nobody can know. */
static void test_unknown_is_told(void **state) {
    (void)state;
    struct fixture fixture, *f = &fixture;
    assert_int_equal(fixture_init(f, "sqlite"), 0);
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a");
    struct store_change next = change_next(f, &a, 1, "w");
    fault_vfs_arm(FAULT_SYNC_IO, 1, false);
    assert_err(f, ERR_STORE_UNKNOWN, commit_one(f, f->s, &next));
    assert_true(fault_vfs_fired());
    fixture_fini(f);
}

/* The small tables: an answer that was acknowledged is there, one that was refused is not. */
static bool inbox_once(enum fault_kind kind, int n) {
    struct fixture fixture, *f = &fixture;
    assert_int_equal(fixture_init(f, "sqlite"), 0);
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a");
    struct store_inbox row = {.execution = a.num, .kind = STR("k"), .key = STR("x")}, *rows;
    int64_t id = 0;
    uint32_t count;
    fault_vfs_arm(kind, n, false);
    enum err got = store_inbox_add(f->s, &row, &id, &f->e);
    bool fired = fault_vfs_fired();
    fault_vfs_arm(kind, 0, false);
    assert_ok(f, store_inbox_open(f->s, a.num, &f->a, &rows, &count, &f->e));
    if (got == OK)
        assert_int_equal(count, 1);
    else if (got != ERR_STORE_UNKNOWN)
        assert_int_equal(count, 0);
    assert_ok(f, store_inbox_add(f->s, &row, &id, &f->e)); /* again: once */
    assert_ok(f, store_inbox_open(f->s, a.num, &f->a, &rows, &count, &f->e));
    assert_int_equal(count, 1);
    fixture_fini(f);
    return fired;
}

static void test_failing_inbox(void **state) {
    (void)state;
    for (int kind = 0; kind <= FAULT_SYNC_IO; kind++) {
        int n = 1;
        while (n < MOST && inbox_once((enum fault_kind)kind, n))
            n++;
        assert_true(n > 1 && n < MOST);
    }
}

/* Making a store: it is there whole, or nothing is. */
static bool create_once(enum fault_kind kind, int n) {
    struct fixture fixture, *f = &fixture;
    assert_int_equal(fixture_init(f, "sqlite"), 0);
    fault_vfs_arm(kind, n, true);
    enum err got = store_open(f->url, true, &io_clock_system, &f->s, &f->e);
    bool fired = fault_vfs_fired();
    fault_vfs_arm(kind, 0, false);
    if (got != OK) {
        assert_int_equal(got, kind == FAULT_WRITE_FULL ? ERR_STORE_FULL : ERR_STORE);
        assert_null(f->s);
        assert_err(f, ERR_NOT_FOUND, store_open(f->url, false, &io_clock_system, &f->s, &f->e));
        assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    }
    make_execution(f, "a");
    fixture_fini(f);
    return fired;
}

static void test_failing_creation(void **state) {
    (void)state;
    for (int kind = 0; kind < FAULT_SYNC_IO; kind++) {
        int n = 1;
        while (n < MOST && create_once((enum fault_kind)kind, n))
            n++;
        assert_true(n > 1 && n < MOST);
    }
}

static struct store_change large_change(struct fixture *f, const struct store_change *before) {
    enum { LARGE = 5000000 };
    struct store_change c = change_next(f, before, 1, "w");
    char *body = arena_alloc(&f->a, LARGE);
    memset(body, 'b', LARGE);
    ((struct store_event *)(uintptr_t)c.events)->body = (struct str){body, LARGE};
    return c;
}

/* A checkpoint that fails loses nothing; closing then is no failure either. */
static bool checkpoint_once(enum fault_kind kind, int n, bool closing) {
    struct fixture fixture, *f = &fixture;
    assert_int_equal(fixture_init(f, "sqlite"), 0);
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a");
    struct store_change next = large_change(f, &a);
    assert_ok(f, commit_one(f, f->s, &next));
    fault_vfs_arm(kind, n, false);
    if (closing) {
        store_close(f->s);
        f->s = NULL;
    } else {
        store_idle(f->s);
    }
    bool fired = fault_vfs_fired();
    fault_vfs_arm(kind, 0, false);
    if (closing)
        assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change last = change_next(f, &next, 1, "w");
    assert_ok(f, commit_one(f, f->s, &last));
    assert_false(last.fenced);
    reopen(f);
    uint32_t count;
    struct store_event *events = read_all(f, a.num, &count);
    assert_int_equal(count, 2);
    assert_int_equal(events[0].body.len, 5000000);
    fixture_fini(f);
    return fired;
}

static void test_failing_checkpoint(void **state) {
    (void)state;
    static const int steps[] = {1, 2, 3, 50, 500, 1200};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        bool first = checkpoint_once(FAULT_WRITE_IO, steps[i], false);
        bool second = checkpoint_once(FAULT_WRITE_FULL, steps[i], true);
        bool third = checkpoint_once(FAULT_SYNC_IO, steps[i], i % 2);
        if (i == 0)
            assert_true(first && second && third);
    }
}

static int group_setup(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

static int group_teardown(void **state) {
    (void)state;
    fault_vfs_remove();
    return 0;
}

int run_sqlite_torture(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_space),           cmocka_unit_test(test_failing_writes),
        cmocka_unit_test(test_failing_syncs),      cmocka_unit_test(test_unknown_is_told),
        cmocka_unit_test(test_failing_inbox),      cmocka_unit_test(test_failing_creation),
        cmocka_unit_test(test_failing_checkpoint),
    };
    return cmocka_run_group_tests_name("sqlite torture", tests, group_setup, group_teardown);
}

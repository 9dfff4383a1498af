/* The store that fails on demand, over every backend; and opening by URL. */
#include <stdio.h>
#include <string.h>

#include "store/faults.h"
#include "store/suite.h"

struct plan {
    enum store_fault next;
    int asked[STORE_WRITE_KINDS + 1];
};

static enum store_fault ask(void *ctx, enum store_write what) {
    struct plan *p = ctx;
    p->asked[what]++;
    return p->next;
}

static struct store *faulty(struct fixture *f, struct plan *p) {
    struct store *s = NULL;
    struct store_faults faults = {ask, p};
    assert_ok(f, store_faulty_open(f->s, &faults, &s, &f->e));
    return s;
}

static void test_commit_fails_before(void **state) {
    struct fixture *f = fixture_of(state);
    struct plan p = {STORE_FAULT_BEFORE, {0}};
    struct store *s = faulty(f, &p);
    struct store_change a = make_execution(f, "a");
    struct store_change both[] = {change_next(f, &a, 2, "w"), change_new(f, "b")};
    struct store_batch batch = {.changes = both, .count = 2};
    assert_err(f, ERR_STORE, store_commit(s, &batch, &f->e));
    assert_events(f, a.num, 0, "w");
    assert_int_equal(both[0].last_event, a.last_event);
    assert_int_equal(both[1].num, 0);
    p.next = STORE_FAULT_NONE;
    assert_ok(f, store_commit(s, &batch, &f->e)); /* the same batch again */
    assert_events(f, a.num, 2, "w");
    assert_true(both[1].num > 0);
    assert_int_equal(p.asked[STORE_WRITE_COMMIT], 2);
    store_close(s);
}

static void test_commit_fails_after(void **state) {
    struct fixture *f = fixture_of(state);
    struct plan p = {STORE_FAULT_AFTER, {0}};
    struct store *s = faulty(f, &p);
    struct store_change a = make_execution(f, "a");
    struct store_change both[] = {change_next(f, &a, 2, "w"), change_new(f, "b")};
    struct store_batch batch = {.changes = both, .count = 2};
    assert_err(f, ERR_STORE_UNKNOWN, store_commit(s, &batch, &f->e));
    assert_int_equal(both[0].last_event, a.last_event);
    assert_int_equal(both[1].num, 0);
    assert_events(f, a.num, 2, "w"); /* it is there */
    p.next = STORE_FAULT_NONE;
    assert_ok(f, store_commit(s, &batch, &f->e));
    assert_true(both[0].fenced && both[1].fenced); /* and not written twice */
    assert_events(f, a.num, 2, "w");
    store_close(s);
}

static void test_other_writes_fail(void **state) {
    struct fixture *f = fixture_of(state);
    struct plan p = {STORE_FAULT_BEFORE, {0}};
    struct store *s = faulty(f, &p);
    struct store_change a = make_execution(f, "a");
    struct store_inbox row = {.execution = a.num, .kind = STR("k"), .key = STR("x")}, *rows;
    struct str got;
    int64_t id = -1;
    uint32_t count;
    assert_err(f, ERR_STORE, store_blob_put(s, STR("h"), STR("bytes"), &f->e));
    assert_err(f, ERR_STORE, store_workflow_put(s, STR("h"), STR("n"), STR("b"), &f->e));
    assert_err(f, ERR_STORE, store_inbox_add(s, &row, &id, &f->e));
    assert_err(f, ERR_STORE, store_host_register(s, 1, STR("box"), &id, &f->e));
    assert_err(f, ERR_NOT_FOUND, store_blob_get(s, STR("h"), &f->a, &got, &f->e));
    assert_err(f, ERR_NOT_FOUND, store_workflow_get(s, STR("h"), &f->a, &got, &f->e));
    p.next = STORE_FAULT_AFTER;
    assert_err(f, ERR_STORE_UNKNOWN, store_blob_put(s, STR("h"), STR("bytes"), &f->e));
    assert_err(f, ERR_STORE_UNKNOWN, store_inbox_add(s, &row, &id, &f->e));
    assert_int_equal(id, -1);
    assert_ok(f, store_blob_get(s, STR("h"), &f->a, &got, &f->e));
    assert_str(got, "bytes");
    assert_ok(f, store_inbox_open(s, a.num, &f->a, &rows, &count, &f->e));
    assert_int_equal(count, 1);
    p.next = STORE_FAULT_NONE;
    assert_ok(f, store_inbox_add(s, &row, &id, &f->e));
    assert_int_equal(id, rows[0].id);
    store_close(s);
}

static void test_sweeps_fail(void **state) {
    struct fixture *f = fixture_of(state);
    struct plan p = {STORE_FAULT_BEFORE, {0}};
    struct store *s = faulty(f, &p), *other = second_handle(f);
    struct store_host *rows;
    int64_t id;
    uint32_t gone = 99, count;
    assert_ok(f, store_host_register(other, 1, STR("box"), &id, &f->e));
    store_close(other);
    assert_err(f, ERR_STORE, store_hosts_sweep(s, &gone, &f->e));
    assert_ok(f, store_host_list(s, &f->a, &rows, &count, &f->e));
    assert_int_equal(count, 1);
    p.next = STORE_FAULT_AFTER;
    assert_err(f, ERR_STORE_UNKNOWN, store_hosts_sweep(s, &gone, &f->e));
    assert_int_equal(gone, 99);
    assert_ok(f, store_host_list(s, &f->a, &rows, &count, &f->e));
    assert_int_equal(count, 0);
    p.next = STORE_FAULT_NONE;
    assert_ok(f, store_hosts_sweep(s, &gone, &f->e));
    assert_int_equal(gone, 0);
    store_close(s);
}

static void test_reads_go_through(void **state) {
    struct fixture *f = fixture_of(state);
    struct plan p = {STORE_FAULT_NONE, {0}};
    struct store *s = faulty(f, &p);
    struct store_change a = make_execution(f, "a");
    struct store_execution x, *rows;
    struct store_event *events;
    struct store_step *steps;
    struct store_message *messages;
    struct str ids[STORE_FIND_MAX];
    uint32_t count;
    struct store_filter filter = {.limit = 5};
    assert_ok(f, store_execution_get(s, a.num, STR(""), &f->a, &x, &f->e));
    assert_ok(f, store_execution_find(s, STR("exec_"), &f->a, ids, &count, &f->e));
    assert_int_equal(count, 1);
    assert_ok(f, store_execution_find(s, STR("@last"), &f->a, ids, &count, &f->e));
    assert_int_equal(count, 1);
    assert_ok(f, store_execution_list(s, &filter, &f->a, &rows, &count, &f->e));
    assert_int_equal(count, 1);
    assert_ok(
        f, store_read_events(s, (struct store_range){a.num, 0, 9}, &f->a, &events, &count, &f->e));
    assert_ok(f, store_steps_read(s, a.num, &f->a, &steps, &count, &f->e));
    assert_ok(f, store_messages_read(s, a.num, &f->a, &messages, &count, &f->e));
    assert_int_equal(count, 0);
    store_idle(s);
    store_close(s);
}

static void test_urls(void **state) {
    struct fixture *f = fixture_of(state);
    struct store *s = NULL;
    assert_err(f, ERR_INVALID, store_open("postgres://x", true, &io_clock_system, &s, &f->e));
    assert_says(f, "postgres");
    assert_says(f, "sqlite, memory");
    assert_err(f, ERR_INVALID, store_open("", true, &io_clock_system, &s, &f->e));
    assert_err(f, ERR_INVALID, store_open("sqlite:", true, &io_clock_system, &s, &f->e));
    assert_err(f, ERR_INVALID, store_open("memory:x", true, &io_clock_system, &s, &f->e));
    assert_null(s);
    store_close(NULL);
}

int run_faulty(const char *scheme) {
    char group[40];
    snprintf(group, sizeof group, "faulty %s", scheme);
    const struct CMUnitTest tests[] = {
        SUITE_TEST(test_commit_fails_before), SUITE_TEST(test_commit_fails_after),
        SUITE_TEST(test_other_writes_fail),   SUITE_TEST(test_sweeps_fail),
        SUITE_TEST(test_reads_go_through),    SUITE_TEST(test_urls),
    };
    return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}

/* Databases that are damaged or cannot grow: never a crash, never a wrong answer, always a message
 * that says what to do.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/suite.h"

/* A closed store whose whole content is in the database file: executions 1 and 2, 40 events. */
static void make_settled(struct fixture *f) {
    struct store_change a = make_execution(f, "a"), b = make_execution(f, "b");
    for (int i = 0; i < 20; i++) {
        struct store_change both[] = {change_next(f, &a, 1, "w"), change_next(f, &b, 1, "w")};
        struct store_batch batch = {.changes = both, .count = 2};
        assert_ok(f, store_commit(f->s, &batch, &f->e));
        a = both[0];
        b = both[1];
    }
    assert_ok(f, store_blob_put(f->s, STR("h"), STR("some bytes of a blob"), &f->e));
    assert_ok(f, store_workflow_put(f->s, STR("h"), STR("n"), STR("some workflow"), &f->e));
    store_close(f->s);
    f->s = NULL;
    sql_run(f, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void open_again(struct fixture *f) {
    assert_ok(f, store_open(f->url, false, &io_clock_system, &f->s, &f->e));
}

static enum err read_all(struct fixture *f, int64_t num) {
    struct store_event *events;
    uint32_t count;
    return store_read_events(f->s, (struct store_range){num, 0, UINT64_MAX}, &f->a, &events, &count,
                             &f->e);
}

static void scribble(struct fixture *f, off_t at, size_t len) {
    char noise[4096];
    memset(noise, 0xA5, sizeof noise);
    int fd = open(f->path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, noise, len, at) == (ssize_t)len && close(fd) == 0);
}

static void test_corrupt_page(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    struct str root = sql_rows(f, "SELECT rootpage FROM sqlite_schema WHERE name = 'events'");
    uint64_t page = 0;
    assert_true(str_to_uint64(root, &page));
    scribble(f, (off_t)(page - 1) * 4096, 4096);
    open_again(f);
    struct store_execution x;
    assert_ok(f, store_execution_get(f->s, 1, STR(""), &f->a, &x, &f->e)); /* not touched */
    assert_err(f, ERR_CORRUPT, read_all(f, 1));
    assert_says(f, f->path);
    assert_says(f, ".recover");
    struct store_change next = {.num = 1,
                                .epoch = 1,
                                .host = -1,
                                .last_seq = x.last_seq,
                                .last_event = x.last_event,
                                .row = x.row};
    struct store_change more = change_next(f, &next, 1, "w");
    assert_err(f, ERR_CORRUPT, commit_one(f, f->s, &more));
    assert_ok(f, store_execution_get(f->s, 1, STR(""), &f->a, &x, &f->e));
    assert_int_equal(x.last_seq, 20);
}

static void test_corrupt_first_page(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    scribble(f, 100, 3000);
    enum err got = store_open(f->url, true, &io_clock_system, &f->s, &f->e);
    if (got == OK)
        got = read_all(f, 1);
    assert_int_equal(got, ERR_CORRUPT);
}

static void test_cut_file(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    assert_int_equal(truncate(f->path, 3 * 4096), 0);
    enum err got = store_open(f->url, true, &io_clock_system, &f->s, &f->e);
    if (got == OK)
        got = read_all(f, 1);
    assert_int_equal(got, ERR_CORRUPT);
}

static void test_broken_chain(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    sql_run(f, "DELETE FROM events WHERE execution = 1 AND seq = 7");
    open_again(f);
    assert_err(f, ERR_CORRUPT, read_all(f, 1));
    assert_says(f, "event 7 of execution 1");
    assert_ok(f, read_all(f, 2));
    struct store_event *events;
    uint32_t count;
    assert_ok(
        f, store_read_events(f->s, (struct store_range){1, 7, 99}, &f->a, &events, &count, &f->e));
    assert_int_equal(count, 13);
    sql_run(f, "UPDATE events SET prev = (SELECT id FROM events WHERE execution = 2 AND seq = 5)"
               " WHERE execution = 2 AND seq = 7");
    assert_err(f, ERR_CORRUPT, read_all(f, 2)); /* a link is left out */
    assert_says(f, "event 6 of execution 2");
}

static void test_chain_of_another(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    sql_run(f, "UPDATE progress SET last_event ="
               " (SELECT last_event FROM progress WHERE execution = 1) WHERE execution = 2");
    open_again(f);
    assert_ok(f, read_all(f, 1));
    assert_err(f, ERR_CORRUPT, read_all(f, 2));
    assert_says(f, "event 20 of execution 2");
}

static void test_rotten_blob(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    sql_run(f, "UPDATE blobs SET data = substr(data, 1, 12) || x'00' || substr(data, 14)");
    sql_run(f, "UPDATE workflows SET bundle = x'00'");
    open_again(f);
    struct str got = STR("kept");
    assert_err(f, ERR_CORRUPT, store_blob_get(f->s, STR("h"), &f->a, &got, &f->e));
    assert_err(f, ERR_CORRUPT, store_workflow_get(f->s, STR("h"), &f->a, &got, &f->e));
    assert_str(got, "kept");
    sql_run(f, "UPDATE blobs SET size = 5");
    assert_err(f, ERR_CORRUPT, store_blob_get(f->s, STR("h"), &f->a, &got, &f->e));
}

static void test_missing_table(void **state) {
    struct fixture *f = fixture_of(state);
    make_settled(f);
    sql_run(f, "DROP TABLE messages");
    open_again(f);
    struct store_message *rows;
    uint32_t count;
    assert_err(f, ERR_STORE, store_messages_read(f->s, 1, &f->a, &rows, &count, &f->e));
    assert_says(f, "no such table: messages");
}

/* --- no space --- */

/* Commits events until one fails; the number of commits that went through. */
static uint32_t fill_up(struct fixture *f, struct store_change *c, enum err *out) {
    for (uint32_t done = 0;; done++) {
        struct store_change next = change_next(f, c, 1, "w");
        char *body = arena_alloc(&f->a, 9000);
        memset(body, 'b', 9000);
        ((struct store_event *)(uintptr_t)next.events)->body = (struct str){body, 9000};
        *out = commit_one(f, f->s, &next);
        if (*out != OK || done > 3000)
            return done;
        *c = next;
    }
}

/* After a commit that failed: nothing of it is there, what was acknowledged is. */
static bool is_intact(struct fixture *f, const struct store_change *c) {
    struct store_execution x;
    enum err got = store_execution_get(f->s, c->num, STR(""), &f->a, &x, &f->e);
    return got == OK && x.last_seq == c->last_seq + c->event_count && read_all(f, c->num) == OK;
}

static bool limited(struct fixture *f, void *arg) {
    (void)arg;
    struct rlimit limit, small;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 600 * 1024;
    struct store_change c = change_new(f, "a");
    child_ok(f, commit_one(f, f->s, &c));
    setrlimit(RLIMIT_FSIZE, &small);
    enum err got;
    uint32_t done = fill_up(f, &c, &got);
    bool good = done > 10 && got == ERR_STORE_FULL && strstr(f->e.message, "cannot grow") &&
                strstr(f->e.message, "nothing was recorded");
    if (!good)
        fprintf(stderr, "# after %u commits: %s: %s\n", done, err_name(got), f->e.message);
    good = good && is_intact(f, &c);
    setrlimit(RLIMIT_FSIZE, &limit);
    struct store_change next = change_next(f, &c, 1, "w");
    child_ok(f, commit_one(f, f->s, &next)); /* goes on as if nothing had been */
    return good && !next.fenced && is_intact(f, &next);
}

static void test_file_size_limit(void **state) {
    struct fixture *f = fixture_of(state);
    store_close(f->s);
    f->s = NULL;
    assert_true(child_wait(child_start(f, limited, NULL)));
    open_again(f);
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
}

enum { NO_MOUNT = 77 };

/* In a mount namespace of its own, on a file system of 1 MB. */
static int full_disk(struct fixture *f) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("cairn-test", f->dir, "tmpfs", 0, "size=1m,mode=0700") != 0)
        return NO_MOUNT;
    child_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change c = change_new(f, "a");
    child_ok(f, commit_one(f, f->s, &c));
    enum err got;
    uint32_t done = fill_up(f, &c, &got);
    bool good = done > 10 && got == ERR_STORE_FULL && strstr(f->e.message, "no space left");
    if (!good)
        fprintf(stderr, "# after %u commits: %s: %s\n", done, err_name(got), f->e.message);
    good = good && is_intact(f, &c);
    store_close(f->s);
    f->s = NULL;
    child_ok(f, store_open(f->url, false, &io_clock_system, &f->s, &f->e));
    good = good && is_intact(f, &c);
    store_close(f->s);
    snprintf(f->url, sizeof f->url, "%s/second.db", f->dir); /* no room for a new store */
    good = good && store_open(f->url, true, &io_clock_system, &f->s, &f->e) == ERR_STORE_FULL;
    snprintf(f->path, sizeof f->path, "%s/second.db", f->dir);
    return good && access(f->path, F_OK) != 0 ? 0 : 1;
}

static void test_full_disk(void **state) {
    struct fixture *f = fixture_of(state);
    store_close(f->s);
    f->s = NULL;
    fflush(NULL);
    int status, pid = fork();
    if (pid == 0) {
        int code = full_disk(f);
        fflush(NULL);
        _exit(code);
    }
    if (!child_wait_status(pid, &status))
        fail_msg("the child was killed");
    if (status == NO_MOUNT) {
        print_message("# no right to mount a small file system here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

#define TEST(name)                                                              \
    cmocka_unit_test_prestate_setup_teardown(name, suite_setup, suite_teardown, \
                                             (void *)(uintptr_t) "sqlite")

int run_sqlite_damage(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_corrupt_page),  TEST(test_corrupt_first_page), TEST(test_cut_file),
        TEST(test_broken_chain),  TEST(test_chain_of_another),   TEST(test_rotten_blob),
        TEST(test_missing_table), TEST(test_file_size_limit),    TEST(test_full_disk),
    };
    return cmocka_run_group_tests_name("sqlite damage", tests, NULL, NULL);
}

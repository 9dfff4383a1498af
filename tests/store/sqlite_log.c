/* The size of the log under the two things that keep it from starting anew: readers that come and
 * go all the time, and one that does not let go.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_priv.h"
#include "store/suite.h"

enum { WRITERS = 3, POLLERS = 3, COMMITS = 130, PAGES = 100 };

#if defined(__SANITIZE_THREAD__)
enum { SLOWNESS = 3 }; /* reads take so much longer beside writes, which SQLite's own code does */
#else
enum { SLOWNESS = 1 };
#endif
/* 16,000 pages, at which writers wait for readers, a commit of each, and the zeros ahead. */
static const off_t BUSY_LOG_MOST = (off_t)(16000 + 2000) * SQLITE_FRAME_BYTES * SLOWNESS;
/* 8,000 pages, a commit, the zeros ahead. */
static const off_t USUAL_LOG_MOST = 38 << 20;

struct traffic {
    atomic_int ready, ended, looks;
};

static struct traffic *traffic;

static int setup_log(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    traffic =
        mmap(NULL, sizeof *traffic, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return f && traffic != MAP_FAILED ? fixture_init(f, "sqlite") : -1;
}

static int teardown_log(void **state) {
    struct fixture *f = *state;
    munmap(traffic, sizeof *traffic);
    fixture_fini(f);
    free(f);
    return 0;
}

static off_t log_size(struct fixture *f) {
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", f->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* A change whose one event takes so many pages. */
static enum err commit_pages(struct fixture *f, struct store_change *c, int pages) {
    size_t bytes = (size_t)pages * 4096;
    char *body = calloc(1, bytes);
    struct store_change next = change_next(f, c, 1, "w");
    ((struct store_event *)(uintptr_t)next.events)->body = (struct str){body, bytes};
    enum err err = commit_one(f, f->s, &next);
    if (err == OK) {
        *c = next;
    }
    free(body);
    return err;
}

/* --- readers that come and go --- */

static bool write_pages(struct fixture *f, void *arg) {
    char name[20];
    snprintf(name, sizeof name, "w%d", *(int *)arg);
    struct store_change c = change_new(f, name);
    store_patience(f->s, 60000); /* a slow machine is no reason to give up */
    child_ok(f, commit_one(f, f->s, &c));
    for (int i = 0; i < COMMITS; i++) {
        child_ok(f, commit_pages(f, &c, PAGES));
        arena_reset(&f->a);
    }
    atomic_fetch_add(&traffic->ended, 1);
    return true;
}

static bool poll_always(struct fixture *f, void *arg) {
    (void)arg;
    struct store_filter filter = {.limit = 50};
    struct store_execution *rows;
    struct store_event *events;
    uint32_t count, event_count;
    atomic_fetch_add(&traffic->ready, 1);
    while (atomic_load(&traffic->ended) < WRITERS) {
        child_ok(f, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
        for (uint32_t i = 0; i < count; i++) {
            uint64_t seq = rows[i].last_seq;
            struct store_range newest = {rows[i].num, seq > 5 ? seq - 5 : 0, seq};
            child_ok(f, store_read_events(f->s, newest, &f->a, &events, &event_count, &f->e));
        }
        arena_reset(&f->a);
        atomic_fetch_add(&traffic->looks, 1);
    }
    return true;
}

static void test_the_log_is_bounded_under_traffic(void **state) {
    struct fixture *f = fixture_of(state);
    int pids[WRITERS + POLLERS], names[WRITERS], count = 0;
    bool good = true;
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    store_close(f->s);
    f->s = NULL;
    for (int i = 0; i < POLLERS; i++) {
        pids[count++] = child_start(f, poll_always, NULL);
    }
    for (int i = 0; i < WRITERS; i++) {
        names[i] = i;
        pids[count++] = child_start(f, write_pages, &names[i]);
    }
    off_t most = 0;
    int64_t end_ms = io_clock_system.mono(NULL).ns / 1000000 + 120000;
    while (atomic_load(&traffic->ended) < WRITERS &&
           io_clock_system.mono(NULL).ns / 1000000 < end_ms) {
        most = log_size(f) > most ? log_size(f) : most;
        usleep(1000);
    }
    while (count > 0) {
        good = child_wait(pids[--count]) && good;
        if (count == POLLERS) {
            atomic_store(&traffic->ended, WRITERS); /* also when one has failed */
        }
    }
    assert_true(good);
    print_message("# %d pages by %d writers, %d looks: the log had at most %.1f MB\n",
                  WRITERS * COMMITS * PAGES, WRITERS, atomic_load(&traffic->looks),
                  (double)most / (1 << 20));
    assert_true(most < BUSY_LOG_MOST);
    assert_true(atomic_load(&traffic->looks) > 10);
}

/* --- one that does not let go --- */

struct logged {
    char text[400];
    enum store_health health;
};

static void keep_log(void *ctx, const struct store_finding *found) {
    struct logged *l = ctx;
    if (strcmp(found->check, "log") == 0) {
        snprintf(l->text, sizeof l->text, "%.*s", STR_ARG(found->text));
        l->health = found->health;
    }
}

static void check_log(struct fixture *f, struct logged *l) {
    *l = (struct logged){0};
    assert_ok(f, store_check(f->s, keep_log, l, &f->e));
}

/* A foreign program with a snapshot, in a process of its own; ends when killed. */
static bool hold_snapshot(struct fixture *f, void *arg) {
    (void)arg;
    store_close(f->s);
    f->s = NULL;
    sqlite3 *db = NULL;
    bool good = sqlite3_open(f->path, &db) == SQLITE_OK &&
                sqlite3_exec(db, "BEGIN; SELECT * FROM executions", NULL, NULL, NULL) == SQLITE_OK;
    atomic_fetch_add(&traffic->ready, good ? 1 : 2);
    while (good) {
        pause();
    }
    return false;
}

/* It makes the log grow, but stops nobody; who checks is told who it is; when it has gone, the log
 * starts anew and has its usual size again. */
static void test_a_held_snapshot_is_told_and_survived(void **state) {
    struct fixture *f = fixture_of(state);
    struct logged l;
    char who[60];
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    store_close(f->s);
    f->s = NULL;
    int pid = child_start(f, hold_snapshot, NULL);
    while (!atomic_load(&traffic->ready)) {
        usleep(500);
    }
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a");
    check_log(f, &l);
    assert_int_equal(l.health, STORE_SOUND); /* it is not large yet */
    for (int i = 0; i < 220; i++) {
        assert_ok(f, commit_pages(f, &a, PAGES));
    }
    off_t grown = log_size(f);
    assert_true(grown > (off_t)22000 * 4096);
    check_log(f, &l);
    assert_int_equal(l.health, STORE_WARNING);
    snprintf(who, sizeof who, "process %d (store-suite) has been reading", pid);
    if (!strstr(l.text, who))
        fail_msg("%s does not say %s", l.text, who);
    kill(pid, SIGKILL);
    assert_false(child_wait(pid));
    check_log(f, &l);
    assert_int_equal(l.health, STORE_WARNING);
    assert_non_null(strstr(l.text, "cut back by the next commits"));
    for (int i = 0; i < 15; i++) {
        assert_ok(f, commit_pages(f, &a, PAGES));
    }
    assert_true(log_size(f) < USUAL_LOG_MOST);
    check_log(f, &l);
    assert_int_equal(l.health, STORE_SOUND);
    assert_int_equal(get_num(f, a.num).last_seq, a.last_seq + a.event_count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_log, teardown_log)

int run_sqlite_log(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_log_is_bounded_under_traffic),
        TEST(test_a_held_snapshot_is_told_and_survived),
    };
    return cmocka_run_group_tests_name("sqlite log", tests, NULL, NULL);
}

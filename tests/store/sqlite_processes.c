/* Several processes on one database: turns, liveness, kill -9, and the size of the log. Parents
 * and children talk through shared memory; nobody sleeps for a time and hopes.
 */
#include <sched.h>
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

struct shared {
    atomic_int ready;   /* children that are */
    atomic_int go;      /* they may start, or end */
    atomic_int done[8]; /* commits of each */
    atomic_int most[8]; /* when that one was through, the other had done so many */
    atomic_int worst_ms;
};

static struct shared *shared;

static int setup_shared(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return f && shared != MAP_FAILED ? fixture_init(f, "sqlite") : -1;
}

static int teardown_shared(void **state) {
    struct fixture *f = *state;
    munmap(shared, sizeof *shared);
    fixture_fini(f);
    free(f);
    return 0;
}

/* False when it takes a minute: somebody died. */
static bool reaches(atomic_int *what, int value) {
    int64_t start = io_clock_system.mono(NULL).ns;
    while (atomic_load(what) < value) {
        if (io_clock_system.mono(NULL).ns - start > INT64_C(60000000000))
            return false;
        sched_yield();
    }
    return true;
}

static void open_here(struct fixture *f) {
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
}

static void make_and_close(struct fixture *f) {
    open_here(f);
    store_close(f->s);
    f->s = NULL;
}

static int64_t now_ms(void) { return io_clock_system.mono(NULL).ns / 1000000; }

/* --- two writers and a reader --- */

enum { COMMITS = 2000 };

static void note_wait(int64_t ms) {
    int seen = atomic_load(&shared->worst_ms);
    while (ms > seen && !atomic_compare_exchange_weak(&shared->worst_ms, &seen, (int)ms)) {}
}

static bool write_many(struct fixture *f, void *arg) {
    int me = *(int *)arg;
    char name[20];
    snprintf(name, sizeof name, "writer%d", me);
    struct store_change c = change_new(f, name);
    child_ok(f, commit_one(f, f->s, &c));
    atomic_fetch_add(&shared->ready, 1);
    if (!reaches(&shared->ready, 2))
        return false;
    for (int i = 0; i < COMMITS; i++) {
        struct store_change next = change_next(f, &c, 1, name);
        int64_t start = now_ms();
        child_ok(f, commit_one(f, f->s, &next));
        note_wait(now_ms() - start);
        if (next.fenced)
            return false;
        c = next;
        atomic_fetch_add(&shared->done[me], 1);
    }
    atomic_store(&shared->most[me], atomic_load(&shared->done[1 - me]));
    return true;
}

/* Looks again and again; whatever it sees must be whole. */
static bool read_along(struct fixture *f, void *arg) {
    (void)arg;
    uint32_t looks = 0;
    while (atomic_load(&shared->done[0]) < COMMITS || atomic_load(&shared->done[1]) < COMMITS) {
        struct store_filter filter = {.limit = 10};
        struct store_execution *rows;
        uint32_t count, events;
        struct store_event *got;
        child_ok(f, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e));
        for (uint32_t i = 0; i < count; i++) {
            uint64_t seq = rows[i].last_seq, from = seq > 5 ? seq - 5 : 0;
            child_ok(f, store_read_events(f->s, (struct store_range){rows[i].num, from, seq}, &f->a,
                                          &got, &events, &f->e));
            if (events != seq - from)
                return false;
        }
        arena_reset(&f->a);
        looks++;
        sched_yield();
    }
    return looks > 10;
}

static void test_two_writers_take_turns(void **state) {
    struct fixture *f = fixture_of(state);
    int zero = 0, one = 1;
    make_and_close(f);
    int pids[] = {child_start(f, write_many, &zero), child_start(f, write_many, &one),
                  child_start(f, read_along, NULL)};
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        good = child_wait(pids[i]) && good;
    assert_true(good);
    print_message("# the first writer ended when the other had done %d and %d of %d; "
                  "longest commit %d ms\n",
                  atomic_load(&shared->most[0]), atomic_load(&shared->most[1]), COMMITS,
                  atomic_load(&shared->worst_ms));
    int least = atomic_load(&shared->most[0]) < atomic_load(&shared->most[1])
                    ? atomic_load(&shared->most[0])
                    : atomic_load(&shared->most[1]);
    assert_true(least > COMMITS / 2);
    assert_true(atomic_load(&shared->worst_ms) < 2000);
    open_here(f);
    struct store_execution x;
    for (int i = 0; i < 2; i++) {
        assert_ok(f, store_execution_get(f->s, 0, i ? STR("exec_writer1") : STR("exec_writer0"),
                                         &f->a, &x, &f->e));
        assert_events(f, x.num, COMMITS, i ? "writer1" : "writer0");
    }
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
}

/* --- making one store at once --- */

static bool make_one(struct fixture *f, void *arg) {
    char name[20];
    snprintf(name, sizeof name, "%d", *(int *)arg);
    struct store_change c = change_new(f, name);
    child_ok(f, commit_one(f, f->s, &c));
    return !c.fenced;
}

static void test_many_make_one_store(void **state) {
    struct fixture *f = fixture_of(state);
    enum { CHILDREN = 6, ROUNDS = 4 };
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(f->path, sizeof f->path, "%s/%d/cairn.db", f->dir, round);
        snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
        int pids[CHILDREN], names[CHILDREN];
        for (int i = 0; i < CHILDREN; i++) {
            names[i] = i;
            pids[i] = child_start(f, make_one, &names[i]);
        }
        bool good = true;
        for (int i = 0; i < CHILDREN; i++)
            good = child_wait(pids[i]) && good;
        assert_true(good);
        assert_str(sql_rows(f, "SELECT count(*) FROM executions"), "6");
        assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    }
}

/* --- kill -9 --- */

static bool write_for_ever(struct fixture *f, void *arg) {
    int64_t num = *(int64_t *)arg;
    struct store_execution x;
    child_ok(f, store_execution_get(f->s, num, STR(""), &f->a, &x, &f->e));
    struct store_change c = {.num = num,
                             .epoch = 1,
                             .host = -1,
                             .last_seq = x.last_seq,
                             .last_event = x.last_event,
                             .row = x.row};
    while (!atomic_load(&shared->go)) {
        struct store_change next = change_next(f, &c, 7, "w");
        child_ok(f, commit_one(f, f->s, &next));
        c = next;
        atomic_store(&shared->done[0], (int)(c.last_seq + c.event_count));
        if (c.last_seq % 50 == 0)
            store_idle(f->s);
    }
    return false;
}

static void test_killed_writers_lose_nothing(void **state) {
    struct fixture *f = fixture_of(state);
    open_here(f);
    struct store_change a = make_execution(f, "a");
    store_close(f->s);
    f->s = NULL;
    for (int round = 0; round < 8; round++) {
        int base = atomic_load(&shared->done[0]);
        int pid = child_start(f, write_for_ever, &a.num);
        bool wrote = reaches(&shared->done[0], base + 100 + round * 37);
        kill(pid, SIGKILL);
        assert_false(child_wait(pid));
        assert_true(wrote);
        int acknowledged = atomic_load(&shared->done[0]);
        open_here(f);
        struct store_execution x = get_num(f, a.num);
        assert_true(x.last_seq >= (uint64_t)acknowledged);
        assert_true(x.last_seq <= (uint64_t)acknowledged + 7);
        assert_events(f, a.num, (uint32_t)x.last_seq, "w");
        store_close(f->s);
        f->s = NULL;
        atomic_store(&shared->done[0], (int)x.last_seq);
    }
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
}

/* --- waiting for somebody who holds the store --- */

static bool hold_lock(struct fixture *f, void *arg) {
    (void)arg;
    struct sqlite_store *s = (struct sqlite_store *)f->s;
    child_ok(f, sqlite_lock_take(s, SQLITE_WAIT_MS, &f->e)); /* no lock of SQLite's yet */
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go))
        usleep(1000);
    sqlite_lock_release(s);
    return true;
}

static bool hold_foreign(struct fixture *f, void *arg) {
    (void)arg;
    store_close(f->s);
    f->s = NULL;
    sqlite3 *db = NULL;
    bool good = sqlite3_open(f->path, &db) == SQLITE_OK &&
                sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go))
        usleep(1000);
    sqlite3_close(db);
    return good;
}

/* Run in a child beside the holder: says who it is, waits five seconds, and no longer. */
static bool is_told(struct fixture *f, void *arg) {
    char who[40];
    snprintf(who, sizeof who, "process %d (", *(int *)arg);
    struct store_change c = change_new(f, "late");
    int64_t start = now_ms();
    enum err got = commit_one(f, f->s, &c);
    int64_t waited = now_ms() - start;
    bool good = got == ERR_STORE_BUSY && strstr(f->e.message, who) &&
                !strstr(f->e.message, "locked") && waited >= 4900 && waited < 8000 && c.num == 0;
    if (!good)
        fprintf(stderr, "# %s after %lld ms: %s (wanted %s)\n", err_name(got), (long long)waited,
                f->e.message, who);
    struct store_execution *rows;
    uint32_t count;
    struct store_filter filter = {.limit = 1};
    child_ok(f, store_execution_list(f->s, &filter, &f->a, &rows, &count, &f->e)); /* may read */
    atomic_fetch_add(&shared->done[0], 1);
    while (!atomic_load(&shared->go))
        usleep(1000);
    child_ok(f, commit_one(f, f->s, &c)); /* once the way is free */
    return good && !c.fenced;
}

static void test_busy_says_for_whom(void **state) {
    struct fixture *f = fixture_of(state), other = *f;
    snprintf(other.path, sizeof other.path, "%s/other.db", f->dir);
    snprintf(other.url, sizeof other.url, "%s", other.path);
    make_and_close(f);
    make_and_close(&other);
    int holders[] = {child_start(f, hold_lock, NULL), child_start(&other, hold_foreign, NULL)};
    assert_true(reaches(&shared->ready, 2));
    int waiters[] = {child_start(f, is_told, &holders[0]),
                     child_start(&other, is_told, &holders[1])};
    bool good = reaches(&shared->done[0], 2);
    atomic_store(&shared->go, 1);
    for (int i = 0; i < 2; i++) {
        good = child_wait(holders[i]) && good;
        good = child_wait(waiters[i]) && good;
    }
    assert_true(good);
    arena_fini(&other.a);
}

/* --- hosts of other processes --- */

static bool be_a_host(struct fixture *f, void *arg) {
    (void)arg;
    int64_t host;
    child_ok(f, store_host_register(f->s, getpid(), STR("box"), &host, &f->e));
    child_ok(f, store_host_renew(f->s, host, (wall_us){io_clock_system.wall(NULL).us + 30000000},
                                 &f->e));
    struct store_change c = change_new(f, "owned");
    c.host = host;
    child_ok(f, commit_one(f, f->s, &c));
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go))
        pause();
    return false;
}

static void test_killed_hosts_are_dead_at_once(void **state) {
    struct fixture *f = fixture_of(state);
    make_and_close(f);
    int pid = child_start(f, be_a_host, NULL);
    assert_true(reaches(&shared->ready, 1));
    open_here(f);
    struct store_execution x;
    assert_ok(f, store_execution_get(f->s, 0, STR("exec_owned"), &f->a, &x, &f->e));
    assert_true(x.owner_alive);
    assert_true(x.host > 0);
    kill(pid, SIGKILL);
    assert_false(child_wait(pid));
    assert_ok(f, store_execution_get(f->s, 0, STR("exec_owned"), &f->a, &x, &f->e));
    assert_false(x.owner_alive); /* though its lease runs on */
    int64_t mine;
    assert_ok(f, store_host_register(f->s, getpid(), STR("box"), &mine, &f->e));
    assert_true(mine > x.host); /* ids are never used again */
    assert_str(sql_rows(f, "SELECT count(*) FROM hosts"), "1");
    assert_str(sql_rows(f, "SELECT effective_status, reason FROM executions_now"),
               "interrupted|owner gone");
    assert_err(f, ERR_FENCED, store_host_renew(f->s, x.host, (wall_us){1}, &f->e));
    reopen(f); /* registering anew sweeps the row that the closed handle left */
    assert_ok(f, store_host_register(f->s, getpid(), STR("box"), &mine, &f->e));
    assert_str(sql_rows(f, "SELECT count(*) FROM hosts"), "1");
}

/* --- the log --- */

static off_t log_size(struct fixture *f) {
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", f->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Commits about `frames` pages, looking at the store as a reader after each. */
static off_t write_pages(struct fixture *f, struct store_change *c, int frames) {
    enum { BODY = 400 * 4096 };
    off_t most = 0;
    char *body = calloc(1, BODY);
    for (int done = 0; done < frames; done += BODY / 4096) {
        struct store_change next = change_next(f, c, 1, "w");
        ((struct store_event *)(uintptr_t)next.events)->body = (struct str){body, BODY};
        assert_ok(f, commit_one(f, f->s, &next));
        *c = next;
        (void)get_num(f, c->num);
        most = log_size(f) > most ? log_size(f) : most;
    }
    free(body);
    return most;
}

static const off_t LOG_MOST = 38 * 1024 * 1024; /* 8,000 pages, one commit, the zeros ahead */

static void test_log_is_bounded(void **state) {
    struct fixture *f = fixture_of(state);
    open_here(f);
    struct store_change a = make_execution(f, "a");
    off_t most = write_pages(f, &a, 20000);
    assert_true(most > 20 * 1024 * 1024 && most < LOG_MOST);
    struct store_stats stats;
    store_stats_get(f->s, &stats);
    assert_true(stats.checkpoints >= 2);
    store_close(f->s);
    f->s = NULL;
    assert_int_equal(log_size(f), 0); /* quick to open */
    open_here(f);
    assert_int_equal(get_num(f, a.num).last_seq, a.last_seq + a.event_count);
}

/* Nobody but us makes checkpoints, also not SQLite when a connection is closed. */
static void test_idle_checkpoints(void **state) {
    struct fixture *f = fixture_of(state);
    open_here(f);
    struct store_change a = make_execution(f, "a");
    struct store_stats stats;
    (void)write_pages(f, &a, 800);
    store_idle(f->s);
    store_stats_get(f->s, &stats);
    assert_int_equal(stats.checkpoints, 0);
    (void)write_pages(f, &a, 800);
    store_idle(f->s);
    store_idle(f->s);
    store_stats_get(f->s, &stats);
    assert_int_equal(stats.checkpoints, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_shared, teardown_shared)

int run_sqlite_processes(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_two_writers_take_turns),
        TEST(test_many_make_one_store),
        TEST(test_killed_writers_lose_nothing),
        TEST(test_busy_says_for_whom),
        TEST(test_killed_hosts_are_dead_at_once),
        TEST(test_log_is_bounded),
        TEST(test_idle_checkpoints),
    };
    return cmocka_run_group_tests_name("sqlite processes", tests, NULL, NULL);
}

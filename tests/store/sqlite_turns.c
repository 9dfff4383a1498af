/* Many writers on one database take turns: nobody is passed by more than a few times, nobody is
 * told that the store is busy while others merely write, and a process that is stopped in the queue
 * holds up nobody for long.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/sqlite_priv.h"
#include "store/suite.h"

enum { WRITERS_MOST = 20 };

struct turns {
    atomic_int ready, go, total;
    atomic_int most_passed; /* commits of others while one waited for its own */
    atomic_int most_ms;
    int writers, commits;
};

static struct turns *turns;

static int setup_turns(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    turns = mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return f && turns != MAP_FAILED ? fixture_init(f, "sqlite") : -1;
}

static int teardown_turns(void **state) {
    struct fixture *f = *state;
    munmap(turns, sizeof *turns);
    fixture_fini(f);
    free(f);
    return 0;
}

static int64_t now_ms(void) { return io_clock_system.mono(NULL).ns / 1000000; }

static void make_and_close(struct fixture *f) {
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    store_close(f->s);
    f->s = NULL;
}

static void note_most(atomic_int *most, int value) {
    int seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) {}
}

/* False after a minute: somebody died. */
static bool wait_for(atomic_int *what, int value) {
    int64_t end = now_ms() + 60000;
    while (atomic_load(what) < value && now_ms() < end) {
        usleep(200);
    }
    return atomic_load(what) >= value;
}

static bool write_in_turn(struct fixture *f, void *arg) {
    char name[20];
    snprintf(name, sizeof name, "w%d", *(int *)arg);
    struct store_change c = change_new(f, name);
    child_ok(f, commit_one(f, f->s, &c));
    atomic_fetch_add(&turns->ready, 1);
    if (!wait_for(&turns->ready, turns->writers)) {
        return false;
    }
    for (int i = 0; i < turns->commits; i++) {
        struct store_change next = change_next(f, &c, 1, name);
        int64_t start = now_ms();
        int before = atomic_load(&turns->total);
        child_ok(f, commit_one(f, f->s, &next));
        note_most(&turns->most_passed, atomic_fetch_add(&turns->total, 1) - before);
        note_most(&turns->most_ms, (int)(now_ms() - start));
        if (next.fenced) {
            return false;
        }
        c = next;
    }
    return true;
}

/* A writer that comes to the queue is passed by nobody but those that were there before; between
 * the count and the queue it may lose the processor for some time, in which others commit. */
static void many_write(struct fixture *f, int writers, int commits) {
    int pids[WRITERS_MOST], names[WRITERS_MOST];
    bool good = true;
    *turns = (struct turns){.writers = writers, .commits = commits};
    for (int i = 0; i < writers; i++) {
        names[i] = i;
        pids[i] = child_start(f, write_in_turn, &names[i]);
    }
    for (int i = 0; i < writers; i++) {
        good = child_wait(pids[i]) && good;
    }
    assert_true(good);
    print_message("# %d writers: passed at most %d times, longest commit %d ms\n", writers,
                  atomic_load(&turns->most_passed), atomic_load(&turns->most_ms));
    assert_int_equal(atomic_load(&turns->total), writers * commits);
    assert_true(atomic_load(&turns->most_passed) <= 10 * writers);
    assert_true(atomic_load(&turns->most_ms) < 4000);
}

static void test_many_writers_take_turns(void **state) {
    struct fixture *f = fixture_of(state);
    make_and_close(f);
    many_write(f, 3, 400);
    assert_str(sql_rows(f, "DELETE FROM executions"), "");
    many_write(f, 8, 150);
    assert_str(sql_rows(f, "DELETE FROM executions"), "");
    many_write(f, 20, 60);
    assert_str(sql_rows(f, "PRAGMA integrity_check"), "ok");
    assert_str(sql_rows(f, "SELECT count(*) FROM progress WHERE last_seq = 60"), "20");
}

/* --- a process that is stopped while it waits --- */

static bool hold_until_told(struct fixture *f, void *arg) {
    (void)arg;
    struct sqlite_store *s = (struct sqlite_store *)f->s;
    child_ok(f, sqlite_lock_take(s, SQLITE_WAIT_MS, &f->e));
    atomic_fetch_add(&turns->ready, 1);
    bool told = wait_for(&turns->go, 1);
    sqlite_lock_release(s);
    return told;
}

static bool commit_late(struct fixture *f, void *arg) {
    (void)arg;
    struct store_change c = change_new(f, "late");
    atomic_fetch_add(&turns->ready, 1);
    child_ok(f, commit_one(f, f->s, &c));
    return !c.fenced;
}

static bool queue_is_longer_than(struct fixture *f, int64_t count) {
    struct io_lock l;
    char side[300];
    snprintf(side, sizeof side, "%s-lock", f->path);
    assert_ok(f, io_lock_open(&l, side, &f->e));
    bool longer = io_lock_held(&l, (INT64_C(1) << 40) + count);
    io_lock_close(&l);
    return longer;
}

static void test_a_stopped_waiter_holds_up_nobody(void **state) {
    struct fixture *f = fixture_of(state);
    make_and_close(f);
    int holder = child_start(f, hold_until_told, NULL);
    assert_true(wait_for(&turns->ready, 1));
    int stopped = child_start(f, commit_late, NULL);
    while (!queue_is_longer_than(f, 0)) {
        usleep(500);
    }
    kill(stopped, SIGSTOP);
    atomic_store(&turns->go, 1);
    assert_true(child_wait(holder));
    assert_true(queue_is_longer_than(f, 0));
    assert_ok(f, store_open(f->url, true, &io_clock_system, &f->s, &f->e));
    struct store_change a = make_execution(f, "a"); /* past the one that does not move */
    assert_true(a.num > 0);
    kill(stopped, SIGCONT);
    assert_true(child_wait(stopped));
    assert_false(queue_is_longer_than(f, 0));
    assert_str(sql_rows(f, "SELECT id FROM executions ORDER BY num"), "exec_a\nexec_late");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_turns, teardown_turns)

int run_sqlite_turns(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_many_writers_take_turns),
        TEST(test_a_stopped_waiter_holds_up_nobody),
    };
    return cmocka_run_group_tests_name("sqlite turns", tests, NULL, NULL);
}

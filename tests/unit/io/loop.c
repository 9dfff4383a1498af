/* The loop: order of timers, descriptors, signals, wake-ups from a thread, and what close means. */
#include "groups.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/file.h"
#include "io/loop.h"

#define MS INT64_C(1000000)

static struct io_loop *loop;
static char order[64];

static int set_up(void **state) {
    (void)state;
    order[0] = '\0';
    return io_loop_open(&io_clock_system, &loop, NULL) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    io_loop_close(loop);
    return 0;
}

static void note(void *ctx) { strncat(order, ctx, sizeof order - strlen(order) - 1); }

static void run_until_idle(void) {
    while (io_loop_turn(loop, true))
        continue;
}

static void timers_fire_in_order(void **state) {
    (void)state;
    struct io_timer *a = io_timer_open(loop, note, (void *)"a");
    struct io_timer *b = io_timer_open(loop, note, (void *)"b");
    struct io_timer *c = io_timer_open(loop, note, (void *)"c");
    struct io_timer *d = io_timer_open(loop, note, (void *)"d");
    int64_t start = io_clock_system.mono(NULL).ns;
    io_timer_start(a, 30 * MS);
    io_timer_start(b, 10 * MS);
    io_timer_start(c, 0);
    io_timer_start(d, 5 * MS);
    io_timer_stop(d);
    io_timer_start(b, 20 * MS); /* moved */
    assert_int_equal(io_loop_open_count(loop), 4);
    run_until_idle();
    assert_string_equal(order, "cba");
    assert_true(io_clock_system.mono(NULL).ns - start >= 30 * MS);
    io_timer_close(a);
    io_timer_close(b);
    io_timer_close(c);
    io_timer_close(d);
    io_timer_close(NULL);
    assert_int_equal(io_loop_open_count(loop), 0);
}

/* A turn in which a timer fired must come back, though another is far away: the owner may have
 * something to do now. */
static void turn_returns_after_a_timer(void **state) {
    (void)state;
    struct io_timer *soon = io_timer_open(loop, note, (void *)"s");
    struct io_timer *later = io_timer_open(loop, note, (void *)"l");
    io_timer_start(later, 60000 * MS);
    for (int i = 0; i < 20; i++) {
        io_timer_start(soon, i % 2 * MS);
        while (strlen(order) <= (size_t)i)
            assert_true(io_loop_turn(loop, true));
    }
    io_timer_close(soon);
    io_timer_close(later);
    assert_false(io_loop_turn(loop, false));
}

static void never_early(void **state) {
    (void)state;
    for (int64_t delay = 1; delay < 4 * MS; delay = delay * 3 + 7) {
        struct io_timer *t = io_timer_open(loop, note, (void *)"x");
        int64_t start = io_clock_system.mono(NULL).ns;
        io_timer_start(t, delay);
        run_until_idle();
        assert_true(io_clock_system.mono(NULL).ns - start >= delay);
        io_timer_close(t);
    }
}

struct self_closer {
    struct io_timer *timer;
    struct io_timer *other;
    struct io_poll *poll;
    int fd;
    int calls;
};

static void close_timers(void *ctx) {
    struct self_closer *s = ctx;
    s->calls++;
    io_timer_close(s->timer);
    io_timer_close(s->other);
}

static void closed_timer_stays_silent(void **state) {
    (void)state;
    struct self_closer s = {0};
    s.timer = io_timer_open(loop, close_timers, &s);
    s.other = io_timer_open(loop, note, (void *)"x");
    io_timer_start(s.timer, 0);
    io_timer_start(s.other, 0); /* due in the same turn, closed before its call */
    run_until_idle();
    assert_int_equal(s.calls, 1);
    assert_string_equal(order, "");
    assert_int_equal(io_loop_open_count(loop), 0);
}

static void read_one(void *ctx, int events) {
    struct self_closer *s = ctx;
    assert_int_equal(events & IO_READABLE, IO_READABLE);
    char c;
    ssize_t got = read(s->fd, &c, 1);
    s->calls++;
    if (got <= 0) {
        io_poll_close(s->poll);
        close(s->fd);
    }
}

static void poll_reads_until_the_end(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    struct self_closer s = {.fd = pair[0]};
    s.poll = io_poll_open(loop, pair[0], IO_READABLE, read_one, &s);
    assert_non_null(s.poll);
    assert_true(io_loop_turn(loop, false));
    assert_int_equal(s.calls, 0);
    assert_int_equal(write(pair[1], "ab", 2), 2);
    close(pair[1]);
    run_until_idle();
    assert_int_equal(s.calls, 3);
}

static void count_writable(void *ctx, int events) {
    assert_int_equal(events, IO_WRITABLE);
    ++*(int *)ctx;
}

static void poll_events_change(void **state) {
    (void)state;
    int pair[2], calls = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct io_poll *p = io_poll_open(loop, pair[0], 0, count_writable, &calls);
    assert_false(io_loop_turn(loop, false)); /* watched for nothing: nothing can happen */
    io_poll_change(p, IO_WRITABLE);
    assert_true(io_loop_turn(loop, true));
    assert_int_equal(calls, 1);
    io_poll_change(p, 0);
    assert_false(io_loop_turn(loop, true));
    assert_int_equal(calls, 1);
    io_poll_close(p);
    close(pair[0]);
    close(pair[1]);
}

static void ordinary_files_are_not_watched(void **state) {
    (void)state;
    char name[] = "/tmp/cairn-loop-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_null(io_poll_open(loop, fd, IO_READABLE, read_one, NULL));
    assert_int_equal(io_loop_open_count(loop), 0);
    close(fd);
    unlink(name);
}

struct waking {
    struct io_wake *wake;
    _Atomic int sent;
    int woken;
};

static void on_wake(void *ctx) {
    struct waking *w = ctx;
    w->woken++;
    if (w->sent == 100)
        io_wake_close(w->wake);
}

static void *send_wakes(void *ctx) {
    struct waking *w = ctx;
    for (int i = 0; i < 100; i++) {
        w->sent++;
        if (i < 99)
            io_wake_send(w->wake);
    }
    return NULL;
}

struct watched {
    struct io_watch *watch;
    int writes, gone;
};

static void count_change(void *ctx, bool gone) {
    struct watched *w = ctx;
    w->writes += !gone;
    w->gone += gone;
    if (gone) {
        io_watch_close(w->watch); /* from its own callback */
        w->watch = NULL;
    }
}

static void a_file_is_watched(void **state) {
    (void)state;
    char folder[200], path[220], other[220];
    struct watched w = {0};
    assert_int_equal(io_dir_temp(NULL, folder, sizeof folder, NULL), OK);
    snprintf(path, sizeof path, "%s/f", folder);
    snprintf(other, sizeof other, "%s/g", folder);
    assert_null(io_watch_open(loop, path, count_change, &w)); /* not there */
    assert_int_equal(io_loop_open_count(loop), 0);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    w.watch = io_watch_open(loop, path, count_change, &w);
    assert_non_null(w.watch);
    assert_false(io_loop_turn(loop, true)); /* alone it keeps nothing alive */
    struct io_timer *guard = io_timer_open(loop, note, (void *)"late");
    io_timer_start(guard, 20000 * MS);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    while (!w.writes && !order[0])
        assert_true(io_loop_turn(loop, true));
    assert_int_equal(w.writes, 1);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1); /* the same byte: told all the same */
    while (w.writes < 2 && !order[0])
        assert_true(io_loop_turn(loop, true));
    close(fd);
    assert_int_equal(rename(path, other), 0);
    while (!w.gone && !order[0])
        assert_true(io_loop_turn(loop, true));
    assert_int_equal(w.gone, 1);
    assert_string_equal(order, "");
    io_timer_close(guard);
    assert_int_equal(io_loop_open_count(loop), 0);
    w.watch = io_watch_open(loop, other, count_change, &w);
    io_watch_close(w.watch);
    assert_int_equal(io_dir_remove(folder, NULL), OK);
    assert_false(io_loop_turn(loop, true));
    assert_int_equal(w.gone, 1); /* closed: silent */
    io_watch_close(NULL);
}

static void thread_wakes_the_loop(void **state) {
    (void)state;
    struct waking w = {0};
    struct io_timer *keep = io_timer_open(loop, note, (void *)"late");
    io_timer_start(keep, 60000 * MS);
    w.wake = io_wake_open(loop, on_wake, &w);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_wakes, &w), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    io_wake_send(w.wake);
    while (io_loop_open_count(loop) == 2)
        assert_true(io_loop_turn(loop, true));
    assert_in_range(w.woken, 1, 100); /* merged */
    io_timer_close(keep);
    assert_string_equal(order, "");
}

static void wake_alone_keeps_nothing_alive(void **state) {
    (void)state;
    struct waking w = {.sent = 100};
    w.wake = io_wake_open(loop, on_wake, &w);
    assert_false(io_loop_turn(loop, true));
    io_wake_close(w.wake);
}

static int got_signal;

static void on_signal(void *ctx, int signo) {
    got_signal = signo;
    io_signal_close(*(struct io_signal **)ctx);
}

static void signal_is_heard(void **state) {
    (void)state;
    struct io_signal *s = NULL;
    s = io_signal_open(loop, SIGUSR1, on_signal, &s);
    assert_non_null(s);
    assert_int_equal(io_loop_open_count(loop), 1);
    kill(getpid(), SIGUSR1);
    while (got_signal == 0)
        io_loop_turn(loop, true);
    assert_int_equal(got_signal, SIGUSR1);
    assert_int_equal(io_loop_open_count(loop), 0);
}

static const char *job_thread; /* an address on the stack of the thread that did it */
static bool job_done;

static void on_job(void *ctx) {
    char here;
    job_thread = &here;
    *(int *)ctx += 1;
}

static void on_job_done(void *ctx) {
    job_done = true;
    *(int *)ctx *= 10;
}

static void work_is_done_elsewhere(void **state) {
    (void)state;
    int number = 4;
    char here;
    job_done = false;
    assert_true(io_work_start(loop, on_job, on_job_done, &number));
    assert_int_equal(io_loop_open_count(loop), 1);
    assert_false(job_done);
    while (!job_done)
        assert_true(io_loop_turn(loop, true) || job_done);
    assert_int_equal(number, 50);
    assert_int_equal(io_loop_open_count(loop), 0);
    assert_true(llabs((long long)((intptr_t)job_thread - (intptr_t)&here)) > 1 << 20);
}

static void clock_is_the_given_one(void **state) {
    (void)state;
    assert_ptr_equal(io_loop_clock(loop), &io_clock_system);
    io_loop_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int run_loop_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order),
        TEST(turn_returns_after_a_timer),
        TEST(never_early),
        TEST(closed_timer_stays_silent),
        TEST(poll_reads_until_the_end),
        TEST(poll_events_change),
        TEST(ordinary_files_are_not_watched),
        TEST(a_file_is_watched),
        TEST(thread_wakes_the_loop),
        TEST(wake_alone_keeps_nothing_alive),
        TEST(signal_is_heard),
        TEST(work_is_done_elsewhere),
        TEST(clock_is_the_given_one),
    };
    return cmocka_run_group_tests_name("io loop", tests, NULL, NULL);
}

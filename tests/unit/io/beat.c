/* The beating thread. */
#include "groups.h"

#include <stdatomic.h>

#include "io/beat.h"
#include "io/loop.h"

static _Atomic int beats;

static void beat(void *ctx) {
    atomic_fetch_add(&beats, 1);
    io_wake_send(ctx);
}

static void woken(void *ctx) { ++*(int *)ctx; }

static void it_beats_until_it_is_closed(void **state) {
    (void)state;
    struct io_loop *l;
    struct error e;
    int wakes = 0;
    assert_int_equal(io_loop_open(&io_clock_system, &l, &e), OK);
    struct io_wake *w = io_wake_open(l, woken, &wakes);
    struct io_timer *t = io_timer_open(l, woken, &(int){0}); /* keeps the loop waiting */
    io_timer_start(t, INT64_C(60000000000));
    struct io_beat *b = io_beat_open(1000000, beat, w);
    assert_non_null(b);
    while (atomic_load(&beats) < 3) {
        io_loop_turn(l, true);
    }
    io_beat_close(b);
    int at_end = atomic_load(&beats);
    assert_true(wakes > 0);
    assert_int_equal(atomic_load(&beats), at_end);
    io_beat_close(NULL);
    io_timer_close(t);
    io_wake_close(w);
    io_loop_close(l);
}

static void closing_does_not_wait_for_the_period(void **state) {
    (void)state;
    struct io_loop *l;
    struct error e;
    int wakes = 0;
    assert_int_equal(io_loop_open(&io_clock_system, &l, &e), OK);
    struct io_wake *w = io_wake_open(l, woken, &wakes);
    struct io_beat *b = io_beat_open(INT64_C(3600000000000), beat, w);
    io_beat_close(b); /* else this test takes an hour */
    io_wake_close(w);
    io_loop_close(l);
}

static void a_timer_in_the_background_keeps_no_loop(void **state) {
    (void)state;
    struct io_loop *l;
    struct error e;
    int due = 0;
    assert_int_equal(io_loop_open(&io_clock_system, &l, &e), OK);
    struct io_timer *t = io_timer_open(l, woken, &due);
    io_timer_start(t, INT64_C(3600000000000));
    io_timer_background(t);
    assert_false(io_loop_turn(l, true));                    /* does not wait for it */
    struct io_timer *other = io_timer_open(l, woken, &due); /* a loop of its own would not turn */
    io_timer_start(other, INT64_C(3600000000000));
    io_timer_start(t, 1);
    while (!due) {
        io_loop_turn(l, true);
    }
    io_timer_close(other);
    io_timer_close(t);
    io_loop_close(l);
}

int run_beat_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_beats_until_it_is_closed),
        cmocka_unit_test(closing_does_not_wait_for_the_period),
        cmocka_unit_test(a_timer_in_the_background_keeps_no_loop),
    };
    return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}

/* Whose turn it is when more is ready than fits a commit: the same runs go first for a while, then
 * those that waited.
 */
#include "rig.h"

enum { RUNS = 3, ITEMS = 6000 }; /* two runs that compute fill a commit */

static uint32_t events[RUNS];
static struct run *runs[RUNS];

static void count(struct rig *g, struct run *r, const struct host_event *ev) {
    (void)g;
    (void)ev;
    for (int i = 0; i < RUNS; i++) {
        events[i] += runs[i] == r;
    }
}

/* So many of them have something to compute, from the next turn on. */
static void submit_all(int busy) {
    const struct plan *p = rig_plan("{cairn: 1, nodes: {l: {type: work}, a: {type: calc, needs: "
                                    "[l], foreach: {items: l}, value: item}}}");
    struct buf json;
    buf_init(&json, 0);
    for (int i = 0; i < ITEMS; i++) {
        buf_append_cstr(&json, i ? ",0" : "[0");
    }
    buf_append(&json, (struct str){"]", 2}); /* with its NUL */
    for (int i = 0; i < RUNS; i++) {
        runs[i] = rig_submit(p, NULL);
    }
    rig_turns();
    rig.now.us += HOST_SHIFT_NS / 1000;
    for (int i = 0; i < busy; i++) {
        rig_tell_done(&rig.starts[i], json.ptr, NULL);
    }
    memset(events, 0, sizeof events);
    rig.on_event = count;
    buf_fini(&json);
}

static void the_same_have_the_turns_of_a_shift(void **state) {
    (void)state;
    submit_all(3);
    for (int i = 0; i < 3; i++) {
        rig_turn();
    }
    assert_true(events[0] >= 3 * HOST_TURN_EVENTS && events[1] >= 3 * HOST_TURN_EVENTS);
    assert_int_equal(events[2], 0);
    rig_turns();
    for (int i = 0; i < RUNS; i++) {
        assert_string_equal(rig_status(runs[i]), "completed");
    }
}

static void who_waits_has_the_next_one(void **state) {
    (void)state;
    submit_all(3);
    rig_turn();
    rig.now.us += HOST_SHIFT_NS / 1000;
    rig_turn();
    assert_true(events[2] >= HOST_TURN_EVENTS);
    assert_int_equal(events[0] + events[1], 3 * HOST_TURN_EVENTS);
    rig_turns();
}

static void who_is_asked_for_something_comes_first(void **state) {
    (void)state;
    struct error e;
    submit_all(2);
    rig_turn();
    assert_int_equal(host_cancel(rig.host, runs[2], STR("me"), &e), OK);
    rig.now.us += HOST_SHIFT_NS / 1000; /* also when the next shift begins */
    rig_turn();
    assert_string_equal(rig_status(runs[2]), "cancelled");
    rig_turns();
}

int run_shift_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(the_same_have_the_turns_of_a_shift),
        T(who_waits_has_the_next_one),
        T(who_is_asked_for_something_comes_first),
#undef T
    };
    return cmocka_run_group_tests_name("host shifts", tests, NULL, NULL);
}

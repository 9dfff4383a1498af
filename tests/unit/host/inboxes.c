/* A host on a real file, with the real loop, beside another handle: how it learns that something
 * was put into the inbox, at the worst moment; and what it does while others hold the store.
 *
 * Failure mode 06, the lost wake-up: a request comes after the host has looked and before it waits.
 * A poll an hour away would hang each of these tests; a guard timer ends the wait and fails it.
 */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "host/host_priv.h"
#include "io/file.h"

#define GUARD_NS INT64_C(20000000000)
enum { HOUR_MS = 3600000, SOON_MS = 20 };

static char folder[200], url[240], inbox[256];
static bool late;

static int set_up(void **state) {
    struct error e;
    (void)state;
    if (io_dir_temp(NULL, folder, sizeof folder, &e)) {
        return -1;
    }
    snprintf(url, sizeof url, "%s/cairn.db", folder);
    snprintf(inbox, sizeof inbox, "%s-inbox", url);
    return rig_setup_on(url);
}

static int tear_down(void **state) {
    struct error e;
    int status = rig_teardown(state);
    return io_dir_remove(folder, &e) ? -1 : status;
}

static void poll_every(uint32_t ms) {
    rig.options.inbox_poll_ms = ms;
    rig_reopen();
}

static void add_cancel(struct str id) {
    struct error e = {0};
    int64_t row;
    struct store_inbox ask = {.execution = rig_stored(id).num, .kind = STR("cancel")};
    if (store_inbox_add(rig.disk, &ask, &row, &e)) {
        fail_msg("not added: %s", e.message);
    }
}

/* Told after the commit of a turn: the host has looked into the inbox, and waits next. */
static void ask_between(struct rig *g, struct run *r, const struct host_event *ev) {
    if (ev->kind == EVENT_STEP_SCHEDULED) {
        add_cancel(run_id(r));
        g->on_event = NULL;
    }
}

static void too_late(void *ctx) {
    (void)ctx;
    late = true;
}

static void turn_until_ended(void) {
    struct error e = {0};
    struct io_timer *guard = io_timer_open(rig.loop, too_late, NULL);
    bool busy = true;
    late = false;
    io_timer_start(guard, GUARD_NS);
    while (!rig.ended && !late && busy) {
        assert_int_equal(host_turn(rig.host, true, &busy, &e), OK);
    }
    io_timer_close(guard);
    assert_false(late);
}

static struct run *submit_and_ask_between(void) {
    struct run *r = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    rig.on_event = ask_between;
    turn_until_ended();
    assert_string_equal(rig_status(r), "cancelled");
    return r;
}

static void failure_mode_06_a_request_between_look_and_wait_wakes_the_host(void **state) {
    (void)state;
    poll_every(HOUR_MS);
    struct run *r = submit_and_ask_between();
    struct store_inbox row;
    struct error e;
    assert_int_equal(store_inbox_get(rig.disk, 1, &rig.arena, &row, &e), OK);
    assert_true(str_is(row.verdict, "accepted"));
    assert_int_equal(rig_count(run_id(r), "cancel_requested"), 1);
}

static void failure_mode_06_without_a_watch_it_costs_a_poll(void **state) {
    (void)state;
    assert_int_equal(mkdir(inbox, 0700), 0); /* nobody can write to it */
    poll_every(SOON_MS);
    (void)submit_and_ask_between();
    assert_null(rig.host->inbox_watch);
}

/* A file that is deleted is made again and watched, and what came meanwhile is found. */
static void failure_mode_06_a_deleted_file_is_made_and_watched_again(void **state) {
    (void)state;
    poll_every(HOUR_MS);
    for (int i = 0; i < 3; i++) {
        rig.ended = 0;
        (void)submit_and_ask_between();
        assert_non_null(rig.host->inbox_watch);
        assert_int_equal(unlink(inbox), 0);
    }
}

/* Of an execution that this host takes over only later: the row is not forgotten. */
static void a_row_of_nobody_is_found_when_somebody_comes(void **state) {
    (void)state;
    poll_every(SOON_MS);
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    add_cancel(id);
    rig_turns();
    rig_turns();
    r = rig_resume(id);
    turn_until_ended();
    assert_string_equal(rig_status(r), "cancelled");
}

/* What a cancel begins is no attempt that an owner before this one has left: it is performed as it
 * was begun, once, also when it may be performed only once. */
static void a_cancel_of_what_nobody_runs_begins_finally_once(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, finally: [last, then], nodes: {a: {type: work}, "
                            "last: {type: work, delivery: at_most_once}, then: {type: work}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    add_cancel(id);
    r = rig_resume(id);
    rig_turns();
    assert_int_equal(rig_starts_of("a"), 1);
    assert_int_equal(rig_starts_of("last"), 1);
    rig_done("last", NULL);
    r = rig_restart(r, 10); /* what it left then is begun anew */
    rig_turns();
    assert_int_equal(rig_find("then")->attempt, 2);
    rig_done("then", NULL);
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig_count(id, "step_scheduled last"), 1);
    assert_int_equal(rig_count(id, "step_failed"), 0);
    assert_int_equal(rig_count(id, "step_scheduled then"), 2);
}

/* ---- others hold the store ---- */

enum { TRIES = HOST_COMMIT_TRIES + 2 };

static struct io_lock hold_store(void) {
    struct error e;
    struct io_lock l;
    char side[256];
    snprintf(side, sizeof side, "%s-lock", url);
    assert_int_equal(io_lock_open(&l, side, &e), OK);
    assert_int_equal(io_lock_take(&l, 0, 1000, &e), OK);
    return l;
}

/* A busy store is no failure: the host tries for as long as it takes, and nothing leaves. */
static void a_store_that_others_hold_is_waited_for(void **state) {
    (void)state;
    struct run *r =
        rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}, b: {type: work}}}"), NULL);
    struct io_lock l = hold_store();
    store_patience(rig.handle, 1);
    for (int i = 0; i < TRIES; i++) {
        rig_turn();
        assert_int_equal(rig.busy, 1); /* said once */
        assert_false(host_at_rest(rig.host));
    }
    assert_int_equal(rig.start_count, 0);
    assert_int_equal(rig.lost, 0);
    io_lock_close(&l);
    rig_turns();
    assert_int_equal(rig.free_again, 1);
    assert_int_equal(rig.start_count, 2);
    l = hold_store();
    store_patience(rig.handle, 1);
    rig_tell_done(rig_find("a"), "1", NULL);
    rig_turn();
    rig_tell_done(rig_find("b"), "2", NULL); /* joins what waits */
    for (int i = 0; i < TRIES; i++) {
        rig_turn();
    }
    assert_string_equal(rig_status(r), "running");
    io_lock_close(&l);
    rig_turns();
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig.busy, 2);
    assert_int_equal(rig.free_again, 2);
    assert_string_equal(rig_journal(run_id(r)),
                        "execution_created; execution_started; step_scheduled a 1; step_scheduled "
                        "b 1; step_completed a; step_completed b; execution_completed");
}

/* What was held up is undone by a cancel like anything else, sub-workflows included. */
static void a_cancel_joins_what_waits(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {w: {type: work}}}"
                            "}, b: {type: work}}}");
    struct error e;
    assert_int_equal(rig_open_count(), 2);
    struct io_lock l = hold_store();
    store_patience(rig.handle, 1);
    rig_tell_done(rig_find("b"), "2", NULL);
    rig_turn();
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    for (int i = 0; i < TRIES; i++) {
        rig_turn();
    }
    assert_int_equal(host_release(rig.host, &e), ERR_CONFLICT);
    io_lock_close(&l);
    rig_turns();
    assert_string_equal(rig_status(r), "cancelled");
    assert_int_equal(rig.ended, 2);
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig_count(run_id(r), "cancel_requested"), 1);
}

int run_inbox_tests(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(failure_mode_06_a_request_between_look_and_wait_wakes_the_host),
        T(failure_mode_06_without_a_watch_it_costs_a_poll),
        T(failure_mode_06_a_deleted_file_is_made_and_watched_again),
        T(a_row_of_nobody_is_found_when_somebody_comes),
        T(a_cancel_of_what_nobody_runs_begins_finally_once),
        T(a_store_that_others_hold_is_waited_for),
        T(a_cancel_joins_what_waits),
    };
    return cmocka_run_group_tests_name("host inbox", tests, NULL, NULL);
}

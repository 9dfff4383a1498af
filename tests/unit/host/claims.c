/* Ownership: claims before the fold, quarantine, what a bug costs, what is given up, the lease. */
#include "rig.h"
#include "rig_kinds.h"
#include "store/store_priv.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable() (void)0
#endif

static const char *const one_step = "{cairn: 1, nodes: {a: {type: work}}}";

/* Another process takes it over and ends before anything else of it is recorded. */
static struct str claimed(struct str id, int times) {
    for (int i = 0; i < times; i++) {
        rig_reopen();
        (void)rig_resume(id);
    }
    rig_reopen();
    struct map_entry *told = map_find(&rig.told, id);
    told->num = 0; /* who watched the processes that ended is gone with them */
    return id;
}

static void a_claim_is_recorded_before_the_fold(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    struct str id = claimed(arena_str(&rig.arena, run_id(r)), 1);
    struct store_execution x = rig_stored(id);
    assert_int_equal(x.epoch, 2);
    assert_string_equal(rig_journal(id), "execution_created; execution_started; step_scheduled a "
                                         "1; execution_claimed");
    r = rig_resume(id);
    rig_turns();
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void three_claims_with_nothing_behind_are_the_end(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    struct str id = claimed(arena_str(&rig.arena, run_id(r)), 3);
    struct error e;
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_QUARANTINED);
    struct store_execution x = rig_stored(id);
    assert_true(str_is(x.row.status, "failed"));
    assert_true(host_is_quarantined(&x));
    assert_int_equal(x.host, 0);
    assert_true(x.row.completed.us > 0);
    assert_int_equal(rig_count(id, "execution_failed"), 1);
    struct host_view v;
    assert_int_equal(host_view_open(rig.handle, rig_kinds, id, &v, &e), ERR_QUARANTINED);
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_CONFLICT); /* it has ended */
}

static void a_claim_with_something_behind_does_not_count(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    for (int i = 0; i < 5; i++) {
        r = rig_restart(r, 0);
        rig_turns();
    }
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* The owners fold and record that they go on: however often, it is not given up while it waits. */
static void what_waits_is_not_quarantined(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 9, backoff: 1h, "
                            "jitter: 0}}}}");
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    for (int i = 0; i < 5; i++) {
        r = rig_restart(r, 0);
        rig_turns();
    }
    rig_wait_ms(3600000);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void a_claim_of_unknown_outcome(void **state) {
    (void)state;
    for (const char *script = "ab"; *script; script++) {
        char one[2] = {*script, '\0'};
        rig_setup(NULL);
        struct run *r = rig_run(one_step);
        struct str id = arena_str(&rig.arena, run_id(r));
        rig_reopen();
        rig.commits = one;
        r = rig_resume(id);
        rig_turns();
        assert_int_equal(rig_stored(id).epoch, 2);
        assert_int_equal(rig_count(id, "execution_claimed"), 1);
        rig_done("a", NULL);
        assert_string_equal(rig_status(r), "completed");
        rig_teardown(NULL);
    }
}

static void a_bug_ends_its_execution_alone(void **state) {
    (void)state;
    const struct plan *good = rig_plan("{cairn: 1, nodes: {a: {type: work}, b: {type: work, "
                                       "needs: [a]}}}");
    const struct plan *bad = rig_plan("{cairn: 1, nodes: {a: {type: work}, x: {type: broken, "
                                      "needs: [a], value: \"1\"}}}");
    __lsan_disable();
    struct run *kept = rig_submit(good, NULL), *ended = rig_submit(bad, NULL);
    rig_turns();
    rig_tell_done(&rig.starts[0], NULL, NULL);
    rig_tell_done(&rig.starts[1], NULL, NULL);
    rig_turns();
    __lsan_enable();
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "quarantined: bug in cairn: "));
    struct store_execution x = rig_stored(run_id(ended));
    assert_true(host_is_quarantined(&x));
    rig_done("b", NULL);
    assert_string_equal(rig_status(kept), "completed");
}

static void a_bug_in_a_sub_workflow_fails_the_step(void **state) {
    (void)state;
    __lsan_disable();
    struct run *r =
        rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {x: {type: broken, value: "
                "\"1\"}}}, on_error: {value: '\"spared\"'}}, e: {type: end, needs: [k], value: "
                "k}}}");
    rig_turns();
    __lsan_enable();
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "\"spared\"");
}

static void what_is_given_up_is_owned_by_nobody(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    struct str id = arena_str(&rig.arena, run_id(r));
    rig.commits = "bbbbb";
    rig_done("a", NULL);
    assert_int_equal(rig.lost, 1);
    rig_turn();
    assert_int_equal(rig_stored(id).host, 0);
    struct store_execution x = rig_stored(id);
    assert_true(str_is(x.row.status, "running"));
    r = rig_resume(id); /* in the very host that gave it up */
    rig_turns();
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* ---- the lease ---- */

/* Between the commit and its effects the process stands still for 40 s, and another takes over. */
static void stand_still(struct rig *g, struct run *r, const struct host_event *ev) {
    if (ev->kind == EVENT_STEP_SCHEDULED) {
        rig_take_over(r);
        g->now.us += 40000000;
    }
}

static void a_lease_that_is_over_starts_nothing(void **state) {
    (void)state;
    rig.on_event = stand_still;
    (void)rig_run(one_step);
    assert_int_equal(rig.start_count, 0);
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "stopped for longer than its lease"));
}

static void nor_what_follows_a_step(void **state) {
    (void)state;
    (void)rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig.on_event = stand_still;
    rig_done("a", NULL);
    assert_int_equal(rig.start_count, 1);
    assert_int_equal(rig.lost, 1);
}

/* It stood still, but nobody took anything. */
static void only_the_clock(struct rig *g, struct run *r, const struct host_event *ev) {
    (void)r;
    g->now.us += ev->kind == EVENT_STEP_SCHEDULED ? 40000000 : 0;
}

static void a_lease_that_is_over_is_renewed(void **state) {
    (void)state;
    rig.on_event = only_the_clock;
    struct run *r = rig_run(one_step);
    assert_int_equal(rig.start_count, 1);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static const struct store_ops *real_ops;
static struct store_ops failing_ops;
static int reads_left;

static enum err read_or_fail(struct store *s, struct store_name name, struct arena *a,
                             struct store_execution *out, struct error *e) {
    if (--reads_left >= 0) {
        return real_ops->get(s, name, a, out, e);
    }
    s->ops = real_ops;
    return error_set(e, ERR_STORE, "the store failed (injected)");
}

/* The read of an execution after so many fails. */
static void fail_a_read_after(int count) {
    reads_left = count;
    real_ops = rig.faulty->ops;
    failing_ops = *real_ops;
    failing_ops.get = read_or_fail;
    rig.faulty->ops = &failing_ops;
}

/* The commit waits for space while the lease ends, and the look whether it is still the owner's
 * fails: what happened is decided on once more, and that decision is recorded. */
static void a_look_at_the_owner_that_fails(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    rig.commits = "f";
    rig_tell_done(rig_find("a"), NULL, NULL);
    rig_turn();
    assert_string_equal(rig_status(r), "running");
    rig.now.us += 40000000;
    fail_a_read_after(0);
    rig_turns();
    assert_ptr_equal(rig.faulty->ops, real_ops);
    assert_string_equal(rig_status(r), "completed");
}

/* Claimed, but what is stored now cannot be read, nor can it be let go of at once. */
static void a_claim_that_cannot_be_let_go_of_at_once(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    struct str id = arena_str(&rig.arena, run_id(r));
    struct error e;
    rig_reopen();
    rig.commits = ".b";
    fail_a_read_after(1);
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_STORE);
    assert_true(rig_stored(id).host != 0);
    rig_turn();
    assert_int_equal(rig_stored(id).host, 0);
    map_find(&rig.told, id)->num = 0; /* nobody was told of that claim */
    r = rig_resume(id);
    rig_turns();
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* The claim of before was not recorded; the one since is the one that counts. */
static void a_claim_after_one_that_failed_is_kept(void **state) {
    (void)state;
    struct run *r = rig_run(one_step);
    struct str id = arena_str(&rig.arena, run_id(r));
    struct error e;
    rig_reopen();
    rig.commits = "bbbbb";
    assert_int_equal(host_resume(rig.host, id, &r, &e), ERR_STORE);
    r = rig_resume(id);
    rig_turns();
    assert_true(rig_stored(id).host != 0);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

int run_claim_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_claim_is_recorded_before_the_fold, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(three_claims_with_nothing_behind_are_the_end, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_claim_with_something_behind_does_not_count, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_waits_is_not_quarantined, rig_setup, rig_teardown),
        cmocka_unit_test(a_claim_of_unknown_outcome),
        cmocka_unit_test_setup_teardown(a_bug_ends_its_execution_alone, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bug_in_a_sub_workflow_fails_the_step, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_given_up_is_owned_by_nobody, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_lease_that_is_over_starts_nothing, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(nor_what_follows_a_step, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_lease_that_is_over_is_renewed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_look_at_the_owner_that_fails, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_claim_after_one_that_failed_is_kept, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_claim_that_cannot_be_let_go_of_at_once, rig_setup,
                                        rig_teardown),
    };
    return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}

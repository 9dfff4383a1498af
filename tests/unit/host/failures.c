/* Commits that fail, commits of which nobody knows, owners that come in between: nothing is lost,
 * nothing is done twice, and one execution's trouble is not another's.
 */
#include "rig.h"

#include <stdio.h>

static const char *const three_steps =
    "{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a], value: a, "
    "retry: {attempts: 2, backoff: 1s, jitter: 0}}, c: {type: calc, needs: [b], value: \"b + 1\"}, "
    "d: {type: work, needs: [c], foreach: {items: \"[c, c]\"}, value: item}, "
    "e: {type: end, needs: [d], value: \"[a, b, c, d]\"}}}";

/* Runs three_steps to its end with whatever faults are set. */
static void run_through(struct run *r) {
    rig_turns();
    rig_done("a", "1");
    rig_fail("b", FAILURE_TRANSIENT, "flaky");
    rig_wait_ms(1000);
    rig_done("b", "2");
    rig_done("d[0]", "3");
    rig_done("d[1]", "4");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2,3,[3,4]]");
    assert_int_equal(rig_starts_of("a"), 1);
    assert_int_equal(rig_starts_of("b"), 2);
    assert_int_equal(rig_starts_of("d[0]"), 1);
    assert_int_equal(rig_starts_of("d[1]"), 1);
    assert_int_equal(rig.ended, 1);
    assert_int_equal(rig.lost, 0);
    struct map_entry *told = map_find(&rig.told, run_id(r));
    assert_int_equal(told->num, rig_stored(run_id(r)).last_seq); /* watchers missed nothing */
}

static void undisturbed(void **state) {
    (void)state;
    run_through(rig_submit(rig_plan(three_steps), NULL));
    assert_int_equal(rig.commit_count, 7);
}

/* Each commit of the execution in turn meets the fault. */
static void fault_at_every_commit(char fault) {
    for (int at = 0; at < 7; at++) {
        char script[8] = ".......";
        script[at] = fault;
        rig_setup(NULL);
        rig.commits = script;
        run_through(rig_submit(rig_plan(three_steps), NULL));
        rig_teardown(NULL);
    }
}

static void a_failed_commit_is_made_again(void **state) {
    (void)state;
    fault_at_every_commit('b');
}

static void a_commit_of_unknown_outcome_is_found_out(void **state) {
    (void)state;
    fault_at_every_commit('a');
}

static void four_failures_in_a_row_are_survived(void **state) {
    (void)state;
    rig.commits = ".bbab";
    run_through(rig_submit(rig_plan(three_steps), NULL));
}

static void the_fifth_failure_gives_it_up(void **state) {
    (void)state;
    struct run *r = rig_run(three_steps);
    rig_done("a", "1");
    uint64_t before = rig_stored(run_id(r)).last_seq;
    rig.commits = "bbbbb";
    rig_tell_done(rig_find("b"), "2", NULL);
    rig_turns();
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "injected"));
    assert_int_equal(rig.ended, 0);
    assert_string_equal(rig_status(r), "running"); /* as it was last recorded */
    assert_int_equal(rig_stored(run_id(r)).last_seq, before);
    assert_false(rig_turn());
    assert_int_equal(rig.lost, 1);
    /* Another host goes on with it: what was not recorded is done again, under the same key. */
    r = rig_restart(r, 0);
    rig_turns();
    assert_int_equal(rig_find("b")->attempt, 2);
    rig_done("b", "2");
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
}

static void what_is_given_up_stops_its_effects(void **state) {
    (void)state;
    (void)rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}}}");
    rig.commits = "bbbbb";
    rig_done("a", NULL);
    assert_int_equal(rig.lost, 1);
    assert_int_equal(rig_open_count(), 0); /* b was told to stop */
}

static void executions_of_a_failed_batch_all_go_on(void **state) {
    (void)state;
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    struct run *runs[5];
    for (int i = 0; i < 5; i++) {
        runs[i] = rig_submit(p, NULL);
    }
    rig.commits = "ba.ab";
    rig_turns();
    assert_int_equal(rig.start_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        rig_tell_done(&rig.starts[i], "1", NULL);
    }
    rig_turns();
    for (int i = 0; i < 5; i++) {
        assert_string_equal(rig_status(runs[i]), "completed");
        rig_check_fold(runs[i]);
    }
    assert_int_equal(rig.start_count, 5);
}

static void a_fenced_execution_is_dropped_alone(void **state) {
    (void)state;
    const struct plan *p =
        rig_plan("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    struct run *lost = rig_submit(p, NULL);
    struct run *kept = rig_submit(p, NULL);
    rig_turns();
    rig_take_over(lost);
    uint64_t before = rig_stored(run_id(lost)).last_seq;
    rig_tell_done(&rig.starts[0], NULL, NULL);
    rig_tell_done(&rig.starts[1], NULL, NULL);
    rig_turns();
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "another process"));
    assert_int_equal(rig_stored(run_id(lost)).last_seq, before);
    assert_int_equal(rig_open_count(), 1); /* nothing of the dropped one was begun */
    rig_done("b", NULL);
    assert_string_equal(rig_status(kept), "completed");
    assert_string_equal(rig_status(lost), "running");
}

static void fenced_after_an_unknown_commit(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig_take_over(r);
    rig.commits = "b";
    rig_done("a", NULL);
    assert_int_equal(rig.lost, 1);
    assert_int_equal(rig_starts_of("b"), 0);
}

/* The order to stop an attempt must not be lost with the commit that gave it. */
static void a_cancel_survives_an_unknown_commit(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, timeout: 1s, "
                            "retry: {attempts: 2, backoff: 1s, jitter: 0}}}}");
    rig.commits = "a";
    rig_wait_ms(1000);
    assert_null(rig_find("a"));
    rig_wait_ms(1000);
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", "1");
    assert_string_equal(rig_status(r), "completed");
}

static void a_take_over_of_unknown_outcome(void **state) {
    (void)state;
    for (const char *script = "ab"; *script; script++) {
        char one[2] = {*script, '\0'};
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
        r = rig_restart(r, 0);
        rig.commits = one;
        rig_turns();
        assert_int_equal(rig_stored(run_id(r)).epoch, 2);
        assert_int_equal(rig_find("a")->attempt, 2);
        assert_int_equal(rig_starts_of("a"), 2);
        rig_done("a", NULL);
        assert_string_equal(rig_status(r), "completed");
        assert_int_equal(rig_count(run_id(r), "execution_started"), 2);
        rig_teardown(NULL);
    }
}

/* Nothing but pure steps is left: taking over, going on and ending are one commit. */
static void a_take_over_that_ends_at_once(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, delivery: at_most_once}}}");
    r = rig_restart(r, 0);
    rig.commits = "a";
    rig_turns();
    assert_int_equal(rig.lost, 0);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "in_doubt"));
    assert_int_equal(rig.ended, 1);
}

static void calls_and_messages_are_recorded_once(void **state) {
    (void)state;
    for (const char *script = ".ab"; *script; script++) {
        char one[4] = {*script, *script, '\0'};
        rig_setup(NULL);
        struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
        struct step_port *port = rig_find("a")->port;
        struct value_builder b;
        value_builder_init(&b, &rig.arena);
        value_map_add(&b, STR("role"), value_text(STR("user")));
        value_map_add(&b, STR("content"), value_text(STR("hello")));
        struct value said = value_map_done(&b);
        rig.commits = one;
        uint32_t call = port->ops->call_begin(port, said, &(struct value){0});
        rig_turns();
        port->ops->call_done(port, call, said);
        port->ops->process(port, 77, 88);
        rig_done("a", NULL);
        assert_string_equal(rig_status(r), "completed");
        assert_int_equal(rig_count(run_id(r), "call_begun a"), 1);
        assert_int_equal(rig_count(run_id(r), "call_done a"), 1);
        struct store_message *messages;
        struct error e;
        uint32_t count = 0;
        assert_int_equal(store_messages_read(rig.disk, rig_stored(run_id(r)).num, &rig.arena,
                                             &messages, &count, &e),
                         OK);
        assert_int_equal(count, 2);
        rig_teardown(NULL);
    }
}

static void messages_stay_single_when_the_last_commit_is_unknown(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct step_port *port = rig_find("a")->port;
    (void)port->ops->call_begin(port, value_null(), &(struct value){0});
    rig.commits = "a";
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig.ended, 1);
    struct store_execution x = rig_stored(run_id(r));
    struct store_message *messages;
    struct error e;
    uint32_t count = 0;
    assert_int_equal(store_messages_read(rig.disk, x.num, &rig.arena, &messages, &count, &e), OK);
    assert_int_equal(count, 1);
    assert_int_equal(x.row.steps_upto, x.last_seq);
}

/* A decision that cannot be made is tried again, not for ever. */
static void a_decision_without_memory_is_made_again(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {w: {type: work}, other: {type: work}, "
                            "a: {type: frail, needs: [w], value: \"5\"}, "
                            "e: {type: end, needs: [a, other], value: a}}}");
    rig.nomem_evals = 3;
    rig_done("w", NULL);
    assert_int_equal(rig_starts_of("other"), 1);
    rig_done("other", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "5");
}

static void a_decision_that_never_works_gives_up(void **state) {
    (void)state;
    struct run *kept = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    rig.nomem_evals = UINT32_MAX;
    struct run *r = rig_submit(rig_plan("{cairn: 1, nodes: {b: {type: work}, "
                                        "a: {type: frail, needs: [b]}}}"),
                               NULL);
    rig_turns();
    rig_done("b", NULL);
    assert_int_equal(rig.lost, 1);
    assert_string_equal(rig_status(r), "running");
    rig_done("a", NULL);
    assert_string_equal(rig_status(kept), "completed");
}

static void a_blob_that_cannot_be_written_fails_the_commit(void **state) {
    (void)state;
    char json[40010];
    memset(json, 'x', sizeof json);
    json[0] = json[40000] = '"';
    json[40001] = '\0';
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, needs: [a]}}}");
    rig.blobs = "ba";
    rig_done("a", json);
    assert_int_equal(rig_starts_of("b"), 1);
    rig_check_fold(r);
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* One whose blob finds no room is given up alone; the others of its batches are recorded. */
static void one_that_cannot_be_recorded_harms_no_other(void **state) {
    (void)state;
    static char json[40003];
    memset(json, 'x', sizeof json);
    json[0] = json[sizeof json - 2] = '"';
    json[sizeof json - 1] = '\0';
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    struct run *large = rig_submit(p, NULL);
    struct run *small = rig_submit(p, NULL);
    rig_turns();
    rig.blobs = "bbbbb";
    rig_tell_done(&rig.starts[0], json, NULL);
    rig_tell_done(&rig.starts[1], "1", NULL);
    rig_turn();
    assert_string_equal(rig_status(small), "completed");
    assert_int_equal(rig.lost, 0);
    rig_turns();
    assert_int_equal(rig.lost, 1);
    assert_string_equal(rig_status(large), "running");
}

static void not_resumed_before_it_is_stopped(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work}}}"), *again = NULL;
    rig.cancel_waits = true;
    rig.commits = "bbbbb";
    rig_done("a", NULL);
    assert_int_equal(rig.lost, 1);
    assert_int_equal(host_resume(rig.host, run_id(r), &again, &e), ERR_CONFLICT);
    rig_tell_failed(rig_find("b"), FAILURE_PERMANENT, "cancelled");
    again = rig_resume(run_id(r));
    rig_turns();
    assert_int_equal(rig_find("b")->attempt, 2);
    rig_done_all();
    assert_string_equal(rig_status(again), "completed");
}

/* An item whose inputs cannot be evaluated never starts; the others do as on_item_error says. */
static void an_item_that_cannot_start(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {f: {type: work, foreach: {items: \"[1, 0, 2]\", "
                            "on_item_error: collect}, value: \"10 / item\"}, "
                            "e: {type: end, needs: [f], value: \"f.map(x, x.ok)\"}}}");
    assert_int_equal(rig.start_count, 2);
    rig_check_fold(r);
    rig_done("f[0]", NULL);
    rig_done("f[2]", NULL);
    assert_string_equal(rig_result(r), "[true,false,true]");
    r = rig_run("{cairn: 1, nodes: {f: {type: work, foreach: {items: \"[1, 0, 2]\"}, value: "
                "\"10 / item\"}}}");
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "item 1: "));
    assert_int_equal(rig_count(run_id(r), "step_failed f[1]"), 1);
    assert_int_equal(rig_count(run_id(r), "step_cancelled f[0]"), 1);
    assert_int_equal(rig.lost, 0);
}

static void a_submission_that_cannot_be_stored_leaves_nothing(void **state) {
    (void)state;
    struct error e;
    struct run *r = NULL;
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    rig.workflows = "b";
    assert_int_equal(rig_submit_key(p, NULL, "k", &r, &e), ERR_STORE);
    assert_null(r);
    assert_false(rig_turn()); /* nothing waits for it */
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_submit_key(p, NULL, "k", &r, &e), OK);
    rig_turns();
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* Twelve times no space: the batch waits, is said to once, and goes through when there is some. */
static void a_full_disk_is_waited_out(void **state) {
    (void)state;
    struct run *r = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    rig_turns();
    rig.commits = "ffffffffffff";
    rig_tell_done(rig_find("a"), "1", NULL);
    for (int i = 0; i < 12; i++) {
        rig.now.us += 1000000;
        rig_turn();
        assert_string_equal(rig_status(r), "running");
        assert_int_equal(rig.busy, 1);
    }
    rig_turns();
    assert_int_equal(rig.free_again, 1);
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_starts_of("a"), 1);
}

/* A sub-workflow that the new owner of its parent cannot claim: as a commit it is waited for. */
static void a_child_waits_for_the_store(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {w: {type: work}}}}, "
                "e: {type: end, needs: [k], value: \"1\"}}}");
    assert_non_null(rig_find("w"));
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    rig.commits = "..ffffffffffff";
    r = rig_resume(id);
    rig_turns();
    assert_null(rig_find("w"));
    assert_int_equal(rig.busy, 1);
    for (int i = 0; i < 5 && !rig_find("w"); i++) {
        rig_wait_ms(1000);
    }
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig.free_again, 1);
    rig_done("w", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* The time that one was given does not count for the next. */
static void a_full_disk_is_waited_out_anew(void **state) {
    (void)state;
    const struct plan *p = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    rig.options.space_wait_ms = 3000;
    rig_reopen();
    (void)rig_submit(p, NULL);
    rig.commits = "ffffffffffffffffffff";
    for (int i = 0; i < 20 && !rig.lost; i++) {
        rig_turn();
        rig.now.us += 1000000;
    }
    assert_int_equal(rig.lost, 1);
    rig.now.us += 60000000;
    rig.commits = "ff";
    struct run *second = rig_submit(p, NULL);
    for (int i = 0; i < 4; i++) {
        rig_turn();
        rig.now.us += 1000000;
    }
    assert_int_equal(rig.lost, 1);
    rig_done("a", NULL);
    assert_string_equal(rig_status(second), "completed");
}

static void a_disk_that_stays_full_is_given_up(void **state) {
    (void)state;
    rig.options.space_wait_ms = 3000;
    rig_reopen();
    struct run *r = rig_submit(rig_plan("{cairn: 1, nodes: {a: {type: work}}}"), NULL);
    rig_turns();
    rig.commits = "ffffffffffffffffffff";
    rig_tell_done(rig_find("a"), "1", NULL);
    for (int i = 0; i < 3; i++) {
        rig_turn();
        rig.now.us += 1000000;
        assert_int_equal(rig.lost, 0);
    }
    for (int i = 0; i < HOST_COMMIT_TRIES; i++) {
        rig_turn();
    }
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "no space"));
    rig.commits = NULL;
    struct run *again = rig_restart(r, 0);
    rig_turns();
    rig_done("a", "1");
    assert_string_equal(rig_status(again), "completed");
}

int run_failure_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(undisturbed),
        cmocka_unit_test(a_failed_commit_is_made_again),
        cmocka_unit_test(a_commit_of_unknown_outcome_is_found_out),
        T(four_failures_in_a_row_are_survived),
        T(a_full_disk_is_waited_out),
        T(a_child_waits_for_the_store),
        T(a_full_disk_is_waited_out_anew),
        T(a_disk_that_stays_full_is_given_up),
        T(the_fifth_failure_gives_it_up),
        T(what_is_given_up_stops_its_effects),
        T(executions_of_a_failed_batch_all_go_on),
        T(a_fenced_execution_is_dropped_alone),
        T(fenced_after_an_unknown_commit),
        T(a_cancel_survives_an_unknown_commit),
        cmocka_unit_test(a_take_over_of_unknown_outcome),
        T(a_take_over_that_ends_at_once),
        cmocka_unit_test(calls_and_messages_are_recorded_once),
        T(messages_stay_single_when_the_last_commit_is_unknown),
        T(a_decision_without_memory_is_made_again),
        T(a_decision_that_never_works_gives_up),
        T(a_blob_that_cannot_be_written_fails_the_commit),
        T(one_that_cannot_be_recorded_harms_no_other),
        T(not_resumed_before_it_is_stopped),
        T(an_item_that_cannot_start),
        T(a_submission_that_cannot_be_stored_leaves_nothing),
#undef T
    };
    return cmocka_run_group_tests_name("host failures", tests, NULL, NULL);
}

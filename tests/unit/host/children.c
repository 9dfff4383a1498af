/* Sub-workflows: executions of their own that live and die with their parent's step.
 */
#include "rig.h"

#include "host/host_priv.h"

#define CHILD                                                                              \
    "workflow: {inputs: {x: {type: integer, default: 5}}, nodes: {w: {type: work, value: " \
    "inputs.x}, e: {type: end, needs: [w], value: \"w + inputs.x\"}}}"

static const char *const parent =
    "{cairn: 1, nodes: {k: {type: kid, inputs: {x: \"20 + 1\"}, " CHILD
    "}, e: {type: end, needs: [k], value: k}}}";

static struct run *child_of(struct run *r) {
    for (struct run *c = rig.host->runs; c; c = c->next) {
        if (c->is_child && c->parent && c->parent->run == r) {
            return c;
        }
    }
    fail_msg("no child");
    return NULL;
}

static void a_child_succeeds(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    struct run *c = child_of(r);
    struct store_execution x = rig_stored(run_id(c));
    assert_true(run_is_child(c));
    assert_int_equal(x.fixed.parent, rig_stored(run_id(r)).num);
    assert_string_equal(x.fixed.parent_step.ptr, "k");
    assert_string_equal(x.fixed.inputs.ptr, "{\"x\":21}");
    char key[64];
    snprintf(key, sizeof key, "%.*s/k", STR_ARG(run_id(r)));
    assert_string_equal(x.fixed.key.ptr, key);
    rig_done("w", "100");
    assert_string_equal(rig_status(c), "completed");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "121");
    assert_int_equal(rig.ended, 2);
}

static void a_child_of_pure_steps(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {e: {type: end, "
                            "value: \"7\"}}}}, e: {type: end, needs: [k], value: k}}}");
    assert_string_equal(rig_result(r), "7");
}

static void children_of_children_under_foreach(void **state) {
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {k: {type: kid, foreach: {items: \"[1, 2, 3]\"}, inputs: {x: item}, "
        "workflow: {inputs: {x: {type: integer}}, nodes: {"
        "k: {type: kid, inputs: {x: inputs.x}, " CHILD "}, e: {type: end, needs: [k], value: k}}}},"
        "e: {type: end, needs: [k], value: k}}}");
    assert_int_equal(rig_open_count(), 3);
    rig_done_all(); /* null + x fails */
    assert_string_equal(rig_status(r), "failed");
    r = rig_run("{cairn: 1, nodes: {k: {type: kid, foreach: {items: \"[1, 2, 3]\"}, inputs: {x: "
                "item}, " CHILD "}, e: {type: end, needs: [k], value: k}}}");
    while (rig_find("w")) {
        rig_done("w", "10");
    }
    assert_string_equal(rig_result(r), "[11,12,13]");
}

static void a_child_fails(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    struct run *c = child_of(r);
    rig_fail("w", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(c), "failed");
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "\"type\":\"broken\""));
    assert_non_null(strstr(rig_error(r), run_id(c).ptr));
    assert_non_null(strstr(rig_error(r), "as the test says"));
    assert_non_null(strstr(rig_error(r), "\"node\":\"k\""));
}

/* What failed is not found again: a retry runs a new one. */
static void a_failed_child_is_retried(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, retry: {attempts: 2, backoff: 1s, "
                            "jitter: 0, on: [any]}, inputs: {x: \"1\"}, " CHILD
                            "}, e: {type: end, needs: [k], value: k}}}");
    rig_fail("w", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(1000);
    rig_done("w", "3");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "4");
}

static void inputs_that_do_not_fit(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, inputs: {x: execution.id}, " CHILD
                            "}, e: {type: end, needs: [k], value: k}}}");
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "\"type\":\"invalid\""));
    assert_non_null(strstr(rig_error(r), "inputs of sub-workflow"));
    assert_int_equal(rig.lost, 0);
    r = rig_run("{cairn: 1, nodes: {k: {type: kid, on_error: {value: \"0\"}, "
                "inputs: {x: execution.now}, " CHILD "}, e: {type: end, needs: [k], value: k}}}");
    assert_string_equal(rig_status(r), "completed");
}

static void cancelling_the_parent_cancels_the_child(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run(parent);
    struct run *c = child_of(r);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turn(); /* the tree in one commit */
    assert_string_equal(rig_status(c), "cancelled");
    assert_string_equal(rig_status(r), "cancelled");
    rig_turns();
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig.ended, 2);
    assert_false(rig_turn());
}

static void ask(struct run *r, enum host_request_type type) {
    struct host_request q = {.type = type, .by = STR("the test")};
    struct error e;
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
}

/* While a tree is paused the time of its sub-workflows stands still; the execution's does, too. */
static void the_time_of_a_child_stands_still_in_a_pause(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, timeout: 20s, nodes: {k: {type: kid, timeout: 2s, " CHILD
                            "}, e: {type: end, needs: [k], value: k}}}");
    struct run *c = child_of(r);
    rig_wait_ms(1500);
    ask(r, REQUEST_PAUSE);
    assert_string_equal(rig_status(c), "paused");
    for (int i = 0; i < 10; i++) {
        rig_wait_ms(3000);
    }
    assert_string_equal(rig_status(r), "paused");
    ask(r, REQUEST_RESUME);
    assert_string_equal(rig_status(c), "running");
    rig_wait_ms(400);
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(200);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "timeout of 2s"));
    rig_check_fold(r);
}

static void a_timeout_of_the_step_cancels_the_child(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, timeout: 2s, " CHILD
                            "}, e: {type: end, needs: [k], value: k}}}");
    struct run *c = child_of(r);
    rig_wait_ms(2000);
    assert_string_equal(rig_status(c), "cancelled");
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "timeout"));
}

/* The new owner cancels the step before it has come to go on with it. */
static void a_child_that_a_crash_left_is_cancelled_with_its_step(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, on_failure: cancel, nodes: {a: {type: work, delivery: at_most_once}, "
                "k: {type: kid, " CHILD "}}}");
    struct str id = arena_str(&rig.arena, run_id(child_of(r)));
    r = rig_restart(r, 0);
    rig_turns();
    assert_string_equal(rig_status(r), "failed");
    assert_string_equal(rig_stored(id).row.status.ptr, "cancelled");
}

/* Nothing of it is recorded before all of it can be. */
static void a_tree_ends_at_once_also_when_a_part_cannot_be_claimed(void **state) {
    struct error e;
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {g: {type: kid, " CHILD "}}}}}}");
    struct str ids[] = {arena_str(&rig.arena, run_id(r)),
                        arena_str(&rig.arena, run_id(child_of(r))),
                        arena_str(&rig.arena, run_id(child_of(child_of(r))))};
    rig_reopen();
    assert_int_equal(host_resume(rig.host, ids[0], &r, &e), OK);
    rig_turn(); /* k goes on with its sub-workflow, which has not begun yet */
    assert_int_equal(rig_stored(ids[1]).epoch, 2);
    assert_int_equal(rig_stored(ids[2]).epoch, 1);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig.commits = "bbbbb";
    rig_turn();
    assert_string_equal(rig_stored(ids[0]).row.status.ptr, "running");
    rig_turns();
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_string_equal(rig_stored(ids[i]).row.status.ptr, "cancelled");
    }
}

/* Its step was undone, so nobody waits for it; what it has to do finally is done all the same. */
static void a_child_that_was_cancelled_goes_on_with_its_parent(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work}, k: {type: kid, needs: [a], "
                "workflow: {finally: [f], nodes: {w: {type: work}, f: {type: work}}}}}}");
    struct error e;
    struct host_request q = {
        .type = REQUEST_ROLLBACK, .step = STR("a"), .value = value_bool(true), .by = STR("me")};
    rig_done("a", "1");
    struct str kid = arena_str(&rig.arena, run_id(child_of(r)));
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
    assert_int_equal(rig_count(kid, "cancel_requested"), 1);
    assert_int_equal(rig_find("f")->attempt, 1);
    r = rig_restart(r, 0);
    rig_turns();
    assert_int_equal(rig_find("f")->attempt, 2);
    assert_int_equal(rig_find("a~1")->attempt, 2);
    rig_done("f", "1");
    assert_true(str_is(rig_stored(kid).row.status, "cancelled"));
    assert_string_equal(rig_status(r), "running");
}

static void cancelling_the_child_fails_the_step(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run(parent);
    assert_int_equal(host_cancel(rig.host, child_of(r), STR("me"), &e), OK);
    rig_turns();
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "cancelled"));
}

static void a_child_is_found_again_after_a_crash(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    struct str id = arena_str(&rig.arena, run_id(child_of(r)));
    r = rig_restart(r, 0);
    rig_turns();
    struct run *c = child_of(r);
    assert_true(str_eq(run_id(c), id));
    assert_int_equal(rig_find("w")->attempt, 2);
    rig_done("w", "1");
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "22");
}

/* The child had ended, its parent had not heard of it. */
static void a_child_that_ended_before_the_crash(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    struct run *c = child_of(r);
    rig_tell_done(rig_find("w"), "1", NULL);
    rig_turn();
    assert_string_equal(rig_status(c), "completed");
    assert_string_equal(rig_status(r), "running");
    r = rig_restart(r, 0);
    rig_turns();
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "22");
    assert_int_equal(rig_starts_of("w"), 1);
}

/* Parent and child are one thing to own: neither goes on here without the other. */
static void a_lost_child_takes_its_parent_along(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    rig_turns();
    rig.commits = "bbbbb";
    rig_done("w", "1");
    assert_int_equal(rig.lost, 2);
    assert_false(rig_turn());
    assert_string_equal(rig_status(r), "running");
    r = rig_restart(r, 0);
    rig_turns();
    rig_done("w", "1");
    assert_string_equal(rig_status(r), "completed");
}

static void a_lost_parent_takes_its_child_along(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, k: {type: kid, " CHILD "}}}");
    struct run *c = child_of(r);
    rig.commits = "bbbbb";
    rig_done("a", "1");
    assert_int_equal(rig.lost, 2);
    assert_string_equal(rig_status(c), "running"); /* not cancelled: another owner goes on */
    assert_int_equal(rig_count(run_id(c), "cancel_requested"), 0);
    assert_int_equal(rig_open_count(), 0);
    assert_false(rig_turn());
}

static void closing_stops_the_whole_tree(void **state) {
    (void)state;
    struct run *r = rig_run(parent);
    struct str id = arena_str(&rig.arena, run_id(child_of(r)));
    rig_reopen();
    assert_int_equal(rig_open_count(), 0);
    assert_int_equal(rig_count(id, "cancel_requested"), 0);
}

static void a_child_that_cannot_be_stored(void **state) {
    (void)state;
    struct run *r = rig_submit(rig_plan(parent), NULL);
    rig.workflows = "bb";
    rig_turns(); /* tried again */
    rig_done("w", "1");
    assert_string_equal(rig_status(r), "completed");
}

/* Environment variables are recorded at submission, and children see them. */
static void a_child_sees_the_recorded_environment(void **state) {
    (void)state;
    struct error e;
    struct run *r = NULL;
    struct value_builder env;
    value_builder_init(&env, &rig.arena);
    value_map_add(&env, STR("REGION"), value_text(STR("north")));
    struct host_submission s = {
        .plan = rig_plan("{cairn: 1, env: [REGION], nodes: {k: {type: kid, workflow: {env: "
                         "[REGION], nodes: {e: {type: end, value: env.REGION}}}}, "
                         "e: {type: end, needs: [k], value: k}}}"),
        .inputs = {.type = VALUE_MAP},
        .env = value_map_done(&env)};
    assert_int_equal(host_submit(rig.host, &s, &r, &e), OK);
    rig_turns();
    assert_string_equal(rig_result(r), "\"north\"");
}

static void a_child_is_not_gone_on_with_without_its_parent(void **state) {
    (void)state;
    struct run *r = rig_run(parent), *alone = NULL;
    struct error e;
    assert_int_equal(host_resume(rig.host, run_id(child_of(r)), &alone, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "is a sub-workflow of"));
    assert_null(alone);
    rig_done("w", "100");
    assert_string_equal(rig_result(r), "121");
}

/* In the commit that records the parent's next step: nothing of the tree is performed here. */
static void a_child_that_was_taken_stops_its_parent_first(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {w: {type: work}, "
                            "v: {type: work, needs: [w]}}}}, a: {type: work}, b: {type: work, "
                            "needs: [a]}}}");
    rig_take_over(child_of(r));
    rig_tell_done(rig_find("a"), NULL, NULL);
    rig_tell_done(rig_find("w"), NULL, NULL);
    rig_turns();
    assert_int_equal(rig_starts_of("b") + rig_starts_of("v"), 0);
    assert_int_equal(rig.lost, 2);
}

int run_child_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(a_child_succeeds),
        T(a_child_that_was_taken_stops_its_parent_first),
        T(a_child_of_pure_steps),
        T(children_of_children_under_foreach),
        T(a_child_fails),
        T(a_failed_child_is_retried),
        T(inputs_that_do_not_fit),
        T(cancelling_the_parent_cancels_the_child),
        T(the_time_of_a_child_stands_still_in_a_pause),
        T(a_timeout_of_the_step_cancels_the_child),
        T(a_child_that_a_crash_left_is_cancelled_with_its_step),
        T(a_tree_ends_at_once_also_when_a_part_cannot_be_claimed),
        T(a_child_that_was_cancelled_goes_on_with_its_parent),
        T(cancelling_the_child_fails_the_step),
        T(a_child_is_found_again_after_a_crash),
        T(a_child_that_ended_before_the_crash),
        T(a_lost_child_takes_its_parent_along),
        T(a_lost_parent_takes_its_child_along),
        T(closing_stops_the_whole_tree),
        T(a_child_that_cannot_be_stored),
        T(a_child_sees_the_recorded_environment),
        T(a_child_is_not_gone_on_with_without_its_parent),
#undef T
    };
    return cmocka_run_group_tests_name("host children", tests, NULL, NULL);
}

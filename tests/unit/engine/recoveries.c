/* Recovery: a step that failed for good waits for a person's decision; what each answer and the
 * passing of the time lead to, and that a fold finds the same.
 */
#include <stdio.h>

#include "groups.h"

#define ONE(fields) "cairn: 1\nnodes:\n  a: {type: work, " fields "}\n"

static struct drive d;
static const char *verdict; /* of the last answer */

static struct value request_of(const char *step) {
    struct step_id id;
    assert_true(step_id_parse(d.plan, str_from(step), &id));
    const struct track *t = engine_track_find(d.engine, id);
    assert_non_null(t);
    assert_int_equal(t->status, STEP_WAITING);
    return t->more->request;
}

static void assert_asks(const char *step) {
    struct value request = request_of(step);
    assert_str(value_str(*value_get(request, STR("for"))), "answer");
    assert_str(value_str(*value_get(request, STR("reason"))), "failed");
    drive_refold(&d);
}

static void assert_verdict(const char *begin) {
    if (!str_starts(str_from(verdict), str_from(begin))) {
        print_error("%s\n", verdict);
    }
    assert_true(str_starts(str_from(verdict), str_from(begin)));
}

static void answer(const char *step, const char *text) {
    verdict = drive_answer(&d, step, text);
    drive_refold(&d);
}

static void fail_and_ask(const char *yaml) {
    drive_open(&d, yaml);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    assert_asks("a");
}

static void retry_makes_a_new_attempt_with_all_its_retries(void **state) {
    (void)state;
    drive_open(&d, ONE("recover: ask, retry: {attempts: 2, backoff: 0s}"));
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_fail(&d, "a", 2, FAILURE_TRANSIENT, "code");
    assert_asks("a");
    verdict = drive_answer(&d, "a", "retry");
    assert_verdict("accepted");
    assert_int_equal(effect_of(&d, OUT_TIMER)->timer, INPUT_RETRY_DUE);
    drive_input(&d, INPUT_RETRY_DUE, "a", 2);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 3);
    drive_fail(&d, "a", 3, FAILURE_TRANSIENT, "code");
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 4); /* by itself, as at first */
    drive_fail(&d, "a", 4, FAILURE_TRANSIENT, "code");
    assert_asks("a");
    answer("a", "retry");
    drive_input(&d, INPUT_RETRY_DUE, "a", 4);
    drive_done(&d, "a", 5, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

static void a_new_owner_goes_on_with_what_was_answered(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: ask"));
    answer("a", "retry");
    drive_input(&d, INPUT_START, NULL, 0); /* another owner */
    assert_int_equal(effect_of(&d, OUT_TIMER)->timer, INPUT_RETRY_DUE);
    drive_input(&d, INPUT_RETRY_DUE, "a", 1);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 2);
}

static void fail_fails_as_it_would_have(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: ask"));
    answer("a", " fail\n");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "code");
    assert_str(engine_error(d.engine)->message, "no luck");
}

static void a_value_completes_the_step(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: ask, output_schema: {type: integer}"));
    answer("a", "{\"value\": \"x\"}");
    assert_verdict("refused: the body does not fit output_schema");
    answer("a", "7");
    assert_verdict("refused: the answer must be one of: retry, fail, or");
    answer("a", "{\"value\": 7}");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    assert_int_equal(engine_node_body(d.engine, 0).num, 7);
    const struct event *ev = event_of(&d, EVENT_STEP_COMPLETED);
    assert_str(value_str(*value_get(ev->meta, STR("recoveredBy"))), "me");
    const struct value *error = value_get(ev->meta, STR("error"));
    assert_str(value_str(*value_get(*error, STR("type"))), "code");
}

static void the_value_of_a_choice_is_its_handle(void **state) {
    (void)state;
    drive_open(&d,
               "cairn: 1\nnodes:\n  a: {type: condition, when: \"inputs.x\", effect: true, "
               "recover: ask}\n  b: {type: work, needs: [a.true]}\ninputs: {x: {default: 1}}\n");
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    assert_asks("a");
    answer("a", "{\"value\": 3}");
    assert_verdict("refused: the value of \"a\" must be the text of a handle");
    answer("a", "{\"value\": \"limit\"}");
    assert_verdict("refused: the step ended by \"limit\"");
    answer("a", "{\"value\": \"true\"}");
    assert_int_equal(drive_status(&d, "b"), STEP_RUNNING);
}

static void pass(int64_t us, const char *step, uint32_t attempt) {
    d.now_us += us;
    drive_input(&d, INPUT_WAIT_DUE, step, attempt);
    drive_refold(&d);
}

static void nobody_in_time_is_the_turn_of_the_next(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: [{ask: first, timeout: 10s}, {ask: second, timeout: 10s, "
                     "on_timeout: retry}, fail]"));
    assert_str(value_str(*value_get(request_of("a"), STR("prompt"))),
               "first (a failed: code: no luck)");
    pass(9000000, "a", 1); /* told too early: that of something before */
    assert_asks("a");
    pass(1000000, "a", 1);
    assert_str(value_str(*value_get(request_of("a"), STR("prompt"))),
               "second (a failed: code: no luck)");
    pass(10000000, "a", 1);
    assert_int_equal(drive_status(&d, "a"), STEP_RETRYING);
}

/* Nobody answers, attempt after attempt: so often, then the next entry, then it fails. */
static void nobody_ever_ends_it(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: [{ask: first, timeout: 10s, on_timeout: retry, times: 2}, "
                     "{ask: second, timeout: 10s, on_timeout: retry, times: 1}]"));
    for (uint32_t attempt = 1; attempt <= 4; attempt++) {
        bool second = attempt > 2;
        pass(10000000, "a", attempt);
        if (second) { /* of the first nothing is left */
            assert_int_equal(drive_status(&d, "a"), STEP_WAITING);
            assert_true(
                str_starts(value_str(*value_get(request_of("a"), STR("prompt"))), STR("second")));
            pass(10000000, "a", attempt);
        }
        if (attempt == 4) {
            break;
        }
        assert_int_equal(drive_status(&d, "a"), STEP_RETRYING);
        drive_input(&d, INPUT_RETRY_DUE, "a", attempt);
        drive_fail(&d, "a", attempt + 1, FAILURE_TRANSIENT, "code");
        assert_asks("a");
    }
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
}

static void who_answers_gives_all_times_again(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: {ask: what, timeout: 10s, on_timeout: retry, times: 1}"));
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        if (attempt == 2) {
            answer("a", "retry");
        } else {
            pass(10000000, "a", attempt);
        }
        drive_input(&d, INPUT_RETRY_DUE, "a", attempt);
        drive_fail(&d, "a", attempt + 1, FAILURE_TRANSIENT, "code");
        assert_asks("a");
    }
    pass(10000000, "a", 4);
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
}

static void each_item_counts_for_itself(void **state) {
    (void)state;
    drive_open(&d, ONE("foreach: [1, 2], recover: {ask: what, timeout: 10s, on_timeout: retry, "
                       "times: 1}"));
    drive_fail(&d, "a[0]", 1, FAILURE_TRANSIENT, "code");
    drive_fail(&d, "a[1]", 1, FAILURE_TRANSIENT, "code");
    pass(10000000, "a[0]", 1);
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    drive_fail(&d, "a[0]", 2, FAILURE_TRANSIENT, "code");
    drive_refold(&d);
    pass(10000000, "a[1]", 1);
    drive_input(&d, INPUT_RETRY_DUE, "a[1]", 1);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 2);
    struct step_id first;
    assert_true(step_id_parse(d.plan, STR("a[0]"), &first));
    assert_int_equal(engine_track_find(d.engine, first)->status, STEP_WAITING);
    pass(1, "a[0]", 2);
    assert_int_equal(engine_track_find(d.engine, first)->status, STEP_FAILED);
}

static void after_the_last_one_it_fails(void **state) {
    (void)state;
    fail_and_ask(ONE("recover: [{ask: \"\", timeout: 10s}]"));
    pass(10000000, "a", 1);
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "code");
}

static void fail_has_the_last_word(void **state) {
    (void)state;
    drive_open(&d, ONE("recover: [fail, ask]"));
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
}

static void what_is_handled_asks_nobody(void **state) {
    (void)state;
    static const char *const handled[] = {"on_error: continue", "on_error: {value: 1}",
                                          "foreach: {items: \"[1]\", on_item_error: collect}"};
    for (size_t i = 0; i < ARRAY_LEN(handled); i++) {
        char yaml[300];
        snprintf(yaml, sizeof yaml, ONE("recover: ask, %s"), handled[i]);
        drive_open(&d, yaml);
        drive_fail(&d, i == 2 ? "a[0]" : "a", 1, FAILURE_TRANSIENT, "code");
        assert_true(exec_status_final(engine_status(d.engine)));
        drive_close(&d);
    }
    drive_open(&d, "cairn: 1\nrecover: ask\nnodes:\n  a: {type: work}\n"
                   "  b: {type: work, needs: [a.error]}\n");
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(drive_status(&d, "a"), STEP_FAILED);
}

static void an_item_asks_and_the_others_go_on(void **state) {
    (void)state;
    drive_open(&d, ONE("foreach: {items: \"[1, 2, 3]\", concurrency: 1}, recover: ask"));
    drive_fail(&d, "a[0]", 1, FAILURE_TRANSIENT, "code");
    assert_asks("a[0]");
    assert_int_equal(effect_of(&d, OUT_PERFORM)->step.index, 1); /* who waits holds nothing */
    drive_done(&d, "a[1]", 1, value_int(2));
    drive_done(&d, "a[2]", 1, value_int(3));
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    answer("a[0]", "retry");
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->attempt, 2);
    drive_done(&d, "a[0]", 2, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

static void an_item_that_goes_on_waits_for_a_place(void **state) {
    (void)state;
    drive_open(&d, ONE("foreach: {items: \"[1, 2, 3]\", concurrency: 1}, recover: ask"));
    drive_fail(&d, "a[0]", 1, FAILURE_TRANSIENT, "code");
    answer("a[0]", "retry");
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    assert_null(effect_of(&d, OUT_PERFORM)); /* a[1] runs */
    drive_refold(&d);
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 1);
    drive_done(&d, "a[1]", 1, value_int(2));
    assert_int_equal(effects_of(&d, OUT_PERFORM), 1);
    assert_int_equal(effect_of(&d, OUT_PERFORM)->step.index, 0);
    drive_done(&d, "a[0]", 2, value_int(1));
    drive_done(&d, "a[2]", 1, value_int(3));
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

static void an_item_that_is_given_up_fails_the_foreach(void **state) {
    (void)state;
    drive_open(&d, ONE("foreach: \"[1, 2]\", recover: ask"));
    drive_fail(&d, "a[0]", 1, FAILURE_TRANSIENT, "code");
    answer("a[0]", "fail");
    assert_int_equal(drive_status(&d, "a"), STEP_FAILED);
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
}

static void what_never_began_is_looked_at_anew(void **state) {
    (void)state;
    static const char *const fields[] = {"if: inputs.x.y", "foreach: inputs.x.y",
                                         "note: \"{{ inputs.x.y }}\""};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char yaml[300];
        snprintf(yaml, sizeof yaml,
                 "cairn: 1\ninputs: {x: {default: {}}}\nrecover: ask\nnodes:\n"
                 "  a: {type: work, %s}\n",
                 fields[i]);
        drive_open(&d, yaml);
        assert_asks("a");
        answer("a", "retry"); /* it fails again, and asks again */
        assert_asks("a");
        uint32_t asked = 0;
        for (uint32_t k = 0; k < d.event_count; k++) {
            asked += d.journal[k].kind == EVENT_STEP_SUSPENDED;
        }
        assert_int_equal(asked, 2);
        answer("a", "{\"value\": [1]}");
        assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
        drive_close(&d);
    }
    drive_open(&d, ONE("foreach: \"[{}, {'y': 1}]\", note: \"{{ item.y }}\", recover: ask"));
    assert_asks("a[0]");
    drive_done(&d, "a[1]", 1, value_int(2));
    answer("a[0]", "retry");
    drive_input(&d, INPUT_RETRY_DUE, "a[0]", 0);
    assert_asks("a[0]");
    answer("a[0]", "{\"value\": 1}");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

static void pause_cancel_and_drain_are_as_for_what_waits(void **state) {
    (void)state;
    static const char two[] = "cairn: 1\nnodes:\n"
                              "  a: {type: work, recover: [{ask: \"\", timeout: 5s}]}\n"
                              "  b: {type: work}\n";
    drive_open(&d, two);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_input(&d, INPUT_PAUSE, NULL, 0);
    pass(6000000, "a", 1);
    assert_int_equal(drive_status(&d, "a"), STEP_WAITING);
    drive_input(&d, INPUT_RESUME, NULL, 0);
    assert_int_equal(effect_of(&d, OUT_TIMER)->timer, INPUT_WAIT_DUE);
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    assert_int_equal(engine_status(d.engine), EXEC_CANCELLED);
    drive_refold(&d);
    drive_close(&d);
    drive_open(&d, two);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_fail(&d, "b", 1, FAILURE_TRANSIENT, "code");
    assert_int_equal(drive_status(&d, "a"), STEP_CANCELLED);
    drive_refold(&d);
    drive_input(&d, INPUT_RETRY, NULL, 0);
    drive_done(&d, "a~1", 1, value_int(1));
    drive_done(&d, "b~1", 1, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
}

static void usage_of_what_failed_counts_once(void **state) {
    (void)state;
    struct value_builder b, usage;
    drive_open(&d, ONE("recover: ask, retry: {attempts: 2, backoff: 0s}"));
    value_builder_init(&usage, &d.arena);
    value_map_add(&usage, STR("llmCalls"), value_int(1));
    value_builder_init(&b, &d.arena);
    value_map_add(&b, STR("usage"), value_map_done(&usage));
    d.meta = value_map_done(&b);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "code");
    drive_fail(&d, "a", 2, FAILURE_TRANSIENT, "code");
    assert_asks("a");
    answer("a", "fail");
    assert_int_equal(engine_usage(d.engine).llm_calls, 2);
}

int run_recovery_tests(void) {
#define CLOSED(name) DRIVE_TEST(name, &d)
    const struct CMUnitTest tests[] = {
        CLOSED(retry_makes_a_new_attempt_with_all_its_retries),
        CLOSED(a_new_owner_goes_on_with_what_was_answered),
        CLOSED(fail_fails_as_it_would_have),
        CLOSED(a_value_completes_the_step),
        CLOSED(the_value_of_a_choice_is_its_handle),
        CLOSED(nobody_in_time_is_the_turn_of_the_next),
        CLOSED(nobody_ever_ends_it),
        CLOSED(who_answers_gives_all_times_again),
        CLOSED(each_item_counts_for_itself),
        CLOSED(after_the_last_one_it_fails),
        CLOSED(fail_has_the_last_word),
        CLOSED(what_is_handled_asks_nobody),
        CLOSED(an_item_asks_and_the_others_go_on),
        CLOSED(an_item_that_goes_on_waits_for_a_place),
        CLOSED(an_item_that_is_given_up_fails_the_foreach),
        CLOSED(what_never_began_is_looked_at_anew),
        CLOSED(pause_cancel_and_drain_are_as_for_what_waits),
        CLOSED(usage_of_what_failed_counts_once),
    };
    return cmocka_run_group_tests_name("recoveries", tests, NULL, NULL);
}

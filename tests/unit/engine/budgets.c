/* Budgets: what is counted, what is refused and asked, what an answer leads to; and that a fold
 * finds the same after every event.
 */
#include "groups.h"

static struct drive d;

static void open_flow(const char *yaml) {
    drive_open(&d, yaml);
    drive_refold(&d);
}

static uint32_t count_events(enum event_kind kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < d.event_count; i++) {
        count += d.journal[i].kind == kind;
    }
    return count;
}

static void answer(const char *step, const char *text, const char *verdict) {
    const char *said = drive_answer(&d, step, text);
    if (!str_starts(str_from(said), str_from(verdict))) {
        fail_msg("\"%s\" does not begin with \"%s\"", said, verdict);
    }
    drive_refold(&d);
}

static void tell_raised(void) {
    drive_input(&d, INPUT_BUDGET_RAISED, NULL, 0);
    drive_refold(&d);
}

static struct account account(void) { return engine_account(d.engine); }

/* Two begin, the third asks; what is pure and everything after it waits, too. */
static void steps_ask_and_nothing_new_starts(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {steps: 2}\nnodes:\n"
              "  a: {type: work}\n  b: {type: work}\n  c: {type: work}\n"
              "  p: {type: condition, when: 'true', priority: -1}\n"
              "  f: {type: work, foreach: {items: [1, 2]}}\n"
              "  e: {type: work, needs: a}\n");
    assert_int_equal(account().used[BUDGET_STEPS], 2);
    assert_int_equal(drive_status(&d, "c"), STEP_WAITING);
    assert_int_equal(drive_status(&d, "p"), STEP_PENDING);
    drive_done(&d, "a", 1, value_int(1));
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "e"), STEP_PENDING);
    assert_int_equal(count_events(EVENT_BUDGET_EXCEEDED), 1);
    drive_done(&d, "b", 1, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    answer("c", "2", "accepted");
    assert_int_equal(drive_status(&d, "c"), STEP_WAITING);
    tell_raised();
    assert_int_equal(drive_status(&d, "c"), STEP_RUNNING);
    assert_int_equal(account().used[BUDGET_STEPS], 4); /* c, f[0] */
    assert_int_equal(count_events(EVENT_BUDGET_EXCEEDED), 2);
    answer("f[1]", "{\"steps\": 5}", "accepted");
    tell_raised();
    drive_done(&d, "f[1]", 1, value_int(1));
    drive_done(&d, "f[0]", 1, value_int(1));
    drive_done(&d, "c", 1, value_int(1));
    drive_done(&d, "e", 1, value_int(1));
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "f"), STEP_COMPLETED);
    assert_int_equal(account().used[BUDGET_STEPS], 6);
}

static void items_of_a_foreach_go_on_in_order(void **state) {
    (void)state;
    open_flow("cairn: 1\nconcurrency: 2\nbudget: {steps: 1}\nnodes:\n"
              "  f: {type: work, foreach: {items: [1, 2, 3, 4]}}\n");
    for (int i = 0; i < 4; i++) {
        char step[8] = {'f', '[', (char)('0' + i), ']', '\0'};
        drive_done(&d, step, 1, value_int(1));
        drive_refold(&d);
        if (i < 3) {
            step[2]++;
            assert_int_equal(engine_status(d.engine), EXEC_WAITING);
            answer(step, "+1", "accepted");
            tell_raised();
        }
    }
    assert_int_equal(drive_status(&d, "f"), STEP_COMPLETED);
    assert_int_equal(count_events(EVENT_BUDGET_EXCEEDED), 3);
}

static void answers_that_are_none(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {steps: 0}\nnodes:\n  a: {type: work}\n");
    answer("a", "much", "refused: the answer must be how much more, or fail: \"steps\"");
    answer("a", "retry", "refused: the answer must be how much more, or fail: with nothing more");
    answer("a", "0", "refused: the answer must be how much more, or fail: it allows nothing");
    answer("a", "-1", "refused:");
    answer("a", "{\"dollars\": 1}", "refused: the answer must be how much more, or fail: a budget");
    answer("a", "{\"usd\": 1}", "accepted"); /* of something else */
    tell_raised();
    assert_int_equal(drive_status(&d, "a"), STEP_WAITING);
    answer("a", " fail ", "accepted");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "budget");
    assert_str(engine_error(d.engine)->message, "over the budget of 0 steps: 0 used");
}

static void it_fails_at_once_and_is_not_tried_again(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {llm_calls: 0, on_exceed: fail}\nnodes:\n"
              "  a: {type: work, retry: {attempts: 3, on: [any, budget]}}\n");
    drive_over_budget(&d, "a", BUDGET_LLM_CALLS, 1);
    drive_refold(&d);
    assert_int_equal(count_events(EVENT_STEP_RETRYING), 0);
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_int_equal(effects_of(&d, OUT_CANCEL), 1);
}

/* The step a asks before its first call, is allowed one, and is begun once more. */
static void asks_and_goes_on(const char *yaml) {
    open_flow(yaml);
    drive_over_budget(&d, "a", BUDGET_LLM_CALLS, 1);
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "a"), STEP_WAITING);
    answer("a", "1", "accepted");
    tell_raised();
    assert_int_equal(drive_status(&d, "a"), STEP_RUNNING);
}

static void a_call_that_asks_goes_on_with_another_attempt(void **state) {
    (void)state;
    asks_and_goes_on("cairn: 1\nbudget: {llm_calls: 0}\nnodes:\n  a: {type: work}\n");
    assert_int_equal(d.journal[d.event_count - 1].attempt, 2);
    assert_int_equal(account().used[BUDGET_STEPS], 1);
}

static void calls_reserve_and_settle(void **state) {
    (void)state;
    struct step_charge c = {.tokens = 100, .nano_usd = 7};
    open_flow("cairn: 1\nbudget: {tokens: 1000}\nnodes:\n"
              "  a: {type: work, retry: {attempts: 3, backoff: 0s}}\n  b: {type: work}\n");
    drive_call(&d, INPUT_CALL_BEGUN, "a", 1, &c, NULL);
    assert_int_equal(effects_of(&d, OUT_CALL), 1);
    drive_call(&d, INPUT_CALL_BEGUN, "b", 1, &c, NULL);
    drive_refold(&d);
    assert_int_equal(account().reserved[BUDGET_TOKENS], 200);
    assert_int_equal(account().reserved[BUDGET_USD], 14);
    drive_call(&d, INPUT_CALL_BEGUN, "b", 1, &c, NULL); /* told again */
    assert_int_equal(d.out.record_count, 0);
    assert_int_equal(effects_of(&d, OUT_CALL), 1);
    drive_call(&d, INPUT_CALL_DONE, "a", 1, NULL,
               "{\"usage\": {\"inputTokens\": 3, \"outputTokens\": 4, \"costUsd\": 0.000000005}}");
    drive_refold(&d);
    assert_int_equal(account().used[BUDGET_TOKENS], 7);
    assert_int_equal(account().used[BUDGET_USD], 5);
    assert_int_equal(account().reserved[BUDGET_TOKENS], 100);
    drive_call(&d, INPUT_CALL_FAILED, "b", 1, NULL, NULL);
    drive_refold(&d);
    assert_int_equal(account().reserved[BUDGET_TOKENS], 0);
    assert_int_equal(account().used[BUDGET_TOKENS], 7);
    drive_call(&d, INPUT_CALL_BEGUN, "a", 2, &c, NULL);
    drive_fail(&d, "a", 1, FAILURE_TRANSIENT, "timeout"); /* nobody knows what that call used */
    drive_refold(&d);
    assert_int_equal(account().reserved[BUDGET_TOKENS], 0);
    assert_int_equal(account().used[BUDGET_TOKENS], 107);
    assert_int_equal(account().used[BUDGET_LLM_CALLS], 3);
    assert_int_equal(account().used[BUDGET_STEPS], 2);
}

static void more_time_counts_from_now(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {time: 10s}\nnodes:\n  a: {type: work}\n"
              "  b: {type: work, needs: a}\n  c: {type: work, needs: b}\n");
    d.now_us += 60000000;
    drive_done(&d, "a", 1, value_int(1));
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "b"), STEP_WAITING);
    d.now_us += 60000000;
    answer("b", "5s", "accepted");
    tell_raised();
    assert_int_equal(drive_status(&d, "b"), STEP_RUNNING);
    assert_int_equal(engine_budget(d.engine).limit[BUDGET_TIME], 125000000);
    d.now_us += 6000000;
    drive_done(&d, "b", 1, value_int(1));
    assert_int_equal(drive_status(&d, "c"), STEP_WAITING);
}

/* A foreach that fails takes its waiting items with it: nothing is held up by them. */
static void what_is_cancelled_holds_up_nothing(void **state) {
    (void)state;
    open_flow("cairn: 1\non_failure: continue\nbudget: {steps: 2}\nnodes:\n"
              "  f: {type: work, foreach: {items: [1, 2, 3]}}\n"
              "  p: {type: condition, when: 'true', priority: -1}\n");
    assert_int_equal(drive_status(&d, "p"), STEP_PENDING);
    drive_fail(&d, "f[0]", 1, FAILURE_PERMANENT, "code");
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "f"), STEP_FAILED);
    assert_int_equal(drive_status(&d, "p"), STEP_RUNNING);
}

#define ONCE "cairn: 1\nbudget: {llm_calls: 0}\nnodes:\n  a: {type: work, delivery: at_most_once}\n"

/* As long as no call was made nothing was done: a person may be asked, and it goes on. */
static void at_most_once_asks_before_its_first_call(void **state) {
    (void)state;
    asks_and_goes_on(ONCE);
}

static void at_most_once_fails_after_its_first_call(void **state) {
    struct step_charge c = {.tokens = 1};
    (void)state;
    open_flow(ONCE);
    drive_call(&d, INPUT_CALL_BEGUN, "a", 1, &c, NULL);
    drive_call(&d, INPUT_CALL_DONE, "a", 1, NULL, "{}");
    drive_over_budget(&d, "a", BUDGET_LLM_CALLS, 1);
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "a"), STEP_FAILED);
    assert_str(engine_error(d.engine)->type, "budget");
}

/* A limit that a retry sets is one of all that was used, in every later fold. */
static void a_retry_sets_limits(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {steps: 1, on_exceed: fail}\nnodes:\n"
              "  a: {type: work}\n  b: {type: work, needs: a}\n  c: {type: work, needs: b}\n");
    drive_done(&d, "a", 1, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    struct budget more = {.on_exceed = EXCEED_PAUSE};
    more.has[BUDGET_STEPS] = true;
    more.limit[BUDGET_STEPS] = 2;
    struct arena a;
    arena_init(&a, 0);
    struct engine_input in = {.type = INPUT_RETRY, .host = 1, .epoch = 2};
    in.value = budget_value(&more, &a);
    drive_give(&d, &in);
    drive_refold(&d);
    assert_int_equal(engine_budget(d.engine).limit[BUDGET_STEPS], 2);
    drive_done(&d, "b~1", 1, value_int(1));
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "c"), STEP_WAITING);
    arena_fini(&a);
}

static void the_time_of_a_retry_begins_anew(void **state) {
    (void)state;
    open_flow("cairn: 1\nbudget: {time: 10s, on_exceed: fail}\nnodes:\n"
              "  a: {type: work}\n  b: {type: work, needs: a}\n");
    d.now_us += 60000000;
    drive_done(&d, "a", 1, value_int(1));
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    struct engine_input in = {.type = INPUT_RETRY, .host = 1, .epoch = 2};
    drive_give(&d, &in);
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "b"), STEP_RUNNING);
}

int run_budget_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) DRIVE_TEST(f, &d)
        T(steps_ask_and_nothing_new_starts),
        T(items_of_a_foreach_go_on_in_order),
        T(answers_that_are_none),
        T(it_fails_at_once_and_is_not_tried_again),
        T(a_call_that_asks_goes_on_with_another_attempt),
        T(calls_reserve_and_settle),
        T(more_time_counts_from_now),
        T(what_is_cancelled_holds_up_nothing),
        T(at_most_once_asks_before_its_first_call),
        T(at_most_once_fails_after_its_first_call),
        T(a_retry_sets_limits),
        T(the_time_of_a_retry_begins_anew),
#undef T
    };
    return cmocka_run_group_tests_name("budgets", tests, NULL, NULL);
}

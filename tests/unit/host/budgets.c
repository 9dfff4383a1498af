/* Budgets of trees: calls reserve before they are made, wait for what others have reserved, and are
 * not made when they would exceed; the numbers are the same after every fold and take-over.
 */
#include "rig.h"

#include "host/host_priv.h"

/* Calls that were made, in order: the port is NULL once its step was ended. */
static struct {
    struct step_port *port;
    char step[STEP_ID_BYTES];
    uint32_t call;
} made[64];
static uint32_t made_count;

static void go(struct step_port *port, uint32_t call) {
    snprintf(made[made_count].step, STEP_ID_BYTES, "%.*s", STR_ARG(port->in->step));
    made[made_count].port = port;
    made[made_count++].call = call;
}

/* Each attempt asks once, for at most 20 tokens and a cent. */
static struct step_charge charge;

static void ask(struct rig *g, struct step_port *port) {
    struct value known;
    (void)g;
    (void)port->ops->call_reserve(port, value_null(), &charge, &known);
}

static int setup(void **state) {
    int status = rig_setup(state);
    charge = (struct step_charge){.tokens = 20, .nano_usd = BUDGET_NANO_USD / 100, .go = go};
    made_count = 0;
    rig.on_start = ask;
    return status;
}

static struct value answer_of(int64_t tokens) {
    char text[120];
    snprintf(text, sizeof text,
             "{\"usage\": {\"inputTokens\": %d, \"outputTokens\": 1, \"costUsd\": 0.002}}",
             (int)tokens - 1);
    return rig_json(text);
}

/* The i-th call is answered and its step ends. */
static void end_call(uint32_t i, int64_t tokens) {
    uint32_t at = 0;
    while (rig.starts[at].port != made[i].port) {
        at++;
    }
    made[i].port->ops->call_done(made[i].port, made[i].call, answer_of(tokens));
    made[i].port = NULL;
    rig_tell_done(&rig.starts[at], "1", NULL);
    rig_turns();
}

static struct run *run_of_ten(const char *budget) {
    char text[400];
    snprintf(text, sizeof text,
             "{cairn: 1, budget: {%s, on_exceed: fail}, nodes: {w: {type: work, foreach: {items: "
             "\"[1,2,3,4,5,6,7,8,9,10]\", on_item_error: collect}}}}",
             budget);
    return rig_run(text);
}

static void ten_at_once_with_a_budget_for_three(void **state) {
    static const char *const budgets[] = {"llm_calls: 3", "tokens: 60", "usd: 0.03"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(budgets); i++) {
        made_count = 0;
        struct run *r = run_of_ten(budgets[i]);
        assert_int_equal(made_count, 3);
        rig_check_fold(r);
        for (uint32_t k = 0; k < 3; k++) {
            made[k].port->ops->call_done(made[k].port, 1,
                                         rig_json("{\"usage\": {\"llmCalls\": 1}}"));
            rig_done(made[k].step, "1");
        }
        assert_int_equal(made_count, 3); /* what they used is not known: all that was reserved */
        assert_string_equal(rig_status(r), "partial");
        assert_int_equal(rig_count(run_id(r), "budget_exceeded"), 7);
        assert_int_equal(rig_count(run_id(r), "call_begun"), 3);
    }
}

static void a_call_waits_for_what_others_have_reserved(void **state) {
    (void)state;
    struct run *r = run_of_ten("tokens: 59");
    assert_int_equal(made_count, 2);
    assert_int_equal(rig_count(run_id(r), "budget_exceeded"), 0);
    end_call(0, 5);
    assert_int_equal(made_count, 3); /* 5 used, 40 reserved */
    end_call(1, 5);
    assert_int_equal(made_count, 4);
    assert_int_equal(r->tree.used[BUDGET_TOKENS], 10);
    assert_int_equal(r->tree.reserved[BUDGET_TOKENS], 40);
    for (uint32_t i = 2; i < made_count; i++) {
        assert_true(r->tree.used[BUDGET_TOKENS] + r->tree.reserved[BUDGET_TOKENS] <= 59);
        end_call(i, 5);
    }
    assert_string_equal(rig_status(r), "partial");
    assert_int_equal(made_count, 8); /* 40 used: one more may take 60 */
}

static void a_call_is_made_once_its_reservation_is_durable(void **state) {
    (void)state;
    for (const char *script = "ba"; *script; script++) {
        char commits[] = {'.', *script, '\0'};
        made_count = 0;
        rig.commits = commits;
        struct run *r = rig_run("{cairn: 1, budget: {tokens: 59}, nodes: {w: {type: work}}}");
        assert_int_equal(made_count, 1);
        assert_int_equal(rig_count(run_id(r), "call_begun"), 1);
        end_call(0, 7);
        assert_int_equal(r->tree.used[BUDGET_TOKENS], 7);
        assert_string_equal(rig_status(r), "completed");
    }
}

static void what_nobody_knows_counts_as_its_most(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, budget: {tokens: 100}, nodes: {w: {type: work}, "
                            "x: {type: work, retry: {attempts: 2, backoff: 0s}}}}");
    assert_int_equal(made_count, 2);
    struct step_port *x = rig_find("x")->port;
    x->ops->call_failed(x, 1, value_null()); /* the service has said that it did nothing */
    rig_fail("x", FAILURE_TRANSIENT, "broken");
    assert_int_equal(made_count, 3);
    assert_int_equal(r->tree.used[BUDGET_TOKENS], 0);
    assert_int_equal(r->tree.reserved[BUDGET_TOKENS], 40);
    assert_int_equal(r->tree.used[BUDGET_LLM_CALLS], 3);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    assert_int_equal(r->tree.used[BUDGET_TOKENS], 40);
    assert_int_equal(r->tree.reserved[BUDGET_TOKENS], 0);
}

static void without_a_price_no_money_is_spent(void **state) {
    (void)state;
    charge.no_price = "no price is known";
    struct run *r = rig_run("{cairn: 1, budget: {usd: 5}, nodes: {w: {type: work}}}");
    assert_int_equal(made_count, 0);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "no price is known"));
    r = rig_run("{cairn: 1, budget: {tokens: 500}, nodes: {w: {type: work}}}");
    assert_int_equal(made_count, 1);
    end_call(0, 3);
    assert_string_equal(rig_status(r), "completed");
}

static void a_cancelled_step_that_waits_lets_go(void **state) {
    (void)state;
    struct error e;
    struct run *r = run_of_ten("tokens: 30");
    assert_int_equal(made_count, 1);
    assert_non_null(rig.host->held_first);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    assert_null(rig.host->held_first);
    assert_string_equal(rig_status(r), "cancelled");
}

#define TREE                                                                                    \
    "{cairn: 1, budget: {llm_calls: 4, on_exceed: fail}, nodes: {first: {type: kid, workflow: " \
    "{nodes: {a: {type: work}, b: {type: work, needs: [a]}}}}, second: {type: kid, needs: "     \
    "[first], workflow: {nodes: {c: {type: work}, d: {type: work, needs: [c]}}}}}}"

static void a_tree_has_one_budget_that_a_take_over_finds_again(void **state) {
    (void)state;
    struct run *r = rig_run(TREE);
    end_call(0, 5); /* a */
    end_call(1, 6); /* b */
    assert_int_equal(made_count, 3);
    assert_int_equal(r->tree.used[BUDGET_LLM_CALLS], 3);
    assert_int_equal(r->tree.used[BUDGET_STEPS], 5);
    assert_int_equal(r->tree.used[BUDGET_TOKENS], 11);
    assert_int_equal(r->tree.used[BUDGET_USD], BUDGET_NANO_USD / 250);
    r = rig_restart(r, 1000); /* c is asked again: nobody knows what came of it */
    rig_turns();
    assert_int_equal(made_count, 4);
    assert_int_equal(r->tree.used[BUDGET_LLM_CALLS], 4);
    assert_int_equal(r->tree.used[BUDGET_STEPS], 5);
    assert_int_equal(r->tree.used[BUDGET_TOKENS], 31);
    assert_int_equal(r->tree.reserved[BUDGET_TOKENS], 20);
    end_call(3, 5);
    assert_int_equal(made_count, 4);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "over the budget of 4 llm_calls of execution"));
}

/* Also when its workflow has none any more. */
static void a_sub_workflow_of_before_still_counts(void **state) {
    (void)state;
    rig.on_start = NULL;
    struct run *r = rig_run("{cairn: 1, budget: {steps: 9}, nodes: {k: {type: kid, workflow: "
                            "{nodes: {a: {type: work}}}}, b: {type: work, needs: [k]}}}");
    rig_done("a", "1");
    rig_fail("b", FAILURE_PERMANENT, "broken");
    assert_string_equal(rig_status(r), "failed");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    struct host_retry q = {
        .by = STR("me"),
        .plan = rig_plan("{cairn: 1, budget: {steps: 9}, nodes: {b: {type: work}}}")};
    r = rig_retry(id, &q);
    assert_non_null(rig_find("b~1"));
    assert_int_equal(r->tree.used[BUDGET_STEPS], 4); /* k, a, b, b~1 */
    r = rig_restart(r, 0);
    rig_turns();
    assert_int_equal(r->tree.used[BUDGET_STEPS], 4);
    rig_done("b~1", "1");
    assert_string_equal(rig_status(r), "completed");
}

static struct run *child_with(const char *event) {
    for (struct run *r = rig.host->runs; r; r = r->next) {
        if (r->is_child && !r->ended && !r->lost && rig_count(run_id(r), event)) {
            return r;
        }
    }
    fail_msg("no sub-workflow has %s", event);
    return NULL;
}

static void say(struct run *r, const char *text) {
    struct error e;
    struct host_request q = {.type = REQUEST_ANSWER, .value = rig_json(text), .by = STR("me")};
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
}

/* One that goes on alone keeps no budget of an execution above it that has ended. */
static void an_answer_reaches_who_was_left(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, budget: {tokens: 30}, nodes: {k: {type: kid, workflow: "
                            "{finally: [f], nodes: {w: {type: work}, f: {type: work}}}}}}");
    assert_int_equal(made_count, 1);
    assert_int_equal(host_cancel(rig.host, r, STR("me"), &e), OK);
    rig_turns();
    assert_string_equal(rig_status(r), "cancelled");
    r = rig_restart(child_with("budget_exceeded"), 0);
    rig_turns();
    assert_int_equal(made_count, 1);
    assert_string_equal(rig_status(r), "waiting");
    say(r, "7");
    assert_int_equal(made_count, 2);
    end_call(1, 5);
    assert_string_equal(rig_status(r), "cancelled");
}

static void a_sub_workflow_keeps_its_own_budget_too(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, budget: {llm_calls: 40}, nodes: {k: {type: kid, on_error: "
                            "continue, workflow: {budget: {llm_calls: 1, on_exceed: fail}, nodes: "
                            "{a: {type: work}, b: {type: work, needs: [a]}}}}, c: {type: work, "
                            "needs: [k]}, d: {type: work}}}");
    assert_int_equal(made_count, 2); /* a, d */
    end_call(0, 5);
    end_call(1, 5);
    assert_int_equal(made_count, 2);
    assert_string_equal(rig_status(r), "partial");
}

/* Each of two sub-workflows may ask for its parent's budget; who answers one lets both go on. */
static void more_reaches_the_whole_tree(void **state) {
    (void)state;
    for (const char *script = ".ab"; *script; script++) {
        char commits[] = {*script, *script, '\0'};
        setup(NULL);
        struct run *r =
            rig_run("{cairn: 1, budget: {llm_calls: 1}, nodes: {k: {type: kid, foreach: "
                    "{items: \"[1,2,3]\"}, workflow: {nodes: {a: {type: work}}}}}}");
        assert_int_equal(made_count, 1);
        assert_string_equal(rig_status(r), "running");
        struct run *asks = child_with("budget_exceeded");
        assert_string_equal(rig_status(asks), "waiting");
        rig.commits = commits;
        say(asks, "{\"llm_calls\": 1}");
        assert_int_equal(rig_count(run_id(asks), "budget_raised"), 1);
        assert_int_equal(rig_count(run_id(r), "budget_raised"), 1);
        assert_int_equal(made_count, 2);
        assert_int_equal(engine_budget(r->engine).limit[BUDGET_LLM_CALLS], 2);
        made_count = 0;
        r = rig_restart(r, 0);
        rig_turns(); /* both calls are made again: nobody knows what came of them */
        assert_int_equal(engine_budget(r->engine).limit[BUDGET_LLM_CALLS], 2);
        assert_int_equal(made_count, 0);
        asks = child_with("budget_exceeded");
        say(asks, "3");
        assert_int_equal(made_count, 3);
        for (uint32_t i = 0; i < 3; i++) {
            end_call(i, 5);
        }
        assert_string_equal(rig_status(r), "completed");
        assert_int_equal(r->tree.used[BUDGET_LLM_CALLS], 5);
        rig_teardown(NULL);
    }
}

/* Its answer lets a step of its parent go on, which fails: with it in one commit ends all below. */
static void who_is_answered_ends_with_what_that_fails(void **state) {
    (void)state;
    rig.on_start = NULL;
    struct run *r = rig_run("{cairn: 1, on_failure: cancel, budget: {steps: 1}, nodes: {k: {type: "
                            "kid, workflow: {nodes: {a: {type: work}}}}, b: {type: work, value: "
                            "'int(execution.id)'}}}");
    struct run *asks = child_with("budget_exceeded");
    assert_int_equal(rig_count(run_id(r), "budget_exceeded"), 1);
    uint32_t commits = rig.commit_count;
    say(asks, "9");
    assert_int_equal(rig.commit_count, commits + 1);
    assert_int_equal(rig.start_count, 0);
    assert_string_equal(rig_status(asks), "cancelled");
    assert_string_equal(rig_status(r), "failed");
}

static void steps_are_counted_before_they_begin(void **state) {
    (void)state;
    rig.on_start = NULL;
    struct run *r = run_of_ten("steps: 3");
    assert_int_equal(rig_open_count(), 3);
    assert_int_equal(rig_count(run_id(r), "budget_exceeded"), 7);
    rig_check_fold(r);
    rig_done_all();
    assert_string_equal(rig_status(r), "partial");
    r = rig_run("{cairn: 1, budget: {steps: 1, on_exceed: fail}, nodes: {a: {type: work, retry: "
                "{attempts: 3, backoff: 0s}}, b: {type: work, needs: [a]}}}");
    rig_fail("a", FAILURE_TRANSIENT, "broken");
    r = rig_restart(r, 0);
    rig_turns();
    rig_done("a", NULL); /* an attempt is no other step, nor is one after a crash */
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "over the budget of 1 steps: 1 used"));
}

static void after_its_time_nothing_begins(void **state) {
    (void)state;
    rig.on_start = NULL;
    struct run *r = rig_run("{cairn: 1, budget: {time: 10s, on_exceed: fail}, nodes: {a: {type: "
                            "work}, b: {type: work, needs: [a]}, c: {type: work, needs: [b]}}}");
    rig_wait_ms(9000);
    rig_done("a", NULL);
    assert_non_null(rig_find("b"));
    rig_wait_ms(9000);
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "failed");
    assert_non_null(strstr(rig_error(r), "over the budget of 10s time: 18s used"));
}

int run_budget_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
        T(ten_at_once_with_a_budget_for_three),
        T(a_call_waits_for_what_others_have_reserved),
        T(a_call_is_made_once_its_reservation_is_durable),
        T(what_nobody_knows_counts_as_its_most),
        T(without_a_price_no_money_is_spent),
        T(a_cancelled_step_that_waits_lets_go),
        T(a_tree_has_one_budget_that_a_take_over_finds_again),
        T(a_sub_workflow_of_before_still_counts),
        T(an_answer_reaches_who_was_left),
        T(a_sub_workflow_keeps_its_own_budget_too),
        cmocka_unit_test(more_reaches_the_whole_tree),
        T(who_is_answered_ends_with_what_that_fails),
        T(steps_are_counted_before_they_begin),
        T(after_its_time_nothing_begins),
#undef T
    };
    return cmocka_run_group_tests_name("host budgets", tests, NULL, NULL);
}

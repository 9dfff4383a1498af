/* Executions at rest keep no state in memory (host/sleep.c): here all of them, as soon as they
 * wait, unless a test says otherwise.
 */
#include "rig.h"

#include "host/host_priv.h"

#define ASK                                                                                      \
    "{cairn: 1, inputs: {n: {type: integer, default: 0}}, nodes: {a: {type: work}, q: {type: "   \
    "person, needs: [a], timeout: 60s}, b: {type: work, needs: [q]}, e: {type: end, needs: [b]," \
    " value: q}}}"

static int set_up(void **state) {
    int status = rig_setup(state);
    rig.options.awake_runs = 1;
    rig_reopen();
    return status;
}

static bool is_asleep(const struct run *r) { return r->asleep && !run_engine(r); }

static struct run *asleep(void) {
    struct run *r = rig_run(ASK);
    assert_false(is_asleep(r)); /* a step is under way */
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "waiting");
    assert_true(is_asleep(r));
    return r;
}

static void ask(struct run *r, enum host_request_type type, struct value value) {
    struct host_request q = {.type = type, .by = STR("somebody"), .value = value};
    struct error e;
    assert_int_equal(host_ask(rig.host, r, &q, &e), OK);
    rig_turns();
}

static void an_answer_wakes_it(void **state) {
    struct run *r = asleep(), *other = asleep();
    (void)state;
    ask(r, REQUEST_ANSWER, value_text(STR("yes")));
    assert_false(is_asleep(r));
    assert_true(is_asleep(other));
    rig_check_fold(r);
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "\"yes\"");
    assert_int_equal(rig_starts_of("a"), 2); /* one of each */
}

static void its_time_wakes_it(void **state) {
    struct run *r = asleep();
    (void)state;
    rig_wait_ms(59999);
    assert_true(is_asleep(r));
    rig_wait_ms(1);
    rig_done("b", NULL);
    assert_string_equal(rig_result(r), "\"nobody\"");
}

static void it_is_paused_and_goes_on_and_is_cancelled(void **state) {
    struct run *r = asleep();
    (void)state;
    ask(r, REQUEST_PAUSE, value_null());
    assert_string_equal(rig_status(r), "paused");
    assert_true(is_asleep(r));
    ask(r, REQUEST_RESUME, value_null());
    assert_string_equal(rig_status(r), "waiting");
    assert_true(is_asleep(r));
    ask(r, REQUEST_CANCEL, value_null());
    assert_string_equal(rig_status(r), "cancelled");
}

/* That its time came while it slept is nowhere recorded: it is told again. */
static void a_retry_that_comes_due_in_a_pause(void **state) {
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 2, backoff: 10s,"
                            " jitter: 0}}}}");
    (void)state;
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    ask(r, REQUEST_PAUSE, value_null());
    assert_true(is_asleep(r));
    rig_wait_ms(20000);
    assert_true(is_asleep(r));
    assert_int_equal(rig_starts_of("a"), 1);
    ask(r, REQUEST_RESUME, value_null());
    assert_int_equal(rig_starts_of("a"), 2);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

/* The commit of what woke it fails, before or after it was recorded. */
static void a_commit_that_fails_on_waking(void **state) {
    (void)state;
    for (const char *script = "ba"; *script; script++) {
        char one[2] = {*script, '\0'};
        set_up(NULL);
        struct run *r = asleep();
        rig.commits = one;
        rig.commit_count = 0;
        ask(r, REQUEST_ANSWER, value_text(STR("yes")));
        rig_check_fold(r);
        rig_done("b", NULL);
        assert_string_equal(rig_result(r), "\"yes\"");
        rig_teardown(NULL);
    }
}

static void it_is_released_and_goes_on_elsewhere(void **state) {
    struct run *r = asleep();
    struct error e;
    (void)state;
    assert_int_equal(host_release(rig.host, &e), OK);
    assert_int_equal(rig_stored(run_id(r)).host, 0);
    assert_true(str_is(rig_stored(run_id(r)).row.status, "waiting"));
    rig_reopen();
}

static void its_key_is_still_its_own(void **state) {
    const struct plan *p = rig_plan(ASK);
    struct run *r = NULL, *again = NULL;
    struct error e;
    (void)state;
    assert_int_equal(rig_submit_key(p, "{\"n\": 1}", "k", &r, &e), OK);
    rig_turns();
    rig_done("a", NULL);
    assert_true(is_asleep(r));
    assert_int_equal(rig_submit_key(p, "{\"n\": 1}", "k", &again, &e), OK);
    assert_ptr_equal(r, again);
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k", &again, &e), ERR_CONFLICT);
    assert_true(is_asleep(r));
}

static void who_has_children_stays_awake(void **state) {
    struct run *r = rig_run("{cairn: 1, nodes: {k: {type: kid, workflow: {nodes: {q: {type: "
                            "person}}}}}}");
    (void)state;
    assert_string_equal(rig_status(r), "running");
    assert_non_null(run_engine(r));
    for (struct run *x = rig.host->runs; x; x = x->next) {
        assert_false(x->asleep);
    }
}

/* Few stay awake; the others do not. */
static void only_when_there_are_many(void **state) {
    struct run *first, *second;
    (void)state;
    rig.options.awake_runs = 2;
    rig_reopen();
    first = rig_run(ASK);
    rig_done("a", NULL);
    second = rig_run(ASK);
    rig_done("a", NULL);
    assert_false(is_asleep(first));
    assert_true(is_asleep(second));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, rig_teardown)

int run_sleep_tests(void) {
    const struct CMUnitTest tests[] = {
        T(an_answer_wakes_it),
        T(its_time_wakes_it),
        T(a_retry_that_comes_due_in_a_pause),
        T(it_is_paused_and_goes_on_and_is_cancelled),
        cmocka_unit_test(a_commit_that_fails_on_waking),
        T(it_is_released_and_goes_on_elsewhere),
        T(its_key_is_still_its_own),
        T(who_has_children_stays_awake),
        T(only_when_there_are_many),
    };
    return cmocka_run_group_tests_name("sleep", tests, NULL, NULL);
}

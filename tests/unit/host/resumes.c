/* Going on after the owner ended, and submitting the same thing twice.
 */
#include "rig.h"

static const char *const two_steps =
    "{cairn: 1, inputs: {n: {type: integer, default: 1}}, nodes: {a: {type: work, value: inputs.n},"
    "b: {type: work, needs: [a], value: a}, e: {type: end, needs: [b], value: \"[a, b]\"}}}";

static struct run *crash_and_resume(struct run *r) {
    r = rig_restart(r, 0);
    rig_turns();
    return r;
}

static void a_step_in_flight_is_performed_again(void **state) {
    (void)state;
    struct run *r = rig_run(two_steps);
    rig_done("a", "10");
    struct str key = arena_str(&rig.arena, rig_find("b")->port->in->key);
    r = crash_and_resume(r);
    assert_int_equal(rig_starts_of("a"), 1); /* its completion was committed */
    struct started *b = rig_find("b");
    assert_int_equal(b->attempt, 2);
    assert_true(str_eq(b->port->in->key, key));
    assert_int_equal(b->port->in->fields[0].num, 10);
    assert_string_equal(b->port->base_dir.ptr, "/rig");
    assert_int_equal(rig_stored(run_id(r)).epoch, 2);
    rig_check_fold(r);
    rig_done("b", "11");
    assert_string_equal(rig_result(r), "[10,11]");
}

/* A crash is not a failure: it does not use up retries. */
static void a_crash_costs_no_retry(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, retry: {attempts: 2, backoff: 1s, "
                            "jitter: 0}}}}");
    r = crash_and_resume(r);
    r = crash_and_resume(r);
    assert_int_equal(rig_find("a")->attempt, 3);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_string_equal(rig_status(r), "running");
    rig_wait_ms(1000);
    assert_int_equal(rig_find("a")->attempt, 4);
    rig_fail("a", FAILURE_TRANSIENT, "flaky");
    assert_string_equal(rig_status(r), "failed");
}

static void at_most_once_is_in_doubt(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, delivery: at_most_once}, b: {type: "
                            "work, needs: [a.error], value: a.type}}}");
    r = crash_and_resume(r);
    assert_int_equal(rig_starts_of("a"), 1);
    assert_non_null(rig_find("b"));
    struct str got = value_str(rig_find("b")->port->in->fields[0]);
    assert_true(str_is(got, "in_doubt"));
    rig_done("b", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void at_most_once_may_be_retried_when_asked(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, delivery: at_most_once, retry: "
                            "{attempts: 2, backoff: 1s, jitter: 0, on: [in_doubt]}}}}");
    r = crash_and_resume(r);
    rig_wait_ms(1000);
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done("a", NULL);
    assert_string_equal(rig_status(r), "completed");
}

static void items_of_a_foreach_go_on(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: work, foreach: {items: \"[1, 2, 3, 4]\", "
                "concurrency: 2}, value: item}, e: {type: end, needs: [a], value: a}}}");
    rig_done("a[0]", "10");
    r = crash_and_resume(r);
    assert_int_equal(rig_find("a[1]")->attempt, 2);
    assert_int_equal(rig_find("a[2]")->attempt, 2);
    assert_null(rig_find("a[3]"));
    rig_done("a[1]", "20");
    rig_done("a[2]", "30");
    rig_done("a[3]", "40");
    assert_string_equal(rig_result(r), "[10,20,30,40]");
}

/* 100 KB of text that compresses badly, as a body and as an input of the next step. */
static const char *large_json(char *out, size_t size) {
    uint32_t state = 7;
    out[0] = '"';
    for (size_t i = 1; i < size - 2; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (char)('a' + (state >> 24) % 26);
    }
    out[size - 2] = '"';
    out[size - 1] = '\0';
    return out;
}

static void a_large_body_comes_back(void **state) {
    (void)state;
    static char json[100003];
    struct run *r = rig_run(two_steps);
    large_json(json, sizeof json);
    rig_done("a", json);
    rig.forbidden = json + 1000; /* it is in no event */
    r = crash_and_resume(r);
    struct str got = value_str(rig_find("b")->port->in->fields[0]);
    assert_int_equal(got.len, sizeof json - 3);
    assert_memory_equal(got.ptr, json + 1, got.len);
    rig_check_fold(r);
    (void)rig_journal(run_id(r));
    rig_done("b", "0");
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(run_result_json(r).len, sizeof json - 1 + strlen("[,0]"));
}

static void an_execution_that_lives_elsewhere_is_refused(void **state) {
    (void)state;
    struct run *r = rig_run(two_steps), *again = NULL;
    struct host *other = NULL;
    struct store *handle = NULL;
    struct error e;
    assert_int_equal(store_memory_attach(rig.disk, &handle, &e), OK);
    struct host_options o = rig.options;
    o.store = handle;
    assert_int_equal(host_open(&o, &other, &e), OK);
    assert_int_equal(host_resume(other, run_id(r), &again, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "alive"));
    assert_null(again);
    host_close(other);
    store_close(handle);
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
    assert_int_equal(host_resume(rig.host, run_id(r), &again, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "has ended"));
    assert_int_equal(host_resume(rig.host, STR("exec_none"), &again, &e), ERR_NOT_FOUND);
}

/* The host that runs it is asked to resume it: it is the same run, and nothing begins anew. */
static void resuming_what_runs_here(void **state) {
    (void)state;
    struct run *r = rig_run(two_steps);
    assert_ptr_equal(rig_resume(run_id(r)), r);
    rig_turns();
    assert_int_equal(rig_starts_of("a"), 1);
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
}

/* ---- keys ---- */

static void the_same_key_is_the_same_execution(void **state) {
    (void)state;
    struct error e;
    const struct plan *p = rig_plan(two_steps);
    struct run *r = NULL, *again = NULL;
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k1", &r, &e), OK);
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k1", &again, &e), OK); /* not yet stored */
    assert_ptr_equal(r, again);
    rig_turns();
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k1", &again, &e), OK); /* stored */
    assert_ptr_equal(r, again);
    rig_turns();
    assert_int_equal(rig.start_count, 1);
    rig_done_all();
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k1", &again, &e), OK); /* ended */
    assert_true(str_eq(run_id(r), run_id(again)));
    assert_string_equal(rig_status(again), "completed");
    assert_string_equal(rig_result(again), rig_result(r));
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k2", &again, &e), OK);
    assert_false(str_eq(run_id(r), run_id(again)));
    rig_turns();
    rig_done_all();
}

static void a_key_of_an_ended_execution_in_another_life(void **state) {
    (void)state;
    struct error e;
    const struct plan *p = rig_plan(two_steps);
    struct run *r = NULL;
    assert_int_equal(rig_submit_key(p, NULL, "k1", &r, &e), OK);
    rig_turns();
    rig_done("a", "1");
    rig_done("b", "2");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    assert_int_equal(rig_submit_key(p, NULL, "k1", &r, &e), OK);
    assert_true(str_eq(run_id(r), id));
    assert_string_equal(rig_status(r), "completed");
    assert_string_equal(rig_result(r), "[1,2]");
    assert_false(rig_turn());
    assert_int_equal(rig.start_count, 2);
}

/* It is gone on with when nobody owns it. */
static void a_key_of_an_execution_left_behind(void **state) {
    (void)state;
    struct error e;
    const struct plan *p = rig_plan(two_steps);
    struct run *r = NULL;
    assert_int_equal(rig_submit_key(p, NULL, "k1", &r, &e), OK);
    rig_turns();
    rig_reopen();
    assert_int_equal(rig_submit_key(p, NULL, "k1", &r, &e), OK);
    rig_turns();
    assert_int_equal(rig_find("a")->attempt, 2);
    rig_done_all();
    assert_string_equal(rig_status(r), "completed");
}

static void another_use_of_a_key_is_refused(void **state) {
    (void)state;
    struct error e;
    const struct plan *p = rig_plan(two_steps);
    const struct plan *other = rig_plan("{cairn: 1, nodes: {a: {type: work}}}");
    struct run *r = NULL, *no = NULL;
    assert_int_equal(rig_submit_key(p, "{\"n\": 2}", "k1", &r, &e), OK);
    assert_int_equal(rig_submit_key(p, "{\"n\": 3}", "k1", &no, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "key_reused"));
    rig_turns();
    assert_int_equal(rig_submit_key(p, "{\"n\": 3}", "k1", &no, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "key_reused"));
    assert_non_null(strstr(e.message, run_id(r).ptr));
    assert_int_equal(rig_submit_key(other, "{\"n\": 2}", "k1", &no, &e), ERR_CONFLICT);
    assert_null(no);
    rig_done_all();
}

/* Two processes at the same moment: one has it, the other learns so and names it. */
static void a_key_taken_by_another_process_at_once(void **state) {
    (void)state;
    struct error e;
    const struct plan *p = rig_plan(two_steps);
    struct run *mine = NULL, *theirs = NULL;
    struct host *other = NULL;
    struct store *handle = NULL;
    bool busy;
    struct host_submission s = {
        .plan = p, .inputs = {.type = VALUE_MAP}, .key = STR("k1"), .folder = STR("/rig")};
    assert_int_equal(store_memory_attach(rig.disk, &handle, &e), OK);
    struct host_options o = rig.options;
    o.store = handle;
    assert_int_equal(host_open(&o, &other, &e), OK);
    assert_int_equal(host_submit(rig.host, &s, &mine, &e), OK);
    assert_int_equal(host_submit(other, &s, &theirs, &e), OK);
    assert_int_equal(host_turn(other, false, &busy, &e), OK);
    rig_turns();
    assert_int_equal(rig.lost, 1);
    assert_non_null(strstr(rig.why_lost, "k1"));
    assert_int_equal(rig.start_count, 1); /* theirs */
    host_close(other);
    store_close(handle);
}

/* ---- views ---- */

static const struct store_step *row_of(const struct store_step *rows, uint32_t count,
                                       const char *step) {
    for (uint32_t i = 0; i < count; i++) {
        if (str_is(rows[i].step, step)) {
            return &rows[i];
        }
    }
    fail_msg("no row of %s", step);
    return NULL;
}

static void a_view_of_what_another_host_runs(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}, b: {type: work, retry: {attempts: "
                            "2, backoff: 1h}}, c: {type: work, needs: [a]}, d: {type: end, needs: "
                            "[c], value: \"1\"}}}");
    rig_done("a", "[1, 2]");
    rig_fail("b", FAILURE_TRANSIENT, "flaky");
    struct host_view v;
    struct error e;
    struct store_step *rows;
    struct store_message *messages;
    uint32_t count, message_count;
    assert_int_equal(host_view_open(rig.disk, rig.options.kinds, run_id(r), &v, &e), OK);
    assert_int_equal(engine_status(v.engine), EXEC_RUNNING);
    assert_int_equal(v.stored.last_seq, engine_last_seq(v.engine));
    assert_int_equal(host_view_rows(&v, &rows, &count, &messages, &message_count, &e), OK);
    assert_int_equal(count, 4);
    assert_int_equal(message_count, 0);
    assert_string_equal(row_of(rows, count, "a")->status.ptr, "completed");
    assert_string_equal(row_of(rows, count, "a")->result.ptr, "[1,2]");
    assert_string_equal(row_of(rows, count, "b")->status.ptr, "retrying");
    assert_string_equal(row_of(rows, count, "c")->status.ptr, "running");
    assert_string_equal(row_of(rows, count, "c")->dependencies.ptr, "[\"a\"]");
    assert_string_equal(row_of(rows, count, "d")->status.ptr, "pending");
    host_view_close(&v);
    assert_int_equal(host_view_open(rig.disk, rig.options.kinds, STR("exec_no"), &v, &e),
                     ERR_NOT_FOUND);
    struct kind_table none = {0};
    assert_int_equal(host_view_open(rig.disk, none, run_id(r), &v, &e), ERR_UNSUPPORTED);
    rig_done("c", NULL);
}

static const char *verdict_on(struct str id, const struct host_request *q) {
    struct str verdict = {0};
    struct error e;
    assert_int_equal(host_would(rig.host, id, q, &rig.arena, &verdict, &e), OK);
    return arena_printf(&rig.arena, "%.*s", STR_ARG(verdict)).ptr;
}

/* Neither what would be said nor a checkpoint goes on with anything, also when a commit fails. */
static void a_visit_records_and_goes_on_with_nothing(void **state) {
    struct host_request here = {.type = REQUEST_CHECKPOINT, .step = STR("here"), .ticket = -1};
    struct host_request none = {.type = REQUEST_ANSWER, .step = STR("zz")};
    struct error e;
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work, delivery: at_most_once}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    rig_reopen();
    struct str before = arena_printf(&rig.arena, "%s", rig_journal(id));
    assert_string_equal(verdict_on(id, &none), "refused: the workflow has no step \"zz\"");
    assert_string_equal(verdict_on(id, &here), "accepted");
    assert_true(str_is(before, rig_journal(id)));
    rig.commits = ".b";
    assert_int_equal(host_visit(rig.host, id, &here, &e), OK);
    assert_string_equal(
        rig_journal(id),
        arena_printf(&rig.arena, "%.*s; execution_claimed; checkpoint_made", STR_ARG(before)).ptr);
    assert_int_equal(rig_stored(id).host, 0);
    assert_string_equal(host_status(&(struct store_execution){.row = rig_stored(id).row}).ptr,
                        "interrupted");
    r = rig_resume(id);
    assert_int_equal(host_visit(rig.host, id, &here, &e), ERR_CONFLICT); /* it is run */
    rig_turns();
    assert_string_equal(rig_status(r), "failed"); /* in doubt, as ever */
}

/* Somebody else ran it, decided and left, between the request and the claim. */
static void a_visit_decides_on_nothing_that_has_a_verdict(void **state) {
    struct host_request here = {.type = REQUEST_CHECKPOINT, .step = STR("here")};
    struct error e;
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}}");
    struct str id = arena_str(&rig.arena, run_id(r));
    struct store_inbox row = {
        .execution = rig_stored(id).num, .kind = STR("checkpoint"), .step = STR("here")};
    assert_int_equal(store_inbox_add(rig.disk, &row, &here.ticket, &e), OK);
    struct store_verdict said = {.inbox = here.ticket, .verdict = STR("accepted")};
    struct store_batch b = {.verdicts = &said, .verdict_count = 1};
    assert_int_equal(store_commit(rig.disk, &b, &e), OK);
    rig_reopen();
    assert_int_equal(host_visit(rig.host, id, &here, &e), OK);
    assert_null(strstr(rig_journal(id), "checkpoint_made"));
    assert_int_equal(rig_stored(id).host, 0);
}

int run_resume_tests(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
        T(a_step_in_flight_is_performed_again),
        T(a_crash_costs_no_retry),
        T(at_most_once_is_in_doubt),
        T(at_most_once_may_be_retried_when_asked),
        T(items_of_a_foreach_go_on),
        T(a_large_body_comes_back),
        T(an_execution_that_lives_elsewhere_is_refused),
        T(resuming_what_runs_here),
        T(the_same_key_is_the_same_execution),
        T(a_key_of_an_ended_execution_in_another_life),
        T(a_key_of_an_execution_left_behind),
        T(another_use_of_a_key_is_refused),
        T(a_key_taken_by_another_process_at_once),
        T(a_view_of_what_another_host_runs),
        T(a_visit_records_and_goes_on_with_nothing),
        T(a_visit_decides_on_nothing_that_has_a_verdict),
#undef T
    };
    return cmocka_run_group_tests_name("host resumes", tests, NULL, NULL);
}

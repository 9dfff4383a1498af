/* Answers to steps that wait, and to those that do not wait yet: which step is meant, what is kept,
 * taken and dropped. Failure mode 18 is a late answer that is taken for one to a later question.
 */
#include "groups.h"

#define ASK "cairn: 1\nnodes:\n  a: {type: work}\n  q: {type: person, needs: [a]}\n"
#define LOOP                                                                               \
    "cairn: 1\nnodes:\n  h: {type: work, needs: [q], max_iterations: 3, on_limit: exit}\n" \
    "  q: {type: person, needs: [h]}\n"
#define EACH                                \
    "cairn: 1\nnodes:\n  a: {type: work}\n" \
    "  q: {type: person, needs: [a], foreach: '[1, 2]'}\n"
#define KEPT "accepted: kept, taken when step q begins to wait"

static void finish(struct drive *d, const char *step) {
    drive_done(d, step, 1, value_null());
    drive_refold(d);
}

static void assert_body(const struct drive *d, const char *body) {
    struct value v = engine_node_body(d->engine, (uint32_t)plan_node_find(d->plan, STR("q")));
    assert_int_equal(v.type, VALUE_TEXT);
    assert_str(value_str(v), body);
}

static void kept_and_taken_once(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ASK);
    assert_string_equal(drive_answer(&d, "q", "yes"), KEPT);
    drive_refold(&d);
    assert_string_equal(drive_answer(&d, "q", "no"),
                        "refused: an answer to step q, which does not wait yet, is kept already, "
                        "from me");
    finish(&d, "a");
    assert_body(&d, "yes");
    assert_int_equal(engine_kept_answer(d.engine, 0)->state, KEPT_TAKEN);
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void what_does_not_fit_is_dropped(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ASK);
    assert_string_equal(drive_answer(&d, "q", "maybe"), KEPT);
    finish(&d, "a");
    const struct kept_answer *k = engine_kept_answer(d.engine, 0);
    assert_int_equal(k->state, KEPT_DROPPED);
    assert_str(k->why, "that is no answer");
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    assert_string_equal(drive_answer(&d, "q", "no"), "accepted");
    assert_body(&d, "no");
    drive_close(&d);
}

/* It fails before it asks, and has the value that on_error gives. */
static void what_never_asks_takes_none(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n  q: {type: person, needs: [a], "
                   "if: 'a.x', on_error: {value: \"'nobody'\"}}\n");
    assert_string_equal(drive_answer(&d, "q", "yes"), KEPT);
    finish(&d, "a");
    assert_body(&d, "nobody");
    assert_int_equal(engine_kept_answer(d.engine, 0)->state, KEPT_DROPPED);
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void one_iteration_by_its_number(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, LOOP);
    assert_string_equal(drive_answer(&d, "q#1", "second"),
                        "accepted: kept, taken when step q#1 begins to wait");
    finish(&d, "h");
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    assert_string_equal(drive_answer(&d, "q", "first"), "accepted");
    drive_refold(&d);
    finish(&d, "h#1");
    assert_str(value_str(event_of(&d, EVENT_STEP_COMPLETED)->body), "second");
    drive_close(&d);
}

static void failure_mode_18_a_late_answer_is_not_one_to_a_later_question(void **state) {
    static const char over[] = "refused: step q was already answered, by me";
    struct drive d;
    (void)state;
    drive_open(&d, LOOP);
    finish(&d, "h");
    assert_string_equal(drive_answer(&d, "q", "one"), "accepted");
    assert_string_equal(drive_answer(&d, "q", "late"), over); /* nor kept for the next */
    finish(&d, "h#1");
    assert_string_equal(drive_answer(&d, "q", "late"),
                        "refused: step q was already answered, by me; waiting: q#1");
    assert_string_equal(drive_answer(&d, "q#1", "two"), "accepted");
    finish(&d, "h#2");
    assert_string_equal(drive_answer(&d, "q#1", "late"),
                        "refused: step \"q#1\" does not wait for an answer; waiting: q#2");
    assert_string_equal(drive_answer(&d, "", "three"), "accepted");
    drive_close(&d);
}

/* Of a step that is to come, though its loop was retried meanwhile. */
static void kept_for_a_later_iteration_over_a_retry(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, LOOP);
    finish(&d, "h");
    assert_string_equal(drive_answer(&d, "q#1", "second"),
                        "accepted: kept, taken when step q#1 begins to wait");
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    drive_input(&d, INPUT_RETRY, NULL, 0);
    drive_refold(&d);
    assert_string_equal(drive_answer(&d, "q~1", "first"), "accepted");
    finish(&d, "h#1");
    assert_str(value_str(event_of(&d, EVENT_STEP_COMPLETED)->body), "second");
    drive_close(&d);
}

/* What asks then may be something else; one whose step had ended before is over already. */
static void dropped_with_a_word_by_a_change(void **state) {
    struct drive d;
    struct engine_input in = {0};
    (void)state;
    drive_open(&d, LOOP);
    assert_string_equal(drive_answer(&d, "q", "over"), KEPT);
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    drive_input(&d, INPUT_RETRY, NULL, 0);
    drive_refold(&d);
    assert_int_equal(engine_kept_answer(d.engine, 0)->state, KEPT_DROPPED);
    assert_string_equal(drive_answer(&d, "q#1", "second"),
                        "accepted: kept, taken when step q#1 begins to wait");
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    uint32_t before = d.event_count;
    drive_change(&d, LOOP "  z: {type: work}\n", &in);
    drive_refold(&d);
    assert_int_equal(d.journal[before].kind, EVENT_ANSWER_DROPPED);
    assert_int_equal(d.journal[before + 1].kind, EVENT_WORKFLOW_CHANGED);
    assert_int_equal(engine_kept_answer(d.engine, 1)->state, KEPT_DROPPED);
    assert_true(engine_kept_answer(d.engine, 1)->why.len > 0);
    finish(&d, "h~2");
    assert_string_equal(drive_answer(&d, "q~2", "first"), "accepted");
    finish(&d, "h#1");
    assert_string_equal(drive_answer(&d, "q#1", "now"), "accepted");
    assert_str(value_str(event_of(&d, EVENT_STEP_COMPLETED)->body), "now");
    drive_close(&d);
}

static void not_over_a_retry(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, ASK);
    assert_string_equal(drive_answer(&d, "q~1", "yes"),
                        "refused: step \"q~1\" does not wait for an answer");
    assert_string_equal(drive_answer(&d, "q", "yes"), KEPT);
    drive_fail(&d, "a", 1, FAILURE_PERMANENT, "code");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_input(&d, INPUT_RETRY, NULL, 0);
    drive_refold(&d);
    assert_int_equal(engine_kept_answer(d.engine, 0)->state, KEPT_DROPPED);
    finish(&d, "a~1");
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    assert_string_equal(drive_answer(&d, "q~1", "no"), "accepted");
    assert_body(&d, "no");
    drive_close(&d);
}

static void one_item_of_a_foreach(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, EACH);
    assert_string_equal(drive_answer(&d, "q", "yes"),
                        "refused: step \"q\" does not wait for an answer; name one of its items, "
                        "[0] is the first");
    assert_string_equal(drive_answer(&d, "q[1]", "yes"),
                        "accepted: kept, taken when step q[1] begins to wait");
    assert_string_equal(drive_answer(&d, "q[7]", "yes"),
                        "accepted: kept, taken when step q[7] begins to wait"); /* it may come */
    finish(&d, "a");
    assert_int_equal(engine_status(d.engine), EXEC_WAITING);
    assert_int_equal(engine_kept_answer(d.engine, 0)->state, KEPT_TAKEN);
    assert_int_equal(engine_kept_answer(d.engine, 1)->state, KEPT_OPEN);
    assert_string_equal(drive_answer(&d, "q[0]", "no"), "accepted");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void what_cannot_be_kept(void **state) {
    static const struct {
        const char *target, *said;
    } rows[] = {
        {"a", "refused: step a does not wait for an answer, it is running"},
        {"q#1", "refused: step \"q#1\" does not wait for an answer"},
        {"q[0]", "refused: step \"q[0]\" does not wait for an answer"},
        {"z", "refused: the workflow has no step \"z\""},
        {"", "refused: no step waits for an answer; name the step that is to take it"},
    };
    struct drive d;
    (void)state;
    drive_open(&d, ASK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(drive_answer(&d, rows[i].target, "yes"), rows[i].said);
    }
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    assert_string_equal(
        drive_answer(&d, "q", "yes"),
        "refused: the execution has ended (cancelled); allowed now: retry, rollback");
    drive_close(&d);
}

static void after_the_timeout_it_is_refused(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\non_failure: continue\nnodes:\n  a: {type: work}\n"
                   "  q: {type: person, timeout: 1s}\n");
    d.now_us += 1000000;
    drive_input(&d, INPUT_WAIT_DUE, "q", 1);
    assert_string_equal(drive_answer(&d, "q", "yes"),
                        "refused: step q does not wait for an answer, it is failed");
    drive_close(&d);
}

int run_answer_tests(void) {
    static const struct CMUnitTest tests[] = {
        TEST(kept_and_taken_once),
        TEST(what_does_not_fit_is_dropped),
        TEST(what_never_asks_takes_none),
        TEST(one_iteration_by_its_number),
        TEST(failure_mode_18_a_late_answer_is_not_one_to_a_later_question),
        TEST(kept_for_a_later_iteration_over_a_retry),
        TEST(dropped_with_a_word_by_a_change),
        TEST(not_over_a_retry),
        TEST(one_item_of_a_foreach),
        TEST(what_cannot_be_kept),
        TEST(after_the_timeout_it_is_refused),
    };
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}

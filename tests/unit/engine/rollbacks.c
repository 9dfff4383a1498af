/* Rollbacks: what a target means, what is undone and what never is, which ids steps get anew, and
 * that going back into what was undone takes that rollback back.
 */
#include <stdio.h>

#include "groups.h"

static void done(struct drive *d, const char *step) { drive_done(d, step, 1, value_int(1)); }

static const struct track *entry_of(const struct drive *d, const char *step) {
    struct step_id id;
    assert_true(step_id_parse(d->plan, str_from(step), &id));
    for (uint32_t i = 0; i < engine_track_count(d->engine); i++) {
        if (step_id_same(engine_track(d->engine, i)->step, id)) {
            return engine_track(d->engine, i);
        }
    }
    return NULL;
}

static void assert_entry(const struct drive *d, const char *step, enum step_status status,
                         bool undone) {
    const struct track *t = entry_of(d, step);
    assert_non_null(t);
    assert_int_equal(t->status, status);
    assert_int_equal(t->undone, undone);
}

static void assert_refused(const struct drive *d, const char *why) {
    char text[400];
    struct str verdict = verdict_of(d);
    assert_true(verdict.len < sizeof text);
    memcpy(text, verdict.ptr, verdict.len);
    text[verdict.len] = '\0';
    if (!str_starts(verdict, STR("refused: ")) || !strstr(text, why)) {
        print_error("%s\n", text);
        assert_true(false);
    }
}

static const char chain[] = "cairn: 1\nnodes:\n  a: {type: work, checkpoint: start}\n"
                            "  b: {type: work, needs: a}\n  c: {type: work, needs: b}\n";

static void back_before_a_step_that_completed(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    done(&d, "b");
    drive_rollback(&d, "b", false);
    assert_str(verdict_of(&d), "");
    assert_int_equal(engine_status(d.engine), EXEC_PAUSED);
    assert_int_equal(engine_node_status(d.engine, 0), STEP_COMPLETED);
    assert_entry(&d, "a", STEP_COMPLETED, false);
    assert_entry(&d, "b", STEP_COMPLETED, true);
    assert_entry(&d, "c", STEP_CANCELLED, true);
    drive_input(&d, INPUT_RESUME, NULL, 0);
    done(&d, "b"); /* late: of the undone one */
    assert_int_equal(engine_node_status(d.engine, 1), STEP_RUNNING);
    done(&d, "b~1");
    drive_refold(&d);
    done(&d, "c~1");
    drive_refold(&d);
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void what_has_ended_goes_on(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    drive_fail(&d, "b", 1, FAILURE_PERMANENT, "broken");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_rollback(&d, "@start", true);
    assert_int_equal(engine_status(d.engine), EXEC_RUNNING);
    assert_null(engine_error(d.engine));
    assert_entry(&d, "b", STEP_FAILED, true);
    done(&d, "b~1");
    done(&d, "c~1"); /* c was cancelled when b failed */
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
    drive_rollback(&d, "a", true);
    done(&d, "a~1");
    done(&d, "b~2");
    drive_refold(&d);
    drive_close(&d);
}

static void targets_that_are_none_are_refused(void **state) {
    static const char *const rows[][2] = {
        {"0", "there is no event 0: the journal has events 1 to"},
        {"99", "there is no event 99: the journal has events 1 to"},
        {"@other", "there is no checkpoint \"other\"; there are: @start"},
        {"c", "step \"c\" has not begun"},
        {"a#1", "step \"a#1\" has not begun"},
        {"a#x", "is no target"},
        {"nobody", "is no target"},
        {"", "is no target"},
    };
    struct drive d;
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t before = d.event_count;
        drive_rollback(&d, rows[i][0], true);
        assert_refused(&d, rows[i][1]);
        assert_int_equal(d.event_count, before);
    }
    drive_rollback(&d, "a", false);
    drive_rollback(&d, "@start", false);
    assert_refused(&d, "there is no checkpoint \"start\" any more, a rollback went back behind it; "
                       "none was made");
    drive_close(&d);
}

static void nobody_goes_back_to_an_end(void **state) {
    struct drive d;
    char text[20];
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    uint64_t last = d.event_count;
    drive_fail(&d, "b", 1, FAILURE_PERMANENT, "broken");
    snprintf(text, sizeof text, "%u", d.event_count);
    drive_rollback(&d, text, true);
    assert_refused(&d, "was at its end; the last event before that is");
    struct error why;
    assert_int_equal(engine_check_target(d.engine, last, &why), OK);
    assert_int_equal(engine_check_target(d.engine, last + 1, &why), ERR_CONFLICT);
    assert_int_equal(engine_check_target(d.engine, d.event_count, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.message, "was at its end"));
    drive_close(&d);
}

static void a_number_means_the_end_of_its_decision(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    const struct event *completed = event_of(&d, EVENT_STEP_COMPLETED);
    char text[20];
    snprintf(text, sizeof text, "%llu", (unsigned long long)completed->seq);
    uint64_t end = d.event_count;
    done(&d, "b");
    drive_rollback(&d, text, false);
    assert_int_equal(event_of(&d, EVENT_EXECUTION_ROLLED_BACK)->to, end);
    drive_close(&d);
}

static void a_rollback_is_taken_back(void **state) {
    struct drive d;
    char text[20];
    (void)state;
    drive_open(&d, chain);
    done(&d, "a");
    done(&d, "b");
    snprintf(text, sizeof text, "%u", d.event_count);
    drive_rollback(&d, "a", true);
    done(&d, "a~1");
    drive_rollback(&d, text, true);
    assert_entry(&d, "b", STEP_COMPLETED, false);
    assert_entry(&d, "a~1", STEP_COMPLETED, true);
    assert_entry(&d, "b~1", STEP_CANCELLED, true);
    assert_int_equal(engine_node_status(d.engine, 1), STEP_COMPLETED);
    assert_non_null(entry_of(&d, "c~1")); /* c had begun before */
    done(&d, "c~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
    drive_close(&d);
}

static void a_loop_uses_no_id_twice(void **state) {
    static const char loop[] = "cairn: 1\nnodes:\n"
                               "  draft: {type: work, needs: [again.false]}\n"
                               "  again: {type: condition, effect: true, needs: draft}\n";
    struct drive d;
    struct step_result no = {.handle = STR("false")};
    (void)state;
    drive_open(&d, loop);
    for (uint32_t i = 0; i < 3; i++) {
        char step[20];
        snprintf(step, sizeof step, i ? "draft#%u" : "draft", i);
        done(&d, step);
        struct engine_input in = {.type = INPUT_DONE,
                                  .step = {1, i, -1, 0},
                                  .attempt = 1,
                                  .result = &no,
                                  .now = {NOW_US}};
        drive_give(&d, &in);
    }
    drive_rollback(&d, "draft#1", true);
    assert_entry(&d, "draft#1", STEP_COMPLETED, true);
    assert_entry(&d, "draft#3", STEP_CANCELLED, true);
    assert_null(entry_of(&d, "draft#2~1"));
    done(&d, "draft#1~1");
    struct engine_input in = {
        .type = INPUT_DONE, .step = {1, 1, -1, 1}, .attempt = 1, .result = &no, .now = {NOW_US}};
    drive_give(&d, &in);
    assert_non_null(entry_of(&d, "draft#2~1"));
    drive_refold(&d);
    drive_close(&d);
}

static void a_foreach_keeps_items_that_had_completed(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n"
                   "  each: {type: work, foreach: {items: [1, 2, 3], concurrency: 1}}\n");
    done(&d, "each[0]");
    char text[20];
    snprintf(text, sizeof text, "%u", d.event_count);
    done(&d, "each[1]");
    drive_rollback(&d, text, true);
    assert_entry(&d, "each[0]", STEP_COMPLETED, false);
    assert_entry(&d, "each[1]", STEP_COMPLETED, true);
    assert_entry(&d, "each[2]", STEP_CANCELLED, true);
    done(&d, "each[1]~1");
    done(&d, "each[2]~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
    drive_rollback(&d, "each", true);
    assert_entry(&d, "each[0]", STEP_COMPLETED, true);
    assert_entry(&d, "each~1", STEP_COMPLETED, true);
    done(&d, "each[0]~2");
    drive_refold(&d);
    drive_close(&d);
}

static void a_foreach_without_items_left_ends_once_more(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  each: {type: work, foreach: [1, 2], fallback: other}\n"
                   "  other: {type: work}\n");
    drive_fail(&d, "each[0]", 1, FAILURE_PERMANENT, "broken");
    char text[20];
    snprintf(text, sizeof text, "%u", d.event_count);
    drive_rollback(&d, text, false);
    assert_str(verdict_of(&d), "");
    assert_entry(&d, "other", STEP_CANCELLED, true);
    drive_refold(&d);
    drive_input(&d, INPUT_RESUME, NULL, 0);
    drive_refold(&d);
    done(&d, "other#1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
    drive_close(&d);
}

/* One that another stands in for holds no slot, so none is given back. */
static void a_run_that_is_aided_is_given_up(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nconcurrency: 1\nnodes:\n  a: {type: work, fallback: f}\n"
                   "  f: {type: work, fallback: g}\n  g: {type: work}\n");
    drive_fail(&d, "a", 1, FAILURE_PERMANENT, "broken");
    drive_fail(&d, "f", 1, FAILURE_PERMANENT, "broken");
    char text[20];
    snprintf(text, sizeof text, "%u", d.event_count);
    drive_rollback(&d, text, true);
    assert_str(verdict_of(&d), "");
    drive_refold(&d);
    drive_fail(&d, "a~1", 1, FAILURE_PERMANENT, "broken");
    drive_fail(&d, "f#1", 1, FAILURE_PERMANENT, "broken");
    done(&d, "g#1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_refold(&d);
    drive_close(&d);
}

static void what_was_used_stays_used(void **state) {
    struct value_pair tokens = {value_text(STR("inputTokens")), value_int(5)};
    struct value usage = {.type = VALUE_MAP, .extra = 1, .pairs = &tokens};
    struct value_pair pair = {value_text(STR("usage")), usage};
    struct step_result r = {.meta = {.type = VALUE_MAP, .extra = 1, .pairs = &pair}};
    struct engine_input in = {
        .type = INPUT_DONE, .step = {0, 0, -1, 0}, .attempt = 1, .result = &r, .now = {NOW_US}};
    struct drive d;
    (void)state;
    drive_open(&d, chain);
    drive_give(&d, &in);
    drive_rollback(&d, "a", true);
    assert_int_equal(engine_usage(d.engine).input_tokens, 5);
    in.step.generation = 1;
    drive_give(&d, &in);
    drive_rollback(&d, "a", true); /* b is being performed */
    in.step = (struct step_id){1, 0, -1, 0};
    drive_give(&d, &in);
    assert_int_equal(event_of(&d, EVENT_LATE_RESULT)->seq, d.event_count);
    assert_int_equal(engine_usage(d.engine).input_tokens, 15);
    uint32_t before = d.event_count;
    drive_give(&d, &in);
    assert_int_equal(d.event_count, before); /* once */
    drive_refold(&d);
    drive_close(&d);
}

static void its_time_counts_anew(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\ntimeout: 10s\nnodes:\n  a: {type: work}\n"
                   "  b: {type: work, needs: a}\n");
    done(&d, "a");
    d.now_us += 8000000;
    drive_rollback(&d, "a", true);
    assert_int_equal(engine_times(d.engine).deadline.us, NOW_US + 18000000);
    drive_refold(&d);
    drive_close(&d);
}

static void variables_are_those_of_then(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {seen: []}\nnodes:\n"
                   "  a: {type: work, set: {seen: \"vars.seen + [a]\"}}\n"
                   "  b: {type: work, needs: a, set: {seen: \"vars.seen + [b]\"}}\n"
                   "  c: {type: work, needs: b}\n");
    done(&d, "a");
    done(&d, "b");
    assert_int_equal(engine_var(d.engine, 0).extra, 2);
    drive_rollback(&d, "b", true);
    assert_int_equal(engine_var(d.engine, 0).extra, 1);
    done(&d, "b~1");
    assert_int_equal(engine_var(d.engine, 0).extra, 2);
    drive_refold(&d);
    drive_close(&d);
}

static void what_was_begun_and_not_ended_is_settled_anew(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n"
                   "  p: {type: condition, needs: a, when: \"true\"}\n"
                   "  x: {type: work, needs: p.false}\n  y: {type: work, needs: x}\n"
                   "  z: {type: work, needs: a, if: \"a == 1\"}\n");
    done(&d, "a");
    drive_rollback(&d, "p", false); /* in the middle of a decision: p and z came of it */
    assert_int_equal(engine_node_status(d.engine, 0), STEP_COMPLETED);
    drive_input(&d, INPUT_RESUME, NULL, 0);
    drive_refold(&d);
    assert_int_equal(engine_node_status(d.engine, 4), STEP_RUNNING);
    drive_close(&d);
}

static void a_moment_gets_a_name(void **state) {
    struct drive d;
    struct engine_input in = {.type = INPUT_CHECKPOINT, .target = STR("now"), .by = STR("a test")};
    (void)state;
    in.ticket = 1;
    drive_open(&d, chain);
    drive_give(&d, &in);
    assert_str(verdict_of(&d), "accepted");
    done(&d, "a");
    assert_int_equal(engine_checkpoint_count(d.engine), 2);
    assert_str(engine_checkpoint(d.engine, 0)->by, "a test");
    assert_str(engine_checkpoint(d.engine, 1)->name, "start");
    in.target = STR("Not now");
    drive_give(&d, &in);
    assert_refused(&d, "the name of a checkpoint");
    drive_rollback(&d, "@now", false);
    assert_false(engine_checkpoint(d.engine, 0)->undone);
    assert_true(engine_checkpoint(d.engine, 1)->undone);
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    in.target = STR("late");
    drive_give(&d, &in);
    assert_refused(&d, "has ended");
    drive_refold(&d);
    drive_close(&d);
}

static const char retried[] = "cairn: 1\nnodes:\n  a: {type: work}\n  c: {type: work}\n"
                              "  b: {type: work, needs: a, recover: [{rollback: a, times: 2}]}\n";

static void fold_anew(struct drive *d) {
    assert_true(engine_is_superseded(d->engine));
    drive_begin_anew(d);
}

static void a_policy_goes_back_so_often(void **state) {
    static const char *const as[] = {"a", "a~1", "a~2"}, *const bs[] = {"b", "b~1", "b~2"};
    struct drive d;
    (void)state;
    drive_open(&d, retried);
    for (uint32_t i = 0; i < 3; i++) {
        done(&d, as[i]);
        drive_fail(&d, bs[i], 1, FAILURE_PERMANENT, "broken");
        if (i < 2) {
            fold_anew(&d);
            assert_entry(&d, bs[i], STEP_FAILED, true);
            assert_entry(&d, i ? "c~1" : "c", STEP_CANCELLED, true); /* it was being performed */
            assert_int_equal(engine_status(d.engine), EXEC_RUNNING);
        }
    }
    assert_int_equal(engine_node_status(d.engine, 2), STEP_FAILED);
    assert_str(engine_error(d.engine)->node, "b");
    drive_refold(&d);
    drive_close(&d);
}

/* What a policy has used up is not given back by its own rollbacks; a person's say begins anew. */
static void a_persons_rollback_counts_anew(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, retried);
    done(&d, "a");
    drive_fail(&d, "b", 1, FAILURE_PERMANENT, "broken");
    fold_anew(&d);
    drive_rollback(&d, "2", true);
    for (uint32_t i = 0; i < 2; i++) {
        done(&d, i ? "a~3" : "a~2");
        drive_fail(&d, i ? "b~2" : "b~1", 1, FAILURE_PERMANENT, "broken");
        fold_anew(&d);
    }
    done(&d, "a~4");
    drive_fail(&d, "b~3", 1, FAILURE_PERMANENT, "broken");
    assert_false(engine_is_superseded(d.engine));
    drive_close(&d);
}

static void a_policy_without_such_a_moment_passes_on(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work, recover: [{rollback: b}, ask]}\n"
                   "  b: {type: work, needs: a}\n");
    drive_fail(&d, "a", 1, FAILURE_PERMANENT, "broken");
    assert_false(engine_is_superseded(d.engine));
    assert_int_equal(engine_node_status(d.engine, 0), STEP_WAITING);
    drive_close(&d);
}

/* In the middle of a decision that would start more. */
static void nothing_follows_a_rollback_in_its_decision(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n"
                   "  b: {type: work, needs: a, value: a.x, recover: {rollback: a}}\n"
                   "  c: {type: work, needs: a}\n"
                   "  f: {type: work, needs: a, foreach: [1, 2, 3]}\n");
    done(&d, "a"); /* b cannot be given its inputs */
    assert_int_equal(d.journal[d.event_count - 1].kind, EVENT_EXECUTION_ROLLED_BACK);
    fold_anew(&d);
    assert_null(entry_of(&d, "c"));
    done(&d, "a~1");
    assert_str(engine_error(d.engine)->node, "b");
    drive_refold(&d);
    drive_close(&d);
}

static void a_sub_workflow_is_left_to_its_parent(void **state) {
    struct drive d;
    struct engine_input in = {.type = INPUT_ROLLBACK, .target = STR("a"), .ticket = 1};
    (void)state;
    in.below = true;
    drive_open(&d, chain);
    drive_give(&d, &in);
    assert_refused(&d, "it is a sub-workflow");
    drive_close(&d);
}

static void a_pause_of_before_gives_no_reason(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nrecover: compensate\nnodes:\n  a: {type: work, compensate: ua}\n"
                   "  c: {type: work, needs: a}\n  ua: {type: work}\n");
    done(&d, "a");
    drive_fail(&d, "c", 1, FAILURE_PERMANENT, "broken");
    drive_fail(&d, "ua", 1, FAILURE_PERMANENT, "broken");
    assert_int_equal(engine_status(d.engine), EXEC_PAUSED);
    assert_str(str_sub(engine_paused_why(d.engine), 0, 18), "a cannot be undone");
    drive_input(&d, INPUT_RESUME, NULL, 0);
    done(&d, "ua#1");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_input(&d, INPUT_RETRY, NULL, 0);
    done(&d, "a~1");
    drive_rollback(&d, "c", false);
    assert_int_equal(engine_status(d.engine), EXEC_PAUSED);
    assert_str(engine_paused_why(d.engine), "");
    drive_close(&d);
}

static const char trip[] = "cairn: 1\nnodes:\n  a: {type: work, compensate: ua}\n"
                           "  b: {type: work, needs: a, compensate: ub}\n"
                           "  c: {type: work, needs: b}\n  ua: {type: work}\n  ub: {type: work}\n";

static void what_completed_behind_it_is_undone_first(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, trip);
    done(&d, "a");
    done(&d, "b"); /* c runs: it is stopped */
    drive_rollback(&d, "b", true);
    assert_str(verdict_of(&d), "accepted");
    assert_int_equal(event_of(&d, EVENT_UNDO_BEGUN)->after, 4);
    assert_entry(&d, "ub", STEP_RUNNING, false);
    assert_entry(&d, "c", STEP_CANCELLED, false);
    drive_refold(&d);
    drive_rollback(&d, "a", true);
    assert_refused(&d, "is being undone");
    done(&d, "ub");
    assert_int_equal(event_of(&d, EVENT_EXECUTION_ROLLED_BACK)->to, 4);
    drive_begin_anew(&d);
    assert_entry(&d, "a", STEP_COMPLETED, false);
    assert_entry(&d, "ub", STEP_COMPLETED, true);
    assert_false(engine_is_fresh(d.engine, 0));
    assert_true(engine_is_fresh(d.engine, 1)); /* what is kept of b is undone */
    drive_rollback(&d, "5", true);
    assert_refused(&d, "compensate nodes undid");
    done(&d, "b~1");
    done(&d, "c~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_rollback(&d, "a", false); /* further back, of what has ended */
    assert_entry(&d, "ub~1", STEP_RUNNING, false);
    drive_refold(&d);
    done(&d, "ub~1");
    assert_int_equal(engine_status(d.engine), EXEC_RUNNING);
    drive_fail(&d, "ua", 1, FAILURE_PERMANENT, "broken");
    assert_int_equal(engine_status(d.engine), EXEC_PAUSED);
    assert_str(str_sub(engine_paused_why(d.engine), 0, 18), "a cannot be undone");
    drive_refold(&d);
    drive_input(&d, INPUT_RESUME, NULL, 0);
    done(&d, "ua#1");
    drive_begin_anew(&d);
    assert_int_equal(engine_status(d.engine), EXEC_PAUSED);
    assert_str(engine_paused_why(d.engine), "");
    drive_input(&d, INPUT_RESUME, NULL, 0);
    done(&d, "a~1");
    drive_refold(&d);
    drive_close(&d);
}

static void a_cancel_ends_it_where_it_is(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, trip);
    done(&d, "a");
    done(&d, "b");
    drive_rollback(&d, "a", true);
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    assert_int_equal(engine_status(d.engine), EXEC_CANCELLED);
    assert_entry(&d, "ub", STEP_CANCELLED, false);
    assert_null(entry_of(&d, "ua"));
    drive_refold(&d);
    drive_input(&d, INPUT_RETRY, NULL, 0); /* ub may have undone b: it is done again */
    drive_refold(&d);
    assert_true(engine_is_fresh(d.engine, 1));
    assert_int_equal(engine_node_status(d.engine, 0), STEP_COMPLETED);
    done(&d, "b~1");
    done(&d, "c~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_rollback(&d, "a", true); /* what both times came to is undone */
    done(&d, "ub#1");
    done(&d, "ub#2");
    done(&d, "ua");
    drive_begin_anew(&d);
    assert_entry(&d, "a~1", STEP_RUNNING, false);
    drive_close(&d);
}

static void what_was_undone_in_part_is_not_kept(void **state) {
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        struct drive d;
        drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work, compensate: ua}\n"
                       "  b: {type: work, needs: a}\n"
                       "  ua: {type: work, foreach: {items: '[1, 2]', concurrency: 1}}\n");
        done(&d, "a");
        done(&d, "b");
        drive_rollback(&d, "a", true);
        done(&d, "ua[0]");
        if (fails) {
            drive_fail(&d, "ua[1]", 1, FAILURE_PERMANENT, "broken");
        }
        drive_input(&d, INPUT_CANCEL, NULL, 0);
        drive_input(&d, INPUT_RETRY, NULL, 0);
        drive_refold(&d);
        assert_entry(&d, "a~1", STEP_RUNNING, false);
        drive_close(&d);
    }
}

/* All is done, b cannot be undone, somebody cancels that and retries. */
static void give_up_undoing(struct drive *d, const char *type) {
    drive_open(d, trip);
    done(d, "a");
    done(d, "b");
    done(d, "c");
    drive_rollback(d, "b", true);
    drive_fail(d, "ub", 1, FAILURE_PERMANENT, type);
    drive_input(d, INPUT_CANCEL, NULL, 0);
    assert_int_equal(engine_status(d->engine), EXEC_CANCELLED);
    drive_input(d, INPUT_RETRY, NULL, 0);
    drive_refold(d);
}

/* A run that failed has undone nothing, as each failure is none of its effects. */
static void what_a_cancelled_undo_could_not_undo_is_kept(void **state) {
    struct drive d;
    (void)state;
    give_up_undoing(&d, "broken");
    assert_int_equal(engine_node_status(d.engine, 1), STEP_COMPLETED);
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void what_failed_in_doubt_may_be_undone(void **state) {
    struct drive d;
    (void)state;
    give_up_undoing(&d, "in_doubt");
    assert_entry(&d, "b~1", STEP_RUNNING, false);
    drive_close(&d);
}

static void a_policy_undoes_before_it_goes_back(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work, compensate: ua}\n"
                   "  c: {type: work, needs: a, recover: [{rollback: a, times: 1}, fail]}\n"
                   "  other: {type: work}\n  ua: {type: work}\n");
    done(&d, "a");
    drive_fail(&d, "c", 1, FAILURE_PERMANENT, "broken");
    assert_entry(&d, "ua", STEP_RUNNING, false);
    assert_entry(&d, "other", STEP_CANCELLED, false);
    drive_refold(&d);
    done(&d, "ua");
    drive_begin_anew(&d);
    assert_int_equal(engine_status(d.engine), EXEC_RUNNING);
    done(&d, "a~1");
    drive_fail(&d, "c~1", 1, FAILURE_PERMANENT, "broken"); /* it has gone back as often as it may */
    done(&d, "other~1");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_refold(&d);
    drive_close(&d);
}

static void undone_events_are_found(void **state) {
    /* 3 goes back to 1; 7 to 5; 10 to 3, so that what 7 undid counts no more either */
    static const uint64_t to[] = {0, 0, 1, 0, 0, 0, 5, 0, 0, 3, 0};
    static const bool expected[] = {0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0};
    bool undone[ARRAY_LEN(to)];
    (void)state;
    engine_mark_undone(to, ARRAY_LEN(to), undone);
    assert_memory_equal(undone, expected, sizeof undone);
    static const uint64_t back[] = {0, 0, 0, 1, 0, 3}; /* what 4 undid counts again */
    static const bool again[] = {0, 0, 0, 1, 1, 0};
    engine_mark_undone(back, ARRAY_LEN(back), undone);
    assert_memory_equal(undone, again, sizeof again);
}

int run_rollback_tests(void) {
    static const struct CMUnitTest tests[] = {
        TEST(back_before_a_step_that_completed),
        TEST(what_has_ended_goes_on),
        TEST(targets_that_are_none_are_refused),
        TEST(nobody_goes_back_to_an_end),
        TEST(a_number_means_the_end_of_its_decision),
        TEST(a_rollback_is_taken_back),
        TEST(a_loop_uses_no_id_twice),
        TEST(a_foreach_keeps_items_that_had_completed),
        TEST(a_foreach_without_items_left_ends_once_more),
        TEST(a_run_that_is_aided_is_given_up),
        TEST(what_was_used_stays_used),
        TEST(its_time_counts_anew),
        TEST(variables_are_those_of_then),
        TEST(what_was_begun_and_not_ended_is_settled_anew),
        TEST(a_moment_gets_a_name),
        TEST(a_policy_goes_back_so_often),
        TEST(a_persons_rollback_counts_anew),
        TEST(a_policy_without_such_a_moment_passes_on),
        TEST(nothing_follows_a_rollback_in_its_decision),
        TEST(a_sub_workflow_is_left_to_its_parent),
        TEST(a_pause_of_before_gives_no_reason),
        TEST(what_completed_behind_it_is_undone_first),
        TEST(a_cancel_ends_it_where_it_is),
        TEST(what_was_undone_in_part_is_not_kept),
        TEST(what_a_cancelled_undo_could_not_undo_is_kept),
        TEST(what_failed_in_doubt_may_be_undone),
        TEST(a_policy_undoes_before_it_goes_back),
        TEST(undone_events_are_found),
    };
    return cmocka_run_group_tests_name("rollbacks", tests, NULL, NULL);
}

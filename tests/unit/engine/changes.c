/* Another workflow or other inputs for what has ended: which nodes run anew, under which ids, and
 * that the fold of it is the state that was decided on. Each test changes an execution once or more
 * and folds it after each decision.
 */
#include "groups.h"

#define FLOW(nodes) "{cairn: 1, name: f, nodes: {" nodes "}}"

static void left(struct drive *d, const char *step, const char *handle) {
    drive_leave(d, step, 1, handle);
    drive_refold(d);
}

/* Goes on with the workflow; what runs anew, by name, is told. */
static const char *change(struct drive *d, const char *yaml) {
    struct engine_input in = {0};
    struct str text = STR("");
    drive_change(d, yaml, &in);
    drive_refold(d);
    struct value names = event_of(d, EVENT_EXECUTION_RETRIED)->nodes;
    for (size_t i = 0; i < value_count(names); i++) {
        text = arena_printf(&d->arena, "%.*s%s%.*s", STR_ARG(text), i ? " " : "",
                            STR_ARG(value_str(names.items[i])));
    }
    return text.ptr;
}

/* Ids of the steps that were scheduled, the last `count` of them. */
static const char *begun(struct drive *d, uint32_t count) {
    struct str text = STR("");
    char id[STEP_ID_BYTES];
    for (uint32_t i = d->event_count; i > 0 && count; i--) {
        if (d->journal[i - 1].kind == EVENT_STEP_SCHEDULED) {
            step_id_print(d->plan, d->journal[i - 1].step, id);
            text = arena_printf(&d->arena, "%s%s%.*s", id, text.len ? " " : "", STR_ARG(text));
            count--;
        }
    }
    return text.ptr;
}

static void the_same_workflow_is_a_plain_retry(void **state) {
    struct drive d;
    (void)state;
    const char *yaml =
        FLOW("a: {type: work}, b: {type: work, needs: [a]}, c: {type: work, needs: [b]}");
    drive_open(&d, yaml);
    drive_completes(&d, "a");
    drive_fails(&d, "b");
    assert_string_equal(change(&d, yaml), "b c");
    assert_string_equal(begun(&d, 1), "b~1");
    assert_int_equal(drive_status(&d, "a"), STEP_COMPLETED);
    drive_completes(&d, "b~1");
    drive_completes(&d, "c~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

/* Nodes stand in another order, one is new, one is gone; the bodies are those of the names. */
static void nodes_move(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, FLOW("a: {type: work}, x: {type: work}, b: {type: work, needs: [a, x]}"));
    drive_completes(&d, "a");
    drive_completes(&d, "x");
    drive_fails(&d, "b");
    assert_string_equal(
        change(&d, FLOW("b: {type: work, needs: [n, a]}, n: {type: work, needs: [a]},"
                        " a: {type: work}")),
        "b n");
    assert_string_equal(begun(&d, 1), "n");
    uint32_t a = (uint32_t)plan_node_find(d.plan, STR("a"));
    assert_str(value_str(engine_node_body(d.engine, a)), "a");
    drive_completes(&d, "n");
    assert_string_equal(begun(&d, 1), "b~1");
    drive_completes(&d, "b~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void what_comes_back_has_an_id_of_its_own(void **state) {
    struct drive d;
    (void)state;
    const char *with = FLOW("x: {type: work}, b: {type: work}");
    drive_open(&d, with);
    drive_completes(&d, "x");
    drive_fails(&d, "b");
    assert_string_equal(change(&d, FLOW("b: {type: work}")), "b");
    drive_fails(&d, "b~1");
    assert_string_equal(change(&d, with), "x b");
    assert_string_equal(begun(&d, 2), "x~1 b~2");
    drive_fails(&d, "b~2");
    drive_completes(&d, "x~1");
    assert_string_equal(change(&d, FLOW("b: {type: work}")), "b");
    drive_fails(&d, "b~3");
    assert_string_equal(change(&d, with), "x b");
    assert_string_equal(begun(&d, 2), "x~2 b~4");
    drive_close(&d);
}

#define UNDONE(nodes) "{cairn: 1, name: f, recover: compensate, nodes: {" nodes "}}"

/* A node that goes and comes back, or has other exits, is still one whose effect was undone. */
static void what_was_undone_takes_no_kept_result(void **state) {
    struct drive d;
    (void)state;
    const char *with =
        UNDONE("a: {type: work, compensate: u}, u: {type: work}, b: {type: work, needs: [a]}");
    drive_open(&d, with);
    drive_completes(&d, "a");
    drive_fails(&d, "b");
    drive_completes(&d, "u");
    assert_string_equal(change(&d, UNDONE("b: {type: work}")), "b");
    drive_fails(&d, "b~1");
    assert_string_equal(change(&d, UNDONE("c: {type: work}, b: {type: work}")), "c b");
    assert_false(engine_is_fresh(d.engine, 0));
    drive_completes(&d, "c");
    drive_fails(&d, "b~2");
    assert_string_equal(change(&d, with), "a b");
    assert_true(engine_is_fresh(d.engine, 0));
    drive_close(&d);
#define EXITS(cases)                                                               \
    UNDONE("a: {type: condition, cases: " cases ", effect: true, compensate: u}, " \
           "u: {type: work}, b: {type: work, needs: [a.x]}, e: {type: work, needs: [a]}")
    drive_open(&d, EXITS("[x, y]"));
    left(&d, "a", "y");
    drive_fails(&d, "e");
    drive_completes(&d, "u");
    assert_string_equal(change(&d, EXITS("[x, z]")), "a b e");
    assert_true(engine_is_fresh(d.engine, 0));
    drive_close(&d);
}

static void another_kind_runs_anew(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               FLOW("a: {type: work}, b: {type: work, needs: [a]}, c: {type: work, needs: [b]}"));
    drive_completes(&d, "a");
    drive_completes(&d, "b");
    drive_fails(&d, "c");
    assert_string_equal(
        change(&d, FLOW("a: {type: condition, when: 'true', effect: true},"
                        " b: {type: work, needs: [a]}, c: {type: work, needs: [b]}")),
        "a b c");
    assert_string_equal(begun(&d, 1), "a~1");
    drive_close(&d);
}

static void a_foreach_is_another_node(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, FLOW("a: {type: work}, b: {type: work, needs: [a]}"));
    drive_completes(&d, "a");
    drive_fails(&d, "b");
    assert_string_equal(change(&d, FLOW("a: {type: work, foreach: {items: '[1, 2]'}},"
                                        " b: {type: work, needs: [a]}")),
                        "a b");
    assert_string_equal(begun(&d, 2), "a[0]~1 a[1]~1");
    drive_close(&d);
}

static void an_exit_that_is_gone(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, FLOW("c: {type: condition, cases: [x, y, z], effect: true},"
                        " b: {type: work, needs: [c.y]}"));
    left(&d, "c", "y");
    drive_fails(&d, "b");
    assert_string_equal(change(&d, FLOW("c: {type: condition, cases: [y, x], effect: true},"
                                        " b: {type: work, needs: [c.y]}")),
                        "b");
    drive_fails(&d, "b~1");
    assert_string_equal(change(&d, FLOW("c: {type: condition, cases: [x, z], effect: true},"
                                        " b: {type: work, needs: [c.x]}")),
                        "c b");
    assert_string_equal(begun(&d, 1), "c~1");
    drive_close(&d);
}

/* b completed, but on the new graph it would have been skipped. */
static void what_would_not_have_begun(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, FLOW("c: {type: condition, when: 'true', effect: true},"
                        " b: {type: work, needs: [c.true]}, e: {type: work, needs: [b]}"));
    left(&d, "c", "true");
    drive_completes(&d, "b");
    drive_fails(&d, "e");
    assert_string_equal(
        change(&d, FLOW("c: {type: condition, when: 'true', effect: true},"
                        " b: {type: work, needs: [c.false]}, e: {type: work, needs: [c]}")),
        "b e");
    assert_int_equal(drive_status(&d, "b"), STEP_SKIPPED);
    assert_string_equal(begun(&d, 1), "e~1");
    drive_close(&d);
}

static void an_error_edge_goes_and_comes(void **state) {
    struct drive d;
    (void)state;
    const char *handled = FLOW("a: {type: work}, h: {type: work, needs: [a.error]},"
                               " b: {type: work, needs: [h]}");
    drive_open(&d, handled);
    drive_fails(&d, "a");
    drive_completes(&d, "h");
    drive_fails(&d, "b");
    assert_string_equal(change(&d, handled), "b");
    drive_fails(&d, "b~1");
    /* Nobody handles it any more: it is a failure, so it runs anew. */
    assert_string_equal(change(&d, FLOW("a: {type: work}, b: {type: work, needs: [a]}")), "a b");
    assert_string_equal(begun(&d, 1), "a~1");
    drive_fails(&d, "a~1");
    /* It was a failure of the execution: the handler that is new does not make it none. */
    assert_string_equal(change(&d, handled), "a h b");
    assert_string_equal(begun(&d, 1), "a~2");
    drive_close(&d);
}

#define LOOP(more, review)                                                         \
    "{cairn: 1, name: f, nodes: {draft: {type: work, needs: [review.false]}," more \
    " review: {type: condition, when: 'true', effect: true, needs: [" review "]}," \
    " out: {type: work, needs: [review.true]}}}"

static void a_loop_grows(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, LOOP("", "draft"));
    drive_completes(&d, "draft");
    left(&d, "review", "false");
    drive_completes(&d, "draft#1");
    left(&d, "review#1", "true");
    drive_fails(&d, "out");
    /* The new node runs in the iteration that its loop is in, and what depends on it anew. */
    assert_string_equal(change(&d, LOOP("polish: {type: work, needs: [draft]},", "polish")),
                        "polish review out");
    assert_string_equal(begun(&d, 1), "polish#1");
    drive_completes(&d, "polish#1");
    left(&d, "review#1~1", "false");
    assert_string_equal(begun(&d, 1), "draft#2");
    drive_completes(&d, "draft#2");
    drive_completes(&d, "polish#2");
    left(&d, "review#2", "true");
    drive_completes(&d, "out~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

/* The new back edge was taken, so to say: the loop goes round, and what it leads to waits. */
static void a_loop_is_closed_over_steps_that_are_kept(void **state) {
    struct drive d;
    (void)state;
    drive_open(
        &d, FLOW("draft: {type: work}, review: {type: condition, when: 'true', effect: true,"
                 " needs: [draft]}, out: {type: work, needs: [review.false]}, bad: {type: work}"));
    drive_completes(&d, "draft");
    left(&d, "review", "false");
    drive_completes(&d, "out");
    drive_fails(&d, "bad");
    assert_string_equal(
        change(&d, "{cairn: 1, name: f, nodes: {draft: {type: work, needs: [review.false]},"
                   " review: {type: condition, when: 'true', effect: true, needs: [draft]},"
                   " out: {type: work, needs: [review.true]}}}"),
        "out");
    assert_string_equal(begun(&d, 1), "draft#1");
    drive_completes(&d, "draft#1");
    left(&d, "review#1", "true");
    assert_string_equal(begun(&d, 1), "out~1");
    drive_completes(&d, "out~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

static void a_loop_is_opened(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, LOOP("", "draft"));
    drive_completes(&d, "draft");
    left(&d, "review", "false");
    drive_completes(&d, "draft#1");
    left(&d, "review#1", "true");
    drive_fails(&d, "out");
    assert_string_equal(
        change(&d, FLOW("draft: {type: work}, review: {type: condition, when: 'true',"
                        " effect: true, needs: [draft]},"
                        " out: {type: work, needs: [review.true]}")),
        "out");
    drive_completes(&d, "out~1");
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    drive_close(&d);
}

/* A loop that hit its limit is entered anew; one that left by its limit stays left. */
static void limits(void **state) {
    struct drive d;
    (void)state;
#define LIMITED(limit, how)                                                                 \
    "{cairn: 1, name: f, nodes: {a: {type: work, max_iterations: " limit ", on_limit: " how \
    ", needs: [c.false]}, c: {type: condition, when: 'true', effect: true, needs: [a]},"    \
    " out: {type: work, needs: [c.true, a.limit], join: any}}}"
#define STRICT(limit)                                                                           \
    "{cairn: 1, name: f, nodes: {a: {type: work, max_iterations: " limit ", needs: [c.false]}," \
    " c: {type: condition, when: 'true', effect: true, needs: [a]},"                            \
    " out: {type: work, needs: [c.true]}}}"
    drive_open(&d, STRICT("1"));
    drive_completes(&d, "a");
    left(&d, "c", "false");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_string_equal(change(&d, STRICT("2")), "a c out");
    drive_completes(&d, "a~1");
    left(&d, "c~1", "false");
    assert_string_equal(begun(&d, 1), "a#1");
    drive_close(&d);
    drive_open(&d, LIMITED("1", "exit"));
    drive_completes(&d, "a");
    left(&d, "c", "false");
    drive_fails(&d, "out");
    assert_string_equal(change(&d, LIMITED("5", "exit")), "out");
    assert_string_equal(begun(&d, 1), "out~1");
    drive_close(&d);
}

static void items_are_kept(void **state) {
    struct drive d;
    (void)state;
    const char *yaml =
        FLOW("f: {type: work, foreach: {items: '[1, 2, 3]'}}, b: {type: work, needs: [f]}");
    drive_open(&d, yaml);
    drive_completes(&d, "f[0]");
    drive_fails(&d, "f[1]");
    drive_completes(&d, "f[2]");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    change(&d, FLOW("n: {type: work}, f: {type: work, note: other, foreach: {items: '[1, 2, 3]'}},"
                    " b: {type: work, needs: [f]}"));
    struct value keeping = event_of(&d, EVENT_EXECUTION_RETRIED)->keeping;
    assert_int_equal(value_count(keeping), 1);
    drive_completes(&d, "n");
    drive_completes(&d, "f[1]~1");
    if (drive_status(&d, "f") != STEP_COMPLETED) { /* the third was cancelled with the second */
        drive_completes(&d, "f[2]~1");
    }
    assert_int_equal(drive_status(&d, "f"), STEP_COMPLETED);
    drive_close(&d);
}

static void variables(void **state) {
    struct drive d;
    struct engine_input in = {0};
    (void)state;
#define VARS(first)                                                    \
    "{cairn: 1, name: f, inputs: {n: {}}, vars: {set: 1, kept: " first \
    ", read: \"{{ inputs.n }}\"},"                                     \
    " nodes: {a: {type: work, set: {set: '7'}}, b: {type: work, needs: [a]}}}"
    drive_open(&d, VARS("1"));
    drive_completes(&d, "a");
    drive_fails(&d, "b");
    assert_int_equal(value_parse_json(&d.arena, STR("{\"n\": 3}"), &in.inputs, NULL), OK);
    drive_change(&d, VARS("2"), &in);
    drive_refold(&d);
    assert_int_equal(engine_var(d.engine, 0).num, 7); /* by a step */
    assert_int_equal(engine_var(d.engine, 1).num, 2);
    assert_int_equal(engine_var(d.engine, 2).num, 3);
    drive_close(&d);
}

static void only_what_has_ended(void **state) {
    struct drive d;
    struct engine_input in = {.ticket = 1};
    (void)state;
    const char *yaml = FLOW("a: {type: work}, b: {type: work, needs: [a]}");
    drive_open(&d, yaml);
    drive_change(&d, yaml, &in);
    assert_int_equal(d.out.record_count, 0);
    assert_int_equal(d.out.verdict_count, 1);
    drive_close(&d);
}

/* A journal that names another workflow than the one that is found, or none. */
static void the_fold_is_careful(void **state) {
    struct drive d;
    struct error e = {0};
    (void)state;
    drive_open(&d, FLOW("a: {type: work}"));
    drive_fails(&d, "a");
    struct plan *other = plan_of(FLOW("b: {type: work}"));
    struct event ev = {.kind = EVENT_WORKFLOW_CHANGED,
                       .seq = d.event_count + 1,
                       .at = {d.now_us},
                       .hash = STR("beef"),
                       .entry = STR("flow.yaml")};
    assert_int_equal(engine_fold(d.engine, &ev, &e), ERR_CORRUPT);
    engine_offer_plan(d.engine, other);
    ev.seq = engine_last_seq(d.engine) + 1;
    assert_int_equal(engine_fold(d.engine, &ev, &e), ERR_CORRUPT);
    drive_close(&d);
    plan_free(other);
}

int run_change_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_same_workflow_is_a_plain_retry),
        TEST(nodes_move),
        TEST(what_comes_back_has_an_id_of_its_own),
        TEST(what_was_undone_takes_no_kept_result),
        TEST(another_kind_runs_anew),
        TEST(a_foreach_is_another_node),
        TEST(an_exit_that_is_gone),
        TEST(what_would_not_have_begun),
        TEST(an_error_edge_goes_and_comes),
        TEST(a_loop_grows),
        TEST(a_loop_is_closed_over_steps_that_are_kept),
        TEST(a_loop_is_opened),
        TEST(limits),
        TEST(items_are_kept),
        TEST(variables),
        TEST(only_what_has_ended),
        TEST(the_fold_is_careful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

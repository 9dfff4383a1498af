/* Variables: what steps set, in the order of the journal; how it is recorded; and that a fold finds
 * the same.
 */
#include <stdio.h>

#include "groups.h"

static void assert_json(struct value v, const char *expected) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    buf_append_char(&b, '\0');
    assert_string_equal(b.ptr, expected);
    buf_fini(&b);
}

static void assert_var(struct drive *d, uint32_t var, const char *expected) {
    assert_json(engine_var(d->engine, var), expected);
}

static void done_text(struct drive *d, const char *step, const char *body) {
    drive_done(d, step, 1, value_text(str_from(body)));
}

static struct value last_set(const struct drive *d) {
    return event_of(d, EVENT_STEP_COMPLETED)->set;
}

static void changes_come_in_the_order_of_the_journal(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\nvars: {rows: []}\nnodes:\n"
               "  a: {type: work, set: {rows: 'vars.rows + [a]'}}\n"
               "  b: {type: work, set: {rows: 'vars.rows + [b]'}}\n"
               "  c: {type: work, needs: [a, b], set: {rows: 'vars.rows + [c, nodes.c.status]'}}\n"
               "outputs: {rows: vars.rows, all: vars}\n");
    done_text(&d, "b", "B");
    assert_json(last_set(&d), "{\"append\":{\"rows\":[\"B\"]}}");
    done_text(&d, "a", "A");
    assert_json(last_set(&d), "{\"append\":{\"rows\":[\"A\"]}}");
    drive_refold(&d);
    assert_var(&d, 0, "[\"B\",\"A\"]");
    drive_input(&d, INPUT_REFRESH, NULL, 0);
    done_text(&d, "c", "C");
    drive_refold(&d);
    assert_json(engine_result(d.engine), "{\"rows\":[\"B\",\"A\",\"C\",\"running\"],"
                                         "\"all\":{\"rows\":[\"B\",\"A\",\"C\",\"running\"]}}");
    drive_close(&d);
}

static void only_what_changed_is_recorded(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {rows: [1, [2]], log: ab, n: 1, m: 2, same: {x: [1]}}\nnodes:\n"
                   "  a: {type: work, set: {rows: 'vars.rows + [3]', log: \"vars.log + 'c'\",\n"
                   "      n: vars.m, m: vars.n, same: '{''x'': [1]}'}}\n"
                   "  b: {type: work, needs: a, set: {rows: vars.rows, log: \"vars.log + ''\"}}\n"
                   "  c: {type: work, needs: b, set: {rows: '[1, [2.0], 3, 4]', log: \"'x'\"}}\n");
    done_text(&d, "a", "");
    assert_json(last_set(&d), "{\"to\":{\"n\":2,\"m\":1},\"append\":{\"rows\":[3],\"log\":\"c\"}}");
    done_text(&d, "b", "");
    assert_true(value_is_null(last_set(&d)));
    done_text(&d, "c", ""); /* 2.0 is not 2: the new list does not begin with the old one */
    assert_json(last_set(&d), "{\"to\":{\"rows\":[1,[2.0],3,4],\"log\":\"x\"}}");
    drive_refold(&d);
    assert_var(&d, 0, "[1,[2.0],3,4]");
    assert_var(&d, 1, "\"x\"");
    drive_close(&d);
}

/* Each turn records what it adds, however much there is already. */
static void a_loop_that_appends_is_linear(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {rows: [], text: ''}\nnodes:\n"
                   "  a: {type: work, needs: c.true, max_iterations: 300, on_limit: exit,\n"
                   "      set: {rows: 'vars.rows + [[a, iteration]]', text: vars.text + a}}\n"
                   "  c: {type: condition, needs: a, effect: true}\n");
    struct step_result yes = {.handle = STR("true"), .body = value_text(STR("true"))};
    for (uint32_t i = 0; i < 300; i++) {
        struct step_result r = {.body = value_text(STR("some text"))};
        struct engine_input in = {
            .type = INPUT_DONE, .step = {0, i, -1, 0}, .attempt = 1, .result = &r, .now = {NOW_US}};
        struct error e;
        engine_out_reset(&d.out);
        assert_int_equal(engine_decide(d.engine, &in, &d.out, &e), OK);
        assert_true(d.out.records[0].body_len < 100);
        in.step.node = 1;
        in.result = &yes;
        assert_int_equal(engine_decide(d.engine, &in, &d.out, &e), OK);
    }
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
    assert_int_equal(value_count(engine_var(d.engine, 0)), 300);
    assert_json(engine_var(d.engine, 0).items[299], "[\"some text\",299]");
    assert_int_equal(engine_var(d.engine, 1).extra, 300 * 9);
    drive_close(&d);
}

static void items_set_one_by_one(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {rows: [], n: 0}\nnodes:\n"
                   "  f: {type: work, foreach: {items: ['''x''', '''y''', '''z'''], as: row,\n"
                   "      on_item_error: collect}, set: {rows: 'vars.rows + [[index, row, f]]',\n"
                   "      n: vars.n + 1}}\n");
    done_text(&d, "f[2]", "C");
    assert_json(last_set(&d), "{\"to\":{\"n\":1},\"append\":{\"rows\":[[2,\"z\",\"C\"]]}}");
    drive_fail(&d, "f[1]", 1, FAILURE_PERMANENT, "code");
    drive_refold(&d);
    drive_input(&d, INPUT_REFRESH, NULL, 0);
    done_text(&d, "f[0]", "A");
    assert_int_equal(engine_status(d.engine), EXEC_PARTIAL);
    assert_true(value_is_null(last_set(&d))); /* of the foreach itself */
    assert_var(&d, 0, "[[2,\"z\",\"C\"],[0,\"x\",\"A\"]]");
    assert_var(&d, 1, "2");
    drive_refold(&d);
    drive_close(&d);
}

static void a_set_that_fails_fails_its_step(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {n: 1, seen: []}\nnodes:\n"
                   "  a: {type: work, on_error: continue, set: {seen: '[a]', n: a.x}}\n"
                   "  b: {type: work, on_error: {value: '{''x'': 5}'}, set: {n: b.x}}\n"
                   "  c: {type: work, set: {n: c.x}, retry: {attempts: 3, backoff: 0s}}\n");
    drive_done(&d, "a", 1, value_null());
    const struct event *failed = event_of(&d, EVENT_STEP_FAILED);
    assert_str(failed->error_type, "expression");
    assert_true(str_starts(failed->message, STR("set.n: ")));
    assert_var(&d, 1, "[]");
    drive_done(&d, "b", 1, value_null()); /* completes with the value, and sets by that */
    assert_json(last_set(&d), "{\"to\":{\"n\":5}}");
    drive_done(&d, "c", 1, value_null());
    assert_str(engine_error(d.engine)->type, "expression");
    assert_int_equal(engine_error(d.engine)->attempt, 1);
    drive_refold(&d);
    assert_var(&d, 0, "5");
    drive_close(&d);
}

static void what_does_not_complete_sets_nothing(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {n: 1}\nnodes:\n"
                   "  a: {type: work, if: vars.n > 1, set: {n: 2}}\n"
                   "  b: {type: work, set: {n: 3}, on_error: continue}\n"
                   "  c: {type: work, set: {n: 4}}\n");
    assert_int_equal(engine_node_status(d.engine, 0), STEP_SKIPPED);
    drive_fail(&d, "b", 1, FAILURE_PERMANENT, "code");
    drive_input(&d, INPUT_CANCEL, NULL, 0);
    assert_int_equal(engine_status(d.engine), EXEC_CANCELLED);
    assert_var(&d, 0, "1");
    drive_refold(&d);
    drive_close(&d);
}

/* One takes the value of another that is replaced in the same step. */
static void values_may_move_between_variables(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\nvars: {a: [old, [1]], b: none}\nnodes:\n"
               "  n: {type: work, set: {a: '[''new'']', b: vars.a}, on_error: {value: vars.a}}\n"
               "outputs: {n: n}\n");
    drive_fail(&d, "n", 1, FAILURE_PERMANENT, "code");
    assert_var(&d, 0, "[\"new\"]");
    assert_var(&d, 1, "[\"old\",[1]]");
    assert_json(engine_result(d.engine), "{\"n\":[\"old\",[1]]}");
    drive_refold(&d);
    drive_close(&d);
}

/* What was evaluated for an effect stays, whatever becomes of the variables. */
static void an_effect_keeps_what_it_was_given(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {rows: [1]}\nnodes:\n"
                   "  a: {type: work, value: vars.rows}\n"
                   "  b: {type: work, set: {rows: 'vars.rows + [2]'}}\n"
                   "  c: {type: work, set: {rows: '[]'}}\n");
    struct flight *before = flight_ref(d.out.effects[0].flight);
    done_text(&d, "b", "");
    done_text(&d, "c", "");
    assert_json(flight_in(before)->fields[1], "[1]");
    drive_refold(&d);
    drive_input(&d, INPUT_START, NULL, 0);
    assert_json(flight_in(effect_of(&d, OUT_PERFORM)->flight)->fields[1], "[1]");
    flight_unref(before);
    drive_close(&d);
}

static void first_values_that_fail_end_it(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\ninputs: {n: {}}\nvars: {a: 1, b: '{{ inputs.n.x }}'}\nnodes:\n"
                   "  a: {type: work}\n");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    assert_str(engine_error(d.engine)->type, "expression");
    assert_true(str_starts(engine_error(d.engine)->message, STR("vars.b: ")));
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
    drive_refold(&d);
    drive_close(&d);
}

static void values_have_a_depth(void **state) {
    struct drive d;
    char step[32] = "a";
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {x: []}\nnodes:\n"
                   "  a: {type: work, needs: b, max_iterations: 250, on_limit: exit,\n"
                   "      set: {x: '[vars.x]'}}\n"
                   "  b: {type: work, needs: a}\n");
    for (int i = 0; i < 250 && engine_status(d.engine) == EXEC_RUNNING; i++) {
        snprintf(step, sizeof step, i ? "a#%d" : "a", i);
        done_text(&d, step, "");
        if (engine_status(d.engine) == EXEC_RUNNING) {
            step[0] = 'b';
            done_text(&d, step, "");
        }
    }
    assert_str(engine_error(d.engine)->type, "limit");
    drive_refold(&d);
    drive_close(&d);
}

static void a_set_of_no_variable_is_corrupt(void **state) {
    static const char *const sets[] = {"{\"to\":{\"y\":1}}", "{\"append\":{\"x\":[1]}}",
                                       "{\"append\":{\"x\":1}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct plan *p = plan_of("cairn: 1\nvars: {x: text}\nnodes:\n  a: {type: work}\n");
        struct engine *g;
        struct arena a;
        struct error e = {0};
        struct event created = {.kind = EVENT_EXECUTION_CREATED, .seq = 1, .rules = ENGINE_RULES};
        struct event done = {
            .kind = EVENT_STEP_COMPLETED, .seq = 2, .has_step = true, .step = {0, 0, -1, 0}};
        arena_init(&a, 0);
        assert_int_equal(value_parse_json(&a, str_from(sets[i]), &done.set, &e), OK);
        assert_int_equal(engine_new(p, &g, &e), OK);
        assert_int_equal(engine_fold(g, &created, &e), OK);
        assert_int_equal(engine_fold(g, &done, &e), ERR_CORRUPT);
        engine_free(g);
        arena_fini(&a);
        plan_free(p);
    }
}

static void values_of_in_are_read_as_their_type(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d,
               "cairn: 1\nvars: {n: '42', none: }\nnodes:\n"
               "  a: {type: work, in: {n: {from: vars.n, type: integer, transform: it + 1},\n"
               "      m: {from: vars.none, default: '''5''', type: integer}}, value: '[n, m]'}\n"
               "  b: {type: work, in: {n: {from: \"'abc'\", type: integer}}, value: n}\n");
    assert_json(flight_in(effect_of(&d, OUT_PERFORM)->flight)->fields[1], "[43,5]");
    assert_str(engine_error(d.engine)->type, "invalid");
    assert_str(engine_error(d.engine)->message,
               "in.n of \"b\": expected integer, got string \"abc\"");
    drive_close(&d);
}

static void lossy_numbers_are_marked(void **state) {
    struct drive d;
    struct arena a;
    struct value body;
    struct error e;
    (void)state;
    arena_init(&a, 0);
    drive_open(&d, "cairn: 1\nnodes:\n  a: {type: work}\n  b: {type: work}\n");
    assert_int_equal(
        value_parse_json(&a, STR("{\"x\":[1,123456789012345678901234567890]}"), &body, &e), OK);
    drive_done(&d, "a", 1, body);
    assert_json(event_of(&d, EVENT_STEP_COMPLETED)->meta, "{\"lossy\":true}");
    drive_done(&d, "b", 1, value_double(1e29));
    assert_true(value_is_null(event_of(&d, EVENT_STEP_COMPLETED)->meta));
    drive_refold(&d);
    drive_close(&d);
    arena_fini(&a);
}

static void a_matrix_gives_all_combinations(void **state) {
    struct drive d;
    (void)state;
    drive_open(&d, "cairn: 1\nvars: {os: [linux, mac]}\nnodes:\n"
                   "  a: {type: work, value: item, foreach: {matrix: {os: vars.os, n: [1, 2, 3]},\n"
                   "      exclude: [{os: mac, n: 2}, {n: 3}], include: [{os: bsd}]}}\n"
                   "  b: {type: work, foreach: {matrix: {x: [], y: [1]}}}\n");
    assert_json(event_of(&d, EVENT_FOREACH_STARTED)->inputs, "[]");
    assert_int_equal(engine_node_status(d.engine, 1), STEP_COMPLETED);
    assert_json(d.journal[2].inputs, "[{\"os\":\"linux\",\"n\":1},{\"os\":\"linux\",\"n\":2},"
                                     "{\"os\":\"mac\",\"n\":1},{\"os\":\"bsd\"}]");
    assert_int_equal(effects_of(&d, OUT_PERFORM), 4);
    drive_refold(&d);
    drive_close(&d);
}

static void a_matrix_is_refused(void **state) {
    static const char *const rows[][3] = {
        {"matrix: {x: vars.n, y: [1]}", "expression", "foreach.matrix.x must be a list, it is int"},
        {"matrix: {x: [1]}, exclude: [1]", "expression",
         "foreach.exclude[0] must be a map, it is int"},
        {"matrix: {x: [1]}, include: vars.n", "expression",
         "foreach.include must be a list, it is int"},
        {"max_items: 6, matrix: {x: [1, 2, 3], y: [1, 2]}, include: [{x: 9}]", "limit",
         "foreach.matrix has more items than max_items 6"},
        {"matrix: {a: vars.l, b: vars.l, c: vars.l, d: vars.l, e: vars.l, f: vars.l}", "limit",
         "foreach.matrix has more items than max_items 100000"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct drive d;
        char text[400];
        snprintf(text, sizeof text,
                 "cairn: 1\nvars: {n: 1, l: [1,2,3,4,5,6,7,8,9,10,11,12]}\nnodes:\n"
                 "  a: {type: work, foreach: {%s}}\n",
                 rows[i][0]);
        drive_open(&d, text);
        assert_str(engine_error(d.engine)->type, rows[i][1]);
        assert_str(engine_error(d.engine)->message, rows[i][2]);
        drive_close(&d);
    }
}

int run_var_tests(void) {
    const struct CMUnitTest tests[] = {TEST(changes_come_in_the_order_of_the_journal),
                                       TEST(only_what_changed_is_recorded),
                                       TEST(a_loop_that_appends_is_linear),
                                       TEST(items_set_one_by_one),
                                       TEST(a_set_that_fails_fails_its_step),
                                       TEST(what_does_not_complete_sets_nothing),
                                       TEST(values_may_move_between_variables),
                                       TEST(an_effect_keeps_what_it_was_given),
                                       TEST(first_values_that_fail_end_it),
                                       TEST(values_have_a_depth),
                                       TEST(a_set_of_no_variable_is_corrupt),
                                       TEST(values_of_in_are_read_as_their_type),
                                       TEST(lossy_numbers_are_marked),
                                       TEST(a_matrix_gives_all_combinations),
                                       TEST(a_matrix_is_refused)};
    return cmocka_run_group_tests_name("vars", tests, NULL, NULL);
}

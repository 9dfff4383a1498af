/* What a step is told of what was said before: the state of the moment it was scheduled, the same
 * for every attempt and after a fold; nothing of steps that failed or that asked anew.
 */
#include "rig.h"

/* Asks as agent, and is answered. */
static void talk(const char *step, const char *agent, const char *question) {
    struct step_port *port = rig_find(step)->port;
    struct value_builder request, answer;
    struct value known;
    value_builder_init(&request, &rig.arena);
    value_map_add(&request, STR("agent"), value_text(str_from(agent)));
    value_map_add(&request, STR("content"), value_text(str_from(question)));
    value_builder_init(&answer, &rig.arena);
    value_map_add(&answer, STR("content"), value_text(str_from("ok")));
    uint32_t call = port->ops->call_begin(port, value_map_done(&request), &known);
    if (value_is_null(known)) {
        port->ops->call_done(port, call, value_map_done(&answer));
    }
    rig_turns();
}

/* The questions that the step is told, in order. */
static const char *heard(const char *step, const char *agent, uint32_t at_most) {
    struct step_port *port = rig_find(step)->port;
    struct value list;
    struct buf b;
    assert_int_equal(port->ops->history(port, str_from(agent), at_most, &list), OK);
    buf_init(&b, 0);
    for (size_t i = 0; i < value_count(list); i++) {
        struct value request = *value_get(list.items[i], STR("request"));
        assert_non_null(value_get(list.items[i], STR("answer")));
        buf_printf(&b, "%s%.*s", i ? " " : "",
                   STR_ARG(value_str(*value_get(request, STR("content")))));
    }
    struct str text = arena_str(&rig.arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

#define CHAIN                                                             \
    "cairn: 1\nname: t\nnodes:\n"                                         \
    "  a: {type: work}\n  b: {type: work, needs: [a]}\n"                  \
    "  c: {type: work, needs: [b], retry: {attempts: 2, backoff: 1ms}}\n" \
    "  side: {type: work}\n"

static void a_step_hears_what_was_said_before_it(void **state) {
    (void)state;
    (void)rig_run(CHAIN);
    assert_string_equal(heard("a", "", 0), "");
    talk("a", "x", "a1");
    talk("a", "y", "a2");
    rig_done("a", NULL);
    talk("b", "x", "b1");
    assert_string_equal(heard("b", "", 0), "a1 a2");
    rig_done("b", NULL);
    assert_string_equal(heard("c", "", 0), "a1 a2 b1");
    assert_string_equal(heard("c", "x", 0), "a1 b1");
    assert_string_equal(heard("c", "", 2), "a2 b1");
    assert_string_equal(heard("c", "x", 1), "b1");
    assert_string_equal(heard("c", "nobody", 0), "");
    assert_string_equal(heard("side", "", 0), ""); /* it was there before all that */
}

static void every_attempt_hears_the_same(void **state) {
    (void)state;
    struct run *r = rig_run(CHAIN);
    talk("a", "x", "a1");
    rig_done("a", NULL);
    rig_done("b", NULL);
    assert_string_equal(heard("c", "", 0), "a1");
    talk("side", "x", "s1");
    rig_done("side", NULL); /* after c was scheduled */
    rig_fail("c", FAILURE_TRANSIENT, "oops");
    rig_wait_ms(100);
    assert_string_equal(heard("c", "", 0), "a1");
    r = rig_restart(r, 100);
    rig_turns();
    assert_string_equal(heard("c", "", 0), "a1");
    rig_check_fold(r);
}

static void what_failed_or_was_put_aside_was_not_said(void **state) {
    (void)state;
    (void)rig_run("cairn: 1\nname: t\nnodes:\n"
                  "  a: {type: work, on_error: continue}\n"
                  "  b: {type: work, on_error: {value: 1}}\n"
                  "  c: {type: work, retry: {attempts: 2, backoff: 1ms}}\n"
                  "  d: {type: work, needs: [c]}\n");
    talk("a", "x", "a1");
    rig_fail("a", FAILURE_PERMANENT, "oops");
    talk("b", "x", "b1");
    rig_fail("b", FAILURE_PERMANENT, "oops");
    talk("c", "x", "c1");
    struct step_failure f = {.class = FAILURE_TRANSIENT,
                             .type = STR("answer"),
                             .message = STR("no"),
                             .forget_calls = true};
    struct step_port *port = rig_find("c")->port;
    rig_find("c")->port = NULL;
    (port->ops->fail)(port, &f);
    rig_turns();
    rig_wait_ms(100);
    talk("c", "x", "c2");
    rig_done("c", NULL);
    assert_string_equal(heard("d", "", 0), "c2");
}

int run_history_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_step_hears_what_was_said_before_it, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(every_attempt_hears_the_same, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_failed_or_was_put_aside_was_not_said, rig_setup,
                                        rig_teardown),
    };
    return cmocka_run_group_tests_name("host histories", tests, NULL, NULL);
}

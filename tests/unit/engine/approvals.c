/* Asks that approve: what they show and bind, and that nothing is performed that they did not
 * approve as it is. After each decision the journal is folded, so what is bound survives every
 * takeover.
 */
#include <stdio.h>

#include "groups.h"

static struct drive d;

static const char *answer(const char *step, const char *text) {
    const char *verdict = drive_answer(&d, step, text);
    drive_refold(&d);
    return verdict;
}

/* What the step that waits shows, as JSON. */
static const char *shown(const char *step) {
    struct step_id id;
    struct buf b;
    assert_true(step_id_parse(d.plan, str_from(step), &id));
    const struct track *t = engine_track_find(d.engine, id);
    assert_non_null(t);
    assert_int_equal(t->status, STEP_WAITING);
    const struct value *v = value_get(t->more->request, STR("approves"));
    buf_init(&b, 0);
    value_print_json(v ? *v : value_null(), 0, &b);
    const char *text = arena_str(&d.arena, buf_str(&b)).ptr;
    buf_fini(&b);
    return text;
}

static void assert_performed(const char *step, uint32_t attempt) {
    struct step_id id;
    uint32_t found = 0;
    assert_true(step_id_parse(d.plan, str_from(step), &id));
    for (uint32_t i = 0; i < d.out.effect_count; i++) {
        const struct engine_effect *fx = &d.out.effects[i];
        found += fx->type == OUT_PERFORM && step_id_same(fx->step, id) && fx->attempt == attempt;
    }
    assert_int_equal(found, 1);
}

/* The newest failure, and that it led to nothing being performed. */
static void assert_refused(const char *type, const char *message) {
    const struct event *ev = event_of(&d, EVENT_STEP_FAILED);
    assert_non_null(ev);
    assert_str(ev->error_type, type);
    assert_str(ev->message, message);
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
}

#define SEND                                                                       \
    "{cairn: 1, inputs: {to: {type: string, default: Ada}}, vars: {text: first}, " \
    "nodes: {draft: {type: work}, side: {type: work, set: {text: side}}, "         \
    "q: {type: person, needs: draft, choices: ['yes', 'no'], approves: send}, "    \
    "send: {type: work, needs: q.yes, in: {old: draft}, note: 'Dear {{ old }}', "  \
    "value: vars.text, data: {key: '[1] {{ secrets.TOKEN }}'}, "                   \
    "retry: {attempts: 3, backoff: 0s, on: [any]}}}}"
#define CHANGED "what \"q\" approved is not what it would be given now; changed: "

static void it_shows_what_it_approves(void **state) {
    (void)state;
    drive_open(&d, SEND);
    drive_completes(&d, "draft");
    assert_string_equal(shown("q"),
                        "{\"node\":\"send\",\"arguments\":{\"note\":\"Dear draft\",\"value\":"
                        "\"first\",\"data\":{\"key\":\"[1] [secret TOKEN]\"}},\"in\":{\"old\":"
                        "\"draft\"}}");
    assert_string_equal(answer("q", "yes"), "accepted");
    assert_performed("send", 1);
    drive_fail(&d, "send", 1, FAILURE_TRANSIENT, "net");
    assert_performed("send", 2); /* with the same */
    drive_refold(&d);
    drive_input(&d, INPUT_START, NULL, 0);
    assert_performed("send", 3);
    drive_done(&d, "send", 3, value_null());
    drive_done(&d, "side", 2, value_null());
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

static void what_changed_meanwhile_is_not_performed(void **state) {
    (void)state;
    drive_open(&d, SEND);
    drive_completes(&d, "draft");
    drive_completes(&d, "side"); /* sets the variable that send is given */
    assert_string_equal(answer("q", "yes"), "accepted");
    assert_refused("approval_changed", CHANGED "value");
    assert_int_equal(engine_status(d.engine), EXEC_FAILED);
    drive_input(&d, INPUT_RETRY, NULL, 0); /* what was approved is still not that */
    assert_refused("approval_changed", CHANGED "value");
    struct engine_input in = {.type = INPUT_RETRY, .host = 2, .epoch = 2, .target = STR("q")};
    drive_give(&d, &in);
    drive_refold(&d);
    assert_non_null(strstr(shown("q~1"), "\"value\":\"side\""));
    assert_string_equal(answer("q~1", "yes"), "accepted");
    assert_performed("send~2", 1);
}

static void no_is_no(void **state) {
    (void)state;
    drive_open(&d, SEND);
    drive_completes(&d, "draft");
    drive_completes(&d, "side");
    assert_string_equal(answer("q", "no"), "accepted");
    assert_int_equal(drive_status(&d, "send"), STEP_SKIPPED);
    assert_int_equal(engine_status(d.engine), EXEC_COMPLETED);
}

#define BESIDE(guard)                                                 \
    "{cairn: 1, nodes: {side: {type: work}, q: {type: person, " guard \
    "choices: ['yes', 'no'], approves: send}, send: {type: work, needs: [q.yes, side]}}}"

static void another_need_does_not_start_it_without(void **state) {
    (void)state;
    drive_open(&d, BESIDE(""));
    assert_string_equal(answer("q", "no"), "accepted");
    drive_completes(&d, "side");
    assert_refused("not_approved", "\"q\" has not approved it (it was answered otherwise), and "
                                   "without that it is not begun");
}

static void an_ask_that_was_skipped_approves_nothing(void **state) {
    (void)state;
    drive_open(&d, BESIDE("if: 'false', "));
    drive_completes(&d, "side");
    assert_refused("not_approved", "\"q\" has not approved it (it is skipped), and without that it "
                                   "is not begun");
}

static void an_answer_before_it_asks_approves_nothing(void **state) {
    (void)state;
    drive_open(&d, SEND);
    assert_string_equal(
        answer("q", "yes"),
        "refused: step q does not wait yet; what it approves it shows when it does, "
        "and an answer before that approves nothing");
    drive_completes(&d, "draft");
    assert_int_equal(drive_status(&d, "q"), STEP_WAITING);
}

static void arguments_that_cannot_be_evaluated_are_not_asked_for(void **state) {
    (void)state;
    drive_open(&d, "{cairn: 1, nodes: {a: {type: work}, q: {type: person, needs: a, approves: send,"
                   " on_error: {value: \"'yes'\"}},"
                   " send: {type: work, needs: q, value: a.b}}}");
    drive_done(&d, "a", 1, value_int(1));
    assert_int_equal(drive_status(&d, "q"),
                     STEP_COMPLETED); /* on_error, and it has shown nothing */
    const struct event *ev = event_of(&d, EVENT_STEP_FAILED);
    assert_non_null(ev);
    assert_str(ev->error_type, "expression");
    assert_int_equal(effects_of(&d, OUT_PERFORM), 0);
    ev = event_of(&d, EVENT_STEP_COMPLETED);
    assert_true(str_starts(ev->message, STR("what it approves has no arguments yet: ")));
}

/* An answer may be one to what the step showed at first. */
static void asked_again_it_shows_the_same(void **state) {
    (void)state;
    drive_open(&d, "{cairn: 1, vars: {n: 1}, nodes: {side: {type: work, set: {n: '2'}},"
                   "q: {type: person, choices: ['yes', 'no'], approves: s, timeout: 10s,"
                   " retry: {attempts: 2, backoff: 0s, on: [any]}},"
                   "s: {type: work, needs: q.yes, note: '{{ vars.n }}'}}}");
    assert_string_equal(shown("q"), "{\"node\":\"s\",\"arguments\":{\"note\":\"1\"}}");
    drive_completes(&d, "side");
    d.now_us += 10000000;
    drive_input(&d, INPUT_WAIT_DUE, "q", 1);
    drive_refold(&d);
    assert_int_equal(event_of(&d, EVENT_STEP_WAITING)->attempt, 2);
    assert_string_equal(shown("q"), "{\"node\":\"s\",\"arguments\":{\"note\":\"1\"}}");
    assert_string_equal(answer("q", "yes"), "accepted");
    assert_refused("approval_changed", CHANGED "note");
}

/* In each iteration it approves the step of that one; behind the loop, what it saw last. */
static void in_a_loop_each_answer_is_for_its_own_iteration(void **state) {
    (void)state;
    drive_open(&d,
               "{cairn: 1, vars: {n: 0}, nodes: {"
               "h: {type: work, needs: s, max_iterations: 3, on_limit: exit, set: {n: vars.n + 1}},"
               "q: {type: person, needs: h, choices: ['yes', 'no'], approves: s},"
               "s: {type: work, needs: q.yes, note: '{{ h }} {{ vars.n }}'}}}");
    drive_completes(&d, "h");
    assert_string_equal(shown("q"), "{\"node\":\"s\",\"arguments\":{\"note\":\"h 1\"}}");
    assert_string_equal(answer("q", "yes"), "accepted");
    assert_performed("s", 1);
    drive_completes(&d, "s");
    drive_completes(&d, "h#1");
    assert_string_equal(shown("q#1"), "{\"node\":\"s\",\"arguments\":{\"note\":\"h#1 2\"}}");
    assert_string_equal(answer("q#1", "yes"), "accepted");
    assert_performed("s#1", 1);
}

static void behind_a_loop_the_last_answer_counts(void **state) {
    (void)state;
    drive_open(&d, "{cairn: 1, nodes: {"
                   "h: {type: work, needs: q.again, max_iterations: 3},"
                   "q: {type: person, needs: h, choices: ['yes', again], approves: s},"
                   "s: {type: work, needs: q.yes, note: '{{ h }} {{ iteration }}'}}}");
    drive_completes(&d, "h");
    assert_string_equal(answer("q", "again"), "accepted");
    assert_performed("h#1", 1);
    drive_completes(&d, "h#1");
    assert_string_equal(shown("q#1"), "{\"node\":\"s\",\"arguments\":{\"note\":\"h#1 0\"}}");
    assert_string_equal(answer("q#1", "yes"), "accepted");
    assert_performed("s", 1);
}

/* A program sees its needs, the inputs and names of in; the answers that approve it are none of its
 * arguments. Both must have approved it. */
#define TWO                                                                                \
    "{cairn: 1, inputs: {to: {type: string, default: Ada}}, nodes: {draft: {type: work}, " \
    "a: {type: person, needs: draft, choices: ['yes', 'no'], approves: s}, "               \
    "b: {type: person, needs: draft, choices: ['yes', 'no'], approves: s}, "               \
    "s: {type: program, needs: [a.yes, b.yes, draft], note: run}}}"

static void all_who_approve_it_must(void **state) {
    (void)state;
    drive_open(&d, TWO);
    drive_completes(&d, "draft");
    assert_string_equal(
        shown("a"),
        "{\"node\":\"s\",\"arguments\":{\"note\":\"run\"},\"sees\":{\"draft\":\"draft\"}}");
    assert_string_equal(answer("a", "yes"), "accepted");
    assert_string_equal(answer("b", "yes"), "accepted");
    assert_performed("s", 1);
    drive_close(&d);
    drive_open(&d, TWO);
    drive_completes(&d, "draft");
    assert_string_equal(answer("a", "yes"), "accepted");
    assert_string_equal(answer("b", "no"), "accepted");
    assert_refused("not_approved", "\"b\" has not approved it (it was answered otherwise), and "
                                   "without that it is not begun");
}

/* Of a program the results that it sees count, too. */
static void what_a_program_sees_is_bound(void **state) {
    struct engine_input in = {0};
    static const char yaml[] =
        "{cairn: 1, nodes: {draft: {type: work}, q: {type: person, needs: draft, "
        "choices: ['yes', 'no'], approves: s}, s: {type: program, needs: [q.yes, draft]}}}";
    (void)state;
    drive_open(&d, yaml);
    drive_completes(&d, "draft");
    assert_string_equal(answer("q", "yes"), "accepted");
    drive_fail(&d, "s", 1, FAILURE_PERMANENT, "code");
    drive_refold(&d);
    in = (struct engine_input){.inputs = value_null(), .target = STR("s")};
    assert_int_equal(value_parse_json(&d.arena, STR("{\"more\": 1}"), &in.inputs, NULL), OK);
    drive_change(&d, yaml, &in);
    assert_refused("approval_changed", CHANGED "inputs");
}

#define FLOW(approves, fields)                                                   \
    "{cairn: 1, nodes: {q: {type: person, choices: ['yes', 'no']" approves "}, " \
    "s: {type: work, needs: q.yes, " fields "}}}"

/* An approval is one of the arguments, constants and all, not of a name. */
static void another_workflow_needs_another_approval(void **state) {
    struct engine_input in = {0};
    (void)state;
    drive_open(&d, FLOW(", approves: s", "note: one"));
    assert_string_equal(answer("q", "yes"), "accepted");
    drive_fail(&d, "s", 1, FAILURE_PERMANENT, "code");
    drive_change(&d, FLOW(", approves: s", "note: two, data: {x: 1}"), &in);
    assert_refused("approval_changed", CHANGED "note, data");
    drive_refold(&d);
    in = (struct engine_input){0};
    drive_change(&d, FLOW(", approves: s", "note: one"), &in);
    assert_performed("s~2", 1); /* as it was approved */
    drive_refold(&d);
    drive_fail(&d, "s~2", 1, FAILURE_PERMANENT, "code");
    in = (struct engine_input){.target = STR("q")};
    drive_change(&d, FLOW(", approves: s", "note: two"), &in);
    drive_refold(&d);
    assert_string_equal(shown("q~1"), "{\"node\":\"s\",\"arguments\":{\"note\":\"two\"}}");
}

static void what_began_to_be_approved_later_was_not(void **state) {
    struct engine_input in = {0};
    (void)state;
    drive_open(&d, FLOW("", "note: one"));
    assert_string_equal(answer("q", "yes"), "accepted");
    drive_fail(&d, "s", 1, FAILURE_PERMANENT, "code");
    drive_change(&d, FLOW(", approves: s", "note: one"), &in);
    assert_refused("not_approved",
                   "\"q\" completed without showing what it is given: it approved nothing");
}

static void a_rollback_keeps_an_approval_that_it_does_not_undo(void **state) {
    (void)state;
    drive_open(&d, SEND);
    drive_completes(&d, "draft");
    assert_string_equal(answer("q", "yes"), "accepted");
    drive_completes(&d, "send");
    drive_rollback(&d, "send", true);
    assert_performed("send~1", 1);
    drive_completes(&d, "side");
    drive_rollback(&d, "send", true); /* side is undone with it */
    assert_int_equal(drive_status(&d, "send"), STEP_RUNNING);
    drive_rollback(&d, "q", true);
    drive_refold(&d);
    assert_int_equal(drive_status(&d, "send"), STEP_PENDING);
    assert_int_equal(drive_status(&d, "q"), STEP_WAITING); /* asks anew, and binds anew */
}

int run_approval_tests(void) {
#define CASE(name) DRIVE_TEST(name, &d)
    const struct CMUnitTest tests[] = {
        CASE(it_shows_what_it_approves),
        CASE(what_changed_meanwhile_is_not_performed),
        CASE(no_is_no),
        CASE(another_need_does_not_start_it_without),
        CASE(an_ask_that_was_skipped_approves_nothing),
        CASE(an_answer_before_it_asks_approves_nothing),
        CASE(arguments_that_cannot_be_evaluated_are_not_asked_for),
        CASE(asked_again_it_shows_the_same),
        CASE(in_a_loop_each_answer_is_for_its_own_iteration),
        CASE(behind_a_loop_the_last_answer_counts),
        CASE(all_who_approve_it_must),
        CASE(what_a_program_sees_is_bound),
        CASE(another_workflow_needs_another_approval),
        CASE(what_began_to_be_approved_later_was_not),
        CASE(a_rollback_keeps_an_approval_that_it_does_not_undo),
    };
    return cmocka_run_group_tests_name("approvals", tests, NULL, NULL);
}

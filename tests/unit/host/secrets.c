/* Secrets in the host: kinds see them, the journal and the log never do; whose they are; what
 * happens without one. `rig.forbidden` is looked for in every event.
 */
#include "rig.h"

#define SECRET "s3cret-value"

static struct {
    const char *value; /* of every secret; NULL: none is set */
    const char *last;  /* name that was asked for last */
    uint32_t asked;
} source;

static enum err get(void *ctx, struct str name, struct arena *a, struct str *out, struct error *e) {
    (void)ctx;
    source.asked++;
    source.last = arena_str(&rig.arena, name).ptr;
    if (!source.value) {
        return error_set(e, ERR_NOT_FOUND, "the secret %.*s is not set", STR_ARG(name));
    }
    *out = arena_str(a, str_from(source.value));
    return out->ptr ? OK : error_nomem(e);
}

static int setup(void **state) {
    int status = rig_setup(state);
    source.value = SECRET;
    source.asked = 0;
    rig.options.secrets = (struct host_secrets){NULL, get};
    rig.forbidden = SECRET;
    rig_reopen();
    return status;
}

static const char *json_of(struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str text = arena_str(&rig.arena, buf_str(&b));
    buf_fini(&b);
    return text.ptr;
}

/* Where in the journal text the events are looked through. */
static void check_journal(struct run *r) {
    (void)rig_journal(run_id(r));
    rig_check_fold(r);
}

static void a_kind_sees_what_nobody_else_does(void **state) {
    (void)state;
    const struct plan *p = rig_plan(
        "{cairn: 1, inputs: {i: {}}, nodes: {a: {type: post, value: {h: "
        "'Bearer {{ secrets.K }}', l: ['{{ secrets.K }}', 1, '{{ inputs.i }}'], m: 'a[{{ inputs.i "
        "}}{{ secrets.K }}'}}, z: {type: end, needs: [a], value: a}}}");
    struct run *r = rig_submit(p, "{\"i\": \"[secret K] [x\"}");
    rig_turns();
    assert_string_equal(json_of(rig_find("a")->port->in->fields[0]),
                        "{\"h\":\"Bearer s3cret-value\",\"l\":[\"s3cret-value\",1,"
                        "\"[secret K] [x\"],\"m\":\"a[[secret K] [xs3cret-value\"}");
    rig_done_full("a", "{\"echo\": [\"<s3cret-value>\"], \"s3cret-value\": 1}",
                  "{\"h\": \"s3cret-value\"}");
    assert_string_equal(rig_result(r), "{\"echo\":[\"<[secret K]>\"],\"[secret K]\":1}");
    check_journal(r);
}

static void failures_and_calls_are_redacted(void **state) {
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}', on_error: continue}}}");
    struct step_port *port = rig_find("a")->port;
    struct value known;
    uint32_t call = port->ops->call_begin(port, rig_json("{\"url\": \"?k=s3cret-value\"}"), &known);
    port->ops->call_done(port, call, rig_json("{\"echo\": \"s3cret-value\"}"));
    struct step_failure f = {.type = STR("x s3cret-value"),
                             .message = STR("said s3cret-value"),
                             .meta = rig_json("{\"body\": \"s3cret-value\"}")};
    (port->ops->fail)(port, &f); /* cmocka has a macro of that name */
    rig_find("a")->port = NULL;
    rig_turns();
    assert_int_equal(rig_count(run_id(r), "step_failed a 1"), 1);
    check_journal(r);
}

static void say(struct step_port *port, const char *stream, const char *text) {
    port->ops->log(port, stream, str_from(text));
}

static void logs_are_redacted_across_pieces(void **state) {
    (void)state;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}'}}}");
    struct step_port *port = rig_find("a")->port;
    say(port, "stderr", "one s3cret");
    say(port, "stdout", "-value, no secret");
    say(port, "stderr", "-val");
    say(port, "note", "s3cret-value");
    say(port, "stderr", "ue two s3c");
    rig_done("a", NULL);
    struct str told = buf_str(&rig.log);
    assert_string_equal(arena_str(&rig.arena, told).ptr, "a stderr one \n"
                                                         "a stdout -value, no secret\n"
                                                         "a note [secret K]\n"
                                                         "a stderr [secret K] two \n"
                                                         "a stderr s3c\n");
    check_journal(r);
}

static void without_the_secret_the_step_fails(void **state) {
    static const struct {
        const char *value, *why;
    } rows[] = {
        {NULL, "the secret K is not set"},
        {"12345", "the secret K is too short"},
        {"\xff\xfe\xfd\xfc\xfb\xfa", "the secret K is not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        source.value = rows[i].value;
        struct run *r =
            rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}', retry: "
                    "{attempts: 3, on: [transient]}}}}");
        assert_string_equal(rig_status(r), "failed");
        assert_int_equal(rig_starts_of("a"), 0);
        assert_non_null(strstr(rig_error(r), "\"type\":\"secret\""));
        assert_non_null(strstr(rig_error(r), rows[i].why));
        assert_int_equal(rig_open_count(), 0);
    }
}

/* Also the step that has no secret, in a sub-workflow or beside the one that has. */
static void a_tree_shares_what_it_knows(void **state) {
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {b: {type: work}, k: {type: kid, workflow: {nodes: {c: {type: post, "
        "value: '{{ secrets.K }}'}, d: {type: work, needs: [c]}}, outputs: {x: d}}}, "
        "e: {type: work, needs: [k]}}, outputs: {b: b, k: k, e: e}}");
    rig_done("b", "\"s3cret-value\""); /* before it was opened: its workflow mentions it */
    rig_done("c", NULL);
    rig_done("d", "\"s3cret-value\"");
    rig_done("e", "\"s3cret-value\"");
    assert_string_equal(rig_result(r), "{\"b\":\"[secret K]\",\"k\":{\"x\":\"[secret K]\"},"
                                       "\"e\":\"[secret K]\"}");
    check_journal(r);
}

/* Another execution of the same host is not concerned: what it says does not depend on others. */
static void another_tree_does_not(void **state) {
    (void)state;
    rig.forbidden = NULL;
    (void)rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}'}}}");
    struct run *r = rig_run("{cairn: 1, nodes: {b: {type: work}}, outputs: {b: b}}");
    rig_done("b", "\"s3cret-value\"");
    assert_string_equal(rig_result(r), "{\"b\":\"s3cret-value\"}");
    rig_done("a", NULL);
}

/* An earlier process gave it away; the one that goes on must know it too. */
static void a_later_owner_knows_it(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}'}, b: {type: "
                "work, needs: [a]}}, outputs: {b: b}}");
    rig_done("a", NULL);
    r = rig_restart(r, 60000);
    rig_turns();
    rig_done("b", "\"s3cret-value\"");
    assert_string_equal(rig_result(r), "{\"b\":\"[secret K]\"}");
    check_journal(r);
}

/* What was recorded for the step says where the secret belongs; its value is that of now. */
static void a_later_attempt_reads_it_anew(void **state) {
    (void)state;
    struct run *r =
        rig_run("{cairn: 1, nodes: {a: {type: post, value: 'x{{ secrets.K }}'}}, outputs: "
                "{a: a}}");
    source.value = "another-value";
    r = rig_restart(r, 60000);
    rig_turns();
    assert_string_equal(json_of(rig_find("a")->port->in->fields[0]), "\"xanother-value\"");
    rig_done("a", "\"another-value\"");
    assert_string_equal(rig_result(r), "{\"a\":\"[secret K]\"}");
}

/* The same value again and again is known once; a new one counts beside the old. */
static void a_secret_that_changes(void **state) {
    (void)state;
    struct run *r = rig_run(
        "{cairn: 1, nodes: {a: {type: post, foreach: ['1', '2', '3'], value: '{{ secrets.K }}'}, "
        "b: {type: post, needs: [a], value: '{{ secrets.K }}'}}, outputs: {b: b}}");
    assert_int_equal(source.asked, 4); /* of the workflow once, then of each item */
    source.value = "another-value";
    rig_done("a[0]", NULL);
    rig_done("a[1]", NULL);
    rig_done("a[2]", NULL);
    rig_done("b", "\"s3cret-value another-value\"");
    assert_string_equal(rig_result(r), "{\"b\":\"[secret K] [secret K]\"}");
    check_journal(r);
}

static void a_kind_asks_for_one_itself(void **state) {
    (void)state;
    struct error e;
    struct str key;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: work}}, outputs: {a: a}}");
    assert_int_equal(source.asked, 0);
    struct step_port *port = rig_find("a")->port;
    assert_int_equal(port->ops->secret(port, STR("SERVICE_KEY"), &key, &e), OK);
    assert_true(str_is(key, SECRET));
    assert_string_equal(source.last, "SERVICE_KEY");
    rig_done("a", "\"got s3cret-value\"");
    assert_string_equal(rig_result(r), "{\"a\":\"got [secret SERVICE_KEY]\"}");
    check_journal(r);
}

static void a_host_without_secrets(void **state) {
    (void)state;
    rig.options.secrets.get = NULL;
    rig_reopen();
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}'}}}");
    assert_non_null(strstr(rig_error(r), "the secret K is not set: there are none here"));
}

static void cancelled_with_an_open_secret(void **state) {
    (void)state;
    struct error e;
    struct run *r = rig_run("{cairn: 1, nodes: {a: {type: post, value: '{{ secrets.K }}'}}}");
    say(rig_find("a")->port, "stderr", "s3cret-va");
    assert_int_equal(host_cancel(rig.host, r, STR("test"), &e), OK);
    rig_turns();
    assert_string_equal(rig_status(r), "cancelled");
    assert_string_equal(rig.log.len ? rig.log.ptr : "", "");
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int run_secret_tests(void) {
    const struct CMUnitTest tests[] = {
        ROW(a_kind_sees_what_nobody_else_does),
        ROW(failures_and_calls_are_redacted),
        ROW(logs_are_redacted_across_pieces),
        ROW(without_the_secret_the_step_fails),
        ROW(a_tree_shares_what_it_knows),
        ROW(another_tree_does_not),
        ROW(a_later_owner_knows_it),
        ROW(a_later_attempt_reads_it_anew),
        ROW(a_secret_that_changes),
        ROW(a_kind_asks_for_one_itself),
        ROW(a_host_without_secrets),
        ROW(cancelled_with_an_open_secret),
    };
    return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}

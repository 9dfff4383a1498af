/* The hook kind: what a program and a file are told, how a webhook is signed. The request itself is
 * tested against a server in tests/e2e/test_hook.py.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness.h"
#include "io/file.h"
#include "node/hook_priv.h"

static struct world w;
static struct attempt a;

static void prepare(const char *fields, const char *names) {
    static char text[2000];
    snprintf(text, sizeof text, "cairn: 1\ninputs: {n: {}}\nnodes:\n  tell:\n    type: hook\n%s",
             fields);
    world_open(&w, text, NULL);
    w.names = world_value(&w, names);
    attempt_init(&a, &w, "tell");
}

static void run(const char *fields, const char *names) {
    prepare(fields, names);
    attempt_run(&a);
}

static void expect_body(const char *json) {
    if (!a.done)
        fail_msg("failed: %.*s", STR_ARG(a.failure.message));
    assert_string_equal(world_json(&w, a.result.body), json);
}

static void a_program_gets_the_payload(void **state) {
    (void)state;
    run("    command: [cat]\n    payload: {n: \"{{ inputs.n }}\"}\n", "{\"inputs\": {\"n\": 3}}");
    expect_body("{\"n\":3}");
    world_close(&w);
    run("    command: [cat]\n", "{\"inputs\": {\"n\": 3}}");
    expect_body("{\"inputs\":{\"n\":3}}"); /* all it sees */
    world_close(&w);
    run("    command: [cat]\n    payload: \"{{ inputs.n }}\"\n", "{\"inputs\": {\"n\": null}}");
    expect_body("null"); /* what is given is told, also when it is nothing */
    world_close(&w);
    run("    command: [sh, -c, 'cat \"$CAIRN_INPUT\"; exit 3']\n", "{}");
    assert_false(a.done);
    assert_int_equal(a.failure.class, FAILURE_TRANSIENT);
    world_close(&w);
    run("    command: [no-such-program]\n", "{}");
    assert_str(a.failure.type, "not_found");
    world_close(&w);
}

static void expect_file(const char *name, const char *text) {
    char path[300];
    struct str got = {0};
    snprintf(path, sizeof path, "%s/%s", w.folder, name);
    assert_int_equal(io_file_read(path, 1000, &w.arena, &got, NULL), OK);
    assert_str(got, text);
}

static void a_file_is_replaced(void **state) {
    (void)state;
    run("    path: \"out/{{ inputs.n }}.json\"\n    payload: [1, \"{{ inputs.n }}\"]\n",
        "{\"inputs\": {\"n\": \"x\"}}");
    assert_true(a.done);
    expect_file("out/x.json", "[1,\"x\"]\n");
    a.answers = 0;
    attempt_run(&a); /* after a crash: the same once more */
    expect_file("out/x.json", "[1,\"x\"]\n");
    world_close(&w);
    run("    path: ../out.json\n", "{}");
    assert_str(a.failure.type, "denied");
    world_close(&w);
}

static void without_network_it_fails(void **state) {
    (void)state;
    prepare("    url: http://localhost/\n", "{}");
    a.port.net = NULL;
    attempt_run(&a);
    assert_str(a.failure.type, "unsupported");
    world_close(&w);
}

/* The codes are those of Python's hmac. */
static void webhooks_are_signed(void **state) {
    (void)state;
    static const struct {
        const char *secret, *signature;
    } rows[] = {
        {"the-secret", "v1,ufyEgszJ8zSOq9kxveX55Lqq2kTxQrz1Ru/+7MmJQRY="},
        {"whsec_c2VjcmV0IGtleQ==", "v1,ItgUlcQCkE0iiEeiAF2s9HNjMUe0KSuhgMESUnKE8h4="},
    };
    struct arena arena;
    struct str out;
    struct error e = {0};
    arena_init(&arena, 0);
    const struct hook_message m = {STR("msg_1"), STR("1614265330"), STR("{\"a\":1}")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(hook_sign(str_from(rows[i].secret), &m, &arena, &out, &e), OK);
        assert_str(out, rows[i].signature);
    }
    assert_int_equal(hook_sign(STR("whsec_no base64"), &m, &arena, &out, &e), ERR_INVALID);
    arena_fini(&arena);
}

static void wrong_nodes_are_refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"    payload: x\n", "command"},
        {"    path: a\n    url: http://x\n", "url"},
        {"    path: a\n    secret: S\n", "url"},
        {"    command: ls\n", "command is a list"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[300];
        snprintf(text, sizeof text, "cairn: 1\nnodes:\n  tell:\n    type: hook\n%s", rows[i][0]);
        world_open(&w, text, NULL);
        world_refused(&w, rows[i][1]);
        world_close(&w);
    }
}

int hook_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_gets_the_payload), cmocka_unit_test(a_file_is_replaced),
        cmocka_unit_test(without_network_it_fails),   cmocka_unit_test(webhooks_are_signed),
        cmocka_unit_test(wrong_nodes_are_refused),
    };
    return cmocka_run_group_tests_name("node hook", tests, NULL, NULL);
}

/* Code in its private folder: files put there, artifacts taken out, expected exit statuses, the
 * sandbox, and output as the step's log. Real processes; what needs bwrap is left out, saying
 * so, where the system refuses it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "harness.h"
#include "io/file.h"
#include "node/code_priv.h"

static struct world w;
static struct attempt a;
static struct step_port_ops ops;
static struct buf logged[3]; /* stdout, stderr, note */
static size_t pieces;

static void note_log(struct step_port *p, const char *stream, struct str text) {
    (void)p;
    assert_true(text.len > 0 && str_is_utf8(text));
    int at = strcmp(stream, "stdout") == 0 ? 0 : strcmp(stream, "stderr") == 0 ? 1 : 2;
    buf_append(&logged[at], text);
    pieces++;
}

static void prepare(const char *fields, const char *names) {
    static char text[4000];
    snprintf(text, sizeof text, "cairn: 1\ninputs: {data: {}}\nnodes:\n  job:\n    type: code\n%s",
             fields);
    world_open(&w, text, NULL);
    w.names = world_value(&w, names);
    attempt_init(&a, &w, "job");
    ops = *a.port.ops;
    ops.log = note_log;
    a.port.ops = &ops;
    pieces = 0;
    for (int i = 0; i < 3; i++)
        buf_init(&logged[i], 0);
}

static void clean(void) {
    for (int i = 0; i < 3; i++)
        buf_fini(&logged[i]);
    world_close(&w);
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

static void expect_failure(const char *type, const char *says) {
    assert_false(a.done);
    assert_int_equal(a.failure.class, FAILURE_PERMANENT);
    if (!str_is(a.failure.type, type) || str_find(a.failure.message, str_from(says), 0) == SIZE_MAX)
        fail_msg("%.*s: %.*s", STR_ARG(a.failure.type), STR_ARG(a.failure.message));
}

static bool folder_is_gone(const char *path) {
    struct stat st;
    return stat(path, &st) != 0;
}

/* ---- the private folder ---- */

static void there_is_one_and_it_goes(void **state) {
    (void)state;
    run("    language: sh\n    code: 'cd \"$CAIRN_STEP_DIR\" && mkdir -p a/b && echo x > a/b/c && "
        "chmod 500 a && [ \"$TMPDIR\" = \"$PWD\" ] && stat -c %a . && pwd'\n",
        "{}");
    assert_true(a.done);
    struct str rest = value_str(a.result.body), mode = str_split(rest, '\n', &rest);
    assert_str(mode, "700");
    assert_true(rest.len > 1 && folder_is_gone(arena_str(&w.arena, rest).ptr));
    clean();
}

static void it_goes_after_a_failure_too(void **state) {
    (void)state;
    run("    language: python\n    code: |\n      import os\n      os.chdir(os.environ['TMPDIR'])\n"
        "      open('left', 'w').write('x')\n      raise Exception(os.getcwd())\n",
        "{}");
    assert_false(a.done);
    struct str said = a.failure.message;
    size_t from = str_find(said, STR("/"), 0), to = str_find(said, STR(" (flow"), 0);
    assert_true(from < to && to != SIZE_MAX);
    assert_true(folder_is_gone(arena_str(&w.arena, str_sub(said, from, to)).ptr));
    clean();
}

static void files_are_put_there(void **state) {
    (void)state;
    run("    files:\n      a/text.txt: \"{{ inputs.data.text }}\"\n      list.json: [1, 2.0, x]\n"
        "      run.sh: \"#!/bin/sh\\necho run\"\n      none: null\n"
        "    command: [sh, -c, "
        "'cat a/text.txt list.json; echo; ./run.sh; ls | tr \"\\\\n\" \" \"']\n",
        "{\"inputs\": {\"data\": {\"text\": \"t \\u00e9\\n\"}}}");
    expect_body("\"t \xc3\xa9\\n[1,2.0,\\\"x\\\"]\\nrun\\na list.json run.sh \"");
    clean();
}

static void a_map_of_files_may_come_from_elsewhere(void **state) {
    (void)state;
    run("    files: \"{{ inputs.data }}\"\n    command: [cat, one, two]\n",
        "{\"inputs\": {\"data\": {\"one\": \"1\", \"two\": [2]}}}");
    expect_body("\"1[2]\"");
    clean();
    run("    files: \"{{ inputs.data }}\"\n    command: [ls]\n",
        "{\"inputs\": {\"data\": {\"../out\": \"1\"}}}");
    expect_failure("code", "\"../out\" is no path below the private folder: it has a part ..");
    clean();
    run("    files: \"{{ inputs.data }}\"\n    command: [ls]\n", "{\"inputs\": {\"data\": 7}}");
    expect_failure("code", "files is a map");
    clean();
    run("    files: \"{{ inputs.data }}\"\n    command: [ls]\n",
        "{\"inputs\": {\"data\": {\"a\": \"1\", \"a/b\": \"2\"}}}");
    expect_failure("files", "cannot make folder");
    clean();
}

static struct value artifact(const char *path) {
    const struct value *all = value_get(a.result.meta, STR("artifacts"));
    const struct value *one = all != NULL ? value_get(*all, str_from(path)) : NULL;
    return one != NULL ? *one : value_null();
}

static void artifacts_are_kept(void **state) {
    (void)state;
    run("    artifacts: [\"out/**\", {path: \"*.log\", optional: true}]\n    language: bash\n"
        "    code: 'mkdir -p out/x; printf \"\\0\\377\" > out/x/b; echo t > out/t; echo done'\n",
        "{}");
    expect_body("\"done\"");
    struct value v = artifact("out/x/b");
    assert_int_equal(v.type, VALUE_BYTES);
    assert_memory_equal(v.ptr, "\0\377", 2);
    assert_int_equal(artifact("out/t").type, VALUE_BYTES);
    assert_int_equal(value_count(*value_get(a.result.meta, STR("artifacts"))), 2);
    assert_int_equal(value_get(a.result.meta, STR("exitStatus"))->num, 0);
    clean();
}

static void artifacts_that_cannot_be_kept(void **state) {
    (void)state;
    run("    artifacts: [out/*]\n    command: [\"true\"]\n", "{}");
    expect_failure("artifacts", "artifacts: no file fits out/*");
    assert_int_equal(value_get(a.failure.meta, STR("exitStatus"))->num, 0);
    clean();
    run("    artifacts: [out]\n    command: [ln, -s, /etc/passwd, out]\n", "{}");
    expect_failure("artifacts", "out is a link that leads out of the private folder");
    clean();
    prepare("    artifacts: [out]\n    command: [sh, -c, 'head -c 3000 /dev/zero > out']\n", "{}");
    a.in.max_output_bytes = 2000;
    attempt_run(&a);
    expect_failure("too_large", "larger than 2000 bytes");
    clean();
}

/* ---- statuses ---- */

static void statuses_may_be_expected(void **state) {
    (void)state;
    run("    expect_exit: [0, 3]\n    language: sh\n    code: 'echo x; exit 3'\n", "{}");
    expect_body("\"x\"");
    assert_int_equal(value_get(a.result.meta, STR("exitStatus"))->num, 3);
    clean();
    run("    expect_exit: 1\n    command: [\"true\"]\n", "{}");
    assert_false(a.done);
    assert_true(str_find(a.failure.message, STR("status 0, which expect_exit does not"), 0) !=
                SIZE_MAX);
    clean();
    run("    expect_exit: [0, 1]\n    language: python\n    code: raise ValueError('x')\n", "{}");
    assert_false(a.done);
    assert_true(str_starts(a.failure.message, STR("ValueError: x")));
    clean();
}

/* ---- the sandbox ---- */

/* False, saying so, where bwrap is missing or refused; then that it is refused was checked. */
static bool has_sandbox(void) {
    run("    sandbox: bwrap\n    command: [\"true\"]\n", "{}");
    bool works = a.done;
    if (!works) {
        print_message("[  SKIPPED ] no bwrap here: %.*s\n", STR_ARG(a.failure.message));
        assert_str(a.failure.type, "sandbox");
    }
    clean();
    return works;
}

static void a_sandbox_has_no_network_and_writes_nowhere(void **state) {
    (void)state;
    if (!has_sandbox())
        skip();
    run("    sandbox: bwrap\n    language: sh\n    code: |\n"
        "      grep -c : /proc/net/dev\n"
        "      for f in /x /etc/x /usr/x \"$CAIRN_INPUT\"; do\n"
        "        touch $f 2>/dev/null && echo $f\n      done\n"
        "      touch here /tmp/there && ls\n      [ \"$PWD\" = \"$HOME\" ] && echo home\n"
        "      cat \"$CAIRN_INPUT\"; grep CapEff /proc/self/status\n",
        "{\"x\": 1}");
    expect_body("\"1\\nhere\\nhome\\n{\\\"x\\\":1}CapEff:\\t0000000000000000\"");
    clean();
    run("    sandbox: bwrap\n    language: python\n    files: {in: text}\n    artifacts: [out]\n"
        "    code: |\n      open('out', 'w').write(open('in').read() + n)\n      return [n, 1.0]\n",
        "{\"n\": \"!\"}");
    expect_body("[\"!\",1.0]");
    assert_memory_equal(artifact("out").ptr, "text!", 5);
    clean();
}

static void failures_in_a_sandbox(void **state) {
    (void)state;
    if (!has_sandbox())
        skip();
    run("    sandbox: bwrap\n    language: sh\n    code: 'echo why >&2; exit 5'\n", "{}");
    assert_str(a.failure.type, "code");
    assert_true(str_find(a.failure.message, STR("exit status 5: why"), 0) != SIZE_MAX);
    clean();
    run("    sandbox: bwrap\n    command: [no-such-program]\n", "{}");
    expect_failure("not_found", "no-such-program");
    clean();
}

static void without_bwrap_nothing_runs(void **state) {
    (void)state;
    run("    sandbox: bwrap\n    language: sh\n    env: {PATH: /nowhere}\n    code: 'touch ran'\n",
        "{}");
    expect_failure("sandbox", "package bubblewrap");
    clean();
}

static void cancel_ends_a_sandbox(void **state) {
    (void)state;
    if (!has_sandbox())
        skip();
    prepare("    sandbox: bwrap\n    language: sh\n"
            "    code: 'setsid sleep 1000 & echo up >&2; sleep 1000'\n",
            "{}");
    attempt_start(&a);
    while (pieces == 0)
        assert_true(io_loop_turn(w.loop, true));
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    clean();
}

static void cancel_before_it_runs(void **state) {
    (void)state;
    prepare("    files: {a: b}\n    command: [sleep, 1000]\n", "{}");
    attempt_start(&a);
    attempt_cancel(&a);
    attempt_finish(&a);
    assert_false(a.done);
    assert_str(a.failure.type, "cancelled");
    clean();
}

/* ---- the log ---- */

static void output_is_the_log_as_it_comes(void **state) {
    (void)state;
    prepare("    language: bash\n    code: 'echo one; read -r line < pipe; echo two'\n", "{}");
    char path[300];
    snprintf(path, sizeof path, "%s/pipe", w.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    attempt_start(&a);
    while (pieces == 0)
        assert_true(io_loop_turn(w.loop, true));
    assert_str(buf_str(&logged[0]), "one\n");
    FILE *f = fopen(path, "w");
    fputs("go\n", f);
    fclose(f);
    attempt_finish(&a);
    assert_str(buf_str(&logged[0]), "one\ntwo\n");
    expect_body("\"one\\ntwo\"");
    clean();
}

static void the_log_of_a_flood_is_cut(void **state) {
    (void)state;
    run("    language: python\n    code: |\n      import sys\n"
        "      for i in range(200): sys.stdout.write('x' * (1 << 20))\n      return 1\n",
        "{}");
    expect_body("1");
    assert_int_equal(logged[0].len, CODE_LOG_MAX_BYTES);
    assert_true(str_starts(buf_str(&logged[2]), STR("the rest of the log is dropped")));
    clean();
}

/* Bytes cut at every place give the same text, in pieces that are whole. */
static void characters_are_not_cut(void **state) {
    (void)state;
    static const char bytes[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
                                "b\xff\xe2\x82z\xf0\x9f\xe2\x82\xac\xc3";
    static const char want[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
                               "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd"
                               "\xe2\x82\xac\xef\xbf\xbd";
    prepare("    command: [ls]\n", "{}");
    size_t len = sizeof bytes - 1;
    for (size_t one = 0; one <= len; one++) {
        for (size_t two = one; two <= len; two++) {
            struct code_log l = {.port = &a.port};
            buf_reset(&logged[1]);
            code_log_add(&l, 2, (struct str){bytes, one});
            code_log_add(&l, 2, (struct str){bytes + one, two - one});
            code_log_add(&l, 2, (struct str){bytes + two, len - two});
            code_log_end(&l);
            assert_str(buf_str(&logged[1]), want);
        }
    }
    clean();
}

/* ---- compile time ---- */

static void wrong_nodes_are_refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"    files: {/etc/x: a}\n",
         "\"/etc/x\" is no path below the private folder: it is absolute"},
        {"    files: {a/../../x: a}\n", "it has a part .."},
        {"    files: [a]\n", "files is a map"},
        {"    artifacts: out\n", "artifacts is a list"},
        {"    artifacts: []\n", "artifacts is a list"},
        {"    artifacts: [../x]\n", "it has a part .."},
        {"    artifacts: [{path: x, optinal: true}]\n", "artifacts is a list"},
        {"    expect_exit: [zero]\n", "expect_exit is a list of exit statuses"},
        {"    expect_exit: [256]\n", "expect_exit is a list of exit statuses"},
        {"    expect_exit: []\n", "expect_exit is a list of exit statuses"},
        {"    sandbox: docker\n", "docker"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "cairn: 1\nnodes:\n  job:\n    type: code\n    command: [ls]\n%s", rows[i][0]);
        world_open(&w, text, NULL);
        world_refused(&w, rows[i][1]);
        world_close(&w);
    }
}

int code_folder_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_one_and_it_goes),
        cmocka_unit_test(it_goes_after_a_failure_too),
        cmocka_unit_test(files_are_put_there),
        cmocka_unit_test(a_map_of_files_may_come_from_elsewhere),
        cmocka_unit_test(artifacts_are_kept),
        cmocka_unit_test(artifacts_that_cannot_be_kept),
        cmocka_unit_test(statuses_may_be_expected),
        cmocka_unit_test(a_sandbox_has_no_network_and_writes_nowhere),
        cmocka_unit_test(failures_in_a_sandbox),
        cmocka_unit_test(without_bwrap_nothing_runs),
        cmocka_unit_test(cancel_ends_a_sandbox),
        cmocka_unit_test(cancel_before_it_runs),
        cmocka_unit_test(output_is_the_log_as_it_comes),
        cmocka_unit_test(the_log_of_a_flood_is_cut),
        cmocka_unit_test(characters_are_not_cut),
        cmocka_unit_test(wrong_nodes_are_refused),
    };
    return cmocka_run_group_tests_name("node code folder", tests, NULL, NULL);
}

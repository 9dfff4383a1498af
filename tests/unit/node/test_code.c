/* The code kind: Python, shells and programs, what they see, what their output becomes, and every
 * way in which they fail. Real processes in a temporary folder; nothing outside it is needed but
 * python3, bash and sh.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "harness.h"
#include "io/file.h"

/* What the port was told beside the answer. */
static struct {
    struct buf text[3]; /* stdout, stderr, note */
    int64_t pid;
    int processes;
} told;

static void note_log(struct step_port *p, const char *stream, struct str text) {
    (void)p;
    int at = strcmp(stream, "stdout") == 0 ? 0 : strcmp(stream, "stderr") == 0 ? 1 : 2;
    buf_append(&told.text[at], text);
}

static void note_process(struct step_port *p, int64_t pid, uint64_t start_time) {
    (void)p;
    assert_true(start_time > 0);
    told.pid = pid;
    told.processes++;
}

static struct world w;
static struct attempt a;
static struct step_port_ops ops;

static void prepare(const char *workflow, const struct world_file *files, const char *names) {
    world_open(&w, workflow, files);
    w.names = world_value(&w, names);
    attempt_init(&a, &w, "job");
    ops = *a.port.ops;
    ops.log = note_log;
    ops.process = note_process;
    a.port.ops = &ops;
    told.pid = told.processes = 0;
    for (int i = 0; i < 3; i++)
        buf_init(&told.text[i], 0);
}

static void finish(void) {
    while (a.answers == 0)
        assert_true(io_loop_turn(w.loop, true) || a.answers != 0);
    assert_int_equal(a.answers, 1);
    assert_int_equal(io_launcher_running(w.launcher), 0);
}

static void run(const char *workflow, const struct world_file *files, const char *names) {
    prepare(workflow, files, names);
    attempt_start(&a);
    finish();
}

static void clean(void) {
    for (int i = 0; i < 3; i++)
        buf_fini(&told.text[i]);
    world_close(&w);
}

/* A workflow with node "job": the lines of code stand at line 7 and below. */
static char workflow_text[70000];

static const char *node_text(const char *fields) {
    snprintf(workflow_text, sizeof workflow_text, "cairn: 1\nnodes:\n  job:\n    type: code\n%s",
             fields);
    return workflow_text;
}

static const char *code_text(const char *language, const char *code) {
    size_t len = (size_t)snprintf(workflow_text, sizeof workflow_text,
                                  "cairn: 1\nnodes:\n  job:\n    type: code\n    language: %s\n"
                                  "    code: |\n      ",
                                  language);
    for (; *code != '\0'; code++) {
        workflow_text[len++] = *code;
        if (*code == '\n' && code[1] != '\0' && code[1] != '\n')
            len += (size_t)snprintf(workflow_text + len, 10, "      ");
    }
    workflow_text[len++] = '\n';
    workflow_text[len] = '\0';
    return workflow_text;
}

static void run_code(const char *language, const char *code, const char *names) {
    run(code_text(language, code), NULL, names);
}

static void expect_body(const char *json) {
    if (!a.done)
        fail_msg("failed: %.*s", STR_ARG(a.failure.message));
    assert_string_equal(world_json(&w, a.result.body), json);
}

static void expect_failure(enum failure_class class, const char *type, const char *part) {
    assert_false(a.done);
    assert_str(a.failure.type, type);
    if (str_find(a.failure.message, str_from(part), 0) == SIZE_MAX)
        fail_msg("\"%.*s\" does not say \"%s\"", STR_ARG(a.failure.message), part);
    assert_int_equal(a.failure.class, class);
}

static void expect_log(int stream, const char *text) {
    struct str got = buf_str(&told.text[stream]);
    assert_str(got, text);
}

static struct value meta_of(const char *name) {
    const struct value *v = value_get(a.done ? a.result.meta : a.failure.meta, str_from(name));
    return v != NULL ? *v : value_null();
}

/* ---- values ---- */

static void returned_values(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"return 3", "3"},
        {"return 3.0", "3.0"},
        {"return -0.1", "-0.1"},
        {"return 1e300", "1e300"},
        {"return True", "true"},
        {"return 'a\\u00e9\\U0001f600\\n\"'", "\"a\xc3\xa9\xf0\x9f\x98\x80\\n\\\"\""},
        {"return [1, (2, 3), []]", "[1,[2,3],[]]"},
        {"return {'b': 1, 'a': {'c': None}}", "{\"b\":1,\"a\":{\"c\":null}}"},
        {"return 9223372036854775807", "9223372036854775807"},
        {"return False", "false"},
        {"return ''", "\"\""},
        {"return 0", "0"},
        {"return {}", "{}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_code("python", rows[i][0], "{}");
        expect_body(rows[i][1]);
        clean();
    }
    run_code("python", "return 3.0", "{}");
    assert_int_equal(a.result.body.type, VALUE_DOUBLE);
    clean();
}

static void printed_values(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"print('{\"a\": 1.0}')", "{\"a\":1.0}"},
        {"print('hello')\nprint('world')", "\"hello\\nworld\""},
        {"print(12)", "12"},
        {"print('x\\n')", "\"x\\n\""},
        {"pass", "null"},
        {"# nothing at all", "null"},
        {"return None", "null"},
        {"import sys\nprint('[1')\nsys.exit(0)", "\"[1\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_code("python", rows[i][0], "{}");
        expect_body(rows[i][1]);
        clean();
    }
}

static void return_beats_print(void **state) {
    (void)state;
    run_code("python", "import sys\nprint('working')\nprint('hm', file=sys.stderr)\nreturn 5",
             "{}");
    expect_body("5");
    expect_log(0, "working\n");
    expect_log(1, "hm\n");
    assert_int_equal(told.processes, 1);
    assert_int_equal(meta_of("exitStatus").num, 0);
    assert_int_equal(meta_of("userMs").type, VALUE_INT);
    assert_int_equal(meta_of("systemMs").type, VALUE_INT);
    assert_true(meta_of("maxRssKib").num > 1000);
    clean();
}

static void bytes_cross_both_ways(void **state) {
    (void)state;
    prepare(code_text("python", "assert data == [b'\\x00\\xff', 1], data\n"
                                "return {'x': b'\\x01\\xfe\\x00', 'y': bytearray(b'ab')}"),
            NULL, "{}");
    struct value items[2] = {value_bytes((struct str){"\0\xff", 2}), value_int(1)};
    struct value_builder b;
    value_builder_init(&b, &w.arena);
    value_map_add(&b, STR("data"), value_list(items, 2));
    a.in.scope = value_map_done(&b);
    attempt_start(&a);
    finish();
    assert_true(a.done);
    const struct value *x = value_get(a.result.body, STR("x"));
    assert_int_equal(x->type, VALUE_BYTES);
    assert_int_equal(x->extra, 3);
    assert_memory_equal(x->ptr, "\x01\xfe\x00", 3);
    assert_int_equal(value_get(a.result.body, STR("y"))->type, VALUE_BYTES);
    clean();
}

static void output_that_is_no_text_is_bytes(void **state) {
    (void)state;
    run_code("sh", "printf 'a\\377'", "{}");
    assert_true(a.done);
    assert_int_equal(a.result.body.type, VALUE_BYTES);
    assert_int_equal(a.result.body.extra, 2);
    clean();
}

/* ---- what Python sees ---- */

static void names_are_variables(void **state) {
    (void)state;
    run_code("python",
             "fetch['n'] += 1\nitem = item * 2\n"
             "def twice(): return index * 2\n"
             "return [fetch, item, twice(), inputs['city'], globals()['class'], iteration]",
             "{\"fetch\": {\"n\": 1.5}, \"item\": \"ab\", \"index\": 4, \"iteration\": 0,"
             " \"inputs\": {\"city\": \"Z\xc3\xbcrich\"}, \"class\": [null]}");
    expect_body("[{\"n\":2.5},\"abab\",8,\"Z\xc3\xbcrich\",[null],0]");
    clean();
}

static void text_of_code_is_kept(void **state) {
    (void)state;
    run_code("python", "text = '''one\n  two\n\n{{ three }}'''\nreturn [text, f\"{{{1 + 1}}}\"]",
             "{}");
    expect_body("[\"one\\n  two\\n\\n{{ three }}\",\"{2}\"]");
    clean();
}

static void code_can_wait(void **state) {
    (void)state;
    run_code("python",
             "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 7\n"
             "return f()",
             "{}");
    expect_body("7");
    clean();
}

/* ---- Python errors ---- */

static const char *traceback_text(void) {
    struct value v = meta_of("traceback");
    assert_int_equal(v.type, VALUE_TEXT);
    return arena_str(&w.arena, value_str(v)).ptr;
}

static void exception_has_the_line_of_the_workflow(void **state) {
    (void)state;
    run_code("python", "def f(x):\n    raise ValueError('too ' + x)\n\nprint('log')\nf('far')",
             "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "ValueError: too far (flow.yaml, line 8)");
    const char *trace = traceback_text();
    assert_non_null(strstr(trace, "File \"flow.yaml\", line 11, in code\n    f('far')"));
    assert_non_null(strstr(trace, "File \"flow.yaml\", line 8, in f\n    raise ValueError"));
    assert_null(strstr(trace, "<string>"));
    assert_int_equal(meta_of("exitStatus").num, 1);
    expect_log(0, "log\n");
    clean();
}

/* A space before each line would change what these say, or where. */
static void code_is_kept_to_the_letter(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"s = '''a\nb'''\nreturn len(s)", "3"},    {"s = \"\"\"\n  b\"\"\"\nreturn len(s)", "4"},
        {"s = 'a\\\nb'\nreturn len(s)", "2"},      {"if True:\n\treturn 3\nreturn 4", "3"},
        {"# a remark\nif True:\n  return 5", "5"}, {"\n\nreturn (6,\n7)", "[6,7]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_code("python", rows[i][0], "{}");
        expect_body(rows[i][1]);
        clean();
    }
    run_code("python", "x = 1\n  y = 2", "{}");
    expect_failure(FAILURE_PERMANENT, "code",
                   "IndentationError: unexpected indent (flow.yaml, line 8)");
    clean();
}

static void marks_of_a_traceback_stand_under_what_failed(void **state) {
    (void)state;
    run_code("python", "d = {'x': {}}\nreturn 1 + d['x']['y'] + 2", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "KeyError: 'y' (flow.yaml, line 8)");
    assert_non_null(strstr(traceback_text(), "    return 1 + d['x']['y'] + 2\n"
                                             "               ~~~~~~^^^^^\n"));
    clean();
}

static void one_line_code_has_its_line(void **state) {
    (void)state;
    run(node_text("    language: python\n    code: \"return 1 / 0\"\n"), NULL, "{}");
    expect_failure(FAILURE_TRANSIENT, "code",
                   "ZeroDivisionError: division by zero (flow.yaml, line 6)");
    clean();
}

static void syntax_error_is_permanent(void **state) {
    (void)state;
    run_code("python", "x = 1\nif x\n    return 2", "{}");
    expect_failure(FAILURE_PERMANENT, "code", "SyntaxError: expected ':' (flow.yaml, line 8)");
    assert_non_null(strstr(traceback_text(), "File \"flow.yaml\", line 8"));
    clean();
}

static void odd_exceptions(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"raise KeyError('k')", "KeyError: 'k' (flow.yaml, line 7)"},
        {"raise RuntimeError", "RuntimeError (flow.yaml, line 7)"},
        {"class Mine(Exception): pass\nraise Mine('m')", "Mine: m (flow.yaml, line 8)"},
        {"import json\njson.loads('{')", "json.decoder.JSONDecodeError: Expecting"},
        {"raise ValueError('\\ud800')", "ValueError: \\ud800"},
        {"def f(): return f()\nf()", "RecursionError"},
        {"return missing", "NameError: name 'missing' is not defined"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_code("python", rows[i][0], "{}");
        expect_failure(FAILURE_TRANSIENT, "code", rows[i][1]);
        clean();
    }
}

static void what_cannot_be_returned(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"return {1, 2}", "cannot return a value of type set"},
        {"return object", "cannot return a value of type type"},
        {"return float('nan')", "Out of range float"},
        {"x = []\nx.append(x)\nreturn x", "Circular reference"},
        {"return {(1, 2): 3}", "keys must be"},
        {"yield 1", "type generator"},
        {"return '\\ud800'", "surrogates not allowed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_code("python", rows[i][0], "{}");
        expect_failure(FAILURE_PERMANENT, "code", rows[i][1]);
        clean();
    }
}

static void exit_of_python(void **state) {
    (void)state;
    run_code("python", "import sys\nsys.exit(3)", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "exit status 3");
    assert_int_equal(meta_of("exitStatus").num, 3);
    clean();
    run_code("python", "raise SystemExit('no luck')", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "exit status 1: no luck");
    clean();
    run_code("python", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "killed by signal 9 (SIGKILL)");
    assert_int_equal(meta_of("signal").num, SIGKILL);
    clean();
    run_code("python", "import os\nos.write(3, b'nonsense')\nreturn 1", "{}");
    expect_failure(FAILURE_PERMANENT, "code", "descriptor 3");
    clean();
}

/* ---- Python files ---- */

static const struct world_file python_files[] = {
    {"lib/tool.py", "import functools\n"
                    "def add(a, b=10, *, c=100): return a + b + c\n"
                    "def every(**names): return sorted(names)\n"
                    "def first(a, /): return a\n"
                    "def none(): return 'called'\n"
                    "async def later(a): return a\n"
                    "def wrap(f):\n"
                    "    @functools.wraps(f)\n"
                    "    def inner(*args, **kw): return [f(*args, **kw)]\n"
                    "    return inner\n"
                    "@wrap\n"
                    "def wrapped(a): return a\n"
                    "class Pair:\n"
                    "    def __new__(cls, a, b): return [a, b]\n"
                    "def fails(a): raise OSError(5, 'gone')\n"
                    "name = __name__\n"
                    "def whoami(): return name\n"},
    {"run.py", "import sys\nreturn [inputs, sys.argv]\n"},
    {"broken.py", "x = (\n"},
    {NULL, NULL},
};

static void run_function(const char *file, const char *function, const char *names) {
    char fields[200];
    snprintf(fields, sizeof fields, "    language: python\n    file: %s\n    function: %s\n", file,
             function);
    run(node_text(fields), python_files, names);
}

static void functions_get_what_they_take(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"add", "112"},    {"every", "[\"a\",\"b\",\"inputs\"]"},
        {"first", "5"},    {"none", "\"called\""},
        {"later", "5"},    {"wrapped", "[5]"},
        {"Pair", "[5,7]"}, {"whoami", "\"tool\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_function("lib/tool.py", rows[i][0], "{\"a\": 5, \"b\": 7, \"inputs\": {}}");
        expect_body(rows[i][1]);
        clean();
    }
}

static void functions_that_cannot_be_called(void **state) {
    (void)state;
    run_function("lib/tool.py", "nowhere", "{}");
    expect_failure(FAILURE_PERMANENT, "code", "lib/tool.py defines no function nowhere");
    clean();
    run_function("lib/tool.py", "add", "{\"x\": 1, \"inputs\": {}}");
    expect_failure(FAILURE_PERMANENT, "code",
                   "add takes a, which is no name this node sees; there are: inputs, x");
    clean();
    run_function("lib/tool.py", "fails", "{\"a\": 1}");
    expect_failure(FAILURE_TRANSIENT, "code", "gone (lib/tool.py, line 15)");
    clean();
    run_function("broken.py", "f", "{}");
    expect_failure(FAILURE_PERMANENT, "code",
                   "SyntaxError: '(' was never closed (broken.py, line 1)");
    clean();
}

static void file_without_function_is_run(void **state) {
    (void)state;
    run(node_text("    language: python\n    file: run.py\n"), python_files,
        "{\"inputs\": {\"a\": 1}}");
    expect_body("[{\"a\":1},[\"run.py\"]]");
    clean();
}

static void write_beside(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", w.folder, name);
    assert_int_equal(io_file_write(path, str_from(text), 0600, true, NULL), OK);
}

static void modules_beside_the_workflow(void **state) {
    (void)state;
    prepare(code_text("python",
                      "import helper\nimport json\nreturn [helper.x, json.x, open('data').read()]"),
            NULL, "{}");
    write_beside("helper.py", "x = 1");
    write_beside("json.py", "x = 'mine'"); /* must not disturb what runs the code */
    write_beside("linecache.py", "raise Exception('not this one')");
    write_beside("data", "text");
    attempt_start(&a);
    finish();
    expect_body("[1,\"mine\",\"text\"]");
    clean();
}

static void modules_beside_a_file(void **state) {
    (void)state;
    static const struct world_file files[] = {
        {"lib/main.py", "import near\ndef f(): return near.x\n"}, {NULL, NULL}};
    prepare(node_text("    language: python\n    file: lib/main.py\n    function: f\n"), files,
            "{}");
    write_beside("lib/near.py", "x = 'near'");
    attempt_start(&a);
    finish();
    expect_body("\"near\"");
    clean();
}

/* ---- shells ---- */

static void shells_see_three_ways(void **state) {
    (void)state;
    static const char *const shells[] = {"bash", "sh"};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        run_code(shells[i],
                 "cat | tr -d '\\n'; echo\nsh -c 'cat \"$CAIRN_INPUT\" < /dev/null'; echo\n"
                 "echo \"$city|$n|$f|$ok|$nil|$list|\"",
                 "{\"city\": \"two words\", \"n\": 3, \"f\": 3.0, \"ok\": true, \"nil\": null,"
                 " \"list\": [1]}");
        assert_true(a.done);
        const char *json = "{\"city\":\"two words\",\"n\":3,\"f\":3.0,\"ok\":true,\"nil\":null,"
                           "\"list\":[1]}";
        char want[500];
        snprintf(want, sizeof want, "%s\n%s\ntwo words|3|3.0|true|||", json, json);
        assert_str(value_str(a.result.body), want);
        clean();
    }
}

static void shell_output_is_json_or_text(void **state) {
    (void)state;
    run_code("bash", "echo '{\"a\": [1, 2.0]}'", "{}");
    expect_body("{\"a\":[1,2.0]}");
    clean();
    run_code("sh", "echo plain; echo; echo log >&2", "{}");
    expect_body("\"plain\\n\"");
    expect_log(1, "log\n");
    clean();
    run_code("sh", ":", "{}");
    expect_body("null");
    clean();
}

static void failing_script_says_its_last_words(void **state) {
    (void)state;
    run_code("bash", "echo out\nfor i in 1 2 3 4 5 6 7; do echo line $i >&2; done\nexit 4", "{}");
    expect_failure(FAILURE_TRANSIENT, "code",
                   "exit status 4: line 3\nline 4\nline 5\nline 6\nline 7");
    assert_int_equal(str_find(a.failure.message, STR("line 2"), 0), SIZE_MAX);
    expect_log(0, "out\n");
    clean();
    run_code("bash", ":\n:\nno_such_command_here", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "exit status 127: flow.yaml: line 9: ");
    clean();
    run_code("sh", "head -c 100000 /dev/zero | tr '\\0' 'x' >&2; exit 1", "{}");
    expect_failure(FAILURE_TRANSIENT, "code", "exit status 1: xxx");
    assert_in_range(a.failure.message.len, 1000, 5000);
    clean();
}

static void bash_is_bash(void **state) {
    (void)state;
    run_code("bash", "a=(1 2 3); [[ ${#a[@]} -eq 3 ]] && echo \"[${a[1]}]\"", "{}");
    expect_body("[2]");
    clean();
    static const struct world_file files[] = {{"go.sh", "echo \"\\\"$0 $city\\\"\"\n"},
                                              {NULL, NULL}};
    run(node_text("    language: sh\n    file: go.sh\n"), files, "{\"city\": \"Rome\"}");
    expect_body("\"go.sh Rome\"");
    clean();
}

/* ---- programs ---- */

static void command_is_no_shell(void **state) {
    (void)state;
    run(node_text("    command: [printf, \"%s|\", \"a  b\", \"$HOME\", 3, 3.5, true]\n"), NULL,
        "{}");
    expect_body("\"a  b|$HOME|3|3.5|true|\"");
    clean();
    run("cairn: 1\ninputs: {what: {type: string}}\nnodes:\n  job:\n    type: code\n"
        "    command: [echo, \"<{{ inputs.what }}>\", \"{{ inputs.what }}\"]\n",
        NULL, "{\"inputs\": {\"what\": \"x; rm *\"}}");
    expect_body("\"<x; rm *> x; rm *\"");
    clean();
    run(node_text("    command: [cat]\n"), NULL, "{\"a\": [1]}");
    expect_body("{\"a\":[1]}");
    clean();
}

static void missing_programs(void **state) {
    (void)state;
    run(node_text("    command: [no-such-program-here]\n"), NULL, "{}");
    expect_failure(FAILURE_PERMANENT, "not_found",
                   "no-such-program-here does not exist in any folder");
    assert_int_equal(told.processes, 0);
    clean();
    static const char *const languages[][2] = {
        {"python", "python3 is needed"},  {"bash", "bash is needed"},
        {"sh", "in the package dash"},    {"javascript", "node is needed"},
        {"typescript", "package nodejs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
        char fields[200];
        snprintf(fields, sizeof fields,
                 "    language: %s\n    code: x\n    env: {PATH: /nowhere}\n", languages[i][0]);
        run(node_text(fields), NULL, "{}");
        expect_failure(FAILURE_PERMANENT, "not_found", languages[i][1]);
        clean();
    }
}

static void environment_is_clean(void **state) {
    (void)state;
    assert_int_equal(setenv("SECRET_OF_THE_HOST", "x", 1), 0);
    run(node_text("    command: [sh, -c, \"env | cut -d= -f1 | sort | tr '\\\\n' ' '\"]\n"
                  "    env: {MINE: 1, LANG: null}\n"),
        NULL, "{\"city\": \"Rome\", \"list\": []}");
    assert_true(a.done);
    struct str names = value_str(a.result.body), rest = names;
    assert_int_equal(str_find(names, STR("SECRET"), 0), SIZE_MAX);
    static const char *const allowed[] = {"CAIRN_ATTEMPT",
                                          "CAIRN_ATTEMPT_NUMBER",
                                          "CAIRN_EXECUTION",
                                          "CAIRN_IDEMPOTENCY_KEY",
                                          "CAIRN_INPUT",
                                          "CAIRN_STEP",
                                          "CAIRN_STEP_DIR",
                                          "HOME",
                                          "LANG",
                                          "MINE",
                                          "PATH",
                                          "PWD",
                                          "TMPDIR",
                                          "city",
                                          "_",
                                          "OLDPWD",
                                          "SHLVL"};
    int seen = 0;
    while (rest.len > 0) {
        struct str name = str_split(rest, ' ', &rest);
        bool ok = name.len == 0;
        for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
            ok = ok || str_is(name, allowed[i]);
        if (!ok)
            fail_msg("%.*s is in the environment", STR_ARG(name));
        seen += str_is(name, "MINE") + str_is(name, "city") + str_is(name, "CAIRN_STEP");
    }
    assert_int_equal(seen, 3);
    unsetenv("SECRET_OF_THE_HOST");
    clean();
}

static void environment_tells_who_it_is(void **state) {
    (void)state;
    run_code("python",
             "import os\nreturn [os.environ['CAIRN_' + n] for n in "
             "('EXECUTION', 'STEP', 'IDEMPOTENCY_KEY', 'ATTEMPT_NUMBER')]",
             "{}");
    expect_body("[\"exec_00000000000000000000\",\"job\",\"exec_0/job\",\"1\"]");
    clean();
    run(node_text("    command: [sh, -c, 'echo \"$A/$B/$C/$city\"']\n"
                  "    env: {A: text, B: [1, 2], C: 2.0, city: mine}\n"),
        NULL, "{\"city\": \"Rome\"}");
    expect_body("\"text/[1,2]/2.0/mine\"");
    clean();
}

static void large_names_are_only_in_the_json(void **state) {
    (void)state;
    prepare(node_text("    command: [sh, -c, 'echo \"${long+set} ${short+set}\"; wc -c']\n"), NULL,
            "{}");
    size_t size = 5 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    struct value_builder b;
    value_builder_init(&b, &w.arena);
    value_map_add(&b, STR("long"), value_text((struct str){text, size}));
    value_map_add(&b, STR("short"), value_text(STR("y")));
    a.in.scope = value_map_done(&b);
    attempt_start(&a);
    finish();
    expect_body("\" set\\n5242903\"");
    free(text);
    clean();
}

static void folder_is_that_of_the_run(void **state) {
    (void)state;
    prepare(code_text("sh", "cat beside.txt; pwd -P > where"), NULL, "{}");
    write_beside("beside.txt", "found");
    attempt_start(&a);
    finish();
    expect_body("\"found\"");
    char path[300];
    snprintf(path, sizeof path, "%s/where", w.folder);
    assert_true(io_path_exists(path));
    clean();
}

/* ---- limits and ends ---- */

static void output_has_a_limit(void **state) {
    (void)state;
    static const char *const codes[][2] = {{"sh", "yes"},
                                           {"python", "return 'x' * 200000"},
                                           {"python", "for i in range(2000): print('x' * 100)"}};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        prepare(code_text(codes[i][0], codes[i][1]), NULL, "{}");
        a.in.max_output_bytes = 100000;
        attempt_start(&a);
        finish();
        expect_failure(FAILURE_PERMANENT, "too_large", "more than 100000 bytes (max_output_bytes)");
        clean();
    }
}

static void large_values_pass(void **state) {
    (void)state;
    run_code("python", "return ['x' * 1000] * 5000", "{}");
    assert_true(a.done);
    assert_int_equal(value_count(a.result.body), 5000);
    clean();
}

static bool lives(int64_t pid) {
    char path[64], line[300] = "";
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    const char *got = fgets(line, sizeof line, f);
    fclose(f);
    const char *bracket = got != NULL ? strrchr(line, ')') : NULL;
    return bracket != NULL && bracket[2] != 'Z';
}

static void cancel_kills_all_of_it(void **state) {
    (void)state;
    prepare(code_text("sh", "setsid sh -c 'echo $$ >&2; while :; do sleep 60; done' & "
                            "while :; do sleep 60; done"),
            NULL, "{}");
    attempt_start(&a);
    while (told.text[1].len == 0)
        assert_true(io_loop_turn(w.loop, true));
    buf_append_char(&told.text[1], '\0');
    int64_t grandchild = strtoll(told.text[1].ptr, NULL, 10);
    assert_true(lives(told.pid) && lives(grandchild));
    attempt_cancel(&a);
    attempt_cancel(&a);
    finish();
    assert_false(lives(told.pid) || lives(grandchild));
    assert_false(a.done);
    clean();
}

static void cancel_lets_code_clean_up(void **state) {
    (void)state;
    prepare(code_text("bash", "trap 'echo bye >&2; exit 9' TERM; echo ready >&2; "
                              "while :; do sleep 0.01; done"),
            NULL, "{}");
    attempt_start(&a);
    while (told.text[1].len == 0)
        assert_true(io_loop_turn(w.loop, true));
    attempt_cancel(&a);
    finish();
    struct str log = buf_str(&told.text[1]); /* bash may mention its sleep between the two */
    assert_true(str_starts(log, STR("ready\n")) && str_ends(log, STR("bye\n")));
    clean();
}

static void start_that_fails_answers_later(void **state) {
    (void)state;
    prepare("cairn: 1\ninputs: {name: {type: string}}\nnodes:\n  job:\n    type: code\n"
            "    command: [echo]\n    env: {A: \"{{ inputs.name }}\"}\n",
            NULL, "{\"inputs\": {\"name\": \"a\\u0000b\"}}");
    attempt_start(&a);
    attempt_cancel(&a);
    finish();
    expect_failure(FAILURE_PERMANENT, "code", "env: A holds a NUL character");
    clean();
}

/* ---- compile time ---- */

static void wrong_nodes_are_refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"    language: python\n", "code"},
        {"    code: x\n", "language"},
        {"    language: python\n    code: x\n    command: [ls]\n", "command"},
        {"    language: perl\n    code: x\n", "perl"},
        {"    language: sh\n    file: none.sh\n", "none.sh"},
        {"    language: sh\n    file: go.sh\n    function: f\n",
         "only for python, javascript and typescript"},
        {"    language: python\n    code: x\n    function: f\n", "file"},
        {"    language: python\n    command: [ls]\n", "not with command"},
        {"    command: ls -l\n", "a list of the program and its arguments"},
        {"    command: []\n", "a list of the program and its arguments"},
        {"    command: [ls]\n    env: [A]\n", "env is a map"},
        {"    command: [ls]\n    env: {CAIRN_X: 1}\n", "CAIRN_X cannot be set"},
    };
    static const struct world_file files[] = {{"go.sh", ":\n"}, {NULL, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        world_open(&w, node_text(rows[i][0]), files);
        if (w.plan != NULL || strstr(world_findings(&w), rows[i][1]) == NULL)
            fail_msg("row %zu: %s", i, world_findings(&w));
        world_close(&w);
    }
}

static void script_too_long_for_an_argument(void **state) {
    (void)state;
    char *text = malloc(200001);
    memset(text, '#', 200000);
    text[200000] = '\0';
    struct world_file files[] = {{"long.sh", text}, {"long.py", text}, {NULL, NULL}};
    world_open(&w, node_text("    language: bash\n    file: long.sh\n"), files);
    assert_non_null(strstr(world_findings(&w), "more than 100000 bytes"));
    world_close(&w);
    run(node_text("    language: python\n    file: long.py\n"), files, "{}");
    expect_body("null"); /* Python code has no such limit */
    clean();
    free(text);
}

int code_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returned_values),
        cmocka_unit_test(printed_values),
        cmocka_unit_test(return_beats_print),
        cmocka_unit_test(bytes_cross_both_ways),
        cmocka_unit_test(output_that_is_no_text_is_bytes),
        cmocka_unit_test(names_are_variables),
        cmocka_unit_test(text_of_code_is_kept),
        cmocka_unit_test(code_can_wait),
        cmocka_unit_test(exception_has_the_line_of_the_workflow),
        cmocka_unit_test(code_is_kept_to_the_letter),
        cmocka_unit_test(marks_of_a_traceback_stand_under_what_failed),
        cmocka_unit_test(one_line_code_has_its_line),
        cmocka_unit_test(syntax_error_is_permanent),
        cmocka_unit_test(odd_exceptions),
        cmocka_unit_test(what_cannot_be_returned),
        cmocka_unit_test(exit_of_python),
        cmocka_unit_test(functions_get_what_they_take),
        cmocka_unit_test(functions_that_cannot_be_called),
        cmocka_unit_test(file_without_function_is_run),
        cmocka_unit_test(modules_beside_the_workflow),
        cmocka_unit_test(modules_beside_a_file),
        cmocka_unit_test(shells_see_three_ways),
        cmocka_unit_test(shell_output_is_json_or_text),
        cmocka_unit_test(failing_script_says_its_last_words),
        cmocka_unit_test(bash_is_bash),
        cmocka_unit_test(command_is_no_shell),
        cmocka_unit_test(missing_programs),
        cmocka_unit_test(environment_is_clean),
        cmocka_unit_test(environment_tells_who_it_is),
        cmocka_unit_test(large_names_are_only_in_the_json),
        cmocka_unit_test(folder_is_that_of_the_run),
        cmocka_unit_test(output_has_a_limit),
        cmocka_unit_test(large_values_pass),
        cmocka_unit_test(cancel_kills_all_of_it),
        cmocka_unit_test(cancel_lets_code_clean_up),
        cmocka_unit_test(start_that_fails_answers_later),
        cmocka_unit_test(wrong_nodes_are_refused),
        cmocka_unit_test(script_too_long_for_an_argument),
    };
    return cmocka_run_group_tests_name("node code", tests, NULL, NULL);
}

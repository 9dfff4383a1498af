/* Python steps as forks of a zygote: that they are, and that nothing goes from one to the next.
 * Real processes; nothing is needed but python3.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

static struct world w;
static struct attempt a;

static void no_log(struct step_port *p, const char *stream, struct str text) {
    (void)p;
    (void)stream;
    (void)text;
}

static void no_process(struct step_port *p, int64_t pid, uint64_t start_time) {
    (void)p;
    assert_true(pid > 1 && start_time > 0);
}

#define IS_FORK "b'fork_twice' in open('/proc/self/cmdline', 'rb').read()"

static char text[8192];

static void add_node(const char *name, const char *code) {
    size_t len = strlen(text);
    len += (size_t)snprintf(text + len, 200,
                            "  %s:\n    type: code\n    language: python\n"
                            "    code: |\n      ",
                            name);
    for (; *code != '\0'; code++) {
        text[len++] = *code;
        if (*code == '\n')
            len += (size_t)snprintf(text + len, 10, "      ");
    }
    text[len++] = '\n';
    text[len] = '\0';
}

static void prepare(const char *node) {
    static struct step_port_ops ops;
    attempt_init(&a, &w, node);
    ops = *a.port.ops;
    ops.log = no_log;
    ops.process = no_process;
    a.port.ops = &ops;
}

static void await_answer(void) {
    while (a.answers == 0)
        assert_true(io_loop_turn(w.loop, true) || a.answers != 0);
}

static void run(const char *node) {
    prepare(node);
    attempt_start(&a);
    await_answer();
    assert_int_equal(io_launcher_running(w.launcher), 0);
}

static void expect_body(const char *json) {
    if (!a.done)
        fail_msg("failed: %.*s", STR_ARG(a.failure.message));
    assert_string_equal(world_json(&w, a.result.body), json);
}

/* Two steps, one after the other. */
static void open_two(const char *top, const char *first, const char *second,
                     const struct world_file *files) {
    snprintf(text, sizeof text, "cairn: 1\n%snodes:\n", top);
    add_node("first", first);
    add_node("second", second);
    add_node("alone", "return " IS_FORK);
    world_open(&w, text, files);
    if (w.plan == NULL)
        fail_msg("%s", world_findings(&w));
    w.names = world_value(&w, "{}");
}

/* Another step in the same interpreter, before those that are looked at. */
static void run_alone(void) {
    run("alone");
    expect_body("true");
}

/* What the second one gives after the first one has ended well. */
static void expect_second(const char *first, const char *second, const char *json) {
    open_two("", first, second, NULL);
    run_alone();
    run("first");
    if (!a.done)
        fail_msg("first failed: %.*s", STR_ARG(a.failure.message));
    run("second");
    expect_body(json);
    world_close(&w);
}

static void steps_are_forks(void **state) {
    (void)state;
    expect_second("import os",
                  "import os\n"
                  "session = os.getpid() == os.getsid(0) == os.getpgid(0)\n"
                  "status = open('/proc/self/status').read()\n"
                  "return [" IS_FORK ", session, 'NoNewPrivs:\\t1' in status]",
                  "[true,true,true]");
}

static void a_patched_module_is_whole_again(void **state) {
    (void)state;
    expect_second("import json\njson.dumps = None\njson.loads = None",
                  "import json\n"
                  "return json.dumps([1])",
                  "\"[1]\"");
    expect_second("import builtins, os\nbuiltins.len = None\nos.getcwd = None\nbuiltins.mine = 1",
                  "import builtins, os\nos.getcwd()\nreturn [len([1]), hasattr(builtins, 'mine')]",
                  "[1,false]");
}

static void folder_and_environment_are_its_own(void **state) {
    (void)state;
    expect_second("import os, sys\n"
                  "os.chdir('/usr')\nos.environ['LEAK'] = 'x'\nos.putenv('LEAK2', 'x')\n"
                  "os.umask(0)\nsys.path.insert(0, '/leak')\nsys.argv.append('leak')",
                  "import os, subprocess, sys\n"
                  "seen = subprocess.run(['/usr/bin/env'], stdout=-1).stdout\n"
                  "shown = open('/proc/self/environ', 'rb').read()\n"
                  "return [os.getcwd() == '/usr', 'LEAK' in os.environ, b'LEAK' in seen,\n"
                  "        b'LEAK' in shown, os.umask(0), '/leak' in sys.path, len(sys.argv),\n"
                  "        'CAIRN_ROOM' in os.environ, b'CAIRN_IDEMPOTENCY_KEY=' in shown]",
                  "[false,false,false,false,63,false,1,false,true]");
}

static void threads_and_exit_handlers_end_with_their_step(void **state) {
    (void)state;
    expect_second("import atexit, threading, time\n"
                  "atexit.register(print, 'at the end')\n"
                  "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
                  "import threading\nreturn threading.active_count()", "1");
}

static void what_was_registered_for_the_end_is_done(void **state) {
    (void)state;
    open_two("", "import atexit\natexit.register(print, 'bye')\nprint('hi')\n",
             "import os, threading\n"
             "def late():\n"
             "    import time\n"
             "    time.sleep(0.05)\n"
             "    print('late')\n"
             "threading.Thread(target=late).start()\n"
             "class Last:\n"
             "    def __del__(self): print('gone')\n"
             "global last\n"
             "last = Last()\n",
             NULL);
    run_alone();
    run("first");
    expect_body("\"hi\\nbye\"");
    run("second");
    expect_body("\"late\\ngone\"");
    world_close(&w);
}

static void closed_and_read_streams_are_whole_again(void **state) {
    (void)state;
    expect_second("import os, sys\nsys.stdin.read()\nos.close(0)\nos.close(1)\nos.close(2)",
                  "import sys\nprint('here')\nreturn sys.stdin.read()", "\"\"");
    expect_second("import sys, io\nsys.stdout.close()\nsys.stdin = None",
                  "import sys\nprint('here')", "\"here\"");
}

static void preloaded_in_the_folder(const char *module, const char *lines) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s.py", w.folder, module);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(lines, f);
    fclose(f);
}

static void chance_differs(void **state) {
    (void)state;
    const char *code = "import random, uuid, ssl, os\n"
                       "return [random.random(), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),\n"
                       "        os.urandom(8).hex()]\n";
    open_two("preload: [random, uuid, ssl, numpy]\n", code,
             "import random, sys\nrandom.seed(1)\n"
             "return sys.modules['numpy.random'].state\n",
             NULL);
    preloaded_in_the_folder("numpy", "import sys, types\n"
                                     "random = types.ModuleType('numpy.random')\n"
                                     "random.state = 0\n"
                                     "def seed(): random.state += 1\n"
                                     "random.seed = seed\n"
                                     "sys.modules['numpy.random'] = random\n");
    run("second");
    expect_body("1");
    run("first");
    assert_true(a.done);
    struct value one = a.result.body;
    run("first");
    assert_true(a.done);
    for (size_t i = 0; i < 4; i++)
        assert_false(value_equal(one.items[i], a.result.body.items[i]));
    remove(arena_printf(&w.arena, "%s/numpy.py", w.folder).ptr);
    world_close(&w);
}

static void what_is_preloaded_is_there(void **state) {
    (void)state;
    open_two("preload: [decimal, xml.dom]\n",
             "import sys\nreturn [" IS_FORK ", 'decimal' in sys.modules, 'xml.dom' in sys.modules]",
             "return 1", NULL);
    run("first");
    expect_body("[true,true,true]");
    world_close(&w);
    expect_second("import sys", "import sys\nreturn 'decimal' in sys.modules", "false");
}

static void a_module_that_cannot_be_preloaded_fails_the_step(void **state) {
    (void)state;
    open_two("preload: [json, no_such_module]\n", "return 1", "return 2", NULL);
    for (int i = 0; i < 2; i++) {
        run(i ? "second" : "first");
        assert_false(a.done);
        assert_str(a.failure.type, "preload");
        assert_int_equal(a.failure.class, FAILURE_PERMANENT);
        assert_str(a.failure.message, "preload: no_such_module cannot be imported: "
                                      "ModuleNotFoundError: No module named 'no_such_module'");
    }
    world_close(&w);
}

static void a_module_that_starts_a_thread_is_refused(void **state) {
    (void)state;
    open_two("preload: [threads]\n", "return 1", "return 2", NULL);
    preloaded_in_the_folder("threads", "import threading, time\n"
                                       "threading.Thread(target=time.sleep, args=(1000,),\n"
                                       "                 daemon=True).start()\n");
    run("first");
    assert_false(a.done);
    assert_str(a.failure.type, "preload");
    assert_true(str_find(a.failure.message, STR("threads starts a thread"), 0) != SIZE_MAX);
    remove(arena_printf(&w.arena, "%s/threads.py", w.folder).ptr);
    world_close(&w);
}

/* Each time it is tried again, but not for ever, and no step is the worse for it. */
static void a_zygote_that_dies_is_done_without(void **state) {
    (void)state;
    open_two("preload: [deadly]\n", "return " IS_FORK, "return 2", NULL);
    preloaded_in_the_folder("deadly", "import os\n"
                                      "open(__file__ + '.log', 'a').write('x')\n"
                                      "os._exit(1)\n");
    for (int i = 0; i < 5; i++) {
        run("first");
        expect_body("false");
    }
    struct str log = arena_printf(&w.arena, "%s/deadly.py.log", w.folder);
    FILE *f = fopen(log.ptr, "r");
    char starts[10] = "";
    assert_non_null(f);
    assert_non_null(fgets(starts, sizeof starts, f));
    fclose(f);
    assert_string_equal(starts, "xxx");
    remove(log.ptr);
    remove(arena_printf(&w.arena, "%s/deadly.py", w.folder).ptr);
    world_close(&w);
}

static void what_counts_at_start_is_no_fork(void **state) {
    (void)state;
    world_open(&w,
               "cairn: 1\nnodes:\n"
               "  first: {type: code, language: python, env: {TZ: Asia/Tokyo},\n"
               "    code: \"import time\\nreturn [" IS_FORK ", time.timezone]\"}\n"
               "  second: {type: code, language: python, env: {OWN: x},\n"
               "    code: \"import os\\nreturn [" IS_FORK ", os.environ['OWN']]\"}\n",
               NULL);
    w.names = world_value(&w, "{}");
    run("first");
    expect_body("[false,-32400]");
    run("second");
    expect_body("[true,\"x\"]");
    world_close(&w);
}

static void a_step_that_is_the_only_one_is_no_fork(void **state) {
    (void)state;
    world_open(&w,
               "cairn: 1\nnodes:\n"
               "  other: {type: code, language: sh, code: \"true\"}\n"
               "  only: {type: code, language: python, code: \"return " IS_FORK "\"}\n",
               NULL);
    w.names = world_value(&w, "{}");
    run("only");
    expect_body("false");
    run("only"); /* again, by a retry or in a loop */
    expect_body("true");
    world_close(&w);
    world_open(&w,
               "cairn: 1\nnodes:\n"
               "  only: {type: code, language: python, foreach: {items: \"[1]\"},\n"
               "    code: \"return " IS_FORK "\"}\n",
               NULL);
    w.names = world_value(&w, "{}");
    run("only");
    expect_body("true");
    world_close(&w);
}

/* It says what it would have said as a program of its own. */
static void statuses_and_errors_are_the_same(void **state) {
    (void)state;
    static const struct {
        const char *code;
        const char *message;
    } rows[] = {
        {"import sys\nsys.exit(3)", "the Python code ended with exit status 3"},
        {"import sys\nsys.exit('no')", "the Python code ended with exit status 1: no"},
        {"import os\nos.kill(os.getpid(), 9)", "the Python code was killed by signal 9 (SIGKILL)"},
        {"\n1 / 0", "ZeroDivisionError: division by zero (flow.yaml, line 8)"},
        {"import os\nos._exit(4)", "the Python code ended with exit status 4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        open_two("", rows[i].code, "return " IS_FORK, NULL);
        run_alone();
        run("first");
        assert_false(a.done);
        assert_str(a.failure.message, rows[i].message);
        run("second");
        expect_body("true");
        world_close(&w);
    }
}

static void start_item(uint32_t index) {
    prepare("each");
    a.in.index = index;
    a.in.items = 3;
    a.in.key = arena_printf(&w.arena, "exec_0/each[%u]", index);
    attempt_start(&a);
}

/* Z: it has died, and its descriptors are closed. T: it is stopped. 0: there is none. */
static char state_of(pid_t pid, pid_t *parent) {
    char path[40], state = '\0';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d (%*[^)]) %c %d", &state, parent) != 2)
        state = '\0';
    if (f != NULL)
        fclose(f);
    return state;
}

static void await_state(pid_t pid, char wanted) {
    pid_t parent;
    while (state_of(pid, &parent) != wanted)
        poll(NULL, 0, 1);
}

/* The one that made the fork ends at once, which leaves the fork to the launcher. */
static pid_t await_launcher(pid_t fork_pid) {
    pid_t launcher = 0, parent = 0;
    while (state_of(fork_pid, &launcher) == '\0' || state_of(launcher, &parent) == '\0' ||
           parent != getpid())
        poll(NULL, 0, 1);
    return launcher;
}

/* An idle fork that is killed takes no item along, also when the host has not heard of it. */
static void a_dead_fork_is_given_no_item(void **state) {
    (void)state;
    world_open(&w,
               "cairn: 1\nnodes:\n"
               "  each: {type: code, language: python, foreach: {items: \"[1, 2, 3]\"},\n"
               "    code: \"import os; return os.getpid()\"}\n",
               NULL);
    w.names = world_value(&w, "{}");
    start_item(0);
    await_answer();
    if (!a.done)
        fail_msg("failed: %.*s", STR_ARG(a.failure.message));
    pid_t fork_pid = (pid_t)a.result.body.num;
    pid_t launcher_pid = await_launcher(fork_pid);
    assert_int_equal(kill(launcher_pid, SIGSTOP), 0);
    await_state(launcher_pid, 'T'); /* it cannot tell of what dies now */
    assert_int_equal(kill(fork_pid, SIGKILL), 0);
    await_state(fork_pid, 'Z');
    start_item(1);
    for (int i = 0; i < 10; i++) {
        io_loop_turn(w.loop, false);
        poll(NULL, 0, 1);
    }
    assert_int_equal(kill(launcher_pid, SIGCONT), 0);
    await_answer();
    if (!a.done)
        fail_msg("failed: %.*s", STR_ARG(a.failure.message));
    world_close(&w);
}

int zygote_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_forks),
        cmocka_unit_test(a_patched_module_is_whole_again),
        cmocka_unit_test(folder_and_environment_are_its_own),
        cmocka_unit_test(threads_and_exit_handlers_end_with_their_step),
        cmocka_unit_test(what_was_registered_for_the_end_is_done),
        cmocka_unit_test(closed_and_read_streams_are_whole_again),
        cmocka_unit_test(chance_differs),
        cmocka_unit_test(what_is_preloaded_is_there),
        cmocka_unit_test(a_module_that_cannot_be_preloaded_fails_the_step),
        cmocka_unit_test(a_module_that_starts_a_thread_is_refused),
        cmocka_unit_test(a_zygote_that_dies_is_done_without),
        cmocka_unit_test(what_counts_at_start_is_no_fork),
        cmocka_unit_test(a_step_that_is_the_only_one_is_no_fork),
        cmocka_unit_test(statuses_and_errors_are_the_same),
        cmocka_unit_test(a_dead_fork_is_given_no_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

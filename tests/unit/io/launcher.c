/* Programs through the launcher: their output, input, ends and failures, one and many at a time. */
#include "programs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static void echo_comes_back(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"echo", "a b", "", "c", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    program_start(&p, &spec);
    assert_int_equal(io_launcher_running(programs_launcher), 1);
    program_wait(&p);
    assert_int_equal(io_launcher_running(programs_launcher), 0);
    assert_int_equal(p.started, 1);
    assert_int_equal(p.result.status, 0);
    assert_int_equal(p.spawn_error, OK);
    assert_string_equal(program_text(&p, 1), "a b  c\n");
    program_fini(&p);
}

static void kill_now(struct program *p) { io_process_kill(p->process, 0); }

/* Its pipes are watched when it has run for a moment; what it wrote before is told all the same. */
static void short_program_is_not_watched(void **state) {
    (void)state;
    struct program over = {0}, goes_on = {.on_output = kill_now};
    shell_start(&over, "echo one; echo two >&2");
    size_t meanwhile = io_loop_open_count(programs_loop);
    program_wait(&over);
    assert_int_equal(meanwhile, io_loop_open_count(programs_loop) + 1); /* its timer */
    assert_string_equal(program_text(&over, 1), "one\n");
    assert_string_equal(program_text(&over, 2), "two\n");
    shell_start(&goes_on, "echo here; exec sleep 1000");
    program_wait(&goes_on);
    assert_string_equal(program_text(&goes_on, 1), "here\n");
    assert_int_equal(goes_on.result.signal, SIGKILL);
    program_fini(&over);
    program_fini(&goes_on);
}

static void three_outputs_stay_apart(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"sh", "-c", "echo one; echo two >&2; echo three >&3", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.want_result = true;
    program_start(&p, &spec);
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "one\n");
    assert_string_equal(program_text(&p, 2), "two\n");
    assert_string_equal(program_text(&p, 3), "three\n");
    program_fini(&p);
}

static void input_is_given_and_ends(void **state) {
    (void)state;
    struct program p = {0}, large = {0};
    const char *const argv[] = {"cat", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.stdin_text = STR("line\n\x01\xff");
    program_start(&p, &spec);
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "line\n\x01\xff");
    size_t size = 3 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    spec = program_spec(&large, argv);
    spec.stdin_text = (struct str){text, size};
    program_start(&large, &spec);
    free(text); /* was copied */
    program_wait(&large);
    assert_int_equal(large.text[1].len, size);
    program_fini(&p);
    program_fini(&large);
}

static void without_input_it_is_empty(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "wc -c; readlink /proc/self/fd/0");
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "0\n/dev/null\n");
    program_fini(&p);
}

static void ends_are_told(void **state) {
    (void)state;
    static const struct {
        const char *script;
        int status, signal;
    } rows[] = {{"exit 0", 0, 0},
                {"exit 7", 7, 0},
                {"exit 255", 255, 0},
                {"kill -9 $$", -1, SIGKILL},
                {"kill -TERM $$", -1, SIGTERM},
                {"kill -SEGV $$", -1, SIGSEGV}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct program p = {0};
        shell_start(&p, rows[i].script);
        program_wait(&p);
        assert_int_equal(p.result.status, rows[i].status);
        assert_int_equal(p.result.signal, rows[i].signal);
        program_fini(&p);
    }
}

static void missing_program_is_named(void **state) {
    (void)state;
    static const char *const names[] = {"no-such-program", "/no/such/program"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct program p = {0};
        const char *const argv[] = {names[i], NULL};
        struct io_process_spec spec = program_spec(&p, argv);
        program_start(&p, &spec);
        program_wait(&p);
        assert_int_equal(p.spawn_error, ERR_NOT_FOUND);
        assert_non_null(strstr(p.message, names[i]));
        assert_int_equal(p.started, 0);
        program_fini(&p);
    }
}

static void run_file(struct program *p, const char *path) {
    const char *const argv[] = {path, NULL};
    struct io_process_spec spec = program_spec(p, argv);
    program_start(p, &spec);
    program_wait(p);
}

static void what_cannot_be_executed_says_why(void **state) {
    (void)state;
    char folder[200], path[300];
    assert_int_equal(io_dir_temp(NULL, folder, sizeof folder, NULL), OK);
    snprintf(path, sizeof path, "%s/x", folder);
    static const struct {
        const char *text;
        mode_t mode;
        enum err code;
        const char *says;
    } rows[] = {{"#!/no/interpreter\n", 0755, ERR_NOT_FOUND, "interpreter"},
                {"no program", 0755, ERR_IO, "#!"},
                {"#!/bin/sh\n", 0644, ERR_IO, "Permission"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct program p = {0};
        assert_int_equal(io_file_write(path, str_from(rows[i].text), 0600, false, NULL), OK);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        run_file(&p, path);
        assert_int_equal(p.spawn_error, rows[i].code);
        assert_non_null(strstr(p.message, rows[i].says));
        program_fini(&p);
    }
    struct program p = {0};
    run_file(&p, folder);
    assert_int_equal(p.spawn_error, ERR_IO);
    program_fini(&p);
    assert_int_equal(io_dir_remove(folder, NULL), OK);
}

static void folder_is_entered(void **state) {
    (void)state;
    struct program p = {0}, none = {0};
    const char *const argv[] = {"pwd", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.cwd = "/usr/bin";
    program_start(&p, &spec);
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "/usr/bin\n");
    spec = program_spec(&none, argv);
    spec.cwd = "no/such/folder";
    program_start(&none, &spec);
    program_wait(&none);
    assert_int_equal(none.spawn_error, ERR_IO);
    assert_non_null(strstr(none.message, "no/such/folder"));
    program_fini(&p);
    program_fini(&none);
}

/* It is said before the program is executed, so it is never missing, however short that runs. */
static void who_it_is_is_told(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "cut -d' ' -f1,22 /proc/self/stat; echo $$");
    while (p.started == 0)
        assert_true(io_loop_turn(programs_loop, true) || p.started != 0);
    program_wait(&p);
    char pid[32];
    snprintf(pid, sizeof pid, "\n%lld\n", (long long)p.pid);
    assert_non_null(strstr(program_text(&p, 1), pid));
    assert_true(p.start_time > 0);
    program_fini(&p);
}

static void environment_is_exactly_the_given(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"/usr/bin/env", NULL};
    const char *const env[] = {"A=1", "B=two words", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.env = env;
    program_start(&p, &spec);
    program_wait(&p);
    const char *text = program_text(&p, 1);
    assert_memory_equal(text, "A=1\nB=two words\nCAIRN_ATTEMPT=", 30);
    assert_int_equal(strcspn(text + 16, "\n"), strlen(text + 16) - 1);
    program_fini(&p);
}

static void large_arguments_and_environment(void **state) {
    (void)state;
    struct program p = {0};
    enum { SIZE = 100000 };
    static char large[SIZE], variable[SIZE];
    memset(large, 'y', SIZE - 1);
    memset(variable, 'z', SIZE - 1);
    memcpy(variable, "V=", 2);
    const char *const argv[] = {"sh", "-c", "echo ${#1} ${#V}", "sh", large, NULL};
    const char *const env[] = {"PATH=/bin:/usr/bin", variable, NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.env = env;
    program_start(&p, &spec);
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "99999 99997\n");
    program_fini(&p);
}

static void arguments_beyond_the_system(void **state) {
    (void)state;
    struct program p = {0};
    size_t size = 4 << 20; /* one argument may have 128 KiB */
    char *large = calloc(1, size + 1);
    memset(large, 'y', size);
    const char *const argv[] = {"echo", large, NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    program_start(&p, &spec);
    free(large);
    program_wait(&p);
    assert_int_equal(p.spawn_error, ERR_LIMIT);
    program_fini(&p);
}

static void ten_megabytes(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "head -c 10485760 /dev/zero; head -c 1000000 /dev/zero >&2");
    program_wait(&p);
    assert_int_equal(p.text[1].len, 10485760);
    assert_int_equal(p.text[2].len, 1000000);
    assert_false(p.over_limit);
    program_fini(&p);
}

static void output_limit_kills(void **state) {
    (void)state;
    for (int fd = 1; fd <= 3; fd += 2) {
        struct program p = {0};
        const char *const argv[] = {"sh", "-c", fd == 1 ? "exec yes" : "exec yes >&3", NULL};
        struct io_process_spec spec = program_spec(&p, argv);
        spec.max_output_bytes = 100001;
        spec.want_result = true;
        program_start(&p, &spec);
        program_wait(&p);
        assert_true(p.over_limit);
        assert_int_equal(p.text[fd].len, 100001);
        assert_int_equal(p.result.signal, SIGKILL);
        program_fini(&p);
    }
}

static void stderr_is_cut_with_a_note(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"sh", "-c", "yes | head -c 500000 >&2; echo done", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.max_output_bytes = 1000;
    program_start(&p, &spec);
    program_wait(&p);
    assert_false(p.over_limit);
    assert_string_equal(program_text(&p, 1), "done\n");
    assert_in_range(p.text[2].len, 1001, 1100);
    assert_non_null(strstr(program_text(&p, 2), "dropped"));
    program_fini(&p);
}

/* Only 0, 1, 2 (and the one ls opens), though the host has many open without close-on-exec. */
static void no_descriptor_is_inherited(void **state) {
    (void)state;
    int leak[8];
    for (int i = 0; i < 8; i++)
        leak[i] = dup(1);
    struct program p = {0}, with_result = {0};
    shell_start(&p, "ls /proc/self/fd");
    program_wait(&p);
    assert_string_equal(program_text(&p, 1), "0\n1\n2\n3\n");
    const char *const argv[] = {"ls", "/proc/self/fd", NULL};
    struct io_process_spec spec = program_spec(&with_result, argv);
    spec.want_result = true;
    program_start(&with_result, &spec);
    program_wait(&with_result);
    assert_string_equal(program_text(&with_result, 1), "0\n1\n2\n3\n4\n");
    for (int i = 0; i < 8; i++)
        close(leak[i]);
    program_fini(&p);
    program_fini(&with_result);
}

static void process_is_confined(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "grep -E '^(NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; ulimit -c; "
                    "cut -d' ' -f5,6 /proc/self/stat; echo $$");
    signal(SIGUSR2, SIG_IGN);
    program_wait(&p);
    char want[300];
    snprintf(want, sizeof want,
             "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n"
             "0\n%lld %lld\n%lld\n",
             (long long)p.pid, (long long)p.pid, (long long)p.pid);
    signal(SIGUSR2, SIG_DFL);
    assert_string_equal(program_text(&p, 1), want);
    program_fini(&p);
}

static void resource_use_is_told(void **state) {
    (void)state;
    struct program p = {0};
    shell_start(&p, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    program_wait(&p);
    assert_true(p.result.user_us > 1000);
    assert_true(p.result.system_us >= 0);
    assert_true(p.result.max_rss_kib > 100);
    program_fini(&p);
}

static void two_hundred_at_once(void **state) {
    (void)state;
    enum { COUNT = 200 };
    static struct program all[COUNT];
    memset(all, 0, sizeof all);
    static char scripts[COUNT][64];
    for (int i = 0; i < COUNT; i++) {
        snprintf(scripts[i], sizeof scripts[i], "read x; echo %d $x; exit %d", i, i % 100);
        const char *const argv[] = {"sh", "-c", scripts[i], NULL};
        struct io_process_spec spec = program_spec(&all[i], argv);
        spec.stdin_text = STR("input\n");
        program_start(&all[i], &spec);
    }
    assert_int_equal(io_launcher_running(programs_launcher), COUNT);
    for (int i = 0; i < COUNT; i++) {
        char want[32];
        program_wait(&all[i]);
        snprintf(want, sizeof want, "%d input\n", i);
        assert_string_equal(program_text(&all[i], 1), want);
        assert_int_equal(all[i].result.status, i % 100);
        program_fini(&all[i]);
    }
    assert_int_equal(io_launcher_running(programs_launcher), 0);
}

static void close_while_running(void **state) {
    (void)state;
    static struct program p;
    p = (struct program){0};
    shell_start(&p, "sleep 100 & sleep 100");
    while (p.started == 0)
        io_loop_turn(programs_loop, true);
    io_launcher_close(programs_launcher);
    assert_false(process_lives(p.pid));
    assert_int_equal(p.exited, 0);
    assert_false(io_loop_turn(programs_loop, false));
    programs_launcher = io_launcher_open(programs_loop);
    program_fini(&p);
}

static void environment_of_the_host(void **state) {
    (void)state;
    const char *path = getenv("PATH");
    const char *kept = io_launcher_env(programs_launcher, "PATH");
    assert_int_equal(path == NULL, kept == NULL);
    if (path != NULL)
        assert_string_equal(path, kept);
    assert_null(io_launcher_env(programs_launcher, "SECRET"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, programs_set_up, programs_tear_down)

int run_launcher_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(echo_comes_back),
        TEST(short_program_is_not_watched),
        TEST(three_outputs_stay_apart),
        TEST(input_is_given_and_ends),
        TEST(without_input_it_is_empty),
        TEST(ends_are_told),
        TEST(missing_program_is_named),
        TEST(what_cannot_be_executed_says_why),
        TEST(folder_is_entered),
        TEST(who_it_is_is_told),
        TEST(environment_is_exactly_the_given),
        TEST(large_arguments_and_environment),
        TEST(arguments_beyond_the_system),
        TEST(ten_megabytes),
        TEST(output_limit_kills),
        TEST(stderr_is_cut_with_a_note),
        TEST(no_descriptor_is_inherited),
        TEST(process_is_confined),
        TEST(resource_use_is_told),
        TEST(two_hundred_at_once),
        TEST(close_while_running),
        TEST(environment_of_the_host),
    };
    return cmocka_run_group_tests_name("io launcher", tests, NULL, NULL);
}

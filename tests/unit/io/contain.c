/* What every process is given and denied: limits, rights, modes of files, descriptors; what is read
 * of a flood.
 */
#include <stdio.h>
#include <unistd.h>

#include "programs.h"

static struct program run_limited(const char *script, const struct io_limits *limits) {
    struct program p = {0};
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    if (limits != NULL)
        spec.limits = *limits;
    program_start(&p, &spec);
    program_wait(&p);
    return p;
}

/* Soft and hard limit of a line of /proc/self/limits, in a script. */
#define LIMIT(name) \
    "sed -n 's/^" name " *\\([0-9a-z]*\\) *\\([0-9a-z]*\\) .*/\\1 \\2/p' /proc/self/limits; "

static void given_limits_are_set(void **state) {
    (void)state;
    const struct io_limits limits = {.file_bytes = 1 << 20,
                                     .processes = 400,
                                     .open_files = 77,
                                     .memory_bytes = UINT64_C(1) << 30};
    struct program p = run_limited(LIMIT("Max file size") LIMIT("Max processes") LIMIT("Max open "
                                                                                       "files")
                                       LIMIT("Max data size") LIMIT("Max core file size"),
                                   &limits);
    assert_string_equal(program_text(&p, 1), "1048576 1048576\n400 400\n77 77\n"
                                             "1073741824 1073741824\n0 0\n");
    program_fini(&p);
}

static void there_are_limits_without_any(void **state) {
    (void)state;
    struct program p = run_limited(LIMIT("Max file size") LIMIT("Max open files"), NULL);
    long long size = 0, files = 0;
    assert_int_equal(sscanf(program_text(&p, 1), "%lld %*s %lld", &size, &files), 2);
    assert_in_range(size, 1, IO_LIMIT_FILE_BYTES);
    assert_in_range(files, 1, IO_LIMIT_OPEN_FILES);
    program_fini(&p);
}

static void a_file_cannot_outgrow_its_limit(void **state) {
    (void)state;
    const struct io_limits limits = {.file_bytes = 4096};
    struct program p = run_limited("f=$(mktemp); (head -c 100000 /dev/zero > $f) 2>/dev/null; "
                                   "wc -c < $f; rm $f",
                                   &limits);
    assert_string_equal(program_text(&p, 1), "4096\n");
    program_fini(&p);
}

static void memory_has_a_limit(void **state) {
    (void)state;
    const struct io_limits limits = {.memory_bytes = 64 << 20};
    struct program p = run_limited("/usr/bin/python3 -c 'x = bytearray(200 << 20)'", &limits);
    program_text(&p, 2);
    assert_non_null(strstr(p.text[2].ptr, "MemoryError"));
    program_fini(&p);
}

/* For root there is no limit of processes, so another user is taken. */
static void a_fork_bomb_ends_at_its_limit(void **state) {
    (void)state;
    const struct io_limits limits = {.processes = 20};
    static const char script[] =
        "i=0; while [ $i -lt 100 ]; do sleep 30 & i=$((i + 1)); done; echo all";
    char text[400];
    snprintf(text, sizeof text, "%s sh -c '%s'",
             geteuid() == 0 ? "exec setpriv --reuid=64999 --regid=64999 --clear-groups" : "exec",
             script);
    struct program p = run_limited(text, &limits);
    program_text(&p, 1);
    program_text(&p, 2);
    assert_null(strstr(p.text[1].ptr, "all"));
    assert_non_null(strstr(p.text[2].ptr, "fork"));
    program_fini(&p);
}

static void files_are_of_the_user_alone(void **state) {
    (void)state;
    struct program p = run_limited("umask; grep NoNewPrivs: /proc/self/status", NULL);
    assert_string_equal(program_text(&p, 1), "0077\nNoNewPrivs:\t1\n");
    program_fini(&p);
}

static void a_status_comes_on_four(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"sh", "-c", "echo four >&4; echo three >&3; ls /proc/self/fd",
                                NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.want_status = spec.want_result = true;
    program_start(&p, &spec);
    program_wait(&p);
    assert_string_equal(program_text(&p, 4), "four\n");
    assert_string_equal(program_text(&p, 3), "three\n");
    program_fini(&p);
}

static void a_flood_is_read_and_dropped(void **state) {
    (void)state;
    struct program p = {0};
    const char *const argv[] = {"sh", "-c", "head -c 200000000 /dev/zero; echo end >&2", NULL};
    struct io_process_spec spec = program_spec(&p, argv);
    spec.max_output_bytes = 1000;
    spec.keep_running = true;
    program_start(&p, &spec);
    program_wait(&p);
    assert_int_equal(p.text[1].len, 1000);
    assert_true(p.result.stdout_cut);
    assert_false(p.over_limit);
    assert_int_equal(p.result.status, 0);
    assert_string_equal(program_text(&p, 2), "end\n");
    program_fini(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, programs_set_up, programs_tear_down)

int run_contain_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(given_limits_are_set),
        TEST(there_are_limits_without_any),
        TEST(a_file_cannot_outgrow_its_limit),
        TEST(memory_has_a_limit),
        TEST(a_fork_bomb_ends_at_its_limit),
        TEST(files_are_of_the_user_alone),
        TEST(a_status_comes_on_four),
        TEST(a_flood_is_read_and_dropped),
    };
    return cmocka_run_group_tests_name("io contain", tests, NULL, NULL);
}

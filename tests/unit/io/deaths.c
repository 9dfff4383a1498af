/* What the launcher executes when its host has died, and only then. */
#include "programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

enum { PATIENCE_MS = 20000 };

static char folder[200], fifo[220];
static int told; /* what the executed program wrote into the fifo */

static int set_up(void **state) {
    (void)state;
    if (io_dir_temp(NULL, folder, sizeof folder, NULL) != OK)
        return -1;
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    setenv("CAIRN_TEST_SECRET", "hidden", 1);
    told = mkfifo(fifo, 0600) == 0 ? open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    return told >= 0 ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    close(told);
    unsetenv("CAIRN_TEST_SECRET");
    return io_dir_remove(folder, NULL) == OK ? 0 : -1;
}

/* A host with the script for its death, in a process of its own; what it does then. */
static pid_t host(const char *script, void (*life)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        char variable[240];
        const char *argv[] = {"/bin/sh", "-c", script, NULL};
        const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", variable, NULL};
        snprintf(variable, sizeof variable, "FIFO=%s", fifo);
        if (programs_set_up(NULL) != 0)
            _exit(1);
        io_launcher_on_death(programs_launcher, argv, env);
        if (io_launcher_start(programs_launcher, NULL) != OK)
            _exit(1);
        life();
        _exit(0);
    }
    return pid;
}

static const char *what_was_told(void) {
    static char text[4096];
    struct pollfd p = {.fd = told, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) != 1)
        fail_msg("nothing was executed");
    ssize_t got = read(told, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void die(void) { raise(SIGKILL); }

static void leave_without_closing(void) { _exit(0); }

static void close_and_leave(void) { programs_tear_down(NULL); }

static void it_is_executed_when_the_host_dies(void **state) {
    (void)state;
    void (*const ends[])(void) = {die, leave_without_closing};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = host("echo told > $FIFO", ends[i]);
        assert_string_equal(what_was_told(), "told\n");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
}

static void it_is_not_when_the_host_closes(void **state) {
    (void)state;
    pid_t pid = host("echo told > $FIFO", close_and_leave);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid); /* which waits for the launcher to end */
    assert_int_equal(status, 0);
    char byte;
    assert_int_equal(read(told, &byte, 1), -1);
}

static void its_environment_and_signals(void **state) {
    (void)state;
    pid_t pid = host("all=$(env; grep SigBlk /proc/self/status); echo \"$all\" > $FIFO", die);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    const char *text = what_was_told();
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "FIFO="));
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
}

static void start_something_and_die(void) {
    struct program p = {0};
    char script[300];
    snprintf(script, sizeof script, "trap '' TERM; echo $$ > %s/pid; while :; do sleep 60; done",
             folder);
    shell_start(&p, script);
    char path[220];
    snprintf(path, sizeof path, "%s/pid", folder);
    struct stat st;
    while (stat(path, &st) != 0 || st.st_size == 0)
        io_loop_turn(programs_loop, false);
    raise(SIGKILL);
}

static void by_then_all_it_started_is_gone(void **state) {
    (void)state;
    pid_t pid = host("if kill -0 $(cat ${FIFO%/*}/pid); then echo lives > $FIFO; "
                     "else echo gone > $FIFO; fi",
                     start_something_and_die);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_string_equal(what_was_told(), "gone\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int run_death_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_is_executed_when_the_host_dies),
        TEST(it_is_not_when_the_host_closes),
        TEST(its_environment_and_signals),
        TEST(by_then_all_it_started_is_gone),
    };
    return cmocka_run_group_tests_name("io deaths", tests, NULL, NULL);
}

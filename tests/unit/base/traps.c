/* A trap takes the bug of what runs in it, and nothing else. */
#include "groups.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static enum err fine(void *ctx, struct error *e) {
    *(int *)ctx += 1;
    return error_set(e, ERR_LIMIT, "as it says");
}

static enum err buggy(void *ctx, struct error *e) {
    (void)e;
    ASSERT(ctx == NULL);
    return OK;
}

static enum err nested(void *ctx, struct error *e) {
    struct error inner;
    assert_int_equal(trap_run(buggy, ctx, &inner), ERR_BUG);
    assert_int_equal(trap_run(fine, ctx, &inner), ERR_LIMIT);
    return buggy(ctx, e);
}

static void what_is_fine_comes_back(void **state) {
    (void)state;
    int calls = 0;
    struct error e;
    assert_int_equal(trap_run(fine, &calls, &e), ERR_LIMIT);
    assert_string_equal(e.message, "as it says");
    assert_int_equal(calls, 1);
}

static void a_bug_is_told(void **state) {
    (void)state;
    int calls = 0;
    struct error e;
    assert_int_equal(trap_run(buggy, &calls, &e), ERR_BUG);
    assert_non_null(strstr(e.message, "traps.c:"));
    assert_non_null(strstr(e.message, "this should hold: ctx == NULL"));
}

static void traps_nest(void **state) {
    (void)state;
    int calls = 0;
    struct error e;
    assert_int_equal(trap_run(nested, &calls, &e), ERR_BUG);
    assert_int_equal(calls, 1);
}

static void outside_a_bug_ends_the_process(void **state) {
    (void)state;
    int calls = 0, status = 0;
    struct error e;
    assert_int_equal(trap_run(buggy, &calls, &e), ERR_BUG);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)!buggy(&calls, &e);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int run_trap_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_fine_comes_back),
        TEST(a_bug_is_told),
        TEST(traps_nest),
        TEST(outside_a_bug_ends_the_process),
    };
    return cmocka_run_group_tests_name("traps", tests, NULL, NULL);
}

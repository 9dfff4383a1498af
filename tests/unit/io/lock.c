/* Locks between descriptors and between processes: exclusive, per byte, gone with their owner. */
#include "groups.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/file.h"

static char folder[256];
static char path[300];
static struct error error;

static int set_up(void **state) {
    (void)state;
    if (io_dir_temp(NULL, folder, sizeof folder, &error) != OK)
        return -1;
    snprintf(path, sizeof path, "%s/lock", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return io_dir_remove(folder, &error) == OK ? 0 : -1;
}

static void one_owner_per_byte(void **state) {
    (void)state;
    struct io_lock a, b;
    assert_int_equal(io_lock_open(&a, path, &error), OK);
    assert_int_equal(io_lock_open(&b, path, &error), OK);
    assert_int_equal(io_lock_take(&a, 7, 0, &error), OK);
    assert_false(io_lock_held(&a, 7)); /* by another: no */
    assert_true(io_lock_held(&b, 7));
    assert_int_equal(io_lock_take(&b, 7, 0, &error), ERR_STORE_BUSY);
    assert_int_equal(io_lock_take(&b, 8, 0, &error), OK);
    io_lock_release(&a, 7);
    assert_false(io_lock_held(&b, 7));
    assert_int_equal(io_lock_take(&b, 7, 0, &error), OK);
    io_lock_close(&b);
    assert_false(io_lock_held(&a, 7));
    assert_false(io_lock_held(&a, 8));
    io_lock_close(&a);
    io_lock_close(&a);
}

static void bounded_wait_ends(void **state) {
    (void)state;
    struct io_lock a, b;
    assert_int_equal(io_lock_open(&a, path, &error), OK);
    assert_int_equal(io_lock_open(&b, path, &error), OK);
    assert_int_equal(io_lock_take(&a, 0, -1, &error), OK);
    int64_t start = io_clock_system.mono(NULL).ns;
    assert_int_equal(io_lock_take(&b, 0, 30, &error), ERR_STORE_BUSY);
    int64_t took_ms = (io_clock_system.mono(NULL).ns - start) / 1000000;
    assert_true(took_ms >= 30);
    io_lock_close(&a);
    io_lock_close(&b);
}

/* A process that takes the lock, says so and holds it until it is killed. */
static pid_t start_holder(void) {
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct io_lock l;
        bool ok = io_lock_open(&l, path, NULL) == OK && io_lock_take(&l, 3, -1, NULL) == OK;
        if (ok && write(pair[1], "h", 1) == 1)
            pause();
        _exit(1);
    }
    char c;
    assert_int_equal(read(pair[0], &c, 1), 1);
    close(pair[0]);
    close(pair[1]);
    return pid;
}

static void lock_falls_with_its_process(void **state) {
    (void)state;
    struct io_lock l;
    assert_int_equal(io_lock_open(&l, path, &error), OK);
    pid_t holder = start_holder();
    assert_true(io_lock_held(&l, 3));
    assert_int_equal(io_lock_take(&l, 3, 0, &error), ERR_STORE_BUSY);
    kill(holder, SIGKILL);
    assert_int_equal(io_lock_take(&l, 3, -1, &error), OK);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    io_lock_close(&l);
}

static void no_folder_no_lock(void **state) {
    (void)state;
    struct io_lock l;
    assert_int_equal(io_lock_open(&l, "/nowhere/lock", &error), ERR_NOT_FOUND);
}

int run_lock_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_owner_per_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounded_wait_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lock_falls_with_its_process, set_up, tear_down),
        cmocka_unit_test(no_folder_no_lock),
    };
    return cmocka_run_group_tests_name("io lock", tests, NULL, NULL);
}

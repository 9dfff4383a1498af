/* Private folders: whose they are, that they go, and what a dead host left; paths below them. */
#include "io/scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "groups.h"
#include "io/file.h"
#include "programs.h"

static char tmp[200];
static bool told;

/* TMPDIR is read when a launcher is opened. */
static int set_up(void **state) {
    struct error e;
    if (io_dir_temp(NULL, tmp, sizeof tmp, &e) != OK || setenv("TMPDIR", tmp, 1) != 0)
        return -1;
    told = false;
    return programs_set_up(state);
}

static int tear_down(void **state) {
    programs_tear_down(state);
    unsetenv("TMPDIR");
    return io_dir_remove(tmp, NULL) == OK ? 0 : -1;
}

static void on_gone(void *ctx) {
    (void)ctx;
    told = true;
}

static struct io_scratch *open_one(void) {
    struct error e = {0};
    struct io_scratch *s = io_scratch_open(programs_launcher, &e);
    if (s == NULL)
        fail_msg("%s", e.message);
    return s;
}

static void each_has_its_own(void **state) {
    (void)state;
    struct io_scratch *a = open_one(), *b = open_one();
    struct stat st;
    assert_string_not_equal(io_scratch_path(a), io_scratch_path(b));
    assert_int_equal(stat(io_scratch_path(a), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_memory_equal(io_scratch_path(a), tmp, strlen(tmp));
    char *path = strdup(io_scratch_path(a));
    assert_int_equal(chmod(path, 0500), 0);
    assert_true(io_scratch_close(a, on_gone, NULL)); /* not as it was, but empty: gone at once */
    assert_false(io_path_exists(path));
    assert_false(told);
    free(path);
    assert_true(io_scratch_close(b, on_gone, NULL));
}

static void an_untouched_one_is_used_again(void **state) {
    (void)state;
    struct io_scratch *a = open_one(), *b = open_one();
    char *path = strdup(io_scratch_path(a));
    assert_true(io_scratch_close(a, on_gone, NULL));
    struct io_scratch *c = open_one();
    assert_string_equal(io_scratch_path(c), path);
    assert_string_not_equal(io_scratch_path(c), io_scratch_path(b));
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    bool marked = fsetxattr(fd, "user.mark", "x", 1, 0) == 0;
    close(fd);
    assert_true(io_scratch_close(c, on_gone, NULL));
    assert_true(io_path_exists(path) != marked);
    assert_true(io_scratch_close(b, on_gone, NULL));
    free(path);
}

static void what_is_in_it_goes_too(void **state) {
    (void)state;
    struct error e = {0};
    struct io_scratch *s = open_one();
    char *path = strdup(io_scratch_path(s)), *beside = strdup(io_scratch_beside(s));
    assert_int_equal(io_below_write(path, STR("a/b/c"), STR("text"), &e), OK);
    assert_int_equal(io_file_write(beside, STR("input"), 0600, false, &e), OK);
    assert_false(io_scratch_close(s, on_gone, NULL));
    while (!told)
        assert_true(io_loop_turn(programs_loop, true) || told);
    assert_false(io_path_exists(path) || io_path_exists(beside));
    free(path);
    free(beside);
}

/* What leave_one starts: a program that is killed while it has a private folder, as a host would
 * be. A program and not a mere fork, since the loop has threads. */
void scratch_leave(void) {
    struct io_loop *loop;
    struct error e;
    struct io_scratch *s = NULL;
    if (io_loop_open(&io_clock_system, &loop, &e) == OK)
        s = io_scratch_open(io_launcher_open(loop), &e);
    const char *path = s != NULL ? io_scratch_path(s) : "";
    (void)!io_below_write(path, STR("kept/file"), STR("x"), &e);
    (void)!write(STDOUT_FILENO, path, strlen(path));
    raise(SIGKILL);
}

static void leave_one(char *out, size_t size) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "unit-io", LEAVE_A_FOLDER, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], out, size - 1);
    assert_true(got > 0);
    out[got] = '\0';
    close(ends[0]);
    waitpid(pid, NULL, 0);
}

static void the_next_host_removes_what_one_left(void **state) {
    (void)state;
    char left[300];
    leave_one(left, sizeof left);
    assert_true(io_path_exists(left));
    struct io_scratch *mine = open_one();
    assert_true(io_path_exists(io_scratch_path(mine)));
    struct io_launcher *second = io_launcher_open(programs_loop); /* another host that lives */
    struct error e;
    struct io_scratch *other = io_scratch_open(second, &e);
    assert_non_null(other);
    while (io_path_exists(left))
        assert_true(io_loop_turn(programs_loop, true) || !io_path_exists(left));
    assert_true(io_path_exists(io_scratch_path(mine)) && io_path_exists(io_scratch_path(other)));
    assert_true(io_scratch_close(other, on_gone, NULL));
    io_launcher_close(second);
    assert_true(io_path_exists(io_scratch_path(mine)));
    assert_true(io_scratch_close(mine, on_gone, NULL));
}

static void a_folder_of_others_is_not_used(void **state) {
    (void)state;
    char path[300];
    struct error e = {0};
    snprintf(path, sizeof path, "%s/cairn-steps-%u", tmp, (unsigned)geteuid());
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0777), 0);
    assert_null(io_scratch_open(programs_launcher, &e));
    assert_int_equal(e.code, ERR_DENIED);
    assert_non_null(strstr(e.message, path));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_null(io_scratch_open(programs_launcher, &e));
    assert_int_equal(e.code, ERR_DENIED);
    assert_int_equal(unlink(path), 0);
}

static void paths_below(void **state) {
    (void)state;
    static const char *const good[] = {"a", "a/b", "a b/c.txt", "..a/b..", ".hidden"};
    static const char *const bad[] = {"", "/a", "..", "a/../b", "a//b", "./a", "a/.", "a/", "../a"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_null(io_below_refuse(str_from(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (io_below_refuse(str_from(bad[i])) == NULL)
            fail_msg("\"%s\" is taken", bad[i]);
    assert_non_null(io_below_refuse((struct str){"a\0b", 3}));
}

static void writing_below(void **state) {
    (void)state;
    struct error e = {0};
    struct arena a;
    struct str text;
    struct stat st;
    char path[300];
    arena_init(&a, 0);
    assert_int_equal(io_below_write(tmp, STR("x/y"), STR("1\0002"), &e), OK);
    snprintf(path, sizeof path, "%s/x/y", tmp);
    assert_int_equal(io_file_read(path, 100, &a, &text, &e), OK);
    assert_int_equal(text.len, 3);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0100u, 0600);
    assert_int_not_equal(io_below_write(tmp, STR("x/y"), STR("again"), &e), OK);
    assert_int_not_equal(io_below_write(tmp, STR("x/y/z"), STR("below a file"), &e), OK);
    arena_fini(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int run_scratch_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_has_its_own),
        TEST(an_untouched_one_is_used_again),
        TEST(what_is_in_it_goes_too),
        TEST(the_next_host_removes_what_one_left),
        TEST(a_folder_of_others_is_not_used),
        TEST(paths_below),
        TEST(writing_below),
    };
    return cmocka_run_group_tests_name("io scratch", tests, NULL, NULL);
}

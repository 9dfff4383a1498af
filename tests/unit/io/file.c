/* Reading, replacing and removing: what is refused, and that a failure leaves nothing behind. */
#include "groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static char folder[256];
static struct arena arena;
static struct error error;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    return io_dir_temp(NULL, folder, sizeof folder, &error) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    return io_dir_remove(folder, &error) == OK && !io_path_exists(folder) ? 0 : -1;
}

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name).ptr;
}

static int count_entries(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static void write_then_read(void **state) {
    (void)state;
    const char *path = in_folder("a/b/c.txt");
    assert_int_equal(io_file_write(path, STR("one"), 0640, false, &error), ERR_NOT_FOUND);
    assert_int_equal(io_file_write(path, STR("one"), 0640, true, &error), OK);
    assert_int_equal(io_file_write(path, STR("second"), 0640, true, &error), OK);
    struct str text;
    assert_int_equal(io_file_read(path, 6, &arena, &text, &error), OK);
    assert_true(str_eq(text, STR("second")));
    assert_int_equal(text.ptr[text.len], '\0');
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0137, 0); /* nothing beyond 0640 */
    assert_int_equal(count_entries(in_folder("a/b")), 1);
}

static void reading_has_a_limit(void **state) {
    (void)state;
    const char *path = in_folder("six");
    struct str text = STR("untouched");
    assert_int_equal(io_file_write(path, STR("123456"), 0600, false, &error), OK);
    assert_int_equal(io_file_read(path, 5, &arena, &text, &error), ERR_LIMIT);
    assert_non_null(strstr(error.message, "5 bytes"));
    assert_true(str_eq(text, STR("untouched")));
    assert_int_equal(io_file_read("/proc/self/maps", 100, &arena, &text, &error), ERR_LIMIT);
    assert_int_equal(io_file_read("/proc/self/maps", 1 << 20, &arena, &text, &error), OK);
    assert_true(text.len > 100); /* though its size is 0 */
}

static void huge_file_is_refused_unread(void **state) {
    (void)state;
    const char *path = in_folder("huge");
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    struct str text;
    assert_int_equal(io_file_read(path, 64 << 20, &arena, &text, &error), ERR_LIMIT);
    assert_true(arena.used_bytes < 1 << 20);
}

static void only_files_are_read(void **state) {
    (void)state;
    struct str text;
    assert_int_equal(io_file_read(folder, 100, &arena, &text, &error), ERR_INVALID);
    assert_non_null(strstr(error.message, "folder"));
    assert_int_equal(io_file_read("/dev/zero", 100, &arena, &text, &error), ERR_INVALID);
    assert_int_equal(io_file_read(in_folder("none"), 100, &arena, &text, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.message, "/none: No such file"));
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    /* nobody writes: no waiting for somebody */
    assert_int_equal(io_file_read(in_folder("pipe"), 100, &arena, &text, &error), ERR_INVALID);
    assert_non_null(strstr(error.message, "nothing came out of this pipe"));
}

static void full_device_is_an_error(void **state) {
    (void)state;
    assert_int_equal(io_file_write("/dev/full", STR("x"), 0600, false, &error), ERR_IO);
    assert_non_null(strstr(error.message, "No space left"));
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* still the device, not replaced */
}

static void failed_write_leaves_the_old_file(void **state) {
    (void)state;
    struct str text;
    assert_int_equal(io_file_write(in_folder("d/f"), STR("old"), 0600, true, &error), OK);
    assert_int_equal(io_file_write(in_folder("d"), STR("new"), 0600, false, &error), ERR_INVALID);
    assert_int_equal(io_file_write(in_folder("d/f/g"), STR("new"), 0600, true, &error), ERR_IO);
    assert_int_equal(io_file_read(in_folder("d/f"), 10, &arena, &text, &error), OK);
    assert_true(str_eq(text, STR("old")));
    assert_int_equal(count_entries(in_folder("d")), 1);
    char path[PATH_MAX + 10];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(io_file_write(path, STR("new"), 0600, true, &error), ERR_IO);
}

static void a_new_file_replaces_nothing(void **state) {
    (void)state;
    struct str text;
    struct stat st;
    const char *path = in_folder("new/file");
    assert_int_equal(io_file_create(path, STR("1"), 0600, false, &error), ERR_NOT_FOUND);
    assert_int_equal(io_file_create(path, STR("1"), 0600, true, &error), OK);
    assert_int_equal(io_file_create(path, STR("22"), 0600, true, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.message, "left as it is"));
    assert_int_equal(io_file_read(path, 10, &arena, &text, &error), OK);
    assert_true(str_eq(text, STR("1")));
    assert_int_equal(symlink("nowhere", in_folder("new/link")), 0);
    assert_int_equal(io_file_create(in_folder("new/link"), STR("3"), 0600, false, &error),
                     ERR_CONFLICT);
    assert_int_equal(lstat(in_folder("new/nowhere"), &st), -1);
    assert_int_equal(count_entries(in_folder("new")), 2);
}

static void link_stays_a_link(void **state) {
    (void)state;
    struct str text;
    struct stat st;
    assert_int_equal(io_file_write(in_folder("real"), STR("1"), 0600, false, &error), OK);
    assert_int_equal(symlink("real", in_folder("link")), 0);
    assert_int_equal(io_file_write(in_folder("link"), STR("22"), 0600, false, &error), OK);
    assert_int_equal(io_file_read(in_folder("real"), 10, &arena, &text, &error), OK);
    assert_true(str_eq(text, STR("22")));
    assert_int_equal(lstat(in_folder("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void folders_are_made_and_removed(void **state) {
    (void)state;
    const char *deep = in_folder("x//y/z/");
    assert_int_equal(io_dir_make(deep, 0755, &error), OK);
    assert_int_equal(io_dir_make(deep, 0755, &error), OK);
    assert_int_equal(io_dir_make("", 0755, &error), ERR_NOT_FOUND);
    assert_int_equal(io_file_write(in_folder("x/file"), STR(""), 0600, false, &error), OK);
    assert_int_equal(io_dir_make(in_folder("x/file/y"), 0755, &error), ERR_IO);
    assert_int_equal(io_file_write(in_folder("kept"), STR("k"), 0600, false, &error), OK);
    assert_int_equal(symlink("..", in_folder("x/y/up")), 0);
    assert_int_equal(chmod(in_folder("x/y"), 0500), 0);
    assert_int_equal(io_dir_remove(in_folder("x"), &error), OK);
    assert_false(io_path_exists(in_folder("x")));
    assert_true(io_path_exists(in_folder("kept")));
    assert_int_equal(io_dir_remove(in_folder("x"), &error), OK);
    assert_int_equal(io_dir_remove(in_folder("kept"), &error), ERR_INVALID);
}

/* As a program may make them: deeper than a path, a stack or a table of descriptors is long. */
static void folders_of_any_depth_are_removed(void **state) {
    (void)state;
    enum { DEPTH = 3000 };
    assert_int_equal(io_dir_make(in_folder("x/d"), 0755, &error), OK);
    assert_int_equal(io_file_write(in_folder("x/cairn-deep-0"), STR(""), 0600, false, &error), OK);
    int at = open(in_folder("x/d"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(io_dir_remove(in_folder("x"), &error), OK);
    assert_false(io_path_exists(in_folder("x")));
}

static void temporary_folder_is_private(void **state) {
    (void)state;
    char path[512];
    struct stat st;
    assert_int_equal(io_dir_temp(folder, path, sizeof path, &error), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(io_dir_temp(folder, path, 10, &error), ERR_INVALID);
    assert_int_equal(io_dir_temp(in_folder("none"), path, sizeof path, &error), ERR_NOT_FOUND);
}

int run_file_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(write_then_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_has_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_file_is_refused_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_files_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_device_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_write_leaves_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_replaces_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(link_stays_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_are_made_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_of_any_depth_are_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(temporary_folder_is_private, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("io file", tests, NULL, NULL);
}

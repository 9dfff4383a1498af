/* Files that may only lie in certain folders: what is refused, also when the kernel does not help,
 * and that writing is whole, durable and never through a link.
 */
#include "groups.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/place.h"
#include "io/place_priv.h"

static char top[256];    /* holds in/ and out/ */
static char folder[300]; /* top/in: the folder of the bounds */
static struct arena arena;
static struct error error;
static struct io_bounds bounds;

static const char *path_of(const char *name) {
    return arena_printf(&arena, "%s/%s", top, name).ptr;
}

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    if (io_dir_temp(NULL, top, sizeof top, &error)) {
        return -1;
    }
    snprintf(folder, sizeof folder, "%s/in", top);
    bounds = (struct io_bounds){.folder = folder};
    return mkdir(folder, 0755) || mkdir(path_of("out"), 0755) ||
           io_file_write(path_of("out/secret"), STR("s"), 0600, false, &error) ||
           io_file_write(path_of("in/a/b.txt"), STR("b"), 0644, true, &error);
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    return io_dir_remove(top, &error) == OK ? 0 : -1;
}

static enum err read_at(struct str path, struct str *out) {
    struct io_place p;
    enum err err = io_place_open(&bounds, path, &p, &error);
    err = err ? err : io_place_read(&p, 100, &arena, out, &error);
    io_place_close(&p);
    return err;
}

static enum err write_at(const char *path, struct str text) {
    struct io_place p;
    enum err err = io_place_open(&bounds, str_from(path), &p, &error);
    err = err ? err : io_place_write(&p, text, &error);
    io_place_close(&p);
    return err;
}

static enum err append_at(const char *path, struct str text, bool own_line) {
    struct io_place p;
    enum err err = io_place_open(&bounds, str_from(path), &p, &error);
    err = err ? err : io_place_append(&p, text, own_line, &error);
    io_place_close(&p);
    return err;
}

static void check_refused(struct str path, enum err expected, const char *part) {
    struct str text;
    enum err err = read_at(path, &text);
    if (err != expected || !strstr(error.message, part)) {
        fail_msg("%.*s: %d %s", STR_ARG(path), (int)err, error.message);
    }
}

static void check_content(const char *name, const char *expected) {
    struct str text;
    assert_int_equal(io_file_read(path_of(name), 1000, &arena, &text, &error), OK);
    assert_string_equal(text.ptr, expected);
}

static void paths_inside_are_read(void **state) {
    (void)state;
    const char *paths[] = {"a/b.txt", "./a//./b.txt", path_of("in/a/b.txt")};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct str text;
        assert_int_equal(read_at(str_from(paths[i]), &text), OK);
        assert_true(str_eq(text, STR("b")));
    }
}

static void paths_that_lead_out_are_refused(void **state) {
    (void)state;
    check_refused(STR("../out/secret"), ERR_DENIED, "outside");
    check_refused(STR("a/../a/b.txt"), ERR_DENIED, "outside");
    check_refused(STR(".."), ERR_DENIED, "outside");
    check_refused(str_from(path_of("out/secret")), ERR_DENIED, "outside");
    check_refused(str_from(path_of("in/../out/secret")), ERR_DENIED, "outside");
    check_refused(str_from(path_of("inner")), ERR_DENIED, "outside");
    check_refused(STR("/etc/passwd"), ERR_DENIED, "outside");
}

static void paths_that_name_no_file_are_refused(void **state) {
    (void)state;
    check_refused(STR(""), ERR_INVALID, "empty");
    check_refused(STR(" "), ERR_INVALID, "empty");
    check_refused(STR("a\0b"), ERR_INVALID, "NUL");
    check_refused(STR("a"), ERR_INVALID, "it is a folder");
    check_refused(STR("a/"), ERR_INVALID, "a folder");
    check_refused(STR("a/b.txt/"), ERR_INVALID, "a folder");
    check_refused(STR("."), ERR_INVALID, "a folder");
    check_refused(str_from(folder), ERR_INVALID, "a folder");
    check_refused(STR("a/b.txt/c"), ERR_NOT_FOUND, "Not a directory");
    check_refused(STR("none"), ERR_NOT_FOUND, "cannot read none");
    char *longer = arena_alloc(&arena, 6000);
    memset(longer, 'x', 6000);
    check_refused((struct str){longer, 6000}, ERR_INVALID, "longer than");
    check_refused((struct str){longer, 300}, ERR_IO, "File name too long");
}

static void links_stay_inside(void **state) {
    (void)state;
    struct str text;
    assert_int_equal(symlink("a/b.txt", path_of("in/near")), 0);
    assert_int_equal(symlink("../../in/a/b.txt", path_of("in/a/around")), 0);
    assert_int_equal(symlink("../out/secret", path_of("in/far")), 0);
    assert_int_equal(symlink(path_of("out"), path_of("in/away")), 0);
    assert_int_equal(symlink("/proc/self/root", path_of("in/magic")), 0);
    assert_int_equal(read_at(STR("near"), &text), OK);
    assert_int_equal(read_at(STR("a/around"), &text), ERR_DENIED);
    check_refused(STR("far"), ERR_DENIED, "leads out");
    check_refused(STR("away/secret"), ERR_DENIED, "leads out");
    check_refused(STR("magic/etc/passwd"), ERR_DENIED, "leads out");
    assert_int_equal(write_at("away/new", STR("x")), ERR_DENIED);
    assert_int_equal(write_at("away/deep/new", STR("x")), ERR_DENIED);
    assert_int_equal(append_at("away/secret", STR("x"), false), ERR_DENIED);
    assert_false(io_path_exists(path_of("out/new")));
    assert_false(io_path_exists(path_of("out/deep")));
}

static void nothing_is_written_through_a_link(void **state) {
    (void)state;
    assert_int_equal(symlink("../out/secret", path_of("in/far")), 0);
    assert_int_equal(symlink("a/b.txt", path_of("in/near")), 0);
    assert_int_equal(write_at("far", STR("x")), ERR_DENIED);
    assert_int_equal(append_at("far", STR("x"), false), ERR_DENIED);
    assert_int_equal(append_at("near", STR("x"), false), ERR_DENIED);
    check_content("out/secret", "s");
    check_content("in/a/b.txt", "b");
}

static void without_openat2_no_link_is_followed(void **state) {
    (void)state;
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = io_beneath_walk(root, "a/b.txt", O_RDONLY, 0);
    assert_true(fd >= 0);
    close(fd);
    fd = io_beneath_walk(root, ".", O_RDONLY | O_DIRECTORY, 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlink("a", path_of("in/inside")), 0);
    assert_int_equal(symlink("../out", path_of("in/away")), 0);
    assert_int_equal(symlink("../out/secret", path_of("in/far")), 0);
    assert_int_equal(io_beneath_walk(root, "inside/b.txt", O_RDONLY, 0), -1);
    assert_int_equal(io_beneath_walk(root, "away/secret", O_RDONLY, 0), -1);
    assert_int_equal(io_beneath_walk(root, "far", O_RDONLY, 0), -1);
    assert_int_equal(io_beneath_walk(root, "none/x", O_RDONLY, 0), -1);
    close(root);
}

static void other_folders_may_be_allowed(void **state) {
    (void)state;
    struct str text;
    const char *slash = path_of("out/");
    const char *const also[] = {"/nonexistent", slash, NULL};
    bounds.also = also;
    assert_int_equal(read_at(str_from(path_of("out/secret")), &text), OK);
    assert_int_equal(write_at(path_of("out/deep/new"), STR("n")), OK);
    check_content("out/deep/new", "n");
    check_refused(str_from(path_of("out/../in/a/b.txt")), ERR_DENIED, "outside");
    check_refused(STR("/nonexistent/x"), ERR_NOT_FOUND, "/nonexistent");
    const char *const all[] = {"/", NULL};
    bounds.also = all;
    assert_int_equal(read_at(str_from(path_of("out/secret")), &text), OK);
}

static void only_ordinary_files(void **state) {
    (void)state;
    const char *const all[] = {"/", NULL};
    bounds.also = all;
    assert_int_equal(mkfifo(path_of("in/pipe"), 0600), 0);
    check_refused(STR("pipe"), ERR_INVALID, "no ordinary file");
    check_refused(STR("/dev/null"), ERR_INVALID, "no ordinary file");
    assert_int_equal(write_at("pipe", STR("x")), ERR_INVALID);
    assert_int_equal(append_at("pipe", STR("x"), false), ERR_INVALID);
    assert_int_equal(append_at("/dev/null", STR("x"), false), ERR_INVALID);
    assert_int_equal(write_at("a", STR("x")), ERR_INVALID);
    assert_int_equal(append_at("a", STR("x"), false), ERR_INVALID);
}

static void reading_has_a_limit(void **state) {
    (void)state;
    char *text = arena_alloc(&arena, 101);
    memset(text, 'x', 101);
    struct str read;
    assert_int_equal(write_at("big", (struct str){text, 101}), OK);
    check_refused(STR("big"), ERR_LIMIT, "cannot read big: it is larger than 100 bytes");
    assert_int_equal(write_at("big", (struct str){text, 100}), OK);
    assert_int_equal(read_at(STR("big"), &read), OK);
    assert_int_equal(read.len, 100);
}

static void writing_replaces_and_keeps_the_mode(void **state) {
    (void)state;
    struct stat st;
    assert_int_equal(write_at("x/y/new.txt", STR("one")), OK);
    assert_int_equal(chmod(path_of("in/x/y/new.txt"), 0600), 0);
    assert_int_equal(write_at("x/y/new.txt", STR("2")), OK);
    check_content("in/x/y/new.txt", "2");
    assert_int_equal(stat(path_of("in/x/y/new.txt"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rmdir(path_of("in/x/y")), -1); /* holds the file and nothing else: */
    assert_int_equal(unlink(path_of("in/x/y/new.txt")), 0);
    assert_int_equal(rmdir(path_of("in/x/y")), 0);
}

static void appending_keeps_lines_apart(void **state) {
    (void)state;
    assert_int_equal(append_at("d/log", STR("one"), true), OK);
    assert_int_equal(append_at("d/log", STR("two\n"), true), OK);
    assert_int_equal(append_at("d/log", STR("three"), true), OK);
    assert_int_equal(append_at("d/log", STR("+"), false), OK);
    check_content("in/d/log", "one\ntwo\nthree+");
}

static void a_lock_is_of_the_folder_and_falls_with_close(void **state) {
    (void)state;
    struct io_place one, two, other;
    assert_int_equal(io_place_open(&bounds, STR("a/one"), &one, &error), OK);
    assert_int_equal(io_place_open(&bounds, STR("a/two"), &two, &error), OK);
    assert_int_equal(io_place_open(&bounds, STR("new/one"), &other, &error), OK);
    assert_int_equal(io_place_lock(&one, &error), OK);
    assert_int_equal(io_place_lock(&two, &error), ERR_STORE_BUSY);
    assert_int_equal(io_place_lock(&other, &error), OK);
    io_place_close(&one);
    assert_int_equal(io_place_lock(&two, &error), OK);
    io_place_close(&two);
    io_place_close(&other);
}

int run_place_tests(void) {
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(paths_inside_are_read),
        ROW(paths_that_lead_out_are_refused),
        ROW(paths_that_name_no_file_are_refused),
        ROW(links_stay_inside),
        ROW(nothing_is_written_through_a_link),
        ROW(without_openat2_no_link_is_followed),
        ROW(other_folders_may_be_allowed),
        ROW(only_ordinary_files),
        ROW(reading_has_a_limit),
        ROW(writing_replaces_and_keeps_the_mode),
        ROW(appending_keeps_lines_apart),
        ROW(a_lock_is_of_the_folder_and_falls_with_close),
    };
    return cmocka_run_group_tests_name("io place", tests, NULL, NULL);
}

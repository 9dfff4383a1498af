/* Patterns of paths, and reading the files that fit them. */
#include "io/gather.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "groups.h"
#include "io/file.h"
#include "io/scratch.h"

static void patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool fits;
    } rows[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"*", "abc", true},
        {"*", "a/b", false},
        {"*", ".a", false},
        {".*", ".a", true},
        {"*.js", "x.js", true},
        {"*.js", ".js", false},
        {"*.js", "x.jsx", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZd", false},
        {"?b", "ab", true},
        {"?b", "b", false},
        {"[abc]", "b", true},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[!a-c]x", "dx", true},
        {"[]]", "]", true},
        {"[a", "[a", true},
        {"dist/*", "dist/a", true},
        {"dist/*", "dist/a/b", false},
        {"dist/**", "dist/a/b", true},
        {"dist/**", "dist", false},
        {"dist/**", "other/a", false},
        {"dist/**", "dist/.git/a", false},
        {"**", "a/b/c", true},
        {"**/x", "x", true},
        {"**/x", "a/b/x", true},
        {"**/x", "a/b/xx", false},
        {"**/.x", "a/.x", true},
        {"a/**/b/*.c", "a/1/2/b/x.c", true},
        {"a/**/b/*.c", "a/b/b/x.c", true},
        {"a/**/b/*.c", "a/1/2/x.c", false},
        {"**/a/**/b", "q/a/r/s/b", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (io_glob_fits(str_from(rows[i].pattern), str_from(rows[i].path)) != rows[i].fits)
            fail_msg("%s on %s", rows[i].pattern, rows[i].path);
}

/* Many stars must not take for ever. */
static void patterns_are_quick(void **state) {
    (void)state;
    char name[201];
    memset(name, 'a', 200);
    name[200] = '\0';
    assert_false(io_glob_fits(STR("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab"), str_from(name)));
}

static char root[200];
static struct arena arena;

static void put(const char *path, const char *text) {
    struct error e = {0};
    if (io_below_write(root, str_from(path), str_from(text), &e) != OK)
        fail_msg("%s", e.message);
}

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 0);
    return io_dir_temp(NULL, root, sizeof root, NULL) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    arena_fini(&arena);
    return io_dir_remove(root, NULL) == OK ? 0 : -1;
}

static struct io_gathered *found;
static size_t found_count;

static enum err gather(struct io_glob *globs, size_t count, uint64_t most, struct error *e) {
    struct io_gather g = {.folder = root, .globs = globs, .glob_count = count, .max_bytes = most};
    return io_gather(&g, &arena, &found, &found_count, e);
}

static void files_are_read_in_order(void **state) {
    (void)state;
    struct error e = {0};
    put("dist/b.js", "b");
    put("dist/a/deep.js", "deep");
    put("dist/no.txt", "no");
    put("top.js", "top");
    struct io_glob globs[] = {
        {.pattern = STR("dist/**/*.js")}, {.pattern = STR("*.js")}, {.pattern = STR("**/b.*")}};
    assert_int_equal(gather(globs, 3, 100, &e), OK);
    static const char *const want[][2] = {
        {"dist/a/deep.js", "deep"}, {"dist/b.js", "b"}, {"top.js", "top"}};
    assert_int_equal(found_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_is(found[i].path, want[i][0]));
        assert_true(str_is(found[i].bytes, want[i][1]));
    }
}

static void expect(const char *pattern, uint64_t most, enum err code, const char *says) {
    struct error e = {0};
    struct io_glob glob = {.pattern = str_from(pattern)};
    enum err got = gather(&glob, 1, most, &e);
    if (got != code || strstr(e.message, says) == NULL)
        fail_msg("%s: %d %s", pattern, got, e.message);
}

static void what_is_not_there(void **state) {
    (void)state;
    struct error e = {0};
    put("dist/a", "a");
    expect("none/*", 100, ERR_NOT_FOUND, "no file fits none/*");
    expect("dist", 100, ERR_NOT_FOUND, "write dist/**");
    struct io_glob optional = {.pattern = STR("none/*"), .optional = true};
    assert_int_equal(gather(&optional, 1, 100, &e), OK);
    assert_int_equal(found_count, 0);
}

static void together_they_have_a_limit(void **state) {
    (void)state;
    struct error e = {0};
    put("a", "12345");
    put("b", "12345");
    struct io_glob glob = {.pattern = STR("*")};
    assert_int_equal(gather(&glob, 1, 12, &e), OK); /* their names count too */
    expect("*", 11, ERR_LIMIT, "larger than 11 bytes");
    expect("*", 0, ERR_LIMIT, "larger than 0 bytes");
}

static void link_to(const char *name, const char *target) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(symlink(target, path), 0);
}

static void links_that_lead_out_are_refused(void **state) {
    (void)state;
    struct error e = {0};
    put("real/file", "inside");
    link_to("near", "real/file");
    link_to("folder", "real");
    struct io_glob glob = {.pattern = STR("**")};
    assert_int_equal(gather(&glob, 1, 100, &e), OK);
    assert_int_equal(found_count, 2); /* near, real/file; a link to a folder is not followed */
    assert_true(str_is(found[0].bytes, "inside"));
    link_to("out", "/etc/passwd");
    expect("out", 100000, ERR_DENIED, "out is a link that leads out");
    expect("*", 100000, ERR_DENIED, "out is a link that leads out");
    assert_int_equal(gather(&(struct io_glob){.pattern = STR("near")}, 1, 100, &e), OK);
    link_to("etc", "/etc");
    expect("etc/passwd", 100000, ERR_NOT_FOUND, "no file fits");
    expect("etc", 100000, ERR_DENIED, "leads out");
    expect("nowhere", 100, ERR_NOT_FOUND, "no file fits");
}

/* A path is a key of a map, and texts are UTF-8. */
static void names_are_utf8(void **state) {
    (void)state;
    struct error e = {0};
    put("odd\xFF", "text");
    put("fine", "text");
    expect("*", 100, ERR_INVALID, "the name of the file odd? is not UTF-8");
    assert_int_equal(gather(&(struct io_glob){.pattern = STR("f*")}, 1, 100, &e), OK);
    assert_int_equal(found_count, 1);
}

static void pipes_are_not_read(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/pipe", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect("*", 100, ERR_NOT_FOUND, "no file fits");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int run_gather_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(patterns),
        TEST(patterns_are_quick),
        TEST(files_are_read_in_order),
        TEST(what_is_not_there),
        TEST(together_they_have_a_limit),
        TEST(links_that_lead_out_are_refused),
        TEST(names_are_utf8),
        TEST(pipes_are_not_read),
    };
    return cmocka_run_group_tests_name("io gather", tests, NULL, NULL);
}

/* The JSON parsing test suite, where it is at hand: y_ files must parse, n_ files must not, i_
 * files may do either but must not crash. Its files stand beside the project, in
 * ../shared/data/json_suite; without them the test is skipped and says so.
 */
#include "groups.h"

#include <dirent.h>
#include <stdio.h>

#define FOLDER "../shared/data/json_suite/test_parsing"

static struct str read_file(struct arena *a, const char *name) {
    char path[600];
    (void)snprintf(path, sizeof path, FOLDER "/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t cap = (size_t)1 << 20;
    char *p = arena_alloc(a, cap);
    assert_non_null(p);
    size_t len = fread(p, 1, cap, f);
    assert_true(len < cap);
    assert_int_equal(fclose(f), 0);
    return (struct str){p, len};
}

/* Valid JSON that is refused on purpose: keys that stand twice, and \u0000 in a key. */
static bool is_refused_on_purpose(const char *name) {
    return str_starts(str_from(name), STR("y_object_duplicated_key")) ||
           str_is(str_from(name), "y_object_escaped_null_in_key.json");
}

/* What is accepted must print and parse back to the same value. */
static void check_again(struct arena *a, struct value v) {
    struct buf b;
    struct value back;
    struct error e;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    assert_int_equal(value_parse_json(a, buf_str(&b), &back, &e), OK);
    assert_true(value_equal(v, back));
    buf_fini(&b);
}

static bool check_file(const char *name) {
    struct arena a;
    struct value v;
    struct error e;
    arena_init(&a, 0);
    enum err err = value_parse_json(&a, read_file(&a, name), &v, &e);
    if (err == OK)
        check_again(&a, v);
    arena_fini(&a);
    bool valid = name[0] == 'y' && !is_refused_on_purpose(name);
    bool fine = name[0] == 'i' || valid == (err == OK);
    if (!fine)
        print_error("%s: %s\n", name, err == OK ? "accepted" : e.message);
    return fine;
}

static void json_suite(void **state) {
    (void)state;
    int files = 0, wrong = 0;
    DIR *dir = opendir(FOLDER);
    if (!dir) {
        print_message("skipped: there is no %s\n", FOLDER);
        skip();
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!str_ends(str_from(entry->d_name), STR(".json")))
            continue;
        files++;
        wrong += !check_file(entry->d_name);
    }
    (void)closedir(dir);
    assert_true(files > 300);
    assert_int_equal(wrong, 0);
}

int run_json_suite_tests(void) {
    const struct CMUnitTest tests[] = {TEST(json_suite)};
    return cmocka_run_group_tests_name("value: JSON suite", tests, NULL, NULL);
}

/* Runs the .json files of tests/cases/schema: own cases, for what the standard leaves open and
 * for messages.
 * A file is a list of {name, schema, ...} with any of
 *   refused  the message of schema_compile
 *   checks   list of [value, error, ...], errors as "pointer keyword: message"; none: it is valid
 *   fills    list of [value, value with the defaults filled in]
 *   reads    list of [text, value], or [text, null, message] when it is refused
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema_tests.h"
#include "support/jsonl.h"

static struct arena cases_arena;

static const char *printed(struct arena *a, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    struct str s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s.ptr;
}

static void check_one(const struct schema *s, struct value c, struct arena *a) {
    struct schema_result r;
    struct error e = {0};
    if (schema_check(s, c.items[0], a, &r, &e) != OK) {
        fail_msg("stopped: %s", e.message);
    }
    assert_int_equal(r.valid, value_count(c) == 1);
    for (size_t i = 0; i < r.count || i + 1 < value_count(c); i++) {
        const struct schema_error *got = &r.errors[i];
        struct str text = i < r.count ? arena_printf(a, "%.*s %.*s: %.*s", STR_ARG(got->instance),
                                                     STR_ARG(got->keyword), STR_ARG(got->message))
                                      : STR("(none)");
        struct str want = i + 1 < value_count(c) ? value_str(c.items[i + 1]) : STR("(none)");
        assert_string_equal(text.ptr, arena_str(a, want).ptr);
    }
}

static void fill_one(const struct schema *s, struct value c, struct arena *a) {
    struct value got;
    struct error e = {0};
    if (schema_fill(s, c.items[0], a, &got, &e) != OK) {
        fail_msg("%s", e.message);
    }
    assert_string_equal(printed(a, got), printed(a, c.items[1]));
}

static void read_one(const struct schema *s, struct value c, struct arena *a) {
    struct value got;
    struct error e = {0};
    enum err err = schema_read_text(s, value_str(c.items[0]), a, &got, &e);
    if (value_count(c) == 3) {
        assert_int_equal(err, ERR_INVALID);
        assert_string_equal(e.message, arena_str(a, value_str(c.items[2])).ptr);
        return;
    }
    if (err != OK) {
        fail_msg("%s", e.message);
    }
    if (!value_identical(got, c.items[1])) {
        fail_msg("read %s, expected %s", printed(a, got), printed(a, c.items[1]));
    }
}

static void each(const struct schema *s, struct value c, const char *key, struct arena *a,
                 void (*run)(const struct schema *, struct value, struct arena *)) {
    const struct value *list = value_get(c, str_from(key));
    for (size_t i = 0; list && i < value_count(*list); i++) {
        run(s, list->items[i], a);
    }
}

static void run_case(void **state) {
    const struct value *c = *state;
    struct arena a;
    arena_init(&a, 0);
    const struct schema *s = NULL;
    struct error e = {0};
    enum err err = schema_compile(&a, *value_get(*c, STR("schema")), &s, &e);
    const struct value *refused = value_get(*c, STR("refused"));
    if (refused) {
        assert_int_equal(err, ERR_INVALID);
        assert_string_equal(e.message, arena_str(&a, value_str(*refused)).ptr);
    } else if (err != OK) {
        fail_msg("%s", e.message);
    } else {
        each(s, *c, "checks", &a, check_one);
        each(s, *c, "fills", &a, fill_one);
        each(s, *c, "reads", &a, read_one);
    }
    arena_fini(&a);
}

static int run_file(const char *path) {
    struct str text;
    struct value list;
    struct error e = {0};
    if (!file_read(path, &cases_arena, &text) ||
        value_parse_json(&cases_arena, text, &list, &e) != OK || value_count(list) == 0) {
        (void)fprintf(stderr, "%s: %s\n", path, e.message);
        return 1;
    }
    size_t count = value_count(list);
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    for (size_t i = 0; tests && i < count; i++) {
        tests[i].name = arena_str(&cases_arena, jsonl_text(list.items[i], "name")).ptr;
        tests[i].test_func = run_case;
        tests[i].initial_state = (void *)(uintptr_t)&list.items[i];
    }
    int failed = tests ? _cmocka_run_group_tests(path, tests, count, NULL, NULL) : 1;
    free(tests);
    return failed;
}

int run_cases(void) {
    glob_t files;
    if (glob("tests/cases/schema/*.json", 0, NULL, &files) != 0) {
        (void)fprintf(stderr, "no tests/cases/schema: run in the project's folder\n");
        return 1;
    }
    arena_init(&cases_arena, 0);
    int failed = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        failed += run_file(files.gl_pathv[i]);
    }
    globfree(&files);
    arena_fini(&cases_arena);
    return failed;
}

/* Runs tests/cases/expr/ *.jsonl, a test per line. A line has "expr" or "template", "vars" (name ->
 * value), and one of
 *   value   what comes out: same types and values, maps in any order
 *   error   a part of "line:column: message [help]", of the first finding or of the error
 */
#include "expr_tests.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

static struct world cases_world; /* holds the cases */

static void run_case(void **state) {
    const struct value *c = *state;
    struct world w;
    world_init(&w, NULL, 0);
    const struct value *vars = value_get(*c, STR("vars"));
    const struct value *expected = value_get(*c, STR("value"));
    struct str error = jsonl_text(*c, "error");
    w.vars = vars ? *vars : value_null();
    assert_true((expected != NULL) != (error.len > 0));
    struct value got = value_null();
    enum err err = value_get(*c, STR("template"))
                       ? world_template(&w, jsonl_text(*c, "template"), &got)
                       : world_expr(&w, jsonl_text(*c, "expr"), &got);
    const char *text = shown(&w, err, got);
    if (expected && (err || !same(got, *expected))) {
        fail_msg("got %s, expected %s", text, shown(&w, OK, *expected));
    }
    if (error.len && (!err || str_find(str_from(text), error, 0) == SIZE_MAX)) {
        fail_msg("got %s, expected an error with: %.*s", text, STR_ARG(error));
    }
    world_fini(&w);
}

static int run_file(const char *path) {
    struct value list;
    if (!jsonl_read(path, &cases_world.arena, &list) || value_count(list) == 0) {
        (void)fprintf(stderr, "no cases in %s\n", path);
        return 1;
    }
    size_t count = value_count(list);
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    for (size_t i = 0; tests && i < count; i++) {
        struct str text = jsonl_text(list.items[i], "expr");
        text = text.ptr ? text : jsonl_text(list.items[i], "template");
        tests[i].name = arena_str(&cases_world.arena, text).ptr;
        tests[i].test_func = run_case;
        tests[i].initial_state = (void *)(uintptr_t)&list.items[i];
    }
    int failed = tests ? _cmocka_run_group_tests(path, tests, count, NULL, NULL) : 1;
    free(tests);
    return failed;
}

int run_cases(void) {
    glob_t files;
    world_init(&cases_world, NULL, 0);
    if (glob(tests_path(&cases_world, "cases/expr/*.jsonl"), 0, NULL, &files) != 0) {
        (void)fprintf(stderr, "no tests/cases/expr: run in the project's folder\n");
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!str_ends(str_from(files.gl_pathv[i]), STR("conformance_exceptions.jsonl"))) {
            failed += run_file(files.gl_pathv[i]);
        }
    }
    globfree(&files);
    world_fini(&cases_world);
    return failed;
}

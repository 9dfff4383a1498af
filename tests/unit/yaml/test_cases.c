/* Runs the .jsonl files of tests/cases/yaml, one test per line. A line has a name, the yaml, and
 * either
 *   value   the expected value: same types, same order of keys
 *   errors  all findings, in order, as "line:column: code: message", and optionally
 *   help    the help of the first finding
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/jsonl.h"
#include "yaml_tests.h"

static struct arena cases_arena;

static const char *printed(struct arena *a, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_canonical(v, &b);
    struct str s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s.ptr;
}

static void check_errors(struct parsed *p, struct value expected) {
    for (uint32_t i = 0; i < value_count(expected) || i < p->diag.count; i++) {
        struct str want = i < value_count(expected) ? value_str(expected.items[i]) : STR("(none)");
        assert_string_equal(finding(p, i), arena_str(&p->arena, want).ptr);
    }
    assert_int_equal(p->err, ERR_INVALID);
}

static void check_value(struct parsed *p, struct value expected) {
    struct value got;
    if (p->err != OK) {
        fail_msg("%s", finding(p, 0));
    }
    assert_true(yaml_to_value(&p->arena, p->root, &got));
    if (!value_identical(got, expected)) {
        fail_msg("got %s, expected %s", printed(&p->arena, got), printed(&p->arena, expected));
    }
}

static void run_case(void **state) {
    const struct value *c = *state;
    struct parsed p;
    parse(&p, jsonl_text(*c, "yaml"));
    const struct value *errors = value_get(*c, STR("errors"));
    const struct value *value = value_get(*c, STR("value"));
    assert_true((errors != NULL) != (value != NULL));
    if (errors) {
        check_errors(&p, *errors);
    } else {
        check_value(&p, *value);
    }
    const struct value *help = value_get(*c, STR("help"));
    if (help) {
        assert_string_equal(arena_str(&p.arena, p.diag.items[0].help).ptr,
                            arena_str(&p.arena, value_str(*help)).ptr);
    }
    parsed_fini(&p);
}

static int run_file(const char *path) {
    struct value list;
    if (!jsonl_read(path, &cases_arena, &list) || value_count(list) == 0) {
        (void)fprintf(stderr, "no cases in %s\n", path);
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
    if (glob("tests/cases/yaml/*.jsonl", 0, NULL, &files) != 0) {
        (void)fprintf(stderr, "no tests/cases/yaml: run in the project's folder\n");
        return 1;
    }
    arena_init(&cases_arena, 0);
    int failed = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!str_ends(str_from(files.gl_pathv[i]), STR("suite_differences.jsonl"))) {
            failed += run_file(files.gl_pathv[i]);
        }
    }
    globfree(&files);
    arena_fini(&cases_arena);
    return failed;
}

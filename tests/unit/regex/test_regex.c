/* Regular expressions: tests/cases/regex/cases.jsonl, one test per line {pattern, matches, misses}
 * or {pattern, error}; then limits of time and memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/jsonl.h"
#include "value/regex.h"

static struct arena cases_arena;

static bool search(struct arena *a, const struct regex *r, struct str text) {
    bool found = false;
    struct error e = {0};
    if (regex_search(r, text, a, &found, &e) != OK) {
        fail_msg("%s", e.message);
    }
    return found;
}

static const struct regex *compiled(struct arena *a, struct str pattern) {
    const struct regex *r = NULL;
    struct error e = {0};
    if (regex_compile(a, pattern, &r, &e) != OK) {
        fail_msg("%s", e.message);
    }
    return r;
}

static void check_texts(struct arena *a, const struct regex *r, struct value texts, bool expected) {
    for (size_t i = 0; i < value_count(texts); i++) {
        struct str text = value_str(texts.items[i]);
        if (search(a, r, text) != expected) {
            fail_msg("%s \"%.*s\"", expected ? "does not match" : "matches", STR_ARG(text));
        }
    }
}

static void run_case(void **state) {
    const struct value *c = *state;
    struct arena a;
    arena_init(&a, 0);
    struct str pattern = jsonl_text(*c, "pattern"), error = jsonl_text(*c, "error");
    if (error.len) {
        struct error e = {0};
        const struct regex *r = NULL;
        assert_int_not_equal(regex_compile(&a, pattern, &r, &e), OK);
        assert_string_equal(e.message, arena_str(&a, error).ptr);
    } else {
        const struct regex *r = compiled(&a, pattern);
        check_texts(&a, r, *value_get(*c, STR("matches")), true);
        check_texts(&a, r, *value_get(*c, STR("misses")), false);
    }
    arena_fini(&a);
}

static int run_cases(void) {
    struct value list;
    arena_init(&cases_arena, 0);
    if (!jsonl_read("tests/cases/regex/cases.jsonl", &cases_arena, &list)) {
        (void)fprintf(stderr, "no tests/cases/regex: run in the project's folder\n");
        return 1;
    }
    size_t count = value_count(list);
    struct CMUnitTest *tests = calloc(count + 1, sizeof *tests);
    for (size_t i = 0; tests && i < count; i++) {
        tests[i].name =
            arena_str(&cases_arena, str_sub(jsonl_text(list.items[i], "pattern"), 0, 40)).ptr;
        tests[i].test_func = run_case;
        tests[i].initial_state = (void *)(uintptr_t)&list.items[i];
    }
    int failed = tests ? _cmocka_run_group_tests("cases", tests, count, NULL, NULL) : 1;
    free(tests);
    arena_fini(&cases_arena);
    return failed;
}

/* What takes backtracking engines longer than the universe. */
static void linear_time(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 1000000; i++) {
        buf_append_char(&text, 'a');
    }
    clock_t start = clock();
    assert_false(search(&a, compiled(&a, STR("(a+)+b")), buf_str(&text)));
    assert_false(search(&a, compiled(&a, STR("(a|aa|aaa)*$b")), buf_str(&text)));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
    buf_fini(&text);
    arena_fini(&a);
}

static void too_long(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 1000000; i++) {
        buf_append_char(&text, 'a');
    }
    const struct regex *r = compiled(&a, STR("(a{1000}){10}b"));
    bool found;
    struct error e = {0};
    assert_int_equal(regex_search(r, buf_str(&text), &a, &found, &e), ERR_LIMIT);
    assert_string_equal(e.message, "regular expression: the search is too long");
    buf_fini(&text);
    arena_fini(&a);
}

static void invalid_utf8(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_true(search(&a, compiled(&a, STR("^a.b$")),
                       STR("a\xff"
                           "b")));
    assert_true(search(&a, compiled(&a, STR("\\ufffd")), STR("\x80")));
    assert_false(search(&a, compiled(&a, STR("^.$")), STR("\xff\xff")));
    arena_fini(&a);
}

static void out_of_memory(void **state) {
    (void)state;
    struct str pattern = STR("(?i)^([a-zä]+|\\d{2,3}|x)*$");
    bool worked = false;
    for (size_t cap = 16; cap < 100000 && !worked; cap += 16) {
        struct arena a;
        arena_init(&a, cap);
        const struct regex *r = NULL;
        struct error e = {0};
        bool found = false;
        enum err err = regex_compile(&a, pattern, &r, &e);
        err = err ? err : regex_search(r, STR("Abc12x"), &a, &found, &e);
        worked = err == OK;
        assert_int_equal(err, worked ? OK : ERR_NOMEM);
        assert_int_equal(found, worked);
        arena_fini(&a);
    }
    assert_true(worked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_time),
        cmocka_unit_test(too_long),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(out_of_memory),
    };
    return run_cases() + cmocka_run_group_tests_name("limits", tests, NULL, NULL) ? 1 : 0;
}

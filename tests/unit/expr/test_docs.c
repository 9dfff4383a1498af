/* The examples run: those of functions.def, and those of docs/expressions.md, whose table of
 * functions must be the one that functions.def gives.
 *
 * In the document the first ```json block holds the names in scope; a line "expression => result"
 * in a ```cel block gives JSON or "error: part of the message"; a ```template block renders to the
 * ```text block after it.
 */
#include "expr_tests.h"

#include <stdio.h>
#include <stdlib.h>

static void check_example(const char *vars, struct str text, struct str result) {
    struct world w;
    struct value got = value_null();
    struct value expected;
    world_init(&w, vars, 0);
    enum err err = world_expr(&w, text, &got);
    const char *what = shown(&w, err, got);
    if (str_starts(result, STR("error: "))) {
        struct str part = str_sub(result, 7, result.len);
        if (!err || str_find(str_from(what), part, 0) == SIZE_MAX) {
            fail_msg("%.*s: got %s, not %.*s", STR_ARG(text), what, STR_ARG(result));
        }
    } else {
        assert_int_equal(value_parse_json(&w.arena, result, &expected, &w.error), OK);
        if (err || !same(got, expected)) {
            fail_msg("%.*s: got %s, not %.*s", STR_ARG(text), what, STR_ARG(result));
        }
    }
    world_fini(&w);
}

static void test_functions(void **state) {
    size_t count = 0;
    const struct expr_function *f = expr_functions(&count);
    (void)state;
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(strstr(f[i].signature, f[i].name));
        check_example(NULL, str_from(f[i].example), str_from(f[i].result));
    }
}

static struct str document(struct world *w) {
    struct str text = {0};
    const char *folder = getenv("CAIRN_DOCS");
    const char *path = arena_printf(&w->arena, "%s/expressions.md", folder ? folder : "docs").ptr;
    assert_true(file_read(path, &w->arena, &text));
    return text;
}

static void test_table(void **state) {
    struct world w;
    struct buf b;
    size_t count = 0;
    const struct expr_function *f = expr_functions(&count);
    (void)state;
    world_init(&w, NULL, 0);
    buf_init(&b, 0);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&b, "| `%s` | %s | `%s` is `%s` |\n", f[i].signature, f[i].doc, f[i].example,
                   f[i].result);
    }
    if (str_find(document(&w), buf_str(&b), 0) == SIZE_MAX) {
        fail_msg("the table of functions in docs/expressions.md should be:\n%.*s",
                 STR_ARG(buf_str(&b)));
    }
    buf_fini(&b);
    world_fini(&w);
}

/* The body of the next block ```name after *pos, which moves behind it; false at the end. */
static bool next_block(struct str doc, const char *name, size_t *pos, struct str *out) {
    char fence[40];
    int len = snprintf(fence, sizeof fence, "```%s\n", name);
    size_t from = str_find(doc, (struct str){fence, (size_t)len}, *pos);
    if (from == SIZE_MAX) {
        return false;
    }
    from += (size_t)len;
    size_t to = str_find(doc, STR("```\n"), from);
    assert_true(to != SIZE_MAX);
    *out = str_sub(doc, from, to);
    *pos = to + 4;
    return true;
}

static const char *document_vars(struct world *w, struct str doc) {
    struct str vars = {0};
    size_t pos = 0;
    assert_true(next_block(doc, "json", &pos, &vars));
    return arena_str(&w->arena, vars).ptr;
}

static void test_lines(void **state) {
    struct world w;
    size_t pos = 0;
    unsigned lines = 0;
    struct str block;
    (void)state;
    world_init(&w, NULL, 0);
    struct str doc = document(&w);
    const char *vars = document_vars(&w, doc);
    while (next_block(doc, "cel", &pos, &block)) {
        while (block.len) {
            struct str line = str_split(block, '\n', &block);
            size_t arrow = str_find(line, STR(" => "), 0);
            assert_true(arrow != SIZE_MAX);
            check_example(vars, str_trim(str_sub(line, 0, arrow)),
                          str_trim(str_sub(line, arrow + 4, line.len)));
            lines++;
        }
    }
    assert_true(lines > 20);
    world_fini(&w);
}

static void test_rendered(void **state) {
    struct world w;
    size_t pos = 0;
    unsigned blocks = 0;
    struct str block, expected;
    (void)state;
    world_init(&w, NULL, 0);
    struct str doc = document(&w);
    const char *vars = document_vars(&w, doc);
    while (next_block(doc, "template", &pos, &block)) {
        struct world own;
        struct value got = value_null();
        assert_true(next_block(doc, "text", &pos, &expected));
        world_init(&own, vars, 0);
        enum err err = world_template(&own, block, &got);
        const char *what = shown(&own, err, got);
        if (err || got.type != VALUE_TEXT || !str_eq(value_str(got), expected)) {
            fail_msg("got %s", what);
        }
        world_fini(&own);
        blocks++;
    }
    assert_true(blocks > 0);
    world_fini(&w);
}

int run_docs(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_rendered),
    };
    return cmocka_run_group_tests_name("expr documentation", tests, NULL, NULL);
}

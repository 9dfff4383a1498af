/* Where nodes and their contents are said to stand. Every mark is a promise to an editor and to
 * the expression parser, which adds its own columns to them.
 */
#include "yaml_tests.h"

static void check_mark(struct mark m, uint32_t line, uint32_t column) {
    assert_string_equal(m.file, "test.yaml");
    assert_int_equal(m.line, line);
    assert_int_equal(m.column, column);
}

/* Parses a map and checks the mark and content of the value of key k. */
static void check_k(const char *text, uint32_t line, uint32_t column, uint32_t content_line,
                    uint32_t content_column) {
    struct parsed p;
    parse(&p, str_from(text));
    if (p.err != OK) {
        fail_msg("%s", finding(&p, 0));
    }
    const struct yaml_node *n = yaml_get(p.root, STR("k"));
    assert_non_null(n);
    check_mark(n->mark, line, column);
    check_mark(n->content, content_line, content_column);
    parsed_fini(&p);
}

static void plain(void **state) {
    (void)state;
    check_k("k: v\n", 1, 4, 1, 4);
    check_k("a: 1\nk:    v\n", 2, 7, 2, 7);
    check_k("k:\n  v\n  w\n", 2, 3, 2, 3);
    check_k("{a: 1, k: v}", 1, 11, 1, 11);
}

static void empty(void **state) {
    (void)state;
    check_k("a: 1\nk:\nb: 2\n", 2, 3, 2, 3);
    check_k("a: 1\nk: !!null\nb: 2\n", 2, 4, 2, 10);
}

static void quoted(void **state) {
    (void)state;
    check_k("k: 'v'\n", 1, 4, 1, 5);
    check_k("k: \"v\"\n", 1, 4, 1, 5);
    check_k("k:\n   \"v\n  w\"\n", 2, 4, 2, 5);
}

static void code_points(void **state) {
    (void)state;
    check_k("{\"äöü😀\": 1, k: v}", 1, 16, 1, 16);
    check_k("# äöü 😀\nk: |\n  x\n", 2, 4, 3, 3);
}

static void byte_order_mark(void **state) {
    (void)state;
    check_k("\xef\xbb\xbfk: v", 1, 4, 1, 4);
}

static void line_ends(void **state) {
    (void)state;
    check_k("a: 1\r\nk: v\r\n", 2, 4, 2, 4);
    check_k("a: 1\rk: v\r", 2, 4, 2, 4);
    check_k("a: 1\r\nk: |\r\n  x\r\n", 2, 4, 3, 3);
    check_k("a: \"x\xe2\x80\xa8y\"\nk: v\n", 2, 4, 2, 4); /* LS ends no line in YAML 1.2 */
}

static void blocks(void **state) {
    (void)state;
    check_k("k: |\n  x\n", 1, 4, 2, 3);
    check_k("k: >-\n      x\n      y\n", 1, 4, 2, 7);
    check_k("a: 1\nk: |  # why\n    x\n", 2, 4, 3, 5);
    check_k("k: |\n\n\n   x\n", 1, 4, 2, 4);
    check_k("k: |2\n    x\n   y\n", 1, 4, 2, 3);
    check_k("k: >1+\n   x\n", 1, 4, 2, 2);
    check_k("k: |\n  x\n    y\n", 1, 4, 2, 3);
    check_k("k: |\nb: 1\n", 1, 4, 2, 1);
}

static void nested_block(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("a:\n- b:\n    c: |4\n          x\n"));
    assert_int_equal(p.err, OK);
    const struct yaml_node *c =
        yaml_get(yaml_get(yaml_get(p.root, STR("a"))->items[0], STR("b")), STR("c"));
    check_mark(c->content, 4, 9);
    assert_true(str_is(c->text, "  x\n"));
    assert_true(c->block && !c->plain);
    parsed_fini(&p);
}

static void properties(void **state) {
    (void)state;
    check_k("k: !!str v\n", 1, 4, 1, 10);
    check_k("k: &a 'v'\n", 1, 4, 1, 8);
    check_k("k: !!str &a\n  # not yet\n  \"v\"\n", 1, 4, 3, 4);
    check_k("k: &a |\n  x\n", 1, 4, 2, 3);
    check_k("k: ! |\n  x\n", 1, 4, 2, 3);
}

static void collections(void **state) {
    (void)state;
    check_k("k:\n  - a\n  - b\n", 2, 3, 2, 3);
    check_k("k:\n- a\n", 2, 1, 2, 1);
    check_k("k:\n  a: 1\n", 2, 3, 2, 3);
    check_k("k: [a]\n", 1, 4, 1, 4);
    check_k("k: &x {a: 1}\n", 1, 4, 1, 4);
}

static void keys(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("a: 1\n\"b c\": 2\n? d\n: 3\n"));
    assert_int_equal(p.err, OK);
    assert_int_equal(p.root->count, 3);
    check_mark(p.root->mark, 1, 1);
    check_mark(p.root->pairs[1].key->mark, 2, 1);
    check_mark(p.root->pairs[1].key->content, 2, 2);
    check_mark(p.root->pairs[2].key->mark, 3, 3);
    check_mark(p.root->pairs[2].value->mark, 4, 3);
    parsed_fini(&p);
}

static void shared_by_alias(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("a: &x [1]\nk: *x\n"));
    assert_int_equal(p.err, OK);
    assert_ptr_equal(yaml_get(p.root, STR("a")), yaml_get(p.root, STR("k")));
    check_mark(yaml_get(p.root, STR("k"))->mark, 1, 4);
    parsed_fini(&p);
}

static void described(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, STR("[1, 1.5, x, null, true, [], {}]"));
    assert_int_equal(p.err, OK);
    static const char *const words[] = {"an integer", "a number", "text", "null",
                                        "true",       "a list",   "a map"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_string_equal(yaml_describe(p.root->items[i]), words[i]);
    }
    assert_null(yaml_get(p.root, STR("x")));
    assert_null(yaml_get(NULL, STR("x")));
    parsed_fini(&p);
}

int run_marks(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(empty),
        cmocka_unit_test(quoted),
        cmocka_unit_test(code_points),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(blocks),
        cmocka_unit_test(nested_block),
        cmocka_unit_test(properties),
        cmocka_unit_test(collections),
        cmocka_unit_test(keys),
        cmocka_unit_test(shared_by_alias),
        cmocka_unit_test(described),
    };
    return cmocka_run_group_tests_name("marks", tests, NULL, NULL);
}

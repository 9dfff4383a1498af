/* What the calls of expr.h promise beside the values: slots, constants, marks, errors of the
 * environment, results that hold only what may leave the module.
 */
#include "expr_tests.h"

static const struct expr *compiled(struct world *w, const char *text) {
    const struct expr *x = NULL;
    struct mark at = {"f.yaml", 10, 5};
    enum err err = expr_compile(&w->arena, str_from(text), at, &w->scope, &x, &w->diag);
    assert_int_equal(err, OK);
    return x;
}

static void test_slots(void **state) {
    struct world w;
    uint32_t count = 0;
    (void)state;
    world_init(&w, "{\"a\": 1, \"b\": {\"c\": 2}, \"d\": 3}", 0);
    const uint32_t *slots = expr_slots(compiled(&w, "d + b.c + d + [1].map(a, a)[0]"), &count);
    assert_int_equal(count, 2);
    assert_int_equal(slots[0], 2);
    assert_int_equal(slots[1], 1);
    expr_slots(compiled(&w, "1 + 2"), &count);
    assert_int_equal(count, 0);
    world_fini(&w);
}

static void test_constants(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"a\": 1}", 0);
    assert_true(expr_constant(compiled(&w, "1 + size('abc')"), &v));
    assert_true(same(v, value_int(4)));
    assert_true(expr_constant(compiled(&w, "[1, 2].map(x, x * 2) == [2, 4]"), &v));
    assert_true(same(v, value_bool(true)));
    assert_true(expr_constant(compiled(&w, "type(1)"), &v));
    assert_true(same(v, value_text(STR("int"))));
    assert_false(expr_constant(compiled(&w, "a"), &v));
    assert_false(expr_constant(compiled(&w, "true || a"), &v));
    assert_false(expr_constant(compiled(&w, "dyn(1)"), &v));
    world_fini(&w);
}

static void test_text(void **state) {
    struct world w;
    (void)state;
    world_init(&w, "{\"a\": 1}", 0);
    assert_true(str_is(expr_text(compiled(&w, "  a + 1 ")), "a + 1"));
    assert_true(str_is(expr_text(compiled(&w, "{{ a + 1 }}")), "a + 1"));
    world_fini(&w);
}

/* The compiled form borrows nothing from the text it was given. */
static void test_text_is_copied(void **state) {
    struct world w;
    struct value v = value_null();
    const struct expr *x = NULL;
    char text[] = "a.b + 'xyz'";
    (void)state;
    world_init(&w, "{\"a\": {\"b\": \"-\"}}", 0);
    struct mark at = {NULL, 0, 0};
    assert_int_equal(expr_compile(&w.arena, str_from(text), at, &w.scope, &x, &w.diag), OK);
    memset(text, '#', sizeof text);
    assert_int_equal(expr_eval(x, &w.env, &v, &w.error), OK);
    assert_true(str_is(value_str(v), "-xyz"));
    world_fini(&w);
}

static void test_bool(void **state) {
    struct world w;
    bool b = false;
    (void)state;
    world_init(&w, "{\"a\": 1}", 0);
    assert_int_equal(expr_eval_bool(compiled(&w, "a == 1"), &w.env, &b, &w.error), OK);
    assert_true(b);
    const struct expr *x = compiled(&w, "a + 1");
    assert_int_equal(expr_eval_bool(x, &w.env, &b, &w.error), ERR_EXPRESSION);
    assert_string_equal(
        w.error.message,
        "the expression must give a bool, this is an int, in `a + 1` (f.yaml, line 10)");
    world_fini(&w);
}

/* The mark given is where the text starts; further lines start at its column (block text). */
static void test_marks(void **state) {
    struct world w;
    struct value v;
    (void)state;
    world_init(&w, "{\"a\": {}}", 0);
    const struct expr *x = compiled(&w, "1 +\n  a.b");
    assert_int_equal(expr_eval(x, &w.env, &v, &w.error), ERR_EXPRESSION);
    assert_string_equal(w.error.mark.file, "f.yaml");
    assert_int_equal(w.error.mark.line, 11);
    assert_int_equal(w.error.mark.column, 5 + 2 + 2);
    world_fini(&w);
}

static void test_all_findings(void **state) {
    struct world w;
    const struct expr *x = NULL;
    (void)state;
    world_init(&w, "{}", 0);
    struct mark at = {"f.yaml", 1, 1};
    enum err err =
        expr_compile(&w.arena, STR("p + q(1) + [].r() + has(s)"), at, &w.scope, &x, &w.diag);
    assert_int_equal(err, ERR_INVALID);
    assert_int_equal(w.diag.count, 4);
    assert_true(str_is(w.diag.items[0].code, "expression"));
    assert_null(x);
    world_fini(&w);
}

/* An error of the getter that is none of the expression is passed on, never absorbed. */
static void test_getter_errors(void **state) {
    struct world w;
    struct value v;
    (void)state;
    world_init(&w, "{\"a\": true}", 0);
    const struct expr *x = compiled(&w, "a || true");
    w.get_error = ERR_NEED_BLOB;
    assert_int_equal(expr_eval(x, &w.env, &v, &w.error), ERR_NEED_BLOB);
    assert_string_equal(w.error.message, "the getter says no");
    w.get_error = ERR_EXPRESSION;
    assert_int_equal(expr_eval(x, &w.env, &v, &w.error), OK);
    world_fini(&w);
}

static void test_lazy_gets(void **state) {
    struct world w;
    struct value v;
    (void)state;
    world_init(&w, "{\"a\": true, \"b\": 1}", 0);
    assert_int_equal(expr_eval(compiled(&w, "a || b == 1"), &w.env, &v, &w.error), OK);
    assert_int_equal(w.gets, 1);
    assert_int_equal(expr_eval(compiled(&w, "a ? 0 : b"), &w.env, &v, &w.error), OK);
    assert_int_equal(w.gets, 2);
    world_fini(&w);
}

/* A fault that was absorbed leaves no trace, and e may be NULL. */
static void test_absorbed(void **state) {
    struct world w;
    struct value v;
    (void)state;
    world_init(&w, "{\"a\": {}, \"t\": true}", 0);
    const struct expr *x = compiled(&w, "a.x > 1 || t");
    assert_int_equal(expr_eval(x, &w.env, &v, &w.error), OK);
    assert_int_equal(w.error.code, OK);
    assert_int_equal(expr_eval(x, &w.env, &v, NULL), OK);
    assert_int_equal(expr_eval(compiled(&w, "a.x"), &w.env, &v, NULL), ERR_EXPRESSION);
    assert_int_equal(expr_eval(compiled(&w, "a.x > 1 || a.y > 1 || !t"), &w.env, &v, &w.error),
                     ERR_EXPRESSION);
    assert_non_null(strstr(w.error.message, "\"x\"")); /* the first fault is the one told */
    world_fini(&w);
}

static void test_no_scope(void **state) {
    struct world w;
    const struct expr *x = NULL;
    (void)state;
    world_init(&w, NULL, 0);
    struct mark at = {"f.yaml", 1, 1};
    assert_int_equal(expr_compile(&w.arena, STR("1 + a"), at, NULL, &x, &w.diag), ERR_INVALID);
    assert_true(str_is(w.diag.items[0].message, "unknown name \"a\""));
    world_fini(&w);
}

/* What leaves can be written to the journal: no optionals, no types, only text keys. */
static void test_results_encode(void **state) {
    static const char *const texts[] = {"[type(a), optional.of(a), {1: optional.none()}]",
                                        "optional.of({true: a, 2u: [type(a)]})", "type(a)"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct world w;
        struct value v;
        struct buf b;
        world_init(&w, "{\"a\": 1}", 0);
        assert_int_equal(expr_eval(compiled(&w, texts[i]), &w.env, &v, &w.error), OK);
        buf_init(&b, 0);
        value_encode(v, &b);
        assert_true(buf_ok(&b));
        buf_fini(&b);
        world_fini(&w);
    }
}

static void test_key_clash(void **state) {
    struct world w;
    (void)state;
    world_init(&w, "{\"a\": 1}", 0);
    const char *got = eval_shown(&w, "{1: a, '1': a}");
    assert_non_null(strstr(got, "two keys of the resulting map become the same text"));
    world_fini(&w);
}

static void test_not_utf8(void **state) {
    struct world w;
    const struct expr *x = NULL;
    (void)state;
    world_init(&w, NULL, 0);
    struct mark at = {"f.yaml", 1, 1};
    assert_int_equal(expr_compile(&w.arena, STR("'\xff'"), at, NULL, &x, &w.diag), ERR_INVALID);
    assert_true(str_is(w.diag.items[0].message, "the expression is not UTF-8 text"));
    world_fini(&w);
}

int run_basics(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_text_is_copied),
        cmocka_unit_test(test_bool),         cmocka_unit_test(test_marks),
        cmocka_unit_test(test_all_findings), cmocka_unit_test(test_getter_errors),
        cmocka_unit_test(test_lazy_gets),    cmocka_unit_test(test_absorbed),
        cmocka_unit_test(test_no_scope),     cmocka_unit_test(test_results_encode),
        cmocka_unit_test(test_key_clash),    cmocka_unit_test(test_not_utf8),
    };
    return cmocka_run_group_tests_name("expr calls", tests, NULL, NULL);
}

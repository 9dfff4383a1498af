/* What the calls for templates promise beside the texts of templates.jsonl.
 */
#include "expr_tests.h"

static const struct tmpl *compiled(struct world *w, const char *text) {
    const struct tmpl *t = NULL;
    struct mark at = {"f.yaml", 10, 5};
    assert_int_equal(tmpl_compile(&w->arena, str_from(text), at, &w->scope, &t, &w->diag), OK);
    return t;
}

static void test_slots(void **state) {
    struct world w;
    uint32_t count = 0;
    (void)state;
    world_init(&w, "{\"a\": 1, \"b\": [1], \"c\": true}", 0);
    const struct tmpl *t =
        compiled(&w, "{{#if c}}{{#each b as a}}{{ a }}{{/each}}{{#else}}{{ a }}{{/if}}{{ c }}");
    const uint32_t *slots = tmpl_slots(t, &count);
    assert_int_equal(count, 3);
    assert_int_equal(slots[0], 2);
    assert_int_equal(slots[1], 1);
    assert_int_equal(slots[2], 0);
    world_fini(&w);
}

static void test_constants(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"a\": 1}", 0);
    assert_true(tmpl_constant(compiled(&w, "plain"), &v));
    assert_true(str_is(value_str(v), "plain"));
    assert_true(tmpl_constant(compiled(&w, "a \\{{ b }} and \\{{ c"), &v));
    assert_true(str_is(value_str(v), "a {{ b }} and {{ c"));
    assert_true(tmpl_constant(compiled(&w, ""), &v));
    assert_int_equal(value_str(v).len, 0);
    assert_false(tmpl_constant(compiled(&w, "{{ 1 }}"), &v));
    world_fini(&w);
}

static void test_text_or_value(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"a\": [1, null]}", 0);
    const struct tmpl *t = compiled(&w, "{{ a }}");
    assert_int_equal(tmpl_eval_value(t, &w.env, &v, &w.error), OK);
    assert_int_equal(v.type, VALUE_LIST);
    assert_int_equal(tmpl_eval_text(t, &w.env, &v, &w.error), OK);
    assert_true(str_is(value_str(v), "[1,null]"));
    assert_int_equal(tmpl_eval_text(compiled(&w, "{{ a[1] }}"), &w.env, &v, &w.error), OK);
    assert_int_equal(v.type, VALUE_TEXT);
    assert_int_equal(value_str(v).len, 0);
    world_fini(&w);
}

/* The compiled form borrows nothing from the text it was given. */
static void test_text_is_copied(void **state) {
    struct world w;
    struct value v = value_null();
    const struct tmpl *t = NULL;
    char text[] = "x {{ a + 'y' }} z";
    (void)state;
    world_init(&w, "{\"a\": \"-\"}", 0);
    struct mark at = {NULL, 0, 0};
    assert_int_equal(tmpl_compile(&w.arena, str_from(text), at, &w.scope, &t, &w.diag), OK);
    memset(text, '#', sizeof text);
    assert_int_equal(tmpl_eval_text(t, &w.env, &v, &w.error), OK);
    assert_true(str_is(value_str(v), "x -y z"));
    world_fini(&w);
}

static void test_marks(void **state) {
    struct world w;
    struct value v = value_null();
    const struct tmpl *t = NULL;
    (void)state;
    world_init(&w, "{\"a\": {}}", 0);
    assert_int_equal(tmpl_eval_text(compiled(&w, "one\n {{ a.b }}"), &w.env, &v, &w.error),
                     ERR_EXPRESSION);
    assert_int_equal(w.error.mark.line, 11);
    assert_int_equal(w.error.mark.column, 5 + 6);
    struct mark at = {"f.yaml", 3, 1};
    assert_int_equal(
        tmpl_compile(&w.arena, STR("{{ x }}\n{{ 1 + }}\n{{ y() }}"), at, &w.scope, &t, &w.diag),
        ERR_INVALID);
    assert_int_equal(w.diag.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(w.diag.items[i].mark.line, 3 + i);
        assert_true(str_is(w.diag.items[i].code, "template"));
    }
    world_fini(&w);
}

static void test_limits(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"l\": [1,2,3,4,5,6,7,8,9,10]}", 4 << 20);
    const struct tmpl *t = compiled(
        &w, "{{#each l as a}}{{#each l as b}}{{#each l as c}}{{#each l as d}}{{#each l as e}}"
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "{{/each}}{{/each}}{{/each}}{{/each}}{{/each}}");
    w.env.max_steps = 1000;
    assert_int_equal(tmpl_eval_text(t, &w.env, &v, &w.error), ERR_LIMIT);
    assert_int_equal(w.error.mark.line, 10);
    w.env.steps = 0;
    w.env.max_steps = 0;
    assert_int_equal(tmpl_eval_text(t, &w.env, &v, &w.error), ERR_LIMIT);
    assert_non_null(strstr(w.error.message, "memory"));
    world_fini(&w);
}

static void test_nesting(void **state) {
    struct world w;
    struct buf b;
    const struct tmpl *t = NULL;
    (void)state;
    world_init(&w, "{\"t\": true}", 0);
    buf_init(&b, 0);
    for (int i = 0; i < 5000; i++) {
        buf_append_cstr(&b, "{{#if t}}");
    }
    struct mark at = {"f.yaml", 1, 1};
    assert_int_equal(tmpl_compile(&w.arena, buf_str(&b), at, &w.scope, &t, &w.diag), ERR_INVALID);
    assert_true(str_is(w.diag.items[0].message, "blocks nested deeper than 200"));
    buf_fini(&b);
    world_fini(&w);
}

int run_templates(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),         cmocka_unit_test(test_constants),
        cmocka_unit_test(test_text_or_value), cmocka_unit_test(test_text_is_copied),
        cmocka_unit_test(test_marks),         cmocka_unit_test(test_limits),
        cmocka_unit_test(test_nesting),
    };
    return cmocka_run_group_tests_name("expr templates", tests, NULL, NULL);
}

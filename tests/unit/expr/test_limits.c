/* Hostile expressions: whatever the text and the values, an evaluation ends, within its steps and
 * memory, and never exhausts the C stack.
 */
#include "expr_tests.h"

/* `first`, then count times `part`, then `last`. */
static struct str repeated(struct world *w, const char *first, const char *part, size_t count,
                           const char *last) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, first);
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(&b, part);
    }
    buf_append_cstr(&b, last);
    struct str s = arena_str(&w->arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

struct chain {
    const char *first, *part, *last;
    size_t count;
};

/* Long, not nested: a list of a million parts is as good as one of ten. */
static void test_long_chains(void **state) {
    static const struct chain chains[] = {
        {"a", "+a", "", 40000},
        {"a", " - 1 ", "", 19000},
        {"t", "&&t", "", 30000},
        {"t", "||t", "", 30000},
        {"m", ".m", "", 40000},
        {"l", "[0]", "", 30000},
        {"a==1", "?2:a==1", "?2:3", 10000},
        {"s", "+s", "", 40000},
        {"a", "*a", "", 40000},
        {"m", ".?m", "", 30000},
        {"[a", ",a", "]", 40000},
        {"a", "<a==t", "", 1},
        {"l", ".map(x,x)", "", 10000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
        const struct chain *c = &chains[i];
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"a\": 1, \"t\": true, \"s\": \"ab\", \"m\": {\"m\": {}}, \"l\": [[1]]}",
                   0);
        enum err err = world_expr(&w, repeated(&w, c->first, c->part, c->count, c->last), &v);
        if (err != OK && err != ERR_EXPRESSION) {
            fail_msg("%s x %zu: %s", c->part, c->count, shown(&w, err, v));
        }
        world_fini(&w);
    }
}

static void test_sum(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"a\": 1, \"s\": \"ab\"}", 32 << 20);
    assert_int_equal(world_expr(&w, repeated(&w, "a", "+a", 9999, ""), &v), OK);
    assert_true(same(v, value_int(10000)));
    /* linear memory: 40,000 partial results would be 1.6 GB */
    assert_int_equal(world_expr(&w, repeated(&w, "s", "+s", 39999, ""), &v), OK);
    assert_int_equal(value_str(v).len, 80000);
    world_fini(&w);
}

static void test_nesting(void **state) {
    static const struct chain nests[] = {
        {"", "(", "1", 30000},  {"", "[", "1", 30000},   {"", "{1:", "1", 20000},
        {"", "!", "t", 30000},  {"", "-", "a", 30000},   {"", "f(", "1", 30000},
        {"", "a[", "1", 30000}, {"", "t?(", "1", 30000}, {"", "[a].map(x,", "1", 9000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nests); i++) {
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"a\": 1, \"t\": true}", 0);
        struct str text =
            repeated(&w, nests[i].first, nests[i].part, nests[i].count, nests[i].last);
        assert_int_equal(world_expr(&w, text, &v), ERR_INVALID);
        assert_true(str_is(w.diag.items[0].message, "nested deeper than 200 levels"));
        world_fini(&w);
    }
}

static void test_nesting_allowed(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"t\": true}", 0);
    struct str open = repeated(&w, "", "(", 190, "t");
    struct str text = repeated(&w, open.ptr, ")", 190, "");
    assert_int_equal(world_expr(&w, text, &v), OK);
    assert_int_equal(world_expr(&w, repeated(&w, "", "!", 190, "t"), &v), OK);
    world_fini(&w);
}

static void test_steps(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"l\": [1,2,3,4,5,6,7,8,9,10]}", 0);
    const char *text = "l.all(a, l.all(b, l.all(c, l.all(d, l.all(e, l.all(f, l.all(g, l.all(h, "
                       "a + b + c + d + e + f + g + h > 0))))))))";
    assert_int_equal(world_expr(&w, str_from(text), &v), ERR_LIMIT);
    assert_non_null(strstr(w.error.message, "more than 10000000 steps"));
    w.env.steps = 0;
    w.env.max_steps = 20;
    assert_int_equal(world_expr(&w, STR("l.map(x, x + 1)"), &v), ERR_LIMIT);
    assert_non_null(strstr(w.error.message, "more than 20 steps"));
    w.env.steps = 0;
    assert_int_equal(world_expr(&w, STR("l[0] + 1"), &v), OK);
    assert_in_range(w.env.steps, 3, 8);
    world_fini(&w);
}

/* A limit is never absorbed: what || says must not depend on how much memory there is. */
static void test_limits_are_final(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"l\": [1,2,3,4,5,6,7,8,9,10], \"t\": true}", 0);
    w.env.max_steps = 30;
    const char *text = "l.map(x, l.map(y, x)) == [] || t";
    assert_int_equal(world_expr(&w, str_from(text), &v), ERR_LIMIT);
    world_fini(&w);
}

static void test_memory(void **state) {
    static const char *const texts[] = {
        "l.map(a, l.map(b, l.map(c, l.map(d, s + s))))",
        "s.replace('', s)",
        "l.map(a, l.map(b, l.map(c, l.map(d, [a, b, c, d]))))",
        "'%s%s'.format([l.map(a, l.map(b, l.map(c, s + s))), s])",
        "l.map(a, l.map(b, l.map(c, l.map(d, s.upperAscii() + s.reverse())))).size()",
        "l.map(a, l.map(b, l.map(c, l.map(d, s)))).map(x, x.map(y, y.map(z, z.join()).join()))",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"l\": [1,2,3,4,5,6,7,8,9,10]}", 1 << 20);
        struct value_builder b;
        struct str s = repeated(&w, "", "0123456789", 200, "");
        value_builder_init(&b, &w.arena);
        value_map_add(&b, STR("l"), w.vars.pairs[0].val);
        value_map_add(&b, STR("s"), value_text(s));
        w.vars = value_map_done(&b);
        assert_int_equal(world_expr(&w, str_from(texts[i]), &v), ERR_LIMIT);
        world_fini(&w);
    }
}

/* One evaluation may use less than the arena has, and leaves it the rest. */
static void test_memory_of_one_evaluation(void **state) {
    (void)state;
    struct world w;
    struct value v = value_null();
    world_init(&w, NULL, 4 << 20);
    struct value_builder b;
    value_builder_init(&b, &w.arena);
    value_map_add(&b, STR("s"), value_text(repeated(&w, "", "0123456789", 20000, "")));
    w.vars = value_map_done(&b);
    w.env.max_bytes = 1 << 20;
    assert_int_equal(world_expr(&w, STR("s + s + s + s"), &v), ERR_LIMIT);
    assert_non_null(strstr(w.error.message, "the 1048576 bytes of memory"));
    assert_int_equal(world_template(&w, STR("{{ s }}{{ s }}{{ s }}{{ s }}{{ s }}{{ s }}"), &v),
                     ERR_LIMIT);
    assert_int_equal(w.arena.cap_bytes, 4 << 20);
    for (int i = 0; i < 3; i++) { /* more than one may use, but not at once */
        assert_int_equal(world_expr(&w, STR("s + s"), &v), OK);
    }
    world_fini(&w);
}

/* Small in memory, endless to walk: parts are shared. Each must end with a limit, soon. */
static void test_shared_parts(void **state) {
    static const char *const uses[] = {"", " == ", ".map(y, optional.of(y))"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"a\": [1]}", 0);
        struct str bomb = repeated(&w, "a", ".map(x, [x, x])", 60, "");
        struct str text = arena_printf(&w.arena, "%s%s%s", bomb.ptr, uses[i],
                                       strstr(uses[i], "==") ? bomb.ptr : "");
        assert_int_equal(world_expr(&w, text, &v), ERR_LIMIT);
        w.env.steps = 0;
        text = arena_printf(&w.arena, "x {{ %s }}", bomb.ptr);
        assert_int_equal(world_template(&w, text, &v), ERR_LIMIT);
        w.env.steps = 0;
        text = arena_printf(&w.arena, "'%%s'.format([%s])", bomb.ptr);
        assert_int_equal(world_expr(&w, text, &v), ERR_LIMIT);
        world_fini(&w);
    }
}

static void test_deep_values(void **state) {
    static const char *const uses[] = {"", " == a", ".map(y, type(y))[0] == list"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"a\": [1]}", 0);
        struct str text = repeated(&w, "a", ".map(x, [x])", 5000, uses[i]);
        enum err err = world_expr(&w, text, &v);
        assert_true(err == (i == 0 ? ERR_LIMIT : OK));
        world_fini(&w);
    }
}

static void test_regex(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, "{\"l\": [1,2,3,4,5,6,7,8,9,10]}", 0);
    const char *text =
        "l.all(a, l.all(b, l.all(c, l.all(d, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
        ".matches('((a{0,30}){30}){20}b') || true))))";
    assert_int_equal(world_expr(&w, str_from(text), &v), ERR_LIMIT);
    world_fini(&w);
}

static void test_long_text(void **state) {
    struct world w;
    struct value v = value_null();
    (void)state;
    world_init(&w, NULL, 0);
    assert_int_equal(world_expr(&w, repeated(&w, "1", " ", EXPR_MAX_TEXT, ""), &v), ERR_INVALID);
    assert_true(
        str_is(w.diag.items[0].message, "the expression has 100001 bytes; the limit is 100000"));
    world_fini(&w);
}

/* The n-th allocation fails, for every n: a limit or no memory, never a crash or a wrong value. */
static void test_scarce_memory(void **state) {
    const char *text = "[1, 2, 3].map(x, string(x + a) + s).join(',').split(',').filter(y, "
                       "y.matches('^[0-9]+h') && {'k': y}.?k.hasValue()).size() + int('1')";
    (void)state;
    for (size_t cap = 200; cap < 40000; cap += 97) {
        struct world w;
        struct value v = value_null();
        world_init(&w, "{\"a\": 1, \"s\": \"h\"}", 0);
        struct arena small;
        arena_init(&small, cap);
        w.env.arena = &small;
        enum err err = world_expr(&w, str_from(text), &v);
        assert_true(err == OK || err == ERR_LIMIT);
        assert_true(err || same(v, value_int(4)));
        arena_fini(&small);
        world_fini(&w);
    }
}

static void test_scarce_memory_compiling(void **state) {
    const char *text = "a {{#each [1, 2, a] as x}}{{#if x > 1 && !has({'b': x}.c)}}{{ \"t\\n\" + "
                       "string(x) }}{{#else}}\\{{ {{ nope.y }}{{/if}}{{/each}}";
    (void)state;
    for (size_t cap = 0; cap < 40000; cap += 61) {
        struct world w;
        const struct tmpl *t = NULL;
        world_init(&w, "{\"a\": 1, \"nope\": {}}", 0);
        struct arena small;
        arena_init(&small, cap ? cap : 1);
        struct mark at = {"f", 1, 1};
        enum err err = tmpl_compile(&small, str_from(text), at, &w.scope, &t, &w.diag);
        assert_true(err == OK || err == ERR_NOMEM);
        assert_int_equal(w.diag.count, 0);
        arena_fini(&small);
        world_fini(&w);
    }
}

int run_limits(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_chains),   cmocka_unit_test(test_sum),
        cmocka_unit_test(test_nesting),       cmocka_unit_test(test_nesting_allowed),
        cmocka_unit_test(test_steps),         cmocka_unit_test(test_limits_are_final),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_memory_of_one_evaluation),
        cmocka_unit_test(test_shared_parts),  cmocka_unit_test(test_deep_values),
        cmocka_unit_test(test_regex),         cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_scarce_memory), cmocka_unit_test(test_scarce_memory_compiling),
    };
    return cmocka_run_group_tests_name("expr limits", tests, NULL, NULL);
}
